"Comparisons: statsmodels, SciPy and scikit-learn as oracles, properties, and errors."
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fake_predictions import CLASSES, three_models  # noqa: E402

from leuknb.compare import (  # noqa: E402
    bootstrap_ends, compare_folds, compare_methods, corrected_ttest, fold_scores, holm, mcnemar, mcnemar_bounds, paired, permutation_p,
    plot_differences, plot_intervals, redraw, two_proportions, unit_codes, unit_counts,
)
from leuknb.lib.errors import InputError  # noqa: E402
from leuknb.lib.tables import short_names  # noqa: E402
from leuknb.metrics import confusion, measure  # noqa: E402

many = settings(deadline=None, max_examples=50)


@pytest.fixture(scope="module")
def three():
    return three_models()


@many
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_equals_statsmodels(rows):
    a, b = np.array(rows).T
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    only_a, only_b, p = mcnemar(a, b)
    assert (only_a, only_b) == (table[0][1], table[1][0])
    assert p == pytest.approx(sm_mcnemar(table, exact=True).pvalue)
    assert mcnemar(b, a) == (only_b, only_a, pytest.approx(p))
    assert mcnemar(np.repeat(a, 3), np.repeat(b, 3), np.repeat(np.arange(len(a)), 3)) == (only_a, only_b, pytest.approx(p))


@many
@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_bounds_hold_every_pairing(a, b):
    low, high = mcnemar_bounds(a, b)
    for shared in range(min(a, b) + 1):
        wrong_a = np.arange(a + b) < a
        wrong_b = (np.arange(a + b) >= a - shared) & (np.arange(a + b) < a + b - shared)
        assert low - 1e-12 <= mcnemar(~wrong_a, ~wrong_b)[2] <= high + 1e-12


@many
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holm_equals_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    assert (holm(p) >= np.array(p) - 1e-15).all()


def test_a_test_that_could_not_be_made_is_left_out_of_the_family():
    adjusted = holm([0.01, np.nan, 0.03])
    assert np.isnan(adjusted[1]) and np.allclose(adjusted[[0, 2]], [0.02, 0.03])


def test_a_score_without_a_value_is_no_difference():
    never = np.zeros((50, 2, 2))
    never[:, 0, 1] = 1  # class 0 is never called
    fair = np.zeros((50, 2, 2))
    fair[:, 0, 0] = 1
    precision = lambda c: np.divide(c[..., 0, 0], c[..., 0].sum(-1), out=np.full(c.shape[:-2], np.nan), where=c[..., 0].sum(-1) > 0)
    assert np.isnan(permutation_p(never, fair, precision))


def test_two_proportions_need_trials():
    with pytest.raises(InputError, match="at least one trial"):
        two_proportions(0, 0, 1, 2)


@many
@given(st.integers(1, 80), st.integers(1, 80), st.data())
def test_two_proportions_equal_statsmodels_and_scipy(n1, n2, data):
    k1, k2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    difference, low, high, p = two_proportions(k1, n1, k2, n2)
    np.testing.assert_allclose((low, high), confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff"), atol=1e-9)
    assert p == pytest.approx(scipy.stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]]).pvalue)
    assert low - 1e-9 <= difference <= high + 1e-9


def test_compare_methods_finds_the_worse_one(three):
    table = compare_methods(three).set_index(["a", "b"])
    assert table.loc[("alexnet/svm/original", "alexnet/knn/original"), "p_holm"] < 0.001
    assert table.loc[("alexnet/svm/original", "alexnet/softmax/original"), "p_holm"] > 0.05
    assert ((table["low"] <= table["difference"]) & (table["difference"] <= table["high"])).all()
    accuracy = three[three["head"] == "knn"].eval("true == predicted").mean()
    assert table.loc[("alexnet/svm/original", "alexnet/knn/original"), "value_b"] == pytest.approx(accuracy)


@pytest.mark.parametrize("metric, of", [("kappa", "overall"), ("mcc", "overall"), ("balanced_accuracy", "overall"), ("fscore", "macro"),
                                        ("fscore", "Benign"), ("precision", "Pro"), ("recall", "Benign"), ("specificity", "Early")])
def test_compare_methods_takes_any_metric(three, metric, of):
    table = compare_methods(three, metric, of, draws=300)
    part = three[three["head"] == "svm"]
    value = measure(confusion(part["true"], part["predicted"], CLASSES), metric, of, CLASSES)
    assert table.value_a[0] == pytest.approx(value)
    assert table.p.between(0, 1).all() and table.p[0] < 0.05 < table.p[1]


def test_recall_is_tested_on_its_class_only(three):
    row = compare_methods(three, "recall", "Benign").iloc[0]
    wide = paired(three)
    wide = wide[wide["true"] == "Benign"]
    assert (row["only_a"], row["only_b"], row["p"]) == mcnemar(wide.iloc[:, 1] == "Benign", wide.iloc[:, 2] == "Benign")


def test_repeats_and_groups_do_not_make_surer(three):
    plain = compare_methods(three)
    again = compare_methods(pd.concat([three, three.assign(fold=three["fold"] + 3)]))
    np.testing.assert_allclose(again[["low", "high", "p"]], plain[["low", "high", "p"]])
    assert again["n"].eq(240).all()
    halves = {f"i{i:03d}": i // 2 for i in range(240)}
    assert compare_methods(three, groups=halves)["n"].eq(120).all()


def test_compare_methods_repeats_itself(three):
    pd.testing.assert_frame_equal(compare_methods(three, "kappa", draws=200, seed=3), compare_methods(three, "kappa", draws=200, seed=3))


def test_permutation_test_is_calibrated():
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        true, a, b = rng.integers(2, size=(3, 40))
        counts = [unit_counts(true, x, [0, 1], np.arange(40)) for x in (a, b)]
        p.append(permutation_p(*counts, measure, draws=200, seed=seed))
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_bootstrap_weights_draw_whole_samples():
    weights = redraw(50, 20, seed=1)
    assert weights.shape == (20, 50) and (weights.sum(1) == 50).all()


def test_missing_images_are_left_out_of_pairs(three):
    fewer = three.drop(three[(three["head"] == "knn")].index[:40])
    assert compare_methods(fewer)["n"].eq(200).all()


@pytest.mark.parametrize("change, message", [
    (lambda t: t[t["head"] == "svm"], "1 models share 240 tested images"),
    (lambda t: t.assign(image=t["image"] + t["head"]), "3 models share 0 tested images"),
    (lambda t: pd.concat([t, t]), "twice in one fold"),
    (lambda t: t.drop(columns=["head"]), "lacks head"),
    (lambda t: t.assign(split="train"), "no held-out rows"),
])
def test_what_cannot_be_paired(three, change, message):
    with pytest.raises(InputError, match=message):
        compare_methods(change(three))


def test_groups_must_name_every_image():
    with pytest.raises(InputError, match="no group is given for the image b"):
        unit_codes(["a", "b"], {"a": 1})


@many
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=30).filter(lambda rows: np.ptp([a - b for a, b in rows]) > 1e-6))
def test_uncorrected_ttest_equals_scipy(rows):
    a, b = np.array(rows).T
    oracle = scipy.stats.ttest_rel(a, b)
    difference, low, high, p = corrected_ttest(a, b, 1, 0)
    assert p == pytest.approx(oracle.pvalue) and (low, high) == pytest.approx(tuple(oracle.confidence_interval()))
    assert corrected_ttest(a, b, 4, 1)[3] >= p - 1e-12


def test_compare_folds_reads_the_split(three):
    split = pd.DataFrame([(f"i{i:03d}", f, "test" if i % 3 == f else "train") for i in range(240) for f in range(3)], columns=["image", "fold", "split"])
    table, scores = compare_folds(three, split), fold_scores(three)
    a, b = scores["alexnet/svm/original"], scores["alexnet/knn/original"]
    assert tuple(table.iloc[0][["difference", "low", "high", "p"]]) == pytest.approx(corrected_ttest(a, b, 160, 80))
    with pytest.raises(InputError, match="at least two folds"):
        compare_folds(three.assign(fold=0), split[split["fold"] == 0])


def test_figures(three):
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    ax = plot_differences(compare_methods(three))
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == "knn"
    ax = plot_intervals(pd.DataFrame({"value": [0.5], "low": [0.2], "high": [0.6]}), ["svm"])
    assert ax.get_xlim()[0] < 21 and ax.get_xlim()[1] > 59
    plt.close("all")
    assert short_names(["a/svm/o", "a/knn/o"]) == ["svm", "knn"] and short_names(["I", "II"]) == ["I", "II"]
    assert short_names(["x/y"]) == ["x/y"]


def test_ends_of_a_bootstrap():
    drawn = np.random.default_rng(0).normal(0.3, 0.1, 4000)
    assert np.allclose(bootstrap_ends(drawn, 0.3, 100), np.quantile(drawn, [0.025, 0.975]))
    half = 2.2621571628 * drawn.std() * np.sqrt(10 / 9)  # t with 9 degrees of freedom
    assert np.allclose(bootstrap_ends(drawn, 0.3, 10), [0.3 - half, 0.3 + half])
    assert np.isnan(bootstrap_ends(drawn, 0.3, 1)).all()
