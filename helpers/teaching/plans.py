"""Lesson plans as timed tables, and what learners often believe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .. import printing
from ..errors import MetaAnalysisError
from ..evidence.pages import page_content, record

if TYPE_CHECKING:
    from ..views.prose import Sentence

__all__ = ["LessonPlan", "LessonStep", "Misconception", "Plans", "clock", "read_plans"]


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
        from ..views.prose import list_table

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
    from .lab_pages import LAB_PAGES

    links = [f"[{titles[step.page]}]({step.page}.ipynb)"] if step.page else []
    links += [f"lab “{LAB_PAGES[key].title}”" for key in step.labs]
    if step.exercise:
        links.append(f"{{ref}}`exercise <{step.exercise}>`")
    return "; ".join([*([step.materials] if step.materials else []), *links])


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
        from ..views.prose import list_table

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

    def steps(self) -> tuple[LessonStep, ...]:
        """Give the steps of all plans."""
        return tuple(step for name in PLANS for step in getattr(self, name).steps)

    def pages(self) -> set[str]:
        """Pages that the plans name."""
        named = {step.page for step in self.steps() if step.page}
        return named | {m.page for m in self.misconceptions}

    def misconceptions_table(self, titles: Mapping[str, str]) -> Sentence:
        """Show the misconceptions with their probe questions."""
        from ..views.prose import list_table

        rows = [("They say", "You ask", "You answer", "Shown in")]
        rows += [
            (f"“{m.belief}”", m.probe, m.answer, f"[{titles[m.page]}]({m.page}.ipynb)")
            for m in self.misconceptions
        ]
        return list_table("Common misconceptions", rows, "24 28 32 16")


def _plan(name: str, table: Mapping[str, Any]) -> LessonPlan:
    steps = tuple(record(LessonStep, row, f"{name}, step") for row in table["step"])
    spent = sum(step.minutes for step in steps)
    if spent != table["total"]:
        raise MetaAnalysisError(f"{name}: the steps take {spent} minutes, not {table['total']}")
    days = {step.day for step in steps}
    if days != set(range(1, len(table["start"]) + 1)):
        raise MetaAnalysisError(f"{name}: expected steps on each of {len(table['start'])} days")
    unit = table.get("unit", "day")
    return LessonPlan(table["title"], table["total"], tuple(table["start"]), steps, unit)


def _rehearsal(table: Mapping[str, Any]) -> Rehearsal:
    rows = tuple(record(Rehearsed, row, "rehearsal, row") for row in table["row"])
    return record(Rehearsal, {**table, "row": rows}, "rehearsal")


def read_plans(path: str | Path | None = None) -> Plans:
    """Read the lesson plans.

    Parameters
    ----------
    path : str or Path, optional
        TOML file with a table for each of `PLANS` (title, total, start, step, and unit where it is
        not "day"), ``[[misconception]]`` (belief, probe, answer, page) and ``[rehearsal]`` (day,
        where, row). By default the book's own.

    Raises
    ------
    MetaAnalysisError
        The steps of a plan do not add up to its total, or a day has none.

    Examples
    --------
    >>> plans = read_plans()
    >>> plans.lesson.total, len(plans.term.start)
    (90, 12)
    """
    content = page_content("lessons.toml", path)
    return Plans(
        **{name: _plan(name, content[name]) for name in PLANS},
        misconceptions=tuple(
            record(Misconception, row, "misconception") for row in content["misconception"]
        ),
        rehearsal=_rehearsal(content["rehearsal"]),
    )
