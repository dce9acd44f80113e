"""Every plot of fits takes every kind of result: it draws, or says in a sentence what to do."""

from __future__ import annotations

from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from helpers import (
    meta_regression,
    plots,
    pool,
    pool_beta_binomial,
    pool_multilevel,
    pool_rates,
    subgroups,
)
from helpers.errors import MetaAnalysisError
from helpers.views.plots.note import note_of

EVENTS = [3, 5, 9, 14, 2, 6, 11, 4]
N = [60, 80, 70, 90, 50, 75, 64, 71]
DATA = pd.DataFrame(
    {
        "study": list("ABCDEFGH"),
        "events": EVENTS,
        "n": N,
        "cluster": list("wwxxyyzz"),
        "group": list("pqpqpqpq"),
        "months": [6, 9, 12, 18, 8, 14, 22, 10],
    }
)
COLUMNS = {"events": "events", "n": "n", "study": "study"}

RESULTS = {
    "random": lambda: pool(DATA, **COLUMNS, model="random", tau2_method="ML", ci_method="wald"),
    "glmm": lambda: pool(DATA, **COLUMNS, model="glmm"),
    "rates": lambda: pool_rates(DATA, **COLUMNS, follow_up="months", model="glmm"),
    "beta-binomial": lambda: pool_beta_binomial(DATA, **COLUMNS),
    "three-level": lambda: pool_multilevel(DATA, **COLUMNS, cluster="cluster"),
    "groups": lambda: subgroups(DATA, **COLUMNS, by="group", model="random"),
    "regression": lambda: meta_regression(DATA, "months", **COLUMNS, model="random"),
    "three-level regression": lambda: pool_multilevel(DATA, "months", **COLUMNS, cluster="cluster"),
    "no events": lambda: pool(events=[0, 0, 0], n=[40, 30, 20], model="glmm"),
    "one study": lambda: pool(events=[3], n=[40], model="random"),
}

YEARS = dict(zip(DATA["study"], range(2012, 2020), strict=True))
PLOTS = {
    "forest": plots.forest,
    "forest, jama": lambda fit: plots.forest(fit, layout="jama"),
    "leave-one-out forest": plots.leave_one_out_forest,
    "leave-one-out strip": plots.leave_one_out_strip,
    "cumulative forest": lambda fit: plots.cumulative_forest(fit, YEARS),
    "subgroup forest": lambda fit: plots.subgroup_forest({"Group": fit}),
    "influence": plots.influence_panel,
    "baujat": plots.baujat,
    "funnel": plots.funnel,
    "radial": plots.radial,
    "drapery": plots.drapery,
    "prediction": plots.prediction,
    "median and mean": plots.median_mean,
    "profile": plots.profile,
    "bubble": plots.bubble,
}

#: What each kind of result can be drawn as; everything else is refused in a sentence.
_ONE_MEAN = {
    "forest", "forest, jama", "leave-one-out forest", "leave-one-out strip", "cumulative forest",
    "influence", "baujat", "funnel", "radial", "drapery", "prediction",
}  # fmt: skip
DRAWN = {
    "random": _ONE_MEAN | {"median and mean", "profile"},
    "glmm": _ONE_MEAN | {"median and mean", "profile"},
    "rates": _ONE_MEAN | {"profile"},
    "beta-binomial": _ONE_MEAN | {"median and mean"},
    "three-level": _ONE_MEAN | {"median and mean"},
    "groups": {"forest", "forest, jama", "subgroup forest", "influence", "baujat"},
    "regression": {"influence", "baujat", "bubble"},
    "three-level regression": {"influence", "baujat"},
    "no events": {
        "forest",
        "forest, jama",
        "leave-one-out forest",
        "leave-one-out strip",
        "prediction",
    },
    "one study": {"forest", "forest, jama", "funnel", "radial", "drapery", "prediction"},
}


@cache
def result(kind: str) -> Any:
    return RESULTS[kind]()


@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_draws_a_result_or_says_why_not(plot: str, kind: str) -> None:
    try:
        if plot not in DRAWN[kind]:
            with pytest.raises(MetaAnalysisError) as error:
                PLOTS[plot](result(kind))
            said = str(error.value)
            assert len(said.split()) > 5
            assert "\n" not in said
            return
        note = note_of(PLOTS[plot](result(kind)))
    finally:
        plt.close("all")
    assert len(note.alt) > 40
    assert "nan" not in f"{note.alt} {note.caption}".split()


def test_a_correlation_is_not_called_a_variance() -> None:
    fit = result("beta-binomial")
    try:
        words = " ".join(t.get_text() for t in plots.forest(fit).figure.findobj(plt.Text))
        assert f"ρ = {fit.rho:.3f}" in words
        assert "τ²" not in words
        assert "I²" not in words
    finally:
        plt.close("all")


def test_both_variances_of_three_levels_stand_under_a_forest() -> None:
    fit = result("three-level")
    try:
        words = " ".join(t.get_text() for t in plots.forest(fit).figure.findobj(plt.Text))
    finally:
        plt.close("all")
    assert f"{fit.sigma2_between:.3f} between clusters" in words
