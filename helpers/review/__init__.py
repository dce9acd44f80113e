"""What is of this book: published analyses, causes, corrections, claims, pictures and tables.

Everything here knows the cohorts of `data/`; nothing below imports it. Names load their module
when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..door import lazy

if TYPE_CHECKING:
    from . import causes, interactive, plots, prevention, tables
    from .by_hand import five_cohorts
    from .claim_analyses import (
        CLAIMS,
        HEADLINES,
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
    from .evidence_tables import evidence_as_of
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
        follow_up_fits,
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
    from .published.comparison import compare_pooled
    from .published.models import (
        published_analyses,
        published_fits,
        published_permutation,
        published_regression,
        published_subgroup,
        regression_cohorts,
    )
    from .published.numbers import reproduction
    from .published.tests import egger_comparison, recomputed_test, recomputed_tests
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
    from .time_at_risk.contrast import (
        contrast_versions,
        follow_up_exponent,
        time_contrast,
    )
    from .time_at_risk.paired import reported_against_crude
    from .time_at_risk.simulation import FollowUpScenario, simulate_person_time

HOMES = {
    "AS_PUBLISHED": ".corrected_results",
    "CLAIMS": ".claim_analyses",
    "EVERY": ".corrected_results",
    "FACTS": ".corrected_results",
    "FORECAST_CHECKSUM": ".since_then",
    "FollowUpScenario": ".time_at_risk.simulation",
    "HEADLINES": ".claim_analyses",
    "PUBLISHED": ".claim_analyses",
    "RULES": ".findings",
    "SHARED": ".dependence",
    "SUBJECT": ".subject",
    "VERDICTS": ".published.verdicts",
    "answerable": ".claim_analyses",
    "check_forecasts": ".since_then",
    "checks_frame": ".since_then",
    "claim_multiverse": ".claim_analyses",
    "claims": ".published.verdicts",
    "claims_frame": ".published.verdicts",
    "clusters": ".dependence",
    "coefficient_variants": ".moderators",
    "compare_dependence": ".dependence",
    "compare_pooled": ".published.comparison",
    "contrast_sentences": ".dependence",
    "contrast_versions": ".time_at_risk.contrast",
    "correction_effects": ".corrected_results",
    "dependence_frame": ".dependence",
    "dependence_methods": ".dependence",
    "disease": ".subject",
    "egger_comparison": ".published.tests",
    "evidence_as_of": ".evidence_tables",
    "false_alarm": ".moderators",
    "findings_frame": ".findings",
    "five_cohorts": ".by_hand",
    "follow_up_exponent": ".time_at_risk.contrast",
    "follow_up_fits": ".moderators",
    "forecast_coverage": ".since_then",
    "forecasts_frame": ".since_then",
    "frozen_forecasts": ".since_then",
    "judge": ".claim_analyses",
    "judgements_frame": ".findings",
    "most_on_one_side": ".since_then",
    "multiverse_frame": ".claim_analyses",
    "new_cohort": ".findings",
    "new_cohort_words": ".findings",
    "published_analyses": ".published.models",
    "published_fits": ".published.models",
    "published_permutation": ".published.models",
    "published_regression": ".published.models",
    "published_subgroup": ".published.models",
    "recomputed_test": ".published.tests",
    "recomputed_tests": ".published.tests",
    "regression_cohorts": ".published.models",
    "regression_overview": ".moderators",
    "regression_variants": ".moderators",
    "regressions_table": ".moderator_tables",
    "reported_against_crude": ".time_at_risk.paired",
    "require": ".needs",
    "require_published": ".needs",
    "require_published_groups": ".needs",
    "require_published_options": ".needs",
    "reproduction": ".published.numbers",
    "sharing_frame": ".dependence",
    "simulate_person_time": ".time_at_risk.simulation",
    "subgroup_rows": ".moderators",
    "subgroup_rows_table": ".moderator_tables",
    "subgroup_tests": ".moderators",
    "subgroup_tests_table": ".moderator_tables",
    "summary_of_findings": ".findings",
    "time_contrast": ".time_at_risk.contrast",
    "update_effects": ".since_then",
    "updated_cohorts": ".since_then",
    "variants_table": ".moderator_tables",
}
ROOMS = {
    "causes": ".causes",
    "interactive": ".interactive",
    "plots": ".plots",
    "prevention": ".prevention",
    "tables": ".tables",
}

__all__ = [
    "AS_PUBLISHED",
    "CLAIMS",
    "EVERY",
    "FACTS",
    "FORECAST_CHECKSUM",
    "HEADLINES",
    "PUBLISHED",
    "RULES",
    "SHARED",
    "SUBJECT",
    "VERDICTS",
    "FollowUpScenario",
    "answerable",
    "causes",
    "check_forecasts",
    "checks_frame",
    "claim_multiverse",
    "claims",
    "claims_frame",
    "clusters",
    "coefficient_variants",
    "compare_dependence",
    "compare_pooled",
    "contrast_sentences",
    "contrast_versions",
    "correction_effects",
    "dependence_frame",
    "dependence_methods",
    "disease",
    "egger_comparison",
    "evidence_as_of",
    "false_alarm",
    "findings_frame",
    "five_cohorts",
    "follow_up_exponent",
    "follow_up_fits",
    "forecast_coverage",
    "forecasts_frame",
    "frozen_forecasts",
    "interactive",
    "judge",
    "judgements_frame",
    "most_on_one_side",
    "multiverse_frame",
    "new_cohort",
    "new_cohort_words",
    "plots",
    "prevention",
    "published_analyses",
    "published_fits",
    "published_permutation",
    "published_regression",
    "published_subgroup",
    "recomputed_test",
    "recomputed_tests",
    "regression_cohorts",
    "regression_overview",
    "regression_variants",
    "regressions_table",
    "reported_against_crude",
    "reproduction",
    "require",
    "require_published",
    "require_published_groups",
    "require_published_options",
    "sharing_frame",
    "simulate_person_time",
    "subgroup_rows",
    "subgroup_rows_table",
    "subgroup_tests",
    "subgroup_tests_table",
    "summary_of_findings",
    "tables",
    "time_contrast",
    "update_effects",
    "updated_cohorts",
    "variants_table",
]

__getattr__, __dir__ = lazy(__name__, HOMES, ROOMS)
