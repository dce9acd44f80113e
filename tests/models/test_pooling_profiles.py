import numpy as np
import pytest

from helpers import pool
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.profiles import profile_curve

EVENTS = [3, 0, 8, 12, 2, 9, 1]
N = [40, 25, 60, 55, 48, 120, 33]


def fitted(model, **options):
    return pool(events=EVENTS, n=N, measure="logit", model=model, **options)


FITS = {
    "glmm": fitted("glmm"),
    "ML": fitted("random", tau2_method="ML"),
    "REML": fitted("random", tau2_method="REML"),
}
CASES = [("glmm", "tau2"), ("glmm", "mu"), ("ML", "tau2"), ("ML", "mu"), ("REML", "tau2")]


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_the_top_is_the_estimate_and_the_limits_lie_on_the_cutoff(name, parameter):
    curve = profile_curve(FITS[name], parameter)
    assert curve.drop.max() == 0
    assert curve.values[curve.drop.argmax()] == curve.estimate
    for limit in curve.interval:
        if limit > 0 or parameter == "mu":
            at = curve.drop[curve.values == limit]
            assert at == pytest.approx(curve.cutoff, abs=1e-7)
    inside = (curve.values >= curve.interval.lower) & (curve.values <= curve.interval.upper)
    assert np.all(curve.drop[inside] >= curve.cutoff - 1e-7)
    assert np.all(curve.drop[~inside] < curve.cutoff)


@pytest.mark.parametrize("name", ["ML", "REML"])
def test_the_curve_of_tau2_is_the_normal_likelihood_written_out(name):
    fit = FITS[name]
    curve = profile_curve(fit, "tau2", points=5)
    y, v = fit.studies["yi"].to_numpy(), fit.studies["vi"].to_numpy()

    def height(tau2):
        w = 1 / (v + tau2)
        mu = w @ y / w.sum()
        plain = 0.5 * np.log(w).sum() - 0.5 * w @ (y - mu) ** 2
        return plain - (0.5 * np.log(w.sum()) if name == "REML" else 0)

    expected = [height(t) - height(fit.tau2) for t in curve.values]
    assert curve.drop == pytest.approx(expected, abs=1e-9)


def test_a_higher_level_gives_a_wider_interval():
    narrow, wide = (profile_curve(FITS["glmm"], "tau2", level=x).interval for x in (0.8, 0.99))
    assert wide.lower <= narrow.lower
    assert narrow.upper < wide.upper


def test_fits_without_a_likelihood_of_the_parameter_are_refused():
    with pytest.raises(UnsupportedError, match="needs a likelihood"):
        profile_curve(fitted("random", tau2_method="DL"))
    with pytest.raises(UnsupportedError, match="needs a likelihood"):
        profile_curve(fitted("common"))
    with pytest.raises(UnsupportedError, match="ML"):
        profile_curve(FITS["REML"], "mu")
    with pytest.raises(UnsupportedError, match="expected one of tau2, mu"):
        profile_curve(FITS["ML"], "I2")
    with pytest.raises(MetaAnalysisError, match="at least 3 points"):
        profile_curve(FITS["ML"], points=2)


def test_limits_of_one_fit_are_searched_once(monkeypatch):
    """What shows a result asks for them time and again; another fit or level has its own."""
    fit, other = fitted("glmm"), fitted("glmm")
    before = fit.tau2_ci(), fit.conf_int("profile"), fit.tau2_ci(level=0.8)
    for name in ("profile_ci_mu", "profile_ci_tau2"):
        monkeypatch.setattr(f"helpers.engine.counts.profile.{name}", None)
    assert (fit.tau2_ci(), fit.conf_int("profile"), fit.tau2_ci(level=0.8)) == before
    for ask in (other.tau2_ci, lambda: fit.tau2_ci(level=0.7)):
        with pytest.raises(TypeError):
            ask()
