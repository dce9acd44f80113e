"""Sphinx extension: pages of the reference, made from docstrings when the book is built.

A page that holds a line ``% api: pooling`` gets the text of that room of `helpers.reference` in its
place. Its examples are run, on all cores before any page is read, and one that does not print what
its docstring says is a warning. What was printed is kept below ``_build`` until a helper, a data
file or the environment changes.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from address import BRANCH, repository
from built_examples import Examples
from dependencies import dependency_hash
from sphinx.util import logging
from sphinx.util.parallel import ParallelTasks, SerialTasks, parallel_available

from helpers.reference import Room, entries, room_page, rooms

PLACE = re.compile(r"^% api: ([\w-]+)[ ]*$", re.M)
WIDTH = 78  # characters of a signature beyond which each argument gets its line
logger = logging.getLogger(__name__)


def _run_examples(app: Any, env: Any, pages: list[str]) -> None:
    """Run the examples of the pages that will be read, those of the most names first.

    They are a third of all reading, and two pages have half of them: dealt out with the pages they
    would keep one core busy while the other waits. What fails here fails again in `fill`, aloud.
    """
    asked = {name for page in pages if (name := _room_of(Path(env.doc2path(page))))}
    several = parallel_available and app.parallel > 1
    tasks = ParallelTasks(app.parallel) if several else SerialTasks()
    for room in sorted(rooms(), key=lambda room: -len(entries(room))):
        if room.id in asked:
            tasks.add_task(_make, room)
    tasks.join()


def _room_of(path: Path) -> str | None:
    match = PLACE.search(path.read_text(encoding="utf-8")) if path.suffix == ".md" else None
    return match[1] if match else None


def _make(room: Room, address: str | None = None) -> tuple[str, list[str]]:
    """Write the text of a room; give the examples that failed beside it."""
    examples = Examples(room.id, dependency_hash())
    text = room_page(room, address, examples.run)
    examples.keep()
    return text, examples.failed


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
    text, failed = _make(room, app.api_address)
    for failure in failed:
        logger.warning("an example of the reference is wrong: %s", failure, location=page)
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
    app.connect("env-before-read-docs", _run_examples)
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
