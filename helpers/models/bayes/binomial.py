r"""Binomial-normal model given tau: quadrature over mu and over every study's effect.

.. math:: x_i \mid \theta_i \sim \mathrm{Bin}(n_i, \mathrm{expit}\,\theta_i), \qquad
          \theta_i \sim N(\mu, \tau^2).

`helpers.models.bayes.surface` gives the log likelihood at any (mu, tau). The integral over mu is
the trapezoidal rule on an interval outside of which the density has fallen by exp(-36), which
converges geometrically for analytic functions (Trefethen & Weideman 2014, doi:10.1137/130932132).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...arguments import AnyArray as Array
from ...engine.counts.studies import Studies, fixed_terms, log_saturated, prepare
from .priors import MuPrior
from .study_integrals import hermite, integrate_studies
from .surface import DROP, Rows, Surface

_NEGLIGIBLE = 1e-17  # weight of a node that no number shows
_RESOLVED = 1.25  # a normal kernel this many grid steps wide is summed to 13 digits
_SQRT_2PI = float(np.sqrt(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class BinomialLayer:
    """What the model says at each node of tau (J nodes, L points of mu)."""

    tau: Array  # shape (J,), as are the next three
    log_marginal: Array  # log probability of the data given tau, mu integrated out
    mean: Array  # of mu given tau
    variance: Array
    mu: Array  # its grid, shape (J, L)
    share: Array  # probability of each point of the grid given tau, shape (J, L)
    _spacing: Array  # of the grid of mu, shape (J, L)
    _log_total: Array
    _rows: Rows
    model: BinomialModel

    def take(self, keep: Array) -> BinomialLayer:
        """Keep the layer at the nodes `keep` of tau only."""
        return self.model.on_rows(self._rows.take(keep), self.mu.shape[1])

    def coarse(self) -> BinomialLayer:
        """Thin the layer to every second point of mu."""
        return self.model.on_rows(self._rows, (self.mu.shape[1] + 1) // 2)

    def reread(self, how: str) -> BinomialLayer:
        """Read the same grid from another form of the surface, see `Surface.rows`."""
        return self.model.on_rows(self.model.surface.rows(self.tau, how), self.mu.shape[1])

    def mu_density_at(self, x: Array) -> Array:
        """Density of mu given each tau, at points of its own, shape (J, M)."""
        logs = self._rows.read(x) + self.model.mu_prior.log_density(x) - self._log_total[:, None]
        return np.exp(np.maximum(logs, -745.0))

    def mu_density(self, x: Array, weights: Array) -> Array:
        """Density of mu at `x`, mixed over tau with `weights`."""
        use = np.flatnonzero(np.abs(weights) > _NEGLIGIBLE)
        some = self.take(use)
        return weights[use] @ some.mu_density_at(np.broadcast_to(x, (use.size, x.size)))

    def predictive_density(self, x: Array, weights: Array) -> Array:
        """Density of the true effect of a new study at `x`."""
        return self._smoothed(self._rows, x, weights, np.zeros_like(x))

    def study_density(self, study: int, weights: Array) -> Callable[[Array], Array]:
        """Density of the true effect of one study, a function of points."""
        one = self.model.studies.take(np.array([study]))
        rest = self._rows.less(self.model.surface.one_study(study, self.tau))

        def density(x: Array) -> Array:
            out = np.zeros(x.shape)
            own = fixed_terms(one, x[:, None])[0][:, 0]
            near = own > own.max() - 3.0 * DROP
            out[near] = self._smoothed(rest, x[near], weights, own[near])
            return out

        return density

    def study_moments(self, mass: Array, keep: Array, others: list[Array]) -> tuple[Array, Array]:
        """Posterior means and variances of the study effects, see `Surface.study_moments`."""
        return self.model.surface.study_moments(self.tau, mass, keep, others)

    def studies_given_tau(self) -> tuple[Array, Array]:
        """Mean and variance of every study's effect at each tau, shape (J, k)."""
        return self.model.surface.conditional_moments(self.tau, self.mu, self.share)

    def refine(self, weights: Array, tolerance: float) -> bool:
        """Improve the surface where its errors change the posterior by more than `tolerance`.

        `weights`, shape (J,), are those of the nodes, more where an error counts more; returns
        whether anything had to be improved.
        """
        surface, points = self.model.surface, self.mu.shape[1]
        logs = self._rows.grid(points)[2]
        mass = weights[:, None] * self.share
        changes = []
        for how in ("tau", "mu", "better"):
            change = surface.rows(self.tau, how).grid(points)[2] - logs
            change = np.abs(change) * np.exp(np.clip(change, 0.0, 300.0))
            changes.append((mass * change).sum(axis=1))
        keys = surface.which(self.tau)
        improved = False
        for key in np.unique(keys):
            here = keys == key
            total = float(mass[here].sum())
            by_tau, by_mu, by_rule = (float(change[here].sum()) for change in changes)
            if max(by_tau, by_mu, by_rule) > tolerance:
                old = surface.patch(int(key)).degrees
                found = zip(old, (by_tau, by_mu), strict=True)
                degrees = [
                    _wanted(degree, change / total, tolerance / total) for degree, change in found
                ]
                accuracy = 0.3 * tolerance / total if by_rule > tolerance else np.inf
                surface.refine(int(key), (degrees[0], degrees[1]), accuracy)
                improved = True
        return improved

    def study_start(self, study: int, node: int) -> tuple[float, float]:
        """Mean and standard deviation of a study's effect at one node of tau, roughly."""
        one = self.model.studies.take(np.array([study]))
        found = integrate_studies(one, self.mean[[node]], self.tau[[node]], 2)
        return float(found[1][0]), float(np.sqrt(found[2][0] + self.variance[node]))

    def _smoothed(self, rows: Rows, x: Array, weights: Array, own: Array) -> Array:
        """Mix ``exp(own(x) + rows(mu)) N(x; mu, tau^2)`` over the distribution of mu and tau."""
        total = np.zeros(x.size)
        heavy = np.abs(weights) > _NEGLIGIBLE
        coarsest = np.where(self.share > np.exp(-30.0), self._spacing, 0.0).max(axis=1)
        # how many times finer than the grid of mu a sum over normal kernels has to be
        finer = _RESOLVED * coarsest / np.maximum(self.tau, 1e-300)
        done = np.zeros(heavy.shape, dtype=bool)
        for times in (1, 2, 4):
            here = np.flatnonzero(heavy & (finer <= times) & ~done)
            if not here.size:
                continue
            done[here] = True
            mu, spacing, logs = rows.take(here).grid(times * (self.mu.shape[1] - 1) + 1)
            mass = logs + self.model.mu_prior.log_density(mu) + np.log(spacing / _SQRT_2PI)
            factor = np.log(np.abs(weights[here]) / self.tau[here]) - self._log_total[here]
            mass += factor[:, None]
            enough = mass > mass.max() - 1.2 * DROP
            for i, j in enumerate(here):
                z = x[:, None] - mu[i, enough[i]]  # and its exponent, in place
                z /= self.tau[j]
                z *= z
                z *= -0.5
                z += mass[i, enough[i]]
                z += own[:, None]
                np.exp(np.maximum(z, -745.0, out=z), out=z)
                total += np.sign(weights[j]) * z.sum(axis=1)
        # kernels narrower than that: Gauss-Hermite, with as many nodes as their width needs
        ratio = self.tau / (2.0 * self._spacing.min(axis=1))
        needed = np.ceil(32.0 / np.log(2.0 / np.clip(ratio, 1e-6, 0.8) ** 2))
        size = np.array([5, 9, 15, 25, 41])[np.searchsorted([5, 9, 15, 25], needed)]
        for nodes in np.unique(size[heavy & ~done]):
            here = np.flatnonzero(heavy & ~done & (size == nodes))
            some = rows.take(here)
            for node, weight in zip(*hermite(int(nodes)), strict=True):
                at = x - self.tau[here, None] * node
                logs = some.read(at) + self.model.mu_prior.log_density(at)
                logs = logs - self._log_total[here, None] + own
                total += weight * (weights[here] @ np.exp(np.clip(logs, -745.0, 700.0)))
        return total


def _wanted(degree: int, change: float, accuracy: float) -> int:
    """Degree that brings a change well below `accuracy` if it falls geometrically from `DROP`."""
    if change <= accuracy:
        return degree
    factor = np.log(DROP / min(0.1 * accuracy, 1.0)) / np.log(DROP / min(change, 0.5 * DROP))
    return 2 * int(np.ceil(0.5 * np.clip(factor * degree, degree + 2, 2.5 * degree)))


@dataclass(frozen=True, slots=True)
class BinomialModel:
    """Counts of events among n, shape (k,)."""

    events: Array
    n: Array
    mu_prior: MuPrior
    studies: Studies = field(init=False)
    constant: float = field(init=False)
    surface: Surface = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "studies", prepare("binomial", self.events, self.n))
        saturated = log_saturated("binomial", self.events, self.n)
        object.__setattr__(self, "constant", float(saturated.sum()))
        object.__setattr__(self, "surface", Surface(self.studies, self.mu_prior))

    @property
    def k(self) -> int:
        """Studies."""
        return self.events.size

    @property
    def bounded(self) -> Array:
        """Which studies bound their own effect, and so mu and tau (neither no nor only events)."""
        return (self.events > 0) & (self.events < self.n)

    def highest_log_marginal(self, tau: Array) -> Array:
        """Bound of the log marginal likelihood: no study exceeds its saturated likelihood.

        A flat prior for mu leaves the integral of the narrowest likelihood, at most some units
        wide; if no study bounds mu from both sides, of the order of tau.
        """
        return self.constant + 5.0 + np.log1p(tau)

    def layer(self, tau: Array, points: int) -> BinomialLayer:
        """Evaluate the model at nodes `tau`, shape (J,), and `points` values of mu for each."""
        return self.on_rows(self.surface.rows(tau), points)

    def on_rows(self, rows: Rows, points: int) -> BinomialLayer:
        """Integrate over mu."""
        mu, spacing, logs = rows.grid(points)
        joint = logs + self.mu_prior.log_density(mu)
        top = joint.max(axis=1, keepdims=True)
        scaled = np.exp(np.maximum(joint - top, -745.0)) * spacing
        total = scaled.sum(axis=1, keepdims=True)
        share = scaled / total
        mean = (share * mu).sum(axis=1)
        log_total = (top + np.log(total))[:, 0]
        return BinomialLayer(
            tau=rows.tau,
            log_marginal=log_total + self.constant,
            mean=mean,
            variance=(share * (mu - mean[:, None]) ** 2).sum(axis=1),
            mu=mu,
            share=share,
            _spacing=spacing,
            _log_total=log_total,
            _rows=rows,
            model=self,
        )
