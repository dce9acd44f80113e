"""Later reports on the intervals that were forecast for them, one row per report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ... import printing
from ...errors import MetaAnalysisError
from ...views.plots import style
from ...views.plots.frame import (
    Axes,
    axes_of,
    figure_of,
    grid_below,
    name_axes,
    number_ticks,
    size_of,
)
from ...views.plots.lettering import fit_text, legend_above, measure, write_beside
from ...views.plots.note import Note, numbers
from .. import palette
from ..since_then import ForecastCheck, checks_frame
from ..subject import annotate

ROW, HEAD, KEY = 24.0, 30.0, 62.0  # heights in CSS pixels
TALL = 42.0  # of a row with its name above
LEFT, RIGHT = 268.0, 132.0
MARGIN = 8 - LEFT  # where names begin


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
        As in :func:`helpers.plots.forest`. Below 500 pixels names are above their bars.

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
    rows = [(next(iter(pair.values())), pair) for pair in pairs.values()]
    rows.sort(key=lambda row: _place(row[0].forecast.group))
    narrow = width < style.NARROW
    step = TALL if narrow else ROW
    look: dict[str, Any] = {"size": "text" if narrow else "small", "zorder": 6}
    places, heads, y = [], {}, 0.0
    for one, _ in rows:
        if one.forecast.group not in heads:
            heads[one.forecast.group] = y + HEAD / 2
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
        known = next(one.forecast for one in listed if one.forecast.group == group)
        head = f"{group}: true rate forecast {printing.percent_range(known.interval)}"
        write_beside(ax, head, (0, 0.0 if narrow else MARGIN), at, weight="bold", **look)
    for i, ((one, pair), at) in enumerate(zip(rows, places, strict=True)):
        _row(ax, one, pair, at, i)
        name, value = one.report, _value(one)
        if narrow:
            figure = figure_of(ax)
            room = size_of(figure)[0] - 20.0 - measure(figure, value) - 8.0
            write_beside(ax, fit_text(figure, name, room), (0, 0.0), at - 18, **look)
            write_beside(ax, value, (1, 0.0), at - 18, ha="right", **look)
        else:
            write_beside(ax, name, (0, MARGIN), at, **look)
            write_beside(ax, value, (1, 8.0), at, **look)
    _key(ax, narrow=narrow)
    annotate(ax, _note(listed))
    return ax


def _place(group: str) -> tuple[int, int, str]:
    """Where a group stands: by disease, then by product, a disease without a product last."""
    product, _, entity = group.rpartition(", ")
    places = [
        [*known].index(one) if one in known else len(known)
        for one, known in ((entity, palette.ENTITY), (product, palette.PRODUCT))
    ]
    return places[0], places[1], group


def _row(ax: Axes, one: ForecastCheck, pair: dict[str, ForecastCheck], y: float, i: int) -> None:
    if "GLMM" in pair:
        share = list(pair["GLMM"].share)
        ax.plot(
            share, [y, y], color=style.GRID.light, lw=11, solid_capstyle="butt", zorder=2,
            gid=f"glmm-{i}",
        )  # fmt: skip
        ends = list(pair["GLMM"].forecast.interval)
        ax.plot(
            ends, [y, y], ls="", marker="|", ms=11, mew=1.4, color=style.INK.light, zorder=4,
            gid=f"true-{i}",
        )  # fmt: skip
    if "Bayes" in pair:
        share = list(pair["Bayes"].share)
        ax.plot(share, [y, y], color=style.QUIET.light, lw=1.4, zorder=3, gid=f"bayes-{i}")
    out = any(check.inside is False for check in pair.values())
    colour = style.RESIDUAL["more"].light if out else style.INK.light
    face = colour if one.counted else style.SURFACE.light
    ax.plot(
        [one.rate], [y], marker="o" if one.new else "s", ms=8, mfc=face, mec=colour, mew=1.8,
        ls="", zorder=5, gid=f"report-{i}", clip_on=False,
    )  # fmt: skip


def _value(one: ForecastCheck) -> str:
    share = printing.percent(one.rate)
    if not one.counted:
        return f"{share} of {printing.count(one.patients)}"
    deaths = "–".join(dict.fromkeys(printing.count(x) for x in (one.fewest, one.most)))
    return f"{deaths} of {printing.count(one.patients)}, {share}"


def _key(ax: Axes, *, narrow: bool) -> None:
    from matplotlib.lines import Line2D

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
