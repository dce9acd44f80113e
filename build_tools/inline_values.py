"""Values in the prose of chapters: ``{eval}`expression` `` in Markdown cells.

The runner evaluates each expression in the kernel where it stands and stores the answer in the
cell, in the format of JupyterLab's MyST extension (``user_expressions``), so that JupyterLab shows
it before the first run. For all who know no ``{eval}`` (Sphinx, slides, downloads, tests),
`resolved` puts the values into the text.
"""

from __future__ import annotations

import copy
import queue
import re
import time
from typing import Any

import nbformat
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

CELL_TIMEOUT = 600  # seconds; a cell that takes longer belongs in a helper
EVAL = re.compile(r"\{eval\}(?P<ticks>`+)(?P<expression>.+?)(?P=ticks)", re.S)
#: Directives whose text JupyterLab reads as Markdown.
PROSE_DIRECTIVES = frozenset(
    "admonition attention caution danger div dropdown error exercise figure grid grid-item "
    "grid-item-card hint important list-table note seealso solution tip warning".split()
)
_DIRECTIVE = re.compile(r"^\{([\w-]+)\}[ \t]*(.*)$")
_HTML_PAIR = re.compile(r"^<(/?)(?!br\b|hr\b|img\b|!)[a-zA-Z][^>]*?(/?)>$")
_MARKDOWN = (
    MarkdownIt("commonmark")
    .enable("table")
    .use(myst_role_plugin)
    .use(myst_block_plugin)
    .use(dollarmath_plugin)
    .use(amsmath_plugin)
    .use(colon_fence_plugin)
)
#: What Markdown would read as a sign, anywhere in a line.
_SIGNS = re.compile(r"([\\`*_{}\[\]<>|$~&#^@])")
#: And what it would read as one at the start of a line.
_STARTS = re.compile(r"^([-+=:%])")


class ChapterError(RuntimeError):
    """A cell of a chapter failed; the message names chapter, cell and cause."""


# -- where an expression stands -------------------------------------------------------------------


def expressions(source: str) -> list[str]:
    """Expressions of a Markdown cell, in the order of the text, each as often as it stands.

    Raises
    ------
    ChapterError
        For one that JupyterLab would not evaluate, and for one that is broken over two lines.

    Examples
    --------
    >>> expressions("{eval}`a` of **{eval}`b.c`**")
    ['a', 'b.c']
    """
    written = [found["expression"] for found in EVAL.finditer(source)]
    for expression in written:
        if "\n" in expression or expression != expression.strip():
            raise ChapterError(
                f"{{eval}}`{expression}`: an expression stands on one line, without blanks at its "
                "ends; give a long one a name in the cell above"
            )
    seen = _evaluated(source) if written else []
    if written != seen:
        rest = list(seen)
        lost = [e for e in written if not (e in rest and not rest.remove(e))]
        raise ChapterError(
            f"{{eval}}`{(lost or written)[0]}` stands where JupyterLab does not evaluate it (in "
            "code, a formula, another role, HTML or a comment); put it into running text"
        )
    return written


def _evaluated(source: str) -> list[str]:
    """Expressions that JupyterLab's MyST extension evaluates."""
    found: list[str] = []
    for token in _MARKDOWN.parse(source):
        if token.type == "inline":
            found += _inline(token.children or [])
        elif token.type in {"fence", "colon_fence"}:
            directive = _DIRECTIVE.match(token.info.strip())
            if directive and directive[1] in PROSE_DIRECTIVES:
                found += _evaluated(directive[2]) + _evaluated(token.content)
    return found


def _inline(tokens: list[Token]) -> list[str]:
    found, within = [], 0  # `within` an HTML element
    for token in tokens:
        if token.type == "html_inline" and (tag := _HTML_PAIR.match(token.content)):
            within += -1 if tag[1] else not tag[2]
        elif token.type == "myst_role" and token.meta["name"] == "eval" and not within:
            found.append(token.content)
    return found


# -- what it gave ---------------------------------------------------------------------------------


def text_of(result: NotebookNode) -> str:
    """Text of a stored value, as JupyterLab shows it.

    Raises
    ------
    ChapterError
        For an error, and for whatever is not text on one line: it says what to do.

    Examples
    --------
    >>> text_of({"status": "ok", "data": {"text/plain": "'52 cohorts'"}})
    '52 cohorts'
    """
    if result["status"] != "ok":
        raise ChapterError(f"{result['ename']}: {result['evalue']}")
    data = result["data"]
    shown = data["text/plain"]
    if "text/markdown" in data:
        raise ChapterError(
            "gives a paragraph of its own; write the sentence here, in "
            "Markdown, with plain values, or take the text of it with str(…)"
        )
    if not (len(shown) > 1 and shown[0] in "'\"" and shown[-1] == shown[0]):
        raise ChapterError(
            f"gives {shown.splitlines()[0][:60]}, which is no text; print it with helpers, as in "
            "{eval}`printing.percent(rate)`, {eval}`printing.number(tau2, 3)` or "
            "{eval}`printing.count(deaths)`"
        )
    if "\n" in shown or r"\n" in shown:
        raise ChapterError("gives more than one line; a value is part of a sentence")
    if r"\xa0" in shown or r"\u202f" in shown:
        raise ChapterError("gives text with escapes; the chapter has to import helpers above it")
    return shown[1:-1]


def escaped(value: str, *, at_start: bool = False, before: str = "") -> str:
    r"""Value as Markdown that shows it letter by letter.

    Parameters
    ----------
    value : str
        Plain text.
    at_start : bool
        Whether a line begins with it.
    before : str
        What follows it in the text.

    Examples
    --------
    >>> print(escaped("a_b * c"), escaped("12", at_start=True, before=". Twelve"))
    a\_b \* c 12\
    """
    text = _SIGNS.sub(r"\\\1", value)
    if at_start:
        text = _STARTS.sub(r"\\\1", text)
        if re.fullmatch(r"\d+", value) and before[:1] in {".", ")"}:
            text += "\\"  # else "12. Twelve" would begin a list
        else:
            text = re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", text)
    return text


def with_values(source: str, values: list[str]) -> str:
    """Put values, in their order, in place of the expressions of a Markdown cell."""
    rest = iter(values)

    def put(match: re.Match[str]) -> str:
        line = source[source.rfind("\n", 0, match.start()) + 1 : match.start()]
        start = not re.sub(r"^[ >]*(?:[-*+]|\d+[.)])? *", "", line)
        return escaped(next(rest), at_start=start, before=source[match.end() : match.end() + 1])

    return EVAL.sub(put, source)


def resolved(notebook: NotebookNode) -> NotebookNode:
    """Copy of a run notebook with each value in place of its {eval}: it needs no extension.

    Raises
    ------
    ChapterError
        When a value is missing, or belongs to another expression than the one in the text.
    """
    notebook = copy.deepcopy(notebook)
    for number, cell in enumerate(notebook.cells, start=1):
        stored = cell.metadata.pop("user_expressions", [])
        if cell.cell_type != "markdown":
            continue
        wanted = expressions(cell.source)
        if [entry["expression"] for entry in stored] != wanted:
            raise ChapterError(
                f"cell {number} ({cell.get('id', '')}): the stored values are not those of the "
                "expressions in the text; run the chapter (make refresh)"
            )
        cell.source = with_values(cell.source, [text_of(entry["result"]) for entry in stored])
    return notebook


# -- the run --------------------------------------------------------------------------------------


class ChapterClient(NotebookClient):
    """Runs code cells as nbclient does, and evaluates {eval} of Markdown cells in passing."""

    async def async_execute_cell(  # type: ignore[override,no-untyped-def]
        self, cell: NotebookNode, cell_index: int, **options
    ) -> NotebookNode:
        """Run a code cell, or store the values of a Markdown cell."""
        if cell.cell_type != "markdown":
            return await super().async_execute_cell(cell, cell_index, **options)
        cell.metadata.pop("user_expressions", None)
        place = f"cell {cell_index + 1}"
        try:
            wanted = expressions(cell.source)
            results = await self._evaluate(wanted) if wanted else []
        except ChapterError as error:
            raise ChapterError(f"{place}, {error}") from error
        for expression, result in zip(wanted, results, strict=True):
            try:
                text_of(result)
            except ChapterError as error:
                raise ChapterError(f"{place}, {{eval}}`{expression}`: {error}") from error
        if wanted:
            cell.metadata["user_expressions"] = nbformat.from_dict(
                [{"expression": e, "result": r} for e, r in zip(wanted, results, strict=True)]
            )
        return cell

    async def _evaluate(self, wanted: list[str]) -> list[dict[str, Any]]:
        sent = self.kc.execute(
            "", silent=True, user_expressions={str(i): e for i, e in enumerate(wanted)}
        )
        listed = ", ".join(f"{{eval}}`{e}`" for e in wanted)
        end = time.monotonic() + CELL_TIMEOUT
        said = ""
        while True:  # what the expressions print or warn of arrives here
            message = await self._next(self.kc.get_iopub_msg, sent, end, listed)
            content = message["content"]
            if message["msg_type"] == "stream":
                said += content["text"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                break
        answers = (await self._next(self.kc.get_shell_msg, sent, end, listed))["content"]
        results = [answers["user_expressions"][str(i)] for i in range(len(wanted))]
        if said:
            raise ChapterError(f"one of {listed} printed or warned: {said.strip()}")
        return results

    async def _next(self, get: Any, sent: str, end: float, listed: str) -> dict[str, Any]:
        """Give the kernel's next message about what was sent."""
        while True:
            try:
                message = await get(timeout=1)
            except queue.Empty:
                if not await self.km.is_alive():
                    raise DeadKernelError("Kernel died") from None
                if time.monotonic() > end:
                    raise ChapterError(
                        f"one of {listed} took longer than {CELL_TIMEOUT} s; compute it in a cell"
                    ) from None
            else:
                if message["parent_header"].get("msg_id") == sent:
                    return message
