r"""Normal-normal model given tau: everything in closed form.

.. math:: y_i \mid \theta_i \sim N(\theta_i, v_i), \qquad \theta_i \sim N(\mu, \tau^2).

Given :math:`\tau`, mu and every theta are normal (e.g. Raudenbush & Bryk 1985,
doi:10.3102/10769986010002075; Röver 2020, doi:10.18637/jss.v093.i06, uses the same facts on a
discrete grid of tau). Marginals are mixtures of these normals over the posterior of tau.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .priors import MuPrior

Array = NDArray[Any]

__all__ = ["NormalLayer", "NormalModel"]

_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class NormalLayer:
    """What the model says at each node of tau (J nodes, k studies).

    Attributes
    ----------
    tau : ndarray, shape (J,)
    log_marginal : ndarray, shape (J,)
        Log density of the data given tau, mu integrated out.
    mean, variance : ndarray, shape (J,)
        Of mu given tau.
    study_mean, study_variance : ndarray, shape (J, k)
        Of each study's true effect given tau.
    mu_is_normal_a_priori : bool
        Whether mu has a proper prior.
    """

    tau: Array
    log_marginal: Array
    mean: Array
    variance: Array
    study_mean: Array
    study_variance: Array
    mu_is_normal_a_priori: bool

    @property
    def bounded_studies(self) -> Array:
        """Which studies bound their own effect from both sides (here all)."""
        return np.ones(self.study_mean.shape[1], dtype=bool)

    def take(self, keep: Array) -> NormalLayer:
        """Keep the layer at the nodes `keep` of tau only."""
        return NormalLayer(
            self.tau[keep],
            self.log_marginal[keep],
            self.mean[keep],
            self.variance[keep],
            self.study_mean[keep],
            self.study_variance[keep],
            self.mu_is_normal_a_priori,
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

    def study_density(self, study: int, x: Array, weights: Array) -> Array:
        """Density of the true effect of one study at `x`."""
        return _mixture(x, self.study_mean[:, study], self.study_variance[:, study], weights)


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
    def informative(self) -> int:
        """Studies that bound mu and tau from both sides (here all of them)."""
        return self.k

    def rough_log_marginal(self, tau: Array) -> Array:
        """Log marginal likelihood of tau, for placing panels (here exact)."""
        return self.layer(tau).log_marginal

    def log_marginal_tau0(self) -> float:
        """Log marginal likelihood with tau = 0."""
        return float(self.layer(np.zeros(1)).log_marginal[0])

    def tau_scales(self) -> Array:
        """Values of tau that matter, for the first look."""
        spread = float(np.ptp(self.yi)) if self.k > 1 else 0.0
        smallest = 1e-3 * float(np.sqrt(self.vi.min()))
        largest = 10.0 * max(spread, float(np.sqrt(self.vi.max())))
        return np.geomspace(smallest, largest, 200)

    def layer(self, tau: Array) -> NormalLayer:
        """Evaluate the model at nodes `tau`, shape (J,)."""
        tau2 = tau[:, None] ** 2
        total = self.vi + tau2
        weight = 1.0 / total
        prior = self.mu_prior.precision
        information = weight.sum(axis=1) + prior
        # relative to the smallest variance's effect nothing is lost: centre first
        centre = self.yi.mean()
        y = self.yi - centre
        m0 = self.mu_prior.mean - centre
        mean = (weight @ y[:, None])[:, 0] + prior * m0
        mean = mean / information
        deviation = y - mean[:, None]
        q = (weight * deviation**2).sum(axis=1) + prior * (mean - m0) ** 2
        constant = -0.5 * (self.k - 1) * _LOG_2PI
        if prior > 0:
            constant += 0.5 * np.log(prior) - 0.5 * _LOG_2PI
        log_marginal = constant - 0.5 * (np.log(total).sum(axis=1) + np.log(information) + q)
        pull = self.vi * weight
        variance = 1.0 / information
        # y - v/(v+tau2) (y - m): exact at both ends
        study_mean = self.yi - pull * deviation
        study_variance = pull * tau2 + pull**2 * variance[:, None]
        return NormalLayer(
            tau=tau,
            log_marginal=log_marginal,
            mean=mean + centre,
            variance=variance,
            study_mean=study_mean,
            study_variance=study_variance,
            mu_is_normal_a_priori=prior > 0.0,
        )
