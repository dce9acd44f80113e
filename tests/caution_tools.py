"""Cautions of a result against what is expected: their codes in order, and words of each."""

from __future__ import annotations

import re
from typing import Any


def compare(result: Any, expected: dict[str, str]) -> None:
    """Ask a result for these cautions and no others."""
    said = result.cautions
    assert [caution.code for caution in said] == [*expected]
    for caution, words in zip(said, expected.values(), strict=True):
        assert re.search(words, caution.message), caution.message
