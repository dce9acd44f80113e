r"""One study's share of the random-intercept likelihood, with exact derivatives.

A study with ``events`` out of ``n`` (or per ``n`` units of person-time) contributes

.. math:: L(\eta, \omega) = \int f(x \mid \eta + \sqrt{\omega}\,u)\, \phi(u)\, du ,

where :math:`\omega = \tau^2`. With the mode :math:`t` of the integrand on the scale of the linear
predictor, :math:`t = \eta + \omega g'(t)`, :math:`g = \log f`, :math:`v = -g''(t)` and
:math:`c = 1 + \omega v`, adaptive Gauss-Hermite quadrature (Liu & Pierce 1994,
doi:10.1093/biomet/81.3.624; Pinheiro & Bates 1995, doi:10.1080/10618600.1995.10474663) with nodes
:math:`z_q` and weights :math:`w_q` of the normal density is *identically*

.. math::

    \log L = g(t) - \tfrac{\omega}{2} g'(t)^2 - \tfrac12 \log c
             + \log \sum_q w_q \exp K(r z_q; t), \qquad r^2 = \omega / c ,

with the remainder of third order
:math:`K(\delta; t) = g(t+\delta) - g(t) - g'(t)\delta + v\delta^2/2`: the terms of first and
second order cancel in the algebra instead of in floating point. One point is Laplace's
approximation (:math:`K = 0`). Mode and scale move with the parameters; implicit differentiation
(:math:`t_\eta = 1/c`, :math:`t_\omega = g'/c`) gives the exact first and second derivatives of the
quadrature approximation itself, in :math:`(\eta, \omega)`, smooth through :math:`\omega = 0`.

Everything is computed on the side of the smaller probability (``t <= 0``), so that
``n = 10**7`` costs no digits and complements mirror exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Family = Literal["binomial", "poisson"]

__all__ = [
    "Family",
    "Studies",
    "StudyTerms",
    "fixed_terms",
    "gauss_hermite",
    "log_saturated",
    "prepare",
    "study_mode",
    "study_terms",
]

_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_DELTA_MAX = 300.0  # exp(2 * 300) is finite: squares of node terms cannot overflow


class StudyTerms(NamedTuple):
    """Log-likelihood of each study relative to its saturated value, and its derivatives.

    All arrays share one shape; ``omega`` is the between-study variance ``tau2``.
    """

    value: Array
    eta: Array
    omega: Array
    eta_eta: Array
    eta_omega: Array
    omega_omega: Array
    mode: Array


@dataclass(frozen=True, slots=True)
class Studies:
    """Counts of studies with what every evaluation needs of them, prepared once.

    A study with ``n = 0`` contributes exactly nothing; masks are expressed in this way.
    """

    family: Family
    x: Array
    n: Array
    t_saturated: Array  # linear predictor of the saturated model, -inf or inf at the edges
    t_guess: Array  # the same with half an event added, always finite
    v_guess: Array  # information at t_guess

    def take(self, index: NDArray[np.intp]) -> Studies:
        """Rows ``index`` of the leading axis."""
        return Studies(
            self.family,
            self.x[index],
            self.n[index],
            self.t_saturated[index],
            self.t_guess[index],
            self.v_guess[index],
        )

    def grid(self) -> Studies:
        """Insert an axis before the last one (for a grid of parameter values per row)."""
        return Studies(
            self.family,
            self.x[..., None, :],
            self.n[..., None, :],
            self.t_saturated[..., None, :],
            self.t_guess[..., None, :],
            self.v_guess[..., None, :],
        )


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
    return Studies(family, x, n, t_saturated, t_guess, v_guess)


def gauss_hermite(points: int) -> tuple[Array, Array]:
    """Nodes and weights for expectations under the standard normal distribution.

    Examples
    --------
    >>> z, w = gauss_hermite(7)
    >>> float(round((w * z**4).sum(), 12))
    3.0
    """
    z, w = np.polynomial.hermite_e.hermegauss(points)
    return z, w / w.sum()


def _stirling_error(n: Array) -> Array:
    """``log n! - log(sqrt(2 pi n) (n/e)^n)`` for whole numbers ``n >= 1``.

    Small ``n`` climb by the recurrence to 16, from where the asymptotic series holds to the
    last digit.
    """
    total = np.zeros(n.shape)
    m = np.array(n, dtype=float)
    for _ in range(16):
        low = m < 16.0
        if not low.any():
            break
        k = m[low]
        total[low] += (k + 0.5) * np.log1p(1.0 / k) - 1.0
        m[low] = k + 1.0
    s = 1.0 / (m * m)
    series = 1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))
    return total + series / m


def log_saturated(family: Family, x: Array, n: Array) -> Array:
    """Log-probability of ``x`` under the saturated model (its own rate), with all constants.

    The factorials enter through Stirling's error, so that the value keeps its digits for
    ``n = 10**7`` (Loader 2000, as used for exact binomial probabilities).

    Examples
    --------
    >>> value = log_saturated("binomial", np.array([1.0, 0.0]), np.array([2.0, 9.0]))
    >>> np.round(np.exp(value), 12).tolist()
    [0.5, 1.0]
    """
    x = np.asarray(x, dtype=float)
    n = np.asarray(n, dtype=float)
    out = np.zeros(x.shape)
    if family == "binomial":
        inside = (x > 0) & (x < n)
        a, m = x[inside], n[inside]
        b = m - a
        out[inside] = (
            0.5 * (np.log(m) - np.log(a) - np.log(b))
            - _HALF_LOG_2PI
            + _stirling_error(m)
            - _stirling_error(a)
            - _stirling_error(b)
        )
    else:
        inside = x > 0
        a = x[inside]
        out[inside] = -0.5 * np.log(a) - _HALF_LOG_2PI - _stirling_error(a)
    return out


def _relative_value(s: Studies, t: Array) -> Array:
    """``log f(x | t)`` minus its saturated value (never positive)."""
    x, n = s.x, s.n
    edge = ~np.isfinite(s.t_saturated)
    t_sat = np.where(edge, 0.0, s.t_saturated)
    delta = t - t_sat
    if s.family == "poisson":
        # -x (e^d - 1 - d), d measured from the study's own rate
        none = -n * np.exp(np.minimum(t, _DELTA_MAX))
        some = -x * (np.expm1(np.minimum(delta, _DELTA_MAX)) - delta)
        return np.where(edge, none, some)
    flip = t_sat > 0
    small = np.where(flip, n - x, x) / np.where(n > 0, n, 1.0)
    d = np.where(flip, -delta, delta)
    capped = np.minimum(d, _DELTA_MAX)
    inside = np.log1p(small * np.expm1(capped)) + (d - capped) - small * d
    toward = np.where(x > 0, -t, t)  # at an edge: distance from certainty
    beyond = np.maximum(toward, 0.0) + np.log1p(np.exp(-np.abs(toward)))
    return -n * np.where(edge, beyond, inside)


def _derivatives(s: Studies, t: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Mirror to the side of the smaller probability and differentiate ``g`` there.

    Returns ``(sign, p, g1, v, v1, v2)``: the mirror sign, the smaller probability (the rate for
    the Poisson family), ``g'``, ``v = -g''`` and its first two derivatives.
    """
    if s.family == "poisson":
        mu = s.n * np.exp(np.minimum(t, _DELTA_MAX))
        return np.ones_like(t), mu, s.x - mu, mu, mu, mu
    low = t <= 0
    e = np.exp(-np.abs(t))
    p = e / (1.0 + e)
    v = s.n * e / (1.0 + e) ** 2
    g1 = np.where(low, s.x, s.n - s.x) - s.n * p
    v1 = v * (1.0 - 2.0 * p)
    v2 = v * (1.0 - 6.0 * p * (1.0 - p))
    return np.where(low, 1.0, -1.0), p, g1, v, v1, v2


def fixed_terms(s: Studies, eta: Array) -> tuple[Array, Array, Array]:
    """Value, first derivative and information of each study at ``tau = 0`` (no random effect)."""
    sign, _, g1, v, _, _ = _derivatives(s, eta)
    return _relative_value(s, eta), sign * g1, v


def study_mode(s: Studies, eta: Array, omega: Array, start: Array | None = None) -> Array:
    """Solve ``t = eta + omega g'(t)`` by Halley's iteration inside a bracket.

    The root lies between ``eta`` and the study's own logit (log rate); where that is infinite,
    between ``eta`` and ``eta -+ log(1 + omega n e^(+-eta))`` (from ``W(a) <= log(1 + a)``).
    """
    x, n = s.x, s.n
    pull = omega * n
    low_end = eta - np.log1p(pull * np.exp(np.clip(eta, -_DELTA_MAX, _DELTA_MAX)))
    high_end = eta + np.log1p(pull * np.exp(np.clip(-eta, -_DELTA_MAX, _DELTA_MAX)))
    none = x == 0
    toward = np.where(none, low_end, np.where(np.isinf(s.t_saturated), high_end, s.t_saturated))
    low = np.minimum(eta, toward)
    high = np.maximum(eta, toward)
    if start is None:
        w = omega * s.v_guess
        start = (eta + w * s.t_guess) / (1.0 + w)
    t = np.clip(start, low, high)
    for _ in range(100):
        sign, _, g1, v, v1, _ = _derivatives(s, t)
        psi = (t - eta) - omega * sign * g1
        slope = 1.0 + omega * v
        newton = psi / slope
        # Halley's correction; psi'' = omega dv/dt
        bend = 0.5 * newton * omega * sign * v1 / slope
        step = newton / np.where(np.abs(bend) < 0.5, 1.0 - bend, 1.0)
        below = psi < 0
        low = np.where(below, t, low)
        high = np.where(below, high, t)
        trial = t - step
        outside = (trial < low) | (trial > high)
        trial = np.where(outside, 0.5 * (low + high), trial)
        moved = np.abs(trial - t)
        t = trial
        if not (moved > 4e-16 * (1.0 + np.abs(t))).any():
            break
        if not (np.abs(newton) > 1e-12 * (1.0 + np.abs(t))).any():
            break  # the step just taken left an error of third order
    return t


def study_terms(
    s: Studies, eta: Array, omega: Array, nodes: tuple[Array, Array], start: Array | None = None
) -> StudyTerms:
    """Quadrature log-likelihood of every study with first and second derivatives.

    Parameters
    ----------
    s
        Prepared studies, shape ``(..., k)``.
    eta
        Linear predictor without the random effect, shape ``(..., k)``.
    omega
        Between-study variance ``tau2 >= 0``, broadcastable to ``eta``.
    nodes
        Nodes and weights from `gauss_hermite`.
    start
        Modes from a nearby evaluation, to begin from.

    Returns
    -------
    StudyTerms
        Arrays of the shape of ``eta``.
    """
    t = study_mode(s, eta, omega, start)
    sign, p, g1, v, v1, v2 = _derivatives(s, t)
    c = 1.0 + omega * v
    ci = 1.0 / c
    # where the data dominate, (t - eta)/omega is the accurate form of g'
    strong = omega * v > 1.0
    g1 = np.where(strong, sign * (t - eta) / np.where(strong, omega, 1.0), g1)
    rho = omega * ci

    value = _relative_value(s, t) - 0.5 * omega * g1 * g1 - 0.5 * np.log(c)
    # B(t, omega) = log s + A(t, rho)
    b_t = -0.5 * rho * v1
    b_o = -0.5 * v * ci
    b_tt = -0.5 * rho * v2 + 0.5 * (rho * v1) ** 2
    b_to = -0.5 * v1 * ci * ci
    b_oo = 0.5 * (v * ci) ** 2
    if nodes[0].size > 1:
        a, a_t, a_r, a_tt, a_tr, a_rr = _node_terms(s, p, v, v1, v2, rho, nodes)
        r_t = -rho * rho * v1
        r_o = ci * ci
        r_tt = rho * rho * (2.0 * rho * v1 * v1 - v2)
        r_to = -2.0 * rho * v1 * r_o
        r_oo = -2.0 * v * r_o * ci
        value = value + a
        b_t = b_t + a_t + a_r * r_t
        b_o = b_o + a_r * r_o
        b_tt = b_tt + a_tt + 2.0 * a_tr * r_t + a_rr * r_t * r_t + a_r * r_tt
        b_to = b_to + a_tr * r_o + a_rr * r_t * r_o + a_r * r_to
        b_oo = b_oo + a_rr * r_o * r_o + a_r * r_oo

    t_e = ci
    t_o = g1 * ci
    bend = omega * v1 * ci
    t_ee = -bend * ci * ci
    t_eo = -(v + bend * g1) * ci * ci
    t_oo = -t_o * ci * (2.0 * v + bend * g1)
    base = -v * ci
    d_eta = g1 + b_t * t_e
    d_omega = 0.5 * g1 * g1 + b_o + b_t * t_o
    d_ee = base + b_tt * t_e * t_e + b_t * t_ee
    d_eo = base * g1 + b_tt * t_e * t_o + b_to * t_e + b_t * t_eo
    d_oo = base * g1 * g1 + b_oo + 2.0 * b_to * t_o + b_tt * t_o * t_o + b_t * t_oo
    return StudyTerms(value, sign * d_eta, d_omega, d_ee, sign * d_eo, d_oo, t)


def _node_terms(
    s: Studies,
    p: Array,
    v: Array,
    v1: Array,
    v2: Array,
    rho: Array,
    nodes: tuple[Array, Array],
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """``A(t, rho) = log sum w exp K`` and its derivatives in ``(t, rho)``.

    The nodes are the leading axis, so that sums over them run over contiguous memory.
    """
    z, w = nodes
    shape = (-1,) + (1,) * v.ndim
    zq = z.reshape(shape)
    z2 = zq * zq
    r = np.sqrt(rho)
    delta = r * zq
    extreme = float(r.max(initial=0.0)) * float(z[-1]) > _DELTA_MAX
    capped = np.minimum(delta, _DELTA_MAX) if extreme else delta
    e = np.expm1(capped)
    if s.family == "poisson":
        k = e - delta
        a = -v * k
        k -= 0.5 * delta * delta
        k *= -v
        b = -v * e
    else:
        pe = p * e
        d = 1.0 / (1.0 + pe)
        k = np.log1p(pe)
        if extreme:
            k += delta - capped
        k -= p * delta
        k *= -s.n
        k += 0.5 * v * delta * delta
        ed = e * d
        a = -v * (ed - delta)
        b = -v * ((1.0 + e) * d * d - 1.0)
    weight = np.exp(k)
    weight *= w.reshape(shape)
    total = weight.sum(axis=0)
    weight /= total

    def mean(f: Array) -> Array:
        return (weight * f).sum(axis=0)

    # K_t = a + v' delta^2/2, K_r = a z, K_tt = b + v' delta + v'' delta^2/2,
    # K_tr = (b + v' delta) z, K_rr = b z^2
    m1 = mean(zq)
    m2 = mean(z2)
    a_mean = mean(a)
    a_t = a_mean + 0.5 * v1 * rho * m2
    az = a * zq
    a_r = mean(az)
    kt = a + (0.5 * v1 * rho) * z2
    kt -= a_t
    az -= a_r
    wkt = weight * kt
    wb = weight * b
    wbz = wb * zq
    a_tt = wb.sum(axis=0) + v1 * r * m1 + 0.5 * v2 * rho * m2 + (wkt * kt).sum(axis=0)
    a_tr = wbz.sum(axis=0) + v1 * r * m2 + (wkt * az).sum(axis=0)
    a_rr = (wbz * zq).sum(axis=0) + mean(az * az)
    # to rho = r^2; below the threshold rounding would swamp the second derivative, whose
    # limit is -v'' E[z^4] / 12
    tiny = rho * v < 1e-7
    safe = np.where(tiny, 1.0, r)
    fourth = float((w * z**4).sum())
    half = 0.5 / safe
    a_rho = np.where(tiny, -v2 * fourth / 12.0 * rho, a_r * half)
    a_trho = np.where(tiny, 0.0, a_tr * half)
    a_rhorho = np.where(tiny, -v2 * fourth / 12.0, (a_rr - a_r / safe) * half * half)
    return np.log(total), a_t, a_rho, a_tt, a_trho, a_rhorho
