"""What every test of the project shares: fixed examples, results, closed figures, siblings."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.doctest import DoctestItem
from dependencies import ROOT, collect_seldom, dependency_hash, share_results
from hypothesis import settings

from helpers import shared_results

# the same examples on every machine and in every run: more of them would find nothing new there;
# `--hypothesis-profile=search` looks for new ones, weekly in the workflow
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("search", deadline=None, max_examples=200)
settings.load_profile("fixed")


BY_THE_BUILD = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let ``make test`` leave out what its build has done; who names a file runs all of it."""
    text = "leave out the examples in docstrings that a build of the same state ran"
    parser.addoption("--after-build", action="store_true", help=text)


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
    collect_seldom()
    if _from_the_end(config):
        config.args.reverse()
    if hasattr(config, "workerinput") or os.environ.get(shared_results.FOLDER):
        return
    built = ROOT / "_build"
    share_results(built / "tests" / "shared", dependency_hash(), former=built / "shared")


def _from_the_end(config: pytest.Config) -> bool:
    """Whether this is every second worker of a parallel run."""
    worker = getattr(config, "workerinput", {}).get("workerid", "gw0")
    return int(worker.removeprefix("gw")) % 2 == 1


class FromTheEnd(pytest.Dir):
    """A folder whose files are read from the last to the first."""

    def collect(self) -> list[Any]:
        """Give them the other way round."""
        return [*super().collect()][::-1]


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Let workers meet half-way.

    pytest rewrites each file of tests once and stores it. Two workers that began with the same
    file of a fresh clone rewrote all of them twice.
    """
    if _from_the_end(parent.config) and not (path / "__init__.py").is_file():
        return FromTheEnd.from_parent(parent, path=path)
    return None


def _leave_out_what_the_build_ran(config: pytest.Config, items: list[pytest.Item]) -> None:
    from built_examples import code_of, passed

    ran = passed(dependency_hash())
    left_out = [
        item
        for item in items
        if isinstance(item, DoctestItem) and ran.get(item.name) == code_of(item.dtest.examples)
    ]
    items[:] = [item for item in items if item not in left_out]
    config.stash[BY_THE_BUILD] = len(left_out)


def pytest_collection_finish() -> None:
    """All modules and tests are there now."""
    collect_seldom()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker left out to the process that sums up."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["by_the_build"] = session.config.stash.get(BY_THE_BUILD, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take it over: all workers left out the same."""
    node.config.stash[BY_THE_BUILD] = getattr(node, "workeroutput", {}).get("by_the_build", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many examples were not run here, and where they were."""
    if count := config.stash.get(BY_THE_BUILD, 0):
        terminalreporter.write_line(
            f"Examples of {count} docstrings passed in the build of the same code, data and "
            "packages; all others were run here."
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let no test be nightly alone: ``make test`` runs it as well, with smaller arguments."""
    if hasattr(config, "workerinput"):  # one order, from whichever end they were read
        items.sort(key=lambda item: (item.path, isinstance(item, DoctestItem)))
    if config.getoption("--after-build"):
        _leave_out_what_the_build_ran(config, items)
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
