"""Intervals of many inverse-variance fits at once: the methods of `helpers.pool`, in batches.

Every function takes an `InverseVarianceFit` of R replicates and returns two arrays of shape
(R,), lower and upper limits on the model scale; row by row they are what `PoolResult.conf_int`
and `PoolResult.tau2_ci` give for one fit (a test compares them). The multiverse and the
simulation need thousands of them.

==========================  =====================================  =================================
function                    method                                 source
==========================  =====================================  =================================
``mu_limits``               Wald, t, Knapp-Hartung and variants    doi:10.1002/sim.1482
``profile_mu_limits``       profile likelihood (ML)                Hardy and Thompson 1996
``henmi_copas_limits``      around the common-effect estimate      doi:10.1002/sim.4029
``q_profile_limits``        generalised Q inverted                 doi:10.1002/sim.2514
``generalised_q_limits``    Q with fixed weights inverted          doi:10.1002/jrsm.1081
``profile_tau2_limits``     profile likelihood (ML, REML)          doi:10.1002/jrsm.1164
==========================  =====================================  =================================

Hardy and Thompson 1996:
doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...errors import UnsupportedError
from ..distributions import chi2_isf, chi2_ppf, gamma_cdf, norm_pdf, norm_ppf, t_ppf
from ..quadratic import generalised_q_sf
from ..roots import bracketed_root, expand
from .intervals import KNAPP_HARTUNG, knapp_hartung_se, wald_is_wider
from .inverse_variance import InverseVarianceFit
from .likelihood import likelihood_maximum, log_likelihood, upper_bound
from .tau2 import estimate_tau2, solve_generalised_q
from .weighted import Batch, moments, prepare

Array = NDArray[np.float64]
Limits = tuple[Array, Array]

__all__ = [
    "generalised_q_limits",
    "henmi_copas_limits",
    "mu_limits",
    "profile_mu_limits",
    "profile_tau2_limits",
    "q_profile_limits",
    "symmetric_limits",
]

_CELLS = 2_000_000  # numbers held at once


def symmetric_limits(mu: Array, se: Array, level: float, df: Array | None = None) -> Limits:
    """Limits mu +- q se with a normal quantile, or t quantiles if `df` is given.

    Examples
    --------
    >>> low, high = symmetric_limits(np.zeros(1), np.ones(1), 0.95)
    >>> round(float(high[0]), 3)
    1.96
    """
    upper = 0.5 + 0.5 * level
    half = (norm_ppf(upper) if df is None else t_ppf(upper, df)) * se
    return mu - half, mu + half


def mu_limits(fit: InverseVarianceFit, method: str, level: float) -> Limits:
    """Wald, t and Knapp-Hartung intervals for the pooled effect (at least two studies each).

    Raises
    ------
    UnsupportedError
        Another method.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    >>> low, high = mu_limits(fit, "knapp-hartung", 0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (-1.484, 3.484)
    """
    if method == "wald":
        return symmetric_limits(fit.mu, fit.se, level)
    if method == "t":
        return symmetric_limits(fit.mu, fit.se, level, fit.df)
    if method not in KNAPP_HARTUNG:
        raise UnsupportedError(f"method={method!r}: expected wald, t or a Knapp-Hartung method")
    se = knapp_hartung_se(fit, method, level)
    low, high = symmetric_limits(fit.mu, se, level, fit.df)
    if method == "knapp-hartung-wider":
        wald = wald_is_wider(fit, level)
        z_low, z_high = symmetric_limits(fit.mu, fit.se, level)
        low, high = np.where(wald, z_low, low), np.where(wald, z_high, high)
    return low, high


def _by_chunks(rows: int, width: int, part: Callable[[slice], Limits]) -> Limits:
    """Apply `part` to slices of the replicates that hold a bounded number of cells."""
    size = max(1, _CELLS // max(width, 1))
    if rows == 0:
        return np.zeros(0), np.zeros(0)
    found = [part(slice(i, i + size)) for i in range(0, rows, size)]
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def profile_mu_limits(
    fit: InverseVarianceFit, level: float, *, grid_points: int = 64, rtol: float = 1e-12
) -> Limits:
    """Profile-likelihood intervals for the pooled effect of maximum-likelihood fits.

    Parameters
    ----------
    grid_points : int
        Points of the likelihood scan at each value of mu.
    rtol : float
        Precision of the limits, relative to them and to the standard error.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1], method="ML")
    >>> low, high = profile_mu_limits(fit, 0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (-0.316, 2.316)
    """
    drop = 0.5 * float(chi2_isf(1.0 - level, 1.0))
    width = 2 * fit.batch.yi.shape[1] * grid_points

    def part(rows: slice) -> Limits:
        batch = fit.batch.rows(rows)
        mu, se = np.tile(fit.mu[rows], 2), np.tile(fit.se[rows], 2)
        r = batch.k.size
        side = np.repeat([-1.0, 1.0], r)
        yi, vi = np.tile(batch.yi, (2, 1)), np.tile(batch.vi, (2, 1))
        counts = np.tile(batch.counts, (2, 1))
        threshold = np.tile(fit.loglik[rows] - drop, 2)
        none = np.zeros((batch.yi.shape[1], 0))

        def above(steps: Array) -> Array:  # the limit is mu + side * steps * se
            shifted = prepare(yi - (mu + side * steps * se)[:, None], vi, counts, none)
            best = likelihood_maximum(shifted, restricted=False)
            height = log_likelihood(shifted, moments(shifted, best.tau2), restricted=False)
            return height - threshold

        inside, outside = expand(above, np.zeros(2 * r), np.full(2 * r, 1.5), factor=1.5)
        steps = bracketed_root(above, inside, outside, rtol=rtol, atol=rtol)
        limits = mu + side * steps * se
        return limits[:r], limits[r:]

    return _by_chunks(fit.mu.size, width, part)


def henmi_copas_limits(
    batch: Batch, level: float, *, nodes: int = 120, rtol: float = 1e-12
) -> Limits:
    """Henmi-Copas intervals around the common-effect estimates.

    The joint distribution of the estimate and Q is that of
    `helpers.engine.normal.intervals.henmi_copas_interval`; its traces are written as sums over
    studies, so that no k-by-k matrix is formed.

    Parameters
    ----------
    nodes : int
        Points of the Gauss-Legendre rule for the tail probability.
    rtol : float
        Relative precision of the quantile.

    Examples
    --------
    >>> from helpers.engine.normal.weighted import prepare
    >>> low, high = henmi_copas_limits(prepare([0.0, 1.0, 2.0], [0.1, 0.1, 0.1]), 0.95)
    >>> round(float(low[0]), 2), round(float(high[0]), 2)
    (-1.06, 3.06)
    """
    x, x_weights = np.polynomial.legendre.leggauss(nodes)

    def part(rows: slice) -> Limits:
        return _henmi_copas(batch.rows(rows), level, x, x_weights, rtol)

    return _by_chunks(batch.k.size, max(nodes, batch.yi.shape[1]), part)


def _henmi_copas(batch: Batch, level: float, x: Array, x_weights: Array, rtol: float) -> Limits:
    w = batch.counts / batch.vi
    w1, w2 = w.sum(axis=1), (w**2).sum(axis=1)
    centre = (w * batch.yi).sum(axis=1) / w1
    tau2 = estimate_tau2(batch, "DL").tau2
    f = 1.0 + tau2 * w2 / w1
    sd = np.sqrt(f)
    total = batch.vi + tau2[:, None]
    s = w * total / np.sqrt(w1)[:, None] / f[:, None]
    g = w * s - w * ((w * s).sum(axis=1) / w1)[:, None]
    sas, gdg = (s * g).sum(axis=1), (total * g**2).sum(axis=1)
    trace = (w * total).sum(axis=1) - (w**2 * total).sum(axis=1) / w1
    squared = (
        (w**2 * total**2).sum(axis=1)
        - 2.0 * (w**3 * total**2).sum(axis=1) / w1
        + ((w**2 * total).sum(axis=1) / w1) ** 2
    )
    mean0, mean2 = trace - f * sas, sas
    var0, var2 = 2.0 * (squared - 2.0 * f * gdg + (f * sas) ** 2), 4.0 * (gdg - f * sas**2)
    ratio, df = w1**2 / w2 - 1.0, batch.k - 1.0
    # equal variances: Q does not depend on the estimate, and these are rounding residue
    mean2, var2 = (np.where(np.abs(a) < 1e-13 * np.abs(b), 0.0, a) for a, b in (
        (mean2, mean0), (var2, var0)))  # fmt: skip

    def tail(t: Array) -> Array:
        top = t + 9.0 * sd
        r = 0.5 * (top - t)[:, None] * (x + 1.0) + t[:, None]
        limit = df[:, None] + ratio[:, None] * ((r / t[:, None]) ** 2 - 1.0)
        mean = mean0[:, None] + mean2[:, None] * r**2
        var = var0[:, None] + var2[:, None] * r**2
        z = r / sd[:, None]
        p = gamma_cdf(limit, mean**2 / var, var / mean) * norm_pdf(z) / sd[:, None]
        return (top - t) * (p @ x_weights)

    one = np.ones(w1.size)
    several = batch.k > 1
    high = one.copy()
    for _ in range(60):
        short = several & (tail(high) > 1.0 - level)
        if not short.any():
            break
        high = np.where(short, 1.5 * high, high)

    def excess(t: Array) -> Array:  # a single study has a normal quantile, not this one
        return np.where(several, tail(t) - (1.0 - level), 1.0 - t)

    t0 = bracketed_root(excess, high * 1e-3, np.where(several, high, 2.0), rtol=rtol)
    half = np.where(several, t0 * np.sqrt(f / w1), norm_ppf(0.5 + 0.5 * level) / np.sqrt(w1))
    return centre - half, centre + half


def q_profile_limits(batch: Batch, level: float) -> Limits:
    """Q-profile intervals for tau2; NaN limits where the set is empty.

    Examples
    --------
    >>> from helpers.engine.normal.weighted import prepare
    >>> low, high = q_profile_limits(prepare([0.0, 1.0, 2.0], [0.1, 0.1, 0.1]), 0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.171, 39.398)
    """
    alpha, df = 0.5 * (1.0 - level), batch.k - batch.p
    low, low_found, _ = solve_generalised_q(batch, chi2_isf(alpha, df))
    high, high_found, below = solve_generalised_q(batch, chi2_ppf(alpha, df))
    if not (low_found.all() and high_found.all()):  # pragma: no cover - Newton is monotone here
        raise UnsupportedError("a Q-profile interval did not converge")
    empty = (df > 0) & below  # even without any variance Q is too small
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def generalised_q_limits(
    batch: Batch, level: float, *, weights: str = "inverse-variance", rtol: float = 1e-12
) -> Limits:
    """Generalised-Q intervals for tau2, every study taking part in every replicate.

    Limits are NaN where the set is empty.

    Parameters
    ----------
    weights : {"inverse-variance", "inverse-se", "equal"}
        1/vi, 1/sqrt(vi) or 1.
    rtol : float
        Relative precision of the limits.

    Raises
    ------
    UnsupportedError
        A study is left out of a replicate.

    Examples
    --------
    >>> from helpers.engine.normal.weighted import prepare
    >>> low, high = generalised_q_limits(prepare([0.0, 1.0, 2.0], [0.1, 0.1, 0.1]), 0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.171, 39.398)
    """
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

    return _by_chunks(batch.k.size, 300 * k, part)


def profile_tau2_limits(
    fit: InverseVarianceFit, level: float, *, grid_points: int = 400, rtol: float = 1e-12
) -> Limits:
    """Profile-likelihood intervals for tau2 of ML or REML fits.

    Each profile is scanned outwards; if it has several humps the outermost crossings count.

    Raises
    ------
    UnsupportedError
        Fits by another estimator.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1], method="ML")
    >>> low, high = profile_tau2_limits(fit, 0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.088, 5.715)
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

    return _by_chunks(fit.mu.size, fit.batch.yi.shape[1] * grid_points, part)
