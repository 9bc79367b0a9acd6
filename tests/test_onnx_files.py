"""Networks as ONNX files: the same numbers for any number of images; with what an image must go through; nothing half-written."""
import json

import numpy as np
import pytest
import torch

from leuknb.backbones import Backbone
from leuknb.cli import main
from leuknb.finetune import FineTuned
from leuknb.lib import onnx_files
from leuknb.lib.errors import InputError
from leuknb.lib.onnx_files import write_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="needs leuknb[onnx]")


def computed(path, images):
    "What ONNX Runtime makes of prepared images, and what the file says of itself."
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0], session.get_modelmeta().custom_metadata_map


def test_features_of_one_image_and_of_five(tmp_path):
    backbone = Backbone("alexnet", "random", layer="conv2+pool5", pool="stats", size=64, precision="bfloat16", progress=False)
    path = write_onnx(backbone, tmp_path / "network.onnx")
    exact = backbone.set_params(precision="float32").module()
    for n in (1, 5):
        images = torch.rand(n, 3, 64, 64)
        given, facts = computed(path, images.numpy())
        np.testing.assert_allclose(given, exact(images).detach().numpy(), rtol=1e-3, atol=1e-4)
    assert json.loads(facts["preprocessing"])["mean"] == list(backbone.preprocessing_.mean)
    assert facts["output"] == "features" and facts["network"] == "alexnet"


def test_probabilities_of_a_fine_tuned_network(tmp_path):
    from PIL import Image
    paths, y = [], ["a", "b"] * 6
    for k in range(12):
        paths.append(tmp_path / f"{k}.png")
        Image.fromarray(np.random.default_rng(k).integers(0, 128 + 100 * (k % 2), (64, 64, 3), dtype=np.uint8)).save(paths[-1])
    model = FineTuned("alexnet", "random", size=64, epochs=1, head_epochs=0, precision="float32", progress=False).fit(paths, y)
    images = np.concatenate([model.preprocessing_(Image.open(path)).numpy() for path in paths[:3]])
    given, facts = computed(write_onnx(model, tmp_path / "network.onnx"), images)
    np.testing.assert_allclose(given, model.predict_proba(paths[:3]), atol=1e-3)
    assert json.loads(facts["classes"]) == ["a", "b"]


def test_nothing_is_written_where_the_numbers_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_files, "TOLERANCE", 0.0)
    with pytest.raises(InputError, match="nothing was written"):
        write_onnx(Backbone("alexnet", "random", layer="conv1", pool="stats", size=64, progress=False), tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept(tmp_path, capsys):
    (tmp_path / "network.onnx").write_text("mine")
    assert main(["export", str(tmp_path), str(tmp_path / "network.onnx")]) != 0
    assert "nothing was changed" in capsys.readouterr().err and (tmp_path / "network.onnx").read_text() == "mine"


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_files, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"leuknb\[onnx\]"):
        write_onnx(Backbone("alexnet", "random"), tmp_path / "network.onnx")
