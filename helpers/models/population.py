r"""The mean across studies of a random-effects model, beside the median that its coefficient gives.

In a model of logits (log rates) the inverse of :math:`\mu` is the proportion (rate) of the *median*
study. The mean across studies is :math:`E\{g^{-1}(\mu + \tau Z)\}`, Z standard normal: for a
proportion below one half it lies above the median, the more so the more the studies differ (Zeger,
Liang and Albert 1988, doi:10.2307/2531734). It is the number that belongs to "of 1,000 patients".

The integral for proportions is a trapezoidal rule, whose error falls exponentially in the number
of points (Trefethen and Weideman 2014, doi:10.1137/130932132). Below ``tau = 1`` it runs over Z;
above, where the inverse logit is steep in Z, over a logistic variable L, since
:math:`E\,\text{expit}(\mu + \tau Z) = P(L < \mu + \tau Z) = E\,\Phi\{(\mu - L)/\tau\}`.

Intervals: "delta" carries the joint covariance of mu and tau over to the logit (logarithm) of the
mean; "profile" contains the means of all pairs (mu, tau2) whose likelihood is high enough (Hardy
and Thompson 1996, doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import Array, level_of
from ..engine.distributions import norm_cdf, norm_pdf
from ..engine.normal.intervals import Interval, symmetric_interval
from ..errors import UnsupportedError
from .pooled_intervals import covariance_of_mu_and_tau, extremes_in_region, quantile_df

if TYPE_CHECKING:
    from .result import PoolResult

Rule = Literal["integral", "lognormal", "median"]

# Measures whose mean across studies is defined, with what it takes.
_RULES: dict[str, Rule] = {
    "logit": "integral",
    "log": "lognormal",
    "log-rate": "lognormal",
    "raw": "median",
    "raw-rate": "median",
    "effect": "median",
}
#: Interval methods of the mean across studies.
MEAN_METHODS = ("delta", "profile")

_STEP_Z, _REACH_Z = 0.25, 11.0
_STEP_L, _REACH_L = 0.5, 45.0
_Z = np.arange(-_REACH_Z, _REACH_Z + _STEP_Z / 2, _STEP_Z)
_WEIGHT_Z = _STEP_Z * norm_pdf(_Z)
_L = np.arange(-_REACH_L, _REACH_L + _STEP_L / 2, _STEP_L)
_WEIGHT_L = _STEP_L * np.exp(-np.abs(_L)) / (1.0 + np.exp(-np.abs(_L))) ** 2
_CURVE = 0.346  # (16 sqrt(3) / (15 pi))^2: a logistic curve as a normal one, for starting values


class PopulationMean(NamedTuple):
    """Mean across studies on the display scale, with its slopes in mu and tau."""

    value: Array
    by_mu: Array
    by_tau: Array


def has_mean(measure: str) -> bool:
    """Whether the mean across studies is defined for a measure."""
    return measure in _RULES


def mean_rule(measure: str) -> Rule:
    """How the mean across studies follows from mu and tau2; an error where a measure has none.

    By quadrature, as exp(mu + tau2/2), or as the transformed mu itself.
    """
    if not has_mean(measure):
        raise UnsupportedError(
            f"no mean across studies for measure={measure!r}, whose back-transformation needs a "
            f"sample size or has corners; expected one of {', '.join(_RULES)}"
        )
    return _RULES[measure]


def differs_from_median(fit: PoolResult) -> bool:
    """Whether the mean across studies of a fit is another number than its estimate, the median."""
    if not has_mean(fit.measure) or mean_rule(fit.measure) == "median":
        return False
    return fit.model != "common" and fit.tau2 > 0.0


def population_mean(mu: ArrayLike, tau2: ArrayLike, measure: str = "logit") -> PopulationMean:
    """Mean across studies of an effect normal on the model scale; arguments are broadcast."""
    rule = mean_rule(measure)
    m, v = np.broadcast_arrays(np.asarray(mu, dtype=float), np.asarray(tau2, dtype=float))
    tau = np.sqrt(v)
    if rule == "median":
        return PopulationMean(m.copy(), np.ones(m.shape), np.zeros(m.shape))
    if rule == "lognormal":
        value = np.exp(m + 0.5 * v)
        return PopulationMean(value, value, tau * value)
    value, by_mu, by_tau = (np.empty(m.shape) for _ in range(3))
    narrow = tau < 1.0
    for part, integrate in ((narrow, _over_normal), (~narrow, _over_logistic)):
        if part.any():
            value[part], by_mu[part], by_tau[part] = integrate(m[part], tau[part])
    return PopulationMean(value, by_mu, by_tau)


def _over_normal(mu: Array, tau: Array) -> tuple[Array, Array, Array]:
    """Trapezoidal rule over the study's deviate, for mu and tau of shape (N,)."""
    t = mu[:, None] + tau[:, None] * _Z
    small = np.exp(-np.abs(t))
    low, high = small / (1.0 + small), 1.0 / (1.0 + small)
    slope = low * high
    return (
        np.where(t < 0, low, high) @ _WEIGHT_Z,
        slope @ _WEIGHT_Z,
        slope @ (_WEIGHT_Z * _Z),
    )


def _over_logistic(mu: Array, tau: Array) -> tuple[Array, Array, Array]:
    """Trapezoidal rule over a logistic deviate, for mu and tau of shape (N,)."""
    u = (mu[:, None] - _L) / tau[:, None]
    density = norm_pdf(u) / tau[:, None]
    return norm_cdf(u) @ _WEIGHT_L, density @ _WEIGHT_L, -(u * density) @ _WEIGHT_L


def solve_logit_mean(target: Array, tau: Array) -> tuple[Array, Array]:
    """Find mu so that the mean proportion has the logit `target` at each `tau`, and its slope.

    Newton's method on the logit of the mean, which is nearly a straight line in mu.
    """
    # below one half throughout, where the mean keeps its digits: the model is symmetric
    side = np.where(target > 0.0, -1.0, 1.0)
    wanted = side * target
    mu = wanted * np.sqrt(1.0 + _CURVE * tau**2)
    slope = np.ones(mu.shape)
    for _ in range(60):
        value, by_mu, _ = population_mean(mu, tau**2)
        slope = by_mu / (value * (1.0 - value))
        step = (np.log(value / (1.0 - value)) - wanted) / slope
        step = np.clip(step, -1.0 - tau, 1.0 + tau)
        mu = mu - step
        if (np.abs(step) <= 1e-11 * (1.0 + np.abs(mu))).all():
            break
    return side * mu, 1.0 / slope


def mean_interval(fit: PoolResult, method: str = "delta", level: float | None = None) -> Interval:
    """Confidence interval of the mean across studies (`PoolResult.mean_conf_int`), displayed."""
    rule = mean_rule(fit.measure)
    if method not in MEAN_METHODS:
        raise UnsupportedError(
            f"method={method!r} is not defined for the mean across studies; expected one of "
            f"{', '.join(MEAN_METHODS)}"
        )
    level = level_of(fit.level if level is None else level)
    alone = fit.k < 2 and fit.tau2 == 0.0
    if fit.model == "common" or alone or rule == "median":
        # one rate for all studies, or a mean that is mu itself: the interval of mu is that of both
        return fit.conf_int("profile" if method == "profile" else None, level=level)
    if method == "delta":
        return _delta(fit, level)

    def mean(mu: Array, tau2: Array) -> Array:
        return population_mean(mu, tau2, fit.measure).value

    return extremes_in_region(fit, "the mean across studies", mean, level)


def _delta(fit: PoolResult, level: float) -> Interval:
    """Symmetric interval of the logit (logarithm) of the mean."""
    value, by_mu, by_tau = (float(x) for x in population_mean(fit.mu, fit.tau2, fit.measure))
    variance = (by_mu * fit.se) ** 2
    if fit.tau2 > 0.0 and np.isfinite(fit.tau2_se):
        tau_se = fit.tau2_se / (2.0 * fit.tau2**0.5)
        shared = covariance_of_mu_and_tau(fit)
        variance += (by_tau * tau_se) ** 2 + 2.0 * by_mu * by_tau * shared
    return delta_interval(value, variance, fit.measure, level, quantile_df(fit))


def delta_interval(
    value: float, variance: float, measure: str, level: float, df: float | None
) -> Interval:
    """Symmetric interval of the logit (logarithm) of a mean with this variance."""
    lognormal = mean_rule(measure) == "lognormal"
    outer = 1.0 / value if lognormal else 1.0 / (value * (1.0 - value))
    half = outer * variance**0.5
    if mean_rule(measure) == "median":
        return symmetric_interval(value, variance**0.5, level, df)
    if lognormal:
        limits = symmetric_interval(float(np.log(value)), half, level, df)
        return Interval(float(np.exp(limits.lower)), float(np.exp(limits.upper)))
    limits = symmetric_interval(float(np.log(value / (1.0 - value))), half, level, df)
    lower, upper = (1.0 / (1.0 + np.exp(-x)) for x in limits)
    return Interval(float(lower), float(upper))
