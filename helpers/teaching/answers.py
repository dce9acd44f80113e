"""What the self-check questions ask about, computed: one function per chapter, its values by name.

The words stand in ``questions.toml``. A value is a text that fills in its name there, a truth value
that decides between two options, or a `Scale` in which the largest or smallest option is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from .. import printing, ties
from ..checks.bias import simulate_null
from ..checks.interval_coverage import back_transforms, exact_coverage
from ..evidence import load_cohorts
from ..models.bayes import posterior
from ..models.pooling import pool
from ..models.rates import with_person_time
from ..models.result import PoolResult
from ..models.subgroup_analysis import SubgroupResult, subgroups
from ..review.causes import share_bounds
from ..review.choices import COLUMNS, PUBLISHED_POOLING
from ..review.prevention import infection_burden
from ..review.published.models import published_fits
from ..review.since_then import frozen_forecasts
from ..review.time_at_risk.contrast import follow_up_exponent, time_contrast

ALPHA = 0.05

#: Option -> its value, and the value as it is printed.
Scale = dict[str, tuple[float, str]]
Values = dict[str, "str | bool | Scale"]

#: Chapter -> the function that computes its values.
MADE: dict[str, Callable[[], Values]] = {}


def _chapter(made: Callable[[], Values]) -> Callable[[], Values]:
    return MADE.setdefault(made.__name__.strip("_"), made)


def _scale(values: Mapping[Any, Any] | pd.Series[Any], said: Callable[[Any], str]) -> Scale:
    return {str(name): (float(value), said(value)) for name, value in values.items()}


def _tenth(value: Any) -> str:
    return printing.number(value, 1)


def _whole(value: Any) -> str:
    return printing.percent(value, 0)


@cache
def _cohorts() -> pd.DataFrame:
    return load_cohorts()


def cohorts() -> pd.DataFrame:
    """Give a copy of the table of cohorts."""
    return _cohorts().copy()


@cache
def fit(model: str = "glmm", **options: Any) -> PoolResult:
    """All cohorts, pooled; as the review did where the options leave it."""
    return published_fits("all cohorts", _cohorts(), model=model, **options)["all"]


@cache
def groups(by: str, group_tau2: Literal["separate", "common"] = "separate") -> SubgroupResult:
    """Subgroups of all cohorts by the binomial model."""
    return subgroups(_cohorts(), by=by, **COLUMNS, **PUBLISHED_POOLING, group_tau2=group_tau2)


@_chapter
def _question() -> Values:
    mean = fit().mean_estimate
    return {
        "mean": printing.number(1000 * mean, 0),
        "median": printing.number(1000 * fit().estimate, 0),
        "tenth": printing.number(100 * mean, 0),
        "upper": printing.number(1000 * fit().mean_conf_int().upper, 0),
    }


@_chapter
def _effect_sizes() -> Values:
    data = cohorts()
    without = data[data["nonrelapse_deaths"] == 0]
    none = without.iloc[ties.smallest(without["patients"])]
    n = int(none["patients"])
    coverage = exact_coverage(
        n, np.linspace(0.02, 0.2, 60), ("Wald, raw", "Wilson", "Clopper-Pearson")
    ).mean()
    rest = pool(data[data["nonrelapse_deaths"] > 0], **COLUMNS, model="glmm", ci_method="wald")
    back = back_transforms(fit("random", measure="double-arcsine"))["estimate"]
    names = {
        "the smallest cohort's": back["smallest cohort"],
        "the harmonic mean": back["harmonic mean"],
        "the largest cohort's": back["largest cohort"],
    }
    return {
        "cohort": str(none["cohort"]),
        "patients": printing.counted(n, "patient"),
        "upper": printing.percent(fit().studies.loc[none["cohort"], "ci_upper"]),
        "moved": "raises" if rest.estimate > fit().estimate else "lowers",
        "coverage": _scale(coverage, printing.percent),
        "back": _scale(names, printing.percent),
    }


@_chapter
def _pooling() -> Values:
    # Both by inverse variance on the logit scale, so that nothing but tau2 tells them apart.
    weights = {model: fit(model).studies["weight"] for model in ("common", "random")}
    largest = str(weights["common"].index[ties.largest(weights["common"])])
    share, other = (float(weights[model][largest]) / 100 for model in ("common", "random"))
    return {
        "predicted": printing.percent_range(fit().prediction_interval()),
        "ci": printing.percent_range(fit().ci),
        "common": printing.percent_range(fit("common", method="likelihood").ci),
        "largest": largest,
        "share": _whole(share),
        "other": _whole(other),
        "double": _whole(min(2 * share, 0.99)),
    }


@_chapter
def _heterogeneity() -> Values:
    limits, level = fit().tau2_ci(), fit().level
    return {
        "I2": _whole(fit().heterogeneity.I2 / 100),
        "interval": printing.interval(limits, level, unit="number", digits=2),
        "tau2": printing.number(fit().tau2),
    }


@_chapter
def _subgroups() -> Values:
    p = {tau2: groups("entity", tau2).test.p for tau2 in ("separate", "common")}
    return {
        "agree": (p["separate"] < ALPHA) == (p["common"] < ALPHA),
        "both": f"{printing.p_value(p['separate'])} with separate, "
        f"{printing.p_value(p['common'])} with one",
        "products": printing.p_value(groups("product").calibrated_test().p),
    }


@_chapter
def _causes_of_death() -> Values:
    bounds = share_bounds()
    return {
        "unknown": printing.counted(bounds.unknown, "death"),
        "bounds": printing.percent_range(bounds.bounds),
        "ci": printing.percent_range(bounds.none.ci),
        "random": printing.percent(bounds.random.estimate),
    }


@_chapter
def _preventing_infection() -> Values:
    found = infection_burden(cohorts())
    mean, median = found["all", "mean"], found["all", "median"]
    return {
        "mean": printing.number(1000 * mean.estimate, 0),
        "median": printing.number(1000 * median.estimate, 0),
        "share": _whole(mean.share.estimate),
    }


@_chapter
def _time_at_risk() -> Values:
    data = with_person_time(cohorts())
    contrast = time_contrast(data, by="product", levels=("cilta-cel", "ide-cel"))
    crude, rate = float(contrast.at(0)["ratio"]), float(contrast.at(1)["ratio"])
    exponent, _, _ = follow_up_exponent(data)
    return {
        "turns": "falls" if rate < crude else "rises",
        "turns_not": "rises" if rate < crude else "falls",
        "crude": _tenth(crude),
        "rate": _tenth(rate),
        "mirrored": _tenth(crude**2 / rate),
        "more": _whole(2**exponent - 1),
        "exponent": printing.number(exponent),
        "twice": _whole(1.0),
        "once": _whole(0.0),
    }


@_chapter
def _summary_of_findings() -> Values:
    return {
        "average": printing.per_1000(fit().mean_estimate),
        "mu": printing.number(fit().mu),
        "tau2": printing.number(fit().tau2),
        "p": printing.p_value(fit().heterogeneity.p),
    }


@_chapter
def _since_then() -> Values:
    share = cohorts()["nonrelapse_deaths"] / cohorts()["patients"]
    return {
        "forecast": printing.percent_range(frozen_forecasts()[0].interval),
        "ci": printing.percent_range(fit().ci),
        "range": printing.percent_range((share.min(), share.max())),
    }


@_chapter
def _small_study_effects() -> Values:
    run = simulate_null(fit())
    share = dict(zip(run.tests, run.rejection, strict=True))
    asked = ("Egger (logit)", "Peters (weights from size)", "Double arcsine")
    return {"alarms": _scale({name: share[name] for name in asked}, _whole), "alpha": _whole(ALPHA)}


@_chapter
def _bayes() -> Values:
    found = posterior(fit())
    return {
        "new": _whole(found.probability_above(0.10, of="new")),
        "mean": printing.percent(found.probability_above(0.10)),
        "level": printing.level_text(found.level),
    }


@_chapter
def _your_own_table() -> Values:
    data = cohorts()
    few = pool(data.iloc[ties.order(data["patients"])[:4]], **COLUMNS, model="glmm")
    said = [caution.message for caution in few.cautions]
    return {
        "few": printing.word(few.k),
        "cautions": f" and its {'caution' if len(said) == 1 else 'cautions'}" if said else "",
        "said": " ".join(said or ["None of them applies here."]),
    }
