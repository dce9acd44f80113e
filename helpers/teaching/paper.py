"""A seeded exam: invented cohorts, a paper with tasks and marks, and the key on another sheet.

``python -m helpers.teaching exam --seed 7`` writes it. Nothing in it can be looked up: cohorts,
counts and planted errors are drawn from the seed, and the errors of the sheet can be found and
corrected from the sheet alone, because each count stands in it in two ways.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from .. import printing
from ..arguments import whole_number
from ..door import pd
from ..engine.proportion_intervals import wilson
from ..models.pooling import pool
from ..models.result import PoolResult
from .course import Marked
from .printed import document, html_table, write_files

_COLUMNS = (
    "cohort registration women men patients events event_free percent median_follow_up "
    "longest_follow_up"
).split()

with (Path(__file__).parent / "paper.toml").open("rb") as _file:
    _TASKS: dict[str, dict[str, Any]] = tomllib.load(_file)
_DRAWN = _TASKS.pop("drawn")


@dataclass(frozen=True, slots=True)
class Value:
    """A number that the key expects, in the unit of the question, and how far one may be off."""

    name: str
    value: float
    tolerance: float

    def __str__(self) -> str:
        if float(self.value).is_integer() and self.tolerance < 1:
            return f"{self.name} = {printing.count(self.value)}"
        return f"{self.name} = {printing.significant(self.value, 4)} (± {self.tolerance:g})"


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a task: its marks, an answer that earns all of them, and one that earns some.

    `part` says what earns which part of the marks; `nothing` is an answer that earns none.
    """

    ask: str
    marks: int
    answer: str
    part: str
    nothing: str = ""
    numbers: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class PaperTask:
    """A task: what is given (text and perhaps a table), and its questions."""

    title: str
    minutes: int
    given: str
    items: tuple[Item, ...]
    table: pd.DataFrame | None = None

    @property
    def marks(self) -> int:
        """Marks of the task."""
        return sum(item.marks for item in self.items)


@dataclass(frozen=True, slots=True)
class PlantedError:
    """An error of the sheet: where it is, what is there, what belongs there, and what shows it.

    `as_good` is another correction that leaves no contradiction in the sheet either.
    """

    cohort: str
    column: str
    planted: str
    right: str
    shown_by: str
    as_good: str = ""


@dataclass(frozen=True, slots=True)
class Paper(Marked):
    """An exam of one seed; `sheet` is the table of the last task, with its errors."""

    seed: int
    sheet: pd.DataFrame
    errors: tuple[PlantedError, ...]

    def paper(self) -> str:
        """Sheets for students, as HTML: tasks and marks, no answers."""
        head = (
            f"<p>{self.minutes} minutes, {self.marks} marks; {self.needed} are enough. All cohorts "
            "are invented. Books, notes and a computer are allowed. Give the method with each "
            "number. All intervals are 95% intervals. Name: "
            "______________________________</p>"
        )
        parts = []
        for number, task in enumerate(self.tasks, start=1):
            asked = "".join(
                f"<li><p>{escape(item.ask)} <b>({item.marks} marks)</b></p></li>"
                for item in task.items
            )
            table = "" if task.table is None else html_table(task.table)
            parts.append(
                f'<section id="task-{number}"><h2>{number}. {escape(task.title)} '
                f"({task.minutes} minutes, {task.marks} marks)</h2>\n"
                f'<p class="given">{escape(task.given)}</p>{table}'
                f'<ol type="a">{asked}</ol></section>'
            )
        return document(f"Exam {self.seed}", head + "\n".join(parts))

    def key(self) -> str:
        """Sheets for teachers, as HTML: answers, numbers with tolerances, part marks, errors."""
        head = (
            f"<p>For teachers. {self.marks} marks; {self.needed} are enough. A number within its "
            "tolerance is right. A wrong number that is carried on by the right method costs marks "
            "once.</p>"
        )
        parts = []
        for number, task in enumerate(self.tasks, start=1):
            rows = []
            for letter, item in zip("abcdefgh", task.items, strict=False):
                values = "<br>".join(escape(str(value)) for value in item.numbers)
                nothing = f"<p><b>No mark:</b> {escape(item.nothing)}</p>" if item.nothing else ""
                rows.append(
                    f"<tr><th>{letter}</th><td>{item.marks}</td>"
                    f"<td><p><b>All marks:</b> {escape(item.answer)}</p>"
                    f"<p><b>Part:</b> {escape(item.part)}</p>{nothing}</td><td>{values}</td></tr>"
                )
            parts.append(
                f'<section class="key"><h2>{number}. {escape(task.title)} ({task.marks} marks)</h2>'
                "<table><tr>"
                "<th></th><th>Marks</th><th>Answers</th><th>Numbers</th></tr>"
                f"{''.join(rows)}</table></section>"
            )
        return document(f"Key to exam {self.seed}", head + "\n".join(parts) + self._errors())

    def _errors(self) -> str:
        frame = pd.DataFrame(
            [(e.cohort, e.column, e.planted, e.right, e.as_good, e.shown_by) for e in self.errors],
            columns=["cohort", "column", "on the sheet", "right", "or as good", "shown by"],
        )
        return f'<section class="timed"><h2>Errors of the sheet</h2>{html_table(frame)}</section>'


# -- drawing --------------------------------------------------------------------------------------


def _draw(rng: np.random.Generator, k: int, low: int, high: int) -> tuple[list[int], list[int]]:
    """Events and patients of cohorts whose true logits scatter."""
    n = rng.integers(low, high, size=k)
    mean, spread = np.log(rng.uniform(0.08, 0.16)), rng.uniform(0.4, 0.7)
    rate = 1 / (1 + np.exp(-(mean + spread * rng.normal(size=k))))
    events = np.clip(rng.binomial(n, rate), 3, n // 2)
    return events.tolist(), n.tolist()


def _pooled(events: Sequence[int], n: Sequence[int], model: str) -> PoolResult:
    return pool(
        events=events,
        n=n,
        model=model,
        ci_method="wald",
        tau2_method="DL" if model == "random" else None,
    )


def _exchanged(number: int) -> int:
    """Exchange the last two digits of a number."""
    tens, ones = number // 10 % 10, number % 10
    return number - 10 * tens - ones + 10 * ones + tens


def make_paper(seed: int) -> Paper:
    """Draw an exam.

    Parameters
    ----------
    seed : int
        Zero or more; the same seed gives the same exam.

    Raises
    ------
    UnsupportedError
        The seed is no whole number, or negative.

    Examples
    --------
    >>> exam = make_paper(7)
    >>> exam.marks == sum(task.marks for task in exam.tasks)
    True
    >>> exam.paper() == make_paper(7).paper()
    True
    """
    rng = np.random.default_rng(whole_number("seed", seed, 0, 2**32 - 1))
    trees = rng.permutation(_DRAWN["names"].split())
    names = [f"{name} {rng.integers(2011, 2024)}" for name in trees]
    settings = _DRAWN["settings"]
    outcome, people = settings[int(rng.integers(len(settings)))]
    sheet, errors, totals = _sheet(rng, names[10:24])
    tasks = (
        _one_cohort(rng, names[:2], outcome),
        _five_cohorts(rng, names[2:7], outcome),
        _two_groups(rng, outcome, people),
        _extraction(sheet, errors, totals, outcome),
    )
    return Paper(tasks, _DRAWN["pass_share"], seed, sheet, errors)


def _task(key: str, values: Mapping[str, Any], table: pd.DataFrame | None = None) -> PaperTask:
    """Fill a task of ``paper.toml`` in with what was drawn and computed."""
    about = _TASKS[key]
    items = tuple(
        Item(
            ask=item["ask"].format_map(values),
            marks=values["marks"] if item["marks"] == "marks" else item["marks"],
            answer=item["answer"].format_map(values),
            part=item["part"],
            nothing=item.get("nothing", ""),
            numbers=tuple(
                Value(name, values[computed], tolerance)
                for name, computed, tolerance in item.get("numbers", ())
            ),
        )
        for item in about["item"]
    )
    given = about["given"].format_map(values)
    return PaperTask(about["title"], about["minutes"], given, items, table)


def _limits(name: str, lower: float, upper: float) -> dict[str, float]:
    """Name the limits of an interval of proportions, in percent."""
    return {f"{name}_lower": 100 * float(lower), f"{name}_upper": 100 * float(upper)}


def _one_cohort(rng: np.random.Generator, names: Sequence[str], outcome: str) -> PaperTask:
    n = int(rng.integers(45, 140))
    events = int(rng.integers(4, n // 6))
    empty = int(rng.integers(18, 40))
    lower, upper = wilson(np.array([events, 0]), np.array([n, empty]))
    values = {
        "outcome": outcome,
        "one": names[0],
        "other": names[1],
        "events": events,
        "patients": n,
        "empty": empty,
        "logit": math.log(events / (n - events)),
        "se": math.sqrt(1 / events + 1 / (n - events)),
        **_limits("one", lower[0], upper[0]),
        **_limits("other", lower[1], upper[1]),
    }
    return _task("one-cohort", values)


def _five_cohorts(rng: np.random.Generator, names: Sequence[str], outcome: str) -> PaperTask:
    while True:  # until the cohorts differ by more than chance, but not beyond all pooling
        events, n = _draw(rng, 5, 50, 260)
        random = _pooled(events, n, "random")
        if 40 < random.heterogeneity.I2 < 85:
            break
    common = _pooled(events, n, "common")
    q, df = random.heterogeneity.Q, random.heterogeneity.df
    new = random.prediction_interval()
    wider = (new.upper - new.lower) / (random.ci.upper - random.ci.lower)
    values = {
        "outcome": outcome,
        "Q": q,
        "I2": random.heterogeneity.I2,
        "Q_of_larger": 4 * q,
        "I2_of_larger": 100 * (4 * q - df) / (4 * q),
        "tau2": random.tau2,
        "common": 100 * common.estimate,
        **_limits("common", common.ci.lower, common.ci.upper),
        "random": 100 * random.estimate,
        **_limits("random", random.ci.lower, random.ci.upper),
        **_limits("new", new.lower, new.upper),
        "wider": printing.number(wider, 1),
    }
    counts = pd.DataFrame({"cohort": names, "events": events, "patients": n})
    return _task("five-cohorts", values, counts)


def _two_groups(rng: np.random.Generator, outcome: str, people: str) -> PaperTask:
    from scipy.stats import norm

    low = round(float(rng.uniform(-2.6, -2.1)), 3)
    errors = [round(float(x), 3) for x in rng.uniform(0.12, 0.2, size=2)]
    z = float(rng.uniform(2.05, 2.6))
    high = round(low + z * math.hypot(*errors), 3)
    comparisons = int(rng.integers(6, 15))
    z = (high - low) / math.hypot(*errors)
    half = norm.ppf(0.975) * math.hypot(*errors)
    ratio, lower, upper = (float(np.exp(high - low + by)) for by in (0.0, -half, half))
    values = {
        "outcome": outcome,
        "people": people,
        "low": printing.number(low, 3),
        "low_se": errors[0],
        "high": printing.number(high, 3),
        "high_se": errors[1],
        "comparisons": comparisons,
        "z": z,
        "p": float(2 * norm.sf(z)),
        "by_chance": 100 * (1 - 0.95**comparisons),
        "ratio": ratio,
        "lower": lower,
        "upper": upper,
        "said": f"{printing.number(ratio)}, 95% CI {printing.number(lower)} to "
        f"{printing.number(upper)}",
    }
    return _task("two-groups", values)


def _sheet(
    rng: np.random.Generator, names: Sequence[str]
) -> tuple[pd.DataFrame, tuple[PlantedError, ...], tuple[int, int]]:
    """Sheet with errors, the errors, and the right totals of events and patients."""
    while True:  # until each error changes the cell that it is planted in
        events, n = _draw(rng, len(names), 61, 420)
        women = [int(rng.integers(size // 3, 2 * size // 3)) for size in n]
        digits = [_exchanged(n[0]) - n[0], _exchanged(women[1]) - women[1]]
        if all(digits) and n[0] > 100 and 0 < _exchanged(women[1]) < n[1]:
            break
    median = np.round(rng.uniform(6, 20, size=len(n)), 1)
    longest = np.round(median + rng.uniform(8, 30, size=len(n)), 1)
    rows: list[dict[str, Any]] = [
        dict(
            zip(
                _COLUMNS,
                (name, f"R{number}", w, size - w, size, e, size - e, f"{100 * e / size:.1f}", m, x),
                strict=True,
            )
        )
        for name, number, w, size, e, m, x in zip(
            names,
            rng.permutation(np.arange(1000, 10000))[: len(n)],
            women,
            n,
            events,
            median.tolist(),
            longest.tolist(),
            strict=True,
        )
    ]
    men, either = f"men {n[1] - _exchanged(women[1])}", "one of the two is wrong"
    swapped = "the median cannot exceed the longest: the two are exchanged"
    share = f"{events[4] / n[4]:.3f}"
    wrong: list[tuple[int, str, object, str, str]] = [
        (0, "patients", _exchanged(n[0]), "women + men, and events + event_free", ""),
        (1, "women", _exchanged(women[1]), "patients − men, which fits events + event_free", men),
        (2, "events", events[2] + 10, "patients − event_free, which fits the percentage", ""),
        (3, "event_free", n[3], "patients − events, which fits the percentage", ""),
        (4, "percent", share, "events / patients: a proportion, not percent", ""),
        (5, "median_follow_up", float(longest[5]), swapped, either),
        (5, "longest_follow_up", float(median[5]), swapped, either),
    ]
    errors = []
    for row, column, planted, why, as_good in wrong:
        right = str(rows[row][column])
        errors.append(PlantedError(names[row], column, str(planted), right, why, as_good))
        rows[row][column] = planted
    again = names[-1]  # its own row gives way to a copy of another cohort under its name
    rows[-1] = {**rows[6], "cohort": again}
    why = f"same registration and counts as {names[6]}: entered twice"
    errors.append(PlantedError(again, "cohort", again, "(no row)", why, f"no row {names[6]}"))
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    frame = frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)
    return frame, tuple(errors), (sum(events[:-1]), sum(n[:-1]))


def _extraction(
    sheet: pd.DataFrame, errors: Sequence[PlantedError], totals: tuple[int, int], outcome: str
) -> PaperTask:
    places = len({error.cohort for error in errors})
    events, patients = totals
    values = {
        "outcome": outcome,
        "places": printing.capital(printing.word(places)),
        "marks": 2 * places,
        "events": events,
        "patients": patients,
        "percentage": 100 * events / patients,
    }
    headed = sheet.rename(columns=printing.readable)
    return _task("extraction", values, headed)


def write_paper(paper: Paper, folder: str | Path) -> list[Path]:
    """Write an exam: what students get, and the key in a folder of its own.

    Gives the paths of ``students/paper.html``, ``students/sheet.csv`` and ``teacher/key.html``; the
    folder is made if it is not there.
    """
    content = {
        "students/paper.html": paper.paper(),
        "students/sheet.csv": paper.sheet.to_csv(index=False, lineterminator="\n"),
        "teacher/key.html": paper.key(),
    }
    return write_files(content, folder)
