"""Sphinx extension: formulas become MathML when the book is built.

Browsers and screen readers understand MathML without a script, so no page loads MathJax.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from html import escape, unescape
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

_SIGN = re.compile(r"<mi>([^<]+)</mi>")
# named functions, unless a sign follows that brings its own space
_FUNCTION = re.compile(r"<mi>(?:arc)?(?:sin|cos|tan|log|ln|exp)</mi>(?=<m(?!o\b))")
_LETTERS = "\N{INFINITY}\N{PARTIAL DIFFERENTIAL}\N{NABLA}"  # signs that stand for quantities

# Formulas in rows would move them when their font comes: it is fetched with the page. Not from a
# disk, where browsers refuse to fetch ahead and the font is there at once.
MATH_FONT = "_static/fonts/StixTwoMath.woff2"
_AHEAD = (
    "\n    <script>if (location.protocol !== 'file:') document.head.append(Object.assign("
    "document.createElement('link'), {{rel: 'preload', as: 'font', type: 'font/woff2', "
    "crossOrigin: 'anonymous', href: '{}'}}))</script>"
)
# where a formula may be broken, and what opens and closes its parts
BREAK = "{}"  # an empty group: nothing to see, for any program that shows formulas
_RELATIONS = ("=", r"\sim", r"\propto", r"\approx")
_OPENING, _CLOSING = ("{", r"\left", r"\{", "(", "["), ("}", r"\right", r"\}", ")", "]")
_PIECE = re.compile(r"\{\}|\\[a-zA-Z]+|\\.|.", re.DOTALL)
_FIRST, _BETWEEN = '"><mrow><mo>', '"><mrow><mo form="infix">'
_SHORT = 45  # characters of TeX that fit a phone in most cases
_MATH_IN_ROW = re.compile(r"<t[dh]\b[^>]*>(?:(?!</t[dh]>).)*<math", re.S)


def _operator(match: re.Match[str]) -> str:
    """Relations and operators that came as identifiers, which would stand too close."""
    sign = unescape(match[1])
    if len(sign) != 1 or unicodedata.category(sign) != "Sm" or sign in _LETTERS:
        return match[0]
    return f"<mo>{'&#x0223C;' if sign == '~' else match[1]}</mo>"


def mathml(latex: str, display: str) -> str:
    """Write a formula; `display` is "inline" or "block"."""
    # the TeX source stays in the page, for those who copy a formula
    markup = convert(latex.strip(), display=display)
    body = markup[markup.index(">") + 1 : markup.rindex("</math>")]
    body = _SIGN.sub(_operator, body)
    body = _FUNCTION.sub(r'\g<0><mspace width="0.167em"></mspace>', body)
    return (
        f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="{display}" '
        f'alttext="{escape(latex.strip(), quote=True)}">{body}</math>'
    )


def parts(latex: str) -> list[list[str]]:
    r"""Parts of a formula, between which a narrow screen may begin a new line.

    Formulas end at a wide blank; a long one may be broken before its relations, and each at
    an empty group, ``{}``; but not within a group or a fence.

    Examples
    --------
    >>> parts(r"y = {\mu \quad a}, \qquad u \sim N(0, \tau^2)")
    [['y = {\\mu \\quad a},'], ['u \\sim N(0, \\tau^2)']]
    """
    if r"\begin" in latex:  # rows that are aligned with each other
        return [[latex.strip()]]
    made = []
    for whole in _parted(latex, (r"\quad", r"\qquad"), kept=False):
        pieces = _parted(whole, (BREAK,), kept=False)
        long = len(pieces) == 1 and len(whole) > _SHORT
        made.append(_parted(whole, _RELATIONS, kept=True) if long else pieces)
    return made


def _parted(latex: str, at: Container[str], *, kept: bool) -> list[str]:
    """Divide at the signs `at` that stand in no group; each begins its part if it is `kept`."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(latex):
        depth += (piece in _OPENING) - (piece in _CLOSING)
        if piece in at and not depth:
            parts.append(piece if kept else "")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts if part.strip()]


def _broken(latex: str, display: str, blank: str) -> str:
    """Write a formula in its parts, with `blank` for a wide one between two formulas."""
    formulas = [
        # an operator that begins a part still stands between two quantities
        "<wbr>".join(mathml(part, display) for part in pieces).replace(_FIRST, _BETWEEN)
        for pieces in parts(latex)
    ]
    if display == "block" and len(formulas) > 1:  # one that fits a line is not broken (book.css)
        formulas = [f'<span class="formula">{one}</span>' for one in formulas]
    return blank.join(formulas)


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write an inline formula."""
    translator.body.append(_broken(node.astext(), "inline", "&ensp; "))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a displayed formula, with its number where it has one."""
    identifier = f' id="{node["ids"][0]}"' if node.get("ids") else ""
    translator.body.append(
        f'<div class="math-block" tabindex="0" role="group" aria-label="formula"{identifier}>'
    )
    translator.body.append(_broken(node.astext(), "block", "&emsp; "))
    if node.get("number"):
        translator.body.append(f'<span class="eqno">({node["number"]})</span>')
    translator.body.append("</div>")
    raise nodes.SkipNode


def font_ahead(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Ask for the font early on a page that has formulas in tables."""
    if _MATH_IN_ROW.search(context.get("body", "")):
        ahead = _AHEAD.format(context["pathto"](MATH_FONT, 1))
        context["metatags"] = context.get("metatags", "") + ahead


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("html-page-context", font_ahead)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
