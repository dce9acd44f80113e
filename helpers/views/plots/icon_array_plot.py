"""Natural frequencies: so many of a thousand, one square each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

from ... import printing
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import Axes, axes_of, room_of_axes
from .lettering import fit_text, legend_above, measure, wrapped
from .note import Note, annotate, numbers

ACROSS, NARROW_ACROSS = 50, 40  # squares in a row
SWATCH = 50.0  # room of a key and the gaps around it
SIDE = 0.78  # side of a square, as a share of its cell
AIR = 8.0  # pixels between the key and the field
# The first group is what the text is about; the second is an outline, told apart in grey too.
LOOKS: tuple[dict[str, Any], ...] = (
    {"fc": style.ACCENT.light},
    {"fc": "none", "ec": style.INK.light, "lw": 1.5},
    {"fc": style.QUIET.light},
)
REST: dict[str, Any] = {"fc": style.GRID.light}


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
    from matplotlib.patches import Patch

    shares = {name: float(share) for name, share in groups.items()}
    if not 1 <= len(shares) <= len(LOOKS):
        raise MetaAnalysisError(f"icon_array() draws one to three groups, not {len(shares)}")
    if any(not 0 <= share <= 1 for share in shares.values()) or sum(shares.values()) > 1 + 1e-12:
        raise MetaAnalysisError("icon_array() needs shares from 0 to 1 that add up to 1 at most")
    # Round the running sum, so that the squares of all groups together are right as well.
    upto = [int(share * total + 0.5) for share in accumulate(shares.values())]
    counts = [after - before for before, after in pairwise([0, *upto, total])]
    across = NARROW_ACROSS if width < style.NARROW else ACROSS
    rows = -(-total // across)
    side = 0.01 * width
    words = [
        f"{printing.count(many)} {name}" for name, many in zip([*shares, rest], counts, strict=True)
    ]
    columns, shown = _key(words, width)
    lines = sum(name.count("\n") for name in shown)
    top = 20 + AIR + 22 * -(-len(words) // columns) + 17 * lines
    ax = axes_of(ax, width, (width - 28) / across * rows + top + 12, left=side, right=side,
                 bottom=8, top=top)  # fmt: skip
    looks: list[Any] = [*LOOKS[: len(shares)], REST]
    for name, start, many, look in zip([*shares, "rest"], [0, *upto], counts, looks, strict=True):
        _squares(ax, start, many, across, f"squares-{name}", **look)
    legend_above(
        ax, [Patch(**({"ec": look["fc"], "lw": 1.0} | look)) for look in looks],
        shown,
        bbox_to_anchor=(0, 1 + AIR / room_of_axes(ax)[3]), ncols=columns,
        handlelength=1.0, handleheight=1.0, columnspacing=2.0, fontsize=style.size("text"),
    )  # fmt: skip
    ax.set_xlim(-0.2, across - 1 + SIDE + 0.2)
    ax.set_ylim(rows - 1 + SIDE + 0.2, -0.2)
    ax.set_aspect("equal", anchor="NW")
    ax.axis("off")
    said = f"Of {printing.count(total)} {unit or subject.people}, {printing.listing(words)}."
    behind = numbers(
        {
            "group": [*shares, rest],
            "share": [*shares.values(), 1 - sum(shares.values())],
            "squares": counts,
        },
        "Natural frequencies: the numbers behind the figure",
        {"group": "", "share": ("Share", "percent"), "squares": "count"},
    )
    annotate(ax, Note("Natural frequencies", said, said, behind))
    return ax


def _key(words: list[str], width: float) -> tuple[int, list[str]]:
    """Set the words of a key in two columns, or one below the other, broken or cut to the field."""
    from matplotlib.figure import Figure

    figure, half, room = Figure(dpi=72), -(-len(words) // 2), width - 40
    sides = [max(measure(figure, w) for w in part) for part in (words[:half], words[half:])]
    if sum(sides) + 2 * SWATCH <= width - 20:
        return 2, words
    lines = ([fit_text(figure, w, room) for w in wrapped(figure, [text], room)] for text in words)
    return 1, ["\n".join(each) for each in lines]


def _squares(ax: Axes, start: int, many: int, across: int, gid: str, **look: Any) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if not many:
        return
    inset = 0.06 if "lw" in look else 0.0
    side = SIDE - 2 * inset
    corners: list[tuple[float, float]] = []
    for i in range(start, start + many):
        x, y = i % across + inset, i // across + inset
        corners += [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * many
    # One path a group: a thousand shapes of their own would weigh more than the page.
    ax.add_patch(PathPatch(Path(corners, codes), gid=gid, **({"ec": "none", "lw": 0} | look)))
