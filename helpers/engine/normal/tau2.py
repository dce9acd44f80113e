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
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array, one_of
from ..distributions import chi2_ppf
from ..options import TAU2_METHODS
from .likelihood import (
    Tau2Fit,
    Tau2Scan,
    likelihood_maximum,
    log_likelihood,
    upper_bound,
)
from .tau2_se import quadratic_form_variance, score_se
from .weighted import Batch, moments

__all__ = [
    "Tau2Fit",
    "Tau2Scan",
    "estimate_tau2",
    "likelihood_maximum",
    "log_likelihood",
    "solve_generalised_q",
    "upper_bound",
]


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
        return _partly(batch, method, estimable)
    if method in ("ML", "REML"):
        return likelihood_maximum(batch, restricted=method == "REML")
    if method in ("PM", "EB", "PMM"):
        df = batch.k - batch.p
        target = chi2_ppf(0.5, df) if method == "PMM" else df
        tau2, converged, boundary = solve_generalised_q(batch, target)
        return Tau2Fit(tau2, score_se(batch, tau2), converged, boundary)
    return _closed_form(batch, method)


def _partly(batch: Batch, method: str, estimable: NDArray[np.bool_]) -> Tau2Fit:
    """Fit the replicates that have a residual degree of freedom, tau2 = 0 for the others."""
    shape = estimable.shape
    tau2, se = np.zeros(shape), np.full(shape, np.nan)
    converged, boundary = np.ones(shape, dtype=bool), np.ones(shape, dtype=bool)
    upper, gap, slack = np.zeros(shape), np.full(shape, np.inf), np.zeros(shape)
    maxima = np.ones(shape, dtype=np.int64)
    scan = None
    index = np.nonzero(estimable)[0]
    if index.size:
        part = estimate_tau2(batch.rows(index), method)
        tau2[index], se[index] = part.tau2, part.se
        converged[index], boundary[index] = part.converged, part.boundary
        if part.scan is not None:
            upper[index], maxima[index] = part.scan.upper, part.scan.maxima
            gap[index], slack[index] = part.scan.gap, part.scan.slack
            scan = Tau2Scan(part.scan.grid_points, upper, maxima, gap, slack)
    return Tau2Fit(tau2, se, converged, boundary, scan)
