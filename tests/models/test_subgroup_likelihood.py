"""Groups with one variance in one GLMM, and likelihood-ratio tests between groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference_values as ref
import scipy.optimize
import scipy.special
import scipy.stats
from densities import log_binomial

from helpers.engine.counts.fit import fit_glmm
from helpers.engine.normal.inverse_variance import fit_inverse_variance
from helpers.errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from helpers.models.pooling import pool
from helpers.models.subgroup_analysis import SubgroupResult, subgroups
from helpers.models.subgroup_fits import likelihood_ratio_test

OWN = ("entity", "product", "setting", "line", "inclusion")
X = np.array([0, 3, 8, 12, 2, 9, 21, 4, 15, 30], dtype=float)
N = np.array([25, 40, 60, 55, 48, 70, 66, 31, 52, 90], dtype=float)
BY = list("aaabbbbccc")


def run(name: str, **options: Any) -> SubgroupResult:
    block = ref.load()["subgroups"][name]
    levels = block["levels"]
    return subgroups(
        events=[x for level in levels for x in np.atleast_1d(block["group_xi"][level])],
        n=[n for level in levels for n in np.atleast_1d(block["group_ni"][level])],
        by=[lv for lv in levels for _ in np.atleast_1d(block["group_xi"][lv])],
        **options,
    )


def group_of(column: str, levels: list[str], reference: str) -> str:
    """Level that a column of R's design matrix stands for (names end in the level)."""
    if column == "(Intercept)":
        return reference
    return max((lv for lv in levels if column.endswith(lv)), key=len)


@pytest.mark.parametrize("name", OWN)
def test_joint_glmm_agrees_with_the_exact_maxima_of_r(name: str) -> None:
    """R's design has a reference level: the means are sums of its coefficients.

    R's maximiser stops up to 4e-8 standard errors from the maximum (the extended-precision
    gradient is tested with the engine), so that its values are met to 2e-7 standard errors, and
    the engine's fit of R's own design to 1e-9.
    """
    regression = ref.load()["meta_regression"][name]
    r, columns = regression["GLMM_exact"], regression["columns"]
    result = run(name, model="glmm", group_tau2="common")
    levels = list(result.groups)
    named = {group_of(column, levels, "") for column in columns[1:]}
    (reference,) = set(levels) - named
    order = [group_of(column, levels, reference) for column in columns]
    assert sorted(order) == sorted(levels)
    turn = np.eye(len(columns))
    turn[:, 0] = 1.0
    rows = np.array(regression["rows"]) - 1
    events, n = ref.counts()
    ours = fit_glmm(events[rows], n[rows], regression["X"])
    fits = [result.groups[level] for level in order]
    mu, se = np.array([fit.mu for fit in fits]), np.array([fit.se for fit in fits])
    for coef, cov, tau, tau_se, loglik, tolerance in (
        (r["coef"], r["vcov"], r["tau"], r["se.tau"], r["loglik"], 2e-7),
        (ours.beta[0], ours.vcov[0], ours.tau[0], ours.tau_se[0], ours.loglik[0], 1e-9),
    ):
        their_se = np.sqrt(np.diag(turn @ np.array(cov) @ turn.T))
        assert (np.abs(mu - turn @ np.array(coef)) <= tolerance * their_se).all()
        assert (np.abs(se / their_se - 1) <= tolerance).all()
        assert fits[0].tau2 == pytest.approx(tau**2, abs=tolerance * 2 * tau * tau_se)
        assert fits[0].tau2_se == pytest.approx(2 * tau * tau_se, rel=tolerance)
        assert {(fit.tau2, fit.tau2_se) for fit in fits} == {(fits[0].tau2, fits[0].tau2_se)}
        assert sum(fit.loglik for fit in fits) == pytest.approx(loglik, rel=1e-13)
    assert result.test.df == r["QM.df"]
    # a root of QM is a distance in standard errors
    assert (
        pytest.approx(r["QM"] ** 0.5, abs=2e-7 * (1 + r["QM"] ** 0.5)) == result.test.statistic**0.5
    )
    assert result.test.p == pytest.approx(r["QM.p"], abs=2e-7)


def test_likelihood_ratio_of_means_by_inverse_variance_agrees_with_metafor() -> None:
    agree = ref.Agreement()
    for name in OWN:
        r = ref.load()["meta_regression"][name]["ML_likelihood_ratio_test"]
        test = run(name, group_tau2="common", tau2_method="ML").likelihood_ratio_test()
        assert (test.df_means, test.df_tau2, test.cautions) == (test.df, 0, ())
        agree.close(test.statistic, r["LRT"], "tight", f"{name}/LRT")
        agree.close(test.df, r["df"], "closed", f"{name}/df")
        agree.close(test.p, r["p"], "tight", f"{name}/p")
    agree.finish(15)


def test_likelihood_ratio_of_means_and_variances_agrees_with_the_fits_of_metafor() -> None:
    agree = ref.Agreement()
    overall = ref.load()["PLO_fits"]["ML"]["z"]["fitstats.ML"]["ll"]
    for name in ("entity", "product", "setting", "line"):
        r = ref.load()["subgroups"][name]["ML_separate_tau2"]["groups"]
        test = run(name, tau2_method="ML").likelihood_ratio_test()
        total = sum(group["fitstats.ML"]["ll"] for group in r.values())
        df = 2 * (len(r) - 1)
        agree.close(test.statistic, 2 * (total - overall), "tight", f"{name}/LRT")
        agree.close(test.df, df, "closed", f"{name}/df")
        agree.close(test.p, scipy.stats.chi2.sf(2 * (total - overall), df), "tight", f"{name}/p")
    agree.finish(12)


def test_likelihood_ratio_of_the_glmm_agrees_with_the_exact_maxima() -> None:
    agree = ref.Agreement()
    r = ref.load()
    overall = r["GLMM"]["exact_nAGQ7"]["loglik"]
    for name in ("entity", "product", "setting", "line"):
        block = r["subgroups"][name]
        separate = run(name, model="glmm").likelihood_ratio_test()
        total = 0.0
        for level, group in block["GLMM_exact"]["groups"].items():
            if "loglik" in group:
                total += group["loglik"]
            else:  # one study: its own proportion explains it fully
                x, n = block["group_xi"][level], block["group_ni"][level]
                x, n = np.ravel(x)[0], np.ravel(n)[0]
                total += scipy.stats.binom.logpmf(x, n, x / n)
        agree.close(separate.statistic, 2 * (total - overall), "glmm", f"{name}/separate")
        common = run(name, model="glmm", group_tau2="common").likelihood_ratio_test()
        joint = r["meta_regression"][name]["GLMM_exact"]["loglik"]
        agree.close(common.statistic, 2 * (joint - overall), "glmm", f"{name}/common")
        assert separate.df == 2 * common.df
    agree.finish(8)


def test_the_joint_glmm_is_the_maximum_of_a_brute_force_likelihood() -> None:
    """A plain trapezoid and Nelder-Mead: estimates, shares of the log-likelihood, both tests."""
    u = np.linspace(-9, 9, 1501)[:, None]
    weight = scipy.stats.norm.pdf(u[:, 0]) * (u[1, 0] - u[0, 0])
    group = np.array([ord(g) - ord("a") for g in BY])

    def each(means: Any, tau: Any) -> np.ndarray:
        eta = np.atleast_1d(means)[..., group] if np.size(means) > 1 else np.full(10, means)
        return np.log(weight @ np.exp(log_binomial(X, N, eta + np.broadcast_to(tau, 10) * u)))

    def best(f: Any, start: list[float]) -> Any:
        options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 9000, "maxfev": 9000}
        return scipy.optimize.minimize(f, start, method="Nelder-Mead", options=options)

    none = best(lambda t: -each(t[0], np.exp(t[1])).sum(), [-1.5, -0.5])
    means = best(lambda t: -each(t[:3], np.exp(t[3])).sum(), [-2.0, -1.5, -1.0, -0.7])
    result = subgroups(events=X, n=N, by=BY, model="glmm", group_tau2="common", quad_points=40)
    fits = list(result.groups.values())
    assert [fit.mu for fit in fits] == pytest.approx(means.x[:3], abs=1e-5)
    assert fits[0].tau2 == pytest.approx(np.exp(2 * means.x[3]), rel=1e-4)
    at = each(np.array([fit.mu for fit in fits]), np.sqrt(fits[0].tau2))
    for j, fit in enumerate(fits):
        assert fit.loglik == pytest.approx(at[group == j].sum(), abs=1e-9)
    test = result.likelihood_ratio_test()
    assert pytest.approx(2 * (none.fun - means.fun), abs=1e-7) == test.statistic

    alone = [
        best(lambda t, j=j: -each(t[0], np.exp(t[1]))[group == j].sum(), [-1.5, -0.9]).fun
        for j in range(3)
    ]
    own = subgroups(events=X, n=N, by=BY, model="glmm", quad_points=40).likelihood_ratio_test()
    assert pytest.approx(2 * (none.fun - sum(alone)), abs=1e-7) == own.statistic
    assert own.statistic >= test.statistic


@pytest.mark.parametrize("tau2", ["separate", "common"])
def test_the_likelihood_ratio_by_inverse_variance_is_that_of_a_general_optimiser(tau2: str) -> None:
    result = subgroups(events=X, n=N, by=BY, group_tau2=tau2, tau2_method="ML")
    y, v = result.overall.data.yi, result.overall.data.vi
    group = np.array([ord(g) - ord("a") for g in BY])

    def minus(means: np.ndarray, variances: np.ndarray) -> float:
        return -scipy.stats.norm.logpdf(y, means, np.sqrt(v + variances)).sum()

    def best(f: Any, means: int, variances: int) -> float:
        start, bounds = [-1.5] * means + [0.3] * variances, [(-9, 9)] * means + [(0, 9)] * variances
        options = {"ftol": 1e-15, "gtol": 1e-9}
        return scipy.optimize.minimize(f, start, bounds=bounds, options=options).fun

    none = best(lambda t: minus(t[0], t[1]), 1, 1)
    if tau2 == "common":
        groups = best(lambda t: minus(t[:3][group], t[3]), 3, 1)
    else:
        groups = best(lambda t: minus(t[:3][group], t[3:][group]), 3, 3)
    test = result.likelihood_ratio_test()
    assert pytest.approx(2 * (none - groups), abs=1e-7) == test.statistic
    assert test.df == (2 if tau2 == "common" else 4)
    assert test.loglik_groups == pytest.approx(-groups, abs=1e-7)


def test_with_a_common_effect_the_tests_have_closed_forms() -> None:
    inverse = subgroups(events=X, n=N, by=BY, model="common")
    test = inverse.likelihood_ratio_test()
    assert pytest.approx(inverse.test.statistic, rel=1e-10) == test.statistic
    assert (test.df, test.df_tau2) == (2, 0)
    binomial = subgroups(events=X, n=N, by=BY, model="common", method="likelihood")
    sums = np.array([[X[np.array(BY) == g].sum(), N[np.array(BY) == g].sum()] for g in "abc"])
    table = np.column_stack([sums[:, 0], sums[:, 1] - sums[:, 0]])
    g = scipy.stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    test = binomial.likelihood_ratio_test()
    assert pytest.approx(g.statistic, rel=1e-9) == test.statistic
    assert test.p == pytest.approx(g.pvalue, rel=1e-8)


@pytest.mark.parametrize("tau2", ["separate", "common"])
def test_what_is_tested_is_said(tau2: str) -> None:
    test = subgroups(events=X, n=N, by=BY, model="glmm", group_tau2=tau2).likelihood_ratio_test()
    both = "equal means and equal between-study variances"
    means = "equal means, with one between-study variance"
    expected = both if tau2 == "separate" else means
    assert test.kind == f"Likelihood-ratio test of {expected}"


@pytest.mark.parametrize("method", ["REML", "DL", "PM"])
def test_other_estimators_than_maximum_likelihood_are_refused(method: str) -> None:
    for tau2 in ("separate", "common"):
        result = subgroups(events=X, n=N, by=BY, group_tau2=tau2, tau2_method=method)
        with pytest.raises(UnsupportedError, match=f"not tau2_method='{method}'"):
            result.likelihood_ratio_test()


def test_fits_that_are_no_certified_maximum_are_refused() -> None:
    result = subgroups(events=X, n=N, by=BY, model="glmm")
    groups = dict(result.groups)
    groups["b"] = replace(groups["b"], converged=False)
    with pytest.raises(ConvergenceError, match="no certified maximum: group b"):
        likelihood_ratio_test(groups, result.overall, separate=True)
    # below that of all studies together: by 0.01 a maximum was missed, by less it is rounding
    rest = result.overall.loglik - sum(f.loglik for name, f in groups.items() if name != "b")
    groups["b"] = replace(result.groups["b"], loglik=rest - 0.01)
    with pytest.raises(ConvergenceError, match=r"exceeds that of the groups by 0\.01:"):
        likelihood_ratio_test(groups, result.overall, separate=True)
    groups["b"] = replace(result.groups["b"], loglik=rest - 1e-9)
    assert likelihood_ratio_test(groups, result.overall, separate=True).statistic == 0.0


# --- boundary and groups of one study --------------------------------------------------------


def test_a_variance_at_zero_is_counted_and_said() -> None:
    x, n = [5, 5, 6, 2, 19, 30], [50, 50, 60, 40, 50, 61]
    for model in ("glmm", "random"):
        result = subgroups(
            events=x, n=n, by=list("aaabbb"), model=model, tau2_method="ML", ci_method="wald"
        )
        assert result.groups["a"].tau2 == 0.0 < result.groups["b"].tau2
        test = result.likelihood_ratio_test()
        assert (test.df_means, test.df_tau2, test.df) == (1, 1, 2)
        (caution,) = test.cautions
        assert caution.code == "boundary"
        assert caution.message.startswith("a: ")


def test_without_any_variance_the_test_is_that_of_common_effects() -> None:
    given = {"events": [5, 5, 6, 9, 9, 9], "n": [50, 50, 60, 60, 61, 62], "by": list("aaabbb")}
    for tau2, df in (("separate", 2), ("common", 1)):
        result = subgroups(**given, model="glmm", group_tau2=tau2)
        assert {fit.tau2 for _, fit in result} | {result.overall.tau2} == {0.0}
        test = result.likelihood_ratio_test()
        plain = subgroups(**given, model="common", method="likelihood").likelihood_ratio_test()
        assert pytest.approx(plain.statistic, rel=1e-8) == test.statistic
        assert test.df == df
        assert ("all studies together" in "".join(c.message for c in test.cautions)) == (df == 2)


@pytest.mark.parametrize("model", ["glmm", "random"])
def test_a_group_of_one_study_is_counted_so_that_models_are_nested(model: str) -> None:
    by = ["one", *BY[1:]]
    x = np.array([4, *X[1:]])
    result = subgroups(events=x, n=N, by=by, model=model, tau2_method="ML", ci_method="wald")
    test = result.likelihood_ratio_test()
    assert (test.df_means, test.df_tau2) == (3, 3)
    assert "single-study-group" in [c.code for c in test.cautions]
    one = result.groups["one"]
    if model == "glmm":
        assert one.loglik == pytest.approx(scipy.stats.binom.logpmf(4, 25, 4 / 25))
    else:
        # the maximum over its mean and its variance >= 0
        assert one.loglik == pytest.approx(-0.5 * np.log(2 * np.pi * one.data.vi[0]))
    # nested: no common mean and variance, one study included, can be more likely
    held = subgroups(
        events=x, n=N, by=by, model=model, group_tau2="common", tau2_method="ML", ci_method="wald"
    )
    assert 0 <= held.likelihood_ratio_test().statistic <= test.statistic
    assert held.likelihood_ratio_test().cautions == ()


def test_one_study_takes_the_common_variance() -> None:
    by = ["one", *BY[1:]]
    for model in ("glmm", "random"):
        result = subgroups(events=[4, *X[1:]], n=N, by=by, model=model, group_tau2="common")
        one = result.groups["one"]
        assert one.tau2 == result.groups["b"].tau2 > 0
        assert one.se_model**2 > one.tau2
        messages = {c.code: c.message for c in one.cautions} | {
            c.code: c.message for c in result.cautions
        }
        assert "that of all groups" in messages["single-study"]
        assert "that of all groups" in messages["single-study-group"]
        assert "few-studies" not in [c.code for _, fit in result for c in fit.cautions]


@pytest.mark.parametrize("model", ["glmm", "random"])
def test_a_common_variance_needs_a_group_of_two(model: str) -> None:
    with pytest.raises(MetaAnalysisError, match="no group has two studies"):
        subgroups(
            events=[3, 8, 9], n=[40, 60, 50], by=list("abc"), model=model, group_tau2="common"
        )


# --- the results of a joint fit --------------------------------------------------------------


def joint() -> SubgroupResult:
    return subgroups(events=X, n=N, by=BY, model="glmm", group_tau2="common")


def test_profile_limits_of_a_joint_fit_lie_where_its_likelihood_falls() -> None:
    """The likelihood with the group's mean held: its studies move to an offset."""
    result, drop = joint(), 0.5 * scipy.stats.chi2.ppf(0.95, 1)
    design = np.array([[g == level for level in "abc"] for g in BY], dtype=float)
    total = sum(fit.loglik for _, fit in result)
    for j, fit in enumerate(result.groups.values()):
        for limit in fit.conf_int("profile", scale="model"):
            others = np.delete(design, j, axis=1)
            held = fit_glmm(X, N, others, offset=design[:, j] * limit)
            assert held.loglik[0] == pytest.approx(total - drop, abs=1e-8)
        low, high = fit.tau2_ci()
        assert low <= fit.tau2 <= high
        assert fit.tau2_ci() == result.groups["a"].tau2_ci()


def test_group_weights_and_totals_belong_to_the_group() -> None:
    result = joint()
    for level, fit in result:
        rows = np.array(BY) == level
        assert fit.weights.sum() == pytest.approx(100.0)
        assert (fit.events, fit.n) == (X[rows].sum(), N[rows].sum())
        alone = pool(events=X[rows], n=N[rows], model="glmm")
        own, vt = alone.heterogeneity, alone.heterogeneity.typical_variance
        ours = (fit.heterogeneity.Q, fit.heterogeneity.Q_wald, fit.heterogeneity.I2)
        assert ours == pytest.approx((own.Q, own.Q_wald, 100 * fit.tau2 / (fit.tau2 + vt)))
        assert "one between-study variance" in str(fit.methods())
        assert fit.converged
        assert fit.certificate is not None
    assert result.to_dict()["groups"]["a"]["tau2"] == result.groups["c"].tau2
    assert result.summary_frame()["tau2"].nunique() == 1


def test_excluded_studies_do_not_disturb_a_joint_fit() -> None:
    x = [None, *X, 7]
    n = [30, *N, 40]
    result = subgroups(events=x, n=n, by=["a", *BY, None], model="glmm", group_tau2="common")
    for level, fit in joint():
        assert result.groups[level].mu == pytest.approx(fit.mu, rel=1e-12)
        assert result.groups[level].weights[-3:] == pytest.approx(fit.weights[-3:])
    assert len(result.groups["a"].studies) == 4
    assert result.groups["a"].weights[0] == 0.0


def test_rates_can_be_compared_jointly() -> None:
    result = subgroups(
        events=X, time=N, by=BY, measure="log-rate", model="glmm", group_tau2="common"
    )
    design = np.array([[g == level for level in "abc"] for g in BY], dtype=float)
    fit = fit_glmm(X, N, design, family="poisson")
    assert [one.mu for _, one in result] == pytest.approx(fit.beta[0])
    assert sum(one.loglik for _, one in result) == pytest.approx(fit.loglik[0])
    assert result.groups["a"].time == N[:3].sum()
    assert result.likelihood_ratio_test().df == 2


@pytest.mark.parametrize(
    "ask", ["leave_one_out", "influence", "baujat", "cumulative", "gosh", "bootstrap"]
)
def test_a_group_of_a_joint_fit_is_not_fitted_again_alone(ask: str) -> None:
    fit = joint().groups["b"]
    assert fit.core.options.tau2_source == "shared"
    with pytest.raises(UnsupportedError, match="the variance belongs to all groups"):
        getattr(fit, ask)()
    with pytest.raises(UnsupportedError, match="the variance belongs to all groups"):
        fit.permutation_test(0.0)


# --- calibration under the null --------------------------------------------------------------


def p_values(loglik: list[np.ndarray], overall: np.ndarray, df: int) -> np.ndarray:
    return scipy.stats.chi2.sf(2 * np.maximum(sum(loglik) - overall, 0.0), df)


def test_by_inverse_variance_the_tests_keep_their_level() -> None:
    """2,000 null data sets of two groups of 40 studies: 5% within four standard errors."""
    rng = np.random.default_rng(20240)
    replicates, half = 2000, 40
    v = rng.uniform(0.05, 0.3, 2 * half)
    y = rng.normal(-2.5, np.sqrt(v + 0.2), (replicates, 2 * half))
    design = np.repeat(np.eye(2), half, axis=0)
    overall = fit_inverse_variance(y, v, method="ML").loglik
    alone = [
        fit_inverse_variance(y[:, s], v[s], method="ML").loglik
        for s in (slice(0, half), slice(half, 2 * half))
    ]
    together = fit_inverse_variance(y, v, design=design, method="ML").loglik
    band = 4 * np.sqrt(0.05 * 0.95 / replicates)
    for p in (p_values(alone, overall, 2), p_values([together], overall, 1)):
        assert (p < 0.05).mean() == pytest.approx(0.05, abs=band)
        assert (p < 0.5).mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(replicates))

    # with a true variance of zero the separate test is conservative, as documented
    y = rng.normal(-2.5, np.sqrt(v), (replicates, 2 * half))
    overall = fit_inverse_variance(y, v, method="ML").loglik
    alone = [
        fit_inverse_variance(y[:, s], v[s], method="ML").loglik
        for s in (slice(0, half), slice(half, 2 * half))
    ]
    assert (p_values(alone, overall, 2) < 0.05).mean() < 0.05 + band / 2


def test_for_the_glmm_the_tests_keep_their_level_and_are_those_of_subgroups() -> None:
    rng = np.random.default_rng(20241)
    replicates, half = 500, 25
    n = rng.integers(30, 200, 2 * half)
    logit = rng.normal(-2.2, 0.5, (replicates, 2 * half))
    x = rng.binomial(n, scipy.special.expit(logit))
    design = np.repeat(np.eye(2), half, axis=0)
    overall = fit_glmm(x, n).raise_for_status().loglik
    parts = (slice(0, half), slice(half, 2 * half))
    alone = [fit_glmm(x[:, s], n[s]).raise_for_status().loglik for s in parts]
    together = fit_glmm(x, n, design).raise_for_status().loglik
    by = ["a"] * half + ["b"] * half
    band = 4 * np.sqrt(0.05 * 0.95 / replicates)
    for tau2, loglik, df in (("separate", alone, 2), ("common", [together], 1)):
        p = p_values(loglik, overall, df)
        assert (p < 0.05).mean() == pytest.approx(0.05, abs=band)
        for i in (0, 1):
            one = subgroups(events=x[i], n=n, by=by, model="glmm", group_tau2=tau2)
            assert one.likelihood_ratio_test().p == pytest.approx(p[i], rel=1e-6)
