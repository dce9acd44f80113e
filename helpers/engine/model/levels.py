"""Fit the three-level model to many selections of its cohorts, in both families."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ..counts.nested import Levels, fit_nested_counts
from ..normal.intervals import Limits, symmetric_limits
from ..normal.nested import fit_nested
from ..summaries import i2_and_h2
from .fits import Counts, Refits

if TYPE_CHECKING:
    from .core import Model

_ALIKE = 1e-10  # of squared numbers of cohorts: rounding


@dataclass(frozen=True, slots=True)
class Blocks:
    """Inverse covariance M of studies that share a variance with the others of their cluster.

    Of a cluster it is the inverse of diag(1/own) + between 1 1', which is diag(own) less
    between/(1 + between sum(own)) own own'. There are R of them: `own` (R, k), `between` (R,).
    """

    own: Array
    between: Array
    codes: NDArray[np.intp]  # cluster of each study, shape (k,)

    def sums(self, values: Array) -> Array:
        """Sum over the studies of each cluster, (R, k) -> (R, clusters)."""
        order = np.argsort(self.codes, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(self.codes[order]) > 0])
        return np.asarray(np.add.reduceat(values[:, order], starts, axis=1), dtype=float)

    def times(self, X: Array) -> Array:
        """Give M X, shape (R, k, p)."""
        share = self.between[:, None] / (1.0 + self.between[:, None] * self.sums(self.own))
        moved = [self.own * (x - (share * self.sums(self.own * x))[:, self.codes]) for x in X.T]
        return np.stack(moved, axis=-1)

    def leverage(self, X: Array) -> Array:
        """Diagonal of X (X'MX)^-1 X'M, shape (R, k); an oblique projection may have it below 0."""
        basis = np.linalg.qr(X)[0]
        moved = self.times(basis)
        return np.einsum("kp,rpq,rkq->rk", basis, np.linalg.inv(basis.T @ moved), moved)


def fit_levels(
    model: Model,
    keep: Counts | None = None,
    *,
    events: Array | None = None,
    y: Array | None = None,
    between: Array | None = None,
    within: Array | None = None,
) -> Levels:
    """Fit the model with clusters to each selection, shape (R, k), of its cohorts.

    `keep` says how often each takes part: a cluster that does more than once is so many clusters.
    `events` or `y` replace the observed ones; `between` and `within`, shape (R,), are variances
    held.
    """
    codes, X = model.clusters, model.X
    assert codes is not None
    given = next((a for a in (keep, events, y, between, within) if a is not None), None)
    rows, p = 1 if given is None else len(given), X.shape[1]
    every = np.arange(model.k)
    chosen = [(every, codes)] * rows if keep is None else [_copied(row, codes) for row in keep]
    restricted = not model.likelihood and model.options.tau2_method == "REML"
    estimable = np.array([_tells(of, X[t], restricted) for t, of in chosen])
    at = np.flatnonzero(estimable)
    out = Levels(
        np.full((rows, p), np.nan),
        np.full((rows, p + 2, p + 2), np.nan),
        np.full((rows, 2), np.nan),
        np.full(rows, np.nan),
        np.zeros(rows, dtype=bool),
        estimable,
        np.zeros(rows, dtype=np.intp),
    )
    if not at.size:
        return out
    held = [None if f is None else f[at] for f in (between, within)]
    if model.likelihood:
        x, size = model.counts
        found = fit_nested_counts(
            x if events is None else events[at],
            size,
            X,
            codes,
            None if keep is None else keep[at],
            fixed=(held[0], held[1]),
            family=model.family,
            quad_points=model.options.quad_points,
        )
        for name in ("beta", "cov", "variances", "loglik", "converged", "maxima"):
            getattr(out, name)[at] = getattr(found, name)
        return out._replace(nodes=found.nodes)
    for place, row in enumerate(at):
        t, of = chosen[row]
        one = fit_nested(
            (model.yi if y is None else y[row])[t],
            model.vi[t],
            X[t],
            of,
            restricted=restricted,
            fixed=(
                None if held[0] is None else float(held[0][place]),
                None if held[1] is None else float(held[1][place]),
            ),
        )
        out.beta[row], out.variances[row] = one.beta, one.best.variances
        out.cov[row, :p, :p] = one.cov
        free = np.flatnonzero([f is None for f in held] & (one.best.variances > 0))
        if free.size:
            pairs = np.ix_(p + free, p + free)
            out.cov[row][pairs] = np.linalg.inv(-one.at.hessian[np.ix_(free, free)])
            out.cov[row][np.ix_(range(p), p + free)] = 0.0
            out.cov[row][np.ix_(p + free, range(p))] = 0.0
        out.loglik[row], out.converged[row] = one.best.value, one.best.converged
        out.maxima[row] = one.best.maxima
    return out


def _copied(
    times: NDArray[Any], codes: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of cohorts as often as each takes part, and clusters, of which each copy is one."""
    rounds = [np.flatnonzero(times > n) for n in range(max(int(times.max()), 1))]
    clusters = int(codes.max()) + 1
    return np.concatenate(rounds), np.concatenate(
        [codes[at] + n * clusters for n, at in enumerate(rounds)]
    )


def _tells(codes: NDArray[np.intp], X: Array, restricted: bool) -> bool:
    """Whether cohorts tell all coefficients, and both variances from each other.

    The restricted likelihood sees what the coefficients leave: with A orthonormal and A'X = 0 it
    takes both variances from A'y, which tells them apart unless A'ZZ'A is a multiple of A'A, Z
    being the clusters' columns.
    """
    k, p = X.shape
    names, dense = np.unique(codes, return_inverse=True)
    if not (k > p and 1 < len(names) < k and (p == 1 or int(np.linalg.matrix_rank(X)) == p)):
        return False
    if not restricted or bool((X == 1.0).all()):  # of one mean a cluster of two tells enough
        return True
    size = np.bincount(dense)
    seen = np.stack([np.bincount(dense, column) for column in np.linalg.qr(X)[0].T])
    left = np.diag(size) - seen.T @ seen  # Z'AA'Z
    apart = float((left**2).sum()) - float(np.trace(left)) ** 2 / (k - p)
    return apart > _ALIKE * float((size**2).sum())


def level_limits(model: Model, mu: Array, se: Array, k: Array) -> Limits:
    """Limits of a mean: normal, or t with k - 1 degrees of freedom."""
    free = None if model.options.ci_method == "wald" else np.maximum(k - 1.0, 1.0)
    return symmetric_limits(mu, se, model.options.level, free)


def level_refits(model: Model, common: Refits, found: Levels) -> Refits:
    """Give three-level fits of effects beside their test of homogeneity, which has no levels."""
    i2, h2 = i2_and_h2(found.tau2, np.where(common.df > 0, common.vt, 1.0))
    low, high = level_limits(model, found.mu, found.se, common.df + 1.0)
    return replace(
        common,
        mu=found.mu,
        se=found.se,
        se_model=found.se,
        tau2=found.tau2,
        between=found.variances[:, 0],
        I2=i2,
        H2=h2,
        loglik=found.loglik,
        ci_lower=low,
        ci_upper=high,
        converged=found.converged,
        status=found.status,
    )
