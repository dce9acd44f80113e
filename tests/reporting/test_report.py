"""Reports of a reader's own table: numbers equal the book's, nothing crashes, nothing is loaded."""

from __future__ import annotations

import ast
import csv
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import docx
import jsonschema
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import helpers
from helpers import Subject, load_cohorts, meta_regression, pool, pool_rates, printing, subgroups
from helpers.checks import bias
from helpers.engine.literature import REFERENCES
from helpers.errors import MetaAnalysisError
from helpers.evidence import EvidenceError, data_folder
from helpers.reporting import ADVICE, document, files, make, report, scripts, sentences
from helpers.reporting.analysis import ColumnNames, analyse
from helpers.reporting.cautions import cautions_of
from helpers.reporting.citations import bibliography, citation
from helpers.reporting.make import USUAL
from helpers.reporting.tables import frames, groups_table
from helpers.views import plots

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
FOLLOW_UP = "median_follow_up_months"


@pytest.fixture(scope="module")
def ours():
    return report(
        data_folder() / "cohorts.csv",
        **COLUMNS,
        by="entity",
        follow_up=FOLLOW_UP,
        covariates="year",
        subject=replace(USUAL, outcome="Nonrelapse mortality", events="Deaths"),
    )


@pytest.fixture(scope="module")
def our_page(ours):
    """Its page, which is made anew each time it is asked for."""
    return ours.html


# --- our own table: the numbers of the book ---------------------------------------------------


def test_the_pooled_estimate_is_that_of_the_chapters(ours):
    fit = pool(load_cohorts(), **COLUMNS, model="glmm")
    found = ours.to_dict()["pooled"]
    assert found["estimate"] == fit.estimate
    assert found["ci"] == list(fit.ci)
    assert found["tau2"] == fit.tau2
    beside = pool(load_cohorts(), **COLUMNS, model="random")
    assert ours.to_dict()["beside"]["estimate"] == beside.estimate
    row = ours.frames()["pooled"].iloc[0]
    assert (row["prediction_lower"], row["prediction_upper"]) == fit.prediction_interval()


def test_groups_regression_and_rates_are_those_of_the_chapters(ours):
    data = load_cohorts()
    groups = subgroups(data, by="entity", **COLUMNS, model="glmm")
    made = ours.frames()["groups"].set_index("entity")["estimate"].to_dict()
    assert made == pytest.approx({name: fit.estimate for name, fit in groups}, rel=1e-12)
    assert pytest.approx(groups.test.statistic, rel=1e-12) == ours.analysis.groups.test.statistic
    slope = meta_regression(data, FOLLOW_UP, **COLUMNS, model="glmm", ci_method="t")
    assert ours.analysis.regressions[FOLLOW_UP].estimates.tolist() == slope.estimates.tolist()
    rate = pool_rates(data, **COLUMNS, follow_up=FOLLOW_UP, model="glmm")
    assert ours.analysis.rates.estimate == rate.estimate


def test_deletion_and_small_study_tests_are_those_of_the_chapters(ours):
    fit = pool(load_cohorts(), **COLUMNS, model="glmm")
    without = fit.leave_one_out()["estimate"].tolist()
    assert ours.frames()["leave_one_out"]["estimate"].tolist() == without
    assert ours.analysis.tests["Egger (logit)"].p == bias.egger(fit).p
    null = bias.simulate_null(fit, draws=2000, seed=1).summary_frame()
    tests = ours.frames()["small_study_tests"].set_index("test")
    assert tests["calibrated_p"].to_dict() == null.loc[tests.index, "calibrated_p"].to_dict()


def test_the_numbers_on_the_page_are_printed_from_the_result(ours, our_page):
    text = re.sub(r"<[^>]+>", "", our_page)
    fit = ours.analysis.fit
    assert f"{100 * fit.estimate:.1f}" in text
    assert ours.answer in text
    assert "574" in text
    assert "7,604" in text


def test_the_same_table_gives_the_same_bytes():
    table = b"""study,events,n,group,follow_up
A,3,40,x,6\nB,5,50,x,12\nC,2,30,y,9\nD,9,60,y,24\nE,1,35,x,18\nF,4,45,y,7\n"""
    first, second = (report(table) for _ in range(2))
    assert {"forest", "groups"} <= set(first.pictures) | set(first.frames())
    assert first.html == second.html
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())


# --- the page -----------------------------------------------------------------------------------


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.headings = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


def test_the_page_is_accessible_in_its_bones(ours, our_page):
    page = _Page(our_page)
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
    page = _Page(our_page)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    assert set(re.findall(r"url\(\"?([a-z]+:|#)", our_page)) <= {"data:", "#"}
    assert "@import" not in our_page
    assert all(link.startswith(("#", "https://doi.org/")) for link in page.links)
    assert "default-src 'none'" in our_page
    assert "prefers-color-scheme: dark" in our_page
    assert "@media print" in our_page


def test_every_source_is_cited_in_words_with_its_doi(ours, our_page):
    found = ours.to_dict()["references"]
    assert {"stijnen2010", "higgins2009", "egger1997"} <= {one["key"] for one in found}
    for one in found:
        assert citation(one["key"]) != one["key"]
        assert not one["doi"] or f"https://doi.org/{one['doi']}" in our_page


def test_a_report_calls_studies_what_its_reader_calls_them(tmp_path):
    words = {"study": "arm", "studies": "arms", "people": "mice", "n": "Mice"}
    subject = Subject(outcome="Relapse", events="Relapses", **words)
    rows = "".join(f"A{i},{i + 1},{40 + i},{'xyy'[i % 3]},{12 + i}\n" for i in range(5))
    made = report(
        f"study,events,n,group,follow_up\n{rows}A9,NR,40,x,20\n".encode(), subject=subject
    )
    page = made.html.partition("<h3>Sources of the methods")[0]
    words = re.sub(r"<style.*?</style>|<code>.*?</code>|<[^>]*>", " ", page, flags=re.DOTALL)
    # terms with a hyphen are those of the method
    assert re.findall(r"[^.]*(?<![-\w])stud(?:y|ies)\b(?!-)[^.]*", words, re.IGNORECASE) == []
    assert "15 relapses among 210 mice in five arms were analysed." in words
    assert "each additional month of follow-up is associated" in words
    listed = written(made, tmp_path / "made", figures=("svg",))
    said = re.findall(r"download>[^<]*</a>: ([^<]*)</li>", (listed / "report.html").read_text())
    assert len(said) == len(set(said)) > 8


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


def test_no_sentence_of_the_text_stands_twice(our_page):
    paragraphs = re.findall(r"<p(?: class=\"answer\")?>(.*?)</p>", our_page, flags=re.S)
    said = [one for text in paragraphs for one in re.split(r"(?<=[a-z\])]\.) ", text)]
    general = "A trend across cohorts need not apply to the people within them."
    twice = {one for one in said if said.count(one) > 1 and len(one) > 20}
    assert twice <= {general}  # it belongs to each moderator


@pytest.mark.parametrize("key", sorted(REFERENCES))
def test_every_source_of_the_engine_can_be_printed(key):
    text = citation(key)
    assert re.search(r"\(\d{4}\)", text), text
    assert not re.search(r"[{}\\]", text), text
    assert bibliography()[key].get("doi", "") == REFERENCES[key]


# --- tables at the edge -------------------------------------------------------------------------

EDGE = {
    "one cohort": b"study,events,n\nA,3,40\n",
    "one cohort without events": b"study,events,n\nA,0,40\n",
    "two cohorts": b"study,events,n\nA,3,40\nB,5,50\n",
    "no events": b"study,events,n,group,follow_up\nA,0,40,x,3\nB,0,50,y,4\nC,0,20,y,\n",
    "all events": b"study,events,n\nA,40,40\nB,50,50\n",
    "few small cohorts": b"study,events,n,group\nA,1,10,x\nB,0,5,\nC,2,8,\nD,0,9,x\n",
    "one size": b"study,events,n,follow_up\nA,1,10,5\nB,0,10,5\nC,2,10,5\nD,4,10,5\n",
    "a group without events": b"study,events,n,group\nA,0,40,x\nB,0,50,x\nC,1,20,y\nD,3,30,y\n",
}


@cache
def edge(name):
    """Report of a table at the edge, made once; reports do not change."""
    return report(EDGE[name])


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
    assert "None of 110 people" in made.answer
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


def test_labels_cannot_break_the_page():
    made = report(
        b'study,events,n\n<script>x</script>,3,40\n"A & B ""c""",5,50\nC,2,30\n',
        title="<b>Mine</b>",
        subject=replace(USUAL, outcome="a < b"),
    )
    page = _Page(made.html)
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert ("meta", {"name": "description", "content": made.answer}) in page.tags
    assert "&lt;b&gt;Mine" in made.html


def test_covariates_with_blanks_and_columns_not_used():
    table = pd.DataFrame(
        {
            "study": list("abcdef"),
            "events": [1, 4, 6, 3, 5, 9],
            "n": [40, 50, 60, 30, 50, 70],
            "Age (years)": [50.0, 60, 61, 70, 55, 58],
            "note": "x",
        }
    )
    made = report(table, covariates="Age (years)")
    assert list(made.analysis.regressions) == ["Age (years)"]
    assert made.analysis.unused == ("note",)
    assert made.sha256 == ""


# --- names and labels are data ------------------------------------------------------------------

ROWS = 8
COUNTS = {
    "cohort": [f"s{i}" for i in range(ROWS)],
    "deaths": [1, 2, 3, 4, 5, 6, 7, 8],
    "patients": [30, 33, 36, 39, 42, 45, 48, 51],
}
SQUARES = [0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 36.0, 49.0]
# what formulas, tables of results or pictures could take for their own
NAMES = [
    *("0", "1", "-1", "", " ", ".", "~", "a~b", "a+b", "a:b", "a b", "a`b", "`", "``", "(x)"),
    *("Q", "C", "I", "log", "bs", "np", "class", "None", "Intercept", "(Intercept)", "x\ny"),
    *("study", "events", "n", "k", "p", "df", "I2", "tau2", "estimate", "ci_lower", "weight"),
    *("yi", "vi", "included", "reason", "group", "moderator", "term", "column_0", "{x}", "<b>"),
]


def slope_by_hand(x, events, n):
    """Maximum likelihood slope of a logistic regression, by Newton steps (tau2 is 0 here)."""
    X, events, n = np.column_stack([np.ones(len(x)), x]), np.asarray(events), np.asarray(n)
    beta = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-X @ beta))
        beta += np.linalg.solve(X.T * (n * p * (1 - p)) @ X, X.T @ (events - n * p))
    return beta[1]


READABLE = [name for name in NAMES if name and name.strip() == name]


@pytest.fixture(scope="module")
def any_names():
    """Covariates of all names, each another multiple of the same values."""
    values = {name: np.multiply(SQUARES, i) for i, name in enumerate(READABLE, start=1)}
    columns = ColumnNames("cohort", "deaths", "patients", covariates=tuple(READABLE))
    return analyse(pd.DataFrame(COUNTS | values), columns, draws=20)


def test_a_covariate_may_have_any_name(any_names):
    assert list(any_names.regressions) == READABLE
    expected = slope_by_hand(SQUARES, COUNTS["deaths"], COUNTS["patients"])
    for i, (name, fit) in enumerate(any_names.regressions.items(), start=1):
        slopes = fit.coefficients["estimate"].tolist()[1:]
        assert slopes == pytest.approx([expected / i], rel=1e-6), name
        assert printing.number(expected / i, 3) in sentences.regression(any_names, name, USUAL)
        studies = fit.studies.reset_index()
        assert len(studies) == ROWS
    table = frames(any_names)["meta_regression"]
    assert table["moderator"].tolist() == [name for name in READABLE for _ in range(2)]


@pytest.mark.parametrize("name", ["1", "Intercept", "weight", "estimate", "yi", "study", "a`b"])
def test_the_picture_of_a_covariate_shows_its_values_whatever_its_name(name, any_names):
    fit = any_names.regressions[name]
    picture = plots.show(plots.bubble(fit), "bubble")
    values = np.multiply(SQUARES, READABLE.index(name) + 1)
    shown = re.findall(r">([\d,.]+)</td>", picture.table.body)
    assert {printing.number(value, 1) for value in values} <= set(shown)


def test_a_name_that_no_table_may_have_is_refused():
    for name in set(NAMES) - set(READABLE):
        with pytest.raises(MetaAnalysisError):
            report(pd.DataFrame(COUNTS | {name: SQUARES}), study="cohort", covariates=name)


def test_a_group_may_have_any_name(any_names):
    for name in READABLE:
        table = pd.DataFrame(COUNTS | {name: list("abab" * 2)})
        made = subgroups(
            table, by=name, events="deaths", n="patients", study="cohort", model="common"
        )
        found = replace(any_names, groups=made)
        assert list(frames(found)["groups"].iloc[:, 0]) == ["a", "b"]
        assert frames(found)["groups"]["k"].tolist() == [4, 4]
        body = groups_table(found, USUAL, made).body
        assert re.findall(r'class="gt_row gt_left[^"]*">(\w)</t', body) == ["a", "b"], name


def test_a_control_character_in_a_label_does_not_lose_the_report():
    codes = [*range(1, 32), 0x7F, 0x85, 0x9F, 0x2028, 0xFFFE]
    rows = range(len(codes))
    table = pd.DataFrame(
        {
            "study": [f"A{i}{chr(code)}2019 $x_$ $\\frac$" for i, code in enumerate(codes)],
            "events": [3 + i % 7 for i in rows],
            "n": [40 + i for i in rows],
        }
    )
    made = report(table)
    assert {"forest", "without-each", "funnel"} <= set(made.pictures)
    for picture in made.pictures.values():
        ElementTree.fromstring(picture.svg)
    assert {chr(code) for code in codes} & set(made.html) == {"\n"}


def test_labels_that_differ_in_control_characters_alone_are_refused():
    table = pd.DataFrame({"study": ["A\x01", "A\x02"], "events": [3, 5], "n": [40, 60]})
    with pytest.raises(MetaAnalysisError, match="column 'study'"):
        report(table)


def test_a_variance_that_the_data_do_not_bound_is_a_sentence_and_not_the_end():
    made = report(b"study,events,n\nA 2019,0,50\nB 2020,40,50\n")
    said = sentences.heterogeneity(made.analysis, USUAL)
    assert "no 95" in said or "without an upper limit" in said
    assert made.to_dict()["pooled"]["k"] == 2


def test_a_forest_without_its_groups_says_why():
    table = b"study,events,n,group\nA,12,100,x\nB,7,85,x\nC,3,40,y\nD,15,160,y\nE,15,160,\n"
    (reason,) = [one.reason for one in report(table).not_computed if "Groups" in one.what]
    assert reason.startswith("one study of 5 has no group in column 'group'")


def test_every_caution_of_these_tables_has_advice():
    for name in EDGE:
        for one in cautions_of(edge(name).analysis):
            assert ADVICE[one.code] == one.advice


def test_all_problems_of_a_table_come_at_once():
    with pytest.raises(EvidenceError) as raised:
        report(b"study,events,n,follow_up\nA,41,40,x\nA,-1,20,3\n")
    found = [(one.row, one.column) for one in raised.value.problems]
    assert found == [(2, "events"), (2, "follow_up"), (3, "events")]


# --- files ----------------------------------------------------------------------------------------


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# --- what is taken from a report ------------------------------------------------------------------


def written(made, folder, **options):
    """Write a report, by default without the files of its figures, which take their time."""
    return made.write(folder, **{"figures": ()} | options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Our own report with every file."""
    table = pd.DataFrame(
        {
            "study": ["=HYPERLINK(1)", "+b", "-c", "@d", "e\u2028f", "g"],
            "events": [3, 6, 2, 7, 5, 9],
            "n": [40, 50, 60, 55, 70, 45],
            "group": list("xxxyyy"),
            "=year": [2015.0, 2016, 2017, 2019, 2020, -1],
        }
    )
    made = report(table, covariates="=year", title="=1+1")
    return made, made.write(tmp_path_factory.mktemp("report") / "all")


def test_each_figure_is_beside_the_page_in_four_formats_and_linked(folder):
    made, place = folder
    wanted = {"forest", "subgroup-forest", "funnel", "regression-1", "influence", "without-each"}
    assert wanted <= set(made.pictures)
    links = _Page((place / "report.html").read_text(encoding="utf-8")).links
    for name in made.pictures:
        for kind in ("svg", "pdf", "png", "tiff"):
            assert f"figure-{name}.{kind}" in links
            assert (place / f"figure-{name}.{kind}").stat().st_size > 1000
    local = {link for link in links if not link.startswith(("#", "https://doi.org/"))}
    assert local <= {path.name for path in place.iterdir()}
    assert "figure-forest.svg" not in made.html  # the page alone promises no files


def test_figures_for_print_have_300_pixels_per_inch_their_size_and_white_paper(folder):
    made, place = folder
    for name in ("forest", "influence"):
        picture = made.pictures[name]
        for kind in ("png", "tiff"):
            with Image.open(place / f"figure-{name}.{kind}") as image:
                assert [round(float(one)) for one in image.info["dpi"]] == [300, 300]
                inches = [pixels / 300 for pixels in image.size]
                assert inches == pytest.approx([picture.width / 72, picture.height / 72], abs=0.01)
                pixels = np.asarray(image.convert("L"))
                assert pixels[0, 0] == 255
                assert pixels.min() < 60
        with (
            Image.open(place / f"figure-{name}.png") as one,
            Image.open(place / f"figure-{name}.tiff") as other,
        ):
            assert one.mode == other.mode == "RGB"
            assert np.array_equal(np.asarray(one), np.asarray(other))
        pdf = (place / f"figure-{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"CreationDate" not in pdf
        assert b"/FontFile2" in pdf  # TrueType: words stay words
        root = ElementTree.parse(place / f"figure-{name}.svg").getroot()
        assert float(root.get("width")) == pytest.approx(picture.width, rel=1e-3)
        assert "var(" not in (place / f"figure-{name}.svg").read_text(encoding="utf-8")


def test_the_archive_holds_every_other_file_byte_by_byte(folder):
    place = folder[1]
    files = content(place)
    with zipfile.ZipFile(place / "report.zip") as archive:
        assert set(archive.namelist()) == set(files) - {"report.zip", "manifest.json"}
        for name in archive.namelist():
            assert archive.read(name) == files[name]


def test_no_file_of_a_report_holds_a_script_or_a_formula(folder):
    place = folder[1]
    for path in place.glob("*.csv"):
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines()):
            for cell in row:
                formula = cell.startswith(("=", "+", "-", "@")) and not re.fullmatch(
                    r"-(\d+\.?\d*(e[+-]?\d+)?|inf)", cell
                )
                assert not formula, (path.name, cell)
    studies = pd.read_csv(place / "studies.csv")
    assert studies["study"].tolist()[:2] == ["'=HYPERLINK(1)", "'+b"]


@pytest.mark.parametrize("name", ["ours", *EDGE])
def test_results_keep_to_their_schema(name, ours):
    schema = json.loads((Path(make.__file__).parent / "results.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    result = (ours if name == "ours" else edge(name)).to_dict()
    jsonschema.Draft202012Validator(schema).validate(result)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(result | {"unknown": 1})


def test_the_python_script_gives_the_numbers_of_the_report(folder):
    made, place = folder
    run = subprocess.run(
        [sys.executable, "again.py"], cwd=place, capture_output=True, text=True, check=True
    )
    found = dict(line.split("\t") for line in run.stdout.splitlines())
    row = made.frames()["pooled"].iloc[0]
    assert float(found["estimate"]) == pytest.approx(row["estimate"], rel=1e-12)
    assert float(found["tau2"]) == pytest.approx(row["tau2"], rel=1e-9, abs=1e-12)
    for name, group in made.frames()["groups"].set_index("group")["estimate"].items():
        assert float(found[f"group {name}"]) == pytest.approx(group, rel=1e-12)
    tests = made.frames()["small_study_tests"].set_index("test")["p"]
    for name, p in tests.items():
        assert float(found[f"p of {name}"]) == pytest.approx(p, rel=1e-9)
    slope = made.frames()["meta_regression"]["estimate"].iloc[1]
    assert float(found["slope of =year"]) == pytest.approx(slope, rel=1e-9)
    left = made.analysis.leave_one_out["estimate"]
    assert float(found["leave-one-out highest"]) == pytest.approx(left.max(), rel=1e-12)


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


def test_the_word_document_says_and_shows_what_the_page_does(folder):
    made, place = folder
    word = docx.Document(place / "report.docx")
    text = [paragraph.text for paragraph in word.paragraphs]
    assert text[0] == "=1+1"
    assert made.answer in text
    page = (place / "report.html").read_text(encoding="utf-8")
    titles = [html.unescape(one) for one in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]
    headings = [one.text for one in word.paragraphs if one.style.name == "Heading 1"]
    assert headings == [one for one in titles if one != "Files"]
    assert len(word.inline_shapes) == len(made.pictures)
    captions = [one.text for one in word.paragraphs if one.style.name == "Caption"]
    figures = [one for one in captions if one.startswith("Figure ")]
    order = re.findall(r'<figure class="picture" id="([^"]+)"', page)
    shown = [made.pictures[name].caption for name in order]
    assert figures == [f"Figure {i}. {text}" for i, text in enumerate(shown, start=1)]
    tables = [one.partition(". ")[0] for one in captions if one not in figures]
    assert tables == [f"Table {i}" for i in range(1, len(word.tables) + 1)]
    sources = [one for one in word.paragraphs if re.match(r"\[\d+\] ", one.text)]
    assert {one.style.name for one in sources} == {"Normal"}  # a number takes the place of a bullet
    listed = [one.text for one in word.paragraphs if one.style.name == "List Bullet"]
    assert not any(re.search(r"[a-z]\.[A-Z]", one) for one in listed)
    outside = re.sub(r"<details.*?</details>", "", page, flags=re.S)
    assert len(word.tables) == outside.count("<table")
    cells = [[cell.text for cell in row.cells] for row in word.tables[0].rows]
    assert printing.number(100 * made.analysis.fit.estimate, 1) in cells[1]
    assert all(row[0] for row in cells)


def test_without_python_docx_the_report_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "possible", lambda: False)
    place = written(edge("two cohorts"), tmp_path / "out")
    assert not (place / "report.docx").exists()
    assert "python-docx is not installed" in (place / "report.html").read_text(encoding="utf-8")


def test_a_report_of_many_studies_stays_readable_and_small():
    k = 400
    events = np.arange(k) % 11
    made = report(pd.DataFrame({"study": range(k), "events": events, "n": 60 + np.arange(k) % 7}))
    assert made.pictures["forest"].height < 700
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


def test_a_report_replaces_its_own_files_and_nothing_else(tmp_path, ours):
    few = edge("one cohort")
    folder = written(ours, tmp_path / "mine")
    names = set(content(folder))
    assert {"report.html", "results.json", "pooled.csv", "studies.csv", "influence.csv"} <= names
    # the user's own things beside the report, one of them in a folder
    (folder / "notes.docx").write_bytes(b"precious")
    (folder / "data").mkdir()
    (folder / "data" / "my.csv").write_text("study,events,n\n")
    written(few, folder)
    assert (folder / "notes.docx").read_bytes() == b"precious"
    assert (folder / "data" / "my.csv").read_text() == "study,events,n\n"
    assert json.loads((folder / "results.json").read_text())["pooled"]["k"] == 1
    # tables of the first report that the second does not have are gone
    assert not (folder / "influence.csv").exists()
    shutil.rmtree(folder / "data")
    (folder / "notes.docx").unlink()
    written(few, tmp_path / "fresh")
    assert content(folder) == content(tmp_path / "fresh")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "fresh"}


def test_a_folder_without_a_report_is_left_alone(tmp_path, ours):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    # names of a report's files alone do not make them a report's
    (other / "report.html").write_text("mine")
    (other / "results.json").write_text("{}")
    before = content(other)
    with pytest.raises(MetaAnalysisError, match="is not a report"):
        written(ours, other)
    assert content(other) == before
    (tmp_path / "file").write_text("precious")
    with pytest.raises(MetaAnalysisError, match="is not a folder"):
        written(ours, tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (written(ours, empty) / "report.html").is_file()


def test_a_file_that_was_changed_or_is_not_of_the_report_is_never_overwritten(tmp_path):
    few, more = edge("one cohort"), edge("few small cohorts")
    folder = written(few, tmp_path / "mine")
    (folder / "studies.csv").write_text("study,my own column\n")
    before = content(folder)
    with pytest.raises(MetaAnalysisError, match=r"overwrite studies\.csv"):
        written(few, folder)
    assert content(folder) == before
    (folder / "studies.csv").rename(folder / "studies-mine.csv")
    written(few, folder)
    # a table that the first report did not have, under the name of the user's own
    (folder / "influence.csv").write_text("mine")
    with pytest.raises(MetaAnalysisError, match=r"overwrite influence\.csv"):
        written(more, folder)
    (folder / "influence.csv").unlink()
    written(more, folder)
    (folder / "influence.csv").write_text("with my remarks")
    written(few, folder)  # has no such table, so nothing is in the way
    assert (folder / "influence.csv").read_text() == "with my remarks"
    assert (folder / "studies-mine.csv").read_text() == "study,my own column\n"


def test_a_manifest_cannot_reach_out_of_its_folder(tmp_path):
    few = edge("one cohort")
    (tmp_path / "outside.txt").write_text("precious")
    folder = written(few, tmp_path / "mine")
    checksum = hashlib.sha256(b"precious").hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"files": {"../outside.txt": checksum}}))
    with pytest.raises(MetaAnalysisError, match=r"manifest\.json"):
        written(few, folder)
    assert (tmp_path / "outside.txt").read_text() == "precious"


def test_a_failure_leaves_nothing_half_written(tmp_path, ours, monkeypatch):
    def broken(*args, **options):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match="no space"):
        written(ours, tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_puts_everything_back(tmp_path, monkeypatch):
    first, second = edge("few small cohorts"), edge("two cohorts")
    folder = written(first, tmp_path / "mine")
    (folder / "notes.docx").write_bytes(b"precious")
    before = content(folder)
    with monkeypatch.context() as patch:  # the files of the second, made once for all attempts
        kept = []
        patch.setattr(files, "write", lambda _, made: kept.append(made))
        written(second, folder)
    rename, left = Path.rename, [0]

    def held(self, target):  # as when a spreadsheet has the table open
        left[0] -= 1
        if left[0] == 0:
            raise PermissionError("the file is open elsewhere")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", held)
    for fatal in range(1, 99):
        left[0] = fatal
        try:
            files.write(folder, kept[0])
        except PermissionError:
            assert content(folder) == before
        else:
            break
    moves = len(before) - 1 + len(content(folder)) - 1
    assert fatal == moves + 1


def test_csv_files_hold_the_numbers_unrounded(tmp_path, ours):
    folder = written(ours, tmp_path / "mine")
    row = pd.read_csv(folder / "pooled.csv").iloc[0]
    assert row["estimate"] == pytest.approx(ours.analysis.fit.estimate, rel=1e-14)


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


def test_a_report_has_the_nouns_of_its_subject_in_text_tables_and_figures():
    trials = Subject(
        study="trial", studies="trials", person="woman", people="women", outcome="Response",
        events="Responders", n="Women",
    )  # fmt: skip
    made = report(data_folder() / "examples" / "stroke.csv", by="group", subject=trials)
    page = re.sub(r"<svg.*?</svg>|<style.*?</style>", "", made.html, flags=re.S)
    words = re.sub(r"<[^>]+>", " ", page.partition("</head>")[2])
    assert "pooled over" in words
    assert re.search(r"median trial; the mean across trials", words)
    assert not re.findall(r"[^.]{0,60}\bcohorts?\b[^.]{0,40}", words, flags=re.I)


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
