"""A report replaces its own files and nothing else, whatever fails while it does."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from report_tools import content, edge, written

from helpers.errors import MetaAnalysisError
from helpers.reporting import files


def test_a_report_replaces_its_own_files_and_nothing_else(tmp_path, ours):
    few = edge("one cohort")
    folder = written(ours, tmp_path / "mine")
    names = set(content(folder))
    assert {"report.html", "results.json", "pooled.csv", "studies.csv", "influence.csv"} <= names
    # the user's own things beside the report, one of them in a folder
    (folder / "notes.docx").write_bytes(b"precious")
    (folder / "data").mkdir()
    (folder / "data" / "my.csv").write_text("study,events,n\n")
    written(few, folder)
    assert (folder / "notes.docx").read_bytes() == b"precious"
    assert (folder / "data" / "my.csv").read_text() == "study,events,n\n"
    assert json.loads((folder / "results.json").read_text())["pooled"]["k"] == 1
    # tables of the first report that the second does not have are gone
    assert not (folder / "influence.csv").exists()
    shutil.rmtree(folder / "data")
    (folder / "notes.docx").unlink()
    written(few, tmp_path / "fresh")
    assert content(folder) == content(tmp_path / "fresh")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "fresh"}


def test_a_folder_without_a_report_is_left_alone(tmp_path, ours):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    # names of a report's files alone do not make them a report's
    (other / "report.html").write_text("mine")
    (other / "results.json").write_text("{}")
    before = content(other)
    with pytest.raises(MetaAnalysisError, match="is not a report"):
        written(ours, other)
    assert content(other) == before
    (tmp_path / "file").write_text("precious")
    with pytest.raises(MetaAnalysisError, match="is not a folder"):
        written(ours, tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (written(ours, empty) / "report.html").is_file()


def test_a_file_that_was_changed_or_is_not_of_the_report_is_never_overwritten(tmp_path):
    few, more = edge("one cohort"), edge("few small cohorts")
    folder = written(few, tmp_path / "mine")
    (folder / "studies.csv").write_text("study,my own column\n")
    before = content(folder)
    with pytest.raises(MetaAnalysisError, match=r"overwrite studies\.csv"):
        written(few, folder)
    assert content(folder) == before
    (folder / "studies.csv").rename(folder / "studies-mine.csv")
    written(few, folder)
    # a table that the first report did not have, under the name of the user's own
    (folder / "influence.csv").write_text("mine")
    with pytest.raises(MetaAnalysisError, match=r"overwrite influence\.csv"):
        written(more, folder)
    (folder / "influence.csv").unlink()
    written(more, folder)
    (folder / "influence.csv").write_text("with my remarks")
    written(few, folder)  # has no such table, so nothing is in the way
    assert (folder / "influence.csv").read_text() == "with my remarks"
    assert (folder / "studies-mine.csv").read_text() == "study,my own column\n"


def test_a_manifest_cannot_reach_out_of_its_folder(tmp_path):
    few = edge("one cohort")
    (tmp_path / "outside.txt").write_text("precious")
    folder = written(few, tmp_path / "mine")
    checksum = hashlib.sha256(b"precious").hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"files": {"../outside.txt": checksum}}))
    with pytest.raises(MetaAnalysisError, match=r"manifest\.json"):
        written(few, folder)
    assert (tmp_path / "outside.txt").read_text() == "precious"


def test_a_failure_leaves_nothing_half_written(tmp_path, ours, monkeypatch):
    def broken(*args, **options):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match="no space"):
        written(ours, tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_puts_everything_back(tmp_path, monkeypatch):
    first, second = edge("few small cohorts"), edge("two cohorts")
    folder = written(first, tmp_path / "mine")
    (folder / "notes.docx").write_bytes(b"precious")
    before = content(folder)
    with monkeypatch.context() as patch:  # the files of the second, made once for all attempts
        kept = []
        patch.setattr(files, "write", lambda _, made: kept.append(made))
        written(second, folder)
    rename, left = Path.rename, [0]

    def held(self, target):  # as when a spreadsheet has the table open
        left[0] -= 1
        if left[0] == 0:
            raise PermissionError("the file is open elsewhere")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", held)
    for fatal in range(1, 99):
        left[0] = fatal
        try:
            files.write(folder, kept[0])
        except PermissionError:
            assert content(folder) == before
        else:
            break
    moves = len(before) - 1 + len(content(folder)) - 1
    assert fatal == moves + 1
