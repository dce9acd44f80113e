"""Tests on GLMM fits: heterogeneity and the between-study variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..summaries import LIKELIHOOD_RATIO, Heterogeneity, homogeneity_p
from .batch import Problem
from .fit import GLMMFit
from .kernel import gauss_hermite, study_terms
from .start import solve_positive
from .studies import Array
from .weights import fitted_chunks


@dataclass(frozen=True, slots=True, eq=False)
class GLMMHeterogeneity:
    """Heterogeneity tests of the GLMM, arrays of shape ``(R,)``."""

    #: Wald test that the saturated model's study effects are those of the fixed part
    Q_wald: Array
    p_wald: Array
    #: Likelihood-ratio test of the GLM without random effect against the saturated model
    Q_lrt: Array
    p_lrt: Array
    #: Degrees of freedom of the likelihood-ratio test, studies minus coefficients
    df: NDArray[np.intp]
    #: Degrees of freedom of the Wald test: studies with weight minus the coefficients that they
    #: determine
    df_wald: NDArray[np.intp]
    #: Likelihood-ratio statistic of ``tau2 = 0`` against the GLMM and its p-value under the half-
    #: and-half mixture of zero and chi-squared with 1 df
    lrt_tau2: Array
    p_tau2: Array

    def summary(self, spread: tuple[float, float], vt: float, *, tau2: bool) -> Heterogeneity:
        """Give the first row as part of a result.

        Parameters
        ----------
        spread : tuple of float
            I2 in percent, and H2.
        vt : float
            Typical sampling variance behind them.
        tau2 : bool
            Whether the result has a tau2 of its own, whose test then belongs to it.
        """
        return Heterogeneity(
            Q=float(self.Q_lrt[0]),
            df=int(self.df[0]),
            p=float(self.p_lrt[0]),
            I2=spread[0],
            H2=spread[1],
            typical_variance=vt,
            test=LIKELIHOOD_RATIO,
            Q_wald=float(self.Q_wald[0]),
            df_wald=int(self.df_wald[0]),
            p_wald=float(self.p_wald[0]),
            tau2_lrt=float(self.lrt_tau2[0]) if tau2 else None,
            tau2_p=float(self.p_tau2[0]) if tau2 else None,
        )


def heterogeneity_tests(fit: GLMMFit) -> GLMMHeterogeneity:
    r"""Test whether study effects vary beyond binomial (Poisson) variation.

    Three tests:

    * Wald, in the saturated model: :math:`Q = \sum w_i (y_i - x_i'b)^2` with the studies' own
      logits (log rates) and :math:`w_i = x_i (n_i - x_i) / n_i` (:math:`x_i`). A study without
      events (or with nothing but events) has an infinite logit with infinite variance in the
      saturated model and adds nothing to the statistic nor to the degrees of freedom. (metafor
      counts it there, which makes the test of sparse tables blind.)
    * Likelihood ratio of the saturated model against the model without random effect; studies
      without events count in full. Both: Stijnen, Hamza & Özdemir 2010, doi:10.1002/sim.4040.
    * Likelihood ratio of ``tau2 = 0`` against the GLMM. Zero is the boundary, so that the
      reference distribution is half a point mass at zero and half chi-squared with 1 df (Self &
      Liang 1987, doi:10.1080/01621459.1987.10478472).

    Examples
    --------
    >>> from helpers.engine.counts.fit import fit_glmm
    >>> fit = fit_glmm(events=[3, 0, 8, 12, 2], n=[40, 25, 60, 55, 48])
    >>> test = heterogeneity_tests(fit)
    >>> print(round(float(test.Q_lrt[0]), 3), int(test.df[0]), round(float(test.p_lrt[0]), 4))
    14.911 4 0.0049
    """
    rows = len(fit)
    Q, df_wald = np.full(rows, np.nan), np.zeros(rows, dtype=np.intp)
    usable = np.flatnonzero(np.isfinite(fit.loglik_tau0))
    data = fit.data if usable.size == rows else fit.data.take(usable)
    for local, problem in data.chunks(1):
        index = usable[local]
        s = problem.studies
        inside = np.isfinite(s.t_saturated)
        y = np.where(inside, s.t_saturated, 0.0)
        if problem.offset is not None:
            y = np.where(inside, y - problem.offset, 0.0)
        size = np.where(s.n > 0, s.n, 1.0)
        w = s.x * (s.n - s.x) / size if s.family == "binomial" else s.x
        w = problem.weighted(np.where(inside, w, 0.0))
        b = solve_positive(problem.second(w), problem.first(w * y))
        fitted = problem.eta(b) if problem.offset is None else problem.eta(b) - problem.offset
        Q[index] = (w * (y - fitted) ** 2).sum(axis=1)
        df_wald[index] = _seen_df(problem, w)
    df = np.maximum(fit.k - fit.beta.shape[1], 0)
    lrt = np.maximum(2.0 * (fit.loglik_saturated - fit.loglik_tau0), 0.0)
    lrt_tau2 = np.maximum(2.0 * (fit.loglik - fit.loglik_tau0), 0.0)
    lrt_tau2 = np.where(fit.boundary, 0.0, lrt_tau2)
    lrt_tau2 = np.where(fit.converged, lrt_tau2, np.nan)
    p_wald, p_lrt, p_above = homogeneity_p(
        np.array([Q, lrt, lrt_tau2]), np.array([df_wald, df, np.ones(rows)])
    )
    p_tau2 = np.where(lrt_tau2 > 0, 0.5 * p_above, p_above)
    return GLMMHeterogeneity(Q, p_wald, lrt, p_lrt, df, df_wald, lrt_tau2, p_tau2)


def _seen_df(problem: Problem, w: Array) -> NDArray[np.intp]:
    """Studies with weight, less the coefficients that they determine, shape ``(r,)``."""
    seen = (w > 0).astype(float)
    second = problem.second(seen)
    spread = second[..., 0] if problem.p == 1 else np.linalg.eigvalsh(second)
    rank = (spread > 1e-10 * np.maximum(spread[:, -1:], 1e-300)).sum(axis=1)
    number = problem.weighted(seen).sum(axis=1)
    return np.maximum(number - rank, 0).astype(np.intp)


def quadrature_error(fit: GLMMFit, points: int = 60) -> Array:
    """How far the fit's quadrature log-likelihood is from that of ``points`` nodes.

    Both at the fitted parameters, shape ``(R,)``. A value beyond about 0.01 says that the chosen
    number of nodes is too small for these data (very sparse studies, large ``tau``).

    Examples
    --------
    >>> from helpers.engine.counts.fit import fit_glmm
    >>> laplace = fit_glmm([3, 0, 8, 12, 2], [40, 25, 60, 55, 48], quad_points=1)
    >>> seven = fit_glmm([3, 0, 8, 12, 2], [40, 25, 60, 55, 48])
    >>> bool(abs(quadrature_error(seven)[0]) < 1e-4 < abs(quadrature_error(laplace)[0]))
    True
    """
    out = np.full(len(fit), np.nan)
    fine = gauss_hermite(points)
    for index, problem, eta, tau2 in fitted_chunks(fit, points):
        terms = study_terms(problem.studies, eta, tau2, fine)
        value = problem.weighted(terms.value).sum(axis=1) + fit.loglik_saturated[index]
        out[index] = fit.loglik[index] - value
    return out
