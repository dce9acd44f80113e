"""The cohorts at a glance: how large, how long followed, and so by product and setting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import ROUND, Axes, axes_of, figure_of, fixed_ticks, grid_below, name_axes
from ...views.plots.lettering import (
    fit_text,
    legend_above,
    measure,
    name_above,
    name_marks,
    write_beside,
)
from ...views.plots.note import Note, numbers
from ...views.tables.frames import require
from .. import palette
from ..subject import SUBJECT, annotate

NEEDED = ("cohort", "product", "setting", "patients", "median_follow_up_months")
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
        Cohorts without a follow-up time stand in a strip at the left.

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
    require(cohorts, [*NEEDED, "entity", "nonrelapse_deaths"])
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

    grey = style.QUIET.light
    key: list[tuple[str, str, str, bool, float]] = [
        (one, SUBJECT.colours([one])[one].light, palette.MARKER.get(one, "o"), True, 8.0)
        for one in SUBJECT.in_order(dict.fromkeys(data["entity"]))
    ]
    for setting in sorted(set(data["setting"]), reverse=True):
        key.append((setting, grey, "o", setting == "trial", 8.0))
    for rate in (0.05, 0.2):
        size = float(np.sqrt(_area(rate)))
        key.append((f"{printing.percent(rate, 0)} died", grey, "o", False, size))
    look: dict[str, Any] = {"ls": "", "mew": 1.5}
    marks = [
        Line2D([], [], marker=shape, ms=size, mec=colour, mfc=colour if solid else "none", **look)
        for _, colour, shape, solid, size in key
    ]
    legend_above(
        ax, marks, [name for name, *_ in key], bbox_to_anchor=(0, 1.01),
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
        f"{printing.word(half)} of {printing.counted(len(data), 'cohort')}"
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


ROW, GAP, TOP, BELOW = 22.0, 8.0, 44.0, 44.0  # heights in CSS pixels
LEFT, RIGHT = 214.0, 120.0


@style.themed
def follow_up(cohorts: pd.DataFrame, *, ax: Axes | None = None, width: float = 760.0) -> Axes:
    """Draw the median follow-up of each cohort in rows of product and setting.

    Parameters
    ----------
    cohorts : DataFrame
        As ``load_cohorts()`` gives it. Cohorts without follow-up are counted in the caption.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Median follow-up (months, logarithmic) across; a mark is a cohort, its area grows with
        its patients, trials are filled; the upright line is the mean weighted by patients.

    Raises
    ------
    MetaAnalysisError
        When a column is missing or no cohort has a follow-up time.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> from helpers.views.plots import show
    >>> show(follow_up(load_cohorts()), "follow-up")  # doctest: +ELLIPSIS
    Dot plot of the median follow-up of 51 cohorts ...
    """
    require(cohorts, NEEDED)
    data = cohorts[cohorts["median_follow_up_months"].notna()].rename(
        columns={"median_follow_up_months": "months"}
    )
    data = data.astype({"product": str, "setting": str})
    if data.empty:
        raise MetaAnalysisError("follow_up() needs a cohort with a follow-up time")
    rows = _rows(data)
    narrow = width < style.NARROW
    row, left, right = (46.0, 12.0, 14.0) if narrow else (ROW, LEFT, RIGHT)
    height = TOP + row * (rows["place"].max() + 1) + BELOW
    ax = axes_of(ax, width, height, left=left, right=right, bottom=BELOW, top=TOP)
    ax.set_xscale("log")
    ax.set_xlim(data["months"].min() / 1.25, data["months"].max() * 1.25)
    fixed_ticks(ax.xaxis, (0.5, 1, 2, 3, 6, 12, 24, 48, 96))
    ax.set_ylim(rows["place"].max() + 0.6, -0.6)
    ax.set_yticks([])
    name_axes(ax, f"Median follow-up, months ({'log' if narrow else 'logarithmic'} scale)")
    grid_below(ax, "x", hide=("left",))
    _mark_rows(ax, data, rows, narrow=narrow)
    if narrow:
        _words_above(ax, rows)
    else:
        _words(ax, rows)
    annotate(ax, _note_of_rows(data, rows, len(cohorts) - len(data)))
    return ax


def _mark_rows(ax: Axes, data: pd.DataFrame, rows: pd.DataFrame, *, narrow: bool) -> None:
    for i, row in rows.iterrows():
        product, setting = row["product"], row["setting"]
        part = data[(data["product"] == product) & (data["setting"] == setting)]
        part = part.iloc[ties.order(part["patients"], descending=True)]
        colour = SUBJECT.colours([product])[product].light
        ax.scatter(
            part["months"], np.full(len(part), row["place"]),
            s=14 + 0.28 * part["patients"].to_numpy(float), zorder=3, clip_on=False,
            gid=f"marks-{i}", **palette.filled_if(setting == "trial", colour),
        )  # fmt: skip
        half = 0.24 if narrow else 0.42
        ends = (row["place"] - half, row["place"] + half)
        ax.vlines(row["mean"], *ends, color=style.INK.light, lw=2, zorder=4, gid=f"mean-{i}")


def _rows(data: pd.DataFrame) -> pd.DataFrame:
    """One row for each product and setting, in the order of all pictures, trials first."""
    made = []
    for (product, setting), part in data.groupby(["product", "setting"], sort=False):
        made.append(
            {
                "product": product,
                "setting": setting,
                "cohorts": len(part),
                "patients": int(part["patients"].sum()),
                "shortest": float(part["months"].min()),
                "mean": float(np.average(part["months"], weights=part["patients"])),
                "longest": float(part["months"].max()),
            }
        )
    rows = pd.DataFrame(made)
    products = SUBJECT.in_order(sorted(rows["product"].unique()))
    first = rows.assign(by=rows["product"].map(products.index), last=rows["setting"] != "trial")
    rows = rows.loc[first.sort_values(["by", "last", "setting"]).index].reset_index(drop=True)
    new = rows["product"] != rows["product"].shift()
    place = rows.index + (new.cumsum() - 1) * GAP / ROW
    return rows.assign(place=place, new=new)


def _words(ax: Axes, rows: pd.DataFrame) -> None:
    figure = figure_of(ax)
    columns = {
        "Product": ((0, -204), "left"),
        "Setting": ((0, -12), "right"),
        "Cohorts": ((1, 58), "right"),
        "Mean": ((1, 112), "right"),
    }
    for head, (at, side) in columns.items():
        write_beside(ax, head, at, -1.15, ha=side, color=style.QUIET.light)
    settings = max(measure(figure, text, size="small") for text in rows["setting"])
    room = 204 - 12 - settings - 8
    for _, row in rows.iterrows():
        if row["new"]:
            name = fit_text(figure, row["product"], room, bold=True, size="small")
            write_beside(ax, name, (0, -204), row["place"], weight="bold")
        cells = (row["setting"], printing.count(row["cohorts"]), printing.number(row["mean"], 1))
        for text, (at, side) in zip(cells, list(columns.values())[1:], strict=True):
            write_beside(ax, text, at, row["place"], ha=side)


def _words_above(ax: Axes, rows: pd.DataFrame) -> None:
    """Name each row above its marks, with the number of its cohorts and their mean."""
    names = list(rows["product"] + ", " + rows["setting"])
    values = [
        f"{printing.counted(row['cohorts'], 'cohort')}, mean {printing.number(row['mean'], 1)}"
        for _, row in rows.iterrows()
    ]
    name_above(ax, rows["place"], names, values, lift=0.48)


def _note_of_rows(data: pd.DataFrame, rows: pd.DataFrame, lack: int) -> Note:
    means = printing.listing(
        f"{row['product']} {row['setting']} {printing.number(row['mean'], 1)}"
        for _, row in rows.iterrows()
    )
    weights = (rows["mean"] * rows["patients"]).groupby(rows["setting"]).sum()
    by_setting = weights / rows.groupby("setting")["patients"].sum()
    text = printing.listing(
        f"{printing.months(float(value))} in {setting} cohorts"
        for setting, value in by_setting.items()
    )
    caption = (
        f"Weighted by patients, the mean of the median follow-ups is {text}. A mark is a cohort "
        "(filled: trial; area: patients); the upright line is the mean of its row."
    )
    if lack:
        words = printing.counted(lack, "cohort").capitalize()
        caption += f" {words} without a follow-up time {'is' if lack == 1 else 'are'} not shown."
    return Note(
        "Follow-up by product and setting",
        f"Dot plot of the median follow-up of {printing.counted(len(data), 'cohort')} by product "
        f"and setting, from {printing.number(data['months'].min(), 1)} to "
        f"{printing.months(data['months'].max())}. Means weighted by patients, in months: {means}.",
        caption,
        numbers(
            rows,
            "Median follow-up in months by product and setting",
            {
                "product": "", "setting": "", "cohorts": "count", "patients": "count",
                "shortest": "number1", "mean": ("Mean, weighted by patients", "number1"),
                "longest": "number1",
            },
        ),
    )  # fmt: skip
