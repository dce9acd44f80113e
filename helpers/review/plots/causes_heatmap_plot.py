"""Heat map of a table of causes: deaths in every cell, shaded where groups differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import printing
from ...views.plots import style
from ...views.plots.frame import axes_of
from ...views.plots.lettering import fit_names
from ...views.plots.note import Note
from ..subject import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...views.tables import Table
    from ..causes import HomogeneityTest

__all__ = ["causes_heatmap"]

#: Absolute residuals from which a cell is shaded, and how strongly.
STEPS = (1.0, 2.0, 3.0)
OPACITY = (0.16, 0.36, 0.62)
ROW = 44.0  # pixels


@style.themed
def causes_heatmap(
    test: HomogeneityTest, *, ax: Axes | None = None, alpha: float = 0.05, width: float = 720.0
) -> Axes:
    """Draw the cells of a homogeneity test.

    Parameters
    ----------
    test : HomogeneityTest
    alpha : float
        Cells whose p-value for all cells at once is below it are framed.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Groups in rows, causes in columns; each cell holds the deaths and the adjusted residual
        with its sign, and is shaded by the residual. With a note that ``show`` picks up.

    Examples
    --------
    >>> from helpers.review.causes import homogeneity_test
    >>> from helpers.views.plots import show
    >>> show(causes_heatmap(homogeneity_test("setting", draws=999)), "map")  # doctest: +ELLIPSIS
    Heat map of 464 deaths by setting and cause. ...
    """
    rows, columns = test.residuals.shape
    heads = [_folded(cause) for cause in test.table.causes]
    top = 16 + 15 * max(1 + head.count("\n") for head in heads)
    height = ROW * rows + top + 50
    left = 18 + 6.6 * max(len(group) for group in test.table.groups)
    ax = axes_of(ax, width, height, left=min(left, 0.24 * width), right=10, bottom=46, top=top)
    _cells(ax, test, alpha)
    ax.set_xticks(np.arange(columns) + 0.5, heads)
    ax.xaxis.tick_top()
    ax.set_yticks(np.arange(rows) + 0.5, fit_names(ax, test.table.groups))
    ax.tick_params(length=0, labelcolor=style.INK.light)
    for spine in ax.spines.values():
        spine.set_visible(False)
    _key(ax)
    annotate(
        ax,
        Note(
            title="Heat map of causes",
            alt=_alt(test),
            caption=_caption(test, alpha),
            table=_table(test),
        ),
    )
    return ax


def _folded(cause: str) -> str:
    """Break a name where it has a blank, in lines of about fourteen letters."""
    import textwrap

    return "\n".join(textwrap.wrap(cause[:1].upper() + cause[1:], 14, break_long_words=False))


def _steps(residuals: np.ndarray) -> np.ndarray:
    """How strongly each cell is shaded, with its sign: residuals as they are printed."""
    printed = np.round(residuals, 1)
    return np.sign(printed) * np.searchsorted(STEPS, np.abs(printed), side="right")


def _cells(ax: Axes, test: HomogeneityTest, alpha: float) -> None:
    import seaborn as sns
    from matplotlib.colors import ListedColormap, to_rgba
    from matplotlib.patches import Rectangle

    fewer, more = (style.RESIDUAL[name].light for name in ("fewer", "more"))
    shades = [
        *(to_rgba(fewer, opacity) for opacity in reversed(OPACITY)),
        to_rgba(fewer, 0),
        *(to_rgba(more, opacity) for opacity in OPACITY),
    ]
    notable = test.p_residuals < alpha
    sns.heatmap(
        _steps(test.residuals),
        ax=ax,
        cmap=ListedColormap(shades),
        vmin=-len(STEPS) - 0.5,
        vmax=len(STEPS) + 0.5,
        annot=np.vectorize(printing.count, otypes=[object])(test.table.counts),
        fmt="",
        annot_kws={"color": style.INK.light, "size": style.size("text"), "va": "bottom"},
        linewidths=0.8,
        linecolor=style.GRID.light,
        cbar=False,
        xticklabels=False,
        yticklabels=False,
    )
    for (i, j), deaths in zip(np.ndindex(notable.shape), tuple(ax.texts), strict=True):
        residual = printing.number(float(test.residuals[i, j]), 1)
        sign = "+" if test.residuals[i, j] > 0 else ""
        small = style.size("small")
        ax.text(j + 0.5, i + 0.55, sign + residual, ha="center", va="top", size=small)
        if notable[i, j]:
            deaths.set_fontweight("bold")
            ax.add_patch(
                Rectangle((j + 0.02, i + 0.04), 0.96, 0.92, fc="none", ec=style.INK.light, lw=1.8)
            )


def _key(ax: Axes) -> None:
    """Explain the shades under the map."""
    from matplotlib.patches import Patch

    pixels = ax.get_window_extent().height * 72 / ax.figure.dpi
    names, handles = [], []
    for name, sign in (("fewer", "−"), ("more", "+")):
        order = range(len(STEPS) - 1, -1, -1) if name == "fewer" else range(len(STEPS))
        for at in order:
            handles.append(Patch(fc=style.RESIDUAL[name].light, alpha=OPACITY[at], lw=0))
            names.append(f"{sign}{STEPS[at]:g}")
        if name == "fewer":
            handles.append(Patch(fc="none", ec=style.GRID.light, lw=0.8))
            names.append("0")
    key = ax.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(0, -5 / pixels),
        ncols=len(names),
        handlelength=1.5,
        handleheight=0.9,
        handletextpad=0.4,
        columnspacing=1.0,
        borderaxespad=0,
        borderpad=0.2,
        alignment="left",
        title="Deaths, and adjusted residual under them; shade from a residual of",
        title_fontproperties={"size": style.size("small")},
    )
    key.get_title().set_color(style.QUIET.light)


def _alt(test: HomogeneityTest) -> str:
    frame = test.residual_frame().head(3)
    cells = printing.listing(
        f"{row['cause']} in {row['group']} ({printing.count(row['deaths'])} deaths, "
        f"{printing.number(row['expected'], 1)} expected, residual "
        f"{printing.number(row['residual'], 1)})"
        for row in frame.to_dict("records")
    )
    return (
        f"Heat map of {printing.count(int(test.table.counts.sum()))} deaths by "
        f"{test.table.grouping} and cause. The cells farthest from no difference: {cells}. "
        f"Chi-squared test with random tables: {printing.p_value(test.p_monte_carlo)}."
    )


def _caption(test: HomogeneityTest, alpha: float) -> str:
    frame = test.residual_frame()
    clear = frame[(frame["p"] < alpha) & (frame["residual"] > 0)]
    tested = (
        f"chi-squared = {printing.number(test.statistic, 1)}, df = {printing.count(test.df)}, "
        f"{printing.p_value(test.p_monte_carlo)} by random tables"
    )
    if len(clear):
        what = printing.listing(f"{row.cause} ({row.group})" for row in clear.itertuples())
        many = "cells" if len(clear) > 1 else "cell"
        return (
            f"More deaths than a common distribution would give in the {many} of {what}; framed "
            f"cells differ when all cells are looked at together ({tested})."
        )
    return f"No cell departs clearly when all cells are looked at together ({tested})."


def _table(test: HomogeneityTest) -> Table:
    from ...views.tables import table

    frame = test.residual_frame()  # the cells that depart most come first
    return table(
        frame[["cause", "group", "deaths", "expected", "residual", "p"]],
        caption=f"Causes by {test.table.grouping}: deaths, expected deaths, adjusted residuals",
        formats={"deaths": "count", "expected": "number1", "residual": "number", "p": "p"},
        labels={"residual": "Adjusted residual", "p": "p, all cells at once"},
    )
