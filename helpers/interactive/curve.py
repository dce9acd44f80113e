"""The specification curve whose analyses can be walked through and picked by their choices.

Every analysis is in the page, in thirteen characters: its choices and its verdict in four, its
estimate and limits in three each, as digits to the base 64. The page prints what it has, so a
value is stored with the decimals that it is printed with; whether an analysis supports the claim
was decided before, from the full numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers import prose
from helpers.errors import MetaAnalysisError
from helpers.interactive.element import Interactive
from helpers.multiverse.claim_result import ClaimMultiverse

__all__ = ["DIGITS", "WIDTHS", "curve"]

#: Digits to the base 64.
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
#: Characters of the code, and of each number.
WIDTHS = (4, 3)
SCALE = {"percent": 10_000, "ratio": 100}
VERDICTS = 6  # estimate on the claimed side or not, interval above, around or below the null


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
        As `helpers.multiverse.claims.claim_multiverse` gives them.
    name : str
        Id of its fixed picture.
    first : str
        The claim that is shown first, and in the fixed picture.
    published : mapping of choice to level, optional
        The analysis to point out, as for `ClaimMultiverse.find`.

    Returns
    -------
    Interactive

    Raises
    ------
    MetaAnalysisError
        An unknown `first`, a claim without a result, or numbers that need more room.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> from helpers.multiverse.claims import claim_multiverse
    >>> made = curve(
    ...     {"infection": claim_multiverse(load_cohorts(), "infection")},
    ...     name="one",
    ...     first="infection",
    ... )
    >>> len(made.data["claims"]["infection"]["packed"]) // 13
    63
    """
    from helpers import plots

    if first not in claims:
        raise MetaAnalysisError(f"first={first!r}: expected one of {', '.join(claims)}")
    marks = {key: None if published is None else one.find(published) for key, one in claims.items()}
    still = plots.show(plots.specification_curve(claims[first], mark=marks[first]), name)
    data = {
        "first": first,
        "digits": DIGITS,
        "widths": WIDTHS,
        "claims": {key: _claim(one, marks[key]) for key, one in claims.items()},
    }
    return Interactive("curve", "All analyses, to walk through", still, data)


def _claim(result: ClaimMultiverse, mark: int | None) -> dict[str, Any]:
    if not len(result):
        raise MetaAnalysisError(f"claim {result.claim.key!r}: no analysis has a result")
    place = np.flatnonzero(result.ok)
    order = place[np.argsort(result.value[place], kind="stable")]
    code = np.zeros(len(order), dtype=np.int64)
    for d, labels in enumerate(result.choices.values()):
        code = code * (len(labels) + 1) + result.levels[order, d] + 1
    above = np.where(result.certain[order], 2, np.where(result.opposes[order], 0, 1))
    code = code * VERDICTS + 3 * result.supports[order] + above
    scale = SCALE[result.claim.unit]
    numbers = [
        np.round(scale * column[order]).astype(np.int64)
        for column in (result.value, result.lower, result.upper)
    ]
    columns = [_digits(code, WIDTHS[0]), *(_digits(x, WIDTHS[1]) for x in numbers)]
    claim = result.claim
    influence = result.influence()["share"]
    return {
        "statement": claim.statement,
        "sentence": result.sentence,
        "quantity": claim.quantity,
        "unit": claim.unit,
        "null": claim.null,
        "null_text": result.printed(claim.null),
        "level": prose.percent(result.level, 0),
        "scale": scale,
        "choices": [
            {"name": key, "levels": list(labels)} for key, labels in result.choices.items()
        ],
        "strongest": str(influence.index[0]),
        "mark": None if mark is None else int(np.flatnonzero(order == mark - 1)[0]),
        "packed": "".join(map("".join, zip(*columns, strict=True))),
    }


def _digits(values: NDArray[np.int64], width: int) -> list[str]:
    """Write whole numbers with a fixed number of digits to the base 64."""
    if values.min() < 0 or values.max() >= 64**width:
        raise MetaAnalysisError(
            f"a number of the curve lies outside 0 to {64**width - 1} and cannot be packed"
        )
    return [
        "".join(DIGITS[(value >> 6 * place) & 63] for place in reversed(range(width)))
        for value in values.tolist()
    ]
