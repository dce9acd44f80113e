"""The seeded exam: three seeds are solved from the paper alone and marked with the key."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from scipy import stats

from helpers import load_cohorts
from helpers.errors import UnsupportedError
from helpers.teaching.__main__ import main
from helpers.teaching.paper import make_paper, write_paper

BOOK = Path(__file__).resolve().parents[2] / "book"
SEEDS = (7, 8, 2024)
Z = stats.norm.ppf(0.975)


def numbers(exam):
    """Numbers of the key by question ("2b") and name."""
    return {
        f"{place}{letter} {value.name}": value
        for place, task in enumerate(exam.tasks, start=1)
        for letter, item in zip("abcdefgh", task.items, strict=False)
        for value in item.numbers
    }


@pytest.fixture(scope="module", params=SEEDS)
def exam(request):
    return make_paper(request.param)


def given(exam, task):
    section = BeautifulSoup(exam.paper(), "html.parser").select_one(f"#task-{task}")
    return section, section.select_one(".given").get_text()


def wilson(events, n):
    centre = (events + Z**2 / 2) / (n + Z**2)
    half = Z * math.sqrt(events * (n - events) / n + Z**2 / 4) / (n + Z**2)
    return 100 * (centre - half), 100 * (centre + half)


def percent(logit):
    return 100 / (1 + math.exp(-logit))


def one_cohort(exam):
    words = given(exam, 1)[1]
    events, n, empty = map(int, re.search(r", (\d+) of (\d+) .* 0 of (\d+)\.", words).groups())
    lower, upper = wilson(events, n)
    return {
        "1a logit": math.log(events / (n - events)),
        "1a standard error": math.sqrt(1 / events + 1 / (n - events)),
        "1b lower": lower,
        "1b upper": upper,
        "1c upper": wilson(0, empty)[1],
    }


def five_cohorts(exam):
    rows = given(exam, 2)[0].select("table tr")[1:]
    counts = [[int(cell.get_text()) for cell in row.select("td")[1:]] for row in rows]
    e, n = np.array(counts, float).T
    y, v = np.log(e / (n - e)), 1 / e + 1 / (n - e)
    w = 1 / v
    mean, se = (w @ y) / w.sum(), w.sum() ** -0.5
    q, df = w @ (y - mean) ** 2, len(y) - 1
    tau2 = (q - df) / (w.sum() - (w**2).sum() / w.sum())
    u = 1 / (v + tau2)
    mu, wide = (u @ y) / u.sum(), u.sum() ** -0.5
    new = stats.t.ppf(0.975, df - 1) * math.hypot(math.sqrt(tau2), wide)
    w4 = 1 / (1 / (4 * e) + 1 / (4 * (n - e)))
    q4 = w4 @ (y - (w4 @ y) / w4.sum()) ** 2
    return {
        "2a estimate": percent(mean),
        "2a lower": percent(mean - Z * se),
        "2a upper": percent(mean + Z * se),
        "2b Q": q,
        "2b I²": 100 * (q - df) / q,
        "2b τ²": tau2,
        "2c estimate": percent(mu),
        "2c lower": percent(mu - Z * wide),
        "2c upper": percent(mu + Z * wide),
        "2d lower": percent(mu - new),
        "2d upper": percent(mu + new),
        "2e Q": q4,
        "2e I²": 100 * (q4 - df) / q4,
    }


def two_groups(exam):
    words = given(exam, 3)[1]
    low, low_se, high, high_se = map(float, re.findall(r"-?\d\.\d{3}", words.replace("−", "-")))
    made = int(re.search(r"one of (\d+) comparisons", words)[1])
    z = (high - low) / math.hypot(low_se, high_se)
    return {
        "3a z": z,
        "3a p": 2 * stats.norm.sf(z),
        "3c lower": math.exp(high - low - Z * math.hypot(low_se, high_se)),
        "3c upper": math.exp(high - low + Z * math.hypot(low_se, high_se)),
        "3a odds ratio": math.exp(high - low),
        "3b probability": 100 * (1 - 0.95**made),
    }


def read_sheet(exam):
    """Cells that contradict others of the sheet, with their corrections, and the corrected rows."""
    printed = given(exam, 4)[0].select("table tr")
    names = [re.sub("[ -]", "_", cell.get_text()) for cell in printed[0].select("th")]
    cells = [[cell.get_text() for cell in row.select("td")] for row in printed[1:]]
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    assert rows == list(csv.DictReader(io.StringIO(exam.sheet.to_csv(index=False))))
    counts = ("women", "men", "patients", "events", "event_free")
    found, kept, registered = {}, [], {}
    for row in rows:
        women, men, n, events, free = (int(row[name]) for name in counts)
        said = float(row["percent"])
        right = {}
        if women + men == events + free != n:
            right["patients"] = n = women + men
        if women + men != n:
            right["women"] = n - men
        if events + free != n:
            if abs(100 * events / n - said) < 0.051:
                right["event_free"] = n - events
            else:
                right["events"] = events = n - free
        if abs(100 * events / n - said) > 0.051:
            right["percent"] = f"{100 * events / n:.1f}"
        median, longest = float(row["median_follow_up"]), float(row["longest_follow_up"])
        if median > longest:
            right |= {"median_follow_up": longest, "longest_follow_up": median}
        found |= {(row["cohort"], column): str(value) for column, value in right.items()}
        if row["registration"] in registered:
            found["twice", frozenset((row["cohort"], registered[row["registration"]]))] = ""
        else:
            registered[row["registration"]] = row["cohort"]
            kept.append((events, n))
    return found, np.sum(kept, axis=0)


def test_the_paper_is_solved_by_hand_and_marked_with_the_key(exam):
    events, patients = read_sheet(exam)[1]
    solved = one_cohort(exam) | five_cohorts(exam) | two_groups(exam)
    solved |= {
        "4b events": events,
        "4b patients": patients,
        "4b percentage": 100 * events / patients,
    }
    assert set(solved) == set(numbers(exam))
    for name, value in solved.items():
        expected = numbers(exam)[name]
        assert abs(value - expected.value) <= expected.tolerance / 10, name
        assert str(expected) in BeautifulSoup(exam.key(), "html.parser").get_text()


def test_the_sheet_alone_shows_every_error_and_nothing_else(exam):
    found = read_sheet(exam)[0]
    (twice,) = [key for key in found if key[0] == "twice"]
    cells = {(e.cohort, e.column): e.right for e in exam.errors if e.column != "cohort"}
    assert {key: value for key, value in found.items() if key != twice} == cells
    (again,) = [e for e in exam.errors if e.column == "cohort"]
    assert again.cohort in twice[1]
    assert all(name in again.cohort + again.shown_by for name in twice[1])
    assert again.as_good == f"no row {next(iter(twice[1] - {again.cohort}))}"
    assert all(e.planted != e.right for e in exam.errors)


def test_the_key_names_every_correction_of_one_count_that_mends_its_row(exam):
    counts = ("women", "men", "patients", "events", "event_free")
    twice = {e.cohort for e in exam.errors if e.column == "cohort"}

    def fits(women, men, n, events, free, said):
        return women + men == events + free == n and abs(100 * events / n - said) < 0.051

    for _, row in exam.sheet.iterrows():
        cells, said = [int(row[name]) for name in counts], float(row["percent"])
        if row["cohort"] in twice or fits(*cells, said) or said < 1:
            continue
        women, men, n, events, free = cells
        sums = ((women + men, events + free), (n - men, n - women), (n - free, n - events))
        tried = {value for pair in sums for value in pair}
        mended = {
            f"{name} {value}"
            for at, name in enumerate(counts)
            for value in tried
            if fits(*[value if i == at else cell for i, cell in enumerate(cells)], said)
        }
        named = [e for e in exam.errors if e.cohort == row["cohort"]]
        assert mended == {f"{e.column} {e.right}" for e in named} | {
            e.as_good for e in named if e.as_good
        }


def test_every_part_mark_is_for_something_that_the_paper_asks_for(exam):
    """What the marking asks in words stands in the question, so that nobody has to guess it."""
    asked = {
        f"{number}{letter}": item
        for number, task in enumerate(exam.tasks, start=1)
        for letter, item in zip("abcdefgh", task.items, strict=False)
    }
    assert "Give Q and I²" in asked["2e"].ask
    assert "say in it when it is valid" in asked["2d"].ask
    assert "other against university" in asked["3a"].ask
    assert "one reason for caution" in asked["3c"].ask
    for name, item in asked.items():
        for number in item.numbers:
            assert str(number).startswith(f"{number.name} = ")
            assert ("±" in str(number)) == (number.tolerance >= 1 or number.value % 1 != 0), name


def test_the_paper_has_marks_and_no_answers(exam):
    paper = exam.paper()
    words = BeautifulSoup(paper, "html.parser").get_text()
    for task in exam.tasks:
        assert f"{task.minutes} minutes, {task.marks} marks" in words
        for item in task.items:
            assert item.ask in words
            assert item.answer not in words
            assert item.part not in words
            assert item.marks >= 1
            assert re.search(r"\d", item.part), "what earns which part of the marks"
    for error in exam.errors:
        assert error.shown_by not in words
    assert exam.minutes < 120
    assert exam.needed < exam.marks


def test_nothing_of_it_can_be_looked_up_in_the_book(exam):
    """No answer shares eight words in a row with a chapter, and no cohort is one of the table."""
    chapters = [nbformat.read(path, as_version=4) for path in sorted(BOOK.glob("*.ipynb"))]
    book = " ".join(cell.source for chapter in chapters for cell in chapter.cells)
    plain = " ".join(re.findall(r"\w+", book.lower()))
    for task in exam.tasks:
        for item in task.items:
            words = re.findall(r"\w+", item.answer.lower())
            for start in range(max(1, len(words) - 7)):
                assert " ".join(words[start : start + 8]) not in plain, item.answer
    assert not set(exam.sheet["cohort"]) & set(load_cohorts()["cohort"])


def test_each_seed_has_other_data_and_the_same_marks():
    exams = [make_paper(seed) for seed in SEEDS]
    assert len({tuple(exam.sheet["cohort"]) for exam in exams}) == len(SEEDS)
    for name in numbers(exams[0]):
        if name not in {"3b probability"}:
            assert len({numbers(exam)[name].value for exam in exams}) == len(SEEDS), name
    assert len({(exam.marks, exam.minutes) for exam in exams}) == 1


def test_many_seeds_give_an_exam_whose_sheet_can_be_mended():
    for seed in range(25):
        exam = make_paper(seed)
        cells = {(e.cohort, e.column) for e in exam.errors if e.column != "cohort"}
        assert {key for key in read_sheet(exam)[0] if key[0] != "twice"} == cells, seed


def test_the_command_keeps_the_key_apart(tmp_path, capsys):
    assert main(["exam", "--seed", "7", "--out", str(tmp_path)]) == 0
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert written == {"students/paper.html", "students/sheet.csv", "teacher/key.html"}
    assert len(capsys.readouterr().out.splitlines()) == len(written)
    first = (tmp_path / "students" / "sheet.csv").read_bytes()
    write_paper(make_paper(7), tmp_path)
    assert (tmp_path / "students" / "sheet.csv").read_bytes() == first


def test_a_seed_that_is_no_count_is_refused():
    with pytest.raises(UnsupportedError, match="seed"):
        make_paper(-1)
