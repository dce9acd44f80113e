r"""Counts of cohorts within clusters: two normal random effects, integrated one inside the other.

Cohort i of cluster j has :math:`x_{ij} \sim f(\cdot \mid x_{ij}'\beta + a_j + u_{ij})` with
:math:`a_j \sim N(0, \sigma^2_b)` and :math:`u_{ij} \sim N(0, \sigma^2_w)`. Given :math:`a_j` the
cohorts of a cluster are independent, and each has the likelihood of the two-level model
(`helpers.engine.counts.kernel`, adaptive quadrature); the integral over :math:`a_j` is adaptive
quadrature again (Pinheiro and Bates 1995, doi:10.1080/10618600.1995.10474663; Rabe-Hesketh,
Skrondal and Pickles 2005, doi:10.1016/j.jeconom.2004.08.017), its nodes around the mode of what
the cohorts of a cluster say together. They are doubled until the log-likelihood stays.

With :math:`g_q` the log-likelihood of a cluster at node q and :math:`p_q` its share there, gradient
and Hessian are :math:`E g'` and :math:`E g'' + \operatorname{Var} g'` under p (Louis 1982,
doi:10.1111/j.2517-6161.1982.tb01203.x). Every pair of variances on a grid has its profile scanned;
from each local maximum Newton's method runs inside the quadrant of non-negative variances.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..normal.nested import local_maxima
from ..options import QUAD_POINTS
from .batch import check_data
from .kernel import StudyTerms, gauss_hermite
from .optimise import FitStatus
from .start import solve_positive
from .studies import Array, Family, Studies, log_saturated, prepare
from .variation import NormalVariation

_LEVELS = 5  # positive variances of the grid in each direction
_ROUGH = 5  # nodes of the scan, with Laplace's likelihood of a cohort
_ZERO = 3  # nodes where the clusters do not differ: their second moment is right
_OUTER = 15  # nodes of a cluster's effect to begin with
_OUTER_MAX = 127
_AGREE = 1e-8  # of the log-likelihood when the nodes are doubled
_CELLS = 100_000
#: A variance between clusters up to here is zero: its derivatives, which are those in its root
#: divided by the root and its square, would be rounding errors.
_NOTHING = 1e-10
_LAPLACE = NormalVariation(gauss_hermite(1))


@dataclass(frozen=True, slots=True, eq=False)
class NestedCounts:
    """Rows of cohorts sorted by cluster; arrays have 1 or r rows."""

    studies: Studies  # shape (1 or r, k)
    X: Array  # orthonormal design, shape (k, p)
    times: Array | None  # whether (1 or 0) each cohort takes part, shape (r, k)
    #: `codes`, `starts`: cluster of each cohort, counted from 0; where each cluster begins.
    codes: NDArray[np.intp]
    starts: NDArray[np.intp]
    copies: Array | None = None  # how many clusters each one counts as, shape (r, clusters)

    def take(self, rows: NDArray[np.intp]) -> NestedCounts:
        """Restrict to some rows (with repetition)."""
        return replace(
            self,
            studies=self.studies if len(self.studies.x) == 1 else self.studies.take(rows),
            times=None if self.times is None else self.times[rows],
            copies=None if self.copies is None else self.copies[rows],
        )

    def sums(self, a: Array) -> Array:
        """Sum the cohorts of each cluster, the last axis."""
        return np.add.reduceat(a, self.starts, axis=-1)

    def counted(self, a: Array) -> Array:
        """Leave (..., r, nodes, k) of the cohorts that take part."""
        return a if self.times is None else a * self.times[:, None]

    def copied(self, a: Array) -> Array:
        """Multiply (..., r, clusters) by how many clusters each one counts as."""
        return a if self.copies is None else a * self.copies

    def totals(self, a: Array) -> Array:
        """Sum (r, k) over all cohorts, those of a repeated cluster as often as it is."""
        a = a if self.times is None else a * self.times
        return (a if self.copies is None else a * self.copies[:, self.codes]).sum(axis=-1)

    def terms(self, eta: Array, within: Array, model: NormalVariation) -> StudyTerms:
        """Terms of the cohorts at linear predictors (r, nodes, k), as often as they take part."""
        found = model.terms(self.studies.grid(), eta, within[:, None, None])
        return StudyTerms._make((*map(self.counted, found[:6]), found.mode))

    def modes(self, eta: Array, root: Array, within: Array) -> tuple[Array, Array]:
        """Mode and scale of each cluster's standardised effect, by Laplace's likelihood."""
        mode = np.zeros((len(eta), len(self.starts)))
        low, high = np.full_like(mode, -1e6), np.full_like(mode, 1e6)
        for _ in range(60):
            at = eta + root[:, None] * mode[:, self.codes]
            terms = self.terms(at[:, None], within, _LAPLACE)
            slope = root[:, None] * self.sums(terms.eta[:, 0]) - mode
            bend = 1.0 - np.square(root)[:, None] * np.minimum(self.sums(terms.eta_eta[:, 0]), 0.0)
            step = slope / bend
            # the slope falls everywhere, so that what was seen encloses the mode
            low, high = np.where(slope > 0, mode, low), np.where(slope < 0, mode, high)
            trial = mode + np.clip(step, -4.0, 4.0)
            beyond = ((trial <= low) | (trial >= high)) & (np.abs(step) > 1e-7)
            mode = np.where(beyond, 0.5 * (low + high), trial)
            if np.abs(step).max(initial=0.0) < 1e-6:
                break
        return mode, bend**-0.5

    def evaluate(
        self, theta: Array, outer: int, model: NormalVariation
    ) -> tuple[Array, Array, Array]:
        """Log-likelihood less the saturated one, gradient, Hessian in (gamma, between, within).

        At ``between = 0`` the row and column of that variance in the Hessian are those of -1.
        """
        size = max(1, _CELLS // (outer * len(self.codes)))
        if len(theta) > size:
            cuts = [np.arange(i, min(i + size, len(theta))) for i in range(0, len(theta), size)]
            parts = [self.take(rows).evaluate(theta[rows], outer, model) for rows in cuts]
            value, gradient, hessian = (np.concatenate(a) for a in zip(*parts, strict=True))
            return value, gradient, hessian
        p = self.X.shape[1]
        zero = theta[:, p] == 0
        if outer > _ZERO and zero.any():  # nothing to integrate
            out = np.empty(len(theta)), np.empty(theta.shape), np.empty((*theta.shape, p + 2))
            for rows, nodes in ((np.flatnonzero(zero), _ZERO), (np.flatnonzero(~zero), outer)):
                if rows.size:
                    found = self.take(rows).evaluate(theta[rows], nodes, model)
                    for whole, part in zip(out, found, strict=True):
                        whole[rows] = part
            return out
        terms, u, value, mass = self.nodes(theta, outer, model)
        # directions: the columns of X, the cluster's effect (root: u), the variance within
        columns = [*self.X.T, np.ones(len(self.codes))]
        first = np.stack([self.sums(terms.eta * x) for x in columns] + [self.sums(terms.omega)])
        first[p] *= u
        second = np.empty((p + 2, p + 2, *u.shape))
        for a, x in enumerate(columns):
            for b, y in enumerate(columns[: a + 1]):
                second[a, b] = second[b, a] = self.sums(terms.eta_eta * (x * y))
            second[a, p + 1] = second[p + 1, a] = self.sums(terms.eta_omega * x)
        second[p + 1, p + 1] = self.sums(terms.omega_omega)
        second[p] *= u
        second[:, p] *= u
        mean = (first * mass).sum(axis=2)
        gradient = self.copied(mean).sum(axis=-1).T
        mass = np.swapaxes(self.copied(np.swapaxes(mass, 0, 1)), 0, 1)
        hessian = np.einsum("abrqj,rqj->rab", second, mass)
        hessian += np.einsum("arqj,brqj->rab", first * mass, first)
        hessian -= np.einsum("arj,brj->rab", self.copied(mean), mean)
        value = self.copied(value).sum(axis=-1)
        return value, *_in_variance(gradient, hessian, np.sqrt(theta[:, p]), p)

    def nodes(
        self, theta: Array, outer: int, model: NormalVariation
    ) -> tuple[StudyTerms, Array, Array, Array]:
        """Terms of cohorts at nodes of the effect of their cluster, and that effect, standardised.

        The others are the log-likelihood of each cluster, shape (r, clusters), and what each node
        has of it, (r, nodes, clusters).
        """
        p = self.X.shape[1]
        root, within = np.sqrt(theta[:, p]), theta[:, p + 1]
        eta = theta[:, :p] @ self.X.T
        mode, scale = self.modes(eta, root, within)
        z, share = gauss_hermite(outer)
        u = mode[:, None] + scale[:, None] * z[:, None]  # (r, nodes, clusters)
        terms = self.terms(eta[:, None] + root[:, None, None] * u[..., self.codes], within, model)
        height = self.sums(terms.value) - 0.5 * np.square(u) + 0.5 * np.square(z)[:, None]
        top = height.max(axis=1, keepdims=True)
        mass = np.exp(height - top) * share[:, None]
        total = mass.sum(axis=1)
        return terms, u, np.log(total * scale) + top[:, 0], mass / total[:, None]

    def saturated(self) -> Array:
        """Log-likelihood of the saturated model, shape (1 or r,)."""
        s = self.studies
        return self.totals(log_saturated(s.family, s.x, s.n))

    def start(self, total: Array) -> Array:
        """Normal-normal estimate of the coefficients with the variance `total` (r,)."""
        s = self.studies
        w = np.where(s.n > 0, s.v_guess, 0.0)
        w = w / (1.0 + total[:, None] * w)
        w = w if self.times is None else w * self.times
        w = w if self.copies is None else w * self.copies[:, self.codes]
        return solve_positive(
            np.einsum("rk,ka,kb->rab", w, self.X, self.X), (w * s.t_guess) @ self.X
        )


class Levels(NamedTuple):
    """Three-level fits of R selections; NaN where they do not tell the parameters apart.

    ``cov``, shape (R, p + 2, p + 2), is the inverse observed information of (beta, between,
    within), NaN for a variance at zero, which the others then take as known.
    """

    beta: Array  # coefficients of the user's design, shape (R, p)
    cov: Array
    variances: Array  # between clusters, and between the cohorts of one cluster, shape (R, 2)
    loglik: Array  # what is maximised (relative by inverse variance), shape (R,)
    converged: NDArray[np.bool_]
    estimable: NDArray[np.bool_]
    maxima: NDArray[np.intp]  # local maxima found; the highest is reported, shape (R,)
    #: Nodes of a cluster's effect (counts); twice as many change no log-likelihood by more than
    #: 1e-8, up to 255 of them.
    nodes: int = 0

    @property
    def mu(self) -> Array:
        """First coefficient, shape (R,)."""
        return self.beta[:, 0]

    @property
    def se(self) -> Array:
        """Its standard error."""
        return np.sqrt(self.cov[:, 0, 0])

    @property
    def tau2(self) -> Array:
        """Both variances together."""
        return self.variances.sum(axis=1)

    @property
    def status(self) -> NDArray[np.int8]:
        """How each fit ended, codes of `FitStatus`."""
        code = np.where(self.converged, FitStatus.CONVERGED, FitStatus.NOT_CONVERGED)
        return np.where(self.estimable, code, FitStatus.LEVELS_UNIDENTIFIED).astype(np.int8)


def fit_nested_counts(
    events: ArrayLike,
    n: ArrayLike,
    X: Array,
    codes: NDArray[np.intp],
    times: ArrayLike | None = None,
    *,
    fixed: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
    beta: Array | None = None,
    family: Family = "binomial",
    quad_points: int = QUAD_POINTS,
) -> Levels:
    """Fit the nested model to one or many rows of counts, shape (k,) or (R, k).

    `X`, shape (k, p), has full rank in every row; `times`, shape (R, k), says how often each
    cohort takes part: all of a cluster that do take part equally often, as so many clusters.
    `fixed` are the variances between and within that are held, a number or (R,) each, or None;
    `beta`, shape (p,), are coefficients held.
    """
    data = check_data(events, n, None, times, None, family)
    held = [None if f is None else np.atleast_1d(np.asarray(f, dtype=float)) for f in fixed]
    rows = max(data.rows, *(1 if a is None else len(a) for a in held))
    p, (basis, triangle) = X.shape[1], np.linalg.qr(X)
    lift = np.eye(X.shape[1] + 2)
    lift[:-2, :-2] = np.linalg.inv(triangle)
    order = np.argsort(codes, kind="stable")
    _, dense = np.unique(codes[order], return_inverse=True)

    def every(a: Array | None) -> Array | None:
        return None if a is None else np.broadcast_to(a, (rows, data.k))[:, order].astype(float)

    often, starts = every(data.weights), np.flatnonzero(np.r_[True, np.diff(dense) > 0])
    copies = None
    if often is not None and (often > 1).any():
        copies, often = np.maximum.reduceat(often, starts, axis=1), np.minimum(often, 1.0)
    problem = NestedCounts(
        prepare(family, *np.broadcast_arrays(data.events[:, order], data.n[:, order])),
        basis[order],
        often,
        dense,
        starts,
        copies,
    )
    bounds = [None if a is None else np.broadcast_to(a, rows) for a in held]
    model, outer = NormalVariation(gauss_hermite(quad_points)), _OUTER
    owner, theta = _candidates(problem, rows, bounds, None if beta is None else triangle @ beta)
    free = np.array([*[beta is None] * p, *(a is None for a in bounds)])
    value, gradient, hessian = (np.empty((len(owner), *[p + 2] * d)) for d in range(3))
    reached, open_ = np.zeros(len(owner), dtype=bool), np.arange(len(owner))
    while open_.size:
        each = problem.take(owner[open_])
        found = _climb(each, theta[open_], free, outer, model)
        theta[open_], value[open_], gradient[open_], hessian[open_], reached[open_] = found
        if outer >= _OUTER_MAX:
            break
        finer = each.evaluate(found[0], 2 * outer + 1, model)[0]
        open_ = open_[np.abs(finer - found[1]) > _AGREE]
        outer = 2 * outer + 1 if open_.size else outer
    place = np.lexsort((value, owner))
    best = place[np.append(owner[place][1:] != owner[place][:-1], True)]
    cov, slope, known = _covariance(gradient[best], hessian[best], theta[best], free)
    cov = np.where(known, np.nan, lift @ cov @ lift.T)
    return Levels(
        beta=theta[best, :p] @ lift[:-2, :-2].T,
        variances=theta[best, p:],
        cov=cov,
        loglik=value[best] + problem.saturated(),
        converged=reached[best] & (slope < 1e-6),
        estimable=np.ones(rows, dtype=bool),
        maxima=_distinct(owner, theta[:, p:], rows),
        nodes=outer,
    )


def null_scores(
    events: Array, n: Array, codes: NDArray[np.intp], mu: float, family: Family, quad_points: int
) -> Array | None:
    """Score of each cluster, counted from 0, for the mean at `mu`.

    Both variances are fitted with the mean held there; None where that fit has no maximum.
    """
    X, held = np.ones((len(codes), 1)), np.array([mu])
    given: dict[str, Any] = {"family": family, "quad_points": quad_points}
    under = fit_nested_counts(events, n, X, codes, beta=held, **given)
    if not under.converged[0]:
        return None
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) > 0])
    studies = prepare(family, events[None, order], n[None, order])
    problem = NestedCounts(studies, X[order], None, codes[order], starts)
    at = np.r_[mu, under.variances[0]][None]
    terms, _, _, mass = problem.nodes(at, under.nodes, NormalVariation(gauss_hermite(quad_points)))
    return (problem.sums(terms.eta) * mass).sum(axis=1)[0]


def _in_variance(gradient: Array, hessian: Array, root: Array, p: int) -> tuple[Array, Array]:
    """Turn derivatives in the root of the variance between clusters to those in the variance.

    The log-likelihood is even in the root: at zero the slope is half its second derivative.
    """
    zero = root == 0
    half = 0.5 / np.where(zero, 1.0, root)
    slope = np.where(zero, 0.5 * hessian[:, p, p], gradient[:, p] * half)
    bend = (hessian[:, p, p] - 2.0 * slope) * half**2
    hessian[:, p] *= np.where(zero, 0.0, half)[:, None]
    hessian[:, :, p] *= np.where(zero, 0.0, half)[:, None]
    hessian[:, p, p] = np.where(zero, -1.0, bend)
    gradient[:, p] = slope
    return gradient, hessian


def _candidates(
    problem: NestedCounts, rows: int, bounds: list[Array | None], gamma: Array | None
) -> tuple[NDArray[np.intp], Array]:
    """Row and parameters of every local maximum of the profile on a grid of variances.

    `gamma` are coefficients held.
    """
    s, p = problem.studies, problem.X.shape[1]
    least = float(1.0 / np.where(s.n > 0, s.v_guess, 0.0).max())
    residual = s.t_guess - problem.start(np.full(rows, 100.0 * least)) @ problem.X.T
    widest = np.where(s.n > 0, np.abs(residual), 0.0).max()
    ladder = np.r_[0.0, np.geomspace(0.2 * least, max(1.0, 2.0 * widest**2), _LEVELS)]
    axes = [
        np.broadcast_to(ladder, (rows, _LEVELS + 1)) if b is None else b[:, None] for b in bounds
    ]
    shape = (rows, axes[0].shape[1], axes[1].shape[1])
    pairs = np.stack(
        [np.broadcast_to(axes[0][:, :, None], shape), np.broadcast_to(axes[1][:, None], shape)], -1
    )
    owner = np.repeat(np.arange(rows), shape[1] * shape[2])
    each = problem.take(owner)
    theta = np.empty((len(owner), p + 2))
    theta[:, p:] = pairs.reshape(-1, 2)
    theta[:, :p] = each.start(theta[:, p:].sum(axis=1)) if gamma is None else gamma
    for _ in range(2):
        value, gradient, hessian = each.evaluate(theta, _ROUGH, _LAPLACE)
        step = solve_positive(-hessian[:, :p, :p], gradient[:, :p]) * (gamma is None)
        reach = np.abs(step @ problem.X.T).max(axis=1)
        theta[:, :p] += step * np.minimum(1.0, 2.0 / np.maximum(reach, 1e-300))[:, None]
    # where the coefficients have far to go, the parabola promises too much
    value += np.minimum(0.5 * (step * gradient[:, :p]).sum(axis=1), 0.25)
    found = np.flatnonzero(local_maxima(value.reshape(shape)))
    return owner[found], theta[found]


def _climb(
    problem: NestedCounts, theta: Array, free: NDArray[np.bool_], outer: int, model: NormalVariation
) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
    """Newton's method inside the quadrant; parameters that are not `free` stay put."""
    p = problem.X.shape[1]
    theta = theta.copy()
    value, gradient, hessian = problem.evaluate(theta, outer, model)
    reached = np.zeros(len(theta), dtype=bool)
    last = np.maximum(theta[:, p], 1e-3)
    active = np.arange(len(theta))
    for _ in range(60):
        at, g = theta[active], gradient[active]
        stays = np.broadcast_to(~free, g.shape).copy()
        stays[:, p:] |= (at[:, p:] <= 0) & (g[:, p:] <= 0)
        stays[:, p] |= (at[:, p] == 0) & (0.1 * last[active] <= _NOTHING)
        rising = (at[:, p] == 0) & ~stays[:, p]
        step = _newton(np.where(stays, 0.0, g), hessian[active], stays)
        # off zero the curvature is not known: a tenth of the step before
        last[active[rising]] *= 0.1
        step[rising, p] = last[active[rising]]
        decrement = np.sqrt(np.maximum((step * np.where(stays, 0.0, g)).sum(axis=1), 0.0))
        done = ~rising & (decrement < 1e-9)
        reach = np.abs(step[:, :p] @ problem.X.T).max(axis=1, initial=0.0)
        share = np.minimum(1.0, 3.0 / np.maximum(reach, 1e-300))
        # all parameters alike: a direction in which one of them is held back may lead down
        room = (3.0 * at[:, p:] + 0.1) / np.maximum(step[:, p:], 1e-300)
        step *= np.minimum(share, room.min(axis=1))[:, None]
        length = np.ones(len(active))
        pending = np.flatnonzero(~done)
        for _ in range(12):
            if not pending.size:
                break
            rows = active[pending]
            trial = theta[rows] + length[pending, None] * step[pending]
            trial[:, p:] = np.maximum(trial[:, p:], 0.0)
            trial[free[p] & (trial[:, p] <= _NOTHING), p] = 0.0
            new = problem.take(rows).evaluate(trial, outer, model)
            good = new[0] >= value[rows] - 1e-10 * (1.0 + np.abs(value[rows]))
            to = rows[good]
            theta[to], value[to], gradient[to], hessian[to] = (
                trial[good], *(a[good] for a in new)
            )  # fmt: skip
            length[pending[~good]] *= 0.5
            pending = pending[~good]
        reached[active[done]] = True
        stuck = np.zeros(len(active), dtype=bool)
        stuck[pending] = True
        active = active[~(done | stuck)]
        if not active.size:
            break
    return theta, value, gradient, hessian, reached


def _newton(gradient: Array, hessian: Array, stays: NDArray[np.bool_]) -> Array:
    """Uphill step in the parameters that move; negative curvature counts as its size."""
    matrix = np.where(stays[:, :, None] | stays[:, None], 0.0, -hessian)
    size = np.abs(np.diagonal(matrix, axis1=1, axis2=2))
    unit = np.where(size > 0, size, 1.0) ** -0.5
    matrix = matrix * unit[:, :, None] * unit[:, None]
    values, vectors = np.linalg.eigh(matrix + stays[:, :, None] * np.eye(stays.shape[1]))
    along = np.einsum("rab,ra->rb", vectors, unit * gradient)
    along /= np.maximum(np.abs(values), 1e-8)
    return unit * np.einsum("rab,rb->ra", vectors, along)


def _covariance(
    gradient: Array, hessian: Array, theta: Array, free: NDArray[np.bool_]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Inverse information of what is at no bound, the largest slope there in its se, and a mask."""
    known = np.broadcast_to(~free, theta.shape).copy()
    known[:, -2:] |= theta[:, -2:] <= 0
    either = known[:, :, None] | known[:, None]
    information = np.where(either, known[:, :, None] * np.eye(theta.shape[1]), -hessian)
    sound = np.linalg.eigvalsh(information)[:, 0] > 0
    information[~sound] = np.eye(theta.shape[1])
    cov = np.linalg.inv(information)
    se = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    slope = np.where(known, 0.0, np.abs(gradient) * se).max(axis=1)
    return cov, np.where(sound, slope, np.inf), either | ~sound[:, None, None]


def _distinct(owner: NDArray[np.intp], variances: Array, rows: int) -> NDArray[np.intp]:
    """How many different maxima were found for each row."""
    found = np.zeros(rows, dtype=np.intp)
    for row in range(rows):
        own: list[Array] = []
        for pair in variances[owner == row]:
            if all(np.abs(pair - other).max() > 1e-5 * (1.0 + pair.max()) for other in own):
                own.append(pair)
        found[row] = len(own)
    return found
