"""Events in person-time: rates by a Poisson model, with groups and covariates."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from report_tools import case
from scipy import optimize, special, stats

from helpers.errors import MetaAnalysisError
from helpers.reporting import report
from helpers.reporting.command import main


def test_person_time_gives_a_rate_by_a_poisson_model(tmp_path, capsys, undrawn):
    out = tmp_path / "out"
    order = ["--time", "person_years", "--per", "100", "--out", str(out)]
    assert main(["report", str(case(13)), "--quiet", *order]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "Events per 100 person-years: 1.62 (95%\N{NO-BREAK SPACE}CI 0.60 to 4.39)"
    )
    found = json.loads((out / "results.json").read_text())
    assert (found["columns"]["time"], found["columns"]["n"]) == ("person_years", None)
    # the likelihood of a Poisson count whose log rate is normal, by a grid of its own
    table = pd.read_csv(case(13))
    x, years = table["events"].to_numpy(), table["person_years"].to_numpy() / 100
    z = np.linspace(-8, 8, 801)

    def deviance(parameters):
        mu, log_tau = parameters
        rate = years[:, None] * np.exp(mu + np.exp(log_tau) * z)
        logs = stats.poisson.logpmf(x[:, None], rate) + stats.norm.logpdf(z)
        return -2 * float(np.sum(special.logsumexp(logs, axis=1)))

    best = optimize.minimize(deviance, [0.0, -1.0], method="Nelder-Mead", tol=1e-9)
    assert found["pooled"]["estimate"] == pytest.approx(np.exp(best.x[0]), rel=1e-4)
    page = re.sub(r"<[^>]+>", " ", (out / "report.html").read_text())
    assert "78 events in 5,398 person-years of four studies were analysed" in page
    assert "Poisson-normal generalised linear mixed model" in page
    assert "percentage" not in page


def test_person_time_goes_with_groups_and_covariates():
    rng = np.random.default_rng(8)
    years = rng.uniform(100, 900, 14).round(1)
    table = pd.DataFrame({"study": [f"S{i}" for i in range(14)], "py": years})
    table["events"] = rng.poisson(0.03 * years)
    table["arm"], table["age"] = list("ab" * 7), np.arange(14) + 40.0
    made = report(table, by="arm", covariates="age")
    assert made.analysis.columns.time == "py"
    assert {"subgroup-forest", "regression-1", "prediction"} <= set(made.pictures)
    by_hand = 100 * table["events"].sum() / years.sum()
    assert made.analysis.fit.estimate == pytest.approx(by_hand, rel=0.2)


def test_no_event_in_any_person_time_has_the_exact_interval():
    made = report(b"study,events,person_years\nA,0,900\nB,0,600\n")
    upper = 100 * stats.chi2.ppf(0.975, 2) / 2 / 1500
    assert "Nobody in 1,500 person-years of two studies had the event" in made.answer
    assert f"0.00 to {upper:.2f} if all" in made.answer


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (b"study,events,person_years\nA,3,0\nB,4,20\n", {}, "above 0"),
        (b"study,events,n,py\nA,3,9,50\nB,4,20,70\n", {"n": "n", "time": "py"}, "one of the two"),
        (b"study,events,py\nA,3,50\nB,4,70\n", {"measure": "logit"}, "column of people"),
        (b"study,events,n\nA,3,50\nB,4,70\n", {"measure": "log-rate"}, "person-time"),
        (b"study,events,n\nA,3,50\nB,4,70\n", {"per": 10}, "per=10"),
    ],
)
def test_what_does_not_go_together_is_one_error(table, options, message):
    with pytest.raises(MetaAnalysisError, match=message):
        report(table, **options)
