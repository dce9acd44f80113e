"""What readers do to a chapter: edits of its table, options typed over, a table of their own.

`REFUSED` is the matrix of chapters and edits: what is not in it runs from the first cell to the
last. Where an edit cannot apply, the entry is what the one clear error says.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Edit = Callable[[pd.DataFrame], pd.DataFrame]


def without(cohort: str) -> Edit:
    return lambda table: table[table["cohort"] != cohort]


def first(k: int) -> Edit:
    return lambda table: table.nlargest(k, "patients")


def one_more(table: pd.DataFrame) -> pd.DataFrame:
    ours = table[table["cohort"] == "Martin 2023"]
    return pd.concat([table, ours.assign(cohort="Ours 2026", patients=60, nonrelapse_deaths=9)])


def one_count(table: pd.DataFrame) -> pd.DataFrame:
    here = table["cohort"] == "San Miguel 2023"
    return table.assign(nonrelapse_deaths=table["nonrelapse_deaths"].mask(here, 30))


def relabelled(table: pd.DataFrame) -> pd.DataFrame:
    """Give the same cohorts, in the same order, under other labels."""
    return table.assign(cohort=[f"Cohort {i:02d}" for i in range(1, len(table) + 1)])


def own(products: tuple[str, str], diseases: tuple[str, str]) -> pd.DataFrame:
    """Give twenty cohorts that nobody published: names, sizes and counts are made up."""
    number = np.arange(20)
    n = 30 + 17 * (number % 7) + 5 * number
    month = 4.0 + 3 * (number % 6) + number / 4
    x = np.round(n * (0.02 + 0.012 * (number % 5) + 0.001 * month)).astype(int)
    x[[3, 11]] = 0
    text = {
        "cohort": [f"Harbour {2001 + i}" for i in number],
        "first_author": "Harbour",
        "year": 2001 + number,
        "arm": None,
        "entity": np.where(number % 4 < 2, *diseases),
        "product": np.where(number % 3 < 2, *products),
        "setting": np.where(number % 5 < 2, "trial", "real-world"),
        "phase": None,
        "treatment_line": np.where(number % 7 < 2, "earlier", "later"),
        "enrolment_ended": np.where(number % 8 < 4, "before 2020", "2020 or later"),
    }
    counts = {"patients": n, "nonrelapse_deaths": x, "median_follow_up_months": month}
    reported = np.where(number % 6 == 0, np.round(x / n + 0.01, 3), np.nan)
    table = pd.DataFrame({**text, **counts, "reported_nrm": reported})
    return table.assign(reported_nrm_month=np.where(number % 6 == 0, 12.0, np.nan))


TABLES: dict[str, Edit | None] = {
    "as it is": None,
    "without the largest": without("Jacobson 2022 B"),
    "one cohort more": one_more,
    "another count": one_count,
    "relabelled": relabelled,
    "another disease": lambda table: table[table["entity"] == "MM"],
    "without myeloma": lambda table: table[table["entity"] != "MM"],
    "without mixed products": lambda table: table[
        ~table["product"].astype(str).str.contains("+", regex=False)
    ],
    "every cohort has a death": lambda table: table[table["nonrelapse_deaths"] > 0],
    "three cohorts": first(3),
    "two cohorts": first(2),
    "one cohort": first(1),
    "without a corrected cohort": without("Bethge 2022 A"),
    "without a disease": lambda table: table[table["entity"] != "IL"],
    "a disease that is new": lambda table: table.assign(
        entity=table["entity"].astype(str).replace("IL", "CLL")
    ),
    "one of each disease": lambda table: table.groupby("entity", observed=True).head(1),
    "few of each": lambda table: table.groupby(["entity", "product"], observed=True).head(3),
    "a table of one's own": lambda _: own(("axi-cel", "tisa-cel"), ("LBCL", "MCL")),
    "own names of all": lambda _: own(("alpha-cel", "beta-cel"), ("ALL", "CLL")),
}

#: Edits of a table that every chapter with a table meets.
COMMON = (
    "without the largest",
    "one cohort more",
    "another count",
    "relabelled",
    "another disease",
    "without myeloma",
    "without mixed products",
    "every cohort has a death",
    "three cohorts",
    "a table of one's own",
    "own names of all",
)
#: And those that take little time.
MORE = (
    "two cohorts",
    "one cohort",
    "without a corrected cohort",
    "without a disease",
    "a disease that is new",
    "one of each disease",
    "few of each",
)
GLMM = 'model="glmm", ci_method="wald"'
LOGIT = f'measure="logit", {GLMM}'
#: Options that a reader types over in the cells of a chapter.
TYPED: dict[str, dict[str, dict[str, str]]] = {
    "question": {
        "another measure": {LOGIT: 'measure="arcsine", model="random"'},
        "another estimator": {LOGIT: 'measure="logit", model="random", tau2_method="PM"'},
        "another interval": {GLMM: 'model="glmm", ci_method="t"'},
        "another level": {GLMM: f"{GLMM}, level=0.9"},
    },
    "effect_sizes": {
        "another model": {'model="random"': 'model="common"'},
        "another estimator": {'model="random"': 'model="random", tau2_method="PM"'},
        "fewer measures": {'"raw", "log", "logit"': '"raw", "logit"'},
    },
    "pooling": {
        "another estimator": {'tau2_method="REML", ci_method="wald"': 'tau2_method="PM"'},
        "another interval": {LOGIT: 'measure="logit", model="glmm", ci_method="t"'},
    },
    "heterogeneity": {
        "another estimator": {'tau2_method="REML", ci_method="wald"': 'tau2_method="ML"'},
        "another interval": {LOGIT: 'measure="logit", model="glmm", ci_method="t"'},
        "another level": {f"{LOGIT})": f"{LOGIT}, level=0.9)"},
    },
    "small_study_effects": {
        "another model": {LOGIT: 'measure="logit", model="random"'},
    },
    "dependence": {
        "another model": {'ci_method="t"': 'model="random", ci_method="t"'},
    },
    "exam": {
        "another model": {GLMM: 'model="random"'},
    },
    "explore": {
        "another model": {'measure="logit", model="glmm"': 'measure="logit", model="random"'},
    },
    "gallery": {
        "another measure": {LOGIT: 'measure="arcsine", model="random"'},
    },
    "bayes": {"another interval": {GLMM: 'model="glmm", ci_method="t"'}},
    "time_at_risk": {
        "another model": {'follow_up="median_follow_up_months", model="glmm"':
                          'follow_up="median_follow_up_months", model="random"'},
        "another comparison": {'("axi-cel", "tisa-cel")]': '("axi-cel", "liso-cel")]'},
    },
    "meta_regression": {
        "another estimator": {'"tau2_method": "ML"': '"tau2_method": "REML"'},
        "another interval": {'"ci_method": "knapp-hartung"}\nmonths':
                             '"ci_method": "t"}\nmonths'},
        "another formula": {'meta_regression(lbcl, "product", **options)':
                            'meta_regression(lbcl, "product + setting", **options)'},
        "a formula with a slip": {'meta_regression(lbcl, "product", **options)':
                                  'meta_regression(lbcl, "produkt", **options)'},
    },
    "subgroups": {
        "another model": {'{"model": "glmm", "ci_method": "wald"}': '{"model": "random"}'},
    },
    "index": {
        "another model": {'"model": "glmm", "ci_method": "wald"': '"model": "random"'},
        "another measure": {'{"measure": "logit", "model": "glmm", "ci_method": "wald"}':
                            '{"measure": "arcsine", "model": "random"}'},
    },
}  # fmt: skip

#: Chapters that take no table of a reader, and why an edit of one cannot apply.
NO_TABLE = {
    "codebook": "describes the files of the review",
    "decision_guide": "reads the simulation, which has no cohorts",
    "helpers_reference": "lists the helpers",
    "migration": "stores what R computed for fixed examples",
    "reproduction": "compares the review's own table with its printed numbers; no other can be",
    "self_check": "asks about the review's own table",
    "teaching_kit": "lists goals, plans and slides",
}

EDITS = {
    name: [*COMMON, *more, *TYPED.get(name, {})]
    for name, more in {
        "question": MORE,
        "data_extraction": MORE,
        "effect_sizes": MORE,
        "pooling": MORE,
        "heterogeneity": ("two cohorts", "one cohort", "without a disease"),
        "audit": ("without a corrected cohort", "without a disease"),
        "subgroups": ("without a disease", "a disease that is new"),
        "meta_regression": ("without a disease",),
        "causes_of_death": ("without a corrected cohort", "without a disease"),
        "time_at_risk": ("without a disease",),
        "summary_of_findings": (
            "one cohort",
            "without a corrected cohort",
            "a disease that is new",
        ),
        "small_study_effects": (),
        "dependence": ("few of each",),
        "multiverse": ("few of each",),
        "bayes": ("few of each",),
        "your_own_table": (),
        "explore": (),
        "exam": ("few of each",),
        "index": ("one of each disease", "a disease that is new", "without a corrected cohort"),
        "conventions": (),
        "method_menu": (),
        "gallery": (),
        "gallery_more": (),
        "labs": (),
        "preventing_infection": (),
        "since_then": (),
        "in_brief": (),
    }.items()
}
#: Every edit meets a chapter on every run (the first takes them all), and every chapter one edit.
DAILY = {
    "question": EDITS["question"],
    "data_extraction": ["another disease"],
    "effect_sizes": ["few of each"],
    "pooling": ["another disease"],
    "heterogeneity": ["a table of one's own"],
    "audit": ["another disease"],
    "subgroups": ["own names of all"],
    "meta_regression": ["relabelled"],
    "causes_of_death": ["without a disease"],
    "time_at_risk": ["another comparison"],
    "summary_of_findings": ["without a corrected cohort"],
    "small_study_effects": ["another disease"],
    "dependence": ["one cohort more"],
    "multiverse": ["three cohorts"],
    "bayes": ["another disease"],
    "your_own_table": ["own names of all"],
    "explore": ["three cohorts"],
    "exam": ["own names of all"],
    "index": ["own names of all"],
    "conventions": ["own names of all"],
    "method_menu": ["another disease"],
    "gallery": ["without mixed products"],
    "gallery_more": ["without myeloma", "every cohort has a death"],
    "labs": ["own names of all"],
    "preventing_infection": ["relabelled"],
    "since_then": ["one cohort more"],
    "in_brief": ["relabelled"],
}
_NAMED = "this chapter compares groups by name"
_ZERO = "no study of this table is without an event"
_NO_MM = dict.fromkeys(
    ("without myeloma", "three cohorts", "a table of one's own", "own names of all"), _NAMED
)
_NO_PAIRS = {"another disease": _NAMED, **_NO_MM}
_CAUSES = "give all of its cohorts"  # deaths by cause are public as totals of the review
_OTHER_DEATHS = (
    "without the largest",
    "one cohort more",
    "another count",
    "without mixed products",
)
#: What the one clear error says, where an edit cannot apply.
REFUSED: dict[str, dict[str, str]] = {
    "effect_sizes": dict.fromkeys(
        (
            "another disease",
            "every cohort has a death",
            "three cohorts",
            "two cohorts",
            "one cohort",
            "one of each disease",
        ),
        _ZERO,
    ),
    "audit": _NO_PAIRS
    | {
        "relabelled": "no correction of the audit concerns",
        "without the largest": "the table has none of Jacobson 2022 B",  # of the last exercises
    },
    "subgroups": _NO_PAIRS | {"another model": "put the published options back"},
    "meta_regression": _NO_PAIRS
    | dict.fromkeys(("another estimator", "another interval"), "put the published options back")
    | {"a formula with a slip": "produkt"},
    "time_at_risk": _NO_PAIRS,
    "multiverse": _NO_PAIRS
    | dict.fromkeys(("relabelled", "few of each"), "no study 'Nastoupil 2020'"),  # of an exercise
    "bayes": _NO_PAIRS,
    "gallery": _NO_MM
    | {
        "another disease": "needs at least 2 groups",
        "another measure": "the plot needs a fit of logits",
    },
    "gallery_more": _NO_MM
    | dict.fromkeys((*_OTHER_DEATHS, "another disease"), _CAUSES)
    | {"relabelled": "no correction of the audit concerns"},
    "causes_of_death": dict.fromkeys(
        (
            *_OTHER_DEATHS,
            "without myeloma",
            "without a corrected cohort",
            "without a disease",
            "a table of one's own",
            "own names of all",
        ),
        _CAUSES,
    )
    | dict.fromkeys(("another disease", "three cohorts"), "needs at least 2 groups"),
    "preventing_infection": dict.fromkeys(
        (
            *_OTHER_DEATHS,
            "another disease",
            "without myeloma",
            "a table of one's own",
            "own names of all",
        ),
        _CAUSES,
    )
    | {"three cohorts": "needs at least 2 groups"},
    "since_then": dict.fromkeys(COMMON, "give load_cohorts() unchanged"),
    "in_brief": dict.fromkeys(COMMON, "give load_cohorts() unchanged"),
    "your_own_table": dict.fromkeys(
        ("another disease", "three cohorts"), "needs at least 2 groups"
    ),
    "method_menu": dict.fromkeys(("another disease", "three cohorts"), "needs at least 2 groups")
    | dict.fromkeys(
        ("a table of one's own", "own names of all"), "expected more clusters than coefficients"
    ),
    "heterogeneity": {
        "three cohorts": "sums by hand need at least three cohorts",
        "two cohorts": "there are too few studies; give at least three",
        "one cohort": "a prediction interval needs at least 2 studies",
    },
    "dependence": {
        **dict.fromkeys(
            ("relabelled", "three cohorts", "a table of one's own", "own names of all"),
            "every cluster has one cohort",
        ),
        "without myeloma": _NAMED,
    },
    "question": {"another measure": "no mean across studies for measure"},
    "small_study_effects": dict.fromkeys(
        ("a table of one's own", "own names of all"), "choose other cut-points"
    )
    | {"three cohorts": "sums by hand need at least three cohorts"},
    "pooling": {
        "three cohorts": "sums by hand need at least three cohorts",
        "two cohorts": "sums by hand need at least three cohorts",
        "one cohort": "heterogeneity() needs at least two studies",
    },
    "index": dict.fromkeys(("another disease", "three cohorts"), "needs at least 2 groups")
    | {"another measure": "no mean across studies for measure"},
    "explore": dict.fromkeys(("another disease", "three cohorts", "own names of all"), _NAMED)
    | {"another model": "the page pools by the GLMM of logits"},
    "exam": dict.fromkeys(("another disease", "every cohort has a death", "three cohorts"), _ZERO),
}
