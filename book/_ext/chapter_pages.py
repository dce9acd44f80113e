"""Sphinx extension: pages of the chapters have the outputs of a fresh run (``chapters``).

What a notebook stores for JupyterLab takes its form for the site here: values stand in the text,
drawings are inline, and solutions open on request.
"""

from __future__ import annotations

import hashlib
import time
from functools import partial
from pathlib import Path
from typing import Any

import inline_values
import notebooks
import stored_pictures
from chapters import BOOK, Durations, dumps, of_the_book
from dependencies import Remembered, dependency_hash
from nbformat import NotebookNode
from sphinx.util.parallel import ParallelTasks, SerialTasks, parallel_available

STUDENTS = "downloads/students"


def _run_all(app: Any) -> None:
    """Before anything is read: run what has changed and hold the outputs for `source-read`."""
    app.notebooks = {
        path.relative_to(BOOK).with_suffix("").as_posix(): notebook
        for path, notebook in of_the_book()
    }
    app.chapters = {doc: dumps(for_the_site(notebook)) for doc, notebook in app.notebooks.items()}
    app.chapters_done = time.perf_counter()
    print(f"Writing the pages; all of them take about {Durations().pages:.0f} s.", flush=True)


def for_the_site(notebook: NotebookNode) -> NotebookNode:
    """Copy of a run chapter as Sphinx is to read it."""
    return notebooks.gated(stored_pictures.inlined(inline_values.resolved(notebook)))


def _write_sources(app: Any, error: Exception | None) -> None:
    """Offer the chapters as notebooks: plain, for programs that know no MyST, and for students."""
    if error is None and app.builder.format == "html":
        sources, students = Path(app.outdir) / "_sources", Path(app.outdir) / STUDENTS
        students.mkdir(parents=True, exist_ok=True)
        here = [doc for doc in app.notebooks if (sources / f"{doc}.ipynb").exists()]
        copies = Remembered("notebooks", static_hash(), dependency_hash())
        made_from = {doc: dumps(app.notebooks[doc]) for doc in here}
        new = [doc for doc in here if copies.missing(doc, made_from[doc])]
        # to draw the pictures as PNG takes a quarter of a minute on one core
        several = parallel_available and app.parallel > 1 and len(new) > 1
        tasks = ParallelTasks(app.parallel) if several else SerialTasks()
        for doc in new:
            remember = partial(_remember, copies, doc, made_from[doc])
            tasks.add_task(copies_of, app.notebooks[doc], remember)
        tasks.join()
        for doc in here:
            plain, for_students = copies.now[doc][1]
            (sources / f"{doc}.ipynb").write_text(plain, encoding="utf-8")
            if for_students:
                (students / f"{doc}.ipynb").write_text(for_students, encoding="utf-8")
        copies.keep()


def _remember(copies: Remembered, doc: str, made_from: str, *done: Any) -> None:
    copies.put(doc, made_from, done[-1])  # several tasks hand over what was asked as well


def copies_of(notebook: NotebookNode) -> tuple[str, str]:
    """Text of the plain notebook, and of that for students where there are exercises."""
    for_students = dumps(notebooks.student(notebook)) if _has_exercises(notebook) else ""
    return dumps(notebooks.plain(notebook)), for_students


def _has_exercises(notebook: NotebookNode) -> bool:
    return any("{exercise}" in cell.source for cell in notebook.cells)


def _downloads(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Name the notebooks of a chapter under its title (``page_facts``)."""
    if page in app.chapters:
        files = {"notebook": f"_sources/{page}.ipynb"}
        if _has_exercises(app.notebooks[page]):
            files["for students, without solutions"] = f"{STUDENTS}/{page}.ipynb"
        context["page_files"] = {shown: context["pathto"](name, 1) for shown, name in files.items()}


def _time_pages(app: Any, error: Exception | None) -> None:
    """Remember how long the pages took, where all of them were written."""
    if error is None and app.builder.name == "html" and app.pages_read == len(app.env.found_docs):
        Durations().keep("(pages)", time.perf_counter() - app.chapters_done)


def static_hash() -> str:
    """Hash of the styles, scripts, fonts and pictures of the site, and of what makes its pages."""
    digest = hashlib.sha256()
    files = {
        path.relative_to(BOOK).as_posix(): path
        for path in (*(BOOK / "_static").rglob("*"), *(BOOK / "_ext").glob("*.py"))
        if path.is_file()
    }
    for tool in (inline_values, notebooks, stored_pictures):  # by name, wherever they lie
        files[tool.__name__] = Path(tool.__file__)
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name].read_bytes())
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
    app.connect("html-page-context", _downloads, priority=400)  # before page_facts
    app.connect("build-finished", _write_sources)
    app.connect("build-finished", _time_pages, priority=990)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
