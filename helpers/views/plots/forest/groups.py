"""The forest plot of groups: pooled estimates only, one row a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ....errors import MetaAnalysisError
from ...subgroup_sentences import between_line
from .. import style
from ..picture import annotate
from .forest_plot import draw_rows, outcome_of
from .note import Words, groups_note
from .rows import ending, group_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["subgroup_forest"]


@style.themed
def subgroup_forest(
    results: Mapping[str, Any],
    *,
    ax: Axes | None = None,
    outcome: str | None = None,
    events_name: str = "Deaths",
    n_name: str = "Patients",
    noun: tuple[str, str] = ("cohort", "cohorts"),
    prediction: bool = True,
    xlim: tuple[float, float] | None = None,
    width: float = 760.0,
) -> Axes:
    """Draw the pooled estimates of groups, for one or more groupings of the same studies.

    Parameters
    ----------
    results : mapping of str to SubgroupResult
        Heading of each grouping, such as "Disease", and its result.
    ax, outcome, events_name, n_name, noun, prediction, xlim, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        With a note (alt text, caption, table) that ``show`` picks up.

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
    Forest plot of nonrelapse mortality by kind. ...
    """
    if not results:
        raise MetaAnalysisError("subgroup_forest() needs at least one result")
    whole = next(iter(results.values())).overall
    for heading, result in results.items():
        if (result.overall.k, result.overall.mu) != (whole.k, whole.mu):
            raise MetaAnalysisError(f"{heading!r} does not pool the same studies as the first")
    words = Words(outcome or outcome_of(whole), events_name, n_name, *noun, head="Group")
    ends, remarks = ending(whole, prediction)
    rows = [*group_rows(results, noun), *ends]
    tests = [
        f"{heading}, between groups: {between_line(result)}"
        for heading, result in results.items()
        if len(result.groups) > 1
    ]
    ax = draw_rows(rows, [*tests, *remarks], whole, words, ax, xlim, width)
    annotate(ax, groups_note(results, rows, [*tests, *remarks], words))
    return ax
