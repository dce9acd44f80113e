"""The funnel: effects against the size of studies, with regions of chance and filled studies."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ... import printing, ties
from ...arguments import Array, one_of
from ...checks.bias import BiasTest, TrimAndFill
from ...engine.distributions import norm_ppf
from ...errors import MetaAnalysisError, UnsupportedError
from ..subject import NEUTRAL, Subject
from ..tables import Table
from . import style
from .frame import (
    ROUND,
    Axes,
    axes_of,
    figure_of,
    fixed_ticks,
    grid_below,
    name_axes,
    room_of_axes,
)
from .lettering import key_above, measure
from .note import Note, annotate, estimate_column, numbers
from .points import Z95, Points, effect_axis, points_of

Vertical = Literal["se", "n"]

_LABEL = {"se": "Standard error", "n": "{people} (logarithmic scale)"}
_LEVELS = (0.1, 0.05, 0.01)
# Opacity of the regions between the levels, from the inside out.
_DEPTH = {"p > 0.10": 0.9, "0.05 to 0.10": 0.55, "0.01 to 0.05": 0.3}


@style.themed
def funnel(
    fit: Any,
    *,
    vertical: Vertical = "se",
    contours: bool = False,
    filled: TrimAndFill | None = None,
    line: BiasTest | None = None,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw effects against their standard errors or sample sizes.

    Parameters
    ----------
    fit : PoolResult
        Its included studies are the points, its `mu` the centre.
    vertical : {"se", "n"}
        Up means more precise or larger. For proportions the sample size is the axis that the
        result of a study cannot move (Hunter et al. 2014).
    contours : bool
        Shade where a study would differ from no effect, with two-sided p between the levels 0.10,
        0.05 and 0.01, in place of the limits around the pooled effect. Proportions and rates have
        no null effect: theirs differ from the pooled one.
    filled : TrimAndFill, optional
        Its mirror images are drawn as open marks (not for "n": they have no size).
    line : BiasTest, optional
        A regression line of effects on standard errors (only for "se").
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        The limits contain 95% of studies if all had one true effect; on the axis of sizes they use
        the variance that a study of that size has at the pooled effect.

    Raises
    ------
    MetaAnalysisError
        `fit` is not a fit, or has no sample sizes though "n" asks for them.
    UnsupportedError
        Contradictory options.

    References
    ----------
    Sterne JAC, Egger M (2001), doi:10.1016/S0895-4356(01)00377-8 (axes);
    Peters JL et al. (2008), doi:10.1016/j.jclinepi.2007.11.010 (contours);
    Hunter JP et al. (2014), doi:10.1016/j.jclinepi.2014.03.003 (proportions).

    Examples
    --------
    >>> from helpers import load_cohorts, pool
    >>> from helpers.views.plots import show
    >>> fit = pool(load_cohorts(), events="nonrelapse_deaths", n="patients", study="cohort")
    >>> show(funnel(fit), "funnel")  # doctest: +ELLIPSIS
    Funnel plot of 52 studies around the pooled 6.8...
    """
    points = points_of(fit, "funnel", subject.per)
    _check(points, vertical, filled, line)
    ax = axes_of(ax, width, 430.0)
    centre = None
    if contours:
        centre = 0.0 if points.measure.kind == "effect" else points.mu
    grid, error = _grid(points, vertical)
    key: list[tuple[Any, str]] = []
    if error is not None and centre is not None:
        key += _contours(ax, grid, error, centre)
    elif error is not None:
        key += _limits_of_chance(ax, grid, error, points.mu)
    ax.axvline(points.mu, color=style.INK.light, lw=1.0, zorder=2)
    look: dict[str, Any] = {"s": 30, "zorder": 4, "clip_on": False}
    heights: Any = points.se if vertical == "se" else points.n
    studies = ax.scatter(
        points.yi, heights, color=style.INK.light,
        edgecolors=style.SURFACE.light, linewidths=0.6, gid="marks-studies", **look,
    )  # fmt: skip
    images = []
    if filled is not None and filled.k0:
        frame = filled.studies[filled.studies["filled"]]
        se = np.sqrt(frame["vi"].to_numpy(float))
        made = ax.scatter(
            frame["yi"], se, facecolors="none", edgecolors=style.INK.light, linewidths=1.2,
            gid="marks-filled", **look,
        )  # fmt: skip
        images = [(made, "filled in")]
    key = [(studies, subject.studies), *images, *key]
    if line is not None and line.intercept is not None:
        ends = np.array([0.0, float(grid.max())])
        (drawn,) = ax.plot(
            line.intercept + line.bias * ends, ends, color=style.INK.light, ls=(0, (5, 3)),
            zorder=3, gid="regression-line",
        )  # fmt: skip
        key.append((drawn, line.name))
    _vertical(ax, vertical, grid, subject)
    effect_axis(ax, points, _limits(points, filled))
    if vertical == "n":
        _clear_corner(ax)
    key_above(ax, [handle for handle, _ in key], [name for _, name in key])
    annotate(ax, _note(fit, points, vertical, filled, line, centre, subject.noun))
    return ax


def _limits_of_chance(ax: Axes, grid: Array, error: Array, mu: float) -> list[tuple[Any, str]]:
    for side, name in ((-1, "lower"), (1, "upper")):
        (drawn,) = ax.plot(
            mu + side * Z95 * error, grid, color=style.QUIET.light, lw=1.0, zorder=1,
            gid=f"limit-{name}",
        )  # fmt: skip
    return [(drawn, "95% limits of chance")]


def _contours(ax: Axes, grid: Array, error: Array, centre: float) -> list[tuple[Any, str]]:
    bounds = [0.0, *(float(norm_ppf(1 - level / 2)) for level in _LEVELS)]
    key = []
    for i, (word, depth) in enumerate(_DEPTH.items()):
        for side, name in ((-1, "lower"), (1, "upper")):
            area = ax.fill_betweenx(
                grid, centre + side * bounds[i] * error, centre + side * bounds[i + 1] * error,
                color=style.GRID.light, alpha=depth, lw=0, zorder=0, gid=f"contour-{i}-{name}",
            )  # fmt: skip
        key.append((area, word))
    return key


def _check(
    points: Points, vertical: str, filled: TrimAndFill | None, line: BiasTest | None
) -> None:
    one_of("vertical", vertical, _LABEL)
    if vertical == "n" and points.n is None:
        raise MetaAnalysisError("vertical='n' needs a fit with sample sizes")
    if vertical == "n" and filled is not None:
        raise UnsupportedError("filled studies have no sample size: use vertical='se'")
    if filled is not None and filled.measure != points.measure.name:
        raise UnsupportedError(
            f"the filled studies are {filled.measure}s, the fit pools {points.measure.name}s: "
            "give trim_and_fill() the same fit"
        )
    if line is None:
        return
    if vertical != "se" or line.predictor != "sei":
        raise UnsupportedError("a regression line on standard errors needs vertical='se'")
    if line.measure != points.measure.name:
        raise UnsupportedError(
            f"the line is of {line.measure}s, the fit pools {points.measure.name}s: "
            "give the test the same fit"
        )


def _grid(points: Points, vertical: str) -> tuple[Array, Array | None]:
    """Places along the vertical axis, and the standard error of a study there."""
    if vertical == "n" and points.n is not None:
        sizes = np.geomspace(points.n.min() / 1.4, points.n.max() * 1.4, 200)
        if not points.percent:
            return sizes, None
        rate = float(points.measure.inverse(points.mu))
        return sizes, np.sqrt(points.measure.variance(rate * sizes, sizes))
    # Images have the variances of their originals: they need no room of their own.
    error = np.linspace(0.0, 1.06 * float(points.se.max()), 200)
    return error, error


def _vertical(ax: Axes, vertical: str, grid: Array, subject: Subject) -> None:
    name_axes(ax, up=_LABEL[vertical].format(people=printing.capital(subject.people)))
    grid_below(ax)
    low, high = float(grid.min()), float(grid.max())
    if vertical == "se":
        ax.set_ylim(high, 0.0)
    else:
        ax.set_yscale("log")
        ax.set_ylim(low, high)
        fixed_ticks(ax.yaxis, ROUND, "{:,.0f}".format)


def _clear_corner(ax: Axes) -> None:
    """Leave out a size at the foot of its axis where the first effect would lie on it."""
    (low, high), foot, first = ax.get_xlim(), ax.get_ylim()[0], ax.get_xticklabels()[:1]
    sizes = ax.yaxis.get_majorticklocs()
    if not first or not len(sizes) or sizes[0] > 1.05 * foot:
        return
    place = room_of_axes(ax)[2] * (float(ax.get_xticks()[0]) - low) / (high - low)
    begin = place - measure(figure_of(ax), first[0].get_text(), size="small") / 2
    # the sizes end 3.5 pixels before the axis; half of one is the slant of a letter
    if begin < -4.0:
        fixed_ticks(ax.yaxis, sizes[1:], "{:,.0f}".format)


def _limits(points: Points, filled: TrimAndFill | None) -> tuple[float, float]:
    values = [*points.yi, points.mu]
    if filled is not None:
        values += list(filled.yi)
    widest = 1.3 * float(points.se.max())
    low = min(*values, points.mu - widest)
    high = max(*values, points.mu + widest)
    room = 0.05 * (high - low)
    return low - room, high + room


def _outside(points: Points, vertical: str) -> int:
    """Studies beyond the limits that are drawn."""
    error = points.se
    if vertical == "n" and points.n is not None and points.percent:
        rate = float(points.measure.inverse(points.mu))
        error = np.sqrt(points.measure.variance(rate * points.n, points.n))
    return int((np.abs(points.yi - points.mu) > Z95 * error).sum())


def _note(
    fit: Any,
    points: Points,
    vertical: str,
    filled: TrimAndFill | None,
    line: BiasTest | None,
    centre: float | None,
    noun: tuple[str, str],
) -> Note:
    k = len(points.labels)
    studies = printing.counted(k, *noun)
    by = "standard error" if vertical == "se" else "sample size"
    low, high = points.shown(float(points.yi.min())), points.shown(float(points.yi.max()))
    limited = vertical != "n" or points.percent
    if limited:
        outside = _outside(points, vertical)
        some, all_of = printing.word(outside) if outside else "none", "the " if k > 1 else ""
        who = f"{some.capitalize()} of {all_of}{studies}"
        if some.isdigit():  # no sentence begins with a numeral
            who = f"Of {all_of}{studies}, {some}"
        said = [
            f"{who} {'lies' if outside == 1 else 'lie'} outside the region expected to contain "
            f"95% of {noun[1]} with one true value."
        ]
    else:
        said = [f"{studies.capitalize()} by {by}."]
    if centre is not None and limited:
        said.append(f"Shaded: p-values of a test of each {noun[0]} against {points.shown(centre)}.")
    if filled is not None:
        said.append(
            f"Trim-and-fill ({filled.estimator}) adds "
            f"{printing.counted(filled.k0, *noun)} on the {filled.side}."
        )
    if line is not None:
        said.append(f"{line.name}: {printing.p_value(line.p)}.")
    lost = len(fit.data.labels) - k
    if lost:
        said.append(f"Not drawn: {printing.counted(lost, *(f'excluded {n}' for n in noun))}.")
    return Note(
        "Funnel plot",
        f"Funnel plot of {studies} around the pooled {points.shown(points.mu)}, by "
        f"{by}. Estimates range from {low} to {high}. {' '.join(said)}",
        " ".join(said),
        _table(points, noun),
    )


def _table(points: Points, noun: tuple[str, str]) -> Table:
    frame = pd.DataFrame({"study": points.labels, "effect": points.yi, "standard_error": points.se})
    columns: dict[str, Any] = {"study": (printing.capital(noun[0]), "")}
    if points.n is not None:
        frame["n"] = points.n.astype(int)
        columns["n"] = "count"
    if points.percent:
        frame["estimate"] = points.measure.inverse(points.yi)
        columns["estimate"] = estimate_column(frame["estimate"], points.unit)
    return numbers(
        frame.iloc[ties.order(points.se)],
        f"{printing.capital(noun[1])} of the funnel: the numbers behind the figure",
        columns
        | {"effect": (points.measure.label.capitalize(), "number3"), "standard_error": "number3"},
    )
