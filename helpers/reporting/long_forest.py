"""A forest plot of more studies than can be named: one thin line a study, sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import printing, ties
from ..engine.normal.prediction import displayed_prediction
from ..views.plots import Note, annotate, style
from ..views.plots.forest.rows import printed_size
from ..views.plots.frame import axes_of, grid_below, name_axes, number_ticks, round_places
from ..views.plots.note import interval_columns, numbers
from ..views.subject import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@style.themed
def strip(fit: Any, *, subject: Subject, prediction: bool = True, width: float = 760.0) -> Axes:
    """Draw every study as a thin interval, smallest estimate at the top, the pooled result below.

    The table of the picture names every study. `width` is in CSS pixels; `prediction` draws the
    interval of a new study where the fit has one.

    >>> import numpy as np
    >>> from helpers import Subject, pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=np.arange(200) % 9 + 1, n=np.full(200, 60), model="glmm")
    >>> show(strip(fit, subject=Subject()), "forest")  # doctest: +ELLIPSIS
    Forest plot of proportion in 200 studies, ...
    """
    subject = subject.of_measure(fit.measure)
    unit = subject.unit(fit)
    factor = float(printing.factor_of(unit))
    studies = fit.studies[fit.studies["included"]]
    studies = studies.iloc[ties.order(studies["estimate"])]
    limits = factor * studies[["ci_lower", "ci_upper"]].to_numpy(dtype=float)
    estimates, rows = factor * studies["estimate"].to_numpy(dtype=float), np.arange(len(studies))
    ax = axes_of(None, width, 520.0, left=20, right=20, bottom=54, top=12)
    ink, quiet, accent = style.INK.light, style.QUIET.light, style.ACCENT.light
    ax.hlines(rows, *limits.T, color=quiet, lw=0.5, zorder=2)
    ax.plot(estimates, rows, ".", color=ink, ms=2.2, zorder=3, gid="studies")
    low, high = (factor * bound for bound in fit.ci)
    ax.axvline(factor * fit.estimate, color=accent, lw=1.2, zorder=4)
    below = len(rows) * np.array([1.03, 1.08])
    ax.fill_betweenx(below, low, high, color=accent, lw=0, zorder=4)
    expected = displayed_prediction(fit)[0] if prediction else None
    if expected is not None:
        lower, upper = (factor * bound for bound in expected)
        ax.hlines(below.mean(), lower, upper, color=accent, lw=1.4)
    ax.set_ylim(1.1 * len(rows), -0.02 * len(rows))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(round_places(7))
    number_ticks(ax.xaxis)
    grid_below(ax, "x")
    name_axes(ax, f"{subject.outcome}{printing.unit_heading(unit, ' ')}")
    annotate(ax, _note(fit, studies, subject, expected), subject)
    return ax


def _note(fit: Any, studies: Any, subject: Subject, expected: Any) -> Note:
    title = f"Forest plot of {printing.lower(subject.outcome)}"
    count = printing.counted(fit.k, *subject.noun)
    finding = f"{subject.outcome} was {printing.estimate(fit, unit=subject.unit(fit))} in {count}."
    if expected is not None:
        finding += (
            f" The true value of a new, similar {subject.study} is expected in the "
            f"{printing.prediction(fit, unit=subject.unit(fit))}."
        )
    frame = studies.rename(columns={"ci_lower": "lower", "ci_upper": "upper"})
    known = {
        "events": (subject.events, "count"),
        "n": (subject.n, "count"),
        "time": (subject.time, printed_size),
    }
    counts = {name: heading for name, heading in known.items() if name in frame}
    return Note(
        title,
        f"{title} in {count}, one line each, sorted. {finding}",
        f"{finding} Each line is one {subject.study} with its {printing.level_text(fit.level)} "
        "interval, sorted by its estimate; below, the pooled estimate with its confidence interval "
        f"(bar) and prediction interval (line), where there is one. The table names all "
        f"{subject.studies}.",
        numbers(
            frame.rename_axis(subject.study).reset_index()[
                [subject.study, *counts, "estimate", "lower", "upper"]
            ],
            f"{subject.outcome} in each {subject.study}",
            {
                subject.study: "",
                **counts,
                **interval_columns(fit, subject.outcome, unit=subject.unit(fit)),
            },
        ),
    )
