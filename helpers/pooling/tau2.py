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
``PMM``   generalised Q equals its median                      doi:10.1002/jrsm.1164
``EB``    empirical Bayes (its root is that of ``PM``)         doi:10.2307/2287098
``ML``    maximum likelihood                                   doi:10.3102/10769986030003261
``REML``  restricted maximum likelihood                        doi:10.3102/10769986030003261
========  ===================================================  ===================================

ML and REML likelihoods can have several local maxima. `likelihood_maximum` therefore scans
the profile on a grid that covers every possible stationary point, refines each maximum found
and returns the highest, with the scan as a certificate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helpers.distributions import chi2_ppf
from helpers.errors import UnsupportedError
from helpers.pooling.moments import Batch, Moments, moments, trace_pv
from helpers.pooling.tau2_se import moment_se, score_se

Array = NDArray[np.float64]

__all__ = [
    "TAU2_METHODS",
    "Scan",
    "Tau2Fit",
    "estimate_tau2",
    "likelihood_maximum",
    "log_likelihood",
    "solve_generalised_q",
    "upper_bound",
]

#: Names of the estimators.
TAU2_METHODS: tuple[str, ...] = (
    "DL",
    "DL2",
    "HE",
    "HE2",
    "HS",
    "HSk",
    "SJ",
    "PM",
    "PMM",
    "EB",
    "ML",
    "REML",
)
_GRID = 64
_MAX_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Scan:
    """Certificate that a likelihood maximum is the global one.

    Attributes
    ----------
    grid_points : int
        Values of tau2 at which the profile was computed for each replicate.
    upper : ndarray, shape (R,)
        End of the grid; the score is negative beyond it.
    maxima : ndarray, shape (R,)
        Number of local maxima seen, the boundary tau2 = 0 included.
    gap : ndarray, shape (R,)
        Log-likelihood of the maximum minus that of the next best local maximum (inf if there
        is none).
    slack : ndarray, shape (R,)
        Log-likelihood of the maximum minus the highest on the grid; never below -1e-9.
    """

    grid_points: int
    upper: Array
    maxima: NDArray[np.int64]
    gap: Array
    slack: Array


@dataclass(frozen=True, slots=True)
class Tau2Fit:
    """Between-study variances of a batch.

    Attributes
    ----------
    tau2 : ndarray, shape (R,)
        Estimates, at least 0.
    se : ndarray, shape (R,)
        Standard errors (ML and REML: expected information; others: `helpers.pooling.tau2_se`).
    converged : ndarray of bool, shape (R,)
        Always true for closed forms.
    boundary : ndarray of bool, shape (R,)
        The estimate is 0 because the unconstrained one would be negative or zero.
    scan : Scan or None
        Certificate of the global maximum (ML and REML).
    """

    tau2: Array
    se: Array
    converged: NDArray[np.bool_]
    boundary: NDArray[np.bool_]
    scan: Scan | None = None


def log_likelihood(batch: Batch, m: Moments, *, restricted: bool) -> Array:
    """(Restricted) log-likelihood of the normal-normal model at the moments' tau2.

    The restricted one contains the constant of the transformation to error contrasts,
    half the log determinant of X'X, as metafor's does.
    """
    k = batch.k if m.rss.ndim == 1 else batch.k[:, None]
    ll = 0.5 * (m.sum_log_w - m.rss)
    if not restricted:
        return ll - 0.5 * k * np.log(2.0 * np.pi)
    if batch.design is None:
        gram_log_det = np.log(k)
    elif batch.p == 0:
        gram_log_det = np.zeros_like(k)
    else:
        gram = np.einsum("rkp,rk,rkq->rpq", batch.design, batch.counts, batch.design)
        gram_log_det = np.linalg.slogdet(gram)[1]
        gram_log_det = gram_log_det if m.rss.ndim == 1 else gram_log_det[:, None]
    return ll - 0.5 * (k - batch.p) * np.log(2.0 * np.pi) - 0.5 * m.log_det + 0.5 * gram_log_det


def _score(m: Moments, *, restricted: bool) -> Array:
    return 0.5 * (m.y_pp_y - (m.trace_p if restricted else m.sum_w))


def _curvature(m: Moments, *, restricted: bool) -> Array:
    return 0.5 * (m.trace_pp if restricted else m.sum_w2) - m.y_ppp_y


def upper_bound(batch: Batch) -> Array:
    """Value of tau2 beyond which both likelihoods fall, for each replicate.

    With spread s (range of the effects; their largest absolute value without a coefficient)
    the residual sum of squares is at most sum(w) s^2, so both scores are negative once tau2
    exceeds (p + 1) s^2 and dwarfs every sampling variance.
    """
    used = batch.counts > 0
    if batch.p == 0:
        spread = np.abs(batch.yi).max(axis=1)
    else:
        low = np.where(used, batch.yi, np.inf).min(axis=1)
        spread = np.where(used, batch.yi, -np.inf).max(axis=1) - low
    if batch.design is not None:
        spread = np.maximum(spread, np.abs(batch.yi).max(axis=1))
    largest = np.where(used, batch.vi, 0.0).max(axis=1)
    p = max(batch.p, 1)
    return np.maximum((p + 1) * spread**2, 10.0 * p * largest)


def _smallest(batch: Batch) -> Array:
    return np.where(batch.counts > 0, batch.vi, np.inf).min(axis=1)


def _grid(batch: Batch, upper: Array, points: int) -> Array:
    """Values from 0 to `upper` at which tau2 + min(vi) grows by a constant factor."""
    least = _smallest(batch)
    steps = np.linspace(0.0, 1.0, points)
    grid = least[:, None] * np.expm1(np.log1p(upper / least)[:, None] * steps)
    grid[:, -1] = upper
    return grid


def likelihood_maximum(batch: Batch, *, restricted: bool, grid_points: int = _GRID) -> Tau2Fit:
    """Global maximum over tau2 >= 0 of the (restricted) profile likelihood.

    Parameters
    ----------
    batch : Batch
        R replicates.
    restricted : bool
        REML (true) or ML.
    grid_points : int, default 64
        Points of the scan.

    Returns
    -------
    Tau2Fit
        With the `Scan` certificate.
    """
    size = max(1, _MAX_CELLS // (batch.yi.shape[1] * grid_points))
    parts = [
        _maximum(batch.rows(slice(i, i + size)), restricted, grid_points)
        for i in range(0, batch.yi.shape[0], size)
    ]
    if len(parts) == 1:
        return parts[0]
    scans = [part.scan for part in parts if part.scan is not None]
    return Tau2Fit(
        np.concatenate([q.tau2 for q in parts]),
        np.concatenate([q.se for q in parts]),
        np.concatenate([q.converged for q in parts]),
        np.concatenate([q.boundary for q in parts]),
        Scan(
            grid_points,
            np.concatenate([s.upper for s in scans]),
            np.concatenate([s.maxima for s in scans]),
            np.concatenate([s.gap for s in scans]),
            np.concatenate([s.slack for s in scans]),
        ),
    )


def _maximum(batch: Batch, restricted: bool, grid_points: int) -> Tau2Fit:
    replicates = batch.yi.shape[0]
    upper = upper_bound(batch)
    grid = _grid(batch, upper, grid_points)
    m = moments(batch, grid)
    ll = log_likelihood(batch, m, restricted=restricted)
    up = _score(m, restricted=restricted) > 0
    at_zero = ~up[:, 0]
    owner, cell = np.nonzero(up[:, :-1] & ~up[:, 1:])
    root, done = _refine(batch.rows(owner), grid[owner, cell], grid[owner, cell + 1], restricted)
    owners = np.concatenate([np.nonzero(at_zero)[0], owner])
    values = np.concatenate([np.zeros(int(at_zero.sum())), root])
    fine = np.concatenate([np.ones(int(at_zero.sum()), dtype=bool), done])
    heights = log_likelihood(
        batch.rows(owners), moments(batch.rows(owners), values), restricted=restricted
    )
    # One row per replicate, its best candidate last.
    order = np.lexsort((heights, owners))
    owners, values, heights, fine = owners[order], values[order], heights[order], fine[order]
    maxima = np.bincount(owners, minlength=replicates)
    last = np.cumsum(maxima) - 1
    best = heights[last]
    gap = np.where(maxima > 1, best - heights[np.maximum(last - 1, 0)], np.inf)
    tau2 = values[last]
    final = moments(batch, tau2)
    information = 0.5 * (final.trace_pp if restricted else final.sum_w2)
    return Tau2Fit(
        tau2,
        _inverse_root(information),
        fine[last],
        tau2 == 0.0,
        Scan(grid_points, upper, maxima, gap, best - ll.max(axis=1)),
    )


def _inverse_root(information: Array) -> Array:
    positive = information > 0
    return np.where(positive, 1.0 / np.sqrt(np.where(positive, information, 1.0)), np.nan)


def _refine(
    batch: Batch, low: Array, high: Array, restricted: bool
) -> tuple[Array, NDArray[np.bool_]]:
    """Newton steps on the score inside brackets in which it changes sign from + to -."""
    low, high = low.copy(), high.copy()
    t = 0.5 * (low + high)
    active = np.arange(t.size)
    done = np.zeros(t.size, dtype=bool)
    for _ in range(100):
        if active.size == 0:
            break
        part = batch.rows(active)
        m = moments(part, t[active])
        score = _score(m, restricted=restricted)
        slope = _curvature(m, restricted=restricted)
        rising = score > 0
        low[active] = np.where(rising, t[active], low[active])
        high[active] = np.where(rising, high[active], t[active])
        concave = slope < 0
        step = t[active] - score / np.where(concave, slope, -1.0)
        inside = concave & (step > low[active]) & (step < high[active])
        new = np.where(inside, step, 0.5 * (low[active] + high[active]))
        scale = np.maximum(new, 1e-3 * _smallest(part))
        finished = (score == 0) | (np.abs(new - t[active]) <= 4e-15 * scale)
        new = np.where(score == 0, t[active], new)
        t[active] = new
        # A step of rounding size in an unlucky bracket can go on for ever: the bracket decides.
        finished |= high[active] - low[active] <= 1e-14 * scale
        done[active[finished]] = True
        active = active[~finished]
    if active.size:
        # Rounding in the score sets the limit: accept what cannot be improved further.
        part = batch.rows(active)
        m = moments(part, t[active])
        noise = 1e-12 * (m.y_pp_y + m.sum_w)
        done[active] = np.abs(_score(m, restricted=restricted)) <= noise
    return t, done


def solve_generalised_q(
    batch: Batch, target: Array
) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Value of tau2 at which the generalised Q statistic equals `target`.

    Q(tau2) = y'P y falls and is convex, so Newton steps from 0 climb to the root without
    overshooting (DerSimonian and Kacker 2007, doi:10.1016/j.cct.2006.04.004).

    Returns
    -------
    tau2, converged, boundary : ndarray, shape (R,)
        `boundary` marks replicates in which Q(0) is below the target (tau2 = 0).
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
        m = moments(batch.rows(active), t[active])
        excess = m.rss - target[active]
        step = excess / m.y_pp_y
        t[active] = t[active] + np.maximum(step, 0.0)
        small = step <= 4e-16 * np.maximum(t[active], _smallest(batch.rows(active)))
        active = active[~small]
    converged[active] = False
    return t, converged, boundary


def _truncate(raw: Array, batch: Batch, weights: Array, slope: Array) -> Tau2Fit:
    tau2 = np.maximum(raw, 0.0) + 0.0
    return Tau2Fit(
        tau2,
        moment_se(batch, weights, tau2, slope),
        np.ones(raw.shape, dtype=bool),
        raw <= 0,
    )


def _general_moments(batch: Batch, weights: Array) -> Tau2Fit:
    q, trace_p, trace_pv_ = trace_pv(batch, weights)
    return _truncate((q - trace_pv_) / trace_p, batch, weights, trace_p)


def _closed_form(batch: Batch, method: str) -> Tau2Fit:
    df = batch.k - batch.p
    weights = 1.0 / batch.vi
    if method in ("DL", "DL2"):
        first = _general_moments(batch, weights)
        if method == "DL":
            return first
        return _general_moments(batch, 1.0 / (batch.vi + first.tau2[:, None]))
    if method in ("HE", "HE2"):
        first = _general_moments(batch, np.ones_like(weights))
        if method == "HE":
            return first
        return _general_moments(batch, 1.0 / (batch.vi + first.tau2[:, None]))
    if method in ("HS", "HSk"):
        m = moments(batch, np.zeros(batch.k.shape))
        scale = batch.k / df if method == "HSk" else np.ones_like(df)
        return _truncate((scale * m.rss - batch.k) / m.sum_w, batch, weights, m.sum_w / scale)
    # SJ: crude variance of the effects first, then one step of the model error variance.
    mean = np.einsum("rk,rk->r", batch.counts, batch.yi) / batch.k
    crude = np.einsum("rk,rk->r", batch.counts, (batch.yi - mean[:, None]) ** 2) / batch.k
    spread = crude > 0
    start = np.where(spread, crude, 1.0)
    m = moments(batch, start)
    raw = np.where(spread, start * m.rss / df, 0.0)
    return _truncate(raw, batch, 1.0 / (batch.vi + start[:, None]), df / start)


def estimate_tau2(batch: Batch, method: str, *, grid_points: int = _GRID) -> Tau2Fit:
    """Estimate tau2 for every replicate.

    Parameters
    ----------
    batch : Batch
        From `prepare`.
    method : str
        One of `TAU2_METHODS`.
    grid_points : int
        Points of the scan of ML and REML.

    Notes
    -----
    Replicates without a residual degree of freedom (k <= p) get tau2 = 0 and are marked as
    boundary.

    Raises
    ------
    UnsupportedError
        An unknown method.

    Examples
    --------
    >>> from helpers.pooling.moments import prepare
    >>> fit = estimate_tau2(prepare([0.0, 1.0, 2.0], [0.1, 0.1, 0.1]), "DL")
    >>> round(float(fit.tau2[0]), 6)
    0.9
    """
    if method not in TAU2_METHODS:
        raise UnsupportedError(f"tau2_method={method!r}: expected one of {', '.join(TAU2_METHODS)}")
    estimable = batch.k > batch.p
    if not estimable.all():
        return _partly(batch, method, estimable, grid_points)
    if method in ("ML", "REML"):
        return likelihood_maximum(batch, restricted=method == "REML", grid_points=grid_points)
    if method in ("PM", "EB", "PMM"):
        df = batch.k - batch.p
        target = chi2_ppf(0.5, df) if method == "PMM" else df
        tau2, converged, boundary = solve_generalised_q(batch, target)
        return Tau2Fit(tau2, score_se(batch, tau2), converged, boundary)
    return _closed_form(batch, method)


def _partly(batch: Batch, method: str, estimable: NDArray[np.bool_], grid_points: int) -> Tau2Fit:
    """Fit the replicates that have a residual degree of freedom, tau2 = 0 for the others."""
    shape = estimable.shape
    tau2, se = np.zeros(shape), np.full(shape, np.nan)
    converged, boundary = np.ones(shape, dtype=bool), np.ones(shape, dtype=bool)
    upper, gap, slack = np.zeros(shape), np.full(shape, np.inf), np.zeros(shape)
    maxima = np.ones(shape, dtype=np.int64)
    scan = None
    index = np.nonzero(estimable)[0]
    if index.size:
        part = estimate_tau2(batch.rows(index), method, grid_points=grid_points)
        tau2[index], se[index] = part.tau2, part.se
        converged[index], boundary[index] = part.converged, part.boundary
        if part.scan is not None:
            upper[index], maxima[index] = part.scan.upper, part.scan.maxima
            gap[index], slack[index] = part.scan.gap, part.scan.slack
            scan = Scan(grid_points, upper, maxima, gap, slack)
    return Tau2Fit(tau2, se, converged, boundary, scan)
