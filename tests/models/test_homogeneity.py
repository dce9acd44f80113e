"""The test of a GLMM is the likelihood ratio, everywhere, and no sentence contradicts it.

Expected values come from the closed form of the likelihood ratio (the deviance of one common rate),
never from the code that is tested.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy.special import xlogy
from scipy.stats import chi2

from helpers import meta_regression, pool, printing, subgroups
from helpers.models.result import PoolResult
from helpers.reporting import sentences
from helpers.reporting.analysis import Analysis, ColumnNames
from helpers.reporting.analysis import analyse as analyse_report
from helpers.reporting.in_browser import analyse
from helpers.reporting.make import USUAL
from helpers.views import plots
from helpers.views.plots.note import note_of

X, N = np.array([3, 0, 11, 5, 0, 0, 0]), np.array([40, 25, 130, 60, 20, 31, 44])


def deviance(x: np.ndarray, n: np.ndarray, rate: Any = None) -> float:
    """Likelihood ratio of one common rate (or of given ones) against one rate for each study."""
    p = x.sum() / n.sum() if rate is None else rate
    return float(2 * (xlogy(x, x / (n * p)) + xlogy(n - x, (n - x) / (n * (1 - p)))).sum())


def cochran(x: np.ndarray, n: np.ndarray) -> float:
    """Cochran's Q of logits, half an event added where a cell is empty."""
    add = np.where((x == 0) | (x == n), 0.5, 0.0)
    a, b = x + add, n - x + add
    y, w = np.log(a / b), a * b / (a + b)
    return float((w * (y - np.average(y, weights=w)) ** 2).sum())


def test_the_table_of_the_issue() -> None:
    found = pool(events=X, n=N, model="glmm").heterogeneity
    ratio = deviance(X, N)
    assert (found.test, found.df) == ("likelihood ratio", 6)
    assert pytest.approx(ratio, rel=1e-10) == found.Q
    assert found.p == pytest.approx(chi2.sf(ratio, 6), rel=1e-9)
    assert round(found.p, 3) == 0.011
    # Wald: three studies have events, and so carry weight and count
    seen = X > 0
    assert pytest.approx(cochran(X[seen], N[seen]), rel=1e-10) == found.Q_wald
    assert found.df_wald == 2
    assert found.p_wald == pytest.approx(chi2.sf(found.Q_wald, 2), rel=1e-10)


def test_full_cells_and_rates_carry_no_wald_weight_either() -> None:
    full = pool(events=[3, 8, 20, 12], n=[40, 60, 20, 55], model="glmm").heterogeneity
    assert full.df_wald == 2
    rates = pool(events=[3, 0, 9, 4], time=[40, 60, 20, 55], measure="log-rate", model="glmm")
    x, t = np.array([3, 0, 9, 4]), np.array([40, 60, 20, 55])
    expected = 2 * xlogy(x, x / (t * x.sum() / t.sum())).sum()
    assert rates.heterogeneity.df_wald == 2
    assert pytest.approx(expected, rel=1e-10) == rates.heterogeneity.Q


def test_every_view_gives_this_test() -> None:
    labels = list("abcdefg")
    fit = pool(events=X, n=N, study=labels, model="glmm")
    row, plain = fit.row(), fit.to_dict()["heterogeneity"]
    expected = (deviance(X, N), 6, chi2.sf(deviance(X, N), 6))
    assert (row["Q"], row["df"], row["p"]) == pytest.approx(expected, rel=1e-9)
    assert (plain["Q"], plain["df"], plain["p"]) == pytest.approx(expected, rel=1e-9)
    assert plain["test"] == "likelihood ratio"
    printed = printing.p_value(0.011)
    assert printed in printing.homogeneity_test(fit)
    assert "likelihood-ratio" in printing.homogeneity_test(fit)
    table = note_of(plots.forest(fit)).table
    assert printed in table.html
    for layout in ("jama", "bmj", "revman"):
        drawn = plots.forest(fit, layout=layout).figure.findobj(Text)
        line = " ".join(t.get_text() for t in drawn).partition("eterogeneity")[2]
        assert "likelihood-ratio" in line
        assert "16." in line
        assert re.search(r"P\W+0?\.01", line)
    content = "study,events,n\n" + "".join(
        f"{s},{x},{n}\n" for s, x, n in zip(labels, X, N, strict=True)
    )
    shown = dict(analyse(content.encode(), model="glmm")["rows"])
    assert printed in shown["Test of one common rate (likelihood ratio)"]


def test_leaving_out_accumulating_and_subsets_give_this_test() -> None:
    fit = pool(events=X, n=N, model="glmm")
    out = fit.leave_one_out()
    for i in range(7):
        rest = np.arange(7) != i
        ratio = deviance(X[rest], N[rest])
        assert out["Q"].iloc[i] == pytest.approx(ratio, rel=1e-9)
        assert out["p"].iloc[i] == pytest.approx(chi2.sf(ratio, 5), rel=1e-8)
        assert fit.influence().frame()["Q_deleted"].iloc[i] == pytest.approx(ratio, rel=1e-9)
    grown = fit.cumulative()
    assert grown["Q"].iloc[3] == pytest.approx(deviance(X[:4], N[:4]), rel=1e-9)
    assert grown["p"].iloc[0] == 1.0
    subsets = fit.gosh(min_size=7)
    assert subsets.Q.tolist() == pytest.approx([deviance(X, N)], rel=1e-9)


def test_groups_and_regressions_give_this_test() -> None:
    by = np.array(list("aaabbbb"))
    x, n = X + np.array([0, 0, 0, 0, 2, 0, 0]), N
    for tau2 in ("separate", "common"):
        result = subgroups(events=x, n=n, by=by, model="glmm", group_tau2=tau2)
        for level, fit in result:
            mine = by == level
            assert pytest.approx(deviance(x[mine], n[mine]), rel=1e-9) == fit.heterogeneity.Q
            assert fit.heterogeneity.df == mine.sum() - 1
    data = pd.DataFrame({"x": x, "n": n, "by": by, "study": range(7)})
    fit = meta_regression(data, "by", events="x", n="n", study="study", model="glmm")
    rate = np.where(by == "a", x[:3].sum() / n[:3].sum(), x[3:].sum() / n[3:].sum())
    assert pytest.approx(deviance(x, n, rate), rel=1e-9) == fit.heterogeneity.Q
    assert pytest.approx(chi2.sf(deviance(x, n, rate), 5), rel=1e-8) == fit.heterogeneity.p
    # two groups, two studies with events in each: one free difference in each
    assert fit.heterogeneity.df_wald == 2


def test_a_common_rate_by_likelihood_has_i2_from_its_own_test() -> None:
    fit = pool(events=X, n=N, model="common", method="likelihood")
    ratio = deviance(X, N)
    assert pytest.approx(100 * (ratio - 6) / ratio, rel=1e-9) == fit.heterogeneity.I2
    assert fit.leave_one_out()["I2"].iloc[0] == pytest.approx(
        100 * (1 - 5 / deviance(X[1:], N[1:])), rel=1e-8
    )


# --- sentences that judge -------------------------------------------------------------------------


def tables(number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(20)
    made = []
    for _ in range(number):
        k = int(rng.integers(2, 12))
        n = rng.integers(10, 150, k)
        rate = rng.choice([0.02, 0.07, 0.3])
        logit = np.log(rate / (1 - rate)) + rng.choice([0.0, 0.5, 1.2]) * rng.standard_normal(k)
        x = rng.binomial(n, 1 / (1 + np.exp(-logit)))
        if 0 < x.sum() < n.sum():
            made.append((x, n))
    return made


def p_by_hand(fit: PoolResult, x: np.ndarray, n: np.ndarray) -> float:
    statistic = deviance(x, n) if fit.options.method == "likelihood" else cochran(x, n)
    return float(chi2.sf(statistic, len(x) - 1))


def contradictions(text: str, p: float) -> list[str]:
    """Sentences that affirm differences beyond chance where the test of the model does not."""
    found = []
    for sentence in re.split(r"(?<=[.;])\s", text):
        affirms = re.search(
            r"more (variation |than chance)|beyond chance|not (due to )?chance|do not share|"
            r"differ by more",
            sentence,
        )
        defines = "is estimated at" in sentence or "does not show" in sentence
        if affirms and not defines and p >= 0.05:
            found.append(sentence)
    return found


def test_the_old_sentence_would_be_seen() -> None:
    old = "Of the variation between the cohorts 64% is more than chance (I²), p > 0.99."
    assert contradictions(old, 0.999)


def test_no_sentence_contradicts_the_test() -> None:
    seen = {"differ": 0, "not shown": 0, "disagree": 0}
    models: list[dict[str, Any]] = [
        {"model": "glmm"},
        {"model": "random", "ci_method": "wald"},
        {"model": "common", "method": "likelihood"},
    ]
    for x, n in tables(60):
        for options in models:
            fit = pool(events=x, n=n, **options)
            p, said = p_by_hand(fit, x, n), printing.heterogeneity(fit)
            assert fit.heterogeneity.p == pytest.approx(p, rel=1e-7)
            kind = (
                "not shown"
                if "does not show" in said
                else "disagree"
                if "estimated at zero" in said
                else "differ"
            )
            seen[kind] += 1
            assert (kind == "not shown") == (p >= 0.05)
            assert printing.p_value(p) in said
            assert not contradictions(said, p)
            # whoever prints a share beside a p prints that of this test
            assert (
                f"{printing.percent(fit.heterogeneity.I2 / 100, 0)}" in said or kind == "disagree"
            )
    assert seen["differ"] > 20
    assert seen["not shown"] > 20


def report_of(x: np.ndarray, n: np.ndarray) -> Analysis:
    data = pd.DataFrame({"study": [f"S{i}" for i in range(len(x))], "events": x, "n": n})
    return analyse_report(data, ColumnNames())


def test_reports_and_pictures_do_not_contradict_the_test() -> None:
    for x, n in [(X, N), *tables(6)]:
        fit = pool(events=x, n=n, model="glmm")
        p = p_by_hand(fit, x, n)
        texts = [sentences.heterogeneity(report_of(x, n), USUAL)]
        for figure in (plots.forest(fit), plots.profile(fit) if fit.tau2 > 0 else None):
            if figure is not None:
                note = note_of(figure)
                texts += [note.caption, note.alt]
        assert not contradictions(" ".join(texts), p)
    assert printing.p_value(0.011) in sentences.heterogeneity(report_of(X, N), USUAL)
