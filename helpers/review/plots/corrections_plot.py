"""What the audit's corrections do to the pooled estimates, one row an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing, ties
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of, grid_below
from ...views.plots.note import Note
from ..subject import SUBJECT, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ...views.tables import Table
    from ..corrected_results import CorrectionEffects

__all__ = ["corrections"]

ROW, TOP, BELOW = 30.0, 48.0, 44.0  # heights in CSS pixels
LEFT, RIGHT = 104.0, 152.0
NAMED = 0.0005  # a shift from half a tenth of a percentage point has its correction named


@style.themed
def corrections(
    effects: CorrectionEffects, *, ax: Axes | None = None, width: float = 760.0
) -> Axes:
    """Draw how far each estimate moves with each correction alone and with all.

    Parameters
    ----------
    effects : CorrectionEffects
        From `helpers.review.corrected_results.correction_effects`.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Difference from the published estimate (percentage points) across; one row for all
        cohorts, each disease and each product. Open circles: one correction alone; diamond: all;
        grey bar: the published confidence interval, on the same scale (cut at the axis).

    Raises
    ------
    MetaAnalysisError
        When there is no correction to show.

    Examples
    --------
    >>> from helpers.review.corrected_results import correction_effects
    >>> from helpers.views.plots import show
    >>> show(corrections(correction_effects()), "corrections")  # doctest: +ELLIPSIS
    Dot plot of 11 pooled estimates ...
    """
    rows, single = _rows(effects)
    if single.empty:
        raise MetaAnalysisError("corrections() needs at least one correction")
    height = TOP + ROW * len(rows) + BELOW
    ax = axes_of(ax, width, height, left=LEFT, right=RIGHT, bottom=BELOW, top=TOP)
    widest = 100 * max(float(single["shift"].abs().max()), float(rows["shift"].abs().max()))
    first = rows.iloc[0]
    half = 100 * max(
        first["ci_upper"] - first["as_published"], first["as_published"] - first["ci_lower"]
    )
    limit = 1.12 * max(widest, half, 0.1)
    ax.set_xlim(-limit, limit)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    _draw(ax, rows, single, limit)
    _words(ax, rows, single)
    _key(ax)
    annotate(
        ax,
        Note(
            title="Effect of the corrections",
            alt=_alt(rows, single),
            caption=_caption(rows, single),
            table=_table(effects, rows, single),
        ),
    )
    return ax


def _rows(effects: CorrectionEffects) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row an estimate with all corrections, and the shifts by each alone."""
    from ..corrected_results import AS_PUBLISHED, EVERY, FACTS

    shifts = effects.shifts()
    base = effects.estimates[effects.estimates["scenario"] == AS_PUBLISHED]
    whole = shifts[shifts["scenario"] == EVERY].set_index("level")
    rows = base.set_index("level")[["analysis", "k", "ci_lower", "ci_upper"]]
    rows = rows.join(whole[["as_published", "estimate", "shift"]])
    label = ["All cohorts" if level == "all" else level for level in rows.index]
    alone = shifts[~shifts["scenario"].isin([EVERY, FACTS])]
    return rows.assign(label=label), alone


def _colour(level: str) -> str:
    return SUBJECT.colours([level])[level].light


def _draw(ax: Axes, rows: pd.DataFrame, single: pd.DataFrame, limit: float) -> None:
    ax.axvline(0, color=style.QUIET.light, lw=1, zorder=1)
    for y, (level, row) in enumerate(rows.iterrows()):
        colour = _colour(str(level))
        low, high = (100 * (row[name] - row["as_published"]) for name in ("ci_lower", "ci_upper"))
        bar = ax.barh(
            y, min(high, limit) - max(low, -limit), left=max(low, -limit), height=0.5,
            color=style.GRID.light, zorder=0,
        )  # fmt: skip
        bar[0].set_gid(f"interval-{y}")
        ax.plot([0, 100 * row["shift"]], [y, y], color=colour, lw=2, zorder=2)
        mine = single[single["level"] == level]
        ax.scatter(
            100 * mine["shift"], np.full(len(mine), y), s=34, facecolors=style.SURFACE.light,
            edgecolors=colour, linewidths=1.3, zorder=3, gid=f"alone-{y}")  # fmt: skip
        ax.scatter(
            [100 * row["shift"]], [y], s=62, marker="D", color=colour,
            edgecolors=style.SURFACE.light, linewidths=0.8, zorder=4, gid=f"all-{y}")  # fmt: skip
    ax.set_yticks(range(len(rows)), labels=list(rows["label"]))
    grid_below(ax, hide=("left",))
    ax.set_xlabel("Change of the pooled estimate, percentage points", labelpad=5)


def _words(ax: Axes, rows: pd.DataFrame, single: pd.DataFrame) -> None:
    """Name the strongest correction of a row, and print the estimates at the right."""
    across = ax.get_yaxis_transform()
    places = ((1.12, "Published"), (1.26, "Corrected"))
    for x, head in places:
        ax.text(
            x, -0.62, head, transform=across, ha="right", va="bottom", size=style.size("small"),
            color=style.QUIET.light,
        )  # fmt: skip
    for y, (level, row) in enumerate(rows.iterrows()):
        for (x, _), name in zip(places, ("as_published", "estimate"), strict=True):
            ax.text(x, y, printing.percent(row[name], 2), transform=across, ha="right", va="center",
                    size=style.size("small"))  # fmt: skip
        mine = single[single["level"] == level]
        top = mine.iloc[ties.largest(mine["shift"].abs())]
        if abs(top["shift"]) >= NAMED:
            edge = 100 * max(row["shift"], mine["shift"].max())
            ax.annotate(
                f"most by {top['scenario'].replace('-', ' ')}", (edge, y), xytext=(10, 0),
                textcoords="offset points", ha="left", va="center", size=style.size("small"),
                color=style.QUIET.light,
            )  # fmt: skip


def _key(ax: Axes) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    ink = style.INK.light
    handles: list[Any] = [
        Line2D([], [], ls="", marker="o", mfc=style.SURFACE.light, mec=ink, mew=1.3, ms=6),
        Line2D([], [], ls="", marker="D", mfc=ink, mec=style.SURFACE.light, ms=7.5),
        Patch(color=style.GRID.light),
    ]
    names = ["one correction", "all corrections", "published interval"]
    height = ax.get_window_extent().height * 72 / ax.figure.dpi
    ax.legend(
        handles, names, loc="lower left", bbox_to_anchor=(-0.1, 1 + 22 / height), ncols=3,
        borderaxespad=0, borderpad=0, handletextpad=0.4, columnspacing=1.4,
    )  # fmt: skip


def _points(value: float) -> str:
    return f"{printing.number(100 * value, 2)} percentage points"


def _alt(rows: pd.DataFrame, single: pd.DataFrame) -> str:
    first = rows.iloc[0]
    most = rows.iloc[ties.largest(rows["shift"].abs())]
    still = [str(row["label"]) for _, row in rows.iterrows() if abs(row["shift"]) < 1e-9]
    parts = [
        f"Dot plot of {printing.counted(len(rows), 'pooled estimate')} as published, with each of "
        f"{printing.counted(single['scenario'].nunique(), 'correction')} alone and with all.",
        f"{first['label']}: {printing.percent(first['as_published'], 2)} becomes "
        f"{printing.percent(first['estimate'], 2)} with all corrections.",
        f"The largest change is {_points(most['shift'])} ({most['label']}).",
    ]
    if still:
        parts.append(f"Unchanged: {printing.listing(still)}.")
    parts.append(_inside(rows))
    return " ".join(parts)


def _inside(rows: pd.DataFrame) -> str:
    out = rows[(rows["estimate"] < rows["ci_lower"]) | (rows["estimate"] > rows["ci_upper"])]
    if out.empty:
        return "Every corrected estimate lies inside its published confidence interval."
    return f"Outside the published confidence interval: {printing.listing(out['label'])}."


def _caption(rows: pd.DataFrame, single: pd.DataFrame) -> str:
    top = single.iloc[ties.largest(single["shift"].abs())]
    return (
        f"{_inside(rows)} The strongest single correction, "
        f"{top['scenario'].replace('-', ' ')}, moves "
        f"{'all cohorts' if top['level'] == 'all' else top['level']} by {_points(top['shift'])}."
    )


def _table(effects: CorrectionEffects, rows: pd.DataFrame, single: pd.DataFrame) -> Table:
    import pandas as pd

    from ...views.tables import table
    from ..corrected_results import EVERY, FACTS

    names = [*dict.fromkeys(single["scenario"]), FACTS, EVERY]
    shifts = effects.shifts()
    made = {"estimate of": list(rows["label"]), "published": list(rows["as_published"])}
    for name in names:
        by = shifts[shifts["scenario"] == name].set_index("level")["estimate"]
        made[name] = list(by.loc[list(rows.index)])
    frame = pd.DataFrame(made)
    return table(
        frame,
        caption="Pooled nonrelapse mortality in percent under each set of corrections",
        formats=dict.fromkeys(frame.columns[1:], "percent2"),
        labels={name: name for name in names},
    )
