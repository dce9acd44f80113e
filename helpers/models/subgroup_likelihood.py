"""Likelihood-ratio test of differences between groups of studies.

With G groups, ``statistic = 2 (sum of the groups' log-likelihoods - overall log-likelihood)``
(Wilks 1938, doi:10.1214/aoms/1177732360):

* Separate variances: G means and G variances against one of each. The hypothesis is that means
  *and* variances are equal, ``df = 2 (G - 1)``; a small p-value may come from the variances
  alone.
* A common variance: it is one parameter in both models. The hypothesis is that the means are
  equal, ``df = G - 1``.
* ``model="common"``: there is no variance, ``df = G - 1``; by inverse variance the statistic is
  that of the Wald-type test.

The degrees of freedom count parameters of the models and are the same for all data. A variance
estimated as zero, its boundary, is therefore counted. Where the true variance is zero in all
groups, the p-value is too large (conservative) with many studies: the statistic is then a
mixture of chi-squared variables with fewer degrees of freedom (Self and Liang 1987,
doi:10.1080/01621459.1987.10478472). The variance of a group of one study is at zero whatever
its true value: it is counted as well (else the models would not be nested), but the
chi-squared distribution does not hold for that group's share in it, not even with many studies
elsewhere. Cautions on the test say where this is so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..engine.distributions import chi2_sf
from ..engine.shown import Shown
from ..engine.summaries import Caution
from ..errors import ConvergenceError, UnsupportedError
from .result import PoolResult

#: Relative difference of log-likelihoods that is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, repr=False)
class LikelihoodRatioTest(Shown):
    """Likelihood-ratio test of one model for all groups against one for each group."""

    #: Twice the difference of the log-likelihoods, degrees of freedom, chi-squared p-value
    statistic: float
    df: int
    p: float
    kind: str  # What was tested, in words
    #: Maximised log-likelihoods with differing and with equal groups
    loglik_groups: float
    loglik_overall: float
    #: Means and between-study variances that the groups have in excess; their sum is `df`
    df_means: int
    df_tau2: int
    #: Why the chi-squared distribution may not hold: "no-events-group", "single-study-group",
    #: "boundary"
    cautions: tuple[Caution, ...] = ()


def likelihood_ratio_test(
    groups: Mapping[str, PoolResult], overall: PoolResult, *, separate: bool
) -> LikelihoodRatioTest:
    """Test whether all groups follow one model, by their log-likelihoods (see above).

    Restricted likelihoods of models with different means are not comparable, and estimators other
    than ML maximise none: they are refused, not fitted again behind the reader's back.
    """
    if overall.model == "random" and overall.tau2_method != "ML":
        raise UnsupportedError(
            "a likelihood-ratio test between groups needs tau2_method='ML' or model='glmm', "
            f"not tau2_method={overall.tau2_method!r}: restricted likelihoods with different "
            "means are not comparable, and other estimators maximise none"
        )
    named = {"all studies": overall} | {f"group {level}": fit for level, fit in groups.items()}
    failed = [name for name, fit in named.items() if not fit.converged]
    if failed:
        raise ConvergenceError(f"no certified maximum: {', '.join(failed)}")
    differing = float(sum(fit.loglik for fit in groups.values()))
    q = 2.0 * (differing - overall.loglik)
    if q < -_ROUNDING * max(1.0, abs(differing)):
        raise ConvergenceError(
            f"the log-likelihood of all studies exceeds that of the groups by {-0.5 * q:.3g}: a "
            "maximum was missed, or the quadrature has too few points"
        )
    q = max(q, 0.0)
    means = len(groups) - 1
    if overall.model == "common":
        variances, what = 0, "equal means, with a common effect in each group"
    elif separate:
        variances, what = means, "equal means and equal between-study variances"
    else:
        variances, what = 0, "equal means, with one between-study variance"
    return LikelihoodRatioTest(
        statistic=q,
        df=means + variances,
        p=float(chi2_sf(q, means + variances)),
        kind=f"Likelihood-ratio test of {what}",
        loglik_groups=differing,
        loglik_overall=overall.loglik,
        df_means=means,
        df_tau2=variances,
        cautions=(*_no_events(groups), *(_cautions(groups, overall) if variances else ())),
    )


def _no_events(groups: Mapping[str, PoolResult]) -> tuple[Caution, ...]:
    """Name the groups whose mean lies at infinity, the end of its range."""
    extreme = [level for level, fit in groups.items() if fit.one_sided]
    if not extreme:
        return ()
    message = (
        f"{', '.join(extreme)}: no events, or nothing but events; the mean is infinite, where the "
        "chi-squared distribution is not valid."
    )
    return (Caution("no-events-group", message),)


def _cautions(groups: Mapping[str, PoolResult], overall: PoolResult) -> Iterator[Caution]:
    """Where the chi-squared distribution is in doubt if each group has its own variance."""
    single = [level for level, fit in groups.items() if fit.k == 1 and not fit.one_sided]
    if single:
        yield Caution(
            "single-study-group",
            f"{', '.join(single)}: one study only; its between-study variance is zero by "
            "construction but counted, and the p-value is an approximation without a limit "
            "theorem behind it.",
        )
    zero = [level for level, fit in groups.items() if fit.k > 1 and fit.tau2 == 0.0]
    zero += ["all studies together"] if overall.tau2 == 0.0 else []
    if zero:
        yield Caution(
            "boundary",
            f"{', '.join(zero)}: the between-study variance is estimated as zero, its "
            "boundary; it is counted in the degrees of freedom, which makes the p-value too "
            "large if the true variances are zero.",
        )
