"The cache: what its key is made of, and disks that fail."
import numpy as np
import pytest
from discs import QUIET, ten_images

from leuknb.backbones import Backbone
from leuknb.lib import cache
from leuknb.lib.cache import FeatureStore, cache_clear, cache_folder, cache_info
from leuknb.lib.errors import InputError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def paths(tmp_path):
    return ten_images(tmp_path)


def test_rows_come_back(tmp_path):
    store = FeatureStore({"version": 1})
    store.add(["a", "b"], np.float32([[1, 2], [3, 4]]))
    store.add(["c"], np.asfortranarray(np.float32([[5, 6]])))
    rows = {name: row.tolist() for names, part in FeatureStore({"version": 1}).chunks({"a": 0, "c": 0}) for name, row in zip(names, part)}
    assert rows == {"a": [1, 2], "b": [3, 4], "c": [5, 6]}
    assert not list(store.chunks({"d": 0})) and not list(FeatureStore({"version": 2}).chunks({"a": 0}))


def test_what_features_depend_on_is_the_key(tmp_path, paths):
    common = dict(weights="random", progress=False, device="cpu", layer="conv1", pool="stats")
    for choice in (dict(), dict(size=64), dict(crop=False), dict(preprocess="denoise"), dict(seed=1), dict(pool="avg1"),
                   dict(layer="conv2"), dict(precision="float32"), dict(name="vgg11")):
        Backbone(**common | dict(precision="bfloat16") | choice).transform(paths[:1])
    assert len(cache_info()) == 9
    one = cache_info().index[0]
    cache_clear(one)
    assert len(cache_info()) == 8 and one not in cache_info().index
    with pytest.raises(InputError, match="key 'x': choose from .*see cache_info"):
        cache_clear("x")
    kept = cache_folder() / "finetuned" / "alexnet-1.safetensors"
    kept.parent.mkdir()
    kept.write_bytes(bytes(2_000_000))
    assert cache_clear() >= 2 and not kept.exists()
    assert cache_info().empty


@pytest.mark.parametrize("harm", [lambda b: b[:-4], lambda b: b[:20], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1]),
                                  lambda b: b.replace(b'"images":"', b'"images":"0')])
def test_damaged_files_are_computed_again(paths, harm):
    backbone = Backbone("alexnet", "random", batch_size=5, **QUIET)
    expected = backbone.transform(paths)
    chunk = sorted((cache_folder() / "features").glob("*/5-*.safetensors"))[0]
    chunk.write_bytes(harm(chunk.read_bytes()))
    with pytest.warns(RuntimeWarning, match="damaged, computed again"):
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
    with pytest.warns(RuntimeWarning, match="features are not stored") as caught:
        assert np.array_equal(backbone.transform(paths), expected)
    assert len(caught) == 1 and blocked.read_text() == "not a folder"


def test_a_full_disk(paths, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(cache, "save_file", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        assert Backbone("alexnet", "random", **QUIET).transform(paths).shape == (10, 2304)
    assert not list(cache_folder().rglob("*.safetensors"))


@pytest.mark.parametrize("text", ["[]", "5", "null", "{"])
def test_a_store_that_describes_nothing(text):
    (cache_folder() / "features" / "x").mkdir(parents=True)
    (cache_folder() / "features" / "x" / "about.json").write_text(text)
    assert cache_info()["images"].tolist() == [0]
