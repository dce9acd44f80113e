"""How a figure reaches the page: an inline SVG with caption, alt text and the table behind it.

The SVG is written once and follows the page: text stays text in the book's font, and every colour
of the theme is a CSS variable whose fallback is the light colour. The bytes depend on the data
alone (no date, no random ids, coordinates rounded to a hundredth of a pixel).
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any
from xml.etree import ElementTree

from ... import printing
from ...errors import MetaAnalysisError
from ...printing.characters import slug
from ..subject import NEUTRAL, Subject
from ..tables import Table
from . import style
from .frame import Axes, Figure, figure_of, size_of
from .note import Note, note_of, subject_of

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NUMBER = re.compile(r"-?(?:\d+\.\d*|\.\d+|\d+(?=e))(?:e[-+]?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_GEOMETRY = ("d", "x", "y", "width", "height", "transform", "points", "viewBox")
# JupyterLab knows nothing of the book's variables but has its own, which follow its theme.
_ELSEWHERE = {
    "--picture-ink": "var(--jp-content-font-color1, {})",
    "--picture-quiet": "var(--jp-content-font-color2, {})",
    "--picture-grid": "var(--jp-border-color2, {})",
    "--picture-surface": "var(--jp-layout-color0, {})",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished figure: shown by a notebook as HTML, by a terminal as its alt text."""

    name: str  # Its id on the page; a link to ``#name`` leads to it
    svg: str  # The drawing, usable alone or inside a page
    #: As in :class:`Note`
    title: str
    alt: str
    caption: str
    #: Full size in CSS pixels
    width: float
    height: float
    min_width: float  # Below this width the picture scrolls in its box instead of shrinking further
    table: Table | None  # The numbers behind the picture
    narrow: str = ""  # The drawing for narrow screens, empty where there is none; it never scrolls
    #: Drawings for slides in place of this one, where it holds too much for a projector, each with
    #: its caption
    slides: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        label = escape(f"{self.title} ({self.name})", quote=True)
        parts = [
            f'<figure class="picture" id="{self.name}">',
            f"<figcaption>{escape(self.caption, quote=False)}</figcaption>",
            f'<div class="picture-scroll" role="region" tabindex="0" aria-label="{label}"'
            ' style="overflow-x: auto">',
            self.svg,
            "</div>",
        ]
        if self.narrow:
            # The stylesheet changes places on a narrow screen; elsewhere the wide form is shown.
            parts.append(f'<div class="picture-narrow" style="display: none">{self.narrow}</div>')
        parts += [
            f'<div class="picture-slide" style="display: none" data-caption="{escape(said)}">'
            f"{drawing}</div>"
            for said, drawing in self.slides
        ]
        if self.table is not None:
            parts += [
                '<details class="picture-data">',
                "<summary>Show the numbers behind this figure</summary>",
                self.table.html,
                "</details>",
            ]
        parts.append("</figure>")
        return "\n".join(parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": self.alt}


def show(
    drawn: Axes | Figure,
    name: str,
    *,
    caption: str | None = None,
    alt: str | None = None,
    title: str | None = None,
    narrow: Axes | Figure | None = None,
    slides: Sequence[Axes | Figure] = (),
    subject: Subject | None = None,
) -> Picture:
    """Turn axes or a figure into a picture of the page, and close the figure.

    Parameters
    ----------
    drawn : Axes or Figure
        What a plotting function returned.
    name : str
        Id of the picture, unique on its page: lower-case words joined by hyphens.
    caption, alt, title : str, optional
        In place of what the plot says of itself.
    narrow : Axes or Figure, optional
        The same drawn for narrow screens (about 340 pixels wide), with the labels above the marks;
        by default the plot is drawn again at that width if it can be.
    slides : sequence of Axes or Figure, optional
        What slides show in its place, one slide each: of a picture that is higher than about 460
        pixels, whose letters would be too small for a room. Notebooks and pages hide it.
    subject : Subject, optional
        Whose colours follow the page into the dark; that of the plot by default.

    Returns
    -------
    Picture
        A notebook shows it when it is the last expression of a cell.

    Raises
    ------
    MetaAnalysisError
        When the name is not a plain id, or alt text or caption are missing.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> fig, ax = plt.subplots()
    >>> line = ax.plot([0, 1], [0, 1])
    >>> show(ax, "a-line", caption="It rises.", alt="A line that rises.", title="Line")
    A line that rises.
    """
    from matplotlib import pyplot as plt

    if not _NAME.fullmatch(name):
        raise MetaAnalysisError(
            f"a picture's name is lower-case words joined by hyphens, not {name!r}"
        )
    note = note_of(drawn) or Note("Figure", "", "")
    alt, caption, title = alt or note.alt, caption or note.caption, title or note.title
    if not alt.strip() or not caption.strip():
        raise MetaAnalysisError(
            f"picture {name!r} needs alt text and a caption: give alt= and caption="
        )
    figure = figure_of(drawn)
    width, height = size_of(figure)
    colours = dict(NEUTRAL.variables())
    for ax in figure.axes:
        colours |= (subject or subject_of(ax)).variables()
    variables = {  # light colour -> the CSS variable that replaces it
        colour.light: f"var({name}, {_ELSEWHERE.get(name, '{}').format(colour.light)})"
        for name, colour in colours.items()
    }

    def draw(form: Axes | Figure, name: str, title: str, alt: str, least: float = 0.0) -> str:
        made = _svg(figure_of(form), name, title, alt, least, variables)
        plt.close(figure_of(form))
        return made

    least = 0.8 * width  # keeps the smallest text above nine pixels
    svg = draw(drawn, name, title, alt, least)
    narrow = narrow or style.phone_form(drawn)
    small = "" if narrow is None else draw(narrow, f"{name}-narrow", title, alt)
    projected = []
    for number, form in enumerate(slides, start=1):
        said = note_of(form) or note
        drawing = draw(form, f"{name}-slide-{number}", said.title, said.alt)
        projected.append((said.caption, drawing))
    behind = None if note.table is None else replace(note.table, name=f"{name}-table")
    return Picture(
        name, svg, title, alt, caption, width, height, least, behind, small, tuple(projected)
    )


def _svg(
    figure: Figure, name: str, title: str, alt: str, least: float, variables: dict[str, str]
) -> str:
    from matplotlib.text import Text

    buffer = io.StringIO()
    with style.theme():
        for words in figure.findobj(lambda artist: isinstance(artist, Text)):
            assert isinstance(words, Text)
            words.set_text(printing.legal(words.get_text()))
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    root = ElementTree.fromstring(buffer.getvalue())
    _clean(root, variables)
    _rename(root, name)
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update(
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": box,
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
            "style": (
                f"display: block; width: 100%; height: auto; min-width: {least:g}px; max-width: "
                f"{size_of(figure)[0]:g}px; font-family: var(--picture-font, {style.FALLBACK}); "
                "stroke-linejoin: round; stroke-linecap: butt"
            ),
        }
    )
    for tag, text in (("desc", alt), ("title", title)):
        element = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        element.text = printing.legal(text)
        root.insert(0, element)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _clean(root: ElementTree.Element, variables: dict[str, str]) -> None:
    """Drop what a page does not need and make colours follow the page."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in list(element.attrib):
            plain = key.rpartition("}")[2]
            value = element.attrib.pop(key)
            if plain == "style":
                value = _style(value, variables)
            elif plain in _GEOMETRY:
                value = _NUMBER.sub(_round, value)
            if plain == "d":
                value = " ".join(value.split())
            if plain == "transform" and re.match(r"rotate\(-?0[ ,]", value):
                continue
            element.attrib[plain] = value
        # Text keeps its blanks; layout blanks of the file go.
        if element.tag != "text" and element.text is not None:
            element.text = element.text.strip() or None
        element.tail = None
    _prune(root)


def _prune(element: ElementTree.Element) -> None:
    for child in list(element):
        # The <style> that matplotlib writes would apply to the whole page, not to this drawing.
        if child.tag in ("metadata", "style"):
            element.remove(child)
            continue
        _prune(child)
        if child.tag == "defs" and not len(child):
            element.remove(child)


def _style(value: str, variables: dict[str, str]) -> str:
    rules = []
    for rule in value.split(";"):
        key, _, setting = (part.strip() for part in rule.partition(":"))
        if not key:
            continue
        if key == "font":
            # The family is on the root; what is left is weight and size.
            setting = re.sub(r"(\S+px).*", r"\1", setting)
            *weight, pixels = setting.split()
            rules += [f"font-size: {pixels}"] + [f"font-weight: {w}" for w in weight]
            continue
        if key == "font-family":
            continue
        # Not the colours: "#5a9e89" would read as a number with an exponent.
        if not setting.startswith("#"):
            setting = _NUMBER.sub(_round, setting)
        rules.append(f"{key}: {variables.get(setting.lower(), setting)}")
    return "; ".join(rules)


def _round(match: re.Match[str]) -> str:
    text = f"{float(match.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _rename(root: ElementTree.Element, name: str) -> None:
    """Give referenced ids the picture's prefix and drop matplotlib's counters."""
    wanted: dict[str, str] = {}
    for element in root.iter():
        for key, value in element.attrib.items():
            targets = [value[1:]] if key == "href" else _REFERENCE.findall(value)
            for target in targets:
                wanted.setdefault(target, f"{name}-{len(wanted) + 1}")
    used: Counter[str] = Counter()
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                if value in wanted:
                    element.set("id", wanted[value])
                elif re.search(r"_\d+$", value):
                    del element.attrib["id"]
                else:
                    # panels of one figure name their parts alike; a page may hold an id once
                    part = slug(value)
                    used[part] += 1
                    tail = f"-{used[part]}" if used[part] > 1 else ""
                    element.set("id", f"{name}-{part}{tail}")
            elif key == "href":
                element.set("href", f"#{wanted[value[1:]]}")
            elif "url(#" in value:
                element.set(key, _REFERENCE.sub(lambda m: f"url(#{wanted[m.group(1)]})", value))
