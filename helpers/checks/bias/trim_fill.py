"""Trim-and-fill (Duval and Tweedie 2000)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd

from ... import printing
from ...arguments import Array, one_of
from ...engine.keywords import ScaledStudyKeywords, refuse_unknown
from ...engine.literature import references
from ...engine.normal.intervals import Interval, symmetric_interval
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.shown import Row, number
from ...engine.summaries import Caution
from ...errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from .data import FunnelData, funnel_data, require_unequal_errors
from .lines import egger_batch
from .results import Displayed, few_studies

_ESTIMATORS = ("L0", "R0", "Q0")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrimAndFill(Displayed):
    """Result of trim-and-fill: how many studies the funnel lacks, and the estimate with them."""

    estimator: str  # {"L0", "R0", "Q0"}: Estimator of the number of missing studies
    side: str  # {"left", "right"}: Where they are missing
    side_chosen: bool  # Whether the side was chosen from the data
    k0: int  # Estimated number of missing studies
    k0_raw: float  # The estimator before truncation at 0 and rounding
    k0_se: float  # Standard error of `k0_raw`
    k0_p: float | None  # p-value of "none is missing on this side" (R0 only)
    iterations: int  # Rounds until the number of trimmed studies stood still
    model: str  # {"common", "random"}: Model of all steps
    tau2_method: str | None  # Estimator of the random-effects model
    #: Beside `mu`, from observed and filled studies (model scale)
    se: float
    tau2: float
    #: Estimate from the observed studies
    mu_observed: float
    se_observed: float
    tau2_observed: float
    mu_ci_observed: Interval  # Wald interval at `level` (model scale)
    labels: tuple[str, ...]  # Observed studies, then the mirror images ("Filled: ...")
    #: Their effects and variances
    yi: tuple[float, ...]
    vi: tuple[float, ...]
    filled: tuple[bool, ...]  # Which of them are filled in

    no_size = "filled studies have no sample size, which the inverse needs"

    def _adjusted(self) -> Iterator[Row]:
        yield "filled in", f"{self.k0} on the {self.side}, by {self.estimator}"
        yield "without these", f"μ = {number(self.mu_observed)}; here {number(self.mu)}"
        yield "τ²", number(self.tau2)

    @property
    def studies(self) -> pd.DataFrame:
        """Observed and filled studies: yi, vi, filled (index: study)."""
        return pd.DataFrame(
            {"yi": self.yi, "vi": self.vi, "filled": self.filled},
            index=pd.Index(self.labels, name="study"),
        )

    def summary_frame(self) -> pd.DataFrame:
        """Two rows, observed and filled: k, mu, se, ci_lower, ci_upper, tau2 (model scale)."""
        rows = [
            (self.k, self.mu_observed, self.se_observed, *self.mu_ci_observed, self.tau2_observed),
            (self.k + self.k0, self.mu, self.se, *self.mu_ci, self.tau2),
        ]
        return pd.DataFrame(
            rows,
            columns=["k", "mu", "se", "ci_lower", "ci_upper", "tau2"],
            index=pd.Index(["observed", "filled"], name="studies"),
        )


def trim_and_fill(
    effects: Any = None,
    vi: Any = None,
    *,
    estimator: str = "L0",
    side: str = "auto",
    model: str | None = None,
    tau2_method: str | None = None,
    max_iter: int = 100,
    level: float | None = None,
    **studies: Unpack[ScaledStudyKeywords],
) -> TrimAndFill:
    r"""Estimate how many studies are missing on one side of a funnel plot, and fill them in.

    The k0 most extreme effects opposite to `side` are trimmed, the rest is pooled, all effects
    are ranked by their distance from that estimate, and k0 is estimated again until it no
    longer changes. Then the trimmed studies get mirror images. With signed ranks of k studies, T
    the sum of ranks above the centre and g the largest rank below it (missing on the left):

    .. math::

       R_0 = k - g - 1, \quad L_0 = \frac{4T - k(k+1)}{2k-1}, \quad
       Q_0 = k - \tfrac12 - \sqrt{2k^2 - 4T + \tfrac14}

    Parameters
    ----------
    effects, vi, tau2_method, level, **studies
        As in `helpers.bias.egger`.
    estimator : {"L0", "R0", "Q0"}
        Its authors recommend L0 and R0.
    side : {"auto", "left", "right"}
        Side on which studies are missing. "auto": opposite to where the slope of the
        regression of effects on standard errors (same model) points.
    model : {"common", "random"}, optional
        Model of every step. Default: that of the fit (random for a GLMM, with a caution), else
        "random".
    max_iter : int
        Most rounds.

    Raises
    ------
    MetaAnalysisError
        Fewer than three studies, a side that the data cannot choose, or ranks for which Q0 is
        not defined.
    ConvergenceError
        The number of trimmed studies does not settle.
    UnsupportedError
        Unknown options.

    Notes
    -----
    The standard error of k0 uses the estimator before truncation and rounding. Ties in
    distance are ranked in order of the effects.

    References
    ----------
    Duval S, Tweedie R (2000), doi:10.1111/j.0006-341X.2000.00455.x and
    doi:10.1080/01621459.2000.10473905.

    Examples
    --------
    >>> yi = [0.10, 0.15, 0.12, 0.30, 0.45, 0.60, 0.75, 0.90]
    >>> vi = [0.01, 0.01, 0.02, 0.04, 0.06, 0.09, 0.12, 0.16]
    >>> result = trim_and_fill(yi, vi, model="common")
    >>> result.side, result.k0, result.mu < result.mu_observed
    ('left', 3, True)
    """
    one_of("estimator", estimator, _ESTIMATORS)
    one_of("side", side, ("auto", "left", "right"))
    refuse_unknown("trim_and_fill", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, tau2_method=tau2_method, level=level, **studies)
    chosen, cautions = _model(data, model)
    method = "common" if chosen == "common" else data.tau2_method
    picked = _side(data, chosen) if side == "auto" else side
    sign = -1.0 if picked == "right" else 1.0
    order = np.argsort(sign * data.yi, kind="stable")
    y, v = sign * data.yi[order], data.vi[order]
    k0, raw, se, center, rounds = _iterate(y, v, estimator, method, max_iter)
    mirrored = np.arange(data.k - k0, data.k)
    mirror_y = sign * (2.0 * center - y[mirrored])
    all_y = np.concatenate([data.yi, mirror_y])
    all_v = np.concatenate([data.vi, v[mirrored]])
    before = _pooled(data.yi, data.vi, method, data.level)
    after = _pooled(all_y, all_v, method, data.level) if k0 else before
    names = tuple(f"Filled: {data.labels[order[i]]}" for i in mirrored)
    words = "common-effect" if chosen == "common" else f"random-effects ({method})"
    return TrimAndFill(
        estimator=estimator,
        side=picked,
        side_chosen=side == "auto",
        k0=k0,
        k0_raw=raw,
        k0_se=se,
        k0_p=0.5 ** (k0 + 1) if estimator == "R0" else None,
        k=data.k,
        iterations=rounds,
        model=chosen,
        tau2_method=None if chosen == "common" else method,
        measure=data.measure.name,
        **after,
        **{f"{name}_observed": value for name, value in before.items()},
        level=data.level,
        labels=data.labels + names,
        yi=tuple(float(a) for a in all_y),
        vi=tuple(float(a) for a in all_v),
        filled=(False,) * data.k + (True,) * k0,
        sentence=(
            f"Trim-and-fill with the {estimator} estimator and the {words} model looked for "
            f"studies missing on the {picked} of the funnel plot "
            f"of {printing.studies(data.k)}."
        ),
        references=references("duval2000a", "duval2000b", "peters2007", "terrin2003"),
        cautions=cautions + _cautions(data, before["tau2"]),
    )


def _pooled(yi: Array, vi: Array, method: str, level: float) -> dict[str, Any]:
    fit = fit_inverse_variance(yi, vi, method=method)
    mu, se, tau2 = float(fit.mu[0]), float(fit.se[0]), float(fit.tau2.tau2[0])
    return {"mu": mu, "se": se, "tau2": tau2, "mu_ci": symmetric_interval(mu, se, level)}


def _model(data: FunnelData, model: str | None) -> tuple[str, tuple[Caution, ...]]:
    if model not in (None, "common", "random"):
        raise UnsupportedError(f"model={model!r}: expected common or random")
    if model is None and data.model == "glmm":
        return "random", (
            Caution(
                "inverse-variance",
                "Filled studies have no counts, so that the random-effects model for effects and "
                "variances replaces the GLMM.",
            ),
        )
    return model or data.model or "random", ()


def _cautions(data: FunnelData, tau2: float) -> tuple[Caution, ...]:
    found = few_studies(data.k)
    if tau2 > 0:
        found += (
            Caution(
                "heterogeneity",
                "With between-study heterogeneity trim-and-fill adds studies that were never "
                "missing, and misses others: read it as a sensitivity analysis, not as a "
                "corrected estimate.",
            ),
        )
    return found


def _side(data: FunnelData, model: str) -> str:
    kind = "multiplicative" if model == "common" else "random"
    line = egger_batch(data.yi, data.vi, model=kind, tau2_method=data.tau2_method, ci_method="t")
    # The slope itself is enough: it exists wherever the standard errors differ.
    choose = ", so that the data cannot choose a side: give side='left' or side='right'"
    require_unequal_errors(data.vi, choose)
    return "right" if float(line.slope[0]) < 0 else "left"


def _iterate(
    y: Array, v: Array, estimator: str, method: str, max_iter: int
) -> tuple[int, float, float, float, int]:
    """Trim until k0 no longer changes: k0, raw k0, its standard error, centre, rounds."""
    k = y.size
    k0 = 0
    for rounds in range(1, max_iter + 1):
        kept = k - k0
        center = float(fit_inverse_variance(y[:kept], v[:kept], method=method).mu[0])
        off = y - center
        rank = np.empty(k)
        rank[np.argsort(np.abs(off), kind="stable")] = np.arange(1, k + 1)
        raw, se = _missing(off, rank, estimator)
        new = min(max(0, round(raw)), k - 1)
        if new == k0:
            return k0, raw, se, center, rounds
        k0 = new
    raise ConvergenceError(f"trim-and-fill did not settle in {max_iter} rounds")


def _missing(off: Array, rank: Array, estimator: str) -> tuple[float, float]:
    """Estimated number of studies missing on the left, and its standard error."""
    k = float(off.size)
    if estimator == "R0":
        below = rank[off < 0]
        raw = k - (float(below.max()) if below.size else 0.0) - 1.0
        # Identical effects have no rightmost run: nothing is missing.
        raw = raw if (off > 0).any() else 0.0
        return raw, float(np.sqrt(2.0 * max(0.0, raw) + 2.0))
    # Identical effects lie half above their centre: nothing is missing.
    above = float(rank[off > 0].sum()) + (0.0 if (off != 0).any() else k * (k + 1.0) / 4.0)
    if estimator == "L0":
        raw = (4.0 * above - k * (k + 1.0)) / (2.0 * k - 1.0)
    else:
        room = 2.0 * k**2 - 4.0 * above + 0.25
        if room < 0:
            raise MetaAnalysisError(
                "the Q0 estimator is not defined for these ranks (almost all effects lie on one "
                "side of the centre); use L0 or R0"
            )
        raw = k - 0.5 - float(np.sqrt(room))
    variance = (
        k * (k + 1.0) * (2.0 * k + 1.0)
        + 10.0 * raw**3
        + 27.0 * raw**2
        + 17.0 * raw
        - 18.0 * k * raw**2
        - 18.0 * k * raw
        + 6.0 * k**2 * raw
    ) / 24.0
    root = float(np.sqrt(max(variance, 0.0)))
    if estimator == "L0":
        return raw, 4.0 * root / (2.0 * k - 1.0)
    slope = (k - 0.5) ** 2 - raw * (2.0 * k - raw - 1.0)
    return raw, 2.0 * root / float(np.sqrt(slope)) if slope > 0 else float("inf")
