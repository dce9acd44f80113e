"""Exercises of the chapters, read from the notebooks; a solution can be run for its answer.

In a notebook a solution is one Markdown cell of its own (``{solution}``), or it begins with a
heading whose cell has the exercise's label in its metadata (``solution``) and ends before the next
heading. JupyterLab keeps what is under such a heading closed.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..door import pd
from ..errors import MetaAnalysisError
from ..evidence.problems import CellProblem, EvidenceError

_WRITES = frozenset("add append extend insert pop remove sort update".split())
_LOADER = "load_cohorts"
_TABLE = "cohorts given to check"  # no name that code can have


def chapter_file(chapter: str) -> Path:
    """Return the notebook of a chapter, which is in the repository and in no wheel."""
    path = Path(__file__).resolve().parents[2] / "book" / f"{chapter}.ipynb"
    if not path.is_file():
        expected = "a chapter of the repository: clone the book and install it: 'pip install -e .'"
        problem = CellProblem(f"book/{chapter}.ipynb", None, "", "no such file", expected)
        raise EvidenceError([problem])
    return path


def cells(notebook: str | Path) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Cells with their source and with the exercise whose solution they belong to, if any."""
    inside = ""
    for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and source.startswith("#"):
            inside = cell["metadata"].get("solution", "")
        yield cell, source, inside


def solve(
    chapter: str, label: str, expressions: list[str], cohorts: pd.DataFrame | None = None
) -> list[Any]:
    """Compute what a solution computes, from the data as they are now.

    Of the chapter's code up to the end of the solution (its `label`) it runs the statements that
    the expressions need, in names of their own: nothing that the reader has set is used or changed.
    `cohorts` may take the place of the book's own.

    >>> solve("question", "ex-question-apply", ["round(float(together), 2)"])
    [75.49]
    """
    statements: list[ast.stmt] = []
    seen = False
    for cell, source, inside in cells(chapter_file(chapter)):
        if seen and inside != label:
            break
        seen = seen or inside == label or f":label: {label}\n" in source
        if cell["cell_type"] == "code" and inside in {"", label}:
            statements += ast.parse(source).body
    if not seen:
        raise MetaAnalysisError(f"{chapter}.ipynb has no exercise {label!r}")
    wanted = [ast.parse(one, mode="eval") for one in expressions]
    needed = set().union(*map(_names, wanted))
    module = ast.Module(_slice(statements, needed), [])
    names: dict[str, Any] = {"__name__": label}
    if cohorts is not None:
        names[_TABLE] = cohorts
        module = ast.fix_missing_locations(_Given().visit(module))
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(module, f"{chapter}.ipynb", "exec"), names)
        return [eval(compile(one, label, "eval"), names) for one in wanted]


class _Given(ast.NodeTransformer):
    """Puts a copy of the given table wherever a chapter loads the book's own."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == _LOADER:
            table = ast.Name(_TABLE, ast.Load())
            return ast.Call(ast.Attribute(table, "copy", ast.Load()), [], [])
        return self.generic_visit(node)


def _names(node: ast.AST) -> set[str]:
    """Names that code reads."""
    every = (one for one in ast.walk(node) if isinstance(one, ast.Name))
    return {one.id for one in every if isinstance(one.ctx, ast.Load)}


def _slice(statements: list[ast.stmt], wanted: set[str]) -> list[ast.stmt]:
    """Statements that set or change what is wanted, with all that they need in their turn."""
    wanted, kept = set(wanted), []
    for statement in reversed(statements):
        changed = _changed(statement)
        if not changed & wanted:
            continue
        kept.append(statement)
        if isinstance(statement, (ast.Import, ast.ImportFrom)) or (
            isinstance(statement, ast.Assign)
            and all(isinstance(target, (ast.Name, ast.Tuple)) for target in statement.targets)
        ):
            wanted -= changed  # whatever they were before
        wanted |= _names(statement)
    return kept[::-1]


def _changed(statement: ast.stmt) -> set[str]:
    """Names that a statement sets, and those of the tables and lists into which it writes."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(one.asname or one.name).split(".")[0] for one in statement.names}
    changed: set[str] = set()
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        if isinstance(
            node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
        ):
            continue  # what they set is theirs alone
        if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)) and isinstance(
            node.ctx, (ast.Store, ast.Del)
        ):
            changed.add(_root(node))
        call = node.func if isinstance(node, ast.Call) else None
        if isinstance(call, ast.Attribute) and call.attr in _WRITES:
            changed.add(_root(call))
        todo += ast.iter_child_nodes(node)
    return changed


def _root(node: ast.AST) -> str:
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
