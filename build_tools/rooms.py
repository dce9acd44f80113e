"""Draw the rooms of ``helpers`` from their imports: ``make rooms`` writes the picture.

The picture in ``CONTRIBUTING.md`` is this one; a test compares them. An arrow that other arrows
imply (a room imports what its import imports) is not drawn.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "helpers"
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms: written by `make rooms` -->", "<!-- end of rooms -->"

Arrows = Mapping[str, frozenset[str]]


def arrows(package: str = PACKAGE) -> dict[str, frozenset[str]]:
    """Room -> rooms that its modules import; imports for type checking alone do not count."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    found = {}
    for room in graph.find_children(package):
        inside = {room, *graph.find_descendants(room)}
        imported = {m for one in inside for m in graph.find_modules_directly_imported_by(one)}
        rooms = {".".join(module.split(".")[:2]) for module in imported - inside - {package}}
        found[room.removeprefix(f"{package}.")] = frozenset(
            name.removeprefix(f"{package}.") for name in rooms
        )
    return found


def reached(drawn: Arrows) -> dict[str, frozenset[str]]:
    """Room -> all rooms below it, by any number of arrows.

    Raises
    ------
    SystemExit
        The arrows run in a circle.
    """
    below: dict[str, frozenset[str]] = {}
    try:
        for room in TopologicalSorter(drawn).static_order():
            below[room] = drawn[room].union(*(below[other] for other in drawn[room]))
    except CycleError as error:
        raise SystemExit(f"imports run in a circle: {' -> '.join(error.args[1])}") from None
    return below


def floors(drawn: Arrows) -> dict[str, int]:
    """Room -> how many arrows lie at most between it and the ground."""
    below = reached(drawn)
    found: dict[str, int] = {}
    for room in sorted(drawn, key=lambda name: len(below[name])):
        found[room] = 1 + max((found[other] for other in drawn[room]), default=-1)
    return found


def shortened(drawn: Arrows) -> list[tuple[str, str]]:
    """Arrows that no other arrows imply."""
    below = reached(drawn)
    return sorted(
        (room, other)
        for room, others in drawn.items()
        for other in others
        if not any(other in below[third] for third in others)
    )


def holds(room: str) -> str:
    """First sentence of the docstring of a room."""
    path = ROOT / PACKAGE / room
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`").rstrip(".")


def picture(drawn: Arrows) -> str:
    """Draw the rooms, and list them in a table, the highest floor first."""
    level = floors(drawn)
    order = sorted(drawn, key=lambda room: (-level[room], room))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {room}" for room in order]
    lines += [f"    {room} --> {other}" for room, other in shortened(drawn)]
    lines += ["```", "", "| floor | room | holds |", "|---:|---|---|"]
    return "\n".join([*lines, *(f"| {level[r]} | `{r}` | {holds(r)} |" for r in order)])


def written(page: str, text: str) -> str:
    """Put this text between the two marks of the page."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise SystemExit(f"no place for the rooms: expected the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main() -> int:
    """Write the picture into the page."""
    sys.path.insert(0, str(ROOT))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page, picture(arrows())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
