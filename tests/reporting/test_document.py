"""The Word document says and shows what the page does."""

from __future__ import annotations

import html
import re

import docx
from report_tools import edge, written

from helpers import printing
from helpers.reporting import document


def test_the_word_document_says_and_shows_what_the_page_does(folder):
    made, place = folder
    word = docx.Document(place / "report.docx")
    text = [paragraph.text for paragraph in word.paragraphs]
    assert text[0] == "=1+1"
    assert made.answer in text
    page = (place / "report.html").read_text(encoding="utf-8")
    titles = [html.unescape(one) for one in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]
    headings = [one.text for one in word.paragraphs if one.style.name == "Heading 1"]
    assert headings == [one for one in titles if one != "Files"]
    assert len(word.inline_shapes) == len(made.pictures)
    captions = [one.text for one in word.paragraphs if one.style.name == "Caption"]
    figures = [one for one in captions if one.startswith("Figure ")]
    order = re.findall(r'<figure class="picture" id="([^"]+)"', page)
    shown = [made.pictures[name].caption for name in order]
    assert figures == [f"Figure {i}. {text}" for i, text in enumerate(shown, start=1)]
    tables = [one.partition(". ")[0] for one in captions if one not in figures]
    assert tables == [f"Table {i}" for i in range(1, len(word.tables) + 1)]
    sources = [one for one in word.paragraphs if re.match(r"\[\d+\] ", one.text)]
    assert {one.style.name for one in sources} == {"Normal"}  # a number takes the place of a bullet
    listed = [one.text for one in word.paragraphs if one.style.name == "List Bullet"]
    assert not any(re.search(r"[a-z]\.[A-Z]", one) for one in listed)
    outside = re.sub(r"<details.*?</details>", "", page, flags=re.S)
    assert len(word.tables) == outside.count("<table")
    cells = [[cell.text for cell in row.cells] for row in word.tables[0].rows]
    assert printing.number(100 * made.analysis.fit.estimate, 1) in cells[1]
    assert all(row[0] for row in cells)


def test_without_python_docx_the_report_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "possible", lambda: False)
    place = written(edge("two cohorts"), tmp_path / "out")
    assert not (place / "report.docx").exists()
    assert "python-docx is not installed" in (place / "report.html").read_text(encoding="utf-8")
