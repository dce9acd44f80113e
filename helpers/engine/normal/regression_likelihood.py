r"""Global maximum of the (restricted) likelihood over tau2, for batches of regressions.

Model: :math:`y_i \sim N(x_i'\beta,\; v_i + \tau^2)`. With :math:`w_i = 1/(v_i + \tau^2)` and
:math:`P = W - WX(X'WX)^{-1}X'W` the score and its derivative in :math:`\tau^2` are

.. math::

    S_{REML} = \tfrac12 (y'PPy - \operatorname{tr} P), \quad
    S_{ML} = \tfrac12 (y'PPy - \operatorname{tr} W), \quad
    S' = \tfrac12 \operatorname{tr}(PP)\ [\tfrac12 \operatorname{tr}(WW)] - y'PPPy

(Viechtbauer 2005, doi:10.3102/10769986030003261; Harville 1977,
doi:10.1080/01621459.1977.10480998). All of it needs only weighted sums of products of the columns
of (X, y), so that a grid of tau2 values costs one matrix product for the whole batch. The grid
covers every place where the score can be positive; every local maximum on it is refined by Newton
steps inside its bracket and the highest is returned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

__all__ = [
    "Maximum",
    "Products",
    "Solved",
    "eliminate",
    "maximise",
    "products",
    "products_of_means",
    "solve_at",
    "symmetric",
]

_STEP = 0.25  # of log(min(vi) + tau2) between grid points
_POINTS = (12, 96)
_CELLS = 4_000_000  # numbers held at once by the scan


class Products(NamedTuple):
    """Weighted-sum ingredients of a batch: products of the columns of (X, y) per study.

    ``pairs`` has shape ``(R, (p + 1)(p + 2)/2, k)`` and includes the counts; ``v`` has shape
    ``(1 or R, k)`` and is positive everywhere; ``rss`` is the unweighted residual sum of squares.
    """

    pairs: Array
    v: Array
    counts: Array
    k: Array
    p: int
    least: Array
    largest: Array
    rss: Array

    def rows(self, index: NDArray[np.intp] | slice) -> Products:
        """Pick replicates."""
        return Products(
            self.pairs[index],
            self.v if len(self.v) == 1 else self.v[index],
            self.counts if len(self.counts) == 1 else self.counts[index],
            self.k[index],
            self.p,
            self.least[index],
            self.largest[index],
            self.rss[index],
        )


class Solved(NamedTuple):
    """Weighted least squares and the quantities of the score, one row per value of tau2."""

    beta: Array
    cov: Array
    rss: Array
    sum_log_w: Array
    log_det: Array
    sum_w: Array
    sum_w2: Array
    trace_p: Array
    trace_pp: Array
    y_pp_y: Array
    y_ppp_y: Array


class Maximum(NamedTuple):
    """Maxima of a batch: ``slack`` is the height above the best grid point (never negative).

    ``solved`` is the weighted least squares at ``tau2``.
    """

    tau2: Array
    converged: NDArray[np.bool_]
    maxima: NDArray[np.intp]
    slack: Array
    solved: Solved


def products(y: Array, v: Array, counts: Array, basis: Array) -> Products:
    """Prepare a batch: `y`, `v`, `counts` (1 or R, k), a well-scaled `basis` (1 or R, k, p)."""
    rows = max(len(y), len(v), len(counts), len(basis))
    k, p = basis.shape[1:]
    z = np.empty((rows, p + 1, k))
    z[:, :p] = np.swapaxes(basis, 1, 2)
    z[:, p] = y
    first, second = np.triu_indices(p + 1)
    pairs = np.empty((rows, len(first), k))
    for n, (i, j) in enumerate(zip(first, second, strict=True)):
        np.multiply(z[:, i], z[:, j], out=pairs[:, n])
    if not (counts == 1.0).all():
        pairs *= counts[:, None, :]
    used = counts > 0
    ones = np.ones((1, k, 1))
    gram = (pairs @ ones)[..., 0]
    rss = eliminate(gram, p)[1]
    whole = np.zeros(rows)
    return Products(
        pairs,
        v,
        counts,
        counts.sum(axis=1) + whole,
        p,
        np.where(used, v, np.inf).min(axis=1) + whole,
        np.where(used, v, 0.0).max(axis=1) + whole,
        np.maximum(rss, 0.0),
    )


def products_of_means(y: Array, v: Array, counts: Array) -> Products:
    """Prepare a batch in which every replicate has one mean.

    Effects are centred, so that sums of squares keep their digits.

    Parameters
    ----------
    y, v, counts : ndarray, shape (1 or R, k)
        Finite and positive where counts are; a single row of `v` makes the scan of all replicates
        one matrix product.

    Examples
    --------
    >>> data = products_of_means(np.array([[0.0, 1.0, 2.0]]), np.full((1, 3), 0.1), np.ones((1, 3)))
    >>> maximise(data, restricted=True).tau2.round(12).tolist()
    [0.9]
    """
    used = counts > 0
    centre = (counts * np.where(used, y, 0.0)).sum(axis=1) / counts.sum(axis=1)
    centred = np.where(used, y - centre[:, None], 0.0)
    return products(centred, v, counts, np.ones((1, y.shape[1], 1)))


def symmetric(flat: Array, size: int) -> Array:
    """Full symmetric matrices from their upper triangles, row by row on the last axis.

    Examples
    --------
    >>> symmetric(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    first, second = np.triu_indices(size)
    out = np.empty((*flat.shape[:-1], size, size))
    out[..., first, second] = flat
    out[..., second, first] = flat
    return out


def eliminate(sums: Array, p: int) -> tuple[Array, Array]:
    """Log determinant of X'WX and residual sum of squares, by elimination without pivoting.

    `sums` holds upper triangles of the Gram matrix of (X, y) on axis 1; all other axes ride
    along. A Gram matrix needs no pivoting.
    """
    pairs = [(i, j) for i in range(p + 1) for j in range(i, p + 1)]
    part: dict[tuple[int, int], Array] = {key: sums[:, n] for n, key in enumerate(pairs)}
    log_det = np.zeros_like(sums[:, 0])
    for j in range(p):
        pivot = np.maximum(part[j, j], 1e-300)
        log_det = log_det + np.log(pivot)
        for a in range(j + 1, p + 1):
            factor = part[j, a] / pivot
            for b in range(a, p + 1):
                part[a, b] = part[a, b] - factor * part[j, b]
    return log_det, part[p, p]


def solve_at(data: Products, tau2: Array) -> Solved:
    """Weighted least squares of every replicate at its own tau2, with score ingredients."""
    p = data.p
    w = 1.0 / (data.v + tau2[:, None])
    powers = np.stack([w, w * w, w * w * w], axis=-1)
    sums = data.pairs @ powers
    full = symmetric(np.swapaxes(sums, 1, 2), p + 1)
    gram = full[:, 0, :p, :p]
    cov = np.asarray(np.linalg.inv(gram), dtype=np.float64)
    beta = (cov @ full[:, 0, :p, p:])[..., 0]
    theta = np.concatenate([-beta, np.ones((len(beta), 1))], axis=1)
    image = full @ theta[:, None, :, None]
    squares = (theta[:, None, None, :] @ image)[..., 0, 0]
    half = cov @ full[:, 1, :p, :p]
    cross = image[:, 1, :p, 0]
    counts = data.counts
    sum_w = (counts * w).sum(axis=1)
    sum_w2 = (counts * powers[..., 1]).sum(axis=1)
    return Solved(
        beta=beta,
        cov=cov,
        rss=np.maximum(squares[:, 0], 0.0),
        sum_log_w=(counts * np.log(w)).sum(axis=1),
        log_det=np.linalg.slogdet(gram)[1],
        sum_w=sum_w,
        sum_w2=sum_w2,
        trace_p=sum_w - np.trace(half, axis1=1, axis2=2),
        trace_pp=sum_w2
        - 2.0 * np.einsum("rpq,rqp->r", cov, full[:, 2, :p, :p])
        + np.einsum("rpq,rqp->r", half, half),
        y_pp_y=squares[:, 1],
        y_ppp_y=squares[:, 2] - np.einsum("rp,rpq,rq->r", cross, cov, cross),
    )


def _upper(data: Products) -> Array:
    """Tau2 beyond which both scores are negative.

    y'PPy <= max(w)^2 RSS and tr P >= (k - p) min(w), so the score is negative as soon as
    (max(v) + t) s2 < (min(v) + t)^2 with s2 = RSS/(k - p), hence from s2 + sqrt(s2 max(v)) on.
    """
    s2 = data.rss / np.maximum(data.k - data.p, 1.0)
    return np.maximum(s2 + np.sqrt(s2 * data.largest), 1e-6 * data.least)


def maximise(data: Products, *, restricted: bool) -> Maximum:
    """Global maximum over tau2 >= 0 of every replicate.

    Parameters
    ----------
    data : Products
        From `products`.
    restricted : bool
        REML (true) or ML (false).

    Returns
    -------
    Maximum
        Arrays of shape (R,).
    """
    rows, q, k = data.pairs.shape
    upper = _upper(data)
    span = float(np.log1p(upper / data.least).max())
    points = int(np.clip(np.ceil(span / _STEP) + 1, *_POINTS))
    size = max(1, _CELLS // (q * max(k, points)))
    parts = [
        _maximise(data.rows(slice(i, i + size)), upper[i : i + size], points, restricted)
        for i in range(0, rows, size)
    ]
    if len(parts) == 1:
        return parts[0]
    together = Solved(*map(np.concatenate, zip(*(part.solved for part in parts), strict=True)))
    four = (np.concatenate([part[i] for part in parts]) for i in range(4))
    tau2, converged, maxima, slack = four
    return Maximum(tau2, converged, maxima, slack, together)


def _grid(least: Array, upper: Array, points: int) -> Array:
    steps = np.linspace(0.0, 1.0, points)
    return least[:, None] * np.expm1(np.log1p(upper / least)[:, None] * steps)


def _maximise(data: Products, upper: Array, points: int, restricted: bool) -> Maximum:
    rows, q, k = data.pairs.shape
    shared = len(data.v) == 1
    if shared:  # one grid for all replicates turns the scan into a single matrix product
        grid = _grid(data.least.min()[None], upper.max()[None], points)
        w = 1.0 / (data.v[0, :, None] + grid)
        sums = (data.pairs.reshape(rows * q, k) @ w).reshape(rows, q, points)
        sum_log_w = data.counts @ np.log(w)
    else:
        grid = _grid(data.least, upper, points)
        w = 1.0 / (data.v[:, :, None] + grid[:, None, :])
        sums = data.pairs @ w
        sum_log_w = (data.counts[:, None, :] @ np.log(w))[:, 0]
    log_det, rss = eliminate(sums, data.p)
    height = 0.5 * (sum_log_w - rss - (log_det if restricted else 0.0))
    padded = np.pad(height, ((0, 0), (1, 1)), constant_values=-np.inf)
    peak = (height >= padded[:, :-2]) & (height > padded[:, 2:])
    owner, at = np.nonzero(peak)
    grid = np.broadcast_to(grid, (rows, points))
    low = grid[owner, np.maximum(at - 1, 0)]
    high = grid[owner, np.minimum(at + 1, points - 1)]
    start = _vertex(height, grid, data.least.min() if shared else data.least[owner], owner, at)
    start = np.where((start > low) & (start < high), start, grid[owner, at])
    root, done = _refine(data, owner, low, high, start, restricted)
    part = data if len(owner) == rows else data.rows(owner)
    solved = solve_at(part, root)
    reached = 0.5 * (solved.sum_log_w - solved.rss - (solved.log_det if restricted else 0.0))
    order = np.lexsort((reached, owner))
    maxima = np.bincount(owner, minlength=rows)
    best = order[np.cumsum(maxima) - 1]
    if len(best) < len(owner):
        solved = Solved(*(values[best] for values in solved))
    return Maximum(root[best], done[best], maxima, reached[best] - height.max(axis=1), solved)


def _vertex(
    height: Array,
    grid: Array,
    least: Array,
    owner: NDArray[np.intp],
    at: NDArray[np.intp],
) -> Array:
    """Place of a maximum of the scan, by the polynomial through the seven points around it.

    The grid is even in ``log(least + tau2)``. What comes out is where Newton's method begins;
    ends of the grid stay as they are.
    """
    points = grid.shape[1]
    middle = np.clip(at, 3, points - 4)
    around = height[owner[:, None], middle[:, None] + np.arange(-3, 4)]
    c = np.linalg.solve(np.vander(np.arange(-3.0, 4.0), increasing=True), around.T)
    powers = np.arange(7.0)[:, None]
    first = (c * powers)[1:]
    second = (first * powers[:-1])[1:]
    begin = (at - middle).astype(float)
    u = begin
    for _ in range(3):
        slope, bend = np.zeros(u.shape), np.zeros(u.shape)
        for a in first[::-1]:
            slope = slope * u + a
        for b in second[::-1]:
            bend = bend * u + b
        step = -slope / np.where(bend < 0, bend, -np.inf)
        u = np.clip(u + step, begin - 1.0, begin + 1.0)
    inner = (at > 0) & (at < points - 1)
    spacing = np.log1p(grid[owner, 1] / least)
    return np.where(inner, least * np.expm1(spacing * (middle + u)), grid[owner, at])


def _refine(
    data: Products,
    owner: NDArray[np.intp],
    low: Array,
    high: Array,
    start: Array,
    restricted: bool,
) -> tuple[Array, NDArray[np.bool_]]:
    """Newton steps on the score inside brackets that hold a local maximum each."""
    low, high, t = low.copy(), high.copy(), start.copy()
    done = np.zeros(t.shape, dtype=bool)
    active = np.arange(t.size)
    whole = t.size == len(data.pairs) and np.array_equal(owner, active)
    part = data if whole else data.rows(owner)
    for _ in range(100):
        now = t[active]
        s = solve_at(part, now)
        score = s.y_pp_y - (s.trace_p if restricted else s.sum_w)
        slope = (s.trace_pp if restricted else s.sum_w2) - 2.0 * s.y_ppp_y
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
