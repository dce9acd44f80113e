"""The GOSH plot: pooled estimate and heterogeneity of very many subsets of the studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...engine.aftercare import GoshResult
from ...errors import MetaAnalysisError, UnsupportedError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import Axes, axes_of, grid_below, name_axes, number_ticks, round_places
from .lettering import fit_keys, legend_above
from .note import Note, annotate, numbers

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
        From ``fit.gosh()``; of a regression one ``fit.gosh().coefficient(name)``, of groups one
        ``fit.gosh()[group]``.
    study : str, optional
        Whose subsets are told apart; by default the study with the largest separation.
    ax : Axes, optional
        Where to draw; its upper fifth holds the histogram. By default a new figure.
    percent : bool
        Whether estimates are proportions (coefficients of a regression never are).
    subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Cells of the plane of estimate and I2, each with a mark whose area grows with its number of
        subsets: filled where most of them contain the study, open where most do not. Above, the
        numbers of subsets with and without it. Subsets that did not converge are left out.

    Raises
    ------
    MetaAnalysisError
        An unknown study, fewer than 2 subsets with an estimate, or several coefficients.

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
    percent = percent and result.pooled
    subject = subject.of_kind("proportion" if percent else "effect")
    if result.converged.any() and np.isnan(result.I2[result.converged]).all():
        raise UnsupportedError("a GOSH plot needs I2, which this model does not have: see frame()")
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
    ax.set_xlim(edges[0][0], edges[0][-1])
    ax.set_ylim(edges[1][0], edges[1][-1])
    ax.xaxis.set_major_locator(round_places(8))
    ax.yaxis.set_major_locator(round_places(6))
    number_ticks(ax.xaxis, 100 if percent else 1)
    grid_below(ax, "both")
    what = subject.outcome if result.pooled else printing.readable(next(iter(result.effects)))
    ax.set_xlabel(f"{what} of the subset{', %' if percent else ''}")
    name_axes(ax, up="I² of the subset, %")
    _histogram(ax, x, held, edges[0], study)
    annotate(ax, _note(result, summary, study, x, y, percent, subject))
    return ax


def _edges(values: np.ndarray, cells: int) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    pad = 0.02 * (high - low) or 0.01
    return np.linspace(low - pad, high + pad, cells + 1)


def _cloud(
    ax: Axes, x: np.ndarray, y: np.ndarray, held: np.ndarray, edges: tuple[np.ndarray, np.ndarray]
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
                places[0][i], places[1][j], "o", ms=2.0 + 8.0 * np.sqrt((size - 1) / (SIZES - 1)),
                mew=0.9, zorder=3 if solid else 2, gid=f"{gid}-{size}", **_look(solid=solid),
            )  # fmt: skip


def _look(*, solid: bool) -> dict[str, Any]:
    """Fill marks where the study is held, leave them open where it is not."""
    colour = style.INK.light if solid else style.QUIET.light
    return {"mec": colour, "mfc": colour if solid else "none"}


def _histogram(ax: Axes, x: np.ndarray, held: np.ndarray, edges: np.ndarray, study: str) -> None:
    from matplotlib.lines import Line2D

    top = ax.inset_axes((0, 1.03, 1, 0.22), sharex=ax)
    top.stairs(
        np.histogram(x[held], edges)[0], edges, fill=True, color=style.INK.light, alpha=0.75,
        gid="subsets-with",
    )  # fmt: skip
    top.stairs(
        np.histogram(x[~held], edges)[0], edges, color=style.QUIET.light, lw=1.6,
        gid="subsets-without",
    )  # fmt: skip
    top.axis("off")
    marks = [
        Line2D([], [], ls="", marker="o", ms=8, mew=1.4, **_look(solid=solid))
        for solid in (True, False)
    ]
    names = fit_keys(ax, [f"with {study}", "without"], columns=2)
    legend_above(top, marks, names, handletextpad=0.3)


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
    heterogeneity = printing.between(least, most, 0)
    number_of_subsets = printing.count(len(result))
    drawn = f"{number_of_subsets} sampled" if result.sampled else f"all {number_of_subsets}"
    cloud = f"The middle 95% of the estimates lie from {span}, of I² from {heterogeneity}%."
    gap = row["separation"]
    if not np.isfinite(gap):
        verdict = f"{study} is in every subset or in none, so that nothing can be compared."
    else:
        verdict = (
            f"With {study} the mean estimate is {number(row['estimate_with'])}, without it "
            f"{number(row['estimate_without'])}. The difference is {printing.number(abs(gap), 1)} "
            f"within-group standard deviations, {'more' if abs(gap) > APART else 'not more'} than "
            f"the {printing.number(APART, 0)} above which two equal normal distributions have two "
            "peaks."
        )
    lack, lost = "", len(result) - len(x)
    if lost:
        lack = f" {printing.counted(lost, 'subset').capitalize()} without an estimate left out."
    members = printing.counted(len(result.labels), *subject.noun)
    value = "percent2" if percent else "number3"
    order = ties.order(summary["separation"].abs(), descending=True)
    return Note(
        "GOSH plot",
        f"GOSH plot of {drawn} subsets of {members}. {cloud} {verdict}{lack}",
        f"{verdict} Each mark represents subsets with about the same result; its area grows with "
        f"their number. {cloud}{lack}",
        numbers(
            summary.iloc[order].rename_axis(subject.study).reset_index(),
            f"Mean results with and without each {subject.study}, over {drawn} subsets",
            {
                subject.study: "",
                "estimate_with": ("Estimate with", value),
                "estimate_without": ("Estimate without", value),
                "I2_with": (f"I² with{printing.IN_PERCENT}", "number1"),
                "I2_without": (f"I² without{printing.IN_PERCENT}", "number1"),
                "separation": "",
            },
            notes=[
                "Separation: difference of the means in standard deviations within the two groups."
            ],
        ),
    )
