"""Sphinx extension: light pages.

The theme brings every icon of FontAwesome (1.5 MB of script) and 550 KB of styles, of which the
book uses a tenth. Here all styles become one sheet that holds only rules which some page can use,
all scripts become one deferred script, and the icons are a dozen small drawings (``icons.css``).
What is not known here (a page's own style or script) stays as it is, after the others.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import tinycss2
import used_styles
from dependencies import Remembered
from used_styles import Elements, elements_of, parts_of

from helpers.views.tables import CARDS

TEMPLATES = Path(__file__).parent / "templates"
# below _static, in the order in which a page would load them
STYLES = (
    "basic.css",
    "styles/pydata-sphinx-theme.css",
    "styles/sphinx-book-theme.css",
    "togglebutton.css",
    "copybutton.css",
    "mystnb.*.css",
    "exercise.css",
    "sphinx-design.min.css",
    "icons.css",
    "book.css",
    "figures.css",
    CARDS.name,
    "quiz.css",
    "reference.css",
)
SCRIPTS = ("frame.js", "book.js", "search.js", "term_cards.js")
# of the theme, Bootstrap and extensions, in whose place frame.js is
REPLACED = (
    "documentation_options.js",
    "doctools.js",
    "sphinx_highlight.js",
    "clipboard.min.js",
    "copybutton.js",
    "copybutton_funcs.js",
    "togglebutton.js",
    "scripts/sphinx-book-theme.js",
    "scripts/bootstrap.js*",
    "scripts/pydata-sphinx-theme.js",
    "scripts/fontawesome.js*",
)
ASKED = ("minisearch/minisearch.min.js",)  # read when the search is asked for
TABS = "design-tabs.js"  # only where a page has tabs
# Of the two themes one puts the list of pages beside the text from 960 px on, and the other says
# how it is hidden there from 992 px on: here both mean 960, and the script asks the sheet.
BESIDE = {
    "(min-width:992px)": "(min-width:960px)",
    "(max-width:992px)": "(max-width:959.98px)",
}
SHEET, SCRIPT = "site.css", "site.js"
# settings that extensions put into each page as inline scripts
INLINE = ("togglehint", "toggleopenonprint", "togglebuttonselector", "documentation_options.")
SEARCH = ("searchtools.js", "language_data.js")  # of Sphinx; the book has its own
OTHER_STYLES = (
    "styles/theme.css",
    "pygments.css",
)  # icons and colours of code; the book has its own
UNUSED = (*REPLACED, "pygments.css", "vendor/fontawesome", "**/*.map", "images/logo_*", *SEARCH)

_ICON = re.compile(r"fa(-.*)?|fas|far|fab|fa[slbrdt]")
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_ANIMATION = re.compile(r"animation(?:-name)?\s*:([^;}]*)")
_KEYFRAMES = re.compile(r"@keyframes ([\w-]+)\{(?:[^{}]|\{[^{}]*\})*\}\n?")
_URL = re.compile(r"url\((['\"]?)(?!data:|#|https?:)([^)'\"]+)\1\)")
_STRING = re.compile(r"(\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')")
_VARIABLE = re.compile(r"--[a-z][\w-]+")
_READ = re.compile(r"var\(\s*(--[\w-]+)")
_DEFINED = re.compile(
    r"(?<=[{;\s])(--[\w-]+)\s*:(?:[^;{}\"'()]|\"[^\"]*\"|'[^']*'|\((?:[^()]|\([^()]*\))*\))*(?:;|(?=\}))\s*"
)
_EMPTY = re.compile(r"[^{};@]*\{\s*\}\n?")
_LINK = re.compile(rf"(_static/(?:{re.escape(SHEET)}|{re.escape(SCRIPT)}))(?:\?v=\w*)?")


# -- what a page loads ----------------------------------------------------------------------------


def _name(asset: Any) -> str:
    filename = str(getattr(asset, "filename", asset) or "")
    return filename.partition("?")[0].removeprefix("_static/")


def _bundled(name: str, known: Iterable[str]) -> bool:
    return any(
        Path(name).match(pattern) and name.count("/") == pattern.count("/") for pattern in known
    )


def page_context(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out of a page what the site's sheet and script bring already; defer the rest."""
    styles = (*STYLES, *OTHER_STYLES)
    context["css_files"] = [
        s for s in context.get("css_files", []) if not _bundled(_name(s), styles)
    ]
    kept = []
    for script in context.get("script_files", []):
        name, body = _name(script), str(script.attributes.get("body", "")).lower()
        if _bundled(name, (*SCRIPTS, *REPLACED, *ASKED)) or any(
            setting in body for setting in INLINE
        ):
            continue
        if name == TABS and "sd-tab-set" not in context.get("body", ""):
            continue
        if name:
            script.attributes["defer"] = "defer"
        kept.append(script)
    context["script_files"] = kept


# -- the sheet ------------------------------------------------------------------------------------


def _selectors(prelude: Iterable[Any]) -> Iterator[list[Any]]:
    selector: list[Any] = []
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            yield selector
            selector = []
        else:
            selector.append(token)
    yield selector


def _weight(selector: list[Any]) -> tuple[int, int] | None:
    """Classes and elements of a simple selector; None of one that is not simple."""
    kinds = [(token.type, getattr(token, "value", "")) for token in selector]
    if any(
        kind not in {"ident", "literal"} or (kind == "literal" and v != ".") for kind, v in kinds
    ):
        return None
    classes = kinds.count(("literal", "."))
    return classes, sum(kind == "ident" for kind, _ in kinds) - classes


def spread(selector: list[Any]) -> Iterator[list[Any]]:
    """Write a selector that ends in alternatives as one selector for each.

    A browser tries a selector whose end names neither element nor class on every element of a
    page. Alternatives of different weight stay, because each weighs as much as the heaviest.

    Examples
    --------
    >>> def written(css):
    ...     return [_text(one) for one in spread(tinycss2.parse_component_value_list(css))]
    >>> written(".a > :is(ul, ol):hover")
    ['.a > ul:hover', '.a > ol:hover']
    >>> written(".a :is(b, .c)"), written(":is(.a, .b) p")
    (['.a :is(b, .c)'], [':is(.a, .b) p'])
    """
    end = len(selector)
    while end and selector[end - 1].type == "whitespace":
        end -= 1
    start = end
    while start and not (
        selector[start - 1].type == "whitespace"
        or (selector[start - 1].type == "literal" and selector[start - 1].value in ">+~")
    ):
        start -= 1
    last = selector[start:end]
    if len(last) > 1 and last[1].type == "function" and last[1].lower_name == "is":
        each = [list(_stripped(one)) for one in _selectors(last[1].arguments)]
        if len({_weight(one) for one in each}) == 1 and _weight(each[0]) is not None:
            for one in each:
                yield [*selector[:start], *one, *last[2:]]
            return
    yield selector


def _stripped(tokens: list[Any]) -> Iterator[Any]:
    inner = [i for i, token in enumerate(tokens) if token.type != "whitespace"]
    yield from tokens[inner[0] : inner[-1] + 1]


def _text(tokens: Iterable[Any]) -> str:
    text = tinycss2.serialize([t for t in tokens if t.type != "comment"])
    return text.strip()


def _content(tokens: list[Any]) -> str:
    """Text of a block without comments and layout."""
    parts: list[str] = []
    for token in tokens:
        if token.type == "whitespace":
            parts.append(" ")
        elif token.type != "comment":
            parts.append(token.serialize())
    outside = _STRING.split("".join(parts).strip())
    # a variable without a value keeps its blank, and so does a string: content: ": "
    outside[::2] = [
        re.sub(r"(?<=[:;,]) (?!;|$)", "", re.sub(r" +", " ", part)) for part in outside[::2]
    ]
    return "".join(outside)


def slim(css: str, elements: Elements) -> str:
    r"""Keep of a style sheet the rules that some element can meet.

    Parameters
    ----------
    css : str
        A style sheet.
    elements : Elements
        Of every page, with the words of every script.

    Returns
    -------
    str
        The sheet without rules of other elements and without rules of FontAwesome alone.

    Examples
    --------
    >>> site = Elements(words={"open"})
    >>> site.read_page("<div class='a'><p class='b'>Text</p></div>")
    >>> slim(".a .b:not(.c), .b .a { top: 0 } p.open { top: 1px } .fa-x, q { top: 2px }", site)
    '.a .b:not(.c){top:0}\np.open{top:1px}'
    >>> slim(":is(p, q)::before { content: ': ';  top: 0 }", site)
    'p::before{content: ": ";top:0}'
    """
    rules = tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)
    return "\n".join(_kept(rules, elements))


def _kept(rules: Iterable[Any], elements: Elements) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            content = _content(rule.content)
            if content.startswith(("--fa-style-family-", "--fa-font-")):
                continue
            kept = []
            for selector in chain.from_iterable(map(spread, _selectors(rule.prelude))):
                parts, neighbours = parts_of(selector)
                classes = [
                    name[1:] for part in (*parts, *neighbours) for name in part if name[0] == "."
                ]
                icon = bool(classes) and all(_ICON.fullmatch(name) for name in classes)
                if not icon and elements.can_meet(parts, neighbours):
                    kept.append(_text(selector))
            if kept and content:
                yield f"{','.join(kept)}{{{content}}}"
        elif rule.type == "at-rule":
            yield from _at_rule(rule, elements)
        elif rule.type == "error":
            raise ValueError(f"a style sheet cannot be read: {rule.message}")


def _at_rule(rule: Any, elements: Elements) -> Iterator[str]:
    head = f"@{rule.at_keyword} {_text(rule.prelude)}".strip()
    if rule.content is None:
        if rule.lower_at_keyword == "charset":
            return
        yield f"{head};"
    elif rule.lower_at_keyword in {"media", "supports", "layer", "container"}:
        inner = tinycss2.parse_blocks_contents(
            rule.content, skip_comments=True, skip_whitespace=True
        )
        kept = list(_kept(inner, elements))
        if kept:
            yield f"{head}{{{''.join(kept)}}}"
    else:
        content = _content(rule.content)
        if "Font Awesome" in content.replace("\\", "") or "fa-" in head:
            return
        yield f"{head}{{{content}}}"


def without_idle_movements(css: str) -> str:
    """Leave out the animations that no rule names.

    Examples
    --------
    >>> without_idle_movements("@keyframes a{to{top: 0}} @keyframes b{to{top: 0}} p{animation: b}")
    ' @keyframes b{to{top: 0}} p{animation: b}'
    """
    used = set(_WORD.findall(" ".join(_ANIMATION.findall(css))))
    return _KEYFRAMES.sub(lambda found: found[0] if found[1] in used else "", css)


def without_idle_variables(css: str, elsewhere: set[str]) -> str:
    """Leave out variables that no style reads: the theme defines hundreds for looks of its own.

    Parameters
    ----------
    css : str
        A sheet as `slim` writes it.
    elsewhere : set of str
        Variables that pages and scripts name.

    Examples
    --------
    >>> without_idle_variables(":root{--a: 1px; --b: var(--a);--c: 2;top: var(--d)}", {"--c"})
    ':root{--c: 2;top: var(--d)}'
    """

    def kept(css: str) -> str:
        read = elsewhere | set(_READ.findall(css))
        return _DEFINED.sub(lambda found: found[0] if found[1] in read else "", css)

    while (left := kept(css)) != css:
        css = left  # what was read by these alone is read no longer
    return _EMPTY.sub("", css)


def icon_rules(css: str) -> str:
    """Give the icons' own sheet, which `slim` would take for FontAwesome's."""
    rules = tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)
    return "\n".join(
        f"{_text(r.prelude)}{{{_content(r.content)}}}"
        if r.type == "qualified-rule"
        else r.serialize()
        for r in rules
    )


def _rebased(css: str, folder: str) -> str:
    """Addresses in a sheet as seen from ``_static``."""

    def address(match: re.Match[str]) -> str:
        return f'url("{posixpath.normpath(posixpath.join(folder, match[2]))}")'

    return _URL.sub(address, css)


def _cards(app: Any, config: Any) -> None:
    """Rules of cards lie with the tables, because reports have them too."""
    config.html_static_path.append(str(CARDS))


def _files(static: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        found = sorted(static.glob(pattern))
        if not found:
            raise FileNotFoundError(f"the theme has no {pattern}; see book/_ext/lean.py")
        yield from found


# -- after the build ------------------------------------------------------------------------------


def bundle(app: Any, error: Exception | None) -> None:
    """Write the sheet and the script, name them by their checksum, drop what no page loads."""
    if error is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    static = out / "_static"
    pages = [p for p in out.rglob("*.html") if "_static" not in p.relative_to(out).parts]
    scripts = list(_files(static, SCRIPTS))
    parts = [*out.glob("interactive/*.js"), out / "engine" / "engine.js"]
    read = Remembered(
        "elements", hashlib.sha256(Path(used_styles.__file__).read_bytes()).hexdigest()
    )
    scripts_there, sheets_there = [*scripts, static / TABS, *parts], list(_files(static, STYLES))
    elements = elements_of(pages, scripts_there, sheets_there, read)
    read.keep()
    sheets = []
    for path in _files(static, STYLES):
        name = path.relative_to(static).as_posix()
        css = path.read_text(encoding="utf-8").replace('@charset "UTF-8";', "")
        for of_one, of_all in BESIDE.items():
            css = css.replace(of_one, of_all)
        sheet = icon_rules(css) if name == "icons.css" else slim(css, elements)
        sheets.append(_rebased(sheet, posixpath.dirname(name)))
    code = [
        re.sub(r"^//# sourceMappingURL=.*$", "", p.read_text(encoding="utf-8"), flags=re.M)
        for p in scripts
    ]
    others = [
        *pages,
        *scripts,
        static / TABS,
        *out.glob("interactive/*.*"),
        *out.glob("engine/en*"),
    ]
    named = {v for p in others for v in _VARIABLE.findall(p.read_text(encoding="utf-8"))}
    sheet = without_idle_movements(without_idle_variables("\n".join(sheets), named))
    made = {SHEET: sheet, SCRIPT: ";\n".join(code)}
    marks = {}
    for name, text in made.items():
        (static / name).write_text(text, encoding="utf-8")
        marks[name] = hashlib.sha256(text.encode()).hexdigest()[:8]
    for page in pages:
        before = page.read_text(encoding="utf-8")
        after = _LINK.sub(lambda m: f"{m[1]}?v={marks[posixpath.basename(m[1])]}", before)
        if after != before:
            page.write_text(after, encoding="utf-8")
    for pattern in UNUSED:
        for path in sorted(static.glob(pattern), reverse=True):
            for part in sorted(path.rglob("*"), reverse=True) if path.is_dir() else []:
                part.rmdir() if part.is_dir() else part.unlink()
            path.rmdir() if path.is_dir() else path.unlink()


def _templates(app: Any, config: Any) -> None:
    config.templates_path = [*config.templates_path, str(TEMPLATES)]


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx; after everything that adds a style or a script."""
    app.connect("config-inited", _templates)
    app.connect("config-inited", _cards)
    app.connect("html-page-context", page_context, priority=950)
    app.connect("build-finished", bundle, priority=900)  # the theme writes its colours of code then
    return {"parallel_read_safe": True, "parallel_write_safe": True}
