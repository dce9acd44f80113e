"""What this review calls its studies, people, counts and outcome, and how it colours them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ..views.plots.note import annotate as any_annotate
from ..views.subject import Subject
from .palette import ENTITY, PRODUCT

SUBJECT = Subject(
    study="cohort",
    studies="cohorts",
    person="patient",
    people="patients",
    outcome="Nonrelapse mortality",
    kind="proportion",
    events="Deaths",
    n="Patients",
    palettes=(ENTITY, PRODUCT),
)

_DISEASES = {
    "LBCL": "large B-cell lymphoma",
    "MCL": "mantle-cell lymphoma",
    "MM": "multiple myeloma",
    "IL": "indolent lymphoma",
}

_P = ParamSpec("_P")
_R = TypeVar("_R")


def worded(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a picture or table speak of this review, unless a call names another subject."""

    @wraps(draw)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        kwargs.setdefault("subject", SUBJECT)
        return draw(*args, **kwargs)

    return inside


#: Attach a note to axes in the colours of this review.
annotate = worded(any_annotate)


def disease(entity: str) -> str:
    """Spell a disease out, with its abbreviation; one that the review lacks stays as it is.

    >>> disease("MM"), disease("CLL")
    ('multiple myeloma (MM)', 'CLL')
    """
    return f"{_DISEASES[entity]} ({entity})" if entity in _DISEASES else str(entity)
