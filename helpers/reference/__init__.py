"""The reference of the helpers: pages made from docstrings, with examples that were run.

`rooms` says what is on which page, `room_page` writes one page as Markdown, `room_index` the list
of all names. `run_examples` runs the examples of one docstring and compares what they print with
what the docstring says, so that no page shows an output that the code no longer gives.
"""

from __future__ import annotations

from .codebooks import codebook_views, data_files
from .contents import Entry, Room, entries, rooms
from .docstrings import Docstring, parse_docstring
from .examples import ExampleError, ExampleStep, run_examples
from .guide import read_guide
from .menu import read_conventions, read_menu
from .migration import Migration, MigrationStep, MigrationValue, read_migration
from .pages import room_index, room_page
from .status import build_status, count_tests

__all__ = [
    "Docstring",
    "Entry",
    "ExampleError",
    "ExampleStep",
    "Migration",
    "MigrationStep",
    "MigrationValue",
    "Room",
    "build_status",
    "codebook_views",
    "count_tests",
    "data_files",
    "entries",
    "parse_docstring",
    "read_conventions",
    "read_guide",
    "read_menu",
    "read_migration",
    "room_index",
    "room_page",
    "rooms",
    "run_examples",
]
