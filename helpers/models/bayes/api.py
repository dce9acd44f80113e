"""The public call `posterior`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack, get_args

import numpy as np

from ... import printing
from ...arguments import LEVEL, level_of, one_of
from ...door import pd
from ...engine.effects import ADD, effective_size, get_measure
from ...engine.keywords import PosteriorKeywords, refuse_unknown
from ...engine.options import EFFECT_MEASURE, FEW_STUDIES, MEASURE, RATE_MEASURE
from ...engine.studies import StudyData, from_counts, from_effects
from ...engine.summaries import Caution
from ...errors import MetaAnalysisError, UnsupportedError
from ..cautions import excluded
from ..result import PoolResult
from .binomial import BinomialModel
from .engine import Model, PosteriorSolution, solve
from .normal import NormalModel
from .priors import Flat, HalfNormal, MuPrior, TauPrior
from .result import Posterior

#: Largest error bound of a posterior that is accepted where the call names none.
TOLERANCE = 1e-8


def posterior(
    data: pd.DataFrame | PoolResult | None = None,
    *,
    events: Any = None,
    n: Any = None,
    time: Any = None,
    yi: Any = None,
    vi: Any = None,
    study: Any = None,
    tau_prior: TauPrior | None = None,
    mu_prior: MuPrior | None = None,
    **options: Unpack[PosteriorKeywords],
) -> Posterior:
    """Posterior of a random-effects meta-analysis by deterministic quadrature.

    Parameters
    ----------
    data : DataFrame or PoolResult, optional
        Table with the columns named below, or a fit whose studies are used again.
    events, n : str or array_like
        Events and patients.
    time : str or array_like
        Person-time instead of patients: a posterior of rates, by the normal likelihood of
        transformed rates, which approximates the Poisson one of the counts (a caution says so).
    yi, vi : str or array_like
        Effects and their sampling variances, instead of counts.
    study : str or array_like, optional
        Unique labels.
    tau_prior : HalfNormal, HalfCauchy, Uniform or LogNormal, optional
        Prior for the between-study standard deviation; default ``HalfNormal(0.5)``.
    mu_prior : Flat or Normal, optional
        Prior for the mean on the model scale; default ``Flat()``.
    **options
        The choices below.

    Other Parameters
    ----------------
    likelihood : {"binomial", "normal"}, optional
        Exact binomial likelihood, or a normal one for transformed proportions. Default:
        "binomial" for counts (and for GLMM fits), "normal" for effects (and other fits).
    measure : str, optional
        Scale of the normal likelihood, one of `helpers.engine.effects.MEASURES` (default "logit"
        for counts, "log-rate" for counts with time, "effect" for effects). The
        binomial likelihood is defined for "logit".
    level : float
        Level of the credible intervals.
    tolerance : float, default 1e-8
        Largest error bound accepted (see `ErrorBounds`).

    Raises
    ------
    MetaAnalysisError
        Impossible values, no study left, or no proper posterior.
    UnsupportedError
        Options that do not exist or cannot be combined.
    ConvergenceError
        The tolerance cannot be reached.

    Notes
    -----
    The default prior of tau, half-normal with scale 0.5, is that recommended for log odds
    *ratios* (Röver et al. 2021, doi:10.1002/jrsm.1475). Rates of single groups may differ more,
    since no control group takes part of the differences away; a caution "prior-data-conflict"
    says where the posterior lies far out in the prior (in the spirit of Evans and Moshonov 2006,
    doi:10.1214/06-BA129).

    Model: ``y_i ~ N(theta_i, v_i)`` or ``x_i ~ Bin(n_i, expit theta_i)``, with
    ``theta_i ~ N(mu, tau^2)``. Given tau the normal model is integrated in closed form
    (Raudenbush & Bryk 1985, doi:10.3102/10769986010002075), the binomial one by quadrature over
    mu and adaptive Gauss-Hermite quadrature over every theta (Liu & Pierce 1994,
    doi:10.1093/biomet/81.3.624); the integral over tau is adaptive Fejer quadrature on the whole
    half-line. Integrating over tau deterministically is the idea of Röver 2020
    (doi:10.18637/jss.v093.i06).

    Examples
    --------
    >>> post = posterior(events=[3, 8, 6, 2], n=[40, 60, 90, 50])
    >>> print(f"{post.estimate:.3f} ({post.ci.lower:.3f} to {post.ci.upper:.3f})")
    0.076 (0.039 to 0.129)
    >>> print(f"{post.probability_above(0.05):.3f}, error below {post.tolerance:g}")
    0.911, error below 1e-08
    """
    refuse_unknown("posterior", options, PosteriorKeywords)
    likelihood, measure = options.get("likelihood"), options.get("measure")
    level, tolerance = options.get("level", LEVEL), options.get("tolerance", TOLERANCE)
    _check_prior("tau_prior", tau_prior, get_args(TauPrior))
    _check_prior("mu_prior", mu_prior, get_args(MuPrior))
    tau_prior = HalfNormal(0.5) if tau_prior is None else tau_prior
    mu_prior = Flat() if mu_prior is None else mu_prior
    if not (np.isfinite(tolerance) and 1e-13 < tolerance < 1e-2):
        raise MetaAnalysisError(f"tolerance={tolerance!r}: expected a number from 1e-13 to 0.01")
    fit, table = (data, None) if isinstance(data, PoolResult) else (None, data)
    if fit is not None:
        given = {"events": events, "n": n, "time": time, "yi": yi, "vi": vi, "study": study}
        named = [name for name, value in given.items() if value is not None]
        if named or measure is not None:
            extra = ", ".join(named) or "measure"
            raise UnsupportedError(f"a fit brings its own studies and measure: leave out {extra}")
        counts, exact = fit.data.events is not None, fit.model == "glmm" and fit.time is None
        measure = fit.measure
    else:
        counts = events is not None or n is not None or time is not None
        if counts == (yi is not None or vi is not None):
            raise UnsupportedError("give either counts (events and n) or effects (yi and vi)")
        if n is not None and time is not None:
            raise UnsupportedError("give n (patients) for proportions or time for rates, not both")
        if (events is None) != (n is None and time is None) or (yi is None) != (vi is None):
            raise UnsupportedError("events need n or time, and yi needs vi")
        exact = counts and time is None
        usual = MEASURE if time is None else RATE_MEASURE
        measure = measure or (usual if counts else EFFECT_MEASURE)
    likelihood = likelihood or ("binomial" if exact else "normal")
    _check_likelihood(likelihood, measure, counts=counts)
    scale, rule = get_measure(measure), {"add": ADD, "to": None}
    if fit is not None:
        studies = fit.data
        if fit.time is not None and counts:
            # a Poisson GLMM keeps studies that have no finite log rate without a correction
            given_again = (studies.events, studies.size, studies.labels)
            counted = from_counts(None, *given_again, scale, **rule, needs_effect=True)
            studies = counted.only(studies.included, "left out of the fit")
    elif counts:
        if scale.kind != ("proportion" if time is None else "rate"):
            what = "proportion of n patients" if time is None else "rate of events over time"
            raise UnsupportedError(f"measure={measure!r} is no {what}")
        size, normal = n if time is None else time, likelihood == "normal"
        studies = from_counts(table, events, size, study, scale, **rule, needs_effect=normal)
    else:
        if scale.needs_size:
            raise UnsupportedError(f"measure={measure!r} needs counts for its inverse")
        studies = from_effects(table, yi, vi, study)
    return _solve(studies, likelihood, measure, tau_prior, mu_prior, level_of(level), tolerance)


def _check_prior(name: str, prior: object, kinds: tuple[type, ...]) -> None:
    if prior is not None and not isinstance(prior, kinds):
        *others, last = (kind.__name__ for kind in kinds)
        raise UnsupportedError(
            f"{name}={prior!r}: expected a prior of helpers.models.bayes, one of "
            f"{', '.join(others)} or {last}, such as {name}={kinds[0]()!r}"
        )


def _check_likelihood(likelihood: str, measure: str, *, counts: bool) -> None:
    one_of("likelihood", likelihood, ("binomial", "normal"))
    if likelihood == "binomial" and not counts:
        raise UnsupportedError("likelihood='binomial' needs counts: events and n")
    if likelihood == "binomial" and measure != "logit":
        raise UnsupportedError(
            f"likelihood='binomial' is defined for measure='logit', not {measure!r}"
        )


def _solve(
    studies: StudyData,
    likelihood: str,
    measure: str,
    tau_prior: TauPrior,
    mu_prior: MuPrior,
    level: float,
    tolerance: float,
) -> Posterior:
    """Compute the posterior of checked studies."""
    keep = studies.included
    if not keep.any():
        reasons = "; ".join(
            f"{label}: {reason}"
            for label, reason in zip(studies.labels, studies.reason, strict=True)
        )
        raise MetaAnalysisError(f"no study is left ({reasons})")
    model: Model
    if likelihood == "binomial" and studies.events is not None and studies.size is not None:
        model = BinomialModel(studies.events[keep], studies.size[keep], mu_prior)
    else:
        model = NormalModel(studies.yi[keep], studies.vi[keep], mu_prior)
    solution = solve(model, tau_prior, level, tolerance)
    scale = get_measure(measure)
    size = 1.0
    if scale.needs_size and studies.size is not None:
        size = effective_size(studies.size[keep], np.nan, "harmonic-mean", scale.kind)
    return Posterior(
        mu=solution.mu,
        tau=solution.tau,
        predictive=solution.predictive,
        log_marginal_likelihood=solution.log_marginal_likelihood,
        errors=solution.errors,
        likelihood=likelihood,
        measure=measure,
        tau_prior=tau_prior,
        mu_prior=mu_prior,
        level=level,
        tolerance=tolerance,
        k=studies.k,
        cautions=tuple(_cautions(studies, likelihood, measure, solution, tau_prior)),
        data=studies,
        _size=size,
        _layer=solution.layer,
        _weights=solution.weights,
        _study_mean=solution.study_mean,
        _study_sd=solution.study_sd,
    )


#: Prior probability of a tau beyond the posterior median below which prior and data conflict.
CONFLICT = 0.05


def _prior_beyond(prior: TauPrior, tau: float) -> float:
    """Prior probability of a larger tau, by Gauss-Legendre quadrature below it."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    density = np.exp(prior.log_density(0.5 * tau * (nodes + 1.0)))
    return max(0.0, 1.0 - 0.5 * tau * float(weights @ density))


def _cautions(
    studies: StudyData, likelihood: str, measure: str, solution: PosteriorSolution, prior: TauPrior
) -> Iterator[Caution]:
    median = float(solution.tau.quantile(0.5))
    beyond = _prior_beyond(prior, median)
    if beyond < CONFLICT:
        share = (
            printing.percent(beyond) if beyond >= 0.001 else f"less than {printing.percent(0.001)}"
        )
        yield Caution(
            "prior-data-conflict",
            f"The {prior.label} prior gives a probability of {share} to values of tau above "
            f"the posterior median, {median:.2f}: it pulls tau down, and intervals are too "
            "narrow if it is wrong. Compare wider priors.",
        )
    if studies.k < FEW_STUDIES:
        yield Caution(
            "few-studies",
            f"With {printing.studies(studies.k)} the prior for the "
            "between-study standard deviation decides much of the result; compare priors.",
        )
    yield from excluded(studies)
    rates = get_measure(measure).kind == "rate"
    if rates and studies.events is not None:
        least = int(studies.events[studies.included].min())
        yield Caution(
            "normal-likelihood",
            "The Poisson likelihood of the counts is approximated by a normal one of the "
            "transformed rates, and the smaller a count the worse (the smallest here is "
            f"{least}). The GLMM of `pool` takes the counts as they are; compare it.",
        )
    corrected = int((studies.corrected & studies.included).sum())
    if likelihood == "normal" and corrected:
        yield Caution(
            "zero-cells-corrected",
            f"The normal likelihood takes {printing.studies(corrected)} "
            "without events (or with nothing else) with a continuity correction"
            + (
                ", as the exact likelihood of rates is not available here."
                if rates
                else "; the binomial likelihood needs none."
            ),
        )
    if solution.tail <= 3.0:
        yield Caution(
            "no-moments",
            "The prior's tail is so heavy for so few studies that the posterior has no "
            "standard deviation" + (" and no mean" if solution.tail <= 2.0 else "") + "; use "
            "the median and the interval.",
        )
