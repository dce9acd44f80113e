"""How much the posterior depends on the priors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...door import pd
from .engine import solve
from .priors import HalfCauchy, HalfNormal, MuPrior, TauPrior, Uniform

if TYPE_CHECKING:
    from .result import Posterior

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
