"""Student, teacher and plain notebooks of every chapter."""

from __future__ import annotations

import re
import symtable

import chapters
import nbformat
import notebooks
import pytest
from chapter_exercises import exercises
from inline_values import EVAL

from helpers.teaching.checks import asked

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
    return "\n".join(cell.source for cell in notebooks.plain(book(source)).cells[1:])


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
            kept = (
                chapter if make is notebooks.teacher else notebooks.without_teachers_part(chapter)
            )
            assert {cell.id for cell in kept.cells if cell.cell_type == "code"} <= set(ids)


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_a_plain_notebook_has_no_myst(path):
    for text in markdown_of(notebooks.plain(read(path))):
        assert not LEFT.search(text), text
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (path.parent / target).is_file(), target
            assert target.endswith(".ipynb"), target


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_a_student_gets_a_cell_of_their_own_for_each_solution_and_no_answer(path):
    chapter = read(path)
    labels = exercises(path)
    made = notebooks.student(chapter)
    yours = [cell for cell in made.cells if cell.source.startswith(notebooks.YOURS.strip())]
    yours += [c for c in made.cells if c.source.startswith("from helpers.teaching import check")]
    assert sorted(cell.id for cell in yours) == sorted(f"your-{label}" for label in labels)
    for cell in yours:
        label = cell.id.removeprefix("your-")
        assert (f'check("{label}", answer)' in cell.source) is (label in asked())
    text = "\n".join(cell.source for cell in made.cells)
    assert "{solution" not in text
    assert "# Solution" not in text
    solutions = [c for c, solution, _ in notebooks.parts(chapter) if solution]
    kept = {cell.source for cell in made.cells}
    assert not kept & {cell.source for cell in solutions}
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in made.cells)
    for cell in made.cells:  # text reads as text before a run, not as code
        if cell.cell_type == "markdown":
            values = [entry["expression"] for entry in cell.metadata.get("user_expressions", [])]
            assert values == [found["expression"] for found in EVAL.finditer(cell.source)]


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_no_cell_needs_a_name_that_only_a_solution_sets(path):
    """A student notebook runs without the solutions, and no solution needs another one."""

    given, solved, needed = set(), {}, set()
    for cell, solution, _ in notebooks.parts(read(path)):
        codes = [found["expression"] for found in EVAL.finditer(cell.source)]
        for code in [cell.source] if cell.cell_type == "code" else codes:
            sets, needs = names(code)
            (given if solution is None else solved.setdefault(solution, set())).update(sets)
            if solution is None:
                needed |= needs
            for other, made in solved.items():
                assert other == solution or not (needs & made) - given - solved.get(solution, set())
    assert not (set().union(*solved.values()) - given) & needed


def test_values_stay_with_the_part_of_the_cell_that_shows_them():
    chapter = book(">>>x = 1", "{eval}`a`\n\n```{solution} ex\n{eval}`b`\n```\n\n{eval}`c`")
    chapter.cells[1].metadata["user_expressions"] = [
        {"expression": e, "result": {"status": "ok", "data": {"text/plain": f"'{e}!'"}}}
        for e in "abc"
    ]
    shown = [cell.source for cell in notebooks.plain(chapter).cells[1:]]
    assert shown == [
        "x = 1",
        "a!",
        "<details><summary>Solution</summary>\n\nb!\n\n</details>",
        "c!",
    ]
    values = [cell.metadata.get("user_expressions") for cell in notebooks.teacher(chapter).cells]
    assert [v and v[0]["expression"] for v in values] == [None, "a", None, "b", "c"]


def test_notebooks_for_jupyterlab_name_their_sources():
    """JupyterLab reads no bibliography: it would show a key with a warning sign."""
    chapter = book(
        "{cite:t}`stijnen2010` and {term}`GLMM` ({cite:p}`zeger1988`)", ">>>'{cite:p}`a`'"
    )
    for kind in (notebooks.student, notebooks.teacher):
        text, code = (cell.source for cell in kind(chapter).cells)
        assert text.startswith(
            "[Stijnen et al. (2010)](https://doi.org/10.1002/sim.4040) and {term}"
        )
        assert "([Zeger et al., 1988](https://doi.org/" in text
        assert code == "'{cite:p}`a`'"


def solved(*after):
    """Make a notebook with a solution under a heading, and what comes after it."""
    made = book("### Apply\n\n```{exercise}\nAsk\n```", "### Solution", ">>>1", "So.", *after)
    made.cells[1].metadata.update({notebooks.COLLAPSED: True, "solution": "ex"})
    return made


def test_a_solution_with_code_stands_under_a_heading_of_its_own():
    task = "### Apply\n\n### Exercise 1\n\nAsk"
    made = notebooks.plain(solved("### Next")).cells[1:]
    assert [cell.source for cell in made] == [task, "### Solution", "1", "So.", "### Next"]
    assert [notebooks.COLLAPSED in cell.metadata for cell in made] == [False, True, *[False] * 3]
    student = notebooks.student(solved("### Next")).cells
    assert [c.source for c in student[1:]] == [notebooks.YOURS, "### Next"]
    assert not any(notebooks.COLLAPSED in c.metadata for c in notebooks.teacher(solved()).cells)


@pytest.mark.parametrize("after", [(), ("### Next",), ("## Next", "More")])
def test_on_the_site_a_solution_stands_between_gates(after):
    start, end = "```{solution-start} ex\n:class: dropdown\n```", "```{solution-end}\n```"
    chapter = solved(*after)
    made = notebooks.gated(chapter).cells
    assert [c.source for c in made] == [
        "```{exercise} Apply\nAsk\n```",
        start,
        "1",
        "So.",
        end,
        *after,
    ]
    assert chapter.cells[1].source == "### Solution"  # the notebook itself stays


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_every_solution_is_closed_in_jupyterlab_and_on_the_site(path):
    """By a heading that JupyterLab keeps closed and that names its exercise, or as a dropdown."""
    chapter = read(path)
    text = "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    assert "{solution-" not in text
    assert text.count("{solution}") == len(
        re.findall(r"\{solution\} \S+\n:class: dropdown\n", text)
    )
    headed = [c for c in chapter.cells if "solution" in c.metadata]
    assert all(c.source == "### Solution" and c.metadata[notebooks.COLLAPSED] for c in headed)
    named = [c.metadata["solution"] for c in headed] + re.findall(r"\{solution\} (\S+)", text)
    assert sorted(named) == sorted(exercises(path))
    site = "\n".join(cell.source for cell in notebooks.gated(chapter).cells)
    shown = 0 if chapter.metadata.get("solutions") == notebooks.TEACHER else len(headed)
    assert site.count("{solution-start}") == site.count("{solution-end}") == shown


def test_a_plain_notebook_begins_with_one_line_and_no_address_but_the_books_own(monkeypatch):
    monkeypatch.setattr(notebooks, "repository", lambda: None)
    assert notebooks.plain(book("a")).cells[0].source.startswith("import helpers")
    monkeypatch.setattr(notebooks, "repository", lambda: "https://example.org/a/book")
    (line,) = notebooks.plain(book("a")).cells[0].source.splitlines()
    assert re.findall(r"https?://[^@\s]+", line) == ["https://example.org/a/book"]


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
        (
            ":::{dropdown} More {term}`on it`\nA\n:::",
            "<details><summary>More on it</summary>\n\nA\n\n</details>",
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
