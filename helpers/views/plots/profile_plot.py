"""The profile likelihood of the between-study variance or of the mean, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import printing
from ..subject import NEUTRAL, Subject
from . import style
from .frame import axes_of, number_ticks
from .note import Note, annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...models.profiles import Parameter, ProfileCurve
    from ..tables import Table

__all__ = ["profile"]


@style.themed
def profile(
    fit: Any,
    parameter: Parameter = "tau2",
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    level: float | None = None,
    width: float = 560.0,
) -> Axes:
    """Draw how fast the likelihood falls on either side of the estimate.

    Parameters
    ----------
    fit : PoolResult
        A GLMM, or random effects by ML (both parameters) or REML (tau2 only).
    parameter : {"tau2", "mu"}
        The between-study variance (model scale) or the pooled estimate (display scale).
    level : float, optional
        Of the interval; default: the level of the fit.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Log-likelihood minus its maximum, the height at which the interval is read off, and its
        limits. With a note that ``show`` picks up.

    Raises
    ------
    UnsupportedError
        As :func:`helpers.models.profiles.profile_curve`.

    References
    ----------
    Hardy RJ, Thompson SG (1996),
    doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[3, 0, 8, 12], n=[40, 25, 60, 55], model="glmm")
    >>> show(profile(fit), "profile-of-four")  # doctest: +ELLIPSIS
    Profile likelihood of τ²: a curve with its top at 0.378, ...
    """
    from matplotlib.ticker import MaxNLocator

    from ...models.profiles import profile_curve

    curve = profile_curve(fit, parameter, level=level)
    outcome = subject.of_measure(fit.measure).outcome
    ax = axes_of(ax, width, 330, left=62, right=18, bottom=52.8, top=23.1)
    percent = parameter == "mu" and fit.n is not None
    x = _shown(fit, curve, curve.values)
    at = float(_shown(fit, curve, np.array([curve.estimate]))[0])
    ax.set_ylim(1.45 * curve.cutoff, -0.14 * curve.cutoff)
    keep = curve.drop >= 1.45 * curve.cutoff
    ax.set_xlim(x[keep].min(), x[keep].max())
    ax.plot(x, curve.drop, color=style.INK.light, lw=1.8, zorder=3, gid="profile")
    ax.axhline(curve.cutoff, color=style.QUIET.light, lw=1, dashes=(4, 3), zorder=1)
    ax.plot([at, at], [ax.get_ylim()[0], 0], color=style.QUIET.light, lw=1, zorder=2)
    ax.plot([at], [0], "o", color=style.INK.light, ms=6, zorder=4)
    for limit in _shown(fit, curve, np.array(curve.interval)):
        if np.isfinite(limit):
            ends = [ax.get_ylim()[0], min(curve.cutoff, 0)]
            ax.plot([limit, limit], ends, color=style.INK.light, lw=1.2, zorder=2)
    ax.text(
        0.995,
        curve.cutoff,
        f"{printing.level_text(curve.level)} limit",
        transform=ax.get_yaxis_transform(),
        ha="right",
        va="bottom",
        size=style.size("small"),
        color=style.QUIET.light,
    )
    factor = 100 if percent else 1
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    number_ticks(ax.xaxis, factor)
    ax.set_xlabel(_axis(fit, curve, outcome, percent), labelpad=5)
    ax.set_ylabel("Log-likelihood below its maximum", labelpad=6)
    annotate(ax, _note(fit, curve, x, outcome, percent))
    return ax


def _axis(fit: Any, curve: ProfileCurve, outcome: str, percent: bool) -> str:
    if curve.parameter == "tau2":
        return f"Between-study variance τ² ({fit.scale.name} scale)"
    return f"{outcome}, %" if percent else outcome


def _shown(fit: Any, curve: ProfileCurve, values: np.ndarray) -> np.ndarray:
    """Values on the scale of the axis."""
    if curve.parameter == "tau2":
        return values
    return np.array([fit.to_display(v) if np.isfinite(v) else v for v in values])


def _note(fit: Any, curve: ProfileCurve, x: np.ndarray, outcome: str, percent: bool) -> Note:
    what = "τ²" if curve.parameter == "tau2" else printing.lower(outcome)
    unit: Any = "percent" if percent else "number"
    digits = 1 if percent else 3
    limits = _shown(fit, curve, np.array(curve.interval))
    at = float(_shown(fit, curve, np.array([curve.estimate]))[0])
    value = printing.percent(at, 1) if percent else printing.number(at, digits)
    sure = printing.level_text(curve.level)
    kind = "restricted likelihood" if curve.restricted else "likelihood"
    if np.isfinite(limits).all():
        bounds = printing.interval(tuple(limits), curve.level, unit=unit, digits=digits)
        sides = (at - limits[0], limits[1] - at)
        wider = "upwards" if sides[1] > sides[0] else "downwards"
        ratio = printing.number(max(sides) / max(min(sides), 1e-300), 1)
        lean = (
            f"It reaches {ratio} times as far {wider} as the other way."
            if max(sides) > 1.05 * min(sides)
            else "It reaches about as far to both sides."
        )
    else:
        bounds, lean = f"{sure} CI without a finite limit on one side", "The data do not bound it."
    zero = ""
    if curve.parameter == "tau2":
        zero = (
            " Zero lies outside the interval."
            if limits[0] > 0
            else " Zero lies inside the interval: a common value cannot be ruled out."
        )
    return Note(
        title=f"Profile likelihood of {what}",
        alt=f"Profile likelihood of {what}: a curve with its top at {value}, {bounds}. {lean}"
        + zero,
        caption=f"The profile {kind} puts {what} at {value} ({bounds}). {lean}{zero}",
        table=_table(curve, x, what, percent),
    )


def _table(curve: ProfileCurve, x: np.ndarray, what: str, percent: bool) -> Table:
    import pandas as pd

    from ..tables import table

    marked = {curve.estimate: "estimate", **dict.fromkeys(curve.interval, "limit")}
    # Every tenth point is enough to redraw the curve by hand.
    held = np.asarray(curve.values)
    keep = [i for i, v in enumerate(held) if i % 10 == 0 or float(v) in marked]
    frame = pd.DataFrame(
        {
            "value": x[keep],
            "drop": curve.drop[keep],
            "what": [marked.get(float(v), "") for v in held[keep]],
        }
    )
    unit = f",{printing.HARD}%" if percent else ""
    return table(
        frame,
        caption="The numbers behind the profile",
        formats={"value": "percent2" if percent else "number3", "drop": "number3"},
        labels={
            "value": f"{printing.capital(what)}{unit}",
            "drop": "Log-likelihood below its maximum",
            "what": "Which",
        },
    )
