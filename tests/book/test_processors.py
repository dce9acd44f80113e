"""What a reader sees is the same whatever the processor rounds in the last bits."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings

import pytest
from nightly import nightly
from numpy._core._multiarray_umath import __cpu_features__

from helpers import shared_results

# numpy and OpenBLAS compute as on these, where the processor has what they need
WIDE = "X86_V4 AVX512_ICL AVX512_SPR"
KINDS = {
    "no vectors of 512 bits": {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": WIDE},
    "Zen": {"OPENBLAS_CORETYPE": "Zen", "NPY_DISABLE_CPU_FEATURES": WIDE},
    "no fused multiply-add": {
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": f"X86_V3 {WIDE}",
    },
}
if __cpu_features__["AVX512F"]:
    KINDS["vectors of 512 bits"] = {"OPENBLAS_CORETYPE": "SkylakeX"}
SHOWN = """
from helpers import load_cohorts, meta_regression, pool, subgroups
from helpers.review import plots
from helpers.views.interactive import curve
from helpers.review.claim_analyses import claim_multiverse

cohorts = load_cohorts()
columns = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
fit = pool(cohorts, **columns)
groups = subgroups(cohorts, by="entity", **columns)
print(plots.show(plots.forest(fit, order="weight"), "a")._repr_html_())
print(plots.show(plots.baujat(pool(cohorts, **columns, model="random")), "b")._repr_html_())
print(plots.show(plots.leave_one_out_forest(fit), "c")._repr_html_())
print(curve({"x": claim_multiverse(cohorts, "cilta-ide")}, name="d", first="x")._repr_html_())
print(meta_regression(cohorts, "product", **columns).coefficients.round(8).to_csv())
print(groups.summary_frame().round(8).to_csv())
"""


def printed(kind: dict[str, str]) -> str:
    """What the pictures and tables say on a kind of processor."""
    # nothing is taken over from another kind
    environment = {
        **os.environ,
        shared_results.FOLDER: "",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        **kind,
    }
    command = [sys.executable, "-W", "ignore", "-c", SHOWN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def native() -> str:
    """What they say here, in this process: a new one would read all libraries first."""
    said = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(said):
        warnings.simplefilter("ignore")
        exec(SHOWN, {})
    return said.getvalue()


FARTHEST = "no fused multiply-add"  # from any processor of today: every product is rounded


@pytest.mark.parametrize("kind", [FARTHEST, *map(nightly, sorted(KINDS.keys() - {FARTHEST}))])
def test_pictures_and_tables_are_the_same_on_every_processor(kind, native):
    assert len(native) > 100_000
    assert printed(KINDS[kind]) == native
