"""What a reader should know before using a pooled estimate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import printing
from ..engine.counts.common import exact_interval, included_counts, is_one_sided
from ..engine.distributions import expit, norm_ppf, t_ppf
from ..engine.effects import get_measure
from ..engine.normal.inverse_variance import InverseVarianceFit
from ..engine.normal.tau2_intervals import q_is_too_small
from ..engine.options import FEW_PREDICTION_DF, FEW_STUDIES, shows_prediction
from ..engine.summaries import Caution
from .population import has_mean, mean_rule

if TYPE_CHECKING:
    from ..engine.options import Options
    from ..engine.studies import StudyData
    from .result import PoolResult


def find_cautions(
    options: Options,
    data: StudyData,
    tau2: float,
    *,
    converged: bool,
    engine: InverseVarianceFit | None = None,
) -> Iterator[Caution]:
    """Cautions for one fit, most important first.

    Codes: "no-events", "only-events", "not-converged", "single-study", "few-studies",
    "few-prediction-df", "boundary", "empty-tau2-interval", "excluded-studies",
    "zero-cells-corrected", "sparse-cells", "knapp-hartung-narrow", "double-arcsine",
    "several-maxima".
    """
    measure, k = get_measure(options.measure), data.k
    extreme = _no_events(options, data)
    if extreme is not None:
        yield extreme
        if options.ci_method == "exact":  # nothing is said of a variance that was not estimated
            yield from excluded(data)
            return
    if not converged:
        yield Caution("not-converged", "The estimate of τ² is not a certified maximum or root.")
    source = options.tau2_source
    if k == 1 and source == "given":
        yield Caution(
            "single-study",
            "There is one study; the result is its own estimate with the between-study "
            "variance that was given.",
        )
    elif k == 1:
        yield Caution(
            "single-study",
            "There is one study: the between-study variance cannot be estimated and the "
            "result is that study's own estimate with a Wald-type interval.",
        )
    elif options.model != "common" and source == "estimated" and k < FEW_STUDIES:
        hangs = (
            "interval and prediction depend" if shows_prediction(k - 2) else "the interval depends"
        )
        yield Caution(
            "few-studies",
            f"With {printing.word(k)} studies the between-study variance is poorly estimated; "
            f"{hangs} strongly on the method.",
        )
    df = k - 2
    if options.model != "common" and df > 0 and not shows_prediction(df):
        yield Caution("few-prediction-df", few_prediction_df(k, df, options.level))
    if options.model != "common" and k > 1 and tau2 == 0.0 and source != "given":
        new = (
            " The prediction interval may be much too narrow for a new study."
            if shows_prediction(df)
            else ""
        )
        if has_mean(options.measure) and mean_rule(options.measure) != "median":
            new += (
                " The mean across studies is then the median, and its interval by the delta method "
                "takes the variance as known."
            )
        yield Caution(
            "boundary",
            f"The between-study variance{' of all groups' if source == 'shared' else ''} is "
            "estimated at zero, its boundary; this does not show that the studies share one "
            f"effect.{new}",
        )
    if (
        engine is not None
        and options.model == "random"
        and source == "estimated"
        and k > 1
        and q_is_too_small(engine, options.level)
    ):
        yield Caution(
            "empty-tau2-interval",
            "The studies are more alike than expected from their sampling variances, so the "
            "Q-profile interval of the between-study variance is empty.",
        )
    yield from excluded(data)
    corrected = int(np.count_nonzero(data.corrected & data.included))
    if corrected and options.method == "inverse-variance":
        yield Caution(
            "zero-cells-corrected",
            f"{options.add:g} was added to the cells of "
            f"{printing.studies(corrected)}; a likelihood model needs no "
            "correction.",
        )
    weighs = options.method == "inverse-variance" and measure.name not in (
        "arcsine",
        "double-arcsine",
        "sqrt-rate",
        "freeman-tukey-rate",
    )
    if weighs and data.events is not None and measure.kind != "effect":
        x, n = included_counts(data)
        smallest = x if measure.kind == "rate" else np.minimum(x, n - x)
        sparse = int((smallest < 5).sum())
        if sparse * 2 > k:
            yield Caution(
                "sparse-cells",
                f"{printing.some_of(sparse, k)} fewer than five events (or non-events), where "
                "the normal approximation behind inverse-variance weights is poor.",
            )
    narrow = options.ci_method in ("knapp-hartung", "knapp-hartung-wider")
    if engine is not None and narrow and k > 1 and bool(engine.scale[0] < 1.0):
        yield Caution(
            "knapp-hartung-narrow",
            "The Knapp-Hartung factor is below one, so the standard error is smaller than the "
            "model's; a factor of at least one avoids this (option `knapp-hartung-max1`).",
        )
    if engine is not None and engine.tau2.scan is not None and engine.tau2.scan.maxima[0] > 1:
        yield Caution(
            "several-maxima",
            f"The likelihood has {printing.word(int(engine.tau2.scan.maxima[0]))} local "
            f"maxima; the result is the highest, by {float(engine.tau2.scan.gap[0]):.2g} in "
            "log-likelihood.",
        )
    if measure.name == "double-arcsine":
        yield Caution(
            "double-arcsine",
            "The back-transformation of a pooled double arcsine depends on a single sample "
            "size and can mislead when sizes differ widely.",
        )


def with_display_cautions(fit: PoolResult) -> PoolResult:
    """Add what the display scale hides: values beyond its ends are shown at the ends.

    Codes: "double-arcsine-collapse" and "freeman-tukey-collapse" (the estimate itself is at an end
    that the counts contradict), "limits-clipped".
    """
    measure = fit.scale
    if measure.name in ("logit", "log-rate", "effect", "log-ratio"):
        return fit
    size = 1.0 if fit.back_size is None else fit.back_size
    with np.errstate(divide="ignore"):
        least = float(measure.transform(0.0, size))
        most = float(measure.transform(size, size)) if measure.kind == "proportion" else np.inf
    slack = 1e-12
    found: list[Caution] = []
    if measure.needs_size and fit.events:
        total = fit.n if fit.n is not None else np.inf
        low = fit.mu <= least + slack
        if low or (fit.mu >= most - slack and fit.events < total):
            code = "double-arcsine" if measure.kind == "proportion" else "freeman-tukey"
            whole = "" if fit.n is None else f" of {fit.n:,.0f}"
            found.append(
                Caution(
                    f"{code}-collapse",
                    f"The estimate is shown as {0 if low else 1}, but {fit.events:,.0f}{whole} had "
                    "the event: the mean of the transformed values lies outside the values that "
                    f"the size of the back-transformation ({size:.3g}) allows. Estimate and "
                    "interval are artefacts; a GLMM or another measure has none.",
                )
            )
    intervals = {"confidence": fit.conf_int(scale="model")}
    if fit.k > 2 and fit.model != "common":
        intervals["prediction"] = fit.prediction_interval(scale="model")
    clipped = [
        f"the {side} limit of the {name} interval"
        for name, limits in intervals.items()
        for side, beyond in (
            ("lower", limits.lower < least - slack),
            ("upper", limits.upper > most + slack),
        )
        if beyond
    ]
    if clipped:
        what, many = printing.listing(clipped), len(clipped) > 1
        found.append(
            Caution(
                "limits-clipped",
                f"{what[:1].upper()}{what[1:]} {'lie' if many else 'lies'} outside the possible "
                f"values and {'are' if many else 'is'} shown at the nearest possible one; a "
                "measure such as the logit or log rate stays inside.",
            )
        )
    return replace(fit, cautions=(*fit.cautions, *found)) if found else fit


def few_prediction_df(k: int, df: int, level: float) -> str:
    """Say on how little a prediction interval of so few studies rests, and that none is shown."""
    upper = 0.5 + 0.5 * level
    t, z = float(t_ppf(upper, df)), float(norm_ppf(upper))
    return (
        f"The prediction interval of {printing.word(k)} studies would rest on "
        f"{printing.counted(df, 'degree')} of freedom (t quantile {printing.number(t, 1)}; with "
        f"many studies {printing.number(z, 2)}); none is shown below "
        f"{printing.word(FEW_PREDICTION_DF + 1)} degrees of freedom."
    )


def excluded(data: StudyData, one: str = "study", many: str = "studies") -> Iterator[Caution]:
    """Say which rows take no part, and why."""
    if len(data.labels) > data.k:
        yield Caution("excluded-studies", printing.left_out(data.reason, one, many))


class Extreme(NamedTuple):
    """Words for studies without an event, or with nothing but events."""

    who: str
    seen: str  # events of patients, or in person-time
    limits: str  # exact


def extreme_words(data: StudyData, kind: str, level: float) -> Extreme | None:
    """Say what such studies have in common; None where there are others."""
    if data.events is None or kind == "effect":
        return None
    events, size = included_counts(data)
    if not is_one_sided(events, size, kind):
        return None
    x, n = float(events.sum()), float(size.sum())
    who = "no study has an event" if x == 0 else "every patient of every study has an event"
    exact = exact_interval(data, kind, level)
    if kind == "rate":
        low, high = (printing.number(limit, 3) for limit in np.exp(exact))
        return Extreme(who, f"0 in {printing.number(n, 1)} of person-time", f"{low} to {high}")
    low, high = expit(np.array(exact))
    seen = f"{printing.count(x)} of {printing.count(n)}"
    return Extreme(who, seen, printing.percent_range((low, high)))


def _no_events(options: Options, data: StudyData) -> Caution | None:
    """Caution for studies without an event, or with nothing but events."""
    found = extreme_words(data, get_measure(options.measure).kind, options.level)
    if found is None:
        return None
    (said, seen, limits), level = found, printing.level_text(options.level)
    who = printing.capital(said)
    if options.ci_method == "exact":
        message = (
            f"{who} ({seen}): the {level} interval, {limits}, is the exact one of all studies as "
            "one, which assumes that they share one rate; the between-study variance cannot be "
            "estimated."
        )
    else:
        message = (
            f"{who} ({seen}): estimate and interval depend on how such studies are handled; the "
            f"exact {level} interval of all studies as one is {limits}."
        )
    return Caution("no-events" if said.startswith("no ") else "only-events", message)
