"Devices and precision: what is taken, and what is refused."
import pytest
import torch
from discs import QUIET

from torchvision import models

from leuknb.backbones import Backbone
from leuknb.lib import devices
from leuknb.lib.errors import InputError


@pytest.mark.parametrize("layer, pool, precision", [("fc7", None, "float32"), ("conv1+fc6", None, "float32"), ("pool5", "avg1", "bfloat16"),
                                                    ("stats", None, "bfloat16")])
def test_single_activations_of_untrained_networks_are_not_rounded(tmp_path, monkeypatch, layer, pool, precision):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path))
    monkeypatch.setattr(devices, "native_bfloat16", lambda device="cpu": True)
    auto = dict(size=64, progress=False, device="cpu", layer=layer, pool=pool)
    assert Backbone("alexnet", "random", **auto).fit().precision_ == precision
    assert Backbone("alexnet", "random", **auto, precision="bfloat16").fit().precision_ == "bfloat16"
    torch.save(models.alexnet().state_dict(), tmp_path / "trained.pth")
    assert Backbone("alexnet", tmp_path / "trained.pth", **auto).fit().precision_ == "bfloat16"


def test_an_emulated_bfloat16_is_not_taken(monkeypatch):
    monkeypatch.setattr(devices, "native_bfloat16", lambda device="cpu": False)
    assert devices.resolve_precision("auto", "cpu") == "float32" and devices.resolve_precision("bfloat16", "cpu") == "bfloat16"


@pytest.mark.parametrize("device", ["xpu9", "cpu:x", None, "gpu"])
def test_devices_that_are_not_there(device):
    with pytest.raises(InputError, match="is not available here; choose from auto, cpu"):
        devices.resolve_device(device)


def test_a_choice_is_announced_once(capfd):
    devices.announce.cache_clear()
    for _ in range(2):
        Backbone("alexnet", "random", **QUIET | {"progress": True}).fit()
    out, err = capfd.readouterr()
    assert out == "" and err.count("leuknb: float32 on cpu") == 1
