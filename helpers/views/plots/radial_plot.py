"""The radial (Galbraith) plot: standardised distance from the pooled effect against precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import printing, ties
from . import style
from .frame import Axes, axes_of, grid_below, name_axes
from .lettering import beside, key_above
from .note import Note, annotate, numbers
from .points import SHARES, Z95, Points, points_of

_MORE = (0.03, 0.04, 0.06, 0.08, 0.12, 0.15, 0.3)  # rays are few: in between as well
_TALL = 410.0
_APART = 18.0  # pixels between the labels of two rays; a line of 13 px is 17.2 tall


@style.themed
def radial(fit: Any, *, ax: Axes | None = None, width: float = 720.0) -> Axes:
    r"""Draw :math:`(y_i - \hat\mu)/s_i` against the precision :math:`1/s_i`.

    Parameters
    ----------
    fit : PoolResult
        Its included studies are the points, its `mu` the centre.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Studies of one true effect scatter with variance 1 about zero, and 95% of them lie in the
        band. The line from the origin to a study has the slope of its distance from the pooled
        effect; the rays at the right say which value a slope stands for.

    Raises
    ------
    MetaAnalysisError
        `fit` is not a fit.

    References
    ----------
    Galbraith RF (1988), doi:10.1002/sim.4780070807.

    Examples
    --------
    >>> from helpers import pool_effects
    >>> from helpers.views.plots import show
    >>> show(radial(pool_effects([0.1, 0.2, 0.6], [0.01, 0.02, 0.03])), "radial")
    ... # doctest: +ELLIPSIS
    Radial plot of three studies around the pooled 0.2...
    """
    points = points_of(fit, "radial")
    ax = axes_of(ax, width, _TALL, right=70)
    precision = 1.0 / points.se
    z = (points.yi - points.mu) * precision
    most = 1.08 * float(precision.max())
    tall = max(1.12 * float(np.abs(z).max()), 3.4)
    ax.set_xlim(0.0, most)
    ax.set_ylim(-tall, tall)
    band = ax.axhspan(-Z95, Z95, color=style.GRID.light, lw=0, alpha=0.6, zorder=0)
    ax.axhline(0.0, color=style.INK.light, lw=1.0, zorder=1)
    marks = ax.scatter(
        precision, z, s=30, color=style.INK.light, edgecolors=style.SURFACE.light,
        linewidths=0.6, zorder=3, clip_on=False, gid="marks-studies",
    )  # fmt: skip
    _rays(ax, points, most, tall)
    name_axes(ax, "Precision (1 / standard error)", "Distance from the mean, standard errors")
    grid_below(ax)
    key_above(ax, [marks, band], ["studies", "95% limits of chance"])
    outside = int((np.abs(z) > Z95).sum())
    studies = printing.studies(len(points.labels))
    said = (
        f"{printing.word(outside).capitalize()} of {studies} {'lies' if outside == 1 else 'lie'} "
        "outside the band of ±2 standard errors."
    )
    order = ties.order(z)
    behind = numbers(
        {
            "study": np.array(points.labels)[order],
            "precision": precision[order],
            "distance": z[order],
        },
        "Studies of the radial plot: the numbers behind the figure",
        {"study": "", "precision": "", "distance": ("Distance, standard errors", "")},
    )
    alt = f"Radial plot of {studies} around the pooled {points.shown(points.mu)}. {said}"
    annotate(ax, Note("Radial plot", alt, said, behind))
    return ax


def _values(points: Points, most: float, tall: float) -> list[tuple[float, str]]:
    """Values whose rays end inside the picture, the pooled one first."""
    found = [(points.mu, points.shown(points.mu))]
    reach = tall / most
    if points.percent:
        for share in sorted({*SHARES, *_MORE}):
            value = float(points.measure.transform(share, 1.0))
            found.append((value, printing.percent(share, 0 if share >= 0.01 else 1)))
    else:
        step = 10 ** np.floor(np.log10(reach)) / 2
        first = np.ceil((points.mu - reach) / step)
        values = step * np.arange(first, np.floor((points.mu + reach) / step) + 1)
        found += [(float(value), printing.number(float(value), 2)) for value in values]
    return [(value, text) for value, text in found if abs(value - points.mu) <= reach]


def _rays(ax: Axes, points: Points, most: float, tall: float) -> None:
    taken: list[float] = []
    for value, text in _values(points, most, tall):
        end, centre = (value - points.mu) * most, value == points.mu
        if any(abs(end - other) < _APART * 2 * tall / (_TALL - 94) for other in taken):
            continue
        taken.append(end)
        if not centre:
            ax.plot([0.0, most], [0.0, end], color=style.GRID.light, lw=0.8, zorder=0.5)
        beside(ax, text, (most, end), (6, 0), weight="bold" if centre else "normal")
