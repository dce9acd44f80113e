"""Two values a row, joined by a line: published and ours, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import printing, ties
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, grid_below
from .lettering import fit_names
from .note import Note, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ..tables import Table

__all__ = ["dumbbell"]

ROW = 19.0  # CSS pixels
NEEDED = ("label", "first", "second")


@style.themed
def dumbbell(
    frame: pd.DataFrame,
    *,
    first: str = "published",
    second: str = "ours",
    quantity: str | None = None,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw two proportions a row.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label, first, second`` (fractions), optionally ``lower, upper`` (of the second
        value) and ``group`` (rows of one group stand together under its name).
    first, second : str
        What the two values are: an open circle and a full dot.
    quantity : str, optional
        What is measured; the outcome of the subject by default.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Percent across, rows from top to bottom. With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        When a column is missing, there is no row or a value is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers.views.plots import show
    >>> rows = pd.DataFrame({"label": ["MM"], "first": [0.08], "second": [0.0802]})
    >>> show(dumbbell(rows), "both")  # doctest: +ELLIPSIS
    Dumbbell plot of proportion, published and ours, in one row. ...
    """
    missing = [column for column in NEEDED if column not in frame.columns]
    if missing:
        raise MetaAnalysisError(f"dumbbell() misses column {printing.listing(missing)}")
    if frame.empty or frame[["first", "second"]].isna().to_numpy().any():
        raise MetaAnalysisError("dumbbell() needs rows, each with both values")
    quantity = quantity or subject.of_kind("proportion").outcome
    data = frame.reset_index(drop=True)
    places, heads = grouped_places(data)
    rows = int(places.max()) + 1
    height = ROW * rows + 80
    longest = max(len(str(label)) for label in [*data["label"], *heads.values()])
    left = min(0.45, (16 + 6.4 * longest) / width)
    ax = axes_of(ax, width, height, left=width * left, right=14, bottom=44, top=30)
    one, two = 100 * data["first"].to_numpy(float), 100 * data["second"].to_numpy(float)
    if {"lower", "upper"} <= set(data.columns):
        low, high = 100 * data["lower"].to_numpy(float), 100 * data["upper"].to_numpy(float)
        ax.hlines(places, low, high, color=style.GRID.light, lw=5, zorder=1)
    ax.hlines(places, one, two, color=style.QUIET.light, lw=1.4, zorder=2)
    ax.plot(two, places, ls="", marker="o", ms=4.5, color=style.INK.light, label=second, zorder=4)
    ax.plot(
        one, places, ls="", marker="o", ms=9, mfc="none", mec=style.INK.light, mew=1.2,
        label=first, zorder=3,
    )  # fmt: skip
    ax.set_ylim(rows - 0.4, -0.6)
    ax.set_yticks(
        [*heads, *places], labels=fit_names(ax, [*heads.values(), *data["label"]], bold=bool(heads))
    )
    for tick, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if tick in heads else "normal")
    ax.set_xlim(left=0)
    ax.set_xlabel(f"{quantity},{printing.HARD}%", labelpad=5)
    grid_below(ax, "x", hide=("left",))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    annotate(ax, _note(data, first, second, quantity))
    return ax


def grouped_places(data: pd.DataFrame) -> tuple[np.ndarray, dict[float, str]]:
    """Give each row its line; a group's name takes a line of its own above its rows."""
    if "group" not in data.columns:
        return np.arange(len(data), dtype=float), {}
    places, heads, line, before = [], {}, 0.0, None
    for group in data["group"].astype(str):
        if group != before:
            heads[line] = group
            line, before = line + 1, group
        places.append(line)
        line += 1
    return np.array(places), heads


def _note(data: pd.DataFrame, first: str, second: str, quantity: str) -> Note:
    gap = (data["second"] - data["first"]).abs()
    worst = data.iloc[ties.largest(gap)]
    rows = printing.counted(len(data), "row")
    points = printing.significant(100 * gap.max(), 1)
    largest = f"{points} percentage points ({worst['label']})"
    return Note(
        title=f"{quantity}: {first} and {second}",
        alt=(
            f"Dumbbell plot of {quantity.lower()}, {first} and {second}, in {rows}. Values run "
            f"from {printing.percent(data['second'].min())} to "
            f"{printing.percent(data['second'].max())}; the largest difference is {largest}."
        ),
        caption=(
            f"{quantity}, {first} (circle) and {second} (dot): the largest difference is {largest}."
        ),
        table=_table(data, first, second),
    )


def _table(data: pd.DataFrame, first: str, second: str) -> Table:
    from ..tables import table

    columns = [c for c in ("group", "label", "first", "second", "lower", "upper") if c in data]
    shown = data[columns]
    names = {"first": first, "second": second, "lower": "lower limit", "upper": "upper limit"}
    numbers = [column for column in names if column in columns]
    return table(
        shown,
        caption=f"{first.capitalize()} and {second}: the numbers behind the figure",
        formats=dict.fromkeys(numbers, "percent"),
        labels={c: f"{names[c].capitalize()},{printing.HARD}%" for c in numbers} | {"label": "Row"},
    )
