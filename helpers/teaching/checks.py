"""Self-check questions of every chapter, with answers computed from the data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UnsupportedError
from .questions import Question, Quiz, question, quiz, which

__all__ = ["CHAPTERS", "self_check"]

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
    values = MADE[chapter]()
    asked = [_question(entry, values) for entry in _ASKED[chapter]]
    return quiz(*asked, name=f"check-{chapter.replace('_', '-')}")


def _question(entry: Mapping[str, Any], values: Mapping[str, Any]) -> Question:
    """Fill the computed values into the words of a question."""
    prompt = entry["ask"].format_map(values)
    if "which" in entry:
        end, scale = entry["which"][0], values[entry["which"][1]]
        return which(
            prompt,
            {name: value for name, (value, _) in scale.items()},
            lambda name, _: entry["why"].format_map(
                {**values, "name": name, "said": scale[name][1]}
            ),
            smallest=end == "smallest",
        )
    verdicts = {"right": True, "wrong": False}
    verdicts |= {name: one for name, one in values.items() if isinstance(one, bool)}
    verdicts |= {f"not {name}": not one for name, one in verdicts.items()}
    sorted_: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for verdict, *pair in entry["options"]:
        answer, why = (text.format_map(values) for text in pair)
        sorted_[verdicts[verdict]].append((answer, why))
    (right,) = sorted_[True]
    return question(prompt, right=right, wrong=sorted_[False])
