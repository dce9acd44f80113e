"""Integrate a model over tau (and mu), refine until the stated error is met, make the marginals."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ...arguments import AnyArray as Array
from ...engine.shown import Shown
from ...errors import ConvergenceError, MetaAnalysisError
from .binomial import BinomialLayer, BinomialModel
from .marginal import Line, Marginal
from .normal import NormalLayer, NormalModel
from .panels import PanelGrid, adapt
from .priors import Flat, TauPrior

Model = NormalModel | BinomialModel
Layer = NormalLayer | BinomialLayer

_ROUNDS = 4
_REFINEMENTS = 12
_SHARE = 0.02  # of the tolerance, for each patch of the surface and each kind of error
_MOST_POINTS = 321


@dataclass(frozen=True, slots=True, repr=False)
class ErrorBounds(Shown):
    """How far the numbers of a posterior may be from the exact integrals.

    Each is the change when a grid is halved, added up over the grids of tau, of mu, and of the
    study effects (there: when the rule is made one step finer). That is an estimate, not an
    enclosure; as the rules converge geometrically, the error itself is usually far smaller.
    """

    log_marginal_likelihood: float
    #: Largest change of mean and standard deviation
    mu: float
    tau: float
    studies: float  # Largest change of a study's posterior mean
    #: Largest change of *any* probability of mu, tau or a new study's effect (half the L1 distance
    #: between densities)
    probabilities: float

    @property
    def largest(self) -> float:
        """The largest of them."""
        return max(getattr(self, f.name) for f in fields(self))

    def __add__(self, other: ErrorBounds) -> ErrorBounds:
        return ErrorBounds(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class PosteriorSolution:
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
    points: int
    panels: int


def tail_exponent(model: Model, prior: TauPrior) -> float:
    """Exponent a of the posterior's tail tau**-a, or an error if there is no posterior.

    Given mu, a study with an effect bounded on both sides contributes a factor 1/tau; a flat
    prior for mu takes one of them away.
    """
    flat = isinstance(model.mu_prior, Flat)
    bounded = int(model.bounded.sum())
    if flat and isinstance(model, BinomialModel) and not bounded:
        one_sided = bool((model.events == 0).all() or (model.events == model.n).all())
        if one_sided:
            raise MetaAnalysisError(
                "no study bounds mu from both sides (all have no events, or nothing but events): "
                "with a flat prior mu has no posterior; give a proper one, e.g. Normal(0, 4)"
            )
    tail = prior.tail + bounded - flat
    if tail <= 1.0:
        raise MetaAnalysisError(
            f"tau has no proper posterior under a {prior.label} prior with a flat prior for mu "
            "and these studies; give mu a proper prior or tau a prior with lighter tails"
        )
    return tail


def solve(model: Model, prior: TauPrior, level: float, tolerance: float) -> PosteriorSolution:
    """Integrate until every error bound is below `tolerance`; an error where that fails."""
    tail = tail_exponent(model, prior)
    line = Line(0.0, _first_look(model, prior), half=True)
    # what a grid leaves out shows in the bounds, so that a first guess costs time at worst
    settings = _Settings(grid=0.1 * tolerance, points=41, panels=2)
    for _ in range(_ROUNDS):
        grid, view = _integrate(model, prior, line, settings, tail, tolerance)
        solution, parts = _summarise(model, line, grid, view, level)
        if solution.errors.largest <= tolerance:
            return solution
        bad = {name: part.largest > 0.25 * tolerance for name, part in parts.items()}
        settings = _Settings(
            grid=max(1e-12, settings.grid * (1e-1 if bad["tau"] else 1.0)),
            points=min(_MOST_POINTS, view.points * 2 - 1) if bad.get("mu") else view.points,
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
    half: Array  # the same of the half grid, zero at every other node
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

    def moments(self) -> dict[str, float]:
        """Means and standard deviations; nan and inf where the tail allows none."""
        layer, w = self.layer, self.weights
        mean_exists, sd_exists = self.tail > 2.0, self.tail > 3.0
        proper_mu = layer.model.mu_prior.precision > 0.0
        tau = float(w @ layer.tau) if mean_exists else np.inf
        mu_mean = mean_exists or proper_mu
        mu = float(w @ layer.mean) if mu_mean else np.nan
        between = w @ (layer.variance + (layer.mean - (mu if mu_mean else 0.0)) ** 2)
        new = between + w @ layer.tau**2
        return {
            "tau": tau,
            "tau_sd": float(np.sqrt(w @ (layer.tau - tau) ** 2)) if sd_exists else np.inf,
            "mu": mu,
            "mu_sd": float(np.sqrt(between)) if sd_exists or proper_mu else np.inf,
            "new": mu if mean_exists else np.nan,
            "new_sd": float(np.sqrt(new)) if sd_exists else np.inf,
        }

    @property
    def points(self) -> int:
        """Points of mu for every tau (where there is a grid)."""
        return 41 if isinstance(self.layer, NormalLayer) else self.layer.mu.shape[1]

    def tau_density(self, nodes: Array | slice = slice(None)) -> Array:
        return np.exp(np.maximum(self.log_joint - self.log_total, -745.0))[nodes]


def _first_look(model: Model, prior: TauPrior) -> float:
    """Where the posterior of log(tau) has its peak, roughly: as if the studies were normal."""
    if isinstance(model, BinomialModel):
        studies = model.studies
        normal = NormalModel(studies.t_guess, 1.0 / studies.v_guess, model.mu_prior)
    else:
        normal = model
    scales = np.concatenate([normal.tau_scales(), prior.median * np.geomspace(1e-3, 1e3, 61)])
    scales = scales[scales < prior.upper]
    log_density = normal.layer(scales).log_marginal + prior.log_density(scales) + np.log(scales)
    return float(scales[np.argmax(log_density)])


def _edges(panels: int, tail: float) -> Array:
    """First panels; under a power tail they shrink towards infinity until no mass is left."""
    edges = np.linspace(0.0, 1.0, panels + 1)
    if np.isinf(tail):
        return edges
    halvings = min(45, int(np.ceil(40.0 / (tail - 1.0))))
    return np.unique(np.concatenate([edges, 1.0 - 0.5 ** np.arange(1, halvings + 1)]))


def _integrate(
    model: Model, prior: TauPrior, line: Line, settings: _Settings, tail: float, tolerance: float
) -> tuple[PanelGrid, _View]:
    """Find panels that resolve the posterior of tau, on a surface that is good enough there."""
    upper = 1.0 if np.isinf(prior.upper) else float(line.y(np.asarray(prior.upper)))
    power = 2.0 if tail > 3.0 else 1.0 if tail > 2.0 else 0.0

    def layer_at(tau: Array) -> Layer:
        if isinstance(model, BinomialModel):
            return model.layer(tau, points)
        return model.layer(tau)

    def extra(y: Array) -> Array:
        return prior.log_density(line.x(y)) + line.log_slope(y)

    def emphasis(y: Array) -> Array:
        return 1.0 + (line.x(y) / line.scale) ** power

    def log_joint(y: Array) -> Array:
        tau, known = line.x(y), extra(y)
        worth = known + model.highest_log_marginal(tau) > least
        out = np.full(y.shape, -np.inf)
        if worth.any():
            out[worth] = known[worth] + layer_at(tau[worth]).log_marginal
        return out

    points = settings.points
    for _ in range(_REFINEMENTS):
        middle = line.y(np.array([line.scale]))
        least = float((layer_at(line.x(middle)).log_marginal + extra(middle))[0]) - 80.0
        grid = adapt(
            log_joint,
            upper * _edges(settings.panels, tail),
            tolerance=settings.grid,
            tail_tolerance=0.1 * settings.grid,
            emphasis=emphasis,
        )
        y, weights, half = grid.nodes, grid.weights(), grid.weights(half=True)
        mass = weights * np.exp(grid.log_values.ravel() - grid.log_values.max())
        keep = np.flatnonzero(mass * emphasis(y) > 1e-6 * tolerance * mass.sum())
        layer = layer_at(line.x(y[keep]))
        view = _View(layer, weights[keep], half[keep], extra(y[keep]), tail)
        if isinstance(layer, NormalLayer):
            return grid, view
        shares = view.weights * emphasis(y[keep])
        if layer.refine(shares, _SHARE * tolerance):
            continue
        change = np.abs(layer.coarse().log_marginal - layer.log_marginal)
        if points >= _MOST_POINTS or float(shares @ change) < 0.1 * tolerance:
            return grid, view
        points = 2 * points - 1
    raise ConvergenceError(
        f"the likelihood was not resolved to {tolerance:g}; a larger `tolerance` may be what is "
        "needed"
    )


def _summarise(
    model: Model, line: Line, grid: PanelGrid, view: _View, level: float
) -> tuple[PosteriorSolution, dict[str, ErrorBounds]]:
    layer, weights, found = view.layer, view.weights, view.moments()
    best = int(np.argmax(weights))
    spread = float(layer.variance[best])
    marginals = {
        "mu": Marginal.from_density(
            "mu",
            lambda x: layer.mu_density(x, weights),
            found["mu"],
            found["mu_sd"],
            level,
            centre=float(layer.mean[best]),
            scale=float(np.sqrt(spread)),
        ),
        "tau": Marginal.from_panels("tau", grid, line, found["tau"], found["tau_sd"], level),
        "predictive": Marginal.from_density(
            "new study",
            lambda x: layer.predictive_density(x, weights),
            found["new"],
            found["new_sd"],
            level,
            centre=float(layer.mean[best]),
            scale=float(np.sqrt(spread + layer.tau[best] ** 2)),
        ),
    }
    parts, study_mean, study_variance = _changes(marginals, view)
    total = sum(parts.values(), start=_NOTHING)
    leftover = max(marginal.mass_error for marginal in marginals.values())
    first, second = (model.bounded | (view.tail > power) for power in (2.0, 3.0))
    solution = PosteriorSolution(
        model=model,
        layer=layer,
        weights=weights,
        log_marginal_likelihood=view.log_total,
        **marginals,
        study_mean=np.where(first, study_mean, np.nan),
        study_sd=np.where(second, np.sqrt(study_variance), np.inf),
        errors=total + replace(_NOTHING, probabilities=leftover),
        tail=view.tail,
    )
    return solution, parts


_NOTHING = ErrorBounds(0.0, 0.0, 0.0, 0.0, 0.0)


def _changes(
    marginals: dict[str, Marginal], view: _View
) -> tuple[dict[str, ErrorBounds], Array, Array]:
    """Find what changes when each grid in turn is halved; study means and variances besides."""
    layer, keep = view.layer, np.flatnonzero(view.half)
    sparse = replace(view, layer=layer.take(keep), rule=view.half[keep], extra=view.extra[keep])
    places = [(name, *marginals[name].points()) for name in ("mu", "predictive")]

    def apart(one: list[Array], two: list[Array]) -> float:
        pairs = zip(places, one, two, strict=True)
        return max(float(0.5 * width @ np.abs(a - b)) for (_, _, width), a, b in pairs)

    def densities(v: _View) -> list[Array]:
        return [getattr(v.layer, f"{name}_density")(x, v.weights) for name, x, _ in places]

    at_full = [np.asarray(marginals[name].density(x)) for name, x, _ in places]
    at_half = densities(sparse)
    of_tau = float(0.5 * sparse.rule @ np.abs(view.tau_density(keep) - sparse.tau_density()))
    parts = {"tau": _change(view, sparse, max(of_tau, apart(at_full, at_half)))}
    mean_exists = layer.model.bounded | (view.tail > 2.0)

    def with_studies(name: str, change: Array) -> None:
        largest = float(np.abs(change[mean_exists]).max(initial=0.0))
        parts[name] = replace(parts[name], studies=largest)

    if isinstance(layer, NormalLayer):
        mean, variance = layer.study_moments(view.weights)
        with_studies("tau", mean - layer.take(keep).study_moments(sparse.weights)[0])
        return parts, mean, variance
    layers = [layer.take(keep)]
    layers.append(layers[0].coarse())
    layers += [layers[1].reread(how) for how in ("both", "better")]
    views = [replace(sparse, layer=one) for one in layers]
    masses = [v.weights[:, None] * one.share for v, one in zip(views, layers, strict=True)]
    _, thin, cut, better = views
    parts["mu"] = _change(sparse, thin, apart(at_half, densities(thin)))
    for name, other, mass in (("surface", cut, masses[2]), ("study", better, masses[3])):
        # the same nodes: the distance of the joint distributions bounds that of every marginal
        parts[name] = _change(thin, other, 0.5 * float(np.abs(masses[1] - mass).sum()))
    means, variance = layer.study_moments(view.weights[:, None] * layer.share, keep, masses)
    for name, one, two in (("tau", 0, 1), ("mu", 1, 2), ("surface", 2, 3), ("study", 2, 4)):
        with_studies(name, np.abs(means[one] - means[two]))
    return parts, means[0], variance


def _change(one: _View, two: _View, probabilities: float) -> ErrorBounds:
    """Difference between the numbers of two views."""
    a, b = one.moments(), two.moments()

    def gap(*names: str) -> float:
        pairs = np.array([[a[n], b[n]] for n in names])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        return float(np.abs(pairs[:, 0] - pairs[:, 1]).max(initial=0.0))

    return ErrorBounds(
        log_marginal_likelihood=abs(one.log_total - two.log_total),
        mu=gap("mu", "mu_sd", "new_sd"),
        tau=gap("tau", "tau_sd"),
        studies=0.0,
        probabilities=probabilities,
    )
