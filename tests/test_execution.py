"""Running chapters: what makes a chapter run again, and how a failing cell is named."""

from __future__ import annotations

from pathlib import Path

import chapters
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Make a small copy of the layout that the machinery works on."""
    for folder in ("book", "helpers", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "helpers" / "a.py").write_text("A = 1\n")
    (tmp_path / "data" / "b.csv").write_text("x\n1\n")
    (tmp_path / "requirements.txt").write_text("numpy\n")
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    monkeypatch.setattr(chapters, "BOOK", tmp_path / "book")
    monkeypatch.setattr(chapters, "CACHE", tmp_path / "_build" / "executed")
    return tmp_path


def write_chapter(house: Path, *sources: str) -> Path:
    path = house / "book" / "chapter.ipynb"
    cells = [nbformat.v4.new_markdown_cell("# Title", id="title")]
    cells += [nbformat.v4.new_code_cell(s, id=f"c{i}") for i, s in enumerate(sources)]
    path.write_text(chapters.dumps(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    return path


@pytest.mark.parametrize("changed", ["helpers/a.py", "data/b.csv", "requirements.txt"])
def test_an_edit_in_what_a_chapter_depends_on_changes_the_key_of_its_run(house, changed):
    notebook = nbformat.read(write_chapter(house, "1"), as_version=4)
    before = chapters.run_key(notebook, chapters.dependency_hash())
    assert chapters.run_key(notebook, chapters.dependency_hash()) == before
    with (house / changed).open("a") as file:
        file.write("# edited\n")
    assert chapters.run_key(notebook, chapters.dependency_hash()) != before


def test_an_edit_in_a_cell_changes_the_key_and_stored_outputs_do_not(house):
    notebook = nbformat.read(write_chapter(house, "1"), as_version=4)
    before = chapters.run_key(notebook, "same")
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="old")]
    assert chapters.run_key(notebook, "same") == before
    notebook.cells[1].source = "2"
    assert chapters.run_key(notebook, "same") != before


def test_second_run_comes_from_the_cache_until_a_data_file_changes(house, capsys):
    path = write_chapter(house, "open('../data/b.csv').read()")
    chapters.executed([path])
    (_, again), *_ = chapters.executed([path])
    assert "unchanged" in capsys.readouterr().out
    assert "1" in again.cells[1].outputs[0].data["text/plain"]
    (house / "data" / "b.csv").write_text("x\n2\n")
    (_, fresh), *_ = chapters.executed([path])
    assert "unchanged" not in capsys.readouterr().out
    assert "2" in fresh.cells[1].outputs[0].data["text/plain"]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("raise KeyError('no such cohort')", "no such cohort"),
        ("import sys; print('careful', file=sys.stderr)", "wrote to stderr"),
    ],
)
def test_a_failing_cell_is_named_with_its_chapter(house, source, cause):
    path = write_chapter(house, "1", source)
    with pytest.raises(chapters.ChapterError, match=r"book/chapter\.ipynb, cell 3") as error:
        chapters.executed([path])
    assert cause in str(error.value)
    assert not list((house / "_build").rglob("*.ipynb")), "a failed run must not be cached"


def test_refreshing_an_unchanged_chapter_leaves_its_bytes(house):
    path = write_chapter(house, "print('a')\nprint('b')", "{'x': 1}")
    assert chapters.main([str(path)]) == 0
    first = path.read_bytes()
    assert chapters.main([str(path)]) == 0
    assert path.read_bytes() == first
    stored = nbformat.read(path, as_version=4)
    assert stored.cells[1].outputs[0].text == "a\nb\n"


def test_an_edit_in_a_style_makes_every_page_anew(house):
    (house / "book" / "_static").mkdir()
    style = house / "book" / "_static" / "book.css"
    style.write_text("a { color: red }\n")

    class Environment:
        found_docs = frozenset({"index", "pooling"})

    class Application:
        chapters: dict[str, str] = {}  # noqa: RUF012

    environment = Environment()
    assert chapters._outdated(Application(), environment) == ["index", "pooling"]
    assert chapters._outdated(Application(), environment) == []
    style.write_text("a { color: blue }\n")
    assert chapters._outdated(Application(), environment) == ["index", "pooling"]
