"""Confidence intervals for the between-study variance tau2.

==================  ============================================  ================================
method              what it does                                  source
==================  ============================================  ================================
``q-profile``       inverts the generalised Q statistic           doi:10.1002/sim.2514
``generalised-q``   inverts Q with fixed weights                  doi:10.1002/jrsm.1081
``profile``         profile likelihood (ML or REML)               doi:10.1002/jrsm.1164
==================  ============================================  ================================

The first two are exact if the sampling variances are known and effects are normal. Their set can be
empty: where Q is smaller than all but a share of (1 - level)/2 of tables without any heterogeneity,
no tau2 of at least zero is compatible with it. Both limits are then NaN, and `is_empty` tells.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...errors import UnsupportedError
from ..distributions import chi2_isf, chi2_ppf
from ..quadratic import generalised_q_sf
from ..roots import bracketed_root, expand
from .intervals import Interval
from .inverse_variance import InverseVarianceFit
from .likelihood import log_likelihood, upper_bound
from .tau2 import solve_generalised_q
from .weighted import moments

Array = NDArray[np.float64]

__all__ = [
    "EMPTY",
    "GENERALISED_Q_WEIGHTS",
    "TAU2_CI_METHODS",
    "generalised_q_interval",
    "generalised_q_tail",
    "is_empty",
    "profile_tau2_interval",
    "q_is_too_small",
    "q_profile_interval",
]

#: No value of tau2.
EMPTY = Interval(float("nan"), float("nan"))

#: Interval methods for tau2, by model.
TAU2_CI_METHODS: dict[str, tuple[str, ...]] = {
    "common": (),
    "random": ("q-profile", "generalised-q", "profile"),
    "glmm": ("profile",),
}
#: Weights of the generalised Q statistic.
GENERALISED_Q_WEIGHTS: tuple[str, ...] = ("inverse-variance", "inverse-se", "equal")


def q_profile_interval(fit: InverseVarianceFit, level: float) -> Interval:
    """Values of tau2 at which the generalised Q is an ordinary chi-squared value.

    Viechtbauer (2007), doi:10.1002/sim.2514.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    >>> [round(x, 3) for x in q_profile_interval(fit, 0.95)]
    [0.171, 39.398]
    """
    alpha = 0.5 * (1.0 - level)
    df = fit.df
    lower, ok_low, _ = solve_generalised_q(fit.batch, chi2_isf(alpha, df))
    upper, ok_high, _ = solve_generalised_q(fit.batch, chi2_ppf(alpha, df))
    if not (ok_low[0] and ok_high[0]):  # pragma: no cover - Newton's method is monotone here
        raise UnsupportedError("the Q-profile interval did not converge")
    if q_is_too_small(fit, level):
        return EMPTY
    return Interval(float(lower[0]), float(upper[0]))


def q_is_too_small(fit: InverseVarianceFit, level: float) -> bool:
    """Whether no tau2 is compatible with the Q of a batch of one: the Q-profile set is empty.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> q_is_too_small(fit_inverse_variance([0.0, 0.01, 0.02], [0.1, 0.1, 0.1]), 0.95)
    True
    """
    df = float(fit.df[0])
    return df > 0 and bool(fit.Q[0] < chi2_ppf(0.5 * (1.0 - level), df))


def is_empty(interval: Interval) -> bool:
    """Whether a set of values of tau2 is empty.

    Examples
    --------
    >>> from helpers import pool_effects
    >>> is_empty(pool_effects([0.0, 0.01, 0.02], [0.1, 0.1, 0.1]).tau2_ci())
    True
    """
    return bool(np.isnan(interval[0]) and np.isnan(interval[1]))


def generalised_q_tail(yi: Array, vi: Array, weights: Array, tau2: Array) -> Array:
    """Probability of a generalised Q at least as large as observed, for each tau2.

    Examples
    --------
    >>> import numpy as np
    >>> y, v = np.array([0.0, 1.0, 2.0]), np.full(3, 0.1)
    >>> round(float(generalised_q_tail(y, v, 1 / v, np.array([0.9]))[0]), 6)
    0.367879
    """
    mean = weights @ yi / weights.sum()
    q = float(weights @ (yi - mean) ** 2)
    return generalised_q_sf(vi, weights, tau2, q)


def generalised_q_interval(yi: Array, vi: Array, weights: str, level: float) -> Interval:
    """Invert Cochran's Q with fixed weights.

    Parameters
    ----------
    weights : {"inverse-variance", "inverse-se", "equal"}
        1/vi (Biggerstaff and Jackson 2008, doi:10.1002/sim.3428), 1/sqrt(vi) (proposed by
        Jackson 2013, doi:10.1002/jrsm.1081) or 1.

    Raises
    ------
    UnsupportedError
        Unknown weights.

    Examples
    --------
    >>> import numpy as np
    >>> y, v = np.array([0.0, 1.0, 2.0]), np.full(3, 0.1)
    >>> limits = generalised_q_interval(y, v, "equal", 0.95)
    >>> [round(x, 3) for x in limits]
    [0.171, 39.398]
    """
    if weights not in GENERALISED_Q_WEIGHTS:
        raise UnsupportedError(
            f"weights={weights!r}: expected one of {', '.join(GENERALISED_Q_WEIGHTS)}"
        )
    a = vi ** {"inverse-variance": -1.0, "inverse-se": -0.5, "equal": 0.0}[weights]
    alpha = 0.5 * (1.0 - level)

    def missing(tau2: Array, target: float) -> Array:
        return target - generalised_q_tail(yi, vi, a, tau2)

    step = max(float(vi.min()), 1e-3 * float(np.var(yi)))
    limits = []
    for target in (alpha, 1.0 - alpha):
        short = partial(missing, target=target)
        if short(np.zeros(1))[0] <= 0.0:
            if target > 0.5:
                return EMPTY
            limits.append(0.0)
            continue
        inside, outside = expand(short, [0.0], [step])
        limits.append(float(bracketed_root(short, inside, outside, rtol=1e-13)[0]))
    return Interval(*limits)


def profile_tau2_interval(fit: InverseVarianceFit, level: float, *, restricted: bool) -> Interval:
    """Values of tau2 within half a chi-squared quantile of the (restricted) maximum.

    The profile is scanned outwards; if it has several humps the outermost crossings count.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1], method="ML")
    >>> [round(x, 3) for x in profile_tau2_interval(fit, 0.95, restricted=False)]
    [0.088, 5.715]
    """
    best = float((fit.loglik_restricted if restricted else fit.loglik)[0])
    threshold = best - 0.5 * float(chi2_isf(1.0 - level, 1.0))
    batch, estimate = fit.batch, float(fit.tau2.tau2[0])

    def above(tau2: Array) -> Array:
        values = np.atleast_1d(tau2)[None, :]
        return log_likelihood(batch, moments(batch, values), restricted=restricted)[0] - threshold

    # The profile falls beyond `end`; below it a dense grid finds every crossing.
    end = max(float(upper_bound(batch)[0]), 2.0 * estimate)
    least = float(batch.vi[batch.counts > 0].min())
    grid = least * np.expm1(np.linspace(0.0, np.log1p(end / least), 400))
    grid = np.union1d(grid, [0.0, estimate])
    over = above(grid) > 0
    first, last = int(np.argmax(over)), int(over.size - 1 - np.argmax(over[::-1]))
    lower = 0.0
    if first > 0:
        lower = float(bracketed_root(above, grid[first - 1], grid[first], rtol=1e-13)[0])
    if last < over.size - 1:
        upper = float(bracketed_root(above, grid[last], grid[last + 1], rtol=1e-13)[0])
    else:
        inside, outside = expand(above, grid[-1:], grid[-1:])
        upper = float(bracketed_root(above, inside, outside, rtol=1e-13)[0])
    return Interval(lower, upper)
