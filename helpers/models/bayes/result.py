"""The posterior of a meta-analysis: frozen numbers, and views made from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ... import printing
from ...arguments import AnyArray as Array
from ...arguments import one_of
from ...door import pd
from ...engine.effects import Measure, get_measure
from ...engine.json_values import picked, plain
from ...engine.literature import Methods, references
from ...engine.normal.intervals import Interval
from ...engine.shown import Row, Shown, estimate_row, with_interval
from ...engine.studies import StudyData
from ...engine.summaries import Caution
from ...errors import MetaAnalysisError, UnsupportedError
from .display import DisplayMarginal, EventCounts, population_marginal, predict_events
from .engine import ErrorBounds, Layer, Model
from .marginal import Marginal
from .priors import MuPrior, TauPrior

if TYPE_CHECKING:
    from .given_tau import Trace

Quantity = Literal["mu", "new"]


@dataclass(frozen=True, slots=True, repr=False)
class Posterior(Shown):
    """Posterior of the random-effects model, computed without sampling."""

    #: Distributions on the model scale of the mean, of the between-study standard deviation and of
    #: the true effect in a new study. Each has `mean`, `sd`, `mode`, `median`, `interval()`,
    #: `shortest()`, `density(x)`, `cdf(x)`, `quantile(p)`, `probability_above(x)`.
    mu: Marginal
    tau: Marginal
    predictive: Marginal
    #: Log density (probability) of the data under the priors. A flat prior for mu counts as density
    #: 1, so that only differences between priors for tau mean something.
    log_marginal_likelihood: float
    errors: ErrorBounds  # Stated accuracy, below `tolerance`
    likelihood: str  # {"normal", "binomial"}
    measure: str  # Name of the effect measure
    #: The priors
    tau_prior: TauPrior
    mu_prior: MuPrior
    level: float  # Level of the intervals
    tolerance: float  # Accuracy that was asked for
    k: int  # Included studies
    cautions: tuple[Caution, ...]
    data: StudyData  # All rows given, excluded ones included
    _size: float
    _layer: Layer
    _weights: Array
    _study_mean: Array
    _study_sd: Array
    #: The table of `shrinkage`, made when it is first asked for.
    _shrunken: list[pd.DataFrame] = field(
        init=False, repr=False, compare=False, default_factory=list
    )

    def _headline(self) -> str:
        priors = f"τ {self.tau_prior.label}, μ {self.mu_prior.label}"
        return f"{self.likelihood} likelihood, {self._scale.label}; {priors}"

    def _said(self) -> Iterator[Row]:
        yield "studies", printing.count(self.k)
        yield estimate_row(self, name="credible interval")
        unit: printing.Unit = "number"
        if self._scale.kind == "proportion":
            unit = "percent"
        middle, limits = self.new_rate.median, self.prediction_interval()
        yield "new study", with_interval(middle, limits, self.level, unit, "interval")
        spread = with_interval(self.tau.median, self.tau.interval(), self.level, name="interval")
        yield "τ", spread

    @property
    def model(self) -> Model:
        """Likelihood of the included studies, with the prior for mu."""
        return self._layer.model

    # --- display scale ----------------------------------------------------------------------

    @property
    def _scale(self) -> Measure:
        return get_measure(self.measure)

    def _displayed(self, marginal: Marginal) -> DisplayMarginal:
        return DisplayMarginal(marginal, self._scale, self._size)

    @property
    def rate(self) -> DisplayMarginal:
        """Distribution of the mean effect on the display scale (transformed `mu`)."""
        return self._displayed(self.mu)

    @property
    def new_rate(self) -> DisplayMarginal:
        """Distribution of the true rate in a new, similar study on the display scale."""
        return self._displayed(self.predictive)

    @property
    def estimate(self) -> float:
        """Posterior median of the mean effect on the display scale."""
        return self.rate.median

    @property
    def ci(self) -> Interval:
        """Central credible interval of the mean effect on the display scale."""
        return self.rate.interval()

    def mean_rate(self) -> DisplayMarginal:
        """Distribution of the mean across studies on the display scale.

        `rate` is the proportion (rate) of the median study; the mean across studies also hangs on
        the between-study variance (see `helpers.models.population`). The joint posterior of
        mu and tau is carried over exactly, at every node of tau.

        Raises
        ------
        UnsupportedError
            For measures without a mean across studies (arcsine, Freeman-Tukey).

        Examples
        --------
        >>> from helpers.models.bayes import posterior
        >>> post = posterior(events=[3, 8, 6, 2], n=[40, 60, 90, 50])
        >>> mean = post.mean_rate()
        >>> print(round(mean.median, 4), round(post.estimate, 4))
        0.0796 0.0758
        """
        joint = (self._layer, self._weights)
        return self._displayed(population_marginal(self.measure, self.mu, *joint, self.level))

    @property
    def mean_estimate(self) -> float:
        """Posterior median of the mean across studies on the display scale (see `mean_rate`)."""
        return self.mean_rate().median

    def mean_conf_int(self, level: float | None = None) -> Interval:
        """Central credible interval of the mean across studies on the display scale."""
        return self.mean_rate().interval(level)

    def prediction_interval(self, level: float | None = None) -> Interval:
        """Central interval for the true rate in a new study on the display scale."""
        return self.new_rate.interval(level)

    def probability_above(self, rate: ArrayLike, of: Quantity = "mu") -> Any:
        """Probability that a rate on the display scale is exceeded.

        Parameters
        ----------
        rate : array_like
            Display-scale values, e.g. 0.10 for a proportion of 10 percent.
        of : {"mu", "new"}
            The mean rate, or the true rate of a new, similar cohort.

        Examples
        --------
        >>> from helpers.models.bayes import posterior
        >>> post = posterior(events=[3, 8, 6, 2], n=[40, 60, 90, 50])
        >>> print(round(float(post.probability_above(0.10, of="new")), 3))
        0.226
        """
        one_of("of", of, ("mu", "new"))
        return (self.rate if of == "mu" else self.new_rate).probability_above(rate)

    def predict_events(self, n: int) -> EventCounts:
        """Distribution of the number of events among `n` patients of a new, similar cohort.

        Examples
        --------
        >>> from helpers.models.bayes import posterior
        >>> post = posterior(events=[3, 8, 6, 2], n=[40, 60, 90, 50])
        >>> counts = post.predict_events(50)
        >>> print(round(counts.mean, 2), counts.interval())
        4.15 Interval(lower=0.0, upper=11.0)
        """
        if self._scale.kind != "proportion":
            raise UnsupportedError(
                "events among n patients need a proportion, not a rate or effect"
            )
        return predict_events(self.new_rate, n, self.level)

    # --- studies ------------------------------------------------------------------------------

    @property
    def labels(self) -> list[str]:
        """Labels of the included studies."""
        taken = self.data.included
        return [label for label, keep in zip(self.data.labels, taken, strict=True) if keep]

    def study(self, label: str) -> Marginal:
        """Posterior of one study's true effect (shrunken towards the mean), model scale.

        Raises
        ------
        MetaAnalysisError
            No included study has this label.
        """
        labels = self.labels
        if label not in labels:
            raise MetaAnalysisError(f"no included study is called {label!r}")
        return self._study(labels.index(label))

    def _study(self, i: int) -> Marginal:
        centre, scale = self._layer.study_start(i, int(np.argmax(self._weights)))
        return Marginal.from_density(
            self.labels[i],
            self._layer.study_density(i, self._weights),
            float(self._study_mean[i]),
            float(self._study_sd[i]),
            self.level,
            centre=centre,
            scale=scale,
        )

    def study_rate(self, label: str) -> DisplayMarginal:
        """Posterior of one study's true rate on the display scale."""
        return self._displayed(self.study(label))

    @property
    def studies(self) -> pd.DataFrame:
        """Input and shrunken mean and sd of every study, excluded ones with their reason.

        Index "study"; columns `events`, `n` (where counts were given), `yi`, `vi`, `mean`, `sd`
        (model scale), `included`, `reason`.
        """
        data = self.data
        columns: dict[str, Any] = {}
        if data.events is not None:
            columns["events"], columns["n"] = data.events, data.size
        spread = np.full((2, len(data.labels)), np.nan)
        spread[:, data.included] = self._study_mean, self._study_sd
        columns |= {"yi": data.yi, "vi": data.vi, "mean": spread[0], "sd": spread[1]}
        columns |= {"included": data.included, "reason": list(data.reason)}
        return pd.DataFrame(columns, index=pd.Index(data.labels, name="study"))

    def shrinkage(self) -> pd.DataFrame:
        """Posterior of every included study: model-scale moments, display-scale quantiles.

        Index "study"; columns `observed` (display scale, NaN for effects without counts),
        `mean`, `sd` (model scale), `estimate` (posterior median), `ci_lower`, `ci_upper`
        (display scale, central at `level`).
        """
        if not self._shrunken:
            self._shrunken.append(self._shrink())
        return self._shrunken[0].copy()

    def _shrink(self) -> pd.DataFrame:
        measure = self._scale
        outside = 0.5 * (1.0 - self.level)
        keep, data = self.data.included, self.data
        if data.events is not None and data.size is not None:
            observed = data.events[keep] / data.size[keep]
        else:
            observed = np.asarray(measure.inverse(data.yi[keep], self._size))
        rows = []
        for i, seen in enumerate(observed):
            at = self._study(i).quantile([outside, 0.5, 1.0 - outside])
            lower, middle, upper = np.asarray(measure.inverse(at, self._size))
            rows.append((seen, self._study_mean[i], self._study_sd[i], middle, lower, upper))
        names = ["observed", "mean", "sd", "estimate", "ci_lower", "ci_upper"]
        return pd.DataFrame(rows, columns=names, index=pd.Index(self.labels, name="study"))

    def trace(self, tau: ArrayLike | None = None) -> Trace:
        """Shrunken estimates of all studies at each tau (see `helpers.models.bayes.given_tau`)."""
        from .given_tau import trace

        return trace(self, tau)

    # --- views ----------------------------------------------------------------------------------

    def summary_frame(self) -> pd.DataFrame:
        """Posterior summaries; index "quantity", one row for each scale it is shown on.

        Rows `mu`, `tau`, `new` on the model scale and `rate`, `new_rate` on the display scale;
        columns `scale`, `mean`, `sd`, `mode`, `median`, `lower`, `upper` (central) and
        `shortest_lower`, `shortest_upper` (model scale only: the shortest interval changes
        with the scale).
        """
        rows: dict[str, dict[str, Any]] = {}
        for name, marginal in (("mu", self.mu), ("tau", self.tau), ("new", self.predictive)):
            rows[name] = {"scale": "model", **marginal.summary()}
        for name, shown in (("rate", self.rate), ("new_rate", self.new_rate)):
            rows[name] = {"scale": "display", **shown.summary()}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can represent; missing and infinite values are None."""
        frame = self.summary_frame().to_dict(orient="index")
        names = "likelihood measure level k estimate ci log_marginal_likelihood"
        return plain(
            picked(self, f"{names} studies cautions")
            | {
                "tau_prior": self.tau_prior.label,
                "mu_prior": self.mu_prior.label,
                "prediction_interval": self.prediction_interval(),
                "error_bound": self.errors.largest,
                "summary": frame,
            }
        )

    def methods(self) -> Methods:
        """Say in one sentence how it was done, with sources."""
        if self.likelihood == "binomial":
            model = (
                "a Bayesian binomial-normal random-effects model (logit link, exact binomial "
                "likelihood)"
            )
            how = "deterministic quadrature, adaptive over the study effects"
            keys = ["hamza2008", "rover2020", "liu1994", "trefethen2014"]
        else:
            model = (
                f"a Bayesian normal-normal random-effects model on the {self._scale.label} scale"
            )
            if self.data.events is not None:
                family = "Poisson" if self._scale.kind == "rate" else "binomial"
                model += f" (a normal approximation to the {family} likelihood of the counts)"
            how = "deterministic quadrature"
            keys = ["raudenbush1985", "rover2020"]
        keys.append(self.tau_prior.source)
        sentence = (
            f"We fitted {model} to {printing.studies(self.k)} by {how} (error "
            f"below {printing.significant(self.tolerance, 1)}), with a {self.tau_prior.label} "
            f"prior for the between-study standard deviation and a {self.mu_prior.label} prior for "
            f"the mean; we report medians and central {printing.level_text(self.level)} credible "
            "intervals."
        )
        return Methods(sentence, references(*keys))
