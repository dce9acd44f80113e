"""Is ours the number that was printed? One rule for every published number."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation

from ..errors import MetaAnalysisError


def _number(printed: str) -> Decimal:
    try:
        number = Decimal(printed.strip().lstrip("< "))
    except InvalidOperation as error:
        raise MetaAnalysisError(f"{printed!r} is not a printed number") from error
    if not number.is_finite():
        raise MetaAnalysisError(f"{printed!r} is not a printed number")
    return number


def significant_digits(printed: str) -> int:
    """Count the significant digits of a printed number."""
    return len(_number(printed).as_tuple().digits)


def prints_as(value: float, printed: str) -> bool:
    """Tell whether a value, rounded as a printed one is, gives the printed text.

    ``"<.0001"`` is a bound, which holds for everything below it; a value half-way between two
    printed numbers may be rounded to either.

    >>> prints_as(-2.97597, "-2.98"), prints_as(0.00449, "0.0046"), prints_as(0.2, "<.0001")
    (True, False, False)
    """
    target = _number(printed)
    if not math.isfinite(value):
        return False  # no printed number stands for it
    ours = Decimal(repr(float(value)))
    if printed.strip().startswith("<"):
        return ours < target
    step = Decimal(1).scaleb(int(target.as_tuple().exponent))
    ways = (ROUND_HALF_UP, ROUND_HALF_EVEN)
    return any(ours.quantize(step, rounding=way) == target for way in ways)
