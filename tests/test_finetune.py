"Fine-tuning: the contract, continuation, errors. Tiny images, random weights."
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict
from skorch.callbacks import Callback

from leuknb.backbones import Backbone
from leuknb.finetune import FineTuned, PRESETS, augment
from leuknb.lib import batches
from leuknb.lib.cut import StandardNetwork
from leuknb.lib.errors import InputError
from leuknb.lib.training import ProgressBar, TrainingNet
from leuknb.lib.weights import save_weights
from leuknb.networks import load_network
from leuknb.splits import inner_split
from two_kinds import ALL, HEAD, SMALL, two_kinds


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return two_kinds(tmp_path_factory.mktemp("images"))


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
    seen, real = [], StandardNetwork.prefix
    monkeypatch.setattr(StandardNetwork, "prefix", lambda self, x: seen.append(len(x)) or real(self, x))
    FineTuned("resnet18", **SMALL | dict(unfreeze=unfreeze, epochs=4)).fit(*data)
    assert sum(seen) == 32  # not 32 times four epochs


def test_cached_prefix_gives_what_the_plain_loop_gives(data):
    kept = FineTuned("alexnet", **HEAD, precision="float32").fit(*data)
    off = dict(flips=False, turns=False, colour=0, exposure=0, augment=True)
    plain = FineTuned("alexnet", **HEAD, **off, precision="float32").fit(*data)
    assert kept.plan_.cached and not plain.plan_.cached
    assert np.allclose(kept.predict_proba(data[0]), plain.predict_proba(data[0]), atol=0.02)


def test_best_epoch_is_restored(data):
    model = FineTuned("alexnet", **HEAD | dict(epochs=8, lr=6e-4, schedule="constant"), precision="float32").fit(*data)
    paths, labels = data
    codes = np.searchsorted(model.classes_, labels)
    _, valid = inner_split(codes, model.classes_, None, 0.25, 3)
    assert model.score(np.array(paths)[valid], labels[valid]) == pytest.approx(model.best_score_)


class Killed(BaseException):
    "Stands for a process that is killed."


def stop_in(monkeypatch, epoch, error, label="alexnet"):
    "Raise in the middle of an epoch of the training with this label."
    real = ProgressBar.on_batch_end

    def on_batch_end(self, net, training=False, **kwargs):
        real(self, net, training=training, **kwargs)
        if training and self.label == label and len(net.history) == epoch:
            raise error
    monkeypatch.setattr(ProgressBar, "on_batch_end", on_batch_end)


@pytest.mark.parametrize("label, epoch", [("alexnet, head alone,", 2), ("alexnet", 1), ("alexnet", 3)])
def test_killed_and_continued(data, tmp_path, label, epoch):
    whole = FineTuned("alexnet", **ALL).fit(*data)
    with pytest.MonkeyPatch.context() as patch:
        stop_in(patch, epoch, Killed, label)
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


@pytest.mark.parametrize("content", [
    {"x": 1}, {"about": {}, "rows": [], "best": {"score": [1.0], "epoch": 1, "state": {"head.2.weight": torch.zeros(3)}}, "state": None, "optimizer": None}])
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
    stop_in(monkeypatch, 3, KeyboardInterrupt)
    with pytest.warns(RuntimeWarning, match="stopped by Ctrl-C in epoch 3: keeping epoch"):
        model = FineTuned("alexnet", **HEAD).fit(*data)
    assert model.interrupted_ and len(model.history_) == 2 and model.best_epoch_ <= 2
    pd.testing.assert_frame_equal(model.history_.drop(columns="seconds"), two.history_[:2].drop(columns="seconds"))


def test_ctrl_c_with_a_checkpoint_names_what_continues(data, monkeypatch, tmp_path):
    stop_in(monkeypatch, 3, KeyboardInterrupt)
    with pytest.warns(RuntimeWarning, match="in epoch 3: the same call continues after epoch 2"):
        FineTuned("alexnet", **HEAD, checkpoint=tmp_path).fit(*data)


def test_ctrl_c_before_the_first_epoch_is_over(data, monkeypatch):
    stop_in(monkeypatch, 1, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        FineTuned("alexnet", **HEAD).fit(*data)


def test_ctrl_c_while_the_head_learns_alone(data, monkeypatch):
    stop_in(monkeypatch, 2, KeyboardInterrupt, "alexnet, head alone,")
    with pytest.warns(RuntimeWarning, match="stopped by Ctrl-C"):
        model = FineTuned("alexnet", **ALL | dict(head_epochs=4)).fit(*data)
    assert model.interrupted_ and model.predict_proba(data[0]).shape == (32, 2)


def test_backbone_of_a_trained_model(data, tmp_path):
    model = FineTuned("alexnet", **ALL).fit(*data)
    trained = model.backbone().transform(data[0])
    untrained = Backbone("alexnet", weights="random", layer="stats", size=64, crop=False, seed=3, progress=False).transform(data[0])
    assert trained.shape == untrained.shape == (32, 2304) and not np.allclose(trained, untrained)
    model.save(tmp_path / "net.safetensors")
    by_path = Backbone("alexnet", weights=tmp_path / "net.safetensors", size=64, crop=False, progress=False).transform(data[0])
    assert np.array_equal(trained, by_path)


def test_a_backbone_is_of_the_last_fit(data):
    model = FineTuned("alexnet", **ALL | dict(epochs=1)).fit(*data)
    first, again = model.backbone(), model.backbone()
    assert first.weights == again.weights
    features = first.transform(data[0])
    model.set_params(seed=4).fit(*data)
    assert not np.array_equal(model.backbone().transform(data[0]), features)
    assert np.array_equal(first.transform(data[0]), features)


def test_a_second_fit_keeps_nothing_of_the_first(data):
    model = FineTuned("alexnet", **ALL | dict(epochs=1)).fit(*data)
    assert len(model.head_history_) == 2
    model.set_params(unfreeze="classifier").fit(*data)
    assert model.head_history_ is None


def test_stages_are_named(data, capsys):
    FineTuned("alexnet", **ALL | dict(progress=True, epochs=1)).fit(*data)
    said = capsys.readouterr().err
    assert "alexnet, head alone, epoch 1:" in said and "alexnet epoch 1:" in said


@pytest.mark.parametrize("name, unfreeze", [("squeezenet1_0", "classifier"), ("googlenet", "all")])
def test_networks_that_give_more_than_logits(data, name, unfreeze):
    model = FineTuned(name, **SMALL | dict(unfreeze=unfreeze, epochs=1)).fit(*data)
    assert model.predict_proba(data[0][:3]).shape == (3, 2)


def test_other_networks(data):
    model = FineTuned("resnet18", **SMALL | dict(unfreeze="all", epochs=1)).fit(*data)
    assert model.plan_.head == "torchvision" and model.predict_proba(data[0][:3]).shape == (3, 2)


def test_frozen_batch_statistics_stay(data):
    model = FineTuned("resnet18", **SMALL | dict(unfreeze="last-block", epochs=2)).fit(*data)
    net = model.network_.model
    assert torch.all(net.bn1.running_mean == 0) and not torch.all(net.layer4[0].bn1.running_mean == 0)


@pytest.mark.parametrize("unfreeze", ["classifier", "last-block", "all"])
def test_pictures_too_small_for_the_last_pooling(data, tmp_path, unfreeze):
    conv = {key: value for key, value in load_network("alexnet", "random").state_dict().items() if key.startswith("features")}
    save_weights(tmp_path / "w.safetensors", conv, {"backbone": "alexnet", "layer": "stats", "pool": "stats"})
    model = FineTuned("alexnet", **SMALL | dict(weights=tmp_path / "w.safetensors", size=48, epochs=1, head_epochs=1), unfreeze=unfreeze)
    assert set(model.fit(*data).predict(data[0])) <= {"Benign", "Pro"}


def test_without_validation(data):
    model = FineTuned("alexnet", **HEAD | dict(validation=None, epochs=3)).fit(*data)
    assert np.isnan(model.best_score_) and model.best_epoch_ == 3 and "valid_loss" not in model.history_
    json.dumps(model.card())


def test_matlab_preset_is_made_of_parameters():
    assert set(PRESETS["matlab"]) <= set(FineTuned().get_params())


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
    for use in (FineTuned.backbone, FineTuned.card):
        with pytest.raises(NotFittedError):
            use(clone(FineTuned()))


def test_too_little_memory_or_disk(data, monkeypatch):
    monkeypatch.setattr(batches, "free_memory", lambda device: 1e6)
    with pytest.raises(InputError, match="take a smaller batch .`batch_size`. than 8"):
        FineTuned("alexnet", **ALL).fit(*data)
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1))
    with pytest.raises(InputError, match="of disk"):
        FineTuned("resnet18", **SMALL | dict(unfreeze="last-block")).fit(*data)


def test_memory_that_ends_while_training(data, monkeypatch):
    def out(*args, **kwargs):
        raise torch.OutOfMemoryError("out of memory")
    monkeypatch.setattr(TrainingNet, "infer", out)
    with pytest.raises(InputError, match="ran out of memory: take a smaller batch"):
        FineTuned("alexnet", **HEAD).fit(*data)


def test_nothing_is_left_behind(data, cache):
    FineTuned("alexnet", **ALL).fit(*data).predict(data[0])
    assert not list((cache / "finetuning").iterdir())


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


def test_densenet_last_block(data):
    paths, labels = data
    model = FineTuned("densenet121", **SMALL | dict(unfreeze="last-block", epochs=1, head_epochs=0)).fit(paths[:16], labels[:16])
    assert model.predict_proba(paths[:2]).shape == (2, 2)


def test_weights_beyond_half_precision(data):
    with pytest.raises(InputError, match="take a smaller `lr` than 1e"):
        FineTuned("alexnet", **HEAD | dict(epochs=1, validation=None, batch_size=64, schedule="constant", lr=1e30, clip=None)).fit(*data)


def test_skops_keeps_a_model(data, model):
    file = skops.io.dumps(model)
    again = skops.io.loads(file, trusted=skops.io.get_untrusted_types(data=file))
    assert np.array_equal(again.predict_proba(data[0]), model.predict_proba(data[0]))
    pd.testing.assert_frame_equal(again.history_, model.history_)
    assert not any(isinstance(value, (pd.DataFrame, torch.nn.Module)) for value in model.__getstate__().values())


class Epochs(Callback):
    "Counts epochs."
    count = 0

    def on_epoch_end(self, net, **kwargs):
        Epochs.count += 1


def test_callbacks_of_the_user(data, model):
    watched = FineTuned("alexnet", **HEAD, callbacks=[Epochs()]).fit(*data)
    assert Epochs.count == len(watched.history_) and "callbacks" not in watched.card()["settings"]
    assert np.array_equal(watched.predict_proba(data[0]), model.predict_proba(data[0]))


def test_a_network_with_further_outputs_trains_on_small_images(data):
    paths, labels = data
    tuned = FineTuned("inception_v3", **SMALL | dict(unfreeze="all", epochs=1, size=80)).fit(paths[:16], labels[:16])
    assert tuned.predict_proba(paths[:2]).shape == (2, 2)


def test_labels_in_a_column(data, model):
    column = FineTuned("alexnet", **HEAD).fit(data[0], pd.DataFrame({"label": data[1]}))
    assert np.array_equal(column.predict_proba(data[0][:4]), model.predict_proba(data[0][:4]))


def test_the_last_line_is_printed_after_early_stopping(data, capsys):
    model = FineTuned("alexnet", **HEAD | dict(epochs=12, patience=1, progress=True)).fit(*data)
    assert capsys.readouterr().err.count(": loss ") == len(model.history_)
