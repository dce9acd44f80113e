"""The specification curve: every analysis sorted by its estimate, above the choices it made.

Simonsohn U, Simmons JP, Nelson LD (2020), doi:10.1038/s41562-020-0912-z. Thousands of analyses
are drawn in bins of neighbours, so that the picture stays light: what a bin shows is the median of
its estimates and limits, and the share of its analyses with each level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import printing, ties
from ...checks.multiverse.claim_result import ClaimMultiverse
from ...errors import MetaAnalysisError
from . import style
from .picture import Note, annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..tables import Table

__all__ = ["specification_curve"]

Array = NDArray[np.float64]

BINS = 120  # columns of the picture
TOP = 210.0  # height of the estimates, in CSS pixels
ROW = 16.0
HEAD = 21.0
RIGHT = 126.0  # columns of percentages
FULL = 0.8  # of a row's height, when all analyses of a bin have the level


@dataclass(frozen=True, slots=True)
class _Bins:
    """Sorted analyses in bins of neighbours."""

    edges: Array
    value: Array
    lower: Array
    upper: Array
    member: NDArray[np.intp]  # bin of each analysis, in sorted order
    order: NDArray[np.intp]  # analyses with a result, sorted by estimate

    def share(self, which: NDArray[np.bool_]) -> Array:
        """Share of each bin's analyses that are among `which`."""
        size = np.bincount(self.member, minlength=len(self.value))
        return np.bincount(
            self.member, weights=which[self.order].astype(float), minlength=len(self.value)
        ) / np.maximum(size, 1)


@style.themed
def specification_curve(
    result: ClaimMultiverse,
    *,
    ax: Axes | None = None,
    mark: int | None = None,
    mark_label: str = "published analysis",
    width: float = 760.0,
) -> Axes:
    """Draw every analysis of a claim, sorted by its estimate, above the choices it made.

    Parameters
    ----------
    result : ClaimMultiverse
        From `helpers.review.claim_analyses.claim_multiverse` or ``judge``.
    ax : Axes, optional
        Where to draw; the dashboard takes the lower part of its room. By default a new figure
        as tall as its rows need.
    mark : int, optional
        Number of a specification that is pointed out.
    mark_label : str
        What it is called.
    width : float
        Width of a new figure in CSS pixels.

    Returns
    -------
    Axes
        The estimates; the dashboard is a second axes of the same figure. Vertical lines are
        intervals (medians over neighbours); a few of the widest may leave the frame. A bar in
        the dashboard is as tall as the share of the analyses above it that have the level. The
        columns at the right give, for the analyses with the level, the share that supports the
        claim, and that supports it with the whole interval. With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        When no analysis has a result, the specification to be marked has none, or `ax` is too
        small.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> from helpers.review.claim_analyses import claim_multiverse
    >>> from helpers.views.plots import show
    >>> result = claim_multiverse(load_cohorts(), "infection-half")
    >>> show(specification_curve(result), "curve")  # doctest: +ELLIPSIS
    Specification curve of 42 analyses. ...
    """
    from matplotlib import pyplot as plt

    if not len(result):
        raise MetaAnalysisError("a specification curve needs an analysis with a result")
    if mark is not None and not (1 <= mark <= len(result.value) and result.ok[mark - 1]):
        raise MetaAnalysisError(f"mark={mark}: no specification with a result has this number")
    bins = _bins(result)
    rows = _rows(result)
    below = 44.0 + sum(HEAD if kind == "head" else ROW for kind, *_ in rows)
    tall = TOP + below + 24.0
    if ax is None:
        figure, ax = plt.subplots(figsize=(width / 72, tall / 72))
        room = (0.0, 0.0, width, tall)
    else:
        figure = _figure_of(ax)
        across, up = (72 * side for side in figure.get_size_inches())
        box = ax.get_position()
        room = (box.x0 * across, box.y0 * up, box.width * across, box.height * up)
    left = 12.0 + max(_wide(figure, text) for _, text, *_ in rows) + 10.0
    if room[2] < left + RIGHT + 200.0 or room[3] < tall - 1e-6:
        raise MetaAnalysisError(
            f"the axes have {room[2]:.0f} x {room[3]:.0f} px; this specification curve needs "
            f"{left + RIGHT + 200.0:.0f} x {tall:.0f}"
        )
    across, up = (72 * side for side in figure.get_size_inches())
    wide = room[2] - left - RIGHT
    ax.set_position(
        (
            (room[0] + left) / across,
            (room[1] + room[3] - 24.0 - TOP) / up,
            wide / across,
            TOP / up,
        )
    )
    _estimates(ax, result, bins, mark, mark_label)
    board = figure.add_axes(
        ((room[0] + left) / across, room[1] / up, wide / across, (below - 30.0) / up)
    )
    _dashboard(board, rows, bins, left, wide)
    annotate(ax, _note(result))
    return ax


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if figure is None:
        raise MetaAnalysisError("the axes do not belong to a figure")
    return figure


def _wide(figure: Figure, text: str) -> float:
    from .lettering import measure

    return measure(figure, text)


def _bins(result: ClaimMultiverse) -> _Bins:
    place = np.flatnonzero(result.ok)
    order = place[ties.order(result.value[place])]
    n = len(order)
    count = min(n, BINS)
    edges = np.round(np.linspace(0, n, count + 1))
    member = np.repeat(np.arange(count), np.diff(edges).astype(int))
    pieces = np.split(order, edges[1:-1].astype(int))
    value, lower, upper = (
        np.array([float(np.median(column[piece])) for piece in pieces])
        for column in (result.value, result.lower, result.upper)
    )
    return _Bins(edges, value, lower, upper, member, order)


def _rows(result: ClaimMultiverse) -> list[tuple[str, str, Any, str, str]]:
    """Kind, label, which analyses, and the two percentages of every line of the dashboard."""
    rows: list[tuple[str, str, Any, str, str]] = [("head", "The claim", None, "", "")]
    for label, which, share in (
        ("estimate supports it", result.supports, result.share_supporting),
        ("whole interval supports it", result.certain, result.share_certain),
    ):
        text = _percent(share.count, share.of)
        first = label.startswith("estimate")
        rows.append(("claim", label, which, text if first else "", "" if first else text))
    for d, (name, labels) in enumerate(result.choices.items()):
        rows.append(("head", name[0].upper() + name[1:], None, "", ""))
        for i, label in enumerate(labels):
            mine = result.ok & (result.levels[:, d] == i)
            n = int(mine.sum())
            shares = [
                _percent(int((which & mine).sum()), n) if n else ""
                for which in (result.supports, result.certain)
            ]
            rows.append(("level", label, mine, *shares))
    return rows


def _percent(part: int, whole: int) -> str:
    """Print a share in whole percent; only all and none are 100 and 0."""
    return printing.percent(part / whole, 0).replace(f"{printing.THIN}%", "")


def _estimates(
    ax: Axes, result: ClaimMultiverse, bins: _Bins, mark: int | None, label: str
) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    claim, n = result.claim, len(result)
    middle = (bins.edges[:-1] + bins.edges[1:]) / 2
    ratio = claim.unit == "ratio"
    intervals = LineCollection(
        [
            [(x, low), (x, high)]
            for x, low, high in zip(middle, bins.lower, bins.upper, strict=True)
        ],
        colors=style.QUIET.light,
        linewidths=1.0,
        alpha=0.55,
        zorder=2,
    )
    intervals.set_gid("intervals")
    ax.add_collection(intervals)
    (line,) = ax.plot(middle, bins.value, color=style.INK.light, lw=2.2, zorder=3)
    line.set_gid("estimates")
    if len(middle) == 1:
        line.set_marker("o")
    ax.axhline(claim.null, color=style.INK.light, lw=1, dashes=(4, 3), zorder=1)
    ends = [*_ends(bins), claim.null]
    if ratio:
        ax.set_yscale("log")
        low, high = min(ends) / 1.06, max(ends) * 1.06
        ticks = _ratio_ticks(low, high)
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        margin = 0.05 * (max(ends) - min(ends))
        low, high = max(0.0, min(ends) - margin), min(1.0, max(ends) + margin)
        found = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]).tick_values(100 * low, 100 * high)
        ticks = [float(t) / 100 for t in found if low <= t / 100 <= high]
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{round(100 * v, 6):g}"))
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.set_ylim(low, high)
    ax.set_xlim(0, n)
    ax.set_xticks([])
    ax.grid(axis="y", zorder=0)
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    ax.spines["bottom"].set_visible(False)
    # Along the top, so that a long name needs no room at the side.
    unit = "ratio, logarithmic scale" if ratio else "%"
    ax.text(
        0,
        1.025,
        f"{claim.quantity}, {unit}",
        transform=ax.transAxes,
        ha="left",
        va="bottom",
        parse_math=False,
    )
    ax.set_xlabel(f"{printing.count(n)} analyses, sorted by estimate", labelpad=6)
    if mark is not None:
        at = float(np.flatnonzero(bins.order == mark - 1)[0]) + 0.5
        value = float(result.value[mark - 1])
        ax.plot(
            [at],
            [value],
            "o",
            ms=8,
            mfc=style.SURFACE.light,
            mec=style.INK.light,
            mew=1.8,
            zorder=5,
            clip_on=False,
            gid="mark",
        )
        right = at < n / 2
        ax.annotate(
            f"{label}: {result.printed(value)}",
            (at, high),
            xytext=(6 if right else -6, -4),
            textcoords="offset points",
            ha="left" if right else "right",
            va="top",
            size=style.size("small"),
            parse_math=False,
        )
        ax.plot([at, at], [value, high], color=style.INK.light, lw=0.8, zorder=4)


def _ends(bins: _Bins) -> tuple[float, float]:
    """Give the ends of the axis: all estimates, and all intervals but a few of the widest."""
    low = min(float(np.quantile(bins.lower, 0.02)), float(bins.value.min()))
    high = max(float(np.quantile(bins.upper, 0.98)), float(bins.value.max()))
    return low, high


def _ratio_ticks(low: float, high: float) -> list[float]:
    """Choose ticks of a logarithmic axis that stand a line apart."""
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1,)):
        every = [round(m * 10.0**e, 6) for e in range(-4, 6) for m in steps]
        ticks = [t for t in every if low <= t <= high]
        gaps = np.diff(np.log(ticks)) / np.log(high / low) * TOP
        if len(ticks) < 2 or gaps.min() >= 20:
            break
    return ticks


def _dashboard(
    board: Axes,
    rows: list[tuple[str, str, Any, str, str]],
    bins: _Bins,
    left: float,
    wide: float,
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    heights = np.cumsum([HEAD if kind == "head" else ROW for kind, *_ in rows])
    board.set_xlim(0, bins.edges[-1])
    board.set_ylim(heights[-1] + 4, -10)
    board.axis("off")
    pixels = board.get_xlim()[1] / wide
    columns = (wide + 0.5 * RIGHT - 4, wide + RIGHT - 2)
    small = style.size("small")
    for x, text in zip(columns, ("estimate", "interval"), strict=True):
        board.text(
            x * pixels, heights[0] - 4, text, ha="right", size=small, color=style.QUIET.light
        )
    board.text(
        columns[1] * pixels, heights[0] - 21, "Support, %", ha="right", size=small, weight="bold"
    )
    for (kind, label, which, first, second), bottom in zip(rows, heights, strict=True):
        base = bottom - 3.0
        heading = kind == "head"
        board.text(
            (-left + (0 if heading else 12)) * pixels,
            base,
            label,
            ha="left",
            va="baseline",
            size=small,
            weight="bold" if heading else "normal",
            parse_math=False,
        )
        if heading:
            continue
        board.plot([0, bins.edges[-1]], [base, base], color=style.GRID.light, lw=0.8, zorder=1)
        colour = style.INK.light if kind == "claim" else style.QUIET.light
        outline, codes = _steps(bins, bins.share(which), base)
        if len(outline):
            patch = PathPatch(Path(outline, codes), fc=colour, lw=0, zorder=2)
            patch.set_gid(f"level-{label}")
            board.add_patch(patch)
        for x, text in zip(columns, (first, second), strict=True):
            board.text(x * pixels, base, text, ha="right", va="baseline", size=small)


def _steps(bins: _Bins, share: Array, base: float) -> tuple[Array, NDArray[np.intp]]:
    """Outline of a bar for each stretch of bins with a share, and what its corners are."""
    from matplotlib.path import Path

    top = base - FULL * ROW * np.round(share, 2)
    corners: list[tuple[float, float]] = []
    codes: list[int] = []
    for i, height in enumerate(top.tolist()):
        a, b = float(bins.edges[i]), float(bins.edges[i + 1])
        before = float(top[i - 1]) if i else base
        after = float(top[i + 1]) if i + 1 < len(top) else base
        if height == base:
            continue
        if before == base:
            corners.append((a, base))
            codes.append(int(Path.MOVETO))
        if before != height:
            corners.append((a, height))
            codes.append(int(Path.LINETO))
        if after != height:
            corners.append((b, height))
            codes.append(int(Path.LINETO))
        if after == base:
            corners.append((b, base))
            codes.append(int(Path.LINETO))
    return np.array(corners, dtype=float).reshape(-1, 2), np.array(codes, dtype=np.intp)


def _note(result: ClaimMultiverse) -> Note:
    from ..tables import table

    claim, place = result.claim, result.value[result.ok]
    low, middle, high = (result.printed(float(q)) for q in np.quantile(place, [0.0, 0.5, 1.0]))
    moved = result.influence()
    first = str(moved.index[0])
    sentence = f"{claim.statement}: this {result.sentence}."
    alt = (
        f"Specification curve of {printing.count(len(result))} analyses. {claim.quantity} runs "
        f"from {low} to {high}, median {middle}; the claim asks for more than "
        f"{result.printed(claim.null)}. {sentence}"
    )
    caption = sentence
    if moved["share"].iloc[0] > 0:
        caption += f" The choice that moves the estimate most is the {first}."
        alt += f" The estimates depend most on the {first}."
    made: Table = table(
        result.by_choice(),
        caption="What each choice does: the numbers behind the figure",
        groups="choice",
        formats={
            "analyses": "count",
            "supporting": "percent",
            "certain": "percent",
            "median": "percent" if claim.unit == "percent" else "number",
        },
        labels={
            "supporting": f"Estimate supports,{printing.HARD}%",
            "certain": f"Interval supports,{printing.HARD}%",
            "median": "Median estimate"
            + (f",{printing.HARD}%" if claim.unit == "percent" else ", ratio"),
        },
    )
    return Note(title="Specification curve", alt=alt, caption=caption, table=made)
