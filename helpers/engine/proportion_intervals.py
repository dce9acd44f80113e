"""Intervals of a single proportion, by numpy and the distribution door alone."""

from __future__ import annotations

import numpy as np

from ..arguments import LEVEL, Array
from .distributions import beta_ppf, norm_ppf


def wilson(events: Array, n: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Score interval (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Parameters
    ----------
    events, n : ndarray
        Counts, n at least 1.
    level : float
        Confidence level in (0, 1).

    Returns
    -------
    lower, upper : ndarray

    Examples
    --------
    >>> low, high = wilson(np.array([3.0]), np.array([40.0]))
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (0.0258, 0.1986)
    """
    z2 = float(norm_ppf(0.5 + 0.5 * level)) ** 2
    p = events / n
    centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = np.sqrt(z2) * np.sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n)) / (1.0 + z2 / n)
    return centre - half, centre + half


def agresti_coull(events: Array, n: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Wald interval after adding z^2 patients, half of them events.

    Agresti and Coull 1998, doi:10.1080/00031305.1998.10480550; parameters as in `wilson`.

    Examples
    --------
    >>> low, high = agresti_coull(np.array([3.0]), np.array([40.0]))
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (0.0188, 0.2057)
    """
    z = float(norm_ppf(0.5 + 0.5 * level))
    size = n + z * z
    p = (events + 0.5 * z * z) / size
    half = z * np.sqrt(p * (1.0 - p) / size)
    return p - half, p + half


def clopper_pearson(events: Array, n: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Exact interval from two one-sided tests (doi:10.1093/biomet/26.4.404).

    Clopper and Pearson 1934; parameters as in `wilson`. The limit is 0 or 1 where there is no
    event or nothing else.

    Examples
    --------
    >>> low, high = clopper_pearson(np.array([0.0]), np.array([40.0]))
    >>> float(low[0]), round(float(high[0]), 4)
    (0.0, 0.0881)
    """
    tail = 0.5 * (1.0 - level)
    none, all_ = events == 0, events == n
    low = beta_ppf(tail, np.where(none, 1.0, events), n - events + 1.0)
    high = beta_ppf(1.0 - tail, events + 1.0, np.where(all_, 1.0, n - events))
    return np.where(none, 0.0, low), np.where(all_, 1.0, high)
