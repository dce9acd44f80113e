"""The page as a Word document: its text, tables and figures, from the same sections."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .files import undated
from .html import Section

if TYPE_CHECKING:
    from docx.document import Document

NAME = "report.docx"
#: Why there is no document.
REASON = "python-docx is not installed; `pip install nrm-meta[docx]` adds it"
_WIDTH = 6.3  # inches between the margins of a page
_HEIGHT = 8.3
#: Drawings, which stand as pictures, and tables behind them: most of the page, none of the text.
_LEFT_OUT = re.compile(r"<svg\b.*?</svg>|<details\b.*?</details>", re.DOTALL)
#: Words before the number of a figure or a table; a manuscript cites them by it.
_NUMBERED = {"figcaption": "Figure", "caption": "Table"}
_TEXT = {"p": None, "li": "List Bullet", "h2": "Heading 1", "h3": "Heading 2"}
_STRONG, _CODE = ("strong", "b", "th"), ("code",)


def possible() -> bool:
    """Whether the package that writes Word documents is installed."""
    return find_spec("docx") is not None


def word_document(
    title: str, made: str, sections: Iterable[Section], pictures: Mapping[str, bytes]
) -> bytes:
    """Write the sections of a page as a .docx file, the same bytes for the same report.

    `title` is its heading and `made` the line under it; `pictures` holds the PNG of each figure, by
    the id that it has on the page.

    >>> made = word_document("Mine", "Made here.", [Section("a", "A", ("<p>b &lt; c</p>",))], {})
    >>> made[:2]
    b'PK'
    """
    import docx
    from docx.shared import Inches

    document = docx.Document()
    for part in document.sections:
        part.left_margin = part.right_margin = Inches(1.1)
    properties = document.core_properties
    properties.title, properties.author, properties.comments = title, "nrm-meta", ""
    document.add_heading(title, level=0)
    document.add_paragraph(made)
    placed = Counter[str]()
    for section in sections:
        reader = _Reader(document, pictures, placed)
        reader.feed(_LEFT_OUT.sub("", section.html))
        reader.close()
    buffer = io.BytesIO()
    document.save(buffer)
    with zipfile.ZipFile(buffer) as archive:
        return undated({name: archive.read(name) for name in archive.namelist()})


class _Reader(HTMLParser):
    """Reads the HTML of a section and adds what it says to a document."""

    def __init__(
        self, document: Document, pictures: Mapping[str, bytes], placed: Counter[str]
    ) -> None:
        super().__init__(convert_charrefs=True)
        self.placed = placed  # figures and tables, counted over all sections
        self.document = document
        self.pictures = pictures
        self.skipped = ""  # a tag whose content is not printed
        self.depth = 0  # of tags of the same name inside it
        self.here: Any = None  # the paragraph that takes text
        self.strong = self.code = 0
        self.rows: list[list[list[str]]] | None = None  # of a table: rows of cells of pieces
        self.cell: list[str] | None = None
        self.notes = False  # in the foot of a table
        self.sources = False  # in a list whose entries bear numbers

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if self.skipped:
            self.depth += tag == self.skipped
            return
        if tag in ("svg", "details") or (tag == "p" and found.get("class") == "files"):
            self.skipped, self.depth = tag, 1
        elif tag == "figure":
            self._picture(str(found.get("id")))
        elif tag in _NUMBERED:
            self.here = self.document.add_paragraph(style="Caption")
            self.placed[tag] += 1
            self.here.add_run(f"{_NUMBERED[tag]} {self.placed[tag]}. ").bold = True
        elif tag == "ul":
            self.sources = "numbered" in str(found.get("class"))
        elif tag == "table":
            self.rows = []
        elif tag == "tfoot":
            self._table()
            self.notes = True
        elif tag == "tr" and self.rows is not None:
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.cell = []
            self.rows[-1].append(self.cell)
        elif tag == "td" and self.notes:
            self.here = self.document.add_paragraph()
        elif tag in _TEXT and self.rows is None:
            style = None if tag == "li" and self.sources else _TEXT[tag]
            self.here = self.document.add_paragraph(style=style)
        self.strong += tag in _STRONG
        self.code += tag in _CODE

    def handle_endtag(self, tag: str) -> None:
        if self.skipped:
            self.depth -= tag == self.skipped
            if not self.depth:
                self.skipped = ""
            return
        if tag in ("td", "th"):
            self.cell = None
        if tag == "table":
            self._table()
            self.notes = False
        if tag in (*_TEXT, "figcaption", "caption"):
            self.here = None
        self.strong -= tag in _STRONG
        self.code -= tag in _CODE

    def handle_data(self, data: str) -> None:
        if self.skipped:
            return
        text = " ".join(data.split(" ")).replace("\n", " ")
        if self.cell is not None:
            self.cell.append(text)
        elif self.here is not None and text:
            run = self.here.add_run(text)
            run.bold = bool(self.strong) or None
            if self.code:
                run.font.name = "Consolas"
        elif text.strip():
            self.here = self.document.add_paragraph()
            self.here.add_run(text)

    def _picture(self, name: str) -> None:
        from docx.shared import Inches

        if name not in self.pictures:
            return
        shape = self.document.add_picture(io.BytesIO(self.pictures[name]), width=Inches(_WIDTH))
        if shape.height > Inches(_HEIGHT):
            shape.width = int(shape.width * Inches(_HEIGHT) / shape.height)
            shape.height = Inches(_HEIGHT)

    def _table(self) -> None:
        rows, self.rows = [row for row in self.rows or () if row], None
        if not rows:
            return
        table = self.document.add_table(len(rows), max(map(len, rows)), style="Light List")
        # by rows: python-docx finds a single cell by reading the whole table
        for line, cells in zip(rows, table.rows, strict=True):
            for content, cell in zip(line, cells.cells, strict=False):
                cell.text = "".join(content).strip()
        self.document.add_paragraph()
