"""Chapters on tables and options that a reader may type: true sentences, or one clear error."""

from __future__ import annotations

import functools
import re

import pandas as pd
import pytest
from chapter_edits import Said, faults, forget, run, stored
from nightly import nightly

from helpers import load_cohorts, review
from helpers.review import compare_pooled, dependence
from helpers.review.claim_choices import data_choices
from helpers.views.plots import picture


def without(cohort: str):
    return lambda table: table[table["cohort"] != cohort]


def first(k: int):
    return lambda table: table.nlargest(k, "patients")


def one_more(table: pd.DataFrame) -> pd.DataFrame:
    ours = table[table["cohort"] == "Martin 2023"]
    return pd.concat([table, ours.assign(cohort="Ours 2026", patients=60, nonrelapse_deaths=9)])


def one_count(table: pd.DataFrame) -> pd.DataFrame:
    here = table["cohort"] == "San Miguel 2023"
    return table.assign(nonrelapse_deaths=table["nonrelapse_deaths"].mask(here, 30))


@pytest.fixture(scope="module", autouse=True)
def without_drawing():
    """Leave out what no edit can change in a sentence: the drawing of each picture as SVG."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "_svg", lambda *_: "<svg></svg>")
        yield
    once.cache_clear()
    forget()


@functools.cache
def once(name: str, edit: str, typed: tuple[tuple[str, str], ...] = ()) -> Said:
    """Run a chapter on an edit one time, however many tests read what it says."""
    if EDITS[edit] is None and not typed:
        return stored(name)
    said = run(name, EDITS[edit], FEWER.get(name, {}) | dict(typed))
    said.names.clear()
    return said


EDITS = {
    "as it is": None,
    "without the largest": without("Jacobson 2022 B"),
    "one cohort more": one_more,
    "another disease": lambda table: table[table["entity"] == "MM"],
    "every cohort has a death": lambda table: table[table["nonrelapse_deaths"] > 0],
    "three cohorts": first(3),
    "two cohorts": first(2),
    "one cohort": first(1),
    "without a corrected cohort": without("Bethge 2022 A"),
    "without a disease": lambda table: table[table["entity"] != "IL"],
    "a disease that is new": lambda table: table.assign(
        entity=table["entity"].astype(str).replace("IL", "CLL")
    ),
    "one of each disease": lambda table: table.groupby("entity", observed=True).head(1),
    "few of each": lambda table: table.groupby(["entity", "product"], observed=True).head(3),
}
CHAPTERS = ("question", "data_extraction", "pooling", "effect_sizes")
#: Chapters that name pairs of groups: the groups have to be there.
PAIRS = ("dependence", "time_at_risk", "exam", "heterogeneity", "meta_regression")
PAIR_EDITS = ("as it is", "without the largest", "one cohort more")
#: Simulations of a chapter, made short where only the table matters that reaches them.
FEWER = {
    "small_study_effects": {
        "draws=2000": "draws=60",
        "draws=1000": "draws=60",
        "slope=egger.bias": "draws=60, slope=egger.bias",
    },
    "time_at_risk": {"draws=400": "draws=40"},
    "subgroups": {
        "subgroup_tests(cohorts=cohorts)": "subgroup_tests(cohorts=cohorts, draws=40)",
        "both.calibrated_test()": "both.calibrated_test(draws=40)",
    },
    "meta_regression": {
        "regression_overview(cohorts)": "regression_overview(cohorts, draws=99)",
        '("MM: all factors", cohorts)\nplace': '("MM: all factors", cohorts, draws=99)\nplace',
        "cohorts, formula=MONTHS": "cohorts, formula=MONTHS, draws=99",
    },
    "exam": {"simulate_null(kept)": "simulate_null(kept, draws=60)"},
    "heterogeneity": {"gosh(10_000": "gosh(300", "gosh(min_size=3)": "gosh(100, min_size=3)"},
}
GLMM = 'model="glmm", ci_method="wald"'
#: Chapters that take long, on the edits that can hurt them.
LONG = [
    ("summary_of_findings", "without a corrected cohort"),
    nightly("summary_of_findings", "another disease"),
    ("summary_of_findings", "one cohort"),
    ("multiverse", "few of each"),
    ("bayes", "few of each"),
    ("subgroups", "without the largest"),
    nightly("index", "without a corrected cohort"),
    nightly("index", "a disease that is new"),
    ("index", "one of each disease"),
    nightly("reproduction", "without a corrected cohort"),
]
#: Every edit meets a chapter on every run, and every chapter some edits; weekly each meets each.
ON_EVERY_RUN = {
    "pooling": {"as it is", "without the largest", "three cohorts", "one cohort", "two cohorts"},
    "effect_sizes": {"as it is", "two cohorts", "without a disease", "few of each"},
    "data_extraction": {"as it is", "one cohort more", "without the largest", "another disease"},
    "question": set(EDITS),
    "dependence": {"as it is", "one cohort more"},
    "time_at_risk": {"as it is", "without the largest"},
    "exam": {"as it is", "without the largest"},
    "heterogeneity": {"as it is", "one cohort more"},
    "meta_regression": {"as it is", "without the largest"},
}


def meetings(names, edits):
    for name in names:
        for edit in edits:
            yield (name, edit) if edit in ON_EVERY_RUN[name] else nightly(name, edit)


EVERY, EVERY_PAIR = [*meetings(CHAPTERS, EDITS)], [*meetings(PAIRS, PAIR_EDITS)]


@pytest.mark.parametrize(("name", "edit"), EVERY)
def test_a_chapter_says_nothing_odd_on_another_table(name, edit):
    said = once(name, edit)
    found = {cell: faults(text) for cell, text in said.sentences.items()}
    assert {cell: odd for cell, odd in found.items() if odd} == {}
    if edit == "as it is":
        assert said.refused == {}


@pytest.mark.parametrize(("name", "edit"), EVERY_PAIR)
def test_a_chapter_of_comparisons_says_nothing_odd_on_another_table(name, edit):
    said = once(name, edit)
    found = {cell: faults(text) for cell, text in said.sentences.items()}
    assert {cell: odd for cell, odd in found.items() if odd} == {}
    assert said.refused == {}


@pytest.mark.parametrize(("name", "edit"), LONG)
def test_a_long_chapter_says_nothing_odd_on_another_table(name, edit):
    said = once(name, edit)
    found = {cell: faults(text) for cell, text in said.sentences.items()}
    assert {cell: odd for cell, odd in found.items() if odd} == {}
    assert set(said.refused) <= {"solution-apply"}  # an exercise that names a cohort


def test_causes_of_other_deaths_are_refused_in_words():
    said = run("causes_of_death", EDITS["without the largest"])
    assert "as totals and not by cohort" in said.refused["setup"]
    said = run("causes_of_death", EDITS["without a disease"])
    assert "give all of its cohorts" in said.refused["setup"]


def test_published_rows_of_a_group_that_is_not_there_are_passed_over():
    ours = compare_pooled(EDITS["without a disease"](load_cohorts()))
    assert "IL" not in set(ours.loc[ours["analysis"] == "entity", "level"])
    assert {"LBCL", "MM", "MCL"} <= set(ours.loc[ours["analysis"] == "entity", "level"])


def test_a_summary_of_other_deaths_leaves_the_causes_out_and_says_so():
    said = once("summary_of_findings", "without a corrected cohort")
    assert "Deaths by cause are left out" in said.sentences["cautions"]
    assert "infection" not in said.sentences["report"].lower()
    whole = once("summary_of_findings", "one cohort").sentences["report"]
    assert "one cohort," in whole


def test_corrections_and_overlap_follow_the_cohorts_that_are_there():
    fewer = load_cohorts().query("cohort not in ['Bethge 2022 A', 'Nastoupil 2020']")
    choices = data_choices(fewer)
    corrected = choices["corrections"]["facts and inferences"]
    assert "Bethge 2022 B" in corrected
    assert "Bethge 2022 A" not in corrected
    assert choices["overlap"]["registry overlap left out"] == []


@pytest.mark.parametrize(
    ("name", "edit", "typed"),
    [
        ("pooling", "three cohorts", {GLMM: 'model="random"'}),
        ("pooling", "every cohort has a death", {GLMM: 'model="glmm", ci_method="t"'}),
        ("effect_sizes", "two cohorts", {'model="random"': 'model="common"'}),
        ("effect_sizes", "as it is", {'model="random"': 'model="random", tau2_method="PM"'}),
        ("dependence", "without the largest", {'ci_method="t"': 'model="random", ci_method="t"'}),
    ],
)  # fmt: skip
def test_another_model_leaves_no_odd_sentence(name, edit, typed):
    said = once(name, edit, tuple(typed.items()))
    assert {cell: odd for cell, text in said.sentences.items() if (odd := faults(text))} == {}


@pytest.mark.parametrize(
    "name",
    ["question", "data_extraction", "pooling", nightly("effect_sizes"), "dependence",
     "time_at_risk", nightly("exam"), nightly("audit"), nightly("meta_regression"),
     "small_study_effects"],
)  # fmt: skip
def test_a_changed_table_reaches_every_helper(name):
    # The table of causes of the review belongs to its own deaths, so that chapter is not here.
    assert run(name, one_count, FEWER.get(name), strict=True).refused == {}


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"draws=1000": "k=5, draws=40"},
        {"tau=0.4, size=200": "tau=0.05, size=200"},
        {"tau=0.4, draws=500": "tau=0, draws=30"},
        {"small=20": "small=200"},
        {"proportion=0.07, tau=0.45": "proportion=0.07, tau=0, draws=40"},
    ],
    ids=["as they are", "few studies", "alike", "no variance", "no small study", "tau of zero"],
)
def test_the_labs_say_nothing_odd_after_the_edits_that_they_prescribe(typed):
    fewer = {"draws=1000": "draws=40", "draws=800": "draws=40",
             "draws=500": "draws=30"}  # fmt: skip
    fewer = {old: new for old, new in fewer.items() if not any(old in key for key in typed)}
    said = run("labs", None, {**typed, **fewer})
    assert {c: faults(t) for c, t in said.sentences.items() if faults(t)} == {}
    assert said.refused == {}


def test_what_takes_long_follows_a_changed_table_too():
    """Analyses of the audit and of the regressions, a few of them: weekly in their chapters."""
    table = load_cohorts()
    changed = one_count(table)
    name = "MM: all factors"
    ours, theirs = (review.published_regression(name, one).estimates for one in (table, changed))
    assert ours.tolist() != theirs.tolist()
    lost = table["nonrelapse_deaths"].sum() - changed["nonrelapse_deaths"].sum()
    assert lost != 0
    rows = review.subgroup_rows(changed).set_index(["analysis", "level"])["events"]
    before = review.subgroup_rows(table).set_index(["analysis", "level"])["events"]
    assert set((before - rows).unique()) == {0, lost}


def test_the_verdicts_of_the_labs_follow_the_numbers():
    few = {"draws=1000": "draws=40", "draws=800": "draws=40"}
    said = run("labs", None, few).sentences
    assert "still rejects" in said["egger-seen"]
    assert "away from the truth" in said["back-seen"]
    edits = {"tau=0.4, draws=500": "tau=0, draws=200", "small=20": "small=200"}
    said = run("labs", None, {**few, **edits}).sentences
    assert "still rejects" not in said["egger-seen"]
    assert "towards the truth" in said["back-seen"]


@pytest.mark.parametrize("edit", ["as it is", "without the largest", "one cohort more"])
def test_numbers_in_sentences_are_those_of_the_edited_table(edit):
    table = load_cohorts()
    table = table if EDITS[edit] is None else EDITS[edit](table)
    deaths, patients = table["nonrelapse_deaths"].sum(), table["patients"].sum()
    answer = " ".join(once("data_extraction", edit).sentences["answer"].split())
    assert f"{len(table)} cohorts with {patients:,} patients and {deaths:,} nonrelapse" in answer
    pot = once("pooling", edit).sentences["pot-sentence"]
    top = table.loc[table["nonrelapse_deaths"].idxmax()]
    assert f"{100 * deaths / patients:.1f}%" in pot
    assert f"{top['cohort']}" in pot
    assert f"{top['nonrelapse_deaths']} of {deaths}" in pot


@pytest.mark.parametrize("name", ["question", "pooling"])
def test_three_cohorts_get_no_prediction_interval_but_a_sentence(name):
    said = once(name, "three cohorts").sentences
    spoken = " ".join(said.values())
    assert "three cohorts cannot tell how far true rates lie apart" in spoken
    assert "may lie anywhere" not in spoken
    assert "prediction interval was" not in spoken
    everything = " ".join(once(name, "as it is").sentences.values())
    assert "cannot tell" not in everything
    assert "prediction interval was 2.7 to 16.2%" in everything


@pytest.mark.parametrize("name", ["question", "pooling"])
def test_a_rate_of_all_patients_is_named_for_what_it_is(name):
    spoken = " ".join(once(name, "as it is").sentences.values())
    assert not re.search(r"\d\s% died\.", spoken)


def test_contrasts_are_sorted_by_what_their_intervals_exclude():
    frame = pd.DataFrame(
        {
            "quantity": ["a", "a", "b", "b", "c", "c", "pooled rate"],
            "lower": [1.1, 1.2, 0.9, 1.1, 0.8, 0.7, 0.1],
            "upper": [3.0, 3.0, 3.0, 3.0, 1.4, 1.2, 0.2],
        }
    )
    assert dependence.contrast_sentences(frame) == (
        "The interval excludes no difference in every model for a; in some models for b; in no "
        "model for c."
    )
    below = frame.assign(lower=0.2, upper=0.6)
    assert dependence.contrast_sentences(below).endswith("in every model for a, b and c.")


def test_a_cohort_without_a_source_stands_alone():
    table = one_more(load_cohorts())
    for shared in dependence.SHARED:
        labels = dependence.clusters(shared, table)
        assert (labels == labels.iloc[-1]).sum() == 1


@pytest.mark.parametrize(
    "sentence",
    [
        "It was 80 per\u00a01,000 in 1,000.",
        "No of the 13 estimates lie outside.",
        "It is lowest in before 2020 and highest in IL.",
        "The interval is 1.00 times as wide.",
        "The column nonrelapse_deaths is complete.",
        "The glmm gives more.",
        "There are 1 cohorts.",
        "It is known for 3 cohort.",
        "The rate is nan.",
        "It moved by \u22120.0 points.",
        "The coefficient product[T.ide-cel] is small.",
        "It rose  and fell.",
    ],
)
def test_an_odd_sentence_is_seen(sentence):
    assert faults(sentence)


def test_plain_sentences_pass():
    assert not faults(
        "None of the 13 estimates lies outside. In 2024 `nonrelapse_deaths` had 52 cohorts; see "
        "{term}`tau2 <tau2>` and [Pooling](pooling.ipynb#step_two)."
    )
