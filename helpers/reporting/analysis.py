"""Everything that is computed for a report, and what could not be, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, TypeVar

import numpy as np

from .. import printing
from ..arguments import LEVEL, whole_number
from ..checks import bias
from ..checks.bias import BiasTest, NullSimulation
from ..door import pd
from ..engine.aftercare import InfluenceResult
from ..engine.effects import get_measure
from ..engine.options import MEASURE
from ..errors import MetaAnalysisError, UnsupportedError
from ..evidence.given import RATINGS, SCALES, on_model_scale, rating_of
from ..evidence.own import COUNTS, EFFECTS
from ..evidence.pointers import Remark, remarks
from ..models.design import quoted
from ..models.multilevel import pool_multilevel
from ..models.multilevel_result import MultilevelResult
from ..models.pooling import pool, pool_effects
from ..models.rates import pool_rates
from ..models.regression import meta_regression
from ..models.regression_result import RegressionResult
from ..models.result import PoolResult
from ..models.subgroup_analysis import SubgroupResult, subgroups
from ..models.subgroup_null import begin_calibrated_test

Progress = Callable[[str], None]
_T = TypeVar("_T")

#: Unit of a follow-up -> months.
MONTHS = {"days": 12 / 365.25, "weeks": 84 / 365.25, "months": 1.0, "years": 12.0}


def _egger(fit: PoolResult) -> BiasTest:
    """Egger's test of logits, whatever the measure of the fit."""
    data = fit.data
    return bias.egger(events=data.events, n=data.size, study=data.labels, measure="logit")


#: Name of a test here, as in `helpers.bias.simulate_null` -> the test; the last keeps its level.
TESTS: tuple[tuple[str, Callable[[PoolResult], BiasTest]], ...] = (
    ("Egger (logit)", _egger),
    ("Peters (weights from size)", bias.peters),
    ("Double arcsine", bias.arcsine_test),
)


#: The same for effects with standard errors; nothing is known of what they were computed from.
OF_EFFECTS: tuple[tuple[str, Callable[[PoolResult], BiasTest]], ...] = (
    ("Egger", bias.egger),
    ("Begg and Mazumdar", bias.begg),
)


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which column of the table plays which role; None or () where there is none.

    The size of a study is its people, `n`, or its `time`, person-years. Effects have none.
    """

    study: str = "study"
    events: str | None = "events"
    n: str | None = "n"
    by: str | None = None
    follow_up: str | None = None
    covariates: tuple[str, ...] = ()
    follow_up_unit: str = "months"
    time: str | None = None
    effect: str | None = None  # with `se`, `variance`, or `lower` and `upper`; in place of counts
    se: str | None = None
    variance: str | None = None
    lower: str | None = None
    upper: str | None = None
    scale: str = ""  # of effects, as in `helpers.evidence.given.SCALES`
    cluster: str | None = None  # what cohorts come from, such as a registry
    risk_of_bias: str | None = None

    @property
    def size(self) -> str:
        """The column of the sizes."""
        return str(self.n if self.time is None else self.time)

    @property
    def used(self) -> tuple[str, ...]:
        """Every column that plays a role."""
        aside = {"covariates", "follow_up_unit", "scale"}
        named = [getattr(self, one.name) for one in fields(self) if one.name not in aside]
        return tuple(name for name in [*named, *self.covariates] if name is not None)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns without which a row is no study."""
        named = (getattr(self, role) for role in (*COUNTS, *EFFECTS))
        return tuple(name for name in named if name is not None)


@dataclass(frozen=True, slots=True)
class NotComputed:
    """One part of the report that this table does not allow, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """Results of one table; a part is None if it was not asked for or is in `not_computed`."""

    data: pd.DataFrame = field(repr=False)  # the checked table
    columns: ColumnNames
    fit: PoolResult  # the main model
    #: Inverse variance (REML) beside a GLMM, a GLMM beside it; of effects a common effect.
    beside: PoolResult | None
    one_sided: bool  # no one, or everyone, had the event: the edge of what is possible
    groups: SubgroupResult | None
    regressions: dict[str, RegressionResult]  # one moderator (column) at a time
    rates: PoolResult | None  # events per 100 person-years
    leave_one_out: pd.DataFrame | None = field(repr=False)
    influence: InfluenceResult | None
    tests: dict[str, BiasTest]  # for small-study effects, by name
    null: NullSimulation | None  # the tests on simulated sets without such an effect
    not_computed: tuple[NotComputed, ...]
    seed: int  # of the simulation
    remarks: tuple[Remark, ...] = ()  # what looks odd in the table
    rows: tuple[int, ...] = ()  # of the spreadsheet, one a row of `data`
    understood: str = ""  # what the layout of the file was taken for
    per: int = 100  # a rate is that of so many person-years
    levels: MultilevelResult | None = None  # cohorts within clusters
    robust: MultilevelResult | None = None  # the same with a cluster-robust covariance
    without_cluster: pd.DataFrame | None = field(repr=False, default=None)  # leave-one-out
    ratings: SubgroupResult | None = None  # by risk of bias: low, some, high
    low_risk: PoolResult | None = None  # without the studies at high risk

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns of the table that play no role."""
        return tuple(str(name) for name in self.data.columns if name not in self.columns.used)

    def moderator(self, column: str) -> str:
        """Call a moderator the same everywhere, with its unit where that is known."""
        if column == self.columns.follow_up:
            return f"follow-up, {self.columns.follow_up_unit}"
        return printing.readable(column)


class _Attempts:
    """Run steps that a table may not allow; keep the reasons, tell the progress."""

    def __init__(self, progress: Progress, one_sided: bool) -> None:
        self.reasons: list[NotComputed] = []
        self.progress = progress
        self.one_sided = one_sided

    def __call__(self, what: str, step: Callable[[], _T], *, varied: bool = True) -> _T | None:
        """Run a step; most need studies with different results (`varied`)."""
        self.progress(what)
        try:
            if varied and self.one_sided:
                raise UnsupportedError(
                    "no study has events, or all people have them: nothing varies"
                )
            return step()
        # Only what the engine refuses on purpose (too few studies, nothing to regress on) becomes
        # a sentence of the report; a bug is not of this type and stops it.
        except MetaAnalysisError as error:
            self.reasons.append(NotComputed(what, str(error)))
            return None


def analyse(
    data: pd.DataFrame,
    columns: ColumnNames,
    *,
    measure: str | None = None,
    model: str | None = None,
    level: float = LEVEL,
    seed: int = 1,
    draws: int = 2000,
    per: int = 100,
    rows: tuple[int, ...] = (),
    understood: str = "",
    noun: tuple[str, str] = ("study", "studies"),
    progress: Progress = lambda step: None,
) -> Analysis:
    """Compute everything that a checked table allows; `progress` hears each step before it begins.

    The main model is that of `helpers.pool`: by default a GLMM, and inverse variance with random
    effects for measures for which there is none. An error when it cannot be fitted: options that do
    not go together. With a column of person-time rates are pooled, per so many person-years, by a
    Poisson GLMM or on another scale of rates. `rows` are the places of the studies in a
    spreadsheet, `understood` is what its layout was taken for, and `noun` says what a row is.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study": list("ab"), "events": [3, 9], "n": [40, 50]})
    >>> result = analyse(table, ColumnNames())
    >>> result.fit.k, [one.what for one in result.not_computed][-1]
    (2, 'Tests for small-study effects')
    """
    seed = whole_number("seed", seed, 0)
    timed, effects = columns.time is not None, columns.effect is not None
    if per not in printing.PER:
        raise MetaAnalysisError(f"per={per!r}: expected one of {', '.join(map(str, printing.PER))}")
    usual = SCALES[columns.scale] if effects else "log-rate" if timed else MEASURE
    if effects and measure not in (None, usual):
        raise MetaAnalysisError(
            f"measure={measure!r}: effects are pooled on the scale that they are on "
            f"(scale {columns.scale!r}, measure {usual!r})"
        )
    measure = usual if measure is None else measure
    kind = get_measure(measure).kind
    if not effects and kind != ("rate" if timed else "proportion"):
        size = {"proportion": "people", "rate": "person-time", "effect": "effects"}[kind]
        raise MetaAnalysisError(f"measure={measure!r} needs a column of {size}")
    table = data
    counts: dict[str, Any] = {"study": columns.study, "level": level}
    far: list[int] = []
    if effects:
        data, far = _with_effects(data, columns)
        counts |= {"yi": _YI, "vi": _VI}
    elif timed:
        counts |= {"events": columns.events, "time": scaled_time(columns, per)}
        data = data.assign(**{counts["time"]: data[columns.size].astype(float) / per})
    else:
        counts |= {"events": columns.events, "n": columns.n}
    if columns.follow_up_unit not in MONTHS:
        raise MetaAnalysisError(
            f"follow_up_unit must be one of {', '.join(MONTHS)}, not {columns.follow_up_unit!r}"
        )
    nothing = [None] * len(data)
    events, n = (
        nothing if effects else _known(data[name]) for name in (columns.events, columns.size)
    )
    months = (
        None
        if columns.follow_up is None
        else data[columns.follow_up].astype(float) * MONTHS[columns.follow_up_unit]
    )
    known = [(x, size) for x, size in zip(events, n, strict=True) if None not in (x, size)]
    one_sided = not effects and (
        all(x == 0 for x, _ in known) or (not timed and all(x == size for x, size in known))
    )
    attempt = _Attempts(progress, one_sided)
    # With a zero-cell correction the estimate would be that of the correction; the likelihood
    # gives none (or all) with its exact interval.
    chosen = "glmm" if one_sided and measure == usual else model
    progress("Pooled estimate")
    pooled = partial(pool_effects if effects else pool, **counts, measure=measure)
    fit = pooled(data=data, model=chosen)
    beside = groups = rates = None
    if not one_sided:
        other = "random" if fit.model == "glmm" else "glmm"
        if effects:
            other = "random" if fit.model == "common" else "common"
        second = partial(pooled, data=data, model=other, measure=usual)
        beside = attempt("A second model beside it", second)
    if columns.by is not None:
        compare = partial(subgroups, data, by=columns.by, **counts, measure=measure, model=chosen)
        groups = attempt("Subgroups", compare)
        if groups is not None and groups.test.df:  # for its readers, who wait for it
            attempt("Calibrated test between groups", partial(begin_calibrated_test, groups))
    regressions = {}
    for column in (columns.follow_up, *columns.covariates):
        if column is not None:
            step = partial(_regression, data, column, counts, fit)
            made = attempt(f"Meta-regression on {printing.readable(column)}", step)
            if made is not None:
                regressions[column] = made
    if months is not None and kind == "proportion" and not effects:
        how = {"measure": "log-rate", "model": "glmm"}
        per_time = partial(pool_rates, data, **counts, follow_up=months, **how)
        rates = attempt("Events per person-time", per_time, varied=False)
    leave_one_out = attempt("Leave-one-out", fit.leave_one_out)
    influence = attempt("Influence of single studies", fit.influence)
    tests, null = _small_studies(fit, attempt, one_sided, seed, draws)
    levels = robust = without_cluster = ratings = low_risk = None
    if columns.cluster is not None:
        own = _clusters(data, columns)
        nested = partial(pool_multilevel, data, cluster=own, **counts, measure=measure)
        how = "glmm" if fit.model == "glmm" else "random"
        levels = attempt("Cohorts within clusters", partial(nested, model=how))
        sandwich = partial(nested, model="random", robust="CR2")
        robust = attempt("Cluster-robust interval", sandwich)
        delete = partial(fit.leave_one_out, by=own)
        without_cluster = attempt("Leave-one-out by cluster", delete)
    if columns.risk_of_bias is not None:
        rated = data.assign(**{RATED: _ratings(data, columns.risk_of_bias)})
        compare = partial(subgroups, by=RATED, **counts, measure=measure)
        ratings = attempt("Risk of bias", partial(compare, rated, model=chosen))
        high = (rated[RATED] == RATINGS["high"]).to_numpy()
        if high.any():
            rest = partial(pooled, data=data[~high].reset_index(drop=True), model=chosen)
            low_risk = attempt("Without studies at high risk of bias", rest)
    return Analysis(
        data=table,
        columns=columns,
        fit=fit,
        beside=beside,
        one_sided=one_sided,
        groups=groups,
        regressions=regressions,
        rates=rates,
        leave_one_out=leave_one_out,
        influence=influence,
        tests=tests,
        null=null,
        not_computed=tuple(attempt.reasons),
        seed=seed,
        remarks=remarks(
            [str(label) for label in data[columns.study]],
            events,
            n,
            rows=rows or None,
            months=None if months is None else _known(months),
            noun=noun,
            lopsided=far,
            groups=() if columns.by is None else _known(data[columns.by]),
        ),
        rows=rows,
        understood=understood,
        per=per,
        levels=levels,
        robust=robust,
        without_cluster=without_cluster,
        ratings=ratings,
        low_risk=low_risk,
    )


#: Columns of the effects on the scale of the model, which no table can have: names have no tab.
_YI, _VI = "\tyi", "\tvi"


def _with_effects(data: pd.DataFrame, columns: ColumnNames) -> tuple[pd.DataFrame, list[int]]:
    """Add effects and variances on the model's scale, and find effects far from their middle."""
    cells = {name: _known(data[name]) for name in columns.needed}
    given = {role: getattr(columns, role) for role in EFFECTS}
    by_role = {role: cells[name] for role, name in given.items() if name is not None}
    yi, vi, far = on_model_scale(by_role, columns.scale)
    return data.assign(**{_YI: yi, _VI: vi}), far


def _clusters(data: pd.DataFrame, columns: ColumnNames) -> list[str]:
    """Name the cluster of each row; one without is a cluster of its own."""
    pairs = zip(
        data[columns.study], data[columns.cluster], data[columns.cluster].isna(), strict=True
    )
    return [f"{study} (alone)" if none else str(cluster) for study, cluster, none in pairs]


#: What the column of a report's own ratings is called.
RATED = "risk of bias"


def _ratings(data: pd.DataFrame, column: str) -> pd.Series[Any]:
    """Turn ratings into three levels in their order; a study without one has none."""
    made = data[column].map(lambda text: RATINGS[rating_of(str(text))], na_action="ignore")
    return pd.Series(pd.Categorical(made, [*RATINGS.values()], ordered=True), index=data.index)


def scaled_time(columns: ColumnNames, per: int) -> str:
    """Name the column of person-time in the unit of the rates."""
    return f"{columns.time} / {per}"


def _known(values: pd.Series[Any]) -> list[Any]:
    """Give the values of a column, None where one is missing."""
    return [None if gone else value for value, gone in zip(values, values.isna(), strict=True)]


def _regression(
    data: pd.DataFrame, column: str, counts: dict[str, Any], fit: PoolResult
) -> RegressionResult:
    """Fit one moderator with the model of the pooled estimate."""
    if fit.model == "common":
        raise UnsupportedError("a common effect leaves nothing for a moderator to explain")
    values = data[column][fit.data.included].dropna()
    if len(values) < 4:
        raise UnsupportedError(
            f"fewer than four studies in the analysis have a value of {column!r}"
        )
    if values.nunique() < 2:
        raise UnsupportedError(f"{column!r} has the same value everywhere")
    return meta_regression(data, quoted(column), **counts, measure=fit.measure, model=fit.model)


def _small_studies(
    fit: PoolResult, attempt: _Attempts, one_sided: bool, seed: int, draws: int
) -> tuple[dict[str, BiasTest], NullSimulation | None]:
    """Test whether small studies differ, and how often the tests say so without a reason."""
    what = "Tests for small-study effects"
    sizes = np.unique(fit.data.size[fit.data.included]) if fit.data.size is not None else ()
    effects, reason = fit.events is None, ""
    if not effects and fit.n is None:
        reason = (
            "they are for proportions; the standard error of a log rate depends on the events, as "
            "the rate does"
        )
    elif fit.k < 3:
        reason = "there are fewer than three studies, and a line needs three"
    elif one_sided:
        reason = "no study has events, or all people have them: there is no trend to see"
    elif not effects and len(sizes) < 2:
        reason = "all studies have the same size"
    if reason:
        attempt.reasons.append(NotComputed(what, reason))
        return {}, None
    wanted = OF_EFFECTS if effects else TESTS
    made = {name: attempt(f"{what}: {name}", partial(test, fit)) for name, test in wanted}
    tests = {name: test for name, test in made.items() if test is not None}
    if effects or not tests:
        return tests, None
    simulated = partial(bias.simulate_null, fit, seed=seed, draws=draws, tests=list(tests))
    return tests, attempt("Calibrated p-values of these tests", simulated)
