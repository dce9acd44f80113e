"""Questions with a picture: it shows its data, and the right answer can be read off it."""

from __future__ import annotations

import re
from functools import cache
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.evidence import data_folder
from helpers.teaching import CHAPTERS, self_check
from helpers.teaching.bank import bank_files
from helpers.teaching.figures import FIGURES, figure

SVG = "{http://www.w3.org/2000/svg}"


@cache
def asked():
    """Questions with a picture, by its alternative text. Not at import: every worker imports."""
    every = [one for chapter in CHAPTERS for one in self_check(chapter).questions]
    return {one.figure.alt: one for one in every if one.figure is not None}


def lines(name):
    """Ends of the horizontal lines of a picture, by the label of their row."""
    tree = ET.fromstring(figure(name).svg)
    labels = {float(t.get("y")) - 4: t.text or "" for t in tree.findall(f"{SVG}text")}
    found = []
    for path in tree.findall(f"{SVG}path"):
        if part := re.fullmatch(r"M([\d.-]+) ([\d.]+)H([\d.-]+)", path.get("d")):
            x0, y, x1 = map(float, part.groups())
            found.append((labels.get(y, ""), x0, x1))
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_is_asked_about_told_in_words_and_stands_on_page_and_sheet(name):
    drawn = figure(name)
    one = asked()[drawn.alt]
    assert drawn.alt in one.told
    assert ET.fromstring(drawn.svg).findtext(f"{SVG}title") == drawn.alt
    files = bank_files({chapter: self_check(chapter) for chapter in CHAPTERS})
    assert drawn.svg in files["questions.html"]
    assert drawn.svg not in files["questions_key.html"]


def test_the_second_line_is_the_prediction_interval_and_the_first_the_mean():
    found = {label: (a, b) for label, a, b in lines("mean-and-next") if label}
    (a0, a1), (b0, b1) = found["Line 1"], found["Line 2"]
    assert b0 < a0 < a1 < b1
    assert asked()[figure("mean-and-next").alt].right.text == "Line 2"


def test_the_second_trial_has_the_most_weight_by_hand_and_the_narrowest_line():
    table = pd.read_csv(data_folder() / "examples" / "viral_suppression.csv")
    table = table.sort_values(["n", "events"])
    shown = [table.iloc[len(table) // 2], table.iloc[-1], table.iloc[0]]
    weights = [1 / (1 / row.events + 1 / (row.n - row.events)) for row in shown]
    assert int(np.argmax(weights)) == 1
    assert int(np.argmin(weights)) == 2
    widths = [b - a for label, a, b in lines("weights")]
    assert np.argsort(widths).tolist() == [1, 0, 2]
    assert asked()[figure("weights").alt].right.text == "Trial 2"


def test_the_second_interval_is_symmetric_and_reaches_below_zero():
    p, n = 1 / 16, 16
    z = stats.norm.ppf(0.975)
    low = p - z * np.sqrt(p * (1 - p) / n)
    assert low < 0
    x = {label: (a, b) for label, a, b in lines("wald")}
    texts = ET.fromstring(figure("wald").svg).findall(f"{SVG}text")
    at = {one.text: float(one.get("x")) for one in texts}
    middle = at["0%"] + (at["40%"] - at["0%"]) * p / 0.4
    assert np.mean(x["Interval 2"]) == pytest.approx(middle, abs=0.1)
    assert np.mean(x["Interval 1"]) > middle + 5
    assert asked()[figure("wald").alt].right.text == "Interval 2"


def test_the_least_precise_cohort_of_the_funnel_lies_furthest_left():
    points = [
        (float(c.get("cx")), float(c.get("cy")))
        for c in ET.fromstring(figure("funnel").svg).findall(f"{SVG}circle")
    ]
    assert min(points)[1] == max(y for _, y in points)


def test_no_option_is_named_by_a_letter_because_options_have_letters():
    questions = [one for chapter in CHAPTERS for one in self_check(chapter).questions]
    options = [answer.text for one in questions for answer in one.options]
    assert len(options) > 100
    assert [text for text in options if re.fullmatch(r"\w+ [A-H]", text)] == []
