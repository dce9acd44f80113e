"""Probabilities by their formulas, for tests that ask for millions of them.

SciPy's take a hundred times as long for one value, as an adaptive quadrature asks for it, and ten
times as long for an array: that was most of the time of tests that integrate likelihoods. Those of
one value are plain floats; the logarithms take arrays.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, optimize, special

__all__ = [
    "binomial",
    "log_beta_binomial",
    "log_binomial",
    "log_likelihood",
    "normal",
    "poisson",
    "signed_root",
]


def normal(u: float, mean: float = 0.0, sd: float = 1.0) -> float:
    """Density of a normal variable.

    >>> from scipy import stats
    >>> math.isclose(normal(0.3, 1.0, 2.0), stats.norm.pdf(0.3, 1.0, 2.0), rel_tol=1e-14)
    True
    """
    z = (u - mean) / sd
    return math.exp(-0.5 * z * z) / (sd * math.sqrt(2.0 * math.pi))


@cache
def _log_ways(x: int, n: int) -> float:
    return math.log(math.comb(n, x))


def binomial(x: float, n: float, logit: float) -> float:
    """Probability of x events among n, the logit of whose probability is given.

    >>> from scipy import special, stats
    >>> def same(x, n, t):
    ...     return math.isclose(
    ...         binomial(x, n, t), stats.binom.pmf(x, n, special.expit(t)), rel_tol=1e-11
    ...     )
    >>> same(3, 40, -2.0), same(0, 16, 4.0), same(93, 1297, -2.6), binomial(0, 5, -800.0)
    (True, True, True, 1.0)
    """
    log_odds = max(logit, 0.0) + math.log1p(math.exp(-abs(logit)))  # of 1 / (1 - p)
    return math.exp(_log_ways(int(x), int(n)) + x * logit - n * log_odds)


def poisson(x: float, mean: float) -> float:
    """Probability of x events where a mean is expected.

    >>> from scipy import stats
    >>> math.isclose(poisson(7, 5.5), stats.poisson.pmf(7, 5.5), rel_tol=1e-12)
    True
    """
    return math.exp(x * math.log(mean) - mean - math.lgamma(x + 1.0))


def log_binomial(x: ArrayLike, n: ArrayLike, logit: ArrayLike) -> np.ndarray:
    """Logarithms of probabilities of x events among n; the arguments are broadcast.

    >>> from scipy import stats
    >>> x, n, t = np.array([[0], [7], [40]]), np.array([[9], [50], [40]]), np.linspace(-20, 20, 9)
    >>> np.allclose(log_binomial(x, n, t), stats.binom.logpmf(x, n, special.expit(t)), rtol=1e-8)
    True
    """
    x, n, t = np.asarray(x, float), np.asarray(n, float), np.asarray(logit, float)
    ways = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
    return ways + x * t - n * np.logaddexp(0.0, t)


def log_beta_binomial(x: ArrayLike, n: ArrayLike, a: float, b: float) -> np.ndarray:
    """Logarithms of probabilities of x events among n whose probability is a beta variable.

    >>> from scipy import stats
    >>> x, n = np.array([0, 7, 40]), np.array([9, 50, 40])
    >>> np.allclose(log_beta_binomial(x, n, 2.0, 9.5), stats.betabinom.logpmf(x, n, 2.0, 9.5))
    True
    """
    x, n = np.asarray(x, float), np.asarray(n, float)
    ways = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
    return ways + special.betaln(x + a, n - x + b) - special.betaln(a, b)


def log_likelihood(x: float, n: float, eta: float, omega: float, family: str = "binomial") -> float:
    """Log-likelihood of a study whose logit (log rate) is normal, by adaptive integration.

    `n` are patients, or the person-time of the family "poisson".
    """
    spread = math.sqrt(omega)

    def f(u: float) -> float:
        at = eta + spread * u
        chance = binomial(x, n, at) if family == "binomial" else poisson(x, n * math.exp(at))
        return chance * normal(u)

    return math.log(integrate.quad(f, -10, 10, epsabs=1e-14, epsrel=1e-11, limit=300)[0])


def signed_root(x: float, n: float, mu: float, omega: float, family: str = "binomial") -> float:
    """Signed root of the deviance of one study (see `log_likelihood`)."""
    best = optimize.minimize_scalar(
        lambda eta: -log_likelihood(x, n, eta, omega, family),
        bounds=(-8, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    deviance = 2.0 * (-best.fun - log_likelihood(x, n, mu, omega, family))
    return float(np.sign(best.x - mu) * np.sqrt(deviance))
