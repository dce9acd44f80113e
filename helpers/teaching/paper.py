"""A seeded exam: invented cohorts, a paper with tasks and marks, and the key on another sheet.

``python -m helpers.teaching exam --seed 7`` writes it. Nothing in it can be looked up: cohorts,
counts and planted errors are drawn from the seed, and the errors of the sheet can be found and
corrected from the sheet alone, because each count stands in it in two ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import printing
from ..arguments import whole_number
from ..engine.proportion_intervals import wilson
from .printed import document, html_table

if TYPE_CHECKING:
    import pandas as pd

    from ..models.result import PoolResult

__all__ = ["Item", "Paper", "PaperTask", "PlantedError", "Value", "make_paper", "write_paper"]

_SETTINGS = (
    ("serious infection within a year of a new hip", "patients with a new hip"),
    ("delirium after cardiac surgery", "patients after cardiac surgery"),
    ("rehospitalisation within a month of pneumonia", "patients treated for pneumonia"),
    ("severe bleeding under an anticoagulant", "patients who take an anticoagulant"),
)
_NAMES = (
    "Alder Ash Aspen Beech Birch Cedar Cherry Cypress Elder Elm Fir Hawthorn Hazel Holly Hornbeam "
    "Juniper Larch Laurel Lime Maple Oak Olive Pear Pine Plane Plum Poplar Rowan Spruce Sycamore "
    "Walnut Willow Yew"
).split()
_COLUMNS = (
    "cohort registration women men patients events event_free percent median_follow_up "
    "longest_follow_up"
).split()
PASS_SHARE = 0.6


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
class Paper:
    """An exam of one seed; `sheet` is the table of the last task, with its errors."""

    seed: int
    tasks: tuple[PaperTask, ...]
    sheet: pd.DataFrame
    errors: tuple[PlantedError, ...]

    @property
    def marks(self) -> int:
        """All marks."""
        return sum(task.marks for task in self.tasks)

    @property
    def needed(self) -> int:
        """The smallest number of marks that is enough."""
        return int(-(-self.marks * PASS_SHARE // 1))

    @property
    def minutes(self) -> int:
        """Time for all tasks."""
        return sum(task.minutes for task in self.tasks)

    @property
    def numbers(self) -> dict[str, Value]:
        """Numbers of the key by question ("2b") and name."""
        return {
            f"{number}{letter} {value.name}": value
            for number, task in enumerate(self.tasks, start=1)
            for letter, item in zip("abcdefgh", task.items, strict=False)
            for value in item.numbers
        }

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
            "tolerance is right. Who carries a wrong number on and uses the right method from "
            "there loses marks once.</p>"
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
        import pandas as pd

        frame = pd.DataFrame(
            [(e.cohort, e.column, e.planted, e.right, e.as_good, e.shown_by) for e in self.errors],
            columns=["cohort", "column", "on the sheet", "right", "or as good", "shown by"],
        )
        return f"<section><h2>Errors of the sheet</h2>{html_table(frame)}</section>"


# -- drawing --------------------------------------------------------------------------------------


def _draw(rng: np.random.Generator, k: int, low: int, high: int) -> tuple[list[int], list[int]]:
    """Events and patients of cohorts whose true logits scatter."""
    n = rng.integers(low, high, size=k)
    mean, spread = np.log(rng.uniform(0.08, 0.16)), rng.uniform(0.4, 0.7)
    rate = 1 / (1 + np.exp(-(mean + spread * rng.normal(size=k))))
    events = np.clip(rng.binomial(n, rate), 3, n // 2)
    return events.tolist(), n.tolist()


def _pooled(events: Sequence[int], n: Sequence[int], model: str) -> PoolResult:
    import pandas as pd

    from ..models.pooling import pool

    data = pd.DataFrame({"study": [str(i) for i in range(len(n))], "events": events, "n": n})
    return pool(
        data,
        events="events",
        n="n",
        study="study",
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

    Returns
    -------
    Paper

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
    names = [f"{name} {rng.integers(2011, 2024)}" for name in rng.permutation(_NAMES)]
    outcome, people = _SETTINGS[int(rng.integers(len(_SETTINGS)))]
    sheet, errors, totals = _sheet(rng, names[10:24])
    tasks = (
        _one_cohort(rng, names[:2], outcome),
        _five_cohorts(rng, names[2:7], outcome),
        _two_groups(rng, outcome, people),
        _extraction(sheet, errors, totals, outcome),
    )
    return Paper(seed, tasks, sheet, errors)


def _one_cohort(rng: np.random.Generator, names: Sequence[str], outcome: str) -> PaperTask:
    n = int(rng.integers(45, 140))
    events = int(rng.integers(4, n // 6))
    empty = int(rng.integers(18, 40))
    lower, upper = (100 * float(x[0]) for x in wilson(np.array([events]), np.array([n])))
    none = 100 * float(wilson(np.array([0]), np.array([empty]))[1][0])
    logit, se = np.log(events / (n - events)), np.sqrt(1 / events + 1 / (n - events))
    return PaperTask(
        "One cohort",
        15,
        f"The outcome is {outcome}. In {names[0]}, {events} of {n} patients had it; in {names[1]}, "
        f"0 of {empty}.",
        (
            Item(
                f"Give the logit of the proportion in {names[0]} and its standard error.",
                3,
                "log(events / event-free), and the root of 1/events + 1/event-free.",
                "1 for the logit, 2 for the standard error; 1 of these 2 if it is the variance.",
                "The standard error of the proportion in place of that of the logit.",
                (Value("logit", float(logit), 0.01), Value("standard error", float(se), 0.01)),
            ),
            Item(
                f"Give Wilson's interval for {names[0]} in percent.",
                3,
                "The score interval, which need not be symmetric around the proportion.",
                "1 for a right Wald or Clopper-Pearson interval that is called so.",
                "",
                (Value("lower", lower, 0.1), Value("upper", upper, 0.1)),
            ),
            Item(
                f"Give the upper limit of Wilson's interval for {names[1]} in percent. Why has "
                "this cohort no logit, and what would you do with it in a meta-analysis?",
                4,
                "The logarithm of zero does not exist. The cohort speaks for a low risk and stays: "
                "in a binomial model with random effects, which takes counts and no logits.",
                "2 for the limit, 1 for why there is no logit, 1 for a way to keep the cohort; a "
                "continuity correction earns this mark if its price is named (it makes up events).",
                "Leave it out because nothing happened in it.",
                (Value("upper", none, 0.1),),
            ),
        ),
    )


def _five_cohorts(rng: np.random.Generator, names: Sequence[str], outcome: str) -> PaperTask:
    import pandas as pd

    while True:  # until the cohorts differ by more than chance, but not beyond all pooling
        events, n = _draw(rng, 5, 50, 260)
        random = _pooled(events, n, "random")
        if 40 < random.heterogeneity.I2 < 85:
            break
    common = _pooled(events, n, "common")
    q, df = random.heterogeneity.Q, random.heterogeneity.df
    grown = 100 * (4 * q - df) / (4 * q)
    new = random.prediction_interval()
    wider = (new.upper - new.lower) / (random.ci.upper - random.ci.lower)
    counts = pd.DataFrame({"cohort": names, "events": events, "patients": n})
    return PaperTask(
        "Five cohorts",
        40,
        f"Pool the logits of these five cohorts by inverse variance. The outcome is {outcome}.",
        (
            Item(
                "Give the pooled percentage under a common effect, with its interval (normal).",
                3,
                "Weights are one over the variances; the mean logit is back-transformed last.",
                "2 for the estimate, 1 for the interval; 1 for a right logit that is not "
                "back-transformed.",
                "Events over patients of all cohorts: that pools counts, not logits.",
                (
                    Value("estimate", 100 * common.estimate, 0.1),
                    Value("lower", 100 * common.ci.lower, 0.1),
                    Value("upper", 100 * common.ci.upper, 0.1),
                ),
            ),
            Item(
                "Give Cochran's Q, I² in percent, and τ² by DerSimonian and Laird.",
                5,
                "Q is the weighted sum of squares from the common mean; I² is (Q − df)/Q, "
                "and τ² is (Q − df)/C with C = Σw − Σw²/Σw.",
                "2 for Q, 1 for I², 2 for τ² (1 if only C is wrong).",
                "",
                (
                    Value("Q", q, 0.1),
                    Value("I²", random.heterogeneity.I2, 0.5),
                    Value("τ²", random.tau2, 0.005),
                ),
            ),
            Item(
                "Give the pooled percentage with random effects and its interval (normal).",
                3,
                "τ² is added to each variance before the weights are made.",
                "2 for the estimate, 1 for the interval.",
                "The estimate of a common effect with a wider interval.",
                (
                    Value("estimate", 100 * random.estimate, 0.1),
                    Value("lower", 100 * random.ci.lower, 0.1),
                    Value("upper", 100 * random.ci.upper, 0.1),
                ),
            ),
            Item(
                "Give the prediction interval in percent (t distribution with k − 2 degrees of "
                "freedom). What does it answer that the interval of the previous question leaves "
                "open? Write one sentence to a hospital that is not among them, and say in it "
                "when it holds.",
                5,
                "The earlier interval is for the centre of the true rates, this one for the true "
                f"rate of one more such place. It is {printing.number(wider, 1)} times as wide. A "
                "sentence: “If your hospital is like these five, expect a true rate between the "
                "two limits of prediction; with five cohorts that range is itself poorly known.”",
                "2 for the limits, 1 for centre against one place, 1 for a sentence that uses the "
                "wider interval, 1 for a condition in it (similar place, few cohorts).",
                "“The true rate lies in the confidence interval with 95% probability.”",
                (
                    Value("lower", 100 * new.lower, 0.1),
                    Value("upper", 100 * new.upper, 0.5),
                ),
            ),
            Item(
                "Suppose that each cohort were four times as large, with the same proportions. "
                "Give Q and I² in percent from your earlier Q alone, and say whether the true "
                "rates differ more.",
                3,
                "Each variance is a quarter, so Q is four times what it was. The true rates are as "
                "far apart as before: the share of chance is smaller.",
                "1 for Q, 1 for I², 1 for the words.",
                "The rates now differ more.",
                (Value("Q", 4 * q, 0.4), Value("I²", grown, 0.5)),
            ),
        ),
        counts,
    )


def _two_groups(rng: np.random.Generator, outcome: str, people: str) -> PaperTask:
    from scipy.stats import norm

    low = round(float(rng.uniform(-2.6, -2.1)), 3)
    errors = [round(float(x), 3) for x in rng.uniform(0.12, 0.2, size=2)]
    z = float(rng.uniform(2.05, 2.6))
    high = round(low + z * math.hypot(*errors), 3)
    made = int(rng.integers(6, 15))
    z = (high - low) / math.hypot(*errors)
    p = float(2 * norm.sf(z))
    by_chance = 100 * (1 - 0.95**made)
    half = norm.ppf(0.975) * math.hypot(*errors)
    ratio, lower, upper = (float(np.exp(high - low + by)) for by in (0.0, -half, half))
    said = f"{printing.number(ratio)}, 95% CI {printing.number(lower)} to {printing.number(upper)}"
    return PaperTask(
        "Two kinds of hospital",
        15,
        f"In a review of {people}, the pooled logit of {outcome} was {printing.number(low, 3)} "
        f"(standard error {errors[0]:.3f}) in university hospitals and {printing.number(high, 3)} "
        f"(standard error {errors[1]:.3f}) in other hospitals. It is one of "
        f"{made} comparisons of groups. The authors write: “Treatment outside university "
        "hospitals causes more events.”",
        (
            Item(
                "Test the difference (normal, two-sided): give z and p. Give the odds ratio of "
                "other against university hospitals.",
                4,
                "The difference of the logits over the root of the sum of the squared standard "
                "errors; the odds ratio is the exponential of the difference.",
                "1 for z, 1 for p, 2 for the odds ratio (1 if it is the other way round).",
                "A judgement from whether the two intervals overlap.",
                (
                    Value("z", z, 0.02),
                    Value("p", p, 0.002),
                    Value("odds ratio", ratio, 0.02),
                ),
            ),
            Item(
                "If no group differed in any of the comparisons and these were independent, what "
                "is the probability in percent of at least one p-value below 0.05?",
                2,
                f"One minus 0.95 to the power {made}.",
                "1 for 0.95 to that power, or for 0.05 times the number, called an upper bound.",
                "5%.",
                (Value("probability", by_chance, 0.5),),
            ),
            Item(
                "Rewrite the authors' sentence as a journal could print it, with the odds ratio, "
                "its interval and one reason for caution.",
                3,
                f"“Events were more frequent in other hospitals (odds ratio {said}). "
                f"This was one of {made} comparisons, and the patients of the two kinds of "
                "hospital may differ.”",
                "1 for a verb that claims no cause, 1 for the size with an interval, 1 for the "
                "number of comparisons or for patients that may differ.",
                "“… significantly causes …”, or the p-value alone.",
                (Value("lower", lower, 0.02), Value("upper", upper, 0.03)),
            ),
        ),
    )


def _sheet(
    rng: np.random.Generator, names: Sequence[str]
) -> tuple[pd.DataFrame, tuple[PlantedError, ...], tuple[int, int]]:
    """Sheet with errors, the errors, and the right totals of events and patients."""
    import pandas as pd

    while True:  # until each error changes the cell that it is planted in
        events, n = _draw(rng, len(names), 61, 420)
        women = [int(rng.integers(size // 3, 2 * size // 3)) for size in n]
        digits = [_exchanged(n[0]) - n[0], _exchanged(women[1]) - women[1]]
        if all(digits) and n[0] > 100 and 0 < _exchanged(women[1]) < n[1]:
            break
    median = np.round(rng.uniform(6, 20, size=len(n)), 1)
    longest = np.round(median + rng.uniform(8, 30, size=len(n)), 1)
    rows = [
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
    places = len(_places(errors))
    events, patients = totals
    return PaperTask(
        "A sheet with errors",
        35,
        f"This sheet (also the file sheet.csv) was extracted by one person ({outcome}; follow-up "
        f"in months). {printing.capital(printing.word(places))} cohorts have something wrong. Each "
        "count is in the sheet in more than one way, so that you need no other source; where two "
        "corrections fit, either will do.",
        (
            Item(
                "Name each error: the cohort, the column or columns, what belongs there, and what "
                "shows it.",
                2 * places,
                "See the table of errors at the end of the key.",
                "For each cohort 1 for the place and 1 for the correction with its reason. Take 1 "
                "off for each cell called wrong that is right.",
                "A list of suspicious cohorts without reasons.",
            ),
            Item(
                "Give the events and the patients of all cohorts after your corrections, and the "
                "crude percentage.",
                3,
                "Sums over the corrected rows; the cohort that was entered twice counts once.",
                "1 for each number.",
                "",
                (
                    Value("events", events, 0.5),
                    Value("patients", patients, 0.5),
                    Value("percentage", 100 * events / patients, 0.02),
                ),
            ),
            Item(
                "Describe one error that would leave this sheet without any contradiction. How "
                "would you have to work to find it?",
                3,
                "All numbers of a row copied from the wrong table of the article, or the outcome "
                "counted by another definition: they agree with each other and are wrong. A second "
                "person extracts from the article without seeing the first sheet, and the two "
                "compare.",
                "1 for an error that fits all sums, 1 for going back to the source, 1 for two "
                "people who work apart.",
                "“Check the sums again.”",
            ),
        ),
        sheet.rename(columns=lambda name: name.replace("_", " ")),
    )


def _places(errors: Iterable[PlantedError]) -> set[str]:
    return {error.cohort for error in errors}


def write_paper(paper: Paper, folder: str | Path) -> list[Path]:
    """Write an exam: what students get, and the key in a folder of its own.

    Parameters
    ----------
    paper : Paper
    folder : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
        ``students/paper.html``, ``students/sheet.csv``, ``teacher/key.html``.
    """
    content = {
        "students/paper.html": paper.paper(),
        "students/sheet.csv": paper.sheet.to_csv(index=False, lineterminator="\n"),
        "teacher/key.html": paper.key(),
    }
    written = []
    for name, text in content.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        written.append(path)
    return written
