"""Every kind of plot with input of every size: real, one, many, and awkward.

Awkward input has names longer than any column, signs that mean something to HTML or TeX, and
missing values. A kind that has no use for a size leaves it out; one that refuses it says so by
`MetaAnalysisError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pandas as pd

from helpers import load_cohorts, meta_regression, pool, posterior, printing, review, subgroups
from helpers.checks.bias import simulate_null
from helpers.checks.interval_coverage import exact_coverage, relative_variance
from helpers.checks.multiverse import multiverse
from helpers.evidence import load_context, load_corrections
from helpers.models.bayes import rank_probabilities
from helpers.review.causes import cause_rates, cause_table, homogeneity_test
from helpers.review.claim_analyses import CLAIMS, PUBLISHED, claim_multiverse, judge
from helpers.review.corrected_results import AS_PUBLISHED, EVERY, FACTS, CorrectionEffects
from helpers.review.published.models import regression_cohorts
from helpers.review.since_then import check_forecasts
from helpers.review.time_at_risk.contrast import time_contrast
from helpers.teaching.labs import i2_lab

plots = review.plots

__all__ = ["CASES", "Case", "cohorts", "fit", "plots"]

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
LONG = "{} a name with many more words than a column has room for: $x_1$ & <b> Ж\\alpha of {}"
NAME = LONG.format(1, 2)
MANY = 60  # studies: more than the review has


@dataclass(frozen=True)
class Case:
    """One kind: what draws it, the unit of its axes and what its alt text must hold.

    Attributes
    ----------
    draw : dict of variant to callable
        Variants are "real", "one", "many", "awkward".
    unit : str
        Found among labels and ticks of the axes.
    main : callable
        Printed values of the real result.
    refuses : str
        What the error says when there is only one.
    """

    draw: dict[str, Callable]
    unit: str
    main: Callable[[], list[str]] = field(default=list)
    refuses: str = ""


@cache
def cohorts(k: int | None = None, label: str = "Study {}", missing: bool = False):
    table = load_cohorts()
    if k is None:
        return table[table["entity"] == "MM"].reset_index(drop=True)
    rng = np.random.default_rng(k)
    made = table.iloc[rng.integers(0, len(table), k)].reset_index(drop=True)
    made["cohort"] = [label.format(i, i) for i in range(k)]
    if missing:
        made["nonrelapse_deaths"] = made["nonrelapse_deaths"].astype("Float64")
        made.loc[1, "nonrelapse_deaths"] = pd.NA
        made.loc[2:3, "median_follow_up_months"] = np.nan
    return made


@cache
def fit(k: int | None = None, awkward: bool = False):
    if k is None:
        return pool(cohorts(), **COLUMNS, measure="logit", model="glmm")
    table = cohorts(k, LONG, True) if awkward else cohorts(k)
    return pool(table, **COLUMNS, measure="logit", model="random")


@cache
def post(k: int | None = None, awkward: bool = False):
    table = cohorts(k, LONG) if awkward else cohorts(k)
    return posterior(table, **COLUMNS)


@cache
def grouped(k: int, label: str = "Group {}"):
    table = cohorts(2 * k)
    return subgroups(
        events=table["nonrelapse_deaths"],
        n=table["patients"],
        by=[label.format(i // 2, i) for i in range(2 * k)],
        model="random",
    )


@cache
def real(what: str):
    """Give the results of the book that several variants need."""
    return {
        "products": lambda: subgroups(cohorts(), by="product", **COLUMNS, model="random"),
        "effects": shifted,
        "infection-half": lambda: claim_multiverse(load_cohorts(), "infection-half"),
        "null": lambda: simulate_null(fit(), draws=100),
        "eleven": lambda: cause_table("all, eleven causes"),
        "setting": lambda: cause_table("setting"),
        "rates": lambda: cause_rates(load_cohorts(), by="setting"),
        "tested": lambda: homogeneity_test("setting", draws=99),
        "contrast": lambda: time_contrast(
            load_cohorts(), by="product", levels=("cilta-cel", "ide-cel")
        ),
        "months": lambda: months(cohorts()),
        "lab": lambda: i2_lab((50, 500), (0.0, 0.3), draws=50),
        "coverage": lambda: exact_coverage(24, np.linspace(0.01, 0.4, 60)),
        "variance": lambda: relative_variance(50, np.linspace(0.01, 0.5, 40)),
    }[what]()


def shifted():
    """Make up what corrections do; the real ones take ten seconds and have tests of their own."""
    levels = ["all", "LBCL", "MM"]
    base = pd.DataFrame({"analysis": levels, "level": levels, "estimate": [0.068, 0.061, 0.08]})
    base = base.assign(k=[52, 31, 13], events=[574, 420, 103], n=[7604, 5806, 1193])
    base = base.assign(ci_lower=base["estimate"] - 0.01, ci_upper=base["estimate"] + 0.012)
    names = [*load_corrections()["id"]]
    moved = {AS_PUBLISHED: 0.0, FACTS: 0.003, EVERY: 0.004} | {
        n: 0.0005 * i for i, n in enumerate(names)
    }
    frames = [
        base.assign(scenario=name, estimate=base["estimate"] + by) for name, by in moved.items()
    ]
    scenarios = {
        AS_PUBLISHED: (),
        FACTS: tuple(names),
        EVERY: tuple(names),
        **{n: (n,) for n in names},
    }
    return CorrectionEffects(scenarios, pd.concat(frames, ignore_index=True), pd.DataFrame())


def months(table):
    return meta_regression(
        table.dropna(subset=["nonrelapse_deaths"]).astype({"nonrelapse_deaths": int}),
        "median_follow_up_months",
        **COLUMNS,
    )


def of_fit(draw: Callable, *, few: int = 1) -> dict[str, Callable]:
    return {
        "real": lambda: draw(fit()),
        "one": lambda: draw(fit(few)),
        "many": lambda: draw(fit(MANY)),
        "awkward": lambda: draw(fit(8, awkward=True)),
    }


def years(result):
    return {label: 2015 + i % 7 for i, label in enumerate(result.studies.index)}


def centres(k: int, label: str = "Centre {}"):
    rng = np.random.default_rng(k)
    causes = real("setting").causes
    counts = rng.integers(1, 9, (k, len(causes)))
    groups = [label.format(i, i) for i in range(k)]
    return cause_table("centre", counts=counts, groups=groups, causes=causes)


def rows(k: int, label: str = "Row {}", columns=("estimate", "lower", "upper")):
    middle = np.random.default_rng(k).uniform(0.05, 0.1, k)
    named = {"label": [label.format(i, i) for i in range(k)]}
    shift = dict(zip(columns, (0.0, -0.02, 0.02), strict=False))
    return pd.DataFrame(named | {name: middle + by for name, by in shift.items()})


def curves(k: int, label: str = "curve {}"):
    x = np.linspace(1, 100, k)
    frames = [
        pd.DataFrame({"x": x, "curve": label.format(i, i), "value": (i + 1) / 5, "mcse": 0.01})
        for i in range(2)
    ]
    return pd.concat(frames, ignore_index=True)


def lines(frame, x="x"):
    return plots.lines(
        frame,
        x=x,
        x_label="Patients",
        y_label="Share",
        title="Shares",
        caption="They rise.",
        reference=("one half", 0.5),
    )


def products(table, label: str):
    """Give each cohort a made-up product."""
    return table.assign(product=[label.format(i % 3, i % 3) for i in range(len(table))])


def steps(k: int, label: str):
    return pd.DataFrame(
        {
            "step": [label.format(i) for i in range(k)],
            "counts": [f"The binomial model with random effects, {i}" for i in range(k)],
            "effects": [f"Inverse variance, {i}" for i in range(k)],
        }
    )


def estimate(result) -> list[str]:
    return [printing.estimate(result)]


_MM = "MM: all factors"


def renamed_checks(k: int, name: str) -> list:
    """Later reports under other names: as many as are asked for."""
    known = [one for one in check_forecasts() if one.forecast.method == "GLMM"]
    return [replace(known[i % len(known)], report=name.format(i, i)) for i in range(k)]


FIVE_MEASURES = ("raw", "log", "logit", "arcsine", "double-arcsine")

CASES: dict[str, Case] = {
    "forest": Case(of_fit(plots.forest), "%", lambda: estimate(fit())),
    **{
        f"forest-{layout}": Case(
            of_fit(lambda f, layout=layout: plots.forest(f, layout=layout)),
            "%",
            lambda: estimate(fit()),
        )
        for layout in ("jama", "bmj", "revman")
    },
    "subgroup_forest": Case(
        {
            "real": lambda: plots.subgroup_forest({"Product": real("products")}),
            "one": lambda: plots.subgroup_forest({"Group": grouped(1)}),
            "many": lambda: plots.subgroup_forest({"Group": grouped(30)}),
            "awkward": lambda: plots.subgroup_forest({NAME: grouped(3, LONG)}),
        },
        "%",
        lambda: [f"{n} {printing.estimate(f)}" for n, f in real("products").groups.items()],
        refuses="at least 2 groups",
    ),
    "leave_one_out_forest": Case(
        of_fit(plots.leave_one_out_forest),
        "%",
        lambda: estimate(fit()),
        refuses="at least 2 studies",
    ),
    "leave_one_out_strip": Case(
        of_fit(plots.leave_one_out_strip),
        "%",
        lambda: [printing.percent(fit().estimate)],
        refuses="at least 2 studies",
    ),
    "cumulative_forest": Case(
        of_fit(lambda f: plots.cumulative_forest(f, years(f))),
        "%",
        lambda: [printing.percent(fit().estimate)],
    ),
    "prediction": Case(
        of_fit(plots.prediction),
        "%",
        lambda: [printing.percent_range(fit().prediction_interval())],
    ),
    "median_mean": Case(
        {
            "real": lambda: plots.median_mean(fit()),
            "many": lambda: plots.median_mean(fit(MANY)),
            "awkward": lambda: plots.median_mean(
                pool(
                    events=[40, 30, 12, 60],
                    n=[50, 70, 60, 62],
                    study=[LONG.format(i, i) for i in range(4)],
                    model="glmm",
                )
            ),
        },
        "%",
        lambda: [printing.percent(fit().estimate), printing.percent(fit().mean_estimate)],
    ),
    "profile": Case(
        of_fit(lambda f: plots.profile(fit() if f is fit() else f)),
        "scale",
        lambda: [printing.number(fit().tau2, 3)],
        refuses="at least 2 studies",
    ),
    "baujat": Case(of_fit(plots.baujat), "Contribution", refuses="at least 2 studies"),
    "influence_panel": Case(of_fit(plots.influence_panel), "%", refuses="at least 2 studies"),
    "gosh": Case(of_fit(lambda f: plots.gosh(f.gosh(200))), "%", refuses="at least 2 studies"),
    "funnel": Case(
        of_fit(lambda f: plots.funnel(f, vertical="n")),
        "%",
        lambda: [printing.percent(fit().estimate)],
    ),
    "radial": Case(
        of_fit(plots.radial), "standard error", lambda: [printing.percent(fit().estimate)]
    ),
    "drapery": Case(of_fit(plots.drapery), "%"),
    "rejection": Case(
        {
            "real": lambda: plots.rejection(real("null")),
            "awkward": lambda: plots.rejection({NAME: real("null"), "b": real("null")}),
        },
        "%",
        lambda: [printing.percent(real("null").rejection[0], 0)],
    ),
    "construction": Case(
        {
            "real": lambda: plots.construction(fit().estimate),
            "one": lambda: plots.construction(fit().estimate, sizes=[1]),
            "many": lambda: plots.construction(0.5, sizes=[10, 50, 200, 800]),
        },
        "error",
        lambda: [printing.percent(fit().estimate)],
    ),
    "bubble": Case(
        {
            "real": lambda: plots.bubble(real("months"), xlabel="months"),
            "one": lambda: plots.bubble(months(cohorts(3))),
            "many": lambda: plots.bubble(months(cohorts(MANY))),
            "awkward": lambda: plots.bubble(months(cohorts(8, LONG, True))),
        },
        "%",
    ),
    "specification_curve": Case(
        {
            "real": lambda: plots.specification_curve(
                real("infection-half"), mark=real("infection-half").find(PUBLISHED)
            ),
            "one": lambda: plots.specification_curve(
                judge(
                    multiverse(load_cohorts(), {"measure": ["logit"]}, **COLUMNS), CLAIMS["overall"]
                )
            ),
        },
        "%",
        lambda: [printing.count(real("infection-half").ok.sum())],
    ),
    "specification_panels": Case(
        {
            "real": lambda: plots.specification_panels(
                {"Infection": real("infection-half")},
                marks={"Infection": real("infection-half").find(PUBLISHED)},
            ),
            "many": lambda: plots.specification_panels(
                {f"Claim {i}": real("infection-half") for i in range(5)}
            ),
            "awkward": lambda: plots.specification_panels({NAME: real("infection-half")}),
        },
        "%",
        lambda: ["one claim"],
    ),
    "posterior": Case(
        {
            "real": lambda: plots.posterior(post(), thresholds=[0.1]),
            "one": lambda: plots.posterior(post(1)),
            "many": lambda: plots.posterior({f"Group {i}": post(4 + i % 2) for i in range(20)}),
            "awkward": lambda: plots.posterior({NAME: post(4), "b": post(5)}),
        },
        "%",
        lambda: [printing.percent(post().estimate)],
        refuses="no posterior",
    ),
    "shrinkage": Case(
        {
            "real": lambda: plots.shrinkage(post()),
            "one": lambda: plots.shrinkage(post(1)),
            "many": lambda: plots.shrinkage(post(MANY)),
            "awkward": lambda: plots.shrinkage(post(8, awkward=True)),
        },
        "%",
        refuses="no posterior",
    ),
    "ranking": Case(
        {
            "real": lambda: plots.ranking(rank_probabilities({"a": post(4), "b": post(5)})),
            "one": lambda: plots.ranking(rank_probabilities({"a": post(4)})),
            "many": lambda: plots.ranking(
                rank_probabilities({f"Group {i}": post(4 + i % 2) for i in range(8)})
            ),
            "awkward": lambda: plots.ranking(rank_probabilities({NAME: post(4), "b": post(5)})),
        },
        "ank",
        refuses="at least two",
    ),
    "causes_shares": Case(
        {
            "real": lambda: plots.causes_shares(real("eleven")),
            "one": lambda: plots.causes_shares(centres(1)),
        },
        "%",
        lambda: [printing.percent(real("eleven").shares().iloc[0]["share"])],
    ),
    "causes_dots": Case(
        {
            "real": lambda: plots.causes_dots({"Setting": real("setting")}),
            "one": lambda: plots.causes_dots({"Centre": centres(1)}),
            "many": lambda: plots.causes_dots({"Centre": centres(40)}, width=340),
            "awkward": lambda: plots.causes_dots({NAME: centres(3, LONG)}),
        },
        "%",
        lambda: [printing.percent(75 / 127)],
    ),
    "rate_dots": Case(
        {
            "real": lambda: plots.rate_dots({"Setting": real("rates")}),
            "one": lambda: plots.rate_dots({"Setting": {"all": real("rates")["all"]}}),
            "many": lambda: plots.rate_dots({f"By setting {i}": real("rates") for i in range(9)}),
            "awkward": lambda: plots.rate_dots({NAME: real("rates")}, width=340),
        },
        "per 1,000",
        refuses="at least one group",
    ),
    "causes_heatmap": Case(
        {
            "real": lambda: plots.causes_heatmap(real("tested")),
            "one": lambda: plots.causes_heatmap(homogeneity_test(centres(1), draws=9)),
            "many": lambda: plots.causes_heatmap(homogeneity_test(centres(25), draws=9)),
            "awkward": lambda: plots.causes_heatmap(homogeneity_test(centres(3, LONG), draws=9)),
        },
        "",
        refuses="two groups",
    ),
    "icon_array": Case(
        {
            "real": lambda: plots.icon_array({"died": fit().estimate}, rest="alive"),
            "one": lambda: plots.icon_array({"died": 1.0}, rest="alive", total=1),
            "many": lambda: plots.icon_array({"died": 0.2, "ill": 0.3}, rest="alive", total=2000),
            "awkward": lambda: plots.icon_array({NAME: 0.2, "ill": 0.0}, rest=NAME),
        },
        "",
        lambda: [printing.count(round(1000 * fit().estimate))],
    ),
    "study_overview": Case(
        {
            "real": lambda: plots.study_overview(load_cohorts()),
            "one": lambda: plots.study_overview(cohorts(1)),
            "many": lambda: plots.study_overview(cohorts(MANY)),
            "awkward": lambda: plots.study_overview(cohorts(8, LONG)),
        },
        "months",
        lambda: [printing.count(load_cohorts()["patients"].sum())],
    ),
    "follow_up": Case(
        {
            "real": lambda: plots.follow_up(load_cohorts()),
            "one": lambda: plots.follow_up(cohorts(1)),
            "many": lambda: plots.follow_up(cohorts(MANY)),
            "awkward": lambda: plots.follow_up(products(cohorts(8, LONG, True), LONG)),
        },
        "months",
    ),
    "confounding": Case(
        {
            "real": lambda: plots.confounding(regression_cohorts(_MM)),
            "one": lambda: plots.confounding(cohorts(1).assign(follow_up="long")),
            "many": lambda: plots.confounding(cohorts(MANY).assign(follow_up="long")),
            "awkward": lambda: plots.confounding(
                products(cohorts(8, LONG), LONG).assign(follow_up=NAME)
            ),
        },
        "",
        lambda: [printing.count(regression_cohorts(_MM)["patients"].sum())],
    ),
    "corrections": Case(
        {"real": lambda: plots.corrections(real("effects"))},
        "percentage points",
        lambda: [printing.percent(real("effects").estimate("all")["estimate"], 2)],
    ),
    "before_after": Case(
        {
            "one": lambda: plots.before_after([real("contrast")]),
            "many": lambda: plots.before_after([real("contrast")] * 4),
        },
        "atio",
    ),
    "later_reports": Case(
        {
            "real": lambda: plots.later_reports(check_forecasts()),
            "one": lambda: plots.later_reports(check_forecasts()[:1]),
            "many": lambda: plots.later_reports(renamed_checks(30, "report {}")),
            "awkward": lambda: plots.later_reports(renamed_checks(8, LONG)),
        },
        "%",
        lambda: [printing.count(len(check_forecasts()) // 2)],
    ),
    "later_reports-narrow": Case(
        {
            "real": lambda: plots.later_reports(check_forecasts(), width=342),
            "awkward": lambda: plots.later_reports(renamed_checks(8, LONG), width=342),
        },
        "%",
    ),
    "review_flow": Case(
        {
            "real": lambda: plots.review_flow(load_context("review_methods")),
            "awkward": lambda: plots.review_flow(load_context("review_methods").assign(known=NAME)),
        },
        "",
        lambda: ["not found"],
    ),
    "review_flow-narrow": Case(
        {"real": lambda: plots.review_flow(load_context("review_methods"), width=342)}, ""
    ),
    "coverage_range": Case({"real": lambda: plots.coverage_range(real("coverage"))}, "%"),
    "variance_curves": Case(
        {
            "real": lambda: plots.variance_curves(real("variance")),
            "many": lambda: plots.variance_curves(
                relative_variance(94, np.linspace(0.01, 0.25, 50), FIVE_MEASURES)
            ),
        },
        "%",
    ),
    "lines": Case(
        {
            "real": lambda: lines(real("lab"), x="patients"),
            "one": lambda: lines(curves(1)),
            "many": lambda: lines(curves(90)),
            "awkward": lambda: lines(curves(3, LONG)),
        },
        "%",
    ),
    "decision_flow": Case(
        {
            "one": lambda: plots.decision_flow(steps(1, "Step {}")),
            "many": lambda: plots.decision_flow(steps(20, "Step {}")),
            "awkward": lambda: plots.decision_flow(steps(3, "A longer name of the step {}")),
        },
        "",
    ),
    "estimates": Case(
        {
            "real": lambda: plots.estimates(
                rows(3).assign(label=["common", "random", "glmm"]), quantity="Rate"
            ),
            "one": lambda: plots.estimates(rows(1), quantity="Rate"),
            "many": lambda: plots.estimates(rows(MANY), quantity="Rate"),
            "awkward": lambda: plots.estimates(rows(5, LONG), quantity="Rate"),
        },
        "%",
    ),
}
