"""The specification curve: every analysis sorted by its estimate, above the choices it made.

Simonsohn U, Simmons JP, Nelson LD (2020), doi:10.1038/s41562-020-0912-z. Thousands of analyses
are drawn in bins of neighbours, so that the picture stays light: what a bin shows is the median of
its estimates and limits, and the share of its analyses with each level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ... import printing, ties
from ...checks.multiverse.claim_result import ClaimMultiverse
from ...checks.multiverse.result import MultiverseResult
from ...engine.effects import get_measure
from ...errors import MetaAnalysisError, UnsupportedError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import figure_of, grid_below, number_ticks, room_of_axes
from .note import Note, annotate

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


@dataclass(frozen=True, slots=True)
class _Curve:
    """What is drawn of a multiverse, with or without a claim about it.

    `columns` has the names of the two columns at the right and, for each of them, what is printed
    of the analyses with a level; `head` stands above them.
    """

    value: Array
    lower: Array
    upper: Array
    ok: NDArray[np.bool_]
    levels: NDArray[np.intp]
    choices: Mapping[str, tuple[str, ...]]
    quantity: str
    unit: Literal["percent", "ratio", "number"]
    null: float | None
    head: str
    columns: Mapping[str, Callable[[NDArray[np.bool_]], str]]
    verdicts: Mapping[str, tuple[NDArray[np.bool_], str, str]]

    @property
    def count(self) -> int:
        """Analyses with a result."""
        return int(self.ok.sum())

    def printed(self, value: float) -> str:
        """Print a value in the unit of the quantity."""
        return _printed(value, self.unit)


def _printed(value: float, unit: str) -> str:
    return printing.percent(value) if unit == "percent" else printing.number(value)


@style.themed
def specification_curve(
    result: MultiverseResult | ClaimMultiverse,
    *,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    mark: int | None = None,
    mark_label: str = "published analysis",
    width: float = 760.0,
) -> Axes:
    """Draw every analysis of a multiverse, sorted by its estimate, above the choices it made.

    Parameters
    ----------
    result : MultiverseResult or ClaimMultiverse
        From `helpers.multiverse`, or judged by a claim (`helpers.review.judge`).
    ax : Axes, optional
        Where to draw; the dashboard takes the lower part of its room. By default a new figure
        as tall as its rows need.
    mark : int, optional
        Number of a specification that is pointed out.
    mark_label : str
        What it is called.
    subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        The estimates; the dashboard is a second axes of the same figure. Vertical lines are
        intervals (medians over neighbours); a few of the widest may leave the frame. A bar in
        the dashboard is as tall as the share of the analyses above it that have the level. The
        columns at the right give, for the analyses with the level, their number and median or,
        under a claim, the share that supports it, and that supports it with the whole interval.
        With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        When no analysis has a result, the specification to be marked has none, or `ax` is too
        small.
    UnsupportedError
        Differences on several scales, or estimates of several kinds, which have no axis in common.

    Examples
    --------
    >>> from helpers import multiverse
    >>> from helpers.views.plots import show
    >>> result = multiverse(
    ...     events=[3, 8, 5], n=[40, 60, 50],
    ...     choices={"measure": ["logit", "arcsine"], "model": ["random", "common"]},
    ... )
    >>> show(specification_curve(result), "curve")  # doctest: +ELLIPSIS
    Specification curve of four analyses. Proportion runs from ...
    """
    from matplotlib import pyplot as plt

    if isinstance(result, ClaimMultiverse):
        curve = _of_claim(result)
    else:
        curve = _of_multiverse(result, subject)
    if not curve.count:
        raise MetaAnalysisError("a specification curve needs an analysis with a result")
    if mark is not None and not (1 <= mark <= len(curve.value) and curve.ok[mark - 1]):
        raise MetaAnalysisError(f"mark={mark}: no specification with a result has this number")
    bins = _bins(curve)
    rows = _rows(curve)
    below = 44.0 + sum(HEAD if kind == "head" else ROW for kind, *_ in rows)
    tall = TOP + below + 24.0
    if ax is None:
        figure, ax = plt.subplots(figsize=(width / 72, tall / 72))
        room = (0.0, 0.0, width, tall)
    else:
        figure, room = figure_of(ax), room_of_axes(ax)
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
    _estimates(ax, curve, bins, mark, mark_label)
    board = figure.add_axes(
        ((room[0] + left) / across, room[1] / up, wide / across, (below - 30.0) / up)
    )
    _dashboard(board, curve, rows, bins, left, wide)
    if isinstance(result, ClaimMultiverse):
        annotate(ax, _claim_note(result))
    else:
        annotate(ax, _plain_note(result, curve))
    return ax


def _wide(figure: Figure, text: str) -> float:
    from .lettering import measure

    return measure(figure, text)


def _of_claim(result: ClaimMultiverse) -> _Curve:
    supports, certain = result.supports, result.certain

    def among(which: NDArray[np.bool_]) -> Callable[[NDArray[np.bool_]], str]:
        return lambda mine: _percent(int((which & mine).sum()), int(mine.sum()))

    return _Curve(
        result.value, result.lower, result.upper, result.ok, result.levels, result.choices,
        result.claim.quantity, result.claim.unit, result.claim.null, "Support, %",
        {"estimate": among(supports), "interval": among(certain)},
        {
            "estimate supports it": (supports, among(supports)(result.ok), ""),
            "whole interval supports it": (certain, "", among(certain)(result.ok)),
        },
    )  # fmt: skip


def _of_multiverse(result: MultiverseResult, subject: Subject) -> _Curve:
    columns = result.columns
    kinds = {get_measure(options["measure"]).kind for options in result.grid.options}
    if result.contrast is None:
        if len(kinds) > 1:
            raise UnsupportedError(
                f"estimates of {printing.listing(sorted(kinds))}s have no axis in common: choose "
                "measures of one kind"
            )
        (kind,) = kinds
        quantity, null, name = subject.of_kind(kind).outcome, None, "estimate"
        unit: Literal["percent", "number"] = "percent" if kind == "proportion" else "number"
    else:
        scales = sorted({options["measure"] for options in result.grid.options})
        if len(scales) > 1:
            raise UnsupportedError(
                f"differences on the scales {printing.listing(scales)} have no axis in common: "
                "choose one measure, or judge a claim about the ratio"
            )
        first, second = result.contrast.levels
        quantity = f"Difference of {first} and {second} ({scales[0]} scale)"
        null, unit, name = 0.0, "number", "difference"
    value, lower, upper = (np.asarray(columns[c], float) for c in (name, "ci_lower", "ci_upper"))

    def median(mine: NDArray[np.bool_]) -> str:
        return _printed(float(np.median(value[mine])), unit)

    return _Curve(
        value, lower, upper, (columns["status"] == "ok") & np.isfinite(value),
        result.grid.levels,
        {printing.readable(c): tuple(map(str, levels)) for c, levels in result.choices.items()},
        quantity, unit, null, "",
        {"analyses": lambda mine: printing.count(int(mine.sum())), "median": median}, {},
    )  # fmt: skip


def _bins(result: _Curve) -> _Bins:
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


def _rows(curve: _Curve) -> list[tuple[str, str, Any, str, str]]:
    """Kind, label, which analyses, and the two numbers of every line of the dashboard."""
    rows: list[tuple[str, str, Any, str, str]] = []
    if curve.verdicts:
        rows.append(("head", "The claim", None, "", ""))
    for label, (which, first, second) in curve.verdicts.items():
        rows.append(("claim", label, which, first, second))
    for d, (name, labels) in enumerate(curve.choices.items()):
        rows.append(("head", name[0].upper() + name[1:], None, "", ""))
        for i, label in enumerate(labels):
            mine = curve.ok & (curve.levels[:, d] == i)
            first, second = (of(mine) if mine.any() else "" for of in curve.columns.values())
            rows.append(("level", label, mine, first, second))
    return rows


def _percent(part: int, whole: int) -> str:
    """Print a share in whole percent; only all and none are 100 and 0."""
    return printing.percent(part / whole, 0).replace(f"{printing.THIN}%", "")


def _estimates(ax: Axes, curve: _Curve, bins: _Bins, mark: int | None, label: str) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    n = curve.count
    middle = (bins.edges[:-1] + bins.edges[1:]) / 2
    ratio = curve.unit == "ratio"
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
    (line,) = ax.plot(middle, bins.value, color=style.INK.light, lw=2.2, zorder=3, gid="estimates")
    if len(middle) == 1:
        line.set_marker("o")
    ends = [*_ends(bins)]
    if curve.null is not None:
        ax.axhline(curve.null, color=style.INK.light, lw=1, dashes=(4, 3), zorder=1)
        ends.append(curve.null)
    if ratio:
        ax.set_yscale("log")
        low, high = min(ends) / 1.06, max(ends) * 1.06
        ticks = _ratio_ticks(low, high)
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        factor = 100 if curve.unit == "percent" else 1
        margin = 0.05 * (max(ends) - min(ends))
        low, high = min(ends) - margin, max(ends) + margin
        if curve.unit == "percent":
            low, high = max(0.0, low), min(1.0, high)
        steps = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10])
        found = steps.tick_values(factor * low, factor * high)
        ticks = [float(t) / factor for t in found if low <= t / factor <= high]
        number_ticks(ax.yaxis, factor)
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.set_ylim(low, high)
    ax.set_xlim(0, n)
    ax.set_xticks([])
    grid_below(ax, "y", hide=("bottom",))
    # Along the top, so that a long name needs no room at the side.
    unit = {"ratio": ", ratio, logarithmic scale", "percent": ", %", "number": ""}[curve.unit]
    ax.text(
        0,
        1.025,
        f"{curve.quantity}{unit}",
        transform=ax.transAxes,
        ha="left",
        va="bottom",
        parse_math=False,
    )
    ax.set_xlabel(f"{printing.count(n)} analyses, sorted by estimate", labelpad=6)
    if mark is not None:
        at = float(np.flatnonzero(bins.order == mark - 1)[0]) + 0.5
        value = float(curve.value[mark - 1])
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
            f"{label}: {curve.printed(value)}",
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
    curve: _Curve,
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
    for x, text in zip(columns, curve.columns, strict=True):
        board.text(
            x * pixels, heights[0] - 4, text, ha="right", size=small, color=style.QUIET.light
        )
    board.text(
        columns[1] * pixels, heights[0] - 21, curve.head, ha="right", size=small, weight="bold"
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
            patch = PathPatch(Path(outline, codes), fc=colour, lw=0, zorder=2, gid=f"level-{label}")
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


def _plain_note(result: MultiverseResult, curve: _Curve) -> Note:
    import pandas as pd

    from ..tables import table

    number = printing.counted(curve.count, "analysis", "analyses")
    low, middle, high = (
        curve.printed(float(q)) for q in np.quantile(curve.value[curve.ok], [0.0, 0.5, 1.0])
    )
    span = f"{curve.quantity} runs from {low} to {high}, median {middle}"
    moved = result.influence_of_choices(None if curve.null is None else "difference")
    most = ""
    if moved["share"].iloc[0] > 0:
        most = f" The estimates depend most on the {printing.readable(str(moved.index[0]))}."
    lost = len(curve.value) - curve.count
    lack = f" {printing.counted(lost, 'analysis', 'analyses')} without a result." if lost else ""
    lines = []
    for d, (name, labels) in enumerate(curve.choices.items()):
        for i, label in enumerate(labels):
            mine = curve.ok & (curve.levels[:, d] == i)
            middle_one = float(np.median(curve.value[mine])) if mine.any() else np.nan
            lines.append((name, label, int(mine.sum()), middle_one))
    percent = curve.unit == "percent"
    return Note(
        title="Specification curve",
        alt=f"Specification curve of {number}. {span}.{most}{printing.capital(lack)}",
        caption=f"{span}, in {number}.{most}{lack}",
        table=table(
            pd.DataFrame(lines, columns=["choice", "level", "analyses", "median"]),
            caption="What each choice does: the numbers behind the figure",
            groups="choice",
            formats={"analyses": "count", "median": "percent" if percent else "number"},
            labels={"median": f"Median estimate{f',{printing.HARD}%' if percent else ''}"},
        ),
    )


def _claim_note(result: ClaimMultiverse) -> Note:
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
