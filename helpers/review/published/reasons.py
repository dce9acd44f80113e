"""Why a published number is not met: each reason is checked before it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ... import printing
from ...engine.distributions import t_ppf, t_sf
from ...engine.effects import study_interval

if TYPE_CHECKING:
    from ...models.regression_result import RegressionResult

STEP = 1e-5  # change of tau2 at which the published software stopped
LEVEL = 0.999  # of the interval that a published Monte Carlo p-value must allow


@dataclass(frozen=True, slots=True)
class StoppedFit:
    """Knapp-Hartung inference, shape (p,), at the tau2 where the published rule stops."""

    tau2: float
    estimate: np.ndarray
    se: np.ndarray
    t: np.ndarray
    p: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def stopped_fit(fit: RegressionResult) -> StoppedFit:
    """Fit once more, stopping as the published analysis did.

    The published software starts from the unweighted moment estimate of tau2 (Hedges 1983,
    doi:10.1037/0033-2909.93.2.388) and scores (Fisher) until tau2 moves by no more than 1e-5.
    Ours goes on to the maximum. Near it the last printed digit can still change.
    """
    y, v, x = fit.core.yi, fit.core.vi, fit.core.X
    k, p = x.shape
    hat = x @ np.linalg.solve(x.T @ x, x.T)
    start = float(((y - hat @ y) ** 2).sum() - ((1 - np.diagonal(hat)) * v).sum()) / (k - p)
    tau2, moved = max(start, 0.0), np.inf
    while moved > STEP:
        w = 1 / (v + tau2)
        beta = np.linalg.solve((x.T * w) @ x, (x.T * w) @ y)
        step = float((w**2 * (y - x @ beta) ** 2).sum() - w.sum()) / float((w**2).sum())
        while tau2 + step < 0 and abs(step) > STEP:
            step /= 2
        moved, tau2 = abs(step), max(tau2 + step, 0.0)
    w = 1 / (v + tau2)
    inverse = np.linalg.inv((x.T * w) @ x)
    beta = inverse @ ((x.T * w) @ y)
    scale = float((w * (y - x @ beta) ** 2).sum()) / (k - p)
    se = np.sqrt(scale * np.diagonal(inverse))
    t = beta / se
    half = t_ppf(0.975, k - p) * se
    return StoppedFit(tau2, beta, se, t, 2 * t_sf(np.abs(t), k - p), beta - half, beta + half)


def monte_carlo_reason(p: float, ours: float, draws: int) -> str:
    """Give the reason why a p-value of `draws` random permutations is not met, if it can be one.

    Empty if so many draws would hardly ever (1 in 1,000) have given the published value `p`.
    """
    lower, upper = study_interval([p * draws], [draws], method="clopper-pearson", level=LEVEL)
    if not lower[0] <= ours <= upper[0]:
        return ""
    return (
        "Monte Carlo draws: the seed was not published; "
        f"ours lies in the {printing.level_text(LEVEL)} interval of the printed p."
    )
