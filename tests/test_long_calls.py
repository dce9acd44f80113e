"""No public call takes long without having said so before it starts."""

from __future__ import annotations

import importlib.util
import os
import resource
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from nightly import nightly

from helpers import meta_regression, pool, pool_beta_binomial, pool_multilevel, subgroups
from helpers.checks.bias import simulate_null
from helpers.engine import cost
from helpers.engine.cost import Kind, seconds_of, spoken
from helpers.errors import LongComputationWarning
from helpers.shared_results import FOLDER

SWEEP = Path(__file__).resolve().parents[1] / "benchmarks" / "sweep.py"
#: Processor seconds: three times what is worth saying, since machines differ.
LIMIT = 15


def sweep() -> Any:
    """Give the sweep of the benchmarks."""
    spec = importlib.util.spec_from_file_location("sweep", SWEEP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public_calls(k: int) -> list[tuple[str, Callable[[], object]]]:
    """Every public analysis of k studies, from the sweep of the benchmarks."""
    return list(sweep().calls(k))


def outcome(call: Callable[[], object]) -> str:
    """Run a call in a process of its own until it ends, speaks, or takes too long."""
    child = os.fork()
    if child == 0:
        spent = int(sum(os.times()[:2]))
        resource.setrlimit(resource.RLIMIT_CPU, (spent + LIMIT, spent + LIMIT + 1))
        warnings.simplefilter("error")
        code = 0
        try:
            call()
        except LongComputationWarning:
            code = 3
        except BaseException:  # noqa: BLE001 - said by the exit code
            code = 4
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "silent"
    return {0: "quick", 3: "said", 4: "failed"}[os.WEXITSTATUS(status)]


@pytest.mark.parametrize(("k", "every"), [(24, 8), nightly(2000, 1)])
def test_every_call_is_quick_or_says_what_it_costs(k: int, every: int) -> None:
    calls = public_calls(k)[::every]
    found = {name: outcome(call) for name, call in calls}
    assert len(found) > 100 // every
    assert {name: how for name, how in found.items() if how not in ("quick", "said")} == {}


def test_the_cost_is_said_before_it_starts() -> None:
    rng = np.random.default_rng(1)
    n = rng.integers(20, 300, 2000)
    x = rng.binomial(n, 1.0 / (1.0 + np.exp(2.6 - 0.6 * rng.standard_normal(2000))))
    centre = rng.integers(0, 600, 2000).tolist()
    # warnings are errors here, so that nothing is computed
    fit = pool(events=x, n=n, model="glmm", ci_method="wald")
    words = "2,000 fits of up to 2,000 studies: about 40 seconds on one core"
    with pytest.raises(LongComputationWarning, match=words):
        fit.bootstrap()
    with pytest.raises(LongComputationWarning, match=r"100,000 fits .* about 10 minutes"):
        fit.gosh()
    with pytest.raises(LongComputationWarning, match=r"2,000 fits .* about 2 minutes"):
        pool_beta_binomial(events=x, n=n).leave_one_out()
    levels = pool_multilevel(events=x, n=n, cluster=centre, tau2_method="REML")
    with pytest.raises(LongComputationWarning, match="about 2 minutes"):
        levels.leave_one_out()
    with pytest.raises(LongComputationWarning):
        levels.influence()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5.4, "5 seconds"), (94.9, "2 minutes"), (89.0, "90 seconds"), (40_000.0, "10 hours")],
)
def test_durations_have_one_digit(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


#: One kind of call is as much slower or quicker than it says as another, but for this factor.
APART = 4
EFFECTS: dict[str, Any] = {"yi": "yi", "vi": "vi", "study": "study"}
COUNTS: dict[str, Any] = {"events": "events", "n": "n", "study": "study"}
ONE_RATE: dict[str, Any] = {"model": "common", "method": "likelihood", **COUNTS}
#: Studies, and a call of these studies that takes some tenths of a second, by what is computed.
PACED: dict[Kind, tuple[int, Callable[[Any], Callable[[], object]]]] = {
    "effects": (300, lambda d: pool(d, model="random", **COUNTS).bootstrap),
    "one rate": (300, lambda d: pool(d, **ONE_RATE).bootstrap),
    "selected counts": (300, lambda d: partial(pool(d, **COUNTS).bootstrap, 200, "nonparametric")),
    "new counts": (300, lambda d: partial(pool(d, **COUNTS).bootstrap, 50)),
    "profiles of counts": (60, lambda d: pool(d, ci_method="profile", **COUNTS).leave_one_out),
    "beta-binomial": (60, lambda d: pool_beta_binomial(d, **COUNTS).leave_one_out),
    "clusters of effects": (
        60, lambda d: pool_multilevel(d, cluster="centre", **EFFECTS).leave_one_out
    ),
    "clusters of counts": (
        52, lambda d: pool_multilevel(d, cluster="centre", **COUNTS).leave_one_out
    ),
    "regressions of effects": (
        300, lambda d: meta_regression(d, "entity + age", **EFFECTS).permutation_test
    ),
    "regressions of counts": (
        60, lambda d: partial(meta_regression(d, "entity + age", **COUNTS).permutation_test, 200)
    ),
    "groups of effects": (
        300, lambda d: subgroups(d, by="entity", model="random", **COUNTS).calibrated_test
    ),
    "groups of counts": (
        300, lambda d: partial(subgroups(d, by="entity", **COUNTS).calibrated_test, 100)
    ),
    # a tenth of the studies at a time: fits of so many that their overhead does not count
    "groups of effects, one by one": (
        300,
        lambda d: partial(
            subgroups(d, by="entity", model="random", **COUNTS).leave_one_out, d.index % 10
        ),
    ),
    "groups of counts, one by one": (
        300, lambda d: partial(subgroups(d, by="entity", **COUNTS).leave_one_out, d.index % 10)
    ),
    "tests": (300, lambda d: partial(simulate_null, events=d["events"], n=d["n"], draws=1000)),
}  # fmt: skip


def slowness(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> float:
    """Processor time of a call over what it said."""
    said: list[tuple[Kind, float]] = []

    def told(kind: Kind, fits: float, studies: float) -> float:
        said.append((kind, seconds_of(kind, fits, studies)))
        return said[-1][1]

    monkeypatch.setattr(cost, "seconds_of", told)
    table, (k, prepared) = sweep().table, PACED[kind]
    prepared(table(12))()  # loads what it needs
    call = prepared(table(k))
    said.clear()
    start = time.process_time()
    call()
    took = time.process_time() - start
    assert {name for name, _ in said} == {kind}
    return took / sum(seconds for _, seconds in said)


@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind != "effects"])
def test_a_call_takes_about_as_long_as_it_says(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)  # computed here, not by another process
    measure = slowness("effects", monkeypatch)  # beside it: machines differ, and are busy
    assert 1 / APART < slowness(kind, monkeypatch) / measure < APART
