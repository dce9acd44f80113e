"""Change the engine a little, many times, and see whether its tests notice (``make mutants``).

Each mutant is one change by an operator of Cosmic Ray (a sign, a comparison, a number, a word of
logic) in a room of the toolkit. The tests of the three rooms and of the review are collected once,
and run once to see which functions each of them calls and how long it takes (kept below ``_build``
until code or tests change). Then every mutant is made in a fork of that process, which takes the
new code of the function and runs the tests that call it, the quickest first, until one fails. What
is not within a function (a constant, a default) is changed as it is imported, in a fork that has
imported numpy, scipy and pandas. The sample is that of its seed. A mutant that survives is
equivalent (``build_tools/equivalent_mutants.txt`` says why), or lacks a test. No file is changed.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import difflib
import gc
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import json
import math
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "_build" / "mutants"
EQUIVALENT = ROOT / "build_tools" / "equivalent_mutants.txt"
ROOMS = ("engine", "models", "checks")
#: Tests that are asked: those of the rooms, of the review, where some of a room is proved, and of
#: how results show themselves.
ASKED = (
    *(f"tests/{room}" for room in (*ROOMS, "review")),
    *(f"helpers/{room}" for room in ROOMS),
    "tests/test_shown.py",
)
LEAST = 0.9  # share of mutants that have to be noticed
LONGEST = 8  # CPU seconds; a test that takes longer is not asked
BUDGET = 60  # seconds of tests a mutant, by the time they took without it
MEMORY = 8 * 2**30  # bytes a mutant may ask for
#: Operators whose mutants may pass unseen; shifting or masking a float fails by itself.
TELLING = re.compile(
    r"core/(ReplaceBinaryOperator_(Add|Sub|Mul|Div|Pow)_(Add|Sub|Mul|Div|Pow)"
    r"|ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Eq|NotEq|Lt|LtE|Gt|GtE)"
    r"|ReplaceComparisonOperator_Is_IsNot|ReplaceUnaryOperator_(USub_UAdd|Delete_(USub|Not))"
    r"|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse|ReplaceFalseWithTrue|AddNot"
    r"|NumberReplacer)"
)
#: Builtin of the probes, so that they need no import: the functions that were called.
CALLED = "__called_by_tests__"


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


# ---- which functions a test calls --------------------------------------------------------------


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

    def asked(self, where: Callable[[str], bool]) -> list[str]:
        """Name the tests that call a function, the quickest and nearest first, within `BUDGET`."""
        tests = [test for test, calls in self.calls.items() if any(map(where, calls))]
        tests.sort(key=lambda test: (self.seconds[test] * len(self.calls[test]), test))
        chosen, spent = [], 0.0
        for test in tests:
            spent += self.seconds[test]
            if spent > BUDGET:
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


# ---- forks --------------------------------------------------------------------------------------


def forked(work: Callable[[], str], seconds: float) -> str:
    """Do some work in a fork of this process: what it says, or how it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds),) * 2)
            os.write(writing, work().encode())
            os._exit(0)
        finally:
            os._exit(9)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGXCPU or status == -signal.SIGKILL:
        return f"the time ({seconds:.0f} s)"
    return said if status == 0 else f"exit status {status}"


class OursFirst:
    """Plugin of pytest: files that are named to it are imported with probes, too, not by pytest."""

    def pytest_sessionstart(self) -> None:
        """Bring our imports before those of pytest."""
        sys.meta_path.sort(key=lambda one: not isinstance(one, Imports))


class Failed:
    """Plugin of pytest: the first test that fails."""

    test = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a failure."""
        if report.failed and not self.test:
            self.test = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a file that cannot be imported any more."""
        if report.failed and not self.test:
            self.test = report.nodeid


def code_objects(code: types.CodeType) -> dict[tuple[str, int], types.CodeType]:
    """Code of every function of a module that is not within another function."""
    found: dict[tuple[str, int], types.CodeType] = {}
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            if part.co_flags & 0x2:  # optimised: a function; the body of a class is not
                found[part.co_qualname, part.co_firstlineno] = part
            else:
                found.update(code_objects(part))
    return found


def differing(mutant: Mutant) -> dict[tuple[str, int], types.CodeType] | None:
    """Find the new code of the function that a mutant changes; None when it is no function's."""
    before = probed((ROOT / mutant.path).read_text(encoding="utf-8"), mutant.path)
    after = probed(mutant.code, mutant.path)
    old, new = code_objects(before), code_objects(after)
    other = {name: code for name, code in new.items() if code != old.get(name)}
    return other or None


def living(path: str, names: Iterable[tuple[str, int]]) -> list[types.FunctionType]:
    """Functions of this process that have a code, wherever a decorator has put them."""
    file, wanted = str(ROOT / path), set(names)
    gc.unfreeze()  # the collector lists no object that it was told to pass over
    return [
        f
        for f in gc.get_objects()
        if type(f) is types.FunctionType
        and f.__code__.co_filename == file
        and (f.__code__.co_qualname, f.__code__.co_firstlineno) in wanted
    ]


class Trial:
    """Plugin of pytest: with all tests collected, run those of each mutant in a fork."""

    def __init__(
        self, mutants: Sequence[Mutant], tell: Callable[..., None], asked: argparse.Namespace
    ) -> None:
        self.mutants, self.tell = mutants, tell
        self.longest, self.until = asked.longest, asked.until
        self.file = record_file(tuple(asked.tests), asked.longest)
        self.record = Record({}, {})

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of running the tests once."""
        items = {item.nodeid: item for item in session.items}
        if not self.file.is_file():
            self.record_once(session)
        self.record = recorded(self.file)
        for index, mutant in enumerate(self.mutants):
            if time.perf_counter() > self.until:
                break
            new = differing(mutant)
            if new is None:
                self.tell(index, None, 0.0)
                continue
            start = time.perf_counter()
            asked = self.record.asked(calling(mutant.path, [name for name, _ in new]))

            def work(mutant=mutant, new=new, asked=asked) -> str:  # type: ignore[no-untyped-def]
                for function in living(mutant.path, new):
                    code = function.__code__
                    function.__code__ = new[code.co_qualname, code.co_firstlineno]
                return first_failure(session, [items[test] for test in asked])

            said = forked(work, self.time(asked)) if asked else "no test calls it"
            self.tell(index, said, time.perf_counter() - start)
        return True

    def time(self, asked: Iterable[str]) -> float:
        """CPU seconds after which a mutant has failed by its slowness."""
        return 20 + 5 * sum(self.record.seconds[test] for test in asked)

    def record_once(self, session: pytest.Session) -> None:
        """Write down what each test calls, in a fork, so that nothing here is computed yet."""

        def work() -> str:
            signal.signal(signal.SIGPROF, _too_long)
            recorder = Recorder(self.longest)
            session.config.pluginmanager.register(recorder)
            for item, following in zip(session.items, [*session.items[1:], None], strict=True):
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.file.write_text(json.dumps(vars(recorder.record)), encoding="utf-8")
            return ""

        start = time.perf_counter()
        said = forked(work, 3600)
        if said:
            raise RuntimeError(f"The tests could not be run once: {said}")
        count, seconds = len(recorded(self.file).calls), time.perf_counter() - start
        text = f"{count} of {len(session.items)} tests are asked, all were run in {seconds:.0f} s"
        print(text, file=sys.stderr, flush=True)


def calling(path: str, names: Sequence[str]) -> Callable[[str], bool]:
    """Tell whether a call of a record is one of some functions; of any of the file for a lambda."""
    if any("<" in name for name in names):
        return lambda call: call.startswith(f"{path}:")
    return lambda call: call.rpartition(":")[0] in {f"{path}:{name}" for name in names}


def first_failure(session: pytest.Session, items: Sequence[pytest.Item]) -> str:
    """Run tests until one fails, and name it."""
    failed = Failed()
    session.config.pluginmanager.register(failed)
    for item, following in zip(items, [*items[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if failed.test:
            break
    return failed.test


# ---- the run ------------------------------------------------------------------------------------


def run_pytest(arguments: Sequence[str], *plugins: object) -> int:
    """Run pytest in this process, on tests of the project."""
    # pytest would import helpers/.../regression_test.py by itself, without probes
    plain = ["-o", "python_files=test_*.py"]
    own = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(ROOT), *plain]
    return pytest.main([*own, *arguments], plugins=[*plugins, OursFirst()])


def noticed_as_imported(mutant: Mutant, record: Record) -> str:
    """Name a test that fails when a file is imported with a change outside of functions."""
    asked = record.asked(lambda call: call.startswith(f"{mutant.path}:"))
    if not asked:
        return "no test calls it"

    def work() -> str:
        sys.meta_path.insert(0, Imports(mutant))
        failed = Failed()
        status = run_pytest(["-x", *asked], failed)
        return failed.test or ("" if status in {0, 5} else f"exit status {status}")

    return forked(work, 60 + 5 * sum(record.seconds[test] for test in asked))


def in_a_session(
    mutants: Sequence[Mutant], given: argparse.Namespace
) -> Iterator[tuple[int, str | None, float]]:
    """Ask the tests of each mutant, in a process of its own: this one never imports the helpers.

    None where the mutant is not within a function.
    """
    for library in ("numpy", "pandas", "scipy.optimize", "scipy.stats", "matplotlib.pyplot"):
        importlib.import_module(library)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)

        def tell(index: int, said: str | None, seconds: float) -> None:
            os.write(writing, (json.dumps([index, said, seconds]) + "\n").encode())

        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the dots of pytest
            sys.meta_path.insert(0, Imports())
            os._exit(run_pytest(given.tests, Trial(mutants, tell, given)))
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(9)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        for line in pipe:
            yield tuple(json.loads(line))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in {0, 5}:
        raise RuntimeError(f"The session of pytest ended with status {status}.")


def wilson(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    middle = (successes + z * z / 2) / (n + z * z)
    half = z * math.sqrt(successes * (n - successes) / n + z * z / 4) / (n + z * z)
    return middle - half, middle + half


def equivalent() -> set[str]:
    """Read the changes that were shown to compute the same, without the numbers of their lines."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines() if EQUIVALENT.is_file() else []
    return {line for line in lines if line.startswith("helpers/")}


def label(mutant: Mutant) -> str:
    """Write a mutant as the list of equivalent ones writes it."""
    return f"{mutant.path} {mutant.change.partition(': ')[2]}"


def main() -> int:
    """Say of each mutant which test noticed it."""
    parser = argparse.ArgumentParser(prog="make mutants", description=main.__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no mutant after")
    parser.add_argument("--tests", nargs="+", default=ASKED, help="tests to ask")
    parser.add_argument("--longest", type=float, default=LONGEST, help="CPU seconds of a test")
    parser.add_argument("rooms", nargs="*", default=ROOMS, help="folders or files of the helpers")
    given = parser.parse_args()
    sys.path.append(str(PLACE / "tool"))  # after the environment, which stays what it is
    os.chdir(ROOT)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    setattr(builtins, CALLED, set())
    mutants = [*sample(given.count, given.seed, tuple(given.rooms))]
    known, alive, tried = equivalent(), [], 0
    given.until = time.perf_counter() + 60 * given.minutes

    def tell(mutant: Mutant, said: str, seconds: float) -> None:
        nonlocal tried
        survives = said in {"", "no test calls it"}
        if survives and label(mutant) in known:
            verdict = "is equivalent"
        else:
            tried += 1
            verdict = f"SURVIVES {said}" if survives else f"noticed by {said}"
            alive.extend([mutant] * survives)
        print(
            f"{tried:>3} {seconds:5.0f} s  {mutant.path} {mutant.change}\n     {verdict}",
            flush=True,
        )

    for index, said, seconds in in_a_session(mutants, given):
        if said is None:  # not within a function
            if time.perf_counter() > given.until:
                continue
            start = time.perf_counter()
            said = noticed_as_imported(
                mutants[index], recorded(record_file(tuple(given.tests), given.longest))
            )
            seconds = time.perf_counter() - start
        tell(mutants[index], said, seconds)
    low, high = wilson(tried - len(alive), tried)
    print(
        f"{tried - len(alive)} of {tried} mutants noticed ({100 * (1 - len(alive) / tried):.0f}%, "
        f"95% CI {100 * low:.0f}% to {100 * high:.0f}%)"
    )
    for mutant in alive:
        print(f"survives: {label(mutant)}")
    return 0 if len(alive) <= (1 - LEAST) * tried else 1


if __name__ == "__main__":
    raise SystemExit(main())
