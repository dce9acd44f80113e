"""The figures of a report, each drawn only where its result exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import printing
from ..engine.normal.prediction import displayed_prediction
from ..errors import MetaAnalysisError
from ..views import plots
from ..views.plots import Picture
from ..views.subject import Subject
from .analysis import Analysis, NotComputed, Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]


def draw(
    analysis: Analysis, subject: Subject, progress: Progress = lambda step: None
) -> tuple[Mapping[str, Picture], tuple[NotComputed, ...]]:
    """Draw every figure that the results allow; the reasons name those that they do not."""
    fit, found, reasons = analysis.fit, {}, []
    whole: Any = analysis.groups if _drawable(analysis) else fit
    if analysis.groups is not None and whole is fit:
        left = fit.k - analysis.groups.overall.k
        reasons.append(
            NotComputed(
                "Groups in the forest plot",
                f"{printing.counted(left, *subject.noun)} of {printing.count(fit.k)} "
                f"{'has' if left == 1 else 'have'} no group in column "
                f"{analysis.columns.group!r}; the forest plot shows all {subject.studies}, without "
                "groups",
            )
        )
    wanted: list[tuple[str, str, Callable[[], Axes]]] = [
        (
            "forest",
            "Forest plot",
            lambda: plots.forest(whole, subject=subject, prediction=not analysis.one_sided),
        )
    ]
    if displayed_prediction(fit)[0] is not None and not analysis.one_sided:
        wanted.append(("prediction", "Prediction", lambda: plots.prediction(fit, subject=subject)))
    for place, (column, regression) in enumerate(analysis.regressions.items(), start=1):
        wanted.append(
            (
                f"regression-{place}",
                f"Bubble plot of {column}",
                partial(plots.bubble, regression, xlabel=_words(column), subject=subject),
            )
        )
    if analysis.leave_one_out is not None:
        wanted.append(
            (
                "without-each",
                "Leave-one-out forest plot",
                lambda: plots.leave_one_out_forest(fit, subject=subject),
            )
        )
    if analysis.influence is not None and fit.k >= 3:
        wanted.append(
            ("influence", "Influence", lambda: plots.influence_panel(fit, subject=subject))
        )
        wanted.append(("baujat", "Baujat plot", lambda: plots.baujat(fit, subject=subject)))
    if analysis.tests:
        wanted.append(
            ("funnel", "Funnel plot", lambda: plots.funnel(fit, vertical="n", subject=subject))
        )
    for name, title, step in wanted:
        progress(title)
        try:
            found[name] = plots.show(step(), name=name)
        # Refusals only (a plot of values that do not exist); see `helpers.reporting.analysis`.
        except MetaAnalysisError as error:
            reasons.append(NotComputed(title, str(error)))
    return found, tuple(reasons)


def _drawable(analysis: Analysis) -> bool:
    """Whether the groups hold every cohort; otherwise the forest shows all cohorts instead."""
    return analysis.groups is not None and analysis.groups.overall.k == analysis.fit.k


def _words(column: str) -> str:
    text = column.replace("_", " ")
    return text[:1].upper() + text[1:]
