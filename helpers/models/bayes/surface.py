r"""The log likelihood of all studies as polynomials in tau and mu, on patches of tau.

Between two values of tau with a ratio of two, the sum over the studies of
:math:`\log \int \mathrm{Bin}(x_i \mid \theta)\, N(\theta; \mu, \tau^2)\, d\theta` is a smooth
function of tau and of the coordinate s with :math:`\mu = c(\tau) + \sigma(\tau) \sinh(\kappa s) /
\kappa`, where c and sigma are mean and scale of mu if all studies were normal, and kappa bends the
axis where the likelihood has long tails. A Chebyshev polynomial through a few hundred exact values
then gives the sum at any pair (mu, tau), under any prior for tau.

How good a patch must be depends on the posterior probability that lies on it: `Surface.refine`
makes those anew whose error matters. Two errors are measured: the change when the degree is cut by
a quarter, and the change when the studies are integrated by the next better rule (at every second
node in each direction).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.polynomial import chebyshev

from ...arguments import AnyArray as Array
from ...engine.counts.studies import Studies
from ...errors import ConvergenceError
from .priors import MuPrior
from .study_integrals import RULES, SharedGrid, at_mode, integrate_studies, study_mode

DROP = 36.0  # a patch ends where the density of mu is exp(-36) of its peak
_CHUNK = 40_000  # terms of study integrals held at once: they fit the cache
_CELLS = 2_000_000  # entries of tables held at once
_SMALLEST = 1e-130  # likelihood of a study that a shared grid can say
#: Points of a grid that all studies share in the narrowest width of an integrand.
_SHARED = (1.3, 1.8, 2.6)
_FIRST_DEGREES = (4, 8)
_MOST_DEGREES = (48, 128)
_BEND = np.linspace(0.01, 2.0, 400)
_STRETCHED = np.sinh(_BEND * np.sqrt(2.0 * DROP)) / _BEND


@cache
def _nodes(degree: int) -> tuple[Array, Array]:
    """Extrema of a Chebyshev polynomial, ascending, and the matrix from values to coefficients."""
    x = -np.cos(np.pi * np.arange(degree + 1) / degree)
    return x, np.linalg.inv(chebyshev.chebvander(x, degree))


@dataclass(frozen=True, slots=True)
class Rows:
    """The log likelihood as a polynomial of s at given values of tau, shape (J,) each.

    `coefficients` has shape (J, M), Chebyshev polynomials on ``left <= s <= right``.
    """

    tau: Array
    centre: Array
    scale: Array
    bend: Array
    left: Array
    right: Array
    coefficients: Array

    def take(self, keep: Array) -> Rows:
        """Keep some values of tau."""
        return Rows(*(getattr(self, name)[keep] for name in self.__slots__))

    def less(self, coefficients: Array) -> Rows:
        """Take one study out, whose own `coefficients` are given.

        They may be more than those of the rows: a patch that another posterior of the same studies
        has refined since is on the same axes.
        """
        own = self.coefficients.shape[1]
        rest = np.zeros((self.tau.size, max(own, coefficients.shape[1])))
        rest[:, :own] = self.coefficients
        rest[:, : coefficients.shape[1]] -= coefficients
        return replace(self, coefficients=rest)

    def grid(self, points: int) -> tuple[Array, Array, Array]:
        """Values of mu, shape (J, points), their weights in an integral, and the log likelihood."""
        u = np.linspace(-1.0, 1.0, points)
        radius = 0.5 * (self.right - self.left)[:, None]
        s = self.left[:, None] + radius * (u + 1.0)
        bend = self.bend[:, None]
        mu = self.centre[:, None] + self.scale[:, None] * np.sinh(bend * s) / bend
        weight = self.scale[:, None] * np.cosh(bend * s) * radius * (u[1] - u[0])
        basis = chebyshev.chebvander(u, self.coefficients.shape[1] - 1)
        return mu, weight, self.coefficients @ basis.T

    def read(self, mu: Array) -> Array:
        """Log likelihood at `mu`, shape (J, N); -inf where it is negligible."""
        bend = self.bend[:, None]
        s = np.arcsinh(bend * (mu - self.centre[:, None]) / self.scale[:, None]) / bend
        left, right = self.left[:, None], self.right[:, None]
        u = (2.0 * s - left - right) / (right - left)
        value = chebyshev.chebval(
            np.clip(u, -1.0, 1.0), self.coefficients.T[:, :, None], tensor=False
        )
        return np.where(np.abs(u) <= 1.0, value, -np.inf)


@dataclass(frozen=True, slots=True)
class Patch:
    """The surface between two values of tau.

    `coefficients` are those of the log likelihood, shape (degree in tau + 1, degree in s + 1);
    `better` are the coefficients of what the next rule of `RULES` adds to it.
    """

    low: float
    high: float
    shift: float  # of the middle of the axis, in scales
    bend: float
    left: float
    right: float
    degrees: tuple[int, int]
    shared: bool  # whether `rule` counts in `_SHARED`, or in `RULES`
    rule: int
    coefficients: Array = field(repr=False)
    better: Array = field(repr=False)

    @property
    def pair(self) -> tuple[int, int]:
        """The rule and the next better one; the last rule is held against the one before it."""
        last = len(_SHARED if self.shared else RULES) - 1
        return (self.rule, self.rule + 1) if self.rule < last else (last, last - 1)

    def basis(self, tau: Array) -> Array:
        """Chebyshev polynomials at values of tau, shape (J, degree + 1)."""
        t = (2.0 * tau - self.low - self.high) / (self.high - self.low)
        return chebyshev.chebvander(np.clip(t, -1.0, 1.0), self.degrees[0])


@dataclass(slots=True)
class Surface:
    """Patches of one likelihood, made when they are first asked for."""

    studies: Studies
    mu_prior: MuPrior
    patches: dict[int, Patch] = field(default_factory=dict)

    @property
    def unit(self) -> float:
        """Upper end of the first patch, which begins at tau = 0."""
        return 0.25 / float(np.sqrt(self.studies.v_guess.max()))

    def which(self, tau: Array) -> Array:
        """Key of the patch that holds each tau."""
        exponent = np.frexp(tau / self.unit)[1]
        return np.maximum(exponent, 0)

    def normal(self, tau: Array) -> tuple[Array, Array]:
        """Mean and scale of mu given tau if every study were normal."""
        v = self.studies.v_guess
        prior = self.mu_prior.precision
        total, pulled = np.full(tau.shape, prior), np.full(tau.shape, prior * self.mu_prior.mean)
        for a in range(0, v.size, 4096):
            weight = 1.0 / (1.0 / v[a : a + 4096] + tau[..., None] ** 2)
            total = total + weight.sum(axis=-1)
            pulled = pulled + weight @ self.studies.t_guess[a : a + 4096]
        return pulled / total, 1.0 / np.sqrt(total)

    def _profile(self, tau: Array, mu: Array) -> tuple[Array, Array, Array]:
        """Concave stand-in for the log density of mu, its slope and information.

        The largest joint density over all study effects: enough for placing a grid.
        """
        prior = self.mu_prior.precision
        value = self.mu_prior.log_density(mu)
        slope = -prior * (mu - self.mu_prior.mean)
        information = np.full(mu.shape, prior)
        omega = tau[..., None] ** 2
        for a in range(0, self.studies.x.size, 4096):
            some = self.studies.take(np.arange(a, min(a + 4096, self.studies.x.size)))
            at = np.broadcast_to(mu[..., None], (*mu.shape, some.x.size))
            t = study_mode(some, at, omega)
            f, g, v = at_mode(some, t, mu[..., None], omega)
            value = value + (f - 0.5 * omega * g**2).sum(axis=-1)
            slope = slope + g.sum(axis=-1)
            information = information + (v / (1.0 + omega * v)).sum(axis=-1)
        return value, slope, information

    def span(self, tau: Array) -> tuple[float, float, float]:
        """Shift of the middle, and distances below and above it where the density is negligible.

        In units of `normal`'s scale; they hold at every `tau`, shape (T,).
        """
        centre, scale = self.normal(tau)
        middle = tau.size // 2
        shift = 0.0
        for _ in range(60):
            at = centre[middle] + shift * scale[middle]
            _, slope, information = self._profile(tau[[middle]], np.array([at]))
            step = float(slope[0] / information[0] / scale[middle])
            shift += float(np.clip(step, -4.0, 4.0))
            if abs(step) < 0.05:
                break
        top = self._profile(tau, centre + shift * scale)[0]
        ends = []
        for side in (-1.0, 1.0):
            distance = 4.0
            for _ in range(200):
                fall = top - self._profile(tau, centre + (shift + side * distance) * scale)[0]
                least = float(fall.min())
                if least >= DROP:
                    break
                distance *= float(np.clip(1.03 * np.sqrt(DROP / max(least, 1e-3)), 1.05, 3.0))
            else:
                raise ConvergenceError("the tails of mu given tau were not found")
            ends.append(distance)
        return shift, ends[0], ends[1]

    def _make(self, key: int, degrees: tuple[int, int], accuracy: float) -> Patch:
        """Make a patch with given degrees, by the first rule whose successor agrees with it."""
        high = float(np.ldexp(self.unit, key))
        low = 0.5 * high if key else 0.0
        if key in self.patches:
            patch = replace(self.patches[key], degrees=degrees)
        else:
            shift, below, above = self.span(np.array([low, 0.5 * (low + high), high]))
            bend = float(np.interp(max(below, above), _STRETCHED, _BEND))
            left, right = (float(np.arcsinh(bend * end) / bend) for end in (-below, above))
            none = np.empty((0, 0))
            shape = (shift, bend, left, right)
            patch = Patch(low, high, *shape, degrees, key > 0, 0, none, none)
        half = (degrees[0] // 2, degrees[1] // 2)
        while True:
            values = self._values(patch, degrees)
            now = values[::2, ::2]  # the nodes of half the degrees
            new = self._values(replace(patch, rule=patch.pair[1]), half)
            good = np.isfinite(now).all() and np.isfinite(new).all()
            last = len(_SHARED if patch.shared else RULES) - 1
            if good and (
                _largest(new, now) <= accuracy or (patch.rule == last and not patch.shared)
            ):
                break
            patch = (
                replace(patch, rule=patch.rule + 1)
                if good and patch.rule < last
                else replace(patch, rule=0, shared=False)
            )
        return replace(
            patch, coefficients=_transform(values, degrees), better=_transform(new - now, half)
        )

    def _pairs(self, patch: Patch, degrees: tuple[int, int]) -> tuple[Array, Array]:
        """Values of mu and tau at the nodes of a patch, shape (nodes,)."""
        t, s = (_nodes(degree)[0] for degree in degrees)
        tau = patch.low + 0.5 * (patch.high - patch.low) * (t + 1.0)
        tau[0] = max(tau[0], 1e-9 * patch.high)  # the surface is even in tau
        centre, scale = self.normal(tau)
        s = patch.left + 0.5 * (patch.right - patch.left) * (s + 1.0)
        stretched = np.sinh(patch.bend * s) / patch.bend
        mu = centre[:, None] + scale[:, None] * (patch.shift + stretched)
        return mu.ravel(), np.repeat(tau, s.size)

    def _values(
        self, patch: Patch, degrees: tuple[int, int], pairs: tuple[Array, Array] | None = None
    ) -> Array:
        """Log likelihood at the nodes of a patch; -inf where a shared grid cannot say it."""
        total = np.zeros((degrees[0] + 1) * (degrees[1] + 1))
        mu, tau = self._pairs(patch, degrees) if pairs is None else pairs
        for _, logs, _, _ in self._studies(patch, mu, tau, moments=False):
            total += logs.sum(axis=1)
        return total.reshape(degrees[0] + 1, degrees[1] + 1)

    def _studies(
        self, patch: Patch, mu: Array, tau: Array, *, moments: bool = True
    ) -> Iterator[tuple[Array, Array, Array, Array]]:
        """Yield groups of studies: which, their logs at N nodes, means and second moments.

        The moments are those about `t_guess`.
        """
        k = self.studies.x.size
        if not patch.shared:
            size = RULES[patch.rule][1]
            width = max(1, min(k, _CHUNK // (size * 16)))
            rows = max(1, _CHUNK // (size * width))
            for first in range(0, k, width):
                part = np.arange(first, min(k, first + width))
                some = self.studies.take(part)
                pieces = [
                    integrate_studies(
                        some, mu[a : a + rows, None], tau[a : a + rows, None], patch.rule
                    )
                    for a in range(0, mu.size, rows)
                ]
                logs, mean, variance = (np.concatenate(p) for p in zip(*pieces, strict=True))
                mean = mean - some.t_guess
                yield part, logs, mean, variance + mean**2
            return
        grid = SharedGrid.over(
            self.studies,
            (float(mu.min()), float(mu.max())),
            (patch.low, patch.high),
            _SHARED[patch.rule],
        )
        if not grid.theta.size:
            yield np.arange(k), np.full((mu.size, 1), -np.inf), mu, mu
            return
        kernel = grid.kernel(mu, tau)
        width = max(1, _CELLS // max(grid.theta.size, mu.size))
        for first in range(0, k, width):
            part = np.arange(first, min(k, first + width))
            some = self.studies.take(part)
            likelihood = grid.likelihoods(some)
            total = kernel @ likelihood
            with np.errstate(divide="ignore"):
                logs = np.where(total > _SMALLEST, np.log(total), -np.inf)
            mean = second = logs
            if moments:
                away = grid.theta[:, None] - some.t_guess
                mean = kernel @ (likelihood * away) / total
                second = kernel @ (likelihood * away**2) / total
            yield part, logs, mean, second

    def patch(self, key: int) -> Patch:
        """Return a patch; a new one is rough."""
        if key not in self.patches:
            self.patches[key] = self._make(key, _FIRST_DEGREES, np.inf)
        return self.patches[key]

    def refine(self, key: int, degrees: tuple[int, int], accuracy: float) -> None:
        """Make a patch anew: of given degrees, with the studies integrated to `accuracy`."""
        for degree, most, name in zip(degrees, _MOST_DEGREES, ("tau", "mu"), strict=True):
            if degree > most:
                raise ConvergenceError(
                    f"the likelihood as a function of {name} needs a polynomial of more than "
                    f"{most} degrees; a larger `tolerance` may be what is needed"
                )
        self.patches[key] = self._make(key, degrees, accuracy)

    # --- reading --------------------------------------------------------------------------------

    def rows(self, tau: Array, how: str = "full") -> Rows:
        """Read the surface at values of tau.

        `how` is "full"; "tau" or "mu" (that degree cut by a quarter) or "both"; or "better" (the
        studies by the next better rule).
        """
        keys = self.which(tau)
        patches = {int(key): self.patch(int(key)) for key in np.unique(keys)}
        most = max(patch.degrees[1] for patch in patches.values()) + 1
        coefficients = np.zeros((tau.size, most))
        shape = np.empty((4, tau.size))
        for key, patch in patches.items():
            here = keys == key
            basis = patch.basis(tau[here])
            table = patch.coefficients.copy()
            if how == "better":
                rows, columns = patch.better.shape
                table[:rows, :columns] += patch.better
            if how in ("tau", "both"):
                table[_cut(patch.degrees[0]) :] = 0.0
            if how in ("mu", "both"):
                table[:, _cut(patch.degrees[1]) :] = 0.0
            coefficients[here, : patch.degrees[1] + 1] = basis @ table
            shape[:, here] = np.array([[patch.shift], [patch.bend], [patch.left], [patch.right]])
        centre, scale = self.normal(tau)
        shift, bend, left, right = shape
        return Rows(tau, centre + shift * scale, scale, bend, left, right, coefficients)

    def one_study(self, study: int, tau: Array) -> Array:
        """Coefficients of the log likelihood of one study, as in `Rows`."""
        alone = replace(self, studies=self.studies.take(np.array([study])))
        found = []
        keys = self.which(tau)
        for key in np.unique(keys):
            patch = self.patch(int(key))
            values = alone._values(patch, patch.degrees, self._pairs(patch, patch.degrees))
            table = _transform(values, patch.degrees)
            found.append((keys == key, patch.basis(tau[keys == key]) @ table))
        out = np.zeros((tau.size, max(part.shape[1] for _, part in found)))
        for here, part in found:
            out[here, : part.shape[1]] = part
        return out

    def conditional_moments(self, tau: Array, mu: Array, share: Array) -> tuple[Array, Array]:
        """Mean and variance of the study effects at each tau, shape (J, k).

        `mu` are points of shape (J, L), and `share` their probabilities.
        """
        means, second = np.zeros((2, tau.size, self.studies.x.size))
        keys = self.which(tau)
        for key in np.unique(keys):
            rows = np.flatnonzero(keys == key)
            points, patch = mu[rows], self.patch(int(key))
            spread = np.repeat(tau[rows], points.shape[1])
            for part, _, mean, square in self._studies(patch, points.ravel(), spread):
                for out, values in ((means, mean), (second, square)):
                    table = values.reshape(*points.shape, part.size)
                    out[np.ix_(rows, part)] = np.einsum("jl,jlk->jk", share[rows], table)
        return means + self.studies.t_guess, second - means**2

    def study_moments(
        self, tau: Array, mass: Array, keep: Array, others: list[Array]
    ) -> tuple[Array, Array]:
        """Posterior means of the study effects under five distributions, (5, k), and variances.

        `mass`, shape (J, L), is the probability at each tau and each of L equidistant values of s;
        the variances are those under it. The `others`, on the rows `keep`: on half the rows; on
        half the points too; with the degrees cut; with the next better rule for the studies.
        """
        k = self.studies.x.size
        means, second = np.zeros((5, k)), np.zeros(k)
        keys = self.which(tau)
        for key in np.unique(keys):
            patch = self.patch(int(key))
            rows = keys == key
            if float(mass[rows].sum()) * max(1.0, patch.high) ** 2 < 1e-15:
                continue
            basis, at_half = patch.basis(tau[rows]), patch.basis(tau[keep[rows[keep]]])
            weights = [_node_weights(basis, mass[rows], patch.degrees)]
            weights += [
                _node_weights(at_half, other[rows[keep]], patch.degrees, cut=i == 2)
                for i, other in enumerate(others)
            ]
            mu, at = self._pairs(patch, patch.degrees)
            for part, _, mean, square in self._studies(patch, mu, at):
                means[:, part] += np.array(weights) @ mean
                second[part] += weights[0] @ square
            half = (patch.degrees[0] // 2, patch.degrees[1] // 2)
            weight = _node_weights(at_half[:, : half[0] + 1], others[3][rows[keep]], half)
            mu, at = self._pairs(patch, half)
            for sign, rule in zip((-1.0, 1.0), patch.pair, strict=True):
                for part, _, mean, _ in self._studies(replace(patch, rule=rule), mu, at):
                    means[4, part] += sign * (weight @ mean)
        variance = second - means[0] ** 2
        return means + self.studies.t_guess, variance


def _largest(new: Array, old: Array) -> float:
    """Largest change; it counts less where the likelihood is far below its peak."""
    height = np.exp(0.25 * (old - old.max(axis=1, keepdims=True)))
    return float((np.abs(new - old) * height).max())


def _cut(degree: int) -> int:
    return (3 * degree) // 4 + 1


def _transform(values: Array, degrees: tuple[int, int]) -> Array:
    """Chebyshev coefficients from values at the nodes, shape (tau, s)."""
    by_tau, by_s = (_nodes(degree)[1] for degree in degrees)
    out: Array = by_tau @ values.reshape(degrees[0] + 1, degrees[1] + 1) @ by_s.T
    return out


def _node_weights(
    basis: Array, mass: Array, degrees: tuple[int, int], *, cut: bool = False
) -> Array:
    """Weights of the values at the nodes in an expectation under `mass`, shape (nodes,)."""
    u = np.linspace(-1.0, 1.0, mass.shape[1])
    moments = basis.T @ mass @ chebyshev.chebvander(u, degrees[1])
    if cut:
        moments[_cut(degrees[0]) :] = 0.0
        moments[:, _cut(degrees[1]) :] = 0.0
    by_tau, by_s = (_nodes(degree)[1] for degree in degrees)
    out: Array = (by_tau.T @ moments @ by_s).ravel()
    return out
