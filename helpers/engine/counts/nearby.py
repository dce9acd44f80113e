r"""The GLMM of many nearly equal selections: steps in all that grow as the number of studies.

What k - 1 studies say is what all say less one study; what the first m say is a running sum. The
sums of the studies' derivatives in :math:`(\mu, \tau^2)` are smooth near the fit of all of them,
and there they are polynomials: their values on a grid of Chebyshev points (Trefethen 2013,
doi:10.1137/1.9781611975949) give them, to rounding, everywhere in a box that holds the maxima of
the replicates. Each replicate then runs Newton's method on its polynomial (less its own study,
which is evaluated exactly, where one is left out). The sums are compared with exact ones at
replicates on the edges of the box, and the grid grows until they agree.

That a maximum is the only one, a scan of every replicate's profile shows, as for any fit
(`helpers.engine.counts.shared`). Replicates for which it does not, or that leave the box, are left
to `helpers.engine.counts.fit.fit_glmm`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fit import GLMMFit
from .kernel import StudyTerms, gauss_hermite
from .optimise import candidates
from .shared import FirstOnes, WithoutEach, each_study, scan_shared
from .start import Scan, scan_points
from .studies import Array, fixed_terms, log_saturated
from .variation import NormalVariation

_DEGREES = (6, 9, 13, 18, 24)  # points of the grid in each direction, tried in turn
_AGREE = 1e-11  # gradient of the polynomial less that of the sum, in standard errors


@dataclass(frozen=True, slots=True)
class NearbyFits:
    """Fits of each replicate, arrays of shape ``(r,)``; see `helpers.engine.counts.fit.GLMMFit`.

    ``done`` says which replicates were fitted; the others hold nan.
    """

    mu: Array
    se: Array
    tau2: Array
    loglik: Array
    done: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Surface:
    """Sums of the studies' terms as polynomials in a box of ``(mu, omega)``."""

    low: Array  # (2,)
    high: Array
    # (6, n, n): value, eta, omega, eta_eta, eta_omega, omega_omega; (6, n, n, r) where each
    # replicate has sums of its own
    coefficients: Array

    def __call__(self, mu: Array, omega: Array, rows: NDArray[np.intp]) -> Array:
        """Evaluate the six sums of replicates at points ``(r,)``: shape ``(6, r)``."""
        n = self.coefficients.shape[1]
        first, second = (
            np.polynomial.chebyshev.chebvander(2.0 * (at - a) / (b - a) - 1.0, n - 1)
            for at, a, b in zip((mu, omega), self.low, self.high, strict=True)
        )
        if self.coefficients.ndim == 4:
            return np.einsum("ri,rj,fijr->fr", first, second, self.coefficients[..., rows])
        return np.einsum("rj,frj->fr", second, first @ self.coefficients)


def fit_nearby(pool: WithoutEach | FirstOnes, fit: GLMMFit) -> NearbyFits:
    """Fit the GLMM to every replicate of a pool."""
    model = NormalVariation(gauss_hermite(fit.quad_points))
    s = pool.studies
    mu, se, tau2, loglik = np.full((4, len(pool)), np.nan)
    done = np.zeros(len(pool), dtype=bool)
    mu0, value0, score, information = _without_random_effect(pool)
    saturated = pool.sums(log_saturated(s.family, s.x, s.n)[0])
    low, high = model.range(s, s.t_guess - fit.beta[:, :1])
    points = scan_points(low, high)
    grid = low[0] * (high[0] / low[0]) ** np.linspace(0.0, 1.0, points)
    found = scan_shared(pool, grid, model, s.n.shape[1])
    if found is None or (s.n <= 1).all() or not np.isfinite(mu0).any():
        return NearbyFits(mu, se, tau2, loglik, done)
    value, gamma, sound = found
    sound &= np.isfinite(mu0)
    rows = np.flatnonzero(sound)
    scan = Scan(np.broadcast_to(grid, (rows.size, points)), value[rows], gamma[rows][..., None])
    row, column = candidates(scan, value0[rows], score[rows])
    peaks = np.bincount(row, minlength=rows.size)
    bare = rows[(peaks == 0) & (score[rows] <= 0)]
    one = peaks[row] == 1
    picked = rows[row[one]]
    climbed = _climb(pool, picked, *_one_step(pool, fit, picked, model), model)
    if climbed is not None:
        m, w, height, variance, good = climbed
        # between the neighbours of the scan's highest point, and higher than every point
        at = column[one]
        good &= (w >= grid[np.maximum(at - 1, 0)] * (at > 0)) & (w < model.rugged)
        good &= w <= grid[np.minimum(at + 1, points - 1)]
        good &= height >= value[picked].max(axis=1) - 1e-7
        # where zero is a maximum as well, the higher of the two
        lower = good & (height <= value0[picked]) & (score[picked] <= 0)
        bare = np.concatenate([bare, picked[lower]])
        good &= ~lower
        at = picked[good]
        mu[at], tau2[at], se[at] = m[good], w[good], np.sqrt(variance[good])
        loglik[at] = saturated[at] + height[good]
        done[at] = True
    mu[bare], tau2[bare], se[bare] = mu0[bare], 0.0, information[bare] ** -0.5
    loglik[bare] = saturated[bare] + value0[bare]
    done[bare] = True
    return NearbyFits(mu, se, tau2, loglik, done)


def values_without_random_effect(pool: WithoutEach | FirstOnes) -> Array:
    """Log-likelihood of one rate in each replicate, relative to the saturated one, shape (r,).

    NaN where the rate is zero, or one.
    """
    return _without_random_effect(pool)[1]


def _without_random_effect(pool: WithoutEach | FirstOnes) -> tuple[Array, Array, Array, Array]:
    """One rate in each replicate: its logit (log rate), value, score for omega, information."""
    s = pool.studies
    x, n = s.x[0], s.n[0]
    events, size = pool.sums(x), pool.sums(n)
    binomial = s.family == "binomial"
    finite = (events > 0) & ((events < size) | (not binomial))
    top = np.where(finite, events, 1.0)
    rest = np.where(finite, size - events, 1.0) if binomial else np.where(finite, size, 1.0)
    mu = np.log(top / rest)

    def height(at: Array | float) -> Array:  # minus what a patient without event says
        return np.logaddexp(0.0, at) if binomial else np.exp(at)

    # values at one rate for all, and from there what the sums of the counts say
    centre = np.log(x.sum() / (n.sum() - x.sum() if binomial else n.sum()))
    value = pool.sums(fixed_terms(s, np.full((1, len(x)), centre))[0][0])
    value += events * (mu - centre) - size * (height(mu) - height(centre))
    rate = top / (top + rest) if binomial else top / rest
    spread = rate * (1.0 - rate) if binomial else rate
    squares = [pool.sums(f) for f in (x * x, x * n, n * n)]
    parts = squares[0], -2.0 * rate * squares[1], rate**2 * squares[2], -spread * size
    score = 0.5 * sum(parts)
    score = np.where(np.abs(score) <= 1e-12 * sum(np.abs(part) for part in parts), 0.0, score)
    missing = np.where(finite, 0.0, np.nan)
    return mu + missing, value + missing, score + missing, spread * size


def _one_step(
    pool: WithoutEach | FirstOnes, fit: GLMMFit, rows: NDArray[np.intp], model: NormalVariation
) -> tuple[Array, Array]:
    """Newton's step from the fit of all studies."""
    every = _stack(each_study(pool.studies, fit.beta[:, :1], fit.tau2[:, None], model))[:, 0]
    mu, omega, _ = _newton(pool.sums(every)[rows].T)
    return fit.beta[0, 0] + mu, np.maximum(fit.tau2[0] + omega, 0.1 * fit.tau2[0])


def _newton(sums: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Newton's steps in mu and omega, shape (r,), 0 where the sums (6, r) are not concave."""
    _, g, h, a, b, c = sums
    det = a * c - b * b
    definite = (a < 0) & (det > 0)
    safe = np.where(definite, det, 1.0)
    mu = np.where(definite, -(c * g - b * h) / safe, 0.0)
    return mu, np.where(definite, -(a * h - b * g) / safe, 0.0), definite


def _climb(
    pool: WithoutEach | FirstOnes,
    rows: NDArray[np.intp],
    mu: Array,
    omega: Array,
    model: NormalVariation,
) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]] | None:
    """Newton's method for the replicates ``rows``, from ``(mu, omega)``.

    Returns the maxima, the values there, the variances of ``mu`` and which replicates arrived
    inside the box; None where no grid describes the box.
    """
    if not rows.size:
        return None
    own = pool.own(rows)
    start = np.array([mu, omega])
    low, high = start.min(axis=1), start.max(axis=1)
    room = 0.5 * (high - low) + 1e-3 * np.array([1.0, high[1]])
    low, high = low - room, high + room
    low[1] = max(low[1], 0.0)
    for n in _DEGREES:
        surface = _surface(pool, low, high, n, model)

        def sums_at(mu: Array, omega: Array, surface: _Surface = surface) -> Array:
            every = surface(mu, omega, rows)
            if own is None:
                return every
            return every - _stack(model.terms(own, mu[None], omega[None]))[:, 0]

        mu, omega = start
        inside = np.ones(rows.size, dtype=bool)
        for _ in range(30):
            sums = sums_at(mu, omega)
            step_mu, step_omega, definite = _newton(sums)
            decrement = np.sqrt(np.abs(step_mu * sums[1] + step_omega * sums[2]))
            new_mu = np.clip(mu + step_mu, low[0], high[0])
            new_omega = np.clip(omega + step_omega, low[1], high[1])
            inside = definite & (new_mu == mu + step_mu) & (new_omega == omega + step_omega)
            mu, omega = new_mu, new_omega
            if (~inside | (decrement < 1e-8)).all():  # quadratic: this step was the last
                break
        sums = sums_at(mu, omega)
        det = sums[3] * sums[5] - sums[4] ** 2
        inside &= (sums[3] < 0) & (det > 0) & (omega > 0)
        variance = np.where(inside, -sums[5] / np.where(inside, det, 1.0), np.nan)
        inside &= np.abs(sums[1]) * np.sqrt(np.where(inside, variance, 0.0)) < 1e-8
        # replicates at the edges tell whether the grid is fine enough
        edge = np.flatnonzero(inside)
        if not edge.size:
            return None
        edge = np.unique([edge[f(v[edge])] for v in (mu, omega) for f in (np.argmin, np.argmax)])
        at = mu[edge, None], omega[edge, None]
        each = _stack(each_study(pool.studies, *at, model)) * pool.members(rows[edge])
        miss = np.abs(sums[:, edge] - each.sum(axis=-1))
        unit = np.array([variance[edge] ** -0.5, np.abs(sums[5][edge]) ** 0.5])
        rounding = 1e-15 * np.abs(each[1:3]).sum(axis=-1)
        if (miss[1:3] < _AGREE * unit + rounding).all():
            return mu, omega, sums[0], variance, inside
    return None


def _surface(
    pool: WithoutEach | FirstOnes, low: Array, high: Array, n: int, model: NormalVariation
) -> _Surface:
    """Polynomials through the sums at ``n`` by ``n`` Chebyshev points of the box."""
    angle = np.pi * (np.arange(n) + 0.5) / n
    node = 0.5 * (np.cos(angle) + 1.0)
    mu, omega = (a + (b - a) * node for a, b in zip(low, high, strict=True))
    values = [
        pool.summed(_stack(each_study(pool.studies, np.full((n, 1), at), omega[:, None], model)))
        for at in mu
    ]
    to = 2.0 / n * np.cos(np.outer(np.arange(n), angle))  # values to coefficients
    to[0] *= 0.5
    return _Surface(low, high, _both(np.stack(values, axis=1), to))


def _both(values: Array, to: Array) -> Array:
    """Apply a matrix to the second and to the third axis of (6, n, n) or (6, n, n, r)."""
    shape = values.shape
    flat = to @ values.reshape(shape[0], shape[1], -1)
    return (to @ flat.reshape(shape[0] * shape[1], shape[2], -1)).reshape(shape)


def _stack(terms: StudyTerms) -> Array:
    """Value and derivatives, one after the other."""
    return np.stack(terms[:6])
