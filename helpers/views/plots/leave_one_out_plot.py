"""Leave-one-out on one strip: a line for the estimate without each study, three of them named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .accepted import pooled_of
from .frame import Axes, axes_of, figure_of, grid_below, name_axes, room_of_axes, round_ticks
from .lettering import GROUND, fit_text, measure
from .note import Note, annotate, numbers

HEIGHT, SIDE = 178.0, 16.0  # CSS pixels


@style.themed
def leave_one_out_strip(
    fit: Any, *, ax: Axes | None = None, subject: Subject = NEUTRAL, width: float = 720.0
) -> Axes:
    """Draw the pooled estimate without each study in turn, all on one strip.

    Parameters
    ----------
    fit : PoolResult
        Any model; at least 2 included studies.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Pooled estimate across; a line for each study that is left out. The lowest, the highest and
        the estimate of all are named; the bar under the lines is the interval of all.

    Raises
    ------
    MetaAnalysisError
        When no deletion leaves an estimate.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50], study=["A", "B", "C"], model="glmm")
    >>> show(leave_one_out_strip(fit), "without-each")  # doctest: +ELLIPSIS
    Strip of the pooled proportion without each of three studies. ...
    """
    subject = subject.of_measure(pooled_of(fit, "leave_one_out_strip").measure)
    frame = fit.leave_one_out()
    frame = frame[np.isfinite(frame["estimate"])]
    if frame.empty:
        raise MetaAnalysisError("no subset of the studies has an estimate: nothing to draw")
    values = frame["estimate"].to_numpy(float)
    low, high = (
        (str(frame.index[place]), float(values[place]))
        for place in (ties.smallest(values), ties.largest(values))
    )
    ax = axes_of(ax, width, HEIGHT, left=SIDE, right=SIDE, bottom=48, top=6)
    every = [*values, *fit.ci]
    pad = 0.04 * (max(every) - min(every)) or 0.05
    least = min(every) - pad
    ax.set_xlim(max(least, 0.0) if fit.n is not None else least, max(every) + pad)
    ax.set_ylim(0, 1)
    ax.plot(
        fit.ci, [0.12, 0.12], color=style.GRID.light, lw=9, solid_capstyle="butt", gid="interval"
    )
    ax.vlines(values, 0.05, 0.42, color=style.QUIET.light, lw=1.2, alpha=0.8, gid="without")
    _name(ax, f"Without {low[0]}", low[1], fit, 0.52, "right", style.ACCENT)
    _name(ax, f"Without {high[0]}", high[1], fit, 0.69, "left", style.ACCENT)
    _name(ax, f"All {printing.count(fit.k)}", fit.estimate, fit, 0.88, "left", style.INK)
    round_ticks(ax.xaxis, ax.get_xlim(), 7, 100 if fit.n is not None else 1)
    ax.set_yticks([])
    name_axes(ax, f"Pooled {printing.lower(subject.outcome)}{', %' if fit.n is not None else ''}")
    grid_below(ax, "x", hide=("left",))
    annotate(ax, _note(fit, frame, low, high, subject), subject)
    return ax


def _name(
    ax: Axes, text: str, value: float, fit: Any, y: float, side: str, colour: style.Colour
) -> None:
    """Name a line, on the side asked for unless there is more room on the other."""
    wide = room_of_axes(ax)[2]
    low, high = ax.get_xlim()
    at = (value - low) / (high - low) * wide
    words = f"{text}: {_shown(value, fit)}"
    ax.plot([value, value], [0.05, y + 0.05], color=colour.light, lw=2, zorder=4, gid="named")
    rooms = {"left": wide - at + SIDE - 12, "right": at + SIDE - 12}
    if measure(figure_of(ax), words) > rooms[side]:
        side = max(rooms, key=rooms.__getitem__)
    room = rooms[side]
    shift = 6 if side == "left" else -6
    ax.annotate(
        fit_text(figure_of(ax), words, room), (value, y), xytext=(shift, 0), ha=side,
        textcoords="offset points", va="center", zorder=5,
        bbox=GROUND,
    )  # fmt: skip


def _shown(value: float, fit: Any) -> str:
    return printing.number(value) if fit.n is None else printing.percent(value)


def _note(
    fit: Any, frame: pd.DataFrame, low: tuple[str, float], high: tuple[str, float], subject: Subject
) -> Note:
    what, number = printing.lower(subject.outcome), printing.counted(fit.k, *subject.noun)
    finding = (
        f"Whichever {subject.study} is left out, pooled {what} lies between {_shown(low[1], fit)} "
        f"(without {low[0]}) and {_shown(high[1], fit)} (without {high[0]}); with all it is "
        f"{_shown(fit.estimate, fit)}."
    )
    inside = int(((frame["estimate"] >= fit.ci.lower) & (frame["estimate"] <= fit.ci.upper)).sum())
    form = "percent" if fit.n is not None else "number"
    square = {"I2": (f"I²{printing.IN_PERCENT}", "number1")} if "I2" in frame else {}
    return Note(
        f"Pooled {what}, leaving one out",
        f"Strip of the pooled {what} without each of {number}. {finding}",
        f"{finding} Each line is the estimate without one {subject.study}; the bar is the "
        f"{printing.level_text(fit.level)} interval of all, and "
        f"{printing.of_total(inside, len(frame))} lines lie inside it.",
        numbers(
            frame.rename_axis("left out").reset_index(),
            f"{subject.outcome} pooled without each one",
            {
                "left out": "", "estimate": (subject.outcome, form), "ci_lower": ("From", form),
                "ci_upper": ("To", form), **square,
            },
        ),
    )  # fmt: skip
