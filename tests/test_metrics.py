"Metrics: properties that hold for any confusion matrix, and scikit-learn and statsmodels as oracles."
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure
from sklearn.exceptions import UndefinedMetricWarning
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

from leuknb.lib.errors import InputError
from leuknb.lib.tables import ROUGH, ROUGH_NOTE, Intervals, explained_lines, marked, percent, table_html
from leuknb.external import share_by, spread
from leuknb.lib.chapters import Audit, Chapter
from leuknb.lib.clusters import clustered_interval
from leuknb.metrics import SUMMARY, accuracy_interval, check_confusion, classes_of, confusion, fractions, marked_interval, measure, metrics_table, per_class, plot_confusion, score_predictions, summary, wilson

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
many, few = settings(deadline=None, max_examples=50), settings(deadline=None, max_examples=8)
sizes = st.integers(2, 6)
matrices = sizes.flatmap(lambda k: arrays(np.int64, (k, k), elements=st.integers(0, 60))).filter(lambda m: m.sum() > 0)


def unroll(matrix):
    "Labels that give this matrix."
    return [np.repeat(i.ravel(), matrix.ravel()) for i in np.indices(matrix.shape)]


@many
@given(matrices)
def test_confusion_inverts_unrolling(matrix):
    found = confusion(*unroll(matrix), range(len(matrix)))
    assert (found == matrix).all() and found.dtype.kind == "i"


@many
@given(matrices, st.sampled_from([0.0, 1.0, np.nan]))
def test_class_metrics_equal_scikit_learn(matrix, zero_division):
    true, predicted = unroll(matrix)
    labels = list(range(len(matrix)))
    oracle = sk.precision_recall_fscore_support(true, predicted, labels=labels, zero_division=zero_division)[:3]
    ours = per_class(matrix, zero_division=zero_division)[["precision", "recall", "fscore"]]
    np.testing.assert_allclose(ours.values.T, oracle)
    for average, column in zip(oracle, ours):
        expected = np.nanmean(average) if (~np.isnan(average)).any() else np.nan
        np.testing.assert_allclose(measure(matrix, column, "macro", zero_division=zero_division), expected)


@many
@given(matrices)
def test_means_over_classes_are_those_of_scikit_learn(matrix):
    "Its default: a class never predicted, or never true, counts as 0; one that is neither is no class."
    true, predicted = unroll(matrix)
    table = metrics_table(matrix).set_index(["class", "metric"])["value"]
    for metric, oracle in (("precision", sk.precision_score), ("recall", sk.recall_score), ("sensitivity", sk.recall_score), ("fscore", sk.f1_score)):
        expected = oracle(true, predicted, average="macro", zero_division=0)
        np.testing.assert_allclose([measure(matrix, metric, "macro"), table["macro", metric]], expected)
    present = [c for c in range(len(matrix)) if matrix[c].any() or matrix[:, c].any()]
    for metric, oracle in (("accuracy", sk.accuracy_score), ("specificity", lambda t, p: sk.recall_score(~t, ~p, zero_division=0))):
        np.testing.assert_allclose(table["macro", metric], np.mean([oracle(true == c, predicted == c) for c in present]))
    np.testing.assert_allclose(table["overall", "balanced_accuracy"], sk.balanced_accuracy_score(true, predicted))
    np.testing.assert_allclose(measure(matrix[None], "precision", "macro"), table["macro", "precision"])


def test_a_class_that_counts_as_nothing_is_a_warning():
    giving_up, absent = [[8, 2, 0], [1, 9, 0], [3, 2, 0]], [[8, 0, 2], [0, 0, 0], [1, 0, 9]]
    names = ["Benign", "Early", "Pre"]
    with pytest.warns(UndefinedMetricWarning, match=r"^precision of Pre is undefined \(none was predicted\), counted as 0 in the mean over classes$"):
        measure(giving_up, "precision", "macro", names)
    with pytest.warns(UndefinedMetricWarning, match="left out of every mean over classes: Early$"):
        measure(absent, "recall", "macro", names)
    with pytest.warns(UndefinedMetricWarning, match="no image is of this class.*left out of balanced accuracy"):
        summary(np.transpose(giving_up))
    with pytest.warns(UndefinedMetricWarning, match="^alexnet/svm/original: precision of Pro"):
        score_predictions(predictions([[5, 0], [5, 0]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure(giving_up, "recall", "macro"), measure(giving_up, "precision", "macro", zero_division=0), measure([giving_up] * 2, "precision", "macro")
        metrics_table(giving_up, zero_division=np.nan), metrics_table([[5, 1], [0, 4]]), summary(giving_up)


@pytest.mark.parametrize("zero_division", [None, 0, 1])
def test_an_undefined_class_widens_the_interval_of_the_mean(zero_division):
    "Nothing was seen of its precision: it could be anything from 0 to 1."
    row = metrics_table([[10, 0, 0], [0, 10, 0], [5, 5, 0]], zero_division=zero_division).set_index(["class", "metric"]).loc["macro", "precision"]
    assert row["low"] < row["value"] < row["high"] and row["high"] - row["low"] > 1 / 3


@many
@given(matrices)
def test_specificity_and_accuracy_are_those_of_the_binary_problem(matrix):
    true, predicted = unroll(matrix)
    ours = per_class(matrix)
    for c in range(len(matrix)):
        assert ours.accuracy[c] == pytest.approx(sk.accuracy_score(true == c, predicted == c))
        if (true != c).any():
            assert ours.specificity[c] == pytest.approx(sk.recall_score(true != c, predicted != c))


@many
@given(matrices)
def test_summary_equals_scikit_learn(matrix):
    true, predicted = unroll(matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa = sk.cohen_kappa_score(true, predicted)
        balanced, mcc = sk.balanced_accuracy_score(true, predicted), sk.matthews_corrcoef(true, predicted)
    expected = [sk.accuracy_score(true, predicted), balanced, kappa, mcc]
    found = summary(matrix)
    found["mcc"] = measure(matrix, "mcc", zero_division=0)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@many
@given(matrices)
def test_transposing_swaps_recall_and_precision(matrix):
    one, other = per_class(matrix), per_class(matrix.T)
    np.testing.assert_allclose(one.recall, other.precision)
    np.testing.assert_allclose(one[["accuracy", "fscore"]], other[["accuracy", "fscore"]])
    np.testing.assert_allclose(one.recall, one.sensitivity)


@many
@given(matrices, st.randoms())
def test_order_of_classes_does_not_matter(matrix, random):
    order = list(range(len(matrix)))
    random.shuffle(order)
    np.testing.assert_allclose(per_class(matrix[np.ix_(order, order)]), per_class(matrix).iloc[order])
    np.testing.assert_allclose(summary(matrix[np.ix_(order, order)]), summary(matrix), atol=1e-12)


@many
@given(matrices, st.integers(2, 5))
def test_a_stack_is_measured_matrix_by_matrix(matrix, times):
    stack = np.stack([matrix + i for i in range(times)])
    for metric in SUMMARY:
        np.testing.assert_allclose(measure(stack, metric), [measure(m, metric) for m in stack])
    for metric in fractions(matrix):
        np.testing.assert_allclose(measure(stack, metric, "macro"), [measure(m, metric, "macro") for m in stack])
        np.testing.assert_allclose(measure(stack, metric, 1), [measure(m, metric, 1) for m in stack])


@many
@given(matrices, st.floats(0.5, 0.999))
def test_intervals_hold_their_value_and_stay_within_bounds(matrix, confidence):
    table = metrics_table(matrix, confidence=confidence)
    known = table[table["value"].notna()]
    assert (known["low"] <= known["value"] + 1e-9).all() and (known["value"] <= known["high"] + 1e-9).all()
    shares = known[~known["metric"].isin(["kappa", "mcc"])]
    assert shares["low"].ge(-1e-12).all() and shares["high"].le(1 + 1e-12).all()
    assert known["high"].le(1 + 1e-12).all()


@many
@given(matrices.filter(lambda m: m.min() > 0))
def test_more_images_and_less_confidence_narrow_every_interval(matrix):
    width = lambda t: (t["high"] - t["low"]).to_numpy()
    assert (width(metrics_table(4 * matrix)) < width(metrics_table(matrix))).all()
    assert (width(metrics_table(matrix, confidence=0.8)) < width(metrics_table(matrix))).all()


@many
@given(matrices, st.integers(2, 20))
def test_repeats_of_the_same_images_change_nothing(matrix, repeats):
    columns = ["value", "low", "high"]
    once, again = metrics_table(matrix), metrics_table(repeats * matrix, n=int(matrix.sum()))
    np.testing.assert_allclose(again[columns], once[columns], atol=1e-9)


@many
@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.01, 0.999))
def test_wilson_equals_statsmodels(k, n, confidence):
    k = min(k, n)
    np.testing.assert_allclose(wilson(k, n, confidence), proportion_confint(k, n, 1 - confidence, "wilson"), atol=1e-9)
    low, high = wilson(k, n, confidence)
    np.testing.assert_allclose(wilson(n - k, n, confidence), (1 - high, 1 - low), atol=1e-9)


def test_wilson_is_vectorised_and_undefined_without_trials():
    low, high = wilson([0, 5, 10], [0, 10, 10])
    assert np.isnan(low[0]) and high[2] == 1 and (low[1:] < [0.5, 1]).all()


@pytest.mark.parametrize("k, n, confidence", [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 0), (1, 2, 1), (1, 2, 95)])
def test_wilson_refuses(k, n, confidence):
    with pytest.raises(InputError, match="0 <= successes <= trials and a confidence between"):
        wilson(k, n, confidence)


def test_kappa_interval_is_near_the_asymptotic_one():
    matrix = np.array([[114, 24, 5, 8], [17, 271, 5, 2], [5, 7, 277, 0], [5, 3, 0, 233]])
    row = metrics_table(matrix).set_index(["class", "metric"]).loc[("overall", "kappa")]
    oracle = cohens_kappa(matrix)
    np.testing.assert_allclose([row["value"], row["low"], row["high"]], [oracle.kappa, oracle.kappa_low, oracle.kappa_upp], atol=0.004)


def test_macro_accuracy_is_a_line_of_accuracy():
    table = metrics_table([[8, 2, 0], [1, 9, 0], [0, 3, 7]]).set_index(["class", "metric"])[["value", "low", "high"]]
    np.testing.assert_allclose(table.loc[("macro", "accuracy")], 1 - 2 / 3 * (1 - table.loc[("overall", "accuracy")]))


def test_long_form():
    table = metrics_table([[2, 1], [0, 3]], ["Benign", "Pro"])
    assert list(table.columns) == ["class", "metric", "value", "low", "high"]
    assert list(dict.fromkeys(table["class"])) == ["Benign", "Pro", "macro", "overall"]
    assert set(table.loc[table["class"] == "overall", "metric"]) == set(SUMMARY)


def test_undefined_stays_undefined_or_takes_the_stated_value():
    never = [[5, 0], [5, 0]]
    plain, zero = (metrics_table(never, zero_division=z).set_index(["class", "metric"]) for z in (np.nan, 0))
    assert plain.loc[(1, "precision")].isna().all()
    assert zero.loc[(1, "precision"), "value"] == 0 and np.isnan(zero.loc[(1, "precision"), "low"])
    assert plain.loc[("macro", "precision"), "value"] == 0.5 and zero.loc[("macro", "precision"), "value"] == 0.25


@pytest.mark.parametrize("bad, message", [
    ([[1, 2, 3]], "square; this one is 1 x 3"),
    ([1, 2], "square; this one is 2"),
    ([[1, -1], [0, 1]], "none negative or missing"),
    ([[1, np.nan], [0, 1]], "none negative or missing"),
    ([[0, 0], [0, 0]], "at least one above zero"),
])
def test_bad_matrices(bad, message):
    for function in (per_class, summary, metrics_table, plot_confusion):
        with pytest.raises(InputError, match=message):
            function(bad)


def test_bad_names():
    with pytest.raises(InputError, match="3 class names for 2 rows"):
        check_confusion([[1, 0], [0, 1]], ["a", "b", "c"])
    with pytest.raises(InputError, match="metric 'auc': choose from recall"):
        measure([[1, 0], [0, 1]], "auc", "macro")
    with pytest.raises(InputError, match="metric of 'Early': choose from overall, macro, Benign, Pro"):
        measure([[1, 0], [0, 1]], "recall", "Early", ["Benign", "Pro"])
    with pytest.raises(InputError, match="'nan' is not one of the classes"):
        confusion(np.array(["Benign", np.nan], dtype=object), ["Benign", "Benign"], ["Benign"])


def predictions(matrix, repeats=1, **model):
    "A predictions table with this matrix in every repeat."
    true, predicted = unroll(np.asarray(matrix))
    one = pd.DataFrame({"image": [f"i{j}" for j in range(len(true))], "variant": "original", "backbone": "alexnet", "weights": "random", "head": "svm",
                        "split": "test", "true": np.array(["Benign", "Pro"])[true], "predicted": np.array(["Benign", "Pro"])[predicted]})
    return pd.concat([one.assign(fold=f, **model) for f in range(repeats)], ignore_index=True)


def test_scores_of_several_models_pool_folds_and_count_images():
    table = pd.concat([predictions([[40, 2], [1, 60]], 5), predictions([[39, 3], [0, 61]], 1, head="knn")])
    scores = score_predictions(table)
    assert list(scores.columns) == ["backbone", "head", "variant", "class", "metric", "value", "low", "high"]
    svm = scores[scores["head"] == "svm"][["class", "metric", "value", "low", "high"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.DataFrame(svm), pd.DataFrame(metrics_table([[40, 2], [1, 60]], ["Benign", "Pro"])))


def test_scores_use_held_out_rows_only():
    table = predictions([[10, 0], [0, 10]])
    spoiled = pd.concat([table, predictions([[0, 10], [10, 0]]).assign(split="train")])
    pd.testing.assert_frame_equal(score_predictions(spoiled), score_predictions(table))


def test_scores_refuse_mixed_weights():
    with pytest.raises(InputError, match="several weights"):
        score_predictions(pd.concat([predictions([[1, 0], [0, 1]]), predictions([[1, 0], [0, 1]], weights="imagenet")]))


def test_classes_keep_the_order_of_the_probability_columns():
    table = predictions([[1, 0], [0, 1]])
    assert classes_of(table) == ["Benign", "Pro"]
    assert classes_of(table.assign(p_Pro=0.5, p_Benign=0.5)) == ["Pro", "Benign"]
    assert classes_of(table.assign(true=pd.Categorical(table["true"], ["Pro", "Benign"]))) == ["Pro", "Benign"]


def test_names_are_escaped_where_shown():
    assert "<b>" not in metrics_table([[1, 0], [0, 1]], ["<b>", "x"])._repr_html_().replace("<b></b>", "")
    assert "<i>" not in Intervals({"model": ["<i>"], "value": [0.5], "low": [0.1], "high": [0.9]})._repr_html_()


def test_tables_show_themselves_whole_and_in_part():
    scores = score_predictions(pd.concat([predictions([[40, 2], [1, 60]]), predictions([[39, 3], [0, 61]], head="knn")]))
    assert "95.2 [84.2, 98.7]" in scores._repr_html_() and "diagnosis" in scores._repr_html_()
    for part in (scores.head(3), scores[["low", "high"]], scores[["value"]], pd.concat([scores, scores]), scores.iloc[:0]):
        assert "<table" in part._repr_html_()
    assert percent(np.nan) == "-" and percent(0.5) == "50.0" and percent(0.5, 0.25, 0.75, 1) == "0.500 [0.250, 0.750]"


@few
@given(matrices)
def test_the_figure_shows_every_count(matrix):
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    ax = plot_confusion(matrix, title="any")
    shown = [t.get_text().split("\n")[0] for t in ax.texts[:matrix.size]]
    assert shown == [str(v) for v in matrix.ravel()]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("Predicted class", "True class", "any")
    plt.close(ax.figure)


def places(axis):
    "Where the texts of an axis are drawn, and the figure."
    figure = axis.figure
    figure.draw_without_rendering()
    shown = [*axis.texts, *axis.get_xticklabels(), *axis.get_yticklabels(), axis.title, axis.xaxis.label, axis.yaxis.label]
    return [t.get_window_extent() for t in shown if t.get_text() and t.get_visible()], figure.bbox


@pytest.mark.parametrize("k, name", [(2, "C"), (4, "Early pre-B ALL of the "), (15, "C"), (20, "acute lymphoblastic leukaemia, kind "), (21, "C"), (40, "Früh ")])
def test_no_text_lies_upon_another(k, name):
    counts = np.random.default_rng(0).integers(0, 4000, (k, k))
    axis = plot_confusion(counts, [f"{name}{i}" for i in range(k)], "AlexNet + softmax, segmented", ax=Figure(figsize=(5.2, 4.8), layout="constrained").subplots())
    boxes, whole = places(axis)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1:])
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1 for box in boxes)
    assert len(axis.texts) == ((k + 1) ** 2 if k <= 20 else 0) and min(t.get_fontsize() for t in axis.get_xticklabels()) >= 9


def test_one_of_several_axes_keeps_its_size_and_shrinks_its_numbers():
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(1, 2)
    plot_confusion(np.full((12, 12), 1000), ax=axes[0], fontsize=10)
    assert tuple(figure.get_size_inches()) == (9, 5) and axes[0].texts[0].get_fontsize() < 9
    boxes, _ = places(axes[0])
    assert not any(one.overlaps(other) for i, one in enumerate(boxes[:156]) for other in boxes[i + 1:156])


def test_class_names_without_a_font_are_numbered_in_one_warning():
    with pytest.warns(UserWarning, match="no font here has the letters of \U00100abc, \U00100abd: figures call these classes by their number") as caught:
        axis = plot_confusion(np.eye(3, dtype=int), ["$a$", "\U00100abc", "\U00100abd"], ax=Figure(layout="constrained").subplots())
        places(axis)
    assert [t.get_text() for t in axis.get_yticklabels()][:3] == [r"\$a\$", "class 2", "class 3"]
    assert len([w for w in caught if "font" in str(w.message) or "lyph" in str(w.message)]) == 1


def by_patient(clusters=30, size=20, seed=0):
    "Predictions of two classes in which the images of a patient go wrong together, and the patient of each image."
    rng, of = np.random.default_rng(seed), np.repeat(np.arange(clusters), size)
    true = of % 2
    wrong = rng.random(len(of)) < rng.beta(0.1, 0.9, clusters)[of]
    table = pd.DataFrame({"image": [f"i{j}" for j in range(len(of))], "variant": "original", "backbone": "alexnet", "head": "svm", "split": "test",
                          "true": np.array(["Benign", "Pro"])[true], "predicted": np.array(["Benign", "Pro"])[true ^ wrong]})
    return table, dict(zip(table["image"], of))


def test_scores_count_patients_where_they_are_given():
    table, patient = by_patient()
    plain, scores = score_predictions(table), score_predictions(table, groups=patient)
    assert list(scores.columns) == [*plain.columns, "clusters", "note"] and (scores["value"] == plain["value"]).all()
    rows, ours = scores.set_index(["class", "metric"]), table.assign(right=table["true"] == table["predicted"], unit=table["image"].map(patient))
    assert np.allclose(rows.loc[("overall", "accuracy"), ["value", "low", "high"]].astype(float), accuracy_interval(ours["right"], ours["unit"]))
    benign = ours[ours["true"] == "Benign"]
    assert np.allclose(rows.loc[("Benign", "recall"), ["value", "low", "high"]].astype(float), accuracy_interval(benign["right"], benign["unit"]))
    assert rows.loc[("overall", "accuracy"), "clusters"] == 30 and rows.loc[("Benign", "recall"), "clusters"] == 15
    share = lambda t: t[~t["metric"].isin(["kappa", "mcc"])]
    assert ((share(scores)["high"] - share(scores)["low"]).to_numpy() > 1.5 * (share(plain)["high"] - share(plain)["low"]).to_numpy()).all()


@pytest.mark.parametrize("clusters", [8, 20, 40, 90])
@pytest.mark.parametrize("wrong", [0.0, 0.02, 0.1, 0.5])
def test_an_interval_is_marked_where_words_say_that_it_is_rough(clusters, wrong):
    rng = np.random.default_rng([clusters, round(100 * wrong)])
    for _ in range(20):
        sizes = rng.integers(1, 12, clusters)
        units = np.repeat(np.arange(clusters), sizes)
        right = (rng.random(clusters) >= wrong).repeat(sizes) & (rng.random(len(units)) >= wrong)
        *ends, rough = marked_interval(right, units)
        assert tuple(ends) == accuracy_interval(right, units) and rough == bool(clustered_interval(right, units)["note"])
    assert marked_interval(right, np.arange(len(right)))[3] is False, "each image counts by itself"
    assert np.isnan(marked_interval([], [])[:3]).all()


def test_what_the_mark_means_stands_wherever_it_is_shown():
    rough = Intervals([("a", "x", 0.9, 0.8, 0.95, True)], columns=["name", "kind", "value", "low", "high", "rough"])
    pages = [rough._repr_html_(), rough.folded()._repr_html_(), rough.folded().set_index("name")._repr_html_(), table_html(rough),
             rough.folded().pivot(index="name", columns="kind", values="value")._repr_html_(), Chapter("title", [], {"rows": rough}).table_html("rows"),
             str(Audit("about", {"one": Chapter("title", [f"a is right about {marked(0.9, 0.8, 0.95, True)} %"], {})})),
             Audit("about", {"one": Chapter("title", [f"a is right about {marked(0.9, 0.8, 0.95, True)} %"], {})})._repr_html_(), " ".join(explained_lines([ROUGH]))]
    assert all("†" in page and ROUGH_NOTE in page for page in pages)
    sure = rough.assign(rough=False)
    assert not any("†" in page for page in (sure._repr_html_(), table_html(sure), str(Audit("about", {"one": Chapter("title", ["sure"], {"rows": sure})}))))


def test_evaluation_by_group_is_marked_where_groups_are_few():
    rng = np.random.default_rng(0)
    groups, right = np.repeat(np.arange(18), 10), rng.random(180) < 0.8
    assert share_by(right, groups)[3] and not share_by(right, None)[3] and not share_by(right, np.zeros(180))[3]
    assert spread(recall=share_by(right, groups)) == dict(zip(("recall", "recall_low", "recall_high", "recall_rough"), share_by(right, groups)))


def test_scores_note_few_clusters():
    table, patient = by_patient(clusters=10)
    scores = score_predictions(table, groups=patient)
    assert scores.wide().map(lambda text: text.endswith("†")).all(axis=None) and "† a rough interval" in scores._repr_html_()
    assert "†" not in score_predictions(table)._repr_html_()
    scores = scores.set_index(["class", "metric"])
    assert scores.loc[("overall", "accuracy"), "note"] == "too few clusters (10)" and scores.loc[("Benign", "recall"), "note"] == "too few clusters (5)"


def test_each_image_its_own_group_is_wilson():
    table, patient = by_patient()
    plain, alone = score_predictions(table), score_predictions(table, groups={image: image for image in patient})
    pd.testing.assert_frame_equal(pd.DataFrame(alone[plain.columns]), pd.DataFrame(plain))
    assert (alone["clusters"] == 600).all() and (alone["note"] == "").all()


def test_repeats_of_clustered_images_change_nothing():
    table, patient = by_patient()
    once, again = score_predictions(table.assign(fold=0), groups=patient), score_predictions(pd.concat([table.assign(fold=f) for f in range(3)]), groups=patient)
    np.testing.assert_allclose(again[["value", "low", "high"]], once[["value", "low", "high"]], atol=1e-9)
