"""`meta_regression`: from a table and a formula to a frozen result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from numbers import Real
from typing import Any, Unpack

import numpy as np

from ..arguments import LEVEL, one_of
from ..door import pd
from ..engine.effects import get_measure
from ..engine.keywords import RegressionKeywords, refuse_unknown
from ..engine.model import Model
from ..engine.model.coefficients import variance_factor
from ..engine.normal.fit import RegressionFit
from ..engine.normal.intervals import KNAPP_HARTUNG, no_spread
from ..engine.options import (
    EFFECT_MEASURE,
    MEASURE,
    QUAD_POINTS,
    Options,
    default_ci_method,
    resolve,
)
from ..engine.robust import ROBUST
from ..engine.studies import LARGEST, StudyData, from_counts, from_effects, refuse_other_rows
from ..errors import MetaAnalysisError, UnsupportedError
from .design import Design, build_design, columns_of, required_columns
from .regression_parts import (
    cautions,
    cluster_robust,
    r_squared,
    refuse_separation,
    residual_heterogeneity,
    shared_fields,
)
from .regression_result import RegressionResult

__all__ = ["CI_METHODS", "meta_regression", "read_regression_data"]

#: Intervals and tests of coefficients.
CI_METHODS: tuple[str, ...] = ("wald", "t", "knapp-hartung", "knapp-hartung-max1")


def meta_regression(
    data: pd.DataFrame,
    formula: str,
    *,
    events: str | Sequence[float] | None = None,
    n: str | Sequence[float] | None = None,
    time: str | Sequence[float] | None = None,
    yi: str | Sequence[float] | None = None,
    vi: str | Sequence[float] | None = None,
    study: str | Sequence[Any] | None = None,
    cluster: str | Sequence[Any] | None = None,
    **options: Unpack[RegressionKeywords],
) -> RegressionResult:
    """Fit a meta-regression: effects explained by characteristics of studies.

    Parameters
    ----------
    data : DataFrame
        One row for each study.
    formula : str
        Moderators, e.g. ``'C(product, contr.treatment("Axi-cel")) + setting'``; interactions
        ``a * b``, splines ``bs(x, df=4)``. Without a contrast the first level (of the categories,
        or alphabetical) is the reference.
    events, n, time : str or array_like, optional
        Columns (or values) of the events, and of the patients or person-time.
    yi, vi : str or array_like, optional
        Effects and sampling variances instead of counts.
    study : str or array_like, optional
        Labels; they must be unique.
    cluster : str or array_like, optional
        Clusters for robust inference.
    **options
        Model, interval and their fine print, below.

    Other Parameters
    ----------------
    measure : str, optional
        Effect measure; default "logit" for counts, "effect" for `yi` and `vi`. With `yi` and `vi`
        it says how predictions are back-transformed.
    model : {"glmm", "random", "common"}, optional
        GLMM (binomial with logit link, or Poisson with log link for rates), mixed-effects model
        by inverse variance, or no residual between-study variance. Default as in
        `helpers.pool`: "glmm" for counts on the logit or log rate scale, else "random".
    tau2_method : str, optional
        One of `helpers.engine.options.TAU2_METHODS` ("random" only); default "REML".
    ci_method : {"wald", "t", "knapp-hartung", "knapp-hartung-max1"}, optional
        Intervals and tests of coefficients; the last keeps the Knapp-Hartung factor at 1 or
        above. The GLMM has "wald" (normal distribution) and "t". Default as in
        `helpers.pool`: "knapp-hartung-max1" for "random"; for "glmm" "t" where there
        are fewer than ten studies, moderators counting as one study less each, and "wald"
        with more.
    level : float
        Confidence level.
    robust : {"CR0", "CR1", "CR2"}, optional
        Kind of robust covariance; default "CR2" (GLMM: "CR1") once `cluster` is given. "CR2" is
        defined for inverse variance only and chooses it where no model is named.
    add, to : float, str
        Zero-cell rule (see `helpers.engine.effects.Measure.effects`).
    quad_points : int
        Quadrature nodes of the GLMM.

    Raises
    ------
    MetaAnalysisError
        Bad input, moderators that cannot be told apart, too few studies.
    UnsupportedError
        A combination without meaning.
    ConvergenceError
        A GLMM without a finite maximum (separation).

    Notes
    -----
    y_i = x_i'beta + u_i + e_i with u_i ~ N(0, tau2), e_i ~ N(0, v_i) (Berkey et al. 1995,
    doi:10.1002/sim.4780140406; Thompson and Higgins 2002, doi:10.1002/sim.1187). Coefficients
    are weighted least squares with w = 1/(v_i + tau2). Knapp-Hartung: covariance times
    s2 = sum(w r^2)/(k - p), t and F with k - p degrees of freedom (doi:10.1002/sim.1482).

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "deaths": [3, 8, 12, 5, 9, 2], "patients": [60, 90, 80, 70, 60, 50],
    ...     "setting": ["trial", "trial", "registry", "trial", "registry", "trial"],
    ... })
    >>> fit = meta_regression(data, "setting", events="deaths", n="patients")
    >>> fit.coefficients[["estimate", "se", "df"]].round(3).values.tolist()
    [[-1.735, 0.237, 4.0], [-0.904, 0.34, 4.0]]
    """
    refuse_unknown("meta_regression", options, RegressionKeywords)
    robust, ci_method = options.get("robust"), options.get("ci_method")
    chosen = resolve_choices(options, CI_METHODS, robust == "CR2", yi, vi, events)
    if robust is not None and cluster is None:
        raise UnsupportedError(f"robust={robust!r} needs cluster=")
    model = chosen.model
    if model == "glmm" and ci_method not in (None, "wald", "t"):
        raise UnsupportedError(
            f"ci_method={ci_method!r} is not defined for the GLMM; expected wald or t"
        )
    studies = read_studies(data, chosen, {"events": events, "n": n, "time": time}, yi, vi, study)
    studies, moderators, design, clusters = read_regression_data(data, formula, studies, cluster)
    core = Model(studies, chosen, design.X)
    if len(core.yi) <= design.p:
        raise MetaAnalysisError(
            f"formula {formula!r}: {len(core.yi)} complete studies for {design.p} "
            "coefficients; expected more studies than coefficients"
        )
    fit = core.regress()
    refuse_separation(fit, core, design)
    ci_method = ci_method or default_ci_method(model, len(core.yi) - design.p, CI_METHODS)
    core = replace(core, options=replace(chosen, ci_method=ci_method))
    if clusters is not None:
        robust = robust or ("CR1" if model == "glmm" else "CR2")
    return _result(fit, core, design, moderators, clusters, robust)


def resolve_choices(
    options: Mapping[str, Any],
    ci_methods: tuple[str, ...],
    by_effects: bool,
    yi: Any,
    vi: Any,
    events: Any,
) -> Options:
    """Check the choices of a regression or a three-level model, and what they leave open.

    `by_effects`: one of them is defined for inverse variance only, which is then the default.
    """
    model, ci_method = options.get("model"), options.get("ci_method")
    for name, known in (("ci_method", ci_methods), ("robust", ROBUST)):
        if options.get(name) is not None:
            one_of(name, options[name], known)
    if (yi is None) != (vi is None) or (yi is not None and events is not None):
        raise MetaAnalysisError("give either events and n (or time), or both yi and vi")
    return resolve(
        measure=options.get("measure") or (EFFECT_MEASURE if yi is not None else MEASURE),
        model="random" if model is None and by_effects else model,
        tau2_method=options.get("tau2_method"),
        level=options.get("level", LEVEL),
        add=options.get("add"),
        to=options.get("to"),
        quad_points=options.get("quad_points", QUAD_POINTS),
        counts=yi is None,
        ci_method=ci_method if model is None and ci_method in KNAPP_HARTUNG else None,
    )


def read_studies(
    data: pd.DataFrame | None,
    chosen: Options,
    counts: Mapping[str, Any],
    yi: Any,
    vi: Any,
    study: Any,
) -> StudyData:
    """Read effects, or counts (events, n, time), of a regression or a three-level model."""
    scale = get_measure(chosen.measure)
    if yi is not None:
        size = counts["n"] if counts["time"] is None else counts["time"]
        return from_effects(data, yi, vi, study, size)
    unit = "time" if scale.kind == "rate" else "n"
    events, size = counts["events"], counts[unit]
    if events is None or size is None:
        needed = f"measure={chosen.measure!r} needs events and {unit}"
        raise MetaAnalysisError(f"{needed} (or give yi and vi)")
    rule: Any = chosen.to
    return from_counts(
        data,
        events,
        size,
        study,
        scale,
        add=chosen.add,
        to=rule,
        needs_effect=chosen.model != "glmm",
    )


def _check_moderator(values: pd.Series[Any], column: str) -> None:
    """Refuse what is neither a number nor the name of a group, with its study."""
    if values.dtype.kind in "biu" or str(values.dtype) in ("category", "string", "str"):
        return
    for study, value in values.items():
        found = type(value).__name__
        missing = value is None or found in ("NAType", "NaTType")
        if missing or isinstance(value, (str, bool, np.bool_)):
            continue
        if isinstance(value, (Real, Decimal)):
            if np.isnan(plain := _float(value)) or abs(plain) <= LARGEST:
                continue
            raise MetaAnalysisError(
                f"{study}, column {column!r}: {value!s:.20} is too large to compute with; expected "
                f"a number up to {LARGEST:g}"
            )
        hint = "; give a number instead, such as the year" if hasattr(value, "year") else ""
        raise MetaAnalysisError(
            f"{study}, column {column!r}: {value!r} is a {found}; expected a number or the name "
            f"of a group{hint}"
        )


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def read_regression_data(
    data: pd.DataFrame, formula: str, studies: StudyData, cluster: Any
) -> tuple[StudyData, pd.DataFrame, Design, tuple[Any, ...] | None]:
    """Exclude rows without moderators (with the reason) and build the design of the others.

    Returns
    -------
    studies, moderators, design, clusters
        All rows with their fate; the moderator columns of all rows; the design and the
        clusters of the included rows.
    """
    columns = required_columns(formula, data)
    moderators = columns_of(data, columns).set_axis(list(studies.labels), axis=0)
    for column in columns:
        _check_moderator(moderators[column], column)
        absent = moderators[column].isna().to_numpy()
        studies = studies.only(~absent, f"{column} missing")
    codes = None
    if cluster is not None:
        if isinstance(cluster, str) and cluster not in data.columns:
            raise MetaAnalysisError(f"cluster: no column {cluster!r}")
        refuse_other_rows(
            {"data": data, "cluster": cluster}, {"data": "data", "cluster": "cluster"}
        )
        codes = pd.Series(data[cluster] if isinstance(cluster, str) else cluster, dtype=object)
        if len(codes) != len(data):
            raise MetaAnalysisError(f"cluster has {len(codes)} values for {len(data)} rows")
        studies = studies.only(codes.notna().to_numpy(), "cluster missing")
    keep = np.asarray(studies.included)
    if not keep.any():
        raise MetaAnalysisError(f"formula {formula!r}: no study has all that is needed")
    labels = tuple(s for s, taken in zip(studies.labels, keep, strict=True) if taken)
    why = [f"{s}: {r}" for s, r in zip(studies.labels, studies.reason, strict=True) if r]
    left_out = f" (left out: {'; '.join(why[:5])}{'; ...' if why[5:] else ''})" if why else ""
    design = build_design(formula, data.loc[keep], labels, left_out)
    return (
        studies,
        moderators,
        design,
        None if codes is None else tuple(codes.to_numpy()[keep]),
    )


def _result(
    fit: RegressionFit,
    core: Model,
    design: Design,
    moderators: pd.DataFrame,
    clusters: tuple[Any, ...] | None,
    robust: str | None,
) -> RegressionResult:
    options, scale, factor, sandwich = core.options, float(fit.scale[0]), 1.0, None
    at_least_one = options.ci_method.endswith("max1")
    if robust is not None and clusters is not None:
        sandwich = cluster_robust(fit, core, clusters, robust)
    elif options.ci_method.startswith("knapp-hartung"):
        if no_spread(scale**0.5) and not at_least_one:
            raise MetaAnalysisError(
                "the model fits the effects perfectly, which leaves Knapp-Hartung tests without "
                "a variance; use ci_method='knapp-hartung-max1', 't' or 'wald'"
            )
        factor = float(variance_factor(fit.scale, options.ci_method)[0])
    shared, impossible = shared_fields(core, design, fit.beta[0], factor * fit.cov[0], sandwich)
    return RegressionResult(
        **shared,
        tau2=float(fit.tau2[0]),
        tau2_se=float(fit.tau2_se[0]),
        knapp_hartung_factor=scale,
        heterogeneity=residual_heterogeneity(fit, core),
        R2=r_squared(fit, core, design),
        loglik=float(fit.loglik[0]),
        loglik_restricted=float(fit.loglik_restricted[0]),
        converged=bool(fit.converged[0]),
        cautions=(*impossible, *cautions(fit, core, design, robust, shared["df"])),
        moderators=moderators,
        cluster=clusters,
    )
