"""What is of this book: published analyses, causes, corrections, claims, pictures and tables.

Everything here knows the cohorts of `data/`; nothing below imports it. Names load their module
when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..door import homes, lazy

if TYPE_CHECKING:
    from . import causes, interactive, plots, prevention, tables
    from .by_hand import five_cohorts
    from .claim_analyses import (
        CLAIMS,
        PUBLISHED,
        answerable,
        claim_multiverse,
        judge,
        multiverse_frame,
    )
    from .corrected_results import AS_PUBLISHED, EVERY, FACTS, correction_effects
    from .dependence import (
        SHARED,
        clusters,
        compare_dependence,
        contrast_sentences,
        dependence_frame,
        dependence_methods,
        sharing_frame,
    )
    from .findings import (
        RULES,
        findings_frame,
        judgements_frame,
        new_cohort,
        new_cohort_words,
        summary_of_findings,
    )
    from .moderator_tables import (
        regressions_table,
        subgroup_rows_table,
        subgroup_tests_table,
        variants_table,
    )
    from .moderators import (
        coefficient_variants,
        false_alarm,
        regression_overview,
        regression_variants,
        subgroup_rows,
        subgroup_tests,
    )
    from .needs import (
        require,
        require_published,
        require_published_groups,
        require_published_options,
    )
    from .published.models import (
        published_analyses,
        published_fits,
        published_permutation,
        published_regression,
        published_subgroup,
        regression_cohorts,
    )
    from .published.numbers import reproduction
    from .published.tests import egger_comparison, recomputed_tests
    from .published.verdicts import VERDICTS, claims, claims_frame
    from .since_then import (
        FORECAST_CHECKSUM,
        check_forecasts,
        checks_frame,
        forecast_coverage,
        forecasts_frame,
        frozen_forecasts,
        most_on_one_side,
        update_effects,
        updated_cohorts,
    )
    from .subject import SUBJECT, disease
    from .tables import evidence_as_of
    from .time_at_risk.contrast import (
        contrast_versions,
        follow_up_exponent,
        reported_against_crude,
        time_contrast,
    )
    from .time_at_risk.simulation import FollowUpScenario, simulate_person_time

HOMES = homes(
    {
        ".by_hand": "five_cohorts",
        ".claim_analyses": ("CLAIMS PUBLISHED answerable claim_multiverse judge multiverse_frame"),
        ".corrected_results": "AS_PUBLISHED EVERY FACTS correction_effects",
        ".dependence": (
            "SHARED clusters compare_dependence contrast_sentences dependence_frame "
            "dependence_methods sharing_frame"
        ),
        ".findings": (
            "RULES findings_frame judgements_frame new_cohort new_cohort_words summary_of_findings"
        ),
        ".moderator_tables": (
            "regressions_table subgroup_rows_table subgroup_tests_table variants_table"
        ),
        ".moderators": (
            "coefficient_variants false_alarm regression_overview "
            "regression_variants subgroup_rows subgroup_tests"
        ),
        ".needs": "require require_published require_published_groups require_published_options",
        ".published.models": (
            "published_analyses published_fits published_permutation published_regression "
            "published_subgroup regression_cohorts"
        ),
        ".published.numbers": "reproduction",
        ".published.tests": "egger_comparison recomputed_tests",
        ".published.verdicts": "VERDICTS claims claims_frame",
        ".since_then": (
            "FORECAST_CHECKSUM check_forecasts checks_frame forecast_coverage forecasts_frame "
            "frozen_forecasts most_on_one_side update_effects updated_cohorts"
        ),
        ".subject": "SUBJECT disease",
        ".tables": "evidence_as_of",
        ".time_at_risk.contrast": (
            "contrast_versions follow_up_exponent reported_against_crude time_contrast"
        ),
        ".time_at_risk.simulation": "FollowUpScenario simulate_person_time",
    }
)
ROOMS = {
    "causes": ".causes",
    "interactive": ".interactive",
    "plots": ".plots",
    "prevention": ".prevention",
    "tables": ".tables",
}

__all__ = sorted([*HOMES, *ROOMS])

__getattr__, __dir__ = lazy(__name__, HOMES, ROOMS)
