"""Sources that regressions and multilevel models cite."""

from __future__ import annotations

from ..engine.literature import Reference

__all__ = ["SOURCES", "cite"]

#: Key in the bibliography -> DOI.
SOURCES: dict[str, str] = {
    "berkey1995": "10.1002/sim.4780140406",
    "cheung2014": "10.1037/a0032968",
    "hedges2010": "10.1002/jrsm.5",
    "knapp2003": "10.1002/sim.1482",
    "konstantopoulos2011": "10.1002/jrsm.35",
    "stijnen2010": "10.1002/sim.4040",
    "tipton2015": "10.1037/met0000011",
    "tipton2015b": "10.3102/1076998615606099",
    "viechtbauer2005": "10.3102/10769986030003261",
}


def cite(*keys: str) -> tuple[Reference, ...]:
    """Look up references by key, each once, in order.

    Examples
    --------
    >>> cite("knapp2003")[0].doi
    '10.1002/sim.1482'
    """
    return tuple(Reference(key, SOURCES[key]) for key in dict.fromkeys(keys))
