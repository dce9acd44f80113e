"""The built site that is tested: its place, its pages, and a page as it was built."""

from __future__ import annotations

import os
import re
from functools import cache, lru_cache
from html import unescape
from pathlib import Path

from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("SITE") or ROOT / "_build" / "html").resolve()


@cache
def page_names() -> tuple[str, ...]:
    """Every page of the built site, as a path below its root.

    Files under ``downloads/`` stand alone and are no pages of the site; they have their own tests.
    """
    aside = {"_static", "_sources", "downloads"}
    found = (p for p in SITE.rglob("*.html") if aside.isdisjoint(p.parts))
    return tuple(sorted(p.relative_to(SITE).as_posix() for p in found))


@cache
def ids_of(path: Path) -> frozenset[str]:
    """Places of a page that a link can lead to; read once, because links are many."""
    found = re.findall(r'\sid="([^"]+)"', path.read_text(encoding="utf-8"))
    return frozenset(map(unescape, found))


@lru_cache(maxsize=4)
def soup_of(name: str) -> BeautifulSoup:
    """A page as it was built, read once for the tests of it; nobody may change it."""
    return BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "lxml")
