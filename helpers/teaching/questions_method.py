"""Self-check questions of the chapters on evidence and method."""

from __future__ import annotations

import numpy as np

from .. import printing, ties
from .facts import cohorts, fit
from .questions import Question, question, which

__all__ = ["audit", "data_extraction", "effect_sizes", "heterogeneity", "pooling", "the_question"]


def the_question() -> tuple[Question, ...]:
    """Questions on the question."""
    mixed = fit()
    mean = mixed.mean_estimate
    return (
        question(
            "The lymphoma comes back and the patient dies of it. Is this a nonrelapse death?",
            right=(
                "No, and no such death is possible any more",
                "The relapse came first, and it ends the time at risk of a nonrelapse death: the "
                "two compete.",
            ),
            wrong=[
                ("Yes, every death counts", "That is overall mortality."),
                (
                    "No, but the patient stays at risk of one",
                    "After the relapse a death is counted as following the relapse.",
                ),
            ],
        ),
        question(
            "How many of 1,000 patients like these die without relapse, on average over cohorts, "
            "by the binomial random-effects model?",
            right=(
                printing.number(1000 * mean, 0),
                "The mean over cohorts, times 1,000; within the follow-up of the studies.",
            ),
            wrong=[
                (
                    printing.number(1000 * mixed.estimate, 0),
                    "That is the rate of the median cohort, which the review printed. The mean is "
                    "higher, because some cohorts have several times the median rate.",
                ),
                (
                    printing.number(100 * mean, 0),
                    "A factor of ten was lost between percent and per thousand.",
                ),
                (
                    printing.number(1000 * mixed.mean_conf_int().upper, 0),
                    "That is the upper limit of the confidence interval of the mean.",
                ),
            ],
        ),
    )


def data_extraction() -> tuple[Question, ...]:
    """Questions on data extraction."""
    data = cohorts()
    deaths = data.set_index("cohort")["nonrelapse_deaths"]
    deaths = deaths.iloc[ties.order(deaths)]
    top = {str(name): float(value) for name, value in deaths.tail(4).items()}
    total = int(deaths.sum())
    empty = data[["patients", "nonrelapse_deaths", "reported_nrm"]].isna().sum().astype(float)
    return (
        which(
            "Which cohort brings the most deaths?",
            top,
            lambda name, value: f"{name} brings {printing.share(int(value), total, 0)}.",
        ),
        which(
            "Which of these columns is empty in most cohorts?",
            {
                "patients treated": empty["patients"],
                "nonrelapse deaths": empty["nonrelapse_deaths"],
                "nonrelapse mortality as the study reports it": empty["reported_nrm"],
            },
            lambda name, value: (
                f"It is empty in {printing.counted(int(value), 'cohort')}."
                if value
                else "No cohort lacks it."
            ),
        ),
        question(
            "A table passes every check of the reader. What has been shown?",
            right=(
                "That its values are possible and fit together",
                "Types, ranges and labels are right. Whether they are those of the source, "
                "only the source tells.",
            ),
            wrong=[
                ("That its values are right", "A transposed denominator passes every check."),
                (
                    "That the extraction was done twice",
                    "Double extraction is a way of working that no check of a table can see.",
                ),
            ],
        ),
    )


def audit() -> tuple[Question, ...]:
    """Questions on the audit."""
    from ..evidence import load_sources
    from ..evidence.corrections import apply_corrections
    from ..models.pooling import pool
    from ..review.choices import PUBLISHED_POOLING
    from .facts import COLUMNS

    sources = load_sources()
    seen = (sources == "confirmed")[["patients_check", "deaths_check"]].sum()
    corrected = pool(apply_corrections(cohorts()).data, **COLUMNS, **PUBLISHED_POOLING)
    change = corrected.estimate - fit().estimate
    inside = fit().ci.lower <= corrected.estimate <= fit().ci.upper
    moves = f"It moves by {printing.number(100 * change)} percentage points"
    return (
        question(
            "What do all suggested corrections together do to the pooled estimate?",
            right=(
                f"{moves} and {'stays inside' if inside else 'leaves'} the published interval",
                f"From {printing.percent(fit().estimate)} to "
                f"{printing.percent(corrected.estimate)}.",
            ),
            wrong=[
                (
                    f"{moves} and {'leaves' if inside else 'stays inside'} the published interval",
                    f"The published interval runs {printing.percent_range(fit().ci)}; the "
                    f"corrected estimate is {printing.percent(corrected.estimate)}.",
                ),
                ("Nothing", "A corrected count changes a likelihood, if only a little."),
            ],
        ),
        which(
            "What was confirmed in a public text for more cohorts?",
            {
                "the number of patients": float(seen["patients_check"]),
                "the number of deaths": float(seen["deaths_check"]),
            },
            lambda name, value: (
                f"For {printing.counted(int(value), 'cohort')} {name} was confirmed."
            ),
        ),
    )


def effect_sizes() -> tuple[Question, ...]:
    """Questions on effect sizes."""
    from ..checks.interval_coverage import back_transforms, exact_coverage
    from ..models.pooling import pool
    from .facts import COLUMNS

    data = cohorts()
    without = data[data["nonrelapse_deaths"] == 0]
    none = without.iloc[ties.smallest(without["patients"])]
    n = int(none["patients"])
    upper = fit().studies.loc[none["cohort"], "ci_upper"]
    coverage = exact_coverage(
        n, np.linspace(0.02, 0.2, 60), ("Wald, raw", "Wilson", "Clopper-Pearson")
    ).mean()
    rest = pool(data[data["nonrelapse_deaths"] > 0], **COLUMNS, model="glmm", ci_method="wald")
    moved = "raises" if rest.estimate > fit().estimate else "lowers"
    back = back_transforms(fit("random", measure="double-arcsine"))["estimate"]
    names = {
        "the smallest cohort's": back["smallest cohort"],
        "the harmonic mean": back["harmonic mean"],
        "the largest cohort's": back["largest cohort"],
    }
    return (
        question(
            f"In {none['cohort']} nobody of {printing.counted(n, 'patient')} died. What follows?",
            right=(
                f"A true rate of up to {printing.percent(upper)} is compatible with it",
                "That is the upper limit of Wilson's interval.",
            ),
            wrong=[
                ("The true rate is zero", "Without an event an estimate is zero, not a truth."),
                (
                    "The cohort has to be left out",
                    f"They are evidence for a low rate: leaving them out {moved} the pooled rate "
                    "here. The binomial model needs no logit of them.",
                ),
            ],
        ),
        which(
            f"With {printing.counted(n, 'patient')}, which interval holds the true proportion "
            "least often (rates between one in fifty and one in five)?",
            {str(name): float(value) for name, value in coverage.items()},
            lambda name, value: f"{name}: in {printing.percent(value)} of cohorts on average.",
            smallest=True,
        ),
        which(
            "The same pooled double arcsine is turned back with three sample sizes. Which one "
            "gives the highest proportion?",
            {name: float(value) for name, value in names.items()},
            lambda name, value: (
                f"With {name} it becomes {printing.percent(value)}. No size is right "
                "for cohorts of different size."
            ),
        ),
    )


def pooling() -> tuple[Question, ...]:
    """Questions on pooling."""
    mixed, common = fit(), fit("common", method="likelihood")
    predicted = mixed.prediction_interval()
    # Both by inverse variance on the logit scale, so that nothing but tau2 tells them apart.
    weights = {model: fit(model).studies["weight"] for model in ("common", "random")}
    largest = str(weights["common"].index[ties.largest(weights["common"])])
    share, other = (float(weights[model][largest]) / 100 for model in ("common", "random"))
    return (
        question(
            "Where may the true rate of a new, similar cohort lie?",
            right=(
                printing.percent_range(predicted),
                "The prediction interval: it includes the variance between cohorts.",
            ),
            wrong=[
                (
                    printing.percent_range(mixed.ci),
                    "That is the confidence interval of the pooled rate.",
                ),
                (
                    printing.percent_range(common.ci),
                    "That interval supposes that all cohorts have the same rate.",
                ),
            ],
        ),
        question(
            f"Logits are pooled by inverse variance. {largest} carries "
            f"{printing.percent(share, 0)} of the weight under a common effect. And with random "
            "effects?",
            right=(
                printing.percent(other, 0),
                "τ² is added to every variance, so that the weights become more alike.",
            ),
            wrong=[
                (
                    printing.percent(min(2 * share, 0.99), 0),
                    "Random effects take weight from large cohorts; they do not add to it.",
                ),
                (
                    f"also {printing.percent(share, 0)}",
                    "That would be so only if τ² were zero.",
                ),
            ],
        ),
    )


def heterogeneity() -> tuple[Question, ...]:
    """Questions on heterogeneity."""
    mixed = fit()
    I2 = printing.percent(mixed.heterogeneity.I2 / 100, 0)
    low, high = mixed.tau2_ci()
    return (
        question(
            f"What does an I² of {I2} say?",
            right=(
                "How much of the scatter is more than chance, as a share",
                "A share of what is seen, so that it depends on how large the cohorts are.",
            ),
            wrong=[
                (
                    "How far the true rates lie apart",
                    "That is τ², or the prediction interval in the unit of the outcome.",
                ),
                (
                    f"That {I2} of the cohorts differ from the rest",
                    "It counts variance, not cohorts.",
                ),
                (
                    "That pooling is forbidden",
                    "No threshold forbids it; a random-effects model describes the spread.",
                ),
            ],
        ),
        question(
            "How well is the variance between the cohorts known?",
            right=(
                "Roughly: its "
                f"{printing.interval((low, high), mixed.level, unit='number', digits=2)}",
                f"τ² is {printing.number(mixed.tau2)}. The interval is that of the profile "
                "likelihood; one of another method has other limits.",
            ),
            wrong=[
                (
                    f"It is {printing.number(mixed.tau2)}, exactly",
                    "An estimate from a few dozen cohorts has an interval, and a wide one.",
                ),
                (
                    "It cannot be estimated",
                    "It can, with an interval, as soon as there are several cohorts.",
                ),
            ],
        ),
        question(
            "All cohorts double in size, and the true rates stay as they are. What happens?",
            right=(
                "I² rises, τ² stays about the same",
                "Chance shrinks, so that a larger share of the scatter is real.",
            ),
            wrong=[
                ("I² and τ² fall", "Chance falls; the true differences stay."),
                ("Both stay the same", "τ² does. I² compares it with chance, which shrinks."),
            ],
        ),
    )
