"""The reference of the helpers: pages made from docstrings, with examples that were run.

`ROOMS` says what is on which page, `room_page` writes one page as Markdown, `room_index` the list
of all names. `run_examples` runs the examples of one docstring and compares what they print with
what the docstring says, so that no page shows an output that the code no longer gives.
"""

from __future__ import annotations

from helpers.reference.codebooks import codebook_views
from helpers.reference.docstrings import Docstring, parse_docstring
from helpers.reference.examples import ExampleError, Step, run_examples
from helpers.reference.migration import (
    Migration,
    MigrationStep,
    MigrationValue,
    read_migration,
)
from helpers.reference.pages import room_index, room_page
from helpers.reference.rooms import ROOMS, Entry, Room, entries, rooms
from helpers.reference.status import build_status, count_tests

__all__ = [
    "ROOMS",
    "Docstring",
    "Entry",
    "ExampleError",
    "Migration",
    "MigrationStep",
    "MigrationValue",
    "Room",
    "Step",
    "build_status",
    "codebook_views",
    "count_tests",
    "entries",
    "parse_docstring",
    "read_migration",
    "room_index",
    "room_page",
    "rooms",
    "run_examples",
]
