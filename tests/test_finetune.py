"Fine-tuning: the contract, continuation, files, errors. Tiny pictures, random weights."
import json
import shutil
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict

from leuknb import networks
from leuknb.lib import cut, training
from leuknb.backbones import Backbone
from leuknb.lib.weights import save_weights
from leuknb.networks import load_network
from leuknb.lib.errors import InputError
from leuknb.finetune import FineTuned, PRESETS, load_finetuned
from leuknb.lib.training import augment, rate
from leuknb.splits import inner_split

SMALL = dict(weights="random", size=64, crop=False, batch_size=8, validation=0.25, progress=False, seed=3)
HEAD = SMALL | dict(unfreeze="classifier", epochs=4)
ALL = SMALL | dict(unfreeze="all", epochs=3, head_epochs=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    "32 pictures of two classes: dark discs, light discs."
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    paths, labels = [], []
    for k in range(32):
        picture = rng.normal(225, 5, (64, 64, 3))
        cx, cy = rng.uniform(15, 49, 2)
        picture[(x - cx) ** 2 + (y - cy) ** 2 < 150] -= 90 if k % 2 else 45
        paths.append(folder / f"{k:02} é.png")
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(paths[-1])
        labels.append("Pro" if k % 2 else "Benign")
    return [str(p) for p in paths], np.array(labels)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKNB_CACHE", str(tmp_path_factory.mktemp("cache")))
        return FineTuned("alexnet", **HEAD).fit(*data)


def test_contract(data, model):
    paths, labels = data
    proba = model.predict_proba(paths)
    assert proba.shape == (32, 2) and np.allclose(proba.sum(1), 1)
    assert list(model.classes_) == ["Benign", "Pro"]
    assert (model.predict(paths) == model.classes_[proba.argmax(1)]).all()
    assert model.score(paths, labels) == (model.predict(paths) == labels).mean() > 0.8
    assert clone(model).get_params() == model.get_params()
    assert model.best_score_ == model.history_["valid_accuracy"].max()


def test_cross_val_predict(data):
    paths, labels = data
    predicted = cross_val_predict(FineTuned("alexnet", **HEAD), np.array(paths), labels, cv=2, params={"groups": np.arange(32) // 2})
    assert (predicted == labels).mean() > 0.6


def test_neighbours_do_not_matter(data, model):
    paths, _ = data
    assert np.array_equal(model.predict_proba(paths)[5:6], model.predict_proba(paths[5:6]))


def test_same_seed_same_result(data):
    a, b, c = (FineTuned("alexnet", **ALL | dict(seed=seed)).fit(*data).predict_proba(data[0]) for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_global_generator_is_left_alone(data):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    FineTuned("alexnet", **HEAD).fit(*data)
    assert torch.equal(before, torch.get_rng_state())


def test_frozen_layers_stay(data):
    start = load_network("alexnet", "random", 2, seed=3).features
    frozen = FineTuned("alexnet", **HEAD).fit(*data).network_.features
    moved = FineTuned("alexnet", **ALL).fit(*data).network_.features
    block = FineTuned("alexnet", **ALL | dict(unfreeze="last-block")).fit(*data).network_.features
    same = lambda net, k: torch.equal(net[k].weight, start[k].weight.half().float())
    assert all(same(frozen, k) for k in (0, 3, 6, 8, 10))
    assert not any(same(moved, k) for k in (0, 3, 6, 8, 10))
    assert [same(block, k) for k in (0, 3, 6, 8, 10)] == [True, True, False, False, False]


@pytest.mark.parametrize("unfreeze", ["last-block", "classifier"])
def test_prefix_is_computed_once(data, monkeypatch, unfreeze):
    seen, real = [], cut.StandardNetwork.prefix
    monkeypatch.setattr(cut.StandardNetwork, "prefix", lambda self, x: seen.append(len(x)) or real(self, x))
    FineTuned("resnet18", **SMALL | dict(unfreeze=unfreeze, epochs=4)).fit(*data)
    assert sum(seen) == 32  # not 32 times four epochs


def test_cached_prefix_gives_what_the_plain_loop_gives(data):
    kept = FineTuned("alexnet", **HEAD, precision="float32").fit(*data)
    off = dict(flips=False, turns=False, colour=0, exposure=0, augment=True)
    plain = FineTuned("alexnet", **HEAD, **off, precision="float32").fit(*data)
    assert kept.cached_ and not plain.cached_
    assert np.allclose(kept.predict_proba(data[0]), plain.predict_proba(data[0]), atol=0.02)


def test_best_epoch_is_restored(data):
    model = FineTuned("alexnet", **HEAD | dict(epochs=8, lr=6e-4, schedule="constant"), precision="float32").fit(*data)
    paths, labels = data
    codes = np.searchsorted(model.classes_, labels)
    _, valid = inner_split(codes, model.classes_, None, 0.25, 3)
    assert model.score(np.array(paths)[valid], labels[valid]) == pytest.approx(model.best_score_)


class Killed(BaseException):
    "Stands for a power cut."


def stop_in(monkeypatch, epoch, error, unfreeze):
    "Raise in the middle of an epoch."
    real = training.ProgressBar.on_batch_end

    def on_batch_end(self, net, training=False, **kwargs):
        real(self, net, training=training, **kwargs)
        if training and net.owner.unfreeze == unfreeze and len(net.history) == epoch:
            raise error
    monkeypatch.setattr(training.ProgressBar, "on_batch_end", on_batch_end)


@pytest.mark.parametrize("unfreeze, epoch", [("classifier", 2), ("all", 1), ("all", 3)])
def test_killed_and_continued(data, tmp_path, unfreeze, epoch):
    whole = FineTuned("alexnet", **ALL).fit(*data)
    with pytest.MonkeyPatch.context() as patch:
        stop_in(patch, epoch, Killed, unfreeze)
        with pytest.raises(Killed):
            FineTuned("alexnet", **ALL, checkpoint=tmp_path / "c").fit(*data)
    for file in (tmp_path / "c").iterdir():
        torch.load(file, weights_only=True)
    continued = FineTuned("alexnet", **ALL, checkpoint=tmp_path / "c").fit(*data)
    assert np.array_equal(whole.predict_proba(data[0]), continued.predict_proba(data[0]))
    left = lambda h: h.drop(columns="seconds")
    pd.testing.assert_frame_equal(left(whole.history_), left(continued.history_))


def test_damaged_checkpoint(data, tmp_path):
    first = FineTuned("alexnet", **HEAD, checkpoint=tmp_path / "c").fit(*data)
    file, = (tmp_path / "c").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(RuntimeWarning, match="training begins anew"):
        again = FineTuned("alexnet", **HEAD, checkpoint=tmp_path / "c").fit(*data)
    assert np.array_equal(first.predict_proba(data[0]), again.predict_proba(data[0]))


@pytest.mark.parametrize("content", [{"x": 1}, {"rows": [], "best": {"score": [1.0], "epoch": 1, "state": {"head.2.weight": torch.zeros(3)}}, "optimizer": None}])
def test_checkpoint_of_another_shape(data, tmp_path, content):
    first = FineTuned("alexnet", **HEAD, checkpoint=tmp_path / "c").fit(*data)
    file, = (tmp_path / "c").iterdir()
    torch.save(content, file)
    with pytest.warns(RuntimeWarning, match="training begins anew"):
        again = FineTuned("alexnet", **HEAD, checkpoint=tmp_path / "c").fit(*data)
    assert np.array_equal(first.predict_proba(data[0]), again.predict_proba(data[0]))


def test_checkpoints_of_other_settings_are_not_mixed_up(data, tmp_path):
    for lr in (1e-4, 2e-4):
        FineTuned("alexnet", **HEAD, lr=lr, checkpoint=tmp_path / "c").fit(*data)
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_ctrl_c_keeps_the_best(data, monkeypatch):
    two = FineTuned("alexnet", **HEAD).fit(*data)
    stop_in(monkeypatch, 3, KeyboardInterrupt, "classifier")
    with pytest.warns(RuntimeWarning, match="stopped by Ctrl-C in epoch 3: keeping epoch"):
        model = FineTuned("alexnet", **HEAD).fit(*data)
    assert model.interrupted_ and len(model.history_) == 2 and model.best_epoch_ <= 2
    pd.testing.assert_frame_equal(model.history_.drop(columns="seconds"), two.history_[:2].drop(columns="seconds"))


def test_ctrl_c_with_a_checkpoint_names_what_continues(data, monkeypatch, tmp_path):
    stop_in(monkeypatch, 3, KeyboardInterrupt, "classifier")
    with pytest.warns(RuntimeWarning, match="in epoch 3: the same call continues after epoch 2"):
        FineTuned("alexnet", **HEAD, checkpoint=tmp_path).fit(*data)


def test_ctrl_c_before_the_first_epoch_is_over(data, monkeypatch):
    stop_in(monkeypatch, 1, KeyboardInterrupt, "classifier")
    with pytest.raises(KeyboardInterrupt):
        FineTuned("alexnet", **HEAD).fit(*data)


def test_ctrl_c_while_the_head_learns_alone(data, monkeypatch):
    stop_in(monkeypatch, 2, KeyboardInterrupt, "classifier")
    with pytest.warns(RuntimeWarning, match="stopped by Ctrl-C"):
        model = FineTuned("alexnet", **ALL | dict(head_epochs=4)).fit(*data)
    assert model.interrupted_ and model.predict_proba(data[0]).shape == (32, 2)


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


def test_backbone_of_a_trained_model(data, tmp_path):
    model = FineTuned("alexnet", **ALL).fit(*data)
    trained = model.backbone().transform(data[0])
    untrained = Backbone("alexnet", weights="random", layer="stats", size=64, crop=False, seed=3, progress=False).transform(data[0])
    assert trained.shape == untrained.shape == (32, 2304) and not np.allclose(trained, untrained)
    model.save(tmp_path / "net.safetensors")
    by_path = Backbone("alexnet", weights=tmp_path / "net.safetensors", size=64, crop=False, progress=False).transform(data[0])
    assert np.array_equal(trained, by_path)


def test_backbone_takes_the_model_itself(data):
    model = FineTuned("alexnet", **ALL | dict(epochs=1)).fit(*data)
    given = Backbone("alexnet", weights=model, size=64, crop=False, progress=False)
    assert np.array_equal(given.transform(data[0]), model.backbone().transform(data[0]))
    model.set_params(seed=4).fit(*data)
    assert np.array_equal(given.transform(data[0]), model.backbone().transform(data[0]))


def test_a_second_fit_keeps_nothing_of_the_first(data):
    model = FineTuned("alexnet", **ALL | dict(epochs=1)).fit(*data)
    assert len(model.head_history_) == 2
    model.set_params(unfreeze="classifier").fit(*data)
    assert not hasattr(model, "head_history_")


def test_card_names_what_was_chosen(data, tmp_path):
    FineTuned("alexnet", **ALL | dict(epochs=None, lr=2e-6)).fit(data[0], data[1]).save(tmp_path / "net.safetensors")
    text = (tmp_path / "net.md").read_text(encoding="utf-8")
    assert "epochs: 6" in text and "size: 64" in text and "head: stats" in text and "e-0" in text and "None" not in text


def test_stages_are_named(data, capsys):
    FineTuned("alexnet", **ALL | dict(progress=True, epochs=1)).fit(*data)
    said = capsys.readouterr().err
    assert "alexnet, head alone, epoch 1:" in said and "alexnet epoch 1:" in said


def test_training_goes_on_from_a_saved_model(data, tmp_path):
    FineTuned("alexnet", **ALL).fit(*data).save(tmp_path / "net.safetensors")
    more = FineTuned("alexnet", **HEAD | dict(weights=tmp_path / "net.safetensors")).fit(*data)
    assert more.head_ == "stats" and more.score(*data) > 0.8


@pytest.mark.parametrize("name, unfreeze", [("squeezenet1_0", "classifier"), ("googlenet", "all")])
def test_networks_that_give_more_than_logits(data, name, unfreeze):
    model = FineTuned(name, **SMALL | dict(unfreeze=unfreeze, epochs=1)).fit(*data)
    assert model.predict_proba(data[0][:3]).shape == (3, 2)


def test_other_networks(data):
    model = FineTuned("resnet18", **SMALL | dict(unfreeze="all", epochs=1)).fit(*data)
    assert model.head_ == "torchvision" and model.predict_proba(data[0][:3]).shape == (3, 2)


def test_frozen_batch_statistics_stay(data):
    model = FineTuned("resnet18", **SMALL | dict(unfreeze="last-block", epochs=2)).fit(*data)
    net = model.network_.model
    assert torch.all(net.bn1.running_mean == 0) and not torch.all(net.layer4[0].bn1.running_mean == 0)


def test_class_weights_by_number_survive_saving(data, tmp_path):
    paths, y = data[0], (data[1] == "Pro").astype(int)
    weights = dict(zip(np.unique(y), [1.0, 2.0]))
    model = FineTuned("alexnet", **HEAD | {"epochs": 1}, class_weight=weights, checkpoint=tmp_path / "parts").fit(paths, y)
    model.save(tmp_path / "m.safetensors")
    read = load_finetuned(tmp_path / "m.safetensors")
    assert read.class_weight == weights
    assert (clone(read).fit(paths, y).predict(paths) == read.predict(paths)).all()


@pytest.mark.parametrize("unfreeze", ["classifier", "last-block", "all"])
def test_pictures_too_small_for_the_last_pooling(data, tmp_path, unfreeze):
    conv = {key: value for key, value in load_network("alexnet", "random").state_dict().items() if key.startswith("features")}
    save_weights(tmp_path / "w.safetensors", conv, {"backbone": "alexnet", "layer": "stats", "pool": "stats"})
    model = FineTuned("alexnet", **SMALL | dict(weights=tmp_path / "w.safetensors", size=48, epochs=1, head_epochs=1), unfreeze=unfreeze)
    assert set(model.fit(*data).predict(data[0])) <= {"Benign", "Pro"}


def test_class_weights(data):
    model = FineTuned("alexnet", **HEAD, class_weight="balanced")
    model.classes_ = np.array(["a", "b"])
    assert model._class_weights(np.array([0, 0, 0, 1])).tolist() == pytest.approx([2 / 3, 2])
    model.class_weight = {"b": 5}
    assert model._class_weights(np.array([0, 1])).tolist() == [1, 5]


def test_without_validation(data):
    model = FineTuned("alexnet", **HEAD | dict(validation=None, epochs=3)).fit(*data)
    assert np.isnan(model.best_score_) and model.best_epoch_ == 3 and "valid_loss" not in model.history_
    json.dumps(model.card())


def test_matlab_preset_is_made_of_parameters():
    assert set(PRESETS["matlab"]) <= set(FineTuned().get_params())


@pytest.mark.parametrize("change, message", [
    (dict(unfreeze="half"), "choose from classifier, last-block, all"),
    (dict(head="linear"), "choose from auto, torchvision, stats"),
    (dict(optimizer="adam"), "choose from adamw, sgd"),
    (dict(epochs=0), "at least 1"),
    (dict(batch_size=1), "at least 2"),
    (dict(validation=0.9), "at most 0.5"),
    (dict(lr=1e30, clip=None), "take a smaller lr"),
    (dict(weights="nowhere.safetensors"), "no such file"),
    (dict(classes=["Benign", "Pro", "Pre"]), "no training image of class Pre"),
    (dict(classes=["Benign", "Early"]), "no training image of class Early"),
    (dict(name="resnet18", head="stats"), "plain stack"),
    (dict(size=8), "choose 32 to 2048"),
    (dict(epochs=2.5), "whole number of at least 1, or None"),
    (dict(lr="a"), "lr 'a': give a number"),
    (dict(new_lr=-5), "new_lr -5"),
    (dict(seed=-1), "seed -1"),
    (dict(dropout=2), "dropout 2: give a number of at least 0.0 and at most 0.99"),
    (dict(label_smoothing=2), "label_smoothing 2"),
    (dict(weight_decay=-1), "weight_decay -1"),
    (dict(patience=-1), "patience -1"),
    (dict(class_weight="bal"), "choose 'balanced'"),
    (dict(class_weight={"Nope": 3}), "class 'Nope' is not among Benign, Pro"),
    (dict(class_weight={"Pro": -3}), "class_weight -3"),
])
def test_bad_settings(data, change, message):
    with pytest.raises(InputError, match=message):
        FineTuned(**dict(name="alexnet") | HEAD | change).fit(*data)


def test_groups_of_another_length(data):
    with pytest.raises(InputError, match="32 images and 5 groups"):
        FineTuned("alexnet", **HEAD).fit(*data, groups=[1, 2, 3, 4, 5])


def test_checkpoint_that_cannot_be_written(data, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="name another folder"):
            FineTuned("alexnet", **HEAD, checkpoint=place).fit(*data)


def test_cache_that_cannot_be_written(data, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="set LEUKNB_CACHE to another folder"):
        model = FineTuned("alexnet", **HEAD | dict(epochs=1)).fit(*data)
        assert model.predict(data[0][:2]).shape == (2,)
    with pytest.raises(InputError, match="set LEUKNB_CACHE to another folder"):
        model.backbone()


def test_not_fitted(data):
    for use in (FineTuned.predict, FineTuned.predict_proba):
        with pytest.raises(NotFittedError):
            use(FineTuned(), data[0])
    with pytest.raises(NotFittedError, match="A clone"):
        Backbone("alexnet", weights=FineTuned(), progress=False).fit()


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
        (paths, pd.Series(labels).astype(pd.CategoricalDtype(["Benign", "Pro", "Early"])), "no training image of class Early"),
    ]:
        with pytest.raises(InputError, match=message):
            net.fit(X, y)


def test_too_little_memory_or_disk(data, monkeypatch):
    monkeypatch.setattr(training, "_free_memory", lambda device: 1e6)
    with pytest.raises(InputError, match="take a smaller batch_size than 8"):
        FineTuned("alexnet", **ALL).fit(*data)
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1))
    with pytest.raises(InputError, match="of disk"):
        FineTuned("resnet18", **SMALL | dict(unfreeze="last-block")).fit(*data)


def test_memory_that_ends_while_training(data, monkeypatch):
    def out(*args, **kwargs):
        raise torch.OutOfMemoryError("out of memory")
    monkeypatch.setattr(training.TrainingNet, "infer", out)
    with pytest.raises(InputError, match="ran out of memory: take a smaller batch_size"):
        FineTuned("alexnet", **HEAD).fit(*data)


def test_what_a_killed_run_left_is_removed(cache):
    code = "import os; from leuknb.finetune import _scratch\nwith _scratch() as f: (f / 'x').write_text('x'); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code]).returncode
    left, = (cache / "finetuning").glob("*-*")
    with training.scratch_folder() as mine, training.scratch_folder():
        assert mine.exists() and not left.exists()
    assert not list((cache / "finetuning").iterdir())


def test_nothing_is_left_behind(data, cache):
    FineTuned("alexnet", **ALL).fit(*data).predict(data[0])
    assert not list((cache / "finetuning").iterdir())


def test_plain_weights_are_not_a_classifier(tmp_path):
    save_weights(tmp_path / "w.safetensors", {"features.0.weight": torch.zeros(2, 2)}, {"backbone": "alexnet"})
    with pytest.raises(InputError, match="holds weights, but no fine-tuned classifier"):
        load_finetuned(tmp_path / "w.safetensors")


@given(st.integers(0, 2**31), st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_orientation_only_moves_pixels(seed, flips, turns):
    pixels = torch.randint(0, 256, (5, 3, 8, 8), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    views = augment(pixels, torch.Generator().manual_seed(seed), flips, turns, colour=0, exposure=0)
    assert torch.equal(views.flatten(2).sort().values, (pixels / 255).flatten(2).sort().values)
    if not flips and not turns:
        assert torch.equal(views, pixels / 255)


def test_all_eight_orientations_occur():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(400, 3, 16, 16)
    count = lambda **kw: len({view.numpy().tobytes() for view in augment(pixels, torch.Generator().manual_seed(0), colour=0, exposure=0, **kw)})
    assert [count(), count(turns=False), count(flips=False)] == [8, 4, 4]


def test_colour_jitter_has_the_stated_size():
    pixels = torch.full((4000, 3, 1, 1), 100, dtype=torch.uint8)
    views = augment(pixels, torch.Generator().manual_seed(0), colour=0.05, exposure=0)
    assert float((views / (100 / 255)).log().std()) == pytest.approx(0.05, rel=0.05)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15)), min_size=40, max_size=80), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_inner_split_keeps_groups_together(rows, seed):
    classes = ["a", "b", "c"]
    codes = np.array([0, 1, 2] * 4 + [code for code, _ in rows])
    groups = np.array([f"own {k}" for k in range(12)] + [f"{code} {group}" for code, group in rows])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        train, valid = inner_split(codes, classes, groups, 0.2, seed)
    assert set(codes[valid]) == {0, 1, 2} or said
    assert sorted([*train, *valid]) == list(range(len(codes)))
    assert not set(groups[train]) & set(groups[valid]) and set(codes[train]) == {0, 1, 2}


def test_rate():
    assert rate(1, 10, 100) == pytest.approx(0.1, rel=0.01) and rate(100, 10, 100) == pytest.approx(0, abs=1e-9)
    assert rate(50, 10, 100, "constant") == 1


def test_a_rare_class_does_not_take_half_of_the_others():
    codes = np.repeat([0, 1, 2], [40, 200, 200])
    groups = np.r_[np.repeat([0, 1], 20), 10 + np.arange(400)]
    train, valid = inner_split(codes, list("abc"), groups, 0.15, 0)
    assert np.bincount(codes[valid])[0] == 20 and 25 <= np.bincount(codes[valid])[1] <= 32
    assert 0.3 < len(inner_split(codes[40:] - 1, list("bc"), None, 0.35, 0)[1]) / 400 < 0.36


def test_two_rare_classes_are_both_looked_at():
    codes = np.repeat([0, 1, 2], [2, 2, 200])
    for seed in range(5):
        train, valid = inner_split(codes, list("abc"), None, 0.15, seed)
        assert np.bincount(codes[valid])[:2].tolist() == [1, 1] and np.bincount(codes[train])[:2].tolist() == [1, 1]


def test_a_single_step_learns_and_no_batch_is_a_single_picture():
    assert rate(1, 0, 1) == 1
    sizes = [len(piece) for piece in training.Batches(None, range(7), torch.arange(7), 2, seed=0).pieces(torch.Generator())]
    assert sizes == [3, 2, 2]


@pytest.mark.parametrize("name, cut", [("densenet121", "features.denseblock4"), ("alexnet", "features.6"), ("mobilenet_v3_small", "features.12")])
def test_last_blocks(name, cut):
    assert cut._cut(networks.skeleton(name), "last-block") == cut


def test_densenet_last_block(data):
    paths, labels = data
    model = FineTuned("densenet121", **SMALL | dict(unfreeze="last-block", epochs=1, head_epochs=0)).fit(paths[:16], labels[:16])
    assert model.predict_proba(paths[:2]).shape == (2, 2)


def test_weights_beyond_half_precision(data):
    with pytest.raises(InputError, match="take a smaller lr than 1e"):
        FineTuned("alexnet", **HEAD | dict(epochs=1, validation=None, batch_size=64, schedule="constant", lr=1e30, clip=None)).fit(*data)


def test_numbers_as_class_names_keep_their_weights(data, tmp_path):
    paths, labels = data
    for y, weight in ((labels == "Pro", {True: 2}), ((labels == "Pro").astype(float), {0: 1, 1: 2})):
        model = FineTuned("alexnet", **HEAD | dict(epochs=1, class_weight=weight)).fit(paths, y)
        model.save(tmp_path / "model.safetensors")
        again = load_finetuned(tmp_path / "model.safetensors")
        assert again.class_weight == weight and np.array_equal(again.predict_proba(paths[:3]), model.predict_proba(paths[:3]))


def test_the_features_of_a_model_see_its_preprocessing(data, tmp_path):
    model = FineTuned("alexnet", **HEAD | dict(epochs=1, preprocess="denoise")).fit(*data)
    model.save(tmp_path / "model.safetensors")
    for weights in (model, tmp_path / "model.safetensors"):
        assert Backbone("alexnet", weights, progress=False).fit().preprocessing_.steps == ("denoise",)


@pytest.mark.parametrize("card", ["x", {}, {"settings": {"name": "alexnet", "unknown": 1}}])
def test_a_card_of_something_else(tmp_path, card):
    save_weights(tmp_path / "odd.safetensors", {"a": torch.zeros(1)}, {"finetuned": card})
    with pytest.raises(InputError, match="its card cannot be read"):
        load_finetuned(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("y, groups, message", [
    (lambda y: [1, "a"] * 16, None, "some labels are text"),
    (lambda y: y, ["g"] * 31 + [None], "32 images and 31 groups"),
])
def test_labels_and_groups_that_cannot_be(data, y, groups, message):
    with pytest.raises(InputError, match=message):
        FineTuned("alexnet", **HEAD).fit(data[0], y(data[1]), groups)


def test_labels_in_a_column(data, model):
    column = FineTuned("alexnet", **HEAD).fit(data[0], pd.DataFrame({"label": data[1]}))
    assert np.array_equal(column.predict_proba(data[0][:4]), model.predict_proba(data[0][:4]))


def test_the_last_line_is_printed_after_early_stopping(data, capsys):
    model = FineTuned("alexnet", **HEAD | dict(epochs=12, patience=1, progress=True)).fit(*data)
    assert capsys.readouterr().err.count(": loss ") == len(model.history_)
