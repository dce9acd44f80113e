"""What a forest plot says: alt text, caption, notes under the axis and the table behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .... import printing, ties
from ....engine.summaries import COCHRAN
from ...subgroup_sentences import between_line, between_verdict
from ...subject import Subject
from ..note import Note
from .rows import Row, is_grouped, printed_size, size_of

if TYPE_CHECKING:
    from ...tables import Table

__all__ = ["describe", "footnotes", "groups_note"]


def footnotes(result: Any) -> list[str]:
    """Write the lines on heterogeneity and on differences between groups."""
    whole = result.overall if is_grouped(result) else result
    found = whole.heterogeneity
    lines = []
    if whole.shows_heterogeneity:
        lines.append(
            f"Heterogeneity: τ² = {_short(whole.tau2)}, I² = {printing.percent(found.I2 / 100)}; "
            f"{printing.homogeneity_test(whole, name=found.test != COCHRAN)}"
        )
    if is_grouped(result) and len(result.groups) > 1:
        lines.append(f"Differences between groups: {between_line(result)}")
    return lines


def _short(tau2: float) -> str:
    return printing.number(tau2, 3 if tau2 < 0.1 else 2)


def describe(result: Any, rows: list[Row], remarks: list[str], subject: Subject) -> Note:
    """Write alt text, caption and table of a forest plot."""
    whole = result.overall if is_grouped(result) else result
    return Note(
        title=f"Forest plot of {printing.lower(subject.outcome)}",
        alt=_alt(result, rows, subject),
        caption=_caption(result, rows, subject),
        table=_table(whole, rows, [*footnotes(result), *remarks], subject),
    )


def groups_note(
    results: Mapping[str, Any], rows: list[Row], notes: list[str], subject: Subject
) -> Note:
    """Write alt text, caption and table of a forest plot of groups."""
    whole = next(iter(results.values())).overall
    number = printing.counted(whole.k, *subject.noun)
    by = printing.listing(printing.lower(heading) for heading in results)
    alt = [f"Forest plot of {printing.lower(subject.outcome)} by {by}."]
    caption = [f"{subject.outcome} was {printing.estimate(whole)} over {number}."]
    for heading, result in results.items():
        each = [f"{level} {printing.estimate(fit)}" for level, fit in result.groups.items()]
        alt.append(f"{heading}: {'; '.join(each)}.")
        ranked = ties.ranked(result.groups.items(), key=lambda pair: pair[1].estimate)
        (low, least), (high, most) = ranked[0], ranked[-1]
        test = ""
        if len(ranked) > 1 and result.test.df:
            p = printing.p_value(result.calibrated_test().p)
            test = f" (calibrated {p} between groups)"
        caption.append(
            f"By {printing.lower(heading)} it ran from {_print(least.estimate, whole)} "
            f"{printing.within(low)} to {_print(most.estimate, whole)} "
            f"{printing.within(high)}{test}."
        )
    ends = [*_expected(rows, whole, subject)]
    alt += [f"Over all {subject.studies} it was {printing.estimate(whole)}.", *ends]
    caption += [*ends, "Diamonds are pooled estimates, each from a model of its own."]
    return Note(
        title=f"Forest plot of {printing.lower(subject.outcome)} by {by}",
        alt=" ".join(alt),
        caption=" ".join(caption),
        table=_table(whole, rows, notes, subject),
    )


def _expected(rows: list[Row], whole: Any, subject: Subject) -> Iterator[str]:
    """Say what a new study may be expected to have, where there is a prediction interval."""
    for row in rows:
        if row.kind == "prediction" and _finite(row.lower, row.upper):
            yield (
                f"The true value of a new, similar {subject.study} is expected to lie from "
                f"{_bounds(row, whole)} ({row.label})."
            )


def _print(value: float, whole: Any) -> str:
    return printing.number(value, 2) if whole.n is None else printing.percent(value)


def _alt(result: Any, rows: list[Row], subject: Subject) -> str:
    whole = result.overall if is_grouped(result) else result
    studies = [row for row in rows if row.kind == "study"]
    estimates = [row.estimate for row in studies]
    low, high = studies[ties.smallest(estimates)], studies[ties.largest(estimates)]
    size = ""
    if whole.n is not None:
        size = (
            f" with {printing.count(whole.events)} {printing.lower(subject.events)} among "
            f"{printing.count(whole.n)} {subject.people}"
        )
    elif whole.time is not None:
        size = (
            f" with {printing.count(whole.events)} {printing.lower(subject.events)} in a "
            f"{printing.lower(subject.time)} of {printed_size(whole.time)}"
        )
    number = printing.counted(whole.k, *subject.noun)
    parts = [f"Forest plot of {printing.lower(subject.outcome)} in {number}{size}."]
    if len(studies) > 1:
        parts.append(
            f"Single estimates range from {_print(low.estimate, whole)} ({low.label}) to "
            f"{_print(high.estimate, whole)} ({high.label})."
        )
    parts.append(f"Pooled estimate {printing.estimate(whole)}.")
    for row in rows:
        if row.kind == "prediction" and _finite(row.lower, row.upper):
            bounds = _bounds(row, whole)
            parts.append(f"{row.label[:1].upper()}{row.label[1:]} {bounds}.")
    if is_grouped(result):
        each = [
            f"{level} {printing.estimate(fit)} in {printing.counted(fit.k, *subject.noun)}"
            for level, fit in result.groups.items()
        ]
        parts.append(f"By group: {'; '.join(each)}.")
        if len(result.groups) > 1:
            parts.append(between_verdict(result, subject.studies))
    left_out = sum(row.kind == "excluded" for row in rows)
    if left_out:
        parts.append(
            f"{printing.counted(left_out, *subject.noun).capitalize()} could not be pooled."
        )
    return " ".join(parts)


def _finite(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)


def _bounds(row: Row, whole: Any) -> str:
    if whole.n is None:
        return f"{printing.number(row.lower)} to {printing.number(row.upper)}"
    return f"{printing.number(100 * row.lower, 1)} to {printing.percent(row.upper)}"


def _caption(result: Any, rows: list[Row], subject: Subject) -> str:
    whole = result.overall if is_grouped(result) else result
    number = printing.counted(whole.k, *subject.noun)
    parts = [f"{subject.outcome} was {printing.estimate(whole)} over {number}"]
    if is_grouped(result) and len(result.groups) > 1:
        ranked = ties.ranked(result.groups.items(), key=lambda pair: pair[1].estimate)
        (low, least), (high, most) = ranked[0], ranked[-1]
        parts[0] += (
            f", lowest {printing.within(low)} ({_print(least.estimate, whole)}) and highest "
            f"{printing.within(high)} ({_print(most.estimate, whole)})."
        )
        parts.append(between_verdict(result, subject.studies))
    else:
        parts[0] += "."
    parts += _expected(rows, whole, subject)
    parts.append(
        f"Squares are {subject.studies} (area proportional to weight) with {100 * whole.level:g}"
        f"{printing.THIN}% intervals; diamonds are pooled estimates."
    )
    return " ".join(parts)


def _table(whole: Any, rows: list[Row], notes: list[str], subject: Subject) -> Table:
    import pandas as pd

    from ...tables import table

    counts, percent = size_of(whole) is not None, whole.n is not None
    shown = [row for row in rows if row.kind != "heading"]
    groups = any(row.group for row in shown)
    totals = f"All {subject.studies}"
    frame = pd.DataFrame({subject.study: [row.label for row in shown]})
    if groups:
        frame["group"] = [
            row.group or ("Not pooled" if row.kind == "excluded" else totals) for row in shown
        ]
    if counts:
        frame["events"] = [row.events for row in shown]
        frame["n"] = [row.n for row in shown]
    for column in ("estimate", "lower", "upper", "weight"):
        frame[column] = [getattr(row, column) for row in shown]
    if any(row.reason for row in shown):
        frame["remark"] = [row.reason for row in shown]
    unit = f",{printing.HARD}%" if percent else ""
    value = "percent" if percent else "number"
    level = printing.level_text(whole.level)
    formats: dict[str, Any] = dict.fromkeys(("estimate", "lower", "upper"), value)
    formats["weight"] = "number1"
    labels = {
        "estimate": f"{subject.outcome}{unit}",
        "lower": f"{level} interval from",
        "upper": "to",
        "weight": f"Weight,{printing.HARD}%",
    }
    if counts:
        formats |= {"events": "count", "n": printed_size}
        labels |= {"events": subject.events, "n": subject.n if percent else subject.time}
    return table(
        frame,
        caption=f"{subject.outcome}: the numbers behind the forest plot",
        formats=formats,
        labels=labels,
        groups="group" if groups else None,
        notes=notes,
    )
