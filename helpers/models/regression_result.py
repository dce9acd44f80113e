"""The result of a meta-regression: frozen numbers, and views made from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .. import printing
from ..arguments import Array
from ..door import pd
from ..engine.aftercare.all_subsets import GoshResult, gosh
from ..engine.aftercare.coefficient_permutation import PermutationTest, permutation_test
from ..engine.aftercare.deletion import cumulative, leave_one_out
from ..engine.aftercare.resampled import BootstrapResult, bootstrap
from ..engine.distributions import chi2_sf
from ..engine.effects import get_measure
from ..engine.json_values import picked, plain, told
from ..engine.literature import Methods, references
from ..engine.model import Progress
from ..engine.normal.intervals import Interval
from ..engine.options import default_tau2_ci
from ..engine.shown import Row, number, p_text, percent
from ..engine.wald import ModelTest, generalised_vif
from ..errors import MetaAnalysisError, UnsupportedError
from . import display
from .base import Coefficients, Diagnosed
from .design import build_design
from .pooled_intervals import (
    HeterogeneityIntervals,
    heterogeneity_intervals,
    i2_limits,
    regression_tau2_interval,
)
from .regression_parts import residual_frame


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class RegressionResult(Coefficients, Diagnosed):
    """A meta-regression with everything needed to report and to question it."""

    #: Residual between-study variance and its standard error (NaN where there is none)
    tau2: float
    tau2_se: float
    knapp_hartung_factor: float  # Knapp-Hartung factor s2 = sum(w r^2)/(k - p); NaN for the GLMM
    #: Percent of the between-study variance that the moderators account for, 100 max(0, (tau2
    #: without moderators - tau2)/tau2 without moderators) on the same rows (Raudenbush 2009); None
    #: where tau2 without moderators is 0 or not estimated
    R2: float | None
    #: Moderator columns of all rows given (treat as read-only)
    moderators: pd.DataFrame = field(compare=False)
    cluster: tuple[Any, ...] | None  # Cluster of each included study

    def _headline(self) -> str:
        return f"{self.formula}; {Coefficients._headline(self)}"

    def _said(self) -> Iterator[Row]:
        yield "studies", f"{self.k}, for {printing.counted(self.p, 'coefficient')}"
        yield from self._coefficients_said()
        explained = "" if self.R2 is None else f"; R² {percent(self.R2 / 100, 0)}"
        yield "τ²", f"{number(self.tau2)}{explained}"
        yield "all moderators", p_text(self.omnibus.p)

    # --- numbers by their usual names ---------------------------------------------------------

    @property
    def terms(self) -> tuple[str, ...]:
        """Terms of the formula, without the intercept."""
        return tuple(self.design.terms)

    @property
    def studies(self) -> pd.DataFrame:
        """All rows given, excluded ones with their reason; index "study"."""
        table = display.studies_frame(self)
        for name in self.moderators.columns:
            # a moderator that is called like a column of every result
            shown = f"{name} (moderator)" if name in table or name == "study" else name
            table[shown] = self.moderators[name].array
        return table

    @property
    def weights(self) -> Array:
        """Percent for each row of `data`, 0 for excluded rows."""
        every = np.zeros(len(self.data.labels))
        every[self.data.included] = self.residuals["weight"]
        return every

    @property
    def residuals(self) -> pd.DataFrame:
        """Fitted values, residuals, leverage and weight (percent) of the included studies."""
        return residual_frame(self)

    # --- tests --------------------------------------------------------------------------------

    def test_terms(self, *terms: str) -> ModelTest:
        """Test that all coefficients of one or several terms are 0.

        A term may be named without its ``C(...)``; without arguments all terms are tested.

        Raises
        ------
        MetaAnalysisError
            A name that is not a term.
        """
        at: list[int] = []
        for name in terms or self.terms:
            at += self._columns(name)
        if not at:
            raise MetaAnalysisError("the formula has no moderators to test")
        return self.wald(np.eye(self.p)[at], label=" + ".join(terms or self.terms))

    def _columns(self, name: str) -> tuple[int, ...]:
        if name in self.design.terms:
            return self.design.terms[name]
        wrapped = [t for t in self.terms if t.startswith((f"C({name},", f"C({name})"))]
        if len(wrapped) == 1 and ":" not in wrapped[0]:
            return self.design.terms[wrapped[0]]
        raise MetaAnalysisError(f"no term {name!r}; the terms are {', '.join(self.terms)}")

    def likelihood_ratio_test(self, nested: str | RegressionResult = "1") -> ModelTest:
        """Likelihood-ratio test against a nested model, both fitted by maximum likelihood.

        Parameters
        ----------
        nested : str or RegressionResult, default "1"
            Formula of the smaller model (its columns are taken from the same rows), or its fit.

        Raises
        ------
        MetaAnalysisError
            The models are not nested, or were fitted to different studies.
        """
        core = self.core
        if isinstance(nested, str):
            rows = self.moderators.loc[np.asarray(self.data.included)]
            label, X = nested, build_design(nested, rows, self.labels).X
        else:
            if nested.labels != self.labels or nested.model != self.model:
                raise MetaAnalysisError("the models were not fitted to the same studies in one way")
            label, X = nested.formula, nested.core.X
        both = np.hstack([core.X, X])
        scaled = both / np.linalg.norm(both, axis=0)
        df = self.p - X.shape[1]
        if df <= 0 or np.linalg.matrix_rank(scaled, tol=1e-8) > self.p:
            raise MetaAnalysisError(f"{label!r} is not nested in {self.formula!r}")
        large = core.regress(tau2_method="ML")
        small = core.regress(X, tau2_method="ML")
        value = max(2.0 * float(large.loglik[0] - small.loglik[0]), 0.0)
        return ModelTest(
            value, df, None, float(chi2_sf(value, df)), "likelihood-ratio", f"against {label}"
        )

    def vif(self) -> pd.DataFrame:
        """Variance inflation factors of coefficients and generalised ones of terms.

        Columns: kind ("coefficient" or "term"), df, gvif, sif = gvif^(1/(2 df)), the factor by
        which a standard error grew (Fox and Monette 1992, doi:10.1080/01621459.1992.10475190).
        The intercept is left out.
        """
        among = tuple(i for i in range(self.p) if i != self.design.intercept)
        rows: list[tuple[str, str, tuple[int, ...]]]
        rows = [("coefficient", self.names[i], (i,)) for i in among]
        rows += [("term", t, at) for t, at in self.design.terms.items()]
        values = [generalised_vif(self.covariance, at, among) for _, _, at in rows]
        return pd.DataFrame(
            {
                "kind": [r[0] for r in rows],
                "df": [len(r[2]) for r in rows],
                "gvif": values,
                "sif": [v ** (0.5 / len(r[2])) for v, r in zip(values, rows, strict=True)],
            },
            index=pd.Index([r[1] for r in rows], name="term"),
        )

    def permutation_test(
        self, draws: int | str = 1000, *, seed: int | None = 1, null: float = 0.0
    ) -> PermutationTest:
        """Permutation p-values of all moderators, each term and each coefficient.

        Parameters
        ----------
        draws : int or "exact"
            Random arrangements (to which the observed one is added, Phipson and Smyth 2010,
            doi:10.2202/1544-6115.1585), or all distinct ones.
        seed : int or None
            Seed of the random arrangements (None: different each time).
        null : float
            Without moderators: value around which the signs of the effects are flipped.

        Raises
        ------
        UnsupportedError
            Too many arrangements for an exact test, a robust fit, or a GLMM without moderators.

        Examples
        --------
        >>> import pandas as pd
        >>> from helpers.models.regression import meta_regression
        >>> data = pd.DataFrame(
        ...     {"y": [0.1, 0.4, 0.9, 1.1, 1.4], "v": [0.1] * 5, "x": [0, 1, 2, 3, 4]}
        ... )
        >>> fit = meta_regression(data, "x", yi="y", vi="v", ci_method="knapp-hartung")
        >>> round(fit.permutation_test("exact").p, 4)
        0.0167
        """
        if self.robust is not None:
            raise UnsupportedError(
                "permuting studies ignores their clusters; permute a fit without cluster="
            )
        return permutation_test(
            self.core, self.design, self.ci_method, draws=draws, seed=seed, null=null
        )

    def leave_one_out(self, by: Any = None) -> pd.DataFrame:
        """Coefficients, tau2 and Q without each study or cluster in turn (one batch).

        Parameters
        ----------
        by : str, array_like or Series, optional
            Cluster of each study: "cluster" (that of the fit), a moderator, or values as in
            `helpers.aftercare.leave_one_out`. Default: single studies.

        Returns
        -------
        DataFrame
            Index: what is left out; a column for each coefficient and its standard error
            ("se(...)", of the model, not the robust one), `tau2`, `Q`, `converged` and
            `estimable` (False, and NaN, where the rest does not tell the coefficients apart).

        Raises
        ------
        UnsupportedError
            A fit that did not converge.
        """
        return leave_one_out(self, by)

    def cumulative(self, by: Any = None, *, ascending: bool = True) -> pd.DataFrame:
        """Coefficients, tau2 and Q of the first study, the first two, and so on (one batch).

        Parameters
        ----------
        by : str, array_like or Series, optional
            What orders the studies: a moderator, or values or labels as in
            `helpers.aftercare.cumulative`. Default: input order.
        ascending : bool
            Smallest first (not used with labels).

        Returns
        -------
        DataFrame
            Index: the study added at each step. Columns as in `leave_one_out`; NaN, and
            `estimable` False, until there are more studies than coefficients and they tell the
            coefficients apart. The intervals of repeated looks are not corrected.

        Examples
        --------
        >>> import pandas as pd
        >>> from helpers import meta_regression
        >>> data = pd.DataFrame({"y": [0.1, 0.4, 0.9, 1.1], "v": [0.1] * 4, "x": [0, 1, 2, 3]})
        >>> fit = meta_regression(data, "x", yi="y", vi="v")
        >>> fit.cumulative(by="x", ascending=False)["estimable"].to_list()
        [False, False, True, True]
        """
        return cumulative(self, by, ascending=ascending)

    def bootstrap(
        self,
        draws: int = 2000,
        kind: Literal["parametric", "nonparametric"] = "parametric",
        *,
        seed: int = 1,
        progress: Progress | None = None,
    ) -> BootstrapResult:
        """Bootstrap the coefficients and tau2, on the model scale.

        Parameters
        ----------
        draws : int, default 2000
        kind : {"parametric", "nonparametric"}
            Draw effects (or counts) around the fitted values with the variance of the fit, or draw
            studies with replacement (with ``cluster=`` whole clusters, and only so); tau2 is
            estimated anew in each replicate.
        seed : int
        progress : callable, optional
            Called with (replicates done, replicates) after each chunk.

        Returns
        -------
        BootstrapResult
            Intervals by the name of the coefficient, or "tau2". Replicates whose studies do not
            tell the coefficients apart, or without a finite maximum, are counted as failed by
            reason and left out.

        Raises
        ------
        UnsupportedError
            Parametric draws for a fit with ``cluster=``, or a fit that did not converge.
        ConvergenceError
            Fewer than 20 replicates could be fitted.

        Examples
        --------
        >>> import pandas as pd
        >>> from helpers import meta_regression
        >>> data = pd.DataFrame(
        ...     {"y": [0.1, 0.4, 0.9, 1.1, 1.4], "v": [0.1] * 5, "x": [0, 1, 2, 3, 4]}
        ... )
        >>> fit = meta_regression(data, "x", yi="y", vi="v")
        >>> low, high = fit.bootstrap(200, seed=7).conf_int("x")
        >>> bool(low < fit.coefficients.loc["x", "estimate"] < high)
        True
        """
        return bootstrap(self, draws, kind, seed=seed, progress=progress)

    def gosh(
        self,
        subsets: str | int = "all",
        *,
        min_size: int | None = None,
        seed: int = 1,
        progress: Progress | None = None,
    ) -> GoshResult:
        """Fit the regression to every subset of the studies, or to a sample of the subsets.

        Parameters
        ----------
        subsets, seed, progress
            As in `helpers.aftercare.gosh`.
        min_size : int, optional
            Fewest studies of a subset. Default, and least: one more than there are coefficients.

        Returns
        -------
        GoshResult
            Its `frame()` has a column for each coefficient, and tau2, I2 and Q of the residual
            heterogeneity; ``coefficient(name)`` is what summaries and ``plots.gosh`` take.
            Subsets whose studies do not tell the coefficients apart are counted in `failures`.

        Examples
        --------
        >>> import pandas as pd
        >>> from helpers import meta_regression
        >>> data = pd.DataFrame(
        ...     {"y": [0.1, 0.4, 0.9, 1.1, 1.4], "v": [0.1] * 5, "x": [0, 0, 0, 1, 1]}
        ... )
        >>> subsets = meta_regression(data, "x", yi="y", vi="v").gosh()
        >>> len(subsets), list(subsets.failures.values())
        (16, [1])
        """
        return gosh(self, subsets, min_size=min_size, seed=seed, progress=progress)

    # --- intervals and predictions ------------------------------------------------------------

    def tau2_ci(self, method: str | None = None, level: float | None = None) -> Interval:
        """Confidence interval for the residual between-study variance.

        Parameters
        ----------
        method : {"q-profile", "profile"}, optional
            Default "q-profile" (Viechtbauer 2007, doi:10.1002/sim.2514); "profile" likelihood
            for ML, REML and (the only one) the GLMM.
        level : float, optional
            Default: the level of the fit.

        Returns
        -------
        Interval
            NaN limits where the Q-profile set is empty
            (`helpers.engine.normal.tau2_intervals.is_empty`).
        """
        chosen = method or default_tau2_ci(self.model)
        return regression_tau2_interval(self, chosen, self._level(level))

    def heterogeneity_ci(
        self, method: str | None = None, level: float | None = None
    ) -> HeterogeneityIntervals:
        """Intervals of the residual tau2, tau, I2 and H2 (`method` and `level` as in `tau2_ci`)."""
        return heterogeneity_intervals(self, method, level)

    # --- views --------------------------------------------------------------------------------

    def summary_frame(self) -> pd.DataFrame:
        """One-row table of the model's numbers; index "formula"."""
        square = i2_limits(self)
        row = {
            **picked(self, "k p tau2 tau2_se"),
            "I2": self.heterogeneity.I2,
            "I2_lower": square.lower,
            "I2_upper": square.upper,
            "H2": self.heterogeneity.H2,
            "R2": np.nan if self.R2 is None else self.R2,
            "Q": self.heterogeneity.Q,
            "Q_df": self.heterogeneity.df,
            "Q_p": self.heterogeneity.p,
            "omnibus": self.omnibus.statistic,
            "omnibus_df1": self.omnibus.df,
            "omnibus_df2": np.nan if self.omnibus.df2 is None else self.omnibus.df2,
            "omnibus_p": self.omnibus.p,
            **picked(self, "loglik converged"),
        }
        return pd.DataFrame([row], index=pd.Index([self.formula], name="formula"))

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can represent; missing values are None."""
        return plain(
            {
                **picked(self, "formula measure model tau2_method ci_method robust level"),
                **self.summary_frame().iloc[0].to_dict(),
                **picked(self, "omnibus coefficients covariance"),
                **told(self),
                "studies": self.studies,
            }
        )

    def methods(self) -> Methods:
        """Say in one sentence how the result was made, with references."""
        label = get_measure(self.measure).label
        keys = ["berkey1995"]
        if self.model == "glmm":
            family = "Poisson-normal" if self.core.family == "poisson" else "binomial-normal"
            how = (
                f"a {family} generalised linear mixed model fitted by maximum likelihood "
                f"({self.core.options.quad_points}-point adaptive Gauss-Hermite quadrature)"
            )
            keys = ["stijnen2010"]
        elif self.model == "common":
            how = f"an inverse-variance common-effect model of the {label}"
        else:
            how = (
                f"an inverse-variance mixed-effects model of the {label} "
                f"with the {self.tau2_method} estimator of the residual between-study variance"
            )
            keys.append("viechtbauer2005")
        if self.robust is not None:
            tests = f"cluster-robust ({self.robust}) tests"
            keys += ["tipton2015", "tipton2015b"] if self.robust == "CR2" else ["hedges2010"]
        else:
            tests = _TESTS[self.ci_method]
            if self.ci_method.startswith("knapp-hartung"):
                keys.append("knapp2003")
        studies = printing.capital(printing.studies(self.k))
        sentence = (
            f"{studies} {'was' if self.k == 1 else 'were'} analysed by meta-regression on "
            f"{self.design.said} with {how} and {tests}."
        )
        return Methods(sentence, references(*keys))


_TESTS = {
    "wald": "Wald-type tests with the normal distribution",
    "t": "Wald-type tests with the t distribution (k − p degrees of freedom)",
    "knapp-hartung": "Knapp-Hartung tests",
    "knapp-hartung-max1": "Knapp-Hartung tests with a factor of at least 1",
}
