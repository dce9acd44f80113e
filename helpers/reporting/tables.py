"""The numbers of a report as frames (for files) and as tables (for the page)."""

from __future__ import annotations

from typing import Any

from .. import printing
from ..door import pd
from ..engine.normal.prediction import displayed_prediction
from ..models.population import has_mean
from ..models.result import PoolResult
from ..models.subgroup_analysis import SubgroupResult
from ..views.subject import Subject
from ..views.tables import Table, numbers
from .analysis import RATED, Analysis


def model_name(fit: PoolResult) -> str:
    """Name the model of a fit in a few words.

    >>> from helpers import pool
    >>> model_name(pool(events=[3, 8], n=[40, 50], model="glmm"))
    'Binomial-normal GLMM (logit)'
    """
    if fit.model == "glmm":
        family = "Poisson-normal" if fit.time is not None else "Binomial-normal"
        return f"{family} GLMM ({fit.measure})"
    if fit.model == "common":
        return f"Common effect ({fit.measure})"
    how = f"τ² fixed at {fit.tau2:g}" if fit.tau2_method is None else fit.tau2_method
    return f"Random effects, {how} ({fit.measure})"


class _Unit:
    """How a table prints the values of a fit: the unit stands in the headings."""

    def __init__(self, fit: PoolResult, subject: Subject) -> None:
        self.unit = subject.unit(fit)
        self.digits = printing.places_in(fit, self.unit)
        self.head = printing.unit_heading(self.unit)
        self.level = printing.level_text(fit.level)

    def value(self, value: float) -> str:
        return printing.value(value, self.unit, self.digits, bare=True)

    def bounds(self, pair: Any) -> str:
        return f"{self.value(pair[0])} to {self.value(pair[1])}"

    def pooled(self) -> dict[str, Any]:
        """Columns of an estimate and its interval."""
        return {
            "estimate": (f"Estimate{self.head}", self.value),
            "ci": (f"{self.level} CI{self.head}", self.bounds),
        }


#: Columns of heterogeneity.
_VARIANCE = {"tau2": "number3", "I2": (f"I²{printing.IN_PERCENT}", "number1")}


def models_table(analysis: Analysis, subject: Subject) -> Table:
    """Print the main model and the one beside it."""
    unit = _Unit(analysis.fit, subject)
    mean = has_mean(analysis.fit.measure)
    fits = [analysis.fit, *([analysis.beside] if analysis.beside else [])]
    # a dash stands where there is no prediction interval; the text says why
    expected = [None if analysis.one_sided else displayed_prediction(fit)[0] for fit in fits]
    rows = [
        {
            "model": model_name(fit),
            "cohorts": fit.k,
            "estimate": fit.estimate,
            "ci": fit.ci,
            **({"mean": fit.mean_estimate, "mean_ci": fit.mean_conf_int()} if mean else {}),
            "prediction": None if limits is None else unit.bounds(limits),
            "tau2": fit.tau2,
            "I2": fit.heterogeneity.I2,
        }
        for fit, limits in zip(fits, expected, strict=True)
    ]
    return numbers(
        rows,
        f"{subject.outcome} under {printing.counted(len(fits), 'model')}",
        {
            "model": "",
            "cohorts": (printing.capital(subject.studies), ""),
            **unit.pooled(),
            "mean": (f"Mean across {subject.studies}{unit.head}", unit.value),
            "mean_ci": (f"{unit.level} CI of the mean{unit.head}", unit.bounds),
            "prediction": (f"Prediction interval{unit.head}", ""),
            **_VARIANCE,
        },
        name="models",
    )


def groups_table(
    analysis: Analysis, subject: Subject, found: SubgroupResult, name: str = "groups"
) -> Table:
    """Print subgroups."""
    shown = found.summary_frame().rename_axis("group").reset_index()
    shown["ci"] = list(zip(shown["ci_lower"], shown["ci_upper"], strict=True))
    by = printing.readable(found.by)
    size = ("n", subject.n, "") if analysis.fit.n is not None else ("time", subject.time, "number")
    counts = (
        {} if analysis.fit.events is None else {"events": (subject.events, ""), size[0]: size[1:]}
    )
    return numbers(
        shown,
        f"{subject.outcome} by {by}",
        {
            "group": (by[:1].upper() + by[1:], ""),
            "k": (printing.capital(subject.studies), ""),
            **counts,
            **_Unit(analysis.fit, subject).pooled(),
            **_VARIANCE,
        },
        name=name,
    )


def clusters_table(analysis: Analysis, subject: Subject) -> Table:
    """Print the estimate with and without the clusters."""
    rows = [
        {"model": name, "estimate": fit.estimate, "ci": fit.ci, "tau2": fit.tau2}
        for name, fit in (
            (f"Independent {subject.studies}", analysis.fit),
            (f"Three levels ({getattr(analysis.levels, 'measure', '')})", analysis.levels),
            ("Three levels, robust interval (CR2)", analysis.robust),
        )
        if fit is not None
    ]
    return numbers(
        rows,
        f"{subject.outcome} with and without clusters",
        {
            "model": "",
            **_Unit(analysis.fit, subject).pooled(),
            "tau2": ("τ², both levels together", "number3"),
        },
        name="clusters",
    )


def rates_table(analysis: Analysis, subject: Subject) -> Table:
    """Print the events per 100 person-years of each cohort and pooled."""
    assert analysis.rates is not None
    fit = analysis.rates
    rows = fit.studies[fit.studies["included"]].reset_index()
    limits = [*rows[["ci_lower", "ci_upper"]].to_numpy(), fit.ci]
    return numbers(
        {
            "cohort": [*rows["study"].astype(str), "All, pooled"],
            "events": [*rows["events"], int(fit.events or 0)],
            "time": [*rows["time"], fit.time],
            "rate": [*rows["estimate"], fit.estimate],
            "ci": [printing.between(lower, upper) for lower, upper in limits],
        },
        f"{subject.events} per 100 person-years",
        {
            "cohort": (printing.capital(subject.study), ""),
            "events": (subject.events, "count"),
            "time": ("Person-time, 100 years", "number"),
            "rate": "number1",
            "ci": (f"{printing.level_text(fit.level)} CI", ""),
        },
        name="rates",
    )


def table_of_tests(analysis: Analysis, subject: Subject) -> Table:
    """Print the tests for small-study effects with their calibrated p-values."""
    return numbers(
        _tests(analysis),
        "Tests for small-study effects",
        {
            "test": "",
            "cohorts": (printing.capital(subject.studies), ""),
            "small_cohorts_are": (f"Small {subject.studies} are", ""),
            "p": "p",
            "calibrated_p": "p",
            "false_alarms": ("False-positive rate of the 5% test", "percent"),
        },
        name="small-studies",
    )


def _tests(analysis: Analysis) -> pd.DataFrame:
    rows = pd.DataFrame(
        [
            {"test": name, "cohorts": test.k, "small_cohorts_are": test.small_studies, "p": test.p}
            for name, test in analysis.tests.items()
        ]
    )
    if analysis.null is None:
        return rows
    null = analysis.null.summary_frame()
    return rows.assign(
        calibrated_p=[float(null.loc[name, "calibrated_p"]) for name in rows["test"]],
        false_alarms=[float(null.loc[name, "rejection"]) for name in rows["test"]],
    )


def frames(analysis: Analysis) -> dict[str, pd.DataFrame]:
    """Give every table of numbers, unrounded, for CSV files; the first columns name the rows.

    ``pooled`` and ``studies`` always; the others where they could be computed.

    >>> import pandas as pd
    >>> from helpers.reporting.analysis import ColumnNames, analyse
    >>> table = pd.DataFrame({"study": list("abc"), "events": [3, 9, 4], "n": [40, 50, 60]})
    >>> list(frames(analyse(table, ColumnNames())))
    ['pooled', 'studies', 'leave_one_out', 'influence', 'small_study_tests']
    """
    fits = {model_name(analysis.fit): analysis.fit}
    if analysis.beside is not None:
        fits[model_name(analysis.beside)] = analysis.beside
    made = {
        "pooled": pd.DataFrame([{"model": name, **fit.row()} for name, fit in fits.items()]),
        "studies": analysis.fit.studies.reset_index(),
    }
    if analysis.groups is not None:
        frame, by = analysis.groups.summary_frame(), analysis.groups.by
        name = by if by not in frame else f"{by} (group)"
        made["groups"] = frame.rename_axis(name).reset_index()
    if analysis.regressions:
        made["meta_regression"] = pd.concat(
            [
                fit.coefficients.reset_index().assign(moderator=column)
                for column, fit in analysis.regressions.items()
            ],
            ignore_index=True,
        )
    if analysis.rates is not None:
        made["rates"] = analysis.rates.studies.reset_index()
    if analysis.ratings is not None:
        made["risk_of_bias"] = analysis.ratings.summary_frame().rename_axis(RATED).reset_index()
    if analysis.levels is not None or analysis.robust is not None:
        nested = {"three levels": analysis.levels, "three levels, CR2": analysis.robust}
        made["clusters"] = pd.concat(
            [
                fit.summary_frame().reset_index().assign(model=name)
                for name, fit in nested.items()
                if fit is not None
            ],
            ignore_index=True,
        )
    if analysis.without_cluster is not None:
        made["without_each_cluster"] = analysis.without_cluster.reset_index()
    if analysis.leave_one_out is not None:
        made["leave_one_out"] = analysis.leave_one_out.reset_index()
    if analysis.influence is not None:
        made["influence"] = analysis.influence.frame().reset_index()
    if analysis.tests:
        made["small_study_tests"] = _tests(analysis)
    return made
