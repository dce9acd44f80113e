"""Estimators of the between-study variance tau2, for batches, never negative.

========  ===================================================  ===================================
method    idea                                                 source
========  ===================================================  ===================================
``DL``    moments, weights 1/vi                                doi:10.1016/0197-2456(86)90046-2
``DL2``   moments, weights 1/(vi + tau2 of DL)                 doi:10.1016/j.cct.2006.04.004
``HE``    moments, equal weights                               doi:10.1037/0033-2909.93.2.388
``HE2``   moments, weights 1/(vi + tau2 of HE)                 doi:10.1016/j.cct.2006.04.004
``HS``    (Q - k) / sum of 1/vi                                doi:10.3102/10769986030003261
``HSk``   ``HS`` with Q scaled by k/(k - p)                    doi:10.1037/met0000023
``SJ``    model error variance, crude start                    doi:10.1111/j.1467-9876.2005.00489.x
``PM``    generalised Q equals its expectation                 doi:10.6028/jres.087.022
``PMM``   generalised Q equals its median                      doi:10.1002/sim.2514
``EB``    empirical Bayes (its root is that of ``PM``)         doi:10.2307/2287098
``ML``    maximum likelihood                                   doi:10.3102/10769986030003261
``REML``  restricted maximum likelihood                        doi:10.3102/10769986030003261
========  ===================================================  ===================================

ML and REML are global maxima, with a certificate (`helpers.engine.normal.likelihood`).

A moment estimator is a linear function of a quadratic form y'Py, whose variance under the
normal-normal model is 2 tr(P S P S) with S = diag(vi + tau2) (Searle 1971, *Linear Models*,
chapter 2). Its standard error is evaluated at the estimate and ignores truncation at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import Array, one_of
from ...errors import MetaAnalysisError
from ..distributions import chi2_ppf
from ..options import TAU2_METHODS
from ..rows import put
from .likelihood import Tau2Fit, Tau2Scan, likelihood_maximum
from .weighted import Batch, Moments, moments


def solve_generalised_q(
    batch: Batch, target: Array
) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Value of tau2 at which the generalised Q is `target`; whether found, and whether 0.

    Q(tau2) = y'P y falls and is convex, so Newton steps from 0 climb to the root without
    overshooting (DerSimonian and Kacker 2007, doi:10.1016/j.cct.2006.04.004).
    """
    target = np.broadcast_to(np.asarray(target, dtype=float), batch.k.shape)
    t = np.zeros(batch.k.shape)
    start = moments(batch, t).rss
    boundary = start <= target
    # A single study or no residual degree of freedom: nothing to solve.
    active = np.nonzero(~boundary & (target > 0))[0]
    converged = np.ones(t.shape, dtype=bool)
    for _ in range(200):
        if active.size == 0:
            break
        part = batch.rows(active)
        m = moments(part, t[active])
        excess = m.rss - target[active]
        step = excess / m.y_pp_y
        t[active] = t[active] + np.maximum(step, 0.0)
        small = step <= 4e-16 * np.maximum(t[active], part.least)
        active = active[~small]
    converged[active] = False
    return t, converged, boundary


def quadratic_form_variance(m: Moments, df: Array, more: Array) -> Array:
    """Variance of y'Py for weights 1/(vi + start), 2 tr(P S P S), where S is `more` than they say.

    With S = W^-1 + more I, and PW^-1P = P, the trace is k - p + 2 more tr(P) + more^2 tr(PP).
    """
    return np.asarray(2.0 * (df + more * (2.0 * m.trace_p + more * m.trace_pp)), dtype=float)


def score_se(batch: Batch, tau2: Array) -> Array:
    """Give the standard error of the root of Q(tau2) = k - p (and of the median version).

    The slope of Q at the root is tr(P) with w = 1/(vi + tau2), here in the usual form with the
    average leverage p/k for each study: sqrt(2/(k - p)) k / sum(w).
    """
    m = moments(batch, tau2)
    return np.sqrt(2.0 / (batch.k - batch.p)) * batch.k / m.sum_w


def _truncate(raw: Array, variance: Callable[[Array], Array], slope: Array) -> Tau2Fit:
    tau2 = np.maximum(raw, 0.0) + 0.0
    return Tau2Fit(tau2, np.sqrt(variance(tau2)) / slope, np.ones(raw.shape, dtype=bool), raw <= 0)


def _weighted_moments(batch: Batch, start: Array) -> Tau2Fit:
    """General method of moments with the weights 1/(vi + start).

    Their traces need no sums of their own: tr(PV) = k - p - start tr(P).
    """
    df, m = batch.k - batch.p, moments(batch, start)
    raw = start + (m.rss - df) / m.trace_p
    return _truncate(raw, lambda t: quadratic_form_variance(m, df, t - start), m.trace_p)


def _closed_form(batch: Batch, method: str) -> Tau2Fit:
    df, zero = batch.k - batch.p, np.zeros(batch.k.shape)
    if method in ("DL", "DL2"):
        first = _weighted_moments(batch, zero)
        return first if method == "DL" else _weighted_moments(batch, first.tau2)
    if method in ("HE", "HE2"):
        alike = batch.unweighted()
        first = _truncate(
            (alike.rss - alike.trace_pv) / alike.trace_p, alike.variance, alike.trace_p
        )
        return first if method == "HE" else _weighted_moments(batch, first.tau2)
    if method in ("HS", "HSk"):
        m = moments(batch, zero)
        scale = batch.k / df if method == "HSk" else np.ones_like(df)
        raw = (scale * m.rss - batch.k) / m.sum_w
        return _truncate(raw, lambda t: quadratic_form_variance(m, df, t), m.sum_w / scale)
    # SJ: crude variance of the effects first, then one step of the model error variance.
    crude = batch.crude_variance()
    spread = crude > np.finfo(float).tiny  # squares of tiny effects have no digits left
    start = np.where(spread, crude, 1.0)
    m = moments(batch, start)
    raw = np.where(spread, start * m.rss / df, 0.0)
    return _truncate(raw, lambda t: quadratic_form_variance(m, df, t - start), df / start)


def estimate_tau2(batch: Batch, method: str) -> Tau2Fit:
    """Estimate tau2 for every replicate; those with k <= p get 0 and are marked as boundary."""
    one_of("tau2_method", method, TAU2_METHODS)
    estimable = batch.k > batch.p
    if not estimable.all():
        return _partly(batch, method, np.flatnonzero(estimable))
    if method in ("ML", "REML"):
        return likelihood_maximum(batch, restricted=method == "REML")
    if method in ("PM", "EB", "PMM"):
        df = batch.k - batch.p
        target = chi2_ppf(0.5, df) if method == "PMM" else df
        tau2, converged, boundary = solve_generalised_q(batch, target)
        return Tau2Fit(tau2, score_se(batch, tau2), converged, boundary)
    return _closed_form(batch, method)


def _partly(batch: Batch, method: str, index: NDArray[np.intp]) -> Tau2Fit:
    """Fit the replicates that have a residual degree of freedom, tau2 = 0 for the others."""
    rows = len(batch)
    yes, also = np.ones((2, rows), dtype=bool)
    whole = Tau2Fit(np.zeros(rows), np.full(rows, np.nan), yes, also)
    if index.size:
        part = estimate_tau2(batch.rows(index), method)
        if part.scan is not None:
            one, gap = np.ones(rows, dtype=np.int64), np.full(rows, np.inf)
            scan = Tau2Scan(part.scan.grid_points, np.zeros(rows), one, gap, np.zeros(rows))
            whole = replace(whole, scan=scan)
        put(whole, part, index)
    return whole


def fit_tau2(batch: Batch, method: str, fixed: ArrayLike | None) -> tuple[Tau2Fit, Moments]:
    """Estimate tau2, or take it as `fixed` (0 for "common"); with the moments there."""
    if fixed is None and method != "common":
        t = estimate_tau2(batch, method)
        final = moments(batch, t.tau2) if t.final is None else t.final
        return Tau2Fit(t.tau2, t.se, t.converged, t.boundary, t.scan), final
    rows = len(batch)
    tau2 = np.array(np.broadcast_to(np.asarray(0.0 if fixed is None else fixed, float), (rows,)))
    if not (np.isfinite(tau2) & (tau2 >= 0)).all():
        raise MetaAnalysisError("tau2 must be finite and at least 0")
    found = Tau2Fit(tau2, np.full(rows, np.nan), np.ones(rows, dtype=bool), tau2 == 0.0)
    return found, moments(batch, tau2)
