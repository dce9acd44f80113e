"""What stands beside the plotting area of a forest plot: headings, cells and notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import style
from ..lettering import fit_text, measure
from .columns import BOLD, GAP, Columns
from .rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

__all__ = ["BELOW", "LINE", "room_of", "write_notes", "write_words"]

LINE = 16.0  # height of a line of notes
BELOW = 42.0  # tick labels and title of the axis


def write_words(
    ax: Axes,
    figure: Figure,
    rows: list[Row],
    heights: np.ndarray,
    columns: Columns,
    x0: float,
) -> None:
    """Write headings, the rule below them and the cells of every row."""
    from matplotlib.transforms import Affine2D, ScaledTranslation, blended_transform_factory

    pixels: Transform = Affine2D().scale(1 / 72) + figure.dpi_scale_trans
    where = blended_transform_factory(pixels, ax.transData)
    # The middle of a figure, not of the font's box, belongs on the line of its mark.
    middle = where + ScaledTranslation(0, -0.33 * style.size("text") / 72, figure.dpi_scale_trans)
    across = 72 * figure.get_size_inches()[0]
    wide = ax.get_position().width * across
    begin = x0 + columns.left  # of the plotting area
    end = begin + wide

    def write(x: float, y: float, text: str, side: str, **look: Any) -> None:
        if text:
            ax.text(x, y, text, transform=middle, ha=side, va="baseline", parse_math=False, **look)

    def head(x: float, lines: tuple[str, ...], side: str, lift: int = 0) -> None:
        for i, line in enumerate(lines):
            write(x, -1.25 - lift - (len(lines) - 1 - i), line, side, weight="bold")

    edges = [x0]  # left edge of every column
    for column in columns.before:
        edges.append(edges[-1] + column.width + GAP)
    edges[-1] = end + GAP
    for column in columns.after:
        edges.append(edges[-1] + column.width + GAP)
    placed = [
        (column, edge if column.side == "left" else edge + column.width)
        for column, edge in zip((*columns.before, *columns.after), edges, strict=False)
    ]
    for column, x in placed:
        head(x, column.head, column.side)
    head((begin + end) / 2, columns.above, "center", lift=columns.favours is not None)
    if columns.favours:
        _sides(write, begin, end, -1.25, columns.favours)
    last = end if not columns.after else edges[-1] - GAP
    ax.plot(
        [x0, last], [-0.7, -0.7], transform=where, color=style.QUIET.light, lw=0.8, clip_on=False
    )
    for i, (row, y) in enumerate(zip(rows, heights, strict=True)):
        look = {
            "weight": "bold" if row.kind in BOLD else "normal",
            "color": style.QUIET.light if row.kind == "excluded" else style.INK.light,
        }
        indent = 14.0 if row.group else 0.0
        if row.group and row.kind == "heading":
            # Colour on a swatch, not on the words: text needs more contrast than a mark.
            ax.plot(
                [x0 + 5], [y], "s", transform=where, color=row.colour.light, ms=9, clip_on=False
            )
        for column, x in placed:
            shift = indent if column is columns.before[0] else 0.0
            write(x + shift, y, column.cells[i], column.side, **look)
        if row.kind == "excluded":
            write(end - 4, y, fit_text(figure, row.reason, wide - 4), "right", **look)


def _sides(write: Any, begin: float, end: float, y: float, favours: tuple[str, str]) -> None:
    """Name the two sides at the ends of the plotting area, where they cannot meet."""
    write(begin, y, favours[0], "left")
    write(end, y, favours[1], "right")


def room_of(figure: Figure, favours: tuple[str, str] | None) -> float:
    """Give the width, in CSS pixels, that the names of the two sides need."""
    return sum(measure(figure, text) for text in favours) + GAP if favours else 0.0


def write_notes(
    ax: Axes, figure: Figure, notes: list[str], x0: float, favours: tuple[str, str] | None
) -> None:
    """Write the lines below the axis: the names of the two sides, then the notes."""
    across, up = (72 * side for side in figure.get_size_inches())
    box = ax.get_position()

    def write(x: float, line: int, text: str, side: str, **look: Any) -> None:
        ax.text(
            x / across,
            (box.y0 * up - BELOW - LINE * (line + 0.5)) / up,
            text,
            transform=figure.transFigure,
            ha=side,
            va="center_baseline",
            parse_math=False,
            **look,
        )

    if favours:
        write(box.x0 * across, 0, favours[0], "left")
        write(box.x1 * across, 0, favours[1], "right")
    look = {"size": style.size("small"), "color": style.QUIET.light}
    for i, line in enumerate(notes):
        write(x0, i + (favours is not None), line, "left", **look)
