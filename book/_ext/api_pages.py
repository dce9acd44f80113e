"""Sphinx extension: pages of the reference, made from docstrings when the book is built.

A page that holds a line ``% api: pooling`` gets the text of that room of `helpers.reference` in its
place. Its examples are run, and one that does not print what its docstring says is a warning. What
was printed is kept below ``_build`` until a helper, a data file or the environment changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from address import BRANCH, repository
from dependencies import dependency_hash
from sphinx.util import logging

from helpers.reference import ExampleError, ExampleStep, room_page, rooms, run_examples

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "_build" / "executed"
PLACE = re.compile(r"^% api: ([\w-]+)[ ]*$", re.M)
WIDTH = 78  # characters of a signature beyond which each argument gets its line
logger = logging.getLogger(__name__)


class Examples:
    """Outputs of the examples of one page, run or remembered."""

    def __init__(self, page: str, dependencies: str) -> None:
        key = hashlib.sha256(f"{page} {dependencies}".encode()).hexdigest()[:32]
        self.path = CACHE / f"examples-{page}-{key}.json"
        self.known: dict[str, list[list[str]]] = {}
        if self.path.is_file():
            self.known = json.loads(self.path.read_text(encoding="utf-8"))
        self.failed: list[str] = []

    def run(self, found: Any, name: str) -> tuple[ExampleStep, ...]:
        """Give the steps of an object's examples."""
        if name not in self.known:
            try:
                steps = run_examples(found, name)
            except ExampleError as error:
                self.failed.append(str(error))
                return ()
            self.known[name] = [[step.code, step.output] for step in steps]
        return tuple(ExampleStep(code, output) for code, output in self.known[name])

    def keep(self, page: str) -> None:
        """Remember the outputs, and forget those of earlier versions."""
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"examples-{page}-*.json"):
            if old != self.path:
                old.unlink()
        self.path.write_text(json.dumps(self.known), encoding="utf-8")


def fill(app: Any, page: str, source: list[str]) -> None:
    """Put the text of a room where the page asks for it."""
    match = PLACE.search(source[0])
    if match is None:
        return
    by_id = {room.id: room for room in rooms()}
    if match[1] not in by_id:
        logger.warning("no room of the helpers is called %r", match[1], location=page)
        return
    room = by_id[match[1]]
    for module in room.modules:
        home = Path(import_module(module).__file__ or "")
        files = home.parent.glob("*.py") if home.name == "__init__.py" else [home]
        for path in sorted(files):
            app.env.note_dependency(str(path))
    examples = Examples(room.id, dependency_hash())
    text = room_page(room, app.api_address, examples.run)
    for failure in examples.failed:
        logger.warning("an example of the reference is wrong: %s", failure, location=page)
    examples.keep(room.id)
    source[0] = source[0][: match.start()] + text + source[0][match.end() :]


def _load(app: Any) -> None:
    os.environ.setdefault("MPLBACKEND", "agg")
    address = repository()
    app.api_address = f"{address}/blob/{BRANCH}/" if address else None


def _configure(app: Any, config: Any) -> None:
    config.python_maximum_signature_line_length = WIDTH
    config.toc_object_entries_show_parents = "hide"


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", _configure)
    app.connect("builder-inited", _load)
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
