"""Sphinx extension: the sections of the book as the search has them, in place of Sphinx's index.

Every section, glossary term and documented function is one entry of ``_static/sections.js``, with
its page, its place, its heading and its text. A page loads that file, and MiniSearch, when a reader
begins to search; both are plain scripts, so that the search also works in a book on a disk.
``search.js`` says how entries are weighed, ``synonyms.toml`` which names mean the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from dependencies import Remembered

SYNONYMS = Path(__file__).with_name("synonyms.toml")
_ARTICLE = re.compile(r"<article\b.*?</article>", re.DOTALL)
_DRAWN = re.compile(r"<(svg|script|style|pre|button)\b.*?</\1>", re.DOTALL)
_DISPLAYED = re.compile(r'<math\b[^>]*display="block".*?</math>', re.DOTALL)
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"}
# code, the facts under a title, the numbers behind a figure: no prose to be found by
_LEFT_OUT = {"cell_input", "hide", "page-facts", "headerlink", "section-number", "picture-data"}
# what separates no words
_INLINE = {
    "a",
    "abbr",
    "b",
    "cite",
    "code",
    "em",
    "i",
    "q",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
}
_HEADING = re.compile(r"h[1-3]")


@dataclass
class Section:
    """What the search knows of one place of a page."""

    anchor: str
    level: int
    heading: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Cut a page where a heading, a glossary term or a documented name begins."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[Section] = []
        self._open: list[tuple[str, Section | None]] = []  # around the place; none till its heading
        self._tags: list[tuple[str, bool]] = []  # and whether a section ends with the tag
        self._term: Section | None = None
        self._in_heading = self._in_term = ""
        self._skipped = 0

    def _begin(self, anchor: str, level: int) -> Section:
        self.sections.append(Section(anchor, level))
        return self.sections[-1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self.handle_data(" ")
            return
        given = dict(attrs)
        if self._skipped or _LEFT_OUT.intersection((given.get("class") or "").split()):
            self._skipped += 1
            return
        begins = tag == "section" and bool(given.get("id"))
        if begins:
            self._open.append((given["id"] or "", None))
            self._term = None
        elif tag == "dt" and given.get("id"):
            self._term = self._begin(given["id"] or "", 4)
            self._in_term = tag
        elif _HEADING.fullmatch(tag) and self._open:
            self._in_heading = tag
            anchor, begun = self._open[-1]
            if begun:  # a heading that an output of a cell brings
                anchor = given.get("id") or anchor
            self._open[-1] = (anchor, self._begin(anchor, int(tag[1])))
        elif tag not in _INLINE and not tag.startswith("m"):  # nor do the parts of a formula
            self.handle_data(" ")
        self._tags.append((tag, begins))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if self._skipped:
            self._skipped -= 1
            return
        while self._tags:  # the theme closes what it opens, in order; a stray tag closes nothing
            opened, begins = self._tags.pop()
            if begins:
                self._open.pop()
                self._term = None
            if opened == tag:
                break
        if tag == self._in_heading:
            self._in_heading = ""
        if tag == self._in_term:
            self._in_term = ""
        if tag == "dl":
            self._term = None

    def handle_data(self, data: str) -> None:
        if self._skipped:
            return
        place = self._term or next((s for _, s in reversed(self._open) if s), None)
        if place is None:
            return
        to_heading = self._in_term if self._term else self._in_heading
        (place.heading if to_heading else place.text).append(data)


def _words(pieces: list[str]) -> str:
    return re.sub(r"\s+", " ", "".join(pieces)).strip()


def sections_of(html: str) -> list[tuple[str, int, str, str]]:
    """Cut a page into its sections: place, level of the heading, heading, text.

    A section without a heading of the first three levels belongs to the one around it. A glossary
    term, or a documented name, is a section of level 4.

    Examples
    --------
    >>> page = '<article><section id="a"><h1>Pooling</h1><p>One number.</p></section></article>'
    >>> sections_of(page)
    [('a', 1, 'Pooling', 'One number.')]
    """
    article = _ARTICLE.search(html)
    if article is None:
        return []
    reader = _Reader()
    reader.feed(_DISPLAYED.sub(" ", _DRAWN.sub(" ", article[0])))
    reader.close()
    found = []
    for section in reader.sections:
        heading = _words(section.heading)
        if section.anchor.startswith("helpers."):  # a documented name, without its parameters
            heading = re.sub(
                r"^(?:class|property|exception) ", "", heading.partition("(")[0]
            ).strip()
        if heading:
            found.append((section.anchor, section.level, heading, _words(section.text)))
    return found


def read_synonyms(path: Path = SYNONYMS) -> tuple[list[list[str]], dict[str, str]]:
    """Read the names that mean the same, and the words under which a place is looked for."""
    facts = tomllib.loads(path.read_text(encoding="utf-8"))
    return [one["names"] for one in facts["same"]], {
        one["place"]: one["words"] for one in facts["place"]
    }


def _entries(
    out: Path, pages: list[str], words: dict[str, str], cut: Remembered
) -> Iterator[list[Any]]:
    for number, name in enumerate(pages):
        html = (out / f"{name}.html").read_text(encoding="utf-8")
        found = cut.of(name, html, partial(sections_of, html))
        for place, (anchor, level, heading, text) in enumerate(found):
            key = f"{name}.html#{anchor}"
            sought = words.pop(key, "") or (words.pop(f"{name}.html", "") if not place else "")
            yield [number, "" if level == 1 else anchor, level, heading, text, sought]


def index_of(out: Path, pages: list[str], cut: Remembered) -> dict[str, Any]:
    """Make the index of the built pages below `out`; a place of the synonyms must be there.

    Pages that an earlier build `cut` into sections are not cut again.
    """
    same, words = read_synonyms()
    entries = list(_entries(out, pages, words, cut))
    if words:
        raise ValueError(f"book/_ext/synonyms.toml names places that no page has: {list(words)}")
    titles = {number: heading for number, _, level, heading, *_ in entries if level == 1}
    named = [[f"{name}.html", titles.get(number, name)] for number, name in enumerate(pages)]
    return {"pages": named, "same": same, "entries": entries}


def _write(app: Any, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    cut = Remembered("sections", hashlib.sha256(Path(__file__).read_bytes()).hexdigest())
    made = json.dumps(index_of(out, sorted(app.env.found_docs), cut), ensure_ascii=False)
    cut.keep()
    (out / "searchindex.js").unlink(missing_ok=True)  # Sphinx's, of a build before ours
    (out / "_static" / "sections.js").write_text(f"var bookSections = {made};\n", encoding="utf-8")


def _search_page(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    yield "search", {}, "search.html"


def _no_index(app: Any) -> None:
    app.builder.search = False  # Sphinx makes neither its own index nor the page for it


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx; the index is made of the pages as readers get them."""
    app.connect("builder-inited", _no_index)
    app.connect("html-collect-pages", _search_page)
    app.connect("build-finished", _write, priority=940)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
