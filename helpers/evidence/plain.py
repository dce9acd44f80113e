"""The counts of a reader's own table without pandas, with the messages of `read_cohorts`.

Where only numpy is installed (in a browser) a table is still read cell by cell, and refused with
the same words; a test compares the two readers.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import MetaAnalysisError
from .columns import _UTF8, ColumnSchema, _header_problems, _read_cell
from .grid import Sheet, Source, printable, read_grid, unreadable
from .problems import CellProblem, EvidenceError

__all__ = ["Counts", "read_counts"]


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
    columns = [
        ColumnSchema(study, "text", unique=True),
        ColumnSchema(events, "integer", minimum=0),
        ColumnSchema(n, "integer", minimum=1),
    ]
    names = (study, events, n)
    if len(set(names)) < len(names):
        raise MetaAnalysisError(f"each column can have one role only, got {', '.join(names)}")
    grid = read_grid(source, names, file)
    problems = [*grid.problems, *_header_problems(grid, columns, strict=False)]
    values = {c.name: _column(grid, c, problems) for c in columns if c.name in grid.header}
    _foreign_cells(grid, names, problems)
    if {events, n} <= set(values):
        pairs = zip(grid.rows, values[events], values[n], grid.cells, strict=True)
        for row, x, size, record in pairs:
            if isinstance(x, int) and isinstance(size, int) and x > size:
                shown = printable(record[grid.header.index(events)])
                expected = f"at most the number in column {n!r}"
                problems.append(CellProblem(grid.file, row, events, shown, expected))
    if problems:
        order: dict[str, int] = {}
        for place, name in enumerate(grid.header):
            order.setdefault(printable(name) if name.strip() else f"(column {place + 1})", place)
        problems.sort(key=lambda one: (one.row or 0, order.get(one.column, -1)))
        raise EvidenceError(problems)
    return Counts(
        tuple(str(v) for v in values[study]),
        tuple(int(v) for v in values[events] if v is not None),
        tuple(int(v) for v in values[n] if v is not None),
    )


def _column(
    grid: Sheet, column: ColumnSchema, problems: list[CellProblem]
) -> list[str | int | None]:
    """Values of one column; None, and a problem, where a cell cannot be used."""
    place = grid.header.index(column.name)
    values: list[str | int | None] = []
    first: dict[object, int] = {}
    for row, record in zip(grid.rows, grid.cells, strict=True):
        cell, value, expected = record[place], None, column.expected()
        if cell != "":
            try:
                value, expected = _read_cell(cell, column), ""
            except ValueError as error:
                expected = str(error)
        if column.minimum is not None and value is not None and value < column.minimum:
            value, expected = None, column.expected()
        if column.unique and value is not None and first.setdefault(value, row) != row:
            expected = f"a value used once (also in row {first[value]})"
        if expected:
            problems.append(CellProblem(grid.file, row, column.name, printable(cell), expected))
        values.append(value)
    return values


def _foreign_cells(grid: Sheet, names: tuple[str, ...], problems: list[CellProblem]) -> None:
    """Report undecodable text in the columns that are not used."""
    for place, name in enumerate(grid.header):
        if name in names:
            continue
        for row, record in zip(grid.rows, grid.cells, strict=True):
            if unreadable(record[place]):
                shown = printable(record[place])
                problems.append(CellProblem(grid.file, row, printable(name), shown, _UTF8))
