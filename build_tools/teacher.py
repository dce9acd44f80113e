"""Make the bundle for teachers (``make teacher``): one zip with what students are not to see.

It holds the chapters and the exam with their solutions, the key to the planted errors, the
questions with their key, and an exam drawn from a seed, its key in a folder of its own. The paper
and its key are printed as PDF where there is a Chromium.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat
from chapters import BOOK, ROOT, chapter_paths, dumps
from notebooks import teacher

from helpers.teaching import CHAPTERS, make_paper, planted_file, self_check, write_paper
from helpers.teaching.bank import write_bank
from helpers.teaching.handouts import write_handout

BUNDLE = ROOT / "_build" / "teacher.zip"
README = """For teachers. Do not pass this file on to students as a whole.

notebooks/       chapters and exam with solutions in the open (exam.ipynb: marking scheme)
planted/         the table with planted errors of the book's exam, and its key
questions/       questions.html to print, questions_key.html with answers and reasons;
                 questions.xml for Moodle, questions.gift, qti/ (zip it for platforms that read QTI)
handout/         a table of another field, to guess from and to compute by hand, and its key
exam-{seed}/students/   paper and sheet.csv to hand out
exam-{seed}/teacher/    key with answers, tolerances and part marks

An exam with other numbers: make teacher SEED=8
"""
_PAST = (1980, 1, 1, 0, 0, 0)  # so that the same content gives the same file


def collect(folder: Path, seed: int) -> None:
    """Write the content of the bundle into a folder."""
    for path in chapter_paths():
        written = folder / "notebooks" / path.relative_to(BOOK)
        written.parent.mkdir(parents=True, exist_ok=True)
        made = teacher(nbformat.read(path, as_version=4))
        written.write_text(dumps(made), encoding="utf-8")
    for path in (planted_file(), planted_file().with_name("planted_errors_key.csv")):
        written = folder / "planted" / path.name
        written.parent.mkdir(exist_ok=True)
        written.write_bytes(path.read_bytes())
    write_bank({name: self_check(name) for name in CHAPTERS}, folder / "questions")
    write_handout(folder / "handout")
    write_paper(make_paper(seed), folder / f"exam-{seed}")
    (folder / "README.txt").write_text(README.format(seed=seed), encoding="utf-8")


def print_pages(pages: list[Path], chromium: str) -> list[Path]:
    """Print pages as PDF beside them."""
    from playwright.sync_api import sync_playwright

    printed = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for source in pages:
            page.goto(source.as_uri(), wait_until="load")
            printed.append(source.with_suffix(".pdf"))
            page.pdf(path=printed[-1], prefer_css_page_size=True, tagged=True)
        browser.close()
    return printed


def bundle(folder: Path, place: Path) -> list[str]:
    """Zip a folder; give the names of the files in it."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, _PAST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (folder / name).read_bytes())
    return names


def main(arguments: list[str] | None = None) -> int:
    """Make the bundle."""
    parser = argparse.ArgumentParser(prog="make teacher", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=7, help="of the exam")
    parser.add_argument("--chromium", help="path of a Chromium that prints the exam")
    parser.add_argument("--output", type=Path, default=BUNDLE)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        collect(folder, options.seed)
        if options.chromium:
            print_pages(
                sorted([*folder.glob("exam-*/*/*.html"), *folder.glob("handout/*/*.html")]),
                options.chromium,
            )
        else:
            print("No Chromium found: the exam is in the bundle as HTML, not as PDF.")
        names = bundle(folder, options.output)
    print(f"{options.output}: {len(names)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
