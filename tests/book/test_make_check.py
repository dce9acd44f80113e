"""What `make check` runs for a change, and what `make test` says at its end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "build_tools"))

import affected  # noqa: E402
import parts  # noqa: E402


@pytest.mark.parametrize(
    ("edited", "test"),
    [
        ("helpers/ties.py", "helpers/ties.py"),  # its doctests
        ("helpers/ties.py", "tests/test_ties.py"),  # imported as `from helpers import ties`
        ("helpers/review/causes/table.py", "tests/review/test_causes.py"),  # named after the folder
        (
            "helpers/models/bayes/panels.py",
            "tests/models/test_bayes_properties.py",
        ),  # a name from the module
        ("helpers/views/plots/funnel_plot.py", "tests/views/test_plots_funnel.py"),  # plots.funnel
        ("build_tools/chapters.py", "tests/book/test_execution.py"),
        (
            "helpers/checks/bias/selection.py",
            "tests/checks/test_bias_second.py",
        ),  # by the modules of its room, which alone import it
        ("tests/test_prose.py", "tests/test_prose.py"),
        ("helpers/teaching/questions.toml", "tests/teaching/test_teaching_quiz.py"),
        # `analyse` is imported by tests/report_tools.py, which this test imports
        ("helpers/reporting/analysis.py", "tests/reporting/test_cautions.py"),
    ],
)
def test_a_change_runs_the_tests_that_know_it(edited, test):
    assert test in affected.tests_of([edited])


def test_what_asks_the_built_site_is_left_to_its_own_target():
    every = affected.tests_of(["helpers/engine/distributions_pure.py"])
    assert "tests/engine/test_distributions_pure.py" in every
    assert not [name for name in every if name.startswith("tests/site/")]


def test_a_page_is_read_by_the_tests_of_words_and_by_no_test_of_code():
    assert affected.tests_of(["data/README.md"]) == []
    for page in ("book/glossary.md", "book/pooling.ipynb"):
        found = affected.tests_of([page])
        assert "tests/book/test_chapters.py" in found  # typed results among others
        assert found == sorted(affected.OF_WORDS)
        assert all((ROOT / name).is_file() for name in found)


def test_a_change_runs_the_chapters_that_import_it_or_were_edited():
    assert affected.chapters_of(["book/pooling.ipynb"]) == ["book/pooling.ipynb"]
    found = affected.chapters_of(
        ["helpers/review/corrected_results.py", "helpers/review/causes/__init__.py"]
    )
    assert "book/causes_of_death.ipynb" in found
    assert "book/glossary.md" not in found
    assert affected.chapters_of(["helpers/engine/distributions_pure.py"]) == []
    found = affected.chapters_of(["helpers/views/plots/funnel_plot.py"])
    assert "book/small_study_effects.ipynb" in found
    assert "book/self_check.ipynb" in affected.chapters_of(["helpers/teaching/questions.toml"])


def test_several_chapters_are_one_variable_of_make(monkeypatch, capsys):
    edited = ["book/index.ipynb", "book/pooling.ipynb"]
    monkeypatch.setattr(affected, "changed", lambda base: edited)
    monkeypatch.setattr(sys, "argv", ["affected", "chapters"])
    assert affected.main() == 0
    assert capsys.readouterr().out == "book/index.ipynb book/pooling.ipynb\n"


def test_a_longer_name_is_not_the_module():
    assert not affected.touches({"helpers.tablet"}, {"helpers.table"})
    assert affected.touches({"helpers.table.show"}, {"helpers.table"})


def test_the_slowest_tests_and_all_parts_are_named(tmp_path):
    cases = "".join(f'<testcase classname="t" name="n{i}" time="{i}"/>' for i in range(30))
    record = tmp_path / "unit.xml"
    record.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    said = parts.summary({"lint": 1.0, "unit": 2.5}, [record], 3.0)
    named = [line.split("::")[1] for line in said.splitlines() if "::" in line]
    assert named == [f"n{i}" for i in range(29, 9, -1)]
    assert said.splitlines()[-3:] == ["     1.0  lint", "     2.5  unit", "     3.0  all"]


def test_a_failing_part_ends_the_run_with_its_status(capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(parts, "RECORDS", tmp_path)
    assert parts.main(["no-such-target"]) == 2
    assert "make no-such-target failed" in capfd.readouterr().err


def test_parts_side_by_side_say_and_count_all(capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(parts, "RECORDS", tmp_path)
    assert parts.main(["no-such-target+help", "lint"]) == 2
    said, complained = capfd.readouterr()
    assert "No rule to make target 'no-such-target'" in said
    assert "list the targets" in said
    assert "no-such-target (beside help)" in said
    assert "lint\n" not in said.split("Parts, seconds")[1]
    assert "make no-such-target failed" in complained
