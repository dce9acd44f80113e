"""Self-check questions: every option opens with an explanation, by keyboard and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from zlib import crc32

from ..errors import MetaAnalysisError
from .figures import Figure

__all__ = ["Answer", "Question", "Quiz", "question", "quiz", "which"]

_LETTERS = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a question, why it is right or wrong, both in plain text."""

    text: str
    why: str
    right: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A question with two to eight options in the order in which they are shown.

    Refused when there are no or several right options, options that read alike, or one without an
    explanation.
    """

    prompt: str
    options: tuple[Answer, ...]
    figure: Figure | None = None

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise MetaAnalysisError("a question needs words")
        if not 2 <= len(self.options) <= len(_LETTERS):
            raise MetaAnalysisError(f"{self.prompt!r} needs two to {len(_LETTERS)} options")
        if sum(option.right for option in self.options) != 1:
            raise MetaAnalysisError(f"{self.prompt!r} needs exactly one right option")
        if len({option.text for option in self.options}) < len(self.options):
            raise MetaAnalysisError(f"{self.prompt!r} has options that read alike")
        for option in self.options:
            if not option.text.strip() or not option.why.strip():
                raise MetaAnalysisError(f"{self.prompt!r}: an option needs words and a reason")

    @property
    def told(self) -> str:
        """The prompt, with the figure in words where there is one and no picture can stand."""
        return self.prompt if self.figure is None else f"{self.prompt} (Figure: {self.figure.alt})"

    @property
    def right(self) -> Answer:
        """The right option."""
        return next(option for option in self.options if option.right)


def question(
    prompt: str,
    *,
    right: tuple[str, str],
    wrong: Iterable[tuple[str, str]],
    figure: Figure | None = None,
) -> Question:
    """Make a question; its options are put into an order that does not tell which is right.

    Parameters
    ----------
    prompt : str
    right : tuple of str
        The right answer and why it is right.
    wrong : iterable of tuple of str
        Wrong answers, each with why it is wrong.
    figure : Figure, optional
        A picture to read.

    Returns
    -------
    Question
        The same words always stand in the same order.

    Examples
    --------
    >>> asked = question(
    ...     "What does tau2 measure?",
    ...     right=("The variance of the true effects", "It belongs to the studies."),
    ...     wrong=[("The sampling error", "That is vi; it shrinks as studies grow.")],
    ... )
    >>> asked.right.text
    'The variance of the true effects'
    """
    options = [Answer(*right, right=True), *(Answer(*pair, right=False) for pair in wrong)]
    options.sort(key=lambda option: crc32(f"{prompt}|{option.text}".encode()))
    return Question(prompt, tuple(options), figure)


def which(
    prompt: str,
    values: Mapping[str, float],
    why: Callable[[str, float], str],
    *,
    smallest: bool = False,
) -> Question:
    """Ask which of several things has the largest (or smallest) value; the data decide.

    Parameters
    ----------
    prompt : str
    values : mapping of str to float
        Options with their values.
    why : callable
        Explanation made from an option and its value.
    smallest : bool
        Whether the smallest value is right.

    Raises
    ------
    MetaAnalysisError
        A tie for the right answer.

    Examples
    --------
    >>> asked = which("Which is longest?", {"a": 3.0, "b": 5.0}, "{} has {:.0f} cm.".format)
    >>> asked.right
    Answer(text='b', why='b has 5 cm.', right=True)
    """
    if not values:
        raise MetaAnalysisError(f"{prompt!r} has nothing to choose from")
    best = min(values.values()) if smallest else max(values.values())
    found = [name for name, value in values.items() if value == best]
    if len(found) != 1:
        raise MetaAnalysisError(f"{prompt!r}: {' and '.join(found)} have the same value")
    return question(
        prompt,
        right=(found[0], why(found[0], best)),
        wrong=[(name, why(name, value)) for name, value in values.items() if name != found[0]],
    )


@dataclass(frozen=True, slots=True)
class Quiz:
    """Questions as a notebook shows them; `name` begins their ids on the page.

    Each question is a group with a name (fieldset and legend); each option is a disclosure (details
    and summary), which every browser opens by keyboard and without a script.
    """

    questions: tuple[Question, ...]
    name: str

    @property
    def html(self) -> str:
        """The questions as HTML."""
        return "\n".join(
            _html(asked, f"{self.name}-{i}") for i, asked in enumerate(self.questions, start=1)
        )

    @property
    def text(self) -> str:
        """The questions as text, with the verdicts under the options."""
        return "\n\n".join(map(_text, self.questions))

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}


def quiz(*questions: Question, name: str = "quiz") -> Quiz:
    """Show questions.

    Parameters
    ----------
    *questions : Question
    name : str
        Start of their ids: lower-case words joined by hyphens, used once on a page.

    Raises
    ------
    MetaAnalysisError
        No question, or a name that is no id.

    Examples
    --------
    >>> quiz(question("Is I2 a test?", right=("No", "Q is."), wrong=[("Yes", "It has no p.")]))
    Is I2 a test?
      A. No
         Right. Q is.
      B. Yes
         Not so. It has no p.
    """
    if not questions:
        raise MetaAnalysisError("quiz() needs at least one question")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise MetaAnalysisError(f"a quiz needs a name of lower-case words, not {name!r}")
    return Quiz(questions, name)


def _verdict(option: Answer) -> str:
    return "Right." if option.right else "Not so."


def _html(asked: Question, name: str) -> str:
    options = "\n".join(
        f'<details class="quiz-option {"quiz-right" if option.right else "quiz-wrong"}">'
        f'<summary><span class="quiz-letter">{letter}</span> {escape(option.text, quote=False)}'
        f"</summary>\n<p><strong>{_verdict(option)}</strong> "
        f"{escape(option.why, quote=False)}</p></details>"
        for letter, option in zip(_LETTERS, asked.options, strict=False)
    )
    legend = f"<legend>{escape(asked.prompt, quote=False)}</legend>"
    return f'<fieldset class="quiz" id="{name}">\n{legend}\n{_picture(asked)}{options}\n</fieldset>'


def _picture(asked: Question) -> str:
    return "" if asked.figure is None else f"{asked.figure.svg}\n"


def _text(asked: Question) -> str:
    lines = [asked.told]
    for letter, option in zip(_LETTERS, asked.options, strict=False):
        lines += [f"  {letter}. {option.text}", f"     {_verdict(option)} {option.why}"]
    return "\n".join(lines)
