"""Make the bundle for teachers (``make teacher``): one zip with what students are not to see.

It holds the lesson of ninety minutes with all that it needs, the built site and its slides among
it, the chapters and the exam with their solutions, the key to the planted errors, the questions
with their key, and an exam drawn from a seed, its key in a folder of its own. What is to be printed
is there as PDF as well where there is a Chromium.
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

from helpers.teaching import (
    CHAPTERS,
    make_paper,
    planted_file,
    read_plans,
    self_check,
    write_paper,
)
from helpers.teaching.bank import write_bank
from helpers.teaching.handouts import write_handout, write_lesson

sys.path.insert(0, str(BOOK / "_ext"))

from downloads import ZIP_NAME

BUNDLE = ROOT / "_build" / "teacher.zip"
SITE = ROOT / "_build" / "html"
README = """For teachers. Do not pass this file on to students as a whole.

Begin with lesson/teacher/plan.html: ninety minutes, with links to all that they need. Two days, a
term of twelve weeks and three lessons more are in longer_plans.html beside it.

lesson/students/ activity sheet of the lesson, its questions, worksheets of all labs, and
                 records.html: twenty records to judge, for the lesson on doing a review
lesson/teacher/  plan of the lesson, keys to its questions and to the records, its slides as PDF
site/            the whole book, with labs and slides; open index.html, no network is needed
notebooks/       chapters and exam with solutions in the open (exam.ipynb: marking scheme)
planted/         the table with planted errors of the book's exam, and its key
questions/       questions.html to print, questions_key.html with answers and reasons;
                 questions.xml for Moodle, questions.gift, qti/ (zip it where QTI is read);
                 checked against the schemas of QTI 2.1 (public draft 2) and of content packages
                 as far as they concern what is used, and by the code with which Moodle reads
                 its XML; not tried in a running Moodle or other platform: import one first
handout/         a table of another field, to guess from and to compute by hand, and its key
exam-{seed}/students/   paper and sheet.csv to hand out
exam-{seed}/teacher/    key with answers, tolerances and part marks
exam-to-practise/       another one, whose sheet with errors is extracted in class

What is to be printed is there as PDF as well, if Chromium was found where the zip was made.
An exam with other numbers: make teacher SEED=8
"""
PRINTED = ("exam-*", "handout", "lesson", "questions")  # folders whose pages are for paper
_PAST = (1980, 1, 1, 0, 0, 0)  # so that the same content gives the same file


def collect(folder: Path, seed: int, site: Path) -> None:
    """Write the content of the bundle into a folder; the book is that which `site` offers."""
    with zipfile.ZipFile(site / "downloads" / ZIP_NAME) as book:
        book.extractall(folder)
    (folder / Path(ZIP_NAME).stem).rename(folder / "site")
    write_lesson(read_plans(), folder / "lesson")
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
    write_paper(make_paper(seed + 1), folder / "exam-to-practise")
    (folder / "README.txt").write_text(README.format(seed=seed), encoding="utf-8")


def print_pages(folder: Path, chromium: str) -> list[Path]:
    """Print pages as PDF beside them, and the slides of the lesson beside its plan."""
    from playwright.sync_api import sync_playwright
    from slide_files import printed as printed_slides

    printed = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for step in read_plans().lesson.steps:
            if "slides" in step.form:
                slides = folder / "site" / "downloads" / "slides" / f"{step.page}.html"
                printed.append(folder / "lesson" / "teacher" / f"slides-{step.page}.pdf")
                printed[-1].write_bytes(printed_slides(page, slides))
        for source in sorted(p for name in PRINTED for p in folder.glob(f"{name}/**/*.html")):
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
    parser.add_argument("--site", type=Path, default=SITE, help="where the site was built")
    options = parser.parse_args(arguments)
    if not (options.site / "downloads" / ZIP_NAME).is_file():
        print(
            f"{options.site}: no {ZIP_NAME} among its downloads. The lesson needs the slides and "
            "labs of the built site: run `make book` first.",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        collect(folder, options.seed, options.site)
        if options.chromium:
            print_pages(folder, options.chromium)
        else:
            print("No Chromium found: what is to be printed is in the bundle as HTML, not as PDF.")
        names = bundle(folder, options.output)
    print(f"{options.output}: {len(names)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
