"""Tables of Markdown and pandas as the book prints its own: signs, headings, cards on a phone."""

from __future__ import annotations

import re
from html import unescape

from helpers.views.tables import as_cards, named_cells

# a table of pandas, and a negative number in it
_FRAME = re.compile(r'<table[^>]* class="dataframe.*?</table>', re.DOTALL)
_NEGATIVE = re.compile(r"(?<=>)-(?=\d[\d.,e+-]*%?</t[dh]>)")
# the two rows of headings that pandas writes where the names of rows have a heading of their own
_HEADS = re.compile(
    r"(<thead>\s*<tr[^>]*>\s*)<t[dh]>(?P<first>[^<]*)</t[dh]>(?P<rest>(?:(?!</?tr).)*</tr>)\s*"
    r"<tr[^>]*>\s*<th>(?P<name>[^<]*)</th>\s*(?:<t[dh]></t[dh]>\s*)+</tr>",
    re.DOTALL,
)
_NOTHING = re.compile(r"<td([^>]*)>(?=\s*(?:<p>\s*</p>\s*)?</td>)")
_TABLE = re.compile(
    r'<table(?: border="1")? class="((?:menu )?table|dataframe)"(.*?)</table>', re.DOTALL
)
_ROW = re.compile(r"<tr[^>]*>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", re.DOTALL)
TAG = re.compile(r"(<[^>]*>)")


def minus_signs(body: str) -> str:
    """Print a negative number of a table of pandas with a minus, as the book's tables have it.

    Examples
    --------
    >>> minus_signs('<table class="dataframe"><td>-2.766</td><td>2024-11</td></table>')
    '<table class="dataframe"><td>\N{MINUS SIGN}2.766</td><td>2024-11</td></table>'
    """
    return _FRAME.sub(lambda table: _NEGATIVE.sub("\N{MINUS SIGN}", table[0]), body)


def one_head(body: str) -> str:
    """Write the heading of the names of rows in line with those of the columns.

    Examples
    --------
    >>> rows = "<tr><th></th><th>I2</th></tr><tr><th>times</th><th></th></tr>"
    >>> one_head(f"<thead>{rows}</thead>")
    '<thead><tr><th>times</th><th>I2</th></tr></thead>'
    """

    def merged(found: re.Match[str]) -> str:
        if found["first"] not in ("", found["name"]):
            return found[0]
        return f"{found[1]}<th>{found['name']}</th>{found['rest']}"

    return _HEADS.sub(merged, body)


def cards(body: str) -> str:
    """Let rows of tables of Markdown and pandas be cards where they do not fit, as `tables.table`.

    Two columns of Markdown wrap, and stay a table, as do cells over several rows or columns.

    Examples
    --------
    >>> head = "".join(f'<th class="head"><p>{name}</p></th>' for name in "ABC")
    >>> cells = f"<td>a</td><td>b</td><td>{'long ' * 9}</td>"
    >>> made = cards(f'<table class="table"><tr>{head}</tr><tr>{cells}</tr></table>')
    >>> made.partition(">")[0]
    '<table class="table table-cards" style="--c2: &quot;B&quot;; --c3: &quot;C&quot;"'
    """

    def labelled(match: re.Match[str]) -> str:
        rows = [
            [unescape(TAG.sub("", cell)).strip() for cell in _CELL.findall(row)]
            for row in _ROW.findall(match[2])
        ]
        names, *cells = rows
        if len(names) < 3 or "span=" in match[2] or not as_cards(names, zip(*cells, strict=True)):
            return match[0]
        counted = all(row[0].isdecimal() for row in cells if row[0])  # what pandas counts from 0
        kind = f"{match[1]} table-cards{' table-counted' if not names[0] and counted else ''}"
        told = _NOTHING.sub(r"<td\1 data-none>", match[2])
        return f'<table class="{kind}"{named_cells(names[1:])}{told}</table>'

    return _TABLE.sub(labelled, body)
