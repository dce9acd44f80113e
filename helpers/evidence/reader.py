"""A reader's own table, through the same checks as ours."""

from __future__ import annotations

from collections.abc import Sequence

from ..door import pd
from .columns import as_frame, at_most, describe, infer, read_columns
from .grid import Source, is_frame, read_grid


def read_cohorts(
    path_or_frame: Source,
    *,
    study: str = "study",
    events: str = "events",
    n: str = "n",
    by: str | None = None,
    follow_up: str | None = None,
    reported_rate: str | None = None,
    numeric: str | Sequence[str] = (),
) -> pd.DataFrame:
    r"""Read and check a table with one row per study and its events out of n.

    Parameters
    ----------
    path_or_frame : str, path, bytes, file-like or pandas.DataFrame
        A CSV file (comma, UTF-8, header in the first row), its content, an open file, or a
        frame. A text is taken as a path. ``data/template.csv`` shows the layout.
    study : str
        Column with the label of each study: not empty, no spaces around it, used once.
    events : str
        Column with the people who had the event: whole numbers, 0 or more, at most ``n``.
    n : str
        Column with the people at risk: whole numbers, 1 or more.
    by : str, optional
        Column with a group. May be empty; no spaces around the name. Read as text.
    follow_up : str, optional
        Column with a follow-up above 0, in any one unit. May be empty.
    reported_rate : str, optional
        Column with a proportion from 0 to 1. May be empty.
    numeric : str or sequence of str
        Further columns that have to hold finite numbers. May be empty.

    Returns
    -------
    pandas.DataFrame
        All columns of the table under their own names, rows and columns in their order; the
        index of a frame is kept. Counts are ``int64``, labels ``str``, follow-up, rate and
        ``numeric`` columns ``float64`` with NaN where empty. A column that was not named is
        kept: out of a file, as numbers when every cell that is not empty is a plain number
        without leading zeros (an exponent is allowed here), otherwise as text, character for
        character; out of a frame, untouched.

    Raises
    ------
    EvidenceError
        With every bad cell at once: file, row, column, value and what was expected. (Records that
        follow a quote without its partner cannot be told apart and are not read.)
    MetaAnalysisError
        If one column is given two roles.

    Notes
    -----
    Nothing is repaired. Only the empty cell is missing: ``NA``, ``-`` or ``nan`` in a number
    column is an error, and a study may be called ``NA``. A number is written in the digits 0-9
    with a decimal point, without exponent, thousands separator, leading zero, percent sign or
    spaces; a count has no decimals (``12.0`` is refused in a file, while a frame's float that
    is whole is the same number and becomes an integer). A byte-order mark in front of UTF-8, any
    kind of line ending and blank lines carry no value and are accepted. In a frame, None, NaN
    and ``""`` in a checked column are missing, and whole-number labels become text.

    Examples
    --------
    >>> read_cohorts(b"study,events,n,age\nA 2020,3,40,61.5\nB 2021,0,25,\n")
        study  events   n   age
    0  A 2020       3  40  61.5
    1  B 2021       0  25   NaN
    >>> read_cohorts(b"study,events,n\nA 2020,41,40\nB 2021,,25\n")
    Traceback (most recent call last):
        ...
    helpers.evidence.problems.EvidenceError: 2 problems in bytes:
      row 2, column 'events': found '41', expected at most the number in column 'n'
      row 3, column 'events': found '', expected a whole number, 0 or more
    """
    if isinstance(numeric, str):
        numeric = (numeric,)
    given = {"study": study, "events": events, "n": n, "by": by, "follow_up": follow_up}
    given["reported_rate"] = reported_rate
    roles = {role: name for role, name in given.items() if name is not None}
    columns = describe(roles, numeric, required=("study", "events", "n"))
    names = tuple(column.name for column in columns)
    grid = read_grid(path_or_frame, names)
    checked = as_frame(read_columns(grid, columns, [at_most(events, n)]), columns)
    if is_frame(path_or_frame):
        result = path_or_frame.copy()
        for name in names:
            if name != by:  # a group keeps its type, such as the order of a categorical
                result[name] = checked[name].array
        return result
    for place, name in enumerate(grid.header):
        if name not in names:
            checked[name] = infer([record[place] for record in grid.cells])
    return checked[list(grid.header)]
