"""Pictures that need this review: causes of death, corrections, agreement, follow-up."""

from .agreement_plot import agreement
from .before_after_plot import before_after
from .causes_heatmap_plot import causes_heatmap
from .causes_shares_plot import causes_shares
from .causes_stacked_plot import causes_stacked
from .confounding_plot import confounding
from .corrections_plot import corrections
from .follow_up_plot import follow_up
from .overview_plot import study_overview

__all__ = [
    "agreement",
    "before_after",
    "causes_heatmap",
    "causes_shares",
    "causes_stacked",
    "confounding",
    "corrections",
    "follow_up",
    "study_overview",
]
