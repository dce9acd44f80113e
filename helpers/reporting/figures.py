"""The figures of a report, each drawn only where its result exists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import printing, ties
from ..engine.beside import possible, shared
from ..engine.normal.prediction import displayed_prediction
from ..errors import MetaAnalysisError
from ..evidence.given import rating_of
from ..views import plots
from ..views.plots import Note, Picture, annotate, style
from ..views.plots.forest.rows import printed_size
from ..views.plots.frame import (
    Axes,
    Figure,
    axes_of,
    figure_of,
    grid_below,
    name_axes,
    number_ticks,
    round_places,
)
from ..views.plots.note import interval_columns, numbers
from ..views.subject import Subject
from . import exports
from .analysis import Analysis, NotComputed, Progress

#: Up to so many studies a forest plot names each; two printed pages hold no more.
MOST_ROWS = 150
#: Figures of deletions name so many studies, those that matter most; tables hold all.
MOST_DELETIONS = 40


class Drawing:
    """Every figure that the results allow, each drawn when it is first asked for."""

    def __init__(
        self, analysis: Analysis, subject: Subject, progress: Progress = lambda step: None
    ) -> None:
        self.progress = progress
        self._found: dict[str, Picture | NotComputed] = {}
        self._figures: dict[str, Figure] = {}
        self._reasons: list[NotComputed] = []
        fit, groups = analysis.fit, analysis.groups
        left = 0 if groups is None else fit.k - groups.overall.k
        whole = fit if groups is None or left else groups
        if left:  # groups that do not hold every study: the forest plot shows all instead
            self._reasons.append(
                NotComputed(
                    "Groups in the forest plot",
                    f"{printing.counted(left, *subject.noun)} of {printing.count(fit.k)} "
                    f"{'has' if left == 1 else 'have'} no group in column "
                    f"{analysis.columns.by!r}; the forest plot shows all {subject.studies}, "
                    "without groups",
                )
            )
        self._wanted = list(_wanted(analysis, whole, subject))

    def _drawn(self, name: str, title: str, step: Callable[[], Axes]) -> Picture | NotComputed:
        """Draw a figure, unless the one that its picture is of is at hand."""
        if name not in self._figures and not isinstance(self._found.get(name), NotComputed):
            try:
                drawn = step()
                self._found[name] = plots.show(drawn, name=name)
                self._figures[name] = figure_of(drawn)
            # Refusals only (a plot of values that do not exist); see `helpers.reporting.analysis`.
            except MetaAnalysisError as error:
                self._found[name] = NotComputed(title, str(error))
        return self._found[name]

    def _all(self) -> Iterator[tuple[str, Picture | NotComputed]]:
        """Draw what is not drawn, and give every figure or the reason why there is none."""
        for name, title, step in self._wanted:
            if name not in self._found:
                self.progress(title)
                self._drawn(name, title, step)
            yield name, self._found[name]

    @property
    def pictures(self) -> dict[str, Picture]:
        """For the page, by name."""
        return {name: one for name, one in self._all() if isinstance(one, Picture)}

    @property
    def figures(self) -> dict[str, Figure]:
        """To work on, by the same names; one that another process drew is drawn again."""
        shown = self.pictures
        for one in self._wanted:
            self._drawn(*one)
        return {name: self._figures[name] for name in shown}

    @property
    def reasons(self) -> tuple[NotComputed, ...]:
        """Why figures are missing."""
        missing = (one for _, one in self._all() if isinstance(one, NotComputed))
        return (*self._reasons, *missing)

    def files(self, formats: Sequence[str]) -> dict[str, bytes]:
        """Draw what is not drawn, and give the files of every figure by their names.

        A process beside this one draws its share, where that is possible.
        """

        def made(
            name: str, title: str, step: Callable[[], Axes]
        ) -> tuple[Picture | NotComputed, dict[str, bytes]]:
            drawn = self._drawn(name, title, step)
            if isinstance(drawn, NotComputed):
                return drawn, {}
            return drawn, exports.figure_files(drawn, self._figures[name], formats)

        def begins(place: int) -> None:
            name, title, _ = self._wanted[place]
            if name not in self._found:
                self.progress(title)

        if possible():
            exports.import_writers()
            style.load_fonts()
        found: dict[str, bytes] = {}
        every = shared([partial(made, *one) for one in self._wanted], begins)
        for (name, _, _), (drawn, files) in zip(self._wanted, every, strict=True):
            self._found[name] = drawn
            found |= files
        return found


def _wanted(
    analysis: Analysis, whole: Any, subject: Subject
) -> Iterator[tuple[str, str, Callable[[], Axes]]]:
    """Name, title and maker of each figure whose result exists."""
    fit = analysis.fit

    def made(plot: Callable[..., Axes], result: Any = fit, **options: Any) -> Callable[[], Axes]:
        return partial(plot, result, subject=subject, **options)

    if fit.k > MOST_ROWS:
        yield "forest", "Forest plot", made(strip, prediction=not analysis.one_sided)
    else:
        rated = {} if analysis.columns.risk_of_bias is None else {"ratings": _ratings(analysis)}
        every = made(plots.forest, whole, prediction=not analysis.one_sided, **rated)
        yield "forest", "Forest plot", every
    if analysis.groups is not None and len(analysis.groups.groups) > 1:
        named = {printing.readable(analysis.groups.by): analysis.groups}
        yield "subgroup-forest", "Subgroup forest plot", made(plots.subgroup_forest, named)
    if displayed_prediction(fit)[0] is not None and not analysis.one_sided:
        yield "prediction", "Prediction", made(plots.prediction)
    for place, (column, regression) in enumerate(analysis.regressions.items(), start=1):
        across = analysis.moderator(column)
        bubble = made(plots.bubble, regression, xlabel=across)
        yield f"regression-{place}", f"Bubble plot of {across}", bubble
    if analysis.leave_one_out is not None:
        yield (
            "without-each",
            "Leave-one-out forest plot",
            made(plots.leave_one_out_forest, most=MOST_DELETIONS),
        )
    if analysis.influence is not None and fit.k >= 3:
        yield "influence", "Influence", made(plots.influence_panel, most=MOST_DELETIONS)
        yield "baujat", "Baujat plot", made(plots.baujat)
    if analysis.tests:
        up = "se" if fit.n is None else "n"
        yield "funnel", "Funnel plot", made(plots.funnel, vertical=up)


def _ratings(analysis: Analysis) -> dict[str, str]:
    """Give each study with a rating of the risk of bias that rating: low, some or high."""
    columns, data = analysis.columns, analysis.data
    pairs = zip(data[columns.study], data[str(columns.risk_of_bias)], strict=True)
    return {str(study): rating_of(text) for study, text in pairs if isinstance(text, str)}


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
