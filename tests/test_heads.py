"Softmax against scikit-learn's LogisticRegression, and heads saved and read again."
import pickle
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
import skops.io
from made_features import TEST, TRAIN, X, Y, features
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from leuknb.heads import SoftmaxHead, load_head, save_head
from leuknb.knn import KNNHead
from leuknb.lib.errors import InputError
from leuknb.svm import SVMHead


# ---- softmax

@pytest.mark.parametrize("classes, p", [(2, 300), (4, 300), (4, 60)])
@pytest.mark.parametrize("memory", [4e9, 1e4])
def test_softmax_is_logistic_regression(classes, p, memory):
    X, y = features(p=p, classes=classes)
    oracle = LogisticRegression(C=0.1, tol=1e-8, max_iter=10_000).fit(X[TRAIN].astype(float), y[TRAIN])
    head = SoftmaxHead(C=0.1, tol=1e-8, tune=False, calibrate=False, memory=memory).fit(X[TRAIN], y[TRAIN])
    assert head.coef_ == pytest.approx(oracle.coef_, abs=1e-4)
    assert head.predict_proba(X[TEST]) == pytest.approx(oracle.predict_proba(X[TEST].astype(float)), abs=1e-4)
    assert head.decision_function(X[TEST]) == pytest.approx(oracle.decision_function(X[TEST].astype(float)), abs=1e-3)


def test_softmax_tunes_as_grid_search_does():
    grid = {"C": [0.001, 0.1, 10.0]}
    search = GridSearchCV(LogisticRegression(tol=1e-6, max_iter=10_000), grid, cv=StratifiedKFold(4, shuffle=True, random_state=3)).fit(X, Y)
    head = SoftmaxHead(**grid, scale="none", cv=4, random_state=3, tol=1e-6).fit(X, Y)
    assert head.best_params_ == search.best_params_
    assert head.cv_results_["accuracy"].tolist() == pytest.approx(search.cv_results_["mean_test_score"].tolist(), abs=0.01)


# ---- files

SAVED = [SVMHead(), SVMHead(tune=False), SVMHead(kernel="rbf", tune=False, cv=StratifiedKFold(3)), SVMHead(kernel="linear"),
         KNNHead(), KNNHead(scale="standard", tune=False), SoftmaxHead(), SoftmaxHead(tune=False)]


@pytest.mark.parametrize("head", SAVED, ids=str)
@pytest.mark.parametrize("y", [Y, np.arange(240) % 3], ids=["text", "numbers"])
def test_saved_heads_are_the_same(head, y, tmp_path):
    fitted, path = clone(head).fit(X[TRAIN], y[TRAIN]), tmp_path / "head.skops"
    save_head(fitted, path)
    again = load_head(path, X[TRAIN])
    assert np.array_equal(again.predict(X), fitted.predict(X))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.best_params_ == fitted.best_params_ and again.get_params().keys() == fitted.get_params().keys()
    pd.testing.assert_frame_equal(again.cv_results_, fitted.cv_results_, check_dtype=False)
    save_head(again, tmp_path / "again.skops")
    assert load_head(tmp_path / "again.skops", X[TRAIN].astype(float)).temperature_ == fitted.temperature_
    assert set(p.name for p in tmp_path.iterdir()) == {"head.skops", "again.skops"}


@pytest.mark.parametrize("head", [SVMHead(), KNNHead(), SVMHead(memory=1e4, kernel="rbf", tune=False, n_components=50)], ids=str)
def test_the_file_holds_no_training_features(head, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = clone(head).fit(X[TRAIN], Y[TRAIN])
    save_head(fitted, tmp_path / "head.skops")
    with zipfile.ZipFile(tmp_path / "head.skops") as file:
        arrays = [np.load(file.open(name)) for name in file.namelist() if name.endswith(".npy")]
    assert arrays and all(a.size < 0.2 * X[TRAIN].size for a in arrays)
    with pytest.raises(InputError, match="give them as X"):
        load_head(tmp_path / "head.skops")
    with pytest.raises(InputError, match="was fitted on 160 x 300 features, not on"):
        load_head(tmp_path / "head.skops", X)
    with pytest.raises(InputError, match="other training features"):
        load_head(tmp_path / "head.skops", X[TRAIN][::-1])
    assert np.array_equal(load_head(tmp_path / "head.skops", X[TRAIN]).predict_proba(X), fitted.predict_proba(X))


def test_damaged_and_foreign_files(tmp_path):
    path = tmp_path / "head.skops"
    save_head(SVMHead(tune=False).fit(X, Y), path)
    whole = path.read_bytes()
    for n in (0, 10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:n])
        with pytest.raises(InputError, match="head.skops: cannot be read as a head"):
            load_head(path, X)
    path.write_bytes(pickle.dumps(SVMHead()))
    with pytest.raises(InputError, match="cannot be read as a head"):
        load_head(path, X)
    skops.io.dump({"head": "Forest", "params": {}}, path)
    with pytest.raises(InputError, match="cannot be read as a head"):
        load_head(path, X)
    with pytest.raises(InputError, match="no such file"):
        load_head(tmp_path / "none.skops", X)
    with pytest.raises(ValueError, match="not fitted"):
        save_head(SVMHead(), tmp_path / "unfitted.skops")
    assert not (tmp_path / "unfitted.skops").exists()


RAN = []


class Malicious:
    "Runs something when it is unpickled."
    def __reduce__(self):
        return RAN.append, ("ran",)


def test_a_file_with_a_program_is_refused(tmp_path):
    skops.io.dump({"head": "SVMHead", "params": {}, "fitted": Malicious(), "rows": ""}, tmp_path / "trap.skops")
    with pytest.raises(InputError, match="not loaded, it holds more than a head"):
        load_head(tmp_path / "trap.skops", X)
    assert not RAN
