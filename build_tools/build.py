"""Build the site (``make book``): say how long it takes, and do nothing where nothing has changed.

Nothing has changed when every file of the project, the commit and the environment are those of the
last complete build, and the site is as that build left it. Otherwise Jupyter Book builds, and
writes again what has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAMP = Path("_build") / "complete.json"
SITE = Path("_build") / "html"
MANIFEST = SITE / "engine" / "manifest.js"
MADE = {"_build", "__pycache__", "node_modules"}  # besides all that begins with a dot


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in MADE and not entry.name.startswith("."):
                yield from _files(Path(entry.path))
        elif not entry.name.startswith("."):
            yield entry


def sources_hash(root: Path) -> str:
    """Hash of every file that a build may read, of the commit, and of the environment's Python."""
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%H"], cwd=root, capture_output=True, text=True, check=False
    ).stdout  # pages carry the dates of commits; outside a repository there are none
    acts = [os.environ.get(name) for name in ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")]
    digest = hashlib.sha256(f"{sys.version} {sys.prefix} {acts} {commit}".encode())
    for entry in _files(root):
        digest.update(f"\0{os.path.relpath(entry.path, root)}\0".encode())
        digest.update(hashlib.sha256(Path(entry.path).read_bytes()).digest())
    return digest.hexdigest()


def site_hash(site: Path) -> str:
    """Hash of the names, sizes and times of the site's files."""
    facts = []
    for folder, _, names in os.walk(site):
        for name in names:
            path = Path(folder, name)
            state = path.stat()
            facts.append((path.as_posix(), state.st_size, state.st_mtime_ns))
    return hashlib.sha256(repr(sorted(facts)).encode()).hexdigest()


def is_complete(root: Path, sources: str) -> bool:
    """Tell whether the last build was complete, from the same sources, and is still there."""
    stamp = root / STAMP
    if not stamp.is_file():
        return False
    return bool(
        json.loads(stamp.read_text(encoding="utf-8"))
        == {"sources": sources, "site": site_hash(root / SITE)}
    )


def keep(root: Path, sources: str) -> None:
    """Remember a complete build; one that could not fetch the engine for the browser is not."""
    manifest = root / MANIFEST
    whole = manifest.is_file() and '"available": true' in manifest.read_text(encoding="utf-8")
    if whole and sources_hash(root) == sources:  # nobody wrote meanwhile
        made = {"sources": sources, "site": site_hash(root / SITE)}
        (root / STAMP).write_text(json.dumps(made), encoding="utf-8")


def main() -> int:
    """Build the site into ``_build/html``."""
    start = time.perf_counter()
    sources = sources_hash(ROOT)
    if is_complete(ROOT, sources):
        print("Nothing has changed since the last build.")
        return 0
    (ROOT / STAMP).unlink(missing_ok=True)
    # jsonschema compiles a grammar of internationalised addresses at its import, which takes
    # seconds and serves a check that no schema of the build asks for
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    import chapters

    chapters.begin()  # Sphinx takes seconds to start, and a kernel as well
    from jupyter_book.cli.main import main as jupyter_book

    options = ["--config", f"{ROOT}/_config.yml", "--toc", f"{ROOT}/_toc.yml"]
    options += ["--path-output", str(ROOT), "-W", "-n", "--keep-going"]
    try:
        jupyter_book(["build", str(ROOT / "book"), *options], standalone_mode=False)
    except RuntimeError as error:  # Sphinx has said what and where
        print(error, file=sys.stderr)
        return 1
    keep(ROOT, sources)
    print(f"Built in {time.perf_counter() - start:.0f} s.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
