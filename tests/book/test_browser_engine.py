"""The extension that puts the engine into the site: pinned, repeatable, and honest without it."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import browser_engine
import pytest
from browser_engine import OURS

ROOT = Path(__file__).resolve().parents[2]


def manifest_of(site: Path) -> dict:
    text = (site / "engine" / "manifest.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("engineManifest = ").rstrip(";\n"))


def test_every_package_is_pinned_by_size_and_checksum():
    for package in browser_engine.packages():
        assert len(package["sha256"]) == 64
        assert package["integrity"].startswith("sha512-")
        assert package["size"] > 1e6
        assert package["licence"]
        assert package["version"] in package["tarball"]


def test_a_package_that_differs_is_refused(tmp_path, monkeypatch):
    content = b"what is expected"
    package = {
        "name": "example",
        "version": "1.0.0",
        "tarball": "example/-/example-1.0.0.tgz",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode(),
    }
    monkeypatch.setattr(browser_engine, "_by_npm", lambda _: b"what is EXPECTED")
    monkeypatch.setattr(browser_engine, "_by_address", lambda _: b"shorter")
    with pytest.raises(browser_engine.UnavailableError, match="7 bytes instead of 16"):
        browser_engine.fetch(package, tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(browser_engine, "_by_address", lambda _: content)
    assert browser_engine.fetch(package, tmp_path) == content
    # what is in the cache is checked again, and fetched again when it was changed
    next(tmp_path.iterdir()).write_bytes(b"spoiled in between")
    assert browser_engine.fetch(package, tmp_path) == content


def test_without_the_packages_the_site_says_why(tmp_path, monkeypatch):
    def unreachable(_: dict) -> bytes:
        raise OSError("no route to the registry")

    monkeypatch.setattr(browser_engine, "_by_npm", unreachable)
    monkeypatch.setattr(browser_engine, "_by_address", unreachable)
    told = browser_engine.assemble(tmp_path / "site", ROOT, tmp_path / "cache")
    assert told["available"] is False
    there = manifest_of(tmp_path / "site")
    assert "no route to the registry" in there["reason"]
    assert there["tables"]["cohorts"] == (ROOT / "data" / "cohorts.csv").read_text(encoding="utf-8")
    names = {path.name for path in (tmp_path / "site" / "engine").iterdir()}
    assert names == {"manifest.js", "engine.js", "engine.css"}


def test_zips_depend_on_content_alone():
    files = [("b.py", b"2"), ("a.py", b"1")]
    first = browser_engine.stored_zip(files)
    assert first == browser_engine.stored_zip(reversed(files))
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == ["a.py", "b.py"]
        assert archive.read("b.py") == b"2"


def test_the_modules_of_the_book_are_those_of_the_checkout():
    modules = browser_engine.ours(ROOT)
    for name in ("helpers/reporting/in_browser/analysis.py", "helpers/engine/counts/fit.py"):
        assert modules[name] == (ROOT / name).read_bytes()
    assert not any("plots" in name for name in modules)


def test_a_pack_can_be_taken_apart_again():
    import gzip

    files = {"one": b"1" * 5000, "two": bytes(range(256)) * 9000}
    pack, index = browser_engine.packed(files)
    scripts = browser_engine._scripts("runtime", pack)
    pieces = [text.split('"')[3] for text in scripts.values()]
    whole = gzip.decompress(base64.b64decode("".join(pieces)))
    at = 0
    for name, length in index:
        assert whole[at : at + length] == files[name]
        at += length
    assert at == len(whole)


def test_the_bundle_holds_every_module_that_a_fit_imports():
    code = (
        "import sys; from helpers.reporting.in_browser import analyse; "
        "analyse(b'study,events,n\\na,3,40\\nb,5,60\\nc,8,50\\nd,2,30\\ne,4,44\\nf,6,70\\n'); "
        "print([m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'helpers'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    needed = {Path(name).relative_to(ROOT / "helpers") for name in ast.literal_eval(run.stdout)}
    held = {p.relative_to(ROOT / "helpers") for o in OURS for p in (ROOT / "helpers").glob(o)}
    assert needed <= held


def test_the_bundle_keeps_what_its_modules_import_from_the_library():
    for pattern in OURS:
        for path in (ROOT / "helpers").glob(pattern):
            if path.suffix != ".py":
                continue
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                cut = {name.split(".")[0] for name in names} & set(browser_engine.UNUSED_LIBRARY)
                assert not cut, path
