"""Likelihood models for one set of studies: the pooled GLM (tau2 = 0) and the GLMM.

The batched kernel is `helpers.engine.counts.fit`; this module prepares the studies of one analysis
for it, and adds the common-effect model with its profile interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ...errors import UnsupportedError
from ..distributions import chi2_isf
from ..effects import MEASURES, study_interval
from ..normal.intervals import Interval, symmetric_limits
from ..roots import bracketed_root, expand
from ..studies import StudyData
from .studies import Family

if TYPE_CHECKING:
    pass


def family_of(kind: str) -> Family:
    """Distribution of the counts for a kind of measure."""
    return "poisson" if kind == "rate" else "binomial"


def included_counts(data: StudyData) -> tuple[Array, Array]:
    """Events and sizes of the included studies."""
    if data.events is None or data.size is None:
        raise UnsupportedError("a likelihood model needs counts, not effects")
    return data.events[data.included], data.size[data.included]


def is_one_sided(events: Array, size: Array, kind: str) -> bool:
    """Whether no study has an event, or (proportions) all patients of all studies have one.

    The maximum-likelihood logit or log rate is then at infinity.
    """
    x = float(events.sum())
    return x == 0 or (kind == "proportion" and x == float(size.sum()))


def exact_interval(data: StudyData, kind: str, level: float) -> Interval:
    """Exact interval for the rate of all studies as one, on the model scale.

    Each limit is one-sided at (1 + level)/2, as in any two-sided interval: at a level of 95%
    the limit for 0 of n is ``1 - 0.025 ** (1/n)`` (Clopper and Pearson 1934,
    doi:10.1093/biomet/26.4.404), for 0 events in a time T ``-log(0.025)/T`` (Garwood 1936,
    doi:10.1093/biomet/28.3-4.437). The other limit, of no event, is minus infinity.
    """
    events, size = included_counts(data)
    low, high = exact_limits(events.sum(keepdims=True), size.sum(keepdims=True), kind, level)
    return Interval(float(low[0]), float(high[0]))


def exact_limits(x: Array, n: Array, kind: str, level: float) -> tuple[Array, Array]:
    """Exact limits for x events of n each, on the model scale; see `exact_interval`."""
    measure = MEASURES["log-rate" if kind == "rate" else "logit"]
    method = "exact" if kind == "rate" else "clopper-pearson"
    limits = np.array(study_interval(x, n, method=method, level=level, measure=measure))
    with np.errstate(divide="ignore"):
        made = np.log(limits)
        if kind == "proportion":
            made = made - np.log1p(-limits)
    return made[0], made[1]


def pool_counts(events: Array, size: Array, kind: str) -> tuple[float, float]:
    """Maximum-likelihood logit (log rate) and standard error of summed counts, not one-sided."""
    x, n = float(events.sum()), float(size.sum())
    if kind == "rate":
        return float(np.log(x / n)), x**-0.5
    return float(np.log(x / (n - x))), (1.0 / x + 1.0 / (n - x)) ** 0.5


def common_rate(events: Array, size: Array, kind: str) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Logit (log rate) of summed counts, its standard error, and where it is finite; shape (R,)."""
    rate = kind == "rate"
    finite = (events > 0) & (rate | (events < size))
    inner = np.where(finite, events, 1.0)
    rest = np.where(finite, size - events, 1.0)
    mu = np.log(inner / size) if rate else np.log(inner / rest)
    return mu, np.sqrt(1.0 / inner) if rate else np.sqrt(1.0 / inner + 1.0 / rest), finite


def count_limits(
    events: Array, size: Array, kind: str, method: NDArray[np.str_], level: float
) -> tuple[Array, Array]:
    """Limits of the common logit or log rate of sums, shape (R,), each by "wald" or "profile"."""
    mu, se, _ = common_rate(events, size, kind)
    low, high = symmetric_limits(mu, se, level)
    pick = np.flatnonzero(method == "profile")
    if not pick.size:
        return low, high
    x, n, mu, se = events[pick], size[pick], mu[pick], se[pick]

    def height(m: Array) -> Array:
        return x * m - n * (np.exp(m) if kind == "rate" else np.logaddexp(0.0, m))

    threshold = height(mu) - 0.5 * float(chi2_isf(1.0 - level, 1.0))

    def above(m: Array) -> Array:
        return height(m) - threshold

    for side, out in ((-1.0, low), (1.0, high)):
        inside, outside = expand(above, mu, side * se, factor=1.5)
        out[pick] = bracketed_root(above, inside, outside, rtol=1e-13, atol=1e-14 * float(se.min()))
    return low, high


def pooled_profile(data: StudyData, kind: str, level: float) -> Interval:
    """Likelihood-ratio interval for the common logit or log rate (model scale)."""
    events, size = included_counts(data)
    sums = events.sum(keepdims=True), size.sum(keepdims=True)
    low, high = count_limits(*sums, kind, np.array(["profile"]), level)
    return Interval(float(low[0]), float(high[0]))
