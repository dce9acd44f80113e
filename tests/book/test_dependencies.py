"""What is declared is used, and what is imported is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("helpers", "book/_ext", "build_tools", "tests", "benchmarks")
#: Declared, and neither imported nor called by its name: why.
USED_OTHERWISE = {
    "brotli": "fontTools reads the woff2 of the pages with it",
    "jupyterlab": "`jupyter lab` in the Makefile",
    "jupyterlab-myst": "an extension that JupyterLab finds by itself",
    "pandas-stubs": "types for pyrefly",
    "pre-commit": "hooks in .pre-commit-config.yaml",
    "pydata-sphinx-theme": "holds back a dependency of sphinx-book-theme",
    "pytest-xdist": "the option -n of pytest in the Makefile",
    "scipy-stubs": "types for pyrefly",
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


DISTRIBUTIONS = {
    module: {canonical(name) for name in names}
    for module, names in packages_distributions().items()
} | {"pptx": {"python-pptx"}}  # of `make slides`, which alone installs it


def imported(source: str) -> set[str]:
    """First parts of the names of modules that a piece of code imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module))
    return {name.split(".")[0] for name in found}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def third_party(texts: list[str]) -> set[str]:
    files = [path for folder in FOLDERS for path in sources(folder)]
    here = [p for p in files if "helpers" not in p.parts]
    ours = {"helpers", "conftest", *(p.stem for p in here), *(p.parent.name for p in here)}
    return set().union(*map(imported, texts)) - ours - sys.stdlib_module_names


def code_of(folder: str) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sources(folder)]


def chapters() -> list[str]:
    books = [nbformat.read(path, 4) for path in sorted((ROOT / "book").glob("*.ipynb"))]
    return [cell.source for book in books for cell in book.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def everything() -> set[str]:
    texts = [text for folder in FOLDERS for text in code_of(folder)]
    return third_party([*texts, *chapters(), (ROOT / "conftest.py").read_text(encoding="utf-8")])


@pytest.fixture(scope="module")
def of_the_book() -> set[str]:
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    return {canonical(m[0]) for line in lines if (m := re.match(r"[\w.-]+", line))}


@pytest.fixture(scope="module")
def of_the_wheel() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {canonical(re.match(r"[\w.-]+", one)[0]) for one in project["dependencies"]}


@pytest.fixture(scope="module")
def of_the_extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return {canonical(re.match(r"[\w.-]+", one)[0]) for extra in extras for one in extra}


def imported_at_once(source: str) -> set[str]:
    """First parts of the names of modules that are imported when the module itself is."""
    body = ast.parse(source).body
    return imported(
        "\n".join(
            ast.unparse(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom))
        )
    )


def undeclared(modules: set[str], declared: set[str]) -> dict[str, set[str]]:
    own = {module: {canonical(module)} for module in sorted(modules)}  # where it is not installed
    by_module = {module: DISTRIBUTIONS.get(module, name) for module, name in own.items()}
    return {module: names for module, names in by_module.items() if not names & declared}


def unused(modules: set[str], declared: set[str]) -> set[str]:
    return declared - set().union(*(DISTRIBUTIONS.get(module, set()) for module in modules))


def test_helpers_import_what_the_wheel_declares_and_nothing_else(of_the_wheel, of_the_extras):
    modules = third_party(code_of("helpers"))
    assert undeclared(modules, of_the_wheel | of_the_extras) == {}
    assert unused(modules, of_the_wheel | of_the_extras) == set()


def test_what_an_extra_adds_is_imported_where_it_is_needed_and_not_before(
    of_the_wheel, of_the_extras
):
    assert not of_the_wheel & of_the_extras
    at_once = set().union(*map(imported_at_once, code_of("helpers")))
    for module in at_once:
        assert not DISTRIBUTIONS.get(module, set()) & of_the_extras, module


def test_every_import_of_the_project_is_declared(everything, of_the_book):
    lists = (ROOT / "build_tools").glob(
        "*.txt"
    )  # what single targets of make install for themselves
    pinned = "\n".join(path.read_text(encoding="utf-8") for path in lists)
    beside = {canonical(name) for name in re.findall(r"^([\w.-]+)==", pinned, re.M)}
    assert undeclared(everything, of_the_book | beside) == {}


def test_every_declared_package_is_imported_or_called(everything, of_the_book):
    calls = "".join((ROOT / name).read_text("utf-8") for name in ("Makefile", "_config.yml"))
    words = set(re.findall(r"[\w.-]+", calls.replace("$(BIN)/", " ")))
    left = unused(everything, of_the_book)
    for name in sorted(left):
        package = distribution(name)
        commands = {one.name for one in package.entry_points if one.group == "console_scripts"}
        modules = {module for module, names in DISTRIBUTIONS.items() if name in names}
        if name == "sphinxcontrib-bibtex":
            modules = {"sphinxcontrib.bibtex"}  # one of many in a shared folder
        if (commands | modules) & words:
            left = left - {name}
    assert left == USED_OTHERWISE.keys()


def test_what_the_wheel_needs_is_pinned_for_the_book(of_the_wheel, of_the_extras, of_the_book):
    assert of_the_wheel | of_the_extras <= of_the_book


def test_hooks_call_commands_and_files_that_exist():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    calls = re.findall(r"^ +entry: (.+)$", hooks, re.M)
    assert len(calls) == hooks.count("- id:")
    places = {word for call in calls for word in call.split() if "/" in word}
    assert {place for place in places if not (ROOT / place).exists()} == set()
