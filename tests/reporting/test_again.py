"""The scripts that a report writes give its numbers: again.py on every run, again.R weekly.

again.R needs Rscript with metafor and lme4 (``apt-get install r-cran-metafor r-cran-lme4``).
Where they are missing the weekly run (``make nightly``) fails and says so.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from nightly import nightly
from report_tools import EDGE, edge, printed

from helpers import load_cohorts
from helpers.reporting import files, scripts
from helpers.reporting.analysis import ColumnNames, analyse

COHORTS = ColumnNames(
    study="cohort",
    events="nonrelapse_deaths",
    n="patients",
    by="entity",
    follow_up="median_follow_up_months",
    covariates=("year",),
)
SMALLS = ColumnNames(by="group", follow_up="follow_up", covariates=("year",))
SMALL = {
    "study": list("abcdefghijklm"),
    "events": [0, 3, 2, 5, 1, 0, 7, 4, 2, 9, 3, 1, 6],
    "n": [20, 40, 31, 60, 25, 18, 80, 55, 33, 90, 41, 22, 70],
    "group": list("xyxyxyxyxyxyx"),
    "follow_up": [6.5 + i for i in range(13)],
    "year": [2015 + i % 7 for i in range(13)],
}
RATES = {
    "study": list("abcdefghijkl"),
    "events": [0, 3, 2, 5, 1, 0, 7, 4, 2, 9, 3, 1],
    "years": [31.5, 80.0, 45.2, 120.7, 30.1, 22.9, 160.0, 95.3, 60.6, 210.0, 77.7, 18.2],
    "group": list("xyxyxyxyxyxy"),
    "year": [2015 + i % 7 for i in range(12)],
}
EFFECTS = {
    "study": list("abcdefgh"),
    "HR": [0.65, 0.8, 0.91, 0.52, 1.1, 0.7, 0.95, 1.2],
    "low": [0.48, 0.55, 0.7, 0.3, 0.75, 0.5, 0.6, 0.8],
    "high": [0.88, 1.16, 1.18, 0.9, 1.61, 0.98, 1.5, 1.8],
    "registry": list("aabbccdd"),
    "rating": ["low", "low", "high", "some concerns", "serious", "low", "?", "low"],
    "group": list("xyxyxyxy"),
    "year": [2015 + i % 5 for i in range(8)],
}
VARIANCES = {
    "study": list("abcd"),
    "yi": [0.2, 0.5, 0.3, -0.1],
    "vi": [0.01, 0.04, 0.0225, 0.0625],
}
TWO = {"study": ["A", "B"], "events": [3, 5], "n": [40, 50]}


@cache
def made(table: str):
    """Analyses of our cohorts, or of a small table with a measure and a model."""
    if table == "cohorts":
        return analyse(load_cohorts(), COHORTS)
    if table == "two":
        return analyse(pd.DataFrame(TWO), ColumnNames())
    measure, model = table.split()
    if measure.endswith("-rate"):
        roles = ColumnNames(n=None, by="group", covariates=("year",), time="years")
        data = pd.DataFrame(RATES)
        return analyse(data, roles, draws=20, measure=measure, model=model, per=1000)
    if measure == "ratio":
        roles = ColumnNames(
            events=None, n=None, by="group", covariates=("year",), effect="HR", lower="low",
            upper="high", scale="ratio", cluster="registry", risk_of_bias="rating",
        )  # fmt: skip
        return analyse(pd.DataFrame(EFFECTS), roles, model=model)
    if measure == "effect":
        roles = ColumnNames(events=None, n=None, effect="yi", variance="vi", scale="raw")
        return analyse(pd.DataFrame(VARIANCES), roles, model=model)
    return analyse(pd.DataFrame(SMALL), SMALLS, draws=20, measure=measure, model=model)


def command(program: str) -> list[str]:
    """Say how a script is run, and what is missing where it cannot be."""
    if program == "again.py":
        return [sys.executable, program]
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.fail(
            "again.R was not checked: no Rscript (apt-get install r-cran-metafor r-cran-lme4)"
        )
    return [rscript, program]


DAILY = ("logit glmm", "arcsine random", "log-rate glmm", "ratio random", "effect random")
MORE = (
    "raw-rate random",
    "sqrt-rate common",
    "ratio common",
    "double-arcsine random",
    "log random",
    "raw random",
    "logit common",
    "two",
    "cohorts",
)


@pytest.mark.parametrize(
    ("program", "table"),
    [
        *[("again.py", table) for table in DAILY],
        *[nightly("again.R", table) for table in (*DAILY, *MORE)],
    ],
)
def test_a_script_gives_the_numbers_of_the_report(program: str, table: str, tmp_path: Path) -> None:
    analysis = made(table)
    write = {"again.py": scripts.python_script, "again.R": scripts.r_script}[program]
    (tmp_path / program).write_text(write(analysis, "Ours"), encoding="utf-8")
    (tmp_path / scripts.TABLE).write_text(files.table_as_csv(analysis.data), encoding="utf-8")
    found = printed(command(program), tmp_path)
    expected = scripts.numbers(analysis)
    if table == "two" and program == "again.R":  # one study alone is nothing for metafor
        expected = {k: v for k, v in expected.items() if not k.startswith("leave-one-out")}
    if program == "again.R":  # the robust interval needs clubSandwich, which Debian has not
        expected = {k: v for k, v in expected.items() if not k.startswith("robust")}
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert len(expected) >= 5


def test_the_script_gives_the_numbers_of_the_tables_whatever_a_column_is_called(folder):
    made, place = folder
    found = printed(command("again.py"), place)
    row = made.frames()["pooled"].iloc[0]
    assert found["estimate"] == pytest.approx(row["estimate"], rel=1e-12)
    assert found["tau2"] == pytest.approx(row["tau2"], rel=1e-9, abs=1e-12)
    for name, group in made.frames()["groups"].set_index("group")["estimate"].items():
        assert found[f"group {name}"] == pytest.approx(group, rel=1e-12)
    tests = made.frames()["small_study_tests"].set_index("test")["p"]
    for name, p in tests.items():
        assert found[f"p of {name}"] == pytest.approx(p, rel=1e-9)
    slope = made.frames()["meta_regression"]["estimate"].iloc[1]
    assert found["slope of =year"] == pytest.approx(slope, rel=1e-9)
    left = made.analysis.leave_one_out["estimate"]
    assert found["leave-one-out highest"] == pytest.approx(left.max(), rel=1e-12)


def test_the_r_script_prints_the_same_names_beside_the_numbers_of_the_report(folder, ours):
    made, place = folder
    text = (place / "again.R").read_text(encoding="utf-8")
    assert "was not run" in text
    shown = dict(re.findall(r'^show\("([^"]+)", .*# report: (\S+)$', text, flags=re.M))
    assert set(shown) == set(scripts.numbers(made.analysis))
    assert float(shown["estimate"]) == pytest.approx(made.analysis.fit.estimate, rel=1e-5)
    assert 'table[["\'=year"]]' in text  # the heading as the file has it
    whole = scripts.r_script(ours.analysis, "ours")
    assert 'rma.glmm(measure = "PLO", xi = events, ni = n, data = d, slab = study' in whole
    assert 'test = "z", level = level, control = tight)' in whole
    assert 'measure = "IRLN"' in whole
    for script in (text, whole):
        code = re.sub(r'"(\\.|[^"\\])*"|#.*', "", script)
        for opening, closing in ("()", "[]", "{}"):
            assert code.count(opening) == code.count(closing)
        assert '"' not in code


@pytest.mark.parametrize("name", EDGE)
def test_scripts_are_written_for_every_table(name):
    analysis = edge(name).analysis
    ast.parse(scripts.python_script(analysis, 'x\n"""\nimport os'))
    for line in scripts.r_script(analysis, "x\nstop()").splitlines():
        assert line != "stop()"
