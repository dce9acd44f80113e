"""Sheets to print: one style for exams, hand-outs, plans, questions and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from ..door import pd

_STYLE = "".join(Path(__file__).with_name("printed.css").read_text("utf-8").splitlines())


def html_table(frame: pd.DataFrame) -> str:
    """Give a table as plain HTML, every cell escaped."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in frame.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in frame.itertuples(index=False)
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def document(title: str, body: str) -> str:
    """Give a page to print, with its style."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{body}\n"
        "</body></html>\n"
    )


def write_files(content: Mapping[str, str], folder: str | Path) -> list[Path]:
    """Write texts under their names into a folder, made if it is not there; give the paths."""
    written = []
    for name, text in content.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        written.append(path)
    return written
