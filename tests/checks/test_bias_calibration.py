"""What the tests do when there is nothing to find, by simulation (seeded)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nightly import nightly
from reference_values import PATH
from scipy import stats

from helpers.checks.bias import begg, egger, excess_significance, selection_model, simulate_null
from helpers.checks.bias.lines import egger_batch
from helpers.engine.effects import get_measure

DATA = json.loads((PATH).read_text(encoding="utf-8"))["data"]
EVENTS = np.array(DATA["deaths"], dtype=float)
N = np.array(DATA["Patient_number"], dtype=float)


def normal_effects(draws: int, k: int, tau: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(123)
    vi = rng.uniform(0.02, 0.5, (draws, k))
    return rng.normal(0.4, np.sqrt(vi + tau**2)), vi


@pytest.mark.parametrize("k", [3, 10, 40])
def test_p_values_of_egger_are_uniform_without_heterogeneity(k: int) -> None:
    yi, vi = normal_effects(5000, k, 0.0)
    assert stats.kstest(egger_batch(yi, vi).p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("predictor", ["vi", "other"])
def test_p_values_are_uniform_for_other_predictors(predictor: str) -> None:
    yi, vi = normal_effects(5000, 20, 0.0)
    x = vi if predictor == "vi" else np.random.default_rng(4).uniform(10, 1000, vi.shape)
    assert stats.kstest(egger_batch(yi, vi, x).p, "uniform").pvalue > 0.01


def test_p_values_of_the_random_version_are_uniform_with_heterogeneity() -> None:
    yi, vi = normal_effects(3000, 40, 0.6)
    p = egger_batch(yi, vi, model="random", ci_method="knapp-hartung").p
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_begg_keeps_its_level() -> None:
    yi, vi = normal_effects(1500, 15, 0.0)
    p = np.array([begg(y, v).p for y, v in zip(yi, vi, strict=True)])
    # The score is discrete and the centring costs a little: at most the nominal level.
    for alpha in (0.05, 0.2):
        assert (p <= alpha).mean() < alpha + 3 * np.sqrt(alpha * (1 - alpha) / p.size)
        assert (p <= alpha).mean() > 0.5 * alpha


@pytest.mark.parametrize("draws", [30, nightly(120)])
def test_selection_model_keeps_its_level(draws: int) -> None:
    rng = np.random.default_rng(5)
    p = []
    for _ in range(draws):
        vi = rng.uniform(0.02, 0.3, 60)
        yi = rng.normal(0.3, np.sqrt(vi + 0.04))
        p.append(selection_model(yi, vi).lrt_p)
    rejected = (np.array(p) < 0.1).mean()
    assert abs(rejected - 0.1) < 3.5 * np.sqrt(0.09 / draws)


def test_selection_model_recovers_what_was_selected() -> None:
    rng = np.random.default_rng(6)
    vi = rng.uniform(0.02, 0.3, 4000)
    yi = rng.normal(0.2, np.sqrt(vi + 0.04))
    seen = (yi / np.sqrt(vi) > stats.norm.isf(0.025)) | (rng.uniform(size=4000) < 0.25)
    result = selection_model(yi[seen], vi[seen])
    assert abs(result.mu - 0.2) < 3.5 * result.se
    assert result.delta_se[1] is not None
    assert abs(result.delta[1] - 0.25) < 3.5 * result.delta_se[1]
    assert result.mu_unadjusted > 0.25


def test_excess_significance_keeps_its_level() -> None:
    yi, vi = normal_effects(600, 20, 0.0)
    p = np.array([excess_significance(y, v, mu=0.4).p_exact for y, v in zip(yi, vi, strict=True)])
    assert (p <= 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def null_cohorts(rate: float, draws: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Cohorts of 50 to 300 patients with one rate: nothing depends on size."""
    rng = np.random.default_rng(2024)
    n = np.round(np.exp(rng.uniform(np.log(50), np.log(300), (draws, 30))))
    return rng.binomial(n.astype(int), rate).astype(float), n


def test_a_logit_and_its_standard_error_are_correlated_by_construction() -> None:
    x, n = null_cohorts(0.06, 400)
    for measure, low, high in (
        ("logit", -1.0, -0.5),
        ("log", -1.0, -0.5),
        ("raw", 0.2, 1.0),
        ("double-arcsine", -0.1, 0.1),
    ):
        yi, vi = get_measure(measure).effects(x, n)
        r = [np.corrcoef(y, np.sqrt(v))[0, 1] for y, v in zip(yi, vi, strict=True)]
        assert low < np.mean(r) < high, measure


@pytest.mark.parametrize("rate", [0.03, 0.06])
def test_egger_on_logits_finds_bias_where_there_is_none(rate: float) -> None:
    x, n = null_cohorts(rate)
    logit, logit_v = get_measure("logit").effects(x, n)
    wide, wide_v = get_measure("double-arcsine").effects(x, n)
    false = {
        "egger": egger_batch(logit, logit_v),
        "double arcsine": egger_batch(wide, wide_v),
        "double arcsine, random": egger_batch(wide, wide_v, model="random", tau2_method="DL"),
        "peters, size": egger_batch(logit, logit_v, 1.0 / n, weights=n),
    }
    level = {name: float((lines.p < 0.05).mean()) for name, lines in false.items()}
    noise = 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert level["egger"] > 0.7
    assert abs(level["double arcsine"] - 0.05) < noise + 0.01
    assert level["double arcsine, random"] < 0.05 + noise
    assert level["peters, size"] < 0.10
    assert float(false["egger"].slope.mean()) < -0.5


def test_the_double_arcsine_test_finds_small_study_effects_that_exist() -> None:
    rng = np.random.default_rng(77)
    n = np.round(np.exp(rng.uniform(np.log(30), np.log(400), (1000, 40))))
    rate = 0.03 + 0.6 / np.sqrt(n)
    x = rng.binomial(n.astype(int), rate).astype(float)
    yi, vi = get_measure("double-arcsine").effects(x, n)
    lines = egger_batch(yi, vi, model="random", tau2_method="DL")
    assert float((lines.p < 0.05).mean()) > 0.8
    assert float(lines.slope.mean()) > 0


def test_egger_is_harmless_where_the_rate_is_one_half() -> None:
    x, n = null_cohorts(0.5)
    yi, vi = get_measure("logit").effects(x, n)
    assert abs(float((egger_batch(yi, vi).p < 0.05).mean()) - 0.05) < 0.02


def test_the_plain_arcsine_drifts_where_few_events_are_expected() -> None:
    rng = np.random.default_rng(9)
    n = np.round(np.exp(rng.uniform(np.log(15), np.log(300), (2000, 30))))
    x = rng.binomial(n.astype(int), 0.03).astype(float)
    rejected = {}
    for measure in ("arcsine", "double-arcsine"):
        yi, vi = get_measure(measure).effects(x, n)
        rejected[measure] = float((egger_batch(yi, vi).p < 0.05).mean())
    assert rejected["arcsine"] > 0.12
    assert rejected["double-arcsine"] < 0.09


def test_simulation_at_the_cohorts_sizes_explains_the_published_egger_test() -> None:
    result = simulate_null(events=EVENTS, n=N, draws=500, seed=2)
    table = result.summary_frame()
    assert len(table) == 8
    egger_row, suited = table.loc["Egger (logit)"], table.loc["Double arcsine"]
    assert egger_row["observed_p"] == pytest.approx(egger(events=EVENTS, n=N).p, rel=1e-12)
    assert egger_row["observed_p"] < 0.01
    assert egger_row["rejection"] > 0.3
    assert egger_row["calibrated_p"] > 0.1
    assert abs(suited["rejection"] - 0.05) < 0.03
    assert suited["calibrated_p"] == pytest.approx(suited["observed_p"], abs=0.07)


def test_the_same_seed_simulates_the_same() -> None:
    one, again, other = (
        simulate_null(events=EVENTS, n=N, draws=20, seed=seed) for seed in (2, 2, 3)
    )
    assert again == one
    assert other != one


def test_calibrated_p_values_are_uniform_in_data_of_the_null() -> None:
    rng = np.random.default_rng(31)
    n = np.array([25, 40, 60, 80, 100, 130, 170, 220, 300, 400, 35, 55])
    p = [
        simulate_null(
            events=rng.binomial(n, 0.08),
            n=n,
            mu=np.log(0.08 / 0.92),
            tau2=0.0,
            tau2_method="DL",
            draws=99,
            seed=seed,
        ).calibrated_p[0]
        for seed in range(150)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01
