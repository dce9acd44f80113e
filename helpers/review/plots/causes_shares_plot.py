"""Shares of causes as dots, with an interval for each and one for all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ... import printing, ties
from ...arguments import LEVEL
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of, grid_below, name_axes, room_of_axes
from ...views.plots.lettering import name_above
from ...views.plots.note import Note, numbers
from ..causes.table import UNKNOWN
from ..subject import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...views.tables import Table
    from ..causes import CauseTable

ROW, NARROW_ROW = 25.0, 42.0  # pixels


@style.themed
def causes_shares(
    table: CauseTable,
    group: str | None = None,
    *,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw the share of each cause in one group.

    Parameters
    ----------
    table : CauseTable
    group : str, optional
        Row of the table; the only one by default.
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
    shares = table.select([group]).shares()
    k = len(shares)
    narrow = width < style.NARROW
    height = (NARROW_ROW if narrow else ROW) * k + 78
    left = 14 + 6.6 * max(len(cause) for cause in table.causes)
    left, right = (8.0, 14.0) if narrow else (min(left, 0.45 * width), 128.0)
    ax = axes_of(ax, width, height, left=left, right=right, bottom=44, top=30)
    y = list(range(k))
    ink, accent = style.INK.light, style.ACCENT.light
    ax.hlines(y, 100 * shares["lower"], 100 * shares["upper"], color=ink, lw=1.1, gid="goodman")
    lower, upper = 100 * shares["wilson_lower"], 100 * shares["wilson_upper"]
    ax.hlines(y, lower, upper, color=ink, lw=3.6, gid="wilson")
    colours = [accent if cause == "infection" else ink for cause in shares["cause"]]
    ax.scatter(
        100 * shares["share"], y, s=52, color=colours,
        edgecolors=style.SURFACE.light, linewidths=0.9, zorder=4, gid="shares",
    )  # fmt: skip
    ax.set_ylim(k - 0.4, -0.6)
    ax.set_xlim(0, 100 * max(0.1, float(shares["upper"].max())) * 1.03)
    names = [str(cause) for cause in shares["cause"]]
    if narrow:
        ax.set_ylim(k - 0.5, -0.9)
        name_above(ax, y, names, _values(shares), lift=0.45)
    else:
        ax.set_yticks(y, names)
        _columns(ax, shares)
    grid_below(ax, "x", hide=("left",))
    counted = f"{printing.count(int(shares['n'].iloc[0]))} nonrelapse deaths"
    name_axes(ax, f"Share of {counted}, %")
    alt, caption = _alt(shares, counted), _caption(shares)
    annotate(ax, Note("Shares of causes", alt, caption, _table(shares)))
    return ax


def _values(shares: pd.DataFrame) -> list[str]:
    """Print share and deaths of each cause on one line."""
    return [
        f"{printing.percent(row['share'])} "
        f"({printing.count(row['deaths'])}{' ±1' if row['within_one'] else ''})"
        for row in shares.to_dict("records")
    ]


def _columns(ax: Axes, shares: pd.DataFrame) -> None:
    """Print deaths and share beside the dots."""
    first, second = (1 + at / room_of_axes(ax)[2] for at in (56, 116))

    def write(x: float, y: float, text: str, colour: style.Colour = style.INK) -> None:
        ax.text(
            x, y, text, transform=ax.get_yaxis_transform(), ha="right", va="center",
            size=style.size("small"), color=colour.light, clip_on=False,
        )  # fmt: skip

    write(first, -0.85, "Deaths", style.QUIET)
    write(second, -0.85, "Share", style.QUIET)
    for i, row in enumerate(shares.to_dict("records")):
        write(first, i, printing.count(row["deaths"]) + (" ±1" if row["within_one"] else ""))
        write(second, i, printing.percent(row["share"]))


def _alt(shares: pd.DataFrame, counted: str) -> str:
    largest = shares.iloc[ties.largest(shares["share"])]
    pairs = zip(shares["cause"], shares["share"], strict=True)
    parts = printing.listing(f"{cause} {printing.percent(share)}" for cause, share in pairs)
    bounds = printing.interval((largest["lower"], largest["upper"]), LEVEL, name="simultaneous CI")
    many = {11: "eleven", 12: "twelve"}.get(len(shares), printing.word(len(shares)))
    return (
        f"Shares of {many} causes among {counted}, as dots with intervals: {parts}. The largest, "
        f"{largest['cause']}, has a {bounds}."
    )


def _caption(shares: pd.DataFrame) -> str:
    order = shares.iloc[ties.order(shares["share"], descending=True)]
    first, others = order.iloc[0], order.iloc[1:]
    lead = printing.capital(str(first["cause"]))
    text = f"{lead} accounts for {printing.percent(first['share'])} of the nonrelapse deaths"
    known = others[~others["cause"].isin(UNKNOWN)]
    if len(known):
        second = known.iloc[0]
        text += f"; the next cause, {second['cause']}, for {printing.percent(second['share'])}"
        if first["lower"] > others["upper"].max():
            text += f", and the interval of {first['cause']} overlaps no other"
    text += (
        f". Thick lines: {printing.percent(LEVEL, 0)} Wilson intervals of one share; thin lines: "
        f"{printing.percent(LEVEL, 0)} simultaneous intervals for all classes (Goodman)."
    )
    if shares["within_one"].any():
        text += " ±1: the count is read off a bar chart and may be one lower or higher."
    return text


def _table(shares: pd.DataFrame) -> Table:
    def between(low: str, high: str) -> list[str]:
        pairs = (100 * shares[[low, high]]).itertuples(index=False)
        return [printing.between(*pair) for pair in pairs]

    percent = printing.percent(LEVEL, 0)
    return numbers(
        shares.assign(
            simultaneous=between("lower", "upper"),
            single=between("wilson_lower", "wilson_upper"),
            known=["within 1" if doubt else "exact" for doubt in shares["within_one"]],
        ),
        "Shares of causes: the numbers behind the figure",
        {
            "cause": "", "deaths": "count", "share": ("Share", "percent"),
            "simultaneous": (f"{percent} CI for all at once (Goodman)", ""),
            "single": (f"{percent} CI for one (Wilson)", ""), "known": ("Count", ""),
        },
    )  # fmt: skip
