"""Time and memory of every public call, for small and large tables.

    .venv/bin/python benchmarks/sweep.py [--sizes 52,2000,20000] [--seconds 60] [--only WORD]

Every call runs in a process of its own with limits on processor time and memory, so that one that
asks for too much says so and the next one goes on. Printed: processor seconds, and how far the
peak memory rose above what the process held before the call. Linux only (it reads /proc).
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import (
    meta_regression,
    pool,
    pool_beta_binomial,
    pool_effects,
    pool_multilevel,
    posterior,
    subgroups,
)
from helpers.checks import bias
from helpers.checks.multiverse.analysis import multiverse
from helpers.engine.aftercare import baujat, cumulative, gosh, influence, leave_one_out
from helpers.engine.aftercare.resampled import bootstrap
from helpers.engine.aftercare.sign_flips import permutation_test
from helpers.engine.effects import get_measure
from helpers.engine.normal.prediction import PREDICTION_METHODS
from helpers.engine.normal.tau2_intervals import TAU2_CI_METHODS
from helpers.engine.options import MU_METHODS, TAU2_METHODS
from helpers.models.rates import pool_rates

Call = Callable[[], object]


def table(k: int, seed: int = 1) -> pd.DataFrame:
    """Studies of a binomial-normal model like the cohorts of the book."""
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 300, k)
    eta = -2.6 + 0.6 * rng.standard_normal(k)
    events = rng.binomial(n, 1.0 / (1.0 + np.exp(-eta)))
    yi, vi = get_measure("logit").effects(events, n)
    return pd.DataFrame(
        {
            "study": [f"Study {i + 1}" for i in range(k)],
            "events": events,
            "n": n,
            "yi": yi,
            "vi": vi,
            "follow_up": rng.uniform(6.0, 30.0, k),
            "age": rng.uniform(40.0, 70.0, k),
            "entity": rng.choice(["A", "B", "C"], k),
            "centre": rng.integers(0, max(2, k // 3), k),
        }
    )


def calls(k: int) -> Iterator[tuple[str, Call]]:
    """Name and call, for every public analysis."""
    d = table(k)
    counts = {"events": "events", "n": "n", "study": "study"}
    effects = {"yi": "yi", "vi": "vi", "study": "study"}
    yi, vi = d["yi"].to_numpy(), d["vi"].to_numpy()
    glmm = pool(d, model="glmm", ci_method="wald", **counts)
    reml = pool(d, model="random", ci_method="wald", **counts)
    common = pool(d, model="common", **counts)
    summed = pool(d, model="common", method="likelihood", **counts)
    yield "pool glmm", lambda: pool(d, model="glmm", **counts)
    yield "pool common likelihood", lambda: pool(d, model="common", method="likelihood", **counts)
    for measure in ("logit", "log", "raw", "arcsine", "double-arcsine"):
        yield (
            f"pool random {measure}",
            lambda measure=measure: pool(d, model="random", measure=measure, **counts),
        )
    for name in TAU2_METHODS:
        yield f"pool_effects {name}", lambda name=name: pool_effects(yi, vi, tau2_method=name)
    for label, fit in (("random", reml), ("common", common), ("glmm", glmm), ("summed", summed)):
        model = fit.model
        for name in MU_METHODS[model]:
            if label == "summed" and name == "henmi-copas":
                continue
            if label in ("random", "common") and name == "profile":
                continue
            yield f"{label} conf_int {name}", lambda fit=fit, name=name: fit.conf_int(name)
        for name in PREDICTION_METHODS[model]:
            yield (
                f"{label} prediction {name}",
                lambda fit=fit, name=name: fit.prediction_interval(name),
            )
        for name in TAU2_CI_METHODS[model]:
            yield f"{label} tau2_ci {name}", lambda fit=fit, name=name: fit.tau2_ci(name)
    ml = pool(d, model="random", tau2_method="ML", ci_method="wald", **counts)
    yield "ML conf_int profile", lambda: ml.conf_int("profile")
    for label, fit in (("random", reml), ("common", common), ("glmm", glmm), ("summed", summed)):
        yield f"{label} leave_one_out", lambda fit=fit: leave_one_out(fit)
        yield f"{label} influence", lambda fit=fit: influence(fit)
        yield f"{label} baujat", lambda fit=fit: baujat(fit)
        yield f"{label} cumulative", lambda fit=fit: cumulative(fit)
        yield f"{label} gosh", lambda fit=fit: gosh(fit)
        yield f"{label} gosh 1,000", lambda fit=fit: gosh(fit, 1000)
        yield f"{label} bootstrap", lambda fit=fit: bootstrap(fit)
        yield f"{label} bootstrap 200", lambda fit=fit: bootstrap(fit, 200)
        yield (
            f"{label} bootstrap nonparametric 200",
            lambda fit=fit: bootstrap(fit, 200, "nonparametric"),
        )
        yield f"{label} permutation_test", lambda fit=fit: permutation_test(fit, 0.07)
        yield f"{label} studies", lambda fit=fit: fit.studies
        yield f"{label} to_dict", lambda fit=fit: fit.to_dict()
    for label, fit in (("random", reml), ("glmm", glmm)):
        yield f"{label} shrunken_estimates", lambda fit=fit: fit.shrunken_estimates()
        for name in ("delta", "profile"):
            if label == "random" and name == "profile":
                continue
            yield (
                f"{label} mean_conf_int {name}",
                lambda fit=fit, name=name: fit.mean_conf_int(name),
            )
    yield "pool_beta_binomial", lambda: pool_beta_binomial(d, **counts)
    yield "pool_rates glmm", lambda: pool_rates(d, follow_up="follow_up", **counts)
    yield (
        "pool_rates random",
        lambda: pool_rates(d, follow_up="follow_up", model="random", **counts),
    )
    yield "pool_multilevel", lambda: pool_multilevel(d, cluster="centre", **effects)
    yield (
        "pool_multilevel CR2",
        lambda: pool_multilevel(d, cluster="centre", robust="CR2", **effects),
    )
    for model in ("glmm", "random"):
        yield (
            f"subgroups {model}",
            lambda model=model: subgroups(d, by="entity", model=model, **counts),
        )
        yield (
            f"subgroups {model} common tau2",
            lambda model=model: subgroups(
                d, by="entity", model=model, group_tau2="common", **counts
            ),
        )
    groups = subgroups(d, by="entity", model="glmm", **counts)
    yield "subgroups calibrated_test", lambda: groups.calibrated_test()
    yield "subgroups calibrated_test 200", lambda: groups.calibrated_test(200)
    normal = subgroups(d, by="entity", model="random", **counts)
    for label, found in (("subgroups", groups), ("subgroups random", normal)):
        yield f"{label} leave_one_out", lambda found=found: found.leave_one_out()
        yield f"{label} influence", lambda found=found: found.influence()
        yield f"{label} cumulative", lambda found=found: found.cumulative()
        yield f"{label} gosh", lambda found=found: found.gosh()
        yield f"{label} bootstrap", lambda found=found: found.bootstrap()
        yield f"{label} permutation_test", lambda found=found: found.permutation_test()
    yield "posterior", lambda: posterior(d, **counts)
    yield "posterior normal", lambda: posterior(d, **effects)
    levels = {
        "levels": pool_multilevel(d, cluster="centre", **effects),
        "levels glmm": pool_multilevel(d, cluster="centre", **counts),
        "levels with a moderator": pool_multilevel(d, "age", cluster="centre", **effects),
        "beta-binomial": pool_beta_binomial(d, **counts),
    }
    for label, level in levels.items():
        yield f"{label} leave_one_out", lambda level=level: level.leave_one_out()
        yield f"{label} influence", lambda level=level: level.influence()
        yield f"{label} cumulative", lambda level=level: level.cumulative()
        yield f"{label} gosh", lambda level=level: level.gosh()
        yield f"{label} bootstrap", lambda level=level: level.bootstrap()
        if not level.core.moderated:
            null = level.estimate
            yield (
                f"{label} permutation_test",
                lambda level=level, null=null: level.permutation_test(null),
            )
    regression = meta_regression(d, "entity + age", **effects)
    yield "meta_regression", lambda: meta_regression(d, "entity + age", **effects)
    for test in ("knapp-hartung", "wald"):
        yield (
            f"meta_regression {test}",
            lambda test=test: meta_regression(d, "entity + age", ci_method=test, **effects),
        )
    mixed = meta_regression(d, "entity + age", model="glmm", **counts)
    for label, found in (("regression", regression), ("regression glmm", mixed)):
        yield f"{label} permutation", lambda found=found: found.permutation_test()
        yield f"{label} leave_one_out", lambda found=found: found.leave_one_out()
        yield f"{label} influence", lambda found=found: found.influence()
        yield f"{label} baujat", lambda found=found: found.baujat()
        yield f"{label} cumulative", lambda found=found: found.cumulative()
        yield f"{label} gosh", lambda found=found: found.gosh()
        yield f"{label} bootstrap", lambda found=found: found.bootstrap()
    yield "regression residuals", lambda: regression.residuals
    yield "regression tau2_ci", lambda: regression.tau2_ci()
    yield "regression summary", lambda: (regression.summary_frame(), regression.vif())
    yield (
        "meta_regression CR2",
        lambda: meta_regression(d, "entity + age", robust="CR2", cluster="centre", **effects),
    )
    for name in (
        "egger",
        "thompson_sharp",
        "peters",
        "macaskill",
        "arcsine_test",
        "begg",
        "trim_and_fill",
        "limit_meta_analysis",
        "pet_peese",
        "selection_model",
        "excess_significance",
        "fail_safe_n",
    ):
        call = getattr(bias, name)
        arguments = {"null": -2.5} if name in NEEDS_NULL else {}
        yield (
            f"bias.{name}",
            lambda call=call, arguments=arguments: call(
                events=d["events"].to_numpy(), n=d["n"].to_numpy(), **arguments
            ),
        )
    yield (
        "bias.simulate_null",
        lambda: bias.simulate_null(events=d["events"].to_numpy(), n=d["n"].to_numpy()),
    )
    yield (
        "bias.simulate_null 200",
        lambda: bias.simulate_null(events=d["events"].to_numpy(), n=d["n"].to_numpy(), draws=200),
    )
    yield (
        "bias.simulate_power 200",
        lambda: bias.simulate_power(
            events=d["events"].to_numpy(), n=d["n"].to_numpy(), slope=1.0, draws=200
        ),
    )
    grid = {"model": ["random", "glmm"], "tau2_method": ["DL", "REML"]}
    yield "multiverse", lambda: multiverse(d, grid, **counts)


NEEDS_NULL = ("selection_model", "excess_significance", "fail_safe_n")


def held(field: str) -> float:
    """Read a field of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measured(call: Call, seconds: int, megabytes: int) -> str:
    """Run a call in a fork with limits; say what it took."""
    sys.stdout.flush()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        limit = int((held("VmSize") + megabytes) * 2**20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        before, start = held("VmRSS"), time.process_time()
        try:
            call()
            error = ""
        except BaseException as reason:  # noqa: BLE001 - said in the table
            error = f"  {type(reason).__name__}: {str(reason)[:100]}"
        took = time.process_time() - start
        os.write(write, f"{took:9.2f} s {held('VmHWM') - before:9.0f} MB{error}".encode())
        os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    text = os.read(read, 1000).decode()
    os.close(read)
    return text or f"  stopped by signal {os.WTERMSIG(status)} (limit {seconds} s)"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="52,2000,20000")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--megabytes", type=int, default=1500)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    for k in map(int, given.sizes.split(",")):
        for name, call in calls(k):
            if given.only in name:
                took = measured(call, given.seconds, given.megabytes)
                print(f"{k:7d}  {name:40s} {took}", flush=True)


if __name__ == "__main__":
    main()
