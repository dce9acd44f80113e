"""Import the package of plots before pytest imports its modules one by one for their doctests.

A plot has the name of its module: ``helpers.plots.baujat`` is the function because the package
binds it last. Pytest, asked for ``helpers/plots/baujat.py``, would import the package and the
module in its own way and bind the module over the function.
"""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

import helpers.plots

__all__ = ["helpers"]

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
