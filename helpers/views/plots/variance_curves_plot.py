"""How the sampling variance of effect measures depends on the proportion itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import printing, ties
from ...engine.effects import get_measure
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, grid_below
from .lettering import key_above
from .note import Note, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["variance_curves"]

_DASHES: tuple[tuple[str, object], ...] = (
    ("QUIET", "solid"),
    ("INK", (0, (1, 1.5))),
    ("INK", (0, (5, 2))),
    ("INK", "solid"),
    ("QUIET", (0, (5, 2, 1, 2))),
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
        True proportion across, relative variance up (logarithmic); a flat line at 1 is a
        stabilised variance. With a note that ``show`` picks up.

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
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    names = [str(name) for name in variance.columns]
    if variance.empty or "n" not in variance.attrs or len(names) > len(_DASHES):
        raise MetaAnalysisError("variance_curves() needs the frame of relative_variance()")
    ax = axes_of(ax, width, 330.0)
    p = variance.index.to_numpy(float)
    handles = []
    for i, name in enumerate(names):
        colour, dash = _DASHES[i]
        (line,) = ax.plot(
            p,
            variance[name],
            color=getattr(style, colour).light,
            lw=1.8,
            ls=dash,
            zorder=3,
            gid=f"measure-{name}",
        )
        handles.append(line)
    ax.axhline(1.0, color=style.GRID.light, lw=1.0, zorder=1)
    ax.set_yscale("log")
    low, high = float(np.min(variance)), float(np.max(variance))
    ax.set_ylim(min(low, 1.0) / 1.25, max(high, 1.0) * 1.25)
    marks = [m * 10.0**e for e in range(-4, 5) for m in (1, 2, 5)]
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(FixedLocator([m for m in marks if low <= m <= high]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_ylabel(f"Variance relative to 50{printing.THIN}% (log scale)", labelpad=5)
    ax.set_xlim(float(p.min()), float(p.max()) if len(p) > 1 else float(p.max()) + 0.01)
    first, last = ax.get_xlim()
    ax.set_xticks([tick for tick in ax.get_xticks() if first <= tick <= last])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: printing.percent(value, 0)))
    ax.set_xlabel("True proportion", labelpad=5)
    grid_below(ax, "y")
    key_above(ax, handles, [name.replace("-", " ") for name in names])
    annotate(ax, _note(variance, names, subject))
    return ax


def _note(variance: pd.DataFrame, names: list[str], subject: Subject) -> Note:
    from ..tables import table

    people = printing.counted(int(variance.attrs["n"]), subject.person, subject.people)
    p = variance.index.to_numpy(float)
    spread = variance.max() / variance.min()
    flat, steep = (str(spread.index[pick(spread)]) for pick in (ties.smallest, ties.largest))
    said = printing.listing(
        f"{get_measure(name).label}, factor {printing.number(float(spread[name]), 1)}"
        for name in names
    )
    rows = np.unique(np.linspace(0, len(p) - 1, min(len(p), 20)).round().astype(int))
    shown = variance.iloc[rows].reset_index().rename(columns={"p": "true_proportion"})
    return Note(
        title="Variance of effect measures",
        alt=f"Line chart of the sampling variance of {printing.counted(len(names), 'measure')} for "
        f"{people} and true proportions from "
        f"{printing.percent_range((p.min(), p.max()))}. Largest over smallest variance: {said}.",
        caption=f"With {people}, the variance of the "
        f"{get_measure(steep).label} changes by a factor of "
        f"{printing.number(float(spread[steep]), 1)} over this range, that of the "
        f"{get_measure(flat).label} by {printing.number(float(spread[flat]), 1)}.",
        table=table(
            shown,
            caption="Relative variances: some of the numbers behind the figure",
            formats={"true_proportion": "percent"},
        ),
    )
