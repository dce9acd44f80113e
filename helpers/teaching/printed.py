"""Sheets to print: one style for exams, hand-outs, plans, questions and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from ..door import pd


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
    style = (
        "@page{size:A4;margin:18mm}body{font:11pt/1.4 serif;max-width:178mm;margin:auto}"
        "section{break-inside:auto;margin-top:1.2em}h1{font-size:17pt}h2{font-size:13pt;"
        "break-after:avoid}table{border-collapse:collapse;font-size:9pt;margin:.6em 0}"
        "th,td{border:1px solid #777;padding:2px 5px;text-align:left;vertical-align:top}"
        "tr,li,.given{break-inside:avoid}.given,.given+table,tr:first-child{break-after:avoid}"
        "td p{margin:0 0 .3em}"
        ".key table{width:100%}.key td:last-child{white-space:nowrap}.fill table{width:100%}"
        ".fill td{height:9mm;vertical-align:middle}.fill td:empty{min-width:17mm}"
        ".timed td:first-child{white-space:nowrap}code{font-size:9pt}"
        ".line{height:8mm;border-bottom:1px solid #777;margin:0 0 .4em}"
        ".asked{break-inside:avoid;margin:0}.asked h2{font-size:10pt;margin:1em 0 0}"
        ".asked p{margin:.2em 0}"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{style}</style></head>\n<body><h1>{escape(title)}</h1>\n{body}\n"
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
