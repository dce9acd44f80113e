"""Run targets of the Makefile in turn, and end with the time of each and the slowest tests.

``make test`` calls this with its parts. Parts joined by a plus run side by side, the last of them
in sight and the others with their output afterwards: what uses one core is done beside what fills
the rest. A part that fails ends the run with its exit status; what ran before is still summed up.
"""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Where the parts leave what they measured of each test (``--junitxml``).
RECORDS = ROOT / "_build" / "tests"
SLOWEST = 20


def slowest(records: list[Path], count: int = SLOWEST) -> list[tuple[float, str]]:
    """Seconds and names of the slowest tests in JUnit files, the slowest first."""
    found = []
    for record in records:
        for case in ET.parse(record).iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            found.append((float(case.get("time") or 0.0), name))
    return sorted(found, key=lambda one: (-one[0], one[1]))[:count]


def summary(times: dict[str, float], records: list[Path], whole: float) -> str:
    """Tables of the slowest tests and of the parts, in seconds; `whole` is the time of all."""
    lines = []
    if tests := slowest(records):
        lines += [f"The {len(tests)} slowest tests, seconds (with set-up and clean-up):"]
        lines += [f"{seconds:8.1f}  {name}" for seconds, name in tests]
    lines += ["Parts, seconds:", *(f"{seconds:8.1f}  {part}" for part, seconds in times.items())]
    return "\n".join([*lines, f"{whole:8.1f}  all"])


def run(part: str, *, out_of_sight: bool = False) -> tuple[int, float, str]:
    """Status, seconds, and what a part said that runs out of sight."""
    start = time.perf_counter()
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if out_of_sight else {}
    done = subprocess.run(["make", "--no-print-directory", part], cwd=ROOT, text=True, **kept)
    return done.returncode, time.perf_counter() - start, done.stdout or ""


def main(steps: list[str]) -> int:
    """Run the parts and say how long each took."""
    for old in RECORDS.glob("*.xml"):
        old.unlink()
    start = time.perf_counter()
    times: dict[str, float] = {}
    failed: dict[str, int] = {}
    for step in steps:
        *beside, part = step.split("+")
        with ThreadPoolExecutor() as threads:
            others = {one: threads.submit(run, one, out_of_sight=True) for one in beside}
            found = {part: run(part)} | {one: other.result() for one, other in others.items()}
        for one, (status, seconds, said) in found.items():
            print(said, end="")
            times[one if one == part else f"{one} (beside {part})"] = seconds
            if status:
                failed[one] = status
        if failed:
            break
    whole = time.perf_counter() - start
    print(summary(times, sorted(RECORDS.glob("*.xml")), whole), flush=True)
    for part in failed:
        print(f"make {part} failed", file=sys.stderr)
    return next(iter(failed.values()), 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
