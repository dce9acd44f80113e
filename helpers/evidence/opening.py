"""Open a table as people have it: text with any separator, or a spreadsheet.

Nothing is repaired: what a cell holds is kept, and `Opened.understood` says in a few words what the
layout was taken for. Only the layout is found out here; whether a cell may hold what it holds is
for `helpers.evidence.columns`.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .grid import Sheet, Source, content_of, from_frame, is_frame, printable, whole
from .problems import CellProblem, EvidenceError
from .xlsx import Workbook

#: Words that stand for a number that is missing, without case.
MISSING_WORDS = frozenset(
    "na|n/a|n.a.|nan|<na>|#n/a|null|none|nr|n.r.|nd|n.d.|-|–|—|−|.|?|missing|unknown"
    "|not reported|not available|not applicable|no data|not stated|k.a.|k. a.|keine angabe"
    "|no reportado|no disponible|non rapporté|non disponible".split("|")
)
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LOOKED_AT = 200  # records from which the separator is found
#: Lists of names that help to find a role, or to say why there is none.
_NO_ROLES = frozenset({"weak_study", "two_arms", "without_event", "share", "year"})
_HEADERS = 40  # rows among which the header is looked for
_COMMA = re.compile(r"[-\N{MINUS SIGN}]?[0-9]+,[0-9]+")
#: Bytes that Windows-1252 does not assign.
_UNASSIGNED = frozenset(b"\x81\x8d\x8f\x90\x9d")


@dataclass(frozen=True, slots=True)
class Opened:
    """A table of cells with the layout in which it was found."""

    sheet: Sheet  # the rows are those of the spreadsheet
    understood: tuple[str, ...]  # what was taken for what; empty for a plain CSV file
    decimal_comma: bool = False
    repeated: frozenset[str] = frozenset()  # names that stand in the header more than once


def plain_name(name: str) -> str:
    r"""Take case and punctuation from the name of a column.

    >>> plain_name("Follow-up (months)"), plain_name("No._of\nCases")
    ('follow up months', 'no of cases')
    """
    return " ".join(re.sub(r"[\W_]+", " ", name.casefold()).split())


def _counted(name: str) -> str:
    """Take the words for a number from the plain name of a count.

    >>> _counted("Patients (N)"), _counted("Total number of relapses"), _counted("No response")
    ('patients', 'relapses', 'no response')
    """
    return re.sub(r"^((total )?(number|no) of|n) (?=.)| n$", "", plain_name(name))


@cache
def names() -> Mapping[str, tuple[str, ...]]:
    """Return the known names of each role, ours first."""
    text = Path(__file__).with_name("column_names.toml").read_text(encoding="utf-8")
    return {role: tuple(known) for role, known in tomllib.loads(text).items()}


def ours(role: str) -> str:
    """Give our own plain name for a role.

    >>> ours("by"), ours("follow_up"), ours("cluster")
    ('group', 'follow up', '')
    """
    return names().get(role, ("",))[0]


def guess(header: Sequence[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Find the columns whose names say what they hold; two that could be one role are left out.

    >>> guess(["Author", "Cases", "Total"])
    {'study': 'Author', 'events': 'Cases', 'n': 'Total'}
    >>> guess(["Author", "Cases", "Deaths", "N"])
    {'study': 'Author', 'n': 'N'}
    """
    taken = set(taken)
    free = [name for name in header if name not in taken]
    found = {}
    weak = names()["weak_study"]
    for role, known in names().items():
        if role in _NO_ROLES:
            continue
        own = [name for name in free if plain_name(name) == known[0]]
        exact = [name for name in free if name == known[0].replace(" ", "_")]
        short = _counted if role in ("events", "n") else plain_name
        other = [name for name in free if {plain_name(name), short(name)} & {*known}]
        if role == "study" and len(other) > 1:
            other = [name for name in other if plain_name(name) not in weak] or other
        for candidates in (exact, own, other):
            if candidates:
                if len(candidates) == 1:
                    found[role] = candidates[0]
                break
    return found


def open_table(
    source: Source,
    *,
    wanted: Sequence[str] = (),
    sheet: str | int | None = None,
    file: str | None = None,
) -> Opened:
    r"""Open a CSV file, an xlsx, xls or ods file, their content or a frame.

    Parameters
    ----------
    source : str, path, bytes, file-like or pandas.DataFrame
        A text is taken as a path.
    wanted : sequence of str
        Names of columns that have to be there; they help to find the header.
    sheet : str or int, optional
        Name of the sheet of a spreadsheet, or its number from 1; by default the first whose header
        has columns for events and people at risk, or else the first that is not empty; hidden ones
        come last.
    file : str, optional
        Name for messages.

    Raises
    ------
    EvidenceError
        When there is nothing that could be read as a table.

    Examples
    --------
    >>> opened = open_table(b"study;events;n;age\nA;3;40;12,5\n\nB;5;50;9,0\n")
    >>> opened.understood
    ('semicolons', 'decimal commas', 'one blank row skipped')
    >>> opened.sheet.rows
    (2, 4)
    """
    if is_frame(source):
        return Opened(from_frame(source), ())
    content, file = content_of(source, file, "a file opened as bytes")
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    content = bytes(content)
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        rows, said, _ = _workbook(content, file, sheet, wanted)
        return _table(rows, file, wanted, said, text=False)
    if sheet is not None:
        raise whole(file, "a text file", f"a spreadsheet with a sheet {sheet!r}")
    text, encoding = _decoded(content, file)
    said = [encoding] if encoding else []
    rows, separator = _separated(text, file, wanted)
    if separator != ",":
        said.append(_SEPARATORS.get(separator, "spaces"))
    return _table(rows, file, wanted, said, text=True, separator=separator)


def _decoded(content: bytes, file: str) -> tuple[str, str]:
    """Decode bytes; name the encoding where it is not UTF-8."""
    marks = [(b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32")]
    marks += [(b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")]
    name = next((one for mark, one in marks if content.startswith(mark)), "")
    zeros = content[:4000]
    if not name and 3 * zeros.count(0) > len(zeros):
        name = "utf-16-le" if zeros[1::2].count(0) > zeros[::2].count(0) else "utf-16-be"
    try:
        if name:
            text = content.decode(name).removeprefix("\ufeff")
            if "\0" not in text:
                return text, name[:6].upper()
            raise whole(file, "many NUL bytes", "a table as text or a spreadsheet")
        if b"\0" in content:
            raise whole(file, "NUL bytes", "a table as text or a spreadsheet")
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        if name or _UNASSIGNED & set(content):
            byte = f"an undecodable byte at {error.start}"
            expected = "text in UTF-8, UTF-16 or Windows-1252 (save it again as CSV UTF-8)"
            raise whole(file, byte, expected) from error
        return content.decode("cp1252"), "Windows-1252"


def _recognised(cells: Iterable[str], wanted: Sequence[str]) -> int:
    """Count the roles of which a row, taken as a header, has a column."""
    cells = [cell.strip() for cell in cells if cell.strip()]
    known = guess(cells)
    return (
        len(set(wanted) & set(cells))
        + len(known.keys() & {"study", "events"})
        + bool(known.keys() & {"n", "time"})
    )


def _records(text: str, separator: str, file: str, most: int | None) -> list[list[str]]:
    """Split text into records; a blank line is a record without cells."""
    if separator == " ":
        text = re.sub(r"[ \t]+", " ", text)  # as programs for statistics write and align tables
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    try:
        for record in reader:
            rows.append(record)
            if len(rows) == most:
                break
    except csv.Error as error:
        expected = "cells with matching quotes (a quote inside a cell is written twice)"
        problem = CellProblem(file, len(rows) + 1, "", str(error), expected)
        raise EvidenceError([problem]) from error
    return rows


def _separated(text: str, file: str, wanted: Sequence[str]) -> tuple[list[list[str]], str]:
    """Split text at the separator that makes a table of it."""
    said = re.match(r'"?sep=(.)"?\r?\n', text)
    if said:  # a line for Excel, which does not show it as a row
        return _records(text[said.end() :], said[1], file, None), said[1]
    best: tuple[tuple[float, ...], str] | None = None
    broken: EvidenceError | None = None
    uneven = True  # whether the header of the best way has another width than the rows
    found = False  # whether it finds the columns that are wanted
    for separator in (*_SEPARATORS, " "):
        if separator == " " and not uneven and found:
            break  # only a table that nothing else explains is separated by spaces
        try:
            rows = _records(text, separator, file, _LOOKED_AT)
        except EvidenceError as error:
            broken = broken or error
            continue
        filled = [row for row in rows if any(cell.strip() for cell in row)]
        widths = Counter(len(row) for row in filled if len(row) > 1)
        if not widths:
            continue
        usual = max(widths, key=lambda width: (widths[width], width))
        roles = max(_recognised(row, wanted) for row in filled[:_HEADERS])
        if separator == " ":
            if widths[usual] < len(filled) or usual < 3 or len(filled) < 3:
                continue
            if best is not None and not uneven and roles <= best[0][0]:
                continue
            best = None
        score = (float(roles), widths[usual] / len(filled), float(usual))
        if best is None or score > best[0]:
            best = score, separator
            found = any(set(wanted) <= set(map(str.strip, row)) for row in filled[:_HEADERS])
            uneven = widths[usual] < len(filled) and not roles
            uneven |= (
                len(filled) > 2 and len(filled[0]) < usual and widths[usual] == len(filled) - 1
            )
    if best is None:
        if broken is not None:
            raise broken
        if not text.strip():
            raise whole(file, "an empty file", "a header row and at least one record")
        line = printable(text.strip().splitlines()[0][:80])
        raise whole(file, line, "several columns, separated by commas, semicolons or tabs")
    return _records(text, best[1], file, None), best[1]


def _workbook(
    content: bytes, file: str, sheet: str | int | None, wanted: Sequence[str]
) -> tuple[list[list[str]], list[str], list[str]]:
    """Read one sheet: its rows, what was understood, and the names of all sheets, its own first."""
    # the first file of an OpenDocument names its type
    is_ods = b"mimetypeapplication/vnd.oasis.opendocument" in content[:200]
    is_xlsx = content.startswith(b"PK") and not is_ods
    book = Workbook(content, file) if is_xlsx else _Other(content, file)
    found = book.names
    # what is hidden is often an older state of the same table
    places: Iterable[int] = sorted(range(len(found)), key=book.hidden.__contains__)
    if sheet is not None:
        number = int(sheet) if re.fullmatch("[0-9]{1,9}", str(sheet)) else 0
        if sheet in found:
            places = [found.index(str(sheet))]
        elif 1 <= number <= len(found):
            places = [number - 1]
        else:
            raise whole(
                file, f"sheet {sheet!r}", f"one of the sheets {', '.join(map(repr, found))}"
            )
    read = {place: rows for place in places if any(map(any, rows := book.rows(place)))}
    if not read:
        raise whole(file, "no cells", "a header row and at least one record")
    roles = {
        place: max(_recognised(row, wanted) for row in rows[:_HEADERS])
        for place, rows in read.items()
    }
    chosen = next((place for place in read if roles[place] >= 2), next(iter(read)))
    said = []
    hidden = ", hidden" if chosen in book.hidden else ""
    if len(found) > 1:
        said.append(f"sheet {found[chosen]!r} ({chosen + 1} of {len(found)}{hidden})")
    away = book.hidden_rows(chosen)
    unseen = sum(any(row) for place, row in enumerate(read[chosen]) if place in away)
    if unseen:
        said.append("one hidden row included" if unseen == 1 else f"{unseen} hidden rows included")
    return read[chosen], said, [found[chosen], *(name for name in found if name != found[chosen])]


class _Other:
    """An xls or ods file, read as `Workbook` reads an xlsx file; it does not tell hidden rows."""

    def __init__(self, content: bytes, file: str) -> None:
        try:
            import python_calamine
        except ImportError as error:
            expected = (
                "an xlsx or CSV file; for xls and ods the package python-calamine is needed "
                "(pip install python-calamine)"
            )
            raise whole(file, "an xls or ods spreadsheet", expected) from error
        self.file, self._broken = file, (python_calamine.CalamineError, OSError, ValueError)
        try:
            self._book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
            sheets = [one for one in self._book.sheets_metadata if "Sheet" in str(one.typ)]
        except self._broken as error:
            expected = "an xlsx, xls or ods file without a password"
            raise whole(file, printable(error), expected) from error
        seen = python_calamine.SheetVisibleEnum.Visible
        self.names = [one.name for one in sheets]
        self.hidden = frozenset(i for i, one in enumerate(sheets) if one.visible != seen)

    def hidden_rows(self, place: int) -> frozenset[int]:
        return frozenset()

    def rows(self, place: int) -> list[list[str]]:
        name = self.names[place]
        try:
            rows = self._book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        except self._broken as error:
            expected = f"a sheet {name!r} that can be read"
            raise whole(self.file, printable(error), expected) from error
        return [[_written(cell) for cell in row] for row in rows]


def sheet_text(content: bytes, file: str, sheet: str | int | None = None) -> tuple[str, list[str]]:
    r"""Give a sheet of a spreadsheet as CSV text, row by row as it is, and the sheets' names.

    The chosen sheet, that of `open_table`, stands first among the names.
    """
    rows, _, sheets = _workbook(content, file, sheet, ())
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue(), sheets


def _written(cell: Any) -> str:
    """Write the value of a cell of a spreadsheet as text."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return printable(cell).replace("\0", "\ufffd")


def _table(
    rows: list[list[str]],
    file: str,
    wanted: Sequence[str],
    said: list[str],
    *,
    text: bool,
    separator: str = "",
) -> Opened:
    """Find the header and the records among rows of cells."""
    stripped = [[cell.strip() for cell in row] for row in rows]
    filled = [(place, row) for place, row in enumerate(stripped) if any(row)]
    if not filled:
        raise whole(file, "an empty file", "a header row and at least one record")
    scores = [_recognised(row, wanted) for _, row in filled[:_HEADERS]]
    several = [sum(bool(cell) for cell in row) > 1 for _, row in filled[:_HEADERS]]
    best = max(scores)
    at = scores.index(best) if best >= 2 else several.index(True) if any(several) else 0
    head, raw = filled[at]
    records = filled[at + 1 :]
    problems = []
    width = max((_last(row) for _, row in filled[at:]), default=0)
    if text:
        for place, row in records:
            if _last(row) > len(raw):
                expected = (
                    f"at most {len(raw)} cells as in the header; a cell with "
                    f"{'a comma' if separator == ',' else 'the separator'} needs quotes"
                )
                found = f"{_last(row)} cells"
                problems.append(CellProblem(file, place + 1, "", found, expected))
        width = min(width, len(raw))
    if not records:
        problems.append(CellProblem(file, head + 2, "", "nothing", "at least one record"))
    header: list[str] = []
    repeated = set()
    for place in range(width):
        name = raw[place] if place < len(raw) else ""
        shown = name or f"(column {place + 1})"
        while shown in header:
            repeated.add(name)
            shown = f"{shown} (column {place + 1})"
        header.append(shown)
    if problems:
        raise EvidenceError(problems)
    cells = tuple((*row[:width], *[""] * (width - len(row))) for _, row in records)
    comma = text and separator != "," and _decimal_comma(cells)
    if comma:
        said.append("decimal commas")
    if head:
        said.append(f"header in row {head + 1}")
    blank = filled[-1][0] - head - len(records)
    if blank:
        said.append(f"{'one blank row' if blank == 1 else f'{blank} blank rows'} skipped")
    sheet = Sheet(file, head + 1, tuple(header), tuple(p + 1 for p, _ in records), cells, ())
    return Opened(sheet, tuple(said), comma, frozenset(repeated))


def _last(row: Sequence[str]) -> int:
    """Count the cells up to the last that is not empty."""
    return max((place for place, cell in enumerate(row, start=1) if cell), default=0)


def _decimal_comma(cells: Iterable[Sequence[str]]) -> bool:
    """Tell whether numbers are written with a decimal comma.

    Three decimals everywhere could be thousands; then nobody can tell, and the cells are refused
    where they are used.
    """
    found = [cell for row in cells for cell in row if _COMMA.fullmatch(cell)]
    return any(len(cell.split(",")[1]) != 3 for cell in found)
