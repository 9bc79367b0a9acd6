"Tests marked `long` take more than a few seconds each and run by `make test-long` alone."
import ctypes
import gc
import os
import subprocess
import sys

import pytest


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the long tests, and no others")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: slow; run by `make test-long`")


def pytest_collection_modifyitems(config, items):
    wanted, skip = config.getoption("--long"), pytest.mark.skip(reason="other tests are asked for (--long)")
    for item in items:
        if ("long" in item.keywords) != wanted and "browser" not in str(item.path.parent.name):
            item.add_marker(skip)


@pytest.fixture(scope="module", autouse=True)
def released():
    "Give memory back after each module: figures, cached networks, cycles, and what the C library keeps for later."
    yield
    if plt := sys.modules.get("matplotlib.pyplot"):
        plt.close("all")
    if extract := sys.modules.get("leuknb.lib.extract"):
        extract._load.cache_clear()
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


@pytest.fixture(scope="session")
def smears(tmp_path_factory):
    "Generated smears of twelve patients."
    from leuknb.patients import make_smears
    return make_smears(tmp_path_factory.mktemp("data") / "smears", images=64, patients=12, size=96, seed=3, progress=False)


@pytest.fixture(scope="session")
def made(smears, tmp_path_factory):
    "A finished run, made by the command, and what was printed."
    from leuknb.lib.runs import Run
    out, cache = tmp_path_factory.mktemp("runs") / "run", str(tmp_path_factory.mktemp("cache"))
    command = [sys.executable, "-m", "leuknb", "reproduce", "--data", str(smears), "--out", str(out),
               "--backbones", "alexnet", "--weights", "random", "--no-audit"]
    done = subprocess.run(command, env={**os.environ, "LEUKNB_CACHE": cache}, capture_output=True, text=True, check=True)
    return Run(out), done.stdout


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    "Folders of smears with copies: clean, the stain goes with the class, the scale bar does."
    from leuknb.patients import make_smears
    root = tmp_path_factory.mktemp("planted")
    for name, leak, bar in (("clean", 0, "same"), ("stain", 1, "same"), ("bars", 0, "class")):
        make_smears(root / name, 96, 16, leak, seed=3, size=128, scale_bar=bar, duplicates=8, workers=1, progress=False)
    return {name: root / name for name in ("clean", "stain", "bars")}


@pytest.fixture(scope="session")
def cats(planted):
    "The catalogues of these folders."
    from leuknb.data import catalogue
    return {name: catalogue(out / "catalogue.csv") for name, out in planted.items()}


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory):
    "A run folder of 60 drawn images with made-up predictions of 16 models, without stored models."
    from fake_run import make_run
    return make_run(tmp_path_factory.mktemp("drawn"), count=60)


@pytest.fixture
def drawn_run(drawn_folder):
    "The same run, without annotations."
    from leuknb.lib.runs import Run
    (drawn_folder / "annotations.csv").unlink(missing_ok=True)
    return Run(drawn_folder)


@pytest.fixture
def explorer(drawn_run):
    "An explorer over it."
    from leuknb.explore import explore
    made = explore(drawn_run, static=False)
    yield made
    made.sources.worker.wait()
