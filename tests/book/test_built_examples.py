"""Examples that the build ran are left out of `make test`: these alone, and only if they passed."""

from __future__ import annotations

import doctest
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import api_pages
import built_examples
import dependencies
import pytest
from built_examples import Examples, code_of, passed

ROOT = Path(__file__).resolve().parents[2]
RIGHT = '''
def double(x):
    """Double a number.

    Examples
    --------
    >>> double(2)
    4
    >>> double(3)  # doctest: +ELLIPSIS
    6
    """
    return 2 * x
'''
WRONG = RIGHT.replace("    4\n", "    5\n")
WARNS = RIGHT.replace("return 2", "__import__('warnings').warn('odd'); return 2")
BEYOND = RIGHT.replace("Double a number.", "Double.\n\n    >>> double(1)\n    3\n")


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(built_examples, "STORE", tmp_path / "executed")
    return tmp_path / "executed"


def module(source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("made")
    exec(source, vars(made))
    monkeypatch.setitem(sys.modules, "made", made)
    return made


def build(made: ModuleType, state: str) -> list[str]:
    examples = Examples("page", state)
    examples.run(made.double, "door.double")
    examples.keep()
    return examples.failed


def of_doctest(made: ModuleType) -> dict[str, str]:
    tests = doctest.DocTestFinder(exclude_empty=False).find(made, "made")
    return {test.name: code_of(test.examples) for test in tests if test.examples}


def test_what_passed_is_known_by_the_name_and_the_code_that_doctest_gives_it(store, monkeypatch):
    made = module(RIGHT, monkeypatch)
    assert build(made, "state") == []
    assert passed("state") == of_doctest(made) == {"made.double": "double(2)\ndouble(3)"}


@pytest.mark.parametrize("source", [WRONG, WARNS], ids=["wrong", "warns"])
def test_an_example_that_fails_or_warns_has_not_passed(store, monkeypatch, source):
    (said,) = build(module(source, monkeypatch), "state")
    assert "double(2)" in said
    assert passed("state") == {}


def test_other_code_packages_or_processor_know_nothing_of_it(store, monkeypatch):
    made = module(RIGHT, monkeypatch)
    build(made, "state")
    assert passed("other state") == {}
    with monkeypatch.context() as other:
        other.setenv("OPENBLAS_CORETYPE", "Prescott")
        assert passed("state") == {}
    with monkeypatch.context() as other:
        other.setattr(dependencies.sysconfig, "get_path", lambda _: "nowhere")
        assert passed("state") == {}
    assert passed("state")
    build(made, "other state")
    assert passed("state") == {}, "each page remembers its last build alone"


def test_an_example_outside_its_section_is_not_taken_for_run(store, monkeypatch):
    made = module(BEYOND, monkeypatch)
    build(made, "state")
    assert passed("state") != of_doctest(made)


def test_examples_run_before_pages_are_read_and_reading_takes_them_over(store, monkeypatch):
    book = ROOT / "book"
    env = SimpleNamespace(
        doc2path=lambda page: book / (f"{page}.md" if "/" in page else f"{page}.ipynb"),
        note_dependency=lambda _: None,
    )
    app = SimpleNamespace(parallel=1, env=env, api_address=None)
    page = "reference/effects"
    api_pages._run_examples(app, env, ["pooling", page])
    assert [path.stem.split("-")[1] for path in store.iterdir()] == ["effects"]
    monkeypatch.setattr(built_examples, "run_examples", lambda *_: pytest.fail("run again"))
    source = [(book / f"{page}.md").read_text(encoding="utf-8")]
    api_pages.fill(app, page, source)
    assert source[0].count(":class: printed") > 5


def run_tests(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:nbval", *words]
    hidden = {"NRM_SHARED_RESULTS", "NRM_SHARED_STATE"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    # an edit of the same size within a second is taken from stored bytecode
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.run(
        command, cwd=checkout, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path) -> Path:
    for name in ("conftest.py", "build_tools/dependencies.py", "build_tools/built_examples.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\npythonpath = build_tools\naddopts = --doctest-modules --import-mode=importlib\n"
    )
    (tmp_path / "requirements.txt").touch()
    return tmp_path


def test_workers_read_tests_from_both_ends_and_agree_on_their_order(checkout):
    """Each file of a fresh clone is rewritten by the worker that comes to it first."""
    seen = (
        "import os\nopen('read-' + os.environ['PYTEST_XDIST_WORKER'], 'a').write(__name__ + ' ')\n"
    )
    for name in ("a/test_1", "a/test_2", "b/c/test_3", "test_4"):
        path = checkout / "tests" / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(f"{seen}def test_one():\n    '>>> 1\\n1'\ndef test_two(): pass\n")
    done = run_tests(checkout, "-n", "2", "build_tools", "tests")
    assert "12 passed" in done.stdout, done.stdout  # else workers collected different tests
    first, second = ((checkout / f"read-gw{i}").read_text().split() for i in range(2))
    assert len(first) == 4
    assert first == second[::-1]


def test_an_example_that_breaks_after_the_build_fails_the_tests(checkout, monkeypatch):
    made = checkout / "data" / "made.py"  # code that all depends on, beside the helpers
    made.parent.mkdir()
    source = '"""A module.\n\n>>> 1 + 1\n2\n"""\n' + RIGHT
    made.write_text(source)

    monkeypatch.setattr(dependencies, "ROOT", checkout)
    monkeypatch.setattr(built_examples, "STORE", checkout / "_build" / "executed")
    loaded = module(source.replace("def", "__name__ = 'data.made'\ndef", 1), monkeypatch)
    monkeypatch.setitem(sys.modules, "data.made", loaded)
    assert build(loaded, dependencies.dependency_hash()) == []

    after = run_tests(checkout, "--after-build", "data")
    assert "1 passed" in after.stdout, after.stdout
    assert "Examples of 1 docstrings passed in the build" in after.stdout
    made.write_text(source.replace("return 2", "return 3"))
    edited = run_tests(checkout, "--after-build", "data")
    assert "1 failed, 1 passed" in edited.stdout, edited.stdout
    assert edited.returncode == 1
    assert "in the build" not in edited.stdout
