"""The one home of every default: what a call means where it does not say.

`pool`, `pool_effects`, `subgroups`, `meta_regression`, `pool_multilevel`, `pool_rates`,
`multiverse`, the tests for small-study effects, the simulations, the report and the page in the
browser all ask here, so that the same words give the same numbers everywhere.

* **Model.** Counts on a scale that has a likelihood (logit, log rate) are pooled in the GLMM,
  all other effects by inverse variance with random effects. A word that only the latter knows (an
  estimator of tau2, a given tau2, an interval of Knapp and Hartung, a zero-cell rule) chooses it.
* **Interval.** Random effects by inverse variance: Knapp and Hartung, never narrower than without
  the scale factor. GLMM: t with k - 1 degrees of freedom below `FEW_STUDIES` studies, Wald from
  there on. A common effect, or one study: Wald.

The number of studies is known after exclusions only. `Options.for_studies` therefore decides the
interval of every new set of studies (a subgroup of three cohorts), and what fits a result again
(leave-one-out, bootstrap) keeps its options, the interval included.

In our simulation (``benchmarks/results/coverage.csv``; binomial counts, normally distributed
logits, 2,000 sets in each of 18 scenarios for each k) the 95% Wald interval of the GLMM contained
the truth on average in 90.9% of sets of 5 studies, 92.9% of 10, 94.1% of 20 and 94.8% of 50; the
t interval in 96.7, 95.8, 95.6 and 95.4%. The t interval thus errs on the safe side everywhere, and
by less the more studies there are. Ten is a convention, not a finding: at 10 studies Wald still
falls short by two points, and from there on it is the interval that is usually published.
Random effects of corrected logits are no alternative: with rare events their coverage falls as
studies are added, with any interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import LEVEL, level_of, number_from_zero, one_of, whole_number
from ..errors import UnsupportedError
from .effects import ADD, RULES, STUDY_INTERVALS, get_measure

#: Models of `pool`.
MODELS: tuple[str, ...] = ("common", "random", "glmm")
#: Model of `helpers.pool_beta_binomial`, whose options no other call takes.
BETA_BINOMIAL = "beta-binomial"
#: Measures with a likelihood of counts.
LIKELIHOOD_MEASURES: tuple[str, ...] = ("logit", "log-rate")
#: Below this number of studies, methods that rely on many studies are not the default, and
#: cautions say why.
FEW_STUDIES = 10
#: Below this number of studies in a group, the comparison of groups has a caution and no verdict
#: (`helpers.views.subgroup_sentences`). It is lower than `FEW_STUDIES`, because a group with five
#: to nine studies has that caution on its own result already, and the p-value that judges the
#: comparison is calibrated for the sizes at hand (`helpers.models.subgroup_null`).
FEW_IN_GROUP = 5
#: With so few degrees of freedom, k - 2, no picture, table or sentence shows a prediction interval:
#: the variance between studies rests on as good as nothing. So it takes `FEW_IN_GROUP` studies. The
#: number itself is there for whoever calls ``prediction_interval()``.
FEW_PREDICTION_DF = FEW_IN_GROUP - 3
MEASURE = "logit"
QUAD_POINTS = 7
BACK_TRANSFORM = "harmonic-mean"
TAU2_METHOD = "REML"
#: Prediction interval; of the methods simulated it comes closest to its level, for every model.
PREDICTION_METHOD = "t-k-2"
#: Measure of effects that are given as they are.
EFFECT_MEASURE = "effect"
#: Scale of events over person-time.
RATE_MEASURE = "log-rate"

#: Estimators of tau2.
TAU2_METHODS: tuple[str, ...] = (
    "DL",
    "DL2",
    "HE",
    "HE2",
    "HS",
    "HSk",
    "SJ",
    "PM",
    "PMM",
    "EB",
    "ML",
    "REML",
)
#: Interval methods for the pooled effect, by model.
MU_METHODS: dict[str, tuple[str, ...]] = {
    "common": ("wald", "profile", "henmi-copas"),
    "random": (
        "wald",
        "t",
        "knapp-hartung",
        "knapp-hartung-max1",
        "knapp-hartung-wider",
        "profile",
        "henmi-copas",
    ),
    "glmm": ("wald", "t", "profile"),
}

#: Words that each option knows.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "model": MODELS,
    "method": ("inverse-variance", "likelihood"),
    "tau2_method": TAU2_METHODS,
    "ci_method": tuple(dict.fromkeys(name for names in MU_METHODS.values() for name in names)),
    "to": RULES,
    "study_ci": tuple(STUDY_INTERVALS),
    "back_transform": ("harmonic-mean", "inverse-variance"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Every choice behind a result, so that it can be made again on other studies.

    `resolve` makes them and knows the defaults.
    """

    #: As in `helpers.pool`
    measure: str
    model: str
    method: str
    tau2_method: str | None
    ci_method: str
    #: Whether the call named `ci_method`, rather than leaving it to the number of studies
    ci_named: bool
    #: As in `helpers.pool`
    level: float
    add: float
    to: str | None
    quad_points: int
    study_ci: str
    back_transform: str
    #: The between-study variance where it was not estimated from these studies; what fits them
    #: again keeps it
    tau2: float | None = None
    #: {"estimated", "given", "shared"}: Where the between-study variance comes from: these studies,
    #: the call, or all groups of a comparison (then by `tau2_method`)
    tau2_source: str = "estimated"

    def for_studies(self, k: int) -> Options:
        """Return the same choices for another set of `k` studies.

        An interval that the call named stays; else the number of studies decides. One study has
        the Wald interval alone.

        Examples
        --------
        >>> from helpers.engine.options import resolve
        >>> resolve(model="glmm").for_studies(5).ci_method
        't'
        >>> resolve(model="glmm", ci_method="wald").for_studies(5).ci_method
        'wald'
        """
        chosen = self.ci_method if self.ci_named else default_ci_method(self.model, k - 1)
        chosen = "wald" if k == 1 else chosen
        return self if chosen == self.ci_method else replace(self, ci_method=chosen)


def few_studies(df: ArrayLike) -> NDArray[np.bool_]:
    """Whether there are fewer than `FEW_STUDIES` studies, given the degrees of freedom.

    Without moderators the degrees of freedom are k - 1; every moderator costs one study.
    """
    return np.asarray(df) < FEW_STUDIES - 1


def shows_prediction(df: int) -> bool:
    """Whether displays show a prediction interval that has `df` degrees of freedom.

    Without moderators these are two less than studies.
    """
    return df > FEW_PREDICTION_DF


def default_model(
    measure: str,
    *,
    counts: bool = True,
    method: str | None = None,
    tau2_method: str | None = None,
    ci_method: str | None = None,
    tau2: float | None = None,
    add: float | None = None,
    to: str | None = None,
) -> str:
    """Model of a call that names none; `counts`: whether counts are given, not effects."""
    if not counts or measure not in LIKELIHOOD_MEASURES:
        return "random"
    inverse = (
        method == "inverse-variance"
        or any(word is not None for word in (tau2_method, tau2, add, to))
        or (ci_method in MU_METHODS["random"] and ci_method not in MU_METHODS["glmm"])
    )
    return "random" if inverse else "glmm"


def default_ci_methods(model: str, df: ArrayLike) -> NDArray[np.object_]:
    """Interval of the pooled effect by default, for sets with `df` degrees of freedom."""
    free = np.asarray(df)
    if model == "random":
        name = np.full(free.shape, "knapp-hartung-max1", dtype=object)
    elif model == "glmm":
        name = np.where(few_studies(free), "t", "wald").astype(object)
    else:
        name = np.full(free.shape, "wald", dtype=object)
    return np.where(free < 1, "wald", name).astype(object)


@lru_cache(maxsize=256)
def default_ci_method(model: str, df: int, known: tuple[str, ...] | None = None) -> str:
    """`default_ci_methods` for one set of studies, of a model that knows these intervals.

    A model with several levels knows no scale factor of Knapp and Hartung; of it the t
    distribution is left. Tests of coefficients follow their intervals.
    """
    name = str(default_ci_methods(model, df)[()])
    return name if known is None or name in known else "t"


def default_study_ci(measure: str) -> str:
    """Interval of single studies by default."""
    return {"rate": "exact", "proportion": "wilson", "effect": "wald"}[get_measure(measure).kind]


def default_tau2_ci(model: str) -> str:
    """Interval of the between-study variance by default."""
    return "profile" if model == "glmm" else "q-profile"


def check_option(name: str, value: Any) -> None:
    """Refuse a value that an option does not know, whatever it is combined with."""
    if name == "level":
        level_of(value)
    elif name == "quad_points":
        whole_number(name, value, 1, 100)
    elif name == "add" and value is not None:
        number_from_zero(name, value)
    elif name == "measure":
        get_measure(value)
    elif value is not None and name in _WORDS:
        one_of(name, value, _WORDS[name])


def resolve(
    *,
    measure: str = MEASURE,
    model: str | None = None,
    method: str | None = None,
    tau2_method: str | None = None,
    ci_method: str | None = None,
    level: Any = LEVEL,
    add: float | None = None,
    to: str | None = None,
    quad_points: int = QUAD_POINTS,
    study_ci: str | None = None,
    back_transform: str = BACK_TRANSFORM,
    counts: bool = True,
    tau2: float | None = None,
) -> Options:
    """Complete the choices of a call and refuse those that cannot be combined.

    Without a named interval it is that of many studies; `Options.for_studies` decides it for a
    number of studies. `counts`: whether counts are given, not effects.
    """
    given = {"model": model, "method": method, "tau2_method": tau2_method, "ci_method": ci_method}
    given |= {"to": to, "study_ci": study_ci, "back_transform": back_transform}
    for name, value in (given | {"quad_points": quad_points, "add": add}).items():
        if value is not None:
            check_option(name, value)
    level = level_of(level)
    scale = get_measure(measure)
    implied = "" if model is not None else " (the default here; name `model`)"
    if model is None:
        model = default_model(
            measure,
            counts=counts,
            method=method,
            tau2_method=tau2_method,
            ci_method=ci_method,
            tau2=tau2,
            add=add,
            to=to,
        )
    natural = "likelihood" if model == "glmm" else "inverse-variance"
    method = method or natural
    if model != "common" and method != natural:
        raise UnsupportedError(f"model={model!r}{implied} is fitted by {natural}, not by {method}")
    if method == "likelihood" and measure not in LIKELIHOOD_MEASURES:
        raise UnsupportedError(
            f"a likelihood model is defined for measure {' or '.join(LIKELIHOOD_MEASURES)}, "
            f"not {measure!r}"
        )
    if model == "random":
        tau2_method = tau2_method or TAU2_METHOD
    elif tau2_method not in (None, "ML") or (tau2_method == "ML" and model == "common"):
        raise UnsupportedError(
            f"tau2_method={tau2_method!r} cannot be combined with model={model!r}"
        )
    else:
        tau2_method = "ML" if model == "glmm" else None
    named = ci_method is not None
    if ci_method is None:
        ci_method = default_ci_method(model, FEW_STUDIES)
    if ci_method not in MU_METHODS[model]:
        raise UnsupportedError(
            f"ci_method={ci_method!r} is not defined for model={model!r}{implied}; expected one of "
            f"{', '.join(MU_METHODS[model])}"
        )
    if ci_method == "henmi-copas" and (model == "random" or method == "likelihood"):
        raise UnsupportedError(
            "ci_method='henmi-copas' belongs to the common-effect estimate by inverse variance "
            "(model='common'); conf_int('henmi-copas') gives it beside a random-effects fit"
        )
    if ci_method == "profile" and method == "inverse-variance" and tau2_method != "ML":
        raise UnsupportedError("ci_method='profile' by inverse variance needs tau2_method='ML'")
    return Options(
        measure=scale.name,
        model=model,
        method=method,
        tau2_method=tau2_method,
        ci_method=ci_method,
        ci_named=named,
        level=level,
        add=ADD if add is None else float(add),
        to=to,
        quad_points=int(quad_points),
        study_ci=study_ci or default_study_ci(measure),
        back_transform=back_transform,
    )
