"""Input of the GLMM: checked counts, masks and designs, handed out in chunks of rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import MetaAnalysisError
from .kernel import StudyTerms
from .shared import Pool
from .studies import Array, Family, Studies, log_saturated, prepare

_SHARING = 48, 200_000  # replicates, and cells, of a chunk whose selections share their scan
CHUNK_ELEMENTS = 60_000  # rows x studies x nodes held at once: about the processor's cache

if sys.platform == "linux":
    # glibc maps each array of over 128 kB anew and pays a page fault for every 4 kB of it, which
    # doubles the time of a batch, until one of up to 32 MB was given back: this one, never touched
    np.empty(3_900_000)


@dataclass(frozen=True, slots=True)
class Problem:
    """A chunk of ``r`` replicates with ``k`` places for studies each.

    ``basis`` turns coefficients of the orthonormal design ``X`` into those of the user's design
    (``beta = basis @ gamma``); working in an orthonormal basis keeps the digits when, say, a
    calendar year stands beside an intercept.
    """

    studies: Studies
    X: Array  # (1 or r, k, p)
    weights: Array | None  # (r, k) multiplicities, None where all are 0/1 (n = 0 says 0)
    offset: Array | None  # (r, k)
    basis: Array | None  # (1 or r, p, p)
    deficient: NDArray[np.bool_]  # (r,)
    pool: Pool | None = None  # the studies that all replicates select from, if they do

    @property
    def rows(self) -> int:
        """Number of replicates."""
        return len(self.studies.x)

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return self.X.shape[-1]

    def take(self, index: NDArray[np.intp]) -> Problem:
        """Restrict to some replicates (with repetition)."""
        if len(index) == self.rows and (index == np.arange(self.rows)).all():
            return self
        return Problem(
            self.studies.take(index),
            self.X if len(self.X) == 1 else self.X[index],
            None if self.weights is None else self.weights[index],
            None if self.offset is None else self.offset[index],
            self.basis if self.basis is None or len(self.basis) == 1 else self.basis[index],
            self.deficient[index],
            None if self.pool is None else self.pool.take(index),
        )

    def grid(self) -> Problem:
        """Insert an axis after the replicates for a grid of values of ``tau2``."""
        return Problem(
            self.studies.grid(),
            self.X if len(self.X) == 1 else self.X[:, None],
            None if self.weights is None else self.weights[:, None],
            None if self.offset is None else self.offset[:, None],
            self.basis,
            self.deficient,
        )

    def eta(self, gamma: Array) -> Array:
        """Linear predictor ``X gamma + offset``; ``gamma`` of shape ``(..., p)``."""
        if self.p == 1 and len(self.X) == 1:
            eta = gamma * self.X[0, :, 0]
        elif len(self.X) == 1:
            eta = gamma @ self.X[0].T
        else:
            eta = np.matmul(self.X, gamma[..., None])[..., 0]
        return eta if self.offset is None else eta + self.offset

    def weighted(self, a: Array) -> Array:
        """Multiply study terms by how often each study counts."""
        return a if self.weights is None else a * self.weights

    def first(self, a: Array) -> Array:
        """``sum_i a_i x_i`` over studies: ``(..., k) -> (..., p)``."""
        if len(self.X) == 1:
            return a @ self.X[0]
        return np.matmul(a[..., None, :], self.X)[..., 0, :]

    def second(self, a: Array) -> Array:
        """``sum_i a_i x_i x_i'`` over studies: ``(..., k) -> (..., p, p)``."""
        p = self.p
        if len(self.X) == 1 and p == 1:
            return (a @ np.square(self.X[0]))[..., None]
        if len(self.X) == 1:
            outer = self.X[0][:, :, None] * self.X[0][:, None, :]
            return (a @ outer.reshape(len(outer), p * p)).reshape((*a.shape[:-1], p, p))
        return np.matmul(np.swapaxes(self.X * a[..., None], -1, -2), self.X)

    def joint(self, terms: StudyTerms) -> tuple[Array, Array, Array]:
        """Log-likelihood, gradient and Hessian in ``(gamma, tau2)`` of each replicate."""
        p = self.p
        value = self.weighted(terms.value).sum(axis=-1)
        gradient = np.empty((*value.shape, p + 1))
        hessian = np.empty((*value.shape, p + 1, p + 1))
        gradient[..., :p] = self.first(self.weighted(terms.eta))
        gradient[..., p] = self.weighted(terms.omega).sum(axis=-1)
        hessian[..., :p, :p] = self.second(self.weighted(terms.eta_eta))
        cross = self.first(self.weighted(terms.eta_omega))
        hessian[..., :p, p] = cross
        hessian[..., p, :p] = cross
        hessian[..., p, p] = self.weighted(terms.omega_omega).sum(axis=-1)
        return value, gradient, hessian

    def saturated(self) -> Array:
        """Log-likelihood of the saturated model of each replicate."""
        s = self.studies if self.pool is None else self.pool.studies
        each = log_saturated(s.family, s.x, s.n)
        return self.weighted(each).sum(axis=-1) if self.pool is None else self.pool.sums(each[0])

    def user_beta(self, gamma: Array) -> Array:
        """Coefficients of the user's design."""
        if self.basis is None:
            return gamma
        return np.matmul(self.basis, gamma[..., None])[..., 0]


@dataclass(frozen=True, slots=True)
class CountData:
    """Checked input; leading axes are 1 where all replicates share the array."""

    family: Family
    events: Array
    n: Array
    raw_design: Array
    design: Array
    basis: Array | None
    weights: NDArray | None
    offset: Array | None
    rows: int

    @property
    def k(self) -> int:
        """Studies offered to each replicate."""
        return self.events.shape[-1]

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return self.design.shape[-1]

    def counts(self) -> NDArray[np.intp]:
        """Studies (counted as often as they take part) in each replicate, shape ``(R,)``."""
        if self.weights is None:
            informative = (self.n > 0).sum(axis=1)
        elif len(self.n) == 1 and (self.n > 0).all():
            informative = self.weights.sum(axis=1, dtype=np.intp)
        else:
            informative = np.empty(self.rows, dtype=np.intp)
            for row in range(self.rows):  # one row at a time: no (R, k) temporary
                w = self.weights[row if len(self.weights) > 1 else 0]
                n = self.n[row if len(self.n) > 1 else 0]
                informative[row] = w[n > 0].sum()
        return np.full(self.rows, informative, dtype=np.intp)

    def take(self, index: NDArray[np.intp]) -> CountData:
        """Select some replicates (with repetition); shared arrays stay shared."""
        names = ("events", "n", "raw_design", "design", "weights", "offset")
        given = {name: getattr(self, name) for name in names}
        taken = {k: a if a is None or len(a) == 1 else a[index] for k, a in given.items()}
        return replace(self, rows=len(index), **taken)

    def fixing(self, column: int, values: Array) -> CountData:
        """Hold a coefficient at ``values`` (R,): its column of the design turns into offset."""
        known = self.raw_design[:, :, column] * values[:, None]
        design, basis = _orthonormal(np.delete(self.raw_design, column, axis=2))
        return replace(
            self,
            raw_design=np.delete(self.raw_design, column, axis=2),
            design=design,
            basis=basis,
            offset=known if self.offset is None else self.offset + known,
        )

    def chunks(
        self, points: int, compact: bool = True
    ) -> Iterator[tuple[NDArray[np.intp], Problem]]:
        """Replicates with similar numbers of studies together, in chunks of bounded memory."""
        order = np.arange(self.rows)
        if self.weights is not None and len(self.weights) > 1:
            order = np.argsort(np.count_nonzero(self.weights, axis=1), kind="stable")
        size = max(1, CHUNK_ELEMENTS // (self.k * max(points, 6)))
        if self.weights is not None and len(self.events) == len(self.n) == 1 and self.p == 1:
            size = max(size, min(_SHARING[0], _SHARING[1] // self.k))
        for begin in range(0, self.rows, size):
            index = order[begin : begin + size]
            yield index, self.chunk(index, compact)

    def chunk(self, index: NDArray[np.intp], compact: bool = True) -> Problem:
        """Gather the replicates ``index``; ``compact`` leaves out places that none of them uses."""
        r = len(index)

        def rows_of(a: NDArray) -> NDArray:
            if len(a) > 1:
                return a[index]
            return a if r == 1 else np.broadcast_to(a, (r, *a.shape[1:]))

        x, n = rows_of(self.events), rows_of(self.n)
        offset = None if self.offset is None else rows_of(self.offset)
        X, basis = self.design, self.basis
        if len(X) > 1:
            X = X[index]
        multiplicity, pool = None, None
        if self.weights is not None:
            w = rows_of(self.weights)
            shared = len(self.events) == 1 and len(self.n) == 1 and self.offset is None
            if shared and self.p == 1 and len(X) == 1 and (X == 1.0).all():
                # one study's worth of work for all replicates: see `scan_shared`
                pool = Pool(prepare(self.family, self.events, self.n), w * (self.n > 0.0))
            taking = w > 0
            most = max(int(taking.sum(axis=1).max()), 1)
            if compact and most < 0.85 * self.k:
                places = np.argsort(~taking, axis=1, kind="stable")[:, :most]

                def gather(a: NDArray) -> NDArray:
                    return np.take_along_axis(a, places, axis=1)

                x, n, w, taking = gather(x), gather(n), gather(w), gather(taking)
                offset = None if offset is None else gather(offset)
                if len(X) > 1 or np.ptp(X, axis=1).any():
                    X = np.take_along_axis(
                        np.broadcast_to(X, (r, *X.shape[1:])), places[:, :, None], axis=1
                    )
                else:
                    X = X[:, :most]
            x = np.where(taking, x, 0.0)
            n = np.where(taking, n, 0.0)
            if w.dtype != np.bool_:
                multiplicity = w.astype(float)
        used = (n > 0) if multiplicity is None else multiplicity * (n > 0)
        deficient = np.zeros(r, dtype=bool)
        if self.p > 1:
            if len(self.design) > 1:
                q, upper = np.linalg.qr(X * (n > 0)[..., None])
                diagonal = np.abs(np.diagonal(upper, axis1=1, axis2=2))
                deficient = diagonal.min(axis=1) <= 1e-10 * np.maximum(diagonal.max(axis=1), 1e-300)
                upper[deficient] = np.eye(self.p)
                q[deficient] = 0.0
                X, basis = q, np.linalg.inv(upper)
            elif self.weights is not None or (self.n == 0).any():
                probe = Problem(prepare(self.family, x, n), X, None, None, None, deficient)
                spread = np.linalg.eigvalsh(probe.second(used.astype(float)))
                deficient = spread[:, 0] <= 1e-10 * np.maximum(spread[:, -1], 1e-300)
        elif self.p == 1:
            deficient = ~((n > 0) & (X[..., 0] != 0)).any(axis=1)
        studies = prepare(self.family, x, n)
        return Problem(studies, X, multiplicity, offset, basis, deficient, pool)


def check_data(
    events: ArrayLike,
    n: ArrayLike,
    design: ArrayLike | None,
    mask: ArrayLike | None,
    offset: ArrayLike | None,
    family: Family,
) -> CountData:
    """Check shapes and values and bring every array to a leading axis of 1 or ``R``."""
    x = _two_dimensional("events", events)
    size = _two_dimensional("n", n)
    k = x.shape[1]
    if size.shape[1] != k:
        raise MetaAnalysisError(f"events has {k} studies, n has {size.shape[1]}")
    rows = _common_rows(len(x), len(size), "n")
    bad = ~(np.isfinite(x) & np.isfinite(size))
    _refuse(bad, "a finite count and size")
    _refuse((x < 0) | (size < 0), "events >= 0 and n >= 0")
    _refuse(x != np.floor(x), "a whole number of events")
    if family == "binomial":
        _refuse(size != np.floor(size), "a whole number n")
        _refuse(x > size, "events <= n")
    else:
        _refuse((x > 0) & (size == 0), "person-time > 0 where there are events")

    weights: NDArray | None = None
    if mask is not None:
        weights = np.atleast_2d(np.asarray(mask))
        if weights.ndim != 2 or weights.shape[1] != k:
            raise MetaAnalysisError(f"mask must have shape (R, {k}), not {np.shape(mask)}")
        whole = weights.dtype == np.bool_ or np.issubdtype(weights.dtype, np.integer)
        if not whole or (weights < 0).any():
            raise MetaAnalysisError("mask must contain booleans or whole numbers >= 0")
        rows = _common_rows(rows, len(weights), "mask")

    shift: Array | None = None
    if offset is not None:
        shift = _two_dimensional("offset", offset)
        if shift.shape[1] != k or not np.isfinite(shift).all():
            raise MetaAnalysisError(f"offset must be finite with {k} studies")
        rows = _common_rows(rows, len(shift), "offset")

    X = np.ones((1, k, 1)) if design is None else np.asarray(design, dtype=float)
    if X.ndim == 2:
        X = X[None]
    if X.ndim != 3 or X.shape[1] != k or X.shape[2] == 0:
        raise MetaAnalysisError(f"design must have shape ({k}, p) or (R, {k}, p), not {X.shape}")
    if not np.isfinite(X).all():
        raise MetaAnalysisError("design contains a value that is not finite")
    rows = _common_rows(rows, len(X), "design")
    if k < X.shape[2]:
        raise MetaAnalysisError(f"{X.shape[2]} coefficients cannot be estimated from {k} studies")
    design_, basis = _orthonormal(X)
    return CountData(family, x, size, X, design_, basis, weights, shift, rows)


def _orthonormal(X: Array) -> tuple[Array, Array | None]:
    """Orthonormal columns and the basis that leads back, for a design that all rows share."""
    if X.shape[2] <= 1 or len(X) > 1:
        return X, None
    q, upper = np.linalg.qr(X[0])
    norms = np.linalg.norm(X[0], axis=0)
    if (np.abs(np.diagonal(upper)) <= 1e-10 * np.maximum(norms, 1e-300)).any():
        raise MetaAnalysisError("the columns of design are linearly dependent")
    return q[None], np.linalg.inv(upper)[None]


def _two_dimensional(name: str, values: ArrayLike) -> Array:
    a = np.atleast_2d(np.asarray(values, dtype=float))
    if a.ndim != 2 or a.shape[1] == 0:
        raise MetaAnalysisError(
            f"{name} must have shape (k,) or (R, k) with k >= 1, not {np.shape(values)}"
        )
    return a


def _common_rows(rows: int, other: int, name: str) -> int:
    if other in (1, rows):
        return rows
    if rows == 1:
        return other
    raise MetaAnalysisError(f"{name} has {other} replicates where {rows} are expected")


def _refuse(bad: NDArray[np.bool_], expected: str) -> None:
    if bad.any():
        row, study = (int(i) for i in np.argwhere(bad)[0])
        raise MetaAnalysisError(f"replicate {row}, study {study}: expected {expected}")
