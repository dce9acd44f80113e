"""A laboratory: simulate studies, pool them, and watch Q, I2 and the prediction interval.

The page draws its studies itself, so that a slider answers at once. `draw` is the same recipe
here: it gives the fixed picture, and the tests hold the page to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ... import printing
from ...engine.distributions import expit, logit, norm_ppf, t_ppf
from ...engine.normal.prediction import displayed_prediction
from ...engine.options import FEW_IN_GROUP
from ...errors import MetaAnalysisError
from ...models.pooling import pool
from ...models.result import PoolResult
from .. import plots
from ..subject import NEUTRAL, Subject
from .live_picture import Interactive

#: Typical sizes of a study that the slider offers.
SIZES = (10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000)
STUDIES = (3, 60)
RATES = (0.01, 0.4)
TAUS = (0.0, 1.5)
SMALLEST = 5  # patients of a study


@dataclass(frozen=True, slots=True)
class Draw:
    """Studies that were drawn."""

    rates: tuple[float, ...]  # True rates
    #: Counts
    n: tuple[int, ...]
    events: tuple[int, ...]


def draw(
    tau: float, studies: int, size: float, rate: float, *, spread: float, seed: int = 1
) -> Draw:
    """Draw studies: logits of the rates and logs of the sizes are normal.

    Parameters
    ----------
    tau : float
        Standard deviation of the logits of the true rates.
    studies : int
    size : float
        Median number of patients.
    rate : float
        Median true rate, between 0 and 1.
    spread : float
        Standard deviation of the logarithms of the sizes.
    seed : int
        Of the generator (mulberry32). Each study takes three numbers, so that the first studies
        stay the same when more are drawn, and change little when a slider moves.

    Raises
    ------
    MetaAnalysisError
        A setting without meaning.

    Examples
    --------
    >>> one = draw(0.5, 4, 100, 0.07, spread=1.0)
    >>> one.n == draw(0.9, 4, 100, 0.2, spread=1.0).n
    True
    """
    if not (tau >= 0 and studies >= 1 and size > 0 and 0 < rate < 1 and spread >= 0):
        raise MetaAnalysisError(
            f"tau={tau}, studies={studies}, size={size}, rate={rate}, spread={spread}: "
            "nothing can be drawn with these"
        )
    uniform = _uniform(seed)
    rates, sizes, events = [], [], []
    for _ in range(studies):
        radius, angle = np.sqrt(-2.0 * np.log(next(uniform))), 2.0 * np.pi * next(uniform)
        p = float(expit(logit(rate) + tau * radius * np.cos(angle)))
        n = max(SMALLEST, int(np.floor(size * np.exp(spread * radius * np.sin(angle)) + 0.5)))
        rates.append(p)
        sizes.append(n)
        events.append(_binomial(next(uniform), n, p))
    return Draw(tuple(rates), tuple(sizes), tuple(events))


def _uniform(seed: int) -> Iterator[float]:
    """Numbers between 0 and 1, both excluded, by mulberry32."""
    state, whole = seed & 0xFFFFFFFF, 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & whole
        t = ((state ^ (state >> 15)) * (1 | state)) & whole
        t = ((t + (((t ^ (t >> 7)) * (61 | t)) & whole)) & whole) ^ t
        yield ((t ^ (t >> 14)) + 0.5) / 4294967296.0


def _binomial(u: float, n: int, p: float) -> int:
    """Quantile of the binomial distribution; the terms are logs, because (1 - p)^n may vanish."""
    if p >= 1.0:
        return n
    term, odds, total = n * np.log1p(-p), np.log(p) - np.log1p(-p), 0.0
    for x in range(n):
        total += np.exp(term)
        if u <= total:
            return x
        term += np.log((n - x) / (x + 1)) + odds
    return n


_SEED = 1  # of the first draw


def laboratory(fit: PoolResult, *, name: str, subject: Subject = NEUTRAL) -> Interactive:
    """Make the laboratory; it opens with studies like those of a fit.

    Parameters
    ----------
    fit : PoolResult
        Of counts, with a between-study variance of logits.
    name : str
        Id of its fixed picture.
    subject : Subject
        What the people are called.

    Raises
    ------
    MetaAnalysisError
        A fit that is not on the logit scale.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> fit = pool(load_cohorts(), events="nonrelapse_deaths", n="patients", study="cohort")
    >>> laboratory(fit, name="lab").data["start"]["studies"]
    52
    """
    if fit.measure != "logit" or fit.n is None:
        raise MetaAnalysisError("the laboratory draws logits: it needs a fit of measure 'logit'")
    sizes = fit.studies.loc[fit.studies["included"], "n"].to_numpy(dtype=float)
    spread = round(float(np.log(sizes).std(ddof=1)), 2)
    tau = _within(round(float(np.sqrt(fit.tau2)) / 0.05) * 0.05, TAUS)
    studies = int(_within(fit.k, STUDIES))
    size = min(SIZES, key=lambda one: abs(np.log(one / np.median(sizes))))
    rate = _within(round(fit.estimate, 2), RATES)
    drawn = draw(tau, studies, size, rate, spread=spread, seed=_SEED)
    made = pool(events=drawn.events, n=drawn.n, model="random", tau2_method="DL")
    data = {
        "start": {
            "tau": tau,
            "studies": studies,
            "size": size,
            "rate": rate,
            "seed": _SEED,
            "method": "DL",
        },
        "ranges": {"studies": STUDIES, "tau": TAUS, "rate": RATES, "size": SIZES},
        "spread": spread,
        "smallest": SMALLEST,
        # of the t distribution, for the intervals with 1, 2, ... degrees of freedom
        "t": [float(f"{t_ppf(0.975, df):.13g}") for df in range(1, STUDIES[1])],
        "z": float(f"{norm_ppf(0.975):.13g}"),
        "prediction": FEW_IN_GROUP,  # below, no display shows a prediction interval
    }
    new, reason = displayed_prediction(made)
    said = (
        f"no prediction interval is drawn: {reason}" if new is None else printing.prediction(made)
    )
    drawn_subject = Subject(outcome="Rate", people=subject.people, n=subject.n)
    chart = plots.forest(made, subject=drawn_subject)
    het = made.heterogeneity
    still = plots.show(
        chart,
        name,
        caption=(
            f"In {printing.studies(made.k)} whose true rates have a median of "
            f"{printing.percent(rate, 0)} and a standard deviation of {printing.number(tau)} on "
            f"the logit scale, I² is {printing.percent(het.I2 / 100, 0)}, and "
            f"{'' if new is None else 'the '}{said}."
        ),
    )
    return Interactive("laboratory", "A laboratory of heterogeneity", still, data)


def _within(value: float, ends: tuple[float, float]) -> float:
    return round(min(max(value, ends[0]), ends[1]), 10)
