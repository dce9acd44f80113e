"""What the files of a course say: goals of chapters, plans of lessons, marks of the exam."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .. import printing
from ..door import pd
from ..evidence.pages import page_content, record
from ..views.prose import Sentence, list_table
from ..views.tables import Table, table
from .lab_pages import LAB_PAGES

# -- goals ----------------------------------------------------------------------------------------

#: Levels of a goal, from what is known to what can be done with something new.
LEVELS: tuple[str, ...] = ("recall", "apply", "transfer")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter with its goals: what the reader can do, beginning with a verb."""

    file: str  # name of the page without suffix
    title: str
    recall: str
    apply: str
    transfer: str


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals of all chapters, in the order of the book."""

    chapters: tuple[Chapter, ...]

    def __iter__(self) -> Iterator[Chapter]:
        return iter(self.chapters)

    def table(self) -> Sentence:
        """Show the goals: one row per chapter, one column per level."""
        head = ("Chapter", *(level.capitalize() for level in LEVELS))
        rows = [
            (f"[{c.title}]({c.file}.ipynb)", *(getattr(c, level) for level in LEVELS)) for c in self
        ]
        return list_table("After the chapter, a reader can …", [head, *rows], "16 28 28 28")


def read_goals() -> Goals:
    """Read the learning goals.

    Examples
    --------
    >>> [chapter.title for chapter in read_goals() if chapter.file == "pooling"]
    ['Pooling']
    """
    rows = page_content("learning_goals.toml")["chapter"]
    return Goals(tuple(record(Chapter, row, f"chapter {row.get('file')!r}") for row in rows))


# -- plans of lessons -----------------------------------------------------------------------------


def clock(start: str, minutes: int) -> str:
    """Give the time some minutes after a start.

    >>> clock("09:00", 95)
    '10:35'
    """
    hour, minute = map(int, start.split(":"))
    late = 60 * hour + minute + minutes
    return f"{late // 60:02d}:{late % 60:02d}"


@dataclass(frozen=True, slots=True)
class LessonStep:
    """One step of a plan: how long, what, in which form, with what, and what may go wrong."""

    minutes: int
    what: str
    form: str
    page: str = ""  # of the book, without suffix
    exercise: str = ""  # label of an exercise on that page
    labs: tuple[str, ...] = ()  # of `helpers.teaching.lab_pages.LAB_PAGES`
    materials: str = ""
    risk: str = ""  # what may go wrong, and what to do then
    day: int = 1  # or week


@dataclass(frozen=True, slots=True)
class LessonPlan:
    """A lesson, a course of days, or a term of weeks."""

    title: str
    total: int  # minutes of all steps, breaks included
    start: tuple[str, ...]  # when each day (or week) begins
    steps: tuple[LessonStep, ...]
    unit: str = "day"

    def timed(self) -> Iterator[tuple[str, LessonStep]]:
        """Give each step with its time by the clock, after the day or week if there are several."""
        spent = [0] * len(self.start)
        for step in self.steps:
            begin = self.start[step.day - 1]
            at = clock(begin, spent[step.day - 1])
            spent[step.day - 1] += step.minutes
            when = f"{at} to {clock(begin, spent[step.day - 1])}"
            yield (f"{self.unit} {step.day}, {when}" if len(spent) > 1 else when), step

    def table(self, titles: Mapping[str, str]) -> Sentence:
        """Show the plan with the time of each step and the `titles` of its pages."""
        rows = [("Time", "What, and in which form", "With", "What may go wrong")]
        for when, step in self.timed():
            said = (
                step.what
                if step.form == "break"
                else f"{step.what} *{printing.capital(step.form)}.*"
            )
            rows.append((when, said, _with(step, titles), step.risk))
        return list_table(self.title, rows, "14 42 24 20")


def _with(step: LessonStep, titles: Mapping[str, str]) -> str:
    """Materials, then links to page, lab and exercise."""
    links = [step.materials] if step.materials else []
    links += [f"[{titles[step.page]}]({step.page}.ipynb)"] if step.page else []
    links += [f"lab “{LAB_PAGES[key].title}”" for key in step.labs]
    links += [f"{{ref}}`exercise <{step.exercise}>`"] if step.exercise else []
    return "; ".join(links)


@dataclass(frozen=True, slots=True)
class Misconception:
    """What learners often believe, a question that brings it out, the answer, and its page."""

    belief: str
    probe: str
    answer: str
    page: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A moment of a rehearsal: what was shown, what was missing or wrong, what was mended."""

    at: str
    shown: str
    found: str
    mended: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How the lesson was gone through before anybody taught it so."""

    day: str
    where: str
    row: tuple[Rehearsed, ...]

    HEAD: ClassVar = ("When", "What was shown", "What was missing or wrong", "What was mended")

    def rows(self) -> list[tuple[str, ...]]:
        """Give the protocol, its heading first."""
        return [self.HEAD, *((r.at, r.shown, r.found, r.mended) for r in self.row)]

    def table(self) -> Sentence:
        """Show the protocol."""
        return list_table("The lesson, rehearsed at a desk", self.rows(), "10 30 32 28")


#: Plans of the file, in the order of the page.
PLANS: tuple[str, ...] = ("lesson", "course", "term", "estimands", "planning", "review")


@dataclass(frozen=True, slots=True)
class Plans:
    """What `read_plans` gives: plans of lessons and courses, and misconceptions."""

    lesson: LessonPlan
    course: LessonPlan
    term: LessonPlan
    estimands: LessonPlan
    planning: LessonPlan
    review: LessonPlan
    misconceptions: tuple[Misconception, ...]
    rehearsal: Rehearsal

    def misconceptions_table(self, titles: Mapping[str, str]) -> Sentence:
        """Show the misconceptions with their probe questions."""
        rows = [("They say", "You ask", "You answer", "Shown in")]
        rows += [
            (f"“{m.belief}”", m.probe, m.answer, f"[{titles[m.page]}]({m.page}.ipynb)")
            for m in self.misconceptions
        ]
        return list_table("Common misconceptions", rows, "24 28 32 16")


def read_plans() -> Plans:
    """Read the lesson plans.

    Examples
    --------
    >>> plans = read_plans()
    >>> plans.lesson.total, len(plans.term.start)
    (90, 12)
    """
    content = page_content("lessons.toml")

    def rows(kind: type[Any], where: str, given: list[dict[str, Any]]) -> tuple[Any, ...]:
        return tuple(record(kind, row, where) for row in given)

    plans = {}
    for name in PLANS:
        about = {**content[name]}
        about["steps"] = rows(LessonStep, f"{name}, step", about.pop("step"))
        plans[name] = record(LessonPlan, about, name)
    rehearsed = content["rehearsal"]
    moments = rows(Rehearsed, "rehearsal, row", rehearsed["row"])
    return Plans(
        **plans,
        misconceptions=rows(Misconception, "misconception", content["misconception"]),
        rehearsal=record(Rehearsal, {**rehearsed, "row": moments}, "rehearsal"),
    )


# -- marks of the exam ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marked:
    """What an exam is: tasks with minutes and marks, and the share of the marks that is enough."""

    tasks: tuple[Any, ...]
    pass_share: float

    @property
    def marks(self) -> int:
        """All marks."""
        return sum(task.marks for task in self.tasks)

    @property
    def minutes(self) -> int:
        """Time for all tasks."""
        return sum(task.minutes for task in self.tasks)

    @property
    def needed(self) -> int:
        """The smallest number of marks that is enough."""
        return int(-(-self.marks * self.pass_share // 1))


@dataclass(frozen=True, slots=True)
class Criterion:
    """What earns marks."""

    marks: int
    what: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the exam."""

    label: str  # of the exercise on the page
    title: str
    chapter: str  # that prepares for it
    level: str  # one of `LEVELS`
    minutes: int
    criteria: tuple[Criterion, ...]

    @property
    def marks(self) -> int:
        """Marks of the task: the sum of its criteria."""
        return sum(criterion.marks for criterion in self.criteria)


@dataclass(frozen=True, slots=True)
class Scheme(Marked):
    """The tasks in their order, and the share of the marks that is enough.

    `marks` and `minutes` are those of all `tasks`; as many marks as `needed` are enough.
    """

    def overview(self) -> Table:
        """Show tasks with level, time and marks."""
        rows = [
            {"task": t.title, "level": t.level, "minutes": t.minutes, "marks": t.marks}
            for t in self.tasks
        ]
        return table(pd.DataFrame(rows), caption="Tasks, time and marks", name="exam-tasks")

    def table(self) -> Table:
        """Show what earns marks, grouped by task."""
        rows = [
            {"criterion": c.what, "marks": c.marks, "task": f"{t.title} ({t.marks})"}
            for t in self.tasks
            for c in t.criteria
        ]
        said = {"caption": "What earns marks", "groups": "task", "name": "exam-marks"}
        return table(pd.DataFrame(rows), **said, long=False)


def read_scheme() -> Scheme:
    """Read the marking scheme.

    Examples
    --------
    >>> scheme = read_scheme()
    >>> scheme.marks == sum(task.marks for task in scheme.tasks)
    True
    """
    content = page_content("exam.toml")
    tasks = []
    for row in content["task"]:
        criteria = tuple(Criterion(*pair) for pair in row["criteria"])
        tasks.append(record(Task, {**row, "criteria": criteria}, f"task {row.get('label')!r}"))
    return Scheme(tuple(tasks), content["pass_share"])
