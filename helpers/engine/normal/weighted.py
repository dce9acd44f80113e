"""Weighted least squares over batches: every quantity that the normal-normal model needs.

Arrays have shape (R, k): replicates, then studies; what is the same in every replicate is kept in
memory once (a view that repeats one row). `counts` says how often a study takes part (0 = not at
all, 1 = once, more in a case-resampling bootstrap). `design` is None for an intercept, or has shape
(R, k, p); p = 0 means that no coefficient is estimated.

With w = 1/(vi + tau2), W = diag(w) and P = W - WX(X'WX)^-1X'W the module gives the residual sum of
squares y'Py, the traces of P and PP, and y'PPy, y'PPPy. All of it needs only the sums over studies
of w, w^2 and w^3 times products of the columns of (X, y): one matrix product, whatever the design.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import Array
from ...errors import MetaAnalysisError

Index = slice | NDArray[np.intp] | NDArray[np.bool_]

_TINY = 1e-300  # below every pivot of a design of full rank


@dataclass(frozen=True, slots=True)
class Batch:
    """Checked input of the engine: `yi`, `vi`, `counts` of shape (R, k), an optional design."""

    #: `yi`, `vi`, shape (R, k): effects and sampling variances; harmless numbers for studies that
    #: do not take part.
    yi: Array
    vi: Array
    counts: Array  # how often each study takes part, shape (R, k)
    design: Array | None  # None for an intercept, shape (R, k, p)
    k: Array  # number of studies that take part (sum of the counts), shape (R,)
    p: int  # number of coefficients
    #: Shape (R, (p + 1)(p + 2)/2, k): products of the columns of (X, y), upper triangle row by row,
    #: times the counts. Effects are counted from `shift`. Without a design the study with the
    #: smallest sampling variance, the anchor, is left out and added where sums are used: it can
    #: outweigh all others by many orders of magnitude, and so the others keep their digits.
    #: In memory the products stand first, so that each of them is contiguous.
    pairs: Array
    #: Shape (R, p): coefficients that were taken away from the effects: about those of tau2 = 0.
    shift: Array
    least: Array  # smallest sampling variance, that of the anchor, shape (R,)
    #: `copies`, `apart`, shape (R,): count of the anchor, and its effect counted from `shift`.
    copies: Array
    apart: Array

    def __len__(self) -> int:
        return len(self.k)

    @property
    def shared(self) -> bool:
        """Whether all replicates have the variances of one row in memory."""
        return same_in_every_row(self.vi)

    @property
    def single(self) -> bool:
        """Whether there is one replicate with one mean."""
        return self.design is None and len(self.k) == 1

    @property
    def width(self) -> int:
        """Numbers of a replicate that a scan holds at each value of tau2."""
        q, k = self.pairs.shape[1:]
        return q if self.shared else q + k

    def ends(self) -> tuple[Array, Array]:
        """Sum of squares about some fit, and a bound of the variances, each of shape (R,)."""
        squares = self.pairs[:, -1].sum(axis=1) + self.copies * self.apart**2
        if len(self) > 1 and self.shared:  # also of those that do not take part: one scan for all
            return squares, np.broadcast_to(self.vi[0].max(), squares.shape)
        return squares, (self.vi * (self.counts > 0)).max(axis=1)

    def scan_sums(self, grid: Array) -> tuple[Array, Array]:
        """Give the sums of log w (R or 1, G) and of w times `pairs` (R, q, G) on a grid.

        With one row of the grid for all, and the variances those of one row, the scan of the whole
        batch is one matrix product.
        """
        w = 1.0 / (self.vi[: len(grid), :, None] + grid[:, None, :])
        if len(grid) == 1:
            return _once(self.counts) @ np.log(w[0]), self._times(w[0])
        return (self.counts[:, None, :] @ np.log(w))[:, 0], self.pairs @ w

    def power_sums(self, tau2: Array) -> tuple[Array, Array, Array | None]:
        """Give the sums of `pairs` times w, w^2 and w^3 (R, q, 3), of log w, and of w and w^2.

        The last (with a design) have shape (R, 2). `tau2` has shape (R,), or (R, G) with an axis
        more in everything.
        """
        deep = tau2.ndim == 2
        v, c, pairs = (a[:, None] if deep else a for a in (self.vi, self.counts, self.pairs))
        same = tau2.size > 1 and not deep and self.shared and bool((tau2 == tau2[0]).all())
        if same:  # one matrix product for all replicates
            v, tau2 = v[:1], tau2[:1]
        w = 1.0 / (v + tau2[..., None])
        powers = np.empty((*w.shape, 3))
        powers[..., 0] = w
        np.multiply(w, w, out=powers[..., 1])
        np.multiply(powers[..., 1], w, out=powers[..., 2])
        sums = self._times(powers[0]) if same else pairs @ powers
        plain = None
        if self.design is not None:
            plain = np.stack([np.vecdot(c, powers[..., a]) for a in range(2)], axis=-1)
        return sums, np.vecdot(c, np.log(w)), plain

    def _times(self, weights: Array) -> Array:
        """Sum `pairs` times weights (k, G) that all replicates share, shape (R, q, G)."""
        return (self.pairs.swapaxes(0, 1) @ weights).swapaxes(0, 1)

    def unweighted(self) -> Unweighted:
        """Least squares with equal weights."""
        c, v, y = self.counts, self.vi, self.yi
        if self.design is None:
            r = y - (np.vecdot(c, y) / self.k)[:, None]
            return unweighted_mean(self.k, *(np.vecdot(c, f) for f in (r, r * r, v, v * v)))
        x = self.design
        cov = np.linalg.inv(np.einsum("rkp,rk,rkq->rpq", x, c, x))
        beta = np.einsum("rpq,rkq,rk,rk->rp", cov, x, c, y)
        r = y - np.einsum("rkp,rp->rk", x, beta)
        h = np.einsum("rkp,rpq,rkq->rk", x, cov, x)
        by_v = cov @ np.einsum("rkp,rk,rkq->rpq", x, c * v, x)
        pvpv = np.vecdot(c, v * v * (1.0 - 2.0 * h)) + np.einsum("rpq,rqp->r", by_v, by_v)
        return Unweighted(np.vecdot(c, r * r), self.k - self.p, np.vecdot(c, v * (1.0 - h)), pvpv)

    def crude_variance(self) -> Array:
        """Mean square of the effects about their mean, shape (R,)."""
        mean = np.vecdot(self.counts, self.yi) / self.k
        return np.vecdot(self.counts, (self.yi - mean[:, None]) ** 2) / self.k

    def rows(self, index: Index) -> Batch:
        """Replicates picked by `index`."""
        return Batch(
            _pick(self.yi, index),
            _pick(self.vi, index),
            _pick(self.counts, index),
            None if self.design is None else _pick(self.design, index),
            self.k[index],
            self.p,
            self.pairs.swapaxes(0, 1)[:, index].swapaxes(0, 1),
            self.shift[index],
            self.least[index],
            self.copies[index],
            self.apart[index],
        )


class Moments(NamedTuple):
    """Weighted least squares and the quantities of the score, with the leading shape of tau2.

    `beta` and `cov` have shapes (..., p) and (..., p, p); `rss` is y'Py, `log_det` the log
    determinant of X'WX, `trace_p` and `trace_pp` are the traces of P and PP, `y_pp_y` is y'PPy.
    """

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


class Unweighted(NamedTuple):
    """Least squares with equal weights, P = I - X(X'X)^-1X', arrays of shape (R,).

    `rss` is y'Py, then the traces of P, PV and PVPV with V = diag(vi).
    """

    rss: Array
    trace_p: Array
    trace_pv: Array
    trace_pvpv: Array

    def variance(self, tau2: Array) -> Array:
        """Variance of y'Py at a between-study variance, 2 tr(PSPS) with S = V + tau2 I."""
        return 2.0 * (self.trace_pvpv + tau2 * (2.0 * self.trace_pv + tau2 * self.trace_p))


def unweighted_mean(k: Array, y: Array, yy: Array, v: Array, vv: Array) -> Unweighted:
    """Make `Unweighted` for a mean from the sums of y, y^2, vi and vi^2."""
    return Unweighted(
        np.maximum(yy - y * y / k, 0.0), k - 1.0, v - v / k, vv - (2.0 * vv - v * v / k) / k
    )


def same_in_every_row(a: Array) -> bool:
    """Whether one row in memory stands for all."""
    return len(a) == 1 or a.strides[0] == 0


def _pick(a: Array, index: Index) -> Array:
    if len(a) > 1 and a.strides[0] == 0:
        rows = len(np.empty(len(a), dtype=bool)[index])
        return np.broadcast_to(a[0], (rows, *a.shape[1:]))
    return a[index]


def prepare(
    yi: ArrayLike, vi: ArrayLike, counts: ArrayLike | None = None, design: ArrayLike | None = None
) -> Batch:
    """Check and complete a batch; arrays of shape (k,) or (R, k), a design (k, p) or (R, k, p)."""
    y, v = _rows(yi), _rows(vi)
    c = np.ones((1, y.shape[1])) if counts is None else _rows(counts)
    x = None if design is None else np.asarray(design, dtype=float)
    x = x[None] if x is not None and x.ndim == 2 else x
    given = [a for a in (y, v, c, x) if a is not None]
    if len({a.shape[1] for a in given}) > 1:
        raise MetaAnalysisError(
            "effects, variances, counts and design disagree in their number of studies: "
            + ", ".join(str(a.shape[1]) for a in given)
        )
    rows = max(map(len, given))
    if rows > 1:
        y, v, c = _once(y), _once(v), _once(c)
    sound = np.isfinite(y) & (v > 0) & (v < np.inf)
    if not sound.all():
        used = c > 0
        if (used & ~sound).any():
            rep, study = (int(i[0]) for i in np.nonzero(used & ~sound))
            raise MetaAnalysisError(
                f"study {study + 1} (replicate {rep + 1}): expected a finite effect and a "
                f"positive, finite variance, found {y[min(rep, len(y) - 1), study]} and "
                f"{v[min(rep, len(v) - 1), study]}"
            )
        y, v = np.where(np.isfinite(y), y, 0.0), np.where((v > 0) & (v < np.inf), v, 1.0)
    everyone = counts is None or bool((c > 0).all())
    k = np.array([float(c.size)]) if counts is None else c.sum(axis=1)
    if not ((everyone or (c >= 0).all()) and ((k > 0) & (k < np.inf)).all()):
        raise MetaAnalysisError(
            "counts must be finite and at least 0, and every replicate needs a study"
        )
    among = v if everyone else np.where(c > 0, v, np.inf)
    if x is None:
        at: Any = (slice(None), among.argmin())
        if rows > 1:
            at = np.arange(rows), among.argmin(axis=1)
        least, copies, centre = (_repeat(a, rows)[at] for a in (v, c, y))
        pairs, around = np.empty((3, rows, y.shape[1])), y - centre[:, None]
        others = pairs[0]
        others[...] = c
        others[at] = 0.0
        weights = others / v
        mean = np.vecdot(weights, around) / (weights.sum(axis=1) + copies / least)
        around = around - mean[:, None]
        shift, apart = (centre + mean)[:, None], -mean
        np.multiply(others, around, out=pairs[1])
        np.multiply(pairs[1], around, out=pairs[2])
    else:
        if not everyone:
            x = np.where(c[..., None] > 0, x, 0.0)
        explained, shift = _explained(y, v, c, x)
        pairs = _products(y - explained, c, x, rows)
        least = _repeat(among.min(axis=1), rows)
        copies = apart = np.zeros(rows)
        x, shift = _repeat(x, rows), _repeat(shift, rows)
    return Batch(
        _repeat(y, rows),
        _repeat(v, rows),
        _repeat(c, rows),
        x,
        _repeat(k, rows),
        1 if x is None else int(x.shape[2]),
        pairs.swapaxes(0, 1),
        shift,
        least,
        copies,
        apart,
    )


def _rows(values: ArrayLike) -> Array:
    """Floats with an axis of replicates, no copy where they have it."""
    return np.array(values, dtype=float, ndmin=2, copy=None)


def _once(a: Array) -> Array:
    return a[:1] if same_in_every_row(a) else a


def _repeat(a: Array, rows: int) -> Array:
    return a if len(a) == rows else np.broadcast_to(a, (rows, *a.shape[1:]))


def _products(y: Array, c: Array, x: Array, rows: int) -> Array:
    """Products of the columns of (X, y), times the counts, shape (q, R, k)."""
    k, p = x.shape[1:]
    z = np.empty((p + 1, rows, k))
    z[:p] = np.moveaxis(x, -1, 0)
    z[p] = y
    pairs = np.empty((((p + 1) * (p + 2)) // 2, rows, k))
    place = 0
    for i in range(p + 1):
        np.multiply(z[i], z[i:], out=pairs[place : place + p + 1 - i])
        place += p + 1 - i
    if not (c == 1.0).all():
        pairs *= c
    return pairs


def _explained(y: Array, v: Array, c: Array, x: Array) -> tuple[Array, Array]:
    """Part of the effects that the design explains, and its coefficients.

    Taking it away beforehand changes nothing but the digits that sums of squares keep. Studies of
    small variance, which can outweigh all others, get the better fit.
    """
    weighted = (c / (v + 1e-8 * v.max(axis=1, keepdims=True)))[..., None] * x
    right = np.swapaxes(weighted, 1, 2) @ y[..., None]
    shift = np.linalg.solve(np.swapaxes(weighted, 1, 2) @ x, right)
    return (x @ shift)[..., 0], shift[..., 0]


def moments(batch: Batch, tau2: Array) -> Moments:
    """Weighted least squares at between-study variances (R,) or, G for each replicate, (R, G)."""
    if tau2.size == 1 and batch.single:
        return _shaped(*np.array(moments_of_one(batch, tau2.item())).reshape(-1, *tau2.shape))

    def lift(a: Array) -> Array:
        return a[:, None] if tau2.ndim == 2 else a

    sums, sum_log_w, plain = batch.power_sums(tau2)
    if plain is not None:
        return _regression(sums, batch.p, lift(batch.shift), sum_log_w, plain)
    flat = [sums[..., i, j] for i in range(3) for j in range(3)]
    w_m, own = 1.0 / (lift(batch.least) + tau2), (lift(batch.copies), lift(batch.apart))
    return _shaped(*_mean(flat, w_m, *own, lift(batch.shift[:, 0]), sum_log_w, np.log))


def _shaped(mean: Array, variance: Array, *rest: Array) -> Moments:
    """Give a mean the axes of one coefficient."""
    return Moments(mean[..., None], variance[..., None, None], *rest)


def moments_of_one(batch: Batch, tau2: float) -> Moments:
    """Moments of a batch of one row without a design, as plain numbers.

    Numbers instead of arrays of one element make this several times quicker than `moments`.
    """
    w = 1.0 / (batch.vi[0] + tau2)
    w2 = w * w
    sums = (batch.pairs[0] @ np.array((w, w2, w2 * w)).T).ravel().tolist()
    least, own = batch.least.item(), (batch.copies.item(), batch.apart.item(), batch.shift.item())
    return _mean(sums, 1.0 / (least + tau2), *own, (batch.counts[0] @ np.log(w)).item(), log)


def _mean(
    sums: list[Any], w_m: Any, c_m: Any, e_m: Any, shift: Any, sum_log_w: Any, log: Any
) -> Moments:
    """Moments of the weighted mean, of numbers or arrays; `m` marks the anchor.

    `sums` are those of `Batch.pairs` times w, w^2 and w^3.
    """
    rest, rest2, rest3, y1, y2, y3, yy1, yy2, yy3 = sums
    own = c_m * w_m
    s1 = rest + own
    mu = (y1 + own * e_m) / s1
    share_m = (rest + (c_m - 1.0) * w_m) / s1
    r_m = e_m - mu
    own2, own_r2 = own * w_m, own * r_m * r_m
    pairs = rest2 * rest2 + own2 * (2.0 * rest2 + (c_m - 1.0) * w_m * w_m)
    cross = y2 - mu * rest2 + own2 * r_m
    return Moments(
        beta=shift + mu,
        cov=1.0 / s1,
        rss=yy1 - mu * (2.0 * y1 - mu * rest) + own_r2,
        sum_log_w=sum_log_w,
        log_det=log(s1),
        sum_w=s1,
        sum_w2=rest2 + own2,
        trace_p=rest - rest2 / s1 + own * share_m,
        trace_pp=rest2 - 2.0 * rest3 / s1 + pairs / (s1 * s1) + own2 * share_m * share_m,
        y_pp_y=yy2 - mu * (2.0 * y2 - mu * rest2) + own_r2 * w_m,
        y_ppp_y=yy3 - mu * (2.0 * y3 - mu * rest3) + own_r2 * w_m * w_m - cross * cross / s1,
    )


def _regression(sums: Array, p: int, shift: Array, sum_log_w: Array, plain: Array) -> Moments:
    """Moments of a regression. Matrices stand first, so that replicates lie side by side."""
    sum_w, sum_w2 = plain[..., 0], plain[..., 1]
    full = np.ascontiguousarray(np.moveaxis(sums, (-2, -1), (0, 1)))[_places(p + 1)]
    second = full[:p, :p, 1]
    cov, log_det = _inverse(full[:p, :p, 0])
    beta = np.einsum("pq...,q...->p...", cov, full[:p, p, 0])
    theta = np.concatenate([-beta, np.ones((1, *beta.shape[1:]))])
    image = np.einsum("pqa...,q...->pa...", full, theta)
    squares = np.einsum("pa...,p...->a...", image, theta)
    half = np.einsum("pq...,qs...->ps...", cov, second)
    cross = image[:p, 1]
    return Moments(
        beta=np.moveaxis(beta, 0, -1) + shift,
        cov=np.ascontiguousarray(np.moveaxis(cov, (0, 1), (-2, -1))),
        rss=np.maximum(squares[0], 0.0),
        sum_log_w=sum_log_w,
        log_det=log_det,
        sum_w=sum_w,
        sum_w2=sum_w2,
        trace_p=sum_w - np.einsum("pp...->...", half),
        trace_pp=sum_w2
        - 2.0 * np.einsum("pq...,pq...->...", cov, full[:p, :p, 2])
        + np.einsum("pq...,qp...->...", half, half),
        y_pp_y=squares[1],
        y_ppp_y=squares[2] - np.einsum("p...,pq...,q...->...", cross, cov, cross),
    )


def _inverse(gram: Array) -> tuple[Array, Array]:
    """Inverses and log determinants of positive definite matrices on the first two axes.

    Gauss and Jordan's steps go through all matrices at once, many times quicker than a call of
    LAPACK for each of them; a Gram matrix needs no pivoting.
    """
    a = gram.copy()
    log_det = np.zeros(a.shape[2:])
    for j in range(len(a)):
        pivot = np.maximum(a[j, j], _TINY)
        log_det += np.log(pivot)
        row, column = a[j] / pivot, a[:, j].copy()
        a -= column[:, None] * row
        a[j], a[:, j] = row, -column / pivot
        a[j, j] = 1.0 / pivot
    return a, log_det


@lru_cache(maxsize=64)
def _places(size: int) -> NDArray[np.intp]:
    """Where each number of a symmetric matrix stands in its upper triangle, row by row."""
    rows, columns = np.triu_indices(size)
    places = np.empty((size, size), dtype=np.intp)
    places[rows, columns] = places[columns, rows] = np.arange(len(rows))
    return places


def profile_scan(batch: Batch, grid: Array) -> tuple[Array, Array, Array]:
    """Sum of the log weights, log determinant of X'WX and y'Py on a grid of tau2, shapes (R, G)."""
    sum_log_w, sums = batch.scan_sums(grid)
    if batch.design is not None:
        return sum_log_w, *eliminate(sums, batch.p)
    own, apart = batch.copies[:, None] / (batch.least[:, None] + grid), batch.apart[:, None]
    total, first = sums[:, 0] + own, sums[:, 1] + own * apart
    return sum_log_w, np.log(total), sums[:, 2] + own * apart * apart - first / total * first


def eliminate(sums: Array, p: int) -> tuple[Array, Array]:
    """Log determinant of X'WX and residual sum of squares, by elimination without pivoting.

    `sums` holds upper triangles of the Gram matrix of (X, y) on axis 1; all other axes ride
    along, and its numbers are used up. A Gram matrix needs no pivoting.
    """
    pairs = [(i, j) for i in range(p + 1) for j in range(i, p + 1)]
    part: dict[tuple[int, int], Array] = {key: sums[:, n] for n, key in enumerate(pairs)}
    log_det = np.zeros(part[0, 0].shape)
    for j in range(p):
        pivot = np.maximum(part[j, j], _TINY)
        log_det += np.log(pivot)
        for a in range(j + 1, p + 1):
            factor = part[j, a] / pivot
            for b in range(a, p + 1):
                part[a, b] -= factor * part[j, b]
    return log_det, part[p, p]
