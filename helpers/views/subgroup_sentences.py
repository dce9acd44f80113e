"""What can be said of a test between groups: one line of numbers, and one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import printing
from ..engine.options import FEW_IN_GROUP

if TYPE_CHECKING:
    from ..models.subgroup_analysis import SubgroupResult

__all__ = ["between_line", "between_verdict", "weak_groups"]

_FEWER = f"fewer than {printing.word(FEW_IN_GROUP)}"
#: Level of the sentence.
ALPHA = 0.05


def between_line(result: SubgroupResult) -> str:
    """Give the test between groups, its calibrated p-value and the test with one variance.

    Examples
    --------
    >>> from helpers.models.subgroup_analysis import subgroups
    >>> result = subgroups(events=[0, 0, 3, 8], n=[9, 9, 40, 60], by=list("aabb"), model="glmm")
    >>> between_line(result)
    'no test between groups: fewer than two of them have a finite mean'
    """
    test = result.test
    if not test.df:
        return test.kind
    text = (
        f"Q = {printing.number(test.statistic, 2)} (df = {printing.count(test.df)}), "
        f"{printing.p_value(test.p)}; calibrated {printing.p_value(result.calibrated_test().p)}"
    )
    common = result.common_test() if result.group_tau2 == "separate" else None
    if common is not None:
        text += f"; with one τ² for all groups {printing.p_value(common.p)}"
    gone = [name for name in result.groups if name not in result.compared]
    if gone:
        text += f" (without {printing.listing(gone)})"
    return text


def weak_groups(result: SubgroupResult) -> tuple[str, ...]:
    """Say why the variances of the compared groups are poorly known; empty if they are not.

    Only variances of their own count: one for all groups, or none, is not a group's.
    """
    if result.group_tau2 == "common" or result.overall.model == "common":
        return ()
    fits = {name: result.groups[name] for name in result.compared}
    few = [name for name, fit in fits.items() if fit.k < FEW_IN_GROUP]
    zero = [name for name, fit in fits.items() if fit.k >= FEW_IN_GROUP and fit.tau2 == 0.0]
    found = []
    if few:
        found.append(f"{printing.listing(few)} {'has' if len(few) == 1 else 'have'} {_FEWER}")
    if zero:
        found.append(f"τ² of {printing.listing(zero)} is estimated as zero, its boundary")
    return tuple(found)


def between_verdict(result: SubgroupResult, many: str = "studies") -> str:
    """Say in a sentence or two what the calibrated test shows.

    "More than chance would explain" is said only where the calibrated p-value is below 0.05 and
    no group rests on fewer than five studies or on a variance at its boundary.

    Parameters
    ----------
    result : SubgroupResult
    many : str
        What the studies are called.

    Examples
    --------
    >>> from helpers.models.subgroup_analysis import subgroups
    >>> result = subgroups(
    ...     events=[3, 8, 5, 6, 2, 9], n=[40, 60, 50, 50, 90, 70], by=list("aaabbb"),
    ...     model="common", method="likelihood",
    ... )
    >>> between_verdict(result).partition(" (")[0]
    'Groups lay at least as far apart in 371 of 1,000 simulated data sets without a difference'
    """
    if not result.test.df:
        return f"There is {result.test.kind}."
    found = result.calibrated_test()
    chance = (
        f"roups lay at least as far apart in {printing.count(found.extreme)} of "
        f"{printing.count(found.draws)} simulated data sets without a difference (calibrated "
        f"{printing.p_value(found.p)})"
    )
    weak = weak_groups(result)
    if found.p >= ALPHA:
        return f"G{chance}."
    if weak:
        reasons = "; ".join(weak).replace(_FEWER, f"{_FEWER} {many}")
        return f"G{chance}; {reasons}."
    return f"The groups differ by more than chance would explain: g{chance}."
