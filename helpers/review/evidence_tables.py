"""Tables of what is known beside the cohorts: studies, methods of the review, later reports.

Each prints one table of ``data/`` in words, with links to what was seen. Rows become cards on a
narrow screen, and long tables have a field that filters their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import pandas as pd

from .. import printing
from ..evidence import load_context
from ..views.tables import Link, Table, numbers
from .since_then import Forecast, ForecastCheck, ForecastScore, forecast_coverage

Cell = str | None
#: Tables whose rows say when their source was last looked up.
DATED: tuple[
    Literal["infection_context", "prevention_guidance", "later_cohorts", "rules_since_2024"], ...
] = ("infection_context", "prevention_guidance", "later_cohorts", "rules_since_2024")
_DOI, _TRIAL = "https://doi.org/", "https://clinicaltrials.gov/study/"


def _given(value: Any) -> bool:
    return not pd.isna(value)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype("object").to_dict("records")  # type: ignore[return-value]


def _linked(text: Any, url: Any) -> str:
    return Link(str(text), str(url)) if _given(url) else str(text)


def _made(frame: pd.DataFrame, row: Callable[[dict[str, Any]], dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([row(one) for one in _rows(frame)])


def evidence_as_of(*frames: pd.DataFrame) -> str:
    """Print the last day on which a fact of these tables (column ``looked_up``) was looked up.

    Without a table, of all tables beside the review that have the column.

    Examples
    --------
    >>> from helpers import load_context
    >>> evidence_as_of(load_context("rules_since_2024")).replace(chr(0xA0), " ")
    '28 November 2026'
    """
    seen = frames or tuple(load_context(name) for name in DATED)
    days = [day for frame in seen for day in frame["looked_up"]]
    return printing.date(max(day for day in days if _given(day)))


def studies_table(
    cohorts: pd.DataFrame, sources: pd.DataFrame, *, name: str = "included-studies"
) -> Table:
    """Print the included studies: trial or registry, registration, product, size and links.

    Cohorts without a row in `sources` have no links.

    Examples
    --------
    >>> from helpers import load_cohorts, load_sources
    >>> made = studies_table(load_cohorts(), load_sources())
    >>> made.caption
    'The included studies: 52 cohorts from 45 publications'
    >>> 'href="https://clinicaltrials.gov/study/NCT03391466"' in made.html
    True
    """
    both = cohorts.merge(sources, on="cohort", how="left", suffixes=("", "_source"))

    def row(one: dict[str, Any]) -> dict[str, Any]:
        study, number = (
            str(one[name]) if _given(one[name]) else ""
            for name in ("trial_or_registry", "registration")
        )
        said = f"{study} ({number})" if study and number else study or number
        publication: Cell = None
        if _given(one["doi"]):
            named = str(one["journal"]) if _given(one["journal"]) else f"doi:{one['doi']}"
            unsure = "" if one["doi_status"] == "confirmed" else " (link not confirmed)"
            publication = Link(named + unsure, _DOI + str(one["doi"]))
        return {
            "cohort": one["cohort"],
            "study": Link(said, _TRIAL + number) if number.startswith("NCT") else said or None,
            "kind": f"{one['entity']}, {one['product']}, {one['setting']}",
            "deaths": f"{printing.count(one['nonrelapse_deaths'])} of "
            f"{printing.count(one['patients'])}",
            "follow_up": one["median_follow_up_months"],
            "publication": publication,
        }

    known = both.loc[both["publication"].notna(), "publication"].nunique()
    return numbers(
        _made(both, row),
        f"The included studies: {printing.counted(len(both), 'cohort')} from "
        f"{printing.counted(known, 'publication')}",
        {
            "cohort": "", "study": ("Trial or registry", ""),
            "kind": ("Disease, product, setting", ""),
            "deaths": ("Nonrelapse deaths", ""),
            "follow_up": ("Median follow-up, months", "number1"), "publication": "",
        },
        name=name, cards=True, search=True,
    )  # fmt: skip


def review_methods_table(methods: pd.DataFrame, *, name: str = "review-methods") -> Table:
    """Print what is known of how the review was made; what was not found says so.

    Examples
    --------
    >>> from helpers import load_context
    >>> review_methods_table(load_context("review_methods")).name
    'review-methods'
    """
    return numbers(
        _made(
            methods,
            lambda one: {
                "item": printing.capital(str(one["item"])),
                "known": one["known"] if _given(one["known"]) else "Not found",
                "where": one["where_seen"],
            },
        ),
        "Search, eligibility, flow and conduct of the review, as far as public texts say",
        {"item": "", "known": ("What is known", ""), "where": ("Where we looked", "")},
        name=name, long=False, cards=True,
    )  # fmt: skip


def reporting_items_table(items: pd.DataFrame, *, name: str = "prisma-items") -> Table:
    """Print the items of PRISMA 2020, and whether the texts at hand answer them.

    Examples
    --------
    >>> from helpers import load_context
    >>> reporting_items_table(load_context("reporting_items")).caption
    'The 27 items of PRISMA 2020: 10 seen, 8 in part, 9 not seen'
    """
    counts = items["seen"].value_counts()
    said = ", ".join(f"{printing.count(int(counts.get(one, 0)))} {one}" for one in _SEEN)
    return numbers(
        _made(
            items,
            lambda one: {
                "item": f"{one['number']}. {printing.capital(str(one['item']))}",
                "section": str(one["section"]),
                "seen": str(one["seen"]),
                "where": one["where_seen"] if _given(one["where_seen"]) else None,
            },
        ),
        f"The {printing.count(len(items))} items of PRISMA 2020: {said}",
        {"item": "", "section": "", "seen": "", "where": ("Where", "")},
        name=name, cards=True,
    )  # fmt: skip


_SEEN = ("seen", "in part", "not seen")


def definitions_table(
    definitions: pd.DataFrame, sources: pd.DataFrame, *, name: str = "nrm-definitions"
) -> Table:
    """Print how publications count nonrelapse mortality, with the cohorts that rest on them.

    Examples
    --------
    >>> from helpers import load_context, load_sources
    >>> definitions_table(load_context("nrm_definitions"), load_sources()).name
    'nrm-definitions'
    """
    cohorts = sources.groupby("publication")["cohort"].agg(list)
    here = definitions[definitions["publication"].isin(cohorts.index)]
    return numbers(
        _made(
            here,
            lambda one: {
                "cohorts": printing.listing(cohorts[one["publication"]]),
                "counted": one["counted"],
                "rule": str(one["rule"]),
                "unknown": str(one["unknown_cause"]),
                "source": _linked(one["source"], one["url"]),
            },
        ),
        "What component studies count, where a public text says so",
        {
            "cohorts": "", "counted": ("What is counted", ""), "rule": ("Classed", ""),
            "unknown": ("Deaths of unknown cause", ""), "source": "",
        },
        name=name, long=False, cards=True,
    )  # fmt: skip


def forecasts_table(forecasts: Iterable[Forecast], *, name: str = "forecasts") -> Table:
    """Print the forecasts: the interval of the true rate of a new, similar cohort.

    Examples
    --------
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
        name=name, cards=True,
    )  # fmt: skip


def _result(one: dict[str, Any]) -> str:
    """Say what a report counts, of how many patients, and when."""
    of = f"of {printing.count(one['patients'])}" if _given(one["patients"]) else ""
    if _given(one["deaths_fewest"]):
        low, high = (printing.count(one[name]) for name in ("deaths_fewest", "deaths_most"))
        between = "or" if one["deaths_most"] - one["deaths_fewest"] == 1 else "to"
        said = f"{low if low == high else f'{low} {between} {high}'} {of}"
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
    said = []
    if _given(one["earlier_cohort"]):
        said.append(f"same patients as {one['earlier_cohort']}")
    if _given(one["shared_patients"]):
        said.append(f"may share patients with {one['shared_patients']}")
    if _given(one["not_compared"]):
        said.append(f"not compared: {one['not_compared']}")
    if _given(one["remark"]):
        said.append(printing.lower(str(one["remark"])))
    return printing.capital("; ".join(said)) if said else None


def later_table(later: pd.DataFrame, *, name: str = "reports-since") -> Table:
    """Print the later reports with the class of their evidence, best first.

    Examples
    --------
    >>> from helpers import load_context
    >>> later_table(load_context("later_cohorts")).caption
    'Reports since the search, by class of evidence'
    """

    def row(one: dict[str, Any]) -> dict[str, Any]:
        return {
            "evidence": printing.capital(str(one["evidence"])),
            "report": one["report"],
            "kind": f"{one['product']}, {one['entity']}, {one['setting']}",
            "result": _result(one),
            "source": _linked(one["source"], one["url"]),
            "notes": _notes(one),
        }

    return numbers(
        _made(later.sort_values("evidence", kind="stable"), row),
        "Reports since the search, by class of evidence",
        {
            "evidence": "", "report": "", "kind": ("Product, disease, setting", ""),
            "result": ("Nonrelapse deaths", ""), "source": "", "notes": "",
        },
        groups="evidence", name=name, cards=True, search=True,
    )  # fmt: skip


def coverage_table(checks: Iterable[ForecastCheck], *, name: str = "coverage") -> Table:
    """Print how many later reports lie within their forecasts, by kind of report and by model.

    Examples
    --------
    >>> from helpers.review.since_then import check_forecasts
    >>> coverage_table(check_forecasts()).name
    'coverage'
    """
    listed = list(checks)
    kinds = {
        "new patients, count known": [one for one in listed if one.new and one.counted],
        "new patients, rate only": [one for one in listed if one.new and not one.counted],
        "later cuts of the same patients": [one for one in listed if not one.new],
        "all reports compared": listed,
    }
    lines = []
    for kind, part in kinds.items():
        for method in ("GLMM", "Bayes"):
            if any(one.forecast.method == method for one in part):
                lines.append(_line(kind, forecast_coverage(part, method), part))
    return numbers(
        lines,
        "Later reports within the range forecast for a cohort of their size",
        {
            "kind": ("Reports", ""), "method": ("Model", ""), "reports": "count",
            "inside": ("Within the range", "count"),
            "coverage": (f"Coverage, exact 95% CI,{printing.HARD}%", ""),
            "near": ("Within the interval of the true rate", "count"),
            "width": ("Mean width, points", "number1"), "score": ("Interval score", "number1"),
        },
        groups="kind", name=name, cards=True,
    )  # fmt: skip


def _line(kind: str, one: ForecastScore, part: list[ForecastCheck]) -> dict[str, Any]:
    share = one.inside / one.reports
    limits = printing.between(100 * one.ci.lower, 100 * one.ci.upper, 0)
    own = [check for check in part if check.forecast.method == one.method]
    return {
        "kind": printing.capital(kind), "method": one.method, "reports": one.reports,
        "inside": one.inside, "coverage": f"{printing.number(100 * share, 0)} ({limits})",
        "near": sum(check.near for check in own), "width": one.width, "score": one.score,
    }  # fmt: skip


def update_table(effects: pd.DataFrame, *, name: str = "update") -> Table:
    """Print the pooled rates before and after the update.

    Examples
    --------
    >>> from helpers.review.since_then import update_effects
    >>> update_table(update_effects()).name
    'update'
    """

    def row(one: dict[str, Any]) -> dict[str, Any]:
        said = {"group": one["group"]}
        for when in ("before", "after"):
            low, high = (100 * one[f"{when}_{end}"] for end in ("lower", "upper"))
            said |= {
                f"cohorts_{when}": one[f"cohorts_{when}"],
                when: f"{printing.number(100 * one[when], 1)} ({printing.between(low, high)})",
            }
        return said | {"most": one["after_most"]}

    return numbers(
        _made(effects, row),
        "Pooled rate before and after the update, by the review's model",
        {
            "group": "", "cohorts_before": ("Cohorts, 2024", "count"),
            "before": (f"2024, 95% CI,{printing.HARD}%", ""),
            "cohorts_after": ("Cohorts, updated", "count"),
            "after": (f"Updated, 95% CI,{printing.HARD}%", ""),
            "most": ("With the most deaths implied", "percent"),
        },
        name=name, cards=True,
    )  # fmt: skip


def rules_table(rules: pd.DataFrame, *, name: str = "rules") -> Table:
    """Print what has changed in labels, indications and monitoring, in order of time.

    Examples
    --------
    >>> from helpers import load_context
    >>> rules_table(load_context("rules_since_2024")).name
    'rules'
    """
    return numbers(
        _made(
            rules,
            lambda one: {
                "date": one["date"],
                "products": one["products"],
                "kind": str(one["kind"]),
                "change": one["change"],
                "source": _linked(one["source"], one["url"]),
            },
        ),
        "Labels, indications and monitoring since 2024 (United States)",
        {"date": "", "products": "", "kind": "", "change": "", "source": ""},
        name=name, long=False, cards=True,
    )  # fmt: skip
