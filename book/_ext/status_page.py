"""Sphinx extension: the page that says what a build was made from.

It is written anew in every build (the line ``% build-status`` is its place), so that no stored
output can be older than the files it describes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from page_facts import build_date, written_out

from helpers.reference import build_status

ROOT = Path(__file__).resolve().parents[2]
PLACE = re.compile(r"^% build-status[ ]*$", re.M)


def fill(app: Any, page: str, source: list[str]) -> None:
    """Put the status where the page asks for it."""
    if PLACE.search(source[0]):
        text = str(build_status(ROOT, written_out(build_date())))
        source[0] = PLACE.sub(lambda _: text, source[0])
        app.env.note_reread()


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
