"""The specification curve whose analyses can be walked through and picked by their choices.

Every analysis is in the page, in some eight characters, as whole numbers with digits to the base
64: its choices with its verdict, by how much its estimate exceeds the one before, and how far its
limits are from the estimate. The page prints what it has, so a value is stored with the decimals
that it is printed with; whether an analysis supports the claim was decided before, from the full
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import printing, ties
from ...arguments import one_of
from ...checks.multiverse.claim_result import ClaimMultiverse
from ...errors import MetaAnalysisError
from .. import plots
from .live_picture import Interactive

#: Digits to the base 64.
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
#: Where the interval of an analysis may lie: below the null, around it, above it.
VERDICTS = 3
SCALE = {"percent": 10_000, "ratio": 100}


def curve(
    claims: Mapping[str, ClaimMultiverse],
    *,
    name: str,
    first: str,
    published: Mapping[str, str] | None = None,
) -> Interactive:
    """Make a curve of all analyses of some claims.

    Parameters
    ----------
    claims : mapping of key to ClaimMultiverse
        As `helpers.review.claim_analyses.claim_multiverse` gives them.
    name : str
        Id of its fixed picture.
    first : str
        The claim that is shown first, and in the fixed picture.
    published : mapping of choice to level, optional
        The analysis to point out, as for `ClaimMultiverse.find`.

    Raises
    ------
    MetaAnalysisError
        An unknown `first`, a claim without a result, or an interval without its estimate.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> from helpers.review.claim_analyses import claim_multiverse
    >>> made = curve(
    ...     {"infection": claim_multiverse(load_cohorts(), "infection")},
    ...     name="one",
    ...     first="infection",
    ... )
    >>> claim = made.data["claims"]["infection"]
    >>> len(claim["packed"]) // sum(claim["widths"])
    36
    """
    one_of("first", first, claims)
    marks = {key: None if published is None else one.find(published) for key, one in claims.items()}
    still = plots.show(plots.specification_curve(claims[first], mark=marks[first]), name)
    data = {
        "first": first,
        "digits": DIGITS,
        "claims": {key: _claim(one, marks[key]) for key, one in claims.items()},
    }
    return Interactive("curve", "All analyses, to walk through", still, data)


def _claim(result: ClaimMultiverse, mark: int | None) -> dict[str, Any]:
    if not len(result):
        raise MetaAnalysisError(f"claim {result.claim.key!r}: no analysis has a result")
    place = np.flatnonzero(result.ok)
    order = place[ties.order(result.value[place])]
    choices = []
    code = np.zeros(len(order), dtype=np.int64)
    for (key, labels), level in zip(result.choices.items(), result.levels[order].T, strict=True):
        absent = int(level.min() < 0)  # some analyses do not make this choice
        code = code * (len(labels) + absent) + level + absent
        choices.append({"name": key, "levels": list(labels), "absent": absent})
    side = np.where(result.certain[order], 2, np.where(result.opposes[order], 0, 1))
    scale = SCALE[result.claim.unit]
    value, lower, upper = (
        np.round(ties.steady(scale * column[order])).astype(np.int64)
        for column in (result.value, result.lower, result.upper)
    )
    columns = (
        code * VERDICTS + side,
        np.diff(value, prepend=value[0]),
        value - lower,
        upper - value,
    )
    packed = [_digits(column) for column in columns]
    claim = result.claim
    return {
        "statement": claim.statement,
        "quantity": claim.quantity,
        "unit": claim.unit,
        "null": claim.null,
        "level": printing.percent(result.level, 0),
        "scale": scale,
        "choices": choices,
        "mark": None if mark is None else int(np.flatnonzero(order == mark - 1)[0]),
        "start": int(value[0]),
        # sorted by estimate, so the analyses that support the claim are the last ones
        "against": len(result) - result.share_supporting.count,
        "widths": [len(column[0]) for column in packed],
        "packed": "".join(map("".join, zip(*packed, strict=True))),
    }


def _digits(values: NDArray[np.int64]) -> list[str]:
    """Write whole numbers to the base 64, all with as many digits as the largest needs."""
    if values.min() < 0:
        raise MetaAnalysisError("an interval that does not contain its estimate cannot be packed")
    width = 1
    while values.max() >= 64**width:
        width += 1
    return [
        "".join(DIGITS[(value >> 6 * place) & 63] for place in reversed(range(width)))
        for value in values.tolist()
    ]
