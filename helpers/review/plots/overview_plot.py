"""The cohorts at a glance: how large, how long followed, how many nonrelapse deaths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import printing, ties
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of
from ...views.plots.lettering import name_marks
from ...views.plots.note import Note
from .. import palette
from ..subject import SUBJECT, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ...views.tables import Table

__all__ = ["study_overview"]

NEEDED = ("cohort", "entity", "setting", "patients", "nonrelapse_deaths", "median_follow_up_months")
STRIP = 0.09  # share of the width for cohorts without a follow-up time


@style.themed
def study_overview(
    cohorts: pd.DataFrame, *, ax: Axes | None = None, label: int = 6, width: float = 720.0
) -> Axes:
    """Draw follow-up against size, one mark per cohort.

    Parameters
    ----------
    cohorts : DataFrame
        As ``load_cohorts()`` gives it.
    label : int
        How many of the largest cohorts are named, besides the one followed longest.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Median follow-up (months) across, patients (logarithmic) up; colour and shape tell the
        disease, area the share of nonrelapse deaths; trials are filled, real-world cohorts open.
        Cohorts without a follow-up time stand in a strip at the left. With a note that ``show``
        picks up.

    Raises
    ------
    MetaAnalysisError
        When a column is missing or there is no cohort.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> from helpers.views.plots import show
    >>> show(study_overview(load_cohorts()), "overview")  # doctest: +ELLIPSIS
    Scatter plot of 52 cohorts with 7,604 patients. ...
    """
    missing = [column for column in NEEDED if column not in cohorts.columns]
    if missing:
        raise MetaAnalysisError(f"study_overview() misses column {printing.listing(missing)}")
    if cohorts.empty:
        raise MetaAnalysisError("study_overview() needs at least one cohort")
    ax = axes_of(ax, width, 450, left=58, right=14, bottom=53.1, top=56)
    data = cohorts.assign(
        rate=cohorts["nonrelapse_deaths"] / cohorts["patients"],
        months=cohorts["median_follow_up_months"].astype(float),
        entity=cohorts["entity"].astype(str),
        setting=cohorts["setting"].astype(str),
    )
    places = _across(ax, data)
    _marks(ax, data, places)
    _names(ax, data, places, label)
    _key(ax, data)
    annotate(
        ax,
        Note(
            title="Cohorts by size and follow-up",
            alt=_alt(data),
            caption=_caption(data),
            table=_table(data),
        ),
    )
    return ax


def _across(ax: Axes, data: pd.DataFrame) -> np.ndarray:
    """Set both axes and give each cohort its place across."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    months = data["months"].to_numpy(copy=True)
    unknown = np.isnan(months)
    longest = float(months[~unknown].max()) if (~unknown).any() else 12.0
    left = 0.0
    if unknown.any():
        left = -STRIP * longest * 1.05 / (1 - STRIP)
        # Side by side by size, so that equal cohorts do not hide each other.
        rank = np.argsort(ties.order(data["patients"].to_numpy()[unknown]))
        months[unknown] = left * (0.3 + 0.4 * (rank % 2))
        ax.axvspan(left, 0, color=style.GRID.light, lw=0, alpha=0.5, zorder=0)
    ax.set_xlim(left, longest * 1.05)
    step = next(s for s in (1, 2, 3, 6, 12, 24, 60) if longest / s <= 12)
    ticks = np.arange(0, longest * 1.05, step)
    ax.set_xticks(ticks)
    if unknown.any():
        ax.set_xticks([left / 2, *ticks], labels=["none", *(f"{tick:g}" for tick in ticks)])
    ax.set_xlabel("Median follow-up, months", labelpad=5)
    ax.set_yscale("log")
    patients = data["patients"].to_numpy()
    ax.set_ylim(patients.min() / 1.45, patients.max() * 1.6)
    low, high = ax.get_ylim()
    marks = [m * 10**e for e in range(-1, 7) for m in (1, 2, 5) if low <= m * 10**e <= high]
    ax.yaxis.set_major_locator(FixedLocator(marks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_ylabel("Patients (logarithmic scale)", labelpad=6)
    ax.grid(axis="both", zorder=0)
    if unknown.any():
        ax.xaxis.get_gridlines()[0].set_visible(False)
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    return months


def _area(rate: np.ndarray | float) -> np.ndarray:
    """Give marks an area that grows with the share of deaths; no deaths is a small mark."""
    return 16 + 1000 * np.asarray(rate, dtype=float)


def _marks(ax: Axes, data: pd.DataFrame, places: np.ndarray) -> None:
    kinds = sorted(set(zip(data["entity"], data["setting"], strict=True)))
    for entity, setting in kinds:
        rows = np.flatnonzero((data["entity"] == entity) & (data["setting"] == setting))
        rows = rows[ties.order(data["rate"].to_numpy()[rows], descending=True)]
        part = data.iloc[rows]
        colour = SUBJECT.colours([entity])[entity].light
        solid = setting == "trial"
        ax.scatter(
            places[rows],
            part["patients"],
            s=_area(part["rate"].to_numpy()),
            marker=palette.MARKER.get(entity, "o"),
            facecolors=colour if solid else "none",
            # An edge in the colour of the page keeps marks apart that lie on each other.
            edgecolors=style.SURFACE.light if solid else colour,
            linewidths=0.7 if solid else 1.5,
            zorder=3,
            clip_on=False,
            gid=f"marks-{entity.lower()}-{setting}",
        )


def _names(ax: Axes, data: pd.DataFrame, places: np.ndarray, label: int) -> None:
    """Name the largest cohorts, each where it hides neither a mark nor another name."""
    radius = np.sqrt(_area(data["rate"].to_numpy())) / 2 + 2
    order = list(ties.order(data["patients"], descending=True)[:label])
    if label and data["months"].notna().any():
        order.append(ties.largest(data["months"]))
    name_marks(ax, places, data["patients"].to_numpy(), radius, list(data["cohort"]), order)


def _key(ax: Axes, data: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    def mark(colour: str, shape: str, *, solid: bool, pixels: float = 8.0) -> Line2D:
        return Line2D(
            [],
            [],
            ls="",
            marker=shape,
            ms=pixels,
            mec=colour,
            mfc=colour if solid else "none",
            mew=1.5,
        )

    levels = [e for e in palette.ENTITY if e in set(data["entity"])]
    levels += [e for e in dict.fromkeys(data["entity"]) if e not in levels]
    handles = [
        mark(SUBJECT.colours([e])[e].light, palette.MARKER.get(e, "o"), solid=True) for e in levels
    ]
    names = list(levels)
    grey = style.QUIET.light
    for setting in sorted(set(data["setting"]), reverse=True):
        handles.append(mark(grey, "o", solid=setting == "trial"))
        names.append(setting)
    for rate in (0.05, 0.2):
        handles.append(mark(grey, "o", solid=False, pixels=float(np.sqrt(_area(rate)))))
        names.append(f"{printing.percent(rate, 0)} died")
    key = ax.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=len(names),
        handletextpad=0.3,
        columnspacing=1.3,
        borderaxespad=0,
        borderpad=0.2,
        title="Colour and shape: disease. Filled: trial. Area: share of nonrelapse deaths.",
        alignment="left",
        title_fontproperties={"size": style.size("small")},
    )
    key.get_title().set_color(style.QUIET.light)


def _largest(data: pd.DataFrame) -> pd.Series:
    return data.iloc[ties.largest(data["patients"])]


def _alt(data: pd.DataFrame) -> str:
    known = data["months"].dropna()
    biggest = _largest(data)
    parts = [
        f"Scatter plot of {printing.counted(len(data), 'cohort')} with "
        f"{printing.count(int(data['patients'].sum()))} patients.",
        f"Patients range from {printing.count(int(data['patients'].min()))} to "
        f"{printing.count(int(biggest['patients']))} ({biggest['cohort']})",
    ]
    if len(known):
        parts[-1] += (
            f", median follow-up from {printing.number(known.min(), 1)} to "
            f"{printing.months(known.max())}."
        )
    else:
        parts[-1] += "; no follow-up time is reported."
    parts.append(f"By disease: {_by(data, 'entity')}. By setting: {_by(data, 'setting')}.")
    lack = int(data["months"].isna().sum())
    if lack and len(known):
        parts.append(f"{printing.counted(lack, 'cohort').capitalize()} without follow-up time.")
    return " ".join(parts)


def _by(data: pd.DataFrame, column: str) -> str:
    sizes = data[column].value_counts()
    return printing.listing(f"{level} {printing.count(int(sizes[level]))}" for level in sizes.index)


def _caption(data: pd.DataFrame) -> str:
    total = int(data["patients"].sum())
    order = data["patients"].iloc[ties.order(data["patients"], descending=True)]
    # As few of the largest cohorts as hold half of all patients.
    half = int(np.searchsorted(order.cumsum().to_numpy(), total / 2)) + 1
    parts = [
        f"Half of all {printing.count(total)} patients come from "
        f"{printing.counted(half, 'cohort')} of {printing.word(len(data))}"
    ]
    known = data["months"].dropna()
    if len(known):
        parts[0] += (
            f"; median follow-up differs from {printing.number(known.min(), 1)} to "
            f"{printing.months(known.max())}."
        )
    else:
        parts[0] += "."
    lack = len(data) - len(known)
    if lack:
        parts.append(
            f"{printing.counted(lack, 'cohort').capitalize()} without a follow-up time "
            f"{'stands' if lack == 1 else 'stand'} in the shaded strip."
        )
    return " ".join(parts)


def _table(data: pd.DataFrame) -> Table:
    from ...views.tables import table

    shown = data.iloc[ties.order(data["patients"], descending=True)][
        ["cohort", "entity", "setting", "patients", "nonrelapse_deaths", "rate", "months"]
    ]
    return table(
        shown.reset_index(drop=True),
        caption="Cohorts by size and follow-up: the numbers behind the figure",
        formats={
            "patients": "count",
            "nonrelapse_deaths": "count",
            "rate": "percent",
            "months": "number1",
        },
        labels={
            "entity": "Disease",
            "rate": f"Share of deaths,{printing.HARD}%",
            "months": "Median follow-up, months",
        },
    )
