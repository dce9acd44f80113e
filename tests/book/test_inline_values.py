"""Values in the prose: evaluated where they stand, stored as JupyterLab stores them, put in."""

from __future__ import annotations

import asyncio
import re

import chapter_pages
import chapters
import dependencies
import inline_values
import nbformat
import pytest
from bs4 import BeautifulSoup
from inline_values import ChapterError, escaped, expressions, resolved, text_of
from markdown_it import MarkdownIt
from nbclient.exceptions import DeadKernelError
from slide_content import Context, slides_of


@pytest.fixture
def house(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    return tmp_path / "book" / "chapter.ipynb"


def write(path, *cells):
    """Write a chapter; a text that begins with `>>>` is a code cell."""
    made = [
        nbformat.v4.new_code_cell(text[3:].strip(), id=f"c{i}")
        if text.startswith(">>>")
        else nbformat.v4.new_markdown_cell(text, id=f"c{i}")
        for i, text in enumerate(cells)
    ]
    path.write_text(chapters.dumps(nbformat.v4.new_notebook(cells=made)), encoding="utf-8")
    return path


def run(path, kernels=None):
    return asyncio.run(chapters.execute(path, kernels))


HELPERS = ">>> from helpers import printing"


def test_each_value_is_that_of_its_place_and_stored_as_jupyterlab_stores_it(house, warm):
    write(
        house,
        f"{HELPERS}\nx = 'one'",
        "First {eval}`x`, {eval}`x.upper()`, and {eval}`x` again.",
        ">>> x = printing.percent(0.068)",
        "Then {eval}`x`.",
        ">>> x",
    )
    notebook = run(house, warm)
    stored = notebook.cells[1].metadata["user_expressions"]
    ok = {"status": "ok", "metadata": {}}
    assert stored == [
        {"expression": "x", "result": {**ok, "data": {"text/plain": "'one'"}}},
        {"expression": "x.upper()", "result": {**ok, "data": {"text/plain": "'ONE'"}}},
        {"expression": "x", "result": {**ok, "data": {"text/plain": "'one'"}}},
    ]
    text = resolved(notebook)
    assert text.cells[1].source == "First one, ONE, and one again."
    assert re.fullmatch(r"Then 6\.8\s?%\.", text.cells[3].source)
    assert all("user_expressions" not in cell.metadata for cell in text.cells)
    assert "{eval}" in notebook.cells[1].source  # a copy was changed
    assert [c.execution_count for c in notebook.cells if c.cell_type == "code"] == [1, 2, 3]
    assert "\\x" not in chapters.dumps(notebook)


def test_two_runs_and_a_warm_kernel_give_the_same_bytes(house, warm):
    write(house, HELPERS, "{eval}`printing.percent(0.5)` of {eval}`'it\\'s'`", r">>> '95%\xa0CI'")
    cold = chapters.dumps(run(house))
    house.write_text(cold, encoding="utf-8")
    assert chapters.dumps(run(house, warm)) == cold
    assert "'95%\xa0CI'" in cold


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        ("missing", "NameError: name 'missing' is not defined"),
        ("1 +", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("np.float64(0.068)", "is no text; print it with helpers"),
        ("3", "is no text"),
        ("None", "is no text"),
        ("facts({'deaths': '574'})", "a paragraph of its own"),
        ("'one\\ntwo'", "more than one line"),
        ("print('careful') or 'x'", "printed or warned: careful"),
        ("str(__import__('warnings').warn('old'))", "printed or warned"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said_with_chapter_and_cell(
    house, warm, expression, cause
):
    write(
        house, ">>> import numpy as np\nfrom helpers import facts", f"It is {{eval}}`{expression}`."
    )
    with pytest.raises(ChapterError, match=r"^book/chapter\.ipynb, cell 2, ") as error:
        run(house, warm)
    assert cause in str(error.value)
    assert f"{{eval}}`{expression}`" in str(error.value)


def test_a_slow_expression_and_a_dead_kernel_are_named(house, warm, monkeypatch):
    write(house, ">>> import os, time", "{eval}`str(time.sleep(600))`")
    with monkeypatch.context() as patch:
        patch.setattr(inline_values, "CELL_TIMEOUT", 0.5)
        with pytest.raises(
            ChapterError, match=r"chapter\.ipynb, cell 2, .*took longer than 0\.5 s"
        ):
            run(house, warm)
    write(house, ">>> import os", "{eval}`os.kill(os.getpid(), 9)`")
    with pytest.raises(ChapterError, match=r"chapter\.ipynb.*DeadKernelError"):
        run(house, warm)
    assert issubclass(DeadKernelError, RuntimeError)


# -- where an expression may stand ----------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "It is {eval}`x`.",
        "It is **{eval}`x`**.",
        "[about {eval}`x`](#there)",
        "- one\n- {eval}`x`\n  more",
        "1. {eval}`x`",
        "| a | b |\n|---|---|\n| {eval}`x` | 2 |",
        ":::{div} answer\n{eval}`x`\n:::",
        ":::{admonition} Of {eval}`x`\n:class: tip\n\nText.\n:::",
        "```{exercise}\n:label: ex-a\n\nIs it {eval}`x`?\n```",
        "::::{grid} 2\n:::{grid-item-card} A\n{eval}`x`\n:::\n::::",
        ":::{list-table}\n* - a\n  - {eval}`x`\n:::",
        "{eval}``x``",
        "## Of {eval}`x`",
        "> {eval}`x`",
        "Before<br>{eval}`x` <b>bold</b>",
    ],
)
def test_an_expression_is_found_where_jupyterlab_evaluates_it(source):
    assert expressions(source) == ["x"]


@pytest.mark.parametrize(
    "source",
    [
        "```\n{eval}`x`\n```",
        "```python\n{eval}`x`\n```",
        "```{code-block} text\n{eval}`x`\n```",
        "    {eval}`x`",
        "``{eval}`x` ``",
        "$a = {eval}`x`$",
        "$$\na = {eval}`x`\n$$",
        "{term}`of {eval}`x``",
        "<b>{eval}`x`</b>",
        "<div>\n{eval}`x`\n</div>",
        "% {eval}`x`",
        "<!-- {eval}`x` -->",
        r"\{eval}`x`",
        "![of {eval}`x`](a.png)",
        "{eval}`x +\ny`",
        "{eval}` x `",
    ],
)
def test_an_expression_that_jupyterlab_does_not_evaluate_is_refused(source):
    with pytest.raises(ChapterError, match=r"(?s)\{eval\}`.*`"):
        expressions(f"Text {{eval}}`y` before.\n\n{source}")


def test_a_misplaced_expression_is_named_with_its_chapter(house, warm):
    write(house, "Text", "$a = {eval}`1 / 0`$")
    with pytest.raises(ChapterError, match=r"^book/chapter\.ipynb, cell 2, \{eval\}`1 / 0` stands"):
        run(house, warm)


# -- values in the text ---------------------------------------------------------------------------

VALUES = [
    "a*b*c", "_x_", "`code`", "[a](b)", "<b>", "a|b", "{term}`x`", "$x$", "x~y~", "&amp;", "a\\b",
    "# no", "- no", "+ no", "1. no", "12", "> no", "=", ":::", "{{ x }}", "2.7 to 16.2", "---", "%",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "source", ["{eval}`x`. More", "Of {eval}`x`", "- {eval}`x`", "| {eval}`x`"]
)
def test_a_value_is_shown_letter_by_letter(value, source):
    text = inline_values.with_values(source, [value])
    html = MarkdownIt("commonmark").enable("table").render(text)
    shown = BeautifulSoup(html, "html.parser")
    assert shown.get_text().strip() == source.removeprefix("- ").replace("{eval}`x`", value)
    assert {tag.name for tag in shown.find_all()} <= {"p", "ul", "li"}


def test_a_value_in_a_row_of_a_table_stays_in_its_cell():
    table = inline_values.with_values("| a | b |\n|---|---|\n| {eval}`x` | 2 |", ["p | q"])
    cells = BeautifulSoup(MarkdownIt("commonmark").enable("table").render(table), "html.parser")
    assert [cell.get_text() for cell in cells.find_all("td")] == ["p | q", "2"]


def notebook_with(source, *stored):
    cell = nbformat.v4.new_markdown_cell(source)
    cell.metadata["user_expressions"] = [
        {"expression": e, "result": {"status": "ok", "data": {"text/plain": repr(v)}}}
        for e, v in stored
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), cell])


def test_values_of_other_expressions_are_refused():
    assert resolved(notebook_with("{eval}`a`", ("a", "1"))).cells[1].source == "1"
    for stored in ([], [("b", "1")], [("a", "1"), ("a", "1")]):
        with pytest.raises(ChapterError, match=r"cell 2 .*make refresh"):
            resolved(notebook_with("{eval}`a`", *stored))


def test_slides_show_boxes_of_the_prose_with_their_values():
    source = (
        ":::{div} answer\nIt is {eval}`a`.\n:::\n\n"
        ":::{admonition} Takeaways\n:class: tip box-takeaways\n\n- Found {eval}`b`.\n:::"
    )
    book = resolved(notebook_with(source, ("a", "6.8%"), ("b", "x_y_z")))
    _, answer, takeaways = slides_of(book, Context("../chapter.html", {}))
    assert answer.title == "It is 6.8%."
    assert "Found x" in takeaways.text


def test_text_of_takes_the_outer_quotes_alone():
    for text in ("it's", 'say "x"', ""):
        assert text_of({"status": "ok", "data": {"text/plain": repr(text)}}) == text
    assert escaped("plain, 6.8% (5.8 to 8.0%)") == "plain, 6.8% (5.8 to 8.0%)"


def test_downloads_are_plain_notebooks_and_those_of_students(tmp_path, monkeypatch):
    monkeypatch.setattr(dependencies, "REMEMBERED", tmp_path / "remembered")
    task = (
        "```{exercise}\n:label: ex-a\nAsk\n```\n\n```{solution} ex-a\n:class: dropdown\n\nSo.\n```"
    )
    made = {
        name: nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(source, id="a")])
        for name, source in {"a": "The 52 {term}`cohorts <cohort>`", "b": task}.items()
    }

    class Application:
        outdir = str(tmp_path)
        builder = type("Builder", (), {"format": "html"})
        notebooks = made
        parallel = 2

    (tmp_path / "_sources").mkdir()
    for name in made:
        (tmp_path / "_sources" / f"{name}.ipynb").write_text("{eval}`x`", encoding="utf-8")
    chapter_pages._write_sources(Application(), None)
    plain = nbformat.read(tmp_path / "_sources" / "a.ipynb", 4)
    assert [cell.source for cell in plain.cells][1:] == ["The 52 cohorts"]
    students = sorted((tmp_path / chapter_pages.STUDENTS).iterdir())
    assert [path.name for path in students] == ["b.ipynb"]
    student = nbformat.read(students[0], 4)
    assert [cell.cell_type for cell in student.cells] == ["markdown", "code"]
    assert "So." not in students[0].read_text(encoding="utf-8")
    # the next build makes the copies of a changed chapter alone, and offers all of them
    first = students[0].read_bytes()
    made["a"].cells[0].source = "None {term}`cohorts <cohort>`"
    again = []
    copies_of = chapter_pages.copies_of
    monkeypatch.setattr(chapter_pages, "copies_of", lambda one: again.append(one) or copies_of(one))
    for name in made:
        (tmp_path / "_sources" / f"{name}.ipynb").write_text("by Sphinx", encoding="utf-8")
    chapter_pages._write_sources(Application(), None)
    assert again == [made["a"]]
    plain = nbformat.read(tmp_path / "_sources" / "a.ipynb", 4)
    assert [cell.source for cell in plain.cells][1:] == ["None cohorts"]
    assert nbformat.read(tmp_path / "_sources" / "b.ipynb", 4).cells
    assert students[0].read_bytes() == first
