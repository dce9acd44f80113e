"""Maximum of the GLMM likelihood for a chunk of replicates: start, scan, Newton ascent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from helpers.pooling.glmm_data import Problem
from helpers.pooling.glmm_kernel import Array, fixed_terms, gauss_hermite, study_terms

__all__ = ["TAU_MAX", "FitStatus", "Solution", "profile_beta", "solve_fixed", "solve_rows"]

TAU_MAX = 50.0
_LAPLACE = gauss_hermite(1)
_SCAN = 12


class FitStatus(IntEnum):
    """How a fit ended."""

    CONVERGED = 0
    NOT_CONVERGED = 1
    SEPARATION = 2
    TAU_UNBOUNDED = 3
    RANK_DEFICIENT = 4
    NO_STUDIES = 5

    @property
    def message(self) -> str:
        """The outcome in one sentence."""
        return _MESSAGES[self]


_MESSAGES = {
    FitStatus.CONVERGED: "converged to a maximum of the likelihood",
    FitStatus.NOT_CONVERGED: "the iteration limit was reached before the stopping rule",
    FitStatus.SEPARATION: (
        "no finite maximum: some combination of coefficients separates studies in which nobody "
        "(or everybody) has the event, so that a logit or log rate is infinite"
    ),
    FitStatus.TAU_UNBOUNDED: (
        f"no finite maximum: the likelihood still rises at tau = {TAU_MAX:g} "
        "(studies have no or only events)"
    ),
    FitStatus.RANK_DEFICIENT: "the design has linearly dependent columns in these studies",
    FitStatus.NO_STUDIES: "no study takes part",
}


@dataclass(slots=True)
class Solution:
    """Arrays that the chunks fill."""

    beta: Array
    tau2: Array
    cov: Array
    loglik: Array
    loglik_tau0: Array
    loglik_saturated: Array
    gradient_max: Array
    boundary: NDArray[np.bool_]
    iterations: NDArray[np.intp]
    status: NDArray[np.int8]

    @classmethod
    def empty(cls, rows: int, p: int) -> Solution:
        """Arrays of nan for ``rows`` replicates."""
        return cls(
            beta=np.full((rows, p), np.nan),
            tau2=np.full(rows, np.nan),
            cov=np.full((rows, p + 1, p + 1), np.nan),
            loglik=np.full(rows, np.nan),
            loglik_tau0=np.full(rows, np.nan),
            loglik_saturated=np.full(rows, np.nan),
            gradient_max=np.full(rows, np.inf),
            boundary=np.zeros(rows, dtype=bool),
            iterations=np.zeros(rows, dtype=np.intp),
            status=np.full(rows, FitStatus.NOT_CONVERGED, dtype=np.int8),
        )


def _solve(matrix: Array, right: Array) -> Array:
    """Solve positive definite systems, ``(..., p, p)`` and ``(..., p)``.

    A ridge of 1e-14 of the trace keeps directions without information from overflowing; it
    changes the step, never the stationary point.
    """
    p = matrix.shape[-1]
    if p == 1:
        return right / np.maximum(matrix[..., 0], 1e-300)
    ridge = 1e-14 * np.trace(matrix, axis1=-2, axis2=-1) + 1e-300
    return np.linalg.solve(matrix + ridge[..., None, None] * np.eye(p), right[..., None])[..., 0]


def _weighted_start(problem: Problem, omega: Array) -> Array:
    """Normal-normal estimate of the coefficients at ``tau2 = omega``, as a starting value."""
    s = problem.studies
    w = problem.weighted(np.where(s.n > 0, s.v_guess / (1.0 + omega * s.v_guess), 0.0))
    y = s.t_guess if problem.offset is None else s.t_guess - problem.offset
    return _solve(problem.second(w), problem.first(w * y))


def solve_fixed(problem: Problem) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Maximum likelihood of the GLM without random effect, by safeguarded Newton.

    Returns
    -------
    tuple
        ``gamma (r, p)``, relative log-likelihood ``(r,)``, information ``(r, p, p)`` and whether
        the data separate (no finite maximum).
    """
    gamma = _weighted_start(problem, np.zeros((problem.rows, 1)))

    def evaluate(g: Array, part: Problem) -> tuple[Array, Array, Array]:
        value, slope, v = fixed_terms(part.studies, part.eta(g))
        return (
            part.weighted(value).sum(axis=-1),
            part.first(part.weighted(slope)),
            part.second(part.weighted(v)),
        )

    value, gradient, information = evaluate(gamma, problem)
    active = np.arange(problem.rows)
    for _ in range(80):
        part = problem.take(active)
        step = _solve(information[active], gradient[active])
        decrement = np.sqrt(np.maximum((step * gradient[active]).sum(axis=-1), 0.0))
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
    fading &= s.n * np.exp(np.clip(toward, -300.0, 300.0)) < 1e-8
    spread = np.linalg.eigvalsh(information)
    scale = problem.second(problem.weighted((s.n > 0).astype(float)))
    flat = spread[:, 0] < 1e-9 * np.minimum(
        np.linalg.eigvalsh(scale)[:, -1], np.maximum(spread[:, -1], 1.0)
    )
    return gamma, value, information, fading.any(axis=-1) & flat


def profile_beta(
    problem: Problem,
    omega: Array,
    nodes: tuple[Array, Array],
    gamma: Array,
    steps: int,
    start: Array | None = None,
) -> tuple[Array, Array, Array | None]:
    """Newton steps for the coefficients at fixed ``tau2``; the likelihood is log-concave there.

    ``omega`` has shape ``(..., 1)`` and ``gamma`` ``(..., p)``. Returns ``(value, gamma, modes)``
    with the value at the last coefficients evaluated.
    """
    mode = start
    value = np.empty(0)
    for turn in range(steps + 1):
        terms = study_terms(problem.studies, problem.eta(gamma), omega, nodes, mode)
        mode = terms.mode
        value = problem.weighted(terms.value).sum(axis=-1)
        if turn == steps:
            break
        step = _solve(
            problem.second(problem.weighted(-terms.eta_eta)),
            problem.first(problem.weighted(terms.eta)),
        )
        reach = np.abs(step).max(axis=-1, keepdims=True) * np.abs(problem.X).max()
        gamma = gamma + step * np.minimum(1.0, 2.0 / np.maximum(reach, 1e-300))
    return value, gamma, mode


def _scan(
    problem: Problem, gamma0: Array, value0: Array, score: Array
) -> tuple[NDArray[np.intp], Array, Array]:
    """Laplace profile over a grid of ``tau2``: where each local maximum lies.

    Returns the row, ``tau2`` and coefficients of every candidate.
    """
    s = problem.studies
    taking = s.n > 0
    precision = np.where(taking, s.v_guess, 0.0).max(axis=1)
    y = s.t_guess if problem.offset is None else s.t_guess - problem.offset
    spread = np.where(taking, y, -np.inf).max(axis=1) - np.where(taking, y, np.inf).min(axis=1)
    low = 0.02 / precision
    high = np.maximum(np.maximum(1.0, spread**2), 100.0 * low)
    power = np.linspace(0.0, 1.0, _SCAN)
    omega = low[:, None] * (high / low)[:, None] ** power
    grid = problem.grid()
    gamma = _weighted_start(grid, omega[..., None])
    value, gamma, _ = profile_beta(grid, omega[..., None], _LAPLACE, gamma, 3)
    before = np.concatenate([value0[:, None], value[:, :-1]], axis=1)
    after = np.concatenate([value[:, 1:], np.full((problem.rows, 1), -np.inf)], axis=1)
    peak = (value >= before) & (value >= after)
    # the score at zero says that the profile rises there, though no grid point shows it
    peak[:, 0] |= (score > 0) & (value[:, 0] >= after[:, 0])
    peak[:, 0] |= (score > 0) & ~peak.any(axis=1)
    rows, columns = np.nonzero(peak)
    return rows, omega[rows, columns], gamma[rows, columns]


def _ascend(
    problem: Problem,
    gamma: Array,
    omega: Array,
    score: Array,
    nodes: tuple[Array, Array],
    tol: float,
    max_iter: int,
) -> tuple[Array, Array, Array, Array, Array, NDArray[np.intp]]:
    """Safeguarded Newton in ``(gamma, tau2)`` with the bound ``tau2 >= 0``.

    Rows that run into zero stop there (``omega = 0``); the caller knows the fit at zero.
    Returns gamma, omega, value, gradient, Hessian (in ``(gamma, tau2)``) and iterations.
    """
    p = problem.p
    gamma, omega = gamma.copy(), omega.copy()
    terms = study_terms(problem.studies, problem.eta(gamma), omega[:, None], nodes)
    value, gradient, hessian = problem.joint(terms)
    mode = terms.mode
    iterations = np.zeros(problem.rows, dtype=np.intp)
    active = np.arange(problem.rows)
    for _ in range(max_iter):
        iterations[active] += 1
        part = problem.take(active)
        g, h = gradient[active], hessian[active]
        w = omega[active]
        block = -h[:, :p, :p]
        y = _solve(block, g[:, :p])
        cross = _solve(block, h[:, :p, p])
        slope = g[:, p] + (h[:, p, :p] * y).sum(axis=-1)
        bend = h[:, p, p] + (h[:, p, :p] * cross).sum(axis=-1)
        concave = bend < 0
        move = np.where(
            concave, -slope / np.where(concave, bend, -1.0), np.where(slope > 0, w, -0.5 * w)
        )
        decrement = np.sqrt(np.abs((g[:, :p] * y).sum(axis=-1) + slope * move))
        finished = concave & (decrement < tol)
        # a bound on the step in tau2; below zero only where the profile falls from there
        target = np.clip(w + move, np.where(score[active] > 0, 0.1 * w, 0.0), 4.0 * w)
        target = np.where((target < 1e-3 * w) & (score[active] <= 0), 0.0, target)
        target = np.minimum(target, TAU_MAX**2)
        move = target - w
        step = y + cross * move[:, None]
        reach = np.abs(step).max(axis=-1, keepdims=True) * np.abs(problem.X).max()
        shrink = np.minimum(1.0, 3.0 / np.maximum(reach, 1e-300))[:, 0]
        step *= shrink[:, None]
        move = move * shrink
        length = np.ones(len(active))
        pending = np.flatnonzero(~finished)
        for _ in range(50):
            if not pending.size:
                break
            rows = active[pending]
            sub = part.take(pending)
            trial_gamma = gamma[rows] + length[pending, None] * step[pending]
            trial_omega = omega[rows] + length[pending] * move[pending]
            terms = study_terms(
                sub.studies, sub.eta(trial_gamma), trial_omega[:, None], nodes, mode[rows]
            )
            new = sub.joint(terms)
            good = new[0] >= value[rows] - 1e-11 * (1.0 + np.abs(value[rows]))
            at = rows[good]
            # parameters are replaced below, once per accepted row
            gamma[at], omega[at] = trial_gamma[good], trial_omega[good]
            value[at], gradient[at], hessian[at] = (f[good] for f in new)
            mode[at] = terms.mode[good]
            length[pending[~good]] *= 0.5
            pending = pending[~good]
        stuck = np.zeros(len(active), dtype=bool)
        stuck[pending] = True
        leaving = finished | stuck | (omega[active] == 0.0) | (omega[active] >= TAU_MAX**2)
        active = active[~leaving]
        if not active.size:
            break
    return gamma, omega, value, gradient, hessian, iterations


def solve_rows(
    problem: Problem,
    nodes: tuple[Array, Array],
    tol: float,
    max_iter: int,
    out: Solution,
    index: NDArray[np.intp],
) -> None:
    """Fit the replicates of a chunk and write them to ``out[index]``."""
    p = problem.p
    empty = ~(problem.studies.n > 0).any(axis=1)
    status = np.full(problem.rows, FitStatus.CONVERGED, dtype=np.int8)
    status[problem.deficient] = FitStatus.RANK_DEFICIENT
    status[empty] = FitStatus.NO_STUDIES
    saturated = problem.saturated()
    out.loglik_saturated[index] = saturated
    out.status[index] = status
    keep = np.flatnonzero(status == FitStatus.CONVERGED)
    if not keep.size:
        return
    part = problem.take(keep) if keep.size < problem.rows else problem
    at = index[keep]
    gamma0, value0, information, separated = solve_fixed(part)
    out.loglik_tau0[at] = saturated[keep] + value0
    out.status[at[separated]] = FitStatus.SEPARATION
    rest = np.flatnonzero(~separated)
    if not rest.size:
        return
    if rest.size < part.rows:
        part = part.take(rest)
        at = at[rest]
        gamma0, value0, information = gamma0[rest], value0[rest], information[rest]
    base = saturated[keep][rest]

    # the boundary, tau2 = 0
    _, slope, v = fixed_terms(part.studies, part.eta(gamma0))
    score = 0.5 * part.weighted(slope**2 - v).sum(axis=-1)
    noise = 1e-12 * part.weighted(slope**2 + v).sum(axis=-1)
    score = np.where(np.abs(score) <= noise, 0.0, score)
    cov0 = np.linalg.inv(information)
    gradient0 = part.first(part.weighted(slope))
    best = value0.copy()
    gamma, omega = gamma0.copy(), np.zeros(part.rows)
    cov = np.full((part.rows, p + 1, p + 1), np.nan)
    cov[:, :p, :p] = cov0
    gradient = np.zeros((part.rows, p + 1))
    gradient[:, :p] = gradient0
    iterations = np.zeros(part.rows, dtype=np.intp)

    rows, omega_start, gamma_start = _scan(part, gamma0, value0, score)
    if rows.size:
        peak = _ascend(part.take(rows), gamma_start, omega_start, score[rows], nodes, tol, max_iter)
        for i, row in enumerate(rows):
            iterations[row] += peak[5][i]
            if peak[1][i] > 0 and (
                peak[2][i] > best[row] or (score[row] > 0 and omega[row] == 0.0)
            ):
                best[row] = peak[2][i]
                gamma[row], omega[row] = peak[0][i], peak[1][i]
                tau = np.sqrt(omega[row])
                h = peak[4][i].copy()
                h[p, p] = 2.0 * peak[3][i][p] + 4.0 * omega[row] * h[p, p]
                h[:p, p] *= 2.0 * tau
                h[p, :p] *= 2.0 * tau
                cov[row] = np.linalg.inv(-h)
                gradient[row] = peak[3][i]
                gradient[row, p] *= 2.0 * tau
    boundary = omega == 0.0
    # scaled in the orthonormal basis, where a shift of origin cannot inflate standard errors
    variance = np.diagonal(cov, axis1=1, axis2=2)
    scaled = np.abs(gradient) * np.sqrt(np.where(variance > 0, variance, 0.0))
    lost = ~(variance[:, :p] > 0).all(axis=1) | ~(boundary | (variance[:, p] > 0))
    gradient_max = np.where(lost, np.inf, scaled.max(axis=1))
    beta = part.user_beta(gamma)
    if part.basis is not None:
        lift = np.zeros((len(part.basis), p + 1, p + 1))
        lift[:, :p, :p] = part.basis
        lift[:, p, p] = 1.0
        cov = lift @ np.where(np.isnan(cov), 0.0, cov) @ np.swapaxes(lift, -1, -2)
        cov[boundary, p, :] = np.nan
        cov[boundary, :, p] = np.nan
    out.beta[at] = beta
    out.tau2[at] = omega
    out.cov[at] = cov
    out.loglik[at] = base + best
    out.gradient_max[at] = gradient_max
    out.boundary[at] = boundary
    out.iterations[at] = iterations
    code = np.where(gradient_max < 1e-8, FitStatus.CONVERGED, FitStatus.NOT_CONVERGED)
    code = np.where(omega >= TAU_MAX**2, FitStatus.TAU_UNBOUNDED, code)
    out.status[at] = code.astype(np.int8)
