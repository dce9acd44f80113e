"""Confidence intervals for the between-study variance tau2, for batches of fits.

==================  ============================================  ================================
method              what it does                                  source
==================  ============================================  ================================
``q-profile``       inverts the generalised Q statistic           doi:10.1002/sim.2514
``generalised-q``   inverts Q with fixed weights                  doi:10.1002/jrsm.1081
``profile``         profile likelihood (ML or REML)               doi:10.1002/jrsm.1164
==================  ============================================  ================================

The first two are exact if the sampling variances are known and effects are normal. Their set can be
empty: where Q is smaller than all but a share of (1 - level)/2 of tables without any heterogeneity,
no tau2 of at least zero is compatible with it. Both limits are then NaN, and `is_empty` says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array, one_of
from ...errors import UnsupportedError
from ..distributions import chi2_isf, chi2_ppf
from ..quadratic import generalised_q_sf
from ..roots import bracketed_root, expand
from .intervals import Interval, Limits, by_chunks
from .inverse_variance import InverseVarianceFit
from .likelihood import log_likelihood, upper_bound
from .tau2 import solve_generalised_q
from .weighted import Batch, moments

#: Interval methods for tau2, by model.
TAU2_CI_METHODS: dict[str, tuple[str, ...]] = {
    "common": (),
    "random": ("q-profile", "generalised-q", "profile"),
    "glmm": ("profile",),
}
#: Weights of the generalised Q statistic.
GENERALISED_Q_WEIGHTS: tuple[str, ...] = ("inverse-variance", "inverse-se", "equal")


def q_profile_limits(batch: Batch, level: float) -> Limits:
    """Values of tau2 at which the generalised Q is an ordinary chi-squared value.

    Viechtbauer (2007), doi:10.1002/sim.2514. NaN limits where the set is empty.
    """
    alpha, df = 0.5 * (1.0 - level), batch.k - batch.p
    low, _, _ = solve_generalised_q(batch, chi2_isf(alpha, df))
    high, _, below = solve_generalised_q(batch, chi2_ppf(alpha, df))
    empty = (df > 0) & below  # even without any variance Q is too small
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def q_is_too_small(fit: InverseVarianceFit, level: float) -> bool:
    """Whether no tau2 is compatible with the Q of a batch of one: the Q-profile set is empty."""
    df, q = float(fit.df[0]), float(fit.Q[0])
    # a quantile below one half lies below the mean
    return df > 0 and q < df and q < float(chi2_ppf(0.5 * (1.0 - level), df))


def is_empty(interval: Interval) -> bool:
    """Whether a set of values of tau2 is empty."""
    return bool(np.isnan(interval[0]) and np.isnan(interval[1]))


def generalised_q_tail(yi: Array, vi: Array, weights: Array, tau2: Array) -> Array:
    """Probability of a generalised Q at least as large as observed, for each tau2."""
    mean = weights @ yi / weights.sum()
    q = float(weights @ (yi - mean) ** 2)
    return generalised_q_sf(vi, weights, tau2, q)


def generalised_q_limits(
    batch: Batch, level: float, *, weights: str = "inverse-variance", rtol: float = 1e-12
) -> Limits:
    """Generalised-Q intervals for tau2, all studies in every replicate; NaN where empty.

    `weights`: 1/vi (Biggerstaff and Jackson 2008, doi:10.1002/sim.3428), 1/sqrt(vi) (proposed by
    Jackson 2013, doi:10.1002/jrsm.1081) or 1.
    """
    one_of("weights", weights, GENERALISED_Q_WEIGHTS)
    if not (batch.counts == 1).all():
        raise UnsupportedError("generalised_q_limits needs every study in every replicate")
    power = {"inverse-variance": -1.0, "inverse-se": -0.5, "equal": 0.0}[weights]
    alpha, k = 0.5 * (1.0 - level), batch.yi.shape[1]

    def part(rows: slice) -> Limits:
        y, v = batch.yi[rows], batch.vi[rows]
        a = v**power
        share = a / a.sum(axis=1, keepdims=True)
        q = (a * (y - (share * y).sum(axis=1, keepdims=True)) ** 2).sum(axis=1)

        def tail(tau2: Array) -> Array:
            return generalised_q_sf(v, a, tau2, q)

        scale = np.maximum(v.min(axis=1), 1e-3 * y.var(axis=1))
        at_zero = tail(np.zeros(len(y)))
        ends = []
        for target in (alpha, 1.0 - alpha):
            positive = at_zero < target

            def short(
                steps: Array, target: float = target, positive: NDArray[np.bool_] = positive
            ) -> Array:
                return np.where(positive, target - tail(steps * scale), 0.5 - steps)

            zero = np.zeros(len(y))
            inside, outside = expand(short, zero, np.ones(len(y)))
            steps = bracketed_root(short, inside, outside, rtol=rtol)
            ends.append(np.where(positive, steps * scale, 0.0))
        empty = at_zero >= 1.0 - alpha
        return np.where(empty, np.nan, ends[0]), np.where(empty, np.nan, ends[1])

    return by_chunks(batch.k.size, 300 * k, part)


def profile_tau2_limits(
    fit: InverseVarianceFit, level: float, *, grid_points: int = 400, rtol: float = 1e-12
) -> Limits:
    """Profile-likelihood intervals for tau2 of ML or REML fits.

    Each profile is scanned outwards; if it has several humps the outermost crossings count.
    """
    if fit.method not in ("ML", "REML"):
        raise UnsupportedError(f"a profile interval for tau2 needs ML or REML, not {fit.method!r}")
    restricted = fit.method == "REML"
    best = fit.loglik_restricted if restricted else fit.loglik
    threshold = best - 0.5 * float(chi2_isf(1.0 - level, 1.0))

    def part(rows: slice) -> Limits:
        batch, floor, estimate = fit.batch.rows(rows), threshold[rows], fit.tau2.tau2[rows]

        def above(tau2: Array) -> Array:
            height = log_likelihood(batch, moments(batch, tau2), restricted=restricted)
            return height - (floor if tau2.ndim == 1 else floor[:, None])

        end = np.maximum(upper_bound(batch), 2.0 * estimate)
        least = np.where(batch.counts > 0, batch.vi, np.inf).min(axis=1)
        steps = np.linspace(0.0, 1.0, grid_points)
        grid = least[:, None] * np.expm1(np.log1p(end / least)[:, None] * steps)
        grid = np.sort(np.column_stack([grid, estimate]), axis=1)
        over = above(grid) >= 0
        row = np.arange(len(grid))
        first = np.argmax(over, axis=1)
        last = grid.shape[1] - 1 - np.argmax(over[:, ::-1], axis=1)
        inner = np.where(first > 0, grid[row, first], 1.0)
        outer = np.where(first > 0, grid[row, np.maximum(first - 1, 0)], 0.0)
        crossing = first > 0

        def rising(t: Array) -> Array:
            return np.where(crossing, above(np.where(crossing, t, 0.0)), t - 0.5)

        low = np.where(crossing, bracketed_root(rising, outer, inner, rtol=rtol), 0.0)
        start = grid[row, last]
        after = grid[row, np.minimum(last + 1, grid.shape[1] - 1)]
        step = np.where(after > start, after - start, end)
        inside, outside = expand(above, start, step)
        return low, bracketed_root(above, inside, outside, rtol=rtol)

    return by_chunks(fit.mu.size, fit.batch.yi.shape[1] * grid_points, part)
