"Calibration and screening: scikit-learn as oracle, properties, and errors."
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fake_predictions import CLASSES, model, three_models  # noqa: E402

from leuknb.calibration import (  # noqa: E402
    _crossfit, calibrate, calibration, choose_threshold, ece, fit_temperature, plot_reliability, plot_screening, reliability, rescale, risk_coverage,
    screen, screening, screening_curves,
)
from leuknb.lib.errors import InputError  # noqa: E402

many, few_examples = settings(deadline=None, max_examples=50), settings(deadline=None, max_examples=8)


@pytest.fixture(scope="module")
def three():
    return three_models()


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


def test_calibration_error_has_an_interval_that_counts_groups(three):
    rng, one = np.random.default_rng(1), three[three["head"] == "svm"]
    said, right = rng.random(30), rng.random(30) < 0.5
    counts = rng.multinomial(30, np.full(30, 1 / 30), 4)
    assert ece(said, right, 10, counts) == pytest.approx([ece(np.repeat(said, c), np.repeat(right, c)) for c in counts])
    images = one["image"].unique()
    pairs = {image: n // 6 for n, image in enumerate(images)}
    alone, grouped = (calibration(one, groups=groups, draws=200).iloc[0] for groups in (None, pairs))
    for row in (alone, grouped):
        assert 0 <= row["ece_low"] <= row["ece"] <= row["ece_high"]
    assert alone["ece"] == grouped["ece"] and alone["ece_high"] != grouped["ece_high"]
    sharp = one.assign(**{f"p_{c}": (one["predicted"] == c) * 0.94 + 0.02 for c in CLASSES}, true=np.where(
        np.arange(len(one)) % 2, one["predicted"], np.roll(CLASSES, 1)[one["predicted"].map(CLASSES.index)]))
    assert calibration(sharp, draws=200).iloc[0]["ece_low"] > 0.3, "half of them are right, with a confidence of 0.96"


@many
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50), st.integers(1, 20))
def test_ece_is_the_weighted_gap(rows, bins):
    said, right = (np.array(v, dtype=float) for v in zip(*rows))
    index = np.minimum((said * bins).astype(int), bins - 1)
    expected = sum(abs(right[index == i].mean() - said[index == i].mean()) * (index == i).mean() for i in set(index))
    assert ece(said, right, bins) == pytest.approx(expected)


@few_examples
@given(st.floats(0.3, 3))
def test_temperature_is_recovered(temperature):
    rng = np.random.default_rng(5)
    p = rng.dirichlet([1, 1, 1], 3000)
    truth = (p.cumsum(1) > rng.random((3000, 1))).argmax(1)
    fit = lambda p: fit_temperature(np.log(p), truth, smooth=False, bounds=(0.05, 20))
    assert fit(rescale(p, 1 / temperature)) == pytest.approx(fit(p) * temperature, rel=0.02)
    smoothed = fit_temperature(np.log(rescale(p, 1 / temperature)), truth)
    assert smoothed == pytest.approx(fit(p) * temperature, rel=0.05), "smoothing by one row in 3,000 changes little"
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
    passed = screen(three, specificity=0.9)
    assert passed[passed["rule"] == "specificity 0.9"]["specificity"].between(0.84, 0.96).all()
    assert screen(three, cost=(20, 1))["sensitivity"].iloc[1] >= screen(three, cost=(1, 20))["sensitivity"].iloc[1]


@pytest.mark.parametrize("function, change, message", [
    (screening, lambda t: t, "3 models in this table"),
    (screening, lambda t: t[(t["head"] == "svm") & (t["true"] == "Benign")], "needs images of Benign and of other classes"),
    (screening, lambda t: t[t["head"] == "svm"].drop(columns=[f"p_{c}" for c in CLASSES]), "no probabilities"),
    (lambda t: screening(t, positive=["Normal"]), lambda t: t[t["head"] == "svm"], "class 'Normal': choose from Benign"),
    (calibrate, lambda t: t[t["head"] == "svm"].pipe(lambda s: s[(s["true"] != "Pro") | (s["image"] == s[s["true"] == "Pro"]["image"].iloc[0])]),
     "fewer than two images or groups"),
    (screen, lambda t: t, "give one aim: a sensitivity"),
])
def test_errors(three, function, change, message):
    with pytest.raises(InputError, match=message):
        function(change(three))


def test_figures(three):
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    plot_reliability(three[three["head"] == "svm"])
    plot_screening({"svm": screening_curves(three[three["head"] == "svm"], draws=20)})
    plt.close("all")


def test_named_classes_count_as_malignant(three):
    one = three[three["head"] == "svm"]
    table = screening(one, positive=["Pro"])
    assert (table["malignant"] == one["true"].isin(["Pro"]).to_numpy()).all()
    assert (table["called"] == one["predicted"].isin(["Pro"]).to_numpy()).all()
    np.testing.assert_allclose(table["score"], one["p_Pro"], atol=3e-6)
    pd.testing.assert_frame_equal(screening(one), screening(one, positive=["Early", "Pro"]))


def test_a_threshold_is_chosen_on_the_reference_alone(three):
    one = three[three["head"] == "svm"]
    other = one.assign(**{c: one[c].iloc[::-1].to_numpy() for c in one.filter(like="p_")})
    fit = screening(other)
    expected = choose_threshold(fit["malignant"], fit["score"], specificity=0.8)
    found = screen(one, specificity=0.8, reference=other).iloc[1]
    table = screening(one)
    assert found["threshold"] == expected
    assert found["sensitivity"] == (table["score"] >= expected)[table["malignant"]].mean()


@few_examples
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40).filter(lambda r: 0 < sum(m for m, _ in r) < len(r)), st.floats(0.01, 1))
def test_no_lower_threshold_keeps_the_specificity(rows, specificity):
    malignant, score = np.array([m for m, _ in rows]), np.array([s for _, s in rows]) / 8
    threshold = choose_threshold(malignant, score, specificity=specificity)
    assert (score[~malignant] < threshold).mean() >= specificity - 1e-9
    lower = score[score < threshold]
    assert not len(lower) or (score[~malignant] < lower.max()).mean() < specificity


def blocks():
    "One model by blocks; in block 2 every score of a malignant image is low."
    one = pd.concat([model("svm", 4, n=120).assign(fold=f, image=lambda t: f"b{f}/" + t["image"]) for f in range(3)], ignore_index=True)
    low = (one["fold"] == 2) & (one["true"] != "Benign")
    p = one.filter(like="p_").mask(low, 0.05).assign(p_Benign=one["p_Benign"].mask(low, 1 - 0.05 * (len(CLASSES) - 1)))
    return one.assign(**p)


def test_thresholds_and_temperatures_come_from_the_other_blocks():
    one = blocks()
    used = calibrate(one)
    for fold, part in used.groupby("fold"):
        others = one[one["fold"] != fold]
        scores = np.log(np.clip(others[[f"p_{c}" for c in CLASSES]].to_numpy(), 1e-6, 1))
        expected = fit_temperature(scores, pd.Index(CLASSES).get_indexer(others["true"]), smooth=False, bounds=(0.05, 20))
        assert np.allclose(part["temperature"], expected)
    row = screen(one, sensitivity=0.9).iloc[1]
    assert row["worst_fold"] == 0 and row["sensitivity"] < 0.75, "what is odd about block 2 cannot be learned from blocks 0 and 1"


def test_a_unit_of_two_blocks_has_no_say_in_either():
    one = blocks()
    group = {image: image.split("/")[1] for image in one["image"]}  # every unit is in all three blocks
    assert calibrate(one, groups=group)["temperature"].nunique() > 1  # dealt by group instead
    scene = {image: "scene" if image in ("b0/i000", "b1/i000") else image for image in one["image"]}
    for fit, use in _crossfit(one, 5, scene, 0):
        assert not {scene[i] for i in one["image"].iloc[fit]} & {scene[i] for i in one["image"].iloc[use]}


def test_risk_coverage_by_hand(three):
    table = risk_coverage(three, (1, 0.5)).set_index(["head", "coverage"])
    for head, rows in three[three["split"] == "test"].groupby("head"):
        confidence = rows[[f"p_{c}" for c in CLASSES]].to_numpy()[np.arange(len(rows)), pd.Index(CLASSES).get_indexer(rows["predicted"])]
        right = (rows["true"] == rows["predicted"]).to_numpy()
        half = np.argsort(-confidence, kind="stable")[:round(len(rows) / 2)]
        assert table.loc[(head, 1.0), "accuracy"] == pytest.approx(right.mean()) and table.loc[(head, 0.5), "accuracy"] == pytest.approx(right[half].mean())
        assert table.loc[(head, 0.5), "least"] == pytest.approx(confidence[half].min())
    with pytest.raises(InputError, match="coverage"):
        risk_coverage(three, (1.5,))
