r"""Groups of studies in one GLMM: a mean for each group, one between-study variance for all.

.. math:: x_i \mid u_i \sim f(\cdot \mid \mu_{g(i)} + \tau u_i), \qquad u_i \sim N(0, 1),

the GLMM of `helpers.engine.counts.fit` with an indicator of each group as design. Standard errors
come from the joint information in the means and tau, so that the means are slightly correlated
through the tau they share. The result of a group holds the joint fit as its `engine` and the share
of its studies in the log-likelihood as `loglik`; what would fit its studies again on their own is
refused (`helpers.engine.model.Model.require_own_variance`), since it would give the group a
variance of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..arguments import Array
from ..engine.counts.common import family_of, included_counts
from ..engine.counts.fit import fit_glmm
from ..engine.counts.inference import heterogeneity_tests
from ..engine.counts.kernel import gauss_hermite, study_terms
from ..engine.counts.studies import log_saturated
from ..engine.counts.weights import fitted_chunks, information_weights
from ..engine.effects import get_measure
from ..engine.options import Options
from ..engine.studies import StudyData
from ..engine.summaries import i2_and_h2
from .pooling import pooled_result, typical_variance
from .result import PoolResult

if TYPE_CHECKING:
    from ..engine.counts.fit import GLMMFit


def fit_joint_glmm(
    studies: StudyData,
    members: dict[str, NDArray[np.intp]],
    design: Array,
    options: Mapping[str, Options],
) -> dict[str, PoolResult]:
    """Fit one GLMM with a mean for each group and one between-study variance.

    `members` are the rows of each group, `design` their indicators, shape (rows, groups).
    """
    choices = next(iter(options.values()))
    family, points = family_of(get_measure(choices.measure).kind), choices.quad_points
    parts = {level: studies.take(rows) for level, rows in members.items()}
    keep = studies.included
    events, size = included_counts(studies)
    joint = fit_glmm(events, size, design[keep], family=family, quad_points=points)
    joint.raise_for_status()
    loglik = _study_loglik(joint)
    fits = {}
    for j, (level, part) in enumerate(parts.items()):
        inside = design[keep][:, j] > 0
        weights = information_weights(joint, j)[0][inside]
        fits[level] = _group(joint, j, part, weights, float(loglik[inside].sum()), options[level])
    return fits


def _study_loglik(joint: GLMMFit) -> Array:
    """Log-likelihood of each study at the joint maximum, shape (k,), with all constants."""
    (_, problem, eta, tau2), *_ = fitted_chunks(joint, joint.quad_points)
    s = problem.studies
    value = study_terms(s, eta, tau2, gauss_hermite(joint.quad_points)).value
    return (value + log_saturated(s.family, s.x, s.n))[0]


def _group(
    joint: GLMMFit, j: int, part: StudyData, weights: Array, loglik: float, options: Options
) -> PoolResult:
    """Put the joint estimates beside the counts of one group."""
    events, size = included_counts(part)
    tau2 = float(joint.tau2[0])
    options = replace(options.for_studies(part.k), tau2=tau2, tau2_source="shared")
    tests = heterogeneity_tests(fit_glmm(events, size, family=joint.family, quad_points=1))
    vt = typical_variance(part, options)
    i2, h2 = i2_and_h2(tau2, vt) if part.k > 1 else (0.0, 1.0)
    se = float(joint.se[0, j])
    return pooled_result(
        part,
        options,
        tau2,
        weights,
        converged=bool(joint.certified[0]),
        engine=joint,
        mu=float(joint.beta[0, j]),
        se=se,
        se_model=se,
        tau2_se=2.0 * float(joint.tau[0]) * float(joint.tau_se[0]) if tau2 > 0 else float("nan"),
        heterogeneity=tests.summary((i2, h2), vt, tau2=False),
        loglik=loglik,
        coefficient=j,
    )


def equal_means(mu: Array, cov: Array) -> Array:
    """Wald statistics that all means of a row are equal; means (R, G), covariances (R, G, G).

    >>> equal_means(np.array([[1.0, 3.0]]), np.eye(2)[None]).tolist()
    [2.0]
    """
    weight = np.linalg.inv(cov)
    total = weight.sum(axis=2)
    mean = (total * mu).sum(axis=1) / total.sum(axis=1)
    gap = mu - mean[:, None]
    return np.asarray(np.einsum("rg,rgh,rh->r", gap, weight, gap))
