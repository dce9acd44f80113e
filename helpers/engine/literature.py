"""Keys and DOIs of the sources that results cite."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """One source: its key in ``book/references.bib`` and its DOI."""

    key: str
    doi: str


@dataclass(frozen=True, slots=True)
class Methods:
    """How a result was made: one sentence and its sources."""

    sentence: str  # the methods in words; also str() of the object
    references: tuple[Reference, ...]  # sources in the order of the sentence

    def __str__(self) -> str:
        return self.sentence


#: BibTeX key -> DOI; empty for the one source that has none, a talk.
REFERENCES: dict[str, str] = {
    "barendregt2013": "10.1136/jech-2013-203104",
    "becker2005": "10.1002/0470870168.ch7",
    "begg1994": "10.2307/2533446",
    "berkey1995": "10.1002/sim.4780140406",
    "biggerstaff2008": "10.1002/sim.3428",
    "brannick2019": "10.1177/1094428117741966",
    "cheung2014": "10.1037/a0032968",
    "clopper1934": "10.1093/biomet/26.4.404",
    "cochran1954": "10.2307/3001666",
    "dersimonian1986": "10.1016/0197-2456(86)90046-2",
    "dersimonian2007": "10.1016/j.cct.2006.04.004",
    "duval2000a": "10.1111/j.0006-341X.2000.00455.x",
    "duval2000b": "10.1080/01621459.2000.10473905",
    "egger1997": "10.1136/bmj.315.7109.629",
    "freeman1950": "10.1214/aoms/1177729756",
    "garwood1936": "10.1093/biomet/28.3-4.437",
    "gelman2006": "10.1214/06-BA117A",
    "haberman1973": "10.2307/2529686",
    "hamza2008": "10.1016/j.jclinepi.2007.03.016",
    "hardy1996": "10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A",
    "hedges1983": "10.1037/0033-2909.93.2.388",
    "hedges2010": "10.1002/jrsm.5",
    "henmi2010": "10.1002/sim.4029",
    "higgins2002": "10.1002/sim.1186",
    "higgins2009": "10.1111/j.1467-985X.2008.00552.x",
    "hunter2014": "10.1016/j.jclinepi.2014.03.003",
    "inthout2014": "10.1186/1471-2288-14-25",
    "ioannidis2007": "10.1177/1740774507079441",
    "jackson2013": "10.1002/jrsm.1081",
    "jackson2017": "10.1002/sim.7411",
    "knapp2003": "10.1002/sim.1482",
    "konstantopoulos2011": "10.1002/jrsm.35",
    "liu1994": "10.1093/biomet/81.3.624",
    "macaskill2001": "10.1002/sim.698",
    "miller1978": "10.1080/00031305.1978.10479283",
    "morris1983": "10.2307/2287098",
    "morris2019": "10.1002/sim.8086",
    "nagashima2019": "10.1177/0962280218773520",
    "orwin1983": "10.3102/10769986008002157",
    "partlett2017": "10.1002/sim.7140",
    "patefield1981": "10.2307/2346669",
    "paule1982": "10.6028/jres.087.022",
    "peters2006": "10.1001/jama.295.6.676",
    "peters2007": "10.1002/sim.2889",
    "phipson2010": "10.2202/1544-6115.1585",
    "pinheiro1995": "10.1080/10618600.1995.10474663",
    "pustejovsky2018": "10.1080/07350015.2016.1247004",
    "raudenbush1985": "10.3102/10769986010002075",
    "rosenberg2005": "10.1111/j.0014-3820.2005.tb01004.x",
    "rosenthal1979": "10.1037/0033-2909.86.3.638",
    "rover2015": "10.1186/s12874-015-0091-1",
    "rover2020": "10.18637/jss.v093.i06",
    "rover2021": "10.1002/jrsm.1475",
    "ruecker2008": "10.1002/sim.2971",
    "ruecker2011": "10.1093/biostatistics/kxq046",
    "schwarzer2007": "10.1002/sim.2588",
    "schwarzer2019": "10.1002/jrsm.1348",
    "sidik2005": "10.1111/j.1467-9876.2005.00489.x",
    "simonsohn2020": "10.1038/s41562-020-0912-z",
    "skellam1948": "10.1111/j.2517-6161.1948.tb00014.x",
    "stanley2014": "10.1002/jrsm.1095",
    "steegen2016": "10.1177/1745691616658637",
    "sterne2000": "10.1016/S0895-4356(00)00242-0",
    "sterne2011": "10.1136/bmj.d4002",
    "stijnen2010": "10.1002/sim.4040",
    "terrin2003": "10.1002/sim.1461",
    "thompson1999": "10.1002/(SICI)1097-0258(19991030)18:20<2693::AID-SIM235>3.0.CO;2-V",
    "tipton2015": "10.1037/met0000011",
    "tipton2015b": "10.3102/1076998615606099",
    "trefethen2014": "10.1137/130932132",
    "turner2012": "10.1093/ije/dys041",
    "veroniki2016": "10.1002/jrsm.1164",
    "vevea1995": "10.1007/BF02294384",
    "viechtbauer2005": "10.3102/10769986030003261",
    "viechtbauer2007": "10.1002/sim.2514",
    "viechtbauer2015": "10.1037/met0000023",
    "viechtbauer2021": "",
    "williams1975": "10.2307/2529820",
}


def references(*keys: str) -> tuple[Reference, ...]:
    """Look references up by key, each once, in order."""
    return tuple(Reference(key, REFERENCES[key]) for key in dict.fromkeys(keys))
