"""Sources that regressions and multilevel models cite."""

from __future__ import annotations

from helpers.pooling.references import Reference

__all__ = ["SOURCES", "cite"]

#: Key in the bibliography -> DOI.
SOURCES: dict[str, str] = {
    "bell_mccaffrey_2002": "",  # Survey Methodology 28(2), 169-181: has no DOI
    "berkey_1995": "10.1002/sim.4780140406",
    "berlin_antman_1994": "",
    "cheung_2014": "10.1037/a0032968",
    "follmann_proschan_1999": "10.1111/j.0006-341X.1999.00732.x",
    "fox_monette_1992": "10.1080/01621459.1992.10475190",
    "harville_1977": "10.1080/01621459.1977.10480998",
    "hedges_tipton_johnson_2010": "10.1002/jrsm.5",
    "higgins_thompson_2002": "10.1002/sim.1186",
    "higgins_thompson_2004": "10.1002/sim.1752",
    "knapp_hartung_2003": "10.1002/sim.1482",
    "konstantopoulos_2011": "10.1002/jrsm.35",
    "liang_zeger_1986": "10.1093/biomet/73.1.13",
    "raudenbush_2009": "",
    "stijnen_2010": "10.1002/sim.4040",
    "thompson_higgins_2002": "10.1002/sim.1187",
    "tipton_2015": "10.1037/met0000011",
    "tipton_pustejovsky_2015": "10.3102/1076998615606099",
    "viechtbauer_2005": "10.3102/10769986030003261",
    "viechtbauer_2007": "10.1002/sim.2514",
    "viechtbauer_2015": "10.1037/met0000023",
}


def cite(*keys: str) -> tuple[Reference, ...]:
    """Look up references by key, each once, in order.

    Examples
    --------
    >>> cite("knapp_hartung_2003")[0].doi
    '10.1002/sim.1482'
    """
    return tuple(Reference(key, SOURCES[key]) for key in dict.fromkeys(keys))
