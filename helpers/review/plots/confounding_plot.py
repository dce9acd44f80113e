"""Cohorts cross-tabulated: which products were followed how long, and in which setting."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from ... import printing
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import Axes, axes_of, figure_of, grid_below, room_of_axes
from ...views.plots.lettering import fit_names, fit_text
from ...views.plots.note import Note, numbers
from ...views.tables.frames import require
from ..subject import SUBJECT, annotate

#: Characteristic down the side, and those across, the outer one first.
DOWN, ACROSS = "product", ["setting", "follow_up"]
CELL = 92.0  # height of a row in CSS pixels
LABEL = 112.0  # width of the row labels
TOP = 62.0
LINE = 24.0  # height of a combination in the narrow form
WORDS = 48.0  # of a cell, for the two lines under the square
MISSING = "not reported"
Cells = Mapping[tuple[str, ...], Any]


@style.themed
def confounding(cohorts: pd.DataFrame, *, ax: Axes | None = None, width: float = 720.0) -> Axes:
    """Draw how the cohorts spread over the combinations of product, setting and follow-up.

    Parameters
    ----------
    cohorts : DataFrame
        With product, setting, follow_up, patients and nonrelapse_deaths, as
        ``helpers.review.published.models.regression_cohorts`` gives.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Products down the side; setting and follow-up across, without combinations that no product
        has. Squares, their area the patients, with the number of cohorts and of patients under
        them; an empty combination carries the word "none".

    Raises
    ------
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

    table = _combinations(cohorts)
    levels = list(table[DOWN].cat.categories)
    occurs = table.groupby(ACROSS, observed=False)["cohorts"].sum()
    across: list[tuple[str, ...]] = [key for key, n in zip(occurs.index, occurs, strict=True) if n]
    keys = table[[DOWN, *ACROSS]].astype(str).itertuples(index=False, name=None)
    records: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    cells = dict(zip(keys, records, strict=True))
    most = float(table["patients"].max())
    if width < style.NARROW and ax is None:
        ax = _list(levels, across, cells, most, width)
        annotate(ax, _note(table, levels, across, cells))
        return ax
    ax = axes_of(ax, width, TOP + CELL * len(levels) + 8, left=LABEL, right=6, bottom=8, top=TOP)
    ax.set_xlim(0, len(across))
    ax.set_ylim(len(levels), 0)
    _, _, wide, high = room_of_axes(ax)
    wide, high = wide / len(across), high / len(levels)
    side = min(wide - 14, high - WORDS)
    colours = SUBJECT.colours(levels)
    small: dict[str, Any] = {"ha": "center", "size": style.size("small")}
    for i, level in enumerate(levels):
        for j, key in enumerate(across):
            cell, x = cells[level, *key], j + 0.5
            if not cell["cohorts"]:
                ax.text(x, i + 0.5, "none", va="center", color=style.QUIET.light, **small)
                continue
            edge = max(float(np.sqrt(cell["patients"] / most)) * side, 3.0)
            corner = (x - edge / wide / 2, i + (4 + side / 2) / high - edge / high / 2)
            square = Rectangle(
                corner, edge / wide, edge / high, facecolor=colours[level].light, lw=0, zorder=3,
                gid=f"cell-{i}-{j}",
            )  # fmt: skip
            ax.add_patch(square)
            text = f"{_cohorts(cell)}\n{printing.count(cell['patients'])} patients"
            ax.text(x, i + 1 - 3 / high, text, va="bottom", linespacing=1.05, **small)
    _frame(ax, levels, across, wide)
    annotate(ax, _note(table, levels, across, cells))
    return ax


def _cohorts(cell: Mapping[str, Any]) -> str:
    return f"{cell['cohorts']} cohort{'' if cell['cohorts'] == 1 else 's'}"


def _combinations(cohorts: pd.DataFrame) -> pd.DataFrame:
    """Count cohorts, patients and deaths in every combination, empty ones included."""
    keys = [DOWN, *ACROSS]
    require(cohorts, [*keys, "patients", "nonrelapse_deaths"])
    if cohorts.empty:
        raise MetaAnalysisError("confounding() needs at least one cohort")
    made: dict[str, Any] = {}
    for key in keys:
        column = cohorts[key]
        order = column.cat.categories if hasattr(column, "cat") else column.dropna().unique()
        values = column.astype(object).where(column.notna(), MISSING).astype(str)
        levels = [str(level) for level in (*order, MISSING) if str(level) in set(values)]
        levels = SUBJECT.in_order(levels) if key == DOWN else levels
        made[key] = pd.Categorical(values, categories=list(dict.fromkeys(levels)))
    frame = cohorts[["patients", "nonrelapse_deaths"]].assign(**made, cohorts=1)
    counted = ["cohorts", "patients", "nonrelapse_deaths"]
    return frame.groupby(keys, observed=False)[counted].sum().reset_index()


def _list(
    levels: list[str],
    across: list[tuple[str, ...]],
    cells: Cells,
    most: float,
    width: float,
) -> Axes:
    """Draw the same for a phone: the combinations of each level below its name, one a line."""
    lines = len(levels) * (len(across) + 1)
    ax = axes_of(None, width, LINE * lines + 8, left=0, right=0, bottom=4, top=4)
    ax.set_xlim(0, width)
    ax.set_ylim(LINE * lines, 0)
    ax.axis("off")
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
            edge = max(float(np.sqrt(cell["patients"] / most)) * (LINE - 6), 3.0)
            ax.scatter(
                [15], [y], s=edge**2, marker="s", c=colours[level].light, linewidths=0,
                gid=f"cell-{i}-{j}",
            )  # fmt: skip
            words = f"{printing.count(cell['patients'])} in {_cohorts(cell)}"
            ax.text(width - 4, y, words, ha="right", **look)
        y += LINE
    return ax


def _note(
    table: pd.DataFrame, levels: list[str], across: list[tuple[str, ...]], cells: Cells
) -> Note:
    alt = [
        "Grid of product by setting and follow-up: "
        f"{printing.counted(int(table['cohorts'].sum()), 'cohort')} "
        f"with {printing.count(int(table['patients'].sum()))} patients."
    ]
    for level in levels:
        each = [(key, cells[level, *key]["cohorts"]) for key in across]
        found = [f"{', '.join(key)}: {printing.counted(n, 'cohort')}" for key, n in each if n]
        alt.append(f"{level}: {'; '.join(found)}.")
    lost = sum(not cells[level, *key]["cohorts"] for level in levels for key in across)
    alt.append(f"{printing.counted(lost, 'combination').capitalize()} without any cohort.")
    caption = "Every combination of product with setting and follow-up occurs."
    if lost:
        possible = printing.word(len(levels) * len(across))
        part = f"{printing.capital(printing.word(lost))} of {possible}"
        caption = f"{part} combinations of product with setting and follow-up contain no cohort."
    keys = [DOWN, *ACROSS]
    return Note(
        "Product by setting and follow-up",
        " ".join(alt),
        caption,
        numbers(
            table.astype(dict.fromkeys(keys, str)),
            "Cohorts by product, setting and follow-up: the numbers behind the figure",
            {key: (printing.readable(key).capitalize(), "") for key in keys}
            | dict.fromkeys(("cohorts", "patients", "nonrelapse_deaths"), ""),
        ),
    )


def _frame(ax: Axes, levels: list[str], across: list[tuple[str, ...]], wide: float) -> None:
    """Write the levels around the grid, and rules between rows and outer groups."""
    grid_below(ax, hide=("left", "right", "top", "bottom"))
    ax.set_yticks([i + 0.5 for i in range(len(levels))], labels=fit_names(ax, levels))
    ax.xaxis.tick_top()
    letters = max(8, int(wide / 6.6))
    inner = [fill(key[-1], letters, break_long_words=False) for key in across]
    ax.set_xticks([j + 0.5 for j in range(len(across))], labels=inner)
    ax.tick_params(pad=4)
    for i in range(len(levels) + 1):
        ax.axhline(i, color=style.GRID.light, lw=0.8, zorder=1, clip_on=False)
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
