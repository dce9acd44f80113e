"""Pooling by group, and tests of differences between groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from .. import printing
from ..arguments import one_of
from ..door import pd
from ..engine.cost import Kind, announce
from ..engine.counts.common import included_counts, is_one_sided
from ..engine.distributions import chi2_sf
from ..engine.effects import get_measure
from ..engine.json_values import plain
from ..engine.model.units import units_of
from ..engine.normal.intervals import Interval
from ..engine.normal.inverse_variance import fit_inverse_variance
from ..engine.options import FEW_IN_GROUP, Options
from ..engine.shown import Row, Shown, estimate_row, number, p_text
from ..engine.studies import one_per_study, refuse_other_rows
from ..engine.summaries import Caution
from ..errors import MetaAnalysisError, UnsupportedError
from .pooling import fit_studies, pool, pool_effects
from .result import PoolResult
from .subgroup_counts import equal_means, fit_joint_glmm
from .subgroup_likelihood import LikelihoodRatioTest, likelihood_ratio_test
from .subgroup_null import CalibratedTest, calibrated_test

if TYPE_CHECKING:
    from ..engine.counts.fit import GLMMFit
    from ..engine.options import Options
    from ..engine.studies import StudyData

__all__ = [
    "BetweenTest",
    "CalibratedTest",
    "LikelihoodRatioTest",
    "SubgroupResult",
    "subgroups",
]

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


@dataclass(frozen=True, slots=True, repr=False)
class SubgroupResult(Shown):
    """Pooled results of groups of studies."""

    by: str  # What the groups are
    groups: Mapping[str, PoolResult]  # One result per group, in order
    overall: PoolResult  # All studies of all groups together
    test: BetweenTest  # Wald-type test between the groups; see also `likelihood_ratio_test`
    #: {"separate", "common"}: Whether each group has its own between-study variance
    group_tau2: GroupTau2
    #: Cautions about the comparison; those of a group are on its own result
    cautions: tuple[Caution, ...] = field(default=())

    def _headline(self) -> str:
        each = "one τ² for all" if self.group_tau2 == "common" else "a τ² for each group"
        return f"{self.overall.k} studies by {printing.readable(self.by)}, {each}"

    def _said(self) -> Iterator[Row]:
        most = 5 if len(self.groups) <= 5 else 4
        for name, fit in list(self.groups.items())[:most]:
            spread = "" if fit.model == "common" else f", τ² {number(fit.tau2)}"
            yield name, f"{estimate_row(fit)[1]}; k = {fit.k}{spread}"
        if len(self.groups) > most:
            yield "…", f"{len(self.groups) - most} more groups in summary_frame()"
        test = self.test
        yield "between groups", f"{number(test.statistic)}, df = {test.df}, {p_text(test.p)}"

    def __iter__(self) -> Iterator[tuple[str, PoolResult]]:
        return iter(self.groups.items())

    @property
    def compared(self) -> tuple[str, ...]:
        """Groups in the test: all but those without an event, or full."""
        return tuple(name for name, fit in self.groups.items() if not fit.one_sided)

    def with_group_tau2(self, group_tau2: GroupTau2) -> SubgroupResult:
        """Compare the same groups with a variance of their own each, or with one for all.

        Raises
        ------
        UnsupportedError, MetaAnalysisError
            As `subgroups`.

        Examples
        --------
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9], n=[40, 60, 90, 50, 90, 70], by=list("aaabbb"),
        ...     model="glmm",
        ... )
        >>> round(result.test.p, 3), round(result.with_group_tau2("common").test.p, 3)
        (0.776, 0.622)
        """
        left_out = tuple(c for c in self.cautions if c.code == "left-out-group")
        return _compare(self.overall, self._members(), self.by, group_tau2, left_out)

    def _members(self) -> dict[str, Any]:
        """Rows of each group."""
        place = {label: i for i, label in enumerate(self.overall.data.labels)}
        return {
            name: np.array([place[label] for label in fit.data.labels], dtype=int)
            for name, fit in self.groups.items()
        }

    def common_test(self) -> BetweenTest | None:
        """Test with one between-study variance for all groups; None where there is none.

        A variance of each group's own is hardly estimable from a few studies; one for all is
        estimated from all of them.
        """
        if self.group_tau2 == "common":
            return self.test
        if self.overall.model == "common" or self.overall.k <= len(self.groups):
            return None
        if self.overall.one_sided or self.test.df < 1 or self.overall.options.tau2 is not None:
            return None
        return self.with_group_tau2("common").test

    def calibrated_test(
        self, draws: int = 1000, *, seed: int = 1, alpha: float = 0.05
    ) -> CalibratedTest:
        """Calibrate the test between groups on simulated data sets without a difference.

        With few studies in a group the chi-squared p-value of `test` is too small, often by far;
        see `helpers.models.subgroup_null`. The simulation runs once for the same data and choices.

        Parameters
        ----------
        draws, seed : int
            Simulated data sets and the seed of the random numbers.
        alpha : float
            Level at which `CalibratedTest.rejection` counts the false rejections.

        Raises
        ------
        UnsupportedError
            Fewer than two groups can be compared, or an impossible option.

        Examples
        --------
        >>> result = subgroups(
        ...     events=[3, 8, 16, 2, 5, 12], n=[40, 60, 50, 90, 80, 70], by=list("aaabbb"),
        ...     model="glmm",
        ... )
        >>> calibrated = result.calibrated_test(draws=200)
        >>> calibrated.p > result.test.p, calibrated.rejection > 0.05
        (True, True)
        """
        return calibrated_test(self, draws, seed=seed, alpha=alpha)

    def leave_one_out(self, by: Any = None) -> pd.DataFrame:
        """Compare the groups again without each study, or without each cluster of studies.

        Parameters
        ----------
        by : str, array_like or Series, optional
            Cluster of each study, as in `helpers.aftercare.leave_one_out`; a cluster may have
            studies in several groups.

        Returns
        -------
        DataFrame
            Index: what is left out; `k` (studies left in all groups), `statistic`, `df`, `p` of
            the test between groups, "estimate(...)", "ci_lower(...)" and "ci_upper(...)" of each
            group (display scale; NaN where no study is left), and `note`. The intervals are of the
            method that each group has now.

        Examples
        --------
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9], n=[40, 60, 90, 50, 90, 70], by=list("aaabbb"),
        ...     model="glmm",
        ... )
        >>> result.leave_one_out()["p"].round(2).tolist()
        [0.83, 0.53, 0.99, 0.53, 0.04, 0.95]
        """
        overall, studies = self.overall, self.overall.data
        members = self._members()
        # The interval stays that of the group, whatever the number of studies that are left.
        asked = _asked(overall)
        options = {
            level: asked
            if fit.one_sided
            else replace(asked, ci_method=fit.ci_method, ci_named=True)
            for level, fit in self.groups.items()
        }
        units = units_of(studies, by, None if by is None else overall.studies)
        counts = overall.options.method == "likelihood"
        kind: Kind = "groups of counts, one by one" if counts else "groups of effects, one by one"
        announce(kind, len(units.labels), overall.k)
        rows = []
        for unit in range(len(units.labels)):
            keep = studies.included.copy()
            keep[studies.included] = units.rest[unit]
            rest = studies.only(keep, f"{units.labels[unit]} left out")
            there = {level: at for level, at in members.items() if keep[at].any()}
            row: dict[str, Any]
            row = {"k": rest.k, "statistic": np.nan, "df": 0, "p": np.nan, "note": ""}
            fits: dict[str, PoolResult] = {}
            gone = [level for level in members if level not in there]
            if gone:
                row["note"] = f"no study is left in {', '.join(gone)}"
            try:
                fits = _fit_groups(rest, there, options, self.group_tau2)
            except MetaAnalysisError as error:  # the rest does not tell the groups apart
                row["note"] = str(error)
            else:
                test = _wald_test(list(fits.values()), joint=self.group_tau2 == "common")
                row |= {"statistic": test.statistic, "df": test.df, "p": test.p}
            for level in members:
                one = fits.get(level)
                limits = Interval(np.nan, np.nan) if one is None else one.ci
                row |= {
                    f"estimate({level})": np.nan if one is None else one.estimate,
                    f"ci_lower({level})": limits.lower,
                    f"ci_upper({level})": limits.upper,
                }
            rows.append(row)
        table = pd.DataFrame(rows, index=units.index())
        return table[[*(name for name in table if name != "note"), "note"]]

    def likelihood_ratio_test(self) -> LikelihoodRatioTest:
        """Test by their log-likelihoods whether all groups follow one model.

        With separate variances the hypothesis is that means and variances are equal, with a
        common variance that the means are; see `helpers.models.subgroup_likelihood` for boundaries
        and groups of one study.

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
        ...     group_tau2="common",
        ... )
        >>> test = result.likelihood_ratio_test()
        >>> round(test.statistic, 3), test.df, test.kind
        (0.233, 1, 'Likelihood-ratio test of equal means, with one between-study variance')
        """
        return likelihood_ratio_test(
            self.groups, self.overall, separate=self.group_tau2 == "separate"
        )

    def summary_frame(self) -> pd.DataFrame:
        """Table with one row per group; the index is the group, named after `by`."""
        rows = [fit.row() for fit in self.groups.values()]
        return pd.DataFrame(rows, index=pd.Index(list(self.groups), name=self.by))

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can hold, the calibrated test included; missing values are None."""
        common = self.common_test()
        calibrated = self.calibrated_test().to_dict() if self.test.df else None
        return {
            "by": self.by,
            "group_tau2": self.group_tau2,
            "groups": {name: fit.to_dict() for name, fit in self.groups.items()},
            "overall": self.overall.to_dict(),
            "test": plain(self.test),
            "common_test": plain(common),
            "calibrated_test": calibrated,
            "cautions": plain(self.cautions),
        }


def subgroups(
    data: pd.DataFrame | None = None,
    *,
    by: Any,
    events: Any = None,
    n: Any = None,
    time: Any = None,
    yi: Any = None,
    vi: Any = None,
    study: Any = None,
    group_tau2: GroupTau2 = "separate",
    **options: Any,
) -> SubgroupResult:
    """Pool each group of studies and test whether the groups differ.

    Parameters
    ----------
    data : DataFrame, optional
        Table that holds the columns; leave it out to pass arrays.
    by : str, array_like or list of str
        Grouping column. Ordered or unordered categories keep their order (empty ones are
        dropped); other values come in order of appearance. Studies without a group are left
        out of the groups and of `overall`, where they stay visible with the reason. A list of
        columns of `data` groups by all their combinations that occur ("MM × trial").
    events, n, time, study
        As in `helpers.pool`.
    yi, vi
        Effects and sampling variances instead of counts, as in `helpers.pool_effects`.
    group_tau2 : {"separate", "common"}
        Own between-study variance in each group, or one for all groups.
    **options
        Further arguments of `helpers.pool` (`measure`, `model`, `tau2_method`, ...) or of
        `helpers.pool_effects`.

    Notes
    -----
    The test is of Wald type, Q = sum w_j (mu_j - mean)^2 with w_j = 1/se_j^2 and the weighted
    mean, chi-squared with one degree of freedom less than groups (Borenstein and Higgins 2013,
    doi:10.1007/s11121-013-0377-7). The standard errors are those of the model (without
    Knapp-Hartung scaling, which can make a group's weight arbitrarily large by chance).
    `SubgroupResult.likelihood_ratio_test` gives the likelihood-ratio test. With few studies in a
    group its chi-squared p-value is too small: `SubgroupResult.calibrated_test` gives one from
    data sets simulated without a difference, `SubgroupResult.common_test` the test with one
    variance for all groups.

    By likelihood a group without an event (or with nothing but events) is none (or all) with its
    exact interval. It has no finite mean and is left out of the test; a caution names it.

    A common variance is that of a model with one mean for each group. By inverse variance the
    groups are independent given tau2. For the GLMM all groups are fitted together
    (`helpers.models.subgroup_counts`), and the test uses the joint covariance of the means.
    Intervals that refer to a t distribution keep the degrees of freedom of the group.

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
    one_of("group_tau2", group_tau2, ("separate", "common"))
    if yi is not None or vi is not None:
        if yi is None or vi is None or events is not None or time is not None:
            raise MetaAnalysisError("give either events and n (or time), or both yi and vi")
        whole = pool_effects(yi, vi, data=data, study=study, n=n, **options)
    else:
        if events is None:
            raise MetaAnalysisError("give events and n (or time), or yi and vi")
        whole = pool(data, events=events, n=n, time=time, study=study, **options)
    first = data if data is not None else (events if yi is None else yi)
    group, levels, name = _groups(data, by, whole.data.labels, first)
    known = np.array([g is not None for g in group])
    studies = whole.data.only(known, f"{name} missing")
    overall = whole
    if not known.all():
        overall = fit_studies(studies, whole.options.for_studies(studies.k))
    members = {
        level: np.array([i for i, g in enumerate(group) if g == level], dtype=int)
        for level in levels
    }
    empty = [lv for lv, rows in members.items() if not studies.included[rows].any()]
    members = {lv: rows for lv, rows in members.items() if lv not in empty}
    left_out: tuple[Caution, ...] = ()
    if empty:
        message = f"{', '.join(empty)}: no study has what is needed; the table gives reasons."
        left_out = (Caution("left-out-group", message),)
    if len(members) < 2:
        raise MetaAnalysisError(
            f"{name}: a comparison needs at least 2 groups with studies; there "
            f"{f'is 1 ({next(iter(members))})' if members else 'are 0'}. Keep studies of another "
            "group in the table, or use pool() for one"
        )
    return _compare(overall, members, name, group_tau2, left_out)


def _compare(
    overall: PoolResult,
    members: dict[str, Any],
    name: str,
    group_tau2: GroupTau2,
    left_out: tuple[Caution, ...],
) -> SubgroupResult:
    """Fit every group and test whether they differ."""
    fits = _fit_groups(overall.data, members, dict.fromkeys(members, _asked(overall)), group_tau2)
    return SubgroupResult(
        by=name,
        groups=MappingProxyType(fits),
        overall=overall,
        test=_wald_test(list(fits.values()), joint=group_tau2 == "common"),
        group_tau2=group_tau2,
        cautions=(*_cautions(fits, group_tau2), *left_out),
    )


def _fit_groups(
    studies: StudyData,
    members: dict[str, Any],
    options: Mapping[str, Options],
    group_tau2: GroupTau2,
) -> dict[str, PoolResult]:
    """Fit every group with its own options."""
    if group_tau2 == "common":
        return _fit_common(studies, members, options)
    return {lv: _fit_group(studies.take(rows), options[lv]) for lv, rows in members.items()}


def _asked(overall: PoolResult) -> Options:
    """Choices for the groups: those of the whole, whose interval may have been made exact."""
    return replace(overall.options, ci_method="wald") if overall.one_sided else overall.options


def _fit_group(studies: StudyData, options: Options) -> PoolResult:
    """Fit one group, with the default interval for its own number of studies."""
    return fit_studies(studies, options.for_studies(studies.k))


def _groups(
    data: pd.DataFrame | None, by: Any, labels: Sequence[str], first: Any = None
) -> tuple[list[str | None], list[str], str]:
    """Group of each row (None if missing), the levels in order, and a name.

    `first` is what the studies came from: the rows of a Series `by` have to be its rows.
    """
    if data is None and isinstance(by, list) and {type(one) for one in by} <= {str, type(None)}:
        if len(by) != len(labels):
            raise MetaAnalysisError(f"group has {len(by)} values for {len(labels)} studies")
        return by, [one for one in dict.fromkeys(by) if one is not None], "group"  # without pandas
    if isinstance(by, (list, tuple)) and data is not None and by and _all_columns(by, data):
        return _crossed(data, list(by))
    if isinstance(by, str):
        if data is None:
            raise MetaAnalysisError(f"by={by!r} names a column, but no data were given")
        if by not in data.columns:
            columns = ", ".join(map(str, data.columns))
            raise MetaAnalysisError(f"by: no column {by!r}; the columns are {columns}")
        column, name = data[by], by
        if column.ndim != 1:
            raise MetaAnalysisError(f"by: the table has several columns {by!r}; rename them")
    else:
        column = _one_group_each(by)
        refuse_other_rows({"data": first, "by": by}, {"data": "the studies", "by": "by"})
        name = "group" if column.name is None else str(column.name)
    if len(column) != len(labels):
        raise MetaAnalysisError(f"{name} has {len(column)} values for {len(labels)} studies")
    for label, value in zip(labels, column, strict=True):
        if not (pd.api.types.is_scalar(value) or isinstance(value, pd.Interval)):
            raise MetaAnalysisError(
                f"{label}, {name}: {value!r} is not the name of a group; expected a word or a "
                "number"
            )
    group = [None if pd.isna(value) else str(value) for value in column]
    if isinstance(column.dtype, pd.CategoricalDtype):
        order = [str(c) for c in column.cat.categories]
    else:
        order = [g for g in group if g is not None]
    present = set(group)
    return group, [g for g in dict.fromkeys(order) if g in present], name


def _one_group_each(by: Any) -> pd.Series[Any]:
    """One value for each study, in one dimension."""
    if getattr(by, "ndim", 1) > 1:
        raise MetaAnalysisError(
            "by has several columns; expected one value for each study, or the names of "
            "columns of `data`"
        )
    problems: list[str] = []
    if by is None or pd.api.types.is_scalar(by) or getattr(by, "ndim", 1) == 0:
        problems.append(
            f"by={by!r}: expected the name of a column of `data`, or one value for each study"
        )
    else:
        by = one_per_study(by, "by", problems)
    if problems:
        raise MetaAnalysisError("; ".join(problems))
    return by if isinstance(by, pd.Series) else pd.Series(by, dtype=getattr(by, "dtype", object))


def _all_columns(names: Sequence[Any], data: pd.DataFrame) -> bool:
    return all(isinstance(name, str) and name in data.columns for name in names)


def _crossed(data: pd.DataFrame, names: list[str]) -> tuple[list[str | None], list[str], str]:
    """Group of each row by several columns: their combinations, in the order of each column."""
    labels = [f"row {i + 1}" for i in range(len(data))]
    parts = [_groups(data, name, labels) for name in names]
    values = list(zip(*(part[0] for part in parts), strict=True))
    order = [" × ".join(levels) for levels in product(*(part[1] for part in parts))]
    group = [None if None in row else " × ".join(map(str, row)) for row in values]
    present = set(group)
    return group, [level for level in order if level in present], " × ".join(names)


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
                found |= _fit_groups(studies, rest, options, "separate")
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


def _wald_test(fits: list[PoolResult], *, joint: bool) -> BetweenTest:
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


def _cautions(fits: dict[str, PoolResult], group_tau2: GroupTau2) -> Iterator[Caution]:
    extreme = [level for level, fit in fits.items() if fit.one_sided]
    if extreme:
        named = ", ".join(
            f"{lv} ({'no' if fits[lv].mu < 0 else 'nothing but'} events)" for lv in extreme
        )
        yield Caution(
            "no-events-group",
            f"{named}: left out of the test between groups; the interval is exact.",
        )
    single = [level for level, fit in fits.items() if fit.k == 1 and not fit.one_sided]
    if single:
        enters = (
            "its own estimate and sampling variance enter the comparison without between-study "
            "variance."
            if group_tau2 == "separate"
            else "its between-study variance is that of all groups."
        )
        yield Caution("single-study-group", f"{', '.join(single)}: one study only; {enters}")
    small = [level for level, fit in fits.items() if 1 < fit.k < FEW_IN_GROUP and not fit.one_sided]
    if small and any(fit.model != "common" for fit in fits.values()):
        few = f"fewer than {printing.word(FEW_IN_GROUP)} studies"
        yield Caution("few-studies-group", f"{', '.join(small)}: {few}.")
