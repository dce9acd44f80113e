"""Say how much of a test is for every run, and how much for the weekly ones of the workflow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings


def examples(per_cent: int, **more: Any) -> settings:
    """Give a property its share of the examples of the profile (``conftest.py``)."""
    return settings(max_examples=max(2, settings.default.max_examples * per_cent // 100), **more)


def nightly(*values: Any) -> Any:
    """Give arguments of a parametrised test that ``make test`` leaves out.

    The same test with other arguments is its smaller sibling there; without one the collection
    ends with an error (``conftest.py``).
    """
    return pytest.param(*values, marks=pytest.mark.nightly)
