"""Fractions as percentages or so many in a number of people, and intervals of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, Literal

from ..arguments import LEVEL
from ..errors import MetaAnalysisError
from .numbers import HARD, as_decimal, count, level_text, number, printed

Unit = Literal["percent", "number", "per_1000", "per_10000", "per_100000"]

#: Unit -> what a value is multiplied with, and what stands behind it.
_UNITS = {
    "percent": (100, "%"),
    "number": (1, ""),
    "per_1000": (1000, f" per{HARD}1,000"),
    "per_10000": (10_000, f" per{HARD}10,000"),
    "per_100000": (100_000, f" per{HARD}100,000"),
}

#: People (or person-years) per which a frequency may be given -> the unit.
_BY_PEOPLE: dict[int, Unit] = {
    100: "percent", 1000: "per_1000", 10_000: "per_10000", 100_000: "per_100000",
}  # fmt: skip
PER = tuple(_BY_PEOPLE)


def unit_per(per: int) -> Unit:
    """Name the unit of a frequency per so many people."""
    if per not in _BY_PEOPLE:
        raise MetaAnalysisError(f"per={per!r}: expected one of {', '.join(map(str, PER))}")
    return _BY_PEOPLE[per]


def percent(value: float, digits: int = 1) -> str:
    """Print a fraction as a percentage.

    A positive fraction that would round to zero is printed as "<0.1%" and one below 1 that would
    round to 100 as ">99.9%", because neither bound was reached.

    Parameters
    ----------
    value : float
        A fraction; 0.0682 is 6.8%. Differences may be negative.
    digits : int
        Decimals to print.

    Examples
    --------
    >>> percent(0.0682), percent(0.0002), percent(0), percent(-0.012)
    ('6.8%', '<0.1%', '0.0%', '−1.2%')
    """
    exact = as_decimal(value, "percent()") * 100
    step = Decimal(1).scaleb(-digits)
    if 0 < exact < step / 2:
        return f"<{printed(step, digits)}%"
    if 100 - step / 2 <= exact < 100:
        return f">{printed(100 - step, digits)}%"
    return f"{printed(exact, digits)}%"


def share(part: float, whole: float, digits: int | None = None, noun: str = "") -> str:
    """Print counts with their percentage: one decimal, and two digits below 0.1%.

    `noun` is what is counted, in the plural; it belongs before the percentage.

    Examples
    --------
    >>> share(574, 7604), share(47, 177413)
    ('574 of 7,604 (7.5%)', '47 of 177,413 (0.026%)')
    >>> share(292, 574, noun="nonrelapse deaths")
    '292 of 574 nonrelapse deaths (50.9%)'
    """
    if whole <= 0 or not 0 <= part <= whole:
        raise MetaAnalysisError(f"share() needs 0 <= part <= whole, not {part!r} of {whole!r}")
    if digits is None:
        digits = places(part / whole) if part / whole < 0.001 else 1
    named = f"{count(whole)} {noun}" if noun else count(whole)
    return f"{count(part)} of {named} ({percent(part / whole, digits)})"


def per_1000(value: float, digits: int = 0) -> str:
    r"""Print a fraction as a number in a thousand.

    Examples
    --------
    >>> per_1000(0.0682)
    '68 per\xa01,000'
    """
    return f"{printed(as_decimal(value, 'per_1000()') * 1000, digits)} per{HARD}1,000"


def per_many(value: float) -> str:
    r"""Print a fraction as a number in 1,000, or in the next power of ten that makes it 1 or more.

    Examples
    --------
    >>> per_many(0.0682), per_many(0.000236), per_many(0)
    ('68 per\xa01,000', '2 per\xa010,000', '0 per\xa01,000')
    """
    exact, people = as_decimal(value, "per_many()"), 1000
    while 0 < exact * people < 1 and people < 10**6:
        people *= 10
    return f"{printed(exact * people, 0)} per{HARD}{people:,}"


def places(*shares: float, of: float | None = None) -> int:
    """Count the decimals of percentages that are printed together: one, and more for rare events.

    Where the estimate `of` (or, without one, the largest) is below 1%, the smallest gets two
    significant digits; zero, and what is less than a hundredth of it, do not count.

    Examples
    --------
    >>> places(0.068, 0.058, 0.08), places(0.000236, 0.00019, 0.000293), places(0.004, 0.0, 0.009)
    (1, 3, 2)
    """
    # A limit may be infinite or missing and then needs no decimals; the estimate may not.
    given = [one for one in shares if not (isinstance(one, float) and not math.isfinite(one))]
    known = [abs(value) for one in given if (value := float(as_decimal(one, "places()")))]
    centre = 0.0 if of is None else abs(float(as_decimal(of, "places()")))
    reference = centre or max(known, default=1.0)
    if reference >= 0.01:
        return 1
    smallest = min(value for value in known if value >= reference / 100)
    return 1 - math.floor(round(math.log10(100 * smallest), 9))


def as_percent(values: Iterable[float], unit: Unit) -> list[float]:
    """Give the fractions that print as percentages as the values print in a unit."""
    if unit == "percent":
        return list(values)
    return [float(as_decimal(value, "printing")) * _UNITS[unit][0] / 100 for value in values]


def interval(
    bounds: Sequence[float],
    level: float = LEVEL,
    *,
    unit: Unit = "percent",
    digits: int | None = None,
    name: str = "CI",
) -> str:
    r"""Print an interval with its level and unit.

    Parameters
    ----------
    bounds : pair of float
        Lower and upper bound, such as ``fit.ci``. A number (not a percentage) may be unbounded
        above.
    level : float
        Coverage as a fraction; 0.95 is 95%.
    unit : {"percent", "number", "per_1000", "per_10000", "per_100000"}
        How the bounds are printed; fractions become percentages by default.
    digits : int, optional
        Decimals; one, and for percentages below 1% those of :func:`places`.
    name : str
        "CI", "prediction interval", "credible interval" ...

    Examples
    --------
    >>> interval((0.0578, 0.0804))
    '95%\xa0CI 5.8 to 8.0%'
    >>> interval((-1.92, 0.4), unit="number", digits=2)
    '95%\xa0CI −1.92 to 0.40'
    >>> interval((0.5, float("inf")), unit="number", digits=2)
    '95%\xa0CI from 0.50, without an upper limit'
    """
    lower, upper = bounds
    if digits is None:
        digits = 1 if unit == "number" else places(*as_percent(bounds, unit))
    head = f"{level_text(level)}{HARD}{name}"
    if unit == "number" and upper == math.inf:
        least = printed(as_decimal(lower, "interval()"), digits)
        return f"{head} from {least}, without an upper limit"
    low, high = as_decimal(lower, "interval()"), as_decimal(upper, "interval()")
    if low > high:
        raise MetaAnalysisError(f"interval() needs lower <= upper, not {lower!r} and {upper!r}")
    factor, tail = _UNITS[unit]
    return f"{head} {printed(low * factor, digits)} to {printed(high * factor, digits)}{tail}"


def percent_range(bounds: Sequence[float], digits: int | None = None) -> str:
    r"""Print two fractions as a range of percentages, without the level of an interval.

    One decimal, and below 1% those of :func:`places`.
    Two that print alike are one value.

    Examples
    --------
    >>> percent_range((0.0270, 0.1619)), percent_range((0.0741, 0.0744))
    ('2.7 to 16.2%', '7.4%')
    """
    lower, upper = bounds
    if digits is None:
        digits = places(lower, upper)
    if percent(lower, digits) == percent(upper, digits):
        return percent(upper, digits)
    return f"{number(100 * lower, digits)} to {percent(upper, digits)}"


def unit_heading(unit: Unit, space: str = HARD) -> str:
    r"""Give what follows the name of a quantity whose values are printed without a unit.

    Examples
    --------
    >>> unit_heading("percent"), unit_heading("per_1000"), unit_heading("number")
    (',\xa0%', ' per\xa01,000', '')
    """
    return f",{space}%" if unit == "percent" else _UNITS[unit][1].replace(HARD, space)


#: Behind a heading whose values are percentages without a sign.
IN_PERCENT: Final = unit_heading("percent")


def factor_of(unit: Unit) -> int:
    """Give what a value of the display scale is multiplied with in a unit."""
    return _UNITS[unit][0]


def value(amount: float, unit: Unit, digits: int, *, bare: bool = False) -> str:
    r"""Print one value in a unit; bare where the unit is in a heading.

    Examples
    --------
    >>> value(0.0682, "percent", 1), value(0.0682, "per_1000", 0)
    ('6.8%', '68 per\xa01,000')
    >>> value(0.0682, "percent", 1, bare=True)
    '6.8'
    """
    factor, tail = _UNITS[unit]
    if bare:
        return number(factor * amount, digits)
    if unit == "percent":
        return percent(amount, digits)
    return f"{printed(as_decimal(amount, 'value()') * factor, digits)}{tail}"


def value_range(bounds: Sequence[float], unit: Unit, digits: int | None = None) -> str:
    r"""Print two values in a unit as a range; two that print alike are one value.

    Examples
    --------
    >>> value_range((0.0270, 0.1619), "per_1000"), value_range((1.2, 3.4), "number")
    ('27.0 to 161.9 per\xa01,000', '1.20 to 3.40')
    """
    if unit == "percent":
        return percent_range(bounds, digits)
    if digits is None:
        digits = max(2 if unit == "number" else 1, places(*as_percent(bounds, unit)))
    low, high = (value(bound, unit, digits) for bound in bounds)
    if low == high:
        return high
    return f"{value(bounds[0], unit, digits, bare=True)} to {high}"
