"""Rows of a table as cards, for a phone that has no room for its columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

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
