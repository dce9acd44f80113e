"""Regressions fitted again: coefficients of many selections of studies, or of new data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ...door import pd
from ...errors import UnsupportedError
from ..counts.inference import heterogeneity_tests
from ..counts.optimise import FitStatus
from ..normal.fit import RegressionFit
from ..rows import put
from ..summaries import i2_and_h2
from .fits import Counts, failures_of, ratio
from .levels import fit_levels

if TYPE_CHECKING:
    from .core import Fitted, FittedRegression, Model


@dataclass(frozen=True, slots=True)
class RegressionRefits:
    """Regressions of R replicates with p coefficients; NaN where there is no estimate."""

    k: NDArray[np.int64]  # studies that take part, repeated ones counted as often, shape (R,)
    beta: Array  # coefficients, shape (R, p)
    #: Covariance of the model, never robust, shape (R, p, p), and what the `ci_method` multiplies
    #: it by (the Knapp-Hartung factor of the replicate, or 1), shape (R,).
    cov: Array
    factor: Array
    #: Residual heterogeneity, shape (R,): variance, the part of it that studies of one cluster
    #: share (0 without clusters), Q (or the likelihood-ratio statistic of the GLMM), I2 in percent.
    tau2: Array
    between: Array
    Q: Array
    I2: Array
    #: Shape (R,): whether the maximum was reached; whether the studies tell the coefficients apart.
    converged: NDArray[np.bool_]
    estimable: NDArray[np.bool_]
    status: NDArray[np.int8]  # codes of `helpers.engine.counts.optimise.FitStatus`

    def __len__(self) -> int:
        return len(self.tau2)

    @property
    def se(self) -> Array:
        """Standard errors under the `ci_method`, shape (R, p)."""
        model = np.sqrt(np.diagonal(self.cov, axis1=1, axis2=2))
        return model * np.sqrt(self.factor)[:, None]

    def failures(self) -> dict[str, int]:
        """How many replicates failed, by reason."""
        return failures_of(self.status[~self.converged])


def refit_coefficients(
    model: Model, weights: Counts | None, y: Array | None, events: Array | None, rows: int
) -> RegressionRefits:
    """Fit the regression of `model` to each of R replicates, see `Model.fit_coefficients`."""
    p = model.X.shape[1]
    members = np.full(rows, model.k) if weights is None else weights.sum(axis=1, dtype=np.int64)
    beta, cov = np.full((rows, p), np.nan), np.full((rows, p, p), np.nan)
    factor, tau2, between, q, i2 = np.full((5, rows), np.nan)
    converged, estimable = np.zeros((2, rows), dtype=bool)
    status = np.full(rows, FitStatus.RANK_DEFICIENT, dtype=np.int8)
    out = RegressionRefits(
        members, beta, cov, factor, tau2, between, q, i2, converged, estimable, status
    )
    at = np.flatnonzero(members > p)  # with fewer there is nothing to fit
    if at.size:
        weights = None if weights is None else weights[at]
        y, events = (None if a is None else a[at] for a in (y, events))
        c = None if weights is None else weights.astype(float)
        if model.likelihood:  # without a finite maximum the deviance is that of a limit
            fit = model.regress(weights=c, y=y, events=events)
            q = np.where(fit.estimable, heterogeneity_tests(fit.source).Q_lrt, np.nan)
        else:
            common = model.regress(weights=c, y=y, tau2_method="common")
            fit = common if model.clusters is not None else model.regress(weights=c, y=y)
            q = common.scale * (common.k - p)
        vi = model.vi if events is None else model.scale.effects(events, model.counts[1])[1]
        vt = _typical_variance(model.X, np.atleast_2d(vi), c, fit.estimable)
        told = _told(model, fit, q, vt)
        if model.clusters is not None:
            told = _in_levels(model, told, vt, weights, y, events)
        put(out, told, at)
    return out


def _in_levels(
    model: Model,
    flat: RegressionRefits,
    vt: Array,
    weights: Counts | None,
    y: Array | None,
    events: Array | None,
) -> RegressionRefits:
    """Give three-level fits beside the test of homogeneity, which has no levels."""
    pick = np.flatnonzero(flat.estimable)
    beta, cov = np.full_like(flat.beta, np.nan), np.full_like(flat.cov, np.nan)
    tau2, between = np.full((2, len(flat)), np.nan)
    converged, estimable = np.zeros((2, len(flat)), dtype=bool)
    status = flat.status.copy()
    if pick.size:
        keep, p = None if weights is None else weights[pick], beta.shape[1]
        effects, x = (None if a is None else a[pick] for a in (y, events))
        found = fit_levels(model, keep, y=effects, events=x)
        beta[pick], cov[pick] = found.beta, found.cov[:, :p, :p]
        tau2[pick], between[pick] = found.tau2, found.variances[:, 0]
        converged[pick], estimable[pick] = found.converged, found.estimable
        status[pick] = found.status
    return replace(
        flat,
        beta=beta,
        cov=cov,
        tau2=tau2,
        between=between,
        I2=i2_and_h2(tau2, vt)[0],
        converged=converged,
        estimable=estimable,
        status=status,
    )


def variance_factor(scale: Array, ci_method: str) -> Array:
    """Give what `ci_method` multiplies covariances by, from the Knapp-Hartung factors of fits.

    >>> variance_factor(np.array([0.4, 1.6]), "knapp-hartung-max1").tolist()
    [1.0, 1.6]
    >>> variance_factor(np.array([0.4, 1.6]), "t").tolist()
    [1.0, 1.0]
    """
    if not ci_method.startswith("knapp-hartung"):
        return np.ones_like(scale)
    return np.maximum(scale, 1.0) if ci_method.endswith("max1") else scale


def columns_by(fit: Fitted | FittedRegression, by: Any) -> pd.DataFrame | None:
    """Columns that `by` may name, for each row given: of a regression moderators and "cluster"."""
    if by is None:
        return None
    if not fit.core.moderated or fit.core.clusters is not None:
        return cast("Fitted", fit).studies
    own = cast("FittedRegression", fit)
    if own.cluster is None:
        return own.moderators
    clusters = pd.Series(list(own.cluster), index=list(own.core.labels), dtype=object)
    return own.moderators.assign(cluster=clusters.reindex(own.moderators.index))


def leverage(X: Array, weights: Array) -> Array:
    """Diagonal of X (X'WX)^-1 X'W; sums to the number of coefficients."""
    root = np.sqrt(np.maximum(weights, 0.0))
    basis = np.linalg.qr(root[:, None] * X)[0]
    return (basis**2).sum(axis=1)


def refuse_names(fit: FittedRegression, taken: Collection[str], what: str) -> tuple[str, ...]:
    """Give the names of the coefficients, none of which may be that of another column."""
    for name in fit.names:
        if name in taken:
            raise UnsupportedError(
                f"{what} has a column {name!r} of its own; give the moderator another name"
            )
    return fit.names


def _told(model: Model, fit: RegressionFit, q: Array, vt: Array) -> RegressionRefits:
    """Put what is asked of replicates together."""
    factor = variance_factor(fit.scale, model.options.ci_method)
    df = fit.k - fit.beta.shape[1]
    if model.options.model == "common":
        i2 = np.where(q > 0, 100.0 * np.maximum(ratio(q - df, q), 0.0), 0.0)
    else:
        i2 = i2_and_h2(fit.tau2, vt)[0]
    if model.likelihood:
        status = fit.source.status
    else:
        short = np.where(fit.converged, FitStatus.CONVERGED, FitStatus.NOT_CONVERGED)
        status = np.where(fit.estimable, short, FitStatus.RANK_DEFICIENT).astype(np.int8)
    return RegressionRefits(
        fit.k.astype(np.int64),
        fit.beta,
        fit.cov,
        factor,
        fit.tau2,
        np.zeros(len(q)),
        q,
        i2,
        fit.converged,
        fit.estimable,
        status,
    )


def _typical_variance(
    X: Array, vi: Array, weights: Array | None, estimable: NDArray[np.bool_]
) -> Array:
    """Typical sampling variance (k - p)/tr(P) of each replicate (doi:10.1002/sim.1186).

    `vi` and `weights` (None: each study once) have one row, or one for each replicate.
    """
    basis, w = np.linalg.qr(X)[0], 1.0 / (vi if len(vi) == 1 else vi[estimable])
    c = np.ones((1, len(X))) if weights is None else weights[estimable]
    gram, twice = (np.swapaxes(basis, 0, 1) @ ((c * a)[..., None] * basis) for a in (w, w * w))
    trace = (c * w).sum(axis=1) - np.trace(np.linalg.solve(gram, twice), axis1=1, axis2=2)
    vt = np.full(len(estimable), np.nan)
    vt[estimable] = (c.sum(axis=1) - X.shape[1]) / trace
    return vt
