"Comparisons: statsmodels, scipy and scikit-learn as oracles, properties, and errors."
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from leuknb.calibration import calibrate, calibration, choose_threshold, ece, fit_temperature_of, plot_reliability, plot_screening, reliability, rescale, screen, screening, screening_curves
from leuknb.compare import compare_folds, compare_methods, corrected_ttest, fold_scores, holm, mcnemar, mcnemar_bounds, paired, permutation_p, plot_differences, plot_intervals, redraw, short_names, two_proportions, unit_codes, unit_counts
from leuknb.lib.errors import InputError
from leuknb.metrics import confusion, measure

many, few = settings(deadline=None, max_examples=50), settings(deadline=None, max_examples=8)
CLASSES = ["Benign", "Early", "Pro"]


def model(head, seed, n=240, skill=1.5, folds=3, repeats=1):
    "Predictions of a model that sees the truth through noise; images are the same for every model."
    true = np.random.default_rng(99).integers(3, size=n)
    parts = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        logits = skill * np.eye(3)[true] + rng.gumbel(size=(n, 3)) * 0.8
        p = rescale(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1)
        fold = repeat * folds + np.arange(n) % folds
        table = pd.DataFrame(p, columns=[f"p_{c}" for c in CLASSES]).assign(image=[f"i{i:03d}" for i in range(n)], variant="original", backbone="alexnet",
            weights="random", head=head, split="test", fold=fold, true=np.array(CLASSES)[true], predicted=np.array(CLASSES)[p.argmax(1)])
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def three():
    return pd.concat([model("svm", 1, skill=3), model("knn", 2, skill=1), model("softmax", 3, skill=2.9)], ignore_index=True)


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


def test_reliability_counts_each_image_once(three):
    one = three[three["head"] == "svm"]
    twice = pd.concat([one, one.assign(fold=one["fold"] + 3)])
    pd.testing.assert_frame_equal(reliability(twice), reliability(one))
    assert reliability(one)["n"].sum() == 240


def test_losses_equal_scikit_learn(three):
    row, one = calibration(three, draws=50).iloc[0], three[three["head"] == "svm"]
    p = one[[f"p_{c}" for c in CLASSES]].to_numpy()
    assert row["brier"] == pytest.approx(sk.brier_score_loss(one["true"], p, labels=CLASSES, scale_by_half=False))
    assert row["log_loss"] == pytest.approx(sk.log_loss(one["true"], p, labels=CLASSES))
    assert row["brier_low"] <= row["brier"] <= row["brier_high"]


@many
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50), st.integers(1, 20))
def test_ece_is_the_weighted_gap(rows, bins):
    said, right = (np.array(v, dtype=float) for v in zip(*rows))
    index = np.minimum((said * bins).astype(int), bins - 1)
    expected = sum(abs(right[index == i].mean() - said[index == i].mean()) * (index == i).mean() for i in set(index))
    assert ece(said, right, bins) == pytest.approx(expected)


@few
@given(st.floats(0.3, 3))
def test_temperature_is_recovered(temperature):
    rng = np.random.default_rng(5)
    p = rng.dirichlet([1, 1, 1], 3000)
    truth = (p.cumsum(1) > rng.random((3000, 1))).argmax(1)
    base = fit_temperature_of(p, truth)
    assert fit_temperature_of(rescale(p, 1 / temperature), truth) == pytest.approx(base * temperature, rel=0.02)
    np.testing.assert_allclose(rescale(p, temperature).sum(1), 1)
    assert (rescale(p, temperature).argmax(1) == p.argmax(1)).all()


def test_a_row_has_no_say_in_its_own_temperature():
    one = model("svm", 4, n=60)
    column = f"p_{one['true'][0]}"
    surer = one.assign(**{c: np.where(one["image"] == "i000", 0.98 if c == column else 0.01, one[c]) for c in one.filter(like="p_")})
    before, after = (calibrate(t, folds=3).set_index("image")["temperature"] for t in (one, surer))
    same = before.index[before == after]
    assert "i000" in same and len(same) == (before == before["i000"]).sum() < len(before)


def test_calibration_and_thresholds_keep_groups_whole():
    one = model("svm", 4, n=120)
    group = {f"i{i:03d}": i // 4 for i in range(120)}
    temperatures = calibrate(one, groups=group).assign(group=lambda t: t["image"].map(group)).groupby("group")["temperature"].nunique()
    assert temperatures.eq(1).all()


def test_areas_equal_scikit_learn(three):
    for head in ("svm", "knn"):
        one = three[three["head"] == head]
        one = one.assign(p_Benign=one["p_Benign"].round(1))
        table, curves = screening(one), screening_curves(one, draws=100)
        assert curves["auroc"][0] == pytest.approx(sk.roc_auc_score(table["malignant"], table["score"]))
        assert curves["average_precision"][0] == pytest.approx(sk.average_precision_score(table["malignant"], table["score"]))
        for area in (curves["auroc"], curves["average_precision"]):
            assert area[1] <= area[0] <= area[2] <= 1
        for band in (curves["roc"], curves["pr"]):
            assert (band["low"] <= band["high"] + 1e-12).all()


@many
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40).filter(lambda r: 0 < sum(m for m, _ in r) < len(r)),
       st.floats(0.01, 1), st.floats(0.1, 50))
def test_thresholds_are_the_best_there_are(rows, sensitivity, miss):
    malignant, score = np.array([m for m, _ in rows]), np.array([s for _, s in rows]) / 8
    threshold = choose_threshold(malignant, score, sensitivity=sensitivity)
    assert (score[malignant] >= threshold).mean() >= sensitivity - 1e-9
    higher = score[score > threshold]
    assert not len(higher) or (score[malignant] >= higher.min()).mean() < sensitivity
    price = lambda t: miss * (score[malignant] < t).sum() + (score[~malignant] >= t).sum()
    assert price(choose_threshold(malignant, score, cost=(miss, 1))) <= min(price(t) for t in [*score, np.inf]) + 1e-9


def test_screen_reaches_about_the_sensitivity_it_was_asked_for(three):
    table = screen(three, sensitivity=0.95)
    asked = table[table["rule"] == "sensitivity 0.95"]
    assert asked["sensitivity"].between(0.9, 1).all()
    plain = table[table["rule"] == "as predicted"].iloc[0]
    svm = three[three["head"] == "svm"]
    assert plain["specificity"] == pytest.approx((svm["predicted"] == "Benign")[svm["true"] == "Benign"].mean())
    assert screen(three, cost=(20, 1))["sensitivity"].iloc[1] >= screen(three, cost=(1, 20))["sensitivity"].iloc[1]


@pytest.mark.parametrize("function, change, message", [
    (screening, lambda t: t, "3 models in this table"),
    (screening, lambda t: t[(t["head"] == "svm") & (t["true"] == "Benign")], "needs images of Benign and of other classes"),
    (screening, lambda t: t[t["head"] == "svm"].drop(columns=[f"p_{c}" for c in CLASSES]), "no probabilities"),
    (lambda t: screening(t, negative="Normal"), lambda t: t[t["head"] == "svm"], "no class 'Normal'; choose from Benign"),
    (calibrate, lambda t: t[t["head"] == "svm"].pipe(lambda s: s[(s["true"] != "Pro") | (s["image"] == s[s["true"] == "Pro"]["image"].iloc[0])]),
     "fewer than two images or groups"),
    (screen, lambda t: t, "either sensitivity= or cost="),
])
def test_errors(three, function, change, message):
    with pytest.raises(InputError, match=message):
        function(change(three))


def test_figures(three):
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    ax = plot_differences(compare_methods(three))
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == "knn"
    plot_reliability(three[three["head"] == "svm"])
    plot_screening({"svm": screening_curves(three[three["head"] == "svm"], draws=20)})
    ax = plot_intervals(pd.DataFrame({"value": [0.5], "low": [0.2], "high": [0.6]}), ["svm"])
    assert ax.get_xlim()[0] < 21 and ax.get_xlim()[1] > 59
    plt.close("all")
    assert short_names(["a/svm/o", "a/knn/o"]) == ["svm", "knn"] and short_names(["I", "II"]) == ["I", "II"] and short_names(["x/y"]) == ["x/y"]
