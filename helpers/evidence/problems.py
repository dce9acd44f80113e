"""The one error of this package: every bad cell of a table, its place and what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from ..door import pd
from ..errors import MetaAnalysisError

_SHOWN = 50
#: How an expectation ends where the cell may be empty.
OR_EMPTY = ", or an empty cell"


@dataclass(frozen=True, slots=True)
class CellProblem:
    """One thing that is wrong with a table."""

    file: str  # The file as it was named by the caller, or ``"data frame"``
    #: Line of the file on which the record starts, as a text editor counts (the header is row 1
    #: unless blank lines precede it). A spreadsheet shows the same number as long as no cell above
    #: contains a line break. In a data frame the first record is row 2, as if the frame had been
    #: written to a file. None when the whole file is meant.
    row: int | None
    column: str  # Name of the column; empty when a whole row or the whole file is meant
    value: str  # What was found
    expected: str  # What would have been right

    @property
    def maybe_missing(self) -> bool:
        """Whether a word stands where a number, or nothing, was expected."""
        number = re.match("a (whole )?number", self.expected) and self.expected.endswith(OR_EMPTY)
        return bool(number and re.fullmatch(r"[^\W\d][^\d,]*", self.value))

    def __str__(self) -> str:
        """Return the problem as one line, without the file."""
        place = "whole file" if self.row is None else f"row {self.row}"
        if self.column:
            place += f", column {self.column!r}"
        return f"{place}: found {self.value!r}, expected {self.expected}"


class EvidenceError(MetaAnalysisError):
    """A table that cannot be used, with all of its problems at once.

    Parameters
    ----------
    problems : iterable of Problem
        At least one.

    Attributes
    ----------
    problems : tuple of CellProblem
        Every problem, in the order of the file.

    Examples
    --------
    >>> problem = CellProblem("my.csv", 3, "events", "-1", "a whole number, 0 or more")
    >>> error = EvidenceError([problem])
    >>> print(error)
    1 problem in my.csv:
      row 3, column 'events': found '-1', expected a whole number, 0 or more
    """

    def __init__(self, problems: Iterable[CellProblem]) -> None:
        self.problems = tuple(problems)
        # the arguments of an exception are what pickle rebuilds it from
        super().__init__(self.problems)

    def __str__(self) -> str:
        """Return the problems as a list; a very long list is cut and says so."""
        count = len(self.problems)
        files = ", ".join(dict.fromkeys(problem.file for problem in self.problems))
        lines = [f"{count} problem{'s' if count != 1 else ''} in {files}:"]
        lines += [f"  {problem}" for problem in self.problems[:_SHOWN]]
        if count > _SHOWN:
            lines.append(f"  and {count - _SHOWN} more; .problems and .to_frame() have them all")
        return "\n".join(lines)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per problem.

        Returns
        -------
        pandas.DataFrame
            Columns ``file, row, column, value, expected``; ``row`` is Int64, missing when the
            whole file is meant.
        """
        names = [field.name for field in fields(CellProblem)]
        frame = pd.DataFrame([astuple(problem) for problem in self.problems], columns=names)
        return frame.astype({"row": "Int64"} | {name: "str" for name in names if name != "row"})
