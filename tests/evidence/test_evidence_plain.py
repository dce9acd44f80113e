"""The reader without pandas takes and refuses what `read_own` does, in the same words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples

from helpers.errors import MetaAnalysisError
from helpers.evidence import EvidenceError, data_folder, read_cohorts
from helpers.evidence.own import read_own
from helpers.evidence.plain import read_counts

HEADER = "study,events,n,note\n"
TABLES = {
    "empty cells": "A,,10,\n,3,10,\nB,1,,\n",
    "text for numbers": "A,x,10,\nB,1.5,10,\nC,1,1000 000,\nD,NA,20,\n",
    "negative and zero": "A,-1,10,\nB,0,0,\n",
    "too many events": "A,11,10,\nB,3,2,\nC,0,1,\n",
    "label twice": "A,1,10,\nA,2,10,\nB,1,5,\nA,9,3,\n",
    "two empty labels": ",1,10,\n,2,10,\n",
    "spaces": " A,1 ,10,\nB , 2,10,\n",
    "ragged": "A,1\nB,1,10,x,y\nC,1,10,\n\n,,,\n",
    "percent and thousands": 'A,4%,10,\nB,"1,200",10,\nC,007,10,\n',
    "huge": "A,99999999999999999999999,10,\nB,1,9007199254740993,\n",
    "broken quote": 'A,1,10,\n"B,1,10,\n',
    "good": "A,1,10,x\nB,0,3,\n",
}


def refused(reader, content: bytes) -> str:
    try:
        reader(content, {})
    except EvidenceError as error:
        return str(error)
    return ""


def without_options(message: str) -> str:
    """What the page says where the command names an option."""
    return re.sub(" with --(study|events|n|time)", "", message)


@pytest.mark.parametrize("name", TABLES)
def test_same_words_for_each_kind_of_mistake(name):
    content = (HEADER + TABLES[name]).encode()
    message = refused(read_counts, content)
    assert message == refused(read_own, content)
    assert bool(message) == (name not in ("good", "spaces"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"study,events\nA,1\n",
        b"study;events;n\nA;1;2\n",
        b"study,events,n,n\nA,1,2,3\n",
        b" study,events,n,\nA,1,2,3\n",
        b"study,events,n\n",
        b"study,events,n,x\nA,1,2,\xff\n",
        b"study,events,n,x\n\xff,1,2,1\n",
        b"PK\x03\x04rest",
        "study,events,n\nA,1,2\n".encode("utf-16"),
        b"\xef\xbb\xbfstudy,events,n\r\nA,1,2\r\n",
    ],
)
def test_same_words_for_each_kind_of_file(content):
    assert refused(read_counts, content) == without_options(refused(read_own, content))


CELL = st.sampled_from(["", "0", "1", "12", "7", "-3", "2.0", "A", "B", " ", "NA", "1e3", "½"])


@examples(60)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=5))
def test_same_words_for_any_cells(rows):
    content = ("study,events,n\n" + "".join(",".join(r) + "\n" for r in rows)).encode()
    assert refused(read_counts, content) == without_options(refused(read_own, content))


@pytest.mark.parametrize(
    ("content", "given_", "row", "expected"),
    [
        (
            b"study,proportion,lower,upper\nA,0.2,0.1,0.3\nB,0.4,0.3,1.2\n",
            {"effect": "proportion", "lower": "lower", "upper": "upper"},
            (3, "upper"),
            "a number from 0 to 1",
        ),
        (
            b"study,events,n,rob\nA,1,10,low\nB,2,10,so-so\n",
            {"risk_of_bias": "rob"},
            (3, "rob"),
            "low",
        ),
    ],
    ids=["above the largest", "not of the form"],
)
def test_both_refuse_what_a_column_may_not_hold(content, given_, row, expected):
    for reader in (read_counts, read_own):
        options = {"scale": "proportion"} if "effect" in given_ else {}
        with pytest.raises(EvidenceError) as caught:
            reader(content, given_, **options)
        (problem,) = caught.value.problems
        assert (problem.row, problem.column) == row
        assert expected in problem.expected


def test_the_books_table_reads_the_same():
    path = data_folder() / "cohorts.csv"
    roles = {"study": "cohort", "events": "nonrelapse_deaths", "n": "patients"}
    ours, table = read_counts(path, roles), read_cohorts(path, **roles)
    assert ours.study == tuple(table["cohort"])
    assert ours.events == tuple(table["nonrelapse_deaths"])
    assert ours.size == tuple(table["patients"])


def test_a_column_has_one_role():
    with pytest.raises(MetaAnalysisError, match="one role only"):
        read_counts(b"a,b\n1,2\n", {"study": "a", "events": "b", "n": "b"})
