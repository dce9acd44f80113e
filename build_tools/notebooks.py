"""Notebooks to teach from, made of the stored chapters (``make notebooks``).

Three kinds, in ``_build/notebooks``: *student* has neither outputs nor solutions, but an empty cell
where a solution stood; *teacher* has both; *plain* is for programs that know no MyST (Colab,
VS Code, GitHub): values, terms, sources, boxes and tables stand in its text as ordinary Markdown.
"""

from __future__ import annotations

import copy
import html
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import nbformat
from chapters import BOOK, ROOT, chapter_paths, dumps
from inline_values import EVAL, resolved
from nbformat import NotebookNode

from helpers.reporting.citations import bibliography

FOLDER = ROOT / "_build" / "notebooks"
YOURS = "# your code\n"
_GATE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{solution(?P<gate>-start|-end)?\}.*\n"
    r"(?::[\w-]+:.*\n)*(?P<body>(?:.*\n)*?)(?P=fence)[ ]*$",
    re.M,
)
_OPEN = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|:{3,})(?:\{(?P<name>[\w:-]+)\})? *(?P<title>.*)$"
)
_ROLE = re.compile(r"\{(?P<name>[a-z][a-z:]*)\}`(?P<text>[^`]+)`")
_TARGET = re.compile(r"(?P<shown>.*?)\s*<(?P<target>[^<>]*)>", re.S)
_SVG = re.compile(r"<svg\b.*?</svg>", re.S)
_MATH = re.compile(r"(\$\$?.*?\$\$?)", re.S)


# -- exercises and their solutions ----------------------------------------------------------------


def parts(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, int | None]]:
    """Cells in their order, cut where a solution begins or ends, with the number of the solution.

    The gates themselves are left out. The first part of a cell keeps its id, and each its values.
    """
    number, within = 0, False
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            yield cell, number if within else None
            continue
        pieces: list[tuple[str, int | None]] = []
        end = 0
        for gate in _GATE.finditer(cell.source):
            pieces.append((cell.source[end : gate.start()], number if within else None))
            end, within = gate.end(), gate["gate"] == "-start"
            number += gate["gate"] != "-end"
            if not gate["gate"]:
                pieces.append((gate["body"], number))
        pieces.append((cell.source[end:], number if within else None))
        stored = list(cell.metadata.get("user_expressions", []))
        kept = 0
        for text, solution in pieces:
            count = len(EVAL.findall(text))
            values, stored = stored[:count], stored[count:]
            if text.strip():
                part = copy.deepcopy(cell)
                part.source = text.strip("\n") if len(pieces) > 1 else text
                part.id = f"{cell.id}-{kept + 1}" if kept else cell.id
                part.metadata.pop("user_expressions", None)
                if values:
                    part.metadata["user_expressions"] = values
                kept += 1
                yield part, solution


def _with_cells(notebook: NotebookNode, cells: list[NotebookNode]) -> NotebookNode:
    made = nbformat.from_dict({**notebook, "cells": cells})
    nbformat.validate(made)
    return made


def student(notebook: NotebookNode) -> NotebookNode:
    """Copy without outputs and solutions, with an empty cell in place of each solution."""
    cells, last = [], 0
    for cell, solution in parts(copy.deepcopy(notebook)):
        if solution is None:
            cell.metadata.pop("user_expressions", None)
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            cells.append(cell)
        elif solution != last:
            last = solution
            cells.append(nbformat.v4.new_code_cell(YOURS, id=f"your-code-{solution}"))
    return _with_cells(notebook, cells)


def teacher(notebook: NotebookNode) -> NotebookNode:
    """Copy with outputs, with solutions in the open, and with pictures that show before a run."""
    cells, last = [], 0
    for cell, solution in parts(copy.deepcopy(notebook)):
        if solution is not None and solution != last:
            last = solution
            cells.append(nbformat.v4.new_markdown_cell("**Solution**", id=f"solution-{solution}"))
        _show_pictures(cell)
        cells.append(cell)
    return _with_cells(notebook, cells)


def _show_pictures(cell: NotebookNode) -> None:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "text/html" in data:
            data["text/html"] = _SVG.sub(_image, data["text/html"])


def _image(svg: re.Match[str]) -> str:
    """Give a picture as an address: a notebook that is not trusted yet shows no inline <svg>."""
    words = [re.search(rf"<{tag}\b[^>]*>(.*?)</{tag}>", svg[0], re.S) for tag in ("title", "desc")]
    alt = ". ".join(html.unescape(found[1]).strip().rstrip(".") for found in words if found)
    address = quote(svg[0], safe=" =:/;,()@!*~+-.'|{}[]^`").replace("'", "%27")
    widest = re.search(r"max-width: (\d+)px", svg[0])
    width = f"max-width: {widest[1]}px; " if widest else ""
    return (
        f'<img src="data:image/svg+xml;charset=utf-8,{address}" alt="{html.escape(alt)}" '
        f'style="display: block; width: 100%; {width}background: white">'
    )


# -- plain Markdown -------------------------------------------------------------------------------


def plain(notebook: NotebookNode) -> NotebookNode:
    """Copy that needs no extension: ordinary Markdown, solutions folded or under a heading."""
    values = resolved(notebook)
    found = list(parts(values))
    runs = {number for cell, number in found if cell.cell_type == "code"}
    markdown = _Markdown()
    cells, last = [], 0
    for cell, solution in found:
        first = solution is not None and solution != last
        if first and solution in runs:
            heading = nbformat.v4.new_markdown_cell("### Solution", id=f"solution-{solution}")
            heading.metadata["jp-MarkdownHeadingCollapsed"] = True
            cells.append(heading)
        last = solution or last
        if cell.cell_type == "markdown":
            cell.source = markdown.text(cell.source)
            if solution is not None and solution not in runs:
                body = cell.source
                cell.source = f"<details><summary>Solution</summary>\n\n{body}\n\n</details>"
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/markdown"] = data["text/plain"] = markdown.text(data["text/markdown"])
        _show_pictures(cell)
        cells.append(cell)
    return _with_cells(notebook, cells)


class _Markdown:
    """MyST as plain Markdown; counts the exercises of a chapter."""

    def __init__(self) -> None:
        self.exercises = 0

    def text(self, source: str) -> str:
        """Turn text with directives and roles into Markdown; code stays as it is."""
        lines, out, prose = source.split("\n"), [], []
        at = 0
        while at < len(lines):
            opened = _OPEN.match(lines[at])
            if not opened:
                prose.append(lines[at])
                at += 1
                continue
            end = self._end(lines, at, opened)
            out += [_prose("\n".join(prose))] if prose else []
            prose = []
            inner = lines[at + 1 : end]
            if opened["name"]:
                made = self._directive(opened["name"], opened["title"].strip(), inner)
                out.append("\n".join(opened["indent"] + line for line in made.split("\n")))
            else:
                out.append("\n".join(lines[at : end + 1]))
            at = end + 1
        out += [_prose("\n".join(prose))] if prose else []
        return "\n".join(out).strip("\n")

    @staticmethod
    def _end(lines: list[str], at: int, opened: re.Match[str]) -> int:
        fence = opened["fence"]
        for number in range(at + 1, len(lines)):
            closing = lines[number].strip()
            if set(closing) == {fence[0]} and len(closing) >= len(fence):
                return number
        raise ValueError(f"{lines[at].strip()!r} is not closed")

    def _directive(self, name: str, title: str, lines: list[str]) -> str:
        while lines and re.match(r"\s*:[\w-]+:", lines[0]):
            lines = lines[1:]
        if name == "list-table":
            return self._table(title, lines)
        body = self.text("\n".join(lines))
        title = _prose(title)
        if name == "exercise":
            self.exercises += 1
            return f"### Exercise {self.exercises}\n\n{body}"
        if name in {"grid", "grid-item", "grid-item-card"}:
            return f"\n**{title}**\n\n{body}\n" if name == "grid-item-card" else f"\n{body}\n"
        if name in {"admonition", "div"}:  # the only div is the answer of a chapter
            head = title if name == "admonition" else "In short"
            return "\n".join(f"> {row}".rstrip() for row in (f"**{head}**", "", *body.split("\n")))
        if name in {"note", "tip", "warning", "important", "caution", "seealso"}:
            return self._directive("admonition", name.capitalize(), lines)
        raise ValueError(
            f"no plain form of the directive {{{name}}}: add one to build_tools/notebooks.py"
        )

    def _table(self, title: str, lines: list[str]) -> str:
        rows = re.split(r"^\* - ", "\n".join(lines), flags=re.M)[1:]
        cells = [
            [_cell(self.text(c)) for c in re.split(r"^  - ?", row, flags=re.M)] for row in rows
        ]
        ruled = [cells[0], ["---"] * len(cells[0]), *cells[1:]]
        table = "\n".join(f"| {' | '.join(row)} |" for row in ruled)
        return f"**{_prose(title)}**\n\n{table}" if title else table


def _cell(text: str) -> str:
    r"""One line of a table; a bar is `\|`, and `\vert` in a formula."""
    text = "<br>".join(" ".join(p.split()) for p in re.split(r"\n\s*\n", text.strip()))
    pieces = _MATH.split(text)
    pieces[::2] = [re.sub(r"(?<!\\)\|", r"\\|", piece) for piece in pieces[::2]]
    pieces[1::2] = [p.replace(r"\|", r"\Vert ").replace("|", r"\vert ") for p in pieces[1::2]]
    return "".join(pieces)


def _prose(text: str) -> str:
    text = _ROLE.sub(_role, text)
    text = re.sub(r"^\([\w-]+\)=\n?", "", text, flags=re.M)
    text = re.sub(r"\[([^\]]*)\]\{#([\w-]+)\}", r'<a id="\2"></a>**\1**', text)
    text = re.sub(
        r"\[([^\]]+)\]\((?!https?:)[^)#\s]*\.md(?:#[^)]*)?\)", r"\1", text
    )  # pages of the site
    return re.sub(r"^(\S.*)\n: ", r"- \1: ", text, flags=re.M)  # a definition


def _role(role: re.Match[str]) -> str:
    name, text = role["name"], " ".join(role["text"].split())
    target = _TARGET.fullmatch(text)
    shown = target["shown"] if target else text
    if name == "term":
        return shown
    if name == "py:obj":
        return f"`{shown.lstrip('~')}`"
    if name == "download" and target:
        return f"{shown} (`{target['target'].removeprefix('../')}`)"
    if name in {"cite:p", "cite:t"}:
        sources = [_source(key.strip(), in_text=name == "cite:t") for key in text.split(",")]
        return ", ".join(sources) if name == "cite:t" else f"({'; '.join(sources)})"
    raise ValueError(f"no plain form of the role {{{name}}}: add one to {__file__}")


def _source(key: str, *, in_text: bool) -> str:
    """Name a source by authors and year, with its DOI where it has one."""
    entry = bibliography()[key]
    people = [name.partition(",")[0].strip() for name in entry["author"].split(" and ")]
    who = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
    shown = f"{who} ({entry['year']})" if in_text else f"{who}, {entry['year']}"
    address = (
        f"https://doi.org/{quote(entry['doi'], safe='/:;.-_')}"
        if "doi" in entry
        else entry.get("url")
    )
    return f"[{shown}]({address})" if address else shown


# -- files ----------------------------------------------------------------------------------------

KINDS: dict[str, Callable[[NotebookNode], NotebookNode]] = {
    "student": student,
    "teacher": teacher,
    "plain": plain,
}


def main(folder: Path = FOLDER) -> int:
    """Write every kind of every chapter."""
    for path in chapter_paths():
        notebook = nbformat.read(path, as_version=4)
        for kind, make in KINDS.items():
            written = folder / kind / path.relative_to(BOOK)
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(dumps(make(notebook)), encoding="utf-8")
    print(f"Notebooks for students, for teachers and plain ones are in {folder.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
