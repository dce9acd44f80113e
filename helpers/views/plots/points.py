"""What plots of effects against precision share: the studies, percent ticks, a legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import printing
from ...arguments import Array
from ...checks.bias.data import funnel_data
from ...engine.effects import Measure
from .accepted import pooled_of
from .frame import Axes, name_axes, room_of_axes

Z95 = 1.959963984540054

SHARES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Points:
    """The included studies of a fit, their sizes where known, and the pooled effect `mu`.

    Effects and standard errors are on the scale of `measure`.
    """

    labels: tuple[str, ...]
    yi: Array
    se: Array
    n: Array | None
    mu: float
    measure: Measure
    unit: printing.Unit = "percent"  # of proportions

    @property
    def percent(self) -> bool:
        """Whether values of the model scale have percentages of their own."""
        return self.measure.kind == "proportion" and not self.measure.needs_size

    def shown(self, value: float, digits: int | None = None) -> str:
        """Print a value of the model scale as the reader knows it."""
        if self.percent:
            if digits is None:
                share = float(self.measure.inverse(self.mu))
                digits = printing.places(share * printing.factor_of(self.unit) / 100)
            return printing.value(float(self.measure.inverse(value)), self.unit, digits)
        return printing.number(value, 2)


def points_of(fit: Any, what: str, per: int = 100) -> Points:
    """Take the included studies of a fit; each needs a finite effect."""
    data = funnel_data(pooled_of(fit, what), minimum=1)
    fit.require_finite(f"{what}()")
    unit = printing.unit_of(fit, per)
    unit = "percent" if unit == "number" else unit
    se = np.sqrt(data.vi)
    return Points(data.labels, data.yi, se, data.n, float(fit.mu), data.measure, unit)


def effect_axis(ax: Axes, points: Points, limits: tuple[float, float]) -> None:
    """Set an axis of effects across: round percentages, a word apart, where the scale has them."""
    low, high = limits
    ax.set_xlim(low, high)
    if not points.percent:
        effect = points.measure.kind == "effect"
        name_axes(ax, "Effect" if effect else points.measure.label.capitalize())
        return
    unit = points.unit
    heading = "" if unit == "percent" else printing.unit_heading(unit, " ")
    name_axes(ax, f"Proportion{heading} ({points.measure.name} scale)")
    apart = (high - low) * max(1 / 16, 42.0 / room_of_axes(ax)[2])
    found: dict[float, str] = {}
    for share in SHARES:
        place = float(points.measure.transform(share, 1.0))
        if low <= place <= high and (not found or place - max(found) > apart):
            amount = round(share * printing.factor_of(unit), 6)
            found[place] = f"{amount:,g}" if amount < 1000 else f"{amount:,.0f}"
            if unit == "percent":
                found[place] = printing.percent(share, 0 if share >= 0.01 else 1 + (share < 0.001))
    ax.set_xticks(list(found), labels=list(found.values()))
