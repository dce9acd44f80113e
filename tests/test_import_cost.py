"""What an import loads: the engine's core must run where only numpy does."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("scipy", "pandas", "matplotlib", "seaborn", "statsmodels")


@pytest.mark.parametrize(
    ("statement", "may_load"),
    [
        ("import helpers", ()),
        ("import helpers.models.pooling", ()),
        ("import helpers.engine.effects", ()),
        ("import helpers.models.subgroup_analysis", ()),
        ("import helpers.engine.normal.intervals", ()),
        ("import helpers.checks.multiverse", ()),
        ("import helpers.checks.simulation", ()),
        # one whole fit: the distribution functions are scipy's, nothing else is needed
        (
            "from helpers import pool; "
            "pool(events=[3, 8, 16], n=[40, 60, 50], model='glmm').prediction_interval()",
            ("scipy",),
        ),
    ],
)
def test_heavy_libraries_load_when_first_used(statement, may_load):
    code = f"import sys; {statement}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(out.stdout.split()) <= set(may_load), out.stdout
