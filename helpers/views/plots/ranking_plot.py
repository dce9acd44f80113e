"""Rank probabilities: how sure an order is, one column chart for each group."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import printing, ties
from ...models.bayes import Ranking
from ..subject import NEUTRAL, Subject
from . import style
from .frame import Axes, axes_of, grid_below
from .lettering import beside, fit_names
from .note import Note, annotate, numbers

ROW = 44.0
CELL = 74.0
HIGH = 0.48  # of a row, for a probability of 1


@style.themed
def ranking(
    ranks: Ranking,
    *,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw the probability of every rank of every group.

    Parameters
    ----------
    ranks : Ranking
        From `helpers.bayes.rank_probabilities`.
    subject : Subject
        Colours of the groups.
    ax : Axes, optional
        Where to draw; a new figure as tall as its rows need by default.
    width : float
        Largest width of a new figure in CSS pixels.

    Returns
    -------
    Axes
        A row for each group, lowest mean rank first, a column for each rank; the height of a bar is
        the probability, which is written above it.

    Examples
    --------
    >>> from helpers import posterior as fit
    >>> from helpers.models.bayes import rank_probabilities
    >>> from helpers.views.plots import ranking, show
    >>> low = fit(events=[3, 2], n=[90, 80])
    >>> high = fit(events=[9, 8], n=[80, 60])
    >>> show(ranking(rank_probabilities({"A": low, "B": high})), "two")  # doctest: +ELLIPSIS
    Probability of every rank of two groups. ...
    """
    groups = len(ranks.names)
    order = ties.order(ranks.mean_rank)
    names = [ranks.names[i] for i in order]
    left = min(18 + 7.0 * max(map(len, names)), 0.4 * width)
    wide = min(width, left + CELL * groups + 20)
    ax = axes_of(ax, wide, 60 + ROW * groups, left=left, right=14, bottom=14, top=46)
    colours, places = subject.colours(names), np.arange(1, groups + 1)
    for y, (i, name) in enumerate(zip(order, names, strict=True)):
        base, chances = y + 0.86, ranks.probabilities[i]
        ax.plot([0.5, groups + 0.5], [base, base], color=style.GRID.light, lw=0.8, zorder=1)
        bars = ax.bar(
            places, -HIGH * chances, bottom=base, width=0.62, color=colours[name].light, zorder=2
        )
        for rank, bar, chance in zip(places, bars, chances, strict=True):
            bar.set_gid(f"bar-{name}-{rank}")
            text = printing.percent(float(chance), 0)
            beside(ax, text, (rank, base - HIGH * chance), (0, 2), ha="center", va="bottom")
    ax.set_xlim(0.5, groups + 0.5)
    ax.set_ylim(groups, 0)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    labels = [str(rank) for rank in places]
    labels[0], labels[-1] = "1 (lowest)", f"{groups} (highest)"
    ax.set_xticks(places, labels)
    ax.set_xlabel("Rank of the rate", labelpad=6)
    ax.set_yticks([y + 0.72 for y in range(groups)], fit_names(ax, names))
    grid_below(ax, hide=("left", "bottom", "top", "right"))
    annotate(ax, _note(ranks, order), subject)
    return ax


def _note(ranks: Ranking, order: np.ndarray) -> Note:
    likely = [
        f"{ranks.names[i]} rank {printing.count(ties.largest(ranks.probabilities[i]) + 1)} "
        f"({printing.percent(float(ranks.probabilities[i].max()), 0)})"
        for i in order
    ]
    sure = [ranks.names[i] for i in order if ranks.probabilities[i].max() > 0.95]
    who = "Every group has" if sure else "No group has"
    if sure and len(sure) < len(order):
        who = f"Only {printing.listing(sure)} {'has' if len(sure) == 1 else 'have'}"
    verdict = f"{who} a rank that is more than 95% probable."
    frame = ranks.frame().iloc[order].reset_index()
    columns: dict[str, Any] = dict.fromkeys(frame.columns, "")
    for name in frame.columns:
        if name.startswith("rank_"):
            columns[name] = (printing.capital(printing.readable(name)), "percent")
    columns |= {"mean_rank": "number", "sucra": ("SUCRA", "number")}
    return Note(
        "Rank probabilities",
        f"Probability of every rank of {printing.counted(len(order), 'group')}. Most probable: "
        f"{printing.listing(likely)}. {verdict}",
        verdict,
        numbers(frame, "Rank probabilities: the numbers behind the figure", columns),
    )
