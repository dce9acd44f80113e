"""Tables of any frame: its columns in their formats, under their headings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

from ... import printing
from ...errors import MetaAnalysisError, UnsupportedError
from ...printing.characters import slug
from .markup import MISSING, Link, Table, as_cards, body

Format = str | Callable[[Any], str]


def _percent(value: float, digits: int) -> str:
    return printing.number(100 * value, digits)


# "percent" and its kin print the unit in the heading, not in each cell.
_FORMATS: Mapping[str, Callable[[Any], str]] = {
    # a number that is kept as it was printed gets the minus of its neighbours
    "text": lambda value: re.sub(r"^-(?=\d)", printing.MINUS, str(value)),
    "count": printing.count,
    "year": lambda value: str(int(value)),
    "number": printing.number,
    "number1": partial(printing.number, digits=1),
    "number3": partial(printing.number, digits=3),
    "number5": partial(printing.number, digits=5),
    "percent": partial(_percent, digits=1),
    "percent2": partial(_percent, digits=2),
    "significant": printing.significant,
    "p": partial(printing.p_value, symbol=""),
}

#: Headings of columns that are symbols or limits; others are their names with blanks.
_HEADINGS: Mapping[str, str] = {
    **{symbol: symbol for symbol in ("p", "Q", "df", "n")},
    **{"tau2": "τ²", "I2": "I²", "ci_lower": "Lower", "ci_upper": "Upper", "sd": "SD"},
}

NAME_LENGTH = 60  # characters of a caption that make an id


def table(
    frame: pd.DataFrame,
    caption: str,
    *,
    formats: Mapping[str, Format] | None = None,
    labels: Mapping[str, str] | None = None,
    groups: str | None = None,
    notes: Iterable[str] = (),
    name: str | None = None,
    long: bool | None = None,
    search: bool = False,
) -> Table:
    """Print a frame as a table of the page.

    Parameters
    ----------
    frame : DataFrame
        The first column names the rows. The index is not shown.
    caption : str
        What the table shows; also its accessible name.
    formats : mapping of column to format, optional
        "text", "count", "year", "number", "number1", "number3", "number5", "percent", "percent2"
        (fractions, unit in the heading), "significant", "p", or a function from value to text.
        Without one, whole numbers are counts, a column ``p`` has p-values, other numbers two
        decimals, and the rest is text.
    labels : mapping of column to heading, optional
        By default column names with blanks for underscores, symbols as the field prints them
        (``tau2`` is τ²), and the unit of percentages.
    groups : str, optional
        Column whose values become headings over groups of rows.
    notes : iterable of str
        Lines under the table.
    name : str, optional
        Id of the table on the page; made of the caption by default.
    long : bool, optional
        Whether the table scrolls in a box of limited height; above 20 rows by default.
    search : bool
        Whether pages put a field above it that filters its rows; without a script it has none.

    Returns
    -------
    Table
        Missing cells are printed as a dash. Where the columns do not fit on a phone, each row is a
        card there, with the headings beside the cells and without those that are missing.

    Raises
    ------
    MetaAnalysisError
        When a named column does not exist or no caption is given.
    UnsupportedError
        For an unknown format.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"disease": ["LBCL", "MM"], "patients": [5806, 1193]})
    >>> print(table(frame, caption="Patients by disease"))
    Patients by disease
    Disease  Patients
       LBCL     5,806
         MM     1,193
    """
    formats, labels, notes = dict(formats or {}), dict(labels or {}), list(notes)
    require(frame, [*formats, *labels, *([groups] if groups else [])])
    if not caption.strip():
        raise MetaAnalysisError("a table needs a caption")
    name = name or f"table-{slug(caption, NAME_LENGTH)}"
    shown = _printed(frame, formats)
    headings = {
        column: labels[column] if column in labels else _heading(str(column), formats.get(column))
        for column in shown.columns
    }
    columns = [column for column in shown.columns if column != groups]
    cards = as_cards([headings[column] for column in columns], [shown[c] for c in columns])
    return Table(
        name=name,
        caption=caption,
        body=body(shown, caption, headings, groups, notes, _numeric(frame), cards),
        text=shown.rename(columns=headings).to_string(index=False),
        long=len(frame) > 20 if long is None else long,
        cards=cards,
        search=search,
    )


def _heading(column: str, kind: Format | None) -> str:
    """Heading of a column that has no label."""
    heading = _HEADINGS.get(column, printing.capital(printing.readable(column)))
    return _with_unit(heading, kind)


def _with_unit(heading: str, kind: Format | None) -> str:
    percent = isinstance(kind, str) and kind.startswith("percent")
    return f"{heading}{printing.IN_PERCENT}" if percent else heading


def numbers(
    data: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    caption: str,
    columns: Mapping[str, Any],
    **options: Any,
) -> Table:
    """Print columns of a frame, with the heading and the format of each.

    `columns` are shown in their order, those that the data lack are left out. Each has a format of
    :func:`table` (empty for the usual one), or a heading and a format; a heading gets the unit of
    percentages.

    >>> print(numbers({"a": ["x"], "b": [0.25]}, "Shares", {"a": "", "b": ("Part", "percent")}))
    Shares
    A Part, %
    x    25.0
    """
    frame = pd.DataFrame(data)
    shown = {column: said for column, said in columns.items() if column in frame}
    formats: dict[str, Format] = {}
    labels: dict[str, str] = {}
    for column, said in shown.items():
        heading, kind = said if isinstance(said, tuple) else ("", said)
        if heading:
            labels[column] = _with_unit(heading, kind)
        if kind:
            formats[column] = kind
    made = frame[list(shown)].reset_index(drop=True)
    return table(made, caption, formats=formats, labels=labels, **options)


def of_rows(
    rows: pd.DataFrame | Iterable[Any],
    caption: str,
    columns: Mapping[str, Any],
    **options: Any,
) -> Table:
    """Print a line for each row, with what makes the cells beside the heading of their column.

    The cells of a column are a field of the rows, or what a function makes of a row; a format of
    :func:`table` may follow. A heading gets the unit of percentages.

    >>> rows = [{"name": "x", "events": 1, "n": 4}]
    >>> columns = {"Name": "name", "Without": (lambda row: row["n"] - row["events"], "count")}
    >>> print(of_rows(rows, "People without an event", columns))
    People without an event
    Name Without
       x       3
    """
    if isinstance(rows, pd.DataFrame):
        rows = rows.astype("object").to_dict("records")
    rows = list(rows)
    cells: dict[str, list[Any]] = {}
    shown: dict[str, Any] = {}
    for heading, said in columns.items():
        made, kind = said if isinstance(said, tuple) else (said, "")
        cells[heading] = [_field(row, made) if isinstance(made, str) else made(row) for row in rows]
        shown[heading] = (heading, kind)
    return numbers(cells, caption, shown, **options)


def _field(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, Mapping) else getattr(row, name)


def require(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a frame that lacks a column, with those that it has."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise MetaAnalysisError(
            f"no column {printing.listing(map(repr, missing))}; there are "
            f"{printing.listing(map(repr, frame.columns))}"
        )


def _numeric(frame: pd.DataFrame) -> list[str]:
    return [c for c in frame.columns if is_numeric_dtype(frame[c]) and not is_bool_dtype(frame[c])]


def _printed(frame: pd.DataFrame, formats: Mapping[str, Format]) -> pd.DataFrame:
    printed = {}
    numeric = _numeric(frame)
    for column in frame.columns:
        values = frame[column]
        usual = "text"
        if column in numeric:
            usual = "count" if is_integer_dtype(values) else "number"
            year = str(column).casefold().rpartition(" ")[2].rpartition("_")[2] == "year"
            usual = "year" if year and is_integer_dtype(values) else usual
            usual = "p" if column == "p" else usual
        chosen = formats.get(column, usual)
        if isinstance(chosen, str) and chosen not in _FORMATS:
            raise UnsupportedError(
                f"no format {chosen!r} for column {column!r}; there are "
                f"{printing.listing(_FORMATS)}"
            )
        function = _FORMATS[chosen] if isinstance(chosen, str) else chosen
        if chosen == "percent":  # digits follow the numbers of the column
            known = [float(v) for v in values if not pd.isna(v) and not isinstance(v, Link)]
            function = partial(_percent, digits=printing.places(*known))
        printed[column] = [
            MISSING if pd.isna(value) else value if isinstance(value, Link) else function(value)
            for value in values
        ]
    return pd.DataFrame(printed, dtype=object)
