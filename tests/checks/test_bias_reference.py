"""Agreement of the small-study methods with metafor, meta and metasens (values from R).

Tolerances are relative. CLOSED: weighted least squares and ranks are closed forms, 1e-10.
TIGHT: REML with R's control set tight, 1e-8. DEFAULT: values that R computed with its default
stopping rule for tau2 (trim-and-fill after filling, limit meta-analysis, Thompson-Sharp of meta),
which leaves an error of 1e-5 in tau2 itself. OPTIMISED: numerical maxima of a flat likelihood.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from reference_values import PATH

from helpers.checks.bias import (
    arcsine_test,
    begg,
    egger,
    excess_significance,
    fail_safe_n,
    limit_meta_analysis,
    macaskill,
    pet_peese,
    peters,
    selection_model,
    thompson_sharp,
    trim_and_fill,
)
from helpers.errors import MetaAnalysisError

REFERENCE = json.loads((PATH).read_text(encoding="utf-8"))
SMALL = REFERENCE["small_study"]
YI = np.array(REFERENCE["effect_sizes"]["PLO"]["yi"])
VI = np.array(REFERENCE["effect_sizes"]["PLO"]["vi"])
EVENTS = np.array(REFERENCE["data"]["deaths"], dtype=float)
N = np.array(REFERENCE["data"]["Patient_number"], dtype=float)

CLOSED, TIGHT, DEFAULT, OPTIMISED = 1e-10, 1e-8, 2e-5, 2e-5
PREDICTORS = ("sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv")
OVERLAP_ROWS = (2, 3, 16, 17, 35, 48, 52)

#: Entries of the reference that are not compared here, and why.
NOT_COMPARED = {
    "henmi_copas": "an interval for the pooled effect: see the pooling tests",
    "henmi_copas_default_control": "the same",
    "henmi_copas_tight_integration": "the same",
    "copas_selection": "Copas' selection model is not implemented",
    "selection_models/halfnorm": "only step functions are implemented",
    "selection_models/negexp": "only step functions are implemented",
    "selection_models/logistic": "only step functions are implemented",
    "selection_models/power": "only step functions are implemented",
    "trimfill/QE, I2, H2, typical.v, fitstats, prediction, stat, pval": (
        "further fields of the refitted pooled model, which the pooling tests compare"
    ),
    "fail_safe_N/General_REML": "no published definition; Rosenthal, Orwin, Rosenberg are",
}


def close(ours: float | None, reference: float, tolerance: float, what: str) -> int:
    """Compare one value and count it."""
    assert ours is not None, what
    assert ours == pytest.approx(reference, rel=tolerance, abs=1e-14), what
    return 1


def check_line(test: Any, ref: dict[str, Any], tolerance: float) -> int:
    """Compare everything that a regression test of metafor reports."""
    (intercept, slope), (intercept_se, slope_se) = ref["coef"], ref["se"]
    pairs = [
        (test.bias, slope),
        (test.se, slope_se),
        (test.intercept, intercept),
        (test.intercept_se, intercept_se),
        (test.statistic, ref["stat"]),
        (test.p, ref["pval"]),
    ]
    if ref["limit.estimate"] is not None:
        pairs += [
            (test.limit, ref["limit.estimate"]),
            (test.limit_ci.lower, ref["limit.lb"]),
            (test.limit_ci.upper, ref["limit.ub"]),
        ]
    else:
        assert test.limit is None
        assert test.limit_ci is None
    if ref["sigma2"] is not None:
        pairs.append((test.dispersion, ref["sigma2"]))
    if ref["tau2"] is not None:
        pairs.append((test.tau2, ref["tau2"]))
    assert test.df == ref["ddf"]
    return 1 + sum(close(a, b, tolerance, f"{ref['predictor']} {ref['model']}") for a, b in pairs)


def test_regression_tests_agree_for_every_predictor_and_model() -> None:
    compared = 0
    for predictor in PREDICTORS:
        for short, model, tolerance in (
            ("lm", "multiplicative", CLOSED),
            ("rma", "random", TIGHT),
        ):
            result = egger(YI, VI, n=N, measure="logit", predictor=predictor, model=model)
            compared += check_line(result, SMALL[f"regtest_{short}_{predictor}"], tolerance)
    # 2 models x (4 predictors x 11 + 2 predictors without a limit x 8)
    assert compared == 2 * (4 * 11 + 2 * 8)


def test_knapp_hartung_version_agrees() -> None:
    result = egger(YI, VI, measure="logit", model="random", ci_method="knapp-hartung")
    assert check_line(result, SMALL["regtest_rma_sei_knha"], TIGHT) == 11


def subset(name: str) -> np.ndarray:
    data = REFERENCE["data"]
    entity, phase = np.array(data["Entity"]), np.array(data["Setting"])
    if name in ("LBCL", "MCL", "MM", "IL"):
        return entity == name
    if name in ("RW", "CT"):
        return phase == name
    if name == "n_over_80":
        return N > 80
    keep = np.ones(N.size, dtype=bool)
    if name == "overlap_excluded_INFERRED_rows":
        keep[np.array(OVERLAP_ROWS) - 1] = False
    return keep


def test_published_egger_tests_agree_on_all_nine_subsets() -> None:
    published = SMALL["egger_published_subsets"]
    compared = 0
    for name, ref in published.items():
        keep = subset(name)
        assert keep.sum() == ref["ddf"] + 2
        compared += check_line(egger(YI[keep], VI[keep], measure="logit"), ref, CLOSED)
    assert len(published) == 9
    assert compared == 9 * 11


def test_tests_of_the_meta_package_agree() -> None:
    ref = SMALL["meta_metabias"]
    assert set(ref) == {"Egger", "Begg", "Thompson"}
    one, two = egger(YI, VI), begg(YI, VI, method="normal")
    three = thompson_sharp(YI, VI)
    compared = 0
    for test, name, tolerance in ((one, "Egger", CLOSED), (two, "Begg", CLOSED)):
        compared += close(test.statistic, ref[name]["statistic"], tolerance, name)
        compared += close(test.p, ref[name]["p"], tolerance, name)
        compared += close(test.bias, ref[name]["estimate"][0], tolerance, name)
        compared += close(test.se, ref[name]["estimate"][1], tolerance, name)
    # What meta prints as tau^2 beside Egger's test is the residual variance.
    compared += close(one.dispersion, ref["Egger"]["tau2"], CLOSED, "dispersion")
    compared += close(three.statistic, ref["Thompson"]["statistic"], DEFAULT, "Thompson")
    compared += close(three.p, ref["Thompson"]["p"], DEFAULT, "Thompson")
    compared += close(three.bias, ref["Thompson"]["estimate"][0], DEFAULT, "Thompson")
    compared += close(three.se, ref["Thompson"]["estimate"][1], DEFAULT, "Thompson")
    compared += close(three.tau2, ref["Thompson"]["tau2"], DEFAULT, "Thompson")
    assert (one.df, two.df, three.df) == tuple(
        ref[name]["df"] for name in ("Egger", "Begg", "Thompson")
    )
    assert compared == 14


def test_begg_agrees_exact_and_normal() -> None:
    exact, normal = begg(YI, VI), begg(YI, VI, method="normal")
    compared = 0
    for test, key in ((exact, "begg_ranktest"), (normal, "begg_ranktest_exact_false")):
        compared += close(test.tau, SMALL[key]["tau"], CLOSED, key)
        compared += close(test.p, SMALL[key]["pval"], CLOSED, key)
    assert compared == 4


def test_peters_agrees_and_drops_cohorts_without_events_from_the_degrees_of_freedom() -> None:
    ref, test = SMALL["peters_multiplicative"], peters(events=EVENTS, n=N, weights="events")
    assert test.df == (EVENTS > 0).sum() - 2 == 48
    said = {c.code: c.message for c in test.cautions}["zero-weight"]
    assert said.startswith("Two of the 52 ")
    some = peters(events=EVENTS[EVENTS > 0], n=N[EVENTS > 0], weights="events")
    assert "zero-weight" not in {c.code for c in some.cautions}
    assert (some.bias, some.se) == pytest.approx((test.bias, test.se))
    pairs = [
        (test.intercept, ref["coef"][0]),
        (test.bias, ref["coef"][1]),
        (test.intercept_se, ref["se"][0]),
        (test.se, ref["se"][1]),
        (test.statistic, ref["t"]),
        (test.p, ref["p"]),
    ]
    assert sum(close(a, b, CLOSED, "Peters") for a, b in pairs) == 6


def test_macaskill_with_inverse_variance_weights_is_the_regression_on_n() -> None:
    ref = SMALL["regtest_lm_ni"]
    assert check_line(macaskill(events=EVENTS, n=N, weights="inverse-variance"), ref, CLOSED) == 8


TRIM_FILL = sorted(key for key in SMALL if key.startswith("trimfill"))


@pytest.mark.parametrize("key", TRIM_FILL)
def test_trim_and_fill_agrees(key: str) -> None:
    ref = SMALL[key]
    parts = key.split("_")
    result = trim_and_fill(
        YI,
        VI,
        measure="logit",
        estimator=parts[2],
        side=parts[3] if len(parts) == 4 else "auto",
        model="common" if parts[1] == "EE" else "random",
    )
    assert (result.side, result.k0, result.k + result.k0) == (ref["side"], ref["k0"], ref["k"])
    refitted = parts[1] == "REML" and result.k0 > 0
    tolerance = DEFAULT if refitted else TIGHT
    compared = close(result.k0_se, ref["se.k0"], CLOSED, key)
    compared += close(result.mu, ref["coef"], tolerance, key)
    compared += close(result.se, ref["se"], tolerance, key)
    compared += close(result.mu_ci.lower, ref["ci.lb"], tolerance, key)
    compared += close(result.mu_ci.upper, ref["ci.ub"], tolerance, key)
    compared += close(result.tau2, ref["tau2"], tolerance, key)
    assert result.k0_p == ref["p.k0"]
    filled = sorted(
        (y, v) for y, v, f in zip(result.yi, result.vi, result.filled, strict=True) if f
    )
    theirs = sorted(zip(ref["filled.yi"], ref["filled.vi"], strict=True))
    np.testing.assert_allclose(
        np.reshape(filled, (-1, 2)), np.reshape(theirs, (-1, 2)), rtol=0, atol=1e-10
    )
    assert compared == 6
    assert len(filled) == ref["k0"]


def test_all_twelve_trim_and_fill_runs_are_compared() -> None:
    assert len(TRIM_FILL) == 12
    assert {SMALL[key]["k0"] for key in TRIM_FILL} == {0, 5, 13, 16, 17, 30}


def test_limit_meta_analysis_agrees() -> None:
    ref, result = SMALL["limit_meta_analysis"], limit_meta_analysis(YI, VI, measure="logit")
    pairs = [
        (result.mu, ref["TE.adjust"], DEFAULT),
        (result.se, ref["seTE.adjust"], DEFAULT),
        (result.mu_ci.lower, ref["lower.adjust"], DEFAULT),
        (result.mu_ci.upper, ref["upper.adjust"], DEFAULT),
        (result.bias, ref["alpha.r"], DEFAULT),
        (result.slope, ref["beta.r"], DEFAULT),
        (result.Q_small, ref["Q.small"], CLOSED),
        (result.Q_residual, ref["Q.resid"], CLOSED),
        (result.G2, 100.0 * ref["G.squared"], DEFAULT),
        (np.sqrt(result.tau2), ref["tau"], DEFAULT),
    ]
    compared = sum(close(a, b, t, "limit meta-analysis") for a, b, t in pairs)
    compared += sum(
        close(a, b, DEFAULT, "TE.limit")
        for a, b in zip(result.limits, ref["TE.limit"], strict=True)
    )
    np.testing.assert_allclose(np.sqrt(VI), ref["seTE.limit"], rtol=CLOSED)
    assert compared == 10 + 52


STEPS = {
    "stepfun_025": ((0.025,), "greater"),
    "stepfun_05_less": ((0.05,), "less"),
    "stepfun_025_50": ((0.025, 0.5), "greater"),
    "stepfun_025_10_50_90": ((0.025, 0.1, 0.5, 0.9), "greater"),
    "stepfun_two_sided_05": ((0.05,), "two-sided"),
}


def check_selection(name: str) -> int:
    cutpoints, alternative = STEPS[name]
    ref = SMALL["selection_models"][name]
    centred = np.array(SMALL["selection_models"]["yi_centered"])
    result = selection_model(centred, VI, cutpoints=cutpoints, alternative=alternative)
    assert list(result.counts) == ref["ptable"]["k"]
    assert [*result.cutpoints, 1] == ref["steps"]
    assert result.converged
    # The likelihood itself is not flat in its height: the maximum agrees to rounding.
    assert result.loglik >= ref["ll"] - 1e-12
    compared = close(result.loglik, ref["ll"], CLOSED, name)
    compared += close(result.lrt, ref["LRT"], TIGHT, name)
    compared += close(result.lrt_p, ref["LRT.p"], TIGHT, name)
    compared += close(result.lrt_tau2, ref["LRT.tau2"], TIGHT, name)
    compared += close(result.lrt_tau2_p, ref["LRT.tau2.p"], TIGHT, name)
    # mu is an estimate near 0 on the centred scale: judge it by its standard error.
    for ours, theirs in (
        (result.mu, ref["coef"][0]),
        (result.mu_ci.lower, ref["ci.lb"][0]),
        (result.mu_ci.upper, ref["ci.ub"][0]),
    ):
        assert abs(ours - theirs) < OPTIMISED * result.se, name
        compared += 1
    compared += close(result.se, ref["se"][0], OPTIMISED, name)
    compared += close(result.tau2, ref["tau2"], OPTIMISED, name)
    compared += close(result.tau2_se, ref["se.tau2"], OPTIMISED, name)
    assert abs(result.p - ref["pval"][0]) < OPTIMISED
    compared += 1
    for ours, theirs in zip(result.delta[1:], ref["delta"][1:], strict=True):
        compared += close(ours, theirs, OPTIMISED, name)
    for se, theirs in zip(result.delta_se[1:], ref["se.delta"][1:], strict=True):
        compared += close(se, theirs, OPTIMISED, name)
    assert result.lrt_df == ref["LRT.df"]
    return compared


def test_step_function_selection_models_agree() -> None:
    # 12 values each, and two for every free probability (1 + 1 + 2 + 4 + 1)
    assert sum(check_selection(name) for name in STEPS) == 5 * 12 + 2 * 9


def test_an_unidentified_selection_model_is_refused_where_r_only_warns() -> None:
    ref = SMALL["selection_models"]["raw_logit_stepfun_025"]
    assert ref["warnings"]
    low = int((YI / np.sqrt(VI) > 1.959963984540054).sum())  # below 0.025, one-sided
    words = rf"needs a study .* 0 to 0\.025: {low}, 0\.025 to 1: {YI.size - low}\)"
    with pytest.raises(MetaAnalysisError, match=words):
        selection_model(YI, VI)


def test_pooled_null_gives_the_selection_model_on_centred_effects() -> None:
    centred = selection_model(np.array(SMALL["selection_models"]["yi_centered"]), VI)
    direct = selection_model(YI, VI, measure="logit", null="pooled")
    assert direct.mu - direct.null == pytest.approx(centred.mu, abs=1e-7)
    assert direct.delta[1] == pytest.approx(centred.delta[1], rel=1e-6)


def test_fail_safe_numbers_agree() -> None:
    ref = SMALL["fail_safe_N"]
    ours = {
        "Rosenthal": fail_safe_n(YI, VI, method="rosenthal"),
        "Orwin": fail_safe_n(YI, VI, method="orwin"),
        "Orwin_weighted": fail_safe_n(YI, VI, method="orwin", weighted=True),
        "Rosenberg": fail_safe_n(YI, VI, method="rosenberg"),
    }
    for name, result in ours.items():
        assert result.fail_safe == ref[name]["fsnum"]
    for name in ("Orwin", "Orwin_weighted", "Rosenberg"):
        assert ours[name].mean == pytest.approx(ref[name]["meanes"], rel=CLOSED)
    assert ours["Orwin"].target == pytest.approx(ref["Orwin"]["target"], rel=CLOSED)
    assert set(ours) | {"General_REML"} == set(ref)


def test_excess_significance_agrees() -> None:
    ref = SMALL["test_of_excess_significance_centered"]
    centred = np.array(SMALL["selection_models"]["yi_centered"])
    result = excess_significance(centred, VI)
    assert result.observed == ref["O"]
    compared = close(result.expected, ref["E"], CLOSED, "E")
    compared += close(result.ratio, ref["OEratio"], CLOSED, "ratio")
    compared += close(result.p, ref["pval"], CLOSED, "p")
    compared += close(result.mu, ref["theta"], CLOSED, "theta")
    compared += sum(
        close(a, b, CLOSED, "power") for a, b in zip(result.power, ref["power"], strict=True)
    )
    assert compared == 4 + 52


def test_pet_and_peese_agree() -> None:
    ref, result = SMALL["pet_peese"], pet_peese(YI, VI)
    pairs = []
    for test, name in ((result.pet, "PET"), (result.peese, "PEESE")):
        pairs += list(zip((test.limit, test.bias), ref[name], strict=True))
        pairs += list(zip((test.intercept_se, test.se), ref[f"{name}.se"], strict=True))
    assert sum(close(a, b, CLOSED, "PET-PEESE") for a, b in pairs) == 8


def test_peese_is_chosen_where_the_p_value_is_below_alpha() -> None:
    p = pet_peese(YI, VI).p
    for alpha, chosen in ((p, "PET"), (np.nextafter(p, 1.0), "PEESE")):
        result = pet_peese(YI, VI, alpha=alpha)
        assert result.selected == chosen
        assert result.estimate_model == getattr(result, chosen.lower()).limit


def test_every_entry_of_the_reference_is_compared_or_listed() -> None:
    compared = (
        {f"regtest_{m}_{p}" for m in ("lm", "rma") for p in PREDICTORS}
        | set(TRIM_FILL)
        | {
            "regtest_rma_sei_knha",
            "egger_published_subsets",
            "begg_ranktest",
            "begg_ranktest_exact_false",
            "fail_safe_N",
            "selection_models",
            "test_of_excess_significance_centered",
            "pet_peese",
            "peters_multiplicative",
            "meta_metabias",
            "limit_meta_analysis",
        }
    )
    top = {key for key in NOT_COMPARED if "/" not in key}
    assert compared | top == set(SMALL)
    models = set(SMALL["selection_models"]) - {"outcome", "yi_centered", "raw_logit_stepfun_025"}
    left_out = {key.split("/")[1] for key in NOT_COMPARED if key.startswith("selection_models/")}
    assert models == set(STEPS) | left_out


def test_published_conclusion_changes_with_a_test_suited_to_proportions() -> None:
    logit, suited = egger(YI, VI, measure="logit"), arcsine_test(events=EVENTS, n=N)
    assert logit.p < 0.01
    assert suited.p > 0.1
    assert "correlated-by-construction" in {c.code for c in logit.cautions}
    assert not suited.cautions
