"""The files by which other services start the book agree with the book's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "ways_to_run.md").read_text(encoding="utf-8")


def oldest_python() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return re.search(r"\d+\.\d+", project["requires-python"])[0]


def test_every_service_takes_the_python_of_the_pins():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    version = oldest_python()
    assert f"python:{version}-" in container["image"]
    assert (ROOT / "binder" / "runtime.txt").read_text().strip() == f"python-{version}"
    assert f"python:{version} " in PAGE


def test_binder_installs_the_pins_and_the_helpers():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    (included,) = [line.removeprefix("-r ") for line in lines if line.startswith("-r ")]
    assert (ROOT / "binder" / included).resolve() == ROOT / "requirements.txt"
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_the_container_calls_a_target_that_exists():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    target = container["updateContentCommand"].removeprefix("make ")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert target == ".venv/.ready"
    assert "VENV := .venv" in makefile
    assert "READY := $(VENV)/.ready" in makefile
    for opened in container["customizations"]["codespaces"]["openFiles"]:
        assert (ROOT / opened).is_file()


def test_the_cell_for_colab_makes_the_book_importable(tmp_path):
    cell = re.search(r"```ipython3\n(!git clone.*?)```", PAGE, re.S)[1]
    clone, install, *rest = cell.splitlines()
    folder = clone.split()[-1]
    assert install.endswith(f"./{folder}")
    for name in ("helpers", "data"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).symlink_to(ROOT / name)
    code = (
        "\n".join(rest) + "\nimport sys\nfrom helpers import load_cohorts\n"
        "print(len(load_cohorts()), sys.modules['helpers'].__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["52", str(tmp_path / folder / "helpers" / "__init__.py")]
