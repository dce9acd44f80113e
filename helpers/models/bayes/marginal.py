"""One-dimensional posterior distributions: density, distribution function, quantiles, intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike

from ...arguments import AnyArray as Array
from ...arguments import level_of
from ...engine.json_values import picked
from ...engine.normal.intervals import Interval
from ...engine.roots import bracketed_root
from ...engine.shown import Row, Shown, number, with_interval
from ...errors import MetaAnalysisError
from .panels import NODES, PanelGrid, adapt

_ORDER = np.arange(NODES)


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


@dataclass(frozen=True, slots=True, repr=False)
class Marginal(Shown):
    """Distribution of one quantity on the model scale.

    Notes
    -----
    The density is held as Chebyshev polynomials on adaptive panels; quantiles are roots of its
    exact integral.
    """

    name: str  # What it is, e.g. "mu".
    #: Moments; inf (sd, tau's mean) or nan (means of real-valued quantities) where the posterior
    #: has none, because the prior's tail is too heavy for so few studies
    mean: float
    sd: float
    level: float  # Level of `interval` and `shortest` where none is given
    #: Bound for the error of any probability from holding the density as polynomials
    mass_error: float
    _line: Line
    _edges: Array
    _coefficients: Array  # density in y, shape (P, NODES)
    _integrals: Array  # its antiderivative from each panel's left end, shape (P, NODES + 1)
    _below: Array  # probability below each edge
    _above: Array  # probability above each edge

    def _headline(self) -> str:
        return self.name

    def _said(self) -> Iterator[Row]:
        middle, limits = float(self.median), self.interval()
        yield "median", with_interval(middle, limits, self.level, name="credible interval")
        yield "mean", f"{number(self.mean)}, standard deviation {number(self.sd)}"

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
            inside = usable & (trial >= low) & (trial <= high)
            trial = np.where(inside, trial, 0.5 * (low + high))
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
        outside = 0.5 * (1.0 - level_of(self.level if level is None else level))
        lower, upper = self.quantile([outside, 1.0 - outside])
        return Interval(float(lower), float(upper))

    def shortest(self, level: float | None = None) -> Interval:
        """Shortest credible interval (the highest-density one, for a density with one peak).

        Its ends have equal density, or it begins at the end of the support.
        """
        level = level_of(self.level if level is None else level)
        outside = 1.0 - level

        def gap(below: Array) -> Array:
            y = self._quantile_y(np.stack([below, below + level]))
            low, high = self._density_y(y) * np.exp(-self._line.log_slope(y))
            return low - high

        # Look along all intervals of this probability for the shortest, so that a second peak is
        # not overlooked; then find where the densities at its ends are equal.
        below = outside * np.clip(np.linspace(0.0, 1.0, 65), 1e-9, 1.0 - 1e-9)
        ends = self._line.x(self._quantile_y(np.stack([below, below + level])))
        if self._line.half:
            ends[0, 0] = 0.0
            ends[1, 0] = float(self.quantile(level))
        best = int(np.argmin(ends[1] - ends[0]))
        low, high = below[max(best - 1, 0)], below[min(best + 1, below.size - 1)]
        signs = gap(np.array([low, high]))
        if signs[0] >= 0.0 or signs[1] <= 0.0:
            return Interval(float(ends[0, best]), float(ends[1, best]))
        at = float(bracketed_root(gap, low, high, rtol=1e-13)[0])
        lower, upper = self.quantile([at, at + level])
        return Interval(float(lower), float(upper))

    def expectation(self, function: Callable[[Array], Array]) -> Any:
        """Mean of a bounded smooth `function` of the quantity.

        Parameters
        ----------
        function : callable
            Takes points of shape (N,), returns shape (..., N).
        """
        x, weights = self.nodes()
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
        limits = (*self.interval(), *self.shortest())
        names = ("lower", "upper", "shortest_lower", "shortest_upper")
        return picked(self, "mean sd mode median") | dict(zip(names, limits, strict=True))
