"""Leverage, fitted values, residuals and deletion of single studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..engine.counts.inference import heterogeneity_tests
from ..engine.normal.fit import fit_regression

if TYPE_CHECKING:
    import pandas as pd

    from ..engine.model import Model
    from .regression_result import RegressionResult

Array = NDArray[np.float64]

__all__ = ["leave_one_out_frame", "leverage", "residual_frame", "typical_variance"]


def leverage(X: Array, weights: Array) -> Array:
    """Diagonal of X (X'WX)^-1 X'W; sums to the number of coefficients.

    Examples
    --------
    >>> leverage(np.ones((4, 1)), np.ones(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    root = np.sqrt(np.maximum(weights, 0.0))
    basis = np.linalg.qr(root[:, None] * X)[0]
    return (basis**2).sum(axis=1)


def typical_variance(vi: Array, X: Array) -> float:
    """Typical sampling variance (k - p)/tr(P), P at the weights 1/vi.

    Higgins and Thompson 2002, doi:10.1002/sim.1186.

    Examples
    --------
    >>> round(typical_variance(np.full(5, 0.2), np.ones((5, 1))), 12)
    0.2
    """
    w = 1.0 / vi
    return float((len(vi) - X.shape[1]) / (w @ (1.0 - leverage(X, w))))


def residual_frame(fit: RegressionResult) -> pd.DataFrame:
    """Fitted values, residuals, their standard errors, leverage and weight of each study."""
    import pandas as pd

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
    return pd.DataFrame(columns, index=pd.Index(fit.included_labels, name="study"))


def leave_one_out_frame(fit: RegressionResult) -> pd.DataFrame:
    """Coefficients, tau2 and residual heterogeneity with each study left out, in one batch.

    Where leaving a study out makes a moderator inestimable the row is NaN and `estimable` False.
    """
    import pandas as pd

    core: Model = fit.core
    k = len(core.yi)
    counts = 1.0 - np.eye(k)
    batch = core.regress(weights=counts)
    out = {f"{name}": batch.beta[:, j] for j, name in enumerate(fit.names)}
    se = batch.se
    if fit.test.startswith("knapp-hartung"):
        scale = np.maximum(batch.scale, 1.0) if fit.test.endswith("max1") else batch.scale
        se = se * np.sqrt(scale)[:, None]
    out |= {f"se({name})": se[:, j] for j, name in enumerate(fit.names)}
    if fit.model == "glmm":
        residual = heterogeneity_tests(batch.source).Q_lrt
    else:
        common = fit_regression(core.yi, core.vi, core.X, counts, tau2_method="common")
        residual = common.scale * (common.k - len(fit.names))
    frame = {
        **out,
        "tau2": batch.tau2,
        "QE": residual,
        "converged": batch.converged,
        "estimable": batch.estimable,
    }
    return pd.DataFrame(frame, index=pd.Index(fit.included_labels, name="study"))
