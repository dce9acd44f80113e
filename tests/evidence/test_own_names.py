"""Names of a reader's columns: those of people and of programs are known, others asked for."""

from __future__ import annotations

import pytest
from report_tools import case

from helpers.evidence import EvidenceError
from helpers.evidence.opening import guess
from helpers.evidence.own import find_roles, read_own
from helpers.evidence.plain import read_counts


def test_names_of_columns_are_guessed_and_said():
    own = read_own(case(14), {})
    assert own.understood == "study = 'Author', events = 'Cases', n = 'Total'"
    with pytest.raises(EvidenceError) as raised:
        read_own(b"Author,Mild,Severe,Total\nA,3,4,40\n", {})
    (problem,) = raised.value.problems
    assert problem.expected == "a column of events (choose it with --events)"
    assert problem.value == "'Author', 'Mild', 'Severe', 'Total'"


def test_a_column_of_our_name_wins_over_others():
    own = read_own(case(16), {})
    assert own.roles["events"] == "events"
    assert read_own(case(16), {"events": "severe_events"}).roles["events"] == "severe_events"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("First author (year)|No. of cases|Sample size", (0, 1, 2)),
        ("Study_ID|n_events|n_total", (0, 1, 2)),
        ("Autor|Fälle|Gesamt", (0, 1, 2)),
        ("slab|xi|ni", (0, 1, 2)),
        ("EVENTS|N|STUDY", (2, 0, 1)),
        ("First author|Year|Deaths (n)|Patients (N)|%", (0, 2, 3)),
        ("Trial|No response|Total number of responders|Number of participants", (0, 2, 3)),
    ],
)
def test_names_of_real_tables_are_known(header, found):
    names = header.split("|")
    known = guess(names)
    assert tuple(names.index(known[role]) for role in ("study", "events", "n")) == found


@pytest.mark.parametrize(
    "header",
    [
        "Studie;Ereignisse;Patienten;Gruppe;Nachbeobachtung (Jahre)",
        "Étude;Évènements;Effectif;Groupe;Suivi (années)",
        "Estudio;Número de eventos;Total de pacientes;Grupo;Seguimiento (años)",
    ],
)
def test_a_table_in_another_language_is_known_as_a_whole(header):
    """Half a language would leave groups and follow-up out of the report without a question."""
    own = read_own(f"{header}\nA;3;40;x;1,5\nB;k.A.;50;y;2,0\n".encode("cp1252"), {})
    roles = dict(zip(("study", "events", "n", "by", "follow_up"), header.split(";"), strict=True))
    assert own.roles == roles
    assert own.follow_up_unit == "years"
    assert own.data[roles["events"]].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        # metafor: escalc with xi, ni; with xi, ti; effects
        ("author,year,xi,ni", {"study": "author", "events": "xi", "n": "ni"}),
        ("trial,xi,ti", {"study": "trial", "events": "xi", "time": "ti"}),
        ("slab,yi,vi,ni", {"study": "slab", "effect": "yi", "variance": "vi"}),
        ("study,yi,sei", {"study": "study", "effect": "yi", "se": "sei"}),
        # meta: metaprop, metarate, metagen
        ("studlab,event,n", {"study": "studlab", "events": "event", "n": "n"}),
        ("studlab,event,time", None),
        ("studlab,TE,seTE", {"study": "studlab", "effect": "TE", "se": "seTE"}),
        # Stata: metaprop and admetan after an export, RevMan's generic inverse variance
        ("study,es,se_es", {"study": "study", "effect": "es", "se": "se_es"}),
        ("study,_ES,_seES,_LCI,_UCI", {"study": "study", "effect": "_ES", "se": "_seES"}),
        ("Study,Hazard Ratio,CI lower,CI upper", {
            "study": "Study", "effect": "Hazard Ratio", "lower": "CI lower", "upper": "CI upper",
        }),
        ("Study,log[Hazard Ratio],SE", {
            "study": "Study", "effect": "log[Hazard Ratio]", "se": "SE",
        }),
    ],
)  # fmt: skip
def test_names_of_other_programs_are_known(header, roles):
    found, needed = find_roles(header.split(","), {})
    if roles is None:  # a time may be a follow-up: it is asked for
        assert set(needed) - set(found) == {"n"}
    else:
        assert found == roles


def test_an_author_is_the_study_and_an_odds_ratio_the_effect_beside_cases_and_a_country():
    table = b"author year country cases or ci.lb ci.ub\nA 1981 USA 153 1.18 0.9 1.54\n"
    own = read_own(table + b"B 1984 Japan 200 1.45 1.02 2.08\n", {})
    assert own.scale == "ratio"
    assert own.roles == {
        "study": "author", "effect": "or", "lower": "ci.lb", "upper": "ci.ub",
    }  # fmt: skip
    assert guess(["Country", "Cases", "Total"])["study"] == "Country"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("study,ai,bi,ci,di", "'ai', 'bi', 'ci', 'di' are of two arms"),
        ("study,event.e,n.e,event.c,n.c", "'event.e', 'n.e', 'event.c', 'n.c' are of two arms"),
        ("trial,year,tpos,tneg,cpos,cneg", "'tpos', 'tneg', 'cpos', 'cneg' are of two arms"),
        ("study,xi,mi", "'mi' counts people without the event"),
        ("study,prevalence,n", "'prevalence' is a share: add the counts"),
        ("study,events_treat,n_treat,events_ctrl,n_ctrl", "'n_treat', 'events_ctrl', 'n_ctrl' are"),
        ("study,d,SE", "'SE' may belong to effects: if so, choose the column of effects with"),
        ("study,d,lower,upper", "'lower' and 'upper' may belong to effects"),
        ("Kim 2019,4,50", "row 1 looks like a study: write a row with the names"),
    ],
)
def test_a_table_of_another_kind_is_told_what_is_missing(header, said):
    row = ",".join(["A", *"3456"][: header.count(",") + 1])
    with pytest.raises(EvidenceError) as caught:
        read_own(f"{header}\n{row}\n".encode(), {})
    assert said in caught.value.problems[0].expected
    with pytest.raises(EvidenceError, match=r"choose it"):
        read_counts(f"{header}\n{row}\n".encode())
