"""Run the study: scenarios, draws, workers."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from ...arguments import LEVEL, level_of, whole_number
from ...engine.options import QUAD_POINTS, TAU2_METHODS
from ...errors import MetaAnalysisError, UnsupportedError
from .performance import study_scenario
from .result import SimulationResult
from .truth import Scenario


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
