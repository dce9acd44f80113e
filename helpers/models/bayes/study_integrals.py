"""The integral over a study's effect, given mu and tau, with the mean and variance of the effect.

Where tau is not small beside the widths of the likelihoods, one trapezoidal rule serves all
studies (`SharedGrid`): the values of the normal density at its points, a table for all pairs (mu,
tau), times those of the likelihoods. Elsewhere every study has its own rule: adaptive
Gauss-Hermite quadrature (Liu & Pierce 1994, doi:10.1093/biomet/81.3.624) around the mode, written
with the remainder of third order so that no digits cancel; and, for tau so large that its nodes
miss the likelihood, the trapezoidal rule under a sinh substitution (Trefethen & Weideman 2014,
doi:10.1137/130932132).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ...arguments import AnyArray as Array
from ...engine.counts.kernel import gauss_hermite
from ...engine.counts.studies import Studies, fixed_terms, relative_value
from ...engine.distributions import expit
from ...errors import ConvergenceError

#: Rules for a study's integral, from cheap to safe: adaptive Gauss-Hermite with 11, 23 and 47
#: nodes, then the trapezoidal rule under a sinh substitution, which is also exact where tau is so
#: large that a study without events is a cliff under a wide normal.
RULES = (("hermite", 11), ("hermite", 23), ("hermite", 47), ("sinh", 129), ("sinh", 385))

_MOST_SHARED = 4_000  # points beyond which a grid for all studies is not worth its price
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


@dataclass(frozen=True, slots=True)
class SharedGrid:
    """Points theta with weights, at which the likelihoods of all studies are taken.

    The points are sinh(u) of equidistant u: narrow where the likelihoods bend, as wide as the
    normal density allows far away from there.
    """

    theta: Array
    weight: Array

    @classmethod
    def over(
        cls, s: Studies, mu: tuple[float, float], tau: tuple[float, float], density: float
    ) -> SharedGrid:
        """Make the grid for mu and tau from intervals; `density` points in the narrowest width."""
        low = min(mu[0], float(s.t_guess.min()))
        high = max(mu[1], float(s.t_guess.max()))
        steepest = min(max(low, 0.0), high) if high > 0.0 else high
        p = float(expit(np.asarray(-abs(steepest))))
        narrowest = 1.0 / np.sqrt(float(s.n.max()) * p * (1.0 - p) + tau[0] ** -2)
        centre = 0.5 * (float(s.t_guess.min()) + float(s.t_guess.max()))
        reach = 0.5 * float(np.ptp(s.t_guess)) + 5.0  # the likelihoods bend within
        low, high = low - 9.0 * tau[1] - centre, high + 9.0 * tau[1] - centre
        far = max(-low, high)
        bend = min(reach, far)
        # dtheta = hypot(bend, theta) du: fine enough at the ends of `bend`, and of all
        step = min(narrowest / (np.sqrt(2.0) * bend), tau[0] / np.hypot(bend, far))
        ends = np.arcsinh(np.array([low, high]) / bend)
        size = int(np.ceil(float(np.ptp(ends)) * density / step)) + 1
        if size > _MOST_SHARED:
            return cls(np.empty(0), np.empty(0))
        u = np.linspace(float(ends[0]), float(ends[1]), size)
        theta = centre + bend * np.sinh(u)
        return cls(theta, bend * np.cosh(u) * (u[1] - u[0]))

    def likelihoods(self, s: Studies) -> Array:
        """Likelihood of each study relative to its saturated value, shape (points, k)."""
        return _exp(relative_value(s, self.theta[:, None]))

    def kernel(self, mu: Array, tau: Array) -> Array:
        """Evaluate the normal density, times the weights, for N pairs: shape (N, points)."""
        z = self.theta - mu[:, None]
        z /= tau[:, None]
        z *= z
        z *= -0.5
        z = _exp(z)
        z *= self.weight / _SQRT_2PI
        z /= tau[:, None]
        return z


def _exp(x: Array) -> Array:
    """Exponential, exactly 0 below 1e-150: products of two stay away from subnormal numbers."""
    e = np.maximum(x, -345.0)
    np.exp(e, out=e)
    e *= x > -345.0
    return e
