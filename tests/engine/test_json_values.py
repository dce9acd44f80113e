"""What JSON cannot represent becomes what it can."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from helpers.engine.json_values import plain
from helpers.engine.normal.intervals import Interval
from helpers.engine.summaries import Caution


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (float("nan"), None),
        (np.float64("-inf"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (Fraction(1, 3), "1/3"),
        (Interval(0.1, float("inf")), [0.1, None]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({1: np.array([0.5, np.nan])}, {"1": [0.5, None]}),
        (Caution("few-studies", "Few."), {"code": "few-studies", "message": "Few."}),
        (
            pd.DataFrame({"x": [1.5, np.nan]}, index=pd.Index(["a", "b"], name="s")),
            [{"s": "a", "x": 1.5}, {"s": "b", "x": None}],
        ),
    ],
)
def test_a_value_becomes_plain(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    assert json.loads(json.dumps(found, allow_nan=False)) == expected
