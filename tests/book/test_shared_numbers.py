"""One quantity, one number: what several pages show is computed once and found on each of them."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pytest
from inline_values import resolved
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from helpers import load_causes, load_cohorts, load_sources, pool
from helpers.checks import bias
from helpers.review.published import reproduction
from helpers.review.published.models import published_permutation

BOOK = Path(__file__).resolve().parents[2] / "book"
COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
NUMBER = r"(-?\d+(?:\.\d+)?)"


def cells(page):
    found = json.loads((BOOK / f"{page}.ipynb").read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


@cache
def shown(page):
    """Stored words of a page, with plain spaces."""
    text = []
    stored = nbformat.read(BOOK / f"{page}.ipynb", as_version=4)
    for cell, put_in in zip(stored.cells, resolved(stored).cells, strict=True):
        if cell.cell_type == "markdown" and cell.source != put_in.source:  # it has values
            text.append(put_in.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in ("text/markdown", "text/plain"):
                if kind in data:
                    text.append("".join(data[kind]))
                    break
            text.append("".join(output.get("text", "")))
    return re.sub(r"\s+", " ", " ".join(text).replace("\u202f", " ").replace("\u00a0", " "))


PAGES = sorted(path.stem for path in BOOK.glob("*.ipynb"))


def cohort_fit():
    return pool(load_cohorts(), **COLUMNS, measure="logit", model="glmm", ci_method="wald")


@cache
def false_alarms(tau2=None):
    found = bias.simulate_null(cohort_fit(), tau2=tau2).summary_frame()["rejection"]
    return {name: f"{100 * share:.0f}" for name, share in found.items()}


def wilson_minimum():
    """By brute force, beside every limit of statsmodels' interval for 16 patients."""
    x = np.arange(17)
    low, high = proportion_confint(x, 16, method="wilson")
    p = np.concatenate([low - 1e-9, low + 1e-9, high - 1e-9, high + 1e-9])
    p = p[(p > 0.005) & (p < 0.25)]
    cover = stats.binom.pmf(x, 16, p[:, None]) * ((low <= p[:, None]) & (p[:, None] <= high))
    return f"{100 * cover.sum(axis=1).min():.1f}"


def infection_shares():
    deaths = load_causes().query("grouping == 'all, eight causes'").set_index("cause")["deaths"]
    specific = deaths.drop("organ failure, other or unknown")
    share = deaths["infection"]
    return f"{100 * share / deaths.sum():.0f}", f"{100 * share / specific.sum():.0f}"


def independent_numbers():
    numbers = [one for one in reproduction().comparisons if not one.by_construction]
    met = sum(one.status != "differs" for one in numbers)
    return str(met), str(len(numbers))


def permuted():
    test = published_permutation("MM: all factors")
    place = test.names.index("product[T.ide-cel]")
    return f"{test.p:.3f}", f"{test.coefficient_p[place]:.3f}"


def unchecked():
    return str(int((load_sources()["deaths_check"] == "not checked").sum()))


def gosh_means():
    fit = pool(load_cohorts(), **COLUMNS, model="common", method="likelihood")
    row = fit.gosh(10_000, seed=1).summary_frame().loc["Jacobson 2022 B"]
    return f"{100 * row.estimate_with:.1f}", f"{100 * row.estimate_without:.1f}"


# quantity -> what it is, how a page says it, and the pages that have to show it
SHARED = {
    "permutation test of the myeloma model": (
        lambda: permuted()[0],
        rf"By permutation, the myeloma model has p = {NUMBER}|MM: all factors p 0\.0610 {NUMBER}",
        ("meta_regression", "reproduction"),
    ),
    "permutation test of ide-cel": (
        lambda: permuted()[1],
        rf"and ide-cel p = {NUMBER} \(20,000|MM: all factors p 0\.0280 {NUMBER}",
        ("meta_regression", "reproduction"),
    ),
    "independent numbers met": (
        lambda: independent_numbers()[0],
        rf"{NUMBER} of 890\b|Of 890 independent published numbers, {NUMBER} are reproduced",
        ("index", "reproduction"),
    ),
    "independent numbers": (
        lambda: independent_numbers()[1],
        rf"of {NUMBER} independent published numbers|Of {NUMBER} independent published numbers",
        ("index", "reproduction"),
    ),
    "false alarms of Egger's test": (
        lambda: false_alarms()["Egger (logit)"],
        rf"Heterogeneity as estimated: Egger \(logit\) {NUMBER}%"
        rf"|Egger's test rejects in {NUMBER}% of simulated data"
        rf"|Egger \(logit\): in {NUMBER}% of the simulated sets"
        rf"|raises a false alarm in {NUMBER}%",
        ("small_study_effects", "self_check", "conventions"),
    ),
    "false alarms of the double arcsine test": (
        lambda: false_alarms()["Double arcsine"],
        rf"the \{{term\}}`double arcsine` test rejects in {NUMBER}%"
        rf"|Double arcsine: in {NUMBER}% of the simulated sets"
        rf"|the test of double arcsines in {NUMBER}%",
        ("small_study_effects", "self_check", "conventions"),
    ),
    "lowest coverage of Wilson's interval": (
        wilson_minimum,
        rf"coverage of Wilson's interval is lowest, {NUMBER}%",
        ("effect_sizes",),
    ),
    "infection among all deaths": (
        lambda: infection_shares()[0],
        rf"Infection caused {NUMBER}% of nonrelapse deaths"
        rf"|infection accounts for {NUMBER} to [0-9]+% of the deaths",
        ("index", "multiverse"),
    ),
    "infection among deaths with a specific cause": (
        lambda: infection_shares()[1],
        rf"and {NUMBER}% of those with a named cause"
        rf"|infection accounts for \d+ to {NUMBER}% of the deaths",
        ("in_brief", "multiverse"),
    ),
    "cohorts whose deaths were not checked": (
        unchecked,
        rf"The deaths of {NUMBER} cohorts were not checked",
        ("audit",),
    ),
    "subsets with the largest registry": (
        lambda: gosh_means()[0],
        rf"[Ww]ith Jacobson 2022 B the mean estimate is {NUMBER}%",
        ("heterogeneity", "gallery"),
    ),
    "subsets without the largest registry": (
        lambda: gosh_means()[1],
        rf"Jacobson 2022 B the mean estimate is [\d.]+%, without it {NUMBER}%",
        ("heterogeneity", "gallery"),
    ),
}


@pytest.mark.parametrize("quantity", SHARED)
def test_a_quantity_is_the_same_on_every_page(quantity):
    compute, words, pages = SHARED[quantity]
    expected = compute()
    places = len(expected.partition(".")[2])
    for page in PAGES:
        found = [next(filter(None, hit.groups())) for hit in re.finditer(words, shown(page))]
        assert found or page not in pages, f"{page} does not show: {quantity}"
        for number in found:
            assert f"{float(number):.{places}f}" == expected, f"{quantity} on {page}"


def test_no_page_counts_covid_19_as_another_cause_or_half_as_a_headline():
    for page in PAGES:
        assert "not an infection" not in shown(page), page
    for page in ("index", "summary_of_findings"):
        assert "more than half of the nonrelapse deaths" not in shown(page), page
        assert "hardly ever in doubt" not in shown(page), page


# A call in a chapter that would give a second number for a quantity that has a home.
SECOND_HOMES = {
    # there: flipped signs of a mean; a model of one's own in an exercise
    r"\.permutation_test\(": {"method_menu", "meta_regression"},
    r"homogeneity_test\([^)]*draws=": set(),
    r"simulate_null\((?:fit|fits\[\"glmm\"\])(?:, tau2=0\.0)?, (?!draws=2000)[rs]e": set(),
    r"report\.comparisons\), counts|reproduction\(\)\.comparisons": set(),
}


@pytest.mark.parametrize("call", SECOND_HOMES)
def test_no_chapter_runs_its_own_copy(call):
    for page in PAGES:
        if page in SECOND_HOMES[call]:
            continue
        for cell in cells(page):
            assert not re.search(call, "".join(cell["source"])), page


def test_a_sentence_of_a_thousand_patients_in_the_subgroups_speaks_of_means():
    table = load_cohorts().query("entity == 'LBCL'")
    per_1000 = {}
    for product in ("axi-cel", "tisa-cel"):
        fit = pool(table[table["product"] == product], **COLUMNS, model="glmm", ci_method="wald")
        # by hand: the mean of the inverse logit over the normal distribution of true logits
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        rates = 1 / (1 + np.exp(-(fit.mu + np.sqrt(fit.tau2) * nodes)))
        per_1000[product] = f"{1000 * rates @ weights / weights.sum():.0f}"
    said = (
        f"about {per_1000['axi-cel']} died without prior relapse or progression after axi-cel and"
    )
    assert f"{said} {per_1000['tisa-cel']} after tisa-cel" in shown("subgroups")


#: Judgements that were typed and stayed whatever the table said.
TYPED = re.compile(
    r"hardly|by a hair|far more often|odd ones out|beyond what anyone|at the edge|keeps its place"
    r"|carries much of it|is steady|thinned out|lost its friends|in one pot|closer to what"
    r"|no single cohort is to blame|place to place|price of (?:the )?treatment",
    re.I,
)


@pytest.mark.parametrize(
    "page",
    ["question", "data_extraction", "audit", "effect_sizes", "pooling", "heterogeneity",
     "subgroups", "meta_regression"],
)  # fmt: skip
def test_no_judgement_is_typed_in_a_chapter(page):
    for cell in json.loads((BOOK / f"{page}.ipynb").read_text())["cells"]:
        found = TYPED.search(" ".join("".join(cell["source"]).split()))
        assert found is None, (cell["id"], found)
