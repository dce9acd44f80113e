"""Keys of quiz and exam, each computed here a second time from the CSV files."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from scipy.special import expit, logsumexp

from helpers import EvidenceError
from helpers.evidence.own import read_own
from helpers.reporting.analysis import ColumnNames, analyse
from helpers.teaching import planted_file, planted_key, self_check

ROOT = Path(__file__).resolve().parents[2]
TABLE = pd.read_csv(ROOT / "data" / "cohorts.csv")
X, N = TABLE["nonrelapse_deaths"].to_numpy(float), TABLE["patients"].to_numpy(float)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


def asked(chapter: str, words: str):
    """The one question of a chapter with these words."""
    found = [q for q in self_check(chapter).questions if words in q.prompt]
    assert len(found) == 1
    return found[0]


def numbers(text: str) -> list[float]:
    return [float(part) for part in re.findall(r"\d+(?:\.\d+)?", text)]


def loglik(mu: float, tau: float, x=X, n=N) -> float:
    """Binomial-normal log-likelihood by plain Gauss-Hermite quadrature around each cohort."""
    p = np.clip(x / n, 0.5 / n, 1 - 0.5 / n)
    centre = np.log(p / (1 - p))
    spread = np.sqrt(1 / (n * p * (1 - p)))
    if tau == 0:
        return float(stats.binom.logpmf(x, n, expit(mu)).sum())
    joint = 1 / np.sqrt(1 / tau**2 + 1 / spread**2)
    middle = joint**2 * (mu / tau**2 + centre / spread**2)
    u = middle[:, None] + joint[:, None] * NODES
    terms = (
        np.log(WEIGHTS)
        + NODES**2 / 2
        + stats.binom.logpmf(x[:, None], n[:, None], expit(u))
        + stats.norm.logpdf(u, mu, tau)
        + np.log(joint)[:, None]
    )
    return float(logsumexp(terms, axis=1).sum())


def best(tau: float, x=X, n=N) -> float:
    return -optimize.minimize_scalar(
        lambda mu: -loglik(mu, tau, x, n), bounds=(-6, 2), method="bounded"
    ).fun


def maximum(x=X, n=N) -> tuple[float, float]:
    found = optimize.minimize(
        lambda v: -loglik(v[0], np.exp(v[1]), x, n), [-2.5, -0.7], method="Nelder-Mead"
    )
    return float(found.x[0]), float(np.exp(found.x[1]))


def test_the_share_of_the_weight_is_asked_and_answered_on_one_scale():
    add = np.where((X == 0) | (X == N), 0.5, 0.0)
    x, rest = X + add, N - X + add
    y, v = np.log(x / rest), 1 / x + 1 / rest

    def minus(tau2: float) -> float:
        w = 1 / (v + tau2)
        mu = (w * y).sum() / w.sum()
        return float(0.5 * (np.log(v + tau2).sum() + np.log(w.sum()) + (w * (y - mu) ** 2).sum()))

    tau2 = optimize.minimize_scalar(minus, bounds=(0, 2), method="bounded").x
    common, random = (1 / v) / (1 / v).sum(), (1 / (v + tau2)) / (1 / (v + tau2)).sum()
    top = int(common.argmax())
    found = asked("pooling", "of the weight")
    assert f"{TABLE['cohort'][top]} carries {100 * common[top]:.0f}%" in found.prompt
    assert found.right.text == f"{100 * random[top]:.0f}%"
    assert "inverse variance" in found.prompt


def test_the_interval_of_the_variance_is_that_of_the_profile_and_named_so():
    mu, tau = maximum()
    limit = loglik(mu, tau) - stats.chi2.ppf(0.95, 1) / 2
    low, high = (
        optimize.brentq(lambda t: best(t) - limit, *bracket, xtol=1e-6) ** 2
        for bracket in ((0.15, tau), (tau, 1.2))
    )
    found = asked("heterogeneity", "How well")
    assert numbers(found.right.text)[-2:] == [round(low, 2), round(high, 2)]
    assert "CI" in found.right.text
    assert "anything" not in found.right.text  # a 95% interval bounds nothing
    assert f"{tau**2:.2f}" in found.right.why


def test_wilson_and_exact_coverage_of_the_smallest_cohort_without_a_death():
    n = int(N[X == 0].min())
    z2 = stats.norm.ppf(0.975) ** 2
    found = asked("effect_sizes", "nobody of")
    assert numbers(found.right.text) == [95, round(100 * z2 / (n + z2), 1)]
    counts = np.arange(n + 1)
    rate = counts / n
    half = np.sqrt(z2 * rate * (1 - rate) / n)
    grid = np.linspace(0.02, 0.2, 60)
    centre = (counts + z2 / 2) / (n + z2)
    wide = np.sqrt(z2) * np.sqrt(n) / (n + z2) * np.sqrt(rate * (1 - rate) + z2 / (4 * n))
    limits = {
        "Wald, raw": (rate - half, rate + half),
        "Wilson": (centre - wide, centre + wide),
        "Clopper-Pearson": (
            np.nan_to_num(stats.beta.ppf(0.025, counts, n - counts + 1)),
            np.nan_to_num(stats.beta.ppf(0.975, counts + 1, n - counts), nan=1.0),
        ),
    }
    cover = {
        name: np.mean([stats.binom.pmf(counts, n, p)[(low <= p) & (p <= high)].sum() for p in grid])
        for name, (low, high) in limits.items()
    }
    least = asked("effect_sizes", "least often")
    assert least.right.text == min(cover, key=lambda name: cover[name])
    for option in least.options:
        assert numbers(option.why) == [round(100 * cover[option.text], 1)]


def test_leaving_out_cohorts_without_deaths_is_said_as_it_comes_out():
    whole, _ = maximum()
    rest, _ = maximum(X[X > 0], N[X > 0])
    out = next(o for o in asked("effect_sizes", "nobody of").options if "left out" in o.text)
    assert ("raises" in out.why) == (rest > whole)
    cells = nbformat.read(ROOT / "book" / "exam.ipynb", as_version=4).cells
    solution = next(c for c in cells if c.id == "zero-solution")
    assert "always" not in solution.source
    said = next(v for v in solution.metadata["user_expressions"] if v["expression"] == "moves")
    assert said["result"]["data"]["text/plain"] == ("'raises'" if rest > whole else "'lowers'")


def test_unknown_causes_bound_the_share():
    causes = pd.read_csv(ROOT / "data" / "causes.csv")
    eleven = causes[causes["grouping"] == "all, eleven causes"].groupby("cause")["deaths"].sum()
    unknown = [name for name in eleven.index if "unknown" in name.lower()]
    known = eleven["infection"] / eleven.sum()
    most = (eleven["infection"] + eleven[unknown].sum()) / eleven.sum()
    found = asked("causes_of_death", "unknown")
    assert numbers(found.right.text) == [round(100 * known, 1), round(100 * most, 1)]


def test_two_intervals_overlap_and_the_difference_is_told_by_its_test():
    found = asked("subgroups", "overlap")
    level, a, b, c, d = (value / 100 for value in numbers(found.prompt))
    assert (level, b > c) == (0.95, True)
    low, high = (np.log(np.array(one) / (1 - np.array(one))) for one in ((a, b), (c, d)))
    z = stats.norm.ppf(0.975)
    se = [np.ptp(one) / 2 / z for one in (low, high)]
    p = 2 * stats.norm.sf((high.mean() - low.mean()) / np.hypot(*se))
    assert f"p = {p:.2f}" in found.right.why
    assert p < 0.05
    lax = next(o for o in found.options if "neither" in o.text)
    assert lax != found.right
    assert expit(low.mean()) < c < b < expit(high.mean())  # as the option says


def test_a_printed_number_is_compared_as_printed():
    found = asked("reproduction", "6.84")
    printed, ours = numbers(found.prompt)
    assert round(ours, 1) == printed
    assert "digits printed" in found.right.text
    off = next(o for o in found.options if "percentage points" in o.text)
    assert numbers(off.text) == [round(ours - printed, 2)]


def test_a_report_leaves_out_a_study_whose_count_is_not_available():
    content = b"study,events,n\nA 2020,n/a,40\nB 2021,2,50\nC 2022,5,60\n"
    own = read_own(content, {})
    assert own.data["events"].isna().tolist() == [True, False, False]
    fit = analyse(own.data, ColumnNames(**own.roles)).fit
    assert fit.k == 2
    assert fit.studies["reason"].iloc[0]
    with pytest.raises(EvidenceError) as caught:  # nor is what could be a count taken
        read_own(content.replace(b"n/a", b'"1,5"'), {})
    assert "1,5" in str(caught.value)
    right = asked("your_own_table", "n/a").right
    assert "leaves the study out" in right.text
    assert "reason" in right.why


def test_one_caution_is_no_plural():
    right = asked("your_own_table", "smallest cohorts").right.text
    assert right in {
        "Its interval",
        "Its interval and its caution",
        "Its interval and its cautions",
    }


def test_the_table_with_errors_is_counted_by_errors_and_described_as_it_is():
    key = planted_key()
    # Two denominators exchanged are one error in two rows.
    assert key["kind"].nunique() == len(key) - 1
    rows = list(csv.DictReader(io.StringIO(planted_file().read_text(encoding="utf-8"))))
    wrong = {row["study"]: row for row in rows}
    for _, line in key.iterrows():
        kind, was, now = line["kind"], line["original"], line["planted"]
        if kind == "transposed digits":
            assert sorted(was) == sorted(now)
            assert was != now
        if kind == "a digit too many":
            assert len(now) == len(was) + 1
            assert now.endswith(was)
        if kind == "days in place of months":
            assert float(now) == pytest.approx(30 * float(was))
            assert float(now) / 12 == pytest.approx(15, abs=0.5)
        if kind == "a misplaced decimal point":
            row = wrong[line["cohort"]]
            assert float(now) > 10 * int(row["events"]) / int(row["n"])
        if kind == "transposed denominators":
            other = key[(key["kind"] == kind) & (key["cohort"] != line["cohort"])].iloc[0]
            assert (was, now) == (other["planted"], other["original"])
    # "Far above the others of its disease": the largest rate of its group in the planted table.
    group = [r for r in rows if r["group"] == "MCL"]
    rates = {r["study"]: int(r["events"]) / int(r["n"]) for r in group}
    assert max(rates, key=lambda name: rates[name]) == "Iacoboni 2022"
    # The review's own exchange, of which the solution speaks, is still in it.
    audit = pd.read_csv(ROOT / "data" / "audit.csv").query("kind == 'transposed'")
    for _, line in audit.iterrows():
        assert wrong[line["cohort"]]["n"] == line["review_value"] != line["source_value"]
