"""Deletion diagnostics of every study side by side, each with its own rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import printing, ties
from ...engine.aftercare.diagnostics import OUTLIER
from ...errors import MetaAnalysisError
from ..subject import NEUTRAL, Subject
from . import style
from .accepted import diagnosed_of
from .frame import Axes, axes_of, figure_of, number_ticks, require_room, room_of_axes, round_places
from .lettering import beside, fit_text, measure
from .note import Note, annotate, drawn_of, numbers

ROW = 18.5  # height of a study, in CSS pixels
HEAD, BELOW, GAP, PANEL, WIDEST = 30.0, 30.0, 14.0, 84.0, 155.0
#: The same of a narrow form: two panels side by side, the others below them.
ACROSS, NARROW_HEAD, NARROW_PANEL, NARROW_WIDEST = 2, 44.0, 66.0, 160.0


@dataclass(frozen=True, slots=True)
class _Panel:
    """One diagnostic: its column, its name, where it rests and where its rule begins."""

    column: str
    name: str
    centre: float
    rules: tuple[float, ...] = ()


@style.themed
def influence_panel(
    fit: Any,
    *,
    ax: Axes | None = None,
    most: int | None = None,
    subject: Subject = NEUTRAL,
    width: float = 760.0,
) -> Axes:
    """Draw what happens to the fit without each study, one panel a diagnostic.

    Parameters
    ----------
    fit : PoolResult, RegressionResult or SubgroupResult
        Any model; at least 2 included studies. Groups with a variance each have no panel of tau2.
    ax : Axes, optional
        Whose room the panels fill. By default a new figure, as tall as its studies need.
    most : int, optional
        Draw only so many studies: those with the largest Cook's distances. The caption counts the
        others.
    subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        An empty one that holds a panel for each diagnostic of ``fit.influence()``: studentised
        deleted residual, DFFITS, Cook's distance, ratio of variances, tau2 without the study, and
        weight. With several coefficients the ratio is that of determinants, and leverage is in the
        place of the weight. Dashed lines are the rules; marks beyond one are filled. Studies whose
        deletion leaves no estimate have a name and no marks of it.

    Raises
    ------
    MetaAnalysisError
        When `ax` has too little room, or no study can be left out.

    References
    ----------
    Viechtbauer W, Cheung MWL (2010), doi:10.1002/jrsm.11.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[3, 4, 5, 4, 30], n=[60, 60, 60, 60, 60], model="glmm")
    >>> show(influence_panel(fit), "influence-of-five")  # doctest: +ELLIPSIS
    Influence diagnostics of five studies. ...
    """
    result = diagnosed_of(fit, "influence_panel").influence()
    every = result.frame()
    if every["cook_d"].isna().all():
        raise MetaAnalysisError("no study can be left out: there is nothing to draw")
    moved = np.nan_to_num(np.abs(every["cook_d"].to_numpy(float)), nan=np.inf)
    frame = every.iloc[np.sort(ties.order(moved, descending=True)[:most])]
    panels = _panels(fit, result)
    height, narrow = ROW * (len(frame) + 0.2), width < style.NARROW
    across, head, panel_width, widest = (
        (ACROSS, NARROW_HEAD, NARROW_PANEL, NARROW_WIDEST)
        if narrow
        else (len(panels), HEAD, PANEL, WIDEST)
    )
    band = head + height + BELOW
    tall = band * -(-len(panels) // across)
    ax = axes_of(ax, width, tall, left=0, right=0, bottom=0, top=0)
    room, figure = room_of_axes(ax)[2:], figure_of(ax)
    names = [fit_text(figure, str(label), widest, bold=True) for label in frame.index]
    left = max(measure(figure, name, bold=True) for name in names) + GAP
    require_room(ax, left + across * (panel_width + GAP), tall, "this panel")
    ax.axis("off")
    each = (room[0] - left) / across
    bold = (frame["flagged"] | frame["outlier"]).to_numpy()
    for i, panel in enumerate(panels):
        down, at = divmod(i, across)
        base = room[1] - band * down - head - height
        box = np.array([left + at * each, base, each - GAP, height]) / [*room, *room]
        inset = ax.inset_axes(box.tolist())
        inset.set_label(panel.column)
        _draw(inset, panel, frame[panel.column].to_numpy(dtype=float), narrow=narrow)
        long = narrow and measure(figure, panel.name, bold=True) > each - 4
        title = panel.name.replace(" ", "\n") if long else panel.name
        inset.set_title(title, size=style.size("text"), loc="left", pad=8)
        if at:
            continue
        for row, (name, strong) in enumerate(zip(names, bold, strict=True)):
            beside(
                inset, name, (0, row), (-left, 0), xycoords=inset.get_yaxis_transform(),
                va="center_baseline", weight="bold" if strong else "normal",
                size=style.size("text"), annotation_clip=False,
            )  # fmt: skip
    annotate(ax, _note(fit, result, len(frame), subject))
    return ax


def _panels(fit: Any, result: Any) -> list[_Panel]:
    limits = {rule.statistic: rule.threshold for rule in result.rules}
    made = [
        _Panel("rstudent", "Residual", 0.0, (-OUTLIER, OUTLIER)),
        _Panel("dffits", "DFFITS", 0.0, (-limits["dffits"], limits["dffits"])),
        _Panel("cook_d", "Cook’s distance", 0.0, (limits["cook_d"],)),
        _Panel("cov_ratio", "Variance ratio", 1.0),
    ]
    if result.model != "common" and fit.tau2 is not None:
        made.append(_Panel("tau2_deleted", f"{printing.variation_symbol(fit)} without", fit.tau2))
    if result.coefficients:
        return [*made, _Panel("leverage", "Leverage", 0.0, (limits["leverage"],))]
    return [*made, _Panel("weight", "Weight, %", 0.0, (100.0 * limits["leverage"],))]


def _draw(ax: Axes, panel: _Panel, values: np.ndarray, *, narrow: bool) -> None:
    y, known = np.arange(len(values)), np.isfinite(values)
    ends = [panel.centre, *values[known], *panel.rules]
    low, high = min(ends), max(ends)
    pad = 0.07 * (high - low) or 0.5
    ax.set_xlim(low - pad, high + pad)
    ax.set_ylim(len(values) - 0.4, -0.6)
    # Every fifth line carries the eye from a name to its marks.
    for line in range(0, len(values), 5):
        ax.axhline(line, color=style.GRID.light, lw=0.8, zorder=0)
    quiet, ink = style.QUIET.light, style.INK.light
    ax.axvline(panel.centre, color=quiet, lw=0.9, zorder=1)
    beyond = np.zeros(len(values), dtype=bool)
    for rule in panel.rules:
        ax.axvline(rule, color=quiet, lw=0.9, dashes=(3, 3), zorder=1)
        beyond[known] |= values[known] > rule if rule > 0 else values[known] < rule
    ax.hlines(y[known], panel.centre, values[known], color=quiet, lw=1.0, zorder=2)
    for gid, rows, face in (
        ("inside", known & ~beyond, style.SURFACE.light), ("beyond", known & beyond, ink),
    ):  # fmt: skip
        ax.plot(values[rows], y[rows], "o", ms=5.2, mfc=face, mec=ink, mew=1.0, zorder=3, gid=gid)
    ax.set_yticks([])
    ax.xaxis.set_major_locator(round_places(2 if narrow else 3))
    if narrow:  # between the two ends there is no room for a third number
        shown = [float(at) for at in ax.get_xticks() if low - pad <= at <= high + pad]
        ax.set_xticks([shown[0], *shown[:0:-1][:1]])
    number_ticks(ax.xaxis)
    ax.spines["left"].set_visible(False)


def _note(fit: Any, result: Any, drawn: int, subject: Subject) -> Note:
    frame = result.frame()
    flagged, outlying = (list(map(str, frame.index[frame[c]])) for c in ("flagged", "outlier"))
    influential = f"No {subject.study} is influential by any of the rules."
    if flagged:
        verb = "is" if len(flagged) == 1 else "are"
        influential = (
            f"By the rules {printing.listing(flagged, most=printing.NAMED)} {verb} influential."
        )
    outliers = "No residual lies beyond its limits."
    if outlying:
        outliers = (
            f"{printing.listing(outlying, most=printing.NAMED)} "
            f"{'lies' if len(outlying) == 1 else 'lie'} beyond the limits of the residuals, where "
            "one in twenty is expected by chance."
        )
    lack, lost = "", int(frame["rstudent"].isna().sum())
    if lost:
        lack = f" Without {printing.counted(lost, *subject.noun)} there is no estimate."
    part = drawn_of(drawn, len(frame), subject, "with the largest Cook’s distances")
    most = frame.index[ties.largest(frame["cook_d"].abs())]
    what, last = "The estimate moves", {"weight": (f"Weight{printing.IN_PERCENT}", "number1")}
    if result.coefficients:
        what, last = "The coefficients move", {"leverage": ("Leverage", "number3")}
    return Note(
        "Influence diagnostics",
        f"Influence diagnostics of {printing.counted(result.k, *subject.noun)}. {influential} "
        f"{outliers} {what} most without {most}, Cook’s distance "
        f"{printing.number(float(frame['cook_d'].max()), 2)}.{lack}",
        f"{influential} {outliers} Dashed lines are the rules; marks beyond them are filled."
        f"{lack}{part}",
        numbers(
            frame.rename_axis(subject.study).reset_index(),
            "The numbers behind the influence diagnostics",
            {
                subject.study: "", "rstudent": ("Residual", "number3"),
                "dffits": ("DFFITS", "number3"), "cook_d": ("Cook’s distance", "number3"),
                "cov_ratio": ("Variance ratio", "number3"),
                "tau2_deleted": (f"{printing.variation_symbol(fit)} without", "number3"),
                **last,
            },
            notes=[f"Influential: {rule.words}." for rule in result.rules],
        ),
    )  # fmt: skip
