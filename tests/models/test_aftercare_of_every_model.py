"""Whatever is asked of a result after the fit, it answers or says in a sentence why not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers import (
    aftercare,
    meta_regression,
    pool,
    pool_beta_binomial,
    pool_multilevel,
    pool_rates,
    subgroups,
)
from helpers.errors import UnsupportedError

TABLE = pd.DataFrame(
    {
        "study": [f"S{i}" for i in range(10)],
        "x": [1, 3, 9, 14, 2, 4, 6, 5, 12, 7],
        "n": [60, 80, 70, 90, 50, 45, 75, 70, 66, 80],
        "months": [12.0, 20, 14, 9, 30, 24, 10, 18, 15, 22],
        "group": list("aababbabba"),
        "place": list("aaabbccddd"),
    }
)
COUNTS: dict[str, Any] = {"events": "x", "n": "n", "study": "study"}
FOLLOWED: dict[str, Any] = {**COUNTS, "follow_up": "months"}
RATES: dict[str, Any] = {"events": "x", "time": "n", "study": "study", "measure": "log-rate"}
BOTH = ("glmm", "random")
MADE: dict[str, Callable[[], Any]] = {
    "common effect": lambda: pool(TABLE, **COUNTS, model="common"),
    "beta-binomial": lambda: pool_beta_binomial(TABLE, **COUNTS),
}
for _model in BOTH:
    _counts: dict[str, Any] = {**COUNTS, "model": _model}
    MADE |= {
        f"pooled {_model}": lambda o=_counts: pool(TABLE, **o),
        f"rates {_model}": lambda m=_model: pool_rates(TABLE, **FOLLOWED, model=m),
        f"regression {_model}": lambda o=_counts: meta_regression(TABLE, "group + months", **o),
        f"regression of rates {_model}": lambda m=_model: meta_regression(
            TABLE, "group", **RATES, model=m
        ),
        f"clustered regression {_model}": lambda o=_counts: meta_regression(
            TABLE, "group", **o, cluster="place"
        ),
        f"three levels {_model}": lambda o=_counts: pool_multilevel(TABLE, cluster="place", **o),
    }
    for _shared in ("separate", "common"):
        MADE |= {
            f"subgroups {_model} {_shared}": lambda o=_counts, s=_shared: subgroups(
                TABLE, by="group", **o, group_tau2=s
            ),
            f"subgroups of rates {_model} {_shared}": lambda m=_model, s=_shared: subgroups(
                TABLE, by="group", **RATES, model=m, group_tau2=s
            ),
        }
PLACES = TABLE["place"].to_list()
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "leave_one_out": ("leave_one_out", {}),
    "leave_one_out by cluster": ("leave_one_out", {"by": PLACES}),
    "influence": ("influence", {}),
    "influence by cluster": ("influence", {"by": PLACES}),
    "baujat": ("baujat", {}),
    "baujat by cluster": ("baujat", {"by": PLACES}),
    "gosh": ("gosh", {"subsets": 20}),
    "cumulative": ("cumulative", {"by": TABLE["months"].to_list()}),
    "bootstrap": ("bootstrap", {"draws": 20}),
    "bootstrap of studies": ("bootstrap", {"draws": 20, "kind": "nonparametric"}),
    "permutation_test": ("permutation_test", {"draws": 20}),
}


#: What is not defined, and refused in a sentence that says why: shuffling, or drawing one by one,
#: what lies in clusters.
REFUSED = {
    (f"{kind} {model}", question)
    for kind, question in (
        ("clustered regression", "bootstrap"),
        ("clustered regression", "permutation_test"),
        ("three levels with moderators", "permutation_test"),
    )
    for model in BOTH
}


@cache
def made(kind: str) -> Any:
    return MADE[kind]()


def ask(kind: str, question: str) -> Any:
    name, options = ASKED[question]
    if name == "permutation_test" and "subgroups" not in kind and "regression" not in kind:
        options = {"null": 0.1, **options}
    return getattr(made(kind), name)(**options)


def test_every_question_is_asked() -> None:
    assert {name for name, _ in ASKED.values()} == {*aftercare.DELETIONS, *aftercare.RESAMPLING}


@pytest.mark.parametrize("question", ASKED)
@pytest.mark.parametrize("kind", MADE)
def test_every_result_answers_or_says_why_not(kind: str, question: str) -> None:
    if (kind, question) in REFUSED:
        with pytest.raises(UnsupportedError) as refused:
            ask(kind, question)
        assert len(str(refused.value).split()) >= 8
        return
    answer = ask(kind, question)
    for one in answer.values() if isinstance(answer, dict) else [answer]:
        table = one if isinstance(one, pd.DataFrame) else _table(one)
        # studentised residuals of clusters, and I2 of a beta-binomial fit, are not defined
        assert np.isfinite(table.select_dtypes("number").to_numpy(float)).mean() > 0.5


def _table(answer: Any) -> pd.DataFrame:
    return answer.frame() if hasattr(answer, "frame") else answer.summary_frame()
