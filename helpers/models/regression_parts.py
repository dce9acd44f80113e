"""Parts of a regression: robust covariance, heterogeneity, residuals, deletion, cautions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import printing
from ..arguments import Array
from ..door import pd
from ..engine.counts.inference import heterogeneity_tests
from ..engine.distributions import chi2_ppf, chi2_sf
from ..engine.model import Model
from ..engine.model.coefficients import leverage
from ..engine.normal.fit import RegressionFit, fit_regression
from ..engine.options import shows_prediction
from ..engine.robust import RobustCovariance, TooFewClustersError, robust_covariance, sandwich
from ..engine.summaries import Caution, Heterogeneity, i2_and_h2
from ..engine.wald import ModelTest, wald_test
from ..errors import ConvergenceError
from .cautions import excluded, few_prediction_df
from .design import Design

if TYPE_CHECKING:
    from ..engine.model import Model
    from .regression_result import RegressionResult


def typical_variance(vi: Array, X: Array) -> float:
    """Typical sampling variance (k - p)/tr(P), P at weights 1/vi (doi:10.1002/sim.1186)."""
    w = 1.0 / vi
    return float((len(vi) - X.shape[1]) / (w @ (1.0 - leverage(X, w))))


def residual_frame(fit: RegressionResult) -> pd.DataFrame:
    """Fitted values, residuals, their standard errors, leverage and weight of each study."""
    core = fit.core
    weights = core.information(fit.estimates, fit.tau2)
    hat = leverage(core.X, weights)
    fitted = core.X @ fit.estimates
    residual = core.yi - fitted
    columns = {"fitted": fitted, "residual": residual, "leverage": hat}
    if fit.model != "glmm":
        # Var(e) = (I - H) W^-1 (I - H)' has the diagonal (1 - h)/w when W is the weight
        variance = (1.0 - hat) / weights
        free = variance > 1e-14 / weights
        se = np.sqrt(np.where(free, variance, np.nan))
        columns |= {"residual_se": se, "standardised": residual / se}
    columns["weight"] = 100.0 * weights / weights.sum()
    return pd.DataFrame(columns, index=pd.Index(fit.labels, name="study"))


#: Studies per moderator coefficient below which a caution is raised (Cochrane Handbook 10.11.4).
STUDIES_PER_COEFFICIENT = 10
#: Satterthwaite degrees of freedom below which robust tests are unreliable (Tipton 2015).
FEW_DF = 4.0


def refuse_separation(fit: RegressionFit, core: Model, design: Design) -> None:
    """Raise if the GLMM has no maximum, naming levels without an event, or with nothing else."""
    if core.options.model != "glmm" or bool(fit.estimable[0]):
        return
    assert core.events is not None and core.size is not None  # noqa: PT018
    found, by = [], []
    for term, label, at in _levels(design, core.X):
        x, n = float(core.events[at].sum()), float(core.size[at].sum())
        if x == 0 or (x == n and core.family == "binomial"):
            what = "no study has an event" if x == 0 else "every patient has an event"
            found.append(f"with {label} {what} ({printing.count(x)} of {n:,.10g})")
            by.append(term)
    if not found:
        raise ConvergenceError(
            f"GLMM: {fit.source.message(0)}. A moderator separates studies with and without "
            "events. Leave it out, join values of it, or use model='random'."
        )
    named = [name for name in design.columns if name == by[0] or f"({name}" in by[0]]
    column = repr(named[0]) if len(named) == 1 else "..."
    raise ConvergenceError(
        f"GLMM: there is no finite maximum: {'; '.join(found)}. subgroups(by={column}, ...) shows "
        "such a level as none (or all) of its patients, with exact limits. For a regression, leave "
        "the level out, join it with another, or use model='random'."
    )


def _levels(design: Design, X: Array) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Term, label and rows of each level of the factors (and of columns of 0 and 1)."""
    for term, places in design.terms.items():
        columns = X[:, list(places)]
        if not np.isin(columns, (0.0, 1.0)).all():
            continue
        names = [design.names[place] for place in places]
        if ":" in term or not all(name.startswith(f"{term}[") for name in names):
            for name, column in zip(names, columns.T, strict=True):
                yield term, f"{name} = 1", column == 1.0
                if ":" not in term and (column == 0.0).any():
                    yield term, f"{name} = 0", column == 0.0
            continue
        levels = [name[len(term) + 1 : -1].removeprefix("T.") for name in names]
        for level, column in zip(levels, columns.T, strict=True):
            yield term, f"{term} = {level}", column == 1.0
        rest = np.asarray((columns == 0.0).all(axis=1))
        if rest.any():
            first = [str(lv) for lv in design.levels.get(term, ()) if str(lv) not in levels]
            label = f"{term} = {first[0]}" if len(first) == 1 else f"the first level of {term}"
            yield term, label, rest


def cluster_robust(
    fit: RegressionFit, core: Model, clusters: tuple[Any, ...], kind: str
) -> RobustCovariance:
    """Cluster-robust covariance of the coefficients, for inverse variance and the GLMM."""
    codes = np.unique(np.array([str(c) for c in clusters]), return_inverse=True)[1].reshape(-1)
    beta, tau2, p = fit.beta[0], float(fit.tau2[0]), core.X.shape[1]
    if core.options.model != "glmm":
        groups = [np.flatnonzero(codes == c) for c in range(int(codes.max()) + 1)]
        working = [np.diag(core.vi[g] + tau2) for g in groups]
        return robust_covariance(core.X, core.yi - core.X @ beta, working, codes, kind)
    terms = core.study_terms(beta, tau2)
    basis, triangle = np.linalg.qr(core.X)  # keeps the digits of ill-scaled moderators
    scores, inner = terms.eta[0][:, None] * basis, (basis.T * terms.eta_eta[0]) @ basis
    if tau2 > 0:
        scores = np.column_stack([scores, terms.omega[0]])
        cross = basis.T @ terms.eta_omega[0]
        inner = np.block(
            [[inner, cross[:, None]], [cross[None], terms.omega_omega[0].sum()[None, None]]]
        )
    cov = sandwich(scores, np.linalg.inv(-inner), codes, kind, p)[:p, :p]
    back = np.linalg.inv(triangle)
    return RobustCovariance(
        kind, back @ cov @ back.T, int(codes.max()) + 1, None, None, np.asarray(fit.cov[0])
    )


def shared_fields(
    core: Model, design: Design, beta: Array, cov: Array, robust: RobustCovariance | None
) -> tuple[dict[str, Any], tuple[Caution, ...]]:
    """Fields that regressions and three-level models share, the test of all moderators included.

    Where a robust covariance leaves no joint test it is NaN, and a caution says why; coefficients
    and their own tests are defined all the same. The arrays become read-only.
    """
    k, p = core.X.shape
    L = np.eye(p)[list(design.moderators)]
    label = "all moderators" if design.intercept is not None and p > 1 else "all coefficients"
    impossible: tuple[Caution, ...] = ()
    if robust is None:
        df2 = None if core.options.ci_method == "wald" else float(k - p)
        df = np.full(p, np.inf if df2 is None else df2)
        omnibus = wald_test(beta, cov, L, df2, label)
    else:
        cov, df = robust.cov, robust.df(np.eye(p))
        try:
            omnibus = robust.test(beta, L, label)
        except TooFewClustersError as error:
            omnibus = ModelTest(np.nan, len(L), None, np.nan, "not defined", label)
            message = f"There is no joint test of {error}; those of single coefficients are given."
            impossible = (Caution("no-omnibus", message),)
    for values in (beta, cov, df):
        values.flags.writeable = False
    found = {
        "formula": design.formula,
        "robust": None if robust is None else robust.kind,
        "k": k,
        "p": p,
        "names": design.names,
        "estimates": beta,
        "covariance": cov,
        "df": df,
        "omnibus": omnibus,
        "design": design,
        "core": core,
        "data": core.data,
        "robust_covariance": robust,
    }
    return found, impossible


def residual_heterogeneity(fit: RegressionFit, core: Model) -> Heterogeneity:
    """Residual heterogeneity: Q, or the likelihood-ratio test of the GLMM."""
    k, p = core.X.shape
    vt = typical_variance(core.vi, core.X)
    tau2, df = float(fit.tau2[0]), k - p
    if core.options.model == "glmm":
        tests = heterogeneity_tests(fit.source)
        return tests.summary(i2_and_h2(tau2, vt), vt, tau2=True)
    common = fit_regression(core.yi, core.vi, core.X, tau2_method="common")
    q = float(common.scale[0]) * df
    if core.options.model == "common":
        i2, h2 = (100.0 * max(0.0, (q - df) / q) if q > 0 else 0.0), q / df
    else:
        i2, h2 = i2_and_h2(tau2, vt)
    return Heterogeneity(q, df, float(chi2_sf(q, df)), i2, h2, vt)


def r_squared(fit: RegressionFit, core: Model, design: Design) -> float | None:
    """Percent of tau2 accounted for; None without an intercept or without tau2 to explain."""
    if core.options.model == "common" or design.intercept is None or design.p == 1:
        return None
    empty = float(core.regress(np.ones((len(core.yi), 1))).tau2[0])
    if empty == 0.0:
        return None
    return 100.0 * max(0.0, (empty - float(fit.tau2[0])) / empty)


def cautions(
    fit: RegressionFit,
    core: Model,
    design: Design,
    robust: str | None,
    df: Array,
) -> Iterator[Caution]:
    """Cautions, most important first."""
    studies, ci_method, level = core.data, core.options.ci_method, core.options.level
    k = len(core.yi)
    if not bool(fit.converged[0]):
        why = fit.source.message(0) if fit.source is not None else "the estimate of tau2."
        yield Caution("not-converged", f"The fit did not converge: {why}")
    number = design.p - (design.intercept is not None)
    if number and k < STUDIES_PER_COEFFICIENT * number:
        yield Caution(
            "few-studies-per-coefficient",
            f"{printing.studies(k).capitalize()} for "
            f"{printing.counted(number, 'moderator coefficient')}, fewer than "
            f"{STUDIES_PER_COEFFICIENT} for each: estimates are unstable and chance findings "
            "likely.",
        )
    single = [
        name
        for name, column in zip(design.names, core.X.T, strict=True)
        if set(np.unique(column)) == {0.0, 1.0} and column.sum() == 1
    ]
    if single:
        yield Caution(
            "single-study-level",
            f"One study alone determines {printing.listing(map(printing.readable, single))}.",
        )
    if core.options.model != "common" and float(fit.tau2[0]) == 0.0:
        yield Caution(
            "boundary",
            "The residual between-study variance is estimated at zero, its boundary, which does "
            "not show that the moderators explain all differences; prediction intervals may be "
            "much too narrow.",
        )
    free, random = k - design.p, core.options.model != "common"
    if random and free > 0 and not shows_prediction(free) and ci_method != "wald":
        yield Caution("few-prediction-df", few_prediction_df(k, free, level))
    # the Q-profile set of the residual variance is empty: Q is too small for any value
    lowest = chi2_ppf(0.5 * (1.0 - level), free) if free > 0 else -np.inf
    if core.options.model == "random" and lowest > residual_heterogeneity(fit, core).Q:
        yield Caution(
            "empty-tau2-interval",
            "The studies lie closer to the regression than expected from their sampling "
            "variances, so the Q-profile interval of the residual between-study variance is "
            "empty.",
        )
    if ci_method == "knapp-hartung" and robust is None and float(fit.scale[0]) < 1.0:
        yield Caution(
            "knapp-hartung-narrow",
            f"The Knapp-Hartung factor, {float(fit.scale[0]):.2f}, makes standard errors smaller "
            "than the model's; a factor of at least one avoids this.",
        )
    if robust == "CR2" and float(df.min()) < FEW_DF:
        yield Caution(
            "few-robust-df",
            f"A robust test has {float(df.min()):.1f} degrees of freedom; below "
            f"{FEW_DF:g} its level is not reliable.",
        )
    yield from excluded(studies)
    corrected = int((studies.corrected & studies.included).sum())
    if corrected and core.options.model != "glmm":
        yield Caution(
            "zero-cells-corrected",
            f"The cells of {printing.studies(corrected)} were corrected; a "
            "likelihood model needs no correction.",
        )
