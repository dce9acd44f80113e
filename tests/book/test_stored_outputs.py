"""The strict check of stored outputs sees what differs from the run of the build."""

from __future__ import annotations

import shutil

import chapters
import dependencies
import nbformat
import pytest

from helpers import shared_results

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Make a book of one chapter, with outputs as they come out of the build."""
    root = tmp_path_factory.mktemp("built")
    for folder in ("book", "helpers", "data"):
        (root / folder).mkdir()
    sources = ["x = 2", "print('a', x)\nprint('b')", "{'x': x, 'at': object}"]
    cells = [nbformat.v4.new_code_cell(s, id=f"c{i}") for i, s in enumerate(sources)]
    cells.append(nbformat.v4.new_markdown_cell("It is {eval}`str(x)`, {eval}`'b'`.", id="prose"))
    cells.append(nbformat.v4.new_markdown_cell("No value.", id="plain"))
    path = root / "book" / "chapter.ipynb"
    path.write_text(chapters.dumps(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        live_in(patch, root)
        assert chapters.main([str(path)]) == 0
    return root


def live_in(patch, root):
    for module in (chapters, dependencies):
        patch.setattr(module, "ROOT", root)
    patch.setattr(chapters, "BOOK", root / "book")
    patch.setattr(chapters, "CACHE", root / "_build" / "executed")
    patch.setattr(chapters, "SHARED", root / "_build" / "shared")
    for name in (shared_results.FOLDER, shared_results.STATE):
        patch.setenv(name, "")  # a run names its own; afterwards they are as before


@pytest.fixture
def house(built, tmp_path, monkeypatch):
    """Copy the book and its run."""
    root = tmp_path / "house"
    shutil.copytree(built, root)
    live_in(monkeypatch, root)
    return root / "book" / "chapter.ipynb"


def check(pytester, path):
    """Outcomes of the strict check, as `make chapters` runs it."""
    result = pytester.runpytest_inprocess(
        path.parent, "-p", "stored_outputs", "-p", "no:cacheprovider", "-o", "addopts="
    )
    return result.parseoutcomes()


def test_outputs_of_the_build_pass_without_a_second_run(house, pytester, monkeypatch):
    async def never(*_):
        raise AssertionError("the chapter was run again")

    monkeypatch.setattr(chapters, "execute", never)
    assert check(pytester, house) == {"passed": 4}


@pytest.mark.parametrize(
    ("cell", "stored"),
    [
        (0, [nbformat.v4.new_output("stream", name="stdout", text="more\n")]),
        (1, [nbformat.v4.new_output("stream", name="stdout", text="a 2\nc\n")]),
        (2, []),
    ],
)
def test_another_stored_output_fails(house, pytester, cell, stored):
    notebook = nbformat.read(house, as_version=4)
    notebook.cells[cell].outputs = stored
    house.write_text(chapters.dumps(notebook), encoding="utf-8")
    assert check(pytester, house) == {"passed": 3, "failed": 1}


def test_an_edited_cell_is_run_and_compared(house, pytester):
    notebook = nbformat.read(house, as_version=4)
    notebook.cells[0].source = "x = 3"
    house.write_text(chapters.dumps(notebook), encoding="utf-8")
    assert check(pytester, house) == {"passed": 1, "failed": 3}


def wrong_value(cells):
    cells[3].metadata["user_expressions"][0]["result"]["data"]["text/plain"] = "'3'"


def other_expression(cells):
    cells[3].metadata["user_expressions"][1]["expression"] = "'c'"


def no_values(cells):
    del cells[3].metadata["user_expressions"]


def one_too_many(cells):
    cells[3].metadata["user_expressions"] *= 2


def values_without_expression(cells):
    cells[4].metadata["user_expressions"] = cells[3].metadata["user_expressions"]


@pytest.mark.parametrize(
    ("plant", "passed"),
    [
        (wrong_value, 3),
        (other_expression, 3),
        (no_values, 3),
        (one_too_many, 3),
        (values_without_expression, 4),
    ],
)
def test_a_stale_value_of_the_prose_fails(house, pytester, plant, passed):
    notebook = nbformat.read(house, as_version=4)
    plant(notebook.cells)
    house.write_text(chapters.dumps(notebook), encoding="utf-8")
    assert check(pytester, house) == {"passed": passed, "failed": 1}


def test_a_failing_chapter_ends_the_check(house, pytester):
    notebook = nbformat.read(house, as_version=4)
    notebook.cells[0].source = "x = 1 / 0"
    house.write_text(chapters.dumps(notebook), encoding="utf-8")
    result = pytester.runpytest_inprocess(house.parent, "-p", "stored_outputs", "-o", "addopts=")
    assert result.ret == 1
    result.stdout.fnmatch_lines_random(["*ZeroDivisionError*"])
