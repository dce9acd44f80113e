"""Numbers of the checks that readers see, each beside a computation that shares no code with it."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, stats

from helpers import load_cohorts
from helpers.checks.bias import (
    fail_safe_n,
    limit_meta_analysis,
    null,
    pet_peese,
    selection_model,
    simulate_null,
    simulate_power,
    trim_and_fill,
)
from helpers.checks.multiverse import multiverse
from helpers.checks.simulation import Scenario, coverage
from helpers.checks.simulation.study import SimulationResult
from helpers.errors import ConvergenceError
from helpers.review.claim_analyses import Claim, judge

X = np.array([1, 2, 9, 12, 30, 8, 5, 11, 3, 14], dtype=float)
N = np.array([20, 60, 90, 200, 400, 150, 50, 120, 35, 110], dtype=float)
TRUTH = {"mu": -2.3, "tau2": 0.2}


def effects(k: int = 14) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(54)
    vi = rng.uniform(0.02, 0.4, k)
    return rng.normal(0.2 + 1.5 * np.sqrt(vi), np.sqrt(vi + 0.1)), vi


def logits(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    add = np.where((x == 0) | (x == N), 0.5, 0.0)
    return np.log((x + add) / (N - x + add)), 1 / (x + add) + 1 / (N - x + add)


def slopes(x: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Slope, t and p of Egger's and of Peters' test (weights: sizes)."""
    y, v = logits(x)
    found = {}
    for name, predictor, weights in (
        ("Egger (logit)", np.sqrt(v), 1 / v),
        ("Peters (weights from size)", 1 / N, N),
    ):
        line = sm.WLS(y, sm.add_constant(predictor), weights=weights).fit()
        found[name] = (line.params[1], line.tvalues[1], line.pvalues[1])
    return found


@pytest.mark.parametrize("cells", [200_000, 7 * len(N)])
def test_a_simulated_null_is_the_same_sets_tested_one_by_one(cells, monkeypatch) -> None:
    """Whatever the chunks: true logits are the first numbers of the seed, events follow."""
    monkeypatch.setattr(null, "_CELLS", cells)
    draws, seen = 40, []
    run = simulate_null(events=X, n=N, draws=draws, seed=5, alpha=0.2, **TRUTH,
                        progress=lambda *done: seen.append(done))  # fmt: skip
    rng = np.random.default_rng(5)
    eta = TRUTH["mu"] + TRUTH["tau2"] ** 0.5 * rng.standard_normal((draws, len(N)))
    events = rng.binomial(N.astype(int), 1 / (1 + np.exp(-eta))).astype(float)
    sets, real = [slopes(x) for x in events], slopes(X)
    frame = run.summary_frame()
    for name, (_, t, p) in real.items():
        slope, statistic, ps = np.array([one[name] for one in sets]).T
        row, share = frame.loc[name], (ps < 0.2).mean()
        assert 0 < share < 1
        assert row["observed_p"] == pytest.approx(p, rel=1e-9)
        assert row["rejection"] == share
        assert row["rejection_mcse"] == pytest.approx(math.sqrt(share * (1 - share) / draws))
        assert row["bias_mean"] == pytest.approx(slope.mean(), rel=1e-9)
        assert row["calibrated_p"] == (1 + (np.abs(statistic) >= abs(t)).sum()) / (1 + draws)
    assert seen[-1] == (draws, draws)
    assert len(seen) == math.ceil(draws * len(N) / cells)


def reml(yi: np.ndarray, vi: np.ndarray) -> tuple[float, float, float]:
    """Mean, standard error and tau2 by maximising the restricted likelihood over tau2."""

    def height(tau2: float) -> float:
        w = 1 / (vi + tau2)
        mu = (w * yi).sum() / w.sum()
        return 0.5 * (np.log(w).sum() - math.log(w.sum()) - (w * (yi - mu) ** 2).sum())

    best = optimize.minimize_scalar(
        lambda tau2: -height(tau2), bounds=(0.0, 5.0), method="bounded", options={"xatol": 1e-12}
    ).x
    w = 1 / (vi + best)
    return (w * yi).sum() / w.sum(), w.sum() ** -0.5, best


def test_the_unadjusted_numbers_of_limit_and_trim_and_fill_are_those_of_reml() -> None:
    yi, vi = effects()
    mu, se, tau2 = reml(yi, vi)
    assert tau2 > 0.01
    half = stats.norm.ppf(0.975) * se
    limit = limit_meta_analysis(yi, vi)
    assert (limit.mu_random, limit.se_random) == pytest.approx((mu, se), rel=1e-6)
    rows = limit.summary_frame()
    assert tuple(rows.loc["random effects"]) == pytest.approx(
        (mu, se, mu - half, mu + half), rel=1e-6
    )
    assert limit.Q_small_p == pytest.approx(stats.chi2.sf(limit.Q_small, 1), rel=1e-10)
    assert limit.Q_residual_p == pytest.approx(stats.chi2.sf(limit.Q_residual, 12), rel=1e-10)
    filled = trim_and_fill(yi, vi)
    assert filled.tau2_method == "REML"
    assert filled.mu_observed == pytest.approx(mu, rel=1e-6)
    assert filled.se_observed == pytest.approx(se, rel=1e-6)
    assert filled.tau2_observed == pytest.approx(tau2, rel=1e-4)
    assert tuple(filled.mu_ci_observed) == pytest.approx((mu - half, mu + half), rel=1e-6)
    again = reml(np.array(filled.yi), np.array(filled.vi))
    assert filled.k0 > 0
    assert (filled.mu, filled.se) == pytest.approx(again[:2], rel=1e-6)
    assert filled.tau2 == pytest.approx(again[2], rel=1e-4)


def test_the_raw_number_of_missing_studies_is_the_formula_at_the_last_round() -> None:
    yi, vi = effects()
    found = trim_and_fill(yi, vi, model="common", side="left", estimator="L0")
    order = np.argsort(yi)
    kept = order[: len(yi) - found.k0]
    center = np.average(yi[kept], weights=1 / vi[kept])
    rank = stats.rankdata(np.abs(yi - center))
    k, above = len(yi), rank[yi > center].sum()
    assert found.k0_raw == pytest.approx((4 * above - k * (k + 1)) / (2 * k - 1), rel=1e-12)
    assert found.k0 == max(0, round(found.k0_raw))
    assert found.tau2_method is None


def test_the_p_value_of_r0_counts_the_patterns_of_signs() -> None:
    """Without missing studies each sign has probability one half: all 2^k patterns."""
    yi = np.array([0.10, 0.15, 0.12, 0.30, 0.45, 0.60, 0.75, 0.90, 0.21, 1.10])
    vi = np.array([0.01, 0.01, 0.02, 0.04, 0.06, 0.09, 0.12, 0.16, 0.03, 0.20])
    found = trim_and_fill(yi, vi, model="common", side="left", estimator="R0")
    assert found.k0 > 0
    signs = np.array(list(itertools.product([-1, 1], repeat=10)))
    lowest = np.where(signs < 0, np.arange(1, 11), 0).max(axis=1)  # largest rank on the left
    assert found.k0_p == pytest.approx((10 - lowest - 1 >= found.k0).mean())
    # rounds: each pools what the round before has left, until the number stands still
    order, k0, rounds = np.argsort(yi), -1, 0
    new = 0
    while new != k0:
        k0, rounds = new, rounds + 1
        kept = order[: 10 - k0]
        off = yi - np.average(yi[kept], weights=1 / vi[kept])
        rank = stats.rankdata(np.abs(off))
        new = max(0, int(10 - rank[off < 0].max() - 1))
    assert (found.iterations, found.k0) == (rounds, k0)
    asked: dict[str, Any] = {"model": "common", "side": "left", "estimator": "R0"}
    assert trim_and_fill(yi, vi, **asked, max_iter=rounds).k0 == k0
    with pytest.raises(ConvergenceError, match=f"in {rounds - 1} rounds"):
        trim_and_fill(yi, vi, **asked, max_iter=rounds - 1)


def test_the_error_of_a_simulated_power_is_binomial() -> None:
    run = simulate_power(events=X, n=N, slope=-2.0, draws=150, seed=4, **TRUTH)
    for _, row in run.summary_frame().iterrows():
        share = row["power"]
        assert share * 150 == pytest.approx(round(share * 150))
        assert row["power_mcse"] == pytest.approx(math.sqrt(share * (1 - share) / 150))


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_the_chosen_estimate_of_pet_peese_is_an_intercept(shift: float) -> None:
    yi, vi = effects()
    yi = yi + shift
    both = pet_peese(yi, vi)
    pet, peese = (sm.WLS(yi, sm.add_constant(x), weights=1 / vi).fit() for x in (np.sqrt(vi), vi))
    p = stats.t.sf(pet.params[0] / pet.bse[0], len(yi) - 2)
    assert both.p == pytest.approx(p, rel=1e-9)
    chosen = peese if p < 0.05 else pet
    assert both.selected == ("PEESE" if shift else "PET")
    assert both.estimate_model == pytest.approx(chosen.params[0], rel=1e-9)
    assert both.k == len(yi)


def test_selection_without_heterogeneity_is_the_maximum_at_tau2_zero() -> None:
    rng = np.random.default_rng(8)
    vi = rng.uniform(0.02, 0.3, 60)
    yi = rng.normal(0.25, np.sqrt(vi + 0.05))
    found = selection_model(yi, vi)
    se = np.sqrt(vi)
    low = yi / se < stats.norm.isf(0.025)

    def minus_log(theta: np.ndarray) -> float:
        mu, delta = theta[0], math.exp(theta[1])
        seen = stats.norm.sf(stats.norm.isf(0.025) - mu / se)
        mass = seen + delta * (1 - seen)
        return -(stats.norm.logpdf(yi, mu, se) + theta[1] * low - np.log(mass)).sum()

    best = optimize.minimize(minus_log, [0.2, 0.0], method="Nelder-Mead",
                             options={"xatol": 1e-10, "fatol": 1e-11, "maxiter": 4000})  # fmt: skip
    assert found.loglik_tau0 == pytest.approx(-best.fun, abs=1e-8)
    assert found.lrt_tau2 == pytest.approx(2 * (found.loglik + best.fun), abs=1e-7)
    assert found.lrt_tau2_p == pytest.approx(stats.chi2.sf(found.lrt_tau2, 1), rel=1e-9)
    plain = optimize.minimize(
        lambda t: -stats.norm.logpdf(yi, t[0], np.sqrt(vi + math.exp(t[1]))).sum(), [0.2, -3.0],
        method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-11, "maxiter": 4000},
    )  # fmt: skip
    assert found.loglik_unadjusted == pytest.approx(-plain.fun, abs=1e-8)
    assert found.mu_unadjusted == pytest.approx(plain.x[0], rel=1e-5)
    assert found.tau2_unadjusted == pytest.approx(math.exp(plain.x[1]), rel=1e-5)


def test_of_two_maxima_of_a_selection_model_the_higher_is_reported() -> None:
    yi = np.array([0.81, -0.17, 0.19, 1.7, 0.47, -0.01, -1.38, -0.17, 1.16, 0.48, 0.07, 0.36])
    vi = np.array([0.22, 0.5, 0.12, 0.33, 0.45, 0.21, 0.37, 0.18, 0.46, 0.28, 0.04, 0.14])
    found = selection_model(yi, vi)
    se, z = np.sqrt(vi), stats.norm.isf(0.025)

    def minus_log(theta: np.ndarray) -> float:
        mu, sd, delta = theta[0], np.sqrt(vi + math.exp(theta[1])), math.exp(theta[2])
        seen = stats.norm.sf(z * se, mu, sd)
        mass = seen + delta * (1 - seen)
        return -(stats.norm.logpdf(yi, mu, sd) + theta[2] * (yi / se < z) - np.log(mass)).sum()

    tops = sorted(
        -optimize.minimize(minus_log, [0.2, -2.0, start], method="Nelder-Mead",
                           options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 6000}).fun
        for start in (-6.0, -2.0, 0.0, 2.0, 5.0)
    )  # fmt: skip
    assert found.loglik == pytest.approx(tops[-1], abs=1e-6)
    assert found.maxima == 2


def test_raw_fail_safe_numbers_bring_the_result_to_its_threshold() -> None:
    yi, vi = effects()
    k, z = len(yi), yi / np.sqrt(vi)
    rosenthal = fail_safe_n(yi, vi).fail_safe_raw
    assert z.sum() / math.sqrt(k + rosenthal) == pytest.approx(stats.norm.isf(0.05), rel=1e-10)
    rosenberg = fail_safe_n(yi, vi, method="rosenberg").fail_safe_raw
    w = 1 / vi
    total = w.sum() + rosenberg * w.mean()  # null studies of average weight
    assert (w * yi).sum() / total**0.5 == pytest.approx(stats.norm.isf(0.025), rel=1e-10)
    orwin = fail_safe_n(yi, vi, method="orwin", target=0.1).fail_safe_raw
    mean = np.average(yi, weights=w)
    assert k * mean / (k + orwin) == pytest.approx(0.1, rel=1e-10)


def test_both_groups_of_a_contrast_have_their_counts_and_variances() -> None:
    cohorts = load_cohorts()
    pair = {"by": "entity", "levels": ("MCL", "LBCL")}
    frame = multiverse(
        cohorts, {"group_tau2": ["separate", "common"]}, model="random", ci_method="wald",
        contrast=pair, events="nonrelapse_deaths", n="patients", study="cohort",
    ).frame()  # fmt: skip
    for place, level in enumerate(pair["levels"], start=1):
        part = cohorts[cohorts["entity"].astype(str) == level]
        x, n = (part[c].to_numpy(float) for c in ("nonrelapse_deaths", "patients"))
        add = np.where(x == 0, 0.5, 0.0)
        y, v = np.log((x + add) / (n - x + add)), 1 / (x + add) + 1 / (n - x + add)
        mu, _, tau2 = reml(y, v)
        own = frame.iloc[0]
        assert own[f"tau2_{place}"] == pytest.approx(tau2, rel=1e-4, abs=1e-6)
        assert own[f"estimate_{place}"] == pytest.approx(1 / (1 + math.exp(-mu)), rel=1e-6)
        for _, row in frame.iterrows():
            assert row[f"k_{place}"] == len(part)
            assert row[f"events_{place}"] == x.sum()
    assert frame["tau2_1"].iloc[1] == frame["tau2_2"].iloc[1]


def small() -> pd.DataFrame:
    return pd.DataFrame({"study": list("ABCDE"), "x": [3, 8, 1, 9, 2], "n": [40, 60, 30, 90, 25]})


def test_summary_and_levels_of_a_claim_are_counts_and_quantiles_of_its_rows() -> None:
    choices = {
        "measure": ["logit", "arcsine"],
        "ci_method": ["wald", "t"],
        "without": {"nobody": None, "C": ["C"], "E": ["E"]},
        "small": {"kept": None, "gone": ["E"]},
    }
    result = multiverse(small(), choices, events="x", n="n", study="study", model="random")
    rows = result.frame()
    quartiles = [np.percentile(rows["estimate"], at) for at in (0, 25, 50, 75, 100)]
    names = ["lowest", "lower_quartile", "median", "upper_quartile", "highest"]
    assert result.summary_frame()[names].iloc[0].tolist() == pytest.approx(quartiles)

    made = judge(result, Claim("rate", "The rate is above 9%", "Rate", 0.09, "percent"))
    # Leaving E out twice is leaving it out once: of six versions of the data four differ.
    assert (len(made), made.distinct) == (24, 16)
    summary = made.summary_frame().iloc[0]
    assert summary["lowest"] == rows["estimate"].min()
    assert summary["median"] == pytest.approx(statistics.median(rows["estimate"]))
    assert summary["highest"] == rows["estimate"].max()
    assert summary["supporting"] == (rows["estimate"] > 0.09).mean()
    assert summary["certain"] == (rows["ci_lower"] > 0.09).mean()
    assert summary["opposing"] == (rows["ci_upper"] < 0.09).mean()
    for _, line in made.by_choice().iterrows():
        column = rows["ci_method" if line["choice"] == "interval" else line["choice"]]
        mine = rows[column.str.lower() == line["level"].lower()]
        assert line["analyses"] == len(mine) > 0, line
        assert line["supporting"] == pytest.approx((mine["estimate"] > 0.09).mean())
        assert line["certain"] == pytest.approx((mine["ci_lower"] > 0.09).mean())
        assert line["median"] == pytest.approx(mine["estimate"].median())


def test_switches_and_shares_of_choices_are_those_of_pairs_of_rows() -> None:
    choices = {"measure": ["logit", "arcsine"], "without": {"nobody": None, "C": ["C"], "E": ["E"]}}
    result = multiverse(small(), choices, events="x", n="n", study="study", model="random")
    rows = result.frame()
    table = result.influence_of_choices()
    for name, other in (("measure", "without"), ("without", "measure")):
        groups = [part["estimate"].to_numpy() for _, part in rows.groupby(other)]
        switches = [part.max() - part.min() for part in groups]
        within = np.mean([part.var() for part in groups])
        line = table.loc[name]
        assert line["mean_switch"] == pytest.approx(np.mean(switches))
        assert line["largest_switch"] == pytest.approx(max(switches))
        assert line["share"] == pytest.approx(100 * within / rows["estimate"].to_numpy().var())


def test_the_ranking_of_a_simulation_holds_what_its_cells_hold() -> None:
    scenarios = [Scenario(k=k, proportion=0.2, tau=tau) for k in (3, 6) for tau in (0.0, 0.6)]
    result = coverage(scenarios, draws=60, glmm=False, tau2_methods=("DL",))
    frame = result.frame()
    table = result.summary_frame("mu interval")
    for (estimator, method), line in table.iterrows():
        cells = [
            row for row in frame.to_dict("records")
            if (row["quantity"], row["estimator"], row["method"])
            == ("mu interval", estimator, method)
        ]  # fmt: skip
        hits = [row for row in cells if row["performance"] == "coverage"]
        widths = [row["value"] for row in cells if row["performance"] == "median width"]
        values = [row["value"] for row in hits]
        assert line["cells"] == len(scenarios) == len(values)
        assert line["mean"] == pytest.approx(sum(values) / 4)
        assert (line["lowest"], line["highest"]) == (min(values), max(values))
        assert line["lowest_corrected"] == min(row["value"] + 2 * row["mcse"] for row in hits)
        assert line["cells_below"] == sum(value < 0.925 for value in values) / 4
        assert line["median_width"] == pytest.approx(sum(widths) / 4)


def test_a_cell_two_and_a_half_points_below_its_level_is_not_below() -> None:
    values = [0.875, 0.875, 0.874, 0.9]  # 0.9 - 0.025 is 0.875 in binary numbers, too
    rows = {"value": [*values, 1.0], "mcse": [0.01] * 5}
    rows |= {"quantity": ["mu interval"] * 5, "estimator": ["DL"] * 5, "method": ["wald"] * 5}
    rows["performance"] = [*["coverage"] * 4, "median width"]
    columns = {name: np.array(column) for name, column in rows.items()}
    table = SimulationResult(1000, 1, 0.9, columns).summary_frame()
    assert table["cells_below"].tolist() == [0.25]


def test_very_precise_studies_are_not_taken_for_identical_ones() -> None:
    """A Knapp-Hartung standard error is small beside the model's, not small by itself."""
    n = np.full(3, 10**10)
    x = np.array([2_000_020_000, 2_000_000_000, 1_999_970_000])
    row = multiverse(
        events=x, n=n, measure="raw", model="random", choices={"ci_method": ["knapp-hartung"]}
    ).frame().iloc[0]  # fmt: skip
    rate = x / n
    w = n / (rate * (1 - rate))
    mu = (w * rate).sum() / w.sum()
    q = (w * (rate - mu) ** 2).sum()
    assert q < 2  # so that the between-study variance is zero
    se = math.sqrt(q / 2 / w.sum())
    assert row["status"] == "ok"
    assert row["se"] == pytest.approx(se, rel=1e-6)
    assert row["ci_upper"] - row["mu"] == pytest.approx(stats.t.ppf(0.975, 2) * se, rel=1e-6)


def test_the_named_intervals_of_a_selection_model_hold_its_studies() -> None:
    rng = np.random.default_rng(5)
    vi = rng.uniform(0.02, 0.2, 60)
    yi = rng.normal(0.25, np.sqrt(vi + 0.05))
    frame = selection_model(yi, vi, cutpoints=(0.025, 0.3), null=0.0).summary_frame()
    p = stats.norm.sf(yi / np.sqrt(vi))
    held = [
        int(((p > float(low)) & (p <= float(high))).sum())
        for low, high in (name.split(" < p <= ") for name in frame.index)
    ]
    assert held == frame["k"].tolist()
    assert sum(held) == 60
