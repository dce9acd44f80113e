"""What a build of the book was made from: versions, data, helpers, tests."""

from __future__ import annotations

import ast
import doctest
import hashlib
import inspect
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

from .. import printing
from ..errors import MetaAnalysisError
from ..evidence.package import described
from ..evidence.pages import page_content
from ..shared_results import shared_in_a_build
from ..views.prose import Sentence

__all__ = ["PACKAGES", "build_status", "count_tests", "hash_of", "installed", "see", "seen"]

#: Packages whose version can change a number or a picture.
PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "formulaic",
    "matplotlib",
    "seaborn",
    "jupyter-book",
    "sphinx",
)
SEEN = "_build/processors.json"  # written after every chapter was compared
_SHORT = 16  # characters of a hash that are shown


def hash_of(paths: Iterable[Path], root: Path) -> str:
    """Hash names (relative to `root`) and contents of files, by their names: SHA-256."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def installed(pins: str) -> dict[str, tuple[str, str]]:
    """Give pinned and installed version of each of `PACKAGES`; `pins` is ``requirements.txt``."""
    pinned = dict(re.findall(r"^([\w-]+)==([^\s;]+)", pins, re.M))
    missing = [name for name in PACKAGES if name not in pinned]
    if missing:
        raise MetaAnalysisError(f"requirements.txt does not pin {', '.join(missing)}")
    return {name: (pinned[name], metadata.version(name)) for name in PACKAGES}


def count_tests(root: Path) -> dict[str, int]:
    """Count test functions, their files, and docstrings with examples."""
    return _counted(root, hash_of((*_test_files(root), *(root / "helpers").rglob("*.py")), root))


def _test_files(root: Path) -> list[Path]:
    return sorted((root / "tests").rglob("test_*.py"))


@shared_in_a_build
def _counted(root: Path, _: str) -> dict[str, int]:
    functions = files = examples = 0
    for path in _test_files(root):
        files += 1
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions += sum(
            isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
            for node in _definitions(tree)
        )
    parser = doctest.DocTestParser()
    for path in sorted((root / "helpers").rglob("*.py")):
        for node in _definitions(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node, clean=False) or ""
            examples += ">>>" in text and bool(parser.get_examples(inspect.cleandoc(text)))
    return {"functions": functions, "files": files, "examples": examples}


def _definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef | ast.Module]:
    """Give the module with its functions and classes; expressions, which have none, are passed."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
            yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            below = getattr(node, name, ())
            if isinstance(below, list):  # the body of a lambda is an expression
                waiting += below


def build_status(root: Path, date: str) -> Sentence:
    """Describe a build; the same files, environment and date give the same text.

    An error when a data file is not the one that ``data/datapackage.json`` describes.
    """
    helpers = _helpers(root)
    tests = count_tests(root)
    migration = root / "book" / "_data" / "migration_reference.toml"
    r = page_content(migration.name, migration)["versions"]
    return Sentence(
        "\n\n".join(
            [
                f"Last commit: {date}. Python {sys.version_info[0]}.{sys.version_info[1]}. "
                f"Code of `helpers`: SHA-256 `{helpers[:_SHORT]}`…",
                "## Packages\n\n" + _packages((root / "requirements.txt").read_text("utf-8")),
                "## Data\n\n" + _data(root),
                "## Processors\n\n" + _processors(root, helpers),
                "## Checks\n\n"
                f"{printing.count(tests['functions'])} test functions in "
                f"{printing.count(tests['files'])} files and "
                f"{printing.count(tests['examples'])} docstrings with examples are run by `make "
                "test`. The values of R they compare with come from "
                f"{printing.listing(f'{name} {version}' for name, version in r.items())}.",
            ]
        )
    )


def _packages(pins: str) -> str:
    rows = [
        f"| {name} | {pinned} | {'the same' if here == pinned else here} |"
        for name, (pinned, here) in installed(pins).items()
    ]
    return "\n".join(["| Package | Pinned | This build |", "|---|---|---|", *rows])


def processor() -> str:
    """Name the kind of this processor as it acts: machine, vectors, and whom OpenBLAS takes it for.

    Two kinds may differ in the last bits of a sum; what the book prints is the same on both.
    """
    vectors = np.show_config(mode="dicts")["SIMD Extensions"]
    acts = os.environ.get("OPENBLAS_CORETYPE")
    named = [platform.machine(), (vectors.get("found") or vectors["baseline"])[-1]]
    return ", ".join(named + ([f"OpenBLAS as on {acts}"] if acts else []))


def see(root: Path) -> None:
    """Note that the stored outputs of every chapter were the same on this kind of processor."""
    record = root / SEEN
    helpers = _helpers(root)
    kinds = [*seen(root, helpers), processor()]
    record.write_text(json.dumps({"helpers": helpers, "kinds": sorted(set(kinds))}), "utf-8")


def seen(root: Path, helpers: str) -> list[str]:
    """Kinds of processors that gave the stored outputs with this code of `helpers` (its hash)."""
    record = root / SEEN
    if not record.is_file():
        return []
    noted = json.loads(record.read_text(encoding="utf-8"))
    return list(noted["kinds"]) if noted["helpers"] == helpers else []


def _helpers(root: Path) -> str:
    code = [path for path in (root / "helpers").rglob("*") if path.is_file()]
    return hash_of((path for path in code if path.suffix != ".pyc"), root)


def _processors(root: Path, helpers: str) -> str:
    kinds = "; ".join(seen(root, helpers))
    found = (
        f"With this code every stored output was the same on: {kinds}."
        if kinds
        else "With this code no run in this copy has compared the stored outputs yet."
    )
    return (
        f"This build ran on {processor()}. {found} `make chapters` compares them on the processor "
        "at hand, `make processors` as on others, and the workflow of the repository on x86-64 and "
        "ARM."
    )


def _data(root: Path) -> str:
    rows = []
    for table in described()["resources"]:
        content = (root / "data" / table["path"]).read_bytes()
        found, wanted = hashlib.sha256(content).hexdigest(), table["hash"].removeprefix("sha256:")
        if found != wanted:
            raise MetaAnalysisError(
                f"data/{table['path']}: SHA-256 is {found}, datapackage.json says "
                f"{wanted}; if the change is meant, run python -m helpers.evidence"
            )
        lines = content.count(b"\n") - 1
        rows.append(f"| `{table['path']}` | {printing.count(lines)} | `{found[:_SHORT]}`… |")
    head = ["| File | Lines below the heading | SHA-256 |", "|---|---:|---|"]
    return "\n".join([*head, *rows]) + (
        "\n\nEach file is the one that `data/datapackage.json` describes, hash by hash."
    )
