"""The field above a long table: rows that it hides, what it says, and where there is none."""

from __future__ import annotations

import pytest

from helpers import load_cohorts, load_context, load_sources

WIDTHS = (1440, 390)


def field_of(page, table):
    return page.locator(f"#{table}").locator(
        "xpath=preceding-sibling::div[contains(@class, 'table-filter')]"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_a_filter_keeps_the_rows_with_all_of_its_words(visit, width):
    page = visit("data_extraction.html", width=width).page
    both = load_cohorts().merge(load_sources(), on="cohort")
    wanted = both["trial_or_registry"].str.contains("ZUMA", na=False) & (both["entity"] == "LBCL")
    bar = field_of(page, "included-studies")
    bar.get_by_role("searchbox").fill("lbcl Zuma")
    rows = page.locator("#included-studies tbody tr:visible")
    assert rows.count() == wanted.sum() > 1
    names = [row.split("\n")[0].split("\t")[0] for row in rows.all_inner_texts()]
    assert names == both.loc[wanted, "cohort"].tolist()
    assert bar.get_by_role("status").inner_text() == f"{wanted.sum()} of {len(both)} rows"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    bar.get_by_role("searchbox").fill("")
    assert rows.count() == len(both)


def test_headings_of_groups_without_a_row_are_hidden(visit):
    page = visit("since_then.html").page
    later = load_context("later_cohorts")
    bar = field_of(page, "reports-since")
    bar.get_by_role("searchbox").fill("octogenarians")
    shown = page.locator("#reports-since tbody tr:visible")
    assert shown.count() == 2  # the heading of its class, and itself
    assert shown.first.inner_text().strip().lower() == "rate only"
    assert bar.get_by_role("status").inner_text() == f"1 of {len(later)} rows"


def test_a_field_has_a_name_and_stands_above_searched_tables_alone(visit):
    page = visit("since_then.html").page
    assert page.locator(".table-filter").count() == page.locator(".table-search").count() == 1
    field = page.get_by_role("searchbox", name="Filter the rows")
    assert field.get_attribute("aria-controls") == "reports-since"
