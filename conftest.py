"""What every test of the project shares: fixed examples, closed figures."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# the same examples on every machine and in every run; `--hypothesis-profile=search` looks for new
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    """Close what a test drew, where it drew at all."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
