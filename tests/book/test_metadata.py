"""What the site says to machines, with and without an address."""

import json
import re
from xml.etree import ElementTree

import address
import metadata
import pytest

ROOM = "https://example.org/book"


@pytest.fixture
def at(monkeypatch):
    """Set or take away the address of the site."""

    def use(named):
        monkeypatch.setenv("NRM_SITE", named)
        address.site.cache_clear()

    yield use
    monkeypatch.undo()
    address.site.cache_clear()


def test_fields_are_those_of_reference_managers_and_text_is_escaped(at):
    at("")
    head = metadata.tags('A "b" & <c>', "d", "2026-11-28", ["X, Y", "Z"], "Book", "")
    root = ElementTree.fromstring(f"<head>{head}</head>")
    named = [(m.get("name") or m.get("property"), m.get("content")) for m in root]
    assert ("citation_title", 'A "b" & <c>') in named
    assert [text for name, text in named if name == "citation_author"] == ["X, Y", "Z"]
    assert ("citation_publication_date", "2026/11/28") in named
    assert "http" not in head  # nobody's address without one


def test_an_address_is_canonical_and_checked(at):
    at(ROOM + "/")
    head = metadata.tags("a", "b", "2026-11-28", ["c"], "Book", f"{address.site()}/x.html")
    assert f'<link rel="canonical" href="{ROOM}/x.html" />' in head
    at("not an address")
    with pytest.raises(ValueError, match="NRM_SITE"):
        address.site()


def test_no_text_ends_the_facts_early():
    made = metadata.linked({"@type": "X", "name": "</script><b>"})
    assert made.count("</script>") == 1
    inside = re.fullmatch(r"<script[^>]*>(.*)</script>", made)[1]
    assert json.loads(inside)["name"] == "</script><b>"


def test_a_feed_has_each_release_once():
    changes = "# C\n\n## 0.2.0 (2027-01-02)\n\n- a < b\n\n## 0.1.0 (2026-11-28)\n\n- first\n"
    made = ElementTree.fromstring(metadata.feed(changes, ROOM, "Book").encode())
    atom = "{http://www.w3.org/2005/Atom}"
    assert [e.find(f"{atom}title").text for e in made.iter(f"{atom}entry")] == ["0.2.0", "0.1.0"]
    assert made.find(f"{atom}updated").text.startswith("2027-01-02")


def test_the_description_of_the_whole_names_every_part_once():
    facts = {"title": "T", "message": "m", "version": "1"}
    graph = metadata.crate(facts, ["a.html"], ["downloads/x.csv"])["@graph"]
    parts = {part["@id"] for one in graph if one["@id"] == "./" for part in one["hasPart"]}
    described = [one["@id"] for one in graph]
    assert parts == {"a.html", "downloads/x.csv"}
    assert len(described) == len(set(described))
    assert parts <= set(described)
