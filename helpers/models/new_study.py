r"""The probability that the true effect of a new study lies beyond a bound, with its interval.

True effects are normal with mean :math:`\mu` and variance :math:`\tau^2`; the share of them above
a bound b is :math:`\Phi(z)` with :math:`z = (\mu - b)/\tau` (Mathur and VanderWeele 2019,
doi:10.1002/sim.8057). Intervals: "delta" carries the joint covariance of mu and tau over to z,
where their article carries it over to the share itself; on that scale the interval misses too
often where the share is small (`tests` simulate both). "profile" contains the shares of all pairs
(mu, tau2) whose likelihood is high enough (`helpers.models.pooled_intervals`), and is defined at
tau2 = 0 as well, where the share is 0 or 1.

It is not the predictive distribution: mu and tau are unknown, and say so by the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import Array, level_of, one_of
from ..engine.distributions import norm_cdf
from ..engine.normal.intervals import Interval, quantile
from ..engine.shown import Shown
from ..errors import UnsupportedError
from .pooled_intervals import covariance_of_mu_and_tau, extremes_in_region, quantile_df

if TYPE_CHECKING:
    from .result import PoolResult

Side = Literal["above", "below"]

#: Where beyond a bound is.
SIDES: tuple[str, ...] = ("above", "below")
#: Interval methods of the probability.
METHODS: tuple[str, ...] = ("delta", "profile")


@dataclass(frozen=True, slots=True, repr=False)
class ProbabilityBeyond(Shown):
    """Probability that the true effect of a new, similar study lies beyond a bound."""

    estimate: float  # at the estimates of mu and tau2
    ci: Interval  # NaN where "delta" meets a tau2 of 0, at which it has no slope
    bound: float  # display scale
    side: Side
    ci_method: str
    level: float


def share_beyond(mu: ArrayLike, tau2: ArrayLike, bound: float, side: Side = "above") -> Array:
    """Share of normal effects beyond `bound` (model scale); 0, 1/2 or 1 where tau2 is 0."""
    sign = 1.0 if side == "above" else -1.0
    distance, tau = sign * (np.asarray(mu) - bound), np.sqrt(np.asarray(tau2, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(tau > 0.0, distance / tau, np.inf * np.sign(distance))
    return norm_cdf(np.where(np.isnan(z), 0.0, z))


def _delta_limits(fit: PoolResult, bound: float, side: Side, level: float) -> Interval:
    """Limits of the share, symmetric in its normal deviate; tau2 without a `tau2_se` is known."""
    if not np.isfinite(bound):
        share = float(share_beyond(fit.mu, fit.tau2, bound, side))
        return Interval(share, share)
    if fit.tau2 == 0.0:
        return Interval(float("nan"), float("nan"))
    sign, tau = 1.0 if side == "above" else -1.0, fit.tau2**0.5
    tau_se = fit.tau2_se / (2.0 * tau) if np.isfinite(fit.tau2_se) else 0.0
    z = sign * (fit.mu - bound) / tau
    spread = fit.se**2 + (z * tau_se) ** 2 - 2.0 * sign * z * covariance_of_mu_and_tau(fit)
    half = float(quantile(level, quantile_df(fit))) * float(np.sqrt(max(spread, 0.0))) / tau
    return Interval(float(norm_cdf(z - half)), float(norm_cdf(z + half)))


def probability_beyond(
    fit: PoolResult,
    bound: float,
    side: Side = "above",
    method: str | None = None,
    level: float | None = None,
) -> ProbabilityBeyond:
    """Probability that the true effect of a new study lies beyond a bound.

    `bound` is on the display scale. `method` is "profile" (default for the GLMM; also for ML) or
    "delta", with the quantile of `ci_method`: normal, or t with k - 1 degrees of freedom.

    >>> from helpers import pool
    >>> fit = pool(events=[3, 0, 8, 12, 2, 7, 1, 9], n=[40, 25, 60, 55, 48, 60, 40, 50])
    >>> found = probability_beyond(fit, 0.20)
    >>> print(f"{found.estimate:.2f} ({found.ci.lower:.2f} to {found.ci.upper:.2f})")
    0.07 (0.00 to 0.36)
    """
    one_of("side", side, SIDES)
    if fit.model == "common":
        raise UnsupportedError("a common effect leaves nothing to predict: every study has it")
    fit.require_finite("the probability of a new study")
    if fit.k < 2:
        raise UnsupportedError("the probability of a new study needs at least 2 studies")
    chosen = method or ("profile" if fit.model == "glmm" else "delta")
    one_of("method", chosen, METHODS)
    level = level_of(fit.level if level is None else level)
    at = float(fit.scale.from_display(bound, fit.back_size))
    value = float(share_beyond(fit.mu, fit.tau2, at, side))
    if chosen == "delta":
        limits = _delta_limits(fit, at, side, level)
        return ProbabilityBeyond(value, limits, bound, side, chosen, level)

    def above(mu: Array, tau2: Array) -> Array:
        return share_beyond(mu, tau2, at)

    limits = extremes_in_region(fit, "the probability of a new study", above, level)
    if side == "below":
        limits = Interval(1.0 - limits.upper, 1.0 - limits.lower)
    return ProbabilityBeyond(value, limits, bound, side, chosen, level)
