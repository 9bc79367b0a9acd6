"Tasks in processes and on a real local cluster: the same results, whatever happens to the workers."
import logging
import os
import socket
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster
from joblib.externals.loky import get_reusable_executor
from work_tasks import card, facts, killed_once, kills, name_of, process

from leuknb.backbones import Backbone
from leuknb.cli import main
from leuknb.lib import workers
from leuknb.lib.errors import InputError
from leuknb.lib.workers import run_tasks, use_workers
from leuknb.patients import make_smears

JOBS = [(n, 7) for n in range(30)]


def results(function, jobs=JOBS):
    return list(run_tasks(function, jobs, progress=False))


@pytest.fixture
def pair():
    with joblib.parallel_config("loky", n_jobs=2):
        yield


@pytest.fixture(scope="module", autouse=True)
def ended():
    yield
    get_reusable_executor().shutdown()


@pytest.fixture
def light(monkeypatch):
    "Workers need not load torch to be given its number of threads."
    monkeypatch.setattr(workers, "thread_counts", dict)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_processes_of_one_machine(tmp_path, monkeypatch, pair, light):
    assert results(divmod) == [divmod(*job) for job in JOBS] and len(set(results(process))) == 2
    assert results(killed_once, [(n, str(tmp_path / "flag")) for n in range(12)]) == list(range(12))
    monkeypatch.setattr(workers, "cuda_devices", lambda: ["0", "1"])  # stand-ins for two cards
    assert sorted(name for _, name in set(results(card))) == ["0", "1"]
    with pytest.raises(InputError, match="was killed several times .* the same command continues"):
        results(kills, JOBS[:2])


def test_thread_results_are_bounded_and_in_order():
    taken = []
    jobs = ((taken.append(n) or n, 1) for n in range(10_000))
    first = next(results := run_tasks(divmod, jobs, progress=False))
    results.close()
    assert first == (0, 0) and len(taken) < 2000


@pytest.mark.parametrize("options, words", [
    ({"workers": 0}, "workers"), ({"workers": -1}, "workers"), ({"workers": "two"}, "workers"), ({"workers": 2, "cluster": "x"}, "leave one"),
    ({"cluster": "nonsense://x"}, "does not answer"), ({"cluster": "tcp://127.0.0.1:9"}, "does not answer within 1 seconds")])
def test_choices_that_cannot_be(options, words, monkeypatch):
    monkeypatch.setattr(workers, "SECONDS", 1)
    with pytest.raises(InputError, match=words), use_workers(**options):
        pass


def test_a_port_that_says_nothing(monkeypatch):
    monkeypatch.setattr(workers, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(InputError, match="does not answer within 1 seconds"), use_workers(cluster=f"tcp://127.0.0.1:{silent.getsockname()[1]}"):
            pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install leuknb\[dask\]"), use_workers(cluster="tcp://127.0.0.1:9"):
        pass


def test_the_command_names_its_options(capsys):
    assert main(["reproduce", "--workers", "0"]) == 2 and "--workers" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["reproduce", "--workers", "two"])


def test_a_local_cluster(monkeypatch, light):
    with LocalCluster(2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        with use_workers(cluster=address):
            assert results(divmod) == [divmod(*job) for job in JOBS] and len(set(results(process))) == 2
            assert not logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)  # its traces of a lost cluster
            workers.check_seen([__file__])
            monkeypatch.setattr(workers, "first_missing", lambda paths, folder: "/images/a.jpg")
            with pytest.raises(InputError, match=r"127.0.0.1:\d+: /images/a.jpg"):
                workers.check_seen([__file__])
        own = workers.worker_facts()
        monkeypatch.setattr(workers, "worker_facts", lambda: own | {"versions": own["versions"] | {"torch": "1.0"}})
        with Client(address) as client:
            monkeypatch.setattr(client, "nthreads", lambda: {"tcp://a:1": 1})
            monkeypatch.setattr(client, "run", lambda function, **options: {"tcp://a:1": own})
            with pytest.raises(InputError, match=r"tcp://a:1: torch .* \(here 1.0\)"):
                workers.check_workers(client)
            monkeypatch.setattr(workers, "worker_facts", lambda: own | {"processor": ("another", "avx2")})
            with pytest.warns(RuntimeWarning, match="processors of several kinds"):
                workers.check_workers(client)
        with Client(address) as client:
            monkeypatch.setattr(workers, "SECONDS", 0.05)
            monkeypatch.setattr(client, "run", lambda function, **options: time.sleep(1))
            with pytest.raises(InputError, match=r"do not answer within 0.3.* seconds: tcp://127.0.0.1:\d+, tcp://127.0.0.1:\d+;"):
                workers.ask_workers(client, workers.worker_facts)
            monkeypatch.setattr(workers, "SECONDS", 10)
        with pytest.raises(InputError, match="the cluster went away"), use_workers(cluster=address):
            for n, _ in enumerate(run_tasks(process, JOBS * 20, progress=False)):
                if n == 3:
                    cluster.close()


def command(folder, out, cache, *more):
    "Run the grid as a user does."
    words = [sys.executable, "-m", "leuknb", "reproduce", "--data", str(folder), "--out", str(out), "--backbones", "alexnet",
             "--weights", "random", "--heads", "svm", "--variants", "original", "--size", "96", "--no-audit", *more]
    done = subprocess.run(words, env={**os.environ, "LEUKNB_CACHE": str(cache)}, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.long
def test_one_digest_everywhere(tmp_path):
    smears = make_smears(tmp_path / "smears", images=32, patients=8, size=96, seed=3, workers=1, progress=False)
    with LocalCluster(2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        ways = {"one": [], "loky": ["--workers", "2"], "dask": ["--cluster", cluster.scheduler_address]}
        for name, more in ways.items():
            status, text = command(smears, tmp_path / name, tmp_path / f"cache-{name}", *more)
            assert status == 0, text
    assert len({(tmp_path / name / "predictions.csv").read_bytes() for name in ways}) == 1


def test_features_are_bit_equal(smears, tmp_path, monkeypatch, pair):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with workers.fixed_threads({"torch": 1}):
        assert set(results(facts, JOBS[:4])) == {(1, str(tmp_path), str(tmp_path / "cache"))}
    paths = sorted(smears.rglob("Original/**/*.jpg"))[:20]
    backbone = Backbone("alexnet", "random", layer="conv2", pool="stats", size=64, cache=False, progress=False)
    tasks = backbone.transform(paths)
    with joblib.parallel_config("threading", n_jobs=1):
        assert np.array_equal(tasks, backbone.transform(paths))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    other = tmp_path / "other.jpg"
    other.write_bytes(b"nor this")
    with pytest.raises(InputError, match="2 images cannot be used"):
        backbone.transform([broken, *paths[:3], other])


def test_a_network_that_cannot_be_sent_is_named_where_it_is_used():
    import threading

    from torch import nn

    from leuknb.lib import architectures
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    network.notes = threading.local()
    architectures.register_backbone("unsendable", lambda: network)
    try:
        packed = architectures.packed()
        assert isinstance(packed["unsendable"], str)
        workers.carry()  # what needs no such network is computed elsewhere all the same
        architectures.unpack(packed)
        with pytest.raises(InputError, match="'unsendable' cannot be sent to other processes"):
            architectures.registered("unsendable").build()
    finally:
        architectures.REGISTERED.pop("unsendable")


def test_a_registered_network_reaches_other_processes_that_knew_nothing_of_it(light):
    from torch import nn

    from leuknb.lib import architectures
    architectures.register_backbone("sent", nn.Sequential(nn.Linear(3, 5)))
    try:
        with use_workers(workers=2):
            assert list(run_tasks(name_of, [("sent", k) for k in range(4)], progress=False)) == [5] * 4
    finally:
        architectures.REGISTERED.pop("sent")
