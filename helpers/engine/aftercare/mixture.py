"""Normal mixtures in one dimension, to see whether a cloud of estimates falls into groups.

Maximum likelihood by the EM algorithm (Dempster, Laird and Rubin 1977,
doi:10.1111/j.2517-6161.1977.tb01600.x) on binned values, so that a million estimates cost no more
than a thousand; the number of components by BIC (Schwarz 1978, doi:10.1214/aos/1176344136).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...arguments import Array
from ...errors import MetaAnalysisError

_BINS = 500


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture of normal distributions, components in ascending order of their means."""

    #: `weights`, `means`, `sds`, shape (components,): shares (summing to 1), means and standard
    #: deviations.
    weights: Array
    means: Array
    sds: Array
    #: `loglik`, `bic`: log-likelihood, and BIC (smaller is better).
    loglik: float
    bic: float
    converged: bool  # whether EM reached its stopping rule

    def __len__(self) -> int:
        return len(self.means)

    def membership(self, values: ArrayLike) -> Array:
        """Probability of each component for each value, shape (R, components)."""
        log_density = _log_density(np.asarray(values, float), self.weights, self.means, self.sds)
        top = log_density.max(axis=1, keepdims=True)
        share = np.exp(log_density - top)
        return share / share.sum(axis=1, keepdims=True)


def _log_density(x: Array, weights: Array, means: Array, sds: Array) -> Array:
    z = (x[:, None] - means) / sds
    return np.log(weights) - np.log(sds) - 0.5 * z * z - 0.5 * np.log(2.0 * np.pi)


def fit_mixtures(values: ArrayLike, most: int = 3) -> tuple[Mixture, ...]:
    """Mixtures with 1, 2, ..., `most` components.

    Each begins with equal shares of the sorted values. A component's standard deviation is kept
    at or above 1/50 of that of all values, so that it cannot shrink onto ties.
    """
    x = np.asarray(values, dtype=float)
    if not np.isfinite(x).all() or np.ptp(x) == 0:
        raise MetaAnalysisError("a mixture needs at least two different finite values")
    total = len(x)
    # Bins hold their own mean, so that the overall mean is not changed by binning.
    low, width = x.min(), np.ptp(x) / _BINS
    cell = np.minimum(((x - low) / width).astype(np.intp), _BINS - 1)
    count = np.bincount(cell, minlength=_BINS).astype(float)
    used = count > 0
    centre = np.bincount(cell, weights=x, minlength=_BINS)[used] / count[used]
    count = count[used]
    spread = float(np.sqrt(count @ (centre - count @ centre / total) ** 2 / total))
    floor = spread / 50.0
    return tuple(_em(centre, count, total, m, floor) for m in range(1, most + 1))


def _em(x: Array, count: Array, total: int, m: int, floor: float) -> Mixture:
    rank = (np.cumsum(count) - 0.5 * count) / total
    part = np.minimum((rank * m).astype(int), m - 1)
    share = np.eye(m)[part] * 0.98 + 0.02 / m
    before, converged = -np.inf, False
    for _ in range(2000):
        mass = count @ share
        means = (count * x) @ share / mass
        variance = np.einsum("r,rm,rm->m", count, share, (x[:, None] - means) ** 2) / mass
        sds = np.maximum(np.sqrt(variance), floor)
        log_density = _log_density(x, mass / total, means, sds)
        top = log_density.max(axis=1, keepdims=True)
        share = np.exp(log_density - top)
        height = share.sum(axis=1, keepdims=True)
        share /= height
        loglik = float(count @ (np.log(height) + top)[:, 0])
        converged = loglik - before < 1e-7 * total
        if converged:
            break
        before = loglik
    order = np.argsort(means, kind="stable")
    return Mixture(
        (mass / total)[order],
        means[order],
        sds[order],
        loglik,
        (3 * m - 1) * float(np.log(total)) - 2.0 * loglik,
        bool(converged),
    )
