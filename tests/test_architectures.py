"Networks of every family: features equal the library's own, training, files, and what is refused."
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from discs import QUIET, ten_images
from torch import nn
from torch.nn import functional as F
from torchvision import models

from leuknb.backbones import Backbone
from leuknb.finetune import FineTuned, load_finetuned
from leuknb.lib import architectures, extract
from leuknb.lib.architectures import last_linear, register_backbone
from leuknb.lib.config import Config
from leuknb.lib.errors import InputError
from leuknb.lib.names import safe_name
from leuknb.lib.timm_networks import timm_network
from leuknb.lib.weights import save_weights
from leuknb.networks import layer_table, random_network

LONG = pytest.mark.long
FAMILIES = [  # name, size
    ("alexnet", 64), ("resnet18", 64), ("timm:resnet18", 64), ("timm:vit_tiny_patch16_224", 64),
    pytest.param("mobilenet_v3_small", 64, marks=LONG), pytest.param("timm:convnext_atto", 64, marks=LONG),
    pytest.param("vgg11", 64, marks=LONG), pytest.param("densenet121", 64, marks=LONG), pytest.param("efficientnet_b0", 64, marks=LONG),
    pytest.param("convnext_tiny", 64, marks=LONG), pytest.param("vit_b_32", 224, marks=LONG), pytest.param("swin_t", 64, marks=LONG),
    pytest.param("timm:efficientnet_b0", 64, marks=LONG), pytest.param("timm:mobilenetv3_small_050", 64, marks=LONG),
    pytest.param("timm:swin_tiny_patch4_window7_224", 224, marks=LONG), pytest.param("timm:densenet121", 64, marks=LONG),
    pytest.param("timm:vgg11", 64, marks=LONG), pytest.param("timm:eva02_tiny_patch14_224", 224, marks=LONG)]


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(architectures, "REGISTERED", {})


@pytest.fixture
def paths(tmp_path):
    return ten_images(tmp_path)


class Mine(nn.Module):
    "A module whose classifier lies deep inside, and whose code needs contiguous images."

    def __init__(self):
        super().__init__()
        self.conv, self.parts = nn.Conv2d(3, 8, 3, stride=2), nn.ModuleDict({"classes": nn.Linear(8, 5)})

    def pooled(self, x):
        maps = self.conv(x).relu()
        return maps.view(len(x), 8, -1).mean(2)

    def forward(self, x):
        return self.parts["classes"](self.pooled(x))


class Unused(Mine):
    "A module whose forward pass leaves its linear layer out."

    def forward(self, x):
        return self.pooled(x)


class Clocked(Mine):
    "A module whose weights differ each time it is made, whatever the seed."
    made = 0

    def __init__(self):
        super().__init__()
        Clocked.made += 1
        nn.init.constant_(self.conv.weight, Clocked.made)


def librarys(name, path):
    "A complete network of the library, saved to a file, and a function that computes its penultimate activations."
    torch.manual_seed(2)
    net = (timm.create_model(name[5:], num_classes=4) if name.startswith("timm:") else models.get_model(name, num_classes=4)).eval()
    save_weights(path, net.state_dict(), dtype="float32")
    if name.startswith("timm:"):
        net.reset_classifier(0)
    else:
        net.set_submodule(last_linear(net), nn.Identity())
    return net


# Values

@pytest.mark.parametrize("name, size", FAMILIES)
def test_features_are_the_librarys_own(name, size, paths, tmp_path):
    net = librarys(name, tmp_path / "net.safetensors")
    layer = "fc7" if name in ("alexnet", "vgg11") else None
    backbone = Backbone(name, tmp_path / "net.safetensors", layer, **QUIET | {"size": size})
    with torch.inference_mode():
        expected = net(torch.cat([backbone.prepare(path) for path in paths[:2]])) if size == 224 or not name.startswith("timm:vit") else None
        if expected is None:  # timm's own network for another size
            small = timm.create_model(name[5:], num_classes=4, dynamic_img_size=True).eval()
            small.load_state_dict(timm_state(tmp_path / "net.safetensors"))
            small.reset_classifier(0)
            expected = small(torch.cat([backbone.prepare(path) for path in paths[:2]]))
    got = backbone.transform(paths[:2])
    np.testing.assert_allclose(got, expected.flatten(1), rtol=1e-3, atol=2e-5 * float(expected.abs().max()))


def timm_state(path):
    from safetensors.torch import load_file
    return load_file(path)


@pytest.mark.parametrize("name, size", FAMILIES)
def test_training_saving_and_loading(name, size, paths, tmp_path):
    settings = dict(epochs=1, batch_size=5, validation=None, precision="float32", device="cpu", progress=False, size=size)
    model = FineTuned(name, "random", head="torchvision", **settings).fit(paths, ["a", "b"] * 5)
    model.save(tmp_path / "net.safetensors")
    assert np.array_equal(load_finetuned(tmp_path / "net.safetensors").predict_proba(paths), model.predict_proba(paths))
    features = model.backbone(pool="flat").transform(paths[:2])
    assert features.shape[0] == 2 and np.isfinite(features).all() and features.std() > 0


@pytest.mark.parametrize("name", ["timm:resnet18", "timm:vit_tiny_patch16_224"])
def test_stages_of_timm(name, paths):
    stages = Backbone(name, "random", layer="stats", **QUIET).fit()
    net = random_network(name).eval()
    with torch.inference_mode():
        maps = net.forward_intermediates(stages.prepare(paths[0]), intermediates_only=True)
    expected = torch.cat([part for x in maps for part in (x.mean((2, 3)), x.std((2, 3), correction=0))], 1)
    np.testing.assert_allclose(stages.transform(paths[:1]), expected, rtol=1e-3, atol=1e-4)
    assert stages.layer_ == "stats" and stages.get_feature_names_out()[0] == "stage1_mean_0"
    both = Backbone(name, "random", layer="stage2+penultimate", pool="avg1", **QUIET).transform(paths[:1])
    alone = Backbone(name, "random", **QUIET).transform(paths[:1])
    np.testing.assert_allclose(both[:, -alone.shape[1]:], alone, rtol=1e-4, atol=1e-5)


def test_preprocessing_is_timms_own():
    from timm.data import create_transform, resolve_model_data_config
    from PIL import Image
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
    for name in ("convnext_atto", "vit_tiny_patch16_224", "tf_efficientnet_b0"):
        net = timm.create_model(name)
        expected = create_transform(**resolve_model_data_config(net))(image)
        got = Backbone(f"timm:{name}", "random", progress=False, device="cpu").fit().preprocessing_(image)[0]
        np.testing.assert_allclose(got, expected, atol=1e-5)


# A module of one's own

def test_a_module_of_ones_own(paths, tmp_path):
    register_backbone("mine", Mine, {"size": 48})
    backbone = Backbone("mine", "own", seed=3, progress=False, device="cpu").fit()
    torch.manual_seed(3)
    net = Mine()
    expected = net.pooled(torch.cat([backbone.prepare(path) for path in paths])).detach()
    np.testing.assert_allclose(backbone.transform(paths), expected, rtol=1e-4, atol=1e-6)
    assert backbone.size_ == 48 and backbone.layer_ == "penultimate" and len(layer_table("mine")) == 2
    register_backbone("shown", net, {"size": 48}, features=lambda net, x: net.pooled(x) ** 2)  # a module as it is
    squares = Backbone("shown", "own", progress=False, device="cpu")
    np.testing.assert_allclose(squares.transform(paths), expected ** 2, rtol=1e-4, atol=1e-6)
    register_backbone("shown", net, {"size": 48}, features=lambda net, x: net.pooled(x) ** 3)  # other code, same weights
    np.testing.assert_allclose(Backbone("shown", "own", progress=False, device="cpu").transform(paths), expected ** 3, rtol=1e-4, atol=1e-6)
    model = FineTuned("mine", "own", epochs=1, batch_size=5, validation=None, device="cpu", progress=False).fit(paths, ["a", "b"] * 5)
    model.save(tmp_path / "mine.safetensors")
    assert np.array_equal(load_finetuned(tmp_path / "mine.safetensors").predict_proba(paths), model.predict_proba(paths))
    assert model.backbone().transform(paths).shape == (10, 8)
    architectures.REGISTERED.clear()
    with pytest.raises(InputError, match="mine.safetensors: backbone 'mine' is not a classifier"):
        load_finetuned(tmp_path / "mine.safetensors")


def test_an_installed_package_offers_a_network(tmp_path, monkeypatch, paths):
    (tmp_path / "offers.py").write_text("from torch import nn\nmake = lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), "
                                        "nn.Flatten(), nn.Linear(4, 2))\nnet = dict(make=make, transforms={'size': 40})\n")
    info = tmp_path / "offers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[leuknb.backbones]\noffered-net = offers:net\nlost-net = offers:nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert Backbone("offered-net", "own", progress=False).transform(paths).shape == (10, 4)
    with pytest.raises(InputError, match="'lost-net': offers:nothing cannot be loaded .AttributeError"):
        Backbone("lost-net", "own").fit()
    with pytest.raises(InputError, match="others are timm:NAME, dinobloom-s, lost-net, offered-net"):
        Backbone("nobody", "own").fit()


@pytest.mark.parametrize("make, features, match", [
    (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(62, 2)), None, r"mine: gives \(2, 4, 62, 62\) for two images, not features"),
    (Mine, lambda net, x: net.conv(x), r"mine: gives \(2, 8, 31, 31\) for two images"),
    (Mine, lambda net, x: F.dropout(net.pooled(x)), "mine: its features change from call to call"),
    (lambda: nn.Conv2d(3, 4, 3), None, "mine: its forward pass uses no linear layer; register it with a function"),
    (Unused, None, "mine: its forward pass uses no linear layer"),
    (Mine, lambda net, x: net.pooled(x) - net.pooled(x).mean(0), "mine: the features of an image depend on the other images"),
    (Mine, lambda net, x: net.pooled(x).to("meta"), r"mine: gives \(2, 8\) of torch.float32 on meta; return floating-point"),
    (Mine, lambda net, x: net.pooled(x) > 0, r"mine: gives \(2, 8\) of torch.bool on cpu"),
    (Mine, lambda net, x: net.pooled(x)[:, :0], r"mine: gives \(2, 0\) .* at least one an image"),
    (Mine, lambda net, x: net.pooled(x) * float("nan"), "mine: gives values that are infinite or no numbers"),
    (Mine, lambda net, x: net.absent(x), "mine: cannot compute with images of 64 x 64 pixels .AttributeError"),
    (lambda: 1 / 0, None, "mine: cannot be made .ZeroDivisionError: division by zero"),
    (lambda: 3, None, "`make` returns int, not a torch.nn.Module")])
def test_networks_that_cannot_be_used(make, features, match):
    register_backbone("mine", make, {"size": 64}, features)
    with pytest.raises(InputError, match=match):
        Backbone("mine", "own", progress=False).fit()


class Drifts(Mine):
    "The same features at first, others once it was called some times."
    calls = 0

    def forward(self, x):
        self.calls += 1
        return self.parts["classes"](self.pooled(x) + max(0, self.calls - 5) / 100)


def test_a_network_that_changes_while_it_computes(paths):
    register_backbone("drifts", Drifts, {"size": 64})
    backbone = Backbone("drifts", "own", batch_size=2, progress=False, device="cpu").fit()
    for _ in range(2):  # no row was kept
        with pytest.raises(InputError, match="drifts: its features change from call to call.*kept for later calls"):
            backbone.transform(paths)
    register_backbone("mine", Mine, {"size": 64}, lambda net, x: net.pooled(x) / (len(x) < 3))
    with pytest.raises(InputError, match="mine: gives values that are infinite or no numbers for .*png"):
        Backbone("mine", "own", batch_size=3, progress=False, device="cpu").transform(paths)


def test_a_network_that_is_another_one_each_time(paths, tmp_path):
    register_backbone("clocked", Clocked, {"size": 64})
    backbone = Backbone("clocked", "own", cache=False, **QUIET).fit()
    assert backbone.transform(paths).shape == (10, 8)  # the network that was made first
    extract._load.cache_clear()  # as in another process
    with pytest.raises(InputError, match="clocked: has other weights whenever it is made"):
        backbone.transform(paths)
    with pytest.raises(InputError, match="clocked: has other weights"):  # as a task, which lists the images that are bad
        extract.features_of(backbone.plan_, [])
    save_weights(tmp_path / "net.safetensors", Mine().state_dict())
    other = Backbone("clocked", tmp_path / "net.safetensors", **QUIET).fit()
    plan = replace(other.plan_, weights_digest="another")
    with pytest.raises(InputError, match="net.safetensors: has changed since it was first read"):
        extract.open_network(plan)


def test_a_network_that_goes_on_behind_its_classifier(paths):
    class Softened(Mine):
        def forward(self, x):
            return super().forward(x).softmax(1)
    register_backbone("softened", Softened, {"size": 64})
    with pytest.raises(InputError, match="computes more after its last linear layer, parts.classes; choose all"):
        FineTuned("softened", "own", progress=False).fit(paths, ["a", "b"] * 5)


def test_weights_of_ones_own_network(tmp_path):
    register_backbone("mine", Mine)
    for weights in ("imagenet", "random"):
        with pytest.raises(InputError, match=f"weights {weights!r} of mine: choose own"):
            Backbone("mine", weights).fit()
    save_weights(tmp_path / "other.safetensors", nn.Conv2d(3, 8, 3).state_dict())
    with pytest.raises(InputError, match="other.safetensors: has no weights 'conv.weight', which mine needs"):
        Backbone("mine", tmp_path / "other.safetensors").fit()


# timm

def test_names_are_safe_and_the_same_network(paths):
    config = Config(backbones=("timm:resnet18", "timm:hf-hub:a/b"), weights={"timm:resnet18": "random"})
    assert config.backbones == ("timm.resnet18", "timm.hf-hub.a@b") and config.weights_of("timm:resnet18") == "random"
    assert not set(":/\\*?\"<>|") & set("".join(config.backbones))
    one, two = (Backbone(name, "random", **QUIET) for name in ("timm:resnet18", safe_name("timm:resnet18")))
    assert np.array_equal(one.transform(paths[:2]), two.transform(paths[:2]))


@pytest.mark.parametrize("name, match", [
    ("timm:resnet81", "near names: resnet"), ("timm:resnet18.a9_in1k", "near names: resnet18.a"), ("timm:", "no such network"),
    ("resnet81", "not a classifier of torchvision.*others are timm:NAME")])
def test_unknown_names(name, match):
    with pytest.raises(InputError, match=match):
        Backbone(name, "random").fit()


def test_another_networks_checkpoint_is_named(tmp_path):
    save_weights(tmp_path / "net.safetensors", timm.create_model("resnet34", num_classes=3).state_dict())
    with pytest.raises(InputError, match=r"net.safetensors: bn1.weight has the shape \(64,\), but timm:efficientnet_b0 needs \(32,\)"):
        Backbone("timm:efficientnet_b0", tmp_path / "net.safetensors").fit()
    save_weights(tmp_path / "net.safetensors", timm.create_model("vit_small_patch16_224", num_classes=3).state_dict())
    with pytest.raises(InputError, match=r"net.safetensors: cls_token has the shape \(1, 1, 384\), but timm:vit_tiny.* needs \(1, 1, 192\)"):
        Backbone("timm:vit_tiny_patch16_224", tmp_path / "net.safetensors").fit()


def test_weights_without_a_network_connection(tmp_path):
    code = ("from leuknb.backbones import Backbone\nfrom leuknb.lib.errors import InputError\n"
            "for name, weights in (('timm:resnet18', 'imagenet'), ('timm:hf-hub:owner/model', 'published')):\n"
            "    try:\n        Backbone(name, weights, progress=False).fit()\n"
            "    except InputError as error:\n        print(error)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**__import__("os").environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)})
    one, two = done.stdout.splitlines()
    assert one.startswith("timm:resnet18: model.safetensors is neither in Hugging Face's cache") and "hf download timm/resnet18.a1_in1k" in one, done.stderr
    assert two.startswith("timm:hf-hub:owner/model: config.json is neither") and "hf download owner/model" in two


def test_weights_in_the_hubs_cache(tmp_path, monkeypatch, paths):
    import json
    from huggingface_hub import constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    place = tmp_path / "models--owner--blood" / "snapshots" / "abc"
    place.mkdir(parents=True)
    (tmp_path / "models--owner--blood" / "refs").mkdir()
    (tmp_path / "models--owner--blood" / "refs" / "main").write_text("abc")
    torch.manual_seed(4)
    net = timm.create_model("convnext_atto", num_classes=7).eval()
    save_weights(place / "model.safetensors", net.state_dict(), dtype="float32")
    facts = {"architecture": "convnext_atto", "num_classes": 7, "pretrained_cfg": {**net.pretrained_cfg, "num_classes": 7, "input_size": [3, 96, 96], "tag": None}}
    (place / "config.json").write_text(json.dumps(facts))
    timm_network.cache_clear()
    backbone = Backbone("timm:hf-hub:owner/blood", "published", progress=False, device="cpu").fit()
    net.reset_classifier(0)
    with torch.inference_mode():
        expected = net(backbone.prepare(paths[0]))
    np.testing.assert_allclose(backbone.transform(paths[:1]), expected, rtol=1e-3, atol=1e-5)
    assert backbone.size_ == 96
    with pytest.raises(InputError, match="nothing says that it was trained on ImageNet"):
        Backbone("timm:hf-hub:owner/blood", "imagenet").fit()


# DinoBloom

def dinov2(state, x, heads):
    "DINOv2's class token behind the last norm, written out with the names of the published checkpoints."
    get = lambda name: state[f"backbone.{name}"]
    norm = lambda x, name: F.layer_norm(x, x.shape[-1:], get(f"{name}.weight"), get(f"{name}.bias"), 1e-6)
    linear = lambda x, name: F.linear(x, get(f"{name}.weight"), get(f"{name}.bias"))
    x = F.conv2d(x, get("patch_embed.proj.weight"), get("patch_embed.proj.bias"), stride=14).flatten(2).transpose(1, 2)
    x = torch.cat([get("cls_token").expand(len(x), -1, -1), x], 1) + get("pos_embed")
    for k in range(sum(name.endswith("norm1.weight") for name in state)):
        block = f"blocks.{k}"
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        attention = (qkv[0] * qkv[0].shape[-1] ** -0.5 @ qkv[1].transpose(-2, -1)).softmax(-1) @ qkv[2]
        x = x + get(f"{block}.ls1.gamma") * linear(attention.transpose(1, 2).flatten(2), f"{block}.attn.proj")
        y = norm(x, f"{block}.norm2")
        if f"backbone.{block}.mlp.w12.weight" in state:
            gate, value = linear(y, f"{block}.mlp.w12").chunk(2, -1)
            y = linear(F.silu(gate) * value, f"{block}.mlp.w3")
        else:
            y = linear(F.gelu(linear(y, f"{block}.mlp.fc1")), f"{block}.mlp.fc2")
        x = x + get(f"{block}.ls2.gamma") * y
    return norm(x, "norm")[:, 0]


def published(name, side=16):
    "A checkpoint of the shapes and names of a published one, with random values."
    timms, width = timm_network(name).build(0).state_dict(), timm_network(name).build(0).num_features
    own = lambda key: key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3") if name == "dinobloom-g" else key
    state = {f"backbone.{own(key)}": torch.randn(value.shape) * 0.05 for key, value in timms.items()}
    state |= {"backbone.pos_embed": torch.randn(1, 1 + side ** 2, width) * 0.05, "backbone.mask_token": torch.zeros(1, width),
              "dino_head.mlp.0.weight": torch.zeros(8, width), "ibot_head.last_layer.weight_v": torch.zeros(8, 8)}
    return {key: value + key.endswith(("norm1.weight", "norm2.weight", "norm.weight")) for key, value in state.items()}


@pytest.mark.parametrize("name, heads", [("dinobloom-s", 6), pytest.param("dinobloom-b", 12, marks=LONG)])
def test_dinobloom_is_dinov2(name, heads, paths, tmp_path):
    torch.manual_seed(6)
    state = published(name)
    torch.save({"teacher": state}, tmp_path / "DinoBloom.pth")
    backbone = Backbone(name, tmp_path / "DinoBloom.pth", progress=False, device="cpu").fit()
    with torch.inference_mode():
        expected = dinov2(state, backbone.prepare(paths[0]), heads)
    np.testing.assert_allclose(backbone.transform(paths[:1]), expected, rtol=2e-3, atol=2e-4)
    assert backbone.preprocessing_.size == 224 and not backbone.preprocessing_.crop
    file = {"pos_embed": published(name, side=37)["backbone.pos_embed"]}  # DINOv2's own checkpoints, of 518 pixels
    torch.save({"teacher": state | {"backbone.pos_embed": file["pos_embed"]}}, tmp_path / "large.pth")
    assert np.isfinite(Backbone(name, tmp_path / "large.pth", progress=False, device="cpu").transform(paths[:1])).all()


@pytest.mark.parametrize("name", ["dinobloom-l", "dinobloom-g"])
def test_larger_dinoblooms_have_dinov2s_names_and_shapes(name):
    from leuknb.lib.timm_networks import DinoFile
    with torch.device("meta"):
        state, needed = published(name), timm_network(name).build(0).state_dict()
    file = DinoFile(type("File", (), {"shapes": {key: tuple(value.shape) for key, value in state.items()}, "path": "x", "metadata": {}}))
    assert file.shapes == {key: tuple(value.shape) for key, value in needed.items()}


def test_dinobloom_without_its_file(tmp_path):
    with pytest.raises(InputError, match="download https://zenodo.org/records/10908163/files/DinoBloom-B.pth"):
        Backbone("dinobloom-b", "imagenet").fit()
    torch.save({"teacher": published("dinobloom-s")}, tmp_path / "DinoBloom-S.pth")
    with pytest.raises(InputError, match=r"DinoBloom-S.pth: cls_token has the shape \(1, 1, 384\), but dinobloom-b needs \(1, 1, 768\)"):
        Backbone("dinobloom-b", tmp_path / "DinoBloom-S.pth").fit()
