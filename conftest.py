"""What every test of the project shares: fixed examples, closed figures, siblings of long runs."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# the same examples on every machine and in every run: more of them would find nothing new there;
# `--hypothesis-profile=search` looks for new ones, weekly in the workflow
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("search", deadline=None, max_examples=200)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    """Close what a test drew, where it drew at all."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let no test be nightly alone: ``make test`` runs it as well, with smaller arguments."""
    if any("::" in argument for argument in config.args):
        return  # asked for by name, perhaps without its siblings
    alone: dict[tuple[object, str], bool] = {}
    for item in items:
        if isinstance(item, pytest.Function):
            test = (item.path, item.originalname)
            long = item.get_closest_marker("nightly") is not None
            alone[test] = alone.get(test, True) and long
    if left := [name for (_, name), is_alone in alone.items() if is_alone]:
        raise pytest.UsageError(f"nightly without a smaller sibling in `make test`: {left}")
