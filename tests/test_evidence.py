"""Bad input of every kind gets one error that names file, row, column, value and expectation."""

import dataclasses
import io
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from helpers.errors import MetaAnalysisError
from helpers.evidence import (
    EvidenceError,
    Problem,
    codebook,
    data_folder,
    load_cohorts,
    load_published,
    load_sources,
    package,
    read_cohorts,
)
from helpers.evidence.__main__ import main

HEADER = "study,events,n,months,rate"
GOOD = f"{HEADER}\nA 2020,3,40,12.5,0.075\nB 2021,0,25,,\n"


def read(text, **options):
    content = text.encode("utf-8") if isinstance(text, str) else text
    return read_cohorts(content, follow_up="months", reported_rate="rate", **options)


def problems(text, **options):
    with pytest.raises(EvidenceError) as caught:
        read(text, **options)
    return caught.value.problems


def only(text, **options):
    found = problems(text, **options)
    assert len(found) == 1, found
    return found[0]


def places(found):
    return [(problem.row, problem.column, problem.value) for problem in found]


# what is read ---------------------------------------------------------------------------------


def test_good_table_is_typed():
    table = read(GOOD)
    assert table["study"].tolist() == ["A 2020", "B 2021"]
    assert table["events"].tolist() == [3, 0]
    assert table.dtypes.astype(str).tolist() == ["str", "int64", "int64", "float64", "float64"]
    assert table["months"].isna().tolist() == [False, True]


def test_columns_keep_the_readers_names_order_and_company():
    text = "note,Patients,id,Deaths,Label,dose\nx y ,40,007,3,A,1e-3\n,25,12,0,B,\n"
    table = read_cohorts(text.encode(), study="Label", events="Deaths", n="Patients")
    assert list(table) == ["note", "Patients", "id", "Deaths", "Label", "dose"]
    assert table["note"].tolist()[0] == "x y "
    assert table["note"].isna().tolist() == [False, True]
    assert table["id"].tolist() == ["007", "12"]
    assert table["dose"].tolist()[0] == 0.001


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-2"], "int64"),
        (["1", ""], "Int64"),
        (["1.50", "2"], "float64"),
        (["", "2.5"], "float64"),
        (["1,5", "2"], "str"),
        (["NA", "2"], "str"),
        (["", ""], "str"),
        (["12345678901234567890", "1"], "float64"),
        (["1e999", "1"], "str"),
        (["1_0", "1"], "str"),
    ],
)
def test_columns_nobody_named_become_numbers_only_if_every_cell_is_one(cells, dtype):
    text = "study,events,n,extra\n" + "".join(
        f'{label},1,2,"{cell}"\n' for label, cell in zip("AB", cells, strict=True)
    )
    assert str(read_cohorts(text.encode())["extra"].dtype) == dtype


def test_words_for_missing_are_ordinary_labels():
    table = read_cohorts(b"study,events,n\nNA,1,2\nNone,1,2\nnan,1,2\nnull,1,2\n")
    assert table["study"].tolist() == ["NA", "None", "nan", "null"]


def test_byte_order_mark_line_ends_and_blank_lines_carry_no_value():
    plain = read(GOOD)
    for variant in (
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace("\n", "\n\n").encode(),
        GOOD.removesuffix("\n").encode(),
    ):
        pd.testing.assert_frame_equal(read(variant), plain)


def test_every_way_of_handing_over_a_table_gives_the_same(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(GOOD, encoding="utf-8")
    plain = read(GOOD)
    with path.open("rb") as binary, path.open(encoding="utf-8") as text:
        for source in (path, str(path), binary, text, io.StringIO(GOOD), io.BytesIO(GOOD.encode())):
            table = read_cohorts(source, follow_up="months", reported_rate="rate")
            pd.testing.assert_frame_equal(table, plain)
    pd.testing.assert_frame_equal(
        read_cohorts(plain, follow_up="months", reported_rate="rate"), plain
    )


def test_group_is_text_and_may_be_empty():
    table = read_cohorts(b"study,events,n,arm\nA,1,2,1\nB,1,2,\n", group="arm")
    assert table["arm"].tolist()[0] == "1"
    assert table["arm"].isna().tolist() == [False, True]


def test_frame_passed_in_is_not_changed_and_keeps_its_index():
    frame = pd.DataFrame(
        {
            "study": [12, 7],
            "events": [3.0, 0.0],
            "n": np.array([40, 25], dtype="int32"),
            "product": pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True),
            "dose": [1.5, None],
        },
        index=[30, 10],
    )
    before = frame.copy(deep=True)
    table = read_cohorts(frame, group="product", numeric="dose")
    pd.testing.assert_frame_equal(frame, before)
    assert table.index.tolist() == [30, 10]
    assert table["study"].tolist() == ["12", "7"]
    assert table.dtypes[["events", "n"]].astype(str).tolist() == ["int64", "int64"]
    pd.testing.assert_series_equal(table["product"], before["product"])
    pd.testing.assert_series_equal(table["dose"], before["dose"])
    table.loc[30, "events"] = 9
    pd.testing.assert_frame_equal(frame, before)


def test_our_own_table_passes_as_a_readers_table():
    cohorts = load_cohorts()
    table = read_cohorts(
        cohorts,
        study="cohort",
        events="nonrelapse_deaths",
        n="patients",
        group="entity",
        follow_up="median_follow_up_months",
        reported_rate="reported_nrm",
    )
    pd.testing.assert_frame_equal(table, cohorts)


# bad cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("", "a whole number, 0 or more"),
        ("-1", "a whole number, 0 or more"),
        ("12.5", "without decimals"),
        ("12.0", "without decimals"),
        ("4,5", "without decimals"),
        ("1,297", "without thousands separators"),
        ("1 297", "without thousands separators"),
        ("1'297", "without thousands separators"),
        ("1e3", "in plain digits"),
        ("0x1F", "in plain digits"),
        ("1_000", "in plain digits"),
        ("+3", "in plain digits"),
        ("-0x1", "in plain digits"),
        ("007", "without leading zeros"),
        ("\uff11\uff12", "in the plain digits 0-9"),
        ("٣", "in the plain digits 0-9"),
        (" 3", "without spaces around it"),
        ("3 ", "without spaces around it"),
        ("3\u00a0", "without spaces around it"),
        ("inf", "a whole number"),
        ("nan", "a whole number"),
        ("NA", "a whole number"),
        ("three", "a whole number"),
        ("5%", "without a percent sign"),
        ("TRUE", "a whole number"),
        ("9007199254740993", "not above 2^53"),
        ("9" * 400, "not above 2^53"),
        ("\u22123", "in the plain digits 0-9"),
        ("  ", "without spaces around it"),
    ],
)
@pytest.mark.parametrize("column", ["events", "n"])
def test_bad_count_is_named(value, hint, column):
    cells = {"events": "3", "n": "40"} | {column: value}
    text = f'{GOOD}C 2022,"{cells["events"]}","{cells["n"]}",6,0.1\n'
    problem = only(text)
    assert (problem.file, problem.row, problem.column) == ("bytes", 4, column)
    assert problem.value == value
    assert hint.replace("0 or more", "1 or more" if column == "n" else "0 or more") in (
        problem.expected
    )


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("0", "a number above 0"),
        ("-2", "a number above 0"),
        ("inf", "a number above 0"),
        ("Infinity", "a number above 0"),
        ("NA", "leave the cell empty"),
        ("nan", "leave the cell empty"),
        ("-", "leave the cell empty"),
        ("4,5", "with a decimal point and no comma"),
        ("1,297", "without thousands separators"),
        ("1e3", "in plain digits"),
        ("9" * 400, "a number above 0"),
        ("12 months", "in plain digits"),
        (" 4.5", "without spaces"),
        ("\uff11", "in the plain digits"),
    ],
)
def test_bad_follow_up_is_named(value, hint):
    problem = only(f'{GOOD}C 2022,3,40,"{value}",0.1\n')
    assert (problem.row, problem.column, problem.value) == (4, "months", value)
    assert hint in problem.expected
    assert "empty cell" in problem.expected


@pytest.mark.parametrize("value", ["1.01", "-0.1", "4.9", "4.9%", "0,049", "NA", "inf"])
def test_bad_reported_rate_is_named(value):
    problem = only(f'{GOOD}C 2022,3,40,6,"{value}"\n')
    assert (problem.row, problem.column, problem.value) == (4, "rate", value)
    assert problem.expected.startswith("a number from 0 to 1")


@pytest.mark.parametrize("value", [".5", "0", "1", "0.0500", "1.0"])
def test_plain_rates_are_read(value):
    assert read(f"{GOOD}C 2022,3,40,6,{value}\n")["rate"].iloc[2] == float(value)


def test_numeric_columns_are_checked_when_named():
    text = "study,events,n,age\nA,1,2,61\nB,1,2,NA\n"
    assert read_cohorts(text.encode())["age"].tolist() == ["61", "NA"]
    with pytest.raises(EvidenceError) as caught:
        read_cohorts(text.encode(), numeric=["age"])
    assert places(caught.value.problems) == [(3, "age", "NA")]


def test_events_above_n_are_named_at_the_events():
    problem = only(GOOD + "C 2022,41,40,6,0.1\n")
    assert (problem.row, problem.column, problem.value) == (4, "events", "41")
    assert problem.expected == "at most the number in column 'n'"


def test_events_equal_to_n_are_fine_and_n_is_at_least_one():
    assert len(read(GOOD + "C 2022,40,40,6,0.1\n")) == 3
    assert places(problems(GOOD + "C 2022,0,0,6,0.1\n")) == [(4, "n", "0")]


@pytest.mark.parametrize("label", [" C", "C ", "\u00a0C", " ", "\t"])
def test_spaces_around_a_label_are_an_error(label):
    problem = only(f"{GOOD}{label},3,40,6,0.1\n")
    assert (problem.row, problem.column, problem.value) == (4, "study", label)
    assert "without spaces around it" in problem.expected


def test_spaces_around_a_group_are_an_error():
    with pytest.raises(EvidenceError) as caught:
        read_cohorts(b"study,events,n,arm\nA,1,2,x\nB,1,2,x \n", group="arm")
    assert places(caught.value.problems) == [(3, "arm", "x ")]


def test_blank_label_is_an_error():
    assert places(problems(GOOD + ",3,40,6,0.1\n")) == [(4, "study", "")]


def test_repeated_label_names_the_first_use():
    found = problems(GOOD + "A 2020,1,2,,\nC,1,2,,\nA 2020,1,2,,\n")
    assert places(found) == [(4, "study", "A 2020"), (6, "study", "A 2020")]
    assert {problem.expected for problem in found} == {"a value used once (also in row 2)"}


def test_all_problems_come_in_one_error_in_the_order_of_the_file():
    text = (
        f"{HEADER}\n"
        'A,12.5,"1,297",inf,NA\n'
        "B,3\n"
        '"C\r\nquoted\n",41,40,6,2\n'
        "\n"
        ",,,,\n"
        ",-1,0,0,\n"
        "A,1,2,3,0.5\n"
    )
    assert places(problems(text)) == [
        (2, "events", "12.5"),
        (2, "n", "1,297"),
        (2, "months", "inf"),
        (2, "rate", "NA"),
        (3, "", "2 cells"),
        (4, "study", "C\r\nquoted\n"),
        (4, "events", "41"),
        (4, "rate", "2"),
        (8, "", "an empty record"),
        (9, "study", ""),
        (9, "events", "-1"),
        (9, "n", "0"),
        (9, "months", "0"),
        (10, "study", "A"),
    ]


# bad headers and layouts ----------------------------------------------------------------------


def test_missing_columns_are_all_named():
    found = problems("Study,events\nA,1\n")
    assert places(found) == [
        (1, name, "Study, events") for name in ("study", "n", "months", "rate")
    ]


def test_repeated_blank_and_padded_headers_are_named():
    found = problems(f"{HEADER},events, x ,\nA,1,2,,,3,4,5\n")
    assert [(problem.row, problem.column) for problem in found] == [
        (1, "events"),
        (1, " x "),
        (1, "(column 8)"),
    ]
    assert [problem.expected for problem in found] == [
        "a column name used once",
        "a column name without spaces around it",
        "a name for this column",
    ]


def test_padded_name_of_a_needed_column_is_explained():
    found = problems(GOOD.replace("events", "events "))
    assert [(problem.row, problem.column) for problem in found] == [(1, "events"), (1, "events ")]


@pytest.mark.parametrize(
    ("separator", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_other_separators_are_explained(separator, word, quote):
    names = separator.join(f"{quote}{name}{quote}" for name in HEADER.split(","))
    problem = only(f"{names}\nA{separator}1{separator}2{separator}4,5{separator}\n")
    assert (problem.row, problem.column) == (1, "")
    assert f"commas, not {word}" in problem.expected
    assert "CSV UTF-8 (comma delimited)" in problem.expected


def test_semicolons_are_recognised_when_a_name_holds_a_comma():
    assert "semicolons" in only("study;events;n;months;rate;n, total\nA;1;2;;;3\n").expected


@pytest.mark.parametrize("record", ["C,1,2", "C,1,2,3,0.5,6", "C,3,40,4,5,0.1"])
def test_ragged_records_are_named(record):
    problem = only(f"{GOOD}{record}\n")
    assert (problem.row, problem.column) == (4, "")
    assert problem.value == f"{record.count(',') + 1} cells"
    assert problem.expected.startswith("5 cells as in the header")


@pytest.mark.parametrize("record", ['"C,1,2,3,0.5\nD,1,2,3,0.5\n', '"C"x,1,2,3,0.5\n'])
def test_broken_quotes_are_named_with_what_came_before(record):
    found = problems(f"{GOOD}X,-1,40,6,0.1\n{record}")
    assert [(problem.row, problem.column) for problem in found] == [(4, "events"), (5, "")]
    assert "matching quotes" in found[1].expected


def test_a_broken_quote_in_the_header_is_named():
    assert only('study,"events,n\nA,1,2\n').row == 1


@pytest.mark.parametrize("content", [b"", b"\n\r\n", b"\xef\xbb\xbf"])
def test_empty_file(content):
    problem = only(content)
    assert (problem.row, problem.value) == (None, "an empty file")


def test_header_only():
    problem = only(HEADER + "\n")
    assert (problem.row, problem.expected) == (2, "at least one record")


# bad bytes and files --------------------------------------------------------------------------


def test_latin_1_is_named_cell_by_cell():
    text = "study,events,n,months,rate,place\nGraña,1,2,,,x\nB,1,2,,,\nC,1,2,,,Malmö\n"
    found = problems(text.encode("latin-1"))
    assert places(found) == [(2, "study", "Gra\ufffda"), (4, "place", "Malm\ufffd")]
    assert all("UTF-8" in problem.expected for problem in found)
    assert str(EvidenceError(found)).encode("utf-8")


def test_latin_1_in_the_header_is_named():
    found = problems((HEADER + ",âge\nA,1,2,,,3\n").encode("latin-1"))
    assert places(found) == [(1, "\ufffdge", "\ufffdge")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_wide_encodings_are_recognised(encoding):
    problem = only(GOOD.encode(encoding))
    assert problem.row is None
    assert "UTF-16" in problem.value or "UTF-32" in problem.value
    assert "CSV UTF-8" in problem.expected


def test_nul_bytes_are_named_cell_by_cell():
    text = GOOD + "C\0,1,2,,\nD,1\0,2,,\n"
    assert places(problems(text)) == [(4, "study", "C\0"), (5, "events", "1\0")]


def test_excel_files_are_recognised(tmp_path):
    path = tmp_path / "mine.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(EvidenceError, match="spreadsheet or zip file") as caught:
        read_cohorts(path)
    assert caught.value.problems[0].file == str(path)
    assert "old Excel" in only(b"\xd0\xcf\x11\xe0\xa1\xb1").value


def test_missing_file_folder_and_text_in_place_of_a_path(tmp_path):
    for source, value in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path, "a folder"),
        ("study,events,n\nA,1,2\n", "no such file"),
        ("a\0b", "embedded null byte"),
        ("x" * 5000, "File name too long"),
    ):
        with pytest.raises(EvidenceError) as caught:
            read_cohorts(source)
        (problem,) = caught.value.problems
        assert problem.file == str(source)
        assert value in problem.value


def test_text_stream_in_another_encoding(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes("study,events,n\nGraña,1,2\n".encode("latin-1"))
    with path.open(encoding="utf-8") as stream, pytest.raises(EvidenceError) as caught:
        read_cohorts(stream)
    assert "UTF-8" in caught.value.problems[0].expected


@pytest.mark.parametrize("source", [7, None, ["study"], {"study": ["A"]}])
def test_things_that_are_no_table(source):
    with pytest.raises(EvidenceError, match=r"a path, bytes, a file open for reading"):
        read_cohorts(source)


def test_stream_of_something_else():
    class Stream:
        def read(self):
            return 7

    with pytest.raises(EvidenceError, match="text or bytes"):
        read_cohorts(Stream())


# bad frames -----------------------------------------------------------------------------------


def frame_problems(frame, **options):
    with pytest.raises(EvidenceError) as caught:
        read_cohorts(frame, **options)
    assert {problem.file for problem in caught.value.problems} == {"data frame"}
    return [(problem.row, problem.column, problem.value) for problem in caught.value.problems]


def test_bad_cells_of_a_frame_are_named():
    frame = pd.DataFrame(
        {
            "study": ["A", None, "C ", "D", 2.5, "F"],
            "events": [1, 12.5, np.inf, True, "1,0", pd.Timestamp(2020, 1, 1)],
            "n": ["2", "x", np.nan, 0, 10, 10],
        }
    )
    assert frame_problems(frame) == [
        (3, "study", ""),
        (3, "events", "12.5"),
        (3, "n", "x"),
        (4, "study", "C "),
        (4, "events", "inf"),
        (4, "n", ""),
        (5, "events", "True"),
        (5, "n", "0"),
        (6, "study", "2.5"),
        (6, "events", "1,0"),
        (7, "events", "2020-01-01 00:00:00"),
    ]


def test_repeated_index_labels_are_named():
    frame = pd.DataFrame({"study": ["A", "B"], "events": [1, 1], "n": [2, 2]}, index=["x", "x"])
    assert frame_problems(frame) == [(3, "(index)", "x")]


def test_repeated_columns_of_a_frame_are_named():
    frame = pd.DataFrame([["A", 1, 2, 3]], columns=["study", "events", "n", "n"])
    assert frame_problems(frame) == [(1, "n", "n")]


def test_frames_without_rows_or_with_two_header_rows_are_refused():
    frame = pd.DataFrame({"study": [], "events": [], "n": []})
    assert frame_problems(frame) == [(2, "", "nothing")]
    nested = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")]))
    assert frame_problems(nested) == [(None, "", "several header rows")]


def test_arrays_in_cells_are_refused():
    frame = pd.DataFrame({"study": ["A"], "events": [np.array([1, 2])], "n": [2]})
    assert frame_problems(frame) == [(2, "events", "[1 2]")]


# the error ------------------------------------------------------------------------------------


def test_error_is_one_of_ours_and_lists_its_problems():
    with pytest.raises(MetaAnalysisError) as caught:
        read(GOOD + "C,41,40,0,0.1\n")
    error = caught.value
    assert str(error) == (
        "2 problems in bytes:\n"
        "  row 4, column 'events': found '41', expected at most the number in column 'n'\n"
        "  row 4, column 'months': found '0', expected a number above 0, or an empty cell"
    )
    table = error.to_frame()
    assert list(table) == ["file", "row", "column", "value", "expected"]
    assert table["row"].tolist() == [4, 4]
    assert str(table["row"].dtype) == "Int64"
    assert table["column"].tolist() == ["events", "months"]


def test_problem_of_the_whole_file_has_no_row():
    error = EvidenceError([Problem("a.csv", None, "", "x", "y")])
    assert str(error) == "1 problem in a.csv:\n  whole file: found 'x', expected y"
    assert error.to_frame()["row"].isna().all()


def test_problems_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Problem("a", 1, "b", "c", "d").row = 2


def test_error_survives_pickling():
    error = EvidenceError([Problem("a.csv", 3, "n", "x", "y")])
    copy = pickle.loads(pickle.dumps(error))
    assert copy.problems == error.problems
    assert str(copy) == str(error)


def test_a_very_long_list_is_cut_in_the_message_alone():
    rows = "".join(f"S{place},-1,2,,\n" for place in range(200))
    found = problems(f"{HEADER}\n{rows}")
    assert len(found) == 200
    assert [problem.row for problem in found] == list(range(2, 202))
    assert str(EvidenceError(found)).endswith(
        "and 150 more; .problems and .to_frame() have them all"
    )


def test_one_column_cannot_have_two_roles():
    with pytest.raises(MetaAnalysisError, match="one role only"):
        read_cohorts(b"study,events,n\nA,1,2\n", events="n")


# our own tables -------------------------------------------------------------------------------


@pytest.fixture
def copied_data(tmp_path, monkeypatch):
    for file in data_folder().iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for module in ("helpers.evidence.package", "helpers.evidence.tables"):
        monkeypatch.setattr(f"{module}.data_folder", lambda: tmp_path)

    def change(table, old, new):
        path = tmp_path / f"{table}.csv"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")

    return change


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (",269,7,", ",269,270,", (2, "nonrelapse_deaths", "270")),
        (",269,7,", ",269.0,7,", (2, "patients", "269.0")),
        (",LBCL,liso-cel", ",lbcl,liso-cel", (2, "entity", "lbcl")),
        (",trial,1,", ",trial,,", (2, "phase", "")),
        (",trial,1,", ",real-world,1,", (2, "phase", "1")),
        ("Abramson 2020,Abramson,2020", "Abramson 2020,Abramson,2021", (2, "cohort", None)),
        ("Abramson 2020,Abramson,2020", "Abramson 2020,Abramson,1999", (2, "year", "1999")),
        (",11.0,0.104,12", ",11.0,,12", (5, "reported_nrm", "")),
        (",11.0,0.104,12", ",11.0,10.4,12", (5, "reported_nrm", "10.4")),
        ("Akthar 2023,Akthar,2023", "Abramson 2020,Akthar,2023", (3, "cohort", None)),
    ],
)
def test_wrong_cells_of_our_table_are_named(copied_data, old, new, place):
    copied_data("cohorts", old, new)
    with pytest.raises(EvidenceError) as caught:
        load_cohorts()
    found = caught.value.problems
    assert {problem.file for problem in found} == {"data/cohorts.csv"}
    row, column, value = place
    assert (row, column) in [(problem.row, problem.column) for problem in found]
    if value is not None:
        assert value in [problem.value for problem in found]


def test_unknown_and_missing_columns_of_our_table_are_named(copied_data):
    copied_data("cohorts", "cohort,first_author,year,arm,", "cohort,first_author,year,branch,")
    with pytest.raises(EvidenceError) as caught:
        load_cohorts()
    assert {(problem.row, problem.column) for problem in caught.value.problems} == {
        (1, "arm"),
        (1, "branch"),
    }


@pytest.mark.parametrize(
    ("name", "old", "new", "place"),
    [
        ("coefficients", "<.0001", "< 0.0001", (2, "p")),
        ("coefficients", "-2.6821", "-2.0821", (2, "estimate")),
        ("coefficients", "product,axi-cel", "product,", (3, "reference")),
        ("coefficients", "LBCL: product,tisa-cel", "LBCL: product,liso-cel", (4, "model")),
        ("regressions", "0.0579", "0,0579", None),
        ("pooled", ",52,574,7604,", ",52,7605,7604,", (2, "nonrelapse_deaths")),
        ("pooled", "0.05778212547975631", "0.15778212547975631", (2, "random_estimate")),
        ("tests", "bias,-1.2086", "bias,", (2, "estimate")),
    ],
)
def test_wrong_cells_of_published_tables_are_named(copied_data, name, old, new, place):
    copied_data(f"published_{name}", old, new)
    with pytest.raises(EvidenceError) as caught:
        load_published(name)
    (problem,) = caught.value.problems
    if place is None:
        assert problem.value == "16 cells"
    else:
        assert (problem.row, problem.column) == place


def test_doi_must_match_its_status(copied_data):
    copied_data("sources", "10.1016/S0140-6736(20)31366-0,confirmed", ",confirmed")
    with pytest.raises(EvidenceError) as caught:
        load_sources()
    assert places(caught.value.problems) == [(2, "doi", "")]


def test_each_load_gives_a_fresh_table():
    first = load_cohorts()
    first.loc[0, "patients"] = 1
    assert load_cohorts().loc[0, "patients"] == 269


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(EvidenceError, match=r"pooled \| regressions"):
        load_published("models")
    with pytest.raises(EvidenceError, match=r"cohorts \| causes"):
        codebook("cohort")


def test_missing_data_folder_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "__file__", str(tmp_path / "helpers" / "evidence" / "package.py"))
    with pytest.raises(EvidenceError, match="clone the book"):
        load_cohorts()


def test_command_renews_sizes_and_hashes(copied_data, capsys):
    assert main(["--check"]) == 0
    copied_data("cohorts", ",269,7,", ",268,7,")
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == "out of date: cohorts\n"
    assert main([]) == 0
    assert capsys.readouterr().out == "renewed: cohorts\n"
    assert main(["--check"]) == 0


def test_renewing_changes_nothing_else(copied_data, tmp_path):
    path = tmp_path / "datapackage.json"
    before = path.read_text(encoding="utf-8").split("\n")
    copied_data("template", "Example 2021", "Example 2020")
    assert package.refresh(write=True) == ["template"]
    after = path.read_text(encoding="utf-8").split("\n")
    changed = [one for one, other in zip(after, before, strict=True) if one != other]
    assert len(changed) == 1
    assert '"hash": "sha256:' in changed[0]


def test_import_is_light():
    code = "import sys, helpers.evidence; print({'pandas', 'pandera'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
