"""The error lists its problems, and the book's own tables are checked when loaded."""

import dataclasses
import pickle
import subprocess
import sys

import pytest
from evidence_tools import GOOD, HEADER, places, problems, read

from helpers.errors import MetaAnalysisError
from helpers.evidence import (
    CellProblem,
    EvidenceError,
    codebook,
    data_folder,
    load_cohorts,
    load_published,
    load_sources,
    package,
    read_cohorts,
    tables,
)
from helpers.evidence.__main__ import main

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
    error = EvidenceError([CellProblem("a.csv", None, "", "x", "y")])
    assert str(error) == "1 problem in a.csv:\n  whole file: found 'x', expected y"
    assert error.to_frame()["row"].isna().all()


def test_problems_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CellProblem("a", 1, "b", "c", "d").row = 2


def test_error_survives_pickling():
    error = EvidenceError([CellProblem("a.csv", 3, "n", "x", "y")])
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
    for file in (one for one in data_folder().iterdir() if one.is_file()):
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


def test_a_table_is_checked_once_for_the_same_file_and_each_caller_gets_a_copy(
    copied_data, monkeypatch
):
    checked = []
    check = tables.read_columns
    monkeypatch.setattr(tables, "read_columns", lambda *a, **k: checked.append(1) or check(*a, **k))
    copied_data("cohorts", ",269,7,", ",268,7,")  # a file that no other test has read
    first = load_cohorts()
    first.loc[0, "patients"] = 1
    del first["arm"]
    assert load_cohorts().loc[0, "patients"] == 268
    assert load_cohorts().columns[3] == "arm"
    assert len(checked) == 1
    copied_data("cohorts", ",268,7,", ",267,7,")
    assert load_cohorts().loc[0, "patients"] == 267
    copied_data("cohorts", ",267,7,", ",267,268,")
    for _ in range(2):  # an error is not remembered as a table
        with pytest.raises(EvidenceError):
            load_cohorts()


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
    code = "import sys, helpers.evidence; print({'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
