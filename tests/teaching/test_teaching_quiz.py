"""Self-check questions: what browsers and screen readers get; answers that follow the data."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from helpers import pool, printing
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.evidence import EvidenceError
from helpers.evidence.own import read_own
from helpers.teaching import CHAPTERS, Quiz, self_check
from helpers.teaching import answers as shared
from helpers.teaching.checks import _question
from helpers.teaching.questions import Answer, Question, question

QUESTIONS = Path(shared.__file__).with_name("questions.toml")
OPTIONS = (
    Answer("Yes, <b>5</b> is", "It is less.", True),
    Answer("No", "It is not more.", False),
    Answer("Both", "One of them.", False),
)
ASKED = question("Is 5 < 7 & so on?", OPTIONS)


@functools.cache
def asked_in(chapter: str) -> tuple[Question, ...]:
    """Make the questions of a chapter once; who changes the data asks `self_check` itself."""
    return tuple(self_check(chapter).questions)


def test_a_question_is_a_named_group_of_disclosures_without_scripts():
    page = BeautifulSoup(Quiz((ASKED, ASKED), "try").html, "html.parser")
    groups = page.find_all("fieldset")
    assert [group["id"] for group in groups] == ["try-1", "try-2"]
    for group in groups:
        children = [child for child in group.children if child.name]
        assert children[0].name == "legend"
        assert children[0].get_text() == ASKED.prompt
        assert [child.name for child in children[1:]] == ["details"] * 3
        for option in children[1:]:
            assert not option.has_attr("open")
            assert option.find("summary", recursive=False).get_text(strip=True)
            assert len(option.find("p").get_text()) > len("Not so. ")
    assert page.find(["script", "input", "b", "style"]) is None
    assert not any(name.startswith("on") for tag in page.find_all(True) for name in tag.attrs)


def test_the_verdict_is_said_in_words_once_right():
    page = BeautifulSoup(Quiz((ASKED,), "quiz").html, "html.parser")
    verdicts = [strong.get_text() for strong in page.find_all("strong")]
    assert sorted(verdicts) == ["Not so.", "Not so.", "Right."]
    assert page.select_one(".quiz-right strong").get_text() == "Right."


def test_html_and_text_hold_the_same_words():
    shown = Quiz((ASKED,), "quiz")
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    words = BeautifulSoup(bundle["text/html"], "html.parser").get_text()
    for option in ASKED.options:
        for part in (option.text, option.why):
            assert part in words
            assert part in bundle["text/plain"]


def test_the_order_of_options_depends_on_their_words_alone():
    turned = question(ASKED.prompt, reversed(OPTIONS))
    assert turned == ASKED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((Answer("a", "w", True),), "two to"),
        ((Answer("a", "w", True), Answer("b", "w", True)), "exactly one right"),
        ((Answer("a", "w", False), Answer("b", "w", False)), "exactly one right"),
        ((Answer("a", "w", True), Answer("a", "w", False)), "read alike"),
        ((Answer("a", "w", True), Answer("b", " ", False)), "a reason"),
    ],
)
def test_a_question_that_cannot_be_answered_is_an_error(options, words):
    with pytest.raises(MetaAnalysisError, match=words):
        Question("What?", options)


def test_a_tie_is_no_question():
    entry = {"ask": "Which?", "which": ["largest", "scale"], "why": "{name} is {said}"}
    scale = {"a": (1.0, "1"), "b": (0.5, "a half")}
    assert _question(entry, {"scale": scale}).right == Answer("a", "a is 1", True)
    with pytest.raises(MetaAnalysisError, match="exactly one right"):
        _question(entry, {"scale": scale | {"b": (1.0, "1")}})


def test_an_unknown_chapter_is_an_error():
    with pytest.raises(UnsupportedError, match="no questions"):
        self_check("colophon")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_has_questions_that_explain_every_answer(chapter):
    asked = self_check(chapter)
    assert len(asked.questions) >= 2
    assert asked.name == f"check-{chapter.replace('_', '-')}"
    for one in asked.questions:
        assert one.prompt.endswith("?")
        assert len({option.why for option in one.options} | {one.prompt}) >= 2
        for option in one.options:
            assert option.why.rstrip().endswith((".", "%", "”"))


def test_words_and_computed_values_of_a_chapter_fit_together():
    with QUESTIONS.open("rb") as file:
        entries = tomllib.load(file)
    assert set(shared.MADE) <= set(entries)
    for chapter in shared.MADE:
        words = repr(entries[chapter])
        for name, value in shared.MADE[chapter]().items():
            named = f"'{name}'" if isinstance(value, (bool, dict)) else f"{{{name}}}"
            assert named in words, f"{chapter}: nothing asks for {name!r}"


def test_right_answers_that_lie_at_one_place_would_give_themselves_away():
    places = [one.options.index(one.right) for chapter in CHAPTERS for one in asked_in(chapter)]
    assert max(places.count(place) for place in set(places)) < 0.6 * len(places)


def test_right_answers_are_not_the_longest():
    """At most a third: who takes the longest answer without reading must not pass."""
    asked = [one for chapter in CHAPTERS for one in asked_in(chapter)]
    longest = [
        one.prompt
        for one in asked
        if len(one.right.text) > max(len(o.text) for o in one.options if not o.right)
    ]
    assert len(longest) <= len(asked) / 3, longest


@pytest.mark.parametrize(
    "method",
    [
        "Cochran's Q",
        "Half an event",
        "Paule-Mandel",
        "Knapp and Hartung",
        "quadrature",
        "permutation test",
        "robust standard errors",
        "GRADE",
    ],
)
def test_every_method_is_asked_about(method):
    asked = [one.prompt.casefold() for chapter in CHAPTERS for one in asked_in(chapter)]
    assert any(method.casefold() in prompt for prompt in asked)


def test_answers_follow_the_data(monkeypatch):
    data = shared.cohorts()
    before = [one.right.text for one in self_check("pooling").questions]
    doubled = data.assign(
        nonrelapse_deaths=(2 * data["nonrelapse_deaths"]).clip(upper=data["patients"])
    )
    monkeypatch.setattr(shared, "_cohorts", lambda: doubled)
    shared.fit.cache_clear()
    try:
        after = [one.right.text for one in self_check("pooling").questions]
        fit = pool(doubled, **shared.COLUMNS, model="glmm")
        assert after[0] == printing.percent_range(fit.prediction_interval())
        assert after[0] != before[0]
    finally:
        shared.fit.cache_clear()


def test_no_question_asks_for_a_fact_of_this_data_set():
    """What is asked is the method: nobody need know a cohort, a disease or a count by heart."""
    data = shared.cohorts()
    facts = set(data["cohort"]) | set(data["entity"]) | set(data["product"])
    for chapter in CHAPTERS:
        for one in asked_in(chapter):
            named = [o.text for o in one.options if o.text in facts]
            assert not named, one.prompt
            counts = [
                o.text for o in one.options if re.fullmatch(r"[\d,]+ (cohorts|deaths)", o.text)
            ]
            assert not counts, one.prompt


def test_of_1000_patients_the_mean_over_cohorts_is_right_and_the_median_cohort_wrong():
    """574 of 7,604 patients died: 75 of 1,000. The mean of the model is 74, its median 68."""
    asked = self_check("question").questions[1]
    assert asked.right.text == "74"
    assert abs(float(asked.right.text) - 1000 * 574 / 7604) < 2
    wrong = {option.text: option.why for option in asked.options if option != asked.right}
    assert "median cohort" in wrong["68"]


def test_what_the_quiz_says_of_a_word_in_place_of_a_count_is_what_a_report_does():
    (asked,) = [one for one in asked_in("your_own_table") if "“n/a”" in one.prompt]
    (refuses,) = [one for one in asked.options if "refuses" in one.text]
    *missing, refused = re.findall("“(.+?)”", refuses.why)
    for word in ["n/a", *missing, "–", ""]:
        own = read_own(f'study,events,n\nA,"{word}",40\nB,3,50\n'.encode(), {})
        assert own.data["events"].isna().tolist() == [True, False]
    with pytest.raises(EvidenceError):
        read_own(f'study,events,n\nA,"{refused}",40\nB,3,50\n'.encode(), {})
    assert asked.right.text.startswith("It leaves the study out")
