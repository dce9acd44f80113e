r"""Likelihood of the step-function selection model, with exact derivatives, and its maximum.

Study i is seen with a relative probability :math:`\delta_j` that depends on the interval j in
which its p-value falls. Given that it is seen,

.. math::

   \log f(y_i) = \log \delta_{j(i)} + \log \phi(y_i; \mu, v_i + \tau^2)
                 - \log A_i, \quad A_i = \sum_s \delta_{d(s)} P_{is},

where :math:`P_{is}` is the probability that an effect falls into segment s of the real line
(segments are cut where the p-value crosses a cut-point) and d(s) is the interval of segment s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ...engine.distributions import norm_cdf, norm_pdf, norm_ppf, norm_sf
from ...errors import ConvergenceError

Index = NDArray[np.int64]
#: Relative probabilities of being seen from which the maximum is looked for.
_STARTS = (1.0, 0.5, 0.15, 0.03, 3.0)


class Steps(NamedTuple):
    """Data of one selection model: k studies, S segments of the real line, m intervals of p.

    `bounds`, shape (k, S - 1), are the effects at which the p-value of each study crosses a
    cut-point, increasing; `segment`, shape (S,), is the interval d(s) of each segment, and
    `interval`, shape (k,), that of each observed p-value.
    """

    yi: Array
    vi: Array
    bounds: Array
    segment: Index
    interval: Index
    m: int


def p_values(yi: Array, vi: Array, null: float, alternative: str) -> Array:
    """Wald p-values of each study against `null`."""
    z = (yi - null) / np.sqrt(vi)
    if alternative == "greater":
        return np.asarray(norm_sf(z))
    if alternative == "less":
        return np.asarray(norm_cdf(z))
    return np.asarray(2.0 * norm_sf(np.abs(z)))


def steps(yi: Array, vi: Array, cutpoints: Array, null: float, alternative: str) -> Steps:
    """Lay the segments out for "greater", "less" or "two-sided" p-values."""
    m = cutpoints.size + 1
    if alternative == "greater":
        z, segment = norm_ppf(1.0 - cutpoints[::-1]), np.arange(m)[::-1]
    elif alternative == "less":
        z, segment = norm_ppf(cutpoints), np.arange(m)
    else:
        half = norm_ppf(1.0 - cutpoints[::-1] / 2.0)
        z = np.concatenate([-half[::-1], half])
        segment = np.concatenate([np.arange(m), np.arange(m - 1)[::-1]])
    p = p_values(yi, vi, null, alternative)
    return Steps(
        yi,
        vi,
        null + np.sqrt(vi)[:, None] * np.asarray(z)[None, :],
        np.asarray(segment, dtype=np.int64),
        np.searchsorted(cutpoints, p, side="left").astype(np.int64),
        m,
    )


def log_likelihood(data: Steps, mu: float, tau2: float, delta: Array) -> tuple[float, Array, Array]:
    """Log-likelihood with gradient and Hessian with respect to (mu, tau2, delta[1:]).

    `delta`, shape (m,), are the relative probabilities; the first is the reference (1).
    """
    k, m = data.yi.size, data.m
    t = data.vi + tau2
    s = np.sqrt(t)
    r = data.yi - mu
    value = float(
        np.log(delta[data.interval]).sum() - 0.5 * (np.log(2.0 * np.pi * t) + r * r / t).sum()
    )
    gradient = np.zeros(m + 1)
    hessian = np.zeros((m + 1, m + 1))
    gradient[0] = (r / t).sum()
    gradient[1] = 0.5 * (r * r / t**2 - 1.0 / t).sum()
    hessian[0, 0] = -(1.0 / t).sum()
    hessian[0, 1] = hessian[1, 0] = -(r / t**2).sum()
    hessian[1, 1] = (0.5 / t**2 - r * r / t**3).sum()
    seen = np.bincount(data.interval, minlength=m).astype(float)
    gradient[2:] += seen[1:] / delta[1:]
    hessian[np.arange(2, m + 1), np.arange(2, m + 1)] -= seen[1:] / delta[1:] ** 2

    # Derivatives of Phi(u) at the bounds, u = (bound - mu)/s.
    u = (data.bounds - mu) / s[:, None]
    cdf, pdf = norm_cdf(u), norm_pdf(u)
    sc, tc = s[:, None], t[:, None]
    first = np.stack([-pdf / sc, -0.5 * u * pdf / tc])
    second = {
        (0, 0): -u * pdf / tc,
        (0, 1): 0.5 * pdf * (1.0 - u * u) / (tc * sc),
        (1, 1): 0.25 * u * pdf * (3.0 - u * u) / tc**2,
    }
    # A = delta of the last segment + sum of jumps times Phi(u): finite everywhere.
    member = (data.segment[:, None] == np.arange(m)[None, :]).astype(float)
    jump = member[:-1] - member[1:]
    c = jump @ delta
    probability = np.concatenate([cdf, np.ones((k, 1))], axis=1)
    probability[:, 1:] -= cdf
    a = probability @ (member @ delta)
    da = np.empty((k, m + 1))
    da[:, :2] = np.einsum("aks,s->ka", first, c)
    da[:, 2:] = (probability @ member)[:, 1:]
    d2 = np.zeros((k, m + 1, m + 1))
    for (i, j), derivative in second.items():
        d2[:, i, j] = d2[:, j, i] = derivative @ c
    cross = np.einsum("aks,sj->kaj", first, jump)[:, :, 1:]
    d2[:, :2, 2:] = cross
    d2[:, 2:, :2] = np.swapaxes(cross, 1, 2)
    ratio = da / a[:, None]
    value -= float(np.log(a).sum())
    gradient -= ratio.sum(axis=0)
    hessian -= (d2 / a[:, None, None]).sum(axis=0) - ratio.T @ ratio
    return value, gradient, hessian


class SelectionMaximum(NamedTuple):
    """Highest point found, with the number of distinct local maxima met."""

    value: float
    mu: float
    tau2: float
    delta: Array
    maxima: int


def maximise(problem: Steps, start: tuple[float, float], *, with_tau2: bool) -> SelectionMaximum:
    """Find the best of the maxima reached from several starting points.

    `start` is the mean and the between-study variance without selection; without `with_tau2` the
    variance is fixed at 0.
    """
    from scipy.optimize import minimize

    m = problem.m
    free = np.array([i for i in range(m + 1) if with_tau2 or i != 1])
    # Units of the problem: an offset and a scale make mu as tame as the logarithms.
    unit = float(np.sqrt(np.median(problem.vi)))

    def unpack(eta: Array) -> tuple[float, float, Array]:
        full = np.zeros(m + 1)
        full[free] = eta
        tau2 = float(np.exp(full[1])) * unit**2 if with_tau2 else 0.0
        return float(start[0] + unit * full[0]), tau2, np.concatenate([[1.0], np.exp(full[2:])])

    def evaluate(eta: Any) -> tuple[float, Any, Any]:
        mu, tau2, delta = unpack(eta)
        height, first, second = log_likelihood(problem, mu, tau2, delta)
        slope = np.concatenate([[unit, tau2], delta[1:]])
        bent = first * slope
        bent[0] = 0.0
        inner = second * np.outer(slope, slope) + np.diag(bent)
        return -height, -(first * slope)[free], -inner[np.ix_(free, free)]

    found: list[SelectionMaximum] = []
    for level in _STARTS:
        eta = np.zeros(m + 1)
        eta[1] = np.log(max(start[1], 0.05 * unit**2) / unit**2)
        eta[2:] = np.log(level)
        end = minimize(
            lambda eta: evaluate(eta)[:2],
            eta[free],
            jac=True,
            hess=lambda eta: evaluate(eta)[2],
            method="trust-exact",
            options={"gtol": 1e-9, "maxiter": 500},
        )
        if np.isfinite(end.fun):
            found.append(SelectionMaximum(-float(end.fun), *unpack(end.x), maxima=0))
    if not found:
        raise ConvergenceError("the selection model has no finite likelihood at any start")
    found.sort(key=lambda f: -f.value)
    distinct = 1 + int((np.diff([f.value for f in found]) < -1e-5).sum())
    return found[0]._replace(maxima=distinct)
