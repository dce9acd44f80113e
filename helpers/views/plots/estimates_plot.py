"""Estimates with intervals, one row each: the same quantity obtained in several ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ..tables.frames import require
from . import style
from .frame import Axes, axes_of, figure_of, fixed_ticks, grid_below, name_axes, room_of_axes
from .lettering import GROUND, beside, fit_text, grouped_places, measure, name_rows
from .note import Note, annotate, numbers

NEEDED = ("label", "estimate", "lower", "upper")
ROW = 21.0  # CSS pixels
NARROW_ROW = 38.0
#: Unit -> what a fraction or a ratio is multiplied with.
FACTORS = {"percent": 100.0, "per_1000": 1000.0, "ratio": 1.0}
TICKS = (0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 4, 6, 10, 20, 50)


@style.themed
def estimates(
    frame: pd.DataFrame,
    *,
    quantity: str,
    unit: str = "percent",
    null: float | None = None,
    colour: style.Colour = style.INK,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw estimates and their intervals in rows, under group names if there are groups.

    Below 480 pixels of width, labels and values are above the marks.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label, estimate, lower, upper`` and optionally ``group``.
    quantity : str
        What is estimated, as a heading of the axis.
    unit : {"percent", "per_1000", "ratio"}
        Fractions that are drawn in percent or per 1,000, or ratios on a logarithmic axis.
    null : float, optional
        Value of no difference, drawn as a line.
    colour : Colour
        Of dots and lines.
    ax, width
        As in :func:`helpers.plots.forest`.

    Raises
    ------
    MetaAnalysisError
        For a missing column or value, no row, an unknown unit, or a ratio that is not positive.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers.views.plots import show
    >>> row = {"label": ["naive"], "estimate": [1.8], "lower": [1.1], "upper": [2.9]}
    >>> show(estimates(pd.DataFrame(row), quantity="Odds ratio", unit="ratio", null=1.0), "ways")
    Dot plot of odds ratio in one row. naive: 1.80 (1.10 to 2.90).
    """
    data, narrow = _checked(frame, unit), width < style.NARROW
    places, heads = grouped_places(data)
    rows = int(max([*places, *heads])) + 1
    longest = max(len(str(text)) for text in [*data["label"], *heads.values()])
    left = min(0.5 * width, 20 + 7.0 * longest)
    if narrow:
        ax = axes_of(ax, width, NARROW_ROW * rows + 62, left=8, right=12, bottom=48, top=14)
    else:
        ax = axes_of(ax, width, ROW * rows + 62, left=left, right=150, bottom=48, top=14)
    factor = FACTORS[unit]
    middle, low, high = (factor * data[c].to_numpy(float) for c in ("estimate", "lower", "upper"))
    if null is not None:
        ax.axvline(factor * null, color=style.QUIET.light, lw=1.0, zorder=1)
    marks = places + 0.22 if narrow else places
    ax.hlines(marks, low, high, color=colour.light, lw=1.4, zorder=2)
    ax.plot(middle, marks, ls="", marker="o", ms=6, color=colour.light, zorder=3)
    words = [_value(*row, unit=unit) for row in data[list(NEEDED[1:])].to_numpy(float)]
    if unit != "ratio":
        ax.set_xlim(0, 1.05 * factor * float(data["upper"].max()))
    else:
        ends = [float(data["lower"].min()), float(data["upper"].max())]
        ends += [] if null is None else [null]
        ax.set_xscale("log")
        ax.set_xlim(min(ends) / 1.08, max(ends) * 1.08)
        fixed_ticks(ax.xaxis, TICKS)
    ax.set_ylim(rows - 0.4, -0.6)
    grid_below(ax, "x", hide=("left",))
    if narrow:
        _above(ax, data, places, heads, words)
    else:
        for y, text in zip(places, words, strict=True):
            beside(ax, text, (1, y), (10, 0), xycoords=("axes fraction", "data"))
        name_rows(ax, data, places, heads)
    tail = {"percent": printing.IN_PERCENT, "ratio": " (logarithmic scale)"}.get(unit, "")
    name_axes(ax, f"{quantity}{tail}")
    annotate(ax, _note(data, words, quantity, null, unit=unit))
    return ax


def _above(
    ax: Axes, data: pd.DataFrame, places: np.ndarray, heads: dict[float, str], words: list[str]
) -> None:
    """Write labels and values above the marks, as a narrow screen needs them."""
    ax.set_yticks([])
    figure, room = figure_of(ax), room_of_axes(ax)[2]
    look: dict[str, Any] = {
        "transform": ax.get_yaxis_transform(),
        "va": "center",
        "size": style.size("text"),
        "bbox": GROUND,
    }
    for y, head in heads.items():
        ax.text(0, y + 0.1, fit_text(figure, head, room, bold=True), weight="bold", **look)
    for y, label, text in zip(places, data["label"].astype(str), words, strict=True):
        left = room - measure(figure, text) - 8
        ax.text(0, y - 0.2, fit_text(figure, label, left), ha="left", **look)
        ax.text(1, y - 0.2, text, ha="right", **look)


def _checked(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    require(frame, NEEDED)
    if unit not in FACTORS:
        expected = printing.listing(map(repr, FACTORS), "or")
        raise MetaAnalysisError(f"unit={unit!r}: expected {expected}")
    values = frame[list(NEEDED[1:])]
    if frame.empty or values.isna().to_numpy().any():
        raise MetaAnalysisError("estimates() needs rows with an estimate and both limits")
    if unit == "ratio" and (values <= 0).to_numpy().any():
        raise MetaAnalysisError("ratios must be positive")
    return frame.reset_index(drop=True)


def _value(estimate: float, lower: float, upper: float, *, unit: str) -> str:
    factor, digits = FACTORS[unit], {"percent": 1, "per_1000": 0, "ratio": 2}[unit]
    first = printing.number(factor * estimate, digits)
    if unit == "percent":
        first = printing.percent(estimate)
    return f"{first} ({printing.between(factor * lower, factor * upper, digits)})"


def _note(
    data: pd.DataFrame, words: list[str], quantity: str, null: float | None, *, unit: str
) -> Note:
    groups = data["group"] if "group" in data else [""] * len(data)
    names = [f"{g}, {n}" if g else str(n) for g, n in zip(groups, data["label"], strict=True)]
    said = "; ".join(f"{name}: {value}" for name, value in zip(names, words, strict=True))
    rows = printing.counted(len(data), "row")
    found = [float(value) for value in data["estimate"]]
    low, high = (
        f"{words[i].partition(' (')[0]} ({names[i]})"
        for i in (ties.smallest(found), ties.largest(found))
    )
    caption = f"{quantity} ranges from {low} to {high}. Lines are 95% intervals."
    if len(data) == 1:
        caption = f"{quantity} is {words[0]}."
    if null is not None:
        apart = int(((data["lower"] > null) | (data["upper"] < null)).sum())
        caption = (
            f"{quantity}: {printing.word(apart)} of {printing.word(len(data))} intervals "
            f"{'excludes' if apart == 1 else 'exclude'} no difference."
        )
    kinds: dict[str, Any] = {
        "percent": "percent",
        "ratio": "number",
        "per_1000": lambda value: printing.number(1000 * value, 1),
    }
    kind = kinds[unit]
    return Note(
        quantity,
        f"Dot plot of {quantity[0].lower()}{quantity[1:]} in {rows}. {said}.",
        caption,
        numbers(
            data,
            "Estimates and intervals: the numbers behind the figure",
            {
                "group": "", "label": ("Row", ""), "estimate": ("Estimate", kind),
                "lower": ("Lower limit", kind), "upper": ("Upper limit", kind),
            },
        ),
    )  # fmt: skip
