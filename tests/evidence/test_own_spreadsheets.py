"""A reader's spreadsheet: its sheet, its header, its hidden rows and its cells."""

from __future__ import annotations

import datetime
import io
import sys
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest
import python_calamine as calamine
from report_tools import CASES

from helpers.evidence import EvidenceError
from helpers.evidence.opening import _written
from helpers.evidence.own import read_own
from helpers.evidence.xlsx import Workbook


def book_of(sheets):
    """Bytes of an xlsx file with the cells of each sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        made = book.create_sheet(name)
        for row in rows:
            made.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


NOTES = [["Read me"], ["These are our data."]]

ROWS = [
    ["Table 1. Events"],
    [],
    ["Author", "Cases", "Total", "Age", "Start"],
    ["Müller 2019", 3, 40, 61.5, datetime.date(2019, 5, 1)],
    [],
    ["B 2020", "NR", 50],
    ["C 2021", 9, 60, 58.25, datetime.date(2021, 2, 3)],
]


@pytest.mark.parametrize("name", ["xlsx", "18_old_excel.xls", "19_open_document.ods"])
def test_a_spreadsheet_is_read_with_its_sheet_its_header_and_its_rows(name):
    """The files were written by xlwt and odfpy: another reader than that of xlsx."""
    source = book_of({"Read me": NOTES, "Data": ROWS}) if name == "xlsx" else CASES / name
    own = read_own(source, {}, numeric=["Age"])
    assert own.understood == (
        "sheet 'Data' (2 of 2); header in row 3; one blank row skipped; "
        "study = 'Author', events = 'Cases', n = 'Total'"
    )
    assert own.rows == (4, 6, 7)
    assert own.data["Author"].tolist() == ["Müller 2019", "B 2020", "C 2021"]
    assert own.data["Cases"].tolist() == [3, pd.NA, 9]
    assert own.data["Total"].tolist() == [40, 50, 60]
    assert own.data["Age"].tolist() == pytest.approx([61.5, np.nan, 58.25], nan_ok=True)
    assert own.data["Start"].tolist()[::2] == ["2019-05-01", "2021-02-03"]


def test_cells_of_an_xlsx_file_are_those_that_another_reader_gives():
    book = openpyxl.Workbook()
    sheet = book.active
    rows = [
        ["study", "events", "n", "note"],
        ["007", 1, 10, datetime.date(2020, 2, 29)],
        ["1/2", 2, 20.0, datetime.datetime(1999, 12, 31, 23, 30)],
        ["<b> & ü", 3, 30, True],
        ["tab\tnew\nline", 4, 40, 0.1],
        [" spaces ", 5, 50, 1e-7],
        [None, None, None, None],
        ["emoji 😀", 6, 60, 12345678901234567],
        ["not a formula", 7, 70, "x_x000D_y"],
    ]
    for row in rows:
        sheet.append(row)
    sheet.merge_cells("A12:C12")
    sheet["D15"].number_format = "0.00%"
    sheet["D15"] = 0.125
    sheet["D16"].number_format = '[Red]0.0 "days"'
    sheet["D16"] = 2.5
    out = io.BytesIO()
    book.save(out)
    found = Workbook(out.getvalue(), "mine.xlsx")
    ours = found.rows(0)
    other = calamine.CalamineWorkbook.from_filelike(io.BytesIO(out.getvalue()))
    theirs = other.get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert len(ours) == len(theirs) == 16
    for mine, cells in zip(ours, theirs, strict=True):
        assert mine == ["" if c == "" else _written(c) for c in cells]
    assert [row[3] for row in ours[1:4]] == ["2020-02-29", "1999-12-31 23:30:00", "TRUE"]
    assert (ours[14][3], ours[15][3]) == ("0.125", "2.5")


def test_an_xlsx_file_is_read_without_another_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert read_own(book_of({"Data": ROWS}), {}).rows == (4, 6, 7)
    with pytest.raises(EvidenceError, match="python-calamine is needed"):
        read_own(CASES / "19_open_document.ods", {})


def test_a_sheet_is_chosen_by_name_or_number():
    other = [["study", "events", "n"], ["Z", 1, 10]]
    content = book_of({"One": ROWS, "Two": other})
    assert read_own(content, {}).data.iloc[0, 0] == "Müller 2019"
    for sheet in ("Two", 2, "2"):
        assert read_own(content, {}, sheet=sheet).data.iloc[0, 0] == "Z"
    with pytest.raises(EvidenceError, match="'One', 'Two'"):
        read_own(content, {}, sheet="Three")


def test_hidden_sheets_come_last_and_hidden_rows_are_said():
    book = openpyxl.Workbook()
    old, new = book.active, book.create_sheet("New")
    old.title = "Old"
    for sheet, events in ((old, 1), (new, 2)):
        for row in (["study", "events", "n"], ["A", events, 40], ["B", 5, 50], ["C", 6, 60]):
            sheet.append(row)
    old.sheet_state = "hidden"
    new.row_dimensions[3].hidden = new.row_dimensions[4].hidden = True
    new.row_dimensions[9].hidden = True  # nothing is in it
    out = io.BytesIO()
    book.save(out)
    own = read_own(out.getvalue(), {})
    assert own.data["events"].tolist() == [2, 5, 6]
    assert own.understood.startswith("sheet 'New' (2 of 2); 2 hidden rows included")
    named = read_own(out.getvalue(), {}, sheet="Old")
    assert named.data["events"].tolist() == [1, 5, 6]
    assert named.understood.startswith("sheet 'Old' (1 of 2, hidden)")
    new.delete_rows(1, 9)  # a hidden table is better than none
    out = io.BytesIO()
    book.save(out)
    assert "hidden" in read_own(out.getvalue(), {}).understood


def test_a_formula_that_was_never_calculated_is_refused_and_not_taken_for_empty():
    rows = [["study", "events", "n"], ["A", "=1+2", 40], ["B", 5, 50]]
    with pytest.raises(EvidenceError) as raised:
        read_own(book_of({"Data": rows}), {})
    (problem,) = raised.value.problems
    assert (problem.row, problem.value) == (2, "a formula without a stored value")


def changed(content, part, *pairs):
    """Bytes of a workbook with texts of one of its parts replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            for before, after in pairs if name == part else ():
                assert before.encode() in text
                text = text.replace(before.encode(), after.encode())
            new.writestr(name, text)
    return out.getvalue()


@pytest.mark.parametrize("odd", ["²", "٣", "-1", "1.5", "", "9" * 5000])
def test_odd_numbers_inside_a_workbook_are_no_other_error(odd):
    """Attributes that count rows, styles and formats are written by programs, and by bad ones."""
    rows = [
        ["study", "events", "n", "seen"],
        ["A", 3, 40, datetime.date(2020, 1, 2)],
        ["B", 5, 50, None],
    ]
    book, sheet = book_of({"Data": rows}), "xl/worksheets/sheet1.xml"
    for part, before, after in (
        (sheet, '<row r="2"', f'<row r="{odd}"'),
        (sheet, '<c r="D2" s="1"', f'<c r="D2" s="{odd}"'),
        ("xl/styles.xml", 'numFmtId="164"', f'numFmtId="{odd}"'),
    ):
        own = read_own(changed(book, part, (before, after)), {})
        assert own.data["events"].tolist() == [3, 5], (part, before)
    with pytest.raises(EvidenceError, match=r"text .* of"):
        read_own(
            changed(book, sheet, ('t="inlineStr"><is><t>A</t></is>', f't="s"><v>{odd}0</v>')), {}
        )


@pytest.mark.parametrize("odd", ["NaN", "INF", "-INF", "1e300"])
def test_a_date_that_is_no_number_of_days_is_no_other_error(odd):
    rows = [
        ["study", "events", "n", "seen"],
        ["A", 3, 40, datetime.date(2020, 1, 2)],
        ["B", 5, 50, None],
    ]
    sheet = "xl/worksheets/sheet1.xml"
    book = changed(book_of({"Data": rows}), sheet, ("<v>43832</v>", f"<v>{odd}</v>"))
    assert read_own(book, {}).data["events"].tolist() == [3, 5]


def test_a_sheet_may_be_called_by_a_raised_digit():
    content = book_of({"First": ROWS, "²": [["Author", "Cases", "Total"], ["Z", 1, 2]]})
    assert read_own(content, {}, sheet="²").data.iloc[0, 0] == "Z"
    with pytest.raises(EvidenceError, match="one of the sheets"):
        read_own(content, {}, sheet="³")


def test_a_spreadsheet_that_is_broken_or_locked_is_one_error():
    for content in (b"PK\x03\x04rubbish", b"\xd0\xcf\x11\xe0rubbish" * 90):
        with pytest.raises(EvidenceError, match="without a password"):
            read_own(content, {})
