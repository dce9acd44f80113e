"""Frozen forecasts, later reports beside them, and the updated table."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from densities import binomial, log_binomial, normal
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import expit, logit, logsumexp

from helpers import load_cohorts, pool, posterior, review
from helpers.errors import MetaAnalysisError
from helpers.evidence import data_folder, load_context
from helpers.review import since_then
from helpers.review.since_then import Forecast, ForecastCheck, check_forecasts, frozen_forecasts


@pytest.fixture(scope="module")
def checks():
    return check_forecasts()


def one_more(**said):
    """The later reports and one that a reader typed."""
    later = load_context("later_cohorts")
    row = later[later["report"] == "TRANSCEND MCL"].assign(report="Ours 2027", **said)
    return pd.concat([later, row], ignore_index=True)


# the frozen file ------------------------------------------------------------------------------


def test_the_file_is_the_one_that_was_frozen():
    content = (data_folder() / "forecasts_2024.csv").read_bytes()
    known = "96910f4b81d694c41d02fb5779bbb58c623bc9b97c4948627b28608bfe93d958"
    assert hashlib.sha256(content).hexdigest() == known == since_then.FORECAST_CHECKSUM


def test_the_forecasts_follow_from_the_table_of_2024_alone():
    made, kept = review.forecasts_frame(load_cohorts()), load_context("forecasts_2024")
    names = ["group", "method", "cohorts", "patients", "nonrelapse_deaths", "probability"]
    assert (
        made[names].astype(str).to_numpy().tolist() == kept[names].astype(str).to_numpy().tolist()
    )
    # kept to six decimals: the last one may round otherwise on another processor
    assert np.abs(made["rate"] - kept["rate"]).max() < 1.5e-6


def test_a_changed_forecast_is_refused(tmp_path, monkeypatch):
    content = (data_folder() / "forecasts_2024.csv").read_bytes()
    (tmp_path / "forecasts_2024.csv").write_bytes(content.replace(b"0.161917", b"0.191917"))
    monkeypatch.setattr(since_then, "data_folder", lambda: tmp_path)
    with pytest.raises(MetaAnalysisError, match="not the file that was frozen"):
        frozen_forecasts()


def test_glmm_quantiles_are_those_of_a_t_with_two_degrees_fewer_than_cohorts():
    cohorts = load_cohorts().query("entity == 'MM' and product == 'ide-cel'")
    columns = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
    fit = pool(cohorts, **columns, measure="logit", model="glmm", ci_method="wald")
    spread = np.sqrt(fit.tau2 + fit.se**2)
    one = next(f for f in frozen_forecasts() if (f.group, f.method) == ("ide-cel, MM", "GLMM"))
    ours = expit(stats.t.ppf(one.probabilities, fit.k - 2, fit.mu, spread))
    assert np.abs(ours - one.rates).max() < 1e-6


@pytest.mark.parametrize(
    ("group", "method", "low", "high"),
    [
        ("all cohorts", "GLMM", 2.7, 16.2),
        ("ide-cel, MM", "GLMM", 4.5, 8.9),
        ("ide-cel, MM", "Bayes", 3.0, 10.6),
        ("cilta-cel, MM", "GLMM", 8.5, 25.8),
        ("cilta-cel, MM", "Bayes", 7.6, 28.9),
        ("MCL", "GLMM", 6.3, 17.2),
        ("MCL", "Bayes", 4.6, 23.0),
    ],
)
def test_intervals_that_others_computed_from_the_same_table(group, method, low, high):
    one = next(f for f in frozen_forecasts() if (f.group, f.method) == (group, method))
    assert [round(100 * x, 1) for x in one.interval] == [low, high]


# what a cohort of n patients may show ---------------------------------------------------------


def test_expected_deaths_are_the_binomial_mixed_over_a_normal_logit():
    mu, sd, n = logit(0.07), 0.5, 97
    p = np.array(since_then.PROBABILITIES)
    one = Forecast("x", "GLMM", 9, 900, 60, tuple(p), tuple(expit(stats.norm.ppf(p, mu, sd))))
    counts = one.events(n)
    assert counts.probabilities.sum() == pytest.approx(1, abs=1e-9)
    for deaths in (0, 6, 20):
        exact = quad(lambda z, x=deaths: binomial(x, n, mu + sd * z) * normal(z), -8, 8)[0]
        assert counts.probabilities[deaths] == pytest.approx(exact, rel=2e-3)


def test_bayes_counts_agree_with_the_posterior_itself():
    cohorts = load_cohorts().query("entity == 'MCL'")
    post = posterior(cohorts, events="nonrelapse_deaths", n="patients", study="cohort")
    one = next(f for f in frozen_forecasts() if (f.group, f.method) == ("MCL", "Bayes"))
    ours, theirs = one.events(83), post.predict_events(83)
    assert np.abs(ours.probabilities - theirs.probabilities).max() < 2e-3
    assert ours.interval() == theirs.interval()


def test_a_large_cohort_may_show_what_the_true_rate_may_be():
    one = frozen_forecasts()[0]
    low, high = one.events(20_000).interval()
    assert low / 20_000 == pytest.approx(one.interval.lower, abs=0.002)
    assert high / 20_000 == pytest.approx(one.interval.upper, abs=0.002)


# later reports --------------------------------------------------------------------------------


def test_each_class_of_evidence_is_compared_or_not_as_it_should_be(checks):
    later = load_context("later_cohorts").set_index("report")
    compared = {one.report for one in checks}
    assert not compared & set(later.index[later["evidence"] == "not seen"])
    assert not compared & set(later.index[later["not_compared"].notna()])
    counts = later[later["deaths_fewest"].notna() & later["not_compared"].isna()]
    assert set(counts.index) <= compared
    assert {one.report for one in checks if one.counted} == set(counts.index)
    assert {one.report for one in checks if not one.new} == {
        "ZUMA-12 three-year",
        "CARTITUDE-1 later cut",
    }


def test_a_range_of_counts_on_the_limit_is_neither_in_nor_out():
    one = Forecast("x", "GLMM", 9, 900, 60, (0.025, 0.5, 0.975), (0.02, 0.07, 0.2))
    interval = one.events(100).interval()

    def at(low, high):
        return ForecastCheck("r", "count implied", True, 100, low, high, True, one, interval)

    top = interval.upper
    assert (at(top, top).inside, at(top + 1, top + 1).inside) == (True, False)
    assert at(top, top + 1).inside is None


def test_the_interval_score_is_width_and_penalty():
    one = Forecast("x", "GLMM", 9, 900, 60, (0.025, 0.5, 0.975), (0.02, 0.07, 0.2))
    low, high = one.events(100).interval()
    within = ForecastCheck(
        "r", "count stated", True, 100, 7, 7, True, one, one.events(100).interval()
    )
    assert within.score == pytest.approx(high - low)
    beyond = ForecastCheck(
        "r", "count stated", True, 100, high + 3, high + 3, True, one, one.events(100).interval()
    )
    assert beyond.score == pytest.approx(high - low + 2 / 0.05 * 3)


def test_coverage_has_its_exact_interval(checks):
    own = [one for one in checks if one.counted and one.new]
    found = review.forecast_coverage(own, "GLMM")
    exact = stats.binomtest(found.inside, found.reports).proportion_ci(method="exact")
    assert tuple(found.ci) == pytest.approx((exact.low, exact.high), abs=1e-12)
    with pytest.raises(MetaAnalysisError, match="method 'REML'"):
        review.forecast_coverage(own, "REML")


def test_a_new_row_is_compared_without_any_other_change(checks):
    more = check_forecasts(one_more(deaths_fewest=40, deaths_most=40))
    new = [one for one in more if one.report == "Ours 2027"]
    assert len(more) == len(checks) + 2 == len(checks) + len(new)
    assert [one.forecast.group for one in new] == ["MCL", "MCL"]
    assert [one.inside for one in new] == [False, False]
    drawn = review.plots.show(review.plots.later_reports(more), "later-reports")
    assert "Ours 2027" in drawn.caption
    assert "Ours 2027" in drawn.svg


# the update -----------------------------------------------------------------------------------


def test_a_later_cut_replaces_and_a_new_cohort_is_added():
    now = review.updated_cohorts().set_index("cohort")
    before = load_cohorts().set_index("cohort")
    later = load_context("later_cohorts").set_index("report")
    assert len(now) == len(before) + (later["update"] == "add").sum()
    assert now.index.is_unique
    assert now.loc["Martin 2023", ["patients", "nonrelapse_deaths"]].tolist() == [97, 18]
    same = before.index.difference(["Martin 2023", "Neelapu 2022"])
    columns = ["patients", "nonrelapse_deaths", "median_follow_up_months"]
    pd.testing.assert_frame_equal(now.loc[same, columns], before.loc[same, columns])


def test_the_update_is_a_fit_of_the_updated_table():
    found = review.update_effects().set_index("group")
    cohorts = load_cohorts()
    deaths = cohorts.set_index("cohort")["nonrelapse_deaths"].copy()
    deaths["Martin 2023"] = 18
    events, n = [*deaths, 15, 23], [*cohorts["patients"], 83, 236]
    fit = pool(events=events, n=n, measure="logit", model="glmm", ci_method="wald")
    assert found.loc["all cohorts", "after"] == pytest.approx(fit.estimate, abs=1e-9)
    assert found.loc["all cohorts", "cohorts_after"] == fit.k == 54
    assert 100 * found.loc["cilta-cel, MM", "before"] == pytest.approx(15.2, abs=0.05)
    assert 100 * found.loc["cilta-cel, MM", "after_most"] == pytest.approx(13.8, abs=0.05)


def wald_by_quadrature(x, n, z=1.959963984540054):
    """Maximum and Wald limits of the GLMM: an even grid of the random effect, no derivatives."""
    u = np.linspace(-9.0, 9.0, 1501)
    prior = stats.norm.logpdf(u) + np.log(u[1] - u[0])

    def lost(theta):
        each = log_binomial(x[:, None], n[:, None], theta[0] + theta[1] * u) + prior
        return -logsumexp(each, axis=1).sum()

    best = minimize(lost, [logit(x.sum() / n.sum()), 0.4], method="Nelder-Mead",
                    options={"xatol": 1e-7, "fatol": 1e-10}).x  # fmt: skip
    h = 1e-3 * np.eye(2)
    bend = [
        [
            (lost(best + a + b) - lost(best + a - b) - lost(best - a + b) + lost(best - a - b))
            / 4e-6
            for b in h
        ]
        for a in h
    ]
    if abs(best[1]) > 0.05:
        se = np.sqrt(np.linalg.inv(bend)[0, 0])
    else:  # at its boundary tau takes nothing from what is known of the mean
        p = expit(best[0])
        se = 1.0 / np.sqrt((n * p * (1.0 - p)).sum())
    return expit(best[0] + np.array([0.0, -z, z]) * se)


def test_the_limits_of_the_update_come_out_of_a_grid_of_the_random_effect():
    found = review.update_effects().set_index("group")
    names = ("", "_lower", "_upper")
    for when, table in {"before": load_cohorts(), "after": since_then.updated_cohorts()}.items():
        for group in ("all cohorts", "MM", "MCL", "cilta-cel, MM"):
            part = table
            if group != "all cohorts":
                part = part[part["entity"].astype(str) == group.split(", ")[-1]]
            if group == "cilta-cel, MM":
                part = part[part["product"].astype(str) == "cilta-cel"]
            x, n = (part[c].to_numpy(float) for c in ("nonrelapse_deaths", "patients"))
            ours = [found.loc[group, f"{when}{name}"] for name in names]
            np.testing.assert_allclose(ours, wald_by_quadrature(x, n), rtol=2e-3, err_msg=group)


def test_no_report_that_may_share_patients_is_added():
    later = load_context("later_cohorts")
    added = later[later["update"] == "add"]
    assert added[["earlier_cohort", "shared_patients"]].isna().all(axis=None)
