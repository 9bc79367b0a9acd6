"Saved networks and their cards: what was saved predicts the same, and names what it was made from."

import numpy as np
import pytest
import torch
from sklearn.base import clone

from leuknb.backbones import Backbone
from leuknb.finetune import FineTuned, load_finetuned
from leuknb.lib.cards import machine_facts, plain_json
from leuknb.lib.errors import InputError
from leuknb.lib.weights import save_weights
from two_kinds import ALL, HEAD, SMALL, two_kinds


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return two_kinds(tmp_path_factory.mktemp("images"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("settings", [HEAD, ALL | dict(epochs=1), SMALL | dict(head="torchvision", epochs=1, unfreeze="last-block")])
def test_saved_and_loaded(data, tmp_path, settings):
    model = FineTuned("alexnet", **settings).fit(*data)
    file = tmp_path / "models" / "net.safetensors"
    model.save(file)
    again = load_finetuned(file)
    assert np.array_equal(again.predict_proba(data[0]), model.predict_proba(data[0]))
    assert again.best_score_ == model.best_score_ and list(again.classes_) == list(model.classes_)
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    assert model.data_digest_ in card and "not for diagnosis" in card and "seed: 3" in card
    again.save(tmp_path / "second.safetensors")
    assert (tmp_path / "second.safetensors").stat().st_size == pytest.approx(file.stat().st_size, rel=0.01)


def test_card_names_what_was_chosen(data, tmp_path):
    FineTuned("alexnet", **ALL | dict(epochs=None, lr=2e-6)).fit(data[0], data[1]).save(tmp_path / "net.safetensors")
    text = (tmp_path / "net.md").read_text(encoding="utf-8")
    assert "epochs: 6" in text and "size: 64" in text and "head: stats" in text and "e-0" in text and "None" not in text


def test_class_weights_by_number_survive_saving(data, tmp_path):
    paths, y = data[0], (data[1] == "Pro").astype(int)
    weights = dict(zip(np.unique(y), [1.0, 2.0]))
    model = FineTuned("alexnet", **HEAD | {"epochs": 1}, class_weight=weights, checkpoint=tmp_path / "parts").fit(paths, y)
    model.save(tmp_path / "m.safetensors")
    read = load_finetuned(tmp_path / "m.safetensors")
    assert read.class_weight == weights
    assert (clone(read).fit(paths, y).predict(paths) == read.predict(paths)).all()


def test_numbers_as_class_names_keep_their_weights(data, tmp_path):
    paths, labels = data
    for y, weight in ((labels == "Pro", {True: 2}), ((labels == "Pro").astype(float), {0: 1, 1: 2})):
        model = FineTuned("alexnet", **HEAD | dict(epochs=1, class_weight=weight)).fit(paths, y)
        model.save(tmp_path / "model.safetensors")
        again = load_finetuned(tmp_path / "model.safetensors")
        assert again.class_weight == weight and np.array_equal(again.predict_proba(paths[:3]), model.predict_proba(paths[:3]))


def test_plain_weights_are_not_a_classifier(tmp_path):
    save_weights(tmp_path / "w.safetensors", {"features.0.weight": torch.zeros(2, 2)}, {"backbone": "alexnet"})
    with pytest.raises(InputError, match="holds weights, but no fine-tuned classifier"):
        load_finetuned(tmp_path / "w.safetensors")


@pytest.mark.parametrize("card", ["x", {}, {"settings": {"name": "alexnet", "unknown": 1}}])
def test_a_card_of_something_else(tmp_path, card):
    save_weights(tmp_path / "odd.safetensors", {"a": torch.zeros(1)}, {"finetuned": card})
    with pytest.raises(InputError, match="its card cannot be read"):
        load_finetuned(tmp_path / "odd.safetensors")


def test_the_features_of_a_model_see_its_preprocessing(data, tmp_path):
    model = FineTuned("alexnet", **HEAD | dict(epochs=1, preprocess="denoise")).fit(*data)
    model.save(tmp_path / "model.safetensors")
    for backbone in (model.backbone(), Backbone("alexnet", tmp_path / "model.safetensors", progress=False)):
        assert backbone.fit().preprocessing_.steps == ("denoise",)


def test_training_goes_on_from_a_saved_model(data, tmp_path):
    FineTuned("alexnet", **ALL).fit(*data).save(tmp_path / "net.safetensors")
    more = FineTuned("alexnet", **HEAD | dict(weights=tmp_path / "net.safetensors")).fit(*data)
    assert more.plan_.head == "stats" and more.score(*data) > 0.8


def test_a_damaged_file_of_a_model(data, tmp_path):
    FineTuned("alexnet", **HEAD | dict(epochs=1)).fit(*data).save(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").write_bytes((tmp_path / "m.safetensors").read_bytes()[:-1000])
    with pytest.raises(InputError, match="damaged"):
        load_finetuned(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="ends with .safetensors"):
        FineTuned("alexnet", **HEAD | dict(epochs=1)).fit(*data).save(tmp_path / "m.pt")


def test_what_json_cannot_hold():
    assert plain_json({np.int64(2): np.float64(0.5), "x": np.arange(2)}) == {"2": 0.5, "x": [0, 1]}


def test_the_machine_has_no_name():
    assert "CPU" in machine_facts(torch.device("cpu")) and torch.__version__.split("+")[0] in machine_facts(torch.device("cpu"))
