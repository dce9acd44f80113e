"""Drawings of a page in fewer bytes, and the same to look at.

A drawing comes with the style of every mark at the mark. Here what all marks of a group share
stands at the group, what many marks of a page share is a class in the page's head, lines have no
points that lie on them, and groups and frames that show nothing go.
"""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256
from xml.etree import ElementTree

#: Pixels of the drawing. A point of a line that lies nearer to the line without it goes.
NEAR = 0.06
DECIMALS = 1
MARK = 30.0  # pixels; what is smaller may be drawn many times
PASSED = 40  # points that go one after another, at most: each is looked at again with the next
SHARED = 3  # marks of one style, from which on the style is a class
INHERITED = re.compile(r"(fill|stroke|font|text-anchor)")
_DRAWING = re.compile(r"<svg (?=[^>]*role=\"img\").*?</svg>", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z]|-?\d*\.?\d+(?:e-?\d+)?")
_ZERO = re.compile(r"^(-?)0\.")  # before a decimal point
_PAIRS = {"M": 1, "L": 1, "Q": 2, "C": 3, "z": 0, "Z": 0}
_PLACED = {"text": ("x", "y"), "use": ("x", "y"), "rect": ("x", "y", "width", "height")}
_SPACE = ' xmlns="http://www.w3.org/2000/svg"'  # HTML knows it without
_ASIDE = {"defs", "clipPath", "title", "desc"}
Point = tuple[float, float]


def slender(body: str) -> tuple[str, str]:
    """Give a page's body with lighter drawings, and the rules of the classes that they use.

    Examples
    --------
    >>> mark = '<path d="M 0 0 L 5.04 0 L 10.04 0" style="stroke: red" />'
    >>> slender(f'<svg role="img"><g>{mark}{mark}</g></svg>')[0][19:-10]
    'style="stroke: red"><path d="M0 0h10" /><path d="M0 0h10" />'
    >>> body, rules = slender(f'<svg role="img">{mark}{mark}{mark}</svg>')
    >>> rules
    '.d50037{stroke: red}'
    >>> body.count('class="d50037"')
    3
    """
    drawings = []

    def read(match: re.Match[str]) -> str:
        root = ElementTree.fromstring(match[0].replace(_SPACE, ""))
        _lighten(root)
        _gather(root)
        drawings.append(root)
        return "\0"

    parts = _DRAWING.sub(read, body).split("\0")
    styles = Counter(
        element.get("style") for root in drawings for element in root.iter() if element is not root
    )
    names = {
        # of one name on every page, because all pages are printed as one
        style: f"d{sha256(style.encode()).hexdigest()[:5]}"
        for style, times in styles.items()
        if style and times >= SHARED
    }
    for root in drawings:
        for element in root.iter():
            style = element.get("style")
            if element is not root and style in names and "class" not in element.attrib:
                del element.attrib["style"]
                element.set("class", names[style])
    written = [ElementTree.tostring(root, encoding="unicode") for root in drawings]
    rules = "".join(f".{name}{{{style}}}" for style, name in names.items())
    return "".join(
        part + drawing for part, drawing in zip(parts, [*written, ""], strict=True)
    ), rules


def _lighten(element: ElementTree.Element, *, mark: bool = False, exact: bool = False) -> None:
    """Shorten numbers and paths below an element; what is turned or enlarged stays exact."""
    mark = mark or element.tag == "defs"
    exact = exact or "transform" in element.attrib
    if not exact:
        for key in _PLACED.get(element.tag, ()):
            if key in element.attrib:
                element.set(key, _number(float(element.get(key, ""))))
    if path := element.get("d"):
        element.set("d", shorter(path, mark=mark, exact=exact))
    for child in list(element):
        _lighten(child, mark=mark, exact=exact)
        if _shows_nothing(child):
            element.remove(child)


def _shows_nothing(element: ElementTree.Element) -> bool:
    kind = element.tag
    if kind == "path" and "id" not in element.attrib:
        return element.get("style") == "fill: none"
    return kind in {"g", "defs"} and not element.attrib and not len(element)


def _gather(element: ElementTree.Element) -> None:
    """Write at a group what each of its marks says alike, the innermost groups first."""
    for child in element:
        _gather(child)
    marks = [child for child in element if child.tag not in _ASIDE]
    if element.tag != "g" or not marks:
        return
    first = marks[0].get("style", "")
    alike = all(mark.get("style", "") == first for mark in marks)
    each = [part.strip() for part in first.split(";") if part.strip()]
    if first and alike and all(map(INHERITED.match, each)) and not element.get("style"):
        element.set("style", first)
        for mark in marks:
            del mark.attrib["style"]
    clip = marks[0].get("clip-path")
    fixed = not any("transform" in mark.attrib for mark in marks)
    free = not {"clip-path", "transform"} & set(element.attrib)
    if clip and fixed and free and all(mark.get("clip-path") == clip for mark in marks):
        element.set("clip-path", clip)
        for mark in marks:
            del mark.attrib["clip-path"]


def _number(value: float, decimals: int = DECIMALS) -> str:
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def shorter(path: str, *, mark: bool = False, exact: bool = False) -> str:
    """Write a path in fewer letters; without its points that lie on the line, unless `exact`.

    A small `mark`, which may be drawn many times, stays exact as well.

    Examples
    --------
    >>> shorter("M 1 2 L 3.04 2 L 90 2 L 90 -7.5 z")
    'M1 2h89v-9.5z'
    >>> shorter("M 1 2 L 3.04 2 L 9 2 z", mark=True)
    'M1 2h2.04 5.96z'
    """
    tokens = _TOKEN.findall(path)
    pieces: list[tuple[str, list[Point]]] = []
    at = 0
    while at < len(tokens):
        command = tokens[at]
        if command not in _PAIRS:
            return path  # no drawing of the book has others
        count = 2 * _PAIRS[command]
        values = [float(value) for value in tokens[at + 1 : at + 1 + count]]
        pieces.append((command, list(zip(values[::2], values[1::2], strict=True))))
        at += 1 + count
    ends = [point for _, points in pieces for point in points]
    small = max(map(_span, zip(*ends, strict=True)), default=0.0) < MARK
    exact = exact or (mark and small)
    if not exact:
        pieces = _straightened(pieces)
    return _written(pieces, 10 ** (2 if exact else DECIMALS))


def _written(pieces: list[tuple[str, list[Point]]], unit: int) -> str:
    """Write steps from point to point, which have fewer digits than places, in whole units."""
    text, last = "", ""
    here = start = (0, 0)
    for command, points in pieces:
        ends = [(round(x * unit), round(y * unit)) for x, y in points]
        steps = [(x - here[0], y - here[1]) for x, y in ends]
        letter, numbers = command.lower(), [value for step in steps for value in step]
        if command == "M":
            letter, numbers, start = "M", [*ends[0]], ends[0]
        elif command == "L" and 0 in steps[0]:
            letter, numbers = ("h", [steps[0][0]]) if steps[0][1] == 0 else ("v", [steps[0][1]])
        if letter != last or letter in "Mz":
            text += letter
        for number in numbers:
            digits = _ZERO.sub(r"\1.", _number(number / unit, 2))
            text += digits if not text[-1:].isdigit() or digits[0] == "-" else f" {digits}"
        here, last = ends[-1] if ends else start, letter
    return text


def _straightened(pieces: list[tuple[str, list[Point]]]) -> list[tuple[str, list[Point]]]:
    """Leave out ends of lines between which the way is straight."""
    kept: list[tuple[str, list[Point]]] = []
    passed: list[Point] = []
    for place, (command, points) in enumerate(pieces):
        follows = place + 1 < len(pieces) and pieces[place + 1][0] == "L"
        few = len(passed) < PASSED
        if command == "L" and follows and few and kept and kept[-1][1]:
            start, end = kept[-1][1][-1], pieces[place + 1][1][0]
            if all(_distance(one, start, end) < NEAR for one in [*passed, points[0]]):
                passed.append(points[0])
                continue
        kept.append((command, points))
        passed = []
    return kept


def _span(values: tuple[float, ...]) -> float:
    return max(values) - min(values)


def _distance(point: Point, start: Point, end: Point) -> float:
    """Distance of a point from the stretch between two others."""
    (px, py), (ax, ay), (bx, by) = point, start, end
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    along = 0.0 if not length else max(0.0, min(1.0, ((px - ax) * dx + (py - ay) * dy) / length))
    return float(((px - ax - along * dx) ** 2 + (py - ay - along * dy) ** 2) ** 0.5)
