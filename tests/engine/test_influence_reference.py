"""Deletion, accumulation, subsets and sign flips give R's values, every one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference_values import DIAGNOSTICS, Agreement, counts, load

from helpers.engine.aftercare import baujat, cumulative, gosh, influence, leave_one_out
from helpers.engine.aftercare.sign_flips import permutation_test
from helpers.models.pooling import pool
from helpers.models.result import PoolResult

#: R's name of a quantity -> our column.
COLUMNS = {
    "estimate": "mu",
    "se": "se",
    "Q": "Q",
    "Qp": "p",
    "QE": "Q",
    "tau2": "tau2",
    "I2": "I2",
    "H2": "H2",
    "loglik": "loglik",
    "QE.LRT": "Q",
}
MODELS: dict[str, dict[str, Any]] = {
    "REML": {"ci_method": "wald"},
    "REML_knha": {"ci_method": "knapp-hartung"},
    "EE": {"model": "common"},
    "DL": {"tau2_method": "DL", "ci_method": "wald"},
}


def fitted(rows: Any = slice(None), **options: Any) -> PoolResult:
    x, n = counts()
    return pool(events=x[rows], n=n[rows], **{"model": "random", **options})


def kind_of(name: str) -> str:
    return "tight" if name.startswith("REML") else "closed"


def compare(table: Any, reference: dict[str, Any], kind: str, name: str, agree: Agreement) -> None:
    """All columns that R has, and the limits on the model scale."""
    for theirs, ours in COLUMNS.items():
        if theirs in reference and ours in table:
            agree.close(table[ours], reference[theirs], kind, f"{name}/{theirs}")
    for theirs, ours in (("ci.lb", "ci_lower"), ("ci.ub", "ci_upper")):
        limit = table[ours].to_numpy()
        agree.close(np.log(limit / (1 - limit)), reference[theirs], kind, f"{name}/{theirs}")


def test_leave_one_out_by_inverse_variance() -> None:
    agree = Agreement()
    for name, options in MODELS.items():
        reference = load()["influence"][f"{name}_leave1out"]
        compare(leave_one_out(fitted(**options)), reference, kind_of(name), name, agree)
    # mu, se, Q, its p, tau2 (not for the common effect), I2, H2 and two limits
    agree.finish(52 * (9 + 9 + 8 + 9))


def test_leave_one_out_of_the_glmm() -> None:
    agree = Agreement()
    table = leave_one_out(fitted(model="glmm"))
    exact = load()["influence"]["GLMM_leave1out_exact"]
    compare(table, exact, "glmm", "exact", agree)
    glmer = load()["influence"]["GLMM_leave1out_glmer"]
    compare(table, glmer, "lme4", "glmer", agree)
    # exact: mu, se, tau2, loglik, limits; lme4: mu, se, tau2, I2, likelihood-ratio Q, limits
    agree.finish(52 * (6 + 7))
    assert table["converged"].all()


def test_influence_diagnostics() -> None:
    agree = Agreement()
    flagged = {}
    for name in ("REML", "EE", "REML_knha"):
        reference = load()["influence"][f"{name}_influence"]
        result = influence(fitted(**MODELS[name]))
        for theirs, ours in DIAGNOSTICS.items():
            agree.close(
                result.frame()[ours].astype(float),
                np.array(reference[theirs], dtype=float),
                kind_of(name),
                f"{name}/{theirs}",
            )
        # The export of R's DFBETAS kept the first study only (its names were lost): that value,
        # and the identity with DFFITS that holds for a common effect.
        first = reference["dfbs"]["intrcpt"]
        assert len(first) == 1
        agree.close(result.dfbetas[:1], first, kind_of(name), f"{name}/dfbs")
        flagged[name] = int(result.flagged.sum())
        if name == "EE":
            agree.close(result.dfbetas, reference["dffits"], "closed", f"{name}/dfbs=dffits")
    agree.finish(3 * (9 * 52 + 1) + 52)
    assert flagged == {"REML": 0, "EE": 6, "REML_knha": 0}


def test_baujat_coordinates() -> None:
    agree = Agreement()
    for name in ("REML", "EE"):
        reference = load()["influence"][f"baujat_{name}"]
        table = baujat(fitted(**MODELS[name]))
        agree.close(table["contribution"], reference["x"], kind_of(name), f"{name}/x")
        agree.close(table["influence"], reference["y"], kind_of(name), f"{name}/y")
    agree.finish(2 * 2 * 52)


def test_cumulative() -> None:
    agree = Agreement()
    data, reference = load()["data"], load()["cumulative"]
    follow_up = np.array(data["FU"], dtype=float)
    known = ~np.isnan(follow_up)
    wald: dict[str, Any] = {"ci_method": "wald"}
    tables = {
        "by_year_REML": cumulative(fitted(**wald), data["year"]),
        "by_year_EE": cumulative(fitted(model="common"), data["year"]),
        "by_n_descending_REML": cumulative(fitted(**wald), "n", ascending=False),
        "by_follow_up_REML": cumulative(fitted(known, **wald), follow_up[known]),
    }
    for name, table in tables.items():
        kind = "closed" if name.endswith("EE") else "tight"
        compare(table, reference[name], kind, name, agree)
        labels = [f"Study {i}" for i in reference[name]["order"]]
        assert list(table.index) == labels, name
    agree.finish(52 * (9 + 8 + 9) + 51 * 9)


def test_fixed_subsets() -> None:
    agree = Agreement()
    reference = load()["PLO_subsets_for_gosh"]
    member = np.zeros((24, 52), dtype=bool)
    for row, subset in enumerate(reference["subsets"]):
        member[row, np.array(subset) - 1] = True
    for name, options in (("REML", MODELS["REML"]), ("EE", MODELS["EE"])):
        refits = fitted(**options).core.fit(member)
        for theirs in ("estimate", "tau2", "I2", "H2", "QE"):
            values = [entry.get(theirs) for entry in reference[name]]
            if values[0] is not None:
                ours = getattr(refits, COLUMNS[theirs])
                agree.close(ours, values, kind_of(name), f"{name}/{theirs}")
    agree.finish(24 * (5 + 4))


def test_gosh_of_all_subsets_of_a_group_holds_the_full_fit_and_every_deletion() -> None:
    fit = fitted(slice(0, 12), ci_method="wald")
    result = gosh(fit)
    assert len(result) == 2**12 - 13
    assert not result.sampled
    whole = result.size == 12
    assert result.mu[whole] == pytest.approx([fit.mu], rel=1e-12)
    eleven = np.flatnonzero(result.size == 11)
    gone = np.argmin(result.member[eleven], axis=1)
    table = leave_one_out(fit)
    assert result.mu[eleven] == pytest.approx(table["mu"].to_numpy()[gone], rel=1e-12)
    assert result.tau2[eleven] == pytest.approx(table["tau2"].to_numpy()[gone], rel=1e-9)


def test_sign_flips_against_eight_percent() -> None:
    reference = load()["permutation_tests"]["MM_intercept_only_sign_flips_against_8_percent"]
    names = load()["meta_regression"]["published_MM"]["product"]["cohorts"]
    rows = np.isin(load()["data"]["Study_Name"], names)
    test = permutation_test(fitted(rows, ci_method="wald"), 0.08, draws="exact", conf_int=False)
    agree = Agreement()
    agree.close(test.p, reference["pval"], "closed", "sign flips/p")
    agree.close(test.draws, reference["n.permutations"], "closed", "sign flips/n")
    agree.close(test.statistic, reference["obs.stat"], "tight", "sign flips/statistic")
    agree.close(test.statistic**2, reference["QM"], "tight", "sign flips/QM")
    agree.close(test.null_model, reference["reference"], "closed", "sign flips/null")
    agree.finish(5)
    assert test.exact
    assert test.failed == 0
