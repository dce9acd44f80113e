"""What chapters share is computed once in a build, for the same data and code only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from helpers import load_cohorts, shared_results
from helpers.review import corrected_results as effects
from helpers.review.claim_analyses import multiverse_frame
from helpers.review.moderators import _subgroup_rows
from helpers.review.published import claims, reproduction
from helpers.shared_results import shared_in_a_build

ROOT = Path(__file__).resolve().parents[2]
CALLS = []


@shared_in_a_build
def sums(frame: pd.DataFrame, *, power: int = 1) -> pd.Series:
    CALLS.append(power)
    return (frame**power).sum()


@pytest.fixture
def build(tmp_path, monkeypatch):
    CALLS.clear()
    monkeypatch.setenv(shared_results.FOLDER, str(tmp_path))
    monkeypatch.setenv(shared_results.STATE, "one")
    return tmp_path


FRAME = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})


def test_the_same_question_is_computed_once_and_answered_alike(build):
    first, again = sums(FRAME), sums(FRAME.copy())
    pd.testing.assert_series_equal(first, again, check_exact=True)
    assert CALLS == [1]
    again["x"] = -1.0
    assert sums(FRAME)["x"] == 3.0, "a reader changed a copy, not the stored result"


def test_a_table_is_told_by_its_cells_names_and_types(build):
    sums(FRAME)
    sums(FRAME[["x"]].join(FRAME[["y"]]))  # laid out otherwise in memory
    assert CALLS == [1]
    for other in (FRAME.rename(columns={"x": "z"}), FRAME.astype("float32"), FRAME[::-1]):
        sums(other)
    assert len(CALLS) == 4


def test_other_data_and_other_options_are_other_questions(build):
    changed = FRAME.assign(x=[1.0, 2.5])
    assert sums(FRAME)["x"] == 3.0
    assert sums(changed)["x"] == 3.5
    assert sums(FRAME, power=2)["x"] == 5.0
    assert CALLS == [1, 1, 2]


def test_other_code_or_data_of_the_project_is_another_question(build, monkeypatch):
    sums(FRAME)
    monkeypatch.setenv(shared_results.STATE, "two")
    sums(FRAME)
    assert len(CALLS) == 2


def test_nothing_is_kept_outside_a_build(build, monkeypatch):
    monkeypatch.delenv(shared_results.FOLDER)
    sums(FRAME)
    sums(FRAME)
    assert len(CALLS) == 2
    assert not list(build.iterdir())


def test_an_error_is_not_kept(build):
    with pytest.raises(TypeError):
        sums(pd.DataFrame({"x": ["a"]}), power=2)
    assert not list(build.glob("*.pickle"))


def test_processes_that_ask_at_once_compute_once(build):
    code = (
        "import time\n"
        "from helpers.shared_results import shared_in_a_build\n"
        "@shared_in_a_build\n"
        "def slow():\n"
        "    open('called', 'a').write('x'); time.sleep(1); return 7\n"
        "print(slow())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=build, env=environment, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    assert [process.communicate()[0].strip() for process in asked] == [b"7"] * 3
    assert (build / "called").read_text() == "x"


@pytest.mark.parametrize(
    "function", [effects._of_the_review, reproduction, claims, multiverse_frame, _subgroup_rows]
)
def test_the_dear_results_of_the_review_are_shared(function):
    inner = getattr(function, "__wrapped__", None)
    code = {look.__code__ for look in (function, inner) if hasattr(look, "__code__")}
    assert sums.__code__ in code


def test_a_table_that_a_reader_changed_is_analysed_itself(build):
    cohorts = load_cohorts()
    most = cohorts["nonrelapse_deaths"].where(cohorts["product"] == "cilta-cel").idxmax()
    fewer = cohorts.copy()
    fewer.loc[most, "nonrelapse_deaths"] -= 1
    shared = [multiverse_frame(table, ["cilta-ide"]) for table in (cohorts, fewer, cohorts)]
    pd.testing.assert_frame_equal(shared[0], shared[2], check_exact=True)
    assert not shared[0].equals(shared[1])
