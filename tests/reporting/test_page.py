"""The page of a report: accessible, complete in itself, with its sources and its reader's nouns."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_tools import Page, written

import helpers
from helpers import Subject, printing
from helpers.engine.literature import REFERENCES
from helpers.reporting import report
from helpers.reporting.citations import bibliography, citation
from helpers.reporting.make import USUAL


def test_the_page_is_accessible_in_its_bones(ours, our_page):
    page = Page(our_page)
    tags = [tag for tag, _ in page.tags]
    assert ("html", {"lang": "en"}) in page.tags
    assert tags.count("h1") == tags.count("main") == tags.count("head") == 1
    drawings = sum(1 + bool(one.narrow) for one in ours.pictures.values())
    assert tags.count("title") == 1 + drawings
    assert {"header", "nav", "footer"} <= set(tags)
    assert page.links[0] == "#report"
    assert len(page.ids) == len(set(page.ids))
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert set(inside) <= set(page.ids)
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)
    pictures = [found for tag, found in page.tags if tag == "svg"]
    assert len(pictures) == drawings
    assert all(
        found["role"] == "img" and found["aria-labelledby"].split()[0] in page.ids
        for found in pictures
    )


def test_nothing_is_loaded_from_elsewhere(our_page):
    page = Page(our_page)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    assert set(re.findall(r"url\(\"?([a-z]+:|#)", our_page)) <= {"data:", "#"}
    assert "@import" not in our_page
    assert all(link.startswith(("#", "https://doi.org/")) for link in page.links)
    assert "default-src 'none'" in our_page
    assert "prefers-color-scheme: dark" in our_page
    assert "@media print" in our_page


def test_the_same_table_gives_the_same_bytes():
    table = b"""study,events,n,group,follow_up
A,3,40,x,6\nB,5,50,x,12\nC,2,30,y,9\nD,9,60,y,24\nE,1,35,x,18\nF,4,45,y,7\n"""
    first, second = (report(table) for _ in range(2))
    assert {"forest", "groups"} <= set(first.pictures) | set(first.frames())
    assert first.html == second.html
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())


def test_labels_cannot_break_the_page():
    made = report(
        b'study,events,n\n<script>x</script>,3,40\n"A & B ""c""",5,50\nC,2,30\n',
        title="<b>Mine</b>",
        subject=replace(USUAL, outcome="a < b"),
    )
    page = Page(made.html)
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert ("meta", {"name": "description", "content": made.answer}) in page.tags
    assert "&lt;b&gt;Mine" in made.html


def test_every_source_is_cited_in_words_with_its_doi(ours, our_page):
    found = ours.to_dict()["references"]
    assert {"stijnen2010", "higgins2009", "egger1997"} <= {one["key"] for one in found}
    for one in found:
        assert citation(one["key"]) != one["key"]
        assert not one["doi"] or f"https://doi.org/{one['doi']}" in our_page


def test_sources_are_numbered_as_they_are_cited(our_page):
    section = our_page.partition('id="methods"')[2]
    text, _, listed = section.partition("<h3>")
    cited = []
    for run in re.findall(r"\d+(?:–\d+)?", " ".join(re.findall(r"\[([\d, –]+)\]", text))):
        first, _, last = run.partition("–")
        cited += range(int(first), int(last or first) + 1)
    assert re.search(r"\[\d+–\d+\]\.", text)  # three in a row are a range, before the full stop
    first = list(dict.fromkeys(cited))
    assert set(first) == set(range(1, len(first) + 1))
    assert [int(one) for one in re.findall(r"<li>\[(\d+)\]", listed)] == sorted(first)
    assert f"nrm-meta {helpers.__version__}" in text
    assert "t with two fewer degrees of freedom" in text
    assert re.search(r"Statistics in Medicine \d+:\d+–\d+\.", listed)
    assert "`" not in text
    assert "profile likelihood" in text


@pytest.mark.parametrize("key", sorted(REFERENCES))
def test_every_source_of_the_engine_can_be_printed(key):
    text = citation(key)
    assert re.search(r"\(\d{4}\)", text), text
    assert not re.search(r"[{}\\]", text), text
    assert bibliography()[key].get("doi", "") == REFERENCES[key]


def test_a_report_calls_studies_what_its_reader_calls_them(tmp_path):
    words = {"study": "arm", "studies": "arms", "people": "mice", "n": "Mice"}
    subject = Subject(outcome="Relapse", events="Relapses", **words)
    rows = "".join(
        f"A{i},{events},{40 + i},{'xyy'[i % 3]},{12 + i}\n"
        for i, events in enumerate([1, 12, 2, 15, 5])
    )
    made = report(
        f"study,events,n,group,follow_up\n{rows}A9,NR,40,x,20\n".encode(), subject=subject
    )
    page = made.html.partition("<h3>Sources of the methods")[0]
    words = re.sub(r"<style.*?</style>|<code>.*?</code>|<[^>]*>", " ", page, flags=re.DOTALL)
    # terms with a hyphen are those of the method
    others = r"[^.]*(?<![-\w])(?:stud(?:y|ies)|cohorts?)\b(?!-)[^.]*"
    assert re.findall(others, words, re.IGNORECASE) == []
    assert not re.findall(r"[^.]*\b(?:people|participants|patients)\b[^.]*", words)
    assert "median arm; the mean across arms is " in words
    assert "35 relapses among 210 mice in five arms were analysed." in words
    assert "each additional month of follow-up is associated" in words
    listed = written(made, tmp_path / "made", figures=("svg",))
    said = re.findall(r"download>[^<]*</a>: ([^<]*)</li>", (listed / "report.html").read_text())
    assert len(said) == len(set(said)) > 8


@pytest.mark.parametrize(
    ("study", "n", "nouns"),
    [
        ("Author", "n", ("studies", "participants")),
        ("trial", "Women", ("trials", "women")),
        ("registry", "patients", ("registries", "patients")),
    ],
)
def test_nouns_that_nobody_gave_are_those_of_the_columns(study, n, nouns):
    made = report(pd.DataFrame({study: list("abc"), "events": [3, 4, 5], n: [40, 50, 60]}), n=n)
    assert f"12 events among 150 {nouns[1]} in three {nouns[0]} were analysed" in made.for_a_paper


def test_no_sentence_of_the_text_stands_twice(our_page):
    paragraphs = re.findall(r"<p(?: class=\"answer\")?>(.*?)</p>", our_page, flags=re.S)
    said = [one for text in paragraphs for one in re.split(r"(?<=[a-z\])]\.) ", text)]
    general = "A trend across cohorts need not apply to the patients within them."
    twice = {one for one in said if said.count(one) > 1 and len(one) > 20}
    assert twice <= {general}  # it belongs to each moderator


def test_a_report_of_many_studies_stays_readable_and_small():
    k = 400
    events = np.arange(k) % 11
    made = report(pd.DataFrame({"study": range(k), "events": events, "n": 60 + np.arange(k) % 7}))
    assert made.pictures["forest"].height < 700
    outlying = int(made.analysis.influence.frame()["outlier"].sum())
    assert outlying > printing.NAMED  # the others are counted and stand in a file
    more = f"{printing.word(outlying - printing.NAMED)} more"
    assert more in made.html.partition("Outlying: ")[2][:300]
    assert more in made.pictures["influence"].caption
    for name in ("without-each", "influence"):
        assert made.pictures[name].height < 1000
        assert "Drawn are the 40 studies of 400" in made.pictures[name].caption
    labels = re.findall(r">without (\d+)<", made.pictures["without-each"].svg)
    moved = (made.analysis.leave_one_out["estimate"] - made.analysis.fit.estimate).abs()
    kept = moved[moved.index.astype(str).isin(labels)]
    assert len(labels) == len(kept) == 40
    others = moved[~moved.index.astype(str).isin(labels)]
    assert kept.min() >= others.max() * (1 - 1e-9)
    assert len(made.frames()["leave_one_out"]) == k
    assert made.pictures["forest"].table.body.count("<tr") > k
    assert len(made.html) < 2_500_000
