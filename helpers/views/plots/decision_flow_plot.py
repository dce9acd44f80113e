"""Ways through the choices of an analysis: one column per kind of data, one box per step."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import pandas as pd

from ... import printing
from ...errors import MetaAnalysisError
from . import style
from .frame import Axes, axes_of
from .note import Note, annotate, numbers

_LABEL = 96.0  # width of the column with the names of the steps
_GAP = 14.0  # between columns
_ARROW = 18.0  # between rows
_PAD = 8.0  # within a box
_LINE = 17.5  # height of a line of text
_LETTER = 6.1  # width of a letter at the size of the text, on average


@style.themed
def decision_flow(frame: pd.DataFrame, *, ax: Axes | None = None, width: float = 720.0) -> Axes:
    """Draw the steps of an analysis from the data down, one column per kind of data.

    Parameters
    ----------
    frame : DataFrame
        The first column names the steps; each other column is a kind of data with what to do at
        each step.
    ax : Axes, optional
        Where to draw; a new figure by default.
    width : float
        Width of the drawing in CSS pixels.

    Returns
    -------
    Axes
        Boxes joined by arrows, the names of the steps on the left. The alt text of its note reads
        the ways one by one.

    Raises
    ------
    MetaAnalysisError
        Fewer than two columns, no row, or an empty cell.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers.views.plots import show
    >>> steps = pd.DataFrame({"step": ["Model"], "counts": ["GLMM"], "effects": ["REML"]})
    >>> show(decision_flow(steps), "flow")
    Flow diagram in two columns, from the data down. Counts: model, GLMM. Effects: model, REML.
    """
    from matplotlib.patches import FancyBboxPatch

    if frame.shape[1] < 2 or frame.empty or (frame.astype(str) == "").to_numpy().any():
        raise MetaAnalysisError("decision_flow() needs steps, kinds of data, a text in each cell")
    kinds = list(frame.columns[1:])
    # On a phone the columns stand one below the other.
    blocks = [[kind] for kind in kinds] if width < style.NARROW else [kinds]
    column = (width - _LABEL - _GAP * (len(blocks[0]) - 1) - 4) / len(blocks[0])
    letters = int((column - 2 * _PAD) / _LETTER)
    steps = [f"{step}" for step in frame.iloc[:, 0]]
    rows: list[tuple[str, list[list[str]]]] = []  # name of the step, lines of each box
    for block in blocks:
        texts = [list(map(str, frame[kind])) for kind in block]
        for name, *each in zip(
            ["Data", *steps], *([k, *t] for k, t in zip(block, texts, strict=True)), strict=True
        ):
            rows.append((name, [wrap(text, letters, break_long_words=False) for text in each]))
    ends = len(steps) + 1  # rows of a block
    heights = [max(len(lines) for lines in cells) * _LINE + 2 * _PAD for _, cells in rows]
    height = sum(heights) + _ARROW * (len(rows) - 1) + 6
    ax = axes_of(ax, width, height, left=0, right=0, bottom=0, top=0)
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.axis("off")
    quiet, top = style.QUIET.light, 3.0
    look: dict[str, Any] = {"va": "center", "fontsize": style.size("small")}
    for number, ((name, cells), tall) in enumerate(zip(rows, heights, strict=True)):
        y, first = top + tall / 2, number % ends == 0
        ax.text(2, y, "\n".join(wrap(name, 13)), color=quiet, fontweight="bold", **look)
        for place, lines in enumerate(cells):
            left = _LABEL + place * (column + _GAP)
            middle = left + column / 2
            box = FancyBboxPatch(
                (left, top), column, tall, boxstyle="round,pad=0,rounding_size=4",
                facecolor=style.GRID.light if first else style.SURFACE.light, edgecolor=quiet,
                lw=1.0, zorder=2, gid=f"box-{number}-{place}",
            )  # fmt: skip
            ax.add_patch(box)
            ax.text(
                middle, y, "\n".join(lines), ha="center", zorder=3,
                fontweight="bold" if first else "normal", **look,
            )  # fmt: skip
            if (number + 1) % ends:
                ax.annotate(
                    "", xy=(middle, top + tall + _ARROW), xytext=(middle, top + tall),
                    arrowprops={"arrowstyle": "-|>", "color": quiet, "lw": 1.0},
                )  # fmt: skip
        top += tall + _ARROW
    annotate(ax, _note(frame, kinds))
    return ax


def _note(frame: pd.DataFrame, kinds: list[str]) -> Note:
    ways = []
    for kind in kinds:
        pairs = zip(frame.iloc[:, 0].astype(str), frame[kind].astype(str), strict=True)
        steps = "; ".join(f"{step[0].lower()}{step[1:]}, {use}" for step, use in pairs)
        ways.append(f"{kind[0].upper()}{kind[1:]}: {steps}.")
    return Note(
        "Flow diagram",
        f"Flow diagram in {printing.word(len(kinds))} columns, from the data down. "
        f"{' '.join(ways)}",
        "From the data to the analysis: the steps for each kind of data.",
        numbers(frame, "The steps for each kind of data", dict.fromkeys(frame.columns, "")),
    )
