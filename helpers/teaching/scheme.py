"""The marking scheme of the exam: tasks, marks and what earns them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import one_of
from ..door import pd
from ..errors import MetaAnalysisError
from ..evidence.pages import page_content, record
from .goals import LEVELS

if TYPE_CHECKING:
    from ..views.tables import Table

__all__ = ["Criterion", "Scheme", "Task", "read_scheme"]


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
class Scheme:
    """The tasks in their order, and the share of the marks that is enough."""

    pass_share: float
    tasks: tuple[Task, ...]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

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

    def overview(self) -> Table:
        """Show tasks with level, time and marks."""
        from ..views.tables import table

        frame = pd.DataFrame(
            [
                {"task": t.title, "level": t.level, "minutes": t.minutes, "marks": t.marks}
                for t in self.tasks
            ]
        )
        return table(frame, caption="Tasks, time and marks", name="exam-tasks")

    def table(self) -> Table:
        """Show what earns marks, grouped by task."""
        from ..views.tables import table

        frame = pd.DataFrame(
            [
                {"criterion": c.what, "marks": c.marks, "task": f"{t.title} ({t.marks})"}
                for t in self.tasks
                for c in t.criteria
            ]
        )
        return table(
            frame, caption="What earns marks", groups="task", name="exam-marks", long=False
        )


def read_scheme(path: str | Path | None = None) -> Scheme:
    """Read the marking scheme.

    Parameters
    ----------
    path : str or Path, optional
        TOML file with ``pass_share`` and one ``[[task]]`` per task: label, title, chapter,
        level, minutes, criteria (pairs of marks and words). By default the book's own.

    Raises
    ------
    MetaAnalysisError
        Fields are missing or unknown, a level is unknown, a task has no marks, or a label is
        there twice.

    Examples
    --------
    >>> scheme = read_scheme()
    >>> scheme.marks == sum(task.marks for task in scheme)
    True
    """
    content = page_content("exam.toml", path)
    tasks = []
    for row in content["task"]:
        where = f"task {row.get('label')!r}"
        task = record(Task, row, where)
        one_of(f"{where}, level", task.level, LEVELS)
        criteria = tuple(Criterion(int(marks), str(what)) for marks, what in row["criteria"])
        if not criteria or min(c.marks for c in criteria) < 1:
            raise MetaAnalysisError(f"{where}: expected criteria with at least one mark each")
        tasks.append(replace(task, criteria=criteria))
    labels = [task.label for task in tasks]
    if len(set(labels)) < len(labels):
        raise MetaAnalysisError("tasks: a label is listed twice")
    if not 0.0 < content["pass_share"] < 1.0:
        raise MetaAnalysisError("exam: expected a pass_share between 0 and 1")
    return Scheme(float(content["pass_share"]), tuple(tasks))
