"""What a result depends on besides who asks for it: code, data, packages, the processor."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from helpers import shared_results

ROOT = Path(__file__).resolve().parents[1]
DEPENDENCIES = (
    "helpers/**/*",
    "data/**/*",
    "requirements.txt",
    "book/_data/*",
    "benchmarks/results/*",  # the decision guide reads the simulation
)
PROCESSOR = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")  # make one processor act as another


def dependency_hash() -> str:
    """Hash of all that every chapter depends on besides its own code."""
    digest = hashlib.sha256()
    for pattern in DEPENDENCIES:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    return digest.hexdigest()


def machine() -> list[str | None]:
    """Give what the same code and data may meet otherwise: Python, and how the processor acts."""
    return [".".join(map(str, sys.version_info[:2])), *map(os.environ.get, PROCESSOR)]


def share_results(folder: Path, dependencies: str) -> None:
    """Let this process and those that it starts compute what chapters and tests share once."""
    folder.mkdir(parents=True, exist_ok=True)
    state = json.dumps([dependencies, machine()])
    mark = folder / "state"
    if not mark.is_file() or mark.read_text(encoding="utf-8") != state:
        for old in folder.iterdir():
            old.unlink()
        mark.write_text(state, encoding="utf-8")
    os.environ.update({shared_results.FOLDER: str(folder), shared_results.STATE: state})
