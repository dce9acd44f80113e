"""The forest plot of groups: pooled estimates only, one row per group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....errors import MetaAnalysisError
from ...subgroup_sentences import between_line
from ...subject import NEUTRAL, Subject
from .. import style
from ..frame import Axes
from ..note import annotate
from .forest_plot import draw_rows
from .layouts import BOOK
from .note import groups_note
from .rows import ending, group_rows, is_grouped

LAYOUT = replace(BOOK, heads=BOOK.heads | {"label": "Group"})


@style.themed
def subgroup_forest(
    results: Mapping[str, Any],
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    prediction: bool = True,
    width: float = 760.0,
) -> Axes:
    """Draw the pooled estimates of groups, for one or more groupings of the same studies.

    Parameters
    ----------
    results : mapping of str to SubgroupResult
        Heading of each grouping, such as "Disease", and its result.
    ax, subject, prediction, width
        As in :func:`helpers.plots.forest`.

    Raises
    ------
    MetaAnalysisError
        When there is no result, or the results do not pool the same studies.

    Examples
    --------
    >>> from helpers import subgroups
    >>> from helpers.views.plots import show
    >>> by = subgroups(
    ...     events=[3, 8, 16, 5], n=[40, 60, 50, 70], by=["A", "A", "B", "B"], model="random"
    ... )
    >>> show(subgroup_forest({"Kind": by}), "two-kinds")  # doctest: +ELLIPSIS
    Forest plot of proportion by kind. ...
    """
    if not results:
        raise MetaAnalysisError("subgroup_forest() needs at least one result")
    if not all(is_grouped(result) for result in results.values()):
        raise MetaAnalysisError(
            "subgroup_forest() needs results of subgroups(), each by its heading"
        )
    whole = next(iter(results.values())).overall
    for heading, result in results.items():
        if (result.overall.k, result.overall.mu) != (whole.k, whole.mu):
            raise MetaAnalysisError(f"{heading!r} does not pool the same studies as the first")
    subject = subject.of_measure(whole.measure)
    ends, remarks = ending(whole, prediction)
    rows = [*group_rows(results, subject), *ends]
    tests = [
        f"{heading}, between groups: {between_line(result)}"
        for heading, result in results.items()
        if len(result.groups) > 1
    ]
    ax = draw_rows(rows, [*tests, *remarks], whole, subject, ax, None, width, LAYOUT)
    annotate(ax, groups_note(results, rows, [*tests, *remarks], subject), subject)
    return ax
