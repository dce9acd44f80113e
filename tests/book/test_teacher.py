"""The bundle for teachers has the keys, and the pages for students have none."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nbformat
import notebooks
import pytest
import teacher
from bs4 import BeautifulSoup

from helpers.teaching import read_plans, read_scheme, self_check
from helpers.teaching.lab_pages import LAB_PAGES

EXAM = Path(__file__).resolve().parents[2] / "book" / "exam.ipynb"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A built site of three pages; tests/site asks the real one for what the plan links to."""
    made = tmp_path_factory.mktemp("site")
    (made / "downloads").mkdir()
    with zipfile.ZipFile(made / "downloads" / "nrm-book.zip", "w") as book:
        for name in ("labs", "self_check", "downloads/slides/pooling"):
            book.writestr(f"nrm-book/{name}.html", "<p>A page.</p>")
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory, site):
    made = tmp_path_factory.mktemp("bundle")
    teacher.collect(made, 3, site)
    return made


def test_the_bundle_is_one_file_with_every_key(folder, tmp_path):
    names = teacher.bundle(folder, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == names
        assert archive.testzip() is None
        exam = archive.read("notebooks/exam.ipynb").decode()
    assert exam.count("### Solution") == len(read_scheme().tasks)
    assert "scheme.table()" in exam
    for name in (
        "README.txt",
        "lesson/teacher/plan.html",
        "lesson/students/activity.html",
        "exam-3/students/paper.html",
        "exam-3/teacher/key.html",
        "planted/planted_errors_key.csv",
        "questions/questions_key.html",
        "questions/qti/imsmanifest.xml",
    ):
        assert name in names


def test_the_lesson_needs_nothing_but_the_bundle(folder):
    """Every link of the plan leads to a file of the bundle (a PDF, where one is printed)."""
    plan = folder / "lesson" / "teacher" / "plan.html"
    page = BeautifulSoup(plan.read_text("utf-8"), "html.parser")
    links = {link["href"].partition("#")[0] for link in page("a")}
    assert len(links) >= 8
    for link in links - {"slides-pooling.pdf"}:
        assert (plan.parent / link).is_file(), link
    longer = BeautifulSoup((plan.with_name("longer_plans.html")).read_text("utf-8"), "html.parser")
    for link in {link["href"].partition("#")[0] for link in longer("a")}:
        if not link.startswith("../../site/"):  # tests/site asks the real one
            assert (plan.parent / link).is_file(), link
    for one in (read_plans().course, read_plans().term):
        for when, step in one.timed():
            assert when in longer.get_text()
            assert step.what in longer.get_text()
    words = page.get_text()
    for when, step in read_plans().lesson.timed():
        assert when in words
        assert step.what in words
        assert step.risk in words
    assert "README.txt" in {p.name for p in folder.iterdir()}
    assert "lesson/teacher/plan.html" in (folder / "README.txt").read_text("utf-8")


def test_every_sheet_that_a_plan_names_is_in_the_bundle(folder):
    sheets = {
        "sheet of twenty records": "lesson/students/records.html",
        "sheet of the exam to practise on": "exam-to-practise/students/sheet.csv",
        "worksheets": "lesson/students/all_labs.html",
        "activity sheet": "lesson/students/activity.html",
        "question sheet": "lesson/students/questions.html",
        "hand-out": "handout/students/handout.html",
        "table with planted errors": "planted/planted_errors.csv",
    }
    plans = read_plans()
    steps = [
        step
        for name in ("lesson", "course", "term", "estimands", "planning", "review")
        for step in getattr(plans, name).steps
    ]
    for name, path in sheets.items():
        assert any(name in step.materials for step in steps), name
        assert (folder / path).is_file()
    for step in steps:
        if "sheet" in step.materials:
            assert any(name in step.materials for name in sheets), step.materials
    # the exam that counts is not the one that is worked on in class
    drawn, worked = (
        (folder / name / "students" / "sheet.csv").read_text("utf-8")
        for name in ("exam-3", "exam-to-practise")
    )
    assert drawn != worked


def test_sheets_for_students_have_no_answer(folder):
    for sheet in (folder / "lesson" / "students").glob("*.html"):
        words = sheet.read_text("utf-8")
        assert "Right." not in words
        for name in ("pooling", "heterogeneity"):
            assert not any(one.right.why in words for one in self_check(name).questions)
    activity = (folder / "lesson" / "students" / "all_labs.html").read_text("utf-8")
    words = BeautifulSoup(activity, "html.parser").get_text()
    for page in LAB_PAGES.values():
        assert page.guess in words
        assert page.task.question in words


def test_without_a_built_site_there_is_no_bundle(tmp_path, capsys):
    assert teacher.main(["--site", str(tmp_path), "--output", str(tmp_path / "t.zip")]) == 1
    assert "make book" in capsys.readouterr().err
    assert not (tmp_path / "t.zip").exists()


def test_the_same_bundle_is_the_same_file(folder, tmp_path):
    for name in ("a.zip", "b.zip"):
        teacher.bundle(folder, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("make", [notebooks.gated, notebooks.plain, notebooks.student])
def test_students_get_the_exam_without_solutions_and_marking_scheme(make):
    exam = nbformat.read(EXAM, as_version=4)
    hidden = [cell for cell, solution, _ in notebooks.parts(exam) if solution]
    hidden += [cell for cell in exam.cells if notebooks.TEACHER in cell.metadata.get("tags", [])]
    assert any("scheme.table()" in cell.source for cell in hidden)
    made = make(exam)
    ids = {cell.id for cell in made.cells}
    assert not ids & {cell.id for cell in hidden}
    words = "\n".join(cell.source for cell in made.cells)
    assert "Solution" not in words
    assert "teaching.verdict()" not in words
    assert "teaching.verdict()" in "\n".join(c.source for c in notebooks.teacher(exam).cells)


def test_no_page_links_to_a_key():
    for path in (EXAM, EXAM.with_name("teaching_kit.ipynb")):
        assert "planted_errors_key.csv" not in path.read_text(encoding="utf-8")
