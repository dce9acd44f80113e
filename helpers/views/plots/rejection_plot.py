"""How often tests for small-study effects reject when there is nothing to find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ... import printing, ties
from ...checks.bias import NullSimulation
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, grid_below
from .lettering import key_above
from .note import Note, annotate
from .points import Z95

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["rejection"]

_MOST = 3


@style.themed
def rejection(
    simulations: NullSimulation | Mapping[str, NullSimulation],
    *,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw the share of simulated sets without bias in which each test rejects.

    Parameters
    ----------
    simulations : NullSimulation or mapping of str to NullSimulation
        One simulation, or up to three with the words for the legend; of the same tests and level.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        One row per test, in the order of the first simulation; bars are 95 % Monte-Carlo
        intervals, the line is the nominal level. With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        No simulation, more than three, or simulations of different tests or levels.

    Examples
    --------
    >>> from helpers.checks.bias import simulate_null
    >>> from helpers.views.plots import show
    >>> found = simulate_null(events=[1, 2, 9, 12], n=[20, 60, 90, 200], draws=50)
    >>> show(rejection(found), "rejection")  # doctest: +ELLIPSIS
    Dot plot of how often eight tests reject at the 5...
    """
    from matplotlib.ticker import FuncFormatter

    runs = {"": simulations} if isinstance(simulations, NullSimulation) else dict(simulations)
    if not 1 <= len(runs) <= _MOST:
        raise MetaAnalysisError(f"rejection() draws one to three simulations, not {len(runs)}")
    first = next(iter(runs.values()))
    if any((run.tests, run.alpha) != (first.tests, first.alpha) for run in runs.values()):
        raise MetaAnalysisError("rejection() needs simulations of the same tests and level")
    rows = len(first.tests)
    height = 96 + 34.0 * rows
    ax = axes_of(ax, width, height, left=205, right=20, bottom=50, top=34)
    handles = []
    looks = [(style.INK, "o", True), (style.QUIET, "D", False), (style.QUIET, "s", True)]
    for i, run in enumerate(runs.values()):
        colour, shape, solid = looks[i]
        shift = 0.26 * (i - (len(runs) - 1) / 2)
        share, error = np.array(run.rejection), np.array(run.rejection_mcse)
        place = np.arange(rows) + shift
        ax.hlines(
            place,
            np.maximum(share - Z95 * error, 0.0),
            np.minimum(share + Z95 * error, 1.0),
            color=colour.light,
            lw=1.4,
            zorder=2,
        )
        marks = ax.scatter(
            share, place, s=42, marker=shape, facecolors=colour.light if solid else "none",
            edgecolors=colour.light, linewidths=1.3, zorder=3, clip_on=False, gid=f"marks-{i}")  # fmt: skip
        handles.append(marks)
    nominal = ax.axvline(first.alpha, color=style.INK.light, lw=1.0, ls=(0, (5, 3)), zorder=1)
    ax.set_ylim(rows - 0.45, -0.55)
    ax.set_yticks(range(rows), labels=list(first.tests))
    ax.set_xlim(0.0, 1.0)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: printing.percent(value, 0)))
    ax.set_xlabel(f"Simulated sets of {subject.studies} in which the test rejects", labelpad=5)
    grid_below(ax, "x", hide=("left",))
    level = f"nominal {printing.percent(first.alpha, 0)}"
    key_above(ax, [*(handles if "" not in runs else []), nominal], [*filter(None, runs), level])
    annotate(ax, _note(runs, first, subject))
    return ax


def _note(runs: Mapping[str, NullSimulation], first: NullSimulation, subject: Subject) -> Note:
    from ..tables import table

    level = printing.percent(first.alpha, 0)
    worst = ties.largest(first.rejection)
    best = ties.smallest(np.abs(np.array(first.rejection) - first.alpha))
    caption = (
        f"Where nothing is to be found, the {level} test “{first.tests[worst]}” rejects in "
        f"{printing.percent(first.rejection[worst], 0)} of simulated sets and "
        f"“{first.tests[best]}” in {printing.percent(first.rejection[best], 0)}; "
        f"{printing.counted(first.k, *subject.noun)}, {printing.count(first.draws)} sets."
    )
    said = []
    for name, run in runs.items():
        shares = printing.listing(
            f"{test} {printing.percent(share, 0)}"
            for test, share in zip(run.tests, run.rejection, strict=True)
        )
        said.append(f"{name[:1].upper() + name[1:] or 'Shares'}: {shares}.")
    return Note(
        title="False alarms of tests for small-study effects",
        alt=f"Dot plot of how often {printing.word(len(first.tests))} tests reject at the {level} "
        f"level when no {subject.study} is missing. {' '.join(said)}",
        caption=caption,
        table=table(
            _frame(runs),
            caption="Tests without anything to find: the numbers behind the figure",
            formats={
                "rejects": "percent", "monte_carlo_se": "percent2", "observed_p": "number3",
                "calibrated_p": "number3",
            },
            labels={
                "monte_carlo_se": "Monte-Carlo SE", "observed_p": "p in the data",
                "calibrated_p": "Calibrated p",
            },
        ),
    )  # fmt: skip


def _frame(runs: Mapping[str, NullSimulation]) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for name, run in runs.items():
        frame = run.summary_frame().reset_index()
        frame = frame.rename(columns={"rejection": "rejects", "rejection_mcse": "monte_carlo_se"})
        frame = frame[["test", "rejects", "monte_carlo_se", "observed_p", "calibrated_p"]]
        if name:
            frame.insert(1, "simulation", name)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)
