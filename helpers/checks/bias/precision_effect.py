"""Intercepts of funnel-plot regressions as estimates: PET and PEESE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

from ... import printing
from ...arguments import level_of
from ...engine.distributions import t_sf
from ...engine.keywords import ScaledStudyKeywords, refuse_unknown
from ...engine.literature import references
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.shown import Row, number, p_text, with_interval
from ...engine.summaries import Caution
from .data import funnel_data, null_value
from .regression import line_test
from .results import BiasTest, SmallStudyResult


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PetPeese(SmallStudyResult):
    """Precision-effect test and its companion."""

    #: Lines on the standard error and on the variance; their `limit` is the estimate for a study
    #: without sampling error
    pet: BiasTest
    peese: BiasTest
    null: float | None  # Effect against which the limit of PET is tested (model scale)
    #: One-sided p-value of that test, away from `null` on the side of the pooled effect
    p: float | None
    selected: str | None  # {"PET", "PEESE"}: The conditional rule's choice; None without a null
    estimate_model: float | None  # Limit of the selected line (model scale)

    def _said(self) -> Iterator[Row]:
        yield "studies", printing.count(self.k)
        for name, test in (("PET", self.pet), ("PEESE", self.peese)):
            limit = float("nan") if test.limit is None else test.limit
            yield name, with_interval(limit, test.limit_ci, test.level)
        if self.p is not None:
            yield "test", f"against {number(self.null)}, {p_text(self.p)}: {self.selected}"


def pet_peese(
    effects: Any = None,
    vi: Any = None,
    *,
    null: float | None = None,
    alpha: float = 0.05,
    level: float | None = None,
    **studies: Unpack[ScaledStudyKeywords],
) -> PetPeese:
    """Precision-effect test (PET) and precision-effect estimate with standard error (PEESE).

    PET takes the intercept of Egger's line as the effect without small-study effects, PEESE
    that of the line on the variance. The conditional rule takes PEESE if PET finds an effect
    (one-sided p below `alpha`), else PET. The rule needs a null effect. For comparative effects
    that is 0; proportions have none, so that both lines are reported without a choice unless
    `null` is given.

    Parameters
    ----------
    effects, vi, level, **studies
        As in `egger`.
    null : float, optional
        Null effect on the model scale.
    alpha : float
        Level of the one-sided test of the rule.

    References
    ----------
    Stanley TD, Doucouliagos H (2014), doi:10.1002/jrsm.1095.

    Examples
    --------
    >>> both = pet_peese([0.2, 0.5, 0.3, 0.9, 0.8], [0.01, 0.04, 0.02, 0.09, 0.16])
    >>> round(both.pet.limit, 4), round(both.peese.limit, 4), both.selected
    (-0.0644, 0.1778, 'PET')
    """
    alpha = level_of(alpha, "alpha")
    refuse_unknown("pet_peese", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, level=level, **studies)
    keys = ["stanley2014"]
    pet = line_test(data, "PET", keys, "sei", "multiplicative", "t")
    peese = line_test(data, "PEESE", keys, "vi", "multiplicative", "t")
    cautions = pet.cautions
    chosen: str | None = None
    p: float | None = None
    value: float | None = None
    if null is None and data.proportions:
        cautions += (
            Caution(
                "no-null",
                "Single-group proportions have no null effect, so that the rule that chooses "
                "between PET and PEESE has no meaning; both are reported.",
            ),
        )
    elif pet.limit is not None and pet.intercept_se is not None and pet.df is not None:
        value = null_value(data, null)
        pooled = float(fit_inverse_variance(data.yi, data.vi, method="common").mu[0])
        side = 1.0 if pooled >= value else -1.0
        p = float(t_sf(side * (pet.limit - value) / pet.intercept_se, pet.df))
        chosen = "PEESE" if p < alpha else "PET"
    estimate = {"PET": pet.limit, "PEESE": peese.limit}.get(chosen or "")
    return PetPeese(
        k=data.k,
        pet=pet,
        peese=peese,
        null=value,
        p=p,
        selected=chosen,
        estimate_model=estimate,
        sentence=(
            "The effect without small-study effects was estimated in "
            f"{printing.studies(data.k)} by the intercepts of weighted regressions on "
            "the standard error (PET) and on the variance (PEESE)."
        ),
        references=references(*keys),
        cautions=cautions,
    )
