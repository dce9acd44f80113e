"""What a meta-analysis is about: the names of its studies, people and counts, and its colours.

Pictures and tables take one `Subject` and say nothing of a subject of their own. It is handed from
call to call; nothing is set for a session, so that one report cannot change the words of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

from .. import printing
from ..engine.effects import get_measure
from ..printing.characters import slug
from .colours import BASE, INK, Colour

Kind = Literal["proportion", "rate", "effect"]

_USUAL: Mapping[str, str] = {"proportion": "Proportion", "rate": "Rate", "effect": "Estimate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """How pictures and tables call what is pooled, and how they colour its groups.

    Examples
    --------
    >>> trials = Subject(study="trial", studies="trials", outcome="Response")
    >>> trials.noun, trials.of_measure("log-rate").outcome
    (('trial', 'trials'), 'Response')
    >>> Subject().of_measure("log-rate").outcome
    'Rate'
    """

    #: What a row of the data is called, one and many
    study: str = "study"
    studies: str = "studies"
    #: Who is counted, one and many
    person: str = "participant"
    people: str = "participants"
    #: What is estimated; "Proportion", "Rate" or "Estimate" by what is pooled when empty
    outcome: str = ""
    #: {"proportion", "rate", "effect"}: What `outcome` is; pooled results of another kind are
    #: called by their own. Without a kind `outcome` names every result.
    kind: Kind | None = None
    #: Headings of the counts
    events: str = "Events"
    n: str = "n"
    time: str = "Time"
    #: {100, 1000, 10000, 100000}: Proportions are given per so many people, rates of a report per
    #: so many person-years; 100 people make percentages
    per: int = 100
    #: The colours of groups that have a meaning of their own; each palette is of one kind of group
    palettes: tuple[Mapping[str, Colour], ...] = ()

    @property
    def noun(self) -> tuple[str, str]:
        """One study, many studies."""
        return self.study, self.studies

    def unit(self, fit: Any) -> printing.Unit:
        """Tell in what unit the display scale of a result is printed."""
        return printing.unit_of(fit, self.per)

    def of_kind(self, kind: str) -> Subject:
        """Give the subject with the outcome of a kind of result."""
        named = self.outcome and self.kind in (None, kind)
        return replace(self, outcome=self.outcome if named else _USUAL[kind], kind=None)

    def of_measure(self, measure: str) -> Subject:
        """Give the subject with the outcome of results of a measure."""
        return self.of_kind(get_measure(measure).kind)

    def colours(self, levels: list[str]) -> dict[str, Colour]:
        """Give each level its colour.

        Parameters
        ----------
        levels : list of str
            All of one kind. Levels that are in no palette together are drawn in ink, because a
            colour that means nothing elsewhere would mislead.

        Examples
        --------
        >>> red = Colour("#a00000", "#ff8080")
        >>> Subject(palettes=({"A": red},)).colours(["A"])["A"] == red
        True
        >>> Subject().colours(["A"])["A"] == INK
        True
        """
        for palette in self.palettes:
            if levels and all(level in palette for level in levels):
                return {level: palette[level] for level in levels}
        return dict.fromkeys(levels, INK)

    def in_order(self, levels: Iterable[str]) -> list[str]:
        """Put levels in the order of the palettes, the one order of all pictures and tables.

        Parameters
        ----------
        levels : iterable of str
            Levels that are in no palette come last and keep their order.

        Examples
        --------
        >>> red = Colour("#a00000", "#ff8080")
        >>> Subject(palettes=({"B": red, "A": red},)).in_order(["A", "other", "B"])
        ['B', 'A', 'other']
        """
        places = {level: place for place, level in enumerate(chain(*self.palettes))}
        return sorted(levels, key=lambda level: places.get(level, len(places)))

    def variables(self) -> dict[str, Colour]:
        """Name every colour as a CSS variable.

        Examples
        --------
        >>> Subject().variables()["--picture-ink"].light
        '#1a1c20'
        """
        named = dict(BASE)
        for palette in self.palettes:
            named |= palette
        return {f"--picture-{slug(name)}": colour for name, colour in named.items()}

    def stylesheet(self) -> str:
        """Print the colour variables of both themes as CSS, for a site's stylesheet."""
        light = "\n".join(f"  {name}: {colour.light};" for name, colour in self.variables().items())
        dark = "\n".join(f"  {name}: {colour.dark};" for name, colour in self.variables().items())
        return f":root {{\n{light}\n}}\n\nhtml[data-theme='dark'] {{\n{dark}\n}}\n"


#: A subject of which nothing is known.
NEUTRAL = Subject()
