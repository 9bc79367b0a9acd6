"""Eight bits: near the exact features, the same in every process, with a key of their own; refused where they cannot be."""
import subprocess
import sys

import numpy as np
import pytest

from leuknb.backbones import Backbone
from leuknb.finetune import FineTuned
from leuknb.lib import devices
from leuknb.lib.errors import InputError

NETWORK = dict(name="alexnet", weights="random", layer="conv3", pool="stats", size=64, progress=False)
needed = pytest.mark.skipif(not all(map(devices.find_spec, ("openvino", "nncf"))), reason="needs leuknb[int8]")


@pytest.fixture(scope="module")
def smears(tmp_path_factory):
    from PIL import Image

    from leuknb.patients import smear
    folder = tmp_path_factory.mktemp("smears")
    for k in range(6):
        Image.fromarray(smear(1000 + k, "Early", 96).image).save(folder / f"{k}.png")
    return sorted(folder.iterdir())


@needed
def test_near_the_exact_features_and_not_kept_with_them(smears):
    exact, eight = (Backbone(**NETWORK, precision=precision) for precision in ("float32", "int8"))
    wanted, given = exact.transform(smears), eight.transform(smears)
    assert np.corrcoef(wanted.ravel(), given.ravel())[0, 1] > 0.99
    assert not np.array_equal(wanted, given)  # neither is read in place of the other
    assert np.array_equal(exact.transform(smears), wanted) and np.array_equal(eight.transform(smears), given)
    assert eight.plan_.about("random")["calibration"] == eight.plan_.calibration != ""
    assert "calibration" not in exact.plan_.about("random")


@needed
def test_one_image_or_many_the_features_are_the_same(smears):
    eight = Backbone(**NETWORK, precision="int8", cache=False)
    together, alone = eight.transform(smears), np.concatenate([eight.transform([path]) for path in smears])
    assert np.array_equal(together, alone)


@needed
@pytest.mark.long
def test_another_process_gets_the_same_bytes(smears, tmp_path, monkeypatch):
    code = ("import sys, hashlib; from leuknb.backbones import Backbone; "
            f"b = Backbone(**{NETWORK!r}, precision='int8', cache=False); "
            "print(b.fit().plan_.calibration, hashlib.sha256(b.transform(sys.argv[1:]).tobytes()).hexdigest())")
    found = set()
    for number, threads in enumerate(("1", "2")):
        monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / str(number)))  # each quantises by itself
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.add(subprocess.run([sys.executable, "-c", code, *smears], capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1


@needed
def test_gradients_come_from_the_network_that_was_quantised(smears):
    eight = Backbone(**NETWORK, precision="int8")
    x = eight.prepare(smears[0]).requires_grad_()
    eight.module()(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_refused_where_it_cannot_be(monkeypatch):
    with pytest.raises(InputError, match="precision int8 is for features"):
        FineTuned("alexnet", precision="int8").check()
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'leuknb\[int8\]'"):
        Backbone(**NETWORK, precision="int8").fit()
