r"""Binomial-normal model given tau: quadrature over mu and over every study's effect.

.. math:: x_i \mid \theta_i \sim \mathrm{Bin}(n_i, \mathrm{expit}\,\theta_i), \qquad
          \theta_i \sim N(\mu, \tau^2).

Each study's integral is adaptive Gauss-Hermite quadrature (Liu & Pierce 1994,
doi:10.1093/biomet/81.3.624) with the remainder of third order of `helpers.engine.counts.kernel`;
the integral over mu is the trapezoidal rule on an interval outside of which the density has
fallen by exp(-36), which converges geometrically for analytic functions (Trefethen & Weideman
2014, doi:10.1137/130932132).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.counts.studies import Studies, fixed_terms, log_saturated, prepare
from ...errors import ConvergenceError
from .panels import cardinal
from .priors import MuPrior
from .study_integrals import (
    RULES,
    at_mode,
    hermite,
    integrate_studies,
    study_mode,
)

Array = NDArray[Any]

__all__ = ["BinomialLayer", "BinomialModel"]

_DROP = 36.0  # the grid of mu ends where the density is exp(-36) of its peak
_CHUNK = 40_000  # study integrals held at once (they carry all nodes: fits the cache)
_NEIGHBOURS = 10  # grid points that an interpolated log density uses
_RESOLVED = 1.25  # a normal kernel this many grid steps wide is summed to 13 digits
_KERNEL_NODES = 21  # Gauss-Hermite nodes for kernels narrower than that
_SQRT_2PI = float(np.sqrt(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class BinomialLayer:
    """What the model says at each node of tau (J nodes, L points of mu, k studies).

    Attributes
    ----------
    tau : ndarray, shape (J,)
    log_marginal : ndarray, shape (J,)
        Log probability of the data given tau, mu integrated out.
    mean, variance : ndarray, shape (J,)
        Of mu given tau.
    study_mean, study_variance : ndarray, shape (J, k)
        Of each study's true effect given tau.
    start, step : ndarray, shape (J,)
        First point and spacing of the grid of mu.
    log_density : ndarray, shape (J, L)
        Log density of mu given tau on that grid.
    study_log : ndarray, shape (J, L, k)
        Log likelihood of each study there, relative to its saturated value.
    rule : ndarray of int, shape (J,)
        Which of `RULES` integrated the studies.
    """

    tau: Array
    log_marginal: Array
    mean: Array
    variance: Array
    study_mean: Array
    study_variance: Array
    start: Array
    step: Array
    log_density: Array
    study_log: Array
    rule: Array
    _model: BinomialModel
    _conditional_mean: Array  # of theta given mu and tau, shape (J, L, k)
    _conditional_variance: Array

    @property
    def mu_is_normal_a_priori(self) -> bool:
        """Whether mu has a proper prior."""
        return self._model.mu_prior.precision > 0.0

    @property
    def bounded_studies(self) -> Array:
        """Which studies bound their own effect from both sides."""
        return (self._model.events > 0) & (self._model.events < self._model.n)

    def take(self, keep: Array) -> BinomialLayer:
        """Keep the layer at the nodes `keep` of tau only."""
        return self._model.assemble(
            self.tau[keep],
            self.start[keep],
            self.step[keep],
            self.rule[keep],
            self.study_log[keep],
            self._conditional_mean[keep],
            self._conditional_variance[keep],
        )

    def coarse(self) -> BinomialLayer:
        """Thin the layer to every second point of mu."""
        return self._model.assemble(
            self.tau,
            self.start,
            2.0 * self.step,
            self.rule,
            self.study_log[:, ::2],
            self._conditional_mean[:, ::2],
            self._conditional_variance[:, ::2],
        )

    def finer(self) -> BinomialLayer:
        """Evaluate the same grid with the next better rule for the studies."""
        points = self.log_density.shape[1]
        better = np.minimum(self.rule + 1, len(RULES) - 1)
        return self._model.on_grid(self.tau, self.start, self.step, points, better)

    def mu_density(self, x: Array, weights: Array) -> Array:
        """Density of mu at `x`, mixed over tau with `weights`."""
        use = np.flatnonzero(np.abs(weights) > 1e-17)
        logs = self._read(self.log_density[use], use, np.broadcast_to(x, (use.size, x.size)))
        return weights[use] @ np.exp(logs)

    def mu_density_at(self, x: Array) -> Array:
        """Density of mu given each tau, at points of its own, shape (J, M)."""
        return np.exp(self._read(self.log_density, np.arange(self.tau.size), x))

    def predictive_density(self, x: Array, weights: Array) -> Array:
        """Density of the true effect of a new study at `x`."""
        return self._smoothed(self.log_density, x, weights, np.zeros_like(x))

    def study_density(self, study: int, x: Array, weights: Array) -> Array:
        """Density of the true effect of one study at `x`."""
        rest = self.log_density - self.study_log[:, :, study]
        own = self._model.study_likelihood(study, x)
        return self._smoothed(rest, x, weights, own)

    def _read(self, table: Array, rows: Array, x: Array) -> Array:
        """Interpolate rows of a table of logs (U, L) at points `x` (U, M); -745 outside."""
        points = table.shape[1]
        position = (x - self.start[rows, None]) / self.step[rows, None]
        inside = (position >= 0.0) & (position <= points - 1.0)
        first, w = cardinal(np.where(inside, position, 0.0), _NEIGHBOURS, points)
        flat = table.ravel()
        base = first + np.arange(len(rows))[:, None] * points
        value = np.zeros(x.shape)
        for p in range(_NEIGHBOURS):
            value += w[..., p] * flat[base + p]
        return np.where(inside, np.maximum(value, -745.0), -745.0)

    def _smoothed(self, table: Array, x: Array, weights: Array, own: Array) -> Array:
        """Mix ``exp(own(x) + table(mu)) N(x; mu, tau^2)`` over mu and tau."""
        total = np.zeros(x.size)
        heavy = np.abs(weights) > 1e-17
        wide = self.tau >= _RESOLVED * self.step
        grid = np.arange(table.shape[1])
        for j in np.flatnonzero(heavy & wide):
            mu = self.start[j] + self.step[j] * grid
            keep = self.log_density[j] > -_DROP
            z = (x[:, None] - mu[keep]) / self.tau[j]
            exponent = own[:, None] + table[j, keep] - 0.5 * z * z
            inner = np.exp(np.maximum(exponent, -745.0)).sum(axis=1)
            total += weights[j] * self.step[j] / (self.tau[j] * _SQRT_2PI) * inner
        rows = np.flatnonzero(heavy & ~wide)
        if rows.size:
            z, w = hermite(_KERNEL_NODES)
            for node, weight in zip(z, w, strict=True):
                logs = self._read(table[rows], rows, x - self.tau[rows, None] * node)
                total += weight * (weights[rows] @ np.exp(np.maximum(logs + own, -745.0)))
        return total


@dataclass(frozen=True, slots=True)
class BinomialModel:
    """Counts of events among n, shape (k,)."""

    events: Array
    n: Array
    mu_prior: MuPrior
    studies: Studies = field(init=False)
    constant: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "studies", prepare("binomial", self.events, self.n))
        saturated = log_saturated("binomial", self.events, self.n)
        object.__setattr__(self, "constant", float(saturated.sum()))

    @property
    def k(self) -> int:
        """Studies."""
        return self.events.size

    @property
    def informative(self) -> int:
        """Studies that bound mu and tau from both sides (neither no nor only events)."""
        return int(((self.events > 0) & (self.events < self.n)).sum())

    def log_marginal_tau0(self) -> float:
        """Log marginal likelihood with tau = 0 (nothing to integrate within studies)."""
        zero, share = np.zeros(1), np.ones(1)
        layer = self.layer(zero, share, tolerance=1e-12, points=161, first_rule=0)
        return float(layer.log_marginal[0])

    def tau_scales(self) -> Array:
        """Values of tau that matter, for the first look."""
        spread = float(np.ptp(self.studies.t_guess))
        smallest = 1e-3 / float(np.sqrt(self.studies.v_guess.max()))
        largest = 10.0 * max(spread, 1.0 / float(np.sqrt(self.studies.v_guess.min())))
        return np.geomspace(smallest, largest, 60)

    def study_likelihood(self, study: int, theta: Array) -> Array:
        """Log likelihood of one study at `theta`, relative to its saturated value."""
        one = self.studies.take(np.array([study]))
        return fixed_terms(one, theta[:, None])[0][:, 0]

    # --- where the grids go ---------------------------------------------------------------------
    #
    # Placing a grid needs no exact likelihood. The largest joint density over all study effects
    # is concave in mu, has simple derivatives and lies close enough to the integral.

    def _profile(self, tau: Array, mu: Array) -> tuple[Array, Array, Array, Array]:
        """Concave stand-in for the log likelihood, slope, information and Laplace's term."""
        omega = tau[..., None] ** 2
        t = study_mode(self.studies, np.broadcast_to(mu[..., None], (*mu.shape, self.k)), omega)
        value, slope, v = at_mode(self.studies, t, mu[..., None], omega)
        c = 1.0 + omega * v
        prior = self.mu_prior.precision
        return (
            (value - 0.5 * omega * slope**2).sum(axis=-1) + self.mu_prior.log_density(mu),
            slope.sum(axis=-1) - prior * (mu - self.mu_prior.mean),
            (v / c).sum(axis=-1) + prior,
            -0.5 * np.log(c).sum(axis=-1),
        )

    def _peak(self, tau: Array) -> tuple[Array, Array, Array, Array]:
        """Mode of mu given tau, its scale, the log likelihood there and Laplace's term."""
        v = self.studies.v_guess
        weight = v / (1.0 + v * tau[:, None] ** 2)
        prior = self.mu_prior.precision
        mu = (weight @ self.studies.t_guess + prior * self.mu_prior.mean) / (
            weight.sum(axis=1) + prior
        )
        low, high = np.full(mu.shape, -np.inf), np.full(mu.shape, np.inf)
        for _ in range(200):
            _, slope, information, _ = self._profile(tau, mu)
            low = np.where(slope > 0, np.maximum(low, mu), low)
            high = np.where(slope < 0, np.minimum(high, mu), high)
            scale = 1.0 / np.sqrt(information)
            reach = 4.0 * scale + tau + 1.0
            trial = mu + np.clip(slope * scale**2, -reach, reach)
            both = np.isfinite(low) & np.isfinite(high)
            outside = both & ((trial <= low) | (trial >= high))
            middle = 0.5 * (np.where(both, low, 0.0) + np.where(both, high, 0.0))
            trial = np.where(outside, middle, trial)
            near = bool((np.abs(trial - mu) < 1e-6 * scale).all())
            mu = trial
            if near:
                value, _, information, term = self._profile(tau, mu)
                return mu, 1.0 / np.sqrt(information), value, term
        raise ConvergenceError("the mode of mu given tau was not found")

    def rough_log_marginal(self, tau: Array) -> Array:
        """Log marginal likelihood of tau by Laplace's approximation in all dimensions."""
        _, scale, value, term = self._peak(tau)
        return value + term + np.log(scale * _SQRT_2PI) + self.constant

    def _reach(self, tau: Array, mode: Array, scale: Array, value: Array) -> tuple[Array, Array]:
        """Distances below and above the mode at which the density has fallen by `_DROP`."""
        side = np.array([[-1.0], [1.0]])
        distance = np.sqrt(2.0 * _DROP) * scale * np.ones((2, 1))
        near, far = np.zeros(distance.shape), np.full(distance.shape, np.inf)
        both_tau = np.broadcast_to(tau, distance.shape)
        for _ in range(100):
            drop = value - self._profile(both_tau, mode + side * distance)[0]
            short, long = drop < _DROP, drop > 1.4 * _DROP
            if not (short | long).any():
                return distance[0], distance[1]
            near, far = np.where(short, distance, near), np.where(long, distance, far)
            factor = np.clip((1.2 * _DROP / np.maximum(drop, 1e-3)) ** 0.7, 0.3, 3.0)
            bracketed = np.isfinite(far) & (near > 0)
            middle = 0.5 * (near + np.where(bracketed, far, 0.0))
            distance = np.where(
                short | long, np.where(bracketed, middle, distance * factor), distance
            )
        raise ConvergenceError("the tails of mu given tau were not found")

    # --- quadrature -----------------------------------------------------------------------------

    def layer(
        self, tau: Array, share: Array, *, tolerance: float, points: int, first_rule: int
    ) -> BinomialLayer:
        """Evaluate the model at nodes `tau`, shape (J,), and `points` values of mu for each.

        `share` is the rough posterior weight of each node: studies are integrated by the
        cheapest of `RULES` from `first_rule` on that is exact to `tolerance` where weight is.
        """
        mode, scale, value, _ = self._peak(tau)
        below, above = self._reach(tau, mode, scale, value)
        step = (below + above) / (points - 1)
        rule = np.maximum(
            self._choose_rules(tau, mode, share, tolerance), min(first_rule, len(RULES) - 1)
        )
        return self.on_grid(tau, mode - below, step, points, rule)

    def _choose_rules(self, tau: Array, mode: Array, share: Array, tolerance: float) -> Array:
        rule = np.zeros(tau.size, dtype=int)
        left = np.arange(tau.size)
        old = self._at(mode[left], tau[left], 0)
        for better in range(1, len(RULES)):
            if not left.size:
                break
            new = self._at(mode[left], tau[left], better)
            poor = np.abs(new - old) * share[left] > tolerance
            rule[left] = np.where(poor, better, better - 1)
            left, old = left[poor], new[poor]
        return rule

    def _at(self, mu: Array, tau: Array, rule: int) -> Array:
        return integrate_studies(self.studies, mu[:, None], tau[:, None], rule)[0].sum(axis=-1)

    def on_grid(
        self, tau: Array, start: Array, step: Array, points: int, rule: Array
    ) -> BinomialLayer:
        """Evaluate every study on given grids of mu, by the given rule at each tau."""
        shape = (tau.size, points, self.k)
        logs, mean, variance = np.empty(shape), np.empty(shape), np.empty(shape)
        mu = start[:, None] + step[:, None] * np.arange(points)
        for level, (_, size) in enumerate(RULES):
            members = np.flatnonzero(rule == level)
            rows = max(1, _CHUNK // (points * self.k * size))
            for a in range(0, members.size, rows):
                part = members[a : a + rows]
                logs[part], mean[part], variance[part] = integrate_studies(
                    self.studies, mu[part, :, None], tau[part, None, None], level
                )
        return self.assemble(tau, start, step, rule, logs, mean, variance)

    def assemble(
        self,
        tau: Array,
        start: Array,
        step: Array,
        rule: Array,
        logs: Array,
        mean: Array,
        variance: Array,
    ) -> BinomialLayer:
        """Integrate over mu."""
        mu = start[:, None] + step[:, None] * np.arange(logs.shape[1])
        joint = logs.sum(axis=-1) + self.mu_prior.log_density(mu)
        top = joint.max(axis=1, keepdims=True)
        scaled = np.exp(np.maximum(joint - top, -745.0))
        total = scaled.sum(axis=1) * step
        log_total = top[:, 0] + np.log(total)
        p = scaled * (step / total)[:, None]
        mu_mean = (p * mu).sum(axis=1)
        study_mean = np.einsum("jl,jlk->jk", p, mean)
        spread = variance + (mean - study_mean[:, None]) ** 2
        return BinomialLayer(
            tau=tau,
            log_marginal=log_total + self.constant,
            mean=mu_mean,
            variance=(p * (mu - mu_mean[:, None]) ** 2).sum(axis=1),
            study_mean=study_mean,
            study_variance=np.einsum("jl,jlk->jk", p, spread),
            start=start,
            step=step,
            log_density=joint - log_total[:, None],
            study_log=logs,
            rule=rule,
            _model=self,
            _conditional_mean=mean,
            _conditional_variance=variance,
        )
