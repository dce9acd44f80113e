"""The what-if with a slider, for pages where scripts run; without one, a fixed picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import printing
from ...views.interactive import Interactive
from .burden import Burden, prevented_deaths

if TYPE_CHECKING:
    from ...models.result import PoolResult

START = 0.25


def what_if(burden: Burden, nrm: PoolResult, *, name: str) -> Interactive:
    """Suppose that a part of the deaths from infection does not happen; the reader moves the part.

    Parameters
    ----------
    burden : Burden
        By the mean, of `infection_burden`.
    nrm : PoolResult
        Nonrelapse mortality of the same cohorts.
    name : str
        Id of its fixed picture.

    Examples
    --------
    >>> from helpers.review.causes import cause_rates
    >>> from helpers.review.prevention import infection_burden
    >>> whole = infection_burden()["all", "mean"]
    >>> made = what_if(whole, cause_rates(by="setting")["all"].nrm, name="what-if-picture")
    >>> made.data["start"], round(made.data["estimate"], 4)
    (0.25, 0.0379)
    """
    from .. import plots

    (quarter,) = prevented_deaths(burden, [START])
    others = nrm.mean_estimate - burden.estimate
    left, now = (printing.number(1000 * x, 0) for x in (quarter.left, burden.estimate))
    groups = {
        "died of infection": quarter.left,
        "prevented (assumed)": quarter.fewer,
        "died of other causes": others,
    }
    still = plots.show(
        plots.icon_array(groups, rest="alive, or had relapse or progression first"),
        name,
        title="What if a quarter of the deaths from infection were prevented?",
        caption=(
            f"If one in four deaths from infection were prevented, {left} of 1,000 would die of "
            f"infection instead of {now}. A what-if, not an effect of any prophylaxis."
        ),
    )
    data = {
        "start": START,
        "estimate": float(f"{burden.estimate:.10g}"),
        "ci": [float(f"{limit:.10g}") for limit in burden.ci],
        "all": float(f"{nrm.mean_estimate:.10g}"),
        "label": "Deaths from infection prevented (assumed)",
        "labels": {
            "left": "Of 1,000, would die of infection",
            "fewer": f"Fewer ({printing.level_text(burden.level)} CI)",
            "treated": "Treated per death prevented",
            "all": "Nonrelapse deaths of 1,000",
        },
        "legend": (
            "Bar: nonrelapse deaths. Filled: of infection; dashed: prevented; grey: of other "
            "causes. Arithmetic, not an effect of any prophylaxis; the intervals show how sure the "
            "number of deaths is, not whether prevention works."
        ),
    }
    return Interactive("whatif", "What if a part of these deaths were prevented?", still, data)
