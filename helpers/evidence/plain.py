"""A reader's own table without pandas, with the messages of `read_own`.

Where only numpy is installed (in a browser) a table is read in the same way, cell by cell, and
refused with the same words; a test compares the two readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .columns import ColumnSchema, layout_problems, read_column
from .grid import Sheet, Source, whole
from .opening import open_table
from .own import choose_columns, prepare, understood
from .problems import CellProblem


@dataclass(frozen=True, slots=True)
class Counts:
    """Labels, each once, events, and people or person-time: one entry a study."""

    study: tuple[str, ...]
    events: tuple[int | None, ...]  # None where a count is missing
    size: tuple[float | None, ...]
    rows: tuple[int, ...]  # of the spreadsheet
    roles: Mapping[str, str]  # study, events, and n or time
    understood: str  # empty for a plain CSV file with our names


def read_counts(
    source: Source,
    given: Mapping[str, str | None] | None = None,
    *,
    missing: Sequence[str] = (),
    sheet: str | int | None = None,
    file: str | None = None,
) -> Counts:
    r"""Read and check the labels, events and sizes of a table, as `read_own` does.

    Parameters
    ----------
    source, given, missing, sheet
        As in `helpers.evidence.own.read_own`, of the roles ``study, events, n, time``.
    file : str, optional
        Name for messages.

    Examples
    --------
    >>> counts = read_counts(b"Author;Cases;Total\nA;3;40\nB;NR;50\n")
    >>> counts.events, counts.size, counts.rows
    ((3, None), (40, 50), (2, 3))
    """
    given = dict(given or {})
    named = [name for name in given.values() if name is not None]
    opened = open_table(source, wanted=named, sheet=sheet, file=file)
    chosen = choose_columns(opened, given, options=False)
    needed = ("study", "events", "n", "time")
    roles: dict[str, str] = {role: chosen[role] for role in needed if role in chosen}
    grid, columns, rules = prepare(opened, roles, missing=missing)
    problems = layout_problems(grid, columns)
    values = {c.name: _checked(grid, c, problems) for c in columns if c.name in grid.header}
    study, events, size = (column.name for column in columns[:3])
    if rules and {events, size} <= set(values):
        cells = grid.column(grid.header.index(events))
        for (row, cell), x, n in zip(cells, values[events], values[size], strict=True):
            if x is not None and n is not None and x > n:
                problems.append(grid.problem(row, events, cell, rules[0].expected))
    grid.refuse(problems)
    both = zip(values[events], values[size], strict=True)
    if all(x is None or n is None for x, n in both):
        found = "no row with both counts"
        raise whole(grid.file, found, f"counts in {events!r} and {size!r}")
    return Counts(
        study=tuple(values[study]),
        events=tuple(values[events]),
        size=tuple(values[size]),
        rows=grid.rows,
        roles=roles,
        understood=understood(opened, roles, given),
    )


def _checked(grid: Sheet, column: ColumnSchema, problems: list[CellProblem]) -> list[Any]:
    """Values of one column; None, and a problem, where a cell cannot be used."""
    values, wrong = read_column(grid, column)
    said = {one.row: one.expected for one in wrong}
    first: dict[object, int] = {}
    for i, (row, cell) in enumerate(grid.column(grid.header.index(column.name))):
        value, expected = values[i], said.get(row, "")
        low = value is not None and (
            (column.minimum is not None and value < column.minimum)
            or (column.above is not None and value <= column.above)
        )
        if low or (value is None and not expected and column.required):
            values[i], expected = None, column.expected()
        elif column.unique and value is not None and first.setdefault(value, row) != row:
            expected = f"a value used once (also in row {first[value]})"
        if expected:
            problems.append(grid.problem(row, column.name, cell, expected))
    return values
