"""The forest plot: every study with its interval, weight and numbers, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....arguments import one_of
from ....errors import MetaAnalysisError
from ...subject import NEUTRAL, Subject
from .. import style
from ..accepted import pooled_of
from ..frame import Axes, Figure, axes_of, figure_of, place_axes, require_room, room_of_axes
from ..lettering import wrapped
from ..note import annotate
from .columns import BELOW, GAP, LINE, columns_of, write_above, write_notes, write_words
from .layouts import BOOK, LAYOUTS, Layout, LayoutName, dressed
from .marks import draw_plot
from .note import describe, footnotes
from .rows import Order, Row, place, place_narrow, rows_of, whole_of

ROW = 19.0  # height of a row, in CSS pixels
LEAST = 200.0  # narrowest useful plotting area
SIDE = 10.0  # beside the plotting area of a narrow form


@style.themed
def forest(
    result: Any,
    *,
    layout: LayoutName = "book",
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    prediction: bool = True,
    order: Order = "estimate",
    ratings: Mapping[str, str] | None = None,
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
    ax : Axes, optional
        Where to draw; its room holds columns and plot. By default a new figure that is as tall as
        its rows need.
    subject : Subject
        What outcome, studies and counts are called, and the colours of groups.
    prediction : bool
        Whether to show the prediction interval.
    order : {"estimate", "weight", "label", "input"}
        Order of the studies: the smallest estimate first, the largest weight first, alphabetical,
        or as given.
    ratings : mapping of str to str, optional
        Study label and "low", "some" or "high"; adds a column with the risk of bias.
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
        For an unknown layout, order or rating.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[7, 3, 12], n=[269, 80, 140], study=["A", "B", "C"], model="random")
    >>> show(forest(fit), "three-studies")  # doctest: +ELLIPSIS
    Forest plot of proportion in three studies with 22 events among 489 participants. ...
    """
    whole = pooled_of(whole_of(result), "forest")
    if not whole.k:
        raise MetaAnalysisError("a forest plot needs at least one included study")
    subject = subject.of_measure(whole.measure)
    manner = LAYOUTS[one_of("layout", layout, LAYOUTS)]
    found, remarks = rows_of(result, prediction, subject, order, ratings)
    notes = remarks if manner.plain else [*footnotes(result), *remarks]
    drawn = dressed(found, result, manner)
    ax = draw_rows(drawn, notes, whole, subject, ax, xlim, width, manner)
    annotate(ax, describe(result, found, remarks, subject), subject)
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
) -> Axes:
    """Draw rows and notes; every kind of forest plot ends here."""
    if ax is None and width < style.NARROW:
        return _draw_narrow(rows, notes, whole, subject, xlim, width, layout)
    fresh = ax is None
    ax = axes_of(ax, width, 288, left=0, right=0, bottom=0, top=0)
    figure = figure_of(ax)
    columns = columns_of(figure, rows, whole, subject, layout)
    unfolded = _unfolded(figure, rows, columns.left - GAP)
    if len(unfolded) > len(rows):
        rows = unfolded
        columns = columns_of(figure, rows, whole, subject, layout)
    heights = place(rows)
    fixed = columns.left + columns.right
    least = fixed + LEAST
    x0, y0, wide, tall = (0.0, 0.0, max(width, least), 0.0) if fresh else room_of_axes(ax)
    notes = wrapped(figure, notes, wide)
    foot = BELOW + LINE * len(notes) + 4
    needed = float((heights[-1] + 1.9 + columns.lines) * ROW + foot + 4)
    if fresh:
        figure.set_size_inches(wide / 72, needed / 72)
        tall = needed
    else:
        require_room(ax, least, needed, "this forest plot")
    place_axes(ax, x0 + columns.left, y0 + foot, wide - fixed, tall - foot)
    ax.set_ylim(heights[-1] + 0.8, -1.1 - columns.lines)
    draw_plot(ax, rows, heights, whole, subject, layout, xlim)
    write_words(ax, rows, heights, columns, x0)
    write_notes(ax, notes, x0)
    return ax


def _draw_narrow(
    rows: list[Row],
    notes: list[str],
    whole: Any,
    subject: Subject,
    xlim: tuple[float, float] | None,
    width: float,
    layout: Layout,
) -> Axes:
    """Draw rows for a phone: label and estimate on a line above each mark, no other columns."""
    ax = axes_of(None, width, 288, left=0, right=0, bottom=0, top=0)
    figure = figure_of(ax)
    rows = _unfolded(figure, rows, width)
    words, marks = place_narrow(rows)
    notes = wrapped(figure, notes, width - 4, size="small")
    foot = BELOW + LINE * len(notes) + 4
    tall = float(ROW * (marks[-1] + 2.8) + foot)
    figure.set_size_inches(width / 72, tall / 72)
    place_axes(ax, SIDE, foot, width - 2 * SIDE, tall - foot)
    ax.set_ylim(marks[-1] + 0.8, -2.0)
    draw_plot(ax, rows, marks, whole, subject, layout, xlim)
    write_above(ax, rows, words, whole, subject, layout)
    write_notes(ax, notes, 2.0)
    return ax


def _unfolded(figure: Figure, rows: list[Row], most: float) -> list[Row]:
    """Break lines of statistics that are longer than the columns left of the plot."""
    made: list[Row] = []
    for row in rows:
        room = most - (14 if row.group else 0)
        lines = wrapped(figure, [row.label], room) if row.kind == "note" else [row.label]
        made += [replace(row, label=line) for line in lines]
    return made
