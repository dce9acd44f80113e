"""Global maximum of the (restricted) likelihood over tau2, with a certificate.

ML and REML likelihoods can have several local maxima. `likelihood_maximum` scans the profile on
a grid that covers every possible stationary point, refines each maximum found and returns the
highest, with the scan as a certificate. Formulas: Viechtbauer (2005),
doi:10.3102/10769986030003261.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, log, pi

import numpy as np
from numpy.typing import NDArray

from .weighted import Batch, Moments, moments, moments_of_one

Array = NDArray[np.float64]

__all__ = [
    "STEP",
    "Tau2Fit",
    "Tau2Scan",
    "likelihood_maximum",
    "log_likelihood",
    "restriction",
    "smallest_variance",
    "upper_bound",
]

#: Factor by which tau2 + min(vi) grows from one point of the profile scan to the next.
STEP = 1.2
_POINTS = (16, 256)
_MAX_CELLS = 100_000
_LOG_2_PI = log(2.0 * pi)


@dataclass(frozen=True, slots=True)
class Tau2Scan:
    """Certificate that a likelihood maximum is the global one.

    Attributes
    ----------
    grid_points : int
        Values of tau2 at which the profile was computed for each replicate.
    upper : ndarray, shape (R,)
        End of the grid; the score is negative beyond it.
    maxima : ndarray, shape (R,)
        Number of local maxima seen, the boundary tau2 = 0 included.
    gap : ndarray, shape (R,)
        Log-likelihood of the maximum minus that of the next best local maximum (inf if there
        is none).
    slack : ndarray, shape (R,)
        Log-likelihood of the maximum minus the highest on the grid; never below -1e-9.
    """

    grid_points: int
    upper: Array
    maxima: NDArray[np.int64]
    gap: Array
    slack: Array


@dataclass(frozen=True, slots=True)
class Tau2Fit:
    """Between-study variances of a batch.

    Attributes
    ----------
    tau2 : ndarray, shape (R,)
        Estimates, at least 0.
    se : ndarray, shape (R,)
        Standard errors (ML and REML: expected information; others:
        `helpers.engine.normal.tau2_se`).
    converged : ndarray of bool, shape (R,)
        Always true for closed forms.
    boundary : ndarray of bool, shape (R,)
        The estimate is 0 because the unconstrained one would be negative or zero.
    scan : Tau2Scan or None
        Certificate of the global maximum (ML and REML).
    final : Moments or None
        Moments at the estimates, where the estimator has computed them anyway.
    start : tuple of ndarray or None
        Likewise y'Py and tr(P) at tau2 = 0, each of shape (R,).
    """

    tau2: Array
    se: Array
    converged: NDArray[np.bool_]
    boundary: NDArray[np.bool_]
    scan: Tau2Scan | None = None
    final: Moments | None = field(default=None, repr=False)
    start: tuple[Array, Array] | None = field(default=None, repr=False)


def log_likelihood(batch: Batch, m: Moments, *, restricted: bool) -> Array:
    """(Restricted) log-likelihood of the normal-normal model at the moments' tau2.

    The restricted one contains the constant of the transformation to error contrasts,
    half the log determinant of X'X, as metafor's does.
    """
    k = batch.k if m.rss.ndim == 1 else batch.k[:, None]
    ll = 0.5 * (m.sum_log_w - m.rss - _LOG_2_PI * k)
    return ll + restriction(batch, m) if restricted else ll


def restriction(batch: Batch, m: Moments) -> Array:
    """Restricted minus full log-likelihood.

    Examples
    --------
    >>> from helpers.engine.normal.weighted import prepare
    >>> batch = prepare([0.0, 1.0], [1.0, 1.0])
    >>> float(restriction(batch, moments(batch, np.zeros(1)))[0])  # half of log(2 pi)
    0.9189385332046727
    """
    if batch.p == 0:
        return np.zeros_like(m.log_det)
    if batch.design is None:
        gram_log_det = np.log(batch.k)
    else:
        gram = np.einsum("rkp,rk,rkq->rpq", batch.design, batch.counts, batch.design)
        gram_log_det = np.linalg.slogdet(gram)[1]
    constant = gram_log_det + batch.p * _LOG_2_PI
    return 0.5 * ((constant if m.rss.ndim == 1 else constant[:, None]) - m.log_det)


def _score(m: Moments, *, restricted: bool) -> Array:
    return 0.5 * (m.y_pp_y - (m.trace_p if restricted else m.sum_w))


def _balance(m: Moments, *, restricted: bool) -> Array:
    """Score relative to its parts, between -1 and 1: far nearer to a straight line in log tau2."""
    down = m.trace_p if restricted else m.sum_w
    return (m.y_pp_y - down) / (m.y_pp_y + down)


def _curvature(m: Moments, *, restricted: bool) -> Array:
    return 0.5 * (m.trace_pp if restricted else m.sum_w2) - m.y_ppp_y


def upper_bound(batch: Batch) -> Array:
    """Value of tau2 beyond which both likelihoods fall, for each replicate.

    Around a weighted mean the residual sum of squares is the sum over pairs of
    w_i w_j (y_i - y_j)^2 / sum(w), at most half the squared range times tr(P); so both scores are
    negative once tau2 exceeds half the squared range. Without a coefficient the largest squared
    effect takes its place. With a design, (p + 1) times the largest squared effect bounds the
    stationary points once tau2 also dwarfs every sampling variance.
    """
    used = batch.counts > 0
    least = 1e-3 * smallest_variance(batch)
    if batch.design is None:
        low = np.where(used, batch.yi, np.inf).min(axis=1)
        spread = np.where(used, batch.yi, -np.inf).max(axis=1) - low
        return np.maximum(0.5 * spread**2, least)
    square = (batch.yi**2).max(axis=1)
    if batch.p == 0:
        return np.maximum(square, least)
    largest = np.where(used, batch.vi, 0.0).max(axis=1)
    return np.maximum((batch.p + 1) * square, 10.0 * batch.p * largest)


def smallest_variance(batch: Batch) -> Array:
    """Give the smallest sampling variance of each replicate."""
    return batch.least


@lru_cache(maxsize=64)
def _steps(points: int) -> Array:
    """Equal steps from 0 to 1."""
    steps = np.linspace(0.0, 1.0, points)
    steps.flags.writeable = False
    return steps


def _grid(batch: Batch, upper: Array, points: int) -> Array:
    """Values from 0 to `upper` at which tau2 + min(vi) grows by a constant factor."""
    least = smallest_variance(batch)
    grid = least[:, None] * np.expm1(np.log1p(upper / least)[:, None] * _steps(points))
    grid[:, -1] = upper
    return grid


def _points(batch: Batch, upper: Array) -> int:
    """Points that keep the factor between neighbours at `STEP` or below in every replicate."""
    reach = float(np.log1p(upper / smallest_variance(batch)).max())
    return min(max(ceil(reach / log(STEP)) + 1, _POINTS[0]), _POINTS[1])


def likelihood_maximum(
    batch: Batch, *, restricted: bool, grid_points: int | None = None
) -> Tau2Fit:
    """Global maximum over tau2 >= 0 of the (restricted) profile likelihood.

    Parameters
    ----------
    batch : Batch
        R replicates.
    restricted : bool
        REML (true) or ML.
    grid_points : int, optional
        Points of the scan; default: as many as `STEP` asks for.

    Returns
    -------
    Tau2Fit
        With the `Tau2Scan` certificate.
    """
    upper = upper_bound(batch)
    grid_points = grid_points or _points(batch, upper)
    size = max(1, _MAX_CELLS // (batch.yi.shape[1] * grid_points))
    if len(batch.yi) <= size:
        return _maximum(batch, upper, restricted, grid_points)
    parts = [
        _maximum(batch.rows(slice(i, i + size)), upper[i : i + size], restricted, grid_points)
        for i in range(0, batch.yi.shape[0], size)
    ]
    scans = [part.scan for part in parts if part.scan is not None]
    return Tau2Fit(
        np.concatenate([q.tau2 for q in parts]),
        np.concatenate([q.se for q in parts]),
        np.concatenate([q.converged for q in parts]),
        np.concatenate([q.boundary for q in parts]),
        Tau2Scan(
            grid_points,
            np.concatenate([s.upper for s in scans]),
            np.concatenate([s.maxima for s in scans]),
            np.concatenate([s.gap for s in scans]),
            np.concatenate([s.slack for s in scans]),
        ),
    )


def _maximum(batch: Batch, upper: Array, restricted: bool, grid_points: int) -> Tau2Fit:
    replicates = batch.yi.shape[0]
    grid = _grid(batch, upper, grid_points)
    scan = moments(batch, grid, curvature=False)
    ll = log_likelihood(batch, scan, restricted=restricted)
    balance = _balance(scan, restricted=restricted)
    up = balance > 0
    at_zero = np.flatnonzero(~up[:, 0])
    owner, cell = np.nonzero(up[:, :-1] & ~up[:, 1:])
    if replicates == owner.size == 1 and batch.design is None:
        root, fine = _single_root(batch, grid[0], balance[0], int(cell[0]), restricted)
    else:
        root, fine = _refine(
            batch if replicates == owner.size == 1 else batch.rows(owner),
            grid[owner, cell],
            grid[owner, cell + 1],
            _guess(grid, balance, owner, cell),
            restricted,
        )
    gap = np.full(replicates, np.inf)
    if at_zero.size:
        owner = np.concatenate([at_zero, owner])
        root = np.concatenate([np.zeros(at_zero.size), root])
        fine = np.concatenate([np.ones(at_zero.size, dtype=bool), fine])
        order = np.argsort(owner, kind="stable")
        owner, root, fine = owner[order], root[order], fine[order]
    maxima = np.bincount(owner, minlength=replicates)
    if owner.size > replicates:
        # Several maxima in some replicate: one row per replicate, its best candidate last.
        part = batch.rows(owner)
        heights = log_likelihood(part, moments(part, root), restricted=restricted)
        order = np.lexsort((heights, owner))
        last = np.cumsum(maxima) - 1
        heights = heights[order]
        second = heights[np.maximum(last - 1, 0)]
        gap = np.where(maxima > 1, heights[last] - second, np.inf)
        root, fine = root[order][last], fine[order][last]
    final = moments(batch, root)
    best = log_likelihood(batch, final, restricted=restricted)
    information = 0.5 * (final.trace_pp if restricted else final.sum_w2)
    return Tau2Fit(
        root,
        _inverse_root(information),
        fine,
        root == 0.0,
        Tau2Scan(grid_points, upper, maxima, gap, best - ll.max(axis=1)),
        final,
        (scan.rss[:, 0], scan.trace_p[:, 0]),
    )


def _guess(grid: Array, score: Array, rows: NDArray[np.intp], cell: NDArray[np.intp]) -> Array:
    """Where the score crosses zero: inverse interpolation in the four points around a bracket.

    The middle of the bracket where that leads out of it.
    """
    low, high = grid[rows, cell], grid[rows, cell + 1]
    middle = 0.5 * (low + high)
    points = grid.shape[1]
    if points < 4:
        return middle
    at = rows[:, None], np.minimum(np.maximum(cell - 1, 0), points - 4)[:, None] + np.arange(4)
    s, x = score[at], grid[at]
    # Divided differences need distinct scores, which a falling score has.
    falling = (s[:, :-1] > s[:, 1:]).all(axis=1)
    s = np.where(falling[:, None], s, -np.arange(4.0))
    one = (x[:, 1:] - x[:, :-1]) / (s[:, 1:] - s[:, :-1])
    two = (one[:, 1:] - one[:, :-1]) / (s[:, 2:] - s[:, :-2])
    three = (two[:, 1] - two[:, 0]) / (s[:, 3] - s[:, 0])
    t = x[:, 0] - s[:, 0] * (one[:, 0] - s[:, 1] * (two[:, 0] - s[:, 2] * three))
    return np.where(falling & (t > low) & (t < high), t, middle)


def _single_root(
    batch: Batch, grid: Array, balance: Array, cell: int, restricted: bool
) -> tuple[Array, NDArray[np.bool_]]:
    """Do what `_guess` and `_refine` do for one bracket of one row, on plain numbers.

    Returns
    -------
    root, done : ndarray, shape (1,)
    """
    low, high = float(grid[cell]), float(grid[cell + 1])
    now = 0.5 * (low + high)
    if len(grid) >= 4:
        first = min(max(cell - 1, 0), len(grid) - 4)
        a, b, c, d = balance[first : first + 4].tolist()
        t, u, v, w = grid[first : first + 4].tolist()
        if a > b > c > d:
            ab, bc, cd = (u - t) / (b - a), (v - u) / (c - b), (w - v) / (d - c)
            abc, bcd = (bc - ab) / (c - a), (cd - bc) / (d - b)
            start = t - a * (ab - b * (abc - c * (bcd - abc) / (d - a)))
            now = start if low < start < high else now
    least, before = 1e-3 * float(batch.least[0]), 0.0
    for _ in range(100):
        m = moments_of_one(batch, now)
        score = float(_score(m, restricted=restricted))
        if score == 0:
            return np.array([now]), np.array([True])
        low, high = (now, high) if score > 0 else (low, now)
        slope = float(_curvature(m, restricted=restricted))
        new = now - score / slope if slope < 0 else low
        inside = low < new < high
        if not inside:
            new = 0.5 * (low + high)
        step, scale = abs(new - now), max(new, least)
        left = 4e-15 * scale
        proven = inside and before > 0 and step * (step / before) ** 2 <= left
        if proven or step <= left or high - low <= 1e-14 * scale:
            return np.array([new]), np.array([True])
        now, before = new, step if inside else 0.0
    m = moments_of_one(batch, now)
    noise = 1e-12 * (m.y_pp_y + m.sum_w)
    return np.array([now]), np.array([bool(abs(_score(m, restricted=restricted)) <= noise)])


def _inverse_root(information: Array) -> Array:
    positive = information > 0
    return np.where(positive, 1.0 / np.sqrt(np.where(positive, information, 1.0)), np.nan)


def _refine(
    batch: Batch, low: Array, high: Array, start: Array, restricted: bool
) -> tuple[Array, NDArray[np.bool_]]:
    """Newton steps on the score inside brackets in which it changes sign from + to -.

    Two steps tell the constant of quadratic convergence, and so the error left after the second:
    a row ends when that is at rounding, without a step to confirm it.
    """
    t = start.copy()
    done = np.zeros(t.size, dtype=bool)
    if not t.size:
        return t, done
    least = 1e-3 * smallest_variance(batch)
    active = np.arange(t.size)
    part, now, before = batch, t, np.zeros(t.size)
    for _ in range(100):
        m = moments(part, now)
        score = _score(m, restricted=restricted)
        slope = _curvature(m, restricted=restricted)
        rising = score > 0
        low, high = np.where(rising, now, low), np.where(rising, high, now)
        concave = slope < 0
        new = now - score / np.where(concave, slope, -1.0)
        inside = concave & (new > low) & (new < high)
        new = np.where(inside, new, 0.5 * (low + high))
        zero = score == 0
        new = np.where(zero, now, new)
        step = np.abs(new - now)
        scale = np.maximum(new, least)
        left = 4e-15 * scale
        ratio = step / np.where(before > 0, before, 1.0)
        finished = zero | (step <= left)
        finished |= inside & (before > 0) & (step * ratio * ratio <= left)
        # A step of rounding size in an unlucky bracket can go on for ever: the bracket decides.
        finished |= high - low <= 1e-14 * scale
        before = np.where(inside, step, 0.0)
        t[active] = new
        done[active[finished]] = True
        if finished.all():
            return t, done
        stay = ~finished
        active, now, before, least = active[stay], new[stay], before[stay], least[stay]
        low, high = low[stay], high[stay]
        if not stay.all():
            part = part.rows(stay)
    # Rounding in the score sets the limit: accept what cannot be improved further.
    m = moments(part, now)
    noise = 1e-12 * (m.y_pp_y + m.sum_w)
    done[active] = np.abs(_score(m, restricted=restricted)) <= noise
    return t, done
