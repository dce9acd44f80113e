"""Contrasts per patient and per patient-year, the exponent of follow-up, and paired rates."""

import numpy as np
import pytest
import reference_values as ref
import statsmodels.api as sm
from scipy.stats import binomtest

from helpers import load_cohorts, meta_regression
from helpers.errors import MetaAnalysisError
from helpers.models.rates import with_person_time
from helpers.review.time_at_risk.contrast import (
    contrast_versions,
    follow_up_exponent,
    reported_against_crude,
    time_contrast,
)

DATA = load_cohorts()
LEVELS = ("cilta-cel", "ide-cel")


@pytest.fixture(scope="module")
def contrast():
    return time_contrast(DATA, by="product", levels=LEVELS)


def test_exponent_one_is_the_model_of_rates_per_patient_year(contrast):
    data = with_person_time(DATA, per=1.0)
    data = data[data["product"].isin(LEVELS)]
    data = data.assign(x=(data["product"] == LEVELS[0]).astype(float))
    fit = meta_regression(
        data, "x", events="nonrelapse_deaths", time="person_time", study="cohort",
        measure="log-rate", model="glmm", ci_method="t",
    )  # fmt: skip
    assert np.log(contrast.at(1)["ratio"]) == pytest.approx(fit.estimates[1], abs=1e-9)


def test_without_heterogeneity_the_ratios_are_those_of_statsmodels(contrast):
    data = DATA[DATA["product"].isin(LEVELS)]
    x = sm.add_constant((data["product"] == LEVELS[0]).astype(float).to_numpy())
    years = data["median_follow_up_months"].to_numpy() / 12
    for g in (0.0, 0.5, 1.0):
        i = contrast.exponents.tolist().index(g)
        assert contrast.fits[i].tau2 == pytest.approx(0, abs=1e-9)
        offset = np.log(data["patients"].to_numpy() * years**g)
        poisson = sm.GLM(
            data["nonrelapse_deaths"].to_numpy(), x, family=sm.families.Poisson(), offset=offset
        ).fit()
        assert np.log(contrast.ratio[i]) == pytest.approx(poisson.params[1], abs=1e-7)
        assert contrast.fits[i].coefficients["se"].iloc[1] == pytest.approx(
            poisson.bse[1], rel=1e-5
        )
    both = sm.GLM(
        data["nonrelapse_deaths"].to_numpy(), np.column_stack([x, np.log(years)]),
        family=sm.families.Poisson(), offset=np.log(data["patients"].to_numpy()),
    ).fit()  # fmt: skip
    assert contrast.exponent()[0] == pytest.approx(both.params[2], abs=1e-6)
    assert np.log(contrast.adjusted()["ratio"]) == pytest.approx(both.params[1], abs=1e-6)


def test_exchanged_levels_give_the_inverse_ratio(contrast):
    other = time_contrast(DATA, by="product", levels=LEVELS[::-1], exponents=(0, 1))
    assert other.at(1)["ratio"] == pytest.approx(1 / contrast.at(1)["ratio"], rel=1e-7)
    assert other.at(0)["ci_lower"] == pytest.approx(1 / contrast.at(0)["ci_upper"], rel=1e-5)


def test_a_common_factor_changes_no_ratio_and_none_acts_at_exponent_zero(contrast):
    common = time_contrast(DATA, by="product", levels=LEVELS, factor=0.6, exponents=(0, 1))
    assert common.at(1)["ratio"] == pytest.approx(contrast.at(1)["ratio"], rel=1e-7)
    each = np.where(DATA["product"] == "cilta-cel", 0.5, 1.0)
    unequal = time_contrast(DATA, by="product", levels=LEVELS, factor=each, exponents=(0, 1))
    assert unequal.at(0)["ratio"] == pytest.approx(contrast.at(0)["ratio"], rel=1e-9)
    assert unequal.at(1)["ratio"] == pytest.approx(2 * contrast.at(1)["ratio"], rel=1e-6)


def test_deaths_in_proportion_to_follow_up_have_the_exponent_one_and_early_deaths_zero():
    months = np.array([6.0, 9.0, 12.0, 24.0, 36.0, 48.0])
    for g in (0.0, 1.0):
        made = DATA.head(6).assign(
            patients=1000, median_follow_up_months=months,
            nonrelapse_deaths=np.round(40 * (months / 12) ** g).astype(int),
        )  # fmt: skip
        estimate, interval, _ = follow_up_exponent(made)
        assert estimate == pytest.approx(g, abs=0.02)
        assert interval.lower < g < interval.upper


def test_cohorts_without_follow_up_take_part_at_no_exponent():
    found = time_contrast(DATA, by="product", levels=("axi-cel", "tisa-cel"), exponents=(0, 1))
    assert found.left_out == ("Dores 2021",)
    assert {fit.k for fit in found.fits} == {sum(found.k.values())} == {26}


def test_wrong_input_is_refused(contrast):
    with pytest.raises(MetaAnalysisError, match="both of"):
        time_contrast(DATA, by="product", levels=("cilta-cel", "none"))
    with pytest.raises(MetaAnalysisError, match="no column 'arms'"):
        time_contrast(DATA, by="arms", levels=LEVELS)
    with pytest.raises(MetaAnalysisError, match="factor"):
        time_contrast(DATA, by="product", levels=LEVELS, factor=0)
    with pytest.raises(MetaAnalysisError, match="months above 0"):
        follow_up_exponent(DATA.assign(median_follow_up_months=0.0))
    with pytest.raises(MetaAnalysisError, match="no fit at"):
        contrast.at(0.33)


def test_reported_and_crude_agree_with_r():
    found = reported_against_crude(DATA)
    want = ref.load()["reported_vs_calculated"]
    assert found.k == len(want["rows"])
    assert found.rows["crude"].tolist() == pytest.approx(want["calculated"], rel=1e-14)
    signed = want["wilcoxon_signed_rank"]
    total = found.k * (found.k + 1) / 2
    assert found.statistic == min(signed["statistic"], total - signed["statistic"])
    assert found.p == pytest.approx(signed["p"], abs=1e-12)
    paired = want["t_test_paired"]
    # R takes reported minus crude
    assert -found.mean_difference == pytest.approx(paired["estimate"][0], rel=1e-12)
    assert [-found.ci.upper, -found.ci.lower] == pytest.approx(paired["conf.int"], rel=1e-10)
    agreement = want["bland_altman"]
    assert -found.limits.upper == pytest.approx(agreement["lower"], rel=1e-4)


def test_the_sign_test_says_the_same_of_reported_and_crude():
    gaps = reported_against_crude(DATA).rows["difference"]
    assert binomtest(int((gaps > 0).sum()), len(gaps)).pvalue > 0.05
    with pytest.raises(MetaAnalysisError, match="at least 3"):
        reported_against_crude(DATA.head(2))


def test_versions_are_the_contrasts_of_their_own_tables():
    fewer = DATA[DATA["cohort"] != "Bishop 2022"]
    pairs = [LEVELS, ("axi-cel", "tisa-cel")]
    found = contrast_versions(
        {"all": (DATA, 1.0), "fewer": (fewer, 0.5)}, by="product", pairs=pairs
    ).set_index(["comparison", "version"])
    assert len(found) == 4
    one = time_contrast(fewer, by="product", levels=pairs[1], exponents=(0, 1))
    row = found.loc[(one.name, "fewer")]
    assert row["k"] == 25
    assert row["per_patient_year"] == pytest.approx(one.at(1)["ratio"], rel=1e-6)
    assert row["adjusted"] == pytest.approx(one.adjusted()["ratio"], rel=1e-6)
    # a table without change in these products gives the same comparison
    myeloma = found.loc["cilta-cel versus ide-cel"]
    assert myeloma.loc["all", "per_patient"] == pytest.approx(
        myeloma.loc["fewer", "per_patient"], rel=1e-9
    )
