"""Names of parts of a page: ids of HTML, and parts of file names."""

from __future__ import annotations

import re


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
