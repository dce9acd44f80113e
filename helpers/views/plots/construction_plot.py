"""Why a logit and its standard error go together: their path for one size as events vary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ... import printing
from ...engine.distributions import gammaln
from ...engine.effects import get_measure
from ...errors import UnsupportedError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import Axes, axes_of, grid_below, name_axes
from .lettering import beside, key_above
from .note import Note, annotate, numbers

_MIDDLE = 0.95


def paths(rate: float, sizes: Sequence[int], measure: str = "logit") -> pd.DataFrame:
    """Tabulate effect and standard error of every likely count, for cohorts of one true rate.

    One row per size and count within the middle 95% of the binomial distribution: ``n, events,
    probability, yi, se``; half an event is added where there is none or where there are only
    events, if the measure asks for it.
    """
    scale = get_measure(measure)
    if scale.kind != "proportion":
        raise UnsupportedError(f"measure={measure!r}: events among n people make a proportion")
    if not 0.0 < rate < 1.0:
        raise UnsupportedError(f"rate={rate!r}: expected a number between 0 and 1")
    if not len(sizes) or min(sizes) < 1:
        raise UnsupportedError(f"sizes={list(sizes)!r}: expected at least one size of 1 or more")
    rows = []
    for n in sizes:
        x = np.arange(n + 1.0)
        log_p = gammaln(n + 1.0) - gammaln(x + 1.0) - gammaln(n - x + 1.0)
        p = np.exp(log_p + x * np.log(rate) + (n - x) * np.log1p(-rate))
        upto = np.cumsum(p)
        tail = (1.0 - _MIDDLE) / 2.0
        # A count belongs to the middle unless it and all beyond it hold less than a tail.
        kept = (upto > tail) & (upto - p < 1.0 - tail)
        yi, vi = scale.effects(x[kept], np.full(int(kept.sum()), float(n)))
        rows.append(
            pd.DataFrame(
                {"n": n, "events": x[kept], "probability": p[kept], "yi": yi, "se": np.sqrt(vi)}
            )
        )
    return pd.concat(rows, ignore_index=True)


@style.themed
def construction(
    rate: float,
    *,
    sizes: Sequence[int] = (25, 50, 100, 250),
    measure: str | None = None,
    subject: Subject = NEUTRAL,
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw where chance alone puts studies of one true rate in a funnel plot.

    Parameters
    ----------
    rate : float
        True rate of every study, in (0, 1).
    sizes : sequence of int
        People of the studies, one path each.
    measure : str, optional
        Scale of the effects; by default two panels, logits and double arcsines.
    subject : Subject
        What studies and people are called.
    ax : Axes, optional
        Where to draw one measure (logits by default); a new figure by default.
    width : float
        Width of a new figure in CSS pixels.

    Returns
    -------
    Axes
        The (first) axes. Each path joins the likely counts (middle 95%) of one size; the area of a
        mark is its probability.

    Raises
    ------
    UnsupportedError
        As in `paths`.

    Examples
    --------
    >>> from helpers.views.plots import show
    >>> show(construction(0.068, measure="logit"), "paths")  # doctest: +ELLIPSIS
    Studies of 25, 50, 100 and 250 participants that all have a true rate of 6.8...
    """
    from matplotlib import pyplot as plt

    names, height = [measure or "logit"], 350.0
    if measure is None and ax is None:
        names.append("double-arcsine")
        narrow = width < style.NARROW
        height = 1.9 * height if narrow else height
        shape = (2, 1) if narrow else (1, 2)
        figure, both = plt.subplots(*shape, figsize=(width / 72, height / 72))
        figure.subplots_adjust(
            left=62 / width, right=1 - 56 / width, bottom=50 / height, top=1 - 58 / height,
            wspace=0.5, hspace=0.46,
        )  # fmt: skip
        axes = list(both)
    else:
        axes = [axes_of(ax, width, height, right=56)]
    tables = {name: paths(rate, sizes, name) for name in names}
    for each, (name, table) in zip(axes, tables.items(), strict=True):
        _panel(each, name, table, rate)
        if len(axes) > 1:
            each.set_title(get_measure(name).label.capitalize(), pad=34)
    annotate(axes[0], _note(rate, list(sizes), tables, subject))
    return axes[0]


def _panel(ax: Axes, name: str, table: pd.DataFrame, rate: float) -> None:
    from matplotlib.lines import Line2D

    names = []
    for n, rows in table.groupby("n"):
        area = 8 + 500 * rows["probability"]
        ax.plot(
            rows["yi"], rows["se"], color=style.QUIET.light, lw=1.0, zorder=2,
            gid=f"path-{name}-{n}",
        )  # fmt: skip
        ax.scatter(
            rows["yi"], rows["se"], s=area, color=style.INK.light, edgecolors=style.SURFACE.light,
            linewidths=0.6, zorder=3, clip_on=False, gid=f"marks-{name}-{n}",
        )  # fmt: skip
        end = (rows["yi"].iloc[-1], rows["se"].iloc[-1])
        shift = (6 + np.sqrt(area.iloc[-1]) / 2, 0)
        names.append(beside(ax, f"n = {printing.count(int(str(n)))}", end, shift))
    largest = float(table["n"].max())
    truth = float(get_measure(name).transform(rate * largest, largest))
    line = ax.axvline(truth, color=style.INK.light, lw=1.0, ls=(0, (5, 3)), zorder=1)
    ax.set_ylim(1.08 * float(table["se"].max()), 0.0)
    low, high = float(table["yi"].min()), float(table["yi"].max())
    room = high - low or 1.0
    ax.set_xlim(low - 0.1 * room, high + 0.16 * room)
    name_axes(ax, get_measure(name).label.capitalize(), "Standard error")
    grid_below(ax)
    _apart(names)
    count = Line2D([], [], ls="", marker="o", ms=6, color=style.INK.light)
    key_above(ax, [count, line], ["a count of events", "true rate"])


def _note(rate: float, sizes: list[int], tables: dict[str, pd.DataFrame], subject: Subject) -> Note:
    labels = {name: get_measure(name).label for name in tables}
    said = []
    for name, rows in tables.items():
        r = _slope(rows)
        said.append(
            f"The standard error of the {labels[name]} depends on size alone."
            if r == 0.0
            else f"For {subject.studies} of one size, {labels[name]} and standard error correlate "
            f"at {printing.number(r, 2)} on average, by chance alone."
        )
    frame = pd.concat([rows.assign(measure=labels[name]) for name, rows in tables.items()])
    many = printing.listing(printing.count(n) for n in sizes)
    return Note(
        "Effect and standard error by construction",
        f"{printing.capital(subject.studies)} of {many} {subject.people} that all have "
        f"a true rate of {printing.percent(rate)}: effect across, standard error down, one path "
        f"per size along the likely counts of events. {' '.join(said)}",
        " ".join(said),
        numbers(
            frame.astype({"events": int}),
            "Likely counts: the numbers behind the figure",
            {
                "measure": "", "n": "count", "events": "count",
                "probability": lambda p: printing.number(100 * p, 1), "yi": ("Effect", "number3"),
                "se": ("Standard error", "number3"),
            },
        ),
    )  # fmt: skip


def _apart(names: list[Any]) -> None:
    """Lower names that would lie on the one above; they are given from the bottom up."""
    above: list[Any] = []
    for name in reversed(names):
        box = name.get_window_extent()
        for other in above:
            if box.x0 < other.x1 and other.x0 < box.x1 and other.y0 < box.y1:
                x, y = name.xyann
                name.xyann = (x, y + other.y0 - box.y1 - 0.5)
                box = name.get_window_extent()
        above.append(box)


def _slope(table: pd.DataFrame) -> float:
    """Correlation of effect and standard error within a size, weighted by probability."""
    found: list[float] = []
    for _, rows in table.groupby("n"):
        w = rows["probability"].to_numpy() / rows["probability"].sum()
        y = rows["yi"].to_numpy() - w @ rows["yi"].to_numpy()
        s = rows["se"].to_numpy() - w @ rows["se"].to_numpy()
        scale = np.sqrt((w @ y**2) * (w @ s**2))
        # Equal standard errors differ by rounding alone.
        found.append(float(w @ (y * s) / scale) if np.ptp(rows["se"]) > 1e-12 else 0.0)
    return float(np.mean(found))
