"""Pytest plugin: nbval judges the stored outputs by the run of the build.

nbval would run every chapter a second time. The build has run the same cells, in the same
environment, under a key of all that they depend on; so its outputs are the fresh ones here, and
what has not been run yet is run now, as the build would. What is equal is nbval's own decision.
nbval passes over Markdown; the values of the prose ({eval}) are compared here, letter by letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chapters
import nbformat
import pytest
from inline_values import EVAL, expressions, text_of
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError, coalesce_streams

FRESH = pytest.StashKey[dict[Path, dict[str, NotebookNode]]]()


class StoredCell(IPyNbCell):
    """A code cell with stored outputs."""

    def runtest(self) -> None:
        """Compare the stored outputs with the fresh ones."""
        fresh = self.parent.fresh.get(self.cell.id)
        if fresh is None:
            raise NbCellError(self.cell_num, "Cell was not run", self.cell.source)
        fresh = fresh.outputs
        stored = coalesce_streams(self.cell.outputs)
        if not self.compare_outputs(coalesce_streams(fresh), stored):
            why = "\n".join(self.comparison_traceback)
            raise NbCellError(self.cell_num, "Cell outputs differ", self.cell.source, why)


class StoredProse(pytest.Item):
    """A Markdown cell whose text has values."""

    def __init__(self, *, cell: NotebookNode, **given: object) -> None:
        super().__init__(**given)
        self.cell = cell

    def runtest(self) -> None:
        """Compare the stored values with the expressions of the text and with the fresh values."""
        stored = [
            (entry["expression"], entry["result"])
            for entry in self.cell.metadata.get("user_expressions", [])
        ]
        wanted = expressions(self.cell.source)
        if [expression for expression, _ in stored] != wanted:
            raise StaleValueError(
                f"{self.name}: values are stored for {[e for e, _ in stored]}, and the text has "
                f"{wanted}; run the chapter (make refresh)"
            )
        fresh = self.parent.fresh.get(self.cell.id)
        now = fresh.metadata.get("user_expressions", []) if fresh else []
        for (expression, result), entry in zip(stored, now, strict=True):
            if result != entry["result"]:
                raise StaleValueError(
                    f"{self.name}: {{eval}}`{expression}` is now {text_of(entry['result'])!r}; "
                    f"stored is {text_of(result)!r} (make refresh)"
                )

    def repr_failure(self, excinfo: pytest.ExceptionInfo, *_: object) -> str:
        """Say what differs, without a traceback."""
        if isinstance(excinfo.value, StaleValueError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Name the cell."""
        return self.path, 0, self.name


class StaleValueError(AssertionError):
    """A stored value is not that of the text, or not that of the run."""


class StoredChapter(IPyNbFile):
    """A chapter with stored outputs."""

    def setup(self) -> None:
        """Read what nbval is to overlook; no kernel is started."""
        self.setup_sanitize_files()
        self.fresh = self.config.stash[FRESH][self.path]

    def collect(self) -> Iterator[StoredCell | StoredProse]:
        """Give the Markdown cells with values, and the code cells that nbval would run."""
        for cell in nbformat.read(self.path, as_version=4).cells:
            if cell.cell_type == "markdown" and (
                EVAL.search(cell.source) or "user_expressions" in cell.metadata
            ):
                yield StoredProse.from_parent(self, name=f"Prose {cell.id}", cell=cell)
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
        path: {cell.id: cell for cell in notebook.cells} for path, notebook in runs
    }


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> StoredChapter | None:
    """Collect notebooks."""
    if file_path.suffix != ".ipynb":
        return None
    return StoredChapter.from_parent(parent, path=file_path)
