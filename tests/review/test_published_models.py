"""The published analyses are defined once, and give the published numbers."""

from __future__ import annotations

import pandas as pd
import pytest

from helpers import load_cohorts, load_published
from helpers.errors import UnsupportedError
from helpers.printing import agreeing_digits
from helpers.review.published import reproduction
from helpers.review.published.models import (
    published_analyses,
    published_fits,
    published_models,
    published_regression,
    published_subgroup,
    regression_cohorts,
    regression_definition,
    subgroup_definition,
)


@pytest.fixture(scope="module")
def pooled() -> pd.DataFrame:
    frame = reproduction().select("pooled").frame()
    return frame.assign(published=frame["published"].astype(float))


def test_all_42_published_rows_hold_the_same_cohorts(pooled: pd.DataFrame) -> None:
    counts = pooled[pooled["quantity"].isin(["cohorts", "nonrelapse_deaths", "patients"])]
    assert len(counts) == 3 * 42 == 3 * len(load_published("pooled"))
    assert (counts["ours"] == counts["published"]).all()


def test_all_42_published_estimates_agree(pooled: pd.DataFrame) -> None:
    """As far as the stopping rules of the published software (glm, lme4) reach."""
    least = {"common_estimate": 8, "random_lower": 4, "p_between": 4}
    for quantity, part in pooled[~pooled["ours"].isna()].groupby("quantity"):
        digits = [
            agreeing_digits(*pair) for pair in part[["ours", "published"]].to_numpy(dtype=float)
        ]
        assert len(digits) == (41 if quantity == "p_between" else 42), quantity
        assert min(digits) >= least.get(str(quantity), 5), (quantity, min(digits))


def test_reference_levels_are_those_of_the_published_table() -> None:
    table = load_published("coefficients")
    for model in published_models():
        rows = table[(table["model"] == model) & table["factor"].notna()]
        one = regression_definition(model)
        assert dict(zip(rows["factor"], rows["reference"], strict=True)) == dict(one.reference)
        fit = published_regression(model)
        assert fit.names == tuple(one.terms)
        for factor, level in one.reference.items():
            assert regression_cohorts(model)[factor].cat.categories[0] == level


def test_options_and_data_are_passed_on() -> None:
    changed = load_cohorts()
    at = changed.index[changed["cohort"] == "Abramson 2020"]
    changed.loc[at, "nonrelapse_deaths"] += 20
    for which in ("LBCL: product", "LBCL: setting"):
        assert published_subgroup(which, changed).overall.events == (
            published_subgroup(which).overall.events + 20
        )
    assert (
        published_regression("LBCL: setting", changed).estimates[0]
        > (published_regression("LBCL: setting").estimates[0])
    )
    assert published_regression("MM: product", model="glmm").ci_method == "wald"
    assert published_regression("MM: product", model="glmm", ci_method="t").df[0] == 10
    assert published_subgroup("entity", group_tau2="common").group_tau2 == "common"
    assert (
        published_fits("all cohorts", model="random", tau2_method="DL")["all"].tau2_method == "DL"
    )


def test_a_level_that_the_review_did_not_have_stays_visible() -> None:
    changed = load_cohorts().astype({"product": object})
    at = changed.index[changed["cohort"] == "Abramson 2020"]
    changed.loc[at, "product"] = "new-cel"
    assert list(published_subgroup("LBCL: product", changed).groups)[-1] == "new-cel"
    assert "product[T.new-cel]" in published_regression("LBCL: product", changed).names


def test_mixed_products_are_left_out_where_the_review_did() -> None:
    out = {name for name in published_analyses() if not subgroup_definition(name).mixed}
    assert out == {"single product", "LBCL: product", "LBCL: follow-up", "MM: product"}
    for model in published_models():
        assert (
            not regression_cohorts(model)["product"]
            .astype(str)
            .str.contains("+", regex=False)
            .any()
        )


def test_unknown_names_are_errors_that_list_the_known_ones() -> None:
    with pytest.raises(UnsupportedError, match="LBCL: setting"):
        published_subgroup("LBCL: colour")
    with pytest.raises(UnsupportedError, match="MM: all factors"):
        published_regression("all factors")
