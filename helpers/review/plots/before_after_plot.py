"""Comparisons of two groups before and after follow-up is taken into account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ... import printing
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import (
    Axes,
    axes_of,
    figure_of,
    fixed_ticks,
    grid_below,
    name_axes,
    place_axes,
    room_of_axes,
)
from ...views.plots.lettering import beside
from ...views.plots.note import Note, numbers
from .. import palette
from ..subject import annotate

if TYPE_CHECKING:
    from ..time_at_risk.contrast import TimeContrast

TICKS = (0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 4, 6, 8, 12, 20, 50)
PANEL, LEFT, RIGHT, BELOW, TOP = 330.0, 62.0, 52.0, 70.0, 34.0  # CSS pixels


@style.themed
def before_after(
    contrasts: Sequence[TimeContrast], *, ax: Axes | None = None, width: float = 760.0
) -> Axes:
    """Draw each ratio against the assumed exponent of follow-up, in a panel of its own.

    Parameters
    ----------
    contrasts : sequence of TimeContrast
        From `helpers.review.time_at_risk.contrast.time_contrast`, one to four.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        A panel for each contrast, exponent across: 0 compares deaths per patient, 1 per
        patient-year. Ratio up (logarithmic) with its interval as a band; the diamond is the model
        with follow-up as covariate, at the exponent that it estimates (at the edge if that lies
        outside).

    Raises
    ------
    MetaAnalysisError
        When there is no contrast, or there are more than four.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> from helpers.views.plots import show
    >>> from helpers.review.time_at_risk.contrast import time_contrast
    >>> one = time_contrast(load_cohorts(), by="product", levels=("cilta-cel", "ide-cel"))
    >>> show(before_after([one]), "before-after")  # doctest: +ELLIPSIS
    Line plot of one comparison ...
    """
    if not 1 <= len(contrasts) <= 4:
        raise MetaAnalysisError(f"before_after() takes 1 to 4 contrasts, not {len(contrasts)}")
    across = 1 if width < style.NARROW else min(len(contrasts), 2)
    down = -(-len(contrasts) // across)
    ax = axes_of(ax, width, PANEL * down, left=0, right=0, bottom=0, top=0)
    figure, (x0, y0, wide, tall) = figure_of(ax), room_of_axes(ax)
    wide, tall = wide / across, tall / down
    low = min(1.0, *(float(one.ci_lower.min()) for one in contrasts))
    high = max(1.0, *(float(one.ci_upper.max()) for one in contrasts))
    for i, one in enumerate(contrasts):
        panel = figure.add_axes((0, 0, 1, 1)) if i else ax
        row, column = divmod(i, across)
        left, bottom = x0 + column * wide + LEFT, y0 + (down - 1 - row) * tall + BELOW
        place_axes(panel, left, bottom, wide - LEFT - RIGHT, tall - BELOW - TOP)
        _draw(panel, one, _colour(one, i), i)
        _axes(panel, one, (low / 1.1, high * 1.1))
    annotate(ax, _note(contrasts))
    return ax


def _colour(one: TimeContrast, i: int) -> str:
    if one.levels[0] in palette.PRODUCT:
        return palette.PRODUCT[one.levels[0]].light
    return (style.INK, style.QUIET, *palette.ENTITY.values())[i].light


def _draw(ax: Axes, one: TimeContrast, colour: str, i: int) -> None:
    look: dict[str, Any] = {"color": colour, "clip_on": False}
    ax.fill_between(
        one.exponents, one.ci_lower, one.ci_upper, color=colour, alpha=0.14, lw=0, gid=f"band-{i}"
    )
    ax.plot(one.exponents, one.ratio, color=colour, lw=2, zorder=3, gid=f"line-{i}")
    ends = [0, -1]
    ax.scatter(one.exponents[ends], one.ratio[ends], s=42, zorder=4, gid=f"ends-{i}", **look)
    # Bands of two comparisons lie on each other; their ends do not, with a little distance.
    for end, shift in ((0, 0.006 * (i + 1)), (-1, -0.006 * (i + 1))):
        x = one.exponents[end] + shift
        ax.plot([x, x], [one.ci_lower[end], one.ci_upper[end]], color=colour, lw=1.4, zorder=3)
    ax.scatter(
        [float(np.clip(one.exponent()[0], 0, 1))], [one.adjusted()["ratio"]], marker="D", s=64,
        edgecolors=style.SURFACE.light, linewidths=1, zorder=5, gid=f"adjusted-{i}", **look,
    )  # fmt: skip


def _axes(ax: Axes, one: TimeContrast, ends: tuple[float, float]) -> None:
    """Name a panel, its axes and the ratios at both ends."""
    ax.set_yscale("log")
    ax.set_ylim(*ends)
    fixed_ticks(ax.yaxis, TICKS)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xticks([0, 0.5, 1], labels=["0\nper patient", "0.5", "1\nper patient-year"])
    ax.set_xlabel("Exponent of follow-up", labelpad=2)
    name_axes(ax, up="Ratio of deaths (log scale)")
    ax.set_title(printing.capital(one.name), pad=8)
    ax.axhline(1, color=style.QUIET.light, lw=1, zorder=1)
    grid_below(ax)
    for end, shift, side in ((0, 8, "left"), (-1, -8, "right")):
        at, ratio = float(one.exponents[end]), float(one.ratio[end])
        beside(ax, printing.number(ratio), (at, ratio), (shift, 11), ha=side)


def _pair(found: dict[str, float]) -> str:
    limits = printing.between(found["ci_lower"], found["ci_upper"], 2)
    return f"{printing.number(found['ratio'])} ({limits})"


def _note(contrasts: Sequence[TimeContrast]) -> Note:
    alt = [
        f"Line plot of {printing.counted(len(contrasts), 'comparison')} against the exponent of "
        "follow-up, with intervals."
    ]
    caption = []
    for one in contrasts:
        first, last = one.at(0.0), one.at(1.0)
        alt.append(
            f"{one.name}: ratio per patient {_pair(first)}, with follow-up as covariate "
            f"{_pair(one.adjusted())}, per patient-year {_pair(last)}."
        )
        crude, rate = first["ratio"], last["ratio"]
        nearer = "closer to" if abs(np.log(rate)) < abs(np.log(crude)) else "further from"
        caption.append(
            f"The ratio of {one.name} is {printing.number(crude)} per patient and "
            f"{printing.number(rate)} per patient-year, {nearer} one."
        )
    caption.append(
        "Bands are confidence intervals; diamonds, the exponent estimated from the data."
    )
    return Note(
        "Comparisons before and after follow-up",
        " ".join(alt),
        " ".join(caption),
        numbers(
            pd.concat([one.frame().assign(comparison=one.name) for one in contrasts]),
            "Ratios per patient, adjusted for follow-up, and per patient-year",
            {
                "deaths": ("Deaths compared", ""), "ratio": "number",
                "ci_lower": ("Lower", "number"), "ci_upper": ("Upper", "number"), "p": "p",
                "comparison": "",
            },
            groups="comparison",
        ),
    )  # fmt: skip
