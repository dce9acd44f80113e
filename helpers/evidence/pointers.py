"""What looks odd in a table that passed every check: said with its likely meaning, never changed.

Numbers and labels only, without pandas: the page in the browser says the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .. import printing

_SUMS = re.compile(
    r"(grand |sub-?|over)?(total|all)( studies| cohorts| patients)?|pooled( estimate)?|overall"
    r"|summary|combined|sum|gesamt|summe|somme|suma|totale",
    re.IGNORECASE,
)
#: A longest follow-up below this many months is more likely one in years.
_SHORT = 6.0
#: A longest follow-up above this many months, fifty years, is more likely one in days, or a date.
_LONG = 600.0
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Remark:
    """One odd thing, with a code that is the key of what to do about it."""

    code: str
    message: str


def remarks(
    study: Sequence[str],
    events: Sequence[int | None],
    n: Sequence[float | None],
    *,
    rows: Sequence[int] | None = None,
    months: Sequence[float | None] | None = None,
    noun: tuple[str, str] = ("study", "studies"),
    lopsided: Sequence[int] = (),
    groups: Sequence[str | None] = (),
) -> tuple[Remark, ...]:
    """Point out rows that are sums, labels that occur twice, and units that are not likely.

    Parameters
    ----------
    study : sequence of str
        Labels.
    events, n : sequence of number or None
        Events, and people or person-time; None where one is missing.
    rows : sequence of int, optional
        Rows of the spreadsheet.
    months : sequence of float or None, optional
        Follow-up, taken as months.
    noun : pair of str
        What a row is, one and many.
    lopsided : sequence of int
        Places of the studies whose effect is far from the middle of their limits.
    groups : sequence of str or None, optional
        Group of each row, None where it has none.

    Examples
    --------
    >>> for one in remarks(["A", "B", "C", "All"], [3, 5, 9, 17], [40, 50, 60, 150]):
    ...     print(one.message)
    Row “All” equals the sum of the other rows: it may be a total, which is pooled as a study.
    """
    study = [re.sub(r" \(row [0-9]+\)$", "", str(label)) for label in study]
    shown = [f"“{printing.legal(' '.join(label.split()))}”" for label in study]
    if rows is not None:
        shown = [f"{label} (row {row})" for label, row in zip(shown, rows, strict=True)]
    there = [i for i in range(len(study)) if events[i] is not None and n[i] is not None]
    at = {row: place for place, row in enumerate(there)}
    x = {i: int(events[i] or 0) for i in there}
    size = {i: float(n[i] or 0) for i in there}
    all_x, all_n = sum(x.values()), sum(size.values())
    found = []
    for i in range(len(study)):
        equal = i in x and len(there) > 2 and 2 * x[i] == all_x and math.isclose(2 * size[i], all_n)
        if equal:
            how = "equals the sum of the other rows: it may be a total, which"
        elif _SUMS.fullmatch(str(study[i]).strip(" .:")):
            how = "has the name of a total, which"
        elif i in x and _subtotal(at[i], there, x, size):
            how = "equals the sum of the rows above it: it may be a subtotal, which"
        else:
            continue
        found.append(Remark("total-row", f"Row {shown[i]} {how} is pooled as a {noun[0]}."))
    above = [i for i in range(len(study) - 1) if events[i] is n[i] is None and i + 1 in x]
    if len(above) > 1 and above[0] == 0:
        said = f"have no numbers, above {noun[1]} that have: they may be headings of groups."
        found.append(Remark("heading-rows", f"Rows {_some(shown, above)} {said}"))
    found += _twice(study, shown, there, x, size, noun)
    if len(there) > 2 and {size[i] for i in there} == {100}:
        said = (
            "All sizes are 100: the events may be percentages, and the intervals are then those of "
            f"{noun[1]} of 100 people."
        )
        found.append(Remark("percentages", said))
    if lopsided:
        said = (
            f"The effect is far from the middle of its limits in {_some(shown, lopsided)}, on the "
            "scale on which it is pooled: the scale may be another (a ratio, a logarithm)."
        )
        found.append(Remark("lopsided-limits", said))
    times = [float(value) for value in months or () if value is not None and value == value]
    if times and max(times) < _SHORT:
        said = f"The longest follow-up is {printing.months(max(times))}: it may be in years."
        found.append(Remark("follow-up-unit", said))
    if times and max(times) > _LONG:
        said = (
            f"The longest follow-up is {printing.months(max(times))}: it may be in days, or a date "
            "that a spreadsheet made of a range and shows as a number."
        )
        found.append(Remark("long-follow-up", said))
    found += _of_groups(groups, noun)
    return tuple(found)


def _of_groups(groups: Sequence[str | None], noun: tuple[str, str]) -> Iterator[Remark]:
    """Point out groups that are written in two ways, and those that merged cells name once."""
    named = [group for group in groups if group is not None]
    by_name: dict[str, list[str]] = {}
    for group in dict.fromkeys(named):
        by_name.setdefault(_folded(group), []).append(f"“{printing.legal(group)}”")
    for name, same in by_name.items():
        if name and len(same) > 1:
            said = (
                f"Groups {printing.listing(same)} differ in case or punctuation alone: one group "
                "may be written in several ways, which are compared with each other."
            )
            yield Remark("same-group", said)
    once = 1 < len(named) == len({*named}) < len(groups)
    if once and groups[0] is not None and groups[-1] is None:
        said = (
            f"Each group is named in one row, above {noun[1]} without a group: merged cells of a "
            "spreadsheet keep their text in the first row alone."
        )
        yield Remark("merged-groups", said)


def _folded(name: object) -> str:
    """Take case, blanks and punctuation from a name."""
    return re.sub(r"[\W_]+", "", str(name).casefold())


def _subtotal(place: int, there: list[int], x: dict[int, int], size: dict[int, float]) -> bool:
    """Tell whether a row is the sum of at least two rows that stand directly above it."""
    i, events, people = there[place], 0, 0.0
    for count in range(1, place + 1):
        j = there[place - count]
        events, people = events + x[j], people + size[j]
        same = math.isclose(people, size[i])
        if people > size[i] and not same:
            return False
        if count >= 2 and same and events == x[i] > 0:
            return True
    return False


def _twice(
    study: Sequence[str],
    shown: Sequence[str],
    there: list[int],
    x: dict[int, int],
    size: dict[int, float],
    noun: tuple[str, str],
) -> Iterator[Remark]:
    """Point out labels that differ in case or punctuation alone, and equal large counts."""
    by_name: dict[str, list[int]] = {}
    by_counts: dict[tuple[int, float], list[int]] = {}
    for i in range(len(study)):
        by_name.setdefault(_folded(study[i]), []).append(i)
    for i in there:
        if x[i] >= 5 and size[i] >= 20:  # equal counts of small studies are nothing unusual
            by_counts.setdefault((x[i], size[i]), []).append(i)
    twice = f"one {noun[0]} may be listed twice."
    for name, same in by_name.items():
        if name and len(same) > 1:
            alike = len({study[i] for i in same}) == 1
            how = "have the same label" if alike else "differ in case or punctuation alone"
            yield Remark("same-study", f"Rows {_some(shown, same)} {how}: {twice}")
    for same in by_counts.values():
        if len(same) > 1:
            how = "have the same events and the same size"
            yield Remark("same-counts", f"Rows {_some(shown, same)} {how}: {twice}")


def _some(shown: Sequence[str], places: Sequence[int]) -> str:
    return printing.listing((shown[i] for i in places), most=_SHOWN)
