"""From studies to the result of a regression test."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import printing
from ...arguments import Array, one_of
from ...engine.literature import references
from ...engine.normal.intervals import symmetric_interval
from ...engine.summaries import Caution
from ...errors import MetaAnalysisError, UnsupportedError
from .data import FunnelData
from .lines import PREDICTORS, Lines, egger_batch, predictor_values
from .results import BiasTest, regression_cautions

_MODELS = ("multiplicative", "random")


def line_test(
    data: FunnelData,
    name: str,
    keys: list[str],
    predictor: str,
    model: str,
    ci_method: str,
    weights: Array | None = None,
    weight_words: str = "inverse-variance weights",
) -> BiasTest:
    """Fit one line and word its result.

    `keys` are those of its sources, `weights` (called `weight_words` in the sentence) replace 1/vi
    in the multiplicative model, and the other words mean what they mean in `helpers.bias.egger`.
    """
    one_of("model", model, _MODELS)
    if model == "multiplicative" and ci_method != "t":
        raise UnsupportedError(
            f"ci_method={ci_method!r}: the multiplicative model estimates its residual variance, "
            "which calls for t"
        )
    x = predictor_values(predictor, data.vi, data.n)
    line = egger_batch(
        data.yi,
        data.vi,
        x,
        weights=weights,
        model=model,
        tau2_method=data.tau2_method,
        ci_method=ci_method,
    )
    _require(line, x, weights, predictor)
    one = {f: float(getattr(line, f)[0]) for f in ("intercept", "slope", "slope_se", "df")}
    random = model == "random"
    df = None if ci_method == "wald" else one["df"]
    intercept_se = float(line.intercept_se[0])
    cautions = regression_cautions(data, predictor)
    if weights is not None and bool((weights == 0).any()):
        left_out = int((weights == 0).sum())
        cautions += (
            Caution(
                "zero-weight",
                f"{printing.some_of(left_out, data.k)} no events, or only events, and thereby "
                "weight 0 in this test.",
            ),
        )
    if not bool(line.converged[0]):
        cautions += (Caution("not-converged", "The between-study variance did not converge."),)
    k = int(one["df"]) + 2
    if random:
        how = f"an additive between-study variance ({data.tau2_method})"
        keys = [*keys, "knapp2003"] if ci_method == "knapp-hartung" else keys
    else:
        how = f"{weight_words} and multiplicative dispersion"
    reference = "the normal distribution"
    if df is not None:
        reference = f"t with {df:.0f} degree{'' if df == 1 else 's'} of freedom"
    rescaled = " with Knapp-Hartung standard errors" if ci_method == "knapp-hartung" else ""
    what = "effects" if data.measure.kind == "effect" else f"{data.measure.label}s"
    limit: dict[str, Any] = {}
    if predictor not in ("ni", "sqrtni"):  # the others are zero in an infinite study
        ci = symmetric_interval(one["intercept"], intercept_se, data.level, df)
        limit = {"limit": one["intercept"], "limit_ci": ci}
    return BiasTest(
        name=name,
        predictor=predictor,
        model=model,
        measure=data.measure.name,
        bias=one["slope"],
        se=one["slope_se"],
        statistic=float(line.statistic[0]),
        statistic_name="z" if df is None else "t",
        df=df,
        p=float(line.p[0]),
        dispersion=None if random else float(line.dispersion[0]),
        tau2=float(line.tau2[0]) if random else None,
        intercept=one["intercept"],
        intercept_se=intercept_se,
        **limit,
        k=k,
        level=data.level,
        converged=bool(line.converged[0]),
        sentence=(
            f"Small-study effects were tested in {printing.studies(k)} by regression of "
            f"the {what} on the {PREDICTORS[predictor]} with {how}{rescaled}, the slope "
            f"compared with {reference}."
        ),
        references=references(*keys),
        cautions=cautions,
    )


def _require(line: Lines, x: Array, weights: Array | None, predictor: str) -> None:
    """Say why a test is not defined."""
    if bool(line.defined[0]):
        return
    used = x if weights is None else x[weights > 0]
    if used.size < 3:
        raise MetaAnalysisError(
            f"{used.size} studies with positive weight: a line needs at least 3 to be tested"
        )
    if np.ptp(used) <= 1e-13 * np.abs(used).max():
        raise MetaAnalysisError(
            f"all studies have the same {PREDICTORS[predictor]}: no line can be fitted"
        )
    raise MetaAnalysisError(
        "the effects lie exactly on a line: there is no residual variance to test against"
    )
