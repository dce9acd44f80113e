"""The self-check questions as files for learning platforms, and on paper with the key apart.

Moodle XML, GIFT and QTI 2.1 carry the explanation of each option as its feedback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from xml.etree import ElementTree as ET

from .printed import document, write_files
from .questions import LETTERS, Question, Quiz

_QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"
_PACKAGE = "http://www.imsglobal.org/xsd/imscp_v1p1"


def _named(bank: Mapping[str, Quiz]) -> Iterator[tuple[str, str, Question]]:
    """Chapter, name and question of each."""
    for chapter, asked in bank.items():
        for number, one in enumerate(asked.questions, start=1):
            yield chapter, f"{chapter}-{number}", one


def _text(tree: ET.Element) -> str:
    ET.indent(tree)
    return ET.tostring(tree, encoding="unicode", xml_declaration=True) + "\n"


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child


def moodle_xml(bank: Mapping[str, Quiz]) -> str:
    """Give the questions of each chapter for Moodle's import, a category for each chapter."""
    tree = ET.Element("quiz")
    last = ""
    for chapter, name, one in _named(bank):
        if chapter != last:
            category = _add(_add(tree, "question", type="category"), "category")
            _add(category, "text", f"$course$/{chapter}")
            last = chapter
        asked = _add(tree, "question", type="multichoice")
        _add(_add(asked, "name"), "text", name)
        _add(_add(asked, "questiontext", format="plain_text"), "text", one.told)
        for tag, value in {
            "defaultgrade": "1",
            "penalty": "1",
            "hidden": "0",
            "single": "true",
            "shuffleanswers": "true",
            "answernumbering": "abc",
        }.items():
            _add(asked, tag, value)
        for option in one.options:
            fraction = "100" if option.right else "0"
            answer = _add(asked, "answer", fraction=fraction, format="plain_text")
            _add(answer, "text", option.text)
            _add(_add(answer, "feedback", format="plain_text"), "text", option.why)
    return _text(tree)


def gift(bank: Mapping[str, Quiz]) -> str:
    r"""Give the questions in GIFT, Moodle's text format, which other platforms read as well.

    What has a meaning in GIFT is escaped by a backslash.
    """

    def plain(text: str) -> str:
        return re.sub(r"([\\~=#{}:])", r"\\\1", re.sub(r"[ \n]+", " ", text))

    blocks, last = [], ""
    for chapter, name, one in _named(bank):
        if chapter != last:
            blocks.append(f"$CATEGORY: $course$/{chapter}")
            last = chapter
        options = "\n".join(
            f"{'=' if o.right else '~'}{plain(o.text)}#{plain(o.why)}" for o in one.options
        )
        blocks.append(f"::{plain(name)}::{plain(one.told)}{{\n{options}\n}}")
    return "\n\n".join(blocks) + "\n"


def qti(bank: Mapping[str, Quiz]) -> dict[str, str]:
    """Give the files of a QTI 2.1 package: an item a question, and the manifest."""
    manifest = ET.Element("manifest", {"xmlns": _PACKAGE, "identifier": "nrm-questions"})
    metadata = _add(manifest, "metadata")
    _add(metadata, "schema", "QTIv2.1 Package")
    _add(metadata, "schemaversion", "1.0.0")
    _add(manifest, "organizations")
    resources = _add(manifest, "resources")
    files = {}
    for _, name, one in _named(bank):
        place = f"items/{name}.xml"
        kind = "imsqti_item_xmlv2p1"
        resource = _add(resources, "resource", identifier=name, type=kind, href=place)
        _add(resource, "file", href=place)
        files[place] = _text(_item(name, one))
    return {"imsmanifest.xml": _text(manifest), **files}


def _item(name: str, one: Question) -> ET.Element:
    given = {"xmlns": _QTI, "identifier": name, "title": name}
    item = ET.Element("assessmentItem", {**given, "adaptive": "false", "timeDependent": "false"})
    kind = {"cardinality": "single", "baseType": "identifier"}
    response = _add(item, "responseDeclaration", None, identifier="RESPONSE", **kind)
    letters = dict(zip(LETTERS, one.options, strict=False))
    (right,) = (letter for letter, option in letters.items() if option.right)
    _add(_add(response, "correctResponse"), "value", right)
    score = {"cardinality": "single", "baseType": "float"}
    _add(item, "outcomeDeclaration", None, identifier="SCORE", **score)
    _add(item, "outcomeDeclaration", None, identifier="FEEDBACK", **kind)
    interaction = {"responseIdentifier": "RESPONSE", "shuffle": "true", "maxChoices": "1"}
    choice = _add(_add(item, "itemBody"), "choiceInteraction", None, **interaction)
    _add(choice, "prompt", one.told)
    for letter, option in letters.items():
        _add(choice, "simpleChoice", option.text, identifier=letter)
    processing = _add(item, "responseProcessing")
    condition = _add(processing, "responseCondition")
    matched = _add(condition, "responseIf")
    same = _add(matched, "match")
    _add(same, "variable", identifier="RESPONSE")
    _add(same, "correct", identifier="RESPONSE")
    for branch, mark in ((matched, "1"), (_add(condition, "responseElse"), "0")):
        value = _add(branch, "setOutcomeValue", identifier="SCORE")
        _add(value, "baseValue", mark, baseType="float")
    chosen = _add(processing, "setOutcomeValue", identifier="FEEDBACK")
    _add(chosen, "variable", identifier="RESPONSE")
    for letter, option in letters.items():
        shown = {"outcomeIdentifier": "FEEDBACK", "identifier": letter, "showHide": "show"}
        _add(item, "modalFeedback", option.why, **shown)
    return item


def sheets(bank: Mapping[str, Quiz], *, key: bool) -> str:
    """Questions for print, or the letters that are right with the reason for every option."""
    parts = []
    for _, name, one in _named(bank):
        rows = "".join(
            f"<p><b>{letter}</b> {escape(option.text)}"
            + (f" <i>{'Right.' if option.right else 'Not so.'} {escape(option.why)}</i>" * key)
            + "</p>"
            for letter, option in zip(LETTERS, one.options, strict=False)
        )
        picture = "" if one.figure is None or key else one.figure.svg
        parts.append(
            f'<section class="asked"><h2>{escape(name)}</h2><p>{escape(one.prompt)}</p>'
            f"{picture}{rows}</section>"
        )
    return document("Questions: key" if key else "Questions", "\n".join(parts))


def bank_files(bank: Mapping[str, Quiz]) -> dict[str, str]:
    """Every form of the questions, as names of files with their text."""
    return {
        "questions.xml": moodle_xml(bank),
        "questions.gift": gift(bank),
        "questions.html": sheets(bank, key=False),
        "questions_key.html": sheets(bank, key=True),
        **{f"qti/{name}": text for name, text in qti(bank).items()},
    }


def write_bank(bank: Mapping[str, Quiz], folder: str | Path) -> list[Path]:
    """Write every form of the questions into a folder, and give the paths."""
    return write_files(bank_files(bank), folder)
