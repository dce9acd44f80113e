"""The built site that is tested: its place, its pages, and a page as it was built."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from html import unescape
from pathlib import Path

from bs4 import BeautifulSoup
from lxml import html

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("SITE") or ROOT / "_build" / "html").resolve()


#: Pages of the reference are made by one template; these two, which are small, speak for all.
REFERENCE = {"reference/bias.html", "reference/rates.html"}


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


#: Elements of which axe asks for words of their own.
NAMED = "a button caption dd dt figcaption h1 h2 h3 h4 label li option p summary td th".split()


@cache
def kinds_on(name: str) -> frozenset[tuple[str, ...]]:
    """Elements of a page as axe tells them apart, and not by what they say.

    By name, place, class, role, the attributes that they have, a colour of their own, and whether
    they have words. Insides of drawings, formulas and code apart (`make audit` judges the colours
    of every word of code).
    """
    aside = " or ".join(f"ancestor::{one}" for one in ("svg", "math", "pre", "head"))
    every = html.parse(SITE / name).xpath(f"//*[not({aside})]")
    return frozenset(
        (
            one.tag,
            one.getparent().tag if one.getparent() is not None else "",
            one.get("class", ""),
            one.get("role", ""),
            " ".join(sorted(one.keys())),
            one.get("style", "") if re.search("colou?r|background", one.get("style", "")) else "",
            str(one.tag in NAMED and bool(one.text_content().strip())),
        )
        for one in every
        if isinstance(one.tag, str)  # no comment
    )


def cover(names: Iterable[str], first: Iterable[str] = ()) -> list[str]:
    """Choose pages on which every kind of element stands: `first`, then what adds most."""
    left, chosen = sorted(names), sorted(first)
    seen = set().union(*map(kinds_on, chosen))
    while new := {name: len(kinds_on(name) - seen) for name in left}:
        best = max(left, key=lambda name: new[name])
        if not new[best]:
            break
        chosen.append(best)
        seen |= kinds_on(best)
    return chosen


@lru_cache(maxsize=4)
def soup_of(name: str) -> BeautifulSoup:
    """A page as it was built, read once for the tests of it; nobody may change it."""
    return BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "lxml")
