r"""Global maximum of the (restricted) likelihood over tau2, with a certificate.

Model: :math:`y_i \sim N(x_i'\beta,\; v_i + \tau^2)`; a pool is a regression on ones. With
:math:`w_i = 1/(v_i + \tau^2)` and :math:`P = W - WX(X'WX)^{-1}X'W` the score and its derivative in
:math:`\tau^2` are

.. math::

    S_{REML} = \tfrac12 (y'PPy - \operatorname{tr} P), \quad
    S_{ML} = \tfrac12 (y'PPy - \operatorname{tr} W), \quad
    S' = \tfrac12 \operatorname{tr}(PP)\ [\tfrac12 \operatorname{tr}(WW)] - y'PPPy

(Viechtbauer 2005, doi:10.3102/10769986030003261; Harville 1977,
doi:10.1080/01621459.1977.10480998). Either likelihood can have several local maxima.
`likelihood_maximum` scans the profile on a grid that covers every place where the score can be
positive, refines each maximum on it by Newton steps and returns the highest, with the scan as a
certificate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, expm1, log, log1p, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ..roots import equal_steps
from .weighted import (
    Batch,
    Moments,
    moments,
    moments_of_one,
    profile_scan,
)

_STEP = 0.18  # of log(min(vi) + tau2) from one point of the scan to the next
_POINTS = (12, 256)
_CELLS = 150_000  # numbers held at once by the scan: about the processor's cache
_LOG_2_PI = log(2.0 * pi)
_SIDE = 5  # points of the scan on either side of a maximum that are interpolated


@dataclass(frozen=True, slots=True)
class Tau2Scan:
    """Certificate that a likelihood maximum is the global one."""

    grid_points: int  # values of tau2 at which the profile was computed for each replicate
    upper: Array  # end of the grid; the score is negative beyond it, shape (R,)
    #: Shape (R,): number of local maxima seen, the boundary tau2 = 0 included.
    maxima: NDArray[np.int64]
    #: Shape (R,): log-likelihood of the maximum minus that of the next best local maximum (inf if
    #: there is none).
    gap: Array
    #: Shape (R,): log-likelihood of the maximum minus the highest on the grid; never below -1e-9.
    slack: Array


@dataclass(frozen=True, slots=True)
class Tau2Fit:
    """Between-study variances of a batch."""

    tau2: Array  # estimates, at least 0, shape (R,)
    #: Shape (R,): standard errors (ML and REML: expected information; others:
    #: `helpers.engine.normal.tau2`).
    se: Array
    converged: NDArray[np.bool_]  # always true for closed forms, shape (R,)
    #: Shape (R,): the estimate is 0 because the unconstrained one would be negative or zero.
    boundary: NDArray[np.bool_]
    scan: Tau2Scan | None = None  # certificate of the global maximum (ML and REML)
    #: Moments at the estimates, where the estimator has computed them anyway.
    final: Moments | None = field(default=None, repr=False)


def log_likelihood(batch: Batch, m: Moments, *, restricted: bool) -> Array:
    """(Restricted) log-likelihood of the normal-normal model at the moments' tau2.

    The restricted one contains the constant of the transformation to error contrasts,
    half the log determinant of X'X, as metafor's does.
    """
    k = batch.k if m.rss.ndim == 1 else batch.k[:, None]
    ll = _height(m, restricted=False) - 0.5 * _LOG_2_PI * k
    return ll + restriction(batch, m) if restricted else ll


def restriction(batch: Batch, m: Moments) -> Array:
    """Restricted minus full log-likelihood."""
    if batch.design is None:
        gram_log_det = np.log(batch.k)
    else:
        gram = np.einsum("rkp,rk,rkq->rpq", batch.design, batch.counts, batch.design)
        gram_log_det = np.linalg.slogdet(gram)[1]
    constant = gram_log_det + batch.p * _LOG_2_PI
    return 0.5 * ((constant if m.rss.ndim == 1 else constant[:, None]) - m.log_det)


def upper_bound(batch: Batch) -> Array:
    """Value of tau2 beyond which both likelihoods fall, for each replicate.

    y'PPy <= max(w)^2 RSS and tr P >= (k - p) min(w), so the scores are negative as soon as
    (max(v) + t) s2 < (min(v) + t)^2 with s2 = RSS/(k - p), hence from s2 + sqrt(s2 max(v)) on. RSS
    is at most the sum of squares around any fit, such as that which was taken away beforehand.
    """
    squares, largest = batch.ends()
    s2 = squares / np.maximum(batch.k - batch.p, 1.0)
    return np.maximum(s2 + np.sqrt(s2 * largest), 1e-6 * batch.least)


def likelihood_maximum(batch: Batch, *, restricted: bool) -> Tau2Fit:
    """Certified global maximum over tau2 >= 0 of the (restricted) profile likelihood."""
    rows, upper = len(batch), upper_bound(batch)
    least, end = batch.least, upper
    reach = np.log1p(upper / least)
    points = min(max(ceil(reach.max() / _STEP) + 1, _POINTS[0]), _POINTS[1])
    if rows > 1 and batch.shared:  # one grid for all: see `Batch.scan_sums`
        least, end = least.min(keepdims=True), end.max(keepdims=True)
        reach = np.log1p(end / least)
    grid = least[:, None] * np.expm1(reach[:, None] * equal_steps(points))
    grid[:, -1] = end
    size = 1 if rows == 1 else max(1, _CELLS // (batch.width * points))
    if rows <= size:
        height = _profile(batch, grid, restricted)
    else:
        height = np.empty((rows, points))
        for here in (slice(i, i + size) for i in range(0, rows, size)):
            some = grid if len(grid) == 1 else grid[here]
            height[here] = _profile(batch.rows(here), some, restricted)
    rising = height[:, 1:] >= height[:, :-1]
    peak = np.empty(height.shape, dtype=bool)
    peak[:, :-1], peak[:, -1] = ~rising, True
    peak[:, 1:] &= rising
    owner, at = peak.nonzero()
    part, done = batch, np.array([True])
    single = batch.single and len(owner) == 1
    root = _root_of_one(batch, grid, height, at, restricted) if single else None
    if root is None:
        part = batch if len(owner) == rows else batch.rows(owner)
        low, high, start = _brackets(height, grid, least, owner, at)
        root, done = _refine(part, low, high, start, restricted)
    final = moments(part, root)
    reached = _height(final, restricted)
    maxima, gap = np.ones(rows, dtype=np.int64), np.full(rows, np.inf)
    if len(owner) > rows:  # several maxima in some replicate: keep the best of each
        maxima = np.bincount(owner, minlength=rows)
        order = np.lexsort((reached, owner))
        last = np.cumsum(maxima) - 1
        best, second = order[last], order[np.maximum(last - 1, 0)]
        gap = np.where(maxima > 1, reached[best] - reached[second], np.inf)
        root, done, reached = root[best], done[best], reached[best]
        final = Moments(*(values[best] for values in final))
    information = 0.5 * (final.trace_pp if restricted else final.sum_w2)
    return Tau2Fit(
        root,
        1.0 / np.sqrt(np.where(information > 0, information, np.nan)),
        done,
        root == 0.0,
        Tau2Scan(points, upper, maxima, gap, reached - height.max(axis=1)),
        final,
    )


def _profile(batch: Batch, grid: Array, restricted: bool) -> Array:
    """Profile log-likelihood without its constants, shape (R, G)."""
    sum_log_w, log_det, rss = profile_scan(batch, grid)
    height = sum_log_w - rss
    if restricted:
        height -= log_det
    height *= 0.5
    return height


def _height(m: Moments, restricted: bool) -> Array:
    """Log-likelihood without its constants."""
    return 0.5 * (m.sum_log_w - m.rss - (m.log_det if restricted else 0.0))


def _score(m: Moments, restricted: bool) -> tuple[Any, Any]:
    """Twice the score and its derivative, of numbers or arrays."""
    if restricted:
        return m.y_pp_y - m.trace_p, m.trace_pp - 2.0 * m.y_ppp_y
    return m.y_pp_y - m.sum_w, m.sum_w2 - 2.0 * m.y_ppp_y


@lru_cache(maxsize=1)
def _interpolation() -> Array:
    """Heights at the points around a maximum -> coefficients of the polynomial through them."""
    places = np.arange(-_SIDE, _SIDE + 1.0)
    return np.asarray(np.linalg.inv(np.vander(places, increasing=True)), dtype=np.float64)


def _brackets(
    height: Array, grid: Array, least: Array, owner: NDArray[np.intp], at: NDArray[np.intp]
) -> tuple[Array, Array, Array]:
    """Neighbours of each maximum of the scan, and where to begin to look for it between them.

    The beginning is the vertex of the polynomial through the points around it, which are even in
    ``log(least + tau2)``; an end of the grid stays as it is.
    """
    points = grid.shape[1]
    rows = owner if len(grid) > 1 else np.zeros_like(owner)
    low, high = grid[rows, np.maximum(at - 1, 0)], grid[rows, np.minimum(at + 1, points - 1)]
    here, floor = grid[rows, at], least[rows]
    middle = np.minimum(np.maximum(at, _SIDE), points - 1 - _SIDE)
    around = height[owner[:, None], middle[:, None] + np.arange(-_SIDE, _SIDE + 1)]
    around = around - height[owner, at][:, None]
    c = _interpolation() @ around.T
    u = _vertex(list(c), (at - middle).astype(float))
    spacing = np.log1p(grid[rows, -1] / floor) / (points - 1)
    start = floor * np.expm1(spacing * (middle + u))
    inside = (at > 0) & (at < points - 1) & (start > low) & (start < high)
    return low, high, np.where(inside, start, here)


def _vertex(c: list[Any], begin: Any) -> Any:
    """Place of a maximum near `begin` of a polynomial, by Newton steps of at most one in all."""
    first = [a * power for power, a in enumerate(c)][1:]
    second = [a * power for power, a in enumerate(first)][1:]
    away = 0.0 * begin
    for _ in range(3):
        u = begin + away
        slope, bend = 0.0 * u, 0.0 * u
        for a in reversed(first):
            slope *= u
            slope += a
        for a in reversed(second):
            bend *= u
            bend += a
        away = away + slope / (abs(bend) + 1e-300)
        away = 0.5 * (abs(away + 1.0) - abs(away - 1.0))  # within -1 and 1, numbers or arrays
    return begin + away


def _root_of_one(
    batch: Batch, grid: Array, height: Array, peak: NDArray[np.intp], restricted: bool
) -> Array | None:
    """Do what `_brackets` and `_refine` do for the one maximum of one row, on plain numbers.

    None where Newton's steps leave the bracket.
    """
    at, points, least = int(peak[0]), grid.shape[1], float(batch.least[0])
    values = grid[0].tolist()
    low, t, high = values[max(at - 1, 0)], values[at], values[min(at + 1, points - 1)]
    if 0 < at < points - 1:
        middle = min(max(at, _SIDE), points - 1 - _SIDE)
        around = height[0, middle - _SIDE : middle + _SIDE + 1] - height[0, at]
        u = _vertex((_interpolation() @ around).tolist(), at - middle)
        start = least * expm1(log1p(values[-1] / least) / (points - 1) * (middle + u))
        t = start if low < start < high else t
    for _ in range(6):
        score, slope = _score(moments_of_one(batch, t), restricted)
        if t == 0.0 and score <= 0.0:
            return np.zeros(1)
        if slope >= 0.0:
            return None
        new = t - score / slope
        if not low <= new <= high:
            return None
        if abs(new - t) <= 1e-8 * (new + 1e-3 * least):
            return np.array([new])
        t = new
    return None


def _refine(
    part: Batch, low: Array, high: Array, start: Array, restricted: bool
) -> tuple[Array, NDArray[np.bool_]]:
    """Newton steps on the score inside brackets that hold a local maximum each."""
    low, high, t = low.copy(), high.copy(), start.copy()
    done = np.zeros(t.shape, dtype=bool)
    active = np.arange(t.size)
    for _ in range(100):
        now = t[active]
        score, slope = _score(moments(part, now), restricted)
        rising = score > 0
        low[active] = np.where(rising, now, low[active])
        high[active] = np.where(rising, high[active], now)
        concave = slope < 0
        newton = now - score / np.where(concave, slope, -1.0)
        lo, hi = low[active], high[active]
        inside = concave & (newton >= lo) & (newton <= hi)
        new = np.where(inside, newton, 0.5 * (lo + hi))
        at_zero = (now == 0.0) & ~rising
        scale = new + 1e-3 * part.least
        # A Newton step of 1e-8 leaves an error of its square.
        small = inside & (np.abs(new - now) <= 1e-8 * scale)
        narrow = hi - lo <= 1e-14 * scale
        finished = at_zero | small | narrow | done[active]
        t[active] = np.where(at_zero, 0.0, np.where(done[active], now, new))
        done[active] = finished
        left = np.flatnonzero(~finished)
        if not left.size:
            break
        if left.size < 0.75 * active.size:  # a copy costs as much as the rows it leaves out
            part, active = part.rows(left), active[left]
    return t, done
