"""Exercises: a student's notebook runs, and `check` judges answers as their solutions do.

The answers come from the whole chapter, run as a student does, with the solution's own code run
beside it; `check` computes them anew from a part of the chapter. Some are computed by hand here,
from the file of cohorts alone.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
from statistics import NormalDist

import matplotlib.pyplot as plt
import nbformat
import notebooks
import numpy as np
import pandas as pd
import pytest
from chapter_exercises import exercises
from nightly import nightly
from scipy import stats

from helpers import load_cohorts
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.evidence import EvidenceError
from helpers.teaching import LEVELS, check, read_goals, solutions
from helpers.teaching import checks as checks_module
from helpers.teaching.checks import Asked, asked
from helpers.teaching.solutions import chapter_file, solve

ROOM = chapter_file("pooling").parent
CHAPTERS = [chapter.file for chapter in read_goals()]
ASKED = asked()
#: Chapters that a student runs on every day; the others are run weekly.
EVERY_RUN = {"question", "effect_sizes", "pooling", "causes_of_death", "reproduction"}
#: Exercises whose answer is a text of the student's own.
IN_WORDS = {"ex-summary-transfer"}


def of(*kinds):
    return [label for label, what in ASKED.items() if what.kind in kinds]


# -- what is asked --------------------------------------------------------------------------------


def test_every_exercise_of_every_chapter_has_an_answer_that_is_checked():
    labels = [label for name in CHAPTERS for label in exercises(chapter_file(name))]
    assert list(ASKED) == [label for label in labels if label not in IN_WORDS]
    for label, what in ASKED.items():
        assert label in exercises(chapter_file(what.chapter))


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_sets_one_exercise_for_each_goal_and_each_solution_says_why(name):
    cells = nbformat.read(chapter_file(name), as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    levels = re.findall(r"^### (\w+)\n\n`{3,4}\{exercise\}\n:label: ex-[\w-]+-(\w+)$", text, re.M)
    assert levels == [(level.capitalize(), level) for level in LEVELS]
    words: dict[str, int] = {}
    chapter = nbformat.read(chapter_file(name), as_version=4)
    for cell, solution, _ in notebooks.parts(chapter):
        if solution and cell.cell_type == "markdown":
            words[solution] = words.get(solution, 0) + len(cell.source.split())
    assert set(words) == set(exercises(chapter_file(name)))
    assert min(words.values()) >= 30, words  # a number alone explains nothing


def test_choices_have_a_hint_for_each_wrong_one():
    for label in of("choice"):
        what = ASKED[label]
        literal = re.fullmatch(r"'(.*)'", what.value)
        for choice, hint in what.choices.items():
            assert bool(hint) is not bool(literal and choice == literal[1]), (label, choice)


def test_every_kind_of_answer_is_known_and_choices_belong_to_one_of_them():
    assert {what.kind for what in ASKED.values()} <= set(checks_module.KINDS)
    assert of("choice") == [label for label, what in ASKED.items() if what.choices]


# -- a student's notebook, from top to bottom -----------------------------------------------------


def solutions_of(chapter):
    """Code of each solution."""
    code: dict[str, list[str]] = {}
    for cell, solution, _ in notebooks.parts(chapter):
        if solution:
            code.setdefault(solution, []).extend([cell.source] * (cell.cell_type == "code"))
    return code


@pytest.mark.parametrize("name", [n if n in EVERY_RUN else nightly(n) for n in CHAPTERS])
def test_a_student_runs_the_chapter_and_check_takes_the_answers_of_the_solutions(name, monkeypatch):
    monkeypatch.chdir(ROOM)
    chapter = nbformat.read(chapter_file(name), as_version=4)
    code = solutions_of(chapter)
    names = {"__name__": "__main__", "display": lambda _: None}
    seen = []
    for cell in notebooks.student(chapter).cells:
        if cell.cell_type != "code":
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(cell.source, f"{name}:{cell.id}", "exec"), names)
            plt.close("all")
        label = cell.id.removeprefix("your-")
        if label not in ASKED:
            continue
        seen.append(label)
        what = ASKED[label]
        assert names["answer"] is ...
        assert check(label, ...).text.startswith("No answer yet. Wanted: ")
        solved = dict(names)  # the solution leaves nothing behind for the cells below
        with contextlib.redirect_stdout(io.StringIO()):
            for source in code[label]:
                exec(compile(source, f"{name}:{label}", "exec"), solved)
                plt.close("all")
        answer = eval(what.value, solved)
        assert check(label, answer).text == "Right.", (label, answer)
        for wrong in planted(what, answer, solved):
            said = check(label, wrong)
            assert not said.right, (label, wrong)
            assert said.text.startswith("Not yet"), (label, wrong)
    assert seen == [label for label in exercises(chapter_file(name)) if label in ASKED]


def planted(what, answer, names):
    """Wrong answers of every kind."""
    if what.kind == "choice":
        return [*(one for one in what.choices if one != answer), "perhaps", 1]
    if what.kind == "names":
        return [list(answer)[1:], [*answer, "another"], "one name"]
    mistaken = [eval(wrong, names) for wrong in what.mistakes]
    value = float(answer)
    return [
        *mistaken,
        1.2 * value + 0.02,
        0.8 * value - 0.02,
        str(value),
        True,
        [value, value],
        math.nan,
    ]


# -- hints ----------------------------------------------------------------------------------------


@pytest.fixture
def made_up(monkeypatch):
    """Ask for a value, without a chapter."""

    def ask(kind, value, **more):
        what = Asked(chapter="c", label="ex", ask="it", kind=kind, value="x", hint="Think.", **more)
        monkeypatch.setattr(checks_module, "asked", lambda: {"ex": what})
        monkeypatch.setattr(checks_module, "solve", lambda *_: [value, *map(float, what.mistakes)])
        return lambda answer: check("ex", answer)

    return ask


@pytest.mark.parametrize(
    ("kind", "value", "answer", "words"),
    [
        ("proportion", 0.0682, 6.82, "in percent"),
        ("proportion", 0.0682, 68.2, "a number per 1,000"),
        ("percent", 6.82, 0.0682, "a proportion"),
        ("per 1,000", 74.5, 0.0745, "a proportion"),
        ("per 1,000", 74.5, 7.45, "in percent"),
        ("proportion", 0.0682, math.log(0.0682 / (1 - 0.0682)), "logit"),
        ("per 1,000", 68.2, math.log(0.0682 / (1 - 0.0682)), "logit"),
        ("ratio", 0.387, math.log(0.387), "exponential"),
        ("ratio", 0.387, 1 / 0.387, "other way round"),
        ("points", -0.68, 0.68, "sign"),
        ("points", 17.2, 0.172, "hundred times"),
        ("number", -1.25, 1.25, "sign"),
        ("p", 0.018, 0.982, "one minus"),
        ("p", 0.018, 0.009, "two-sided"),
        ("proportion", 0.0682, 0.07, "rounded too much"),
        ("ratio", 5.969, 6, "rounded too much"),
        ("proportion", 0.0682, 0.5, "Think."),
        ("count", 73, 72, "Think."),
        ("count", 73, 73.4, "Think."),
        ("number", 1.5, "1.5", "quotes"),
        ("number", 1.5, True, "true"),
        ("number", 1.5, [1.5, 2.0], "2 values"),
        ("number", 1.5, pd.Series([1.5, 2.0]), "2 values"),
        ("number", 1.5, np.nan, "finite"),
        ("number", 1.5, object(), "is no number"),
    ],
)
def test_a_hint_says_which_kind_of_mistake_it_is(made_up, kind, value, answer, words):
    said = made_up(kind, value)(answer)
    assert not said.right
    assert words in said.text
    assert repr(said) == said.text


@pytest.mark.parametrize(
    ("kind", "value", "answers"),
    [
        ("proportion", 0.0682209, [0.0682209, 0.0682, np.float64(0.06822), pd.Series([0.0682])]),
        ("count", 73, [73, 73.0, np.int64(73)]),
        ("number", 0.0, [0.0, -0.0, 1e-9]),
        ("points", -0.6812, [-0.681, -0.6812]),
    ],
)
def test_right_answers_may_be_rounded_where_it_does_no_harm(made_up, kind, value, answers):
    for answer in answers:
        assert made_up(kind, value)(answer).text == "Right."


def test_a_common_mistake_has_a_hint_of_its_own(made_up):
    ask = made_up("proportion", 0.0682, mistakes={"0.0745": "That is the mean."})
    assert ask(0.0745).text == "Not yet. That is the mean."


def test_words_are_compared_without_case_and_blanks():
    assert check("ex-pooling-recall", "  Common   EFFECT ").right
    assert not check("ex-pooling-recall", "glmm").right
    assert check("ex-data-recall", ("n", "Study", "events ")).right
    assert "1 name is missing" in check("ex-data-recall", ["n", "study"]).text.replace("one", "1")
    assert "not belong" in check("ex-data-recall", ["n", "study", "events", "group"]).text
    assert "none of the choices" in check("ex-question-recall", "perhaps").text


def test_an_unknown_exercise_is_named_with_those_that_are_near():
    with pytest.raises(UnsupportedError, match="did you mean ex-pooling-recall"):
        check("ex-poling-recall", 1)


# -- by hand, from the file alone -----------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    file = chapter_file("question").parents[1] / "data" / "cohorts.csv"
    with file.open(encoding="utf-8", newline="") as text:
        return [
            (row["cohort"], int(row["nonrelapse_deaths"]), int(row["patients"]))
            for row in csv.DictReader(text)
        ]


def by_hand(rows):
    deaths, patients = (sum(row[i] for row in rows) for i in (1, 2))
    at_risk, crude = 1.0, 0.0
    for _ in range(24):
        crude, at_risk = crude + at_risk / 200, at_risk * (1 - 1 / 200 - 0.01)
    z2 = NormalDist().inv_cdf(0.975) ** 2
    covered = sum(
        stats.binom.pmf(x, 50, 0.02)
        for x in range(51)
        if abs(x / 50 - 0.02) <= z2**0.5 * math.sqrt(x / 50 * (1 - x / 50) / 50)
    )
    early = [0.02 if month < 2 else 0.001 for month in range(24)]
    alive = [math.prod(1 - p for p in early[:month]) for month in range(25)]
    rate = {m: (1 - alive[m]) / sum(alive[:m]) for m in (6, 24)}
    return {
        "ex-question-apply": 1000 * deaths / patients,
        "ex-question-transfer": crude,
        "ex-effects-apply": math.floor(19 * z2) + 1,  # z2 / (n + z2) < 1/20
        "ex-effects-transfer": covered,
        "ex-subgroups-transfer": 1 - 0.95**8,
        "ex-time-recall": 6,
        "ex-time-transfer": rate[6] / rate[24],
        "ex-small-study-recall": math.sqrt(1 / 3 + 1 / 97),
        "ex-own-transfer": 1 - 0.025 ** (1 / 125),
    }


@pytest.mark.parametrize("label", sorted(by_hand([("", 1, 2)])))
def test_check_takes_an_answer_computed_by_hand(label, rows):
    answer = by_hand(rows)[label]
    assert check(label, answer).text == "Right."
    assert not check(label, 1.1 * answer + 0.01).right


def test_an_answer_from_the_readers_own_table_is_judged_by_that_table():
    fewer = load_cohorts().iloc[::2]
    answer = 1000 * fewer["nonrelapse_deaths"].sum() / fewer["patients"].sum()
    assert check("ex-question-apply", answer, fewer).right
    assert not check("ex-question-apply", answer).right


# -- running a solution ---------------------------------------------------------------------------

WRITTEN = {
    "setup": "from helpers import load_cohorts\ncohorts = load_cohorts()\nx = undefined\nprint(0)",
    "more": "x = [1]\nx.append(2)\nfor i in (3, 4):\n    x.append(i)",
    "table": "t = {}\nt['a'] = 5\nt['a'] += 1",
    "later": "y = [x for x in range(9)]\nbroken = 1 / 0",
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    cells = [nbformat.v4.new_code_cell(source, id=key) for key, source in WRITTEN.items()]
    cells.append(nbformat.v4.new_markdown_cell("### Apply\n```{exercise}\n:label: ex-a\nAsk\n```"))
    cells.append(nbformat.v4.new_markdown_cell("### Solution", metadata={"solution": "ex-a"}))
    cells += [nbformat.v4.new_code_cell("z = sum(x)"), nbformat.v4.new_markdown_cell("### End")]
    cells.append(nbformat.v4.new_code_cell("z = 0"))
    path = tmp_path / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    monkeypatch.setattr(solutions, "chapter_file", lambda _: path)
    return path


def test_a_solution_runs_with_what_it_needs_and_nothing_else(small, capsys):
    assert solve("small", "ex-a", ["z", "t['a']", "y"]) == [10, 6, list(range(9))]
    assert capsys.readouterr().out == ""
    with pytest.raises(ZeroDivisionError):
        solve("small", "ex-a", ["broken"])


def test_a_given_table_stands_in_for_the_books_own_and_is_not_changed(small):
    table = pd.DataFrame({"a": [1]})
    assert solve("small", "ex-a", ["cohorts.equals(cohorts)", "len(cohorts)"], table) == [True, 1]
    assert solve("small", "ex-a", ["len(cohorts)"]) == [len(load_cohorts())]


def test_an_exercise_that_is_not_in_the_chapter_is_an_error(small):
    with pytest.raises(MetaAnalysisError, match="no exercise 'ex-b'"):
        solve("small", "ex-b", ["1"])


def test_without_the_repository_the_error_says_what_to_do():
    with pytest.raises(EvidenceError, match="clone the book"):
        chapter_file("no_such_chapter")
