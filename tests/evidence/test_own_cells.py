"""Cells of a reader's table: a number is taken as it is written, or refused with its place."""

from __future__ import annotations

import pytest

from helpers.evidence import EvidenceError
from helpers.evidence.own import read_own


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1,200", "without thousands"),
        ("12.0", "without decimals"),
        ("12%", "without a percent sign: the count alone"),
        ("12 (26.7%)", "without a percent sign: the count alone"),
        ("12 (30)", "without the text in brackets"),
        ("12 [8-17]", "without the text in brackets"),
        ("12 ± 3", "without the text in brackets or after ±"),
        ("12/45", "without the slash"),
        ("3-6", "and no range"),
        ("12*", "without the sign of a footnote"),
        ("12¹", "without the sign of a footnote"),
        ("<5", "stays empty where the number is not known"),
        ("06-Dec", "no date"),
        ("2026-03-06", "no date"),
        ("1\u202f200", "without thousands"),
        ("1’200", "without thousands"),
        ("events", "repeats the header"),
        ("1.234", "without decimals or thousands"),
        ("-3", "0 or more"),
        ("~12", "plain digits"),
    ],
)
def test_a_count_is_never_repaired(cell, said):
    for content in (
        f'study,events,n\nA,"{cell}",4000\nB,5,50\n',
        f"study;events;n\nA;{cell};4000\nB;5;50\n",
    ):
        with pytest.raises(EvidenceError) as raised:
            read_own(content.encode(), {})
        (problem,) = raised.value.problems
        assert (problem.row, problem.column, problem.value) == (2, "events", cell)
        assert said in problem.expected


def test_a_comma_that_could_be_thousands_is_refused_where_it_is_used():
    with pytest.raises(EvidenceError, match="age"):
        read_own(b"study;events;n;age\nA;3;40;1,234\nB;5;50;2,345\n", {}, numeric=["age"])
    with pytest.raises(EvidenceError, match="decimal comma"):
        read_own(b"study;events;n;age\nA;3;40;61,5\nB;5;50;1.234\n", {}, numeric=["age"])


def test_a_comma_without_quotes_in_a_label_is_not_shifted_away():
    with pytest.raises(EvidenceError, match="needs quotes") as raised:
        read_own(b"study,events,n\nSmith, 2019,12,100\nB,5,50\n", {})
    assert [problem.row for problem in raised.value.problems] == [2]


def test_swapped_columns_are_named_as_such():
    with pytest.raises(EvidenceError, match="swapped"):
        read_own(b"study,events,n\nA,40,3\nB,50,5\nC,60,7\n", {})


def test_a_count_of_thousands_of_digits_is_a_cell_with_a_problem():
    with pytest.raises(EvidenceError, match="not above 2\\^53") as caught:
        read_own(f"study,events,n\nA,{'9' * 5000},40\nB,3,50\n".encode(), {})
    assert [(one.row, one.column) for one in caught.value.problems] == [(2, "events")]
