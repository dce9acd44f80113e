"""Characters that pages, pictures, spreadsheets and ids cannot hold as they are."""

from __future__ import annotations

import re

#: Control characters and other code points that an XML document or a page cannot hold.
_ILLEGAL = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    r"""Replace the characters that pictures and pages cannot contain with the sign for them.

    Examples
    --------
    >>> legal("A\x0b2019 é\n")
    'A�2019 é\n'
    """
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)


#: What makes a spreadsheet read a cell as a formula or a command.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def no_formula(text: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run; it then shows the text.

    >>> no_formula("=HYPERLINK(1)"), no_formula("-5"), no_formula("A = B")
    ("'=HYPERLINK(1)", "'-5", 'A = B')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def slug(text: str, longest: int | None = None) -> str:
    """Make lower-case words joined by hyphens, as an id needs it; a long name is cut at a word.

    >>> slug("Deaths per 1,000 (all)"), slug("Deaths by disease and product", 18)
    ('deaths-per-1-000-all', 'deaths-by-disease')
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if longest is None or len(name) <= longest:
        return name
    cut = name[: longest + 1].rpartition("-")[0]
    return cut or name[:longest]
