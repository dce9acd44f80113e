"""Sphinx extension: the engine for the reader's browser, put into the site when it is built.

Python and NumPy for WebAssembly come from the npm registry, pinned by size and checksum in
``browser_engine.lock.json`` and kept in ``_build/engine-cache``; the book's own modules and table
are those of the checkout. All of it goes to ``engine/`` in the site as plain scripts, which a
browser loads over HTTP as well as from a folder, and only after a click. Where the packages cannot
be had, the build goes on and the page says why it has no engine.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import inspect
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LOCK = HERE / "browser_engine.lock.json"
PAGE = HERE / "engine"  # script and style of the page
FOLDER = "engine"  # in the site
REGISTRY = "https://registry.npmjs.org/"
PART = 1 << 20  # characters of one script
SECONDS = 120

# modules of the book that the page calls, and what they import
OURS = (
    "*.py",
    "printing/*.py",
    "evidence/*.py",
    "evidence/column_names.toml",
    "engine/*.py",
    "engine/counts/*.py",
    "engine/model/*.py",
    "engine/normal/*.py",
    "models/__init__.py",
    "models/base.py",
    "models/cautions.py",
    "models/display.py",
    "models/methods.py",
    "models/new_study.py",
    "models/pooled_intervals.py",
    "models/pooling.py",
    "models/population.py",
    "models/result.py",
    "models/subgroup_*.py",
    "reporting/__init__.py",
    "reporting/in_browser/*.py",
)
#: Columns of the book's own table, whose names say what is counted.
OUR_ROLES = {"study": "cohort", "events": "nonrelapse_deaths", "n": "patients"}
TEMPLATE_ROLES = {role: role for role in OUR_ROLES}
# choices of the form in words; the page offers the engine's own default first
CHOICES = {
    "model": {
        "glmm": "Binomial GLMM",
        "random": "Random effects",
        "common": "Common effect",
    },
    "measure": {
        "logit": "Logit",
        "arcsine": "Arcsine",
        "double-arcsine": "Double arcsine",
        "log": "Logarithm",
        "raw": "Untransformed",
    },
    "tau2_method": {
        "REML": "REML",
        "ML": "ML",
        "PM": "Paule-Mandel",
        "DL": "DerSimonian-Laird",
        "SJ": "Sidik-Jonkman",
        "EB": "Empirical Bayes",
    },
    "level": {
        "0.95": "95%",
        "0.9": "90%",
        "0.99": "99%",
    },
    "scale": {
        "": "as their column is called",
        "raw": "numbers as they are",
        "ratio": "ratios",
        "log-ratio": "logarithms of ratios",
        "proportion": "proportions",
        "logit": "logits",
    },
    "group_tau2": {
        "separate": "one each",
        "common": "one for all",
    },
}
# parts of Python's library that a fit never meets
UNUSED_LIBRARY = """
    __phello__ aifc antigravity bdb cProfile cgi cgitb chunk cmd colorsys compileall configparser
    crypt ctypes doctest fileinput filecmp ftplib getpass imaplib imghdr
    mailbox mailcap modulefinder multiprocessing netrc nntplib nturl2path optparse pdb pickletools
    pipes plistlib poplib profile pstats pty pyclbr pydoc pydoc_data runpy sched
    shelve smtplib sndhdr socketserver sunau symtable tabnanny telnetlib this timeit trace
    tty unittest uu wave webbrowser wsgiref xdrlib xmlrpc zipapp
""".split()
# spreadsheets are XML, of which the reader needs one parser
USED_XML = ("xml/__init__", "xml/etree/", "xml/parsers/")
ENCODINGS = """
    __init__ aliases ascii charmap cp1252 cp437 idna latin_1 punycode raw_unicode_escape
    unicode_escape utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_8 utf_8_sig
""".split()
UNUSED_NUMPY = (
    "numpy/random/",
    "numpy/fft/",
    "numpy/f2py/",
    "numpy/distutils/",
    "numpy/testing/",
    "numpy/typing/mypy_plugin.py",
    "numpy/_pyinstaller/",
    "numpy/doc/",
    "numpy/core/include/",
    "numpy/_core/include/",
    "numpy/_core/lib/",
)
# NumPy documents its _multiarray_tests on import and therefore needs them
UNUSED_NUMPY_PARTS = ("/tests/", "_rational_tests.", "_umath_tests.", "flag_tests.", "ufunc_tests.")


class UnavailableError(Exception):
    """The packages cannot be had here; the message says why."""


# -- fetching -------------------------------------------------------------------------------------


def packages() -> list[dict[str, Any]]:
    """Pinned packages."""
    return json.loads(LOCK.read_text(encoding="utf-8"))["packages"]


def fault(content: bytes, package: dict[str, Any]) -> str:
    """Say how a download differs from what is pinned; empty when it does not."""
    if len(content) != package["size"]:
        return f"{len(content)} bytes instead of {package['size']}"
    if hashlib.sha256(content).hexdigest() != package["sha256"]:
        return "another sha256 than the pinned one"
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return "" if f"sha512-{digest}" == package["integrity"] else "another integrity (sha512)"


def registry() -> str:
    """Address of the npm registry, as npm is configured here."""
    named = os.environ.get("NPM_CONFIG_REGISTRY")
    if not named and shutil.which("npm"):
        asked = subprocess.run(
            ["npm", "config", "get", "registry"], capture_output=True, text=True, check=False
        )
        named = asked.stdout.strip() if asked.returncode == 0 else ""
    return (named or REGISTRY).rstrip("/") + "/"


def _by_npm(package: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--loglevel=error", "--pack-destination", folder]
        done = subprocess.run(
            [*command, f"{package['name']}@{package['version']}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            cwd=folder,
        )
        files = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(files) != 1:
            first = (done.stderr.strip().splitlines() or ["no file was written"])[0]
            raise OSError(f"npm pack: {first}")
        return files[0].read_bytes()


def _by_address(package: dict[str, Any]) -> bytes:
    with urllib.request.urlopen(registry() + package["tarball"], timeout=SECONDS) as answer:
        return answer.read()


def fetch(package: dict[str, Any], cache: Path) -> bytes:
    """Return a pinned package from the cache, or fetch it once.

    Raises
    ------
    UnavailableError
        It cannot be had, or what came is not what is pinned.
    """
    stored = cache / f"{package['sha256']}.tgz"
    if stored.is_file() and not fault(content := stored.read_bytes(), package):
        return content
    reasons = []
    ways = [_by_npm] if shutil.which("npm") else []
    for way in [*ways, _by_address]:
        try:
            content = way(package)
        except (OSError, urllib.error.URLError, subprocess.TimeoutExpired) as error:
            reasons.append(str(error))
            continue
        if wrong := fault(content, package):
            reasons.append(wrong)
            continue
        cache.mkdir(parents=True, exist_ok=True)
        partial = stored.with_suffix(".part")
        partial.write_bytes(content)
        partial.replace(stored)
        return content
    name = f"{package['name']} {package['version']}"
    raise UnavailableError(f"{name} could not be fetched from npm ({'; '.join(reasons)})")


# -- packing --------------------------------------------------------------------------------------


def stored_zip(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Zip that depends on names and contents alone; not compressed, because the pack is."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return out.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
    """Read the files of a .tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        found = {}
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)):
                found[member.name.removeprefix("./")] = file.read()
        return found


def library(content: bytes) -> bytes:
    """Python's standard library without what a fit never meets."""
    kept = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            top = name.partition("/")[0].removesuffix(".py")
            if name.startswith("xml/") and not name.startswith(USED_XML):
                continue
            codec = name.startswith("encodings/") and Path(name).stem not in ENCODINGS
            if not name.endswith("/") and top not in UNUSED_LIBRARY and not codec:
                kept.append((name, archive.read(name)))
    return stored_zip(kept)


def numpy_files(content: bytes) -> tuple[bytes, str]:
    """NumPy without tests and the parts that a fit never meets, and its licence."""
    inner = [v for k, v in _members(content).items() if k.endswith(".tar.gz")]
    files = {
        name.partition("site-packages/")[2]: body
        for name, body in _members(inner[0]).items()
        if "site-packages/" in name
    }
    licence = next(v for k, v in files.items() if k.endswith("dist-info/LICENSE.txt"))
    kept = [
        (name, body)
        for name, body in files.items()
        if name.startswith("numpy/")
        and name.endswith((".py", ".so"))
        and not name.startswith(UNUSED_NUMPY)
        and not any(part in f"/{name}" for part in UNUSED_NUMPY_PARTS)
    ]
    return stored_zip(kept), licence.decode("utf-8")


def packed(files: dict[str, bytes]) -> tuple[bytes, list[tuple[str, int]]]:
    """Files behind one another, compressed, with names and lengths."""
    whole = b"".join(files.values())
    index = [(name, len(body)) for name, body in files.items()]
    return gzip.compress(whole, 9, mtime=0), index


def runtime(cache: Path) -> dict[str, Any]:
    """Python and NumPy as one compressed pack, its index and the licences; made once."""
    recipe = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    pack, facts = cache / f"runtime-{recipe}.gz", cache / f"runtime-{recipe}.json"
    fetched = [fetch(package, cache) for package in packages()]
    if not (pack.is_file() and facts.is_file()):
        pyodide = {k.removeprefix("package/"): v for k, v in _members(fetched[0]).items()}
        numpy, licence = numpy_files(fetched[1])
        lock = json.loads(pyodide["pyodide-lock.json"])
        content, index = packed(
            {
                "pyodide.js": pyodide["pyodide.js"],
                "pyodide.asm.js": pyodide["pyodide.asm.js"],
                "pyodide.asm.wasm": pyodide["pyodide.asm.wasm"],
                # no package of theirs is ever loaded
                "pyodide-lock.json": json.dumps({"info": lock["info"], "packages": {}}).encode(),
                "python_stdlib.zip": library(pyodide["python_stdlib.zip"]),
                "numpy.zip": numpy,
            }
        )
        pack.write_bytes(content)
        facts.write_text(json.dumps({"index": index, "licence": licence}), encoding="utf-8")
    return {"pack": pack.read_bytes(), **json.loads(facts.read_text(encoding="utf-8"))}


def ours(root: Path) -> dict[str, bytes]:
    """Read the modules of the book that the page calls, by their path."""
    paths = [path for pattern in OURS for path in sorted((root / "helpers").glob(pattern))]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


# -- the site -------------------------------------------------------------------------------------


def _scripts(name: str, pack: bytes) -> dict[str, str]:
    """Split a pack into scripts that hand over their text, named by their checksum."""
    text = base64.b64encode(pack).decode("ascii")
    mark = hashlib.sha256(pack).hexdigest()[:10]
    pieces = [text[i : i + PART] for i in range(0, len(text), PART)]
    return {
        f"{name}-{mark}-{i:02d}.js": f'enginePart("{name}",{i},"{piece}");\n'
        for i, piece in enumerate(pieces)
    }


def _licences(numpy: str) -> str:
    lines = ["Software of others in this folder, packed into the runtime-*.js files\n"]
    for p in packages():
        lines.append(f"{p['name']} {p['version']}: {p['what']}. {p['licence']}. {p['source']}")
    lines.append("The Mozilla Public License 2.0 is at https://www.mozilla.org/MPL/2.0/.")
    lines.append("The licence of Python is at https://docs.python.org/3.12/license.html.")
    lines.append("Copyright (c) 2001 Python Software Foundation; All Rights Reserved")
    return "\n".join(lines) + f"\n\n\nLicence of NumPy\n\n{numpy}"


def assemble(out: Path, root: Path, cache: Path) -> dict[str, Any]:
    """Write ``engine/`` into a site.

    Parameters
    ----------
    out : Path
        The built site.
    root : Path
        The checkout with ``helpers`` and ``data``.
    cache : Path
        Where downloads are kept, outside the site.

    Returns
    -------
    dict
        What ``manifest.js`` tells the page; ``available`` is False, with a ``reason``, where the
        packages cannot be had.
    """
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    manifest: dict[str, Any] = {
        "tables": {
            name: (root / "data" / f"{name}.csv").read_text(encoding="utf-8")
            for name in ("cohorts", "template")
        },
        "roles": {"cohorts": OUR_ROLES, "template": TEMPLATE_ROLES},
        "packages": [{k: p[k] for k in ("name", "version", "licence")} for p in packages()],
    }
    files: dict[str, str] = {}
    try:
        made = runtime(cache)
    except UnavailableError as error:
        manifest |= {"available": False, "reason": str(error)}
    else:
        book, index = packed({"helpers.zip": stored_zip(ours(root).items())})
        files = {**_scripts("runtime", made["pack"]), **_scripts("book", book)}
        manifest |= {
            "available": True,
            "bytes": sum(map(len, files.values())),
            "parts": [{"file": name, "bytes": len(text)} for name, text in files.items()],
            "packs": {"runtime": made["index"], "book": index},
        }
        files["LICENCES.txt"] = _licences(made["licence"])
    files["manifest.js"] = f"engineManifest = {json.dumps(manifest, ensure_ascii=False)};\n"
    for path in sorted(PAGE.glob("engine.*")):
        files[path.name] = path.read_text(encoding="utf-8")
    for old in folder.iterdir():
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return manifest


def form() -> str:
    """Give the form of the page, with the defaults of ``helpers/engine/options.py`` first.

    Raises
    ------
    ValueError
        The form has no words for a default, or a choice is not in its place.
    """
    from helpers import subgroups
    from helpers.engine import options

    defaults = {
        "model": options.default_model(options.MEASURE),
        "measure": options.MEASURE,
        "tau2_method": options.TAU2_METHOD,
        "level": f"{options.LEVEL:g}",
        "scale": "",  # guessed
        "group_tau2": inspect.signature(subgroups).parameters["group_tau2"].default,
    }
    page = (PAGE / "form.html").read_text(encoding="utf-8")
    for name, words in CHOICES.items():
        default, place = defaults[name], f'<select name="{name}"><!-- choices -->'
        if default not in words or page.count(place) != 1:
            raise ValueError(f"engine/form.html: no place for {name}, or no words for {default!r}")
        values = [default, *(value for value in words if value != default)]
        made = "".join(f'<option value="{value}">{words[value]}</option>' for value in values)
        page = page.replace(place, place.removesuffix("<!-- choices -->") + made)
    return page


def build_finished(app: Any, error: Exception | None) -> None:
    """Put the engine into the site, or say in the log why it is not there."""
    if error is not None or app.builder.name != "html":
        return
    from sphinx.util import logging

    root = Path(app.srcdir).resolve().parent
    cache = Path(os.environ.get("ENGINE_CACHE") or HERE.parents[1] / "_build" / "engine-cache")
    manifest = assemble(Path(app.outdir), root, cache)
    log = logging.getLogger(__name__)
    if manifest["available"]:
        log.info("engine for the browser: %.1f MB in engine/", manifest["bytes"] / 1e6)
    else:
        log.info("NO engine for the browser in this site: %s", manifest["reason"])


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class EngineForm(Directive):
        """The form of the page, made when the book is built."""

        def run(self) -> list[nodes.Node]:
            from helpers.engine import options

            for file in (PAGE / "form.html", __file__, options.__file__):
                self.state.document.settings.record_dependencies.add(str(file))
            return [nodes.raw("", form(), format="html")]

    app.add_directive("engine-form", EngineForm)
    app.connect("build-finished", build_finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    where = Path(sys.argv[1])
    top = HERE.parents[1]
    told = assemble(where, top, top / "_build" / "engine-cache")
    print({k: v for k, v in told.items() if k in ("available", "reason", "bytes", "packs")})
