"""Intervals of tau, I2 and H2 from the interval of tau2.

I2 and H2 rise with tau2 at a fixed typical sampling variance, so that the limits of tau2 give
theirs (Viechtbauer 2007, doi:10.1002/sim.2514; Higgins and Thompson 2002, doi:10.1002/sim.1186).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import printing
from ..door import pd
from ..engine.normal.intervals import Interval
from ..engine.shown import Row, Shown, limits_text
from ..engine.summaries import i2_and_h2
from ..errors import UnsupportedError

if TYPE_CHECKING:
    from .regression_result import RegressionResult
    from .result import PoolResult

NONE = Interval(float("nan"), float("nan"))


@dataclass(frozen=True, slots=True, repr=False)
class HeterogeneityIntervals(Shown):
    """Intervals of tau2, tau, I2 (percent) and H2; NaN where the set of tau2 is empty."""

    tau2: Interval
    tau: Interval
    I2: Interval
    H2: Interval
    level: float

    def _headline(self) -> str:
        return f"{printing.level_text(self.level)} intervals"

    def _said(self) -> Iterator[Row]:
        for name, symbol in (("tau2", "τ²"), ("tau", "τ"), ("H2", "H²")):
            yield symbol, limits_text(getattr(self, name))
        yield "I²", limits_text([limit / 100 for limit in self.I2], "percent")

    def frame(self) -> pd.DataFrame:
        """Table with index "measure" and columns `ci_lower`, `ci_upper`."""
        rows = {name: getattr(self, name) for name in ("tau2", "tau", "I2", "H2")}
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["ci_lower", "ci_upper"])
        return table.rename_axis("measure")


def heterogeneity_intervals(
    fit: PoolResult | RegressionResult, method: str | None = None, level: float | None = None
) -> HeterogeneityIntervals:
    """Intervals of tau2, tau, I2 and H2 (`method` and `level` as in the `tau2_ci` of the fit).

    >>> from helpers import pool_effects
    >>> fit = pool_effects([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    >>> found = heterogeneity_intervals(fit)
    >>> [round(x, 1) for x in found.I2], round(fit.heterogeneity.I2, 1)
    ([63.1, 99.7], 90.0)
    """
    tau2 = fit.tau2_ci(method, level)
    limits, vt = np.array(tau2), fit.heterogeneity.typical_variance
    far = np.isinf(limits)
    share, ratio = i2_and_h2(np.where(far, 0.0, limits), np.full(2, vt))
    shown = (np.sqrt(limits), np.where(far, 100.0, share), np.where(far, np.inf, ratio))
    tau, i2, h2 = (Interval(float(low), float(high)) for low, high in shown)
    return HeterogeneityIntervals(tau2, tau, i2, h2, fit.level if level is None else level)


def i2_limits(fit: PoolResult | RegressionResult) -> Interval:
    """Interval of I2 by the default method, for tables: NaN where the fit has none."""
    try:
        return heterogeneity_intervals(fit).I2
    except UnsupportedError:
        return NONE
