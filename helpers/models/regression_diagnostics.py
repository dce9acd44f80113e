"""Leverage, fitted values, residuals and deletion of single studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import Array
from ..door import pd
from ..engine.cost import Kind, announce
from ..engine.counts.inference import heterogeneity_tests
from ..engine.model.levels import fit_levels
from ..engine.model.units import units_of
from ..engine.normal.fit import fit_regression
from ..engine.normal.intervals import symmetric_limits

if TYPE_CHECKING:
    from ..engine.model import Model
    from .multilevel_result import MultilevelResult
    from .regression_result import RegressionResult


def leverage(X: Array, weights: Array) -> Array:
    """Diagonal of X (X'WX)^-1 X'W; sums to the number of coefficients."""
    root = np.sqrt(np.maximum(weights, 0.0))
    basis = np.linalg.qr(root[:, None] * X)[0]
    return (basis**2).sum(axis=1)


def typical_variance(vi: Array, X: Array) -> float:
    """Typical sampling variance (k - p)/tr(P), P at weights 1/vi (doi:10.1002/sim.1186)."""
    w = 1.0 / vi
    return float((len(vi) - X.shape[1]) / (w @ (1.0 - leverage(X, w))))


def residual_frame(fit: RegressionResult) -> pd.DataFrame:
    """Fitted values, residuals, their standard errors, leverage and weight of each study."""
    core = fit.core
    weights = core.information(fit.estimates, fit.tau2)
    hat = leverage(core.X, weights)
    fitted = core.X @ fit.estimates
    residual = core.yi - fitted
    columns = {"fitted": fitted, "residual": residual, "leverage": hat}
    if fit.model != "glmm":
        # Var(e) = (I - H) W^-1 (I - H)' has the diagonal (1 - h)/w when W is the weight
        variance = (1.0 - hat) / weights
        free = variance > 1e-14 / weights
        se = np.sqrt(np.where(free, variance, np.nan))
        columns |= {"residual_se": se, "standardised": residual / se}
    columns["weight"] = 100.0 * weights / weights.sum()
    return pd.DataFrame(columns, index=pd.Index(fit.labels, name="study"))


def leave_one_out_frame(fit: RegressionResult, by: Any = None) -> pd.DataFrame:
    """Coefficients, tau2 and residual heterogeneity without each study or cluster, in one batch.

    Where leaving out makes a moderator inestimable the row is NaN and `estimable` False.
    """
    core: Model = fit.core
    columns = fit.moderators
    if fit.cluster is not None:
        own = pd.Series(list(fit.cluster), index=list(core.labels), dtype=object)
        columns = columns.assign(cluster=own.reindex(columns.index))
    units = units_of(core.data, by, columns)
    weights = units.rest[:].astype(float)
    enough = np.flatnonzero(weights.sum(axis=1) > len(fit.names))
    table = pd.DataFrame(
        np.nan,
        index=units.index(),
        columns=[*fit.names, *(f"se({name})" for name in fit.names), "tau2", "Q"],
    )
    converged, estimable = np.zeros((2, len(table)), dtype=bool)
    if enough.size:
        kind: Kind = "regressions of counts" if core.likelihood else "regressions of effects"
        announce(kind, enough.size, core.k)
        batch = core.regress(weights=weights[enough])
        se = batch.se
        if fit.ci_method.startswith("knapp-hartung"):
            scale = np.maximum(batch.scale, 1.0) if fit.ci_method.endswith("max1") else batch.scale
            se = se * np.sqrt(scale)[:, None]
        if fit.model == "glmm":
            residual = heterogeneity_tests(batch.source).Q_lrt
        else:
            common = fit_regression(core.yi, core.vi, core.X, weights[enough], tau2_method="common")
            residual = common.scale * (common.k - len(fit.names))
        table.iloc[enough] = np.column_stack([batch.beta, se, batch.tau2, residual])
        converged[enough], estimable[enough] = batch.converged, batch.estimable
    return table.assign(converged=converged, estimable=estimable)


def leave_one_out_nested(fit: MultilevelResult, by: Any = None) -> pd.DataFrame:
    """Three-level fits without each cohort or cluster (see `MultilevelResult.leave_one_out`)."""
    core, names = fit.core, list(fit.names)
    units = units_of(core.data, by, fit.studies)
    keep = units.rest[:]
    gone = fit_levels(core, keep)
    se = np.sqrt(np.diagonal(gone.cov, axis1=1, axis2=2)[:, : fit.p])
    table = pd.DataFrame(
        np.column_stack([gone.beta, se, gone.variances]),
        index=units.index(),
        columns=[*names, *(f"se({n})" for n in names), "sigma2_between", "sigma2_within"],
    ).assign(k=keep.sum(axis=1), converged=gone.converged, estimable=gone.estimable)
    if fit.p > 1 or fit.design.intercept is None:
        return table
    mu, se = table[names[0]].to_numpy(), table[f"se({names[0]})"].to_numpy()
    free = None if fit.ci_method == "wald" else table["k"].to_numpy(dtype=float) - 1.0
    low, high = symmetric_limits(mu, se, fit.level, free)
    size = None if core.size is None else keep.sum(axis=1) / (keep @ (1.0 / core.size))
    known = np.isfinite(mu)
    for place, (name, values) in enumerate(
        {"estimate": mu, "ci_lower": low, "ci_upper": high}.items()
    ):
        shown = core.scale.inverse(np.where(known, values, 0.0), size)
        table.insert(place, name, np.where(known, shown, np.nan))
    return table
