"""Student, teacher and plain notebooks of every chapter."""

from __future__ import annotations

import re
import symtable
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import chapters
import nbformat
import notebooks
import pytest
from bs4 import BeautifulSoup
from inline_values import EVAL
from nbclient import NotebookClient

PATHS = chapters.chapter_paths()
IDS = [path.stem for path in PATHS]
LEFT = re.compile(r"\{[a-z][a-z:]*\}`|^[> ]*:{3,}|^[> ]*`{3,}\{|\{solution|\{exercise", re.M)


def read(path):
    return nbformat.read(path, as_version=4)


def markdown_of(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield cell.source
        for output in cell.get("outputs", []):
            if "text/markdown" in output.get("data", {}):
                yield from (output.data["text/markdown"], output.data["text/plain"])


def html_of(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                yield output.data["text/html"]


def book(*sources):
    """Make a notebook; a text that begins with `>>>` is a code cell."""
    cells = [
        nbformat.v4.new_code_cell(text[3:], id=f"c{i}")
        if text.startswith(">>>")
        else nbformat.v4.new_markdown_cell(text, id=f"c{i}")
        for i, text in enumerate(sources)
    ]
    return nbformat.v4.new_notebook(cells=cells)


def names(code):
    """Give the names of the notebook that a cell sets, and those that it needs."""
    top = symtable.symtable(code, "cell", "exec")
    sets = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    needs = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    inner = list(top.get_children())
    while inner:
        scope = inner.pop()
        inner += scope.get_children()
        needs |= {s.get_name() for s in scope.get_symbols() if s.is_global()}
    return sets, needs


def test_names_of_a_cell():
    assert names("a = [x + b for x in c]\nf = lambda y: y + d") == ({"a", "f"}, {"b", "c", "d"})


def plain(source):
    return "\n".join(cell.source for cell in notebooks.plain(book(source)).cells)


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_every_kind_is_a_notebook_and_the_same_each_time(path):
    before = chapters.dumps(read(path))
    for make in notebooks.KINDS.values():
        chapter = read(path)
        made = make(chapter)
        assert chapters.dumps(chapter) == before  # the chapter itself stays
        assert chapters.dumps(made) == chapters.dumps(make(read(path)))
        nbformat.validate(made)
        ids = [cell.id for cell in made.cells]
        assert len(set(ids)) == len(ids)
        if make is not notebooks.student:
            assert {cell.id for cell in chapter.cells if cell.cell_type == "code"} <= set(ids)


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_a_plain_notebook_has_no_myst(path):
    for text in markdown_of(notebooks.plain(read(path))):
        assert not LEFT.search(text), text
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (path.parent / target).is_file(), target
            assert target.endswith(".ipynb"), target


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_pictures_show_in_a_notebook_that_is_not_trusted(path):
    stored = [
        svg for page in html_of(read(path)) for svg in BeautifulSoup(page, "html.parser")("svg")
    ]
    for make in (notebooks.teacher, notebooks.plain):
        pages = [BeautifulSoup(page, "html.parser") for page in html_of(make(read(path)))]
        assert not any(page("svg") for page in pages)
        shown = [i for page in pages for i in page("img") if "svg+xml" in i["src"]]
        assert len(shown) == len(stored)
        for image, svg in zip(shown, stored, strict=True):
            drawn = ET.fromstring(unquote(image["src"].partition(",")[2]))
            assert drawn.tag.endswith("svg")
            assert svg.title.get_text().strip().rstrip(".") in image["alt"]


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_a_student_gets_an_empty_cell_for_each_solution_and_no_answer(path):
    chapter = read(path)
    text = "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    made = notebooks.student(chapter)
    yours = [cell for cell in made.cells if cell.source == notebooks.YOURS]
    assert len(yours) == len(re.findall(r"\{solution(?:-start)?\}", text))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in made.cells)
    assert "{solution" not in "\n".join(cell.source for cell in made.cells)
    assert not any("user_expressions" in cell.metadata for cell in made.cells)


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_no_cell_needs_a_name_that_only_a_solution_sets(path):
    """A student notebook runs without the solutions: read here, run for one chapter below."""

    given, solved, needed = set(), set(), set()
    for cell, solution in notebooks.parts(read(path)):
        codes = [found["expression"] for found in EVAL.finditer(cell.source)]
        for code in [cell.source] if cell.cell_type == "code" else codes:
            sets, needs = names(code)
            (given if solution is None else solved).update(sets)
            needed |= needs if solution is None else set()
    assert not (solved - given) & needed


def test_a_student_runs_pooling_from_top_to_bottom():
    made = notebooks.student(read(chapters.BOOK / "pooling.ipynb"))
    NotebookClient(
        made, timeout=120, kernel_name="python3", resources={"metadata": {"path": chapters.BOOK}}
    ).execute()
    ran = [cell.execution_count for cell in made.cells if cell.cell_type == "code"]
    assert ran == list(range(1, len(ran) + 1))


def test_values_stay_with_the_part_of_the_cell_that_shows_them():
    chapter = book(">>>x = 1", "{eval}`a`\n\n```{solution} ex\n{eval}`b`\n```\n\n{eval}`c`")
    chapter.cells[1].metadata["user_expressions"] = [
        {"expression": e, "result": {"status": "ok", "data": {"text/plain": f"'{e}!'"}}}
        for e in "abc"
    ]
    shown = [cell.source for cell in notebooks.plain(chapter).cells]
    assert shown == [
        "x = 1",
        "a!",
        "<details><summary>Solution</summary>\n\nb!\n\n</details>",
        "c!",
    ]
    values = [cell.metadata.get("user_expressions") for cell in notebooks.teacher(chapter).cells]
    assert [v and v[0]["expression"] for v in values] == [None, "a", None, "b", "c"]


def test_a_solution_with_code_gets_a_heading_of_its_own():
    gates = (
        "Ask\n```{solution-start} ex\n:class: dropdown\n```",
        ">>>1",
        "So.\n```{solution-end}\n```",
    )
    made = notebooks.plain(book(*gates))
    assert [cell.source for cell in made.cells] == ["Ask", "### Solution", "1", "So."]
    assert [c.source for c in notebooks.student(book(*gates)).cells] == ["Ask", notebooks.YOURS]


@pytest.mark.parametrize(
    ("myst", "expected"),
    [
        ("A {term}`crude\nrate <rate>`.", "A crude rate."),
        ("{py:obj}`pool <helpers.pool>`", "`pool`"),
        (
            "{cite:t}`dersimonian1986`",
            "[DerSimonian and Laird (1986)](https://doi.org/10.1016/0197-2456%2886%2990046-2)",
        ),
        (
            ":::{admonition} Note {term}`it`\n:class: tip\n\nA\n\nB\n:::",
            "> **Note it**\n>\n> A\n>\n> B",
        ),
        ("```{exercise}\n:label: ex\n\nWhy?\n```", "### Exercise 1\n\nWhy?"),
        (
            ":::{list-table} T\n:widths: 1\n\n* - a\n  - b\n* - $|x|$\n  - y | z\n\n    w\n:::",
            "**T**\n\n| a | b |\n| --- | --- |\n| $\\vert x\\vert $ | y \\| z<br>w |",
        ),
        ("```python\n{term}`kept`\n```", "```python\n{term}`kept`\n```"),
        (
            "See [words](glossary.md#x) and [pool](pooling.ipynb).",
            "See words and [pool](pooling.ipynb).",
        ),
    ],
)
def test_plain_markdown(myst, expected):
    assert plain(myst) == expected


@pytest.mark.parametrize("myst", ["{unknown}`x`", "```{unknown}\nx\n```"])
def test_what_has_no_plain_form_is_named(myst):
    with pytest.raises(ValueError, match=r"no plain form of the (role|directive) \{unknown\}"):
        notebooks.plain(book(myst))


def test_a_fence_that_is_not_closed_is_named():
    with pytest.raises(ValueError, match="is not closed"):
        notebooks.plain(book(":::{admonition} A\nb"))
