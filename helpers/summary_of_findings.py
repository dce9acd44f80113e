"""Summary of findings: absolute numbers per 1,000 patients, with how sure the evidence makes us.

The five domains are those of GRADE (Guyatt et al. 2008, doi:10.1136/bmj.39489.470347.AD). For a
question about prognosis a body of cohort studies starts as high certainty (Iorio et al. 2015,
doi:10.1136/bmj.h870). Each domain that the evidence at hand can judge is judged by a rule that is
written here, with a number; where it cannot, nothing is invented: the domain is *not judged*, and
the certainty is an upper bound ("at most").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from helpers import prose
from helpers.causes import SPECIFIC, cause_share, product_interval
from helpers.evidence import load_cohorts, load_sources
from helpers.pooling import PoolResult, pool
from helpers.pooling.intervals import Interval
from helpers.published_models import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DOMAINS",
    "LEVELS",
    "RULES",
    "Finding",
    "Judgement",
    "findings_frame",
    "judgements_frame",
    "summary_of_findings",
]

_CAUSES: dict[str, str | tuple[str, ...]] = {
    "death from infection": "infection",
    "death from another malignancy": "other malignancy",
    "death from a CAR-T-specific side effect": SPECIFIC,
}
LEVELS = ("very low", "low", "moderate", "high")
DOMAINS = (
    "risk of bias",
    "inconsistency",
    "indirectness",
    "imprecision",
    "small-study effects",
)
#: What each rule asks; the numbers are ours, and open to disagreement.
RULES = {
    "risk of bias": (
        "Not judged: no study-level assessment is at hand. Needed: two people rating each study "
        "with a tool for prognosis, such as QUIPS."
    ),
    "inconsistency": (
        "One level down when the upper prediction limit is more than three times the lower, two "
        "when more than six times."
    ),
    "indirectness": (
        "One level down when the longest median follow-up among the cohorts is more than three "
        "times the shortest: crude shares then answer different questions."
    ),
    "imprecision": (
        "One level down when fewer than a hundred deaths stand behind the number, or the upper "
        "confidence limit is more than twice the lower."
    ),
    "small-study effects": (
        "One level down when the test with weights from size alone gives p below one in ten."
    ),
}
WIDE, VERY_WIDE = 3.0, 6.0
LONG = 3.0
FEW, UNSURE = 100, 2.0
ALARM = 0.1


@dataclass(frozen=True, slots=True)
class Judgement:
    """One domain of certainty for one finding.

    Attributes
    ----------
    domain : str
        One of `DOMAINS`.
    down : int or None
        Levels taken off; None where the evidence at hand allows no judgement.
    reason : str
        With the number that the rule looks at.
    """

    domain: str
    down: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the summary.

    Attributes
    ----------
    outcome, group : str
    cohorts, patients, deaths : int
    estimate : float
        Fraction of the treated patients.
    ci : Interval
    prediction : Interval or None
        For a new centre; None where there is no model of cohorts (causes are known as totals).
    judgements : tuple of Judgement
        One a domain, in the order of `DOMAINS`.
    """

    outcome: str
    group: str
    cohorts: int
    patients: int
    deaths: int
    estimate: float
    ci: Interval
    prediction: Interval | None
    judgements: tuple[Judgement, ...]

    @property
    def certainty(self) -> str:
        """Level after all that could be judged, "at most" when something could not."""
        off = sum(one.down or 0 for one in self.judgements)
        level = LEVELS[max(0, len(LEVELS) - 1 - off)]
        if level != LEVELS[0] and any(one.down is None for one in self.judgements):
            return f"at most {level}"
        return level


@lru_cache(maxsize=1)
def summary_of_findings() -> tuple[Finding, ...]:
    """Summarise: nonrelapse mortality overall and by disease, and deaths by cause.

    Returns
    -------
    tuple of Finding

    Examples
    --------
    >>> rows = summary_of_findings()
    >>> rows[0].outcome, rows[0].cohorts, round(1000 * rows[0].estimate)
    ('nonrelapse death', 52, 68)
    """
    cohorts = load_cohorts()
    found = [_pooled("all diseases", cohorts)]
    found += [
        _pooled(entity, cohorts[cohorts["entity"] == entity])
        for entity in ("LBCL", "MM", "MCL", "IL")
    ]
    whole = found[0]
    for outcome, cause in _CAUSES.items():
        share = cause_share(cause)
        lower, upper = product_interval(whole.estimate, whole.ci, share.estimate, share.ci)
        ci = Interval(float(lower), float(upper))
        found.append(
            Finding(
                outcome,
                whole.group,
                whole.cohorts,
                whole.patients,
                share.deaths,
                whole.estimate * share.estimate,
                ci,
                None,
                _judge(share.deaths, ci, None, cohorts, None),
            )
        )
    return tuple(found)


def _pooled(group: str, part: pd.DataFrame) -> Finding:
    columns: dict[str, Any] = dict(COLUMNS)
    fit = pool(part, **columns, measure="logit", model="glmm")
    prediction = fit.prediction_interval()
    deaths = int(fit.events or 0)
    return Finding(
        "nonrelapse death",
        group,
        fit.k,
        int(fit.n or 0),
        deaths,
        fit.estimate,
        fit.ci,
        prediction,
        _judge(deaths, fit.ci, prediction, part, fit),
    )


def _judge(
    deaths: int,
    ci: Interval,
    prediction: Interval | None,
    part: pd.DataFrame,
    fit: PoolResult | None,
) -> tuple[Judgement, ...]:
    return (
        Judgement("risk of bias", None, _checked(part)),
        _inconsistency(prediction),
        _indirectness(part),
        _imprecision(deaths, ci),
        _small_studies(fit),
    )


def _checked(part: pd.DataFrame) -> str:
    """Say how much of the counts was seen in a source, the one thing at hand."""
    sources = load_sources().set_index("cohort").reindex(part["cohort"])
    seen = int((sources["deaths_check"] == "confirmed").sum())
    return (
        f"no study-level rating is at hand; a public text confirms the "
        f"deaths of {prose.count(seen)} of {prose.count(len(part))} cohorts"
    )


def _inconsistency(prediction: Interval | None) -> Judgement:
    if prediction is None:
        return Judgement("inconsistency", None, "causes are public as totals, not by cohort")
    ratio = prediction.upper / prediction.lower
    down = 2 if ratio > VERY_WIDE else int(ratio > WIDE)
    return Judgement(
        "inconsistency",
        down,
        f"a new centre may expect {_range(prediction)} in 1,000",
    )


def _indirectness(part: pd.DataFrame) -> Judgement:
    months = part["median_follow_up_months"].dropna()
    down = int(months.max() > LONG * months.min())
    return Judgement(
        "indirectness",
        down,
        f"median follow-up from {prose.number(months.min(), 1)} to {prose.months(months.max())}",
    )


def _imprecision(deaths: int, ci: Interval) -> Judgement:
    ratio = ci.upper / ci.lower
    down = int(deaths < FEW or ratio > UNSURE)
    return Judgement(
        "imprecision",
        down,
        f"{prose.counted(deaths, 'death')}, upper limit {prose.number(ratio, 1)} times the lower",
    )


def _small_studies(fit: PoolResult | None) -> Judgement:
    from helpers.bias import arcsine_test

    if fit is None:
        return Judgement("small-study effects", None, "causes are public as totals, not by cohort")
    if fit.k < 10:
        return Judgement(
            "small-study effects", None, f"{prose.word(fit.k)} cohorts are too few for a test"
        )
    p = arcsine_test(fit).p
    return Judgement("small-study effects", int(p < ALARM), f"test by size: {prose.p_value(p)}")


def findings_frame() -> pd.DataFrame:
    """Give the summary as a table: absolute numbers and certainty, one row a finding."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "outcome": row.outcome,
                "group": row.group,
                "per_1000": prose.number(1000 * row.estimate, 0),
                "interval": _range(row.ci),
                "new_centre": _range(row.prediction) if row.prediction else "–",
                "certainty": row.certainty,
                "cohorts": row.cohorts,
                "patients": row.patients,
                "deaths": row.deaths,
            }
            for row in summary_of_findings()
        ]
    )


def _range(bounds: Interval) -> str:
    return f"{prose.number(1000 * bounds.lower, 0)} to {prose.number(1000 * bounds.upper, 0)}"


def judgements_frame() -> pd.DataFrame:
    """Give every judgement with its reason: one row a finding, one column a domain."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"finding": f"{row.outcome}, {row.group}"}
            | {one.domain: _said(one) for one in row.judgements}
            for row in summary_of_findings()
        ]
    )


def _said(one: Judgement) -> str:
    if one.down is None:
        return f"not judged: {one.reason}"
    return f"{('no level', 'one level', 'two levels')[one.down]} down: {one.reason}"
