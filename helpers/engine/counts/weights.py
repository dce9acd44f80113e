"""What a GLMM fit says about each study: shrunken estimates and shares of the information."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .batch import Problem
from .fit import GLMMFit
from .kernel import gauss_hermite, posterior_nodes, study_terms
from .studies import Array


@dataclass(frozen=True, slots=True, eq=False)
class EmpiricalBayes:
    """Study-level estimates given the fitted parameters, each of shape ``(R, k)``.

    They condition on the estimates of ``beta`` and ``tau``, whose uncertainty is not included.
    Values are nan where a study takes no part in a replicate or the replicate has no fit.
    """

    fitted: Array  # linear predictor without random effect, x'beta (plus offset)
    #: `mode`, `mode_sd`: posterior mode of the study's logit (log rate) and tau / sqrt(1 + tau2 v),
    #: the standard deviation of the normal approximation at the mode.
    mode: Array
    mode_sd: Array
    deviation: Array  # mode - fitted: the predicted random effect
    #: `mean`, `sd`: posterior mean and standard deviation of the logit (log rate), by quadrature.
    mean: Array
    sd: Array
    rate: Array  # posterior mean of the study's proportion (rate), by quadrature


def fitted_chunks(
    fit: GLMMFit, points: int
) -> Iterator[tuple[NDArray[np.intp], Problem, Array, Array]]:
    """Chunks of the replicates that have a fit, with linear predictors and ``tau2``."""
    rows = np.flatnonzero(fit.converged)
    if not rows.size:
        return
    for local, problem in fit.data.take(rows).chunks(points, compact=False):
        index = rows[local]
        beta = fit.beta[index]
        design = fit.data.raw_design
        eta = np.matmul(design if len(design) == 1 else design[index], beta[..., None])[..., 0]
        if problem.offset is not None:
            eta = eta + problem.offset
        yield index, problem, eta, fit.tau2[index][:, None]


def empirical_bayes(fit: GLMMFit) -> EmpiricalBayes:
    """Shrunken study-level estimates of the GLMM, by at least 40 nodes of quadrature."""
    nodes = gauss_hermite(max(40, fit.quad_points))
    shape = (len(fit), fit.data.k)
    fitted, mode, scale, mean, sd, rate = (np.full(shape, np.nan) for _ in range(6))
    for index, problem, eta, tau2 in fitted_chunks(fit, len(nodes[0])):
        t, r, at, weight = posterior_nodes(problem.studies, eta, tau2, nodes)
        here = (weight * (at - t)).sum(axis=0)
        spread = np.sqrt((weight * (at - t - here) ** 2).sum(axis=0))
        capped = np.clip(at, -700.0, 700.0)
        on_scale = np.exp(capped) if fit.family == "poisson" else 1.0 / (1.0 + np.exp(-capped))
        taking = problem.studies.n > 0
        for full, part in (
            (fitted, eta),
            (mode, t),
            (scale, r),
            (mean, t + here),
            (sd, spread),
            (rate, (weight * on_scale).sum(axis=0)),
        ):
            full[index] = np.where(taking, part, np.nan)
    return EmpiricalBayes(fitted, mode, scale, mode - fitted, mean, sd, rate)


def information_weights(fit: GLMMFit, coefficient: int = 0) -> Array:
    r"""Share of each study in the information on a coefficient, in percent.

    The observed information on the coefficients at the estimated ``tau`` is a sum over studies,
    :math:`I = \sum_i J_i x_i x_i'` with
    :math:`J_i = -\partial^2 \log L_i / \partial \eta_i^2`. With :math:`V = I^{-1}` study i
    receives :math:`100\, J_i (V x_i)_j^2 / V_{jj}` percent of coefficient j (Riley, Ensor,
    Jackson & Burke 2018, doi:10.1177/0962280216688033). Without covariates this is
    :math:`100\, J_i / \sum J`. Weights are never negative, sum to 100, and are the
    inverse-variance weights of the normal-normal model; at ``tau = 0`` they are
    :math:`n p (1 - p)`.
    """
    if fit.curvature is not None and (fit.data.raw_design == 1.0).all() and fit.converged.all():
        information = np.maximum(fit.curvature, 0.0)  # one mean: a study's share of the sum
        return 100.0 * information / information.sum(axis=1, keepdims=True)
    nodes = gauss_hermite(fit.quad_points)
    out = np.full((len(fit), fit.data.k), np.nan)
    for index, problem, eta, tau2 in fitted_chunks(fit, fit.quad_points):
        each = fit.curvature
        if each is None:
            each = -study_terms(problem.studies, eta, tau2, nodes).eta_eta
        information = problem.weighted(np.maximum(each, 0.0))
        design = fit.data.raw_design
        X = design if len(design) == 1 else design[index]
        # V x_i through the orthonormal basis: V = B (sum J q q')^-1 B', x_i = B'^-1 q_i
        inverse = np.linalg.inv(problem.second(information))
        pull = np.eye(problem.p) if problem.basis is None else problem.basis
        lead = np.matmul(np.broadcast_to(pull, (len(index), *X.shape[2:] * 2)), inverse)
        reach = np.matmul(problem.X, lead[:, coefficient, :, None])[..., 0]
        share = information * reach**2
        out[index] = 100.0 * share / share.sum(axis=1, keepdims=True)
    return out
