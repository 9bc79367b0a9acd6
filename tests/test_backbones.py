"Backbones: values against torchvision, a scikit-learn transformer, and choices that are refused."
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from discs import QUIET, ten_images
from PIL import Image
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from leuknb.backbones import Backbone, feature_maps
from leuknb.knn import KNNHead
from leuknb.lib.errors import InputError
from leuknb.lib.weights import save_weights
from leuknb.networks import load_network, random_network


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def paths(tmp_path):
    return ten_images(tmp_path)


# Values

@pytest.mark.parametrize("name, layer, node", [("alexnet", "fc7", "classifier.5"), ("alexnet", "pool5", "features.12"),
                                               ("alexnet", "conv2", "features.4"), ("resnet18", None, "flatten")])
def test_layers_are_torchvisions(paths, name, layer, node):
    backbone = Backbone(name, "random", layer=layer, seed=5, **QUIET).fit()
    torch.manual_seed(5)
    torchvisions = create_feature_extractor(models.get_model(name).eval(), [node])
    with torch.inference_mode():
        expected = torchvisions(torch.cat([backbone.prepare(path) for path in paths[:3]]))[node].flatten(1)
    np.testing.assert_allclose(backbone.transform(paths[:3]), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_googlenet_takes_its_input_as_torchvision_does(tmp_path, paths):
    with torch.random.fork_rng():
        net = models.googlenet(weights=None, init_weights=False, transform_input=True).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    ours = Backbone("googlenet", tmp_path / "net.pth", **QUIET)
    with torch.inference_mode():
        expected = create_feature_extractor(net, ["avgpool"])(ours.prepare(paths[0]))["avgpool"].flatten(1).numpy()
    assert np.allclose(ours.transform(paths[:1]), expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max())


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


def test_a_complete_file_gives_the_features_of_its_network(tmp_path, paths):
    save_file(random_network("alexnet", 4).state_dict(), tmp_path / "whole.safetensors")
    backbone = Backbone("alexnet", tmp_path / "whole.safetensors", **QUIET)
    expected = Backbone("alexnet", "random", layer="fc7", seed=4, **QUIET).transform(paths)
    assert np.array_equal(backbone.transform(paths), expected) and backbone.layer_ == "fc7"


def test_module_is_transform_and_differentiable(paths):
    backbone = Backbone("alexnet", "random", layer="conv2+fc6", pool="avg3", batch_size=1, **QUIET)
    x = backbone.prepare(paths[0]).requires_grad_()
    out = backbone.module()(x)
    features = backbone.transform(paths[:1])  # by one thread; the module takes all, which may round otherwise
    assert np.allclose(out.detach().numpy(), features, rtol=1e-5, atol=1e-6 * features.max())
    out.sum().backward()
    assert x.grad.abs().sum() > 0 and out.shape[1] == 192 * 9 + 4096 == len(backbone.get_feature_names_out())


def test_statistics_and_a_flat_layer_together(paths):
    backbone = Backbone("alexnet", "random", layer="stats+fc7", cache=False, **QUIET)
    names = backbone.get_feature_names_out()
    assert backbone.transform(paths[:1]).shape == (1, 2304 + 4096) and len(names) == 6400
    assert names[2304] == "fc7_0" and names[-1] == "fc7_4095" and names[0] == "conv1_mean_0"


def test_maps_of_a_layer(paths):
    assert feature_maps("alexnet", "random", paths[0], "conv5", size=64).shape == (256, 3, 3)
    with pytest.raises(InputError, match="has no maps"):
        feature_maps("alexnet", "random", paths[0], "conv1+conv2", size=64)


# scikit-learn

def test_it_is_an_estimator(paths):
    backbone = Backbone("alexnet", "random", layer="conv1", pool="stats", **QUIET)
    assert clone(backbone).get_params() == backbone.get_params()
    first = backbone.fit(paths).transform(paths)
    assert np.array_equal(pickle.loads(pickle.dumps(backbone)).transform(paths), first)
    assert len(pickle.dumps(backbone)) < 3000
    named = clone(backbone).set_output(transform="pandas").fit_transform(paths)
    assert list(named.columns[[0, 64]]) == ["conv1_mean_0", "conv1_std_0"]
    model = make_pipeline(backbone, StandardScaler(), SVC())
    predicted = cross_val_predict(model, [str(path) for path in paths], [0, 1] * 5, cv=2)
    assert predicted.shape == (10,)


def test_it_has_no_fitted_attributes_before_it_is_fitted():
    backbone = Backbone("alexnet", "random", **QUIET)
    assert not hasattr(backbone, "layer_")
    assert backbone.fit().layer_ == "stats" and backbone.size_ == 64 and backbone.layers_ == tuple(f"conv{i}" for i in range(1, 6))


def test_paths_in_any_container(paths):
    backbone = Backbone("alexnet", "random", **QUIET)
    expected = backbone.transform(paths)
    text = [str(path) for path in paths]
    for X in (text, np.array(text), np.array(text)[:, None], pd.Series(text, index=range(5, 15)),
              pd.DataFrame({"image": text, "path": text}), tuple(paths)):
        assert np.array_equal(backbone.transform(X), expected)


@pytest.mark.parametrize("X, kind", [
    ([np.zeros((64, 64, 3), np.uint8)], "ndarray"), ([Image.new("RGB", (64, 64))], "Image"), (np.zeros((2, 64, 64, 3), np.uint8), "ndarray"),
    (Image.new("RGB", (64, 64)), "Image"), ([b"smear.png"], "bytes"), ([np.nan], "float"), (np.array([1.0, 2.0]), "float64")])
def test_pixels_instead_of_paths_are_refused_by_name(X, kind):
    with pytest.raises(InputError, match=f"is given as {kind}, not as a path: save it to a file first"):
        Backbone("alexnet", "random", **QUIET).transform(X)


@pytest.mark.parametrize("weights", ["random", "synth"])
def test_skops_keeps_a_pipeline(paths, weights):
    model = make_pipeline(Backbone("alexnet", weights, **QUIET), KNNHead(cv=2)).fit(paths, ["a", "b"] * 5)
    file = skops.io.dumps(model)
    names = skops.io.get_untrusted_types(data=file)
    assert all(name.startswith("leuknb.") for name in names)
    assert np.array_equal(skops.io.loads(file, trusted=names).predict_proba(paths), model.predict_proba(paths))


def test_changed_settings_are_resolved_anew(paths):
    backbone = Backbone("alexnet", "random", **QUIET).fit()
    digest = backbone.weights_digest_
    assert backbone.set_params(seed=1).fit().weights_digest_ != digest
    assert backbone.set_params(layer="conv2").transform(paths[:2]).shape[1] > 1000 and backbone.pool_ == "flat"


def test_changed_file_is_noticed(tmp_path):
    path, state = tmp_path / "weights.safetensors", random_network("alexnet", 4).state_dict()
    save_weights(path, state, dtype="float32")
    backbone = Backbone("alexnet", path, layer="conv1", **QUIET).fit()
    digest = backbone.weights_digest_
    state["features.0.weight"] += 1
    save_weights(path, state, dtype="float32")
    os.utime(path, (1, 1))
    assert backbone.fit().weights_digest_ != digest


# Mistakes

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
    (dict(layer="conv1", pool=2), "pool 2: choose"),
    (dict(size=5), "size=5: give a whole number of at least 32 and at most 2,048"),
    (dict(size=0), "size=0: give a whole number of at least 32 and at most 2,048"),
    (dict(batch_size=0), "batch_size=0: give a whole number of at least 1, or None"),
    (dict(batch_size=2.5), "batch_size=2.5: give a whole number of at least 1"),
    (dict(seed="a"), "seed='a': give a whole number of at least 0"),
    (dict(weights=None), "weights 'None': no such file"),
    (dict(size=40, layer="pool5"), "alexnet cannot take images of 40 x 40 pixels"),
    (dict(name="vit_b_16", size=100), "vit_b_16 cannot take images of 100 x 100"),
    (dict(preprocess="denoise+sharpen"), "preprocess 'sharpen': choose from denoise, contrast"),
    (dict(precision="half"), "choose from auto, float32, bfloat16"),
    (dict(device="xpu9"), "not available here"),
    (dict(device="cpu:x"), "device 'cpu:x' is not available here"),
])
def test_impossible_choices(wrong, message):
    with pytest.raises(InputError, match=message):
        Backbone(**{"name": "alexnet", "weights": "random"} | QUIET | wrong).fit()


def test_a_node_that_gives_no_activations():
    with pytest.raises(InputError, match="gives no activations"):
        Backbone("shufflenet_v2_x0_5", "random", layer="stage2.0.size", **QUIET).fit()


def test_channels_that_come_last_are_not_averaged_wrongly():
    with pytest.raises(InputError, match="keeps its channels last"):
        Backbone("swin_t", "random", layer="norm", pool="avg1", **QUIET).fit()
