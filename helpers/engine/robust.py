r"""Cluster-robust covariance with small-sample corrections.

With clusters i, working covariance :math:`\Phi`, weights :math:`W = \Phi^{-1}`,
:math:`M = (X'WX)^{-1}` and residuals e the sandwich is
:math:`M\,(\sum_i X_i'W_iA_ie_ie_i'A_i'W_iX_i)\,M`:

========  =============================================  ========================================
type      adjustment A_i                                 reference distribution
========  =============================================  ========================================
``CR0``   identity (Liang and Zeger 1986,                t with J - p degrees of freedom
          doi:10.1093/biomet/73.1.13; Hedges, Tipton
          and Johnson 2010, doi:10.1002/jrsm.5)
``CR1``   identity, times J/(J - p)                      t with J - p degrees of freedom
``CR2``   unbiased under the working model (Bell and     t with Satterthwaite degrees of freedom;
          McCaffrey 2002; Tipton 2015,                   several coefficients: Hotelling's T^2
          doi:10.1037/met0000011)                        (doi:10.3102/1076998615606099)
========  =============================================  ========================================

J is the number of clusters, p the number of coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import printing
from ..arguments import Array, one_of
from ..errors import MetaAnalysisError, UnsupportedError
from .distributions import f_sf
from .wald import ModelTest, wald_test

#: Types of cluster-robust covariance.
ROBUST: tuple[str, ...] = ("CR0", "CR1", "CR2")

_SINGULAR = 1e-10  # relative to the largest eigenvalue about 1: a correlation matrix of rank < q


class TooFewClustersError(MetaAnalysisError):
    """Several coefficients cannot be tested at once with so few clusters."""


@dataclass(frozen=True, slots=True)
class RobustCovariance:
    """A cluster-robust covariance and what its tests need."""

    kind: str  # "CR0", "CR1" or "CR2"
    cov: Array  # covariance of the coefficients, shape (p, p)
    clusters: int  # number of clusters J
    #: `own`, `cross`, shape (J, p, p): pieces of the distribution of the covariance under the
    #: working model (CR2).
    own: Array | None
    cross: Array | None
    bread: Array  # (X'WX)^-1, shape (p, p)

    def df(self, L: Array) -> Array:
        """Degrees of freedom of each row of L (q, p), taken one by one."""
        if self.own is None:
            return np.full(len(L), float(self.clusters - len(self.cov)))
        return np.array([self._satterthwaite(row) for row in L])

    def _pieces(self, L: Array) -> Array:
        """Covariance of cluster contributions i and j, shape (J, J, q, q)."""
        assert self.own is not None and self.cross is not None  # noqa: PT018
        f = self.cross @ L.T
        pieces = -np.einsum("iap,ab,jbq->ijpq", f, self.bread, f)
        j = np.arange(len(f))
        pieces[j, j] += L @ self.own @ L.T
        return pieces

    def _satterthwaite(self, row: Array) -> float:
        pieces = self._pieces(row[None])[:, :, 0, 0]
        return float(np.trace(pieces) ** 2 / (pieces**2).sum())

    def test(self, beta: Array, L: Array, label: str) -> ModelTest:
        """Wald test of L beta = 0, with Hotelling's T-squared for CR2."""
        q, variance = len(L), L @ self.cov @ L.T
        few = TooFewClustersError(f"{label}: too few clusters to test {q} coefficients at once")
        scale = np.sqrt(np.diagonal(variance))
        if (scale > 0).all() and np.linalg.matrix_rank(
            variance / np.outer(scale, scale), tol=_SINGULAR, hermitian=True
        ) < np.linalg.matrix_rank(L):
            # a level that one cluster alone determines has no residual: nothing is known of it
            raise few
        if self.own is None:
            return wald_test(beta, self.cov, L, float(self.clusters - len(beta)), label)
        plain = wald_test(beta, self.cov, L, 1.0, label)
        if q == 1:
            df2 = float(self.df(L)[0])
            return ModelTest(
                plain.statistic, 1, df2, float(f_sf(plain.statistic, 1, df2)), "F", label
            )
        expected = np.einsum("iipq->pq", self._pieces(L))
        values, vectors = np.linalg.eigh(0.5 * (expected + expected.T))
        if values[0] <= 1e-12 * values[-1]:
            raise few
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        pieces = self._pieces(root @ L)
        spread = (np.einsum("ijpp->ij", pieces) ** 2).sum() + np.einsum(
            "ijpq,ijqp->", pieces, pieces
        )
        eta = q * (q + 1) / float(spread)
        df2 = eta - q + 1.0
        if df2 <= 0:
            raise few
        f = plain.statistic * df2 / eta
        return ModelTest(f, q, df2, float(f_sf(f, q, df2)), "HTZ", label)


def _groups(codes: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [np.flatnonzero(codes == c) for c in np.unique(codes)]


def _check(kind: str, clusters: int, p: int) -> None:
    one_of("robust", kind, ROBUST)
    if clusters <= p:
        raise MetaAnalysisError(
            f"{printing.counted(clusters, 'cluster')} for {printing.counted(p, 'coefficient')}; "
            "expected more clusters than coefficients"
        )


def sandwich(scores: Array, bread: Array, codes: NDArray[np.intp], kind: str, p: int) -> Array:
    """CR0 or CR1 from score contributions (k, m) and the inverse information (m, m)."""
    groups = _groups(codes)
    _check(kind, len(groups), p)
    if kind == "CR2":
        raise UnsupportedError("robust='CR2' is defined for weighted least squares; use 'CR1'")
    total = np.array([scores[g].sum(axis=0) for g in groups])
    cov = bread @ (total.T @ total) @ bread
    return cov * (len(groups) / (len(groups) - p) if kind == "CR1" else 1.0)


def robust_covariance(
    X: Array, residuals: Array, working: list[Array], codes: NDArray[np.intp], kind: str
) -> RobustCovariance:
    """Cluster-robust covariance of a weighted least squares fit with marginal `residuals` y - X b.

    `working` is the working covariance of each cluster, in the order of the sorted codes; the
    weights of the fit are its inverse.
    """
    groups = _groups(codes)
    p = X.shape[1]
    _check(kind, len(groups), p)
    weights = [np.linalg.inv(phi) for phi in working]
    gram = sum(X[g].T @ w @ X[g] for g, w in zip(groups, weights, strict=True))
    bread = np.linalg.inv(np.asarray(gram))
    parts = []
    for g, w, phi in zip(groups, weights, working, strict=True):
        if kind == "CR2":
            # A = D' (D (Phi - X M X') D')^(-1/2) D with Phi = D'D
            d = np.linalg.cholesky(phi).T
            inner = d @ (phi - X[g] @ bread @ X[g].T) @ d.T
            values, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
            # directions that the cluster alone determines have no residual: pseudo-inverse
            sound = values > 1e-10 * float(np.linalg.norm(d @ phi @ d.T, 2))
            root = np.where(sound, np.where(sound, values, 1.0) ** -0.5, 0.0)
            adjust = d.T @ (vectors * root) @ vectors.T @ d
        else:
            adjust = np.eye(len(g))
        parts.append(adjust.T @ w @ X[g] @ bread)
    scores = np.array([e.T @ residuals[g] for e, g in zip(parts, groups, strict=True)])
    cov = scores.T @ scores
    if kind != "CR2":
        factor = len(groups) / (len(groups) - p) if kind == "CR1" else 1.0
        return RobustCovariance(kind, cov * factor, len(groups), None, None, bread)
    own = np.array([e.T @ phi @ e for e, phi in zip(parts, working, strict=True)])
    cross = np.array([X[g].T @ e for e, g in zip(parts, groups, strict=True)])
    return RobustCovariance(kind, cov, len(groups), own, cross, bread)
