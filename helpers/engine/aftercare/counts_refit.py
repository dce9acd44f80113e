"""Fit likelihood models (GLMM, or one common rate) to many selections of studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..counts.common import family_of, included_counts
from ..counts.fit import fit_glmm
from ..counts.optimise import FitStatus
from ..counts.studies import fixed_terms, log_saturated, prepare
from .limits import count_limits, glmm_limits
from .replicates import Counts, Refits, p_value, ratio

if TYPE_CHECKING:
    from ...models.result import PoolResult

Array = NDArray[np.float64]

__all__ = ["refit_counts"]


def refit_counts(
    fit: PoolResult, counts: Counts | None, events: Array | None, rows: int, *, limits: bool
) -> Refits:
    """Fit the likelihood model of `fit` to each of R selections of its studies.

    Parameters
    ----------
    fit : PoolResult
        Original result, model "glmm" or a common effect by likelihood.
    counts, events
        As for `helpers.engine.aftercare.refit.Refitter`.
    rows : int
        R.
    limits : bool
        Whether to compute confidence limits too.
    """
    options, kind = fit.options, fit.scale.kind
    x0, n = included_counts(fit.data)
    x = np.broadcast_to(x0[None] if events is None else events, (rows, fit.k))
    c = np.ones((rows, fit.k)) if counts is None else counts.astype(float)
    k = c.sum(axis=1)
    df = k - 1.0
    free = df > 0
    # The model without random effect: closed form, and all there is for one study.
    total, size = np.einsum("rk,rk->r", c, x), c @ n
    finite = (total > 0) & ((kind == "rate") | (total < size))
    inner = np.where(finite, total, 1.0)
    rest = np.where(finite, size - total, 1.0)
    rate = kind == "rate"
    mu = np.log(inner / size) if rate else np.log(inner / rest)
    se = np.sqrt(1.0 / inner) if rate else np.sqrt(1.0 / inner + 1.0 / rest)
    status = np.where(finite, 0, FitStatus.SEPARATION).astype(np.int8)
    studies = prepare(family_of(kind), x, np.broadcast_to(n, x.shape))
    fixed = fixed_terms(studies, mu[:, None])[0]
    distinct = x[:1] if events is None else x
    saturated = log_saturated(studies.family, distinct, np.broadcast_to(n, distinct.shape))
    loglik = np.where(finite, np.einsum("rk,rk->r", c, saturated + fixed), np.nan)
    lrt = np.where(finite & free, np.maximum(-2.0 * np.einsum("rk,rk->r", c, fixed), 0.0), 0.0)
    mu, se = np.where(finite, mu, np.nan), np.where(finite, se, np.nan)
    tau2 = np.where(finite, 0.0, np.nan)
    converged = finite.copy()
    low, high = np.full(rows, np.nan), np.full(rows, np.nan)
    pick = np.flatnonzero(finite & free) if options.model == "glmm" else np.arange(0)
    if pick.size:
        again = fit_glmm(
            x0 if events is None else x[pick],
            n,
            mask=None if counts is None else counts[pick],
            family=family_of(kind),
            quad_points=options.quad_points,
        )
        at = np.arange(len(again)) if len(again) == pick.size else np.zeros(pick.size, dtype=int)
        sound = again.converged[at]
        mu[pick] = np.where(sound, again.beta[at, 0], np.nan)
        se[pick] = np.where(sound, again.se[at, 0], np.nan)
        tau2[pick] = np.where(sound, again.tau2[at], np.nan)
        loglik[pick] = np.where(sound, again.loglik[at], np.nan)
        converged[pick], status[pick] = again.converged[at], again.status[at]
        if limits:
            low[pick], high[pick] = glmm_limits(again, options.ci_method, options.level)
    rest_of = np.flatnonzero(finite & ~np.isin(np.arange(rows), pick))
    if limits and rest_of.size:
        method = np.where(free[rest_of], options.ci_method, "wald")
        low[rest_of], high[rest_of] = count_limits(
            total[rest_of], size[rest_of], kind, method, options.level
        )
    vt = _typical_variance(fit, c, x, n, free)
    safe_df = np.where(free, df, 1.0)
    if options.model == "glmm":
        known = np.where(free, vt, 1.0)
        i2, h2 = 100.0 * tau2 / (tau2 + known), 1.0 + tau2 / known
    else:
        i2, h2 = 100.0 * np.maximum(ratio(lrt - df, lrt), 0.0), lrt / safe_df
        i2 = np.where(lrt > 0, i2, 0.0)
    return Refits(
        k=k.astype(np.int64),
        mu=mu,
        se=se,
        se_model=se,
        tau2=tau2,
        Q=lrt,
        df=df,
        p=p_value(lrt, df),
        I2=np.where(free, i2, 0.0),
        H2=np.where(free, h2, 1.0),
        vt=vt,
        loglik=loglik,
        ci_lower=low,
        ci_upper=high,
        back_size=np.ones(rows),
        converged=converged,
        status=status,
    )


def _typical_variance(
    fit: PoolResult, c: Array, x: Array, n: Array, free: NDArray[np.bool_]
) -> Array:
    """Compute (k - 1)/tr(P) with inverse-variance weights of the measure's own zero-cell rule."""
    rows = x[:1] if (x == x[:1]).all() else x
    _, vi = fit.scale.effects(rows, np.broadcast_to(n, rows.shape))
    w = np.broadcast_to(1.0 / vi, c.shape)
    s1, s2 = np.einsum("rk,rk->r", c, w), np.einsum("rk,rk->r", c, w * w)
    trace = np.where(free, s1 - s2 / s1, 1.0)
    return np.where(free, (c.sum(axis=1) - 1.0) / trace, np.nan)
