"""Mutants: the engine with one small change by an operator of Cosmic Ray."""

from __future__ import annotations

import ast
import difflib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ROOMS = ("engine", "models", "checks")

#: Operators whose mutants may pass unseen; shifting or masking a float fails by itself.
TELLING = re.compile(
    r"core/(ReplaceBinaryOperator_(Add|Sub|Mul|Div|Pow)_(Add|Sub|Mul|Div|Pow)"
    r"|ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Eq|NotEq|Lt|LtE|Gt|GtE)"
    r"|ReplaceComparisonOperator_Is_IsNot|ReplaceUnaryOperator_(USub_UAdd|Delete_(USub|Not))"
    r"|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse|ReplaceFalseWithTrue|AddNot"
    r"|NumberReplacer)"
)


@dataclass(frozen=True)
class Mutant:
    """A file below the root, its changed text, and the change."""

    path: str
    code: str
    change: str


class _Bare(ast.NodeTransformer):
    """What Python computes with: no annotations, no texts that nobody reads."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def meaning(code: str) -> str:
    """Tell codes apart by what they compute."""
    return ast.dump(_Bare().visit(ast.parse(code)))


def another(before: str, after: str) -> bool:
    """Tell whether a change makes code that Python can read and that computes something else."""
    try:
        return meaning(after) != meaning(before)
    except SyntaxError:  # the star of a signature, say, taken for a sign
        return False


def change(before: str, after: str) -> str:
    """Lines that differ, with the number of the first."""
    first = next(i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
    number = before[:first].count("\n") + 1
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return f"line {number}: " + " -> ".join(line[2:].strip() for line in lines if line[0] in "-+")


def places(paths: list[str]) -> list[tuple[str, str, int]]:
    """Every place of every operator: path, operator, occurrence."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    operators = {name: get_operator(name)() for name in operator_names() if TELLING.fullmatch(name)}
    found = []
    for path in paths:
        nodes = [*ast_nodes(get_ast((ROOT / path).read_text(encoding="utf-8")))]
        for name, operator in operators.items():
            count = sum(len([*operator.mutation_positions(node)]) for node in nodes)
            found += [(path, name, i) for i in range(count)]
    return found


def sample(count: int, seed: int, rooms: Sequence[str] = ROOMS) -> Iterator[Mutant]:
    """Draw mutants that compute something else than the code, each file and place once."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    places_to_change = [ROOT / "helpers" / room for room in rooms]
    files = [p for at in places_to_change for p in (at.rglob("*.py") if at.is_dir() else [at])]
    paths = [path.relative_to(ROOT).as_posix() for path in files]
    every = places(sorted(paths))
    random.Random(seed).shuffle(every)
    given = 0
    for path, name, occurrence in every:
        if given == count:
            return
        before = (ROOT / path).read_text(encoding="utf-8")
        after = mutate_code(before, get_operator(name)(), occurrence)
        if after is not None and another(before, after):
            given += 1
            yield Mutant(path, after, change(before, after))
