"""How often an interval of one proportion contains the truth, exactly: on average and at worst."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...checks.interval_coverage import lowest_coverage
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import Axes, axes_of, grid_below, name_axes, percent_ticks
from .lettering import beside, fit_names, key_above, name_above
from .note import Note, annotate, numbers, some_rows

ROW, NARROW_ROW = 30.0, 44.0  # CSS pixels


@style.themed
def coverage_range(
    coverage: pd.DataFrame,
    *,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw the mean and the lowest exact coverage of each interval over true proportions.

    Parameters
    ----------
    coverage : DataFrame
        As `helpers.checks.interval_coverage.exact_coverage` gives it: index "p", a column per
        interval, `n` and `level` in `attrs`.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Coverage across, a row for each interval: the filled dot is the mean over the true
        proportions of the frame, the open one the lowest; the dashed line is the nominal level.

    Raises
    ------
    MetaAnalysisError
        A frame without curves or without `n` and `level`.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers.checks.interval_coverage import exact_coverage
    >>> from helpers.views.plots import show
    >>> curves = exact_coverage(16, np.linspace(0.01, 0.3, 100))
    >>> show(coverage_range(curves), "coverage")  # doctest: +ELLIPSIS
    Lowest and mean exact coverage of five intervals ...
    """
    if coverage.empty or not {"n", "level"} <= set(coverage.attrs):
        raise MetaAnalysisError("coverage_range() needs the frame of exact_coverage()")
    names, level = [str(name) for name in coverage.columns], float(coverage.attrs["level"])
    lowest, mean = _lowest(coverage), coverage.mean()
    narrow, rows = width < style.NARROW, len(names)
    left, right = (16.0, 22.0) if narrow else (150.0, 150.0)
    height = 104 + (NARROW_ROW if narrow else ROW) * rows
    ax = axes_of(ax, width, height, left=left, right=right, bottom=50, top=54)
    y, ink = np.arange(rows), style.INK.light
    nominal = ax.axvline(level, color=style.QUIET.light, lw=1, ls=(0, (5, 3)), zorder=1)
    ax.hlines(y, lowest, mean, color=style.QUIET.light, lw=1.6, zorder=2, gid="stems")
    look: dict[str, Any] = {"s": 52, "edgecolors": ink, "linewidths": 1.4, "clip_on": False}
    least = ax.scatter(lowest, y, fc=style.SURFACE.light, zorder=3, gid="lowest", **look)
    usual = ax.scatter(mean, y, fc=ink, zorder=4, gid="mean", **look)
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(rows - 0.4, -0.8 if narrow else -0.6)
    percent_ticks(ax.xaxis)
    name_axes(ax, "Exact coverage")
    grid_below(ax, "x", hide=("left",))
    key_above(
        ax, [least, usual, nominal], ["lowest", "mean", f"nominal {printing.percent(level, 0)}"]
    )
    both = zip(lowest, mean, strict=True)
    values = [f"{printing.percent(a)}, {printing.percent(b)}" for a, b in both]
    if narrow:
        name_above(ax, y, names, values, lift=0.45)
    else:
        ax.set_yticks(y, fit_names(ax, names))
        for at, text in zip(y, values, strict=True):
            beside(ax, text, (1, at), (16, 0), xycoords=("axes fraction", "data"))
    annotate(ax, _note(coverage, lowest, mean, level, subject))
    return ax


def _lowest(coverage: pd.DataFrame) -> pd.Series:
    """Find the lowest coverage of each interval between the ends of the proportions."""
    n, level = int(coverage.attrs["n"]), float(coverage.attrs["level"])
    within = (float(coverage.index.min()), float(coverage.index.max()))
    found = {name: lowest_coverage(n, within, str(name), level)[0] for name in coverage.columns}
    return pd.Series(found)


def _note(
    coverage: pd.DataFrame, lowest: pd.Series, mean: pd.Series, level: float, subject: Subject
) -> Note:
    n, p = int(coverage.attrs["n"]), coverage.index.to_numpy(float)
    people = printing.counted(n, subject.person, subject.people)
    within, below = (float(p.min()), float(p.max())), (coverage < level).mean()
    worst, best = (str(lowest.index[pick(lowest)]) for pick in (ties.smallest, ties.largest))
    said = printing.listing(
        f"{name} {printing.percent(lowest[name])} and {printing.percent(mean[name])} (below the "
        f"level over {printing.percent(below[name], 0)} of the range)"
        for name in coverage.columns
    )
    shown = some_rows(coverage)
    return Note(
        "Exact coverage of intervals of one proportion",
        f"Lowest and mean exact coverage of {printing.counted(len(lowest), 'interval')} for "
        f"{people} and true proportions from {printing.percent_range(within)}: "
        f"{said}.",
        f"With {people}, the {printing.percent(level, 0)} interval “{worst}” covers the true "
        f"value in as few as {printing.percent(lowest[worst], 0)} of {subject.studies}, “{best}” "
        f"in at least {printing.percent(lowest[best])}. Lowest and mean coverage over true "
        f"proportions from {printing.percent_range(within)}, computed from the binomial "
        "distribution.",
        numbers(
            shown,
            "Exact coverage: some of the numbers behind the figure",
            dict.fromkeys(shown.columns, "percent"),
        ),
    )
