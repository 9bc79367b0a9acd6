"A million images, tried on a few: what is searched, kept, fitted and predicted in parts is what the plain ways give."
import subprocess
import sys
import tracemalloc
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from made_features import features

from leuknb import svm, twins
from leuknb.heads import KNNHead, LDAHead, SoftmaxHead, SVMHead, load_head, save_head
from leuknb.lib import cache, head, large
from leuknb.lib.cache import FeatureStore
from leuknb.lib.errors import InputError
from leuknb.splits import _subset


def windows(n, seed=0):
    "Thumbnails from noise, every fifth of them a noisy copy of its neighbour."
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 200, (n, 12, 12)).repeat(4, axis=1).repeat(4, axis=2).reshape(n, -1)
    small[::5] = small[1::5] + rng.integers(-30, 30, small[::5].shape)
    return small.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("above", [0.9, 0.5])
def test_the_search_in_cells_finds_the_pairs_of_the_whole_search(monkeypatch, above):
    thumbs = windows(600)
    thumbs[[7, 8]] = 99  # of one colour
    whole, r = twins.similar_pairs(thumbs, above)
    copies, _ = twins.copies(thumbs, above)
    monkeypatch.setattr(twins, "MANY", 100)
    pairs, values = twins.similar_pairs(thumbs, above)
    expected = dict(zip(map(tuple, whole.tolist()), r))
    found = dict(zip(map(tuple, pairs.tolist()), values))
    assert found.keys() <= expected.keys() and len(found) >= 0.999 * len(expected) >= 100
    assert all(abs(expected[pair] - value) < 1e-5 for pair, value in found.items())
    assert set(map(tuple, twins.copies(thumbs, above)[0].tolist())) == set(map(tuple, copies.tolist()))


def sums_by_hand(sizes, target, rng):
    "The walk through a table of all sums."
    reach = [1]
    for size in sizes:
        reach.append(reach[-1] | reach[-1] << size)
    rest, chosen = sum(sizes), []
    left = min((s for s in range(1, rest) if reach[-1] >> s & 1), key=lambda s: abs(s - target))
    for i in reversed(range(len(sizes))):
        can_leave, can_take = reach[i] >> left & 1, left >= sizes[i] and reach[i] >> (left - sizes[i]) & 1
        if can_take and (not can_leave or rng.random() < left / rest):
            chosen.append(i)
            left -= sizes[i]
        rest -= sizes[i]
    return chosen


def test_groups_are_chosen_as_with_a_table_of_all_sums():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        sizes = (rng.integers(1, rng.integers(2, 40), rng.integers(2, 60)) * (1 + 2 * (seed % 3 == 0))).tolist()
        target, first, second = sum(sizes) - round(0.7 * sum(sizes)), *(np.random.default_rng(seed) for _ in "ab")
        assert _subset(sizes, target, first) == sums_by_hand(sizes, target, second)
        assert first.random() == second.random()


@pytest.mark.long
def test_a_quarter_of_a_million_groups_take_little_memory():
    sizes = [1, 2] * 125_000
    tracemalloc.start()
    chosen = _subset(sizes, 112_500, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes[i] for i in chosen) == 112_500 and peak < 100e6


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    return FeatureStore({"version": 1})


def fill(store, numbers):
    for k in numbers:
        store.add([f"i{k}"], np.full((1, 3), k, np.float32))


def found(store, *numbers):
    rows = {name: row[0] for names, part in store.chunks({f"i{k}": [] for k in numbers}) for name, row in zip(names, part)}
    return {k: rows.get(f"i{k}") for k in numbers}


def test_a_lookup_opens_what_it_needs_alone(store, monkeypatch):
    fill(store, range(50))
    assert found(store, 3) == {3: 3}
    opened, real = [], cache.safe_open
    monkeypatch.setattr(cache, "safe_open", lambda path, kind: opened.append(path) or real(path, kind))
    assert found(store, 3, 4, 99) == {3: 3, 4: 4, 99: None} and len(opened) == 2


@pytest.mark.parametrize("text", ["", "another version\n", "1-0.safetensors i3\n", "\x00\xff"])
def test_an_index_that_disagrees_is_made_anew(store, text):
    fill(store, range(10))
    found(store, 3)
    index = store.folder / "index.txt"
    right = index.read_text()
    index.write_bytes(text.encode("latin-1"))
    assert found(store, *range(10)) == dict(enumerate(range(10))) and index.read_text() == right
    next(store.folder.glob("1-*.safetensors")).unlink()
    assert sum(value is not None for value in found(store, *range(10)).values()) == 9
    assert len(index.read_text().splitlines()) == 9


def test_many_small_files_are_merged_and_a_read_only_store_is_read(store, monkeypatch):
    monkeypatch.setattr(cache, "MOST", 8)
    fill(store, range(100))
    assert len(list(store.folder.glob("*.safetensors"))) == 16  # twelve of eight, and four
    assert found(store, *range(100)) == dict(enumerate(range(100)))
    assert len(list(store.folder.glob("*.safetensors"))) == 1 and not list(store.folder.glob(".*"))
    fill(FeatureStore({"version": 1}), range(100, 107))
    (store.folder / "index.txt").unlink()
    monkeypatch.setattr(cache, "write_text", lambda *args: (_ for _ in ()).throw(PermissionError("read-only")))
    monkeypatch.setattr(cache, "_write_rows", lambda *args: (_ for _ in ()).throw(PermissionError("read-only")))
    assert found(store, *range(107)) == dict(enumerate(range(107)))


WRITER = """
import sys, numpy as np
from leuknb.lib import cache
cache.MOST = 4
store = cache.FeatureStore({"version": 1})
for k in range(int(sys.argv[1]), 10**6):
    store.add([f"i{k}"], np.full((1, 3), k, np.float32))
    if k % 7 == 0:
        list(store.chunks({f"i{k}": []}))
    print(k, flush=True)
"""


def test_two_writers_that_are_killed_lose_no_row(store, monkeypatch):
    monkeypatch.setattr(cache, "MOST", 4)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(start)], stdout=subprocess.PIPE, text=True)
               for start in (0, 1000)]
    last = []
    for writer in writers:
        for _ in range(40):
            last.append(int(writer.stdout.readline()))
    for writer in writers:
        writer.kill()
        writer.communicate()
    numbers = [k for k in range(last[39] + 1)] + [k for k in range(1000, last[79] + 1)]
    assert found(store, *numbers) == {k: k for k in numbers}


def test_rows_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(large, "LIMIT", 100)
    table = large.row_table(50, 4, np.float32, tmp_path / "new")
    for k in range(50):
        table[k] = np.full(4, k)
    rows = large.mapped(table)
    assert isinstance(rows, np.memmap) and rows[:, 0].tolist() == list(range(50)) and not list((tmp_path / "new").iterdir())
    block, one = np.arange(12.0).reshape(3, 4), np.full(4, 7.0)
    filled = [large.row_table(50, 4, np.float32, tmp_path), np.zeros((50, 4), np.float32)]
    for target in filled:
        target[np.arange(50)] = np.zeros(4)
        target[np.arange(10, 13)], target[[20, 30]], target[40] = block, one, one
    assert (large.mapped(filled[0]) == filled[1]).all()
    full = large.row_table(50, 4, np.float32, tmp_path)
    def write(row):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(full, "file", type("Full", (), {"seek": lambda self, place: None, "write": staticmethod(write)})())
    with pytest.raises(InputError, match="No space left on device.*LEUKNB_CACHE"):
        full[3] = np.zeros(4)
    with pytest.raises(InputError, match="needs .* GB of disk"):
        large.row_table(10**10, 10**4, np.float32, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        large.row_table(50, 4, np.float32, tmp_path / "file")


LARGE_X, LARGE_Y = features(1600, 40, seed=1)


@pytest.mark.parametrize("make", [lambda **kw: SVMHead(C=(1, 10), scale="global", **kw),
                                  lambda **kw: SVMHead(kernel="linear", C=(0.01, 1), scale="standard", **kw), SoftmaxHead, KNNHead,
                                  lambda **kw: KNNHead(metric="cosine", **kw), LDAHead],
                         ids=["rbf", "linear", "softmax", "euclidean", "cosine", "lda"])
def test_heads_of_many_rows_go_through_them_in_blocks(make, tmp_path, monkeypatch):
    monkeypatch.setattr(head, "TUNED", 300)
    old, new = np.arange(1600) < 1300, np.arange(1600) >= 1300
    X = np.memmap(tmp_path / "X", np.float32, "w+", shape=(1300, 40))
    X[:] = LARGE_X[old]
    with pytest.warns(UserWarning, match="settings chosen on 2.. of 1,300 rows"):
        many = make(large=1000, n_jobs=1).fit(X, LARGE_Y[old])
    plain = make(n_jobs=1).fit(X, LARGE_Y[old])
    accuracy = [(model.predict(LARGE_X[new]) == LARGE_Y[new]).mean() for model in (many, plain)]
    assert accuracy[0] > accuracy[1] - 0.06 and not hasattr(plain, "approximation_")
    save_head(many, tmp_path / "head.skops")
    again = load_head(tmp_path / "head.skops", X)
    assert np.array_equal(again.predict_proba(LARGE_X[new]), many.predict_proba(LARGE_X[new]))
    assert again.approximation_ == many.approximation_ and again.large == 1000


def test_one_vs_one_loss_has_its_slopes():
    rng = np.random.default_rng(0)
    f, code = rng.normal(size=(30, 6)), rng.integers(4, size=30)
    loss, slopes = large.pair_loss(f, code)
    by_hand = sum(max(0, 1 - (1 if k == i else -1) * row[p]) ** 2 for row, k in zip(f, code)
                  for p, (i, j) in enumerate(combinations(range(4), 2)) if k in (i, j))
    assert np.isclose(loss, by_hand)
    for place in [(0, 0), (5, 3), (29, 5)]:
        moved = f.copy()
        moved[place] += 1e-6
        assert np.isclose((large.pair_loss(moved, code)[0] - loss) / 1e-6, slopes[place], atol=1e-4)


def test_predictions_go_on_where_they_stopped(made, tmp_path, monkeypatch):
    from leuknb.lib import streaming
    from leuknb.lib.models import predict
    run, bad = made[0], tmp_path / "bad.png"
    bad.write_text("no image")
    images = [*run.catalogue.query("variant == 'original'")["path"], str(bad)]
    options = dict(model="alexnet/softmax/original", on_bad="skip", progress=False)
    monkeypatch.setattr(streaming, "PART", 15)
    parts = streaming.predicted_parts(tmp_path / "one.csv", run, images, **options)
    sizes = [len(table) for table in parts]
    assert sum(sizes) == len(images) and sizes[0] == 15 and not (tmp_path / "one.csv.part").exists()
    whole = predict(run, images, **options)
    text = (tmp_path / "one.csv").read_text()
    assert len(text.splitlines()) == len(whole) + 1 and text.splitlines()[0] == ",".join(whole)
    stopped = streaming.predicted_parts(tmp_path / "two.csv", run, images, **options)
    next(stopped), next(stopped)
    stopped.close()
    assert not (tmp_path / "two.csv").exists() and len(list((tmp_path / "two.csv.part").glob("0*.csv"))) == 2
    assert text.startswith((tmp_path / "two.csv.part" / "000000.csv").read_text())  # rows that are known are there
    with pytest.raises(InputError, match="two.csv.part: is the unfinished prediction of other images"):
        list(streaming.predicted_parts(tmp_path / "two.csv", run, images[1:], **options))
    computed, real = [], streaming.predicted_listed
    monkeypatch.setattr(streaming, "predicted_listed", lambda *args, **more: computed.append(1) or real(*args, **more))
    tables = list(streaming.predicted_parts(tmp_path / "two.csv", run, images, **options))
    assert len(computed) == len(tables) - 2 and (tmp_path / "two.csv").read_text() == text
    shown = [name for table in tables for name, why in table[["image", "problem"]].itertuples(index=False) if why]
    assert shown == [str(bad)]


def test_tiles_in_parts_beside_an_image_that_cannot_be_read(made, tmp_path):
    from leuknb.lib import streaming
    from leuknb.lib.models import predict
    run, bad = made[0], tmp_path / "bad.png"
    bad.write_text("no image")
    images = [*run.catalogue.query("variant == 'original'")["path"][:3], str(bad)]
    options = dict(model="alexnet/softmax/original", on_bad="skip", tile=96, progress=False)
    with pytest.warns(UserWarning, match="3 tiles of 3 images pooled"):
        table = pd.concat(streaming.predicted_parts(tmp_path / "tiles.csv", run, images, **options))
    with pytest.warns(UserWarning, match="3 tiles of 3 images pooled"):
        whole = predict(run, images, **options)
    assert table["tiles"].tolist()[:3] == [1, 1, 1] == whole["tiles"].tolist()[:3]
    assert table[["predicted", "novelty", "tiles"]].iloc[3].isna().all() and table["novelty"].iloc[:3].notna().all()


def test_a_head_that_is_fitted_again_keeps_nothing_of_the_fit_before():
    head = KNNHead(n_neighbors=3, metric="euclidean", weights="uniform", scale="none", large=200, n_jobs=1)
    with pytest.warns(UserWarning, match="settings chosen"):
        head.fit(LARGE_X[:600], LARGE_Y[:600])
    again, new = head.set_params(large=5000).fit(LARGE_X[:300], LARGE_Y[:300]), LARGE_X[1000:]
    plain = KNNHead(n_neighbors=3, metric="euclidean", weights="uniform", scale="none", n_jobs=1).fit(LARGE_X[:300], LARGE_Y[:300])
    assert np.array_equal(again.predict_proba(new), plain.predict_proba(new)) and not hasattr(again, "approximation_")


def test_one_row_finds_the_neighbours_that_it_finds_among_many():
    with pytest.warns(UserWarning, match="settings chosen"):
        head = KNNHead(n_neighbors=3, metric="euclidean", weights="uniform", scale="none", large=200, n_jobs=1).fit(LARGE_X[:1500], LARGE_Y[:1500])
    many = head.kneighbors(LARGE_X[1500:1520])[1]
    assert all(np.array_equal(head.kneighbors(LARGE_X[k:k + 1])[1][0], many[k - 1500]) for k in range(1500, 1520))


def test_a_kernel_that_was_approximated_says_so():
    with pytest.warns(UserWarning, match="landmarks instead"):
        small = SVMHead(C=1, gamma="scale", scale="none", memory=1e4, n_components=20, n_jobs=1).fit(LARGE_X[:200], LARGE_Y[:200])
    assert small.approximation_ == "Nystroem's approximation with 20 landmarks"
    assert not hasattr(small.set_params(memory=4e9).fit(LARGE_X[:200], LARGE_Y[:200]), "approximation_")


def test_an_svm_whose_landmarks_lie_in_a_file_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path))
    monkeypatch.setattr(svm, "ROWS", 300)  # several blocks
    settings = dict(C=1, gamma=0.01, n_components=50, n_jobs=1, large=1000)
    decisions = []
    for limit in (1e9, 100):
        monkeypatch.setattr(large, "LIMIT", limit)
        with pytest.warns(UserWarning):
            decisions.append(SVMHead(**settings).fit(LARGE_X, LARGE_Y).decision_function(LARGE_X[:100]))
    assert np.array_equal(*decisions)


def test_the_page_of_many_images_has_the_measured_numbers():
    from pathlib import Path

    from leuknb.lib.measured import measured
    page = (Path(__file__).resolve().parent.parent / "docs/how-to/many-images.md").read_text(encoding="utf-8")
    table, sizes = measured("million").set_index(["what", "rows"]), (10_000, 100_000, 1_000_000)
    lines = {"catalogue: examine, group": "catalogue (examine, near-duplicates, group)",
             "features, by a network of one layer": "transform, computed", "near-duplicates, in cells": "near-duplicates, in cells", "split by group": "split group", "cache: write rows": "cache, write",
             "cache: read all rows": "cache, read all", "cache: find one image": "cache, find one image",
             "the same, from the cache": "transform, from the cache"}
    for shown, what in lines.items():
        cells = next(line for line in page.splitlines() if line.startswith(f"| {shown} |")).split("|")[2:5]
        given = [table["CPU s"].get((what, n)) for n in sizes]
        assert [cell.strip() for cell in cells] == ["" if s is None else f"{s:.0f}" if s > 99 else f"{s:.1f}" for s in given], shown
    for name in ("SVM", "KNN", "Softmax"):
        shown = name.replace("Softmax", "softmax")
        cells = next(line for line in page.splitlines() if line.startswith(f"| {shown}, in blocks |")).split("|")[3:5]
        given = [table["CPU s"].get((f"{name}Head, in blocks", n)) for n in sizes[1:]]
        assert [cell.strip() for cell in cells] == ["" if s is None else f"{s:.0f}" if s > 99 else f"{s:.1f}" for s in given], name
    for name in ("SVM", "Softmax", "KNN"):
        row = next(line for line in page.splitlines() if line.startswith(f"| {name if name != 'Softmax' else 'softmax'} | "))
        exact, blocks = (table.loc[f"{name}Head, {way}", 20_000] for way in ("exact", "in blocks"))
        for one in (exact, blocks):
            assert f"{100 * float(one['found'].split()[1]):.1f} %" in row and f"{one['CPU s']:.0f}, {one['own GB']:.1f}" in row, name
        assert f"{float(exact['found'].split(', ')[1].split('%')[0]):.1f} %" in row, name
    for key, changed in measured("features-int8").groupby(["network", "weights", "layer"]):
        row = next(line for line in page.splitlines() if line.startswith("| " + " | ".join(key) + " |"))
        one = changed.set_index(["precision", "head"])
        shares = [one["changed"][p, h] / one["images"][p, h] for h in ("SVMHead", "KNNHead") for p in ("bfloat16", "int8")]
        cells = [cell.strip() for cell in row.split("|")[4:9]]
        assert cells == [f"{changed['images'].iloc[0]:,}", *(f"{100 * share:.1f} %" for share in shares)], key
    for row in measured("int8-speed").drop(columns="images").astype(str).to_numpy():
        assert "| " + " | ".join(row) + " |" in page
