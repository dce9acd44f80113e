"""Texts that pages are made of (``book/_data``), read into records with every field checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from ..errors import MetaAnalysisError
from .problems import CellProblem, EvidenceError

_Record = TypeVar("_Record")


def page_file(name: str) -> Path:
    """Return a file of ``book/_data``, which is in the repository and in no wheel."""
    path = Path(__file__).resolve().parents[2] / "book" / "_data" / name
    if not path.is_file():
        expected = (
            "a file of the repository: clone the book and install it with 'pip install -e .', "
            "or name a file of your own"
        )
        raise EvidenceError([CellProblem(f"book/_data/{name}", None, "", "no such file", expected)])
    return path


def page_content(name: str, path: str | Path | None = None) -> dict[str, Any]:
    """Read a TOML file: the one at `path`, or the book's own of this name."""
    import tomllib  # which the page that runs the engine in a browser does not have

    place = page_file(name) if path is None else Path(path)
    return tomllib.loads(place.read_text(encoding="utf-8"))


def record(kind: type[_Record], table: Mapping[str, Any], where: str) -> _Record:
    """Make a dataclass of a table that has its fields and no other.

    Line breaks in texts become spaces, lists become tuples.
    """
    own = fields(kind)  # type: ignore[arg-type]
    needed = {one.name for one in own if one.default is MISSING is one.default_factory}
    missing, extra = sorted(needed - set(table)), sorted(set(table) - {one.name for one in own})
    if missing or extra:
        raise MetaAnalysisError(
            f"{where}: missing {', '.join(missing) or 'nothing'}; "
            f"unknown {', '.join(extra) or 'nothing'}"
        )

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(value)
        return " ".join(value.split()) if isinstance(value, str) else value

    return kind(**{name: plain(value) for name, value in table.items()})
