"""Maximum of the GLMM likelihood for a chunk of replicates: Newton from every scanned maximum."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..shown import Shown
from .batch import Problem
from .start import (
    Scan,
    ascent_step,
    scan_profile,
    solve_fixed,
    solve_positive,
    step_share,
)
from .studies import Array, derivatives
from .variation import Variation


class FitStatus(IntEnum):
    """How a fit ended."""

    CONVERGED = 0
    NOT_CONVERGED = 1
    SEPARATION = 2
    TAU_UNBOUNDED = 3
    RANK_DEFICIENT = 4
    NO_STUDIES = 5
    TAU_UNIDENTIFIED = 6
    LEVELS_UNIDENTIFIED = 7

    @property
    def message(self) -> str:
        """The outcome in one sentence."""
        return _MESSAGES[self]


# plain numbers: a member of an enumeration costs a look-up by name, and numpy another by type
_CONVERGED, _NOT_CONVERGED = int(FitStatus.CONVERGED), int(FitStatus.NOT_CONVERGED)
_TAU_UNBOUNDED, _TAU_UNIDENTIFIED = int(FitStatus.TAU_UNBOUNDED), int(FitStatus.TAU_UNIDENTIFIED)
_RANK_DEFICIENT, _NO_STUDIES = int(FitStatus.RANK_DEFICIENT), int(FitStatus.NO_STUDIES)

_MESSAGES = {
    FitStatus.CONVERGED: "converged to a maximum of the likelihood",
    FitStatus.NOT_CONVERGED: "the iteration limit was reached before the stopping rule",
    FitStatus.SEPARATION: (
        "no finite maximum: some combination of coefficients separates studies in which nobody "
        "(or everybody) has the event, so that a logit or log rate is infinite"
    ),
    FitStatus.TAU_UNBOUNDED: (
        "no finite maximum: the likelihood still rises as the variance between "
        "studies grows (studies have no or only events)"
    ),
    FitStatus.RANK_DEFICIENT: "the design has linearly dependent columns in these studies",
    FitStatus.NO_STUDIES: "no study takes part",
    FitStatus.TAU_UNIDENTIFIED: (
        "every study has n = 1, so that variance between studies cannot be told from binomial "
        "variance: the fit is the one with tau = 0"
    ),
    FitStatus.LEVELS_UNIDENTIFIED: (
        "fewer than two clusters are left, one cohort in each, or too little beside the moderators:"
        " the variances between and within clusters cannot be told apart"
    ),
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
    scan_margin: Array
    boundary: NDArray[np.bool_]
    iterations: NDArray[np.intp]
    status: NDArray[np.int8]
    curvature: Array | None = None  # (1, k) information about each linear predictor, single fits

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
            scan_margin=np.full(rows, np.nan),
            boundary=np.zeros(rows, dtype=bool),
            iterations=np.zeros(rows, dtype=np.intp),
            status=np.full(rows, _NOT_CONVERGED, dtype=np.int8),
        )

    def told(self, k: NDArray[np.intp]) -> dict[str, Any]:
        """Fields of a `CountFit` of `k` studies in each replicate."""
        reached = (self.status == _CONVERGED) | (self.status == _TAU_UNIDENTIFIED)
        own = {name: getattr(self, name, None) for name in CountFit.__slots__}
        return {**own, "converged": reached, "k": k}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CountFit(Shown):
    """Maximum likelihood fits of ``R`` replicates of a model of counts.

    Beside the coefficients each has one parameter of variation, ``tau`` or ``rho``.
    """

    beta: Array  # Coefficients on the model scale (logit or log rate), shape ``(R, p)``
    #: Inverse observed information of ``beta`` and the parameter of variation, shape ``(R, p + 1, p
    #: + 1)``. At the boundary the beta block is that of the GLM without random effect and the row
    #: and column of the parameter are nan.
    cov: Array
    loglik: Array  # Maximised log-likelihood with all constants, shape ``(R,)``
    loglik_tau0: Array  # Maximised log-likelihood of the GLM without random effect
    loglik_saturated: Array  # Log-likelihood with one free rate per study
    #: True where a maximum was reached: ``gradient_max < 1e-8`` and the information is positive
    #: definite
    converged: NDArray[np.bool_]
    boundary: NDArray[np.bool_]  # True where the maximum lies at no variation, ``tau = 0``
    #: Largest ``|d loglik / d parameter| * se(parameter)`` over all parameters (over ``beta`` at
    #: the boundary): how far, in standard errors, the solution is from stationary
    gradient_max: Array
    #: ``loglik`` minus the highest value of the profile on a grid of the variance (at least 12
    #: points per replicate): the certificate that the maximum is the global one. See `certified`.
    scan_margin: Array
    iterations: NDArray[np.intp]  # Newton iterations
    status: NDArray[np.int8]  # `FitStatus` codes, shape ``(R,)``; see `message`
    k: NDArray[np.intp]  # Studies in each replicate

    def __len__(self) -> int:
        return len(self.loglik)

    @property
    def vcov(self) -> Array:
        """The beta block of ``cov``, shape ``(R, p, p)``."""
        return self.cov[:, :-1, :-1]

    @property
    def se(self) -> Array:
        """Standard errors of the coefficients, shape ``(R, p)``."""
        return np.sqrt(np.diagonal(self.vcov, axis1=1, axis2=2))

    @property
    def certified(self) -> NDArray[np.bool_]:
        """True where no point of the profile scan lies above the maximum found."""
        return self.scan_margin > -1e-6

    def message(self, row: int = 0) -> str:
        """Say in one sentence how the fit of one replicate ended."""
        return FitStatus(int(self.status[row])).message


def _ascend(
    problem: Problem,
    gamma: Array,
    omega: Array,
    score: Array,
    floor: Array,
    model: Variation,
    tol: float,
    max_iter: int,
) -> tuple[Array, Array, Array, Array, Array, NDArray[np.intp], Array]:
    """Safeguarded Newton in ``(gamma, omega)`` with the bound ``omega >= 0``.

    Rows that sink below ``floor`` where the profile falls from zero end at ``omega = 0``; the
    caller knows the fit there.
    Returns gamma, omega, value, gradient, Hessian (in ``(gamma, omega)``), iterations and what
    each study adds to the information about its linear predictor.
    """
    p = problem.p
    gamma, omega = gamma.copy(), omega.copy()
    terms = model.terms(problem.studies, problem.eta(gamma), omega[:, None])
    value, gradient, hessian = problem.joint(terms)
    mode, curvature = terms.mode, -terms.eta_eta
    iterations = np.zeros(problem.rows, dtype=np.intp)
    previous = np.full(problem.rows, np.inf)
    slack = 1e-11 + model.resolution(problem.studies)
    active = np.arange(problem.rows)
    for _ in range(max_iter):
        iterations[active] += 1
        everyone = active.size == problem.rows
        part = problem if everyone else problem.take(active)
        on: slice | NDArray[np.intp] = slice(None) if everyone else active  # a slice is no copy
        g, h = gradient[on], hessian[on]
        w, uphill = omega[on], score[on] > 0
        block = -h[:, :p, :p]
        y = ascent_step(block, g[:, :p])
        cross = solve_positive(block, h[:, :p, p])
        slope = g[:, p] + (h[:, p, :p] * y).sum(axis=-1)
        bend = h[:, p, p] + (h[:, p, :p] * cross).sum(axis=-1)
        concave = (bend < 0) & ((y * g[:, :p]).sum(axis=-1) >= 0)
        concave &= (block.diagonal(0, 1, 2) > 0).all(axis=1)
        move = np.where(
            concave, -slope / np.where(concave, bend, -1.0), np.where(slope > 0, w, -0.5 * w)
        )
        decrement = np.sqrt(np.abs((g[:, :p] * y).sum(axis=-1) + slope * move))
        # done, or as near as rounding of the gradient allows
        stalled = (decrement < 1e-8) & (decrement > 0.5 * previous[on])
        finished = concave & ((decrement < tol) | stalled)
        previous[on] = decrement
        pending = (~finished).nonzero()[0]
        if pending.size:
            # a bound on the step in omega; below zero only where the profile falls from there
            target = np.maximum(w + move, np.where(uphill, 0.1 * w, 0.0))
            target = np.minimum(target, 4.0 * w)
            target = np.where((target < 1e-3 * w) & ~uphill, 0.0, target)
            target = np.minimum(target, model.limit)
            move = target - w
            step = y + cross * move[:, None]
            share = step_share(problem, step, 3.0)
            step *= share[:, None]
            move = move * share
            length = np.ones(len(active))
        for _ in range(50):
            if not pending.size:
                break
            every = pending.size == part.rows
            rows, here = (on, slice(None)) if every else (active[pending], pending)
            sub = part if every else part.take(pending)
            trial_gamma = gamma[rows] + length[here, None] * step[here]
            trial_omega = omega[rows] + length[here] * move[here]
            terms = model.terms(sub.studies, sub.eta(trial_gamma), trial_omega[:, None], mode[rows])
            new = sub.joint(terms)
            good = new[0] >= value[rows] - slack[rows] - 1e-11 * np.abs(value[rows])
            at, pending = active[pending[good]], pending[~good]
            # parameters are replaced below, once per accepted row
            gamma[at], omega[at] = trial_gamma[good], trial_omega[good]
            value[at], gradient[at], hessian[at] = (f[good] for f in new)
            mode[at], curvature[at] = terms.mode[good], -terms.eta_eta[good]
            length[pending] *= 0.5
        stuck = np.zeros(len(active), dtype=bool)
        stuck[pending] = True
        # where the profile falls from zero, a row that sinks this low belongs to zero
        sunk = ~uphill & (omega[on] < floor[on])
        omega[active[sunk]] = 0.0
        leaving = finished | stuck | sunk | (omega[on] >= model.limit)
        active = active[~leaving]
        if not active.size:
            break
    return gamma, omega, value, gradient, hessian, iterations, curvature


def candidates(
    scan: Scan, value0: Array, score: Array
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and grid column of every local maximum of the scanned profile (zero is known)."""
    value = scan.value
    before = np.concatenate([value0[:, None], value[:, :-1]], axis=1)
    after = np.concatenate([value[:, 1:], np.full((len(value), 1), -np.inf)], axis=1)
    peak = (value >= before) & (value >= after)
    # the score at zero says that the profile rises there, though no grid point may show it
    peak[:, 0] |= (score > 0) & ((value[:, 0] >= after[:, 0]) | ~peak.any(axis=1))
    rows, columns = np.nonzero(peak)
    return rows, columns


def _vertex(scan: Scan, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Array, Array]:
    """Top of the parabola through a maximum of the scan and its neighbours, in ``log(omega)``.

    The coefficients follow the parabolas through theirs. Ends of the grid stay as they are.
    """
    middle = np.minimum(np.maximum(columns, 1), scan.tau2.shape[1] - 2)
    at = [(rows, middle + side) for side in (-1, 0, 1)]
    before, here, after = (scan.value[i] for i in at)
    bend = before - 2.0 * here + after
    inner = (middle == columns) & (bend < 0)
    u = np.where(inner, 0.5 * (before - after) / np.where(inner, bend, -1.0), 0.0)
    # one Newton step on the polynomial through two more neighbours
    wide = inner & (middle > 1) & (middle < scan.tau2.shape[1] - 3)
    far = np.where(wide, 2, 1)
    lower, upper = scan.value[rows, middle - far], scan.value[rows, middle + far]
    odd, even = 0.5 * (after - before), bend
    third = 0.5 * (upper - lower) - (after - before)
    fourth = upper + lower - 4.0 * (after + before) + 6.0 * here
    slope = odd - third / 6.0 + u * (even - fourth / 12.0 + u * (third / 2.0 + u * fourth / 6.0))
    curve = even - fourth / 12.0 + u * (third + u * fourth / 2.0)
    wide &= curve < 0
    u = np.where(wide, u - slope / np.where(wide, curve, -1.0), u)
    u = np.where(inner, np.minimum(np.maximum(u, -0.5), 0.5), columns - middle)
    step = np.log(scan.tau2[at[2]] / scan.tau2[at[1]])
    low, mid, high = (scan.gamma[i] for i in at)
    w = u[:, None]
    gamma = mid + 0.5 * w * (high - low) + 0.5 * w * w * (low - 2.0 * mid + high)
    return gamma, scan.tau2[at[1]] * np.exp(u * step)


def solve_rows(
    problem: Problem,
    model: Variation,
    tol: float,
    max_iter: int,
    out: Solution,
    index: NDArray[np.intp],
) -> None:
    """Fit the replicates of a chunk and write them to ``out[index]``."""
    p = problem.p
    s = problem.studies
    status = np.full(problem.rows, _CONVERGED, dtype=np.int8)
    status[problem.deficient] = _RANK_DEFICIENT
    status[~(s.n > 0).any(axis=1)] = _NO_STUDIES
    out.loglik_saturated[index] = problem.saturated()
    out.status[index] = status
    keep = (status == _CONVERGED).nonzero()[0]
    if not keep.size:
        return
    part = problem.take(keep) if keep.size < problem.rows else problem
    at = index[keep]
    gamma0, value0, information, separated = solve_fixed(part)
    out.loglik_tau0[at] = out.loglik_saturated[at] + value0
    if separated.any():
        _report_separated(part, separated, out, at)
        rest = (~separated).nonzero()[0]
        if not rest.size:
            return
        part, at = part.take(rest), at[rest]
        gamma0, value0, information = gamma0[rest], value0[rest], information[rest]

    # the boundary tau2 = 0 and the score for tau2 there
    sign, _, slope, v, _, _ = derivatives(part.studies, part.eta(gamma0))
    slope = sign * slope
    each = part.weighted(model.score(part.studies, slope, v, part.eta(gamma0)))
    score = each.sum(axis=-1)
    score[np.abs(score) <= 1e-12 * np.abs(each).sum(axis=-1)] = 0.0
    gamma, omega, value = gamma0.copy(), np.zeros(part.rows), value0.copy()
    gradient = np.zeros((part.rows, p + 1))
    gradient[:, :p] = part.first(part.weighted(slope))
    hessian = np.zeros((part.rows, p + 1, p + 1))
    hessian[:, :p, :p] = -information
    hessian[:, p, p] = -1.0
    iterations = np.zeros(part.rows, dtype=np.intp)
    curvature = v.copy()

    scan = scan_profile(part, model)
    unidentified = np.asarray((part.studies.n <= 1).all(axis=1))
    unidentified &= part.studies.family == "binomial"
    highest = np.where(unidentified, value, scan.value.max(axis=1))

    def climb(some: NDArray[np.intp], scan: Scan) -> None:
        """Ascend from every local maximum of the scan and keep what is highest."""
        rows, columns = candidates(scan, value0[some], score[some])
        if not rows.size:
            return
        start_gamma, start_tau2 = _vertex(scan, rows, columns)
        peak = _ascend(
            part.take(some[rows]),
            start_gamma,
            start_tau2,
            score[some[rows]],
            1e-3 * scan.tau2[rows, 0],
            model,
            tol,
            max_iter,
        )
        rows = some[rows]
        np.add.at(iterations, rows, peak[5])
        # the best candidate of each row comes last; it must beat what is known, or zero where the
        # score says that zero is no maximum
        order = np.lexsort((peak[2], rows))
        last = order[np.append(rows[order][1:] != rows[order][:-1], True)]
        win = rows[last]
        better = (peak[2][last] > value[win]) | ((score[win] > 0) & (omega[win] == 0.0))
        last = last[better & (peak[1][last] > 0)]
        win = rows[last]
        gamma[win], omega[win], value[win] = peak[0][last], peak[1][last], peak[2][last]
        curvature[win] = peak[6][last]
        gradient[win], hessian[win] = model.natural(peak[3][last], peak[4][last], omega[win])

    first = (~unidentified).nonzero()[0]
    climb(first, Scan(scan.tau2[first], scan.value[first], scan.gamma[first]))
    doubtful = (value < highest - 1e-7) | (omega > model.rugged)
    again = (doubtful & ~unidentified).nonzero()[0]
    if again.size:
        dense = scan_profile(part.take(again), model, exact=True)
        highest[again] = dense.value.max(axis=1)
        climb(again, dense)

    boundary = omega == 0.0
    cov = _inverse_information(hessian)
    # scaled in the orthonormal basis, where a shift of origin cannot inflate standard errors
    variance = np.diagonal(cov, axis1=1, axis2=2)
    sound = (variance > 0).all(axis=1)
    scaled = np.abs(gradient) * np.sqrt(np.where(variance > 0, variance, 0.0))
    gradient_max = np.where(sound, scaled.max(axis=1), np.inf)
    if part.basis is not None:
        lift = np.zeros((len(part.basis), p + 1, p + 1))
        lift[:, :p, :p] = part.basis
        lift[:, p, p] = 1.0
        cov = lift @ cov @ np.swapaxes(lift, -1, -2)
    cov[boundary, p, :] = np.nan
    cov[boundary, :, p] = np.nan

    out.beta[at] = part.user_beta(gamma)
    out.tau2[at] = omega
    out.cov[at] = cov
    out.loglik[at] = out.loglik_saturated[at] + value
    out.gradient_max[at] = gradient_max
    out.scan_margin[at] = value - highest
    out.boundary[at] = boundary
    out.iterations[at] = iterations
    if len(out.status) == 1:
        out.curvature = curvature
    code = np.where(gradient_max < 1e-8, _CONVERGED, _NOT_CONVERGED)
    code[omega >= model.limit] = _TAU_UNBOUNDED
    code[unidentified] = _TAU_UNIDENTIFIED
    out.status[at] = code


def _inverse_information(hessian: Array) -> Array:
    """Inverse of minus the Hessian; nan where that is not positive definite."""
    information = -hessian
    if hessian.shape[-1] == 2:
        a, b, d = information[:, 0, 0], information[:, 0, 1], information[:, 1, 1]
        determinant = a * d - b * b
        definite = (a > 0) & (determinant > 0)
        adjugate = np.array([[d, -b], [-b, a]]) / np.where(definite, determinant, np.nan)
        return adjugate.transpose(2, 0, 1)
    definite = np.linalg.eigvalsh(information)[:, 0] > 0
    information[~definite] = np.eye(hessian.shape[-1])
    cov = np.linalg.inv(information)
    cov[~definite] = np.nan
    return 0.5 * (cov + np.swapaxes(cov, -1, -2))


def _report_separated(
    part: Problem, separated: NDArray[np.bool_], out: Solution, at: NDArray[np.intp]
) -> None:
    """Flag replicates without a finite maximum; an intercept alone has the limit -inf or inf."""
    rows = at[separated]
    out.status[rows] = FitStatus.SEPARATION
    if part.p == 1 and np.ptp(part.X) == 0:
        none = (part.studies.x[separated] == 0).all(axis=1)
        out.beta[rows, 0] = np.where(none, -np.inf, np.inf)
        out.loglik[rows] = out.loglik_tau0[rows] = out.loglik_saturated[rows]
