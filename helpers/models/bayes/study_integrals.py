"""The integral over one study's effect, given mu and tau, with the mean and variance of the effect.

Adaptive Gauss-Hermite quadrature (Liu & Pierce 1994, doi:10.1093/biomet/81.3.624) around the mode,
written with the remainder of third order so that no digits cancel; and, for tau so large that its
nodes miss the likelihood, the trapezoidal rule under a sinh substitution (Trefethen & Weideman
2014, doi:10.1137/130932132).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.counts.kernel import gauss_hermite
from ...engine.counts.studies import Studies, fixed_terms
from ...engine.distributions import expit
from ...errors import ConvergenceError

Array = NDArray[Any]

__all__ = ["RULES", "at_mode", "hermite", "integrate_studies", "study_mode"]

#: Rules for a study's integral, from cheap to safe: adaptive Gauss-Hermite with 11, 23 and 47
#: nodes, then the trapezoidal rule under a sinh substitution, which is also exact where tau is so
#: large that a study without events is a cliff under a wide normal.
RULES = (("hermite", 11), ("hermite", 23), ("hermite", 47), ("sinh", 129), ("sinh", 385))

_SQRT_2PI = float(np.sqrt(2.0 * np.pi))
#: Gauss-Hermite nodes and weights, made once for each number of nodes.
hermite = cache(gauss_hermite)


def study_mode(s: Studies, mu: Array, omega: Array) -> Array:
    """Solve ``t = mu + omega (x - n expit(t))`` by Newton's method inside a bracket.

    The solution lies between mu - omega (n - x) and mu + omega x, and between the bounds of a
    study with no event and of one with nothing else, which follow from W(a) <= log(1 + a).
    """
    with_n = omega * np.where(s.n > 0, s.n, 1.0)
    log_pull = np.log(np.where(with_n > 0, with_n, 1.0))
    moved = with_n > 0
    low = np.where(moved, mu - np.logaddexp(0.0, log_pull + mu), mu)
    high = np.where(moved, mu + np.logaddexp(0.0, log_pull - mu), mu)
    w = omega * s.v_guess
    t = np.clip((mu + w * s.t_guess) / (1.0 + w), low, high)
    for _ in range(200):
        e = np.exp(-np.abs(t))
        p = np.where(t >= 0, 1.0, e) / (1.0 + e)
        gap = (t - mu) - omega * (s.x - s.n * p)
        low = np.where(gap <= 0, t, low)
        high = np.where(gap >= 0, t, high)
        trial = t - gap / (1.0 + omega * s.n * e / (1.0 + e) ** 2)
        trial = np.where((trial < low) | (trial > high), 0.5 * (low + high), trial)
        change = np.abs(trial - t)
        t = trial
        if not (change > 1e-8 * (1.0 + np.abs(t))).any():
            return t
    raise ConvergenceError("the mode of a study's effect was not found")


def at_mode(s: Studies, t: Array, mu: Array, omega: Array) -> tuple[Array, Array, Array]:
    """Log likelihood of each study at `t`, its slope and its information."""
    value, slope, v = fixed_terms(s, t)
    # where the data dominate, (t - mu)/omega is the accurate form of the slope
    strong = omega * v > 1.0
    return value, np.where(strong, (t - mu) / np.where(strong, omega, 1.0), slope), v


def integrate_studies(s: Studies, mu: Array, tau: Array, rule: int) -> tuple[Array, Array, Array]:
    """Log likelihood of each study, and mean and variance of its effect, given mu and tau."""
    omega = tau**2
    t = study_mode(s, np.broadcast_to(mu, np.broadcast_shapes(mu.shape, s.x.shape)), omega)
    value, slope, v = at_mode(s, t, mu, omega)
    c = 1.0 + omega * v
    value = value - 0.5 * omega * slope * slope - 0.5 * np.log(c)
    r = np.sqrt(omega / c)
    kind, size = RULES[rule]
    column = (-1,) + (1,) * t.ndim
    # log f(t + delta) - log f(t) - slope delta = -n remainder(delta), on the side of the smaller
    # probability, where it keeps its digits
    side = np.where(t <= 0, 1.0, -1.0)
    p = expit(-np.abs(t))
    if kind == "hermite":
        z, w = (a.reshape(column) for a in hermite(size))
        delta = r * z
        bend = 0.5 * v * delta * delta
    else:
        # Finest where the likelihood bends: at the mode if that is narrow, at the study's own
        # logit if the normal around it is wide.
        width = np.minimum(np.where(r > 0, r, 1.0), 1.0)
        away = np.clip((s.t_guess - t) * r * r / (r * r + 1.0), -8.0 * r, 8.0 * r)
        pace = np.arcsinh((9.0 * tau + np.abs(away)) / width) / (size // 2)
        u = pace * np.arange(-(size // 2), size // 2 + 1).reshape(column)
        delta = away + width * np.sinh(u)
        z = delta / np.where(r > 0, r, 1.0)
        w = pace * np.cosh(u) * width / (np.where(r > 0, r, 1.0) * _SQRT_2PI)
        bend = -0.5 * (delta / tau) ** 2
    signed = side * delta
    if float(signed.max()) < 30.0:
        remainder = np.log1p(p * np.expm1(signed)) - p * signed
    else:
        log_p = -np.abs(t) - np.log1p(np.exp(-np.abs(t)))
        far = np.logaddexp(np.log1p(-p), log_p + signed)
        near = np.log1p(p * np.expm1(np.minimum(signed, 30.0)))
        remainder = np.where(signed < 30.0, near, far) - p * signed
    weight = w * np.exp(np.maximum(bend - s.n * remainder, -745.0))
    total = weight.sum(axis=0)
    first = (weight * z).sum(axis=0) / total
    second = (weight * z * z).sum(axis=0) / total
    return value + np.log(total), t + r * first, r * r * (second - first * first)
