"""The forest plot: every study with its interval, weight and numbers, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers import prose
from helpers.errors import MetaAnalysisError
from helpers.plots import style
from helpers.plots.forest_columns import GAP, Columns, columns_of, measure
from helpers.plots.forest_rows import Order, Row, is_grouped, place, rows_of
from helpers.plots.forest_text import Words, describe, footnotes
from helpers.plots.picture import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

__all__ = ["draw_rows", "forest", "outcome_of"]

ROW = 17.0  # height of a row, in CSS pixels
LEAST = 200.0  # narrowest useful plotting area
LINE = 16.0  # height of a line of notes
BELOW = 42.0  # tick labels and title of the axis


@style.themed
def forest(
    result: Any,
    *,
    by: Mapping[str, str] | None = None,
    colour_by: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    order: Order = "estimate",
    outcome: str | None = None,
    events_name: str = "Deaths",
    n_name: str = "Patients",
    noun: tuple[str, str] = ("cohort", "cohorts"),
    prediction: bool = True,
    xlim: tuple[float, float] | None = None,
    width: float = 760.0,
) -> Axes:
    """Draw a forest plot.

    Parameters
    ----------
    result : PoolResult or SubgroupResult
        A fit, or fits by group with their test.
    by : mapping of study label to group, optional
        Puts the studies of a single fit under headings; a Series indexed by study will do.
    colour_by : mapping of study label to disease or product, optional
        Colours the studies; by default the groups do, if they are diseases or products.
    ax : Axes, optional
        Where to draw; its room holds columns and plot. By default a new figure that is as tall as
        its rows need.
    order : {"estimate", "weight", "label", "input"}
        Order of the studies: smallest estimate first, largest weight first, alphabetical, as given.
    outcome : str, optional
        What is estimated; "Nonrelapse mortality" for proportions, "Estimate" otherwise.
    events_name, n_name : str
        Headings of the counts.
    noun : pair of str
        What a study is called, one and many.
    prediction : bool
        Whether to show the prediction interval.
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

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.plots import show
    >>> fit = pool(events=[7, 3, 12], n=[269, 80, 140], study=["A", "B", "C"], model="random")
    >>> show(forest(fit), "three-cohorts")  # doctest: +ELLIPSIS
    Forest plot of nonrelapse mortality in three cohorts with 22 deaths among 489 patients. ...
    """
    whole = result.overall if is_grouped(result) else result
    if not whole.k:
        raise MetaAnalysisError("a forest plot needs at least one included study")
    outcome = outcome or outcome_of(whole)
    rows, remarks = rows_of(result, by=by, colour_by=colour_by, order=order, prediction=prediction)
    words = Words(outcome, events_name, n_name, *noun)
    ax = draw_rows(rows, [*footnotes(result), *remarks], whole, words, ax, xlim, width)
    annotate(ax, describe(result, rows, remarks, words))
    return ax


def outcome_of(whole: Any) -> str:
    """Name what is estimated, when the caller does not."""
    return "Estimate" if whole.n is None else "Nonrelapse mortality"


def draw_rows(
    rows: list[Row],
    notes: list[str],
    whole: Any,
    words: Words,
    ax: Axes | None,
    xlim: tuple[float, float] | None,
    width: float,
) -> Axes:
    """Draw rows and notes; every kind of forest plot ends here."""
    from matplotlib import pyplot as plt

    heights = place(rows)
    fresh = ax is None
    if ax is None:
        figure, ax = plt.subplots(figsize=(width / 72, 4))
    else:
        figure = _figure_of(ax)
    columns = columns_of(figure, rows, whole, words)
    fixed = columns.left + columns.right
    if fresh:
        width = max(width, fixed + LEAST)
        notes = _wrapped(figure, notes, width)
        tall = _height(heights, notes)
        figure.set_size_inches(width / 72, tall / 72)
        room = (0.0, 0.0, width, tall)
    else:
        box = ax.get_position()
        across, up = (72 * side for side in figure.get_size_inches())
        room = (box.x0 * across, box.y0 * up, box.width * across, box.height * up)
        if room[2] < fixed + LEAST:
            raise MetaAnalysisError(
                f"the axes are {room[2]:.0f} px wide; this forest plot needs {fixed + LEAST:.0f}"
            )
        notes = _wrapped(figure, notes, room[2])
        if room[3] < _height(heights, notes):
            raise MetaAnalysisError(
                f"the axes are {room[3]:.0f} px tall; this forest plot needs "
                f"{_height(heights, notes):.0f}"
            )
    _settle(ax, figure, room, columns, len(notes))
    ax.set_ylim(heights[-1] + 0.8, -2.1)
    ax.set_xlim(*(xlim or _limits(rows, whole.n is not None)))
    _axis(ax, words.outcome, whole, room[2] - fixed)
    _marks(ax, rows, heights, whole)
    _words(ax, figure, rows, heights, columns, room[0], whole)
    _notes(ax, figure, notes, room[0])
    return ax


def _height(heights: np.ndarray, notes: list[str]) -> float:
    """Give the height, in CSS pixels, of heading, rows, axis and notes."""
    return float((heights[-1] + 2.9) * ROW + BELOW + LINE * len(notes) + 8)


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if figure is None:
        raise MetaAnalysisError("the axes do not belong to a figure")
    return figure


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


def _limits(rows: list[Row], proportion: bool) -> tuple[float, float]:
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
        high = max(uppers)
    if high - min(lowers) <= 1.15 * (high - low):
        low = min(lowers)
    if proportion and low < 0.5 * high:
        low = 0.0
    margin = 0.03 * (high - low) or 0.05
    return (low if low == 0 and proportion else low - margin), high + margin


def _axis(ax: Axes, outcome: str, whole: Any, wide: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    proportion = whole.n is not None
    low, high = ax.get_xlim()
    factor = 100 if proportion else 1
    ticks = MaxNLocator(nbins=max(2, int(wide // 40)), steps=[1, 2, 2.5, 5, 10]).tick_values(
        factor * low, factor * high
    )
    inside = [float(t) / factor for t in ticks if low - 1e-12 <= t / factor <= high + 1e-12]
    ax.set_xticks(inside)
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{round(factor * value, 6):g}".replace("-", prose.MINUS))
    )
    ax.set_xlabel(f"{outcome}, %" if proportion else outcome, labelpad=5)
    ax.set_yticks([])
    for side in ("left", "top", "right"):
        ax.spines[side].set_visible(False)
    ax.set_xlim(low, high)


def _marks(ax: Axes, rows: list[Row], heights: np.ndarray, whole: Any) -> None:
    from matplotlib.patches import Polygon, Rectangle

    low, high = ax.get_xlim()
    bottom = heights[-1] + 0.8
    for tick in ax.get_xticks():
        ax.plot([tick, tick], [-0.7, bottom], color=style.GRID.light, lw=0.8, zorder=0)
    ax.plot(
        [whole.estimate] * 2,
        [-0.7, heights[_last(rows, "overall")]],
        color=style.QUIET.light,
        lw=1,
        dashes=(3, 3),
        zorder=1,
    )
    drawn = [(row, y) for row, y in zip(rows, heights, strict=True) if row.kind == "study"]
    for row, y in drawn:
        if not np.isfinite(row.lower):
            continue
        ends = [max(row.lower, low), min(row.upper, high)]
        if ends[0] < ends[1]:
            ax.plot(ends, [y, y], color=row.colour.light, lw=1.3, zorder=2, solid_capstyle="butt")
        for cut, at, shape in ((row.upper > high, high, ">"), (row.lower < low, low, "<")):
            if cut:
                ax.plot([at], [y], shape, color=row.colour.light, ms=5, mew=0, clip_on=False)
    inside = [(row, y) for row, y in drawn if low <= row.estimate <= high]
    if inside:
        squares = ax.scatter(
            [row.estimate for row, _ in inside],
            [y for _, y in inside],
            s=_areas([row.weight for row, _ in inside]),
            c=[row.colour.light for row, _ in inside],
            marker="s",
            linewidths=0,
            zorder=3,
            clip_on=False,
        )
        squares.set_gid("studies")
    for row, y in zip(rows, heights, strict=True):
        if row.kind in ("pooled", "overall"):
            tall = 0.36 if row.kind == "overall" else 0.3
            corners = [
                (row.lower, y),
                (row.estimate, y - tall),
                (row.upper, y),
                (row.estimate, y + tall),
            ]
            ax.add_patch(Polygon(corners, closed=True, fc=row.colour.light, lw=0, zorder=4))
        if row.kind == "prediction" and np.isfinite(row.lower):
            ax.add_patch(
                Rectangle(
                    (row.lower, y - 0.14),
                    row.upper - row.lower,
                    0.28,
                    fc=style.QUIET.light,
                    lw=0,
                    zorder=4,
                )
            )


def _last(rows: list[Row], kind: str) -> int:
    return max(i for i, row in enumerate(rows) if row.kind == kind)


def _areas(weights: list[float]) -> np.ndarray:
    """Give squares an area in proportion to weight, none too small to be seen.

    Rows that are pooled results themselves have no weights; their squares are all alike.
    """
    weight = np.asarray(weights, dtype=float)
    if np.isnan(weight).any():
        return np.full(weight.shape, 6.5**2)
    return np.maximum(weight / weight.max() * 11.0**2, 2.6**2)


def _words(
    ax: Axes,
    figure: Figure,
    rows: list[Row],
    heights: np.ndarray,
    columns: Columns,
    x0: float,
    whole: Any,
) -> None:
    from matplotlib.transforms import Affine2D, ScaledTranslation, blended_transform_factory

    pixels: Transform = Affine2D().scale(1 / 72) + figure.dpi_scale_trans
    where = blended_transform_factory(pixels, ax.transData)
    # The middle of a figure, not of the font's box, belongs on the line of its mark.
    middle = where + ScaledTranslation(0, -0.33 * style.size("text") / 72, figure.dpi_scale_trans)
    across = 72 * figure.get_size_inches()[0]
    right = x0 + columns.left + ax.get_position().width * across + GAP
    at = (
        x0,
        x0 + columns.left - GAP,
        right,
        right + columns.widths[2] + GAP + columns.widths[3],
    )
    sides = ("left", "right", "left", "right")
    end = at[3]

    def write(x: float, y: float, text: str, side: str, **look: Any) -> None:
        if text:
            ax.text(x, y, text, transform=middle, ha=side, va="baseline", parse_math=False, **look)

    for x, side, head in zip(at, sides, columns.heads, strict=True):
        write(x, -1.25, head, side, weight="bold")
    ax.plot(
        [x0, end], [-0.7, -0.7], transform=where, color=style.QUIET.light, lw=0.8, clip_on=False
    )
    for i, (row, y) in enumerate(zip(rows, heights, strict=True)):
        bold = row.kind in ("heading", "pooled", "overall")
        look = {
            "weight": "bold" if bold else "normal",
            "color": style.QUIET.light if row.kind == "excluded" else style.INK.light,
        }
        indent = 14.0 if row.group else 0.0
        if row.group and row.kind == "heading":
            # Colour on a swatch, not on the words: text needs more contrast than a mark.
            ax.plot(
                [x0 + 5], [y], "s", transform=where, color=row.colour.light, ms=9, clip_on=False
            )
        write(at[0] + indent, y, columns.labels[i], "left", **look)
        write(at[1], y, columns.counts[i], "right", **look)
        write(at[2], y, columns.estimates[i], "left", **look)
        write(at[3], y, columns.weights[i], "right", **look)
        if row.kind == "excluded":
            room = across - at[2] + GAP
            write(right - GAP - 4, y, _fit(figure, row.reason, room), "right", **look)


def _fit(figure: Figure, text: str, most: float) -> str:
    while len(text) > 1 and measure(figure, text) > most:
        text = text.rstrip("…")[:-1].rstrip() + "…"
    return text


def _wrapped(figure: Figure, notes: list[str], most: float) -> list[str]:
    """Break notes into lines that fit."""
    lines: list[str] = []
    for note in notes:
        line = ""
        for piece in note.split(" "):
            longer = f"{line} {piece}".strip()
            if line and measure(figure, longer) > most:
                lines.append(line)
                line = piece
            else:
                line = longer
        lines.append(line)
    return lines


def _notes(ax: Axes, figure: Figure, notes: list[str], x0: float) -> None:
    across, up = (72 * side for side in figure.get_size_inches())
    bottom = ax.get_position().y0 * up
    for i, line in enumerate(notes):
        ax.text(
            x0 / across,
            (bottom - BELOW - LINE * (i + 0.5)) / up,
            line,
            transform=figure.transFigure,
            ha="left",
            va="center_baseline",
            size=style.size("small"),
            color=style.QUIET.light,
            parse_math=False,
        )
