"""The command line: exit status, what goes where, nothing written on wrong input."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest

from helpers.engine.effects import get_measure
from helpers.evidence import data_folder
from helpers.reporting import figures
from helpers.reporting.command import _parser, main

STROKE = data_folder() / "examples" / "stroke.csv"
FIGURES = figures._wanted


@pytest.fixture
def table(tmp_path, monkeypatch, undrawn):
    """Three studies in the folder where the command runs, whose report takes little time."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "mine.csv"
    made.write_text("study,events,n\nA 2020,3,40\nB 2021,6,50\nC 2022,2,60\n")
    return made


def test_a_report_is_made_in_the_named_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("helpers.reporting.exports.figure_files", lambda *_: {})
    out = tmp_path / "mine"
    assert main(["report", str(STROKE), "--out", str(out), "--outcome", "Stroke"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Stroke: ")
    assert said.err.splitlines()[0] == "Checking the table …"
    assert json.loads((out / "results.json").read_text())["columns"]["follow_up"] == "follow_up"
    assert (out / "report.html").is_file()


def test_wrong_input_lists_every_problem_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "bad.csv"
    table.write_text("study,events,n\n" + "A,9,3\n" * 60)
    assert main(["report", str(table)]) == 2
    said = capsys.readouterr().err
    assert (
        said.count("  row ") == 60
    )  # too many events everywhere; a label that is used twice gets its row
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_the_option_that_the_error_on_a_word_names_is_the_one_that_helps(table, capsys):
    table.write_text("study,events,n\nA,3,40\nB,not known,50\nC,ausstehend,60\nD,10 pts,70\n")
    assert main(["report", str(table), "--quiet"]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    named = shlex.split(last.partition("add: ")[2])
    assert named == ["--missing", "not known,ausstehend"]  # a count with a unit is no such word
    table.write_text(table.read_text().replace(" pts", ""))
    assert main(["report", str(table), "--quiet", *named]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--measure", "logist"], "measure"),
        (["--model", "fixed"], "model"),
        (["--measure", "arcsine", "--model", "glmm"], "arcsine"),
        (["--events", "deaths"], "deaths"),
        (["--by", "events"], "one role"),
        (["--level", "95"], "level"),
        (["--covariate", "group"], "column 'group'"),
    ],
)
def test_wrong_options_are_explained(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(STROKE), "--quiet", *options]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_explained(capsys):
    assert main(["report", "nowhere.csv", "--quiet"]) == 2
    assert "no such file" in capsys.readouterr().err


def test_the_default_folder_has_the_name_of_the_table_and_keeps_files_of_the_reader(table, capsys):
    folder = table.parent / "mine-report"
    assert main(["report", str(table), "--quiet"]) == 0
    assert (folder / "report.html").is_file()
    assert capsys.readouterr().err == ""
    mine = folder / "notes.docx"
    mine.write_bytes(b"precious")
    assert main(["report", str(table), "--quiet"]) == 0
    assert mine.read_bytes() == b"precious"
    (folder / "report.html").write_text("with my remarks")
    assert main(["report", str(table), "--quiet"]) == 2
    assert "report.html" in capsys.readouterr().err
    assert (folder / "report.html").read_text() == "with my remarks"


def test_a_disk_that_refuses_is_explained(table, monkeypatch, capsys):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied", "mine-report")

    monkeypatch.setattr("helpers.reporting.files.tempfile.mkdtemp", refuse)
    assert main(["report", str(table), "--quiet"]) == 1
    assert "Permission denied: 'mine-report'" in capsys.readouterr().err


def test_what_is_left_out_and_what_looks_odd_is_said_with_what_to_do(table, capsys):
    table.write_text("study,events,n\nA,3,40\nB,6,50\nC,NR,60\nTotal,9,90\n")
    assert main(["report", str(table)]) == 0
    said = capsys.readouterr().err.splitlines()
    (left,) = [line for line in said if line.startswith("Left out: ")]
    assert left.startswith("Left out: C (row 4): ")
    (caution,) = [line for line in said if line.startswith("Caution: ")]
    assert "“Total” (row 5)" in caution
    assert caution.endswith("Delete the row if it is a total, and run the report again.")
    assert said[-1] == caution  # behind the progress, beside the answer
    assert main(["report", str(table), "--quiet"]) == 0
    assert capsys.readouterr().err.splitlines() == [caution]


def test_a_long_computation_is_said_by_the_progress_alone(table, monkeypatch, capsys):
    table.write_text("study,events,n,group\n" + "".join(f"{i},{i},40,{i % 2}\n" for i in range(8)))
    monkeypatch.setattr("helpers.engine.cost._WORTH_SAYING", 0.0)
    monkeypatch.setattr(figures, "_wanted", FIGURES)  # drawing has computations of its own
    monkeypatch.setattr("helpers.reporting.exports.figure_files", lambda *_: {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be an error, and that a traceback
        assert main(["report", str(table)]) == 0
    assert "Calibrated test between groups …" in capsys.readouterr().err.splitlines()


def test_the_module_runs_as_a_program():
    command = [sys.executable, "-m", "helpers", "template"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == (data_folder() / "template.csv").read_text()


@pytest.mark.parametrize("command", ["", "template", "report"])
def test_the_help_of_each_command_has_an_example_and_every_exit_status(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([*command.split(), "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 90
    statuses = re.findall(r"^  ([0-9])  \S", said.partition("exit status:")[2], flags=re.MULTILINE)
    assert statuses == ["0", "1", "2"]
    examples = re.findall(r"^  nrm-meta (.+)", said, flags=re.MULTILINE)
    assert any(one.startswith(command) for one in examples)
    for one in examples:  # each is understood
        words = shlex.split(one.partition(" >")[0])
        assert _parser().parse_args(words).command == words[0]


def test_an_option_that_does_not_exist_has_the_status_of_wrong_input(capsys):
    with pytest.raises(SystemExit) as left:
        main(["report", "my.csv", "--evnts", "x"])
    assert left.value.code == 2
    assert "--evnts" in capsys.readouterr().err


BOOK = Path(__file__).parents[2] / "book"
COMMANDS = sorted(
    {
        (path.name, command)
        for path in [*BOOK.glob("*.md"), *BOOK.glob("*.ipynb"), *BOOK.parent.glob("README.md")]
        for source in (
            [cell.source for cell in nbformat.read(path, 4).cells]
            if path.suffix == ".ipynb"
            else [path.read_text(encoding="utf-8")]
        )
        for command in re.findall(r"(?:nrm-meta|-m helpers) ((?:report|template)[^`\n]*)", source)
    }
)


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_each_command_that_a_page_prints_is_understood(page, command):
    words = shlex.split(command.partition(" >")[0])
    options = _parser().parse_args(words)
    assert options.command == words[0]
    if getattr(options, "measure", None):
        assert get_measure(options.measure).name == options.measure


def test_the_commands_of_the_pages_are_found():
    assert {page for page, _ in COMMANDS} >= {"your_own_table.ipynb", "migration.ipynb"}
