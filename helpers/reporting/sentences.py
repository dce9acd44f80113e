"""What the results of a report say, in sentences that hold no typed number."""

from __future__ import annotations

import re
from typing import Any

from .. import printing, ties
from ..engine.effects import study_interval
from ..engine.normal.prediction import displayed_prediction
from ..engine.normal.tau2_intervals import is_empty
from ..engine.options import FEW_STUDIES, default_tau2_ci
from ..errors import MetaAnalysisError, UnsupportedError
from ..evidence.given import LIMITS_LEVEL
from ..evidence.opening import plain_name
from ..models.multilevel_result import MultilevelResult
from ..models.population import differs_from_median
from ..models.result import PoolResult
from ..views.subgroup_sentences import between_verdict
from ..views.subject import Subject
from .analysis import Analysis


def _prediction(fit: PoolResult, subject: Subject) -> str | None:
    limits, _ = displayed_prediction(fit)
    return None if limits is None else printing.value_range(limits, subject.unit(fit))


def _estimate(fit: PoolResult | MultilevelResult, subject: Subject) -> str:
    return printing.estimate(fit, unit=subject.unit(fit))


def _mean(fit: PoolResult, subject: Subject) -> str:
    return printing.mean_estimate(fit, unit=subject.unit(fit))


def _amount(fit: PoolResult, subject: Subject) -> str:
    """Say how many events there are, and in how many people or how much person-time."""
    if fit.events is None:
        return f"The {'effects' if fit.k > 1 else 'effect'}"
    events = f"{printing.count(fit.events or 0)} {printing.lower(subject.events)}"
    if fit.n is not None:
        return f"{events} among {printing.count(fit.n)} {subject.people}"
    return f"{events} in {person_years(fit, subject)}"


def person_years(fit: PoolResult, subject: Subject) -> str:
    """Print the person-time of a fit whose unit is that of its rates."""
    return f"{printing.count(round((fit.time or 0.0) * subject.per))} person-years"


def _tau2_interval(fit: PoolResult, subject: Subject) -> str:
    try:
        bounds = fit.tau2_ci()
    except UnsupportedError:  # the model has no such interval
        return ""
    # the data do not bound the variance; the rest of the report stands
    except MetaAnalysisError as error:
        return f" (there is no {printing.level_text(fit.level)} CI: {error})"
    if is_empty(bounds):
        return (
            f"; its Q-profile interval is empty, because the {subject.studies} are more alike than "
            "expected by chance"
        )
    return f" ({printing.interval(bounds, fit.level, unit='number', digits=3)})"


_STUDY = re.compile(r"\b(?P<article>[Aa] )?(?<!-)(?P<first>[Ss])tud(?P<end>y|ies)\b(?!-)")


def own_nouns(text: str, subject: Subject) -> str:
    """Call studies and patients of a message what the reader calls them; terms with hyphens stay.

    >>> arms = Subject(study="arm", studies="arms", people="mice")
    >>> own_nouns("Studies share patients; a study has small-study effects.", arms)
    'Arms share mice; an arm has small-study effects.'
    """

    def named(found: re.Match[str]) -> str:
        noun = subject.study if found["end"] == "y" else subject.studies
        noun = printing.capital(noun) if found["first"] == "S" else noun
        article = found["article"] or ""
        if article and noun[0].lower() in "aeiou":
            article = f"{article[0]}n "
        return article + noun

    return _STUDY.sub(named, re.sub(r"\bpatients\b", subject.people, text))


def answer(analysis: Analysis, subject: Subject) -> str:
    """Give the result in one or two sentences."""
    fit = analysis.fit
    if analysis.one_sided:
        return one_sided(analysis, subject)
    if fit.k == 1:
        only = (
            _amount(fit, subject) if fit.n is None else printing.share(fit.events or 0, fit.n or 1)
        )
        only = "" if fit.events is None else f", {only}"
        return (
            f"{subject.outcome}: {_estimate(fit, subject)}, which is that of the only "
            f"{subject.study}{only}. Nothing is pooled."
        )
    text = (
        f"{subject.outcome}: {_estimate(fit, subject)}, pooled over "
        f"{printing.counted(fit.k, *subject.noun)}."
    )
    if differs_from_median(fit):
        text += (
            f" That is the median {subject.study}; the mean across {subject.studies} is "
            f"{_mean(fit, subject)}"
        )
        if fit.n is not None and subject.per == 100:
            text += f", or {printing.per_many(fit.mean_estimate)} {subject.people}"
        text += "."
    expected = _prediction(fit, subject)
    if expected is not None:
        what = "value" if fit.kind == "effect" else "rate"
        text += (
            f" The {printing.level_text(fit.level)} prediction interval for the true {what} of a "
            f"new, similar {subject.study} is {expected}."
        )
    return text


def one_sided(analysis: Analysis, subject: Subject) -> str:
    """Say what is known when no one, or everyone, had the event."""
    fit = analysis.fit
    limits: tuple[float, float] = fit.ci
    which = "None of" if fit.events == 0 else "All"
    which += f" {printing.count(fit.n or 0)} {subject.people} in"
    if fit.n is not None:
        counts: Any = [fit.events], [fit.n]
        low, high = study_interval(*counts, method="clopper-pearson", level=fit.level)
        limits = float(low[0]), float(high[0])
    else:  # the interval of such a fit is the exact one
        which = f"Nobody in {person_years(fit, subject)} of"
    exact = printing.value_range(limits, subject.unit(fit))
    outcome = printing.lower(subject.outcome)
    article = "the " if outcome.startswith(_QUANTITIES) else ""
    level = printing.level_text(fit.level)
    text = (
        f"{which} {printing.counted(fit.k, *subject.noun)} had the event: the exact "
        f"{level}{printing.HARD}CI for {article}{outcome} is {exact}"
    )
    if fit.k == 1:
        return text + "."
    return (
        f"{text} if all {subject.studies} share one rate. A variance between {subject.studies} "
        "cannot be estimated from such a table, so this interval may be too narrow."
    )


def models(analysis: Analysis, subject: Subject) -> str:
    """Say whether the choice of the model matters."""
    fit, other = analysis.fit, analysis.beside
    if analysis.one_sided:
        if fit.n is None:
            return (
                "The logarithm of a rate of zero is infinite, and a correction that makes it "
                "finite would decide the result. The exact interval needs neither."
            )
        return (
            "A logit of zero or one is infinite, and a correction that makes it finite would "
            "decide the result. The exact interval needs neither."
        )
    if other is None:
        return "There is no second model for this table."
    unit = subject.unit(fit)
    apart = abs(other.estimate - fit.estimate)
    digits = printing.places_in(fit, unit)
    if fit.events is None:
        values = [printing.value(one.estimate, unit, digits) for one in (fit, other)]
        common = fit if fit.model == "common" else other
        wider = 0.5 * (max(fit.ci) - min(fit.ci)) > 0.5 * (max(common.ci) - min(common.ci))
        return (
            f"The main model gives {values[0]}, the other {values[1]}. Random effects let the true "
            f"value differ between {subject.studies}; a common effect assumes that it does not"
            + (", and its interval is narrower as a result." if wider else ".")
        )
    if fit.n is None:
        return (
            f"The two models differ by {printing.value(apart, unit, digits)} per "
            f"{printing.count(subject.per)} person-years. The Poisson model uses the counts "
            f"themselves. {_approximates('log rates', subject)}"
        )
    points = printing.value(apart, unit, digits, bare=unit == "percent")
    return (
        f"The two models differ by {points}{' percentage points' if unit == 'percent' else ''}. "
        f"The binomial model uses the counts themselves. {_approximates('logits', subject)}"
    )


def _approximates(what: str, subject: Subject) -> str:
    return (
        f"Inverse variance treats the observed {what} as normally distributed and adds one half "
        f"where a {subject.study} has no event; both approximations become cruder as events become "
        "fewer."
    )


def heterogeneity(analysis: Analysis, subject: Subject) -> str:
    """Say how much the cohorts differ."""
    fit = analysis.fit
    if fit.k < 2:
        return f"One {subject.study} cannot differ from others."
    if analysis.one_sided:
        quantity = "rate" if fit.n is None else "proportion"
        return (
            f"All {subject.studies} show the same {quantity}. Where that is none or all, it says "
            "nothing about how their true rates differ, so neither a variance nor a prediction is "
            "given."
        )
    text = f"{printing.heterogeneity(fit, subject.studies)} "
    if fit.model == "common":
        one = "value" if fit.kind == "effect" else "rate"
        return text + f"The chosen model assumes one {one} for all."
    text += f"The variance between {subject.studies}, τ², is {printing.number(fit.tau2, 3)}"
    text += f"{_tau2_interval(fit, subject)}."
    expected = _prediction(fit, subject)
    if expected is None:
        return f"{text} No prediction interval: {displayed_prediction(fit)[1]}."
    return (
        text + f" The prediction interval, {expected}, says where the true value of a new, "
        f"similar {subject.study} may lie; the confidence interval describes the pooled estimate "
        "alone."
    )


def groups(analysis: Analysis, subject: Subject) -> str:
    """Say whether the groups differ, and what that does not show."""
    assert analysis.groups is not None
    found = analysis.groups
    ordered = ties.ranked(found.groups.items(), key=lambda item: item[1].estimate)
    (low_name, low), (high_name, high) = ordered[0], ordered[-1]
    return (
        f"The estimate is lowest {printing.for_group(low_name)}, {_estimate(low, subject)}, and "
        f"highest {printing.for_group(high_name)}, {_estimate(high, subject)}. "
        f"{between_verdict(found, subject.studies)} The {subject.studies} were not randomised to "
        "their groups, which may differ in other ways: the comparison is descriptive."
    )


def regression(analysis: Analysis, column: str, subject: Subject) -> str:
    """Say what one moderator does."""
    fit = analysis.regressions[column]
    (place,) = fit.design.moderators  # one slope, and it is not the intercept
    row = fit.coefficients.iloc[place]
    more = "higher" if row["estimate"] > 0 else "lower"
    name = printing.lower(printing.readable(column))
    unit = f"each additional {'' if plain_name(name).endswith('year') else 'unit of '}{name}"
    if column == analysis.columns.follow_up:
        unit = f"each additional {analysis.columns.follow_up_unit.removesuffix('s')} of follow-up"
    limits = (row["ci_lower"], row["ci_upper"])
    text = (
        f"In the {printing.counted(fit.k, *subject.noun)} that report it, {unit} is associated "
        f"with a {more} value: {printing.number(row['estimate'], 3)}{_on_scale(fit)} "
        f"({printing.interval(limits, fit.level, unit='number', digits=3)}"
        f"; {printing.p_value(row['p'])})"
    )
    if fit.R2 is not None:
        text += f", which accounts for {printing.percent(fit.R2 / 100, 0)} of τ²"
    few = ""
    if row["p"] >= 1 - fit.level:
        text += ". This may be due to chance"
    elif fit.k < FEW_STUDIES:
        few = (
            f" With fewer than {printing.word(FEW_STUDIES)} {subject.studies} such a slope may "
            "well be due to chance."
        )
    return (
        text
        + f". A trend across {subject.studies} need not apply to the {subject.people} within them."
        + few
    )


def _on_scale(fit: Any) -> str:
    return "" if fit.measure == "effect" else f" on the {fit.measure} scale"


def clusters(analysis: Analysis, subject: Subject) -> str:
    """Say what it changes that cohorts share a cluster."""
    fit, levels, robust = analysis.fit, analysis.levels, analysis.robust
    column = printing.readable(str(analysis.columns.cluster))
    parts = []
    if levels is not None:
        variances = [printing.number(v, 3) for v in (levels.sigma2_between, levels.sigma2_within)]
        parts.append(
            f"The {printing.counted(levels.k, *subject.noun)} come from "
            f"{printing.counted(levels.clusters, 'cluster')} ({column}; a {subject.study} without "
            f"one counts as its own). With a random effect for each cluster the estimate is "
            f"{_estimate(levels, subject)}; with all {subject.studies} taken as independent it is "
            f"{_estimate(fit, subject)}. The variance between clusters is {variances[0]}, that "
            f"between {subject.studies} of the same cluster {variances[1]} "
            f"({printing.p_value(levels.between_test.p)} for the first, by likelihood ratio)."
        )
    if robust is not None:
        parts.append(
            "With a covariance that is robust to dependence within clusters (CR2, three-level "
            f"working model) it is {_estimate(robust, subject)}."
        )
    frame = analysis.without_cluster
    if frame is not None:
        low, high = frame["estimate"].min(), frame["estimate"].max()
        shift = (frame["mu"] - fit.mu).abs()
        most = frame.index[ties.largest(shift.to_list())]
        parts.append(
            "Leaving out one cluster at a time gives estimates from "
            f"{printing.value_range((low, high), subject.unit(fit))}; leaving out {most} changes "
            "the estimate most."
        )
    return " ".join(parts)


def risk_of_bias(analysis: Analysis, subject: Subject) -> str:
    """Say what ratings of the risk of bias change."""
    parts, ratings = [], analysis.ratings
    if ratings is not None:
        each = [
            f"{printing.lower(name)} {_estimate(one, subject)} "
            f"({printing.counted(one.k, *subject.noun)})"
            for name, one in ratings.groups.items()
        ]
        parts.append(f"By rating: {'; '.join(each)}. {between_verdict(ratings, subject.studies)}")
    if analysis.low_risk is not None:
        left = analysis.fit.k - analysis.low_risk.k
        parts.append(
            f"Without the {printing.counted(left, *subject.noun)} at high risk the estimate is "
            f"{_estimate(analysis.low_risk, subject)}; with all it is "
            f"{_estimate(analysis.fit, subject)}."
        )
    elif ratings is not None:
        parts.append(f"No {subject.study} is rated at high risk.")
    return " ".join(parts)


def rates(analysis: Analysis, subject: Subject) -> str:
    """Say how often events come per person-time."""
    assert analysis.rates is not None
    fit = analysis.rates
    where = f"pooled over {printing.counted(fit.k, *subject.noun)}"
    if fit.k == 1:
        where = f"in the only {subject.study}"
    return (
        f"Per 100 person-years there are {printing.estimate(fit, 1, unit='number')} "
        f"{printing.lower(subject.events)}, {where} with follow-up. Person-time is approximated "
        f"by {subject.people} times follow-up."
    )


def deletion(analysis: Analysis, subject: Subject) -> str:
    """Say what single cohorts do to the result."""
    assert analysis.leave_one_out is not None
    frame = analysis.leave_one_out
    low, high = frame["estimate"].min(), frame["estimate"].max()
    text = (
        f"Leaving out one {subject.study} at a time gives estimates from "
        f"{printing.value_range((low, high), subject.unit(analysis.fit))}."
    )
    if analysis.influence is not None:
        marked = analysis.influence.frame()
        names = list(marked.index[marked["flagged"]])
        outliers = list(marked.index[marked["outlier"]])
        text += (
            f" Influential by the usual rules: {printing.listing(names, most=printing.NAMED)}."
            if names
            else f" No {subject.study} is influential by the usual rules."
        )
        if outliers:
            text += (
                f" Outlying: {printing.listing(outliers, most=printing.NAMED)}; by chance, one "
                f"{subject.study} in twenty is expected to be. An outlier is a reason "
                "to check that publication again, not to exclude it."
            )
    return text


_ASYMMETRY = (
    "An asymmetric funnel has many possible causes, and a large p-value is not evidence of no bias."
)


def small_studies(analysis: Analysis) -> str:
    """Say which test to believe and what it says."""
    tests, null = analysis.tests, analysis.null
    if analysis.fit.events is None:
        each = [f"{name} {printing.p_value(test.p)}" for name, test in tests.items()]
        return (
            f"Tests for small-study effects: {printing.listing(each)}. They cannot be calibrated, "
            "because the table does not say what the effects were computed from. The standard "
            "error of a log odds ratio and of a standardised difference depends on the effect "
            "itself, so these tests can find a trend where there is no small-study effect. "
            f"{_ASYMMETRY}"
        )
    text = (
        "The standard error of a logit is computed from the same events as the logit itself, so "
        "Egger's test finds small-study effects in proportions that have none. On the double "
        "arcsine scale the standard error depends on the sample size alone."
    )
    if "Double arcsine" not in tests:
        return text
    if null is None:
        p = printing.p_value(tests["Double arcsine"].p)
        return f"{text} The test on that scale gives {p}, uncalibrated."
    frame: Any = null.summary_frame()
    row, egger = frame.loc["Double arcsine"], frame.loc["Egger (logit)"]
    return (
        f"{text} In {printing.count(null.draws)} simulated sets of the same sizes without any "
        f"such effect, Egger's test rejects in {printing.percent(egger['rejection'], 0)} and the "
        f"double arcsine test in {printing.percent(row['rejection'], 0)}; calibrated by these "
        f"sets, the double arcsine test gives {printing.p_value(row['calibrated_p'])}. "
        f"{_ASYMMETRY}"
    )


#: Words of the intervals that a report gives beside that of the pooled estimate.
_STUDY_INTERVALS = {
    "wilson": "Wilson score intervals",
    "clopper-pearson": "Clopper-Pearson intervals",
    "agresti-coull": "Agresti-Coull intervals",
    "exact": "exact intervals",
    "wald": "Wald intervals",
}


def intervals(analysis: Analysis) -> str:
    """Say how heterogeneity is described and how every interval but the pooled one is made."""
    fit = analysis.fit
    single = _STUDY_INTERVALS[fit.options.study_ci]
    text = f"Intervals for single studies are {single}"
    if analysis.columns.lower is not None:
        text = (
            "Standard errors were taken from the limits, as those of "
            f"{printing.level_text(LIMITS_LEVEL)} intervals{_on_scale(fit)}. {text}"
        )
    if analysis.one_sided or fit.k < 2 or fit.model == "common":
        return text + "."
    how = {"profile": "profile likelihood", "q-profile": "the Q-profile method"}
    variance = how[default_tau2_ci(fit.model)]
    return (
        f"{text}. Heterogeneity is described by τ², with an interval by {variance}, by I² and by "
        "the prediction interval, which rests on Student's t with two fewer degrees of freedom "
        "than studies."
    )


_QUANTITIES = ("proportion ", "rate ", "risk ", "prevalence ", "incidence ")


def _quantity(subject: Subject, what: str) -> str:
    """Name a quantity with its outcome: an estimate of stroke, but a proportion with the event."""
    outcome = printing.lower(subject.outcome)
    return outcome if outcome.startswith(_QUANTITIES) else f"{what} of {outcome}"


def for_a_paper(analysis: Analysis, subject: Subject, *, methods: bool = True) -> str:
    """Give a paragraph that a paper could print, with the model in a sentence or without."""
    fit = analysis.fit
    of = "in" if fit.n is not None else "of"
    head = f"{_amount(fit, subject)} {of} {printing.counted(fit.k, *subject.noun)} were analysed. "
    if analysis.one_sided:
        return one_sided(analysis, subject)
    if fit.k == 1:
        return f"{head}The {_quantity(subject, 'estimate')} was {_estimate(fit, subject)}."
    text = f"{head}{own_nouns(str(fit.methods()), subject)} " if methods else head
    both = differs_from_median(fit)
    which = f" (median {subject.study})" if both else ""
    text += f"The pooled {_quantity(subject, 'estimate')}{which} was "
    text += _estimate(fit, subject)
    if both:
        text += f", the mean across {subject.studies} {_mean(fit, subject)}"
    if fit.model != "common":
        text += f"; τ² was {printing.number(fit.tau2, 3)}"
        if _prediction(fit, subject) is not None:
            text += f" and the {printing.prediction(fit, unit=subject.unit(fit))}"
    return text + "."
