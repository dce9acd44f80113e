"""Sphinx extension: under the title of each page its reading time, its date, and how to cite it.

The date is that of the last commit that touched the page's source; outside a git checkout, and for
a page that is not committed yet, that of the build.
"""

from __future__ import annotations

import datetime
import math
import os
import re
import subprocess
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import yaml
from address import BRANCH, COMMIT_LETTERS, repository
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
WORDS_PER_MINUTE = 200
# code is skimmed; figures and tables come as HTML
_UNREAD = (nodes.literal_block, nodes.raw, nodes.comment, nodes.math_block)


def last_commits(root: Path) -> dict[str, tuple[str, str]]:
    """Date (ISO 8601) and name of the last commit of each file below ``book``; none outside git."""
    shown = "--format=%x00%cs %H"
    command = ["git", "log", shown, "--name-only", "--relative", "--", "book"]
    try:
        log = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return {}
    found: dict[str, tuple[str, str]] = {}
    for entry in log.split("\0")[1:]:
        head, *names = entry.split("\n")
        date, _, name_of_commit = head.partition(" ")
        for name in filter(None, names):
            found.setdefault(name, (date, name_of_commit[:COMMIT_LETTERS]))
    return found


def build_date() -> str:
    """Day of the build, or the one that SOURCE_DATE_EPOCH gives."""
    now = datetime.datetime.now(datetime.UTC).timestamp()
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or now)
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()


def words(doctree: nodes.document) -> int:
    """Count the words to read: text, headings and lists, without code and formulas."""

    def read(node: nodes.Node) -> bool:
        while node is not None:
            if isinstance(node, _UNREAD):
                return False
            node = node.parent
        return True

    return sum(len(text.astext().split()) for text in doctree.findall(nodes.Text) if read(text))


def minutes(count: int) -> int:
    """Give the reading time in whole minutes, one at least.

    Examples
    --------
    >>> minutes(30), minutes(401)
    (1, 3)
    """
    return max(1, math.ceil(count / WORDS_PER_MINUTE))


def written_out(date: str) -> str:
    """Give a date as text.

    Examples
    --------
    >>> written_out("2026-11-02")
    '2 November 2026'
    """
    day = datetime.date.fromisoformat(date)
    return f"{day.day} {day:%B %Y}"


def citation(
    facts: dict[str, Any], title: str, source: str, date: str, commit: str = ""
) -> tuple[str, str]:
    """Citation of a page, as a sentence and as BibTeX.

    Parameters
    ----------
    facts : dict
        What ``CITATION.cff`` says.
    title : str
        Title of the page.
    source : str
        Path of the page's source below the root.
    date : str
        Date of the page (ISO 8601).
    commit : str
        Name of the page's last commit, which stands for an address where there is none.
    """
    authors = [
        a.get("name") or f"{a['family-names']}, {a['given-names']}" for a in facts["authors"]
    ]
    where = repository()
    address = f"{where}/blob/{BRANCH}/{source}" if where else ""
    place = address or (f"Commit {commit}, {source}" if commit else source)
    year, version, book = date[:4], facts["version"], facts["title"]
    names = "; ".join(authors)
    text = (
        f"{names} ({year}). {title.rstrip('.')}{'' if title.endswith('?') else '.'} "
        f"In: {book} (version {version}, {written_out(date)}). {place}"
    )
    key = re.sub(r"[^a-z0-9]+", "-", Path(source).stem.lower())
    fields = {
        "author": " and ".join(
            f"{{{a}}}" if a in {x.get("name") for x in facts["authors"]} else a for a in authors
        ),
        "title": f"{{{title}}}",
        "howpublished": f"In: {book}",
        "edition": f"version {version}",
        "year": year,
        "date": date,
    }
    fields |= {"url": address} if address else {"note": place}
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return text, f"@misc{{nrm-{key}-{year},\n{lines}\n}}"


def run_links(source: str) -> str:
    """Links that open a notebook elsewhere, where the repository is known to the services.

    Nothing is loaded from there before a click.
    """
    server, name = "https://github.com/", repository() or ""
    if not name.startswith(server):
        return ""
    name = name.removeprefix(server)
    ways = {
        "Binder": f"https://mybinder.org/v2/gh/{name}/main?urlpath=lab/tree/{source}",
        "Colab": f"https://colab.research.google.com/github/{name}/blob/main/{source}",
        "Codespaces": f"https://codespaces.new/{name}",
    }
    links = ", ".join(f'<a href="{address}">{way}</a>' for way, address in ways.items())
    return f'<span class="run">Run it: {links}</span>'


CODE_SWITCH = """<label class="code-switch pst-js-only">Code
<select><option value="method">of the method</option><option value="all">all</option>\
<option value="none">none</option></select></label>"""


def file_links(files: Mapping[str, str]) -> str:
    """Links to the notebooks of a page: name that is shown -> address.

    Examples
    --------
    >>> file_links({"notebook": "a.ipynb"})
    '<span class="files">Download: <a href="a.ipynb" download>notebook</a></span>'
    """
    links = ", ".join(
        f'<a href="{escape(address)}" download>{escape(shown)}</a>'
        for shown, address in files.items()
    )
    return f'<span class="files">Download: {links}</span>' if files else ""


def facts_html(title: str, count: int, date: str, cited: tuple[str, str], run: str = "") -> str:
    """HTML of what stands under a title."""
    text, bibtex = (escape(part, quote=False) for part in cited)
    return f"""
<div class="page-facts">
<p><span class="reading-time">{minutes(count)} min read</span>
<span class="updated">Updated <time datetime="{date}">{written_out(date)}</time></span>
{run}</p>
<details class="cite">
<summary>Cite this page</summary>
<p id="cite-text">{text}</p>
<button type="button" class="copy pst-js-only" data-copy="cite-text">Copy citation</button>
<pre id="cite-bibtex" tabindex="0" role="region" aria-label="BibTeX entry">{bibtex}</pre>
<button type="button" class="copy pst-js-only" data-copy="cite-bibtex">Copy BibTeX</button>
<span class="copied" role="status"></span>
</details>
</div>
"""


# -- Sphinx ---------------------------------------------------------------------------------------


def _source(app: Any, page: str) -> str:
    return Path(app.env.doc2path(page)).relative_to(Path(app.srcdir).parent).as_posix()


def page_date(app: Any, page: str) -> str:
    """Day of the last commit of a page, or of the build (ISO 8601)."""
    return app.last_commits.get(_source(app, page), (build_date(), ""))[0]


def _load(app: Any) -> None:
    app.last_commits = last_commits(ROOT)
    app.citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def _outdated(app: Any, env: Any, *_: Any) -> list[str]:
    """Pages whose date has changed since they were written."""
    before = getattr(env, "page_dates", {})
    env.page_dates = {page: app.last_commits.get(_source(app, page)) for page in env.found_docs}
    return [p for p, date in env.page_dates.items() if p in before and before[p] != date]


def page_context(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put the facts under the title of a page that has a source."""
    if doctree is None or "</h1>" not in context.get("body", ""):
        return
    title = app.env.titles[page].astext()
    date = page_date(app, page)
    source = _source(app, page)
    run = run_links(source) if source.endswith(".ipynb") else ""
    run += file_links(context.get("page_files", {}))
    cited = citation(app.citation, title, source, date, app.last_commits.get(source, ("", ""))[1])
    if 'class="cell_input' in context["body"]:
        run += CODE_SWITCH
    made = facts_html(title, words(doctree), date, cited, run)
    context["body"] = context["body"].replace("</h1>", f"</h1>{made}", 1)


def _count(app: Any, doctree: nodes.document) -> None:
    app.env.metadata[app.env.docname]["words"] = words(doctree)


_MINUTES = re.compile(r'(<span class="minutes" data-pages="([^"]+)">)[^<]*(</span>)')


def with_minutes(html: str, counts: dict[str, int]) -> str:
    """Say how long a path through several pages takes.

    Examples
    --------
    >>> with_minutes('<span class="minutes" data-pages="a b"></span>', {"a": 300, "b": 250})
    '<span class="minutes" data-pages="a b">3 min read</span>'
    """

    def said(match: re.Match[str]) -> str:
        together = sum(counts[page] for page in match[2].split())
        return f"{match[1]}{minutes(together)} min read{match[3]}"

    return _MINUTES.sub(said, html)


def _fill(app: Any, error: Exception | None) -> None:
    """Fill in the reading time of paths when the words of all pages are known."""
    if error is not None or app.builder.name != "html":
        return
    front = Path(app.outdir) / "index.html"
    counts = {page: data.get("words", 0) for page, data in app.env.metadata.items()}
    front.write_text(with_minutes(front.read_text(encoding="utf-8"), counts), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", _load)
    app.connect("env-get-outdated", _outdated)
    app.connect("doctree-read", _count)
    app.connect("html-page-context", page_context)
    app.connect("build-finished", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
