"""Sphinx extension: tables of results that the site offers as files under ``downloads/``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from chapters import CACHE
from dependencies import dependency_hash

from helpers.review.published import reproduction


def reproduction_csv() -> Path:
    """Write the reproduction report once for each state of helpers and data."""
    stored = CACHE / f"reproduction-{dependency_hash()[:32]}.csv"
    if not stored.exists():
        for old in CACHE.glob("reproduction-*.csv"):
            old.unlink()
        partial = stored.with_suffix(".partial")
        reproduction().to_csv(partial)
        partial.replace(stored)
    return stored


def _write(app: Any, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        folder = Path(app.outdir) / "downloads"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(reproduction_csv(), folder / "reproduction.csv")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
