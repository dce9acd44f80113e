"""The result of a simulation study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import printing, ties
from ...door import pd
from ...engine.json_values import picked, plain
from ...engine.literature import Methods, references
from ...engine.shown import Row, Shown, listed
from ...errors import MetaAnalysisError

CELL = ("family", "sizes", "k", "proportion", "tau")


@dataclass(frozen=True, slots=True, repr=False)
class SimulationResult(Shown):
    """Performance of every method in every scenario."""

    draws: int
    seed: int
    level: float  # Nominal level of intervals; tests reject at 1 - level
    columns: Mapping[str, NDArray[Any]]  # Columns of `frame` (read-only)

    def _said(self) -> Iterator[Row]:
        yield "draws", f"{printing.count(self.draws)} a scenario, seed {self.seed}"
        yield "level", printing.level_text(self.level)
        for name, label in (("quantity", "quantities"), ("method", "methods")):
            yield label, listed(one for one in dict.fromkeys(map(str, self.columns[name])) if one)

    def frame(self) -> pd.DataFrame:
        """Tidy table, one number per row.

        `family`, `sizes`, `k`, `proportion`, `tau` name the scenario; `quantity` ("mu", "tau2",
        "mu interval", "tau2 interval", "prediction interval", "heterogeneity test"),
        `estimator`, `method` and `performance` (bias, rmse, empirical se; coverage, median
        width, empty; rejection) the number; then `value`, its Monte Carlo standard error `mcse`,
        and how many draws were `used` and `failed`.
        """
        return pd.DataFrame({name: np.array(values) for name, values in self.columns.items()})

    def summary_frame(
        self, quantity: str = "mu interval", query: str | None = None
    ) -> pd.DataFrame:
        """Rank the interval methods by their worst scenario.

        Parameters
        ----------
        quantity : str
            One of the interval quantities of `frame`.
        query : str, optional
            Restricts the scenarios, e.g. "k >= 10 and tau > 0".

        Returns
        -------
        DataFrame
            Index estimator and method; number of `cells`, `mean`, `lowest` and `highest`
            coverage, `lowest_corrected` (lowest plus two Monte Carlo standard errors: what the
            worst cell allows at best), the share of `cells_below` nominal by more than two and
            a half points, and the mean of the `median_width`.

        Raises
        ------
        MetaAnalysisError
            No such quantity.
        """
        frame = self.frame()
        frame = frame[frame["quantity"] == quantity]
        if query is not None:
            frame = frame.query(query)
        hits = frame[frame["performance"] == "coverage"]
        if hits.empty:
            raise MetaAnalysisError(f"no coverage of {quantity!r} in these scenarios")
        by = ["estimator", "method"]
        width = frame[frame["performance"] == "median width"].groupby(by)["value"].mean()
        hits = hits.assign(
            corrected=hits["value"] + 2.0 * hits["mcse"], low=hits["value"] < self.level - 0.025
        )
        table = hits.groupby(by).agg(
            cells=("value", "size"),
            mean=("value", "mean"),
            lowest=("value", "min"),
            highest=("value", "max"),
            lowest_corrected=("corrected", "min"),
            cells_below=("low", "mean"),
        )
        table["median_width"] = width
        return table.iloc[ties.order(table["lowest"], descending=True)]

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can represent; missing values are None."""
        made = {"methods": str(self.methods()), "rows": self.frame().to_dict(orient="records")}
        return plain(picked(self, "draws seed level") | made)

    def methods(self) -> Methods:
        """Say in one sentence what was done, with its source."""
        cells = self.frame().groupby(list(CELL)).ngroups
        return Methods(
            f"{self.draws:,} meta-analyses were simulated in each of "
            f"{printing.counted(cells, 'scenario')} of known truth (seed {self.seed}); Monte Carlo "
            "standard errors are reported.",
            references("morris2019"),
        )
