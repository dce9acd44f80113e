"""The HTML of a table: a caption, header cells, and a box that scrolls and takes the keyboard.

On a phone that has no room for its columns, rows are cards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import MetaAnalysisError

MISSING = "\N{EN DASH}"
LONG = 34  # characters of a cell from which it may wrap

# What fits beside each other on a phone of 390 px: pixels of its column, of a character of the
# sans that tables are set in, of the blank between two columns, and how many characters of a
# heading stay on one line (figures.css).
_PHONE, _CHARACTER, _GUTTER, _HEADING = 350, 6.5, 17.6, 12

#: Columns of which a card can be made: cards.css writes the heading of each. A wider table scrolls
#: in its box, with names of rows and headings in view, on a phone too.
MOST_OF_A_CARD = 16

#: Rules of cards, for the pages of the book and for reports.
CARDS = Path(__file__).with_name("cards.css")

_INTERVAL = re.compile(r"\N{MINUS SIGN}?[\d.,]+%? to \N{MINUS SIGN}?[\d.,]+%?")


class Link(str):
    """Text of a cell that leads somewhere.

    Parameters
    ----------
    text : str
        What the reader sees.
    address : str
        Where it leads, beginning with http:// or https://; on pages of the book also a place of
        the same page (``#name``) or a file below ``downloads/``.

    Raises
    ------
    MetaAnalysisError
        For another kind of address.

    Examples
    --------
    >>> Link("Goodman 1965", "https://doi.org/10.1080/00401706.1965.10490252")
    'Goodman 1965'
    """

    __slots__ = ("address",)
    address: str

    def __new__(cls, text: str, address: str) -> Link:
        """Check the address and keep it beside the text."""
        if not re.match(r"(https?://|downloads/|#)[^\s\"'<>]+$", address):
            raise MetaAnalysisError(f"a link needs an address of the web, not {address!r}")
        made = super().__new__(cls, text)
        made.address = address
        return made


@dataclass(frozen=True, slots=True)
class Table:
    """A finished table: shown by a notebook as HTML, by a terminal as text."""

    name: str  # Its id on the page
    caption: str  # What the table shows
    body: str  # The HTML ``<table>`` itself
    text: str  # The same cells as plain text
    long: bool = False  # Whether the box has a limited height and scrolls
    cards: bool = (
        False  # Whether each row becomes a card on a phone, which has no room for its columns
    )
    search: bool = False  # Whether pages put a field above it that filters its rows

    @property
    def html(self) -> str:
        """The table in its box."""
        kind = "table-scroll table-long" if self.long else "table-scroll"
        kind += " table-cards" if self.cards else ""
        kind += " table-search" if self.search else ""
        # An inline limit keeps long tables in their box where the stylesheet is not loaded.
        limit = "; max-height: 70vh" if self.long else ""
        return (
            f'<div class="{kind}" id="{self.name}" role="region" tabindex="0" '
            f'aria-label="{escape(self.caption, quote=True)}" style="overflow: auto{limit}">\n'
            f"{self.body}\n</div>"
        )

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.text}"

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": repr(self)}


def body(
    shown: pd.DataFrame,
    caption: str,
    headings: Mapping[str, str],
    groups: str | None,
    notes: Iterable[str],
    numeric: Iterable[str],
    cards: bool,
) -> str:
    """Print the table itself; `shown` holds text, `numeric` the columns that are set flush right.

    Scope on every header cell says the same as pairs of ids, in a fifth of the bytes.
    """
    stub = next(column for column in shown.columns if column != groups)
    inner = [column for column in headings if column not in (stub, groups)]
    sides = {column: "gt_right" if column in numeric else "gt_left" for column in inner}
    heads = "".join(
        f'<th class="gt_col_heading gt_columns_bottom_border {sides.get(column, "gt_left")}" '
        f'scope="col">{_head(headings[column])}</th>'
        for column in (stub, *inner)
    )
    opened = [f'class="gt_row {sides[column]}">' for column in inner]
    across = f' colspan="{1 + len(inner)}"' if inner else ""
    rows: dict[str, list[str]] = {}  # by the heading of their group
    cells = shown[[stub, *inner]].itertuples(index=False, name=None)
    members = [""] * len(shown) if groups is None else shown[groups]
    for group, (label, *texts) in zip(members, cells, strict=True):
        line = [f'<tr><th scope="row" class="gt_row gt_left gt_stub">{_cell(label)}</th>']
        for kind, text in zip(opened, texts, strict=True):
            lacks = ' data-none=""' if cards and text in ("", MISSING) else ""
            line.append(f"<td{lacks} {kind}{_cell(text)}</td>")
        rows.setdefault(group, []).append("".join([*line, "</tr>"]))
    lines = []
    for group, made in rows.items():
        if groups is not None:
            heading = f'<th class="gt_group_heading"{across} scope="colgroup">{_text(group)}</th>'
            lines.append(f'<tr class="gt_group_heading_row">{heading}</tr>')
        lines += made
    foot = "\n".join(
        f'<tr class="gt_sourcenotes"><td class="gt_sourcenote"{across}>'
        f'<span class="gt_from_md">{_text(note)}</span></td></tr>'
        for note in notes
    )
    names = named_cells(headings[column] for column in inner) if cards else ""
    return (
        f'<table class="gt_table"{names}>\n<caption><span>{_text(caption)}</span></caption>\n'
        f'<thead><tr class="gt_col_headings">{heads}</tr></thead>'
        f'<tbody class="gt_table_body">{chr(10).join(lines)}</tbody>'
        f"{f'<tfoot>{foot}</tfoot>' if foot else ''}</table>"
    )


def _text(text: str) -> str:
    return escape(text, quote=False)


def _head(text: str) -> str:
    """Escape a heading, and keep a long one from wrapping after every word."""
    return f'<span class="long">{_text(text)}</span>' if len(text) > 14 else _text(text)


def _cell(text: str) -> str:
    """Escape a cell, and let long text wrap; an interval stays on one line, and so do short cells.

    Examples
    --------
    >>> _cell("5.8 to 8.0")
    '<span class="unbroken">5.8 to 8.0</span>'
    """
    safe = _text(text)
    if _INTERVAL.fullmatch(text):
        return f'<span class="unbroken">{safe}</span>'
    if isinstance(text, Link):
        broken = safe.replace("_", "_<wbr>")  # names of files are long for a card
        safe = f'<a href="{escape(text.address, quote=True)}">{broken}</a>'
    return f'<span class="wrap">{safe}</span>' if len(text) > LONG else safe


def as_cards(headings: Sequence[str], columns: Iterable[Iterable[str]]) -> bool:
    """Say whether rows are cards on a phone: columns too wide for it, and few enough for a card.

    Examples
    --------
    >>> as_cards(["Study", "Deaths", "Patients"], [["Neelapu 2023"], ["13"], ["101"]])
    False
    >>> as_cards(["Study", "Note"], [["Neelapu 2023"], ["deaths of unknown cause are left out"]])
    True
    >>> as_cards(["Study", *map(str, range(20))], [["Neelapu 2023"]] * 21)
    False
    """
    if len(headings) > MOST_OF_A_CARD:
        return False
    pixels = 0.0
    for place, (heading, cells) in enumerate(zip(headings, columns, strict=True)):
        longest = max((len(text) for text in cells), default=0)
        if longest > LONG and place:
            return True
        words = max(map(len, heading.split()), default=0)
        characters = max(min(longest, LONG), words, min(len(heading), _HEADING))
        pixels += characters * _CHARACTER + _GUTTER
    return pixels > _PHONE


def named_cells(headings: Iterable[str]) -> str:
    """Give a table the headings of its columns beside the first, for the cells of its cards.

    They stand in its style, once for each column and not for each cell: cards.css puts them
    before the cells.

    Examples
    --------
    >>> print(named_cells(["Deaths", "95% CI"]))
     style="--c2: &quot;Deaths&quot;; --c3: &quot;95% CI&quot;"
    """
    named = (
        f"--c{place}: {json.dumps(' '.join(heading.split()), ensure_ascii=False)}"
        for place, heading in enumerate(headings, 2)
    )
    return f' style="{escape("; ".join(named), quote=True)}"'
