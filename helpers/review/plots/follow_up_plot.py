"""How long the cohorts were followed, by product and setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing, ties
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import axes_of, grid_below
from ...views.plots.lettering import fit_text, measure
from ...views.plots.note import Note
from ..subject import SUBJECT, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ...views.tables import Table

__all__ = ["follow_up"]

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
    height = TOP + ROW * (rows["place"].max() + 1) + BELOW
    ax = axes_of(ax, width, height, left=LEFT, right=RIGHT, bottom=BELOW, top=TOP)
    _axes(ax, data, rows)
    _marks(ax, data, rows)
    _words(ax, rows)
    annotate(
        ax,
        Note(
            title="Follow-up by product and setting",
            alt=_alt(data, rows),
            caption=_caption(rows, cohorts),
            table=_table(rows),
        ),
    )
    return ax


def _rows(data: pd.DataFrame) -> pd.DataFrame:
    """One row for each product and setting, longest followed product first."""
    import pandas as pd

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
    total = (rows["mean"] * rows["patients"]).groupby(rows["product"]).sum()
    mean = total / rows.groupby("product")["patients"].sum()
    rows = rows.assign(by=-ties.steady(rows["product"].map(mean)), last=rows["setting"] != "trial")
    rows = rows.sort_values(["by", "product", "last", "setting"], ignore_index=True)
    new = rows["product"] != rows["product"].shift()
    place = rows.index + (new.cumsum() - 1) * GAP / ROW
    return rows.assign(place=place, new=new).drop(columns=["by", "last"])


def _axes(ax: Axes, data: pd.DataFrame, rows: pd.DataFrame) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.set_xscale("log")
    ax.set_xlim(data["months"].min() / 1.25, data["months"].max() * 1.25)
    low, high = ax.get_xlim()
    ticks = [t for t in (0.5, 1, 2, 3, 6, 12, 24, 48, 96) if low <= t <= high]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_ylim(rows["place"].max() + 0.6, -0.6)
    ax.set_yticks([])
    ax.set_xlabel("Median follow-up, months (logarithmic scale)", labelpad=5)
    grid_below(ax, "x", hide=("left",))


def _marks(ax: Axes, data: pd.DataFrame, rows: pd.DataFrame) -> None:
    for i, row in rows.iterrows():
        product, setting = str(row["product"]), str(row["setting"])
        part = data[
            (data["product"].astype(str) == product) & (data["setting"].astype(str) == setting)
        ]
        part = part.iloc[ties.order(part["patients"], descending=True)]
        colour = SUBJECT.colours([product])[product].light
        solid = setting == "trial"
        ax.scatter(
            part["months"],
            np.full(len(part), row["place"]),
            s=14 + 0.28 * part["patients"].to_numpy(float),
            facecolors=colour if solid else "none",
            edgecolors=style.SURFACE.light if solid else colour,
            linewidths=0.7 if solid else 1.5,
            zorder=3,
            clip_on=False,
            gid=f"marks-{i}",
        )
        line = ax.vlines(
            row["mean"], row["place"] - 0.42, row["place"] + 0.42, color=style.INK.light, lw=2,
            zorder=4,
        )  # fmt: skip
        line.set_gid(f"mean-{i}")


def _words(ax: Axes, rows: pd.DataFrame) -> None:
    from matplotlib.transforms import ScaledTranslation

    across = ax.get_yaxis_transform()
    figure: Any = ax.figure

    def put(x: float, pixels: float, y: float, text: str, side: str, **more: Any) -> None:
        moved = across + ScaledTranslation(pixels / 72, 0, figure.dpi_scale_trans)
        ax.text(x, y, text, transform=moved, ha=side, va="center", size=style.size("small"),
                **more)  # fmt: skip

    quiet = style.QUIET.light
    settings = max(measure(figure, text, size="small") for text in rows["setting"].astype(str))
    room = 204 - 12 - settings - 8
    for x, pixels, head, side in (
        (0, -204, "Product", "left"),
        (0, -12, "Setting", "right"),
        (1, 58, "Cohorts", "right"),
        (1, 112, "Mean", "right"),
    ):
        put(x, pixels, -1.15, head, side, color=quiet)
    for _, row in rows.iterrows():
        if row["new"]:
            name = fit_text(figure, str(row["product"]), room, bold=True, size="small")
            put(0, -204, row["place"], name, "left", weight="bold")
        put(0, -12, row["place"], str(row["setting"]), "right")
        put(1, 58, row["place"], printing.count(row["cohorts"]), "right")
        put(1, 112, row["place"], printing.number(row["mean"], 1), "right")


def _by_setting(rows: pd.DataFrame) -> dict[str, float]:
    weights = rows["mean"] * rows["patients"]
    found = weights.groupby(rows["setting"]).sum() / rows.groupby("setting")["patients"].sum()
    return {str(setting): float(value) for setting, value in found.items()}


def _alt(data: pd.DataFrame, rows: pd.DataFrame) -> str:
    means = printing.listing(
        f"{row['product']} {row['setting']} {printing.number(row['mean'], 1)}"
        for _, row in rows.iterrows()
    )
    return (
        f"Dot plot of the median follow-up of {printing.counted(len(data), 'cohort')} by product "
        f"and setting, from {printing.number(data['months'].min(), 1)} to "
        f"{printing.months(data['months'].max())}. Means weighted by patients, in months: {means}."
    )


def _caption(rows: pd.DataFrame, cohorts: pd.DataFrame) -> str:
    means = _by_setting(rows)
    text = printing.listing(
        f"{printing.months(value)} in {setting} cohorts" for setting, value in means.items()
    )
    lack = int(cohorts["median_follow_up_months"].isna().sum())
    caption = (
        f"Weighted by patients, mean follow-up is {text}. A mark is a cohort (filled: trial; area: "
        "patients); the upright line is the mean of its row."
    )
    if lack:
        words = printing.counted(lack, "cohort").capitalize()
        caption += f" {words} without a follow-up time {'is' if lack == 1 else 'are'} not shown."
    return caption


def _table(rows: pd.DataFrame) -> Table:
    from ...views.tables import table

    columns = ["product", "setting", "cohorts", "patients", "shortest", "mean", "longest"]
    return table(
        rows[columns],
        caption="Median follow-up in months by product and setting",
        formats={
            "cohorts": "count",
            "patients": "count",
            **dict.fromkeys(columns[4:], "number1"),
        },
        labels={"mean": "Mean, weighted by patients"},
    )
