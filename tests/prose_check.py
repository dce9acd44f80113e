"""Find results that were typed into prose.

A number that a reader sees is computed when the book is built. So every digit in a markdown
cell or page is taken for a typed result, unless the number is on the short list of constants
(`prose_constants.toml`) or stands in a sentence that cites its source. A value of the prose
({eval}) is computed; a text that is typed into its expression is prose like any other.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from inline_values import EVAL

ALLOWED = tuple(
    re.compile(entry["pattern"])
    for entry in tomllib.loads(
        Path(__file__).with_name("prose_constants.toml").read_text(encoding="utf-8")
    )["allow"]
)

# what is not prose; replaced by a space, so that what stands around it stays apart
# (an exercise is none: it sets numbers and reports no result; its solution reports results)
PROSE_DIRECTIVES = "note|tip|warning|important|admonition|glossary|dropdown|solution"
NOT_PROSE_BLOCKS = tuple(
    re.compile(pattern, re.S | re.M)
    for pattern in (
        r"\A---\n.*?\n---\n",  # front matter of a page
        rf"^(`{{3,}}|~{{3,}})(?!\{{(?:{PROSE_DIRECTIVES})).*?^\1\s*$",  # code, other directives
        r"^[ \t]*:[\w-]+:[^\n]*$",  # options of a directive
        r"^[ \t]*(?::{3,}|`{3,})[^\n]*$",  # the line that opens or closes a directive
        r"\$\$.*?\$\$",  # formulas
        r"^\([\w-]+\)=[ \t]*$",  # labels
        r"^[ \t]*\d+\.[ \t]",  # numbers of list items
    )
)
NOT_PROSE_INLINE = tuple(
    re.compile(pattern)
    for pattern in (
        r"\$[^$\n]+\$",  # formulas
        r"`[^`]*`",  # code and the text of roles
        r"<[^>]+>",  # HTML tags and bare links
        r"\]\([^)]*\)",  # targets of links
    )
)

#: Words that no journal prints in this sense -> what to write.
REFUSED = {
    r"(?<![./\w])\d+\.\d+-\d+(?:\.\d+)?%?": "limits are 'a to b'",
    r"holds?": "contains, has, is supported by, is valid, exists",
    r"held the (?:truth|true)": "contained the true value",
    r"stands?": "is, occurs, is listed, represents, is based on",
    r"beside (?:ours|the published|the review|each other)": "compared with, side by side",
    r"(?:goes|go) (?:together )?with": "is associated with, needs, cannot be combined with",
    r"changes? sides?|other side of the (?:line|level)": "crosses the threshold",
    r"no news": "adds nothing",
    r"by what marks": "how",
    r"asked whether": "whether",
    r"of a thousand": "of 1,000",
    r"the (?:door|pot)|in (?:one|the same) pot": "the name of the thing",
    r"cel against \w+-cel": "versus",
    r"in truth": "in fact, or nothing",
    r"no verdict": "does not judge",
    r"dealt (?:anew|out)|deals? [\w ]+ (?:anew|out anew)": "reassigned at random",
    r"lets? expect": "expected",
    r"takes? [^.]{3,30} for nothing": "ignores",
    r"odd ones out|lost its friends|keeps its place": "computed, or left out",
    r"(?:the|no) price of": "the cost, or nothing",
    r"anew": "again, new",
    r"turn(?:ed|s)?(?: it)? back": "back-transformed",
    r"supposes|supposed|suppositions?": "assumes, assumed, assumption",
    r"times in a hundred": "a percentage",
    r"claims? asks? for": "requires; the threshold of the claim",
    r"(?:as )?unlike as|tells? another story": "heterogeneous, different",
    r"chance alone would (?:fill|give)|easily chance": "expected by chance",
    r"(?:deaths|most|all) come early": "occur early",
    r"model of its own": "a separate model",
    r"(?:looks?|looked) at together|the odd one": "tested together",
    r"(?:means?|average) over (?:all )?(?:the )?(?:cohorts|studies|trials)": "across, in",
    r"(?:comes?|came|lies?) (?:nearer|further from)": "is closer to, is further from",
    r"[\d.]+ in place of": "instead of",
    r"where nothing is to be found|without anything to find": "without an effect",
    r"Monte-Carlo": "Monte Carlo, without a hyphen",
    r"CAR-T-specific(?= \w)": "CAR T-cell-specific",
    r"per cent": "%, or percent",
    r"(?:DerSimonian|Paule)–\w+": "a hyphen between two names, as everywhere",
    r"by the alphabet": "alphabetically",
    r"degrees? of freedom (?:fewer|less) than": "k − 2 degrees of freedom",
    r"counts? as no": "is not counted as",
    r"with a relative": "in shared clusters, that shares ... with another",
    r"not met(?=:|, by)": "fails, differs",
    r"no(?:ne of (?:the|these))?(?: included)? stud(?:y|ies)(?: in [\w ]+)? (?:tested|compares?)": (
        "the review does not compare: what single studies tested is not in its table"
    ),
}

#: What docstrings, which the reference prints, say in no better English -> what to write. Words of
#: programming ("a frame that holds columns") are at home there.
REFUSED_IN_DOCSTRINGS = {
    r"beside (?:ours|the published|the review|each other)": "compared with, side by side",
    r"(?:intervals?|limits|likelihood) (?:therefore )?holds?(?! fixed)": "contains",
    r"holds? (?:the true|at least|for all (?:causes|cells))": "contains, is valid for",
    r"JSON can hold|Table that holds": "can represent, table with",
    r"(?:what|dash|labels?|names?|default) stands?": "is, follows, is printed",
    r"stands? (?:still|twice|where others)": "no longer changes, occurs twice, takes the place of",
    r"goes? (?:together|blind)|turned back": "can be combined, loses power, back-transformed",
    r"(?:mean|median|average)\*?(?: proportion| rate)? over (?:the )?(?:studies|cohorts)": "across",
    r"one (?:row|line|column|question|function|number) an? \w+": "per, or for each",
    r"(?:level|value) that is none": "invalid",
}

NUMBER = re.compile(r"(?<![\w.])[+−-]?\d[\d,.  ]*(?:\s?%)?")
COUNTED = (
    r"(?:non-?relapse\s+|real-world\s+|clinical\s+)?"
    r"(?:deaths|patients|cohorts|trials|studies|infections|registries|percent|per\s+cent)"
)
WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred"
).split()
COUNT_IN_WORDS = re.compile(
    rf"\b(?:{'|'.join(WORDS)})(?:-\w+)?(?:\s+of\s+(?:the|these))?\s+{COUNTED}\b", re.I
)
CITES = re.compile(r"\{cite(?::\w+)?\}`[^`]+`")
SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z{*\[])|\n\s*\n|\n\s*[-*|]\s")


def refused(text: str, words: Iterable[str] = REFUSED) -> list[str]:
    """Give the words of a text that no journal prints, as they stand in the list."""
    flat = " ".join(text.split())
    return [word for word in words if re.search(rf"\b(?:{word})\b", flat, re.IGNORECASE)]


def texts(value: object) -> list[str]:
    """Texts of a file of questions or tables, without the names of its fields and of tests."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) and not value.startswith("test_") else []


@dataclass(frozen=True)
class Finding:
    """A number in prose that is neither computed, nor allowed, nor cited."""

    file: str
    cell: int
    number: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}, cell {self.cell}: {self.number!r} in “{self.sentence}”"


def typed_numbers(text: str) -> list[tuple[str, str]]:
    """Return (number, sentence) for each number that a piece of markdown types out."""
    for pattern in NOT_PROSE_BLOCKS:
        text = pattern.sub(" ", text)
    found = []
    for sentence in SENTENCE.split(text):
        if CITES.search(sentence):
            continue
        plain = sentence
        for pattern in (*NOT_PROSE_INLINE, *ALLOWED):
            plain = pattern.sub(" ", plain)
        shown = " ".join(sentence.split())
        found += [(m.group().strip(), shown) for m in NUMBER.finditer(plain)]
        found += [(m.group(), shown) for m in COUNT_IN_WORDS.finditer(plain)]
    return found


def typed_strings(code: str) -> list[str]:
    """Give the texts of a piece of code that are shown whatever the numbers are.

    Keys of dictionaries, columns and options are no prose: what stands in square brackets or is an
    argument of a call is left out. A text on either side of a condition is computed.
    """
    found: list[str] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, (ast.IfExp, ast.Call, ast.Subscript)):
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(code))
    return found


def spoken(source: str) -> list[str]:
    """Prose of a Markdown cell: its text without expressions, and what is typed into these."""
    inside = [
        text for found in EVAL.finditer(source) for text in typed_strings(found["expression"])
    ]
    return [EVAL.sub("`value`", source), *inside]


def check_file(path: Path, name: str) -> list[Finding]:
    """Check every markdown cell of a notebook, or a markdown page as one cell."""
    if path.suffix == ".ipynb":
        cells = [
            (number, cell.source)
            for number, cell in enumerate(nbformat.read(path, as_version=4).cells, start=1)
            if cell.cell_type == "markdown"
        ]
    else:
        cells = [(1, path.read_text(encoding="utf-8"))]
    return [
        Finding(name, number, *found)
        for number, source in cells
        for text in spoken(source)
        for found in typed_numbers(text)
    ]
