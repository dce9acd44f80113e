"""Pooling by group, and the test of differences between groups."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from helpers.distributions import chi2_sf
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.pooling import Caution, PoolResult, pool
from helpers.pooling.api import fit_studies
from helpers.pooling.inverse_variance import fit_inverse_variance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BetweenTest", "SubgroupResult", "subgroups"]

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
        Test between the groups.
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
    A group of one study has no estimable tau2: with separate variances its own estimate enters
    with its sampling variance, and a caution says so.

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
    shared = _common_tau2(studies, members, overall) if tau2 == "common" else None
    fits = {
        level: fit_studies(studies.take(rows), overall.options, tau2=shared)
        for level, rows in members.items()
    }
    return SubgroupResult(
        by=name,
        groups=MappingProxyType(fits),
        overall=overall,
        test=_wald_test(list(fits.values())),
        tau2=tau2,
        cautions=_cautions(fits),
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


def _common_tau2(studies: Any, members: dict[str, Any], overall: PoolResult) -> float:
    """One residual between-study variance for all groups (a model with one mean per group)."""
    if overall.model == "common":
        raise UnsupportedError("tau2='common' has no meaning for model='common'")
    keep = studies.included
    design = np.zeros((len(studies.labels), len(members)))
    for j, rows in enumerate(members.values()):
        design[rows, j] = 1.0
    if overall.model == "glmm":
        raise UnsupportedError(
            "tau2='common' is defined for model='random' here; for the GLMM use a regression "
            "with the group as a factor"
        )
    fit = fit_inverse_variance(
        studies.yi[keep],
        studies.vi[keep],
        design=design[keep],
        method=str(overall.tau2_method),
    )
    return float(fit.tau2.tau2[0])


def _wald_test(fits: list[PoolResult]) -> BetweenTest:
    mu = np.array([fit.mu for fit in fits])
    w = np.array([fit.se_model**-2 for fit in fits])
    mean = float(w @ mu / w.sum())
    q, df = float(w @ (mu - mean) ** 2), len(fits) - 1
    return BetweenTest(q, df, float(chi2_sf(q, df)), "Wald-type test between groups")


def _cautions(fits: dict[str, PoolResult]) -> tuple[Caution, ...]:
    found = []
    single = [level for level, fit in fits.items() if fit.k == 1]
    if single:
        found.append(
            Caution(
                "single-study-group",
                f"{', '.join(single)}: one study only; its own estimate and sampling variance "
                "enter the comparison without between-study variance.",
            )
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
