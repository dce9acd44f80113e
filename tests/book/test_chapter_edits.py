"""Every chapter on tables and options of a reader: true sentences, or one clear error."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from chapter_edits import (
    BOOK,
    CLOSE,
    FEWER,
    OPEN,
    Said,
    cells_of,
    faults,
    forget,
    run,
    stored,
    strangers,
)
from inline_values import expressions
from nightly import nightly
from reader_edits import DAILY, EDITS, NO_TABLE, REFUSED, TABLES, TYPED, one_count, one_more

import helpers
from helpers import load_cohorts, review
from helpers.reporting import figures
from helpers.review import dependence
from helpers.review.claim_choices import data_choices
from helpers.views.plots import picture

#: How an error tells a reader to get on.
ADVICE = re.compile(
    r"\b(?:expected|needs?|give|use|choose|the columns are|add|keep|put|leave|pool|"
    r"was everything)\b",
    re.I,
)

#: Chapters whose code gives the words of a file, whatever the table: only their prose is read.
STORED_WORDS = {"conventions", "method_menu"}
#: Cells about the publications of the review, which stay what they are.
OF_THE_REVIEW = {("question", "definitions-heading")}


def plain(text: str) -> str:
    return text.replace(OPEN, "").replace(CLOSE, "")


def in_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module", autouse=True)
def without_drawing() -> Iterator[None]:
    """Leave out what no edit can change in a sentence.

    That is the drawing of each picture as SVG, its form for phones, and figures of a report that
    its chapter does not show. `test_plots_structure.py` and `test_exports.py` draw all of them, of
    odd tables too.
    """
    wanted = figures._wanted
    code = "\n".join(cell.source for cell in cells_of("your_own_table"))
    shown = re.findall(r"\.pictures\[\"([^\"]+)\"\]", code)
    assert shown
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "_svg", lambda *_: "<svg></svg>")
        patch.setattr(picture.style, "phone_form", lambda *_: None)
        patch.setattr(figures, "_wanted", lambda *of: [w for w in wanted(*of) if w[0] in shown])
        yield
    once.cache_clear()
    forget()


@functools.cache
def once(name: str, edit: str) -> Said:
    """Run a chapter as "Run all" does, on an edited table or with other words typed in."""
    if edit == "as it is":
        return stored(name)
    typed = TYPED.get(name, {}).get(edit, {})
    said = run(name, TABLES.get(edit), {**FEWER.get(name, {}), **typed}, strict=True, stop=True)
    said.names.clear()
    return said


def edited(edit: str) -> pd.DataFrame:
    table, change = load_cohorts(), TABLES.get(edit)
    return table if change is None else change(table)


def meetings() -> Iterator[Any]:
    for name, edits in EDITS.items():
        for edit in edits:
            yield (name, edit) if edit in DAILY[name] else nightly(name, edit)


# One cohort: the by-hand formula of tau2 in view divides zero by zero, as it does on paper.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize(("name", "edit"), [*meetings()])
def test_an_edit_gives_true_sentences_or_one_clear_error(name: str, edit: str) -> None:
    said = once(name, edit)
    spoken = said.marked if name in STORED_WORDS else said.sentences
    odd = {cell: found for cell, text in spoken.items() if (found := faults(plain(text)))}
    assert odd == {}
    named = strangers(said, edited(edit), load_cohorts())
    assert [one for one in named if (name, one[0]) not in OF_THE_REVIEW] == []
    expected = REFUSED.get(name, {}).get(edit)
    if expected is None:
        assert said.refused == {}
    else:
        (message,) = said.refused.values()
        assert expected in message
        assert ADVICE.search(message), message


def test_every_chapter_meets_eight_edits_or_says_why_not() -> None:
    chapters = {path.stem for path in BOOK.glob("*.ipynb")}
    assert set(EDITS) | set(NO_TABLE) == chapters  # a new chapter says what it takes
    assert not set(EDITS) & set(NO_TABLE)
    assert {name: len(edits) for name, edits in EDITS.items() if len(edits) < 8} == {}
    assert all(DAILY[name] for name in EDITS)
    # shortened simulations are calls of our own: each run makes them, weekly ones come too late
    refused = [name for name in FEWER if {*DAILY[name]} <= {*REFUSED.get(name, {})}]
    assert refused == []
    assert {edit for daily in DAILY.values() for edit in daily} >= set(TABLES) - {"as it is"}


def test_what_is_typed_over_stands_in_its_chapter():
    """Else an edit is none, and an analysis takes its full time: told before anything runs."""
    typed = [(name, edit) for name in EDITS for edit in (FEWER, *TYPED.get(name, {}).values())]
    source = {name: "\n".join(cell.source for cell in cells_of(name)) for name in EDITS}
    lost = {
        (name, old)
        for name, edit in typed
        for old in (FEWER.get(name, {}) if edit is FEWER else edit)
        if old not in source[name]
    }
    assert lost == set()


@pytest.mark.parametrize("name", [*EDITS])
def test_a_chapter_as_it_stands_says_nothing_odd(name: str) -> None:
    cells = {cell.id for cell in cells_of(name) if cell.cell_type == "markdown"}
    spoken = stored(name).sentences.items()
    odd = {c: found for c, text in spoken if c in cells and (found := faults(text))}
    assert odd == {}


def _sums(table: pd.DataFrame) -> str:
    deaths, patients = table["nonrelapse_deaths"].sum(), table["patients"].sum()
    return f"{deaths:,} nonrelapse deaths among {patients:,} patients in {len(table)} cohorts"


def _most(table: pd.DataFrame) -> pd.Series:
    return table.loc[table["nonrelapse_deaths"].idxmax()]


def _common_effect(table: pd.DataFrame) -> str:
    """Give the binomial maximum under one rate for all, which is deaths over patients."""
    rest = table[table["cohort"] != _most(table)["cohort"]]
    shares = [100 * t["nonrelapse_deaths"].sum() / t["patients"].sum() for t in (table, rest)]
    return "in the common effect from {:.2f}% to {:.2f}%".format(*shares)


def _smallest_without(table: pd.DataFrame) -> str:
    zero = table[table["nonrelapse_deaths"] == 0].sort_values("patients", kind="stable").iloc[0]
    return f"{zero['cohort']}, with no death among {zero['patients']} patients"


#: What a cell says of a table, counted again here.
FACTS: list[tuple[str, str, str, Callable[[pd.DataFrame], str]]] = [
    ("question", "one cohort more", "report",
     lambda t: f"Among {t['patients'].sum():,} patients in {len(t)} cohorts ("),
    ("question", "one cohort more", "report",
     lambda t: f"), {t['nonrelapse_deaths'].sum():,} nonrelapse deaths occurred"),
    ("data_extraction", "one cohort more", "report", lambda t: f"We extracted {_sums(t)}"),
    ("data_extraction", "relabelled", "answer", lambda t: f"{len(t)} cohorts with"),
    ("pooling", "another disease", "report", lambda t: f"We pooled {_sums(t)}"),
    ("pooling", "another disease", "pot-sentence",
     lambda t: f"{_most(t)['cohort']} alone contributes {_most(t)['nonrelapse_deaths']} of "
     f"{t['nonrelapse_deaths'].sum()} deaths"),
    ("effect_sizes", "few of each", "half-sentence", lambda t: f"of the {len(t)} cohorts"),
    ("heterogeneity", "one cohort more", "registry-sentence", _common_effect),
    ("heterogeneity", "a table of one's own", "registry-sentence", _common_effect),
    ("heterogeneity", "one cohort more", "registry-sentence",
     lambda t: f"The cohort with the most deaths is {_most(t)['cohort']} ("),
    ("dependence", "one cohort more", "takeaways",
     lambda t: f"[Of {len(t)} cohorts](#who-shares-what)"),
    ("summary_of_findings", "without a corrected cohort", "report",
     lambda t: f"{len(t)} cohorts, {t['patients'].sum():,} patients"),
    ("exam", "without myeloma", "zero-solution", _smallest_without),
    ("exam", "own names of all", "zero-solution", _smallest_without),
]  # fmt: skip


@pytest.mark.parametrize(("name", "edit", "cell", "fact"), FACTS)
def test_numbers_and_names_in_sentences_are_counted_again(
    name: str, edit: str, cell: str, fact: Callable[[pd.DataFrame], str]
) -> None:
    text = in_one_line(once(name, edit).sentences[cell])
    expected = in_one_line(fact(edited(edit)))
    assert expected in text, (expected, text)


def _but_of_the_review(name: str, said: Said) -> list[str]:
    return [t for cell, t in said.sentences.items() if (name, cell) not in OF_THE_REVIEW]


@pytest.mark.parametrize("name", ["question", "causes_of_death"])
def test_other_labels_change_nothing_else(name: str) -> None:
    ours, here = edited("relabelled"), load_cohorts()
    text = "\n".join(in_one_line(t) for t in _but_of_the_review(name, stored(name)))
    for old, new in zip(here["cohort"], ours["cohort"], strict=True):
        text = text.replace(old, new)
    again = "\n".join(in_one_line(t) for t in _but_of_the_review(name, once(name, "relabelled")))
    assert again == text


def _calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    for cell in cells_of(name):
        prose = cell.cell_type == "markdown"
        source = "\n".join(expressions(cell.source)) if prose else cell.source
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node


def without_table(name: str) -> list[str]:
    """Name the calls of a chapter that would read the file instead of the reader's table."""
    found = []
    for words, call in _calls(name):
        root, *rest = words.split(".")
        target: Any = getattr(helpers, root, None)
        for part in rest if words.replace(".", "").isidentifier() else ():
            target = getattr(target, part, None)
        if not inspect.isfunction(target) or not words.replace(".", "").isidentifier():
            continue
        names = list(inspect.signature(target).parameters)
        if "cohorts" in names:
            given = [k.arg for k in call.keywords]
            if len(call.args) <= names.index("cohorts") and "cohorts" not in given:
                found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("name", [*EDITS])
def test_a_call_that_can_take_the_table_of_the_reader_takes_it(name: str) -> None:
    assert without_table(name) == []


def test_a_call_without_the_table_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    call = ast.parse("review.published_regression('MM: product', formula='x')").body[0].value
    monkeypatch.setitem(globals(), "_calls", lambda _: [(ast.unparse(call.func), call)])
    assert len(without_table("gallery")) == 1


def test_every_loaded_table_is_loaded_once() -> None:
    twice = {
        name: count
        for name in EDITS
        if (count := sum(words == "load_cohorts" for words, _ in _calls(name))) != 1
    }
    assert twice == {}


def test_causes_of_other_deaths_are_refused_in_words():
    said = run("causes_of_death", TABLES["without the largest"])
    assert "as totals and not by cohort" in said.refused["setup"]
    said = run("causes_of_death", TABLES["without a disease"])
    assert "give all of its cohorts" in said.refused["setup"]


def test_a_summary_of_other_deaths_leaves_the_causes_out_and_says_so():
    said = once("summary_of_findings", "without a corrected cohort")
    assert "Deaths by cause are left out" in said.sentences["cautions"]
    assert "infection" not in said.sentences["report"].lower()
    whole = once("summary_of_findings", "one cohort").sentences["report"]
    assert "one cohort," in whole


def test_a_row_added_to_the_later_reports_changes_the_chapter():
    """Nothing else has to be written: table, picture, score, and sentences follow the file."""
    table = 'load_context("later_cohorts")'
    row = f"{table}.query(\"report == 'TRANSCEND MCL'\").assign({{}})"
    typed = row.format('report="Ours 2027", deaths_fewest=40, deaths_most=40')
    added = {table: f"pd.concat([{table}, {typed}])"}
    said, before = run("since_then", None, added), stored("since_then").sentences
    assert "Of eight reports of new studies with" in said.sentences["answer"]
    assert "seven of the eight" in said.sentences["answer"]
    assert "Of seven reports of new studies with" in before["answer"]
    assert "three new cohorts" in said.sentences["takeaways"]
    for cell in ("later", "picture"):
        assert "Ours 2027" in said.texts[cell]
    assert " Outside: Ours 2027." in said.texts["picture"]
    assert "88 (47 to 100)" in said.texts["coverage"]  # exact, seven of eight
    assert said.refused == {}


def test_corrections_and_overlap_follow_the_cohorts_that_are_there():
    fewer = load_cohorts().query("cohort not in ['Bethge 2022 A', 'Nastoupil 2020']")
    choices = data_choices(fewer)
    corrected = choices["corrections"]["facts and inferences"]
    assert "Bethge 2022 B" in corrected
    assert "Bethge 2022 A" not in corrected
    assert choices["overlap"]["registry overlap left out"] == []


#: Edits that the labs prescribe. Each is of another lab, so that one run of the chapter takes
#: several of them; where two are of one lab, they stand in two runs.
PRESCRIBED = [
    {},
    {
        "k=20, draws=1000": "k=5, draws=40",
        "tau=0.4, size=200": "tau=0.05, size=200",
        "tau=0.3, size=50": "tau=0.3, size=300",
        "proportion=0.07, draws=200": "proportion=0.5, draws=40",
        "tau=0.4, draws=500": "tau=0, draws=30",
        "small=20": "small=200",
        "proportion=0.03, tau=0, draws=400": "proportion=0.2, tau=0, draws=40",
        "proportion=0.07, tau=0.45, draws=400": "proportion=0.07, tau=0, draws=40",
        "shared=1": "shared=0",
    },
    {"tau=0.3, size=50": "tau=0, size=50"},
]


@pytest.mark.parametrize("typed", PRESCRIBED, ids=["as it is", "one of each lab", "the others"])
def test_the_labs_say_nothing_odd_after_the_edits_that_they_prescribe(typed):
    source = "\n".join(cell.source for cell in cells_of("labs") if cell.cell_type == "code")
    for old, new in typed.items():
        source = source.replace(old, new)
    fewer = {f"draws={n}": "draws=40" for n in (1000, 800, 600, 500, 400, 200)}
    fewer = {old: new for old, new in fewer.items() if old in source}
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
    few = {f"draws={n}": "draws=40" for n in (800, 600, 400)}
    few |= {"k=20, draws=1000": "k=20, draws=40", "draws=1000": "draws=200"}
    said = run("labs", None, few).sentences
    assert "of 50% it is above the nominal level" in said["egger-seen"]
    assert "“double arcsine, harmonic mean” goes down" in said["back-seen"]
    edits = {"tau=0.4, draws=500": "tau=0, draws=200", "small=20": "small=200"}
    said = run("labs", None, {**few, **edits}).sentences
    assert "of 50% it is above the nominal level" not in said["egger-seen"]
    assert "“double arcsine, harmonic mean” goes up" in said["back-seen"]


@pytest.mark.parametrize("edit", ["as it is", "without the largest", "one cohort more"])
def test_numbers_in_sentences_are_those_of_the_edited_table(edit):
    table = load_cohorts()
    table = table if TABLES[edit] is None else TABLES[edit](table)
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
    assert "three cohorts are too few to estimate how true rates vary" in spoken
    assert "prediction interval for the true rate" not in spoken
    assert "prediction interval was" not in spoken
    everything = " ".join(once(name, "as it is").sentences.values())
    assert "cannot tell" not in everything
    assert "prediction interval was 2.7 to 16.2%" in everything


@pytest.mark.parametrize("name", ["question", "heterogeneity"])
def test_another_level_is_that_of_every_interval_that_a_sentence_gives(name):
    said = once(name, "another level")
    values = "".join(re.findall(f"{OPEN}(.*?){CLOSE}", "".join(said.marked.values()), re.S))
    assert "90%\xa0CI" in values
    assert "95%\xa0CI" not in values


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
        "It caused 292 of 574 (50.9%) of the deaths.",
        "It caused 292 of 574 (50.9%) nonrelapse deaths.",
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
