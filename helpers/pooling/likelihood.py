"""Likelihood models for one set of studies: the pooled GLM (tau2 = 0) and the GLMM.

The batched kernel is `helpers.pooling.glmm`; this module prepares the studies of one analysis
for it, and adds the common-effect model with its profile interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from helpers.distributions import chi2_isf
from helpers.errors import MetaAnalysisError
from helpers.pooling.intervals import Interval
from helpers.pooling.roots import bracketed_root, expand
from helpers.pooling.studies import StudyData

if TYPE_CHECKING:
    from helpers.pooling.glmm import GLMMFit

Array = NDArray[np.float64]
Family = Literal["binomial", "poisson"]

__all__ = [
    "PooledCounts",
    "family_of",
    "glmm_profile",
    "included_counts",
    "pool_counts",
    "pooled_profile",
]


@dataclass(frozen=True, slots=True)
class PooledCounts:
    """Common-effect estimate of the generalised linear model: one rate for all studies."""

    mu: float
    se: float
    events: float
    size: float


def family_of(kind: str) -> Family:
    """Distribution of the counts for a kind of measure.

    Examples
    --------
    >>> family_of("rate")
    'poisson'
    """
    return "poisson" if kind == "rate" else "binomial"


def included_counts(data: StudyData) -> tuple[Array, Array]:
    """Events and sizes of the included studies.

    Raises
    ------
    MetaAnalysisError
        The data hold effects, not counts.
    """
    if data.events is None or data.size is None:
        raise MetaAnalysisError("a likelihood model needs counts, not effects")
    return data.events[data.included], data.size[data.included]


def pool_counts(events: Array, size: Array, kind: str) -> PooledCounts:
    """Maximum-likelihood logit (or log rate) of the summed counts and its standard error.

    Raises
    ------
    MetaAnalysisError
        No event at all (or only events): the maximum is at infinity.

    Examples
    --------
    >>> import numpy as np
    >>> fit = pool_counts(np.array([1.0, 3.0]), np.array([10.0, 30.0]), "proportion")
    >>> round(fit.mu, 6), round(fit.se, 6)
    (-2.197225, 0.527046)
    """
    x, n = float(events.sum()), float(size.sum())
    if x == 0 or (kind == "proportion" and x == n):
        what = "no study has an event" if x == 0 else "every patient of every study has an event"
        raise MetaAnalysisError(
            f"{what}: the maximum-likelihood estimate is at infinity. Use the arcsine measure, "
            "or inverse variance with a zero-cell correction"
        )
    if kind == "rate":
        return PooledCounts(float(np.log(x / n)), x**-0.5, x, n)
    return PooledCounts(float(np.log(x / (n - x))), (1.0 / x + 1.0 / (n - x)) ** 0.5, x, n)


def _log_likelihood(mu: Array, x: float, n: float, kind: str) -> Array:
    """Log-likelihood of the summed counts without constants."""
    if kind == "rate":
        return x * mu - n * np.exp(mu)
    return x * mu - n * np.logaddexp(0.0, mu)


def pooled_profile(data: StudyData, kind: str, level: float) -> Interval:
    """Likelihood-ratio interval for the common logit or log rate (model scale).

    Examples
    --------
    >>> from helpers.pooling import pool
    >>> fit = pool(events=[1, 3], n=[10, 30], model="common", method="likelihood")
    >>> [round(x, 4) for x in fit.conf_int("profile")]
    [0.0322, 0.2172]
    """
    fit = pool_counts(*included_counts(data), kind)
    best = float(_log_likelihood(np.array(fit.mu), fit.events, fit.size, kind))
    threshold = best - 0.5 * float(chi2_isf(1.0 - level, 1.0))

    def above(mu: Array) -> Array:
        return _log_likelihood(mu, fit.events, fit.size, kind) - threshold

    inside, outside = expand(above, [fit.mu, fit.mu], [-fit.se, fit.se], factor=1.5)
    low, high = bracketed_root(above, inside, outside, rtol=1e-13, atol=1e-14 * fit.se)
    return Interval(float(low), float(high))


def glmm_profile(fit: GLMMFit, parameter: Literal["mu", "tau2"], level: float) -> Interval:
    """Profile-likelihood interval for mu or tau2 of one GLMM fit.

    Raises
    ------
    MetaAnalysisError
        The profile does not fall enough on one side: the interval is unbounded.
    """
    from helpers.pooling.glmm_profile import LimitStatus, profile_ci_mu, profile_ci_tau2

    found = (profile_ci_mu if parameter == "mu" else profile_ci_tau2)(fit, level)
    if LimitStatus.UNBOUNDED in (found.lower_status[0], found.upper_status[0]):
        raise MetaAnalysisError(
            f"the profile likelihood of {parameter} does not bound it at level {level:g}: the "
            "data hold too little information"
        )
    if LimitStatus.NOT_FITTED in (found.lower_status[0], found.upper_status[0]):
        raise MetaAnalysisError("the GLMM did not converge; there is nothing to profile")
    return Interval(float(found.lower[0]), float(found.upper[0]))
