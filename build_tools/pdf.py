"""Make the book as one PDF from the built pages (``make pdf``): printed by a headless Chromium.

The pages are joined to one document, every id with the name of its page before it, so that links
between pages become links between sheets. Printed twice: the first print tells on which sheet
each chapter and section begins, the second has these numbers in its contents.
"""

from __future__ import annotations

import argparse
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from address import commit, repository  # noqa: E402
from page_facts import build_date, written_out  # noqa: E402

# what is of use on a screen alone
LEFT_OUT = (
    "script, button, form, a.headerlink, details.hide, details.cite, details.picture-data, "
    ".toctree-wrapper, .reading-time"
)
SOLUTION = "div.solution"  # of an exercise: on paper only for those who ask for it
ON_SCREEN = "Helpers"  # the part that stays on the site: nobody reads signatures on paper
REFERRING = ("aria-labelledby", "aria-describedby", "headers", "for")
_URL = re.compile(r"url\(#([^)]+)\)")
STYLE = """
@page { size: A4; margin: 22mm 20mm 20mm;
  @top-left { content: "%(book)s"; font: 8pt "Cohort Sans", sans-serif; color: #5c6370; }
  @bottom-center { content: counter(page); font: 9pt "Cohort Sans", sans-serif; color: #5c6370; } }
@page cover { @top-left { content: none; } @bottom-center { content: none; } }
%(running)s
html, body { background: #fff; }
body { font-size: 10pt; line-height: 1.45; overflow: visible; }
main { display: block; max-width: none; padding: 0; margin: 0; }
.chapter { break-before: page; }
.cover { page: cover; padding-top: 55mm; }
.cover h1 { font-size: 30pt; line-height: 1.15; }
.cover p { font-size: 12pt; }
.book-contents { break-before: page; }
.book-contents li { list-style: none; }
.book-contents ul ul { font-size: 9pt; padding-left: 1.2rem; }
.book-contents ul { padding-left: 0; margin-bottom: 0.2rem; }
.book-contents .line { display: flex; align-items: baseline; gap: 0.4rem; }
.book-contents .line::before { content: ""; order: 1; flex: 1; border-bottom: 1px dotted #b8bdc6; }
.book-contents .line a { color: inherit; text-decoration: none; max-width: 85%%; }
.book-contents .line span { order: 2; font-variant-numeric: tabular-nums; }
.book-contents h2 { font-size: 11pt; margin: 1rem 0 0.2rem; }
h1, h2, h3, h4, dt { break-after: avoid; break-inside: avoid; }
pre, .highlight { white-space: pre-wrap; overflow-wrap: anywhere; }
.cell_output table.dataframe { font-size: 8pt; }
figure.picture svg { max-height: 19cm !important; }
.bd-article :is(.admonition, .sd-card, details) { box-shadow: none !important; }
:is(.picture-scroll, .table-scroll) { background: none !important; }
.toggle-hidden { display: block !important; }
div.cell_input, .highlight, .cell_output pre { break-inside: avoid; }
"""
SHEET_WIDTH = 642  # CSS pixels between the margins of a sheet
# a table that is wider than the sheet is printed smaller, not cut
FIT = """() => document.querySelectorAll("main table").forEach((table) => {
  const room = table.closest("div, section, main").clientWidth;
  if (table.scrollWidth > room) table.style.zoom = room / table.scrollWidth;
})"""
CUT = """() => {
  const edge = document.querySelector("main").getBoundingClientRect().right + 1;
  return [...document.querySelectorAll("main :is(table, svg, pre, img, math)")]
    .filter((part) => part.getBoundingClientRect().right > edge)
    .map((part) => part.closest("[id]").id);
}"""


@dataclass(frozen=True)
class Chapter:
    """A page of the book on paper."""

    name: str
    part: str
    title: str
    body: Tag


def toc_pages(toc: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Part and name of each page, in the order of the table of contents.

    Examples
    --------
    >>> list(toc_pages({"root": "index", "parts": [{"caption": "A", "chapters": [{"file": "b"}]}]}))
    [('', 'index'), ('A', 'b')]
    """

    def below(entries: list[dict[str, Any]], part: str) -> Iterator[tuple[str, str]]:
        for entry in entries:
            yield part, entry["file"]
            yield from below(entry.get("sections", []), part)

    yield "", toc["root"]
    yield from below(toc.get("chapters", []), "")
    for part in toc.get("parts", []):
        yield from below(part["chapters"], part.get("caption", ""))


def paper_pages(toc: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Part and name of the pages that are printed: all but the reference of the helpers."""
    return [(part, name) for part, name in toc_pages(toc) if part != ON_SCREEN]


def _prefixed(name: str, identifier: str) -> str:
    return f"{name}--{identifier}"


def _link(name: str, address: str, names: set[str]) -> str | None:
    """Where a link leads on paper; None when it leads to a file that is not part of the PDF."""
    parts = urlsplit(address)
    if parts.scheme or address.startswith("//"):
        return address
    target = unquote(parts.path)
    page = target.removesuffix(".html") if target else name
    if page not in names:
        return None
    return f"#{_prefixed(page, unquote(parts.fragment))}" if parts.fragment else f"#{page}"


def chapter(
    site: Path, name: str, part: str, names: set[str], *, solutions: bool = False
) -> Chapter:
    """Read a page and make it part of one document, with the solutions of its exercises or not."""
    page = BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    body = page.select_one("article.bd-article")
    if body is None or body.h1 is None:
        raise ValueError(f"{name}.html has no article with a title")
    if (shared := page.select_one("#picture-styles")) is not None:
        body.append(shared)
    for extra in body.select(LEFT_OUT if solutions else f"{LEFT_OUT}, {SOLUTION}"):
        extra.decompose()
    for wrapped in body.select("h1 br, h2 br, h3 br"):
        wrapped.replace_with(" ")  # the outline would join the words
    for element in body.find_all(True):
        if element.has_attr("id"):
            element["id"] = _prefixed(name, element["id"])
        if element.has_attr("href"):
            there = _link(name, element["href"], names)
            if there is None:
                del element["href"]
            else:
                element["href"] = there
        for attribute in REFERRING:
            if element.has_attr(attribute):
                values = element[attribute]
                values = values if isinstance(values, list) else values.split()
                element[attribute] = " ".join(_prefixed(name, value) for value in values)
        for attribute, value in list(element.attrs.items()):
            if isinstance(value, str) and "url(#" in value:
                element[attribute] = _URL.sub(lambda m: f"url(#{_prefixed(name, m[1])})", value)
        if element.name == "img" and not urlsplit(element["src"]).scheme:
            element["src"] = (site / element["src"]).resolve().as_uri()
        if element.name == "details":
            element["open"] = ""
    return Chapter(name, part, body.h1.get_text(" ", strip=True), body)


def _contents(chapters: list[Chapter], sheets: Mapping[str, int]) -> str:
    def line(identifier: str, title: str) -> str:
        sheet = sheets.get(identifier, "")
        return (
            f'<div class="line"><a href="#{identifier}">{escape(title)}</a>'
            f"<span>{sheet}</span></div>"
        )

    parts, last = ['<nav class="book-contents" aria-label="Contents"><h1>Contents</h1>'], None
    for one in chapters:
        if one.part != last and one.part:
            parts.append(f"<h2>{escape(one.part)}</h2>")
        last = one.part
        sections = [
            (section["id"], section.h2.get_text(" ", strip=True))
            for section in one.body.select("section > section")
            if section.has_attr("id") and section.find("h2", recursive=False)
        ]
        inner = "".join(f"<li>{line(i, title)}</li>" for i, title in sections)
        below = f"<ul>{inner}</ul>" if inner else ""
        parts.append(f"<ul><li>{line(one.name, one.title)}{below}</li></ul>")
    return "".join(parts) + "</nav>"


def document(
    site: Path, chapters: list[Chapter], facts: Mapping[str, Any], sheets: Mapping[str, int]
) -> str:
    """One HTML document of all chapters."""

    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    # a named page for every chapter carries its title at the head of the sheet
    running = "\n".join(
        f'@page chapter{i} {{ @top-right {{ content: "{quoted(one.title)}"; '
        f'font: 8pt "Cohort Sans", sans-serif; color: #5c6370; }} }}\n'
        f"#{one.name} {{ page: chapter{i}; }}"
        for i, one in enumerate(chapters)
    )
    title, date = str(facts["title"]), build_date()
    authors = ", ".join(
        a.get("name") or f"{a['given-names']} {a['family-names']}" for a in facts["authors"]
    )
    style = STYLE % {"book": quoted(title), "running": running}
    bodies = "\n".join(
        f'<div class="chapter bd-article" id="{one.name}">{one.body.decode_contents()}</div>'
        for one in chapters
    )
    address = repository()
    place = (
        f'<a href="{escape(address, quote=True)}">{escape(address)}</a>'
        if address
        else f"Commit {escape(commit())}"
    )
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light">
<head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="author" content="{escape(authors, quote=True)}">
<link rel="stylesheet" href="{(site / "_static/site.css").resolve().as_uri()}">
<style>{style}</style></head>
<body><main class="bd-main bd-content">
<div class="cover"><h1>{escape(title)}</h1><p>{escape(authors)}</p>
<p>Version {escape(str(facts["version"]))}, {written_out(date)}</p>
<p>{place}</p></div>
{_contents(chapters, sheets)}
{bodies}
</main></body></html>
"""


# -- reading a PDF --------------------------------------------------------------------------------


class PrintedBook:
    """As much of a PDF as the contents and the tests need: its objects, sheets and destinations."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.objects: dict[int, bytes] = {
            int(m[1]): m[2]
            for m in re.finditer(rb"(?:^|\n)(\d+) 0 obj\b(.*?)\bendobj", data, flags=re.S)
        }

    @cached_property
    def sheets(self) -> list[int]:
        """Numbers of the page objects, in reading order."""
        root = next(o for o in self.objects.values() if b"/Type /Catalog" in o)
        return list(self._below(self._reference(root, b"Pages")))

    def _reference(self, body: bytes, key: bytes) -> int:
        found = re.search(rb"/" + key + rb"\s+(\d+) 0 R", body)
        if found is None:
            raise ValueError(f"an object of the PDF has no {key.decode()}")
        return int(found[1])

    def _below(self, number: int) -> Iterator[int]:
        body = self.objects[number]
        kids = re.search(rb"/Kids\s*\[([^\]]*)\]", body)
        if kids is None:
            yield number
            return
        for kid in re.findall(rb"(\d+) 0 R", kids[1]):
            yield from self._below(int(kid))

    @cached_property
    def destinations(self) -> dict[str, int]:
        """Sheet (from 1) of every named place."""
        order = {number: i for i, number in enumerate(self.sheets, start=1)}
        found = {}
        for body in self.objects.values():
            for name, page in re.findall(rb"/([^\s/\[\]<>()]+)\s*\[(\d+) 0 R\s*/XYZ", body):
                plain = re.sub(rb"#([0-9A-Fa-f]{2})", lambda m: bytes.fromhex(m[1].decode()), name)
                found[plain.decode()] = order[int(page)]
        return found

    def content(self, sheet: int) -> str:
        """Drawing operators of a sheet (from 1)."""
        body = self.objects[self.sheets[sheet - 1]]
        parts = re.search(rb"/Contents\s*(\[[^\]]*\]|\d+ 0 R)", body)
        numbers = re.findall(rb"(\d+) 0 R", parts[1]) if parts else []
        texts = []
        for number in numbers:
            stream = re.search(rb"stream\r?\n(.*)\r?\nendstream", self.objects[int(number)], re.S)
            if stream:
                texts.append(zlib.decompress(stream[1]).decode("latin-1"))
        return "\n".join(texts)


# -- the command ----------------------------------------------------------------------------------


def make(
    site: Path, toc: Path, output: Path, chromium: str, *, solutions: bool = False
) -> PrintedBook:
    """Print the built site; give what was printed."""
    from playwright.sync_api import sync_playwright

    pages = paper_pages(yaml.safe_load(toc.read_text(encoding="utf-8")))
    names = {name for _, name in pages}
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    chapters = [chapter(site, name, part, names, solutions=solutions) for part, name in pages]
    output.parent.mkdir(parents=True, exist_ok=True)
    source = output.with_suffix(".html")
    printed = PrintedBook(b"")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            color_scheme="light",
            reduced_motion="reduce",
            viewport={"width": SHEET_WIDTH, "height": 900},
        )
        page.emulate_media(media="print")
        sheets: Mapping[str, int] = {}
        for _ in range(2):
            source.write_text(document(site, chapters, facts, sheets), encoding="utf-8")
            page.goto(source.as_uri(), wait_until="load")
            page.evaluate("document.fonts.ready.then(() => true)")
            page.evaluate(FIT)
            if cut := page.evaluate(CUT):
                raise ValueError(f"wider than a sheet: {', '.join(cut)}")
            data = page.pdf(
                prefer_css_page_size=True, print_background=True, tagged=True, outline=True
            )
            printed = PrintedBook(data)
            sheets = printed.destinations
        browser.close()
    output.write_bytes(printed.data)
    source.unlink()
    return printed


def main(arguments: list[str] | None = None) -> int:
    """Make a PDF of the built book."""
    parser = argparse.ArgumentParser(prog="make pdf", description=main.__doc__)
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--toc", type=Path, default=ROOT / "_toc.yml")
    parser.add_argument("--output", type=Path, default=ROOT / "_build" / "nrm-book.pdf")
    parser.add_argument("--solutions", action="store_true", help="print those of the exercises too")
    parser.add_argument("chromium", help="path of a Chromium")
    options = parser.parse_args(arguments)
    if not (options.site / "index.html").exists():
        print(f"there is no built site in {options.site}: run `make book` first", file=sys.stderr)
        return 1
    printed = make(
        options.site.resolve(),
        options.toc,
        options.output,
        options.chromium,
        solutions=options.solutions,
    )
    size = len(printed.data) / 1e6
    print(f"{options.output}: {len(printed.sheets)} pages, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
