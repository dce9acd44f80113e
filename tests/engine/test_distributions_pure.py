"""The pure-Python distribution functions give what scipy.special gives."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from scipy import special

from helpers.engine import distributions_pure as pure

DF = np.array([1.0, 2.0, 3.0, 4.5, 10.0, 29.0, 50.0, 51.0, 200.0, 1000.0, 5000.0])
TAILS = np.array([1e-100, 1e-30, 1e-12, 1e-6, 0.001, 0.025, 0.05, 0.2, 0.4999, 0.5])
Q = np.concatenate([TAILS, 1 - TAILS[2:-1]])
Z = np.concatenate([-np.geomspace(1e-8, 35, 40), [0.0], np.geomspace(1e-8, 35, 40)])
RATIO = np.concatenate([np.geomspace(1e-6, 0.9, 12), np.linspace(0.95, 1.1, 9), [1.5, 3, 9, 40]])
SHAPES = np.array([0.5, 1.0, 1.5, 4.0, 20.5, 300.0, 5000.0])


def grid(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.ravel(part) for part in np.meshgrid(*arrays, indexing="ij"))


def same(ours: np.ndarray, theirs: np.ndarray, rtol: float = 1e-12) -> None:
    # numbers below the smallest normal double have no 12 digits on either side
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-300)


def test_normal_tails_and_quantiles():
    same(pure.ndtr(Z), special.ndtr(Z))
    same(pure.ndtri(Q), special.ndtri(Q))


def test_t_tails_over_degrees_of_freedom():
    df, x = grid(DF, Z)
    far = np.abs(x) > 0.3
    same(pure.stdtr(df[far], x[far]), special.stdtr(df[far], x[far]))
    # near 0 scipy's stdtr keeps 9 digits only; its incomplete beta function keeps all of them
    x, df = x[~far], df[~far]
    half = 0.5 * special.betainc(0.5, df / 2, x * x / (df + x * x))
    same(pure.stdtr(df, x), 0.5 + np.sign(x) * half)


def test_t_with_one_degree_of_freedom_is_the_cauchy_distribution():
    same(
        pure.stdtr(1.0, Z), np.where(Z < 0, np.arctan2(1.0, -Z) / np.pi, 0.5 + np.arctan(Z) / np.pi)
    )


def test_t_quantiles_over_degrees_of_freedom():
    df, q = grid(DF, Q)
    same(pure.stdtrit(df, q), special.stdtrit(df, q))


def test_t_with_infinite_degrees_of_freedom_is_the_normal_distribution():
    same(pure.stdtr(np.inf, Z), special.ndtr(Z))
    same(pure.stdtrit(np.inf, Q), special.ndtri(Q))


def test_chi_squared_tails_from_far_below_to_far_above_the_mean():
    df, ratio = grid(DF, RATIO)
    a, x = df / 2, df / 2 * ratio
    same(pure.gammainc(a, x), special.gammainc(a, x))
    same(pure.gammaincc(a, x), special.gammaincc(a, x))


def test_chi_squared_quantiles_from_either_tail():
    df, q = grid(DF, Q)
    same(pure.gammaincinv(df / 2, q), special.gammaincinv(df / 2, q))
    same(pure.gammainccinv(df / 2, q), special.gammainccinv(df / 2, q))


def test_f_tails():
    df1, df2, x = grid(DF[:8], DF, RATIO)
    same(pure.fdtrc(df1, df2, x), special.fdtrc(df1, df2, x))


def test_beta_quantiles():
    a, b, q = grid(SHAPES, SHAPES, Q)
    same(pure.betaincinv(a, b, q), special.betaincinv(a, b, q))


def test_log_gamma_and_its_poles():
    x = np.concatenate([np.geomspace(1e-6, 1e8, 200), [1.0, 2.0, 0.0, -1.0, -3.0, -2.5]])
    np.testing.assert_allclose(pure.gammaln(x), special.gammaln(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ndtr", (np.array([-np.inf, np.inf, np.nan]),)),
        ("ndtri", (np.array([0.0, 1.0, -0.1, 1.1, np.nan]),)),
        ("stdtr", (5.0, np.array([-np.inf, np.inf, np.nan]))),
        ("stdtr", (3.0, np.array([-1e200, 1e200]))),  # whose square is infinite
        ("stdtrit", (5.0, np.array([0.5, 1.0, np.nan]))),
        ("gammainc", (2.0, np.array([0.0, np.inf, -1.0, np.nan]))),
        ("gammaincc", (2.0, np.array([0.0, np.inf, -1.0, np.nan]))),
        ("gammaincinv", (2.0, np.array([0.0, 1.0, -0.1, 1.1, np.nan]))),
        ("gammainccinv", (2.0, np.array([0.0, 1.0, -0.1, 1.1, np.nan]))),
        ("gammaincinv", (-1.0, np.array([0.3, 0.7]))),
        ("gammainccinv", (-1.0, np.array([0.3, 0.7]))),
        ("fdtrc", (2.0, 3.0, np.array([0.0, np.inf, np.nan]))),
        ("fdtrc", (3e3, 4.0, np.array([1e307]))),
        ("betaincinv", (2.0, 3.0, np.array([0.0, 1.0, np.nan]))),
    ],
)
def test_limits_and_missing_values_are_scipys(name, arguments):
    np.testing.assert_array_equal(
        getattr(pure, name)(*arguments), getattr(special, name)(*arguments)
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("stdtr", 1),
        ("stdtrit", 1),
        ("gammainc", 1),
        ("gammaincc", 1),
        ("fdtrc", 2),
        ("betaincinv", 2),
    ],
)
def test_impossible_parameters_give_what_scipys_do(name, parameters):
    for bad in (
        -1.0,
        -0.5,
        *([] if "gamma" in name else [0.0]),
    ):  # a = 0 has a limit in scipy alone
        for place in range(parameters):
            given = [2.0] * parameters
            given[place] = bad
            at = *given, np.array([-0.5, 0.0, 0.3, 1.0, 1.5])
            np.testing.assert_array_equal(getattr(pure, name)(*at), getattr(special, name)(*at))


def test_scalars_give_scalars_and_arrays_broadcast():
    assert np.ndim(pure.ndtr(0.0)) == 0
    assert pure.stdtrit([[3.0], [4.0]], [0.1, 0.5, 0.9]).shape == (2, 3)
    assert pure.gammainc(1.0, np.zeros(0)).shape == (0,)


@examples(60)
@given(st.floats(0.5, 3000), st.floats(1e-12, 1 - 1e-12))
def test_gamma_quantiles_invert_the_tails(a, q):
    assert pure.gammainc(a, pure.gammaincinv(a, q)) == pytest.approx(q, rel=1e-10)
    assert pure.gammaincc(a, pure.gammainccinv(a, q)) == pytest.approx(q, rel=1e-10)


WITHOUT_SCIPY = """
import json, sys
if {hide}:
    sys.modules["scipy"] = None
from helpers.engine.distributions import backend
from helpers.models.pooling import pool
x, n = [3, 8, 16, 0, 5], [40, 60, 50, 22, 90]
out = [backend()]
for model in ("glmm", "random"):
    fit = pool(events=x, n=n, model=model, study_ci="clopper-pearson")
    out += [*fit.ci, fit.tau2, *fit.tau2_ci(), *fit.prediction_interval(), fit.heterogeneity.p]
    out += fit.studies["ci_upper"].tolist()
print(json.dumps(out))
"""


def run(hide: bool) -> list:
    import json

    code = WITHOUT_SCIPY.format(hide=hide)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_engine_gives_the_same_fit_without_scipy():
    with_scipy, without = run(False), run(True)
    assert (with_scipy[0], without[0]) == ("scipy.special", "helpers.engine.distributions_pure")
    np.testing.assert_allclose(without[1:], with_scipy[1:], rtol=1e-11, atol=1e-14)
