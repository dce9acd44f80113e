"""The decision guide: every recommendation has a reason that was looked up, and a picture."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd
import pytest
from plot_tools import assert_all_words_inside, assert_no_words_collide
from prose_check import typed_numbers

from helpers.errors import MetaAnalysisError
from helpers.evidence.pages import page_file
from helpers.reference.guide import look_up, read_guide
from helpers.views.plots import decision_flow, show
from helpers.views.plots.note import note_of

ROOT = Path(__file__).resolve().parents[2]
GUIDE = page_file("decision_guide.toml")
RESULTS = ROOT / "benchmarks" / "results" / "coverage.csv"


@pytest.fixture(scope="module")
def guide():
    return read_guide(RESULTS)


@pytest.fixture(scope="module")
def options(guide):
    return {(d.id, o.when): o for d in guide.decisions for o in d.options}


def test_numbers_are_those_of_the_simulation(options):
    rows = pd.read_csv(RESULTS)
    mine = rows[
        (rows.family == "binomial-normal")
        & (rows.k == 5)
        & (rows.quantity == "mu interval")
        & (rows.performance == "coverage")
        & (rows.estimator == "GLMM")
    ]
    found = options["interval", "GLMM, few studies"].numbers
    assert found["t"] == pytest.approx(mine[mine.method == "t"].value.mean())
    assert found["wald_low"] == mine[mine.method == "wald"].value.min()


def test_the_recommended_way_is_the_better_one_in_the_simulation(options):
    """Whoever changes the simulation or the code sees here which advice no longer holds."""
    few = options["interval", "GLMM, few studies"].numbers
    assert few["t_low"] > max(few["wald_low"], few["profile_low"])
    many = options["interval", "GLMM, many studies"].numbers
    assert abs(many["t"] - many["wald"]) < 0.01
    model = options["model", "Counts, above all small cohorts or rare events"].numbers
    assert abs(model["glmm"] - 0.95) < abs(model["normal"] - 0.95)
    assert options["model", "The studies are known to share one true value"].numbers["common"] < 0.6
    effects = options["interval", "Effects with standard errors"].numbers
    assert effects["max1_low"] > effects["kh_low"] > effects["wald_low"]
    new = options["prediction", "Always, in addition to the mean"].numbers
    assert new["normal"] < new["five"] < 0.95
    spread = options["heterogeneity", "GLMM"].numbers
    assert abs(spread["profile"] - 0.95) < abs(spread["q"] - 0.95)
    assert spread["lrt_power"] > spread["q_power"]
    # The test that a result prints is nearer its level than Q, on average; at worst it is not.
    assert abs(spread["lrt"] - 0.05) < abs(spread["cochran"] - 0.05)
    rows = pd.read_csv(RESULTS).query(
        "family == 'binomial-normal' and tau == 0 and performance == 'rejection'"
        " and method == 'likelihood ratio'"
    )
    assert spread["lrt_high"] == rows.value.max() > 0.1


def test_no_result_is_typed_into_the_guide():
    with GUIDE.open("rb") as file:
        content = tomllib.load(file)
    texts = [o[key] for d in content["decision"] for o in d["option"] for key in ("use", "why")]
    # numbers of studies in words say for which data an advice holds
    assert not [hit for text in texts for hit in typed_numbers(text) if hit[0][0].isdigit()]


def test_sources_are_in_the_bibliography(options):
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert all(f"{{{key}," in text for option in options.values() for key in option.source)


def test_advice_without_a_reason_is_refused(tmp_path):
    path = tmp_path / "guide.toml"
    path.write_text(
        '[[decision]]\nid = "a"\nquestion = "?"\n[[decision.option]]\nwhen = "x"\nuse = "y"\n'
        'call = "z"\nuses = []\nwhy = ""\nsource = []\n[[path]]\ndata = "x"\nsteps = {}\n',
        encoding="utf-8",
    )
    with pytest.raises(MetaAnalysisError, match="neither a source nor a number"):
        read_guide(RESULTS, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"k": 7}, "no scenario"), ({"colour": "red"}, "no column"), ({"summary": "best"}, "no scen")],
)
def test_a_number_that_is_not_there_is_refused(change, message):
    asked = {"performance": "coverage", "summary": "mean", "k": 5}
    with pytest.raises(MetaAnalysisError, match=message):
        look_up(pd.read_csv(RESULTS), asked | change)


def test_the_flow_shows_every_step_of_every_way(guide):
    ax = decision_flow(guide.frame())
    shown = " ".join(" ".join(text.get_text().split()) for text in ax.texts)
    for way in guide.paths:
        assert way.data in shown
        for step, use in way.steps.items():
            assert step in shown
            assert " ".join(use.split()) in shown
            assert use in note_of(ax).alt
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


def test_text_stays_in_its_box(guide):
    ax = decision_flow(guide.frame())
    ax.figure.draw_without_rendering()
    for text in (t for t in ax.texts if t.get_ha() == "center" and t.get_text()):
        box = text.get_window_extent()
        home = min(
            (p.get_window_extent() for p in ax.patches),
            key=lambda b: abs(b.x0 + b.x1 - box.x0 - box.x1) + abs(b.y0 + b.y1 - box.y0 - box.y1),
        )
        assert home.x0 <= box.x0
        assert box.x1 <= home.x1
        assert home.y0 <= box.y0
        assert box.y1 <= home.y1


def test_one_step_or_many_long_ones_are_drawn():
    one = pd.DataFrame({"step": ["Model"], "counts": ["GLMM"]})
    many = pd.DataFrame(
        {"step": [f"Step {i}" for i in range(30)], **{c: ["a long text " * 8] * 30 for c in "abcd"}}
    )
    for frame in (one, many):
        ax = decision_flow(frame)
        assert_all_words_inside(ax)
        assert "<svg" in show(ax, "flow").svg


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"step": ["a"]}), pd.DataFrame({"step": [""], "b": ["c"]})]
)
def test_a_flow_without_content_is_refused(frame):
    with pytest.raises(MetaAnalysisError, match="needs steps"):
        decision_flow(frame)
