"""What the checks say or refuse on the rarer side of each of their conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from helpers import pool, pool_rates
from helpers.checks.bias import (
    begg,
    egger,
    excess_significance,
    fail_safe_n,
    pet_peese,
    peters,
    selection_model,
    simulate_null,
    trim_and_fill,
)
from helpers.checks.multiverse import multiverse
from helpers.errors import MetaAnalysisError

EVENTS, N = [3, 8, 6, 12, 2, 9], [40, 60, 50, 90, 45, 70]
COUNTS: dict[str, Any] = {"events": EVENTS, "n": N}
Y, V = [0.1, 0.4, 0.3, 0.9, 0.2, 0.6], [0.1, 0.2, 0.05, 0.15, 0.3, 0.08]


def fit(**options: Any) -> Any:
    return pool(**COUNTS, **({"model": "random"} | options))


def calibrated(**options: Any) -> Any:
    return simulate_null(fit(), **({"draws": 20} | options))


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: egger(**COUNTS, vi=V), "`vi` belongs to effects"),
    (lambda: egger(**COUNTS, measure="log-rate"), "events and n make a proportion"),
    (lambda: egger(Y, V, events=EVENTS), "`events` need the sample sizes"),
    (lambda: egger(Y, V, events=EVENTS[:4], n=N[:4]), "yi has 6, vi has 6, n has 4"),
    (lambda: peters(pool_rates(**COUNTS, follow_up=[10] * 6)), "this test is for proportions"),
    (lambda: pet_peese(fit(), null=np.inf), "null=inf: expected a finite number"),
    (
        lambda: fail_safe_n([1, -1, 1, -1], [0.1] * 4, null=0.0, method="orwin"),
        "the mean effect is already the null",
    ),
    (
        lambda: fail_safe_n(Y, V, null=0.0, method="orwin", target=0.0),
        "no number of null studies takes a mean to zero",
    ),
    (
        lambda: excess_significance([5.0] * 6, [1e-8] * 6, null=0.0),
        "6 of 6 studies are expected to be significant",
    ),
    (lambda: calibrated(tests=()), r"tests=\(\): expected some of Egger"),
    (lambda: calibrated(tests=("Egger (logit)", "x")), "'x'\\): expected some of Egger"),
    (lambda: calibrated(mu=np.inf), "mu=inf, tau2=0.0: expected finite"),
    (lambda: calibrated(mu=np.nan), "mu=nan, tau2=0.0: expected finite"),
    (lambda: calibrated(tau2=-1), "tau2=-1.0: expected finite, tau2 >= 0"),
    (lambda: calibrated(tau2=np.inf), "tau2=inf: expected finite, tau2 >= 0"),
    (lambda: selection_model(fit(), null="pooled", cutpoints=[]), "expected increasing numbers"),
    (lambda: selection_model(fit(), null="pooled", cutpoints=[[0.5]]), "expected increasing"),
    (lambda: multiverse(events=EVENTS, n=N), "there is nothing to choose from"),
    (
        lambda: multiverse(events=EVENTS, choices={"model": ["common", "random"]}),
        "give `n` ",
    ),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_a_call_is_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(MetaAnalysisError, match=words):
        call()


def test_a_level_of_its_own_takes_the_place_of_that_of_the_fit() -> None:
    asked, inherited = egger(fit(), level=0.9), egger(fit(level=0.9))
    assert asked.level == inherited.level == 0.9
    assert asked.limit_ci == inherited.limit_ci != egger(fit()).limit_ci


def test_a_precision_effect_test_is_shown_where_there_is_one() -> None:
    tested = pet_peese(fit(), null=0.05)
    assert "against 0.0500, p = 0.002: PEESE" in str(tested).replace("\N{NO-BREAK SPACE}", " ")
    assert "against" not in str(pet_peese(fit()))


def test_the_variance_of_a_regression_test_is_shown_where_there_is_one() -> None:
    assert "τ²" in str(egger(fit(), model="random"))
    assert "τ²" not in str(egger(fit()))


def test_small_studies_have_large_standard_errors_and_small_sizes() -> None:
    by_error, by_size = egger(fit()), egger(fit(), predictor="ni")
    assert by_error.small_studies == ("higher" if by_error.bias > 0 else "lower")
    assert by_size.small_studies == ("lower" if by_size.bias > 0 else "higher")


def test_the_null_begins_where_the_fit_does_or_at_one_of_logits() -> None:
    data = {"draws": 20, "seed": 4}
    own, other = simulate_null(fit(tau2=0.4), **data), simulate_null(fit(tau2=0.0), **data)
    assert not np.array_equal(own.rejection, other.rejection)
    arcsine = simulate_null(fit(measure="double-arcsine"), **data)
    counts = simulate_null(**COUNTS, **data)
    np.testing.assert_array_equal(arcsine.rejection, counts.rejection)


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
def test_identical_effects_miss_no_study(estimator: Any) -> None:
    assert trim_and_fill([0.3] * 6, V, estimator=estimator).k0 == 0


def test_effects_with_ties_have_no_exact_rank_test() -> None:
    effects, variances = [0.1, 0.1, 0.1, 0.9], [0.1, 0.1, 0.05, 0.15]
    with pytest.raises(MetaAnalysisError, match="needs effects and variances without ties"):
        begg(effects, variances, method="exact")
    rng = np.random.default_rng(1)
    many = rng.normal(size=2000), rng.uniform(0.1, 0.3, 2000)
    with pytest.raises(MetaAnalysisError, match="2000 studies: the exact test goes up to"):
        begg(*many, method="exact")


CHOICES = {"model": ["common", "random"]}
CONTRAST = {"by": list("aabbbb"), "levels": ("a", "b")}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"time": [1.0] * 6, "measure": "logit"}, "measure='logit' needs `n`"),
        ({"n": N, "measure": "log-rate"}, "measure='log-rate' needs `time`"),
        (
            {"n": N, "ci_method": "profile", "contrast": CONTRAST, "tau2_method": "ML"},
            "ci_method='profile' is not defined for a difference of two groups",
        ),
    ],
)
def test_a_specification_without_meaning_stays_with_its_reason(
    options: dict[str, Any], reason: str
) -> None:
    result = multiverse(choices={"model": ["random"]}, events=EVENTS, **options)
    assert result.frame()["reason"].tolist() == [reason]
    assert result.summary_frame().isna().iloc[0]["median"]
    assert result.to_dict()["influence"] == []
    with pytest.raises(MetaAnalysisError, match="no specification has a result"):
        result.influence_of_choices()
    none = result.share("estimate < 1" if "contrast" not in options else "estimate_difference < 1")
    assert (none.count, none.of, none.left_out) == (0, 0, 1)
    assert np.isnan(none.fraction)
    assert "share     –" in str(none)


def test_a_multiverse_of_differences_names_its_groups() -> None:
    worlds = multiverse(choices=CHOICES, **COUNTS, contrast=CONTRAST)
    assert "a" in str(worlds).splitlines()[0]
    assert "pooled estimates" not in str(worlds)
    assert worlds.target == "estimate_difference"
    assert worlds.to_dict()["contrast"] == {"by": "group", "levels": ["a", "b"]}
    short = CONTRAST | {"by": list("aab")}
    with pytest.raises(MetaAnalysisError, match="contrast: group has 3 values for 6 studies"):
        multiverse(choices=CHOICES, **COUNTS, contrast=short)
    missing = multiverse(choices=CHOICES, **COUNTS, contrast=CONTRAST | {"by": [*"aabbb", None]})
    fewer = multiverse(
        choices=CHOICES, events=EVENTS[:5], n=N[:5], contrast=CONTRAST | {"by": list("aabbb")}
    )
    np.testing.assert_allclose(
        missing.columns["estimate_difference"], fewer.columns["estimate_difference"], rtol=1e-12
    )


@pytest.mark.parametrize("name", ["label", "estimated"])
def test_influence_of_choices_needs_a_column_of_numbers(name: str) -> None:
    with pytest.raises(MetaAnalysisError, match=f"no numeric column '{name}'"):
        multiverse(choices=CHOICES, **COUNTS).influence_of_choices(name)
