"""Tables as people have them: each small case says what has to come out, and so does its kind."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import python_calamine as calamine
from nightly import nightly
from scipy import optimize, special, stats

from helpers import pool, printing
from helpers.errors import MetaAnalysisError
from helpers.evidence import EvidenceError
from helpers.evidence.opening import _written, guess, open_table
from helpers.evidence.own import find_roles, read_own
from helpers.evidence.plain import read_counts
from helpers.evidence.xlsx import Workbook
from helpers.reporting import in_browser, report, scripts
from helpers.reporting.analysis import ColumnNames, analyse
from helpers.reporting.cautions import cautions_of
from helpers.reporting.command import main

CASES = Path(__file__).with_name("cases")


@pytest.fixture(autouse=True)
def _without_files_of_figures(monkeypatch):
    """Half of a report's time; `test_report.py` has the tests of these files."""
    monkeypatch.setattr("helpers.reporting.exports.figure_files", lambda *_: {})


@pytest.fixture
def undrawn(monkeypatch):
    """Give reports for their numbers alone."""
    monkeypatch.setattr("helpers.reporting.figures._wanted", lambda *_: ())


def case(number):
    (path,) = CASES.glob(f"{number:02d}_*.csv")
    return path


def analysed(source, given=None, **options):
    """Analysis of a table without pictures and with few simulations."""
    own = read_own(source, given or {}, **options)
    roles = own.roles
    columns = ColumnNames(
        roles["study"],
        roles["events"],
        roles["n"],
        roles.get("by"),
        roles.get("follow_up"),
        tuple(options.get("numeric", ())),
        own.follow_up_unit,
    )
    return analyse(own.data, columns, rows=own.rows, understood=own.understood, draws=20)


def codes(analysis):
    return [one.code for one in analysis.remarks]


# --- the cases ----------------------------------------------------------------------------------


def test_02_a_row_that_is_the_sum_of_the_others_is_pointed_out():
    found = analysed(case(2))
    assert codes(found) == ["total-row"]
    assert "“Total” (row 7)" in found.remarks[0].message
    (listed,) = [one for one in cautions_of(found) if one.where == "The table"]
    assert listed.advice.startswith("Delete the row")
    assert found.fit.k == 6  # pointed out and not taken away


def test_03_semicolons_and_decimal_commas_are_read_and_said():
    own = read_own(case(3), {})
    assert own.understood == "semicolons; decimal commas"
    assert own.data["study"].tolist() == ["Müller 2019", "B 2020", "C 2021"]
    assert own.data["follow_up"].tolist() == [12.5, 9.0, 18.5]


def test_09_blank_rows_of_a_spreadsheet_are_no_records():
    own = read_own(case(9), {})
    assert own.data["study"].tolist() == ["A 2019", "B 2020", "C 2021"]
    assert own.rows == (2, 4, 5)
    assert own.understood == "one blank row skipped"


def test_10_missing_counts_leave_the_row_out_by_name():
    made = report(case(10), covariates="age")
    assert made.analysis.fit.k == 2
    assert made.analysis.fit.events == 12 + 9
    page = re.sub(r"<[^>]+>", " ", made.html)
    assert "B 2020 (row 3): events missing" in page
    assert "C 2021 (row 4): n missing" in page
    assert "Not pooled" in made.pictures["forest"].svg
    assert made.analysis.data["age"].tolist() == pytest.approx(
        [61.5, np.nan, 58, np.nan], nan_ok=True
    )


def test_11_only_used_columns_can_refuse_a_table():
    assert read_own(case(11), {}).data["Moraxella"].tolist() == [1, 2, 0]
    odd = b"study,events,n,,x,x,\x93q\nA,3,40,,1,2,\xff\nB,5,50,9,1,2,\n"
    assert read_own(odd, {}).data["events"].tolist() == [3, 5]
    with pytest.raises(EvidenceError, match="used once"):
        read_own(b"study,events,n,n\nA,3,40,4\n", {})


def test_12_a_short_follow_up_is_pointed_out_and_its_unit_can_be_named(undrawn):
    found = analysed(case(12))
    assert codes(found) == ["follow-up-unit"]
    rate = report(case(12), follow_up_unit="years").analysis.rates
    events, n, years = np.array(
        [[12, 100, 1.5], [7, 85, 2], [3, 40, 3.1], [0, 25, 0.5], [15, 160, 5]]
    ).T
    assert rate.time * 100 == pytest.approx(float(n @ years))
    # the README's 3.3 per 100 person-years, not 39.4
    assert rate.estimate == pytest.approx(100 * events.sum() / (n @ years), rel=0.35)
    named = read_own(b"study,events,n,Follow-up (years)\nA,3,40,1.5\nB,4,50,2\n", {})
    assert named.follow_up_unit == "years"


def test_13_person_time_gives_a_rate_by_a_poisson_model(tmp_path, capsys, undrawn):
    out = tmp_path / "out"
    order = ["--time", "person_years", "--per", "100", "--out", str(out)]
    assert main(["report", str(case(13)), "--quiet", *order]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "Events per 100 person-years: 1.62 (95%\N{NO-BREAK SPACE}CI 0.60 to 4.39)"
    )
    found = json.loads((out / "results.json").read_text())
    assert (found["columns"]["time"], found["columns"]["n"]) == ("person_years", None)
    # the likelihood of a Poisson count whose log rate is normal, by a grid of its own
    table = pd.read_csv(case(13))
    x, years = table["events"].to_numpy(), table["person_years"].to_numpy() / 100
    z = np.linspace(-8, 8, 801)

    def deviance(parameters):
        mu, log_tau = parameters
        rate = years[:, None] * np.exp(mu + np.exp(log_tau) * z)
        logs = stats.poisson.logpmf(x[:, None], rate) + stats.norm.logpdf(z)
        return -2 * float(np.sum(special.logsumexp(logs, axis=1)))

    best = optimize.minimize(deviance, [0.0, -1.0], method="Nelder-Mead", tol=1e-9)
    assert found["pooled"]["estimate"] == pytest.approx(np.exp(best.x[0]), rel=1e-4)
    page = re.sub(r"<[^>]+>", " ", (out / "report.html").read_text())
    assert "78 events in 5,398 person-years of four studies were analysed" in page
    assert "Poisson-normal generalised linear mixed model" in page
    assert "percentage" not in page


@pytest.mark.parametrize("per", [1000, 100_000])
def test_13_rates_and_proportions_are_given_per_so_many(per):
    timed = report(case(13), per=per)  # the column of person-time is found by its name
    assert timed.analysis.columns.time == "person_years"
    assert timed.analysis.fit.estimate == pytest.approx(per / 100 * 1.6158196, rel=1e-6)
    assert timed.answer.startswith(f"Events per {per:,} person-years: ")
    made = report(case(1), per=per)
    fit = made.analysis.fit
    unit = f" per\N{NO-BREAK SPACE}{per:,}"
    printed = re.match(r".*?: ([0-9.,]+)" + unit, made.answer)
    digits = len(printed[1].partition(".")[2])
    assert printed[1] == f"{per * fit.estimate:.{digits}f}"
    low = f"{per * fit.ci.lower:.{digits}f}"
    for text in (made.answer, made.for_a_paper, made.pictures["forest"].svg, made.html):
        assert f"{low} to " in text
    assert len(low.replace(".", "").lstrip("0")) >= 2


def test_13_person_time_goes_with_groups_covariates_and_scripts(tmp_path):
    rng = np.random.default_rng(8)
    years = rng.uniform(100, 900, 14).round(1)
    table = pd.DataFrame({"study": [f"S{i}" for i in range(14)], "py": years})
    table["events"] = rng.poisson(0.03 * years)
    table["arm"], table["age"] = list("ab" * 7), np.arange(14) + 40.0
    made = report(table, by="arm", covariates="age")
    assert made.analysis.columns.time == "py"
    assert {"subgroup-forest", "regression-1", "prediction"} <= set(made.pictures)
    by_hand = 100 * table["events"].sum() / years.sum()
    assert made.analysis.fit.estimate == pytest.approx(by_hand, rel=0.2)
    folder = made.write(tmp_path / "out", figures=())
    done = subprocess.run(
        [sys.executable, folder / "again.py"], capture_output=True, text=True, check=True
    )
    again = dict(line.split("\t") for line in done.stdout.splitlines())
    expected = scripts.numbers(made.analysis)
    assert again.keys() == expected.keys()
    for name, value in expected.items():
        assert float(again[name]) == pytest.approx(value, rel=1e-9), name
    assert 'measure = "IRLN", xi = events, ti = n' in (folder / "again.R").read_text()


def test_13_no_event_in_any_person_time_has_the_exact_interval():
    made = report(b"study,events,person_years\nA,0,900\nB,0,600\n")
    upper = 100 * stats.chi2.ppf(0.975, 2) / 2 / 1500
    assert "Nobody in 1,500 person-years of two studies had the event" in made.answer
    assert f"0.00 to {upper:.2f} if all" in made.answer


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (b"study,events,person_years\nA,3,0\nB,4,20\n", {}, "above 0"),
        (b"study,events,n,py\nA,3,9,50\nB,4,20,70\n", {"n": "n", "time": "py"}, "one of the two"),
        (b"study,events,py\nA,3,50\nB,4,70\n", {"measure": "logit"}, "column of people"),
        (b"study,events,n\nA,3,50\nB,4,70\n", {"measure": "log-rate"}, "person-time"),
        (b"study,events,n\nA,3,50\nB,4,70\n", {"per": 10}, "per=10"),
    ],
)
def test_13_what_does_not_go_together_is_one_error(table, options, message):
    with pytest.raises(MetaAnalysisError, match=message):
        report(table, **options)


def test_14_names_of_columns_are_guessed_and_said():
    own = read_own(case(14), {})
    assert own.understood == "study = 'Author', events = 'Cases', n = 'Total'"
    with pytest.raises(EvidenceError) as raised:
        read_own(b"Author,Mild,Severe,Total\nA,3,4,40\n", {})
    (problem,) = raised.value.problems
    assert problem.expected == "a column of events (choose it with --events)"
    assert problem.value == "'Author', 'Mild', 'Severe', 'Total'"


def test_15_rows_are_those_of_the_spreadsheet():
    with pytest.raises(EvidenceError) as raised:
        read_own(case(15), {"study": "Study\n(country)"})
    assert [problem.row for problem in raised.value.problems] == [4]


def test_16_a_column_of_our_name_wins_over_others():
    own = read_own(case(16), {})
    assert own.roles["events"] == "events"
    assert read_own(case(16), {"events": "severe_events"}).roles["events"] == "severe_events"


def test_17_no_cell_of_a_written_table_is_a_formula(tmp_path, capsys, undrawn):
    assert main(["report", str(case(17)), "--quiet", "--out", str(tmp_path / "out")]) == 0
    for path in (tmp_path / "out").glob("*.csv"):
        for cell in pd.read_csv(path, dtype=str, keep_default_na=False).to_numpy().ravel():
            number = re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?|-inf", cell)
            assert number or cell.lstrip()[:1] not in tuple("=+-@"), (path.name, cell)


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (4, {}),
        (5, {"by": "p"}),
        (6, {}),
        (7, {"covariates": ("1", "weight")}),
        (8, {}),
    ],
)
def test_04_to_08_a_table_with_an_odd_name_or_cell_gives_a_report(number, options):
    made = report(case(number), **options)
    assert {"forest"} <= set(made.pictures)
    if number == 7:
        slopes = [
            fit.coefficients["estimate"].iloc[1] for fit in made.analysis.regressions.values()
        ]
        assert f"{slopes[0]:.3f}" == "0.020"
        assert {"regression-1", "regression-2"} <= set(made.pictures)
    if number == 8:
        assert any("no group" in one.reason for one in made.not_computed)


# --- comes in as it is -----------------------------------------------------------------------

TEXT = "Müller – Studie;events;n;follow_up\nA;12;100;12,5\nB;7;85;9,0\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode(), "semicolons"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "semicolons"),
        (TEXT.encode("cp1252"), "Windows-1252; semicolons"),
        (TEXT.encode("utf-16"), "UTF-16; semicolons"),
        (TEXT.encode("utf-16-le"), "UTF-16; semicolons"),
        (TEXT.encode("utf-16-be"), "UTF-16; semicolons"),
        (TEXT.replace(";", "\t").encode(), "tabs"),
        (b"sep=;\r\n" + TEXT.encode(), "semicolons"),
        (TEXT.replace("\n", "\r").encode(), "semicolons"),
    ],
)
def test_an_encoding_and_a_separator_are_found_and_said(content, said):
    own = read_own(content, {"study": "Müller – Studie"})
    assert own.understood.startswith(f"{said}; decimal commas")
    assert own.data.to_numpy().tolist() == [["A", 12, 100, 12.5], ["B", 7, 85, 9.0]]
    assert own.rows == (2, 3)


def book_of(kind, sheets):
    """Bytes of a spreadsheet with the cells of each sheet."""
    assert kind == "xlsx"
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
    ["Author", "Cases", "Total", "Age"],
    ["A", 3, 40, 61.5],
    [],
    ["B", 5, 50, None],
]


def test_a_spreadsheet_is_read_with_its_sheet_its_header_and_its_rows():
    own = read_own(book_of("xlsx", {"Read me": NOTES, "Data": ROWS}), {})
    assert own.understood == (
        "sheet 'Data' (2 of 2); header in row 3; one blank row skipped; "
        "study = 'Author', events = 'Cases', n = 'Total'"
    )
    assert own.data["Cases"].tolist() == [3, 5]
    assert own.rows == (4, 6)


@pytest.mark.parametrize("name", ["18_old_excel.xls", "19_open_document.ods"])
def test_old_excel_and_open_document_are_read_alike(name):
    """Files written by xlwt and odfpy: another reader than that of xlsx."""
    own = read_own(CASES / name, {}, numeric=["Age"])
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
    ours = found.rows(found.sheets[0])
    other = calamine.CalamineWorkbook.from_filelike(io.BytesIO(out.getvalue()))
    theirs = other.get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert len(ours) == len(theirs) == 16
    for mine, cells in zip(ours, theirs, strict=True):
        assert mine == ["" if c == "" else _written(c) for c in cells]
    assert [row[3] for row in ours[1:4]] == ["2020-02-29", "1999-12-31 23:30:00", "TRUE"]
    assert (ours[14][3], ours[15][3]) == ("0.125", "2.5")


def test_an_xlsx_file_is_read_without_another_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert read_own(book_of("xlsx", {"Data": ROWS}), {}).rows == (4, 6)
    with pytest.raises(EvidenceError, match="python-calamine is needed"):
        read_own(CASES / "19_open_document.ods", {})


def test_a_sheet_is_chosen_by_name_or_number():
    other = [["study", "events", "n"], ["Z", 1, 10]]
    content = book_of("xlsx", {"One": ROWS, "Two": other})
    assert read_own(content, {}).data.iloc[0, 0] == "A"
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


@pytest.mark.parametrize(
    ("table", "row", "said"),
    [
        ("Table 1,,,,\nStudy,axi-cel,,tisa-cel,\n,Events,N,Events,N\nA,3,40,2,30\n", 2,
         "row 3 has names of columns too ('Events', 'N', 'Events', 'N')"),
        ("Study,CAR-T,,Follow-up\n,Deaths,N,months\nA,3,40,12\nB,6,50,9\n", 2,
         "row 2 has no name for '(column 1)'"),
        ("study,A 2020,B 2021\nevents,3,6\nn,40,50\n", 1, "exchange rows and columns"),
        ("study,Deaths n/N (%)\nA,3/40 (7.5)\nB,6/50 (12)\n", 1,
         "'Deaths n/N (%)' has events and people in one cell, as in '3/40 (7.5)'"),
    ],
)  # fmt: skip
def test_a_layout_that_is_no_table_of_studies_says_how_to_make_it_one(table, row, said):
    with pytest.raises(EvidenceError) as raised:
        read_own(table.encode(), {})
    (problem,) = raised.value.problems
    assert problem.row == row
    assert said in problem.expected


def test_a_column_without_a_name_can_be_chosen():
    table = b"Study,CAR-T,,Follow-up\n,Deaths,N,months\nA,3,40,12\nB,6,50,9\n"
    own = read_own(table, {"study": "(column 1)"})
    assert own.data["(column 1)"].tolist() == ["A", "B"]


def test_a_formula_that_was_never_calculated_is_refused_and_not_taken_for_empty():
    rows = [["study", "events", "n"], ["A", "=1+2", 40], ["B", 5, 50]]
    with pytest.raises(EvidenceError) as raised:
        read_own(book_of("xlsx", {"Data": rows}), {})
    (problem,) = raised.value.problems
    assert (problem.row, problem.value) == (2, "a formula without a stored value")


def test_a_spreadsheet_that_is_broken_or_locked_is_one_error():
    for content in (b"PK\x03\x04rubbish", b"\xd0\xcf\x11\xe0rubbish" * 90):
        with pytest.raises(EvidenceError, match="without a password"):
            read_own(content, {})


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1,200", "without thousands"),
        ("12.0", "without decimals"),
        ("12%", "without a percent sign: the count alone"),
        ("12 (26.7%)", "without a percent sign: the count alone"),
        ("12 (30)", "without the text in brackets"),
        ("12 [8-17]", "without the text in brackets"),
        ("12 ± 3", "without the text in brackets or after ±"),
        ("12/45", "without the slash"),
        ("3-6", "and no range"),
        ("12*", "without the sign of a footnote"),
        ("12¹", "without the sign of a footnote"),
        ("<5", "stays empty where the number is not known"),
        ("06-Dec", "no date"),
        ("2026-03-06", "no date"),
        ("1\u202f200", "without thousands"),
        ("1’200", "without thousands"),
        ("events", "repeats the header"),
        ("1.234", "without decimals or thousands"),
        ("-3", "0 or more"),
        ("~12", "plain digits"),
    ],
)
def test_a_count_is_never_repaired(cell, said):
    for content in (
        f'study,events,n\nA,"{cell}",4000\nB,5,50\n',
        f"study;events;n\nA;{cell};4000\nB;5;50\n",
    ):
        with pytest.raises(EvidenceError) as raised:
            read_own(content.encode(), {})
        (problem,) = raised.value.problems
        assert (problem.row, problem.column, problem.value) == (2, "events", cell)
        assert said in problem.expected


def test_a_comma_that_could_be_thousands_is_refused_where_it_is_used():
    with pytest.raises(EvidenceError, match="age"):
        read_own(b"study;events;n;age\nA;3;40;1,234\nB;5;50;2,345\n", {}, numeric=["age"])
    with pytest.raises(EvidenceError, match="decimal comma"):
        read_own(b"study;events;n;age\nA;3;40;61,5\nB;5;50;1.234\n", {}, numeric=["age"])


def test_a_comma_without_quotes_in_a_label_is_not_shifted_away():
    with pytest.raises(EvidenceError, match="needs quotes") as raised:
        read_own(b"study,events,n\nSmith, 2019,12,100\nB,5,50\n", {})
    assert [problem.row for problem in raised.value.problems] == [2]


def test_labels_that_are_used_twice_get_the_year_or_else_their_row():
    table = "author,year,cases,total\nLi,2004,2,30\nYang,2000,3,40\nLi,2006,4,50\nYang,2000,5,60\n"
    found = analysed(table.encode())
    labels = ["Li 2004", "Yang 2000 (row 3)", "Li 2006", "Yang 2000 (row 5)"]
    assert list(found.fit.data.labels) == labels
    assert codes(found) == ["same-study"]
    assert "“Yang 2000” (row 3) and “Yang 2000” (row 5) have the same label" in (
        found.remarks[0].message
    )
    # a label that has its year keeps it once, and one table needs no years
    own = read_own(b"study,year,events,n\nLi 2004,2004,2,30\nYang,2000,3,40\n", {})
    assert own.data["study"].tolist() == ["Li 2004", "Yang"]


@pytest.mark.parametrize(
    "text",
    [
        'study authors xi ni\n1 "Li et al." 16 17\n2 "Wu, A" 10 12\n3 "Yang" 4 8\n',
        'study  authors      xi   ni\n1      "Li et al." 16  17\n2      "Wu, A"    10   12\n'
        "3      Yang         4    8\n",
        'study authors\t\txi\tni\n1     "Li et al."\t16\t\t17\n2     "Wu, A"\t10\t\t12\n'
        '3     "Yang"\t4\t\t8\n',
    ],
)
def test_a_table_that_a_program_for_statistics_wrote_is_read(text):
    own = read_own(text.encode(), {"study": "authors"})
    assert own.understood.startswith("spaces")
    assert own.data[["authors", "xi", "ni"]].to_numpy().tolist() == [
        ["Li et al.", 16, 17],
        ["Wu, A", 10, 12],
        ["Yang", 4, 8],
    ]


def test_words_for_missing_numbers_can_be_added():
    content = "study,events,n\nA,3,40\nB,k.A.,50\nC,–,20\nD,4,50\n".encode()
    with pytest.raises(EvidenceError, match=r"k\.A\."):
        read_own(content, {})
    found = analysed(content, missing=["k.A."])
    assert list(found.fit.data.reason) == ["", "events missing", "events missing", ""]
    with pytest.raises(EvidenceError, match="no row with both counts"):
        read_own(b"study,events,n\nA,NA,40\nB,3,NR\n", {})


def test_a_footnote_below_the_table_stays_visible_as_a_row_without_counts():
    found = analysed(b"study,events,n\nA,3,40\nB,5,50\nNR: not reported\n")
    assert found.fit.k == 2
    assert list(found.fit.data.reason)[-1] == "events and n missing"


# --- pointed out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ("A,3,40\nB,5,50\nTotal,9,99\n", "total-row"),
        ("A,3,40\nB,5,50\nPooled estimate,9,99\n", "total-row"),
        ("A,3,40\nB,5,50\nAsia,8,90\nC,2,30\nD,7,70\n", "total-row"),
        ("Smith 2019,3,40\nsmith (2019),5,50\nC,1,9\n", "same-study"),
        ("A,30,400\nB,30,400\nC,1,9\n", "same-counts"),
        ("A,3,100\nB,5,100\nC,1,100\n", "percentages"),
    ],
)
def test_an_odd_row_is_pointed_out(rows, code):
    found = analysed(f"study,events,n\n{rows}".encode())
    assert codes(found) == [code]
    assert [one.advice for one in cautions_of(found) if one.code == code] != [""]


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        (["axi-cel", "Axi-Cel", "tisa-cel", "tisa-cel"], "same-group"),
        (["axi-cel", "axi cel", "tisa-cel", "tisa-cel"], "same-group"),
        (["axi-cel ", "axi-cel", "tisa-cel", " tisa-cel"], ""),
        (["x", "", "y", ""], "merged-groups"),
        (["x", "x", "y", ""], ""),
        (["", "x", "y", ""], ""),
    ],
)
def test_an_odd_group_is_pointed_out(groups, code):
    rows = "".join(f"{i},{i + 2},{i + 40},{group}\n" for i, group in enumerate(groups))
    found = analysed(f"study,events,n,group\n{rows}".encode())
    assert codes(found) == [code] * bool(code)
    assert all(one.advice for one in cautions_of(found) if one.code == code)


@pytest.mark.parametrize(("longest", "code"), [(45357, "long-follow-up"), (365.25, "")])
def test_a_follow_up_longer_than_a_life_in_trials_is_pointed_out(longest, code):
    found = analysed(f"study,events,n,follow_up\nA,3,40,12\nB,5,50,{longest}\n".encode())
    assert codes(found) == [code] * bool(code)


def test_a_usual_table_has_no_remarks():
    assert codes(analysed(case(1))) == []
    assert codes(analysed(b"study,events,n\nA,0,20\nB,0,20\nC,1,21\nTotality 2019,4,33\n")) == []


def test_swapped_columns_are_named_as_such():
    with pytest.raises(EvidenceError, match="swapped"):
        read_own(b"study,events,n\nA,40,3\nB,50,5\nC,60,7\n", {})


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("First author (year)|No. of cases|Sample size", (0, 1, 2)),
        ("Study_ID|n_events|n_total", (0, 1, 2)),
        ("Autor|Fälle|Gesamt", (0, 1, 2)),
        ("slab|xi|ni", (0, 1, 2)),
        ("EVENTS|N|STUDY", (2, 0, 1)),
        ("First author|Year|Deaths (n)|Patients (N)|%", (0, 2, 3)),
        ("Trial|No response|Total number of responders|Number of participants", (0, 2, 3)),
    ],
)
def test_names_of_real_tables_are_known(header, found):
    names = header.split("|")
    known = guess(names)
    assert tuple(names.index(known[role]) for role in ("study", "events", "n")) == found


def test_the_rows_of_a_frame_keep_their_index_and_missing_counts():
    frame = pd.DataFrame(
        {"study": list("abc"), "events": [3, None, 5], "n": [40, 50, 60]}, index=[7, 8, 9]
    )
    own = read_own(frame, {})
    assert own.data.index.tolist() == [7, 8, 9]
    assert own.data["events"].tolist()[::2] == [3, 5]
    assert open_table(frame).understood == ()


# --- digits follow the numbers ---------------------------------------------------------------


def test_01_rare_events_are_printed_with_two_digits_everywhere():
    made = report(case(1))
    fit = made.analysis.fit
    numbers = (fit.estimate, *fit.ci)
    assert max(numbers) < 0.001  # some 23 per 100,000
    printed = [f"{100 * value:.3f}" for value in numbers]
    assert all(float(text) >= 0.01 for text in printed)  # two digits in each
    answer = f"{printed[0]}% (95%\N{NO-BREAK SPACE}CI {printed[1]} to {printed[2]}%)"
    assert answer in made.answer
    assert answer in made.for_a_paper
    words = re.sub(r"<[^>]+>", " ", made.html)
    words = re.sub(r"I² = 0\.0%", "", words.replace("&lt;", "<"))
    assert not re.search(r"<0\.1%|\b0\.0 to 0\.0\b|\b0\.0%", words)
    assert f"{printed[1]} to {printed[2]}" in made.pictures["forest"].svg
    # the first study by hand: a share of 47 in 177,413
    assert f"{100 * 47 / 177413:.3f} (" in made.pictures["forest"].svg
    shown = in_browser.analyse(case(1).read_bytes())
    assert answer in shown["headline"]
    assert f"{printed[0]}% ({printed[1]} to {printed[2]})" in shown["svg"]
    ticks = re.findall(r">([0-9.]+)%</text>", shown["svg"])
    assert len(set(ticks)) >= 3
    assert float(ticks[-1]) < 0.1


@pytest.mark.parametrize(("events", "n"), [(6, 10), (3, 40), (5, 900), (4, 10**4), (7, 10**6)])
def test_an_estimate_and_its_limits_keep_two_digits(events, n):
    fit = pool(events=[events, events + 1, events + 3], n=[n, n, n], model="common")
    printed = re.findall(r"[0-9.]+(?=%| to)", printing.estimate(fit).replace("95%", ""))
    for text, value in zip(printed, (fit.estimate, *fit.ci), strict=True):
        assert float(text) / 100 == pytest.approx(value, rel=0.05)


# --- tables of all kinds ------------------------------------------------------------------------


def fuzzed(rng):
    """Make a table of counts, its bytes in a random layout, and whether they were damaged."""
    k = int(rng.integers(1, 9))
    n = rng.integers(1, 10 ** rng.integers(1, 6), k)
    events = np.floor(rng.random(k) * (n + 1)).astype(int)
    labels = [
        f"{rng.choice(['Müller', 'O’Hara', 'Li', 'A, B', 'x;y'])} {2000 + i}" for i in range(k)
    ]
    ages = np.round(20 + 60 * rng.random(k), 2)
    header = list([("study", "events", "n"), ("Author", "Cases", "Total")][rng.integers(2)])
    rows = [
        [*header, "note"],
        *([a, str(x), str(y), "t"] for a, x, y in zip(labels, events, n, strict=True)),
    ]
    separator = str(rng.choice([",", ";", "\t", "|"]))
    comma = separator != "," and rng.random() < 0.5
    rows[0].insert(3, "age")
    for row, age in zip(rows[1:], ages, strict=True):
        row.insert(3, f"{age:.2f}".replace(".", "," if comma else "."))
    if rng.random() < 0.3:
        rows.insert(0, ["Table 1"])
    if rng.random() < 0.3:
        rows.insert(int(rng.integers(1, len(rows) + 1)), [""] * 5)
    out = io.StringIO(newline="")
    ends = str(rng.choice(["\n", "\r\n", "\r"]))
    csv.writer(out, delimiter=separator, lineterminator=ends).writerows(rows)
    encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]))
    content = out.getvalue().encode(encoding)
    damaged = rng.random() < 0.4
    if damaged:
        hit = bytearray(content)
        for _ in range(int(rng.integers(1, 6))):
            place = int(rng.integers(len(hit)))
            hit[place : place + int(rng.integers(2))] = bytes(
                rng.integers(0, 256, rng.integers(3)).tolist()
            )
        content = bytes(hit)
    return (labels, events.tolist(), n.tolist(), ages.tolist()), content, damaged


def read_or_refuse(seeds):
    refused = 0
    for seed in seeds:
        expected, content, damaged = fuzzed(np.random.default_rng(seed))
        try:
            own = read_own(content, {}, numeric=["age"])
        except MetaAnalysisError:  # one error with places; anything else is a traceback
            assert damaged, (seed, content)
            refused += 1
            continue
        if not damaged:
            names = [own.roles[role] for role in ("study", "events", "n")]
            found = tuple(own.data[name].tolist() for name in [*names, "age"])
            assert found == expected, (seed, content)
    return refused


@pytest.mark.parametrize("seeds", [range(300), nightly(range(300, 10_300))], ids=str)
def test_tables_in_any_layout_are_read_alike_or_refused(seeds):
    assert 0 < read_or_refuse(seeds) < 0.4 * len(seeds)


# --- effects, clusters, risk of bias --------------------------------------------------------------

TRIALS = b"""Author,HR,LCL,UCL,registry,rob,group
A 2019,0.65,0.48,0.88,EBMT,low,x
B 2020,0.80,0.55,1.16,EBMT,Some concerns,x
C 2020,0.91,0.70,1.18,CIBMTR,High,y
D 2021,0.52,0.30,0.90,CIBMTR,low,y
E 2022,1.10,0.75,1.61,,low,y
F 2022,0.70,0.50,0.98,DESCAR-T,serious,x
"""
HR = np.array([0.65, 0.80, 0.91, 0.52, 1.10, 0.70])
LCL = np.array([0.48, 0.55, 0.70, 0.30, 0.75, 0.50])
UCL = np.array([0.88, 1.16, 1.18, 0.90, 1.61, 0.98])
REGISTRY = np.array([0, 0, 1, 1, 2, 3])
LOG_HR, SE = np.log(HR), np.log(UCL / LCL) / (2 * stats.norm.ppf(0.975))
IN_TRIALS = {"cluster": "registry", "risk_of_bias": "rob"}


@cache
def trials():
    """Report of the trials, made once; reports do not change."""
    return report(TRIALS, **IN_TRIALS)


def restricted(y, parts):
    """Mean and variances by REML: `parts` are matrices that the variances are multiplied with."""

    def inverse(variances):
        within = np.diag(parts[0])
        return np.linalg.inv(within + sum(v * m for v, m in zip(variances, parts[1:], strict=True)))

    def minus(variances):
        weight = inverse(variances)
        total = weight.sum()
        mean = (weight @ y).sum() / total
        rest = y - mean
        return -np.linalg.slogdet(weight)[1] + np.log(total) + rest @ weight @ rest

    starts = [[v] * (len(parts) - 1) for v in (0.001, 0.05, 0.3)]
    bounds = [(0, None)] * (len(parts) - 1)
    tight = {"ftol": 1e-15, "gtol": 1e-11}
    tried = [optimize.minimize(minus, s, bounds=bounds, options=tight) for s in starts]
    best = min(tried, key=lambda one: one.fun)
    weight = inverse(best.x)
    return (weight @ y).sum() / weight.sum(), best.x, weight


def test_ratios_with_limits_are_pooled_as_logarithms():
    made = trials()
    found = made.analysis
    assert found.understood.startswith("'HR' is a ratio; study = 'Author'")
    mean, (tau2,), weight = restricted(LOG_HR, [SE**2, np.eye(6)])
    assert found.fit.estimate == pytest.approx(np.exp(mean), rel=1e-6)
    assert found.fit.tau2 == pytest.approx(tau2, abs=1e-6)
    scale = max(1.0, (weight @ (LOG_HR - mean) ** 2).sum() / 5)
    half = stats.t.ppf(0.975, 5) * np.sqrt(scale / weight.sum())
    assert np.log(found.fit.ci) == pytest.approx([mean - half, mean + half], abs=1e-5)
    common = np.average(LOG_HR, weights=SE**-2.0)
    assert found.beside.estimate == pytest.approx(np.exp(common), rel=1e-9)
    line = np.polyfit(SE, LOG_HR, 1, w=1 / SE)  # Egger's slope
    assert found.tests["Egger"].bias == pytest.approx(line[0], rel=1e-9)
    assert made.answer.startswith("HR: 0.78 (95%\xa0CI 0.61 to 1.00), pooled over six studies.")
    (axis,) = [ax for ax in made.figures["forest"].axes if ax.get_xscale() == "log"]
    assert axis.get_xlabel() == "HR"
    assert [line.get_xdata()[0] for line in axis.lines if line.get_gid() == "null"] == [1.0]


def test_cohorts_of_a_registry_are_pooled_in_three_levels():
    found = trials().analysis
    same = (REGISTRY[:, None] == REGISTRY).astype(float)
    mean, variances, _ = restricted(LOG_HR, [SE**2, same, np.eye(6)])
    assert found.levels.estimate == pytest.approx(np.exp(mean), rel=1e-5)
    assert found.levels.sigma2_between == pytest.approx(variances[0], abs=1e-5)
    assert found.levels.clusters == 4  # a cohort without a registry is a cluster of its own
    assert found.robust.robust == "CR2"
    for cluster, name in enumerate(("EBMT", "CIBMTR", "E 2022 (alone)", "DESCAR-T")):
        keep = cluster != REGISTRY
        mean, *_ = restricted(LOG_HR[keep], [SE[keep] ** 2, np.eye(keep.sum())])
        assert found.without_cluster.loc[name, "estimate"] == pytest.approx(np.exp(mean), rel=1e-5)


def test_the_robust_interval_is_that_of_dense_matrices():
    """CR2 and its degrees of freedom by Pustejovsky and Tipton (2018), equations 3 and 12.

    Their working model here is that of the fit: variance of sampling, clusters and cohorts.
    """
    robust = trials().analysis.robust
    same = (REGISTRY[:, None] == REGISTRY).astype(float)
    mean, variances, _ = restricted(LOG_HR, [SE**2, same, np.eye(6)])
    phi = np.diag(SE**2) + variances[0] * same + variances[1] * np.eye(6)
    w, x = np.linalg.inv(phi), np.ones((6, 1))
    m = np.linalg.inv(x.T @ w @ x)
    left = np.eye(6) - x @ m @ x.T @ w  # residuals of the fit
    pulls, meat = [], 0.0
    for cluster in np.unique(REGISTRY):
        at = np.flatnonzero(cluster == REGISTRY)
        d = np.linalg.cholesky(phi[np.ix_(at, at)]).T
        b = d @ left[at] @ phi @ left[at].T @ d.T
        size, direction = np.linalg.eigh(b)
        half = direction @ np.diag(np.where(size > 1e-12, size, np.inf) ** -0.5) @ direction.T
        adjusted = m @ x[at].T @ w[np.ix_(at, at)] @ d.T @ half @ d
        meat += (adjusted @ (LOG_HR[at] - mean)).item() ** 2
        pulls.append((adjusted @ left[at]).ravel())
    p = np.array(pulls) @ phi @ np.array(pulls).T
    df = np.trace(p) ** 2 / np.trace(p @ p)
    limits = mean + stats.t.ppf([0.025, 0.975], df) * np.sqrt(meat)
    assert np.log(robust.ci) == pytest.approx(limits, abs=2e-4)  # two ways to the variances


def test_ratings_give_groups_a_result_without_high_risk_and_signs_in_the_forest():
    made = trials()
    found = made.analysis
    assert [(name, fit.k) for name, fit in found.ratings] == [
        ("Low risk", 3), ("Some concerns", 1), ("High risk", 2),
    ]  # fmt: skip
    keep = np.array([True, True, False, True, True, False])
    mean, *_ = restricted(LOG_HR[keep], [SE[keep] ** 2, np.eye(4)])
    assert found.low_risk.estimate == pytest.approx(np.exp(mean), rel=1e-5)
    assert "Without the two studies at high risk the estimate is 0.76" in made.html
    words = [text.get_text() for ax in made.figures["forest"].axes for text in ax.texts]
    assert (words.count("+"), words.count("?"), words.count("−")) == (3, 1, 2)
    assert "Risk of bias: + low; ? some concerns; − high" in words


def test_counts_have_clusters_and_ratings_too(undrawn):
    table = (
        b"study,events,n,registry,rob\nA,3,40,x,low\nB,6,50,x,low\nC,5,60,y,high\n"
        b"D,9,70,y,unclear\nE,2,30,z,low\nF,8,90,z,high\n"
    )
    found = report(table, **IN_TRIALS).analysis
    assert (found.levels.model, found.robust.model) == ("glmm", "random")
    events, n = np.array([3, 6, 9, 2]), np.array([40, 50, 70, 30])
    # without variance between studies the binomial likelihood is that of the summed counts
    assert found.low_risk.tau2 == pytest.approx(0.0, abs=1e-8)
    assert found.low_risk.estimate == pytest.approx(events.sum() / n.sum(), rel=1e-6)
    with pytest.raises(EvidenceError, match="a rating: low; some concerns"):
        report(table.replace(b"unclear", b"maybe"), **IN_TRIALS)
    alone = table.replace(b"B,6,50,x", b"B,6,50,v").replace(b"D,9,70,y", b"D,9,70,w")
    told = report(alone.replace(b"F,8,90,z", b"F,8,90,u"), cluster="registry")
    reasons = [one.reason for one in told.not_computed if one.what == "Cohorts within clusters"]
    assert reasons[0].startswith("every cluster has one cohort")


EFFECTS = "study,{},{}\nA,0.2,0.1\nB,0.5,0.2\nC,0.3,0.15\nD,-0.1,0.25\n"


@pytest.mark.parametrize(
    ("names", "scale", "measure"),
    [
        (("yi", "sei"), None, "effect"),
        (("logOR", "SE"), None, "log-ratio"),
        (("yi", "sei"), "logit", "logit"),
    ],
)
def test_effects_with_standard_errors_are_taken_by_their_names(names, scale, measure, undrawn):
    own = read_own(EFFECTS.format(*names).encode(), {}, scale=scale)
    assert own.roles == {"study": "study", "effect": names[0], "se": names[1]}
    fit = report(EFFECTS.format(*names).encode(), scale=scale).analysis.fit
    y, se = np.array([0.2, 0.5, 0.3, -0.1]), np.array([0.1, 0.2, 0.15, 0.25])
    mean, *_ = restricted(y, [se**2, np.eye(4)])
    shown = {"effect": mean, "log-ratio": np.exp(mean), "logit": special.expit(mean)}
    assert (fit.measure, fit.estimate) == (measure, pytest.approx(shown[measure], rel=1e-5))


def test_effects_with_variances_are_pooled_and_their_scripts_say_the_same(tmp_path, undrawn):
    table = b"author,yi,vi\nA,0.2,0.01\nB,0.5,0.04\nC,0.3,0.0225\nD,-0.1,0.0625\n"
    (tmp_path / "effects.csv").write_bytes(table)
    made = report(tmp_path / "effects.csv")
    found = made.analysis
    assert found.understood == "study = 'author', effect = 'yi', variance = 'vi'"
    y, v = np.array([0.2, 0.5, 0.3, -0.1]), np.array([0.01, 0.04, 0.0225, 0.0625])
    mean, *_ = restricted(y, [v, np.eye(4)])
    assert found.fit.estimate == pytest.approx(mean, rel=1e-5)
    assert read_counts(table).vi == pytest.approx(v, rel=1e-15)
    assert "variances are above 0" in made.html
    done = main(
        [
            "report",
            str(tmp_path / "effects.csv"),
            *"--vi vi --quiet --out".split(),
            str(tmp_path / "o"),
        ]
    )
    assert done == 0
    run = [sys.executable, str(tmp_path / "o/again.py")]
    printed = subprocess.run(run, capture_output=True, text=True, check=True)
    pairs = [line.split("\t") for line in printed.stdout.splitlines()]
    assert {name: float(value) for name, value in pairs} == pytest.approx(
        scripts.numbers(found), rel=1e-9
    )
    assert 'vi = table[["vi"]]' in (tmp_path / "o/again.R").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        # metafor: escalc with xi, ni; with xi, ti; effects
        ("author,year,xi,ni", {"study": "author", "events": "xi", "n": "ni"}),
        ("trial,xi,ti", {"study": "trial", "events": "xi", "time": "ti"}),
        ("slab,yi,vi,ni", {"study": "slab", "effect": "yi", "variance": "vi"}),
        ("study,yi,sei", {"study": "study", "effect": "yi", "se": "sei"}),
        # meta: metaprop, metarate, metagen
        ("studlab,event,n", {"study": "studlab", "events": "event", "n": "n"}),
        ("studlab,event,time", None),
        ("studlab,TE,seTE", {"study": "studlab", "effect": "TE", "se": "seTE"}),
        # Stata: metaprop and admetan after an export, RevMan's generic inverse variance
        ("study,es,se_es", {"study": "study", "effect": "es", "se": "se_es"}),
        ("study,_ES,_seES,_LCI,_UCI", {"study": "study", "effect": "_ES", "se": "_seES"}),
        ("Study,Hazard Ratio,CI lower,CI upper", {
            "study": "Study", "effect": "Hazard Ratio", "lower": "CI lower", "upper": "CI upper",
        }),
        ("Study,log[Hazard Ratio],SE", {
            "study": "Study", "effect": "log[Hazard Ratio]", "se": "SE",
        }),
    ],
)  # fmt: skip
def test_names_of_other_programs_are_known(header, roles):
    found, needed = find_roles(header.split(","), {})
    if roles is None:  # a time may be a follow-up: it is asked for
        assert set(needed) - set(found) == {"n"}
    else:
        assert found == roles


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("study,ai,bi,ci,di", "'ai', 'bi', 'ci', 'di' are of two arms"),
        ("study,event.e,n.e,event.c,n.c", "'event.e', 'n.e', 'event.c', 'n.c' are of two arms"),
        ("trial,year,tpos,tneg,cpos,cneg", "'tpos', 'tneg', 'cpos', 'cneg' are of two arms"),
        ("study,xi,mi", "'mi' counts people without the event"),
        ("study,prevalence,n", "'prevalence' is a share: add the counts"),
    ],
)
def test_a_table_of_another_kind_is_told_what_is_missing(header, said):
    row = ",".join(["A", *"3456"][: header.count(",") + 1])
    with pytest.raises(EvidenceError) as caught:
        read_own(f"{header}\n{row}\n".encode(), {})
    assert said in caught.value.problems[0].expected
    with pytest.raises(EvidenceError, match=r"choose it"):
        read_counts(f"{header}\n{row}\n".encode())


def test_an_author_is_the_study_and_an_odds_ratio_the_effect_beside_cases_and_a_country():
    table = b"author year country cases or ci.lb ci.ub\nA 1981 USA 153 1.18 0.9 1.54\n"
    own = read_own(table + b"B 1984 Japan 200 1.45 1.02 2.08\n", {})
    assert own.scale == "ratio"
    assert own.roles == {
        "study": "author", "effect": "or", "lower": "ci.lb", "upper": "ci.ub",
    }  # fmt: skip
    assert guess(["Country", "Cases", "Total"])["study"] == "Country"


def test_what_cannot_be_an_effect_is_refused_or_pointed_out(undrawn):
    with pytest.raises(MetaAnalysisError, match="needs limits"):
        report(EFFECTS.format("OR", "SE").encode())
    with pytest.raises(MetaAnalysisError, match="'se'; 'variance': name one of these"):
        read_own(b"study,y,s,v\nA,1,2,3\n", {"effect": "y", "se": "s", "variance": "v"})
    with pytest.raises(MetaAnalysisError, match="'se'; 'lower' and 'upper': name one of these"):
        read_own(b"study,y,s,l\nA,1,2,3\n", {"effect": "y", "se": "s", "lower": "l"})
    with pytest.raises(EvidenceError, match=r"a column of standard errors \(choose it with --se\)"):
        read_own(b"study,yi\nA,1\n", {"effect": "yi"})
    with pytest.raises(MetaAnalysisError, match=r"counts .* and effects .*: name one of the two"):
        read_own(b"study,x,n,yi,se\nA,1,2,3,4\n", {"events": "x", "effect": "yi"})
    with pytest.raises(EvidenceError, match="at most the number in column 'UCL'"):
        read_own(TRIALS.replace(b"0.88,EBMT", b"0.58,EBMT"), IN_TRIALS)
    raw = report(TRIALS, scale="raw", **IN_TRIALS).analysis
    plain = report(TRIALS, **IN_TRIALS).analysis
    assert "lopsided-limits" not in codes(plain)
    far = report(TRIALS.replace(b"0.65,", b"0.86,"), **IN_TRIALS).analysis
    assert "lopsided-limits" in codes(far)
    assert raw.fit.measure == "effect"


def test_the_command_and_the_script_know_effects(tmp_path, undrawn):
    (tmp_path / "trials.csv").write_bytes(TRIALS)
    made = report(tmp_path / "trials.csv", **IN_TRIALS)
    options = (
        "--cluster registry --risk-of-bias rob --scale ratio --effect HR --quiet --out".split()
    )
    assert main(["report", str(tmp_path / "trials.csv"), *options, str(tmp_path / "out")]) == 0
    run = [sys.executable, str(tmp_path / "out/again.py")]
    printed = subprocess.run(run, capture_output=True, text=True, check=True)
    pairs = [line.split("\t") for line in printed.stdout.splitlines()]
    assert {name: float(value) for name, value in pairs} == pytest.approx(
        scripts.numbers(made.analysis), rel=1e-9
    )


def test_bubble_and_funnel_plots_are_in_the_unit_of_the_report():
    rows = "".join(f"S{i},{3 + i},{4000 + 900 * i},{2000 + i}\n" for i in range(8))
    table = f"study,events,n,year\n{rows}".encode()
    made = report(table, per=1000, covariates="year")
    bubbles, funnel = (made.figures[name].axes[0] for name in ("regression-1", "funnel"))
    assert bubbles.get_ylabel().endswith("per\xa01,000")
    low, high = bubbles.get_ylim()
    estimates = [1000 * (3 + i) / (4000 + 900 * i) for i in range(8)]
    assert low < min(estimates) < max(estimates) < high < 10 * max(estimates)
    assert "per 1,000" in funnel.get_xlabel()
    assert "%" not in "".join(label.get_text() for label in funnel.get_xticklabels())
    for name in ("regression-1", "funnel"):
        assert "per\xa01,000" in made.pictures[name].alt
