"""The drapery plot: the p-value of every study and of the pooled effect, for every hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import printing
from ...arguments import Array
from ...engine.distributions import norm_sf
from ...engine.normal.prediction import displayed_prediction
from . import style
from .frame import Axes, axes_of, fixed_ticks, grid_below, name_axes
from .lettering import key_above
from .note import Note, annotate, numbers
from .points import Z95, Points, effect_axis, points_of

_STEPS = 241


@style.themed
def drapery(fit: Any, *, ax: Axes | None = None, width: float = 720.0) -> Axes:
    """Draw two-sided p-values of all hypotheses about the effect, one curve per study.

    Parameters
    ----------
    fit : PoolResult
        Its included studies are the thin curves, the pooled effect is the thick one; both use
        the normal distribution (Wald tests), whatever the interval method of the fit.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Where a curve crosses p = 0.05 are the ends of a 95% Wald interval; other levels can be read
        off as well. The shaded strip is the fit's prediction interval, where it has one.

    Raises
    ------
    MetaAnalysisError
        `fit` is not a fit.

    References
    ----------
    Rücker G, Schwarzer G (2021), doi:10.1002/jrsm.1410.

    Examples
    --------
    >>> from helpers import pool_effects
    >>> from helpers.views.plots import show
    >>> show(drapery(pool_effects([0.1, 0.2, 0.6], [0.01, 0.02, 0.03])), "drapery")
    ... # doctest: +ELLIPSIS
    Drapery plot of three studies. At p = 0.05 the pooled curve spans ...
    """
    points = points_of(fit, "drapery")
    ax = axes_of(ax, width, 410.0)
    reach = 2.2 * points.se
    low = min(float((points.yi - reach).min()), points.mu - 4 * fit.se)
    high = max(float((points.yi + reach).max()), points.mu + 4 * fit.se)
    new, reason = displayed_prediction(fit, scale="model")
    strips = [] if new is None else [
        ax.axvspan(*new, color=style.GRID.light, lw=0, alpha=0.5, zorder=0)
    ]  # fmt: skip
    for i, (effect, error) in enumerate(zip(points.yi, points.se, strict=True)):
        (drawn,) = ax.plot(
            *_curve(float(effect), float(error), low, high), color=style.QUIET.light, lw=0.7,
            alpha=0.7, zorder=2, gid=f"study-{i}",
        )  # fmt: skip
    (pooled,) = ax.plot(
        *_curve(points.mu, float(fit.se), low, high), color=style.INK.light, lw=2.4, zorder=3,
        gid="pooled",
    )  # fmt: skip
    ax.axhline(0.05, color=style.INK.light, lw=0.9, ls=(0, (5, 3)), zorder=1)
    effect_axis(ax, points, (low, high))
    ax.set_ylim(0.0, 1.02)
    fixed_ticks(ax.yaxis, (0.05, 0.2, 0.4, 0.6, 0.8, 1.0))
    name_axes(ax, up="p-value (two-sided)")
    grid_below(ax)
    names = ["pooled", "studies", "prediction interval"]
    key_above(ax, [pooled, drawn, *strips], names[: 2 + len(strips)])
    annotate(ax, _note(fit, points, reason))
    return ax


def _curve(effect: float, error: float, low: float, high: float) -> tuple[Array, Array]:
    """p-values where they can be told from zero; the peak is one of the places."""
    near = effect + error * np.linspace(-4.0, 4.0, _STEPS)
    place = near[(near >= low) & (near <= high)]
    return place, 2.0 * norm_sf(np.abs(place - effect) / error)


def _note(fit: Any, points: Points, reason: str) -> Note:
    lower, upper = (points.shown(points.mu + side * Z95 * float(fit.se)) for side in (-1, 1))
    missed = int((np.abs(points.yi - points.mu) > Z95 * points.se).sum())
    studies = printing.studies(len(points.labels))
    said = (
        f"At p = 0.05 the pooled curve spans {lower} to {upper}; {printing.word(missed)} of "
        f"{studies} would reject the pooled effect at that level."
    )
    if reason and fit.model != "common":
        said += f" No prediction interval: {reason}."
    made = numbers(
        {
            "study": points.labels,
            "effect": points.yi,
            "lower": points.yi - Z95 * points.se,
            "upper": points.yi + Z95 * points.se,
            "p": 2.0 * norm_sf(np.abs(points.yi - points.mu) / points.se),
        },
        "Curves of the drapery plot: where they peak and cross p = 0.05",
        {"study": "", "effect": "number3", "lower": "number3", "upper": "number3"}
        | {"p": ("p of the pooled effect", "p")},
    )
    return Note("Drapery plot", f"Drapery plot of {studies}. {said}", said, made)
