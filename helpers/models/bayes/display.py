"""Posterior distributions on the display scale: proportions and rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import printing
from ...arguments import AnyArray as Array
from ...engine.effects import Measure
from ...engine.normal.intervals import Interval
from ...engine.shown import Row, Shown, number, with_interval
from ...errors import UnsupportedError
from .marginal import Marginal


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
        mean, sd = self._moments()
        inner = self.interval()
        return {
            "mean": mean,
            "sd": sd,
            "median": self.median,
            "lower": inner.lower,
            "upper": inner.upper,
        }


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
