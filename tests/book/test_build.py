"""`make book`: nothing is built where nothing has changed; short cuts give the same pages."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import build
import dependencies
import fast_build
import pybtex.plugin
import pytest
import used_styles
from docutils import nodes
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path):
    """Make a project with a complete site."""
    for name in ("book/a.md", "helpers/b.py", "data/c.csv", "tests/test_d.py", "_toc.yml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name, encoding="utf-8")
    engine = tmp_path / build.MANIFEST
    engine.parent.mkdir(parents=True)
    engine.write_text('engineManifest = {"available": true};', encoding="utf-8")
    (tmp_path / build.SITE / "index.html").write_text("page", encoding="utf-8")
    build.keep(tmp_path, build.sources_hash(tmp_path))
    return tmp_path


def is_complete(project: Path) -> bool:
    return build.is_complete(project, build.sources_hash(project))


@pytest.mark.parametrize(
    "changed", ["book/a.md", "helpers/b.py", "data/c.csv", "tests/test_d.py", "_toc.yml", "new.md"]
)
def test_an_edit_anywhere_is_built(project, changed):
    assert is_complete(project)
    with (project / changed).open("a") as file:
        file.write("!")
    assert not is_complete(project)


def test_what_builds_and_tools_write_is_no_edit(project):
    for name in ("_build/executed/x", ".venv/y", "helpers/__pycache__/z", ".hypothesis/w"):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert is_complete(project)


def test_a_removed_file_and_a_commit_are_built(project):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=project, check=True)
    build.keep(project, build.sources_hash(project))
    assert is_complete(project)
    commit = [*git, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, cwd=project, check=True)
    assert not is_complete(project)
    build.keep(project, build.sources_hash(project))
    (project / "data/c.csv").unlink()
    assert not is_complete(project)


def test_a_site_that_was_touched_is_built(project):
    page = project / build.SITE / "index.html"
    page.write_text("edited", encoding="utf-8")
    assert not is_complete(project)
    build.keep(project, build.sources_hash(project))
    page.unlink()
    assert not is_complete(project)


def test_a_site_without_its_engine_is_tried_again(project):
    (project / build.STAMP).unlink()
    text = 'engineManifest = {"available": false, "reason": "no network"};'
    (project / build.MANIFEST).write_text(text, encoding="utf-8")
    build.keep(project, build.sources_hash(project))
    assert not is_complete(project)


def test_an_edit_during_a_build_is_not_lost(project):
    (project / build.STAMP).unlink()
    before = build.sources_hash(project)
    (project / "book/a.md").write_text("edited meanwhile", encoding="utf-8")
    build.keep(project, before)
    assert not is_complete(project)
    assert not build.is_complete(project, before)


def test_jsonschema_validates_without_the_grammar_that_the_build_leaves_out():
    code = (
        "import sys; sys.modules['rfc3987_syntax'] = None\n"
        "import jsonschema, nbformat\n"
        "nbformat.validate(nbformat.v4.new_notebook())\n"
        "try: jsonschema.validate({'a': 1}, {'properties': {'a': {'type': 'string'}}})\n"
        "except jsonschema.ValidationError as error: print(error.message)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "is not of type 'string'" in ran.stdout


# -- the mends of Sphinx --------------------------------------------------------------------------


def test_plugins_are_looked_up_once_and_are_the_same():
    fast_build._find_plugins_once()
    first = pybtex.plugin.find_plugin("pybtex.style.formatting", "alpha")
    assert first is pybtex.plugin.find_plugin("pybtex.style.formatting", "alpha")
    assert first.__name__ == "Style"
    assert pybtex.plugin._load_entry_point.cache_info().hits


@pytest.mark.parametrize(("pages", "processes"), [(0, 2), (1, 2), (7, 2), (8, 2), (52, 2), (52, 9)])
def test_every_page_is_dealt_once_and_no_hand_is_much_larger(pages, processes):
    given = [str(i) for i in range(pages)]
    hands = fast_build.dealt(given, processes)
    assert sorted(p for hand in hands for p in hand) == sorted(given)
    sizes = {len(hand) for hand in hands}
    assert not sizes or max(sizes) - min(sizes) <= 1


def heading(name: str, *below: nodes.Node) -> nodes.list_item:
    link = nodes.reference("", name, refuri=name, anchorname="")
    return nodes.list_item("", addnodes.compact_paragraph("", "", link), *below)


def test_the_sidebar_needs_titles_and_the_pages_below_them():
    tree = addnodes.toctree(entries=[(None, "other")])
    sections = nodes.bullet_list("", heading("section"), heading("last", tree))
    toc = nodes.bullet_list("", heading("title", sections), heading("plain"))
    slim = fast_build.titles_alone(toc)
    assert slim.astext().split() == ["title", "plain"]
    assert next(iter(slim.findall(addnodes.toctree)))["entries"] == [(None, "other")]
    assert "section" in toc.astext(), "the table of contents of the page itself stays whole"


def test_the_extensions_that_are_called_safe_are_those_of_the_pins():
    """Whoever raises a pin reads anew what `fast_build.SAFE` claims."""
    from importlib.metadata import version

    found = {name: version(name.replace("_", "-")) for name in fast_build.SAFE}
    assert found == {"sphinx_multitoc_numbering": "0.1.3", "sphinx_external_toc": "1.1.0"}


def test_no_entry_of_the_bibliography_stands_twice():
    """The build refuses it, and so late that one hears of it sooner here."""
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{([^,\s]+),", text, re.M)
    assert len(keys) > 100
    assert sorted(keys) == sorted(set(keys))


def test_the_sheet_asks_changed_pages_alone_which_elements_they_have(tmp_path, monkeypatch):
    monkeypatch.setattr(dependencies, "REMEMBERED", tmp_path / "remembered")
    read = []
    alone = used_styles.read_alone
    monkeypatch.setattr(
        used_styles, "read_alone", lambda text, ids: read.append(text) or alone(text, ids)
    )
    sheet, one, two = (tmp_path / name for name in ("a.css", "one.html", "two.html"))
    sheet.write_text("#top p {}")
    one.write_text('<main id="top"><p class="x">1</p></main>')
    two.write_text('<ul data-of="2"><li><p class="y">2</p></ul>')

    def found(by: str):
        known = dependencies.Remembered("elements", by)
        made = used_styles.elements_of([one, two], [], [sheet], known)
        known.keep()
        return made

    def can_meet(elements, *parts: str) -> bool:
        return elements.can_meet([frozenset(part.split()) for part in parts])

    asked = (("#top", ".x"), ("#top", ".y"), ("ul", ".y"), ("li", ".x"), ("[data-of",))
    first, again = found("this code"), found("this code")
    assert len(read) == 2
    for elements in (first, again):
        assert [can_meet(elements, *one) for one in asked] == [True, False, True, False, True]
    two.write_text('<main id="top"><p class="y">2</p></main>')
    assert [can_meet(found("this code"), *one) for one in asked] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert len(read) == 3
    sheet.write_text("#other p {}")  # another id tells kinds apart
    found("this code")
    assert len(read) == 5


def test_garbage_is_looked_for_seldom_and_not_among_what_stays(monkeypatch):
    """So it is here, in a worker of the tests, and in the build before it divides."""
    assert gc.get_threshold()[0] >= 50_000
    assert gc.get_freeze_count() > 100_000
    called = []
    monkeypatch.setattr(fast_build, "collect_seldom", lambda: called.append(1))
    monkeypatch.setattr("sphinx.builders.make_chunks", None)
    extensions = {name: SimpleNamespace() for name in fast_build.SAFE}
    fast_build._on_all_cores(
        SimpleNamespace(extensions=extensions, builder=SimpleNamespace(format="none"))
    )
    assert called == [1]
