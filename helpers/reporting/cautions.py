"""Cautions of every result of a report, each once, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..engine.summaries import Caution
    from .analysis import Analysis

__all__ = ["ADVICE", "ListedCaution", "cautions_of"]

#: Code of a caution -> what to do about it.
ADVICE: dict[str, str] = {
    "prior-data-conflict": "Show the result under wider priors beside it.",
    "boundary": "Do not write that the studies agree; give the interval of the variance.",
    "correlated-by-construction": "Use the test on the double arcsine scale and its calibrated p.",
    "double-arcsine": "Prefer the logit or the plain arcsine.",
    "double-arcsine-collapse": "Do not use this number; fit the binomial model.",
    "empty-tau2-interval": "Check for studies that share patients and for variances too large.",
    "excluded-studies": "Look at the reasons in the table, and fill the gaps if you can.",
    "few-prediction-df": "Show the studies one by one.",
    "few-studies": "Report the single studies beside any pooled number.",
    "few-studies-group": "Report the studies of this group one by one.",
    "few-studies-test": "Take its p-value neither for nor against missing studies.",
    "few-studies-per-coefficient": "Do not rest a claim on this slope.",
    "freeman-tukey-collapse": "Do not use this number; fit the Poisson model.",
    "knapp-hartung-narrow": "Quote the interval that is never narrower.",
    "left-out-group": "Look at the reasons in the table, and fill the gaps if you can.",
    "limits-clipped": "Use a measure that stays inside, such as the logit.",
    "no-events": "Report the counts with their exact interval; no model knows more.",
    "no-events-group": "Report its counts with their exact interval beside the other groups.",
    "no-omnibus": "Report the coefficients; collect more clusters before you test them together.",
    "normal-likelihood": "Show the GLMM of the same counts beside it.",
    "not-converged": "Do not use this number.",
    "only-events": "Report the counts with their exact interval; no model knows more.",
    "person-time-approximated": "Use person-time from the publications where they report it.",
    "several-maxima": "Report how the result changes at the other maxima, not one number alone.",
    "single-study": "Report the study as it is; nothing was pooled.",
    "single-study-group": "Name this group, but do not rest a comparison on it.",
    "sparse-cells": "Rely on the binomial model, which needs no such approximation.",
    "zero-cells-corrected": "Rely on the binomial model, which adds nothing to the counts.",
    "zero-weight": "Read this test with the others: it does not see these studies.",
}


@dataclass(frozen=True, slots=True)
class ListedCaution:
    """One caution: where it arose, its code and message, and what to do."""

    where: str
    code: str
    message: str
    advice: str


def cautions_of(analysis: Analysis) -> tuple[ListedCaution, ...]:
    """Collect the cautions of all results of a report.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers.reporting.analysis import ColumnNames, analyse
    >>> table = pd.DataFrame({"study": ["a"], "events": [3], "n": [40]})
    >>> [one.code for one in cautions_of(analyse(table, ColumnNames()))]
    ['single-study', 'sparse-cells']
    """
    found: dict[tuple[str, str], ListedCaution] = {}

    def add(where: str, cautions: Iterable[Caution]) -> None:
        for one in cautions:
            found.setdefault(
                (one.code, one.message),
                ListedCaution(where, one.code, one.message, ADVICE.get(one.code, "")),
            )

    add("Pooled estimate", analysis.fit.cautions)
    if analysis.beside is not None:
        add("Second model", analysis.beside.cautions)
    if analysis.groups is not None:
        add("Subgroups", analysis.groups.cautions)
        for name, fit in analysis.groups:
            add(f"Subgroup {name}", fit.cautions)
    for column, regression in analysis.regressions.items():
        add(f"Meta-regression on {column}", regression.cautions)
    if analysis.rates is not None:
        add("Events per person-time", analysis.rates.cautions)
    for name, test in analysis.tests.items():
        add(name, test.cautions)
    return tuple(found.values())
