"""Rates per 100 patient-years against R, and their invariances."""

from __future__ import annotations

import numpy as np
import pytest
import reference_values as ref

from helpers import load_cohorts, meta_regression, pool, subgroups
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.rates import person_time, pool_rates, rate_sensitivity, with_person_time

R = ref.load()["incidence_rates"]
ROWS = np.array(R["rows"]) - 1
DATA = load_cohorts()
COLUMNS = {
    "events": "nonrelapse_deaths",
    "n": "patients",
    "follow_up": "median_follow_up_months",
    "study": "cohort",
}
CODES = {
    "log-rate": "IRLN",
    "raw-rate": "IR",
    "sqrt-rate": "IRS",
    "freeman-tukey-rate": "IRFT",
}
#: R's levels in the order of its coefficients, as our table spells them.
LEVELS = {
    "entity": ["IL", "LBCL", "MCL", "MM"],
    "setting": ["trial", "real-world"],
}


def test_person_time_agrees_with_r_and_the_cohort_without_follow_up_is_left_out():
    years = person_time(DATA["patients"], DATA["median_follow_up_months"])
    assert np.flatnonzero(np.isfinite(years)).tolist() == ROWS.tolist()
    assert years[ROWS] == pytest.approx(R["person_years"], rel=1e-14)
    fit = pool_rates(DATA, **COLUMNS)
    assert fit.k == 51
    left_out = fit.studies[~fit.studies["included"]]
    assert left_out["reason"].to_dict() == {"Dores 2021": "median follow-up missing"}
    assert fit.cautions[-1].code == "person-time-approximated"


@pytest.mark.parametrize("measure", CODES)
def test_pooled_rates_agree_with_metafor(measure):
    agree = ref.Agreement()
    ours = {
        "EE": {"model": "common"},
        "REML": {"tau2_method": "REML", "ci_method": "wald"},
        "REML_knha": {"tau2_method": "REML", "ci_method": "knapp-hartung"},
        "DL": {"tau2_method": "DL", "ci_method": "wald"},
    }
    for name, options in ours.items():
        want = R[CODES[measure]][name]
        fit = pool_rates(DATA, measure=measure, per=1.0, **options, **COLUMNS)
        kind = "tight" if name.startswith("REML") else "closed"
        low, high = fit.conf_int(scale="model")
        het = fit.heterogeneity
        for key, value in {
            "coef": fit.mu, "se": fit.se, "ci.lb": low, "ci.ub": high, "tau2": fit.tau2,
            "QE": het.Q, "QE.df": het.df, "QE.p": het.p, "I2": het.I2,
        }.items():  # fmt: skip
            agree.close(value, want[key], kind, f"{measure}/{name}/{key}")
    agree.finish(36)


def test_freeman_tukey_rates_agree_on_the_display_scale():
    want = R["IRFT_backtransformed"]
    fit = pool_rates(DATA, measure="freeman-tukey-rate", ci_method="wald", **COLUMNS)
    assert fit.estimate == pytest.approx(100.0 * want["pred"], rel=1e-8)
    assert list(fit.ci) == pytest.approx([100.0 * want["ci.lb"], 100.0 * want["ci.ub"]], rel=1e-8)


def test_the_poisson_glmm_agrees_with_the_exact_maximum_per_100_patient_years():
    agree = ref.Agreement()
    want = R["GLMM_exact"]
    fit = pool_rates(DATA, model="glmm", **COLUMNS)
    low, high = fit.conf_int(scale="model")
    shift = np.log(100.0)
    for key, value in {
        "coef": fit.mu - shift, "se": fit.se, "ci.lb": low - shift, "ci.ub": high - shift,
        "tau2": fit.tau2, "loglik": fit.loglik,
    }.items():  # fmt: skip
        agree.close(value, want[key], "glmm", key)
    agree.close(fit.estimate, 100.0 * np.exp(want["coef"]), "glmm", "display")
    agree.close(list(fit.ci), 100.0 * np.exp([want["ci.lb"], want["ci.ub"]]), "glmm", "limits")
    agree.finish(9)


@pytest.mark.parametrize("by", ["entity", "setting"])
def test_regressions_of_rates_agree_with_r(by):
    agree = ref.Agreement()
    data = with_person_time(DATA, per=1.0)
    data[by] = data[by].astype(str).astype("category").cat.set_categories(LEVELS[by])
    common = {"events": "nonrelapse_deaths", "time": "person_time", "study": "cohort"}
    want = R[f"by_{by}_REML"]
    fit = meta_regression(data, by, measure="log-rate", model="random", **common)
    table = fit.coefficients
    agree.close(table["estimate"].to_numpy(), want["coef"], "tight", f"{by}/coef")
    agree.close(table["se"].to_numpy(), want["se"], "tight", f"{by}/se")
    agree.close(fit.tau2, want["tau2"], "tight", f"{by}/tau2")
    if by == "entity":
        want = R["by_entity_GLMM_exact"]
        glmm = meta_regression(data, by, measure="log-rate", model="glmm", **common)
        table = glmm.coefficients
        agree.close(table["estimate"].to_numpy(), want["coef"], "glmm", f"{by}/glmm coef")
        agree.close(table["se"].to_numpy(), want["se"], "glmm", f"{by}/glmm se")
        agree.close(glmm.tau2, want["tau2"], "glmm", f"{by}/glmm tau2")
    agree.finish({"entity": 18, "setting": 5}[by])


def test_every_entry_of_the_reference_is_compared():
    entries = {key for key in R if not key.endswith(("glmer", "glmer_tight"))}
    assert entries == {
        "rows", "person_years", *CODES.values(), "IRFT_backtransformed", "GLMM_exact",
        "by_entity_REML", "by_setting_REML", "by_entity_GLMM_exact",
    }  # fmt: skip


@pytest.mark.parametrize("model", ["random", "glmm"])
@pytest.mark.parametrize("measure", ["log-rate", "sqrt-rate"])
def test_the_unit_of_time_changes_nothing_but_the_unit(model, measure):
    if model == "glmm" and measure != "log-rate":
        with pytest.raises(UnsupportedError, match="log-rate"):
            pool_rates(DATA, model=model, measure=measure, **COLUMNS)
        return
    by_one = pool_rates(DATA, model=model, measure=measure, per=1.0, **COLUMNS)
    by_hundred = pool_rates(DATA, model=model, measure=measure, **COLUMNS)
    assert by_hundred.estimate == pytest.approx(100.0 * by_one.estimate, rel=1e-9)
    assert list(by_hundred.ci) == pytest.approx([100.0 * x for x in by_one.ci], rel=1e-9)
    assert by_hundred.heterogeneity.p == pytest.approx(by_one.heterogeneity.p, rel=1e-6)
    assert by_hundred.time == pytest.approx(by_one.time / 100.0)


@pytest.mark.parametrize("measure", CODES)
def test_sensitivity_to_a_common_factor_is_exact(measure):
    fit = pool_rates(DATA, measure=measure, **COLUMNS)
    tenths = np.linspace(0.6, 1.2, 7)
    np.testing.assert_allclose(rate_sensitivity(fit).index, tenths, rtol=1e-12)
    for factor, row in rate_sensitivity(fit, (0.7, 1.3)).iterrows():
        again = pool_rates(DATA, measure=measure, factor=factor, **COLUMNS)
        assert row["estimate"] == pytest.approx(again.estimate, rel=1e-8)
        assert [row["ci_lower"], row["ci_upper"]] == pytest.approx(list(again.ci), rel=1e-8)


def test_a_factor_for_each_cohort_changes_only_its_cohorts():
    trial = (DATA["setting"] == "trial").to_numpy()
    factor = np.where(trial, 0.8, 1.0)
    table = pool_rates(DATA, factor=factor, **COLUMNS).studies
    plain = pool_rates(DATA, **COLUMNS).studies
    ratio = (table["estimate"] / plain["estimate"]).to_numpy(dtype=float)
    kept = table["included"].to_numpy() & (plain["estimate"] > 0).to_numpy()
    assert ratio[kept] == pytest.approx((1.0 / factor)[kept])


def test_the_wrapper_keeps_the_aftercare_of_a_pooled_result():
    fit = pool_rates(DATA, model="glmm", **COLUMNS)
    assert len(fit.leave_one_out()) == fit.k == 51
    assert fit.prediction_interval().lower < fit.ci.lower
    time = person_time(DATA["patients"], DATA["median_follow_up_months"], per=100.0)
    same = pool(
        DATA, events="nonrelapse_deaths", time=time, study="cohort",
        measure="log-rate", model="glmm",
    )  # fmt: skip
    assert same.mu == fit.mu
    groups = subgroups(
        with_person_time(DATA), by="setting", events="nonrelapse_deaths", time="person_time",
        study="cohort", measure="log-rate", model="glmm",
    )  # fmt: skip
    assert sum(group.k for group in groups.groups.values()) == 51


def test_impossible_input_is_named_with_its_study():
    good = {"events": [1, 2], "n": [10, 20], "follow_up": [6.0, 12.0]}
    with pytest.raises(MetaAnalysisError, match="Study 2, follow_up: 0, expected months above 0"):
        pool_rates(**{**good, "follow_up": [6.0, 0.0]})
    with pytest.raises(MetaAnalysisError, match=r"Study 1, n: 10\.5"):
        pool_rates(**{**good, "n": [10.5, 20]})
    with pytest.raises(MetaAnalysisError, match="Study 2: 21 events exceed 20 patients"):
        pool_rates(**{**good, "events": [1, 21]})
    with pytest.raises(MetaAnalysisError, match="factor"):
        pool_rates(**good, factor=[1.0, 1.0, 1.0])
    with pytest.raises(MetaAnalysisError, match="Study 1, factor: -1"):
        pool_rates(**good, factor=-1.0)
    with pytest.raises(MetaAnalysisError, match="per="):
        pool_rates(**good, per=0.0)
    with pytest.raises(UnsupportedError, match="measure='logit'"):
        pool_rates(**good, measure="logit")
    with pytest.raises(UnsupportedError, match="person-time"):
        rate_sensitivity(pool(events=[1, 5], n=[10, 20]))
    missing = pool_rates(events=[1, 2, 9], n=[10, None, 30], follow_up=[6, None, 9])
    assert missing.studies.loc["Study 2", "reason"] == "patients and median follow-up missing"
