"""Likelihood estimates of tau2 for replicates that share their sampling variances.

Subsets, case resamples, sign flips and parametric draws of one analysis all have the same
variances, so that every sum over studies in the score for tau2 is, for all replicates and all
points of a common grid, one matrix product. Brackets of the score's sign changes found in this way
are refined by Newton steps with the engine's moments, and the highest maximum wins, as in
`helpers.engine.normal.likelihood.likelihood_maximum`, which the result agrees with (a test compares
them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .likelihood import log_likelihood, upper_bound
from .weighted import Batch, moments

Array = NDArray[np.float64]

__all__ = ["shared_tau2"]

_GRID = 96
_CELLS = 1_000_000


def shared_tau2(
    batch: Batch, vi: Array, *, restricted: bool, grid_points: int = _GRID
) -> tuple[Array, NDArray[np.bool_]]:
    """Global maximum over tau2 >= 0 of the (restricted) likelihood of every replicate.

    Parameters
    ----------
    batch : Batch
        R replicates without a design, each of at least 2 studies (counted as often as they take
        part).
    vi : ndarray, shape (k,)
        The variances of `batch` before those of absent studies were replaced.
    restricted : bool
        REML (true) or ML.
    grid_points : int
        Points of the scan. It grows by a constant factor in tau2 + min(vi) up to a bound beyond
        which every score is negative.

    Returns
    -------
    tau2 : ndarray, shape (R,)
    converged : ndarray of bool, shape (R,)

    Examples
    --------
    >>> import numpy as np
    >>> from helpers.engine.normal.weighted import prepare
    >>> v = np.array([0.1, 0.1, 0.1])
    >>> tau2, _ = shared_tau2(prepare([0.0, 1.0, 2.0], v), v, restricted=True)
    >>> round(float(tau2[0]), 12)
    0.9
    """
    least, upper = float(vi.min()), float(upper_bound(batch).max())
    grid = least * np.expm1(np.log1p(upper / least) * np.linspace(0.0, 1.0, grid_points))
    grid[-1] = upper
    rows = len(batch.k)
    size = max(1, _CELLS // grid_points)
    rising = np.concatenate(
        [
            _rising(batch.rows(slice(i, i + size)), vi, grid, restricted)
            for i in range(0, rows, size)
        ]
    )
    owner, cell = np.nonzero(rising[:, :-1] & ~rising[:, 1:])
    root, done = _refine(batch.rows(owner), grid[cell], grid[cell + 1], restricted)
    flat = np.flatnonzero(~rising[:, 0])
    owner = np.concatenate([flat, owner])
    root = np.concatenate([np.zeros(flat.size), root])
    done = np.concatenate([np.ones(flat.size, dtype=bool), done])
    tau2, converged = np.zeros(rows), np.ones(rows, dtype=bool)
    several = np.bincount(owner, minlength=rows)[owner] > 1
    tau2[owner[~several]], converged[owner[~several]] = root[~several], done[~several]
    pick = np.flatnonzero(several)
    if pick.size:
        part = batch.rows(owner[pick])
        height = log_likelihood(part, moments(part, root[pick]), restricted=restricted)
        best = pick[np.argsort(height, kind="stable")]
        # The highest maximum of each replicate is written last.
        tau2[owner[best]], converged[owner[best]] = root[best], done[best]
    return tau2, converged


def _rising(batch: Batch, vi: Array, grid: Array, restricted: bool) -> NDArray[np.bool_]:
    """Whether the likelihood rises at each point of the grid, shape (R, G)."""
    w = 1.0 / (vi[:, None] + grid)
    w2 = w * w
    c = batch.counts
    # Centred, so that sums of squares keep their digits.
    centre = np.einsum("rk,rk->r", c, batch.yi) / batch.k
    z = np.where(c > 0, batch.yi - centre[:, None], 0.0)
    cz = c * z
    s1, s2 = c @ w, c @ w2
    mean = (cz @ w) / s1
    squares = (cz * z) @ w2 - mean * (2.0 * (cz @ w2) - mean * s2)
    trace = s1 - s2 / s1 if restricted else s1
    out = squares > trace
    out[:, -1] = False
    return out


def _refine(
    batch: Batch, low: Array, high: Array, restricted: bool
) -> tuple[Array, NDArray[np.bool_]]:
    """Newton steps on the score inside brackets in which it changes sign from + to -."""
    low, high = low.copy(), high.copy()
    t = 0.5 * (low + high)
    least = np.where(batch.counts > 0, batch.vi, np.inf).min(axis=1)
    done = np.zeros(t.size, dtype=bool)
    active = np.arange(t.size)
    part = batch
    for _ in range(100):
        if not active.size:
            break
        now = t[active]
        m = moments(part, now)
        score = m.y_pp_y - (m.trace_p if restricted else m.sum_w)
        slope = (m.trace_pp if restricted else m.sum_w2) - 2.0 * m.y_ppp_y
        low[active] = np.where(score > 0, now, low[active])
        high[active] = np.where(score > 0, high[active], now)
        concave = slope < 0
        step = now - score / np.where(concave, slope, -1.0)
        inside = concave & (step > low[active]) & (step < high[active])
        new = np.where(inside, step, 0.5 * (low[active] + high[active]))
        new = np.where(score == 0, now, new)
        t[active] = new
        scale = np.maximum(new, 1e-3 * least[active])
        # Newton converges quadratically: after a step of 1e-8 the error is at rounding. Where
        # rounding in the score keeps steps alive, the bracket decides.
        small = inside & (np.abs(new - now) <= 1e-8 * scale)
        small |= (score == 0) | (high[active] - low[active] <= 1e-14 * scale)
        done[active[small]] = True
        active = active[~small]
        part = batch.rows(active)
    return t, done
