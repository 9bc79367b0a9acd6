"""Kappa against scikit-learn and statsmodels."""
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from leuknb.lib.agreement import kappa, labels_of
from leuknb.lib.annotations import Annotations


def labelled(raters, images=120, classes=4, seed=0, share=.7):
    "Labels of raters who copy one truth most of the time."
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, images)
    names = np.array(["Benign", "Early", "Pre", "Pro"][:classes])
    columns = {f"r{r}": names[np.where(rng.random(images) < share, truth, rng.integers(0, classes, images))] for r in range(raters)}
    return pd.DataFrame(columns, index=[f"i{n}" for n in range(images)])


@pytest.mark.parametrize("seed, classes", [(0, 2), (1, 3), (2, 4)])
def test_two_raters_equal_cohens_kappa(seed, classes):
    labels = labelled(2, seed=seed, classes=classes)
    found = kappa(labels)
    assert np.isclose(found.value, cohen_kappa_score(labels["r0"], labels["r1"])) and found.low < found.value < found.high


@pytest.mark.parametrize("raters", [3, 5])
def test_more_raters_equal_fleiss_kappa(raters):
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    labels = labelled(raters, seed=raters)
    counts, _ = inter_rater.aggregate_raters(labels.to_numpy())
    assert np.isclose(kappa(labels).value, inter_rater.fleiss_kappa(counts))


def test_the_interval_is_about_the_asymptotic_one():
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    labels = labelled(2, images=400, seed=3)
    expected = inter_rater.cohens_kappa(pd.crosstab(labels["r0"], labels["r1"]))
    found = kappa(labels)
    assert np.allclose([found.low, found.high], [expected.kappa_low, expected.kappa_upp], atol=.02)


def test_only_images_that_all_labelled_count():
    labels = labelled(3)
    labels.loc["i0":"i9", "r2"] = ""
    assert kappa(labels).images == 110 and kappa(labels[["r0", "r1"]]).images == 120
    assert kappa(labels.assign(r0="")).images == 0 and np.isnan(kappa(labels.assign(r0="")).value)


def test_one_patient_has_no_interval():
    found = kappa(labelled(2), pd.Series("p", index=[f"i{n}" for n in range(120)]))
    assert np.isfinite(found.value) and np.isnan(found.low)


def test_labels_come_from_the_raters_files(drawn_folder, tmp_path):
    class Folder:
        path = tmp_path
    assert labels_of(Folder).empty
    Annotations(tmp_path).set("a", label="Pre")  # nobody's name
    Annotations(tmp_path, "Anna").set("a", label="Pre")
    Annotations(tmp_path, "Anna").set("b", label="Pro")
    Annotations(tmp_path, "Ben").set("b", label="Pre")
    Annotations(tmp_path, "Ben").set("c", note="no label")
    assert labels_of(Folder).to_dict("index") == {"a": {"Anna": "Pre", "Ben": ""}, "b": {"Anna": "Pro", "Ben": "Pre"}}
