"""The GOSH plot: pooled estimate and heterogeneity of very many subsets of the studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing, ties
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, grid_below, number_ticks
from .note import Note, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ...engine.aftercare import GoshResult
    from ..tables import Table

__all__ = ["gosh"]

SIZES = 8
CELLS = (44, 26)  # across and up; a mark for each subset would make a page of megabytes
# Two equal normal clouds have two tops once their centres lie more than two standard deviations
# apart.
APART = 2.0


@style.themed
def gosh(
    result: GoshResult,
    *,
    study: str | None = None,
    ax: Axes | None = None,
    percent: bool = True,
    subject: Subject = NEUTRAL,
    width: float = 620.0,
) -> Axes:
    """Draw the cloud of subset estimates, with and without one study.

    Parameters
    ----------
    result : GoshResult
        From ``fit.gosh()``.
    study : str, optional
        Whose subsets are told apart; by default the study with the largest separation.
    ax : Axes, optional
        Where to draw; its upper fifth holds the histogram. By default a new figure.
    percent : bool
        Whether estimates are proportions.
    subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Cells of the plane of estimate and I2, each with a mark whose area grows with its number
        of subsets: filled where most of them hold the study, open where most do not. Above, the
        numbers of subsets with and without it. Subsets that did not converge are left out. With a
        note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        An unknown study, or fewer than 2 subsets with an estimate.

    References
    ----------
    Olkin I, Dahabreh IJ, Trikalinos TA (2012), doi:10.1002/jrsm.1053.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[3, 8, 16, 9], n=[40, 60, 50, 70])
    >>> show(gosh(fit.gosh()), "gosh-of-four")  # doctest: +ELLIPSIS
    GOSH plot of all 11 subsets of four studies. ...
    """
    subject = subject.of_kind("proportion" if percent else "effect")
    sound = result.converged & np.isfinite(result.estimate) & np.isfinite(result.I2)
    if sound.sum() < 2:
        raise MetaAnalysisError("a GOSH plot needs at least two subsets with an estimate")
    summary = result.summary_frame()
    study = study or str(summary.index[ties.largest(summary["separation"].abs().fillna(0.0))])
    if study not in summary.index:
        raise MetaAnalysisError(f"{study!r} is not among the studies of the subsets")
    ax = axes_of(ax, width, 440, left=58, right=16, bottom=50.6, top=118.8)
    x, y = result.estimate[sound], result.I2[sound]
    held = result.member[sound, result.labels.index(study)]
    edges = _edges(x, CELLS[0]), _edges(y, CELLS[1])
    _cloud(ax, x, y, held, edges)
    _axes(ax, edges, subject.outcome, percent)
    _histogram(ax, x, held, edges[0], study)
    annotate(ax, _note(result, summary, study, x, y, percent, subject))
    return ax


def _edges(values: np.ndarray, cells: int) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    pad = 0.02 * (high - low) or 0.01
    return np.linspace(low - pad, high + pad, cells + 1)


def _cloud(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    held: np.ndarray,
    edges: tuple[np.ndarray, np.ndarray],
) -> None:
    whole = np.histogram2d(x, y, bins=edges)[0]
    inside = np.histogram2d(x[held], y[held], bins=edges)[0]
    places = [0.5 * (e[1:] + e[:-1]) for e in edges]
    # A few sizes: marks of one size are one drawing in the SVG, used many times.
    step = np.ceil(SIZES * whole / whole.max()).astype(int)
    for gid, cells in (("with", 2 * inside >= whole), ("without", 2 * inside < whole)):
        solid = gid == "with"
        for size in range(1, SIZES + 1):
            i, j = np.nonzero(cells & (step == size))
            ax.plot(
                places[0][i],
                places[1][j],
                "o",
                ms=2.0 + 8.0 * np.sqrt((size - 1) / (SIZES - 1)),
                mfc=style.INK.light if solid else "none",
                mec=style.INK.light if solid else style.QUIET.light,
                mew=0.9,
                zorder=3 if solid else 2,
                gid=f"{gid}-{size}",
            )


def _axes(ax: Axes, edges: tuple[np.ndarray, np.ndarray], outcome: str, percent: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    factor = 100 if percent else 1
    ax.set_xlim(edges[0][0], edges[0][-1])
    ax.set_ylim(edges[1][0], edges[1][-1])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    number_ticks(ax.xaxis, factor)
    grid_below(ax, "both")
    ax.set_xlabel(f"{outcome} of the subset, %" if percent else f"{outcome} of the subset")
    ax.set_ylabel("I² of the subset, %", labelpad=6)


def _histogram(ax: Axes, x: np.ndarray, held: np.ndarray, edges: np.ndarray, study: str) -> None:
    from matplotlib.lines import Line2D

    top = ax.inset_axes((0, 1.03, 1, 0.22), sharex=ax)
    top.stairs(
        np.histogram(x[held], edges)[0],
        edges,
        fill=True,
        color=style.INK.light,
        alpha=0.75,
        gid="subsets-with",
    )
    top.stairs(
        np.histogram(x[~held], edges)[0],
        edges,
        color=style.QUIET.light,
        lw=1.6,
        gid="subsets-without",
    )
    top.axis("off")

    def mark(*, solid: bool) -> Line2D:
        colour = style.INK.light if solid else style.QUIET.light
        return Line2D(
            [], [], ls="", marker="o", ms=8, mec=colour, mew=1.4, mfc=colour if solid else "none"
        )

    short = study if len(study) <= 34 else f"{study[:33].rstrip()}…"
    key = top.legend(
        [mark(solid=True), mark(solid=False)],
        [f"with {short}", "without"],
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=2,
        handletextpad=0.3,
        columnspacing=1.4,
        borderaxespad=0,
        borderpad=0.2,
    )
    for text in key.get_texts():
        text.set_parse_math(False)


def _note(
    result: GoshResult,
    summary: pd.DataFrame,
    study: str,
    x: np.ndarray,
    y: np.ndarray,
    percent: bool,
    subject: Subject,
) -> Note:
    row = {column: float(summary[column][study]) for column in summary.columns}
    number: Any = printing.percent if percent else printing.number
    low, high = np.quantile(x, [0.025, 0.975])
    span = printing.percent_range((low, high)) if percent else printing.between(low, high, 2)
    least, most = np.quantile(y, [0.025, 0.975])
    heterogeneity = printing.between(float(least), float(most), 0)
    drawn = (
        f"{printing.count(len(result))} sampled subsets"
        if result.sampled
        else f"all {printing.count(len(result))} subsets"
    )
    cloud = (
        f"The middle 95{printing.THIN}% of the estimates lie from {span}, of I² from "
        f"{heterogeneity}{printing.THIN}%."
    )
    gap = row["separation"]
    if not np.isfinite(gap):
        verdict = f"{study} is in every subset or in none, so that nothing can be compared."
    else:
        means = (
            f"with {study} the mean estimate is {number(row['estimate_with'])}, without "
            f"it {number(row['estimate_without'])}, "
            f"{printing.number(abs(gap), 1)} standard deviations (within each part) apart"
        )
        side = "more" if abs(gap) > APART else "no more"
        verdict = (
            f"{means[0].upper()}{means[1:]}: {side} than the {printing.number(APART, 0)} from "
            "which two equal normal clouds have two tops."
        )
    lost = len(result) - len(x)
    lack = (
        f" {printing.counted(lost, 'subset').capitalize()} without an estimate left out."
        if lost
        else ""
    )
    members = printing.counted(len(result.labels), *subject.noun)
    return Note(
        title="GOSH plot",
        alt=f"GOSH plot of {drawn} of {members}. {cloud} {verdict}{lack}",
        caption=f"{verdict} Each mark stands for subsets with about the same result; its area "
        f"grows with their number. {cloud}{lack}",
        table=_table(summary, percent, subject, drawn),
    )


def _table(summary: pd.DataFrame, percent: bool, subject: Subject, drawn: str) -> Table:
    from ..tables import table

    order = ties.order(summary["separation"].abs(), descending=True)
    shown = summary.iloc[order].rename_axis(subject.study).reset_index()
    shown = shown.drop(columns=["subsets", "difference"])
    value = "percent2" if percent else "number3"
    formats: dict[str, Any] = {
        "estimate_with": value,
        "estimate_without": value,
        "I2_with": "number1",
        "I2_without": "number1",
    }
    unit = f",{printing.HARD}%" if percent else ""
    return table(
        shown,
        caption=f"Mean results with and without each {subject.study}, over {drawn}",
        formats=formats,
        labels={
            "estimate_with": f"Estimate with{unit}",
            "estimate_without": f"Estimate without{unit}",
            "I2_with": f"I² with,{printing.HARD}%",
            "I2_without": f"I² without,{printing.HARD}%",
        },
        notes=["Separation: difference of the means in standard deviations within the two groups."],
    )
