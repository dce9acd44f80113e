"""The wheel: built without a network, installed elsewhere, with the numbers of the checkout."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from helpers import load_cohorts, pool
from helpers.reporting.command import main
from helpers.version import __version__

ROOT = Path(__file__).resolve().parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
TABLE = ROOT / "data" / "examples" / "ankylosing_spondylitis.csv"
REPORT = ["report", str(TABLE), "--quiet", "--outcome", "Response", "--out"]
DATE_OF_FILES = (1980, 1, 1, 0, 0, 0)  # in an archive, whenever it is made
COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


def run(command, **options):
    found = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(
        [
            *PIP,
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "-w",
            str(folder),
            str(ROOT),
        ]
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """What a program needs to see the installed wheel, from a folder outside the checkout."""
    target = tmp_path_factory.mktemp("site")
    run([*PIP, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)])
    return {
        "cwd": tmp_path_factory.mktemp("elsewhere"),
        "env": os.environ | {"PYTHONPATH": str(target), "PYTHONWARNINGS": "error"},
        "target": target,
    }


def program(installed, *arguments):
    return run([sys.executable, *arguments], cwd=installed["cwd"], env=installed["env"])


def test_the_wheel_holds_one_package_under_its_own_name(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"nrm_meta", f"nrm_meta-{__version__}.dist-info"}
    for needed in (
        "py.typed",
        "references.bib",
        "reporting/report.css",
        "views/tables/cards.css",
        "views/plots/fonts/CohortSans-Regular.ttf",
        "data/cohorts.csv",
        "data/datapackage.json",
        "data/template.csv",
        "data/examples/README.md",
        "data/examples/stroke.csv",
        "data/teaching/planted_errors.csv",
    ):
        assert f"nrm_meta/{needed}" in names, needed


def test_the_wheel_holds_the_files_of_the_checkout_as_they_are(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("nrm_meta/")]
        for name in names:
            below = name.removeprefix("nrm_meta/")
            homes = (ROOT / "helpers" / below, ROOT / below, ROOT / "book" / below)
            home = next(place for place in homes if place.is_file())
            assert archive.read(name) == home.read_bytes(), name
    tables = [p for p in (ROOT / "data").rglob("*") if p.is_file()]
    files = [p for p in (ROOT / "helpers").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    assert len(names) == len(tables) + len(files) + 1  # and the bibliography


def absolute_imports(source):
    """Lines that name the package of the checkout, which a wheel does not have."""
    for node in ast.walk(ast.parse(source)):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        if any(name.split(".")[0] == "helpers" for name in names):
            yield node.lineno


def test_no_module_names_its_package():
    assert list(absolute_imports("def f():\n    from helpers.models import x")) == [2]
    for path in (ROOT / "helpers").rglob("*.py"):
        assert not [*absolute_imports(path.read_text(encoding="utf-8"))], path


#: What the README tells a reader to type, in a shell and in Python.
README = (ROOT / "helpers" / "README.md").read_text(encoding="utf-8")
SHELL, PYTHON = (
    re.search(rf"```{kind}\n(.*?)```", README, re.DOTALL)[1] for kind in ("bash", "python")
)

#: A program beside the wheel: a fit, then a report, then what the README says, then every module.
#: One, because Python and its libraries take longer to start than all that it does.
BESIDE = f"""
import contextlib, importlib, io, json, pkgutil, sys
from nrm_meta import load_cohorts, pool
fit = pool(load_cohorts(), model="glmm", **{COLUMNS!r})
after = sorted(sys.modules)
from nrm_meta.reporting.command import main
status = main(sys.argv[1:])
with contextlib.redirect_stdout(io.StringIO()) as said:
    exec({PYTHON!r}, {{"__name__": "__main__"}})
names = [m.name for m in pkgutil.walk_packages(sys.modules["nrm_meta"].__path__, "nrm_meta.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(json.dumps([fit.to_dict(), after, status, said.getvalue(), names, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def beside(installed, tmp_path_factory):
    """What the program said, and the folder of its report."""
    folder = tmp_path_factory.mktemp("reports") / "wheel"
    said = program(installed, "-c", BESIDE, *REPORT, str(folder))
    return json.loads(said.splitlines()[-1]), folder


def test_a_fit_outside_the_checkout_has_the_same_numbers(beside):
    found, modules, *_ = beside[0]
    assert found == pool(load_cohorts(), model="glmm", **COLUMNS).to_dict()
    assert "nrm_meta.models.pooling" in modules


def test_every_module_of_the_wheel_can_be_imported(beside):
    *_, names, modules = beside[0]
    assert len(names) > 100
    assert not [name for name in modules if name.split(".")[0] == "helpers"]


def unpacked(path: Path) -> dict[str, tuple[bytes, tuple[int, ...]]]:
    """Content and date of each file in an archive."""
    with zipfile.ZipFile(path) as archive:
        return {one.filename: (archive.read(one), one.date_time) for one in archive.infolist()}


def test_the_command_gives_the_report_of_the_checkout(beside, tmp_path):
    assert beside[0][2] == 0
    here, there = tmp_path / "checkout", beside[1]
    assert main([*REPORT, str(here)]) == 0
    assert {one.name for one in here.iterdir()} == {one.name for one in there.iterdir()}
    for path in here.iterdir():
        if path.name not in {"again.py", "manifest.json", "report.zip"}:
            assert path.read_bytes() == (there / path.name).read_bytes(), path.name
    # The script imports the package by the name that it has where the report was made.
    script, other = ((folder / "again.py").read_text("utf-8") for folder in (here, there))
    assert script.count("from helpers import ") == 1
    assert script.replace("from helpers import ", "from nrm_meta import ") == other
    sums, others = (
        json.loads((folder / "manifest.json").read_text("utf-8"))["files"]
        for folder in (here, there)
    )
    assert sums.keys() == others.keys()
    assert {name for name in sums if sums[name] != others[name]} == {"again.py", "report.zip"}
    packed, others = (unpacked(folder / "report.zip") for folder in (here, there))
    assert list(packed) == list(others)
    assert packed.pop("again.py") == (script.encode(), DATE_OF_FILES)
    assert others.pop("again.py") == (other.encode(), DATE_OF_FILES)
    assert packed == others


def test_the_version_is_written_once(installed):
    script = installed["target"] / "bin" / "nrm-meta"
    for words in ([str(script)], ["-m", "nrm_meta"]):
        assert program(installed, *words, "--version").split() == ["nrm-meta", __version__]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_wheel_shows_the_readme(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"nrm_meta-{__version__}.dist-info/METADATA").decode("utf-8")
    assert metadata.partition("\n\n")[2].strip() == README.strip()


def test_what_the_readme_says_to_a_shell_works(installed, tmp_path):
    """Its commands, one after another, where only the wheel is installed."""
    first, *commands = SHELL.splitlines()
    assert first == "pip install nrm-meta"
    path = f"{installed['target'] / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        run(["sh", "-c", command], cwd=tmp_path, env=installed["env"] | {"PATH": path})
    assert (tmp_path / "my-report" / "report.html").is_file()


def test_what_the_readme_says_to_python_works(beside, installed):
    assert "Proportion with the event: " in beside[0][3]
    assert (installed["cwd"] / "from-python" / "report.html").is_file()
