"""The files by which other services start the book agree with the book's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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


def test_builds_draw_into_files_and_a_notebook_on_the_screen(tmp_path):
    """Run the recipes with programs that print the backend which matplotlib would take."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("jupyter", "jupyter-book", "pytest", "python"):
        program = programs / name
        program.write_text('#!/bin/sh\necho "backend=${MPLBACKEND-none}"\n')
        program.chmod(0o755)
    (tmp_path / ".ready").touch()
    free = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    found = {}
    for target in ("notebook", "book", "unit", "chapters", "site", "refresh", "report TABLE=a.csv"):
        command = ["make", "--no-print-directory", f"VENV={tmp_path}", *target.split()]
        said = subprocess.run(command, cwd=ROOT, env=free, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        found[target] = set(re.findall(r"backend=(\w+)", said.stdout))
    assert found.pop("notebook") == {"none"}
    assert set(map(frozenset, found.values())) == {frozenset({"agg"})}


def test_the_container_calls_a_target_that_exists():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    target = container["updateContentCommand"].removeprefix("make ")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert target == ".venv/.ready"
    assert "VENV := .venv" in makefile
    assert "READY := $(VENV)/.ready" in makefile
    for opened in container["customizations"]["codespaces"]["openFiles"]:
        assert (ROOT / opened).is_file()
