"""Integrate a model over tau (and mu), refine until the stated error is met, make the marginals."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConvergenceError, MetaAnalysisError
from .binomial import BinomialLayer, BinomialModel
from .marginal import Line, Marginal
from .normal import NormalLayer, NormalModel
from .panels import PanelGrid, adapt
from .priors import Flat, TauPrior

Array = NDArray[Any]
Model = NormalModel | BinomialModel
Layer = NormalLayer | BinomialLayer

__all__ = ["ErrorBounds", "Layer", "Model", "Solution", "solve"]

_ROUNDS = 4
_MOST_POINTS = 321


@dataclass(frozen=True, slots=True)
class ErrorBounds:
    """How far the numbers of a posterior may be from the exact integrals.

    Each is the change when a grid is halved, added up over the grids of tau, of mu, and of the
    study effects (there: when the rule is made one step finer). That is an estimate, not an
    enclosure; as the rules converge geometrically, the error itself is usually far smaller.

    Attributes
    ----------
    log_marginal_likelihood : float
    mu, tau : float
        Largest change of mean and standard deviation.
    studies : float
        Largest change of a study's posterior mean.
    probabilities : float
        Largest change of *any* probability of mu, tau or a new study's effect (half the L1
        distance between densities).
    """

    log_marginal_likelihood: float
    mu: float
    tau: float
    studies: float
    probabilities: float

    @property
    def largest(self) -> float:
        """The largest of them."""
        return max(getattr(self, f.name) for f in fields(self))

    def __add__(self, other: ErrorBounds) -> ErrorBounds:
        return ErrorBounds(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Solution:
    """Everything that a posterior is made of."""

    model: Model
    layer: Layer
    weights: Array
    log_marginal_likelihood: float
    mu: Marginal
    tau: Marginal
    predictive: Marginal
    study_mean: Array
    study_sd: Array
    errors: ErrorBounds
    tail: float


@dataclass(frozen=True, slots=True)
class _Settings:
    grid: float
    study: float
    points: int
    first_rule: int
    panels: int


def tail_exponent(model: Model, prior: TauPrior) -> float:
    """Exponent a of the posterior's tail tau**-a, or an error if there is no posterior.

    Given mu, a study with an effect bounded on both sides contributes a factor 1/tau; a flat
    prior for mu takes one of them away.
    """
    flat = isinstance(model.mu_prior, Flat)
    if flat and isinstance(model, BinomialModel) and not model.informative:
        one_sided = bool((model.events == 0).all() or (model.events == model.n).all())
        if one_sided:
            raise MetaAnalysisError(
                "no study bounds mu from both sides (all have no events, or nothing but events): "
                "with a flat prior mu has no posterior; give a proper one, e.g. Normal(0, 4)"
            )
    tail = prior.tail + model.informative - flat
    if tail <= 1.0:
        raise MetaAnalysisError(
            f"tau has no proper posterior under a {prior.label} prior with a flat prior for mu "
            "and these studies; give mu a proper prior or tau a prior with lighter tails"
        )
    return tail


def solve(model: Model, prior: TauPrior, level: float, tolerance: float) -> Solution:
    """Integrate until every error bound is below `tolerance`.

    Raises
    ------
    MetaAnalysisError
        There is no proper posterior.
    ConvergenceError
        The tolerance was not reached; the message says which grid failed.
    """
    tail = tail_exponent(model, prior)
    # what a grid leaves out shows in the bounds, so that a first guess costs time at worst
    settings = _Settings(
        grid=0.1 * tolerance, study=1e-3 * tolerance, points=41, first_rule=0, panels=2
    )
    for _ in range(_ROUNDS):
        solution, parts = _attempt(model, prior, level, settings, tail)
        if solution.errors.largest <= tolerance:
            return solution
        bad = {name: part.largest > 0.25 * tolerance for name, part in parts.items()}
        settings = _Settings(
            grid=max(1e-12, settings.grid * (1e-1 if bad["tau"] else 1.0)),
            study=settings.study * (1e-3 if bad.get("study") else 1.0),
            points=min(_MOST_POINTS, 2 * settings.points - 1) if bad.get("mu") else settings.points,
            first_rule=settings.first_rule + int(bad.get("study", False)),
            panels=settings.panels * (2 if bad["tau"] else 1),
        )
    listed = ", ".join(f"{name} {part.largest:.1e}" for name, part in parts.items())
    raise ConvergenceError(
        f"the posterior was not integrated to {tolerance:g}; changes on the half grids: {listed}. "
        "A larger `tolerance`, or a prior for tau with lighter tails, may be what is needed"
    )


@dataclass(frozen=True, slots=True)
class _View:
    """A layer seen through a quadrature over tau."""

    layer: Layer
    rule: Array  # quadrature weight of each node
    extra: Array  # log prior and log slope of the substitution at each node
    tail: float

    @property
    def log_joint(self) -> Array:
        return self.layer.log_marginal + self.extra

    @property
    def log_total(self) -> float:
        top = float(self.log_joint.max())
        return top + float(np.log(self.rule @ np.exp(np.maximum(self.log_joint - top, -745.0))))

    @property
    def weights(self) -> Array:
        return self.rule * np.exp(np.maximum(self.log_joint - self.log_total, -745.0))

    def moments(self) -> dict[str, Any]:
        """Means and standard deviations; nan and inf where the tail allows none."""
        layer, w = self.layer, self.weights
        mean_exists, sd_exists = self.tail > 2.0, self.tail > 3.0
        proper_mu = self.layer.mu_is_normal_a_priori
        tau = float(w @ layer.tau) if mean_exists else np.inf
        mu_mean = mean_exists or proper_mu
        mu = float(w @ layer.mean) if mu_mean else np.nan
        between = w @ (layer.variance + (layer.mean - (mu if mu_mean else 0.0)) ** 2)
        new = between + w @ layer.tau**2
        study_mean = w @ layer.study_mean
        study_variance = w @ (layer.study_variance + (layer.study_mean - study_mean) ** 2)
        first, second = (layer.bounded_studies | ok for ok in (mean_exists, sd_exists))
        return {
            "tau": tau,
            "tau_sd": float(np.sqrt(w @ (layer.tau - tau) ** 2)) if sd_exists else np.inf,
            "mu": mu,
            "mu_sd": float(np.sqrt(between)) if sd_exists or proper_mu else np.inf,
            "new": mu if mean_exists else np.nan,
            "new_sd": float(np.sqrt(new)) if sd_exists else np.inf,
            "study_mean": np.where(first, study_mean, np.nan),
            "study_sd": np.where(second, np.sqrt(study_variance), np.inf),
        }

    def tau_density(self, nodes: Array | slice = slice(None)) -> Array:
        return np.exp(np.maximum(self.log_joint - self.log_total, -745.0))[nodes]


def _first_look(model: Model, prior: TauPrior) -> float:
    """Where the posterior of log(tau) has its peak, roughly."""
    scales = np.concatenate([model.tau_scales(), prior.median * np.geomspace(1e-3, 1e3, 61)])
    scales = scales[scales < prior.upper]
    log_density = model.rough_log_marginal(scales) + prior.log_density(scales) + np.log(scales)
    return float(scales[np.argmax(log_density)])


def _edges(panels: int, tail: float) -> Array:
    """First panels; under a power tail they shrink towards infinity until no mass is left."""
    edges = np.linspace(0.0, 1.0, panels + 1)
    if np.isinf(tail):
        return edges
    halvings = min(45, int(np.ceil(40.0 / (tail - 1.0))))
    return np.unique(np.concatenate([edges, 1.0 - 0.5 ** np.arange(1, halvings + 1)]))


def _attempt(
    model: Model, prior: TauPrior, level: float, settings: _Settings, tail: float
) -> tuple[Solution, dict[str, ErrorBounds]]:
    line = Line(0.0, _first_look(model, prior), half=True)
    upper = 1.0 if np.isinf(prior.upper) else float(line.y(np.asarray(prior.upper)))
    power = 2.0 if tail > 3.0 else 1.0 if tail > 2.0 else 0.0

    def rough(y: Array) -> Array:
        tau = line.x(y)
        return model.rough_log_marginal(tau) + prior.log_density(tau) + line.log_slope(y)

    grid = adapt(
        rough,
        upper * _edges(settings.panels, tail),
        tolerance=settings.grid,
        tail_tolerance=0.1 * settings.grid,
        emphasis=lambda y: 1.0 + (line.x(y) / line.scale) ** power,
    )
    y = grid.nodes
    tau = line.x(y)
    layer: Layer
    if isinstance(model, BinomialModel):
        share = grid.weights() * np.exp(grid.log_values.ravel() - grid.log_values.max())
        layer = model.layer(
            tau,
            share / share.sum(),
            tolerance=settings.study,
            points=settings.points,
            first_rule=settings.first_rule,
        )
    else:
        layer = model.layer(tau)
    view = _View(layer, grid.weights(), prior.log_density(tau) + line.log_slope(y), tail)
    found = view.moments()
    values = view.log_joint.reshape(grid.log_values.shape)
    best = int(np.argmax(view.weights))
    spread = float(layer.variance[best])
    weights = view.weights
    solution = Solution(
        model=model,
        layer=layer,
        weights=weights,
        log_marginal_likelihood=view.log_total,
        tau=Marginal.from_panels(
            "tau", PanelGrid(grid.edges, values), line, found["tau"], found["tau_sd"], level
        ),
        mu=Marginal.from_density(
            "mu",
            lambda x: layer.mu_density(x, weights),
            found["mu"],
            found["mu_sd"],
            level,
            centre=float(layer.mean[best]),
            scale=float(np.sqrt(spread)),
        ),
        predictive=Marginal.from_density(
            "new study",
            lambda x: layer.predictive_density(x, weights),
            found["new"],
            found["new_sd"],
            level,
            centre=float(layer.mean[best]),
            scale=float(np.sqrt(spread + layer.tau[best] ** 2)),
        ),
        study_mean=found["study_mean"],
        study_sd=found["study_sd"],
        errors=_NOTHING,
        tail=tail,
    )
    parts = _changes(solution, view, grid)
    total = sum(parts.values(), start=_NOTHING)
    leftover = max(m.mass_error for m in (solution.mu, solution.tau, solution.predictive))
    total += ErrorBounds(0.0, 0.0, 0.0, 0.0, leftover)
    return replace(solution, errors=total), parts


_NOTHING = ErrorBounds(0.0, 0.0, 0.0, 0.0, 0.0)


def _changes(solution: Solution, view: _View, grid: PanelGrid) -> dict[str, ErrorBounds]:
    """Find what changes when each grid in turn is halved."""
    half = grid.weights(half=True)
    keep = np.flatnonzero(half)
    sparse = _View(view.layer.take(keep), half[keep], view.extra[keep], view.tail)
    parts = {"tau": _change(solution, view, sparse, keep)}
    layer = sparse.layer
    if isinstance(layer, BinomialLayer):
        thin = replace(sparse, layer=layer.coarse())
        finer = replace(thin, layer=thin.layer.finer())  # type: ignore[union-attr]
        everything = np.arange(keep.size)
        parts["mu"] = _change(solution, sparse, thin, everything)
        parts["study"] = _change(solution, thin, finer, everything)
    return parts


def _change(solution: Solution, one: _View, two: _View, nodes: Array) -> ErrorBounds:
    """Difference between two views; `nodes` are those of the first that the second has too."""
    a, b = one.moments(), two.moments()
    distance = [float(0.5 * two.rule @ np.abs(one.tau_density(nodes) - two.tau_density()))]
    for marginal, name in (
        (solution.mu, "mu_density"),
        (solution.predictive, "predictive_density"),
    ):
        x, width = marginal.points()
        first = getattr(one.layer, name)(x, one.weights)
        second = getattr(two.layer, name)(x, two.weights)
        distance.append(float(0.5 * width @ np.abs(first - second)))

    def gap(*names: str) -> float:
        pairs = np.array([[a[n], b[n]] for n in names])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        return float(np.abs(pairs[:, 0] - pairs[:, 1]).max(initial=0.0))

    finite = np.isfinite(a["study_mean"])
    studies = np.abs(a["study_mean"][finite] - b["study_mean"][finite])
    return ErrorBounds(
        log_marginal_likelihood=abs(one.log_total - two.log_total),
        mu=gap("mu", "mu_sd", "new_sd"),
        tau=gap("tau", "tau_sd"),
        studies=float(studies.max(initial=0.0)),
        probabilities=max(distance),
    )
