"""Sentences of a chapter: paragraphs, boxes, answers and facts, shown as Markdown."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..errors import MetaAnalysisError, UnsupportedError
from ..printing import listing

__all__ = ["Sentence", "answer", "box", "facts", "say"]

_BOXES = {
    "takeaways": ("tip", "Takeaways"),
    "report": ("note", "How to report it"),
    "caution": ("warning", "Cautions"),
    "note": ("note", "Note"),
    "question": ("hint", "Question"),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """Markdown that a notebook cell made, shown as text of the page.

    Attributes
    ----------
    text : str
        MyST Markdown; roles and directives work when the book is built.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> dict[str, str]:  # signature of IPython's display protocol
        return {"text/markdown": self.text, "text/plain": self.text}


def say(*sentences: str) -> Sentence:
    """Show computed sentences as a paragraph of the page.

    Parameters
    ----------
    *sentences : str
        Joined by a space. Indentation that a multi-line string has from the code is removed.
        MyST roles are allowed.

    Returns
    -------
    Sentence
        Displayed as Markdown when it is the last expression of a cell.

    Examples
    --------
    >>> from helpers.printing import counted
    >>> say(f"We pooled {counted(52, 'cohort')}.", "See {term}`NRM`.")
    We pooled 52 cohorts. See {term}`NRM`.
    """
    if not sentences:
        raise MetaAnalysisError("say() needs at least one sentence")
    return Sentence(" ".join(inspect.cleandoc(str(part)) for part in sentences))


def box(kind: str, text: str | Sentence | Iterable[str], title: str | None = None) -> Sentence:
    """Show a box: takeaways, how to report it, a caution.

    Parameters
    ----------
    kind : {"takeaways", "report", "caution", "note", "question"}
        Sets colour, icon and the usual title; also a CSS class of that name.
    text : str or list of str
        A paragraph, or points of a list. MyST roles are allowed.
    title : str, optional
        In place of the usual title.

    Returns
    -------
    Sentence
        A MyST admonition with a colon fence.

    Raises
    ------
    UnsupportedError
        For an unknown kind.

    Examples
    --------
    >>> box("caution", "Follow-up differs.")
    :::{admonition} Cautions
    :class: warning box-caution
    <BLANKLINE>
    Follow-up differs.
    :::
    """
    if kind not in _BOXES:
        raise UnsupportedError(f"no box of kind {kind!r}; there are {listing(_BOXES)}")
    style, usual = _BOXES[kind]
    if isinstance(text, (str, Sentence)):
        body = inspect.cleandoc(str(text))
    else:
        body = "\n".join(f"- {inspect.cleandoc(str(point))}" for point in text)
        if not body:
            raise MetaAnalysisError("box() needs at least one point")
    fence = ":::"
    while fence in body:
        fence += ":"
    head = f"{fence}{{admonition}} {title or usual}\n:class: {style} box-{kind}"
    return Sentence(f"{head}\n\n{body}\n{fence}")


def answer(*sentences: str) -> Sentence:
    """Show the sentence that answers a chapter's question, set off from the text.

    Parameters
    ----------
    *sentences : str
        Pieces of Markdown, joined by a space.

    Returns
    -------
    Sentence
        A MyST ``div`` of class ``answer``.

    Examples
    --------
    >>> from helpers.printing import count
    >>> answer(f"There are {count(7604)} patients.")
    :::{div} answer
    There are 7,604 patients.
    :::
    """
    return Sentence(f":::{{div}} answer\n{say(*sentences)}\n:::")


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
