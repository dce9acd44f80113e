"""The tables of this review: the toolkit's, with its words, and those of its evidence.

What is known besides the cohorts (studies, methods of the review, later reports) prints one table
of ``data/`` in words, with links to what was seen. Rows become cards on a narrow screen, and long
tables have a field that filters their rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from .. import printing
from ..engine.json_values import picked
from ..evidence import load_context
from ..evidence.tables import Context
from ..views.tables import Link, Table, comparison_table, numbers, of_rows, table
from ..views.tables import pooled_table as any_pooled_table
from .since_then import Forecast, ForecastCheck, deaths_known, forecast_coverage
from .subject import worded

__all__ = [
    "Table",
    "comparison_table",
    "coverage_table",
    "definitions_table",
    "forecasts_table",
    "later_table",
    "pooled_table",
    "reporting_items_table",
    "review_methods_table",
    "rules_table",
    "studies_table",
    "table",
    "update_table",
]

pooled_table = worded(any_pooled_table)
Cell = str | None
#: Tables whose rows say when their source was last looked up.
DATED: tuple[Context, ...] = (
    "infection_context",
    "prevention_guidance",
    "later_cohorts",
    "rules_since_2024",
)
_DOI, _TRIAL = "https://doi.org/", "https://clinicaltrials.gov/study/"


def _given(value: Any) -> bool:
    return not pd.isna(value)


def _linked(one: dict[str, Any]) -> str:
    source = str(one["source"])
    return Link(source, str(one["url"])) if _given(one["url"]) else source


def evidence_as_of(*frames: pd.DataFrame) -> str:
    """Print the last day on which a fact of these tables (column ``looked_up``) was looked up.

    Without a table, of all tables other than those of the review that have the column.

    >>> from helpers import load_context
    >>> evidence_as_of(load_context("rules_since_2024")).replace(chr(0xA0), " ")
    '28 November 2026'
    """
    seen = frames or tuple(load_context(name) for name in DATED)
    days = [day for frame in seen for day in frame["looked_up"]]
    return printing.date(max(day for day in days if _given(day)))


def studies_table(cohorts: pd.DataFrame, sources: pd.DataFrame) -> Table:
    """Print the included studies: trial or registry, registration, product, size and links.

    Cohorts without a row in `sources` have no links.

    >>> from helpers import load_cohorts, load_sources
    >>> made = studies_table(load_cohorts(), load_sources())
    >>> made.caption
    'The included studies: 52 cohorts from 45 publications'
    >>> 'href="https://clinicaltrials.gov/study/NCT03391466"' in made.html
    True
    """
    both = cohorts.merge(sources, on="cohort", how="left", suffixes=("", "_source"))

    def study(one: dict[str, Any]) -> Cell:
        known, number = (
            str(one[name]) if _given(one[name]) else ""
            for name in ("trial_or_registry", "registration")
        )
        said = f"{known} ({number})" if known and number else known or number
        return Link(said, _TRIAL + number) if number.startswith("NCT") else said or None

    def publication(one: dict[str, Any]) -> Cell:
        if not _given(one["doi"]):
            return None
        named = str(one["journal"]) if _given(one["journal"]) else f"doi:{one['doi']}"
        unsure = "" if one["doi_status"] == "confirmed" else " (link not confirmed)"
        return Link(named + unsure, _DOI + str(one["doi"]))

    known = both.loc[both["publication"].notna(), "publication"].nunique()
    return of_rows(
        both,
        f"The included studies: {printing.counted(len(both), 'cohort')} from "
        f"{printing.counted(known, 'publication')}",
        {
            "Cohort": "cohort",
            "Trial or registry": study,
            "Disease, product, setting": "{entity}, {product}, {setting}".format_map,
            "Nonrelapse deaths": "{nonrelapse_deaths:,} of {patients:,}".format_map,
            "Median follow-up, months": ("median_follow_up_months", "number1"),
            "Publication": publication,
        },
        name="included-studies",
        search=True,
    )


def review_methods_table(methods: pd.DataFrame) -> Table:
    """Print what is known of how the review was made; what was not found says so.

    >>> from helpers import load_context
    >>> review_methods_table(load_context("review_methods")).name
    'review-methods'
    """
    return of_rows(
        methods,
        "Search, eligibility, flow and conduct of the review, as far as public texts say",
        {
            "Item": lambda one: printing.capital(str(one["item"])),
            "What is known": lambda one: one["known"] if _given(one["known"]) else "Not found",
            "Where we looked": "where_seen",
        },
        name="review-methods",
        long=False,
    )


def reporting_items_table(items: pd.DataFrame) -> Table:
    """Print the items of PRISMA 2020, and whether the texts at hand answer them.

    >>> from helpers import load_context
    >>> reporting_items_table(load_context("reporting_items")).caption
    'The 27 items of PRISMA 2020: 10 seen, 8 in part, 9 not seen'
    """
    counts = items["seen"].value_counts()
    said = ", ".join(f"{printing.count(int(counts.get(one, 0)))} {one}" for one in _SEEN)
    return of_rows(
        items,
        f"The {printing.count(len(items))} items of PRISMA 2020: {said}",
        {
            "Item": lambda one: f"{one['number']}. {printing.capital(str(one['item']))}",
            "Section": "section",
            "Seen": "seen",
            "Where": "where_seen",
        },
        name="prisma-items",
    )


_SEEN = ("seen", "in part", "not seen")


def definitions_table(definitions: pd.DataFrame, sources: pd.DataFrame) -> Table:
    """Print how publications count nonrelapse mortality, with the cohorts that rest on them.

    >>> from helpers import load_context, load_sources
    >>> definitions_table(load_context("nrm_definitions"), load_sources()).name
    'nrm-definitions'
    """
    cohorts = sources.groupby("publication")["cohort"].agg(list)
    here = definitions[definitions["publication"].isin(cohorts.index)]
    return of_rows(
        here,
        "What component studies count, where a public text says so",
        {
            "Cohorts": lambda one: printing.listing(cohorts[one["publication"]]),
            "What is counted": "counted",
            "Classed": "rule",
            "Deaths of unknown cause": "unknown_cause",
            "Source": _linked,
        },
        name="nrm-definitions",
        long=False,
    )


def forecasts_table(forecasts: Iterable[Forecast]) -> Table:
    """Print the forecasts: the interval of the true rate of a new, similar cohort.

    >>> from helpers.review.since_then import frozen_forecasts
    >>> print(forecasts_table(frozen_forecasts()).text.splitlines()[1].split())
    ['all', 'cohorts', '52', '7,604', '574', '2.7', 'to', '16.2', '2.6', 'to', '16.4']
    """
    rows: dict[str, dict[str, Any]] = {}
    for one in forecasts:
        size = {"cohorts": one.cohorts, "patients": one.patients, "deaths": one.nonrelapse_deaths}
        row = rows.setdefault(one.group, {"group": one.group} | size)
        low, high = one.interval
        row[one.method.lower()] = printing.between(100 * low, 100 * high)
    return numbers(
        list(rows.values()),
        "Forecast of the true rate of a new, similar cohort, from the table of 2024",
        {
            "group": "", "cohorts": "count", "patients": "count", "deaths": "count",
            "glmm": (f"GLMM, 95% interval,{printing.HARD}%", ""),
            "bayes": (f"Bayes, 95% interval,{printing.HARD}%", ""),
        },
        name="forecasts",
    )  # fmt: skip


def _result(one: dict[str, Any]) -> str:
    """Say what a report counts, of how many patients, and when."""
    of = f"of {printing.count(one['patients'])}" if _given(one["patients"]) else ""
    if _given(one["deaths_fewest"]):
        said = f"{deaths_known(one['deaths_fewest'], one['deaths_most'])} {of}"
        if _given(one["reported_nrm"]):
            said += f" ({printing.percent(one['reported_nrm'], 0)} stated)"
    elif _given(one["reported_nrm"]):
        said = f"{printing.percent(one['reported_nrm'])} {of}"
    else:
        said = f"no number {of}"
    return ", ".join(filter(None, (said.strip(), _when(one))))


def _when(one: dict[str, Any]) -> str:
    if _given(one["reported_nrm_month"]):
        return f"at {printing.months(one['reported_nrm_month'], 0)}"
    if _given(one["median_follow_up_months"]):
        return f"median follow-up {printing.months(one['median_follow_up_months'])}"
    return ""


def _notes(one: dict[str, Any]) -> Cell:
    words = {
        "earlier_cohort": "same patients as {}",
        "shared_patients": "may share patients with {}",
        "not_compared": "not compared: {}",
        "remark": "{}",
    }
    said = [printing.lower(text.format(one[k])) for k, text in words.items() if _given(one[k])]
    return printing.capital("; ".join(said)) if said else None


def later_table(later: pd.DataFrame) -> Table:
    """Print the later reports with the class of their evidence, best first.

    >>> from helpers import load_context
    >>> later_table(load_context("later_cohorts")).caption
    'Reports since the search, by class of evidence'
    """
    return of_rows(
        later.sort_values("evidence", kind="stable"),
        "Reports since the search, by class of evidence",
        {
            "Evidence": lambda one: printing.capital(str(one["evidence"])),
            "Report": "report",
            "Product, disease, setting": "{product}, {entity}, {setting}".format_map,
            "Nonrelapse deaths": _result,
            "Source": _linked,
            "Notes": _notes,
        },
        groups="Evidence",
        name="reports-since",
        search=True,
    )


def coverage_table(checks: Iterable[ForecastCheck]) -> Table:
    """Print how many later reports lie within their forecasts, by kind of report and by model.

    >>> from helpers.review.since_then import check_forecasts
    >>> coverage_table(check_forecasts()).name
    'coverage'
    """
    listed = list(checks)
    kinds = {
        "new studies, count known": [one for one in listed if one.new and one.counted],
        "new studies, rate only": [one for one in listed if one.new and not one.counted],
        "later cuts of the same patients": [one for one in listed if not one.new],
        "all reports compared": listed,
    }
    rows = []
    for kind, part in kinds.items():
        for method in ("GLMM", "Bayes"):
            own = [one for one in part if one.forecast.method == method]
            if not own:
                continue
            found = forecast_coverage(own, method)
            limits = printing.between(100 * found.ci.lower, 100 * found.ci.upper, 0)
            share = printing.number(100 * found.inside / found.reports, 0)
            rows.append(
                picked(found, "method reports inside width score")
                | {"kind": printing.capital(kind), "coverage": f"{share} ({limits})"}
                | {"near": sum(one.near for one in own)}
            )
    return numbers(
        rows,
        "Later reports within the range forecast for a cohort of their size",
        {
            "kind": ("Reports", ""), "method": ("Model", ""), "reports": "count",
            "inside": ("Within the range", "count"),
            "coverage": (f"Coverage, exact 95% CI,{printing.HARD}%", ""),
            "near": ("Within the interval of the true rate", "count"),
            "width": ("Mean width, points", "number1"), "score": ("Interval score", "number1"),
        },
        groups="kind", name="coverage",
    )  # fmt: skip


def update_table(effects: pd.DataFrame) -> Table:
    """Print the pooled rates before and after the update.

    >>> from helpers.review.since_then import update_effects
    >>> update_table(update_effects()).name
    'update'
    """

    def rate(one: dict[str, Any], when: str) -> str:
        limits = printing.between(100 * one[f"{when}_lower"], 100 * one[f"{when}_upper"])
        return f"{printing.number(100 * one[when], 1)} ({limits})"

    return of_rows(
        effects,
        "Pooled rate before and after the update, by the review's model",
        {
            "Group": "group",
            "Cohorts, 2024": ("cohorts_before", "count"),
            f"2024, 95% CI,{printing.HARD}%": lambda one: rate(one, "before"),
            "Cohorts, updated": ("cohorts_after", "count"),
            f"Updated, 95% CI,{printing.HARD}%": lambda one: rate(one, "after"),
            "With the most deaths implied": ("after_most", "percent"),
        },
        name="update",
    )


def rules_table(rules: pd.DataFrame) -> Table:
    """Print what has changed in labels, indications and monitoring, in order of time.

    >>> from helpers import load_context
    >>> rules_table(load_context("rules_since_2024")).name
    'rules'
    """
    return of_rows(
        rules,
        "Labels, indications and monitoring since 2024 (United States)",
        {
            "Date": "date",
            "Products": "products",
            "Kind": "kind",
            "Change": "change",
            "Source": _linked,
        },
        name="rules",
        long=False,
    )
