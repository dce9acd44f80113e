"""One HTML page that holds everything: type, colours, figures and tables; nothing is loaded."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from .. import printing
from ..version import __version__
from ..views.plots import style
from ..views.subject import NEUTRAL
from ..views.tables import CARDS

_FONTS = {"CohortSans-Regular.ttf": 400, "CohortSans-Semibold.ttf": 700}
_LINK = style.Colour("#0f5c78", "#7cc3da")


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page: its id, its heading, and pieces of HTML."""

    name: str
    title: str
    body: tuple[str, ...]

    @property
    def html(self) -> str:
        """The section as HTML."""
        inside = "\n".join(self.body)
        return (
            f'<section aria-labelledby="{self.name}">\n'
            f'<h2 id="{self.name}">{escape(self.title)}</h2>\n{inside}\n</section>'
        )


def paragraph(text: str, kind: str = "") -> str:
    """Print a sentence as a paragraph of the page.

    >>> paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{escape(text, quote=False)}</p>"


@cache
def _fonts() -> str:
    """Embed the book's type, so that the words of the figures have the width they were set in."""
    from fontTools.ttLib import TTFont

    rules = []
    for name, weight in _FONTS.items():
        font = TTFont(style.FONTS / name, recalcTimestamp=False)
        font.flavor = "woff"
        buffer = io.BytesIO()
        font.save(buffer)
        content = base64.b64encode(buffer.getvalue()).decode("ascii")
        rules.append(
            f'@font-face {{ font-family: "{style.FAMILY}"; font-weight: {weight}; '
            f'src: url("data:font/woff;base64,{content}") format("woff"); }}'
        )
    return "\n".join(rules)


def _colours() -> str:
    """Print the colours of both themes; the reader's system chooses."""

    def rule(which: int) -> str:
        named = {**NEUTRAL.variables(), "--report-link": _LINK}
        return " ".join(f"{name}: {colour[which]};" for name, colour in named.items())

    return (
        f":root {{ color-scheme: light dark; {rule(0)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {rule(1)} }} }}\n"
        # paper is white
        f"@media print {{ :root {{ color-scheme: light; {rule(0)} }} }}"
    )


def page(title: str, answer: str, made: str, sections: Iterable[Section]) -> str:
    """Put the sections on a page, under its title and one line on what it was made from.

    Programs that list pages show the answer under the title.

    Its policy forbids every request, so nothing can be loaded from elsewhere.
    """
    parts = list(sections)
    here = Path(__file__).parent
    template = Template((here / "report.html").read_text(encoding="utf-8"))
    html = template.substitute(
        title=escape(title),
        answer=escape(answer),
        made=escape(made),
        version=__version__,
        policy="default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:",
        fonts=_fonts(),
        colours=_colours(),
        css="".join(p.read_text(encoding="utf-8") for p in (here / "report.css", CARDS)),
        links="\n".join(f'<li><a href="#{one.name}">{escape(one.title)}</a></li>' for one in parts),
        body="\n".join(one.html for one in parts),
    )
    return printing.legal(html)
