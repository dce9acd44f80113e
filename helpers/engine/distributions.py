"""Distribution functions behind one small door.

Everything in the engine takes its normal, t, chi-squared, F, beta and gamma functions from
here and from nowhere else. They come from ``scipy.special``, loaded when the first of them is
called, or from `helpers.engine.distributions_pure` where scipy is not installed (in a browser);
`backend` says which.

All functions broadcast over arrays and return arrays (numpy scalars for scalar input).
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@cache
def _special() -> ModuleType:
    """Load ``scipy.special``, or what replaces it, once, when first needed."""
    try:
        import scipy.special
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "scipy":
            raise
        from . import distributions_pure

        return distributions_pure
    return scipy.special


def backend() -> str:
    """Name of the module that computes the distribution functions here.

    Examples
    --------
    >>> backend()
    'scipy.special'
    """
    return _special().__name__


def norm_pdf(x: ArrayLike) -> Any:
    """Density of the standard normal distribution.

    Examples
    --------
    >>> round(float(norm_pdf(0.0)), 6)
    0.398942
    """
    z = np.asarray(x, dtype=float)
    return np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)


def norm_cdf(x: ArrayLike) -> Any:
    """Probability that a standard normal variable is at most `x`.

    Examples
    --------
    >>> round(float(norm_cdf(1.959963984540054)), 6)
    0.975
    """
    return _special().ndtr(x)


def norm_sf(x: ArrayLike) -> Any:
    """Probability that a standard normal variable exceeds `x` (accurate far in the tail).

    Examples
    --------
    >>> round(float(norm_sf(0.0)), 6)
    0.5
    """
    return _special().ndtr(-np.asarray(x, dtype=float))


def norm_ppf(q: ArrayLike) -> Any:
    """Quantile of the standard normal distribution.

    Examples
    --------
    >>> round(float(norm_ppf(0.975)), 6)
    1.959964
    """
    return _special().ndtri(q)


def t_sf(x: ArrayLike, df: ArrayLike) -> Any:
    """Probability that a t variable with `df` degrees of freedom exceeds `x`.

    Examples
    --------
    >>> float(t_sf(0.0, 5))
    0.5
    """
    return _special().stdtr(df, -np.asarray(x, dtype=float))


def t_ppf(q: ArrayLike, df: ArrayLike) -> Any:
    """Quantile of the t distribution with `df` degrees of freedom.

    Examples
    --------
    >>> round(float(t_ppf(0.975, 51)), 6)
    2.007584
    """
    return _special().stdtrit(df, q)


def chi2_sf(x: ArrayLike, df: ArrayLike) -> Any:
    """Probability that a chi-squared variable with `df` degrees of freedom exceeds `x`.

    Examples
    --------
    >>> round(float(chi2_sf(3.841458820694124, 1)), 6)
    0.05
    """
    return _special().gammaincc(np.asarray(df, dtype=float) / 2.0, np.asarray(x, dtype=float) / 2.0)


def chi2_ppf(q: ArrayLike, df: ArrayLike) -> Any:
    """Quantile of the chi-squared distribution.

    Examples
    --------
    >>> round(float(chi2_ppf(0.95, 1)), 6)
    3.841459
    """
    return 2.0 * _special().gammaincinv(np.asarray(df, dtype=float) / 2.0, q)


def chi2_isf(q: ArrayLike, df: ArrayLike) -> Any:
    """Value that a chi-squared variable exceeds with probability `q`.

    Examples
    --------
    >>> round(float(chi2_isf(0.05, 1)), 6)
    3.841459
    """
    return 2.0 * _special().gammainccinv(np.asarray(df, dtype=float) / 2.0, q)


def f_sf(x: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> Any:
    """Probability that an F variable with `df1` and `df2` degrees of freedom exceeds `x`.

    Examples
    --------
    >>> round(float(f_sf(4.0, 1, 30)), 6)
    0.054625
    """
    return _special().fdtrc(df1, df2, x)


def beta_ppf(q: ArrayLike, a: ArrayLike, b: ArrayLike) -> Any:
    """Quantile of the beta distribution with shapes `a` and `b`.

    Examples
    --------
    >>> round(float(beta_ppf(0.5, 2.0, 2.0)), 6)
    0.5
    """
    return _special().betaincinv(a, b, q)


def gamma_cdf(x: ArrayLike, shape: ArrayLike, scale: ArrayLike = 1.0) -> Any:
    """Probability that a gamma variable is at most `x`.

    Examples
    --------
    >>> round(float(gamma_cdf(1.0, 1.0)), 6)
    0.632121
    """
    return _special().gammainc(shape, np.asarray(x, dtype=float) / np.asarray(scale, dtype=float))


def gammaln(x: ArrayLike) -> Any:
    """Logarithm of the absolute value of the gamma function.

    Examples
    --------
    >>> round(float(gammaln(5.0)), 6)
    3.178054
    """
    return _special().gammaln(x)


def expit(x: ArrayLike) -> Any:
    """Probability of a logit, by numpy alone and without overflow.

    Examples
    --------
    >>> expit([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    z = np.asarray(x, dtype=float)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small)[()] / (1.0 + small)


def logit(p: ArrayLike) -> Any:
    """Logit of a probability strictly between 0 and 1, by numpy alone.

    Examples
    --------
    >>> float(logit(0.5))
    0.0
    """
    q = np.asarray(p, dtype=float)
    return np.log(q) - np.log1p(-q)
