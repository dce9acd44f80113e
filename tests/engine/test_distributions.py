"""The door to the distributions gives what scipy.stats gives."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from helpers.engine import distributions as d

Q = np.array([1e-12, 0.025, 0.5, 0.975, 1 - 1e-9])
X = np.array([-30.0, -3.0, 0.0, 1.5, 9.0])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: d.norm_cdf(X), lambda: stats.norm.cdf(X)),
        (lambda: d.norm_sf(X), lambda: stats.norm.sf(X)),
        (lambda: d.norm_pdf(X), lambda: stats.norm.pdf(X)),
        (lambda: d.norm_ppf(Q), lambda: stats.norm.ppf(Q)),
        (lambda: d.t_sf(X, 51), lambda: stats.t.sf(X, 51)),
        (lambda: d.t_ppf(Q, 3), lambda: stats.t.ppf(Q, 3)),
        (lambda: d.chi2_sf(X**2, 7), lambda: stats.chi2.sf(X**2, 7)),
        (lambda: d.chi2_ppf(Q, 51), lambda: stats.chi2.ppf(Q, 51)),
        (lambda: d.chi2_isf(Q, 51), lambda: stats.chi2.isf(Q, 51)),
        (lambda: d.f_sf(X**2, 3, 40), lambda: stats.f.sf(X**2, 3, 40)),
        (lambda: d.beta_ppf(Q, 2.0, 7.0), lambda: stats.beta.ppf(Q, 2.0, 7.0)),
        (lambda: d.gamma_cdf(X**2, 2.5, 3.0), lambda: stats.gamma.cdf(X**2, 2.5, scale=3.0)),
        (lambda: d.gammaln(X**2 + 1), lambda: _gammaln(X**2 + 1)),
    ],
)
def test_functions_agree_with_scipy_stats(ours, theirs) -> None:
    np.testing.assert_allclose(ours(), theirs(), rtol=1e-11, atol=0)


def _gammaln(x: np.ndarray) -> np.ndarray:
    from math import lgamma

    return np.array([lgamma(v) for v in x])


@given(st.floats(-700, 700))
def test_expit_and_its_complement_sum_to_one(x: float) -> None:
    assert 0.0 <= d.expit(x) <= 1.0
    assert d.expit(x) + d.expit(-x) == pytest.approx(1.0, abs=1e-15)


@given(st.floats(1e-12, 1 - 1e-12))
def test_logit_inverts_expit(p: float) -> None:
    assert d.expit(d.logit(p)) == pytest.approx(p, rel=1e-12)


def test_importing_the_engine_loads_neither_scipy_nor_pandas() -> None:
    code = (
        "import sys, helpers.models.pooling, helpers.models.subgroup_analysis, "
        "helpers.engine.effects\nheavy = {'scipy', 'pandas', 'statsmodels', 'matplotlib'} & "
        "set(sys.modules)\nraise SystemExit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
