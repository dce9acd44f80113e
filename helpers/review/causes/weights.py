r"""Whose deaths are these? What a share of all deaths owes to the largest cohorts.

A share of deaths weighs each cohort by its deaths. If deaths of one cohort resemble each other (one
registry, one practice of coding causes, one pandemic), with intraclass correlation :math:`\rho`,
the variance of the share grows by the design effect
:math:`1 + \rho\,(\sum d_i^2 / \sum d_i - 1)` and the deaths count as so many fewer (Rao and Scott
1992, doi:10.2307/2532311). The correlation cannot be estimated from sums; its effect can be shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ... import ties
from ...engine.effects import study_interval
from ...engine.normal.intervals import Interval
from ...engine.shown import Shown
from ...errors import MetaAnalysisError
from .shares import CauseShare


@dataclass(frozen=True, slots=True, repr=False)
class DeathWeights(Shown):
    """How the deaths spread over cohorts."""

    deaths: tuple[int, ...]  # Of each cohort that has any, largest first
    cohorts: tuple[str, ...]  # Their names

    @property
    def total(self) -> int:
        """All deaths."""
        return sum(self.deaths)

    @property
    def largest_share(self) -> float:
        """Fraction of the deaths that the largest cohort brings."""
        return self.deaths[0] / self.total

    @property
    def mean_size(self) -> float:
        """Deaths in the cohort of the average death."""
        return sum(d * d for d in self.deaths) / self.total

    def design_effect(self, icc: float) -> float:
        """Factor by which the variance of a share grows."""
        if not 0 <= icc <= 1:
            raise MetaAnalysisError(f"an intraclass correlation is between 0 and 1, not {icc!r}")
        return 1 + icc * (self.mean_size - 1)

    def icc_for(self, design_effect: float) -> float:
        """Intraclass correlation that makes this design effect."""
        if design_effect < 1:
            raise MetaAnalysisError(f"a design effect is at least 1, not {design_effect!r}")
        return (design_effect - 1) / (self.mean_size - 1)

    def interval(self, share: CauseShare, icc: float) -> Interval:
        """Wilson interval of a share of these deaths, counted as independent / design effect."""
        n = share.n / self.design_effect(icc)
        lower, upper = study_interval([share.estimate * n], [n], level=share.level)
        return Interval(float(lower[0]), float(upper[0]))

    def without_largest(self, share: CauseShare) -> Interval:
        """Bounds of the share in the other cohorts, whatever the largest one's deaths were."""
        if share.n != self.total:
            raise MetaAnalysisError("the bounds need a share of all deaths of these cohorts")
        rest = self.total - self.deaths[0]
        least = max(0, share.deaths - self.deaths[0])
        return Interval(least / rest, min(share.deaths, rest) / rest)


def death_weights(cohorts: pd.DataFrame) -> DeathWeights:
    """Describe how deaths spread over cohorts.

    Raises
    ------
    MetaAnalysisError
        When there are deaths in fewer than two cohorts.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> weights = death_weights(load_cohorts())
    >>> weights.total, weights.cohorts[0]
    (574, 'Jacobson 2022 B')
    """
    counts = cohorts["nonrelapse_deaths"].to_numpy(np.int64)
    order = [i for i in ties.order(counts, descending=True) if counts[i] > 0]
    if len(order) < 2:
        raise MetaAnalysisError("death_weights() needs deaths in at least two cohorts")
    names = cohorts["cohort"].astype(str).to_numpy()
    return DeathWeights(tuple(int(counts[i]) for i in order), tuple(str(names[i]) for i in order))
