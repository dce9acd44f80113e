"""Summary of findings: absolute numbers per 1,000 patients, with how sure the evidence makes us.

The numbers are means across cohorts (`PoolResult.mean_estimate`), which is what "of 1,000 patients"
speaks of; the published rate is that of the median cohort.

The five domains are those of GRADE (Guyatt et al. 2008, doi:10.1136/bmj.39489.470347.AD). For a
question about prognosis a body of cohort studies starts as high certainty (Iorio et al. 2015,
doi:10.1136/bmj.h870). Each domain that the evidence at hand can judge is judged by a rule that is
written here, with a number. What a number means in plain words follows its certainty ("may" for
low, "probably" for moderate; Santesso et al. 2020, doi:10.1016/j.jclinepi.2019.10.014). Missing
information never raises a rating: a domain that one finding cannot judge takes as many levels as
the worst judgement of the same domain among the pooled findings, a share of deaths takes the
judgement of the total that it is a share of, and where no finding can be judged the certainty is
an upper bound ("at most").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import printing
from ..checks.bias import arcsine_test
from ..engine.distributions import norm_ppf
from ..engine.normal.intervals import Interval
from ..engine.normal.prediction import displayed_prediction
from ..engine.options import FEW_STUDIES
from ..evidence import load_cohorts, load_sources
from ..evidence.pages import page_content
from ..models.pooling import pool
from ..models.result import PoolResult
from .causes import SPECIFIC, cause_share
from .causes.shares import product_interval
from .choices import COLUMNS, PUBLISHED_POOLING
from .subject import disease

__all__ = [
    "DOMAINS",
    "LEVELS",
    "RULES",
    "Finding",
    "Judgement",
    "causes_are_known",
    "findings_frame",
    "judgements_frame",
    "new_cohort",
    "new_cohort_words",
    "summary_of_findings",
]

#: Outcome of a share of the deaths -> its cause, and what a patient does in a sentence.
_CAUSES: dict[str, tuple[str | tuple[str, ...], str]] = {
    "death from infection": ("infection", "die of an infection"),
    "death from another malignancy": ("other malignancy", "die of another malignancy"),
    "death from a CAR T-cell-specific side effect": (
        SPECIFIC,
        "die of a CAR T-cell-specific side effect",
    ),
}
_DISEASES = ("LBCL", "MM", "MCL", "IL")  # first, in this order
LEVELS = ("very low", "low", "moderate", "high")
_ALL = "all diseases"
#: How certainty words what a patient does.
_HOW = {"very low": "may ", "low": "may ", "moderate": "probably ", "high": ""}
#: What the rule of each domain asks; the numbers are ours, and open to disagreement.
RULES: dict[str, str] = page_content("", Path(__file__).with_name("findings.toml"))["rules"]
DOMAINS = tuple(RULES)
WIDE, VERY_WIDE = 3.0, 6.0
LONG = 3.0
FEW, UNSURE = 100, 2.0
ALARM = 0.1
#: A number within this factor of a threshold is close to it, and the reason says so.
CLOSE = 1.1


@dataclass(frozen=True, slots=True)
class Judgement:
    """One domain of certainty for one finding."""

    domain: str  # One of `DOMAINS`
    down: int | None  # Levels taken off; None where no evidence at hand allows a judgement
    #: With the number that the rule looks at, and a word where it lies close to a threshold
    reason: str
    source: str = ""  # Whose judgement it is where the finding's own evidence allows none, else ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the summary."""

    outcome: str
    group: str
    cohorts: int
    patients: int
    deaths: int
    estimate: float  # Fraction of the treated patients, the mean across cohorts
    ci: Interval  # Of the mean across cohorts
    #: For the true rate of a new, similar cohort; None where tau2 cannot be judged, and for causes,
    #: which are known as totals
    prediction: Interval | None
    judgements: tuple[Judgement, ...]  # One for each domain, in the order of `DOMAINS`
    level: float = 0.95  # Of both intervals

    @property
    def grade(self) -> str:
        """One of `LEVELS`, after all that could be judged."""
        off = sum(one.down or 0 for one in self.judgements)
        return LEVELS[max(0, len(LEVELS) - 1 - off)]

    @property
    def certainty(self) -> str:
        """The grade, "at most" when something could not be judged."""
        if self.grade != LEVELS[0] and any(one.down is None for one in self.judgements):
            return f"at most {self.grade}"
        return self.grade

    @property
    def symbols(self) -> str:
        """The grade in the symbols of GRADE, one filled for very low to four for high."""
        filled = LEVELS.index(self.grade) + 1
        return "\N{CIRCLED PLUS}" * filled + "\N{LARGE CIRCLE}" * (len(LEVELS) - filled)

    @property
    def lowered(self) -> str:
        """The domains that lowered the certainty, with the levels of those that took several."""
        by = [
            one.domain + (f" ({printing.word(one.down)} levels)" if one.down > 1 else "")
            for one in self.judgements
            if one.down
        ]
        return printing.listing(by) if by else "no domain lowered it"

    @property
    def most(self) -> str:
        """The level of the prediction interval as a number of cohorts."""
        return f"{printing.level_text(self.level).removesuffix('%')} of 100"

    @property
    def meaning(self) -> str:
        """The number in plain words, as certain as its grade allows."""
        _, die = _CAUSES.get(self.outcome, ("", "die"))
        dies = f"{_HOW[self.grade]}{die} without prior relapse or progression"
        said = f"about {_per_1000(self.estimate)} of 1,000 {dies}"
        said = f"very uncertain: {said}" if self.grade == LEVELS[0] else said
        if self.prediction is not None:
            said += f"; in {self.most} new, similar cohorts, {_range(self.prediction)}"
        return f"{printing.capital(said)}."


def summary_of_findings(cohorts: pd.DataFrame | None = None) -> tuple[Finding, ...]:
    """Summarise: nonrelapse mortality overall and by disease, and deaths by cause.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The review's cohorts, ``load_cohorts()``, which is also the default; or others with the
        same columns.

    Returns
    -------
    tuple of Finding

    Notes
    -----
    Causes are public as totals of the review's deaths, not by cohort. Where the cohorts given have
    another number of deaths, the findings about causes are left out (`causes_are_known` says so).

    Examples
    --------
    >>> rows = summary_of_findings()
    >>> rows[0].outcome, rows[0].cohorts, round(1000 * rows[0].estimate)
    ('nonrelapse death', 52, 74)
    """
    cohorts = load_cohorts() if cohorts is None else cohorts
    there = sorted(cohorts["entity"].astype(str).unique())
    groups = [one for one in dict.fromkeys([*_DISEASES, *there]) if one in there]
    parts = [(group, cohorts[cohorts["entity"] == group]) for group in groups]
    found = _borrowed([_pooled(group, part) for group, part in [(_ALL, cohorts), *parts]])
    whole = found[0]
    if not causes_are_known(cohorts):
        return tuple(found)
    for outcome, (cause, _) in _CAUSES.items():
        share = cause_share(cause)
        ci = product_interval(whole.estimate, whole.ci, share.estimate, share.ci)
        found.append(
            replace(
                whole,
                outcome=outcome,
                deaths=share.deaths,
                estimate=whole.estimate * share.estimate,
                ci=ci,
                prediction=None,
                judgements=_judge_share(share.deaths, ci, whole),
            )
        )
    return tuple(found)


def causes_are_known(cohorts: pd.DataFrame) -> bool:
    """Say whether the deaths of a table are those of the review, whose causes are public.

    Examples
    --------
    >>> causes_are_known(load_cohorts()), causes_are_known(load_cohorts().head(9))
    (True, False)
    """
    return int(cohorts[COLUMNS["events"]].sum()) == cause_share("infection").n


def _pooled(group: str, part: pd.DataFrame) -> Finding:
    choices: dict[str, Any] = {**COLUMNS, **PUBLISHED_POOLING}
    fit = pool(part, **choices)
    deaths, ci = int(fit.events or 0), fit.mean_conf_int()
    judgements = (
        Judgement("risk of bias", None, _checked(part)),
        _inconsistency(fit),
        _indirectness(part),
        _imprecision(deaths, ci),
        _small_studies(fit),
    )
    size = (fit.k, int(fit.n or 0), deaths)
    rate = fit.mean_estimate
    return Finding(
        "nonrelapse death", group, *size, rate, ci, new_cohort(fit), judgements, fit.level
    )


def _borrowed(found: list[Finding]) -> list[Finding]:
    """Fill what a finding cannot judge with the worst judgement of the same domain."""
    worst: dict[str, tuple[int, str]] = {}
    for row in found:
        for one in row.judgements:
            if one.down is not None and one.down > worst.get(one.domain, (-1, ""))[0]:
                worst[one.domain] = (one.down, row.group)

    def filled(one: Judgement) -> Judgement:
        if one.down is not None or one.domain not in worst:
            return one
        down, group = worst[one.domain]
        return replace(one, down=down, source=group)

    return [replace(row, judgements=tuple(filled(one) for one in row.judgements)) for row in found]


def _judge_share(deaths: int, ci: Interval, whole: Finding) -> tuple[Judgement, ...]:
    """Judge a cause: its own imprecision, all else as the total that it is a share of."""
    reason = "causes are public as totals, not by cohort"
    judged = {one.domain: one for one in whole.judgements}
    source = f"all {whole.outcome}s"
    return (
        judged["risk of bias"],
        replace(judged["inconsistency"], reason=reason, source=source),
        judged["indirectness"],
        _imprecision(deaths, ci),
        replace(judged["small-study effects"], reason=reason, source=source),
    )


def _close(value: float, *thresholds: float) -> str:
    """Say that a number lies close to a threshold, so that a rating may hang on its last digit."""
    near = [t for t in thresholds if value > 0 and max(value / t, t / value) <= CLOSE]
    return f", close to the threshold of {near[0]:g}" if near else ""


def _checked(part: pd.DataFrame) -> str:
    """Say how much of the counts was seen in a source, the one thing at hand."""
    sources = load_sources().set_index("cohort").reindex(part["cohort"])
    seen = int((sources["deaths_check"] == "confirmed").sum())
    if len(part) == 1:
        text = f"{'a' if seen else 'no'} public text confirms its deaths"
    else:
        whole = f"{printing.count(seen)} of {printing.count(len(part))} cohorts"
        text = f"a public text confirms the deaths of {whole}"
    return f"no study-level rating is available; {text}"


def _levels(span: float) -> int:
    return 2 if span > VERY_WIDE else int(span > WIDE)


def _middle(fit: PoolResult, tau2: float) -> Interval:
    """Range of the middle 95 of 100 true rates of cohorts, at a between-cohort variance."""
    half = float(norm_ppf(0.975)) * tau2**0.5
    return Interval(fit.to_display(fit.mu - half), fit.to_display(fit.mu + half))


def _span(fit: PoolResult, tau2: float) -> float:
    low, high = _middle(fit, tau2) if np.isfinite(tau2) else (1.0, np.inf)
    return high / low


def _inconsistency(fit: PoolResult) -> Judgement:
    domain = "inconsistency"
    if fit.k < 2:
        return Judgement(domain, None, "one cohort cannot differ from another")
    low, high = (_span(fit, tau2) for tau2 in fit.tau2_ci())
    times = f"{printing.number(low, 1)} to {printing.number(high, 1)}" if np.isfinite(high) else ""
    allows = f"the interval of τ² allows {times or 'any number of'} times"
    if _levels(low) == 0 and low <= 1.0 and _levels(high) == 2:
        return Judgement(domain, None, f"{allows}, from no difference to a very large one")
    span = _span(fit, fit.tau2)
    reason = (
        f"true rates of cohorts spread from {_range(_middle(fit, fit.tau2))} in 1,000, by a factor "
        f"of {printing.number(span, 1)}{_close(span, WIDE, VERY_WIDE)}; {allows}"
    )
    return Judgement(domain, _levels(span), reason)


def new_cohort(fit: PoolResult) -> Interval | None:
    """Give the prediction interval of a new, similar cohort where tau2 can be judged.

    Parameters
    ----------
    fit : PoolResult
        Pooled proportions.

    Returns
    -------
    Interval or None
        On the display scale; None below five cohorts, and where the interval of tau2 allows
        everything from no difference to a very large one.

    Examples
    --------
    >>> from helpers.models.pooling import pool
    >>> new_cohort(pool(events=[3, 8, 16], n=[40, 60, 50], model="glmm")) is None
    True
    """
    limits, _ = displayed_prediction(fit)
    return None if _inconsistency(fit).down is None else limits


def new_cohort_words(fit: PoolResult, *, name: bool = False) -> str:
    r"""Say where the true rate of a new, similar cohort may lie, or why nothing is said.

    Parameters
    ----------
    fit : PoolResult
        Pooled proportions.
    name : bool
        Whether to name the interval and its level, as a report does.

    Examples
    --------
    >>> from helpers.models.pooling import pool
    >>> new_cohort_words(pool(events=[3, 8, 16], n=[40, 60, 50], model="glmm"))
    'no prediction interval is given, as three cohorts are too few to estimate how true rates vary'
    """
    limits = new_cohort(fit)
    if limits is None:
        few = _too_few(fit)
        return f"no prediction interval is given, as {few} to estimate how true rates vary"
    if name:
        label = "prediction interval was"
        return f"the {printing.interval(limits, fit.level, digits=1, name=label)}"
    where = printing.percent_range(limits)
    level = printing.level_text(fit.level)
    return f"the {level} prediction interval for the true rate of a new, similar cohort is {where}"


def _indirectness(part: pd.DataFrame) -> Judgement:
    months = part["median_follow_up_months"].dropna()
    if months.empty:
        return Judgement("indirectness", None, "no cohort reports its follow-up")
    ratio = float(months.max() / months.min())
    said = (
        f"median follow-up from {printing.number(months.min(), 1)} to "
        f"{printing.months(months.max())}, a factor of "
        f"{printing.number(ratio, 1)}{_close(ratio, LONG)}"
    )
    return Judgement("indirectness", int(ratio > LONG), said)


def _imprecision(deaths: int, ci: Interval) -> Judgement:
    ratio = ci.upper / ci.lower
    said = (
        f"{printing.counted(deaths, 'death')}{_close(deaths, FEW)}, upper limit "
        f"{printing.number(ratio, 1)} times the lower{_close(ratio, UNSURE)}"
    )
    return Judgement("imprecision", int(deaths < FEW or ratio > UNSURE), said)


def _small_studies(fit: PoolResult) -> Judgement:
    if fit.k < FEW_STUDIES:
        return Judgement("small-study effects", None, f"{_too_few(fit)} for a test")
    p = arcsine_test(fit).p
    said = f"test by size: {printing.p_value(p)}{_close(p, ALARM)}"
    return Judgement("small-study effects", int(p < ALARM), said)


def _too_few(fit: PoolResult) -> str:
    return f"{printing.counted(fit.k, 'cohort')} {'is' if fit.k == 1 else 'are'} too few"


def findings_frame(found: Iterable[Finding] | None = None) -> pd.DataFrame:
    """Give the summary as guideline panels read it, one row per finding.

    Parameters
    ----------
    found : iterable of Finding, optional
        Default: `summary_of_findings` of the review's cohorts.

    Returns
    -------
    DataFrame
        Text in the columns part (heading over the rows), outcome, per_1000 (with its interval),
        evidence, certainty (with the domains that lowered it) and meaning.

    Examples
    --------
    >>> findings_frame()[["outcome", "per_1000"]].iloc[0].tolist()
    ['All diseases', '74 (63 to 87)']
    """
    found = summary_of_findings() if found is None else found
    rows = []
    for row in found:
        sizes = {"cohort": row.cohorts, "patient": row.patients, "death": row.deaths}
        part, name = "Nonrelapse death", disease(row.group)
        if row.outcome in _CAUSES:
            part = f"Nonrelapse death by cause, {row.group}"
            name = row.outcome.removeprefix("death from ").removeprefix("a ")
        rows.append(
            {
                "part": part,
                "outcome": printing.capital(name),
                "per_1000": f"{_per_1000(row.estimate)} ({_range(row.ci)})",
                "evidence": ", ".join(
                    f"{printing.count(n)}\N{NO-BREAK SPACE}{noun}{'s' * (n != 1)}"
                    for noun, n in sizes.items()
                ),
                "certainty": f"{row.symbols} {row.certainty}: {row.lowered}",
                "meaning": row.meaning,
            }
        )
    return pd.DataFrame(rows)


def _per_1000(estimate: float) -> str:
    return printing.number(1000 * estimate, 0)


def _range(bounds: Interval) -> str:
    return f"{_per_1000(bounds.lower)} to {_per_1000(bounds.upper)}"


def judgements_frame(found: Iterable[Finding] | None = None) -> pd.DataFrame:
    """Give every judgement with its reason: one row per finding, one column per domain.

    Parameters
    ----------
    found : iterable of Finding, optional
        Default: `summary_of_findings` of the review's cohorts.
    """
    return pd.DataFrame(
        [
            {"finding": f"{row.outcome}, {row.group}"}
            | {one.domain: _said(one) for one in row.judgements}
            for row in (summary_of_findings() if found is None else found)
        ]
    )


def _said(one: Judgement) -> str:
    if one.down is None:
        return f"not judged: {one.reason}"
    levels = ("no level", "one level", "two levels")[one.down]
    if one.source:
        return f"{levels} down, as {one.source}; not judged by itself: {one.reason}"
    return f"{levels} down: {one.reason}"
