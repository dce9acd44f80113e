"""The public calls `pool` and `pool_effects`."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..arguments import LEVEL
from ..door import pd
from ..engine.counts.common import family_of, included_counts, is_one_sided, pool_counts
from ..engine.distributions import chi2_sf
from ..engine.effects import get_measure
from ..engine.keywords import EffectKeywords, PoolKeywords, refuse_unknown
from ..engine.normal.intervals import KNAPP_HARTUNG, single_knapp_hartung_se
from ..engine.normal.inverse_variance import InverseVarianceFit, fit_inverse_variance
from ..engine.options import EFFECT_MEASURE, MEASURE, Options, resolve
from ..engine.studies import StudyData, from_counts, from_effects
from ..engine.summaries import LIKELIHOOD_RATIO, Heterogeneity, i2_and_h2
from ..errors import MetaAnalysisError, UnsupportedError
from .cautions import find_cautions, with_display_cautions
from .result import PoolResult

if TYPE_CHECKING:
    from ..engine.counts.fit import GLMMFit

__all__ = ["fit_studies", "pool", "pool_effects"]


def pool(
    data: pd.DataFrame | None = None,
    *,
    events: Any,
    n: Any = None,
    time: Any = None,
    study: Any = None,
    measure: str = MEASURE,
    model: str | None = None,
    ci_method: str | None = None,
    level: float = LEVEL,
    **options: Unpack[PoolKeywords],
) -> PoolResult:
    """Pool one proportion (or one rate) from each study.

    Parameters
    ----------
    data : DataFrame, optional
        Table with the columns named below; leave it out to pass arrays.
    events : str or array_like
        Events: whole numbers of at least 0.
    n : str or array_like
        Patients: whole numbers of at least 1 (proportions).
    time : str or array_like
        Person-time, instead of `n` (rates).
    study : str or array_like, optional
        Unique labels; default "Study 1", "Study 2", ...
    measure : str
        One of `helpers.engine.effects.MEASURES`; the GLMM is defined for "logit" and "log-rate".
    model : {"glmm", "random", "common"}, optional
        The binomial-normal (Poisson-normal) generalised linear mixed model by maximum
        likelihood, random effects by inverse variance, or one common effect. Default: "glmm" for
        the measures that have it ("logit", "log-rate"), "random" for the others and where
        `tau2_method`, `tau2`, a zero-cell rule or an interval of Knapp and Hartung is named.
    ci_method : str, optional
        One of `helpers.engine.options.MU_METHODS` for the model. Default for "random":
        "knapp-hartung-max1" (Roever et al. 2015, doi:10.1186/s12874-015-0091-1). Default for
        "glmm": "t" with fewer than ten included studies, "wald" from ten on; see
        `helpers.engine.options` for what our simulation says about it. Else "wald".
    level : float
        Level of all intervals.
    **options
        Rarer choices, below.

    Other Parameters
    ----------------
    method : {"inverse-variance", "likelihood"}, optional
        How a common effect is estimated: by inverse variance (default), or as the maximum
        likelihood of the summed counts, which is the GLMM with tau2 = 0 and is what the
        "common effect" columns of a GLMM analysis usually contain.
    tau2_method : str, optional
        One of `helpers.engine.options.TAU2_METHODS` for model "random"; default "REML".
    tau2 : float, optional
        Fixes the between-study variance (model "random").
    add, to : float, str, optional
        Zero-cell rule of inverse-variance models, see `helpers.engine.effects.Measure.effects`;
        default 0.5, "only0" where the measure needs it.
    quad_points : int, default 7
        Points of the adaptive Gauss-Hermite quadrature (1: Laplace).
    study_ci : str, optional
        Interval of single studies; default "wilson" (proportions) or "exact" (rates).
    back_transform : {"harmonic-mean", "inverse-variance"}, optional
        Sample size of the inverse of the Freeman-Tukey measures.

    Returns
    -------
    PoolResult
        Rows with a missing count are excluded and stay visible in `studies` with the reason.

    Raises
    ------
    MetaAnalysisError
        Impossible values, all listed with study and column, or no study left.
    UnsupportedError
        Options that do not exist or cannot be combined.

    Examples
    --------
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50])
    >>> print(f"{fit.estimate:.3f} ({fit.ci.lower:.3f} to {fit.ci.upper:.3f})")
    0.161 (0.029 to 0.551)
    >>> fit.model, fit.ci_method
    ('glmm', 't')
    """
    scale = get_measure(measure)
    if scale.kind == "effect":
        raise UnsupportedError(f"measure={measure!r} has no counts; use pool_effects(yi, vi)")
    if scale.kind == "rate" and (time is None or n is not None):
        raise UnsupportedError(f"measure={measure!r} is a rate: give `time`, not `n`")
    if scale.kind == "proportion" and (n is None or time is not None):
        raise UnsupportedError(f"measure={measure!r} is a proportion: give `n`, not `time`")
    refuse_unknown("pool", options, PoolKeywords)
    chosen = resolve(measure=measure, model=model, ci_method=ci_method, level=level, **options)
    studies = from_counts(
        data,
        events,
        time if scale.kind == "rate" else n,
        study,
        scale,
        add=chosen.add,
        to=options.get("to"),  # type: ignore[arg-type]
        needs_effect=chosen.method == "inverse-variance",
    )
    return fit_studies(studies, chosen.for_studies(studies.k), tau2=options.get("tau2"))


def pool_effects(
    yi: Any,
    vi: Any,
    *,
    data: pd.DataFrame | None = None,
    study: Any = None,
    n: Any = None,
    measure: str = EFFECT_MEASURE,
    model: str | None = None,
    ci_method: str | None = None,
    level: float = LEVEL,
    **options: Unpack[EffectKeywords],
) -> PoolResult:
    """Pool any effects with known sampling variances.

    Parameters
    ----------
    yi, vi : array_like or str
        Effects and sampling variances (columns of `data` if strings).
    data, study, ci_method, level
        As in `pool`.
    n : array_like or str, optional
        Sample sizes; needed by the Freeman-Tukey measures only.
    measure : str
        What the effects are; decides the display scale. "effect": shown as they are.
    model : {"random", "common"}
    **options
        `tau2_method`, `tau2` and `back_transform`, as in `pool`.

    Raises
    ------
    MetaAnalysisError, UnsupportedError
        As in `pool`.

    Examples
    --------
    >>> fit = pool_effects([0.0, 1.0, 2.0], [0.1, 0.1, 0.1], tau2_method="DL")
    >>> fit.estimate, round(fit.tau2, 6)
    (1.0, 0.9)
    """
    scale = get_measure(measure)
    if model == "glmm":
        raise UnsupportedError("model='glmm' needs counts; use pool(events=..., n=...)")
    if scale.needs_size and n is None:
        raise UnsupportedError(f"measure={measure!r} needs `n` for its back-transformation")
    refuse_unknown("pool_effects", options, EffectKeywords)
    chosen = resolve(
        measure=measure,
        model=model,
        ci_method=ci_method,
        level=level,
        add=0.0,
        to="none",
        study_ci="wald",
        counts=False,
        **options,
    )
    studies = from_effects(data, yi, vi, study, n)
    return fit_studies(studies, chosen.for_studies(studies.k), tau2=options.get("tau2"))


def fit_studies(data: StudyData, options: Options, *, tau2: float | None = None) -> PoolResult:
    """Fit checked studies with these very options: the step that others repeat.

    For another set of studies, decide the interval anew with `Options.for_studies`; to refit a
    result, hand over its options.

    Raises
    ------
    MetaAnalysisError
        No study is left (`ConvergenceError` if the maximum of the GLMM was not reached).
    """
    if data.k == 0:
        reasons = "; ".join(
            f"{label}: {reason}" for label, reason in zip(data.labels, data.reason, strict=True)
        )
        raise MetaAnalysisError(f"no study is left to pool ({reasons})")
    if tau2 is not None and not (
        options.model == "random" and isinstance(tau2, Real) and 0.0 <= tau2 < np.inf
    ):
        raise UnsupportedError(
            f"tau2={tau2!r}: a fixed between-study variance of at least 0 needs model='random'"
        )
    if tau2 is not None:
        options = replace(options, tau2=float(tau2), tau2_source="given")
    if options.tau2 is not None and options.ci_method == "profile":
        raise UnsupportedError(
            "ci_method='profile' re-estimates tau2 at every value of the mean and cannot be "
            f"used with a {options.tau2_source} tau2; use 'wald', 't' or one of Knapp and Hartung"
        )
    if data.k == 1:
        options = options.for_studies(1)
    if options.method == "likelihood":
        return _fit_likelihood(data, options)
    return with_display_cautions(_fit_inverse_variance(data, options))


def pooled_result(
    data: StudyData,
    options: Options,
    tau2: float,
    weights: np.ndarray,
    *,
    converged: bool,
    engine: InverseVarianceFit | GLMMFit | None = None,
    **numbers: Any,
) -> PoolResult:
    """Put a result together: its numbers, and what follows from its studies and choices.

    `weights` are the percentages of the included studies.
    """
    keep = data.included
    every = np.zeros(len(data.labels))
    every[keep] = weights
    every.flags.writeable = False
    own = engine if isinstance(engine, InverseVarianceFit) else None
    return PoolResult(
        tau2=tau2,
        k=data.k,
        cautions=tuple(find_cautions(options, data, tau2, converged=converged, engine=own)),
        converged=converged,
        options=options,
        data=data,
        weights=every,
        engine=engine,
        **numbers,
    )


def _fit_inverse_variance(data: StudyData, options: Options) -> PoolResult:
    some = slice(None) if data.k == len(data.labels) else data.included
    fit = fit_inverse_variance(
        data.yi[some],
        data.vi[some],
        method=options.tau2_method or "common",
        tau2=None if options.tau2 is None else [options.tau2],
    )
    se_model = float(fit.se[0])
    se = se_model
    if options.ci_method in KNAPP_HARTUNG:
        se = single_knapp_hartung_se(fit, options.ci_method, options.level)
    q, df = float(fit.Q[0]), int(fit.df[0])
    restricted = options.tau2_method == "REML"
    return pooled_result(
        data,
        options,
        float(fit.tau2.tau2[0]),
        fit.weights[0],
        converged=bool(fit.tau2.converged[0]),
        engine=fit,
        mu=float(fit.mu[0]),
        se=se,
        se_model=se_model,
        tau2_se=float(fit.tau2.se[0]),
        heterogeneity=Heterogeneity(
            Q=q,
            df=df,
            p=float(chi2_sf(q, df)) if df else 1.0,
            I2=float(fit.I2[0]) if df else 0.0,
            H2=float(fit.H2[0]) if df else 1.0,
            typical_variance=float(fit.vt[0]),
        ),
        loglik=float((fit.loglik_restricted if restricted else fit.loglik)[0]),
    )


def _fit_likelihood(data: StudyData, options: Options) -> PoolResult:
    from ..engine.counts.fit import fit_glmm
    from ..engine.counts.inference import heterogeneity_tests
    from ..engine.counts.weights import information_weights

    kind = get_measure(options.measure).kind
    events, size = included_counts(data)
    if is_one_sided(events, size, kind):
        return _one_sided(data, options)
    fit = fit_glmm(events, size, family=family_of(kind), quad_points=options.quad_points)
    random = options.model == "glmm" and data.k > 1
    tau2, tau2_se = 0.0, np.nan
    if random:
        fit.raise_for_status()
        tau2, mu, se = float(fit.tau2[0]), float(fit.beta[0, 0]), float(fit.se[0, 0])
        weights = information_weights(fit)[0]
        if tau2 > 0:
            tau2_se = 2.0 * float(fit.tau[0]) * float(fit.tau_se[0])
    else:
        (mu, se), weights = pool_counts(events, size, kind), 100.0 * size / size.sum()
    tests = heterogeneity_tests(fit)
    lrt, df = float(tests.Q_lrt[0]), data.k - 1
    vt = typical_variance(data, options)
    if df == 0:
        i2, h2 = 0.0, 1.0
    elif options.model == "glmm":
        i2, h2 = i2_and_h2(tau2, vt)
    else:
        i2, h2 = 100.0 * max(0.0, 1.0 - df / lrt) if lrt > 0 else 0.0, lrt / df
    return pooled_result(
        data,
        options,
        tau2,
        weights,
        converged=not random or bool(fit.certified[0]),
        engine=fit if random else None,
        mu=mu,
        se=se,
        se_model=se,
        tau2_se=tau2_se,
        heterogeneity=tests.summary((i2, h2), vt, tau2=random),
        loglik=float((fit.loglik if random else fit.loglik_tau0)[0]),
    )


def _one_sided(data: StudyData, options: Options) -> PoolResult:
    """Give studies without an event (or with nothing but events) 0 of n and exact limits.

    The likelihood rises to 1 as the logit goes to infinity, whatever the between-study variance,
    of which the data say nothing.
    """
    events, size = included_counts(data)
    nan = float("nan")
    return pooled_result(
        data,
        replace(options, ci_method="exact"),
        0.0 if options.model == "common" else nan,
        100.0 * size / size.sum(),
        converged=True,
        mu=np.inf if events.any() else -np.inf,
        se=nan,
        se_model=nan,
        tau2_se=nan,
        heterogeneity=Heterogeneity(nan, data.k - 1, nan, nan, nan, nan, LIKELIHOOD_RATIO),
        loglik=0.0,
    )


def typical_variance(data: StudyData, options: Options) -> float:
    """Typical sampling variance of the measure under its own zero-cell rule."""
    if data.k < 2:
        return float("nan")
    events, size = included_counts(data)
    _, vi = get_measure(options.measure).effects(events, size)
    w = 1.0 / vi
    return float((data.k - 1) / (w.sum() - (w**2).sum() / w.sum()))
