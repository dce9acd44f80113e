"""Self-check questions of every chapter, with answers computed from the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..errors import UnsupportedError
from . import questions_findings as findings
from . import questions_method as method
from .questions import Question, Quiz, quiz

__all__ = ["CHAPTERS", "self_check"]

_MADE: Mapping[str, Callable[[], tuple[Question, ...]]] = MappingProxyType(
    {
        "question": method.the_question,
        "data_extraction": method.data_extraction,
        "audit": method.audit,
        "effect_sizes": method.effect_sizes,
        "pooling": method.pooling,
        "heterogeneity": method.heterogeneity,
        "subgroups": findings.subgroups,
        "meta_regression": findings.meta_regression,
        "causes_of_death": findings.causes_of_death,
        "time_at_risk": findings.time_at_risk,
        "summary_of_findings": findings.summary_of_findings,
        "small_study_effects": findings.small_study_effects,
        "dependence": findings.dependence,
        "multiverse": findings.multiverse,
        "bayes": findings.bayes,
        "reproduction": findings.reproduction,
        "your_own_table": findings.your_own_table,
    }
)

#: Chapters that have questions, in the order of the book.
CHAPTERS: tuple[str, ...] = tuple(_MADE)


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
    if chapter not in _MADE:
        raise UnsupportedError(f"no questions on {chapter!r}; there are {', '.join(CHAPTERS)}")
    return quiz(*_MADE[chapter](), name=f"check-{chapter.replace('_', '-')}")
