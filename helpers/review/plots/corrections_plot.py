"""What the audit's corrections do to the pooled estimates, one row per estimate."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import Axes, axes_of, grid_below, name_axes
from ...views.plots.lettering import beside, key_above, name_above, write_beside
from ...views.plots.note import Note, numbers
from ..corrected_results import AS_PUBLISHED, EVERY, FACTS, CorrectionEffects
from ..subject import SUBJECT, annotate

ROW, TOP, BELOW = 30.0, 72.0, 44.0  # heights in CSS pixels
LEFT, RIGHT = 104.0, 152.0
# Columns at the right: where they end, in widths of the axes, and their headings.
PLACES = {"as_published": (1.12, "Published"), "estimate": (1.26, "Corrected")}
SAME = 1e-9  # a shift below it is none
NAMED = 0.0005  # a shift from half a tenth of a percentage point has its correction named


@style.themed
def corrections(
    effects: CorrectionEffects, *, ax: Axes | None = None, width: float = 760.0
) -> Axes:
    """Draw how far estimates move with each correction alone and with all.

    Parameters
    ----------
    effects : CorrectionEffects
        From `helpers.review.corrected_results.correction_effects`.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Difference from the published estimate (percentage points) across; a row for each
        estimate that moves. Open circles: one correction alone; diamond: all;
        grey bar: the published confidence interval, on the same scale (cut at the axis).

    Raises
    ------
    MetaAnalysisError
        When there is no correction to show, or none moves an estimate.

    Examples
    --------
    >>> from helpers.review.corrected_results import correction_effects
    >>> from helpers.views.plots import show
    >>> show(corrections(correction_effects()), "corrections")  # doctest: +ELLIPSIS
    Dot plot of five pooled estimates ...
    """
    rows, single = _rows(effects)
    if single.empty:
        raise MetaAnalysisError("corrections() needs at least one correction")
    still = rows[rows["shift"].abs() < SAME]
    rows = rows.drop(still.index)
    if rows.empty:
        raise MetaAnalysisError("corrections() has nothing to draw: no estimate moves")
    narrow = width < style.NARROW
    row_height, left, right = (46.0, 14.0, 14.0) if narrow else (ROW, LEFT, RIGHT)
    height = TOP + row_height * len(rows) + BELOW
    ax = axes_of(ax, width, height, left=left, right=right, bottom=BELOW, top=TOP)
    widest = max(float(table["shift"].abs().max()) for table in (single, rows))
    first = rows.iloc[0]
    half = max(abs(first[end] - first["as_published"]) for end in ("ci_upper", "ci_lower"))
    limit = 1.12 * max(100 * widest, 100 * half, 0.1)
    ax.set_xlim(-limit, limit)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.axvline(0, color=style.QUIET.light, lw=1, zorder=1)
    lines = [
        (y, row, str(level), single[single["level"] == level])
        for y, (level, row) in enumerate(rows.iterrows())
    ]
    for y, row, level, mine in lines:
        _draw(ax, y, row, mine, SUBJECT.colours([level])[level].light)
    grid_below(ax, hide=("left",))
    name_axes(ax, "Change of the estimate, percentage points")
    _key(ax)
    annotate(ax, _note(effects, rows, single, list(still["label"])))
    if narrow:
        values = [
            f"{printing.percent(row['as_published'], 2)} to {printing.percent(row['estimate'], 2)}"
            for _, row, _, _ in lines
        ]
        ax.set_ylim(len(rows) - 0.5, -0.8)
        name_above(ax, range(len(rows)), list(rows["label"]), values, lift=0.45)
        return ax
    for x, head in PLACES.values():
        write_beside(ax, head, (x, 0), -0.62, ha="right", va="bottom", color=style.QUIET.light)
    for y, row, _, mine in lines:
        for name, (x, _) in PLACES.items():
            write_beside(ax, printing.percent(row[name], 2), (x, 0), y, ha="right")
        top = mine.iloc[ties.largest(mine["shift"].abs())]
        if abs(top["shift"]) >= NAMED:
            edge = 100 * max(row["shift"], mine["shift"].max())
            words = f"most: {_said(top['scenario'])}"
            beside(ax, words, (edge, y), (10, 0), color=style.QUIET.light)
    ax.set_yticks(range(len(rows)), labels=list(rows["label"]))
    return ax


def _rows(effects: CorrectionEffects) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per estimate with all corrections, and the shifts by each alone."""
    shifts = effects.shifts()
    base = effects.estimates[effects.estimates["scenario"] == AS_PUBLISHED]
    whole = shifts[shifts["scenario"] == EVERY].set_index("level")
    rows = base.set_index("level")[["analysis", "k", "ci_lower", "ci_upper"]]
    rows = rows.join(whole[["as_published", "estimate", "shift"]])
    first = [level for level in rows.index if level == "all"]
    rows = rows.loc[[*first, *SUBJECT.in_order(map(str, rows.index.drop(first)))]]
    label = ["All cohorts" if level == "all" else level for level in rows.index]
    alone = shifts[~shifts["scenario"].isin([EVERY, FACTS])]
    return rows.assign(label=label), alone


def _draw(ax: Axes, y: int, row: pd.Series[Any], mine: pd.DataFrame, colour: str) -> None:
    limit, surface = ax.get_xlim()[1], style.SURFACE.light
    low, high = (100 * (row[name] - row["as_published"]) for name in ("ci_lower", "ci_upper"))
    low, high = max(low, -limit), min(high, limit)
    (bar,) = ax.barh(y, high - low, left=low, height=0.5, color=style.GRID.light, zorder=0)
    bar.set_gid(f"interval-{y}")
    ax.plot([0, 100 * row["shift"]], [y, y], color=colour, lw=2, zorder=2)
    ax.scatter(
        100 * mine["shift"], np.full(len(mine), y), s=34, facecolors=surface, edgecolors=colour,
        linewidths=1.3, zorder=3, gid=f"alone-{y}",
    )  # fmt: skip
    ax.scatter(
        [100 * row["shift"]], [y], s=62, marker="D", color=colour, edgecolors=surface,
        linewidths=0.8, zorder=4, gid=f"all-{y}",
    )  # fmt: skip


def _key(ax: Axes) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    ink, surface = style.INK.light, style.SURFACE.light
    handles = [
        Line2D([], [], ls="", marker="o", mfc=surface, mec=ink, mew=1.3, ms=6),
        Line2D([], [], ls="", marker="D", mfc=ink, mec=surface, ms=7.5),
        Patch(color=style.GRID.light),
    ]
    key_above(ax, handles, ["one correction", "all corrections", "published interval"])


def _said(scenario: str) -> str:
    """Give a correction the words of its key, which begins with the name of a publication."""
    return printing.capital(scenario.replace("-", " "))


def _points(value: float) -> str:
    return f"{printing.number(100 * value, 2)} percentage points"


def _note(
    effects: CorrectionEffects, rows: pd.DataFrame, single: pd.DataFrame, still: list[str]
) -> Note:
    first, most = rows.iloc[0], rows.iloc[ties.largest(rows["shift"].abs())]
    top = single.iloc[ties.largest(single["shift"].abs())]
    out = rows[(rows["estimate"] < rows["ci_lower"]) | (rows["estimate"] > rows["ci_upper"])]
    inside = "Every corrected estimate lies inside its published confidence interval."
    if len(out):
        inside = f"Outside the published confidence interval: {printing.listing(out['label'])}."
    alt = [
        f"Dot plot of {printing.counted(len(rows), 'pooled estimate')} as published, with each of "
        f"{printing.counted(single['scenario'].nunique(), 'correction')} alone and with all.",
        f"{first['label']}: {printing.percent(first['as_published'], 2)} becomes "
        f"{printing.percent(first['estimate'], 2)} with all corrections.",
        f"The largest change is {_points(most['shift'])} ({most['label']}).",
    ]
    same = f" Unchanged, and not drawn: {printing.listing(still)}." if still else ""
    moved = "all cohorts" if top["level"] == "all" else top["level"]
    estimates = effects.shifts().set_index(["scenario", "level"])["estimate"]
    names = [*dict.fromkeys(single["scenario"]), FACTS, EVERY]
    made = {"published": rows["as_published"].to_numpy()}
    made |= {name: estimates[name].loc[rows.index].to_numpy() for name in names}
    percent = partial(printing.number, digits=2)
    return Note(
        "Effect of the corrections",
        " ".join([*alt, inside]) + same,
        f"{inside} The strongest single correction, “{_said(top['scenario'])}”, moves "
        f"{moved} by {_points(top['shift'])}.{same}",
        numbers(
            {"estimate of": rows["label"]} | {name: 100 * found for name, found in made.items()},
            "Pooled nonrelapse mortality in percent under each set of corrections",
            {"estimate of": "", "published": percent} | {name: (name, percent) for name in names},
        ),
    )
