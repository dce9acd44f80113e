"""Effect measures agree with R, invert exactly and respect their symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import reference_values as ref
from hypothesis import given
from hypothesis import strategies as st

from helpers.engine.distributions import expit
from helpers.engine.effects import (
    MEASURES,
    RULES,
    correct_cells,
    effective_size,
    get_measure,
    study_interval,
)
from helpers.errors import MetaAnalysisError, UnsupportedError

PROPORTIONS = ("raw", "log", "logit", "arcsine", "double-arcsine")
RATES = ("raw-rate", "log-rate", "sqrt-rate", "freeman-tukey-rate")
CODES = {m.code: m for m in MEASURES.values()}


@st.composite
def proportions(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.one_of(st.integers(1, 60), st.integers(1, 10**7)))
    return draw(st.integers(0, n)), n


def test_effects_and_variances_agree_with_metafor() -> None:
    agree = ref.Agreement()
    events, n = ref.counts()
    for key, r in ref.load()["effect_sizes"].items():
        code, _, rule = key.partition("_")
        if key == "PLO_study_ci":
            continue
        to = {"": None, "add_half_to_all": "all", "no_add": "none"}[rule]
        if to == "none":
            # metafor keeps a raw proportion of 0 with variance 0; here it has no weight to give.
            yi, vi = CODES[code].transform(events, n), CODES[code].variance(events, n)
        else:
            yi, vi = CODES[code].effects(events, n, to=to)
        agree.close(yi, r["yi"], "closed", f"{key}/yi")
        agree.close(vi, r["vi"], "closed", f"{key}/vi")
    agree.finish(11 * 52 * 2)


def test_rates_agree_with_metafor() -> None:
    agree = ref.Agreement()
    r = ref.load()["incidence_rates"]
    events = ref.counts()[0][np.array(r["rows"]) - 1]
    for code in ("IR", "IRLN", "IRS", "IRFT"):
        yi, vi = CODES[code].effects(events, r["person_years"])
        agree.close(yi, r[code]["yi"], "closed", f"{code}/yi")
        agree.close(vi, r[code]["vi"], "closed", f"{code}/vi")
    agree.finish(4 * 51 * 2)


def test_wald_study_intervals_agree_with_metafor() -> None:
    agree = ref.Agreement()
    events, n = ref.counts()
    r = ref.load()["effect_sizes"]["PLO_study_ci"]
    yi, vi = MEASURES["logit"].effects(events, n)
    low, high = study_interval(events, n, method="wald", yi=yi, vi=vi)
    agree.close(np.sqrt(vi), r["sei"], "closed", "sei")
    agree.close(low, 1 / (1 + np.exp(-np.array(r["ci.lb"]))), "closed", "ci.lb")
    agree.close(high, 1 / (1 + np.exp(-np.array(r["ci.ub"]))), "closed", "ci.ub")
    agree.finish(3 * 52)


def test_study_intervals_agree_with_meta() -> None:
    agree = ref.Agreement()
    events, n = ref.counts()
    cases = {"CP": "clopper-pearson", "WS": "wilson", "AC": "agresti-coull"}
    for code, method in cases.items():
        r = ref.load()["meta_package"][f"study_ci_{code}"]
        low, high = study_interval(events, n, method=method)
        # meta keeps the limits as logits, minus infinity where a limit is 0 (or below).
        agree.close(low, expit(r["lower"]), "closed", f"{code}/lower")
        agree.close(high, expit(r["upper"]), "closed", f"{code}/upper")
    agree.finish(6 * 52)


def test_exact_poisson_limits_invert_the_poisson_tails() -> None:
    from scipy import stats

    low, high = study_interval([0, 3, 40], [10, 10, 10], method="exact", measure=CODES["IRLN"])
    assert low[0] == 0.0
    assert stats.poisson.sf(2, 10 * low[1]) == pytest.approx(0.025)
    assert stats.poisson.cdf([0, 3, 40], 10 * high) == pytest.approx([0.025] * 3)


@pytest.mark.parametrize("name", PROPORTIONS)
@given(pair=proportions())
def test_inverse_gives_the_observed_proportion_back(name: str, pair: tuple[int, int]) -> None:
    x, n = pair
    measure = MEASURES[name]
    if name in ("log", "logit") and x in (0, n):
        x, n = (float(v) for v in correct_cells(x, n))
    back = measure.inverse(measure.transform(x, n), n)
    assert 0.0 <= back <= 1.0
    # Near a proportion of 1 the sine has slope 0, which costs half the digits there.
    assert back == pytest.approx(x / n, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("name", RATES)
@given(x=st.integers(0, 10**6), t=st.floats(1e-3, 1e6))
def test_inverse_gives_the_observed_rate_back(name: str, x: int, t: float) -> None:
    measure = MEASURES[name]
    events = x or 0.5 if name == "log-rate" else x
    back = measure.inverse(measure.transform(events, t), t)
    assert back >= 0.0
    assert back == pytest.approx(events / t, rel=1e-9, abs=1e-12 / t)


@pytest.mark.parametrize("name", PROPORTIONS)
@given(y=st.floats(-1e6, 1e6), n=st.integers(1, 10**7))
def test_inverse_never_leaves_the_unit_interval(name: str, y: float, n: int) -> None:
    assert 0.0 <= MEASURES[name].inverse(y, n) <= 1.0


@pytest.mark.parametrize("name", RATES)
@given(y=st.floats(-100, 100), t=st.floats(1e-3, 1e6))
def test_inverse_of_a_rate_is_never_negative(name: str, y: float, t: float) -> None:
    assert MEASURES[name].inverse(y, t) >= 0.0


@pytest.mark.parametrize(
    ("name", "mirror"),
    [
        ("logit", lambda y: -y),
        ("arcsine", lambda y: np.pi / 2 - y),
        ("double-arcsine", lambda y: np.pi / 2 - y),
        ("raw", lambda y: 1 - y),
    ],
)
@given(pair=proportions())
def test_complement_mirrors_the_effect_and_keeps_the_variance(
    name: str, mirror, pair: tuple[int, int]
) -> None:
    x, n = pair
    (y,), (v,) = MEASURES[name].effects([x], [n])
    (z,), (w,) = MEASURES[name].effects([n - x], [n])
    assert z == pytest.approx(mirror(y), rel=1e-9, abs=1e-9)
    assert w == pytest.approx(v, rel=1e-12)
    assert v > 0


def test_double_arcsine_is_the_mean_of_two_arcsines() -> None:
    y = MEASURES["double-arcsine"].transform(3, 20)
    assert y == pytest.approx(0.5 * (np.arcsin((3 / 21) ** 0.5) + np.arcsin((4 / 21) ** 0.5)))


def test_inverse_of_the_double_arcsine_is_that_of_miller() -> None:
    n, y = 50.0, 0.3
    t = 2 * y
    root = (1 - (np.sin(t) + (np.sin(t) - 1 / np.sin(t)) / n) ** 2) ** 0.5
    miller = 0.5 * (1 - np.sign(np.cos(t)) * root)
    assert MEASURES["double-arcsine"].inverse(y, n) == pytest.approx(miller, rel=1e-12)


def test_harmonic_mean_back_transform_can_leave_every_study() -> None:
    # The failure that the caution warns of: very unequal sizes, Schwarzer et al. 2019.
    events, n = np.array([5, 12, 20, 2, 40]), np.array([1e5, 1.2e5, 8e5, 30, 45e4])
    measure = MEASURES["double-arcsine"]
    yi, vi = measure.effects(events, n)
    pooled = float((yi / vi).sum() / (1 / vi).sum())
    se = float((1 / vi).sum() ** -0.5)
    by_harmonic_mean = measure.inverse(pooled, effective_size(n, se, "harmonic-mean"))
    by_variance = measure.inverse(pooled, effective_size(n, se, "inverse-variance"))
    total = events.sum() / n.sum()
    assert by_harmonic_mean < np.min(events / n)
    assert by_variance == pytest.approx(total, rel=0.5)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("only0", ([0.5, 3.0, 8.5], [11.0, 10.0, 9.0])),
        ("all", ([0.5, 3.5, 8.5], [11.0, 11.0, 9.0])),
        ("if0all", ([0.5, 3.5, 8.5], [11.0, 11.0, 9.0])),
        ("none", ([0.0, 3.0, 8.0], [10.0, 10.0, 8.0])),
    ],
)
def test_zero_cell_rules_add_to_the_studies_they_name(to: str, expected) -> None:
    x, n = correct_cells([0, 3, 8], [10, 10, 8], to=to)
    assert (x.tolist(), n.tolist()) == expected
    assert to in RULES


def test_if0all_leaves_studies_alone_when_no_cell_is_zero() -> None:
    assert correct_cells([1, 3], [10, 10], to="if0all")[0].tolist() == [1.0, 3.0]


def test_if0all_is_decided_for_each_row_of_a_batch() -> None:
    x, n = correct_cells([[1, 3], [0, 3]], [[10, 10], [10, 10]], to="if0all")
    assert x.tolist() == [[1.0, 3.0], [0.5, 3.5]]
    assert n.tolist() == [[10.0, 10.0], [11.0, 11.0]]
    assert correct_cells(0, 10, to="if0all")[0] == 0.5


def test_a_rate_keeps_its_person_time_under_correction() -> None:
    x, t = correct_cells([0, 2], [10.0, 5.0], "rate")
    assert (x.tolist(), t.tolist()) == ([0.5, 2.0], [10.0, 5.0])


def test_an_undefined_effect_is_missing_not_infinite() -> None:
    yi, vi = MEASURES["logit"].effects([0, 10, 5], [10, 10, 10], to="none")
    assert np.isnan(yi[:2]).all()
    assert np.isnan(vi[:2]).all()
    assert yi[2] == 0.0


@pytest.mark.parametrize("method", ["wilson", "clopper-pearson", "agresti-coull"])
@given(pair=proportions())
def test_study_intervals_stay_in_range_and_hold_the_estimate(
    method: str, pair: tuple[int, int]
) -> None:
    x, n = pair
    low, high = study_interval([x], [n], method=method)
    assert 0.0 <= low[0] <= x / n + 1e-12
    assert x / n - 1e-12 <= high[0] <= 1.0


def test_unknown_choices_are_refused_with_the_possible_ones() -> None:
    with pytest.raises(UnsupportedError, match="expected one of raw, log, logit"):
        get_measure("logits")
    with pytest.raises(UnsupportedError, match="expected one of only0"):
        correct_cells([0], [1], to="zero")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="add=-1"):
        correct_cells([0], [1], add=-1)
    with pytest.raises(UnsupportedError, match="study_ci"):
        study_interval([0], [1], method="exactly")
    with pytest.raises(UnsupportedError, match="not defined for a rate"):
        study_interval([0], [1], method="wilson", measure=CODES["IRLN"])
    with pytest.raises(MetaAnalysisError, match="needs a sample size"):
        CODES["PFT"].inverse(0.3)
    for rule in ("arithmetic-mean", "mean"):
        with pytest.raises(UnsupportedError, match="back_transform"):
            effective_size([1], 1.0, rule)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("logit", 1.2, "1.2: expected a proportion"),
        ("logit", np.nan, "nan: expected a proportion"),
        ("log-rate", -1.0, "-1.0: expected a rate"),
        ("log-ratio", -1.0, "-1.0: expected a ratio"),
    ],
)
def test_a_value_off_the_display_scale_is_refused_by_its_kind(name, value, expected):
    with pytest.raises(MetaAnalysisError, match=f"^{expected}$"):
        get_measure(name).from_display(value)


@pytest.mark.parametrize("add", [np.nan, np.inf, -0.5])
def test_what_is_added_to_a_zero_cell_is_a_number_of_at_least_0(add):
    with pytest.raises(UnsupportedError, match=f"add={add}: expected a number of at least 0"):
        correct_cells([0], [10], add=add)


@pytest.mark.parametrize("given", [{}, {"yi": [0.1]}, {"vi": [0.1]}])
def test_a_wald_interval_of_a_study_needs_its_effect_and_variance(given):
    with pytest.raises(UnsupportedError, match="needs the effects and their variances"):
        study_interval([1], [10], method="wald", **given)


def test_a_measure_needs_a_size_exactly_where_its_inverse_depends_on_it():
    for name, measure in MEASURES.items():
        yi = 0.3 if name != "log" else -0.3
        shown = [float(measure.inverse(yi, size)) for size in (10.0, 500.0)]
        assert measure.needs_size == (shown[0] != shown[1]), name
