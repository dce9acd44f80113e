"""Where the repository is: known from the surroundings, and nobody's name by default."""

from __future__ import annotations

import subprocess
from pathlib import Path

import address
import page_facts
import pytest

ROOT = Path(__file__).resolve().parents[2]
FACTS = {"authors": [{"name": "We"}], "version": "1", "title": "The book"}
SURROUNDINGS = ("NRM_REPOSITORY", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "CI_PROJECT_URL")


@pytest.fixture
def surroundings(monkeypatch, tmp_path):
    """Build outside git and outside any service; give a way to set what a build would find."""
    for name in SURROUNDINGS:
        monkeypatch.delenv(name, raising=False)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    monkeypatch.setattr(address, "ROOT", tmp_path)

    def found(remote: str | None = None, **told: str) -> str | None:
        if remote:
            subprocess.run(["git", "remote", "add", "origin", remote], cwd=tmp_path, check=True)
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        address.repository.cache_clear()
        return address.repository()

    yield found
    address.repository.cache_clear()


@pytest.mark.parametrize(
    ("remote", "told", "expected"),
    [
        (None, {}, None),
        ("/srv/git/book.git", {}, None),
        ("../book", {}, None),
        ("file:///srv/git/book", {}, None),
        ("git@code.example.org:team/book.git", {}, "https://code.example.org/team/book"),
        ("ssh://git@code.example.org:2222/team/book", {}, "https://code.example.org/team/book"),
        ("https://code.example.org/team/book.git", {}, "https://code.example.org/team/book"),
        ("https://u:secret@code.example.org/a/b.git", {}, "https://code.example.org/a/b"),
        (
            "git@code.example.org:fork/book.git",
            {"NRM_REPOSITORY": "https://code.example.org/team/book"},
            "https://code.example.org/team/book",
        ),
        (None, {"GITHUB_REPOSITORY": "team/book"}, "https://github.com/team/book"),
        (
            None,
            {"CI_PROJECT_URL": "https://lab.example.org/team/book"},
            "https://lab.example.org/team/book",
        ),
    ],
)
def test_the_address_is_that_of_the_surroundings(surroundings, remote, told, expected):
    assert surroundings(remote, **told) == expected


def test_without_an_address_a_citation_names_the_commit_and_nothing_is_launched(surroundings):
    assert surroundings() is None
    text, bibtex = page_facts.citation(FACTS, "Pooling", "book/p.ipynb", "2026-01-02", "abc1234567")
    assert text.endswith("Commit abc1234567, book/p.ipynb")
    assert "url" not in bibtex
    assert "abc1234567" in bibtex
    assert page_facts.run_links("book/p.ipynb") == ""


def test_with_an_address_citation_and_links_lead_there(surroundings):
    surroundings(GITHUB_REPOSITORY="team/book")
    text, bibtex = page_facts.citation(FACTS, "Pooling", "book/p.ipynb", "2026-01-02", "abc")
    page = "https://github.com/team/book/blob/main/book/p.ipynb"
    assert text.endswith(page)
    assert f"url = {{{page}}}" in bibtex
    assert "gh/team/book/main" in page_facts.run_links("book/p.ipynb")


def test_no_file_of_the_project_names_a_repository():
    """A name that is not ours may be registered by anybody; hosts of services are no names."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    place = "github" + r"\.com/[\w.-]+/[\w.-]*(nrm|meta-analysis-book)"
    named = subprocess.run(
        ["git", "grep", "-lE", place, "--", *listed.split("\0")[:-1]],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout
    assert named == ""
