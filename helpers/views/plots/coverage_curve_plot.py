"""How often an interval of one proportion holds the truth, exactly, for every true proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ... import printing, ties
from ...checks.interval_coverage import lowest_coverage
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, grid_below, proportion_axis
from .note import Note, annotate, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = 0.80  # coverage at the foot of a lane; what lies deeper is cut there
_LANE = 1.28  # distance of lanes in units of their height


@style.themed
def coverage_curve(
    coverage: pd.DataFrame,
    *,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw exact coverage against the true proportion, one lane per interval.

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
        True proportion across; in each lane coverage from 80% to 100%, the nominal level as a
        line, and the part below it filled. With a note that ``show`` picks up.

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
    >>> show(coverage_curve(curves), "coverage")  # doctest: +ELLIPSIS
    Line chart of the exact coverage of five intervals ...
    """
    if coverage.empty or not {"n", "level"} <= set(coverage.attrs):
        raise MetaAnalysisError("coverage_curve() needs the frame of exact_coverage()")
    lanes, level = list(coverage.columns), float(coverage.attrs["level"])
    ax = axes_of(ax, width, 70 + 88.0 * len(lanes), left=58, right=16, bottom=50, top=14)
    p = coverage.index.to_numpy(float)
    places, labels = [], []
    for row, name in enumerate(reversed(lanes)):
        foot = row * _LANE
        values = coverage[name].to_numpy(float)
        shown, nominal = foot + _scaled(values), foot + float(_scaled(np.array(level)))
        ax.axhline(nominal, color=style.QUIET.light, lw=0.9, ls=(0, (5, 3)), zorder=2)
        ax.axhline(foot, color=style.GRID.light, lw=0.8, zorder=1)
        ax.fill_between(
            p, shown, nominal, where=(shown < nominal).tolist(), interpolate=True,
            color=style.RESIDUAL["more"].light, alpha=0.45, lw=0, zorder=2,
        )  # fmt: skip
        lane = f"lane-{len(lanes) - 1 - row}"
        ax.plot(p, shown, color=style.INK.light, lw=1.1, zorder=3, gid=lane)
        below = printing.percent(float((values < level).mean()), 0)
        ax.text(
            0.995, foot + 1.05,
            f"{name}: below {printing.percent(level, 0)} over {below} of the range",
            transform=ax.get_yaxis_transform(), ha="right", va="bottom",
            fontsize=style.size("small"),
        )  # fmt: skip
        for value in (FLOOR, level):
            places.append(foot + float(_scaled(np.array(value))))
            labels.append(f"{'≤ ' if value == FLOOR else ''}{printing.percent(value, 0)}")
    ax.set_ylim(-0.06, len(lanes) * _LANE + 0.02)
    ax.set_yticks(places, labels=labels)
    ax.set_ylabel("Coverage", labelpad=4)
    proportion_axis(ax, p)
    grid_below(ax, hide=("left",))
    annotate(ax, _note(coverage, level, subject))
    return ax


def _scaled(values: np.ndarray) -> np.ndarray:
    """Coverage as a height in its lane."""
    return (np.clip(values, FLOOR, 1.0) - FLOOR) / (1.0 - FLOOR)


def _note(coverage: pd.DataFrame, level: float, subject: Subject) -> Note:
    n, p = int(coverage.attrs["n"]), coverage.index.to_numpy(float)
    people = printing.counted(n, subject.person, subject.people)
    within, below = (float(p.min()), float(p.max())), (coverage < level).mean()
    lowest = pd.Series(
        {name: lowest_coverage(n, within, str(name), level)[0] for name in coverage.columns}
    )
    worst, best = (str(lowest.index[pick(lowest)]) for pick in (ties.smallest, ties.largest))
    said = printing.listing(
        f"{name} {printing.percent(lowest[name])} (below the level over "
        f"{printing.percent(below[name], 0)} of the range)"
        for name in coverage.columns
    )
    rows = np.unique(np.linspace(0, len(p) - 1, min(len(p), 20)).round().astype(int))
    shown = coverage.iloc[rows].reset_index(names="true_proportion")
    return Note(
        "Exact coverage of intervals of one proportion",
        f"Line chart of the exact coverage of {printing.counted(len(lowest), 'interval')} for "
        f"{people} and true proportions from {printing.percent_range(within)}. Lowest coverage: "
        f"{said}.",
        f"With {people}, the {printing.percent(level, 0)} interval “{worst}” can contain the truth "
        f"as rarely as in {printing.percent(lowest[worst], 0)} of {subject.studies}, “{best}” "
        f"never in fewer than {printing.percent(lowest[best])}.",
        numbers(
            shown,
            "Exact coverage: some of the numbers behind the figure",
            dict.fromkeys(shown.columns, "percent"),
        ),
    )
