"""The result of a comparison of groups, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import printing
from ..door import pd
from ..engine.json_values import picked, plain
from ..engine.model import Progress
from ..engine.model.fits import Selections, first_ones
from ..engine.model.units import units_of
from ..engine.options import FEW_IN_GROUP, Options
from ..engine.shown import Row, Shown, estimate_row, number, p_text
from ..engine.summaries import Caution
from .result import PoolResult
from .subgroup_fits import (
    BetweenTest,
    GroupTau2,
    LikelihoodRatioTest,
    fit_groups,
    fit_selections,
    likelihood_ratio_test,
    wald_test,
)
from .subgroup_null import DRAWS, SEED, CalibratedTest, calibrated_test

if TYPE_CHECKING:
    from ..engine.aftercare import BootstrapResult, GoshResult, InfluenceResult
    from ..engine.aftercare.coefficient_permutation import PermutationTest


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

    @property
    def options(self) -> Options:
        """Every choice, as it was made for all studies."""
        return self.overall.options

    @property
    def tau2(self) -> float | None:
        """Between-study variance of all groups; None where each has its own."""
        if self.group_tau2 == "separate" or not self.compared:
            return None
        return self.groups[self.compared[0]].tau2

    def with_group_tau2(self, group_tau2: GroupTau2) -> SubgroupResult:
        """Compare the same groups with a variance of their own each, or with one for all.

        Raises
        ------
        UnsupportedError, MetaAnalysisError
            As `subgroups`.

        Examples
        --------
        >>> from helpers import subgroups
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9], n=[40, 60, 90, 50, 90, 70], by=list("aaabbb"),
        ...     model="glmm",
        ... )
        >>> round(result.test.p, 3), round(result.with_group_tau2("common").test.p, 3)
        (0.776, 0.622)
        """
        left_out = tuple(c for c in self.cautions if c.code == "left-out-group")
        return compare(self.overall, self._members(), self.by, group_tau2, left_out)

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
        self, draws: int = DRAWS, *, seed: int = SEED, alpha: float = 0.05
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
        >>> from helpers import subgroups
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
        >>> from helpers import subgroups
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9], n=[40, 60, 90, 50, 90, 70], by=list("aaabbb"),
        ...     model="glmm",
        ... )
        >>> result.leave_one_out()["p"].round(2).tolist()
        [0.83, 0.53, 0.99, 0.53, 0.04, 0.95]
        """
        overall = self.overall
        units = units_of(overall.data, by, None if by is None else overall.studies)
        return self._fitted_to(units.rest, units.index(), "left")

    def cumulative(self, by: Any = None, *, ascending: bool = True) -> pd.DataFrame:
        """Compare the groups among the first study, the first two, and so on.

        Parameters
        ----------
        by : str, array_like or Series, optional
            What orders the studies, whichever groups they are in, as in
            `helpers.aftercare.cumulative`. Default: input order.
        ascending : bool
            Smallest first (not used with labels).

        Returns
        -------
        DataFrame
            Index: the study added at each step. Columns as in `leave_one_out`; NaN for a group
            until it has a study, and for all of them, with a note, while a common variance cannot
            be told from the differences between groups. The intervals and the tests of repeated
            looks are not corrected.

        Examples
        --------
        >>> from helpers import subgroups
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9], n=[40, 60, 90, 50, 90, 70], by=list("aaabbb"),
        ...     model="glmm",
        ... )
        >>> table = result.cumulative(by=[2019, 2021, 2023, 2020, 2022, 2024])
        >>> table["df"].to_list(), table["note"].iloc[0]
        ([0, 1, 1, 1, 1, 1], 'no study is yet in b')
        """
        overall = self.overall
        from ..engine.aftercare.deletion import order_of

        order = order_of(
            overall.core, by, None if by is None else overall.studies, ascending=ascending
        )
        index = pd.Index(overall.core.labels, name="study")[order]
        return self._fitted_to(first_ones(order), index, "yet")

    def _fitted_to(
        self, selections: Selections, index: pd.Index[Any], missing: str
    ) -> pd.DataFrame:
        """Compare the groups again among some of the studies, a row for each selection."""
        # The interval stays that of the group, whatever the number of studies.
        asked = _asked(self.overall)
        options = {
            level: asked
            if fit.one_sided
            else replace(asked, ci_method=fit.ci_method, ci_named=True)
            for level, fit in self.groups.items()
        }
        studies, members = self.overall.data, self._members()
        rows = fit_selections(studies, members, options, self.group_tau2, selections, missing)
        return pd.DataFrame(rows, index=index)

    def influence(self, by: Any = None) -> InfluenceResult:
        """Compute deletion diagnostics of single studies, or of clusters of studies.

        Parameters
        ----------
        by : str, array_like or Series, optional
            Cluster of each study, as in `leave_one_out`.

        Returns
        -------
        InfluenceResult
            With a common variance the diagnostics of the regression on an indicator of each group
            (`helpers.engine.aftercare.diagnostics`). With separate variances those of a study in
            its own group, "dfbetas(...)" being 0 for the other groups; for a cluster Cook's
            distances (and `Q_deleted`) of its groups add up, the covariance ratios multiply, and
            `tau2_deleted` is NaN if there are several. The rules are those of as many
            coefficients as groups. NaN, and `converged` False, where nothing is left of a group.
            Studies of a group without an event, or with nothing but events, are left out: its
            mean is not finite.

        Raises
        ------
        UnsupportedError
            No group has a finite mean, or a fit did not converge.

        Examples
        --------
        >>> from helpers import subgroups
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9], n=[40, 60, 90, 50, 90, 70], by=list("aaabbb"),
        ...     model="glmm",
        ... )
        >>> result.influence().frame()["dfbetas(b)"].round(2).to_list()
        [0.0, 0.0, 0.0, 1.23, -2.33, 0.16]
        """
        from . import subgroup_aftercare

        return subgroup_aftercare.influence(self, by)

    def baujat(self, by: Any = None) -> pd.DataFrame:
        """Set the heterogeneity within groups against the influence on their means.

        Parameters
        ----------
        by : str, array_like or Series, optional
            Cluster of each study, as in `leave_one_out`.

        Returns
        -------
        DataFrame
            `contribution`, `influence` and `converged` as in `helpers.aftercare.baujat`, of the
            same studies as in `influence`.

        Raises
        ------
        UnsupportedError
            As in `influence`.

        Examples
        --------
        >>> from helpers import subgroups
        >>> result = subgroups(
        ...     yi=[0.1, 0.3, 0.8, 0.2, 1.0, 1.1], vi=[0.1] * 6, by=list("aaabbb"),
        ... )
        >>> result.baujat()["influence"].round(2).to_list()
        [0.36, 0.02, 0.8, 1.61, 0.07, 0.17]
        """
        from . import subgroup_aftercare

        return subgroup_aftercare.baujat(self, by)

    def gosh(
        self,
        subsets: str | int = "all",
        *,
        min_size: int | None = None,
        seed: int = 1,
        progress: Progress | None = None,
    ) -> dict[str, GoshResult]:
        """Fit the groups to every subset of the studies, or to a sample of the subsets.

        With a variance for each group its estimate depends on its own studies alone. Each group
        is therefore fitted to the subsets of its own studies: among the subsets of all studies
        each of these would come back thousands of times. With a common variance they are subsets
        of all studies.

        Parameters
        ----------
        subsets, min_size, seed, progress
            As in `helpers.aftercare.gosh`, of each group in turn; with a common variance as in
            `RegressionResult.gosh`.

        Returns
        -------
        dict of str to GoshResult
            Subsets of each group with a finite mean and, with separate variances, at least two
            studies. With a common variance `estimate` is on the model scale, and `I2` and `Q` are
            of all groups together.

        Raises
        ------
        UnsupportedError
            There is no such group, or a fit did not converge.

        Examples
        --------
        >>> from helpers import subgroups
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9, 4], n=[40, 60, 90, 50, 90, 70, 80], by=list("aaabbbb"),
        ...     model="glmm",
        ... )
        >>> {name: len(fits) for name, fits in result.gosh().items()}
        {'a': 4, 'b': 11}
        """
        from . import subgroup_aftercare

        return subgroup_aftercare.gosh(
            self, subsets, min_size=min_size, seed=seed, progress=progress
        )

    def bootstrap(
        self,
        draws: int = 2000,
        kind: Literal["parametric", "nonparametric"] = "parametric",
        *,
        seed: int = 1,
        progress: Progress | None = None,
    ) -> BootstrapResult:
        """Bootstrap the means of the groups and the variance between studies, on the model scale.

        Parameters
        ----------
        draws : int, default 2000
        kind : {"parametric", "nonparametric"}
            Draw effects (or counts) from the fit of each group, or draw studies with replacement:
            with a variance for each group within the groups, else among all studies.
        seed : int
        progress : callable, optional
            Called with (replicates done, replicates) after each group, or each chunk.

        Returns
        -------
        BootstrapResult
            Intervals by the name of the group and, for the variance between studies, "tau2", or
            "tau2(...)" and "I2(...)" of each group of at least two studies. Groups without a finite
            mean are left out; a replicate in which another has none counts as failed.

        Raises
        ------
        UnsupportedError
            No group has a finite mean, or a fit did not converge.
        ConvergenceError
            Fewer than 20 replicates could be fitted.

        Examples
        --------
        >>> from helpers import subgroups
        >>> result = subgroups(
        ...     events=[3, 8, 6, 16, 2, 9], n=[40, 60, 90, 50, 90, 70], by=list("aaabbb"),
        ...     model="random",
        ... )
        >>> low, high = result.bootstrap(200, seed=7).conf_int("b")
        >>> bool(low < result.groups["b"].mu < high)
        True
        """
        from . import subgroup_aftercare

        return subgroup_aftercare.bootstrap(self, draws, kind, seed=seed, progress=progress)

    def permutation_test(self, draws: int | str = 1000, *, seed: int | None = 1) -> PermutationTest:
        """Permute the groups among the studies and compare `test.statistic`.

        The hypothesis is that the studies of the compared groups are exchangeable. A group's
        effect and variance (or events and patients) stay together, and each arrangement is fitted
        as the groups were.

        Parameters
        ----------
        draws : int or "exact"
            Random arrangements, to which the observed one is added (Phipson and Smyth 2010,
            doi:10.2202/1544-6115.1585), or all distinct ones.
        seed : int or None
            Seed of the random arrangements (None: different each time).

        Returns
        -------
        PermutationTest
            `p` and `omnibus_statistics`; there are no coefficients and terms. Arrangements that
            leave a group without a finite mean are counted in `failed` and left out.

        Raises
        ------
        UnsupportedError
            Fewer than two groups are compared, or too many arrangements for an exact test.

        Examples
        --------
        >>> from helpers import subgroups
        >>> result = subgroups(
        ...     yi=[0.1, 0.3, 0.2, 0.9, 1.0, 1.1], vi=[0.1] * 6, by=list("aaabbb"),
        ... )
        >>> result.permutation_test("exact").p
        0.1
        """
        from . import subgroup_aftercare

        return subgroup_aftercare.permutation_test(self, draws, seed)

    def likelihood_ratio_test(self) -> LikelihoodRatioTest:
        """Test by their log-likelihoods whether all groups follow one model.

        With separate variances the hypothesis is that means and variances are equal, with a
        common variance that the means are; see `helpers.models.subgroup_fits` for boundaries
        and groups of one study.

        Raises
        ------
        UnsupportedError
            The variance was not estimated by maximum likelihood.
        ConvergenceError
            A fit did not reach its maximum.

        Examples
        --------
        >>> from helpers import subgroups
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
        """All that JSON can represent, the calibrated test included; missing values are None."""
        calibrated = self.calibrated_test() if self.test.df else None
        return plain(
            picked(self, "by group_tau2 groups overall test")
            | {"common_test": self.common_test(), "calibrated_test": calibrated}
            | {"cautions": self.cautions}
        )


def compare(
    overall: PoolResult,
    members: dict[str, Any],
    name: str,
    group_tau2: GroupTau2,
    left_out: tuple[Caution, ...],
) -> SubgroupResult:
    """Fit every group and test whether they differ."""
    fits = fit_groups(overall.data, members, dict.fromkeys(members, _asked(overall)), group_tau2)
    return SubgroupResult(
        by=name,
        groups=MappingProxyType(fits),
        overall=overall,
        test=wald_test(list(fits.values()), joint=group_tau2 == "common"),
        group_tau2=group_tau2,
        cautions=(*_cautions(fits, group_tau2), *left_out),
    )


def _asked(overall: PoolResult) -> Options:
    """Choices for the groups: those of the whole, whose interval may have been made exact."""
    return replace(overall.options, ci_method="wald") if overall.one_sided else overall.options


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
