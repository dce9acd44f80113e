"""Infection deaths among the treated: the chapter's numbers, computed again without the helpers."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from densities import log_binomial
from inline_values import resolved
from scipy import optimize, special, stats

from helpers import load_cohorts, load_context, printing
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review import prevention

ROOT = Path(__file__).resolve().parents[2]
# a dense grid: cohorts of a thousand patients have narrow likelihoods
NODES = np.linspace(-8, 8, 1601)
WEIGHTS = stats.norm.pdf(NODES) * (NODES[1] - NODES[0])


def rows(name):
    with (ROOT / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def counts():
    """Deaths from infection, from COVID-19 and of all causes, by hand from the files."""
    by = {
        (row["grouping"], row["level"], row["cause"]): int(row["deaths"]) for row in rows("causes")
    }
    infections = by["all, eight causes", "all", "infection"]
    covid = sum(
        by["setting", level, "infection"] - by["setting, without COVID-19", level, "infection"]
        for level in ("trial", "real-world")
    )
    return infections, covid, sum(int(row["nonrelapse_deaths"]) for row in rows("cohorts"))


@pytest.fixture(scope="module")
def rates():
    """Median and mean of the binomial-normal model, by quadrature and a simplex."""
    cohorts = rows("cohorts")
    x = np.array([int(row["nonrelapse_deaths"]) for row in cohorts])
    n = np.array([int(row["patients"]) for row in cohorts])

    def lost(parameters):
        mu, log_tau = parameters
        seen = np.exp(log_binomial(x[:, None], n[:, None], mu + np.exp(log_tau) * NODES))
        likelihood = (WEIGHTS * seen).sum(axis=1)
        return -np.log(likelihood).sum()

    found = optimize.minimize(
        lost, [-2.6, -0.7], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11}
    )
    mu, tau = found.x[0], np.exp(found.x[1])
    return {
        "median": special.expit(mu),
        "mean": float((WEIGHTS * special.expit(mu + tau * NODES)).sum()),
    }


@pytest.fixture(scope="module")
def burden():
    return prevention.infection_burden(load_cohorts())


def test_deaths_from_covid_are_the_difference_of_two_tables(counts, burden):
    infections, covid, deaths = counts
    assert (infections, covid, deaths) == (292, 55, 574)
    expected = {"all": infections, "COVID-19": covid, "other": infections - covid}
    for (which, _), found in burden.items():
        assert (found.share.deaths, found.share.n) == (expected[which], deaths)


@pytest.mark.parametrize("average", ["mean", "median"])
@pytest.mark.parametrize("which", ["all", "COVID-19", "other"])
def test_deaths_among_the_treated_by_an_independent_fit(which, average, counts, rates, burden):
    infections, covid, deaths = counts
    part = {"all": infections, "COVID-19": covid, "other": infections - covid}[which]
    found = burden[which, average]
    assert found.estimate == pytest.approx(rates[average] * part / deaths, rel=2e-4)
    assert found.ci.lower < found.estimate < found.ci.upper


def test_the_interval_holds_both_sources(burden):
    from helpers import pool

    fit = pool(
        load_cohorts(), events="nonrelapse_deaths", n="patients", study="cohort",
        measure="logit", model="glmm", ci_method="wald",
    )  # fmt: skip
    found = burden["all", "mean"]
    rate, share = fit.mean_estimate, found.share.estimate
    for place, sign in (("lower", -1), ("upper", 1)):
        one = np.log(getattr(fit.mean_conf_int(), place) / rate)
        other = np.log(getattr(found.share.ci, place) / share)
        expected = rate * share * np.exp(sign * np.hypot(one, other))
        assert getattr(found.ci, place) == pytest.approx(expected)


def test_parts_of_the_burden_add_up(burden):
    for average in ("mean", "median"):
        whole = burden["all", average].estimate
        parts = burden["COVID-19", average].estimate + burden["other", average].estimate
        assert parts == pytest.approx(whole)


def test_a_what_if_is_arithmetic(burden):
    whole = burden["all", "mean"]
    quarter, everyone = prevention.prevented_deaths(whole, [0.25, 1.0])
    assert quarter.fewer + quarter.left == pytest.approx(whole.estimate)
    assert quarter.treated_per_death == pytest.approx(4 / whole.estimate)
    assert tuple(quarter.fewer_ci) == pytest.approx([limit / 4 for limit in whole.ci])
    assert quarter.treated_ci.lower < quarter.treated_per_death < quarter.treated_ci.upper
    assert everyone.left == pytest.approx(0)
    assert "one in four" in prevention.prevented_table([quarter]).text
    for part in (0, -0.1, 1.01):
        with pytest.raises(MetaAnalysisError, match="above 0 and at most 1"):
            prevention.prevented_deaths(whole, [part])


def test_causes_of_other_cohorts_are_refused():
    with pytest.raises(UnsupportedError, match="as totals"):
        prevention.infection_burden(load_cohorts().iloc[1:])


# --- the chapter ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def said():
    stored = resolved(nbformat.read(ROOT / "book" / "preventing_infection.ipynb", as_version=4))
    return {
        cell.id: re.sub(r"\s+", " ", cell.source.replace("\u202f", " ").replace("\xa0", " "))
        for cell in stored.cells
    }


def test_the_chapter_says_the_recomputed_numbers(said, counts, rates):
    infections, covid, deaths = counts
    mean, median = (
        round(1000 * rates[average] * infections / deaths) for average in ("mean", "median")
    )
    of_covid = round(1000 * rates["mean"] * covid / deaths)
    others = round(1000 * rates["mean"] * (infections - covid) / deaths)
    assert f"about {mean} died of infection" in said["answer"]
    assert f"{of_covid} of them of COVID-19" in said["answer"]
    assert f"[Without COVID-19](#how-many), {others} of 1,000 died of infection." in said["answer"]
    table = prevention.burden_table(prevention.infection_burden(load_cohorts())).text
    assert re.search(rf"All infections +{infections} +{mean} \(.*\) +{median} \(", table)
    assert f"[COVID-19](#of-what) caused {covid} of {infections}" in said["answer"]
    third = 1000 * rates["mean"] * infections / deaths / 3
    assert f"{round(third)} fewer of 1,000" in said["answer"]


def test_the_first_lines_answer_and_the_page_says_once_that_it_is_no_advice(said):
    assert said["answer"].startswith(":::{div} answer Of 1,000 treated patients")
    assert sum(text.lower().count("not medical advice") for text in said.values()) == 1
    assert "what-if" in said["if-heading"].lower()
    assert "The review does not compare patients with and without it." in said["cannot"]


# --- the facts -----------------------------------------------------------------------------------


def test_what_was_not_seen_is_marked_in_the_table():
    guidance = load_context("prevention_guidance")
    shown = prevention.guidance_table(guidance)
    for row in guidance.itertuples():
        if row.seen in ("headings", "part of a table") and "evidence" not in row.kind:
            assert f"unverified: {row.seen}" in shown.text
    context = load_context("infection_context")
    assert prevention.pathogen_table(context).text.count("secondary source") == (
        (context["source_type"] == "secondary").sum()
    )
    beside = prevention.syntheses_table(context, {}).text
    assert "not opened" in beside
    assert beside.count("Conference abstract") == (context["source_type"] == "abstract only").sum()


def test_as_many_consensus_papers_are_said_to_cover_all_as_are_cited():
    stored = nbformat.read(ROOT / "book" / "preventing_infection.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in resolved(stored).cells)
    ((number, keys),) = re.findall(r"(\w+) consensus papers? cover .*?\{cite:p\}`([^`]*)`", text)
    covering = {
        row["key"]
        for row in rows("prevention_guidance")
        if row["kind"] == "framework" and row["time_window"] == "all"
        if "consensus" in row["strength"]
    }
    assert set(keys.split(",")) == covering
    assert printing.word(len(covering)).capitalize() == number


def test_every_row_leads_to_its_source():
    guidance, context = load_context("prevention_guidance"), load_context("infection_context")
    for frame, tables in (
        (guidance, [prevention.guidance_table(guidance),
                    prevention.guidance_table(guidance, evidence=True)]),
        (context, [prevention.timing_table(context), prevention.pathogen_table(context),
                   prevention.syntheses_table(context, {})]),
    ):  # fmt: skip
        links = "".join(table.html for table in tables).count("<a href=")
        assert links == len(frame)
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    for key in {*guidance["key"].dropna(), *context["key"].dropna()}:
        entry = re.search(rf"^@\w+\{{{key},\n(.*?)^\}}", bibliography, flags=re.M | re.S)
        assert entry, key
        for field in ("author", "title", "journal", "year"):
            assert re.search(rf"^\s*{field}\s*=", entry[1], flags=re.M), (key, field)
    for frame in (guidance, context):
        cited = frame.dropna(subset=["key", "doi"])
        for row in cited.itertuples():
            entry = re.search(rf"^@\w+\{{{row.key},\n(.*?)^\}}", bibliography, flags=re.M | re.S)
            assert f"{{{row.doi}}}" in entry[1], row.key


def test_dated_deaths_add_up_to_what_the_reports_count():
    frame = load_context("infection_context").set_index("item")
    assert frame.loc[["descart-early", "descart-late"], "nonrelapse_deaths"].sum() == 48
    assert frame.filter(like="cartitude", axis=0)["nonrelapse_deaths"].sum() == 18
    assert frame.filter(like="zuma", axis=0)["nonrelapse_deaths"].sum() == 14
    cohorts = load_cohorts().set_index("cohort")
    assert cohorts.loc["Lemoine 2023", ["patients", "nonrelapse_deaths"]].tolist() == [957, 48]


def test_a_number_beside_a_row_that_is_not_there_is_an_error():
    with pytest.raises(MetaAnalysisError, match="no row nobody"):
        prevention.syntheses_table(load_context("infection_context"), {"nobody": "1"})
