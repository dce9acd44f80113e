"""Sphinx extension: what a page says to machines.

Every page has the fields that reference managers read (``citation_*``), those that previews read
(OpenGraph) and its facts as JSON-LD; the site has ``robots.txt``, ``404.html`` and a description of
the whole as an RO-Crate. What needs an address (canonical links, the map of the site, the feed of
changes) is written where the site has one, which ``NRM_SITE`` names, and left out elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape as xml

from address import site
from docutils import nodes
from page_facts import build_date, page_date

ROOT = Path(__file__).resolve().parents[2]
LICENCE = "https://creativecommons.org/licenses/by/4.0/"
ARTICLE = "https://doi.org/10.1038/s41591-024-03084-6"
_DESCRIPTION = re.compile(r'<meta name="description" content="([^"]*)"')
_RELEASE = re.compile(r"^## (\S+)[^\d\n]*(\d{4}-\d\d-\d\d)\)?\s*\n(.*?)(?=^## |\Z)", re.M | re.S)


def authors(facts: dict[str, Any]) -> list[str]:
    """Names as a citation has them."""
    return [a.get("name") or f"{a['family-names']}, {a['given-names']}" for a in facts["authors"]]


def tags(title: str, description: str, date: str, names: list[str], book: str, url: str) -> str:
    """Elements of a page's head; `url` is empty where the site has no address.

    Examples
    --------
    >>> print(tags("Pooling", "One number?", "2026-11-28", ["A"], "Book", "").splitlines()[0])
    <meta name="citation_title" content="Pooling" />
    """
    named = [
        ("citation_title", title),
        *(("citation_author", name) for name in names),
        ("citation_publication_date", date.replace("-", "/")),
        ("citation_inbook_title", book),
        ("citation_language", "en"),
        *([("citation_public_url", url)] if url else []),
    ]
    shared = {
        "og:type": "article", "og:site_name": book, "og:title": title,
        "og:description": description, "og:locale": "en_GB",
    } | ({"og:url": url, "og:image": f"{site()}/_static/preview.png"} if url else {})  # fmt: skip
    lines = [f'<meta name="{name}" content="{escape(text)}" />' for name, text in named]
    lines += [
        f'<meta property="{name}" content="{escape(text)}" />' for name, text in shared.items()
    ]
    if url:
        lines.append(f'<link rel="canonical" href="{escape(url)}" />')
    return "\n".join(lines)


def linked(kind: dict[str, Any]) -> str:
    """Facts as JSON-LD, which no text can end early."""
    text = json.dumps({"@context": "https://schema.org", **kind}, ensure_ascii=False)
    closed = text.replace("</", "<\\/")
    return f'<script type="application/ld+json">{closed}</script>'


def _terms(doctree: nodes.document) -> Iterator[dict[str, str]]:
    for item in doctree.findall(nodes.definition_list_item):
        term, meaning = item.next_node(nodes.term), item.next_node(nodes.definition)
        if term is not None and meaning is not None:
            yield {
                "@type": "DefinedTerm",
                "name": term.astext().split("\n")[0],
                "description": re.sub(r"\s+", " ", meaning.astext()),
            }


def facts_of(
    page: str, title: str, description: str, date: str, names: list[str], doctree: Any
) -> dict[str, Any]:
    """Say what a page is: a set of terms, a data set, or a chapter."""
    common = {
        "name": title,
        "description": description,
        "datePublished": date,
        "inLanguage": "en",
        "license": LICENCE,
        "author": [{"@type": "Organization", "name": name} for name in names],
    }
    if page == "glossary":
        return {"@type": "DefinedTermSet", **common, "hasDefinedTerm": list(_terms(doctree))}
    if page == "codebook":
        return {"@type": "Dataset", **common, "isBasedOn": ARTICLE}
    return {"@type": "ScholarlyArticle", **common, "headline": title[:110], "isBasedOn": ARTICLE}


def page_context(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Add what machines read to the head of a page that has a source."""
    if doctree is None or page not in app.env.titles:
        return
    metatags = context.get("metatags", "")
    found = _DESCRIPTION.search(metatags)
    description = unescape(found[1]) if found else ""
    title, date, names = app.env.titles[page].astext(), page_date(app, page), authors(app.citation)
    url = f"{site()}/{page}.html" if site() else ""
    made = tags(title, description, date, names, app.citation["title"], url)
    facts = facts_of(page, title, description, date, names, doctree)
    context["metatags"] = f"{metatags}\n{made}\n{linked(facts)}"


#: Pages that a reader who is lost may have looked for.
DOORS = ("in_brief", "pooling", "explore", "your_own_table", "codebook", "glossary")


def lost(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Make the page for addresses that lead nowhere."""
    home = f"{site()}/" if site() else "index.html"
    doors = ", ".join(
        f'<a href="{page}.html">{escape(app.env.titles[page].astext())}</a>' for page in DOORS
    )
    body = (
        "<section><h1>This page is not here</h1><p>It may have moved: look in the contents, "
        f'search the book, or start at its <a href="{escape(home)}">front page</a>.</p>'
        f"<p>Often looked for: {doors}.</p></section>"
    )
    base = f'<base href="{escape(site() or "")}/" />' if site() else ""
    yield "404", {"title": "This page is not here", "body": body, "metatags": base}, "page.html"


def crate(facts: dict[str, Any], pages: list[str], files: list[str]) -> dict[str, Any]:
    """Describe the site as RO-Crate 1.1, doi:10.3233/DS-210053."""
    parts = [{"@id": name} for name in [*pages, *files]]
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "about": {"@id": "./"},
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": facts["title"],
                "description": facts["message"],
                "datePublished": build_date(),
                "version": facts["version"],
                "license": {"@id": LICENCE},
                "isBasedOn": {"@id": ARTICLE},
                "hasPart": parts,
            },
            *({"@id": page, "@type": "File", "encodingFormat": "text/html"} for page in pages),
            *({"@id": name, "@type": "File"} for name in files),
        ],
    }


def feed(changes: str, address: str, title: str) -> str:
    """Releases of the changelog as an Atom feed."""
    releases = [(m[1].strip("[]"), m[2], m[3].strip()) for m in _RELEASE.finditer(changes)]
    entries = "".join(
        f"<entry><title>{xml(version)}</title><id>{xml(address)}/changelog.html#{xml(version)}</id>"
        f'<link href="{xml(address)}/changelog.html" /><updated>{date}T00:00:00Z</updated>'
        f"<content>{xml(text)}</content></entry>"
        for version, date, text in releases
    )
    updated = max((date for _, date, _ in releases), default=build_date())
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
        f"<title>{xml(title)}: changes</title><id>{xml(address)}/</id>"
        f'<link href="{xml(address)}/" /><updated>{updated}T00:00:00Z</updated>{entries}</feed>\n'
    )


def write(app: Any, error: Exception | None) -> None:
    """Write the files that stand beside the pages."""
    if error is not None or app.builder.name != "html":
        return
    out, address = Path(app.outdir), site()
    pages = sorted(f"{name}.html" for name in app.env.found_docs)
    files = sorted(
        path.relative_to(out).as_posix()
        for folder in ("downloads", "_sources")
        for path in (out / folder).rglob("*")
        if path.is_file()
    )
    whole = json.dumps(crate(app.citation, pages, files), indent=1, ensure_ascii=False)
    texts = {
        "ro-crate-metadata.json": whole + "\n",
        "robots.txt": "User-agent: *\nAllow: /\n"
        + (f"Sitemap: {address}/sitemap.xml\n" if address else ""),
    }
    if address:
        urls = "".join(f"<url><loc>{xml(address)}/{xml(page)}</loc></url>" for page in pages)
        texts["sitemap.xml"] = (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>\n'
        )
        changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        texts["changes.xml"] = feed(changes, address, app.citation["title"])
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", page_context, priority=940)
    app.connect("html-collect-pages", lost)
    app.connect("build-finished", write, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
