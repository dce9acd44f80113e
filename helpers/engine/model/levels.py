"""Fit the three-level model to many selections of its cohorts, in both families."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ..cost import announce
from ..counts.nested import Levels, fit_nested_counts
from ..normal.intervals import Limits, symmetric_limits
from ..normal.nested import fit_nested
from ..summaries import i2_and_h2
from .fits import Counts, Refits

if TYPE_CHECKING:
    from .core import Model


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

    `events` or `y` replace the observed ones; `between` and `within`, shape (R,), are variances
    held.
    """
    codes, X = model.clusters, model.X
    assert codes is not None
    given = next((a for a in (keep, events, y, between, within) if a is not None), None)
    rows, p = 1 if given is None else len(given), X.shape[1]
    taking = np.ones((rows, model.k), dtype=bool) if keep is None else keep.astype(bool)
    estimable = np.array([_tells(codes[t], X[t]) for t in taking])
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
    kind = "clusters of counts" if model.likelihood else "clusters of effects"
    announce(kind, at.size, model.k)
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
        t = taking[row]
        one = fit_nested(
            (model.yi if y is None else y[row])[t],
            model.vi[t],
            X[t],
            codes[t],
            restricted=model.options.tau2_method == "REML",
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


def _tells(codes: NDArray[np.intp], X: Array) -> bool:
    """Whether cohorts tell all coefficients, and both variances from each other."""
    k, p = X.shape
    groups = len(np.unique(codes))
    return k > p and 1 < groups < k and (p == 1 or int(np.linalg.matrix_rank(X)) == p)


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
        back_size=np.ones(len(common)),
        converged=found.converged,
        status=found.status,
    )
