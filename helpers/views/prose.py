"""Markdown that code makes: facts side by side, and lists as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..errors import MetaAnalysisError

__all__ = ["Sentence", "facts"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """Markdown that a notebook cell made, shown as text of the page."""

    text: str  # MyST Markdown; roles and directives work when the book is built

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> dict[str, str]:  # signature of IPython's display protocol
        return {"text/markdown": self.text, "text/plain": self.text}


def facts(values: Mapping[str, str]) -> Sentence:
    """Show a few numbers side by side, each above what it counts.

    Parameters
    ----------
    values : mapping of str to str
        What is counted, and the number as printed.

    Returns
    -------
    Sentence
        An HTML list of class ``facts``.

    Raises
    ------
    MetaAnalysisError
        When there is nothing to show.

    Examples
    --------
    >>> from helpers.printing import count
    >>> facts({"cohorts": count(52)})
    <ul class="facts"><li><strong>52</strong> cohorts</li></ul>
    """
    if not values:
        raise MetaAnalysisError("facts() needs at least one number")
    items = "".join(
        f"<li><strong>{escape(number)}</strong> {escape(what)}</li>"
        for what, number in values.items()
    )
    return Sentence(f'<ul class="facts">{items}</ul>')


def list_table(
    caption: str, rows: Iterable[Sequence[str]], widths: str, *, name: str = "", class_: str = ""
) -> Sentence:
    """Show rows of texts, the first as heading, as a table whose cells may hold paragraphs."""
    options = {"name": name, "header-rows": "1", "widths": widths, "class": class_}
    given = "\n".join(f":{key}: {value}" for key, value in options.items() if value)
    body = "\n".join("* - " + "\n  - ".join(row).replace("\n\n", "\n\n    ") for row in rows)
    return Sentence(f":::{{list-table}} {caption}\n{given}\n\n{body}\n:::")
