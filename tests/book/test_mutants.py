"""Mutants: which changes count, which tests are asked, and what a fork of them says."""

from __future__ import annotations

import argparse
import builtins
import os
import signal

import calls_of_tests
import mutant_forks
import mutant_sample
import mutants
import pytest

from helpers import arguments, shared_results
from helpers.errors import UnsupportedError

CODE = '''"""Text."""

def half(x: float | None, y: int = 2) -> float | None:
    """Give a half."""
    z: int | str = 1
    return x / y
'''
PATH = "helpers/arguments.py"
OURS = (mutant_sample.ROOT / PATH).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "is_another"),
    [
        ("x / y", "x * y", True),
        ("y: int = 2", "y: int = 3", True),
        ("x: float | None", "x: float & None", False),
        ("-> float | None", "-> float - None", False),
        ("z: int | str", "z: int + str", False),
        ("x / y", "x /", False),  # no Python
    ],
)
def test_a_change_counts_when_something_else_is_computed(old, new, is_another):
    assert mutant_sample.another(CODE, CODE.replace(old, new)) == is_another


def test_a_change_is_told_by_its_line():
    assert mutant_sample.change(CODE, CODE.replace("x / y", "x * y")) == (
        "line 6: return x / y -> return x * y"
    )


def test_shifts_of_floats_are_no_mutants():
    told = mutant_sample.TELLING.fullmatch
    assert told("core/ReplaceBinaryOperator_Add_Sub")
    assert told("core/NumberReplacer")
    assert not told("core/ReplaceBinaryOperator_Add_RShift")


def test_a_probe_says_which_function_is_called_and_leaves_its_docstring(monkeypatch):
    monkeypatch.setattr(builtins, calls_of_tests.CALLED, set(), raising=False)
    room: dict[str, object] = {}
    exec(calls_of_tests.probed(CODE, "half.py"), room)
    assert room["half"].__doc__ == "Give a half."
    assert getattr(builtins, calls_of_tests.CALLED) == set()
    assert room["half"](3.0) == 1.5
    assert getattr(builtins, calls_of_tests.CALLED) == {"half.py:half:3"}


def test_a_function_is_changed_in_a_fork_alone():
    mutant = mutant_sample.Mutant(PATH, OURS.replace("0.0 < plain < 1.0", "0.0 < plain < 2.0"), "")
    new = mutant_forks.differing(mutant)
    assert [name for name, _ in new] == ["level_of"]

    def work() -> str:
        setattr(builtins, calls_of_tests.CALLED, set())
        for function in mutant_forks.living(PATH, new):
            code = function.__code__
            function.__code__ = new[code.co_qualname, code.co_firstlineno]
        return str(arguments.level_of(1.5))

    assert mutant_forks.forked(work, 60) == "1.5"
    with pytest.raises(UnsupportedError, match=r"level=1\.5"):
        arguments.level_of(1.5)


def test_a_default_is_changed_as_it_is_imported():
    mutant = mutant_sample.Mutant(PATH, OURS.replace("LEVEL = 0.95", "LEVEL = 0.96"), "")
    assert mutant_forks.differing(mutant) is None


def test_what_no_test_calls_is_changed_as_it_is_imported():
    mutant = mutant_sample.Mutant(PATH, OURS.replace("0.0 < plain < 1.0", "0.0 < plain < 2.0"), "")
    asked = argparse.Namespace(tests=("none",), longest=1.0, until=0.0)
    trial = mutant_forks.Trial([mutant], print, asked)
    trial.record = calls_of_tests.Record({"one": ["helpers/errors.py:f:1"]}, {"one": 0.1})
    assert trial.verdict(None, mutant, few=True) is None


def test_no_mutant_reads_what_other_code_has_computed(monkeypatch, tmp_path):
    monkeypatch.setenv(shared_results.FOLDER, str(tmp_path))
    monkeypatch.setenv(shared_results.STATE, "the code as it is")
    mutant_forks.Apart().pytest_sessionstart()
    assert shared_results.shared_in_a_build(lambda: "computed here")() == "computed here"
    assert [*tmp_path.iterdir()] == []


def test_a_fork_that_dies_or_hangs_says_so():
    def dies() -> str:
        os._exit(7)

    def hangs() -> str:
        while True:
            pass

    assert mutant_forks.forked(dies, 60) == "exit status 7"
    assert mutant_forks.forked(hangs, 0.5) == "the time (0 s)"
    assert mutant_forks.forked(lambda: "", 60) == ""


def test_a_fork_that_is_killed_from_outside_is_no_verdict():
    def killed() -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    with pytest.raises(RuntimeError, match="not judged"):
        mutant_forks.forked(killed, 60)


def test_tests_that_call_a_function_are_asked_the_quickest_and_nearest_first():
    record = calls_of_tests.Record(
        {"slow": ["a.py:f:1"], "quick": ["a.py:f:1"], "other": ["a.py:g:9"], "no": ["b.py:f:1"]},
        {"slow": 2.0, "quick": 0.1, "other": 0.5, "no": 0.0},
    )
    assert record.asked(calls_of_tests.calling("a.py", ["f"])) == ["quick", "slow"]
    assert record.asked(calls_of_tests.calling("a.py", ["<lambda>"])) == ["quick", "other", "slow"]
    record.calls["quick"] += [f"c.py:f:{i}" for i in range(40)]  # touches much: less near
    assert record.asked(calls_of_tests.calling("a.py", ["f"])) == ["slow", "quick"]
    record.seconds["slow"] = calls_of_tests.BUDGET
    assert record.asked(calls_of_tests.calling("a.py", ["f"])) == ["quick"]


def test_changes_that_compute_the_same_are_of_the_code_as_it_is():
    known = mutants.equivalent()
    assert known
    for line in known:
        path, _, change = line.partition(" ")
        before = change.partition(" -> ")[0]
        assert before in (mutant_sample.ROOT / path).read_text(encoding="utf-8"), line
