"""How often tests for small-study effects reject when there is nothing to find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...checks.bias import NullSimulation
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import Axes, axes_of, grid_below, name_axes, percent_ticks
from .lettering import CLEAR, key_above, name_above
from .note import Note, annotate, numbers
from .points import Z95

_LOOKS = ((style.INK, "o", True), (style.QUIET, "D", False), (style.QUIET, "s", True))


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
        One row per test, in the order of the first simulation; bars are 95% Monte Carlo intervals,
        the line is the nominal level.

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
    runs = {"": simulations} if isinstance(simulations, NullSimulation) else dict(simulations)
    if not 1 <= len(runs) <= len(_LOOKS):
        raise MetaAnalysisError(f"rejection() draws one to three simulations, not {len(runs)}")
    first = next(iter(runs.values()))
    if any((run.tests, run.alpha) != (first.tests, first.alpha) for run in runs.values()):
        raise MetaAnalysisError("rejection() needs simulations of the same tests and level")
    rows = len(first.tests)
    narrow = width < style.NARROW
    row, left = (46.0, 14) if narrow else (34.0, 225)
    ax = axes_of(ax, width, 110 + row * rows, left=left, right=20, bottom=50, top=48)
    handles: list[Any] = []
    for i, (run, (colour, shape, solid)) in enumerate(zip(runs.values(), _LOOKS, strict=False)):
        share, error = np.array(run.rejection), np.array(run.rejection_mcse)
        place = np.arange(rows) + 0.26 * (i - (len(runs) - 1) / 2)
        low, high = np.maximum(share - Z95 * error, 0.0), np.minimum(share + Z95 * error, 1.0)
        ax.hlines(place, low, high, color=colour.light, lw=1.4, zorder=2)
        marks = ax.scatter(
            share, place, s=42, marker=shape, facecolors=colour.light if solid else "none",
            edgecolors=colour.light, linewidths=1.3, zorder=3, clip_on=False, gid=f"marks-{i}",
        )  # fmt: skip
        handles.append(marks)
    nominal = ax.axvline(first.alpha, color=style.INK.light, lw=1.0, ls=(0, (5, 3)), zorder=1)
    ax.set_ylim(rows - 0.45, -0.55)
    if narrow:
        ax.set_ylim(rows - 0.45, -0.75)
        name_above(ax, range(rows), list(first.tests), lift=0.45)
    else:
        ax.set_yticks(range(rows), labels=list(first.tests))
        ax.tick_params(axis="y", pad=CLEAR)
    ax.set_xlim(0.0, 1.0)
    ax.set_xticks(np.linspace(0, 1, 6))
    percent_ticks(ax.xaxis)
    name_axes(ax, "Simulated data sets in which the test rejects")
    grid_below(ax, "x", hide=("left",))
    level = f"nominal {printing.percent(first.alpha, 0)}"
    key_above(ax, [*(handles if "" not in runs else []), nominal], [*filter(None, runs), level])
    annotate(ax, _note(runs, first, subject))
    return ax


def _note(runs: Mapping[str, NullSimulation], first: NullSimulation, subject: Subject) -> Note:
    level = printing.percent(first.alpha, 0)
    worst = ties.largest(first.rejection)
    best = ties.smallest(np.abs(np.array(first.rejection) - first.alpha))
    said = []
    for name, run in runs.items():
        pairs = zip(run.tests, run.rejection, strict=True)
        shares = printing.listing(f"{test} {printing.percent(share, 0)}" for test, share in pairs)
        said.append(f"{name[:1].upper() + name[1:] or 'Shares'}: {shares}.")
    frames = [run.summary_frame().reset_index().assign(run=name) for name, run in runs.items()]
    return Note(
        "False positives of tests for small-study effects",
        f"Dot plot of how often {printing.word(len(first.tests))} tests reject at the {level} "
        f"level when no {subject.study} is missing. {' '.join(said)}",
        f"In data simulated without a small-study effect, “{first.tests[worst]}” rejects at the "
        f"{level} level in {printing.percent(first.rejection[worst], 0)} of data sets and "
        f"“{first.tests[best]}” in {printing.percent(first.rejection[best], 0)} "
        f"({printing.counted(first.k, *subject.noun)}, {printing.count(first.draws)} data sets).",
        numbers(
            pd.concat(frames),
            "False positives of the tests: the numbers behind the figure",
            {
                "test": "", **({} if "" in runs else {"run": ("Simulation", "")}),
                "rejection": ("Rejects", lambda value: printing.number(100 * value, 1)),
                "rejection_mcse": ("Monte Carlo SE", lambda v: printing.number(100 * v, 2)),
                "observed_p": ("p in the data", "number3"),
                "calibrated_p": ("Calibrated p", "number3"),
            },
        ),
    )  # fmt: skip
