r"""A fit for each group of studies, and tests whether the groups differ.

With one between-study variance for all, the groups of a GLMM are fitted together,

.. math:: x_i \mid u_i \sim f(\cdot \mid \mu_{g(i)} + \tau u_i), \qquad u_i \sim N(0, 1),

the GLMM of `helpers.engine.counts.fit` with an indicator of each group as design. Standard errors
come from the joint information in the means and tau, so that the means are slightly correlated
through the tau they share. The result of a group holds the joint fit as its `engine` and the share
of its studies in the log-likelihood as `loglik`; what would fit its studies again on their own is
refused (`helpers.engine.model.Model.require_own_variance`), since it would give the group a
variance of its own.

The likelihood-ratio test with G groups has ``statistic = 2 (sum of the groups' log-likelihoods -
overall log-likelihood)`` (Wilks 1938, doi:10.1214/aoms/1177732360):

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
chi-squared distribution is not valid for that group's share in it, not even with many studies
elsewhere. Cautions on the test say where this is so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..arguments import Array
from ..engine.cost import announce
from ..engine.counts.common import family_of, included_counts, is_one_sided
from ..engine.counts.fit import fit_glmm
from ..engine.counts.inference import heterogeneity_tests
from ..engine.counts.kernel import gauss_hermite, study_terms
from ..engine.counts.studies import log_saturated
from ..engine.counts.weights import fitted_chunks, information_weights
from ..engine.distributions import chi2_sf
from ..engine.effects import get_measure
from ..engine.json_values import picked
from ..engine.model.fits import Selections
from ..engine.normal.inverse_variance import fit_inverse_variance
from ..engine.options import Options
from ..engine.shown import Shown
from ..engine.studies import StudyData
from ..engine.summaries import Caution, i2_and_h2
from ..errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from .pooling import fit_studies, pooled_result, typical_variance
from .result import PoolResult

if TYPE_CHECKING:
    from ..engine.counts.fit import GLMMFit
    from ..engine.options import Options
    from ..engine.studies import StudyData


def fit_joint_glmm(
    studies: StudyData,
    members: dict[str, NDArray[np.intp]],
    design: Array,
    options: Mapping[str, Options],
) -> dict[str, PoolResult]:
    """Fit one GLMM with a mean for each group and one between-study variance.

    `members` are the rows of each group, `design` their indicators, shape (rows, groups).
    """
    choices = next(iter(options.values()))
    family, points = family_of(get_measure(choices.measure).kind), choices.quad_points
    parts = {level: studies.take(rows) for level, rows in members.items()}
    keep = studies.included
    events, size = included_counts(studies)
    joint = fit_glmm(events, size, design[keep], family=family, quad_points=points)
    joint.raise_for_status()
    loglik = _study_loglik(joint)
    fits = {}
    for j, (level, part) in enumerate(parts.items()):
        inside = design[keep][:, j] > 0
        weights = information_weights(joint, j)[0][inside]
        fits[level] = _group(joint, j, part, weights, float(loglik[inside].sum()), options[level])
    return fits


def _study_loglik(joint: GLMMFit) -> Array:
    """Log-likelihood of each study at the joint maximum, shape (k,), with all constants."""
    (_, problem, eta, tau2), *_ = fitted_chunks(joint, joint.quad_points)
    s = problem.studies
    value = study_terms(s, eta, tau2, gauss_hermite(joint.quad_points)).value
    return (value + log_saturated(s.family, s.x, s.n))[0]


def _group(
    joint: GLMMFit, j: int, part: StudyData, weights: Array, loglik: float, options: Options
) -> PoolResult:
    """Put the joint estimates beside the counts of one group."""
    events, size = included_counts(part)
    tau2 = float(joint.tau2[0])
    options = replace(options.for_studies(part.k), tau2=tau2, tau2_source="shared")
    tests = heterogeneity_tests(fit_glmm(events, size, family=joint.family, quad_points=1))
    vt = typical_variance(part, options)
    i2, h2 = i2_and_h2(tau2, vt) if part.k > 1 else (0.0, 1.0)
    se = float(joint.se[0, j])
    return pooled_result(
        part,
        options,
        tau2,
        weights,
        converged=bool(joint.certified[0]),
        engine=joint,
        mu=float(joint.beta[0, j]),
        se=se,
        se_model=se,
        tau2_se=2.0 * float(joint.tau[0]) * float(joint.tau_se[0]) if tau2 > 0 else float("nan"),
        heterogeneity=tests.summary((i2, h2), vt, tau2=False),
        loglik=loglik,
        coefficient=j,
    )


def equal_means(mu: Array, cov: Array) -> Array:
    """Wald statistics that all means of a row are equal; means (R, G), covariances (R, G, G)."""
    weight = np.linalg.inv(cov)
    total = weight.sum(axis=2)
    mean = (total * mu).sum(axis=1) / total.sum(axis=1)
    gap = mu - mean[:, None]
    return np.asarray(np.einsum("rg,rgh,rh->r", gap, weight, gap))


GroupTau2 = Literal["separate", "common"]


@dataclass(frozen=True, slots=True, repr=False)
class BetweenTest(Shown):
    """Test of equal effects in all groups."""

    #: Statistic, degrees of freedom (compared groups - 1) and chi-squared p-value; NaN, 0 and NaN
    #: where fewer than two groups can be compared
    statistic: float
    df: int
    p: float
    kind: str  # What was tested, in words


def fit_groups(
    studies: StudyData,
    members: dict[str, Any],
    options: Mapping[str, Options],
    group_tau2: GroupTau2,
) -> dict[str, PoolResult]:
    """Fit every group with its own options."""
    if group_tau2 == "common":
        return _fit_common(studies, members, options)
    return {lv: _fit_group(studies.take(rows), options[lv]) for lv, rows in members.items()}


def fit_selections(
    studies: StudyData,
    members: dict[str, Any],
    options: Mapping[str, Options],
    group_tau2: GroupTau2,
    selections: Selections,
    missing: str,
) -> Iterator[dict[str, Any]]:
    """Compare the groups among each selection of the studies, a row of a table for each.

    `missing` says how a group is without a study ("left", "yet").
    """
    counts = all(one.method == "likelihood" for one in options.values())
    kind = "groups of counts, one by one" if counts else "groups of effects, one by one"
    announce(kind, len(selections), studies.k)
    for selected in selections[:]:
        keep = studies.included.copy()
        keep[studies.included] = selected
        some = studies.only(keep, "not in this selection")
        there = {level: at for level, at in members.items() if keep[at].any()}
        gone = [level for level in members if level not in there]
        note = f"no study is {missing} in {', '.join(gone)}" if gone else ""
        row: dict[str, Any] = {"k": some.k, "statistic": np.nan, "df": 0, "p": np.nan}
        fits: dict[str, PoolResult] = {}
        try:
            fits = fit_groups(some, there, options, group_tau2)
        except MetaAnalysisError as error:  # these do not tell the groups apart
            note = str(error)
        else:
            test = wald_test(list(fits.values()), joint=group_tau2 == "common")
            row |= picked(test, "statistic df p")
        for level in members:
            one = fits.get(level)
            found = (np.nan,) * 3 if one is None else (one.estimate, *one.ci)
            names = (f"{name}({level})" for name in ("estimate", "ci_lower", "ci_upper"))
            row |= dict(zip(names, found, strict=True))
        yield row | {"note": note}


def _fit_group(studies: StudyData, options: Options) -> PoolResult:
    """Fit one group, with the default interval for its own number of studies."""
    return fit_studies(studies, options.for_studies(studies.k))


def _fit_common(
    studies: StudyData, members: dict[str, Any], options: Mapping[str, Options]
) -> dict[str, PoolResult]:
    """Fit the groups with one between-study variance (a model with one mean per group)."""
    choices = next(iter(options.values()))  # they differ in the interval alone
    if choices.model == "common":
        raise UnsupportedError("group_tau2='common' has no meaning for model='common'")
    if choices.tau2_source == "given":
        raise UnsupportedError(
            f"group_tau2='common' estimates one variance for all groups; tau2={choices.tau2:g} was "
            "given to each"
        )
    if choices.model == "glmm":
        kind = get_measure(choices.measure).kind
        extreme = {
            lv: fit_studies(part, options[lv])
            for lv, rows in members.items()
            if is_one_sided(*included_counts(part := studies.take(rows)), kind)
        }
        if extreme:
            # An infinite mean adds nothing to the likelihood of the others and their variance.
            rest = {lv: rows for lv, rows in members.items() if lv not in extreme}
            inside = np.zeros(len(studies.labels), dtype=bool)
            inside[[i for rows in rest.values() for i in rows]] = True
            found = dict(extreme)
            if len(rest) > 1:
                others = studies.only(inside, "group without a finite mean")
                found |= _fit_common(others, rest, options)
            else:
                found |= fit_groups(studies, rest, options, "separate")
            return {lv: found[lv] for lv in members}
    if studies.k <= len(members):
        raise MetaAnalysisError(
            "group_tau2='common': no group has two studies, so that the between-study variance "
            "cannot be told from the differences between groups"
        )
    design = np.zeros((len(studies.labels), len(members)))
    for j, rows in enumerate(members.values()):
        design[rows, j] = 1.0
    fits: dict[str, PoolResult]
    if choices.model == "glmm":
        fits = dict(fit_joint_glmm(studies, members, design, options))
    else:
        keep, method = studies.included, str(choices.tau2_method)
        joint = fit_inverse_variance(
            studies.yi[keep], studies.vi[keep], design=design[keep], method=method
        )
        shared = float(joint.tau2.tau2[0])
        fits = {
            level: replace(
                _fit_group(
                    studies.take(rows), replace(options[level], tau2=shared, tau2_source="shared")
                ),
                joint=joint,
                tau2_se=float(joint.tau2.se[0]),
            )
            for level, rows in members.items()
        }
        if not bool(joint.tau2.converged[0]):
            failed = Caution(
                "not-converged", "The estimate of τ² is not a certified maximum or root."
            )
            fits = {
                level: replace(fit, converged=False, cautions=(failed, *fit.cautions))
                for level, fit in fits.items()
            }
    return {level: _with_shared_cautions(fit) for level, fit in fits.items()}


def _with_shared_cautions(fit: PoolResult) -> PoolResult:
    """Reword what is said of few studies, whose tau2 here comes from all groups."""
    alone = "There is one study; its between-study variance is that of all groups."
    found = (
        replace(caution, message=alone) if caution.code == "single-study" else caution
        for caution in fit.cautions
        if caution.code != "few-studies"
    )
    return replace(fit, cautions=tuple(found))


def wald_test(fits: list[PoolResult], *, joint: bool) -> BetweenTest:
    """Compare the groups with a finite mean; `joint` where the means are of one fit."""
    fits = [fit for fit in fits if not fit.one_sided]
    if len(fits) < 2:
        kind = "no test between groups: fewer than two of them have a finite mean"
        return BetweenTest(float("nan"), 0, float("nan"), kind)
    mu, cov = np.array([[fit.mu for fit in fits]]), np.diag([fit.se_model**2 for fit in fits])[None]
    if joint and fits[0].model == "glmm":
        engine = cast("GLMMFit", fits[0].engine)
        mu, cov = engine.beta, engine.vcov
    q, df = float(equal_means(mu, cov)[0]), len(fits) - 1
    return BetweenTest(q, df, float(chi2_sf(q, df)), "Wald-type test between groups")


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
