"""Three-level meta-analysis: cohorts within studies or registries, with moderators if wanted.

Cohorts that come from one study or registry share a random effect (Konstantopoulos 2011,
doi:10.1002/jrsm.35; Cheung 2014, doi:10.1037/a0032968). Counts have their own likelihood
(`helpers.engine.counts.nested`); effects are estimated by REML or ML, with cluster-robust inference
on top if wanted (`helpers.engine.normal.nested`). Both search the global maximum over both
variances; tests are by the normal or the t distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Unpack

import numpy as np

from .. import printing
from ..arguments import Array, one_of
from ..door import pd
from ..engine.cost import announce
from ..engine.distributions import chi2_sf
from ..engine.keywords import MultilevelKeywords, refuse_unknown
from ..engine.model import Model
from ..engine.model.levels import Levels, fit_levels
from ..engine.normal.fit import RegressionFit, fit_regression
from ..engine.normal.nested import covariance_blocks, fit_nested, maximise_nested
from ..engine.options import (
    FEW_STUDIES,
    TAU2_METHOD,
    default_ci_method,
)
from ..engine.robust import RobustCovariance, robust_covariance
from ..engine.summaries import Caution, Heterogeneity, i2_and_h2
from ..engine.wald import ModelTest
from ..errors import MetaAnalysisError, UnsupportedError
from .cautions import excluded, extreme_words
from .design import Design
from .multilevel_result import MultilevelResult
from .regression import read_regression_data, read_studies, resolve_choices
from .regression_parts import FEW_DF, refuse_separation, residual_heterogeneity, shared_fields

__all__ = ["MultilevelResult", "pool_multilevel"]

#: Intervals and tests of coefficients.
CI_METHODS: tuple[str, ...] = ("wald", "t")


def pool_multilevel(
    data: pd.DataFrame | None = None,
    formula: str = "1",
    *,
    cluster: str | Sequence[Any],
    events: str | Sequence[float] | None = None,
    n: str | Sequence[float] | None = None,
    time: str | Sequence[float] | None = None,
    yi: str | Sequence[float] | None = None,
    vi: str | Sequence[float] | None = None,
    study: str | Sequence[Any] | None = None,
    **options: Unpack[MultilevelKeywords],
) -> MultilevelResult:
    """Pool cohorts that are nested in clusters (studies, registries, centres).

    Parameters
    ----------
    data : DataFrame, optional
        One row for each cohort; arrays work without it.
    formula : str, default "1"
        Moderators, as in `helpers.meta_regression`.
    cluster : str or array_like
        The study or registry that each cohort comes from.
    events, n, time, yi, vi : str or array_like, optional
        Counts, or effects and sampling variances.
    study : str or array_like, optional
        Unique labels of the cohorts.
    **options
        The choices below.

    Other Parameters
    ----------------
    measure : str, optional
        Effect measure; default "logit" for counts, "effect" for `yi` and `vi`.
    model : {"glmm", "random"}, optional
        Binomial (Poisson) counts with normal effects of clusters and cohorts, or normally
        distributed effects. Default as in `helpers.pool`: "glmm" for counts, "random" for effects
        and where `tau2_method`, a zero-cell rule or `robust` is named.
    tau2_method : {"REML", "ML"}
        Estimation of both variances, model "random"; the GLMM has maximum likelihood.
    ci_method : {"wald", "t"}, optional
        Intervals and tests by the normal distribution, or by t with k - p degrees of freedom.
        Default as in `helpers.pool`, the clusters counting as studies: "t" for normally
        distributed effects, and for the GLMM with fewer than ten clusters.
    robust : {"CR0", "CR1", "CR2"}, optional
        Cluster-robust covariance with the three-level model as working model, model "random".
    level : float
        Confidence level.
    add, to : float, str
        Zero-cell rule, model "random".
    quad_points : int, default 7
        Points of the quadrature over the effect of a cohort; those over the effect of a cluster
        are doubled until the likelihood stays.

    Raises
    ------
    MetaAnalysisError
        Bad input, one cluster only, or too few cohorts.
    UnsupportedError
        A choice without meaning: unknown options, or every cluster with one cohort (the two
        variances cannot be told apart).

    Examples
    --------
    >>> fit = pool_multilevel(
    ...     events=[3, 5, 9, 14, 2, 6], n=[60, 80, 70, 90, 50, 75], cluster=list("aabbcc")
    ... )
    >>> round(fit.estimate, 4), round(fit.sigma2_between, 4), round(fit.sigma2_within, 4)
    (0.0846, 0.15, 0.0)
    """
    refuse_unknown("pool_multilevel", options, MultilevelKeywords)
    robust, ci_method = options.get("robust"), options.get("ci_method")
    one_of("tau2_method", options.get("tau2_method") or TAU2_METHOD, ("REML", "ML"))
    one_of("model", options.get("model") or "random", ("glmm", "random"))
    chosen = resolve_choices(options, CI_METHODS, robust is not None, yi, vi, events)
    if chosen.model == "glmm" and robust is not None:
        raise UnsupportedError(
            f"model='glmm' cannot be used here: robust={robust!r} needs model='random'"
        )
    studies = read_studies(data, chosen, {"events": events, "n": n, "time": time}, yi, vi, study)
    table = pd.DataFrame(index=range(len(studies.labels))) if data is None else data
    studies, _, design, clusters = read_regression_data(table, formula, studies, cluster)
    assert clusters is not None
    names, codes = np.unique([str(c) for c in clusters], return_inverse=True)
    codes = codes.reshape(-1)
    k, p, groups = studies.k, design.p, int(codes.max()) + 1
    if k <= p or groups < 2:
        raise MetaAnalysisError(
            f"{printing.counted(k, 'cohort')} in {printing.counted(groups, 'cluster')} for "
            f"{printing.counted(p, 'coefficient')}; expected at least two "
            "clusters and more cohorts than coefficients"
        )
    if groups == k:
        raise UnsupportedError(
            "every cluster has one cohort, so that the variances between and within clusters "
            "cannot be told apart; use meta_regression or pool"
        )
    ci_method = ci_method or default_ci_method(chosen.model, groups - p, CI_METHODS)
    core = Model(studies, replace(chosen, ci_method=ci_method), design.X, codes)
    return _result(core, design, tuple(map(str, names)), robust)


class _Likelihood(NamedTuple):
    """What the families have each in their own way."""

    loglik: float
    loglik_restricted: float
    none: float  # log-likelihood without variance between clusters
    heterogeneity: Heterogeneity
    converged: bool = True
    sandwich: RobustCovariance | None = None


def _result(
    core: Model, design: Design, cluster_names: tuple[str, ...], robust: str | None
) -> MultilevelResult:
    two = _without_clusters(core, design) if core.likelihood else None
    announce("clusters of counts" if core.likelihood else "clusters of effects", 1, core.k)
    fit = fit_levels(core)
    if not fit.estimable[0]:
        raise UnsupportedError(
            "what the moderators leave of the cohorts cannot tell the variances between and within "
            "clusters apart; leave a moderator out, or use meta_regression with cluster="
        )
    found = _effects(core, fit, robust) if two is None else _counts(core, fit, two)
    p, joint = design.p, fit.cov[0]
    shared, impossible = shared_fields(core, design, fit.beta[0], joint[:p, :p], found.sandwich)
    between, within = (float(x) for x in fit.variances[0])
    whole = between + within + found.heterogeneity.typical_variance
    joint.flags.writeable = False
    converged = bool(fit.converged[0]) and found.converged
    return MultilevelResult(
        **shared,
        clusters=len(cluster_names),
        joint_covariance=joint,
        sigma2_between=between,
        sigma2_within=within,
        loglik=found.loglik,
        loglik_restricted=found.loglik_restricted,
        heterogeneity=found.heterogeneity,
        I2_between=100.0 * between / whole,
        I2_within=100.0 * within / whole,
        between_test=_between_test(float(fit.loglik[0] - found.none), between),
        converged=converged,
        maxima=int(fit.maxima[0]),
        cautions=(*impossible, *_cautions(core, fit, robust, shared["df"], converged=converged)),
        cluster_names=cluster_names,
    )


def _without_clusters(core: Model, design: Design) -> RegressionFit:
    """Fit counts without variance between clusters; an error where there is no maximum."""
    if (extreme := extreme_words(core.data, core.scale.kind, core.options.level)) is not None:
        raise MetaAnalysisError(
            f"{extreme.who}: the likelihood has no finite maximum; pool(events=..., n=...) gives "
            "exact limits"
        )
    two = core.regress()
    refuse_separation(two, core, design)
    return two


def _counts(core: Model, fit: Levels, two: RegressionFit) -> _Likelihood:
    """Maximum likelihood of counts."""
    common = residual_heterogeneity(two, core)
    i2, h2 = i2_and_h2(float(fit.variances[0].sum()), common.typical_variance)
    common = replace(common, I2=i2, H2=h2, tau2_lrt=None, tau2_p=None)
    return _Likelihood(
        float(fit.loglik[0]), np.nan, float(two.loglik[0]), common, bool(two.converged[0])
    )


def _effects(core: Model, fit: Levels, robust: str | None) -> _Likelihood:
    """Restricted or full maximum likelihood of normally distributed effects."""
    k, p = core.X.shape
    assert core.clusters is not None
    restricted, variances = core.options.tau2_method == "REML", fit.variances[0]
    one = fit_nested(
        core.yi,
        core.vi,
        core.X,
        core.clusters,
        restricted=restricted,
        fixed=(float(variances[0]), float(variances[1])),
    )
    none = maximise_nested(one.data, restricted=restricted, fixed=(0.0, None))
    sandwich = None
    if robust is not None:
        data, design = one.data, one.data.X @ np.linalg.inv(one.lift)  # columns of the user's
        residuals, blocks = data.y - data.X @ one.at.beta, covariance_blocks(data, variances)
        sandwich = robust_covariance(design, residuals, blocks, data.codes, robust)
    s, constant = one.at, np.log(2.0 * np.pi)
    height = -0.5 * (s.log_det_sigma + s.rss)
    fixed = fit_regression(core.yi, core.vi, core.X, tau2=float(variances.sum()))
    return _Likelihood(
        height - 0.5 * k * constant,
        height - 0.5 * s.log_det_gram - 0.5 * (k - p) * constant,
        float(none.value),
        residual_heterogeneity(fixed, core),
        sandwich=sandwich,
    )


def _between_test(gain: float, between: float) -> ModelTest:
    """Likelihood-ratio test of sigma2_between = 0, half of whose distribution lies at 0."""
    value = max(2.0 * gain, 0.0) if between > 0 else 0.0
    p = 0.5 * float(chi2_sf(value, 1.0)) if between > 0 else 1.0
    return ModelTest(value, 1, None, p, "likelihood-ratio", "sigma2_between = 0")


def _cautions(
    core: Model, fit: Levels, robust: str | None, df: Array, *, converged: bool
) -> Iterator[Caution]:
    assert core.clusters is not None
    studies, clusters, maxima = core.data, int(core.clusters.max()) + 1, int(fit.maxima[0])
    variances = fit.variances[0]
    if not converged:
        yield Caution("not-converged", "The search for the variances did not converge.")
    if clusters < FEW_STUDIES:
        yield Caution(
            "few-clusters",
            f"With {clusters} clusters the variance between them is poorly estimated.",
        )
    for at, name in enumerate(("between clusters", "within clusters")):
        if variances[at] == 0.0:
            yield Caution("boundary", f"The variance {name} is estimated at zero, its boundary.")
    if not variances.any():
        yield Caution(
            "boundary",
            "Both variances are estimated at zero: prediction intervals may be much too narrow.",
        )
    if maxima > 1:
        yield Caution(
            "several-maxima",
            f"The likelihood has {printing.word(maxima)} local maxima; the result is the highest.",
        )
    if robust == "CR2" and float(df.min()) < FEW_DF:
        yield Caution(
            "few-robust-df", f"A robust test has {float(df.min()):.1f} degrees of freedom."
        )
    yield from excluded(studies, "cohort", "cohorts")
    corrected = int((studies.corrected & studies.included).sum())
    if corrected and not core.likelihood:
        yield Caution(
            "zero-cells-corrected",
            f"The cells of {printing.counted(corrected, 'cohort')} were corrected.",
        )
