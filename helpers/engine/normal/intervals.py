"""Confidence intervals for the pooled effect, on the model scale.

==========================  ===========================================  =======================
method                      what it does                                 source
==========================  ===========================================  =======================
``wald``                    mu +- z se                                   --
``t``                       mu +- t(k - 1) se                            --
``knapp-hartung``           t(k - 1), se scaled by sqrt(s2)              doi:10.1002/sim.1482
``knapp-hartung-max1``      the same with s2 never below 1               doi:10.1186/s12874-015-0091-1
``knapp-hartung-wider``     the wider of the Wald and Knapp-Hartung      doi:10.1002/sim.7411
``profile``                 profile likelihood (ML only)                 doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A
``henmi-copas``             around the common-effect estimate            doi:10.1002/sim.4029
==========================  ===========================================  =======================
"""  # noqa: E501

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import MetaAnalysisError
from ..distributions import chi2_isf, gamma_cdf, norm_pdf, norm_ppf, t_ppf
from ..roots import bracketed_root, expand
from .inverse_variance import InverseVarianceFit
from .likelihood import likelihood_maximum, log_likelihood
from .tau2 import estimate_tau2
from .weighted import Batch, moments, prepare

Array = NDArray[np.float64]

__all__ = [
    "KNAPP_HARTUNG",
    "NO_SPREAD",
    "Interval",
    "henmi_copas_interval",
    "knapp_hartung_se",
    "no_spread",
    "profile_height",
    "profile_mu_interval",
    "single_knapp_hartung_se",
    "symmetric_interval",
]

#: Methods that scale the standard error.
KNAPP_HARTUNG: tuple[str, ...] = ("knapp-hartung", "knapp-hartung-max1", "knapp-hartung-wider")
NO_SPREAD = (
    "all effects are identical, so that the Knapp-Hartung standard error is zero; use "
    "'knapp-hartung-max1' or 'wald'"
)


class Interval(NamedTuple):
    """Two limits, lower first."""

    lower: float
    upper: float


def symmetric_interval(mu: float, se: float, level: float, df: float | None = None) -> Interval:
    """Limits mu +- q se with a normal quantile, or a t quantile if `df` is given.

    Examples
    --------
    >>> [round(x, 3) for x in symmetric_interval(0.0, 1.0, 0.95)]
    [-1.96, 1.96]
    """
    upper = 0.5 + 0.5 * level
    q = float(norm_ppf(upper) if df is None else t_ppf(upper, df))
    return Interval(mu - q * se, mu + q * se)


def knapp_hartung_se(fit: InverseVarianceFit, method: str, level: float) -> Array:
    """Give standard errors of `mu` under one of the Knapp-Hartung methods, shape (R,).

    For "knapp-hartung-wider" the model-based standard error is returned where the Wald
    interval at this level is the wider one.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    >>> round(float(knapp_hartung_se(fit, "knapp-hartung", 0.95)[0]), 6)
    0.57735
    """
    scale = np.maximum(fit.scale, 1.0) if method == "knapp-hartung-max1" else fit.scale
    scaled = fit.se * np.sqrt(scale)
    if method != "knapp-hartung-wider":
        return scaled
    return np.where(wald_is_wider(fit, level), fit.se, scaled)


def wald_is_wider(fit: InverseVarianceFit, level: float) -> NDArray[np.bool_]:
    """Whether the Wald interval is wider than that of Knapp and Hartung, shape (R,).

    Equal standard errors do not decide it: where the scale factor is one, as the estimators of
    Paule and Mandel make it, the quantile of t still widens the interval of Knapp and Hartung.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> wald_is_wider(fit_inverse_variance([0.0, 0.01, 0.02], [1.0, 1.0, 1.0]), 0.95).tolist()
    [True]
    """
    upper = 0.5 + 0.5 * level
    return norm_ppf(upper) > t_ppf(upper, fit.df) * np.sqrt(fit.scale)


def no_spread(ratio: ArrayLike) -> NDArray[np.bool_]:
    """Whether rounding is all that is left of a Knapp-Hartung standard error.

    `ratio`, of any shape, is that standard error over the model's, the square root of the scale
    factor.

    Examples
    --------
    >>> no_spread([1e-9, 1e-6]).tolist()
    [True, False]
    """
    return np.asarray(np.asarray(ratio) <= 1e-8)


def single_knapp_hartung_se(fit: InverseVarianceFit, method: str, level: float) -> float:
    """Give the Knapp-Hartung standard error of a batch of one.

    Raises
    ------
    MetaAnalysisError
        The effects are identical, so that it is zero and the interval a point.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    >>> round(single_knapp_hartung_se(fit, "knapp-hartung", 0.95), 6)
    0.57735
    """
    se = float(knapp_hartung_se(fit, method, level)[0])
    if no_spread(se / float(fit.se[0])):
        raise MetaAnalysisError(NO_SPREAD)
    return se


def profile_height(batch: Batch, mu: Array) -> Array:
    """Find the largest log-likelihood over tau2 for each mu, shape (G,), of a batch of one.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1], method="ML")
    >>> bool(np.isclose(profile_height(fit.batch, fit.mu)[0], fit.loglik[0]))
    True
    """
    shifted = prepare(
        batch.yi - mu[:, None],
        np.broadcast_to(batch.vi, (mu.size, batch.vi.shape[1])),
        np.broadcast_to(batch.counts, (mu.size, batch.counts.shape[1])),
        np.zeros((batch.yi.shape[1], 0)),
    )
    best = likelihood_maximum(shifted, restricted=False)
    return log_likelihood(shifted, moments(shifted, best.tau2), restricted=False)


def profile_mu_interval(fit: InverseVarianceFit, level: float) -> Interval:
    """Profile-likelihood interval of a maximum-likelihood fit (a batch of one).

    Values of mu whose likelihood, maximised over tau2, is within half a chi-squared quantile
    of the maximum (Hardy and Thompson 1996).

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1], method="ML")
    >>> [round(x, 3) for x in profile_mu_interval(fit, 0.95)]
    [-0.316, 2.316]
    """
    threshold = float(fit.loglik[0]) - 0.5 * float(chi2_isf(1.0 - level, 1.0))
    mu, step = float(fit.mu[0]), float(fit.se[0])

    def above(x: Array) -> Array:
        return profile_height(fit.batch, x) - threshold

    inside, outside = expand(above, [mu, mu], [-step, step], factor=1.5)
    limits = bracketed_root(above, inside, outside, rtol=1e-13, atol=1e-13 * step)
    return Interval(float(limits[0]), float(limits[1]))


@cache
def _legendre(points: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return nodes, weights


def henmi_copas_interval(yi: Array, vi: Array, level: float) -> Interval:
    """Interval around the common-effect estimate that is valid under heterogeneity.

    With w = 1/vi, W_j = sum(w^j) and r = sqrt(W_1) (estimate - mu), the interval inverts
    |r| <= t sqrt(1 + tau2_DL W_2/W_1), where the quantile t refers to the joint distribution
    of r (normal) and Q given r (gamma with the exact conditional mean and variance), both at
    the DerSimonian-Laird tau2 (Henmi and Copas 2010, doi:10.1002/sim.4029).

    Examples
    --------
    >>> import numpy as np
    >>> limits = henmi_copas_interval(np.array([0.0, 1.0, 2.0]), np.full(3, 0.1), 0.95)
    >>> [round(x, 2) for x in limits]
    [-1.06, 3.06]
    """
    k = yi.size
    w = 1.0 / vi
    w1, w2 = float(w.sum()), float((w**2).sum())
    centre = float(w @ yi) / w1
    if k == 1:
        return symmetric_interval(centre, w1**-0.5, level)
    tau2 = float(estimate_tau2(prepare(yi, vi), "DL").tau2[0])
    inflation = 1.0 + tau2 * w2 / w1
    a = np.diag(w) - np.outer(w, w) / w1
    total = vi + tau2
    slope = w * total / np.sqrt(w1) / inflation
    conditional = np.diag(total) - inflation * np.outer(slope, slope)
    ac = a @ conditional
    mean0, var0 = float(np.trace(ac)), 2.0 * float((ac * ac.T).sum())
    mean2, var2 = float(slope @ a @ slope), 4.0 * float(slope @ ac @ a @ slope)
    sd = np.sqrt(inflation)
    nodes, node_weights = _legendre(128)

    def tail(t: Array) -> Array:
        # P(|r| > t sqrt(1 + tau2_DL W_2/W_1)): outside |r| <= t only a small Q leads there.
        top = t + 10.0 * sd
        r = 0.5 * (top - t)[:, None] * (nodes + 1.0) + t[:, None]
        limit = (k - 1.0) + (w1**2 / w2 - 1.0) * ((r / t[:, None]) ** 2 - 1.0)
        mean, var = mean0 + mean2 * r**2, var0 + var2 * r**2
        probability = gamma_cdf(limit, mean**2 / var, var / mean) * norm_pdf(r / sd) / sd
        return 2.0 * 0.5 * (top - t) * (probability @ node_weights)

    high = np.array([1.0])
    while tail(high)[0] > 1.0 - level:
        high = high * 1.5
    t0 = bracketed_root(lambda t: tail(t) - (1.0 - level), high * 1e-3, high, rtol=1e-12)[0]
    half = float(t0) * float(np.sqrt(inflation / w1))
    return Interval(centre - half, centre + half)
