"""What every test of the project shares: fixed examples, results, closed figures, siblings."""

import os
import shutil
import sys
from collections.abc import Iterator

import pytest
from dependencies import ROOT, dependency_hash, share_results
from hypothesis import settings

from helpers import shared_results

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


def pytest_configure(config: pytest.Config) -> None:
    """Compute once for all tests what several of them read of the review, as a build does.

    What the last build of the same code and data computed is taken over; into its folder no test
    writes. Workers of a parallel run inherit the folder from the process that starts them.
    """
    if hasattr(config, "workerinput") or os.environ.get(shared_results.FOLDER):
        return
    code, ours = dependency_hash(), ROOT / "_build" / "tests" / "shared"
    share_results(ours, code)
    state, built = (ours / "state").read_text(encoding="utf-8"), ROOT / "_build" / "shared"
    if (built / "state").is_file() and (built / "state").read_text(encoding="utf-8") == state:
        for result in built.glob("*.pickle"):
            shutil.copyfile(result, ours / result.name)


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
