"""What the slides of a chapter say, read from its outputs and its prose: one message a slide.

Nothing is computed here. A chapter gives its answer and boxes, its formulas, its sums by hand and
its pictures with the text around them, which becomes the notes of the speaker; the questions are
those of the page "Check yourself".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape
from unicodedata import normalize

import nbformat
from bs4 import BeautifulSoup
from docutils.nodes import make_id
from markdown_it import MarkdownIt
from mathml import mathml
from nbformat import NotebookNode
from pages import FINDING

_BOX = re.compile(
    r"^(:{3,})\{admonition\} ([^\n]+)\n:class: \w+ box-(\w+)\n\n(.*?)\n\1$", re.S | re.M
)
_ANSWER = re.compile(r"^(:{3,})\{div\} answer\n(.*?)\n\1$", re.S | re.M)
_FIGURE = re.compile(r'<figure class="picture".*?</figure>', re.S)
_DRAWING = re.compile(r"<svg\b.*?</svg>", re.S)
_FORM = re.compile(
    r'<div class="picture-slide"[^>]*? data-caption="([^"]*)">\s*(<svg\b.*?</svg>)\s*</div>', re.S
)
_ASKED_OF = re.compile(
    r'<fieldset class="quiz" id="([\w-]+)">\s*<legend>[^<]*</legend>\s*(<svg.*?</svg>)', re.S
)
_NAME = re.compile(r'<figure class="picture" id="([\w-]+)"')
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title>", re.S)
_CAPTION = re.compile(r"<figcaption>(.*?)</figcaption>", re.S)
_ROLE = re.compile(r"\{(\w+(?::\w+)?)\}`([^`]*)`")
_ENTRY = re.compile(r"^@\w+\{([^,\s]+),(.*?)^\}", re.M | re.S)
#: An accent of LaTeX, and the sign that Unicode puts behind a letter for it.
_ACCENT = re.compile(r"""\\(["'`^~])\{?\\?(\w)\}?""")
_SIGNS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303"}
_MATH = re.compile(r"(?<![\\$])\$([^$\n]+)\$(?!\$)")
_DISPLAY = re.compile(r"\$\$\s*(.*?)\s*\$\$", re.S)
_HEADING = re.compile(r"^#{2,3} +(.+)$", re.M)
_SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z\[{*$“])")
# a heading that is one letter of a formula, which some readers of a table take for empty
_LETTER = re.compile(r"(<th[^>]*>)<math [^>]*><mrow><mi>([^<]+)</mi></mrow></math>(</th>)")
_MARKDOWN = MarkdownIt("commonmark").enable("table")
# a sentence about what the sentence before it names
_REFERS_BACK = re.compile(r"\b(?:[Ii]t|Its|such)\b")
_LEADS_ON = re.compile(r"[:,]$|\b[Tt]he (?:next )?(?:table|figure)\b|\b(?:estimates|found) above\b")
DATA = "Cordas dos Santos et al., Nat Med 2024"
BESIDE = 420  # characters that may stand beside a formula or a table; the rest is for the speaker
SPLIT = 1300  # characters of a list that a slide holds


@dataclass(frozen=True, slots=True)
class Option:
    """An answer that a question offers."""

    letter: str
    text: str
    why: str
    right: bool


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide; text and notes are Markdown that stands alone.

    Attributes
    ----------
    title : str
        Its message, as plain text.
    kind : str
        title, question, answer, takeaways, formula, by-hand, figure, report or caution.
    text : str
        Words of the slide.
    latex, drawing, table : str
        What it shows: a formula, an SVG, or a table of HTML.
    options : tuple of Option
        Of a question.
    notes : str
        For the speaker.
    place : str
        Where in the chapter it comes from: an id there.
    """

    title: str
    kind: str
    text: str = ""
    latex: str = ""
    drawing: str = ""
    table: str = ""
    options: tuple[Option, ...] = ()
    notes: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What links and citations of a chapter lead to: its page, and the references by name."""

    page: str
    cited: dict[str, str]


def sources(bibliography: str) -> dict[str, str]:
    r"""How each entry of the bibliography is named in a sentence: authors and year.

    Examples
    --------
    >>> sources('@article{a,\n  author = {R{\\"u}cker, Gerta and Knapp, G},\n  year = {2009},\n}')
    {'a': 'Rücker & Knapp 2009'}
    """
    found = {}
    for key, entry in _ENTRY.findall(bibliography):
        values = dict(re.findall(r"^\s*(\w+)\s*=\s*[{\"](.*?)[}\"],?\s*$", entry, re.M))
        people = _ACCENT.sub(_accented, values.get("author", key)).split(" and ")
        names = [re.sub(r"[{}]", "", person.split(",")[0]) for person in people]
        who = f"{names[0]} et al." if len(names) > 2 else " & ".join(names)
        found[key] = f"{who} {values.get('year', '')}".strip()
    return found


def _accented(found: re.Match[str]) -> str:
    return normalize("NFC", found[2] + _SIGNS[found[1]])


def plain(text: str, context: Context) -> str:
    """Markdown of a page as Markdown that stands alone: roles become words, links lead back.

    Examples
    --------
    >>> plain("The {term}`mean <pooled estimate>` of [all](#all)", Context("../pooling.html", {}))
    'The mean of [all](../pooling.html#all)'
    """

    def word(match: re.Match[str]) -> str:
        role, target = match.groups()
        if role.startswith("cite"):
            names = "; ".join(context.cited[key.strip()] for key in target.split(","))
            return names if role == "cite:t" else f"({names})"
        return re.sub(r"\s*<[^>]*>$", "", target)

    text = _ROLE.sub(word, text)
    text = re.sub(r"\]\(#", f"]({context.page}#", text)
    folder = context.page.rsplit("/", 1)[0]
    return re.sub(r"\]\(([\w-]+)\.(?:ipynb|md)", rf"]({folder}/\1.html", text)


def html_of(text: str) -> str:
    """Markdown that stands alone as HTML, its formulas as MathML."""
    formulas: list[str] = []

    def keep(latex: str, display: str) -> str:
        formulas.append(mathml(latex, display))
        return f"\x02{len(formulas) - 1}\x03"

    text = _DISPLAY.sub(lambda found: keep(found[1], "block"), text)
    made = _MARKDOWN.render(_MATH.sub(lambda found: keep(found[1], "inline"), text))
    made = re.sub("\x02(\\d+)\x03", lambda m: formulas[int(m[1])], made)
    return _LETTER.sub(r"\1<i>\2</i>\3", made)


def words_of(text: str) -> str:
    """Markdown as plain text of one line: of a title."""
    made = BeautifulSoup(_MARKDOWN.render(text), "html.parser").get_text()
    return re.sub(r"\s+", " ", made).strip()


def questions_of(page: NotebookNode) -> dict[str, list[Slide]]:
    """Questions of the page "Check yourself", by chapter."""
    found: dict[str, list[Slide]] = {}
    for data in _outputs(page.cells):
        # a parser of HTML would write viewBox in small letters
        pictures = dict(_ASKED_OF.findall(data.get("text/html", "")))
        asked = BeautifulSoup(data.get("text/html", ""), "html.parser").select("fieldset.quiz")
        for one in asked:
            chapter = re.sub(r"^check-|-\d+$", "", str(one["id"])).replace("-", "_")
            options = []
            for choice in one.select("details"):
                letter = choice.summary.span.extract().get_text(strip=True)
                choice.p.strong.extract()
                why = choice.p.get_text().strip()
                right = "quiz-right" in choice["class"]
                options.append(Option(letter, choice.summary.get_text().strip(), why, right))
            notes = "\n\n".join(
                f"**{o.letter}{' (right)' if o.right else ''}**: {o.why}" for o in options
            )
            title = one.legend.get_text().strip()
            drawing = pictures.get(str(one["id"]), "")
            slide = Slide(title, "question", drawing=drawing, options=tuple(options), notes=notes)
            found.setdefault(chapter, []).append(slide)
    return found


def slides_of(
    notebook: NotebookNode, context: Context, questions: list[Slide] | None = None
) -> list[Slide]:
    """Make the slides of a chapter; none for a page without takeaways.

    Parameters
    ----------
    notebook : NotebookNode
        With outputs, and with the values of its prose in the text (`inline_values.resolved`).
    context : Context
        Where the chapter is, seen from the slides, and what it cites.
    questions : list of Slide, optional
        On this chapter.

    Returns
    -------
    list of Slide
        The title; a question, so that all have guessed before the answer comes; the answer and the
        takeaways; formulas, sums by hand and pictures as the chapter has them; the other questions;
        how to report it, and the cautions.
    """
    told = list(_told(notebook.cells))
    words = "\n\n".join(_words(cell) for cell in told)
    boxes = {kind: (title, body) for _, title, kind, body in _BOX.findall(words)}
    if "takeaways" not in boxes:
        return []
    first = next(c.source for c in notebook.cells if c.cell_type == "markdown")
    heading = re.sub(r"^#\s+", "", first.strip().splitlines()[0])
    aim = re.search(r"^\*\*You will learn\*\*.*?(?=\n\n|\Z)", words, re.S | re.M)
    made = [Slide(words_of(heading), "title", notes=plain(aim[0], context) if aim else "")]
    asked = questions or []
    made += asked[:1]
    if answer := _ANSWER.search(words):
        made.append(_answer(plain(answer[2].strip(), context)))
    made += _box("takeaways", boxes, context)
    made += _in_order(told, context)
    made += asked[1:]
    for kind in ("report", "caution"):
        made += _box(kind, boxes, context)
    return _distinct(made)


def _answer(text: str) -> Slide:
    """Take the first sentence as the message; what follows stands below it."""
    first, *rest = _SENTENCE.split(" ".join(text.split()))
    return Slide(words_of(first), "answer", text=" ".join(rest))


def _box(kind: str, boxes: dict[str, tuple[str, str]], context: Context) -> Iterator[Slide]:
    """Slides of a box: a long list goes on."""
    if kind not in boxes:
        return
    title, body = boxes[kind]
    items = re.split(r"\n(?=- )", plain(body.strip(), context))
    held: list[str] = []
    for item in items:
        if held and sum(map(len, held)) + len(item) > SPLIT:
            yield Slide(title, kind, text="\n".join(held))
            held = []
        held.append(item)
    yield Slide(title, kind, text="\n".join(held))


def _in_order(told: list[NotebookNode], context: Context) -> Iterator[Slide]:
    """Formulas, sums by hand and pictures, in the order of the chapter."""
    heading = ""
    for at, cell in enumerate(told):
        if cell.cell_type == "markdown":
            source = _ANSWER.sub("", _BOX.sub("", cell.source))
            for one, part in _sections(source, heading):
                heading = one
                yield from _formulas(heading, part, context)
            continue
        data = list(_outputs([cell]))
        notes = plain(_around(told, at), context)
        if "by-hand" in cell.id:
            yield from _by_hand(heading, cell, data, told[at + 1 : at + 2], context)
        for page in data:
            for figure in _FIGURE.findall(page.get("text/html", "")):
                yield from _pictures(figure, notes)


def _sections(source: str, heading: str) -> Iterator[tuple[str, str]]:
    """Parts of a cell with the heading over each."""
    first, *others = _HEADING.split(source)
    yield heading, first
    for title, part in zip(others[::2], others[1::2], strict=True):
        yield title.strip(), part


def _formulas(heading: str, part: str, context: Context) -> Iterator[Slide]:
    """One slide for each displayed formula, with what leads to it and what explains it."""
    if not heading:  # the section of the title has no formula of its own
        return
    pieces = _DISPLAY.split(part)
    title = words_of(plain(heading, context))
    for i in range(1, len(pieces), 2):
        *earlier, before = _SENTENCE.split(
            " ".join(pieces[i - 1].strip().split("\n\n")[-1].split())
        )
        if earlier and _REFERS_BACK.search(before):
            before = f"{earlier[-1]} {before}"
        after = _short(pieces[i + 1].strip().split("\n\n")[0])
        text = [plain(one, context) for one in (before, after)] if before else []
        yield Slide(
            title, "formula", text="\n\n".join(text), latex=pieces[i].rstrip(" .,;"),
            notes=plain(_prose(pieces[i - 1]) + "\n\n" + _prose(pieces[i + 1]), context),
            place=make_id(heading),
        )  # fmt: skip
    for table in re.findall(r"^\|.*\$.*(?:\n\|.*)+|(?:^\|.*\n)+(?:^\|.*\$.*\n?)+", part, re.M):
        if "$" in table:
            notes = plain(_prose(part.replace(table, "")), context)
            body = html_of(plain(table, context))
            yield Slide(title, "formula", table=body, notes=notes, place=make_id(heading))


def _by_hand(
    heading: str,
    cell: NotebookNode,
    data: list[NotebookNode],
    following: list[NotebookNode],
    context: Context,
) -> Iterator[Slide]:
    """Show the table of sums, and what was found; the code is for the speaker."""
    shown = (one.get("text/html") or _series(one.get("text/plain", "")) for one in data)
    table = next(filter(None, map(board, shown)), "")
    said = " ".join(o.text for o in cell.outputs if o.output_type == "stream").strip()
    if following and following[0].cell_type == "markdown" and "said" in following[0].id:
        said = plain(" ".join(following[0].source.strip().split("\n\n")[0].split()), context)
    if table or said:
        notes = f"{said}\n\n```\n{cell.source}\n```"
        title = f"By hand: {words_of(plain(heading, context)).removesuffix(', by hand')}"
        yield Slide(
            title, "by-hand", text=_short(said), table=table, notes=notes, place=make_id(heading)
        )


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_LONG = re.compile(r"-?\d+\.\d{5,}")
#: Columns that the class is given; the others are worked out, one after the other.
GIVEN = {"cohort", "product", "events", "n", "months"}


def _series(printed: str) -> str:
    """Table of HTML of a printed series; empty for other text."""
    *rows, last = printed.strip().splitlines() or [""]
    named = re.match(r"Name: (\w+),", last)
    lines = [re.split(r"\s{2,}", row) for row in rows]
    if not named or any(len(line) != 2 for line in lines):
        return ""
    body = "".join(f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in lines)
    return f"<table><tr><th></th><th>{named[1]}</th></tr>{body}</table>"


def board(output: str) -> str:
    """Table of a data frame as it goes on a board: given columns, then one after the other.

    Examples
    --------
    >>> "logit" in board("<table><tr><th></th><th>logit</th></tr><tr><th>0</th><td>-2</td></tr></table>")
    True
    """  # noqa: E501
    frame = BeautifulSoup(output, "html.parser").find("table")
    if frame is None:
        return ""
    rows = [[c.get_text(strip=True) for c in row.find_all(["th", "td"])] for row in frame("tr")]
    if len(rows) > 2 and not any(rows[1][1:]):  # names of the rows, and of the columns, have a name
        rows.pop(1)
    head, *body = rows
    if all(row[0].isdigit() for row in body):
        head, body = head[1:], [row[1:] for row in body]
    worked = [
        column
        for column in range(1, len(head))
        if head[column] not in GIVEN and all(_NUMBER.fullmatch(row[column]) for row in body)
    ]
    steps = {column: step for step, column in enumerate(worked)}

    def shown(column: int) -> str:
        step = steps.get(column)
        return "" if step is None else f' class="fragment" data-fragment-index="{step}"'

    lines = [
        "<tr>" + "".join(f'<th scope="col">{c}</th>' if c else "<td></td>" for c in head) + "</tr>"
    ]
    for row in body:
        cells = [f'<th scope="row">{row[0]}</th>']
        for i, value in enumerate(row[1:], start=1):
            if _LONG.fullmatch(value):
                value = f"{float(value):.4f}"
            cells.append(f"<td{shown(i)}>{re.sub('^-', '−', value)}</td>")
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return (
        '<table class="board"><thead>'
        + lines[0]
        + "</thead><tbody>"
        + "".join(lines[1:])
        + "</tbody></table>"
    )


def _pictures(figure: str, notes: str) -> Iterator[Slide]:
    """One slide for each form of a picture; its finding is the title."""
    found, name = _CAPTION.search(figure), _NAME.search(figure)
    caption = re.sub(r"<[^>]+>", "", found[1]) if found else ""
    forms = _FORM.findall(figure) or [(caption, one) for one in _DRAWING.findall(figure)[:1]]
    for said, drawing in forms:
        said = unescape(said).strip()
        finding, titled = FINDING.match(said), _TITLE.search(drawing)
        title = finding[1] if finding else unescape(titled[1]) if titled else "Figure"
        place = name[1] if name else ""
        told = f"{said}\n\n{notes}"
        yield Slide(title.strip(), "figure", drawing=drawing, notes=told, place=place)


def _around(told: list[NotebookNode], at: int) -> str:
    """Prose beside a cell: what stands before it in its section, and what comments it."""
    near = []
    if at and told[at - 1].cell_type == "markdown":
        near.append(_HEADING.split(told[at - 1].source)[-1])
    for cell in told[at + 1 : at + 3]:
        if cell.cell_type == "markdown":
            near.append(_HEADING.split(cell.source)[0])
            break
    return "\n\n".join(filter(None, map(_prose, near)))


def _prose(text: str) -> str:
    return _ANSWER.sub("", _BOX.sub("", text)).strip()


def _short(text: str) -> str:
    """Keep the whole sentences that fit beside a table or a formula; none that leads on."""
    kept: list[str] = []
    for sentence in _SENTENCE.split(" ".join(text.split())):
        if _LEADS_ON.search(sentence):
            continue
        if kept and sum(map(len, kept)) + len(sentence) > BESIDE:
            break
        kept.append(sentence)
    return " ".join(kept)


def _told(cells: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Cells before the exercises, and what stands before them in the cell that begins them."""
    for cell in cells:
        before, exercises, _ = cell.source.partition("## Exercises")
        if exercises:
            yield nbformat.from_dict({**cell, "source": before})
            return
        yield cell


def _outputs(cells: list[NotebookNode]) -> Iterator[NotebookNode]:
    for cell in cells:
        yield from (o.data for o in cell.get("outputs", []) if "data" in o)


def _words(cell: NotebookNode) -> str:
    """Markdown that a cell is or says."""
    if cell.cell_type == "markdown":
        return cell.source
    return "\n\n".join(d["text/markdown"] for d in _outputs([cell]) if "text/markdown" in d)


def _distinct(slides: list[Slide]) -> list[Slide]:
    """Give slides of one title a number each, for those who jump from heading to heading."""
    seen: Counter[str] = Counter()
    made = []
    for slide in slides:
        seen[slide.title] += 1
        tail = f" ({seen[slide.title]})" if seen[slide.title] > 1 else ""
        made.append(replace(slide, title=slide.title + tail))
    return made
