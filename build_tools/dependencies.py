"""What a result depends on besides who asks for it: code, data, packages, the processor."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import pickle
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from helpers import shared_results

ROOT = Path(__file__).resolve().parents[1]
REMEMBERED = ROOT / "_build" / "remembered"
Made = TypeVar("Made")
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
    """Give what the same code may meet: Python, its packages, and how the processor acts."""
    packages = sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))
    installed = hashlib.sha256("\n".join(packages).encode()).hexdigest()
    python = ".".join(map(str, sys.version_info[:2]))
    return [python, installed, *map(os.environ.get, PROCESSOR)]


def share_results(folder: Path, dependencies: str, former: Path | None = None) -> None:
    """Let this process and those that it starts compute what chapters and tests share once.

    What another such folder has of the same code and data is taken over. Runs that begin at once,
    as two of ``make test`` do, find the folder empty or whole, and read no half of a result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = json.dumps([dependencies, machine()])

    def is_of_now(place: Path) -> bool:
        mark = place / "state"
        return mark.is_file() and mark.read_text(encoding="utf-8") == state

    with shared_results.one_at_a_time(folder):
        if not is_of_now(folder):
            for old in folder.iterdir():
                old.unlink()
            (folder / "state").write_text(state, encoding="utf-8")
        if former is not None and is_of_now(former):
            for result in former.glob("*.pickle"):
                if not (here := folder / result.name).exists():
                    copied = here.with_suffix(".copied")
                    shutil.copyfile(result, copied)
                    copied.replace(here)
    os.environ.update({shared_results.FOLDER: str(folder), shared_results.STATE: state})


class Remembered:
    """What a step of the build made of each page, to be made anew only where that page changed.

    Parameters
    ----------
    step : str
        Name of the file below ``_build/remembered``.
    made_by : str
        Hashes of the code that makes it; other code, and other packages, remember nothing.
    """

    def __init__(self, step: str, *made_by: str) -> None:
        self.path = REMEMBERED / f"{step}.pickle"
        pins = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()
        self.made_by = (*made_by, pins, sys.version)
        self.former: dict[str, tuple[str, Any]] = {}
        self.now: dict[str, tuple[str, Any]] = {}
        if self.path.is_file():
            by, former = pickle.loads(self.path.read_bytes())
            self.former = former if by == self.made_by else {}

    def missing(self, page: str, made_from: str) -> bool:
        """Tell whether this has to be made; what is remembered stays remembered."""
        key = hashlib.sha256(made_from.encode()).hexdigest()
        if self.former.get(page, ("",))[0] != key:
            return True
        self.now[page] = self.former[page]
        return False

    def put(self, page: str, made_from: str, made: Any) -> None:
        """Remember what was made."""
        self.now[page] = (hashlib.sha256(made_from.encode()).hexdigest(), made)

    def of(self, page: str, made_from: str, make: Callable[[], Made]) -> Made:
        """Give what was made of the same before, or make it."""
        if self.missing(page, made_from):
            self.put(page, made_from, make())
        made: Made = self.now[page][1]
        return made

    def keep(self) -> None:
        """Store what this build made or took over, and forget the rest."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_bytes(pickle.dumps((self.made_by, self.now)))
        partial.replace(self.path)


def collect_seldom() -> None:
    """Let Python look for garbage more seldom, and never again among what there is by now.

    Modules, collected tests and read pages stay to the end. Python went through them time and
    again: for a fifth of the time of tests, and a third of that of their collection.
    """
    gc.set_threshold(50_000, 10, 10)
    gc.collect()
    gc.freeze()
