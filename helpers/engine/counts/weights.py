"""What a GLMM fit says about each study: shrunken estimates and shares of the information."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .batch import Problem
from .fit import GLMMFit
from .kernel import gauss_hermite, posterior_nodes, study_terms
from .studies import Array


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


def empirical_bayes(fit: GLMMFit) -> tuple[Array, Array]:
    """Posterior mean and standard deviation of each study's logit (log rate), shape (R, k).

    By at least 40 nodes of quadrature. They condition on the estimates of ``beta`` and ``tau``,
    whose uncertainty is not included; nan where a study takes no part or a replicate has no fit.
    """
    nodes = gauss_hermite(max(40, fit.quad_points))
    mean, sd = np.full((2, len(fit), fit.data.k), np.nan)
    for index, problem, eta, tau2 in fitted_chunks(fit, len(nodes[0])):
        t, _, at, weight = posterior_nodes(problem.studies, eta, tau2, nodes)
        here = (weight * (at - t)).sum(axis=0)
        spread = np.sqrt((weight * (at - t - here) ** 2).sum(axis=0))
        taking = problem.studies.n > 0
        mean[index] = np.where(taking, t + here, np.nan)
        sd[index] = np.where(taking, spread, np.nan)
    return mean, sd


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
