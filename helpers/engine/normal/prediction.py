"""Prediction intervals for the effect in a new study, on the model scale.

======================  =====================================  ====================================
method                  limits                                 source
======================  =====================================  ====================================
``normal``              mu +- z sqrt(tau2 + se^2)              doi:10.1111/j.1467-985X.2008.00552.x
``t-k-1``               mu +- t(k - 1) sqrt(tau2 + se^2)       doi:10.1002/sim.7140
``t-k-2``               mu +- t(k - 2) sqrt(tau2 + se^2)       doi:10.1111/j.1467-985X.2008.00552.x
``knapp-hartung``       t(k - 1) with the Knapp-Hartung se     doi:10.1002/sim.7140
``knapp-hartung-k-2``   t(k - 2) with the Knapp-Hartung se     doi:10.1002/sim.7140
``bootstrap``           confidence distribution of tau2        doi:10.1177/0962280218773520
======================  =====================================  ====================================

In the first three se is the standard error behind the confidence interval of the fit, so that both
intervals say the same of the mean: that of Knapp and Hartung if the fit has such an interval, and
for a profile-likelihood interval the distance of each limit from the estimate over the normal
quantile (variance estimates recovered from confidence limits, Zou and Donner 2008,
doi:10.1002/sim.3095). The true effect of a new study is at least as uncertain as the mean of all;
therefore no prediction interval lies inside the confidence interval of the fit at the same level: a
limit that would (a normal quantile beside a t quantile, tau2 of zero) is the confidence limit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import printing
from ...arguments import Array, generator, whole_number
from ...errors import UnsupportedError
from ..distributions import norm_ppf
from ..options import FEW_IN_GROUP, shows_prediction
from .intervals import Interval, quantile
from .tau2_intervals import generalised_q_tail
from .weighted import moments, prepare

_CELLS = 50_000  # draws x studies held at once
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


def prediction_df(method: str, k: ArrayLike) -> Array | None:
    """Degrees of freedom of the t quantile of a method with k studies; None for the normal one."""
    if method == "normal":
        return None
    return np.asarray(k, dtype=float) - (2.0 if method.endswith("k-2") else 1.0)


def displayed_prediction(fit: Any, **options: Any) -> tuple[Interval | None, str]:
    """Give the prediction interval that displays show, or the reason why they show none.

    The one rule of pictures, tables and sentences; ``fit.prediction_interval()`` gives the number
    wherever it is defined.
    """
    if fit.model == "common":
        return None, "a common effect leaves nothing to predict"
    if fit.one_sided:
        return None, "no study, or every patient, had the event"
    if not shows_prediction(fit.k - 2):
        there = f"there {'is' if fit.k == 1 else 'are'} {printing.word(fit.k)}"
        return None, f"none is shown below {printing.word(FEW_IN_GROUP)} studies, and {there}"
    return fit.prediction_interval(**options), ""


def prediction_limits(
    mu: ArrayLike,
    se: ArrayLike | tuple[ArrayLike, ArrayLike],
    tau2: ArrayLike,
    level: float,
    df: ArrayLike | None,
    confidence: tuple[ArrayLike, ArrayLike] | None,
) -> tuple[Array, Array]:
    """Limits mu +- q sqrt(tau2 + se^2), never inside the confidence interval.

    The one place where prediction intervals of normal effects are made, for one fit and for many;
    shapes broadcast. `se` may be a pair, below and above `mu`. Limits are NaN where `df` is not
    above zero; `confidence` is None where methods are compared and no interval of `mu` belongs to
    them.
    """
    below, above = se if isinstance(se, tuple) else (se, se)
    mu, tau2 = np.asarray(mu, dtype=float), np.asarray(tau2, dtype=float)
    freedom = np.asarray(np.inf if df is None else df, dtype=float)
    q = np.where(freedom > 0, quantile(level, freedom), np.nan)
    low = mu - q * np.sqrt(tau2 + np.square(np.asarray(below, dtype=float)))
    high = mu + q * np.sqrt(tau2 + np.square(np.asarray(above, dtype=float)))
    if confidence is not None:
        low, high = np.minimum(low, confidence[0]), np.maximum(high, confidence[1])
    return low, high


def recovered_se(
    mu: ArrayLike, confidence: tuple[ArrayLike, ArrayLike], level: float
) -> tuple[Array, Array]:
    """Give the standard errors below and above `mu` that its limits imply by a normal quantile.

    Zou and Donner (2008), doi:10.1002/sim.3095.
    """
    z, centre = float(norm_ppf(0.5 + 0.5 * level)), np.asarray(mu, dtype=float)
    lower, upper = (np.asarray(limit, dtype=float) for limit in confidence)
    return (centre - lower) / z, (upper - centre) / z


def bootstrap_prediction(
    yi: Array, vi: Array, level: float, *, draws: int = 25_000, seed: int = 1
) -> Interval:
    """Parametric bootstrap of Nagashima, Noma and Furukawa (2019).

    Each draw takes tau2 from its confidence distribution (the probability of a Cochran Q at
    least as large as the observed one, as a function of tau2), the weighted mean and its
    Knapp-Hartung variance at that tau2, a t deviate with k - 1 degrees of freedom and a normal
    deviate for the new study (doi:10.1177/0962280218773520).
    """
    k = yi.size
    if k < 3:
        raise UnsupportedError("the bootstrap prediction interval needs at least 3 studies")
    rng, draws = generator(seed), whole_number("draws", draws, 20)
    probability, z = rng.random(draws), rng.standard_normal(draws)
    t = rng.standard_t(k - 1, draws)
    tau2 = _draw_tau2(yi, vi, probability)
    batch = prepare(yi, vi)
    size = max(1, _CELLS // k)
    mean, spread = np.empty(draws), np.empty(draws)
    for part in (slice(i, i + size) for i in range(0, draws, size)):
        m = moments(batch, tau2[None, part])
        mean[part] = m.beta[0, :, 0]
        spread[part] = np.sqrt(m.rss[0] / (k - 1) / m.sum_w[0])
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
    table = generalised_q_tail(yi, vi, weights, grid)
    return np.interp(probability, np.maximum.accumulate(table), grid)
