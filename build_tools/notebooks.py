"""Notebooks to teach from, made of the stored chapters (``make notebooks``).

Three kinds, in ``_build/notebooks``: *student* has neither outputs nor solutions, but an empty cell
where a solution stood; *teacher* has both; both are for JupyterLab with its MyST extension, which
reads no bibliography. *Plain* is for programs that know no MyST (Colab, VS Code, GitHub): values,
terms, sources, boxes and tables stand in its text as ordinary Markdown, and its pictures are PNG.
"""

from __future__ import annotations

import copy
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import nbformat

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))
from address import BRANCH, repository
from chapters import BOOK, ROOT, chapter_paths, dumps
from inline_values import EVAL, resolved
from nbformat import NotebookNode
from stored_pictures import with_png

from helpers.reporting.citations import bibliography
from helpers.teaching.checks import asked

FOLDER = ROOT / "_build" / "notebooks"
YOURS = "# your code\n"
TEACHER = "teacher"  # tag of a cell, and metadata of a chapter whose solutions, teachers alone get
COLLAPSED = "jp-MarkdownHeadingCollapsed"  # JupyterLab keeps closed what stands under the heading
_SOLUTION = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{solution\} *(?P<label>\S+)\n"
    r"(?::[\w-]+:.*\n)*(?P<body>(?:.*\n)*?)(?P=fence)[ ]*$",
    re.M,
)
_START = "```{{solution-start}} {}\n:class: dropdown\n```"
_END = "```{solution-end}\n```"
_TITLE = re.compile(r"^### (?P<title>.+)\n\n(?P<open>`{3,}\{exercise\})[ ]*$", re.M)
_OPEN = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|:{3,})(?:\{(?P<name>[\w:-]+)\})? *(?P<title>.*)$"
)
_ROLE = re.compile(r"\{(?P<name>[a-z][a-z:]*)\}`(?P<text>[^`]+)`")
_CITED = re.compile(r"\{(?P<name>cite:[pt])\}`(?P<text>[^`]+)`")
_TARGET = re.compile(r"(?P<shown>.*?)\s*<(?P<target>[^<>]*)>", re.S)
_MATH = re.compile(r"(\$\$?.*?\$\$?)", re.S)


# -- exercises and their solutions ----------------------------------------------------------------


class Part(NamedTuple):
    """A cell or a piece of one."""

    cell: NotebookNode
    solution: str | None  # the exercise whose solution it belongs to
    block: bool = False  # whether that solution is this piece alone


def parts(notebook: NotebookNode) -> Iterator[Part]:
    """Cells in their order, with the exercise whose solution they belong to.

    A solution begins with a heading whose cell names its exercise (``solution`` in the metadata,
    `helpers.teaching.solutions`), or it is a block within a cell, which is cut there: the first
    part of a cell keeps its id, and each its values.
    """
    within: str | None = None
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            within = cell.metadata.get("solution")
        if cell.cell_type != "markdown" or within:
            yield Part(cell, within)
            continue
        pieces: list[tuple[str, str | None]] = []
        end = 0
        for block in _SOLUTION.finditer(cell.source):
            pieces += [(cell.source[end : block.start()], None), (block["body"], block["label"])]
            end = block.end()
        pieces.append((cell.source[end:], None))
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
                yield Part(part, solution, block=solution is not None)


def without_teachers_part(notebook: NotebookNode) -> NotebookNode:
    """Copy without cells for teachers, and without solutions where the notebook says so."""
    apart = notebook.metadata.get("solutions") == TEACHER
    cells, within = [], False
    for cell in copy.deepcopy(notebook).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            within = "solution" in cell.metadata
        if not ((within and apart) or TEACHER in cell.metadata.get("tags", [])):
            cells.append(cell)
    return _with_cells(notebook, cells)


def gated(notebook: NotebookNode) -> NotebookNode:
    """Copy for the site, where a solution opens on request: between gates, without its heading.

    The heading over an exercise, which in JupyterLab ends the solution before, becomes its title.
    """
    cells, within = [], False
    for cell in without_teachers_part(notebook).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            if within:
                end = nbformat.v4.new_markdown_cell(_END, id=f"{cells[-1].id}-end")
                cells.append(end)
            within = "solution" in cell.metadata
            if within:
                cell.source = _START.format(cell.metadata.pop("solution"))
                cell.metadata.pop(COLLAPSED, None)
        if cell.cell_type == "markdown":
            cell.source = _TITLE.sub(r"\g<open> \g<title>", cell.source)
        cells.append(cell)
    if within:
        cells.append(nbformat.v4.new_markdown_cell(_END, id=f"{cells[-1].id}-end"))
    return _with_cells(notebook, cells)


def _with_cells(notebook: NotebookNode, cells: list[NotebookNode]) -> NotebookNode:
    made = nbformat.from_dict({**notebook, "cells": cells})
    nbformat.validate(made)
    return made


def student(notebook: NotebookNode) -> NotebookNode:
    """Copy without outputs and solutions: in place of each solution an empty cell and a check.

    Values in the text stay: without them it would show code in place of numbers before a run.
    """
    cells: list[NotebookNode] = []
    solved: list[str] = []
    for cell, solution, _ in parts(copy.deepcopy(notebook)):
        if TEACHER in cell.metadata.get("tags", []):
            continue
        if solution is None:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            cells.append(_cited(cell))
        elif solution not in solved:
            code = your_code(solution, first=not solved)
            solved.append(solution)
            cells.append(nbformat.v4.new_code_cell(code, id=f"your-{solution}"))
    return _with_cells(notebook, cells)


def your_code(label: str, *, first: bool = False) -> str:
    """Code of the cell in which a student solves an exercise: it runs as it is, and says so."""
    what = asked().get(label)
    if what is None:
        return YOURS
    imported = "from helpers.teaching import check\n\n" if first else ""
    wanted = textwrap.wrap(f"answer: {what.wanted}", 96)
    comment = "\n".join(f"# {line}" for line in wanted)
    return f'{imported}{YOURS}{comment}\nanswer = ...\ncheck("{label}", answer)'


def teacher(notebook: NotebookNode) -> NotebookNode:
    """Copy with outputs and with solutions in the open."""
    cells = []
    for cell, solution, block in parts(copy.deepcopy(notebook)):
        if block:
            cells.append(nbformat.v4.new_markdown_cell("### Solution", id=f"solution-{solution}"))
        cell.metadata.pop(COLLAPSED, None)
        cells.append(_cited(cell))
    return _with_cells(notebook, cells)


def _cited(cell: NotebookNode) -> NotebookNode:
    """Name the sources of a cell, for which JupyterLab shows a key of the bibliography."""
    if cell.cell_type == "markdown":
        cell.source = _CITED.sub(_role, cell.source)
    return cell


# -- plain Markdown -------------------------------------------------------------------------------


def plain(notebook: NotebookNode) -> NotebookNode:
    """Copy that needs no extension: ordinary Markdown, solutions folded or under a heading."""
    markdown = _Markdown()
    cells = [nbformat.v4.new_code_cell(install(repository()), id="install")]
    for cell, _, block in parts(with_png(without_teachers_part(resolved(notebook)))):
        if cell.cell_type == "markdown":
            cell.source = markdown.text(cell.source)
            if block:
                body = cell.source
                cell.source = f"<details><summary>Solution</summary>\n\n{body}\n\n</details>"
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/markdown"] = data["text/plain"] = markdown.text(data["text/markdown"])
        cells.append(cell)
    return _with_cells(notebook, cells)


def install(address: str | None) -> str:
    """Give the one line that a plain notebook begins with, for a repository of this address.

    Examples
    --------
    >>> install(None)
    'import helpers  # not found? open this notebook in a copy of the book'
    """
    if address is None:
        return "import helpers  # not found? open this notebook in a copy of the book"
    return f'%pip install --quiet --editable "git+{address}@{BRANCH}#egg=nrm-meta"  # then restart'


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
        if name == "dropdown":
            return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
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
    if name in {"term", "ref"}:
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
