"""Self-check questions of every chapter, and checks of the answers to its exercises.

What is right is computed from the data when it is asked for: in an exercise by its solution in the
chapter. What kind of answer an exercise wants, and which mistakes are common, stands in
``exercises.toml``.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import printing
from ..door import pd
from ..errors import UnsupportedError
from ..evidence.pages import record
from .figures import figure
from .questions import Answer, Question, Quiz, question
from .solutions import solve

with Path(__file__).with_name("questions.toml").open("rb") as _file:
    _ASKED: dict[str, list[dict[str, Any]]] = tomllib.load(_file)

#: Chapters that have questions, in the order of the book.
CHAPTERS: tuple[str, ...] = tuple(_ASKED)


def self_check(chapter: str) -> Quiz:
    """Ask about a chapter.

    Parameters
    ----------
    chapter : str
        Name of its page without suffix; one of `CHAPTERS`.

    Returns
    -------
    Quiz
        At least two questions. What depends on the data is computed when it is called.

    Raises
    ------
    UnsupportedError
        A chapter without questions.

    Examples
    --------
    >>> len(self_check("pooling").questions) >= 2
    True
    """
    from .answers import MADE  # the whole engine, when it is asked for

    if chapter not in _ASKED:
        raise UnsupportedError(f"no questions on {chapter!r}; there are {', '.join(CHAPTERS)}")
    values = MADE[chapter]() if chapter in MADE else {}
    asked = [_question(entry, values) for entry in _ASKED[chapter]]
    return Quiz(tuple(asked), f"check-{chapter.replace('_', '-')}")


def _question(entry: Mapping[str, Any], values: Mapping[str, Any]) -> Question:
    """Fill the computed values into the words of a question."""
    if "which" in entry:
        end, scale = entry["which"][0], values[entry["which"][1]]
        best = (min if end == "smallest" else max)(value for value, _ in scale.values())
        options = [
            Answer(
                name, entry["why"].format_map({**values, "name": name, "said": said}), value == best
            )
            for name, (value, said) in scale.items()
        ]
    else:
        verdicts = {"right": True, "wrong": False}
        verdicts |= {name: one for name, one in values.items() if isinstance(one, bool)}
        verdicts |= {f"not {name}": not one for name, one in verdicts.items()}
        options = [
            Answer(text.format_map(values), why.format_map(values), verdicts[verdict])
            for verdict, text, why in entry["options"]
        ]
    shown = figure(entry["figure"]) if "figure" in entry else None
    return question(entry["ask"].format_map(values), options, shown)


# -- answers to exercises -------------------------------------------------------------------------

#: Units of a share, each as a multiple of the proportion.
_UNITS = {"proportion": 1.0, "percent": 100.0, "per 1,000": 1000.0}
_GIVEN = {
    "proportion": "as a proportion, from 0 to 1",
    "percent": "in percent",
    "per 1,000": "as a number per 1,000",
}
#: Kinds of an answer.
KINDS = (*_UNITS, "points", "ratio", "p", "number", "count", "choice", "names")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an exercise asks for.

    `ask` is the answer in words, as in "the upper limit, as a proportion", and `kind` one of
    `KINDS`: a share in one of three units, "points" (a difference in percentage points), "ratio", a
    p-value, another number, a count, one of some choices, or names. `value` is an expression for
    it, in names of the chapter and of the solution (for a choice, perhaps one of `choices` in
    quotes), of which `digits` significant digits have to be right. `hint` says how to get on;
    `choices` and `mistakes` (expressions for wrong answers that are easily given) have hints of
    their own.
    """

    chapter: str
    label: str
    ask: str
    kind: str
    value: str
    hint: str
    digits: int = 3
    choices: Mapping[str, str] = field(default_factory=dict)
    mistakes: Mapping[str, str] = field(default_factory=dict)

    @property
    def wanted(self) -> str:
        """What to put into ``answer``."""
        if self.kind == "choice":
            return f"{self.ask}: {' or '.join(map(repr, self.choices))}"
        return self.ask


@dataclass(frozen=True, slots=True)
class Feedback:
    """What `check` says; a cell that ends with it shows the text."""

    right: bool
    text: str

    def __repr__(self) -> str:
        return self.text


@cache
def asked() -> Mapping[str, Asked]:
    """Read what the exercises ask for, by label."""
    with Path(__file__).with_name("exercises.toml").open("rb") as file:
        chapters = tomllib.load(file)
    return {
        label: record(Asked, {"chapter": chapter, "label": label, **entry}, label)
        for chapter, entries in chapters.items()
        for label, entry in entries.items()
    }


def check(exercise: str, answer: Any, cohorts: pd.DataFrame | None = None) -> Feedback:
    """Check the answer to an exercise.

    Parameters
    ----------
    exercise : str
        Label of the exercise.
    answer : float, str or list of str
        The answer; ``...`` while there is none.
    cohorts : DataFrame, optional
        The table that the answer was computed from, where it is not the book's own.

    Returns
    -------
    Feedback
        "Right.", or a hint that does not give the answer away.

    Raises
    ------
    UnsupportedError
        An exercise that is not known, or whose answer cannot be checked.
    EvidenceError
        The notebooks of the book are not there (they are in no wheel).

    Examples
    --------
    >>> check("ex-question-recall", "yes").right
    False
    >>> check("ex-question-recall", "no")
    Right.
    """
    known = asked()
    if exercise not in known:
        near = difflib.get_close_matches(exercise, known, n=3, cutoff=0.4)
        meant = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnsupportedError(f"no answer is checked for {exercise!r}{meant}")
    what = known[exercise]
    if answer is ... or answer is None:
        return Feedback(False, f"No answer yet. Wanted: {what.wanted}.")
    if hint := _wrong_type(what, answer):
        return Feedback(False, f"{hint} Wanted: {what.wanted}.")
    expected, *mistaken = solve(what.chapter, exercise, [what.value, *what.mistakes], cohorts)
    if what.kind == "names":
        return _names(what, expected, answer)
    if what.kind == "choice":
        chosen = _chosen(what, answer)
        right = chosen == expected
        return Feedback(right, "Right." if right else f"Not yet. {what.choices[chosen]}")
    given, value = float(np.asarray(answer).item()), float(expected)
    if _close(given, value, what):
        return Feedback(True, "Right.")
    mistakes = zip(mistaken, what.mistakes.values(), strict=True)
    hints = [text for wrong, text in mistakes if _close(given, float(wrong), what)]
    hints += [*_slips(given, value, what), what.hint]
    return Feedback(False, f"Not yet. {hints[0]}")


# -- numbers --------------------------------------------------------------------------------------


def _wrong_type(what: Asked, answer: Any) -> str:
    """Say why an answer cannot be judged at all; empty if it can."""
    if what.kind == "names":
        text = isinstance(answer, str) or not isinstance(answer, Iterable)
        return "Not yet. Give a list of names." if text else ""
    if what.kind == "choice":
        if not isinstance(answer, str):
            return f"Not yet. The answer is a word, not {type(answer).__name__}."
        return (
            "" if _chosen(what, answer) in what.choices else "Not yet. That is none of the choices."
        )
    if isinstance(answer, (str, bytes)):
        return "Not yet. That is text: give the number alone, without quotes and unit."
    if isinstance(answer, (bool, np.bool_)):
        return "Not yet. That says whether something is true: give a number."
    values = np.asarray(answer)
    if values.size != 1:
        return f"Not yet. Those are {values.size} values: give one number."
    if not np.issubdtype(values.dtype, np.number) and values.dtype != object:
        return "Not yet. That is no number."
    try:
        number = float(values.item())
    except (TypeError, ValueError):
        return f"Not yet. {type(values.item()).__name__} is no number: take the number out of it."
    return (
        ""
        if math.isfinite(number)
        else "Not yet. That is no finite number: a value was missing, or divided by zero."
    )


def _close(given: float, value: float, what: Asked) -> bool:
    """Whether two numbers agree in the digits that are asked for."""
    if what.kind == "count":
        return given == value
    if value == 0 or not math.isfinite(value):
        return abs(given - value) < 0.5 * 10.0**-what.digits
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - what.digits + 1)
    return abs(given - value) <= 0.5 * unit * (1 + 1e-9)


def _slips(given: float, value: float, what: Asked) -> Iterator[str]:
    """Hints for the usual kinds of slip, the surest first."""

    def is_(wrong: float) -> bool:
        return math.isfinite(wrong) and _close(given, wrong, what)

    if what.kind in _UNITS:
        for unit, times in _UNITS.items():
            if unit != what.kind and is_(value * times / _UNITS[what.kind]):
                yield f"The share is right, but given {_GIVEN[unit]}; give it {_GIVEN[what.kind]}."
        share = value / _UNITS[what.kind]
        if 0 < share < 1 and is_(math.log(share / (1 - share))):
            yield "That is on the logit scale, on which the model works: transform it back."
        elif share > 0 and is_(math.log(share)):
            yield "That is a logarithm: transform it back."
    if what.kind == "points" and is_(value / 100):
        yield "That is a difference between proportions: a hundred times that in points."
    if what.kind == "ratio" and value > 0:
        if is_(math.log(value)):
            yield "That is the logarithm of the ratio: take its exponential."
        if is_(1 / value):
            yield "That is the ratio the other way round: look at which comes first."
    if what.kind == "p":
        if is_(1 - value):
            yield "That is the probability of the other side: one minus the p-value."
        if is_(value / 2):
            yield "That is one tail only: the test is two-sided."
    if value and is_(-value):
        yield "The size is right, and the sign is not: look at which is subtracted from which."
    if what.kind != "count" and _rounded(given, value, what):
        yield f"Close, but rounded too much: give {printing.word(what.digits)} digits or more."


def _rounded(given: float, value: float, what: Asked) -> bool:
    if not value:
        return False
    first = math.floor(math.log10(abs(value)))
    for digits in range(1, what.digits):
        unit = 10.0 ** (first - digits + 1)
        # the digits that were kept, and the ones after them that were cut off
        if any(
            math.isclose(given, cut(value / unit) * unit) for cut in (round, math.floor, math.ceil)
        ):
            return True
    return False


# -- words ----------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _chosen(what: Asked, answer: str) -> str:
    return next((one for one in what.choices if _plain(one) == _plain(answer)), "")


def _names(what: Asked, expected: Iterable[Any], answer: Iterable[Any]) -> Feedback:
    wanted, given = ({_plain(str(one)) for one in names} for names in (expected, answer))
    if wanted == given:
        return Feedback(True, "Right.")
    missing, extra = len(wanted - given), len(given - wanted)
    said = []
    if missing:
        said.append(
            f"{printing.counted(missing, 'name')} {'is' if missing == 1 else 'are'} missing"
        )
    if extra:
        said.append(
            f"{printing.counted(extra, 'name')} {'does' if extra == 1 else 'do'} not belong here"
        )
    return Feedback(False, f"Not yet: {' and '.join(said)}. {what.hint}")
