"""Causes by group as dots with intervals, one row a group: shares of deaths, or of the treated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ... import printing, ties
from ...arguments import LEVEL
from ...door import pd
from ...errors import MetaAnalysisError
from ...views.plots import estimates, style
from ...views.plots.note import Note, note_of, numbers
from .. import palette
from ..causes.shares import infection_share
from ..subject import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..causes.absolute import CauseRate
    from ..causes.table import CauseTable

ORDER = (*palette.ENTITY, *palette.PRODUCT)


def _sorted(groups: Iterable[str]) -> list[str]:
    """Put diseases and products into the order of the book; other groups stay as they are."""
    given = list(groups)
    return sorted(given, key=ORDER.index) if set(given) <= set(ORDER) else given


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
        As in :func:`helpers.plots.estimates`: below 480 pixels labels stand above the marks.

    Returns
    -------
    Axes
        One row a group, percent across. With a note that ``show`` picks up; its table holds all
        causes.

    Raises
    ------
    MetaAnalysisError
        Without a table, or for a group without deaths.

    Examples
    --------
    >>> from helpers.review.causes import cause_table
    >>> from helpers.views.plots import show
    >>> made = causes_dots({"Setting": cause_table("setting")})
    >>> print(show(made, "dots").caption.split(" of the")[0])
    Infection accounts for 59% (trial) to 64% (real-world)
    """
    lines, counts = [], []
    for head, table in tables.items():
        for group in _sorted(table.groups):
            share = infection_share(table, group, unknown="random")
            lower, upper = share.ci
            label = f"{group} ({printing.count(share.n)})"
            lines.append(
                {"group": head, "label": label, "name": group, "estimate": share.estimate,
                 "lower": lower, "upper": upper}
            )  # fmt: skip
            counts.append(_counts(head, group, table))
    frame = _framed(lines, "causes_dots")
    quantity = "Share of infection among known causes"
    ax = estimates(frame, quantity=quantity, colour=style.ACCENT, ax=ax, width=width)
    largest = all(
        ties.largest(table.counts[row]) == table.causes.index("infection")
        for table in tables.values()
        for row in range(len(table.groups))
    )
    caption = f"Infection accounts for {_range(frame, 'percent')} of the known causes."
    if largest and len(frame) > 1:
        caption += " It is the largest class in every group."
    caption += (
        f" Dots: shares; lines: {printing.level_text(LEVEL)} Wilson intervals, which count deaths "
        f"as independent; in brackets: deaths with a known cause."
    )
    behind = numbers(
        pd.DataFrame(counts),
        "Deaths by cause and group, and percent of the group's known causes",
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
        As in :func:`helpers.plots.estimates`: below 480 pixels labels stand above the marks.

    Returns
    -------
    Axes
        One row a group, deaths per 1,000 treated across. With a note that ``show`` picks up.

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
        for group in _sorted(name for name in found if name != "all"):
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
    caption = f"Of 1,000 treated patients, {_range(each, 'per_1000')} died of {cause}"
    if whole is not None:
        caption += f", and {printing.number(1000 * whole.estimate, 0)} in all cohorts"
    caption += (
        f". Dots: mean nonrelapse mortality times the share of {cause}; lines: "
        f"{printing.level_text(some.level)} intervals; in brackets: patients. Follow-up differs "
        "between the groups."
    )
    drawn = note_of(ax)
    assert drawn is not None
    annotate(ax, Note(quantity, drawn.alt, caption, drawn.table))
    return ax


def _line(head: str, group: str, rate: CauseRate) -> dict[str, Any]:
    label = f"{group} ({printing.count(rate.n)})"
    return {
        "group": head, "label": label, "name": group, "estimate": rate.estimate,
        "lower": rate.ci.lower, "upper": rate.ci.upper,
    }  # fmt: skip


def _framed(lines: list[dict[str, Any]], call: str) -> Any:
    if not lines:
        raise MetaAnalysisError(f"{call}() needs at least one group")
    return pd.DataFrame(lines)


def _range(frame: Any, unit: str) -> str:
    """Print the smallest and the largest value with the names of their groups."""

    def said(row: Any) -> str:
        if unit == "percent":
            return printing.percent(row["estimate"], 0)
        return printing.number(1000 * row["estimate"], 0)

    low, high = (frame.iloc[place(frame["estimate"])] for place in (ties.smallest, ties.largest))
    if len(frame) == 1:
        return said(low)
    return f"{said(low)} ({low['name']}) to {said(high)} ({high['name']})"


def _counts(head: str, group: str, table: CauseTable) -> dict[str, str]:
    """Print the deaths of a group by cause, with percent of those with a known cause."""
    known = table.counts[table.row(group)]
    total = int(known.sum())
    return {"group": f"{group} ({printing.count(total)})"} | {
        cause: f"{printing.count(int(n))} ({printing.number(100 * n / total, 1)})"
        for cause, n in zip(table.causes, known, strict=True)
    }
