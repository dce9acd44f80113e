r"""Profile scan for replicates that are selections of the same studies.

Subsets and case resamples of one set of studies share, at a given :math:`\eta` and variance
parameter, every study's log-likelihood and derivatives: they are evaluated once, on a lattice of
values of :math:`\eta` that covers the maxima of all replicates, and each replicate's sum is one
row of a matrix product with its multiplicities. Between two points of the lattice a sum is the
quintic polynomial that shares value, slope and curvature at both ends (Hermite interpolation),
and its maximum is the profile. The spacing keeps the error of the interpolation,
:math:`|f^{(6)}| h^6 / 46080`, below the tolerance of the certificate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .kernel import StudyTerms
from .studies import Array, Studies
from .variation import Variation

_ERROR = 1e-9  # of an interpolated log-likelihood
_SUMS = 500_000  # replicates x points of the lattice held at once
_TERMS = 60_000  # studies x points x nodes evaluated at once: about the processor's cache
_NEWTON = 4


class Pool(NamedTuple):
    """Studies that the replicates of an intercept-only model select from.

    ``studies`` has shape ``(1, k)``; ``counts`` ``(r, k)`` says how often each takes part.
    """

    studies: Studies
    counts: Array

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, index: NDArray[np.intp]) -> Pool:
        """Restrict to some replicates."""
        return Pool(self.studies, self.counts[index])

    def sums(self, of: Array, rows: slice = slice(None)) -> Array:
        """Sum over the studies of each replicate: ``(..., k) -> (r, ...)``."""
        counts = self.counts[rows]
        return (counts @ of.reshape(-1, of.shape[-1]).T).reshape(len(counts), *of.shape[:-1])


class WithoutEach:
    """A `Pool` whose replicates are all studies without one each: sums less one term."""

    def __init__(self, studies: Studies) -> None:
        self.studies = studies

    def __len__(self) -> int:
        return self.studies.n.shape[1]

    def sums(self, of: Array, rows: slice = slice(None)) -> Array:
        """Sum over the studies of each replicate: ``(..., k) -> (r, ...)``."""
        own = np.moveaxis(of[..., rows], -1, 0)
        return of.sum(axis=-1) - own

    def summed(self, of: Array) -> Array:
        """Sum what polynomials are made of, ``(..., k) -> (...)``: all studies."""
        return np.asarray(of.sum(axis=-1))

    def own(self, rows: NDArray[np.intp]) -> Studies | None:
        """Studies that are to be taken away from `summed`."""
        return self.studies.places(rows)

    def members(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which studies take part in replicates, shape (r, k)."""
        return np.arange(len(self)) != rows[:, None]


class FirstOnes:
    """A `Pool` whose replicates are the first studies: ``least`` of them, one more, up to all."""

    def __init__(self, studies: Studies, least: int) -> None:
        self.studies, self.least = studies, least

    def __len__(self) -> int:
        return self.studies.n.shape[1] - self.least + 1

    def sums(self, of: Array, rows: slice = slice(None)) -> Array:
        """Sum over the studies of each replicate: ``(..., k) -> (r, ...)``."""
        return np.moveaxis(self.summed(of)[..., rows], -1, 0)

    def summed(self, of: Array) -> Array:
        """Sum what polynomials are made of, ``(..., k) -> (..., r)``: those of each replicate."""
        later = of[..., self.least - 1 :].copy()
        later[..., 0] = of[..., : self.least].sum(axis=-1)
        return np.cumsum(later, axis=-1, out=later)

    def own(self, rows: NDArray[np.intp]) -> Studies | None:
        """Nothing is to be taken away from `summed`."""
        return None

    def members(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which studies take part in replicates, shape (r, k)."""
        return np.arange(self.studies.n.shape[1]) < self.least + rows[:, None]


def scan_shared(
    pool: Pool | WithoutEach | FirstOnes, tau2: Array, model: Variation, width: int
) -> tuple[Array, Array, NDArray[np.bool_]] | None:
    """Profile log-likelihood of every replicate at every variance of a grid.

    Values and coefficients, shape ``(r, points)``, and which replicates found all their maxima
    inside the lattice; None where that would cost more than the replicates one by one, each of
    which would be evaluated at `width` studies.
    """
    s, k = pool.studies, pool.studies.n.shape[1]
    omega = tau2[:, None]
    # one Newton step of each replicate from the estimate of all studies together
    w = np.where(s.n > 0, s.v_guess / (1.0 + model.logit_variance(s, omega) * s.v_guess), 0.0)
    centre = pool.sums(w * s.t_guess).sum(axis=0) / pool.sums(w).sum(axis=0)
    for turn in range(3):
        terms = each_study(s, centre[:, None], omega, model)
        slope, bend = pool.sums(terms.eta), pool.sums(terms.eta_eta)
        if turn == 2 or isinstance(pool, Pool):
            break
        # replicates that hardly differ: steps of all of them, so that the lattice is narrow
        centre = centre - slope.sum(axis=0) / bend.sum(axis=0)
    concave = bend < 0
    move = np.where(concave, -slope / np.where(concave, bend, -1.0), 0.0)
    at = centre + np.clip(move, -2.0, 2.0)
    # a lattice around what they found
    information = float(pool.sums(np.where(s.n > 0, s.v_guess, 0.0)[0]).max())
    spacing = min(0.25, (46080.0 * _ERROR / information) ** (1.0 / 6.0))
    low = at.min(axis=0) - 0.5 * spacing
    places = 1 + max(1, int(np.ceil((at.max(axis=0) + 0.5 * spacing - low).max() / spacing)))
    # worth it? counted in evaluations of a study; interpolation costs about two for a replicate
    if (places + 1) * k + 2 * len(pool) > 0.7 * len(pool) * width:
        return None
    lattice = low[:, None] + spacing * np.arange(places)
    scaled = np.empty((3, *lattice.shape, k))
    # some at a time: only three terms are kept
    some = max(1, _TERMS // (places * k * model.cost))
    for part in (slice(i, i + some) for i in range(0, len(lattice), some)):
        terms = each_study(s, lattice[part, :, None], omega[part, None], model)
        scaled[:, part] = terms.value, terms.eta * spacing, terms.eta_eta * spacing**2
    size = max(1, _SUMS // lattice.size)
    parts = [
        _interpolated([pool.sums(f, rows) for f in scaled], at[rows], low, spacing)
        for rows in (slice(i, i + size) for i in range(0, len(pool), size))
    ]
    return (
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
    )


def each_study(s: Studies, eta: Array, omega: Array, model: Variation) -> StudyTerms:
    """Terms of every study, shape (..., k), at parameters that broadcast to (..., 1)."""
    lead = np.broadcast_shapes(eta.shape, omega.shape)[:-1]
    return model.terms(s, np.broadcast_to(eta, (*lead, s.n.shape[1])), omega)


def _interpolated(
    sums: list[Array], at: Array, low: Array, spacing: float
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Maximise the interpolated sums ``(r, points, places)``, Newton's method from ``at``."""
    places = sums[0].shape[2]
    u = (at - low) / spacing
    cell = np.zeros(u.shape, dtype=np.intp)
    poly = sums
    for turn in range(_NEWTON):
        now = np.clip(np.floor(u), 0, places - 2).astype(np.intp)
        if turn == 0 or (now != cell).any():
            cell, poly = now, _quintic(sums, now)
        v = u - cell
        a0, a1, a2, a3, a4, a5 = poly
        slope = a1 + v * (2 * a2 + v * (3 * a3 + v * (4 * a4 + v * 5 * a5)))
        bend = 2 * a2 + v * (6 * a3 + v * (12 * a4 + v * 20 * a5))
        step = -slope / np.where(bend < 0, bend, -1.0)
        u = u + np.clip(step, -places, places)
        if (np.abs(step) < 1e-6).all():
            break
    v = u - cell
    value = a0 + v * (a1 + v * (a2 + v * (a3 + v * (a4 + v * a5))))
    sound: NDArray[np.bool_] = (bend < 0) & (np.abs(step) < 1e-3) & (v > -0.01) & (v < 1.01)
    return value, low + spacing * u, np.asarray(sound.all(axis=1))


def _quintic(sums: list[Array], cell: NDArray[np.intp]) -> list[Array]:
    """Coefficients of the polynomial in each cell, in units of the spacing."""
    rows, points = np.arange(len(cell))[:, None], np.arange(cell.shape[1])
    (f0, d0, c0), (f1, d1, c1) = ([f[rows, points, cell + side] for f in sums] for side in (0, 1))
    rise = f1 - f0 - d0 - 0.5 * c0
    turn = d1 - d0 - c0
    curl = c1 - c0
    return [
        f0,
        d0,
        0.5 * c0,
        10.0 * rise - 4.0 * turn + 0.5 * curl,
        -15.0 * rise + 7.0 * turn - curl,
        6.0 * rise - 3.0 * turn + 0.5 * curl,
    ]
