"""Pooling by group, and tests of differences between groups.

The module shares its name with its function. It is callable like the function, because an
attribute of a package cannot be both: ``from helpers import subgroups`` gives the function or,
once this module has been imported for any other reason, the module, and both can be called alike.
``from helpers.subgroups import subgroups`` always gives the function.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from helpers.distributions import chi2_sf
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.pooling import Caution, PoolResult, pool
from helpers.pooling.api import fit_studies
from helpers.pooling.inverse_variance import fit_inverse_variance
from helpers.subgroup_likelihood import LikelihoodRatioTest, likelihood_ratio_test

if TYPE_CHECKING:
    import pandas as pd

    from helpers.pooling.glmm import GLMMFit
    from helpers.pooling.studies import StudyData

__all__ = ["BetweenTest", "LikelihoodRatioTest", "SubgroupResult", "subgroups"]

Tau2 = Literal["separate", "common"]


@dataclass(frozen=True, slots=True)
class BetweenTest:
    """Test of equal effects in all groups.

    Attributes
    ----------
    Q, df, p : float
        Statistic, degrees of freedom (groups - 1) and chi-squared p-value.
    kind : str
        What was tested, in words.
    """

    Q: float
    df: int
    p: float
    kind: str


@dataclass(frozen=True, slots=True)
class SubgroupResult:
    """Pooled results of groups of studies.

    Attributes
    ----------
    by : str
        What the groups are.
    groups : mapping of str to PoolResult
        One result per group, in order.
    overall : PoolResult
        All studies of all groups together.
    test : BetweenTest
        Wald-type test between the groups; see also `likelihood_ratio_test`.
    tau2 : {"separate", "common"}
        Whether each group has its own between-study variance.
    cautions : tuple of Caution
        Cautions about the comparison; those of a group are on its own result.
    """

    by: str
    groups: Mapping[str, PoolResult]
    overall: PoolResult
    test: BetweenTest
    tau2: Tau2
    cautions: tuple[Caution, ...] = field(default=())

    def __iter__(self) -> Iterator[tuple[str, PoolResult]]:
        return iter(self.groups.items())

    def likelihood_ratio_test(self) -> LikelihoodRatioTest:
        """Test by their log-likelihoods whether all groups follow one model.

        With separate variances the hypothesis is that means and variances are equal, with a
        common variance that the means are; see
        `helpers.subgroup_likelihood.likelihood_ratio_test` for boundaries and groups of one study.

        Raises
        ------
        UnsupportedError
            The variance was not estimated by maximum likelihood.
        ConvergenceError
            A fit did not reach its maximum.

        Examples
        --------
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9],
        ...     n=[40, 60, 90, 50, 90, 70],
        ...     by=list("aaabbb"),
        ...     model="glmm",
        ...     tau2="common",
        ... )
        >>> test = result.likelihood_ratio_test()
        >>> round(test.Q, 3), test.df, test.kind
        (0.233, 1, 'Likelihood-ratio test of equal means, with one between-study variance')
        """
        return likelihood_ratio_test(self.groups, self.overall, separate=self.tau2 == "separate")

    def summary_frame(self) -> pd.DataFrame:
        """Table with one row per group; the index is the group, named after `by`."""
        import pandas as pd

        rows = [fit.row() for fit in self.groups.values()]
        return pd.DataFrame(rows, index=pd.Index(list(self.groups), name=self.by))

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can hold."""
        return {
            "by": self.by,
            "tau2": self.tau2,
            "groups": {name: fit.to_dict() for name, fit in self.groups.items()},
            "overall": self.overall.to_dict(),
            "test": {
                "Q": self.test.Q,
                "df": self.test.df,
                "p": self.test.p,
                "kind": self.test.kind,
            },
            "cautions": [{"code": c.code, "message": c.message} for c in self.cautions],
        }


def subgroups(
    data: pd.DataFrame | None = None,
    *,
    by: Any,
    events: Any,
    n: Any = None,
    time: Any = None,
    study: Any = None,
    tau2: Tau2 = "separate",
    **options: Any,
) -> SubgroupResult:
    """Pool each group of studies and test whether the groups differ.

    Parameters
    ----------
    data : DataFrame, optional
        Table that holds the columns; leave it out to pass arrays.
    by : str or array_like
        Grouping column. Ordered or unordered categories keep their order (empty ones are
        dropped); other values come in order of appearance. Studies without a group are left
        out of the groups and of `overall`, where they stay visible with the reason.
    events, n, time, study
        As in `helpers.pooling.pool`.
    tau2 : {"separate", "common"}
        Own between-study variance in each group, or one for all groups.
    **options
        Further arguments of `helpers.pooling.pool` (`measure`, `model`, `tau2_method`, ...).

    Returns
    -------
    SubgroupResult

    Notes
    -----
    The test is of Wald type, Q = sum w_j (mu_j - mean)^2 with w_j = 1/se_j^2 and the weighted
    mean, chi-squared with one degree of freedom less than groups (Borenstein and Higgins 2013,
    doi:10.1007/s11121-013-0377-7). The standard errors are those of the model (without
    Knapp-Hartung scaling, which can make a group's weight arbitrarily large by chance).
    `SubgroupResult.likelihood_ratio_test` gives the likelihood-ratio test.

    A common variance is that of a model with one mean for each group. By inverse variance the
    groups are independent given tau2. For the GLMM all groups are fitted together
    (`helpers.subgroup_glmm`), and the test uses the joint covariance of the means. Intervals
    that refer to a t distribution keep the degrees of freedom of the group.

    A group of one study has no estimable tau2 of its own: with separate variances its estimate
    enters with its sampling variance, and a caution says so. With a common variance it enters
    like any other group.

    Raises
    ------
    MetaAnalysisError
        Fewer than two groups, or a problem with the data.
    UnsupportedError
        Options that do not go together.

    Examples
    --------
    >>> result = subgroups(
    ...     events=[3, 8, 16, 2], n=[40, 60, 50, 90], by=["a", "a", "b", "b"], model="common"
    ... )
    >>> list(result.groups), result.test.df
    (['a', 'b'], 1)
    """
    if tau2 not in ("separate", "common"):
        raise UnsupportedError(f"tau2={tau2!r}: expected separate or common")
    if "tau2" in options:  # pragma: no cover - the keyword is taken by the signature
        raise UnsupportedError("a fixed tau2 cannot be given to subgroups")
    whole = pool(data, events=events, n=n, time=time, study=study, **options)
    group, levels, name = _groups(data, by, len(whole.data.labels))
    known = np.array([g is not None for g in group])
    studies = whole.data.only(known, f"{name} missing")
    overall = whole if bool(known.all()) else fit_studies(studies, whole.options)
    members = {
        level: np.array([i for i, g in enumerate(group) if g == level], dtype=int)
        for level in levels
    }
    members = {lv: rows for lv, rows in members.items() if studies.included[rows].any()}
    if len(members) < 2:
        raise MetaAnalysisError(
            f"{name}: a comparison needs at least 2 groups with studies; there "
            f"{'is' if len(members) == 1 else 'are'} {len(members)}"
        )
    if tau2 == "common":
        fits = _fit_common(studies, members, overall)
    else:
        fits = {
            lv: fit_studies(studies.take(rows), overall.options) for lv, rows in members.items()
        }
    return SubgroupResult(
        by=name,
        groups=MappingProxyType(fits),
        overall=overall,
        test=_wald_test(list(fits.values()), joint=tau2 == "common"),
        tau2=tau2,
        cautions=_cautions(fits, tau2),
    )


def _groups(data: pd.DataFrame | None, by: Any, k: int) -> tuple[list[str | None], list[str], str]:
    """Group of each row (None if missing), the levels in order, and a name."""
    import pandas as pd

    if isinstance(by, str):
        if data is None:
            raise MetaAnalysisError(f"by={by!r} names a column, but no data were given")
        if by not in data.columns:
            columns = ", ".join(map(str, data.columns))
            raise MetaAnalysisError(f"by: no column {by!r}; the columns are {columns}")
        column, name = data[by], by
    else:
        column = by if isinstance(by, pd.Series) else pd.Series(by)
        name = "group" if column.name is None else str(column.name)
    if len(column) != k:
        raise MetaAnalysisError(f"{name} has {len(column)} values for {k} studies")
    group = [None if pd.isna(value) else str(value) for value in column]
    if isinstance(column.dtype, pd.CategoricalDtype):
        order = [str(c) for c in column.cat.categories]
    else:
        order = [g for g in group if g is not None]
    present = set(group)
    return group, [g for g in dict.fromkeys(order) if g in present], name


def _fit_common(
    studies: StudyData, members: dict[str, Any], overall: PoolResult
) -> dict[str, PoolResult]:
    """Fit the groups with one between-study variance (a model with one mean per group)."""
    if overall.model == "common":
        raise UnsupportedError("tau2='common' has no meaning for model='common'")
    if overall.k <= len(members):
        raise MetaAnalysisError(
            "tau2='common': no group has two studies, so that the between-study variance cannot "
            "be told from the differences between groups"
        )
    design = np.zeros((len(studies.labels), len(members)))
    for j, rows in enumerate(members.values()):
        design[rows, j] = 1.0
    fits: dict[str, PoolResult]
    if overall.model == "glmm":
        from helpers.subgroup_glmm import fit_joint_glmm

        fits = dict(fit_joint_glmm(studies, members, design, overall.options))
    else:
        keep, method = studies.included, str(overall.tau2_method)
        joint = fit_inverse_variance(
            studies.yi[keep], studies.vi[keep], design=design[keep], method=method
        )
        shared = float(joint.tau2.tau2[0])
        fits = {
            level: fit_studies(studies.take(rows), overall.options, tau2=shared)
            for level, rows in members.items()
        }
        if not bool(joint.tau2.converged[0]):
            failed = Caution(
                "not-converged", "The estimate of tau2 is not a certified maximum or root."
            )
            fits = {
                level: replace(fit, converged=False, cautions=(failed, *fit.cautions))
                for level, fit in fits.items()
            }
    return {level: _with_shared_cautions(fit) for level, fit in fits.items()}


def _with_shared_cautions(fit: PoolResult) -> PoolResult:
    """Reword what is said of few studies, whose tau2 here comes from all groups."""
    found = []
    for caution in fit.cautions:
        if caution.code == "single-study":
            found.append(
                Caution(
                    "single-study",
                    "There is one study; its between-study variance is that of all groups.",
                )
            )
        elif caution.code != "few-studies":
            found.append(caution)
    return replace(fit, cautions=tuple(found))


def _wald_test(fits: list[PoolResult], *, joint: bool) -> BetweenTest:
    if joint and fits[0].model == "glmm":
        from helpers.subgroup_glmm import joint_wald

        q, df = joint_wald(cast("GLMMFit", fits[0].engine))
    else:
        mu = np.array([fit.mu for fit in fits])
        w = np.array([fit.se_model**-2 for fit in fits])
        mean = float(w @ mu / w.sum())
        q, df = float(w @ (mu - mean) ** 2), len(fits) - 1
    return BetweenTest(q, df, float(chi2_sf(q, df)), "Wald-type test between groups")


def _cautions(fits: dict[str, PoolResult], tau2: Tau2) -> tuple[Caution, ...]:
    found = []
    single = [level for level, fit in fits.items() if fit.k == 1]
    if single:
        enters = (
            "its own estimate and sampling variance enter the comparison without between-study "
            "variance."
            if tau2 == "separate"
            else "its between-study variance is that of all groups."
        )
        found.append(
            Caution("single-study-group", f"{', '.join(single)}: one study only; {enters}")
        )
    small = [level for level, fit in fits.items() if 1 < fit.k < 5]
    if small and any(fit.model != "common" for fit in fits.values()):
        found.append(Caution("few-studies-group", f"{', '.join(small)}: fewer than five studies."))
    return tuple(found)


class _CallableModule(ModuleType):
    """Type of this module: callable like its function of the same name.

    ``from helpers import subgroups`` finds the function or, once this module has been imported
    for any other reason, the module: an attribute of a package cannot be both.
    """

    __call__ = staticmethod(subgroups)


sys.modules[__name__].__class__ = _CallableModule
