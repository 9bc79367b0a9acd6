"Which held-out images a model gets right, and intervals over groups."
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from leuknb.lib import scoring
from leuknb.lib.errors import InputError
from leuknb.metrics import accuracy_interval, clustered_error, wilson
from leuknb.splits import split


def series(values):
    "Values by image."
    return pd.Series(np.asarray(values, float))


def test_interval_of_single_images_is_wilsons():
    right = np.r_[np.ones(30), np.zeros(10)]
    np.testing.assert_allclose(accuracy_interval(right, np.arange(40)), (0.75, *wilson(30, 40)))


def test_interval_widens_with_groups_and_stays_in_range():
    right = np.repeat([1, 1, 1, 0], 10)
    widths = [np.ptp(accuracy_interval(right, np.arange(40) // size)[1:]) for size in (1, 5, 10, 40)]
    assert widths == sorted(widths) and widths[-1] <= 1
    for value in (0, 1):
        mean, low, high = accuracy_interval(np.full(40, value), np.arange(40) // 10)
        assert 0 <= low <= mean <= high <= 1 and high - low > np.ptp(wilson(40, 40))


def test_clustered_error_against_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(0)
    units = rng.integers(0, 12, 200)
    values = rng.normal(size=12)[units] + rng.normal(size=200)
    fit = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": units, "use_correction": False})
    m = len(np.unique(units))
    assert clustered_error(values, units)[0] == pytest.approx(fit.bse[0] * np.sqrt(m / (m - 1)))


def test_paired_gap_of_single_images_is_the_t_interval():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (2, 60))
    d = a - b
    half = t.ppf(0.975, 59) * d.std(ddof=1) / np.sqrt(60)
    gap = scoring.paired_gap(series(a), series(b), series(range(60)))
    np.testing.assert_allclose(gap, (d.mean(), d.mean() - half, d.mean() + half))
    assert norm.ppf(0.975) < t.ppf(0.975, 59)


def test_paired_gap_uses_images_that_both_were_tested_on():
    a, b = pd.Series([1.0, 0.0, 1.0], list("abc")), pd.Series([0.0, 1.0, 0.0], list("bcd"))
    groups = pd.Series(list("wxyz"), list("abcd"))
    assert scoring.paired_gap(a, b, groups) == scoring.paired_gap(a[["b", "c"]], b[["b", "c"]], groups)


def test_score_rows_against_scikit_learn(cats):
    from sklearn.dummy import DummyClassifier
    from sklearn.neighbors import KNeighborsClassifier
    rows = scoring.one_variant(cats["clean"], "original")
    parts, y = split(cats["clean"], "kfold", folds=4), rows["label"].astype(str).to_numpy()
    x = np.random.default_rng(0).normal(size=(len(rows), 3))
    correct = scoring.score_rows(lambda: KNeighborsClassifier(3), x, rows, parts)
    expected, chance = {}, {}
    for _, part in parts.groupby("fold"):
        side = part.set_index("image")["split"].reindex(rows["image"]).to_numpy()
        train, test = side == "train", side == "test"
        pred = KNeighborsClassifier(3).fit(x[train], y[train]).predict(x[test])
        expected |= dict(zip(rows["image"][test], (pred == y[test]).astype(float)))
        dummy = DummyClassifier(strategy="most_frequent").fit(x[train], y[train]).predict(x[test])
        chance |= dict(zip(rows["image"][test], (dummy == y[test]).astype(float)))
    assert correct.to_dict() == expected and len(expected) == len(rows)
    assert scoring.score_chance(rows, parts).to_dict() == chance


def test_scores_of_a_run_are_means_over_folds():
    predictions = pd.DataFrame({"image": ["a", "a", "b", "c"], "backbone": "alexnet", "head": "svm", "variant": "original",
                                "split": ["test", "test", "test", "train"], "true": list("XXYZ"), "predicted": list("XYYZ")})
    assert {name: s.to_dict() for name, s in scoring.score_run(predictions).items()} == {"alexnet/svm/original": {"a": 0.5, "b": 1.0}}


def test_one_variant_needs_images_of_two_classes(cats):
    one_class = cats["clean"][cats["clean"]["label"] == "Pre"]
    for cat, message in ((one_class, "of one class"), (one_class[:0], "no original images")):
        with pytest.raises(InputError, match=message):
            scoring.one_variant(cat, "original")
