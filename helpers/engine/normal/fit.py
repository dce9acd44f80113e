"""Batched meta-regression on arrays: many designs, masks or effects in one call (numpy alone)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import MetaAnalysisError, UnsupportedError
from ..options import TAU2_METHOD, TAU2_METHODS
from .regression_likelihood import (
    Products,
    Solved,
    maximise,
    products,
    solve_at,
)
from .tau2 import estimate_tau2
from .weighted import prepare

Array = NDArray[np.float64]

__all__ = ["RegressionFit", "fit_regression"]

_DEFICIENT = 1e-10  # smallest eigenvalue of Q'Q (1 for a full design) below which rank is lost


@dataclass(frozen=True, slots=True)
class RegressionFit:
    """Meta-regressions of R replicates.

    Attributes
    ----------
    beta : ndarray, shape (R, p)
        Coefficients on the model scale.
    cov : ndarray, shape (R, p, p)
        Model-based covariance of the coefficients, without a Knapp-Hartung factor.
    tau2, tau2_se : ndarray, shape (R,)
        Residual between-study variance, at least 0, and its standard error (NaN if the
        estimator has none here).
    scale : ndarray, shape (R,)
        Knapp-Hartung factor sum(w r^2)/(k - p); NaN for the GLMM.
    k : ndarray, shape (R,)
        Studies that take part.
    loglik, loglik_restricted : ndarray, shape (R,)
        Log-likelihoods with all constants at the estimates (restricted: NaN for the GLMM).
    converged, boundary, estimable : ndarray of bool, shape (R,)
        Stopping rule met; tau2 = 0; the replicate's design has full rank (if not, all of its
        numbers are NaN).
    slack : ndarray, shape (R,)
        Log-likelihood above the best point of the scan of the profile (ML and REML).
    source : object
        The GLMM fit that this came from, or None.
    """

    beta: Array
    cov: Array
    tau2: Array
    tau2_se: Array
    scale: Array
    k: Array
    loglik: Array
    loglik_restricted: Array
    converged: NDArray[np.bool_]
    boundary: NDArray[np.bool_]
    estimable: NDArray[np.bool_]
    slack: Array
    source: Any = None

    @property
    def se(self) -> Array:
        """Model-based standard errors, shape (R, p)."""
        return np.sqrt(np.diagonal(self.cov, axis1=1, axis2=2))


def fit_regression(
    yi: ArrayLike,
    vi: ArrayLike,
    X: ArrayLike,
    counts: ArrayLike | None = None,
    *,
    tau2_method: str = TAU2_METHOD,
    tau2: ArrayLike | None = None,
    order: ArrayLike | None = None,
) -> RegressionFit:
    """Fit inverse-variance meta-regressions, many at once.

    Parameters
    ----------
    yi, vi : array_like, shape (k,) or (R, k)
        Effects and sampling variances.
    X : array_like, shape (k, p) or (R, k, p)
        Design with its intercept column, if there is one.
    counts : array_like, shape (k,) or (R, k), optional
        How often each study takes part (0 leaves it out).
    tau2_method : str
        "common" or one of `helpers.engine.options.TAU2_METHODS`.
    tau2 : array_like, shape (R,), optional
        Fixes tau2.
    order : array_like of int, shape (R, k), optional
        Row ``order[r, i]`` of `X` is given to study i: permutations of the moderators.

    Returns
    -------
    RegressionFit

    Raises
    ------
    MetaAnalysisError
        Effects or variances without meaning, shapes that disagree, or k <= p.
    UnsupportedError
        An unknown estimator.

    Notes
    -----
    Coefficients are weighted least squares with w = 1/(vi + tau2) (Berkey et al. 1995,
    doi:10.1002/sim.4780140406). ML and REML are the global maxima over tau2 >= 0; the standard
    error of tau2 is from the expected information (ML, REML) or from the variance of the
    quadratic form that defines the estimator (`helpers.engine.normal.tau2_se`).

    Examples
    --------
    >>> yi, vi = [-2.0, -1.0, -3.0, -1.5, -2.5], [0.2, 0.1, 0.3, 0.2, 0.1]
    >>> X = [[1, 0], [1, 1], [1, 0], [1, 1], [1, 0]]
    >>> fit = fit_regression(yi, vi, X)
    >>> fit.beta.round(4).tolist(), fit.tau2.tolist()
    ([[-2.4545, 1.2879]], [0.0])
    """
    y, v, c = _effects(yi, vi, counts)
    x = np.asarray(X, dtype=float)
    x = x[None] if x.ndim == 2 else x
    if x.ndim != 3 or x.shape[1] != y.shape[1]:
        raise MetaAnalysisError(
            f"X has shape {np.shape(X)}; expected (k, p) or (R, k, p) with k = {y.shape[1]}"
        )
    p = x.shape[2]
    used = c > 0
    basis, triangle = np.linalg.qr(np.where(used[..., None], x, 0.0) if len(x) > 1 else x)
    if order is not None:
        basis = basis[0][np.asarray(order, dtype=np.intp)]
    rows = max(len(y), len(v), len(c), len(basis))
    k = np.broadcast_to(c.sum(axis=1), (rows,))
    if (k <= p).any():
        raise MetaAnalysisError(
            f"{int(k.min())} studies for {p} coefficients; expected more studies than coefficients"
        )
    # with every study once, the order of the rows does not matter to their products
    same = order is not None and (c == 1.0).all()
    distinct = basis[:1] if same else basis
    gram = np.swapaxes(distinct, 1, 2) @ (c[..., None] * distinct)
    inner = np.linalg.eigvalsh(gram)[:, 0]
    diagonal = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
    length = np.sqrt((x * x).sum(axis=1))
    full = (diagonal > 1e-10 * np.where(length > 0, length, 1.0)).all(axis=1)
    estimable = np.broadcast_to((inner > _DEFICIENT) & full, (rows,))
    if not estimable.all():
        return _partly(y, v, c, x, estimable, tau2_method, tau2, order)

    lift = np.linalg.inv(triangle)
    centre, shift = _centre(y, used, basis)
    data = products(y - centre, v, c, basis)
    t, converged, slack, se, s = _tau2(data, y, v, c, basis, tau2_method, tau2)
    beta = (lift @ (s.beta + shift)[..., None])[..., 0]
    cov = lift @ s.cov @ np.swapaxes(lift, -1, -2)
    ll = 0.5 * (s.sum_log_w - s.rss)
    constant = 0.5 * np.log(2.0 * np.pi)
    # The design enters the restricted likelihood through the determinant of its basis only.
    return RegressionFit(
        beta=beta,
        cov=0.5 * (cov + np.swapaxes(cov, -1, -2)),
        tau2=t,
        tau2_se=_information_se(s, tau2_method) if se is None else se,
        scale=s.rss / (k - p),
        k=np.array(k),
        loglik=ll - k * constant,
        loglik_restricted=ll - (k - p) * constant + 0.5 * (np.linalg.slogdet(gram)[1] - s.log_det),
        converged=converged,
        boundary=t == 0.0,
        estimable=np.array(estimable),
        slack=slack,
    )


def _effects(yi: ArrayLike, vi: ArrayLike, counts: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Check effects, variances and counts; return them in shape (1 or R, k)."""
    y, v = (np.atleast_2d(np.asarray(a, dtype=float)) for a in (yi, vi))
    c = np.ones((1, y.shape[1])) if counts is None else np.atleast_2d(np.asarray(counts, float))
    if not y.shape[1] == v.shape[1] == c.shape[1]:
        raise MetaAnalysisError(
            f"effects, variances and counts disagree in length: "
            f"{y.shape[1]}, {v.shape[1]} and {c.shape[1]}"
        )
    if not (np.isfinite(c) & (c >= 0)).all():
        raise MetaAnalysisError("counts must be finite and at least 0")
    used = c > 0
    bad = used & ~(np.isfinite(y) & np.isfinite(v) & (v > 0))
    if bad.any():
        row, study = (int(i[0]) for i in np.nonzero(bad))
        raise MetaAnalysisError(
            f"study {study + 1} (replicate {row + 1}): expected a finite effect and a positive, "
            f"finite variance, found {y[min(row, len(y) - 1), study]} and "
            f"{v[min(row, len(v) - 1), study]}"
        )
    if used.all():
        return y, v, c
    return np.where(used, y, 0.0), np.where(used, v, 1.0), c


def _centre(y: Array, used: NDArray[np.bool_], basis: Array) -> tuple[Array, Array]:
    """Part of the effects that the design explains exactly, and its coefficients.

    Taking it away beforehand changes nothing but the digits that sums of squares keep.
    """
    if len(basis) == 1:
        shift = np.linalg.lstsq(basis[0], y[0], rcond=None)[0]
        return (basis[0] @ shift)[None], shift[None]
    one = used.astype(float)
    inside = np.einsum("rkp,rk->rp", basis, np.broadcast_to(one, basis.shape[:2]))
    rest = one - (basis @ inside[..., None])[..., 0]
    if np.abs(rest).max() > 1e-9:  # no intercept among the columns
        return np.zeros_like(y[:, :1]), np.zeros_like(inside[:1])
    mean = (one * y).sum(axis=1, keepdims=True) / one.sum(axis=1, keepdims=True)
    return mean * one, mean * inside


def _partly(
    y: Array,
    v: Array,
    c: Array,
    x: Array,
    estimable: NDArray[np.bool_],
    method: str,
    tau2: ArrayLike | None,
    order: ArrayLike | None,
) -> RegressionFit:
    """Fit the replicates whose design has full rank; the others are NaN and flagged."""
    rows, p = len(estimable), x.shape[2]
    index = np.flatnonzero(estimable)

    def pick(a: Array) -> Array:
        return a if len(a) == 1 else a[index]

    nan = np.full(rows, np.nan)
    out = {
        "beta": np.full((rows, p), np.nan),
        "cov": np.full((rows, p, p), np.nan),
        **{f: nan.copy() for f in ("tau2", "tau2_se", "scale", "loglik", "loglik_restricted")},
        "slack": nan.copy(),
        "k": np.array(np.broadcast_to(c.sum(axis=1), (rows,))),
        "converged": np.zeros(rows, dtype=bool),
        "boundary": np.zeros(rows, dtype=bool),
    }
    if index.size:
        fixed = None if tau2 is None else np.broadcast_to(np.asarray(tau2, float), (rows,))[index]
        part = fit_regression(
            pick(y),
            pick(v),
            pick(x),
            pick(c),
            tau2_method=method,
            tau2=fixed,
            order=None if order is None else np.asarray(order)[index],
        )
        for name, values in out.items():
            values[index] = getattr(part, name)
    return RegressionFit(**out, estimable=np.array(estimable))


def _tau2(
    data: Products,
    y: Array,
    v: Array,
    c: Array,
    basis: Array,
    method: str,
    fixed: ArrayLike | None,
) -> tuple[Array, NDArray[np.bool_], Array, Array | None, Solved]:
    """Estimate tau2, its standard error where the engine knows it, and the regression there."""
    rows = len(data.pairs)
    yes, nan = np.ones(rows, dtype=bool), np.full(rows, np.nan)
    if fixed is not None:
        t = np.array(np.broadcast_to(np.asarray(fixed, dtype=float), (rows,)))
        if not (np.isfinite(t) & (t >= 0)).all():
            raise MetaAnalysisError("tau2 must be finite and at least 0")
        return t, yes, nan, nan, solve_at(data, t)
    if method == "common":
        return np.zeros(rows), yes, nan, nan, solve_at(data, np.zeros(rows))
    if method in ("ML", "REML"):
        best = maximise(data, restricted=method == "REML")
        return best.tau2, best.converged, best.slack, None, best.solved
    if method not in TAU2_METHODS:
        raise UnsupportedError(
            f"tau2_method={method!r}: expected common or one of {', '.join(TAU2_METHODS)}"
        )
    fit = estimate_tau2(prepare(y, v, c, basis), method)
    t, converged, se = (np.broadcast_to(a, (rows,)) for a in (fit.tau2, fit.converged, fit.se))
    found: Array = np.array(t, dtype=float)
    return found, np.array(converged), nan, np.array(se), solve_at(data, found)


def _information_se(s: Solved, method: str) -> Array:
    """Turn the expected information about tau2 into a standard error."""
    return np.sqrt(2.0 / (s.sum_w2 if method == "ML" else s.trace_pp))
