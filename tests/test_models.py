"Stored models predict: one table, whatever the files are, and probabilities that agree with the class."
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leuknb.lib.errors import InputError
from leuknb.lib.models import predict, predicted_table


class Fixed:
    "Predicts given classes with given probabilities."

    def __init__(self, proba, predicted=None, classes=("Benign", "Early", "Pre", "Pro")):
        self.proba, self.classes_ = np.asarray(proba, dtype=float), np.array(classes)
        self.predicted = self.classes_[self.proba.argmax(1)] if predicted is None else np.array(predicted)

    predict = lambda self, X: self.predicted
    predict_proba = lambda self, X: self.proba


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    "A folder with good and bad files."
    folder = tmp_path_factory.mktemp("images")
    for i, name in enumerate(("a.png", "c.jpg")):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(folder / name)
    (folder / "b.png").write_text("no image")
    (folder / "d.tif").touch()
    return folder


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1e-6, 1e-8, 0]))
def test_rounding_never_gives_another_class_the_highest_probability(seed, spread):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet([1] * 4, 30)
    proba[:, :2] = proba[:, :2].mean(1, keepdims=True) + spread * rng.uniform(-1, 1, (30, 2))
    model, order = Fixed(proba), rng.permutation(["Benign", "Early", "Pre", "Pro"]).tolist()
    table = predicted_table(model, None, order)
    p = table[[f"p_{name}" for name in order]]
    written = p.map("{:.6f}".format).astype(float)
    assert (written.idxmax(axis=1).str[2:] == table["predicted"]).all()
    assert np.abs(p.to_numpy() - pd.DataFrame(proba, columns=model.classes_)[order].to_numpy()).max() <= 1.5e-6


def test_probabilities_stay_where_predict_is_not_their_maximum():
    table = predicted_table(Fixed([[0.6, 0.4, 0, 0], [0.1234564, 0.8765436, 0, 0]], ["Early", "Early"]), None, ["Benign", "Early", "Pre", "Pro"])
    assert table.iloc[:, 1:].to_numpy().tolist() == [[0.6, 0.4, 0, 0], [0.123456, 0.876544, 0, 0]]


def test_a_class_that_the_model_lacks_has_no_probability():
    table = predicted_table(Fixed([[0.3, 0.7]], classes=("Early", "Pro")), None, ["Benign", "Early", "Pre", "Pro"])
    assert table.columns.tolist() == ["predicted", "p_Benign", "p_Early", "p_Pre", "p_Pro"]
    assert table.iloc[0].tolist() == ["Pro", 0, 0.3, 0, 0.7]


def test_bad_files_stop_everything_or_are_rows_with_a_reason(made, images, tmp_path):
    run, options = made[0], dict(model="alexnet/knn/original", progress=False)
    with pytest.raises(InputError) as caught:
        predict(run, [images, tmp_path / "gone.png"], **options)
    assert all(name in str(caught.value) for name in ("b.png", "d.tif", "gone.png", '3 problems; go on without them: on_bad="skip"'))
    table = predict(run, [images, tmp_path / "gone.png"], on_bad="skip", **options)
    assert [path.rsplit("/")[-1] for path in table["image"]] == ["a.png", "b.png", "c.jpg", "d.tif", "gone.png"]
    assert table["problem"].eq("").tolist() == table["predicted"].notna().tolist() == [True, False, True, False, False]
    assert table.loc[4, "problem"] == "no such file" and table.loc[3, "problem"] == "empty file (0 bytes)"
    plain = predict(run, [images / "a.png", images / "c.jpg"], **options)
    assert list(table.columns) == [*plain.columns, "problem"] and "problem" not in plain
    pd.testing.assert_frame_equal(table.loc[[0, 2], plain.columns].reset_index(drop=True), plain)


def test_nothing_is_left_to_predict(made, images, tmp_path):
    for places, message in (([images / "b.png"], "b.png: not an image"), ([tmp_path], "holds no images"), ([], "no images"), ([""], "named by nothing")):
        with pytest.raises(InputError, match=message) as caught:
            predict(made[0], places, on_bad="skip")
        assert "skip" not in str(caught.value)


def test_one_path_is_no_list_of_letters(made, images):
    for one in (images / "a.png", str(images / "a.png")):
        assert predict(made[0], one, "alexnet/knn/original", progress=False)["image"].tolist() == [str(images / "a.png")]


def test_what_cannot_be_meant_is_refused_before_images_are_read(made, monkeypatch):
    monkeypatch.setattr("leuknb.lib.models.collect_images", None)
    with pytest.raises(InputError, match="model 'vgg19/svm/original': choose from"):
        predict(made[0], ["x.png"], "vgg19/svm/original")


def test_a_name_that_is_no_text_is_a_row_as_well(made, images, tmp_path):
    (tmp_path / "caf\udce9.png").write_bytes((images / "a.png").read_bytes())
    table = predict(made[0], [tmp_path, images / "a.png"], "alexnet/knn/original", on_bad="skip", progress=False)
    assert table["image"][0].endswith("caf\\udce9.png") and "not UTF-8" in table["problem"][0] and table["problem"][1] == ""


@pytest.mark.parametrize("wrong", [np.zeros((64, 64, 3), np.uint8), Image.new("RGB", (64, 64))])
def test_pixels_are_no_path(made, wrong):
    with pytest.raises(InputError, match="path"):
        predict(made[0], [wrong])


def test_on_bad_is_error_or_skip(made):
    with pytest.raises(InputError, match="on_bad 'ignore': choose from error, skip"):
        predict(made[0], ["x.png"], on_bad="ignore")
