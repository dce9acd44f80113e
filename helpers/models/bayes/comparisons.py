"""Posteriors compared: under other priors, and by their ranks, both by quadrature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing
from ...arguments import AnyArray as Array
from ...arguments import one_of
from ...door import pd
from ...engine.shown import Row, Shown, percent
from ...errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from .engine import solve
from .marginal import Marginal
from .priors import HalfCauchy, HalfNormal, MuPrior, TauPrior, Uniform

if TYPE_CHECKING:
    from .result import Posterior, Quantity


#: Priors for tau that `compare` tries by default: from narrow to wide, and with a heavy tail.
DEFAULT_TAU_PRIORS: tuple[TauPrior, ...] = (
    HalfNormal(0.25),
    HalfNormal(0.5),
    HalfNormal(1.0),
    HalfCauchy(0.5),
    Uniform(5.0),
)


def compare(
    post: Posterior,
    tau_priors: Mapping[str, TauPrior] | None = None,
    mu_priors: Mapping[str, MuPrior] | None = None,
    rates: tuple[float, ...] = (),
) -> pd.DataFrame:
    """Compute the posterior again under other priors.

    Parameters
    ----------
    post : Posterior
        Whose studies and likelihood are used.
    tau_priors : mapping of label to prior, optional
        Default `DEFAULT_TAU_PRIORS`.
    mu_priors : mapping of label to prior, optional
        Default: the prior of `post` alone. Every pair of priors is computed.
    rates : tuple of float
        Display-scale values whose exceedance probabilities are added.

    Returns
    -------
    DataFrame
        Index ("tau_prior", "mu_prior"); columns `estimate`, `ci_lower`, `ci_upper`,
        `prediction_lower`, `prediction_upper` (display scale), `tau`, `tau_lower`, `tau_upper`
        (medians and central limits), `log_marginal_likelihood` and for each rate
        ``above_<rate>`` and ``new_above_<rate>``.

    Notes
    -----
    Marginal likelihoods of different proper priors for tau can be compared; with a flat and a
    proper prior for mu they cannot.

    Examples
    --------
    >>> from helpers.models.bayes import HalfNormal, posterior
    >>> post = posterior(yi=[-2.1, -2.9, -1.8], vi=[0.1, 0.2, 0.1], measure="logit")
    >>> table = compare(post, {"narrow": HalfNormal(0.1), "wide": HalfNormal(1.0)})
    >>> bool(table["tau"].is_monotonic_increasing)
    True
    """
    taus = tau_priors or {prior.label: prior for prior in DEFAULT_TAU_PRIORS}
    means = mu_priors or {post.mu_prior.label: post.mu_prior}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for mean_name, mu_prior in means.items():
        # what a model learns of its likelihood serves all priors for tau
        same = mu_prior == post.mu_prior
        model = post.model if same else replace(post.model, mu_prior=mu_prior)
        for tau_name, tau_prior in taus.items():
            other = post
            if not same or tau_prior != post.tau_prior:
                found = solve(model, tau_prior, post.level, post.tolerance)
                other = replace(
                    post,
                    mu=found.mu,
                    tau=found.tau,
                    predictive=found.predictive,
                    log_marginal_likelihood=found.log_marginal_likelihood,
                )
            rows[tau_name, mean_name] = _row(other, rates)
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=["tau_prior", "mu_prior"])
    return frame


def _row(post: Posterior, rates: tuple[float, ...]) -> dict[str, Any]:
    limits, new, tau = post.ci, post.prediction_interval(), post.tau.interval()
    row: dict[str, Any] = {
        "estimate": post.estimate,
        "ci_lower": limits.lower,
        "ci_upper": limits.upper,
        "prediction_lower": new.lower,
        "prediction_upper": new.upper,
        "tau": post.tau.median,
        "tau_lower": tau.lower,
        "tau_upper": tau.upper,
        "log_marginal_likelihood": post.log_marginal_likelihood,
    }
    for rate in rates:
        row[f"above_{rate:g}"] = float(post.probability_above(rate))
        row[f"new_above_{rate:g}"] = float(post.probability_above(rate, of="new"))
    return row


_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, repr=False)
class Ranking(Shown):
    """How probable each rank is. Rank 1 is the lowest rate."""

    names: tuple[str, ...]
    probabilities: Array  # Row: group, column: rank. Rows and columns sum to 1. Shape (G, G).
    #: Probability that the group of the row has a lower rate than that of the column, shape (G, G)
    lower: Array
    error: float  # Largest change of a probability when every panel is halved

    def _headline(self) -> str:
        return "rank 1 is the lowest rate"

    def _said(self) -> Iterator[Row]:
        for name, mean, first in zip(
            self.names, self.mean_rank, self.probabilities[:, 0], strict=True
        ):
            yield name, f"mean rank {printing.number(mean, 1)}; lowest with {percent(first, 0)}"

    @property
    def mean_rank(self) -> Array:
        """Expected rank of each group."""
        return self.probabilities @ np.arange(1.0, len(self.names) + 1.0)

    @property
    def sucra(self) -> Array:
        """Surface under the cumulative ranking, 1 for certainly lowest (Salanti et al. 2011)."""
        groups = len(self.names)
        return (groups - self.mean_rank) / (groups - 1.0)

    def frame(self) -> pd.DataFrame:
        """Table with index "group", one column per rank, `mean_rank` and `sucra`."""
        ranks = {f"rank_{r + 1}": self.probabilities[:, r] for r in range(len(self.names))}
        return pd.DataFrame(
            {**ranks, "mean_rank": self.mean_rank, "sucra": self.sucra},
            index=pd.Index(self.names, name="group"),
        )

    def pairwise(self) -> pd.DataFrame:
        """Probability that the row's rate is lower than the column's (NaN on the diagonal)."""
        table = self.lower.copy()
        np.fill_diagonal(table, np.nan)
        return pd.DataFrame(
            table, index=pd.Index(self.names, name="group"), columns=list(self.names)
        )


def rank_probabilities(posteriors: Mapping[str, Posterior], of: Quantity = "mu") -> Ranking:
    r"""Probability of every rank of several independent posteriors.

    Parameters
    ----------
    posteriors : mapping of name to Posterior
        At least two, on the same measure. They must come from different studies: the posteriors
        are treated as independent.
    of : {"mu", "new"}
        Rank mean rates, or true rates of one new cohort for each group.

    Notes
    -----
    .. math:: P(\mathrm{rank}_g = r) = \int p_g(x)\, P\{r - 1 \text{ of the others below } x\}\, dx,

    where the number below x is a sum of independent indicators (Poisson-binomial), computed by
    convolution. SUCRA: Salanti, Ades & Ioannidis 2011, doi:10.1016/j.jclinepi.2010.03.016. Ranks
    exaggerate small differences and hide precision (Trinquart et al. 2016,
    doi:10.7326/M15-2521): show them with the posteriors themselves.

    Examples
    --------
    >>> from helpers.models.bayes import posterior
    >>> low = posterior(yi=[-3.0, -2.8], vi=[0.1, 0.1], measure="logit")
    >>> high = posterior(yi=[-2.0, -1.8], vi=[0.1, 0.1], measure="logit")
    >>> ranking = rank_probabilities({"A": low, "B": high})
    >>> print(round(float(ranking.probabilities[0, 0]), 3))
    0.973
    """
    if len(posteriors) < 2:
        raise MetaAnalysisError("ranks need at least two posteriors")
    if len({post.measure for post in posteriors.values()}) > 1:
        raise UnsupportedError("posteriors on different measures cannot be ranked")
    one_of("of", of, ("mu", "new"))
    marginals = [post.mu if of == "mu" else post.predictive for post in posteriors.values()]
    old = _ranks(marginals, 1)
    for splits in (2, 4, 8, 16):
        new = _ranks(marginals, splits)
        error = float(max(np.abs(a - b).max() for a, b in zip(old, new, strict=True)))
        if error < _TOLERANCE:
            return Ranking(tuple(posteriors), *new, error)
        old = new
    raise ConvergenceError("the rank probabilities were not resolved")


def _ranks(marginals: list[Marginal], splits: int) -> tuple[Array, Array]:
    groups = len(marginals)
    ranks, lower = np.zeros((groups, groups)), np.zeros((groups, groups))
    for g, own in enumerate(marginals):
        x, weights = own.nodes(splits)
        counts = np.zeros((groups, x.size))  # probability that so many others lie below x
        counts[0] = 1.0
        for h, other in enumerate(marginals):
            if h == g:
                continue
            below = other.cdf(x)
            lower[g, h] = other.probability_above(x) @ weights
            counts[1:] = counts[1:] * (1.0 - below) + counts[:-1] * below
            counts[0] *= 1.0 - below
        ranks[g] = counts @ weights
    return ranks, lower
