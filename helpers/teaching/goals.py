"""What a reader can do after each chapter: one goal to recall, one to apply, one to transfer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..door import pd
from ..errors import MetaAnalysisError
from ..evidence.pages import page_content, record

if TYPE_CHECKING:
    from ..views.prose import Sentence

__all__ = ["LEVELS", "VERBS", "Chapter", "Goals", "read_goals"]

#: Levels of a goal, from what is known to what can be done with something new.
LEVELS: tuple[str, ...] = ("recall", "apply", "transfer")

#: Verbs whose doing can be watched, and so assessed. "Understand" and "know" are not among them.
VERBS: Mapping[str, frozenset[str]] = {
    "recall": frozenset("define describe distinguish explain list name state".split()),
    "apply": frozenset(
        "calculate check classify compare compute convert draw find fit read recompute report "
        "tabulate".split()
    ),
    "transfer": frozenset("adapt argue assess criticise defend design judge plan write".split()),
}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter with its goals: what the reader can do, beginning with a verb of `VERBS`."""

    file: str  # name of the page without suffix
    title: str
    recall: str
    apply: str
    transfer: str

    def __post_init__(self) -> None:
        for level in LEVELS:
            verb = getattr(self, level).split(" ")[0].strip(",").lower()
            if verb not in VERBS[level]:
                expected = ", ".join(sorted(VERBS[level]))
                raise MetaAnalysisError(
                    f"{self.file}, {level}: found {verb!r}, expected one of {expected}"
                )


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals of all chapters, in the order of the book."""

    chapters: tuple[Chapter, ...]

    def __iter__(self) -> Iterator[Chapter]:
        return iter(self.chapters)

    def __getitem__(self, file: str) -> Chapter:
        for chapter in self.chapters:
            if chapter.file == file:
                return chapter
        raise MetaAnalysisError(f"no goals for {file!r}")

    def frame(self) -> pd.DataFrame:
        """One row per goal: chapter, title, level, goal."""
        return pd.DataFrame(
            [
                {"chapter": c.file, "title": c.title, "level": level, "goal": getattr(c, level)}
                for c in self
                for level in LEVELS
            ]
        )

    def table(self) -> Sentence:
        """Show the goals: one row per chapter, one column per level."""
        from ..views.prose import list_table

        head = ("Chapter", *(level.capitalize() for level in LEVELS))
        rows = [
            (f"[{c.title}]({c.file}.ipynb)", *(getattr(c, level) for level in LEVELS)) for c in self
        ]
        return list_table("After the chapter, a reader can …", [head, *rows], "16 28 28 28")


def read_goals(path: str | Path | None = None) -> Goals:
    """Read the learning goals.

    Parameters
    ----------
    path : str or Path, optional
        TOML file with one ``[[chapter]]`` per chapter: file, title, recall, apply, transfer.
        By default the book's own.

    Raises
    ------
    MetaAnalysisError
        Fields are missing or unknown, a goal has no observable verb, or a chapter is there twice.

    Examples
    --------
    >>> goals = read_goals()
    >>> goals["pooling"].title
    'Pooling'
    """
    rows = page_content("learning_goals.toml", path)["chapter"]
    chapters = tuple(record(Chapter, row, f"chapter {row.get('file')!r}") for row in rows)
    names = [chapter.file for chapter in chapters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MetaAnalysisError(f"goals: {', '.join(twice)} is listed twice")
    return Goals(chapters)
