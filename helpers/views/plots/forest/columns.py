"""What is beside the plotting area of a forest plot: columns of cells, headings and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .... import printing
from ...subject import Subject
from .. import style
from ..frame import Axes, Figure, figure_of
from ..frame import size_of as size_of_figure
from ..lettering import GROUND, fit_text, measure
from .layouts import BOOK, Cell, Layout
from .rows import RATINGS, Row, printed_size, size_of

LINE = 17.5  # height of a line of notes
BELOW = 48.0  # tick labels and title of the axis
GAP = 16.0  # between columns, in CSS pixels
EDGE = 12.0  # right of a plotting area without columns, for half a tick label
WHITE = "#fefefe"  # on the colours of ratings, in the dark too: not the one of the page
BOLD = ("heading", "pooled", "overall")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading (a text for each line), printed cells and width in CSS pixels."""

    head: tuple[str, ...]
    cells: list[str]
    width: float
    side: Literal["left", "right", "disc"]  # of the text; or a disc with a sign, in the middle


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns left and right of the plotting area; those without a cell are left out."""

    before: tuple[Column, ...]
    after: tuple[Column, ...]
    above: tuple[str, ...]

    @property
    def left(self) -> float:
        """Room that the columns take left of the plot."""
        return sum(column.width + GAP for column in self.before)

    @property
    def right(self) -> float:
        """Room that the columns take right of the plot."""
        return sum(column.width + GAP for column in self.after) or EDGE

    @property
    def lines(self) -> int:
        """Lines that the headings take."""
        return max(*(len(column.head) for column in (*self.before, *self.after)), len(self.above))


def columns_of(
    figure: Figure, rows: list[Row], whole: Any, subject: Subject, layout: Layout
) -> Columns:
    """Print the cells of every row and measure the columns."""
    named = _heading_words(whole, subject)
    made = {
        cell: _column(figure, cell, rows, whole, subject, layout, named)
        for cell in (*layout.left, *layout.right)
    }
    above = layout.above.format(**named) if layout.above else ""
    after = [made[cell] for cell in layout.right if made[cell].width]
    if any(row.rating for row in rows):
        head = ("Risk", "of bias")
        wide = max(measure(figure, line, bold=True) for line in head)
        after.append(Column(head, [row.rating for row in rows], wide, "disc"))
    return Columns(
        before=tuple(made[cell] for cell in layout.left if made[cell].width),
        after=tuple(after),
        above=tuple(above.split("\n")) if above else (),
    )


def _heading_words(whole: Any, subject: Subject) -> dict[str, str]:
    unit = subject.unit(whole)
    counted = unit != "number"
    quantity = "Estimate" if size_of(whole) is None else "Rate"
    quantity = subject.outcome if whole.measure == "log-ratio" else quantity
    short = "%" if unit == "percent" else printing.unit_heading(unit, " ").strip()
    model = "Common" if whole.model == "common" else "Random"
    return {
        "one": printing.capital(subject.study),
        "events": printing.lower(subject.events),
        "Events": subject.events,
        "n": printing.lower(subject.n if whole.n is not None else subject.time),
        "short": short if counted else quantity,
        "quantity": f"Proportion{printing.unit_heading(unit, ' ')}" if counted else quantity,
        "level": printing.level_text(whole.level),
        "method": f"{'GLMM' if whole.model == 'glmm' else 'IV'}, {model}",
    }


def _column(
    figure: Figure,
    cell: Cell,
    rows: list[Row],
    whole: Any,
    subject: Subject,
    layout: Layout,
    named: dict[str, str],
) -> Column:
    if cell in ("counts", "events", "n") and size_of(whole) is None:
        return Column((), [], 0.0, "right")
    head = layout.heads[cell].format(**named)
    if cell in ("counts", "n") and whole.n is None:
        # Only our own layout has a heading for a time.
        head = BOOK.heads["counts"].format(**named) if cell == "counts" else subject.time
    if cell == "label":
        cells = [
            row.label
            if row.kind == "note"
            else fit_text(figure, row.label, 250.0, bold=row.kind != "study")
            for row in rows
        ]
    elif cell == "counts":
        cells = _counts(rows)
    elif cell in ("events", "n"):
        cells = [_single(row, cell) for row in rows]
    elif cell == "estimate":
        cells = [_estimate(row, whole, layout, subject) for row in rows]
    elif layout.aside:
        head, cells = layout.aside, [row.aside for row in rows]
    else:
        cells = _weights(rows, layout)
    # Lines of statistics may run over the other columns and are broken to fit them.
    texts = [
        measure(figure, text, bold=row.kind in BOLD)
        for text, row in zip(cells, rows, strict=True)
        if text and not (cell == "label" and row.kind == "note")
    ]
    lines = tuple(head.split("\n"))
    width = max([*(measure(figure, line, bold=True) for line in lines if line), *texts])
    side: Literal["left", "right"] = "left" if cell in ("label", "estimate") else "right"
    return Column(lines, cells, width + (14 if cell == "label" else 0), side)


def _single(row: Row, cell: str) -> str:
    """Print events or patients in a column of their own; totals give patients only."""
    value = row.events if cell == "events" else row.n
    if row.kind in ("study", "excluded"):
        return _print(value)
    total = cell == "events" and row.kind in ("pooled", "overall")
    return "" if total or np.isnan(value) else printed_size(value)


def _counts(rows: list[Row]) -> list[str]:
    """Print events and patients so that their slashes stand under each other."""
    pad = "\N{FIGURE SPACE}"
    printed = [
        ("", "")
        if row.kind in ("heading", "prediction", "note")
        else (_print(row.events), _print(row.n))
        for row in rows
    ]
    thin = "\N{THIN SPACE}"  # nearly as wide as a thousands comma
    longest = max(len(n) for _, n in printed)
    commas = max(n.count(",") for _, n in printed)
    made = []
    for events, n in printed:
        lack = longest - len(n) - (commas - n.count(","))
        fill = pad * lack + thin * (commas - n.count(","))
        made.append(f"{events}/{n}{fill}" if n else "")
    return made


def _print(value: float) -> str:
    return "\N{EN DASH}" if np.isnan(value) else printed_size(value)


def _weights(rows: list[Row], layout: Layout) -> list[str]:
    """Print weights with one decimal, or two when small ones would all read 0.0."""
    weights = [row.weight for row in rows if row.weight > 0]
    digits = 2 if weights and min(weights) < 0.05 else 1
    return [
        "" if np.isnan(row.weight) else layout.weight.format(printing.number(row.weight, digits))
        for row in rows
    ]


def _estimate(row: Row, whole: Any, layout: Layout, subject: Subject) -> str:
    if np.isnan(row.lower):
        return ""

    unit = subject.unit(whole)
    digits = printing.places_in(whole, unit)

    def text(value: float) -> str:
        return printing.value(value, unit, digits, bare=True)

    # A hyphen beside a minus cannot be read.
    template = layout.interval if row.lower >= 0 or "-" not in layout.interval else BOOK.interval
    bounds = template.format(low=text(row.lower), high=text(row.upper))
    return bounds if np.isnan(row.estimate) else f"{text(row.estimate)} {bounds}"


def _where(ax: Axes) -> Any:
    """Places in pixels of the figure across, in rows down."""
    from matplotlib.transforms import Affine2D, blended_transform_factory

    pixels: Any = Affine2D().scale(1 / 72) + figure_of(ax).dpi_scale_trans
    return blended_transform_factory(pixels, ax.transData)


def _lowered(ax: Axes, where: Any, size: str) -> Any:
    """Lower words: the middle of a figure, not of the font's box, belongs on its mark's line."""
    from matplotlib.transforms import ScaledTranslation

    trans = figure_of(ax).dpi_scale_trans
    return where + ScaledTranslation(0, -0.33 * style.size(size) / 72, trans)


def _look(row: Row) -> dict[str, Any]:
    return {
        "weight": "bold" if row.kind in BOLD else "normal",
        "color": style.QUIET.light if row.kind == "excluded" else style.INK.light,
    }


def write_words(
    ax: Axes, rows: list[Row], heights: np.ndarray, columns: Columns, x0: float
) -> None:
    """Write headings, the rule below them and the cells of every row."""
    figure, where = figure_of(ax), _where(ax)
    middle = _lowered(ax, where, "text")
    wide = ax.get_position().width * size_of_figure(figure)[0]
    begin = x0 + columns.left  # of the plotting area
    end = begin + wide

    def write(x: float, y: float, text: str, side: str, **look: Any) -> None:
        if text:
            ax.text(x, y, text, transform=middle, ha=side, va="baseline", **look)

    def head(x: float, lines: tuple[str, ...], side: str) -> None:
        for i, line in enumerate(lines):
            write(x, -1.25 - (len(lines) - 1 - i), line, side, weight="bold")

    edges = [x0]  # left edge of every column
    for column in columns.before:
        edges.append(edges[-1] + column.width + GAP)
    edges[-1] = end + GAP
    for column in columns.after:
        edges.append(edges[-1] + column.width + GAP)
    share = {"left": 0.0, "disc": 0.5, "right": 1.0}
    placed = [
        (column, edge + share[column.side] * column.width)
        for column, edge in zip((*columns.before, *columns.after), edges, strict=False)
    ]
    for column, x in placed:
        head(x, column.head, "center" if column.side == "disc" else column.side)
    head((begin + end) / 2, columns.above, "center")
    last = end if not columns.after else edges[-1] - GAP
    look: dict[str, Any] = {"transform": where, "clip_on": False}
    ax.plot([x0, last], [-0.7, -0.7], color=style.QUIET.light, lw=0.8, **look)
    for i, (row, y) in enumerate(zip(rows, heights, strict=True)):
        words, indent = _look(row), 14.0 if row.group else 0.0
        if row.group and row.kind == "heading":
            # Colour on a swatch, not on the words: text needs more contrast than a mark.
            ax.plot([x0 + 5], [y], "s", color=row.colour.light, ms=9, **look)
        for column, x in placed:
            if column.side == "disc":
                if column.cells[i]:
                    disc(ax, x, y, column.cells[i], where)
                continue
            shift = indent if column is columns.before[0] else 0.0
            write(x + shift, y, column.cells[i], column.side, **words)
        if row.kind == "excluded":
            write(end - 4, y, fit_text(figure, row.reason, wide - 4), "right", **words)


def disc(ax: Axes, x: float, y: float, rating: str, where: Any) -> None:
    """Draw the sign of a rating, white on a disc of its colour."""
    sign, _, colour = RATINGS[rating]
    ax.plot([x], [y], "o", color=colour, ms=14, mew=0, transform=where, clip_on=False)
    look: dict[str, Any] = {"weight": "bold", "color": WHITE, "size": style.size("small")}
    middle = _lowered(ax, where, "small")
    ax.text(x, y, sign, transform=middle, ha="center", va="baseline", **look)


def write_above(
    ax: Axes, rows: list[Row], lines: np.ndarray, whole: Any, subject: Subject, layout: Layout
) -> None:
    """Write label and estimate of every row on its line, and what they are at the top."""
    figure, where = figure_of(ax), _where(ax)
    right = size_of_figure(figure)[0] - EDGE / 2
    named = _heading_words(whole, subject)
    unit = f"{named['short']}, " if subject.unit(whole) != "number" else ""
    at: dict[str, Any] = {"transform": where, "va": "center"}
    ax.text(2, -1.3, layout.heads["label"].format(**named), weight="bold", **at)
    ax.text(right, -1.3, f"{unit}{named['level']} CI", ha="right", weight="bold", **at)
    for row, y in zip(rows, lines, strict=True):
        bold, look, begin = row.kind in BOLD, _look(row) | at, 2.0
        if row.group and row.kind == "heading":
            begin = 16.0
            ax.plot([7], [y], "s", color=row.colour.light, ms=9, transform=where, clip_on=False)
        value = _estimate(row, whole, layout, subject)
        if row.kind == "note" and not np.isnan(row.events):
            value = printed_size(row.events)  # a total, which has a column in the wide form
        room = right - begin - (measure(figure, value, bold=bold) + GAP / 2 if value else 0.0)
        label = f"{row.label}: {row.reason}" if row.kind == "excluded" else row.label
        if row.rating:
            disc(ax, begin + 7, y, row.rating, where)
            begin, room = begin + 20, room - 20
        label = fit_text(figure, label, room, bold=bold)
        ax.text(begin, y, label, ha="left", bbox=GROUND | {"pad": 0.4}, **look)
        ax.text(right, y, value, ha="right", **look)


def write_notes(ax: Axes, notes: list[str], x0: float) -> None:
    """Write the notes below the axis."""
    figure = figure_of(ax)
    across, up = size_of_figure(figure)
    top = ax.get_position().y0 * up - BELOW
    for i, line in enumerate(notes):
        ax.text(
            x0 / across, (top - LINE * (i + 0.5)) / up, line, transform=figure.transFigure,
            ha="left", va="center_baseline", size=style.size("small"), color=style.QUIET.light,
        )  # fmt: skip
