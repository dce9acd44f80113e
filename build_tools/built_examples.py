"""Examples in docstrings that the build ran: what they printed, and which of them tests leave out.

The build runs the examples on the pages of the reference, and warns where one does not print what
its docstring says; such a build fails. What passed is kept below ``_build`` for the same code,
data, packages and processor. ``make test`` does not run these again.
"""

from __future__ import annotations

import doctest
import hashlib
import inspect
import json
import re
import warnings
from typing import Any

from dependencies import ROOT, machine

from helpers.reference import ExampleError, ExampleStep, run_examples
from helpers.reference.examples import shown

STORE = ROOT / "_build" / "executed"
_FILE = re.compile(r"examples-([\w-]+)-(\w{32})")


def _key(page: str, dependencies: str) -> str:
    text = json.dumps([page, dependencies, machine()])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _place(found: Any) -> str:
    """Name an object as doctest does: by the module that defines it."""
    inner = inspect.unwrap(found)
    return f"{inner.__module__}.{inner.__qualname__}"


class Examples:
    """Outputs of the examples of one page, run or remembered."""

    def __init__(self, page: str, dependencies: str) -> None:
        self.page = page
        self.path = STORE / f"examples-{page}-{_key(page, dependencies)}.json"
        self.known: dict[str, list[list[str]]] = {}
        if self.path.is_file():
            self.known = json.loads(self.path.read_text(encoding="utf-8"))
        self.failed: list[str] = []

    def run(self, found: Any, name: str) -> tuple[ExampleStep, ...]:
        """Give the steps of an object's examples; a warning fails one, as it does in a test."""
        place = _place(found)
        if place not in self.known:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    steps = run_examples(found, name)
            except ExampleError as error:
                self.failed.append(str(error))
                return ()
            self.known[place] = [[step.code, step.output] for step in steps]
        return tuple(ExampleStep(code, output) for code, output in self.known[place])

    def keep(self) -> None:
        """Remember the outputs, and forget those of earlier versions."""
        STORE.mkdir(parents=True, exist_ok=True)
        for old in STORE.glob(f"examples-{self.page}-*.json"):
            if old != self.path:
                old.unlink()
        self.path.write_text(json.dumps(self.known), encoding="utf-8")


def code_of(examples: list[doctest.Example]) -> str:
    """Code of a whole docstring, to be compared with what the build ran of it."""
    return "\n".join(map(shown, examples))


def passed(dependencies: str) -> dict[str, str]:
    """Code of the examples that passed in a build of the same state -> by the place of each."""
    found: dict[str, str] = {}
    for path in STORE.glob("examples-*.json"):
        name = _FILE.fullmatch(path.stem)
        if name and name[2] == _key(name[1], dependencies):
            known = json.loads(path.read_text(encoding="utf-8"))
            found |= {at: "\n".join(code for code, _ in steps) for at, steps in known.items()}
    return found
