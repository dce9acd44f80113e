"""Deviance of single studies: what a residual is where a study has no finite effect."""

from __future__ import annotations

import numpy as np

from ...arguments import Array
from ..counts.kernel import gauss_hermite, study_terms
from ..counts.studies import Family, prepare


def study_deviance(
    events: Array, size: Array, mu: Array, omega: Array, family: Family, quad_points: int
) -> tuple[Array, Array]:
    r"""Deviance of each study, shape (k,), from mean `mu` with variance `omega`, and its sign.

    The sign is that of the study's own best mean minus `mu`.

    For a study with likelihood :math:`\ell_i(\eta, \omega) = \log\int f(x_i \mid \eta +
    \sqrt{\omega}u)\phi(u)\,du` the deviance is

    .. math:: d_i = 2\{\max_\eta \ell_i(\eta, \omega) - \ell_i(\mu, \omega)\},

    the likelihood-ratio statistic for a shift of the mean of this study alone. For a normal effect
    with variance :math:`v_i` it is exactly :math:`(y_i-\mu)^2/(v_i+\omega)`, so that its signed
    root is what a standardised residual is for inverse variance (deviance residuals: Pierce and
    Schafer 1986, doi:10.1080/01621459.1986.10478361). Zero and full cells need no special care:
    their maximum is :math:`\ell_i = 0` at an infinite logit.
    """
    nodes = gauss_hermite(quad_points)
    studies = prepare(family, events, size)
    at_mu = study_terms(studies, mu, omega, nodes).value
    best = np.zeros(mu.shape)
    sign = np.where(studies.t_saturated > 0, 1.0, -1.0)
    inside = np.flatnonzero(np.isfinite(studies.t_saturated))
    if inside.size:
        part, w = studies.take(inside), omega[inside]
        eta = part.t_saturated.copy()
        for _ in range(100):
            terms = study_terms(part, eta, w, nodes)
            step = np.clip(-terms.eta / np.minimum(terms.eta_eta, -1e-300), -1.0, 1.0)
            eta = eta + step
            if not (np.abs(step) > 1e-10 * (1.0 + np.abs(eta))).any():
                break
        best[inside] = study_terms(part, eta, w, nodes).value
        sign[inside] = np.where(eta >= mu[inside], 1.0, -1.0)
    return np.maximum(2.0 * (best - at_mu), 0.0), sign
