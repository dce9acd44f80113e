"""Causes as dots with intervals: shares of deaths or of the treated by group, or every cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from ... import printing, ties
from ...arguments import LEVEL
from ...errors import MetaAnalysisError
from ...views.plots import estimates, style
from ...views.plots.frame import Axes, axes_of, grid_below, name_axes
from ...views.plots.lettering import CLEAR, name_above, write_beside
from ...views.plots.note import Note, note_of, numbers
from ...views.tables import Table
from ..causes.shares import CauseRate, CauseShare, infection_share
from ..causes.table import UNKNOWN, CauseTable
from ..subject import SUBJECT, annotate

_percent = partial(printing.percent, digits=0)


def _per_1000(value: float) -> str:
    return printing.number(1000 * value, 0)


@style.themed
def causes_dots(
    tables: Mapping[str, CauseTable], *, ax: Axes | None = None, width: float = 720.0
) -> Axes:
    """Draw the share of infection in each group, with the Wilson interval.

    Parameters
    ----------
    tables : mapping of heading to CauseTable
        Shares are of the deaths in the columns of each table.
    ax, width
        As in :func:`helpers.plots.estimates`: below 480 pixels labels are above the marks.

    Returns
    -------
    Axes
        One row per group, percent across; the table behind it holds all causes.

    Raises
    ------
    MetaAnalysisError
        Without a table, or for a group without deaths.

    Examples
    --------
    >>> from helpers.review.causes import cause_table
    >>> from helpers.views.plots import show
    >>> made = causes_dots({"Setting": cause_table("setting")})
    >>> print(show(made, "dots").caption.split(" of deaths")[0])
    Infection accounts for 59% (trial) to 64% (real-world)
    """
    lines, counts = [], []
    for head, table in tables.items():
        for group in SUBJECT.in_order(table.groups):
            share = infection_share(table, group, unknown="random")
            lines.append(_line(head, group, share))
            counts.append(_counts(head, group, table))
    frame = _framed(lines, "causes_dots")
    quantity = "Share of infection among deaths with a known cause"
    ax = estimates(frame, quantity=quantity, colour=style.ACCENT, ax=ax, width=width)
    largest = all(
        ties.largest(table.counts[row]) == table.causes.index("infection")
        for table in tables.values()
        for row in range(len(table.groups))
    )
    caption = f"Infection accounts for {_range(frame, _percent)} of deaths with a known cause."
    if largest and len(frame) > 1:
        caption += " It is the largest class in every group."
    caption += (
        f" Dots: shares; lines: {printing.level_text(LEVEL)} Wilson intervals, which count deaths "
        f"as independent; in brackets: deaths with a known cause."
    )
    behind = numbers(
        pd.DataFrame(counts),
        "Deaths by cause and group, and percent of the group's deaths with a known cause",
        {"group": "", **{one: (printing.capital(one), "") for one in counts[0] if one != "group"}},
    )
    drawn = note_of(ax)
    assert drawn is not None
    annotate(ax, Note("Infection by group", drawn.alt, caption, behind))
    return ax


@style.themed
def rate_dots(
    rates: Mapping[str, Mapping[str, CauseRate]], *, ax: Axes | None = None, width: float = 720.0
) -> Axes:
    """Draw deaths of a cause per 1,000 treated in each group.

    Parameters
    ----------
    rates : mapping of heading to what `helpers.review.causes.cause_rates` gives
        All of one cause and level; "all" is drawn once, at the end.
    ax, width
        As in :func:`helpers.plots.estimates`: below 480 pixels labels are above the marks.

    Returns
    -------
    Axes
        One row per group, deaths per 1,000 treated across.

    Raises
    ------
    MetaAnalysisError
        Without a rate.

    Examples
    --------
    >>> from helpers.review.causes import cause_rates
    >>> from helpers.views.plots import show
    >>> made = rate_dots({"Setting": cause_rates(by="setting")})
    >>> print(show(made, "rates").title)
    Deaths from infection per 1,000 treated
    """
    lines: list[dict[str, Any]] = []
    whole: CauseRate | None = None
    for head, found in rates.items():
        whole = found.get("all", whole)
        for group in SUBJECT.in_order(name for name in found if name != "all"):
            lines.append(_line(head, group, found[group]))
    each = _framed(lines, "rate_dots")
    if whole is not None:
        lines.append(_line("All", "All cohorts", whole))
    frame = _framed(lines, "rate_dots")
    some = next(iter(next(iter(rates.values())).values()))
    cause = some.share.cause
    quantity = f"Deaths from {cause} per 1,000 treated"
    ax = estimates(
        frame, quantity=quantity, unit="per_1000", colour=style.ACCENT, ax=ax, width=width
    )
    caption = f"Of 1,000 treated patients, {_range(each, _per_1000)} died of {cause}"
    if whole is not None:
        caption += f", and {_per_1000(whole.estimate)} in all cohorts"
    caption += (
        f". Dots: mean nonrelapse mortality times the share of {cause}; lines: "
        f"{printing.level_text(some.level)} intervals; in brackets: patients. Follow-up differs "
        "between the groups."
    )
    drawn = note_of(ax)
    assert drawn is not None
    annotate(ax, Note(quantity, drawn.alt, caption, drawn.table))
    return ax


def _line(head: str, group: str, found: CauseShare | CauseRate) -> dict[str, Any]:
    return {
        "group": head, "label": f"{group} ({printing.count(found.n)})", "name": group,
        "estimate": found.estimate, "lower": found.ci.lower, "upper": found.ci.upper,
    }  # fmt: skip


def _framed(lines: list[dict[str, Any]], call: str) -> Any:
    if not lines:
        raise MetaAnalysisError(f"{call}() needs at least one group")
    return pd.DataFrame(lines)


def _range(frame: Any, printed: Callable[[float], str]) -> str:
    """Print the smallest and the largest value with the names of their groups."""
    low, high = (frame.iloc[place(frame["estimate"])] for place in (ties.smallest, ties.largest))
    if len(frame) == 1:
        return printed(low["estimate"])
    ends = (f"{printed(one['estimate'])} ({one['name']})" for one in (low, high))
    return " to ".join(ends)


def _counts(head: str, group: str, table: CauseTable) -> dict[str, str]:
    """Print the deaths of a group by cause, with percent of those with a known cause."""
    known = table.counts[table.row(group)]
    total = int(known.sum())
    return {"group": f"{group} ({printing.count(total)})"} | {
        cause: f"{printing.count(int(n))} ({printing.number(100 * n / total, 1)})"
        for cause, n in zip(table.causes, known, strict=True)
    }


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
        Causes from top to bottom in the order of the table, share in percent across. The thick line
        is the Wilson interval of the one share, the thin one Goodman's for all shares at once.

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
        ax.tick_params(axis="y", pad=CLEAR)
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
    for pixels, head in ((56, "Deaths"), (116, "Share")):
        write_beside(ax, head, (1, pixels), -0.85, ha="right", color=style.QUIET.light)
    for i, row in enumerate(shares.to_dict("records")):
        deaths = printing.count(row["deaths"]) + (" ±1" if row["within_one"] else "")
        write_beside(ax, deaths, (1, 56), i, ha="right")
        write_beside(ax, printing.percent(row["share"]), (1, 116), i, ha="right")


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
