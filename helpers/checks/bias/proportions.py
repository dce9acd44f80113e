"""Regression tests made for counts: Peters, Macaskill, and the arcsine.

Why proportions need them is told in `helpers.checks.bias.regression`.
"""

from __future__ import annotations

from typing import Any, Unpack

from ...arguments import one_of
from ...engine.keywords import StudyKeywords, refuse_unknown
from ...errors import MetaAnalysisError
from .data import FunnelData, funnel_data, on_measure
from .regression import line_test
from .results import BiasTest


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
