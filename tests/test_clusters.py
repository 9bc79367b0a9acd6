"""Intervals of clustered results: coverage by simulation, an independent formula, words where there are too few clusters."""
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from leuknb.lib.clusters import LEAST, clustered_interval, interval_of_counts, stretches
from leuknb.lib.errors import InputError

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from bench_intervals import drawn  # noqa: E402


@pytest.mark.parametrize("kind", ["beta", "logit-normal"])
@pytest.mark.parametrize("clusters, accuracy, effect", [(20, 0.9, 2), (40, 0.9, 12), (40, 0.95, 4), (90, 0.95, 12), (90, 0.98, 4)])
def test_coverage(kind, clusters, accuracy, effect):
    low, high, *_ = interval_of_counts(*drawn(kind, clusters, accuracy, effect, 2000, seed=1))
    assert 0.93 <= np.mean((low <= accuracy) & (accuracy <= high)) <= 0.98


def test_design_effect_is_estimated():
    correct, total = drawn("beta", 90, 0.9, 7, 500)
    assert abs(np.mean(interval_of_counts(correct, total)[2]) - 7) < 0.7


def test_independent_rows_give_clopper_and_pearson():
    correct = np.arange(3000) % 20 > 0
    got = clustered_interval(correct, np.arange(3000))
    assert np.allclose([got["low"], got["high"]], proportion_confint(correct.sum(), 3000, method="beta"), atol=1e-3)


def test_effective_number_by_hand():
    clusters = np.repeat(np.arange(20), 50)
    correct = np.ones(1000)
    correct[(clusters < 10) & (np.arange(1000) % 50 < 10)] = 0  # ten clusters at 80 %, ten at 100 %: p = 0.9
    variance = 20 / 19 * 20 * 5**2 / 1000**2
    got = clustered_interval(correct, clusters)
    assert got["value"] == 0.9 and np.isclose(got["design_effect"], variance / (0.9 * 0.1 / 1000))
    quantile = 2.2621571628  # t with 9 degrees of freedom: ten clusters carry the errors
    size = 1000 / got["design_effect"] * (1.9599639845 / quantile) ** 2
    assert np.allclose([got["low"], got["high"]], proportion_confint(0.9 * size, size, method="beta"))


@pytest.mark.parametrize("correct, clusters, words", [
    (np.arange(280) % 9 > 0, np.arange(280) // 20, f"too few clusters ({LEAST - 1})"),
    (np.arange(900) > 40, np.arange(900) // 20, "too few clusters with errors (3)"),
    (np.ones(900), np.arange(900) // 20, "too few clusters with errors (0)")])
def test_words_instead_of_an_interval(correct, clusters, words):
    got = clustered_interval(correct, clusters)
    assert got["note"] == words and np.isnan([got["low"], got["high"]]).all()


@pytest.mark.parametrize("correct, clusters", [([0.5, 1], [1, 2]), ([1, 0], [1, None]), ([1, 0, 1], [1, 2]), ([], [])])
def test_bad_rows(correct, clusters):
    with pytest.raises(InputError):
        clustered_interval(correct, clusters)


def test_stretches():
    rows = pd.DataFrame({"label": ["A"] * 100 + ["B"] * 20, "group": range(120)})
    rows.loc[99, "group"] = 0
    names = pd.Series(stretches(rows))
    assert names[99] == names[0] == "A 1" and names.nunique() == 3  # 100 files are two stretches of 50, 20 are one
    assert names[:99].tolist() == ["A 1"] * 50 + ["A 2"] * 49
