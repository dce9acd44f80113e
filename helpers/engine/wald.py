"""Wald tests, contrasts and variance inflation from coefficients and their covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arguments import Array
from ..errors import MetaAnalysisError
from .distributions import chi2_sf, f_sf, norm_ppf, norm_sf, t_ppf, t_sf
from .normal.weighted import eliminate
from .shown import PlainResult


@dataclass(frozen=True, slots=True, repr=False)
class ModelTest(PlainResult):
    """One test of several coefficients at once."""

    statistic: float  # value of the statistic
    df: float  # degrees of freedom (of the numerator)
    df2: float | None  # degrees of freedom of the denominator of an F statistic
    p: float  # p-value
    kind: str  # "chi2", "F", "HTZ" (robust, Hotelling's T-squared) or "likelihood-ratio"
    label: str  # what is tested


def quadratic_form(beta: Array, cov: Array) -> Array:
    """Compute b' V^-1 b of every replicate, shapes (R, m) and (R, m, m)."""
    m, sd = beta.shape[1], np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    bordered = np.zeros((m + 1, m + 1, len(beta)))  # what elimination leaves in the corner
    bordered[:m, :m] = np.moveaxis(cov / (sd[:, :, None] * sd[:, None, :]), 0, -1)
    bordered[:m, m] = (beta / sd).T
    return -eliminate(bordered[np.triu_indices(m + 1)].T, m)[1]


def wald_test(beta: Array, cov: Array, L: Array, df2: float | None, label: str) -> ModelTest:
    """Test L beta = 0: chi-squared, or F with `df2` denominator degrees of freedom."""
    q = len(L)
    if np.linalg.matrix_rank(L) < q:
        raise MetaAnalysisError(f"{label}: the rows of the hypothesis are linearly dependent")
    variance = L @ cov @ L.T
    if not (np.diagonal(variance) > 0).all():
        raise MetaAnalysisError(
            f"{label}: a variance is 0 (the model fits the effects perfectly); give "
            "more studies, or fewer coefficients"
        )
    value = float(quadratic_form((L @ beta)[None], variance[None])[0])
    if df2 is None:
        return ModelTest(value, q, None, float(chi2_sf(value, q)), "chi2", label)
    return ModelTest(value / q, q, df2, float(f_sf(value / q, q, df2)), "F", label)


def coefficient_table(estimate: Array, se: Array, df: Array, level: float) -> dict[str, Array]:
    """Columns of a table of coefficients; `df` is inf where the normal distribution is meant."""
    if not (se > 0).all():
        raise MetaAnalysisError("a standard error is 0 (the model fits the effects perfectly)")
    statistic = estimate / se
    normal = np.isinf(df)
    safe = np.where(normal, 1.0, df)
    upper = 0.5 + 0.5 * level
    quantile = np.where(normal, norm_ppf(upper), t_ppf(upper, safe))
    size = np.abs(statistic)
    p = 2.0 * np.where(normal, norm_sf(size), t_sf(size, safe))
    return {
        "estimate": estimate,
        "se": se,
        "statistic": statistic,
        "df": df,
        "p": p,
        "ci_lower": estimate - quantile * se,
        "ci_upper": estimate + quantile * se,
    }


def generalised_vif(cov: Array, inside: tuple[int, ...], among: tuple[int, ...]) -> float:
    """Generalised variance inflation factor of the columns `inside` among `among`.

    det(R11) det(R22) / det(R) with R the correlation matrix of the estimates
    (Fox and Monette 1992, doi:10.1080/01621459.1992.10475190).
    """
    rest = tuple(i for i in among if i not in inside)
    if not rest:
        return 1.0
    scale = np.sqrt(np.diagonal(cov))
    r = cov / np.outer(scale, scale)

    def log_det(index: tuple[int, ...]) -> float:
        return float(np.linalg.slogdet(r[np.ix_(index, index)])[1])

    return float(np.exp(log_det(inside) + log_det(rest) - log_det(tuple(among))))
