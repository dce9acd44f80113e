"""Nothing that is printed or drawn hangs on the last bits of a number."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import load_cohorts, ties
from helpers.errors import MetaAnalysisError

ROOT = Path(__file__).resolve().parents[1]
# rooms that draw, print or ask: what they sort or pick is seen by a reader
SEEN = (
    "causes",
    "corrections",
    "interactive",
    "plots",
    "report",
    "reproduction",
    "teaching",
)
# sorts by codes and by a number that is steady already
EXACT = {"plots/follow_up.py"}
RAW = {
    "argmax",
    "argmin",
    "idxmax",
    "idxmin",
    "nanargmax",
    "nanargmin",
    "nlargest",
    "nsmallest",
    "sort_values",
}
tenths = st.integers(-50, 50).map(lambda i: i / 10)


@given(st.lists(tenths, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_noise_in_the_last_bits_changes_no_order(values, random):
    noisy = [value * (1 + random.choice([-3e-16, 0.0, 3e-16])) for value in values]
    expected = sorted(range(len(values)), key=lambda i: (values[i], i))
    assert ties.order(noisy).tolist() == expected
    assert ties.smallest(noisy) == expected[0]
    down = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert ties.order(noisy, descending=True).tolist() == down
    assert ties.largest(noisy) == down[0]


@given(st.lists(st.integers(0, 10**8), min_size=1, unique=True))
def test_whole_numbers_and_real_differences_are_kept(values):
    assert ties.steady(values).tolist() == values
    assert [values[i] for i in ties.order(values)] == sorted(values)


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-12, 1e12, 1e305])
def test_every_scale_keeps_its_order(scale):
    assert ties.order([3 * scale, scale, 2 * scale]).tolist() == [1, 2, 0]


def test_missing_numbers_go_last_and_are_never_picked():
    values = [np.nan, 2.0, np.inf, 1.0]
    assert ties.order(values).tolist() == [3, 1, 2, 0]
    assert ties.order(values, descending=True).tolist() == [2, 1, 3, 0]
    assert (ties.smallest(values), ties.largest(values)) == (3, 2)
    for nothing in ([], [np.nan]):
        with pytest.raises(MetaAnalysisError, match="no number"):
            ties.largest(nothing)


def raw_choices(tree: ast.AST) -> list[str]:
    """Calls that sort or pick by the bare bits, by name and line."""
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    named = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in RAW]
    return [f"line {c.lineno}: {c.func.attr}" for c in named]


@pytest.mark.parametrize("room", SEEN)
def test_what_a_reader_sees_is_ordered_without_the_last_bits(room):
    found = {}
    for path in sorted((ROOT / "helpers" / room).rglob("*.py")):
        raw = raw_choices(ast.parse(path.read_text(encoding="utf-8")))
        name = path.relative_to(ROOT / "helpers").as_posix()
        if raw and name not in EXACT:
            found[name] = raw
    assert not found


def noisy(result, seed):
    """The same analyses as another processor might have computed them."""
    random = np.random.default_rng(seed)
    columns = {}
    for name in ("value", "lower", "upper"):
        column = getattr(result, name)
        columns[name] = column * (1 + random.integers(-2, 3, column.shape) * 2.2e-16)
    return replace(result, **columns)


def test_a_specification_curve_is_the_same_on_every_processor():
    from helpers.review.claim_analyses import claim_multiverse
    from helpers.views.interactive import curve

    result = claim_multiverse(load_cohorts(), "cilta-ide")
    drawn = {
        curve({"one": noisy(result, seed)}, name="c", first="one")._repr_html_()
        for seed in range(3)
    }
    assert len(drawn) == 1
