"""Keyword groups: the choices that calls share, under the same words in each of them.

A public function names its data and its everyday choices, at most ten parameters in all; the rest
is one group, ``**options``. What each word means where it is not given, `helpers.engine.options`
says for all calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypedDict


class EffectKeywords(TypedDict, total=False):
    """Fine print of `helpers.pool_effects`."""

    tau2_method: str | None
    tau2: float | None
    back_transform: str


class PoolKeywords(EffectKeywords, total=False):
    """Fine print of `helpers.pool`."""

    method: str | None
    add: float | None
    to: str | None
    quad_points: int
    study_ci: str | None


class MultilevelKeywords(TypedDict, total=False):
    """Choices of `helpers.pool_multilevel`."""

    measure: str | None
    model: str | None
    tau2_method: str | None
    ci_method: str | None
    level: float
    robust: str | None
    add: float | None
    to: str | None
    quad_points: int


class RegressionKeywords(MultilevelKeywords, total=False):
    """Choices of `helpers.meta_regression`, which are the same."""


class PosteriorKeywords(TypedDict, total=False):
    """Choices of `helpers.posterior` beside the priors."""

    likelihood: str | None
    measure: str | None
    level: float
    tolerance: float


class ReportKeywords(TypedDict, total=False):
    """Reading of the table of `helpers.report`, heading of its page, choices of its main model."""

    time: str | None
    effect: str | None
    se: str | None
    variance: str | None
    lower: str | None
    upper: str | None
    scale: str | None
    cluster: str | None
    risk_of_bias: str | None
    per: int
    follow_up_unit: str | None
    missing: str | Sequence[str]
    sheet: str | int | None
    title: str | None
    measure: str | None
    model: str | None
    level: float
    seed: int


class StudyKeywords(TypedDict, total=False):
    """Counts and labels of the studies of a test in `helpers.bias`."""

    events: Any
    n: Any
    study: Any


class TruthKeywords(StudyKeywords, total=False):
    """Studies of `helpers.bias.simulate_null` and the truth that it draws from."""

    mu: float | None
    tau2: float | None
    tau2_method: str | None


class ScaledStudyKeywords(StudyKeywords, total=False):
    """The same, with the scale of the effects."""

    measure: str | None


def refuse_unknown(call: str, given: Mapping[str, Any], group: type) -> None:
    """Refuse a word that a group does not know, with the nearest word and all words.

    >>> refuse_unknown("pool_effects", {"tau2": 0.1}, EffectKeywords)
    >>> refuse_unknown("pool_effects", {"tau2_methods": "DL"}, EffectKeywords)
    Traceback (most recent call last):
        ...
    TypeError: pool_effects() got an unexpected keyword argument 'tau2_methods'; did you mean \
'tau2_method'? Its options are tau2_method, tau2, back_transform
    """
    known = list(group.__annotations__)
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise TypeError(
                f"{call}() got an unexpected keyword argument {name!r}{hint} "
                f"Its options are {', '.join(known)}"
            )
