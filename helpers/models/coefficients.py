"""Views of a meta-regression: tables, predictions, intervals, words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import one_of
from ..engine.distributions import chi2_sf, norm_ppf, t_ppf
from ..engine.effects import get_measure
from ..engine.json_values import plain, told
from ..engine.literature import Methods, references
from ..engine.normal.intervals import Interval, first
from ..engine.normal.prediction import prediction_limits
from ..engine.options import default_tau2_ci
from ..engine.wald import ModelTest, coefficient_table, generalised_vif
from ..errors import MetaAnalysisError, UnsupportedError
from . import display
from .design import build_design, design_of_rows
from .heterogeneity import i2_limits
from .new_study import SIDES, Side, delta_share

if TYPE_CHECKING:
    import pandas as pd

    from .base import Coefficients
    from .regression_result import RegressionResult


def studies_frame(fit: RegressionResult) -> pd.DataFrame:
    """All rows given, as of `PoolResult.studies`, with their moderators."""
    table = display.studies_frame(fit)
    for name in fit.moderators.columns:
        # a moderator that is called like a column of every result
        shown = f"{name} (moderator)" if name in table or name == "study" else name
        table[shown] = fit.moderators[name].array
    return table


def contrast_frame(
    fit: Coefficients,
    weights: Mapping[str, float] | ArrayLike,
    rhs: float,
    level: float | None,
) -> pd.DataFrame:
    """Estimate linear combinations of the coefficients."""
    import pandas as pd

    if isinstance(weights, Mapping):
        strange = [name for name in weights if name not in fit.names]
        if strange:
            raise MetaAnalysisError(
                f"no coefficient {', '.join(map(repr, strange))}; the coefficients are "
                f"{', '.join(fit.names)}"
            )
        L = np.array([[float(weights.get(name, 0.0)) for name in fit.names]])
    else:
        L = np.atleast_2d(np.asarray(weights, dtype=float))
    if L.shape[1] != fit.p:
        raise MetaAnalysisError(f"the contrast has {L.shape[1]} weights; expected {fit.p}")
    robust = fit.robust_covariance
    df = np.full(len(L), fit.df[0]) if robust is None else robust.df(L)
    se = np.sqrt(np.einsum("qp,pr,qr->q", L, fit.covariance, L))
    table = coefficient_table(L @ fit.estimates, se, df, fit._level(level), rhs)
    words = [
        " ".join(f"{w:+g} {n}" for w, n in zip(row, fit.names, strict=True) if w != 0) for row in L
    ]
    return pd.DataFrame(table, index=pd.Index(words, name="contrast"))


def inflation(fit: RegressionResult) -> pd.DataFrame:
    """Variance inflation factors of coefficients and terms."""
    import pandas as pd

    among = tuple(i for i in range(fit.p) if i != fit.design.intercept)
    rows: list[tuple[str, str, tuple[int, ...]]]
    rows = [("coefficient", fit.names[i], (i,)) for i in among]
    rows += [("term", t, at) for t, at in fit.design.terms.items()]
    values = [generalised_vif(fit.covariance, at, among) for _, _, at in rows]
    return pd.DataFrame(
        {
            "kind": [r[0] for r in rows],
            "df": [len(r[2]) for r in rows],
            "gvif": values,
            "sif": [v ** (0.5 / len(r[2])) for v, r in zip(values, rows, strict=True)],
        },
        index=pd.Index([r[1] for r in rows], name="term"),
    )


def likelihood_ratio(fit: RegressionResult, nested: str | RegressionResult) -> ModelTest:
    """Likelihood-ratio test against a nested model, both by maximum likelihood."""
    core = fit.core
    if isinstance(nested, str):
        rows = fit.moderators.loc[np.asarray(fit.data.included)]
        label, X = nested, build_design(nested, rows, fit.labels).X
    else:
        if nested.labels != fit.labels or nested.model != fit.model:
            raise MetaAnalysisError("the models were not fitted to the same studies in one way")
        label, X = nested.formula, nested.core.X
    both = np.hstack([core.X, X])
    scaled = both / np.linalg.norm(both, axis=0)
    df = fit.p - X.shape[1]
    if df <= 0 or np.linalg.matrix_rank(scaled, tol=1e-8) > fit.p:
        raise MetaAnalysisError(f"{label!r} is not nested in {fit.formula!r}")
    large = core.regress(tau2_method="ML")
    small = core.regress(X, tau2_method="ML")
    value = max(2.0 * float(large.loglik[0] - small.loglik[0]), 0.0)
    return ModelTest(
        value, df, None, float(chi2_sf(value, df)), "likelihood-ratio", f"against {label}"
    )


def tau2_interval(fit: RegressionResult, method: str | None, level: float | None) -> Interval:
    """Confidence interval for the residual tau2."""
    from ..engine.counts.profile import profile_ci_tau2
    from ..engine.normal.inverse_variance import fit_inverse_variance
    from ..engine.normal.tau2_intervals import profile_tau2_limits, q_profile_limits

    chosen, core = fit._level(level), fit.core
    if fit.model == "common":
        raise UnsupportedError("a common-effect model has no tau2")
    if fit.model == "glmm":
        if method not in (None, "profile"):
            raise UnsupportedError(f"method={method!r}: the GLMM has the interval 'profile'")
        limits = profile_ci_tau2(core.regress().source, chosen)
        return Interval(float(limits.lower[0]), float(limits.upper[0]))
    basis = np.linalg.qr(core.X)[0]
    engine = fit_inverse_variance(core.yi, core.vi, design=basis, method=fit.tau2_method or "REML")
    method = method or default_tau2_ci(fit.model)
    if method == "q-profile":
        return first(q_profile_limits(engine.batch, chosen))
    if method != "profile":
        raise UnsupportedError(f"method={method!r}: expected q-profile or profile")
    if fit.tau2_method not in ("ML", "REML"):
        raise UnsupportedError(
            f"a profile interval needs tau2_method 'ML' or 'REML', not {fit.tau2_method!r}"
        )
    return first(profile_tau2_limits(engine, chosen))


def predictions(
    fit: Coefficients,
    new_data: pd.DataFrame | Mapping[str, Sequence[Any]] | None,
    level: float | None,
    method: str | None,
    size: float | None,
) -> pd.DataFrame:
    """Predict expected effects with confidence and prediction intervals."""
    import pandas as pd

    X, index = _rows(fit, new_data)
    confidence = fit._level(level)
    default = "normal" if fit.ci_method == "wald" and fit.robust is None else "t-k-p"
    df_new = {
        "normal": np.inf,
        "t-k-p": float(fit.k - fit.p),
        "t-k-p-1": float(fit.k - fit.p - 1),
    }
    chosen = method or default
    if chosen not in df_new:
        raise UnsupportedError(f"prediction_method={method!r}: expected one of {', '.join(df_new)}")
    if df_new[chosen] <= 0:
        raise UnsupportedError(f"prediction_method={chosen!r} needs more studies")

    robust = fit.robust_covariance
    df = np.full(len(X), fit.df[0]) if robust is None else robust.df(X)
    mu = X @ fit.estimates
    variance = np.einsum("np,pq,nq->n", X, fit.covariance, X)
    half = _quantile(df, confidence) * np.sqrt(variance)
    # A robust test may have fewer degrees of freedom than studies less coefficients.
    df_of_new = np.minimum(df_new[chosen], df) if method is None else df_new[chosen]
    mean = (mu - half, mu + half)
    new = prediction_limits(mu, np.sqrt(variance), fit.tau2, confidence, df_of_new, mean)
    if fit.model == "common":
        new = (np.full_like(mu, np.nan), np.full_like(mu, np.nan))
    measure = get_measure(fit.measure)
    size = fit.back_size if size is None else size
    if measure.needs_size and size is None:
        raise MetaAnalysisError(f"the {measure.name} measure needs size= to be turned back")

    def display(values: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        return np.where(known, measure.inverse(np.where(known, values, 0.0), size), np.nan)

    columns = {
        "mu": mu,
        "se": np.sqrt(variance),
        "mu_lower": mu - half,
        "mu_upper": mu + half,
        "mu_prediction_lower": new[0],
        "mu_prediction_upper": new[1],
        "estimate": display(mu),
        "ci_lower": display(mu - half),
        "ci_upper": display(mu + half),
        "prediction_lower": display(new[0]),
        "prediction_upper": display(new[1]),
    }
    return pd.DataFrame(columns, index=index)


def beyond(
    fit: RegressionResult,
    bound: float,
    side: Side,
    new_data: pd.DataFrame | Mapping[str, Sequence[Any]] | None,
    level: float | None,
) -> pd.DataFrame:
    """Probability that a new study of each row lies beyond a bound, with its interval."""
    import pandas as pd

    one_of("side", side, SIDES)
    if fit.model == "common":
        raise UnsupportedError("a common effect leaves nothing to predict")
    X, index = _rows(fit, new_data)
    at = float(get_measure(fit.measure).from_display(bound, fit.back_size))
    robust = fit.robust_covariance
    df = np.full(len(X), fit.df[0]) if robust is None else robust.df(X)
    shared = np.zeros(len(X))
    if fit.model == "glmm":
        shared = X @ fit.core.regress().source.cov[0, :-1, -1]
    columns = delta_share(
        X @ fit.estimates,
        np.einsum("np,pq,nq->n", X, fit.covariance, X),
        fit.tau2,
        fit.tau2_se,
        shared,
        _quantile(df, fit._level(level)),
        at,
        side,
    )
    return pd.DataFrame(
        dict(zip(("estimate", "ci_lower", "ci_upper"), columns, strict=True)), index=index
    )


def _rows(
    fit: Coefficients,
    new_data: pd.DataFrame | Mapping[str, Sequence[Any]] | None,
) -> tuple[np.ndarray, pd.Index]:
    """Design of new rows, or of the included studies, with their labels."""
    import pandas as pd

    if new_data is None:
        return fit.core.X, pd.Index(fit.labels, name="study")
    frame = new_data if isinstance(new_data, pd.DataFrame) else pd.DataFrame(new_data)
    return design_of_rows(fit.design, frame), frame.index


def _quantile(df: np.ndarray, level: float) -> np.ndarray:
    """Two-sided quantile of t distributions; infinite degrees of freedom are normal."""
    normal, upper = np.isinf(df), 0.5 + 0.5 * level
    return np.where(normal, norm_ppf(upper), t_ppf(upper, np.where(normal, 1.0, df)))


def summary(fit: RegressionResult) -> pd.DataFrame:
    """One-row table of the model's numbers."""
    import pandas as pd

    square = i2_limits(fit)
    row = {
        "k": fit.k,
        "p": fit.p,
        "tau2": fit.tau2,
        "tau2_se": fit.tau2_se,
        "I2": fit.heterogeneity.I2,
        "I2_lower": square.lower,
        "I2_upper": square.upper,
        "H2": fit.heterogeneity.H2,
        "R2": np.nan if fit.R2 is None else fit.R2,
        "Q": fit.heterogeneity.Q,
        "Q_df": fit.heterogeneity.df,
        "Q_p": fit.heterogeneity.p,
        "omnibus": fit.omnibus.statistic,
        "omnibus_df1": fit.omnibus.df,
        "omnibus_df2": np.nan if fit.omnibus.df2 is None else fit.omnibus.df2,
        "omnibus_p": fit.omnibus.p,
        "loglik": fit.loglik,
        "converged": fit.converged,
    }
    return pd.DataFrame([row], index=pd.Index([fit.formula], name="formula"))


def as_dict(fit: RegressionResult) -> dict[str, Any]:
    """Everything that JSON can hold."""
    studies = fit.studies.reset_index().astype(object)
    return plain(
        {
            "formula": fit.formula,
            "measure": fit.measure,
            "model": fit.model,
            "tau2_method": fit.tau2_method,
            "ci_method": fit.ci_method,
            "robust": fit.robust,
            "level": fit.level,
            **fit.summary_frame().iloc[0].to_dict(),
            "omnibus": fit.omnibus,
            "coefficients": fit.coefficients.reset_index().to_dict(orient="records"),
            "covariance": fit.covariance,
            **told(fit),
            "studies": studies.where(studies.notna(), None).to_dict(orient="records"),
        }
    )


_TESTS = {
    "wald": "Wald-type tests with the normal distribution",
    "t": "Wald-type tests with the t distribution (k − p degrees of freedom)",
    "knapp-hartung": "Knapp-Hartung tests",
    "knapp-hartung-max1": "Knapp-Hartung tests with a factor of at least 1",
}


def methods(fit: RegressionResult) -> Methods:
    """One sentence about how the fit was made."""
    label = get_measure(fit.measure).label
    keys = ["berkey1995"]
    if fit.model == "glmm":
        family = "Poisson-normal" if fit.core.family == "poisson" else "binomial-normal"
        how = (
            f"a {family} generalised linear mixed model fitted by maximum likelihood "
            f"({fit.core.options.quad_points}-point adaptive Gauss-Hermite quadrature)"
        )
        keys = ["stijnen2010"]
    elif fit.model == "common":
        how = f"an inverse-variance common-effect model of the {label}"
    else:
        how = (
            f"an inverse-variance mixed-effects model of the {label} "
            f"with the {fit.tau2_method} estimator of the residual between-study variance"
        )
        keys.append("viechtbauer2005")
    if fit.robust is not None:
        tests = f"cluster-robust ({fit.robust}) tests"
        keys += ["tipton2015", "tipton2015b"] if fit.robust == "CR2" else ["hedges2010"]
    else:
        tests = _TESTS[fit.ci_method]
        if fit.ci_method.startswith("knapp-hartung"):
            keys.append("knapp2003")
    sentence = (
        f"Moderators ({fit.formula}) of {fit.k} studies were analysed by meta-regression with "
        f"{how} and {tests}."
    )
    return Methods(sentence, references(*keys))
