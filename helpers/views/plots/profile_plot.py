"""The profile likelihood of the between-study variance or of the mean, with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import printing
from ...models.profiles import Parameter, ProfileCurve, profile_curve
from ..subject import NEUTRAL, Subject
from . import style
from .accepted import pooled_of
from .frame import Axes, axes_of, name_axes, number_ticks, round_places
from .note import Note, annotate, numbers


@style.themed
def profile(
    fit: Any,
    parameter: Parameter = "tau2",
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    width: float = 560.0,
) -> Axes:
    """Draw how fast the likelihood falls on either side of the estimate.

    Parameters
    ----------
    fit : PoolResult
        A GLMM, or random effects by ML (both parameters) or REML (tau2 only).
    parameter : {"tau2", "mu"}
        The between-study variance (model scale) or the pooled estimate (display scale).
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Log-likelihood minus its maximum, the height at which the interval is read off, and its
        limits.

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
    curve = profile_curve(pooled_of(fit, "profile"), parameter)
    outcome = subject.of_measure(fit.measure).outcome
    percent = parameter == "mu" and fit.n is not None
    x, at, limits = (
        _shown(fit, curve, v) for v in (curve.values, [curve.estimate], curve.interval)
    )
    ax = axes_of(ax, width, 330, left=62, right=18, bottom=52.8, top=23.1)
    ax.set_ylim(1.45 * curve.cutoff, -0.14 * curve.cutoff)
    keep = curve.drop >= 1.45 * curve.cutoff
    ax.set_xlim(x[keep].min(), x[keep].max())
    ink, quiet, foot = style.INK.light, style.QUIET.light, ax.get_ylim()[0]
    ax.plot(x, curve.drop, color=ink, lw=1.8, zorder=3, gid="profile")
    ax.axhline(curve.cutoff, color=quiet, lw=1, dashes=(4, 3), zorder=1)
    ax.plot([at[0], at[0]], [foot, 0], color=quiet, lw=1, zorder=2)
    ax.plot(at, [0], "o", color=ink, ms=6, zorder=4)
    for limit in limits[np.isfinite(limits)]:
        ax.plot([limit, limit], [foot, min(curve.cutoff, 0)], color=ink, lw=1.2, zorder=2)
    ax.text(
        0.995, curve.cutoff, f"{printing.level_text(curve.level)} limit", ha="right", va="bottom",
        transform=ax.get_yaxis_transform(), size=style.size("small"), color=quiet,
    )  # fmt: skip
    ax.xaxis.set_major_locator(round_places(7))
    number_ticks(ax.xaxis, 100 if percent else 1)
    variance = f"Between-study variance τ² ({fit.scale.name} scale)"
    mean = f"{outcome}, %" if percent else outcome
    name_axes(ax, variance if parameter == "tau2" else mean, "Log-likelihood below its maximum")
    what = "τ²" if parameter == "tau2" else printing.lower(outcome)
    annotate(ax, _note(curve, what, x, float(at[0]), limits, percent=percent))
    return ax


def _shown(fit: Any, curve: ProfileCurve, values: Any) -> np.ndarray:
    """Values on the scale of the axis."""
    if curve.parameter == "tau2":
        return np.asarray(values)
    return np.array([fit.to_display(v) if np.isfinite(v) else v for v in values])


def _note(
    curve: ProfileCurve, what: str, x: np.ndarray, at: float, limits: np.ndarray, *, percent: bool
) -> Note:
    value = printing.percent(at, 1) if percent else printing.number(at, 3)
    kind = "restricted likelihood" if curve.restricted else "likelihood"
    bounds = f"{printing.level_text(curve.level)} CI without a finite limit on one side"
    lean = "The data do not bound it."
    if np.isfinite(limits).all():
        unit: Any = "percent" if percent else "number"
        bounds = printing.interval(
            tuple(limits), curve.level, unit=unit, digits=1 if percent else 3
        )
        near, far = sorted(sides := (at - limits[0], limits[1] - at))
        lean = "Both limits are about equally far from the estimate."
        if far > 1.05 * near:
            wider = "upper" if sides[1] > sides[0] else "lower"
            ratio = printing.number(far / max(near, 1e-300), 1)
            lean = f"The {wider} limit is {ratio} times as far from the estimate as the other."
    zero = ""
    if curve.parameter == "tau2":
        zero = (
            " The interval excludes zero."
            if limits[0] > 0
            else " The interval contains zero, so a common value cannot be ruled out."
        )
    marked = {curve.estimate: "estimate", **dict.fromkeys(curve.interval, "limit")}
    # Every tenth point is enough to redraw the curve by hand.
    held = np.asarray(curve.values)
    keep = [i for i, v in enumerate(held) if i % 10 == 0 or float(v) in marked]
    return Note(
        f"Profile likelihood of {what}",
        f"Profile likelihood of {what}: a curve with its top at {value}, {bounds}. {lean}{zero}",
        f"The profile {kind} puts {what} at {value} ({bounds}). {lean}{zero}",
        numbers(
            {
                "value": x[keep],
                "drop": curve.drop[keep],
                "what": [marked.get(float(v), "") for v in held[keep]],
            },
            "The numbers behind the profile",
            {
                "value": (printing.capital(what), "percent2" if percent else "number3"),
                "drop": ("Log-likelihood below its maximum", "number3"),
                "what": ("Which", ""),
            },
        ),
    )
