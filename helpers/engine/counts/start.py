"""Where the GLMM fit begins: the GLM without random effect, and a scan of the profile over tau2."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..roots import equal_steps
from .batch import Problem
from .shared import scan_shared
from .studies import Array, fixed_terms
from .variation import Variation

SCAN_POINTS = 12  # at least; more where the grid spans so much that steps would exceed...
_SCAN_FACTOR = 3.0  # ...this factor in tau2
_SCAN_ELEMENTS = 60_000
_SHARED_ROWS = 8  # replicates from which on a shared lattice pays


def solve_positive(matrix: Array, right: Array) -> Array:
    """Solve positive definite systems, ``(..., p, p)`` and ``(..., p)``.

    A ridge of 1e-14 of the trace keeps directions without information from overflowing; it
    changes the step, never the stationary point.
    """
    p = matrix.shape[-1]
    if p == 0:
        return right
    if p == 1:
        return right / np.maximum(matrix[..., 0], 1e-300)
    ridge = 1e-14 * np.trace(matrix, axis1=-2, axis2=-1) + 1e-300
    return np.linalg.solve(matrix + ridge[..., None, None] * np.eye(p), right[..., None])[..., 0]


def ascent_step(matrix: Array, gradient: Array) -> Array:
    """Newton step for the coefficients that goes uphill even where the block is not definite.

    There (never for the GLM, rarely elsewhere) eigenvalues are replaced by their absolute values.
    """
    if matrix.shape[-1] == 1 and (matrix > 0).all():
        return gradient / np.maximum(matrix[..., 0], 1e-300)
    step = solve_positive(matrix, gradient)
    wrong = (step * gradient).sum(axis=-1) < 0
    wrong |= (np.diagonal(matrix, axis1=-2, axis2=-1) <= 0).any(axis=-1)
    if wrong.any():
        values, vectors = np.linalg.eigh(matrix[wrong])
        size = np.maximum(np.abs(values), 1e-8 * np.abs(values).max(axis=-1, keepdims=True))
        along = (vectors * gradient[wrong][..., None]).sum(axis=-2) / np.maximum(size, 1e-300)
        step[wrong] = (vectors * along[..., None, :]).sum(axis=-1)
    return step


def weighted_start(problem: Problem, omega: Array) -> Array:
    """Normal-normal estimate of the coefficients at ``tau2 = omega``, as a starting value."""
    s = problem.studies
    w = problem.weighted(np.where(s.n > 0, s.v_guess / (1.0 + omega * s.v_guess), 0.0))
    y = s.t_guess if problem.offset is None else s.t_guess - problem.offset
    return solve_positive(problem.second(w), problem.first(w * y))


def solve_fixed(problem: Problem) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Maximum likelihood of the GLM without random effect, by safeguarded Newton.

    ``gamma (r, p)``, relative log-likelihood ``(r,)``, information ``(r, p, p)`` and whether the
    data separate (no finite maximum).
    """
    gamma = np.full((problem.rows, problem.p), np.nan)
    if problem.p == 1 and problem.offset is None and (problem.X == 1.0).all():
        # an intercept alone: the rate of the summed counts is the answer where it is finite
        x = problem.weighted(problem.studies.x).sum(axis=-1)
        rest = problem.weighted(problem.studies.n).sum(axis=-1)
        rest = rest - x if problem.studies.family == "binomial" else rest
        finite = (x > 0) & (rest > 0)
        gamma[finite, 0] = np.log(x[finite] / rest[finite])
    unknown = np.isnan(gamma)
    if unknown.any():
        gamma = np.where(unknown, weighted_start(problem, np.zeros((problem.rows, 1))), gamma)

    def evaluate(g: Array, part: Problem) -> tuple[Array, Array, Array]:
        value, slope, v = fixed_terms(part.studies, part.eta(g))
        return (
            part.weighted(value).sum(axis=-1),
            part.first(part.weighted(slope)),
            part.second(part.weighted(v)),
        )

    value, gradient, information = evaluate(gamma, problem)
    if problem.p == 0:
        return gamma, value, information, np.zeros(problem.rows, dtype=bool)
    active = np.arange(problem.rows)
    for _ in range(80):
        part = problem if active.size == problem.rows else problem.take(active)
        step = solve_positive(information[active], gradient[active])
        decrement = np.sqrt(np.maximum((step * gradient[active]).sum(axis=-1), 0.0))
        if (decrement <= 1e-13).all():  # an intercept alone: there already
            break
        reach = np.abs(part.eta(step) - (0.0 if part.offset is None else part.offset)).max(axis=-1)
        step *= np.minimum(1.0, 4.0 / np.maximum(reach, 1e-300))[:, None]
        length = np.ones(len(active))
        trial = gamma[active] + step
        new = evaluate(trial, part)
        for _ in range(40):
            worse = new[0] < value[active] - 1e-12 * (1.0 + np.abs(value[active]))
            if not worse.any():
                break
            length[worse] *= 0.5
            at = np.flatnonzero(worse)
            trial[at] = gamma[active[at]] + length[at, None] * step[at]
            redo = evaluate(trial[at], part.take(at))
            for old, fresh in zip(new, redo, strict=True):
                old[at] = fresh
        gamma[active] = trial
        value[active], gradient[active], information[active] = new
        active = active[decrement > 1e-9]  # quadratic: the step just taken is the last
        if not active.size:
            break
    # separation: a direction whose information has died away at studies without contrast
    s = problem.studies
    eta = problem.eta(gamma)
    toward = np.where(s.x == 0, eta, -eta)
    fading = (s.n > 0) & np.isinf(s.t_saturated)
    fading &= s.n * np.exp(np.minimum(toward, 300.0)) < 1e-8
    if not fading.any():
        return gamma, value, information, np.zeros(problem.rows, dtype=bool)
    spread = np.linalg.eigvalsh(information)
    scale = problem.second(problem.weighted((s.n > 0).astype(float)))
    flat = spread[:, 0] < 1e-9 * np.minimum(
        np.linalg.eigvalsh(scale)[:, -1], np.maximum(spread[:, -1], 1.0)
    )
    return gamma, value, information, fading.any(axis=-1) & flat


class Scan(NamedTuple):
    """Profile log-likelihood (relative to saturated) on a grid of ``tau2``.

    ``tau2`` and ``value`` have shape ``(r, points)``, ``gamma`` ``(r, points, p)``.
    """

    tau2: Array
    value: Array
    gamma: Array


def scan_profile(problem: Problem, model: Variation, exact: bool = False) -> Scan:
    """Scan the profile likelihood over a logarithmic grid of the variance parameter.

    At every point the coefficients begin at the normal-normal estimate, take one step of a rougher
    likelihood (Laplace's), and the value is completed by half the squared Newton decrement, so
    that it is the profile up to third order. An ``exact`` scan has four times as many points and
    maximises over the coefficients at each of them. Replicates that select from the same studies
    share their evaluations where that is cheaper (`helpers.engine.counts.shared`).
    """
    s = problem.studies
    smallest = 1.0 / np.where(s.n > 0, s.v_guess, 0.0).max(axis=1)
    own = problem.eta(weighted_start(problem, 100.0 * smallest[:, None]))
    low, high = model.range(s, s.t_guess - own)
    points = scan_points(low, high)
    points = 4 * points if exact else points
    if problem.pool is not None and not exact and problem.rows >= _SHARED_ROWS:
        # one grid for all, at least as dense as each replicate's own
        begin, span = float(low.min()), float(np.log(high.max() / low.min()))
        spacing = float(np.log(high / low).min()) / (points - 1)
        dense = 1 + int(np.ceil(span / spacing - 1e-9))
        common = begin * np.exp(span * np.linspace(0.0, 1.0, dense))
        found = scan_shared(problem.pool, common, model, s.n.shape[1])
        if found is not None:
            every = np.broadcast_to(common, found[0].shape)
            scan = Scan(every, found[0], found[1][..., None])
            rest = np.flatnonzero(~found[2])
            if rest.size:
                alone = replace(problem.take(rest), pool=None)
                scan.value[rest], scan.gamma[rest] = _scan_each(alone, model, every[rest])
            return scan
    tau2 = low[:, None] * (high / low)[:, None] ** equal_steps(points)
    if exact:
        size = max(1, _SCAN_ELEMENTS // (s.n.shape[1] * points * model.cost))
        parts = []
        for begin_row in range(0, problem.rows, size):
            rows = np.arange(begin_row, min(begin_row + size, problem.rows))
            every_point = problem.take(np.repeat(rows, points))
            parts.append(maximise_beta(every_point, tau2[rows].ravel(), model))
        value = np.concatenate([part[0] for part in parts]).reshape(tau2.shape)
        gamma = np.concatenate([part[1] for part in parts]).reshape(*tau2.shape, problem.p)
        return Scan(tau2, value, gamma)
    return Scan(tau2, *_scan_each(problem, model, tau2))


def scan_points(low: Array, high: Array) -> int:
    """Points of a scan from ``low`` to ``high`` (r,) that is dense enough for all of them."""
    decades = float(np.log(high / low).max())
    return max(SCAN_POINTS, 1 + int(np.ceil(decades / np.log(_SCAN_FACTOR))))


def _scan_each(problem: Problem, model: Variation, tau2: Array) -> tuple[Array, Array]:
    """Profile of each replicate at its own values ``tau2`` (r, points), and the coefficients."""
    points = tau2.shape[1]
    value = np.empty(tau2.shape)
    gamma = np.empty((*tau2.shape, problem.p))
    size = max(1, _SCAN_ELEMENTS // (problem.studies.n.shape[1] * points * model.cost))
    for begin in range(0, problem.rows, size):
        rows = np.arange(begin, min(begin + size, problem.rows))
        grid = problem.take(rows).grid()
        omega = tau2[rows, :, None]
        g = weighted_start(grid, model.logit_variance(grid.studies, omega))
        mode = None
        for rough in (True, False):
            terms = model.terms(grid.studies, grid.eta(g), omega, mode, rough, by_omega=False)
            mode = terms.mode
            slope = grid.first(grid.weighted(terms.eta))
            step = ascent_step(grid.second(grid.weighted(-terms.eta_eta)), slope)
            share = step_share(problem, step, 2.0)[..., None]
            g = g + share * step
        gain = (share[..., 0] - 0.5 * share[..., 0] ** 2) * (slope * step).sum(axis=-1)
        value[rows] = grid.weighted(terms.value).sum(axis=-1) + gain
        gamma[rows] = g
    return value, gamma


def step_share(problem: Problem, step: Array, most: float) -> Array:
    """Fraction of a step that moves no linear predictor by more than ``most``."""
    reach = np.abs(step).max(axis=-1, initial=0.0) * np.abs(problem.X).max(initial=0.0)
    return np.minimum(1.0, most / np.maximum(reach * max(problem.p, 1), 1e-300))


def maximise_beta(problem: Problem, omega: Array, model: Variation) -> tuple[Array, Array]:
    """Maximise over the coefficients at a fixed variance parameter ``omega`` (r,).

    Returns the log-likelihood relative to the saturated model and the coefficients. The marginal
    likelihood of a log-concave model is log-concave in the coefficients (Prékopa 1973), so that
    Newton's method with step halving is enough.
    """
    w = omega[:, None]
    gamma = weighted_start(problem, model.logit_variance(problem.studies, w))
    step = np.zeros_like(gamma)
    value = np.full(problem.rows, -np.inf)
    mode = problem.eta(gamma)
    active = np.arange(problem.rows)
    for _ in range(200):
        part = problem.take(active)
        eta = part.eta(gamma[active])
        terms = model.terms(part.studies, eta, w[active], mode[active], by_omega=False)
        new = part.weighted(terms.value).sum(axis=-1)
        good = new >= value[active] - 1e-11 * (1.0 + np.abs(new))
        bad = active[~good]
        step[bad] *= 0.5
        gamma[bad] -= step[bad]
        gradient = part.first(part.weighted(terms.eta))
        newton = ascent_step(part.second(part.weighted(-terms.eta_eta)), gradient)
        decrement = np.sqrt(np.maximum((newton * gradient).sum(axis=-1), 0.0))
        newton *= step_share(problem, newton, 3.0)[:, None]
        value[active[good]] = new[good]
        mode[active[good]] = terms.mode[good]
        on = good & (decrement >= 1e-9)
        step[active[on]] = newton[on]
        gamma[active[on]] += newton[on]
        active = active[on | ~good]
        if not active.size:
            break
    return value, gamma
