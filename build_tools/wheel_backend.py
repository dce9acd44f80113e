"""Build backend: the checkout keeps the package ``helpers``, the wheel installs ``nrm_meta``.

In the book, chapters import ``helpers``; installed beside other software that name would clash. A
wheel is therefore built from a copy in which the package, its imports and the dotted names in its
documentation are renamed, and which holds the tables of ``data/`` and the bibliography. Everything
else (editable installs, source distributions) is setuptools as it is.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from setuptools import build_meta

build_editable = build_meta.build_editable
build_sdist = build_meta.build_sdist
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable

OLD, NEW = "helpers", "nrm_meta"
ROOT = Path(__file__).resolve().parents[1]
_NAMES = (
    (re.compile(rf"\b(from|import|python -m) {OLD}\b"), rf"\1 {NEW}"),
    (re.compile(rf"(?<![\w/.-]){OLD}(?=\.[A-Za-z_])"), NEW),
    (re.compile(rf"module '{OLD}'"), f"module '{NEW}'"),
)


def renamed(source: str) -> str:
    """Rename the package in a module: imports, dotted names, commands.

    Examples
    --------
    >>> renamed("from helpers import pool  # see helpers.models; the helpers raise it")
    'from nrm_meta import pool  # see nrm_meta.models; the helpers raise it'
    """
    for pattern, new in _NAMES:
        source = pattern.sub(new, source)
    return source


def check_imports(path: Path) -> None:
    """Refuse a module that would still import the old name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [str(node.module)]
        if any(name.split(".")[0] == OLD for name in names):
            raise RuntimeError(f"{path.name}, line {node.lineno}: still imports {OLD}")


def stage(target: Path) -> None:
    """Write the renamed project into an empty folder."""
    package = target / NEW
    shutil.copytree(ROOT / OLD, package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for path in sorted(package.rglob("*.py")):
        path.write_text(renamed(path.read_text(encoding="utf-8")), encoding="utf-8")
        check_imports(path)
    shutil.copytree(ROOT / "data", package / "data")
    shutil.copy(ROOT / "book" / "references.bib", package)
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    settings = re.sub(rf"\b{OLD}\b", NEW, settings)
    (target / "pyproject.toml").write_text(settings, encoding="utf-8")


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel from a renamed copy (a hook of PEP 517)."""
    goal, before = str(Path(wheel_directory).resolve()), Path.cwd()
    with tempfile.TemporaryDirectory(prefix="nrm-meta-") as folder:
        stage(Path(folder))
        os.chdir(folder)
        try:
            return build_meta.build_wheel(goal, config_settings)
        finally:
            os.chdir(before)
