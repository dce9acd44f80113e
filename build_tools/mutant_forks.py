"""Ask the tests of each mutant in a fork of a process that has imported and collected all."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from calls_of_tests import Imports, Record, Recorder, calling, probed, record_file, recorded
from mutant_sample import ROOT, Mutant

FEW = 4  # seconds of tests that every mutant is asked of before any is asked of the others

MEMORY = 8 * 2**30  # bytes a mutant may ask for


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
            limit = math.ceil(seconds)  # of CPU time: a busy machine takes none of it
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 10))
            os.write(writing, work().encode())
            os._exit(0)
        finally:
            os._exit(9)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGXCPU:
        return f"the time ({seconds:.0f} s)"
    if status == -signal.SIGKILL:  # for want of memory, say: that is no verdict
        raise RuntimeError("The fork was killed from outside, so its change was not judged.")
    return said if status == 0 else f"exit status {status}"


class Apart:
    """Plugin of pytest: what a session of mutants does otherwise than one of the code as it is."""

    def pytest_sessionstart(self) -> None:
        """Import named files with probes, too, and read nothing that other code has computed."""
        from helpers import shared_results

        sys.meta_path.sort(key=lambda one: not isinstance(one, Imports))
        os.environ.pop(shared_results.STATE, None)


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
        self.items: dict[str, pytest.Item] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of running the tests once: first a few of each mutant, then all others.

        Most mutants are noticed by the few, so that a run that is cut short has judged most.
        """
        self.items = {item.nodeid: item for item in session.items}
        if not self.file.is_file():
            self.record_once(session)
        self.record = recorded(self.file)
        waiting = dict.fromkeys(range(len(self.mutants)), 0.0)  # with the seconds that each took
        for few in (True, False):
            for index in [*waiting]:
                if time.perf_counter() > self.until:
                    return True
                start = time.perf_counter()
                said = self.verdict(session, self.mutants[index], few=few)
                waiting[index] += time.perf_counter() - start
                if said != "" or not few:
                    self.tell(index, said, waiting.pop(index))
        return True

    def verdict(self, session: pytest.Session, mutant: Mutant, *, few: bool) -> str | None:
        """Name the test that notices a mutant, "" if none does; None where no test calls it.

        So it is outside of functions, and in one that is called as files are imported and remembers
        its result.
        """
        new = differing(mutant)
        if new is None:
            return None
        where = calling(mutant.path, [name for name, _ in new])
        first, every = self.record.asked(where, FEW), self.record.asked(where)
        if not every:
            return None
        asked = first if few else every[len(first) :]

        def work() -> str:
            for function in living(mutant.path, new):
                code = function.__code__
                function.__code__ = new[code.co_qualname, code.co_firstlineno]
            return first_failure(session, [self.items[test] for test in asked])

        return forked(work, self.time(every)) if asked else ""

    def time(self, asked: Iterable[str]) -> float:
        """CPU seconds after which a mutant has failed by its slowness."""
        return 20 + 5 * sum(self.record.seconds[test] for test in asked)

    def record_once(self, session: pytest.Session) -> None:
        """Write down what each test calls, in a fork, so that nothing here is computed yet."""

        def work() -> str:
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


def first_failure(session: pytest.Session, items: Sequence[pytest.Item]) -> str:
    """Run tests until one fails, and name it."""
    failed = Failed()
    session.config.pluginmanager.register(failed)
    for item, following in zip(items, [*items[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if failed.test:
            break
    return failed.test


def run_pytest(arguments: Sequence[str], *plugins: object) -> int:
    """Run pytest in this process, on tests of the project."""
    # pytest would import a module of helpers named ..._test.py by itself, without probes
    plain = ["-o", "python_files=test_*.py"]
    own = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(ROOT), *plain]
    return pytest.main([*own, *arguments], plugins=[*plugins, Apart()])


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

    None where the mutant has to be there as files are imported, see `Trial.verdict`.
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
