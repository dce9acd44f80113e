"""The files by which other services start the book agree with the book's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import links
import pytest
import yaml

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
    assert f"FROM python:{version}-" in (ROOT / "Dockerfile").read_text()
    assert yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())["default"]["image"].startswith(
        f"python:{version}-"
    )
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert f"python={version}" in conda
    assert conda[-1] == {"pip": ["-r requirements.txt", "-e ."]}


def commands(value: object) -> Iterator[str]:
    """Every command of a service's file."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in {"run", "script"}:
                yield from [inner] if isinstance(inner, str) else inner
            else:
                yield from commands(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from commands(inner)


SERVICES = [*sorted((ROOT / ".github" / "workflows").glob("*.yml")), ROOT / ".gitlab-ci.yml"]


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_asks_for_targets_and_scripts_that_exist(service):
    said = "\n".join(commands(yaml.safe_load(service.read_text())))
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake ([a-z]+)", said))
    assert targets
    assert targets <= set(re.findall(r"^([a-z]+):", makefile, re.M))
    for script in re.findall(r"\bbash (\S+)", said):
        assert (ROOT / script).is_file()


def test_the_workflow_runs_two_processors_two_pythons_and_macos():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]
    assert {"ubuntu-24.04", "ubuntu-24.04-arm"} <= set(matrix["machine"])
    assert oldest_python() in matrix["python"]
    assert len(matrix["python"]) == 2
    assert any(str(job["runs-on"]).startswith("macos") for job in jobs.values())


def test_links_outside_are_asked_once_and_what_is_gone_is_told(tmp_path, monkeypatch, capsys):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response({"/there": 200, "/refused": 403}.get(self.path, 404))
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}"
    page = (
        '<a href="{0}/there#a">1</a><a class="b" href="{0}/there">2</a><a href="{0}/refused">3</a>'
    )
    (tmp_path / "one.html").write_text(page.format(host))
    monkeypatch.setattr(links, "SITE", tmp_path)
    assert links.main() == 0
    assert capsys.readouterr().out == (
        "2 addresses: 0 gone, 1 refuse machines, the others are there\n"
    )
    (tmp_path / "two.html").write_text(f'<a href="{host}/gone">4</a> <a href="one.html">5</a>')
    assert links.main() == 1
    assert f"{host}/gone: status 404 (on two.html)" in capsys.readouterr().out
    server.shutdown()
    server.server_close()


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
