"""The figures of a report, each drawn only where its result exists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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

__all__ = ["MOST_DELETIONS", "MOST_ROWS", "draw"]

#: Up to so many studies a forest plot names each; two printed pages hold no more.
MOST_ROWS = 150
#: Figures of deletions name so many studies, those that matter most; tables hold all.
MOST_DELETIONS = 40


def draw(
    analysis: Analysis, subject: Subject, progress: Progress = lambda step: None
) -> tuple[Mapping[str, Picture], Mapping[str, Figure], tuple[NotComputed, ...]]:
    """Draw every figure that the results allow; the reasons name those that they do not.

    Pictures are for the page, figures (by the same names) for files.
    """
    fit, reasons = analysis.fit, []
    found: dict[str, Picture] = {}
    figures: dict[str, Figure] = {}
    whole: Any = analysis.groups if _drawable(analysis) else fit
    if analysis.groups is not None and whole is fit:
        left = fit.k - analysis.groups.overall.k
        reasons.append(
            NotComputed(
                "Groups in the forest plot",
                f"{printing.counted(left, *subject.noun)} of {printing.count(fit.k)} "
                f"{'has' if left == 1 else 'have'} no group in column "
                f"{analysis.columns.by!r}; the forest plot shows all {subject.studies}, without "
                "groups",
            )
        )
    for name, title, step in _wanted(analysis, whole, subject):
        progress(title)
        try:
            drawn = step()
            found[name] = plots.show(drawn, name=name)
            figures[name] = figure_of(drawn)
        # Refusals only (a plot of values that do not exist); see `helpers.reporting.analysis`.
        except MetaAnalysisError as error:
            reasons.append(NotComputed(title, str(error)))
    return found, figures, tuple(reasons)


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
