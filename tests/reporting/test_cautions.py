"""What a report points out in a table: odd rows, groups and times, each with advice."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from report_tools import EDGE, analysed, case, codes, edge

import helpers
from helpers import printing
from helpers.evidence import EvidenceError
from helpers.evidence.own import read_own
from helpers.reporting import ADVICE, report
from helpers.reporting.cautions import TABLE, cautions_of


def test_a_row_that_is_the_sum_of_the_others_is_pointed_out():
    found = analysed(case(2))
    assert codes(found) == ["total-row"]
    assert "“Total” (row 7)" in found.remarks[0].message
    (listed,) = [one for one in cautions_of(found) if one.where == "The table"]
    assert listed.advice.startswith("Delete the row")
    assert found.fit.k == 6  # pointed out and not taken away


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ("A,3,40\nB,5,50\nTotal,9,99\n", "total-row"),
        ("A,3,40\nB,5,50\nPooled estimate,9,99\n", "total-row"),
        ("A,3,40\nB,5,50\nAsia,8,90\nC,2,30\nD,7,70\n", "total-row"),
        ("Smith 2019,3,40\nsmith (2019),5,50\nC,1,9\n", "same-study"),
        ("A,30,400\nB,30,400\nC,1,9\n", "same-counts"),
        ("Lymphoma,,\nA,3,40\nB,5,50\nMyeloma,,\nC,1,9\n", "heading-rows"),
        ("A,3,40\nB,NR,NR\nC,5,50\nD,NR,NR\nE,1,9\n", ""),
        ("A,3,100\nB,5,100\nC,1,100\n", "percentages"),
    ],
)
def test_an_odd_row_is_pointed_out(rows, code):
    found = analysed(f"study,events,n\n{rows}".encode())
    assert codes(found) == ([code] if code else [])
    if code:
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


def test_a_short_follow_up_is_pointed_out_and_its_unit_can_be_named(undrawn):
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


@pytest.mark.parametrize(("longest", "code"), [(45357, "long-follow-up"), (365.25, "")])
def test_a_follow_up_longer_than_a_life_in_trials_is_pointed_out(longest, code):
    found = analysed(f"study,events,n,follow_up\nA,3,40,12\nB,5,50,{longest}\n".encode())
    assert codes(found) == [code] * bool(code)


def test_a_usual_table_has_no_remarks():
    assert codes(analysed(case(1))) == []
    assert codes(analysed(b"study,events,n\nA,0,20\nB,0,20\nC,1,21\nTotality 2019,4,33\n")) == []


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


def test_missing_counts_leave_the_row_out_by_name():
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


@pytest.mark.parametrize("number", [2, 16])
def test_what_is_odd_in_the_table_stands_beside_the_answer_and_not_among_the_fits(number):
    made = report(case(number))
    page = BeautifulSoup(made.html, "html.parser")
    answer, later = (page.find(id=name).parent.get_text(" ") for name in ("answer", "cautions"))
    for one in made.analysis.remarks:
        assert one.message in answer
        assert ADVICE[one.code] in answer
        assert one.message not in later
    of_fits = [one for one in cautions_of(made.analysis) if one.where != TABLE]
    assert f"raise {printing.counted(len(of_fits), 'caution')}" in later
    assert ("Check first" in answer) == bool(made.analysis.remarks) == (number == 2)


@pytest.mark.parametrize("label", ["A", "B"])
def test_the_page_does_not_say_that_a_label_is_used_once_where_it_is_used_twice(label):
    made = report(f"study,events,n\nA,6,40\n{label},9,50\nC,7,60\n".encode())
    assert ("each label is used once" in made.html) == (label == "B")
    assert ("a label used more than once got its row" in made.html) == (label == "A")


def test_what_to_do_about_a_caution_fits_counts_of_people_and_of_person_years():
    rows = "A,0,40,x\nB,5,50,x\nC,7,60,y\nD,3,80,y\n"
    for size in ("n", "person_years"):
        made = report(f"study,events,{size},group\n{rows}".encode(), model="random")
        assert "binomial" not in " ".join(one.advice for one in cautions_of(made.analysis))


def test_words_for_missing_numbers_can_be_added():
    content = "study,events,n\nA,3,40\nB,entf.,50\nC,–,20\nD,4,50\n".encode()
    with pytest.raises(EvidenceError, match=r"entf\."):
        read_own(content, {})
    found = analysed(content, missing=["entf."])
    assert list(found.fit.data.reason) == ["", "events missing", "events missing", ""]
    with pytest.raises(EvidenceError, match="no row with both counts"):
        read_own(b"study,events,n\nA,NA,40\nB,3,NR\n", {})


def test_a_footnote_below_the_table_stays_visible_as_a_row_without_counts():
    found = analysed(b"study,events,n\nA,3,40\nB,5,50\nNR: not reported\n")
    assert found.fit.k == 2
    assert list(found.fit.data.reason)[-1] == "events and n missing"


def test_every_caution_of_these_tables_has_advice():
    for name in EDGE:
        for one in cautions_of(edge(name).analysis):
            assert ADVICE[one.code] == one.advice


def test_every_caution_reads_as_a_sentence():
    """A caution of any module begins with a capital or a number and ends with a full stop."""
    odd = []
    for path in Path(helpers.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "id", "")
            if name != "Caution" or len(node.args) != 2:
                continue
            text = node.args[1]
            pieces = list(ast.iter_child_nodes(text)) if isinstance(text, ast.JoinedStr) else [text]
            first, last = pieces[0], pieces[-1]
            if isinstance(first, ast.Constant) and first.value[0].islower():
                odd.append((path.name, first.value))
            if isinstance(last, ast.Constant) and not last.value.rstrip().endswith("."):
                odd.append((path.name, last.value))
    assert odd == []
