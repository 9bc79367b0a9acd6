"From image files to rows: batches, threads, processes, interruptions and too little memory."
import json
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from discs import QUIET, ten_images
from sklearn.base import clone

from leuknb.backbones import Backbone
from leuknb.lib import extract
from leuknb.lib.cache import FeatureStore, cache_folder, cache_info
from leuknb.lib.errors import InputError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def paths(tmp_path):
    return ten_images(tmp_path)


@pytest.fixture
def computed(monkeypatch):
    "The batches that are computed."
    done, original = [], extract.compute_features

    def counting(plan, todo):
        for names, rows in original(plan, todo):
            done.append(list(names))
            yield names, rows
    monkeypatch.setattr(extract, "compute_features", counting)
    return done


# Networks

def test_last_conv_is_the_last_convolution_stage():
    assert Backbone("alexnet", "random", **QUIET).module().last_conv is not None
    resnet = Backbone("resnet18", "random", **QUIET).module()
    kept = []
    resnet.last_conv.register_forward_hook(lambda module, inputs, output: kept.append(output.shape))
    resnet(torch.zeros(1, 3, 64, 64))
    assert kept[-1][1] == 512


def test_backbones_of_the_same_settings_share_a_network():
    one, two = (Backbone("alexnet", "random", **QUIET).fit() for _ in range(2))
    assert one.module() is two.module() and pickle.loads(pickle.dumps(one.plan_)) == two.plan_


# Batches

@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("layer", ["stats", "fc7"])
def test_neighbours_never_matter(paths, precision, layer):
    backbone = Backbone("alexnet", "random", layer=layer, cache=False, batch_size=8, **QUIET | {"precision": precision})
    together = backbone.transform(paths)
    assert np.array_equal(together[::-1], backbone.transform(paths[::-1]))
    assert all(np.array_equal(together[i:i + 1], backbone.transform(paths[i:i + 1])) for i in (0, 5, 8))


def test_a_small_set_is_hardly_padded(paths, computed):
    backbone = Backbone("alexnet", "random", cache=False, **QUIET).fit()
    backbone.transform(paths)
    assert [len(batch) for batch in computed] == [8, 2] and backbone.batch_size_ == 8
    sizes = {size: [extract.default_batch_size(name, size, "cpu") for name in ("alexnet", "vgg19")] for size in (64, 224, 448)}
    assert sizes == {64: [8, 8], 224: [8, 4], 448: [4, 1]} and extract.default_batch_size("alexnet", 224, "cuda") == 64
    assert Backbone("alexnet", "random", layer="fc7", **QUIET | {"size": 224}).fit().batch_size_ == 16


def test_rows_belong_to_bytes(paths, computed):
    backbone = Backbone("alexnet", "random", batch_size=4, **QUIET)
    first = backbone.transform(paths)
    assert [len(batch) for batch in computed] == [4, 4, 2] and np.array_equal(first[0], first[9])
    computed.clear()
    assert np.array_equal(backbone.transform(paths[7:2:-1]), first[7:2:-1]) and not computed
    assert cache_info()["images"].tolist() == [10]


def test_what_was_resolved_is_recorded(paths):
    Backbone("alexnet", "random", **QUIET).transform(paths[:2])
    about = json.loads(next((cache_folder() / "features").glob("*/about.json")).read_text())
    assert about["precision"] == "float32" and about["layer"] == "stats" and about["size"] == 64 and about["version"] == extract.VERSION


def test_bad_images_come_in_one_list(tmp_path, paths):
    bad = [tmp_path / f"bad {i}.jpg" for i in range(25)]
    for path in bad:
        path.write_bytes(b"\xff\xd8 no image")
    backbone = Backbone("alexnet", "random", batch_size=4, **QUIET)
    with pytest.raises(InputError) as caught:
        backbone.transform([*paths, *bad, *paths])
    text = str(caught.value)
    assert text.startswith("25 images cannot be used:\n") and "bad 0.jpg" in text and "and 5 more" in text and "Traceback" not in text
    with pytest.raises(InputError, match="1 image cannot be used:\n.*gone.png"):
        backbone.transform([*paths, tmp_path / "gone.png"])
    with pytest.raises(InputError, match="give a list"):
        backbone.transform("smear.png")
    with pytest.raises(InputError, match="no images"):
        backbone.transform([])


# Interruptions

def test_an_interrupted_run_continues(paths, monkeypatch, computed):
    backbone = Backbone("alexnet", "random", batch_size=2, **QUIET)
    expected = clone(backbone).set_params(cache=False).transform(paths)
    computed.clear()
    original = FeatureStore.add

    def stop(self, images, rows):
        original(self, images, rows)
        if len(computed) == 3:
            raise KeyboardInterrupt
    monkeypatch.setattr(FeatureStore, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        backbone.transform(paths)
    computed.clear()
    monkeypatch.setattr(FeatureStore, "add", original)
    assert np.array_equal(backbone.transform(paths), expected) and sum(map(len, computed)) == 10 - 6


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


def test_two_threads_at_once(paths):
    backbones = [Backbone("alexnet", "random", layer=layer, cache=False, seed=7, **QUIET) for layer in ("conv2", "conv3", "conv4", "conv5")]
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda one: one.transform(paths), backbones))
    assert all(np.array_equal(row, clone(one).transform(paths)) for row, one in zip(rows, backbones))


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
    assert backbone.batch_size_ == 2 and backbone.batch_size == 8
    monkeypatch.setattr(extract.FeatureNetwork, "forward", lambda self, x: small(self, torch.zeros(3, 1)))
    with pytest.warns(RuntimeWarning), pytest.raises(InputError, match="too little memory for one image"):
        Backbone("alexnet", "random", batch_size=4, cache=False, **QUIET).transform(paths)
