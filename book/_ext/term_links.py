"""Sphinx extension: the first plain mention of a glossary term on a page links to the glossary.

A page that links a term itself, by the role ``term``, keeps that link and gets no second one. Words
in headings, links, code, formulas, captions and tables are left alone, and so is the glossary.
What the glossary says of each term goes to ``_static/terms.js``, which a page loads when a reader
first points at a term: ``term_cards.js`` shows it beside the word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

__all__ = ["find_terms", "pattern_of", "split_text"]

# where no link is put: the text is no prose, or is a link or a heading already
CLOSED = (
    nodes.title,
    nodes.subtitle,
    nodes.rubric,
    nodes.term,
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.doctest_block,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.caption,
    nodes.legend,
    nodes.table,
    nodes.footnote,
    nodes.citation,
    nodes.comment,
    nodes.target,
    addnodes.pending_xref,
    addnodes.desc_signature,
    addnodes.toctree,
    addnodes.download_reference,
    addnodes.index,
)
# words that a text also uses in their everyday sense; a page links them itself where it means them
EVERYDAY = ("audit", "caution", "exclusion", "overlap", "power", "product", "setting")
PLURAL = "(?:e?s)?"


def pattern_of(term: str) -> str:
    """Write a term as a regular expression.

    Case does not matter, except for signs and abbreviations (an "ml" is no ML); a plural is the
    same term, and a hyphen may stand for a blank.

    Examples
    --------
    >>> bool(re.fullmatch(pattern_of("forest plot"), "Forest-plots"))
    True
    >>> bool(re.fullmatch(pattern_of("Q"), "q"))
    False
    """
    words = [re.escape(word) for word in re.split(r"[\s-]+", term)]
    body = r"[\s-]+".join(words)
    if _is_sign(term):
        return body + "s?" if len(term) > 2 else body
    if term.endswith("y"):
        return f"(?i:{body[:-1]}(?:y|ies))"
    return f"(?i:{body}{PLURAL})"


def _is_sign(term: str) -> bool:
    return len(term) < 3 or (sum(letter.isupper() for letter in term) > 1 and " " not in term)


def find_terms(terms: Iterable[str]) -> re.Pattern[str]:
    """Compile one expression for all terms, longest first.

    Examples
    --------
    >>> find_terms(["weight", "inverse-variance weight"]).search("inverse-variance weights")[0]
    'inverse-variance weights'
    """
    longest = sorted(terms, key=lambda term: (-len(term), term))
    groups = "|".join(f"({pattern_of(term)})" for term in longest)
    # no part of a longer word, of a compound, of a file name, or of a sign with an index
    return re.compile(rf"(?<![\w/.@=“‘\"'-])(?:{groups})(?![\w=/(-]|\.\w)")


def split_text(
    text: str, terms: list[str], expression: re.Pattern[str], done: set[str]
) -> list[tuple[str, str]]:
    """Cut a text where a term stands for the first time.

    Parameters
    ----------
    text : str
    terms : list of str
        Longest first, in the order of the expression's groups.
    expression : Pattern
        From `find_terms`.
    done : set of str
        Terms that have their link; what is found is added.

    Returns
    -------
    list of (piece, term)
        The pieces in order; the term is empty where there is no link.

    Examples
    --------
    >>> names = ["forest plot", "weight"]
    >>> split_text("A weight is a weight.", names, find_terms(names), set())
    [('A ', ''), ('weight', 'weight'), (' is a weight.', '')]
    """
    pieces, start = [], 0
    for match in expression.finditer(text):
        term = terms[(match.lastindex or 1) - 1]
        if term in done:
            continue
        done.add(term)
        pieces += [(text[start : match.start()], ""), (match[0], term)]
        start = match.end()
    pieces.append((text[start:], ""))
    return [piece for piece in pieces if piece[0]]


def _written(app: Any) -> dict[str, str]:
    """Terms as the glossary writes them, with the page each is on."""
    objects = app.env.domains["std"].objects
    return {name: place[0] for (kind, name), place in objects.items() if kind == "term"}


class LinkTerms(SphinxPostTransform):
    """Put the links in, after outputs were chosen and before references are resolved."""

    default_priority = 8

    def run(self, **kwargs: Any) -> None:
        """Link the terms of one page."""
        written, page = _written(self.app), self.env.docname
        if page in {*written.values(), *self.app.config.term_links_exclude}:
            return
        left_out = {term.lower() for term in self.app.config.term_links_by_hand}
        terms = sorted(
            (term for term in written if term.lower() not in left_out),
            key=lambda term: (-len(term), term),
        )
        if not terms:
            return
        expression = find_terms(terms)
        done = self._linked(terms)
        for text in list(self.document.findall(nodes.Text)):
            if len(done) == len(terms):
                break
            if _is_prose(text):
                self._link(text, terms, expression, done)

    def _linked(self, terms: list[str]) -> set[str]:
        """Terms that the page links by role."""
        spelt = {term.lower(): term for term in terms}
        found = set()
        for node in self.document.findall(addnodes.pending_xref):
            if node.get("reftype") == "term":
                target = node["reftarget"].lower()
                found.add(spelt.get(target, target))
        return found

    def _link(
        self, text: nodes.Text, terms: list[str], expression: re.Pattern[str], done: set[str]
    ) -> None:
        pieces = split_text(text.astext(), terms, expression, done)
        if not any(term for _, term in pieces):
            return
        made: list[nodes.Node] = []
        for piece, term in pieces:
            if not term:
                made.append(nodes.Text(piece))
                continue
            link = addnodes.pending_xref(
                "",
                nodes.inline(piece, piece, classes=["xref", "std", "std-term", "term-link"]),
                refdomain="std",
                reftype="term",
                reftarget=term,
                refdoc=self.env.docname,
                refexplicit=True,
                refwarn=True,
            )
            made.append(link)
        text.parent.replace(text, made)


def _in_raw_link(text: nodes.Text) -> bool:
    """Whether a link written as HTML is open where the text stands: links do not nest."""
    before = text.parent.children[: text.parent.index(text)]
    raw = "".join(node.astext() for node in before if isinstance(node, nodes.raw))
    return raw.count("<a ") > raw.count("</a>")


def _is_link(node: nodes.Element) -> bool:
    """Whether a card is a link as a whole: a second link in it would lie below the first."""
    return node.get("design_component") == "card" and any(
        "sd-stretched-link" in link["classes"]
        for kind in (nodes.reference, addnodes.pending_xref)
        for link in node.findall(kind)
    )


def _is_prose(text: nodes.Text) -> bool:
    if _in_raw_link(text):
        return False
    node = text.parent
    while node is not None:
        if isinstance(node, CLOSED) or _is_link(node):
            return False
        node = node.parent
    return True


def _rewrite(app: Any, env: Any) -> list[str]:
    """Every page is written again when the terms have changed."""
    terms = sorted(_written(app))
    before = getattr(env, "glossary_terms", terms)
    env.glossary_terms = terms
    return [] if before == terms else sorted(env.found_docs)


_ENTRY = re.compile(r"((?:<dt id=\"term-[^\"]+\">.*?</dt>\s*)+)<dd>(.*?)</dd>", re.DOTALL)
_NAME = re.compile(r"<dt id=\"(term-[^\"]+)\">(.*?)<a class=\"headerlink\"", re.DOTALL)
_LINKED = re.compile(r"</?a\b[^>]*>|\sid=\"[^\"]*\"")


def definitions(glossary: str) -> dict[str, str]:
    """Read of a built glossary what a card shows of each term, by the term's place.

    Examples
    --------
    >>> definitions('<dt id="term-Q">Q<a class="headerlink" href="#">#</a></dt><dd><p>A sum.</p>'
    ...             '</dd>')
    {'term-Q': '<p><b>Q</b></p><p>A sum.</p>'}
    """
    found = {}
    for terms, meaning in _ENTRY.findall(glossary):
        for place, name in _NAME.findall(terms):
            found[place] = f"<p><b>{name}</b></p>{_LINKED.sub('', meaning).strip()}"
    return found


def _write(app: Any, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    out, found = Path(app.outdir), {}
    for page in sorted(set(_written(app).values())):
        found |= definitions((out / f"{page}.html").read_text(encoding="utf-8"))
    made = json.dumps(found, ensure_ascii=False)
    (out / "_static" / "terms.js").write_text(f"var bookTerms = {made};\n", encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_config_value("term_links_exclude", ["references", "changelog"], "env")
    app.add_config_value("term_links_by_hand", list(EVERYDAY), "env")
    app.add_post_transform(LinkTerms)
    app.connect("env-updated", _rewrite)
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
