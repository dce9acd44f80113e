"""Maximum of the selection model's likelihood."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...arguments import Array
from ...errors import ConvergenceError
from .selection_kernel import Steps, log_likelihood

_STARTS = (1.0, 0.5, 0.15, 0.03, 3.0)


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

    def value(eta: Any) -> float:
        return evaluate(eta)[0]

    def gradient(eta: Any) -> Any:
        return evaluate(eta)[1]

    def hessian(eta: Any) -> Any:
        return evaluate(eta)[2]

    found: list[SelectionMaximum] = []
    for level in _STARTS:
        eta = np.zeros(m + 1)
        eta[1] = np.log(max(start[1], 0.05 * unit**2) / unit**2)
        eta[2:] = np.log(level)
        end = minimize(
            value,
            eta[free],
            jac=gradient,
            hess=hessian,
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
