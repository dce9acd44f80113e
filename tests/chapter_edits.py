"""Run a chapter as a reader does who changed its table: cell by cell, with all that it says."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from inline_values import EVAL, expressions, text_of

from helpers import review, shared_results
from helpers.errors import MetaAnalysisError
from helpers.views.prose import Sentence

BOOK = Path(__file__).resolve().parents[1] / "book"
Edit = Callable[[pd.DataFrame], pd.DataFrame]


#: Published numbers are those of the review, whatever table a reader puts in.
REVIEW_ALONE = ("helpers.review.published.", "helpers.teaching.answers")
#: Around a value in the text of a sentence.
OPEN, CLOSE = "\x02", "\x03"


class SecondTableError(AssertionError):
    """A helper read the file of cohorts behind the reader's back."""


@dataclass
class Said:
    """What the cells of a chapter said.

    Attributes
    ----------
    texts : dict of str to str
        By cell: sentences, tables, captions, and what was printed.
    sentences : dict of str to str
        By cell: Markdown alone, with its values ({eval}), or made by code.
    refused : dict of str to str
        By cell: the message of a `MetaAnalysisError`, or of the names that it left undefined.
    failed : dict of str to str
        By cell: any other error, where `run` collects them.
    marked : dict of str to str
        By cell of prose: its text, with a mark on each side of a value.
    names : dict
        The chapter's variables at the end.
    """

    texts: dict[str, str] = field(default_factory=dict)
    sentences: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    marked: dict[str, str] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)


def cells_of(name: str) -> list[Any]:
    """Code cells, and Markdown cells whose text has values."""
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code" or expressions(cell.source)]


def stored(name: str) -> Said:
    """Give what the cells of a chapter say as it stands: ``make chapters`` has it run again.

    A cell that was refused is none here, because a chapter with one is never stored.
    """
    said = Said()
    for cell in cells_of(name):
        data = [output.get("data", {}) for output in cell.get("outputs", [])]
        spoken = [one.get("text/markdown", "") for one in data]
        if cell.cell_type == "markdown":
            values = iter(text_of(entry["result"]) for entry in cell.metadata.user_expressions)
            spoken = [EVAL.sub(lambda _, values=values: next(values), cell.source)]
        if any(spoken):
            said.sentences[cell.id] = "\n".join(spoken)
    return said


def _bundle(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if hasattr(value, "_repr_mimebundle_"):
        found = value._repr_mimebundle_()
        return found[0] if isinstance(found, tuple) else found
    return {"text/plain": str(value)}


def _with_values(source: str, names: dict[str, Any]) -> str:
    """Text of a Markdown cell with its values, unescaped and marked."""

    def value(found: re.Match[str]) -> str:
        text = eval(found["expression"], names)
        if not isinstance(text, str):
            raise TypeError(f"{{eval}}`{found['expression']}` gives {text!r}, which is no text")
        return f"{OPEN}{text}{CLOSE}"

    return EVAL.sub(value, source)


def _plain(html: str) -> str:
    html = re.sub(r"<(style|svg|script)\b.*?</\1>", " ", html, flags=re.S)
    html = re.sub(r"</(td|th|p|li|tr|caption|h\d)>", " | ", html)
    return unescape(re.sub(r"<[^>]+>", "", html))


@contextlib.contextmanager
def _loader(load: Callable[[], pd.DataFrame]) -> Iterator[None]:
    """Put `load` wherever a module of the project holds `load_cohorts`."""
    for module in pkgutil.walk_packages(review.__path__, f"{review.__name__}."):
        import_module(module.name)  # what is imported later would take the reader's table along

    held = [
        module
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == "helpers"
        and "load_cohorts" in vars(module)
        # is_published() there compares a table with the file and takes no number from it
        and name != "helpers.evidence.tables"
        and not name.startswith(REVIEW_ALONE)
    ]
    before = [module.load_cohorts for module in held]
    for module in held:
        module.load_cohorts = load  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module, old in zip(held, before, strict=True):
            module.load_cohorts = old  # type: ignore[attr-defined]


@functools.cache
def _of_the_review(name: str) -> Any:
    """Compute once, or take from the last build, what is of the review's file alone."""
    return _REVIEWED[name]()


_REVIEWED = {name: getattr(review, name) for name in ("reproduction", "claims")}


@contextlib.contextmanager
def _alone(strict: bool) -> Iterator[None]:
    """Take over no result that another process computed, where all is to follow the table."""
    folder = os.environ.get(shared_results.FOLDER, "")

    def kept(name: str) -> Any:
        os.environ[shared_results.FOLDER] = folder
        found = _of_the_review(name)
        os.environ[shared_results.FOLDER] = "" if strict else folder
        return found

    os.environ[shared_results.FOLDER] = "" if strict else folder
    for name in _REVIEWED:
        setattr(review, name, functools.partial(kept, name))
    try:
        yield
    finally:
        os.environ[shared_results.FOLDER] = folder
        for name, own in _REVIEWED.items():
            setattr(review, name, own)


def forget() -> None:
    """Empty every cache of the project, so that nothing is answered from an earlier table."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "helpers" and not name.startswith(REVIEW_ALONE):
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


def run(
    name: str,
    edit: Edit | None = None,
    replace: dict[str, str] | None = None,
    *,
    strict: bool = False,
    stop: bool = False,
    collect: bool = False,
) -> Said:
    """Execute the code cells of a chapter, and the values of its prose, on an edited table.

    Parameters
    ----------
    name : str
        Chapter.
    edit : callable, optional
        Given the cohorts, returns those that the chapter is to see.
    replace : dict of str to str, optional
        What a reader types over in the cells, as an exercise prescribes. Each has to be there.
    strict : bool
        Empty the caches first, and refuse a second reading of the file of cohorts.
    stop : bool
        End at the first cell that is refused, as "Run all" does.
    collect : bool
        Go on after any other error, and keep it in `Said.failed`.

    Raises
    ------
    Exception
        Whatever a cell raises that is no `MetaAnalysisError`, with the cell in a note.
    """
    import matplotlib.pyplot as plt

    from helpers.evidence import tables as files

    original = files.load_cohorts
    seen: list[pd.DataFrame] = []

    def load() -> pd.DataFrame:
        if strict and seen and "load_cohorts" not in current.source:
            raise SecondTableError(f"{name}, cell {current.id}: the file of cohorts is read again")
        table = original()
        seen.append(table if edit is None else edit(table).reset_index(drop=True))
        return seen[-1].copy()

    if strict:
        forget()
    said = Said()
    outputs: list[Any] = []
    said.names = {"__name__": "__main__", "display": outputs.append}
    missing: set[str] = set()
    used = dict.fromkeys(replace or {}, 0)
    with contextlib.chdir(BOOK), _loader(load), _alone(strict):
        for current in cells_of(name):
            source = current.source
            for old, new in (replace or {}).items():
                used[old] += source.count(old)
                source = source.replace(old, new)
            prose = current.cell_type == "markdown"
            tree = ast.parse("\n".join(expressions(source)) if prose else source)
            every = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
            made = {n.id for n in every if isinstance(n.ctx, ast.Store)}
            used_names = {n.id for n in every if isinstance(n.ctx, ast.Load)}
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            printed = io.StringIO()
            outputs.clear()
            try:
                with contextlib.redirect_stdout(printed):
                    if prose:
                        marked = _with_values(source, said.names)
                        said.marked[current.id] = marked
                        outputs.append(Sentence(marked.replace(OPEN, "").replace(CLOSE, "")))
                        tree.body, last = [], None
                    exec(compile(tree, f"{name}:{current.id}", "exec"), said.names)
                    if last is not None:
                        code = compile(ast.Expression(last.value), f"{name}:{current.id}", "eval")
                        outputs.append(eval(code, said.names))
            except MetaAnalysisError as error:
                said.refused[current.id] = str(error)
                missing |= made
                if stop:
                    break
            except Exception as error:
                if missing & used_names:  # it stands on a cell that was refused
                    said.refused[current.id] = f"{type(error).__name__}: {error}"
                    missing |= made
                    continue
                if collect:
                    at = traceback.extract_tb(error.__traceback__)[-1]
                    place = f"{Path(at.filename).name}:{at.lineno}"
                    said.failed[current.id] = f"{type(error).__name__}: {error} ({place})"
                    missing |= made
                    continue
                error.add_note(f"in {name}, cell {current.id}")
                raise
            finally:
                plt.close("all")
            parts = [printed.getvalue()]
            for value in outputs:
                bundle = _bundle(value)
                parts.append(bundle.get("text/markdown", ""))
                html = bundle.get("text/html", "")
                parts.append(_plain(html) if html else bundle.get("text/plain", ""))
            said.texts[current.id] = "\n".join(part for part in parts if part)
            spoken = [_bundle(v).get("text/markdown", "") for v in outputs]
            if any(spoken):
                said.sentences[current.id] = "\n".join(spoken)
    lost = [] if said.refused and stop else [old for old, count in used.items() if not count]
    if lost:
        raise AssertionError(f"{name}: nothing to type over: {lost}")
    if strict:
        forget()
    return said


_ROLES = (
    (re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.S), "formula"),
    (re.compile(r"\{cite:\w+\}`[^`]*`"), "Author"),
    (re.compile(r"\{[\w:]+\}`([^`<]*?)\s*(?:<[^>]*>)?`"), r"\1"),
    (re.compile(r"\]\([^)]*\)"), "]"),
    (re.compile(r"`[^`]*`"), "code"),
    (re.compile(r"^:+\{?.*$", re.M), ""),
)
#: What no sentence may say, and what is wrong with it.
FAULTS = {
    "a value that is none": re.compile(r"\b(?:nan|NaN|NaT)\b|<NA>|\bNone\b(?! of\b)|\b[+-]?inf\b"),
    "a signed zero": re.compile(r"[-\u2212]0(?:\.0+)?(?![\d.])"),
    "an empty interval": re.compile(r"\b(\d+\.\d+) to \1\b(?!\d)"),
    "one of many": re.compile(r"(?<![\d.,])(?:1|one) (?:cohorts|studies|deaths|patients)\b", re.I),
    "many of one": re.compile(
        r"(?<![\d.,])(?!1\b)(?:\d[\d,]*|two|three) (?:cohort|patient)\b(?![\u2019'-])"
    ),
    "no as a number": re.compile(r"\bNo of (?:the )?\d|\bno of\b"),
    "two prepositions": re.compile(
        r"\b(?:in|for|of|at|from) (?:before|after|above|below|until) \d"
    ),
    "a percentage before what it counts": re.compile(
        r"\d of [\d,]+ \([<>]?[\d.]+%\) (?:of|(?:nonrelapse )?deaths|patients|cohorts)\b"
    ),
    "a ratio of one as news": re.compile(r"\b1\.0+ times\b"),
    "a thousand twice": re.compile(r"per.1,000 (?:in|of|per).1,000"),
    "an identifier": re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b|\bknapp-hartung(?:-\w+)?\b|\bglmm\b"),
    "a term of a model": re.compile(r"\w\[T\."),
    "two spaces": re.compile(r"(?<=[\w,.;)]) {2,}(?=[\w(])"),
    "words for nothing": re.compile(r"\ball (?:one|no)\b|\b(?:one|no) of (?:one|no)\b", re.I),
    "a missing item": re.compile(r"\(\s*\)|: *\.|, *\.|\band \."),
}


def faults(text: str) -> list[str]:
    """Name what a reader would stumble over in a sentence."""
    for pattern, put in _ROLES:
        text = pattern.sub(put, text)
    return [
        f"{what}: …{text[max(0, m.start() - 60) : m.end() + 40]}…"
        for what, pattern in FAULTS.items()
        for m in pattern.finditer(text)
    ]


_LABELS = {
    "entity": {
        "LBCL": ("LBCL", "large B-cell lymphoma"),
        "MCL": ("MCL", "mantle-cell lymphoma"),
        "MM": ("MM", "myeloma"),
        "IL": ("IL", "indolent lymphoma"),
    },
}


def absent_names(table: pd.DataFrame, whole: pd.DataFrame) -> list[str]:
    """Name cohorts, products and diseases of the review that an edited table does not hold."""
    names = sorted(set(whole["cohort"]) - set(table["cohort"].astype(str)))
    products = " + ".join(table["product"].astype(str).unique())
    singles = {one for both in whole["product"].astype(str) for one in both.split(" + ")}
    names += sorted(one for one in singles if one not in products)
    for column, words in _LABELS.items():
        here = set(table[column].astype(str))
        names += [word for level, both in words.items() if level not in here for word in both]
    return names


def strangers(said: Said, table: pd.DataFrame, whole: pd.DataFrame) -> list[tuple[str, str]]:
    """Find sentences with computed values that speak of what the table does not hold."""
    names = absent_names(table, whole)
    if not names:
        return []
    pattern = re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, names)) + r")(?![\w-])")
    found = []
    for cell, text in said.marked.items():
        for sentence in re.split(r"\n\s*\n|\n- |(?<=[.!?”:])\s+(?=[A-Z“\[])", text):
            if OPEN in sentence and (name := pattern.search(sentence)):
                plain = " ".join(sentence.replace(OPEN, "").replace(CLOSE, "").split())
                found.append((cell, f"{name[0]}: …{plain[:160]}…"))
    return found


#: Simulations of a chapter, made short where only the table matters that reaches them.
FEWER = {
    "small_study_effects": {
        "draws=2000": "draws=60",
        "draws=1000": "draws=60",
        "slope=egger.bias": "draws=60, slope=egger.bias",
    },
    "time_at_risk": {"draws=400": "draws=40"},
    "meta_regression": {
        "regression_overview(cohorts)": "regression_overview(cohorts, draws=99)",
        '("MM: all factors", cohorts)\nplace': '("MM: all factors", cohorts, draws=99)\nplace',
        "cohorts, formula=MONTHS": "cohorts, formula=MONTHS, draws=99",
    },
    "exam": {
        "simulate_null(kept)": "simulate_null(kept, draws=60)",
        "found.calibrated_test()": "found.calibrated_test(draws=40)",
    },
    "heterogeneity": {"gosh(10_000": "gosh(300"},
    "index": {".calibrated_test()": ".calibrated_test(draws=40)"},
    "gallery": {
        "gosh(10_000": "gosh(300",
        "simulate_null(fit, tau2=0.0)": "simulate_null(fit, tau2=0.0, draws=60)",
    },
    "gallery_more": {"draws=200": "draws=40"},
    "labs": {"draws=1000": "draws=40", "draws=800": "draws=40", "draws=500": "draws=40"},
}
