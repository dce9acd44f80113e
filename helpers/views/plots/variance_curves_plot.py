"""How the sampling variance of effect measures depends on the proportion itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...engine.effects import get_measure
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import ROUND, Axes, axes_of, fixed_ticks, grid_below, name_axes, percent_ticks
from .lettering import key_above
from .note import Note, annotate, numbers, some_rows

_LOOKS: tuple[tuple[style.Colour, Any], ...] = (
    (style.QUIET, "solid"),
    (style.INK, (0, (1, 1.5))),
    (style.INK, (0, (5, 2))),
    (style.INK, "solid"),
    (style.QUIET, (0, (5, 2, 1, 2))),
)


@style.themed
def variance_curves(
    variance: pd.DataFrame,
    *,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw the exact variance of each measure relative to that at one half.

    Parameters
    ----------
    variance : DataFrame
        As `helpers.checks.interval_coverage.relative_variance` gives it: index "p", up to five
        columns, `n` in `attrs`.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        True proportion across, relative variance up (logarithmic); a flat line at 1 is a stabilised
        variance.

    Raises
    ------
    MetaAnalysisError
        A frame without curves, with more than five, or without `n`.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers.checks.interval_coverage import relative_variance
    >>> from helpers.views.plots import show
    >>> show(variance_curves(relative_variance(50, np.linspace(0.01, 0.5, 50))), "variance")
    ... # doctest: +ELLIPSIS
    Line chart of the sampling variance of four measures ...
    """
    names = [str(name) for name in variance.columns]
    if variance.empty or "n" not in variance.attrs or len(names) > len(_LOOKS):
        raise MetaAnalysisError("variance_curves() needs the frame of relative_variance()")
    ax = axes_of(ax, width, 330.0)
    p = variance.index.to_numpy(float)
    handles = []
    for name, (colour, dash) in zip(names, _LOOKS, strict=False):
        handles += ax.plot(
            p, variance[name], color=colour.light, lw=1.8, ls=dash, zorder=3, gid=f"measure-{name}"
        )
    ax.axhline(1.0, color=style.GRID.light, lw=1.0, zorder=1)
    ax.set_yscale("log")
    low, high = float(np.min(variance)), float(np.max(variance))
    ax.set_ylim(min(low, 1.0) / 1.25, max(high, 1.0) * 1.25)
    fixed_ticks(ax.yaxis, ROUND)
    ax.set_ylabel("Variance relative to 50% (log scale)", labelpad=5)
    ax.set_xlim(float(p.min()), float(p.max()) if len(p) > 1 else float(p.max()) + 0.01)
    first, last = ax.get_xlim()
    ax.set_xticks([tick for tick in ax.get_xticks() if first <= tick <= last])
    percent_ticks(ax.xaxis)
    name_axes(ax, "True proportion")
    grid_below(ax, "y")
    key_above(ax, handles, [name.replace("-", " ") for name in names])
    annotate(ax, _note(variance, names, subject))
    return ax


def _note(variance: pd.DataFrame, names: list[str], subject: Subject) -> Note:
    people = printing.counted(int(variance.attrs["n"]), subject.person, subject.people)
    p = variance.index.to_numpy(float)
    spread = variance.max() / variance.min()
    flat, steep = (str(spread.index[pick(spread)]) for pick in (ties.smallest, ties.largest))
    factor = {name: printing.number(float(spread[name]), 1) for name in names}
    label = {name: get_measure(name).label for name in names}
    said = printing.listing(f"{label[name]}, factor {factor[name]}" for name in names)
    shown = some_rows(variance)
    return Note(
        "Variance of effect measures",
        f"Line chart of the sampling variance of {printing.counted(len(names), 'measure')} for "
        f"{people} and true proportions from {printing.percent_range((p.min(), p.max()))}. "
        f"Largest over smallest variance: {said}.",
        f"With {people}, the variance of the {label[steep]} changes by a factor of "
        f"{factor[steep]} over this range, that of the {label[flat]} by {factor[flat]}.",
        numbers(
            shown,
            "Relative variances: some of the numbers behind the figure",
            dict.fromkeys(shown.columns, "") | {"true_proportion": "percent"},
        ),
    )
