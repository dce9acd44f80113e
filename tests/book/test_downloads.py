"""What the site offers beside the chapter on one's own table."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from types import SimpleNamespace

import downloads
import openpyxl

from helpers.evidence import data_folder
from helpers.evidence.own import read_own


def test_the_template_as_a_spreadsheet_is_that_as_text(tmp_path, monkeypatch):
    done = tmp_path / "done"
    done.mkdir()
    (done / "report.html").write_text("made")
    monkeypatch.setattr(downloads, "example_report", lambda: done)
    downloads.own_table(tmp_path)
    text = (data_folder() / "template.csv").read_bytes()
    assert (tmp_path / "template.csv").read_bytes() == text
    sheet = (tmp_path / "template.xlsx").read_bytes()
    ours, theirs = read_own(sheet, {}), read_own(text, {})
    assert ours.data.equals(theirs.data)
    assert ours.roles == theirs.roles
    # the spreadsheet is stored: after a change of data/template.csv, save that table with any
    # program as book/_data/template.xlsx; another reader finds the same, numbers as numbers
    rows = list(csv.reader(text.decode().splitlines()))
    found = openpyxl.load_workbook(io.BytesIO(sheet)).active.iter_rows(values_only=True)
    for cells, row in zip(found, rows, strict=True):
        assert ["" if cell is None else str(cell) for cell in cells] == row
    assert (tmp_path / "example-report" / "report.html").read_text() == "made"


def test_the_report_is_made_beside_the_pages_and_is_there_before_it_is_copied(
    tmp_path, monkeypatch
):
    def slow() -> None:
        while not (tmp_path / "go").exists():
            time.sleep(0.01)
        (tmp_path / "report").touch()

    monkeypatch.setattr(downloads, "example_report", slow)
    app = SimpleNamespace(builder=SimpleNamespace(format="html"))
    downloads._begin_report(app)
    assert not (tmp_path / "report").exists()
    (tmp_path / "go").touch()
    downloads._end_report(app, None)
    assert (tmp_path / "report").exists()
    order: list[tuple[str, int, str]] = []

    def connect(event: str, do: Callable[..., None], priority: int = 500) -> None:
        order.append((event, priority, do.__name__))

    downloads.setup(SimpleNamespace(connect=connect))
    finished = [name for event, _, name in sorted(order) if event == "build-finished"]
    assert finished == ["_end_report", "_write", "_pack"]
