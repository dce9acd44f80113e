"""Every page in light and dark, on a phone and a desk: nothing that axe-core objects to."""

from __future__ import annotations

import pytest
from accessibility import THEMES, faults


@pytest.mark.parametrize("theme", THEMES)
def test_axe_has_no_objection(page_name, theme, visit):
    assert faults(visit(page_name, theme=theme).page) == {}


def test_axe_objects_where_it_should(browser):
    """An empty result says something only because this one is not empty."""
    page = browser.new_page()
    page.set_content("<html><body><img src='data:,'><p style='color: #eee'>pale</p></body></html>")
    found = faults(page)
    page.close()
    assert {"html-has-lang", "image-alt", "color-contrast"} <= set(found)
