"""The comparison of tests and variants repeats single computations."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import load_published
from helpers.errors import MetaAnalysisError
from helpers.review.moderators import (
    VARIANTS,
    adjusted,
    coefficient_variants,
    false_alarm,
    regression_overview,
    regression_variants,
    subgroup_rows,
    subgroup_tests,
)
from helpers.review.published.models import published_regression, published_subgroup


def test_holm_is_the_step_down_maximum() -> None:
    p = np.array([0.003, 0.2, 0.01, 0.04])
    order = np.argsort(p)
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(4, 0, -1)), 1)
    assert np.array(adjusted(p))[order] == pytest.approx(steps)


def test_chance_of_a_false_alarm_agrees_with_simulation() -> None:
    draws = np.random.default_rng(1).uniform(size=(200_000, 14)).min(axis=1)
    assert false_alarm(14) == pytest.approx((draws < 0.05).mean(), abs=0.005)


def test_subgroup_tests_hold_the_published_test_and_its_alternatives() -> None:
    frame = subgroup_tests(["entity", "MM: product"]).set_index("analysis")
    published = load_published("pooled").groupby("analysis")["p_between"].first()
    for name, row in frame.iterrows():
        assert row["separate"] == pytest.approx(published[name], rel=1e-3)
        common = published_subgroup(str(name), group_tau2="common")
        assert row["common"] == common.test.p
        assert row["likelihood_ratio"] == common.likelihood_ratio_test().p
        fits = published_subgroup(str(name)).groups.values()
        assert row["smallest"] == min(fit.k for fit in fits)
        assert row["zero_tau2"] == sum(fit.tau2 == 0 for fit in fits)
    assert frame["holm"].tolist() == adjusted(frame["calibrated"])


def test_the_overview_permutes_the_published_models() -> None:
    frame = regression_overview(draws=49).set_index("model")
    published = load_published("regressions").set_index("model")
    assert frame["cohorts"].tolist() == published["cohorts"].tolist()
    assert (frame["df1"] == published["f_df1"]).all()
    assert (frame["df2"] == published["f_df2"]).all()
    assert frame["F"].round(4).tolist() == published["f"].tolist()
    one = published_regression("MM: setting").permutation_test(49, seed=1)
    assert frame.loc["MM: setting", "permutation"] == one.p


def test_variants_are_the_fits_they_name() -> None:
    made = regression_variants("MM: all factors")
    assert [v.name for v in made] == list(VARIANTS)
    frame = coefficient_variants(made, "product[T.ide-cel]").set_index("variant")
    for name, options in VARIANTS.items():
        if name.startswith("ML, robust"):
            # no joint test, but the coefficient and the test of its factor, which it is alone
            assert np.isnan(frame.loc[name, "omnibus"])
            assert "too few clusters" in frame.loc[name, "reason"]
            assert 0 < frame.loc[name, "p"] < 1
            assert frame.loc[name, "factor"] == pytest.approx(frame.loc[name, "p"], rel=1e-9)
            continue
        fit = published_regression("MM: all factors", **options)
        line = fit.coefficients.loc["product[T.ide-cel]"]
        assert frame.loc[name, "odds_ratio"] == pytest.approx(np.exp(line["estimate"]))
        assert frame.loc[name, "p"] == line["p"]
        # a factor of two levels has one coefficient: both tests are the same
        assert frame.loc[name, "factor"] == pytest.approx(line["p"], rel=1e-9)
        assert frame.loc[name, "omnibus"] == fit.omnibus.p
        assert frame.loc[name, "reason"] == ""
    with pytest.raises(MetaAnalysisError, match="no coefficient 'colour'"):
        coefficient_variants(made, "colour")


def test_rows_of_all_groups_are_the_published_ones() -> None:
    ours = subgroup_rows().set_index(["analysis", "level"])
    published = load_published("pooled").iloc[1:].set_index(["analysis", "level"])
    assert ours.index.tolist() == published.index.tolist()
    for mine, theirs in {
        "cohorts": "cohorts",
        "events": "nonrelapse_deaths",
        "n": "patients",
        "estimate": "random_estimate",
        "common_effect": "common_estimate",
    }.items():
        assert ours[mine].to_numpy() == pytest.approx(published[theirs].to_numpy(), rel=2e-5)
