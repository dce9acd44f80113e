"""The small frozen parts of a pooled result."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Caution", "EffectTest", "Heterogeneity", "Options"]


@dataclass(frozen=True, slots=True)
class Caution:
    """Something a reader should know before using a result.

    Attributes
    ----------
    code : str
        Short stable name, e.g. "few-studies".
    message : str
        One sentence.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """How much the studies differ beyond chance.

    Attributes
    ----------
    Q, df, p : float
        Cochran's Q, its degrees of freedom and p-value. For likelihood models the Wald test of
        the saturated model, in which studies with a zero or full cell carry no weight.
    I2 : float
        Percentage of the total variance that is between studies.
    H2 : float
        Total variance over typical sampling variance.
    typical_variance : float
        The sampling variance behind I2 and H2, (k - p)/tr(P) with inverse-variance weights
        (Higgins and Thompson 2002, doi:10.1002/sim.1186).
    Q_lrt, p_lrt : float or None
        Likelihood-ratio test against the saturated model, likelihood models only.
    tau2_lrt, tau2_p : float or None
        Likelihood-ratio test of tau2 = 0, GLMM only; the p-value refers to half a point mass
        at 0 and half a chi-squared distribution with 1 df.

    Notes
    -----
    Random effects: I2 = 100 tau2/(tau2 + typical variance), H2 = 1 + tau2/typical variance,
    also for the GLMM (typical variance of the same measure with its zero-cell rule).
    Common effect: I2 = max(0, 100 (Q - df)/Q) and H2 = Q/df.
    """

    Q: float
    df: int
    p: float
    I2: float
    H2: float
    typical_variance: float
    Q_lrt: float | None = None
    p_lrt: float | None = None
    tau2_lrt: float | None = None
    tau2_p: float | None = None


@dataclass(frozen=True, slots=True)
class EffectTest:
    """Test of one value of the pooled effect.

    Attributes
    ----------
    statistic : float
        (mu - null)/se.
    df : int or None
        Degrees of freedom of the t distribution; None for the normal one.
    p : float
        Two-sided p-value.
    """

    statistic: float
    df: int | None
    p: float


@dataclass(frozen=True, slots=True)
class Options:
    """Every choice behind a result, so that it can be made again on other studies."""

    measure: str = "logit"
    model: str = "random"
    method: str = "inverse-variance"
    tau2_method: str | None = "REML"
    ci_method: str = "knapp-hartung"
    level: float = 0.95
    add: float = 0.5
    to: str | None = None
    quad_points: int = 7
    study_ci: str = "wilson"
    back_transform: str = "harmonic-mean"
