"The support vector machine against scikit-learn's SVC and GridSearchCV."
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_features import TEST, TRAIN, X, Y, features
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from leuknb.svm import SVMHead, one_vs_one


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("kernel, C, gamma", [("rbf", 1.0, "scale"), ("rbf", 100.0, 0.01), ("linear", 0.01, "scale")])
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_svm_is_svc(classes, kernel, C, gamma, scale):
    X, y = features(classes=classes)
    X = X.astype(float)
    svc = make_pipeline(StandardScaler() if scale == "standard" else FunctionTransformer(),
                        SVC(C=C, kernel=kernel, gamma=gamma, decision_function_shape="ovo")).fit(X[TRAIN], y[TRAIN])
    head = SVMHead(kernel=kernel, C=C, gamma=gamma, scale=scale, tune=False).fit(X[TRAIN], y[TRAIN])
    expected = svc.decision_function(X) * (1 if classes > 2 else -1)
    assert head.pairwise_decisions(X) == pytest.approx(expected.reshape(len(X), -1), abs=2e-3)  # SVC's own tolerance is 1e-3
    clear = np.abs(expected.reshape(len(X), -1)).min(axis=1) > 2e-3
    assert clear.mean() > 0.9
    assert (head.predict(X) == svc.predict(X))[clear].all()
    if classes == 2:
        assert head.decision_function(X) == pytest.approx(svc.decision_function(X), abs=2e-3)


def test_svm_global_scale_is_svc_on_one_scale():
    centre = X[TRAIN].astype(float).mean(0)
    unit = np.sqrt(((X[TRAIN] - centre) ** 2).sum(1).mean())
    svc = SVC(C=10, gamma=1.0).fit((X[TRAIN] - centre) / unit, Y[TRAIN])
    head = SVMHead(C=10, gamma=1.0, scale="global").fit(X[TRAIN], Y[TRAIN])
    assert (head.predict(X[TEST]) == svc.predict((X[TEST] - centre) / unit)).all()
    assert SVMHead(C=10, gamma="scale", scale="global").fit(X[TRAIN], Y[TRAIN]).gamma_ == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_svm_tunes_as_grid_search_does(kernel):
    grid = {"C": [0.01, 1.0, 100.0]} | ({"gamma": [0.0005, 0.005, 0.05]} if kernel == "rbf" else {})
    search = GridSearchCV(SVC(kernel=kernel), grid, cv=StratifiedKFold(4, shuffle=True, random_state=3)).fit(X, Y)
    head = SVMHead(kernel=kernel, scale="none", cv=4, random_state=3, **grid).fit(X, Y)
    assert head.best_params_ == search.best_params_
    assert head.best_score_ == pytest.approx(search.best_score_)
    assert head.cv_results_["accuracy"].tolist() == pytest.approx(search.cv_results_["mean_test_score"].tolist())


def test_svm_by_hand_from_its_attributes():
    head = SVMHead().fit(X[TRAIN], Y[TRAIN])
    z = (X[TEST][0] - head.mean_) / head.scale_
    k = [np.exp(-head.gamma_ * ((z - s) ** 2).sum()) for s in head.support_vectors_]
    assert head.dual_coef_ @ k + head.intercept_ == pytest.approx(head.pairwise_decisions(X[TEST][:1])[0], abs=1e-9)
    assert np.allclose(head.support_vectors_, (X[TRAIN][head.support_] - head.mean_) / head.scale_)


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_votes_are_libsvms(classes, seed):
    decisions = np.random.default_rng(seed).normal(size=(40, classes * (classes - 1) // 2))
    scores, winner = one_vs_one(decisions, classes)
    votes = np.zeros((40, classes), int)
    for r in range(40):
        p = 0
        for i in range(classes):
            for j in range(i + 1, classes):
                votes[r, i if decisions[r, p] > 0 else j] += 1
                p += 1
    assert (winner == votes.argmax(1)).all()
    assert (scores.argmax(1) == winner).all()
    assert ((scores > 0).sum(1) <= 1)[votes.max(1) == classes - 1].all()


@pytest.mark.parametrize("kernel, message", [("rbf", "Nystroem's approximation with 120 landmarks"), ("linear", "LinearSVC")])
def test_svm_beyond_memory_approximates_and_says_so(kernel, message):
    X, y = features(400, 40, noise=0)
    exact = SVMHead(kernel=kernel, cv=3).fit(X[:300], y[:300])
    with pytest.warns(UserWarning, match=message):
        head = SVMHead(kernel=kernel, cv=3, memory=1e5, n_components=120).fit(X[:300], y[:300])
    assert head.score(X[300:], y[300:]) > exact.score(X[300:], y[300:]) - 0.08
    assert head.best_score_ == pytest.approx(head.cv_results_["accuracy"].max())
    if kernel == "rbf":
        assert (head.predict(X) == exact.predict(X)).mean() > 0.9
        assert len(head.support_vectors_) == 120
