"""Docstrings in the numpydoc style, read into parts and written as Markdown.

What a field of a data class means stands once, beside or above the field.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from itertools import takewhile
from typing import Any

__all__ = ["Docstring", "fields_of", "markdown", "parse_docstring"]

LISTS = ("Parameters", "Other Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns")
TEXTS = ("Notes", "See Also", "References", "Warnings", "Examples")
_HEADING = re.compile(r"^([A-Z][\w ]+)\n-{3,}[ ]*$", re.M)
_DOI = re.compile(r"\bdoi:\s?(10\.\d{4,}/[^\s,;\]]+?)(?=[.)]*(?:[\s,;\]]|$))")
_ROLE = re.compile(r":(?:\w+:)?(?:func|class|meth|mod|attr|data|obj|exc):`~?([^`]+)`")
_MATH = re.compile(r"^([ ]*)\.\. math::[ ]*(.*)\n((?:\1[ ]+\S.*\n|[ ]*\n(?=\1[ ]+\S))*)", re.M)
_TERM = re.compile(r"(?:(?<=\n)|\A)([^\s|:.\-*].*)\n((?: {4,}\S.*(?:\n|\Z))+)")
_VALUE = re.compile(r'(?<![\w`])"([\w.-]+)"(?![\w`])')  # a value as one types it
_TABLE = re.compile(r"^(=+(?: +=+)+)\n((?:.*\n)+?)\1\n((?:.*\n)+?)\1$", re.M)


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring in its parts."""

    summary: str  # the first paragraph on one line
    text: str  # what follows it up to the first section, as written
    lists: dict[str, tuple[tuple[str, str, str], ...]]  # Parameters ...: (name, type, text)
    texts: dict[str, str]  # Notes, Examples and their like, as written


def parse_docstring(text: str | None) -> Docstring:
    """Read a docstring, as Python keeps it, into its parts.

    Examples
    --------
    >>> from helpers import pool_effects
    >>> doc = parse_docstring(pool_effects.__doc__)
    >>> doc.summary
    'Pool any effects with known sampling variances.'
    >>> doc.lists["Parameters"][0][:2]
    ('yi, vi', 'array_like or str')
    """
    clean = inspect.cleandoc(text or "")
    parts = _HEADING.split(clean)
    summary, _, rest = parts[0].partition("\n\n")
    lists, texts = {}, {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in LISTS:
            lists[name] = _items(body)
        else:
            texts[name] = body.strip("\n")
    return Docstring(" ".join(summary.split()), rest.strip("\n"), lists, texts)


def _items(body: str) -> tuple[tuple[str, str, str], ...]:
    """Read lines "name : type" with an indented text below each."""
    items: list[tuple[str, str, list[str]]] = []
    for line in body.strip("\n").splitlines():
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            items.append((name.strip(), kind.strip(), []))
        elif items:
            items[-1][2].append(line)
    return tuple((n, kind, inspect.cleandoc("\n".join(["", *text]))) for n, kind, text in items)


def fields_of(found: type[Any]) -> tuple[tuple[str, str, str], ...]:
    """Read the fields of a data class as (names, type, text), its own before those of its bases.

    The text is the comment behind a field, or the lines ``#:`` above it, which then are of all
    fields that follow without a comment. One that begins with the possible values, such as
    ``{"left", "right"}: ...``, says the type, too.

    >>> fields_of(Docstring)[0]
    ('summary', 'str', 'the first paragraph on one line')
    """
    told: dict[str, tuple[list[str], str, str]] = {}
    for cls in found.__mro__:
        if is_dataclass(cls) and "__dataclass_fields__" in vars(cls):
            for group in _groups(cls):
                told.setdefault(group[0][0], group)
    return tuple((", ".join(names), kind, text) for names, kind, text in told.values())


def _groups(cls: type[Any]) -> Iterator[tuple[list[str], str, str]]:
    """Names that one comment tells, with their types and the comment."""
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    groups: list[tuple[list[str], list[str], str]] = []
    shared = False
    for one in getattr(ast.parse(source).body[0], "body", ()):
        if not isinstance(one, ast.AnnAssign) or "ClassVar" in ast.unparse(one.annotation):
            continue
        name, kind = ast.unparse(one.target), typed(ast.unparse(one.annotation))
        if name.startswith("_"):
            continue
        over = takewhile(lambda line: line.startswith("    #: "), lines[one.lineno - 2 :: -1])
        above = " ".join(line[7:] for line in [*over][::-1])
        text = above or lines[(one.end_lineno or one.lineno) - 1].partition("  # ")[2]
        if values := re.match(r"(\{[^}]*\})(?:: |$)", text):
            kind, text = values[1], text[values.end() :]
        if not (shared and not text):
            groups.append(([], [], text))
            shared = bool(above)
        groups[-1][0].append(name)
        groups[-1][1].append(kind)
    for names, kinds, text in groups:
        yield names, kinds[0] if len(set(kinds)) == 1 else ", ".join(kinds), text


def typed(annotation: str) -> str:
    """Write an annotation as numpydoc has types.

    >>> typed("tuple[float, ...] | None")
    'tuple of float or None'
    """
    text = re.sub(r"\bArray\b|\bNDArray\[[\w.]+\]", "ndarray", annotation)
    text = re.sub(r"\b(?:np|pd)\.|, \.\.\.(?=\])", "", text)
    text = re.sub(r"\b(tuple)\[([^\[\],]+)\]", r"\1 of \2", text)
    return text.replace(" | ", " or ")


def markdown(text: str) -> str:
    """Write a docstring's text as Markdown: tables, formulas, roles, DOIs, code."""
    text = _TERM.sub(_definition, _MATH.sub(_formula, text + "\n"))
    return _inline(_TABLE.sub(_table, text)).strip("\n")


def _inline(text: str) -> str:
    """Mend what is outside code and formulas."""
    pieces = re.split(r"(^\$\$$.*?^\$\$$|^```.*?^```$|``[^`]+``)", text, flags=re.S | re.M)
    for at in range(0, len(pieces), 2):
        part = _ROLE.sub(r"`\1`", pieces[at])
        inner = re.split(r"(`[^`]*`)", part)
        for place in range(0, len(inner), 2):
            inner[place] = _DOI.sub(r"[doi:\1](https://doi.org/\1)", inner[place])
            inner[place] = _VALUE.sub(r'`"\1"`', inner[place])
            inner[place] = re.sub(r"(?<!\\)([$*<])", r"\\\1", inner[place])
        pieces[at] = "".join(inner)
    return "".join(pieces)


def _definition(match: re.Match[str]) -> str:
    """Write a term with an indented text as Markdown does."""
    return f"\n{match[1]}\n: " + inspect.cleandoc("\n" + match[2]).replace("\n", "\n  ") + "\n"


def _formula(match: re.Match[str]) -> str:
    body = " ".join([match[2], *match[3].split("\n")]).split()
    return f"\n$$\n{' '.join(body)}\n$$\n\n"


def _table(match: re.Match[str]) -> str:
    """Write a simple table of reStructuredText as Markdown does."""
    starts = [rule.start() for rule in re.finditer("=+", match[1])]
    columns = list(zip(starts, [*starts[1:], None], strict=True))
    head, *body = (
        "| " + " | ".join(line[a:b].strip().replace("|", r"\|") for a, b in columns) + " |"
        for line in filter(str.strip, f"{match[2]}{match[3]}".splitlines())
    )
    return "\n".join(["", head, "|" + "---|" * len(starts), *body, ""])
