"""Exercises of a chapter, as its notebook has them."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.teaching.solutions import cells

LABEL = re.compile(r"^:label:\s*(\S+)", re.M)
BLOCK = re.compile(r"(?=^[`:]{3,}\{)", re.M)
HEAD = re.compile(r"[`:]{3,}\{(exercise|solution)\}(.*)")


def exercises(notebook: str | Path) -> dict[str, bool]:
    """Labels of the exercises of a chapter, and whether each has a solution that was executed.

    True if the cells under the heading of its solution hold code that ran, or the solution stands
    in one cell of its own.
    """
    found: dict[str, bool] = {}
    for cell, source, inside in cells(notebook):
        if cell["cell_type"] == "code":
            if inside and cell.get("execution_count") is not None:
                found[inside] = True
            continue
        for block in BLOCK.split(source):
            head = HEAD.match(block)
            if head and head[1] == "exercise":
                label = LABEL.search(block)
                assert label is not None, f"{Path(notebook).name}: an exercise has no label"
                found[label[1]] = False
            elif head:
                found[head[2].strip()] = True
    return found
