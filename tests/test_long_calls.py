"""No public call takes long without having said so before it starts."""

from __future__ import annotations

import importlib.util
import os
import resource
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nightly import nightly

from helpers import meta_regression, pool, pool_beta_binomial, pool_multilevel
from helpers.engine.cost import spoken
from helpers.errors import LongComputationWarning

SWEEP = Path(__file__).resolve().parents[1] / "benchmarks" / "sweep.py"
#: Processor seconds: three times what is worth saying, since machines differ.
LIMIT = 15


def public_calls(k: int) -> list[tuple[str, Callable[[], object]]]:
    """Every public analysis of k studies, from the sweep of the benchmarks."""
    spec = importlib.util.spec_from_file_location("sweep", SWEEP)
    assert spec is not None
    assert spec.loader is not None
    sweep: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sweep)
    return list(sweep.calls(k))


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
    table = pd.DataFrame({"yi": rng.standard_normal(3000), "vi": 1.0, "x": np.arange(3000.0)})
    slope = meta_regression(table, "x", yi="yi", vi="vi")
    with pytest.raises(LongComputationWarning, match="about 6 seconds"):
        slope.leave_one_out()
    table = pd.DataFrame({"events": x, "n": n, "x": rng.standard_normal(2000)})
    slope = meta_regression(table, "x", events="events", n="n", model="glmm", ci_method="wald")
    with pytest.raises(LongComputationWarning, match="about 60 seconds"):
        slope.leave_one_out()
    with pytest.raises(LongComputationWarning, match="about 60 seconds"):
        slope.influence()
    with pytest.raises(LongComputationWarning, match="about 60 seconds"):
        slope.cumulative()
    with pytest.raises(LongComputationWarning, match="about 2 minutes"):
        slope.bootstrap()
    with pytest.raises(LongComputationWarning, match=r"100,000 fits .* about 50 minutes"):
        slope.gosh()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5.4, "5 seconds"), (94.9, "2 minutes"), (89.0, "90 seconds"), (40_000.0, "10 hours")],
)
def test_durations_have_one_digit(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
