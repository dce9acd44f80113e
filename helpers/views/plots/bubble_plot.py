"""The bubble plot of a meta-regression: studies, the fitted line or means, and two bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing, ties
from ...engine.effects import get_measure
from ...engine.options import FEW_PREDICTION_DF, shows_prediction
from ...errors import MetaAnalysisError, UnsupportedError
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, grid_below
from .lettering import name_marks
from .note import Note, annotate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ...models.regression_result import RegressionResult
    from ..tables import Table

__all__ = ["bubble"]

GRID_POINTS = 81
SPREAD = 0.3  # share of a level's room that its bubbles take to either side


@style.themed
def bubble(
    fit: RegressionResult,
    *,
    xlabel: str | None = None,
    subject: Subject = NEUTRAL,
    groups: Mapping[str, str] | None = None,
    label: int = 4,
    name: Iterable[str] = (),
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw a meta-regression with one moderator.

    Parameters
    ----------
    fit : RegressionResult
        With one moderator column, numeric (also transformed, such as ``log(months)``) or of
        levels.
    xlabel : str, optional
        What is across, with its unit; the name of the column by default.
    groups : mapping of study label to level, optional
        Groups, which colour the bubbles.
    label : int
        How many studies of largest weight are named.
    name : iterable of str
        Studies that are named before these: those that the text is about.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Bubbles at the studies' own values with areas in proportion to their weights; line and
        dark band: fitted mean and its confidence interval; pale band: prediction interval for a
        new study. Levels are drawn as bars instead. With a note that ``show`` picks up.

    Raises
    ------
    UnsupportedError
        The model has several moderator columns, or none.
    MetaAnalysisError
        A study has no group, or `name` is no study of the fit.

    Examples
    --------
    >>> from helpers.views.plots import show
    >>> from helpers.review.published.models import published_regression
    >>> fit = published_regression("LBCL: product", formula="median_follow_up_months")
    >>> show(bubble(fit), "follow-up")  # doctest: +ELLIPSIS
    Bubble plot of proportion against median follow up months, 26 studies. ...
    """
    if len(fit.design.columns) != 1:
        raise UnsupportedError(
            f"a bubble plot shows one moderator; {fit.formula!r} has {len(fit.design.columns)}"
        )
    column = fit.design.columns[0]
    ax = axes_of(ax, width, 430, right=16, top=34 if groups else 14)
    taken = fit.studies["included"].to_numpy()
    studies, moderator = fit.studies[taken], fit.moderators[column][taken]
    subject = subject.of_measure(fit.measure)
    proportion = get_measure(fit.measure).kind == "proportion"
    scale = 100.0 if proportion else 1.0
    levels = _levels(fit, column)
    ordered = levels is not None
    across = levels if levels is not None else _grid(moderator)
    lines = fit.predict({column: across})
    if fit.model != "common" and not _predicts(fit):
        lines[["prediction_lower", "prediction_upper"]] = np.nan
    x = _places(studies, moderator, levels)
    _bands(ax, lines, scale, across)
    y = studies["estimate"].to_numpy(dtype=float) * scale
    colours = _colours(studies.index, groups, subject)
    area = _area(studies["weight"].to_numpy(dtype=float))
    order = ties.order(area, descending=True)
    ax.scatter(
        x[order], y[order], s=area[order], facecolors=[colours[i] for i in order],
        edgecolors=style.SURFACE.light, linewidths=0.8, alpha=0.85, zorder=4, clip_on=False, gid="bubbles")  # fmt: skip
    unit = f",{printing.HARD}%" if proportion else ""
    ax.set_ylabel(f"{subject.outcome}{unit}", labelpad=6)
    words = xlabel or column.replace("_", " ")
    across_words = words[:1].upper() + words[1:]
    ax.set_xlabel(across_words, labelpad=6)
    grid_below(ax, "y")
    _limits(ax, lines, y, scale, x, proportion=proportion, levels=levels)
    labels = list(map(str, studies.index))
    first = [_place(labels, study) for study in name]
    name_marks(ax, x, y, np.sqrt(area) / 2 + 2, labels, [*first, *order[:label]])
    if groups is not None:
        _key(ax, [groups[str(study)] for study in studies.index], subject)
    annotate(
        ax,
        Note(
            title=f"{subject.outcome} by {words}",
            alt=_alt(fit, lines, column, words, subject, ordered=ordered, unit=proportion),
            caption=_caption(fit, words, subject, ordered=ordered),
            table=_table(studies, moderator, words, subject, proportion=proportion),
        ),
        subject,
    )
    return ax


def _place(labels: list[str], study: str) -> int:
    if study not in labels:
        raise MetaAnalysisError(f"name={study!r}: the fit has no such study")
    return labels.index(study)


def _levels(fit: RegressionResult, column: str) -> list[str] | None:
    found = fit.design.levels.get(column)
    return None if found is None else [str(level) for level in found]


def _grid(values: pd.Series[Any]) -> list[float]:
    numbers = values.to_numpy(dtype=float)
    return [float(v) for v in np.linspace(numbers.min(), numbers.max(), GRID_POINTS)]


def _places(
    studies: pd.DataFrame, moderator: pd.Series[Any], levels: list[str] | None
) -> np.ndarray:
    """Across: the value, or the level with its studies side by side from small to large."""
    if levels is None:
        return moderator.to_numpy(dtype=float)
    places = np.empty(len(studies))
    values = moderator.astype(str).to_numpy()
    estimate = studies["estimate"].to_numpy(dtype=float)
    for i, level in enumerate(levels):
        rows = np.flatnonzero(values == level)
        rank = np.argsort(ties.order(estimate[rows]))
        step = 2 * SPREAD / max(len(rows) - 1, 1)
        places[rows] = i + (rank * step - SPREAD if len(rows) > 1 else 0.0)
    return places


def _area(weight: np.ndarray) -> np.ndarray:
    """Areas in proportion to weights; the largest has a diameter of 30 pixels."""
    return 900.0 * weight / weight.max()


def _predicts(fit: RegressionResult) -> bool:
    """Whether there is a prediction interval, and enough studies to show it."""
    return fit.model != "common" and shows_prediction(fit.k - fit.p)


def _bands(
    ax: Axes,
    lines: pd.DataFrame,
    scale: float,
    across: list[float] | list[str],
) -> None:
    grid = [value for value in across if isinstance(value, float)]
    value = {name: lines[name].to_numpy(dtype=float) * scale for name in lines.columns}
    predicts = bool(np.isfinite(value["prediction_lower"]).all())
    colour = style.QUIET.light
    if grid:
        if predicts:
            ax.fill_between(
                grid, value["prediction_lower"], value["prediction_upper"],
                color=style.GRID.light, alpha=0.55, lw=0, zorder=1, gid="prediction")  # fmt: skip
        ax.fill_between(
            grid,
            value["ci_lower"],
            value["ci_upper"],
            color=colour,
            alpha=0.3,
            lw=0,
            zorder=2,
            gid="confidence",
        )
        ax.plot(grid, value["estimate"], color=style.INK.light, zorder=3, gid="mean")
        return
    half = SPREAD + 0.12
    for i in range(len(across)):
        ends = (i - half, i + half)
        if predicts:
            ax.fill_between(
                ends, value["prediction_lower"][i], value["prediction_upper"][i],
                color=style.GRID.light, alpha=0.55, lw=0, zorder=1,
            )  # fmt: skip
        ax.fill_between(
            ends, value["ci_lower"][i], value["ci_upper"][i], color=colour, alpha=0.3, lw=0,
            zorder=2,
        )  # fmt: skip
        ax.plot(ends, [value["estimate"][i]] * 2, color=style.INK.light, zorder=3, gid=f"mean-{i}")


def _limits(
    ax: Axes,
    lines: pd.DataFrame,
    y: np.ndarray,
    scale: float,
    x: np.ndarray,
    *,
    proportion: bool,
    levels: list[str] | None,
) -> None:
    bounds = lines[["ci_lower", "ci_upper", "prediction_lower", "prediction_upper"]]
    shown = np.concatenate([bounds.to_numpy(dtype=float).ravel() * scale, y])
    shown = shown[np.isfinite(shown)]
    low, high = float(shown.min()), float(shown.max())
    room = 0.06 * (high - low or 1.0)
    ax.set_ylim(-room if proportion and low < 10 else low - room, high + room)
    if proportion:
        ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= min(100, high + room)])
    if levels is not None:
        ax.set_xlim(-0.55, len(levels) - 0.45)
        ax.set_xticks(range(len(levels)), labels=levels)
        return
    room = 0.04 * (float(x.max() - x.min()) or 1.0)
    ax.set_xlim(x.min() - room, x.max() + room)


def _colours(
    studies: pd.Index[Any], groups: Mapping[str, str] | None, subject: Subject
) -> list[str]:
    if groups is None:
        return [style.QUIET.light] * len(studies)
    lost = [str(study) for study in studies if str(study) not in groups]
    if lost:
        raise MetaAnalysisError(f"no group for {printing.listing(lost)}")
    found = subject.colours(list(dict.fromkeys(groups[str(study)] for study in studies)))
    return [found[groups[str(study)]].light for study in studies]


def _key(ax: Axes, found: list[str], subject: Subject) -> None:
    from matplotlib.lines import Line2D

    colours = subject.colours(list(dict.fromkeys(found)))
    handles = [
        Line2D([], [], ls="", marker="o", ms=9, mec="none", mfc=colour.light)
        for colour in colours.values()
    ]
    ax.legend(
        handles, list(colours), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(handles),
        handletextpad=0.3, columnspacing=1.4, borderaxespad=0, borderpad=0.2,
    )  # fmt: skip


def _alt(
    fit: RegressionResult,
    lines: pd.DataFrame,
    column: str,
    words: str,
    subject: Subject,
    *,
    ordered: bool,
    unit: bool,
) -> str:
    shown = printing.percent if unit else printing.number
    head = (
        f"Bubble plot of {printing.lower(subject.outcome)} against {words}, "
        f"{printing.counted(fit.k, *subject.noun)}."
    )
    if ordered:
        names = fit.design.levels[column]
        means = [
            f"{name} {shown(float(value))}"
            for name, value in zip(names, lines["estimate"], strict=True)
        ]
        body = f"Fitted means: {printing.listing(means)}."
    else:
        values = fit.moderators[column][fit.studies["included"].to_numpy()].astype(float)
        first, last = (shown(float(lines["estimate"].iloc[i])) for i in (0, -1))
        body = (
            f"The fitted mean goes from {first} at {printing.number(values.min(), 1)} to {last} at "
            f"{printing.number(values.max(), 1)}."
        )
    return f"{head} {body} {_verdict(fit, subject)}"


def _verdict(fit: RegressionResult, subject: Subject) -> str:
    r2 = "" if fit.R2 is None else (
        f"; it accounts for {printing.number(fit.R2, 0)}{printing.THIN}% of the variance between "
        f"{subject.studies}"
    )  # fmt: skip
    if np.isnan(fit.omnibus.p):
        return f"There are too few clusters for a test of the moderator{r2}."
    return f"The test of the moderator gives {printing.p_value(fit.omnibus.p)}{r2}."


def _caption(fit: RegressionResult, words: str, subject: Subject, *, ordered: bool) -> str:
    level = printing.percent(fit.level, 0)
    means = "Lines: fitted means" if ordered else f"Line: fitted mean along {words}"
    pale = f", pale its {level} prediction interval" if _predicts(fit) else ""
    few = "" if pale or fit.model == "common" else (
        f" No prediction interval: none is shown below {printing.word(FEW_PREDICTION_DF + 1)} "
        f"residual degrees of freedom, and there {'is' if fit.k - fit.p == 1 else 'are'} "
        f"{printing.word(fit.k - fit.p)}."
    )  # fmt: skip
    return (
        f"{_verdict(fit, subject)} {means}; dark band its {level} confidence interval{pale}; areas "
        f"of the bubbles are weights.{few}"
    )


def _table(
    studies: pd.DataFrame,
    moderator: pd.Series[Any],
    words: str,
    subject: Subject,
    *,
    proportion: bool,
) -> Table:
    from ..tables import table

    kind = "percent" if proportion else "number"
    counts = [name for name in ("events", "n") if name in studies]
    shown = studies[[*counts, "estimate", "weight"]].reset_index()
    numeric = np.issubdtype(np.asarray(moderator).dtype, np.number)
    shown.insert(1, "moderator", list(moderator) if numeric else list(map(str, moderator)))
    unit = f",{printing.HARD}%"
    return table(
        shown,
        caption=f"{printing.capital(subject.studies)} by {words}: the numbers behind the figure",
        formats={"estimate": kind, "weight": "number1"}
        | ({"moderator": "number1"} if numeric else {}),
        labels={
            "study": printing.capital(subject.study),
            "moderator": words[:1].upper() + words[1:],
            "estimate": f"Estimate{unit if proportion else ''}",
            "weight": f"Weight{unit}",
        },
    )
