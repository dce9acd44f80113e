"""Compare what the built pages say with what they said: ``make golden``.

Every sentence, row of a table, number, label of a picture and default of a form stands on a line of
``tests/golden/*.txt``, one file a page. A difference that is meant is stored with
``make golden ACCEPT=1`` and reviewed as a diff; one that is not meant is a fault.
"""

from __future__ import annotations

import argparse
import re
import sys
from difflib import unified_diff
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
STORED = ROOT / "tests" / "golden"
HOW = "If every difference is meant: make golden ACCEPT=1, and commit tests/golden with the reason."

#: Pages without a golden text, each with the reason.
LEFT_OUT = {
    "build_status.html": "date, commit, versions, hashes and number of tests of a build",
    "changelog.html": "CHANGELOG.md word for word",
    "genindex.html": "names of docstrings",
    "helpers_reference.html": "names and first sentences of docstrings",
    "py-modindex.html": "names of modules",
    "reference/": "docstrings, whose examples are tested where they stand",
    "search.html": "filled by a script",
}
#: What differs from build to build without any change of the book: class of element -> why.
MASKED_ELEMENTS = {
    "page-facts": "reading time, date of the last commit and citation with both",
    "cell_input": "code, which the notebooks hold",
    "headerlink": "a sign, no text",
    "origin": "source and licence, the same on every slide of a set",
    "ways": "keys and files, the same on the first slide of every set",
    "toctree-wrapper": "titles of other pages",
}
#: Pattern in a line -> what is written instead.
MASKED_TEXTS = {
    r"^((Show|Hide) code cell (source|output)s? ?)+$": "",  # buttons
    r" or as PDF(?=\.$)": "",  # printed by `make pdf`, or not yet
    r"(\d\.\d{9})\d+": r"\1…",  # a number printed to its last bit, which hangs on the processor
}

_SILENT = {"script", "style", "nav", "head", "noscript", "template"}
_VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
_INLINE = set(
    "a abbr annotation b button cite clippath code defs del dfn em g i input ins kbd label mark "
    "math mfrac mi mn mo mover mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr "
    "munder munderover path q rect s semantics small span strong sub sup time tspan u use var "
    "wbr".split()
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(“])")


class _Lines(HTMLParser):
    """Lines of a page: a sentence, a row of a table, or the labels on one height of a picture."""

    def __init__(self, start: str) -> None:
        super().__init__()
        self.start, self.within = start, 0  # the element that holds what the page says
        self.open: list[tuple[str, bool]] = []  # tag, whether it is silent
        self.row = self.pre = 0
        self.height = ""
        self.parts: list[str] = []
        self.lines: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        classes = set((facts.get("class") or "").split())
        silent = tag in _SILENT or bool(classes & MASKED_ELEMENTS.keys())
        self.within += tag == self.start
        self.row += tag == "tr"
        self.pre += tag == "pre"
        if not self._between(tag):
            if tag == "text":  # labels on one height are one line
                if facts.get("y") != self.height:
                    self._flush()
                self.height = facts.get("y") or ""
            else:
                self._flush()
        if tag not in _VOID:
            self.open.append((tag, silent))
        if tag == "br":
            self.handle_data(" ")
        self._named(tag, facts)

    def _named(self, tag: str, facts: dict[str, str | None]) -> None:
        """Write what an element says by its attributes."""
        if tag == "img" and facts.get("alt"):
            self.handle_data(f"[picture: {facts['alt']}]")
        elif tag == "input":
            state = " ".join(f"{k}={facts[k]}" for k in ("name", "type", "value") if facts.get(k))
            self.handle_data(f"[{state}{' checked' if 'checked' in facts else ''}] ")
        elif tag == "option":
            chosen = ", selected" if "selected" in facts else ""
            self.handle_data(f"[option {facts.get('value', '')}{chosen}] ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID or tag not in {name for name, _ in self.open}:
            return
        while self.open.pop()[0] != tag:
            pass
        if self.row and tag in {"td", "th"}:
            self.parts.append(" | ")
        self.row -= tag == "tr"
        self.pre -= tag == "pre"
        if tag == "text":
            self.parts.append(" · ")
        elif not self._between(tag):
            self._flush()
        self.within -= tag == self.start

    def handle_data(self, data: str) -> None:
        if self.within and not any(silent for _, silent in self.open):
            self.parts.append(data.replace("\n", "\0") if self.pre and not self.row else data)

    def _between(self, tag: str) -> bool:
        """Whether a tag stands within a line."""
        return tag in _INLINE or (self.row > 0 and tag != "tr")

    def _flush(self) -> None:
        text, self.parts, self.height = "".join(self.parts), [], ""
        for piece in text.split("\0"):
            line = re.sub(r"\s+", " ", piece).strip(" |·")
            for pattern, instead in MASKED_TEXTS.items():
                line = re.sub(pattern, instead, line)
            self.lines += filter(None, _SENTENCE_END.split(line))


def lines_of(html: str) -> list[str]:
    """Everything that a page says, in its order, a sentence or a row a line."""
    reader = _Lines("article" if "<article" in html else "body")
    reader.feed(html)
    reader.close()
    return reader.lines


def pages(site: Path = SITE) -> dict[str, Path]:
    """Name of the golden file -> page."""
    found = {p.relative_to(site).as_posix(): p for p in sorted(site.rglob("*.html"))}
    return {
        name.removesuffix(".html").removeprefix("downloads/").replace("/", "-") + ".txt": path
        for name, path in found.items()
        if not name.startswith(("_static", "_sources", *LEFT_OUT))
    }


def said(site: Path = SITE) -> dict[str, str]:
    """Name of the golden file -> what the page says now."""
    texts = {n: "\n".join(lines_of(p.read_text("utf-8"))) + "\n" for n, p in pages(site).items()}
    if not texts:
        raise SystemExit("there is no built site in _build/html: run `make book` first")
    return texts


def stored(folder: Path = STORED) -> dict[str, str]:
    """Name of the golden file -> what the page said when it was accepted."""
    return {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))}


def difference(before: dict[str, str], now: dict[str, str]) -> str:
    """Lines that went (-) and came (+), page by page; empty where nothing differs."""
    found: list[str] = []
    for name in sorted(before.keys() | now.keys()):
        old, new = (texts.get(name, "").splitlines() for texts in (before, now))
        changes = list(unified_diff(old, new, n=0, lineterm=""))[2:]
        found += [f"== {name}", *changes] if changes else []
    return "\n".join(found)


def main() -> int:
    """Print the difference, or store what the pages say."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--accept", action="store_true", help="store what the pages say now")
    accept, before, now = parser.parse_args().accept, stored(), said()
    if accept:
        STORED.mkdir(exist_ok=True)
        for name in before.keys() - now.keys():
            (STORED / name).unlink()
        for name, text in now.items():
            (STORED / name).write_text(text, encoding="utf-8")
    if changes := difference(before, now):
        print(changes)
        print("Stored." if accept else f"\n{HOW}", file=sys.stderr)
        return 0 if accept else 1
    print(f"{len(now)} pages say what they said.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
