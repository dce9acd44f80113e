"""How a result shows itself as the last line of a cell: a few lines, or a small table.

The one home of ``__repr__`` and ``_repr_html_`` of results. A result gives rows of a label and a
text; here they are cut to size, its cautions are added, and what is no number becomes a dash,
because showing a result must not fail where computing it did not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from html import escape
from typing import Any

import numpy as np

from .. import printing
from ..arguments import LEVEL
from ..errors import MetaAnalysisError
from .effects import get_measure
from .json_values import plain

Row = tuple[str, str]

WIDTH = 100
MOST_ROWS = 7  # beside the headline and two lines of cautions
DASH = "\N{EN DASH}"

_WHOLE = 1e6  # a whole number below this has no decimals
_LABEL = 26  # characters of a label, such as the name of a group
_BREAKS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]+")
#: Fields that are told in another way, or by a call.
_ASIDE = frozenset({"cautions", "references", "sentence", "level", "options", "converged"})
#: Names of fields as a reader has them.
SYMBOLS = {"tau2": "τ²", "tau": "τ", "mu": "μ", "I2": "I²", "H2": "H²", "R2": "R²", "G2": "G²",
            "k": "studies", "n": "patients", "ci": "interval", "rho": "ρ"}  # fmt: skip


class Shown:
    """A result that shows itself in at most ten lines.

    A dataclass that derives from it says ``repr=False`` and overrides `_headline` and `_said`
    where its fields do not speak for themselves.
    """

    __slots__ = ()

    def _headline(self) -> str:
        """Say what the result is, behind the name of its class."""
        return ""

    def _said(self) -> Iterable[Row]:
        """Give a label and a text for each row, cautions left out."""
        return fields_said(self)

    def __repr__(self) -> str:
        title, rows = _shown(self)
        wide = max((len(_cut(label, _LABEL)) for label, _ in rows), default=0)
        lines = [title, *(f"  {_cut(label, _LABEL):<{wide}}  {text}" for label, text in rows)]
        return "\n".join(_cut(line, WIDTH) for line in lines)

    def _repr_html_(self) -> str:
        title, rows = _shown(self)
        body = "".join(
            f'<tr><th scope="row">{escape(label)}</th><td>{escape(text)}</td></tr>'
            for label, text in rows
        )
        return (
            f'<table class="result"><caption>{escape(title)}</caption><tbody>{body}</tbody></table>'
        )


class PlainResult(Shown):
    """A result that is its fields, in JSON too."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values, for JSON."""
        return {one.name: plain(getattr(self, one.name)) for one in fields(self)}  # type: ignore[arg-type]


def _shown(result: Shown) -> tuple[str, list[Row]]:
    """Headline and rows, on one line each and no more of them than fit."""
    about = result._headline()
    rows = list(result._said())
    if len(rows) > MOST_ROWS:
        more = len(rows) - MOST_ROWS + 1
        rows = [*rows[: MOST_ROWS - 1], ("…", f"{more} more rows{_where(result)}")]
    rows += _cautions(getattr(result, "cautions", None))
    title = f"{type(result).__name__}: {about}" if about else type(result).__name__
    return _line(title), [(_line(label), _line(text)) for label, text in rows]


def _where(result: Any) -> str:
    """Name the table that has all rows."""
    for name in ("summary_frame", "frame"):
        if hasattr(result, name):
            return f" in {name}()"
    return ""


def _cautions(cautions: Iterable[Any] | None) -> list[Row]:
    if cautions is None:
        return []
    said = [caution.message for caution in cautions]
    rest = f"and {printing.counted(len(said) - 1, 'other')} in .cautions"
    if not said:
        return [("cautions", "none")]
    return [("cautions", said[0])] + ([("", rest)] if len(said) > 1 else [])


def _line(text: str) -> str:
    return printing.legal(_BREAKS.sub(" ", text)).strip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


# --- texts that never fail ----------------------------------------------------------------------


def number(value: Any, digits: int = 3) -> str:
    """Print a number with so many significant digits; a dash where there is none.

    >>> number(0.30123), number(8.0), number(float("nan")), number(float("-inf")), number(None)
    ('0.301', '8', '–', '−∞', '–')
    """
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return f"{printing.MINUS if value < 0 else ''}∞"
    whole = value == int(value) and abs(value) < _WHOLE
    return printing.count(int(value)) if whole else printing.significant(float(value), digits)


def percent(value: Any, digits: int = 1) -> str:
    """Print a fraction in percent; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    return printing.percent(float(value), digits)


def p_text(p: Any) -> str:
    r"""Print a p-value with its symbol; a dash where there is none.

    >>> p_text(0.0259), p_text(float("nan"))
    ('p\xa0=\xa00.026', 'p = –')
    """
    return _p(p, "p") if p is not None and math.isfinite(p) else f"p = {DASH}"


def _p(p: Any, symbol: str) -> str:
    return printing.p_value(float(p), symbol) if math.isfinite(p) else DASH


def limits_text(bounds: Any, unit: printing.Unit = "number") -> str:
    """Print two limits without a level; a dash where there are none.

    >>> limits_text((0.0123, 0.5)), limits_text((float("nan"), float("nan"))), limits_text(None)
    ('0.012 to 0.50', '–', '–')
    """
    if bounds is None or any(math.isnan(value) for value in bounds):
        return DASH
    if unit == "percent":
        return printing.percent_range(bounds)
    return " to ".join(number(value, 2) for value in bounds)


def with_interval(
    value: float, bounds: Any, level: float, unit: printing.Unit = "number", name: str = "CI"
) -> str:
    r"""Print an estimate with its interval, and a dash for what is missing.

    >>> with_interval(0.0682, (0.0578, 0.0804), 0.95, "percent")
    '6.8% (95%\xa0CI 5.8 to 8.0%)'
    >>> with_interval(1.5, (float("nan"), float("nan")), 0.95)
    '1.50'
    """
    if not math.isfinite(value):
        return number(value)
    digits = 1 if unit == "percent" else 2
    text = percent(value, digits) if unit == "percent" else printing.number(value, digits)
    if bounds is None or not all(math.isfinite(limit) for limit in bounds):
        known = bounds is not None and not any(math.isnan(limit) for limit in bounds)
        return (
            f"{text} ({printing.level_text(level)} {name} {limits_text(bounds)})" if known else text
        )
    return f"{text} ({printing.interval(bounds, level, unit=unit, digits=digits, name=name)})"


def estimate_row(result: Any, *, name: str = "CI") -> Row:
    """Row of ``estimate`` and ``ci``, in percent for proportions.

    Where the display scale needs the size of a study, the row is on the model scale.

    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50])
    >>> estimate_row(fit) == ("estimate", printing.estimate(fit))
    True
    """
    try:
        value = result.estimate
    except MetaAnalysisError:  # the measure needs the size of a study, and this is none
        model = with_interval(result.mu, result.mu_ci, result.level)
        return "estimate", f"{model} on the {result.measure} scale"
    measure = getattr(result, "measure", None)
    if hasattr(result, "n"):
        unit = printing.unit_of(result)
    else:
        kind = "effect" if measure is None else get_measure(measure).kind
        unit = "percent" if kind == "proportion" else "number"
    try:
        bounds = result.ci
    except MetaAnalysisError as error:
        alone = with_interval(value, None, result.level, unit)
        return "estimate", f"{alone}; no interval: {error}"
    level = getattr(result, "level", LEVEL)
    return "estimate", with_interval(value, bounds, level, unit, name)


def listed(items: Iterable[Any], most: int = 6) -> str:
    """List some items and count the others.

    >>> listed("abc"), listed("abcdefgh", most=3), listed([])
    ('a, b, c', 'a, b, c and 5 more', 'none')
    """
    every = [str(item) for item in items]
    if not every:
        return "none"
    rest = len(every) - most
    return ", ".join(every) if rest <= 0 else f"{', '.join(every[:most])} and {rest} more"


# --- fields that speak for themselves -----------------------------------------------------------


def fields_said(result: Any, *leave: str) -> Iterator[Row]:
    """Give a row for each field that is a number, a word or a few of them.

    A field with ``repr=False`` is passed over, and so is one of `leave`, an array, a table or
    another result. ``estimate`` and ``ci`` make one row.
    """
    names = {one.name for one in fields(result) if one.repr and not one.name.startswith("_")}
    together = {"estimate", "ci"} <= names
    for one in fields(result):
        if one.name not in names or one.name in _ASIDE or one.name in leave:
            continue
        if together and one.name == "ci":
            continue
        if together and one.name == "estimate":
            yield estimate_row(result)
            continue
        text = _text(one.name, getattr(result, one.name))
        if text is not None:
            yield SYMBOLS.get(one.name, printing.readable(one.name)), text


def _text(name: str, value: Any) -> str | None:
    """Print one value; None for what is missing, or takes more room than a row."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value or DASH
    if isinstance(value, (int, np.integer)):
        return str(value) if name == "seed" else printing.count(int(value))
    if isinstance(value, (float, np.floating)):
        is_p = name == "p" or name.endswith("_p") or name.startswith("p_")
        return _p(value, "") if is_p and not name.endswith("mcse") else number(value)
    if isinstance(value, tuple) and hasattr(value, "lower"):
        return limits_text(value)
    if isinstance(value, (tuple, list)):
        texts = [_text(name, one) for one in value]
        return listed(text for text in texts if text is not None) if any(texts) else None
    return None
