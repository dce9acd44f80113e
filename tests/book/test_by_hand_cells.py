"""Sums by hand in the chapters: on the five cohorts, in view, and equal to the function's."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from helpers import load_cohorts

BOOK = Path(__file__).resolve().parents[2] / "book"
#: Chapters of methods that are worked out by hand.
METHODS = (
    "effect_sizes",
    "pooling",
    "heterogeneity",
    "subgroups",
    "meta_regression",
    "time_at_risk",
    "small_study_effects",
)
chapter = pytest.mark.parametrize("name", METHODS)


def cells_of(name: str) -> list:
    return nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells


def by_hand(name: str) -> list:
    cells = [c for c in cells_of(name) if c.cell_type == "code" and c.id.startswith("by-hand")]
    assert cells, f"{name} does nothing by hand"
    return cells


@functools.cache
def tables() -> tuple[pd.DataFrame, ...]:
    """The published cohorts, and the same with counts and follow-up of other kinds."""
    rng, table = np.random.default_rng(1), load_cohorts()
    k, made = len(table), [table]
    for spread, size in ((0.0, 60), (0.3, 300), (1.5, 100), (3.0, 1000)):
        n = rng.integers(12, size, k)
        rate = 1 / (1 + np.exp(-rng.normal(-2, spread, k)))
        deaths, months = np.clip(rng.binomial(n, rate), 1, n - 1), rng.uniform(2, 70, k)
        new = {"patients": n, "nonrelapse_deaths": deaths, "median_follow_up_months": months}
        made.append(table.assign(**new))
    return tuple(made)


def run(name: str, table: pd.DataFrame, wrong: tuple[str, str] = ("", "")) -> None:
    """Execute the imports of a chapter and what it does by hand, on a table."""
    setup = next(c.source for c in cells_of(name) if c.id == "setup")
    names: dict = {"cohorts": table.copy()}
    for node in ast.parse(setup).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(ast.unparse(node), names)
    source = "\n".join(c.source for c in by_hand(name))
    assert wrong[0] in source
    with contextlib.redirect_stdout(io.StringIO()):
        exec(source.replace(*wrong) if wrong[0] else source, names)


@chapter
def test_a_method_is_worked_out_in_view_on_the_five_cohorts(name):
    cells = by_hand(name)
    assert any("review.five_cohorts(cohorts)" in c.source for c in cells)
    assert not any(c.metadata.get("tags") for c in cells)  # none is hidden
    assert "assert" in cells[-1].source


@pytest.mark.parametrize("path", sorted(BOOK.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_comparison_in_a_chapter_says_what_it_compared(path):
    for cell in cells_of(path.stem):
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Assert):
                assert node.msg is not None, (cell.id, ast.unparse(node))
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np.testing"):
                assert any(k.arg == "err_msg" for k in node.keywords), (cell.id, ast.unparse(node))


@chapter
@pytest.mark.parametrize("number", range(5))
def test_by_hand_equals_the_function_on_any_table(name, number):
    run(name, tables()[number])


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("effect_sizes", "1 / (n - x)", "1 / n"),
        ("effect_sizes", "z**2 / (2 * n)", "z**2 / n"),
        ("effect_sizes", "(s - 1 / s) / size", "s / size"),
        ("pooling", "(a**2).sum() / a.sum()", "a.mean()"),
        ("pooling", "+ np.log(np.sum(1 / (vi + t)))", ""),
        ("pooling", "/ (k - 1)", "/ k"),
        ("pooling", "stats.norm.pdf(z), -8", "stats.norm.pdf(z), -1"),
        ("pooling", "0.975, k - 2", "0.975, k - 1"),
        ("time_at_risk", "weights=1 / vi", "weights=vi"),
        ("time_at_risk", "x.sum() / years.sum()", "np.mean(x / years)"),
        ("small_study_effects", "weights=1 / se**2", "weights=1 / se"),
        ("small_study_effects", "weights=1 / (vi + tau2)", "weights=1 / vi"),
    ],
)
def test_a_wrong_sum_by_hand_is_refused_in_words(name, right, wrong):
    with pytest.raises(AssertionError, match=r"by hand \(x\), by \w+ \(y\)"):
        run(name, tables()[3], (right, wrong))
