"""Headers, layouts, bytes, files and frames that cannot be read say what is wrong and where."""

import zipfile
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from evidence_tools import GOOD, HEADER, only, places, problems

from helpers.errors import MetaAnalysisError
from helpers.evidence import EvidenceError, read_cohorts
from helpers.evidence.pages import record

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


def test_a_record_needs_its_fields_and_no_other():
    @dataclass
    class Step:
        what: str
        pages: tuple[str, ...]
        day: int = 1

    assert record(Step, {"what": "a\n b", "pages": ["x", "y"]}, "") == Step("a b", ("x", "y"))
    with pytest.raises(MetaAnalysisError, match="plan: missing pages; unknown when"):
        record(Step, {"what": "a", "when": "now"}, "plan")
