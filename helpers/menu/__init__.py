"""The two appendices on methods, read from data and checked against the code.

`read_menu` reads the method menu: every value of every option with formula, source and name in R.
`read_conventions` reads the statistical conventions: every choice that could have gone another
way. Both refuse a file that does not agree with the code: an option value without an entry, an
entry without a value, a call or default that does not exist. So neither page can go stale unseen.
"""

from __future__ import annotations

from helpers.menu.entries import (
    Convention,
    Conventions,
    Menu,
    Method,
    Options,
    read_conventions,
    read_menu,
)
from helpers.menu.names import check_use, find_object, registered_values

__all__ = [
    "Convention",
    "Conventions",
    "Menu",
    "Method",
    "Options",
    "check_use",
    "find_object",
    "read_conventions",
    "read_menu",
    "registered_values",
]
