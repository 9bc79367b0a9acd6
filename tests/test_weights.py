"Weight files: from everywhere, small, damaged, and never run."
import subprocess

import numpy as np
import pytest
import torch
from discs import QUIET, ten_images
from safetensors.torch import save_file
from sklearn.base import clone

from leuknb.backbones import Backbone
from leuknb.lib.errors import InputError
from leuknb.lib.weights import WeightFile, save_weights
from leuknb.networks import load_network, random_network


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def paths(tmp_path):
    return ten_images(tmp_path)


@pytest.fixture
def state():
    return random_network("alexnet", 4).state_dict()


def saved(tmp_path, state, name="net.pth"):
    torch.save(state, tmp_path / name)
    return tmp_path / name


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


def test_a_header_states_how_images_were_prepared(tmp_path, state):
    conv = {key: value for key, value in state.items() if key.startswith("features")}
    about = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "size": 96, "layer": "conv3+conv5", "pool": "avg2"}
    save_weights(tmp_path / "own.safetensors", conv, about)
    backbone = Backbone("alexnet", tmp_path / "own.safetensors", progress=False).fit()
    prepared = backbone.preprocessing_
    assert (prepared.mean, prepared.std, prepared.size) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2), 96)
    assert (backbone.layer_, backbone.pool_) == ("conv3+conv5", "avg2")
    assert clone(backbone).set_params(size=64, layer="conv1").fit().pool_ == "flat"


@pytest.mark.parametrize("header", [{"size": "abc"}, {"size": 5}, {"mean": 0.5}, {"mean": [0.5]}, {"std": [0, 0, 0]}, {"layer": 5},
                                    {"pool": 3}, {"crop": "no"}, {"size": float("nan")}, {"size": True}])
def test_a_header_that_is_not_possible(tmp_path, header):
    save_weights(tmp_path / "odd.safetensors", random_network("alexnet", nodes=("features.1",)).state_dict(), header)
    with pytest.raises(InputError, match=f"header has {next(iter(header))} .*not possible"):
        Backbone("alexnet", tmp_path / "odd.safetensors", layer="conv1", progress=False).fit()


def test_the_same_weights_give_the_same_bytes(tmp_path):
    state, about = random_network("alexnet", nodes=("features.1",)).state_dict(), {key: "é\n" for key in "abcdefgh"}
    for name in "one", "two":
        save_weights(tmp_path / f"{name}.SAFETENSORS", state, about)
    assert (tmp_path / "one.SAFETENSORS").read_bytes() == (tmp_path / "two.SAFETENSORS").read_bytes()
    assert WeightFile(tmp_path / "one.SAFETENSORS").metadata == about
    assert Backbone("alexnet", tmp_path / "one.SAFETENSORS", layer="conv1", **QUIET).fit().layer_sizes_


def test_old_names_of_densenet(tmp_path):
    net = random_network("densenet121")
    old = {key.replace("norm1", "norm.1").replace("conv1", "conv.1").replace("norm2", "norm.2").replace("conv2", "conv.2")
           if "denselayer" in key else key: value for key, value in net.state_dict().items()}
    loaded = load_network("densenet121", saved(tmp_path, old))
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in net.state_dict().items())


# Mistakes

def make_pickle(path):
    torch.save({"features.0.weight": subprocess.Popen}, path)


BAD_WEIGHTS = {
    "run.pth": (make_pickle, "could run code"),
    "text.pth": (lambda path: path.write_text("weights"), "damaged, or not a weight file"),
    "empty.pth": (lambda path: path.write_bytes(b""), "damaged, or not a weight file"),
    "module.pth": (lambda path: torch.save(torch.nn.Linear(1, 1), path), "could run code"),
    "list.pth": (lambda path: torch.save([1, 2], path), "contains no state dict"),
    "text.safetensors": (lambda path: path.write_text("weights"), "damaged, or not a safetensors file"),
    "empty.safetensors": (lambda path: path.write_bytes(b""), "damaged, or not a safetensors file"),
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


@pytest.mark.parametrize("state, message", [
    ({"features.0.weight": torch.full((64, 3, 11, 11), torch.nan), "features.0.bias": torch.zeros(64)}, "features.0.weight is not finite"),
    ({"features.0.weight": torch.ones(64, 3, 11, 11).to(torch.int8), "features.0.bias": torch.zeros(64)}, "integers without a scale"),
    ({"features.0.weight": torch.ones(64, 3, 11, 11).to_sparse()}, "contains no state dict"),
    ({"features.0.weight": torch.ones(64, 3, 11, 11, dtype=torch.complex64)}, "contains no state dict"),
])
def test_weights_that_cannot_be_computed_with(tmp_path, state, message):
    with pytest.raises(InputError, match=message):
        Backbone("alexnet", saved(tmp_path, state), layer="conv1", **QUIET).fit()
