"""Pictures of results: each takes and returns axes, writes its alt text and keeps its table.

``show`` turns axes into a picture of the page. Matplotlib itself is imported when the first
picture is drawn, because that takes half a second.
"""

# Functions share their module's name: importing them here, at once, binds the name of the function
# for good. A lazy door would hand out the module instead after any `import helpers.plots.forest`.
from helpers.plots.forest import forest
from helpers.plots.icon_array import icon_array
from helpers.plots.overview import study_overview
from helpers.plots.picture import Note, Picture, annotate, show
from helpers.plots.subgroup_forest import subgroup_forest

__all__ = [
    "Note",
    "Picture",
    "annotate",
    "forest",
    "icon_array",
    "show",
    "study_overview",
    "subgroup_forest",
]
