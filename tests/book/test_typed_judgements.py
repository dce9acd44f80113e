"""Words that judge a result are conditions on it: no chapter types one."""

from __future__ import annotations

import ast
import re

import nbformat
import pytest
from chapter_edits import BOOK
from inline_values import EVAL

PAGES = sorted(path.stem for path in BOOK.glob("*.ipynb"))
JUDGEMENT = re.compile(
    r"\bhardly\b|toss-up|\bby far\b|\bno news\b|next to nothing|little changes|stable\b|"
    r"\bstands?\]|stand when|beyond chance|(?<!as )far (more|less|from)\b|known well|"
    r"\bclear(ly)? difference|"
    r"changes? sides|largely|no winner|the data decide|come out alike|would (remove|undo)|"
    r"\bso few\b|\bthe more so\b|not unusual|stands? out\.|most come early|matters? more(?!\?)|"
    r"too wide",
    re.IGNORECASE,
)


def typed(source: str) -> list[str]:
    """Give the words of a code cell that are printed whatever the numbers are."""
    found: list[str] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.keyword) and node.arg == "kind":  # of sorting: nobody reads it
            return
        if isinstance(node, ast.IfExp):  # a condition on a computed value
            visit(node.test)
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


def said(cell: nbformat.NotebookNode) -> list[str]:
    """Give the words of a cell that are printed whatever the numbers are."""
    if cell.cell_type != "markdown":
        return typed(cell.source)
    inside = [text for found in EVAL.finditer(cell.source) for text in typed(found["expression"])]
    return [EVAL.sub("value", cell.source), *inside]


def judged(texts: list[str]) -> list[str]:
    return [match[0] for text in texts for match in JUDGEMENT.finditer(text)]


@pytest.mark.parametrize("page", PAGES)
def test_no_word_that_judges_a_result_is_typed(page):
    cells = nbformat.read(BOOK / f"{page}.ipynb", as_version=4).cells
    found = {cell.id: judged(said(cell)) for cell in cells}
    assert {cell: words for cell, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "source",
    [
        "show(f'The ratio hardly moves ({ratio}).')",
        "show('The direction is stable; the size is not known.')",
        "show('takeaways', [f'[The level stands](#the-level): between {a} and {b}.'])",
        "show(f'It differs by {x}, and no test changes sides.')",
    ],
)
def test_a_typed_judgement_is_seen(source):
    assert judged(typed(source))


def test_a_computed_judgement_passes():
    assert not judged(typed("show(f\"The ratio {'hardly moves' if x < 0.1 else 'moves'}.\")"))


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("The ratio {eval}`'hardly moves' if x < 0.1 else 'moves'`.", []),
        ("The ratio hardly moves ({eval}`ratio`).", ["hardly"]),
        ("The ratio {eval}`'hardly moves'` here.", ["hardly"]),
    ],
)
def test_prose_with_values_is_read(source, seen):
    assert judged(said(nbformat.v4.new_markdown_cell(source))) == seen


#: Intervals of calls that take no level: coverage of frozen forecasts, comparisons by a fixed rule.
ONE_LEVEL = {
    "glmm.ci",
    "[100 * x for x in paired.ci]",
    "own_limits",
    "(one['ci_lower'], one['ci_upper'])",
    "(row['ci_lower'], row['ci_upper'])",
    "(corrected['ci_lower'], corrected['ci_upper'])",
    "(published['ci_lower'], published['ci_upper'])",
    "tuple(tisa[['lower', 'upper']].iloc[0])",
}


def without_level(source: str) -> list[str]:
    """Give the intervals that are printed as if every result had the usual level."""
    return [
        ast.unparse(call)
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "printing.interval"
        and ast.unparse(call.args[0]) not in ONE_LEVEL
        and len(call.args) < 2
        and not any(word.arg == "level" for word in call.keywords)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_an_interval_of_a_result_is_printed_with_the_level_of_the_result(page):
    """A reader who types another level must not be told that a 90% interval is one of 95%."""
    cells = nbformat.read(BOOK / f"{page}.ipynb", as_version=4).cells
    sources = [
        source
        for cell in cells
        for source in (
            [cell.source]
            if cell.cell_type == "code"
            else [found["expression"] for found in EVAL.finditer(cell.source)]
        )
    ]
    assert [one for source in sources for one in without_level(source)] == []


def test_an_interval_without_the_level_of_its_result_is_seen():
    assert without_level("printing.interval(fit.ci, digits=0)")
    assert not without_level("printing.interval(fit.ci, fit.level)")
    assert without_level("printing.interval(posterior.interval())")
    assert without_level("[printing.interval(ci) for ci in (post.ci, average.interval())]")
    assert not without_level("printing.interval(own_limits)")
