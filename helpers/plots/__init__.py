"""Pictures of results: each takes and returns axes, writes its alt text and keeps its table.

``show`` turns axes into a picture of the page. Matplotlib itself is imported when the first
picture is drawn, because that takes half a second.
"""

# Functions share their module's name: importing them here, at once, binds the name of the function
# for good. A lazy door would hand out the module instead after any `import helpers.plots.forest`.
from helpers.plots.agreement import agreement
from helpers.plots.baujat import baujat
from helpers.plots.before_after import before_after
from helpers.plots.bubble import bubble
from helpers.plots.causes_heatmap import causes_heatmap
from helpers.plots.causes_shares import causes_shares
from helpers.plots.causes_stacked import causes_stacked
from helpers.plots.confounding import confounding
from helpers.plots.construction import construction
from helpers.plots.corrections import corrections
from helpers.plots.coverage_curve import coverage_curve
from helpers.plots.decision_flow import decision_flow
from helpers.plots.drapery import drapery
from helpers.plots.dumbbell import dumbbell
from helpers.plots.estimates import estimates
from helpers.plots.follow_up import follow_up
from helpers.plots.forest import forest
from helpers.plots.funnel import funnel
from helpers.plots.gosh import gosh
from helpers.plots.icon_array import icon_array
from helpers.plots.influence_panel import influence_panel
from helpers.plots.lines import lines
from helpers.plots.median_mean import median_mean
from helpers.plots.overview import study_overview
from helpers.plots.picture import Note, Picture, annotate, show
from helpers.plots.posterior import posterior
from helpers.plots.prediction import prediction
from helpers.plots.profile import profile
from helpers.plots.radial import radial
from helpers.plots.ranking import ranking
from helpers.plots.refit_forests import cumulative_forest, leave_one_out_forest
from helpers.plots.rejection import rejection
from helpers.plots.shrinkage import shrinkage
from helpers.plots.specification_curve import specification_curve
from helpers.plots.subgroup_forest import subgroup_forest
from helpers.plots.variance_curves import variance_curves

__all__ = [
    "Note",
    "Picture",
    "agreement",
    "annotate",
    "baujat",
    "before_after",
    "bubble",
    "causes_heatmap",
    "causes_shares",
    "causes_stacked",
    "confounding",
    "construction",
    "corrections",
    "coverage_curve",
    "cumulative_forest",
    "decision_flow",
    "drapery",
    "dumbbell",
    "estimates",
    "follow_up",
    "forest",
    "funnel",
    "gosh",
    "icon_array",
    "influence_panel",
    "leave_one_out_forest",
    "lines",
    "median_mean",
    "posterior",
    "prediction",
    "profile",
    "radial",
    "ranking",
    "rejection",
    "show",
    "shrinkage",
    "specification_curve",
    "study_overview",
    "subgroup_forest",
    "variance_curves",
]
