"Images from elsewhere: labels, intervals by group, what gives labels away, and a prior far from the data."
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from leuknb.external import auroc_interval, giveaways
from leuknb.lib.errors import InputError
from leuknb.lib.models import evidence, towards_prior
from leuknb.lib.outside import named_sets, positive_classes
from leuknb.lib.sources import sessions, source_images, truth_of
from leuknb.svm import SVMHead

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


def test_far_from_its_data_an_svm_returns_the_prior():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(k, 1, (40, 5)) for k in range(2)])
    head = SVMHead(kernel="rbf", C=1.0, gamma=0.1, scale="none", tune=False).fit(X, ["a"] * 40 + ["b"] * 40)
    table = pd.DataFrame({"predicted": ["a", "b"], "p_a": [0.9, 0.2], "p_b": [0.1, 0.8]})
    near, far = evidence(head, X[:1])[0], evidence(head, np.full((1, 5), 1e3))[0]
    mixed = towards_prior(table.copy(), np.array([near, far]), ["a"] * 3 + ["b"])
    assert near > 0.1 and far == 0
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
