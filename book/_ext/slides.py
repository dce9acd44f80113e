"""Slides of the chapters, made from their outputs: answer, takeaways, figures, report, cautions.

Each set is one HTML file that needs no other: styles, drawings and some lines of script are inside.
Without the script it is a long page; with it, the arrow keys go from slide to slide. Printed, every
slide has a page of its own. Sphinx extension: it writes them into ``downloads/slides/``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from html import escape, unescape
from pathlib import Path
from typing import Any

import nbformat
from chapters import BOOK
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from nbformat import NotebookNode

FOLDER = "downloads/slides"
_BOX = re.compile(
    r"^(:{3,})\{admonition\} ([^\n]+)\n:class: \w+ box-(\w+)\n\n(.*?)\n\1$", re.S | re.M
)
_ANSWER = re.compile(r"^(:{3,})\{div\} answer\n(.*?)\n\1$", re.S | re.M)
_FIGURE = re.compile(r'<figure class="picture".*?</figure>', re.S)
_DATA = re.compile(r'<details class="picture-data">.*?</details>', re.S)
_ROLE = re.compile(r"\{(\w+(?::\w+)?)\}`([^`]*)`")
_ENTRY = re.compile(r"^@\w+\{([^,\s]+),(.*?)^\}", re.M | re.S)
_MATH = re.compile(r"(?<![\\$])\$([^$\n]+)\$(?!\$)")
_MARKDOWN = MarkdownIt("commonmark")
PARTS = ("takeaways", "figures", "report", "caution")


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide: heading and HTML."""

    title: str
    body: str
    kind: str


def sources(bibliography: str) -> dict[str, str]:
    r"""How each entry of the bibliography is named in a sentence: authors and year.

    Examples
    --------
    >>> sources("@article{a,\n  author = {Knapp, Guido and Hartung, J},\n  year = {2003},\n}")
    {'a': 'Knapp & Hartung 2003'}
    """
    found = {}
    for key, entry in _ENTRY.findall(bibliography):
        values = dict(re.findall(r"^\s*(\w+)\s*=\s*[{\"](.*?)[}\"],?\s*$", entry, re.M))
        people = values.get("author", key).split(" and ")
        names = [re.sub(r"[{}]", "", person.split(",")[0]) for person in people]
        who = f"{names[0]} et al." if len(names) > 2 else " & ".join(names)
        found[key] = f"{who} {values.get('year', '')}".strip()
    return found


def plain(text: str, cited: dict[str, str], page: str) -> str:
    """Markdown of a page as Markdown that stands alone: roles become words, links lead back.

    Examples
    --------
    >>> plain("The {term}`mean <pooled estimate>` of [all](#all)", {}, "../pooling.html")
    'The mean of [all](../pooling.html#all)'
    """

    def word(match: re.Match[str]) -> str:
        role, target = match.groups()
        if role.startswith("cite"):
            names = "; ".join(cited[key.strip()] for key in target.split(","))
            return names if role == "cite:t" else f"({names})"
        return re.sub(r"\s*<[^>]*>$", "", target)

    text = _ROLE.sub(word, text)
    text = re.sub(r"\]\(#", f"]({page}#", text)
    folder = page.rsplit("/", 1)[0]
    return re.sub(r"\]\(([\w-]+)\.(?:ipynb|md)", rf"]({folder}/\1.html", text)


def html_of(text: str, cited: dict[str, str], page: str) -> str:
    """Markdown of a page as HTML."""
    formulas: list[str] = []

    def keep(match: re.Match[str]) -> str:
        formulas.append(convert(match[1]))
        return f"\x02{len(formulas) - 1}\x03"

    made = _MARKDOWN.render(_MATH.sub(keep, plain(text, cited, page)))
    return re.sub("\x02(\\d+)\x03", lambda m: formulas[int(m[1])], made)


def slides_of(notebook: NotebookNode, cited: dict[str, str], page: str) -> list[Slide]:
    """Make the slides of a chapter; none for a page without takeaways.

    Parameters
    ----------
    notebook : NotebookNode
        With outputs, and with the values of its prose in the text (`inline_values.resolved`).
    cited : dict
        As `sources` gives it.
    page : str
        Path from the slides to the chapter.

    Returns
    -------
    list of Slide
        First the title with the answer, then takeaways, figures, report and cautions.
    """
    told = list(_told(notebook.cells))
    outputs = [o.data for c in told for o in c.get("outputs", []) if "data" in o]
    words = "\n\n".join(_words(cell) for cell in told)
    boxes = {kind: (title, body) for _, title, kind, body in _BOX.findall(words)}
    if "takeaways" not in boxes:
        return []
    first = next(c.source for c in notebook.cells if c.cell_type == "markdown")
    title = re.sub(r"^#\s+", "", first.strip().splitlines()[0])
    answer = _ANSWER.search(words)
    made = [Slide(title, html_of(answer[2], cited, page) if answer else "", "title")]
    for part in PARTS:
        if part == "figures":
            drawings = [f for data in outputs for f in _FIGURE.findall(data.get("text/html", ""))]
            made += [_figure(drawing) for drawing in drawings]
        elif part in boxes:
            heading, body = boxes[part]
            made.append(Slide(heading, html_of(body, cited, page), part))
    return _distinct(made)


def _told(cells: Iterable[NotebookNode]) -> Iterator[NotebookNode]:
    """Cells before the exercises, and what stands before them in the cell that begins them."""
    for cell in cells:
        before, exercises, _ = cell.source.partition("## Exercises")
        if exercises:
            yield nbformat.from_dict({**cell, "source": before})
            return
        yield cell


def _words(cell: NotebookNode) -> str:
    """Markdown that a cell is or says."""
    if cell.cell_type == "markdown":
        return cell.source
    data = [o.data for o in cell.get("outputs", []) if "data" in o]
    return "\n\n".join(d["text/markdown"] for d in data if "text/markdown" in d)


def _distinct(slides: list[Slide]) -> list[Slide]:
    """Give slides of one title a number each, for those who jump from heading to heading."""
    seen: Counter[str] = Counter()
    made = []
    for slide in slides:
        seen[slide.title] += 1
        tail = f" ({seen[slide.title]})" if seen[slide.title] > 1 else ""
        made.append(replace(slide, title=slide.title + tail))
    return made


def _figure(drawing: str) -> Slide:
    caption = re.search(r"<figcaption>(.*?)</figcaption>", drawing, re.S)
    name = re.search(r'aria-label="([^"]*?)(?: \([\w-]+\))?"', drawing)
    title = name[1] if name else "Figure"
    shown = _DATA.sub("", drawing)  # the table stays in the chapter
    if caption and not caption[1].strip():
        shown = shown.replace(caption[0], "")
    return Slide(unescape(title), shown, "figure")


STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1a1c20; --accent: #14526b; }
@media (prefers-color-scheme: dark) {
  :root { --page: #121212; --text: #e8eaee; --accent: #8fd0e6; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 0; }
body { margin: 0; background: var(--page); color: var(--text); line-height: 1.5;
  font: 1.25rem/1.5 "Source Sans 3", "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
.slide { min-height: 100vh; max-width: 66rem; margin: 0 auto; padding: 2rem 1.2rem 3.4rem;
  display: flex; flex-direction: column; justify-content: center; position: relative;
  border-bottom: 1px solid var(--accent); }
.slide:focus { outline: none; }
.slide:focus-visible { outline: 3px solid var(--accent); outline-offset: -6px; }
h1, h2 { line-height: 1.15; margin: 0 0 1rem; text-wrap: balance; }
h1 { font-size: 2.4rem; } h2 { font-size: 1.7rem; color: var(--accent); }
.slide.title p { font-size: 1.5rem; }
.slide.report p { border-left: 5px solid var(--accent); padding-left: 1rem; }
li { margin: 0.5rem 0; } a { color: var(--accent); }
figure { margin: 0; } figcaption { margin-bottom: 0.8rem; }
.slide .number { position: absolute; right: 1.2rem; bottom: 0.8rem; margin: 0; font-size: 0.9rem; }
.slide .help { font-size: 0.95rem; }
math { font-size: 1.05em; }
@media (max-width: 40rem) { body { font-size: 1.05rem; } h1 { font-size: 1.8rem; } }
@media print {
  :root { --page: #ffffff; --text: #1a1c20; --accent: #14526b; }
  .slide { min-height: 0; height: auto; break-after: page; border: 0; }
  .help { display: none; }
  @page { size: A4 landscape; margin: 12mm; }
}
"""
SCRIPT = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
dark.addEventListener("change", follow); follow();
addEventListener("beforeprint", () => { document.documentElement.dataset.theme = "light"; });
addEventListener("afterprint", follow);
document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const box = event.target.closest?.(".picture-scroll");
  if (box && box.scrollWidth > box.clientWidth && event.key.startsWith("Arrow")) return;
  const slides = [...document.querySelectorAll(".slide")];
  const at = slides.findLastIndex((slide) => slide.getBoundingClientRect().top <= 2);
  const next = slides[Math.min(Math.max(at + step, 0), slides.length - 1)];
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "start" });
});
"""
ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"


def _figure_styles() -> str:
    """Colours of the drawings, light and dark, from the book's own stylesheet."""
    css = (BOOK / "_static" / "figures.css").read_text(encoding="utf-8")
    return css[css.index("/* colours: begin */") : css.index("/* colours: end */")]


def page_of(title: str, slides: list[Slide], page: str) -> str:
    """One HTML page with all slides of a chapter."""
    parts = []
    for number, slide in enumerate(slides, start=1):
        level = 1 if number == 1 else 2
        note = ""
        if number == 1:
            note = (
                f'<p class="help">Arrow keys left and right go from slide to slide. '
                f'<a href="{page}">The chapter</a>, with code and the numbers behind the '
                "figures.</p>"
            )
        label = f"slide-{number}-title"
        parts.append(
            f'<section class="slide {slide.kind}" id="slide-{number}" tabindex="-1" '
            f'aria-labelledby="{label}">\n<h{level} id="{label}">{escape(slide.title)}</h{level}>\n'
            f'{slide.body}\n{note}\n<p class="number">{number} / {len(slides)}</p>\n</section>'
        )
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Slides: {escape(title)}</title>\n"
        f'<meta name="description" content="Slides of the chapter “{escape(title, quote=True)}”, '
        'made from its results.">\n'
        f'<link rel="icon" href="{ICON}">\n'
        f"<style>{_figure_styles()}{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + f"\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def write(folder: Path, chapters: dict[str, NotebookNode], back: str) -> list[str]:
    """Write the slides of all chapters; return the names of those that have some.

    Parameters
    ----------
    folder : Path
        Where to.
    chapters : dict of str to NotebookNode
        Executed notebooks by name.
    back : str
        Path from that folder to the pages of the book, without a slash at the end.
    """
    cited = sources((BOOK / "references.bib").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, notebook in chapters.items():
        page = f"{back}/{name}.html"
        slides = slides_of(notebook, cited, page)
        if slides:
            text = page_of(slides[0].title, slides, page)
            (folder / f"{name}.html").write_text(text, encoding="utf-8")
            written.append(name)
    for former in folder.glob("*.html"):  # of a chapter that has no slides any more
        if former.stem not in written:
            former.unlink()
    return written


# -- Sphinx, and the command ----------------------------------------------------------------------


def _build(app: Any, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        here = {
            doc: nbformat.reads(text, as_version=4)
            for doc, text in app.chapters.items()
            if doc in app.env.found_docs
        }
        write(Path(app.outdir) / FOLDER, here, "../..")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx, after the pages are written."""
    app.connect("build-finished", _build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
