"Backbones: values against torchvision, weights from everywhere, and a cache that survives."
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import urllib.error
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from leuknb import networks
from leuknb.lib import extract
from leuknb.backbones import Backbone, feature_maps
from leuknb.lib.extract import FeatureStore, cache_clear, cache_folder, cache_info
from leuknb.lib.weights import WeightFile, save_weights
from leuknb.networks import channel_stats, layer_table, load_network, random_network, resolve_layers
from leuknb.preprocess import preprocessing
from leuknb.lib.errors import InputError

QUIET = dict(size=64, progress=False, precision="float32", device="cpu")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    "A cache and a torch folder of each test's own."
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def paths(tmp_path):
    "Ten small pictures; the last has the same bytes as the first."
    return draw(tmp_path / "images", 9) + draw(tmp_path / "copies", 1)


def draw(folder, n, side=72):
    "Write n pictures of noise and discs."
    folder.mkdir()
    y, x = np.mgrid[:side, :side]
    made = []
    for i in range(n):
        rng = np.random.default_rng(i)
        picture = rng.normal((230, 210, 220), 8, (side, side, 3))
        picture[(y - rng.integers(10, 60)) ** 2 + (x - rng.integers(10, 60)) ** 2 < 150] = (110, 60, 140)
        made.append(folder / f"bild {i} é.png")
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(made[-1])
    return made


def computed(monkeypatch):
    "Count the batches that are computed from now on."
    done, original = [], Backbone._compute

    def counting(self, todo):
        for names, rows in original(self, todo):
            done.append(list(names))
            yield names, rows
    monkeypatch.setattr(Backbone, "_compute", counting)
    return done


# Values

@settings(max_examples=40, deadline=None)
@given(st.integers(33, 400), st.integers(33, 400), st.integers(0, 2**32 - 1),
       st.sampled_from(["alexnet", "vgg19", "efficientnet_b0", "inception_v3", "resnet18"]))
def test_preparation_is_torchvisions(width, height, seed, name):
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
    theirs = networks.imagenet_weights(name).transforms()(image)
    assert torch.equal(preprocessing(name)(image)[0], theirs)


@pytest.mark.parametrize("side", [64, 128, 192, 224, 240, 255, 256, 448, 512])
def test_preparation_is_torchvisions_where_torch_resizes(side):
    image = Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8))
    for size in (224, 448):
        preset = models.AlexNet_Weights.IMAGENET1K_V1.transforms
        theirs = preset(crop_size=size, resize_size=round(size * 256 / 224))(image)
        assert torch.equal(preprocessing("alexnet", size)(image)[0], theirs)


def test_uncropped_sees_everything():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8))
    prepared = preprocessing("alexnet", crop=False)
    assert prepared.box(90, 120) == (0, 0, 90, 120)
    assert np.array_equal(prepared.pixels(image), np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("name, layer, node", [("alexnet", "fc7", "classifier.5"), ("alexnet", "pool5", "features.12"),
                                               ("alexnet", "conv2", "features.4"), ("resnet18", None, "flatten")])
def test_layers_are_torchvisions(paths, name, layer, node):
    backbone = Backbone(name, "random", layer=layer, seed=5, **QUIET).fit()
    torch.manual_seed(5)
    theirs = create_feature_extractor(models.get_model(name).eval(), [node])
    with torch.inference_mode():
        expected = theirs(torch.cat([backbone.prepare(path) for path in paths[:3]]))[node].flatten(1)
    np.testing.assert_allclose(backbone.transform(paths[:3]), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("layer", ["fc6", "pool1+conv2+pool2", "stats"])
def test_order_of_relu_and_pooling_changes_nothing(layer, monkeypatch):
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    nodes = tuple(networks.layer_names("alexnet")[one] for one in resolve_layers("alexnet", layer)[0])
    networks = [extract.FeatureNetwork(random_network("alexnet", nodes=nodes), nodes, "flat", torch.float32)]
    monkeypatch.setattr(extract, "_relu_later", lambda net: net)
    networks.append(extract.FeatureNetwork(random_network("alexnet", nodes=nodes), nodes, "flat", torch.float32))
    with torch.inference_mode():
        assert torch.equal(*(network(x) for network in networks))


def test_random_vgg_is_what_its_initialiser_draws():
    ours = random_network("vgg11", 7, nodes=("features.20",)).state_dict()
    torch.manual_seed(7)
    for key, weight in ours.items():
        if key.endswith("weight"):
            expected = torch.nn.init.kaiming_normal_(torch.empty_like(weight), mode="fan_out", nonlinearity="relu")
            assert torch.equal(weight, expected)
        else:
            assert not weight.any()


def test_random_weights_leave_the_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two = (random_network("resnet18", seed).fc.weight for seed in (0, 0))
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(one, two)
    assert not torch.equal(one, random_network("resnet18", 1).fc.weight)


def test_weights_do_not_depend_on_the_layers_asked_for():
    short, long = (random_network("vgg11", nodes=(node,)).state_dict() for node in ("features.1", "classifier.1"))
    assert all(torch.equal(short[key], long[key]) for key in short) and len(short) < len(long)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_statistics_match_double_precision(dtype):
    x = (torch.randn(2, 5, 90, 90) * 0.1 + torch.tensor([0, 1, 10, 100, 1000.0]).view(5, 1, 1)).to(dtype)
    exact = torch.cat([x.double().mean((2, 3)), x.double().std((2, 3), correction=0)], 1)
    torch.testing.assert_close(channel_stats(x).double(), exact, rtol=2e-4, atol=1e-6)


def test_statistics_have_a_gradient_where_nothing_varies():
    x = torch.zeros(1, 2, 4, 4, requires_grad=True)
    channel_stats(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("layer", ["stats", "fc7"])
def test_neighbours_never_matter(paths, precision, layer):
    backbone = Backbone("alexnet", "random", layer=layer, cache=False, batch_size=8, **QUIET | {"precision": precision})
    together = backbone.transform(paths)
    assert np.array_equal(together[::-1], backbone.transform(paths[::-1]))
    assert all(np.array_equal(together[i:i + 1], backbone.transform(paths[i:i + 1])) for i in (0, 5, 8))


def test_module_is_transform_and_differentiable(paths):
    backbone = Backbone("alexnet", "random", layer="conv2+fc6", pool="avg3", batch_size=1, **QUIET)
    x = backbone.prepare(paths[0]).requires_grad_()
    out = backbone.module()(x)
    features = backbone.transform(paths[:1])  # by one thread; the module takes all, which may round otherwise
    assert np.allclose(out.detach().numpy(), features, rtol=1e-5, atol=1e-6 * features.max())
    out.sum().backward()
    assert x.grad.abs().sum() > 0 and out.shape[1] == 192 * 9 + 4096 == len(backbone.get_feature_names_out())


def test_last_conv_is_the_last_convolution_stage():
    assert Backbone("alexnet", "random", **QUIET).module().last_conv is not None
    resnet = Backbone("resnet18", "random", **QUIET).module()
    kept = []
    resnet.last_conv.register_forward_hook(lambda module, inputs, output: kept.append(output.shape))
    resnet(torch.zeros(1, 3, 64, 64))
    assert kept[-1][1] == 512


def test_layer_table_counts_every_parameter():
    for name in ("alexnet", "vgg19", "resnet18"):
        total = sum(p.numel() for n, p in models.get_model(name).named_parameters() if "bn" not in n and "downsample.1" not in n)
        assert layer_table(name)["parameters"].sum() == total


# scikit-learn

def test_it_is_an_estimator(paths):
    backbone = Backbone("alexnet", "random", layer="conv1", pool="stats", **QUIET)
    assert clone(backbone).get_params() == backbone.get_params()
    first = backbone.fit(paths).transform(paths)
    assert np.array_equal(pickle.loads(pickle.dumps(backbone)).transform(paths), first)
    named = clone(backbone).set_output(transform="pandas").fit_transform(paths)
    assert list(named.columns[[0, 64]]) == ["conv1_mean_0", "conv1_std_0"]
    model = make_pipeline(backbone, StandardScaler(), SVC())
    guesses = cross_val_predict(model, [str(path) for path in paths], [0, 1] * 5, cv=2)
    assert guesses.shape == (10,)


def test_paths_in_any_container(paths):
    backbone = Backbone("alexnet", "random", **QUIET)
    expected = backbone.transform(paths)
    text = [str(path) for path in paths]
    for X in (text, np.array(text), np.array(text)[:, None], pd.Series(text, index=range(5, 15)),
              pd.DataFrame({"image": text, "path": text}), tuple(paths)):
        assert np.array_equal(backbone.transform(X), expected)


def test_changed_parameters_are_settled_anew(paths):
    backbone = Backbone("alexnet", "random", **QUIET).fit()
    digest = backbone.weights_digest_
    assert backbone.set_params(seed=1).fit().weights_digest_ != digest
    assert backbone.set_params(layer="conv2").transform(paths[:2]).shape[1] > 1000 and backbone.pool_ == "flat"


# Weights

@pytest.fixture
def state():
    return random_network("alexnet", 4).state_dict()


def test_a_complete_file_means_fc7(tmp_path, paths, state):
    save_file(state, tmp_path / "whole.safetensors")
    backbone = Backbone("alexnet", tmp_path / "whole.safetensors", **QUIET)
    expected = Backbone("alexnet", "random", layer="fc7", seed=4, **QUIET).transform(paths)
    assert np.array_equal(backbone.transform(paths), expected) and backbone.layer_ == "fc7"


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3},
                                  lambda s: {"model": {f"module.{k}": v for k, v in s.items()}}])
@pytest.mark.parametrize("zipped", [True, False])
def test_pth_files(tmp_path, state, wrap, zipped):
    conv = {key: value for key, value in state.items() if key.startswith("features")}
    torch.save(wrap(conv), tmp_path / "conv.pth", _use_new_zipfile_serialization=zipped)
    backbone = Backbone("alexnet", str(tmp_path / "conv.pth"), **QUIET).fit()
    assert backbone.layer_ == "stats"
    assert backbone.weights_digest_ == Backbone("alexnet", "random", seed=4, **QUIET).fit().weights_digest_


@pytest.mark.parametrize("dtype, error", [("float16", 1e-3), ("int8", 0.02)])
def test_small_files(tmp_path, paths, state, dtype, error):
    save_weights(tmp_path / "small.safetensors", state, dtype=dtype)
    ours = Backbone("alexnet", tmp_path / "small.safetensors", layer="stats", **QUIET).transform(paths)
    exact = Backbone("alexnet", "random", seed=4, **QUIET).transform(paths)
    assert 0 < np.abs(ours - exact).max() / np.abs(exact).max() < error


def test_a_header_says_how_pictures_were_prepared(tmp_path, state):
    conv = {key: value for key, value in state.items() if key.startswith("features")}
    about = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "size": 96, "layer": "conv3+conv5", "pool": "avg2"}
    save_weights(tmp_path / "own.safetensors", conv, about)
    backbone = Backbone("alexnet", tmp_path / "own.safetensors", progress=False).fit()
    prepared = backbone.preprocessing_
    assert (prepared.mean, prepared.std, prepared.size) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2), 96)
    assert (backbone.layer_, backbone.pool_) == ("conv3+conv5", "avg2")
    assert clone(backbone).set_params(size=64, layer="conv1").fit().pool_ == "flat"


def test_bundled_weights(tmp_path, monkeypatch, state, paths):
    with pytest.raises(InputError, match="bundled for resnet18.*imagenet, random, or the path"):
        Backbone("resnet18", "synth", **QUIET).fit()
    monkeypatch.setattr(networks, "ASSETS", tmp_path)
    with pytest.raises(InputError, match="bundled for alexnet .none are."):
        Backbone("alexnet", "synth", **QUIET).fit()
    conv = {key: value for key, value in state.items() if key.startswith("features")}
    save_weights(tmp_path / "weights" / "alexnet.safetensors", conv, dtype="int8")
    assert Backbone("alexnet", "synth", **QUIET).transform(paths).shape == (10, 2304)
    with pytest.raises(InputError, match="only for alexnet"):
        Backbone("vgg19", "synth", **QUIET).fit()
    with pytest.raises(InputError, match="layer fc6; it has conv1, conv2, conv3, conv4, conv5"):
        Backbone("alexnet", "synth", layer="fc7", **QUIET).fit()


def test_a_fine_tuned_file_with_other_classes(tmp_path, state):
    own = load_network("alexnet", "random", num_classes=4, seed=2)
    save_weights(tmp_path / "tuned.safetensors", own.state_dict())
    assert Backbone("alexnet", tmp_path / "tuned.safetensors", **QUIET).fit().layer_ == "fc7"
    again = load_network("alexnet", tmp_path / "tuned.safetensors", num_classes=4)
    assert again.fresh == () and torch.allclose(again.classifier[6].weight, own.classifier[6].weight, atol=1e-4)
    other = load_network("alexnet", tmp_path / "tuned.safetensors", num_classes=7)
    assert other.fresh == ("classifier.6.weight", "classifier.6.bias") and other.classifier[6].out_features == 7


def test_changed_file_is_noticed(tmp_path, state):
    path = tmp_path / "weights.safetensors"
    save_weights(path, state, dtype="float32")
    backbone = Backbone("alexnet", path, layer="conv1", **QUIET).fit()
    digest = backbone.weights_digest_
    state["features.0.weight"] += 1
    save_weights(path, state, dtype="float32")
    os.utime(path, (1, 1))
    assert backbone.fit().weights_digest_ != digest


def test_planted_imagenet_weights_are_read(tmp_path, state):
    path = tmp_path / "torch" / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    backbone = Backbone("alexnet", **QUIET).fit()
    assert backbone.layer_ == "fc7"
    assert backbone.weights_digest_ == Backbone("alexnet", "random", layer="fc7", seed=4, **QUIET).fit().weights_digest_
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="alexnet-owt-7be5be79.pth: damaged.*get it again"):
        Backbone("alexnet", **QUIET).fit()


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError('invalid hash value (expected "7be5be79")')])
def test_without_network_the_message_helps(monkeypatch, tmp_path, error):
    def fail(*args, **kwargs):
        raise error
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(InputError) as caught:
        Backbone("alexnet", **QUIET).fit()
    for part in ("could not be downloaded", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                 str(tmp_path / "torch" / "hub" / "checkpoints"), "--weights random"):
        assert part in str(caught.value)


def make_pickle(path):
    torch.save({"features.0.weight": subprocess.Popen}, path)


BAD_WEIGHTS = {
    "run.pth": (make_pickle, "could run code"),
    "text.pth": (lambda path: path.write_text("weights"), "damaged or not a file of weights"),
    "empty.pth": (lambda path: path.write_bytes(b""), "damaged or not a file of weights"),
    "module.pth": (lambda path: torch.save(torch.nn.Linear(1, 1), path), "could run code"),
    "list.pth": (lambda path: torch.save([1, 2], path), "holds no state dict"),
    "text.safetensors": (lambda path: path.write_text("weights"), "damaged or not a safetensors file"),
    "empty.safetensors": (lambda path: path.write_bytes(b""), "damaged or not a safetensors file"),
    "vgg.safetensors": (lambda path: save_file(random_network("vgg11", nodes=("features.1",)).state_dict(), path),
                        r"features.0.weight has the shape \(64, 3, 3, 3\), but alexnet needs \(64, 3, 11, 11\)"),
    "other.safetensors": (lambda path: save_file({"conv1.weight": torch.zeros(1)}, path), "another network's file"),
    "few.safetensors": (lambda path: save_file(random_network("alexnet", nodes=("features.4",)).state_dict(), path),
                        "'features.6.weight', which alexnet needs for layer conv3; it has conv1, conv2"),
    "gone.safetensors": (lambda path: None, "no such file, and not one of imagenet, synth, random"),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_bad_weights(tmp_path, name):
    make, message = BAD_WEIGHTS[name]
    make(tmp_path / name)
    with pytest.raises(InputError, match=message):
        Backbone("alexnet", tmp_path / name, **QUIET).fit()


@pytest.mark.parametrize("wrong, message", [
    (dict(name="alexnot"), "not a classifier of torchvision"),
    (dict(layer="fc9"), "no layer 'fc9'; choose from conv1"),
    (dict(layer=""), "no layer ''; choose from conv1"),
    (dict(layer=[]), "no layer ''; choose from conv1"),
    (dict(layer="stats", pool="avg2"), "pool 'avg2' does not go with the layer stats"),
    (dict(pool="avg2"), "has its own pooling; name a layer, such as pool5"),
    (dict(pool="avg0"), "pool 'avg0': choose flat, stats, or avg1"),
    (dict(pool=""), "pool '': choose flat, stats, or avg1"),
    (dict(layer="pool5", pool="max"), "flat, stats, or avg1"),
    (dict(layer="pool5", pool="avg0"), "flat, stats, or avg1"),
    (dict(size=5), "choose 32 to 2048"),
    (dict(size=0), "size 0: choose 32 to 2048"),
    (dict(batch_size=0), "batch_size 0: must be 1 or more"),
    (dict(size=40, layer="pool5"), "alexnet cannot take pictures of 40 x 40 pixels"),
    (dict(name="vit_b_16", size=100), "vit_b_16 cannot take pictures of 100 x 100"),
    (dict(preprocess="denoise+sharpen"), "preprocess 'sharpen': choose from denoise, contrast"),
    (dict(precision="half"), "choose from auto, float32, bfloat16"),
    (dict(device="xpu9"), "not available here"),
    (dict(device="cpu:x"), "device 'cpu:x' is not available here"),
])
def test_impossible_choices(wrong, message):
    with pytest.raises(InputError, match=message):
        Backbone(**{"name": "alexnet", "weights": "random"} | QUIET | wrong).fit()


@pytest.mark.parametrize("layer, pool, precision", [("fc7", None, "float32"), ("conv1+fc6", None, "float32"), ("pool5", "avg1", "bfloat16"),
                                                    ("stats", None, "bfloat16")])
def test_single_numbers_of_untrained_networks_are_not_rounded(tmp_path, monkeypatch, layer, pool, precision):
    monkeypatch.setattr(extract, "native_bfloat16", lambda device="cpu": True)
    auto = dict(size=64, progress=False, device="cpu", layer=layer, pool=pool)
    assert Backbone("alexnet", "random", **auto).fit().precision_ == precision
    assert Backbone("alexnet", "random", **auto, precision="bfloat16").fit().precision_ == "bfloat16"
    torch.save(models.alexnet().state_dict(), tmp_path / "trained.pth")
    assert Backbone("alexnet", tmp_path / "trained.pth", **auto).fit().precision_ == "bfloat16"


def test_bad_images_come_in_one_list(tmp_path, paths, monkeypatch):
    bad = [tmp_path / f"bad {i}.jpg" for i in range(25)]
    for path in bad:
        path.write_bytes(b"\xff\xd8 no picture")
    backbone = Backbone("alexnet", "random", batch_size=4, **QUIET)
    with pytest.raises(InputError) as caught:
        backbone.transform([*paths, *bad, *paths])
    text = str(caught.value)
    assert text.startswith("25 image(s)") and "bad 0.jpg" in text and "and 5 more" in text and "Traceback" not in text
    with pytest.raises(InputError, match="gone.png"):
        backbone.transform([*paths, tmp_path / "gone.png"])
    with pytest.raises(InputError, match="give a list"):
        backbone.transform("smear.png")


# Cache

def test_rows_belong_to_bytes(paths, monkeypatch):
    done = computed(monkeypatch)
    backbone = Backbone("alexnet", "random", batch_size=4, **QUIET)
    first = backbone.transform(paths)
    assert [len(batch) for batch in done] == [4, 4, 2] and np.array_equal(first[0], first[9])
    done.clear()
    assert np.array_equal(backbone.transform(paths[7:2:-1]), first[7:2:-1]) and not done
    assert cache_info()["images"].tolist() == [10]


def test_what_features_depend_on_is_the_key(tmp_path, paths):
    shared = dict(weights="random", progress=False, device="cpu", layer="conv1", pool="stats")
    for choice in (dict(), dict(size=64), dict(crop=False), dict(preprocess="denoise"), dict(seed=1), dict(pool="avg1"),
                   dict(layer="conv2"), dict(precision="float32"), dict(name="vgg11")):
        Backbone(**shared | dict(precision="bfloat16") | choice).transform(paths[:1])
    assert len(cache_info()) == 9
    one = cache_info().index[0]
    cache_clear(one)
    assert len(cache_info()) == 8 and one not in cache_info().index
    with pytest.raises(InputError, match="no key 'x'"):
        cache_clear("x")
    kept = cache_folder() / "finetuned" / "alexnet-1.safetensors"
    kept.parent.mkdir()
    kept.write_bytes(bytes(2_000_000))
    assert cache_clear() >= 2 and not kept.exists()
    assert cache_info().empty


def test_an_interrupted_run_continues(paths, monkeypatch):
    backbone = Backbone("alexnet", "random", batch_size=2, **QUIET)
    expected = clone(backbone).set_params(cache=False).transform(paths)
    done, original = computed(monkeypatch), FeatureStore.add

    def stop(self, images, rows):
        original(self, images, rows)
        if len(done) == 3:
            raise KeyboardInterrupt
    monkeypatch.setattr(FeatureStore, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        backbone.transform(paths)
    done.clear()
    monkeypatch.setattr(FeatureStore, "add", original)
    assert np.array_equal(backbone.transform(paths), expected) and sum(map(len, done)) == 10 - 6


@pytest.mark.parametrize("harm", [lambda b: b[:-4], lambda b: b[:20], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1]),
                                  lambda b: b.replace(b'"images":"', b'"images":"0')])
def test_damaged_files_are_made_again(paths, harm):
    backbone = Backbone("alexnet", "random", batch_size=5, **QUIET)
    expected = backbone.transform(paths)
    chunk = sorted((cache_folder() / "features").glob("*/5-*.safetensors"))[0]
    chunk.write_bytes(harm(chunk.read_bytes()))
    with pytest.warns(RuntimeWarning, match="damaged, made again"):
        assert np.array_equal(backbone.transform(paths), expected)
    assert np.array_equal(backbone.transform(paths), expected)


def test_half_written_files_of_another_process_are_left_alone(paths):
    backbone = Backbone("alexnet", "random", **QUIET)
    backbone.transform(paths)
    key = cache_info().index[0]
    other = cache_folder() / "features" / key / ".9-abc-tmp.safetensors"
    other.write_bytes(b"half")
    backbone.transform(paths)
    assert other.read_bytes() == b"half" and cache_info()["images"].tolist() == [10]


def test_a_cache_that_cannot_be_written(paths, monkeypatch, tmp_path):
    backbone = Backbone("alexnet", "random", batch_size=4, **QUIET)
    expected = backbone.transform(paths)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("LEUKNB_CACHE", str(blocked))
    with pytest.warns(RuntimeWarning, match="features are not kept") as said:
        assert np.array_equal(backbone.transform(paths), expected)
    assert len(said) == 1 and blocked.read_text() == "not a folder"


def test_a_full_disk(paths, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(extract, "save_file", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        assert Backbone("alexnet", "random", **QUIET).transform(paths).shape == (10, 2304)
    assert not list(cache_folder().rglob("*.safetensors"))


RUN = """
import sys, numpy as np
from leuknb.backbones import Backbone
rows = Backbone("alexnet", "random", batch_size=1, size=64, progress=False, precision="float32").transform(sys.argv[2:])
np.save(sys.argv[1], rows)
"""


def test_two_processes_at_once(paths, tmp_path):
    outs = [tmp_path / f"{i}.npy" for i in range(2)]
    runs = [subprocess.Popen([sys.executable, "-W", "error::RuntimeWarning", "-c", RUN, str(out), *map(str, order)])
            for out, order in zip(outs, (paths, paths[::-1]))]
    assert [run.wait() for run in runs] == [0, 0]
    one, two = map(np.load, outs)
    assert np.array_equal(one, two[::-1]) and cache_info()["images"].iloc[0] >= 9


def test_killed_run_continues_with_the_same_result(paths, tmp_path):
    out = tmp_path / "rows.npy"
    run = subprocess.Popen([sys.executable, "-c", RUN, str(out), *map(str, paths)])
    while run.poll() is None and not list((tmp_path / "cache").rglob("1-*.safetensors")):
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    backbone = Backbone("alexnet", "random", batch_size=1, **QUIET)
    assert np.array_equal(backbone.transform(paths), clone(backbone).set_params(cache=False).transform(paths))


def test_too_little_memory_means_smaller_batches(paths, monkeypatch):
    expected = Backbone("alexnet", "random", batch_size=2, cache=False, **QUIET).transform(paths)
    original = extract.FeatureNetwork.forward

    def small(self, x):
        if len(x) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return original(self, x)
    monkeypatch.setattr(extract.FeatureNetwork, "forward", small)
    backbone = Backbone("alexnet", "random", batch_size=8, **QUIET)
    with pytest.warns(RuntimeWarning, match="batches of 2"):
        assert np.array_equal(backbone.transform(paths), expected)
    monkeypatch.setattr(extract.FeatureNetwork, "forward", lambda self, x: small(self, torch.zeros(3, 1)))
    with pytest.warns(RuntimeWarning), pytest.raises(InputError, match="too little memory for one image"):
        Backbone("alexnet", "random", batch_size=4, cache=False, **QUIET).transform(paths)


# Any network

@pytest.mark.parametrize("name, features", [("mobilenet_v3_small", 1024), ("squeezenet1_1", 512), ("resnet18", 512)])
def test_other_classifiers(paths, tmp_path, name, features):
    backbone = Backbone(name, "random", pool="avg1", **QUIET)
    rows = backbone.transform(paths[:2])
    assert rows.shape == (2, features) and backbone.layer_ == "penultimate"
    save_weights(tmp_path / "whole.safetensors", random_network(name).state_dict(), dtype="float32")
    own = load_network(name, tmp_path / "whole.safetensors", num_classes=3)
    save_weights(tmp_path / "own.safetensors", own.state_dict(), dtype="float32")
    again = Backbone(name, tmp_path / "own.safetensors", pool="avg1", **QUIET)
    assert np.array_equal(again.transform(paths[:2]), rows) and own.fresh


def test_maps_of_a_layer(paths):
    assert feature_maps("alexnet", "random", paths[0], "conv5", size=64).shape == (256, 3, 3)
    with pytest.raises(InputError, match="has no maps"):
        feature_maps("alexnet", "random", paths[0], "conv1+conv2", size=64)


def test_choices_are_said_once_and_recorded(paths, capfd):
    extract.announce.cache_clear()
    for _ in range(2):
        Backbone("alexnet", "random", **QUIET | {"progress": True}).transform(paths[:2])
    out, err = capfd.readouterr()
    assert out == "" and err.count("leuknb: float32 on cpu") == 1
    about = json.loads(next((cache_folder() / "features").glob("*/about.json")).read_text())
    assert about["precision"] == "float32" and about["layer"] == "stats" and about["size"] == 64


def test_layers_by_name():
    assert resolve_layers("vgg19", "stats")[0] == tuple(f"conv{i}" for i in range(1, 17))
    assert resolve_layers("alexnet", ["conv1", "conv1", "fc7"]) == (("conv1", "fc7"), "flat")
    assert resolve_layers("resnet18", "layer4.1.relu_1+penultimate")[0] == ("layer4.1.relu_1", "penultimate")


# Other people's networks and files

def saved(tmp_path, state, name="net.pth"):
    torch.save(state, tmp_path / name)
    return tmp_path / name


def test_googlenet_takes_its_input_as_torchvision_does(tmp_path, paths):
    with torch.random.fork_rng():
        net = models.googlenet(weights=None, init_weights=False, transform_input=True).eval()
    ours = Backbone("googlenet", saved(tmp_path, net.state_dict()), **QUIET)
    with torch.inference_mode():
        theirs = create_feature_extractor(net, ["avgpool"])(ours.prepare(paths[0]))["avgpool"].flatten(1).numpy()
    assert np.allclose(ours.transform(paths[:1]), theirs, rtol=1e-3, atol=1e-6 * np.abs(theirs).max())


def test_old_names_of_densenet(tmp_path):
    net = random_network("densenet121")
    old = {key.replace("norm1", "norm.1").replace("conv1", "conv.1").replace("norm2", "norm.2").replace("conv2", "conv.2")
           if "denselayer" in key else key: value for key, value in net.state_dict().items()}
    loaded = load_network("densenet121", saved(tmp_path, old))
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "mnasnet0_5"])
def test_networks_with_several_answers_or_versions_take_new_classes(tmp_path, name):
    path = saved(tmp_path, random_network(name).state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert list(load_network(name, path, num_classes=2).state_dict().values())[-1].shape == (2,)


@pytest.mark.parametrize("state, message", [
    ({"features.0.weight": torch.full((64, 3, 11, 11), torch.nan), "features.0.bias": torch.zeros(64)}, "features.0.weight holds numbers that are not finite"),
    ({"features.0.weight": torch.ones(64, 3, 11, 11).to(torch.int8), "features.0.bias": torch.zeros(64)}, "integers without a scale"),
    ({"features.0.weight": torch.ones(64, 3, 11, 11).to_sparse()}, "holds no state dict"),
    ({"features.0.weight": torch.ones(64, 3, 11, 11, dtype=torch.complex64)}, "holds no state dict"),
])
def test_weights_that_are_no_numbers(tmp_path, state, message):
    with pytest.raises(InputError, match=message):
        Backbone("alexnet", saved(tmp_path, state), layer="conv1", **QUIET).fit()


@pytest.mark.parametrize("header", [{"size": "abc"}, {"size": 5}, {"mean": 0.5}, {"mean": [0.5]}, {"std": [0, 0, 0]}, {"layer": 5}, {"pool": 3}, {"crop": "no"}])
def test_a_header_that_is_not_possible(tmp_path, header):
    save_weights(tmp_path / "odd.safetensors", random_network("alexnet", nodes=("features.1",)).state_dict(), header)
    with pytest.raises(InputError, match=f"header says {next(iter(header))}"):
        Backbone("alexnet", tmp_path / "odd.safetensors", layer="conv1", progress=False).fit()


def test_the_same_weights_give_the_same_bytes(tmp_path):
    state, about = random_network("alexnet", nodes=("features.1",)).state_dict(), {key: "é\n" for key in "abcdefgh"}
    for name in "one", "two":
        save_weights(tmp_path / f"{name}.SAFETENSORS", state, about)
    assert (tmp_path / "one.SAFETENSORS").read_bytes() == (tmp_path / "two.SAFETENSORS").read_bytes()
    assert WeightFile(tmp_path / "one.SAFETENSORS").metadata == about
    assert Backbone("alexnet", tmp_path / "one.SAFETENSORS", layer="conv1", **QUIET).fit().layer_sizes_


def test_statistics_and_a_flat_layer_together(paths):
    backbone = Backbone("alexnet", "random", layer="stats+fc7", cache=False, **QUIET)
    names = backbone.get_feature_names_out()
    assert backbone.transform(paths[:1]).shape == (1, 2304 + 4096) and len(names) == 6400
    assert names[2304] == "fc7_0" and names[-1] == "fc7_4095" and names[0] == "conv1_mean_0"


def test_a_node_that_gives_no_activations():
    with pytest.raises(InputError, match="gives no activations"):
        Backbone("shufflenet_v2_x0_5", "random", layer="stage2.0.size", **QUIET).fit()


def test_channels_that_come_last_are_not_averaged_wrongly():
    with pytest.raises(InputError, match="keeps its channels last"):
        Backbone("swin_t", "random", layer="norm", pool="avg1", **QUIET).fit()


def test_two_threads_at_once(paths):
    from concurrent.futures import ThreadPoolExecutor
    wanted = [Backbone("alexnet", "random", layer=layer, cache=False, seed=7, **QUIET) for layer in ("conv2", "conv3", "conv4", "conv5")]
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda one: one.transform(paths), wanted))
    assert all(np.array_equal(row, clone(one).transform(paths)) for row, one in zip(rows, wanted))


@pytest.mark.parametrize("text", ["[]", "5", "null", "{"])
def test_a_cache_folder_that_describes_nothing(text):
    (cache_folder() / "features" / "x").mkdir(parents=True)
    (cache_folder() / "features" / "x" / "about.json").write_text(text)
    assert cache_info()["images"].tolist() == [0]


@pytest.mark.parametrize("wrong, message", [(dict(batch_size=2.5), "batch_size 2.5: must be 1"), (dict(seed="a"), "seed 'a': must be 0"),
                                            (dict(weights=None), "weights 'None': no such file"), (dict(layer="conv1", pool=2), "pool 2: choose")])
def test_choices_of_another_kind(wrong, message):
    with pytest.raises(InputError, match=message):
        Backbone(**{"name": "alexnet", "weights": "random"} | QUIET | wrong).fit()
