"""Median and mean of the true rates of studies: two summaries of one skewed distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...engine.distributions import norm_pdf, norm_ppf
from ...errors import UnsupportedError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import number_ticks
from .note import Note, annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..tables import Table

__all__ = ["median_mean"]

POINTS = 400
LEFT, RIGHT, BELOW, TALL = 12.0, 20.0, 50.0, 190.0
LEVELS = {"median": 1.22, "mean": 1.08}  # where each line ends, in heights of the peak


@style.themed
def median_mean(
    fit: Any,
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    width: float = 540.0,
) -> Axes:
    """Draw the estimated distribution of true proportions, with its median and its mean.

    Parameters
    ----------
    fit : PoolResult
        A random-effects model or GLMM of logits of at least 2 studies, with tau2 above 0.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        With a note that ``show`` picks up.

    Raises
    ------
    UnsupportedError
        Another measure, fewer studies, or no variance between studies: median and mean are then
        the same.

    References
    ----------
    Zeger SL, Liang KY, Albert PS (1988), doi:10.2307/2531734.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[7, 3, 30], n=[269, 80, 140], model="glmm")
    >>> show(median_mean(fit), "median-and-mean")  # doctest: +ELLIPSIS
    The estimated distribution of true proportion ...
    """
    from matplotlib import pyplot as plt

    if fit.measure != "logit":
        raise UnsupportedError(f"the plot is of pooled logits, not of measure={fit.measure!r}")
    if fit.k < 2 or fit.tau2 <= 0.0:
        raise UnsupportedError(
            "without variance between at least 2 studies, median and mean are the same"
        )
    subject = subject.of_measure(fit.measure)
    if ax is None:
        _, ax = plt.subplots(figsize=(width / 72, (TALL + BELOW) / 72))
        across = (width - LEFT - RIGHT) / width
        ax.set_position((LEFT / width, BELOW / (TALL + BELOW), across, TALL / (TALL + BELOW)))
    x, density = _density(fit)
    _draw(
        ax, x, density / density.max(), {"median": fit.estimate, "mean": fit.mean_estimate}, subject
    )
    _axis(ax, subject.outcome)
    annotate(ax, _note(fit, subject))
    return ax


def _density(fit: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points and density of the true proportions; nearly all of the distribution."""
    tau = fit.tau2**0.5
    ends = fit.mu + tau * np.array([norm_ppf(0.0005), norm_ppf(0.99)])
    low, high = 1.0 / (1.0 + np.exp(-ends))
    x = np.linspace(0.2 * low, high, POINTS)
    logit = np.log(x / (1.0 - x))
    return x, norm_pdf((logit - fit.mu) / tau) / (tau * x * (1.0 - x))


def _draw(
    ax: Axes,
    x: NDArray[Any],
    height: NDArray[Any],
    places: dict[str, float],
    subject: Subject,
) -> None:
    ax.set_xlim(0.0, x[-1])
    ax.set_ylim(0.0, 1.42)
    ax.fill_between(x, 0.0, height, color=style.INK.light, alpha=0.12, lw=0, zorder=2)
    ax.plot(x, height, color=style.INK.light, lw=1.5, zorder=3, gid="density")
    words = {"median": f"Median {subject.study}", "mean": f"Mean over {subject.studies}"}
    for name, at in places.items():
        (line,) = ax.plot(
            [at, at], [0.0, LEVELS[name]], color=style.INK.light, lw=1.2, zorder=4, gid=name
        )
        if name == "median":
            line.set_linestyle((0, (4, 3)))
        right = at > 0.6 * x[-1]
        ax.annotate(
            f"{words[name]}: {printing.percent(at)}",
            (at, LEVELS[name]),
            xytext=(-4 if right else 4, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            weight="bold" if name == "mean" else "normal",
            parse_math=False,
        )


def _axis(ax: Axes, outcome: str) -> None:
    from matplotlib.ticker import MaxNLocator

    high = ax.get_xlim()[1]
    ticks = MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]).tick_values(0.0, 100 * high)
    ax.set_xticks([t / 100 for t in ticks if 0.0 <= t <= 100 * high])
    number_ticks(ax.xaxis, 100)
    ax.set_xlabel(f"True {printing.lower(outcome)}, %", labelpad=5)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def _note(fit: Any, subject: Subject) -> Note:
    what = printing.lower(subject.outcome)
    median, mean = printing.percent(fit.estimate), printing.percent(fit.mean_estimate)
    side = "right" if fit.mean_estimate > fit.estimate else "left"
    return Note(
        title=f"Median and mean of {what}",
        alt=f"The estimated distribution of true {what} over {subject.studies}, "
        f"with a long tail to the {side}. Its median is {median}, its mean {mean}.",
        caption=f"Half of all {subject.studies} have a true {what} below "
        f"{median}, the median; the mean over {subject.studies} is {mean}, because the tail to the "
        f"{side} pulls it. The curve is the distribution of true rates at "
        "the estimates of the model, not of observed ones.",
        table=_table(fit, subject),
    )


def _table(fit: Any, subject: Subject) -> Table:
    import pandas as pd

    from ..tables import table

    mean = fit.mean_conf_int()
    frame = pd.DataFrame(
        {
            "summary": [f"Median {subject.study}", f"Mean over {subject.studies}"],
            "estimate": [fit.estimate, fit.mean_estimate],
            "lower": [fit.ci.lower, mean.lower],
            "upper": [fit.ci.upper, mean.upper],
        }
    )
    return table(
        frame,
        caption="The numbers behind the figure",
        formats=dict.fromkeys(("estimate", "lower", "upper"), "percent"),
        labels={
            "estimate": f"Estimate,{printing.HARD}%",
            "lower": f"{printing.level_text(fit.level)} interval from",
            "upper": "to",
        },
    )
