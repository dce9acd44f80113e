"""Build backend: the checkout keeps the package ``helpers``, the wheel installs ``nrm_meta``.

In the book, chapters import ``helpers``; installed beside other software that name would clash.
Modules import each other relatively, so a wheel is built from a copy of the folder under its other
name, with the tables of ``data/`` and the bibliography inside; no module is edited. Everything else
(editable installs, source distributions) is setuptools as it is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 (every hook, of which two are replaced below)

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "nrm_meta"


def _in_a_copy(hook: Callable[..., str]) -> Callable[..., str]:
    """Let a hook of PEP 517 work where the package has its other name."""

    def run(directory: str, *options: Any) -> str:
        target = str(Path(directory).resolve())
        with tempfile.TemporaryDirectory(prefix=PACKAGE) as folder, chdir(folder):
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / "helpers", PACKAGE, ignore=without)
            shutil.copytree(ROOT / "data", f"{PACKAGE}/data")
            shutil.copy(ROOT / "book" / "references.bib", PACKAGE)
            for name in ("README.md", "LICENSE"):
                shutil.copy(ROOT / name, ".")
            settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
            settings = settings.replace('"helpers', f'"{PACKAGE}')  # folder, version, command
            Path("pyproject.toml").write_text(settings, encoding="utf-8")
            return hook(target, *options)

    return run


build_wheel = _in_a_copy(build_meta.build_wheel)
prepare_metadata_for_build_wheel = _in_a_copy(build_meta.prepare_metadata_for_build_wheel)
