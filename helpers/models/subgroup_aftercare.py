r"""What single studies and chance do to a comparison of groups.

With one between-study variance the groups are a regression on an indicator of each, without an
intercept, and all is asked of that regression (`helpers.engine.aftercare`), with the names of the
groups for coefficients. It has their `ci_method`, or the errors of the model where no regression
has such an interval.

With a variance for each group the likelihood is a product over the groups, and the covariance of
the means is diagonal. Leaving out study i of group g changes nothing elsewhere, so that with
:math:`b` for the means of all groups and :math:`V` for their covariance

.. math:: (b - b_{(i)})' V^{-1} (b - b_{(i)}) = (\mu_g - \mu_{g(i)})^2 / se_g^2, \qquad
    \det V_{(i)} / \det V = se_{g(i)}^2 / se_g^2:

its diagnostics are those in its own group. For a cluster with studies in several groups the
distances add up and the ratios of determinants multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arguments import Array, generator
from ..door import pd
from ..engine import aftercare
from ..engine.aftercare import BootstrapResult, GoshResult, InfluenceResult
from ..engine.aftercare.coefficient_permutation import PermutationTest, Statistics, arranged
from ..engine.aftercare.diagnostics import rules_of
from ..engine.aftercare.resampled import Replicates, refuse_quantities, replicated, result_of
from ..engine.json_values import picked
from ..engine.model import Model, Progress, model_of
from ..engine.model.coefficients import variance_factor
from ..engine.model.units import Units, units_of, values_of
from ..engine.options import default_ci_method
from ..errors import UnsupportedError
from .regression import CI_METHODS
from .subgroup_fits import equal_means

if TYPE_CHECKING:
    from .result import PoolResult
    from .subgroup_result import SubgroupResult

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class GroupMeans:
    """Groups as a regression on an indicator of each (a `FittedRegression`)."""

    core: Model  # of the studies in these groups; the design are the indicators
    names: tuple[str, ...]  # groups
    estimates: Array
    covariance: Array
    tau2: float  # NaN if each group has its own
    converged: bool
    moderators: pd.DataFrame
    cluster: None = None

    @property
    def codes(self) -> NDArray[np.intp]:
        """Group of each study, shape (k,)."""
        return self.core.X.argmax(axis=1)


def group_means(result: SubgroupResult, what: str, least: int = 1) -> GroupMeans:
    """Put the groups with a finite mean together; others have nothing to be fitted again.

    One of them has to have `least` studies.
    """
    names, overall = result.compared, result.overall
    if not names:
        raise UnsupportedError(
            f"{what} needs a finite mean; no group has both patients with and without an event"
        )
    if max(result.groups[name].k for name in names) < least:
        raise UnsupportedError(f"{what} needs a group with at least {least} studies; each has one")
    place = {label: j for j, name in enumerate(names) for label in result.groups[name].data.labels}
    there = np.array([label in place for label in overall.data.labels])
    data, options = overall.data.only(there, "its group has no finite mean"), overall.options
    design = np.eye(len(names))[[place[label] for label in data.taken]]
    if result.group_tau2 == "separate":
        fits = [result.groups[name] for name in names]
        core, tau2 = Model(data, options, design), np.nan
        estimates, covariance = np.array([f.mu for f in fits]), np.diag([f.se**2 for f in fits])
        converged = all(fit.converged for fit in fits)
    else:
        ci_method = options.ci_method
        if not options.ci_named:
            ci_method = default_ci_method(options.model, data.k - len(names), CI_METHODS)
        elif ci_method not in CI_METHODS:  # an interval without a standard error of its own
            ci_method = "wald"
        core = Model(data, replace(options, ci_method=ci_method), design)
        fit = core.regress()
        factor = float(variance_factor(fit.scale, ci_method)[0])
        estimates, covariance, tau2 = fit.beta[0], factor * fit.cov[0], float(fit.tau2[0])
        converged = bool(fit.converged[0])
    found = GroupMeans(core, names, estimates, covariance, tau2, converged, overall.studies)
    model_of(found, what, least=1)
    return found


def _clusters(result: SubgroupResult, by: Any) -> pd.Series[Any] | None:
    """Clusters by study, whichever groups the studies are in."""
    overall = result.overall
    return None if by is None else values_of(overall.data, by, overall.studies)


def _answers(
    result: SubgroupResult,
    joint: GroupMeans,
    units: Units,
    ask: Callable[[PoolResult, Any], AnswerT],
) -> Iterator[tuple[int, NDArray[np.intp], AnswerT | None]]:
    """Ask each group: its place, the units in it, and what it answers of them.

    A group of one unit, which has nothing left without it, answers nothing.
    """
    for j, name in enumerate(joint.names):
        codes = units.codes[joint.codes == j]
        here = np.array(list(dict.fromkeys(codes.tolist())))
        yield j, here, ask(result.groups[name], codes) if here.size > 1 else None


#: What is said of a study, or a cluster, without which its group has no estimate.
_INESTIMABLE = {
    "rstudent": np.nan,
    "dffits": np.nan,
    "cook_d": np.nan,
    "cov_ratio": np.nan,
    "tau2_deleted": np.nan,
    "Q_deleted": np.nan,
    "leverage": 1.0,
    "dfbetas": np.nan,
    "converged": 0.0,
}


def influence(result: SubgroupResult, by: Any = None) -> InfluenceResult:
    """Compute deletion diagnostics (`SubgroupResult.influence`)."""
    joint = group_means(result, "influence", 2)
    by = _clusters(result, by)
    if result.group_tau2 == "common":
        return aftercare.influence(joint, by)
    units = units_of(joint.core.data, by)
    rows, p = len(units.labels), len(joint.names)
    each = {name: np.zeros((rows, p)) for name in _INESTIMABLE}
    inside = np.zeros((rows, p), dtype=bool)
    for j, here, found in _answers(result, joint, units, aftercare.influence):
        told = _INESTIMABLE if found is None else picked(found, " ".join(_INESTIMABLE))
        inside[here, j] = True
        for name, values in each.items():
            values[here, j] = told[name]
    total = {name: values.sum(axis=1) for name, values in each.items()}
    information = np.array([result.groups[name].se_model ** -2.0 for name in joint.names])
    lost = np.full(rows, np.nan)
    return InfluenceResult(
        labels=units.labels,
        rstudent=total["rstudent"] if units.single else lost,
        dffits=total["dffits"] if units.single else lost,
        cook_d=total["cook_d"],
        cov_ratio=np.where(inside, each["cov_ratio"], 1.0).prod(axis=1),
        tau2_deleted=np.where(inside.sum(axis=1) == 1, total["tau2_deleted"], np.nan),
        Q_deleted=total["Q_deleted"],
        leverage=total["leverage"],
        weights=each["leverage"] @ (100.0 * information / information.sum()),
        dfbetas=each["dfbetas"] if p > 1 else each["dfbetas"][:, 0],
        converged=(each["converged"] == inside).all(axis=1),
        rules=rules_of(units, p),
        model=joint.core.options.model,
        k=joint.core.k,
        unit=units.name,
        coefficients=joint.names if p > 1 else (),
    )


def baujat(result: SubgroupResult, by: Any = None) -> pd.DataFrame:
    """Set heterogeneity against influence (`SubgroupResult.baujat`)."""
    joint = group_means(result, "the Baujat plot", 2)
    by = _clusters(result, by)
    if result.group_tau2 == "common":
        return aftercare.baujat(joint, by)
    units = units_of(joint.core.data, by)
    rows = len(units.labels)
    contribution, moved, converged = np.zeros(rows), np.zeros(rows), np.ones(rows, dtype=bool)
    for j, here, found in _answers(result, joint, units, aftercare.baujat):
        if found is not None:
            contribution[here] += found["contribution"]
            moved[here] += found["influence"]
            converged[here] &= found["converged"]
            continue
        moved[here], converged[here] = np.nan, False
        fit = result.groups[joint.names[j]]
        if fit.k > 1:  # the mean of one study is its own effect
            contribution[here] += aftercare.baujat(fit)["contribution"].sum()
    return pd.DataFrame(
        {"contribution": contribution, "influence": moved, "converged": converged},
        index=units.index(),
    )


def gosh(result: SubgroupResult, subsets: str | int, **options: Any) -> dict[str, GoshResult]:
    """Fit every subset of the studies (`SubgroupResult.gosh`)."""
    joint = group_means(result, "GOSH", 2)
    if result.group_tau2 == "common":
        whole = aftercare.gosh(joint, subsets, **options)
        return {name: whole.coefficient(name) for name in joint.names}
    several = {name: result.groups[name] for name in joint.names if result.groups[name].k > 1}
    return {name: aftercare.gosh(fit, subsets, **options) for name, fit in several.items()}


def bootstrap(
    result: SubgroupResult,
    draws: int,
    kind: Literal["parametric", "nonparametric"],
    *,
    seed: int,
    progress: Progress | None,
) -> BootstrapResult:
    """Bootstrap the means of the groups (`SubgroupResult.bootstrap`)."""
    joint = group_means(result, "the bootstrap")
    if result.group_tau2 == "common":
        return aftercare.bootstrap(joint, draws, kind, seed=seed, progress=progress)
    refuse_quantities(joint)
    rng = generator(seed)
    parts = {}
    for done, name in enumerate(joint.names, 1):
        parts[name] = replicated(result.groups[name], draws, kind, rng, None)
        if progress is not None:
            progress(draws * done // len(joint.names), draws)

    def named(values: str) -> dict[str, Any]:
        """Values of all groups; a variance that one study cannot have is left out."""
        return {
            group if name == "mu" else f"{name}({group})": value
            for group, part in parts.items()
            for name, value in getattr(part, values).items()
            if name == "mu" or result.groups[group].k > 1
        }

    status = np.stack([part.status for part in parts.values()])
    converged = np.stack([part.converged for part in parts.values()])
    together = Replicates(
        **{name: named(name) for name in "values errors observed observed_se acceleration".split()},
        converged=np.asarray(converged.all(axis=0)),
        # of the first group without a fit
        status=np.take_along_axis(status, converged.argmin(axis=0)[None], axis=0)[0],
    )
    return result_of(together, joint, seed=seed, kind=kind)


def permutation_test(result: SubgroupResult, draws: int | str, seed: int | None) -> PermutationTest:
    """Deal the studies to the groups anew (`SubgroupResult.permutation_test`)."""
    joint = group_means(result, "a permutation test")
    model, codes, p = joint.core, joint.codes, len(joint.names)
    if p < 2:
        raise UnsupportedError(f"there is nothing to permute: {result.test.kind}")
    common, counts = result.group_tau2 == "common", model.likelihood

    def means(order: NDArray[np.intp]) -> tuple[Array, Array, NDArray[np.bool_]]:
        if common:
            fit = model.regress(order=order)
            return fit.beta, fit.cov, fit.converged
        dealt = codes[order]
        fits = [model.fit(dealt == j) for j in range(p)]
        mu, se = (np.stack([getattr(f, name) for f in fits], axis=1) for name in ("mu", "se_model"))
        sound = np.logical_and.reduce([fit.converged for fit in fits])
        return mu, se[:, :, None] ** 2 * np.eye(p), sound

    def statistics(order: NDArray[np.intp]) -> Statistics:
        mu, cov, sound = means(order)
        mu, cov = np.where(sound[:, None], mu, 0.0), np.where(sound[:, None, None], cov, np.eye(p))
        return np.empty((len(order), 0)), np.where(sound, equal_means(mu, cov), np.nan), {}

    fit = "regressions" if common else "groups"
    return arranged(
        model.X,
        statistics,
        draws=draws,
        seed=seed,
        kind=f"{fit} of {'counts' if counts else 'effects'}",
        tested="between groups",
    )
