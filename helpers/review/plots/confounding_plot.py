"""Cohorts cross-tabulated: which products were followed how long, and in which setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ... import printing
from ...arguments import one_of
from ...errors import UnsupportedError
from ...views.plots import style
from ...views.plots.frame import axes_of, figure_of, grid_below, room_of_axes
from ...views.plots.lettering import fit_names, fit_text
from ...views.plots.note import Note, numbers
from ..moderators import cross_tabulation
from ..subject import SUBJECT, annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


CELL = 92.0  # height of a row in CSS pixels
LABEL = 112.0  # width of the row labels
TOP = 62.0
LINE = 24.0  # height of a combination in the narrow form
WORDS = 48.0  # of a cell, for the two lines under the square


@style.themed
def confounding(
    cohorts: pd.DataFrame,
    rows: str = "product",
    columns: Sequence[str] = ("setting", "follow_up"),
    *,
    area: Literal["patients", "cohorts"] = "patients",
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw how the cohorts spread over the combinations of two or three characteristics.

    Parameters
    ----------
    cohorts : DataFrame
        With patients, nonrelapse_deaths and the columns named, such as
        ``helpers.review.published.models.regression_cohorts`` gives.
    rows : str
        Characteristic down the side.
    columns : sequence of str
        One or two characteristics across; the first is the outer one. Combinations across that no
        row has are left out.
    area : {"patients", "cohorts"}
        What the area of a square counts.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Squares with the number of cohorts and of patients under them; an empty combination
        carries the word "none". With a note that ``show`` picks up.

    Raises
    ------
    UnsupportedError
        For another area or number of characteristics.
    MetaAnalysisError
        When a column is missing or there is no cohort.

    Examples
    --------
    >>> from helpers.views.plots import show
    >>> from helpers.review.published.models import regression_cohorts
    >>> show(confounding(regression_cohorts("MM: all factors")), "mm")  # doctest: +ELLIPSIS
    Grid of product by setting and follow-up: 12 cohorts with 1,054 patients. ...
    """
    from matplotlib.patches import Rectangle

    one_of("area", area, ("patients", "cohorts"))
    if len(columns) not in (1, 2):
        raise UnsupportedError(f"{len(columns)} characteristics across; expected 1 or 2")
    table = cross_tabulation(cohorts, rows, columns)
    levels = SUBJECT.in_order(table[rows].cat.categories)
    table[rows] = table[rows].cat.reorder_categories(levels)
    table = table.sort_values([rows, *columns], ignore_index=True)
    across = _across(table, columns)
    keys = table[[rows, *columns]].astype(str).itertuples(index=False, name=None)
    cells = dict(zip(keys, table.to_dict("records"), strict=True))
    if width < style.NARROW and ax is None:
        ax = _list(levels, across, cells, area, width)
        annotate(ax, _note(table, rows, columns, levels, across, cells))
        return ax
    ax = axes_of(ax, width, TOP + CELL * len(levels) + 8, left=LABEL, right=6, bottom=8, top=TOP)
    ax.set_xlim(0, len(across))
    ax.set_ylim(len(levels), 0)
    _, _, wide, high = room_of_axes(ax)
    wide, high = wide / len(across), high / len(levels)
    most, side = float(table[area].max()), min(wide - 14, high - WORDS)
    colours = SUBJECT.colours(levels)
    small: dict[str, Any] = {"ha": "center", "size": style.size("small")}
    for i, level in enumerate(levels):
        for j, key in enumerate(across):
            cell, x = cells[level, *key], j + 0.5
            if not cell["cohorts"]:
                ax.text(x, i + 0.5, "none", va="center", color=style.QUIET.light, **small)
                continue
            edge = max(float(np.sqrt(cell[area] / most)) * side, 3.0)
            corner = (x - edge / wide / 2, i + (4 + side / 2) / high - edge / high / 2)
            square = Rectangle(
                corner, edge / wide, edge / high, facecolor=colours[level].light, lw=0, zorder=3,
                gid=f"cell-{i}-{j}",
            )  # fmt: skip
            ax.add_patch(square)
            text = (
                f"{printing.count(cell['cohorts'])} "
                f"{'cohort' if cell['cohorts'] == 1 else 'cohorts'}\n"
                f"{printing.count(cell['patients'])} patients"
            )
            ax.text(x, i + 1 - 3 / high, text, va="bottom", linespacing=1.05, **small)
    _frame(ax, levels, across, wide)
    annotate(ax, _note(table, rows, columns, levels, across, cells))
    return ax


def _list(
    levels: list[str],
    across: list[tuple[str, ...]],
    cells: Mapping[tuple[str, ...], Any],
    area: str,
    width: float,
) -> Axes:
    """Draw the same for a phone: the combinations of each level below its name, one a line."""
    lines = len(levels) * (len(across) + 1)
    ax = axes_of(None, width, LINE * lines + 8, left=0, right=0, bottom=4, top=4)
    ax.set_xlim(0, width)
    ax.set_ylim(LINE * lines, 0)
    ax.axis("off")
    most = max(float(cell[area]) for cell in cells.values())
    colours = SUBJECT.colours(levels)
    look: dict[str, Any] = {"va": "center", "size": style.size("text")}
    y = LINE / 2
    for i, level in enumerate(levels):
        name = fit_text(figure_of(ax), level, width - 8, bold=True)
        ax.text(4, y, name, weight="bold", **look)
        for j, key in enumerate(across):
            y += LINE
            cell = cells[level, *key]
            ax.text(30, y, fit_text(figure_of(ax), ", ".join(key), width - 140), **look)
            if not cell["cohorts"]:
                ax.text(width - 4, y, "none", ha="right", color=style.QUIET.light, **look)
                continue
            edge = max(float(np.sqrt(cell[area] / most)) * (LINE - 6), 3.0)
            ax.scatter(
                [15], [y], s=edge**2, marker="s", c=colours[level].light, linewidths=0,
                gid=f"cell-{i}-{j}",
            )  # fmt: skip
            cohorts = f"{cell['cohorts']} cohort{'' if cell['cohorts'] == 1 else 's'}"
            words = f"{printing.count(cell['patients'])} in {cohorts}"
            ax.text(width - 4, y, words, ha="right", **look)
        y += LINE
    return ax


def _word(column: str) -> str:
    return printing.readable(column)


def _across(table: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, ...]]:
    totals = table.groupby(list(columns), observed=False)["cohorts"].sum()
    keys = [key if isinstance(key, tuple) else (key,) for key in totals.index]
    return [
        tuple(map(str, key)) for key, number in zip(keys, totals, strict=True) if int(number) > 0
    ]


def _note(
    table: pd.DataFrame,
    rows: str,
    columns: Sequence[str],
    levels: list[str],
    across: list[tuple[str, ...]],
    cells: Mapping[tuple[str, ...], Any],
) -> Note:
    by = printing.listing(map(_word, columns))
    alt = [
        f"Grid of {_word(rows)} by {by}: {printing.counted(int(table['cohorts'].sum()), 'cohort')} "
        f"with {printing.count(int(table['patients'].sum()))} patients."
    ]
    for level in levels:
        each = [(key, cells[level, *key]["cohorts"]) for key in across]
        found = [f"{', '.join(key)}: {printing.counted(n, 'cohort')}" for key, n in each if n]
        alt.append(f"{level}: {'; '.join(found)}.")
    lost = sum(not cells[level, *key]["cohorts"] for level in levels for key in across)
    alt.append(f"{printing.counted(lost, 'combination').capitalize()} without any cohort.")
    caption = f"Every combination of {_word(rows)} with {by} occurs."
    if lost:
        part = f"{printing.capital(printing.word(lost))} of {len(levels) * len(across)}"
        caption = f"{part} combinations of {_word(rows)} with {by} contain no cohort."
    keys = [rows, *columns]
    headings = {key: (_word(key).capitalize(), "") for key in keys}
    others = dict.fromkeys((c for c in table.columns if c not in keys), "")
    return Note(
        f"{_word(rows).capitalize()} by {by}",
        " ".join(alt),
        caption,
        numbers(
            table.astype(dict.fromkeys(keys, str)),
            f"Cohorts by {printing.listing(map(_word, keys))}: the numbers behind the figure",
            headings | others,
        ),
    )


def _frame(ax: Axes, levels: list[str], across: list[tuple[str, ...]], wide: float) -> None:
    """Write the levels around the grid, and rules between rows and outer groups."""
    grid_below(ax, hide=("left", "right", "top", "bottom"))
    ax.set_yticks([i + 0.5 for i in range(len(levels))], labels=fit_names(ax, levels))
    ax.xaxis.tick_top()
    inner = [_wrapped(key[-1], wide) for key in across]
    ax.set_xticks([j + 0.5 for j in range(len(across))], labels=inner)
    ax.tick_params(pad=4)
    for i in range(len(levels) + 1):
        ax.axhline(i, color=style.GRID.light, lw=0.8, zorder=1, clip_on=False)
    if len(across[0]) == 1:
        return
    outer = [key[0] for key in across]
    for name in dict.fromkeys(outer):
        places = [j for j, found in enumerate(outer) if found == name]
        ax.annotate(
            name, ((places[0] + places[-1] + 1) / 2, 0), xytext=(0, 38),
            textcoords="offset points", ha="center", va="bottom", weight="bold",
            annotation_clip=False, size=style.size("text"),
        )  # fmt: skip
        if places[0]:
            ax.axvline(places[0], color=style.QUIET.light, lw=0.8, zorder=1)


def _wrapped(text: str, wide: float) -> str:
    from textwrap import fill

    return fill(text, max(8, int(wide / 6.6)), break_long_words=False)
