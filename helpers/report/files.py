"""Write a report into a folder: all of it or nothing."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.errors import MetaAnalysisError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["write"]

#: Every folder that holds these was made here, and may be replaced.
_OURS = ("report.html", "results.json")


def write(
    folder: Path, html: str, results: Mapping[str, Any], frames: Mapping[str, pd.DataFrame]
) -> Path:
    """Write page, results and tables, first beside `folder` and then in its place.

    Raises
    ------
    MetaAnalysisError
        The folder exists and is not a report, or its parent does not exist.
    """
    parent = folder.resolve().parent
    if not parent.is_dir():
        raise MetaAnalysisError(f"{folder}: the folder {parent.name!r} above it does not exist")
    if folder.exists() and not _replaceable(folder):
        raise MetaAnalysisError(
            f"{folder} exists and is not a report; name another folder or remove it"
        )
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=parent))
    try:
        made.chmod(0o755)
        (made / "report.html").write_text(html, encoding="utf-8", newline="\n")
        text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (made / "results.json").write_text(text, encoding="utf-8", newline="\n")
        for name, frame in frames.items():
            frame.to_csv(made / f"{name}.csv", index=False, lineterminator="\n")
        if folder.exists():
            old = made / ".old"
            folder.rename(parent / f"{made.name}-old")
            made.rename(folder)
            shutil.rmtree(parent / f"{old.parent.name}-old")
        else:
            made.rename(folder)
    finally:
        if made.exists():
            shutil.rmtree(made)
    return folder


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return not any(folder.iterdir()) or all((folder / name).is_file() for name in _OURS)
