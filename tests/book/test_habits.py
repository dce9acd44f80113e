"""What those who come after rely on: records, owners, forms and releases say what is there."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
import yaml

from helpers.version import __version__

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "build_tools"))
import rooms

ROOT = Path(__file__).resolve().parents[2]
RECORDS = sorted((ROOT / ".github" / "decisions").glob("*.md"))
PARTS = ["Decision", "Why", "Instead of", "Home", "Look again when"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def tracked() -> list[str]:
    """Paths of the project below its root."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        return listed.stdout.splitlines()
    return [p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if p.is_file()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_short_whole_and_points_at_what_exists(record):
    text = record.read_text(encoding="utf-8")
    assert 10 <= len(text.splitlines()) <= 20
    assert re.findall(r"^\*\*([^*]+)\.\*\* \S", text, re.M) == PARTS
    named = re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:md|toml|in|txt))`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert not set(re.findall(r"`make\s+(\w+)", text)) - set(
        re.findall(r"^(\w+):", read("Makefile"), re.M)
    )


def test_records_are_numbered_without_gaps_and_refer_to_each_other():
    numbers = [path.name[:4] for path in RECORDS]
    assert numbers == [f"{i:04d}" for i in range(1, len(numbers) + 1)]
    for path in RECORDS:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}. ")
        assert set(re.findall(r"\((\d{4})\)", text)) <= set(numbers)


def test_every_line_of_owners_matches_something():
    lines = [x.split() for x in read(".github/CODEOWNERS").splitlines() if x[:1] not in {"", "#"}]
    assert lines[0][0] == "*"
    paths = tracked()
    for pattern, *owners in lines[1:]:
        assert owners
        assert any(fnmatch(f"/{path}", f"{pattern}*") for path in paths), pattern


def test_choices_of_the_forms_are_words():
    """YAML reads a bare No as false, and a form would then offer nothing to choose."""
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
    bodies = [part for form in forms for part in yaml.safe_load(form.read_text())["body"]]
    choices = [o for part in bodies for o in part["attributes"].get("options", [])]
    assert choices
    assert all(isinstance(choice, str) for choice in choices)


def test_the_newest_release_of_the_changelog_is_the_version_and_the_citation():
    releases = re.findall(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", read("CHANGELOG.md"), re.M)
    assert len(releases) == len(re.findall(r"^## ", read("CHANGELOG.md"), re.M))
    assert releases == sorted(releases, key=lambda r: r[1], reverse=True)
    version, date = releases[0]
    assert version == __version__
    assert f"\nversion: {version}\ndate-released: {date}\n" in read("CITATION.cff")


def homes() -> dict[str, str]:
    """Question of a newcomer -> where CONTRIBUTING says that the answer is."""
    rows = re.findall(r"^\| ([^|]+) \| `([^`|]+)` \|$", read("CONTRIBUTING.md"), re.M)
    return {question: home for question, home in rows if "." in home}


@cache
def definitions() -> dict[str, list[str]]:
    """Of each name that a module of `helpers` defines, the modules that define it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "helpers").rglob("*.py")):
        names = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = getattr(node, "targets", [getattr(node, "target", node)])
            names |= {getattr(t, "id", getattr(t, "name", "")) for t in targets}
        for name in names:
            found.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    return found


def test_a_newcomer_has_twelve_answers_or_more():
    assert len(homes()) >= 12


@pytest.mark.parametrize(("question", "home"), homes().items())
def test_a_question_of_a_newcomer_has_one_home(question, home):
    if "/" in home:
        assert (ROOT / home).is_file()
        return
    module, _, name = home.rpartition(".")
    assert hasattr(importlib.import_module(module), name)
    assert definitions()[name] == [f"{module.replace('.', '/')}.py"]


def test_the_picture_of_the_rooms_is_current():
    page = read("CONTRIBUTING.md")
    drawn = rooms.written(page, rooms.picture(rooms.arrows()))
    assert page == drawn, "the rooms have changed: `make rooms` draws them anew"


def test_a_picture_has_floors_and_leaves_out_what_other_arrows_imply():
    drawn = {"top": frozenset("ab"), "a": frozenset("b"), "b": frozenset(), "c": frozenset()}
    assert rooms.floors(drawn) == {"top": 2, "a": 1, "b": 0, "c": 0}
    assert rooms.shortened(drawn) == [("a", "b"), ("top", "a")]
    with pytest.raises(SystemExit, match="circle"):
        rooms.floors({"a": frozenset("b"), "b": frozenset("a")})
