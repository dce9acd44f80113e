"""Which cautions a test for small-study effects has, in their order, and which it has not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import caution_tools
import numpy as np
import pytest

from helpers import pool
from helpers.checks.bias import (
    begg,
    egger,
    excess_significance,
    fail_safe_n,
    limit_meta_analysis,
    pet_peese,
    peters,
    selection_model,
    thompson_sharp,
    trim_and_fill,
)

ROOM = Path(__file__).resolve().parents[2] / "helpers" / "checks" / "bias"

Y = np.array([0.1, 0.4, 0.2, 0.7, 0.3, 0.9, 0.5, 0.6, 0.35, 0.15, 0.8, 0.45])
V = np.array([0.01, 0.04, 0.02, 0.09, 0.03, 0.16, 0.05, 0.08, 0.02, 0.01, 0.12, 0.06])
ALIKE = np.array([0.1, 0.2, 0.3, 0.25] * 3)
WIDE = np.array([1.0, 0.5, 0.7, 0.2] * 3)
COUNTS: dict[str, Any] = {
    "events": [12, 30, 9, 25, 40, 8, 33, 15, 28, 10, 22, 45],
    "n": [100, 120, 90, 110, 130, 80, 115, 95, 125, 85, 105, 150],
}
FEW = {"few-studies-test": "^With nine studies"}
BY_CONSTRUCTION = {"correlated-by-construction": "variance of a logit proportion"}
DIFFER = {"heterogeneity": "^(With between-study heterogeneity|True effects that differ)"}
FAIL_SAFE = {"fail-safe": "does not estimate"}


def selected(null: Any, **studies: Any) -> Any:
    return selection_model(**studies, null=null, cutpoints=(0.5,))


#: A call, and the codes of its cautions with some of their words.
CASES: list[tuple[Callable[[], Any], dict[str, str]]] = [
    *((lambda test=test: test(Y, V), {}) for test in (egger, begg, thompson_sharp, pet_peese)),
    *((lambda test=test: test(Y[:9], V[:9]), FEW) for test in (egger, begg, thompson_sharp)),
    *((lambda test=test: test(Y[:10], V[:10]), {}) for test in (egger, begg, thompson_sharp)),
    *((lambda test=test: test(**COUNTS), BY_CONSTRUCTION) for test in (egger, begg)),
    (lambda: egger(**COUNTS, predictor="ni"), {}),
    (lambda: egger(**COUNTS, measure="arcsine"), {}),
    (lambda: peters(**COUNTS), {}),
    (lambda: limit_meta_analysis(Y, V), {}),
    (lambda: limit_meta_analysis(Y[:9], V[:9]), FEW),
    (lambda: limit_meta_analysis(**COUNTS), BY_CONSTRUCTION),
    (lambda: limit_meta_analysis(ALIKE, WIDE), {"boundary": "that of Egger's line"}),
    (lambda: pet_peese(**COUNTS), BY_CONSTRUCTION | {"no-null": "both are reported"}),
    (lambda: pet_peese(**COUNTS, null=-1.0), BY_CONSTRUCTION),
    (lambda: trim_and_fill(Y, V), DIFFER),
    (lambda: trim_and_fill(Y[:9], V[:9]), FEW | DIFFER),
    (lambda: trim_and_fill(ALIKE, WIDE), {}),
    (lambda: trim_and_fill(**COUNTS), DIFFER),
    (lambda: trim_and_fill(pool(**COUNTS)), {"inverse-variance": "replaces the GLMM"} | DIFFER),
    (lambda: trim_and_fill(pool(**COUNTS), model="random"), DIFFER),
    (
        lambda: selected(-1.0, **COUNTS),
        {"sparse-interval": "only three studies", "assumed-null": "against -1 on"},
    ),
    (lambda: selected("pooled", **COUNTS), {"assumed-null": "on the model scale"}),
    (lambda: selected(1.2, effects=3.0 * Y, vi=V), {}),
    (lambda: selected(0.21, effects=ALIKE, vi=WIDE), {"boundary": "estimated as zero"}),
    (lambda: fail_safe_n(Y, V), FAIL_SAFE),
    (lambda: fail_safe_n(**COUNTS, null=-1.0), FAIL_SAFE | {"assumed-null": "against -1 on"}),
    (lambda: excess_significance(Y, V), DIFFER),
    (lambda: excess_significance(Y[:9], V[:9]), FEW | DIFFER),
    (lambda: excess_significance(ALIKE, 0.1 * WIDE), {}),
    (lambda: excess_significance(**COUNTS, null=-1.0), DIFFER | {"assumed-null": "against -1 on"}),
]

#: "zero-weight" has a test of its own; no small table ends without convergence.
ELSEWHERE = {"zero-weight", "not-converged"}


@pytest.mark.parametrize(("call", "expected"), CASES)
def test_a_result_has_these_cautions_and_no_others(
    call: Callable[[], Any], expected: dict[str, str]
) -> None:
    caution_tools.compare(call(), expected)


def test_every_caution_of_the_room_is_expected_of_a_result() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in ROOM.glob("*.py"))
    known = set(re.findall(r'Caution\(\s*"([\w-]+)"', code))
    listed = code.partition("every = {")[2].partition("return")[0]
    known |= set(re.findall(r'^ {8}"([\w-]+)": \(', listed, re.MULTILINE))
    assert "sparse-interval" in known
    assert len(known) > 8
    assert known - {one for _, expected in CASES for one in expected} == ELSEWHERE
