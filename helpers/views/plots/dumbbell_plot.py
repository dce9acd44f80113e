"""Two values a row, joined by a line: published and ours, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, grid_below, name_axes
from .lettering import grouped_places, name_rows
from .note import Note, annotate, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    longest = max(len(str(label)) for label in [*data["label"], *heads.values()])
    left = min(0.45, (16 + 6.4 * longest) / width)
    ax = axes_of(ax, width, ROW * rows + 80, left=width * left, right=14, bottom=44, top=30)
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
    name_rows(ax, data, places, heads)
    ax.set_xlim(left=0)
    name_axes(ax, f"{quantity},\xa0%")
    grid_below(ax, "x", hide=("left",))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    annotate(ax, _note(data, first, second, quantity))
    return ax


def _note(data: pd.DataFrame, first: str, second: str, quantity: str) -> Note:
    gap = (data["second"] - data["first"]).abs()
    points = printing.significant(100 * gap.max(), 1)
    found = (
        f"the largest difference is {points} percentage points "
        f"({data['label'].iloc[ties.largest(gap)]})."
    )
    low, high = data["second"].min(), data["second"].max()
    percent = {"first": first, "second": second, "lower": "lower limit", "upper": "upper limit"}
    return Note(
        f"{quantity}: {first} and {second}",
        f"Dumbbell plot of {quantity.lower()}, {first} and {second}, in "
        f"{printing.counted(len(data), 'row')}. Values run from {printing.percent(low)} to "
        f"{printing.percent(high)}; {found}",
        f"{quantity}, {first} (circle) and {second} (dot): {found}",
        numbers(
            data,
            f"{first.capitalize()} and {second}: the numbers behind the figure",
            {"group": "", "label": ("Row", "")}
            | {name: (words.capitalize(), "percent") for name, words in percent.items()},
        ),
    )
