"""The page for everyone: plain words, no acronym unexplained, the numbers of the table."""

import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from inline_values import resolved

ROOT = Path(__file__).resolve().parents[2]
EASY = 60.0  # "plain English" of Flesch's scale


@pytest.fixture(scope="module")
def halves():
    """The text for patients and that for clinicians, as they are read."""
    stored = nbformat.read(ROOT / "book" / "in_brief.ipynb", as_version=4)
    cells = {cell.id: cell.source for cell in resolved(stored).cells}
    return cells["answer"] + "\n" + cells["patients"], cells["clinic"]


def plain(text: str) -> str:
    """Text without headings and marks."""
    text = re.sub(r"^(#.*|:::.*)$", "", text, flags=re.M)
    return re.sub(r"\[([^\]]+)\]\([^)]*\)|[*`]", r"\1", text)


def syllables(word: str) -> int:
    """Groups of vowels; a silent e at the end is none."""
    groups = re.findall(r"[aeiouy]+", re.sub(r"(?<=[^aeiouyl])e(d|s)?$", "", word.lower()))
    return max(1, len(groups))


def reading_ease(text: str) -> float:
    """Flesch's reading ease, doi:10.1037/h0057532."""
    sentences = [part for part in re.split(r"[.!?:]\s", text) if re.search(r"[a-z]", part)]
    words = re.findall(r"[A-Za-z][A-Za-z'’-]*", text)
    heard = sum(map(syllables, words))
    return 206.835 - 1.015 * len(words) / len(sentences) - 84.6 * heard / len(words)


def test_the_scale_knows_easy_from_hard():
    assert reading_ease("The cat sat on the mat. It was warm. ") > 100
    hard = "Immunosuppression necessitates individualised antimicrobial chemoprophylaxis. "
    assert reading_ease(hard) < 0


def test_the_half_for_patients_is_plain(halves):
    assert reading_ease(plain(halves[0])) >= EASY


def test_patients_meet_no_acronym_and_no_symbol(halves):
    text = plain(halves[0]).replace("CAR T-cell", "")
    assert re.findall(r"\b[A-Z][A-Z0-9]+\b", text) == []
    assert re.findall(r"[=<>²±%]", text) == []


def test_an_acronym_for_clinicians_is_one_that_a_journal_prints_unexplained(halves):
    text = plain(halves[1])
    assert set(re.findall(r"\b[A-Z][A-Z0-9]+\b", text)) <= {"CI", "GRADE"}


def test_half_of_the_groups_were_followed_for_no_longer_than_is_said(halves):
    """A rounded median divides the groups unequally: the sentence must be true as it is printed."""
    said = re.search(r"(half) of these groups, .* about (\d+) months or less", halves[0])
    followed = pd.read_csv(ROOT / "data" / "cohorts.csv")["median_follow_up_months"].dropna()
    assert (followed < int(said[2]) + 0.5).mean() >= 0.5
    assert (followed > int(said[2]) - 0.5).mean() >= 0.5


def test_of_a_thousand_follows_from_the_tables(halves):
    """Deaths of each cause are the mean rate times the share; all of them fit into the total."""
    causes = pd.read_csv(ROOT / "data" / "causes.csv").query("grouping == 'all, eight causes'")
    share = causes.set_index("cause")["deaths"] / causes["deaths"].sum()
    total = int(re.search(r"about (\d+) died", halves[0])[1])
    assert f"about {round(total * share['infection'])} died of an infection" in halves[0]
    assert f"The other {1000 - total} were alive" in halves[0].replace("\n", " ")
    # the mean of the rates lies between that of all patients together and that of the median cohort
    cohorts = pd.read_csv(ROOT / "data" / "cohorts.csv")
    crude = 1000 * cohorts["nonrelapse_deaths"].sum() / cohorts["patients"].sum()
    assert 68 <= total <= crude + 1
