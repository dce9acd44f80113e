"""Pictures in the words and colours of this review: its own, and every one of the toolkit."""

from ...views import plots as any_subject
from ...views.plots import (
    Note,
    Picture,
    decision_flow,
    drapery,
    estimates,
    lines,
    radial,
    specification_panels,
)
from ..subject import annotate, worded
from .before_after_plot import before_after
from .causes_heatmap_plot import causes_heatmap
from .causes_plot import causes_dots, causes_shares, rate_dots
from .cohorts_plot import follow_up, study_overview
from .confounding_plot import confounding
from .corrections_plot import corrections
from .later_reports_plot import later_reports
from .review_flow_plot import review_flow

baujat = worded(any_subject.baujat)
bubble = worded(any_subject.bubble)
construction = worded(any_subject.construction)
coverage_range = worded(any_subject.coverage_range)
cumulative_forest = worded(any_subject.cumulative_forest)
forest = worded(any_subject.forest)
funnel = worded(any_subject.funnel)
gosh = worded(any_subject.gosh)
icon_array = worded(any_subject.icon_array)
influence_panel = worded(any_subject.influence_panel)
leave_one_out_strip = worded(any_subject.leave_one_out_strip)
leave_one_out_forest = worded(any_subject.leave_one_out_forest)
median_mean = worded(any_subject.median_mean)
posterior = worded(any_subject.posterior)
prediction = worded(any_subject.prediction)
profile = worded(any_subject.profile)
ranking = worded(any_subject.ranking)
rejection = worded(any_subject.rejection)
show = worded(any_subject.show)
shrinkage = worded(any_subject.shrinkage)
specification_curve = worded(any_subject.specification_curve)
subgroup_forest = worded(any_subject.subgroup_forest)
variance_curves = worded(any_subject.variance_curves)

__all__ = [
    "Note",
    "Picture",
    "annotate",
    "baujat",
    "before_after",
    "bubble",
    "causes_dots",
    "causes_heatmap",
    "causes_shares",
    "confounding",
    "construction",
    "corrections",
    "coverage_range",
    "cumulative_forest",
    "decision_flow",
    "drapery",
    "estimates",
    "follow_up",
    "forest",
    "funnel",
    "gosh",
    "icon_array",
    "influence_panel",
    "later_reports",
    "leave_one_out_forest",
    "leave_one_out_strip",
    "lines",
    "median_mean",
    "posterior",
    "prediction",
    "profile",
    "radial",
    "ranking",
    "rate_dots",
    "rejection",
    "review_flow",
    "show",
    "shrinkage",
    "specification_curve",
    "specification_panels",
    "study_overview",
    "subgroup_forest",
    "variance_curves",
]
