"""Batched meta-regression on arrays: many designs, masks or effects in one call (numpy alone)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import Array
from ...errors import MetaAnalysisError
from ..options import TAU2_METHOD
from ..rows import joined, put
from .likelihood import log_likelihood
from .tau2 import fit_tau2
from .weighted import prepare

_LOG_2_PI = float(np.log(2.0 * np.pi))
#: Fields with one number for each replicate.
_NUMBERS = ("tau2", "tau2_se", "scale", "loglik", "loglik_restricted", "slack")
_CELLS = 4_000_000  # numbers of a batch held at once
_DEFICIENT = 1e-10  # smallest eigenvalue of Q'Q (1 for a full design) below which rank is lost


@dataclass(frozen=True, slots=True)
class RegressionFit:
    """Meta-regressions of R replicates."""

    beta: Array  # coefficients on the model scale, shape (R, p)
    #: Shape (R, p, p): model-based covariance of the coefficients, without a Knapp-Hartung factor.
    cov: Array
    #: `tau2`, `tau2_se`, shape (R,): residual between-study variance, at least 0, and its standard
    #: error (NaN if the estimator has none here).
    tau2: Array
    tau2_se: Array
    scale: Array  # Knapp-Hartung factor sum(w r^2)/(k - p); NaN for the GLMM, shape (R,)
    k: Array  # studies that take part, shape (R,)
    #: `loglik`, `loglik_restricted`, shape (R,): log-likelihoods with all constants at the
    #: estimates (restricted: NaN for the GLMM).
    loglik: Array
    loglik_restricted: Array
    #: `converged`, `boundary`, `estimable`, shape (R,): stopping rule met; tau2 = 0; the
    #: replicate's design has full rank (if not, all of its numbers are NaN).
    converged: NDArray[np.bool_]
    boundary: NDArray[np.bool_]
    estimable: NDArray[np.bool_]
    #: Shape (R,): log-likelihood above the best point of the scan of the profile (ML and REML).
    slack: Array
    source: Any = None  # the GLMM fit that this came from, or None

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

    Effects and variances have shape (k,) or (R, k), the design (with its intercept column) (k, p)
    or (R, k, p). `counts` say how often each study takes part; row ``order[r, i]`` of `X` is given
    to study i: permutations of the moderators.

    Coefficients are weighted least squares with w = 1/(vi + tau2) (Berkey et al. 1995,
    doi:10.1002/sim.4780140406). ML and REML are the global maxima over tau2 >= 0; the standard
    error of tau2 is from the expected information (ML, REML) or from the variance of the
    quadratic form that defines the estimator (`helpers.engine.normal.tau2`).
    """
    x = np.asarray(X, dtype=float)
    x = x[None] if x.ndim == 2 else x
    y, v = (np.atleast_2d(np.asarray(a, dtype=float)) for a in (yi, vi))
    c = np.ones((1, y.shape[1])) if counts is None else np.atleast_2d(np.asarray(counts, float))
    if x.ndim != 3 or x.shape[1] != y.shape[1]:
        raise MetaAnalysisError(
            f"X has shape {np.shape(X)}; expected (k, p) or (R, k, p) with k = {y.shape[1]}"
        )
    p = x.shape[2]
    rows = max(*map(len, (y, v, c, x)), 1 if order is None else len(np.asarray(order)))
    size = max(1, _CELLS // (y.shape[1] * (p + 1) * (p + 2)))

    def some(at: slice | NDArray[np.intp]) -> RegressionFit:
        """Fit some of the replicates."""
        y_, v_, c_, x_ = (a if len(a) == 1 else a[at] for a in (y, v, c, x))
        known = None if tau2 is None else np.broadcast_to(np.asarray(tau2, float), (rows,))[at]
        part = None if order is None else np.asarray(order)[at]
        return fit_regression(y_, v_, x_, c_, tau2_method=tau2_method, tau2=known, order=part)

    if rows > size:
        return joined([some(slice(i, i + size)) for i in range(0, rows, size)])
    used = c > 0
    basis, triangle = np.linalg.qr(np.where(used[..., None], x, 0.0) if len(x) > 1 else x)
    if order is not None:
        basis = basis[0][np.asarray(order, dtype=np.intp)]
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
    if not estimable.all():  # those without full rank are NaN
        nan = {name: np.full(rows, np.nan) for name in _NUMBERS}
        no = {name: np.zeros(rows, dtype=bool) for name in ("converged", "boundary")}
        beta, cov = np.full((rows, p), np.nan), np.full((rows, p, p), np.nan)
        whole = RegressionFit(beta, cov, k=np.array(k), estimable=np.array(estimable), **nan, **no)
        if (at := np.flatnonzero(estimable)).size:
            put(whole, some(at), at)
        return whole

    lift = np.linalg.inv(triangle)
    batch = prepare(y, v, c, basis)
    t, s = fit_tau2(batch, tau2_method, tau2)
    ll = log_likelihood(batch, s, restricted=False)
    return RegressionFit(
        beta=(lift @ s.beta[..., None])[..., 0],
        cov=lift @ s.cov @ np.swapaxes(lift, -1, -2),
        tau2=t.tau2,
        tau2_se=t.se,
        scale=s.rss / (k - p),
        k=np.array(k),
        loglik=ll,
        # The design enters the restricted likelihood through the determinant of its basis only.
        loglik_restricted=ll + 0.5 * (p * _LOG_2_PI + np.linalg.slogdet(gram)[1] - s.log_det),
        converged=t.converged,
        boundary=t.boundary,
        estimable=np.array(estimable),
        slack=np.full(rows, np.nan) if t.scan is None else t.scan.slack,
    )
