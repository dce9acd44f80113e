"""Distribution of a positive combination of chi-squared variables with one degree of freedom.

P(sum of lambda_i chi2_1 > q) is a contour integral of exp(K(s) - s q)/s with the cumulant
generating function K(s) = -1/2 sum log(1 - 2 lambda_i s). The path is a parabola through the
saddle point that bends around the branch cut, on which the trapezoidal rule converges
exponentially (Rice 1980, doi:10.1137/0901032). Each tail is computed directly, so that small
probabilities keep their relative accuracy.

Of a generalised Q = sum a_i (y_i - mean_a)^2 the lambda_i are the eigenvalues of a diagonal matrix
of d_i = a_i (v_i + tau2) less one of rank one (Jackson 2013, doi:10.1002/jrsm.1081; Biggerstaff and
Jackson 2008, doi:10.1002/sim.3428). They are not needed: with p_i = a_i / sum(a) the determinant
lemma gives

    prod (1 - 2 lambda_i s) = prod (1 - 2 d_i s) sum p_i / (1 - 2 d_i s),

so that k studies cost k steps, not k^3. The largest d is multiplied out, because the nearest
lambda lies below it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import Array

_STEP = 1.0 / 24.0
_NODES = np.arange(0.5 * _STEP, 6.0, _STEP)
#: Midpoint rules whose nodes contain one another: every ninth node, every third, all of them.
_LEVELS = (np.arange(4, 144, 9), np.arange(1, 144, 3), np.arange(144))
_CELLS = 30_000  # complex numbers held at once


class _Form(NamedTuple):
    """Coefficients of R quadratic forms; `top` and `share` describe what is multiplied out.

    K(s) = -1/2 sum log(1 - 2 d s) - 1/2 log h(s), h(s) = share_top + (1 - 2 top s) sum share /
    (1 - 2 d s).
    """

    d: Array  # (R, k)
    share: Array  # (R, k)
    top: Array  # (R,)
    share_top: Array  # (R,)

    def rows(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> _Form:
        return _Form(self.d[index], self.share[index], self.top[index], self.share_top[index])

    def scaled(self, by: Array) -> _Form:
        return self._replace(d=self.d / by[:, None], top=self.top / by)

    @property
    def trace(self) -> Array:
        """Sum of the lambdas."""
        return self.top * self.share.sum(axis=1) + (self.d * (1.0 - self.share)).sum(axis=1)

    def slopes(self, s: Array) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
        """First three derivatives of K at real `s` (R,), and whether `s` is below every pole."""
        r = 1.0 / (1.0 - 2.0 * self.d * s[:, None])
        e = self.d * r
        first, second = e.sum(axis=1), 2.0 * (e * e).sum(axis=1)
        third = 8.0 * (e * e * e).sum(axis=1)
        f = self.share * r
        f0, f1 = f.sum(axis=1), 2.0 * (f * e).sum(axis=1)
        f2, f3 = 8.0 * (f * e * e).sum(axis=1), 48.0 * (f * e * e * e).sum(axis=1)
        top, rest = self.top, 1.0 - 2.0 * self.top * s
        h = self.share_top + rest * f0
        inside = h > 0
        h = np.where(inside, h, 1.0)
        h1 = (rest * f1 - 2.0 * top * f0) / h
        h2 = (rest * f2 - 4.0 * top * f1) / h
        h3 = (rest * f3 - 6.0 * top * f2) / h
        return (
            first - 0.5 * h1,
            second - 0.5 * (h2 - h1 * h1),
            third - 0.5 * (h3 - 3.0 * h1 * h2 + 2.0 * h1**3),
            inside,
        )

    def cumulant(self, s: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """K at complex `s`, shape (R, nodes), above the real axis."""
        # in real numbers: twice as quick as NumPy's complex logarithm
        twice = 2.0 * self.d[:, None, :]
        x, y = 1.0 - twice * s.real[..., None], twice * s.imag[..., None]
        square = x * x + y * y
        real, angle = 0.5 * np.log(square).sum(axis=-1), np.arctan2(y, x).sum(axis=-1)
        f = self.share[:, None, :] / square
        sums = np.vecdot(f, x) + 1j * np.vecdot(f, y)
        h = self.share_top[:, None] + (1.0 - 2.0 * self.top[:, None] * s) * sums
        return np.asarray(-0.5 * (real - 1j * angle + np.log(h)))


def _saddle(form: _Form, q: Array, upper: bool) -> Array:
    """Saddle point of K(s) - s q - log|s| on the real axis, by Newton steps in a bracket."""
    if upper:
        low, high = np.zeros(q.shape), 0.5 / form.d.max(axis=1) * (1.0 - 1e-15)
    else:
        # K'(s) is at most sum(lambda) there, so that q > K'(s) - 1/s bounds the root.
        low, high = -1.01 * (1.0 + 0.5 * form.d.shape[1]) / q, np.full(q.shape, -0.0)
    s = 0.5 * (low + high)
    for _ in range(100):
        first, second, _, inside = form.slopes(s)
        excess = first - 1.0 / s - q
        above = (excess > 0) | ~inside
        high, low = np.where(above, s, high), np.where(above, low, s)
        step = s - excess / np.where(inside, second + 1.0 / s**2, 1.0)
        new = np.where(inside & (step > low) & (step < high), step, 0.5 * (low + high))
        # any point near it serves: the integral does not depend on the path
        near = inside & (np.abs(new - s) <= 1e-6 * np.abs(s))
        s = np.where(inside, np.where(near, s, new), new)
        if near.all():
            break
    return s


def _tail(form: _Form, q: Array, upper: bool) -> Array:
    size = max(1, _CELLS // (len(_LEVELS[0]) * form.d.shape[1]))
    parts = [
        _tail_rows(form.rows(np.arange(i, min(i + size, len(q)))), q[i : i + size], upper)
        for i in range(0, len(q), size)
    ]
    return np.concatenate(parts)


def _tail_rows(form: _Form, q: Array, upper: bool) -> Array:
    c = _saddle(form, q, upper)
    _, second, third, _ = form.slopes(c)
    second, third = second + 1.0 / c**2, third - 2.0 / c**3
    width = 1.0 / np.sqrt(second)
    bend = np.maximum(third / (6.0 * second), 0.25 / (q * width) * 0.1 / width)

    def values(rows: NDArray[np.intp], nodes: NDArray[np.intp]) -> Array:
        """Give what each node contributes, by the step."""
        part, u = form.rows(rows), _NODES[nodes]
        y = width[rows, None] * np.sinh(u)
        dy = width[rows, None] * np.cosh(u)
        s = c[rows, None] + bend[rows, None] * y**2 + 1j * y
        few = max(1, _CELLS // (len(rows) * form.d.shape[1]))
        pieces = [part.cumulant(s[:, i : i + few]) for i in range(0, len(u), few)]
        exponent = np.concatenate(pieces, axis=1) - s * q[rows, None]
        small = exponent.real < -700.0
        value = np.exp(np.where(small, -700.0, exponent.real) + 1j * exponent.imag) / s
        path = value * (2.0 * bend[rows, None] * y + 1j) * dy
        return np.where(small, 0.0, path.imag)

    every = np.arange(len(q))
    found = np.zeros((len(q), len(_NODES)))
    found[:, _LEVELS[0]] = values(every, _LEVELS[0])
    coarse = 9.0 * _STEP * found.sum(axis=1)
    # beyond the last node that counts the factor exp(-s q) falls on and on
    counts = (np.abs(found) > 1e-22 * np.abs(found).max(axis=1, keepdims=True)).any(axis=0)
    end = int(np.flatnonzero(counts)[-1]) + 9 if counts.any() else len(_NODES)
    new = np.setdiff1d(_LEVELS[1], _LEVELS[0])
    new = new[new <= end]
    found[:, new] = values(every, new)
    total = 3.0 * _STEP * found.sum(axis=1)
    # a third of the step cubes the relative error
    rough = np.flatnonzero(np.abs(total - coarse) > 1e-11 * np.abs(total))
    if rough.size:
        new = np.setdiff1d(_LEVELS[2], _LEVELS[1])
        new = new[new <= end]
        found[np.ix_(rough, new)] = values(rough, new)
        total[rough] = _STEP * found[rough].sum(axis=1)
    total = total / np.pi
    return np.clip(total if upper else -total, 0.0, 1.0)


def generalised_q_sf(vi: Array, weights: Array, tau2: Array, q: ArrayLike) -> Array:
    """P(Q > q) of Q = sum a_i (y_i - mean_a)^2 for normal effects with variances v_i + tau2.

    Variances and fixed weights a have shape (k,) or (R, k).
    """
    shape = (len(tau2), vi.shape[-1])
    v, a = np.broadcast_to(vi, shape), np.broadcast_to(weights, shape)
    at, out = np.broadcast_to(np.asarray(q, dtype=float), len(tau2)), np.empty(len(tau2))
    size = max(1, _CELLS // shape[1])
    for part in (slice(i, i + size) for i in range(0, len(tau2), size)):
        d = a[part] * (v[part] + tau2[part, None])
        share = a[part] / a[part].sum(axis=1, keepdims=True)
        largest = np.arange(len(d)), d.argmax(axis=1)
        top, share_top = d[largest], share[largest]
        d[largest] = share[largest] = 0.0
        out[part] = _survival(_Form(d, share, top, share_top), at[part])
    return out


def _survival(form: _Form, q: Array) -> Array:
    """P(sum of lambda_i chi2_1 > q) of each form, by its smaller tail."""
    scale = form.trace
    relative, form = q / scale, form.scaled(scale)
    out = np.ones(q.shape)
    right = relative >= 1.0
    left = (relative > 0.0) & ~right
    if right.any():
        out[right] = _tail(form.rows(right), relative[right], True)
    if left.any():
        out[left] = 1.0 - _tail(form.rows(left), relative[left], False)
    return out
