"""The bundle for teachers has the keys, and the pages for students have none."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nbformat
import notebooks
import pytest
import teacher

from helpers.teaching import read_scheme

EXAM = Path(__file__).resolve().parents[2] / "book" / "exam.ipynb"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bundle")
    teacher.collect(made, seed=3)
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
        "exam-3/students/paper.html",
        "exam-3/teacher/key.html",
        "planted/planted_errors_key.csv",
        "questions/questions_key.html",
        "questions/qti/imsmanifest.xml",
    ):
        assert name in names


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
