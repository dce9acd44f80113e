"""Three-level meta-analysis: cohorts within studies or registries, with moderators if wanted.

Effects of cohorts that come from one study or registry share a random effect
(Konstantopoulos 2011, doi:10.1002/jrsm.35; Cheung 2014, doi:10.1037/a0032968). Estimation by REML
or ML with a search for the global maximum over both variances; tests by the normal or the t
distribution; cluster-robust inference on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from .. import printing
from ..arguments import LEVEL, one_of
from ..engine.distributions import chi2_sf
from ..engine.effects import get_measure
from ..engine.keywords import MultilevelKeywords, refuse_unknown
from ..engine.model import Model
from ..engine.normal.fit import fit_regression
from ..engine.normal.nested import (
    Nested,
    NestedMaximum,
    covariance_blocks,
    fit_nested,
    maximise_nested,
)
from ..engine.options import (
    EFFECT_MEASURE,
    FEW_STUDIES,
    MEASURE,
    TAU2_METHOD,
    default_ci_method,
    resolve,
)
from ..engine.robust import ROBUST, RobustCovariance, robust_covariance
from ..engine.studies import StudyData, from_counts, from_effects
from ..engine.summaries import Caution
from ..engine.wald import ModelTest, wald_test
from ..errors import MetaAnalysisError, UnsupportedError
from .design import Design
from .multilevel_result import MultilevelResult
from .regression import read_regression_data
from .regression_parts import FEW_DF, omnibus_of, residual_heterogeneity

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

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
    tau2_method : {"REML", "ML"}
        Estimation of both variances.
    ci_method : {"wald", "t"}, optional
        Intervals and tests by the normal distribution, or by t with k - p degrees of freedom.
        Default "t": as in `helpers.pool`, normally distributed effects never refer to the
        normal distribution unless it is named.
    robust : {"CR0", "CR1", "CR2"}, optional
        Cluster-robust covariance with the three-level model as working model.
    level : float
        Confidence level.
    add, to : float, str
        Zero-cell rule.

    Returns
    -------
    MultilevelResult

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
    (0.0871, 0.2415, 0.0)
    """
    import pandas as pd

    refuse_unknown("pool_multilevel", options, MultilevelKeywords)
    tau2_method = options.get("tau2_method") or TAU2_METHOD
    measure, ci_method = options.get("measure"), options.get("ci_method")
    robust = options.get("robust")
    one_of("tau2_method", tau2_method, ("REML", "ML"))
    if ci_method is not None:
        one_of("ci_method", ci_method, CI_METHODS)
    if robust is not None:
        one_of("robust", robust, ROBUST)
    if (yi is None) != (vi is None) or (yi is not None and events is not None):
        raise MetaAnalysisError("give either events and n (or time), or both yi and vi")
    scale = get_measure(measure or (EFFECT_MEASURE if yi is not None else MEASURE))
    chosen = resolve(
        measure=scale.name,
        model="random",
        tau2_method=tau2_method,
        level=options.get("level", LEVEL),
        add=options.get("add"),
        to=options.get("to"),
        counts=yi is None,
    )
    size = time if scale.kind == "rate" else n
    if yi is not None:
        studies = from_effects(data, yi, vi, study, size)
    else:
        if events is None or size is None:
            raise MetaAnalysisError("give events and n (or time), or yi and vi")
        rule: Any = chosen.to
        studies = from_counts(
            data, events, size, study, scale, add=chosen.add, to=rule, needs_effect=True
        )
    table = pd.DataFrame(index=range(len(studies.labels))) if data is None else data
    studies, _, design, clusters = read_regression_data(table, formula, studies, cluster)
    assert clusters is not None
    core = Model(studies, chosen, design.X)
    names, codes = np.unique([str(c) for c in clusters], return_inverse=True)
    codes = codes.reshape(-1)
    k, p, groups = len(core.yi), design.p, int(codes.max()) + 1
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
    ci_method = ci_method or default_ci_method("random", k - p, CI_METHODS)
    return _fit(core, design, codes, tuple(map(str, names)), ci_method, robust)


def _fit(
    core: Model,
    design: Design,
    codes: NDArray[np.intp],
    cluster_names: tuple[str, ...],
    ci_method: str,
    robust: str | None,
) -> MultilevelResult:
    k, p = core.X.shape
    studies, level, tau2_method = core.data, core.options.level, str(core.options.tau2_method)
    restricted = tau2_method == "REML"
    beta, cov, best, s, data, lift = fit_nested(
        core.yi, core.vi, core.X, codes, restricted=restricted
    )
    df = np.full(p, np.inf if ci_method == "wald" else float(k - p))
    sandwich = None
    if robust is not None:
        sandwich = _robust(data, best.variances, s.beta, lift, robust)
        cov, df = sandwich.cov, sandwich.df(np.eye(p))
    L = np.eye(p)[list(design.moderators)]
    label = "all moderators" if design.intercept is not None and p > 1 else "all coefficients"
    impossible: tuple[Caution, ...] = ()
    if sandwich is None:
        df2 = None if ci_method == "wald" else float(k - p)
        omnibus = wald_test(beta, cov, L, np.zeros(len(L)), df2, label)
    else:
        omnibus, impossible = omnibus_of(sandwich, beta, L, label)
    between, within = (float(x) for x in best.variances)
    fixed = fit_regression(core.yi, core.vi, core.X, tau2=between + within)
    heterogeneity = residual_heterogeneity(fixed, core)
    whole = between + within + heterogeneity.typical_variance
    constant = np.log(2.0 * np.pi)
    height = -0.5 * (s.log_det_sigma + s.rss)
    for values in (beta, cov, df):
        values.flags.writeable = False
    return MultilevelResult(
        formula=design.formula,
        measure=core.options.measure,
        tau2_method=tau2_method,
        ci_method=ci_method,
        robust=robust,
        level=level,
        k=k,
        clusters=len(data.starts),
        p=p,
        names=design.names,
        estimates=beta,
        covariance=cov,
        df=df,
        sigma2_between=between,
        sigma2_within=within,
        loglik=height - 0.5 * k * constant,
        loglik_restricted=height - 0.5 * s.log_det_gram - 0.5 * (k - p) * constant,
        heterogeneity=heterogeneity,
        I2_between=100.0 * between / whole,
        I2_within=100.0 * within / whole,
        omnibus=omnibus,
        between_test=_between_test(data, best, restricted),
        converged=best.converged,
        maxima=best.maxima,
        cautions=(*impossible, *_cautions(best, studies, len(data.starts), robust, df)),
        design=design,
        core=core,
        data=studies,
        codes=codes,
        cluster_names=cluster_names,
        robust_covariance=sandwich,
    )


def _robust(
    data: Nested, variances: Array, gamma: Array, lift: Array, kind: str
) -> RobustCovariance:
    """Robust covariance in the columns of the user's design."""
    design = data.X @ np.linalg.inv(lift)
    residuals = data.y - data.X @ gamma
    return robust_covariance(
        design, residuals, covariance_blocks(data, variances), data.codes, kind
    )


def _between_test(data: Nested, best: NestedMaximum, restricted: bool) -> ModelTest:
    """Likelihood-ratio test of sigma2_between = 0, half of whose distribution lies at 0."""
    none = maximise_nested(data, restricted=restricted, fixed=(0.0, None))
    value = max(2.0 * (best.value - none.value), 0.0)
    p = 0.5 * float(chi2_sf(value, 1.0)) if best.variances[0] > 0 else 1.0
    return ModelTest(value, 1, None, p, "likelihood-ratio", "sigma2_between = 0")


def _cautions(
    best: NestedMaximum, studies: StudyData, clusters: int, robust: str | None, df: Array
) -> tuple[Caution, ...]:
    found: list[tuple[str, str]] = []
    if not best.converged:
        found.append(("not-converged", "The search for the variances did not converge."))
    if clusters < FEW_STUDIES:
        found.append(
            (
                "few-clusters",
                f"With {clusters} clusters the variance between them is poorly estimated.",
            )
        )
    for at, name in enumerate(("between clusters", "within clusters")):
        if best.variances[at] == 0.0:
            found.append(("boundary", f"The variance {name} is estimated at zero, its boundary."))
    if not best.variances.any():
        found.append(
            (
                "boundary",
                "Both variances are estimated at zero: prediction intervals hold nothing but the "
                "uncertainty of the mean and may be much too narrow.",
            )
        )
    if best.maxima > 1:
        found.append(
            (
                "several-maxima",
                f"The likelihood has {printing.word(best.maxima)} local maxima; the result is the "
                "highest.",
            )
        )
    if robust == "CR2" and float(df.min()) < FEW_DF:
        found.append(
            ("few-robust-df", f"A robust test has {float(df.min()):.1f} degrees of freedom.")
        )
    if len(studies.labels) > studies.k:
        found.append(("excluded-studies", printing.left_out(studies.reason, "cohort", "cohorts")))
    corrected = int((studies.corrected & studies.included).sum())
    if corrected:
        found.append(
            (
                "zero-cells-corrected",
                f"The cells of {printing.counted(corrected, 'cohort')} were corrected.",
            )
        )
    return tuple(Caution(code, message) for code, message in found)
