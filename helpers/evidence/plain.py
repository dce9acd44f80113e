"""The counts of a reader's own table without pandas, with the messages of `read_cohorts`.

Where only numpy is installed (in a browser) a table is still read cell by cell, and refused with
the same words; a test compares the two readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .columns import ColumnSchema, at_most, count_columns, layout_problems, read_column
from .grid import Sheet, Source, read_grid
from .problems import CellProblem


@dataclass(frozen=True, slots=True)
class Counts:
    """Labels, each once, events and people at risk: one entry a study."""

    study: tuple[str, ...]
    events: tuple[int, ...]
    n: tuple[int, ...]


def read_counts(
    source: Source,
    *,
    study: str = "study",
    events: str = "events",
    n: str = "n",
    file: str | None = None,
) -> Counts:
    r"""Read and check the labels, events and sizes of a CSV table, as `helpers.read_cohorts` does.

    Examples
    --------
    >>> read_counts(b"study,events,n\nA 2020,3,40\nB 2021,0,25\n")
    Counts(study=('A 2020', 'B 2021'), events=(3, 0), n=(40, 25))
    """
    columns = count_columns(study, events, n)
    grid = read_grid(source, (study, events, n), file)
    problems = layout_problems(grid, columns)
    values = {c.name: _checked(grid, c, problems) for c in columns if c.name in grid.header}
    if {events, n} <= set(values):
        place = grid.header.index(events)
        for (row, cell), x, size in zip(grid.column(place), values[events], values[n], strict=True):
            if x is not None and size is not None and x > size:
                problems.append(grid.problem(row, events, cell, at_most(events, n).expected))
    grid.refuse(problems)
    return Counts(*(tuple(values[name]) for name in (study, events, n)))


def _checked(grid: Sheet, column: ColumnSchema, problems: list[CellProblem]) -> list[Any]:
    """Values of one column; None, and a problem, where a cell cannot be used."""
    values, wrong = read_column(grid, column)
    said = {one.row: one.expected for one in wrong}
    first: dict[object, int] = {}
    for i, (row, cell) in enumerate(grid.column(grid.header.index(column.name))):
        value, expected = values[i], said.get(row, "")
        low = value is not None and column.minimum is not None and value < column.minimum
        if low or (value is None and not expected):
            values[i], expected = None, column.expected()
        elif column.unique and value is not None and first.setdefault(value, row) != row:
            expected = f"a value used once (also in row {first[value]})"
        if expected:
            problems.append(grid.problem(row, column.name, cell, expected))
    return values
