"""Shrinkage: what every study counted, and what a model makes of it in the light of the others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import UnsupportedError
from ...models.bayes import Posterior
from ..subject import NEUTRAL, Subject
from . import style
from .frame import Axes, axes_of, grid_below, name_axes, round_ticks
from .lettering import CLEAR, fit_names, key_above
from .note import Note, annotate, numbers

ROW = 18.5
BELOW = 46.0
ABOVE = 48.0


@style.themed
def shrinkage(
    post: Posterior,
    *,
    most: int | None = None,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    width: float = 720.0,
) -> Axes:
    """Draw the raw rate of every study against its posterior.

    Parameters
    ----------
    post : Posterior
        Of counts.
    most : int, optional
        Draw these many studies alone, those that move most; all by default.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Studies by size, the largest first: open circles are raw rates, filled ones posterior
        medians with their intervals; the dashed line is the pooled rate.

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
    if post.data.events is None:
        raise UnsupportedError("raw rates need counts: events and n")
    subject = subject.of_measure(post.measure)
    frame = post.shrinkage().join(post.studies[["events", "n"]])
    whole = len(frame)
    if most is not None:
        moved = (frame["estimate"] - frame["observed"]).abs()
        frame = frame.iloc[ties.order(moved, descending=True)[:most]]
    frame = frame.iloc[ties.order(frame["n"], descending=True)]
    lower, upper, observed, middle = (
        frame[name].to_numpy(dtype=float)
        for name in ("ci_lower", "ci_upper", "observed", "estimate")
    )
    narrow = width < style.NARROW
    names = [
        str(name) if narrow else f"{name}  {printing.count(x)}/{printing.count(n)}"
        for name, x, n in frame[["events", "n"]].astype(float).itertuples()
    ]
    left = min(0.45, (16 + 6.8 * max(map(len, names))) / width)
    tall = ABOVE + ROW * (len(frame) + 1) + BELOW
    ax = axes_of(ax, width, tall, left=width * left, right=16, bottom=BELOW, top=ABOVE)
    place = np.arange(len(frame), dtype=float)
    ink, quiet = style.INK.light, style.QUIET.light
    for i, y in enumerate(place):
        ax.plot([lower[i], upper[i]], [y, y], color=quiet, lw=1.1, zorder=2, alpha=0.75)
        ax.plot([observed[i], middle[i]], [y, y], color=ink, lw=0.9, zorder=3)
    raw = ax.scatter(
        observed, place, s=24, facecolors=style.SURFACE.light, edgecolors=ink, linewidths=1.1,
        zorder=4, clip_on=False, gid="raw",
    )  # fmt: skip
    shrunken = ax.scatter(middle, place, s=24, color=ink, lw=0, zorder=5, gid="shrunken")
    pooled = ax.axvline(post.estimate, color=quiet, lw=1, dashes=(3, 3), zorder=1)
    high = min(1.0, max(float(observed.max()), float(upper.max())) * 1.04)
    ax.set_xlim(0, high)
    ax.set_ylim(len(frame) - 0.4, -0.8)
    round_ticks(ax.xaxis, (0, high), 8, 100)
    name_axes(ax, f"{subject.outcome}, %")
    ax.set_yticks(place, fit_names(ax, names), size=style.size("small"))
    ax.tick_params(axis="y", pad=CLEAR)
    grid_below(ax, "x", hide=("left",))
    key_above(ax, [raw, shrunken, pooled], ["raw rate", "posterior median", "pooled rate"])
    annotate(ax, _note(post, frame, subject, whole))
    return ax


def _note(post: Posterior, frame: pd.DataFrame, subject: Subject, whole: int) -> Note:
    place = ties.largest((frame["estimate"] - frame["observed"]).abs())
    row = frame.iloc[place]
    raw, new = ((float(frame[c].min()), float(frame[c].max())) for c in ("observed", "estimate"))
    move = (
        f"{frame.index[place]} moves most, from {printing.percent(row['observed'])} "
        f"({printing.count(row['events'])} of {printing.count(row['n'])}) to "
        f"{printing.percent(row['estimate'])}"
    )
    span = (
        f"Raw rates range from {printing.percent_range(raw)}, shrunken ones from "
        f"{printing.percent_range(new)}"
    )
    caption = f"{span}. {move}."
    if len(frame) < whole:
        studies = printing.counted(whole, *subject.noun)
        caption = f"{move}. Shown are the {printing.word(len(frame))} of {studies} that move most."
    return Note(
        "Raw and shrunken rates",
        f"Raw and shrunken rates of {printing.counted(len(frame), *subject.noun)}. "
        f"{subject.outcome}. {span}; the pooled rate is {printing.percent(post.estimate)}. {move}.",
        caption,
        numbers(
            frame.reset_index(),
            "Raw and shrunken rates: the numbers behind the figure",
            {
                "study": (subject.study.capitalize(), ""), "events": (subject.events, "count"),
                "n": (subject.n, "count"), "observed": ("Raw", "percent"),
                "estimate": ("Shrunken", "percent"), "ci_lower": ("Lower", "percent"),
                "ci_upper": ("Upper", "percent"),
            },
        ),
    )  # fmt: skip
