"""Binomial and Poisson log-probabilities of studies and their derivatives.

Values are relative to the saturated model (each study its own rate) and computed on the side of
the smaller probability, so that large studies and certain outcomes cost no digits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arguments import AnyArray as Array

Family = Literal["binomial", "poisson"]

_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_ONE = np.ones(())
DELTA_MAX = 300.0  # exp(2 * 300) is finite: squares of exponentials cannot overflow


class Studies(NamedTuple):
    """Counts of studies with what every evaluation needs of them, prepared once.

    A study with ``n = 0`` contributes exactly nothing; masks are expressed in this way.
    """

    family: Family
    x: Array
    n: Array
    t_saturated: Array  # linear predictor of the saturated model, -inf or inf at the edges
    t_guess: Array  # the same with half an event added, always finite
    v_guess: Array  # information at t_guess
    centre: Array  # t_saturated where it is finite, else 0
    side: Array  # 1, or -1 where an event is what happens to most
    small: Array  # saturated probability of the rarer outcome, 0 at the edges

    def each(self, pick: Callable[[Array], Array]) -> Studies:
        """Do the same with every array."""
        return Studies(self.family, *map(pick, self[1:]))

    def take(self, index: NDArray[np.intp]) -> Studies:
        """Rows ``index`` of the leading axis."""
        return self.each(lambda a: a[index])

    def places(self, index: slice | NDArray[np.intp]) -> Studies:
        """Studies ``index`` of the last axis."""
        return self.each(lambda a: a[..., index])

    def grid(self) -> Studies:
        """Insert an axis before the last one (for a grid of parameter values per row)."""
        return self.each(lambda a: a[..., None, :])


def prepare(family: Family, x: Array, n: Array) -> Studies:
    """Prepare counts (``x`` events among ``n``, or per ``n`` of person-time) for evaluation."""
    x = np.asarray(x, dtype=float)
    n = np.asarray(n, dtype=float)
    t_saturated = np.full(x.shape, -np.inf)
    if family == "binomial":
        inside = (x > 0) & (x < n)
        t_saturated[(x == n) & (n > 0)] = np.inf
        t_saturated[inside] = np.log(x[inside] / (n[inside] - x[inside]))
        y = n - x
        t_guess = np.log((x + 0.5) / (y + 0.5))
        v_guess = (x + 0.5) * (y + 0.5) / (n + 1.0)
    else:
        inside = x > 0
        t_saturated[inside] = np.log(x[inside] / n[inside])
        exposure = np.where(n > 0, n, 1.0)
        t_guess = np.log((x + 0.5) / exposure)
        v_guess = x + 0.5
    edge = np.isinf(t_saturated)
    side = np.where(t_saturated > 0, -1.0, 1.0) if family == "binomial" else np.ones(x.shape)
    rarer = np.where(side < 0, n - x, x)
    small = np.where(edge, 0.0, rarer / np.where(n > 0, n, 1.0))
    centre = np.where(edge, 0.0, t_saturated)
    return Studies(family, x, n, t_saturated, t_guess, v_guess, centre, side, small)


def _stirling_series(m: Array) -> Array:
    """Asymptotic series of Stirling's error, good to the last digit from 16 on."""
    s = 1.0 / (m * m)
    return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / m


@cache
def _small_stirling_errors() -> Array:
    """Stirling's errors of 0 (unused) to 15, by the recurrence that climbs down from 16."""
    m = np.arange(1.0, 16.0)
    climb = (m + 0.5) * np.log1p(1.0 / m) - 1.0
    last = _stirling_series(np.array([16.0]))
    errors = [last + sum(climb[i:], np.zeros(1)) for i in range(len(climb))]
    return np.concatenate([np.zeros(1), *errors])


def _stirling_error(n: Array) -> Array:
    """``log n! - log(sqrt(2 pi n) (n/e)^n)`` for whole numbers ``n >= 1``."""
    error = _stirling_series(np.maximum(n, 16.0))
    low = n < 16.0
    error[low] = _small_stirling_errors()[n[low].astype(np.intp)]
    return error


def log_saturated(family: Family, x: Array, n: Array) -> Array:
    """Log-probability of ``x`` under the saturated model (its own rate), with all constants.

    The factorials enter through Stirling's error, so that the value keeps its digits for
    ``n = 10**7`` (Loader 2000, as used for exact binomial probabilities).
    """
    x = np.asarray(x, dtype=float)
    n = np.asarray(n, dtype=float)
    out = np.zeros(x.shape)
    if family == "binomial":
        inside = (x > 0) & (x < n)
        a, m = x[inside], n[inside]
        b = m - a
        error = _stirling_error(np.stack([m, a, b]))
        out[inside] = (
            0.5 * (np.log(m) - np.log(a) - np.log(b))
            - _HALF_LOG_2PI
            + (error[0] - error[1] - error[2])
        )
    else:
        inside = x > 0
        a = x[inside]
        out[inside] = -0.5 * np.log(a) - _HALF_LOG_2PI - _stirling_error(a)
    return out


def relative_value(s: Studies, t: Array) -> Array:
    """``log f(x | t)`` minus its saturated value (never positive)."""
    edge = np.isinf(s.t_saturated)
    delta = t - s.centre
    if s.family == "poisson":
        # -x (e^d - 1 - d), d measured from the study's own rate
        none = -s.n * np.exp(np.minimum(t, DELTA_MAX))
        some = -s.x * (np.expm1(np.minimum(delta, DELTA_MAX)) - delta)
        return np.where(edge, none, some)
    delta *= s.side
    if delta.max(initial=0.0) > DELTA_MAX:
        capped = np.minimum(delta, DELTA_MAX)
        inside = np.log1p(s.small * np.expm1(capped)) + (delta - capped)
    else:
        inside = np.log1p(s.small * np.expm1(delta))
    inside -= s.small * delta
    # at an edge delta is the distance from certainty
    beyond = np.log1p(np.exp(-np.abs(delta)))
    beyond += np.maximum(delta, 0.0)
    return -s.n * np.where(edge, beyond, inside)


def derivatives(s: Studies, t: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Mirror to the side of the smaller probability and differentiate ``g`` there.

    Returns ``(sign, p, g1, v, v1, v2)``: the mirror sign, the smaller probability (the rate for
    the Poisson family), ``g'``, ``v = -g''`` and its first two derivatives.
    """
    sign, p, q, g1, v, v1 = slopes(s, t)
    return sign, p, g1, v, v1, v if s.family == "poisson" else v * (1.0 - 6.0 * (p * q))


def slopes(s: Studies, t: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Give the `derivatives` up to the third of ``g``: ``(sign, p, 1 - p, g1, v, v1)``."""
    if s.family == "poisson":
        mu = s.n * np.exp(np.minimum(t, DELTA_MAX))
        return _ONE, mu, mu, s.x - mu, mu, mu
    if t.max(initial=-np.inf) <= 0.0:
        e = np.exp(t)
        q = 1.0 / (1.0 + e)
        p = e * q
        np_ = s.n * p
        v = np_ * q
        return _ONE, p, q, s.x - np_, v, v * (1.0 - 2.0 * p)
    low = t <= 0
    e = np.exp(-np.abs(t))
    q = 1.0 / (1.0 + e)
    p = e * q
    v = s.n * (p * q)
    g1 = np.where(low, s.x, s.n - s.x) - s.n * p
    return np.where(low, 1.0, -1.0), p, q, g1, v, v * (1.0 - 2.0 * p)


def fixed_terms(s: Studies, eta: Array) -> tuple[Array, Array, Array]:
    """Value, first derivative and information of each study at ``tau = 0`` (no random effect)."""
    sign, _, g1, v, _, _ = derivatives(s, eta)
    return relative_value(s, eta), sign * g1, v
