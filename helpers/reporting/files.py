"""Write a report into a folder: all of it or nothing, and over nothing that others wrote."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import printing
from ..door import pd
from ..errors import MetaAnalysisError

#: Lists the files that the report wrote, each with its checksum.
MANIFEST = "manifest.json"
#: All files of the report in one.
ARCHIVE = "report.zip"
#: Of every file in an archive: the same report gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def table_as_csv(frame: pd.DataFrame) -> str:
    """Print a table as CSV in which a spreadsheet finds no formula, in cells or headings.

    >>> import pandas as pd
    >>> print(table_as_csv(pd.DataFrame({"study": ["=1+1", "A"], "change": [-2.5, 1.0]})))
    study,change
    '=1+1,-2.5
    A,1.0
    <BLANKLINE>
    """

    def neutral(value: Any) -> Any:
        return printing.no_formula(value) if isinstance(value, str) else value

    shown = frame.rename(columns=neutral)
    for name in shown.columns[[kind.kind not in "biuf" for kind in shown.dtypes]]:
        shown[name] = shown[name].map(neutral)
    return str(shown.to_csv(index=False, lineterminator="\n"))


def collect(
    texts: Mapping[str, str], results: Mapping[str, Any], frames: Mapping[str, pd.DataFrame]
) -> dict[str, bytes]:
    """Give texts, results and tables as the content of files."""
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    wanted = {**texts, "results.json": text}
    wanted |= {f"{name}.csv": table_as_csv(frame) for name, frame in frames.items()}
    return {name: value.encode("utf-8") for name, value in wanted.items()}


def undated(content: Mapping[str, bytes]) -> bytes:
    """Pack files into one archive that depends on nothing but their names and bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in content.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = 0o644 << 16
            packed = name.endswith((".png", ".tiff", ".docx"))  # already
            archive.writestr(entry, value, zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files and an archive of them, first into a hidden folder and then into their place.

    The folder is made now, empty, or holds an earlier report, whose files are replaced; every other
    file in it stays. Refused when the folder above does not exist, when it holds other things and
    no report, or when a file that would be replaced is not the report's or was changed since. After
    an `OSError` the folder is as it was.
    """
    parent = folder.resolve().parent
    if not parent.is_dir():
        raise MetaAnalysisError(f"{folder}: the folder {parent.name!r} above it does not exist")
    content = {**files, ARCHIVE: undated(files)}
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
