"""From records to cohorts: the flow diagram of the review, with its unknown boxes left open."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import pandas as pd

from ... import printing
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import Axes, axes_of
from ...views.plots.note import Note, numbers
from ...views.tables.frames import require
from ..subject import annotate

_UNKNOWN = "not found"
_PAD, _LINE, _ARROW, _GAP = 9.0, 18.0, 22.0, 22.0  # CSS pixels
_LETTER, _BOLD = 6.9, 7.8  # width of a letter, on average


@dataclass(frozen=True, slots=True)
class _Box:
    """A box of the diagram: what it counts, and what is known of it."""

    head: str
    text: str | None  # None where nothing was found


@style.themed
def review_flow(methods: pd.DataFrame, *, ax: Axes | None = None, width: float = 620.0) -> Axes:
    """Draw the flow of the review from records to cohorts; a box of which nothing is known says so.

    Parameters
    ----------
    methods : DataFrame
        ``load_context("review_methods")``.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Boxes from records down to cohorts, exclusions beside them. Dashed boxes are unknown.

    Raises
    ------
    MetaAnalysisError
        When a column or one of the items of the diagram is missing.

    Examples
    --------
    >>> from helpers import load_context
    >>> from helpers.views.plots import show
    >>> show(review_flow(load_context("review_methods")), "review-flow")  # doctest: +ELLIPSIS
    Flow diagram of the review in seven boxes. ...
    """
    require(methods, ("item", "known"))
    rows = _boxes(methods)
    column = (width - _GAP - 6) / 2
    texts = [[_lines(box, column - 2 * _PAD) for box in row] for row in rows]
    heights = [max(len(lines) for lines in row) * _LINE + 2 * _PAD for row in texts]
    height = sum(heights) + _ARROW * (len(rows) - 1) + 6
    ax = axes_of(ax, width, height, left=0, right=0, bottom=0, top=0)
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.axis("off")
    top = 3.0
    for i, (row, lines, tall) in enumerate(zip(rows, texts, heights, strict=True)):
        for j, (box, said) in enumerate(zip(row, lines, strict=True)):
            left = 3 + j * (column + _GAP)
            _draw(ax, box, said, (left, top, column, tall), f"{i}-{j}")
        middle, level = 3 + column / 2, top + tall / 2
        if i + 1 < len(rows):
            _arrow(ax, (middle, top + tall), (middle, top + tall + _ARROW))
        if len(row) > 1:
            _arrow(ax, (3 + column, level), (3 + column + _GAP, level))
        top += tall + _ARROW
    annotate(ax, _note(rows))
    return ax


def _boxes(methods: pd.DataFrame) -> list[list[_Box]]:
    known = methods.set_index("item")["known"]

    def of(item: str) -> str | None:
        if item not in known.index:
            raise MetaAnalysisError(f"review_flow() misses the item {item!r}")
        text = known[item]
        return text if isinstance(text, str) else None

    searched = " ".join(filter(None, (of("databases"), f"to {of('last search')}")))
    screened = of("records screened and excluded")
    assessed = of("full texts assessed and excluded")
    return [
        [_Box(f"Records found in {searched}", of("records found"))],
        [_Box("Records screened", screened), _Box("Records excluded", screened)],
        [
            _Box("Full texts assessed", assessed),
            _Box("Full texts excluded, with reasons", assessed),
        ],
        [_Box("Studies included", of("studies included"))],
        [_Box("Cohorts in the study table", of("cohorts, patients and deaths"))],
    ]


def _lines(box: _Box, room: float) -> list[tuple[str, bool]]:
    """Give the lines of a box, and whether each is the heading."""
    look: dict[str, Any] = {"break_on_hyphens": False}
    head = [(line, True) for line in wrap(box.head, int(room / _BOLD), **look)]
    text = wrap(box.text or _UNKNOWN, int(room / _LETTER), **look)
    return head + [(line, False) for line in text]


def _draw(
    ax: Axes,
    box: _Box,
    lines: list[tuple[str, bool]],
    place: tuple[float, float, float, float],
    name: str,
) -> None:
    from matplotlib.patches import FancyBboxPatch

    left, top, wide, tall = place
    unknown = box.text is None
    ax.add_patch(
        FancyBboxPatch(
            (left, top), wide, tall, boxstyle="round,pad=0,rounding_size=4",
            facecolor=style.SURFACE.light if unknown else style.GRID.light,
            edgecolor=style.QUIET.light, lw=1.2, ls=(0, (4, 3)) if unknown else "-", zorder=2,
            gid=f"box-{name}",
        )
    )  # fmt: skip
    y = top + tall / 2 - (len(lines) - 1) * _LINE / 2
    for i, (line, head) in enumerate(lines):
        colour = style.QUIET.light if unknown and not head else style.INK.light
        ax.text(
            left + _PAD, y + i * _LINE, line, ha="left", va="center", zorder=3, color=colour,
            size=style.size("text"), weight="bold" if head else "normal",
        )  # fmt: skip


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>", "color": style.QUIET.light, "lw": 1.2}
    ax.annotate("", xy=end, xytext=start, arrowprops=look)


def _note(rows: list[list[_Box]]) -> Note:
    boxes = [box for row in rows for box in row]
    unknown = sum(box.text is None for box in boxes)
    said = "; ".join(f"{box.head}: {box.text or _UNKNOWN}" for box in boxes)
    total = printing.counted(len(boxes), "box", "boxes")
    caption = (
        f"Public texts fill {printing.of_total(len(boxes) - unknown, len(boxes))} boxes of the "
        "review's flow diagram."
    )
    if unknown:
        caption += (
            " For the dashed boxes nothing was found in the abstract, the preprint record or the "
            "code; the full article may say more."
        )
    return Note(
        "Flow of the review",
        f"Flow diagram of the review in {total}. {said}.",
        caption,
        numbers(
            {"box": [b.head for b in boxes], "known": [b.text or _UNKNOWN for b in boxes]},
            "The boxes of the flow diagram",
            {"box": "", "known": ("What is known", "")},
        ),
    )
