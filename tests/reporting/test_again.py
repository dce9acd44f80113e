"""The scripts that a report writes give its numbers: again.py on every run, again.R weekly.

again.R needs Rscript with metafor and lme4 (``apt-get install r-cran-metafor r-cran-lme4``).
Where they are missing the weekly run (``make nightly``) fails and says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from nightly import nightly

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


DAILY = ("logit glmm", "arcsine random", "log-rate glmm", "ratio random")
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
    run = subprocess.run(
        command(program), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    lines = [line.split("\t") for line in run.stdout.splitlines() if "\t" in line]
    found = {name.strip(): float(value) for name, value in lines}
    expected = scripts.numbers(analysis)
    if table == "two" and program == "again.R":  # one study alone is nothing for metafor
        expected = {k: v for k, v in expected.items() if not k.startswith("leave-one-out")}
    if program == "again.R":  # the robust interval needs clubSandwich, which Debian has not
        expected = {k: v for k, v in expected.items() if not k.startswith("robust")}
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert len(expected) >= 5
