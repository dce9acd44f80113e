"""Goals, exercises, plans and exam: what the pages promise is there."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
import yaml
from chapter_exercises import exercises
from inline_values import resolved
from stored_pictures import inline
from test_chapters import NO_SKELETON

from helpers.teaching import (
    CHAPTERS,
    LEVELS,
    read_goals,
    read_plans,
    read_scheme,
    self_check,
)
from helpers.teaching.course import PLANS as NAMES
from helpers.teaching.course import clock
from helpers.teaching.lab_pages import LAB_PAGES

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
GOALS = read_goals()
PLANS = read_plans()
SCHEME = read_scheme()
STEPS = [step for name in NAMES for step in getattr(PLANS, name).steps]
PAGES = {step.page for step in STEPS if step.page} | {m.page for m in PLANS.misconceptions}
EXTRA = {"labs", "self_check", "exam"}


def contents() -> list[str]:
    """Pages of the table of contents, in its order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [page["file"] for part in toc["parts"] for page in part["chapters"]]


METHOD = [
    name for name in contents() if (BOOK / f"{name}.ipynb").exists() and name not in NO_SKELETON
]


def words_of(name: str) -> str:
    cells = resolved(nbformat.read(BOOK / f"{name}.ipynb", as_version=4)).cells
    outputs = [o.get("data", {}) for c in cells for o in c.get("outputs", [])]
    parts = [c.source for c in cells] + [d.get("text/markdown", "") for d in outputs]
    return "\n".join([*parts, *(d.get("text/html", "") for d in outputs)])


def test_every_chapter_of_the_contents_has_goals_and_questions_in_its_order():
    named = [chapter.file for chapter in GOALS]
    assert [name for name in METHOD if name not in named] == []
    assert [name for name in METHOD if name not in CHAPTERS] == []
    assert [name for name in named if name in METHOD] == METHOD
    assert tuple(named) == CHAPTERS


@pytest.mark.parametrize("name", METHOD)
def test_every_chapter_has_an_exercise_for_each_level_with_an_executed_solution(name):
    found = exercises(BOOK / f"{name}.ipynb")
    assert len(found) >= 3
    for level in LEVELS:
        assert any(label.endswith(f"-{level}") for label in found), level
    assert [label for label, solved in found.items() if not solved] == []


def test_a_solution_that_was_not_run_is_seen(tmp_path):
    notebook = nbformat.read(BOOK / "pooling.ipynb", as_version=4)
    cell = next(c for c in notebook.cells if c.id == "solution-recall")
    assert cell.cell_type == "code"
    cell.execution_count = None
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    found = exercises(tmp_path / "changed.ipynb")
    assert found["ex-pooling-recall"] is False
    assert found["ex-pooling-apply"] is True


#: Verbs whose doing can be watched, and so assessed. "Understand" and "know" are not among them.
VERBS = {
    "recall": "define describe distinguish explain list name state",
    "apply": (
        "calculate check classify compare compute convert draw find fit read recompute report "
        "tabulate"
    ),
    "transfer": "adapt argue assess criticise defend design judge plan write",
}


@pytest.mark.parametrize("level", LEVELS)
def test_goals_begin_with_a_verb_that_can_be_watched(level):
    for chapter in GOALS:
        verb = getattr(chapter, level).split(" ")[0].strip(",").lower()
        assert verb in VERBS[level].split(), chapter.file


def test_the_goals_stand_on_the_page_of_the_lecturer():
    page = words_of("teaching_kit")
    for chapter in GOALS:
        for level in LEVELS:
            assert getattr(chapter, level) in page


def test_the_lecturer_finds_the_slides_of_every_chapter():
    page = words_of("teaching_kit")
    for name in METHOD:
        assert f'href="downloads/slides/{name}.html"' in page


def test_the_questions_stand_on_their_page_as_they_are_computed_now():
    page = inline(words_of("self_check"))
    for chapter in CHAPTERS:
        assert f"]({chapter}.ipynb)" in page
        assert self_check(chapter).html in page


def test_plans_name_pages_that_have_a_title():
    assert {chapter.file for chapter in GOALS} | EXTRA >= PAGES
    for name in EXTRA:
        assert (BOOK / f"{name}.ipynb").exists()


def test_plans_keep_their_time():
    assert PLANS.lesson.total == 90
    titles = {name: name for name in PAGES}
    shown = str(PLANS.lesson.table(titles))
    last = PLANS.lesson.steps[-1]
    assert f"{clock('09:00', 90 - last.minutes)} to 10:30" in shown
    by_day = [sum(s.minutes for s in PLANS.course.steps if s.day == day) for day in (1, 2)]
    assert by_day[0] + by_day[1] == PLANS.course.total
    assert max(by_day) <= 8 * 60
    assert str(PLANS.course.table(titles)).count("day 2, 09:00") == 1
    term = [sum(s.minutes for s in PLANS.term.steps if s.day == week) for week in range(1, 13)]
    assert term == [90] * 12
    assert "week 12, 09:00 to 09:55" in str(PLANS.term.table(titles))
    for name in ("estimands", "planning", "review"):
        assert getattr(PLANS, name).total == 90


def test_the_lesson_was_rehearsed_step_by_step_and_the_page_says_how():
    """Each moment of the protocol is the start of a step, in order, and none is left out."""
    at = [row.at for row in PLANS.rehearsal.row]
    assert at == ["before", *(when.partition(" ")[0] for when, _ in PLANS.lesson.timed())]
    page = words_of("teaching_kit")
    assert "without students" in PLANS.rehearsal.where
    for row in PLANS.rehearsal.row:
        assert row.found in page
        assert row.found == "Nothing." or row.mended


def test_the_table_of_another_field_runs_through_the_course():
    """Guess, pooling, heterogeneity: the hand-out comes back, and the last session reports it."""
    for plan, pages in (
        (PLANS.course, {"question", "pooling", "heterogeneity"}),
        (PLANS.term, {"effect_sizes", "pooling", "heterogeneity"}),
        (PLANS.estimands, {"pooling"}),
    ):
        found = {step.page for step in plan.steps if "hand-out" in step.materials}
        assert pages <= found, plan.title
    for plan in (PLANS.course, PLANS.term):
        assert "your_own_table" in {step.page for step in plan.steps[-3:]}
    assert "ankylosing_spondylitis.csv" in words_of("your_own_table")


def test_what_may_go_wrong_comes_with_what_to_do_then():
    for name in ("lesson", "course", "term", "estimands", "planning", "review"):
        for step in getattr(PLANS, name).steps:
            if step.form != "break":
                wrong, _, remedy = step.risk.partition(":")
                assert wrong, step.what
                assert len(remedy.split()) >= 2, step.risk


def test_a_day_has_breaks_and_nobody_sits_for_longer_than_two_and_a_half_hours():
    for day in (1, 2):
        sitting, longest = 0, 0
        steps = [step for step in PLANS.course.steps if step.day == day]
        for step in steps:
            sitting = 0 if step.form == "break" else sitting + step.minutes
            longest = max(longest, sitting)
        assert longest <= 150
        assert sum(step.form == "break" for step in steps) >= 3
        assert max(step.minutes for step in steps if step.form == "break") >= 45


def test_every_step_says_what_is_needed_what_may_fail_and_names_only_what_there_is():
    for step in STEPS:
        if step.form == "break":
            continue
        assert step.materials, step
        assert step.risk, step
        assert set(step.labs) <= set(LAB_PAGES), step
        if step.exercise:
            assert step.exercise in exercises(BOOK / f"{step.page}.ipynb"), step
    assert {key for step in STEPS for key in step.labs} == set(LAB_PAGES)
    assert all(m.probe.endswith("?") for m in PLANS.misconceptions)


def test_the_opening_guess_is_answered_by_no_reading_before_and_by_no_first_slide():
    """The slides are made from the chapters, and no chapter has the table of the hand-out."""
    for plan in (PLANS.lesson, PLANS.course, PLANS.term):
        first = plan.steps[0]
        assert "guess" in first.what.lower()
        assert first.materials.startswith("hand-out")
    assert PLANS.lesson.steps[0].page == ""
    for name in METHOD:
        if name != "your_own_table":  # it comes last, in every plan
            assert "ankylosing" not in words_of(name).lower(), name
    assert "let nobody read and show no slide" in words_of("teaching_kit")


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_adds_up_and_has_steps_on_each_of_its_days(name):
    plan = getattr(PLANS, name)
    assert sum(step.minutes for step in plan.steps) == plan.total
    assert {step.day for step in plan.steps} == set(range(1, len(plan.start) + 1))


def test_every_task_of_the_exam_is_on_its_page_with_an_executed_solution():
    found = exercises(BOOK / "exam.ipynb")
    assert list(found) == [task.label for task in SCHEME.tasks]
    assert all(found.values())


def test_the_scheme_adds_up_and_has_all_levels():
    assert {task.level for task in SCHEME.tasks} == set(LEVELS)
    assert {task.chapter for task in SCHEME.tasks} <= {chapter.file for chapter in GOALS}
    assert len({task.label for task in SCHEME.tasks}) == len(SCHEME.tasks)
    assert all(min(c.marks for c in task.criteria) >= 1 for task in SCHEME.tasks)
    assert 0 < SCHEME.pass_share < 1
    assert SCHEME.marks == sum(c.marks for task in SCHEME.tasks for c in task.criteria)
    assert SCHEME.needed >= SCHEME.pass_share * SCHEME.marks > SCHEME.needed - 1
    assert str(SCHEME.marks) in words_of("exam")


@pytest.mark.parametrize("name", sorted(EXTRA | {"teaching_kit"}))
def test_pages_of_the_kit_link_to_chapters_that_are_in_the_book(name):
    import re

    known = {chapter.file for chapter in GOALS} | EXTRA | NO_SKELETON
    linked = set(re.findall(r"\]\((\w+)\.ipynb", words_of(name)))
    assert linked <= known
