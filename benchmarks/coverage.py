"""Run the whole simulation study and write its results.

    .venv/bin/python benchmarks/coverage.py [--draws 2000] [--seed 20240611] [--workers 2]

writes into benchmarks/results/

* coverage.csv       one row per scenario, method and performance measure
* coverage.json      seed, draws, versions, scenarios
* coverage.md        the tables that the choice of defaults rests on

The same seed gives the same numbers whatever the number of processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from itertools import product
from pathlib import Path

import numpy as np
import scipy

from helpers import load_cohorts
from helpers.checks.simulation import Scenario, SimulationResult, combine, coverage

RESULTS = Path(__file__).resolve().parent / "results"
SMALL = (10, 15, 20, 25, 30, 40)
TAUS = (0.0, 0.5, 1.0)


def scenario_groups() -> list[tuple[list[Scenario], dict[str, object]]]:
    """Scenarios, with the slow options where they are affordable."""
    cohorts = tuple(int(n) for n in load_cohorts()["patients"])
    sizes = {"cohorts": cohorts, "small": SMALL}
    binomial = [
        Scenario(k, p, tau, sizes[label], "binomial-normal", label)
        for label, k, p, tau in product(sizes, (5, 10, 20, 50), (0.02, 0.07, 0.2), TAUS)
    ]
    beta = [
        Scenario(k, p, tau, cohorts, "beta-binomial", "cohorts")
        for k, p, tau in product((5, 10, 20, 50), (0.02, 0.07, 0.2), (0.5, 1.0))
    ]
    normal = [
        Scenario(k, 0.07, tau, cohorts, "normal-normal", "cohorts")
        for k, tau in product((5, 10, 20, 50), TAUS)
    ]
    dear = {"generalised_q": True, "bootstrap": 200}
    return [
        ([s for s in binomial + beta if not _dear(s)], {}),
        ([s for s in binomial if _dear(s)], dear),
        ([s for s in normal if s.k <= 20], dear),
        ([s for s in normal if s.k > 20], {}),
    ]


def _dear(scenario: Scenario) -> bool:
    """Scenarios in which the slow methods run, too."""
    return (
        scenario.family == "binomial-normal"
        and scenario.proportion == 0.07
        and scenario.k in (5, 20)
        and scenario.label == "cohorts"
    )


def markdown(result: SimulationResult) -> str:
    """Tables of coverage, the worst scenario first in mind."""
    lines = [
        "# Coverage in simulation",
        "",
        f"{result.methods()} Nominal level {result.level:.0%}. `lowest` is the coverage in the "
        "worst scenario, `cells_below` the share of scenarios more than 2.5 points below nominal.",
    ]
    parts = {
        "binomial-normal truth": "family == 'binomial-normal'",
        "binomial-normal truth, at least 10 studies": "family == 'binomial-normal' and k >= 10",
        "binomial-normal truth, cohort sizes, proportion 0.07": (
            "family == 'binomial-normal' and sizes == 'cohorts' and proportion == 0.07"
        ),
        "beta-binomial truth": "family == 'beta-binomial'",
        "normal-normal truth": "family == 'normal-normal'",
    }
    for quantity, (title, query) in product(
        ("mu interval", "prediction interval", "tau2 interval"), parts.items()
    ):
        table = result.summary_frame(quantity, query).reset_index()
        lines += ["", f"## {quantity}: {title}", "", _table(table)]
    lines += ["", "## Bias and error of estimators (binomial-normal truth)", ""]
    frame = result.frame()
    points = frame[
        frame["quantity"].isin(["mu", "tau2"])
        & (frame["family"] == "binomial-normal")
        & frame["performance"].isin(["bias", "rmse"])
    ]
    spread = points.groupby(["quantity", "estimator", "performance"])["value"].agg(
        ["mean", "min", "max"]
    )
    lines.append(_table(spread.reset_index()))
    lines += ["", "## Error rates of the tests of homogeneity (tau = 0, level 5%)", ""]
    tests = frame[(frame["performance"] == "rejection") & (frame["tau"] == 0.0)]
    rates = tests.groupby(["family", "estimator", "method"])["value"].agg(["mean", "min", "max"])
    lines.append(_table(rates.reset_index()))
    lines += ["", "## Replicates without a result", ""]
    lost = frame[(frame["failed"] > 0) & (frame["performance"].isin(["bias", "coverage"]))]
    lost = lost.groupby(["estimator", "quantity"])["failed"].agg(["max", "sum"])
    lines.append(_table(lost.reset_index()) if len(lost) else "None.")
    return "\n".join(lines) + "\n"


def _table(frame) -> str:  # type: ignore[no-untyped-def]
    """Markdown without a further library."""
    rows = [list(map(str, frame.columns)), ["---"] * len(frame.columns)]
    rows += [
        [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row]
        for row in frame.itertuples(index=False)
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20240611)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    start = time.perf_counter()
    groups = scenario_groups()
    parts = []
    for truths, options in groups:
        ordered = sorted(truths, key=lambda s: -s.k)  # long ones first: no core waits at the end
        parts.append(
            coverage(
                ordered,
                draws=given.draws,
                seed=given.seed,
                workers=given.workers,
                **options,  # type: ignore[arg-type]
            )
        )
        print(f"{len(ordered)} scenarios, {time.perf_counter() - start:.0f} s", flush=True)
    result = combine(parts)
    RESULTS.mkdir(exist_ok=True)
    frame = result.frame()
    order = ["family", "sizes", "k", "proportion", "tau", "quantity", "estimator", "method"]
    frame = frame.sort_values([*order, "performance"], kind="stable")
    frame.to_csv(RESULTS / "coverage.csv", index=False, float_format="%.5g")
    facts = {
        "seed": given.seed,
        "draws": given.draws,
        "level": result.level,
        "scenarios": sum(len(truths) for truths, _ in groups),
        "small_sizes": list(SMALL),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }
    (RESULTS / "coverage.json").write_text(json.dumps(facts, indent=1) + "\n")
    text = markdown(result)
    (RESULTS / "coverage.md").write_text(text)
    print(text)
    print(f"{time.perf_counter() - start:.0f} s with {given.workers} processes")


if __name__ == "__main__":
    main()
