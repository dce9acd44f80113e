"""Odd input is a result or one clear error that names what and where; never a raw error."""

from __future__ import annotations

import contextlib
import datetime
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples

from helpers import meta_regression, pool, pool_effects
from helpers.checks.multiverse.analysis import multiverse
from helpers.errors import MetaAnalysisError
from helpers.models.bayes import HalfNormal, posterior
from helpers.models.multilevel import pool_multilevel
from helpers.models.subgroup_analysis import subgroups
from helpers.reporting.in_browser import analyse

EVENTS, N = [3, 5, 7], [40, 60, 70]
CALLS = {
    "pool": ("events", lambda v: pool(events=v, n=N, model="random")),
    "pool_effects": ("vi", lambda v: pool_effects([0.1, 0.2, 0.3], v)),
    "posterior": ("events", lambda v: posterior(events=v, n=N)),
}
REFUSED = {
    "two dimensions": np.ones((3, 2)),
    "nested lists": [[1, 2], [3, 4], [5, 6]],
    "one list in a list": [3, [5], 7],
    "lists of different lengths": [[1], [2, 3], [4]],
    "a frame": pd.DataFrame({"a": [3, 5, 7], "b": [3, 5, 7]}),
    "words": ["3", "five", "7"],
    "dates": [datetime.date(2020, 1, 1)] * 3,
    "a column of dates": pd.Series(pd.to_datetime(["2020-01-01"] * 3)),
    "durations": pd.to_timedelta([1, 2, 3]),
    "a huge integer": [3, 10**400, 7],
    "infinity": [3, np.inf, 7],
    "truth values": [True, False, True],
    "complex": [3 + 1j, 5, 7],
    "objects": np.array([3, {}, 7], dtype=object),
    "a mapping": {"a": 3, "b": 5, "c": 7},
    "a set": {3, 5, 7},
    "nothing": None,
    "no study": [],
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize(("argument", "call"), CALLS.values(), ids=CALLS)
def test_what_cannot_be_used_is_refused_by_name(argument, call, value):
    with pytest.raises(MetaAnalysisError) as raised:
        call(value)
    if value is not None and len(value):
        assert argument in str(raised.value)


GROUPS = {
    "two dimensions": np.ones((3, 2)),
    "nested lists": [["a", "b"]] * 3,
    "lists of different lengths": [["a"], ["b", "c"], ["d"]],
    "one list among words": ["a", ["b", "c"], "a"],
    "a frame": pd.DataFrame({"a": list("xxy"), "b": list("xyy")}),
    "a set": {"a", "b", "c"},
    "a mapping": {"a": 1, "b": 2, "c": 3},
    "several fields": np.array([(1, 2.0)] * 3, dtype=[("x", int), ("y", float)]),
    "objects": [object(), "a", "b"],
    "one word for all": np.array("a"),
    "a number": 3,
    "nothing": None,
    "bytes": b"aab",
    "no study": [],
}


@pytest.mark.parametrize("by", GROUPS.values(), ids=GROUPS)
def test_groups_that_are_none_are_refused_in_words(by):
    table = pd.DataFrame({"e": EVENTS, "n": N})
    for call in (
        lambda: subgroups(events=EVENTS, n=N, by=by, model="random"),
        lambda: subgroups(table, events="e", n="n", by=by, model="random"),
        lambda: subgroups(yi=[0.1, 0.2, 0.3], vi=[0.1] * 3, by=by),
    ):
        with pytest.raises(MetaAnalysisError, match=r"\bby\b|\bgroup\b"):
            call()


def test_groups_of_any_kind_are_groups():
    expected = ["1", "2"]
    for by in (
        [1, 1, 2],
        (1, 1, 2),
        iter([1, 1, 2]),
        np.array([1, 1, 2]),
        pd.Categorical([1, 1, 2]),
    ):
        groups = subgroups(events=EVENTS, n=N, by=by, model="random").groups
        assert list(groups) == expected
        assert [fit.k for fit in groups.values()] == [2, 1]
    hidden = np.ma.masked_array(["a", "x", "b"], [0, 1, 0])
    made = subgroups(events=EVENTS, n=N, by=hidden, model="random")
    assert [(name, fit.k) for name, fit in made] == [("a", 1), ("b", 1)]


def test_a_series_beside_a_table_has_the_rows_of_the_table():
    table = pd.DataFrame({"e": EVENTS, "n": N, "x": [1, 2, 4]}, index=["a", "b", "c"])
    turned = pd.Series(["q", "p", "p"], index=["c", "b", "a"])
    for call in (
        lambda: subgroups(table, events="e", n="n", by=turned, model="random"),
        lambda: subgroups(events=table["e"], n=table["n"], by=turned, model="random"),
        lambda: pool(table, events="e", n=table["n"][::-1], model="random"),
        lambda: meta_regression(table, "x", events="e", n="n", model="random", cluster=turned),
        lambda: multiverse(
            table,
            {"model": ["random"]},
            events="e",
            n="n",
            contrast={"by": turned, "levels": ("p", "q")},
        ),
    ):
        with pytest.raises(MetaAnalysisError, match="row 1 is 'a' in one and 'c' in the other"):
            call()
    made = subgroups(table, events="e", n="n", by=turned.reindex(table.index), model="random")
    assert made.groups["q"].data.events.tolist() == [7]


def test_what_is_masked_is_missing():
    fit = pool(events=np.ma.masked_array(EVENTS, [0, 1, 0]), n=N, model="random")
    assert fit.k == 2
    assert fit.estimate == pool(events=[3, 7], n=[40, 70], model="random").estimate


def test_numbers_of_any_kind_are_numbers():
    plain = pool(events=EVENTS, n=N, model="random").estimate
    for value in (iter(EVENTS), tuple(EVENTS), map(Fraction, EVENTS), np.array(EVENTS, "u1")):
        assert pool(events=value, n=N, model="random").estimate == plain


def test_series_with_different_indexes_are_not_paired_by_position():
    events = pd.Series(EVENTS, index=["a", "b", "c"])
    n = pd.Series(N[::-1], index=["c", "b", "a"])
    for call in (
        lambda: pool(events=events, n=n, model="random"),
        lambda: posterior(events=events, n=n),
        lambda: pool_effects(events / 10, n / 100),
    ):
        with pytest.raises(MetaAnalysisError, match="row 1 is 'a' in one and 'c' in the other"):
            call()
    aligned = pool(events=events, n=n.reindex(events.index), model="random")
    assert aligned.estimate == pool(events=EVENTS, n=N, model="random").estimate
    assert pool(events=events.to_numpy(), n=n.to_numpy(), model="random").k == 3


@pytest.mark.parametrize("vi", [1e-300, 1e-320, 1e308])
def test_a_variance_that_no_computer_can_square_is_refused_by_study(vi):
    with pytest.raises(MetaAnalysisError, match="Study 2, vi"):
        pool_effects([0.1, 0.2, 0.3], [0.1, vi, 0.1])


@pytest.mark.parametrize("yi", [1e308, -1e200])
def test_an_effect_that_no_computer_can_square_is_refused_by_study(yi):
    with pytest.raises(MetaAnalysisError, match="Study 2, yi"):
        pool_effects([0.1, yi, 0.3], [0.1, 0.1, 0.1])


def test_a_prior_by_its_name_is_refused_with_the_priors_that_exist():
    with pytest.raises(MetaAnalysisError, match=r"HalfCauchy.*HalfNormal\(scale=0\.5\)"):
        posterior(events=EVENTS, n=N, tau_prior="half-normal")
    with pytest.raises(MetaAnalysisError, match="mu_prior=0: expected a prior"):
        posterior(events=EVENTS, n=N, mu_prior=0)


def test_a_posterior_of_rates_is_that_of_their_logarithms():
    events, time = np.array([3, 8, 6, 2]), np.array([40.0, 60.5, 90.0, 51.5])
    made = posterior(events=events, time=time)
    # the posterior by brute force: log rates with variance 1/events, tau half-normal, mu flat
    y, v = np.log(events / time), 1 / events
    tau = np.linspace(0, 4, 801)[:, None, None]
    mu = np.linspace(-6, 1, 1401)[None, :, None]
    s = v + tau**2
    log = (-0.5 * np.log(s) - 0.5 * (y - mu) ** 2 / s).sum(axis=2) - 0.5 * (tau[..., 0] / 0.5) ** 2
    weight = np.exp(log - log.max())
    weight[0] *= 0.5  # trapezoidal rule
    density = weight.sum(axis=0) / weight.sum()
    mean = (mu[0, :, 0] * density).sum()
    median = np.interp(0.5, density.cumsum() - 0.5 * density, mu[0, :, 0])
    assert made.mu.mean == pytest.approx(mean, abs=2e-4)
    assert made.estimate == pytest.approx(np.exp(median), rel=1e-3)
    fit = pool(events=events, time=time, measure="log-rate", model="glmm")
    assert posterior(fit, tau_prior=HalfNormal(0.5)).estimate == made.estimate
    zero = pool(events=[0, 8, 6], time=[40, 60, 90], measure="log-rate", model="glmm")
    assert posterior(zero).k == 3
    said = {c.code: c.message for c in posterior(zero).cautions}
    assert "the smallest here is 0" in said["normal-likelihood"]
    assert "binomial" not in said["zero-cells-corrected"]
    assert "normal approximation to the Poisson likelihood" in str(made.methods())


@pytest.mark.parametrize("k", [1, 2, 3])
def test_one_study_is_no_studies_in_what_a_result_says(k):
    counts = {"events": [0, 8, 6][:k], "n": [40, 60, 90][:k]}
    said = []
    for model in ("common", "random", "glmm"):
        fit = pool(**counts, model=model)
        said += [str(fit.methods()), *(c.message for c in fit.cautions)]
    for likelihood in ("normal", "binomial"):
        post = posterior(events=[1, *counts["events"]], n=[30, *counts["n"]], likelihood=likelihood)
        said += [str(post.methods()), *(c.message for c in post.cautions)]
    alone = posterior(events=[3], n=[40])
    said += [str(alone.methods()), *(c.message for c in alone.cautions)]
    lines = "".join(
        f"S{i},{x},{n}\n" for i, (x, n) in enumerate(zip(*counts.values(), strict=True))
    )
    said.append(analyse(f"study,events,n\n{lines}".encode())["svg"])
    with pytest.raises(MetaAnalysisError) as refused:
        pool_multilevel(pd.DataFrame({**counts, "g": "a"}), cluster="g", events="events", n="n")
    said.append(str(refused.value))
    with pytest.raises(MetaAnalysisError) as refused:
        pool(events=pd.Series([3, 8]), n=pd.Series([40, 60], index=[1, 0]))
    said.append(str(refused.value))
    for text in said:
        odd = r"\b(1|one) (of (1|one) )?(studies|cohorts|clusters|coefficients)\b|np\.int"
        assert not re.search(odd, text), text


def test_a_posterior_says_where_its_likelihood_is_an_approximation():
    exact = posterior(events=EVENTS, n=N)
    normal = posterior(events=EVENTS, n=N, likelihood="normal")
    effects = posterior(yi=[0.1, 0.4, 0.3], vi=[0.1, 0.2, 0.1])
    assert "approximation" not in str(exact.methods())
    assert "normal approximation to the binomial likelihood" in str(normal.methods())
    assert "approximation" not in str(effects.methods())
    for post in (exact, normal, effects):
        assert "normal-likelihood" not in {c.code for c in post.cautions}


VALUES = st.one_of(
    st.integers(-3, 60), st.none(), st.booleans(), st.floats(), st.text(max_size=3),
    st.just(pd.NA), st.just(pd.NaT), st.just(10**400), st.complex_numbers(), st.binary(max_size=2),
    st.datetimes(), st.lists(st.integers(), max_size=2), st.just({}),
)  # fmt: skip


@examples(60)
@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from([list, tuple, pd.Series, iter]))
def test_anything_is_a_result_or_a_clear_error(values, kind):
    k = len(values)
    table = pd.DataFrame({"e": [3, 5, 7, 2], "n": [40, 60, 70, 30]}).iloc[:k]
    for call in (
        lambda v: pool(events=v, n=[60] * k, model="random"),
        lambda v: pool_effects(v, [0.1] * k),
        lambda v: pool_effects([0.1 * i for i in range(k)], v),
        lambda v: meta_regression(
            table.assign(x=list(v)), "x", events="e", n="n", model="random", ci_method="wald"
        ),
        lambda v: subgroups(table, by=v, events="e", n="n", model="random"),
        lambda v: subgroups(by=["a", "b"] * (k // 2) + ["a"] * (k % 2), events=v, n=[60] * k),
        lambda v: posterior(events=v, n=[60] * k),
    ):
        shaped = pd.Series(values, dtype=object) if kind is pd.Series else kind(values)
        with contextlib.suppress(MetaAnalysisError):  # any other error or warning fails the test
            call(shaped)


def test_a_moderator_of_text_and_numbers_is_named():
    table = {"x": [1, 2, 3, 4], "n": [10, 20, 30, 40], "kind": pd.Series(["a", 1, "a", 1])}
    with pytest.raises(MetaAnalysisError, match="'kind' mixes text and numbers"):
        meta_regression(pd.DataFrame(table), "kind", events="x", n="n")
