"""Bracketed root finding for many functions at once (numpy alone)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import Array
from ..errors import ConvergenceError


@lru_cache(maxsize=64)
def equal_steps(points: int) -> Array:
    """Numbers from 0 to 1 in equal steps, for a scan; shared, hence not to be written to."""
    steps = np.linspace(0.0, 1.0, points)
    steps.flags.writeable = False
    return steps


def bracketed_root(
    f: Callable[[Array], Array],
    low: ArrayLike,
    high: ArrayLike,
    *,
    rtol: float = 1e-14,
    atol: float = 1e-300,
) -> Array:
    """Roots of a function of an array, one in each bracket [low, high], shape (m,).

    Chandrupatla's method (1997, doi:10.1016/S0965-9978(96)00051-8); stops when a bracket is
    narrower than ``rtol * |root| + atol``.
    """
    a, b = (np.array(np.atleast_1d(v), dtype=float) for v in (low, high))
    fa, fb = f(a), f(b)
    if bool((np.sign(fa) * np.sign(fb) > 0).any()) or not np.isfinite(fa + fb).all():
        raise ConvergenceError("root finding: the function does not change sign in its bracket")
    c, fc = a.copy(), fa.copy()
    t = np.full(a.shape, 0.5)
    best = np.where(np.abs(fa) < np.abs(fb), a, b)
    for _ in range(200):
        x = a + t * (b - a)
        fx = f(x)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        best = np.where(np.abs(fa) < np.abs(fb), a, b)
        width = np.abs(b - a)
        tolerance = 0.5 * (rtol * np.abs(best) + atol)
        done = (tolerance >= 0.5 * width) | (fa == 0) | (fb == 0)
        if done.all():
            return best
        safe = np.where(width > 0, width, 1.0)
        share = np.minimum(tolerance / safe, 0.5)
        # Inverse quadratic interpolation where it is safe, bisection elsewhere.
        ok_c = (c != b) & (fc != fb) & (fc != fa) & (fb != fa)
        cb, fcb = np.where(ok_c, c - b, 1.0), np.where(ok_c, fc - fb, 1.0)
        xi = np.where(ok_c, (a - b) / cb, 0.0)
        phi = np.where(ok_c, (fa - fb) / fcb, 1.0)
        use = ok_c & (phi**2 < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
        d1, d2 = np.where(use, fb - fa, 1.0), np.where(use, fb - fc, 1.0)
        d3, d4 = np.where(use, fc - fa, 1.0), np.where(use, b - a, 1.0)
        guess = fa / d1 * fc / d2 + (c - a) / d4 * fa / d3 * fb / np.where(use, fc - fb, 1.0)
        t = np.where(use, guess, 0.5)
        t = np.clip(t, share, 1.0 - share)
        t = np.where(done, 0.0, t)
    raise ConvergenceError("root finding: too many steps")


def expand(
    f: Callable[[Array], Array],
    start: ArrayLike,
    step: ArrayLike,
    *,
    factor: float = 2.0,
    max_iter: int = 200,
) -> tuple[Array, Array]:
    """Walk from `start` in growing steps until `f` turns negative; return the last bracket."""
    inside = np.array(np.atleast_1d(start), dtype=float)
    step = np.array(np.broadcast_to(np.asarray(step, dtype=float), inside.shape))
    outside = inside + step
    for _ in range(max_iter):
        positive = f(outside) > 0
        if not positive.any():
            return inside, outside
        inside = np.where(positive, outside, inside)
        step = np.where(positive, step * factor, step)
        outside = np.where(positive, outside + step, outside)
    raise ConvergenceError("no bracket: the function stays positive")
