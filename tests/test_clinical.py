"Predictive values, patients, prediction sets: oracles and properties."
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from leuknb.compare import toy_predictions
from leuknb.lib.clinical import by_patient, coverage_table, least_probability, predictive_values, prediction_sets
from leuknb.lib.errors import InputError
from leuknb.lib.models import stored_features, training_rows
from leuknb.lib.outoffold import training_predictions
from leuknb.lib.readout import Readout, check_reading, screening_table
from leuknb.splits import inner_folds


@pytest.fixture(scope="module")
def one():
    "Predictions of one model."
    return toy_predictions().query("head == 'softmax'").reset_index(drop=True)


def test_predictive_values_count_people():
    ill, well = 200, 9_800  # 2 %
    found, passed = 0.9 * ill, 0.95 * well
    ppv, npv = predictive_values((0.9, 0.8, 1.0), (0.95, 0.9, 1.0), 0.02)
    assert ppv[0] == pytest.approx(found / (found + well - passed)) and npv[0] == pytest.approx(passed / (passed + ill - found))
    assert ppv[1] == pytest.approx(0.8 * ill / (0.8 * ill + 0.1 * well)) and ppv[2] == 1
    assert np.isnan(predictive_values((0, 0, 0), (1, 1, 1), 0.5)[0][0]), "nobody is called ill"
    for wrong in (-0.1, 1.1, float("nan"), "half"):
        with pytest.raises(InputError, match="prevalence"):
            predictive_values((1, 1, 1), (1, 1, 1), wrong)


def test_patients_are_combined_by_hand(one):
    rows = one.head(4).assign(image=list("abcd"), true="Pre", predicted=["Pre", "Pro", "Pre", "Pre"])
    p = np.array([[0.1, 0.2, 0.6, 0.1], [0.1, 0.1, 0.3, 0.5], [0.3, 0.3, 0.4, 0.0], [0.25, 0.25, 0.25, 0.25]])
    rows = rows.assign(**{f"p_{c}": p[:, i] for i, c in enumerate(("Benign", "Early", "Pre", "Pro"))})
    table = by_patient(rows, pd.Series({"a": "P1", "b": "P1", "c": "P2", "d": ""})).set_index("patient")
    product = np.sqrt(p[0] * p[1])
    assert table.loc["P1", ["images", "correct", "predicted"]].tolist() == [2, 1, "Pre"]
    assert table.loc["P1", "probability"] == pytest.approx(max(product) / product.sum())
    assert list(table.index) == ["P1", "P2"], "an image without a patient is left out"


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_prediction_sets_equal_mapie(level):
    mapie = pytest.importorskip("mapie.classification")
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(900, 3)), rng.integers(0, 4, 900)
    X[:, 0] += y
    X[:, 1] -= y == 2
    model = LogisticRegression().fit(X[:300], y[:300])
    oracle = mapie.SplitConformalClassifier(model, confidence_level=level, conformity_score="lac", prefit=True)
    oracle.conformalize(X[300:600], y[300:600])
    expected = oracle.predict_set(X[600:])[1][:, :, 0]
    table = lambda a, b: pd.DataFrame(model.predict_proba(X[a:b]), columns=[f"p_{k}" for k in range(4)]).assign(
        image=[f"i{k}" for k in range(a, b)], true=[str(k) for k in y[a:b]], predicted="0")
    sets = prediction_sets(table(600, 900), level, reference=table(300, 600))
    assert (sets == expected).all() and 0 < sets.sum(1).std()


def test_a_level_that_few_images_cannot_reach_covers_everything():
    assert least_probability(np.array([0.9, 0.8]), 0.9) == 0
    assert least_probability(np.array([0.9, 0.8, 0.7] * 3), 0.9) == 0.7


def test_coverage_counts_by_hand(one):
    rows, sets = one.head(4).assign(true=["Benign", "Benign", "Pre", "Pre"]), np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
    table = coverage_table(rows, sets, rows["true"]).set_index("of")
    assert table["covered"].tolist() == [1, 0] and table["answered"].tolist() == [0.5, 0.5]
    assert table["right where answered"].tolist() == [1, 0] and coverage_table(rows, sets)["covered"].tolist() == [0.5]


def test_out_of_fold_predictions_are_those_of_scikit_learn(made):
    run, _ = made
    model, row = "alexnet/knn/original", run.models.query("head == 'knn' and variant == 'original'").iloc[0]
    found = training_predictions(run, model).set_index("image")
    rows, X = training_rows(run, "original"), stored_features(run, row["features"]).astype(float)
    y, p = rows["label"].astype(str).to_numpy(), {}
    chosen = row["chosen"]
    for train, test in inner_folds(y, rows["group"].to_numpy(), 5, run.choices.seed):
        Z = X
        if chosen.get("scale") == "standard":
            spread = X[train].std(0)
            Z = (X - X[train].mean(0)) / np.where(spread > 0, spread, 1)
        knn = KNeighborsClassifier(int(chosen["n_neighbors"]), metric=chosen["metric"], weights=chosen["weights"]).fit(Z[train], y[train])
        p |= dict(zip(rows["image"].iloc[test], knn.predict(Z[test])))
    assert set(p) == set(found.index) == set(rows["image"])
    assert np.mean([found.loc[image, "predicted"] == label for image, label in p.items()]) > 0.95, "ties apart"
    assert training_predictions(run, model).groupby("image").size().eq(1).all()


def test_equal_probabilities_are_equal_after_rounding(made):
    "One nearest neighbour gives every image the same probability: a threshold on it must not depend on the seventh decimal."
    run, _ = made
    readout = Readout(run, [], model="alexnet/knn/original")
    p = readout.reference.filter(regex="^p_")
    assert (p == p.round(6)).all(axis=None)
    sets = prediction_sets(readout.rows, 0.8, readout.reference, readout.groups)
    assert sets.any(axis=1).mean() > 0.5


def test_only_the_first_fold_of_one_split_has_a_reference(made):
    run, _ = made
    several = type(run)(run.path)
    several.split = pd.concat([run.split, run.split.assign(fold=1)])
    assert training_predictions(several, "alexnet/knn/original") is None


def test_thresholds_ignore_the_labels_of_test_images(made):
    run, _ = made
    plain, swapped = (Readout(type(run)(run.path), ["Early", "Pre", "Pro"]) for _ in range(2))
    other = run.classes[::-1]
    swapped.rows = plain.rows.assign(true=plain.rows["true"].map(dict(zip(run.classes, other))))
    a, b = screening_table(plain), screening_table(swapped)
    assert a["threshold"].dropna().tolist() == b["threshold"].dropna().tolist()


def test_what_counts_as_malignant():
    assert check_reading(["Benign", "Early", "Pre", "Pro"]) == ["Early", "Pre", "Pro"]
    assert check_reading(["all", "hem"]) == [] and check_reading(["all", "hem"], ["all"], 0.5) == ["all"]
    for wrong in (["leukaemia"], ["all", "hem"], []):
        with pytest.raises(InputError, match="positive"):
            check_reading(["all", "hem"], wrong)
