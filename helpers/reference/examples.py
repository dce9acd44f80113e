"""Examples of docstrings: run, compared with what the docstring says, kept with their output."""

from __future__ import annotations

import doctest
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import MetaAnalysisError
from .docstrings import parse_docstring

__all__ = ["ExampleError", "ExampleStep", "run_examples", "shown"]

_OPTION = re.compile(r"[ ]*#[ ]*doctest:.*$", re.M)


class ExampleError(MetaAnalysisError):
    """An example prints something else than its docstring says."""


@dataclass(frozen=True, slots=True)
class ExampleStep:
    """Lines of code up to an output, which is empty at the end of an example without one."""

    code: str
    output: str


def shown(example: doctest.Example) -> str:
    """Give the code of an example as readers see it, without options of doctest."""
    return _OPTION.sub("", example.source).rstrip()


class _Keep(doctest.DocTestRunner):
    """Runs examples and keeps what they print."""

    def __init__(self) -> None:
        super().__init__(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
        self.kept: list[tuple[str, str]] = []
        self.wrong: list[str] = []

    def report_success(
        self, out: Callable[[str], Any], test: Any, example: doctest.Example, got: str
    ) -> None:
        if example.exc_msg is not None:
            got = got.strip().splitlines()[-1]
        self.kept.append((shown(example), got.rstrip()))

    def report_failure(
        self, out: Callable[[str], Any], test: Any, example: doctest.Example, got: str
    ) -> None:
        self.wrong.append(f"{example.source.strip()} gave {got.strip()!r}")

    def report_unexpected_exception(
        self, out: Callable[[str], Any], test: Any, example: doctest.Example, exc_info: Any
    ) -> None:
        self.wrong.append(f"{example.source.strip()} raised {exc_info[1]!r}")


def run_examples(found: Any, name: str = "") -> tuple[ExampleStep, ...]:
    """Run the examples in the docstring of an object; `name` stands in error messages.

    `ExampleError` when one fails, or prints something else than the docstring says.

    Examples
    --------
    >>> from helpers.printing import word
    >>> run_examples(word)[0].code
    'word(7), word(52)'
    """
    text = parse_docstring(inspect.getdoc(found)).texts.get("Examples", "")
    examples = doctest.DocTestParser().get_examples(text)
    if not examples:
        return ()
    home = sys.modules[getattr(inspect.unwrap(found), "__module__", "builtins")]
    test = doctest.DocTest(examples, dict(vars(home)), name, None, None, text)
    runner = _Keep()
    runner.run(test, out=lambda _: None)
    if runner.wrong:
        raise ExampleError(f"{name or found}: {'; '.join(runner.wrong)}")
    steps, lines = [], []
    for code, output in runner.kept:
        lines.append(code)
        if output:
            steps.append(ExampleStep("\n".join(lines), output))
            lines = []
    if lines:
        steps.append(ExampleStep("\n".join(lines), ""))
    return tuple(steps)
