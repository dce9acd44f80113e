"""Self-check questions of the chapters on findings and trust."""

from __future__ import annotations

from .. import printing, ties
from .facts import COLUMNS, cohorts, fit, groups
from .questions import Question, question, which

__all__ = [
    "bayes",
    "causes_of_death",
    "dependence",
    "meta_regression",
    "multiverse",
    "reproduction",
    "small_study_effects",
    "subgroups",
    "summary_of_findings",
    "time_at_risk",
    "your_own_table",
]

ALPHA = 0.05


def subgroups() -> tuple[Question, ...]:
    """Questions on subgroups."""
    found = groups("entity")
    products = groups("product").calibrated_test()
    p = {tau2: groups("entity", tau2=tau2).test.p for tau2 in ("separate", "common")}
    below = {tau2: value < ALPHA for tau2, value in p.items()}
    both = (
        f"{printing.p_value(p['separate'])} with separate, {printing.p_value(p['common'])} with one"
    )
    steady = (
        "No: both ways fall on the same side of 0.05",
        f"The test between the diseases gives {both} variance.",
    )
    turns = (
        "Yes: it is below 0.05 in one way and above in the other",
        f"The test between the diseases gives {both} variance.",
    )
    agree = below["separate"] == below["common"]
    return (
        which(
            "In which disease is pooled nonrelapse mortality highest?",
            {name: part.estimate for name, part in found.groups.items()},
            lambda name, value: f"{name}: {printing.estimate(found.groups[name])}.",
        ),
        question(
            "Does the difference between diseases depend on whether each has its own variance "
            "between cohorts?",
            right=steady if agree else turns,
            wrong=[
                turns if agree else steady,
                ("The variance has no part in such a test", "It sets the width of every group."),
            ],
        ),
        question(
            f"The test between the products gives {printing.p_value(products.p)} when calibrated "
            "on simulated data without a difference. Is the product the cause?",
            right=(
                "That does not follow: nobody drew lots for the product",
                "Disease, year, setting and follow-up go with the product.",
            ),
            wrong=[
                (
                    "Yes, chance is excluded",
                    "Chance is one explanation. Confounding is another, and has no p-value.",
                ),
                (
                    "Yes, if the test was prespecified",
                    "A plan guards against choosing among tests, not against confounding.",
                ),
            ],
        ),
    )


def meta_regression() -> tuple[Question, ...]:
    """Questions on meta-regression."""
    from ..review.published.models import published_regression

    models = {name: published_regression(f"{name}: all factors") for name in ("LBCL", "MM")}
    each = {name: model.k / (len(model.coefficients) - 1) for name, model in models.items()}
    return (
        which(
            "In which disease has the model with all factors fewer cohorts for each coefficient?",
            each,
            lambda name, value: (
                f"{name}: {printing.number(value, 1)} cohorts per coefficient, where "
                "ten are a common rule."
            ),
            smallest=True,
        ),
        question(
            "Cohorts with longer follow-up have more deaths. Do patients who are followed longer?",
            right=(
                "Perhaps; a relation between cohorts need not hold between patients",
                "That is ecological bias.",
            ),
            wrong=[
                ("Yes, cohorts are made of patients", "Averages may be related by other things."),
                ("No, that is always an artefact", "It may well hold. The data cannot tell."),
            ],
        ),
    )


def causes_of_death() -> tuple[Question, ...]:
    """Questions on causes of death."""
    from ..review.causes import share_bounds

    bounds = share_bounds()
    low, high = bounds.bounds
    return (
        question(
            f"The cause of {printing.counted(bounds.unknown, 'death')} is unknown. Between what "
            "may the share of infection lie, chance aside?",
            right=(
                printing.percent_range((low, high)),
                "None of the unknown deaths was an infection, or all of them were.",
            ),
            wrong=[
                (
                    printing.percent_range(bounds.none.ci),
                    "That is the sampling error of one share, not what the unknown could change.",
                ),
                (
                    f"exactly {printing.percent(bounds.random.estimate)}",
                    "That supposes the unknown deaths to be like the known ones.",
                ),
            ],
        ),
        question(
            "The share of infection is higher in one group than in another. Do more of its "
            "patients die of infection?",
            right=(
                "Not necessarily: the group may have fewer deaths of other causes",
                "A share among deaths has deaths below the line, not patients.",
            ),
            wrong=[
                ("Yes", "Only if both groups had as many deaths among their patients."),
                ("No, fewer", "That does not follow either."),
            ],
        ),
    )


def time_at_risk() -> tuple[Question, ...]:
    """Questions on time at risk."""
    from ..models.rates import with_person_time
    from ..review.time_at_risk.contrast import follow_up_exponent, time_contrast

    data = with_person_time(cohorts())
    contrast = time_contrast(data, by="product", levels=("cilta-cel", "ide-cel"))
    crude, rate = float(contrast.at(0)["ratio"]), float(contrast.at(1)["ratio"])
    exponent, _, _ = follow_up_exponent(data)
    more = 2**exponent - 1
    word = "falls" if rate < crude else "rises"
    return (
        question(
            "Cilta-cel is compared with ide-cel per patient-year in place of per patient. What "
            "happens to the ratio?",
            right=(
                f"It {word} from {printing.number(crude, 1)} to {printing.number(rate, 1)}",
                "The two products were followed for different times.",
            ),
            wrong=[
                (
                    f"It stays at {printing.number(crude, 1)}",
                    "Only equal follow-up would leave it alone.",
                ),
                (
                    f"It {'rises' if rate < crude else 'falls'} to "
                    f"{printing.number(crude**2 / rate, 1)}",
                    "That is the other direction: divide by more time and the rate is lower.",
                ),
            ],
        ),
        question(
            "One cohort is followed twice as long as another. By how much does the model raise the "
            "number of deaths per patient?",
            right=(
                printing.percent(more, 0),
                f"Deaths grow with follow-up to the power {printing.number(exponent)}; at a "
                "constant rate the power would be one.",
            ),
            wrong=[
                (
                    printing.percent(1.0, 0),
                    "That would be a constant rate, as patient-years suppose.",
                ),
                (printing.percent(0.0, 0), "That would mean that all deaths come at once."),
            ],
        ),
    )


def small_study_effects() -> tuple[Question, ...]:
    """Questions on small-study effects."""
    from ..checks.bias import simulate_null

    run = simulate_null(fit())
    share = dict(zip(run.tests, run.rejection, strict=True))
    asked = ("Egger (logit)", "Peters (weights from size)", "Double arcsine")
    return (
        which(
            "Cohorts are simulated without any bias. Which test sounds the alarm most often?",
            {name: share[name] for name in asked},
            lambda name, value: (
                f"{name}: in {printing.percent(value, 0)} of the simulated sets, "
                f"where {printing.percent(run.alpha, 0)} were promised."
            ),
        ),
        question(
            "Why is a logit correlated with its standard error?",
            right=(
                "Both are computed from the same deaths",
                "By chance few deaths give a low logit and a large standard error at once.",
            ),
            wrong=[
                (
                    "Because small studies are published only with high rates",
                    "That would be publication bias. The relation is there without it.",
                ),
                (
                    "Because large cohorts are treated better",
                    "That might be so, but the relation is there without it, too.",
                ),
            ],
        ),
    )


def dependence() -> tuple[Question, ...]:
    """Questions on dependence."""
    from ..review.dependence import SHARED, sharing_frame

    shared = sharing_frame(cohorts())["cohorts with a relative"]
    total = printing.count(len(cohorts()))
    whole = "; where it is not known, or there are several, the publication counts in its place"
    return (
        which(
            "Which of these do the largest number of cohorts share with another cohort?",
            {SHARED[str(kind)]: float(number) for kind, number in shared.items()},
            lambda name, value: (
                f"{printing.count(value)} of {total} cohorts share {name} with another"
                f"{'' if name == SHARED['publication'] else whole}."
            ),
        ),
        question(
            "Two cohorts share patients, and the analysis does not know it. What is wrong?",
            right=(
                "The interval is too narrow",
                "The same patients are counted as if they were twice as much evidence.",
            ),
            wrong=[
                ("The interval is too wide", "Counting twice pretends to more evidence, not less."),
                (
                    "The estimate is zero",
                    "It may shift towards the shared patients; the certainty suffers first.",
                ),
            ],
        ),
        question(
            "A model with clusters estimates their variance as zero. What follows?",
            right=(
                "That these data show no dependence, which they may be too few to show",
                "With a handful of clusters, zero is what one often sees.",
            ),
            wrong=[
                ("That the cohorts are independent", "Nothing found is not nothing there."),
                (
                    "That the model did not converge",
                    "Zero is the edge of the possible values and a proper solution.",
                ),
            ],
        ),
    )


def multiverse() -> tuple[Question, ...]:
    """Questions on the multiverse."""
    from ..review.claim_analyses import CLAIMS, claim_multiverse

    data = cohorts()
    certain = {}
    for key in ("overall", "mcl-lbcl", "cilta-ide", "infection-half"):
        share = claim_multiverse(data, key).share_certain
        certain[CLAIMS[key].statement] = share.count / share.of
    return (
        which(
            "Which claim has its whole interval on its side in the largest share of analyses?",
            certain,
            lambda name, value: f"In {printing.percent(value, 0)} of the analyses.",
        ),
        question(
            "A claim holds in nine of ten analyses. What is the probability that it is true?",
            right=(
                "That cannot be said from the multiverse",
                "Analyses are no sample of anything, and all of them share the same data.",
            ),
            wrong=[
                (printing.percent(0.9, 0), "A share of analyses is not a probability."),
                (
                    "At least one half",
                    "If all analyses share one bias, they may all be wrong together.",
                ),
            ],
        ),
    )


def bayes() -> tuple[Question, ...]:
    """Questions on Bayes."""
    from ..models.bayes import posterior

    found = posterior(fit())
    threshold = 0.10
    new = float(found.probability_above(threshold, of="new"))
    mean = float(found.probability_above(threshold))
    return (
        question(
            "How likely is it that the true rate of a new, similar cohort is above one in ten?",
            right=(
                printing.percent(new, 0),
                "From the predictive distribution, which includes the variance between cohorts.",
            ),
            wrong=[
                (
                    printing.percent(mean, 1),
                    "That is the probability that the pooled rate is above one in ten.",
                ),
                (
                    "A probability of that does not exist",
                    "In Bayes' way of speaking it does, given model and prior.",
                ),
            ],
        ),
        question(
            "What does a 95\N{NARROW NO-BREAK SPACE}% credible interval say?",
            right=(
                "Given the model, the prior and the data, the value lies in it with "
                "95\N{NARROW NO-BREAK SPACE}% probability",
                "It is a statement on the value.",
            ),
            wrong=[
                (
                    "Of many such intervals, 95\N{NARROW NO-BREAK SPACE}% hold the value",
                    "That is a confidence interval: a statement on the procedure.",
                ),
                (
                    "95\N{NARROW NO-BREAK SPACE}% of the cohorts lie in it",
                    "That would be a statement on cohorts, nearer to a prediction interval.",
                ),
            ],
        ),
    )


def summary_of_findings() -> tuple[Question, ...]:
    """Questions on the summary of findings."""
    mixed = fit()
    return (
        question(
            "Which numbers belong into a summary for clinicians?",
            right=(
                f"{printing.per_1000(mixed.mean_estimate)} on average, with the prediction "
                "interval for a new, similar cohort",
                "Absolute numbers, and how much they differ from cohort to cohort.",
            ),
            wrong=[
                (
                    f"a logit of {printing.number(mixed.mu)} and tau2 of "
                    f"{printing.number(mixed.tau2)}",
                    "The model's scale tells a clinic nothing.",
                ),
                (
                    printing.p_value(mixed.heterogeneity.p),
                    "A p-value of heterogeneity says neither how many nor how different.",
                ),
            ],
        ),
        question(
            "The evidence is cohorts without a comparison group. What can certainty be about?",
            right=(
                "How often the outcome occurs in such patients",
                "A rate can be known well from cohorts, and can be rated so.",
            ),
            wrong=[
                ("Which product is safer", "Without a fair comparison this stays very uncertain."),
                ("Nothing, only trials count", "For a frequency, cohorts are the right design."),
            ],
        ),
    )


def reproduction() -> tuple[Question, ...]:
    """Questions on the reproduction report."""
    from ..evidence import load_published

    printed = float(
        load_published("pooled").set_index("analysis")["random_estimate"]["all cohorts"]
    )
    digits = printing.agreeing_digits(fit(quad_points=7).estimate, printed)
    return (
        question(
            "To how many significant digits do we reproduce the published pooled estimate?",
            right=(
                f"to {printing.word(digits)}",
                "The relative error of our value, as minus its common logarithm, rounded down.",
            ),
            wrong=[
                (f"to {printing.word(max(1, digits // 3))}", "They are closer than that."),
                ("to none", "Then the models or the data would differ."),
            ],
        ),
        question(
            "A published number is reproduced to the last digit. What has been shown?",
            right=(
                "That the same data and the same method give it",
                "Reproduction is about arithmetic and reporting.",
            ),
            wrong=[
                ("That it is true", "Wrong data reproduce just as well."),
                (
                    "That the study would be found again",
                    "That is replication: new patients, new data.",
                ),
            ],
        ),
    )


def your_own_table() -> tuple[Question, ...]:
    """Questions on a table of one's own."""
    from ..models.pooling import pool

    data = cohorts()
    data = data.iloc[ties.order(data["patients"])[:4]]
    few = pool(data, **COLUMNS, model="glmm")
    said = [caution.message for caution in few.cautions] or ["None of them applies here."]
    return (
        question(
            "What does the reader do with a cell that says “n/a” in the column of deaths?",
            right=(
                "It refuses it and names file, row and column",
                "An empty cell is missing. Anything else might mean something.",
            ),
            wrong=[
                ("It takes it for zero", "Nothing is guessed and nothing is repaired."),
                ("It leaves the study out", "A study would vanish without a word."),
            ],
        ),
        question(
            f"The {printing.word(few.k)} smallest cohorts are pooled. What belongs beside the "
            "result?",
            right=(
                f"Its interval and its {'caution' if len(few.cautions) == 1 else 'cautions'}"
                if few.cautions
                else "Its interval",
                " ".join(said),
            ),
            wrong=[
                ("Its p-value", "A rate has no null hypothesis of interest."),
                (
                    "Nothing, it is the best estimate",
                    "An estimate alone hides how little is known.",
                ),
            ],
        ),
    )
