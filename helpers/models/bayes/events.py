"""How many events a new, similar cohort will see among n patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import printing
from ...arguments import AnyArray as Array
from ...arguments import level_of
from ...door import pd
from ...engine.distributions import gammaln
from ...engine.normal.intervals import Interval
from ...engine.shown import Row, Shown
from ...errors import ConvergenceError, MetaAnalysisError
from .display import DisplayMarginal
from .marginal import check_probability

_TOLERANCE = 1e-10
_MOST = 100_000
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True, repr=False)
class EventCounts(Shown):
    """Predictive distribution of events among `n` patients of a new, similar cohort."""

    n: int
    probabilities: Array  # Probability of 0, 1, ..., n events, shape (n + 1,)
    level: float

    def _said(self) -> Iterator[Row]:
        yield "patients", printing.count(self.n)
        low, high = map(printing.count, self.interval())
        limits = f"{printing.level_text(self.level)} prediction interval {low} to {high}"
        yield "events", f"{printing.number(self.mean, 1)} ({limits})"

    @property
    def mean(self) -> float:
        """Expected events."""
        return float(self.probabilities @ np.arange(self.n + 1))

    @property
    def sd(self) -> float:
        """Standard deviation of the events."""
        return float(np.sqrt(self.probabilities @ (np.arange(self.n + 1) - self.mean) ** 2))

    def quantile(self, p: ArrayLike) -> Any:
        """Smallest count not exceeded with probability of at least `p`."""
        below = np.cumsum(self.probabilities)
        return np.minimum(np.searchsorted(below, check_probability(p) - 1e-12), self.n)[()]

    def interval(self, level: float | None = None) -> Interval:
        """Central prediction interval (holds at least this probability)."""
        outside = 0.5 * (1.0 - level_of(self.level if level is None else level))
        lower, upper = self.quantile([outside, 1.0 - outside])
        return Interval(float(lower), float(upper))

    def probability_at_least(self, events: int) -> float:
        """Probability of at least this many events."""
        return float(self.probabilities[max(0, int(events)) :].sum())

    def frame(self) -> pd.DataFrame:
        """Table with index "events" and columns `probability`, `cumulative`."""
        index = pd.RangeIndex(self.n + 1, name="events")
        cumulative = np.cumsum(self.probabilities)
        return pd.DataFrame(
            {"probability": self.probabilities, "cumulative": cumulative}, index=index
        )


def predict_events(rate: DisplayMarginal, n: int, level: float) -> EventCounts:
    """Mix binomial distributions, on panels split until no probability moves by over 1e-10."""
    if isinstance(n, bool) or int(n) != n or not 1 <= n <= _MOST:
        raise MetaAnalysisError(f"n={n!r}: expected a whole number of patients from 1 to {_MOST}")
    n = int(n)
    previous = _mix(rate, n, 1)
    for splits in (2, 4, 8, 16, 32, 64):
        current = _mix(rate, n, splits)
        if float(np.abs(current - previous).max()) < _TOLERANCE:
            current.flags.writeable = False
            return EventCounts(n, current, level)
        previous = current
    raise ConvergenceError(f"the distribution of events among n={n} was not resolved")


def _mix(rate: DisplayMarginal, n: int, splits: int) -> Array:
    theta, weights = rate.model.nodes(splits)
    use = weights > 1e-18
    weights = weights[use]
    p = np.asarray(rate.measure.inverse(theta[use], rate.size))
    q = 1.0 - p
    if rate.measure.name == "logit":
        q = np.asarray(rate.measure.inverse(-theta[use]))
    log_p = np.log(np.where(p > 0, p, 1e-300))
    log_q = np.log(np.where(q > 0, q, 1e-300))
    x = np.arange(n + 1.0)
    choose = gammaln(n + 1.0) - gammaln(x + 1.0) - gammaln(n - x + 1.0)
    out = np.empty(n + 1)
    rows = max(1, _BLOCK // weights.size)
    for a in range(0, n + 1, rows):
        part = slice(a, a + rows)
        exponent = choose[part, None] + x[part, None] * log_p + (n - x[part, None]) * log_q
        out[part] = np.exp(np.maximum(exponent, -745.0)) @ weights
    return out
