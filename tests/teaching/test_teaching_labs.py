"""Simulation labs: values that theory gives exactly, a second computation, and their time."""

from __future__ import annotations

import re
import time

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from helpers import load_cohorts
from helpers.checks.bias import simulate_null
from helpers.engine.effects import get_measure
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.teaching import came_out, labs
from helpers.teaching.lab_pages import LAB_PAGES


def wide(frame):
    return frame.pivot_table(index=frame.columns[0], columns="curve", values="value")


def test_i2_of_large_studies_approaches_its_limit():
    found = labs.i2_lab(sizes=(400, 4000), taus=(0.4,), proportion=0.2, k=60, draws=200)
    rate = 0.2
    for n, value in zip(found["patients"], found["value"], strict=True):
        within = 1 / (n * rate * (1 - rate))
        assert value == pytest.approx(0.16 / (0.16 + within), abs=0.03)


def test_the_interval_of_the_mean_holds_a_new_study_as_rarely_as_theory_says():
    # Large studies: the interval is mu +- 1.96 tau / sqrt(k), and a new study is mu + tau z.
    k = 50
    found = wide(labs.prediction_lab((k,), tau=1.0, size=20000, draws=400)).loc[k]
    se2 = 1 / k
    draws = np.random.default_rng(3).normal(0, np.sqrt(se2), 200_000)
    half = 1.96 * np.sqrt(se2)
    exact = (stats.norm.cdf(draws + half) - stats.norm.cdf(draws - half)).mean()
    assert found["confidence interval"] == pytest.approx(exact, abs=0.01)
    assert found["prediction interval"] == pytest.approx(0.95, abs=0.01)


def test_the_coverage_lab_draws_binomial_events_at_the_given_sizes():
    """Against a simulation by hand: Wald intervals of corrected logits."""
    sizes, k, rate, tau, draws = np.array([20, 60, 150]), 8, 0.07, 0.45, 500
    rng, mu, hits = np.random.default_rng(8), np.log(0.07 / 0.93), 0
    for _ in range(draws):
        n = rng.choice(sizes, k).astype(float)
        x = rng.binomial(n.astype(int), 1 / (1 + np.exp(-rng.normal(mu, tau, k)))).astype(float)
        edge = (x == 0) | (x == n)
        y = np.log((x + 0.5 * edge) / (n - x + 0.5 * edge))
        v = 1 / (x + 0.5 * edge) + 1 / (n - x + 0.5 * edge)
        # DerSimonian and Laird's tau2: near enough to REML's for a coverage
        w = 1 / v
        q = (w * (y - np.average(y, weights=w)) ** 2).sum()
        tau2 = max(0.0, (q - (k - 1)) / (w.sum() - (w**2).sum() / w.sum()))
        w = 1 / (v + tau2)
        hits += abs(np.average(y, weights=w) - mu) <= 1.959964 * w.sum() ** -0.5
    found = wide(labs.coverage_lab(sizes, (k,), proportion=rate, tau=tau, draws=2000)).loc[k]
    assert found["logits, Wald"] == pytest.approx(hits / draws, abs=0.06)


def test_more_studies_do_not_cure_corrected_logits_but_the_binomial_model_holds():
    """Knapp-Hartung at the book's sizes, rate and number of cohorts, against one by hand."""
    sizes, tau, draws = load_cohorts()["patients"].to_numpy(), 0.45, 3000
    k, rng, mu = len(sizes), np.random.default_rng(21), np.log(0.07 / 0.93)
    n = rng.choice(sizes, (draws, k))
    x = rng.binomial(n, 1 / (1 + np.exp(-rng.normal(mu, tau, (draws, k)))))
    add = 0.5 * ((x == 0) | (x == n))
    y, v = np.log((x + add) / (n - x + add)), 1 / (x + add) + 1 / (n - x + add)
    tau2 = np.full((draws, 1), tau**2)
    for _ in range(60):  # REML by its fixed point
        w = 1 / (v + tau2)
        total = w.sum(axis=1, keepdims=True)
        mean = (w * y).sum(axis=1, keepdims=True) / total
        excess = (w**2 * ((y - mean) ** 2 - v)).sum(axis=1, keepdims=True)
        tau2 = np.maximum(0, excess / (w**2).sum(axis=1, keepdims=True) + 1 / total)
    scale = (w * (y - mean) ** 2).sum(axis=1) / (k - 1)
    half = stats.t.ppf(0.975, k - 1) * np.sqrt(scale / total[:, 0])
    hits = float((abs(mean[:, 0] - mu) <= half).mean())
    found = wide(labs.coverage_lab(sizes, draws=600))
    assert list(found.index) == [3, 5, 10, 20, k]
    assert found.loc[k, "logits, Knapp-Hartung"] == pytest.approx(hits, abs=0.06)
    assert hits == pytest.approx(0.77, abs=0.025)
    assert found.loc[k, "logits, Wald"] < found.loc[5, "logits, Wald"] < 0.93
    assert found.loc[k, "binomial GLMM, t"] == pytest.approx(0.95, abs=0.03)


def test_parameters_that_all_labs_share_are_explained_once():
    common = {"k", "size", "proportion", "tau", "draws", "seed"}
    for name in common:
        assert labs.__doc__.count(f"``{name}``") == 1
    for lab in labs.LABS:
        said = " ".join(lab.__doc__.split())
        assert "simulated meta-analyses, seed" not in said, lab.__name__
        assert "As in every lab" in said, lab.__name__


def test_no_curve_spells_a_greek_letter():
    cohorts = load_cohorts()
    given = (cohorts["nonrelapse_deaths"], cohorts["patients"])
    for lab in labs.LABS:
        of = {labs.egger_lab: given, labs.coverage_lab: given[1:]}.get(lab, ())
        for curve in lab(*of, draws=4)["curve"].unique():
            assert not re.search(r"\b(tau|mu|alpha|theta)\d?\b", curve), curve


def test_a_turned_back_double_arcsine_goes_where_the_harmonic_mean_sends_it():
    # One huge study: its double arcsine is arcsin(sqrt(p)); turned back with the small size.
    found = wide(labs.back_transform_lab((2_000_000,), small=20, k=10, proportion=0.03)).iloc[0]
    harmonic = 1 / np.mean(1 / np.array([20.0] * 9 + [2_000_000.0]))
    there = get_measure("double-arcsine").inverse(np.arcsin(np.sqrt(0.03)), harmonic)
    assert found["double arcsine, harmonic mean"] == pytest.approx(float(there), abs=2e-4)
    assert found["double arcsine, inverse variance"] == pytest.approx(0.03, abs=2e-4)
    assert found["all patients together"] == pytest.approx(0.03, abs=2e-4)


def test_the_egger_lab_is_the_null_simulation_of_each_proportion():
    events, n = [1, 2, 9, 12, 30], [20, 60, 90, 200, 400]
    found = wide(labs.egger_lab(events, n, (0.1, 0.3), tau=0.4, draws=80, seed=5))
    for rate in (0.1, 0.3):
        run = simulate_null(
            events=events, n=n, mu=np.log(rate / (1 - rate)), tau2=0.16, draws=80, seed=5
        ).summary_frame()["rejection"]
        for name in found.columns:
            assert found.loc[rate, name] == run[name]


def test_the_mean_of_true_rates_is_the_integral_and_all_patients_together_meet_it():
    found = wide(labs.median_lab((1.2,), proportion=0.07, k=40, size=400, draws=300)).iloc[0]
    mu = np.log(0.07 / 0.93)
    mean = integrate.quad(
        lambda u: stats.norm.pdf(u) / (1 + np.exp(-(mu + 1.2 * u))), -12, 12, epsabs=1e-12
    )[0]
    assert found["mean of the true rates"] == pytest.approx(mean, abs=1e-9)
    assert found["all patients together"] == pytest.approx(mean, abs=0.004)
    assert found["GLMM, transformed back"] == pytest.approx(0.07, abs=0.004)
    assert mean > 0.1


def test_tau2_is_estimated_at_zero_where_the_restricted_score_does_not_rise():
    k, size, tau, draws = 8, 50, 0.3, 4000
    rng, mu = np.random.default_rng(5), np.log(0.2 / 0.8)
    theta = rng.normal(mu, tau, (draws, k + 1))
    x = rng.binomial(size, 1 / (1 + np.exp(-theta[:, :k]))).astype(float)
    x += 0.5 * (x == 0)
    y, v = np.log(x / (size - x)), 1 / x + 1 / (size - x)
    w = 1 / v
    mean = (w * y).sum(1) / w.sum(1)
    score = (w**2 * (y - mean[:, None]) ** 2).sum(1) - w.sum(1) + (w**2).sum(1) / w.sum(1)
    zero = score <= 0  # the likelihood may still rise beyond; that is rare
    half = stats.t.ppf(0.975, k - 2) * w.sum(1) ** -0.5
    held = (np.abs(theta[:, k] - mean) <= half)[zero].mean()
    found = wide(labs.zero_tau_lab((k,), tau=tau, size=size, draws=2000)).iloc[0]
    assert found["τ² estimated at zero"] == pytest.approx(zero.mean(), abs=0.05)
    assert found["prediction interval, τ² at zero"] == pytest.approx(held, abs=0.05)
    assert found["prediction interval, τ² above zero"] > held


def test_corrections_pool_to_what_they_give_by_hand():
    """Without heterogeneity REML is near a common effect, whose mean is computed by hand here."""
    k, size, rate = 20, 80, 0.03
    x = np.random.default_rng(6).binomial(size, rate, (4000, k)).astype(float)
    by_hand = {}
    for name, add, kept in (
        ("half an event where there is none", 0.5 * (x == 0), x >= 0),
        ("half an event in every study", 0.5, x >= 0),
        ("studies without an event left out", 0.5 * (x == 0), x > 0),
    ):
        w = kept / (1 / (x + add) + 1 / (size - x + add))
        logits = (w * np.log((x + add) / (size - x + add))).sum(1) / w.sum(1)
        by_hand[name] = (1 / (1 + np.exp(-logits))).mean()
    found = wide(labs.correction_lab((size,), k=k, proportion=rate, draws=800)).iloc[0]
    for name, value in by_hand.items():
        assert found[name] == pytest.approx(value, abs=0.002)
        assert found[name] > 1.05 * rate
    assert found["binomial GLMM"] == pytest.approx(rate, abs=0.001)


def test_reports_of_the_same_patients_narrow_the_interval_and_others_of_no_centre_do_not():
    """By hand: known variances, large studies, so that rows are normal with variance tau2 + v."""
    k, twins, tau = 20, 10, 0.4
    rng, draws = np.random.default_rng(4), 4000
    y = rng.normal(0, np.sqrt(tau**2 + 1 / (100 * 0.16)), (draws, k))
    rows = np.concatenate([y, y[:, :twins]], axis=1)
    m = rows.shape[1]
    half = stats.t.ppf(0.975, m - 1) * rows.std(axis=1, ddof=1) / np.sqrt(m)
    naive = (np.abs(rows.mean(axis=1)) <= half).mean()
    found = wide(labs.dependence_lab((twins,), tau=tau, draws=2000)).iloc[0]
    assert found["every report on its own"] == pytest.approx(naive, abs=0.03)
    assert found["clustered by centre"] == pytest.approx(0.95, abs=0.025)
    assert found["each centre once"] == pytest.approx(0.95, abs=0.015)
    # other patients of centres that do not differ: nothing is shared
    apart = wide(labs.dependence_lab((twins,), tau=0.0, shared=0.0, draws=2000)).iloc[0]
    assert apart["every report on its own"] > 0.935


def test_a_curve_goes_up_or_down_by_the_error_of_the_simulation_and_as_printed():
    rows = pd.DataFrame(
        [(5, "a", 0.90, 0.01), (40, "a", 0.80, 0.01), (5, "b", 0.93, 0.01), (40, "b", 0.95, 0.01),
         (5, "c", 0.94996, 1e-9), (40, "c", 0.95004, 1e-9)],
        columns=["studies", "curve", "value", "mcse"],
    )  # fmt: skip
    equal = "At 40 studies it equals the nominal level (95.0%) to the digit shown."
    assert came_out("coverage", rows).split(" “") == [
        "“a” goes down from 90.0% at 5 studies to 80.0% at 40 studies. At 40 studies it is below "
        "the nominal level (95.0%).",
        "b” is 93.0% at 5 studies and 95.0% at 40 studies, a difference within three standard "
        f"errors of the simulation. {equal}",
        f"c” is 95.0% at 5 studies and at 40 studies. {equal}",
    ]
    with pytest.raises(MetaAnalysisError, match="expected one of i2"):
        came_out("i3", rows)


def test_the_page_of_each_lab_starts_where_the_lab_does():
    assert {page.lab for page in LAB_PAGES.values()} == set(labs.LABS)
    for page in LAB_PAGES.values():
        assert page.start
        assert all(page.start[one.key] in one.places for one in page.controls)
        edited = next(one for one in page.controls if one.key == page.task.key)
        assert page.task.value in edited.places
        assert page.start[page.task.key] != page.task.value


def test_the_band_is_the_error_of_the_simulation():
    means = [labs.i2_lab((100,), (0.3,), draws=100, seed=s)["value"][0] for s in range(40)]
    claimed = labs.i2_lab((100,), (0.3,), draws=100)["mcse"][0]
    assert np.std(means, ddof=1) == pytest.approx(claimed, rel=0.35)


def test_the_same_seed_gives_the_same_curve():
    one, two, other = (labs.prediction_lab((6,), draws=50, seed=s) for s in (1, 1, 2))
    assert one.equals(two)
    assert not one.equals(other)


@pytest.mark.parametrize("lab", labs.LABS, ids=lambda lab: lab.__name__)
def test_a_lab_runs_in_less_than_five_seconds(lab):
    cohorts = load_cohorts()
    events, n = cohorts["nonrelapse_deaths"], cohorts["patients"]
    given = {labs.egger_lab: (events, n), labs.coverage_lab: (n,)}.get(lab, ())
    start = time.process_time()
    found = lab(*given)
    assert time.process_time() - start < 5
    assert list(found.columns[1:]) == ["curve", "value", "mcse"]
    assert found.notna().to_numpy().all()
    assert found["value"].between(0, 1).all()
    assert (found["mcse"] >= 0).all()


def test_numbers_that_make_no_lab_are_errors():
    with pytest.raises(UnsupportedError, match="at least 2"):
        labs.i2_lab(draws=1)
    with pytest.raises(UnsupportedError, match="at least 3"):
        labs.prediction_lab((2,))
    with pytest.raises(UnsupportedError, match="Begg"):
        labs.egger_lab([1, 2, 9, 12, 30], [20, 60, 90, 200, 400], (0.3,), tests=("Begg",))
