"""Curves of simulated values with bands of Monte Carlo error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import printing, ties
from ...errors import MetaAnalysisError
from . import style
from .frame import axes_of, grid_below
from .lettering import key_above
from .note import Note, annotate
from .points import Z95

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["lines"]

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
    reference: float | None = None,
    reference_label: str = "",
    log: bool = False,
    digits: int | None = None,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw curves of fractions with 95 % Monte Carlo bands.

    Parameters
    ----------
    curves : DataFrame
        One row per point: the column named by `x`, `curve` (its name), `value` (a fraction) and
        `mcse` (Monte Carlo standard error).
    x : str
        Column across; values above 0. Values between 0 and 1 are printed as percentages.
    x_label, y_label : str
        Words for the axes.
    title, caption : str
        What the picture is, and what it finds.
    reference : float, optional
        A fraction drawn as a line, such as the nominal level or the truth.
    reference_label : str
        Its words for the legend; needed with `reference`.
    log : bool
        Whether the distance across is logarithmic.
    digits : int, optional
        Decimals of the percentages in the alternative text; one where all are below a tenth.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        With a note that ``show`` picks up.

    Raises
    ------
    MetaAnalysisError
        No points, more than four curves, a missing column or value, or a reference without
        words.

    Examples
    --------
    >>> from helpers.views.plots import show
    >>> from helpers.teaching.labs import i2_lab
    >>> found = i2_lab((50, 500), (0.3,), draws=50)
    >>> ax = lines(found, x="patients", x_label="Patients", y_label="I²", log=True,
    ...     title="I² of growing studies", caption="It grows.")
    >>> show(ax, "lab")  # doctest: +ELLIPSIS
    Line chart of I² against patients; one curve. tau = 0.3: from ...
    """
    from matplotlib.ticker import FuncFormatter, NullLocator

    _check(curves, x, reference, reference_label)
    if digits is None:
        digits = 1 if float(curves["value"].max()) < 0.1 else 0
    names = list(dict.fromkeys(curves["curve"]))
    height = 390.0
    ax = axes_of(ax, width, height, left=64, right=24, bottom=56, top=48)
    handles = []
    for name, (colour, shape, dash) in zip(names, _LOOKS, strict=False):
        part = curves[curves["curve"] == name]
        part = part.iloc[ties.order(part[x])]
        at, value = part[x].to_numpy(float), part["value"].to_numpy(float)
        half = Z95 * part["mcse"].to_numpy(float)
        ax.fill_between(
            at, np.maximum(value - half, 0.0), np.minimum(value + half, 1.0),
            color=colour.light, alpha=0.18, lw=0, zorder=2,
        )  # fmt: skip
        (line,) = ax.plot(
            at, value, color=colour.light, ls=dash, lw=1.8, marker=shape, ms=5, zorder=3,
            markerfacecolor=colour.light, markeredgecolor=colour.light, clip_on=False, gid=f"curve-{names.index(name)}")  # fmt: skip
        handles.append(line)
    labels = list(names)
    if reference is not None:
        handles.append(
            ax.axhline(reference, color=style.INK.light, lw=1.0, ls=(0, (1, 2)), zorder=1)
        )
        labels.append(reference_label)
    if log:
        ax.set_xscale("log")
    ax.set_ylim(bottom=0.0)
    across = np.unique(curves[x].to_numpy(float))
    ax.set_xticks(_ticks(across, log=log))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _shown(at, across)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda at, _: _tick(at, ax.get_ylim()[1])))
    ax.set_xlabel(x_label, labelpad=5)
    ax.set_ylabel(y_label, labelpad=6)
    grid_below(ax, "y")
    key_above(ax, handles, labels)
    annotate(ax, _note(curves, x, y_label, title, caption, reference, reference_label, digits))
    return ax


def _check(curves: pd.DataFrame, x: str, reference: float | None, label: str) -> None:
    missing = [c for c in (x, "curve", "value", "mcse") if c not in curves.columns]
    if missing:
        raise MetaAnalysisError(f"lines() needs the columns {', '.join(missing)}")
    if curves.empty or curves[[x, "value", "mcse"]].isna().to_numpy().any():
        raise MetaAnalysisError("lines() needs points without missing values")
    if (curves[x] <= 0).any():
        raise MetaAnalysisError(f"lines() needs values above 0 in {x!r}")
    found = curves["curve"].nunique()
    if found > len(_LOOKS):
        raise MetaAnalysisError(f"lines() draws up to {len(_LOOKS)} curves, not {found}")
    if reference is not None and not label.strip():
        raise MetaAnalysisError("lines() needs words for the reference: give reference_label=")


def _ticks(across: np.ndarray, *, log: bool) -> np.ndarray:
    """Those points that stand far enough apart for their words, the last one always."""
    place = np.log(across) if log else across
    room = 0.075 * (place[-1] - place[0])
    kept = [len(across) - 1]
    for i in range(len(across) - 2, -1, -1):
        if place[kept[-1]] - place[i] >= room:
            kept.append(i)
    return across[kept[::-1]]


def _shown(at: float, across: np.ndarray) -> str:
    if across[-1] <= 1.0:
        return printing.percent(at, 0)
    return printing.count(at) if float(at).is_integer() else printing.number(at, 1)


def _tick(at: float, top: float) -> str:
    return printing.percent(at, 0 if top > 0.1 else 1) if at else printing.percent(0.0, 0)


def _note(
    curves: pd.DataFrame,
    x: str,
    y_label: str,
    title: str,
    caption: str,
    reference: float | None,
    reference_label: str,
    digits: int,
) -> Note:
    from ..tables import table

    across = np.unique(curves[x].to_numpy(float))
    said = []
    for name, part in curves.groupby("curve", sort=False):
        ordered = part.iloc[ties.order(part[x])]
        first, last = ordered.iloc[0], ordered.iloc[-1]
        ends = f"{printing.percent(float(last['value']), digits)} at {_shown(last[x], across)}"
        start = f"{printing.percent(float(first['value']), digits)} at {_shown(first[x], across)}"
        said.append(f"{name}: from {start} to {ends}." if len(part) > 1 else f"{name}: {ends}.")
    if reference is not None:
        at = printing.percent(reference, max(digits, 0 if reference >= 0.01 else 1))
        said.append(f"Straight line, {reference_label}: {at}.")
    shown = curves[["curve", x, "value", "mcse"]].reset_index(drop=True)
    formats = {"value": "percent", "mcse": "percent2"}
    if across[-1] <= 1.0:
        formats[x] = "percent"
    elif all(float(value).is_integer() for value in across):
        formats[x] = "count"
    return Note(
        title=title,
        alt=f"Line chart of {y_label} against {x}; "
        f"{printing.counted(curves['curve'].nunique(), 'curve')}. {' '.join(said)}",
        caption=caption,
        table=table(
            shown,
            caption=f"{title}: the numbers behind the figure",
            formats=formats,
            labels={"mcse": "Monte Carlo SE"},
        ),
    )
