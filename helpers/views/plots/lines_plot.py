"""Curves of simulated values with bands of Monte Carlo error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ..tables.frames import require
from . import style
from .frame import Axes, axes_of, fixed_ticks, grid_below, name_axes, room_of_axes
from .lettering import key_above
from .note import Note, annotate, numbers
from .points import Z95

# shape and dash say the same as colour
_LOOKS = (
    (style.INK, "o", "-"),
    (style.RESIDUAL["more"], "s", (0, (5, 2))),
    (style.RESIDUAL["fewer"], "D", (0, (2, 2))),
    (style.QUIET, "^", (0, (6, 2, 1, 2))),
)


@style.themed
def lines(
    curves: pd.DataFrame,
    *,
    x: str,
    x_label: str,
    y_label: str,
    title: str,
    caption: str,
    reference: tuple[str, float] | None = None,
    log: bool = False,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw curves of fractions with 95% Monte Carlo bands.

    Parameters
    ----------
    curves : DataFrame
        One row per point: the column named by `x`, `curve` (its name), `value` (a fraction) and
        `mcse` (Monte Carlo standard error).
    x : str
        Column across; values above 0. Values between 0 and 1 are printed as percentages.
    x_label, y_label : str
        Names of the axes.
    title, caption : str
        What the picture is, and what it finds.
    reference : pair of str and float, optional
        What a line stands for, such as the nominal level or the truth, and the fraction at which
        it is drawn.
    log : bool
        Whether the distance across is logarithmic.
    ax, width
        As in :func:`helpers.plots.forest`.

    Raises
    ------
    MetaAnalysisError
        No points, more than four curves, or a missing column or value.

    Examples
    --------
    >>> from helpers.views.plots import show
    >>> from helpers.teaching.labs import i2_lab
    >>> found = i2_lab((50, 500), (0.3,), draws=50)
    >>> ax = lines(found, x="patients", x_label="Patients", y_label="I²", log=True,
    ...     title="I² of growing studies", caption="It grows.")
    >>> show(ax, "lab")  # doctest: +ELLIPSIS
    Line chart with one curve. Horizontal axis: Patients. Vertical axis: I². τ = 0.3: from ...
    """
    _check(curves, x)
    across = np.unique(curves[x].to_numpy(float))
    ax = axes_of(ax, width, 390.0, left=64, right=24, bottom=56, top=48)
    handles: list[Any] = []
    names = list(dict.fromkeys(curves["curve"]))
    for i, (name, (colour, shape, dash)) in enumerate(zip(names, _LOOKS, strict=False)):
        part = curves[curves["curve"] == name]
        part = part.iloc[ties.order(part[x])]
        at, value = part[x].to_numpy(float), part["value"].to_numpy(float)
        half = Z95 * part["mcse"].to_numpy(float)
        ax.fill_between(
            at, np.maximum(value - half, 0.0), np.minimum(value + half, 1.0),
            color=colour.light, alpha=0.18, lw=0, zorder=2,
        )  # fmt: skip
        handles += ax.plot(
            at, value, color=colour.light, ls=dash, lw=1.8, marker=shape, ms=5, zorder=3,
            clip_on=False, gid=f"curve-{i}",
        )  # fmt: skip
    if reference is not None:
        words, at = reference
        handles.append(ax.axhline(at, color=style.INK.light, lw=1.0, ls=(0, (1, 2)), zorder=1))
        names.append(words)
    if log:
        ax.set_xscale("log")
    ax.set_ylim(bottom=0.0)
    kept = _ticks(across, room_of_axes(ax)[2], log=log)
    fixed_ticks(ax.xaxis, kept, lambda at: _shown(at, across))
    ax.yaxis.set_major_formatter(
        lambda at, _: printing.percent(at, 0 if ax.get_ylim()[1] > 0.1 or not at else 1)
    )
    name_axes(ax, x_label, y_label)
    grid_below(ax, "y")
    key_above(ax, handles, names)
    said = f"Horizontal axis: {x_label}. Vertical axis: {y_label}. "
    said += " ".join(_told(curves, x, across, reference))
    whole = all(float(value).is_integer() for value in across)
    behind = numbers(
        curves,
        f"{title}: the numbers behind the figure",
        {"curve": "", x: "percent" if across[-1] <= 1.0 else "count" if whole else ""}
        | {"value": "percent", "mcse": ("Monte Carlo SE", lambda v: printing.number(100 * v, 2))},
    )
    number = printing.counted(curves["curve"].nunique(), "curve")
    annotate(ax, Note(title, f"Line chart with {number}. {said}", caption, behind))
    return ax


def _check(curves: pd.DataFrame, x: str) -> None:
    require(curves, (x, "curve", "value", "mcse"))
    if curves.empty or curves[[x, "value", "mcse"]].isna().to_numpy().any():
        raise MetaAnalysisError("lines() needs points without missing values")
    if (curves[x] <= 0).any():
        raise MetaAnalysisError(f"lines() needs values above 0 in {x!r}")
    found = curves["curve"].nunique()
    if found > len(_LOOKS):
        raise MetaAnalysisError(f"lines() draws up to {len(_LOOKS)} curves, not {found}")


def _ticks(across: np.ndarray, wide: float, *, log: bool) -> np.ndarray:
    """Those points that stand far enough apart for their words, the last one always."""
    place = np.log(across) if log else across
    room = max(0.075, 40.0 / wide) * (place[-1] - place[0])
    kept = [len(across) - 1]
    for i in range(len(across) - 2, -1, -1):
        if place[kept[-1]] - place[i] >= room:
            kept.append(i)
    return across[kept[::-1]]


def _shown(at: float, across: np.ndarray) -> str:
    if across[-1] <= 1.0:
        return printing.percent(at, 0)
    return printing.count(at) if float(at).is_integer() else printing.number(at, 1)


def _told(
    curves: pd.DataFrame, x: str, across: np.ndarray, reference: tuple[str, float] | None
) -> Iterator[str]:
    """Say where each curve begins and ends, and where the line of the reference is."""
    digits = 1 if float(curves["value"].max()) < 0.1 else 0
    for name, part in curves.groupby("curve", sort=False):
        first, last = (
            f"{printing.percent(float(value), digits)} at {_shown(at, across)}"
            for at, value in part.iloc[ties.order(part[x])][[x, "value"]].to_numpy()[[0, -1]]
        )
        yield f"{name}: from {first} to {last}." if len(part) > 1 else f"{name}: {first}."
    if reference is not None:
        words, value = reference
        at = printing.percent(value, max(digits, 0 if value >= 0.01 else 1))
        yield f"Straight line, {words}: {at}."
