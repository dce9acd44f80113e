"""The radial (Galbraith) plot: standardised distance from the pooled effect against precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing, ties
from . import style
from .frame import axes_of
from .lettering import key_above
from .note import Note, annotate
from .points import SHARES, Z95, Points, points_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["radial"]

_MORE = (0.03, 0.04, 0.06, 0.08, 0.12, 0.15, 0.3)  # rays are few: in between as well
_APART = 15.0  # pixels between the labels of two rays


@style.themed
def radial(
    fit: Any, *, ax: Axes | None = None, width: float = 720.0, height: float = 410.0
) -> Axes:
    r"""Draw :math:`(y_i - \hat\mu)/s_i` against the precision :math:`1/s_i`.

    Parameters
    ----------
    fit : PoolResult
        Its included studies are the points, its `mu` the centre.
    ax : Axes, optional
        Where to draw; a new figure by default.
    width, height : float
        Size of a new figure in CSS pixels.

    Returns
    -------
    Axes
        Studies of one true effect scatter with variance 1 about zero, and 95 % of them lie in
        the band. The line from the origin to a study has the slope of its distance from the
        pooled effect; the rays at the right say which value a slope stands for. With a note that
        ``show`` picks up.

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
    ax = axes_of(ax, width, height, right=70)
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
        linewidths=0.6, zorder=3, clip_on=False, gid="marks-studies")  # fmt: skip
    _rays(ax, points, most, tall, height)
    ax.set_xlabel("Precision (1 / standard error)", labelpad=5)
    ax.set_ylabel("Distance from the mean, standard errors", labelpad=6)
    ax.tick_params(length=0)
    key_above(ax, [marks, band], ["studies", "95\N{NARROW NO-BREAK SPACE}% limits of chance"])
    annotate(ax, _note(points, z))
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


def _rays(ax: Axes, points: Points, most: float, tall: float, height: float) -> None:
    taken: list[float] = []
    for value, text in _values(points, most, tall):
        end = (value - points.mu) * most
        if any(abs(end - other) < _APART * 2 * tall / (height - 94) for other in taken):
            continue
        taken.append(end)
        if value != points.mu:
            ax.plot([0.0, most], [0.0, end], color=style.GRID.light, lw=0.8, zorder=0.5)
        ax.annotate(
            text,
            (most, end),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            size=style.size("small"),
            weight="bold" if value == points.mu else "normal",
        )


def _note(points: Points, z: np.ndarray) -> Note:
    import pandas as pd

    from ..tables import table

    k, outside = len(points.labels), int((np.abs(z) > Z95).sum())
    said = (
        f"{printing.word(outside).capitalize()} of {printing.counted(k, 'study', 'studies')} "
        f"{'lies' if outside == 1 else 'lie'} outside the band of ±2 standard errors."
    )
    frame = pd.DataFrame({"study": points.labels, "precision": 1.0 / points.se, "distance": z})
    return Note(
        title="Radial plot",
        alt=f"Radial plot of {printing.counted(k, 'study', 'studies')} around the pooled "
        f"{points.shown(points.mu)}. {said}",
        caption=said,
        table=table(
            frame.iloc[ties.order(frame["distance"])].reset_index(drop=True),
            caption="Studies of the radial plot: the numbers behind the figure",
            labels={"distance": "Distance, standard errors"},
        ),
    )
