"""Digits and units of a report follow its numbers, in words and in figures."""

from __future__ import annotations

import re

import pytest
from report_tools import case

from helpers import pool, printing
from helpers.reporting import in_browser, report


def test_rare_events_are_printed_with_two_digits_everywhere():
    made = report(case(1))
    fit = made.analysis.fit
    numbers = (fit.estimate, *fit.ci)
    assert max(numbers) < 0.001  # some 23 per 100,000
    printed = [f"{100 * value:.3f}" for value in numbers]
    assert all(float(text) >= 0.01 for text in printed)  # two digits in each
    answer = f"{printed[0]}% (95%\N{NO-BREAK SPACE}CI {printed[1]} to {printed[2]}%)"
    assert answer in made.answer
    assert answer in made.for_a_paper
    words = re.sub(r"<[^>]+>", " ", made.html)
    words = re.sub(r"I² = 0\.0%", "", words.replace("&lt;", "<"))
    assert not re.search(r"<0\.1%|\b0\.0 to 0\.0\b|\b0\.0%", words)
    assert f"{printed[1]} to {printed[2]}" in made.pictures["forest"].svg
    # the first study by hand: a share of 47 in 177,413
    assert f"{100 * 47 / 177413:.3f} (" in made.pictures["forest"].svg
    shown = in_browser.analyse(case(1).read_bytes())
    assert answer in shown["headline"]
    assert f"{printed[0]}% ({printed[1]} to {printed[2]})" in shown["svg"]
    ticks = re.findall(r">([0-9.]+)%</text>", shown["svg"])
    assert len(set(ticks)) >= 3
    assert float(ticks[-1]) < 0.1


@pytest.mark.parametrize(("events", "n"), [(6, 10), (3, 40), (5, 900), (4, 10**4), (7, 10**6)])
def test_an_estimate_and_its_limits_keep_two_digits(events, n):
    fit = pool(events=[events, events + 1, events + 3], n=[n, n, n], model="common")
    printed = re.findall(r"[0-9.]+(?=%| to)", printing.estimate(fit).replace("95%", ""))
    for text, value in zip(printed, (fit.estimate, *fit.ci), strict=True):
        assert float(text) / 100 == pytest.approx(value, rel=0.05)


@pytest.mark.parametrize("per", [1000, 100_000])
def test_rates_and_proportions_are_given_per_so_many(per):
    timed = report(case(13), per=per)  # the column of person-time is found by its name
    assert timed.analysis.columns.time == "person_years"
    assert timed.analysis.fit.estimate == pytest.approx(per / 100 * 1.6158196, rel=1e-6)
    assert timed.answer.startswith(f"Events per {per:,} person-years: ")
    made = report(case(1), per=per)
    fit = made.analysis.fit
    unit = f" per\N{NO-BREAK SPACE}{per:,}"
    printed = re.match(r".*?: ([0-9.,]+)" + unit, made.answer)
    digits = len(printed[1].partition(".")[2])
    assert printed[1] == f"{per * fit.estimate:.{digits}f}"
    low = f"{per * fit.ci.lower:.{digits}f}"
    for text in (made.answer, made.for_a_paper, made.pictures["forest"].svg, made.html):
        assert f"{low} to " in text
    assert len(low.replace(".", "").lstrip("0")) >= 2


def test_bubble_and_funnel_plots_are_in_the_unit_of_the_report():
    rows = "".join(f"S{i},{3 + i},{4000 + 900 * i},{2000 + i}\n" for i in range(8))
    table = f"study,events,n,year\n{rows}".encode()
    made = report(table, per=1000, covariates="year")
    bubbles, funnel = (made.figures[name].axes[0] for name in ("regression-1", "funnel"))
    assert bubbles.get_ylabel().endswith("per\xa01,000")
    low, high = bubbles.get_ylim()
    estimates = [1000 * (3 + i) / (4000 + 900 * i) for i in range(8)]
    assert low < min(estimates) < max(estimates) < high < 10 * max(estimates)
    assert "per 1,000" in funnel.get_xlabel()
    assert "%" not in "".join(label.get_text() for label in funnel.get_xticklabels())
    for name in ("regression-1", "funnel"):
        assert "per\xa01,000" in made.pictures[name].alt
