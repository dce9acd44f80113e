"""Numbers and sentences as a journal prints them, computed from results.

Every function returns text (or a display object that holds text), so that no chapter needs a
typed result. Percent signs follow a narrow no-break space, negative numbers carry a true minus,
a rounded zero never carries a sign, and a number that is not finite is an error, never "nan %".

Rounding is half away from zero on the shortest decimal form of the number, which is what a reader
gets who rounds the printed value by hand (0.0685 becomes 6.9%, although the binary number lies
a hair below).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from numbers import Integral
from typing import Any, Final, Literal

from .arguments import LEVEL
from .errors import MetaAnalysisError, UnsupportedError

__all__ = [
    "MOST_DIGITS",
    "PER",
    "agreeing_digits",
    "between",
    "capital",
    "cautions",
    "count",
    "counted",
    "date",
    "digits_text",
    "estimate",
    "factor_of",
    "interval",
    "left_out",
    "legal",
    "level_text",
    "listing",
    "lower",
    "mean_estimate",
    "months",
    "number",
    "of_total",
    "p_value",
    "per_1000",
    "per_many",
    "percent",
    "percent_range",
    "places",
    "places_in",
    "prediction",
    "readable",
    "share",
    "significant",
    "some_of",
    "times",
    "unit_heading",
    "value",
    "value_range",
    "within",
    "word",
]

MINUS = "\N{MINUS SIGN}"


HARD = "\N{NO-BREAK SPACE}"

MOST_DIGITS = 10  # significant digits that every processor computes alike; stands for ten or more

Unit = Literal["percent", "number", "per_1000", "per_10000", "per_100000"]

#: Unit -> what a value is multiplied with, and what stands behind it.
_UNITS = {
    "percent": (100, "%"),
    "number": (1, ""),
    "per_1000": (1000, f" per{HARD}1,000"),
    "per_10000": (10_000, f" per{HARD}10,000"),
    "per_100000": (100_000, f" per{HARD}100,000"),
}
#: People (or person-years) per which a frequency may be given.
PER = (100, 1000, 10_000, 100_000)

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

#: Control characters and other code points that an XML document or a page cannot hold.
_ILLEGAL = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    r"""Replace the characters that pictures and pages cannot hold by the sign for such.

    Examples
    --------
    >>> legal("A\x0b2019 é\n")
    'A�2019 é\n'
    """
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)


#: What makes a spreadsheet read a cell as a formula or a command.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def no_formula(text: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run; it then shows the text.

    >>> no_formula("=HYPERLINK(1)"), no_formula("-5"), no_formula("A = B")
    ("'=HYPERLINK(1)", "'-5", 'A = B')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _decimal(value: Any, what: str) -> Decimal:
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


def _print(value: Decimal, digits: int, *, comma: bool = True) -> str:
    """Round half up, group thousands, use a true minus and no sign on zero."""
    # A number of sixteen digits and many decimals would not fit decimal's default 28 places.
    quantum = Decimal(1).scaleb(-digits)
    room = max(28, value.adjusted() + digits + 3)
    rounded = value.quantize(quantum, rounding=ROUND_HALF_UP, context=Context(prec=room))
    text = f"{abs(rounded):{',' if comma else ''}.{digits}f}"
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
    return _print(_decimal(value, "number()"), digits)


def significant(value: float, digits: int = 5) -> str:
    """Print a number with a fixed number of significant digits, tiny ones with a power of ten.

    Examples
    --------
    >>> significant(0.06822098), significant(144.0123), significant(2.3456e-9, 2)
    ('0.068221', '144.01', '2.3 × 10⁻⁹')
    """
    exact = _decimal(value, "significant()")
    if digits < 1:
        raise MetaAnalysisError(f"significant() needs at least one digit, not {digits!r}")
    if exact == 0:
        return "0"
    power = exact.adjusted()
    # Rounding may carry into the next power: 9.9996 becomes 10.000.
    power += len(_print(abs(exact).scaleb(-power), digits - 1).split(".")[0]) - 1
    if power < -4:
        return f"{_print(exact.scaleb(-power), digits - 1)} × 10{str(power).translate(_RAISED)}"
    return _print(exact, max(0, digits - 1 - power))


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
    exact = _decimal(value, "count()")
    if exact != exact.to_integral_value():
        raise MetaAnalysisError(f"count() needs a whole number, not {value!r}; use number()")
    return _print(exact, 0)


def word(value: int) -> str:
    """Print a small count as a word ("no", "one" ... "ten"), a larger one in figures.

    Examples
    --------
    >>> word(7), word(52)
    ('seven', '52')
    """
    text = count(value)
    return _WORDS[int(value)] if 0 <= value < len(_WORDS) else text


def counted(value: int, noun: str, plural: str | None = None, *, label: bool = False) -> str:
    """Print a count with its noun in the right number; a label has no number in words.

    Examples
    --------
    >>> counted(1, "cohort"), counted(52, "cohort"), counted(3, "study", "studies")
    ('one cohort', '52 cohorts', 'three studies')
    >>> counted(3, "study", "studies", label=True)
    '3 studies'
    """
    number = count(value) if label else word(value)
    return f"{number} {noun if value == 1 else plural or noun + 's'}"


def of_total(part: int, total: int) -> str:
    """Print how many of a known number: with words for none, one and all.

    Examples
    --------
    >>> of_total(0, 13), of_total(1, 13), of_total(6, 13), of_total(13, 13), of_total(2, 2)
    ('none of the 13', 'one of the 13', 'six of the 13', 'all 13', 'both')
    >>> of_total(0, 1), of_total(1, 1), of_total(1, 2), of_total(0, 2)
    ('not the only one', 'the only one', 'one of the two', 'neither of the two')
    """
    if not 0 <= part <= total or total < 1:
        raise MetaAnalysisError(f"of_total() needs 0 <= part <= total, not {part!r} of {total!r}")
    if total == 1:
        return "the only one" if part else "not the only one"
    if part == total:
        return "both" if total == 2 else f"all {word(total)}"
    head = {0: "neither" if total == 2 else "none"}.get(part, word(part))
    return f"{head} of the {word(total)}"


def some_of(
    part: int,
    total: int,
    noun: str = "study",
    plural: str = "studies",
    verb: tuple[str, str] = ("has", "have"),
) -> str:
    """Print which part of a known number does something, as subject and verb of a sentence.

    Parameters
    ----------
    part, total : int
    noun, plural : str
        What is counted.
    verb : pair of str
        For one and for many.

    Examples
    --------
    >>> some_of(1, 6), some_of(4, 6), some_of(6, 6)
    ('One of the six studies has', 'Four of the six studies have', 'All six studies have')
    >>> some_of(2, 2), some_of(0, 2), some_of(1, 1)
    ('Both studies have', 'Neither of the two studies has', 'The only study has')
    """
    if total == 1 and part == 1:
        return f"The only {noun} {verb[0]}"
    if total == 1:
        raise MetaAnalysisError(f"some_of() has no words for {part!r} of one {noun}")
    text = f"{of_total(part, total)} {plural}"
    return f"{capital(text)} {verb[0] if part < 2 else verb[1]}"


def times(ratio: float, digits: int = 2) -> str:
    r"""Print a ratio as a multiple; one that prints as one is named as no difference.

    Examples
    --------
    >>> times(1.084), times(0.79), times(1.0004)
    ('1.08 times', '0.79 times', 'to two decimals the same as')
    """
    text = number(ratio, digits)
    if text == number(1, digits):
        return f"to {counted(digits, 'decimal')} the same as" if digits else "about the same as"
    return f"{text} times"


_PLAIN_WORDS = {
    "entity": "disease",
    "nonrelapse_deaths": "nonrelapse deaths",
    "enrolment_ended": "end of enrolment",
    "treatment_line": "line of treatment",
    "reported_nrm": "reported nonrelapse mortality",
    "reported_nrm_month": "month of the reported nonrelapse mortality",
    "median_follow_up_months": "median follow-up",
    "knapp-hartung": "the method of Knapp and Hartung",
    "knapp-hartung-max1": "the method of Knapp and Hartung with a factor of at least one",
    "glmm": "the binomial-normal model",
}


def lower(text: str) -> str:
    """Lower the first letter, unless the word is an abbreviation.

    Examples
    --------
    >>> lower("Deaths"), lower("NRM")
    ('deaths', 'NRM')
    """
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def capital(text: str) -> str:
    """Capitalise the first letter, but not a Greek one, which would be another symbol.

    Examples
    --------
    >>> capital("mean rate"), capital("übrige"), capital("τ²")
    ('Mean rate', 'Übrige', 'τ²')
    """
    greek = "\u0370" <= text[:1] <= "\u03ff"
    return text if greek else text[:1].upper() + text[1:]


def readable(name: str) -> str:
    """Put the name of a column, an option or a model term into words.

    Examples
    --------
    >>> readable("nonrelapse_deaths"), readable("care_quality"), readable("follow_up")
    ('nonrelapse deaths', 'care quality', 'follow-up')
    >>> readable("product[T.tisa-cel]"), readable("setting")
    ('tisa-cel', 'setting')
    """
    if name in _PLAIN_WORDS:
        return _PLAIN_WORDS[name]
    if "[T." in name:
        return ":".join(part.partition("[T.")[2].rstrip("]") or part for part in name.split(":"))
    return name.replace("_", " ").replace("follow up", "follow-up")


def left_out(reasons: Iterable[str], noun: str = "study", plural: str = "studies") -> str:
    """Say how many rows take no part in an analysis, and why.

    Parameters
    ----------
    reasons : iterable of str
        One a row; an empty one stands for a row that takes part.
    noun, plural : str
        What a row is.

    Examples
    --------
    >>> left_out(["", "follow_up missing", ""])
    'One study is left out (follow-up missing).'
    >>> left_out(["n missing", "n missing", "given weight 0"], "cohort", "cohorts")
    'Three cohorts are left out (two: n missing; one: given weight 0).'
    """
    given = [reason for reason in reasons if reason]
    if not given:
        raise MetaAnalysisError("left_out() needs at least one row with a reason")
    kinds = {reason: given.count(reason) for reason in dict.fromkeys(given)}
    said = {" ".join(readable(part) for part in kind.split(" ")): n for kind, n in kinds.items()}
    why = "; ".join(said if len(said) == 1 else (f"{word(n)}: {kind}" for kind, n in said.items()))
    verb = "is" if len(given) == 1 else "are"
    return f"{counted(len(given), noun, plural).capitalize()} {verb} left out ({why})."


#: Words with which the name of a group begins that cannot follow "in".
_STARTS = ("before", "after", "above", "below", "until", "up to", "from", "at", "under", "over",
           "in", "not", "no", "without", "with", "other", "earlier", "later")  # fmt: skip


def within(level: Any) -> str:
    """Print where something was seen: the name of a group after "in", where it can stand there.

    Examples
    --------
    >>> within("MCL"), within("before 2020"), within("13.3 months or less")
    ('in MCL', 'in the group “before 2020”', 'in the group “13.3 months or less”')
    """
    text = str(level)
    first = text.casefold()
    stumbles = text[:1].isdigit() or any(
        first == start or first.startswith(f"{start} ") for start in _STARTS
    )
    return f"in the group “{text}”" if stumbles else f"in {text}"


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
    exact = _decimal(value, "percent()") * 100
    step = Decimal(1).scaleb(-digits)
    if 0 < exact < step / 2:
        return f"<{_print(step, digits)}%"
    if 100 - step / 2 <= exact < 100:
        return f">{_print(100 - step, digits)}%"
    return f"{_print(exact, digits)}%"


def share(part: float, whole: float, digits: int | None = None) -> str:
    """Print counts with their percentage: one decimal, and two digits below 0.1%.

    Examples
    --------
    >>> share(574, 7604), share(47, 177413)
    ('574 of 7,604 (7.5%)', '47 of 177,413 (0.026%)')
    """
    if whole <= 0 or not 0 <= part <= whole:
        raise MetaAnalysisError(f"share() needs 0 <= part <= whole, not {part!r} of {whole!r}")
    if digits is None:
        digits = places(part / whole) if part / whole < 0.001 else 1
    return f"{count(part)} of {count(whole)} ({percent(part / whole, digits)})"


def per_1000(value: float, digits: int = 0) -> str:
    r"""Print a fraction as a number in a thousand.

    Examples
    --------
    >>> per_1000(0.0682)
    '68 per\xa01,000'
    """
    return f"{_print(_decimal(value, 'per_1000()') * 1000, digits)} per{HARD}1,000"


def per_many(value: float) -> str:
    r"""Print a fraction as a number in 1,000, or in the next power of ten that makes it 1 or more.

    Examples
    --------
    >>> per_many(0.0682), per_many(0.000236), per_many(0)
    ('68 per\xa01,000', '2 per\xa010,000', '0 per\xa01,000')
    """
    exact, people = _decimal(value, "per_many()"), 1000
    while 0 < exact * people < 1 and people < 10**6:
        people *= 10
    return f"{_print(exact * people, 0)} per{HARD}{people:,}"


def months(value: float, digits: int = 1) -> str:
    r"""Print a duration in months.

    Examples
    --------
    >>> months(13)
    '13.0\xa0months'
    """
    return f"{_print(_decimal(value, 'months()'), digits)}{HARD}months"


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
    from datetime import date as calendar

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
        What stands before it; "" prints the value alone (with its sign at the ends).

    Examples
    --------
    >>> p_value(0.0259), p_value(0.00002), p_value(0.56)
    ('p\xa0=\xa00.026', 'p\xa0<\xa00.001', 'p\xa0=\xa00.56')
    >>> p_value(0.0259, symbol=""), p_value(0.00002, symbol="")
    ('0.026', '<\xa00.001')
    """
    exact = _decimal(p, "p_value()")
    if not 0 <= exact <= 1:
        raise MetaAnalysisError(f"p_value() needs a probability between 0 and 1, not {p!r}")
    if exact < Decimal("0.001"):
        sign, text = "<", "0.001"
    elif exact > Decimal("0.99"):
        sign, text = ">", "0.99"
    else:
        sign, text = "=", _print(exact, 3 if exact < Decimal("0.0995") else 2)
    if symbol:
        return f"{symbol}{HARD}{sign}{HARD}{text}"
    return text if sign == "=" else f"{sign}{HARD}{text}"


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
    known = [abs(value) for one in given if (value := float(_decimal(one, "places()")))]
    centre = 0.0 if of is None else abs(float(_decimal(of, "places()")))
    reference = centre or max(known, default=1.0)
    if reference >= 0.01:
        return 1
    smallest = min(value for value in known if value >= reference / 100)
    return 1 - math.floor(round(math.log10(100 * smallest), 9))


def places_in(fit: Any, unit: Unit) -> int:
    """Count the decimals of the values of a fit in a unit; plain effects have two, rare rates more.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fit = SimpleNamespace(estimate=0.000236, ci=(0.00019, 0.000293), n=7604)
    >>> places_in(fit, "percent"), places_in(fit, "per_1000"), places_in(fit, "per_100000")
    (3, 2, 1)
    """
    if unit == "number" and getattr(fit, "time", None) is None:
        half = (fit.ci[1] - fit.ci[0]) / 2
        # two significant digits of the half-width where two decimals do not show them
        return 1 - math.floor(math.log10(half)) if 0 < half < 0.05 else 2
    shares = _as_percent((fit.estimate, *fit.ci), unit)
    digits = places(*shares, of=shares[0])
    return max(2, digits) if unit == "number" else digits


def _as_percent(values: Iterable[float], unit: Unit) -> list[float]:
    """Give the fractions that print as percentages as the values print in a unit."""
    if unit == "percent":
        return list(values)
    return [float(_decimal(value, "printing")) * _UNITS[unit][0] / 100 for value in values]


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
        digits = 1 if unit == "number" else places(*_as_percent(bounds, unit))
    head = f"{level_text(level)}{HARD}{name}"
    if unit == "number" and upper == math.inf:
        least = _print(_decimal(lower, "interval()"), digits)
        return f"{head} from {least}, without an upper limit"
    low, high = _decimal(lower, "interval()"), _decimal(upper, "interval()")
    if low > high:
        raise MetaAnalysisError(f"interval() needs lower <= upper, not {lower!r} and {upper!r}")
    factor, tail = _UNITS[unit]
    return f"{head} {_print(low * factor, digits)} to {_print(high * factor, digits)}{tail}"


def between(lower: float, upper: float, digits: int = 1) -> str:
    """Print two bounds as they are, without unit or level.

    Examples
    --------
    >>> between(5.78, 8.04)
    '5.8 to 8.0'
    """
    return f"{number(lower, digits)} to {number(upper, digits)}"


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


def level_text(level: float) -> str:
    """Print the level of an interval.

    Examples
    --------
    >>> level_text(0.95) == f"95%", level_text(0.999) == f"99.9%"
    (True, True)
    """
    exact = _decimal(level, "level_text()")
    if not 0 < exact < 1:
        raise MetaAnalysisError(f"a level is a fraction between 0 and 1, not {level!r}")
    text = format((exact * 100).normalize(), "f")
    return f"{text}%"


def unit_of(fit: Any, per: int = 100) -> Unit:
    """Tell how a result's display scale is printed: a proportion per so many people, 100 are %.

    >>> from types import SimpleNamespace
    >>> unit_of(SimpleNamespace(n=90)), unit_of(SimpleNamespace(n=90), 1000)
    ('percent', 'per_1000')
    """
    kind = getattr(fit, "kind", "")
    if kind not in ("proportion", "rate", "effect"):  # tells by its counts
        kind = "effect" if fit.n is None else "proportion"
    if kind != "proportion":
        return "number"
    units: dict[int, Unit] = {100: "percent", 1000: "per_1000", 10_000: "per_10000"}
    units[100_000] = "per_100000"
    if per not in units:
        raise MetaAnalysisError(f"per={per!r}: expected one of {', '.join(map(str, PER))}")
    return units[per]


def unit_heading(unit: Unit, space: str = HARD) -> str:
    r"""Give what stands behind the name of a quantity whose values are printed without a unit.

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
    r"""Print one value in a unit; bare where the unit stands in a heading.

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
    return f"{_print(_decimal(amount, 'value()') * factor, digits)}{tail}"


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
        digits = max(2 if unit == "number" else 1, places(*_as_percent(bounds, unit)))
    low, high = (value(bound, unit, digits) for bound in bounds)
    if low == high:
        return high
    return f"{value(bounds[0], unit, digits, bare=True)} to {high}"


def _usual(fit: Any, unit: Unit | None, digits: int | None) -> tuple[Unit, int]:
    """Decide on unit and decimals: one for percentages, two for plain effects."""
    unit = unit or unit_of(fit)
    if digits is None:
        digits = places_in(fit, unit)
    return unit, digits


def estimate(fit: Any, digits: int | None = None, *, unit: Unit | None = None) -> str:
    r"""Print a pooled estimate with its confidence interval.

    Parameters
    ----------
    fit : PoolResult
        Anything with ``estimate``, ``ci``, ``level`` and ``n`` on the display scale.
    digits : int, optional
        Decimals; one for percentages, two for plain effects.
    unit : {"percent", "number", "per_1000", "per_10000", "per_100000"}, optional
        Percentages when the result pools proportions, plain numbers otherwise.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> estimate(SimpleNamespace(estimate=0.0682, ci=(0.0578, 0.0804), level=0.95, n=7604))
    '6.8% (95%\xa0CI 5.8 to 8.0%)'
    """
    unit, digits = _usual(fit, unit, digits)
    bounds = interval(fit.ci, fit.level, unit=unit, digits=digits)
    return f"{value(fit.estimate, unit, digits)} ({bounds})"


def mean_estimate(fit: Any, digits: int | None = None, *, unit: Unit | None = None) -> str:
    r"""Print the mean across studies with its interval: the number for so many of 1,000 patients.

    Parameters
    ----------
    fit : PoolResult
        Anything with ``mean_estimate``, ``mean_conf_int()``, ``level`` and ``n``.
    digits, unit
        As in :func:`estimate`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fit = SimpleNamespace(mean_estimate=0.0745, level=0.95, n=7604)
    >>> fit.mean_conf_int = lambda: (0.0633, 0.0874)
    >>> mean_estimate(fit, 0, unit="per_1000")
    '75 per\xa01,000 (95%\xa0CI 63 to 87 per\xa01,000)'
    """
    unit, digits = _usual(fit, unit, digits)
    bounds = interval(fit.mean_conf_int(), fit.level, unit=unit, digits=digits)
    return f"{value(fit.mean_estimate, unit, digits)} ({bounds})"


def prediction(
    fit: Any, digits: int | None = None, *, unit: Unit | None = None, **options: Any
) -> str:
    r"""Print the prediction interval: where the true value of a new, similar study may lie.

    Parameters
    ----------
    fit : PoolResult
        Anything with ``displayed_prediction()``, ``level`` and ``n``.
    digits, unit
        As in :func:`estimate`.
    **options
        Handed to ``fit.displayed_prediction``.

    Raises
    ------
    UnsupportedError
        No prediction interval is shown of this fit, with the reason.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fit = SimpleNamespace(level=0.95, n=7604)
    >>> fit.displayed_prediction = lambda: ((0.0259, 0.1682), "")
    >>> prediction(fit)
    '95%\xa0prediction interval 2.6 to 16.8%'
    """
    unit = unit or unit_of(fit)
    level = options.get("level", fit.level)
    bounds, reason = fit.displayed_prediction(**options)
    if bounds is None:
        raise UnsupportedError(f"no prediction interval: {reason}; pool at least five")
    if digits is None and unit == "number":
        digits = 2
    return interval(bounds, level, unit=unit, digits=digits, name="prediction interval")


def homogeneity_test(fit: Any, name: bool = True) -> str:
    r"""Print the test of one common value: Cochran's Q, or the likelihood ratio of the GLMM.

    >>> from helpers import pool
    >>> fit = pool(events=[3, 0, 11, 5, 0], n=[40, 25, 130, 60, 20], model="glmm")
    >>> homogeneity_test(fit)
    'likelihood-ratio test: χ² = 7.1, df = 4, p\xa0=\xa00.13'
    >>> homogeneity_test(pool(events=[3, 8, 16], n=[40, 60, 50], model="random"), name=False)
    'Q = 9.5, df = 2, p\xa0=\xa00.009'
    """
    found = fit.heterogeneity
    cochran = found.test == "Cochran's Q"
    numbers = (
        f"{'Q' if cochran else 'χ²'} = {number(found.Q, 1)}, df = {count(found.df)}, "
        f"{p_value(found.p)}"
    )
    if not name:
        return numbers
    return f"{found.test if cochran else 'likelihood-ratio test'}: {numbers}"


def cautions(*results: Any, none: str = "The fit itself raises no caution.") -> str:
    """Say what the cautions of results say, each sentence once.

    Parameters
    ----------
    *results : object
        With ``cautions``, as every fit has them.
    none : str
        What to say where there is none.

    Examples
    --------
    >>> from helpers import pool
    >>> cautions()
    'The fit itself raises no caution.'
    >>> print(cautions(pool(events=[3, 8, 16, 9], n=[40, 60, 50, 55])).split("; the")[0])
    With four studies the between-study variance is poorly estimated
    """
    found = dict.fromkeys(caution.message for result in results for caution in result.cautions)
    return " ".join(found) or none


def heterogeneity(fit: Any, many: str = "studies") -> str:
    """Say what the test and I2 say about differences between studies, in words that agree.

    I2 of a random-effects model comes from tau2 and not from the test, so that one may be large
    where the other finds little: the verdict is that of the test, at the level of the fit, and I2
    is given as the estimate that it is. A fit of one study is an error.

    >>> from helpers import pool
    >>> alike = pool(events=[3, 8, 6], n=[40, 60, 50], model="glmm")
    >>> print(heterogeneity(alike).split(" (")[0])
    The test does not show that the studies differ by more than chance explains
    >>> unlike = pool(events=[3, 8, 16], n=[40, 60, 50], model="glmm")
    >>> print(heterogeneity(unlike).split(" (")[0])
    The studies differ by more than chance explains
    """
    found, test = fit.heterogeneity, homogeneity_test(fit)
    if fit.k < 2:
        raise MetaAnalysisError("heterogeneity() needs at least two studies; there is one")
    share_ = percent(found.I2 / 100, 0)
    meaning = "I², the share of the variation that is not chance, is"
    if found.p >= 1.0 - fit.level:
        return (
            f"The test does not show that the {many} differ by more than chance explains "
            f"({test}), nor that they are alike. {meaning} estimated at {share_}."
        )
    if found.I2 == 0.0:
        return (
            f"The test finds more variation between the {many} than chance explains ({test}), "
            f"but the variance between them, and with it I², is estimated at zero."
        )
    return (
        f"The {many} differ by more than chance explains ({test}). {meaning} estimated at {share_}."
    )


def listing(items: Iterable[Any], conjunction: str = "and") -> str:
    """Join items as a sentence does.

    Examples
    --------
    >>> listing(["LBCL", "MCL", "MM"])
    'LBCL, MCL and MM'
    """
    words = [str(item) for item in items]
    if not words:
        raise MetaAnalysisError("listing() needs at least one item")
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


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
    a = float(_decimal(ours, "agreeing_digits()"))
    b = float(_decimal(published, "agreeing_digits()"))
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
