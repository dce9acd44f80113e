"""The specification curve: every analysis sorted by its estimate, above the choices it made.

Simonsohn U, Simmons JP, Nelson LD (2020), doi:10.1038/s41562-020-0912-z. Thousands of analyses
are drawn in bins of neighbours, so that the picture stays light: what a bin shows is the median of
its estimates and limits, and the share of its analyses with each level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ... import printing, ties
from ...arguments import Array
from ...checks.multiverse.claim_result import ClaimMultiverse
from ...checks.multiverse.result import MultiverseResult
from ...engine.effects import get_measure
from ...errors import MetaAnalysisError, UnsupportedError
from ..subject import NEUTRAL, Subject
from ..tables import Table
from . import style
from .frame import (
    Axes,
    axes_of,
    figure_of,
    fixed_ticks,
    grid_below,
    place_axes,
    require_room,
    room_of_axes,
    round_ticks,
)
from .lettering import beside, measure
from .note import Note, annotate, numbers

BINS = 120  # columns of the picture
TOP = 210.0  # height of the estimates, in CSS pixels
ROW = 18.0
HEAD = 24.0
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
class _Row:
    """A line of the dashboard: the analyses with its level, and what is said of them."""

    kind: Literal["head", "claim", "level"]
    label: str
    which: NDArray[np.bool_] | None = None
    first: str = ""
    second: str = ""

    @property
    def tall(self) -> float:
        """Its height in CSS pixels."""
        return HEAD if self.kind == "head" else ROW


@dataclass(frozen=True, slots=True)
class _Curve:
    """What is drawn of a multiverse, with or without a claim about it.

    `supports` has the analyses whose estimate, and those whose interval, supports the claim.
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
    supports: Mapping[str, NDArray[np.bool_]]

    @property
    def count(self) -> int:
        """Analyses with a result."""
        return int(self.ok.sum())

    @property
    def bins(self) -> _Bins:
        """The sorted analyses in bins of neighbours."""
        place = np.flatnonzero(self.ok)
        order = place[ties.order(self.value[place])]
        count = min(len(order), BINS)
        edges = np.round(np.linspace(0, len(order), count + 1))
        member = np.repeat(np.arange(count), np.diff(edges).astype(int))
        pieces = np.split(order, edges[1:-1].astype(int))
        value, lower, upper = (
            np.array([float(np.median(column[piece])) for piece in pieces])
            for column in (self.value, self.lower, self.upper)
        )
        return _Bins(edges, value, lower, upper, member, order)

    def printed(self, value: float) -> str:
        """Print a value in the unit of the quantity."""
        return printing.percent(value) if self.unit == "percent" else printing.number(value)

    def told(self, mine: NDArray[np.bool_]) -> list[str]:
        """Print the two numbers that stand beside the analyses with a level."""
        if not mine.any():
            return ["", ""]
        if not self.supports:
            middle = float(np.median(self.value[mine]))
            return [printing.count(int(mine.sum())), self.printed(middle)]
        shares = ((which & mine).sum() / mine.sum() for which in self.supports.values())
        return [printing.percent(share, 0).removesuffix("%") for share in shares]  # unit above

    def quartiles(self) -> list[str]:
        """Print the lowest, the middle and the highest estimate."""
        return [self.printed(float(q)) for q in np.quantile(self.value[self.ok], [0.0, 0.5, 1.0])]


@style.themed
def specification_curve(
    result: MultiverseResult | ClaimMultiverse,
    *,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    mark: int | None = None,
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
    subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        The estimates; the dashboard is a second axes of the same figure. Vertical lines are
        intervals (medians over neighbours); a few of the widest may leave the frame. A bar in the
        dashboard is as tall as the share of the analyses above it that have the level. The columns
        at the right give, for the analyses with the level, their number and median or, under a
        claim, the share that supports it, and that supports it with the whole interval.

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
    Specification curve of four analyses. Proportion ranges from ...
    """
    if isinstance(result, ClaimMultiverse):
        curve = curve_of_claim(result)
    else:
        curve = _of_multiverse(result, subject)
    if not curve.count:
        raise MetaAnalysisError("a specification curve needs an analysis with a result")
    if mark is not None and not (1 <= mark <= len(curve.value) and curve.ok[mark - 1]):
        raise MetaAnalysisError(f"mark={mark}: no specification with a result has this number")
    rows = _rows(curve)
    below = 44.0 + sum(row.tall for row in rows)
    tall = TOP + below + 24.0
    # A phone has no room for the choices under the estimates; the table behind has them.
    narrow = ax is None and width < style.NARROW
    ax = axes_of(ax, width, tall, left=0, right=0, bottom=0, top=0)
    figure, (x0, y0, across, up) = figure_of(ax), room_of_axes(ax)
    note = _claim_note if isinstance(result, ClaimMultiverse) else _plain_note
    annotate(ax, note(result, curve))  # type: ignore[arg-type]
    left = 12.0 + max(measure(figure, row.label) for row in rows) + 10.0
    wide = across - left - RIGHT
    if narrow:
        figure.set_size_inches(width / 72, (TOP + 60.0) / 72)
        place_axes(ax, 44.0, 30.0, width - 56.0, TOP)
    else:
        require_room(ax, left + RIGHT + 200.0, tall, "this specification curve")
        place_axes(ax, x0 + left, y0 + up - 24.0 - TOP, wide, TOP)
    draw_estimates(ax, curve)
    if mark is not None:
        draw_mark(ax, curve, mark, "published analysis")
    if not narrow:
        board = figure.add_axes((0, 0, 1, 1))
        place_axes(board, x0 + left, y0, wide, below - 30.0)
        _dashboard(board, curve, rows, left, wide)
    return ax


def curve_of_claim(result: ClaimMultiverse) -> _Curve:
    """Give what is drawn of a claim."""
    return _Curve(
        result.value, result.lower, result.upper, result.ok, result.levels, result.choices,
        result.claim.quantity, result.claim.unit, result.claim.null,
        {"estimate": result.supports, "interval": result.certain},
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

    return _Curve(
        value, lower, upper, (columns["status"] == "ok") & np.isfinite(value),
        result.grid.levels,
        {printing.readable(c): tuple(map(str, levels)) for c, levels in result.choices.items()},
        quantity, unit, null, {},
    )  # fmt: skip


def _rows(curve: _Curve) -> list[_Row]:
    rows = []
    if curve.supports:
        first, second = curve.told(curve.ok)
        by, certain = curve.supports.values()
        rows = [
            _Row("head", "The claim"),
            _Row("claim", "estimate supports it", by, first),
            _Row("claim", "whole interval supports it", certain, "", second),
        ]
    for d, (name, labels) in enumerate(curve.choices.items()):
        rows.append(_Row("head", printing.capital(name)))
        for i, label in enumerate(labels):
            mine = curve.ok & (curve.levels[:, d] == i)
            rows.append(_Row("level", label, mine, *curve.told(mine)))
    return rows


def draw_estimates(ax: Axes, curve: _Curve, name: str | None = None) -> None:
    """Draw the sorted estimates with their intervals."""
    bins = curve.bins
    middle = (bins.edges[:-1] + bins.edges[1:]) / 2
    ax.vlines(
        middle, bins.lower, bins.upper, colors=style.QUIET.light, lw=1.0, alpha=0.55, zorder=2,
        gid="intervals",
    )  # fmt: skip
    ax.plot(
        middle, bins.value, marker="o" if len(middle) == 1 else "", color=style.INK.light, lw=2.2,
        zorder=3, gid="estimates",
    )  # fmt: skip
    # All estimates, and all intervals but a few of the widest.
    ends = [*bins.value, np.quantile(bins.lower, 0.02), np.quantile(bins.upper, 0.98)]
    if curve.null is not None:
        ax.axhline(curve.null, color=style.INK.light, lw=1, dashes=(4, 3), zorder=1)
        ends.append(curve.null)
    low, high = float(min(ends)), float(max(ends))
    if curve.unit == "ratio":
        ax.set_yscale("log")
        ax.set_ylim(low / 1.06, high * 1.06)
        fixed_ticks(ax.yaxis, _ratio_ticks(*ax.get_ylim()))
    else:
        margin = 0.05 * (high - low)
        low, high = low - margin, high + margin
        if curve.unit == "percent":
            low, high = max(0.0, low), min(1.0, high)
        round_ticks(ax.yaxis, (low, high), 6, 100 if curve.unit == "percent" else 1)
        ax.set_ylim(low, high)
    ax.set_xlim(0, curve.count)
    ax.set_xticks([])
    grid_below(ax, "y", hide=("bottom",))
    # Along the top, so that a long name needs no room at the side.
    unit = {"ratio": ", ratio, logarithmic scale", "percent": ", %", "number": ""}[curve.unit]
    ax.text(0, 1.025, name or f"{curve.quantity}{unit}", transform=ax.transAxes, va="bottom")
    ax.set_xlabel(f"{printing.count(curve.count)} analyses, sorted by estimate", labelpad=6)


def draw_mark(ax: Axes, curve: _Curve, mark: int, label: str) -> None:
    """Point one specification out, with its value."""
    at = float(np.flatnonzero(curve.bins.order == mark - 1)[0]) + 0.5
    value, high = float(curve.value[mark - 1]), ax.get_ylim()[1]
    ink = style.INK.light
    ax.plot(
        [at], [value], "o", ms=8, mfc=style.SURFACE.light, mec=ink, mew=1.8, zorder=5,
        clip_on=False, gid="mark",
    )  # fmt: skip
    right = at < curve.count / 2
    beside(
        ax, f"{label}: {curve.printed(value)}", (at, high), (6 if right else -6, -4),
        ha="left" if right else "right", va="top",
    )  # fmt: skip
    ax.plot([at, at], [value, high], color=ink, lw=0.8, zorder=4)


def _ratio_ticks(low: float, high: float) -> list[float]:
    """Choose ticks of a logarithmic axis that stand a line apart."""
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1,)):
        every = [round(m * 10.0**e, 6) for e in range(-4, 6) for m in steps]
        ticks = [t for t in every if low <= t <= high]
        gaps = np.diff(np.log(ticks)) / np.log(high / low) * TOP
        if len(ticks) < 2 or gaps.min() >= 20:
            break
    return ticks


def _dashboard(board: Axes, curve: _Curve, rows: list[_Row], left: float, wide: float) -> None:
    from matplotlib.patches import PathPatch

    bins = curve.bins
    heights = np.cumsum([row.tall for row in rows])
    end = bins.edges[-1]
    board.set_xlim(0, end)
    board.set_ylim(heights[-1] + 4, -10)
    board.axis("off")
    pixel = end / wide
    columns = ((wide + 0.5 * RIGHT - 4) * pixel, (wide + RIGHT - 2) * pixel)

    def write(x: float, y: float, text: str, side: str = "right", **look: Any) -> None:
        board.text(x, y, text, ha=side, size=style.size("small"), **look)

    for x, text in zip(columns, curve.supports or ("analyses", "median"), strict=True):
        write(x, heights[0] - 4, text, color=style.QUIET.light)
    write(columns[1], heights[0] - 24, "Support, %" if curve.supports else "", weight="bold")
    for row, bottom in zip(rows, heights, strict=True):
        base = bottom - 3.0
        heading = row.kind == "head"
        indent = (-left + (0 if heading else 12)) * pixel
        write(indent, base, row.label, "left", weight="bold" if heading else "normal")
        if row.which is None:
            continue
        board.plot([0, end], [base, base], color=style.GRID.light, lw=0.8, zorder=1)
        colour = style.INK.light if row.kind == "claim" else style.QUIET.light
        outline = _steps(bins, bins.share(row.which), base)
        if len(outline):
            board.add_patch(PathPatch(outline, fc=colour, lw=0, zorder=2, gid=f"level-{row.label}"))
        write(columns[0], base, row.first)
        write(columns[1], base, row.second)


def _steps(bins: _Bins, share: Array, base: float) -> Any:
    """Outline of a bar for each stretch of bins with a share."""
    from matplotlib.path import Path

    walls = [base, *(base - FULL * ROW * np.round(share, 2)), base]
    corners, codes = [], []
    for edge, (before, after) in zip(bins.edges, pairwise(walls), strict=True):
        if before != after:
            corners += [(edge, before), (edge, after)]
            codes += [Path.MOVETO if before == base else Path.LINETO, Path.LINETO]
    return Path(np.reshape(corners, (-1, 2)), codes)


def _plain_note(result: MultiverseResult, curve: _Curve) -> Note:
    number = printing.counted(curve.count, "analysis", "analyses")
    low, middle, high = curve.quartiles()
    span = f"{curve.quantity} ranges from {low} to {high}, median {middle}"
    moved = result.influence_of_choices(None if curve.null is None else "difference")
    most = ""
    if moved["share"].iloc[0] > 0:
        most = f" The estimates depend most on the {printing.readable(str(moved.index[0]))}."
    lost = len(curve.value) - curve.count
    lack = f" {printing.counted(lost, 'analysis', 'analyses')} without a result." if lost else ""
    lines = []
    for d, (name, labels) in enumerate(curve.choices.items()):
        for i, label in enumerate(labels):
            mine = curve.value[curve.ok & (curve.levels[:, d] == i)]
            middle_one = float(np.median(mine)) if len(mine) else np.nan
            lines.append(
                {"choice": name, "level": label, "analyses": len(mine), "median": middle_one}
            )
    return Note(
        "Specification curve",
        f"Specification curve of {number}. {span}.{most}{printing.capital(lack)}",
        f"{span}, in {number}.{most}{lack}",
        _table(lines, curve),
    )


def _claim_note(result: ClaimMultiverse, curve: _Curve) -> Note:
    claim = result.claim
    low, middle, high = curve.quartiles()
    moved = result.influence()
    first = str(moved.index[0])
    sentence = f"{claim.statement}: this {result.sentence}."
    alt = (
        f"Specification curve of {printing.count(len(result))} analyses. {claim.quantity} ranges "
        f"from {low} to {high}, median {middle}; the claim requires more than "
        f"{result.printed(claim.null)}. {sentence}"
    )
    caption = sentence
    if moved["share"].iloc[0] > 0:
        caption += f" The choice that moves the estimate most is the {first}."
        alt += f" The estimates depend most on the {first}."
    ratio = "" if claim.unit == "percent" else ", ratio"
    return Note("Specification curve", alt, caption, _table(result.by_choice(), curve, ratio))


def _table(lines: Any, curve: _Curve, tail: str = "") -> Table:
    unit = "percent" if curve.unit == "percent" else "number"
    return numbers(
        lines,
        "What each choice does: the numbers behind the figure",
        {
            "choice": "", "level": "", "analyses": "count",
            "supporting": ("Estimate supports", "percent"),
            "certain": ("Interval supports", "percent"), "median": (f"Median estimate{tail}", unit),
        },
        groups="choice",
    )  # fmt: skip
