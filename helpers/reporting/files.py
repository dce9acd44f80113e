"""Write a report into a folder: all of it or nothing, and over nothing that others wrote."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MetaAnalysisError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MANIFEST", "write"]

#: Lists the files that the report wrote, each with its checksum.
MANIFEST = "manifest.json"


def write(
    folder: Path, html: str, results: Mapping[str, Any], frames: Mapping[str, pd.DataFrame]
) -> Path:
    """Write page, results and tables, first into a hidden folder and then into their place.

    The folder is made now, empty, or holds an earlier report, whose files are replaced; every other
    file in it stays. Refused when the folder above does not exist, when it holds other things and
    no report, or when a file that would be replaced is not the report's or was changed since. After
    an `OSError` the folder is as it was.
    """
    parent = folder.resolve().parent
    if not parent.is_dir():
        raise MetaAnalysisError(f"{folder}: the folder {parent.name!r} above it does not exist")
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    wanted = {"report.html": html, "results.json": text}
    for name, frame in frames.items():
        wanted[f"{name}.csv"] = frame.to_csv(index=False, lineterminator="\n")
    content = {name: value.encode("utf-8") for name, value in wanted.items()}
    sums = {name: _checksum(value) for name, value in content.items()}
    listed = json.dumps({"files": sums}, indent=1, sort_keys=True) + "\n"
    content[MANIFEST] = listed.encode("utf-8")
    stale = _replaceable(folder, content) if folder.exists() or folder.is_symlink() else []
    if folder.is_dir():
        # inside the folder, which may be on a disk of its own
        made = Path(tempfile.mkdtemp(prefix=".report-", dir=folder))
    else:
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=parent))
    try:
        for name, value in content.items():
            (made / name).write_bytes(value)
        if folder.is_dir():
            _exchange(folder, made, content, stale)
        else:
            made.chmod(0o755)
            made.rename(folder)
    finally:
        if made.exists():
            shutil.rmtree(made)
    return folder


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replaceable(folder: Path, content: Iterable[str]) -> list[str]:
    """Give the files of the earlier report that nobody changed; refuse to touch any other."""
    other = "name another folder, or move what is in it"
    if not folder.is_dir():
        raise MetaAnalysisError(f"{folder} exists and is not a folder; {other}")
    if not any(folder.iterdir()):
        return []
    try:
        known = _listed(folder / MANIFEST)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MetaAnalysisError(
            f"{folder} exists and is not a report: it has no readable {MANIFEST}, which lists the "
            f"files that may be replaced; {other}"
        ) from error
    ours = [
        name
        for name, checksum in known.items()
        if not (folder / name).is_symlink()
        and (folder / name).is_file()
        and _checksum((folder / name).read_bytes()) == checksum
    ]
    taken = [
        name
        for name in content
        if name != MANIFEST
        and name not in ours
        and ((folder / name).exists() or (folder / name).is_symlink())
    ]
    if taken:
        raise MetaAnalysisError(
            f"{folder}: the report would overwrite {', '.join(sorted(taken))}, which it did not "
            "write or which was changed since; rename the file, or name another folder"
        )
    return ours


def _listed(manifest: Path) -> dict[str, str]:
    files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    # a name with a path could reach files outside the folder
    if any(name != Path(name).name or not isinstance(sum_, str) for name, sum_ in files.items()):
        raise ValueError(f"{manifest} names a file outside its folder")
    return dict(files)


def _exchange(folder: Path, made: Path, content: Iterable[str], stale: Iterable[str]) -> None:
    """Put new files in the place of old ones; if one cannot be moved, all are put back."""
    old = made / ".old"
    old.mkdir()
    moved: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        source.rename(target)
        moved.append((source, target))

    try:
        for name in {MANIFEST, *stale}:
            if (folder / name).exists():
                move(folder / name, old / name)
        for name in content:
            move(made / name, folder / name)
    except OSError:
        for source, target in reversed(moved):
            target.rename(source)
        raise
