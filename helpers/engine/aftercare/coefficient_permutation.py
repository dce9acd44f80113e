"""Permutation tests of moderators, all replicates in one batch.

The rows of the design are dealt anew to the studies (effect and variance, or events and patients,
stay together); the model is refitted, with tau2, for every permutation (Higgins and Thompson
2004, doi:10.1002/sim.1752). A model without moderators permutes the signs of the effects
(Follmann and Proschan 1999, doi:10.1111/j.0006-341X.1999.00732.x). Statistics are those of the
fit: z or t of each coefficient (two-sided), the omnibus statistic, and one for each term.
The hypothesis is that no moderator matters at all; a p-value of a single coefficient beside
others refers to that hypothesis too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...arguments import Array, generator, whole_number
from ...door import pd
from ...errors import ConvergenceError, UnsupportedError
from ..cost import announce
from ..json_values import picked, plain
from ..shown import Row, Shown, p_text
from ..wald import quadratic_form

if TYPE_CHECKING:
    from ..model import Model
    from ..normal.fit import RegressionFit

#: Largest number of arrangements that an exact test goes through.
MAX_EXACT = 500_000
_CELLS = 2_500_000  # numbers of a batch of replicates
_TIE = 1e-8

#: Statistics of a batch of arrangements: of the coefficients, of all together, of each term; NaN
#: where there is no estimate.
Statistics = tuple[Array, Array, dict[str, Array]]


@dataclass(frozen=True, slots=True, repr=False)
class PermutationTest(Shown):
    """P-values by permutation, with their Monte Carlo standard errors (0 if exact)."""

    #: `p`, `p_mcse`: test of what `tested` says, by default an omnibus test.
    p: float
    p_mcse: float
    names: tuple[str, ...]  # coefficients
    #: `coefficient_p`, `coefficient_mcse`, shape (p,): two-sided p-value of each coefficient.
    coefficient_p: Array
    coefficient_mcse: Array
    #: `term_p`, `term_mcse`: p-value of each term (all of its columns at once).
    term_p: dict[str, float]
    term_mcse: dict[str, float]
    draws: int  # arrangements behind the p-values, the observed one included
    #: Arrangements without an estimate (a separated GLMM, a fit without convergence); they are left
    #: out.
    failed: int
    exact: bool  # whether all distinct arrangements were gone through
    seed: int | None  # seed of the random arrangements
    #: Shape (draws, p): statistics of the coefficients, the observed ones first if random.
    statistics: Array
    #: Shape (draws,): omnibus statistics in the same order.
    omnibus_statistics: Array
    tested: str = "all moderators"  # what `p` is of, in words

    def _said(self) -> Iterator[Row]:
        how = "all arrangements" if self.exact else f"random arrangements, seed {self.seed}"
        failed = f"; {self.failed} failed" if self.failed else ""
        yield "draws", f"{printing.count(self.draws)} ({how}{failed})"
        yield self.tested, p_text(self.p)
        for name, p in zip(self.names, self.coefficient_p, strict=True):
            yield printing.readable(name), p_text(p)

    def summary_frame(self) -> pd.DataFrame:
        """P-values and Monte Carlo standard errors; index: omnibus, terms, coefficients."""
        rows = [("omnibus", self.tested, self.p, self.p_mcse)]
        rows += [("term", t, self.term_p[t], self.term_mcse[t]) for t in self.term_p]
        rows += [
            ("coefficient", name, float(p), float(e))
            for name, p, e in zip(
                self.names, self.coefficient_p, self.coefficient_mcse, strict=True
            )
        ]
        frame = pd.DataFrame(rows, columns=["kind", "test", "p", "p_mcse"])
        return frame.set_index(["kind", "test"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the distributions."""
        each = {
            "coefficients": dict(zip(self.names, self.coefficient_p, strict=True)),
            "terms": self.term_p,
        }
        return plain(picked(self, "p p_mcse") | each | picked(self, "draws failed exact seed"))


class _DesignColumns(Protocol):
    """Columns of a design: names, positions of the terms, of the intercept and of the rest."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def terms(self) -> Mapping[str, tuple[int, ...]]: ...
    @property
    def intercept(self) -> int | None: ...
    @property
    def moderators(self) -> tuple[int, ...]: ...


def _row_classes(X: Array) -> NDArray[np.intp]:
    return np.unique(X, axis=0, return_inverse=True)[1].reshape(-1)


def number_of_arrangements(X: Array) -> int:
    """Count the distinct orders of the rows of a design: k! over the factorials of the repeats."""
    sizes = np.bincount(_row_classes(X))
    return math.factorial(len(X)) // math.prod(math.factorial(int(s)) for s in sizes)


def arrangements(X: Array) -> Iterator[NDArray[np.intp]]:
    """All distinct orders of the rows of a design, as row indices."""
    classes = _row_classes(X)
    members = [np.flatnonzero(classes == c) for c in range(int(classes.max()) + 1)]

    def place(
        level: int, free: tuple[int, ...], order: NDArray[np.intp]
    ) -> Iterator[NDArray[np.intp]]:
        if level == len(members) - 1:
            order[list(free)] = members[level]
            yield order.copy()
            return
        for chosen in combinations(free, len(members[level])):
            order[list(chosen)] = members[level]
            taken = set(chosen)
            rest = tuple(i for i in free if i not in taken)
            yield from place(level + 1, rest, order)

    yield from place(0, tuple(range(len(X))), np.empty(len(X), dtype=np.intp))


def _sign_flips(k: int) -> Iterator[Array]:
    for code in range(2**k):
        yield np.array([1.0 - 2.0 * (code >> i & 1) for i in range(k)])


def _statistics(fit: RegressionFit, columns: _DesignColumns, ci_method: str) -> Statistics:
    """Coefficient, omnibus and term statistics of a batch; NaN where there is no estimate."""
    sound = fit.converged & fit.estimable
    cov = np.where(sound[:, None, None], fit.cov, np.eye(fit.cov.shape[1]))
    if ci_method.startswith("knapp-hartung"):
        # A permutation can fit perfectly: the smallest number keeps its statistic finite.
        scale = np.maximum(fit.scale, 1.0 if ci_method.endswith("max1") else 1e-300)
        cov = cov * np.where(sound, scale, 1.0)[:, None, None]
    beta = np.where(sound[:, None], fit.beta, 0.0)
    t = np.abs(beta) / np.sqrt(np.diagonal(cov, axis1=1, axis2=2))

    def block(at: tuple[int, ...]) -> Array:
        index = np.array(at)
        return quadratic_form(beta[:, index], cov[:, index[:, None], index]) / len(at)

    omnibus = block(columns.moderators)
    terms = {name: block(at) for name, at in columns.terms.items()}
    nan = np.where(sound, 0.0, np.nan)
    return t + nan[:, None], omnibus + nan, {n: v + nan for n, v in terms.items()}


def permutation_test(
    model: Model,
    columns: _DesignColumns,
    ci_method: str,
    *,
    draws: int | str,
    seed: int | None,
    null: float = 0.0,
) -> PermutationTest:
    """Permute the moderators of a regression (`RegressionResult.permutation_test`)."""
    design = model.X
    flips = columns.intercept is not None and design.shape[1] == 1
    if not flips and null != 0.0:
        raise UnsupportedError("a null value other than 0 is defined without moderators only")
    if flips and model.likelihood:
        raise UnsupportedError(
            "a permutation test of the GLMM needs moderators: signs of counts cannot be flipped"
        )

    def statistics(batch: Any) -> Statistics:
        fit = model.regress(signs=batch, null=null) if flips else model.regress(order=batch)
        return _statistics(fit, columns, ci_method)

    return arranged(
        design,
        statistics,
        draws=draws,
        seed=seed,
        names=columns.names,
        terms=tuple(columns.terms),
        flips=flips,
        kind="regressions of counts" if model.likelihood else "regressions of effects",
    )


def arranged(
    design: Array,
    statistics: Callable[[Any], Statistics],
    *,
    draws: int | str,
    seed: int | None,
    kind: str,
    names: tuple[str, ...] = (),
    terms: tuple[str, ...] = (),
    flips: bool = False,
    tested: str = "all moderators",
) -> PermutationTest:
    """Compare statistics with those of the rows of a design in other orders, or of other signs.

    `statistics` takes a batch of orders, or of signs, shape (r, k); `kind` is what one of its fits
    is, for the cost.
    """
    k, p = design.shape
    total = 2**k if flips else number_of_arrangements(design)
    exact = draws == "exact"
    if isinstance(draws, str) and not exact:
        raise UnsupportedError(f"draws={draws!r}: expected a whole number or 'exact'")
    if exact and total > MAX_EXACT:
        raise UnsupportedError(
            f"an exact test would need {total:,} arrangements (at most {MAX_EXACT:,}); "
            "use a number of random draws"
        )
    if not exact:
        draws = whole_number("draws", draws, 19)  # the smallest p is then 5%
    rng = np.random.default_rng() if seed is None else generator(seed)
    source: Iterator[Any] | None = None
    if exact:
        source = _sign_flips(k) if flips else arrangements(design)
    size = max(50, _CELLS // (k * (p + 1) * (p + 2)))
    left = total if exact else int(draws)
    announce(kind, left, k)
    parts: list[Statistics] = []
    while left > 0:
        now = min(size, left)
        if source is not None:
            batch: Any = np.array(list(islice(source, now)))
        elif flips:
            batch = rng.choice([-1.0, 1.0], size=(now, k))
        else:
            batch = rng.permuted(np.tile(np.arange(k), (now, 1)), axis=1)
        if not parts:  # the observed fit comes first
            batch = np.concatenate([np.ones((1, k)) if flips else np.arange(k)[None], batch])
        parts.append(statistics(batch))
        left -= now
    t = np.concatenate([part[0] for part in parts])
    q = np.concatenate([part[1] for part in parts])
    if not np.isfinite(q[0]):
        raise ConvergenceError("the observed fit has no finite estimate to compare with")
    sound = np.isfinite(q)
    sound[0] &= not exact  # all arrangements hold the observed one already

    def share(values: Array, reference: Array) -> Array:
        above = values[sound] >= reference - _TIE * (1.0 + np.abs(reference))
        return above.mean(axis=0)

    used = int(sound.sum())

    def error(value: Array) -> Array:
        return np.zeros_like(value) if exact else np.sqrt(value * (1.0 - value) / used)

    coefficient = share(t, t[0])
    omnibus = share(q[:, None], q[:1])
    each = {}
    for name in terms:
        values = np.concatenate([part[2][name] for part in parts])
        each[name] = share(values[:, None], values[:1])
    return PermutationTest(
        p=float(omnibus[0]),
        p_mcse=float(error(omnibus)[0]),
        names=names,
        coefficient_p=coefficient,
        coefficient_mcse=error(coefficient),
        term_p={name: float(v[0]) for name, v in each.items()},
        term_mcse={name: float(error(v)[0]) for name, v in each.items()},
        draws=used,
        failed=len(q) - exact - used,
        exact=exact,
        seed=None if exact else seed,
        statistics=t[sound],
        omnibus_statistics=q[sound],
        tested=tested,
    )
