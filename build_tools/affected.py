"""Name the tests and chapters that an uncommitted change touches: for ``make check``.

A module is tested by its own doctests, by the tests that import it, themselves or by what they
share (``tests/report_tools.py``, say), and by those named after it;
a page of the book by the tests that read its words;
a chapter belongs to the change when it was edited or imports an edited module by name. This is a
quick look while working, not a proof: what a change does elsewhere is seen by ``make test``.
"""

from __future__ import annotations

import argparse
import ast
import pkgutil
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

import nbformat

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("book/_ext/", "build_tools/")  # their modules are imported by their names alone
#: Tests that read the words of every page, in seconds.
OF_WORDS = tuple(
    f"tests/book/test_{name}.py" for name in ("chapters", "style", "term_links", "typed_judgements")
)


def changed(base: str = "HEAD") -> list[str]:
    """Paths that differ from a commit or are new, without those that are gone."""
    edited = ["diff", "--name-only", "--relative", base]
    new = ["ls-files", "--others", "--exclude-standard"]
    names: set[str] = set()
    for words in (edited, new):
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        names.update(done.stdout.split("\n"))
    return sorted(name for name in names if name and (ROOT / name).is_file())


def module_of(path: str) -> str:
    """Dotted name of a file of Python; any other file of the helpers is its room's."""
    if not path.endswith(".py"):
        path = path.rpartition("/")[0]
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def imports(source: str) -> frozenset[str]:
    """Modules that a piece of code imports, and each name that it takes from them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{name.name}" for name in node.names)
    return frozenset(found)


@cache
def home(name: str) -> str:
    """Name the module that defines what a name of the helpers means, whatever door it is had by."""
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return name  # an error that a test expects, or a module of another folder
    if isinstance(found, ModuleType):
        return found.__name__
    return str(getattr(found, "__module__", name))


@cache
def homes(source: str) -> frozenset[str]:
    """Name the modules behind what code imports, and behind ``plots.forest`` and its like."""
    had = imports(source)
    nodes = [*ast.walk(ast.parse(source))]
    names = {name.rpartition(".")[2]: name for name in had if name.startswith("helpers.")}
    for node in nodes:  # plots = review.plots
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
            room, target = ast.unparse(node.value.value), ast.unparse(node.targets[0])
            if room in names:
                names[target] = f"{names[room]}.{node.value.attr}"
    found = {home(name) if name.startswith("helpers") else name for name in had}
    for node in nodes:
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in names:
            found.add(home(f"{names[ast.unparse(node.value)]}.{node.attr}"))
    return frozenset(found)


def touches(imported: Iterable[str], modules: Iterable[str]) -> bool:
    """Whether a module, or a name from it, is imported."""
    return any(name == m or name.startswith(f"{m}.") for m in modules for name in imported)


def neighbours(path: str) -> list[str]:
    """Files of the same folder that import a module of it: they stand between it and its tests."""
    taken = re.compile(rf"^\s*from \.{Path(path).stem} import\b", re.M)
    return [
        one.relative_to(ROOT).as_posix()
        for one in sorted((ROOT / path).parent.glob("*.py"))
        if taken.search(one.read_text(encoding="utf-8"))
    ]


def known_to(path: Path) -> frozenset[str]:
    """Name the modules behind what a test imports, and behind what it shares with other tests."""
    source = path.read_text(encoding="utf-8")
    shared = sorted((ROOT / "tests").glob("*.py"))
    tools = [one for one in shared if one.stem in imports(source) and one != path]
    return homes(source).union(*(homes(one.read_text(encoding="utf-8")) for one in tools))


def tests_of(paths: list[str]) -> list[str]:
    """Files whose tests are to run: doctests of edited modules, edited tests, tests of modules."""
    code = [p for p in paths if p.startswith(("helpers/", *TOOLS)) and p.endswith(".py")]
    modules = {module_of(re.sub("|".join(TOOLS), "", p)) for p in code}
    modules |= {module_of(p) for p in paths if p.startswith("helpers/")}
    stems = {Path(p).stem for p in code} | {Path(p).parent.name for p in code}
    found = {*code, *(p for p in paths if p.startswith("tests/") and Path(p).match("test_*.py"))}
    if any(Path(p).match("book/*.ipynb") or Path(p).match("book/*.md") for p in paths):
        found.update(OF_WORDS)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.is_relative_to(ROOT / "tests" / "site"):
            continue  # they ask the built site: `make site`
        named = path.stem.removeprefix("test_") in stems
        if named or touches(known_to(path), modules):
            found.add(path.relative_to(ROOT).as_posix())
    unseen = [p for p in code if p.startswith("helpers/") and not (found - set(code))]
    if near := [one for path in unseen for one in neighbours(path) if one not in paths]:
        found.update(tests_of(near))
    return sorted(found)


def chapters_of(paths: list[str]) -> list[str]:
    """Chapters that were edited or import an edited module."""
    modules = {module_of(p) for p in paths if p.startswith("helpers/")}
    found = []
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        name = path.relative_to(ROOT).as_posix()
        cells = nbformat.read(path, 4).cells
        code = [c.source for c in cells if c.cell_type == "code"]
        prose = "\n".join(c.source for c in cells if c.cell_type == "markdown")
        code += re.findall(r"\{eval\}`+([^`\n]+)`", prose)  # values of the prose
        if name in paths or touches(homes("\n".join(code)), modules):
            found.append(name)
    return found


def main() -> int:
    """Print the paths in one line: a variable of make ends at the first end of a line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=("tests", "chapters"))
    parser.add_argument("--base", default="HEAD", help="commit to compare with")
    given = parser.parse_args()
    paths = changed(given.base)
    print(*(tests_of(paths) if given.what == "tests" else chapters_of(paths)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
