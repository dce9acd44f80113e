"""Sums behind the lessons, computed again: the hand-out, plans for an interval, agreement."""

from __future__ import annotations

import csv
import html
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from helpers.errors import MetaAnalysisError
from helpers.evidence import data_folder
from helpers.teaching import cohorts_needed, handout, kappa, planning_table
from helpers.teaching.__main__ import main
from helpers.teaching.design import expected_prediction
from helpers.teaching.handouts import records_sheet

HELPERS = Path(records_sheet.__code__.co_filename).parent

Z = 1.959964


def expit(y):
    return 1 / (1 + np.exp(-y))


def test_the_key_of_the_handout_is_what_its_table_gives_by_hand():
    with (data_folder() / "examples" / "ankylosing_spondylitis.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    x, n = (np.array([float(row[name]) for row in rows]) for name in ("events", "n"))
    y, v = np.log(x / (n - x)), 1 / x + 1 / (n - x)
    w, k = 1 / v, len(x)
    mean = (w * y).sum() / w.sum()
    q = (w * (y - mean) ** 2).sum()
    tau2 = max(0.0, (q - (k - 1)) / (w.sum() - (w**2).sum() / w.sum()))
    w2 = 1 / (v + tau2)
    mu, se = (w2 * y).sum() / w2.sum(), w2.sum() ** -0.5
    new = stats.t.ppf(0.975, k - 2) * np.sqrt(tau2 + se**2)
    ends = np.array([-1, 1])
    shares = [x.sum() / n.sum(), expit(mean), *expit(mu + Z * se * ends), *expit(mu + new * ends)]
    made = handout().results
    texts = [made[name] for name in made if not re.match("Q|Variance|Weighted mean", name)]
    printed = [float(number) for text in texts for number in re.findall(r"[\d.]+", text)]
    assert printed == pytest.approx([100 * share for share in shares], abs=0.051)
    *_, sums = handout().worked.itertuples(index=False, name=None)
    told = [float(str(cell).replace("−", "-")) for cell in (*sums[1:3], *sums[-2:])]
    assert told == pytest.approx([x.sum(), n.sum(), w.sum(), (w * y).sum()], abs=0.0051)
    logit = made["Weighted mean of the logits"].split(",")[0].replace("−", "-")
    assert float(logit) == pytest.approx(mean, abs=5.1e-4)
    assert float(made["Q"].split()[0]) == pytest.approx(q, abs=0.0051)
    assert float(made["Variance between the trials"]) == pytest.approx(tau2, abs=5.1e-5)


def test_the_sheet_has_the_table_and_no_answer_and_the_key_has_both(tmp_path, capsys):
    assert main(["handout", "--out", str(tmp_path)]) == 0
    sheet = (tmp_path / "students" / "handout.html").read_text("utf-8")
    key = html.unescape((tmp_path / "teacher" / "handout_key.html").read_text("utf-8"))
    made = handout()
    for row in made.table.itertuples():
        assert f"<td>{row.trial}</td><td>{row.improved}</td><td>{row.people}</td>" in sheet
    assert not any(value in sheet for value in made.results.values())
    assert all(value in key for value in made.results.values())
    assert "handout_key.html" in capsys.readouterr().out


@pytest.mark.parametrize(("k", "mu", "tau", "size"), [(3, -2.0, 0.3, 50), (25, -2.6, 0.45, 90)])
def test_a_planned_interval_is_the_formula(k, mu, tau, size):
    p = expit(mu)
    v = 1 / (size * p * (1 - p))
    half = stats.t.ppf(0.975, k - 2) * np.sqrt(tau**2 + (tau**2 + v) / k)
    found = expected_prediction(k, mu=mu, tau=tau, size=size)
    assert found == pytest.approx(expit(np.array([mu - half, mu + half])))


def test_the_fewest_cohorts_are_the_fewest():
    truth = {"mu": -2.6, "tau": 0.45, "size": 90}
    width = {k: np.diff(expected_prediction(k, **truth))[0] for k in range(3, 200)}
    for wanted in (0.25, 0.15, 0.14):
        assert cohorts_needed(wanted, **truth) == min(k for k, w in width.items() if w <= wanted)
    low, high = expected_prediction(None, **truth)
    assert (low, high) == pytest.approx(tuple(expit(-2.6 + Z * 0.45 * np.array([-1, 1]))), rel=1e-6)
    assert cohorts_needed(0.99 * (high - low), **truth) is None
    table = str(planning_table((5, 10), **truth))
    for tau in (0.45, 0.225, 0.9):
        for k in (5, 10, None):
            low, high = expected_prediction(k, **truth | {"tau": tau})
            assert f"{100 * low:.1f} to {100 * high:.1f}%" in table
    with pytest.raises(MetaAnalysisError, match="k=2"):
        expected_prediction(2, **truth)


def test_twenty_records_can_be_judged_and_leave_something_to_dispute():
    with (HELPERS / "records.toml").open("rb") as file:
        given = tomllib.load(file)
    takes = [record["take"] for record in given["record"]]
    assert len(takes) == 20
    assert {"yes", "no", "open"} == set(takes)
    assert takes.count("open") >= 5
    sheet, key = records_sheet(key=False), records_sheet(key=True)
    for record in given["record"]:
        assert html.escape(record["say"]) in sheet
        assert record["why"] not in sheet
        assert html.escape(record["why"]) in key
        size = re.search(r"(\d[\d,]*) (?:\w+ )?(?:adults|patients|adolescents)", record["say"])
        fewest = int(re.search(r"at least (\d+)", given["rule"])[1])
        if size and record["take"] == "yes":
            assert int(size[1].replace(",", "")) >= fewest


def test_kappa_is_that_of_the_labels():
    rng = np.random.default_rng(2)
    one = rng.random(300) < 0.3
    two = np.where(rng.random(300) < 0.8, one, rng.random(300) < 0.5)
    agree = (one == two).mean()
    chance = one.mean() * two.mean() + (1 - one.mean()) * (1 - two.mean())
    table = (one & two).sum(), (one & ~two).sum(), (~one & two).sum(), (~one & ~two).sum()
    assert kappa(*map(int, table)) == pytest.approx((agree - chance) / (1 - chance))
    assert kappa(5, 0, 0, 7) == 1.0
    assert kappa(0, 6, 6, 0) == -1.0
    for bad in ((4, 0, 0, 0), (0, 0, 0, 0), (-1, 1, 1, 1)):
        with pytest.raises(MetaAnalysisError, match="kappa"):
            kappa(*bad)
