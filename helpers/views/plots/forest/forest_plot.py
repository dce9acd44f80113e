"""The forest plot: every study with its interval, weight and numbers, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import MetaAnalysisError, UnsupportedError
from ...subject import NEUTRAL, Subject
from .. import style
from ..frame import figure_of, room_of_axes
from ..lettering import wrapped
from ..note import annotate
from .columns import (
    BELOW,
    GAP,
    LINE,
    Columns,
    columns_of,
    room_of,
    write_notes,
    write_words,
)
from .layouts import BOOK, Layout, LayoutName, dressed, layout_of
from .marks import draw_axis, draw_marks, limits_of
from .note import describe, footnotes
from .rows import Order, Row, is_grouped, place, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_rows", "forest"]

ROW = 17.0  # height of a row, in CSS pixels
LEAST = 200.0  # narrowest useful plotting area


@style.themed
def forest(
    result: Any,
    *,
    layout: LayoutName = "book",
    by: Mapping[str, str] | None = None,
    colour_by: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    order: Order = "estimate",
    subject: Subject = NEUTRAL,
    prediction: bool = True,
    favours: tuple[str, str] | None = None,
    xlim: tuple[float, float] | None = None,
    width: float = 760.0,
) -> Axes:
    """Draw a forest plot.

    Parameters
    ----------
    result : PoolResult or SubgroupResult
        A fit, or fits by group with their test.
    layout : {"book", "jama", "bmj", "revman"}
        Order and headings of the columns, form of the numbers and of the line on heterogeneity:
        ours, or in the manner of JAMA, The BMJ or Review Manager 5, which use ink alone.
    by : mapping of study label to group, optional
        Puts the studies of a single fit under headings; a Series indexed by study will do.
    colour_by : mapping of study label to group, optional
        Colours the studies; by default their groups do. Only levels with a colour in `subject`
        have one.
    ax : Axes, optional
        Where to draw; its room holds columns and plot. By default a new figure that is as tall as
        its rows need.
    order : {"estimate", "weight", "label", "input"}
        Order of the studies: smallest estimate first, largest weight first, alphabetical, as given.
    subject : Subject
        What outcome, studies and counts are called, and the colours of groups.
    prediction : bool
        Whether to show the prediction interval.
    favours : pair of str, optional
        What effects below and above zero favour, such as ("Favours cilta-cel", "Favours
        ide-cel"); draws the line of no difference. A proportion favours nothing.
    xlim : pair of float, optional
        Limits of the axis on the display scale. Intervals beyond them end in an arrow.
    width : float
        Width of a new figure in CSS pixels; long labels may widen it.

    Returns
    -------
    Axes
        With a note (alt text, caption, table) that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        When no study is included or `ax` has no room for the columns.
    UnsupportedError
        For an unknown layout or order, groups in groups, or sides of a proportion.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[7, 3, 12], n=[269, 80, 140], study=["A", "B", "C"], model="random")
    >>> show(forest(fit), "three-studies")  # doctest: +ELLIPSIS
    Forest plot of proportion in three studies with 22 events among 489 participants. ...
    """
    whole = result.overall if is_grouped(result) else result
    if not whole.k:
        raise MetaAnalysisError("a forest plot needs at least one included study")
    if favours and whole.n is not None:
        raise UnsupportedError("a proportion has no line of no difference: favours= is for effects")
    subject = subject.of_measure(whole.measure)
    manner = layout_of(layout)
    rows, remarks = rows_of(
        result, by=by, colour_by=colour_by, order=order, prediction=prediction, subject=subject
    )
    notes = remarks if manner.plain else [*footnotes(result), *remarks]
    drawn = dressed(rows, result, manner, colour_by is not None)
    ax = draw_rows(drawn, notes, whole, subject, ax, xlim, width, manner, favours)
    annotate(ax, describe(result, rows, remarks, subject), subject)
    return ax


def draw_rows(
    rows: list[Row],
    notes: list[str],
    whole: Any,
    subject: Subject,
    ax: Axes | None,
    xlim: tuple[float, float] | None,
    width: float,
    layout: Layout = BOOK,
    favours: tuple[str, str] | None = None,
) -> Axes:
    """Draw rows and notes; every kind of forest plot ends here."""
    from matplotlib import pyplot as plt

    fresh = ax is None
    if ax is None:
        figure, ax = plt.subplots(figsize=(width / 72, 4))
    else:
        figure = figure_of(ax)
    columns = columns_of(figure, rows, whole, subject, layout, favours)
    unfolded = _unfolded(figure, rows, columns.left - GAP)
    if len(unfolded) > len(rows):
        rows = unfolded
        columns = columns_of(figure, rows, whole, subject, layout, favours)
    heights = place(rows)
    below = None if layout.favours == "above" else favours
    fixed = columns.left + columns.right
    least = fixed + max(LEAST, room_of(figure, favours))
    if fresh:
        width = max(width, least)
        notes = wrapped(figure, notes, width)
        tall = _height(heights, notes, columns, below)
        figure.set_size_inches(width / 72, tall / 72)
        room = (0.0, 0.0, width, tall)
    else:
        room = room_of_axes(ax)
        if room[2] < least:
            raise MetaAnalysisError(
                f"the axes are {room[2]:.0f} px wide; this forest plot needs {least:.0f}"
            )
        notes = wrapped(figure, notes, room[2])
        tall = _height(heights, notes, columns, below)
        if room[3] < tall:
            raise MetaAnalysisError(
                f"the axes are {room[3]:.0f} px tall; this forest plot needs {tall:.0f}"
            )
    _settle(ax, figure, room, columns, len(notes) + (below is not None))
    ax.set_ylim(heights[-1] + 0.8, -1.1 - columns.lines)
    limits = xlim or limits_of(rows, whole.n is not None)
    if favours and xlim is None:
        limits = (min(0.0, limits[0]), max(0.0, limits[1]))
    ax.set_xlim(*limits)
    draw_axis(ax, subject.outcome, whole, room[2] - fixed)
    draw_marks(ax, rows, heights, whole, layout, 0.0 if favours else None)
    write_words(ax, figure, rows, heights, columns, room[0])
    write_notes(ax, figure, notes, room[0], below)
    return ax


def _unfolded(figure: Figure, rows: list[Row], most: float) -> list[Row]:
    """Break lines of statistics that are longer than the columns left of the plot."""
    made: list[Row] = []
    for row in rows:
        if row.kind != "note":
            made.append(row)
            continue
        lines = wrapped(figure, [row.label], most - (14 if row.group else 0))
        made += [replace(row, label=line) for line in lines]
    return made


def _height(
    heights: np.ndarray, notes: list[str], columns: Columns, below: tuple[str, str] | None
) -> float:
    """Give the height, in CSS pixels, of heading, rows, axis and notes."""
    lines = len(notes) + (below is not None)
    return float((heights[-1] + 1.9 + columns.lines) * ROW + BELOW + LINE * lines + 8)


def _settle(
    ax: Axes,
    figure: Figure,
    room: tuple[float, float, float, float],
    columns: Columns,
    notes: int,
) -> None:
    """Put the plotting area between the columns and above axis and notes."""
    across, up = (72 * side for side in figure.get_size_inches())
    x0, y0, wide, tall = room
    below = BELOW + LINE * notes + 4
    ax.set_position(
        (
            (x0 + columns.left) / across,
            (y0 + below) / up,
            (wide - columns.left - columns.right) / across,
            (tall - below) / up,
        )
    )
