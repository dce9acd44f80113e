"""Time the engine, and metafor beside it where R is there.

    make bench          or          .venv/bin/python benchmarks/run.py [--quick]

prints a table of times and of ratios, writes benchmarks/results/bench.md, bench.csv and
scaling.svg, and adds a line for each time to history.csv. Without R (`Rscript` with the package
metafor; Debian: apt-get install r-cran-metafor r-cran-lme4) it says so and shows our times alone.
Times are wall-clock on whatever
machine this runs on; the ratios compare the same data in the same session.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

# One thread of linear algebra: the matrices are small, and a second one mostly waits for a core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import scipy

from helpers import load_cohorts, pool, pool_effects, posterior
from helpers.checks.multiverse.analysis import multiverse
from helpers.engine.aftercare import cumulative, gosh, leave_one_out
from helpers.engine.aftercare.resampled import bootstrap
from helpers.engine.counts.fit import fit_glmm
from helpers.engine.effects import get_measure
from helpers.engine.normal.inverse_variance import fit_inverse_variance
from helpers.engine.options import TAU2_METHODS
from helpers.models.regression import meta_regression

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


@dataclass(frozen=True)
class Job:
    """One thing to time: what is asked of us, and how long we took."""

    name: str
    ours: float
    value: float
    target: str
    note: str = ""


def best(run: Callable[[], object], times: int) -> float:
    """Shortest of several runs, after one that warms up."""
    run()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def studies() -> pd.DataFrame:
    """Cohorts of the book with logits and their variances."""
    cohorts = load_cohorts()
    yi, vi = get_measure("logit").effects(cohorts["nonrelapse_deaths"], cohorts["patients"])
    return pd.DataFrame(
        {
            "study": cohorts["cohort"],
            "yi": yi,
            "vi": vi,
            "events": cohorts["nonrelapse_deaths"],
            "n": cohorts["patients"],
            "entity": cohorts["entity"].astype(str),
            "setting": cohorts["setting"].astype(str),
            "product": cohorts["product"].astype(str),
        }
    )


def our_jobs(data: pd.DataFrame) -> list[Job]:
    """Time everything by the public calls."""
    counts = {"events": "events", "n": "n", "study": "study"}
    reml = pool_effects(data["yi"], data["vi"], ci_method="wald")
    glmm = pool(data, model="glmm", **counts)
    regression = meta_regression(data, "entity + setting", yi="yi", vi="vi", study="study")
    few = pool_effects(data["yi"][:14], data["vi"][:14], ci_method="wald")
    choices = five_thousand(data)
    grid = multiverse(data, choices, **counts)
    return [
        Job(
            "one REML fit",
            best(lambda: pool_effects(data["yi"], data["vi"], ci_method="wald"), 30),
            reml.mu,
            "40x",
        ),
        Job("one GLMM fit", best(lambda: pool(data, model="glmm", **counts), 20), glmm.mu, "30x"),
        Job(
            "leave-one-out of the GLMM",
            best(lambda: leave_one_out(glmm), 5),
            pool(data.iloc[1:], model="glmm", **counts).mu,
            "600x",
            "52 fits",
        ),
        *large_jobs(),
        Job(
            "1,000 permutations of a regression",
            best(lambda: regression.permutation_test(1000, seed=1), 5),
            float(regression.coefficients["estimate"].iloc[1]),
            "600x",
            "entity + setting, REML",
        ),
        Job(
            "GOSH, 16,383 REML subsets of 14 studies",
            best(lambda: gosh(few), 5),
            few.mu,
            "2000x",
            "ours leaves out the 14 subsets of one study",
        ),
        Job(
            "2,000 bootstrap REML fits",
            best(lambda: bootstrap(reml, draws=2000), 5),
            reml.tau2,
            "1500x",
            "parametric",
        ),
        Job(
            "multiverse",
            best(lambda: multiverse(data, choices, **counts), 3),
            float(len(grid)),
            "5 s",
            f"{int((grid.frame()['status'] == 'ok').sum()):,} analyses fitted; the rest of "
            f"{grid.combinations:,} combinations are repetitions or undefined",
        ),
        *posterior_jobs(data),
        Job(
            "import of the engine", import_time(), np.nan, "0.5 s", "a new interpreter, with numpy"
        ),
    ]


def large_jobs() -> list[Job]:
    """Time what studies do to the GLMM of 2,000 of them."""
    rng = np.random.default_rng(1)
    n = rng.integers(20, 300, 2000)
    x = rng.binomial(n, 1.0 / (1.0 + np.exp(2.6 - 0.6 * rng.standard_normal(2000))))
    fit = pool(events=x, n=n, model="glmm", ci_method="wald")
    calls = {
        "leave-one-out of the GLMM, 2,000 studies": (leave_one_out, "2 s"),
        "cumulative GLMM, 2,000 studies": (cumulative, "5 s"),
    }
    return [
        Job(name, best(lambda call=call: call(fit), 1), fit.mu, target, "2,000 fits")  # type: ignore[misc]
        for name, (call, target) in calls.items()
    ]


def posterior_jobs(data: pd.DataFrame) -> list[Job]:
    """Time posteriors: of sparse counts, of the cohorts, of many studies, of effects."""
    rng = np.random.default_rng(1)
    n = rng.integers(10, 300, 2000)
    x = rng.binomial(n, 1.0 / (1.0 + np.exp(2.7 - 0.6 * rng.standard_normal(2000))))
    calls = {
        "posterior of five sparse studies": (
            {"events": [0, 0, 1, 0, 0], "n": [20, 30, 40, 25, 15]}, 5, "0.5 s", "one event"
        ),
        "posterior of the cohorts": (
            {"events": data["events"], "n": data["n"]}, 5, "0.3 s", "binomial likelihood"
        ),
        "posterior of 2,000 studies": ({"events": x, "n": n}, 1, "5 s", "binomial likelihood"),
        "posterior of the cohorts, normal": (
            {"yi": data["yi"], "vi": data["vi"]}, 20, "10x", "beside bayesmeta"
        ),
    }  # fmt: skip
    return [
        Job(
            name,
            best(lambda given=given: posterior(**given), times),  # type: ignore[misc]
            posterior(**given).mu.median,
            target,
            note,
        )
        for name, (given, times, target, note) in calls.items()
    ]


def five_thousand(data: pd.DataFrame) -> dict[str, object]:
    """Choices that make some 5,000 defined analyses."""
    return {
        "measure": ["logit", "arcsine", "double-arcsine", "log", "raw"],
        "model": ["random", "glmm"],
        "tau2_method": list(TAU2_METHODS),
        "ci_method": ["wald", "t", "knapp-hartung", "knapp-hartung-max1", "knapp-hartung-wider"],
        "quad_points": [1, 7],
        "setting": {
            "all": None,
            "trials": (data["setting"] != "trial").to_numpy(),
            "real-world": (data["setting"] == "trial").to_numpy(),
        },
        "size": {
            "all": None,
            "above 30": (data["n"] <= 30).to_numpy(),
            "above 80": (data["n"] <= 80).to_numpy(),
        },
        "denominators": {
            "as published": None,
            "corrected": {"Bethge 2022 A": {"n": 173}, "Bethge 2022 B": {"n": 183}},
        },
    }


def import_time() -> float:
    """Median time of a new interpreter that loads the engine, less one that loads nothing."""

    def one(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    with_engine = [one("import helpers.models.pooling") for _ in range(9)]
    without = [one("pass") for _ in range(9)]
    return float(np.median(with_engine) - np.median(without))


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from helpers.models.pooling import pool_effects, pool
from helpers.engine.aftercare import gosh
def peak():  # of this program alone; getrusage would count the process that started it
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

k = int(sys.argv[1])
rng = np.random.default_rng(1)
x = rng.binomial(80, 0.08, k)
fit = pool(events=x, n=np.full(k, 80), model="random", ci_method="wald")
before = peak()
result = gosh(fit, min_size=2)
print(len(result), before, peak())
"""


def memory() -> list[tuple[int, float, float]]:
    """Subsets of GOSH and the peak memory (MB) before and after, each in a new process."""
    found: list[tuple[int, float, float]] = []
    if not Path("/proc/self/status").exists():  # Linux says it there; elsewhere we do not
        return found
    for k in (10, 14, 17):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(k)], check=True, capture_output=True, text=True
        )
        subsets, before, after = map(int, done.stdout.split())
        found.append((subsets, before / 1024, after / 1024))
    return found


def peers(data: pd.DataFrame, quick: bool) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Time metafor: name -> seconds, share that was run, value. Empty without R."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return {}, "R is not installed: our times alone."
    check = subprocess.run([rscript, "-e", "library(metafor)"], capture_output=True, check=False)
    if check.returncode:
        return {}, "R has no package metafor: our times alone."
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "studies.csv"
        data.to_csv(table, index=False)
        call = [rscript, "--vanilla", str(HERE / "peers.R"), str(table)]
        done = subprocess.run(
            [*call, "quick"] if quick else call, check=True, capture_output=True, text=True
        )
    found, version = {}, ""
    for line in done.stdout.splitlines():
        if line.startswith("#"):
            version = line.removeprefix("# ")
            continue
        name, seconds, share, value = line.split("\t")
        found[name] = (float(seconds), float(share), float(value))
    return found, version


def scaling(quick: bool) -> list[tuple[str, int, int, float]]:
    """Kernel, studies, replicates, seconds: the cost of batches of different shapes."""
    rng = np.random.default_rng(1)
    found = []
    for k in (10, 20, 40, 80):
        for rows in (50, 200, 800) if quick else (50, 200, 800, 3200, 12800):
            n = rng.integers(20, 300, (rows, k))
            p = 1.0 / (1.0 + np.exp(2.5 - 0.6 * rng.standard_normal((rows, k))))
            x = rng.binomial(n, p)
            yi, vi = get_measure("logit").effects(x, n)
            seconds = best(lambda yi=yi, vi=vi: fit_inverse_variance(yi, vi), 2)  # type: ignore[misc]
            found.append(("REML", k, rows, seconds))
            if k * rows <= 150_000:
                seconds = best(lambda x=x, n=n: fit_glmm(x, n), 1)  # type: ignore[misc]
                found.append(("GLMM", k, rows, seconds))
    return found


def draw(points: list[tuple[str, int, int, float]]) -> list[str]:
    """Draw cost against studies times replicates; say how straight the lines are."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "scaling"
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    words = []
    for kernel, colour in (("REML", "#0b5fa5"), ("GLMM", "#b3541e")):
        mine = [(k * rows, s) for name, k, rows, s in points if name == kernel]
        x, y = np.array(sorted(mine)).T
        axes.loglog(x, y, "o", color=colour, label=f"{kernel}, measured", markersize=4)
        # weights 1/y: every point counts by its relative error, not the largest alone
        X = np.column_stack([np.ones_like(x), x]) / y[:, None]
        (start, slope), *_ = np.linalg.lstsq(X, np.ones_like(y), rcond=None)
        line = start + slope * x
        power = np.polyfit(np.log(x[x >= 4000]), np.log(y[x >= 4000]), 1)[0]
        axes.loglog(x, line, color=colour, linewidth=1)
        axes.annotate(kernel, (x[-1], line[-1]), xytext=(6, 0), textcoords="offset points")
        off = float(np.max(np.maximum(y / line, line / y)))
        words.append(
            f"{kernel}: {start * 1e3:.2f} ms + {slope * 1e6:.3f} microseconds for each study and "
            f"replicate (weighted least squares); the largest departure from this line is a factor "
            f"of {off:.2f}; power of the cost from 4,000 cells on: {power:.2f} (1 is linear)."
        )
    axes.set_xlabel("studies × replicates")
    axes.set_ylabel("seconds")
    axes.spines[["top", "right"]].set_visible(False)
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / "scaling.svg", metadata={"Date": None})
    plt.close(figure)
    return words


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1.0:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s"


def report(
    jobs: list[Job],
    theirs: dict[str, tuple[float, float, float]],
    words: str,
    sizes: list[tuple[int, float, float]],
    lines: list[str],
) -> str:
    """Put the tables together."""
    out = [
        "# Speed",
        "",
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, numpy "
        f"{np.__version__}, scipy {scipy.__version__}. Load when it began: "
        f"{os.getloadavg()[0]:.1f} (a busy machine slows both sides).",
        words,
        "",
        "Ours: best of several runs of the public call. metafor: best of several for single fits, "
        "one run for loops, of which the share in the table was run and scaled up.",
        "",
        "| what | ours | metafor | ratio | goal | met | metafor run | value differs by | note |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |",
    ]
    for job in jobs:
        row = [job.name, duration(job.ours)]
        if job.name in theirs:
            seconds, share, value = theirs[job.name]
            ratio = seconds / job.ours
            row += [duration(seconds), f"{ratio:,.0f}x", *goal(job, ratio)]
            row += [f"{share:.1%}", f"{abs(value - job.value):.1e}"]
        else:
            row += ["", "", *goal(job, None), "", ""]
        out.append("| " + " | ".join([*row, job.note]) + " |")
    out += [
        "",
        "The value compared is the estimate (for the bootstrap tau2): metafor stops at 1e-5, "
        "we at rounding error.",
        "",
        "## Memory",
        "",
        "Peak memory of a process that fits every subset of k studies (REML, chunks):",
        "",
        "| subsets | before | after |",
        "| ---: | ---: | ---: |",
        *(f"| {n:,} | {a:.0f} MB | {b:.0f} MB |" for n, a, b in sizes),
        "",
        "## Scaling",
        "",
        "![cost against studies times replicates](scaling.svg)",
        "",
        *(f"* {line}" for line in lines),
    ]
    return "\n".join(out) + "\n"


def goal(job: Job, ratio: float | None) -> tuple[str, str]:
    """Print what was aimed at, in seconds or as a ratio, and whether it is met."""
    if job.target.endswith(" s"):
        return f"< {job.target}", "yes" if job.ours < float(job.target[:-2]) else "no"
    if ratio is None:
        return f"≥ {job.target}", ""
    return f"≥ {job.target}", "yes" if ratio >= float(job.target[:-1]) else "no"


def remember(rows: list[list[str]], path: Path = RESULTS / "history.csv") -> None:
    """Add what was measured to the history: date, what, seconds of ours and of metafor, ratio."""
    with path.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a rough run of half a minute")
    quick = parser.parse_args().quick
    data = studies()
    jobs = our_jobs(data)
    theirs, words = peers(data, quick)
    text = report(jobs, theirs, words, memory(), draw(scaling(quick)))
    print(text)
    (RESULTS / "bench.md").write_text(text)
    today, rows = date.today().isoformat(), []
    with (RESULTS / "bench.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["what", "ours_seconds", "metafor_seconds", "ratio", "goal", "share_run"])
        for job in jobs:
            seconds, share, _ = theirs.get(job.name, (np.nan, np.nan, np.nan))
            numbers = [job.ours, seconds, seconds / job.ours]
            cells = [f"{v:.4g}" if np.isfinite(v) else "" for v in numbers]
            last = f"{share:.4g}" if np.isfinite(share) else ""
            table.writerow([job.name, *cells, job.target, last])
            rows.append([today, job.name, *cells])
    remember(rows)


if __name__ == "__main__":
    main()
