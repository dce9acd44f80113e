"""The files by which other services start the book agree with the book's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
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
