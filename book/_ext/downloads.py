"""Sphinx extension: what the site offers as files under ``downloads/``.

Tables of results; every table of the data with its description, at an address that stays; the
template of a table of one's own with a finished report; and the whole book as one zip, for those
who read it without a network, with the PDF where one was printed.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import time
import zipfile
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from chapters import CACHE
from dependencies import dependency_hash
from sphinx.util.parallel import parallel_available

from helpers.evidence.package import data_folder, described
from helpers.review.published import reproduction

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "book" / "_data" / "template.xlsx"  # data/template.csv for a spreadsheet program
PDF = ROOT / "_build" / "nrm-book.pdf"  # build_tools/pdf.py prints it
ZIP_NAME, PDF_NAME = "nrm-book.zip", "nrm-book.pdf"
ASIDE = "engine"  # large, and nothing that is read
_COMPUTED = re.compile(r"[=+@-]")
_NUMBER = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?")
_PLACE = re.compile(r'(<span class="whole-book">).*?(</span>)', re.DOTALL)


def formulas(text: str) -> list[str]:
    r"""Find the cells of a CSV file that a spreadsheet would take for a formula.

    Examples
    --------
    >>> formulas("a,b\n-0.5,=1+1\n")
    ['=1+1']
    """
    cells = (cell for row in csv.reader(text.splitlines(keepends=True)) for cell in row)
    return [cell for cell in cells if _COMPUTED.match(cell) and not _NUMBER.fullmatch(cell)]


def reproduction_csv() -> Path:
    """Write the reproduction report once for each state of helpers and data."""
    stored = CACHE / f"reproduction-{dependency_hash()[:32]}.csv"
    if not stored.exists():
        for old in CACHE.glob("reproduction-*.csv"):
            old.unlink()
        partial = stored.with_suffix(".partial")
        reproduction().to_csv(partial)
        partial.replace(stored)
    return stored


def data_package(folder: Path) -> None:
    """Copy the tables and their description, byte for byte: the description has their checksums.

    Raises
    ------
    ValueError
        If a cell of text would be a formula in a spreadsheet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = data_folder()
    for name in [one["path"] for one in described()["resources"]]:
        found = formulas((source / name).read_text(encoding="utf-8"))
        if found:
            raise ValueError(
                f"data/{name}: a spreadsheet would compute {found}; begin the text otherwise"
            )
        shutil.copyfile(source / name, folder / name)
    for name in ("datapackage.json", "README.md"):
        shutil.copyfile(source / name, folder / name)


def example_report() -> Path:
    """Make the report of the first example once for each state of helpers and data."""
    stored = CACHE / f"example-report-{dependency_hash()[:32]}"
    if not stored.exists():
        from helpers import Subject, report

        for old in CACHE.glob("example-report-*"):
            shutil.rmtree(old)
        words = {"study": "trial", "studies": "trials", "people": "patients", "n": "Patients"}
        made = report(
            data_folder() / "examples" / "stroke.csv",
            subject=Subject(outcome="Stroke", events="Strokes", **words),
        )
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = CACHE / "example-report.partial"
        shutil.rmtree(partial, ignore_errors=True)
        made.write(partial, figures=("svg", "png"))
        partial.rename(stored)
    return stored


def _begin_report(app: Any) -> None:
    """Make the report beside the pages: it takes seconds of one core, which would follow them."""
    if parallel_available and app.builder.format == "html":
        app.report = get_context("fork").Process(target=example_report)
        app.report.start()


def _end_report(app: Any, exception: Exception | None) -> None:
    """Wait for it; what it could not make `example_report` makes again, with its error."""
    if report := getattr(app, "report", None):
        report.join()


def own_table(folder: Path) -> None:
    """Put beside the chapter on one's own table: the template and a finished report."""
    shutil.copyfile(data_folder() / "template.csv", folder / "template.csv")
    shutil.copyfile(TEMPLATE, folder / "template.xlsx")
    shutil.rmtree(folder / "example-report", ignore_errors=True)
    shutil.copytree(example_report(), folder / "example-report")


def whole_book(site: Path, made: Path) -> None:
    """Put the site into one zip, all of it but the engine; same site, same bytes."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    moment = time.gmtime(seconds)[:6]
    left_out = {site / ASIDE, made}
    files = sorted(path for path in site.rglob("*") if path.is_file())
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            if left_out.isdisjoint([path, *path.parents]):
                entry = zipfile.ZipInfo(f"nrm-book/{path.relative_to(site).as_posix()}", moment)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(entry, path.read_bytes())


def offer(has_pdf: bool) -> str:
    """Say where the whole book is to be had.

    Examples
    --------
    >>> "PDF" in offer(True), "PDF" in offer(False)
    (True, False)
    """
    pdf = f' or as <a href="downloads/{PDF_NAME}" download>PDF</a>' if has_pdf else ""
    return (
        f'The whole book, to read without a network: as <a href="downloads/{ZIP_NAME}" download>'
        f"zip</a> (open <code>index.html</code> in it; the engine in the browser is left out){pdf}."
    )


def _write(app: Any, exception: Exception | None) -> None:
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    folder = out / "downloads"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(reproduction_csv(), folder / "reproduction.csv")
    data_package(folder / "data")
    own_table(folder)
    if PDF.is_file():
        shutil.copyfile(PDF, folder / PDF_NAME)
    else:
        (folder / PDF_NAME).unlink(missing_ok=True)
    page = out / "codebook.html"
    text = page.read_text(encoding="utf-8")
    said = _PLACE.sub(lambda found: f"{found[1]}{offer(PDF.is_file())}{found[2]}", text)
    page.write_text(said, encoding="utf-8")


def _pack(app: Any, exception: Exception | None) -> None:
    if exception is None and app.builder.name == "html":
        whole_book(Path(app.outdir), Path(app.outdir) / "downloads" / ZIP_NAME)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx; the zip is made last, of the site as readers get it."""
    app.connect("builder-inited", _begin_report, priority=900)  # after the chapters
    app.connect("build-finished", _end_report, priority=400)  # before it is copied
    app.connect("build-finished", _write)
    app.connect("build-finished", _pack, priority=990)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
