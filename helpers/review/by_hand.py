"""Five cohorts for sums by hand: few enough for a board, and the same in all chapters."""

from __future__ import annotations

import pandas as pd

from ..errors import MetaAnalysisError

#: LBCL, two products, follow-up from 3 to 63 months, deaths in each.
FIVE = ("Kwon 2023 A", "Kwon 2023 B", "Bishop 2022", "Neelapu 2023", "Chiappella 2024")
_COLUMNS = {
    "cohort": "cohort",
    "product": "product",
    "nonrelapse_deaths": "events",
    "patients": "n",
    "median_follow_up_months": "months",
}


def five_cohorts(cohorts: pd.DataFrame) -> pd.DataFrame:
    """Take the five cohorts of sums by hand: cohort, product, events, n, months.

    In place of one of the five that is not in the table comes the first other cohort of one product
    that has deaths, survivors and a follow-up. `MetaAnalysisError` when fewer than three can be
    used.

    >>> from helpers import load_cohorts
    >>> five_cohorts(load_cohorts())["events"].tolist()
    [9, 5, 9, 13, 6]
    """
    usable = cohorts[
        (cohorts["nonrelapse_deaths"] > 0)
        & (cohorts["nonrelapse_deaths"] < cohorts["patients"])
        & ~cohorts["product"].astype(str).str.contains("+", regex=False)
        & cohorts["median_follow_up_months"].notna()
    ]
    place = usable["cohort"].map({name: i for i, name in enumerate(FIVE)}).fillna(len(FIVE))
    found = usable.loc[place.sort_values(kind="stable").index[: len(FIVE)], list(_COLUMNS)]
    if len(found) < 3:
        raise MetaAnalysisError(
            "sums by hand need at least three cohorts of one product with deaths, survivors and a "
            f"median follow-up; in this table there are {len(found)}. Leave the cells by hand "
            "out, or take the book's own cohorts there: review.five_cohorts(load_cohorts())"
        )
    found["product"] = found["product"].astype(str)
    return found.rename(columns=_COLUMNS).reset_index(drop=True)
