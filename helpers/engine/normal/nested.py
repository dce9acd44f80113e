r"""Likelihood of the three-level model and its global maximum (numpy alone).

Cohort i of cluster j: :math:`y_{ij} = x_{ij}'\beta + a_j + u_{ij} + e_{ij}` with
:math:`a_j \sim N(0, \sigma^2_b)`, :math:`u_{ij} \sim N(0, \sigma^2_w)`,
:math:`e_{ij} \sim N(0, v_{ij})` (Konstantopoulos 2011, doi:10.1002/jrsm.35). The covariance is
block diagonal; its inverse and determinant follow from sums within clusters (the matrix
determinant and inversion lemmas), so a grid of variance pairs is cheap. Every local maximum of
the grid is refined by Newton's method on the exact gradient and Hessian

.. math::

    \partial_a \ell = \tfrac12 (y'PV_aPy - \operatorname{tr} PV_a), \quad
    \partial_{ab} \ell = \tfrac12 \operatorname{tr}(PV_aPV_b) - y'PV_aPV_bPy

(Harville 1977, doi:10.1080/01621459.1977.10480998; ML has :math:`\Sigma^{-1}` in the traces)
inside the quadrant of non-negative variances.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from .weighted import eliminate

_POINTS = 40
_CELLS = 200_000  # rows x pairs of variances held at once


class Nested(NamedTuple):
    """Rows sorted by cluster; ``X`` is orthonormal, ``starts`` marks where clusters begin."""

    y: Array
    v: Array
    X: Array
    codes: NDArray[np.intp]  # number of the cluster, from 0 without gaps
    starts: NDArray[np.intp]

    def sums(self, a: Array) -> Array:
        """Sum the rows of each cluster."""
        return np.add.reduceat(a, self.starts, axis=0)


class NestedMaximum(NamedTuple):
    """The highest local maximum: variances (between, within), log-likelihoods, diagnosis."""

    variances: Array
    value: float  # relative log-likelihood, comparable at fixed data
    converged: bool
    maxima: int


class NestedSolution(NamedTuple):
    """Generalised least squares at one pair of variances, with derivatives."""

    beta: Array
    cov: Array
    value: float
    gradient: Array
    hessian: Array
    expected: Array
    rss: float
    log_det_sigma: float
    log_det_gram: float


def prepare_nested(y: Array, v: Array, X: Array, codes: NDArray[np.intp]) -> Nested:
    """Sort rows by cluster code (0, 1, ...)."""
    order = np.argsort(codes, kind="stable")
    c = codes[order]
    first = np.r_[True, c[1:] != c[:-1]]
    return Nested(y[order], v[order], X[order], np.cumsum(first) - 1, np.flatnonzero(first))


class NestedFit(NamedTuple):
    """A three-level fit in the columns of the user's design."""

    beta: Array
    cov: Array
    best: NestedMaximum
    at: NestedSolution  # in the orthonormal columns of ``data``
    data: Nested
    lift: Array  # from those to the user's


def fit_nested(
    y: Array,
    v: Array,
    X: Array,
    codes: NDArray[np.intp],
    *,
    restricted: bool,
    fixed: tuple[float | None, float | None] = (None, None),
) -> NestedFit:
    """Fit the three-level model, its variances at their global maximum or as `fixed`."""
    basis, triangle = np.linalg.qr(X)
    data = prepare_nested(y, v, basis, codes)
    best = maximise_nested(data, restricted=restricted, fixed=fixed)
    at = solve_nested(data, best.variances, restricted=restricted)
    lift = np.linalg.inv(triangle)
    return NestedFit(lift @ at.beta, lift @ at.cov @ lift.T, best, at, data, lift)


def covariance_blocks(data: Nested, variances: Array) -> list[Array]:
    """Marginal covariance of each cluster."""
    ends = np.r_[data.starts[1:], len(data.y)]
    return [
        np.diag(data.v[a:b] + variances[1]) + variances[0]
        for a, b in zip(data.starts, ends, strict=True)
    ]


def grid_values(data: Nested, between: Array, within: Array, *, restricted: bool) -> Array:
    """Relative profile log-likelihood at G pairs of variances, by sums within clusters."""
    size = max(1, _CELLS // len(data.y))
    if len(between) > size:
        parts = [slice(i, i + size) for i in range(0, len(between), size)]
        return np.concatenate(
            [grid_values(data, between[i], within[i], restricted=restricted) for i in parts]
        )
    p = data.X.shape[1]
    z = np.vstack([data.X.T, data.y])
    d = 1.0 / (data.v[:, None] + within)  # (k, G)
    first, second = np.triu_indices(p + 1)
    sums = (z[first] * z[second]) @ d
    weight = np.add.reduceat(d, data.starts, axis=0)  # (J, G)
    inside = np.array([np.add.reduceat(row[:, None] * d, data.starts, axis=0) for row in z])
    shrink = between / (1.0 + between * weight)
    for n, (a, b) in enumerate(zip(first, second, strict=True)):
        sums[n] -= (shrink * inside[a] * inside[b]).sum(axis=0)
    log_det, rss = eliminate(sums[None], p)
    log_sigma = np.log1p(between * weight).sum(axis=0) - np.log(d).sum(axis=0)
    return -0.5 * (log_sigma + rss[0] + (log_det[0] if restricted else 0.0))


def solve_nested(data: Nested, variances: Array, *, restricted: bool) -> NestedSolution:
    """Generalised least squares, log-likelihood, gradient and Hessian at one pair."""
    b, w = float(variances[0]), float(variances[1])
    d = 1.0 / (data.v + w)
    weight, square, cube = (data.sums(d**n) for n in (1, 2, 3))
    share = 1.0 / (1.0 + b * weight)  # of a cluster: Sigma^-1 1 = d share

    def inverse(a: Array) -> Array:
        """Sigma^-1 times columns, by the inversion lemma for each cluster."""
        da = d[:, None] * a
        return da - d[:, None] * (b * share[:, None] * data.sums(da))[data.codes]

    weighted = inverse(data.X)
    gram = data.X.T @ weighted
    cov = np.asarray(np.linalg.inv(gram), dtype=np.float64)
    beta = cov @ (weighted.T @ data.y)
    residual = data.y - data.X @ beta
    py = inverse(residual[:, None])[:, 0]
    # the directions of the variances: ones within clusters, and the identity
    moved = np.stack([data.sums(py)[data.codes], py], axis=1)
    trace = np.array([(weight * share).sum(), d.sum() - (b * share * square).sum()])
    across = (square * share**2).sum()
    inner = (square - 2.0 * b * share * cube + (b * share * square) ** 2).sum()
    traces = np.array([[((weight * share) ** 2).sum(), across], [across, inner]])
    if restricted:
        images = [data.sums(weighted)[data.codes], weighted]
        whole = [cov @ (weighted.T @ image) for image in images]
        trace -= [np.trace(part) for part in whole]
        solved = [inverse(image) for image in images]
        for i, image in enumerate(images):
            for j in range(2):
                traces[i, j] += float(np.trace(whole[i] @ whole[j]))
                traces[i, j] -= 2.0 * float(np.trace(cov @ (image.T @ solved[j])))
    gradient = 0.5 * (py @ moved - trace)
    projected = inverse(moved) - weighted @ (cov @ (weighted.T @ moved))
    squares = moved.T @ projected
    rss = float(residual @ py)
    log_sigma = float(-np.log(share).sum() - np.log(d).sum())
    log_gram = float(np.linalg.slogdet(gram)[1])
    value = -0.5 * (log_sigma + rss + (log_gram if restricted else 0.0))
    return NestedSolution(
        beta, cov, value, gradient, 0.5 * traces - squares, 0.5 * traces, rss, log_sigma, log_gram
    )


def _climb(
    data: Nested, start: Array, restricted: bool, free: NDArray[np.bool_]
) -> tuple[Array, NestedSolution, bool]:
    """Newton's method inside the quadrant; variances that are not `free` stay put."""
    x = start.copy()
    s = solve_nested(data, x, restricted=restricted)
    least = float(data.v.min())
    for _ in range(200):
        moving = free & ~((x <= 0) & (s.gradient <= 0))
        if not moving.any():
            return x, s, True
        index = np.flatnonzero(moving)
        g = s.gradient[index]
        curvature = -s.hessian[np.ix_(index, index)]
        if np.linalg.eigvalsh(curvature)[0] <= 0:
            curvature = s.expected[np.ix_(index, index)]
        step = np.zeros(2)
        step[index] = np.linalg.solve(curvature, g)
        # the decrement is the distance to the maximum in standard errors, squared
        small = float(g @ step[index]) < 1e-18
        length = 1.0
        while True:
            trial = np.maximum(x + length * step, 0.0)
            new = solve_nested(data, trial, restricted=restricted)
            if new.value >= s.value - 1e-13 * (1.0 + abs(s.value)) or length < 1e-12:
                break
            length *= 0.5
        moved = float(np.abs(trial - x).max())
        x, s = trial, new
        if small or moved <= 1e-14 * (float(x.max()) + 1e-3 * least):
            return x, s, True
    return x, s, False


def local_maxima(height: Array) -> NDArray[np.bool_]:
    """Where a grid of heights on the last two axes is at least as high as all around."""
    m, n = height.shape[-2:]
    edges = [(0, 0)] * (height.ndim - 2) + [(1, 1)] * 2
    padded = np.pad(height, edges, constant_values=-np.inf)
    peak = np.ones(height.shape, dtype=bool)
    for i, j in product(range(3), repeat=2):
        window = padded[..., i : i + m, j : j + n]
        # on a plateau the first of equal neighbours counts
        peak &= height > window if (i, j) < (1, 1) else height >= window
    return peak


def maximise_nested(
    data: Nested, *, restricted: bool, fixed: tuple[float | None, float | None] = (None, None)
) -> NestedMaximum:
    """Global maximum over the variances (between, within), one of which may be held fixed."""
    total = float(((data.y - data.X @ (data.X.T @ data.y)) ** 2).sum())
    upper = max(total + float(data.v.max()), 1e-6 * float(data.v.min()))
    least = float(data.v.min())
    ladder = least * np.expm1(np.linspace(0.0, np.log1p(upper / least), _POINTS))
    axes = [ladder if f is None else np.array([f]) for f in fixed]
    b, w = np.meshgrid(*axes, indexing="ij")
    height = grid_values(data, b.ravel(), w.ravel(), restricted=restricted).reshape(b.shape)
    free = np.array([f is None for f in fixed])
    found: list[tuple[float, Array, bool]] = []
    for i, j in zip(*np.nonzero(local_maxima(height)), strict=True):
        x, s, converged = _climb(data, np.array([b[i, j], w[i, j]]), restricted, free)
        found.append((s.value, x, converged))
    value, best, converged = max(found, key=lambda item: item[0])
    scale = float(best.max()) + least
    distinct: list[Array] = []
    for _, x, _ in found:
        if all(np.abs(x - other).max() > 1e-6 * scale for other in distinct):
            distinct.append(x)
    return NestedMaximum(best, value, converged, len(distinct))
