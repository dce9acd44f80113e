"""Pictures of results: each takes and returns axes, writes its alt text and keeps its table.

``show`` turns axes into a picture of the page, with the note (title, alt text, caption, table) that
each plot attaches to its axes. Matplotlib itself is imported when the first picture is drawn,
because that takes half a second.
"""

from ..subject import Subject
from .baujat_plot import baujat
from .bubble_plot import bubble
from .construction_plot import construction
from .coverage_range_plot import coverage_range
from .decision_flow_plot import decision_flow
from .drapery_plot import drapery
from .estimates_plot import estimates
from .forest.forest_plot import forest
from .forest.groups import subgroup_forest
from .forest.refits import cumulative_forest, leave_one_out_forest
from .funnel_plot import funnel
from .gosh_plot import gosh
from .icon_array_plot import icon_array
from .influence_panel_plot import influence_panel
from .leave_one_out_plot import leave_one_out_strip
from .lines_plot import lines
from .median_mean_plot import median_mean
from .note import Note, annotate
from .picture import Picture, show
from .posterior_plot import posterior
from .prediction_plot import prediction
from .profile_plot import profile
from .radial_plot import radial
from .ranking_plot import ranking
from .rejection_plot import rejection
from .shrinkage_plot import shrinkage
from .specification_curve_plot import specification_curve
from .specification_panels_plot import specification_panels
from .variance_curves_plot import variance_curves

__all__ = [
    "Note",
    "Picture",
    "Subject",
    "annotate",
    "baujat",
    "bubble",
    "construction",
    "coverage_range",
    "cumulative_forest",
    "decision_flow",
    "drapery",
    "estimates",
    "forest",
    "funnel",
    "gosh",
    "icon_array",
    "influence_panel",
    "leave_one_out_forest",
    "leave_one_out_strip",
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
    "specification_panels",
    "subgroup_forest",
    "variance_curves",
]
