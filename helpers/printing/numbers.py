"""Numbers, days and p-values.

Rounding is half away from zero on the shortest decimal form of the number, which is what a reader
gets who rounds the printed value by hand (0.0685 becomes 6.9%, although the binary number lies
a hair below).
"""

from __future__ import annotations

import math
from datetime import date as calendar
from decimal import ROUND_HALF_UP, Context, Decimal
from numbers import Integral
from typing import Any

from ..errors import MetaAnalysisError

MINUS = "\N{MINUS SIGN}"

HARD = "\N{NO-BREAK SPACE}"

MOST_DIGITS = 10  # significant digits that every processor computes alike; stands for ten or more

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def as_decimal(value: Any, what: str) -> Decimal:
    """Check that ``value`` is one finite number and give its shortest decimal form."""
    if value is None or isinstance(value, (bool, str)):
        raise MetaAnalysisError(f"{what} needs a number, not {value!r}")
    try:
        plain = float(value)
    except TypeError as error:
        raise MetaAnalysisError(f"{what} needs a number, not {value!r}") from error
    if not math.isfinite(plain):
        raise MetaAnalysisError(
            f"{what} needs a finite number, not {plain}: nothing can be printed"
        )
    return Decimal(int(value)) if isinstance(value, Integral) else Decimal(repr(plain))


def printed(value: Decimal, digits: int) -> str:
    """Round half up, group thousands, use a true minus and no sign on zero."""
    # A number of sixteen digits and many decimals would not fit decimal's default 28 places.
    quantum = Decimal(1).scaleb(-digits)
    room = max(28, value.adjusted() + digits + 3)
    rounded = value.quantize(quantum, rounding=ROUND_HALF_UP, context=Context(prec=room))
    text = f"{abs(rounded):,.{digits}f}"
    return f"{MINUS}{text}" if rounded < 0 else text


def number(value: float, digits: int = 2) -> str:
    """Print a number with a fixed number of decimals.

    Parameters
    ----------
    value : float
        Any finite number.
    digits : int
        Decimals to print.

    Returns
    -------
    str
        With thousands separators and a true minus sign.

    Raises
    ------
    MetaAnalysisError
        When the value is missing, infinite or not a number.

    Examples
    --------
    >>> number(1234.567), number(-0.5, 1), number(-0.001)
    ('1,234.57', '−0.5', '0.00')
    """
    return printed(as_decimal(value, "number()"), digits)


def significant(value: float, digits: int = 5) -> str:
    """Print a number with a fixed number of significant digits, tiny ones with a power of ten.

    Examples
    --------
    >>> significant(0.06822098), significant(144.0123), significant(2.3456e-9, 2)
    ('0.068221', '144.01', '2.3 × 10⁻⁹')
    """
    exact = as_decimal(value, "significant()")
    if digits < 1:
        raise MetaAnalysisError(f"significant() needs at least one digit, not {digits!r}")
    if exact == 0:
        return "0"
    power = exact.adjusted()
    # Rounding may carry into the next power: 9.9996 becomes 10.000.
    power += len(printed(abs(exact).scaleb(-power), digits - 1).split(".")[0]) - 1
    if power < -4:
        return f"{printed(exact.scaleb(-power), digits - 1)} × 10{str(power).translate(_RAISED)}"
    return printed(exact, max(0, digits - 1 - power))


def count(value: float) -> str:
    """Print a whole number with thousands separators.

    Raises
    ------
    MetaAnalysisError
        When the value is not a whole number.

    Examples
    --------
    >>> count(7604)
    '7,604'
    """
    exact = as_decimal(value, "count()")
    if exact != exact.to_integral_value():
        raise MetaAnalysisError(f"count() needs a whole number, not {value!r}; use number()")
    return printed(exact, 0)


def between(lower: float, upper: float, digits: int = 1) -> str:
    """Print two bounds as they are, without unit or level.

    Examples
    --------
    >>> between(5.78, 8.04)
    '5.8 to 8.0'
    """
    return f"{number(lower, digits)} to {number(upper, digits)}"


def months(value: float, digits: int = 1) -> str:
    r"""Print a duration in months.

    Examples
    --------
    >>> months(13)
    '13.0\xa0months'
    """
    return f"{printed(as_decimal(value, 'months()'), digits)}{HARD}months"


def date(day: str) -> str:
    r"""Print a day that is written year-month-day.

    Raises
    ------
    MetaAnalysisError
        For a text that is no such day.

    Examples
    --------
    >>> date("2026-11-08")
    '8\xa0November 2026'
    """
    try:
        found = calendar.fromisoformat(day)
    except (TypeError, ValueError) as error:
        raise MetaAnalysisError(f"date() needs a day such as '2026-11-08', not {day!r}") from error
    return f"{found.day}{HARD}{_MONTHS[found.month - 1]} {found.year}"


def p_value(p: float, symbol: str = "p") -> str:
    r"""Print a p-value: three decimals below 0.1, two above, bounds at the ends.

    Parameters
    ----------
    p : float
        Between 0 and 1.
    symbol : str
        What precedes it; "" prints the value alone (with its sign at the ends).

    Examples
    --------
    >>> p_value(0.0259), p_value(0.00002), p_value(0.56)
    ('p\xa0=\xa00.026', 'p\xa0<\xa00.001', 'p\xa0=\xa00.56')
    >>> p_value(0.0259, symbol=""), p_value(0.00002, symbol="")
    ('0.026', '<\xa00.001')
    """
    exact = as_decimal(p, "p_value()")
    if not 0 <= exact <= 1:
        raise MetaAnalysisError(f"p_value() needs a probability between 0 and 1, not {p!r}")
    if exact < Decimal("0.001"):
        sign, text = "<", "0.001"
    elif exact > Decimal("0.99"):
        sign, text = ">", "0.99"
    else:
        sign, text = "=", printed(exact, 3 if exact < Decimal("0.0995") else 2)
    if symbol:
        return f"{symbol}{HARD}{sign}{HARD}{text}"
    return text if sign == "=" else f"{sign}{HARD}{text}"


def level_text(level: float) -> str:
    """Print the level of an interval.

    Examples
    --------
    >>> level_text(0.95) == f"95%", level_text(0.999) == f"99.9%"
    (True, True)
    """
    exact = as_decimal(level, "level_text()")
    if not 0 < exact < 1:
        raise MetaAnalysisError(f"a level is a fraction between 0 and 1, not {level!r}")
    text = format((exact * 100).normalize(), "f")
    return f"{text}%"


def agreeing_digits(ours: float, published: float) -> int:
    """Count the significant digits in which two values agree.

    The whole part of the logarithmic relative error, -log10(|ours - published| / |published|);
    of the absolute error when the published value is zero. Never below 0 and never above
    `MOST_DIGITS`, which stands for ten or more: what lies beyond depends on the processor.

    Examples
    --------
    >>> agreeing_digits(0.0682210, 0.0682), agreeing_digits(2.0, 2.0), agreeing_digits(3, 7)
    (3, 10, 0)
    """
    a = float(as_decimal(ours, "agreeing_digits()"))
    b = float(as_decimal(published, "agreeing_digits()"))
    if a == b:
        return MOST_DIGITS
    # Logarithms are subtracted, not values divided: the ratio of two tiny numbers may underflow.
    scale = math.log10(abs(b)) if b else 0.0
    error = abs(a - b)
    if math.isinf(error):
        return 0
    return min(MOST_DIGITS, max(0, math.floor(scale - math.log10(error))))


def digits_text(count: int) -> str:
    """Print a number of agreeing digits; the most that are counted stand for more.

    Examples
    --------
    >>> digits_text(4), digits_text(10)
    ('4', '10+')
    """
    return f"{count}+" if count >= MOST_DIGITS else str(count)
