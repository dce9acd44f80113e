"""Shrunken estimates given tau, by other computations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from helpers import bayes, posterior
from helpers.errors import MetaAnalysisError

EVENTS, N = [3, 0, 8, 12, 2], [40, 25, 60, 55, 48]


def by_grid(tau: float) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Mean and sd of mu and of all logits given tau, on plain grids of both."""
    mu = np.linspace(-9.0, 3.0, 1201)
    theta = np.linspace(-25.0, 15.0, 8001)
    kernel = np.exp(-0.5 * ((theta - mu[:, None]) / tau) ** 2)
    moments = []
    for x, n in zip(EVENTS, N, strict=True):
        own = stats.binom.pmf(x, n, expit(theta))
        moments.append([kernel @ (own * theta**power) for power in (0, 1, 2)])
    weight = np.prod([m[0] for m in moments], axis=0)
    weight /= weight.sum()
    mean = np.array([weight @ (m[1] / m[0]) for m in moments])
    second = np.array([weight @ (m[2] / m[0]) for m in moments])
    middle = float(weight @ mu)
    return middle, float(np.sqrt(weight @ (mu - middle) ** 2)), mean, np.sqrt(second - mean**2)


def test_counts_by_a_plain_grid() -> None:
    found = posterior(events=EVENTS, n=N).trace([0.2, 0.7, 1.5])
    for at, tau in enumerate(found.tau):
        mu, mu_sd, mean, sd = by_grid(float(tau))
        assert found.mu[at] == pytest.approx(mu, abs=1e-6)
        assert found.mu_sd[at] == pytest.approx(mu_sd, abs=1e-6)
        assert found.studies[at] == pytest.approx(mean, abs=1e-6)
        assert found.studies_sd[at] == pytest.approx(sd, abs=1e-6)


def test_effects_by_the_joint_normal_distribution() -> None:
    y, v = np.array([0.1, 0.9, 0.4]), np.array([0.05, 0.2, 0.1])
    prior = bayes.Normal(0.2, 1.5)
    found = posterior(yi=y, vi=v, mu_prior=prior).trace([0.3, 2.0])
    for at, tau in enumerate(found.tau):
        # of (mu, theta_1, ..., theta_3), with y = theta + error
        lift = np.vstack([np.ones(4), np.hstack([np.zeros((3, 1)), np.eye(3)])])
        joint = lift.T @ np.diag([1.5**2, *[tau**2] * 3]) @ lift
        gain = joint[:, 1:] @ np.linalg.inv(joint[1:, 1:] + np.diag(v))
        mean = 0.2 + gain @ (y - 0.2)
        sd = np.sqrt(np.diagonal(joint - gain @ joint[1:]))
        assert [found.mu[at], *found.studies[at]] == pytest.approx(mean, rel=1e-10)
        assert [found.mu_sd[at], *found.studies_sd[at]] == pytest.approx(sd, rel=1e-10)


@pytest.mark.parametrize(
    "given", [{"events": EVENTS, "n": N}, {"yi": [0.1, 0.9], "vi": [0.1, 0.2]}]
)
def test_at_zero_every_study_is_the_mean(given: dict[str, list[float]]) -> None:
    found = posterior(**given).trace([0.0])
    assert found.studies == pytest.approx(np.repeat(found.mu[:, None], found.studies.shape[1], 1))
    assert found.studies_sd[0] == pytest.approx(found.mu_sd[0])


def test_averaged_over_tau_the_trace_is_the_posterior() -> None:
    post = posterior(events=EVENTS, n=N)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    end = float(post.tau.quantile(1 - 1e-9))
    found = post.trace(0.5 * end * (nodes + 1))
    mass = 0.5 * end * weights * found.density
    assert mass.sum() == pytest.approx(1.0, abs=1e-7)
    assert mass @ found.studies == pytest.approx(post.studies["mean"].to_numpy(), abs=1e-6)


def test_the_table_is_on_the_display_scale() -> None:
    found = posterior(events=EVENTS, n=N, study=list("abcde")).trace()
    table = found.frame()
    assert list(table.columns) == ["mean", *"abcde"]
    assert table["c"].to_numpy() == pytest.approx(expit(found.studies[:, 2]))
    assert (table.index[0], len(table)) == (0.0, 41)


def test_other_values_of_tau_leave_the_posterior_of_a_study_as_it_is() -> None:
    post = posterior(events=[0, 1, 0, 2, 0], n=[20, 25, 30, 15, 40])
    before = post.study("Study 2").quantile([0.1, 0.5, 0.9])
    bayes.compare(post, {"wide": bayes.Uniform(20.0)})
    post.trace([0.0, 10.0, 30.0])
    assert post.study("Study 2").quantile([0.1, 0.5, 0.9]) == pytest.approx(before, abs=1e-7)


def test_the_table_of_shrinkage_is_made_once_and_handed_out_as_a_copy() -> None:
    post = posterior(events=EVENTS, n=N)
    first = post.shrinkage()
    first.loc[:, "estimate"] = 0.0
    assert (post.shrinkage()["estimate"] > 0).all()
    assert len(post._shrunken) == 1


@pytest.mark.parametrize("tau", [-0.1, [0.1, np.inf], [[0.1]]])
def test_impossible_values_are_refused(tau: object) -> None:
    with pytest.raises(MetaAnalysisError, match="at least 0"):
        posterior(events=EVENTS, n=N).trace(tau)  # type: ignore[arg-type]
