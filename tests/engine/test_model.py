"""The core: studies and choices, fitted again, drawn anew, and known to nothing above them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import aftercare, load_cohorts, pool, pool_effects, subgroups
from helpers.engine.counts.fit import fit_glmm
from helpers.engine.counts.profile import profile_loglik
from helpers.engine.model import Model
from helpers.errors import UnsupportedError
from helpers.models.profiles import profile_curve

ENGINE = Path(__file__).parents[2] / "helpers" / "engine"
ABOVE = {"models", "checks", "views", "review", "reporting", "reference", "teaching", "evidence"}
X, N = [3, 8, 6, 16, 2, 9], [40, 60, 90, 50, 90, 70]


def rooms(file: Path) -> set[str]:
    """Rooms of helpers that a module of the engine imports, annotations included."""
    inside = ("helpers", *file.relative_to(ENGINE.parent).with_suffix("").parts)
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level] if node.level else ()
            parts = (*base, *(node.module or "").split("."))
            found |= {parts[1]} if len(parts) > 1 and parts[0] == "helpers" else set()
    return found


@pytest.mark.parametrize("file", sorted(ENGINE.rglob("*.py")), ids=lambda f: f.stem)
def test_the_engine_names_nothing_above_it_not_even_in_annotations(file: Path) -> None:
    assert not rooms(file) & ABOVE


@pytest.mark.parametrize("name", [*aftercare.DELETIONS, *aftercare.RESAMPLING])
def test_aftercare_refuses_in_words_what_has_no_single_model(name: str) -> None:
    split = subgroups(events=X, n=N, by=list("aabbcc"))
    more = (0.1,) if name == "permutation_test" else ()
    with pytest.raises(UnsupportedError, match=r"studies with one model.*SubgroupResult"):
        getattr(aftercare, name)(split, *more)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "glmm"},
        {"model": "random", "tau2_method": "DL"},
        {"model": "random", "tau2": 0.3},
        {"model": "common", "method": "likelihood"},
        {"model": "random", "measure": "double-arcsine", "ci_method": "wald"},
    ],
    ids=str,
)
def test_a_model_made_again_of_its_parts_fits_as_the_call_did(options: dict[str, Any]) -> None:
    fit = pool(events=X, n=N, **options)
    own = Model(fit.data, fit.options).fit(limits=True)
    assert len(own) == 1
    assert own.mu[0] == pytest.approx(fit.mu, rel=1e-9)
    assert own.tau2[0] == pytest.approx(fit.tau2, rel=1e-7, abs=1e-12)
    assert own.ci_upper[0] == pytest.approx(fit.conf_int(scale="model").upper, rel=1e-8)
    assert fit.core.to_display(own.mu, own)[0] == pytest.approx(fit.estimate, rel=1e-9)


def test_excluded_studies_are_in_no_fit_and_in_no_drawing() -> None:
    fit = pool(events=[3, None, 16, 9], n=[40, 60, 50, 70], model="glmm")
    assert fit.core.labels == ("Study 1", "Study 3", "Study 4")
    drawn = fit.core.simulate(fit.mu, fit.tau2, np.random.default_rng(1), 5)
    assert drawn.events is not None
    assert drawn.events.shape == (5, 3)
    assert (drawn.events <= [40, 50, 70]).all()


def test_effects_have_no_counts() -> None:
    with pytest.raises(UnsupportedError, match="needs counts"):
        _ = pool_effects([0.1, 0.4], [0.1, 0.2]).core.counts
    assert pool_effects([0.1, 0.4], [0.1, 0.2]).core.events is None
    assert pool_effects([0.1, 0.4], [0.1, 0.2]).core.size is None


def test_the_likelihood_ratio_test_is_that_of_a_likelihood_model_alone() -> None:
    by_likelihood = pool(events=X, n=N, model="glmm").heterogeneity
    assert (by_likelihood.Q_lrt, by_likelihood.p_lrt) == (by_likelihood.Q, by_likelihood.p)
    by_weights = pool(events=X, n=N, model="random").heterogeneity
    assert (by_weights.Q_lrt, by_weights.p_lrt) == (None, None)


def test_the_profile_of_a_group_is_that_of_its_own_mean() -> None:
    """It was that of the first group, whose mean lies elsewhere."""
    result = subgroups(
        load_cohorts(),
        by="setting",
        events="nonrelapse_deaths",
        n="patients",
        study="cohort",
        model="glmm",
        group_tau2="common",
    )
    for place, (_, group) in enumerate(result):
        curve = profile_curve(group, "mu", points=9)
        assert curve.values[np.argmax(curve.drop)] == pytest.approx(group.mu)
        whole = result.overall
        design = np.array(
            [[label in other.data.labels for _, other in result] for label in whole.core.labels],
            dtype=float,
        )
        joint = fit_glmm(*whole.core.counts, design)
        height = profile_loglik(joint, mu=curve.values, coefficient=place)[0]
        assert curve.drop == pytest.approx(height - height.max(), abs=1e-6)
