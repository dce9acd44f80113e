"""Causes of death: published numbers, second computations, properties."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from scipy import integrate, stats
from scipy.special import expit, logit
from statsmodels.stats.contingency_tables import Table
from statsmodels.stats.proportion import proportion_confint

from helpers import load_causes, load_published, pool
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review.causes import (
    SPECIFIC,
    bounds_table,
    cause_rates,
    cause_share,
    cause_table,
    chi_squared_table,
    death_weights,
    homogeneity_test,
    infection_share,
    published_chi_squared,
    rates_table,
    share_bounds,
    weights_table,
)
from helpers.review.causes.shares import product_interval

GROUPINGS = [
    "all, eleven causes",
    "all, eight causes",
    "setting",
    "setting, without COVID-19",
    "entity",
    "product",
]
BY_GROUP = GROUPINGS[2:]


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_table_holds_every_count_of_the_data_at_its_place(grouping):
    table = cause_table(grouping)
    data = load_causes()
    data = data[data["grouping"] == grouping]
    assert table.counts.size == len(data)
    for row in data.itertuples():
        assert table.count(row.cause, row.level) == row.deaths
        place = table.row(row.level), table.causes.index(row.cause)
        assert table.within_one[place] == (row.certainty == "within 1")


def test_both_classifications_hold_all_deaths_of_the_cohorts(cohorts):
    total = cohorts["nonrelapse_deaths"].sum()
    eleven, eight = cause_table("all, eleven causes"), cause_table("all, eight causes")
    assert eleven.count(eleven.causes) == eight.count(eight.causes) == total == 574
    together = {
        "neurotoxicity or ICANS": ["ICANS", "neurotoxicity, not specified"],
        "organ failure, other or unknown": ["organ failure", "other", "unknown"],
    }
    for cause in eight.causes:
        assert eight.count(cause) == eleven.count(together.get(cause, cause))


def test_tables_by_group_hold_the_published_column_sums():
    sums = load_published("column_sums")
    names = {
        "entity": "known causes by entity",
        "setting": "known causes by setting",
        "setting, without COVID-19": "known causes by setting without COVID-19",
        "product": "known causes by product (six single products)",
    }
    for grouping, subset in names.items():
        table = cause_table(grouping)
        part = sums[sums["subset"] == subset].set_index("level")["deaths"]
        for group, total in zip(table.groups, table.counts.sum(axis=1), strict=True):
            assert total == part[group]


def test_deaths_without_a_known_cause_are_what_the_cohorts_have_more(cohorts):
    for by in ("setting", "entity", "product"):
        table = cause_table(by)
        deaths = cohorts.groupby(cohorts[by].astype(str))["nonrelapse_deaths"].sum()
        assert table.deaths.tolist() == deaths.loc[list(table.groups)].tolist()
        assert (table.unknown == table.deaths - table.counts.sum(axis=1)).all()
    # by setting and by disease the same deaths lack a cause
    assert cause_table("setting").unknown.sum() == cause_table("entity").unknown.sum() == 110


def test_covid_19_takes_infections_alone():
    with_it, without = cause_table("setting"), cause_table("setting, without COVID-19")
    gone = with_it.counts - without.counts
    assert gone[:, 0].tolist() == [25, 30]
    assert (gone[:, 1:] == 0).all()
    assert (with_it.deaths - without.deaths).tolist() == [25, 30]
    assert (with_it.unknown == without.unknown).all()


def test_published_shares():
    """The abstract of the review prints these."""
    for cause, printed in {
        "infection": 50.9,
        "other malignancy": 7.8,
        "cardiovascular or respiratory": 7.3,
    }.items():
        assert round(100 * cause_share(cause).estimate, 1) == printed
    assert round(100 * cause_share(SPECIFIC).estimate, 1) == 11.5


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_simultaneous_intervals_are_wilson_intervals_at_bonferronis_level(grouping):
    """Goodman's interval solves the same quadratic; statsmodels computes both."""
    table = cause_table(grouping)
    shares = table.shares()
    k = len(table.causes)
    for row in shares.itertuples():
        both = proportion_confint(row.deaths, row.n, 0.05 / k, method="wilson")
        one = proportion_confint(row.deaths, row.n, 0.05, method="wilson")
        assert (row.lower, row.upper) == pytest.approx(both, abs=1e-12)
        assert (row.wilson_lower, row.wilson_upper) == pytest.approx(one, abs=1e-12)
    assert shares.groupby("group")["share"].sum().to_numpy() == pytest.approx(1)


def test_all_chi_squared_tests_of_the_review_are_met_to_every_printed_digit():
    checks = published_chi_squared(draws=199)
    printed = load_published("tests")
    printed = printed[printed["test"] == "Pearson chi-squared"]
    assert [check.subset for check in checks] == list(printed["subset"])
    assert len(checks) == 7
    for check in checks:
        assert check.matched, check.subset
        assert f"{check.test.statistic:.5g}" == f"{float(check.printed[0]):.5g}"
        assert check.test.df == int(check.printed[1])


def test_a_changed_count_is_not_called_matched():
    from dataclasses import replace

    check = published_chi_squared(draws=9)[1]
    wrong = cause_table(counts=[[75, 16], [217, 30]], groups="ab", causes=["infection", "CRS"])
    assert not replace(check, test=homogeneity_test(wrong, draws=9)).matched


@pytest.mark.parametrize("grouping", BY_GROUP)
def test_statistic_and_residuals_agree_with_scipy_and_statsmodels(grouping):
    table = cause_table(grouping)
    test = homogeneity_test(table, draws=99)
    theirs = stats.chi2_contingency(table.counts, correction=False)
    assert test.statistic == pytest.approx(theirs.statistic, rel=1e-12)
    assert test.p == pytest.approx(theirs.pvalue, rel=1e-10)
    assert test.df == theirs.dof
    assert test.expected == pytest.approx(theirs.expected_freq, rel=1e-12)
    other = Table(table.counts, shift_zeros=False)
    assert test.residuals == pytest.approx(other.standardized_resids, rel=1e-10)
    assert test.small_cells == pytest.approx((theirs.expected_freq < 5).mean())
    effect = test.tolerated_design_effect(0.9)
    assert stats.chi2.sf(theirs.statistic / effect, theirs.dof) == pytest.approx(0.1, rel=1e-9)
    beyond = round(test.p_monte_carlo * 100) - 1
    assert list(test.p_ci) == pytest.approx(proportion_confint(beyond, 99, method="beta"), rel=1e-9)


@pytest.mark.parametrize("grouping", BY_GROUP)
def test_the_monte_carlo_p_value_agrees_with_shuffled_deaths(grouping):
    """A second way to random tables: the causes are shuffled over the deaths."""
    table = cause_table(grouping)
    test = homogeneity_test(table, draws=19_999)
    rows = np.repeat(np.arange(len(table.groups)), table.counts.sum(axis=1))
    causes = np.concatenate([np.repeat(np.arange(len(table.causes)), row) for row in table.counts])
    rng = np.random.default_rng(1)
    draws, shape = 2_000, table.counts.shape
    shuffled = rng.permuted(np.tile(causes, (draws, 1)), axis=1)
    cell = rows * shape[1] + shuffled + np.arange(draws)[:, None] * table.counts.size
    made = np.bincount(cell.ravel(), minlength=draws * table.counts.size).reshape(draws, *shape)
    drawn = ((made - test.expected) ** 2 / test.expected).sum(axis=(1, 2))
    share = np.mean(drawn >= test.statistic * (1 - 1e-12))
    error = np.sqrt(test.p_monte_carlo * (1 - test.p_monte_carlo) * (1 / draws + 1 / 19_999))
    assert abs(share - test.p_monte_carlo) < 4 * error


def _exact_p(counts):
    """Go through all tables of two rows with the same margins."""
    counts = np.asarray(counts)
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    expected = np.outer(rows, columns) / counts.sum()
    observed = ((counts - expected) ** 2 / expected).sum()
    law = stats.multivariate_hypergeom(columns, rows[0])
    p = 0.0
    for first in itertools.product(*(range(c + 1) for c in columns)):
        if sum(first) == rows[0]:
            made = np.array([first, columns - first])
            if ((made - expected) ** 2 / expected).sum() >= observed * (1 - 1e-12):
                p += law.pmf(first)
    return p


@pytest.mark.parametrize("counts", [[[5, 3, 1], [2, 7, 4]], [[8, 0, 3, 1], [4, 5, 1, 2]]])
def test_the_monte_carlo_interval_holds_the_exact_p_value(counts):
    causes = ["infection", "CRS", "HLH", "haemorrhage"][: len(counts[0])]
    table = cause_table(counts=counts, groups=["a", "b"], causes=causes)
    test = homogeneity_test(table, draws=19_999)
    lower, upper = test.p_ci
    assert lower <= _exact_p(counts) <= upper
    assert lower <= test.p_monte_carlo <= upper


def test_p_values_of_cells_hold_for_all_cells_at_once():
    """In tables without a difference some cell is below 0.05 in about one table of twenty."""
    rows, columns = [120, 200], [190, 60, 40, 30]
    made = stats.random_table(rows, columns, seed=np.random.default_rng(4)).rvs(size=300)
    causes = ["infection", "CRS", "HLH", "haemorrhage"]
    found = 0
    for counts in made:
        table = cause_table(counts=counts, groups=["a", "b"], causes=causes)
        found += homogeneity_test(table, draws=499).p_residuals.min() < 0.05
    assert stats.binomtest(found, 300, 0.05).pvalue > 0.001


def test_the_same_seed_gives_the_same_test_and_another_seed_another():
    one, same = (homogeneity_test("entity", draws=499) for _ in range(2))
    other = homogeneity_test("entity", draws=499, seed=7)
    assert one.to_dict() == same.to_dict()
    assert one.p_monte_carlo != other.p_monte_carlo


@given(st.lists(st.lists(st.integers(1, 40), min_size=3, max_size=3), min_size=2, max_size=4))
@examples(30)
def test_residuals_have_no_sum_and_the_order_of_groups_does_not_matter(counts):
    groups = [f"g{i}" for i in range(len(counts))]
    causes = ["infection", "CRS", "HLH"]
    table = cause_table(counts=counts, groups=groups, causes=causes)
    test = homogeneity_test(table, draws=9)
    back = homogeneity_test(table.select(groups[::-1]), draws=9)
    assert test.statistic == pytest.approx(back.statistic, rel=1e-9, abs=1e-12)
    assert test.residuals == pytest.approx(back.residuals[::-1], rel=1e-9, abs=1e-9)
    assert (test.table.counts - test.expected).sum(axis=0) == pytest.approx(0, abs=1e-9)


def test_what_the_settings_differ_in():
    test = homogeneity_test("setting", draws=1_999)
    first = test.residual_frame().iloc[0]
    assert (first["cause"], first["group"]) == ("cardiovascular or respiratory", "trial")
    assert first["p"] < 0.05
    others = test.residual_frame().iloc[2:]
    assert (others["p"] > 0.05).all()


def test_causes_without_deaths_are_left_out_and_named():
    table = cause_table(counts=[[5, 0, 3], [4, 0, 9]], groups="ab", causes=["x", "y", "z"])
    test = homogeneity_test(table, draws=9)
    assert test.table.causes == ("x", "z")
    caution = next(c for c in test.cautions if c.code == "empty-causes")
    assert "y" in caution.message


def test_small_expected_counts_are_a_caution():
    codes = {g: {c.code for c in homogeneity_test(g, draws=9).cautions} for g in BY_GROUP}
    assert "small-expected-counts" in codes["entity"] & codes["product"]
    assert "small-expected-counts" not in codes["setting"]


def test_errors_name_what_is_wrong():
    with pytest.raises(UnsupportedError, match="no causes by 'shoe size'"):
        cause_table("shoe size")
    with pytest.raises(UnsupportedError, match="no group 'ward'"):
        infection_share("setting", "ward")
    with pytest.raises(UnsupportedError, match="no cause 'boredom'"):
        cause_share("boredom")
    with pytest.raises(UnsupportedError, match="'none', 'random' or 'all'"):
        infection_share(unknown="some")
    with pytest.raises(MetaAnalysisError, match="whole numbers"):
        cause_table(counts=[[1.5]], groups=["a"], causes=["x"])
    with pytest.raises(MetaAnalysisError, match="more deaths"):
        cause_table(counts=[[5]], groups=["a"], causes=["x"], deaths=[4])
    with pytest.raises(MetaAnalysisError, match="two groups"):
        homogeneity_test("all, eight causes")
    with pytest.raises(MetaAnalysisError, match="no deaths with a cause in b"):
        homogeneity_test(cause_table(counts=[[1, 2], [0, 0]], groups="ab", causes="xy"))
    with pytest.raises(MetaAnalysisError, match="at least 1"):
        homogeneity_test("setting", draws=0)


def test_results_are_frozen_and_plain_for_json():
    table = cause_table("setting")
    with pytest.raises(ValueError, match="read-only"):
        table.counts[0, 0] = 1
    with pytest.raises(AttributeError):
        table.grouping = "x"
    for result in (table, homogeneity_test(table, draws=9), infection_share()):
        assert json.loads(json.dumps(result.to_dict())) == result.to_dict()


# --- unknown causes ---------------------------------------------------------------------------


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_bounds_hold_every_way_to_assign_the_unknown_deaths(grouping):
    table = cause_table(grouping)
    for group, deaths, unknown in zip(table.groups, table.deaths, table.unknown, strict=True):
        found = share_bounds("infection", table, group)
        known = table.count("infection", group)
        possible = (known + np.arange(unknown + 1)) / deaths
        assert found.bounds == pytest.approx((possible.min(), possible.max()))
        assert found.unknown == unknown
        assert found.bounds.lower <= found.random.estimate <= found.bounds.upper
        assert found.ci.lower < found.bounds.lower < found.bounds.upper < found.ci.upper
        assert found.random.estimate == pytest.approx(known / (deaths - unknown))


# --- absolute size ----------------------------------------------------------------------------


def test_rates_are_mean_mortality_times_share(cohorts):
    columns = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
    rates = cause_rates(cohorts, "entity")
    for group, rate in rates.items():
        part = cohorts if group == "all" else cohorts[cohorts["entity"] == group]
        fit = pool(part, **columns, model="glmm", ci_method="wald")
        infections = 292 if group == "all" else cause_table("entity").count("infection", group)
        share = infections / part["nonrelapse_deaths"].sum()
        mean = integrate.quad(
            lambda z, fit=fit: expit(fit.mu + fit.tau2**0.5 * z) * stats.norm.pdf(z), -12, 12
        )[0]
        assert rate.estimate == pytest.approx(mean * share, rel=1e-7)
        assert rate.ci.lower < rate.estimate < rate.ci.upper
        assert rate.n == part["patients"].sum()


def test_the_interval_of_a_product_agrees_with_simulation():
    """Draws of logit NRM and of the share (Jeffreys) give about the same limits."""
    rng = np.random.default_rng(9)
    for group, rate in cause_rates(by="entity").items():
        low, high = logit(rate.nrm.mean_conf_int())
        se = (high - low) / (2 * stats.norm.ppf(0.975))
        nrm = expit(rng.normal(logit(rate.nrm.mean_estimate), se, 200_000))
        x, n = rate.share.deaths, rate.share.n
        share = rng.beta(x + 0.5, n - x + 0.5, 200_000)
        limits = np.quantile(nrm * share, [0.025, 0.975])
        # the smallest group has 15 deaths, where Wilson and Jeffreys part a little
        assert np.log(rate.ci) == pytest.approx(np.log(limits), abs=0.08 if n < 20 else 0.03), group


def test_the_interval_of_a_product_covers_as_often_as_it_says():
    rng = np.random.default_rng(5)
    n, p, s, draws = 1_000, 0.07, 0.5, 4_000
    deaths = rng.binomial(n, p, draws)
    some = rng.binomial(deaths, s)
    rate_ci = proportion_confint(deaths, np.full(draws, n), method="wilson")
    share_ci = proportion_confint(some, deaths, method="wilson")
    cases = zip(
        deaths / n, np.transpose(rate_ci), some / deaths, np.transpose(share_ci), strict=True
    )
    low, high = np.transpose([product_interval(*case) for case in cases])
    covered = np.mean((low <= p * s) & (p * s <= high))
    assert 0.94 <= covered <= 0.965


def test_a_cause_without_deaths_and_other_cohorts_are_refused(cohorts):
    with pytest.raises(UnsupportedError, match="a death of this cause"):
        cause_rates(cohorts, "entity", "haemorrhage")
    with pytest.raises(UnsupportedError, match="as totals and not by cohort"):
        cause_rates(cohorts.iloc[1:], "setting")


# --- weights ----------------------------------------------------------------------------------


def test_weights_describe_the_cohorts(cohorts):
    weights = death_weights(cohorts)
    deaths = cohorts["nonrelapse_deaths"].to_numpy()
    assert weights.total == deaths.sum()
    assert weights.largest_share == pytest.approx(deaths.max() / deaths.sum())
    assert weights.icc_for(weights.design_effect(0.03)) == pytest.approx(0.03)
    even = death_weights(pd.DataFrame({"nonrelapse_deaths": [5] * 7, "cohort": list("abcdefg")}))
    assert even.mean_size == pytest.approx(5)
    assert weights.mean_size == pytest.approx(np.average(deaths, weights=deaths))


def test_the_design_effect_is_the_variance_that_clusters_add(cohorts):
    """Simulated: beta-binomial cohorts with a known intraclass correlation."""
    weights = death_weights(cohorts)
    rng, icc, s = np.random.default_rng(3), 0.05, 0.5
    sizes = np.array(weights.deaths)
    a = s * (1 - icc) / icc
    shares = rng.beta(a, a, (20_000, len(sizes)))
    drawn = rng.binomial(sizes, shares).sum(axis=1) / weights.total
    plain = s * (1 - s) / weights.total
    assert drawn.var() / plain == pytest.approx(weights.design_effect(icc), rel=0.04)


def test_intervals_widen_with_the_correlation_and_start_at_wilson(cohorts):
    weights, share = death_weights(cohorts), infection_share()
    assert weights.interval(share, 0) == pytest.approx(share.ci)
    widths = [np.diff(weights.interval(share, icc))[0] for icc in (0, 0.01, 0.05, 0.2)]
    assert np.all(np.diff(widths) > 0)


def test_bounds_without_the_largest_cohort_hold_all_its_possible_deaths(cohorts):
    weights, share = death_weights(cohorts), infection_share()
    rest = weights.total - weights.deaths[0]
    taken = np.arange(weights.deaths[0] + 1)
    left = (share.deaths - taken) / rest
    assert weights.without_largest(share) == pytest.approx((left.min(), left.max()))
    with pytest.raises(MetaAnalysisError, match="all deaths"):
        weights.without_largest(infection_share(unknown="random"))
    with pytest.raises(MetaAnalysisError, match="between 0 and 1"):
        weights.design_effect(2)


# --- tables of the page -----------------------------------------------------------------------


def line(table, start):
    return next(row for row in table.text.splitlines() if row.strip().startswith(start)).split()


def test_tables_print_the_values_of_the_results(cohorts):
    checks = published_chi_squared(draws=99)
    printed = chi_squared_table(checks)
    for check in checks:
        assert check.printed[0] in printed.text
        assert check.printed[2] in printed.text
    bounds = share_bounds("infection", "entity", "MM")
    assert line(bounds_table({"MM": bounds}), "MM")[:6] == [
        *("MM", "103", "30"),
        *(f"{100 * s.estimate:.1f}" for s in (bounds.none, bounds.random, bounds.all)),
    ]
    rates = cause_rates(cohorts, "setting")
    cells = line(rates_table(rates), "trial")
    assert cells[1] == f"{rates['trial'].n:,}"
    assert cells[4] == f"{1000 * rates['trial'].estimate:.0f}"
    weights, share = death_weights(cohorts), infection_share()
    cells = line(weights_table(weights, share, [0.05]), "0.05")
    assert cells[1] == f"{weights.design_effect(0.05):.1f}"
    limits = weights.interval(share, 0.05)
    assert cells[3:] == [f"{100 * limits.lower:.1f}", "to", f"{100 * limits.upper:.1f}"]
