"""Lesson plans as timed tables, and what learners often believe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MetaAnalysisError
from ..evidence.pages import page_content, record

if TYPE_CHECKING:
    from ..views.prose import Sentence

__all__ = ["LessonPlan", "LessonStep", "Misconception", "Plans", "clock", "read_plans"]


def clock(start: str, minutes: int) -> str:
    """Give the time some minutes after a start.

    Examples
    --------
    >>> clock("09:00", 95)
    '10:35'
    """
    hour, minute = map(int, start.split(":"))
    late = 60 * hour + minute + minutes
    return f"{late // 60:02d}:{late % 60:02d}"


@dataclass(frozen=True, slots=True)
class LessonStep:
    """One step of a plan: how long, what, in which form, with which page of the book."""

    minutes: int
    what: str
    form: str
    page: str
    day: int = 1


@dataclass(frozen=True, slots=True)
class LessonPlan:
    """A lesson or a course of one day or more."""

    title: str
    total: int  # minutes of all steps
    start: tuple[str, ...]  # when each day begins
    steps: tuple[LessonStep, ...]

    def table(self, titles: Mapping[str, str]) -> Sentence:
        """Show the plan with the time of each step and the `titles` of its pages."""
        from ..views.prose import list_table

        rows = [("Time", "Minutes", "What", "Form", "Page")]
        spent = [0] * len(self.start)
        for step in self.steps:
            at = clock(self.start[step.day - 1], spent[step.day - 1])
            spent[step.day - 1] += step.minutes
            when = f"day {step.day}, {at}" if len(spent) > 1 else at
            page = f"[{titles[step.page]}]({step.page}.ipynb)"
            rows.append((when, str(step.minutes), step.what, step.form, page))
        return list_table(self.title, rows, "12 10 44 16 18")


@dataclass(frozen=True, slots=True)
class Misconception:
    """What learners often believe, what to answer, and the page that shows it."""

    belief: str
    answer: str
    page: str


@dataclass(frozen=True, slots=True)
class Plans:
    """What `read_plans` gives: a lesson, a course, misconceptions."""

    lesson: LessonPlan
    course: LessonPlan
    misconceptions: tuple[Misconception, ...]

    def pages(self) -> set[str]:
        """Pages that the plans name."""
        steps = (*self.lesson.steps, *self.course.steps)
        return {step.page for step in steps} | {m.page for m in self.misconceptions}

    def misconceptions_table(self, titles: Mapping[str, str]) -> Sentence:
        """Show the misconceptions."""
        from ..views.prose import list_table

        rows = [("They say", "You answer", "Shown in")]
        rows += [
            (f"“{m.belief}”", m.answer, f"[{titles[m.page]}]({m.page}.ipynb)")
            for m in self.misconceptions
        ]
        return list_table("Common misconceptions", rows, "36 44 20")


def _plan(name: str, table: Mapping[str, Any]) -> LessonPlan:
    steps = tuple(record(LessonStep, row, f"{name}, step") for row in table["step"])
    spent = sum(step.minutes for step in steps)
    if spent != table["total"]:
        raise MetaAnalysisError(f"{name}: the steps take {spent} minutes, not {table['total']}")
    days = {step.day for step in steps}
    if days != set(range(1, len(table["start"]) + 1)):
        raise MetaAnalysisError(f"{name}: expected steps on each of {len(table['start'])} days")
    return LessonPlan(table["title"], table["total"], tuple(table["start"]), steps)


def read_plans(path: str | Path | None = None) -> Plans:
    """Read the lesson plans.

    Parameters
    ----------
    path : str or Path, optional
        TOML file with ``[lesson]`` and ``[course]`` (title, total, start, step) and
        ``[[misconception]]`` (belief, answer, page). By default the book's own.

    Raises
    ------
    MetaAnalysisError
        The steps of a plan do not add up to its total, or a day has none.

    Examples
    --------
    >>> plans = read_plans()
    >>> plans.lesson.total
    90
    """
    content = page_content("lessons.toml", path)
    return Plans(
        _plan("lesson", content["lesson"]),
        _plan("course", content["course"]),
        tuple(record(Misconception, row, "misconception") for row in content["misconception"]),
    )
