"""Posterior distributions: density, interval, and the area beyond a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import printing, ties
from ...errors import MetaAnalysisError, UnsupportedError
from ...models.bayes import DisplayMarginal, Posterior
from ..subject import NEUTRAL, Subject
from . import style
from .frame import Axes, axes_of, grid_below, name_axes, round_ticks
from .lettering import beside, fit_names, name_above
from .note import Note, annotate, numbers

POINTS = 160
TALL, NARROW_TALL = 92.0, 140.0  # height of one distribution, in CSS pixels
HIGH = 0.58  # of it, for the density


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    shown: DisplayMarginal
    estimate: float
    lower: float
    upper: float
    above: tuple[float, ...]
    colour: style.Colour


@style.themed
def posterior(
    posts: Posterior | Mapping[str, Posterior],
    *,
    thresholds: Sequence[float] = (),
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    xlim: tuple[float, float] | None = None,
    width: float = 720.0,
) -> Axes:
    """Draw posterior distributions of rates, one above the other.

    Parameters
    ----------
    posts : Posterior or mapping of name to Posterior
        One shows the pooled rate of all studies and the true rate of a new one; of several (of
        groups, of priors) each shows its pooled rate.
    thresholds : sequence of float
        Rates; the area beyond each is shaded and its probability written.
    xlim : pair of float, optional
        Ends of the axis on the display scale.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Every density is scaled to the same height, so that areas compare within a row, not between
        rows. Below it the central interval with the median.

    Raises
    ------
    MetaAnalysisError
        Nothing to draw, or thresholds outside 0 to 1.
    UnsupportedError
        Posteriors that are no proportions.

    Examples
    --------
    >>> from helpers import posterior as fit
    >>> from helpers.views.plots import posterior, show
    >>> post = fit(events=[3, 8, 6, 2], n=[40, 60, 90, 50])
    >>> show(posterior(post, thresholds=[0.1]), "two")  # doctest: +ELLIPSIS
    Posterior distributions of proportion. ...
    """
    limits = tuple(sorted(float(t) for t in thresholds))
    if any(not 0 < t < 1 for t in limits):
        raise MetaAnalysisError("thresholds are fractions between 0 and 1")
    subject = subject.of_kind("proportion")
    rows = _rows(posts, limits, subject)
    narrow = width < style.NARROW
    tall = 24 + (NARROW_TALL if narrow else TALL) * len(rows) + 44
    longest = max(len(row.name) for row in rows)
    left = 14.0 if narrow else min(20 + 6.6 * longest, 0.35 * width)
    ax = axes_of(ax, width, tall, left=left, right=20, bottom=44, top=20)
    low, high = xlim or _range(rows, limits)
    x = np.linspace(low, high, POINTS)
    for i, row in enumerate(rows):
        base = float(len(rows) - 1 - i)
        _row(ax, row, x, base, limits, (low, high))
        for at, chance in zip(limits, row.above, strict=True):
            text = ("" if narrow else "above: ") + printing.percent(chance, 0)
            place = (at, base + HIGH + 0.04)
            beside(ax, text, place, (3, 0), va="bottom", annotation_clip=False)
    ax.set_xlim(low, high)
    ax.set_ylim(-0.3, len(rows) - 0.16)
    round_ticks(ax.xaxis, (low, high), 8, 100)
    name_axes(ax, f"{subject.outcome}, %")
    bases, names = [float(len(rows) - 1 - i) for i in range(len(rows))], [r.name for r in rows]
    if narrow:
        name_above(ax, bases, names, lift=-HIGH - 0.24)
    else:
        ax.set_yticks([base + 0.05 for base in bases], fit_names(ax, names))
    grid_below(ax, hide=("left",))
    for at in limits:
        ax.axvline(at, color=style.QUIET.light, lw=0.8, dashes=(4, 3), zorder=1)
    annotate(ax, _note(rows, limits, subject.outcome), subject)
    return ax


def _rows(
    posts: Posterior | Mapping[str, Posterior], limits: tuple[float, ...], subject: Subject
) -> list[_Row]:
    if isinstance(posts, Posterior):
        named = [
            (f"Pooled rate of all {subject.studies}", posts.rate, style.INK),
            (f"A new, similar {subject.study}", posts.new_rate, style.INK),
        ]
    else:
        colours = subject.colours(list(posts))
        named = [(name, post.rate, colours[name]) for name, post in posts.items()]
    if not named:
        raise MetaAnalysisError("there is no posterior to draw")
    rows = []
    for name, shown, colour in named:
        if shown.measure.kind != "proportion":
            raise UnsupportedError(
                f"{name}: the plot needs a posterior of proportions, this one is of "
                f"{shown.measure.name}"
            )
        interval = shown.interval()
        above = tuple(float(shown.probability_above(t)) for t in limits)
        rows.append(_Row(name, shown, shown.median, interval.lower, interval.upper, above, colour))
    return rows


def _range(rows: list[_Row], limits: tuple[float, ...]) -> tuple[float, float]:
    """Show nearly all of every distribution, and zero if it is near."""
    low = min(float(row.shown.quantile(0.0005)) for row in rows)
    high = max(*(float(row.shown.quantile(0.995)) for row in rows), *limits, 0.0)
    high = min(1.0, high * 1.04)
    return (0.0 if low < 0.5 * high else low), high


def _row(
    ax: Axes,
    row: _Row,
    x: NDArray[Any],
    base: float,
    limits: tuple[float, ...],
    ends: tuple[float, float],
) -> None:
    # The peak is where the curve is narrow; points between the quantiles catch it.
    inner = np.asarray(row.shown.quantile(np.linspace(0.001, 0.999, POINTS)), dtype=float)
    grid = np.unique(np.concatenate([x, inner[(inner > ends[0]) & (inner < ends[1])], limits]))
    density = np.asarray(row.shown.density(grid), dtype=float)
    height = HIGH * density / density.max()
    colour = row.colour.light
    ax.fill_between(grid, base, base + height, color=colour, alpha=0.14, lw=0, zorder=2)
    seen = height > 0.002  # beyond, the curve would only colour the line below it
    ax.plot(grid[seen], base + height[seen], color=colour, lw=1.5, zorder=3, gid="density")
    for at in limits:
        beyond = grid >= at
        top = base + height[beyond]
        ax.fill_between(grid[beyond], base, top, color=colour, alpha=0.22, lw=0, zorder=2)
    ax.plot(ends, [base, base], color=style.GRID.light, lw=0.8, zorder=1)
    ax.plot(
        [max(row.lower, ends[0]), min(row.upper, ends[1])], [base - 0.1] * 2, color=colour, lw=2.4,
        zorder=4, solid_capstyle="butt", gid="interval",
    )  # fmt: skip
    ax.plot([row.estimate], [base - 0.1], "o", color=colour, ms=6, zorder=5, gid="median")


def _note(rows: list[_Row], limits: tuple[float, ...], outcome: str) -> Note:
    said = [printing.percent(t, 0) for t in limits]
    parts = []
    for row in rows:
        text = (
            f"{row.name}: median {printing.percent(row.estimate)}, interval "
            f"{printing.percent_range((row.lower, row.upper))}"
        )
        if limits:
            pairs = zip(said, row.above, strict=True)
            chances = printing.listing(f"{printing.percent(p, 0)} above {t}" for t, p in pairs)
            text += f"; probability {chances}"
        parts.append(text)
    told = ". ".join(parts) + "."
    caption, last = told, rows[-1]
    if len(rows) > 2 and not limits:
        medians = [row.estimate for row in rows]
        ends = [rows[pick(medians)] for pick in (ties.smallest, ties.largest)]
        low, high = (f"{printing.percent(row.estimate)} ({row.name})" for row in ends)
        caption = f"Posterior medians range from {low} to {high}. Bars are credible intervals."
    if limits:
        first, final = (printing.percent(last.above[i], 0) for i in (0, -1))
        caption = f"{last.name}: the probability of a rate above {said[0]} is {first}"
        caption += f"; above {said[-1]} it is {final}." if len(limits) > 1 else "."
        caption += " Each percentage is the probability of a rate above the line beside it."
    columns: dict[str, Any] = {
        "distribution": [row.name for row in rows],
        "median": [row.estimate for row in rows],
        "lower": [row.lower for row in rows],
        "upper": [row.upper for row in rows],
    }
    chance = {f"above {t}": [row.above[i] for row in rows] for i, t in enumerate(said)}
    made = numbers(
        columns | chance,
        f"Posterior distributions of {outcome.lower()}: the numbers behind the figure",
        {"distribution": ""}
        | {name: (name.capitalize(), "percent") for name in ("median", "lower", "upper")}
        | {name: (f"Probability {name}", "number3") for name in chance},
    )
    alt = f"Posterior distributions of {outcome.lower()}. {told}"
    return Note("Posterior distributions", alt, caption, made)
