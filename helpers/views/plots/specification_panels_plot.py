"""Several claims at a glance: a small specification curve for each, without its choices."""

from __future__ import annotations

from collections.abc import Mapping

from ... import printing
from ...checks.multiverse.claim_result import ClaimMultiverse
from ...errors import MetaAnalysisError
from . import style
from .frame import Axes, axes_of, figure_of, place_axes, room_of_axes
from .lettering import wrapped
from .note import Note, annotate, numbers
from .specification_curve_plot import curve_of_claim, draw_estimates, draw_mark

PANEL, LEFT, RIGHT, BELOW, TOP = 246.0, 46.0, 14.0, 34.0, 78.0  # CSS pixels


@style.themed
def specification_panels(
    results: Mapping[str, ClaimMultiverse],
    *,
    marks: Mapping[str, int] | None = None,
    ax: Axes | None = None,
    width: float = 760.0,
) -> Axes:
    """Draw the sorted estimates of several claims, one small panel each.

    Parameters
    ----------
    results : mapping of title to ClaimMultiverse
        From `helpers.review.claim_multiverse` or `helpers.review.judge`.
    marks : mapping of title to int, optional
        Number of the specification that is pointed out in a panel.
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        The first panel; the others are axes of the same figure. Grey lines are intervals (medians
        over neighbours), the dashed line is what the claim asks for.

    Raises
    ------
    MetaAnalysisError
        Without a claim, or for one without results.

    Examples
    --------
    >>> from helpers import load_cohorts, review
    >>> from helpers.views.plots import show
    >>> half = review.claim_multiverse(load_cohorts(), "infection-half")
    >>> show(specification_panels({"More than half": half}), "half")  # doctest: +ELLIPSIS
    Small specification curves of one claim. ...
    """
    if not results or not all(result.ok.any() for result in results.values()):
        raise MetaAnalysisError("specification_panels() needs claims with results")
    across = 1 if width < style.NARROW else min(2, len(results))
    down = -(-len(results) // across)
    ax = axes_of(ax, width, PANEL * down, left=0, right=0, bottom=0, top=0)
    figure, (x0, y0, wide, tall) = figure_of(ax), room_of_axes(ax)
    wide, tall = wide / across, tall / down
    for i, (title, result) in enumerate(results.items()):
        panel = figure.add_axes((0, 0, 1, 1)) if i else ax
        row, column = divmod(i, across)
        left, bottom = x0 + column * wide + LEFT, y0 + (down - 1 - row) * tall + BELOW
        place_axes(panel, left, bottom, wide - LEFT - RIGHT, tall - BELOW - TOP)
        curve = curve_of_claim(result)
        ratio = "Ratio, logarithmic scale" if curve.unit == "ratio" else None
        draw_estimates(panel, curve, ratio)
        if marks and title in marks:
            draw_mark(panel, curve, marks[title], "published")
        panel.set_xlabel(f"{printing.count(curve.count)} analyses", labelpad=6)
        lines = wrapped(figure, [title], 0.92 * (wide - LEFT - RIGHT))
        panel.set_title("\n".join(lines[:2]), pad=31, size=style.size("text"))
    annotate(ax, _note(results))
    return ax


def _note(results: Mapping[str, ClaimMultiverse]) -> Note:
    whole = [r.share_supporting.count == r.share_supporting.of for r in results.values()]
    secure = [r.share_certain.count == r.share_certain.of for r in results.values()]
    if len(results) == 1:
        first, second = ("every" if all(found) else "not every" for found in (whole, secure))
        finding = (
            f"{printing.capital(first)} analysis supports the claim by its estimate, and {second} "
            "one by its whole interval."
        )
    else:
        finding = (
            f"Every analysis supports {printing.of_total(sum(whole), len(results))} claims by its "
            f"estimate, and {printing.of_total(sum(secure), len(results))} by its whole interval."
        )
    said = "; ".join(f"{title}: {result.sentence}" for title, result in results.items())
    return Note(
        "Small specification curves",
        f"Small specification curves of {printing.counted(len(results), 'claim')}. {said}. "
        f"{finding}",
        f"{finding} From left to right, analyses in the order of their estimates (line) with "
        "their intervals (bars, medians over neighbours); the dashed line is the threshold of the "
        "claim, the circle the published analysis.",
        numbers(
            {
                "claim": list(results),
                "analyses": [int(r.ok.sum()) for r in results.values()],
                "estimate": [r.share_supporting.fraction for r in results.values()],
                "interval": [r.share_certain.fraction for r in results.values()],
            },
            "Claims: the numbers behind the figure",
            {
                "claim": "", "analyses": "count", "estimate": ("Estimate supports", "percent"),
                "interval": ("Whole interval supports", "percent"),
            },
        ),
    )  # fmt: skip
