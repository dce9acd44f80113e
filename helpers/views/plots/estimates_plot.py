"""Estimates with intervals, one row each: the same quantity obtained in several ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import printing
from ...errors import MetaAnalysisError
from . import style
from .frame import axes_of, fixed_ticks, grid_below, name_axes
from .lettering import beside, grouped_places, name_rows
from .note import Note, annotate, numbers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


__all__ = ["estimates"]

NEEDED = ("label", "estimate", "lower", "upper")
ROW = 20.0  # CSS pixels
TICKS = (0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 4, 6, 10, 20, 50)


@style.themed
def estimates(
    frame: pd.DataFrame,
    *,
    quantity: str,
    unit: str = "percent",
    null: float | None = None,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw estimates and their intervals in rows, under group names if there are groups.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label, estimate, lower, upper`` and optionally ``group``.
    quantity : str
        What is estimated, as a heading of the axis.
    unit : {"percent", "ratio"}
        Fractions that are drawn in percent, or ratios on a logarithmic axis.
    null : float, optional
        Value of no difference, drawn as a line.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        With a note that ``show`` picks up.

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
    data, percent = _checked(frame, unit), unit == "percent"
    places, heads = grouped_places(data)
    rows = int(max([*places, *heads])) + 1
    longest = max(len(str(text)) for text in [*data["label"], *heads.values()])
    left = min(0.5 * width, 18 + 6.3 * longest)
    ax = axes_of(ax, width, ROW * rows + 62, left=left, right=150, bottom=48, top=14)
    factor = 100.0 if percent else 1.0
    middle, low, high = (factor * data[c].to_numpy(float) for c in ("estimate", "lower", "upper"))
    if null is not None:
        ax.axvline(factor * null, color=style.QUIET.light, lw=1.0, zorder=1)
    ax.hlines(places, low, high, color=style.INK.light, lw=1.4, zorder=2)
    ax.plot(middle, places, ls="", marker="o", ms=6, color=style.INK.light, zorder=3)
    words = [_value(*row, percent=percent) for row in data[list(NEEDED[1:])].to_numpy(float)]
    for y, text in zip(places, words, strict=True):
        beside(ax, text, (1, y), (10, 0), xycoords=("axes fraction", "data"))
    if percent:
        ax.set_xlim(0, 105 * float(data["upper"].max()))
    else:
        ends = [float(data["lower"].min()), float(data["upper"].max())]
        ends += [] if null is None else [null]
        ax.set_xscale("log")
        ax.set_xlim(min(ends) / 1.08, max(ends) * 1.08)
        fixed_ticks(ax.xaxis, TICKS)
    ax.set_ylim(rows - 0.4, -0.6)
    grid_below(ax, "x", hide=("left",))
    name_rows(ax, data, places, heads)
    name_axes(ax, f"{quantity},\xa0%" if percent else f"{quantity} (logarithmic scale)")
    annotate(ax, _note(data, words, quantity, null, percent=percent))
    return ax


def _checked(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    missing = [column for column in NEEDED if column not in frame.columns]
    if missing:
        raise MetaAnalysisError(f"estimates() misses column {printing.listing(missing)}")
    if unit not in ("percent", "ratio"):
        raise MetaAnalysisError(f"unit={unit!r}: expected 'percent' or 'ratio'")
    values = frame[list(NEEDED[1:])]
    if frame.empty or values.isna().to_numpy().any():
        raise MetaAnalysisError("estimates() needs rows with an estimate and both limits")
    if unit == "ratio" and (values <= 0).to_numpy().any():
        raise MetaAnalysisError("ratios must be positive")
    return frame.reset_index(drop=True)


def _value(estimate: float, lower: float, upper: float, *, percent: bool) -> str:
    if percent:
        return f"{printing.percent(estimate)} ({printing.between(100 * lower, 100 * upper)})"
    return f"{printing.number(estimate)} ({printing.between(lower, upper, 2)})"


def _note(
    data: pd.DataFrame, words: list[str], quantity: str, null: float | None, *, percent: bool
) -> Note:
    groups = data["group"] if "group" in data else [""] * len(data)
    names = (f"{g}, {n}" if g else str(n) for g, n in zip(groups, data["label"], strict=True))
    said = "; ".join(f"{name}: {value}" for name, value in zip(names, words, strict=True))
    rows = printing.counted(len(data), "row")
    caption = f"{quantity} in {rows}, with 95% intervals."
    if null is not None:
        apart = int(((data["lower"] > null) | (data["upper"] < null)).sum())
        caption = (
            f"{quantity}: {printing.word(apart)} of {printing.word(len(data))} intervals "
            f"{'excludes' if apart == 1 else 'exclude'} no difference."
        )
    unit = "percent" if percent else "number"
    return Note(
        quantity,
        f"Dot plot of {quantity[0].lower()}{quantity[1:]} in {rows}. {said}.",
        caption,
        numbers(
            data,
            "Estimates and intervals: the numbers behind the figure",
            {
                "group": "", "label": ("Row", ""), "estimate": ("Estimate", unit),
                "lower": ("Lower limit", unit), "upper": ("Upper limit", unit),
            },
        ),
    )  # fmt: skip
