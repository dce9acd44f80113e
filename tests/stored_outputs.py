"""Pytest plugin: nbval judges the stored outputs by the run of the build.

nbval would run every chapter a second time. The build has run the same cells, in the same
environment, under a key of all that they depend on; so its outputs are the fresh ones here, and
what has not been run yet is run now, as the build would. What is equal is nbval's own decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chapters
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError, coalesce_streams

FRESH = pytest.StashKey[dict[Path, dict[str, list]]]()


class StoredCell(IPyNbCell):
    """A code cell with stored outputs."""

    def runtest(self) -> None:
        """Compare the stored outputs with the fresh ones."""
        fresh = self.parent.fresh.get(self.cell.id)
        if fresh is None:
            raise NbCellError(self.cell_num, "Cell was not run", self.cell.source)
        stored = coalesce_streams(self.cell.outputs)
        if not self.compare_outputs(coalesce_streams(fresh), stored):
            why = "\n".join(self.comparison_traceback)
            raise NbCellError(self.cell_num, "Cell outputs differ", self.cell.source, why)


class StoredChapter(IPyNbFile):
    """A chapter with stored outputs."""

    def setup(self) -> None:
        """Read what nbval is to overlook; no kernel is started."""
        self.setup_sanitize_files()
        self.fresh = self.config.stash[FRESH][self.path]

    def collect(self) -> Iterator[StoredCell]:
        """Give the code cells that nbval would run."""
        for item in super().collect():
            yield StoredCell.from_parent(
                self, name=item.name, cell_num=item.cell_num, cell=item.cell, options=item.options
            )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Take the outputs of the build, running what has not been run."""
    named = [Path(name).resolve() for name in session.config.args if name.endswith(".ipynb")]
    try:
        runs = chapters.executed(named or chapters.chapter_paths())
    except chapters.ChapterError as error:
        pytest.exit(str(error), returncode=1)
    session.config.stash[FRESH] = {
        path: {c.id: c.outputs for c in notebook.cells if c.cell_type == "code"}
        for path, notebook in runs
    }


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> StoredChapter | None:
    """Collect notebooks."""
    if file_path.suffix != ".ipynb":
        return None
    return StoredChapter.from_parent(parent, path=file_path)
