"""Confidence limits for the pooled effect of many replicates, on the model scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from helpers.distributions import chi2_isf, norm_ppf, t_ppf
from helpers.pooling.glmm import GLMMFit
from helpers.pooling.glmm_profile import profile_ci_mu
from helpers.pooling.intervals import henmi_copas_interval
from helpers.pooling.inverse_variance import InverseVarianceFit
from helpers.pooling.moments import Batch, moments, prepare
from helpers.pooling.roots import bracketed_root, expand
from helpers.pooling.tau2 import likelihood_maximum, log_likelihood

Array = NDArray[np.float64]

__all__ = ["count_limits", "glmm_limits", "inverse_variance_limits"]


def _symmetric(mu: Array, se: Array, level: float, df: Array | None) -> tuple[Array, Array]:
    """Limits mu +- q se; a normal quantile where `df` is None, infinite or 0."""
    upper = 0.5 + 0.5 * level
    q = np.full(mu.shape, float(norm_ppf(upper)))
    if df is not None:
        use = np.isfinite(df) & (df > 0)
        q[use] = t_ppf(upper, df[use])
    return mu - q * se, mu + q * se


def inverse_variance_limits(
    fit: InverseVarianceFit, se: Array, method: str, level: float
) -> tuple[Array, Array]:
    """Limits of every replicate by one of `helpers.pooling.intervals.MU_METHODS`.

    A replicate of one study gets its Wald interval, as `helpers.pooling.pool` gives it.
    """
    if method == "wald":
        return _symmetric(fit.mu, fit.se, level, None)
    if method == "t" or method.startswith("knapp-hartung"):
        df = fit.df
        if method == "knapp-hartung-wider":
            df = np.where(se == fit.se, np.inf, df)
        return _symmetric(fit.mu, se, level, df)
    low, high = _symmetric(fit.mu, fit.se, level, None)
    several = np.flatnonzero(fit.df > 0)
    if method == "henmi-copas":
        # Closed-form intervals of different lengths: nothing is fitted in this loop.
        for r in several:
            used = np.repeat(np.arange(fit.batch.yi.shape[1]), fit.batch.counts[r].astype(int))
            low[r], high[r] = henmi_copas_interval(
                fit.batch.yi[r, used], fit.batch.vi[r, used], level
            )
        return low, high
    if several.size:
        low[several], high[several] = _profile(
            fit.batch.rows(several), fit.mu[several], fit.se[several], fit.loglik[several], level
        )
    return low, high


def _profile(batch: Batch, mu: Array, se: Array, best: Array, level: float) -> tuple[Array, Array]:
    """Profile-likelihood limits of maximum-likelihood fits, all replicates together.

    Hardy and Thompson 1996,
    doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A.
    """
    threshold = best - 0.5 * float(chi2_isf(1.0 - level, 1.0))
    none = np.zeros((batch.yi.shape[1], 0))

    def above(x: Array) -> Array:
        shifted = prepare(batch.yi - x[:, None], batch.vi, batch.counts, none)
        top = likelihood_maximum(shifted, restricted=False)
        height = log_likelihood(shifted, moments(shifted, top.tau2), restricted=False)
        return height - threshold

    ends = []
    for side in (-1.0, 1.0):
        inside, outside = expand(above, mu, side * se, factor=1.5)
        ends.append(
            bracketed_root(above, inside, outside, rtol=1e-13, atol=1e-13 * float(se.min()))
        )
    return ends[0], ends[1]


def glmm_limits(fit: GLMMFit, method: str, level: float) -> tuple[Array, Array]:
    """Limits of GLMM fits: "wald", "t" with k - 1 degrees of freedom, or "profile"."""
    if method == "profile":
        ends = profile_ci_mu(fit, level)
        return ends.lower, ends.upper
    df = fit.k.astype(np.float64) - 1.0 if method == "t" else None
    return _symmetric(fit.beta[:, 0], fit.se[:, 0], level, df)


def count_limits(
    events: Array, size: Array, kind: str, method: NDArray[np.str_], level: float
) -> tuple[Array, Array]:
    """Limits of the common logit or log rate of summed counts.

    Parameters
    ----------
    events, size : ndarray, shape (R,)
        Sums over the studies, with a finite maximum.
    kind : {"proportion", "rate"}
    method : ndarray of str, shape (R,)
        "wald" or "profile" for each replicate.
    level : float

    Examples
    --------
    >>> low, high = count_limits(
    ...     np.array([4.0]), np.array([40.0]), "proportion", np.array(["profile"]), 0.95
    ... )
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (-3.404, -1.2819)
    """
    rate = kind == "rate"
    rest = np.where(rate, 1.0, size - events)
    mu = np.log(events / size) if rate else np.log(events / rest)
    se = np.sqrt(1.0 / events) if rate else np.sqrt(1.0 / events + 1.0 / rest)
    low, high = _symmetric(mu, se, level, None)
    pick = np.flatnonzero(method == "profile")
    if not pick.size:
        return low, high
    x, n, mu, se = events[pick], size[pick], mu[pick], se[pick]

    def height(m: Array) -> Array:
        return x * m - n * (np.exp(m) if rate else np.logaddexp(0.0, m))

    threshold = height(mu) - 0.5 * float(chi2_isf(1.0 - level, 1.0))

    def above(m: Array) -> Array:
        return height(m) - threshold

    for side, out in ((-1.0, low), (1.0, high)):
        inside, outside = expand(above, mu, side * se, factor=1.5)
        out[pick] = bracketed_root(above, inside, outside, rtol=1e-13, atol=1e-14 * float(se.min()))
    return low, high
