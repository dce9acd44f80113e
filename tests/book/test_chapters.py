"""The chapters as texts: no typed results, thin cells, stored outputs, known terms."""

from __future__ import annotations

import ast
import re
from itertools import takewhile
from pathlib import Path

import nbformat
import pytest
from inline_values import EVAL, expressions, resolved, text_of
from prose_check import check_file, spoken, typed_numbers

ROOT = Path(__file__).resolve().parents[2]

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
PAGES = [*CHAPTERS, *sorted((ROOT / "book").glob("*.md"))]
MOST_LINES = 14
MOST_WORDS = 40  # of one string in the code
MOST_CELLS = 44  # prose and code stand in cells of their own, and so does a method by hand
MOST_SOLVING = 16  # a task, a heading, code and an answer for each exercise, or a text in one cell
PRIVATE = "_"
# the front page and the appendices are not chapters: they answer no question of their own
NO_SKELETON = {
    "codebook",
    "conventions",
    "decision_guide",
    "exam",
    "explore",
    "gallery",
    "gallery_more",
    "helpers_reference",
    "in_brief",
    "index",
    "labs",
    "method_menu",
    "migration",
    "self_check",
    "teaching_kit",
}

chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
page = pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)


def cells_of(path: Path) -> list:
    return nbformat.read(path, as_version=4).cells


def code_cells(path: Path) -> list:
    return [c for c in cells_of(path) if c.cell_type == "code"]


@page
def test_no_result_is_typed_into_prose(path):
    findings = check_file(path, path.relative_to(ROOT).as_posix())
    assert not findings, "\n".join(map(str, findings))


@pytest.mark.parametrize(
    "sentence",
    [
        "The pooled estimate was 6.8%.",
        "NRM was 6.8% (95% CI 5.8 to 8.0%).",
        "The bar is the 95% prediction interval.",
        "There were 574 deaths.",
        "The test gave p = 0.026.",
        "Of 7,604 patients most survived.",
        "The four diseases differ; thirty-four cohorts are from the real world.",
        "Infections caused fifty-one per cent of the deaths.",
        "| LBCL | 31 |",
        "- MCL: 10.6",
        ":::{note}\nThe estimate is 0.068.\n:::",
        "```{exercise}\nAsk.\n```\n\n```{solution} a\n:class: dropdown\n\nIt is 0.068.\n```",
        "In 2024 deaths came to 2024 deaths.",
    ],
)
def test_the_prose_check_sees_a_typed_result(sentence):
    assert typed_numbers(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Published in 2024.",
        "A zero count puts the upper 95% confidence limit (two-sided) near three over n.",
        "CD19 and BCMA are targets; CD28 and 4-1BB costimulate.",
        "Call `pool(data, level=0.95)` for it.",
        "```python\nx = 0.068\n```",
        "The review counts 574 deaths {cite}`cordas_dos_santos_2024`.",
        "$\\hat\\theta = 0.5$ and $$x = 17$$",
        "See [the chapter](pooling.ipynb#step-2).",
        "1. First step\n2. Second step",
        "One number for all studies, or none?",
        "```{exercise}\n:label: a\n\nYour centre counted 4 deaths among 30 patients.\n```",
    ],
)
def test_the_prose_check_lets_definitions_code_and_cited_facts_pass(sentence):
    assert not typed_numbers(sentence)


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("It is {eval}`printing.percent(rate, 1)`.", False),
        ("It is {eval}`fits['random 5'].estimate`.", False),
        ("It is {eval}`'6.8%'`.", True),
        ("It is {eval}`f'6.8% of {n}'`.", True),
        ("Of {eval}`n` patients 574 died.", True),
        ("The estimate is {eval}`x` and 0.068.", True),
    ],
)
def test_the_prose_check_reads_text_with_values(source, seen):
    assert any(map(typed_numbers, spoken(source))) is seen


@chapter
def test_values_are_stored_for_the_expressions_of_the_prose(path):
    """Fresh they are compared by `make chapters`; here that they belong to the text."""
    for cell in cells_of(path):
        stored = cell.metadata.get("user_expressions", [])
        wanted = expressions(cell.source) if cell.cell_type == "markdown" else []
        assert [entry["expression"] for entry in stored] == wanted, cell.id
        assert all(isinstance(text_of(entry["result"]), str) for entry in stored)


@chapter
def test_a_chapter_reads_without_the_extension(path):
    for cell in resolved(nbformat.read(path, as_version=4)).cells:
        assert cell.cell_type == "code" or not EVAL.search(cell.source), cell.id


@chapter
def test_chapter_is_thin(path):
    cells = code_cells(path)
    every = cells_of(path)
    first = next((i for i, c in enumerate(every) if "## Exercises" in c.source), len(every))
    assert first <= MOST_CELLS
    assert len(every) - first <= MOST_SOLVING
    for cell in cells:
        tree = ast.parse(cell.source)
        # A long import is broken into one name a line: it counts as one line.
        imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        broken = sum((node.end_lineno or node.lineno) - node.lineno for node in imports)
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) - broken <= MOST_LINES, cell.source
        for node in ast.walk(tree):
            assert not isinstance(node, (ast.FunctionDef, ast.ClassDef)), cell.source


FETCHES = re.compile(r"https?://|git\+|\bsubprocess\b|\burllib|\brequests\b|\bpip\b|^\s*[!%]", re.M)


def code_of(path: Path) -> list[str]:
    """Code cells, and the expressions of the prose."""
    texts = [cell.source for cell in code_cells(path)]
    return texts + [
        expression
        for cell in cells_of(path)
        if cell.cell_type == "markdown"
        for expression in expressions(cell.source)
    ]


@chapter
def test_a_notebook_fetches_and_runs_nothing_from_elsewhere(path):
    for source in code_of(path):
        assert not FETCHES.search(source), source


@chapter
def test_chapter_imports_only_public_names(path):
    for source in code_of(path):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                assert not any(part.startswith(PRIVATE) for part in (node.module or "").split("."))
                assert not any(alias.name.startswith(PRIVATE) for alias in node.names)
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith(PRIVATE), source


def unused_imports(sources: list[str]) -> set[str]:
    """Names that are imported and not used, in code or in a value of the prose."""
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    imports = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    made = {(a.asname or a.name).split(".")[0] for node in imports for a in node.names}
    return made - {node.id for node in nodes if isinstance(node, ast.Name)}


@chapter
def test_a_chapter_uses_what_it_imports(path):
    assert unused_imports(code_of(path)) == set()


def test_an_unused_import_is_seen():
    assert unused_imports(["from helpers import pool, tables", "pool(x)"]) == {"tables"}
    assert unused_imports(["import numpy as np", "np.pi"]) == set()


@chapter
def test_outputs_are_stored_in_order_and_clean(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    cells = [c for c in cells if c.source.strip()]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.get("text")


@pytest.mark.parametrize(
    "path", [p for p in CHAPTERS if p.stem not in NO_SKELETON], ids=lambda p: p.stem
)
def test_a_chapter_has_its_skeleton(path):
    """A chapter answers first, and ends with how to report it, what to beware of, and exercises."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    parts = (
        "{div} answer",
        "} Takeaways",
        "**You will learn**",
        "} How to report it",
        "} Cautions",
        "## Exercises",
    )
    for part in parts:
        assert text.count(part) == 1, f"{path.name}: “{part}” {text.count(part)} times"
    assert sorted(parts, key=text.index) == list(parts)


@chapter
def test_a_number_is_shown_as_a_number(path):
    """The last line of a cell shows `6.8`, not `np.float64(6.8)`."""
    for cell in code_cells(path):
        shown = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
        assert not any(re.search(r"\bnp\.\w+\(", text) for text in shown), cell.id


@chapter
def test_prose_stands_in_markdown(path):
    """A sentence in code is a caption, a heading or what data decide: never a paragraph."""
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = " ".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
            assert len(text.split()) <= MOST_WORDS, (cell.id, text)


def pointing(cells: list) -> list[str]:
    """Ends of texts with a colon above code that shows nothing: on phones, code is folded away."""
    found = []
    for i, cell in enumerate(cells):
        text = cell["source"].rstrip()
        if cell["cell_type"] != "markdown" or not text.endswith(":") or text.endswith(":::"):
            continue
        below = list(takewhile(lambda one: one["cell_type"] == "code", cells[i + 1 :]))
        if below and not any(one["outputs"] for one in below):
            found.append(text[-80:])
    return found


@chapter
def test_what_a_colon_points_at_is_there_when_code_is_folded(path):
    assert pointing(cells_of(path)) == []


def test_a_colon_above_code_without_output_is_seen():
    text = {"cell_type": "markdown", "source": "For all cohorts:"}
    silent = {"cell_type": "code", "source": "fit = pool(cohorts)", "outputs": []}
    shows = {"cell_type": "code", "source": "fit", "outputs": [{"output_type": "execute_result"}]}
    assert pointing([text, silent, text]) == ["For all cohorts:"]
    assert pointing([text, silent, shows]) == []
    assert pointing([{"cell_type": "markdown", "source": "::: {div}\n:::"}, silent]) == []


@chapter
def test_a_percent_sign_stands_at_its_number(path):
    """As the printed ones do; the pages are tested too."""
    for cell in cells_of(path):
        if cell.cell_type == "markdown":
            assert not re.search(r"\d[\s\u202f]%", cell.source), cell.id


def needs(path: Path) -> str:
    """Say what a chapter needs: the paragraph from "You need" on; empty where it says nothing."""
    prose = [cell.source for cell in cells_of(path) if cell.cell_type == "markdown"]
    found = [text.split("**You need**")[1] for text in prose if "**You need**" in text]
    return found[0].split("\n\n")[0] if found else ""


@chapter
def test_a_chapter_names_the_section_that_it_needs(path):
    """And the page alone says how long it takes, by its words."""
    whole = re.findall(r"\]\((\w+\.ipynb)\)", needs(path))
    assert not whole, f"which section of {', '.join(whole)}?"
    assert not any("**Time:**" in cell.source for cell in cells_of(path))


#: Shorthand for a printed analysis, which hides the call: for the reproduction report.
SHORTHAND = re.compile(r"\breview\.published_\w+\(")


@pytest.mark.parametrize("name", ["effect_sizes", "pooling", "heterogeneity", "time_at_risk"])
def test_a_chapter_of_methods_calls_what_a_reader_can_change(name):
    for source in code_of(ROOT / "book" / f"{name}.ipynb"):
        assert not SHORTHAND.search(source), source
