"""Slides of the chapters for a room: reveal.js from our own site, made from the chapters' results.

A set is a page of ``downloads/slides/``. reveal.js (``slide_deck/reveal``) shows it slide by slide,
with notes for the speaker, an overview and one slide a page in print (``?print-pdf``); on a phone,
and without scripts, it is one long page. Beside it lies its source as Markdown, with its pictures.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import nbformat
import yaml
from by_hand_sheet import SHEETS, sheet
from chapters import BOOK, ROOT
from mathml import mathml
from nbformat import NotebookNode
from slide_content import DATA, Context, Slide, html_of, questions_of, slides_of, sources, words_of

from helpers.views.tables import named_cells

FOLDER = "downloads/slides"
DECK = Path(__file__).with_name("slide_deck")
INDEX = "index"
QUESTIONS = "self_check"  # the chapter that has them
DATA_DOI = "https://doi.org/10.1038/s41591-024-03084-6"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"
BUILT_UP = {"takeaways", "caution"}  # point after point
#: Characters on a slide -> its class of size: few words are large.
SIZES = ((450, "large"), (800, "medium"), (float("inf"), "small"))
#: Length of a formula's source -> its class of size.
FORMULAS = ((70, "large"), (130, "medium"), (float("inf"), "small"))
_BOX = 'role="group" tabindex="0" aria-label="{}"'  # it scrolls on a phone
_BETWEEN_TAGS = re.compile(r"(?:^|(?<=>))[^<>]+")
_SHORT_PART = re.compile(r"\b(?:[^\W\d]{1,4}-[^\W\d]+|[^\W\d]+-[^\W\d]{1,4})\b")
_COLOUR = re.compile(r"var\(--[\w-]+, *(?:var\(--[\w-]+, *)?([^()]*|rgb\([^()]*\))\)+")


@dataclass(frozen=True, slots=True)
class Deck:
    """The slides of a chapter."""

    name: str
    told: tuple[Slide, ...]  # all that the chapter says; the hand-out takes its sums from here
    page: str  # of the chapter, seen from the slides

    @property
    def slides(self) -> tuple[Slide, ...]:
        """What is shown: of the sums by hand those that have sums, not a result alone."""
        return tuple(slide for slide in self.told if slide.kind != "by-hand" or slide.table)

    @property
    def title(self) -> str:
        """Title of the chapter."""
        return self.told[0].title

    def count(self, *kinds: str) -> int:
        """How many slides are of some kinds."""
        counted = Counter(slide.kind for slide in self.slides)
        return sum(counted[kind] for kind in kinds)


# -- HTML -----------------------------------------------------------------------------------------


def whole(markup: str) -> str:
    """Keep short parts of a word on its line: "p-value" and "ide-cel" do not break at the hyphen.

    Examples
    --------
    >>> whole("<p>a p-value with random-effects</p>")
    '<p>a <span class="whole">p-value</span> with random-effects</p>'
    """
    return _BETWEEN_TAGS.sub(
        lambda text: _SHORT_PART.sub(r'<span class="whole">\g<0></span>', text[0]), markup
    )


def book_title() -> str:
    """Title of the book."""
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return escape(facts["title"], quote=False)


def _size(steps: Iterable[tuple[float, str]], length: int) -> str:
    return next(name for limit, name in steps if length <= limit)


def body_of(slide: Slide) -> str:
    """Write what stands under the title of a slide as HTML."""
    size = _size(SIZES, len(words_of(slide.text)) + 40 * slide.text.count("\n- "))
    parts = []
    if slide.latex:
        big = _size(FORMULAS, len(slide.latex))
        before, _, after = slide.text.partition("\n\n")
        lead = f'<div class="words {size}">{whole(html_of(before))}</div>' if before else ""
        rest = f'<div class="words {size} fragment">{whole(html_of(after))}</div>' if after else ""
        formula = mathml(slide.latex, "block")
        return f'{lead}<div class="latex {big}" {_BOX.format("formula")}>{formula}</div>{rest}'
    if slide.drawing:
        parts.append(f'<div class="drawing" {_BOX.format("picture")}>{slide.drawing}</div>')
    if slide.table:
        wide = " small" if slide.table.count('scope="col"') > 5 else ""
        parts.append(f'<div class="sums{wide}" {_BOX.format("table")}>{slide.table}</div>')
    if slide.options:
        parts.append('<ol class="options">')
        for option in slide.options:
            why = ""
            if option.right:
                said = f"<strong>Right.</strong> {whole(escape(option.why, quote=False))}"
                why = f'<p class="why fragment">{said}</p>'
            text = whole(escape(option.text, quote=False))
            parts.append(f'<li><span class="letter">{option.letter}</span><p>{text}</p>{why}</li>')
        parts.append("</ol>")
    if slide.text:
        made = whole(html_of(slide.text))
        if slide.kind in BUILT_UP:
            made = made.replace("<li>", '<li class="fragment">')
        built = " fragment" if slide.kind == "by-hand" and slide.table else ""
        parts.append(f'<div class="words {size}{built}">{made}</div>')
    return "\n".join(parts)


def _ways(deck: Deck) -> str:
    """Say on the first slide how to use them."""
    return (
        f'<p class="book">{book_title()}</p>\n<div class="ways">'
        '<p class="keys"><kbd>→</kbd> goes on, <kbd>←</kbd> back; <kbd>S</kbd> opens the '
        "speaker’s view with the notes, <kbd>Esc</kbd> the overview, <kbd>T</kbd> changes between "
        "light and dark, <kbd>?</kbd> lists the other keys.</p>\n"
        f'<p><a href="{deck.page}">The chapter</a> · <a href="?print-pdf">one slide a page, to '
        f'print as PDF</a> · <a href="{deck.name}.md" download>Markdown to edit</a> · '
        f'<a href="{INDEX}.html">all sets of slides</a></p></div>'
    )


def _section(deck: Deck, number: int, slide: Slide) -> str:
    level = 1 if number == 1 else 2
    title = whole(escape(slide.title, quote=False))
    body = body_of(slide) + (_ways(deck) if number == 1 else "")
    label = f"slide-{number}-title"
    place = f"{deck.page}#{slide.place}" if slide.place else deck.page
    source = (
        f'<footer class="origin"><a href="{place}">{escape(deck.title)}</a> · Data: '
        f'<a href="{DATA_DOI}">{DATA}</a> · <a href="{LICENCE}" rel="license">CC BY 4.0</a>'
        "</footer>"
    )
    notes = f'\n<aside class="notes">{html_of(slide.notes)}</aside>' if slide.notes.strip() else ""
    return (
        f'<section class="slide {slide.kind}" id="slide-{number}" aria-labelledby="{label}">\n'
        f'<div class="frame">\n<h{level} id="{label}">{title}</h{level}>\n'
        f'<div class="body">\n{body}\n</div>\n{source}\n</div>{notes}\n</section>'
    )


# The faces are asked for before the sheet names them, or lines wrap anew when they come; a page
# from a disk may not ask ahead (as in templates/layout.html).
AHEAD = """<script>
if (location.protocol.startsWith("http")) for (const face of ["Regular", "Semibold"]) {
  const href = `%s/fonts/CohortSans-${face}.woff2`;
  const ahead = { rel: "preload", as: "font", type: "font/woff2", crossOrigin: "", href };
  document.head.append(Object.assign(document.createElement("link"), ahead));
}
</script>
"""


def head(title: str, description: str, static: str, *, deck: bool) -> str:
    """Start of a page of slides, or of one beside them."""
    reveal = [f"{static}/reveal/reset.css", f"{static}/reveal/reveal.css"] if deck else []
    sheets = [*reveal, f"{static}/figures.css", f"{static}/cards.css", f"{static}/slides.css"]
    script = "" if deck else f'\n<script src="{static}/slides.js" defer></script>'
    links = "\n".join(f'<link rel="stylesheet" href="{address}">' for address in sheets)
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-laying>\n<head>\n'
        '<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f'<meta name="description" content="{escape(description, quote=True)}">\n'
        f'<link rel="icon" href="{static}/favicon.svg">\n{AHEAD % static}{links}{script}\n</head>\n'
    )


def page_of(deck: Deck, static: str) -> str:
    """One page with all slides of a chapter."""
    about = f"Slides of the chapter “{deck.title}”, made from its results."
    sections = "\n".join(_section(deck, i, s) for i, s in enumerate(deck.slides, start=1))
    scripts = ("reveal/reveal.js", "reveal/notes.js", "slides.js")
    return (
        head(f"Slides: {deck.title}", about, static, deck=True)
        + f'<body>\n<div class="reveal">\n<main class="slides">\n{sections}\n</main>\n</div>\n'
        + "\n".join(f'<script src="{static}/{name}"></script>' for name in scripts)
        + "\n</body>\n</html>\n"
    )


def index_of(decks: list[Deck], static: str, back: str) -> str:
    """Page that lists the sets, with what each contains."""
    columns = (
        ("Slides", ()),
        ("Questions", ("question",)),
        ("Formulas", ("formula",)),
        ("By hand", ("by-hand",)),
        ("Pictures", ("figure",)),
    )
    rows = []
    for deck in decks:
        counts = [deck.count(*kinds) if kinds else len(deck.slides) for _, kinds in columns]
        cells = "".join(f'<td class="gt_right">{count}</td>' for count in counts)
        rows.append(
            f'<tr><th scope="row" class="gt_stub"><a href="{deck.name}.html">'
            f"{escape(deck.title)}</a></th>{cells}"
            f'<td><a href="{deck.name}.html?print-pdf" aria-label="To print: '
            f'{escape(deck.title)}">print</a></td>'
            f'<td><a href="{deck.name}.md" download aria-label="Markdown: '
            f'{escape(deck.title)}">Markdown</a></td></tr>'
        )
    names = [name for name, _ in columns]
    titles = "".join(f'<th scope="col" class="gt_right">{name}</th>' for name in names)
    cards = named_cells([*names, "PDF", "Source"])
    about = "Slides of all chapters, with questions, formulas, sums by hand and pictures."
    return (
        head("Slides of all chapters", about, static, deck=False)
        + '<body class="plain">\n<main>\n<h1>Slides of all chapters</h1>\n'
        "<p>Each set is made from the results of its chapter. It opens with a question, so that "
        "everyone has guessed before the answer comes; the next key press shows the answer. The "
        "speaker’s view (<kbd>S</kbd>) has notes from the text of the chapter. “Print” gives one "
        "slide a page, to be saved as PDF. The Markdown is there to be edited. In a copy of the "
        "book, <code>make slides</code> writes all sets as PDF and as PowerPoint files.</p>\n"
        '<div class="table-scroll table-cards" role="region" tabindex="0" '
        'aria-label="Sets of slides">'
        f'<table class="gt_table"{cards}><thead><tr><th scope="col">Chapter</th>{titles}'
        '<th scope="col">PDF</th><th scope="col">Source</th></tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></div>\n"
        "<p>For the board: the sums of each method on five cohorts, "
        f'<a href="{SHEETS[False]}.html">with results</a> and '
        f'<a href="{SHEETS[True]}.html">with blanks to fill in</a>.</p>\n'
        f'<p><a href="{back}/teaching_kit.html#slides">Teaching kit</a></p>\n'
        "</main>\n</body>\n</html>\n"
    )


# -- Markdown -------------------------------------------------------------------------------------


def picture_file(drawing: str) -> str:
    """Give a drawing that stands alone: its colours are the light ones.

    Examples
    --------
    >>> picture_file("<svg style='fill: var(--picture-ink, var(--jp-ink, #111)); stroke: #222'/>")
    "<svg style='fill: #111; stroke: #222'/>"
    """
    return _COLOUR.sub(r"\1", drawing)


def markdown_of(deck: Deck) -> tuple[str, dict[str, str]]:
    """Source of a set as Markdown for pandoc, and the pictures it names."""
    parts, pictures = [f"% {deck.title}\n"], {}
    for number, slide in enumerate(deck.slides, start=1):
        lines = [f"## {slide.title}"]
        before, _, after = slide.text.partition("\n\n") if slide.latex else (slide.text, "", "")
        lines += [before] if before else []
        if slide.latex:
            lines += [f"$$\n{slide.latex}\n$$", after]
        if slide.drawing:
            name = f"{deck.name}/{number:02}.svg"
            pictures[name] = picture_file(slide.drawing)
            lines.append(f"![]({name}){{width=100%}}")
        if slide.table:
            lines.append(re.sub(r' class="fragment"[^>]*', "", slide.table))
        if slide.options:
            right = next(one for one in slide.options if one.right)
            lines.append("\n".join(f"- **{one.letter}** {one.text}" for one in slide.options))
            lines += [". . .", f"**{right.letter}.** {right.why}"]
        if slide.notes.strip():
            lines.append(f"::: notes\n{slide.notes.strip()}\n:::")
        parts.append("\n\n".join(filter(None, lines)) + "\n")
    parts.append(f"## Source\n\n<{DATA_DOI}>; text and pictures: [CC BY 4.0]({LICENCE})\n")
    return "\n".join(parts), pictures


# -- the folder -----------------------------------------------------------------------------------


def decks_of(chapters: dict[str, NotebookNode], back: str) -> list[Deck]:
    """Make sets of slides of all chapters that have some.

    Parameters
    ----------
    chapters : dict of str to NotebookNode
        Executed notebooks by name; the sets come in the order of the contents.
    back : str
        Path from the slides to the pages of the book, without a slash at the end.
    """
    cited = sources((BOOK / "references.bib").read_text(encoding="utf-8"))
    asked = questions_of(chapters[QUESTIONS]) if QUESTIONS in chapters else {}
    decks = []
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    order = re.findall(r"file: *(?:\w+/)?([\w-]+)", contents)
    for name in sorted(chapters, key=lambda one: order.index(one) if one in order else len(order)):
        notebook = chapters[name]
        page = f"{back}/{name}.html"
        if slides := slides_of(notebook, Context(page, cited), asked.get(name)):
            decks.append(Deck(name, tuple(slides), page))
    return decks


def write(folder: Path, chapters: dict[str, NotebookNode], back: str) -> list[str]:
    """Write the slides of all chapters; return the names of those that have some."""
    static = f"{back}/_static"
    decks = decks_of(chapters, back)
    texts = {f"{INDEX}.html": index_of(decks, static, back)}
    for blank, name in SHEETS.items():
        start = head(
            "Five cohorts by hand", "Sums of each method, for the board.", static, deck=False
        )
        texts[f"{name}.html"] = start + sheet({d.title: d.told for d in decks}, back, blank=blank)
    for deck in decks:
        text, pictures = markdown_of(deck)
        texts |= {f"{deck.name}.html": page_of(deck, static), f"{deck.name}.md": text, **pictures}
    for former in folder.rglob("*"):  # of a chapter that has no slides any more
        if former.is_file() and former.relative_to(folder).as_posix() not in texts:
            former.unlink()
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [deck.name for deck in decks]


# -- Sphinx ---------------------------------------------------------------------------------------


def _build(app: Any, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        here = {
            doc: nbformat.reads(text, as_version=4)
            for doc, text in app.chapters.items()
            if doc in app.env.found_docs
        }
        write(Path(app.outdir) / FOLDER, here, "../..")
        # not in book/_static, whose sheets and scripts Jupyter Book adds to every page
        shutil.copytree(DECK, Path(app.outdir) / "_static", dirs_exist_ok=True)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx, after the pages are written."""
    app.connect("build-finished", _build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
