"""Hand-out for the board: five cohorts, and the sums of each method that the chapters do by hand.

The cohorts are those of `helpers.review.five_cohorts`; formulas, tables and results are those of
the chapters, from their slides. With blanks, the results are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from mathml import mathml
from slide_content import DATA, Slide, board, html_of

from helpers import load_cohorts, printing
from helpers.review import five_cohorts

#: Whether the results are left blank -> name of the page.
SHEETS = {False: "by-hand", True: "by-hand-blank"}
_FRAGMENT = re.compile(r' class="fragment" data-fragment-index="\d+"')


def blank_table(table: str) -> str:
    """Leave the cells of a board empty that are worked out.

    Examples
    --------
    >>> blank_table('<td>3</td><td class="fragment" data-fragment-index="0">0.1</td>')
    '<td>3</td><td class="blank"></td>'
    """
    return re.sub(
        r'<td class="fragment" data-fragment-index="\d+">[^<]*</td>',
        '<td class="blank"></td>',
        table,
    )


def sheet(decks: Mapping[str, Sequence[Slide]], back: str, *, blank: bool) -> str:
    """Body of the hand-out.

    Parameters
    ----------
    decks : mapping of title to slides
        Of the chapters, in their order.
    back : str
        Path to the pages of the book.
    blank : bool
        Whether results are left out.
    """
    five = five_cohorts(load_cohorts())
    number = printing.counted(len(five), "cohort").capitalize()
    given = re.sub(_FRAGMENT, "", board(five.to_html(index=True)))
    parts = [
        f'<body class="plain paper">\n<main>\n<h1>{number} by hand</h1>',
        f"<p>One table for the whole course. {_HOW[blank]}</p>",
        f'<div class="wide" role="region" tabindex="0" aria-label="The cohorts">{given}</div>',
        "<p><b>events</b>: nonrelapse deaths; <b>n</b>: patients; <b>months</b>: median "
        "follow-up.</p>",
    ]
    for title, slides in decks.items():
        places = {slide.place for slide in slides if slide.kind == "by-hand"}
        if not places:
            continue
        parts.append(f"<section>\n<h2>{escape(title, quote=False)}</h2>")
        heading = ""
        for slide in slides:
            if slide.place not in places or slide.kind not in {"formula", "by-hand"}:
                continue
            if slide.place != heading:
                heading = slide.place
                name = re.sub(r"^By hand: | \(\d+\)$", "", slide.title)
                parts.append(f"<h3>{escape(name, quote=False)}</h3>")
            parts.append(_step(slide, blank=blank))
        parts.append("</section>")
    parts.append(
        f'<p class="origin">Data: {DATA}. Text: CC BY 4.0. '
        f'<a href="{back}/teaching_kit.html">Teaching kit</a></p>\n</main>\n</body>\n</html>\n'
    )
    return "\n".join(parts)


_HOW = {
    False: "The results are those of the chapters, where the code stands beside them; the "
    "functions of the book give the same.",
    True: "Fill in the blanks, then compare with the chapter.",
}


def _step(slide: Slide, *, blank: bool) -> str:
    """One formula, or one table of sums with what was found."""
    if slide.latex:
        before, _, after = slide.text.partition("\n\n")
        box = '<div class="wide" role="group" tabindex="0" aria-label="formula">'
        return f"{html_of(before)}{box}{mathml(slide.latex, 'block')}</div>{html_of(after)}"
    table = blank_table(slide.table) if blank else _FRAGMENT.sub("", slide.table)
    said = '<p class="line">Result:</p>' if blank else html_of(slide.text)
    if slide.kind == "formula":
        said = html_of(slide.text)
    label = f'role="region" tabindex="0" aria-label="{escape(slide.title)}"'
    return (f'<div class="wide" {label}>{table}</div>' if table else "") + (
        said if slide.text or (blank and slide.kind == "by-hand") else ""
    )
