"""Confidence limits for the pooled effect of many replicates, on the model scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..counts.batch import take_fits
from ..counts.fit import GLMMFit
from ..counts.profile import profile_ci_mu
from ..distributions import chi2_isf
from ..normal.batch_intervals import (
    Limits,
    henmi_copas_limits,
    mu_limits,
    profile_mu_limits,
    symmetric_limits,
)
from ..normal.inverse_variance import InverseVarianceFit
from ..roots import bracketed_root, expand

Array = NDArray[np.float64]

__all__ = ["count_limits", "glmm_limits", "inverse_variance_limits"]


def inverse_variance_limits(fit: InverseVarianceFit, method: str, level: float) -> Limits:
    """Limits of every replicate by one of `helpers.engine.options.MU_METHODS`.

    A replicate of one study gets its Wald interval, as `helpers.pool` gives it.
    """
    low, high = symmetric_limits(fit.mu, fit.se, level)
    several = np.flatnonzero(fit.df > 0)
    if method == "wald" or not several.size:
        return low, high
    part = fit if several.size == fit.df.size else take_fits(fit, several)
    if method == "henmi-copas":
        limits = henmi_copas_limits(part.batch, level)
    elif method == "profile":
        limits = profile_mu_limits(part, level)
    else:
        limits = mu_limits(part, method, level)
    low[several], high[several] = limits
    return low, high


def glmm_limits(fit: GLMMFit, method: str, level: float) -> Limits:
    """Limits of GLMM fits: "wald", "t" with k - 1 degrees of freedom, or "profile"."""
    if method == "profile":
        ends = profile_ci_mu(fit, level)
        return ends.lower, ends.upper
    mu, se = fit.beta[:, 0], fit.se[:, 0]
    low, high = symmetric_limits(mu, se, level)
    several = fit.k > 1
    if method == "t" and several.any():
        low[several], high[several] = symmetric_limits(
            mu[several], se[several], level, (fit.k[several] - 1).astype(np.float64)
        )
    return low, high


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
    low, high = symmetric_limits(mu, se, level)
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
