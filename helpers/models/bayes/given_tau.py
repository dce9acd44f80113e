"""Trace of the shrunken estimates: what the studies and their mean would be at each tau.

At tau = 0 every study is the mean; with a larger tau, each keeps more of itself. The posterior of
tau says which part of the trace counts (Röver, Rindskopf and Friede 2023,
doi:10.48550/arXiv.2306.17043).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ... import printing
from ...arguments import AnyArray as Array
from ...door import pd
from ...engine.effects import Measure, get_measure
from ...engine.shown import Row, Shown, limits_text, listed
from ...errors import ConvergenceError, MetaAnalysisError
from .binomial import BinomialLayer, BinomialModel
from .engine import Layer, Model

if TYPE_CHECKING:
    from .result import Posterior

_POINTS = 41
_REFINEMENTS = 12


@dataclass(frozen=True, slots=True, repr=False)
class Trace(Shown):
    """Posterior means and standard deviations given J values of tau, on the model scale."""

    tau: Array  # shape (J,), as are the next three
    density: Array  # posterior density of tau there
    mu: Array
    mu_sd: Array
    studies: Array  # true effects, shape (J, k)
    studies_sd: Array
    labels: tuple[str, ...]
    measure: Measure
    size: float

    def _said(self) -> Iterator[Row]:
        yield "τ", f"{printing.counted(len(self.tau), 'value')}, {limits_text(self.tau[[0, -1]])}"
        yield "studies", listed(self.labels)

    def frame(self) -> pd.DataFrame:
        """Table on the display scale: index "tau", column "mean" and one for each study."""
        values = self.measure.inverse(np.column_stack([self.mu, self.studies]), self.size)
        columns = pd.Index(["mean", *self.labels], name="study")
        return pd.DataFrame(values, index=pd.Index(self.tau, name="tau"), columns=columns)


def trace(post: Posterior, tau: ArrayLike | None = None) -> Trace:
    """Posterior means of all studies and of mu given tau.

    Default: 41 values from 0 to the point that tau exceeds with a probability of one in a hundred.

    >>> from helpers import posterior
    >>> post = posterior(yi=[-3.0, -2.0], vi=[0.1, 0.4], measure="logit")
    >>> print(trace(post, [0.0, 1.0]).frame().round(3).to_string(index_names=False))
          mean  Study 1  Study 2
    0.0  0.057    0.057    0.057
    1.0  0.072    0.049    0.103
    """
    at = np.linspace(0.0, post.tau.quantile(0.99), _POINTS) if tau is None else tau
    at = np.atleast_1d(np.asarray(at, dtype=float))
    if at.ndim != 1 or not (np.isfinite(at) & (at >= 0.0)).all():
        raise MetaAnalysisError(f"tau={tau!r}: expected finite numbers of at least 0")
    layer = _layer(post.model, at, post.tolerance)
    mean, variance = layer.studies_given_tau()
    return Trace(
        tau=at,
        density=np.asarray(post.tau.density(at)),
        mu=layer.mean,
        mu_sd=np.sqrt(layer.variance),
        studies=mean,
        studies_sd=np.sqrt(variance),
        labels=tuple(post.labels),
        measure=get_measure(post.measure),
        size=post._size,
    )


def _layer(model: Model, tau: Array, tolerance: float) -> Layer:
    """Evaluate the model at values of tau, on a surface that is good enough at each of them."""
    if not isinstance(model, BinomialModel):
        return model.layer(tau)
    for _ in range(_REFINEMENTS):
        layer: BinomialLayer = model.layer(tau, 2 * _POINTS - 1)
        if not layer.refine(np.ones(tau.size), tolerance):
            return layer
    raise ConvergenceError(f"the likelihood was not resolved to {tolerance:g} at these tau")
