"""The methods of a result in one sentence, with sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import printing
from ..engine.effects import get_measure
from ..engine.literature import Methods, references

if TYPE_CHECKING:
    from ..engine.options import Options

_TAU2_WORDS: dict[str, tuple[str, str]] = {
    "DL": ("the DerSimonian-Laird estimator", "dersimonian1986"),
    "DL2": ("the two-step DerSimonian-Laird estimator", "dersimonian2007"),
    "HE": ("the Hedges estimator", "hedges1983"),
    "HE2": ("the two-step Hedges estimator", "dersimonian2007"),
    "HS": ("the Hunter-Schmidt estimator", "viechtbauer2005"),
    "HSk": ("the Hunter-Schmidt estimator with small-sample correction", "brannick2019"),
    "SJ": ("the Sidik-Jonkman estimator", "sidik2005"),
    "PM": ("the Paule-Mandel estimator", "paule1982"),
    "PMM": ("the median-unbiased Paule-Mandel estimator", "viechtbauer2021"),
    "EB": ("the empirical Bayes estimator", "morris1983"),
    "ML": ("maximum likelihood", "viechtbauer2005"),
    "REML": ("restricted maximum likelihood", "viechtbauer2005"),
}
_CI_WORDS: dict[str, tuple[str, str | None]] = {
    "wald": ("Wald-type", None),
    "t": ("based on a t distribution", None),
    "knapp-hartung": ("by the method of Knapp and Hartung", "knapp2003"),
    "knapp-hartung-max1": (
        "by the method of Knapp and Hartung, never narrower than without its scale factor",
        "rover2015",
    ),
    "knapp-hartung-wider": (
        "the wider of the Wald-type interval and that of Knapp and Hartung",
        "jackson2017",
    ),
    "profile": ("by profile likelihood", "hardy1996"),
    "henmi-copas": ("by the method of Henmi and Copas", "henmi2010"),
}

#: The interval of studies without an event (or with nothing but events).
_EXACT_WORDS: dict[str, tuple[str, str]] = {
    "proportion": ("that of Clopper and Pearson", "clopper1934"),
    "rate": ("the exact one of a Poisson count", "garwood1936"),
}

_SCALE_WORDS: dict[str, str] = {
    "raw": " without transformation",
    "log": " on the log scale",
    "logit": " on the logit scale",
    "arcsine": " on the arcsine scale",
    "double-arcsine": " on the double arcsine scale",
    "raw-rate": " without transformation",
    "log-rate": " on the log scale",
    "sqrt-rate": " on the square-root scale",
    "freeman-tukey-rate": " on the Freeman-Tukey scale",
    "effect": "",
    "log-ratio": " on the log scale",
}


def methods_of(options: Options, k: int) -> Methods:
    """Describe the choices in `options` for `k` studies."""
    measure = get_measure(options.measure)
    keys: list[str] = []
    noun = {"proportion": "Proportions", "rate": "Rates", "effect": "Effects"}[measure.kind]
    noun = "Ratios" if measure.name == "log-ratio" else noun
    studies = printing.studies(k)
    what = f"{noun} of {studies}"
    where = _SCALE_WORDS[measure.name]
    if options.ci_method == "exact":
        exact, key = _EXACT_WORDS[measure.kind]
        unit = "person-time" if measure.kind == "rate" else "patients"
        return Methods(
            f"Events and {unit} of {studies} were added up, because the likelihood has no finite "
            "maximum where nobody (or everybody) has the event; the "
            f"{printing.level_text(options.level)} confidence interval is {exact}.",
            references(key),
        )
    if options.model == "glmm":
        normal = "Poisson-normal" if measure.kind == "rate" else "binomial-normal"
        points = options.quad_points
        integral = f"adaptive Gauss-Hermite quadrature with {points} points"
        integral = "the Laplace approximation" if points == 1 else integral
        how = (
            f"pooled{where} in a {normal} generalised linear mixed model by maximum likelihood "
            f"({integral})"
        )
        keys += ["hamza2008", "stijnen2010", "pinheiro1995"]
    elif options.model == "common" and options.method == "likelihood":
        family = "Poisson" if measure.kind == "rate" else "binomial"
        how = f"pooled{where} as one common effect in a {family} model by maximum likelihood"
        keys += ["stijnen2010"]
    elif options.model == "common":
        how = f"pooled{where} by inverse variance with a common effect"
        keys.append("cochran1954")
    else:
        how = f"pooled{where} by inverse variance with random effects, the between-study variance "
        if options.tau2_source == "given":
            how += f"fixed at {options.tau2:g}"
        else:
            words, key = _TAU2_WORDS[str(options.tau2_method)]
            from_all = " from all groups" if options.tau2_source == "shared" else ""
            how += f"estimated{from_all} by {words}"
            keys.append(key)
    ci, ci_key = _CI_WORDS[options.ci_method]
    if ci_key:
        keys.append(ci_key)
    level = printing.level_text(options.level)
    sentence = f"{what} were {how}; the {level} confidence interval is {ci}"
    if options.model == "glmm" and options.tau2_source == "shared":
        sentence += "; the groups were fitted together, with one between-study variance"
    if measure.needs_size:
        harmonic = options.back_transform == "harmonic-mean"
        size = "harmonic mean of the sample sizes"
        size = size if harmonic else "sample size implied by the standard error"
        sentence += f"; values were back-transformed with the {size}"
        keys += ["freeman1950"]
        if measure.kind == "proportion":
            keys += ["miller1978" if harmonic else "barendregt2013", "schwarzer2019"]
    return Methods(f"{sentence}.", references(*keys))
