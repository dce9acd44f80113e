"""Effects in place of counts, cohorts in clusters, ratings of the risk of bias."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from report_tools import codes
from scipy import optimize, special, stats

from helpers.errors import MetaAnalysisError
from helpers.evidence import EvidenceError
from helpers.evidence.own import read_own
from helpers.evidence.plain import read_counts
from helpers.reporting import report
from helpers.reporting.command import main

TRIALS = b"""Author,HR,LCL,UCL,registry,rob,group
A 2019,0.65,0.48,0.88,EBMT,low,x
B 2020,0.80,0.55,1.16,EBMT,Some concerns,x
C 2020,0.91,0.70,1.18,CIBMTR,High,y
D 2021,0.52,0.30,0.90,CIBMTR,low,y
E 2022,1.10,0.75,1.61,,low,y
F 2022,0.70,0.50,0.98,DESCAR-T,serious,x
"""

HR = np.array([0.65, 0.80, 0.91, 0.52, 1.10, 0.70])

LCL = np.array([0.48, 0.55, 0.70, 0.30, 0.75, 0.50])

UCL = np.array([0.88, 1.16, 1.18, 0.90, 1.61, 0.98])

REGISTRY = np.array([0, 0, 1, 1, 2, 3])

LOG_HR, SE = np.log(HR), np.log(UCL / LCL) / (2 * stats.norm.ppf(0.975))

IN_TRIALS = {"cluster": "registry", "risk_of_bias": "rob"}


@cache
def trials():
    """Report of the trials, made once; reports do not change."""
    return report(TRIALS, **IN_TRIALS)


def restricted(y, parts):
    """Mean and variances by REML: `parts` are matrices that the variances are multiplied with."""

    def inverse(variances):
        within = np.diag(parts[0])
        return np.linalg.inv(within + sum(v * m for v, m in zip(variances, parts[1:], strict=True)))

    def minus(variances):
        weight = inverse(variances)
        total = weight.sum()
        mean = (weight @ y).sum() / total
        rest = y - mean
        return -np.linalg.slogdet(weight)[1] + np.log(total) + rest @ weight @ rest

    starts = [[v] * (len(parts) - 1) for v in (0.001, 0.05, 0.3)]
    bounds = [(0, None)] * (len(parts) - 1)
    tight = {"ftol": 1e-15, "gtol": 1e-11}
    tried = [optimize.minimize(minus, s, bounds=bounds, options=tight) for s in starts]
    best = min(tried, key=lambda one: one.fun)
    weight = inverse(best.x)
    return (weight @ y).sum() / weight.sum(), best.x, weight


def test_ratios_with_limits_are_pooled_as_logarithms():
    made = trials()
    found = made.analysis
    assert found.understood.startswith("'HR' is a ratio; study = 'Author'")
    mean, (tau2,), weight = restricted(LOG_HR, [SE**2, np.eye(6)])
    assert found.fit.estimate == pytest.approx(np.exp(mean), rel=1e-6)
    assert found.fit.tau2 == pytest.approx(tau2, abs=1e-6)
    scale = max(1.0, (weight @ (LOG_HR - mean) ** 2).sum() / 5)
    half = stats.t.ppf(0.975, 5) * np.sqrt(scale / weight.sum())
    assert np.log(found.fit.ci) == pytest.approx([mean - half, mean + half], abs=1e-5)
    common = np.average(LOG_HR, weights=SE**-2.0)
    assert found.beside.estimate == pytest.approx(np.exp(common), rel=1e-9)
    line = np.polyfit(SE, LOG_HR, 1, w=1 / SE)  # Egger's slope
    assert found.tests["Egger"].bias == pytest.approx(line[0], rel=1e-9)
    assert made.answer.startswith("HR: 0.78 (95%\xa0CI 0.61 to 1.00), pooled over six studies.")
    (axis,) = [ax for ax in made.figures["forest"].axes if ax.get_xscale() == "log"]
    assert axis.get_xlabel() == "HR"
    assert [line.get_xdata()[0] for line in axis.lines if line.get_gid() == "null"] == [1.0]


def test_cohorts_of_a_registry_are_pooled_in_three_levels():
    found = trials().analysis
    same = (REGISTRY[:, None] == REGISTRY).astype(float)
    mean, variances, _ = restricted(LOG_HR, [SE**2, same, np.eye(6)])
    assert found.levels.estimate == pytest.approx(np.exp(mean), rel=1e-5)
    assert found.levels.sigma2_between == pytest.approx(variances[0], abs=1e-5)
    assert found.levels.clusters == 4  # a cohort without a registry is a cluster of its own
    assert found.robust.robust == "CR2"
    for cluster, name in enumerate(("EBMT", "CIBMTR", "E 2022 (alone)", "DESCAR-T")):
        keep = cluster != REGISTRY
        mean, *_ = restricted(LOG_HR[keep], [SE[keep] ** 2, np.eye(keep.sum())])
        assert found.without_cluster.loc[name, "estimate"] == pytest.approx(np.exp(mean), rel=1e-5)


def test_the_robust_interval_is_that_of_dense_matrices():
    """CR2 and its degrees of freedom by Pustejovsky and Tipton (2018), equations 3 and 12.

    Their working model here is that of the fit: variance of sampling, clusters and cohorts.
    """
    robust = trials().analysis.robust
    same = (REGISTRY[:, None] == REGISTRY).astype(float)
    mean, variances, _ = restricted(LOG_HR, [SE**2, same, np.eye(6)])
    phi = np.diag(SE**2) + variances[0] * same + variances[1] * np.eye(6)
    w, x = np.linalg.inv(phi), np.ones((6, 1))
    m = np.linalg.inv(x.T @ w @ x)
    left = np.eye(6) - x @ m @ x.T @ w  # residuals of the fit
    pulls, meat = [], 0.0
    for cluster in np.unique(REGISTRY):
        at = np.flatnonzero(cluster == REGISTRY)
        d = np.linalg.cholesky(phi[np.ix_(at, at)]).T
        b = d @ left[at] @ phi @ left[at].T @ d.T
        size, direction = np.linalg.eigh(b)
        half = direction @ np.diag(np.where(size > 1e-12, size, np.inf) ** -0.5) @ direction.T
        adjusted = m @ x[at].T @ w[np.ix_(at, at)] @ d.T @ half @ d
        meat += (adjusted @ (LOG_HR[at] - mean)).item() ** 2
        pulls.append((adjusted @ left[at]).ravel())
    p = np.array(pulls) @ phi @ np.array(pulls).T
    df = np.trace(p) ** 2 / np.trace(p @ p)
    limits = mean + stats.t.ppf([0.025, 0.975], df) * np.sqrt(meat)
    assert np.log(robust.ci) == pytest.approx(limits, abs=2e-4)  # two ways to the variances


def test_ratings_give_groups_a_result_without_high_risk_and_signs_in_the_forest():
    made = trials()
    found = made.analysis
    assert [(name, fit.k) for name, fit in found.ratings] == [
        ("Low risk", 3), ("Some concerns", 1), ("High risk", 2),
    ]  # fmt: skip
    keep = np.array([True, True, False, True, True, False])
    mean, *_ = restricted(LOG_HR[keep], [SE[keep] ** 2, np.eye(4)])
    assert found.low_risk.estimate == pytest.approx(np.exp(mean), rel=1e-5)
    assert "Without the two studies at high risk the estimate is 0.76" in made.html
    words = [text.get_text() for ax in made.figures["forest"].axes for text in ax.texts]
    assert (words.count("+"), words.count("?"), words.count("−")) == (3, 1, 2)
    assert "Risk of bias: + low; ? some concerns; − high" in words


def test_counts_have_clusters_and_ratings_too(undrawn):
    table = (
        b"study,events,n,registry,rob\nA,3,40,x,low\nB,6,50,x,low\nC,5,60,y,high\n"
        b"D,9,70,y,unclear\nE,2,30,z,low\nF,8,90,z,high\n"
    )
    found = report(table, **IN_TRIALS).analysis
    assert (found.levels.model, found.robust.model) == ("glmm", "random")
    events, n = np.array([3, 6, 9, 2]), np.array([40, 50, 70, 30])
    # without variance between studies the binomial likelihood is that of the summed counts
    assert found.low_risk.tau2 == pytest.approx(0.0, abs=1e-8)
    assert found.low_risk.estimate == pytest.approx(events.sum() / n.sum(), rel=1e-6)
    with pytest.raises(EvidenceError, match="a rating: low; some concerns"):
        report(table.replace(b"unclear", b"maybe"), **IN_TRIALS)
    alone = table.replace(b"B,6,50,x", b"B,6,50,v").replace(b"D,9,70,y", b"D,9,70,w")
    told = report(alone.replace(b"F,8,90,z", b"F,8,90,u"), cluster="registry")
    reasons = [one.reason for one in told.not_computed if one.what == "Cohorts within clusters"]
    assert reasons[0].startswith("every cluster has one cohort")


EFFECTS = "study,{},{}\nA,0.2,0.1\nB,0.5,0.2\nC,0.3,0.15\nD,-0.1,0.25\n"


@pytest.mark.parametrize(
    ("names", "scale", "measure"),
    [
        (("yi", "sei"), None, "effect"),
        (("logOR", "SE"), None, "log-ratio"),
        (("yi", "sei"), "logit", "logit"),
    ],
)
def test_effects_with_standard_errors_are_taken_by_their_names(names, scale, measure, undrawn):
    own = read_own(EFFECTS.format(*names).encode(), {}, scale=scale)
    assert own.roles == {"study": "study", "effect": names[0], "se": names[1]}
    fit = report(EFFECTS.format(*names).encode(), scale=scale).analysis.fit
    y, se = np.array([0.2, 0.5, 0.3, -0.1]), np.array([0.1, 0.2, 0.15, 0.25])
    mean, *_ = restricted(y, [se**2, np.eye(4)])
    shown = {"effect": mean, "log-ratio": np.exp(mean), "logit": special.expit(mean)}
    assert (fit.measure, fit.estimate) == (measure, pytest.approx(shown[measure], rel=1e-5))


VARIANCES = b"author,yi,vi\nA,0.2,0.01\nB,0.5,0.04\nC,0.3,0.0225\nD,-0.1,0.0625\n"


def test_effects_with_variances_are_pooled(undrawn):
    made = report(VARIANCES)
    assert made.analysis.understood == "study = 'author', effect = 'yi', variance = 'vi'"
    y, v = np.array([0.2, 0.5, 0.3, -0.1]), np.array([0.01, 0.04, 0.0225, 0.0625])
    mean, *_ = restricted(y, [v, np.eye(4)])
    assert made.analysis.fit.estimate == pytest.approx(mean, rel=1e-5)
    assert read_counts(VARIANCES).vi == pytest.approx(v, rel=1e-15)
    assert "variances are above 0" in made.html


def test_what_cannot_be_an_effect_is_refused_or_pointed_out(undrawn):
    with pytest.raises(MetaAnalysisError, match="needs limits"):
        report(EFFECTS.format("OR", "SE").encode())
    with pytest.raises(MetaAnalysisError, match="'se'; 'variance': name one of these"):
        read_own(b"study,y,s,v\nA,1,2,3\n", {"effect": "y", "se": "s", "variance": "v"})
    with pytest.raises(MetaAnalysisError, match="'se'; 'lower' and 'upper': name one of these"):
        read_own(b"study,y,s,l\nA,1,2,3\n", {"effect": "y", "se": "s", "lower": "l"})
    with pytest.raises(EvidenceError, match=r"a column of standard errors \(choose it with --se\)"):
        read_own(b"study,yi\nA,1\n", {"effect": "yi"})
    with pytest.raises(MetaAnalysisError, match=r"counts .* and effects .*: name one of the two"):
        read_own(b"study,x,n,yi,se\nA,1,2,3,4\n", {"events": "x", "effect": "yi"})
    with pytest.raises(EvidenceError, match="at most the number in column 'UCL'"):
        read_own(TRIALS.replace(b"0.88,EBMT", b"0.58,EBMT"), IN_TRIALS)
    raw = report(TRIALS, scale="raw", **IN_TRIALS).analysis
    plain = report(TRIALS, **IN_TRIALS).analysis
    assert "lopsided-limits" not in codes(plain)
    far = report(TRIALS.replace(b"0.65,", b"0.86,"), **IN_TRIALS).analysis
    assert "lopsided-limits" in codes(far)
    assert raw.fit.measure == "effect"


@pytest.mark.parametrize(
    ("table", "order", "options"),
    [
        (TRIALS, "--cluster registry --risk-of-bias rob --scale ratio --effect HR", IN_TRIALS),
        (VARIANCES, "--vi vi", {}),
    ],
    ids=["ratios", "variances"],
)
def test_the_command_takes_effects_as_the_call_does(table, order, options, tmp_path, undrawn):
    (tmp_path / "mine.csv").write_bytes(table)
    out = tmp_path / "out"
    words = ["report", str(tmp_path / "mine.csv"), *order.split(), "--quiet", "--out", str(out)]
    assert main(words) == 0
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(report(tmp_path / "mine.csv", **options).to_dict()))
