"""Weighted least squares over batches: every quantity that the normal-normal model needs.

Arrays have shape (..., k): leading axes are replicates, the last one studies. `counts` says
how often a study takes part (0 = not at all, 1 = once, more in a case-resampling bootstrap).
Studies with count 0 must carry harmless numbers (`prepare` sees to that). `design` is None
for an intercept, or has shape (..., k, p); p = 0 means that no coefficient is estimated.

With w = 1/(vi + tau2), W = diag(w) and P = W - WX(X'WX)^-1X'W the module gives the residual
sum of squares y'Py, the traces of P and PP, and y'PPy, y'PPPy without forming a k-by-k matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import MetaAnalysisError

Array = NDArray[np.float64]

__all__ = [
    "Batch",
    "Moments",
    "moments",
    "moments_of_one",
    "prepare",
    "share_of_others",
    "trace_pv",
]


@dataclass(frozen=True, slots=True)
class Batch:
    """Checked input of the engine: `yi`, `vi`, `counts` of shape (R, k), an optional design.

    Attributes
    ----------
    yi, vi : ndarray, shape (R, k)
        Effects and sampling variances; studies that do not take part carry 0 and 1.
    counts : ndarray, shape (R, k)
        How often each study takes part.
    design : ndarray or None, shape (R, k, p)
        None for an intercept.
    k : ndarray, shape (R,)
        Number of studies that take part (sum of the counts).
    p : int
        Number of coefficients.
    anchor : ndarray of int, shape (R,)
        The study with the smallest sampling variance, which can outweigh all others by many
        orders of magnitude: sums are formed so that the others keep their digits.
    others : ndarray, shape (R, k)
        `counts` without the anchor.
    around : ndarray, shape (R, k)
        `yi` minus the effect of the anchor.
    centre, least, copies : ndarray, shape (R,)
        Effect, variance and count of the anchor; `least` is the smallest sampling variance.
    """

    yi: Array
    vi: Array
    counts: Array
    design: Array | None
    k: Array
    p: int
    anchor: NDArray[np.intp]
    others: Array
    around: Array
    centre: Array
    least: Array
    copies: Array

    def rows(self, index: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Batch:
        """Replicates picked by `index`."""
        return Batch(
            self.yi[index],
            self.vi[index],
            self.counts[index],
            None if self.design is None else self.design[index],
            self.k[index],
            self.p,
            self.anchor[index],
            self.others[index],
            self.around[index],
            self.centre[index],
            self.least[index],
            self.copies[index],
        )


@dataclass(frozen=True, slots=True)
class Moments:
    """Results of `moments`, each with the leading shape of its input.

    `weights` includes the counts; `beta` and `cov` are (..., p) and (..., p, p).
    """

    weights: Array
    beta: Array
    cov: Array
    residuals: Array
    rss: Array
    sum_log_w: Array
    sum_w: Array
    sum_w2: Array
    trace_p: Array
    trace_pp: Array
    y_pp_y: Array
    y_ppp_y: Array
    log_det: Array


def prepare(
    yi: ArrayLike, vi: ArrayLike, counts: ArrayLike | None = None, design: ArrayLike | None = None
) -> Batch:
    """Check and complete a batch.

    Parameters
    ----------
    yi, vi : array_like, shape (k,) or (R, k)
        Effects and sampling variances.
    counts : array_like, optional
        Mask or multiplicities of the same shape (or (k,)); default: every study once.
    design : array_like, optional
        Shape (k, p) or (R, k, p); default: an intercept.

    Raises
    ------
    MetaAnalysisError
        A study that takes part has a missing effect or a variance that is not positive, or a
        replicate has no study.

    Examples
    --------
    >>> prepare([0.1, 0.2], [0.01, 0.02]).k.tolist()
    [2.0]
    """
    y, v = np.array(yi, dtype=float, ndmin=2), np.array(vi, dtype=float, ndmin=2)
    shape = y.shape if y.shape == v.shape else np.broadcast_shapes(y.shape, v.shape)
    c = np.ones(shape) if counts is None else np.array(counts, dtype=float, ndmin=2)
    shape = shape if c.shape == shape else np.broadcast_shapes(shape, c.shape)
    x = None if design is None else np.asarray(design, dtype=float)
    if x is not None:
        x = x[None] if x.ndim == 2 else x
        shape = np.broadcast_shapes(shape, x.shape[:2])
        x = np.broadcast_to(x, (*shape, x.shape[2]))
    y, v, c = (a if a.shape == shape else np.broadcast_to(a, shape) for a in (y, v, c))
    used = c > 0
    bad = used & ~(np.isfinite(y) & np.isfinite(v) & (v > 0))
    if bad.any():
        rep, study = (int(i[0]) for i in np.nonzero(bad))
        raise MetaAnalysisError(
            f"study {study + 1} (replicate {rep + 1}): effect {y[rep, study]} with variance "
            f"{v[rep, study]}; expected a finite effect and a positive variance"
        )
    everyone = bool(used.all()) and used.size > 0
    if not everyone:
        if bool((c < 0).any()) or not bool(used.any(axis=1).all()):
            raise MetaAnalysisError("counts must be at least 0 and every replicate needs a study")
        y, v = np.where(used, y, 0.0), np.where(used, v, 1.0)
        if x is not None:
            x = np.where(used[..., None], x, 0.0)
    p = 1 if x is None else int(x.shape[2])
    anchor = (v if everyone else np.where(used, v, np.inf)).argmin(axis=1)
    at = np.arange(len(anchor)), anchor
    others, centre = np.array(c), y[at]
    others[at] = 0.0
    around = y - centre[:, None]
    return Batch(y, v, c, x, c.sum(axis=1), p, anchor, others, around, centre, v[at], c[at])


def moments(batch: Batch, tau2: Array, *, curvature: bool = True) -> Moments:
    """Weighted least squares at given between-study variances.

    Parameters
    ----------
    batch : Batch
        R replicates of k studies.
    tau2 : ndarray, shape (R,) or (R, G)
        With a second axis every replicate is evaluated at G values, and every result gets
        that axis after the first.
    curvature : bool
        Whether `trace_pp` and `y_ppp_y` are wanted; NaN if not (a scan is quicker without).

    Examples
    --------
    >>> import numpy as np
    >>> m = moments(prepare([0.0, 1.0], [1.0, 1.0]), np.zeros(1))
    >>> float(m.rss[0]), float(m.trace_p[0])
    (0.5, 1.0)
    """
    if batch.design is None:
        if tau2.shape == (1,) and len(batch.k) == 1:
            return _as_row(moments_of_one(batch, float(tau2[0]), curvature=curvature))
        return _intercept(batch, tau2, curvature)
    y, v, c, x = batch.yi, batch.vi, batch.counts, batch.design
    if tau2.ndim == 2:
        y, v, c, x = y[:, None], v[:, None], c[:, None], x[:, None]
    w1 = 1.0 / (v + tau2[..., None])
    return _regression(y, w1, c * w1, c, x)


def _dot(a: Array, b: Array) -> Array:
    """Sum of products over the last axis."""
    return a.dot(b) if a.ndim == b.ndim == 1 else np.vecdot(a, b)  # twice as quick for one row


def moments_of_one(batch: Batch, tau2: float, *, curvature: bool = True) -> Moments:
    """Moments of a batch of one row without a design, without its leading axis.

    Numbers instead of arrays of one element make this several times quicker than `moments`.

    Examples
    --------
    >>> float(moments_of_one(prepare([0.0, 1.0], [1.0, 1.0]), 0.0).rss)
    0.5
    """
    return _mean(
        batch.around[0],
        batch.vi[0],
        batch.counts[0],
        batch.others[0],
        batch.centre[0],
        batch.least[0],
        batch.copies[0],
        np.asarray(tau2),
        curvature,
    )


def _as_row(m: Moments) -> Moments:
    """Give the moments of one row their leading axis."""
    return Moments(*(getattr(m, name)[None] for name in Moments.__slots__))


def _intercept(batch: Batch, tau2: Array, curvature: bool) -> Moments:
    y, v, c, others = batch.around, batch.vi, batch.counts, batch.others
    y_m, v_m, c_m = batch.centre, batch.least, batch.copies
    if tau2.ndim == 2:
        y, v, c, others = y[:, None], v[:, None], c[:, None], others[:, None]
        y_m, v_m, c_m = y_m[:, None], v_m[:, None], c_m[:, None]
    return _mean(y, v, c, others, y_m, v_m, c_m, tau2, curvature)


def _mean(
    y: Array,
    v: Array,
    c: Array,
    others: Array,
    y_m: Array,
    v_m: Array,
    c_m: Array,
    tau2: Array,
    curvature: bool,
) -> Moments:
    """Moments of the weighted mean; `m` marks the anchor, `rest` sums over the others.

    `y` is counted from the anchor. All arguments have the same leading axes, or none at all.
    """
    w1 = 1.0 / (v + tau2[..., None])
    w = c * w1
    w_m = 1.0 / (v_m + tau2)
    w1_2 = w1 * w1
    rest, rest2 = _dot(others, w1), _dot(others, w1_2)
    s1 = rest + c_m * w_m
    # Sums of squared effects around the anchor: the mean is close to it if it dominates.
    mu = _dot(w, y) / s1
    r = y - mu[..., None]
    r2 = r * r
    w2 = w * w1
    share_m = (rest + (c_m - 1.0) * w_m) / s1
    if curvature:
        rest3, rest4 = _dot(others, w1_2 * w1), _dot(others, w1_2 * w1_2)
        pairs = 2.0 * c_m * w_m**2 * rest2 + c_m * (c_m - 1.0) * w_m**4
        pairs = pairs + np.maximum(rest2 * rest2 - rest4, 0.0)
        trace_pp = rest2 - 2.0 * rest3 / s1 + (rest4 + pairs) / s1**2
        trace_pp = trace_pp + c_m * (w_m * share_m) ** 2
        y_ppp_y = _dot(w2 * w1, r2) - _dot(w2, r) ** 2 / s1
    else:
        trace_pp = y_ppp_y = np.full(s1.shape, np.nan)
    return Moments(
        weights=w,
        beta=(mu + y_m)[..., None],
        cov=(1.0 / s1)[..., None, None],
        residuals=r,
        rss=_dot(w, r2),
        sum_log_w=_dot(c, np.log(w1)),
        sum_w=s1,
        sum_w2=rest2 + c_m * w_m**2,
        trace_p=rest - rest2 / s1 + c_m * w_m * share_m,
        trace_pp=trace_pp,
        y_pp_y=_dot(w2, r2),
        y_ppp_y=y_ppp_y,
        log_det=np.log(s1),
    )


def _regression(y: Array, w1: Array, w: Array, c: Array, x: Array) -> Moments:
    p = x.shape[-1]
    lead = np.broadcast_shapes(w.shape[:-1], x.shape[:-2])
    w2, s1 = w * w1, w.sum(axis=-1)
    w3 = w2 * w1
    if p == 0:
        r = np.broadcast_to(y, w.shape)
        r2 = r * r
        zero = np.zeros(lead)
        return Moments(
            weights=w,
            beta=np.zeros((*lead, 0)),
            cov=np.zeros((*lead, 0, 0)),
            residuals=r,
            rss=_dot(w, r2),
            sum_log_w=_dot(c, np.log(w1)),
            sum_w=s1,
            sum_w2=w2.sum(axis=-1),
            trace_p=s1,
            trace_pp=w2.sum(axis=-1),
            y_pp_y=_dot(w2, r2),
            y_ppp_y=_dot(w3, r2),
            log_det=zero,
        )
    gram = np.einsum("...kp,...k,...kq->...pq", x, w, x)
    gram2 = np.einsum("...kp,...k,...kq->...pq", x, w2, x)
    gram3 = np.einsum("...kp,...k,...kq->...pq", x, w3, x)
    cov = np.linalg.inv(gram)
    beta = np.einsum("...pq,...kq,...k,...k->...p", cov, x, w, np.broadcast_to(y, w.shape))
    r = y - np.einsum("...kp,...p->...k", x, beta)
    r2 = r * r
    half = cov @ gram2
    cross = np.einsum("...kp,...k,...k->...p", x, w2, r)
    return Moments(
        weights=w,
        beta=beta,
        cov=cov,
        residuals=r,
        rss=_dot(w, r2),
        sum_log_w=_dot(c, np.log(w1)),
        sum_w=s1,
        sum_w2=w2.sum(axis=-1),
        trace_p=s1 - np.einsum("...pp->...", half),
        trace_pp=w2.sum(axis=-1)
        - 2.0 * np.einsum("...pq,...qp->...", cov, gram3)
        + np.einsum("...pq,...qp->...", half, half),
        y_pp_y=_dot(w2, r2),
        y_ppp_y=_dot(w3, r2) - np.einsum("...p,...pq,...q->...", cross, cov, cross),
        log_det=np.linalg.slogdet(gram)[1],
    )


def trace_pv(batch: Batch, weights: Array) -> tuple[Array, Array, Array]:
    """y'Py, tr(P) and tr(PV) for any working weights (the general method of moments).

    P = A - AX(X'AX)^-1X'A with A = diag(weights), V = diag(vi). The expectation of y'Py is
    tr(PV) + tau2 tr(P).

    Examples
    --------
    >>> import numpy as np
    >>> b = prepare([0.0, 1.0], [1.0, 1.0])
    >>> [float(q[0]) for q in trace_pv(b, np.ones((1, 2)))]
    [0.5, 1.0, 1.0]
    """
    c, v, y = batch.counts, batch.vi, batch.yi
    a = c * weights
    if batch.design is None:
        y = batch.around
        r = y - (_dot(a, y) / a.sum(axis=1))[:, None]
        share = share_of_others(c, weights)
        return _dot(a, r * r), _dot(a, share), _dot(a * v, share)
    x = batch.design
    cov = np.linalg.inv(np.einsum("rkp,rk,rkq->rpq", x, a, x))
    beta = np.einsum("rpq,rkq,rk,rk->rp", cov, x, a, y)
    r = y - np.einsum("rkp,rp->rk", x, beta)
    share = 1.0 - weights * np.einsum("rkp,rpq,rkq->rk", x, cov, x)
    return _dot(a, r * r), _dot(a, share), _dot(a * v, share)


def share_of_others(counts: Array, values: Array) -> Array:
    """Share of all other studies in a weighted sum, for one copy of each study.

    1 - value/total, computed without cancellation where one study is nearly the total.

    Examples
    --------
    >>> import numpy as np
    >>> share_of_others(np.ones((1, 2)), np.array([[2.0**60, 1.0]])).tolist()
    [[8.673617379884035e-19, 1.0]]
    """
    each = counts * values
    total = each.sum(axis=1, keepdims=True)
    top = np.argmax(np.where(counts > 0, values, -np.inf), axis=1)[:, None]
    rest = each.copy()
    one = np.take_along_axis(counts, top, axis=1) - 1.0
    np.put_along_axis(rest, top, one * np.take_along_axis(values, top, axis=1), axis=1)
    out = (total - values) / total
    np.put_along_axis(out, top, rest.sum(axis=1, keepdims=True) / total, axis=1)
    return np.where(counts > 0, out, 0.0)
