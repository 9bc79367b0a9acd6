"""Intervals of clustered results: coverage by simulation, an independent formula, words where there are too few clusters."""
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from leuknb.lib.clusters import LEAST, clustered_interval, clusters_of, interval_of_counts, stretches
from leuknb.lib.errors import InputError
from leuknb.splits import split

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from bench_intervals import coverage, drawn  # noqa: E402


@pytest.mark.parametrize("kind", ["beta", "logit-normal"])
@pytest.mark.parametrize("clusters, accuracy, effect", [(20, 0.9, 2), (40, 0.9, 12), (40, 0.95, 4), (90, 0.95, 12), (90, 0.98, 4)])
def test_coverage(kind, clusters, accuracy, effect):
    got = coverage(*drawn(kind, clusters, accuracy, effect, 2000, seed=1), accuracy)
    assert 0.924 <= got["coverage"] <= 0.976 or got["words"] >= 0.9  # the rule is 93 to 97 %; 0.6 points are the error of the simulation


@pytest.mark.parametrize("kind", ["beta", "logit-normal"])
@pytest.mark.parametrize("clusters", [20, 40, 90])
def test_where_coverage_fails_words_stand_beside_it(kind, clusters):
    for accuracy, effect in ((0.95, 7), (0.95, 12), (0.98, 4), (0.98, 7), (0.98, 12)):
        got = coverage(*drawn(kind, clusters, accuracy, effect, 2000, seed=4), accuracy)
        assert 0.924 <= got["coverage"] <= 0.976 or got["words"] >= 0.9, (accuracy, effect, got)


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


def test_words_beside_a_rough_interval():
    clusters = np.arange(1600) // 40
    got = clustered_interval((clusters >= 6) | (np.arange(1600) % 40 > 9), clusters)
    assert got["note"] == "too few clusters with errors (6): a rough interval" and 0 < got["low"] < got["value"] < got["high"] < 1


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


def test_one_cluster_says_nothing_and_an_empty_one_does_not_count():
    low, high, *_ = interval_of_counts(np.array([[90.0], [0.0]]), np.array([[100.0], [0.0]]))
    assert low[0] < 0.01 and high[0] > 0.99 and np.isnan([low[1], high[1]]).all()
    with_empty = interval_of_counts(np.array([[9.0, 8, 10, 0]]), np.array([[10.0, 10, 10, 0]]))
    assert np.allclose(with_empty, interval_of_counts(np.array([[9.0, 8, 10]]), np.array([[10.0, 10, 10]])))


def test_effective_number_is_never_below_the_number_of_clusters():
    correct, total = np.full((1, 40), 25.0), np.full((1, 40), 25.0)
    correct[0, 0] = 0  # one cluster, all wrong
    low, high, effect, _ = interval_of_counts(correct, total)
    worst = 40 * (1.9599639845 / 2.0226909200) ** 2  # t with 39 degrees of freedom
    assert np.isclose(effect[0], 1000 * (39 * 0.025**2 + 0.975**2) / 39 / 40 / (0.975 * 0.025)) and effect[0] > 24
    assert np.allclose([low[0], high[0]], proportion_confint(0.975 * worst, worst, method="beta"))


def test_always_printed_it_is_hardly_ever_too_narrow():
    for kind, clusters, accuracy, effect in (("beta", 10, 0.95, 7), ("logit-normal", 10, 0.9, 12), ("beta", 40, 0.98, 12)):
        low, high, *_ = interval_of_counts(*drawn(kind, clusters, accuracy, effect, 2000, seed=2))
        assert np.mean((low <= accuracy) & (accuracy <= high)) >= 0.93


def test_clusters_of_a_run():
    rows = pd.DataFrame({"image": [f"{c}/{i + 1}" for c in "AB" for i in range(80)], "label": ["A"] * 80 + ["B"] * 80})
    rows["group"] = rows["image"].where(rows["image"] != "A/80", "A/1")
    both = pd.concat([rows.assign(variant="segmented"), rows.assign(variant="original")])
    blocks = clusters_of(both, split(rows, "blocks", embargo=5))
    assert blocks.name == "stretches of files" and len(blocks) == 160 and blocks.nunique() == 4 and blocks["A/80"] == blocks["A/1"] == "A 1"
    assert clusters_of(both, split(rows, "paper")).to_dict() == rows.set_index("image")["group"].to_dict()
    known = both.assign(patient=both["group"])
    assert clusters_of(known, split(rows, "blocks", embargo=5), "blocks").name == "patients"
    assert clusters_of(known.assign(patient=known["patient"].where(known["label"] == "A", "")), split(rows, "paper")).name == "groups of images"
