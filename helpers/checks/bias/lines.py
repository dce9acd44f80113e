"""Straight lines through funnel plots, many at once.

Every regression test of this package is a weighted straight line ``yi = a + b xi``. Arrays
have shape (R, k): R replicates of k studies, so that a simulation of thousands of tests is
one call. Sums are centred at the weighted mean of the predictor, which keeps full precision
for predictors as far from zero as sample sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import Array, one_of
from ...engine.distributions import norm_sf, t_sf
from ...engine.normal.fit import fit_regression
from ...engine.options import TAU2_METHOD
from ...errors import MetaAnalysisError

Flags = NDArray[np.bool_]

#: Predictors of the regression tests -> words for sentences and axes.
PREDICTORS: dict[str, str] = {
    "sei": "standard error",
    "vi": "sampling variance",
    "ni": "sample size",
    "ninv": "inverse of the sample size",
    "sqrtni": "square root of the sample size",
    "sqrtninv": "inverse square root of the sample size",
}
#: Reference distributions of the slope.
CI_METHODS: tuple[str, ...] = ("t", "wald", "knapp-hartung")
# Residuals below this share of the effects' size are rounding, not information.
_ROUNDING = 64.0 * float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines ``yi = intercept + slope * xi`` of R replicates; every array has shape (R,).

    `df` is the number of studies with positive weight minus 2, `dispersion` the weighted squared
    residuals over it, and `tau2` the additive between-study variance (0 for the multiplicative
    model; `converged` and `boundary` say how it was found). Where a replicate has fewer than three
    studies, one value of the predictor only, or a perfect fit, it is not `defined`: statistic and
    two-sided p-value are NaN.
    """

    intercept: Array
    slope: Array
    intercept_se: Array
    slope_se: Array
    statistic: Array
    p: Array
    df: Array
    dispersion: Array
    tau2: Array
    defined: Flags
    converged: Flags
    boundary: Flags


def joined(parts: Sequence[Lines]) -> Lines:
    """Put the replicates of several batches together."""
    names = [one.name for one in fields(Lines)]
    return Lines(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def predictor_values(name: str, vi: Array, n: Array | None) -> Array:
    """Values of a predictor, one of `PREDICTORS`; some need the sample sizes."""
    one_of("predictor", name, PREDICTORS)
    if name == "sei":
        return np.sqrt(vi)
    if name == "vi":
        return vi + 0.0
    if n is None:
        raise MetaAnalysisError(f"predictor={name!r} needs the sample sizes `n`")
    size = np.sqrt(n) if name.startswith("sqrt") else n + 0.0
    return 1.0 / size if name.endswith("inv") else size


def fit_lines(
    yi: ArrayLike,
    weights: ArrayLike,
    xi: ArrayLike,
    *,
    tau2: Array | None = None,
    ci_method: str = "t",
    multiplicative: bool = True,
) -> Lines:
    """Weighted least squares lines with tests of the slope.

    Arrays of shape (R, k); a weight of 0 leaves a study out. `tau2` of shape (R,) is already
    contained in the weights and carried along. The statistic has t with `df` degrees of freedom
    ("t") or the normal distribution ("wald"); "knapp-hartung" is t with standard errors multiplied
    by the root of the dispersion, which those of a `multiplicative` line always contain.
    """
    one_of("ci_method", ci_method, CI_METHODS)
    y, w, x = np.broadcast_arrays(*(np.atleast_2d(np.asarray(a, float)) for a in (yi, weights, xi)))
    used = w > 0
    y, x = np.where(used, y, 0.0), np.where(used, x, 0.0)
    df = used.sum(axis=1) - 2.0
    total = w.sum(axis=1)
    safe_total = np.where(total > 0, total, 1.0)
    x_mean, y_mean = (np.einsum("rk,rk->r", w, a) / safe_total for a in (x, y))
    xc, yc = x - x_mean[:, None], y - y_mean[:, None]
    sxx = np.einsum("rk,rk,rk->r", w, xc, xc)
    syy = np.einsum("rk,rk,rk->r", w, yc, yc)
    spread = sxx > _ROUNDING**2 * np.einsum("rk,rk,rk->r", w, x, x)
    solvable = spread & (df > 0)
    safe_sxx, safe_df = np.where(spread, sxx, 1.0), np.where(df > 0, df, 1.0)
    slope = np.where(spread, np.einsum("rk,rk,rk->r", w, xc, yc) / safe_sxx, 0.0)
    residual = yc - slope[:, None] * xc
    rss = np.einsum("rk,rk,rk->r", w, residual, residual)
    size = syy + total * y_mean**2
    defined = solvable.copy()
    scaled = multiplicative or ci_method == "knapp-hartung"
    if scaled:
        defined &= rss > _ROUNDING**2 * size
    dispersion = rss / safe_df
    factor = dispersion if scaled else np.ones_like(dispersion)
    slope_se = np.sqrt(factor / safe_sxx)
    intercept_se = np.sqrt(factor * (1.0 / safe_total + x_mean**2 / safe_sxx))
    statistic = np.where(defined, slope / np.where(defined, slope_se, 1.0), np.nan)
    size_of = np.where(defined, np.abs(statistic), 0.0)
    tail = norm_sf(size_of) if ci_method == "wald" else t_sf(size_of, safe_df)
    yes = np.ones(df.shape, dtype=bool)
    return Lines(
        intercept=y_mean - slope * x_mean,
        slope=slope,
        intercept_se=intercept_se,
        slope_se=slope_se,
        statistic=statistic,
        p=np.where(defined, 2.0 * tail, np.nan),
        df=df,
        dispersion=dispersion,
        tau2=np.zeros(df.shape) if tau2 is None else tau2,
        defined=defined,
        converged=yes,
        boundary=~yes,
    )


def egger_batch(
    yi: ArrayLike,
    vi: ArrayLike,
    xi: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    model: str = "multiplicative",
    tau2_method: str = TAU2_METHOD,
    ci_method: str = "t",
) -> Lines:
    """Regression tests of R sets of k studies in one call (for simulations).

    Effects, variances and predictor (default: the standard errors) have shape (R, k) or (k,);
    variances that all replicates share make it quicker. The model is "multiplicative", whose
    weights 1/vi may be replaced, or "random", with 1/(vi + tau2) by `tau2_method`. Undefined
    replicates are marked, not raised.
    """
    y, v = (np.atleast_2d(np.asarray(a, float)) for a in (yi, vi))
    x = np.sqrt(v) if xi is None else np.atleast_2d(np.asarray(xi, float))
    if model == "multiplicative":
        w = 1.0 / v if weights is None else np.asarray(weights, dtype=float)
        return fit_lines(y, w, x, ci_method=ci_method)
    spread = np.ptp(x, axis=1) > _ROUNDING * np.abs(x).max(axis=1)
    rows = max(len(y), len(v), len(x))
    tau2 = np.zeros(rows)
    converged, boundary = np.ones(rows, dtype=bool), np.ones(rows, dtype=bool)
    if spread.any() and y.shape[1] > 2:
        # tau2 does not depend on the units of the predictor; standardised units keep it exact.
        fit = fit_regression(y, v, _standardised(x), tau2_method=tau2_method)
        sound = fit.estimable & spread
        tau2 = np.where(sound, fit.tau2, 0.0)
        converged, boundary = fit.converged | ~sound, fit.boundary | ~sound
    line = fit_lines(
        y, 1.0 / (v + tau2[:, None]), x, tau2=tau2, ci_method=ci_method, multiplicative=False
    )
    return replace(line, converged=converged, boundary=boundary)


def _standardised(x: Array) -> Array:
    """Design of an intercept and the predictor in standard units, shape (R, k, 2)."""
    scale = x.std(axis=1, keepdims=True)
    z = (x - x.mean(axis=1, keepdims=True)) / np.where(scale > 0, scale, 1.0)
    return np.stack([np.ones_like(z), z], axis=2)
