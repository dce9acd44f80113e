"""Shrinkage: what every study counted, and what a model makes of it in the light of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import printing, ties
from ...errors import MetaAnalysisError, UnsupportedError
from ...models.bayes import Posterior
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, grid_below, number_ticks
from .lettering import fit_names
from .note import Note, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ..tables import Table

__all__ = ["shrinkage"]

ROW = 17.0
BELOW = 46.0
ABOVE = 42.0


@style.themed
def shrinkage(
    post: Posterior,
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    width: float = 720.0,
) -> Axes:
    """Draw the raw rate of every study against its posterior.

    Parameters
    ----------
    post : Posterior
        Of counts.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Studies by size, the largest first: open circles are raw rates, filled ones posterior
        medians with their intervals; the dashed line is the pooled rate. With a note that
        ``show`` picks up.

    Raises
    ------
    UnsupportedError
        A posterior of effects without counts.

    Examples
    --------
    >>> from helpers import posterior as fit
    >>> from helpers.views.plots import show, shrinkage
    >>> post = fit(events=[3, 8, 0], n=[40, 60, 9], study=["A", "B", "C"])
    >>> show(shrinkage(post), "three")  # doctest: +ELLIPSIS
    Raw and shrunken rates of three studies. ...
    """
    from matplotlib.ticker import FixedLocator, MaxNLocator

    if post.data.events is None:
        raise UnsupportedError("raw rates need counts: events and n")
    subject = subject.of_measure(post.measure)
    frame = post.shrinkage().join(post.studies[["events", "n"]])
    if frame.empty:
        raise MetaAnalysisError("there is no study to draw")
    frame = frame.iloc[ties.order(frame["n"], descending=True)]
    k = len(frame)
    counts = frame[["events", "n"]].to_numpy(dtype=float)
    lower, upper, raw_rate, middle = (
        frame[name].to_numpy(dtype=float)
        for name in ("ci_lower", "ci_upper", "observed", "estimate")
    )
    names = [
        f"{name}  {printing.count(x)}/{printing.count(n)}"
        for name, (x, n) in zip(frame.index, counts, strict=True)
    ]
    tall = ABOVE + ROW * (k + 1) + BELOW
    left = min(0.45, (16 + 6.3 * max(map(len, names))) / width)
    ax = axes_of(ax, width, tall, left=width * left, right=16, bottom=BELOW, top=ABOVE)
    place = np.arange(k, dtype=float)
    ink, quiet = style.INK.light, style.QUIET.light
    for i, y in enumerate(place):
        ax.plot([lower[i], upper[i]], [y, y], color=quiet, lw=1.1, zorder=2, alpha=0.75)
        ax.plot([raw_rate[i], middle[i]], [y, y], color=ink, lw=0.9, zorder=3)
    raw = ax.scatter(
        raw_rate,
        place,
        s=24,
        facecolors=style.SURFACE.light,
        edgecolors=ink,
        linewidths=1.1,
        zorder=4,
        clip_on=False,
        label="raw rate",
        gid="raw",
    )
    shrunken = ax.scatter(
        middle, place, s=24, color=ink, lw=0, zorder=5, label="posterior median", gid="shrunken"
    )
    pooled = ax.axvline(
        post.estimate, color=quiet, lw=1, dashes=(3, 3), zorder=1, label="pooled rate"
    )
    high = max(float(raw_rate.max()), float(upper.max()))
    ax.set_xlim(0, min(1.0, high * 1.04))
    ax.set_ylim(k - 0.4, -0.8)
    found = MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]).tick_values(0, 100 * ax.get_xlim()[1])
    ax.xaxis.set_major_locator(
        FixedLocator([float(t) / 100 for t in found if 0 <= t / 100 <= ax.get_xlim()[1]])
    )
    number_ticks(ax.xaxis, 100)
    ax.set_xlabel(f"{subject.outcome}, %", labelpad=5)
    ax.set_yticks(place, fit_names(ax, names), size=style.size("small"))
    grid_below(ax, "x", hide=("left",))
    ax.legend(
        handles=[raw, shrunken, pooled],
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        borderaxespad=0.4,
        handletextpad=0.5,
        columnspacing=1.6,
    )
    annotate(ax, _note(post, frame, subject))
    return ax


def _note(post: Posterior, frame: pd.DataFrame, subject: Subject) -> Note:
    from ..tables import table

    moved = (frame["estimate"] - frame["observed"]).abs()
    place = ties.largest(moved)
    far, row = str(frame.index[place]), frame.iloc[place]
    raw = (float(frame["observed"].min()), float(frame["observed"].max()))
    new = (float(frame["estimate"].min()), float(frame["estimate"].max()))
    move = (
        f"{far} moves most, from {printing.percent(row['observed'])} "
        f"({printing.count(row['events'])} of {printing.count(row['n'])}) to "
        f"{printing.percent(row['estimate'])}"
    )
    span = (
        f"Raw rates run from {printing.percent_range(raw)}, shrunken ones from "
        f"{printing.percent_range(new)}"
    )
    shown = frame.reset_index()[
        ["study", "events", "n", "observed", "estimate", "ci_lower", "ci_upper"]
    ]
    made: Table = table(
        shown,
        caption="Raw and shrunken rates: the numbers behind the figure",
        formats={"events": "count", "n": "count"}
        | dict.fromkeys(("observed", "estimate", "ci_lower", "ci_upper"), "percent"),
        labels={
            "study": subject.study.capitalize(),
            "events": subject.events,
            "n": subject.n,
            "observed": f"Raw,{printing.HARD}%",
            "estimate": f"Shrunken,{printing.HARD}%",
            "ci_lower": f"Lower,{printing.HARD}%",
            "ci_upper": f"Upper,{printing.HARD}%",
        },
    )
    return Note(
        title="Raw and shrunken rates",
        alt=(
            f"Raw and shrunken rates of {printing.counted(len(frame), *subject.noun)}. "
            f"{subject.outcome}. {span}; the pooled rate is {printing.percent(post.estimate)}. "
            f"{move}."
        ),
        caption=f"{span}. {move}.",
        table=made,
    )
