"""How studies vary around their expected rate: the part in which the count models differ.

The optimiser works with a variance parameter ``omega >= 0`` at which zero means no variation
between studies. For the GLMM ``omega = tau2``; other models of variation offer the same:

* ``limit``, the largest ``omega`` that is searched, and ``rugged``, beyond which the profile may
  have narrow maxima, so that it is scanned densely; ``cost``, the size of temporary arrays;
* ``terms``: log-likelihood of each study and its derivatives in ``(eta, omega)``. ``rough`` asks
  for an approximation good enough to find the coefficients; without ``by_omega`` nobody will look
  at the derivatives in ``omega``;
* ``score``, the derivative in ``omega`` at zero, of slopes and information as in `fixed_terms`;
* ``range`` of a scan, given the residuals of the studies' logits; ``logit_variance``, roughly that
  between the logits, for starting values; ``resolution``, the rounding error of log-likelihoods;
* ``natural``: derivatives in ``(gamma, omega)`` turned to those for the parameter reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from .kernel import MODE_ACCURACY, StudyTerms, gauss_hermite, study_terms
from .studies import Array, Studies

if TYPE_CHECKING:
    from .beta_binomial import BetaBinomialVariation

Variation: TypeAlias = "NormalVariation | BetaBinomialVariation"

TAU_MAX = 50.0
_LAPLACE = gauss_hermite(1)
_ELEMENTS = 250_000  # studies x parameters x nodes evaluated at once


@dataclass(frozen=True, slots=True)
class NormalVariation:
    """Normal random intercepts, integrated by adaptive quadrature; ``omega`` is ``tau2``."""

    nodes: tuple[Array, Array]
    limit: ClassVar[float] = TAU_MAX**2
    rugged: ClassVar[float] = 4.0  # tau of 2, where quadrature with few nodes begins to ripple

    @property
    def cost(self) -> int:
        """Quadrature nodes."""
        return len(self.nodes[0])

    def terms(
        self,
        s: Studies,
        eta: Array,
        omega: Array,
        mode: Array | None = None,
        rough: bool = False,
        by_omega: bool = True,
    ) -> StudyTerms:
        """Quadrature log-likelihood; Laplace's when ``rough``."""
        nodes, accuracy = (_LAPLACE, 1e-2) if rough else (self.nodes, MODE_ACCURACY)
        lead = eta.size // max(eta.shape[-1], 1)
        size = max(1, _ELEMENTS // (max(lead, 1) * len(nodes[0])))
        k = eta.shape[-1]
        if size >= k:
            return study_terms(s, eta, omega, nodes, mode, accuracy, by_omega)
        parts = []
        for at in (slice(i, i + size) for i in range(0, k, size)):
            w = omega if omega.shape[-1] == 1 else omega[..., at]
            start = None if mode is None else mode[..., at]
            part = study_terms(s.places(at), eta[..., at], w, nodes, start, accuracy, by_omega)
            parts.append(part)
        return StudyTerms(*(np.concatenate(f, axis=-1) for f in zip(*parts, strict=True)))

    def score(self, s: Studies, slope: Array, v: Array, eta: Array) -> Array:
        """Half of squared score minus information."""
        return 0.5 * (slope**2 - v)

    def range(self, s: Studies, residual: Array) -> tuple[Array, Array]:
        """From far below the smallest sampling variance to four times the largest residual."""
        low = 0.02 / np.where(s.n > 0, s.v_guess, 0.0).max(axis=1)
        widest = np.where(s.n > 0, np.abs(residual), 0.0).max(axis=1)
        high = np.maximum(np.maximum(1.0, 4.0 * widest**2), 100.0 * low)
        return low, np.minimum(high, self.limit)

    def logit_variance(self, s: Studies, omega: Array) -> Array:
        """Return the parameter itself."""
        return omega

    def resolution(self, s: Studies) -> Array:
        """Return zero: values relative to the saturated model keep their digits."""
        return np.zeros(len(s.n))

    def natural(self, gradient: Array, hessian: Array, omega: Array) -> tuple[Array, Array]:
        """Turn to derivatives in ``(gamma, tau)``."""
        twice = 2.0 * np.sqrt(omega)
        g, h = gradient.copy(), hessian.copy()
        h[:, -1, -1] = 2.0 * g[:, -1] + 4.0 * omega * h[:, -1, -1]
        h[:, :-1, -1] *= twice[:, None]
        h[:, -1, :-1] *= twice[:, None]
        g[:, -1] *= twice
        return g, h
