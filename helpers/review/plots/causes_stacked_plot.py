"""Causes of death as stacked bars: all of 100%, or infection and the rest from one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing, ties
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of, grid_below, name_axes, room_of_axes
from ...views.plots.lettering import fit_names
from ...views.plots.note import Note, numbers
from .. import palette
from ..subject import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...views.tables import Table
    from ..causes import CauseTable

__all__ = ["causes_stacked"]

ROW = 36.0  # pixels


@style.themed
def causes_stacked(
    table: CauseTable,
    *,
    ax: Axes | None = None,
    diverging: bool = False,
    noun: str = "deaths",
    width: float = 720.0,
) -> Axes:
    """Draw one bar per group, divided by cause.

    Parameters
    ----------
    table : CauseTable
        Shares are of the deaths in its columns.
    diverging : bool
        Whether the first cause runs to the left of a common line and the others to the right, so
        that both parts of every bar start at one place and can be compared. Otherwise bars run
        from 0 to 100%.
    noun : str
        What is counted.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Groups from top to bottom, causes in the order of the table and of the key, percent across.
        With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        When a group has no deaths or a cause has no colour.

    Examples
    --------
    >>> from helpers.review.causes import cause_table
    >>> from helpers.views.plots import show
    >>> show(causes_stacked(cause_table("setting")), "bars")  # doctest: +ELLIPSIS
    Stacked bars of causes by setting. trial (127 deaths): infection 59...%...
    """
    lost = [cause for cause in table.causes if cause not in palette.CAUSE]
    if lost:
        raise MetaAnalysisError(f"causes_stacked() has no colour for {printing.listing(lost)}")
    totals = table.counts.sum(axis=1)
    if not totals.all():
        raise MetaAnalysisError("causes_stacked() needs deaths in every group")
    shares = 100 * table.counts / totals[:, None]
    groups, causes = shares.shape
    lines = -(-causes // 3)
    top = 8 + 19 * lines
    longest = max(len(name) for name in (*table.groups, f"{totals.max()} {noun}"))
    room = min(20 + 6.6 * longest, 0.4 * width)
    ax = axes_of(ax, width, ROW * groups + 44 + top, left=room, right=16, bottom=44, top=top)
    left = np.cumsum(shares, axis=1) - shares
    if diverging:
        left = left - shares[:, :1]
    for j, cause in enumerate(table.causes):
        bars = ax.barh(
            np.arange(groups), shares[:, j], left=left[:, j], height=0.66, linewidth=1.2,
            color=palette.CAUSE[cause].light, edgecolor=style.SURFACE.light,
            label=printing.capital(cause),
        )  # fmt: skip
        for bar in bars:
            bar.set_gid(f"cause-{j}")
    _frame(ax, table, noun, shares if diverging else None)
    _values(ax, shares, left)
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, handlelength=1.0, handleheight=1.0,
        handletextpad=0.5, columnspacing=1.6, labelspacing=0.35, borderaxespad=0,
    )  # fmt: skip
    alt, caption = _alt(table, shares, noun), _caption(table, shares, noun, diverging=diverging)
    annotate(ax, Note("Causes of death by group", alt, caption, _table(table, noun)))
    return ax


def _frame(ax: Axes, table: CauseTable, noun: str, split: np.ndarray | None) -> None:
    totals = table.counts.sum(axis=1)
    ax.set_ylim(len(totals) - 0.5, -0.5)
    labels = [
        f"{group}\n{printing.count(int(total))} {noun}"
        for group, total in zip(table.groups, totals, strict=True)
    ]
    ax.set_yticks(np.arange(len(totals)), fit_names(ax, labels))
    grid_below(ax, "x", hide=("left",))
    if split is None:
        ax.set_xlim(0, 100)
        name_axes(ax, f"Share of {noun}, %")
        return
    left = 10 * np.ceil(split[:, 0].max() / 10)
    right = 10 * np.ceil((100 - split[:, 0]).max() / 10)
    ax.set_xlim(-left, right)
    ticks = np.arange(-left - left % 20 + 20 * (left % 20 > 0), right + 1, 20)
    ax.set_xticks(ticks, [f"{abs(tick):g}" for tick in ticks])
    ax.axvline(0, color=style.INK.light, lw=1.2, zorder=5)
    gap = 4 * printing.HARD  # plain blanks would collapse on the page
    words = (f"← {table.causes[0]}", f"Share of {noun}, %", "other causes →")
    name_axes(ax, gap.join(words))


def _values(ax: Axes, shares: np.ndarray, left: np.ndarray) -> None:
    """Print the percentage where it fits into its part of the bar."""
    per_percent = room_of_axes(ax)[2] / float(np.ptp(ax.get_xlim()))
    for i, j in np.ndindex(shares.shape):
        share = float(shares[i, j])
        text = printing.number(share, 0)
        if share * per_percent >= 7 * len(text) + 6:
            ax.text(
                float(left[i, j]) + share / 2, i, text, ha="center", va="center",
                size=style.size("small"), color=style.SURFACE.light,
            )  # fmt: skip


def _alt(table: CauseTable, shares: np.ndarray, noun: str) -> str:
    parts = []
    for group, total, row in zip(table.groups, table.counts.sum(axis=1), shares, strict=True):
        named = [
            f"{cause} {printing.percent(share / 100, 0)}"
            for cause, share in zip(table.causes, row, strict=True)
        ]
        parts.append(f"{group} ({printing.count(int(total))} {noun}): {printing.listing(named)}.")
    return f"Stacked bars of causes by {table.grouping}. {' '.join(parts)}"


def _caption(table: CauseTable, shares: np.ndarray, noun: str, *, diverging: bool) -> str:
    first, name = shares[:, 0], table.causes[0]
    said = [printing.percent(share / 100, 0) for share in first]
    found = said[0]
    if len(said) > 1:
        low, high = ties.smallest(first), ties.largest(first)
        found = f"{said[low]} ({table.groups[low]}) to {said[high]} ({table.groups[high]})"
    text = f"{printing.capital(name)} accounts for {found} of the {noun}."
    if len(said) > 1 and all(ties.largest(row) == 0 for row in shares):
        text += " It is the largest class in every group."
    text += " Parts stand in the order of the key, read down its columns."
    if diverging:
        text += f" To the left of the line: {name}; to the right: all other classes."
    return text


def _table(table: CauseTable, noun: str) -> Table:
    frame = table.frame().T.rename_axis("cause").reset_index()
    columns: dict[str, Any] = {"cause": ""}
    for group, total in zip(table.groups, table.counts.sum(axis=1), strict=True):
        columns[group] = (f"{group} ({printing.count(int(total))})", "")
        frame[group] = [
            f"{printing.count(int(value))} ({printing.number(100 * value / total, 1)})"
            for value in frame[group]
        ]
    caption = f"Causes by {table.grouping}: {noun} and percent of the group's"
    return numbers(frame, caption, columns)
