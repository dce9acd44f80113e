"""What a forest plot says: alt text, caption, notes under the axis and the table behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from .... import printing, ties
from ....engine.summaries import COCHRAN
from ...subgroup_sentences import between_line, between_verdict
from ...subject import Subject
from ...tables import Table
from ..note import Note, interval_columns, numbers
from .rows import Row, is_grouped, printed_size, size_of, whole_of


def footnotes(result: Any) -> list[str]:
    """Write the lines on heterogeneity and on differences between groups."""
    whole = whole_of(result)
    lines = []
    if whole.shows_heterogeneity:
        lines.append(heterogeneity(whole))
    if is_grouped(result) and len(result.groups) > 1:
        lines.append(f"Differences between groups: {between_line(result)}")
    return lines


def heterogeneity(fit: Any) -> str:
    """Write our own line on heterogeneity."""
    test = printing.homogeneity_test(fit, name=fit.heterogeneity.test != COCHRAN)
    return f"Heterogeneity: {printing.variation(fit)}; {test}"


def shown(value: float, fit: Any, subject: Subject) -> str:
    """Print a value of a fit on its display scale."""
    unit = subject.unit(fit)
    return printing.value(value, unit, printing.places_in(fit, unit))


def pooled(fit: Any, subject: Subject) -> str:
    """Print a pooled estimate with its interval."""
    return printing.estimate(fit, unit=subject.unit(fit))


def _predicted(rows: list[Row], whole: Any, subject: Subject) -> Iterator[tuple[str, str]]:
    """Give label and limits of the prediction interval, where there is one."""
    unit = subject.unit(whole)
    for row in rows:
        limits = row.lower, row.upper
        if row.kind == "prediction" and np.isfinite(limits).all():
            yield row.label, printing.value_range(limits, unit, printing.places_in(whole, unit))


def _ends(result: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
    """Give the groups with the lowest and the highest estimate."""
    ranked = ties.ranked(result.groups.items(), key=lambda pair: pair[1].estimate)
    return ranked[0], ranked[-1]


def describe(result: Any, rows: list[Row], remarks: list[str], subject: Subject) -> Note:
    """Write alt text, caption and table of a forest plot."""
    return Note(
        f"Forest plot of {printing.lower(subject.outcome)}",
        _alt(result, rows, subject),
        _caption(result, subject),
        _table(whole_of(result), rows, [*footnotes(result), *remarks], subject),
    )


def groups_note(
    results: Mapping[str, Any], rows: list[Row], notes: list[str], subject: Subject
) -> Note:
    """Write alt text, caption and table of a forest plot of groups."""
    whole = next(iter(results.values())).overall
    number = printing.counted(whole.k, *subject.noun)
    by = printing.listing(printing.lower(heading) for heading in results)
    title = f"Forest plot of {printing.lower(subject.outcome)} by {by}"
    alt = [f"{title}."]
    caption = [f"{subject.outcome} was {pooled(whole, subject)} in {number}."]
    for heading, result in results.items():
        each = [f"{level} {pooled(fit, subject)}" for level, fit in result.groups.items()]
        alt.append(f"{heading}: {'; '.join(each)}.")
        (low, least), (high, most) = _ends(result)
        test = ""
        if len(result.groups) > 1 and result.test.df:
            p = printing.p_value(result.calibrated_test().p)
            test = f"; calibrated {p} between groups"
        ranged = (
            f"ranged from {shown(least.estimate, whole, subject)} ({low}) to "
            f"{shown(most.estimate, whole, subject)} ({high}){test}."
        )
        by_one = f"by {printing.lower(heading)}"
        if len(results) == 1:  # the groups are the finding
            caption = [
                f"{subject.outcome} {by_one} {ranged}",
                f"In {number} together it was {pooled(whole, subject)}.",
            ]
        else:
            caption.append(f"{printing.capital(by_one)} it {ranged}")
    alt.append(f"In all {subject.studies} it was {pooled(whole, subject)}.")
    alt += [
        f"The true value of a new, similar {subject.study} is expected to lie from {limits} "
        f"({label})."
        for label, limits in _predicted(rows, whole, subject)
    ]
    caption.append("Diamonds are pooled estimates, each from a separate model.")
    return Note(title, " ".join(alt), " ".join(caption), _table(whole, rows, notes, subject))


def _alt(result: Any, rows: list[Row], subject: Subject) -> str:
    whole, what = whole_of(result), printing.lower(subject.outcome)
    studies = [row for row in rows if row.kind == "study"]
    estimates = [row.estimate for row in studies]
    low, high = studies[ties.smallest(estimates)], studies[ties.largest(estimates)]
    size = ""
    if size_of(whole) is not None:
        among = f"among {printing.count(whole.n)} {subject.people}" if whole.n is not None else (
            f"in a {printing.lower(subject.time)} of {printed_size(whole.time)}"
        )  # fmt: skip
        events = f"{printing.count(whole.events)} {printing.lower(subject.events)}"
        size = f" with {events} {among}"
    parts = [f"Forest plot of {what} in {printing.counted(whole.k, *subject.noun)}{size}."]
    if len(studies) > 1:
        parts.append(
            f"Single estimates range from {shown(low.estimate, whole, subject)} ({low.label}) to "
            f"{shown(high.estimate, whole, subject)} ({high.label})."
        )
    parts.append(f"Pooled estimate {pooled(whole, subject)}.")
    parts += [
        f"{printing.capital(label)} {limits}." for label, limits in _predicted(rows, whole, subject)
    ]
    if is_grouped(result):
        each = [
            f"{level} {pooled(fit, subject)} in {printing.counted(fit.k, *subject.noun)}"
            for level, fit in result.groups.items()
        ]
        parts.append(f"By group: {'; '.join(each)}.")
        if len(result.groups) > 1:
            parts.append(between_verdict(result, subject.studies))
    lost = sum(row.kind == "excluded" for row in rows)
    if lost:
        parts.append(f"{printing.counted(lost, *subject.noun).capitalize()} could not be pooled.")
    return " ".join(parts)


def _caption(result: Any, subject: Subject) -> str:
    whole = whole_of(result)
    number = printing.counted(whole.k, *subject.noun)
    parts = [f"{subject.outcome} was {pooled(whole, subject)} in {number}"]
    if is_grouped(result) and len(result.groups) > 1:
        (low, least), (high, most) = _ends(result)
        parts[0] += (
            f", lowest {printing.for_group(low)} ({shown(least.estimate, whole, subject)}) and "
            f"highest {printing.for_group(high)} ({shown(most.estimate, whole, subject)})"
        )
        parts.append(between_verdict(result, subject.studies))
    parts[0] += "."
    parts.append(
        f"Squares are {subject.studies} (area proportional to weight) with "
        f"{printing.level_text(whole.level)} intervals; diamonds are pooled estimates."
    )
    return " ".join(parts)


def rows_table(
    rows: list[Row],
    fit: Any,
    subject: Subject,
    caption: str,
    columns: Mapping[str, Any],
    interval: str = "interval",
    **options: Any,
) -> Table:
    """Print rows in the unit of a fit.

    `columns` name a row (its label and group) and what follows the counts, the estimate and its
    limits, as `numbers` takes them.
    """
    size = {
        "events": (subject.events, "count"),
        "n": (subject.time if fit.n is None else subject.n, printed_size),
    }
    made = {name: columns[name] for name in ("label", "group") if name in columns}
    made |= {} if size_of(fit) is None else size
    made |= interval_columns(fit, subject.outcome, interval, subject.unit(fit)) | dict(columns)
    return numbers(pd.DataFrame([asdict(row) for row in rows]), caption, made, **options)


def _table(whole: Any, rows: list[Row], notes: list[str], subject: Subject) -> Table:
    lines = [row for row in rows if row.kind != "heading"]
    columns: dict[str, Any] = {"label": (printing.capital(subject.study), "")}
    grouped = any(row.group for row in lines)
    if grouped:
        columns["group"] = ""
        totals = {"excluded": "Not pooled"}
        lines = [
            replace(row, group=row.group or totals.get(row.kind, f"All {subject.studies}"))
            for row in lines
        ]
    columns["weight"] = (f"Weight{printing.IN_PERCENT}", "number1")
    if any(row.reason for row in lines):
        columns["reason"] = ("Remark", "")
    caption = f"{subject.outcome}: the numbers behind the forest plot"
    return rows_table(
        lines, whole, subject, caption, columns, groups="group" if grouped else None, notes=notes
    )
