"""Run targets of the Makefile in turn, and end with the time of each and the slowest tests.

``make test`` calls this with its parts. A part that fails ends the run with its exit status; what
ran before it is still summed up.
"""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
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


def summary(times: dict[str, float], records: list[Path]) -> str:
    """Tables of the slowest tests and of the parts, in seconds."""
    lines = []
    if tests := slowest(records):
        lines += [f"The {len(tests)} slowest tests, seconds (with set-up and clean-up):"]
        lines += [f"{seconds:8.1f}  {name}" for seconds, name in tests]
    lines += ["Parts, seconds:", *(f"{seconds:8.1f}  {part}" for part, seconds in times.items())]
    return "\n".join([*lines, f"{sum(times.values()):8.1f}  all"])


def main(parts: list[str]) -> int:
    """Run the parts and say how long each took."""
    for old in RECORDS.glob("*.xml"):
        old.unlink()
    times: dict[str, float] = {}
    status = 0
    for part in parts:
        start = time.perf_counter()
        status = subprocess.run(["make", "--no-print-directory", part], cwd=ROOT).returncode
        times[part] = time.perf_counter() - start
        if status:
            break
    print(summary(times, sorted(RECORDS.glob("*.xml"))), flush=True)
    if status:
        print(f"make {part} failed", file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
