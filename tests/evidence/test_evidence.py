"""Good tables are read as they are; every kind of bad cell is named in its place."""

import io

import numpy as np
import pandas as pd
import pytest
from evidence_tools import GOOD, HEADER, only, places, problems, read

from helpers.evidence import EvidenceError, load_cohorts, read_cohorts

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
    table = read_cohorts(b"study,events,n,arm\nA,1,2,1\nB,1,2,\n", by="arm")
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
    table = read_cohorts(frame, by="product", numeric="dose")
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
        by="entity",
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
        ("26g", "in plain digits"),
        ("80 pts.", "without the unit or word after it"),
        ("80patients", "without the unit or word after it"),
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
        ("12 months", "without the unit or word after it"),
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
        read_cohorts(b"study,events,n,arm\nA,1,2,x\nB,1,2,x \n", by="arm")
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
