"""Which rules of a style sheet some element of the site can meet.

The elements of all pages are written down by tag, id and classes, each kind with the kinds that
stand above it. A selector stays when each of its parts is met, in the order of above and below.
What a script may name (a class that it adds, an element that it makes) is met everywhere, and
what depends on a state, a value or a neighbour is taken as met: a rule too many costs bytes,
a rule too few the look of a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dependencies import Remembered
from lxml import html

_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`")
_DATA = re.compile(r"\bdata-[a-z][\w-]*")
_DATASET = re.compile(r"\bdataset\.(\w+)")
_ID = re.compile(r"#([A-Za-z_][\w-]*)")  # and some colours
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_NO_ELEMENTS = frozenset({"script", "style", "template"})  # whose content is no element

# what the elements of one page come to: attributes, kinds, and of each the kinds above it, as bits
PageElements = tuple[set[str], list[tuple[str, str, str]], list[int]]
Part = frozenset[str]  # what a selector asks of an element: tag, "#id", ".class", "[data-…"


@dataclass
class Elements:
    """The kinds of elements of a site, and what stands above each.

    Attributes
    ----------
    ids : set of str
        Ids that style sheets name; others tell no kinds apart.
    words : set of str
        Names that scripts may give to elements.
    data : set of str
        Attributes ``data-…`` of pages, and those that scripts set.
    numbers : dict
        Number of each kind, by tag, id and classes as they are written.
    with_name : dict
        Kinds with a tag, an id ("#…") or a class (".…"), as bits.
    above : list of int
        Of each kind the kinds above it, as bits.
    """

    ids: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)
    numbers: dict[tuple[str, str, str], int] = field(default_factory=dict)
    with_name: dict[str, int] = field(default_factory=dict)
    above: list[int] = field(default_factory=list)

    def read_page(self, text: str) -> None:
        """Add the elements of a page.

        Parameters
        ----------
        text : str
            Its HTML.
        """
        self._read_data(text)
        open_elements = [(html.document_fromstring(text), 0)]
        while open_elements:
            element, above = open_elements.pop()
            tag = element.tag
            if not isinstance(tag, str):
                continue  # a comment
            id_ = element.get("id", "")
            kind = (tag, id_ if id_ in self.ids else "", element.get("class", ""))
            number = self.numbers.get(kind)
            if number is None:
                number = self._add(kind)
            if above & ~self.above[number]:
                self.above[number] |= above
            if len(element) and tag not in _NO_ELEMENTS:
                below = above | 1 << number
                open_elements += [(child, below) for child in element]

    def take(self, page: PageElements) -> None:
        """Add the elements of a page that was read alone (`read_alone`)."""
        data, kinds, above = page
        self.data |= data
        known = self.numbers
        here = [known[kind] if kind in known else self._add(kind) for kind in kinds]
        for number, over in zip(here, above, strict=True):
            self.above[number] |= sum(1 << here[n] for n in _bits(over))

    def _read_data(self, text: str) -> None:
        self.data.update(_DATA.findall(text))
        for name in _DATASET.findall(text):
            self.data.add("data-" + re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", name))

    def _add(self, kind: tuple[str, str, str]) -> int:
        number = self.numbers[kind] = len(self.numbers)
        self.above.append(0)
        tag, id_, classes = kind
        for name in (tag, f"#{id_}", *(f".{one}" for one in classes.split())):
            self.with_name[name] = self.with_name.get(name, 0) | 1 << number
        return number

    def read_script(self, text: str) -> None:
        """Add the words in the quoted texts of a script.

        Parameters
        ----------
        text : str
            Its source.
        """
        self._read_data(text)
        for quoted in _QUOTED.findall(text):
            self.words.update(_WORD.findall(quoted))

    def _meets(self, part: Part) -> int:
        """Kinds that a part of a selector meets, as bits; all (-1) where a script may make one."""
        if any(name[0] == "[" and name[1:] not in self.data for name in part):
            return 0
        part = frozenset(name for name in part if name[0] != "[")
        names = [name for name in part if name[0] in "#."]
        made = any(name.lstrip("#.") in self.words for name in names or part)
        found = -1
        for name in part:
            if not (made and name.lstrip("#.") in self.words):
                found &= self.with_name.get(name, 0)
        return -1 if made and found else found

    def can_meet(self, parts: Iterable[Part], neighbours: Iterable[Part] = ()) -> bool:
        """Tell whether an element can meet a selector.

        Parameters
        ----------
        parts : iterable of Part
            Parts of the selector, the outermost first.
        neighbours : iterable of Part
            What it asks of elements before these.
        """
        if not all(map(self._meets, neighbours)):
            return False
        over = -1
        for part in parts:
            found = self._meets(part)
            if over != -1 and found != -1:
                found = sum(1 << n for n in _bits(found) if self.above[n] & over)
            if not found:
                return False
            over = found
        return True


def _bits(number: int) -> Iterator[int]:
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def parts_of(selector: Iterable[Any]) -> tuple[list[Part], list[Part]]:
    """Say what a selector asks of elements, the outermost first.

    Neighbours, before ``+`` and ``~``, are given apart; what stands in ``:not()`` is left out.

    Parameters
    ----------
    selector : iterable
        Its tokens, as tinycss2 reads them.

    Examples
    --------
    >>> import tinycss2
    >>> selector = tinycss2.parse_component_value_list("#main p.a + ul.b.c:hover > *::before")
    >>> parts, neighbours = parts_of(selector)
    >>> [sorted(part) for part in parts], [sorted(part) for part in neighbours]
    ([['#main'], ['.b', '.c', 'ul'], []], [['.a', 'p']])
    """
    parts: list[set[str]] = [set()]
    neighbours: list[Part] = []
    begun = gap = neighbour = False
    before = ""
    for token in selector:
        if token.type == "comment":
            continue
        if token.type == "whitespace" or (token.type == "literal" and token.value in ">+~"):
            gap = True
            neighbour |= token.type == "literal" and token.value != ">"
            continue
        if gap and begun:
            if neighbour:
                neighbours.append(frozenset(parts[-1]))
                parts[-1].clear()
            else:
                parts.append(set())
        begun, gap, neighbour = True, False, False
        if token.type == "hash":
            parts[-1].add(f"#{token.value}")
        elif token.type == "ident" and before == ".":
            parts[-1].add(f".{token.value}")
        elif token.type == "ident" and before != ":":
            parts[-1].add(token.lower_value)
        elif token.type == "[] block":
            names = [part.value for part in token.content if part.type == "ident"][:1]
            parts[-1].update(f"[{name}" for name in names if name.startswith("data-"))
        before = token.value if token.type == "literal" else ""
    return [frozenset(part) for part in parts], neighbours


def read_alone(text: str, ids: set[str]) -> PageElements:
    """Read the elements of one page.

    Examples
    --------
    >>> data, kinds, above = read_alone("<p class=a><b>x</b></p>", set())
    >>> kinds[-1], bool(above[-1] >> kinds.index(("p", "", "a")) & 1)
    (('b', '', ''), True)
    """
    one = Elements(ids=ids)
    one.read_page(text)
    return one.data, list(one.numbers), one.above


def elements_of(
    pages: Iterable[Path], scripts: Iterable[Path], sheets: Iterable[Path], known: Remembered
) -> Elements:
    """Read the pages and scripts of a site.

    Parameters
    ----------
    pages : iterable of Path
        Its pages.
    scripts : iterable of Path
        Scripts that make elements or change their classes.
    sheets : iterable of Path
        Style sheets, of which the ids are taken.
    known : Remembered
        Pages that an earlier build read.
    """
    elements = Elements()
    for sheet in sheets:
        elements.ids.update(_ID.findall(sheet.read_text(encoding="utf-8")))
    ids = repr(sorted(elements.ids))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        read = partial(read_alone, text, elements.ids)
        elements.take(known.of(page.as_posix(), ids + text, read))
    for script in scripts:
        elements.read_script(script.read_text(encoding="utf-8"))
    return elements
