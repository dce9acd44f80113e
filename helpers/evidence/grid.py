"""Read a table as text cells with their places, without guessing what they mean."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeGuard

from ..door import pd
from .problems import CellProblem, EvidenceError

_RESAVE = "save it again as 'CSV UTF-8 (comma delimited)'"
UTF8 = "UTF-8 text (save the file again as 'CSV UTF-8 (comma delimited)')"
# the longer marks first: UTF-32 begins like UTF-16
_FOREIGN = (
    (b"\xff\xfe\x00\x00", "a UTF-32 file"),
    (b"\x00\x00\xfe\xff", "a UTF-32 file"),
    (b"\xff\xfe", "a UTF-16 file"),
    (b"\xfe\xff", "a UTF-16 file"),
    (b"PK\x03\x04", "a spreadsheet or zip file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file"),
)
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


Source: TypeAlias = "str | os.PathLike[str] | bytes | IO[Any] | pd.DataFrame"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A rectangular table of cells that nobody has interpreted yet."""

    file: str  # name for messages
    header_row: int  # line of the header
    header: tuple[str, ...]
    rows: tuple[int, ...]  # line on which each record starts
    cells: tuple[tuple[Any, ...], ...]  # text from a file, any object from a frame
    problems: tuple[CellProblem, ...]  # of the layout; such records are not in `cells`

    def column(self, place: int) -> list[tuple[int, Any]]:
        """Give line and cell of each record in one column."""
        return [(row, record[place]) for row, record in zip(self.rows, self.cells, strict=True)]

    def label(self, place: int) -> str:
        """Name a column in a message."""
        name = self.header[place]
        return printable(name) if name.strip() else f"(column {place + 1})"

    def problem(self, row: int, column: str, found: object, expected: str) -> CellProblem:
        """Say what is wrong with one cell."""
        return CellProblem(self.file, row, column, printable(found), expected)

    def refuse(self, problems: Iterable[CellProblem]) -> None:
        """Raise the problems, if there are any, in the order of the file."""
        found = list(problems)
        labels = [self.label(place) for place in range(len(self.header))]
        order = {name: labels.index(name) for name in labels}
        if found:
            found.sort(key=lambda one: (one.row or 0, order.get(one.column, -1)))
            raise EvidenceError(found)


def printable(value: object) -> str:
    """Return a value as text that any terminal can print; what cannot be decoded becomes U+FFFD."""
    return "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in str(value))


def is_open(source: object) -> TypeGuard[IO[Any]]:
    """Tell whether something can be read; a data frame may have a column of that name.

    >>> import io, pandas as pd
    >>> is_open(io.BytesIO()), is_open(pd.DataFrame({"read": [1]}))
    (True, False)
    """
    return callable(getattr(source, "read", None))


def is_frame(source: object) -> TypeGuard[pd.DataFrame]:
    """Tell whether something is a data frame, without importing pandas."""
    return hasattr(source, "columns") and hasattr(source, "iloc")


def unreadable(text: str) -> bool:
    """Tell whether a cell holds undecodable bytes or a NUL, which no UTF-8 table contains."""
    return any(char == "\0" or 0xD800 <= ord(char) <= 0xDFFF for char in text)


def read_grid(source: Source, wanted: tuple[str, ...], file: str | None = None) -> Sheet:
    """Read a table from a path, bytes, an open file or a data frame.

    The names of the `wanted` columns tell a file with another separator from one that lacks
    columns. `EvidenceError` when there is nothing that could be read as a table.
    """
    if is_frame(source):
        return from_frame(source)
    content, name = content_of(source, file, UTF8)
    return _from_content(content, name, wanted)


def content_of(source: Any, file: str | None, readable: str) -> tuple[Any, str]:
    """Give the content of a path, bytes or an open file, and its name for messages.

    `readable` is what an open file should have been whose text cannot be decoded.
    """
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        return _read(name), file or name
    if isinstance(source, (bytes, bytearray)):
        return source, file or "bytes"
    if not is_open(source):
        kind = type(source).__name__
        raise whole(kind, kind, "a path, bytes, a file open for reading or a pandas.DataFrame")
    name = file or str(getattr(source, "name", "open file"))
    try:
        content = source.read()
    except UnicodeDecodeError as error:
        raise whole(name, f"an undecodable byte at {error.start}", readable) from error
    if not isinstance(content, (str, bytes, bytearray)):
        raise whole(name, type(content).__name__, "text or bytes from the open file")
    return content, name


def whole(file: str, value: str, expected: str) -> EvidenceError:
    """Make the error about a file that is no table."""
    return EvidenceError([CellProblem(file, None, "", printable(value), expected)])


def _read(name: str) -> bytes:
    """Read a file, with an error that a reader of tables understands."""
    try:
        return Path(name).read_bytes()
    except IsADirectoryError as error:
        raise whole(name, "a folder", "a CSV file") from error
    except FileNotFoundError as error:
        hint = "; pass the content itself as bytes" if "\n" in name else ""
        raise whole(name, "no such file", f"the path of a CSV file{hint}") from error
    except (OSError, ValueError) as error:
        raise whole(printable(name), str(error), "a CSV file that can be read") from error


def _from_content(content: str | bytes | bytearray, file: str, wanted: tuple[str, ...]) -> Sheet:
    if isinstance(content, (bytes, bytearray)):
        for mark, what in _FOREIGN:
            if content.startswith(mark):
                raise whole(file, what, f"a CSV file; {_RESAVE}")
        # bytes that are not UTF-8 survive as lone surrogates, so that each cell can be named
        content = content.decode("utf-8", "surrogateescape")
    if 10 * content.count("\0") > len(content):
        raise whole(file, "many NUL bytes, perhaps UTF-16", UTF8)
    return _from_text(content.removeprefix("\ufeff"), file, wanted)


def _records(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line on which it starts; blank lines hold no record."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for record in reader:
            if record:
                yield start, record
            start = reader.line_num + 1
    except csv.Error as error:
        # what follows a broken quote cannot be told apart any more
        expected = "cells with matching quotes (a quote inside a cell is written twice)"
        raise EvidenceError([CellProblem(file, start, "", str(error), expected)]) from error


def _from_text(text: str, file: str, wanted: tuple[str, ...]) -> Sheet:
    records = _records(text, file)
    try:
        first = next(records, None)
    except EvidenceError:
        _refuse_separator(text.lstrip("\r\n").split("\n", 1)[0], 1, file, wanted)
        raise
    if first is None:
        raise whole(file, "an empty file", "a header row and at least one record")
    header_row, header = first
    if not set(wanted) <= set(header):
        _refuse_separator(",".join(header), header_row, file, wanted)
    rows: list[int] = []
    cells: list[tuple[str, ...]] = []
    problems: list[CellProblem] = []
    try:
        for row, record in records:
            if not any(record):
                expected = "a record, or no line here"
                problems.append(CellProblem(file, row, "", "an empty record", expected))
            elif len(record) != len(header):
                expected = f"{len(header)} cells as in the header; a cell with a comma needs quotes"
                problems.append(CellProblem(file, row, "", f"{len(record)} cells", expected))
            else:
                rows.append(row)
                cells.append(tuple(record))
    except EvidenceError as error:
        # what came before the broken quote is still worth reporting
        problems += error.problems
    if not rows and not problems:
        problems.append(CellProblem(file, header_row + 1, "", "nothing", "at least one record"))
    return Sheet(file, header_row, tuple(header), tuple(rows), tuple(cells), tuple(problems))


def _refuse_separator(line: str, row: int, file: str, wanted: tuple[str, ...]) -> None:
    """Raise if another separator than the comma explains the header better."""
    found = sum(name in line.split(",") for name in wanted)
    for separator, what in _SEPARATORS.items():
        parts = [part.strip().strip('"') for part in line.split(separator)]
        if sum(name in parts for name in wanted) > found:
            expected = f"cells separated by commas, not {what}; {_RESAVE}"
            raise EvidenceError([CellProblem(file, row, "", printable(line), expected)])


def from_frame(frame: pd.DataFrame) -> Sheet:
    """Take the cells of a frame as they are; the first record is row 2."""
    file = "data frame"
    problems: list[CellProblem] = []
    if frame.columns.nlevels > 1:
        raise whole(file, "several header rows", "one name per column")
    repeated = frame.index.duplicated()
    for position, label in enumerate(frame.index):
        if not repeated[position]:
            continue
        expected = "an index label used once; reset_index(drop=True) gives each row its own"
        problems.append(CellProblem(file, position + 2, "(index)", printable(label), expected))
    if not len(frame):
        problems.append(CellProblem(file, 2, "", "nothing", "at least one record"))
    missing = frame.isna().to_numpy()
    cells = tuple(
        tuple("" if gone else cell for cell, gone in zip(record, absent, strict=True))
        for record, absent in zip(frame.itertuples(index=False, name=None), missing, strict=True)
    )
    header = tuple(str(name) for name in frame.columns)
    return Sheet(file, 1, header, tuple(range(2, len(frame) + 2)), cells, tuple(problems))
