"Heads against scikit-learn: the estimator contract, and SVC, KNeighborsClassifier, LogisticRegression and GridSearchCV as oracles."
import pickle
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, RepeatedStratifiedKFold, StratifiedKFold, cross_val_predict, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from leuknb.lib.errors import InputError
from leuknb.calibration import fit_temperature
from leuknb.heads import HEADS, SoftmaxHead, load_head, save_head
from leuknb.knn import KNNHead
from leuknb.splits import inner_folds
from leuknb.svm import SVMHead, one_vs_one

NAMES = np.array(["Benign", "Early", "Pre", "Pro"])


def features(n=240, p=300, classes=4, seed=0, noise=0.05):
    "Features with structure, more of them than rows, and labels."
    X, y = make_classification(n, p, n_informative=12, n_redundant=20, n_classes=classes, flip_y=noise, class_sep=1.5, random_state=seed)
    return X.astype(np.float32), NAMES[y]


X, Y = features()
TRAIN, TEST = np.arange(240) < 160, np.arange(240) >= 160


@parametrize_with_checks([head(tune=tune) for head in HEADS.values() for tune in (True, False)] + [SVMHead(kernel="linear")])
def test_scikit_learn_contract(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check(estimator)


# ---- the support vector machine

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


# ---- nearest neighbours

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


# ---- folds, groups and probabilities

def test_groups_stay_together_and_reach_the_folds():
    people = np.arange(240) // 4
    y = NAMES[people % 4]
    folds = inner_folds(y, people, 5, 0)
    assert len(folds) == 5 and all(not set(people[a]) & set(people[b]) for a, b in folds)
    own = np.random.default_rng(0).normal(size=(60, 300))[people] + 0.1 * X  # each person's rows are alike, and say nothing about the class
    for head in HEADS.values():
        careless, careful = head().fit(own, y), head().fit(own, y, groups=people)
        assert careless.best_score_ > 0.95 and careful.best_score_ < 0.5


def test_groups_by_metadata_routing():
    people = np.arange(240) // 8
    with config_context(enable_metadata_routing=True):
        head = SVMHead(tune=False).set_fit_request(groups=True)
        result = cross_validate(make_pipeline(StandardScaler(), head), X, Y, params={"groups": people},
                                cv=GroupKFold(3), return_estimator=True)
    direct = SVMHead(tune=False)
    train = next(GroupKFold(3).split(X, Y, people))[0]
    direct.fit(StandardScaler().fit_transform(X[train]), Y[train], groups=people[train])
    assert result["estimator"][0][-1].temperature_ == direct.temperature_


@pytest.mark.parametrize("counts, groups, folds", [((40, 40), None, 5), ((40, 3), None, 3), ((40, 2), None, 2), ((40, 1), None, 0),
                                                   ((40, 40), 4, 2), ((40, 40), 40, 0)])
def test_fewer_folds_where_a_class_is_small(counts, groups, folds):
    y = np.repeat(["a", "b"], counts)
    g = None if groups is None else np.arange(len(y)) // (groups * 5 if groups < 40 else 40)
    if folds:
        assert len(inner_folds(y, g, 5, 0)) == folds
    else:
        with pytest.warns(UserWarning, match="nothing is tuned or calibrated"):
            assert inner_folds(y, g, 5, 0) == []


@pytest.mark.parametrize("head", HEADS.values())
def test_a_head_without_folds_still_works(head):
    with pytest.warns(UserWarning, match="b has 1 row"):
        fitted = head().fit(X[:41], ["a"] * 40 + ["b"])
    assert np.isnan(fitted.best_score_) and fitted.temperature_ == 1
    assert fitted.predict_proba(X).sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("cv", [RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0), LeaveOneGroupOut()])
def test_any_splitter(cv):
    head = SVMHead(cv=cv, tune=False).fit(X, Y, groups=np.arange(240) % 3 if isinstance(cv, LeaveOneGroupOut) else None)
    assert head.cv_results_["folds"][0] in (6, 3)
    with pytest.raises(InputError, match="missing from a training fold"):
        SVMHead(cv=LeaveOneGroupOut()).fit(X, Y, groups=Y)


@pytest.mark.parametrize("head", HEADS.values())
@pytest.mark.parametrize("tune", [True, False])
@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_agree_with_predictions(head, tune, classes):
    X, y = features(classes=classes, noise=0.3)
    fitted = head(tune=tune).fit(X[TRAIN], y[TRAIN])
    p = fitted.predict_proba(X[TEST])
    assert p.sum(axis=1) == pytest.approx(1) and ((0 < p) & (p < 1)).all()
    assert (fitted.classes_[p.argmax(axis=1)] == fitted.predict(X[TEST])).all()
    d = fitted.decision_function(X[TEST])
    assert (fitted.classes_[(d > 0).astype(int) if classes == 2 else d.argmax(axis=1)] == fitted.predict(X[TEST])).all()


@pytest.mark.parametrize("head", HEADS.values())
def test_temperature_is_fitted_out_of_fold(head):
    fitted = head(tune=False).fit(X, Y)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(head(tune=False, calibrate=False), X, Y, cv=folds, method="decision_function")
    expected = fit_temperature(scores, np.searchsorted(fitted.classes_, Y))
    assert fitted.temperature_ == pytest.approx(expected, rel=0.05)
    assert fitted.best_score_ == pytest.approx((fitted.classes_[scores.argmax(1)] == Y).mean(), abs=0.01)
    bare = head(tune=False, calibrate=False).fit(X, Y)
    assert bare.temperature_ == 1 and np.isnan(bare.best_score_)


def test_more_noise_makes_less_confidence():
    confident = {noise: SVMHead().fit(*features(noise=noise)).predict_proba(X).max(axis=1).mean() for noise in (0, 0.5)}
    assert confident[0] > confident[0.5] + 0.1


# ---- the same again, other inputs

@pytest.mark.parametrize("head", HEADS.values())
def test_same_result_for_any_number_of_threads(head):
    with threadpool_limits(1):
        one = head(n_jobs=1).fit(X, Y)
    many = head(n_jobs=4).fit(X, Y)
    assert one.best_params_ == many.best_params_ and (one.predict(X) == many.predict(X)).all()
    assert one.predict_proba(X) == pytest.approx(many.predict_proba(X), abs=1e-4)


@pytest.mark.parametrize("head", HEADS.values())
def test_same_bytes_twice(head):
    first, second = (head().fit(X, Y).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("head", HEADS.values())
def test_pandas_labels_and_constant_features(head):
    label = pd.Series(pd.Categorical(Y, categories=list(NAMES), ordered=True), index=np.arange(240) + 7)
    constant = np.hstack([X, np.full((240, 5), 3.7, np.float32)])
    fitted = clone(head()).fit(constant, label, groups=pd.Series(np.arange(240) // 2))
    assert fitted.classes_.tolist() == list(NAMES) and fitted.score(constant, label) > 0.5
    blank = head().fit(np.ones((40, 6)), np.tile(["a", "b"], 20))
    assert set(blank.predict(np.ones((3, 6)))) <= {"a", "b"}


BAD = [
    (SVMHead(), X * np.where(np.arange(240) == 9, np.nan, 1)[:, None], Y, "1 of 240 rows of features hold NaN or infinity .the first is row 9"),
    (KNNHead(), X * np.where(np.arange(240) == 9, np.inf, 1)[:, None], Y, "NaN or infinity"),
    (SoftmaxHead(), X, np.full(240, "Pro"), "all 240 rows are of one class .Pro"),
    (SVMHead(kernel="poly"), X, Y, 'kernel="poly" is unknown; use "rbf" or "linear"'),
    (SVMHead(gamma="auto"), X, Y, 'gamma="auto" is unknown'),
    (SVMHead(gamma=[0.1, -1]), X, Y, "gamma=.0.1, -1.: must be above 0"),
    (SVMHead(C=0), X, Y, "C=0: must be above 0"),
    (SVMHead(scale="sd"), X, Y, 'scale="sd" is unknown'),
    (SVMHead(C=(1, 10), tune=False), X, Y, "tune=False takes one value"),
    (SVMHead(cv=1), X, Y, "cv=1: at least 2 folds"),
    (KNNHead(n_neighbors=500), X, Y, "n_neighbors=500 is more than the 240 training rows"),
    (KNNHead(n_neighbors=0), X, Y, "must be above 0"),
    (KNNHead(weights="squared"), X, Y, 'weights="squared" is unknown'),
    (KNNHead(metric="colour"), X, Y, "colour"),
    (SoftmaxHead(C=-1), X, Y, "C=-1: must be above 0"),
    (SVMHead(), X, np.linspace(0, 1, 240), "continuous"),
    (SVMHead(), X[:100], Y, "inconsistent numbers of samples"),
]


@pytest.mark.parametrize("head, X, y, message", BAD, ids=[f"{type(h).__name__}: {m}" for h, _, _, m in BAD])
def test_bad_input_is_named(head, X, y, message):
    with pytest.raises(ValueError, match=message):
        head.fit(X, y)


def test_groups_of_another_length_and_other_features():
    with pytest.raises(ValueError, match="inconsistent"):
        SVMHead().fit(X, Y, groups=np.arange(10))
    with pytest.raises(ValueError, match="expecting 300 features"):
        SVMHead(tune=False).fit(X, Y).predict(X[:, :20])
    with pytest.raises(InputError, match="there are 240 training rows"):
        KNNHead(tune=False).fit(X, Y).kneighbors(X, 300)


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
