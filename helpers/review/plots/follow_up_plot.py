"""How long the cohorts were followed, by product and setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of, figure_of, fixed_ticks, grid_below, name_axes
from ...views.plots.lettering import fit_text, measure, name_above
from ...views.plots.note import Note, numbers
from ..palette import filled_if
from ..subject import SUBJECT, annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


NEEDED = ("cohort", "product", "setting", "patients", "median_follow_up_months")
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
    missing = [column for column in NEEDED if column not in cohorts.columns]
    if missing:
        raise MetaAnalysisError(f"follow_up() misses column {printing.listing(missing)}")
    data = cohorts[cohorts["median_follow_up_months"].notna()].rename(
        columns={"median_follow_up_months": "months"}
    )
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
    _marks(ax, data, rows, narrow=narrow)
    if narrow:
        _words_above(ax, rows)
    else:
        _words(ax, rows)
    annotate(ax, _note(data, rows, len(cohorts) - len(data)))
    return ax


def _marks(ax: Axes, data: pd.DataFrame, rows: pd.DataFrame, *, narrow: bool) -> None:
    for i, row in rows.iterrows():
        product, setting = str(row["product"]), str(row["setting"])
        part = data[
            (data["product"].astype(str) == product) & (data["setting"].astype(str) == setting)
        ]
        part = part.iloc[ties.order(part["patients"], descending=True)]
        colour = SUBJECT.colours([product])[product].light
        ax.scatter(
            part["months"], np.full(len(part), row["place"]),
            s=14 + 0.28 * part["patients"].to_numpy(float), zorder=3, clip_on=False,
            gid=f"marks-{i}", **filled_if(setting == "trial", colour),
        )  # fmt: skip
        half = 0.24 if narrow else 0.42
        ends = (row["place"] - half, row["place"] + half)
        ax.vlines(row["mean"], *ends, color=style.INK.light, lw=2, zorder=4, gid=f"mean-{i}")


def _rows(data: pd.DataFrame) -> pd.DataFrame:
    """One row for each product and setting, in the order of all pictures, trials first."""
    made = []
    for (product, setting), part in data.assign(
        product=data["product"].astype(str), setting=data["setting"].astype(str)
    ).groupby(["product", "setting"], sort=False):
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
    rows = rows.assign(by=rows["product"].map(products.index), last=rows["setting"] != "trial")
    rows = rows.sort_values(["by", "last", "setting"], ignore_index=True)
    new = rows["product"] != rows["product"].shift()
    place = rows.index + (new.cumsum() - 1) * GAP / ROW
    return rows.assign(place=place, new=new).drop(columns=["by", "last"])


def _words(ax: Axes, rows: pd.DataFrame) -> None:
    from matplotlib.transforms import ScaledTranslation

    figure = figure_of(ax)

    def put(x: float, pixels: float, y: float, text: str, side: str, **more: Any) -> None:
        moved = ScaledTranslation(pixels / 72, 0, figure.dpi_scale_trans)
        ax.text(
            x, y, text, transform=ax.get_yaxis_transform() + moved, ha=side, va="center",
            size=style.size("small"), **more,
        )  # fmt: skip

    settings = max(measure(figure, text, size="small") for text in rows["setting"].astype(str))
    room = 204 - 12 - settings - 8
    for x, pixels, head, side in (
        (0, -204, "Product", "left"),
        (0, -12, "Setting", "right"),
        (1, 58, "Cohorts", "right"),
        (1, 112, "Mean", "right"),
    ):
        put(x, pixels, -1.15, head, side, color=style.QUIET.light)
    for _, row in rows.iterrows():
        if row["new"]:
            name = fit_text(figure, str(row["product"]), room, bold=True, size="small")
            put(0, -204, row["place"], name, "left", weight="bold")
        put(0, -12, row["place"], str(row["setting"]), "right")
        put(1, 58, row["place"], printing.count(row["cohorts"]), "right")
        put(1, 112, row["place"], printing.number(row["mean"], 1), "right")


def _words_above(ax: Axes, rows: pd.DataFrame) -> None:
    """Name each row above its marks, with the number of its cohorts and their mean."""
    names = [f"{row['product']}, {row['setting']}" for _, row in rows.iterrows()]
    values = [
        f"{printing.counted(row['cohorts'], 'cohort')}, mean {printing.number(row['mean'], 1)}"
        for _, row in rows.iterrows()
    ]
    name_above(ax, rows["place"], names, values, lift=0.48)


def _note(data: pd.DataFrame, rows: pd.DataFrame, lack: int) -> Note:
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
