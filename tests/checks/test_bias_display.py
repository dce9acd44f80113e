"""Adjusted estimates on the display scale, and the scales that have none."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import load_cohorts
from helpers.checks.bias import limit_meta_analysis, selection_model, trim_and_fill
from helpers.errors import UnsupportedError

METHODS = {
    "trim-and-fill": trim_and_fill,
    "limit": limit_meta_analysis,
    "selection": lambda **given: selection_model(null="pooled", **given),
}


def adjusted(name: str, measure: str):
    cohorts = load_cohorts()
    return METHODS[name](
        events=cohorts["nonrelapse_deaths"], n=cohorts["patients"], measure=measure
    )


@pytest.mark.parametrize(
    ("measure", "inverse"),
    [("logit", lambda y: 1 / (1 + np.exp(-y))), ("arcsine", lambda y: np.sin(y) ** 2)],
)
@pytest.mark.parametrize("name", METHODS)
def test_estimate_and_interval_are_the_inverse_of_the_model_scale(name, measure, inverse):
    found = adjusted(name, measure)
    assert found.estimate == pytest.approx(inverse(found.mu), rel=1e-12)
    assert tuple(found.ci) == pytest.approx([inverse(limit) for limit in found.mu_ci], rel=1e-12)
    assert found.ci.lower < found.estimate < found.ci.upper


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("trim-and-fill", "filled studies have no sample size"),
        ("limit", "a study of infinite size has no size"),
        ("selection", "the mean before selection does not have"),
    ],
)
def test_a_scale_that_needs_a_size_has_no_display_value(name, why):
    found = adjusted(name, "double-arcsine")
    with pytest.raises(UnsupportedError, match=f"double-arcsine: .*{why}.*arcsine measure"):
        _ = found.estimate
    with pytest.raises(UnsupportedError, match=why):
        _ = found.ci
    assert np.isfinite(found.mu)


@pytest.mark.parametrize("name", METHODS)
def test_results_stay_frozen_and_without_a_dictionary(name):
    found = adjusted(name, "logit")
    assert not hasattr(found, "__dict__")
    with pytest.raises(AttributeError):
        found.mu = 0.0
