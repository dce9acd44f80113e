"""A word that a call does not know is refused with the words that it knows."""

from __future__ import annotations

import pytest

from helpers import pool, pool_effects, posterior
from helpers.engine.keywords import EffectKeywords, PoolKeywords, PosteriorKeywords

COUNTS = {"events": [1, 2, 3], "n": [10, 20, 30]}
EFFECTS = {"yi": [0.1, 0.2, 0.3], "vi": [0.1, 0.1, 0.1]}


@pytest.mark.parametrize(
    ("call", "data", "word", "near", "group"),
    [
        (pool, COUNTS, "quad_point", "quad_points", PoolKeywords),
        (pool, COUNTS, "xyzzy", None, PoolKeywords),
        (pool_effects, EFFECTS, "back_transfrom", "back_transform", EffectKeywords),
        (posterior, COUNTS, "likelihod", "likelihood", PosteriorKeywords),
    ],
)
def test_an_unknown_word_is_refused_with_the_nearest_and_all(call, data, word, near, group):
    with pytest.raises(TypeError) as refused:
        call(**data, **{word: 1})
    said = str(refused.value)
    assert said.startswith(f"{call.__name__}() got an unexpected keyword argument {word!r}")
    assert ("did you mean" in said) == (near is not None)
    assert near is None or f"did you mean {near!r}?" in said
    assert said.endswith(f"Its options are {', '.join(group.__annotations__)}")
