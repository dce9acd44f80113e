"""Pictures and tables have no words of this review but those of the subject handed to them."""

from __future__ import annotations

import ast
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from inspect import signature
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import (
    Subject,
    bayes,
    bias,
    interval_coverage,
    meta_regression,
    multiverse,
    plots,
    pool,
    pool_effects,
    posterior,
    review,
    subgroups,
    tables,
)
from helpers.views.colours import INK, Colour

VIEWS = Path(__file__).parents[2] / "helpers" / "views"
OURS = re.compile(r"cohort|death|patient|nonrelapse|\bnrm\b|disease|\bproduct|lymphoma", re.I)
COUNTS = {"events": [3, 8, 5, 2, 9, 1], "n": [40, 60, 50, 30, 70, 40]}
GROUPS = list("aaabbb")


@cache
def fit(**options):
    return pool(**COUNTS, **{"model": "glmm", **options})


@cache
def rates(model="glmm"):
    return pool(events=[3, 8, 5], time=[40, 60, 50.5], measure="log-rate", model=model)


@cache
def bayesian():
    return posterior(**COUNTS)


@cache
def by_group():
    return subgroups(**COUNTS, by=GROUPS, model="random")


def months():
    return meta_regression(
        pd.DataFrame(COUNTS | {"months": [6.0, 12, 18, 9, 24, 15]}),
        "months",
        events="events",
        n="n",
    )


def shares():
    return np.linspace(0.01, 0.3, 30)


DRAWN = {
    "forest": lambda draw: draw(fit()),
    "subgroup_forest": lambda draw: draw({"Arm": by_group()}),
    "leave_one_out_forest": lambda draw: draw(fit()),
    "leave_one_out_strip": lambda draw: draw(fit()),
    "cumulative_forest": lambda draw: draw(fit(), {f"Study {i}": i for i in range(1, 7)}),
    "prediction": lambda draw: draw(fit(model="random", tau2=0.1)),
    "median_mean": lambda draw: draw(fit(model="random", tau2=0.1)),
    "profile": lambda draw: draw(fit(), parameter="mu"),
    "baujat": lambda draw: draw(fit()),
    "influence_panel": lambda draw: draw(fit()),
    "gosh": lambda draw: draw(fit().gosh()),
    "funnel": lambda draw: draw(fit(), vertical="n"),
    "construction": lambda draw: draw(0.1),
    "rejection": lambda draw: draw(bias.simulate_null(fit(), draws=20)),
    "bubble": lambda draw: draw(months()),
    "posterior": lambda draw: draw(bayesian()),
    "shrinkage": lambda draw: draw(bayesian()),
    "ranking": lambda draw: draw(bayes.rank_probabilities({name: bayesian() for name in "ab"})),
    "specification_curve": lambda draw: draw(
        multiverse(**COUNTS, choices={"measure": ["logit", "arcsine"], "model": ["random"]})
    ),
    "icon_array": lambda draw: draw({"ill": 0.1}, rest="well"),
    "coverage_range": lambda draw: draw(interval_coverage.exact_coverage(16, shares())),
    "variance_curves": lambda draw: draw(interval_coverage.relative_variance(16, shares())),
}


def said(picture) -> str:
    texts = " ".join(re.findall(r"<text[^>]*>([^<]*)", picture.svg))
    table = "" if picture.table is None else f"{picture.table.caption} {picture.table.text}"
    return " ".join([texts, picture.title, picture.alt, picture.caption, table])


def literals(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value.replace("Cohort Sans", "")  # the typeface


@pytest.mark.parametrize("path", sorted(VIEWS.rglob("*.py")), ids=lambda path: path.stem)
def test_no_text_of_the_toolkit_names_a_thing_of_this_review(path):
    assert [text for text in literals(path) if OURS.search(text)] == []


def test_every_plot_that_takes_a_subject_is_drawn_here():
    takes = {n for n in plots.__all__ if "subject" in signature(getattr(plots, n)).parameters}
    assert takes == {*DRAWN, "annotate", "show"}


@pytest.mark.parametrize("kind", DRAWN)
def test_without_a_subject_a_plot_speaks_of_none(kind):
    made = plots.show(DRAWN[kind](getattr(plots, kind)), name="neutral")
    assert not OURS.search(said(made)), said(made)


@pytest.mark.parametrize("kind", ["forest", "prediction", "leave_one_out_forest", "shrinkage"])
def test_a_subject_is_heard_in_picture_and_table(kind):
    trials = Subject(
        study="trial", studies="trials", people="women", outcome="Response", events="Responders",
        n="Women",
    )  # fmt: skip
    made = plots.show(
        DRAWN[kind](lambda *a, **k: getattr(plots, kind)(*a, subject=trials, **k)), name="heard"
    )
    assert {"trial", "Response"} <= set(re.findall(r"trial|Response", said(made)))
    assert not re.search(r"\bstud(y|ies)\b(?! \d)|Proportion|Events", said(made))


def test_the_heads_of_a_forest_follow_what_is_pooled():
    counts = said(plots.show(plots.forest(fit()), name="counts"))
    assert "Study" in counts
    assert "Events/n" in counts
    assert "Proportion, %" in counts
    timed = plots.show(plots.forest(rates()), name="timed")
    assert "Events/time" in said(timed)
    assert "Rate (95" in said(timed)
    assert timed.alt.startswith(
        "Forest plot of rate in three studies with 16 events in a time of 150.5."
    )
    assert timed.table is not None
    assert {"Events", "Time", "Rate"} <= set(timed.table.text.split())
    effects = pool_effects(yi=[0.1, 0.2, 0.3], vi=[0.01, 0.02, 0.03])
    plain = said(plots.show(plots.forest(effects), name="plain"))
    assert "Estimate (95" in plain
    assert "Events" not in plain


def test_totals_of_rates_are_sums_of_events_and_of_time():
    frame = plots.show(plots.leave_one_out_forest(rates("random")), name="t").table.text
    rows = [line.split() for line in frame.splitlines() if line.strip().startswith("without")]
    found = {row[2]: (row[3], row[4]) for row in rows}
    assert found == {"1": ("13", "110.5"), "2": ("8", "90.5"), "3": ("11", "100")}


def test_our_outcome_is_not_said_of_results_of_another_kind():
    timed = said(review.plots.show(review.plots.forest(rates()), name="timed"))
    assert "Nonrelapse" not in timed
    assert "Deaths/time" in timed


def test_tables_speak_of_no_subject_either():
    made = tables.pooled_table({"all": fit()})
    assert not OURS.search(made.text + made.html)
    assert "Cohorts" in review.tables.pooled_table({"all": fit()}).text


def test_no_subject_stays_behind_for_the_next_caller():
    """Words are handed from call to call: order and threads do not matter."""
    made = fit()

    def printed(i: int) -> str:
        return (review.tables if i % 2 else tables).pooled_table({"all": made}).text

    alone = [printed(0), printed(1)]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(printed, range(8))) == alone * 4


def test_colours_are_those_of_the_subject_and_follow_the_page():
    red = Colour("#a01010", "#ff9090")
    coloured = Subject(palettes=({"a": red, "b": INK},))
    ax = plots.subgroup_forest({"Arm": by_group()}, subject=coloured)
    assert f"var(--picture-a, {red.light})" in plots.show(ax, name="own").svg
    plain = plots.show(plots.subgroup_forest({"Arm": by_group()}), name="none")
    assert red.light not in plain.svg
