"Nearest neighbours against scikit-learn's KNeighborsClassifier and GridSearchCV."
import numpy as np
import pytest
from made_features import TEST, TRAIN, X, Y
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

from leuknb.knn import KNNHead


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("k", [1, 4, 15])
def test_knn_is_kneighborsclassifier(k, metric, weights):
    head = KNNHead(n_neighbors=k, metric=metric, weights=weights, tune=False).fit(X[TRAIN], Y[TRAIN])
    oracle = KNeighborsClassifier(k, metric=metric, weights=weights).fit(X[TRAIN].astype(float), Y[TRAIN])
    assert (head.predict(X[TEST]) == oracle.predict(X[TEST].astype(float))).all()
    for mine, theirs in zip(head.kneighbors(X[TEST], 3), oracle.kneighbors(X[TEST].astype(float), 3)):
        assert mine == pytest.approx(theirs, rel=1e-6)


def test_knn_tunes_as_grid_search_does():
    grid = {"n_neighbors": [1, 5, 11], "metric": ["cosine", "euclidean"], "weights": ["distance", "uniform"]}
    search = GridSearchCV(KNeighborsClassifier(), grid, cv=StratifiedKFold(4, shuffle=True, random_state=3)).fit(X.astype(float), Y)
    head = KNNHead(**grid, scale="none", cv=4, random_state=3).fit(X, Y)
    assert head.best_params_ == search.best_params_
    assert head.cv_results_["accuracy"].tolist() == pytest.approx(search.cv_results_["mean_test_score"].tolist())


def test_knn_in_blocks_is_the_same():
    plain, tight = (KNNHead(memory=m).fit(X[TRAIN], Y[TRAIN]) for m in (4e9, 1e4))
    assert plain.best_params_ == tight.best_params_
    assert plain.predict_proba(X[TEST]) == pytest.approx(tight.predict_proba(X[TEST]), abs=1e-9)


def test_knn_and_equal_rows():
    twins = np.vstack([X[:40], X[:40]])
    head = KNNHead(n_neighbors=5, weights="distance", tune=False).fit(twins, np.tile(Y[:40], 2))
    assert (head.predict(X[:40]) == Y[:40]).all()
    distances, rows = head.kneighbors(X[:40], 2)
    assert (np.sort(rows, axis=1) == np.c_[:40, 40:80]).all() and distances.max() < 1e-3
