"""Characters that pages, pictures and spreadsheets cannot hold as they are."""

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
