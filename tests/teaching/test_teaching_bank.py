"""Questions for learning platforms: read back, each file holds what the page asks and explains."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from helpers.teaching import CHAPTERS, Quiz, self_check
from helpers.teaching.bank import bank_files, write_bank
from helpers.teaching.questions import Answer, question

AWKWARD = question(
    "Is {a} = b ~ c: #1 <b> & \\ so?",
    [
        Answer("Yes = {x}", "Because ~ of #2: it is.", True),
        Answer("No <i>", "It & that.", False),
        Answer("Both \\", "One.", False),
    ],
)
QTI = {"q": "http://www.imsglobal.org/xsd/imsqti_v2p1"}
PACKAGE = {"p": "http://www.imsglobal.org/xsd/imscp_v1p1"}


@pytest.fixture(scope="module")
def bank():
    return {chapter: self_check(chapter) for chapter in CHAPTERS} | {
        "awkward": Quiz((AWKWARD,), "awkward")
    }


@pytest.fixture(scope="module")
def files(bank):
    return bank_files(bank)


def expected(bank):
    """Prompt -> options with their explanations and whether they are right."""
    return [
        (one.told, {(o.text, o.why, o.right) for o in one.options})
        for asked in bank.values()
        for one in asked.questions
    ]


def test_moodle_xml_reads_back(bank, files):
    read = []
    for one in ET.fromstring(files["questions.xml"]).findall("question[@type='multichoice']"):
        options = {
            (a.findtext("text"), a.findtext("feedback/text"), a.get("fraction") == "100")
            for a in one.findall("answer")
        }
        read.append((one.findtext("questiontext/text"), options))
        assert one.findtext("single") == "true"
    assert read == expected(bank)


def test_gift_reads_back(bank, files):
    def plain(text):
        return re.sub(r"\\(.)", r"\1", text)

    read = []
    for block in files["questions.gift"].strip().split("\n\n"):
        if block.startswith("$CATEGORY: "):
            continue
        name, prompt, body = re.fullmatch(
            r"::(.+?)(?<!\\)::(.+?)(?<!\\)\{\n(.*)\n\}", block, re.S
        ).groups()
        assert plain(name)
        options = set()
        for line in body.split("\n"):
            text, why = re.fullmatch(r"[=~]((?:\\.|[^\\#])*)#((?:\\.|[^\\#=~{}:])*)", line).groups()
            options.add((plain(text), plain(why), line[0] == "="))
        read.append((plain(prompt), options))
    assert read == expected(bank)


#: Of each element that we write: its children in their order, and its attributes, all of which its
#: schema wants. As read in the schemas of QTI 2.1 and of content packages, against which the whole
#: files were validated when this was written.
_VALUE = "(match|variable|correct|baseValue) "
_RULES = "((responseCondition|setOutcomeValue) )*"
MODELS = {
    "assessmentItem": (
        "(responseDeclaration )*(outcomeDeclaration )*(itemBody )?(responseProcessing )?"
        "(modalFeedback )*",
        "identifier title adaptive timeDependent",
    ),
    "responseDeclaration": ("(correctResponse )?", "identifier cardinality baseType"),
    "correctResponse": ("(value )+", ""),
    "value": ("", ""),
    "outcomeDeclaration": ("", "identifier cardinality baseType"),
    "itemBody": ("(choiceInteraction )*", ""),
    "choiceInteraction": ("(prompt )?(simpleChoice )+", "responseIdentifier shuffle maxChoices"),
    "prompt": ("", ""),
    "simpleChoice": ("", "identifier"),
    "responseProcessing": (_RULES, ""),
    "responseCondition": ("responseIf (responseElse )?", ""),
    "responseIf": (_VALUE + _RULES, ""),
    "responseElse": (_RULES, ""),
    "match": (_VALUE + _VALUE, ""),
    "variable": ("", "identifier"),
    "correct": ("", "identifier"),
    "baseValue": ("", "baseType"),
    "setOutcomeValue": (_VALUE, "identifier"),
    "modalFeedback": ("", "outcomeIdentifier showHide identifier"),
    "manifest": ("(metadata )?organizations resources ", "identifier"),
    "metadata": ("(schema )?(schemaversion )?", ""),
    "schema": ("", ""),
    "schemaversion": ("", ""),
    "organizations": ("", ""),
    "resources": ("(resource )*", ""),
    "resource": ("(file )*", "identifier type href"),
    "file": ("", "href"),
}


def test_every_element_of_the_qti_package_is_as_its_schema_wants(files):
    def bare(element):
        return element.tag.split("}")[1]

    seen, identifiers = set(), []
    for name, text in files.items():
        if not name.startswith("qti/"):
            continue
        for element in ET.fromstring(text).iter():
            children, attributes = MODELS[bare(element)]
            assert re.fullmatch(children, "".join(f"{bare(one)} " for one in element)), name
            assert set(element.attrib) == set(attributes.split()), (name, bare(element))
            seen.add(bare(element))
            if bare(element) == "resource":
                identifiers.append(element.get("identifier"))
            for key in ("identifier", "responseIdentifier", "outcomeIdentifier"):
                assert re.fullmatch(r"[A-Za-z_][\w.-]*", element.get(key, "x"))
    assert seen == set(MODELS)
    assert len(set(identifiers)) == len(identifiers)


def test_every_choice_of_a_qti_item_has_its_feedback(files):
    for name, text in files.items():
        if name.startswith("qti/items/"):
            item = ET.fromstring(text)
            choices = item.findall(".//q:simpleChoice", QTI)
            told = item.findall("q:modalFeedback", QTI)
            assert [c.get("identifier") for c in choices] == [f.get("identifier") for f in told]
            assert {f.get("outcomeIdentifier") for f in told} == {"FEEDBACK"}


def test_qti_reads_back_and_its_manifest_names_every_item(bank, files):
    manifest = ET.fromstring(files["qti/imsmanifest.xml"])
    places = [r.get("href") for r in manifest.findall("p:resources/p:resource", PACKAGE)]
    assert {f"qti/{place}" for place in places} == {
        name for name in files if name.startswith("qti/items/")
    }
    read = []
    for place in places:
        item = ET.fromstring(files[f"qti/{place}"])
        right = item.findtext("q:responseDeclaration/q:correctResponse/q:value", None, QTI)
        why = {f.get("identifier"): f.text for f in item.findall("q:modalFeedback", QTI)}
        choice = item.find("q:itemBody/q:choiceInteraction", QTI)
        options = {
            (o.text, why[o.get("identifier")], o.get("identifier") == right)
            for o in choice.findall("q:simpleChoice", QTI)
        }
        read.append((choice.findtext("q:prompt", None, QTI), options))
    assert read == expected(bank)


def test_the_key_is_on_another_sheet(bank, files):
    shown, key = (ET.tostring(_body(files[f"questions{end}.html"])) for end in ("", "_key"))
    for asked in bank.values():
        for one in asked.questions:
            for option in one.options:
                if len(option.why) > 30:
                    written = ET.Element("x")
                    written.text = option.why
                    words = ET.tostring(written)[3:-4]
                    assert words in key
                    assert words not in shown
    assert b"Right." not in shown


def _body(page):
    return ET.fromstring(re.sub(r"<!doctype html>|<meta[^>]*>", "", page)).find("body")


def test_files_are_written_where_they_are_wanted(bank, tmp_path):
    written = write_bank({"awkward": bank["awkward"]}, tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in written} >= {
        "questions.xml",
        "qti/items/awkward-1.xml",
    }
    assert all(path.is_file() for path in written)
