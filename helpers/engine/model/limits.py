"""Confidence limits for the pooled effect of many replicates, on the model scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..counts.batch import take_fits
from ..counts.fit import GLMMFit
from ..counts.profile import profile_ci_mu
from ..normal.batch_intervals import (
    Limits,
    henmi_copas_limits,
    mu_limits,
    profile_mu_limits,
    symmetric_limits,
)
from ..normal.intervals import KNAPP_HARTUNG, knapp_hartung_se, wald_is_wider
from ..normal.inverse_variance import InverseVarianceFit

Array = NDArray[np.float64]

__all__ = ["glmm_limits", "inverse_variance_limits", "inverse_variance_se"]


def inverse_variance_se(fit: InverseVarianceFit, method: str, level: float) -> tuple[Array, Array]:
    """Give the standard error of every replicate under an interval method, with degrees of freedom.

    Infinite degrees of freedom stand for the normal distribution; a replicate of one study has no
    others.

    Examples
    --------
    >>> from helpers.engine.normal.inverse_variance import fit_inverse_variance
    >>> fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    >>> [float(x.round(6)[0]) for x in inverse_variance_se(fit, "knapp-hartung", 0.95)]
    [0.57735, 2.0]
    """
    several = np.flatnonzero(fit.df > 0)
    se, df = fit.se, np.full(len(fit.df), np.inf)
    if method in (*KNAPP_HARTUNG, "t") and several.size:
        df[several] = fit.df[several]
    if method in KNAPP_HARTUNG and several.size:
        part = fit if several.size == fit.df.size else take_fits(fit, several)
        se = se.copy()
        se[several] = knapp_hartung_se(part, method, level)
        if method == "knapp-hartung-wider":
            df[several[wald_is_wider(part, level)]] = np.inf
    return se, df


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
