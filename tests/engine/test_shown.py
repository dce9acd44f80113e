"""What a result shows for values that are missing, infinite, or more than one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from helpers.engine.normal.intervals import Interval
from helpers.engine.shown import (
    PlainResult,
    limits_text,
    listed,
    number,
    p_text,
    percent,
    with_interval,
)

INF, NAN = float("inf"), float("nan")


def words(text: str) -> str:
    """Text with its no-break spaces as spaces."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.30123, "0.301"), (8.0, "8"), (None, "–"), (NAN, "–"), (INF, "∞"), (-INF, "−∞")],
)
def test_a_number_that_is_none_is_a_dash_and_an_infinite_one_has_its_sign(value, text):
    assert number(value) == text


@pytest.mark.parametrize("value", [None, NAN, INF, -INF])
def test_a_fraction_or_p_value_that_is_no_number_is_a_dash(value):
    assert percent(value) == "–"
    assert p_text(value) == "p = –"


def test_a_fraction_and_a_p_value_are_printed():
    assert words(percent(0.0682)) == "6.8%"
    assert words(p_text(0.0259)) == "p = 0.026"


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (None, "–"),
        ((NAN, 1.0), "–"),
        ((0.0, NAN), "–"),
        ((-INF, 0.5), "−∞ to 0.50"),
        ((-INF, INF), "−∞ to ∞"),
    ],
)
def test_limits_are_a_dash_where_one_is_missing(bounds, text):
    assert limits_text(bounds) == text


@pytest.mark.parametrize(
    ("value", "bounds", "unit", "text"),
    [
        (NAN, (0.0, 1.0), "number", "–"),
        (INF, (0.0, 1.0), "percent", "∞"),
        (1.5, None, "number", "1.50"),
        (1.5, (NAN, 2.0), "number", "1.50"),
        (1.5, (1.0, INF), "number", "1.50 (95% CI 1 to ∞)"),
        (1.5, (-INF, INF), "number", "1.50 (95% CI −∞ to ∞)"),
        (1.5, (1.0, 2.0), "number", "1.50 (95% CI 1.00 to 2.00)"),
        (0.068, (0.058, 0.080), "percent", "6.8% (95% CI 5.8 to 8.0%)"),
    ],
)
def test_an_estimate_has_the_limits_that_are_known(value, bounds, unit, text):
    assert words(with_interval(value, bounds, 0.95, unit)) == text


def test_a_list_says_how_many_it_leaves_out():
    assert listed([]) == "none"
    assert listed("abc", most=3) == "a, b, c"
    assert listed("abcde", most=3) == "a, b, c and 2 more"


@dataclass(repr=False)
class Example(PlainResult):
    """One field of any type."""

    value: Any


@dataclass(repr=False)
class Probabilities(PlainResult):
    """Probabilities, by the names that mark them."""

    p: float
    trend_p: float
    p_lrt: float
    p_mcse: float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (np.bool_(False), "no"),
        ("", "–"),
        ("REML", "REML"),
        (1234, "1,234"),
        (np.float64(0.30123), "0.301"),
        (Interval(0.0123, 0.5), "0.012 to 0.50"),
        ([1, 2.5, "x"], "1, 2.50, x"),
        ((1, None), "1"),
    ],
)
def test_a_field_is_told_in_words_by_its_type(value, text):
    assert repr(Example(value)).split(maxsplit=2) == ["Example", "value", text]


@pytest.mark.parametrize("value", [None, np.zeros(3), [np.zeros(2)], []])
def test_a_field_that_takes_more_than_a_row_is_not_told(value):
    assert repr(Example(value)) == "Example"


def test_probabilities_are_printed_as_such_and_their_errors_as_numbers():
    said = words(repr(Probabilities(1e-9, 0.0259, NAN, 1e-9)))
    ends = ("< 0.001", " 0.026", " –", "1.00 × 10⁻⁹")
    for line, end in zip(said.splitlines()[1:], ends, strict=True):
        assert line.endswith(end)
