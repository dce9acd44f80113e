"""Where the repository of the book is: the one place that decides it, and nobody's name by default.

The address is that of ``NRM_REPOSITORY``, of the service that builds, or of ``git remote``. Where
there is none, pages have no links to a repository and citations name the commit.
"""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BRANCH = "main"
COMMIT_LETTERS = 10  # enough to name a commit


def web_address(remote: str) -> str | None:
    """Turn the address of a remote into that of its pages; None for a folder or a local machine.

    Examples
    --------
    >>> web_address("git@example.org:team/book.git")
    'https://example.org/team/book'
    >>> web_address("https://user:secret@example.org/team/book.git")
    'https://example.org/team/book'
    >>> web_address("/srv/git/book") is None
    True
    """
    match = re.fullmatch(
        r"(?:https://|ssh://|git://)?(?:[^@/]+@)?([\w-]+(?:\.[\w-]+)+)(?::\d+)?[:/](.+?)/?",
        remote.strip(),
    )
    return f"https://{match[1]}/{match[2].removesuffix('.git')}" if match else None


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


@cache
def repository() -> str | None:
    """Address of the repository's pages (https), or None."""
    told = os.environ
    if named := told.get("NRM_REPOSITORY"):
        return web_address(named)
    if told.get("GITHUB_REPOSITORY"):
        return f"{told.get('GITHUB_SERVER_URL', 'https://github.com')}/{told['GITHUB_REPOSITORY']}"
    if built := told.get("CI_PROJECT_URL"):
        return web_address(built)
    return web_address(_git("remote", "get-url", "origin"))


@cache
def site() -> str | None:
    """Address of the published book (https, no slash at its end), or None: ``NRM_SITE``."""
    named = os.environ.get("NRM_SITE", "").strip().rstrip("/")
    if named and not re.fullmatch(r"https?://[\w.:-]+(?:/[\w.~%-]+)*", named):
        raise ValueError(f"NRM_SITE={named!r}: expected the address of the book, https://…")
    return named or None


@cache
def commit() -> str:
    """Short name of the commit; empty outside git."""
    return _git("rev-parse", "HEAD")[:COMMIT_LETTERS]


def _configure(app: Any, config: Any) -> None:
    """Give the theme the address, or take its buttons away."""
    address = repository()
    shown = {"use_repository_button": bool(address), "use_issues_button": bool(address)}
    config.html_theme_options = {**config.html_theme_options, **shown}
    if address:
        config.html_theme_options |= {"repository_url": address, "repository_branch": BRANCH}
    config.html_context = {**config.html_context, "repository": address}


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", _configure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
