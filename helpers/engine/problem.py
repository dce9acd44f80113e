"""What a regression was fitted to, and how to fit it again (permuted, without studies, nested)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UnsupportedError
from .counts.fit import fit_glmm
from .counts.kernel import StudyTerms, gauss_hermite, study_terms
from .counts.studies import Family, fixed_terms, prepare
from .distributions import expit
from .effects import Measure
from .normal.fit import RegressionFit, fit_regression
from .options import QUAD_POINTS

Array = NDArray[np.float64]

__all__ = ["Problem", "fit_counts"]


def fit_counts(
    events: ArrayLike,
    n: ArrayLike,
    X: ArrayLike,
    counts: ArrayLike | None = None,
    *,
    family: str = "binomial",
    quad_points: int = QUAD_POINTS,
) -> RegressionFit:
    """Fit the GLMM with moderators, many at once, in the same form as `fit_regression`.

    Parameters
    ----------
    events, n : array_like, shape (k,) or (R, k)
        Events, and patients (binomial) or person-time (Poisson).
    X : array_like, shape (k, p) or (R, k, p)
        Design.
    counts : array_like, optional
        How often each study takes part.
    family, quad_points
        As for `helpers.fit_glmm`.

    Returns
    -------
    RegressionFit
        `cov` is the block of the inverse observed information of (beta, tau); `tau2_se` follows
        from the standard error of tau by the delta method.

    Examples
    --------
    >>> fit = fit_counts([3, 0, 8, 12, 2], [40, 25, 60, 55, 48], [[1.0]] * 5)
    >>> fit.beta.round(4).tolist()
    [[-2.3823]]
    """
    if family not in ("binomial", "poisson"):
        raise UnsupportedError(f"family={family!r}: expected binomial or poisson")
    times = None if counts is None else np.asarray(counts)
    fit = fit_glmm(
        events,
        n,
        X,
        times if times is None or (times % 1 != 0).any() else times.astype(int),
        family="binomial" if family == "binomial" else "poisson",
        quad_points=quad_points,
    )
    nan = np.full(len(fit.tau), np.nan)
    return RegressionFit(
        beta=fit.beta,
        cov=fit.vcov,
        tau2=fit.tau2,
        tau2_se=2.0 * fit.tau * fit.tau_se,
        scale=nan,
        k=np.asarray(fit.k, dtype=float),
        loglik=fit.loglik,
        loglik_restricted=nan,
        converged=fit.converged,
        boundary=fit.boundary,
        estimable=np.asarray(np.isfinite(fit.beta).all(axis=1)),
        slack=nan,
        source=fit,
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """Included studies of a regression with the choices that fitting needs.

    Attributes
    ----------
    yi, vi : ndarray, shape (k,)
        Effects and sampling variances.
    events, size : ndarray or None, shape (k,)
        Counts (events; patients or person-time).
    X : ndarray, shape (k, p)
        Design.
    measure : Measure
        Effect measure.
    model : str
        "common", "random" or "glmm".
    tau2_method : str or None
        Estimator ("random" only).
    quad_points : int
        Nodes of the GLMM.
    """

    yi: Array
    vi: Array
    events: Array | None
    size: Array | None
    X: Array
    measure: Measure
    model: str
    tau2_method: str | None
    quad_points: int

    @property
    def family(self) -> Family:
        """Family of the GLMM."""
        return "poisson" if self.measure.kind == "rate" else "binomial"

    def refit(
        self,
        X: Array | None = None,
        *,
        order: NDArray[np.intp] | None = None,
        counts: ArrayLike | None = None,
        signs: Array | None = None,
        null: float = 0.0,
        tau2_method: str | None = None,
    ) -> RegressionFit:
        """Fit other designs, permuted rows, subsets or sign flips, all in one batch.

        Parameters
        ----------
        X : ndarray, optional
            Another design, shape (k, q) or (R, k, q).
        order : ndarray of int, shape (R, k), optional
            Permutations of the rows of the design.
        counts : array_like, shape (R, k), optional
            Which studies take part.
        signs : ndarray, shape (R, k), optional
            Signs of the effects around `null` (inverse variance).
        tau2_method : str, optional
            Another estimator.
        """
        design = self.X if X is None else X
        if self.model == "glmm":
            if signs is not None:
                raise UnsupportedError(
                    "sign flips are defined for inverse-variance models without moderators"
                )
            assert self.events is not None and self.size is not None  # noqa: PT018
            permuted = design if order is None else design[order]
            return fit_counts(
                self.events,
                self.size,
                permuted,
                counts,
                family=self.family,
                quad_points=self.quad_points,
            )
        y = self.yi if signs is None else signs * (self.yi - null)
        method = tau2_method or ("common" if self.model == "common" else self.tau2_method)
        return fit_regression(y, self.vi, design, counts, tau2_method=method or "REML", order=order)

    def study_terms(self, beta: Array, tau2: float) -> StudyTerms:
        """Log-likelihood contributions of the studies to the GLMM, with derivatives."""
        assert self.events is not None and self.size is not None  # noqa: PT018
        studies = prepare(self.family, self.events[None], self.size[None])
        eta = (self.X @ beta)[None]
        if tau2 == 0.0:
            value, slope, information = fixed_terms(studies, eta)
            zero = np.zeros_like(eta)
            return StudyTerms(value, slope, zero, -information, zero, zero, eta)
        return study_terms(studies, eta, np.full_like(eta, tau2), gauss_hermite(self.quad_points))

    def weights(self, beta: Array, tau2: float) -> Array:
        """Weight each study by its information about its linear predictor, shape (k,).

        1/(vi + tau2) for inverse variance; for the GLMM 1/(1/v + tau2) with v = n p (1 - p)
        (Poisson: expected events) at the fitted value.
        """
        if self.model != "glmm":
            return 1.0 / (self.vi + tau2)
        assert self.size is not None
        eta = self.X @ beta
        rate = np.exp(eta) if self.family == "poisson" else expit(eta) * expit(-eta)
        return 1.0 / (1.0 / (self.size * rate) + tau2)
