"""Reference values from R, the tolerances that each quantity must meet, and a counter.

Values: ``reference_r.json``, ``influence_r.json`` and ``gosh_r.json`` (see the README beside them).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import xlogy

from helpers import meta_regression
from helpers.models.regression_result import RegressionResult

PATH = Path(__file__).with_name("reference_r.json")

#: Relative tolerance by kind of agreement, with the reason.
TOLERANCE: dict[str, float] = {
    # formulas without iteration: rounding only
    "closed": 1e-10,
    # maxima and roots that R found with tightened control (13-14 digits)
    "tight": 1e-8,
    # R's default stopping rules: tau2 changes by less than 1e-5, uniroot stops at 1.2e-4
    "default": 1e-6,
    # the same quadrature likelihood, maximised in R with 30 digits
    "glmm": 1e-8,
    # R's Hessian at tau = 0 by Richardson extrapolation (the closed form is checked beside it)
    "boundary": 1e-6,
    # lme4 stops about 1e-6 (mu) and 2e-5 (tau2) from the maximum
    "lme4": 1e-4,
    # metafor's root of the generalised Q statistic: uniroot with an absolute tolerance of 1.2e-4
    "uniroot": 2e-4,
    # metafor's rma.mv by optim (BFGS), which stops within 3e-7 of the maximum in tau2
    "rma.mv": 1e-5,
    # R's glm takes the standard error from its last but one iteration (`glm_as_r_stops`)
    "glm": 1e-4,
}
#: Smaller values are compared absolutely (R's tau2 at the boundary is 1e-14, not 0).
FLOOR = 1e-4
#: The same for quantities in percent, and for p-values, which are small by nature.
PERCENT_FLOOR = 1.0
P_FLOOR = 1e-250
P_NAMES = ("p", "pval", "QE.p", "QM.p", "QE.Wald.p", "QE.LRT.p")


@cache
def load(name: str = PATH.name) -> dict[str, Any]:
    """All reference values of a file; "Inf" becomes a number, null stays None."""

    def numbers(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: numbers(v) for key, v in value.items()}
        if isinstance(value, list):
            return [numbers(v) for v in value]
        return {"Inf": np.inf, "-Inf": -np.inf}.get(value, value) if value.__hash__ else value

    with PATH.with_name(name).open(encoding="utf-8") as file:
        return numbers(json.load(file))


#: Columns of `study_table`, as the calls of this project name them.
COLUMNS = {"events": "deaths", "n": "Patient_number", "study": "Study_Name"}
#: R's name of a deletion diagnostic -> our column.
DIAGNOSTICS = {
    "rstudent": "rstudent",
    "dffits": "dffits",
    "cook.d": "cook_d",
    "cov.r": "cov_ratio",
    "tau2.del": "tau2_deleted",
    "QE.del": "Q_deleted",
    "hat": "leverage",
    "weight": "weight",
    "flagged": "flagged",
}


@cache
def study_table() -> pd.DataFrame:
    """The 52 cohorts as R had them, with R's names of columns. Not to be changed."""
    data = {name: column for name, column in load()["data"].items() if len(column) == 52}
    return pd.DataFrame(data).astype({"FU": float})


def by_inverse_variance(data: pd.DataFrame, formula: str, **options: Any) -> RegressionResult:
    """Fit what R's defaults are: mixed effects by REML and the normal distribution."""
    return meta_regression(data, formula, **{"model": "random", "ci_method": "wald", **options})


def counts() -> tuple[np.ndarray, np.ndarray]:
    """Events and patients of the 52 cohorts, in file order."""
    data = load()["data"]
    return np.array(data["deaths"], dtype=float), np.array(data["Patient_number"], dtype=float)


def glm_as_r_stops(events: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    """Intercept of a binomial GLM and its standard error, stopped and reported as R does.

    Iteratively reweighted least squares from (x + 1/2)/(n + 1) until the deviance changes by
    less than 1e-8 relative; the standard error belongs to the weights before the last step.
    """
    mu, old = (events + 0.5) / (n + 1.0), np.inf
    for _ in range(25):
        w = n * mu * (1.0 - mu)
        z = np.log(mu / (1.0 - mu)) + (events - n * mu) / w
        coef, se = float((w * z).sum() / w.sum()), float(w.sum() ** -0.5)
        mu = np.full(n.shape, 1.0 / (1.0 + np.exp(-coef)))
        deviance = 2.0 * float((xlogy(events, events / n / mu)).sum())
        deviance += 2.0 * float((xlogy(n - events, (1.0 - events / n) / (1.0 - mu))).sum())
        if abs(deviance - old) / (abs(deviance) + 0.1) < 1e-8:
            break
        old = deviance
    return coef, se


@dataclass
class Agreement:
    """Compares values one by one, and remembers how many and how far apart."""

    compared: int = 0
    worst: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def close(self, ours: Any, theirs: Any, kind: str, what: str) -> None:
        """Compare numbers or equally long lists of numbers; null in R is skipped."""
        if theirs is None:
            return
        a, b = np.atleast_1d(np.asarray(ours, float)), np.atleast_1d(np.asarray(theirs, float))
        assert a.shape == b.shape, f"{what}: {a.shape} against {b.shape}"
        same = a == b
        safe_a, safe_b = np.where(same, 0.0, a), np.where(same, 0.0, b)
        name = what.split("/")[-1]
        floor = PERCENT_FLOOR if name == "I2" else P_FLOOR if name in P_NAMES else FLOOR
        difference = np.abs(safe_a - safe_b) / np.maximum(np.abs(safe_b), floor)
        self.compared += a.size
        top = float(difference.max()) if np.isfinite(difference).all() else np.inf
        quantity = f"{kind}: {name}"
        self.worst[quantity] = max(self.worst.get(quantity, 0.0), top)
        if not top <= TOLERANCE[kind]:
            self.failures.append(f"{what}: {a} against {b}, {top:.2e} > {TOLERANCE[kind]:.0e}")

    def finish(self, expected: int) -> None:
        """Fail on any difference, or if the number of compared values is not `expected`."""
        assert not self.failures, "\n".join(self.failures[:20])
        assert self.compared == expected, f"{self.compared} values compared, expected {expected}"
