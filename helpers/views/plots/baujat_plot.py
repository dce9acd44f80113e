"""The Baujat plot: which studies make the heterogeneity, and which move the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .accepted import diagnosed_of
from .frame import Axes, axes_of, grid_below, name_axes, round_places
from .lettering import name_marks
from .note import Note, annotate, numbers

NAMED = 6


@style.themed
def baujat(
    fit: Any,
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    width: float = 620.0,
) -> Axes:
    """Draw each study's part of the heterogeneity against its influence on the result.

    Parameters
    ----------
    fit : PoolResult, RegressionResult or SubgroupResult
        Any model; at least 2 included studies.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Values of ``fit.baujat()``. Named are the six studies farthest from the origin, each axis in
        units of its largest value. Studies whose deletion leaves no estimate are not drawn; the
        caption counts them.

    Raises
    ------
    MetaAnalysisError
        When no study can be drawn.

    References
    ----------
    Baujat B, Mahé C, Pignon JP, Hill C (2002), doi:10.1002/sim.1221.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[3, 4, 5, 30], n=[60, 60, 60, 60], model="common")
    >>> show(baujat(fit), "baujat-of-four")  # doctest: +ELLIPSIS
    Baujat plot of four studies. ...
    """
    frame = diagnosed_of(fit, "baujat").baujat()
    drawn = frame[np.isfinite(frame[["contribution", "influence"]]).all(axis=1)]
    if drawn.empty:
        raise MetaAnalysisError("no study can be left out: there is nothing to draw")
    x, y = drawn["contribution"].to_numpy(float), drawn["influence"].to_numpy(float)
    far = ties.order(np.hypot(x / _top(x), y / _top(y)), descending=True).tolist()
    ax = axes_of(ax, width, 400, left=66, right=16, bottom=54, top=12)
    ax.set_xlim(-0.03 * _top(x), 1.12 * _top(x))
    ax.set_ylim(-0.03 * _top(y), 1.12 * _top(y))
    grid_below(ax, "both")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(round_places(6))
    name_axes(
        ax,
        "Contribution to heterogeneity",
        f"Influence: squared shift of the {_moved(fit)}, in standard errors",
    )
    ax.scatter(
        x, y, s=46, c=style.INK.light, edgecolors=style.SURFACE.light, linewidths=0.8, zorder=3,
        gid="studies",
    )  # fmt: skip
    name_marks(ax, x, y, np.full(len(x), 4.5), list(drawn.index.astype(str)), far[:NAMED])
    annotate(ax, _note(fit, frame, drawn, far, subject))
    return ax


def _top(values: np.ndarray) -> float:
    return float(values.max()) or 1.0


def _moved(fit: Any) -> str:
    """Name what moves without a study."""
    groups = getattr(fit, "groups", None)
    several = fit.core.X.shape[1] > 1 if groups is None else len(groups) > 1
    return "fit" if several else "estimate"


def _note(
    fit: Any, frame: pd.DataFrame, drawn: pd.DataFrame, far: list[int], subject: Subject
) -> Note:
    total = float(drawn["contribution"].sum())
    most, moves = (drawn.index[ties.largest(drawn[c])] for c in ("contribution", "influence"))
    part = printing.percent(drawn["contribution"].max() / total if total else 0, 0)
    squared = float(drawn["influence"].max())
    both = " and" if most == moves else f"; {moves}"
    what = "pooled estimate" if _moved(fit) == "estimate" else "value that is fitted to it"
    findings = (
        f"{most} contributes most to the heterogeneity ({part} of the total){both} moves the "
        f"{what} most, by {printing.number(float(np.sqrt(squared)), 2)} standard errors "
        f"({printing.number(squared, 2)} when squared, as on the vertical axis)."
    )
    lack, lost = "", len(frame) - len(drawn)
    if lost:
        lack = (
            f" Without {printing.counted(lost, *subject.noun)} there is no estimate; these are not "
            "drawn."
        )
    names = printing.listing(str(drawn.index[i]) for i in far[:3])
    contribution = (
        f"Contribution: deviance of the {subject.study} at the fit (its part of Q for a common "
        "effect)."
        if fit.options.method == "likelihood"
        else "Contribution: squared residual over its variance (its part of Q for a common effect)."
    )
    shown = frame.iloc[ties.order(frame["influence"], descending=True)]
    return Note(
        "Baujat plot",
        f"Baujat plot of {printing.counted(len(drawn), *subject.noun)}. {findings} Farthest from "
        f"the origin: {names}.{lack}",
        f"{findings} Points at the top right do both; points near the origin do neither.{lack}",
        numbers(
            shown.rename_axis(subject.study).reset_index(),
            "The numbers behind the Baujat plot",
            {subject.study: "", "contribution": "number3", "influence": "number3"},
            notes=[
                contribution,
                f"Influence: squared shift of the {_moved(fit)} without the {subject.study}, "
                "over its variance.",
            ],
        ),
    )
