"""Read an xlsx file with Python's standard library alone, so that a browser can do it as well.

Values are taken as they are stored. A formula that was never calculated has no value, and its cell
says so; a reader that takes it for empty makes a number of nothing.

References
----------
ECMA-376, Office Open XML file formats, part 1, sections 18.3 (worksheets), 18.4 (shared strings)
and 18.8 (number formats).
"""

from __future__ import annotations

import io
import math
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from .grid import printable, whole

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

#: Stands in the cell of a formula that was never calculated.
FORMULA = "a formula without a stored value"
#: A part of the file that unpacks to more bytes is no table of studies.
LARGEST = 200_000_000
_MOST_CELLS = 5_000_000
_COLUMNS = 16_384
# built-in formats of dates and times (18.8.30), also those of East Asian versions
_DATES = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
_ASIDE = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')


class Workbook:
    r"""A workbook, opened; the cells of a sheet are read when they are asked for.

    Parameters
    ----------
    content : bytes
    file : str
        Name for messages.

    Raises
    ------
    EvidenceError
        It is no xlsx file.
    """

    def __init__(self, content: bytes, file: str) -> None:
        self.file = file
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
            self._parts = {info.filename: info for info in self._archive.infolist()}
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise self._broken(error) from error
        root = self._book_part()
        book = self._root(root)
        links = self._links(root)
        self._early = any(
            one.get("date1904") in ("1", "true")
            for one in book.iter()
            if _name(one) == "workbookPr"
        )
        self.names: list[str] = []
        hidden: set[int] = set()
        self._sheets: list[str] = []  # the part of the file that has the cells of each sheet
        for one in book.iter():
            part = links.get(_related(one), "") if _name(one) == "sheet" else ""
            if part in self._parts and "worksheet" in part:
                if one.get("state", "visible") != "visible":
                    hidden.add(len(self.names))
                self.names.append(one.get("name", ""))
                self._sheets.append(part)
        self.hidden = frozenset(hidden)
        folder = posixpath.dirname(root)
        self._texts = self._shared(f"{folder}/sharedStrings.xml")
        self._dates = self._date_styles(f"{folder}/styles.xml")

    def _broken(self, error: object) -> Exception:
        return whole(self.file, printable(error), "an xlsx, xls or ods file without a password")

    def _book_part(self) -> str:
        found = [
            name for name in self._parts if name.lower() in ("xl/workbook.xml", "workbook.xml")
        ]
        if not found:
            raise self._broken("a zip file without a workbook")
        return found[0]

    def _root(self, part: str) -> Element:
        """Parse a part of the file."""
        from xml.etree import ElementTree as ET

        if self._parts[part].file_size > LARGEST:
            raise self._broken(f"{part}: {self._parts[part].file_size} bytes")
        try:
            return ET.fromstring(self._archive.read(part))
        # what a damaged or locked archive raises
        except (
            ET.ParseError, zipfile.BadZipFile, zlib.error, OSError, RuntimeError, ValueError,
            NotImplementedError, EOFError, LookupError,
        ) as error:  # fmt: skip
            raise self._broken(f"{part}: {error}") from error

    def _links(self, part: str) -> dict[str, str]:
        """Give the parts that a part names, by their id."""
        folder, name = posixpath.split(part)
        where = f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels"
        if where not in self._parts:
            raise self._broken(f"no {where}")
        return {
            one.get("Id", ""): posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            for one in self._root(where)
            for target in [one.get("Target", "")]
        }

    def _shared(self, part: str) -> list[str]:
        if part not in self._parts:
            return []
        return [_text(one) for one in self._root(part) if _name(one) == "si"]

    def _date_styles(self, part: str) -> frozenset[int]:
        """Give the numbers of the styles whose values are dates or times."""
        if part not in self._parts:
            return frozenset()
        root, own = self._root(part), dict[int, str]()
        for one in root.iter():
            if _name(one) == "numFmt":
                own[_index(one.get("numFmtId"))] = one.get("formatCode", "")
        styles = next((one for one in root if _name(one) == "cellXfs"), ())
        found = set()
        for place, one in enumerate(styles):
            number = _index(one.get("numFmtId"))
            code = _ASIDE.sub("", own.get(number, "")).casefold()
            if number in _DATES or (number in own and re.search("[ymdhs]", code)):
                found.add(place)
        return frozenset(found)

    def hidden_rows(self, place: int) -> frozenset[int]:
        """Give the places, from 0, of the rows that a filter or a reader has hidden."""
        return frozenset(
            _index(line.get("r")) - 1
            for line in self._root(self._sheets[place]).iter()
            if _name(line) == "row" and line.get("hidden") in ("1", "true")
        )

    def rows(self, place: int) -> list[list[str]]:
        """Read the cells of a sheet as text: every row from the first, blank ones too."""
        made: dict[int, dict[int, str]] = {}
        row = count = 0
        for line in self._root(self._sheets[place]).iter():
            if _name(line) != "row":
                continue
            given = _index(line.get("r"))
            row = given - 1 if given > 0 else row
            column = 0
            for cell in line:
                if _name(cell) != "c":
                    continue
                at = re.match(r"([A-Z]{1,3})[0-9]+$", cell.get("r", ""))
                column = _column(at[1]) if at else column
                value = self._value(cell)
                if value != "":
                    made.setdefault(row, {})[column] = value
                    count += 1
                column += 1
            row += 1
        if not made:
            return []
        height, width = max(made) + 1, max(max(cells) for cells in made.values()) + 1
        if count > _MOST_CELLS or height * width > 4 * _MOST_CELLS or width > _COLUMNS:
            raise self._broken(
                f"sheet {self.names[place]!r} with {height} rows and {width} columns"
            )
        return [[made.get(i, {}).get(j, "") for j in range(width)] for i in range(height)]

    def _value(self, cell: Element) -> str:
        """Print the value of a cell; what it is stands in its attribute ``t``."""
        kind = cell.get("t", "n")
        parts = {_name(one): one for one in cell}
        if kind == "inlineStr":
            return _plain(_text(parts["is"])) if "is" in parts else ""
        stored = (parts["v"].text or "") if "v" in parts else ""
        if stored == "":
            return FORMULA if "f" in parts and kind != "str" else ""
        if kind == "s":
            place = _index(stored)
            if not 0 <= place < len(self._texts):
                raise self._broken(f"cell {cell.get('r', '')}: text {stored} of {len(self._texts)}")
            return _plain(self._texts[place])
        if kind == "b":
            return "TRUE" if stored in ("1", "true") else "FALSE"
        if kind != "n":
            return _plain(stored)
        try:
            number = float(stored)
        except ValueError:
            return _plain(stored)
        if _index(cell.get("s")) in self._dates and math.isfinite(number):
            return self._date(number)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)

    def _date(self, number: float) -> str:
        """Print a date, or a time of the day, as ISO 8601 has it."""
        # 1900 has a 29 February in this format, so that days after it begin one day earlier
        start = datetime(1904, 1, 1) if self._early else datetime(1899, 12, 30)
        try:
            moment = start + timedelta(seconds=round(86400 * number))
        except OverflowError:
            return repr(number)
        if 0 <= number < 1:
            return moment.time().isoformat()
        return moment.date().isoformat() if number.is_integer() else moment.isoformat(sep=" ")


def _index(written: str | None) -> int:
    """Read a number that counts rows, texts or styles; what is none is -1.

    >>> _index("12"), _index("²"), _index("9" * 5000), _index(None)
    (12, -1, -1, -1)
    """
    return int(written) if written and re.fullmatch("[0-9]{1,9}", written) else -1


def _name(element: Element) -> str:
    """Take the namespace from the name of an element; there are two of this format."""
    return str(element.tag).rpartition("}")[2]


def _related(element: Element) -> str:
    return next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == "id"), "")


def _pieces(element: Element) -> Iterator[str]:
    for one in element:
        if _name(one) == "t":
            yield one.text or ""
        elif _name(one) == "r":  # a run of one look; how a word is pronounced is not its text
            yield from _pieces(one)


def _text(element: Element) -> str:
    return "".join(_pieces(element))


def _plain(text: str) -> str:
    """Give the characters that the format writes as ``_x000D_``."""
    shown = re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
    return printable(shown).replace("\0", "\ufffd")


def _column(letters: str) -> int:
    """Count a column from its letters: A is 0, AA is 26."""
    place = 0
    for letter in letters:
        place = 26 * place + ord(letter) - ord("A") + 1
    return place - 1
