"""Self-check questions: every option opens with an explanation, by keyboard and without scripts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any
from zlib import crc32

from ..errors import MetaAnalysisError
from .figures import Figure

LETTERS = "ABCDEFGH"


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
        if not 2 <= len(self.options) <= len(LETTERS):
            raise MetaAnalysisError(f"{self.prompt!r} needs two to {len(LETTERS)} options")
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


def question(prompt: str, options: Iterable[Answer], figure: Figure | None = None) -> Question:
    """Put the options into an order that does not tell which is right: that of their words."""

    def place(option: Answer) -> int:
        return crc32(f"{prompt}|{option.text}".encode())

    return Question(prompt, tuple(sorted(options, key=place)), figure)


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


def _verdict(option: Answer) -> str:
    return "Right." if option.right else "Not so."


def _html(asked: Question, name: str) -> str:
    options = "\n".join(
        f'<details class="quiz-option {"quiz-right" if option.right else "quiz-wrong"}">'
        f'<summary><span class="quiz-letter">{letter}</span> {escape(option.text, quote=False)}'
        f"</summary>\n<p><strong>{_verdict(option)}</strong> "
        f"{escape(option.why, quote=False)}</p></details>"
        for letter, option in zip(LETTERS, asked.options, strict=False)
    )
    legend = f"<legend>{escape(asked.prompt, quote=False)}</legend>"
    picture = "" if asked.figure is None else f"{asked.figure.svg}\n"
    return f'<fieldset class="quiz" id="{name}">\n{legend}\n{picture}{options}\n</fieldset>'


def _text(asked: Question) -> str:
    lines = [asked.told]
    for letter, option in zip(LETTERS, asked.options, strict=False):
        lines += [f"  {letter}. {option.text}", f"     {_verdict(option)} {option.why}"]
    return "\n".join(lines)
