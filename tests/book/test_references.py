"""The bibliography: complete entries, or a note that says what was not seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[2] / "book" / "references.bib").read_text("utf-8")
ENTRY = re.compile(r"^@(\w+)\{([^,\s]+),\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)\},?$", re.M)
ENTRIES = {m[2]: (m[1].lower(), dict(FIELD.findall(m[3]))) for m in ENTRY.finditer(TEXT)}
NEEDED = {
    "article": {"author", "title", "journal", "year", "volume", "pages"},
    "book": {"author", "title", "publisher", "year"},
}
DOI = re.compile(r"10\.\d{4,9}/[^\s{}]+")


def missing(kind: str, fields: dict[str, str]) -> set[str]:
    """Name the fields that an entry lacks and whose absence no note admits."""
    lacks = NEEDED.get(kind, {"author", "title", "year"}) - set(fields)
    if not {"doi", "url"} & set(fields) and kind == "article":
        lacks.add("doi")
    note = fields.get("note", "").lower()
    admitted = {name for name in lacks if name in note} if "not verified" in note else set()
    if "article number not verified" in note:
        admitted.add("pages")
    return lacks - admitted


def test_every_entry_is_read():
    assert len(ENTRIES) == len(re.findall(r"^@\w+\{", TEXT, re.M)) > 100


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_is_complete_or_says_what_was_not_seen(key):
    assert missing(*ENTRIES[key]) == set()


@pytest.mark.parametrize("key", [key for key, (_, fields) in ENTRIES.items() if "doi" in fields])
def test_a_doi_is_a_doi(key):
    assert DOI.fullmatch(ENTRIES[key][1]["doi"])


def test_an_incomplete_entry_is_seen():
    short = {"author": "A", "title": "B", "journal": "C", "year": "2024", "doi": "10.1000/1"}
    assert missing("article", short) == {"volume", "pages"}
    assert missing("article", short | {"note": "Volume and pages not verified"}) == set()
    assert missing("article", short | {"note": "Volume not verified"}) == {"pages"}
    assert not DOI.fullmatch("https://doi.org/10.1000/1")
