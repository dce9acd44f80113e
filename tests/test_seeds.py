"""Every call that draws random numbers refuses the same seeds and numbers of draws alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers import bias, meta_regression, pool, review, simulation, subgroups
from helpers.errors import UnsupportedError
from helpers.reporting.command import main
from helpers.teaching import labs

COUNTS: dict[str, Any] = {
    "events": [3, 8, 5, 9, 4, 7, 12, 6, 2, 10],
    "n": [40, 60, 50, 70, 45, 55, 80, 65, 35, 75],
}


def fit() -> Any:
    return pool(**COUNTS, model="random")


def slope() -> Any:
    table = pd.DataFrame(COUNTS | {"x": range(10)})
    return meta_regression(table, "x", events="events", n="n", model="random")


def truth() -> Any:
    return simulation.Scenario(k=4, proportion=0.2, tau=0.3)


#: Call of a seed and a number of draws (None: as many as usual).
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "simulate_null": lambda seed, draws: bias.simulate_null(fit(), seed=seed, draws=draws or 20),
    "simulate_power": lambda seed, draws: bias.simulate_power(
        fit(), slope=1.0, seed=seed, draws=draws or 20
    ),
    "bootstrap": lambda seed, draws: fit().bootstrap(draws or 20, seed=seed),
    "bootstrap of a regression": lambda seed, draws: slope().bootstrap(draws or 20, seed=seed),
    "sign flips": lambda seed, draws: fit().permutation_test(0.1, seed=seed, draws=draws or 20),
    "permutation": lambda seed, draws: slope().permutation_test(draws or 19, seed=seed),
    "prediction": lambda seed, draws: fit().prediction_interval(
        "bootstrap", seed=seed, draws=draws or 20
    ),
    "calibrated": lambda seed, draws: subgroups(**COUNTS, by=list("aaaaabbbbb")).calibrated_test(
        draws or 5, seed=seed
    ),
    "simulate": lambda seed, draws: simulation.simulate(truth(), draws or 2, seed),
    "coverage": lambda seed, draws: simulation.coverage(
        [truth()], draws=draws or 2, glmm=False, seed=seed
    ),
    "person-time": lambda seed, draws: review.simulate_person_time(draws=draws or 2, seed=seed),
    "random tables": lambda seed, draws: review.causes.homogeneity_test(
        "setting", draws=draws or 9, seed=seed
    ),
    "lab": lambda seed, draws: labs.back_transform_lab((50,), draws=draws or 2, seed=seed),
    "twins": lambda seed, draws: labs.dependence_lab((2,), draws=draws or 2, seed=seed),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_seed_is_a_whole_number_from_zero(name):
    for seed in (-1, 1.5, "a", True, np.nan):
        with pytest.raises(UnsupportedError, match=r"seed=.*whole number of at least 0"):
            CALLS[name](seed, None)
    CALLS[name](np.int64(0), None)


@pytest.mark.parametrize("made", [fit, slope])
def test_gosh_takes_the_same_seeds(made):
    with pytest.raises(UnsupportedError, match="seed=-1"):
        made().gosh(5, seed=-1)


@pytest.mark.parametrize("name", CALLS)
def test_draws_are_a_whole_number(name):
    for draws in (-3, 20.5, "a"):
        with pytest.raises(UnsupportedError, match=r"draws=.*whole number"):
            CALLS[name](1, draws)


def test_the_command_names_a_wrong_seed(tmp_path, capsys):
    table = tmp_path / "mine.csv"
    table.write_text("study,events,n\nA,3,40\nB,5,50\n", encoding="utf-8")
    assert main(["report", str(table), "--seed", "-1", "--out", str(tmp_path / "out")]) == 2
    assert "seed=-1: expected a whole number of at least 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
