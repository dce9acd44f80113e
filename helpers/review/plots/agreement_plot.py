"""How far ours agrees with what was published: values by the number of digits that agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ... import printing
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of, grid_below
from ...views.plots.note import Note
from ..subject import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...views.tables import Table
    from ..published import Comparison

__all__ = ["agreement"]

FULL = printing.MOST_DIGITS


@style.themed
def agreement(
    comparisons: Iterable[Comparison], *, ax: Axes | None = None, width: float = 720.0
) -> Axes:
    """Draw how many published numbers agree to how many significant digits.

    Parameters
    ----------
    comparisons : iterable of Comparison
        As in ``reproduction().comparisons``.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Significant digits that agree across, published numbers up, stacked by status (identical
        as printed, same to rounding, differs). With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        Without a comparison.

    Examples
    --------
    >>> from helpers.views.plots import show
    >>> from helpers.review.published import compare
    >>> one = compare("tests", "Egger regression", "MM", "t", "-1.77", -1.7654)
    >>> show(agreement([one]), "agreement")  # doctest: +ELLIPSIS
    Stacked bars of one published number by the significant digits ...
    """
    from ..published import STATUSES

    listed = list(comparisons)
    if not listed:
        raise MetaAnalysisError("agreement() needs at least one comparison")
    ax = axes_of(ax, width, 320, left=58, right=14, bottom=49.6, top=36.8)
    counts = {
        status: np.bincount(
            [one.digits for one in listed if one.status == status], minlength=FULL + 1
        )
        for status in STATUSES
    }
    looks = (style.INK.light, style.QUIET.light, "none")
    bottom = np.zeros(FULL + 1)
    for (status, heights), face in zip(counts.items(), looks, strict=True):
        bars = ax.bar(
            np.arange(FULL + 1),
            heights,
            bottom=bottom,
            width=0.8,
            facecolor=face,
            edgecolor=style.INK.light if face == "none" else "none",
            linewidth=1.4 if face == "none" else 0.0,
            label=f"{status} ({printing.count(int(heights.sum()))})",
        )
        for bar in bars:
            bar.set_gid(f"bar-{status.replace(' ', '-')}")
        bottom += heights
    ax.set_xlim(-0.6, FULL + 0.6)
    ax.set_xticks(np.arange(FULL + 1), labels=[printing.digits_text(i) for i in range(FULL + 1)])
    ax.set_xlabel("Significant digits that agree", labelpad=5)
    ax.set_ylabel("Published numbers", labelpad=6)
    grid_below(ax, "y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2)
    annotate(ax, _note(listed, counts))
    return ax


def _counted(number: int, status: str) -> str:
    """Say how many numbers have a status, with its verb in the right number."""
    from ..published.status import DIFFERS

    if status == DIFFERS:
        return f"{printing.word(number)} {'differs' if number == 1 else 'differ'}"
    verb = "is" if number == 1 else "are"
    return f"{printing.count(number)} {verb} {status.replace('same', 'the same')}"


def _note(listed: list[Comparison], counts: dict[str, np.ndarray]) -> Note:
    total = len(listed)
    said = printing.listing(_counted(int(n.sum()), status) for status, n in counts.items())
    middle = sorted(one.digits for one in listed)[total // 2]
    numbers = "one published number" if total == 1 else f"{printing.count(total)} published numbers"
    return Note(
        title="Agreement with the published numbers",
        alt=(
            f"Stacked bars of {numbers} by the significant digits that agree with ours: {said}. "
            f"Half of them agree to {printing.word(middle)} digits or more."
        ),
        caption=(
            f"Of {numbers}, {said}. Numbers printed with few digits cannot agree to many; an exact "
            f"count agrees to all."
        ),
        table=_table(counts),
    )


def _table(counts: dict[str, np.ndarray]) -> Table:
    import pandas as pd

    from ...views.tables import table

    frame = pd.DataFrame({"digits": range(FULL + 1), **counts})
    return table(
        frame,
        caption="Published numbers by agreeing digits: the numbers behind the figure",
        formats=dict.fromkeys(counts, "count"),
        labels={"digits": "Digits that agree"},
    )
