"""Planted streams and shifted fields, whose truth is known; blocks, ladders and the lock, counted by hand."""
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier

from leuknb import scenes as module
from leuknb.data import catalogue
from leuknb.lib.errors import InputError
from leuknb.scenes import (
    block_parts, feasible_blocks, field_leaks, guarded, ladder, lag_similarity, learning_curve, locked, scenes, streams, with_scenes,
)
from leuknb.splits import each_fold, split


def files(n, label="A", groups=None):
    rows = pd.DataFrame({"image": [f"{label}/{i + 1}" for i in range(n)], "label": label})
    return rows.assign(path=rows["image"], group=rows["image"] if groups is None else groups)


def planted(slides, seed, n=360, start=120, stop=240, skip=0.03):
    "Features, and slide numbers: in order, then in turn (now and then skipping one), then in order."
    rng = np.random.default_rng(seed)
    looks = rng.normal(0, 1, (slides + 2, 1, 6)) + np.cumsum(rng.normal(0, 0.1, (slides + 2, n, 6)), axis=1)
    slide = np.repeat([slides, 0, slides + 1], [start, stop - start, n - stop])
    slide[start:stop] = np.cumsum(1 + (rng.random(stop - start) < skip)) % slides
    return looks[slide, np.arange(n)] + rng.normal(0, 0.8, (n, 6)), slide


@pytest.mark.parametrize("slides", [2, 3, 4])
def test_streams_are_found(slides):
    right, agreement = [], []
    for seed in range(5):
        X, slide = planted(slides, seed)
        table = streams(files(360), X)
        period = table["period"].to_numpy()
        assert not (period[:75] > 1).any() and not (period[285:] > 1).any()
        inside = (period > 1) & (slide < slides)
        right.append((period[120:240] == slides).mean())
        agreement.append(adjusted_rand_score(slide[inside], table["stream"][inside]))
    assert np.mean(right) > 0.8 and np.mean(agreement) > 0.8


@pytest.mark.parametrize("kind", ["noise", "slides in order", "slides at random", "random walk"])
def test_no_streams_are_claimed_where_there_are_none(kind):
    claims = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(240, 6))
        if kind == "random walk":
            X = X + 0.5 * np.cumsum(rng.normal(size=X.shape), axis=0)
        elif kind != "noise":
            slide = np.arange(240) // 40 if kind == "slides in order" else rng.integers(3, size=240)
            X = X + 2 * rng.normal(size=(6, 6))[slide]
        claims += (streams(files(240), X)["period"] > 1).any()
    assert claims <= 3  # 5 % of 20 are 1; more than 3 have a chance of 1.6 %


def test_place_counts_files_of_the_own_stream():
    X, _ = planted(3, 0)
    table = streams(files(360), X)
    assert np.allclose(table["place"].diff()[1:], 1 / table["period"][1:])
    assert streams(files(20), X[:20])["period"].eq(1).all()  # too few files to estimate anything


def test_similarity_by_lag_by_hand():
    X = np.random.default_rng(0).normal(size=(50, 3)) + np.arange(50)[:, None] % 2
    later = np.arange(12, 50)
    apart = [np.square(X[later] - X[later - k]).sum(axis=1).mean() for k in range(1, 13)]
    assert np.allclose(lag_similarity(X), 1 - np.array(apart) / (2 * X.var(axis=0).sum()))


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    "A folder of 24 images: windows of 8 random textures in colour, three each, of which two overlap."
    root, rng, truth = tmp_path_factory.mktemp("fields"), np.random.default_rng(0), set()
    for k in range(8):
        label = "Pre" if k % 2 else "Pro"
        field = 128 + 60 * gaussian_filter(rng.normal(size=(400, 400, 3)), (4, 4, 0)) * 8
        down, right = rng.integers(10, 60, 2)
        for name, (y, x) in {"a": (0, 0), "b": (down, right), "c": (260, 260)}.items():
            pixels = field[y:y + 128, x:x + 128] + rng.normal(0, 4, (128, 128, 3))
            (root / label).mkdir(exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / label / f"{k}{name}.jpg", quality=85)
        truth.add((f"{label}/{k}a", f"{label}/{k}b"))
    return root, truth


@pytest.mark.parametrize("search", ["full", "near"])
def test_shifted_fields_are_grouped(fields, search):
    root, truth = fields
    cat = catalogue(root)
    pairs = scenes(cat, search=search, progress=False)
    assert set(zip(pairs["first"], pairs["second"])) == truth and (pairs["files_apart"] == 1).all()
    joined = with_scenes(cat, pairs)
    assert cat["group"].nunique() == 24 and joined["group"].nunique() == 16
    assert cat["group"].nunique() == 24  # the catalogue given is not changed
    for seed in range(5):
        assert field_leaks(pairs, split(joined, "group", seed=seed)).empty


def test_field_leaks_by_hand(fields):
    root, truth = fields
    cat = catalogue(root)
    pairs, parts = scenes(cat, progress=False), split(cat, "kfold", folds=3)
    want = set()
    for fold, train, test in each_fold(cat, parts):
        train, test = set(cat["image"][train]), set(cat["image"][test])
        want |= {(fold, x, y) for a, b in truth for x, y in ((a, b), (b, a)) if x in test and y in train}
    got = field_leaks(pairs, parts)
    assert set(zip(got["fold"], got["image"], got["trained"])) == want and want


def test_pairs_are_kept_on_disk(fields, monkeypatch):
    cat = catalogue(fields[0])
    first = scenes(cat, progress=False)
    monkeypatch.setattr(module, "thumbnails", lambda *_: pytest.fail("images were read again"))
    assert scenes(cat, progress=False).equals(first)
    assert len(scenes(cat, above=0.99, progress=False)) < len(first)


def test_no_scenes(fields, tmp_path):
    cat = catalogue(fields[0])
    alone = cat[cat["image"].str.endswith(("a", "c"))]
    pairs = scenes(alone, progress=False)
    assert pairs.empty and field_leaks(pairs, split(alone, "paper")).empty
    assert with_scenes(alone, pairs)["group"].equals(alone["group"])


def test_blocks_are_those_of_splits():
    rng = np.random.default_rng(0)
    rows = pd.concat([files(103, "A"), files(140, "B")], ignore_index=True)
    rows["group"] = rows["image"].where(rng.random(243) > 0.1, "Z")
    for embargo in (0, 7):
        a, b = block_parts(rows, embargo), split(rows, "blocks", embargo=embargo)
        assert a[["image", "fold", "split"]].equals(b.astype(a.dtypes.to_dict()))
    halves = np.r_[np.arange(103), np.arange(140)] / 2  # two streams in turn
    assert block_parts(rows, 5, halves)["split"].tolist() == split(rows, "blocks", embargo=10)["split"].tolist()


def two_classes(seed=0, n=320):
    rng = np.random.default_rng(seed)
    rows = pd.concat([files(n, "A"), files(n, "B")], ignore_index=True)
    look = np.repeat(rng.normal(size=(2 * n // 40, 5)), 40, axis=0)
    return look + rng.normal(0, 0.5, (2 * n, 5)), rows


def test_ladder_by_hand():
    X, rows = two_classes()
    table = ladder(LogisticRegression(), rows, X, steps=[("files", 0), ("files", 40), ("files", 120)], progress=False)
    y, right = rows["label"].to_numpy(), []
    for _, train, test in each_fold(rows, split(rows, "blocks", embargo=40)):
        right += list(LogisticRegression().fit(X[train], y[train]).predict(X[test]) == y[test])
    assert table["accuracy"][1] == np.mean(right) and table["n"][1] == 640 and table["clusters"][1] == 16
    assert table[["control", "training"]].values.tolist() == [[False, 256], [False, 176], [True, 176], [False, 16], [True, 16]]
    assert table["note"].str.startswith("infeasible: fold").tolist() == [False] * 3 + [True] * 2
    assert table["accuracy"].isna().tolist() == [False] * 3 + [True] * 2


def test_ladder_falls_with_distance_and_its_control_does_not():
    X, rows = two_classes(1)
    table = ladder(KNeighborsClassifier(1), rows, X, steps=[("files", 0), ("files", 40)], progress=False)
    none, away, control = table["accuracy"]
    assert none - away > 0.05 and abs(none - control) < 0.05


def test_ladder_takes_functions_and_streams():
    X, rows = two_classes()
    seen = []

    def predict(train, test):
        seen.append(len(train))
        return rows["label"].to_numpy()[test]
    place = np.tile(np.arange(320) / 2, 2)
    table = ladder(predict, rows, place=place, steps=[("files", 20), ("files of a stream", 10)], progress=False)
    assert (table["accuracy"] == 1).all() and table["note"].eq("too few clusters with errors (0)").all()
    assert table["training"].nunique() == 1 and seen[:10] == seen[10:]


def test_ladder_holds_scenes_out():
    X, rows = two_classes()
    rows["group"] = rows["group"].where(~rows["image"].isin(["A/1", "A/320"]), "one field")
    parts = block_parts(rows, 0)
    assert parts[(parts["image"] == "A/320") & (parts["fold"] == 0)]["split"].item() == "embargo"


def test_locked_by_hand():
    rows = pd.concat([files(100, "A"), files(50, "B")], ignore_index=True)
    rows.loc[[3, 99], "group"] = "one field"
    parts = locked(rows, 0.2, 10)
    want = ["train"] * 70 + ["embargo"] * 10 + ["test"] * 20 + ["train"] * 30 + ["embargo"] * 10 + ["test"] * 10
    want[3] = "embargo"
    assert parts["split"].tolist() == want


@pytest.mark.parametrize("call, words", [
    (lambda rows: streams(pd.concat([rows, rows])), "each image once"),
    (lambda rows: streams(rows[::-1], np.zeros((60, 2))), "not in file order"),
    (lambda rows: streams(rows, np.full((60, 2), np.nan)), "finite"),
    (lambda rows: scenes(rows, search="fast"), "choose from full, near"),
    (lambda rows: scenes(rows, above=0.2), "at least 0.5"),
    (lambda rows: locked(rows, embargo=50), "class A: no file is left open"),
    (lambda rows: block_parts(rows[:3], 0), "5 blocks need as many")])
def test_mistakes(call, words):
    with pytest.raises(InputError, match=words):
        call(files(60))


def test_guarded(fields):
    root, truth = fields
    cat = catalogue(root)
    assert guarded(cat)[0] is cat and guarded(cat)[1] == {}
    joined, facts = guarded(cat, find=True, lock=True, embargo=2, progress=False)
    assert facts == {"scenes": {"pairs": 8, "images": 16, "search": "full", "streams": []}, "locked": {"images": 4, "open": len(joined)}}
    parts = locked(with_scenes(cat, scenes(cat, progress=False)), embargo=2)
    assert set(joined["image"]) == set(parts["image"][parts["split"] == "train"])
    assert all(joined[joined["image"].isin(pair)]["group"].nunique() <= 1 for pair in truth)
    with pytest.raises(InputError, match="has no original image"):
        guarded(cat.assign(variant="segmented"), find=True)


def test_streams_in_turn_are_recorded(fields, monkeypatch):
    cat = catalogue(fields[0])
    first = cat["label"].cat.categories[0]

    def drawn(rows, progress):
        table, mixed = rows[["image", "label"]].assign(stream="x 1", period=1, support=1.0), rows.index[rows["label"] == first][1:4]
        table.loc[mixed, "stream"], table.loc[mixed, "period"] = ["x 2a", "x 2b", "x 2a"], 2
        return table
    monkeypatch.setattr(module, "streams", drawn)
    assert guarded(cat, find=True, progress=False)[1]["scenes"]["streams"] == [{"class": first, "first": 2, "last": 4, "period": 2}]


def test_blocks_by_stream_and_those_that_leave_too_little(monkeypatch):
    _, rows = two_classes()
    cat = rows.assign(variant="original")
    place = np.tile(np.arange(320) / 2, 2)
    monkeypatch.setattr(module, "streams", lambda rows, progress: pd.DataFrame({"place": place}))
    got = feasible_blocks(cat, split(cat, "blocks", embargo=10), 5, 10, "stream")
    assert got["split"].tolist() == split(cat, "blocks", embargo=20)["split"].tolist()
    with pytest.raises(InputError, match=r"^infeasible: fold \d leaves . 16 training images, fewer than 50; use a smaller `embargo`$"):
        feasible_blocks(cat, split(cat, "blocks", embargo=120), 5, 120)
    small = cat[cat.groupby("label").cumcount() < 40]  # too few images with and without an embargo
    assert len(feasible_blocks(small, split(small, "blocks", embargo=5), 5, 5))


def test_shuffles_of_the_inner_folds():
    class Lottery(DummyClassifier):
        "Its predictions depend on its random state."

        def __init__(self, random_state=0):
            super().__init__(strategy="uniform", random_state=random_state)
    X, rows = two_classes()
    step = dict(steps=[("files", 20)], progress=False)
    plain, shuffled = ladder(Lottery(), rows, X, **step), ladder(Lottery(), rows, X, **step, shuffles=3)
    assert (plain["accuracy"] == shuffled["accuracy"]).all() and "least" not in plain
    each = [ladder(Lottery(s), rows, X, **step)["accuracy"] for s in range(3)]
    assert np.allclose(shuffled["least"], np.min(each, axis=0)) and np.allclose(shuffled["most"], np.max(each, axis=0))
    assert (shuffled["least"] < shuffled["most"]).all()


def test_learning_curve_takes_whole_stretches_and_as_many_images_of_all():
    rows = pd.concat([files(480, "A"), files(480, "B")], ignore_index=True)
    X, seen = np.random.default_rng(0).normal(size=(960, 2)), []

    def model(train, test):
        seen.append(train)
        return rows["label"].to_numpy()[test]
    table = learning_curve(model, rows, X, (4, 8), embargo=0)
    assert table["accuracy"].tolist() == [1] * 4 and table["n"].tolist() == [960] * 4 and table["spread"].tolist() == [False, True] * 2
    number = np.tile(np.arange(480) // 40, 2)
    count = [len(set(zip(rows["label"][t], number[t]))) for t in seen]
    assert count[:5] == [8] * 5 and min(count[5:10]) > 16 and count[10:15] == [16] * 5, "four of each class, all, eight of each class"
    assert [len(t) for t in seen[:5]] == [len(t) for t in seen[5:10]]
