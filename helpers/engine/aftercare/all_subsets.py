"""Graphical display of study heterogeneity: a fit for every subset of the studies.

Olkin, Dahabreh and Trikalinos 2012, doi:10.1002/jrsm.1053. Subsets that fall into separate clouds,
one with and one without some study, point to that study.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...arguments import Array, generator, one_of
from ...door import pd
from ...errors import UnsupportedError
from ..json_values import picked, plain
from ..model import Fitted, FittedRegression, Progress, model_of
from ..model.coefficients import refuse_names
from ..model.fits import ratio
from ..shown import DASH, Row, Shown, limits_text
from .mixture import Mixture, fit_mixtures

#: Up to this many subsets are all fitted.
MAX_ALL = 2**20
#: Number of subsets sampled if there are more than `MAX_ALL` and none was asked for.
SAMPLED = 100_000
#: Columns of `GoshResult.frame` that are not coefficients.
_COLUMNS = ("size", "estimate", "mu", "tau2", "I2", "Q", "converged")
_CELLS = 2_000_000  # random numbers held at once


@dataclass(frozen=True, slots=True, repr=False)
class GoshResult(Shown):
    """Fits of R subsets of the studies."""

    labels: tuple[str, ...]  # Included studies
    member: NDArray[np.bool_]  # Which study is in which subset, shape (R, k)
    size: NDArray[np.int64]  # Studies in each subset, shape (R,)
    #: `mu`, or the coefficients of a regression by name, on the model and on the display scale (of
    #: coefficients the same); NaN where a likelihood has no finite maximum, each of shape (R,)
    effects: dict[str, Array]
    displayed: dict[str, Array]
    #: Heterogeneity (I2 in percent), shape (R,)
    tau2: Array
    I2: Array
    Q: Array
    #: Subsets that did not converge are left out of the summaries, shape (R,)
    converged: NDArray[np.bool_]
    failures: dict[str, int]  # Reason -> number of subsets without a sound estimate
    sampled: bool  # Whether the subsets are a sample of `total`
    total: int  # Number of subsets of at least `min_size` studies
    min_size: int
    seed: int | None  # Seed of the sample; None if nothing was sampled
    model: str

    def _said(self) -> Iterator[Row]:
        of = f"{printing.count(len(self))} of {printing.count(self.total)}"
        yield "subsets", f"{of}, of at least {self.min_size} studies"
        yield "studies", printing.count(len(self.labels))
        for name, values in self.displayed.items():
            sound = values[self.converged]
            row = "estimates" if self.pooled else printing.readable(name)
            yield row, limits_text(np.quantile(sound, [0, 1])) if len(sound) else DASH
        yield "without estimate", printing.count(len(self) - int(self.converged.sum()))

    def __len__(self) -> int:
        return len(self.size)

    @property
    def pooled(self) -> bool:
        """Whether the subsets have one mean, not the coefficients of a regression."""
        return "mu" in self.effects

    @property
    def mu(self) -> Array:
        """Pooled effect, or the one coefficient, on the model scale, shape (R,)."""
        return self._one(self.effects)

    @property
    def estimate(self) -> Array:
        """Pooled effect on the display scale, or the one coefficient, shape (R,)."""
        return self._one(self.displayed)

    def _one(self, values: dict[str, Array]) -> Array:
        if len(values) > 1:
            raise UnsupportedError(
                "subsets of a regression have a cloud for each coefficient; choose one of "
                f"{printing.listing(values)} with .coefficient(name)"
            )
        return next(iter(values.values()))

    def coefficient(self, name: str) -> GoshResult:
        """Take one coefficient of a regression, for summaries, clouds and the picture."""
        one_of("name", name, tuple(self.effects))
        effects, displayed = ({name: of[name]} for of in (self.effects, self.displayed))
        return replace(self, effects=effects, displayed=displayed)

    def frame(self) -> pd.DataFrame:
        """One row for each subset: `size`, `estimate`, `mu`, `tau2`, `I2`, `Q`, `converged`.

        Subsets of a regression have a column for each coefficient in the place of `estimate` and
        `mu`.
        """
        effects = picked(self, "estimate mu") if self.pooled else self.effects
        columns = picked(self, "size") | effects | picked(self, "tau2 I2 Q converged")
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self), name="subset"))

    def summary_frame(self) -> pd.DataFrame:
        """Compare the subsets with and without each study (of a regression: `coefficient` first).

        Returns
        -------
        DataFrame
            Index "study"; `subsets` (with the study), `estimate_with`, `estimate_without` (mean
            estimate of the subsets, display scale), `difference`, `I2_with`, `I2_without`, and
            `separation`: the difference of the mean `mu` with and without the study over the
            pooled standard deviation within the two groups. A study in every subset or in none
            has no contrast (NaN).
        """
        sound = self.converged
        member, mu = self.member[sound].astype(float), self.mu[sound]
        inside = member.sum(axis=0)
        outside = len(mu) - inside
        safe_in = np.where(inside > 0, inside, np.nan)
        safe_out = np.where(outside > 0, outside, np.nan)

        def means(values: Array) -> tuple[Array, Array]:
            with_it = values @ member
            return with_it / safe_in, (values.sum() - with_it) / safe_out

        e_in, e_out = means(self.estimate[sound])
        i_in, i_out = means(self.I2[sound])
        centred = mu - mu.mean()
        m_in, m_out = means(centred)
        s_in, s_out = means(centred**2)
        within = inside * (s_in - m_in**2) + outside * (s_out - m_out**2)
        sd = np.sqrt(np.maximum(within, 0.0) / len(mu))
        return pd.DataFrame(
            {
                "subsets": inside.astype(np.int64),
                "estimate_with": e_in,
                "estimate_without": e_out,
                "difference": e_in - e_out,
                "I2_with": i_in,
                "I2_without": i_out,
                "separation": ratio(m_in - m_out, sd),
            },
            index=pd.Index(self.labels, name="study"),
        )

    def mixtures(self, most: int = 3) -> tuple[Mixture, ...]:
        """Fit normal mixtures to `mu`, with 1 to `most` components.

        Subsets overlap, so BIC ranks descriptions of the cloud; it is not a test.
        """
        return fit_mixtures(self.mu[self.converged], most)

    def clouds(self) -> pd.DataFrame:
        """Clouds of estimates by the mixture with the smallest BIC, and who is in them.

        Returns
        -------
        DataFrame
            Index "component" (from 1, ascending means); columns `share`, `mu`, `sd` (model
            scale), then one column per study: the share of the component's subsets that contain the
            study. A study that makes a cloud has shares near 0 and 1.
        """
        best = min(self.mixtures(), key=lambda m: m.bic)
        inside = best.membership(self.mu[self.converged])
        mass = inside.sum(axis=0)
        held = inside.T @ self.member[self.converged].astype(float) / mass[:, None]
        table = pd.DataFrame({"share": best.weights, "mu": best.means, "sd": best.sds})
        table = pd.concat([table, pd.DataFrame(held, columns=list(self.labels))], axis=1)
        return table.set_index(pd.RangeIndex(1, len(best) + 1, name="component"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the summary, not the subsets."""
        about = picked(self, "model total sampled min_size seed failures")
        if self.pooled:
            tables: Any = {"studies": self.summary_frame()}
        else:
            each = {name: self.coefficient(name).summary_frame() for name in self.effects}
            tables = {"coefficients": each}
        return plain(about | {"subsets": len(self)} | tables)


def number_of_subsets(k: int, min_size: int = 2) -> int:
    """Subsets of k studies with at least `min_size` of them."""
    return sum(comb(k, size) for size in range(min_size, k + 1))


def _listed(k: int, min_size: int) -> NDArray[np.bool_]:
    """All subsets with at least `min_size` studies, shape (R, k)."""
    if k <= 20:
        codes = np.arange(2**k)
        codes = codes[np.bitwise_count(codes) >= min_size]
        out = np.empty((len(codes), k), dtype=bool)
        for study in range(k):
            out[:, study] = (codes >> study) & 1
        return out
    # More studies, but few subsets because few studies may be missing: list what is left out.
    rows = []
    for missing in range(k - min_size, -1, -1):
        gone = np.array(list(combinations(range(k), missing)), dtype=np.intp)
        part = np.ones((len(gone), k), dtype=bool)
        np.put_along_axis(part, gone.reshape(len(gone), missing), False, axis=1)
        rows.append(part)
    return np.concatenate(rows)


def choose_subsets(
    k: int, subsets: str | int, min_size: int, seed: int, least: int = 2
) -> tuple[NDArray[np.bool_], bool]:
    """Membership of the studies in each subset, and whether the subsets are a sample.

    Up to `MAX_ALL` possible subsets: all of them, or a sample without replacement. Above: each
    study is in or out with probability 1/2, which makes every subset equally likely; draws are
    independent and those below `min_size` are drawn again.
    """
    if not least <= min_size <= k:
        raise UnsupportedError(f"min_size={min_size!r}: expected a number from {least} to {k}")
    number = isinstance(subsets, (int, np.integer)) and not isinstance(subsets, bool)
    if not (int(subsets) >= 1 if number else isinstance(subsets, str) and subsets == "all"):
        raise UnsupportedError(f"subsets={subsets!r}: expected 'all' or a whole number above 0")
    total = number_of_subsets(k, min_size)
    rng = generator(seed)
    if total <= MAX_ALL:
        member = _listed(k, min_size)
        if subsets == "all" or int(subsets) >= total:
            return member, False
        return member[np.sort(rng.choice(total, int(subsets), replace=False))], True
    rows = SAMPLED if subsets == "all" else int(subsets)
    member = np.empty((rows, k), dtype=bool)
    for part in np.array_split(member, 1 + rows * k // _CELLS):
        part[...] = rng.random(part.shape) < 0.5
    short = np.flatnonzero(member.sum(axis=1) < min_size)
    while short.size:
        member[short] = rng.random((short.size, k)) < 0.5
        short = short[member[short].sum(axis=1) < min_size]
    return member, True


def gosh(
    fit: Fitted | FittedRegression,
    subsets: str | int = "all",
    *,
    min_size: int | None = None,
    seed: int = 1,
    progress: Progress | None = None,
) -> GoshResult:
    """Fit the model to every subset of the studies, or to a sample of the subsets.

    Parameters
    ----------
    fit : Fitted or FittedRegression
        Any model; at least 2 included studies.
    subsets : "all" or int
        "all": every subset of at least `min_size` studies if there are at most 2^20 of them, else
        a sample of 100,000. A number asks for a sample of that many. Samples are drawn without
        replacement from at most 2^20 subsets, else each study is in or out with probability 1/2.
    min_size : int, optional
        Fewest studies of a subset. Default, and least: 2; of a regression one more than it has
        coefficients.
    seed : int
        Seed of the sample.
    progress : callable, optional
        Called with (subsets done, subsets) after each chunk.

    Returns
    -------
    GoshResult
        `sampled` and `total` say what was fitted. Subsets whose studies do not tell the
        coefficients of a regression apart are counted in `failures`.

    Raises
    ------
    UnsupportedError
        Arguments without meaning, too few studies, or a fit that did not converge.

    Notes
    -----
    Chunks bound the memory of the fits; the result holds k + 50 bytes for each subset. The errors
    of a robust regression do not enter: coefficients are the same without ``cluster=``.

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 16, 9], n=[40, 60, 50, 70], ci_method="wald")
    >>> result = gosh(fit)
    >>> len(result), result.sampled
    (11, False)
    >>> result.summary_frame()["difference"].idxmax()
    'Study 3'
    """
    model = model_of(fit, "GOSH")
    least = model.X.shape[1] + 1
    min_size = least if min_size is None else min_size
    names: tuple[str, ...] = ()
    if model.moderated:
        names = refuse_names(cast("FittedRegression", fit), _COLUMNS, "a frame of subsets")
    member, sampled = choose_subsets(model.k, subsets, min_size, seed, least)
    if model.moderated:
        refits: Any = model.fit_coefficients(member, progress=progress)
        effects = displayed = dict(zip(names, refits.beta.T, strict=True))
    else:
        refits = model.fit(member, progress=progress)
        effects, displayed = {"mu": refits.mu}, {"mu": model.to_display(refits.mu, refits)}
    return GoshResult(
        labels=model.labels,
        member=member,
        size=refits.k,
        effects=effects,
        displayed=displayed,
        tau2=refits.tau2,
        I2=refits.I2,
        Q=refits.Q,
        converged=refits.converged,
        failures=refits.failures(),
        sampled=sampled,
        total=number_of_subsets(model.k, min_size),
        min_size=min_size,
        seed=seed if sampled else None,
        model=model.options.model,
    )
