"""Prediction intervals for the effect in a new study, on the model scale.

======================  ==============================================  ==========================
method                  limits                                          source
======================  ==============================================  ==========================
``normal``              mu +- z sqrt(tau2 + se^2)                       doi:10.1111/j.1467-985X.2008.00552.x
``t-k-1``               mu +- t(k - 1) sqrt(tau2 + se^2)                doi:10.1002/sim.7140
``t-k-2``               mu +- t(k - 2) sqrt(tau2 + se^2)                doi:10.1111/j.1467-985X.2008.00552.x
``knapp-hartung``       t(k - 1) with the Knapp-Hartung se              doi:10.1002/sim.7140
``knapp-hartung-k-2``   t(k - 2) with the Knapp-Hartung se              doi:10.1002/sim.7140
``bootstrap``           confidence distribution of tau2, resampled      doi:10.1177/0962280218773520
======================  ==============================================  ==========================

se is the model-based standard error in the first three.
"""  # noqa: E501

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from helpers.distributions import norm_ppf, t_ppf
from helpers.errors import UnsupportedError
from helpers.pooling.intervals import Interval
from helpers.pooling.moments import moments, prepare
from helpers.pooling.tau2_intervals import generalised_q_tail

Array = NDArray[np.float64]

__all__ = ["PREDICTION_METHODS", "bootstrap_prediction", "normal_prediction"]

#: Prediction-interval methods, by model.
PREDICTION_METHODS: dict[str, tuple[str, ...]] = {
    "common": (),
    "random": (
        "normal",
        "t-k-1",
        "t-k-2",
        "knapp-hartung",
        "knapp-hartung-k-2",
        "bootstrap",
    ),
    "glmm": ("normal", "t-k-1", "t-k-2"),
}


def normal_prediction(
    mu: float, se: float, tau2: float, level: float, df: float | None
) -> Interval:
    """Limits mu +- q sqrt(tau2 + se^2) with a normal (df None) or t quantile.

    Raises
    ------
    UnsupportedError
        Fewer than one degree of freedom.

    Examples
    --------
    >>> [round(x, 3) for x in normal_prediction(0.0, 0.6, 0.64, 0.95, None)]
    [-1.96, 1.96]
    """
    if df is not None and df < 1:
        raise UnsupportedError(
            f"a prediction interval with {df:g} degrees of freedom does not exist: "
            "there are too few studies"
        )
    upper = 0.5 + 0.5 * level
    half = float(norm_ppf(upper) if df is None else t_ppf(upper, df)) * (tau2 + se**2) ** 0.5
    return Interval(mu - half, mu + half)


def bootstrap_prediction(
    yi: Array, vi: Array, level: float, *, draws: int = 25_000, seed: int = 1
) -> Interval:
    """Parametric bootstrap of Nagashima, Noma and Furukawa (2019).

    Each draw takes tau2 from its confidence distribution (the probability of a Cochran Q at
    least as large as the observed one, as a function of tau2), the weighted mean and its
    Knapp-Hartung variance at that tau2, a t deviate with k - 1 degrees of freedom and a normal
    deviate for the new study (doi:10.1177/0962280218773520).

    Parameters
    ----------
    yi, vi : ndarray, shape (k,)
        Effects and sampling variances.
    level : float
        Coverage.
    draws, seed : int
        Number of draws and seed of the generator; the same seed gives the same limits.

    Raises
    ------
    UnsupportedError
        Fewer than three studies.

    Examples
    --------
    >>> import numpy as np
    >>> y, v = np.array([0.0, 1.0, 2.0, 1.5]), np.full(4, 0.1)
    >>> low, high = bootstrap_prediction(y, v, 0.95, draws=2000)
    >>> low < 0.0 < 2.0 < high
    True
    """
    k = yi.size
    if k < 3:
        raise UnsupportedError("the bootstrap prediction interval needs at least 3 studies")
    rng = np.random.default_rng(seed)
    probability, z = rng.random(draws), rng.standard_normal(draws)
    t = rng.standard_t(k - 1, draws)
    tau2 = _draw_tau2(yi, vi, probability)
    m = moments(prepare(yi, vi), tau2[None, :])
    mean = m.beta[0, :, 0]
    spread = np.sqrt(m.rss[0] / (k - 1) / m.sum_w[0])
    new = mean + z * np.sqrt(tau2) - t * spread
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(new, [tail, 1.0 - tail])
    return Interval(float(low), float(high))


def _draw_tau2(yi: Array, vi: Array, probability: Array) -> Array:
    """Quantiles of the confidence distribution of tau2, interpolated on a fine table."""
    weights = 1.0 / vi
    step = float(vi.min())
    end = max(step, float(np.var(yi)))
    for _ in range(60):
        if generalised_q_tail(yi, vi, weights, np.array([end]))[0] > 1.0 - 1e-6:
            break
        end *= 2.0
    grid = step * np.expm1(np.linspace(0.0, np.log1p(end / step), 300))
    table = np.concatenate(
        [generalised_q_tail(yi, vi, weights, part) for part in np.array_split(grid, 6)]
    )
    return np.interp(probability, np.maximum.accumulate(table), grid)
