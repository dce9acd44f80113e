"""Sphinx extension: pages of the chapters have the outputs of a fresh run (``chapters``)."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import inline_values
import nbformat
import notebooks
from chapters import BOOK, ROOT, Durations, chapter_paths, dumps, executed


def _run_all(app: Any) -> None:
    """Before anything is read: run what has changed and hold the outputs for `source-read`."""
    app.chapters = {}
    for path, notebook in executed(chapter_paths()):
        doc = path.relative_to(BOOK).with_suffix("").as_posix()
        app.chapters[doc] = dumps(inline_values.resolved(notebook))
    app.chapters_done = time.perf_counter()
    print(f"Writing the pages; all of them take about {Durations().pages:.0f} s.", flush=True)


def _write_sources(app: Any, error: Exception | None) -> None:
    """Offer the chapters as plain notebooks: programs that know no MyST show them too."""
    if error is None and app.builder.format == "html":
        for doc, text in app.chapters.items():
            copied = Path(app.outdir) / "_sources" / f"{doc}.ipynb"
            if copied.exists():
                notebook = nbformat.reads(text, as_version=4)
                copied.write_text(dumps(notebooks.plain(notebook)), encoding="utf-8")


def _time_pages(app: Any, error: Exception | None) -> None:
    """Remember how long the pages took, where all of them were written."""
    if error is None and app.builder.name == "html" and app.pages_read == len(app.env.found_docs):
        Durations().keep("(pages)", time.perf_counter() - app.chapters_done)


def static_hash() -> str:
    """Hash of the styles, scripts, fonts and pictures of the site, and of what makes its pages."""
    digest = hashlib.sha256()
    made = [*(BOOK / "_ext").glob("*.py"), Path(inline_values.__file__)]
    for path in sorted(p for p in (*(BOOK / "_static").rglob("*"), *made) if p.is_file()):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _count_pages(app: Any, env: Any, added: set[str], changed: set[str], _: set[str]) -> list[str]:
    app.pages_read = len(added | changed)
    return []


def _outdated(app: Any, env: Any, *_: Any) -> list[str]:
    """Pages to make anew: chapters with other outputs, and all when a style has changed.

    Sphinx copies static files only when a page is out of date, and the pages name each style by
    its checksum.
    """
    styles, styled = static_hash(), getattr(env, "static_hash", None)
    env.static_hash = styles
    now = {doc: hashlib.sha256(text.encode()).hexdigest() for doc, text in app.chapters.items()}
    before = getattr(env, "chapter_hashes", {})
    env.chapter_hashes = now
    if styled != styles:
        return sorted(env.found_docs)
    return [doc for doc in now if doc in env.found_docs and now[doc] != before.get(doc)]


def _source_read(app: Any, docname: str, content: list[str]) -> None:
    """Hand Sphinx the chapter with fresh outputs in place of the stored file."""
    if docname in app.chapters:
        content[0] = app.chapters[docname]


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", _run_all)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-get-outdated", _count_pages, priority=900)
    app.connect("source-read", _source_read)
    app.connect("build-finished", _write_sources)
    app.connect("build-finished", _time_pages, priority=990)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
