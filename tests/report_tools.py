"""What tests of reports share: tables that are cases, and the reports of some of them."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from helpers.evidence.own import read_own
from helpers.reporting import report
from helpers.reporting.analysis import ColumnNames, analyse

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}  # of our cohorts
CASES = Path(__file__).with_name("cases")


def case(number):
    """Path of a table as people have them."""
    (path,) = CASES.glob(f"{number:02d}_*.csv")
    return path


def analysed(source, given=None, **options):
    """Analysis of a table without pictures and with few simulations."""
    own = read_own(source, given or {}, **options)
    roles = own.roles
    columns = ColumnNames(
        roles["study"],
        roles["events"],
        roles["n"],
        roles.get("by"),
        roles.get("follow_up"),
        tuple(options.get("numeric", ())),
        own.follow_up_unit,
    )
    return analyse(own.data, columns, rows=own.rows, understood=own.understood, draws=20)


def codes(analysis):
    """Say what was pointed out."""
    return [one.code for one in analysis.remarks]


#: Tables at the edge of what can be computed.
EDGE = {
    "one cohort": b"study,events,n\nA,3,40\n",
    "one cohort without events": b"study,events,n\nA,0,40\n",
    "two cohorts": b"study,events,n\nA,3,40\nB,5,50\n",
    "no events": b"study,events,n,group,follow_up\nA,0,40,x,3\nB,0,50,y,4\nC,0,20,y,\n",
    "all events": b"study,events,n\nA,40,40\nB,50,50\n",
    "few small cohorts": b"study,events,n,group\nA,1,10,x\nB,0,5,\nC,2,8,\nD,0,9,x\n",
    "one size": b"study,events,n,follow_up\nA,1,10,5\nB,0,10,5\nC,2,10,5\nD,4,10,5\n",
    "a group without events": b"study,events,n,group\nA,0,40,x\nB,0,50,x\nC,1,20,y\nD,3,30,y\n",
}


@cache
def edge(name):
    """Report of a table at the edge, made once; reports do not change."""
    return report(EDGE[name])


def written(made, folder, **options):
    """Write a report, by default without the files of its figures, which take their time."""
    return made.write(folder, **{"figures": ()} | options)


def content(folder):
    """Name each file of a folder, with its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def printed(command, folder):
    """Run a script of a report in its folder: the numbers that it prints, by name."""
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    lines = [line.split("\t") for line in run.stdout.splitlines() if "\t" in line]
    return {name.strip(): float(value) for name, value in lines}


class Page(HTMLParser):
    """What stands in a page: tags with their attributes, ids, links, levels of headings."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.headings = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
