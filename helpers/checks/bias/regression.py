r"""Regression tests for small-study effects.

All of them fit :math:`y_i = a + b x_i` and test b = 0; they differ in the predictor x (the measure
of study size), in the weights, and in how they allow for heterogeneity:

- *multiplicative*: weights :math:`1/v_i`, residual variance :math:`\phi` estimated with
  k - 2 degrees of freedom (t test). With x the standard error this is Egger's test
  (doi:10.1136/bmj.315.7109.629): his regression of :math:`y_i/s_i` on :math:`1/s_i` has the
  same coefficients with their names exchanged.
- *random*: weights :math:`1/(v_i + \tau^2)` (Thompson and Sharp 1999,
  doi:10.1002/(SICI)1097-0258(19991030)18:20<2693::AID-SIM235>3.0.CO;2-V).

**Why proportions need another predictor.** The sampling variance of a logit is
:math:`1/x + 1/(n-x)`: at a given n it is *computed from the estimate*. A cohort that by chance
has few events gets a low logit and a large standard error, so that the two are negatively
correlated below 50% and a regression of one on the other finds "small-study effects" where
there are none. The same is true of the raw and the log proportion. Two ways out: a predictor
that depends on the size alone (Macaskill 2001, Peters 2006; Hunter et al. 2014 ask for the
sample size on the axis of funnel plots of proportions), or a scale on which the variance
depends on the size alone (the arcsine: Rücker, Schwarzer and Carpenter 2008). `arcsine_test`
does both.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from ... import printing
from ...arguments import Array, one_of
from ...engine.keywords import ScaledStudyKeywords, StudyKeywords, refuse_unknown
from ...engine.literature import references
from ...engine.normal.intervals import symmetric_interval
from ...engine.summaries import Caution
from ...errors import MetaAnalysisError, UnsupportedError
from .data import FunnelData, funnel_data, on_measure
from .lines import PREDICTORS, Lines, egger_batch, predictor_values
from .results import BiasTest, regression_cautions


def egger(
    effects: Any = None,
    vi: Any = None,
    *,
    predictor: str = "sei",
    model: str = "multiplicative",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    level: float | None = None,
    **studies: Unpack[ScaledStudyKeywords],
) -> BiasTest:
    """Egger's regression test and its relatives.

    Parameters
    ----------
    effects : PoolResult or array_like, shape (k,), optional
        A fit (its included studies on the model scale), or effects. Left out, `events` and `n`
        make the effects.
    vi : array_like, shape (k,), optional
        Sampling variances of array effects.
    predictor : {"sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv"}
        Standard error, variance, sample size, its inverse, and their square roots.
    model : {"multiplicative", "random"}
        Free residual variance (the classical test) or additive between-study variance.
    tau2_method : str, optional
        Estimator for "random"; default that of the fit, else REML.
    ci_method : {"t", "wald", "knapp-hartung"}, optional
        Default: "t" for "multiplicative" (nothing else has a meaning there), "wald" (normal)
        for "random". "t" has k - 2 degrees of freedom; "knapp-hartung" (doi:10.1002/sim.1482)
        also rescales the standard errors.
    level : float, optional
        Level of the interval of the limit estimate.
    **studies
        Counts, labels and scale, below.

    Other Parameters
    ----------------
    events, n : array_like, shape (k,), optional
        Counts and sample sizes.
    study : array_like, optional
        Labels.
    measure : str, optional
        Scale of the effects (see `helpers.engine.effects.MEASURES`).

    Raises
    ------
    MetaAnalysisError
        Fewer than three studies, a predictor without spread, or effects exactly on a line.
    UnsupportedError
        Unknown or contradictory options.

    References
    ----------
    Egger M et al. (1997), doi:10.1136/bmj.315.7109.629.

    Examples
    --------
    >>> test = egger([0.2, 0.5, 0.3, 0.9, 0.8], [0.01, 0.04, 0.02, 0.09, 0.16])
    >>> round(test.bias, 4), round(test.se, 4), test.df, round(test.p, 4)
    (2.6834, 0.4534, 3.0, 0.0096)
    """
    refuse_unknown("egger", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, tau2_method=tau2_method, level=level, **studies)
    name = "Egger regression test" if predictor == "sei" else f"Regression test on {predictor}"
    keys = ["egger1997"] if model == "multiplicative" else ["thompson1999"]
    usual = "wald" if model == "random" else "t"
    return line_test(data, name, keys, predictor, model, ci_method or usual)


def thompson_sharp(
    effects: Any = None,
    vi: Any = None,
    *,
    tau2_method: str | None = None,
    level: float | None = None,
    **studies: Unpack[ScaledStudyKeywords],
) -> BiasTest:
    """Regression of effects on standard errors with an additive between-study variance.

    The statistic is compared with t on k - 2 degrees of freedom. Parameters as in `egger`.

    References
    ----------
    Thompson SG, Sharp SJ (1999),
    doi:10.1002/(SICI)1097-0258(19991030)18:20<2693::AID-SIM235>3.0.CO;2-V.

    Examples
    --------
    >>> test = thompson_sharp([0.2, 0.5, 0.3, 0.9, 0.8], [0.01, 0.04, 0.02, 0.09, 0.16])
    >>> test.statistic_name, test.df, round(test.tau2, 4)
    ('t', 3.0, 0.0)
    """
    refuse_unknown("thompson_sharp", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, tau2_method=tau2_method, level=level, **studies)
    return line_test(data, "Thompson-Sharp test", ["thompson1999"], "sei", "random", "t")


def peters(
    effects: Any = None,
    vi: Any = None,
    *,
    weights: str = "size",
    level: float | None = None,
    **studies: Unpack[StudyKeywords],
) -> BiasTest:
    """Peters' test: logits against the inverse of the sample size.

    Parameters
    ----------
    effects, vi, level, **studies
        As in `egger`; counts are needed, and the effects are always logits (0.5 added where
        there are no events or only events).
    weights : {"size", "events"}
        "size": n p(1 - p) with the overall proportion p, the information under the null
        hypothesis of one proportion. Peters and colleagues compare two groups and take the
        totals over both, so that the weights do not depend on the difference that is tested; in
        a single group only the size keeps that. "events": x(n - x)/n, their formula taken
        literally. It depends on the cohort's own result; a cohort without events has weight 0
        and does not count in the degrees of freedom.

    References
    ----------
    Peters JL et al. (2006), doi:10.1001/jama.295.6.676.

    Examples
    --------
    >>> test = peters(events=[2, 5, 9, 12, 30], n=[20, 60, 90, 200, 400])
    >>> round(test.bias, 3), test.df
    (10.346, 3.0)
    """
    refuse_unknown("peters", studies, StudyKeywords)
    data = on_measure(funnel_data(effects, vi, level=level, **studies), "logit")
    return _by_counts(data, "Peters test", "peters2006", "ninv", weights)


def macaskill(
    effects: Any = None,
    vi: Any = None,
    *,
    weights: str = "size",
    level: float | None = None,
    **studies: Unpack[StudyKeywords],
) -> BiasTest:
    """Macaskill's test: logits against the sample size.

    Parameters
    ----------
    effects, vi, level, **studies
        As in `egger`; counts are needed, and the effects are always logits.
    weights : {"size", "inverse-variance"}
        "size": n p(1 - p) with the overall proportion p (Macaskill's pooled variance, which
        she recommends); "inverse-variance": 1/vi.

    References
    ----------
    Macaskill P, Walter SD, Irwig L (2001), doi:10.1002/sim.698.

    Examples
    --------
    >>> test = macaskill(events=[2, 5, 9, 12, 30], n=[20, 60, 90, 200, 400])
    >>> test.predictor, round(test.bias, 6)
    ('ni', -0.000326)
    """
    refuse_unknown("macaskill", studies, StudyKeywords)
    data = on_measure(funnel_data(effects, vi, level=level, **studies), "logit")
    return _by_counts(data, "Macaskill test", "macaskill2001", "ni", weights)


def _by_counts(data: FunnelData, name: str, source: str, predictor: str, weights: str) -> BiasTest:
    """Test of a line with one of the weights that counts give."""
    one_of("weights", weights, ("events", "size", "inverse-variance"))
    x, n = data.counts
    share = float(x.sum() / n.sum())
    if weights == "size" and share in (0.0, 1.0):
        raise MetaAnalysisError("no study has events, or no study has patients without")
    w, words = {
        "events": (x * (n - x) / n, "weights x(n - x)/n"),
        "size": (n * share * (1.0 - share), "weights proportional to the sample size"),
        "inverse-variance": (1.0 / data.vi, "inverse-variance weights"),
    }[weights]
    return line_test(data, name, [source], predictor, "multiplicative", "t", w, words)


def arcsine_test(
    effects: Any = None,
    vi: Any = None,
    *,
    measure: str = "double-arcsine",
    predictor: str = "sei",
    model: str = "random",
    tau2_method: str | None = None,
    ci_method: str = "t",
    level: float | None = None,
    **studies: Unpack[StudyKeywords],
) -> BiasTest:
    """Regression test for proportions on a variance-stabilised scale.

    On the arcsine scale the sampling variance is 1/(4n), on the Freeman-Tukey scale 1/(4n+2):
    the standard error is a function of the sample size alone, and the correlation by
    construction that spoils Egger's test of logits is gone. The test is n-based in the sense
    of Hunter et al. (2014) at the same time. What remains is the bias of the transformation
    itself where few events are expected: the plain arcsine then drifts with n and rejects too
    often, the double arcsine, made to lack that drift, stays near its level (both shown by
    simulation in the tests), which is why it is the default.

    Parameters
    ----------
    effects, vi, tau2_method, level, **studies
        As in `egger`; counts are needed.
    measure : {"double-arcsine", "arcsine"}
        The Freeman-Tukey double arcsine, or asin sqrt(x/n).
    predictor : {"sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv"}
        All of them are functions of n here.
    model : {"random", "multiplicative"}
        Default "random" with t on k - 2 degrees of freedom, the version with a random effect
        of Rücker et al.
    ci_method : {"t", "wald", "knapp-hartung"}
        As in `egger`.

    References
    ----------
    Rücker G, Schwarzer G, Carpenter J (2008), doi:10.1002/sim.2971 (for two groups);
    Hunter JP et al. (2014), doi:10.1016/j.jclinepi.2014.03.003 (proportions); Freeman MF,
    Tukey JW (1950), doi:10.1214/aoms/1177729756.

    Examples
    --------
    >>> test = arcsine_test(events=[2, 5, 9, 12, 30], n=[20, 60, 90, 200, 400])
    >>> round(test.bias, 4), test.cautions[0].code
    (0.9748, 'few-studies-test')
    """
    one_of("measure", measure, ("arcsine", "double-arcsine"))
    refuse_unknown("arcsine_test", studies, StudyKeywords)
    data = funnel_data(effects, vi, tau2_method=tau2_method, level=level, **studies)
    data = on_measure(data, measure)
    keys = ["ruecker2008", "hunter2014"]
    if measure == "double-arcsine":
        keys.append("freeman1950")
    return line_test(data, "Arcsine regression test", keys, predictor, model, ci_method)


def line_test(
    data: FunnelData,
    name: str,
    keys: list[str],
    predictor: str,
    model: str,
    ci_method: str,
    weights: Array | None = None,
    weight_words: str = "inverse-variance weights",
) -> BiasTest:
    """Fit one line and word its result.

    `keys` are those of its sources, `weights` (called `weight_words` in the sentence) replace 1/vi
    in the multiplicative model, and the other words mean what they mean in `helpers.bias.egger`.
    """
    one_of("model", model, ("multiplicative", "random"))
    if model == "multiplicative" and ci_method != "t":
        raise UnsupportedError(
            f"ci_method={ci_method!r}: the multiplicative model estimates its residual variance, "
            "which calls for t"
        )
    x = predictor_values(predictor, data.vi, data.n)
    line = egger_batch(
        data.yi,
        data.vi,
        x,
        weights=weights,
        model=model,
        tau2_method=data.tau2_method,
        ci_method=ci_method,
    )
    _require(line, x, weights, predictor)
    names = ("intercept", "intercept_se", "slope", "slope_se", "df")
    intercept, intercept_se, slope, slope_se, free = (float(getattr(line, f)[0]) for f in names)
    random = model == "random"
    df = None if ci_method == "wald" else free
    cautions = regression_cautions(data, predictor)
    if weights is not None and bool((weights == 0).any()):
        left_out = int((weights == 0).sum())
        cautions += (
            Caution(
                "zero-weight",
                f"{printing.some_of(left_out, data.k)} no events, or only events, and thereby "
                "weight 0 in this test.",
            ),
        )
    if not bool(line.converged[0]):
        cautions += (Caution("not-converged", "The between-study variance did not converge."),)
    k = int(free) + 2
    if random:
        how = f"an additive between-study variance ({data.tau2_method})"
        keys = [*keys, "knapp2003"] if ci_method == "knapp-hartung" else keys
    else:
        how = f"{weight_words} and multiplicative dispersion"
    reference = "the normal distribution"
    if df is not None:
        reference = f"t with {df:.0f} degree{'' if df == 1 else 's'} of freedom"
    rescaled = " with Knapp-Hartung standard errors" if ci_method == "knapp-hartung" else ""
    what = "effects" if data.measure.kind == "effect" else f"{data.measure.label}s"
    limit: dict[str, Any] = {}
    if predictor not in ("ni", "sqrtni"):  # the others are zero in an infinite study
        ci = symmetric_interval(intercept, intercept_se, data.level, df)
        limit = {"limit": intercept, "limit_ci": ci}
    return BiasTest(
        name=name,
        predictor=predictor,
        model=model,
        measure=data.measure.name,
        bias=slope,
        se=slope_se,
        statistic=float(line.statistic[0]),
        statistic_name="z" if df is None else "t",
        df=df,
        p=float(line.p[0]),
        dispersion=None if random else float(line.dispersion[0]),
        tau2=float(line.tau2[0]) if random else None,
        intercept=intercept,
        intercept_se=intercept_se,
        **limit,
        k=k,
        level=data.level,
        converged=bool(line.converged[0]),
        sentence=(
            f"Small-study effects were tested in {printing.studies(k)} by regression of "
            f"the {what} on the {PREDICTORS[predictor]} with {how}{rescaled}, the slope "
            f"compared with {reference}."
        ),
        references=references(*keys),
        cautions=cautions,
    )


def _require(line: Lines, x: Array, weights: Array | None, predictor: str) -> None:
    """Say why a test is not defined."""
    if bool(line.defined[0]):
        return
    used = x if weights is None else x[weights > 0]
    if used.size < 3:
        raise MetaAnalysisError(
            f"{used.size} studies with positive weight: a line needs at least 3 to be tested"
        )
    if np.ptp(used) <= 1e-13 * np.abs(used).max():
        raise MetaAnalysisError(
            f"all studies have the same {PREDICTORS[predictor]}: no line can be fitted"
        )
    raise MetaAnalysisError(
        "the effects lie exactly on a line: there is no residual variance to test against"
    )
