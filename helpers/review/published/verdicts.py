"""The claims of the abstract: each with our number, the checks it was put to, and a verdict.

A claim is *reproduced* when its number comes out as printed; *reproduced, but fragile* when it
does and one of the checks below fails; *not reproducible from public data* when its number does
not come out and no public table says why. The checks of a claim are fixed here, before their
results are known: an interval that excludes the contrary, the test of the whole model, a
permutation test, the binomial model, the corrected table, and all defensible analyses at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from ... import printing
from ...engine.distributions import norm_sf
from ...errors import MetaAnalysisError
from ...evidence import load_cohorts, load_published, load_sources
from ...evidence.corrections import apply_corrections
from ...models.regression_result import RegressionResult
from ...shared_results import shared_in_a_build
from ..claim_choices import WORDS
from .models import (
    published_fits,
    published_permutation,
    published_regression,
    published_subgroup,
)
from .status import DIFFERS, Comparison, compare

if TYPE_CHECKING:
    from ...checks.multiverse.claim_result import ClaimMultiverse

REPRODUCED = "reproduced"
FRAGILE = "reproduced, but fragile"
NOT_PUBLIC = "not reproducible from public data"
VERDICTS = (REPRODUCED, FRAGILE, NOT_PUBLIC)

ALPHA = 0.05
MOST = 0.95  # share of all defensible analyses from which a claim holds "in nearly all"
#: Claim of the abstract -> the page of the book with it, and perhaps a claim of the multiverse.
_ABSTRACT: dict[str, dict[str, str]] = WORDS["abstract"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check that a claim was put to."""

    name: str  # What would have to hold
    holds: bool
    found: str  # What was found, as text


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """One claim of the abstract and what became of it."""

    key: str
    statement: str
    published: str  # The number that the abstract gives, with its unit; empty without one
    ours: str  # Ours, in the same form; for a claim without a number the result it rests on
    verdict: str  # One of `VERDICTS`
    checks: tuple[Check, ...]
    where: str  # Page (and section) of the book that shows it
    note: str

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that fail."""
        return tuple(check for check in self.checks if not check.holds)


def _numbers() -> dict[str, float]:
    """Compute the number of each claim that gives one, in the unit of the abstract."""
    from ..causes import SPECIFIC, cause_share

    cohorts = load_cohorts()
    papers = load_sources().merge(cohorts[["cohort", "setting"]], on="cohort")
    studies = papers.groupby(papers["setting"].astype(str))["publication"].nunique()
    causes = {
        "infection": "infection",
        "malignancy": "other malignancy",
        "cardiovascular": "cardiovascular or respiratory",
        "car-t-specific": SPECIFIC,
    }
    return {
        "patients": int(cohorts["patients"].sum()),
        "trials": int(studies["trial"]),
        "real-world": int(studies["real-world"]),
        "deaths": int(cohorts["nonrelapse_deaths"].sum()),
        **{name.lower(): 100 * fit.estimate for name, fit in published_fits("entity").items()},
        **{key: 100 * cause_share(names).estimate for key, names in causes.items()},
    }


def _studies_reason() -> str:
    """Say what is known about the studies behind the cohorts."""
    unknown = int((load_sources()["doi_status"] == "missing").sum())
    return (
        "Cohorts of one publication are one study here. Which cohorts the review counts as one "
        f"study is not public, and the publication of {printing.counted(unknown, 'cohort')} could "
        "not be identified."
    )


@lru_cache(maxsize=1)
def claim_comparisons() -> tuple[Comparison, ...]:
    """Compare the numbers of the abstract with ours.

    >>> {one.analysis: one.status for one in claim_comparisons()}["mcl"]
    'identical as printed'
    """
    ours = _numbers()
    found = []
    for row in _rows():
        if row["claim"] in ours:
            reason = _studies_reason() if row["unit"] == "studies" else ""
            args = ("claims", row["claim"], "", row["unit"], row["value_printed"])
            found.append(compare(*args, ours[row["claim"]], reason=reason))
    return tuple(found)


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = load_published("claims").to_dict("records")  # type: ignore[assignment]
    return rows


def _below(name: str, p: float) -> Check:
    return Check(name, p < ALPHA, printing.p_value(p))


def _order_checks() -> list[Check]:
    """Put to the test whether MCL is really above the others."""
    groups = published_subgroup("entity")
    one, other = groups.groups["MCL"], groups.groups["LBCL"]
    z = abs(one.mu - other.mu) / (one.se**2 + other.se**2) ** 0.5
    return [
        _below("The diseases differ (Wald test)", groups.test.p),
        _below("The diseases differ (likelihood-ratio test)", groups.likelihood_ratio_test().p),
        _below("MCL lies above LBCL (Wald test)", 2 * float(norm_sf(z))),
    ]


def _product_p(fit: RegressionResult) -> float:
    return fit.test_terms("product").p


def _independence_checks(model: str) -> list[Check]:
    """Test whether the product matters when the other factors are in the model."""
    fit = published_regression(model)
    drawn = published_permutation(model)
    binomial = published_regression(model, model="glmm", ci_method="wald")
    corrected = published_regression(model, apply_corrections(load_cohorts()).data)
    return [
        _below("Product matters with the other factors in the model (published)", _product_p(fit)),
        _below("The model as a whole explains something (omnibus test)", fit.omnibus.p),
        _below("Product matters by permutation", drawn.term_p["product"]),
        _below("Product matters in a binomial model", _product_p(binomial)),
        _below("Product matters with all corrections", _product_p(corrected)),
        Check(
            "Ten cohorts for each moderator term",
            fit.k >= 10 * (len(fit.coefficients) - 1),
            f"{printing.count(fit.k)} cohorts, {printing.word(len(fit.coefficients) - 1)} terms",
        ),
    ]


def _infection_checks() -> list[Check]:
    from ..causes import infection_share, share_bounds

    share, bounds = infection_share(), share_bounds()
    return [
        Check(
            "The interval of the share lies above half",
            share.ci.lower > 0.5,
            printing.percent_range(share.ci),
        ),
        Check(
            "It is above half whatever the unknown deaths were",
            bounds.bounds.lower > 0.5,
            printing.percent_range(bounds.bounds),
        ),
    ]


_CHECKS: Mapping[str, Callable[[], list[Check]]] = {
    "mcl": _order_checks,
    "axi-cel": lambda: _independence_checks("LBCL: all factors"),
    "cilta-cel": lambda: _independence_checks("MM: all factors"),
    "infection": _infection_checks,
}


def _multiverse(key: str) -> ClaimMultiverse:
    from ..claim_analyses import claim_multiverse

    return claim_multiverse(load_cohorts(), key)


def _multiverse_check(key: str) -> Check:
    result = _multiverse(_ABSTRACT[key]["multiverse"])
    share = result.share_certain
    return Check(
        "Supported by the whole interval in nearly all defensible analyses",
        share.count >= MOST * share.of,
        result.sentence.removeprefix("is supported "),
    )


@lru_cache(maxsize=1)
@shared_in_a_build
def claims() -> tuple[CheckedClaim, ...]:
    """Give every claim of the abstract its verdict.

    Examples
    --------
    >>> {claim.key: claim.verdict for claim in claims()}["deaths"]
    'reproduced'
    """
    numbers = {one.analysis: one for one in claim_comparisons()}
    found = []
    for row in _rows():
        key = row["claim"]
        checks = (*_CHECKS[key](), _multiverse_check(key)) if key in _CHECKS else ()
        number = numbers.get(key)
        if number is None and not checks:
            raise MetaAnalysisError(f"claim {key!r} has neither a number nor a check")
        met = number.status != DIFFERS if number else checks[0].holds
        sound = all(check.holds for check in checks)
        verdict = NOT_PUBLIC if not met else REPRODUCED if sound else FRAGILE
        published, ours, note = "", checks[0].found if checks else "", ""
        if number:
            published, ours = (_with_unit(x, row) for x in (row["value"], number.ours))
            note = number.note
        if key == "infection":  # a claim of the abstract that depends on definitions
            result = _multiverse("infection")
            book = f"The book's claim, “{result.claim.statement}”, {result.sentence}."
            note = f"{note} {book}".strip()
        page = _ABSTRACT[key]["page"]
        said = (key, row["statement"], published, ours, verdict, checks, page, note)
        found.append(CheckedClaim(*said))
    return tuple(found)


def _with_unit(value: float, row: Mapping[str, Any]) -> str:
    if row["unit"] == "percent":
        return printing.percent(float(value) / 100)
    return printing.count(value)


def claims_frame() -> pd.DataFrame:
    """Give the claims as a table: one row per claim, failed checks in words."""
    rows = []
    for claim in claims():
        why = [*(f"Fails: {c.name} ({c.found})." for c in claim.failed), claim.note]
        ours = (claim.ours, claim.verdict, " ".join(why).strip() or "–")
        rows.append((claim.statement, claim.published or "–", *ours))
    return pd.DataFrame(rows, columns=["claim", "published", "ours", "verdict", "why"])
