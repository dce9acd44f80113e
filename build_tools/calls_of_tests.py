"""Which functions of the helpers a test calls, and how long it takes."""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib.abc
import importlib.machinery
import json
import signal
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mutant_sample import ROOT, Mutant

PLACE = ROOT / "_build" / "mutants"

BUDGET = 60  # seconds of tests a mutant, by the time they took without it

#: Builtin of the probes, so that they need no import: the functions that were called.
CALLED = "__called_by_tests__"


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of a module and methods of its classes, not those within functions."""

    def below(body: list[ast.stmt], name: str) -> Iterator[tuple[str, ast.FunctionDef]]:
        for node in body:
            if isinstance(node, ast.FunctionDef):
                yield f"{name}{node.name}", node
            elif isinstance(node, ast.ClassDef):
                yield from below(node.body, f"{name}{node.name}.")
            elif isinstance(node, (ast.If, ast.Try)):
                yield from below(node.body, name)

    return below(tree.body, "")


def probed(code: str, path: str) -> types.CodeType:
    """Compile a file of the helpers; each function first says that it is called."""
    tree = ast.parse(code)
    for name, node in functions(tree):
        says = ast.parse(f"{CALLED}.add({f'{path}:{name}:{node.lineno}'!r})").body[0]
        first = node.body[0]
        for part in ast.walk(says):
            if isinstance(part, (ast.stmt, ast.expr)):
                ast.copy_location(part, first)
        node.body.insert(1 if ast.get_docstring(node, clean=False) is not None else 0, says)
    return compile(tree, str(ROOT / path), "exec", dont_inherit=True)


class Imports(importlib.abc.MetaPathFinder):
    """Import the helpers with their probes, one file perhaps changed."""

    def __init__(self, mutant: Mutant | None = None) -> None:
        self.mutant = mutant

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module of the helpers as Python does, but compile it here."""
        if name.partition(".")[0] != "helpers":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path or [str(ROOT)])
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
            spec.loader.mutant = self.mutant
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    mutant: Mutant | None = None

    def get_code(self, fullname: str) -> types.CodeType:
        path = Path(self.path).relative_to(ROOT).as_posix()
        if self.mutant is not None and path == self.mutant.path:
            return probed(self.mutant.code, path)
        return probed(Path(self.path).read_text(encoding="utf-8"), path)


class TooLongError(Exception):
    """A test took longer than is asked of one."""


@dataclass
class Record:
    """Tests that pass, the functions that each calls, and its seconds."""

    calls: dict[str, list[str]]
    seconds: dict[str, float]

    def asked(self, where: Callable[[str], bool], budget: float = BUDGET) -> list[str]:
        """Name the tests that call a function, the quickest and nearest first, within a budget."""
        tests = [test for test, calls in self.calls.items() if any(map(where, calls))]
        tests.sort(key=lambda test: (self.seconds[test] * len(self.calls[test]), test))
        chosen, spent = [], 0.0
        for test in tests:
            spent += self.seconds[test]
            if spent > budget:
                break
            chosen.append(test)
        return chosen


class Recorder:
    """Plugin of pytest: what each test and each fixture calls, and whether the test passes."""

    def __init__(self, longest: float) -> None:
        self.longest = longest
        self.record = Record({}, {})
        self.fixtures: dict[str, set[str]] = {}
        self.passed: dict[str, bool] = {}
        signal.signal(signal.SIGPROF, _too_long)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """Keep what a fixture calls apart: a later test gets it without a call."""
        called = getattr(builtins, CALLED)
        outside = set(called)
        called.clear()
        yield
        self.fixtures.setdefault(fixturedef.argname, set()).update(called)
        called.update(outside)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Time a test, and write down what it called."""
        called = getattr(builtins, CALLED)
        called.clear()
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, self.longest)
        yield
        signal.setitimer(signal.ITIMER_PROF, 0)
        if self.passed.get(item.nodeid):
            for name in getattr(item, "fixturenames", ()):
                called |= self.fixtures.get(name, set())
            self.record.calls[item.nodeid] = sorted(called)
            self.record.seconds[item.nodeid] = round(time.process_time() - start, 3)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember whether every part of a test passes."""
        self.passed[report.nodeid] = self.passed.get(report.nodeid, True) and report.passed


def _too_long(*_: object) -> None:
    raise TooLongError


@cache
def record_file(tests: tuple[str, ...], longest: float) -> Path:
    """Where the record of this code and these tests is kept."""
    names = [p for d in ("helpers", "tests", "data") for p in (ROOT / d).rglob("*") if p.is_file()]
    digest = hashlib.sha256(f"{tests} {longest}".encode())
    for path in sorted(p for p in names if "__pycache__" not in p.parts):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    PLACE.mkdir(parents=True, exist_ok=True)
    return PLACE / f"calls-{digest.hexdigest()[:16]}.json"


def recorded(file: Path) -> Record:
    """Read what each test calls."""
    return Record(**json.loads(file.read_text(encoding="utf-8")))


def calling(path: str, names: Sequence[str]) -> Callable[[str], bool]:
    """Tell whether a call of a record is one of some functions; of any of the file for a lambda."""
    if any("<" in name for name in names):
        return lambda call: call.startswith(f"{path}:")
    return lambda call: call.rpartition(":")[0] in {f"{path}:{name}" for name in names}
