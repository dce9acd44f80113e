"""Pooled fits agree with R."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference_values as ref

from helpers.models.pooling import pool
from helpers.models.result import PoolResult

TESTS = {"z": "wald", "knha": "knapp-hartung", "adhoc": "knapp-hartung-max1", "t": "t"}
MEASURES = {"PAS": "arcsine", "PLN": "log", "PR": "raw", "PFT": "double-arcsine"}
CLOSED = ("EE", "DL", "HE", "HS", "HSk", "SJ")


def fit_of(measure: str, method: str, ci_method: str) -> PoolResult:
    events, n = ref.counts()
    if method == "EE":
        return pool(events=events, n=n, measure=measure, model="common")
    return pool(events=events, n=n, measure=measure, tau2_method=method, ci_method=ci_method)


def compare(agree: ref.Agreement, fit: PoolResult, r: dict[str, Any], kind: str, path: str) -> None:
    """Everything that metafor prints about one inverse-variance fit."""
    low, high = fit.conf_int(scale="model")
    test = fit.effect_test()
    values: dict[str, Any] = {
        "k": fit.k,
        "coef": fit.mu,
        "se": fit.se,
        "ci.lb": low,
        "ci.ub": high,
        "stat": test.statistic,
        "pval": test.p,
        "ddf": test.df,
        "tau2": fit.tau2,
        "tau": fit.tau2**0.5,
        "se.tau2": fit.tau2_se,
        "QE": fit.heterogeneity.Q,
        "QE.df": fit.heterogeneity.df,
        "QE.p": fit.heterogeneity.p,
        "I2": fit.heterogeneity.I2,
        "H2": fit.heterogeneity.H2,
        "typical.v": fit.heterogeneity.typical_variance,
    }
    for name, value in values.items():
        agree.close(value, r[name], kind, f"{path}/{name}")
    agree.close(fit.engine.loglik[0], r["fitstats.ML"]["ll"], kind, f"{path}/loglik")
    agree.close(fit.engine.loglik_restricted[0], r["fitstats.REML"]["ll"], kind, f"{path}/reml")
    if fit.ci_method.startswith("knapp-hartung"):
        scale = fit.engine.scale[0]
        scale = max(scale, 1.0) if fit.ci_method.endswith("max1") else scale
        agree.close(scale, r["s2w"], kind, f"{path}/s2w")
    if "prediction" in r and r["prediction"] is not None and fit.ci_method != "knapp-hartung-max1":
        scaled = fit.ci_method == "knapp-hartung"
        named = {
            "riley": "knapp-hartung-k-2" if scaled else "t-k-2",
            "t": "knapp-hartung" if scaled else "t-k-1",
        }
        if fit.ci_method == "wald":
            named["default"] = "normal"
        for entry, method in named.items():
            limits = fit.prediction_interval(method, scale="model")
            for bound, value in zip(("lb", "ub"), limits, strict=True):
                agree.close(
                    value, r["prediction"][entry][bound], kind, f"{path}/prediction.{bound}"
                )


def test_logit_fits_agree_with_metafor_for_every_estimator_and_test() -> None:
    agree = ref.Agreement()
    for method, by_test in ref.load()["PLO_fits"].items():
        if method in ("SJIT", "DLIT"):
            continue
        for test, r in by_test.items():
            if "default_control" in test:
                continue
            kind = "closed" if method in CLOSED else "tight"
            fit = fit_of("logit", method, TESTS[test])
            compare(agree, fit, r, kind, f"PLO/{method}/{test}")
    agree.finish(927)


def test_default_control_of_metafor_is_met_to_its_own_precision() -> None:
    agree = ref.Agreement()
    for method in ("REML", "ML", "EB", "PM", "PMM"):
        r = ref.load()["PLO_fits"][method]["z.default_control"]
        fit = fit_of("logit", method, "wald")
        # PM and PMM: uniroot, four digits; the others: scoring steps below 1e-5.
        kind = "uniroot" if method in ("PM", "PMM") else "lme4"
        agree.close(fit.tau2, r["tau2"], kind, f"{method}/tau2")
        agree.close(fit.mu, r["coef"], "uniroot", f"{method}/coef")
        agree.close(fit.se, r["se"], "uniroot", f"{method}/se")
    agree.finish(15)


def test_iterated_estimators_share_the_root_of_paule_and_mandel() -> None:
    agree = ref.Agreement()
    fit = fit_of("logit", "PM", "wald")
    for method in ("SJIT", "DLIT", "EB"):
        agree.close(fit.tau2, ref.load()["PLO_fits"][method]["z"]["tau2"], "tight", method)
    agree.finish(3)


@pytest.mark.parametrize(
    ("code", "expected"), [("PAS", 252), ("PLN", 252), ("PR", 252), ("PFT", 252)]
)
def test_other_measures_agree_with_metafor(code: str, expected: int) -> None:
    agree = ref.Agreement()
    for name, r in ref.load()[f"{code}_fits"].items():
        if not isinstance(r, dict):
            continue
        method, _, test = name.partition("_")
        fit = fit_of(MEASURES[code], method, TESTS[test or "z"])
        kind = "closed" if method in CLOSED else "tight"
        compare(agree, fit, r, kind, f"{code}/{name}")
        back = r["backtransformed"]
        agree.close(fit.estimate, back["pred"], kind, f"{code}/{name}/back.pred")
        agree.close(fit.ci.lower, back["ci.lb"], kind, f"{code}/{name}/back.lb")
        agree.close(fit.ci.upper, back["ci.ub"], kind, f"{code}/{name}/back.ub")
        if method != "EE":
            new = fit.prediction_interval("knapp-hartung" if test else "normal")
            agree.close(new.lower, back["pi.lb"], kind, f"{code}/{name}/back.pi")
            agree.close(new.upper, back["pi.ub"], kind, f"{code}/{name}/back.pi")
    agree.finish(expected)


def test_harmonic_mean_of_the_sizes_agrees() -> None:
    fit = fit_of("double-arcsine", "REML", "wald")
    assert fit.back_size == pytest.approx(ref.load()["PFT_fits"]["harmonic_mean_n"], rel=1e-14)


def test_back_transformed_logits_agree() -> None:
    agree = ref.Agreement()
    cases = {
        "EE": ("EE", "wald", None),
        "REML": ("REML", "wald", "normal"),
        "REML_knha": ("REML", "knapp-hartung", "knapp-hartung"),
        "DL": ("DL", "wald", "normal"),
    }
    for name, (method, ci, prediction) in cases.items():
        r, fit = ref.load()["PLO_backtransformed"][name], fit_of("logit", method, ci)
        agree.close(fit.estimate, r["pred"], "tight", f"{name}/pred")
        agree.close(list(fit.ci), [r["ci.lb"], r["ci.ub"]], "tight", f"{name}/ci")
        if prediction:
            new = fit.prediction_interval(prediction)
            agree.close(list(new), [r["pi.lb"], r["pi.ub"]], "tight", f"{name}/pi")
    agree.finish(18)


def test_likelihood_profiles_agree() -> None:
    from helpers.engine.normal.likelihood import log_likelihood
    from helpers.engine.normal.weighted import moments, prepare

    agree = ref.Agreement()
    fit = fit_of("logit", "REML", "wald")
    batch = prepare(fit.data.yi, fit.data.vi)
    for name, restricted in (("PLO_REML_profile", True), ("PLO_ML_profile", False)):
        r = ref.load()[name]
        at = np.array(r["tau2"])[None, :]
        ours = log_likelihood(batch, moments(batch, at), restricted=restricted)[0]
        agree.close(ours, r["ll"], "closed", f"{name}/ll")
    agree.finish(42)


def test_subsets_of_studies_agree_in_one_batch() -> None:
    from helpers.engine.normal.inverse_variance import fit_inverse_variance

    agree = ref.Agreement()
    r = ref.load()["PLO_subsets_for_gosh"]
    data = fit_of("logit", "REML", "wald").data
    mask = np.zeros((len(r["subsets"]), 52))
    for row, subset in enumerate(r["subsets"]):
        mask[row, np.array(subset) - 1] = 1.0
    for method, ours in (("REML", "REML"), ("EE", "common")):
        fit = fit_inverse_variance(data.yi, data.vi, mask, method=ours)
        columns = {"estimate": fit.mu, "I2": fit.I2, "H2": fit.H2, "QE": fit.Q}
        if method == "REML":
            columns["tau2"] = fit.tau2.tau2
        for name, values in columns.items():
            agree.close(values, [one[name] for one in r[method]], "tight", f"{method}/{name}")
    agree.finish(216)


def test_tau2_intervals_agree() -> None:
    agree = ref.Agreement()
    r = ref.load()["PLO_confint"]
    cases = [
        ("REML_QP", "REML", "q-profile", "inverse-variance", "tight"),
        ("REML_QP_default_control", "REML", "q-profile", "inverse-variance", "uniroot"),
        ("DL_QP", "DL", "q-profile", "inverse-variance", "tight"),
        ("ML_PL", "ML", "profile", "inverse-variance", "tight"),
        ("REML_PL", "REML", "profile", "inverse-variance", "tight"),
        ("GENQ_inverse_variance_weights", "DL", "generalised-q", "inverse-variance", "uniroot"),
        ("GENQ_unit_weights", "HE", "generalised-q", "equal", "uniroot"),
    ]
    for name, method, interval, weights, kind in cases:
        fit = fit_of("logit", method, "wald")
        limits = fit.tau2_ci(interval, weights=weights)
        vt = fit.heterogeneity.typical_variance
        for bound, value in zip(("lb", "ub"), limits, strict=True):
            agree.close(value, r[name]["tau2"][bound], kind, f"{name}/tau2")
            agree.close(value**0.5, r[name]["tau"][bound], kind, f"{name}/tau")
            i2 = 100.0 * value / (value + vt)
            agree.close(i2, r[name]["I2"][bound], kind, f"{name}/I2")
            agree.close(1.0 + value / vt, r[name]["H2"][bound], kind, f"{name}/H2")
    agree.finish(56)


def test_henmi_copas_interval_agrees() -> None:
    r = ref.load()["small_study"]["henmi_copas_tight_integration"]
    for model in ("common", "random"):
        events, n = ref.counts()
        fit = pool(events=events, n=n, model=model)
        low, high = fit.conf_int("henmi-copas", scale="model")
        assert low == pytest.approx(r["ci.lb"], rel=1e-10)
        assert high == pytest.approx(r["ci.ub"], rel=1e-10)


def test_glmm_agrees_with_the_exact_maximum() -> None:
    agree = ref.Agreement()
    events, n = ref.counts()
    for points in (1, 7, 20, 60):
        r = ref.load()["GLMM"][f"exact_nAGQ{points}"]
        fit = pool(events=events, n=n, model="glmm", quad_points=points)
        low, high = fit.conf_int("wald", scale="model")
        new = fit.prediction_interval("normal", scale="model")
        values = {
            "coef": fit.mu,
            "se": fit.se,
            "ci.lb": low,
            "ci.ub": high,
            "tau2": fit.tau2,
            "tau": fit.tau2**0.5,
            "se.tau": fit.tau2_se / (2.0 * fit.tau2**0.5),
            "loglik": fit.loglik,
            "LRT.tau2": fit.heterogeneity.tau2_lrt,
        }
        for name, value in values.items():
            agree.close(value, r[name], "glmm", f"{points}/{name}")
        agree.close(new.lower, r["prediction.default"]["lb"], "glmm", f"{points}/prediction")
        agree.close(new.upper, r["prediction.default"]["ub"], "glmm", f"{points}/prediction")
    agree.finish(44)


def test_glmm_agrees_with_lme4_to_its_precision_and_is_never_less_likely() -> None:
    agree = ref.Agreement()
    events, n = ref.counts()
    fit = pool(events=events, n=n, model="glmm")
    r = ref.load()["GLMM"]["glmer_nAGQ7_tight"]
    het = fit.heterogeneity
    values = {
        "coef": fit.mu,
        "se": fit.se,
        "tau2": fit.tau2,
        "QE.Wald": het.Q_wald,
        "QE.LRT": het.Q,
        "QE.LRT.p": het.p,
        "QE.df": het.df,
        "I2": het.I2,
        "H2": het.H2,
        "typical.v": het.typical_variance,
    }
    for name, value in values.items():
        agree.close(value, r[name], "lme4", name)
    t = ref.load()["GLMM"]["glmer_nAGQ7_t"]
    low, high = fit.conf_int("t", scale="model")
    agree.close([low, high], [t["ci.lb"], t["ci.ub"]], "lme4", "t/ci")
    for method, entry in (("normal", "default"), ("t-k-1", "t"), ("t-k-2", "riley")):
        new = fit.prediction_interval(method, scale="model")
        limits = [r["prediction"][entry][bound] for bound in ("lb", "ub")]
        agree.close(list(new), limits, "lme4", f"{method}/prediction")
    agree.finish(18)


def test_common_effect_likelihood_agrees_with_glm() -> None:
    agree = ref.Agreement()
    events, n = ref.counts()
    fit = pool(events=events, n=n, model="common", method="likelihood")
    r = ref.load()["GLMM"]["common_effect_binomial"]
    coef, se = ref.glm_as_r_stops(events, n)
    agree.close([coef, se], [r["coef"], r["se"]], "closed", "R's stopping rule")
    agree.close([fit.mu, fit.se], [coef, (1 / 574 + 1 / 7030) ** 0.5], "closed", "closed form")
    low, high = fit.conf_int(scale="model")
    agree.close([fit.se, low, high], [r["se"], r["ci.lb"], r["ci.ub"]], "glm", "limits")
    tight = ref.load()["GLMM"]["glmer_nAGQ7_tight"]
    het = fit.heterogeneity
    agree.close([het.Q_wald, het.Q], [tight["QE.Wald"], tight["QE.LRT"]], "tight", "Q")
    agree.close(fit.loglik, ref.load()["GLMM"]["exact_nAGQ7"]["loglik.tau0"], "glmm", "loglik")
    agree.finish(10)


def rates() -> tuple[np.ndarray, np.ndarray]:
    r = ref.load()["incidence_rates"]
    events, _ = ref.counts()
    return events[np.array(r["rows"]) - 1], np.array(r["person_years"])


@pytest.mark.parametrize(
    ("code", "measure", "expected"),
    [
        ("IRLN", "log-rate", 89),
        ("IR", "raw-rate", 89),
        ("IRS", "sqrt-rate", 89),
        ("IRFT", "freeman-tukey-rate", 89),
    ],
)
def test_pooled_rates_agree_with_metafor(code: str, measure: str, expected: int) -> None:
    agree = ref.Agreement()
    events, time = rates()
    for name in ("EE", "DL", "REML", "REML_knha"):
        method, _, test = name.partition("_")
        given: dict[str, Any] = (
            {"model": "common"}
            if method == "EE"
            else {"tau2_method": method, "ci_method": TESTS[test or "z"]}
        )
        fit = pool(events=events, time=time, measure=measure, **given)
        kind = "closed" if method in CLOSED else "tight"
        compare(agree, fit, ref.load()["incidence_rates"][code][name], kind, f"{code}/{name}")
    agree.finish(expected)


def test_back_transformed_freeman_tukey_rate_agrees() -> None:
    events, time = rates()
    r = ref.load()["incidence_rates"]["IRFT_backtransformed"]
    fit = pool(events=events, time=time, measure="freeman-tukey-rate", ci_method="wald")
    assert fit.back_size == pytest.approx(r["harmonic_mean_ti"], rel=1e-12)
    assert fit.estimate == pytest.approx(r["pred"], rel=1e-8)
    assert list(fit.ci) == pytest.approx([r["ci.lb"], r["ci.ub"]], rel=1e-8)


def test_poisson_glmm_agrees_with_the_exact_maximum() -> None:
    agree = ref.Agreement()
    events, time = rates()
    r = ref.load()["incidence_rates"]["GLMM_exact"]
    fit = pool(events=events, time=time, measure="log-rate", model="glmm")
    low, high = fit.conf_int(scale="model")
    values = {"coef": fit.mu, "se": fit.se, "ci.lb": low, "ci.ub": high, "tau2": fit.tau2}
    for name, value in {**values, "loglik": fit.loglik}.items():
        agree.close(value, r[name], "glmm", name)
    agree.finish(6)
