"""What a chapter that names groups needs of a table, said before the first number."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import printing
from ..door import pd
from ..errors import MetaAnalysisError
from ..evidence.tables import is_published

#: Products that the review compares within a disease.
_WITHIN = {"LBCL": ("axi-cel", "tisa-cel", "liso-cel"), "MM": ("cilta-cel", "ide-cel")}


def require(
    cohorts: pd.DataFrame,
    *,
    each: int = 2,
    among: str = "the table",
    **levels: Sequence[str],
) -> None:
    """Refuse a table that lacks cohorts of a group that a chapter compares by name.

    `levels` are those of a column that need `each` cohorts; the message names all that have fewer,
    says `among` what, and what to do.

    >>> from helpers import load_cohorts
    >>> table = load_cohorts()
    >>> require(table, product=["ide-cel", "cilta-cel"])
    >>> require(table[table["entity"] == "MM"], product=["ide-cel", "axi-cel"])
    Traceback (most recent call last):
    helpers.errors.MetaAnalysisError: this chapter compares groups by name and needs at least two \
cohorts of each; the table has none of axi-cel (product). Keep these cohorts in the table, or \
compare groups of your own with subgroups(cohorts, by=...), as in the chapter Your own table
    """
    few = []
    for column, names in levels.items():
        count = cohorts[column].astype(str).value_counts()
        few += [(int(count.get(name, 0)), f"{name} ({column})") for name in names]
    few = [(k, name) for k, name in few if k < each]
    if not few:
        return
    lacking = printing.listing(f"{'none' if not k else printing.word(k)} of {n}" for k, n in few)
    cohort = "one cohort" if each == 1 else f"at least {printing.counted(each, 'cohort')}"
    raise MetaAnalysisError(
        f"this chapter compares groups by name and needs {cohort} of each; {among} has {lacking}. "
        "Keep these cohorts in the table, or compare groups of your own with "
        "subgroups(cohorts, by=...), as in the chapter Your own table"
    )


def require_published_groups(cohorts: pd.DataFrame) -> None:
    """Refuse a table that lacks a disease or product that the review compares within diseases.

    >>> from helpers import load_cohorts
    >>> require_published_groups(load_cohorts())
    """
    require(cohorts, entity=list(_WITHIN), setting=["trial", "real-world"])
    for entity, products in _WITHIN.items():
        part = cohorts[cohorts["entity"].astype(str) == entity]
        require(part, among=f"the part of the table with {entity}", product=products)


def require_published(cohorts: pd.DataFrame) -> None:
    """Refuse any table but the review's, for what was frozen or printed from it.

    >>> from helpers import load_cohorts
    >>> require_published(load_cohorts())
    """
    if not is_published(cohorts):
        raise MetaAnalysisError(
            "this chapter describes the review's own table, from which its other numbers come, and "
            "this table differs from it; give load_cohorts() unchanged"
        )


def require_published_options(ours: Sequence[float], published: Sequence[float]) -> None:
    """Refuse tests by other options where sentences beside them speak of the published ones.

    These are the p-values of the calls in view, and of the published analyses of the same cohorts;
    they may differ by rounding.

    >>> require_published_options([0.2, 0.03], [0.2, 0.03])
    """
    for mine, theirs in zip(ours, published, strict=True):
        if not math.isclose(mine, theirs, rel_tol=1e-6, abs_tol=1e-9):
            raise MetaAnalysisError(
                f"a test in view has p = {mine:.4g} and the published one p = {theirs:.4g} on the "
                "same cohorts, so the options in view are others, and the sentences below would "
                "be wrong. Use the results above, or put the published options back"
            )
