"""What is known of infection deaths and their prevention as tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ... import printing
from ...errors import MetaAnalysisError
from ...evidence import codebook
from ...views.tables import Link, Table, numbers, of_rows
from .burden import Burden, Prevented

WHICH = {"all": "All infections", "other": "Without COVID-19", "COVID-19": "COVID-19"}
#: How sure a reader may be of a row: what was seen of its source.
UNSEEN = ("headings", "part of a table", "not opened")
SOURCE = {
    "secondary": "secondary source",
    "company": "company information",
    "not opened": "not opened",
}


def _per_1000(value: float) -> str:
    return printing.number(1000 * value, 0)


def _limits(bounds: Iterable[float]) -> str:
    low, high = bounds
    return printing.between(1000 * low, 1000 * high, 0)


def _part(part: float) -> str:
    """Print a supposed part: "one in four" where it is one, a percentage otherwise."""
    whole = round(1 / part)
    if abs(whole * part - 1) < 1e-9:
        return f"one in {printing.word(whole)}" if whole > 1 else "all"
    return printing.percent(part, 0)


def burden_table(found: Mapping[Any, Burden]) -> Table:
    """Print deaths from infection per 1,000 treated, by the mean and by the median.

    Examples
    --------
    >>> from helpers.review.prevention import infection_burden
    >>> burden_table(infection_burden()).name
    'infection-burden'
    """

    def deaths(which: str, average: str) -> str:
        one = found[which, average]
        return f"{_per_1000(one.estimate)} ({_limits(one.ci)})"

    level = printing.level_text(found["all", "mean"].level)
    return of_rows(
        WHICH,
        "Deaths from infection per 1,000 treated patients",
        {
            "Infections": WHICH.get,
            "Deaths": (lambda which: found[which, "mean"].share.deaths, "count"),
            "Mean": lambda which: deaths(which, "mean"),
            "Median": lambda which: deaths(which, "median"),
        },
        notes=[
            f"With {level} CI. Nonrelapse mortality (mean across cohorts, or median cohort) times "
            "the share of these infections among the nonrelapse deaths. Deaths of unknown cause "
            "are not counted as infections."
        ],
        name="infection-burden",
    )


def prevented_table(rows: Iterable[Prevented]) -> Table:
    """Print the what-if: so many fewer deaths if a part of them did not happen.

    Examples
    --------
    >>> from helpers.review.prevention import infection_burden, prevented_deaths
    >>> prevented_table(prevented_deaths(infection_burden()["all", "mean"])).name
    'what-if'
    """

    def treated(row: Prevented) -> str:
        limits = printing.between(*row.treated_ci, 0)
        return f"{printing.number(row.treated_per_death, 0)} ({limits})"

    return of_rows(
        rows,
        "What if: deaths from infection per 1,000 treated if a part of them were prevented",
        {
            "Prevented": lambda row: _part(row.part),
            "Left": lambda row: _per_1000(row.left),
            "Fewer": lambda row: f"{_per_1000(row.fewer)} ({_limits(row.fewer_ci)})",
            "Treated per death": treated,
        },
        notes=[
            "Arithmetic, not an effect of any prophylaxis. The intervals cover how many patients "
            "die of infection, not whether prevention works."
        ],
        name="what-if",
    )


def _rows(frame: pd.DataFrame) -> list[Any]:
    """Give the rows of a table, with a field for each column."""
    return list(frame.itertuples())


def _source(row: Any, name: str) -> str | Link:
    """Name a source, and link it where there is an address."""
    address = f"https://doi.org/{row.doi}" if isinstance(row.doi, str) else row.url
    return Link(name, address) if isinstance(address, str) else name


def guidance_table(guidance: pd.DataFrame, *, evidence: bool = False) -> Table:
    """Print what guidance says, by time, or the evidence that bears on it.

    Parameters
    ----------
    guidance : DataFrame
        As ``load_context("prevention_guidance")`` gives it.
    evidence : bool
        Whether to print direct and indirect evidence in place of guidance.

    Examples
    --------
    >>> from helpers import load_context
    >>> guidance_table(load_context("prevention_guidance")).name
    'guidance-by-time'
    """
    bears_on_it = guidance["kind"].isin(["direct evidence", "indirect evidence"])
    shown = guidance[bears_on_it if evidence else ~bears_on_it]
    action, detail, strength = "Action", "Detail", "Strength, as the source states it"
    if evidence:
        action, detail, strength = "What was studied", "What was found", "Design"
    columns = {
        action: "action",
        detail: lambda row: _said(row.detail, row.remark),
        strength: lambda row: printing.capital(row.strength),
        "Source": lambda row: _source(row, row.source),
        "Seen": lambda row: f"unverified: {row.seen}" if row.seen in UNSEEN else row.seen,
    }
    if evidence:
        caption = "Evidence that bears on this guidance"
        return of_rows(_rows(shown), caption, columns, name="evidence-on-guidance")
    return of_rows(
        _rows(shown),
        "What guidance says on preventing infection, by time",
        {
            "Time": lambda row: (
                "At any time" if row.time_window == "all" else printing.capital(row.time_window)
            ),
            **columns,
        },
        groups="Time",
        name="guidance-by-time",
    )


def _said(*parts: Any) -> str:
    """Put texts of a row into one cell, each as a sentence of its own; "As above" says nothing."""
    given = [part for part in parts if isinstance(part, str) and part and part != "As above"]
    return ". ".join(printing.capital(part.removesuffix(".")) for part in given)


def _period(start: Any, end: Any) -> str:
    """Print a period of days after infusion."""
    if pd.isna(start):
        return ""
    if pd.isna(end):
        return f"from day {printing.count(int(start))}" if start else "whole follow-up"
    return f"day {printing.count(int(start))} to {printing.count(int(end))}"


def timing_table(context: pd.DataFrame) -> Table:
    """Print when nonrelapse deaths happened, study by study.

    Examples
    --------
    >>> from helpers import load_context
    >>> timing_table(load_context("infection_context")).name
    'timing'
    """

    def deaths(row: Any) -> str | None:
        if pd.isna(row.value):
            return printing.count(int(row.nonrelapse_deaths))
        return None if row.measure == "infection-related mortality" else _estimate(row)

    def infections(row: Any) -> str | None:
        if pd.notna(row.value):
            return _estimate(row) if row.measure == "infection-related mortality" else None
        known = pd.notna(row.infection_deaths)
        return printing.count(int(row.infection_deaths)) if known else None

    return of_rows(
        _rows(context[context["topic"] == "timing"]),
        "When nonrelapse deaths happened, in studies that say so",
        {
            "Work": lambda row: (
                f"{row.work}: {row.population}, {printing.count(row.patients)} patients"
            ),
            "After infusion": lambda row: printing.capital(_period(row.from_day, row.to_day)),
            "Nonrelapse deaths": deaths,
            "Of infection": infections,
            "Remark": lambda row: _said(row.finding, row.care),
            "Seen": lambda row: _source(row, SOURCE.get(row.source_type, row.seen)),
        },
        groups="Work",
        name="timing",
    )


def _estimate(row: Any) -> str:
    """Print the value of a row with its interval."""
    if row.measure == "infection-related deaths per patient-month":
        return printing.number(row.value, 4)
    digits = 0 if row.value == round(row.value, 2) else 1
    said = printing.percent(row.value, digits)
    if pd.isna(row.lower):
        return said
    return f"{said} ({printing.between(100 * row.lower, 100 * row.upper, digits)})"


def pathogen_table(context: pd.DataFrame) -> Table:
    """Print what secondary sources say about pathogens.

    Examples
    --------
    >>> from helpers import load_context
    >>> pathogen_table(load_context("infection_context")).name
    'pathogens'
    """
    return of_rows(
        _rows(context[context["topic"] == "pathogens"]),
        "Pathogens of the infection deaths, from secondary sources alone",
        {
            "What is said": "finding",
            "Share": lambda row: None if pd.isna(row.value) else _estimate(row),
            "Of what": lambda row: _said(row.population, row.care),
            "Source": lambda row: _source(row, f"{row.work} ({SOURCE[row.source_type]})"),
        },
        name="pathogens",
    )


def syntheses_table(context: pd.DataFrame, ours: Mapping[str, str]) -> Table:
    """Print other syntheses and a registry, with what this evidence gives.

    Parameters
    ----------
    context : DataFrame
        As ``load_context("infection_context")`` gives it.
    ours : mapping of item to str
        Our number beside a row, where one is comparable.

    Raises
    ------
    MetaAnalysisError
        For a number beside a row that is not there.

    Examples
    --------
    >>> from helpers import load_context
    >>> syntheses_table(load_context("infection_context"), {"tellidizman": "3.8%"}).name
    'other-syntheses-of-infection'
    """
    shown = context[context["topic"].isin(["other synthesis", "registry"])]
    lost = set(ours) - set(shown["item"])
    if lost:
        raise MetaAnalysisError(f"syntheses_table(): no row {printing.listing(sorted(lost))}")

    def population(row: Any) -> str:
        sizes = [(row.studies, "study", "studies"), (row.patients, "patient", "patients")]
        known = [printing.counted(int(size), *words) for size, *words in sizes if pd.notna(size)]
        return "; ".join([row.population, *known])

    def value(row: Any) -> str | None:
        if pd.notna(row.infection_deaths) and pd.notna(row.patients):
            return printing.percent(row.infection_deaths / row.patients)
        return None if pd.isna(row.value) else _estimate(row)

    def counted(row: Any) -> str:
        return _said(row.measure, row.finding, SOURCE.get(row.source_type), row.care)

    return of_rows(
        _rows(shown),
        "Other syntheses and a registry, compared with this evidence",
        {
            "Work": "work",
            "In whom": population,
            "What is counted": counted,
            "Theirs": value,
            "Ours": lambda row: ours.get(row.item),
            "Seen": lambda row: _source(row, row.seen),
        },
        name="other-syntheses-of-infection",
    )


def report_table() -> Table:
    """Print what to report of each death from infection: the columns of the template.

    Examples
    --------
    >>> report_table().name
    'what-to-report'
    """
    return numbers(
        codebook("infection_death_template"),
        "What to report of each death from infection",
        {
            "column": "text", "meaning": ("What to write", "text"), "unit": "text",
            "allowed": "text",
        },
        name="what-to-report",
        long=False,
    )  # fmt: skip
