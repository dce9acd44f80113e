"""Mutants: which changes count, where they are made, and that a test notices or does not."""

from __future__ import annotations

import subprocess

import mutants
import pytest

CODE = '''"""Text."""

def half(x: float | None, y: int = 2) -> float | None:
    """Give a half."""
    z: int | str = 1
    return x / y
'''


@pytest.mark.parametrize(
    ("old", "new", "is_another"),
    [
        ("x / y", "x * y", True),
        ("y: int = 2", "y: int = 3", True),
        ("x: float | None", "x: float & None", False),
        ("-> float | None", "-> float - None", False),
        ("z: int | str", "z: int + str", False),
    ],
)
def test_a_changed_annotation_computes_the_same(old, new, is_another):
    assert (mutants.meaning(CODE.replace(old, new)) != mutants.meaning(CODE)) == is_another


def test_a_change_is_told_by_its_line():
    assert mutants.change(CODE, CODE.replace("x / y", "x * y")) == (
        "line 6: return x / y -> return x * y"
    )


def test_shifts_of_floats_are_no_mutants():
    told = mutants.TELLING.fullmatch
    assert told("core/ReplaceBinaryOperator_Add_Sub")
    assert told("core/NumberReplacer")
    assert not told("core/ReplaceBinaryOperator_Add_RShift")


def test_a_test_notices_a_change_and_the_file_is_as_before(tmp_path, monkeypatch):
    (tmp_path / "half.py").write_text("def half(x):\n    return x / 2\n")
    test = "from half import half\n\n\ndef test_half():\n    assert half({}) == {}\n"
    (tmp_path / "test_half.py").write_text(test.format(2.0, 1.0))
    (tmp_path / "test_none.py").write_text(test.format(0.0, 0.0))
    monkeypatch.setattr(mutants, "tests_of", lambda path: [["test_none.py"], ["test_half.py"]])
    mutant = mutants.Mutant("half.py", "def half(x):\n    return x * 2\n", "")
    assert mutants.noticed(tmp_path, mutant) == "test_half.py::test_half"
    assert (tmp_path / "half.py").read_text() == "def half(x):\n    return x / 2\n"


def test_the_copy_has_what_the_tests_need(tmp_path, monkeypatch):
    listed = mutants.ROOT / "helpers" / "version.py"
    monkeypatch.setattr(mutants, "PLACE", tmp_path)

    def few(command, **_):
        return subprocess.CompletedProcess(command, 0, "helpers/version.py\nhelpers/gone.py\n")

    monkeypatch.setattr(subprocess, "run", few)
    tree = mutants.copied()
    assert (tree / "helpers" / "version.py").read_bytes() == listed.read_bytes()
    assert [p.name for p in tree.rglob("*.py")] == ["version.py"]
