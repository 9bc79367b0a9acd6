"Networks: layers, weights and statistics against torchvision and double precision."
import urllib.error
import warnings

import pytest
import torch
from discs import QUIET, ten_images
from safetensors.torch import save_file
from torchvision import models

from leuknb import networks
from leuknb.backbones import Backbone
from leuknb.lib.errors import InputError
from leuknb.lib.weights import save_weights
from leuknb.networks import channel_stats, layer_names, layer_table, load_network, random_network, resolve_layers, skeleton


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def paths(tmp_path):
    return ten_images(tmp_path)


@pytest.fixture
def state():
    return random_network("alexnet", 4).state_dict()


# Layers

def test_layer_table_counts_every_parameter():
    for name in ("alexnet", "vgg19", "resnet18"):
        total = sum(p.numel() for n, p in models.get_model(name).named_parameters() if "bn" not in n and "downsample.1" not in n)
        assert layer_table(name)["parameters"].sum() == total


def test_layers_by_name():
    assert resolve_layers("vgg19", "stats")[0] == tuple(f"conv{i}" for i in range(1, 17))
    assert resolve_layers("alexnet", ["conv1", "conv1", "fc7"]) == (("conv1", "fc7"), "flat")
    assert resolve_layers("resnet18", "layer4.1.relu_1+penultimate")[0] == ("layer4.1.relu_1", "penultimate")


@pytest.mark.parametrize("name, size", [("inception_v3", 75), ("googlenet", 32), ("resnet18", 32), ("alexnet", 64)])
def test_least_sizes_to_train_on(name, size):
    networks.check_training_size(name, size)
    assert not any("aux" in key.lower() for key in skeleton(name).state_dict())
    if name in ("inception_v3", "alexnet"):
        with pytest.raises(InputError, match=f"{name} cannot be trained on images of {size - 2} x {size - 2} pixels; choose a size such as"):
            networks.check_training_size(name, size - 2)


def test_a_bare_network_has_the_weights_of_the_whole():
    whole, bare = load_network("alexnet", "random", seed=3), load_network("alexnet", "random", seed=3, bare=True)
    assert set(bare.state_dict()) == {key for key in whole.state_dict() if key.startswith("features")}
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in bare.state_dict().items())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_the_skeleton_has_the_steps_of_the_network(name):
    assert {"cat", "mul"} <= set(layer_names(name)) and skeleton(name).transform_input


# Statistics

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_statistics_match_double_precision(dtype):
    x = (torch.randn(2, 5, 90, 90) * 0.1 + torch.tensor([0, 1, 10, 100, 1000.0]).view(5, 1, 1)).to(dtype)
    for correction in (0, 1):
        exact = torch.cat([x.double().mean((2, 3)), x.double().std((2, 3), correction=correction)], 1)
        torch.testing.assert_close(channel_stats(x, correction).double(), exact, rtol=2e-4, atol=1e-6)


def test_statistics_have_a_gradient_where_nothing_varies():
    for options in (dict(), dict(two_pass=False), dict(two_pass=False, smallest=1e-12), dict(two_pass=False, offset=1e-6)):
        x = torch.zeros(1, 2, 4, 4, requires_grad=True)
        channel_stats(x, **options).sum().backward()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options, formula", [
    (dict(smallest=1e-12), lambda x: x.float().var((2, 3), correction=0).clamp_min(1e-12).sqrt()),  # of fine-tuning
    (dict(correction=1, offset=1e-6), lambda x: (x.float().var((2, 3)) + 1e-6).sqrt()),  # of pretraining
])
def test_statistics_of_the_training_loops_are_bit_equal_to_torchs_formulas(dtype, options, formula):
    start = torch.randn(3, 4, 19, 19).relu().to(dtype)
    start[0, 0] = 0
    one, two = (start.clone().requires_grad_() for _ in range(2))
    ours, expected = channel_stats(one, two_pass=False, **options), torch.cat([two.float().mean((2, 3)), formula(two)], 1)
    for value in (ours, expected):
        (value * torch.arange(8)).sum().backward()
    assert torch.equal(ours, expected) and torch.equal(one.grad, two.grad)


# Weights

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


def test_weights_do_not_depend_on_the_layers_that_are_taken():
    short, long = (random_network("vgg11", nodes=(node,)).state_dict() for node in ("features.1", "classifier.1"))
    assert all(torch.equal(short[key], long[key]) for key in short) and len(short) < len(long)


def test_a_complete_file_means_fc7(tmp_path, state):
    save_file(state, tmp_path / "whole.safetensors")
    assert Backbone("alexnet", tmp_path / "whole.safetensors", **QUIET).fit().layer_ == "fc7"


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


def test_a_fine_tuned_file_with_other_classes(tmp_path):
    own = load_network("alexnet", "random", num_classes=4, seed=2)
    save_weights(tmp_path / "tuned.safetensors", own.state_dict())
    assert Backbone("alexnet", tmp_path / "tuned.safetensors", **QUIET).fit().layer_ == "fc7"
    again = load_network("alexnet", tmp_path / "tuned.safetensors", num_classes=4)
    assert again.fresh == () and torch.allclose(again.classifier[6].weight, own.classifier[6].weight, atol=1e-4)
    other = load_network("alexnet", tmp_path / "tuned.safetensors", num_classes=7)
    assert other.fresh == ("classifier.6.weight", "classifier.6.bias") and other.classifier[6].out_features == 7


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
def test_without_a_connection_the_message_helps(monkeypatch, tmp_path, error):
    def fail(*args, **kwargs):
        raise error
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(InputError) as caught:
        Backbone("alexnet", **QUIET).fit()
    for part in ("could not be downloaded", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                 str(tmp_path / "torch" / "hub" / "checkpoints"), "choose other `weights`: random"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "mnasnet0_5"])
def test_networks_with_several_ends_or_versions_take_new_classes(tmp_path, name):
    torch.save(random_network(name).state_dict(), tmp_path / "net.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert list(load_network(name, tmp_path / "net.pth", num_classes=2).state_dict().values())[-1].shape == (2,)
