"""Sphinx extension: what every page of the book has in common.

Takes out the scripts that Jupyter Book adds for live code (they load from other hosts and the
book does not use them), gives every page a description for search engines, and mends what the
theme's markup has against readers with a screen reader.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from html import escape, unescape
from itertools import count
from pathlib import Path
from typing import Any

from docutils import nodes
from light_pictures import slender
from page_tables import TAG, cards, minus_signs, one_head

FOREIGN = ("thebe", "require.js", "html-manager", "mathjax")
# what the theme and its extensions write, and what WCAG asks for
IN_BODY = (
    # a name that the visible text contradicts
    ('<summary aria-label="Toggle hidden content">', "<summary>"),
    # an empty heading of a table is no heading
    ("<th></th>", "<td></td>"),
    # a deprecated role, in a list that has no other items
    ('role="doc-biblioentry"', 'role="listitem"'),
)
AROUND = (
    (
        ' title="Search" aria-label="Search" data-bs-placement="bottom"'
        ' data-bs-toggle="tooltip">\n <i',
        ">\n <i",
    ),
    # the button says its state (book.js)
    (
        'aria-label="Color mode" data-bs-title="Color mode"  data-bs-placement="bottom"'
        ' data-bs-toggle="tooltip"',
        'aria-label="Colours"',
    ),
    # buttons say what they show; their script says whether it is shown
    ('title="Toggle primary sidebar"', 'title="Pages of the book"'),
    ('title="Toggle secondary sidebar"', 'title="Contents of this page"'),
    # the first heading of a page is its title
    ('<p aria-level="2" class="caption" role="heading">', '<p class="caption">'),
    (
        '<a class="current reference internal" href="#">',
        '<a class="current reference internal" aria-current="page" href="#">',
    ),
    # all that is on a page belongs to a landmark
    (
        '<div id="pst-primary-sidebar" class=',
        '<div id="pst-primary-sidebar" role="complementary" aria-label="Book" class=',
    ),
)
# what the theme writes for parts that the book has not: no header, advertisement, second footer
IDLE = re.compile(
    r'<button type="button" class="btn rounded-pill" id="pst-back-to-top">.*?</button>\s*'
    r'|<div class="pst-async-banner-revealer d-none">.*?</div>\s*'
    r'|<header class="bd-header[^>]*>\s*</header>\s*'
    r'|<div class="sidebar-primary-item">\s*<div id="ethical-ad-placement".*?</div>\s*</div>\s*'
    r'|<div class="sidebar-header-items sidebar-primary__section">\s*</div>\s*'
    r'|<div id="jb-print-docs-body".*?(?=<article)'  # a second title and contents
    r'|<div id="searchbox"></div>\s*'
    r'|<footer class="bd-footer">\s*</footer>\s*'
    r'|\s*data-bs-(?:placement|spy|target|root-margin)="[^"]*"|\s*data-bs-toggle="tooltip"',
    re.DOTALL,
)
# a figure's colours fall back to others where the book's sheet is missing; on its pages it is there
_PRE = re.compile(r'<span class="pre">([^<]*)</span>')
_FALLBACK = re.compile(r"var\((--picture-(?!font)[\w-]+), (?:var\([^()]*\)|[^()]*)\)")
#: Classes of great tables that styles, scripts and tests name; each cell has two or three others.
TABLE_CLASSES = {"gt_group_heading", "gt_right", "gt_stub", "gt_table", "gt_total"}
_TABLE_CLASS = re.compile(r' class="(gt_[^"]*)"')
# an inline formula with the bracket and the stop that belong to it
_INLINE_MATH = re.compile(
    r'([(\[“]*)(<math [^>]*display="inline"(?:(?!</math>).)*</math>)([,.;:?!)\]”’]*)', re.DOTALL
)
# a blank at an end of a link, which its line would underline
_LEADING = re.compile(r"(<a\b[^>]*>)(\s+)(?=[^\s<])")
# the words of a title up to its colon, and those after it with the link to the page's top
_TITLE = re.compile(r'(?<=<h1>)([^<:]+:) ([^<]+<a class="headerlink".*?</a>)', re.DOTALL)
# keys of the list of sources, which the text cites by author and year
_KEY = re.compile(
    r'(<div class="citation"[^>]*>\s*)<span class="label">.*?</span></span>\s*', re.DOTALL
)
# a point in a name of the index, after which a line may end
_POINT = re.compile(r"(?<=\w)\.(?=[A-Za-z_])(?=[^<>]*</a>)")
# what a summary may not hold, and styles of pandas that the book's sheet has
_HIDDEN = re.compile(r'<p class="((?:collapsed|expanded) admonition-title)">(.*?)</p>')
_SCOPED = re.compile(r"<style scoped>.*?</style>\s*", re.DOTALL)
_ADDRESS = re.compile(r'(?<= href=")[^"]*&[lg]t;[^"]*(?=")')  # old DOIs have signs of order
_REGION = re.compile(r'(role="region" tabindex="0" aria-label=")([^"]*)')
# a call that is longer than a line: Sphinx lists its parameters without a term
_SIGNATURE = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>\n")
# code: only keywords, strings and comments have a look of their own (book.css)
_CODE = re.compile(r'<div class="highlight"><pre>.*?</pre>', re.DOTALL)
_PLAIN = re.compile(r'<span class="(?!k|ow"|s|dl"|c|gp"|go")\w+">([^<]*)</span>')
# ids that sphinx-exercise gives to each exercise alike
_REPEATED = re.compile(r' id="(?:exercise|solution)-content"')
# a heading that is one letter of a formula, which axe and some readers of a table take for empty
_LETTER = re.compile(
    r'(<th class="head"><p>)<math [^>]*><mrow><mi>([^<]+)</mi></mrow></math>(</p></th>)'
)
_FIGURE = re.compile(
    r'<figure class="picture" id="([\w-]+)">\s*<figcaption>(.*?)</figcaption>\s*'
    r'(<div class="picture-scroll".*?</svg>\s*</div>)(.*?)</figure>',
    re.DOTALL,
)
_NAMED = re.compile(r'aria-label="[^"]*"')
_DRAWN = re.compile(
    r'<svg (?P<head>[^>]*?viewBox="0 0 (?P<size>[\d.]+ [\d.]+)"[^>]*?)'
    r'aria-labelledby="[\w-]+-title [\w-]+-desc" style="(?P<style>[^"]*)">'
    r"<title[^>]*>(?P<title>.*?)</title><desc[^>]*>(?P<said>.*?)</desc>",
    re.DOTALL,
)
_PLACE = re.compile(
    r'<h[23]>(.*?)<a class="headerlink"|<figure class="picture" id="([\w-]+)"'
    r'|<svg [^>]*?viewBox="([^"]*)"',
    re.DOTALL,
)
_GRID = re.compile(r'(<div class="gallery-grid docutils">.*?)(</div>)', re.DOTALL)
FINDING = re.compile(r"(.+?[.!?])(?=\s+[A-Z±“]|$)", re.DOTALL)
_APART = re.compile(r"<(/?)(?:svg|pre|code|script|style|textarea|select|option)\b(?![^>]*/>)")
# a sign and the number after it, which no line should part from what they say: p = 0.04
_EQUALS = re.compile(r"(?<=[\w²)]) ([=<>]|&[lg]t;) (?=[\d\N{MINUS SIGN}])")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
# a name with a number, which no line should break: COVID-19, ZUMA-1
_NUMBERED = re.compile(r"(?<![\w-])(?:[A-Za-z]+-\d+|[a-z]+-cel|[TBp]-[a-z]+)(?![\w-])")
DESCRIPTION_LENGTH = 155  # characters; search engines cut what is longer


def _text(script: Any) -> str:
    return f"{getattr(script, 'filename', '') or ''} {script.attributes.get('body', '')}".lower()


def _description(doctree: nodes.document | None) -> str:
    """Make a description from the page's first paragraph, cut at a word."""
    if doctree is None:
        return ""
    first = next((p.astext() for p in doctree.findall(nodes.paragraph)), "")
    text = re.sub(r"\s+", " ", first).strip()
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    return text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def lighter(body: str) -> str:
    """Leave out what no style needs: fallback colours, classes of tables, a span a word of code.

    Examples
    --------
    >>> lighter("fill: var(--picture-ink, var(--jp-ink, #111)); stroke: var(--picture-mm, #222)")
    'fill: var(--picture-ink); stroke: var(--picture-mm)'
    >>> lighter('<th class="gt_row gt_right gt_stub">')
    '<th class="gt_right gt_stub">'
    >>> lighter('<code class="literal"><span class="pre">pool</span></code>')
    '<code class="literal">pool</code>'
    """

    def styled(match: re.Match[str]) -> str:
        kept = [name for name in match[1].split() if name in TABLE_CLASSES or name[:3] != "gt_"]
        return f' class="{" ".join(kept)}"' if kept else ""

    body = _PRE.sub(r"\1", body)
    return _TABLE_CLASS.sub(styled, _FALLBACK.sub(r"var(\1)", body))


def _words(text: str) -> str:
    if "-" in text:
        text = _NUMBERED.sub(r'<span class="unbroken">\g<0></span>', text)
    return _APOSTROPHE.sub(
        "\N{RIGHT SINGLE QUOTATION MARK}", _EQUALS.sub("\N{NBSP}\\1\N{NBSP}", text)
    )


def unbroken(body: str) -> str:
    r"""Keep on one line, in running text, what belongs together: COVID-19, axi-cel, p = 0.04.

    Words of tables and figures get the apostrophe that Sphinx gives to prose.

    Examples
    --------
    >>> unbroken("<td>Egger's test (p = 0.04)</td>")
    '<td>Egger\u2019s test (p\xa0=\xa00.04)</td>'
    >>> unbroken('<p title="COVID-19">of COVID-19 or <code>ZUMA-1</code></p>')
    '<p title="COVID-19">of <span class="unbroken">COVID-19</span> or <code>ZUMA-1</code></p>'
    >>> unbroken("after axi-cel, a p-value")
    'after <span class="unbroken">axi-cel</span>, a <span class="unbroken">p-value</span>'
    """
    parts, depth = TAG.split(body), 0
    for i, part in enumerate(parts):
        if i % 2:
            if apart := _APART.match(part):
                depth += -1 if apart[1] else 1
        elif not depth:
            parts[i] = _words(part)
    return "".join(parts)


def stops(body: str) -> str:
    """Keep a formula in running text on one line with the bracket and the stop beside it.

    Examples
    --------
    >>> stops('a tilde (<math display="inline">n</math>),')
    'a tilde <span class="unbroken">(<math display="inline">n</math>),</span>'
    >>> stops('of <math display="inline">n</math> cohorts')
    'of <math display="inline">n</math> cohorts'
    """

    def kept(found: re.Match[str]) -> str:
        together = found[1] or found[3]
        return f'<span class="unbroken">{found[0]}</span>' if together else found[0]

    return _INLINE_MATH.sub(kept, body)


def signatures(body: str) -> str:
    r"""Write the lines of a long signature as lines: a list needs terms, and these have none.

    Examples
    --------
    >>> signatures("pool(<dl>\n<dd>data,</dd>\n<dd>n,</dd>\n</dl>\n)")
    'pool(<span class="sig-line">data,</span>\n<span class="sig-line">n,</span>\n)'
    """

    def lines(match: re.Match[str]) -> str:
        return match[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")

    return _SIGNATURE.sub(lines, body)


def plain_code(body: str) -> str:
    """Take from code the marks of what has no look of its own: two of three words.

    Examples
    --------
    >>> words = '<span class="n">n</span> <span class="o">=</span> <span class="kc">None</span>'
    >>> plain_code(f'<div class="highlight"><pre>{words}</pre></div>')
    '<div class="highlight"><pre>n = <span class="kc">None</span></pre></div>'
    """
    return _CODE.sub(lambda code: _PLAIN.sub(r"\1", code[0]), body)


def distinct(body: str) -> str:
    """Give boxes of one name a number each, for those who jump from box to box.

    Examples
    --------
    >>> box = '<div role="region" tabindex="0" aria-label="Rates">'
    >>> distinct(box + box)[-7:]
    's (2)">'
    """
    seen: Counter[str] = Counter()

    def name(match: re.Match[str]) -> str:
        seen[match[2]] += 1
        times = seen[match[2]]
        return match[0] if times == 1 else f"{match[0]} ({times})"

    return _REGION.sub(name, body)


def captioned(body: str) -> str:
    """Write captions under their figures, numbered, with the finding in bold and a permalink.

    A figure, its drawings and the box that it scrolls in have one name: its number and its title.
    Name, description and proportions stand at the drawing, not in it, because browsers draw it
    only when it comes near the window.

    Examples
    --------
    >>> figure = '<figure class="picture" id="x"><figcaption>It rose. See axis.</figcaption>'
    >>> names = 'role="img" aria-labelledby="x-title x-desc" style="width: 1px"'
    >>> words = '<title id="x-title">Rise</title><desc id="x-desc">Up.</desc>'
    >>> drawn = f'<svg xmlns="" viewBox="0 0 4 3" {names}>{words}</svg>'
    >>> made = captioned(f'{figure}<div class="picture-scroll">{drawn}</div></figure>')
    >>> made.partition(">")[0]
    '<figure class="picture" id="x" aria-label="Figure 1: Rise"'
    >>> made.partition("<svg ")[2].partition(">")[0].partition(' style="')[2]
    'width: 1px; aspect-ratio: 4 / 3"'
    >>> made.partition("</svg>")[2].partition("<figcaption>")[0].rstrip()
    '</div><p id="x-desc" hidden>Up.</p>'
    >>> made.partition('<span class="said">')[2].removesuffix("</figure>")
    '<a class="figure-number" href="#x">Figure 1</a> <b>It rose.</b> See axis.</span></figcaption>'
    """
    number = count(1)

    def under(match: re.Match[str]) -> str:
        name, caption, drawing, rest = match.groups()
        numbered = f"Figure {next(number)}"
        caption = FINDING.sub(r"<b>\1</b>", caption.strip(), count=1)
        link = f'<a class="figure-number" href="#{name}">{numbered}</a>'
        drawn = _DRAWN.search(drawing)
        if drawn is None:
            raise ValueError(f"the drawing of the figure {name} has no name, description or size")
        whole = f"{numbered}: {drawn['title']}"
        label = f'aria-label="{escape(unescape(whole))}"'

        def named(own: str, found: re.Match[str]) -> str:
            return (
                f'<svg {own}{found["head"]}{label} aria-describedby="{name}-desc" '
                f'style="{found["style"]}; aspect-ratio: {found["size"].replace(" ", " / ")}">'
                f"<title>{whole}</title>"
            )

        drawing = _NAMED.sub(lambda _: label, drawing, count=1)
        drawing = _DRAWN.sub(lambda found: named(f'id="{name}-drawing" ', found), drawing)
        drawing += f'<p id="{name}-desc" hidden>{drawn["said"]}</p>'
        narrow, details, numbers = rest.rstrip().partition("<details")
        narrow = _DRAWN.sub(lambda found: named("", found), narrow)
        numbers = _NAMED.sub(f'aria-label="The numbers behind {numbered}"', numbers, count=1)
        # a caption ends its figure, so the numbers belong to it
        return (
            f'<figure class="picture" id="{name}" {label}>\n{drawing}{narrow.rstrip()}\n'
            f'<figcaption><span class="said">{link} {caption}</span>{details}{numbers}'
            "</figcaption></figure>"
        )

    return _FIGURE.sub(under, body)


def gallery(body: str) -> str:
    """Fill the grid of a gallery with small copies of its pictures, which lead to the large ones.

    A small picture is a reference to the drawing itself, and so weighs next to nothing. It is made
    after the first screen (frame.js); without a script the list has the names.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    heading, figure = "", ""
    for match in _PLACE.finditer(body):
        if match[1] is not None:
            heading = re.sub(r"<[^>]+>", "", match[1])
        elif match[2] is not None:
            figure = match[2]
        elif figure:
            found.setdefault(heading, []).append((figure, match[3]))
            figure = ""
    items = []
    for heading, figures in found.items():
        # a heading of as many names as it has figures names them in their order
        names = re.split(r", | and ", heading)
        if len(names) != len(figures):
            names = [heading, *(f"{heading} ({place})" for place in range(2, len(figures) + 1))]
        items += [
            f'<li><a href="#{figure}"><svg viewBox="{box}" aria-hidden="true">'
            f'<use data-href="#{figure}-drawing" /></svg><span>{name}</span></a></li>'
            for name, (figure, box) in zip(names, figures, strict=True)
        ]
    return _GRID.sub(lambda found: f"{found[1]}<ul>{''.join(items)}</ul>{found[2]}", body, count=1)


_NARROW = re.compile(r'<div class="picture-narrow"[^>]*>.*?</svg>\s*</div>', re.DOTALL)
_PICTURE = re.compile(r'<figure class="picture" id="([\w-]+)">.*?</figure>', re.DOTALL)
_PROJECTED = re.compile(r'<div class="picture-slide"[^>]*>.*?</svg>\s*</div>\n?', re.DOTALL)
#: Pages with so many pictures that the drawings for phones would weigh more than the text: they
#: lie in a file of their own, which a phone reads when the first picture comes near (book.js).
FORMS_APART = {"explore", "gallery", "gallery_more"}
PHONES = "phones"  # folder of these files, in _static


def forms_apart(body: str, page: str) -> tuple[str, str]:
    """Take the drawings for phones out of a page: what is left of it, and the script that has them.

    Examples
    --------
    >>> phone = '<div class="picture-narrow"><svg role="img" id="n"></svg></div>'
    >>> left, script = forms_apart(f'<figure class="picture" id="a">wide{phone}</figure>', "x")
    >>> left
    '<figure class="picture" id="a">wide</figure><span data-phones="phones/x.js" hidden></span>'
    >>> json.loads(script.removeprefix("window.phoneForms = ")[:-2])["forms"]["a"][:28]
    '<div class="picture-narrow">'
    """
    forms: dict[str, str] = {}

    def take(figure: re.Match[str]) -> str:
        found = _NARROW.search(figure[0])
        if found:
            forms[figure[1]] = found[0]
        return _NARROW.sub("", figure[0])

    body = _PICTURE.sub(take, body)
    if not forms:
        return body, ""
    drawn, rules = slender(lighter("\f".join(forms.values())))
    said = json.dumps({"rules": rules, "forms": dict(zip(forms, drawn.split("\f"), strict=True))})
    mark = f'<span data-phones="{PHONES}/{page}.js" hidden></span>'
    return body + mark, f"window.phoneForms = {said};\n"


def page_context(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Clean the page's scripts and add its description."""
    scripts = context.get("script_files", [])
    context["script_files"] = [s for s in scripts if not any(f in _text(s) for f in FOREIGN)]
    for fault, mended in IN_BODY:
        context["body"] = context.get("body", "").replace(fault, mended)
    body = _LETTER.sub(r"\1<i>\2</i>\3", context["body"])
    body = _ADDRESS.sub(lambda found: found[0].replace("&lt;", "%3C").replace("&gt;", "%3E"), body)
    body = _SCOPED.sub("", _HIDDEN.sub(r'<span class="\1">\2</span>', body))
    body = _PROJECTED.sub("", _REPEATED.sub("", body))  # forms for slides stand on slides alone
    if page in FORMS_APART:
        body, forms = forms_apart(body, page)
        folder = Path(app.outdir) / "_static" / PHONES
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{page}.js").write_text(forms, encoding="utf-8")
    body = _KEY.sub(r"\1", one_head(minus_signs(body)))
    body = _TITLE.sub(r'<span class="part">\1</span> <span class="part">\2</span>', body)
    body = _LEADING.sub(r"\2\1", body)
    body = captioned(distinct(lighter(signatures(stops(unbroken(cards(plain_code(body))))))))
    body, rules = slender(body)
    if rules:
        styles = f'\n    <style id="picture-styles">{rules}</style>'
        context["metatags"] = context.get("metatags", "") + styles
    context["body"] = gallery(body) if _GRID.search(body) else body
    description = _description(doctree) or f"{context.get('title', page)} – {app.config.html_title}"
    if 'name="description"' not in context.get("metatags", ""):
        context["metatags"] = (
            context.get("metatags", "")
            + f'\n    <meta name="description" content="{escape(description, quote=True)}" />'
        )


def mend(app: Any, error: Exception | None) -> None:
    """Mend what the theme's templates write around a page's body."""
    if error is not None or app.builder.name != "html":
        return
    for page in Path(app.outdir).glob("**/*.html"):
        before = page.read_text(encoding="utf-8")
        after = before
        for fault, mended in AROUND:
            after = after.replace(fault, mended)
        after = IDLE.sub("", after)
        if page.name == "genindex.html":
            after = _POINT.sub(".<wbr>", after.replace("<wbr>", ""))
        if after != before:
            page.write_text(after, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx; late, so that what others add has been added."""
    app.add_config_value("comments_config", {}, "html")  # Jupyter Book sets it; nobody reads it
    app.connect("html-page-context", page_context, priority=900)
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
