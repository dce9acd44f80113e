r"""Regression tests for small-study effects.

All of them fit :math:`y_i = a + b x_i` and test b = 0; they differ in the predictor x (what
stands for study size), in the weights, and in how they allow for heterogeneity:

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
there are none. The same holds for the raw and the log proportion. Two ways out: a predictor
that depends on the size alone (Macaskill 2001, Peters 2006; Hunter et al. 2014 ask for the
sample size on the axis of funnel plots of proportions), or a scale on which the variance
depends on the size alone (the arcsine: Rücker, Schwarzer and Carpenter 2008). `arcsine_test`
does both.
"""

from __future__ import annotations

from typing import Any, Unpack

from ...engine.keywords import ScaledStudyKeywords, refuse_unknown
from .data import funnel_data
from .regression_test import line_test
from .results import BiasTest


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
