"""Tables at the edge give a report, or say what cannot be computed and why."""

from __future__ import annotations

import json
import re

import pytest
from report_tools import EDGE, edge, written

from helpers.checks import bias
from helpers.evidence import EvidenceError
from helpers.reporting import report, sentences
from helpers.reporting.make import USUAL


@pytest.mark.parametrize("name", EDGE)
def test_a_table_at_the_edge_gives_a_report_or_a_reason(name, tmp_path):
    made = edge(name)
    page = made.html
    assert page.count("<h2") >= 6
    assert "nan" not in re.sub(r"<style>.*?</style>|<[^>]+>", "", page, flags=re.S).split()
    assert json.loads((written(made, tmp_path / "out") / "results.json").read_text())["answer"]
    for one in made.not_computed:
        assert one.reason
        assert one.reason.replace("'", "") in page.replace("&#x27;", "").replace("'", "")


def test_zero_events_are_answered_by_an_exact_interval():
    made = edge("no events")
    # the upper limit of 0 of n at 95% is 1 - 0.025^(1/n) (Clopper and Pearson 1934)
    upper = 1 - 0.025 ** (1 / 110)
    assert f"0.0 to {100 * upper:.1f}" in made.answer
    assert made.analysis.beside is None
    assert made.analysis.fit.estimate == 0
    assert "None of 110 participants" in made.answer
    # a variance between cohorts that nothing shows would make any prediction a fiction
    assert "prediction" not in made.pictures
    assert "prediction interval)" not in made.html


def test_few_small_cohorts_keep_their_calibrated_p():
    made = edge("few small cohorts")
    assert made.analysis.null.tests == (
        "Egger (logit)",
        "Peters (weights from size)",
        "Double arcsine",
    )


def test_an_undefined_simulated_test_is_a_reason_and_not_a_crash(monkeypatch):
    def refuse(*args, **options):
        raise bias.null.UnsupportedError("not defined in a simulated data set")

    monkeypatch.setattr(bias, "simulate_null", refuse)
    made = report(EDGE["few small cohorts"])
    assert made.analysis.null is None
    assert any("not defined in a simulated" in one.reason for one in made.not_computed)
    assert "uncalibrated" in made.html


def test_a_bug_is_not_taken_for_a_reason(monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(bias, "simulate_null", broken)
    with pytest.raises(ZeroDivisionError):
        report(EDGE["few small cohorts"])


def test_a_variance_that_the_data_do_not_bound_is_a_sentence_and_not_the_end():
    made = report(b"study,events,n\nA 2019,0,50\nB 2020,40,50\n")
    said = sentences.heterogeneity(made.analysis, USUAL)
    assert "no 95" in said or "without an upper limit" in said
    assert made.to_dict()["pooled"]["k"] == 2
    assert "forest" in made.pictures


def test_a_forest_without_its_groups_says_why():
    table = b"study,events,n,group\nA,12,100,x\nB,7,85,x\nC,3,40,y\nD,15,160,y\nE,15,160,\n"
    made = report(table)
    (reason,) = [one.reason for one in made.not_computed if "Groups" in one.what]
    assert reason.startswith("one study of 5 has no group in column 'group'")
    assert "forest" in made.pictures


def test_all_problems_of_a_table_come_at_once():
    with pytest.raises(EvidenceError) as raised:
        report(b"study,events,n,follow_up\nA,41,40,x\nA,-1,20,3\n")
    found = [(one.row, one.column) for one in raised.value.problems]
    assert found == [(2, "events"), (2, "follow_up"), (3, "events")]
