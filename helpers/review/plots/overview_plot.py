"""The cohorts at a glance: how large, how long followed, how many nonrelapse deaths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import ROUND, axes_of, fixed_ticks, grid_below, name_axes
from ...views.plots.lettering import legend_above, name_marks
from ...views.plots.note import Note, numbers
from .. import palette
from ..subject import SUBJECT, annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    narrow = width < style.NARROW
    ax = axes_of(ax, width, 450, left=58, right=14, bottom=53.1, top=114 if narrow else 60)
    data = cohorts.assign(
        rate=cohorts["nonrelapse_deaths"] / cohorts["patients"],
        months=cohorts["median_follow_up_months"].astype(float),
        entity=cohorts["entity"].astype(str),
        setting=cohorts["setting"].astype(str),
    )
    places = _across(ax, data, 6 if narrow else 12)
    _marks(ax, data, places)
    _names(ax, data, places, label)
    _key(ax, data, narrow=narrow)
    annotate(ax, _note(data))
    return ax


def _across(ax: Axes, data: pd.DataFrame, most: int) -> np.ndarray:
    """Set both axes and give each cohort its place across."""
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
    step = next(s for s in (1, 2, 3, 6, 12, 24, 60) if longest / s <= most)
    ticks = np.arange(0, longest * 1.05, step)
    ax.set_xticks(ticks)
    if unknown.any():
        # No tick at zero: it would stand on the word beside it.
        ticks = ticks[1:]
        ax.set_xticks([left / 2, *ticks], labels=["none", *(f"{tick:g}" for tick in ticks)])
    ax.set_yscale("log")
    ax.set_ylim(data["patients"].min() / 1.45, data["patients"].max() * 1.6)
    fixed_ticks(ax.yaxis, ROUND, "{:,.0f}".format)
    name_axes(ax, "Median follow-up, months", "Patients (logarithmic scale)")
    grid_below(ax, "both")
    if unknown.any():
        ax.xaxis.get_gridlines()[0].set_visible(False)
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
        ax.scatter(
            places[rows], part["patients"], s=_area(part["rate"].to_numpy()), zorder=3,
            marker=palette.MARKER.get(entity, "o"), clip_on=False,
            gid=f"marks-{entity.lower()}-{setting}",
            **palette.filled_if(setting == "trial", colour),
        )  # fmt: skip


def _names(ax: Axes, data: pd.DataFrame, places: np.ndarray, label: int) -> None:
    """Name the largest cohorts, each where it hides neither a mark nor another name."""
    radius = np.sqrt(_area(data["rate"].to_numpy())) / 2 + 2
    order = list(ties.order(data["patients"], descending=True)[:label])
    if label and data["months"].notna().any():
        order.append(ties.largest(data["months"]))
    name_marks(ax, places, data["patients"].to_numpy(), radius, list(data["cohort"]), order)


def _key(ax: Axes, data: pd.DataFrame, *, narrow: bool) -> None:
    from matplotlib.lines import Line2D

    key: list[tuple[Line2D, str]] = []

    def add(name: str, colour: str, shape: str, *, solid: bool, pixels: float = 8.0) -> None:
        face = colour if solid else "none"
        mark = Line2D([], [], ls="", marker=shape, ms=pixels, mec=colour, mfc=face, mew=1.5)
        key.append((mark, name))

    levels = [e for e in palette.ENTITY if e in set(data["entity"])]
    levels += [e for e in dict.fromkeys(data["entity"]) if e not in levels]
    for level in levels:
        colour = SUBJECT.colours([level])[level].light
        add(level, colour, palette.MARKER.get(level, "o"), solid=True)
    grey = style.QUIET.light
    for setting in sorted(set(data["setting"]), reverse=True):
        add(setting, grey, "o", solid=setting == "trial")
    for rate in (0.05, 0.2):
        pixels = float(np.sqrt(_area(rate)))
        add(f"{printing.percent(rate, 0)} died", grey, "o", solid=False, pixels=pixels)
    legend_above(
        ax, [mark for mark, _ in key], [name for _, name in key], bbox_to_anchor=(0, 1.01),
        handletextpad=0.3, columnspacing=1.3, alignment="left", ncols=3 if narrow else len(key),
        title="Colour and shape: disease. Filled: trial."
        f"{chr(10) if narrow else ' '}Area: share of nonrelapse deaths.",
        title_fontproperties={"size": style.size("small")},
    ).get_title().set_color(style.QUIET.light)  # fmt: skip


def _note(data: pd.DataFrame) -> Note:
    known, patients = data["months"].dropna(), data["patients"]
    total, most = int(patients.sum()), ties.largest(patients)
    lack = len(data) - len(known)
    lost = printing.counted(lack, "cohort").capitalize()
    span = ""
    if len(known):
        span = f"{printing.number(known.min(), 1)} to {printing.months(known.max())}"
    time = f", median follow-up from {span}" if span else "; no follow-up time is reported"
    by = {
        column: printing.listing(
            f"{level} {printing.count(int(size))}"
            for level, size in data[column].value_counts().items()
        )
        for column in ("entity", "setting")
    }
    alt = (
        f"Scatter plot of {printing.counted(len(data), 'cohort')} with {printing.count(total)} "
        f"patients. Patients range from {printing.count(int(patients.min()))} to "
        f"{printing.count(int(patients.iloc[most]))} ({data['cohort'].iloc[most]}){time}. By "
        f"disease: {by['entity']}. By setting: {by['setting']}."
    )
    order = ties.order(patients, descending=True)
    # As few of the largest cohorts as hold half of all patients.
    half = int(np.searchsorted(patients.iloc[order].cumsum().to_numpy(), total / 2)) + 1
    caption = (
        f"Half of all {printing.count(total)} patients come from "
        f"{printing.counted(half, 'cohort')} of {printing.word(len(data))}"
    )
    caption += f"; median follow-up ranges from {span}." if span else "."
    if lack:
        caption += (
            f" {lost} without a follow-up time {'is' if lack == 1 else 'are'} in the shaded strip."
        )
    return Note(
        "Cohorts by size and follow-up",
        f"{alt} {lost} without follow-up time." if lack and span else alt,
        caption,
        numbers(
            data.iloc[order],
            "Cohorts by size and follow-up: the numbers behind the figure",
            {
                "cohort": "", "entity": ("Disease", ""), "setting": "", "patients": "count",
                "nonrelapse_deaths": "count", "rate": ("Share of deaths", "percent"),
                "months": ("Median follow-up, months", "number1"),
            },
        ),
    )  # fmt: skip
