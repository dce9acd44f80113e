"""Sources in words: the bibliography of the book, one line per source."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

from ..errors import MetaAnalysisError

_FILE = "references.bib"
_ENTRY = re.compile(r"^@\w+\{([^,\s]+),(.*?)^\}", flags=re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*[{\"](.*?)[}\"],?\s*$", flags=re.MULTILINE)
_ACCENT = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303", "c": "\u0327"}


def _path() -> Path:
    """Find the bibliography: inside an installed package, or in the book's folder."""
    here = Path(__file__).resolve().parents[1]
    for place in (here / _FILE, here.parent / "book" / _FILE):
        if place.is_file():
            return place
    raise MetaAnalysisError(f"{_FILE} is missing: expected in the package or in the folder book/")


def _plain(text: str) -> str:
    """Turn the markup of a field into characters."""
    text = re.sub(
        r"\{?\\(['`\"^~c])\s?\{?(\w)\}?\}?", lambda m: m.group(2) + _ACCENT[m.group(1)], text
    )
    text = text.replace("---", "\N{EM DASH}").replace("--", "\N{EN DASH}").replace("\\&", "&")
    text = text.replace("``", "\N{LEFT DOUBLE QUOTATION MARK}")
    text = text.replace("''", "\N{RIGHT DOUBLE QUOTATION MARK}").replace("\\", "")
    return unicodedata.normalize("NFC", re.sub(r"[{}]", "", text)).strip()


@cache
def bibliography() -> dict[str, dict[str, str]]:
    """Read the bibliography: key to its fields, markup removed.

    >>> bibliography()["dersimonian1986"]["doi"]
    '10.1016/0197-2456(86)90046-2'
    """
    text = _path().read_text(encoding="utf-8")
    return {
        key: {name.lower(): _plain(value) for name, value in _FIELD.findall(body)}
        for key, body in _ENTRY.findall(text)
    }


def citation(key: str) -> str:
    """Print one source: authors, year, title, journal, volume and pages.

    >>> citation("dersimonian1986").partition("(1986). ")[2]
    'Meta-analysis in clinical trials. Controlled Clinical Trials 7:177–188.'
    """
    if key not in bibliography():
        raise MetaAnalysisError(f"no source {key!r} in {_FILE}")
    entry = bibliography()[key]
    authors = [_short(name) for name in entry.get("author", "").split(" and ") if name]
    listed = ", ".join(authors[:6]) + (" et al." if len(authors) > 6 else "")
    where = next(
        (
            entry[name]
            for name in ("journal", "booktitle", "publisher", "howpublished")
            if name in entry
        ),
        "",
    )
    if "volume" in entry:
        pages = entry.get("pages", "")
        where += f" {entry['volume']}{f':{pages}' if pages else ''}"
    head = f"{listed} ({entry['year']})" if "year" in entry else listed
    return ". ".join(part for part in (head, entry.get("title", ""), where) if part) + "."


def _short(name: str) -> str:
    """Family name and initials."""
    family, _, given = (part.strip() for part in name.partition(","))
    initials = "".join(word[0] for word in re.split(r"[\s-]+", given) if word)
    return f"{family} {initials}".strip()
