"""Which cautions a result has, in their order, and which it has not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import caution_tools
import numpy as np
import pandas as pd
import pytest

from helpers import meta_regression, pool, pool_multilevel, posterior, subgroups
from helpers.models.bayes.priors import HalfCauchy, HalfNormal

ROOM = Path(__file__).resolve().parents[2] / "helpers" / "models"

X = [12, 30, 9, 25, 40, 8, 33, 15, 28, 10, 22, 45]
N = [100, 120, 90, 110, 130, 80, 115, 95, 125, 85, 105, 150]
NO_EVENT, UNKNOWN = [0, *X[1:]], [np.nan, *X[1:]]
EQUAL = [20] * 12, [100] * 12
#: Six of twelve are no more than half.
HALF, MORE = [4] * 6 + [20] * 6, [4] * 7 + [20] * 5
SIZES = [60, 100, 40, 80, 120, 70] * 2
MANY = [*X, *X[::-1]]  # with two in each of twelve clusters


def pooled(x: list[Any] = X, n: list[int] = N, k: int = 12, **options: Any) -> Any:
    return pool(events=x[:k], n=n[:k], **({"model": "random"} | options))


def slope(formula: str = "x", x: list[Any] = X, k: int = 12, **options: Any) -> Any:
    table = pd.DataFrame(
        {
            "events": x,
            "n": N,
            "x": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8],
            "alone": [0] * 11 + [1],
            "balanced": [0, 1, 2, -2, 3, -3, 0, 0, 4, -4, 5, -5],  # its sum is one, too
            "arm": list("ab") * 6,
            "site": list("aabbccddeeff"),
        }
    )
    counts = {"events": "events", "n": "n", "model": "random"}
    return meta_regression(table[:k], formula, **(counts | options))


def levels(x: list[Any] = X, n: list[int] = N, **options: Any) -> Any:
    return pool_multilevel(events=x, n=n, cluster=[i // 2 for i in range(len(x))], **options)


def groups(by: str, x: list[Any] = X, **options: Any) -> Any:
    return subgroups(by=list(by), events=x, n=N, **({"model": "random"} | options))


def by_likelihood(by: str, x: list[Any] = X) -> Any:
    return groups(by, x, model="glmm").likelihood_ratio_test()


def bayes(x: list[Any] = X, k: int = 12, **options: Any) -> Any:
    return posterior(events=x[:k], n=N[:k], **options)


#: A call, and the codes of its cautions with some of their words.
CASES: list[tuple[Callable[[], Any], dict[str, str]]] = [
    (pooled, {}),
    (lambda: pooled(model="glmm"), {}),
    (lambda: pooled(k=1), {"single-study": "cannot be estimated"}),
    (lambda: pooled(k=1, tau2=0.1), {"single-study": "that was given"}),
    (
        lambda: pooled(k=3),
        {"few-studies": "three studies .* the interval depends", "few-prediction-df": "one degree"},
    ),
    (lambda: pooled(k=3, model="common"), {}),
    (lambda: pooled(k=3, tau2=0.1), {"few-prediction-df": "one degree"}),
    (lambda: pooled(k=9), {"few-studies": "nine studies .* interval and prediction depend"}),
    (lambda: pooled(k=10), {}),
    (
        lambda: pooled(*EQUAL),
        {"boundary": "its boundary; .* much too narrow", "empty-tau2-interval": "more alike"},
    ),
    (lambda: pooled(*EQUAL, model="glmm"), {"boundary": "its boundary"}),
    (lambda: pooled(*EQUAL, model="common"), {}),
    (lambda: pooled(*EQUAL, tau2=0.0), {}),
    (
        lambda: pooled([20, 21] * 6, [100] * 12, ci_method="knapp-hartung"),
        {
            "boundary": "its boundary",
            "empty-tau2-interval": "more alike",
            "knapp-hartung-narrow": "below one",
        },
    ),
    (lambda: pooled(ci_method="knapp-hartung"), {}),
    (lambda: pooled(NO_EVENT), {"zero-cells-corrected": "0.5 .* one study;"}),
    (lambda: pooled(NO_EVENT, model="glmm"), {}),
    (lambda: pooled(NO_EVENT, measure="arcsine"), {}),
    (lambda: pooled(HALF, SIZES), {}),
    (lambda: pooled(MORE, SIZES), {"sparse-cells": "^Seven of the 12 studies"}),
    (lambda: pooled(MORE, SIZES, model="glmm"), {}),
    (
        lambda: pooled([n - x for x, n in zip(MORE, SIZES, strict=True)], SIZES),
        {"sparse-cells": "^Seven of the 12 studies"},
    ),
    (lambda: pooled(measure="double-arcsine"), {"double-arcsine": "single sample size"}),
    (lambda: pooled(UNKNOWN), {"excluded-studies": "^One study is left out"}),
    (lambda: pooled([0] * 12, model="glmm"), {"no-events": "^No study .* is the exact one"}),
    (lambda: pooled(N, model="glmm"), {"only-events": "^Every patient .* is the exact one"}),
    (
        lambda: pool(events=[0, 0], time=[30.0, 45.5], measure="log-rate"),
        {"no-events": r"^No study has an event \(0 in 75\.5 of person-time\): .* 0\.000 to 0\.049"},
    ),
    (slope, {}),
    (lambda: slope(model="glmm"), {}),
    (lambda: slope(k=10), {}),
    (lambda: slope(k=9), {"few-studies-per-coefficient": "^Nine studies for one"}),
    (lambda: slope("x + arm"), {"few-studies-per-coefficient": "^12 studies for two"}),
    (lambda: slope("alone"), {"single-study-level": "alone"}),
    (lambda: slope("balanced"), {}),
    (
        lambda: slope(x=[n // 5 for n in N]),
        {"boundary": "explain all differences", "empty-tau2-interval": "than expected"},
    ),
    (
        lambda: slope(x=[n // 5 + i % 2 for i, n in enumerate(N)], ci_method="knapp-hartung"),
        {
            "boundary": "explain all differences",
            "empty-tau2-interval": "than expected",
            "knapp-hartung-narrow": "makes standard errors smaller",
        },
    ),
    (
        lambda: slope(k=4),
        {
            "few-studies-per-coefficient": "^Four",
            "boundary": "its boundary",
            "few-prediction-df": "two degrees",
        },
    ),
    (
        lambda: slope(k=4, ci_method="wald"),
        {"few-studies-per-coefficient": "^Four", "boundary": "its boundary"},
    ),
    (lambda: slope(k=5), {"few-studies-per-coefficient": "^Five"}),
    (lambda: slope(cluster="site", robust="CR2"), {"few-robust-df": r"3\.\d degrees"}),
    (lambda: slope(cluster="site", robust="CR1"), {}),
    (lambda: slope(cluster=list("abcdefghijkl"), robust="CR2"), {}),
    (lambda: slope(x=UNKNOWN), {"excluded-studies": "^One study"}),
    (lambda: slope(x=NO_EVENT), {"zero-cells-corrected": "one study were"}),
    (lambda: slope(x=NO_EVENT, model="glmm"), {}),
    (levels, {"few-clusters": "With 6", "boundary": "between clusters"}),
    (lambda: levels(MANY, [*N, *N[::-1]]), {"boundary": "between clusters"}),
    (
        lambda: levels(NO_EVENT, tau2_method="REML"),
        {
            "few-clusters": "With 6",
            "boundary": "between clusters",
            "zero-cells-corrected": "one cohort",
        },
    ),
    (lambda: levels(NO_EVENT), {"few-clusters": "With 6", "boundary": "between clusters"}),
    (
        lambda: levels(UNKNOWN),
        {"few-clusters": "With 6", "boundary": "between", "excluded-studies": "^One cohort"},
    ),
    (lambda: groups("aaaaaabbbbbb"), {}),
    (lambda: groups("aaaaabbbbbbb"), {}),
    (lambda: groups("aaaabbbbbbbb"), {"few-studies-group": "^a: fewer than five"}),
    (lambda: groups("aaaabbbbbbbb", model="common"), {}),
    (lambda: groups("abbbbbbbbbbb"), {"single-study-group": "^a: .* its own estimate"}),
    (
        lambda: groups("abbbbbbbbbbb", group_tau2="common"),
        {"single-study-group": "^a: .* that of all groups"},
    ),
    (
        lambda: groups("aaaaaabbbbbb", [0] * 6 + X[6:], model="glmm"),
        {"no-events-group": r"^a \(no events\)"},
    ),
    (
        lambda: groups("aaaaaabbbbbb", N[:6] + X[6:], model="glmm"),
        {"no-events-group": r"^a \(nothing but events\)"},
    ),
    (
        lambda: groups("aaaaaabbbbbc", [*X[:11], np.nan]),
        {"left-out-group": "^c: no study"},
    ),
    (lambda: by_likelihood("aaaaaabbbbbb"), {}),
    (lambda: by_likelihood("abbbbbbbbbbb"), {"single-study-group": "^a: .* by construction"}),
    (
        lambda: by_likelihood("aaaaaabbbbbb", [*[n // 5 for n in N[:6]], *X[6:]]),
        {"boundary": "^a: the between-study variance"},
    ),
    (
        lambda: by_likelihood("aaaaaabbbbbb", [n // 5 for n in N]),
        {"boundary": "^a, b, all studies together: the between-study variance"},
    ),
    (
        lambda: by_likelihood("aaaaaabbbbbb", [0] * 6 + X[6:]),
        {"no-events-group": "^a: no events, or nothing but events; the mean is infinite"},
    ),
    (bayes, {}),
    (lambda: bayes(k=9), {"few-studies": "nine studies the prior"}),
    (
        lambda: bayes([1, 110, 2, 100, 3, 70, 1, 90, 2, 80, 3, 140], tau_prior=HalfNormal(0.5)),
        {"prior-data-conflict": "pulls tau down"},
    ),
    (lambda: bayes(UNKNOWN), {"excluded-studies": "^One study"}),
    (lambda: bayes(NO_EVENT), {}),
    (lambda: posterior(events=X, time=N), {"normal-likelihood": "smallest here is 8"}),
    (
        lambda: posterior(events=NO_EVENT, time=N),
        {"normal-likelihood": "here is 0", "zero-cells-corrected": "one study .* not available"},
    ),
    (
        lambda: posterior(yi=[0.1, 0.5], vi=[0.1, 0.1], tau_prior=HalfCauchy(0.5)),
        {"few-studies": "two studies", "no-moments": "no standard deviation; use"},
    ),
    (
        lambda: posterior(yi=[0.1, 0.5, 0.9], vi=[0.1] * 3, tau_prior=HalfCauchy(0.5)),
        {"few-studies": "three studies"},
    ),
]

#: Of what no small table shows, or what a test of its own has.
ELSEWHERE = {
    "limits-clipped",
    "no-omnibus",
    "not-converged",
    "person-time-approximated",
    "several-maxima",
}


@pytest.mark.parametrize(("call", "expected"), CASES)
def test_a_result_has_these_cautions_and_no_others(
    call: Callable[[], Any], expected: dict[str, str]
) -> None:
    caution_tools.compare(call(), expected)


def test_each_variance_of_three_levels_that_is_zero_is_named() -> None:
    said = [caution.message for caution in levels(*EQUAL, tau2_method="REML").cautions]
    words = ["With 6", "The variance between", "The variance within", "Both variances"]
    assert [one.startswith(start) for one, start in zip(said, words, strict=True)] == [True] * 4


def test_every_caution_of_the_room_is_expected_of_a_result() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in ROOM.rglob("*.py"))
    first = re.findall(r'Caution\(\s*((?:"[\w-]+"(?: if [^"]* else )?)+)', code)
    known = set(re.findall(r'"([\w-]+)"', "".join(first)))
    assert len(known) > 20
    assert known - {one for _, expected in CASES for one in expected} == ELSEWHERE & known
