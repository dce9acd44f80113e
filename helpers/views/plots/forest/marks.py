"""The plotting area of a forest plot: its axis, squares, diamonds and lines."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from .... import printing
from ...subject import Subject
from .. import style
from ..frame import Axes, fixed_ticks, name_axes, room_of_axes, round_places, round_ticks
from .layouts import Layout
from .rows import NAN, Row


def limits_of(rows: list[Row], proportion: bool) -> tuple[float, float]:
    """Choose limits that show every estimate and nearly every interval."""
    pooled = [row for row in rows if row.kind in ("pooled", "overall", "prediction")]
    studies = [row for row in rows if row.kind == "study"]
    ends = [value for row in pooled for value in (row.lower, row.upper) if np.isfinite(value)]
    must = [*ends, *(row.estimate for row in studies)]
    lowers = [row.lower for row in studies if np.isfinite(row.lower)] or must
    uppers = [row.upper for row in studies if np.isfinite(row.upper)] or must
    low = min(*must, float(np.quantile(lowers, 0.1)))
    high = max(*must, float(np.quantile(uppers, 0.9)))
    # An interval that is hardly longer than the axis is shown in full, not cut.
    if max(uppers) - low <= 1.15 * (high - low):
        high = max(high, *uppers)
    if high - min(lowers) <= 1.15 * (high - low):
        low = min(low, *lowers)
    if proportion and low < 0.5 * high:
        low = 0.0
    margin = 0.03 * (high - low) or 0.05
    return (low if low == 0 and proportion else low - margin), high + margin


def draw_plot(
    ax: Axes,
    rows: list[Row],
    heights: np.ndarray,
    whole: Any,
    subject: Subject,
    layout: Layout,
    xlim: tuple[float, float] | None,
) -> None:
    """Draw the axis and the marks of rows at their heights."""
    _set_axis(ax, rows, whole, xlim)
    _draw_axis(ax, subject, whole)
    _draw_marks(ax, rows, heights, whole, layout)


def _set_axis(ax: Axes, rows: list[Row], whole: Any, xlim: tuple[float, float] | None) -> None:
    """Set the limits of the axis; ratios have a logarithmic one and a line of no difference."""
    if whole.measure == "log-ratio":
        logs = [
            replace(row, estimate=_log(row.estimate), lower=_log(row.lower), upper=_log(row.upper))
            for row in rows
        ]
        low, high = (float(np.exp(end)) for end in limits_of(logs, proportion=False))
        low, high = min(1.0, low), max(1.0, high)
        ax.set_xscale("log")
    else:
        low, high = limits_of(rows, whole.kind == "proportion")
    ax.set_xlim(*(xlim or (low, high)))


def _log(value: float) -> float:
    return float(np.log(value)) if value > 0 else NAN


def _round_ratios(low: float, high: float, most: int) -> list[float]:
    """Give round places on a logarithmic axis, no more than there is room for."""
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
        found = [s * 10.0**e for e in powers for s in steps if low <= s * 10.0**e <= high]
        if len(found) <= most:
            break
    if len(found) >= 2:
        return found
    return [t for t in round_places(most).tick_values(low, high) if low <= t <= high]


def _draw_axis(ax: Axes, subject: Subject, whole: Any) -> None:
    """Set ticks that have room and name the axis with its unit."""
    unit = subject.unit(whole)
    low, high = ax.get_xlim()
    most = max(2, int(round(room_of_axes(ax)[2], 6) // 40))
    if whole.measure == "log-ratio":
        fixed_ticks(ax.xaxis, _round_ratios(low, high, most))
    else:
        round_ticks(ax.xaxis, (low, high), most, printing.factor_of(unit))
    name_axes(ax, f"{subject.outcome}{printing.unit_heading(unit, ' ')}")
    ax.set_yticks([])
    for side in ("left", "top", "right"):
        ax.spines[side].set_visible(False)
    ax.set_xlim(low, high)


def _draw_marks(ax: Axes, rows: list[Row], heights: np.ndarray, whole: Any, layout: Layout) -> None:
    """Draw squares with their intervals, diamonds, the prediction interval and the lines."""
    from matplotlib.patches import Polygon, Rectangle

    low, high = ax.get_xlim()
    ends = [-0.7, heights[-1] + 0.8]
    if not layout.plain:
        for tick in ax.get_xticks():
            ax.plot([tick, tick], ends, color=style.GRID.light, lw=0.8, zorder=0)
    if whole.measure == "log-ratio":
        ax.plot([1.0, 1.0], ends, color=style.INK.light, lw=0.8, zorder=1, gid="null")
    if layout.line:
        last = max(i for i, row in enumerate(rows) if row.kind == "overall")
        ax.plot(
            [whole.estimate] * 2, [-0.7, heights[last]], color=style.QUIET.light, lw=1,
            dashes=(3, 3), zorder=1,
        )  # fmt: skip
    drawn = [(row, y) for row, y in zip(rows, heights, strict=True) if row.kind == "study"]
    for row, y in drawn:
        if not np.isfinite(row.lower):
            continue
        shown = [max(row.lower, low), min(row.upper, high)]
        colour = row.colour.light
        if shown[0] < shown[1]:
            ax.plot(shown, [y, y], color=colour, lw=1.3, zorder=2, solid_capstyle="butt")
        for cut, at, shape in ((row.upper > high, high, ">"), (row.lower < low, low, "<")):
            if cut:
                ax.plot([at], [y], shape, color=colour, ms=5, mew=0, clip_on=False)
    inside = [(row, y) for row, y in drawn if low <= row.estimate <= high]
    if inside:
        ax.scatter(
            [row.estimate for row, _ in inside], [y for _, y in inside],
            s=_areas([row.weight for row, _ in inside]), c=[row.colour.light for row, _ in inside],
            marker="s", linewidths=0, zorder=3, clip_on=False, gid="studies",
        )  # fmt: skip
    for row, y in zip(rows, heights, strict=True):
        if row.kind in ("pooled", "overall"):
            tall, colour = 0.36 if row.kind == "overall" else 0.3, row.colour.light
            sides = [(row.lower, y), (row.upper, y)]
            tips = [(row.estimate, y - tall), (row.estimate, y + tall)]
            look = {"fc": colour, "lw": 0}
            if layout.open_diamond:
                look = {"fc": style.SURFACE.light, "ec": colour, "lw": 1.2}
            corners = [sides[0], tips[0], sides[1], tips[1]]
            ax.add_patch(Polygon(corners, closed=True, zorder=4, **look))
        if row.kind == "prediction" and np.isfinite(row.lower):
            wide = row.upper - row.lower
            where = (row.lower, y - 0.14)
            ax.add_patch(Rectangle(where, wide, 0.28, fc=style.QUIET.light, lw=0, zorder=4))


def _areas(weights: list[float]) -> np.ndarray:
    """Give squares an area in proportion to weight, none too small to be seen.

    Rows that are pooled results themselves have no weights; their squares are all alike.
    """
    weight = np.asarray(weights, dtype=float)
    if np.isnan(weight).any():
        return np.full(weight.shape, 6.5**2)
    return np.maximum(weight / weight.max() * 11.0**2, 2.6**2)
