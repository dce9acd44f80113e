"""One-dimensional posterior distributions: density, distribution function, quantiles, intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

from helpers.bayes.panels import NODES, PanelGrid, adapt
from helpers.effects import Measure
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.pooling.intervals import Interval
from helpers.pooling.roots import bracketed_root

Array = NDArray[Any]

__all__ = ["DisplayMarginal", "Line", "Marginal", "check_level", "check_probability"]

_ORDER = np.arange(NODES)


def check_level(level: float) -> float:
    """Return a credible level, or raise if it does not lie strictly between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise MetaAnalysisError(f"level={level!r}: expected a number between 0 and 1")
    return float(level)


def check_probability(p: ArrayLike) -> Array:
    """Return probabilities as an array, or raise if one is not strictly between 0 and 1."""
    values = np.asarray(p, dtype=float)
    if not ((values > 0.0) & (values < 1.0)).all():
        raise MetaAnalysisError(f"p={p!r}: expected probabilities between 0 and 1")
    return values


@dataclass(frozen=True, slots=True)
class Line:
    """Change of variable that brings an infinite support to a finite one, tails included.

    ``half``: x = scale y/(1 - y) on [0, 1); otherwise x = centre + scale y/(1 - y^2) on (-1, 1).
    Tails that fall like a power become polynomials in y, so that nothing is cut off.
    """

    centre: float
    scale: float
    half: bool

    def x(self, y: Array) -> Array:
        """Point on the line."""
        if self.half:
            return self.scale * y / (1.0 - y)
        return self.centre + self.scale * y / ((1.0 - y) * (1.0 + y))

    def log_slope(self, y: Array) -> Array:
        """Logarithm of dx/dy."""
        if self.half:
            return np.log(self.scale) - 2.0 * np.log1p(-y)
        return np.log(self.scale * (1.0 + y * y)) - 2.0 * (np.log1p(-y) + np.log1p(y))

    def curvature(self, y: Array) -> Array:
        """Slope of `log_slope`."""
        if self.half:
            return 2.0 / (1.0 - y)
        return 2.0 * y / (1.0 + y * y) + 4.0 * y / ((1.0 - y) * (1.0 + y))

    def y(self, x: Array) -> Array:
        """Inverse of `x`."""
        if self.half:
            at = np.maximum(x, 0.0) / self.scale
            finite = np.isfinite(at)
            at = np.where(finite, at, 0.0)
            return np.where(finite, at / (1.0 + at), 1.0)
        t = (np.asarray(x, dtype=float) - self.centre) / self.scale
        finite = np.isfinite(t)
        safe = np.where(finite, t, 0.0)
        return np.where(finite, 2.0 * safe / (1.0 + np.hypot(1.0, 2.0 * safe)), np.sign(t))


@dataclass(frozen=True, slots=True)
class Marginal:
    """Distribution of one quantity on the model scale.

    Attributes
    ----------
    name : str
        What it is, e.g. "mu".
    mean, sd : float
        Moments; inf (sd, tau's mean) or nan (means of real-valued quantities) where the
        posterior has none, because the prior's tail is too heavy for so few studies.
    level : float
        Level of `interval` and `shortest` where none is given.
    mass_error : float
        Bound for the error of any probability from holding the density as polynomials.

    Notes
    -----
    The density is held as Chebyshev polynomials on adaptive panels; quantiles are roots of its
    exact integral.
    """

    name: str
    mean: float
    sd: float
    level: float
    mass_error: float
    _line: Line
    _edges: Array
    _coefficients: Array  # density in y, shape (P, NODES)
    _integrals: Array  # its antiderivative from each panel's left end, shape (P, NODES + 1)
    _below: Array  # probability below each edge
    _above: Array  # probability above each edge

    @classmethod
    def from_panels(
        cls,
        name: str,
        grid: PanelGrid,
        line: Line,
        mean: float,
        sd: float,
        level: float,
        *,
        normalised: bool = False,
    ) -> Marginal:
        """Make the distribution whose density in y is on `grid` (up to a constant)."""
        top = float(grid.log_values.max())
        values = np.exp(np.maximum(grid.log_values - top, -745.0))
        total = float(grid.weights() @ values.ravel())
        values = values / total
        coefficients = grid.coefficients(values)
        radius = 0.5 * np.diff(grid.edges)
        error = float((radius * np.abs(coefficients[:, -2:]).max(axis=1)).sum())
        if normalised:
            error += abs(np.expm1(np.log(total) + top))
        integrals = np.stack(
            [chebyshev.chebint(c, lbnd=-1.0) * r for c, r in zip(coefficients, radius, strict=True)]
        )
        mass = integrals.sum(axis=1)
        below = np.concatenate([[0.0], np.cumsum(mass)])
        above = np.concatenate([np.cumsum(mass[::-1])[::-1], [0.0]])
        return cls(
            name, mean, sd, level, error, line, grid.edges, coefficients, integrals, below, above
        )

    @classmethod
    def from_density(
        cls,
        name: str,
        density: Callable[[Array], Array],
        mean: float,
        sd: float,
        level: float,
        *,
        centre: float,
        scale: float,
    ) -> Marginal:
        """Sample a density on the real line until it is resolved.

        `density` takes points of shape (N,); `centre` and `scale` say where to look first.
        """
        line = Line(centre, 2.0 * scale, half=False)

        def log_density(y: Array) -> Array:
            value = density(line.x(y))
            positive = value > 0.0
            return np.where(
                positive, np.log(np.where(positive, value, 1.0)) + line.log_slope(y), -745.0
            )

        grid = adapt(log_density, np.linspace(-1.0, 1.0, 5), tolerance=1e-6, tail_tolerance=1e-11)
        return cls.from_panels(name, grid, line, mean, sd, level, normalised=True)

    # --- functions ---------------------------------------------------------------------------

    def _locate(self, y: Array) -> tuple[Array, Array]:
        panel = np.clip(np.searchsorted(self._edges, y, side="right") - 1, 0, len(self._edges) - 2)
        left, right = self._edges[panel], self._edges[panel + 1]
        return panel, np.clip((2.0 * y - left - right) / (right - left), -1.0, 1.0)

    def _density_y(self, y: Array) -> Array:
        y = np.asarray(y, dtype=float)
        panel, s = self._locate(y.ravel())
        basis = chebyshev.chebvander(s, NODES - 1)
        value = np.maximum((basis * self._coefficients[panel]).sum(axis=-1), 0.0)
        return value.reshape(y.shape)

    def _cdf_y(self, y: Array, *, upper: bool = False) -> Array:
        y = np.asarray(y, dtype=float)
        panel, s = self._locate(y.ravel())
        inside = (chebyshev.chebvander(s, NODES) * self._integrals[panel]).sum(axis=-1)
        value = self._above[panel] - inside if upper else self._below[panel] + inside
        return np.clip(value, 0.0, 1.0).reshape(y.shape)

    def density(self, x: ArrayLike) -> Any:
        """Density at `x`."""
        at = np.asarray(x, dtype=float)
        y = self._line.y(at)
        inside = (np.abs(y) < 1.0) & (y <= self._edges[-1]) & (at >= self._lowest)
        safe = np.where(inside, y, self._edges[0] + 0.5 * (self._edges[1] - self._edges[0]))
        value = self._density_y(safe) * np.exp(-self._line.log_slope(safe))
        return np.where(inside, value, 0.0)[()]

    @property
    def _lowest(self) -> float:
        return 0.0 if self._line.half else -np.inf

    def cdf(self, x: ArrayLike) -> Any:
        """Probability of a value of at most `x`."""
        return self._cdf_y(self._line.y(np.asarray(x, dtype=float)))[()]

    def probability_above(self, x: ArrayLike) -> Any:
        """Probability of a value above `x` (accurate in the upper tail)."""
        return self._cdf_y(self._line.y(np.asarray(x, dtype=float)), upper=True)[()]

    def quantile(self, p: ArrayLike) -> Any:
        """Value that is not exceeded with probability `p` (strictly between 0 and 1)."""
        probability = check_probability(p)
        return self._line.x(self._quantile_y(probability))[()]

    def _quantile_y(self, p: Array) -> Array:
        panel = np.clip(np.searchsorted(self._below, p, side="right") - 1, 0, len(self._edges) - 2)
        low, high = self._edges[panel], self._edges[panel + 1]
        y = 0.5 * (low + high)
        for _ in range(100):
            gap = np.where(p <= 0.5, self._cdf_y(y) - p, (1.0 - p) - self._cdf_y(y, upper=True))
            slope = self._density_y(y)
            high = np.where(gap >= 0.0, y, high)
            low = np.where(gap <= 0.0, y, low)
            usable = slope > 0.0
            trial = y - gap / np.where(usable, slope, 1.0)
            trial = np.where(usable & (trial > low) & (trial < high), trial, 0.5 * (low + high))
            moved = np.abs(trial - y)
            y = trial
            if not (moved > 4e-16 * (1.0 + np.abs(y))).any():
                break
        return y

    # --- summaries ---------------------------------------------------------------------------

    @property
    def median(self) -> float:
        """Posterior median."""
        return float(self.quantile(0.5))

    @property
    def mode(self) -> float:
        """Where the density is highest (at 0 for tau if it falls from there)."""
        first = self._edges[:-1, None]
        width = np.diff(self._edges)[:, None]
        y = np.unique(first + width * np.linspace(0.0, 1.0, 2 * NODES + 1)[1:-1])
        log_slope = self._line.log_slope(y)
        best = int(np.argmax(self._density_y(y) * np.exp(log_slope.min() - log_slope)))
        low = y[best - 1] if best > 0 else self._edges[0]
        high = y[best + 1] if best + 1 < y.size else self._edges[-1]
        for _ in range(100):
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            if self._rises(middle):
                low = middle
            else:
                high = middle
        if self._line.half and best == 0 and not self._rises(0.5 * y[0]):
            return 0.0
        return float(self._line.x(np.asarray(0.5 * (low + high))))

    def _rises(self, y: float) -> bool:
        at = np.asarray(y)
        panel, s = self._locate(at)
        coefficients = self._coefficients[int(panel)]
        width = self._edges[int(panel) + 1] - self._edges[int(panel)]
        value = chebyshev.chebval(float(s), coefficients)
        slope = chebyshev.chebval(float(s), chebyshev.chebder(coefficients)) * 2.0 / width
        return bool(slope > value * self._line.curvature(at))

    def interval(self, level: float | None = None) -> Interval:
        """Central (equal-tailed) credible interval."""
        outside = 0.5 * (1.0 - check_level(self.level if level is None else level))
        lower, upper = self.quantile([outside, 1.0 - outside])
        return Interval(float(lower), float(upper))

    def shortest(self, level: float | None = None) -> Interval:
        """Shortest credible interval (highest density, for a density with one peak).

        Its ends have equal density, or it begins at the end of the support.
        """
        level = check_level(self.level if level is None else level)
        outside = 1.0 - level

        def gap(below: Array) -> Array:
            y = self._quantile_y(np.stack([below, below + level]))
            low, high = self._density_y(y) * np.exp(-self._line.log_slope(y))
            return low - high

        ends = np.array([1e-9, 1.0 - 1e-9]) * outside
        falling, rising = gap(ends)
        if falling >= 0.0:
            start = 0.0 if self._line.half else float(self.quantile(ends[0]))
            return Interval(start, float(self.quantile(level)))
        if rising <= 0.0:
            below = ends[1]
        else:
            below = float(bracketed_root(gap, ends[0], ends[1], rtol=1e-13)[0])
        lower, upper = self.quantile([below, below + level])
        return Interval(float(lower), float(upper))

    def expectation(self, function: Callable[[Array], Array], *, splits: int = 1) -> Any:
        """Mean of a bounded smooth `function` of the quantity.

        Parameters
        ----------
        function : callable
            Takes points of shape (N,), returns shape (..., N).
        splits : int
            Parts into which every panel is cut (for functions narrower than the density).
        """
        x, weights = self.nodes(splits)
        return np.asarray(function(x)) @ weights

    def points(self) -> tuple[Array, Array]:
        """Nodes x and weights of the quadrature that resolves the density."""
        grid = PanelGrid(self._edges, np.empty((0, NODES)))
        return self._line.x(grid.nodes), grid.weights() * np.exp(self._line.log_slope(grid.nodes))

    def nodes(self, splits: int = 1) -> tuple[Array, Array]:
        """Points x and their probability weights: a quadrature over this distribution."""
        edges = self._edges
        steps = np.arange(splits) / splits
        edges = np.append((edges[:-1, None] + np.diff(edges)[:, None] * steps).ravel(), edges[-1])
        grid = PanelGrid(edges, np.empty((0, NODES)))
        y = grid.nodes
        return self._line.x(y), grid.weights() * self._density_y(y)

    def summary(self) -> dict[str, float]:
        """Mean, sd, mode, median, central and shortest interval as plain numbers."""
        central, shortest = self.interval(), self.shortest()
        return {
            "mean": self.mean,
            "sd": self.sd,
            "mode": self.mode,
            "median": self.median,
            "lower": central.lower,
            "upper": central.upper,
            "shortest_lower": shortest.lower,
            "shortest_upper": shortest.upper,
        }


@dataclass(frozen=True, slots=True)
class DisplayMarginal:
    """A distribution on the display scale (a proportion, a rate), made from the model scale.

    Quantiles, probabilities and central intervals are exact transformations; mean and standard
    deviation are integrals (the mean of a proportion is not the transformed mean of a logit).
    A rate has no upper bound and its mean need not exist, whatever the data: mean and sd of rates
    are nan, the median says where they lie.
    """

    model: Marginal
    measure: Measure
    size: float

    def _inverse(self, x: ArrayLike) -> Array:
        return np.asarray(self.measure.inverse(x, self.size), dtype=float)

    def _forward(self, value: ArrayLike) -> Array:
        r = np.asarray(value, dtype=float)
        if self.measure.kind == "effect":
            return r + 0.0
        bad = r < 0.0
        if self.measure.kind == "proportion":
            bad = bad | (r > 1.0)
        if bad.any():
            raise MetaAnalysisError(f"{value!r}: expected a {self.measure.kind}")
        if self.measure.name in ("logit", "log", "log-rate"):
            zero, one = r == 0.0, r == 1.0
            if self.measure.name != "logit":
                one = np.zeros_like(zero)
            inside = ~(zero | one)
            x = self.measure.transform(np.where(inside, r, 0.5), 1.0)
            return np.where(zero, -np.inf, np.where(one, np.inf, x))
        return np.asarray(self.measure.transform(r * self.size, self.size), dtype=float)

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
        low, high = {"proportion": (0.0, 1.0), "rate": (0.0, np.inf)}.get(
            self.measure.kind, (-np.inf, np.inf)
        )
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
        if self.measure.kind == "effect":
            return self.model.mean, self.model.sd
        if self.measure.kind == "rate":
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
    "logit": lambda r: 1.0 / (r * (1.0 - r)),
    "arcsine": lambda r: 0.5 / np.sqrt(r * (1.0 - r)),
    "sqrt-rate": lambda r: 0.5 / np.sqrt(r),
}
