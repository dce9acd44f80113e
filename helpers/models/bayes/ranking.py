"""Ranks of several posteriors (products, diseases), by quadrature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ... import printing
from ...arguments import AnyArray as Array
from ...arguments import one_of
from ...door import pd
from ...engine.shown import Row, Shown, percent
from ...errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from .marginal import Marginal

if TYPE_CHECKING:
    from .result import Posterior, Quantity

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
