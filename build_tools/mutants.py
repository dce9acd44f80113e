"""Change the engine a little, many times, and see whether its tests notice (``make mutants``).

Each mutant is one change by an operator of Cosmic Ray (a sign, a comparison, a number, a word of
logic) in a room of the toolkit. The tests of the three rooms and of the review are collected once,
and run once to see which functions each of them calls and how long it takes (kept below ``_build``
until code or tests change). Then every mutant is made in a fork of that process, which takes the
new code of the function and runs the tests that call it, the quickest first, until one fails:
first some seconds of tests of each mutant, then the others of those that are left. What
is not within a function (a constant, a default) is changed as it is imported, in a fork that has
imported numpy, scipy and pandas. The sample is that of its seed. A mutant that survives is
equivalent (``build_tools/equivalent_mutants.txt`` says why), or lacks a test. No file is changed.
"""

from __future__ import annotations

import argparse
import builtins
import math
import os
import sys
import time

import numpy as np
from calls_of_tests import CALLED, PLACE, record_file, recorded
from mutant_forks import in_a_session, noticed_as_imported
from mutant_sample import ROOMS, ROOT, Mutant, sample

EQUIVALENT = ROOT / "build_tools" / "equivalent_mutants.txt"

#: Tests that are asked: those of the rooms, of the review, where some of a room is proved, of how
#: results show themselves, and of what they say of their cost.
ASKED = (
    *(f"tests/{room}" for room in (*ROOMS, "review")),
    *(f"helpers/{room}" for room in ROOMS),
    "tests/test_shown.py",
    "tests/test_long_calls.py",
)

LEAST = 0.9  # share of mutants that have to be noticed

LONGEST = 8  # CPU seconds; a test that takes longer is not asked


def equivalent() -> set[str]:
    """Read the changes that were shown to compute the same, without the numbers of their lines."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines() if EQUIVALENT.is_file() else []
    return {line for line in lines if line.startswith("helpers/")}


def label(mutant: Mutant) -> str:
    """Write a mutant as the list of equivalent ones writes it."""
    return f"{mutant.path} {mutant.change.partition(': ')[2]}"


def main() -> int:
    """Say of each mutant which test noticed it."""
    parser = argparse.ArgumentParser(prog="make mutants", description=main.__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no mutant after")
    parser.add_argument("--tests", nargs="+", default=ASKED, help="tests to ask")
    parser.add_argument("--longest", type=float, default=LONGEST, help="CPU seconds of a test")
    parser.add_argument("rooms", nargs="*", default=ROOMS, help="folders or files of the helpers")
    given = parser.parse_args()
    sys.path.append(str(PLACE / "tool"))  # after the environment, which stays what it is
    os.chdir(ROOT)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    setattr(builtins, CALLED, set())
    mutants = [*sample(given.count, given.seed, tuple(given.rooms))]
    known, alive, tried = equivalent(), [], 0
    given.until = time.perf_counter() + 60 * given.minutes

    def tell(mutant: Mutant, said: str, seconds: float) -> None:
        nonlocal tried
        survives = said in {"", "no test calls it"}
        if survives and label(mutant) in known:
            verdict = "is equivalent"
        else:
            tried += 1
            verdict = f"SURVIVES {said}" if survives else f"noticed by {said}"
            alive.extend([mutant] * survives)
        print(
            f"{tried:>3} {seconds:5.0f} s  {mutant.path} {mutant.change}\n     {verdict}",
            flush=True,
        )

    for index, said, seconds in in_a_session(mutants, given):
        if said is None:  # no test calls it
            if time.perf_counter() > given.until:
                continue
            start = time.perf_counter()
            said = noticed_as_imported(
                mutants[index], recorded(record_file(tuple(given.tests), given.longest))
            )
            seconds = time.perf_counter() - start
        tell(mutants[index], said, seconds)
    from helpers.engine.proportion_intervals import wilson  # after all forks, which import it anew

    (low,), (high,) = wilson(np.array([tried - len(alive)]), np.array([tried]))
    print(
        f"{tried - len(alive)} of {tried} mutants noticed ({100 * (1 - len(alive) / tried):.0f}%, "
        f"95% CI {100 * low:.0f}% to {100 * high:.0f}%)"
    )
    for mutant in alive:
        print(f"survives: {label(mutant)}")
    return 0 if len(alive) <= (1 - LEAST) * tried else 1


if __name__ == "__main__":
    raise SystemExit(main())
