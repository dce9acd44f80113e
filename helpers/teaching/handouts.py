"""What is printed for a lesson: its plan, a hand-out with its key, sheets for labs and questions.

The hand-out is from another field, so that nothing is learnt by heart. Its table is
``data/examples/ankylosing_spondylitis.csv`` (provenance in the README beside it): how many people
improved under placebo in earlier trials. No number of it stands in the reading.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np

from .. import printing
from ..door import pd
from ..evidence import data_folder
from ..models.pooling import pool
from ..printing.characters import slug
from ..views.prose import Sentence, list_table
from .bank import sheets
from .checks import self_check
from .course import LessonPlan, Plans
from .lab_pages import LAB_PAGES
from .printed import document, html_table, write_files

with Path(__file__).with_name("sheets.toml").open("rb") as _file:
    _WORDS: dict[str, dict[str, Any]] = tomllib.load(_file)
_TITLE: str = _WORDS["handout"]["title"]


@dataclass(frozen=True, slots=True)
class Handout:
    """A table to work on, and what comes out."""

    table: pd.DataFrame  # one row per trial: trial, improved, people
    worked: pd.DataFrame  # with what was computed, as printed; the last row has the sums
    results: dict[str, str]  # what the tasks ask for, as printed

    def shown(self) -> Sentence:
        """Give the table of the sheet, for the page of the lecturer."""
        rows: list[tuple[str, ...]] = [("Trial", "Improved", "People")]
        rows += [tuple(map(str, row)) for row in self.table.itertuples(index=False)]
        return list_table(_TITLE, rows, "50 25 25")

    def sheet(self) -> str:
        """Give the page to hand out, with empty columns."""
        names = ("share", "logit", "variance", "weight", "weight × logit")
        blank = self.table.assign(**dict.fromkeys(names, ""))
        tasks = "".join(f"<li>{task}</li>" for task in _WORDS["handout"]["tasks"])
        guess = "<p>My guess: of 100 people ______ will improve; range: ______ to ______</p>"
        return document(
            _TITLE, f'<div class="fill">{html_table(blank)}</div>{guess}<ol>{tasks}</ol>'
        )

    def key(self) -> str:
        """Give the page for the teacher."""
        said = "".join(f"<li>{what}: {value}</li>" for what, value in self.results.items())
        return document(f"{_TITLE}: key", f"{html_table(self.worked)}<ul>{said}</ul>")


def handout() -> Handout:
    """Make the hand-out and its key.

    Examples
    --------
    >>> handout().results["Q"]
    '12.98 on 7 degrees of freedom'
    """
    given = pd.read_csv(data_folder() / "examples" / "ankylosing_spondylitis.csv")
    x, n = given["events"].to_numpy(float), given["n"].to_numpy(float)
    fit = pool(
        events=given["events"], n=given["n"], study=given["study"], measure="logit",
        model="random", tau2_method="DL", ci_method="wald",
    )  # fmt: skip
    common = pool(events=given["events"], n=given["n"], measure="logit", model="common")
    variance = 1.0 / x + 1.0 / (n - x)
    table = given.rename(columns={"study": "trial", "events": "improved", "n": "people"})
    table = table[["trial", "improved", "people"]]
    columns = {
        "logit": (np.log(x / (n - x)), 3),
        "variance": (variance, 4),
        "weight": (1.0 / variance, 2),
        "weight × logit": (np.log(x / (n - x)) / variance, 2),
    }
    worked = table.astype(str).assign(
        share=[printing.percent(p) for p in x / n],
        **{name: [printing.number(v, d) for v in values] for name, (values, d) in columns.items()},
    )
    sums = {name: printing.number(columns[name][0].sum(), 2) for name in list(columns)[2:]}
    last = {"trial": "all", "improved": f"{x.sum():.0f}", "people": f"{n.sum():.0f}", **sums}
    worked.loc[len(worked)] = [last.get(str(name), "") for name in worked]
    het = fit.heterogeneity
    results = {
        "All people together": printing.percent(x.sum() / n.sum()),
        "Weighted mean of the logits": f"{printing.number(common.mu, 3)}, the sum of weight × "
        "logit over the sum of weights",
        "Transformed back": printing.percent(common.estimate),
        "Q": f"{printing.number(het.Q)} on {het.df} degrees of freedom",
        "Variance between the trials": printing.number(fit.tau2, 4),
        "Random effects, 95% confidence interval": printing.percent_range(fit.ci, 1),
        "95% prediction interval": printing.percent_range(fit.prediction_interval(), 1),
    }
    return Handout(table, worked, results)


def write_handout(folder: str | Path) -> list[Path]:
    """Write ``students/handout.html`` and ``teacher/handout_key.html``."""
    made = handout()
    content = {"students/handout.html": made.sheet(), "teacher/handout_key.html": made.key()}
    return write_files(content, folder)


# -- sheets of a lesson ---------------------------------------------------------------------------

_SITE = "../../site"
_PROBES = ["They say", "You ask", "You answer"]
_GUESSES = "☐ go up &nbsp; ☐ stay the same &nbsp; ☐ go down"
_LINE = '<p class="line"></p>'


def lab_sheet(keys: Iterable[str], *, sentence: bool = False) -> str:
    """Give the worksheet of labs, to print: a guess, what was seen, and the prescribed edit.

    `keys` are of `LAB_PAGES`; with `sentence`, a sentence for a journal is asked for at the end.

    >>> "Set 5 studies." in lab_sheet(["i2"])
    True
    """
    parts = []
    for page in (LAB_PAGES[key] for key in keys):
        parts.append(
            f"<section><h2>{escape(page.title)}</h2><p>Guess first. {escape(page.guess)}</p>"
            f"<p>{_GUESSES}</p><p>Run. What did you see?</p>{_LINE}"
            f"<p>{escape(page.task.question)}</p>{_LINE}{_LINE}</section>"
        )
    if sentence:
        asked = "".join(f"<li>☐ {one}</li>" for one in _WORDS["sentence"]["asked"])
        parts.append(
            "<section><h2>One sentence for a journal, on the trials of the hand-out</h2>"
            f"{_LINE * 3}<p>Asked by your neighbour:</p><ul>{asked}</ul></section>"
        )
    return document("Activity sheet", "".join(parts))


def records_sheet(*, key: bool) -> str:
    """Give twenty records to be judged apart by two people, or what to say about each.

    >>> "Fewer than 20" in records_sheet(key=False)
    False
    """
    with Path(__file__).with_name("records.toml").open("rb") as file:
        given = tomllib.load(file)
    rule = f"<p><b>The rule.</b> {escape(given['rule'])} All records are invented.</p>"
    words, numbered = _WORDS["records"], pd.DataFrame(given["record"])
    numbered.insert(0, "", np.arange(1, len(numbered) + 1))
    if key:
        head = {"say": "Record", "take": "Take it?", "why": "Why"}
        table = html_table(numbered.rename(columns=head))
        return document("Twenty records: key", f"{rule}{table}<p>{words['key']}</p>")
    blank = numbered[["", "say"]].assign(take="")
    table = html_table(blank.rename(columns={"say": "Record", "take": "Take it? (yes, no)"}))
    counts = pd.DataFrame(
        [("I take it", "", ""), ("I do not", "", "")],
        columns=["", "My partner takes it", "My partner does not"],
    )
    asked = (
        f'<p>{words["judge"]}</p><div class="fill">{html_table(counts)}</div>'
        f"<p>{words['agree']}</p><p>{words['settle']}</p>{_LINE}"
    )
    return document("Twenty records to judge", rule + table + asked)


def _timed(plan: LessonPlan, *, printed: bool = False) -> str:
    """Table of a plan with links into the zip; its slides are there as PDF if they are printed."""
    screen = "the same on a screen" if printed else "its page"
    key = "questions_key.html" if printed else "../../questions/questions_key.html"
    rows, links = [], _WORDS["links"]
    named = re.compile("|".join(sorted(links, key=len, reverse=True)))
    for when, step in plan.timed():
        needed = [
            named.sub(lambda m: f'<a href="{links[m[0]]}">{m[0]}</a>', escape(step.materials))
        ]
        if "slides" in step.form:
            slides = f"{_SITE}/downloads/slides/{step.page}.html"
            needed[0] = f'<a href="{slides}">{needed[0]}</a>'
            if printed:
                needed.append(f'<a href="slides-{step.page}.pdf">the same as PDF</a>')
        elif step.page and not step.labs:
            needed.append(f'<a href="{_SITE}/{step.page}.html">{screen}</a>')
        for page in (LAB_PAGES[key] for key in step.labs):
            address = f"{_SITE}/labs.html#{slug(normalize('NFKD', page.title))}"
            needed.append(f'<a href="{address}">lab “{escape(page.title)}”</a>')
        if step.page == "self_check":
            needed.append(f'<a href="{key}">key</a>')
        cells = (when, escape(f"{step.what} ({step.form})"), "; ".join(needed), escape(step.risk))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return (
        "<table class='timed'><tr><th>Time</th><th>What, and in which form</th><th>With</th>"
        f"<th>What may go wrong</th></tr>{''.join(rows)}</table>"
    )


def longer_plans(plans: Plans) -> str:
    """Give the plans of two days and of a term, and the three lessons of the kit, as a page."""
    told = (plans.course, plans.term, plans.estimands, plans.planning, plans.review)
    probes = [(m.belief, m.probe, m.answer) for m in plans.misconceptions]
    return document(
        "Two days, a term, and three lessons",
        "<p>Formulas and the diagram of causes are on the page "
        f'<a href="{_SITE}/teaching_kit.html">Teaching kit</a>. The questions of the probes are '
        "in the last table.</p>"
        + "".join(f"<h2>{escape(plan.title)}</h2>{_timed(plan)}" for plan in told)
        + "<h2>When they say …</h2>"
        + html_table(pd.DataFrame(probes, columns=_PROBES)),
    )


def lesson_plan(plans: Plans) -> str:
    """Give the lesson of ninety minutes as a page of the zip for teachers, with links into it."""
    lesson = plans.lesson
    shown = {step.page for step in lesson.steps} | {"heterogeneity"}
    probes = [(m.belief, m.probe, m.answer) for m in plans.misconceptions if m.page in shown]
    head, *told = plans.rehearsal.rows()
    before = "".join(f"<li>{one}</li>" for one in _WORDS["plan"]["before"])
    return document(
        lesson.title,
        f"<h2>Before</h2><ul>{before}"
        f"</ul><h2>Plan</h2>{_timed(lesson, printed=True)}"
        "<h2>When they say …</h2>"
        + html_table(pd.DataFrame(probes, columns=_PROBES))
        + f"<h2>Rehearsed</h2><p>On {plans.rehearsal.day}, {escape(plans.rehearsal.where)}. "
        "How long learners need is not known from it.</p>"
        + html_table(pd.DataFrame(told, columns=head)),
    )


def write_lesson(plans: Plans, folder: str | Path) -> list[Path]:
    """Write the plans, the sheets of the lesson, worksheets of all labs, and records to judge."""
    bank = {name: self_check(name) for name in ("pooling", "heterogeneity")}
    keys = [key for step in plans.lesson.steps for key in step.labs]
    content = {
        "teacher/plan.html": lesson_plan(plans),
        "teacher/longer_plans.html": longer_plans(plans),
        "teacher/questions_key.html": sheets(bank, key=True),
        "students/questions.html": sheets(bank, key=False),
        "students/activity.html": lab_sheet(keys, sentence=True),
        "students/all_labs.html": lab_sheet(LAB_PAGES),
        "students/records.html": records_sheet(key=False),
        "teacher/records_key.html": records_sheet(key=True),
    }
    return write_files(content, folder)
