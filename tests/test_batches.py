"Stores and batches: order, padding, folders that are left behind."
import subprocess
import sys

import pytest
import torch

from leuknb.lib.batches import Batches, padded_batches, seed_of, store_folder, store_rows


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_no_batch_is_a_single_image():
    sizes = [len(piece) for piece in Batches(None, range(7), torch.arange(7), 2, seed=0).pieces(torch.Generator())]
    assert sizes == [3, 2, 2]


def test_a_killed_run_leaves_nothing(cache):
    code = ("import os, torch; from leuknb.lib.batches import store_rows\n"
            "store = store_rows([torch.ones(1000, 100)], 1000); assert store.sum() == 1e5; os.kill(os.getpid(), 9)")
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert (cache / "finetuning").is_dir() and not list((cache / "finetuning").iterdir())


def test_what_is_left_is_removed(cache):
    (cache / "finetuning").mkdir(parents=True)
    (cache / "finetuning" / "left").write_text("x")
    assert not list(store_folder().iterdir())


def test_an_epoch_can_be_repeated():
    batches = Batches(torch.arange(20.).view(20, 1), range(20), torch.arange(20), 6, seed=1)
    orders = []
    for batches.epoch in (1, 1, 2):
        orders.append([code for _, codes in batches for code in codes.tolist()])
    assert orders[0] == orders[1] != orders[2] and sorted(orders[2]) == list(range(20))


def test_without_a_seed_rows_come_in_order():
    assert [codes.tolist() for _, codes in Batches(torch.zeros(5, 1), [4, 0, 2], torch.arange(5), 2)] == [[4, 0], [2]]


def test_parts_are_stored_without_their_padding():
    parts = [torch.full((4, 2), float(k)) for k in range(3)]
    assert store_rows(parts, 10)[:, 0].tolist() == [0] * 4 + [1] * 4 + [2] * 2


def test_the_last_batch_is_padded():
    sizes = [tuple(x.shape) for x in padded_batches(torch.zeros(5, 3, 4, 4, dtype=torch.uint8), 4, "cpu")]
    assert sizes == [(4, 3, 4, 4)] * 2


def test_seeds_differ():
    assert len({seed_of(0, 1), seed_of(1, 0), seed_of(0, "1"), seed_of(0)}) == 4
