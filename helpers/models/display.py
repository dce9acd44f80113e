"""Views of a pooled result: the table of studies, the headline row, and plain data for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import printing
from ..door import pd
from ..engine.effects import study_interval
from ..engine.json_values import picked, plain, told
from ..engine.normal.intervals import Interval, symmetric_limits
from ..engine.normal.prediction import displayed_prediction
from ..engine.shown import Row, estimate_row, number, percent
from .pooled_intervals import NONE, i2_limits
from .population import has_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import Result
    from .result import PoolResult


def studies_columns(fit: Result) -> dict[str, Any]:
    """Collect the columns of `PoolResult.studies`, without pandas, which the browser has not."""
    data, measure = fit.data, fit.scale
    columns: dict[str, Any] = {}
    size = data.size
    method = "wald" if data.events is None else fit.options.study_ci
    if data.events is not None and size is not None:
        known = np.isfinite(data.events) & np.isfinite(size)
        x, n = np.where(known, data.events, 0.0), np.where(known, size, 1.0)
        columns["events"] = data.events
        columns["time" if measure.kind == "rate" else "n"] = size
        estimate = np.where(known, x / n, np.nan)
        if method == "wald":
            known = known & np.isfinite(data.yi)
    else:
        known = np.isfinite(data.yi) & np.isfinite(data.vi)
        x = n = np.where(known, data.yi, 0.0)
        estimate = np.where(known, measure.inverse(np.where(known, data.yi, 0.0), size), np.nan)
    low, high = study_interval(
        x,
        np.where(known, size, 1.0) if size is not None else n,
        method=method,
        level=fit.level,
        measure=measure,
        yi=np.where(known, data.yi, 0.0),
        vi=np.where(known, data.vi, 1.0),
    )
    columns |= {
        "yi": data.yi,
        "vi": data.vi,
        "estimate": estimate,
        "ci_lower": np.where(known, low, np.nan),
        "ci_upper": np.where(known, high, np.nan),
        "weight": fit.weights,
        "included": data.included,
        "reason": list(data.reason),
    }
    return columns


def studies_frame(fit: Result) -> pd.DataFrame:
    """Make the table of all studies (see `PoolResult.studies`)."""
    table = pd.DataFrame(studies_columns(fit), index=pd.Index(fit.data.labels, name="study"))
    whole = [name for name in ("events", "n") if name in table]
    return table.astype(dict.fromkeys(whole, "Int64"))


def headline_row(fit: PoolResult) -> dict[str, Any]:
    """Collect the headline numbers (see `PoolResult.summary_frame`)."""
    limits = fit.ci
    out: dict[str, Any] = {"k": fit.k}
    if fit.events is not None:
        out["events"] = int(fit.events)
        if fit.time is not None:
            out["time"] = fit.time
        else:
            out["n"] = int(fit.n or 0)
    out |= {"estimate": fit.estimate, "ci_lower": limits.lower, "ci_upper": limits.upper}
    mean, mean_limits = _mean(fit)
    out |= {"mean_estimate": mean, "mean_lower": mean_limits.lower, "mean_upper": mean_limits.upper}
    new, square = displayed_prediction(fit)[0] or NONE, i2_limits(fit)
    return out | {
        "prediction_lower": new.lower,
        "prediction_upper": new.upper,
        "tau2": fit.tau2,
        "I2": fit.heterogeneity.I2,
        "I2_lower": square.lower,
        "I2_upper": square.upper,
        "Q": fit.heterogeneity.Q,
        "df": fit.heterogeneity.df,
        "p": fit.heterogeneity.p,
    }


def studies_text(fit: Any) -> str:
    """Say how many studies, events and patients take part, and how many studies do not."""
    text = printing.count(fit.k)
    if fit.events is not None:
        size = printing.number(fit.time, 1) if fit.n is None else printing.count(fit.n)
        text += f"; events {printing.count(fit.events)} of {size}"
    absent = len(fit.data.labels) - fit.k
    return f"{text}; {absent} left out" if absent else text


def headline_said(fit: PoolResult) -> Iterator[Row]:
    """Give the rows by which a pooled result shows itself (see `helpers.engine.shown`)."""
    yield "studies", studies_text(fit)
    yield estimate_row(fit)
    if fit.model != "common" and fit.shows_heterogeneity:
        limits, _ = displayed_prediction(fit)
        if limits is not None:
            yield "new study", printing.prediction(fit)
        square = percent(fit.heterogeneity.I2 / 100, 0)
        yield "τ²", f"{number(fit.tau2)}; I² {square}"
    if fit.shows_heterogeneity:
        yield "homogeneity", printing.homogeneity_test(fit)


def _mean(fit: PoolResult) -> tuple[float, Interval]:
    """Mean across studies with its interval; NaN for measures that have none."""
    if not has_mean(fit.measure):
        return float("nan"), NONE
    return fit.mean_estimate, fit.mean_conf_int()


def plain_dict(fit: PoolResult) -> dict[str, Any]:
    """Collect everything that JSON can represent (see `PoolResult.to_dict`)."""
    limits, model_limits = fit.ci, fit.conf_int(scale="model")
    mean, mean_limits = _mean(fit)
    columns = {"study": fit.data.labels, **studies_columns(fit)}
    for name in {"events", "n"} & {*columns}:
        columns[name] = [int(one) if np.isfinite(one) else None for one in columns[name]]
    out = {
        **{f.name: getattr(fit.options, f.name) for f in fields(fit.options)},
        **picked(fit, "tau2_method mu se se_model tau2 tau2_se"),
        "ci_model": list(model_limits),
        "estimate": fit.estimate,
        "ci": list(limits),
        "mean_estimate": mean,
        "mean_ci": list(mean_limits),
        **picked(fit, "k events n time loglik converged heterogeneity"),
        "I2_ci": list(i2_limits(fit)),
        **told(fit),
        "studies": [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ],
    }
    return plain(out)


def shrunken_estimates(fit: PoolResult) -> pd.DataFrame:
    """Estimate each study's true effect: (1 - B) yi + B mu with B = vi / (vi + tau2).

    The nearer to the mean the less the study knows (Morris 1983, doi:10.2307/2287098); in the GLMM
    the mean of its true logit (log rate) given its counts, by quadrature. One row per study
    (excluded ones too, without values) with `yi` (its own effect), `mu` and `se`
    (shrunken effect and its standard error, model scale), `estimate`, `ci_lower`, `ci_upper`
    (display scale), `shrinkage` (percent of the way to the mean: 100 vi / (vi + tau2), and in the
    GLMM 100 times the variance of the study's effect given its counts over tau2), `included`,
    `reason`. By inverse variance `se` holds the uncertainty of the mean; in the GLMM it takes mean
    and tau2 as known, as lme4 does. With a common effect every study is drawn all the way to the
    mean; a group of a joint fit, whose studies belong to all groups together, is refused.
    """
    fit.require_finite("shrinkage")
    data = fit.data
    mu, se, shrinkage = (np.full(len(data.labels), np.nan) for _ in range(3))
    keep = data.included
    mu[keep], se[keep], shrinkage[keep] = _included(fit)
    low, high = symmetric_limits(mu, se, fit.level)

    def display(values: NDArray[np.float64]) -> list[float]:
        return [fit.to_display(v) if np.isfinite(v) else np.nan for v in values]

    return pd.DataFrame(
        {
            "yi": data.yi,
            "mu": mu,
            "se": se,
            "estimate": display(mu),
            "ci_lower": display(low),
            "ci_upper": display(high),
            "shrinkage": shrinkage,
            "included": keep,
            "reason": list(data.reason),
        },
        index=pd.Index(data.labels, name="study"),
    )


def _included(fit: PoolResult) -> tuple[NDArray[np.float64], ...]:
    """Shrunken effects, their standard errors and shrinkage of the studies that take part."""
    if fit.tau2 == 0.0:
        return np.full(fit.k, fit.mu), np.full(fit.k, fit.se_model), np.full(fit.k, 100.0)
    from ..engine.counts.fit import GLMMFit
    from ..engine.counts.weights import empirical_bayes

    if isinstance(fit.engine, GLMMFit):
        fit.core.require_own_variance("shrinkage")
        mean, sd = (found[0] for found in empirical_bayes(fit.engine))
        return mean, sd, 100.0 * sd**2 / fit.tau2
    y, v = fit.data.yi[fit.data.included], fit.data.vi[fit.data.included]
    b = v / (v + fit.tau2)
    # v (1 - b) is the variance about a known mean; the mean itself is known up to its se
    se = np.sqrt(v * (1.0 - b) + (b * fit.se_model) ** 2)
    return (1.0 - b) * y + b * fit.mu, se, 100.0 * b
