"""The bubble plot of a meta-regression: studies, the fitted line or means, and two bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ... import printing, ties
from ...engine.effects import get_measure
from ...engine.options import FEW_PREDICTION_DF, shows_prediction
from ...errors import MetaAnalysisError, UnsupportedError
from ...models.regression_result import RegressionResult
from ..subject import NEUTRAL, Subject
from ..tables import Table
from . import style
from .frame import Axes, axes_of, grid_below
from .lettering import legend_above, name_marks
from .note import Note, annotate, estimate_column, numbers, shared_places

GRID_POINTS, NAMED = 81, 4


@style.themed
def bubble(
    fit: RegressionResult,
    *,
    xlabel: str | None = None,
    subject: Subject = NEUTRAL,
    groups: Mapping[str, str] | None = None,
    name: Iterable[str] = (),
    ax: Axes | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw a meta-regression with one moderator.

    Parameters
    ----------
    fit : RegressionResult
        With one numeric moderator column, also transformed, such as ``log(months)``.
    xlabel : str, optional
        What is across, with its unit; the name of the column by default.
    groups : mapping of study label to level, optional
        Groups, which colour the bubbles.
    name : iterable of str
        Studies that the text is about; they are named before the four of largest weight.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Bubbles at the studies' own values with areas in proportion to their weights; line and inner
        band: fitted value and its confidence interval; outer band: prediction interval for a new
        study.

    Raises
    ------
    UnsupportedError
        The model has several moderator columns, or none, or one of levels
        (`helpers.plots.subgroup_forest` draws groups).
    MetaAnalysisError
        A study has no group, or `name` is no study of the fit.

    Examples
    --------
    >>> from helpers.views.plots import show
    >>> from helpers.review.published.models import published_regression
    >>> fit = published_regression("LBCL: product", formula="median_follow_up_months")
    >>> show(bubble(fit), "follow-up")  # doctest: +ELLIPSIS
    Bubble plot of proportion against median follow-up, 26 studies. ...
    """
    from matplotlib.lines import Line2D

    if not isinstance(fit, RegressionResult):
        raise UnsupportedError(
            f"bubble() needs a fit of meta_regression(), not {type(fit).__name__}"
        )
    if len(fit.design.columns) != 1:
        raise UnsupportedError(
            f"a bubble plot shows one numeric moderator; {fit.formula!r} has "
            f"{len(fit.design.columns)} columns: keep one"
        )
    column = fit.design.columns[0]
    if column in fit.design.levels:
        raise UnsupportedError(
            f"a bubble plot shows one numeric moderator; {column!r} has levels: draw their "
            "pooled estimates with subgroup_forest()"
        )
    ax = axes_of(ax, width, 430, right=16, top=34 if groups else 14)
    taken = fit.studies["included"].to_numpy()
    studies, moderator = fit.studies[taken], fit.moderators[column][taken]
    subject = subject.of_measure(fit.measure)
    percent = get_measure(fit.measure).kind == "proportion"
    unit = subject.unit(fit)
    scale = float(printing.factor_of(unit))
    across = np.linspace(moderator.min(), moderator.max(), GRID_POINTS).tolist()
    lines = fit.predict({column: across})
    if fit.model != "common" and not _predicts(fit):
        lines[["prediction_lower", "prediction_upper"]] = np.nan
    x, y = moderator.to_numpy(dtype=float), studies["estimate"].to_numpy(float) * scale
    _bands(ax, across, lines * scale)
    area = 900.0 * studies["weight"].to_numpy(float) / studies["weight"].max()
    order = ties.order(area, descending=True)
    palette = _palette(studies.index, groups, subject)
    colours = [style.QUIET if groups is None else palette[groups[str(s)]] for s in studies.index]
    ax.scatter(
        x[order], y[order], s=area[order], facecolors=[colours[i].light for i in order],
        edgecolors=style.SURFACE.light, linewidths=0.8, alpha=0.85, zorder=4, clip_on=False,
        gid="bubbles",
    )  # fmt: skip
    words = xlabel or printing.readable(column)
    name_across, _, unit_across = words.partition(", ")  # "follow-up, months"
    ax.set_xlabel(printing.capital(words), labelpad=6)
    ax.set_ylabel(f"{subject.outcome}{printing.unit_heading(unit)}", labelpad=6)
    grid_below(ax, "y")
    _limits(ax, lines * scale, x, y, top=scale if percent else np.inf)
    labels = list(map(str, studies.index))
    unknown = [study for study in name if study not in labels]
    if unknown:
        raise MetaAnalysisError(f"name={unknown[0]!r}: the fit has no such study")
    first = [labels.index(study) for study in name]
    name_marks(ax, x, y, np.sqrt(area) / 2 + 2, labels, [*first, *order[:NAMED]])
    if palette:
        marks = [
            Line2D([], [], ls="", marker="o", ms=9, mec="none", mfc=colour.light)
            for colour in palette.values()
        ]
        legend_above(ax, marks, list(palette), handletextpad=0.3)
    said = _fitted(lines, moderator, subject, (name_across, unit_across), unit)
    note = Note(
        f"{subject.outcome} by {name_across}",
        f"Bubble plot of {printing.lower(subject.outcome)} against {name_across}, "
        f"{printing.counted(fit.k, *subject.noun)}. {said} {_verdict(fit, subject)}",
        f"{said} {_verdict(fit, subject)} {_key(fit)}",
        _table(studies, moderator, (name_across, words), subject, unit),
    )
    annotate(ax, note, subject)
    return ax


def _predicts(fit: RegressionResult) -> bool:
    """Whether there is a prediction interval, and enough studies to show it."""
    return fit.model != "common" and shows_prediction(fit.k - fit.p)


def _palette(
    studies: pd.Index[Any], groups: Mapping[str, str] | None, subject: Subject
) -> dict[str, style.Colour]:
    if groups is None:
        return {}
    lost = [str(study) for study in studies if str(study) not in groups]
    if lost:
        raise MetaAnalysisError(f"no group for {printing.listing(lost)}")
    return subject.colours(subject.in_order(dict.fromkeys(groups[str(study)] for study in studies)))


def _bands(ax: Axes, across: list[float], lines: pd.DataFrame) -> None:
    if np.isfinite(lines["prediction_lower"]).all():
        ax.fill_between(
            across, lines["prediction_lower"], lines["prediction_upper"], color=style.GRID.light,
            alpha=0.55, lw=0, zorder=1, gid="prediction",
        )  # fmt: skip
    ax.fill_between(
        across, lines["ci_lower"], lines["ci_upper"], color=style.QUIET.light, alpha=0.3, lw=0,
        zorder=2, gid="confidence",
    )  # fmt: skip
    ax.plot(across, lines["estimate"], color=style.INK.light, zorder=3, gid="mean")


def _limits(ax: Axes, lines: pd.DataFrame, x: np.ndarray, y: np.ndarray, *, top: float) -> None:
    """Set limits; a proportion has a largest value, `top`, and an axis that begins near zero."""
    percent = np.isfinite(top)
    bounds = lines[["ci_lower", "ci_upper", "prediction_lower", "prediction_upper"]]
    shown = np.concatenate([bounds.to_numpy(dtype=float).ravel(), y])
    shown = shown[np.isfinite(shown)]
    low, high = float(shown.min()), float(shown.max())
    room = 0.06 * (high - low or 1.0)
    ax.set_ylim(-room if percent and low < 0.1 * top else low - room, high + room)
    if percent:
        ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= min(top, high + room)])
    room = 0.04 * (float(x.max() - x.min()) or 1.0)
    ax.set_xlim(x.min() - room, x.max() + room)


def _fitted(
    lines: pd.DataFrame,
    moderator: pd.Series[Any],
    subject: Subject,
    named: tuple[str, str],
    unit: printing.Unit,
) -> str:
    digits = shared_places(lines["estimate"], unit)
    shown = [printing.value(v, unit, digits) for v in lines["estimate"]]
    values = moderator.astype(float)
    name, size = named
    least, most = map(_as_given(values), (values.min(), values.max()))
    return (
        f"Fitted {printing.lower(subject.outcome)} is {shown[0]} where "
        f"{printing.lower(name)} is {least}{f' {size}' if size else ''}, and {shown[-1]} "
        f"where it is {most}."
    )


def _as_given(moderator: pd.Series[Any]) -> Callable[[float], str]:
    """Print values of a moderator: whole numbers as such, others with digits that tell them apart.

    >>> [_as_given(pd.Series(values))(values[0]) for values in ([2012, 2020], [2012, 120])]
    ['2012', '2,012']
    >>> [_as_given(pd.Series(values))(values[0]) for values in ([28.0, 3.5], [0.12, 0.45])]
    ['28.0', '0.12']
    """
    values = moderator.dropna().astype(float)
    if (values % 1 == 0).all():
        if values.between(1800, 2100).all():  # years
            return lambda value: f"{value:.0f}"
        return lambda value: printing.number(value, 0)
    span = float(values.max() - values.min()) or 1.0
    digits = max(1, 1 - math.floor(math.log10(span)))
    return lambda value: printing.number(value, digits)


def _key(fit: RegressionResult) -> str:
    """Say what line, bands and areas mean."""
    level = printing.percent(fit.level, 0)
    outer = f", outer one its {level} prediction interval" if _predicts(fit) else ""
    few = "" if outer or fit.model == "common" else (
        f" No prediction interval: none is shown below {printing.word(FEW_PREDICTION_DF + 1)} "
        f"residual degrees of freedom, and there {'is' if fit.k - fit.p == 1 else 'are'} "
        f"{printing.word(fit.k - fit.p)}."
    )  # fmt: skip
    inner = "inner band" if outer else "band"
    return (
        f"Line: fitted value; {inner} its {level} confidence interval{outer}; areas of the "
        f"bubbles are weights.{few}"
    )


def _table(
    studies: pd.DataFrame,
    moderator: pd.Series[Any],
    named: tuple[str, str],
    subject: Subject,
    unit: printing.Unit,
) -> Table:
    name, words = named
    return numbers(
        studies.reset_index().assign(moderator=list(moderator)),
        f"{printing.capital(subject.studies)} by {name}: the numbers behind the figure",
        {
            "study": (printing.capital(subject.study), ""),
            "moderator": (printing.capital(words), _as_given(moderator)),
            "events": "", "n": "",
            "estimate": estimate_column(studies["estimate"], unit),
            "weight": (f"Weight{printing.IN_PERCENT}", "number1"),
        },
    )  # fmt: skip


def _verdict(fit: RegressionResult, subject: Subject) -> str:
    r2 = "" if fit.R2 is None else (
        f"; it accounts for {printing.number(fit.R2, 0)}% of the variance between "
        f"{subject.studies}"
    )  # fmt: skip
    if np.isnan(fit.omnibus.p):
        return f"There are too few clusters for a test of the moderator{r2}."
    return f"The test of the moderator gives {printing.p_value(fit.omnibus.p)}{r2}."
