"Images from elsewhere: labels, intervals by group, what gives labels away, and a prior far from the data."
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from leuknb.external import auroc_interval, giveaways
from leuknb.lib.errors import InputError
from leuknb.heads import KNNHead, LDAHead, SoftmaxHead, SVMHead
from leuknb.lib.models import evidence, predicted_table, towards_prior
from leuknb.lib.outside import named_sets, positive_classes
from leuknb.lib.sources import sessions, source_images, truth_of
from leuknb.novelty import NoveltyScore
from leuknb.robust import RobustHead

CLASSES = ["Benign", "Early", "Pre", "Pro"]


def test_area_and_its_error_are_those_of_delong():
    rng = np.random.default_rng(0)
    positive, score = rng.random(60) < 0.4, rng.normal(size=60).round(1)
    area, low, high = auroc_interval(positive, score)
    pairs = (score[positive][:, None] > score[~positive]) + 0.5 * (score[positive][:, None] == score[~positive])
    assert area == pytest.approx(roc_auc_score(positive, score), abs=1e-12) and area == pytest.approx(pairs.mean())
    error = np.sqrt(pairs.mean(1).var() / positive.sum() + pairs.mean(0).var() / (~positive).sum())
    assert (high - low) / 2 == pytest.approx(2.06 * error, rel=0.15) and low < area < high


def test_one_class_or_two_groups_have_no_interval():
    assert np.isnan(auroc_interval([True] * 5, range(5))).all()
    assert np.isnan(auroc_interval([True, True, False, False], [1, 2, 3, 4], ["a", "a", "b", "b"])[1:]).all()


def clouds():
    "Two overlapping clouds, 80 and 40 points, in an order that says nothing."
    rng = np.random.default_rng(0)
    X, y = np.concatenate([rng.normal(0, 1, (80, 5)), rng.normal(1.5, 1, (40, 5))]), np.repeat(["a", "b"], [80, 40])
    order = rng.permutation(120)
    return X[order], y[order]


HEADS_MADE = {"svm": lambda: SVMHead(kernel="rbf", C=1.0, gamma=0.1, scale="none", tune=False),
              "linear svm": lambda: SVMHead(kernel="linear", C=1.0, scale="none", tune=False), "knn": KNNHead,
              "softmax": SoftmaxHead, "lda": LDAHead, "robust": RobustHead}


@pytest.mark.parametrize("name", HEADS_MADE)
def test_far_from_its_data_every_head_returns_the_prior(name):
    X, y = clouds()
    head, score = HEADS_MADE[name]().fit(X, y), NoveltyScore().fit(X, y)
    places = np.concatenate([X, X * 1e3, X * 1e6])
    support, raw = evidence(head, places, score), predicted_table(head, places, ["a", "b"], digits=None)
    table = towards_prior(raw.copy(), support, y)
    inside = score.score_samples(X) < 1
    assert inside.sum() > 110 and (support[:120][inside] == 1).all() and (table[:120][inside] == raw[:120][inside]).all(axis=None)
    far = table[-120:]
    assert np.abs(far[["p_a", "p_b"]] - [2 / 3, 1 / 3]).max(axis=None) < 1e-4 and set(far["predicted"]) == {"a"}
    assert np.abs(table[120:240][["p_a", "p_b"]] - [2 / 3, 1 / 3]).max(axis=None) < 0.01


def test_an_svm_without_evidence_returns_the_prior_whatever_the_distance():
    X, y = clouds()
    head = HEADS_MADE["svm"]().fit(X, y)
    near, far = evidence(head, X[:1])[0], evidence(head, np.full((1, 5), 1e3))[0]
    table = pd.DataFrame({"predicted": ["a", "b"], "p_a": [0.9, 0.2], "p_b": [0.1, 0.8]})
    mixed = towards_prior(table.copy(), np.array([near, far]), ["a"] * 3 + ["b"])
    assert near == 1 and far == 0
    assert mixed.iloc[0].tolist() == table.iloc[0].tolist() and mixed.iloc[1].tolist() == ["a", 0.75, 0.25]


def test_labels_are_translated_or_listed():
    truth = truth_of(pd.Series(["Pro-B", "1", "0"]), CLASSES, CLASSES[1:], {"1": "positive", "0": "negative"})
    assert truth["positive"].tolist() == [True, True, False] and truth["true"].notna().tolist() == [True, False, False]
    with pytest.raises(InputError, match=r"x: .*foo \(2 images\), bar \(1 image\)"):
        truth_of(pd.Series(["foo", "foo", "bar"]), CLASSES, CLASSES[1:], name="x")
    with pytest.raises(InputError, match="leads to ill"):
        truth_of(pd.Series(["1"]), CLASSES, CLASSES[1:], {"1": "ill"})


def test_positive_classes_and_names_of_sets():
    assert positive_classes(CLASSES) == CLASSES[1:]
    for classes, positive in ((["all", "hem"], None), (CLASSES, CLASSES), (CLASSES, ["x"])):
        with pytest.raises(InputError, match="positive"):
            positive_classes(classes, positive)
    assert named_sets(["A=x", "B=x"]) == {"A": "x", "B": "x"}


def test_a_csv_keeps_its_columns_and_an_empty_one_is_refused(tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "a_1.png")
    (tmp_path / "list.csv").write_text("file,age,ward\na_1.png,7,W\n")
    rows = source_images(tmp_path / "list.csv", label_from=r"_(\d)", group_from="^(.)_")
    assert rows[["found", "group", "age", "ward"]].values.tolist() == [["1", "a", "7", "W"]]
    with pytest.raises(InputError, match="no column of labels"):
        source_images(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("file,label\n")
    with pytest.raises(InputError, match="no rows"):
        source_images(tmp_path / "list.csv")


def test_cameras_that_know_the_answer_are_named():
    images = pd.DataFrame({"camera": ["A"] * 20 + ["B"] * 20, "group": [f"p{k // 2}" for k in range(40)]})
    assert "every image of B is positive" in giveaways(images.assign(positive=images["camera"] == "B"))[0]
    assert giveaways(images.assign(positive=np.arange(40) // 2 % 2 == 0)) == []
    assert sessions(pd.DataFrame({"camera": ["A", "A"], "time": [0, 1801]})).nunique() == 2
