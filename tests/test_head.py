"What all heads share: the contract of estimators, inner folds, groups, probabilities, and messages."
import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
from made_features import NAMES, TEST, TRAIN, X, Y, features
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, RepeatedStratifiedKFold, StratifiedKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from leuknb.calibration import fit_temperature
from leuknb.heads import HEADS, LDAHead, SoftmaxHead
from leuknb.knn import KNNHead
from leuknb.lib.errors import InputError
from leuknb.svm import SVMHead


@parametrize_with_checks([head(tune=tune) for head in HEADS.values() for tune in (True, False)] + [SVMHead(kernel="linear")])
def test_scikit_learn_contract(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check(estimator)


def test_groups_reach_the_folds():
    people = np.arange(240) // 4
    y = NAMES[people % 4]
    own = np.random.default_rng(0).normal(size=(60, 300))[people] + 0.1 * X  # each person's rows are alike, whatever the class
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


KINDS = {
    "list": list, "object": lambda y: y.astype(object), "shuffled index": lambda y: pd.Series(y, index=np.arange(240)[::-1] + 5),
    "filtered": lambda y: pd.Series(pd.Categorical(y, [*NAMES, "Late"], ordered=True), index=np.arange(240)[::-1]),
    "categorical": lambda y: pd.Categorical(y, [*NAMES, "Late"]), "one column": lambda y: pd.DataFrame({"label": y}),
    "text": lambda y: pd.Series(y, dtype="string"), "whole numbers": lambda y: np.searchsorted(NAMES, y),
    "nullable": lambda y: pd.Series(np.searchsorted(NAMES, y), dtype="Int64"), "numbers as objects": lambda y: np.searchsorted(NAMES, y).astype(object),
    "booleans": lambda y: y == NAMES[0],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", [False, True])
def test_labels_of_every_kind(kind, groups):
    y, people = KINDS[kind](Y), np.arange(240) // 4
    head = LDAHead(0.1, cv=2, calibrate=False).fit(X, y, groups=pd.Series(people, index=people[::-1] + 7) if groups else None)
    plain = Y == NAMES[0] if kind == "booleans" else np.searchsorted(NAMES, Y) if "number" in kind or kind == "nullable" else Y
    expected = LDAHead(0.1, cv=2, calibrate=False).fit(X, plain, groups=people if groups else None)
    assert head.classes_.tolist() == np.unique(plain).tolist() and head.classes_.dtype != object
    assert np.array_equal(head.predict_proba(X), expected.predict_proba(X)) and (head.predict(X) == expected.predict(X)).all()


@pytest.mark.parametrize("y, message", [
    (Y.astype(bytes), "is bytes: give text, as label.decode"), ([None, *Y[1:]], "1 of 240 labels are missing"),
    (pd.Series(Y).where(np.arange(240) > 2), "3 of 240 labels are missing"), ([1, *Y[1:]], "some labels are text and some are not"),
])
def test_labels_that_cannot_be(y, message):
    with pytest.raises(InputError, match=message):
        LDAHead().fit(X, y)


BAD = [
    (SVMHead(), X * np.where(np.arange(240) == 9, np.nan, 1)[:, None], Y, "1 of 240 rows of features hold NaN or infinity .the first is row 9"),
    (KNNHead(), X * np.where(np.arange(240) == 9, np.inf, 1)[:, None], Y, "NaN or infinity"),
    (SoftmaxHead(), X, np.full(240, "Pro"), "all 240 rows are of one class .Pro"),
    (SVMHead(kernel="poly"), X, Y, "kernel 'poly': choose from rbf, linear"),
    (SVMHead(gamma="auto"), X, Y, "gamma 'auto': choose from scale; or give numbers"),
    (SVMHead(gamma=[0.1, -1]), X, Y, "gamma=.0.1, -1.: give numbers above 0"),
    (SVMHead(C=0), X, Y, "C=0: give numbers above 0"),
    (SVMHead(scale="sd"), X, Y, "scale 'sd': choose from none, global, standard"),
    (SVMHead(C=(1, 10), tune=False), X, Y, "without tuning .`tune=False`. a parameter has one value"),
    (SVMHead(cv=1), X, Y, "cv=1: give a whole number of at least 2"),
    (KNNHead(n_neighbors=500), X, Y, "500 neighbours .`n_neighbors`. are more than the 240 training rows"),
    (KNNHead(n_neighbors=0), X, Y, "n_neighbors=0: give a whole number of at least 1"),
    (KNNHead(weights="squared"), X, Y, "weights 'squared': choose from uniform, distance"),
    (KNNHead(metric="colour"), X, Y, "colour"),
    (SoftmaxHead(C=-1), X, Y, "C=-1: give numbers above 0"),
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
    with pytest.raises(InputError, match="n_neighbors=300: give a whole number of at least 1 and at most 240"):
        KNNHead(tune=False).fit(X, Y).kneighbors(X, 300)


@pytest.mark.parametrize("head", HEADS.values())
def test_a_fitted_head_is_a_plain_skops_file(head):
    fitted = head(tune=False).fit(X, Y)
    file = skops.io.dumps(fitted)
    names = skops.io.get_untrusted_types(data=file)
    assert names == [f"{head.__module__}.{head.__name__}"]
    again = skops.io.loads(file, trusted=names)
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    pd.testing.assert_frame_equal(again.cv_results_, fitted.cv_results_)


def test_settings_are_the_estimators_parameters():
    head = KNNHead(5, "cosine", tune=False)
    assert head.get_params()["n_neighbors"] == 5 and repr(head) == "KNNHead(metric='cosine', n_neighbors=5, tune=False)"
    assert all(name in KNNHead.__doc__ for name in head.get_params())
    with pytest.raises(TypeError, match="positional"):
        KNNHead(5, "cosine", "uniform", "none", True)


def test_the_best_setting_is_the_first_of_equals_over_all_scales():
    head = SVMHead(C=[1.0, 1.0], gamma=[0.5, 0.5], scale=["standard", "global", "standard"]).fit(X, Y)
    best = head.cv_results_["accuracy"].idxmax()
    assert head.cv_results_["scale"].tolist() == ["standard"] * 4 + ["global"] * 4 + ["standard"] * 4
    assert head.best_params_["scale"] == head.cv_results_["scale"][best] and head.best_score_ == head.cv_results_["accuracy"][best]
