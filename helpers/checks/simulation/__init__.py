"""Simulation: how the methods do where the truth is known.

Aim: which interval, estimator and test earns to be the default. Data: `Scenario` and `simulate`.
Estimands: the mean and the variance of the true logits, and the true logit of a new study.
Methods: all of `helpers.models.pooling`, on the logit scale. Performance: coverage, width, bias,
root mean squared error and rejection rates with Monte Carlo standard errors. Reporting follows
Morris, White and Crowther 2019, doi:10.1002/sim.8086.
"""

from .study import SimulationResult, combine, coverage
from .truth import FAMILIES, Sample, Scenario, beta_shapes, simulate

__all__ = [
    "FAMILIES",
    "Sample",
    "Scenario",
    "SimulationResult",
    "beta_shapes",
    "combine",
    "coverage",
    "simulate",
]
