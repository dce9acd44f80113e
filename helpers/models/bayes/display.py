"""Posteriors as readers meet them: proportions and rates, their mean across studies, events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import printing
from ...arguments import AnyArray as Array
from ...arguments import level_of
from ...door import pd
from ...engine.distributions import gammaln
from ...engine.effects import Measure
from ...engine.normal.intervals import Interval
from ...engine.shown import Row, Shown, number, with_interval
from ...errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from ..population import mean_rule, solve_logit_mean
from .engine import Layer
from .marginal import Marginal, check_probability


@dataclass(frozen=True, slots=True, repr=False)
class DisplayMarginal(Shown):
    """A distribution on the display scale (a proportion, a rate), made from the model scale.

    Quantiles, probabilities and central intervals are exact transformations; mean and standard
    deviation are integrals (the mean of a proportion is not the transformed mean of a logit).
    A rate has no upper bound and its mean need not exist, whatever the data: mean and sd of rates
    are nan, the median says where they lie.
    """

    model: Marginal
    measure: Measure
    size: float

    def _headline(self) -> str:
        return f"{self.model.name}, {self.measure.kind}"

    def _said(self) -> Iterator[Row]:
        level = self.model.level
        unit: printing.Unit = "percent" if self.measure.kind == "proportion" else "number"
        limits = self.interval()
        yield "median", with_interval(self.median, limits, level, unit, "credible interval")
        yield "mean", f"{number(self.mean)}, standard deviation {number(self.sd)}"

    def _inverse(self, x: ArrayLike) -> Array:
        return np.asarray(self.measure.inverse(x, self.size), dtype=float)

    def _forward(self, value: ArrayLike) -> Array:
        return np.asarray(self.measure.from_display(value, self.size))

    def quantile(self, p: ArrayLike) -> Any:
        """Value that is not exceeded with probability `p`."""
        return self._inverse(self.model.quantile(p))[()]

    def cdf(self, value: ArrayLike) -> Any:
        """Probability of at most `value`."""
        return self.model.cdf(self._forward(value))

    def probability_above(self, value: ArrayLike) -> Any:
        """Probability of more than `value`."""
        return self.model.probability_above(self._forward(value))

    def density(self, value: ArrayLike) -> Any:
        """Density on the display scale (per unit of a proportion or rate).

        Raises
        ------
        UnsupportedError
            For the Freeman-Tukey measures, whose inverse has corners.
        """
        r = np.asarray(value, dtype=float)
        slope = _SLOPES.get(self.measure.name)
        if slope is None:
            raise UnsupportedError(f"no display-scale density for the {self.measure.name} measure")
        low = self.measure.least
        high = 1.0 if self.measure.kind == "proportion" else np.inf
        inside = (r > low) & (r < high)
        safe = np.where(inside, r, 0.5)
        return np.where(inside, self.model.density(self._forward(safe)) * slope(safe), 0.0)[()]

    @property
    def mean(self) -> float:
        """Posterior mean on the display scale, by integration."""
        return self._moments()[0]

    @property
    def sd(self) -> float:
        """Posterior standard deviation on the display scale, by integration."""
        return self._moments()[1]

    def _moments(self) -> tuple[float, float]:
        if self.measure.name == "effect":
            return self.model.mean, self.model.sd
        if self.measure.kind != "proportion":
            return np.nan, np.nan
        first = float(self.model.expectation(self._inverse))
        second = float(self.model.expectation(lambda x: (self._inverse(x) - first) ** 2))
        return first, float(np.sqrt(second))

    @property
    def median(self) -> float:
        """Posterior median on the display scale."""
        return float(self.quantile(0.5))

    def interval(self, level: float | None = None) -> Interval:
        """Central credible interval: the transformed limits of the model scale."""
        inner = self.model.interval(level)
        return Interval(float(self._inverse(inner.lower)), float(self._inverse(inner.upper)))

    def summary(self) -> dict[str, float]:
        """Mean, sd, median and central interval as plain numbers."""
        values = (*self._moments(), self.median, *self.interval())
        return dict(zip(("mean", "sd", "median", "lower", "upper"), values, strict=True))


_SLOPES: dict[str, Callable[[Array], Array]] = {
    "raw": np.ones_like,
    "effect": np.ones_like,
    "raw-rate": np.ones_like,
    "log": lambda r: 1.0 / r,
    "log-rate": lambda r: 1.0 / r,
    "log-ratio": lambda r: 1.0 / r,
    "logit": lambda r: 1.0 / (r * (1.0 - r)),
    "arcsine": lambda r: 0.5 / np.sqrt(r * (1.0 - r)),
    "sqrt-rate": lambda r: 0.5 / np.sqrt(r),
}


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
        """Central prediction interval (contains at least this probability)."""
        outside = 0.5 * (1.0 - level_of(self.level if level is None else level))
        lower, upper = self.quantile([outside, 1.0 - outside])
        return Interval(float(lower), float(upper))

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


_SATURATED = 34.0  # logits beyond which a mean proportion is 0 or 1 to all digits


def population_marginal(
    measure: str, mu: Marginal, layer: Layer, weights: Array, level: float
) -> Marginal:
    """Distribution of the mean across studies, on the model scale (logit or logarithm).

    At each node of tau the density of mu is carried over by the slope of mu in the mean; the nodes
    are mixed with their `weights`. Where the mean across studies is mu itself, `mu` is returned.
    """
    how = mean_rule(measure)
    if how == "median":
        return mu
    used = layer.take(np.flatnonzero(np.abs(weights) > 1e-17))
    weights = weights[np.abs(weights) > 1e-17]
    tau = used.tau[:, None]

    def density(y: Array) -> Array:
        if how == "lognormal":
            return np.asarray(weights @ used.mu_density_at(y - 0.5 * tau**2))
        out = np.zeros(y.shape)
        inside = np.flatnonzero(np.abs(y) < _SATURATED)
        for part in np.array_split(inside, max(1, inside.size * tau.size // 2_000)):
            shape = (tau.size, part.size)
            at, slope = solve_logit_mean(
                np.broadcast_to(y[part], shape).ravel(), np.broadcast_to(tau, shape).ravel()
            )
            found = used.mu_density_at(at.reshape(shape)) * slope.reshape(shape)
            out[part] = weights @ found
        return out

    best = int(np.argmax(weights))
    start, spread = float(used.mean[best]), float(np.sqrt(used.variance[best]))
    marginal = Marginal.from_density(
        "mean across studies", density, np.nan, np.nan, level, centre=start, scale=spread
    )
    first = float(marginal.expectation(lambda x: x))
    second = float(marginal.expectation(lambda x: (x - first) ** 2))
    return replace(marginal, mean=first, sd=float(np.sqrt(second)))
