"""Median and mean of the true rates of studies: two summaries of one skewed distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...engine.distributions import norm_pdf, norm_ppf
from ...engine.normal.intervals import Interval
from ...errors import UnsupportedError
from ..subject import NEUTRAL, Subject
from . import style
from .accepted import pooled_of
from .frame import Axes, axes_of, name_axes, round_ticks
from .lettering import beside
from .note import Note, annotate, interval_columns, numbers

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
    pooled_of(fit, "median_mean").require_finite("median_mean()")
    if fit.measure != "logit":
        raise UnsupportedError(
            f"the plot needs a fit of logits, this one is of measure={fit.measure!r}: "
            "pool with measure='logit'"
        )
    if fit.k < 2 or fit.tau2 <= 0.0:
        raise UnsupportedError(
            "without variance between at least 2 studies, median and mean are the same: "
            "the plot needs a fit with tau2 above zero"
        )
    subject = subject.of_measure(fit.measure)
    ax = axes_of(ax, width, TALL + BELOW, left=LEFT, right=RIGHT, bottom=BELOW, top=0)
    x, density = _density(fit)
    height, ink = density / density.max(), style.INK.light
    ax.set_xlim(0.0, x[-1])
    ax.set_ylim(0.0, 1.42)
    ax.fill_between(x, 0.0, height, color=ink, alpha=0.12, lw=0, zorder=2)
    ax.plot(x, height, color=ink, lw=1.5, zorder=3, gid="density")
    named = {
        "median": (f"Median {subject.study}", fit.estimate, fit.ci),
        "mean": (f"Mean across {subject.studies}", fit.mean_estimate, fit.mean_conf_int()),
    }
    for name, (words, at, _) in named.items():
        dash = (0, (4, 3)) if name == "median" else "-"
        ends = [0.0, LEVELS[name]]
        ax.plot([at, at], ends, color=ink, lw=1.2, ls=dash, zorder=4, gid=name)
        right = at > 0.6 * x[-1]
        beside(
            ax, f"{words}: {printing.percent(at)}", (at, LEVELS[name]), (-4 if right else 4, 0),
            ha="right" if right else "left", weight="bold" if name == "mean" else "normal",
            size=style.size("text"),
        )  # fmt: skip
    round_ticks(ax.xaxis, ax.get_xlim(), 8, 100)
    name_axes(ax, f"True {printing.lower(subject.outcome)}, %")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    annotate(ax, _note(fit, named, subject))
    return ax


def _density(fit: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points and density of the true proportions; nearly all of the distribution."""
    tau = fit.tau2**0.5
    ends = fit.mu + tau * np.array([norm_ppf(0.0005), norm_ppf(0.99)])
    low, high = 1.0 / (1.0 + np.exp(-ends))
    x = np.linspace(0.2 * low, high, POINTS)
    logit = np.log(x / (1.0 - x))
    return x, norm_pdf((logit - fit.mu) / tau) / (tau * x * (1.0 - x))


def _note(fit: Any, named: dict[str, tuple[str, float, Interval]], subject: Subject) -> Note:
    what = printing.lower(subject.outcome)
    median, mean = printing.percent(fit.estimate), printing.percent(fit.mean_estimate)
    side = "right" if fit.mean_estimate > fit.estimate else "left"
    return Note(
        f"Median and mean of {what}",
        f"The estimated distribution of true {what} across {subject.studies}, with a long tail to "
        f"the {side}. Its median is {median}, its mean {mean}.",
        f"Half of all {subject.studies} have a true {what} below {median}, the median; the mean "
        f"across {subject.studies} is {mean}, because of the long tail to the {side}. The curve is "
        "the estimated distribution of true rates, not of observed ones.",
        numbers(
            [
                {"summary": words, "estimate": at, "lower": ci.lower, "upper": ci.upper}
                for words, at, ci in named.values()
            ],
            "The numbers behind the figure",
            {"summary": ""} | interval_columns(fit, "Estimate"),
        ),
    )
