"Parts of a run, and the lock that says who writes it."
import os
import platform
import signal
import subprocess
import sys
import time

import pytest

from leuknb.cli import main
from leuknb.lib import shards
from leuknb.lib.config import Config
from leuknb.lib.errors import InputError
from leuknb.lib.files import write_json
from leuknb.lib.runs import differences
from leuknb.lib.shards import cells_of, read_shard, writer, writing
from leuknb.results import reproduce

HOLD = "import sys, time, pathlib; from leuknb.lib.shards import writing\nwith writing(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


@pytest.mark.parametrize("text", ["3/2", "0/2", "-1/2", "1", "1/0", "a/b", "", "1/2/3", 0.5])
def test_parts_that_are_none(text):
    with pytest.raises(InputError, match="write i/n, such as 1/4"):
        read_shard(text)


@pytest.mark.parametrize("count", [1, 2, 5, 12, 40])
@pytest.mark.parametrize("features", ["frozen", "fine-tuned"])
def test_each_cell_is_in_one_part(count, features):
    config = Config(variants=("original", "segmented"), features=features)
    parts = [cells_of(config, (k + 1, count)) for k in range(count)]
    assert sum(parts, []) == cells_of(config)
    for pair in {cell[:2] for cell in cells_of(config)} if features == "fine-tuned" else ():
        assert sum(any(cell[:2] == pair for cell in part) for part in parts) == 1  # one network, one process


def test_a_killed_writer_is_taken_over(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"being written by process {other.pid} on {platform.node()} since 20"):
            writing(folder).__enter__()
        with pytest.raises(InputError, match=str(other.pid)):
            writing(folder, "shard-1-of-2").__enter__()
        other.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    assert (folder / "writing.json").exists()
    with writing(folder):
        assert writer(folder, "writing")["pid"] == os.getpid()
    assert not (folder / "writing.json").exists()


def test_another_machine_counts_as_long_as_it_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "BEAT", 0.05)
    write_json(tmp_path / "writing.json", {"host": "elsewhere", "pid": 7, "since": "2026-01-01 10:00"})
    assert writer(tmp_path, "writing") is None
    monkeypatch.setattr(shards, "sleep", lambda seconds: (time.sleep(0.01), os.utime(tmp_path / "writing.json")))
    with pytest.raises(InputError, match="process 7 on elsewhere since 2026-01-01 10:00"):
        writing(tmp_path).__enter__()


def test_the_number_of_a_card_is_no_choice():
    def record(device):
        return {"choices": {"device": device}, "split": "", "weights": {}, "data": {"digest": ""},
                "machine": {"device": device, "precision": "float32"}}
    assert differences(record("cuda:0"), record("cuda:1")) == []
    assert differences(record("cpu"), record("cuda:1")) == ["settings (device)", "device"]


def test_parts_make_the_same_run(smears, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    options = dict(backbones=["alexnet"], weights={"": "random"}, heads=["knn", "lda"], variants=["original"], size=64, layer="conv2",
                   audit=False, progress=False)
    whole = reproduce(smears, tmp_path / "whole", **options)
    part = reproduce(smears, tmp_path / "run", shard="2/2", **options)
    assert not part.complete and sorted(path.name for path in part.path.glob("parts/*")) == ["alexnet-lda-original.csv"]
    with pytest.raises(InputError, match=r"1 of 2 cells are missing \(alexnet/knn/original\)"):
        reproduce(smears, part.path, join=True, **options)
    with pytest.raises(InputError, match=r"other settings \(seed\)"):
        reproduce(smears, part.path, shard="1/2", **options | {"seed": 5})
    last = reproduce(smears, part.path, shard="1/2", **options)
    assert last.complete and (last.path / "predictions.csv").read_bytes() == (whole.path / "predictions.csv").read_bytes()
    assert {p.name for p in last.path.iterdir()} == {p.name for p in whole.path.iterdir()}
    assert last.config["machine"]["task_threads"]["torch"] >= 1
    words = ["reproduce", "--data", str(smears), "--out", str(tmp_path / "new"), "--backbones", "alexnet", "--weights", "random"]
    assert main([*words, "--join"]) == 2 and "no run is here" in capsys.readouterr().err
    assert main([*words, "--join", "--shard", "1/2"]) == 2 and "--join" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
