r"""The pairs (mu, tau2) that the likelihood of a pooled result allows, and extremes over them.

A function of both parameters (the mean across studies, the probability of a new study beyond a
bound) has the profile-likelihood interval that holds its values at all pairs whose likelihood is
high enough (Hardy and Thompson 1996,
doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A). The function has to rise (or
fall) with mu at every tau.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np

from ..arguments import Array
from ..engine.distributions import chi2_isf
from ..engine.normal.intervals import Interval
from ..errors import MetaAnalysisError, UnsupportedError

if TYPE_CHECKING:
    from ..engine.counts.fit import GLMMFit
    from ..engine.normal.inverse_variance import InverseVarianceFit
    from .result import PoolResult

_COARSE, _FINE, _ROUNDS = 33, 9, 8


def quantile_df(fit: PoolResult) -> int | None:
    """Degrees of freedom of the quantile behind the interval of the fit; None: normal."""
    return None if fit.ci_method in ("wald", "profile", "henmi-copas") else fit.k - 1


def covariance_of_mu_and_tau(fit: PoolResult) -> float:
    """Covariance of mu and tau; zero under the normal-normal model, where they are orthogonal."""
    from ..engine.counts.fit import GLMMFit

    if not isinstance(fit.engine, GLMMFit):
        return 0.0
    return float(fit.engine.cov[0, fit.coefficient, -1])


def extremes_in_region(
    fit: PoolResult, what: str, function: Callable[[Array, Array], Array], level: float
) -> Interval:
    """Smallest and largest value of `function` of mu and tau2 within the likelihood's reach.

    The function takes arrays of equal shape and rises in mu; `what` it gives is named in messages.
    An error where the fit maximises no likelihood over both, or where that does not bound tau2.
    """
    if fit.model != "glmm" and fit.tau2_method != "ML":
        raise UnsupportedError(
            f"the profile-likelihood interval of {what} is defined for model='glmm' and for "
            f"tau2_method='ML', not {fit.tau2_method!r}"
        )
    if fit.model != "glmm" and fit.options.tau2_source == "shared":
        raise UnsupportedError(
            f"the profile-likelihood interval of {what} is defined for a variance that a group has "
            "to itself; this one is shared by all groups"
        )
    bounds = fit.tau2_ci("profile", level=level)
    if not np.isfinite(bounds.upper):
        raise MetaAnalysisError(
            f"the profile likelihood does not bound the between-study variance at level {level:g}, "
            f"and so not {what}: the data contain too little information"
        )
    drop = 0.5 * float(chi2_isf(1.0 - level, 1.0))
    section = _glmm_section(fit, drop) if fit.model == "glmm" else _normal_section(fit, drop)
    start, end = (float(np.sqrt(x)) for x in bounds)

    def values(tau: Array) -> tuple[Array, Array]:
        lower, upper = section(tau**2)
        return function(lower, tau**2), function(upper, tau**2)

    return Interval(_extreme(values, start, end, 0), _extreme(values, start, end, 1))


def _extreme(
    values: Callable[[Array], tuple[Array, Array]], start: float, end: float, which: int
) -> float:
    """Smallest (0) or largest (1) value, on a grid of tau that closes in on its best point."""
    sign = -1.0 if which == 0 else 1.0
    # dense at both ends, where the sections of mu close like a square root
    tau = start + (end - start) * 0.5 * (1.0 - np.cos(np.linspace(0.0, np.pi, _COARSE)))
    best = -np.inf
    for _ in range(_ROUNDS):
        value = sign * values(tau)[which]
        at = int(np.argmax(value))
        best = max(best, float(value[at]))
        low, high = tau[max(at - 1, 0)], tau[min(at + 1, tau.size - 1)]
        if high - low <= 1e-9 * (end + 1e-300):
            break
        tau = np.linspace(low, high, _FINE)
    return sign * best


def _normal_section(fit: PoolResult, drop: float) -> Callable[[Array], tuple[Array, Array]]:
    """Limits of mu at each tau2 under the normal-normal model, in closed form."""
    batch = cast("InverseVarianceFit", fit.engine).batch
    y, v = batch.yi[0], batch.vi[0]

    def height(tau2: Array) -> tuple[Array, Array, Array]:
        total = v + tau2[:, None]
        weight = 1.0 / total
        information = weight.sum(axis=1)
        mean = weight @ y / information
        fall = np.log(total).sum(axis=1) + (weight * (y - mean[:, None]) ** 2).sum(axis=1)
        return -0.5 * fall, mean, information

    top = float(height(np.array([fit.tau2]))[0][0])

    def section(tau2: Array) -> tuple[Array, Array]:
        value, mean, information = height(tau2)
        half = np.sqrt(2.0 * np.maximum(value - top + drop, 0.0) / information)
        return mean - half, mean + half

    return section


def _glmm_section(fit: PoolResult, drop: float) -> Callable[[Array], tuple[Array, Array]]:
    """Limits of mu at each tau2 under the GLMM; the likelihood is log-concave in mu."""
    from ..engine.counts.profile import mu_sections

    engine = cast("GLMMFit", fit.engine)
    return lambda tau2: mu_sections(engine, tau2, drop, fit.coefficient)
