"""Person-time from the median follow-up, and deaths per 100 patient-years pooled from it.

Cohorts rarely report person-time. It is approximated as patients times median follow-up, which
counts patients as under observation after they died, relapsed or dropped out, and replaces a mean
by a median. `simulate_person_time` shows how far off that is under stated assumptions, and the
`factor` of `pool_rates` carries the correction into the analysis.

References
----------
Stijnen T, Hamza TH, Özdemir P (2010), doi:10.1002/sim.4040 (Poisson-normal model for rates).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..arguments import AnyArray as Array
from ..arguments import one_of
from ..door import pd
from ..engine.effects import get_measure
from ..engine.studies import read_columns
from ..engine.summaries import Caution
from ..errors import MetaAnalysisError, UnsupportedError
from .pooling import pool
from .result import PoolResult

_RATE_MEASURES = ("log-rate", "sqrt-rate", "raw-rate", "freeman-tukey-rate")


def person_time(n: Any, follow_up: Any, *, per: float = 1.0, study: Any = None) -> Array:
    """Person-time of cohorts: patients x median follow-up / 12.

    Parameters
    ----------
    n : array_like
        Patients: whole numbers of at least 1 (NaN where missing).
    follow_up : array_like
        Median follow-up in months, above 0 (NaN where missing).
    per : float
        Unit in person-years: 100 gives hundreds of patient-years.
    study : array_like, optional
        Labels for messages.

    Returns
    -------
    ndarray
        NaN where patients or follow-up are missing.

    Raises
    ------
    MetaAnalysisError
        Impossible values, each with its study.

    Examples
    --------
    >>> person_time([100, 60], [12, 18]).tolist()
    [100.0, 90.0]
    """
    values, labels, _ = read_columns(None, {"n": n, "follow_up": follow_up}, study)
    return _person_time(values["n"], values["follow_up"], labels, 1.0, per)


def _positive(values: Array) -> Array:
    return np.isfinite(values) & (values > 0)


def _person_time(
    n: Array, follow_up: Array, labels: tuple[str, ...], factor: Any, per: float
) -> Array:
    if not (np.isfinite(per) and per > 0):
        raise MetaAnalysisError(f"per={per!r}: expected a number of person-years above 0")
    share = np.asarray(factor, dtype=float)
    if share.shape not in ((), n.shape):
        raise MetaAnalysisError(f"factor: expected one number or one for each of {n.size} studies")
    share = np.broadcast_to(share, n.shape)
    whole = np.isfinite(n) & (n == np.round(n)) & (n >= 1)
    checks = (
        ("n", n, whole | np.isnan(n), "a whole number of at least 1"),
        ("follow_up", follow_up, _positive(follow_up) | np.isnan(follow_up), "months above 0"),
        ("factor", share, _positive(share), "a number above 0"),
    )
    problems = [
        f"{label}, {name}: {values[i]:g}, expected {what}"
        for i, label in enumerate(labels)
        for name, values, sound, what in checks
        if not sound[i]
    ]
    if problems:
        raise MetaAnalysisError("; ".join(problems[:20]))
    return n * follow_up / 12.0 * share / per


def with_person_time(
    data: pd.DataFrame,
    *,
    n: str = "patients",
    follow_up: str = "median_follow_up_months",
    per: float = 100.0,
) -> pd.DataFrame:
    """Copy of a table with a column `person_time`, for `subgroups` and `meta_regression`.

    Parameters
    ----------
    data : DataFrame
        Table with the columns `n` and `follow_up` (months).
    per
        As in `person_time`; with the default the unit is 100 patient-years.

    Examples
    --------
    >>> from helpers import load_cohorts, subgroups
    >>> data = with_person_time(load_cohorts())
    >>> result = subgroups(data, by="setting", events="nonrelapse_deaths", time="person_time",
    ...                    study="cohort", measure="log-rate", model="glmm")
    >>> print(result.summary_frame()["estimate"].round(1).to_dict())
    {'trial': 4.2, 'real-world': 7.3}
    """
    values, labels, _ = read_columns(data, {"n": n, "follow_up": follow_up}, None)
    return data.assign(person_time=_person_time(values["n"], values["follow_up"], labels, 1.0, per))


def pool_rates(
    data: pd.DataFrame | None = None,
    *,
    events: Any,
    n: Any,
    follow_up: Any,
    study: Any = None,
    measure: str = "log-rate",
    model: str | None = None,
    per: float = 100.0,
    factor: Any = 1.0,
    **options: Any,
) -> PoolResult:
    """Pool deaths per 100 patient-years from deaths, patients and median follow-up.

    Parameters
    ----------
    data : DataFrame, optional
        Table with the columns; leave it out to pass arrays.
    events, n, follow_up : str or array_like
        Events, patients, and median follow-up in months. Studies without follow-up are excluded
        and stay visible with the reason.
    study : str or array_like, optional
        Unique labels.
    measure : {"log-rate", "sqrt-rate", "raw-rate", "freeman-tukey-rate"}
    model : {"glmm", "random", "common"}, optional
        "glmm", the default for "log-rate", is the Poisson-normal model on the raw counts.
    per : float
        The display scale is events per so many person-years.
    factor : float or array_like
        Person-time really observed relative to patients times median follow-up, for all studies
        or for each (`simulate_person_time` says what to expect).
    **options
        Further options of `helpers.pool`.

    Returns
    -------
    PoolResult
        With everything that belongs to one (leave-one-out, influence, profile intervals, ...);
        `estimate` and `ci` are events per `per` person-years, and `mu` is on the model scale of
        that unit: for log rates, ``mu - log(per)`` is the log rate per person-year.

    Raises
    ------
    MetaAnalysisError, UnsupportedError
        As `helpers.pool`; more events than patients.

    Examples
    --------
    >>> fit = pool_rates(events=[3, 8, 6], n=[40, 60, 90], follow_up=[12, 18, None], model="glmm")
    >>> print(f"{fit.estimate:.1f} deaths per 100 patient-years, {fit.k} cohorts")
    8.5 deaths per 100 patient-years, 2 cohorts
    >>> fit.studies.loc["Study 3", "reason"]
    'median follow-up missing'
    """
    one_of("measure", measure, _RATE_MEASURES)
    given = {"events": events, "n": n, "follow_up": follow_up}
    values, labels, _ = read_columns(data, given, study)
    time = _person_time(values["n"], values["follow_up"], labels, factor, per)
    known = np.isfinite(values["events"]) & np.isfinite(values["n"])
    over = [
        f"{labels[i]}: {values['events'][i]:g} events exceed {values['n'][i]:g} patients"
        for i in np.flatnonzero(known)
        if values["events"][i] > values["n"][i]
    ]
    if over:
        raise MetaAnalysisError("; ".join(over))
    fit = pool(
        events=values["events"],
        time=time,
        study=np.asarray(labels, dtype=object),
        measure=measure,
        model=model,
        **options,
    )
    parts = zip(fit.data.reason, values["n"], values["follow_up"], strict=True)
    reason = tuple(_reason(*part) for part in parts)
    caution = Caution(
        "person-time-approximated",
        "Person-time is patients times median follow-up"
        + ("" if np.all(np.asarray(factor) == 1.0) else " times a correction factor")
        + ": it counts patients after death, relapse or drop-out, and the interval does not "
        "include that uncertainty.",
    )
    return replace(fit, data=replace(fit.data, reason=reason), cautions=(*fit.cautions, caution))


def _reason(old: str, n: float, follow_up: float) -> str:
    """Say which part of the person-time is missing."""
    if "time" not in old:
        return old
    named = {"patients": n, "median follow-up": follow_up}
    parts = [word for word, value in named.items() if np.isnan(value)]
    return old.replace("time", " and ".join(parts))


def rate_sensitivity(
    fit: PoolResult, factors: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
) -> pd.DataFrame:
    """Pooled rate if the person-time really observed were a multiple of the assumed one.

    A factor common to all studies divides the pooled rate and its limits exactly and leaves
    tau2 of log rates, tests and comparisons as they are; only factors that differ between
    studies can change a comparison (see `pool_rates`).

    Parameters
    ----------
    fit : PoolResult
        From `pool_rates`.
    factors : tuple of float
        Multiples of the person-time.

    Returns
    -------
    DataFrame
        Index "factor"; columns `estimate`, `ci_lower`, `ci_upper`.

    Examples
    --------
    >>> fit = pool_rates(events=[3, 8], n=[40, 60], follow_up=[12, 18])
    >>> table = rate_sensitivity(fit, (0.5, 1.0))
    >>> bool(table.loc[0.5, "estimate"] == 2 * table.loc[1.0, "estimate"])
    True
    """
    if get_measure(fit.measure).kind != "rate":
        raise UnsupportedError(f"a {fit.measure} fit has no person-time")
    share = np.asarray(factors, dtype=float)
    if not _positive(share).all():
        raise MetaAnalysisError(f"factors={factors!r}: expected numbers above 0")
    numbers = {"estimate": fit.estimate, "ci_lower": fit.ci.lower, "ci_upper": fit.ci.upper}
    columns = {name: value / share for name, value in numbers.items()}
    return pd.DataFrame(columns, index=pd.Index(share, name="factor"))
