"""Filters over predictions against plain pandas."""
import numpy as np
import pandas as pd
import pytest
from fake_run import CLASSES, GRID, make_run

from leuknb.lib.errors import InputError
from leuknb.lib.tables import display_name
from leuknb.misread import ORDERS, Predictions, agreement, arrange, facets, label_quality, select, shuffled


def test_arrays_hold_the_table(drawn_run):
    pred = Predictions(drawn_run.predictions)
    assert pred.p.shape == (60, 16, 4) and len(pred.images) == 60
    one = drawn_run.predictions.sample(1, random_state=3).iloc[0]
    i, j = pred.number[one["image"]], pred.models.index((one["backbone"], one["head"], one["variant"]))
    assert pred.classes[pred.predicted[i, j]] == one["predicted"] and pred.p[i, j, 2] == np.float32(one["p_Pre"])
    assert pred.row_fold[i, j] == one["fold"]
    assert pred.confidence[i, j] == np.float32(one[f"p_{one['predicted']}"])


@pytest.mark.parametrize("true", ["any", *CLASSES])
@pytest.mark.parametrize("predicted", ["wrong", "right", "any", "Pre"])
@pytest.mark.parametrize("head", ["any", "knn"])
def test_counts_equal_pandas(drawn_run, true, predicted, head):
    pred = Predictions(drawn_run.predictions)
    hits, counts = select(facets(pred), {"true": true, "predicted": predicted, "head": head})
    t = drawn_run.predictions
    keep = (t["true"] == true) | (true == "any")
    keep &= (t["head"] == head) | (head == "any")
    right = t["predicted"] == t["true"]
    keep &= {"wrong": ~right, "right": right, "any": True}.get(predicted, t["predicted"] == predicted)
    assert set(pred.images[hits.any(1)]) == set(t[keep]["image"])
    assert counts["true"][true] == counts["predicted"][predicted] == t[keep]["image"].nunique()


def test_agreement_equals_pandas(drawn_run):
    pred = Predictions(drawn_run.predictions)
    wrong = drawn_run.predictions.assign(wrong=lambda t: t["true"] != t["predicted"])
    per = wrong.pivot_table(index="image", columns=["backbone", "head", "variant"], values="wrong").reindex(pred.images) > 0
    masks = {k: v[:, 0] for k, v in agreement(pred).items()}
    knn = per.columns.get_level_values("head") == "knn"
    assert (masks["all wrong"] == per.all(axis=1)).all() and (masks["exactly one wrong"] == (per.sum(axis=1) == 1)).all()
    only = per.loc[:, knn].any(axis=1) & ~per.loc[:, ~knn].any(axis=1)
    assert (masks[f"only {display_name('knn')} wrong"] == only).all()


def test_confidence_and_picked_images_are_filters(drawn_run):
    pred = Predictions(drawn_run.predictions)
    some = set(pred.images[:7])
    hits = select(facets(pred, confidence=(0.9, 1), picked=some), {"predicted": "any"})[0]
    t = drawn_run.predictions
    p = t[[f"p_{c}" for c in CLASSES]].max(axis=1)
    assert set(pred.images[hits.any(1)]) == set(t[(p >= 0.9) & t["image"].isin(some)]["image"])


@pytest.mark.parametrize("order", list(ORDERS))
def test_reversed_order_has_the_same_images(drawn_run, order):
    pred = Predictions(drawn_run.predictions)
    hits = select(facets(pred), {"true": "Benign"})[0]
    (i, _), (k, _) = arrange(pred, hits, order), arrange(pred, hits, order, reverse=True)
    assert set(i) == set(k) and (len(set(ORDERS[order](pred, i, np.zeros_like(i)))) < 2 or i[0] != k[0] or len(i) == 1)


def test_most_confidently_wrong_first(drawn_run):
    pred, t = Predictions(drawn_run.predictions), drawn_run.predictions
    i, _ = arrange(pred, select(facets(pred), {"true": "Benign", "predicted": "wrong"})[0])
    wrong = t[(t["true"] == "Benign") & (t["predicted"] != "Benign")]
    best = wrong[[f"p_{c}" for c in CLASSES[1:]]].max(axis=1).groupby(wrong["image"]).max().sort_values(ascending=False)
    assert pred.images[i].tolist() == best.index.tolist()


def test_a_model_that_saw_other_images(tmp_path):
    path = make_run(tmp_path, count=12, models=GRID[:2])
    table = pd.read_csv(path / "predictions.csv")
    first = table["head"].eq("svm") & table["variant"].eq("original")
    table = table.drop(table[first].index[:4])
    pred = Predictions(table)
    assert pred.seen.sum() == 20 and not pred.wrong[~pred.seen].any() and np.isnan(pred.p[~pred.seen]).all()
    assert (pred.confidence[~pred.seen] == 0).all()


def test_overlapping_folds_are_shown_one_at_a_time(drawn_run):
    twice = pd.concat([drawn_run.predictions, drawn_run.predictions.assign(fold=7)])
    pred = Predictions(twice)
    assert pred.overlap and pred.fold == 0 and Predictions(twice, 7).images.size == 60


def test_unknown_class_in_the_file(drawn_run):
    with pytest.raises(InputError, match="'Prae' is not one of the classes"):
        Predictions(drawn_run.predictions.assign(true="Prae"))
    with pytest.raises(InputError, match="no held-out predictions"):
        Predictions(drawn_run.predictions.assign(split="train"))


def test_label_quality_by_hand():
    p = np.array([[[.2, .5, .3], [.4, .1, .5]], [[.7, .2, .1], [np.nan] * 3]])
    confidence, margin = label_quality(p, np.array([0, 0]))
    assert np.allclose(confidence, [.3, .7]) and np.allclose(margin, [.3 - .4, .7 - .2])


def test_a_planted_label_error_comes_first(drawn_run):
    table = drawn_run.predictions.copy()
    means = table.groupby("image")[[f"p_{c}" for c in CLASSES]].mean()
    image = means.max(axis=1).idxmax()  # all models are confident, and the label says something else
    table.loc[table["image"] == image, "true"] = means.columns[means.loc[image].argmin()][2:]
    pred = Predictions(table)
    for order in ("likely label error, by margin", "likely label error, by self-confidence"):
        shown = pred.images[arrange(pred, select(facets(pred), {"predicted": "any"})[0], order)[0]]
        assert shown[0] == image and len(shown) == 60


def test_shuffled_is_the_same_for_any_selection():
    names = [f"Benign/{n}" for n in range(50)]
    order = shuffled(names)
    assert sorted(order) == list(range(50)) and order.tolist() != sorted(order)
    assert np.array_equal(order, shuffled(names))
