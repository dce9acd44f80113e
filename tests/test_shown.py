"""Results as the last line of a cell: a few lines of text, a small table, the number in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from test_vocabulary import RESULTS

import helpers
from helpers import (
    bayes,
    bias,
    load_cohorts,
    meta_regression,
    multiverse,
    pool,
    pool_beta_binomial,
    pool_effects,
    pool_multilevel,
    pool_rates,
    posterior,
    review,
    simulation,
    subgroups,
)
from helpers.engine.counts.fit import fit_glmm
from helpers.engine.shown import Shown
from helpers.engine.summaries import Caution

LINES, WIDTH = 10, 100
COUNTS: dict[str, Any] = {
    "events": [3, 0, 11, 5, 2, 9, 4, 16, 7, 1],
    "n": [40, 25, 130, 60, 20, 70, 44, 90, 120, 35],
}
GROUPS = list("aabbaabbab")


@cache
def fit() -> Any:
    return pool(**COUNTS, model="random")


@cache
def ratio() -> Any:
    return subgroups(**COUNTS, by=GROUPS, model="random")


@cache
def slope() -> Any:
    import pandas as pd

    return meta_regression(pd.DataFrame(COUNTS | {"x": range(10)}), "x", events="events", n="n")


@cache
def post() -> Any:
    return posterior(**COUNTS)


def three() -> Any:
    return pool_multilevel(**COUNTS, cluster=list("aabbccddee"))


def claim() -> Any:
    return review.claim_multiverse(load_cohorts(), "infection")


def worlds() -> Any:
    return multiverse(choices={"measure": ["logit", "arcsine"]}, **COUNTS)


def simulated() -> Any:
    truth = simulation.Scenario(k=5, proportion=0.2, tau=0.3)
    return simulation.coverage([truth], draws=4, glmm=False)


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


#: Result -> how it is made, and a number that a reader must find in it, worked out here.
EXAMPLES: dict[str, tuple[Callable[[], Any], Callable[[Any], str]]] = {
    "PoolResult": (fit, lambda r: percent(r.estimate)),
    "SubgroupResult": (ratio, lambda r: percent(r.groups["a"].estimate)),
    "RegressionResult": (slope, lambda r: f"{abs(r.estimates[0]):.2f}"),
    "MultilevelResult": (three, lambda r: percent(r.estimate)),
    "BetaBinomialResult": (
        lambda: pool_beta_binomial(**COUNTS),
        lambda r: percent(1 / (1 + np.exp(-r.mu))),
    ),
    "Posterior": (post, lambda r: percent(r.ci.upper)),
    "HeterogeneityIntervals": (
        lambda: fit().heterogeneity_ci("q-profile"),
        lambda r: f"{r.I2.upper:.1f}",
    ),
    "CalibratedTest": (lambda: ratio().calibrated_test(draws=20), lambda r: f"{r.p:.2f}"),
    "EventCounts": (lambda: post().predict_events(50), lambda r: f"{r.mean:.1f}"),
    "Trace": (lambda: post().trace([0.0, 0.4]), lambda r: "0.40"),
    "Ranking": (
        lambda: bayes.rank_probabilities(
            {"one": post(), "two": posterior(yi=[-1.0, -1.2], vi=[0.1, 0.1], measure="logit")}
        ),
        lambda r: f"{r.mean_rank[0]:.1f}",
    ),
    "BiasTest": (lambda: bias.egger(**COUNTS), lambda r: f"{abs(r.statistic):.3g}"),
    "PetPeese": (lambda: bias.pet_peese(**COUNTS), lambda r: f"{abs(r.peese.limit):.2f}"),
    "FailSafeN": (lambda: bias.fail_safe_n(**COUNTS, null=-3.0), lambda r: f"{r.fail_safe}"),
    "ExcessSignificance": (
        lambda: bias.excess_significance(**COUNTS, null=-2.0),
        lambda r: f"{r.expected:.3g}",
    ),
    "SelectionModel": (
        lambda: bias.selection_model(**COUNTS, null=-4.0),
        lambda r: percent(r.estimate),
    ),
    "LimitMetaAnalysis": (
        lambda: bias.limit_meta_analysis(**COUNTS),
        lambda r: percent(r.estimate),
    ),
    "TrimAndFill": (lambda: bias.trim_and_fill(**COUNTS), lambda r: percent(r.estimate)),
    "NullSimulation": (
        lambda: bias.simulate_null(fit(), draws=20),
        lambda r: percent(r.rejection[0]),
    ),
    "PowerSimulation": (
        lambda: bias.simulate_power(fit(), slope=1.0, draws=20),
        lambda r: percent(r.power[0]),
    ),
    "ClaimMultiverse": (claim, lambda r: f"{np.median(r.value[r.ok]):.2f}"),
    "MultiverseResult": (worlds, lambda r: f"{np.median(r.columns['estimate']):.3g}"),
    "SimulationResult": (simulated, lambda r: "4 a scenario"),
    "GoshResult": (lambda: fit().gosh(), lambda r: f"{np.max(r.estimate):.2g}"),
    "PermutationTest": (lambda: slope().permutation_test(20), lambda r: f"{r.p:.2f}"),
    "InfluenceResult": (lambda: fit().influence(), lambda r: "10"),
    "BootstrapResult": (lambda: fit().bootstrap(20), lambda r: percent(r.fit.estimate)),
    "SignFlipTest": (lambda: fit().permutation_test(0.1, draws=100), lambda r: f"{r.p:.2f}"),
    "Burden": (
        lambda: review.prevention.infection_burden()["all", "mean"],
        lambda r: percent(r.estimate),
    ),
    "Prevented": (
        lambda: review.prevention.prevented_deaths(made("Burden"), [0.25])[0],
        lambda r: f"{1000 * r.fewer:.1f}",
    ),
    "CauseRate": (lambda: review.causes.cause_rates()["MM"], lambda r: percent(r.estimate)),
    "CauseShare": (lambda: review.causes.infection_share(), lambda r: percent(r.estimate)),
    "CauseTable": (lambda: review.causes.cause_table("setting"), lambda r: f"{r.deaths.sum()}"),
    "HomogeneityTest": (
        lambda: review.causes.homogeneity_test("setting", draws=99),
        lambda r: f"{r.statistic:.1f}",
    ),
    "Reproduction": (lambda: review.reproduction(), lambda r: f"{len(r.comparisons)}"),
    "TimeContrast": (
        lambda: review.time_contrast(load_cohorts(), by="entity", levels=("MCL", "LBCL")),
        lambda r: f"{r.ratio[0]:.2f}",
    ),
}
#: Bases that nobody gets.
BASES = {"SmallStudyResult", "Displayed", "SimulatedTests"}


@cache
def made(name: str) -> Any:
    return EXAMPLES[name][0]()


class Text(HTMLParser):
    """The text of a page, as a browser has it."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def check(result: Any) -> str:
    """Check size and form; give the text."""
    text, page = repr(result), result._repr_html_()
    lines = text.splitlines()
    assert 1 < len(lines) <= LINES, text
    assert max(map(len, lines)) <= WIDTH, text
    assert not re.search(r"\bnan\b|\binf\b|array\(|np\.|object at", text), text
    tree = ElementTree.fromstring(page)
    assert tree.tag == "table"
    assert {one.tag for one in tree.iter()} == {"table", "caption", "tbody", "tr", "th", "td"}
    assert len(tree.findall("tbody/tr")) == len(lines) - 1
    return text


def test_every_public_result_has_an_example():
    assert {one.__name__ for one in RESULTS} - BASES == set(EXAMPLES)


@pytest.mark.parametrize("kind", RESULTS, ids=lambda one: one.__name__)
def test_every_public_result_shows_itself_by_the_one_home(kind):
    assert issubclass(kind, Shown)
    assert kind.__repr__ is Shown.__repr__
    assert kind._repr_html_ is Shown._repr_html_


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_result_is_a_few_lines_with_its_number_in_them(name):
    result = made(name)
    assert type(result).__name__ == name
    text = check(result)
    number = EXAMPLES[name][1](result)
    assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text), (number, text)
    page = Text()
    page.feed(result._repr_html_())
    assert number in "".join(page.words)


@pytest.mark.parametrize("name", ["PoolResult", "BiasTest", "TrimAndFill", "Posterior"])
def test_studies_and_cautions_are_told(name):
    result = made(name)
    text = repr(result)
    assert re.search(rf"studies +{result.k}\b", text)
    first = result.cautions[0].message if result.cautions else "none"
    assert re.search(rf"cautions +{re.escape(first[:40])}", text)
    assert first in html_text(result)


def html_text(result: Any) -> str:
    page = Text()
    page.feed(result._repr_html_())
    return "\n".join(page.words)


def test_tau2_is_told_where_there_is_one():
    assert re.search(rf"τ² +{re.escape(f'{fit().tau2:.3f}')}; I²", repr(fit()))
    assert "τ²" not in repr(pool(**COUNTS, model="common"))


@pytest.mark.parametrize(
    "result",
    [
        lambda: pool(events=[0, 0, 0], n=[10, 20, 30]),
        lambda: pool(events=[9, 20], n=[9, 20]),
        lambda: pool(events=[1], n=[10]),
        lambda: pool(events=[2, 2], n=[10, 10], model="random"),
        lambda: pool(**COUNTS, measure="double-arcsine"),
        lambda: pool_effects([0.1, -0.4, 0.3], [0.1, 0.2, 0.1]),
        lambda: pool_rates(**COUNTS, follow_up=[12] * 10),
        lambda: posterior(yi=[0.1, 0.4], vi=[0.1, 0.2]),
        lambda: posterior(yi=[0.1], vi=[0.1]).mu,
        lambda: post().rate,
        lambda: post().errors,
        lambda: bias.trim_and_fill(**COUNTS, measure="double-arcsine"),
        lambda: bias.begg(**COUNTS),
        lambda: bias.peters(**COUNTS),
        lambda: slope().omnibus,
        lambda: fit().heterogeneity,
        lambda: fit().effect_test(),
        lambda: fit().probability_beyond(0.1),
        lambda: ratio().test,
        lambda: fit_glmm(**COUNTS),
        lambda: fit_glmm(**{name: np.array([one, one]) for name, one in COUNTS.items()}),
        lambda: three().between_test,
        lambda: review.causes.share_bounds(),
        lambda: claim().share_supporting,
    ],
)
def test_odd_results_and_parts_of_results_are_short_too(result):
    check(result())


def test_thirty_groups_with_long_names_are_cut_to_size():
    names = [f"group {i} with a name\nthat does not end & <goes> on{'!' * 80}" for i in range(30)]
    result = subgroups(events=[1, 2] * 30, n=[40, 50] * 30, by=[n for n in names for _ in "ab"])
    text = check(result)
    assert "26 more groups in summary_frame()" in text
    assert "<goes>" not in result._repr_html_()
    assert "&lt;goes&gt;" in result._repr_html_()


def test_groups_say_their_variance_where_they_have_one():
    for name, group in ratio().groups.items():
        assert re.search(rf"{name} .*; k = {group.k}, τ² {group.tau2:.3f}", repr(ratio())), name
    assert "τ² 0" not in repr(subgroups(**COUNTS, by=GROUPS, model="common"))
    assert "more groups" not in repr(ratio())


def test_many_cautions_are_counted():
    many = tuple(Caution(f"c{i}", f"Caution {i}: {'a word ' * 40}") for i in range(12))
    text = check(replace(fit(), cautions=many))
    assert "and 11 others in .cautions" in text


def test_a_word_that_would_be_a_tag_stays_a_word():
    result = replace(fit(), cautions=(Caution("x", "<script>alert('1')</script> & \x00 more"),))
    assert "<script>" not in result._repr_html_()
    check(result)


def test_the_estimate_is_that_of_the_sentences():
    assert helpers.printing.estimate(fit()) in repr(fit())


@pytest.mark.parametrize("rows", [7, 8, 30])
def test_rows_that_are_shown_and_those_that_are_counted_are_all(rows):
    class Long(Shown):
        def _said(self):
            return [(f"row {i}", str(i)) for i in range(rows)]

    lines = repr(Long()).splitlines()[1:]
    told = [line for line in lines if line.startswith("  row ")]
    counted = [int(n) for line in lines for n in re.findall(r"…\s+(\d+) more rows", line)]
    assert len(told) + sum(counted) == rows
    assert len(told) + len(counted) == len(lines)
