"""The simulation study: scenarios, draws, workers, and the performance of every method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import printing, ties
from ...arguments import LEVEL, level_of, whole_number
from ...door import pd
from ...engine.json_values import picked, plain
from ...engine.literature import Methods, references
from ...engine.options import QUAD_POINTS, TAU2_METHODS
from ...engine.shown import Row, Shown, listed
from ...errors import MetaAnalysisError, UnsupportedError
from .performance import CELL, study_scenario
from .truth import Scenario


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


def coverage(
    scenarios: Iterable[Scenario],
    *,
    draws: int = 1000,
    seed: int = 1,
    level: float = LEVEL,
    tau2_methods: Iterable[str] = ("DL", "PM", "ML", "REML"),
    quad_points: int = QUAD_POINTS,
    glmm: bool = True,
    generalised_q: bool = False,
    bootstrap: int = 0,
    workers: int = 1,
) -> SimulationResult:
    """Measure every method in every scenario.

    Parameters
    ----------
    scenarios : iterable of Scenario
    draws : int
        Simulated meta-analyses per scenario.
    seed : int
        Each scenario's data depend on the seed and the scenario alone.
    level : float
        Nominal level; tests reject at 1 - level.
    tau2_methods : iterable of str
        Estimators of the inverse-variance models; zero and full cells get 0.5.
    quad_points : int
        Of the GLMM.
    glmm : bool
        Whether to fit the GLMM.
    generalised_q : bool
        Whether to invert the generalised Q (slow).
    bootstrap : int
        Replicates for which the bootstrap prediction interval is made (slow; 0: none).
    workers : int
        Processes.

    Notes
    -----
    Replicates in which a method has no result (the GLMM without any event) are left out for this
    method and counted as failed. The coverage of a prediction interval is the exact probability
    of a new study's logit between its limits, averaged over draws. Standard errors of the
    performance measures: Morris et al. 2019, table 6 (doi:10.1002/sim.8086).

    Examples
    --------
    >>> result = coverage([Scenario(k=5, proportion=0.2, tau=0.3)], draws=50, glmm=False)
    >>> sorted(set(result.frame()["performance"]))
    ['bias', 'coverage', 'empirical se', 'empty', 'median width', 'rejection', 'rmse']
    """
    names = tuple(tau2_methods)
    unknown = [name for name in names if name not in TAU2_METHODS]
    if unknown:
        raise UnsupportedError(
            f"tau2_methods: unknown {', '.join(unknown)}; expected some of "
            f"{', '.join(TAU2_METHODS)}"
        )
    level = level_of(level)
    quad_points = whole_number("quad_points", quad_points, 1, 100)
    draws, seed = whole_number("draws", draws, 2), whole_number("seed", seed, 0)
    truths = list(scenarios)
    if not truths:
        raise MetaAnalysisError("there is no scenario")
    work = partial(
        study_scenario,
        draws=draws,
        seed=seed,
        level=level,
        tau2_methods=names,
        quad_points=quad_points,
        glmm=glmm,
        generalised_q=generalised_q,
        bootstrap=bootstrap,
    )
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            parts = list(pool.map(work, truths))
    else:
        parts = [work(truth) for truth in truths]
    rows = [row for part in parts for row in part]
    columns = {
        name: np.array([row[name] for row in rows], dtype=object if isinstance(one, str) else None)
        for name, one in rows[0].items()
    }
    return _result(draws, seed, level, columns)


def _result(draws: int, seed: int, level: float, columns: dict[str, Any]) -> SimulationResult:
    for column in columns.values():
        column.flags.writeable = False
    return SimulationResult(draws, seed, level, MappingProxyType(columns))


def combine(parts: Iterable[SimulationResult]) -> SimulationResult:
    """Put results with the same draws, seed and level together.

    Raises
    ------
    MetaAnalysisError
        They differ.

    Examples
    --------
    >>> one = coverage([Scenario(k=3, proportion=0.2, tau=0.3)], draws=20, glmm=False)
    >>> two = coverage([Scenario(k=4, proportion=0.2, tau=0.3)], draws=20, glmm=False)
    >>> len(combine([one, two]).frame()) == len(one.frame()) + len(two.frame())
    True
    """
    found = list(parts)
    if not found or len({(p.draws, p.seed, p.level) for p in found}) != 1:
        raise MetaAnalysisError("combine: expected results with the same draws, seed and level")
    columns = {
        name: np.concatenate([part.columns[name] for part in found]) for name in found[0].columns
    }
    first = found[0]
    return _result(first.draws, first.seed, first.level, columns)
