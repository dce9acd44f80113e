"""Leave-one-out and cumulative pooling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ... import ties
from ...arguments import Array
from ...door import pd
from ..counts.common import exact_interval
from ..counts.optimise import FitStatus
from ..json_values import picked
from ..model import Fitted, FittedRegression, Model, model_of
from ..model.coefficients import RegressionRefits, columns_by
from ..model.fits import Refits, Selections, first_ones
from ..model.units import units_of, values_of
from ..options import BETA_BINOMIAL

#: What is not as in other fits where no study has an event, or everybody has one.
_OF_BARE = "mu ci_lower ci_upper I2 H2 Q"


def _with_exact_limits(
    model: Model, refits: Refits, counts: Selections
) -> tuple[Refits, NDArray[np.bool_]]:
    """Give selections without an event (or with nothing else) their exact limits."""
    bare = ~refits.converged & (refits.status == FitStatus.SEPARATION)
    if not (model.likelihood and bare.any()):
        return refits, np.zeros(len(refits), dtype=bool)
    data, kind = model.data, model.scale.kind
    keep = np.flatnonzero(data.included)
    parts = [data.take(keep[counts[row]]) for row in np.flatnonzero(bare)]
    limits = [exact_interval(part, kind, model.options.level) for part in parts]
    made = {name: values.copy() for name, values in picked(refits, _OF_BARE).items()}
    made["ci_lower"][bare], made["ci_upper"][bare] = np.array(limits).T
    made["mu"][bare] = np.where(np.isneginf(made["ci_lower"][bare]), -np.inf, np.inf)
    for name in ("I2", "H2", "Q"):
        made[name][bare] = np.nan
    return replace(refits, converged=refits.converged | bare, **made), bare


def _table(model: Model, refits: Refits, index: pd.Index[Any], counts: Selections) -> pd.DataFrame:
    """Build the table that leave-one-out and cumulative pooling share."""
    refits, bare = _with_exact_limits(model, refits, counts)
    none = "no event is left: exact limits of all studies as one"
    everyone = "nothing but events is left: exact limits of all studies as one"
    columns: dict[str, Any] = {
        "k": refits.k,
        "estimate": model.to_display(refits.mu, refits),
        "ci_lower": model.to_display(refits.ci_lower, refits),
        "ci_upper": model.to_display(refits.ci_upper, refits),
        **picked(refits, "mu se tau2 I2 H2 Q df p"),
    }
    columns["df"] = refits.df.astype(np.int64)
    if model.options.model == BETA_BINOMIAL:
        columns = {
            "rho" if n == "tau2" else n: columns[n] for n in columns if n not in ("I2", "H2")
        }
    if model.clusters is not None:
        columns |= _variances(refits)
    columns["loglik"] = refits.loglik
    columns["converged"] = refits.converged
    columns["note"] = [
        (none if refits.mu[row] < 0 else everyone) if bare[row] else refits.note(row)
        for row in range(len(refits))
    ]
    return pd.DataFrame(columns, index=index)


def _variances(refits: Refits | RegressionRefits) -> dict[str, Array]:
    """Give both variances of a three-level model."""
    return {
        "sigma2_between": refits.between,
        "sigma2_within": refits.tau2 - refits.between,
    }


def _coefficients(
    fit: FittedRegression, selections: Selections, index: pd.Index[Any]
) -> pd.DataFrame:
    """Build that table for a regression; NaN where the coefficients are not estimable."""
    refits = fit.core.fit_coefficients(selections)
    table = pd.DataFrame(
        np.column_stack([refits.beta, refits.se, refits.tau2, refits.Q]),
        index=index,
        columns=[*fit.names, *(f"se({name})" for name in fit.names), "tau2", "Q"],
    )
    if fit.core.clusters is not None:
        table = table.assign(**_variances(refits))
    return table.assign(converged=refits.converged, estimable=refits.estimable)


def leave_one_out(fit: Fitted | FittedRegression, by: Any = None) -> pd.DataFrame:
    """Pool again without each study, or without each cluster of studies, in turn.

    Parameters
    ----------
    fit : Fitted or FittedRegression
        Any model; at least 2 included studies.
    by : str, array_like or Series, optional
        Cluster (registry, centre, author) of each study: a column of ``fit.studies``; one value
        per row of ``fit.studies`` or per included study; or a Series indexed by study. All
        studies of a cluster are left out together.

    Returns
    -------
    DataFrame
        Index: the study or cluster left out, in input order. Columns `k`; `estimate`, `ci_lower`,
        `ci_upper` (display scale); `mu`, `se`, `tau2` (model scale); `I2` (percent), `H2`, `Q`,
        `df`, `p` (heterogeneity, tested as in `fit`); `loglik` (restricted for REML); `converged`
        and `note` (why not). Interval and estimator are those of `fit`. With one study left the
        row is that study's own estimate with its Wald interval and tau2 = 0. Where a likelihood
        model is left without an event (or with nothing else) `mu` is infinite and the interval
        exact, as in `helpers.models.result.PoolResult.one_sided`; the note says so. The columns
        of a meta-regression are those of `RegressionResult.leave_one_out`. Three-level models have
        `sigma2_between` and `sigma2_within` as well, which add up to `tau2`, and the standard
        errors of the model, not the robust ones.

    Raises
    ------
    UnsupportedError
        Fewer than 2 studies or clusters, or a fit that did not converge.
    MetaAnalysisError
        `by` does not say the cluster of every study.

    Notes
    -----
    All fits are one batch. Leaving one study out is the diagnostic of Viechtbauer and Cheung
    2010 (doi:10.1002/jrsm.11).

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50], study=["A", "B", "C"], model="glmm")
    >>> leave_one_out(fit)["estimate"].round(3).to_dict()
    {'A': 0.214, 'B': 0.174, 'C': 0.11}
    >>> leave_one_out(fit, by=["x", "x", "y"])["k"].to_dict()
    {'x': 1, 'y': 2}
    """
    model = model_of(fit, "leave-one-out", one_sided=True)
    units = units_of(model.data, by, columns_by(fit, by))
    if model.moderated:
        return _coefficients(cast("FittedRegression", fit), units.rest, units.index())
    return _table(model, model.without_each(units, limits=True), units.index(), units.rest)


def cumulative(
    fit: Fitted | FittedRegression, by: Any = None, *, ascending: bool = True
) -> pd.DataFrame:
    """Pool the first study, the first two, and so on (Lau et al. 1992).

    Parameters
    ----------
    fit : Fitted or FittedRegression
        Any model.
    by : str, array_like or Series, optional
        What orders the studies: a column of ``fit.studies``; one value per row of
        ``fit.studies`` or per included study (numbers, dates, strings); a Series indexed by
        study; or all labels in the wanted order. Default: input order. Ties keep input order.
    ascending : bool
        Smallest first (not used with labels).

    Returns
    -------
    DataFrame
        Index: the study added at each step. Columns as in `leave_one_out`.

    Raises
    ------
    MetaAnalysisError
        An unknown column, a wrong number of values, or studies without a value (all named).

    Notes
    -----
    Lau et al. 1992, doi:10.1056/NEJM199207233270406. The intervals are not corrected for
    repeated looks.

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50], study=["A", "B", "C"], model="glmm")
    >>> cumulative(fit, by=[2021, 2019, 2020])["k"].to_dict()
    {'B': 1, 'C': 2, 'A': 3}
    """
    model = model_of(fit, "cumulative pooling", least=1, one_sided=True)
    order = order_of(model, by, columns_by(fit, by), ascending)
    index = pd.Index(model.labels, name="study")[order]
    if model.moderated:
        return _coefficients(cast("FittedRegression", fit), first_ones(order), index)
    refits = model.growing(order, limits=True)
    return _table(model, refits, index, first_ones(order))


def order_of(
    model: Model, by: Any, columns: pd.DataFrame | None, ascending: bool
) -> NDArray[np.int64]:
    """Positions of the included studies in the order in which they are added."""
    if by is None:
        return np.arange(model.k)
    labels = list(model.labels)
    indexed = isinstance(by, pd.Series) and set(labels) <= set(by.index.astype(str))
    if not (isinstance(by, str) or indexed):
        listed = list(map(str, by))
        if len(listed) == model.k and sorted(listed) == sorted(labels):
            position = {label: i for i, label in enumerate(labels)}
            return np.array([position[label] for label in listed], dtype=np.int64)
    values = values_of(model.data, by, columns)
    numeric = values if not pd.api.types.is_float_dtype(values) else ties.steady(values)
    rank = pd.Series(numeric).rank(method="dense", ascending=ascending).to_numpy()
    return np.argsort(rank, kind="stable")
