"""Studies, pooled rate and new study on one axis: two intervals that answer two questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing, ties
from ...engine.normal.prediction import displayed_prediction
from ...errors import UnsupportedError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import number_ticks
from .note import Note, annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..tables import Table

__all__ = ["prediction"]

DOT = 9.0  # diameter of a study's mark, in CSS pixels
LEFT, RIGHT, BELOW, BAR = 12.0, 20.0, 50.0, 50.0


@style.themed
def prediction(
    fit: Any,
    *,
    method: str | None = None,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    width: float = 540.0,
) -> Axes:
    """Draw the studies' own estimates, the pooled interval and that of a new, similar study.

    Parameters
    ----------
    fit : PoolResult
        A random-effects model or GLMM.
    method : str, optional
        Of ``fit.prediction_interval``.
    ax : Axes, optional
        Where to draw; a new figure, as tall as its stacks of studies, by default.
    subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        From the top: a dot for each study at its own estimate, stacked where they crowd; the
        confidence interval of the pooled value; the prediction interval, or in the note that
        ``show`` picks up why none is shown.

    Raises
    ------
    UnsupportedError
        A common effect has no prediction interval.

    References
    ----------
    Higgins JPT, Thompson SG, Spiegelhalter DJ (2009), doi:10.1111/j.1467-985X.2008.00552.x.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[7, 3, 12, 5, 9], n=[269, 80, 140, 60, 90], model="random")
    >>> show(prediction(fit), "new-study")  # doctest: +ELLIPSIS
    Five studies on one axis ...
    """
    from matplotlib import pyplot as plt

    expected, reason = displayed_prediction(fit, method=method)
    if fit.model == "common":
        raise UnsupportedError(f"no prediction interval: {reason}")
    subject = subject.of_measure(fit.measure)
    studies = fit.studies[fit.studies["included"]]
    values = np.sort(studies["estimate"].to_numpy(dtype=float))
    limits = _limits([*values, *(expected or ()), *fit.ci], fit.n is not None)
    fresh = ax is None
    if ax is None:
        figure, ax = plt.subplots(figsize=(width / 72, 3))
    across = (width - LEFT - RIGHT) if fresh else ax.get_window_extent().width * 72 / ax.figure.dpi
    levels = _stack((values - limits[0]) / (limits[1] - limits[0]) * across)
    tall = 38.0 + (DOT + 0.5) * (levels.max() + 1) + 2 * BAR
    if fresh:
        figure.set_size_inches(width / 72, (tall + BELOW) / 72)
        ax.set_position(
            (LEFT / width, BELOW / (tall + BELOW), across / width, tall / (tall + BELOW))
        )
    ax.set_xlim(*limits)
    ax.set_ylim(0, tall)
    _draw(ax, fit, values, levels, expected, subject)
    _axis(ax, subject.outcome, fit.n is not None)
    annotate(ax, _note(fit, values, expected, reason, subject))
    return ax


def _limits(every: list[float], proportion: bool) -> tuple[float, float]:
    low, high = min(every), max(every)
    pad = 0.03 * (high - low) or 0.05
    if proportion and low < 0.5 * high:
        low = pad / 2  # so that the axis begins a little left of zero and zero's dots are whole
        return -pad, high + pad
    return low - pad, high + pad


def _stack(pixels: np.ndarray) -> np.ndarray:
    """Give each of the sorted places the lowest level on which its dot touches no other."""
    ends: list[float] = []
    levels = np.zeros(len(pixels), dtype=int)
    for i, x in enumerate(pixels):
        level = next((j for j, end in enumerate(ends) if x - end >= DOT), len(ends))
        if level == len(ends):
            ends.append(x)
        ends[level] = x
        levels[i] = level
    return levels


def _draw(
    ax: Axes,
    fit: Any,
    values: np.ndarray,
    levels: np.ndarray,
    expected: Any,
    subject: Subject,
) -> None:
    from matplotlib.patches import Polygon, Rectangle

    base = 2 * BAR + DOT
    unit = printing.unit_of(fit)
    digits = 2 if unit == "number" else 1
    new = f"no prediction interval from {printing.word(fit.k)}"
    if expected is not None:
        width = expected.upper - expected.lower
        new = printing.interval(
            expected, fit.level, unit=unit, digits=digits, name="prediction interval"
        )
        band = Rectangle((expected.lower, 0), width, ax.get_ylim()[1], lw=0, zorder=0)
        band.set_facecolor(style.GRID.light)
        band.set_alpha(0.6)
        ax.add_patch(band)
        bar = Rectangle(
            (expected.lower, 9), width, 7, fc=style.INK.light, lw=0, zorder=4, gid="prediction"
        )
        ax.add_patch(bar)
    ax.scatter(
        values,
        base + (DOT + 0.5) * levels,
        s=(DOT - 1) ** 2,
        c=style.INK.light,
        linewidths=0,
        zorder=3,
        clip_on=False,
        gid="studies",
    )
    top = BAR + 12.0
    diamond = Polygon(
        [
            (fit.ci.lower, top),
            (fit.estimate, top + 8),
            (fit.ci.upper, top),
            (fit.estimate, top - 8),
        ],
        closed=True,
        fc=style.INK.light,
        lw=0,
        zorder=4,
        gid="mean",
    )
    ax.add_patch(diamond)
    mean = printing.interval(fit.ci, fit.level, unit=unit, digits=digits)
    rows = (
        (
            ax.get_ylim()[1] - 18,
            f"{printing.counted(len(values), *subject.noun)}, each at its own estimate",
        ),
        (top + 13, f"Pooled over such {subject.studies}: {mean}"),
        (22.0, f"A new, similar {subject.study}: {new}"),
    )
    # From the left, so that a narrow screen shows the words without scrolling.
    left = ax.get_xlim()[0]
    for y, text in rows:
        ax.text(
            left,
            y,
            text[:1].upper() + text[1:],
            ha="left",
            va="bottom",
            parse_math=False,
            weight="bold" if y == 22.0 else "normal",
            zorder=5,
        )


def _axis(ax: Axes, outcome: str, proportion: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    factor = 100 if proportion else 1
    low, high = ax.get_xlim()
    ticks = MaxNLocator(nbins=9, steps=[1, 2, 2.5, 5, 10]).tick_values(factor * low, factor * high)
    shown = [t / factor for t in ticks if low <= t / factor <= high]
    if proportion:
        shown = [t for t in shown if 0 <= t <= 1]
    ax.set_xticks(shown)
    number_ticks(ax.xaxis, factor)
    ax.set_xlabel(f"{outcome}, %" if proportion else outcome, labelpad=5)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def _note(
    fit: Any,
    values: np.ndarray,
    expected: Any,
    reason: str,
    subject: Subject,
) -> Note:
    title = f"Confidence and prediction interval of {printing.lower(subject.outcome)}"
    number = printing.counted(len(values), *subject.noun)
    head = (
        f"{number[:1].upper()}{number[1:]} on one axis of {printing.lower(subject.outcome)}, with "
        f"the interval of the pooled value, {printing.estimate(fit)}"
    )
    table = _table(fit, expected, subject)
    if expected is None:
        said = (
            f"Pooled {printing.lower(subject.outcome)} was {printing.estimate(fit)}. "
            f"No prediction interval: {reason}."
        )
        return Note(title=title, alt=f"{head}. {said}", caption=said, table=table)
    unit = printing.unit_of(fit)
    digits = 2 if unit == "number" else 1
    new = printing.interval(
        expected, fit.level, unit=unit, digits=digits, name="prediction interval"
    )
    ratio = (expected.upper - expected.lower) / (fit.ci.upper - fit.ci.lower)
    outside = int(((values < expected.lower) | (values > expected.upper)).sum())
    span = (
        printing.percent_range(expected)
        if unit == "percent"
        else printing.between(expected.lower, expected.upper, 2)
    )
    verb = "lies" if outside == 1 else "lie"
    some = printing.of_total(outside, len(values)) + " single estimates"
    some = some[:1].upper() + some[1:]
    finding = (
        f"Pooled {printing.lower(subject.outcome)} was {printing.estimate(fit)}; the true value of "
        f"a new, similar {subject.study} may lie anywhere from {span}: an interval "
        f"{printing.number(ratio, 1)} times as wide."
    )
    return Note(
        title=title,
        alt=f"{head}, and the {new}. {some} {verb} outside it.",
        caption=f"{finding} {some} {verb} outside the band; "
        "they scatter more than true values do, because chance is added.",
        table=table,
    )


def _table(fit: Any, expected: Any, subject: Subject) -> Table:
    import pandas as pd

    from ..tables import table

    studies = fit.studies[fit.studies["included"]]
    studies = studies.iloc[ties.order(studies["estimate"])]
    new = (np.nan, np.nan) if expected is None else expected
    frame = pd.DataFrame(
        {
            subject.study: [
                *studies.index.astype(str),
                f"Pooled over such {subject.studies}",
                f"A new, similar {subject.study}",
            ],
            "estimate": [*studies["estimate"], fit.estimate, np.nan],
            "lower": [*studies["ci_lower"], fit.ci.lower, new[0]],
            "upper": [*studies["ci_upper"], fit.ci.upper, new[1]],
        }
    )
    unit = f",{printing.HARD}%" if fit.n is not None else ""
    value: Any = "percent" if fit.n is not None else "number"
    return table(
        frame,
        caption="The numbers behind the figure",
        formats=dict.fromkeys(("estimate", "lower", "upper"), value),
        labels={
            "estimate": f"Estimate{unit}",
            "lower": f"{printing.level_text(fit.level)} interval from",
            "upper": "to",
        },
    )
