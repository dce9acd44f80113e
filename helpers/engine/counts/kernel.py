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

from functools import cache
from typing import NamedTuple

import numpy as np

from .studies import DELTA_MAX, Array, Studies, derivatives, relative_value, slopes

_UNGUARDED = 8  # iterations without a bracket
#: Newton step at which the search for a mode ends; what is left is of the order of its cube.
MODE_ACCURACY = 3e-6


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


@cache
def gauss_hermite(points: int) -> tuple[Array, Array]:
    """Nodes and weights for expectations under the standard normal distribution."""
    z, w = np.polynomial.hermite_e.hermegauss(points)
    w = w / w.sum()
    z.flags.writeable = w.flags.writeable = False  # shared by all who ask
    return z, w


@cache
def _powers(points: int) -> Array:
    """Weights times powers 0 to 4 of the nodes of `gauss_hermite`, shape (5, points)."""
    z, w = gauss_hermite(points)
    return z ** np.arange(5.0)[:, None] * w


def study_mode(
    s: Studies,
    eta: Array,
    omega: Array,
    start: Array | None = None,
    accuracy: float = MODE_ACCURACY,
) -> Array:
    """Solve ``t = eta + omega g'(t)`` by Halley's iteration inside a bracket.

    The root lies between ``eta`` and the study's own logit (log rate); where that is infinite,
    between ``eta`` and ``eta -+ log(1 + omega n e^(+-eta))`` (from ``W(a) <= log(1 + a)``).
    Convergence is cubic: after a Newton step below ``accuracy`` the error is of the order of its
    cube, hence below rounding for the default.
    """
    if start is None:
        w = omega * s.v_guess
        start = (eta + w * s.t_guess) / (1.0 + w)
    t = start
    # the function is increasing with a slope of at least one: where the steps die away is the
    # root, and the bracket is drawn only where they do not
    for _ in range(_UNGUARDED):
        _, newton, step = _halley(s, eta, omega, t)
        t = t - step
        if np.abs(newton).max(initial=0.0) <= accuracy:
            return t
    x, n = s.x, s.n
    pull = omega * n
    none = x == 0
    every = np.isinf(s.t_saturated) & ~none
    low_end = eta - np.log1p(pull * np.exp(np.clip(eta, -DELTA_MAX, DELTA_MAX)))
    high_end = eta + np.log1p(pull * np.exp(np.clip(-eta, -DELTA_MAX, DELTA_MAX)))
    toward = np.where(none, low_end, np.where(every, high_end, s.t_saturated))
    low = np.minimum(eta, toward)
    high = np.maximum(eta, toward)
    t = np.clip(t, low, high)
    for _ in range(100):
        psi, newton, step = _halley(s, eta, omega, t)
        below = psi < 0
        low = np.where(below, t, low)
        high = np.where(below, high, t)
        trial = t - step
        outside = (trial < low) | (trial > high)
        t = np.where(outside, 0.5 * (low + high), trial)
        if not ((np.abs(newton) > accuracy * (1.0 + np.abs(t))) & (high > low)).any():
            break
    return t


def _halley(s: Studies, eta: Array, omega: Array, t: Array) -> tuple[Array, Array, Array]:
    """``psi = t - eta - omega g'(t)``, the Newton step towards its root and Halley's step."""
    sign, _, _, g1, v, v1 = slopes(s, t)
    if sign.ndim:
        g1, v1 = sign * g1, sign * v1
    inverse = 1.0 / (1.0 + omega * v)
    psi = t - eta
    psi -= omega * g1
    newton = psi * inverse
    # Halley's correction; psi'' = omega dv/dt
    bend = omega * v1
    bend *= inverse
    bend *= newton
    np.minimum(np.maximum(bend, -1.0, out=bend), 1.0, out=bend)
    bend *= -0.5
    bend += 1.0
    return psi, newton, newton / bend


def study_terms(
    s: Studies,
    eta: Array,
    omega: Array,
    nodes: tuple[Array, Array],
    start: Array | None = None,
    accuracy: float = MODE_ACCURACY,
    by_omega: bool = True,
) -> StudyTerms:
    """Quadrature log-likelihood of every study with first and second derivatives, shape (..., k).

    `eta` is the linear predictor without the random effect, `omega` >= 0 the between-study
    variance. `start` are modes from a nearby evaluation, `accuracy` the stopping rule of
    `study_mode`; the default leaves rounding error only. Without `by_omega` the derivatives in
    `omega` are nan.
    """
    t = study_mode(s, eta, omega, start, accuracy)
    sign, p, g1, v, v1, v2 = derivatives(s, t)
    c = 1.0 + omega * v
    ci = 1.0 / c
    # where the data dominate, (t - eta)/omega is the accurate form of g'
    strong = omega * v > 1.0
    g1 = np.where(strong, sign * (t - eta) / np.where(strong, omega, 1.0), g1)
    rho = omega * ci

    value = relative_value(s, t) - 0.5 * omega * g1 * g1 - 0.5 * np.log(c)
    # B(t, omega) = log s + A(t, rho)
    b_t = -0.5 * rho * v1
    b_tt = -0.5 * rho * v2 + 0.5 * (rho * v1) ** 2
    if nodes[0].size > 1:
        a, a_t, a_r, a_tt, a_tr, a_rr = _node_terms(s, p, v, v1, v2, rho, nodes)
        r_t = -rho * rho * v1
        r_tt = rho * rho * (2.0 * rho * v1 * v1 - v2)
        value = value + a
        b_t = b_t + a_t + a_r * r_t
        b_tt = b_tt + a_tt + 2.0 * a_tr * r_t + a_rr * r_t * r_t + a_r * r_tt

    t_e = ci
    bend = omega * v1 * ci
    t_ee = -bend * ci * ci
    base = -v * ci
    d_eta = g1 + b_t * t_e
    d_ee = base + b_tt * t_e * t_e + b_t * t_ee
    if not by_omega:
        none = np.full(value.shape, np.nan)
        return StudyTerms(value, sign * d_eta, none, d_ee, none, none, t)

    b_o = -0.5 * v * ci
    b_to = -0.5 * v1 * ci * ci
    b_oo = 0.5 * (v * ci) ** 2
    if nodes[0].size > 1:
        r_o = ci * ci
        r_to = -2.0 * rho * v1 * r_o
        r_oo = -2.0 * v * r_o * ci
        b_o = b_o + a_r * r_o
        b_to = b_to + a_tr * r_o + a_rr * r_t * r_o + a_r * r_to
        b_oo = b_oo + a_rr * r_o * r_o + a_r * r_oo
    t_o = g1 * ci
    t_eo = -(v + bend * g1) * ci * ci
    t_oo = -t_o * ci * (2.0 * v + bend * g1)
    d_omega = 0.5 * g1 * g1 + b_o + b_t * t_o
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
    r = np.sqrt(rho)
    k, delta, e, d = _node_values(s, p, v, r, nodes)
    if s.family == "poisson":
        a = delta - e
        b = -e
    else:
        a = e * d
        np.subtract(delta, a, out=a)
        b = 1.0 + e
        b *= d
        b *= d
        np.subtract(1.0, b, out=b)
    # sums over the nodes of (1, z, .., z^4) times exp K times (1, a, a^2, b), a and b over v
    of = np.empty((len(z), 4, *v.shape))
    np.exp(k, out=of[:, 0])
    np.multiply(of[:, 0], a, out=of[:, 1])
    np.multiply(of[:, 1], a, out=of[:, 2])
    np.multiply(of[:, 0], b, out=of[:, 3])
    sums: Array = (_powers(len(z)) @ of.reshape(len(z), -1)).reshape(5, 4, *v.shape)
    total = sums[0, 0].copy()
    sums[:3] /= total
    sums[3:, :2] /= total
    _, m1, m2, _, m4 = sums[:, 0]
    a0, a1, a2, a3, _ = sums[:, 1] * v
    aa0, aa1, aa2 = sums[:3, 2] * v * v
    b0, b1, b2 = sums[:3, 3] * v

    # K_t = a + v' delta^2/2, K_r = a z, K_tt = b + v' delta + v'' delta^2/2,
    # K_tr = (b + v' delta) z, K_rr = b z^2; to the second derivatives come the covariances of
    # the first
    h = 0.5 * v1 * rho
    a_t = a0 + h * m2
    a_r = a1
    v1r = v1 * r
    a_tt = b0 + v1r * m1 + 0.5 * v2 * rho * m2 + (aa0 + h * (2.0 * a2 + h * m4) - a_t * a_t)
    a_tr = b1 + v1r * m2 + (aa1 + h * a3 - a_t * a_r)
    a_rr = b2 + (aa2 - a_r * a_r)
    # to rho = r^2; where the nodes lie so close together that rounding would swamp the second
    # derivative, its limit is -v'' E[z^4] / 12
    tiny = rho * np.maximum(v, 1.0) < 1e-7
    near = tiny.any()
    safe = np.where(tiny, 1.0, r) if near else r
    half = 0.5 / safe
    a_rho = a_r * half
    a_trho = a_tr * half
    a_rhorho = (a_rr - 2.0 * a_rho) * half * half
    if near:
        limit = v2 * (float((w * z**4).sum()) / -12.0)
        a_rho = np.where(tiny, limit * rho, a_rho)
        a_trho = np.where(tiny, 0.0, a_trho)
        a_rhorho = np.where(tiny, limit, a_rhorho)
    return np.log(total), a_t, a_rho, a_tt, a_trho, a_rhorho


def _node_values(
    s: Studies, p: Array, v: Array, r: Array, nodes: tuple[Array, Array]
) -> tuple[Array, Array, Array, Array]:
    """Values ``K`` at the nodes ``t + r z`` (mirrored scale), the nodes on the leading axis.

    Returns ``(K, delta, e, d)`` with ``delta = r z``, ``e = exp(delta) - 1`` and, for the
    binomial family, ``d = 1 / (1 + p e)``.
    """
    z = nodes[0].reshape((-1,) + (1,) * v.ndim)
    delta = r * z
    extreme = float(r.max(initial=0.0)) * float(nodes[0][-1]) > DELTA_MAX
    capped = np.minimum(delta, DELTA_MAX) if extreme else delta
    e = np.expm1(capped)
    if s.family == "poisson":
        d = np.ones(())
        k = delta - e
        k += 0.5 * delta * delta
        k *= v
    else:
        pe = p * e
        k = np.log1p(pe)
        d = 1.0 + pe
        np.divide(1.0, d, out=d)
        if extreme:
            k += delta - capped
        k -= np.multiply(p, delta, out=pe)
        k *= -s.n
        k += np.multiply(0.5 * v * r * r, z * z, out=pe)
    return k, delta, e, d


def posterior_nodes(
    s: Studies, eta: Array, omega: Array, nodes: tuple[Array, Array]
) -> tuple[Array, Array, Array, Array]:
    """Conditional distribution of each study's linear predictor given its count.

    Returns ``(mode, scale, points, weights)``: the mode, ``tau / sqrt(c)`` (the conditional
    standard deviation in the sense of a normal approximation at the mode), and quadrature points
    and weights of the conditional distribution, their nodes on the leading axis.
    """
    t = study_mode(s, eta, omega)
    sign, p, _, v, _, _ = derivatives(s, t)
    r = np.sqrt(omega / (1.0 + omega * v))
    k, delta, _, _ = _node_values(s, p, v, r, nodes)
    weight = np.exp(k) * nodes[1].reshape((-1,) + (1,) * v.ndim)
    weight /= weight.sum(axis=0)
    return t, r, t + sign * delta, weight
