"""Change the engine a little, many times, and see whether its tests notice (``make mutants``).

Each mutant is one change by an operator of Cosmic Ray (a sign, a comparison, a number, a word of
logic) in a room of the toolkit. It is made in a copy below ``_build``, and met by the doctests of
its file, the tests that know the file, all tests of its room, and then those of every room, until
one fails. The sample is that of its seed. A mutant that survives is equivalent, or lacks a test.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import affected

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "_build" / "mutants"
ROOMS = ("engine", "models", "checks")
LEAST = 0.9  # share of mutants that have to be noticed
APART = ("book", "site")  # tests of chapters and pages, for which nothing is built in the copy
TIMEOUT = 1200  # seconds; a mutant may loop for ever, which is noticed too
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


def sample(count: int, seed: int, rooms: tuple[str, ...] = ROOMS) -> Iterator[Mutant]:
    """Draw mutants that compute something else than the code, each file and place once."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    paths = [
        p.relative_to(ROOT).as_posix() for r in rooms for p in (ROOT / "helpers" / r).rglob("*.py")
    ]
    every = places(sorted(paths))
    random.Random(seed).shuffle(every)
    given = 0
    for path, name, occurrence in every:
        if given == count:
            return
        before = (ROOT / path).read_text(encoding="utf-8")
        after = mutate_code(before, get_operator(name)(), occurrence)
        if after is not None and meaning(after) != meaning(before):
            given += 1
            yield Mutant(path, after, change(before, after))


def copied() -> Path:
    """Copy what tests need of the project, so that nothing here is ever changed."""
    tree = PLACE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    return tree


def tests_of(path: str) -> list[list[str]]:
    """Tests of a file: its own and those that know it, the others of its room, those of all rooms.

    The last because some of a room is proved where it is used: claims in the review, say.
    """
    near = affected.tests_of([path])
    room = f"tests/{Path(path).parts[1]}/"
    every = [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "tests").rglob("test_*.py"))]
    far = [name for name in every if name not in near and name.split("/")[1] not in APART]
    return [near, *([n for n in far if n.startswith(room) is inside] for inside in (True, False))]


def noticed(tree: Path, mutant: Mutant, *, near_only: bool = False) -> str:
    """Name the test that fails on a mutant; empty when it survives."""
    target = tree / mutant.path
    before = target.read_text(encoding="utf-8")
    target.write_text(mutant.code, encoding="utf-8")
    fixed = {"OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        for tests in tests_of(mutant.path)[: 1 if near_only else None]:
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
            done = subprocess.run(
                command,
                cwd=tree,
                env={**os.environ, **fixed},
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
            )
            if done.returncode not in {0, 5}:  # 5: nothing was collected
                named = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
                return named[0] if named else f"exit status {done.returncode}"
    except subprocess.TimeoutExpired:
        return f"{TIMEOUT} seconds"
    finally:
        target.write_text(before, encoding="utf-8")
    return ""


def main() -> int:
    """Say of each mutant which test noticed it."""
    parser = argparse.ArgumentParser(prog="make mutants", description=main.__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--near", action="store_true", help="only the tests that know the file")
    parser.add_argument("rooms", nargs="*", default=ROOMS)
    given = parser.parse_args()
    sys.path.append(str(PLACE / "tool"))  # after the environment, which stays what it is
    tree, alive, tried = copied(), [], 0
    for mutant in sample(given.count, given.seed, tuple(given.rooms)):
        start = time.perf_counter()
        test = noticed(tree, mutant, near_only=given.near)
        tried += 1
        if not test:
            alive.append(mutant)
        verdict = f"noticed by {test}" if test else "SURVIVES"
        seconds = time.perf_counter() - start
        print(
            f"{tried:>3}  {seconds:5.0f} s  {mutant.path} {mutant.change}\n     {verdict}",
            flush=True,
        )
    share = 1 - len(alive) / tried
    print(f"{tried - len(alive)} of {tried} mutants noticed ({100 * share:.0f} per cent)")
    for mutant in alive:
        print(f"survives: {mutant.path} {mutant.change}")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    raise SystemExit(main())
