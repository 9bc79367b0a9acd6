"What cannot be fine-tuned is refused before anything is trained."
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leuknb.finetune import FineTuned
from leuknb.lib.errors import InputError
from leuknb.lib.tuning import check_classes, check_images, class_weights
from two_kinds import HEAD, two_kinds


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return two_kinds(tmp_path_factory.mktemp("images"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_class_weights():
    assert class_weights("balanced", ["a", "b"], np.array([0, 0, 0, 1])).tolist() == pytest.approx([2 / 3, 2])
    assert class_weights({"b": 5}, ["a", "b"], np.array([0, 1])).tolist() == [1, 5]


@pytest.mark.parametrize("change, message", [
    (dict(unfreeze="half"), "choose from classifier, last-block, all"),
    (dict(head="linear"), "choose from auto, torchvision, stats"),
    (dict(optimizer="adam"), "choose from adamw, sgd"),
    (dict(epochs=0), "at least 1"),
    (dict(batch_size=1), "at least 2"),
    (dict(validation=0.9), "at most 0.5"),
    (dict(lr=1e30, clip=None), "take a smaller `lr`"),
    (dict(weights="nowhere.safetensors"), "no such file"),
    (dict(classes=["Benign", "Pro", "Pre"]), "no training image of class Pre"),
    (dict(classes=["Benign", "Early"]), "no training image of class Early"),
    (dict(name="resnet18", head="stats"), "plain stack"),
    (dict(size=8), "size=8: give a whole number of at least 32"),
    (dict(epochs=2.5), "whole number of at least 1, or None"),
    (dict(lr="a"), "lr='a': give a number"),
    (dict(new_lr=-5), "new_lr=-5"),
    (dict(seed=-1), "seed=-1"),
    (dict(dropout=2), "dropout=2: give a number of at least 0 and at most 0.99, or None"),
    (dict(label_smoothing=2), "label_smoothing=2"),
    (dict(weight_decay=-1), "weight_decay=-1"),
    (dict(patience=-1), "patience=-1"),
    (dict(class_weight="bal"), "choose 'balanced'"),
    (dict(class_weight={"Nope": 3}), "class 'Nope' is not among Benign, Pro"),
    (dict(class_weight={"Pro": -3}), "weights of the classes .`class_weight`. -3"),
])
def test_bad_settings(data, change, message):
    with pytest.raises(InputError, match=message):
        FineTuned(**dict(name="alexnet") | HEAD | change).fit(*data)


@pytest.mark.parametrize("kind", ["filtered", "one column", "object", "whole numbers", "booleans"])
def test_labels_of_every_kind(data, kind):
    paths, labels = data
    benign = np.array(labels) == "Benign"
    filtered = pd.Series(pd.Categorical(labels, ["Benign", "Early", "Pro"], ordered=True), index=np.arange(32)[::-1] + 9)
    y = {"filtered": filtered, "one column": pd.DataFrame({"label": labels}), "object": np.array(labels, dtype=object),
         "whole numbers": np.where(benign, 3, 5), "booleans": ~benign}[kind]
    found, names = check_images(pd.DataFrame({"path": paths}, index=np.arange(32)[::-1]), y)
    classes, codes = check_classes(names)
    assert len(found) == 32 and codes.tolist() == (~benign).astype(int).tolist()
    assert classes.tolist() == {"whole numbers": [3, 5], "booleans": [False, True]}.get(kind, ["Benign", "Pro"])


def test_a_catalogue_filtered_to_two_classes(data):
    paths, labels = data
    cat = pd.DataFrame({"path": paths, "label": pd.Categorical(labels, ["Benign", "Early", "Pro"], ordered=True), "group": np.arange(32)})
    cat = cat.sample(frac=1, random_state=0)
    model = FineTuned("alexnet", **HEAD | dict(epochs=1)).fit(cat["path"], cat["label"], cat["group"])
    same = FineTuned("alexnet", **HEAD | dict(epochs=1)).fit(cat["path"].tolist(), cat["label"].astype(str).tolist(), cat["group"].tolist())
    assert model.classes_.tolist() == ["Benign", "Pro"] and model.data_digest_ == same.data_digest_
    assert np.array_equal(model.predict_proba(paths[:4]), same.predict_proba(paths[:4]))


@pytest.mark.parametrize("change, message", [
    (dict(name="inception_v3", size=60), "inception_v3 cannot be trained on images of 60 x 60 pixels; choose a size such as 80, 96"),
    (dict(name="alexnet", head="torchvision", size=48), "alexnet cannot be trained on images of 48 x 48 pixels"),
    (dict(name="vit_b_16", size=100, unfreeze="all"), "choose a size such as 224$"),
    (dict(name="vit_b_16", size=224, unfreeze="last-block"), "its last block is not known; choose classifier or all"),
    (dict(callbacks=["log"]), "callbacks: 'log' is no callback of skorch"),
])
def test_check_finds_it_before_an_image_is_read(change, message):
    with pytest.raises(InputError, match=message):
        FineTuned(**dict(name="alexnet", weights="random", progress=False) | change).check()


def test_groups_of_another_length(data):
    with pytest.raises(InputError, match="32 images and 5 groups"):
        FineTuned("alexnet", **HEAD).fit(*data, groups=[1, 2, 3, 4, 5])


def test_checkpoint_that_cannot_be_written(data, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="name another folder"):
            FineTuned("alexnet", **HEAD, checkpoint=place).fit(*data)


def test_bad_data(data, tmp_path):
    paths, labels = data
    net = FineTuned("alexnet", **HEAD)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    for X, y, message in [
        (paths[:4], labels[:3], "give each image one label"),
        ([], [], "no images"),
        (paths[:4], ["a"] * 4, "at least two classes"),
        (paths[:3], ["a", "a", "b"], "class 'b' has a single image"),
        ([*paths, broken], [*labels, "Pro"], "broken.jpg"),
        ([*paths, "gone.png"], [*labels, "Pro"], "gone.png"),
        ([np.zeros((64, 64, 3), np.uint8)] * 32, labels, "image 1 of 32 is given as ndarray, not as a path"),
        ([Image.new("RGB", (64, 64))] * 32, labels, "image 1 of 32 is given as Image, not as a path"),
        (paths, np.array(labels).astype(bytes), "is bytes: give text"),
    ]:
        with pytest.raises(InputError, match=message):
            net.fit(X, y)


@pytest.mark.parametrize("y, groups, message", [
    (lambda y: [1, "a"] * 16, None, "some labels are text"),
    (lambda y: y, ["g"] * 31 + [None], "32 images and 31 groups"),
])
def test_labels_and_groups_that_cannot_be(data, y, groups, message):
    with pytest.raises(InputError, match=message):
        FineTuned("alexnet", **HEAD).fit(data[0], y(data[1]), groups)
