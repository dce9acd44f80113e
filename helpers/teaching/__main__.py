"""Write material for teachers: ``python -m helpers.teaching exam --seed 7``.

Without a command it writes the table with planted errors of the book's own exam anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .bank import write_bank
from .checks import CHAPTERS, self_check
from .handouts import write_handout
from .paper import make_paper, write_paper
from .planted import planted_file, planted_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of the teaching room."""
    parser = argparse.ArgumentParser(prog="python -m helpers.teaching", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("planted", help="write the table with planted errors of the book's exam")
    exam = commands.add_parser("exam", help="write an exam with new data, and its key")
    exam.add_argument("--seed", type=int, required=True, help="the same seed gives the same exam")
    exam.add_argument("--out", type=Path, help="folder to write to (default: exam-SEED)")
    bank = commands.add_parser("questions", help="write the self-check questions for platforms")
    bank.add_argument("--out", type=Path, default=Path("questions"), help="folder to write to")
    sheet = commands.add_parser("handout", help="write the hand-out and its key")
    sheet.add_argument("--out", type=Path, default=Path("handout"), help="folder to write to")
    options = parser.parse_args(arguments)
    if options.command == "handout":
        for path in write_handout(options.out):
            print(path)
        return 0
    if options.command == "questions":
        written = write_bank({name: self_check(name) for name in CHAPTERS}, options.out)
        print(f"{options.out}: {len(written)} files")
        return 0
    if options.command == "exam":
        folder = options.out or Path(f"exam-{options.seed}")
        for path in write_paper(make_paper(options.seed), folder):
            print(path)
        return 0
    planted_file().write_text(planted_table(), encoding="utf-8")
    print(f"{planted_file().name}: written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
