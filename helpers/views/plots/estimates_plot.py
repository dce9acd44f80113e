"""Estimates with intervals, one row each: the same quantity obtained in several ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import printing
from ...errors import MetaAnalysisError
from . import style
from .dumbbell_plot import grouped_places
from .frame import axes_of, grid_below
from .lettering import fit_names
from .note import Note, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ..tables import Table

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
    data = _checked(frame, unit)
    places, heads = grouped_places(data)
    rows = int(max([*places, *heads])) + 1
    height = ROW * rows + 62
    longest = max(len(str(text)) for text in [*data["label"], *heads.values()])
    ax = axes_of(
        ax,
        width,
        height,
        left=min(0.5 * width, 18 + 6.3 * longest),
        right=150,
        bottom=48,
        top=14,
    )
    factor = 100.0 if unit == "percent" else 1.0
    middle, low, high = (factor * data[c].to_numpy(float) for c in ("estimate", "lower", "upper"))
    if null is not None:
        ax.axvline(factor * null, color=style.QUIET.light, lw=1.0, zorder=1)
    ax.hlines(places, low, high, color=style.INK.light, lw=1.4, zorder=2)
    ax.plot(middle, places, ls="", marker="o", ms=6, color=style.INK.light, zorder=3)
    for y, words in zip(places, _values(data, unit), strict=True):
        ax.annotate(
            words, (1, y), xycoords=("axes fraction", "data"), xytext=(10, 0),
            textcoords="offset points", va="center", size=style.size("small"),
        )  # fmt: skip
    _axes(ax, data, unit, null, rows)
    ax.set_yticks(
        [*heads, *places], labels=fit_names(ax, [*heads.values(), *data["label"]], bold=bool(heads))
    )
    for tick, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if tick in heads else "normal")
    end = f",{printing.HARD}%" if unit == "percent" else " (logarithmic scale)"
    ax.set_xlabel(f"{quantity}{end}", labelpad=5)
    annotate(ax, _note(data, quantity, unit, null))
    return ax


def _checked(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    missing = [column for column in NEEDED if column not in frame.columns]
    if missing:
        raise MetaAnalysisError(f"estimates() misses column {printing.listing(missing)}")
    if unit not in ("percent", "ratio"):
        raise MetaAnalysisError(f"unit={unit!r}: expected 'percent' or 'ratio'")
    numbers = frame[list(NEEDED[1:])]
    if frame.empty or numbers.isna().to_numpy().any():
        raise MetaAnalysisError("estimates() needs rows with an estimate and both limits")
    if unit == "ratio" and (numbers <= 0).to_numpy().any():
        raise MetaAnalysisError("ratios must be positive")
    return frame.reset_index(drop=True)


def _axes(ax: Axes, data: pd.DataFrame, unit: str, null: float | None, rows: int) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = float(data["lower"].min()), float(data["upper"].max())
    if unit == "ratio":
        if null is not None:
            low, high = min(low, null), max(high, null)
        ax.set_xscale("log")
        ax.set_xlim(low / 1.08, high * 1.08)
        inside = [t for t in TICKS if low / 1.08 <= t <= high * 1.08]
        ax.xaxis.set_major_locator(FixedLocator(inside))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        ax.set_xlim(0, 105 * high)
    ax.set_ylim(rows - 0.4, -0.6)
    grid_below(ax, "x", hide=("left",))


def _values(data: pd.DataFrame, unit: str) -> list[str]:
    rows = data[list(NEEDED[1:])].to_numpy(float)
    if unit == "percent":
        return [
            f"{printing.percent(e)} ({printing.number(100 * a, 1)} to "
            f"{printing.number(100 * b, 1)})"
            for e, a, b in rows
        ]
    return [
        f"{printing.number(e)} ({printing.number(a)} to {printing.number(b)})" for e, a, b in rows
    ]


def _note(data: pd.DataFrame, quantity: str, unit: str, null: float | None) -> Note:
    words = _values(data, unit)
    named = [
        f"{group}, {label}" if group else str(label)
        for group, label in zip(
            data["group"] if "group" in data else [""] * len(data), data["label"], strict=True
        )
    ]
    said = "; ".join(f"{name}: {value}" for name, value in zip(named, words, strict=True))
    caption = (
        f"{quantity} in {printing.counted(len(data), 'row')}, with 95{printing.THIN}% intervals."
    )
    if null is not None:
        apart = int(((data["lower"] > null) | (data["upper"] < null)).sum())
        caption = (
            f"{quantity}: {printing.word(apart)} of {printing.word(len(data))} intervals "
            f"{'excludes' if apart == 1 else 'exclude'} no difference."
        )
    return Note(
        title=quantity,
        alt=(
            f"Dot plot of {quantity[0].lower()}{quantity[1:]} in "
            f"{printing.counted(len(data), 'row')}. {said}."
        ),
        caption=caption,
        table=_table(data, unit),
    )


def _table(data: pd.DataFrame, unit: str) -> Table:
    from ..tables import table

    columns = [c for c in ("group", *NEEDED) if c in data]
    show = "percent" if unit == "percent" else "number"
    end = f",{printing.HARD}%" if unit == "percent" else ""
    heads = {"estimate": "Estimate", "lower": "Lower limit", "upper": "Upper limit"}
    return table(
        data[columns],
        caption="Estimates and intervals: the numbers behind the figure",
        formats=dict.fromkeys(heads, show),
        labels={"label": "Row", **{column: f"{text}{end}" for column, text in heads.items()}},
    )
