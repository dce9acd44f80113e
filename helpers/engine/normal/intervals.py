"""Confidence intervals for the pooled effect, on the model scale, for batches of fits.

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

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import Array
from ...errors import MetaAnalysisError, UnsupportedError
from ..distributions import chi2_isf, gamma_cdf, norm_pdf, norm_ppf, t_ppf
from ..roots import bracketed_root, expand
from .inverse_variance import InverseVarianceFit
from .likelihood import likelihood_maximum, log_likelihood
from .tau2 import estimate_tau2
from .weighted import Batch, moments, prepare

Limits = tuple[Array, Array]

_CELLS = 2_000_000  # numbers held at once
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


def first(limits: Limits) -> Interval:
    """Limits of the first replicate."""
    return Interval(float(limits[0][0]), float(limits[1][0]))


def quantile(level: float, df: ArrayLike | None) -> Array:
    """Give the t quantile of a two-sided interval; without finite degrees of freedom the normal."""
    upper, freedom = 0.5 + 0.5 * level, np.asarray(np.inf if df is None else df, dtype=float)
    some = np.isfinite(freedom) & (freedom > 0)
    normal = float(norm_ppf(upper))
    if not some.any():
        return np.full(freedom.shape, normal)
    return np.where(some, t_ppf(upper, np.where(some, freedom, 1.0)), normal)


def symmetric_limits(mu: Array, se: Array, level: float, df: ArrayLike | None = None) -> Limits:
    """Limits mu +- q se with a normal quantile, or t quantiles where `df` is finite."""
    half = quantile(level, df) * se
    return mu - half, mu + half


def symmetric_interval(mu: float, se: float, level: float, df: float | None = None) -> Interval:
    """One interval of `symmetric_limits`."""
    half = float(quantile(level, df)) * se
    return Interval(mu - half, mu + half)


def knapp_hartung_se(fit: InverseVarianceFit, method: str, level: float) -> Array:
    """Give standard errors of `mu` under one of the Knapp-Hartung methods, shape (R,).

    For "knapp-hartung-wider" the model-based standard error is returned where the Wald
    interval at this level is the wider one.
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
    """
    upper = 0.5 + 0.5 * level
    return norm_ppf(upper) > t_ppf(upper, fit.df) * np.sqrt(fit.scale)


def no_spread(ratio: ArrayLike) -> NDArray[np.bool_]:
    """Whether rounding is all that is left of a Knapp-Hartung standard error.

    `ratio`, of any shape, is that standard error over the model's, the square root of the scale
    factor.
    """
    return np.asarray(np.asarray(ratio) <= 1e-8)


def single_knapp_hartung_se(fit: InverseVarianceFit, method: str, level: float) -> float:
    """Give the Knapp-Hartung standard error of a batch of one."""
    se = float(knapp_hartung_se(fit, method, level)[0])
    if no_spread(se / float(fit.se[0])):
        raise MetaAnalysisError(NO_SPREAD)
    return se


def interval_se(fit: InverseVarianceFit, method: str, level: float) -> tuple[Array, Array]:
    """Give the standard error of every replicate under an interval method, with degrees of freedom.

    Infinite degrees of freedom mean the normal distribution; a replicate of one study has no
    others.
    """
    several = fit.df > 0
    df = np.where(several, fit.df, np.inf)
    if method not in KNAPP_HARTUNG:
        return fit.se, df if method == "t" else np.full(df.shape, np.inf)
    se = np.where(several, knapp_hartung_se(fit, method, level), fit.se)
    if method == "knapp-hartung-wider":
        df = np.where(several & wald_is_wider(fit, level), np.inf, df)
    return se, df


def mu_limits(fit: InverseVarianceFit, method: str, level: float) -> Limits:
    """Limits of every replicate by one of `MU_METHODS`; the Wald interval for one study."""
    if method == "henmi-copas":
        return henmi_copas_limits(fit.batch, level)
    if method == "profile":
        return profile_mu_limits(fit, level)
    if method not in ("wald", "t", *KNAPP_HARTUNG):
        raise UnsupportedError(
            f"method={method!r}: expected wald, t, profile, henmi-copas or a Knapp-Hartung method"
        )
    se, df = interval_se(fit, method, level)
    return symmetric_limits(fit.mu, se, level, df)


def by_chunks(rows: int, width: int, part: Callable[[slice], Limits]) -> Limits:
    """Apply `part` to slices of the replicates that hold a bounded number of cells."""
    size = max(1, _CELLS // max(width, 1))
    if rows == 0:
        return np.zeros(0), np.zeros(0)
    found = [part(slice(i, i + size)) for i in range(0, rows, size)]
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def profile_height(batch: Batch, mu: Array) -> Array:
    """Find the largest log-likelihood over tau2 for the mu of each replicate, shape (R,)."""
    none = np.zeros((batch.yi.shape[1], 0))
    shifted = prepare(batch.yi - mu[:, None], batch.vi, batch.counts, none)
    best = likelihood_maximum(shifted, restricted=False)
    at = moments(shifted, best.tau2) if best.final is None else best.final
    return log_likelihood(shifted, at, restricted=False)


def profile_mu_limits(fit: InverseVarianceFit, level: float, *, rtol: float = 1e-12) -> Limits:
    """Profile-likelihood intervals for the pooled effect of maximum-likelihood fits.

    Values of mu whose likelihood, maximised over tau2, is within half a chi-squared quantile
    of the maximum (Hardy and Thompson 1996).
    """
    drop = 0.5 * float(chi2_isf(1.0 - level, 1.0))

    def part(rows: slice) -> Limits:
        r = len(fit.mu[rows])
        twice = fit.batch.rows(np.tile(np.arange(len(fit.mu))[rows], 2))
        mu, se = np.tile(fit.mu[rows], 2), np.tile(fit.se[rows], 2)
        side, threshold = np.repeat([-1.0, 1.0], r), np.tile(fit.loglik[rows] - drop, 2)

        def above(steps: Array) -> Array:  # the limit is mu + side * steps * se
            return profile_height(twice, mu + side * steps * se) - threshold

        inside, outside = expand(above, np.zeros(2 * r), np.full(2 * r, 1.5), factor=1.5)
        steps = bracketed_root(above, inside, outside, rtol=rtol, atol=rtol)
        limits = mu + side * steps * se
        low, high = limits[:r], limits[r:]
        one = fit.df[rows] <= 0
        if one.any():
            z_low, z_high = symmetric_limits(fit.mu[rows], fit.se[rows], level)
            low, high = np.where(one, z_low, low), np.where(one, z_high, high)
        return low, high

    return by_chunks(fit.mu.size, 60 * fit.batch.yi.shape[1], part)


@lru_cache(maxsize=8)
def _legendre(points: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return nodes, weights


def henmi_copas_limits(
    batch: Batch, level: float, *, nodes: int = 128, rtol: float = 1e-12
) -> Limits:
    """Henmi-Copas intervals around the common-effect estimates.

    With w = 1/vi, W_j = sum(w^j) and r = sqrt(W_1) (estimate - mu), the interval inverts
    |r| <= t sqrt(1 + tau2_DL W_2/W_1), where the quantile t refers to the joint distribution
    of r (normal) and Q given r (gamma with the exact conditional mean and variance), both at
    the DerSimonian-Laird tau2 (Henmi and Copas 2010, doi:10.1002/sim.4029). Its traces are written
    as sums over studies, so that no k-by-k matrix is formed.
    """

    def part(rows: slice) -> Limits:
        return _henmi_copas(batch.rows(rows), level, *_legendre(nodes), rtol)

    return by_chunks(batch.k.size, max(nodes, batch.yi.shape[1]), part)


def _henmi_copas(batch: Batch, level: float, x: Array, x_weights: Array, rtol: float) -> Limits:
    w = batch.counts / batch.vi
    w1, w2 = w.sum(axis=1), (w**2).sum(axis=1)
    centre = (w * batch.yi).sum(axis=1) / w1
    tau2 = estimate_tau2(batch, "DL").tau2
    f = 1.0 + tau2 * w2 / w1
    sd = np.sqrt(f)
    total = batch.vi + tau2[:, None]
    s = w * total / np.sqrt(w1)[:, None] / f[:, None]
    g = w * s - w * ((w * s).sum(axis=1) / w1)[:, None]
    sas, gdg = (s * g).sum(axis=1), (total * g**2).sum(axis=1)
    trace = (w * total).sum(axis=1) - (w**2 * total).sum(axis=1) / w1
    squared = (
        (w**2 * total**2).sum(axis=1)
        - 2.0 * (w**3 * total**2).sum(axis=1) / w1
        + ((w**2 * total).sum(axis=1) / w1) ** 2
    )
    mean0, mean2 = trace - f * sas, sas
    var0, var2 = 2.0 * (squared - 2.0 * f * gdg + (f * sas) ** 2), 4.0 * (gdg - f * sas**2)
    several = batch.k > 1  # a single study has a normal quantile, not this one
    mean0, var0 = np.where(several, mean0, 1.0), np.where(several, var0, 1.0)
    ratio, df = w1**2 / w2 - 1.0, batch.k - 1.0
    # equal variances: Q does not depend on the estimate, and these are rounding residue
    mean2, var2 = (np.where(np.abs(a) < 1e-13 * np.abs(b), 0.0, a) for a, b in (
        (mean2, mean0), (var2, var0)))  # fmt: skip

    def tail(t: Array) -> Array:
        top = t + 10.0 * sd
        r = 0.5 * (top - t)[:, None] * (x + 1.0) + t[:, None]
        limit = df[:, None] + ratio[:, None] * ((r / t[:, None]) ** 2 - 1.0)
        mean = mean0[:, None] + mean2[:, None] * r**2
        var = var0[:, None] + var2[:, None] * r**2
        z = r / sd[:, None]
        p = gamma_cdf(limit, mean**2 / var, var / mean) * norm_pdf(z) / sd[:, None]
        return (top - t) * (p @ x_weights)

    high = np.ones(w1.size)
    for _ in range(60):
        short = several & (tail(high) > 1.0 - level)
        if not short.any():
            break
        high = np.where(short, 1.5 * high, high)

    def excess(t: Array) -> Array:
        return np.where(several, tail(t) - (1.0 - level), 1.0 - t)

    t0 = bracketed_root(excess, high * 1e-3, np.where(several, high, 2.0), rtol=rtol)
    half = np.where(several, t0 * np.sqrt(f / w1), norm_ppf(0.5 + 0.5 * level) / np.sqrt(w1))
    return centre - half, centre + half
