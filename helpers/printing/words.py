"""Counts in words, names in words, and what joins them to sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import MetaAnalysisError
from .numbers import count, number

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

#: So many studies a sentence names; the others it counts.
NAMED = 10
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

#: Words with which the name of a group begins that cannot follow "in".
_STARTS = ("before", "after", "above", "below", "until", "up to", "from", "at", "under", "over",
           "in", "not", "no", "without", "with", "other", "earlier", "later")  # fmt: skip


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


def studies(k: int) -> str:
    """Print how many studies there are.

    Examples
    --------
    >>> studies(1), studies(6), studies(52)
    ('one study', 'six studies', '52 studies')
    """
    return counted(k, "study", "studies")


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


def lower(text: str) -> str:
    """Lower the first letter, unless the word is an abbreviation.

    Examples
    --------
    >>> lower("Deaths"), lower("NRM")
    ('deaths', 'NRM')
    """
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def capital(text: str) -> str:
    """Capitalise the first letter, but not a Greek one or a p-value's, which are symbols.

    Examples
    --------
    >>> capital("mean rate"), capital("übrige"), capital("τ²"), capital("p in the data")
    ('Mean rate', 'Übrige', 'τ²', 'p in the data')
    """
    symbol = "\u0370" <= text[:1] <= "\u03ff" or text.split(maxsplit=1)[:1] == ["p"]
    return text if symbol else text[:1].upper() + text[1:]


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
        One per row; an empty one means that the row takes part.
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


def each_left_out(
    labels: Iterable[str], rows: Iterable[int | None], reasons: Iterable[str]
) -> list[str]:
    """Name each row that takes no part in an analysis, with its place in the file and the reason.

    Examples
    --------
    >>> each_left_out(["A", "B", "C"], [2, 3, 4], ["", "n missing", ""])
    ['B (row 3): n missing']
    """
    return [
        f"{label}{f' (row {row})' if row else ''}: {readable(reason)}"
        for label, row, reason in zip(labels, rows, reasons, strict=True)
        if reason
    ]


def for_group(level: Any) -> str:
    """Print "for" and the name of a group, in quotes where it would not read as a name.

    Examples
    --------
    >>> for_group("MCL"), for_group("before 2020"), for_group("13.3 months or less")
    ('for MCL', 'for the group “before 2020”', 'for the group “13.3 months or less”')
    """
    text = str(level)
    first = text.casefold()
    stumbles = text[:1].isdigit() or any(
        first == start or first.startswith(f"{start} ") for start in _STARTS
    )
    return f"for the group “{text}”" if stumbles else f"for {text}"


def listing(items: Iterable[Any], conjunction: str = "and", *, most: int | None = None) -> str:
    """Join items as a sentence does; of a long list `most` are named, and the others counted.

    Examples
    --------
    >>> listing(["LBCL", "MCL", "MM"]), listing("ABCDE", most=3)
    ('LBCL, MCL and MM', 'A, B, C and two more')
    """
    words = [str(item) for item in items]
    if most is not None and len(words) > most:
        words[most:] = [f"{word(len(words) - most)} more"]
    if not words:
        raise MetaAnalysisError("listing() needs at least one item")
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"
