"""Natural frequencies: so many of a thousand, one square each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ... import printing
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of
from .lettering import fit_keys
from .note import Note, annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..tables import Table

__all__ = ["icon_array"]

ACROSS = 50  # squares in a row
SIDE = 0.78  # side of a square, as a share of its cell
# The first groups are dark and full, so that they are told apart in grey too.
LOOKS = ("full", "outlined", "half")


@style.themed
def icon_array(
    groups: Mapping[str, float],
    *,
    rest: str,
    total: int = 1000,
    unit: str | None = None,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw shares as squares of a field, so that a reader can count them.

    Parameters
    ----------
    groups : mapping of str to float
        At most three groups and their shares (fractions of 1, not overlapping); each is drawn as
        the nearest whole number of squares, in the order given.
    rest : str
        Name of all the others.
    total : int
        Squares in the field.
    unit : str, optional
        What a square stands for; the people of the subject by default.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        When a share lies outside [0, 1], when they add up to more than 1, or with more than three.

    Examples
    --------
    >>> from helpers.views.plots import show
    >>> show(icon_array({"died": 0.07}, rest="alive"), "field")
    Of 1,000 participants, 70 died and 930 alive.
    """
    shares = {name: float(share) for name, share in groups.items()}
    if not 1 <= len(shares) <= len(LOOKS):
        raise MetaAnalysisError(f"icon_array() draws one to three groups, not {len(shares)}")
    if any(not 0 <= share <= 1 for share in shares.values()) or sum(shares.values()) > 1 + 1e-12:
        raise MetaAnalysisError("icon_array() needs shares from 0 to 1 that add up to 1 at most")
    counts = _counts(shares, total)
    rows = -(-total // ACROSS)
    height = (width - 28) / ACROSS * rows + 70
    side = 0.01 * width
    ax = axes_of(ax, width, height, left=side, right=side, bottom=8, top=58)
    _squares(ax, counts, total)
    _key(ax, counts, rest, total)
    ax.set_xlim(-0.2, ACROSS - 1 + SIDE + 0.2)
    ax.set_ylim(rows - 1 + SIDE + 0.2, -0.2)
    ax.set_aspect("equal", anchor="NW")
    ax.axis("off")
    annotate(ax, _note(counts, shares, rest, total, unit or subject.people))
    return ax


def _counts(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Round the running sum, so that the squares of all groups together are right as well."""
    counts, before, running = {}, 0, 0.0
    for name, share in shares.items():
        running += share
        upto = int(running * total + 0.5)
        counts[name], before = upto - before, upto
    return counts


def _squares(ax: Axes, counts: Mapping[str, int], total: int) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    ink, quiet, grid = style.INK.light, style.QUIET.light, style.GRID.light
    looks: list[dict[str, Any]] = [
        {"facecolor": ink, "edgecolor": "none", "linewidth": 0.0},
        {"facecolor": "none", "edgecolor": ink, "linewidth": 1.5},
        {"facecolor": quiet, "edgecolor": "none", "linewidth": 0.0},
    ]
    start = 0
    parts = [*zip(counts, counts.values(), looks, strict=False)]
    parts.append(
        (
            "rest",
            total - sum(counts.values()),
            {"facecolor": grid, "edgecolor": "none", "linewidth": 0.0},
        )
    )
    for name, many, look in parts:
        inset = 0.06 if look["linewidth"] else 0.0
        side = SIDE - 2 * inset
        corners: list[tuple[float, float]] = []
        for i in range(start, start + many):
            x, y = i % ACROSS + inset, i // ACROSS + inset
            corners += [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]
        start += many
        if not many:
            continue
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * many
        # One path a group: a thousand shapes of their own would weigh more than the page.
        patch = PathPatch(Path(corners, codes), gid=f"squares-{name}", **look)
        ax.add_patch(patch)


def _key(ax: Axes, counts: Mapping[str, int], rest: str, total: int) -> None:
    from matplotlib.patches import Patch

    ink, quiet, grid = style.INK.light, style.QUIET.light, style.GRID.light
    looks: list[dict[str, Any]] = [
        {"fc": ink, "ec": ink},
        {"fc": "none", "ec": ink, "lw": 1.5},
        {"fc": quiet, "ec": quiet},
    ]
    named = [
        (f"{printing.count(many)} {name}", look)
        for (name, many), look in zip(counts.items(), looks, strict=False)
    ]
    named.append(
        (f"{printing.count(total - sum(counts.values()))} {rest}", {"fc": grid, "ec": grid})
    )
    ax.legend(
        [Patch(**look) for _, look in named],
        fit_keys(ax, [text for text, _ in named], columns=2, size="text"),
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=2,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=2.0,
        borderaxespad=0,
        borderpad=0.2,
        fontsize=style.size("text"),
    )


def _note(
    counts: Mapping[str, int], shares: Mapping[str, float], rest: str, total: int, unit: str
) -> Note:
    others = total - sum(counts.values())
    said = [f"{printing.count(many)} {name}" for name, many in counts.items()]
    said.append(f"{printing.count(others)} {rest}")
    words = f"Of {printing.count(total)} {unit}, {printing.listing(said)}."
    return Note(
        title="Natural frequencies",
        alt=words,
        caption=words,
        table=_table(shares, counts, rest, total),
    )


def _table(shares: Mapping[str, float], counts: Mapping[str, int], rest: str, total: int) -> Table:
    import pandas as pd

    from ..tables import table

    left = 1 - sum(shares.values())
    frame = pd.DataFrame(
        {
            "group": [*shares, rest],
            "share": [*shares.values(), left],
            "squares": [*counts.values(), total - sum(counts.values())],
        }
    )
    return table(
        frame,
        caption="Natural frequencies: the numbers behind the figure",
        formats={"share": "percent", "squares": "count"},
        labels={"share": f"Share,{printing.HARD}%"},
    )
