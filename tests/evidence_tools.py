"""What the tests of the evidence loader share: a good table and ways to read the complaints."""

import pytest

from helpers.evidence import EvidenceError, read_cohorts

HEADER = "study,events,n,months,rate"
GOOD = f"{HEADER}\nA 2020,3,40,12.5,0.075\nB 2021,0,25,,\n"


def read(text, **options):
    content = text.encode("utf-8") if isinstance(text, str) else text
    return read_cohorts(content, follow_up="months", reported_rate="rate", **options)


def problems(text, **options):
    with pytest.raises(EvidenceError) as caught:
        read(text, **options)
    return caught.value.problems


def only(text, **options):
    found = problems(text, **options)
    assert len(found) == 1, found
    return found[0]


def places(found):
    return [(problem.row, problem.column, problem.value) for problem in found]
