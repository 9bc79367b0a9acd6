"Heads fitted again on labels that were dealt out: the same head for the same labels, p by hand, clusters kept whole."
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from leuknb.heads import KNNHead, LDAHead, SoftmaxHead, SVMHead
from leuknb.lib.errors import InputError
from leuknb.lib.refits import clusters_of_training, dealt_areas, refits, share_as_good
from leuknb.robust import RobustHead

RNG = np.random.default_rng(3)
PATIENTS = np.repeat(np.arange(12), 4)
Y = np.array(["Benign", "Early", "Pre"])[PATIENTS % 3]
X = (RNG.normal(size=(48, 8)) + np.eye(3, 8)[PATIENTS % 3] * 2).astype(np.float32)
SMALL = {"svm": SVMHead(C=(1, 10), gamma=0.1), "linear": SVMHead(kernel="linear", C=1.0, scale="none", tune=False), "knn": KNNHead(),
         "softmax": SoftmaxHead(C=(1, 10)), "lda": LDAHead()}


@pytest.mark.parametrize("name", SMALL)
def test_the_true_labels_give_the_head_back_and_others_another_one(name):
    head = SMALL[name].fit(X, Y, PATIENTS)
    codes = np.unique(Y, return_inverse=True)[1]
    before = head.predict_proba(X)
    same, other = list(refits(head, X, np.stack([codes, (codes + 1) % 3])))
    assert np.allclose(same.predict_proba(X), before, atol=1e-6)
    assert np.allclose(other.predict_proba(X)[:, [1, 2, 0]], before, atol=0.2) and not np.allclose(other.predict_proba(X), before, atol=0.2)
    assert np.array_equal(head.predict_proba(X), before)  # the model itself is not touched


def test_a_robust_head_comes_back_with_its_copies():
    head = RobustHead().fit(X, Y, PATIENTS, [X + 0.1])
    again = next(refits(head, head.training_, np.unique(Y, return_inverse=True)[1][None]))
    assert np.allclose(again.predict_proba(X), head.predict_proba(X), atol=1e-6)


def test_areas_are_scikit_learns_and_labels_stay_whole_within_patients():
    head, seen = SMALL["linear"].fit(X, Y), []
    positive = Y != "Benign"
    score = lambda new: seen.append(new.predict(X)) or 1 - new.predict_proba(X)[:, 0]
    areas = dealt_areas(head, X, Y, PATIENTS, positive, score, draws=5)
    assert len(areas) == 6 and areas[0] == pytest.approx(roc_auc_score(positive, 1 - head.predict_proba(X)[:, 0]))
    assert share_as_good(np.array([0.8, 0.9, 0.8, 0.1])) == 0.75 and share_as_good(areas) >= 1 / 6
    with pytest.raises(InputError, match="several classes"):
        dealt_areas(head, X, Y, np.zeros(48, int), positive, score, draws=2)


def test_patients_or_stretches_of_files():
    rows = pd.DataFrame({"image": [f"a/{k}" for k in range(100)], "label": "a", "group": [str(k) for k in range(100)]})
    names = pd.Series(clusters_of_training(rows))
    assert names.nunique() == 2 and (names[:45] == names[0]).all() and (names[55:] == names[99]).all()
    assert clusters_of_training(rows.assign(patient="P1")).tolist() == ["P1"] * 100
