"""How far ours agrees with what was published: values by the number of digits that agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ... import printing
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of, grid_below, name_axes
from ...views.plots.note import Note, numbers
from ..subject import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..published import Comparison

FULL = printing.MOST_DIGITS
_FACES = (style.INK.light, style.QUIET.light, "none")


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
    digits = np.arange(FULL + 1)
    counts = {
        status: np.bincount([c.digits for c in listed if c.status == status], minlength=FULL + 1)
        for status in STATUSES
    }
    bottom = np.zeros(FULL + 1)
    for (status, heights), face in zip(counts.items(), _FACES, strict=True):
        outline = face == "none"
        bars = ax.bar(
            digits, heights, bottom=bottom, width=0.8, facecolor=face,
            edgecolor=style.INK.light if outline else "none", linewidth=1.4 if outline else 0.0,
            label=f"{status} ({printing.count(int(heights.sum()))})",
        )  # fmt: skip
        for bar in bars:
            bar.set_gid(f"bar-{status.replace(' ', '-')}")
        bottom += heights
    ax.set_xlim(-0.6, FULL + 0.6)
    ax.set_xticks(digits, labels=[printing.digits_text(i) for i in range(FULL + 1)])
    name_axes(ax, "Significant digits that agree", "Published numbers")
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
    middle = printing.word(sorted(one.digits for one in listed)[total // 2])
    many = "one published number" if total == 1 else f"{printing.count(total)} published numbers"
    return Note(
        "Agreement with the published numbers",
        f"Stacked bars of {many} by the significant digits that agree with ours: {said}. Half of "
        f"them agree to {middle} digits or more.",
        f"Of {many}, {said}. Numbers printed with few digits cannot agree to many; an exact count "
        "agrees to all.",
        numbers(
            {"digits": range(FULL + 1), **counts},
            "Published numbers by agreeing digits: the numbers behind the figure",
            {"digits": ("Digits that agree", ""), **dict.fromkeys(counts, "count")},
        ),
    )
