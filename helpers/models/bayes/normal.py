r"""Normal-normal model given tau: everything in closed form.

.. math:: y_i \mid \theta_i \sim N(\theta_i, v_i), \qquad \theta_i \sim N(\mu, \tau^2).

Given :math:`\tau`, mu and every theta are normal (e.g. Raudenbush & Bryk 1985,
doi:10.3102/10769986010002075; Röver 2020, doi:10.18637/jss.v093.i06, uses the same facts on a
discrete grid of tau). Marginals are mixtures of these normals over the posterior of tau.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arguments import AnyArray as Array
from .priors import MuPrior

_CELLS = 1_000_000  # entries of a table held at once
_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class NormalLayer:
    """What the model says at each node of tau, shape (J,); `mean` and `variance` are of mu."""

    tau: Array
    log_marginal: Array
    mean: Array
    variance: Array
    model: NormalModel

    def take(self, keep: Array) -> NormalLayer:
        """Keep the layer at the nodes `keep` of tau only."""
        return NormalLayer(
            self.tau[keep],
            self.log_marginal[keep],
            self.mean[keep],
            self.variance[keep],
            self.model,
        )

    def mu_density(self, x: Array, weights: Array) -> Array:
        """Density of mu at `x`, mixed over tau with `weights`."""
        return _mixture(x, self.mean, self.variance, weights)

    def mu_density_at(self, x: Array) -> Array:
        """Density of mu given each tau, at points of its own, shape (J, M)."""
        sd = np.sqrt(self.variance)[:, None]
        z = (x - self.mean[:, None]) / sd
        return np.exp(-0.5 * np.minimum(z * z, 1480.0)) / (sd * np.sqrt(2.0 * np.pi))

    def predictive_density(self, x: Array, weights: Array) -> Array:
        """Density of the true effect of a new study at `x`."""
        return _mixture(x, self.mean, self.variance + self.tau**2, weights)

    def study_density(self, study: int, weights: Array) -> Callable[[Array], Array]:
        """Density of the true effect of one study, a function of points."""
        mean, variance = self._studies(slice(study, study + 1))
        return lambda x: _mixture(x, mean[:, 0], variance[:, 0], weights)

    def study_start(self, study: int, node: int) -> tuple[float, float]:
        """Mean and standard deviation of a study's effect at one node of tau."""
        mean, variance = self._studies(slice(study, study + 1))
        return float(mean[node, 0]), float(np.sqrt(variance[node, 0]))

    def study_moments(self, weights: Array) -> tuple[Array, Array]:
        """Posterior mean and variance of every study's effect, shape (k,)."""
        found = []
        for part in _parts(self.model.k, self.tau.size):
            mean, variance = self._studies(part)
            middle = weights @ mean
            found.append((middle, weights @ (variance + (mean - middle) ** 2)))
        means, variances = zip(*found, strict=True)
        return np.concatenate(means), np.concatenate(variances)

    def studies_given_tau(self) -> tuple[Array, Array]:
        """Mean and variance of every study's effect at each tau, shape (J, k)."""
        return self._studies(slice(None))

    def _studies(self, part: slice) -> tuple[Array, Array]:
        """Mean and variance of some studies' effects given tau, shape (J, part)."""
        yi, vi, tau2 = self.model.yi[part], self.model.vi[part], self.tau[:, None] ** 2
        pull = vi / (vi + tau2)
        # y - v/(v+tau2) (y - m): exact at both ends
        mean = yi - pull * (yi - self.mean[:, None])
        return mean, pull * tau2 + pull**2 * self.variance[:, None]


def _parts(k: int, nodes: int) -> list[slice]:
    """Slices of the studies that keep a table of nodes and studies small."""
    width = max(1, _CELLS // nodes)
    return [slice(first, first + width) for first in range(0, k, width)]


def _mixture(x: Array, mean: Array, variance: Array, weights: Array) -> Array:
    use = weights != 0.0
    mean, sd, weights = mean[use], np.sqrt(variance[use]), weights[use]
    z = (x[:, None] - mean) / sd
    return np.exp(-0.5 * np.minimum(z * z, 1480.0)) @ (weights / (sd * np.sqrt(2.0 * np.pi)))


@dataclass(frozen=True, slots=True)
class NormalModel:
    """Effects `yi` with known variances `vi`, shape (k,)."""

    yi: Array
    vi: Array
    mu_prior: MuPrior

    @property
    def k(self) -> int:
        """Studies."""
        return self.yi.size

    @property
    def bounded(self) -> Array:
        """Which studies bound their own effect, and so mu and tau, from both sides (here all)."""
        return np.ones(self.k, dtype=bool)

    def highest_log_marginal(self, tau: Array) -> Array:
        """Bound of the log marginal likelihood (none is needed: it costs nothing)."""
        return np.full(tau.shape, np.inf)

    def tau_scales(self) -> Array:
        """Values of tau that matter, for the first look."""
        spread = float(np.ptp(self.yi)) if self.k > 1 else 0.0
        smallest = 1e-3 * float(np.sqrt(self.vi.min()))
        largest = 10.0 * max(spread, float(np.sqrt(self.vi.max())))
        return np.geomspace(smallest, largest, 200)

    def layer(self, tau: Array) -> NormalLayer:
        """Evaluate the model at nodes `tau`, shape (J,)."""
        tau2 = tau[:, None] ** 2
        parts = _parts(self.k, tau.size)
        prior = self.mu_prior.precision
        # relative to the smallest variance's effect nothing is lost: centre first
        centre = self.yi.mean()
        m0 = self.mu_prior.mean - centre
        information, pulled, logs = (
            np.full(tau.shape, start) for start in (prior, prior * m0, 0.0)
        )
        for part in parts:
            total = self.vi[part] + tau2
            information += (1.0 / total).sum(axis=1)
            pulled += ((self.yi[part] - centre) / total).sum(axis=1)
            logs += np.log(total).sum(axis=1)
        mean = pulled / information
        q = prior * (mean - m0) ** 2
        for part in parts:
            q += ((self.yi[part] - centre - mean[:, None]) ** 2 / (self.vi[part] + tau2)).sum(
                axis=1
            )
        constant = -0.5 * (self.k - 1) * _LOG_2PI
        if prior > 0:
            constant += 0.5 * np.log(prior) - 0.5 * _LOG_2PI
        log_marginal = constant - 0.5 * (logs + np.log(information) + q)
        return NormalLayer(tau, log_marginal, mean + centre, 1.0 / information, self)
