"""Studies, pooled rate and new study on one axis: two intervals that answer two questions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import printing, ties
from ...engine.normal.prediction import displayed_prediction
from ...errors import UnsupportedError
from ..subject import NEUTRAL, Subject
from ..tables import Table
from . import style
from .accepted import pooled_of
from .frame import Axes, axes_of, figure_of, name_axes, place_axes, room_of_axes, round_ticks
from .note import Note, annotate, interval_columns, numbers

DOT = 9.0  # diameter of a study's mark, in CSS pixels
LEFT, RIGHT, BELOW, BAR = 12.0, 20.0, 50.0, 50.0


@style.themed
def prediction(
    fit: Any,
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    width: float = 540.0,
) -> Axes:
    """Draw the studies' own estimates, the pooled interval and that of a new, similar study.

    Parameters
    ----------
    fit : PoolResult
        A random-effects model or GLMM.
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
    expected, reason = displayed_prediction(pooled_of(fit, "prediction"))
    if fit.model == "common":
        raise UnsupportedError(f"no prediction interval: {reason}; use model='random' or 'glmm'")
    subject = subject.of_measure(fit.measure)
    percent = fit.n is not None
    studies = fit.studies[fit.studies["included"]]
    values = np.sort(studies["estimate"].to_numpy(dtype=float))
    limits = _limits([*values, *(expected or ()), *fit.ci], percent)
    fresh = ax is None
    ax = axes_of(ax, width, 216, left=LEFT, right=RIGHT, bottom=BELOW, top=0)
    levels = _stack((values - limits[0]) / (limits[1] - limits[0]) * room_of_axes(ax)[2])
    tall = 38.0 + (DOT + 0.5) * (levels.max() + 1) + 2 * BAR
    if fresh:
        figure_of(ax).set_size_inches(width / 72, (tall + BELOW) / 72)
        place_axes(ax, LEFT, BELOW, width - LEFT - RIGHT, tall)
    ax.set_xlim(*limits)
    ax.set_ylim(0, tall)
    new = f"no prediction interval from {printing.word(fit.k)}"
    unit = subject.unit(fit)
    if expected is not None:
        digits = None if percent else printing.places_in(fit, unit)
        new = printing.interval(
            expected, fit.level, unit=unit, digits=digits,
            name="interval" if width < style.NARROW else "prediction interval",
        )  # fmt: skip
    _draw(ax, fit, values, levels, expected, new, subject)
    ticks = round_ticks(ax.xaxis, limits, 9, printing.factor_of(unit))
    ax.set_xticks([t for t in ticks if not percent or 0 <= t <= 1])
    name_axes(ax, f"{subject.outcome}{printing.unit_heading(unit, ' ')}")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    annotate(ax, _note(fit, values, expected, new, reason, subject))
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
    new: str,
    subject: Subject,
) -> None:
    from matplotlib.patches import Polygon, Rectangle

    tall, ink = ax.get_ylim()[1], style.INK.light
    if expected is not None:
        wide = expected.upper - expected.lower
        band = Rectangle(
            (expected.lower, 0), wide, tall, fc=style.GRID.light, alpha=0.6, lw=0, zorder=0
        )
        bar = Rectangle((expected.lower, 9), wide, 7, fc=ink, lw=0, zorder=4, gid="prediction")
        ax.add_patch(band)
        ax.add_patch(bar)
    ax.scatter(
        values, 2 * BAR + DOT + (DOT + 0.5) * levels, s=(DOT - 1) ** 2, c=ink, linewidths=0,
        zorder=3, clip_on=False, gid="studies",
    )  # fmt: skip
    top, (low, high) = BAR + 12.0, fit.ci
    corners = [(low, top), (fit.estimate, top + 8), (high, top), (fit.estimate, top - 8)]
    ax.add_patch(Polygon(corners, closed=True, fc=ink, lw=0, zorder=4, gid="mean"))
    unit = subject.unit(fit)
    mean = printing.interval(fit.ci, fit.level, unit=unit, digits=printing.places_in(fit, unit))
    number = printing.capital(printing.counted(len(values), *subject.noun))
    # From the left, so that a narrow screen shows the words without scrolling.
    for y, text, weight in (
        (tall - 18, f"{number}, each at its own estimate", "normal"),
        (top + 13, f"Pooled estimate: {mean}", "normal"),
        (22.0, f"A new, similar {subject.study}: {new}", "bold"),
    ):
        ax.text(ax.get_xlim()[0], y, text, ha="left", va="bottom", weight=weight, zorder=5)


def _note(
    fit: Any, values: np.ndarray, expected: Any, new: str, reason: str, subject: Subject
) -> Note:
    what, pooled = printing.lower(subject.outcome), printing.estimate(fit, unit=subject.unit(fit))
    title = f"Confidence and prediction interval of {what}"
    number = printing.capital(printing.counted(len(values), *subject.noun))
    head = f"{number} on one axis of {what}, with the interval of the pooled value, {pooled}"
    table = _table(fit, expected, subject)
    if expected is None:
        said = f"Pooled {what} was {pooled}. No prediction interval: {reason}."
        return Note(title, f"{head}. {said}", said, table)
    lower, upper = expected
    ratio = (upper - lower) / (fit.ci.upper - fit.ci.lower)
    outside = int(((values < lower) | (values > upper)).sum())
    span = printing.value_range(expected, subject.unit(fit))
    level, wider = printing.level_text(fit.level), printing.number(ratio, 1)
    some = printing.capital(f"{printing.of_total(outside, len(values))} single estimates")
    some += f" {'lies' if outside == 1 else 'lie'} outside"
    return Note(
        title,
        f"{head}, and the {new}. {some} it.",
        f"Pooled {what} was {pooled}; the {level} prediction interval for the true value of a new, "
        f"similar {subject.study} is {span}, {wider} times as wide. {some} the band; because of "
        "sampling error, estimates vary more than true values.",
        table,
    )


def _table(fit: Any, expected: Any, subject: Subject) -> Table:
    studies = fit.studies[fit.studies["included"]]
    studies = studies.iloc[ties.order(studies["estimate"])]
    new = (np.nan, np.nan) if expected is None else expected
    last = ["Pooled estimate", f"A new, similar {subject.study}"]
    return numbers(
        {
            subject.study: [*studies.index.astype(str), *last],
            "estimate": [*studies["estimate"], fit.estimate, np.nan],
            "lower": [*studies["ci_lower"], fit.ci.lower, new[0]],
            "upper": [*studies["ci_upper"], fit.ci.upper, new[1]],
        },
        "The numbers behind the figure",
        {subject.study: ""} | interval_columns(fit, "Estimate", unit=subject.unit(fit)),
    )
