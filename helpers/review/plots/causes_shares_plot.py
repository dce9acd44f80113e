"""Shares of causes as dots, with an interval for each and one for all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import printing, ties
from ...arguments import LEVEL
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of
from ...views.plots.note import Note
from .. import palette
from ..causes.table import UNKNOWN
from ..subject import annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ...views.tables import Table
    from ..causes import CauseTable

__all__ = ["causes_shares"]

ROW = 25.0  # pixels


@style.themed
def causes_shares(
    table: CauseTable,
    group: str | None = None,
    *,
    ax: Axes | None = None,
    level: float = LEVEL,
    noun: str = "nonrelapse deaths",
    width: float = 720.0,
) -> Axes:
    """Draw the share of each cause in one group.

    Parameters
    ----------
    table : CauseTable
    group : str, optional
        Row of the table; the only one by default.
    level : float
        Of the intervals.
    noun : str
        What is counted.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Causes from top to bottom in the order of the table, share in percent across. The thick
        line is the Wilson interval of the one share, the thin one Goodman's for all shares at
        once. With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        When the table has several groups and none is named.

    Examples
    --------
    >>> from helpers.review.causes import cause_table
    >>> from helpers.views.plots import show
    >>> show(causes_shares(cause_table("all, eleven causes")), "shares")  # doctest: +ELLIPSIS
    Shares of eleven causes among 574 nonrelapse deaths, ...
    """
    if group is None:
        if len(table.groups) != 1:
            raise MetaAnalysisError("causes_shares() needs group= for a table of several groups")
        group = table.groups[0]
    shares = table.select([group]).shares(level=level)
    k = len(shares)
    height = ROW * k + 78
    left = 14 + 6.3 * max(len(cause) for cause in table.causes)
    ax = axes_of(ax, width, height, left=min(left, 0.45 * width), right=128, bottom=44, top=30)
    y = list(range(k))
    ink = style.INK.light
    ax.hlines(y, 100 * shares["lower"], 100 * shares["upper"], color=ink, lw=1.1, gid="goodman")
    ax.hlines(
        y,
        100 * shares["wilson_lower"],
        100 * shares["wilson_upper"],
        color=ink,
        lw=3.6,
        gid="wilson",
    )
    ax.scatter(
        100 * shares["share"],
        y,
        s=52,
        color=palette.CAUSE["infection"].light,
        edgecolors=style.SURFACE.light,
        linewidths=0.9,
        zorder=4,
        gid="shares",
    )
    ax.set_ylim(k - 0.4, -0.6)
    ax.set_xlim(0, 100 * max(0.1, float(shares["upper"].max())) * 1.03)
    ax.set_yticks(y, [str(cause) for cause in shares["cause"]])
    ax.tick_params(length=0)
    ax.tick_params(axis="y", labelcolor=ink)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", zorder=0)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"Share of {printing.count(int(shares['n'].iloc[0]))} {noun}, %", labelpad=5)
    _columns(ax, shares)
    annotate(
        ax,
        Note(
            title="Shares of causes",
            alt=_alt(shares, noun, level),
            caption=_caption(shares, noun, level),
            table=_table(shares, level),
        ),
    )
    return ax


def _columns(ax: Axes, shares: pd.DataFrame) -> None:
    """Print deaths and share beside the dots."""
    place = ax.get_yaxis_transform()
    small = style.size("small")
    pixels = ax.get_window_extent().width * 72 / ax.figure.dpi
    first, second = 1 + 56 / pixels, 1 + 116 / pixels
    for x, text in ((first, "Deaths"), (second, "Share")):
        _right(ax, x, -0.85, text, place, small, style.QUIET.light)
    for i, row in enumerate(shares.to_dict("records")):
        deaths = printing.count(row["deaths"]) + (" ±1" if row["within_one"] else "")
        _right(ax, first, i, deaths, place, small, style.INK.light)
        _right(ax, second, i, printing.percent(row["share"]), place, small, style.INK.light)


def _right(ax: Axes, x: float, y: float, text: str, place: Any, pt: float, colour: str) -> None:
    ax.text(
        x,
        y,
        text,
        transform=place,
        ha="right",
        va="center",
        size=pt,
        color=colour,
        clip_on=False,
    )


def _alt(shares: pd.DataFrame, noun: str, level: float) -> str:
    largest = shares.iloc[ties.largest(shares["share"])]
    parts = printing.listing(
        f"{cause} {printing.percent(share)}"
        for cause, share in zip(shares["cause"], shares["share"], strict=True)
    )
    bounds = printing.interval((largest["lower"], largest["upper"]), level, name="simultaneous CI")
    return (
        f"Shares of {_word(len(shares))} causes among {printing.count(int(shares['n'].iloc[0]))} "
        f"{noun}, as dots with intervals: {parts}. The largest, {largest['cause']}, has a {bounds}."
    )


def _word(k: int) -> str:
    return {11: "eleven", 12: "twelve"}.get(k, printing.word(k))


def _caption(shares: pd.DataFrame, noun: str, level: float) -> str:
    order = shares.iloc[ties.order(shares["share"], descending=True)]
    first = order.iloc[0]
    lead = f"{str(first['cause'])[:1].upper()}{str(first['cause'])[1:]}"
    text = f"{lead} accounts for {printing.percent(first['share'])} of the {noun}"
    others = order.iloc[1:]
    known = others[~others["cause"].isin(UNKNOWN)]
    if len(known):
        second = known.iloc[0]
        text += f"; the next cause, {second['cause']}, for {printing.percent(second['share'])}"
        if first["lower"] > others["upper"].max():
            text += ", and no interval of another class reaches its own"
    text += (
        f". Thick lines: {printing.percent(level, 0)} Wilson intervals of one share; thin lines: "
        f"{printing.percent(level, 0)} intervals that hold for all classes at once (Goodman)."
    )
    if shares["within_one"].any():
        text += " ±1: the count is read off a bar chart and may be one lower or higher."
    return text


def _table(shares: pd.DataFrame, level: float) -> Table:
    from ...views.tables import table

    shown = shares[["cause", "deaths", "share"]].assign(
        simultaneous=[
            printing.between(100 * low, 100 * high)
            for low, high in zip(shares["lower"], shares["upper"], strict=True)
        ],
        single=[
            printing.between(100 * low, 100 * high)
            for low, high in zip(shares["wilson_lower"], shares["wilson_upper"], strict=True)
        ],
        known=["within 1" if doubt else "exact" for doubt in shares["within_one"]],
    )
    percent = printing.percent(level, 0)
    return table(
        shown,
        caption="Shares of causes: the numbers behind the figure",
        formats={"deaths": "count", "share": "percent"},
        labels={
            "share": f"Share,{printing.HARD}%",
            "simultaneous": f"{percent} CI for all at once (Goodman)",
            "single": f"{percent} CI for one (Wilson)",
            "known": "Count",
        },
    )
