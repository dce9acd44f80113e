"""The figures of a report, each drawn only where its result exists."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import printing
from ..engine.normal.prediction import displayed_prediction
from ..errors import MetaAnalysisError
from ..evidence.given import rating_of
from ..views import plots
from ..views.plots import Picture
from ..views.plots.frame import figure_of
from ..views.subject import Subject
from .analysis import Analysis, NotComputed, Progress
from .long_forest import strip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_DELETIONS", "MOST_ROWS", "Drawing"]

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
        self._pictures: dict[str, Picture] = {}
        self._figures: dict[str, Figure] = {}
        self._reasons: list[NotComputed] = []
        fit = analysis.fit
        whole: Any = analysis.groups if _drawable(analysis) else fit
        if analysis.groups is not None and whole is fit:
            left = fit.k - analysis.groups.overall.k
            self._reasons.append(
                NotComputed(
                    "Groups in the forest plot",
                    f"{printing.counted(left, *subject.noun)} of {printing.count(fit.k)} "
                    f"{'has' if left == 1 else 'have'} no group in column "
                    f"{analysis.columns.by!r}; the forest plot shows all {subject.studies}, "
                    "without groups",
                )
            )
        self._rest = deque(_wanted(analysis, whole, subject))

    def __iter__(self) -> Iterator[tuple[Picture, Figure]]:
        """Give what is drawn, and draw the rest one by one."""
        yield from zip(tuple(self._pictures.values()), self._figures.values(), strict=True)
        while self._rest:
            name, title, step = self._rest[0]
            self.progress(title)
            try:
                drawn = step()
                self._pictures[name] = plots.show(drawn, name=name)
                self._figures[name] = figure_of(drawn)
            # Refusals only (a plot of values that do not exist); see `helpers.reporting.analysis`.
            except MetaAnalysisError as error:
                self._reasons.append(NotComputed(title, str(error)))
            self._rest.popleft()
            if name in self._figures:
                yield self._pictures[name], self._figures[name]

    @property
    def pictures(self) -> dict[str, Picture]:
        """For the page, by name."""
        return {picture.name: picture for picture, _ in self}

    @property
    def figures(self) -> dict[str, Figure]:
        """For files, by the same names."""
        return {picture.name: figure for picture, figure in self}

    @property
    def reasons(self) -> tuple[NotComputed, ...]:
        """Why figures are missing."""
        deque(self, maxlen=0)
        return tuple(self._reasons)


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
        bubble = made(plots.bubble, regression, xlabel=printing.capital(column.replace("_", " ")))
        yield f"regression-{place}", f"Bubble plot of {column}", bubble
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


def _drawable(analysis: Analysis) -> bool:
    """Whether the groups hold every cohort; otherwise the forest shows all cohorts instead."""
    return analysis.groups is not None and analysis.groups.overall.k == analysis.fit.k
