"""Run the chapters: for the book (``book/_ext/chapter_pages.py``) and in place (``make refresh``).

A chapter is run again when its code, a helper, a data file or the pinned environment has
changed. The stock jupyter-cache looks at code cells alone and would serve a chapter with
yesterday's data, so the key of a run is made here from everything that a result depends on.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

import nbformat
from dependencies import dependency_hash, machine, share_results
from inline_values import CELL_TIMEOUT, ChapterClient, ChapterError
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from stored_pictures import store
from warm_kernels import AT_IMPORT, WarmKernels

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
CACHE = ROOT / "_build" / "executed"
SHARED = ROOT / "_build" / "shared"
CORES = os.cpu_count() or 1
WARM_FROM = 3  # chapters; for fewer, importing once for all costs more than it saves
#: Seconds of the longest chapters, for order and forecast of a first build; later ones know better.
LONG = {
    "bayes": 27.0,
    "gallery_more": 14.0,  # it comes early, and its corrections and reproduction serve others
    "method_menu": 11.0,
    "small_study_effects": 11.0,
    "multiverse": 9.0,
    "your_own_table": 9.0,
    "conventions": 8.0,
    "index": 7.0,
    "subgroups": 7.0,
    "meta_regression": 6.0,
    "pooling": 6.0,
    "self_check": 6.0,
    "teaching_kit": 6.0,
    "explore": 5.0,
}
SHORT = 2.0  # any other chapter
PAGES = 55.0  # to read and write all pages
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def chapter_paths() -> list[Path]:
    """Every notebook of the book, in the order of its name."""
    return sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def run_key(notebook: NotebookNode, dependencies: str) -> str:
    """Key of a run: the chapter's cells (their order, kind, tags and text) and the dependencies."""
    cells = [(c.cell_type, c.source, sorted(c.metadata.get("tags", []))) for c in notebook.cells]
    text = json.dumps([dependencies, machine(), cells])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def imported(notebook: NotebookNode) -> set[str]:
    """Names of the modules that the cells of a chapter import, where they can be read."""
    found: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                tree = ast.parse(cell.source)
            except SyntaxError:  # a magic; or a mistake, which the run will name
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    found.update(name.name for name in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module)
    return found


async def execute(path: Path, kernels: WarmKernels | None = None) -> NotebookNode:
    """Run a chapter in a fresh kernel and return it with its outputs.

    Parameters
    ----------
    path : Path
        The notebook.
    kernels : WarmKernels, optional
        Where the kernel comes from; without them, or where they cannot be had, it starts cold.

    Raises
    ------
    ChapterError
        When a cell or an expression of the prose raises, runs too long, writes to stderr or kills
        its kernel, or when an expression gives no text.
    """
    notebook = nbformat.read(path, as_version=4)
    name = path.relative_to(ROOT).as_posix()
    client = ChapterClient(
        notebook,
        kernel_manager_class=kernels.manager() if kernels else AsyncKernelManager,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # no talk of ports on this machine
        coalesce_streams=True,
        shutdown_kernel="immediate",  # nothing in a kernel is worth a polite second of waiting
    )
    try:
        await client.async_execute(env={**os.environ, **AT_IMPORT})
    except ChapterError as error:
        raise ChapterError(f"{name}, {error}") from error
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        where = next(
            (
                i
                for i, cell in enumerate(notebook.cells, start=1)
                if cell.cell_type == "code"
                and any(o.output_type == "error" for o in cell.get("outputs", []))
            ),
            None,
        )
        place = f"{name}, cell {where}" if where else name
        raise ChapterError(f"{place}: {type(error).__name__}\n{error}") from error
    return _tidy(notebook, name)


def _tidy(notebook: NotebookNode, name: str) -> NotebookNode:
    """Keep what the chapter says and drop what changes from machine to machine."""
    notebook.metadata = nbformat.from_dict(
        {**METADATA, **{k: v for k, v in notebook.metadata.items() if k not in METADATA}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, start=1):
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise ChapterError(
                    f"{name}, cell {number}: wrote to stderr (a warning?)\n{output.text}"
                )
            output.get("metadata", {}).pop("execution", None)
    return notebook


def dumps(notebook: NotebookNode) -> str:
    """Text of a notebook file: the same for the same content, with a newline at the end."""
    return nbformat.writes(notebook, version=4, indent=1).rstrip("\n") + "\n"


class Durations:
    """How long each chapter ran when it last ran, to run the longest first and to say how long."""

    def __init__(self) -> None:
        self.path = CACHE / "durations.json"
        self.known: dict[str, float] = dict(LONG)
        if self.path.is_file():
            self.known |= json.loads(self.path.read_text(encoding="utf-8"))

    def of(self, path: Path) -> float:
        """Seconds of a chapter."""
        return self.known.get(path.stem, SHORT)

    @property
    def pages(self) -> float:
        """Seconds to read and write all pages."""
        return self.known.get("(pages)", PAGES)

    def keep(self, name: str, seconds: float) -> None:
        """Remember a chapter or, as "(pages)", what comes after all chapters."""
        self.known[name] = round(seconds, 1)
        self.path.write_text(json.dumps(self.known, indent=1, sort_keys=True), encoding="utf-8")


async def _run(todo: dict[Path, Path], kernels: WarmKernels | None) -> dict[Path, ChapterError]:
    """Run chapters side by side, the longest first, and store them; give those that failed."""
    durations = Durations()
    free = asyncio.Semaphore(CORES)
    done = 0

    async def one(path: Path, stored: Path) -> None:
        nonlocal done
        async with free:
            start = time.perf_counter()
            try:
                notebook = await execute(path, kernels)
            finally:
                done += 1
                seconds = time.perf_counter() - start
                name = path.relative_to(ROOT).as_posix()
                print(f"  {done:>2} of {len(todo)}  {seconds:5.1f} s  {name}", flush=True)
        for old in CACHE.glob(f"{path.stem}-*.ipynb"):
            old.unlink()
        partial = stored.with_suffix(".partial")
        partial.write_text(dumps(notebook), encoding="utf-8")
        partial.replace(stored)  # so that a run cut short leaves no half-written entry
        durations.keep(path.stem, seconds)

    paths = sorted(todo, key=lambda path: (-durations.of(path), path))
    runs = await asyncio.gather(*(one(p, todo[p]) for p in paths), return_exceptions=True)
    failures = {path: run for path, run in zip(paths, runs, strict=True) if run is not None}
    for failure in failures.values():
        if not isinstance(failure, ChapterError):
            raise failure
    return failures  # type: ignore[return-value]


def executed(paths: Iterable[Path], *, fresh: bool = False) -> list[tuple[Path, NotebookNode]]:
    """Return each chapter with outputs, from the cache where nothing it depends on has changed.

    Drawings are images, as they are stored (``stored_pictures``). Chapters run side by side, one a
    core. All of them run before a failure is raised, so that one build names every failing chapter.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    dependencies = dependency_hash()
    share_results(SHARED, dependencies)
    notebooks = {path: nbformat.read(path, as_version=4) for path in paths}
    stored = {
        path: CACHE / f"{path.stem}-{run_key(notebook, dependencies)}.ipynb"
        for path, notebook in notebooks.items()
    }
    todo = {path: place for path, place in stored.items() if fresh or not place.exists()}
    if todo:
        durations = Durations()
        expected = max(max(map(durations.of, todo)), sum(map(durations.of, todo)) / CORES)
        print(
            f"Running {len(todo)} of {len(stored)} chapters, about {expected + 3:.0f} s:",
            flush=True,
        )
        modules = sorted(set().union(*(imported(notebooks[path]) for path in todo)))
        if len(todo) < WARM_FROM:
            failures = asyncio.run(_run(todo, None))
        else:
            with WarmKernels(modules, dict(os.environ)) as kernels:
                if kernels.reason:
                    print(f"  Kernels start cold, which is slower: {kernels.reason}", flush=True)
                failures = asyncio.run(_run(todo, kernels))
        if failures:
            raise ChapterError("\n\n".join(str(failures[p]) for p in todo if p in failures))
    else:
        print(f"All {len(stored)} chapters are unchanged.", flush=True)
    return [(path, store(nbformat.read(place, as_version=4))) for path, place in stored.items()]


_begun: list[Future[list[tuple[Path, NotebookNode]]]] = []


def begin() -> None:
    """Run the chapters of the book from now on, beside what the caller does next.

    Kernels have processes of their own: one core starts Sphinx, while on another the first runs.
    """
    run: Future[list[tuple[Path, NotebookNode]]] = Future()

    def work() -> None:
        try:
            run.set_result(executed(chapter_paths()))
        except BaseException as error:  # noqa: BLE001 -- raised again by `of_the_book`
            run.set_exception(error)

    _begun.append(run)
    Thread(target=work, daemon=True).start()  # Ctrl-C need not wait for it


def of_the_book() -> list[tuple[Path, NotebookNode]]:
    """Give the chapters of the book with outputs: of the run that has begun, or of one now."""
    return _begun.pop().result() if _begun else executed(chapter_paths())


# -- the command ----------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Store the outputs of chapters in place, from the last build where it ran the same chapter."""
    parser = argparse.ArgumentParser(prog="make refresh", description=main.__doc__)
    parser.add_argument("chapters", nargs="*", type=Path, help="notebooks; all when none is named")
    parser.add_argument("--again", action="store_true", help="run them even if nothing changed")
    given = parser.parse_args(arguments)
    paths = [path.resolve() for path in given.chapters] or chapter_paths()
    try:
        for path, notebook in executed(paths, fresh=given.again):
            text = dumps(notebook)
            if text != path.read_text(encoding="utf-8"):
                path.write_text(text, encoding="utf-8")
                print(f"  {path.relative_to(ROOT).as_posix()}: outputs changed, file written")
    except ChapterError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
