"""Posterior of the mean across studies, from the joint posterior of mu and tau."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...arguments import AnyArray as Array
from ..population import mean_rule, solve_logit_mean
from .engine import Layer
from .marginal import Marginal

_SATURATED = 34.0  # logits beyond which a mean proportion is 0 or 1 to all digits


def population_marginal(
    measure: str, mu: Marginal, layer: Layer, weights: Array, level: float
) -> Marginal:
    """Distribution of the mean across studies, on the model scale (logit or logarithm).

    At each node of tau the density of mu is carried over by the slope of mu in the mean; the nodes
    are mixed with their `weights`. Where the mean across studies is mu itself, `mu` is returned.
    """
    how = mean_rule(measure)
    if how == "median":
        return mu
    used = layer.take(np.flatnonzero(np.abs(weights) > 1e-17))
    weights = weights[np.abs(weights) > 1e-17]
    tau = used.tau[:, None]

    def density(y: Array) -> Array:
        if how == "lognormal":
            return np.asarray(weights @ used.mu_density_at(y - 0.5 * tau**2))
        out = np.zeros(y.shape)
        inside = np.flatnonzero(np.abs(y) < _SATURATED)
        for part in np.array_split(inside, max(1, inside.size * tau.size // 2_000)):
            shape = (tau.size, part.size)
            at, slope = solve_logit_mean(
                np.broadcast_to(y[part], shape).ravel(), np.broadcast_to(tau, shape).ravel()
            )
            found = used.mu_density_at(at.reshape(shape)) * slope.reshape(shape)
            out[part] = weights @ found
        return out

    best = int(np.argmax(weights))
    start, spread = float(used.mean[best]), float(np.sqrt(used.variance[best]))
    marginal = Marginal.from_density(
        "mean across studies", density, np.nan, np.nan, level, centre=start, scale=spread
    )
    first = float(marginal.expectation(lambda x: x))
    second = float(marginal.expectation(lambda x: (x - first) ** 2))
    return replace(marginal, mean=first, sd=float(np.sqrt(second)))
