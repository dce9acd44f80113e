"""The small frozen parts of a pooled result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import Array
from .distributions import chi2_sf
from .shown import Shown

__all__ = [
    "COCHRAN",
    "LIKELIHOOD_RATIO",
    "Caution",
    "EffectTest",
    "Heterogeneity",
    "homogeneity_p",
    "i2_and_h2",
]

Numbers = TypeVar("Numbers", float, NDArray[np.float64])

#: Names of the tests of homogeneity.
COCHRAN, LIKELIHOOD_RATIO = "Cochran's Q", "likelihood ratio"


@dataclass(frozen=True, slots=True)
class Caution:
    """Something a reader should know before using a result."""

    code: str  # Short stable name, e.g. "few-studies".
    message: str  # One sentence


@dataclass(frozen=True, slots=True, repr=False)
class Heterogeneity(Shown):
    """How much the studies differ beyond chance.

    Notes
    -----
    Random effects: I2 = 100 tau2/(tau2 + typical variance), H2 = 1 + tau2/typical variance,
    also for the GLMM (typical variance of the same measure with its zero-cell rule).
    Common effect: I2 = max(0, 100 (Q - df)/Q) and H2 = Q/df.

    The Wald test loses its power where events are few, which is where a likelihood model is
    chosen: of 3/40, 0/25, 11/130, 5/60, 0/20, 0/31 and 0/44 it uses three studies.

    Examples
    --------
    >>> from helpers import pool
    >>> x, n = [3, 0, 11, 5, 0, 0, 0], [40, 25, 130, 60, 20, 31, 44]
    >>> found = pool(events=x, n=n, model="glmm").heterogeneity
    >>> print(f"{found.test}: {found.Q:.1f} on {found.df} df, p = {found.p:.3f}")
    likelihood ratio: 16.6 on 6 df, p = 0.011
    >>> print(f"Wald: {found.Q_wald:.2f} on {found.df_wald} df, p = {found.p_wald:.2f}")
    Wald: 0.04 on 2 df, p = 0.98
    """

    #: The test of homogeneity, its degrees of freedom and p-value: Cochran's Q by inverse variance;
    #: for likelihood models the likelihood-ratio test of the model without random effect against
    #: the saturated model (one free rate for each study), chi-squared with k - p degrees of freedom
    #: (Stijnen, Hamza and Özdemir 2010, doi:10.1002/sim.4040)
    Q: float
    df: int
    p: float
    I2: float  # Percentage of the total variance that is between studies
    H2: float  # Total variance over typical sampling variance
    #: The sampling variance behind I2 and H2, (k - p)/tr(P) with inverse-variance weights (Higgins
    #: and Thompson 2002, doi:10.1002/sim.1186)
    typical_variance: float
    test: str = COCHRAN  # {"Cochran's Q", "likelihood ratio"}: Which of the two `Q` is
    #: Wald test of the saturated model, likelihood models only. A study with a zero or full cell
    #: has an infinite logit there and carries no weight; it does not count in `df_wald` either.
    Q_wald: float | None = None
    df_wald: int | None = None
    p_wald: float | None = None
    #: Likelihood-ratio test of tau2 = 0, GLMM only; the p-value refers to half a point mass at 0
    #: and half a chi-squared distribution with 1 df
    tau2_lrt: float | None = None
    tau2_p: float | None = None

    @property
    def Q_lrt(self) -> float | None:  # noqa: N802 - the field's name
        """`Q` of a likelihood model, else None."""
        return self.Q if self.test == LIKELIHOOD_RATIO else None

    @property
    def p_lrt(self) -> float | None:
        """`p` of a likelihood model, else None."""
        return self.p if self.test == LIKELIHOOD_RATIO else None


def i2_and_h2(tau2: Numbers, typical_variance: Numbers) -> tuple[Numbers, Numbers]:
    """Variance between studies as a percentage of the total, and the total over the sampling one.

    Higgins and Thompson 2002, doi:10.1002/sim.1186, with the estimate of tau2 of the model; for
    every model with random effects, by inverse variance or likelihood.

    Examples
    --------
    >>> i2_and_h2(3.0, 1.0)
    (75.0, 4.0)
    """
    return 100.0 * tau2 / (tau2 + typical_variance), 1.0 + tau2 / typical_variance


def homogeneity_p(statistic: Array, df: ArrayLike) -> Array:
    """Chi-squared p-values; 1 without a degree of freedom, NaN without a statistic.

    Examples
    --------
    >>> homogeneity_p(np.array([3.841458820694124, 0.0, np.nan]), [1, 0, 1]).round(3).tolist()
    [0.05, 1.0, nan]
    """
    free = np.asarray(df) > 0
    p: Array = chi2_sf(statistic, np.where(free, df, 1.0))
    return np.where(free | np.isnan(p), p, 1.0)


@dataclass(frozen=True, slots=True, repr=False)
class EffectTest(Shown):
    """Test of one value of the pooled effect."""

    statistic: float  # (mu - null)/se
    df: int | None  # Degrees of freedom of the t distribution; None for the normal one
    p: float  # Two-sided p-value
