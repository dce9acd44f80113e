"""Later reports on the intervals that were forecast for them, one row a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ... import printing
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import (
    axes_of,
    figure_of,
    grid_below,
    name_axes,
    number_ticks,
    size_of,
)
from ...views.plots.lettering import fit_text, measure
from ...views.plots.note import Note, numbers
from ..since_then import ForecastCheck, checks_frame
from ..subject import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW, HEAD, KEY = 24.0, 30.0, 62.0  # heights in CSS pixels
TALL = 42.0  # of a row with its name above
LEFT, RIGHT = 268.0, 132.0


@style.themed
def later_reports(
    checks: Iterable[ForecastCheck], *, ax: Axes | None = None, width: float = 760.0
) -> Axes:
    """Draw each later report as a dot on the interval that was forecast for a cohort of its size.

    Parameters
    ----------
    checks : iterable of ForecastCheck
        From `helpers.review.check_forecasts`; both methods.
    ax, width
        As in :func:`helpers.plots.forest`. Below 500 pixels names stand above their bars.

    Returns
    -------
    Axes
        Nonrelapse mortality across; a row is a report, under the group of its forecast. The broad
        bar is the range of a cohort of that size by the GLMM, with ticks at the limits of the true
        rate; the thin line is the range by the Bayesian model. A filled dot is a count, a ring a
        rate; a square is a later cut of a cohort of the 2024 table.

    Raises
    ------
    MetaAnalysisError
        Without a report.

    Examples
    --------
    >>> from helpers.review.since_then import check_forecasts
    >>> from helpers.views.plots import show
    >>> show(later_reports(check_forecasts()), "later-reports")  # doctest: +ELLIPSIS
    Dot plot of ...
    """
    listed = list(checks)
    if not listed:
        raise MetaAnalysisError("later_reports() needs at least one report")
    pairs: dict[str, dict[str, ForecastCheck]] = {}
    for one in listed:
        pairs.setdefault(one.report, {})[one.forecast.method] = one
    rows = sorted(pairs.values(), key=lambda pair: _place(next(iter(pair.values()))))
    narrow = width < style.NARROW
    step = TALL if narrow else ROW
    places, heads, y = [], {}, 0.0
    for pair in rows:
        group = next(iter(pair.values())).forecast.group
        if group not in heads:
            heads[group] = y + HEAD / 2
            y += HEAD
        places.append(y + step - 10.0 if narrow else y + step / 2)
        y += step
    left, right = (6.0, 14.0) if narrow else (LEFT, RIGHT)
    ax = axes_of(ax, width, y + KEY + 50, left=left, right=right, bottom=50, top=KEY)
    most = max(max(one.share.upper, one.rate) for one in listed)
    ax.set_xlim(0, 1.04 * most)
    ax.set_ylim(y, 0)
    ax.set_yticks([])
    number_ticks(ax.xaxis, 100)
    name_axes(ax, f"Nonrelapse mortality,{printing.HARD}%")
    grid_below(ax, "x", hide=("left",))
    for group, at in heads.items():
        _write(ax, _heading(group, listed), 0, at, "left", bold=True, narrow=narrow)
    for i, (pair, at) in enumerate(zip(rows, places, strict=True)):
        _row(ax, pair, at, i, narrow=narrow)
    _key(ax, narrow=narrow)
    annotate(ax, _note(listed))
    return ax


def _place(one: ForecastCheck) -> tuple[int, str, str]:
    from .. import palette

    product, _, entity = one.forecast.group.rpartition(", ")
    entities, products = list(palette.ENTITY), list(palette.PRODUCT)
    first = entities.index(entity) if entity in entities else len(entities)
    second = products.index(product) if product in products else len(products)
    return first * 100 + second, one.forecast.group, ""


def _heading(group: str, listed: list[ForecastCheck]) -> str:
    own = {one.forecast.method: one.forecast for one in listed if one.forecast.group == group}
    return (
        f"{group}: true rate forecast {printing.percent_range(next(iter(own.values())).interval)}"
    )


def _row(ax: Axes, pair: dict[str, ForecastCheck], y: float, i: int, *, narrow: bool) -> None:
    one = next(iter(pair.values()))
    look: dict[str, Any] = {"clip_on": False}
    if "GLMM" in pair:
        share = pair["GLMM"].share
        ax.plot(
            [share.lower, share.upper], [y, y], color=style.GRID.light, lw=11,
            solid_capstyle="butt", zorder=2, gid=f"glmm-{i}",
        )  # fmt: skip
        ends = list(pair["GLMM"].forecast.interval)
        ax.plot(
            ends, [y, y], ls="", marker="|", ms=11, mew=1.4, color=style.INK.light, zorder=4,
            gid=f"true-{i}",
        )  # fmt: skip
    if "Bayes" in pair:
        share = pair["Bayes"].share
        ax.plot(
            [share.lower, share.upper], [y, y], color=style.QUIET.light, lw=1.4, zorder=3,
            gid=f"bayes-{i}",
        )  # fmt: skip
    out = any(check.inside is False for check in pair.values())
    colour = style.RESIDUAL["more"].light if out else style.INK.light
    face = colour if one.counted else style.SURFACE.light
    ax.plot(
        [one.rate], [y], marker="o" if one.new else "s", ms=8, mfc=face, mec=colour, mew=1.8,
        ls="", zorder=5, gid=f"report-{i}", **look,
    )  # fmt: skip
    name, value = f"{one.report}", _value(one)
    if narrow:
        figure = figure_of(ax)
        left = size_of(figure)[0] - 20.0 - measure(figure, value) - 8.0
        _write(ax, name, 0, y - 18, "left", narrow=True, room=left)
        _write(ax, value, 1, y - 18, "right", narrow=True)
    else:
        _write(ax, name, -(LEFT - 8), y, "left", room=None)
        _write(ax, value, 1, y, "value")


def _value(one: ForecastCheck) -> str:
    share = printing.percent(one.rate)
    if not one.counted:
        return f"{share} of {printing.count(one.patients)}"
    low, high = (printing.count(x) for x in (one.fewest, one.most))
    deaths = low if low == high else f"{low}–{high}"
    return f"{deaths} of {printing.count(one.patients)}, {share}"


def _write(
    ax: Axes, text: str, x: float, y: float, side: str, *, bold: bool = False,
    narrow: bool = False, room: float | None = None,
) -> None:  # fmt: skip
    """Write at an edge of the axes: a fraction of their width, or pixels left of them."""
    from matplotlib.transforms import ScaledTranslation

    figure = figure_of(ax)
    pixels = 0.0
    if bold and not narrow:
        x, pixels = 0.0, -(LEFT - 8)
    elif x < 0:
        pixels, x = x, 0.0
    elif side == "value":
        pixels, side = 8.0, "left"
    if room is not None:
        text = fit_text(figure, text, room, size="text" if narrow else "small")
    moved = ScaledTranslation(pixels / 72, 0, figure.dpi_scale_trans)
    ax.text(
        x, y, text, transform=ax.get_yaxis_transform() + moved, ha=side, va="center",
        size=style.size("text" if narrow else "small"), weight="bold" if bold else "normal",
        zorder=6,
    )  # fmt: skip


def _key(ax: Axes, *, narrow: bool) -> None:
    from matplotlib.lines import Line2D

    from ...views.plots.lettering import legend_above

    ink, surface = style.INK.light, style.SURFACE.light
    marks = [
        Line2D([], [], color=style.GRID.light, lw=11, solid_capstyle="butt"),
        Line2D([], [], ls="", marker="|", ms=11, mew=1.4, color=ink),
        Line2D([], [], color=style.QUIET.light, lw=1.4),
        Line2D([], [], ls="", marker="o", ms=8, mec=ink, mfc=ink, mew=1.8),
        Line2D([], [], ls="", marker="o", ms=8, mec=ink, mfc=surface, mew=1.8),
        Line2D([], [], ls="", marker="s", ms=8, mec=ink, mfc=ink, mew=1.8),
    ]
    names = ["GLMM", "true rate", "Bayes", "count", "rate only", "later cut"]
    legend_above(
        ax, marks, names, ncols=3 if narrow else 6, bbox_to_anchor=(0 if narrow else -0.55, 1.0),
        handletextpad=0.6,
    )  # fmt: skip


def _note(listed: list[ForecastCheck]) -> Note:
    frame = checks_frame(listed)
    own = [one for one in listed if one.forecast.method == "GLMM"]
    inside = sum(one.inside is True for one in own)
    missed = [one.report for one in own if one.inside is False]
    unsure = [one.report for one in own if one.inside is None]
    caption = (
        f"{printing.capital(printing.of_total(inside, len(own)))} later reports "
        f"{'lies' if inside < 2 else 'lie'} within the range that the GLMM forecasts from the "
        "table of 2024."
    )
    if missed:
        caption += f" Outside: {printing.listing(missed)}."
    if unsure:
        caption += f" The rounding decides for {printing.listing(unsure)}."
    said = "; ".join(
        f"{one.report}: {_value(one)}, forecast {printing.percent_range(one.share)}" for one in own
    )
    return Note(
        "Later reports and their forecasts",
        f"Dot plot of {printing.counted(len(own), 'later report')} on the intervals forecast for "
        f"cohorts of their size. {said}.",
        caption
        + " The range is wider than the interval of the true rate (ticks), because the deaths in a "
        "cohort also vary by chance.",
        numbers(
            frame,
            "Later reports and forecasts: the numbers behind the figure",
            {
                "report": "", "group": ("Forecast", ""), "evidence": "", "patients": "count",
                "deaths": "", "rate": ("Share", "percent"),
                "glmm": ("Deaths forecast, GLMM", ""), "bayes": ("Deaths forecast, Bayes", ""),
            },
        ),
    )  # fmt: skip
