"Every split against what it promises: counts, groups, blocks, files."
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_images import made
from leuknb import splits
from leuknb.lib.datasets import CLASSES, DATASET
from leuknb.lib.errors import InputError
from leuknb.splits import (
    each_fold, inner_blocks, inner_folds, inner_groups, inner_split, leaks, load_split, n_test, save_split, split, train_test_rows,
)


PUBLIC = {label: facts["images"] for label, facts in DATASET["classes"].items()}


def test_the_papers_split():
    cat = made(PUBLIC)
    parts = split(cat, "paper")
    counts = parts.merge(cat.drop_duplicates("image")).groupby(["label", "split"], observed=True).size().unstack()
    assert list(counts["test"]) == [151, 295, 289, 241] and counts["test"].sum() == 976
    assert len(parts) == 3256 and parts["fold"].eq(0).all() and list(parts.columns) == ["image", "fold", "split"]


def test_the_group_split_reaches_the_papers_numbers():
    sizes = {label: [3, 3, *[2] * 10, *[1] * (n - 26)] for label, n in PUBLIC.items()}
    cat = made(PUBLIC, sizes)
    for seed in range(3):
        parts = split(cat, "group", seed=seed)
        found = parts[parts["split"] == "test"].merge(cat.drop_duplicates("image"))["label"].value_counts()
        assert {label: found[label] for label in CLASSES} == {label: n_test(n) for label, n in PUBLIC.items()}
        assert leaks(cat, parts).empty


def test_seeds_and_repeats():
    cat = made({"A": 20, "B": 30})
    parts = split(cat, "kfold", seed=3, repeats=3, folds=4)
    assert list(parts["fold"].unique()) == list(range(12))
    pd.testing.assert_frame_equal(parts[parts["fold"] < 4].reset_index(drop=True), split(cat, "kfold", seed=3, folds=4))
    first, second = (parts[parts["fold"] == f]["split"].to_list() for f in (0, 4))
    assert first != second and first != split(cat, "kfold", seed=4, folds=4)["split"].to_list()[:50]


def test_a_patient_of_two_classes_stays_whole():
    cat = made({"A": 10, "B": 10}, variants=1)
    cat.loc[cat["image"].isin(["A/1", "A/2", "B/1"]), "group"] = "p"
    for seed in range(10):
        assert split(cat, "group", seed=seed).set_index("image")["split"][["A/1", "A/2", "B/1"]].nunique() == 1


REFUSED = [
    (dict(scheme="random"), "choose from paper, kfold"), (dict(seed=-1), "seed=-1: give a whole number of at least 0"),
    (dict(seed=2**32), "seed=4294967296: give a whole number"), (dict(repeats=0), "repeats=0"),
    (dict(folds=1, scheme="kfold"), "folds=1: give a whole number of at least 2"), (dict(embargo=-1), "embargo=-1"),
    (dict(scheme="blocks", repeats=2), "nothing random to repeat"), (dict(scheme="kfold"), "class B has 4 images; the split 'kfold' needs 5"),
    (dict(scheme="blocks", folds=5), "class B has 4 images"), (dict(scheme="blocks", folds=4, embargo=9), "use a smaller embargo"),
    (dict(scheme="group-kfold", folds=4), "class B has 1 group; the split 'group-kfold' needs 4"), (dict(scheme="group"), "class B has 1 group;"),
]


@pytest.mark.parametrize("options, message", REFUSED)
def test_refused_splits(options, message):
    with pytest.raises(InputError, match=message):
        split(made({"A": 40, "B": 4}, {"A": [1] * 40, "B": [4]}), **options)


def test_a_class_of_one_image_is_refused():
    with pytest.raises(InputError, match="class B has 1 image; the split 'paper' needs 2"):
        split(made({"A": 4, "B": 1}))


def test_an_image_with_two_labels_is_refused():
    cat = made({"A": 4, "B": 4})
    with pytest.raises(InputError, match="image A/1 has two labels"):
        split(pd.concat([cat, cat.head(1).assign(label="B")]))


def test_filtered_catalogues_split():
    cat = made({"A": 10, "B": 10, "C": 10})
    parts = split(cat[cat["label"] != "B"], "paper")
    assert set(parts["image"].str[0]) == {"A", "C"}


@st.composite
def catalogues(draw):
    "Two to four classes, each of a few groups of a few images."
    groups = {label: draw(st.lists(st.integers(1, 6), min_size=5, max_size=12)) for label in "ABCD"[:draw(st.integers(2, 4))]}
    cat = made({label: sum(sizes) for label, sizes in groups.items()}, groups, variants=draw(st.integers(1, 2)), seed=draw(st.integers(0, 9)))
    if draw(st.booleans()):  # one group of two classes
        cat["group"] = cat["group"].replace({"B-0": "A-0"})
    return cat


PROPERTY = settings(max_examples=40, deadline=None)


@PROPERTY
@given(cat=catalogues(), scheme=st.sampled_from(splits.SCHEMES), seed=st.integers(0, 2**32 - 1), shuffle=st.integers(0, 99))
def test_every_split(cat, scheme, seed, shuffle):
    options = dict(scheme=scheme, seed=seed, folds=4, embargo=1, repeats=1 if scheme == "blocks" else 2)
    try:
        parts = split(cat, **options)
    except InputError as error:
        assert "group" in scheme or scheme == "blocks", error
        return
    images = cat.drop_duplicates("image")
    for fold, part in parts.groupby("fold"):
        assert sorted(part["image"]) == sorted(images["image"])  # every image once a fold
        joined = part.merge(images)
        assert set(joined.loc[joined["split"] == "train", "label"]) == set(images["label"])
        assert "test" in set(part["split"])
    if scheme not in ("paper", "kfold"):
        assert leaks(cat, parts).empty
    if "kfold" in scheme or scheme == "blocks":  # every image tested once a repeat
        tested = parts[parts["split"] == "test"]["image"].value_counts()
        assert (tested == options["repeats"]).all() and len(tested) == len(images)
    assert (parts["split"] == "embargo").any() == (scheme == "blocks")
    again = split(cat.sample(frac=1, random_state=shuffle), **options)
    pd.testing.assert_frame_equal(parts, again)


@PROPERTY
@given(sizes=st.dictionaries(st.sampled_from("ABCD"), st.integers(2, 80), min_size=2), seed=st.integers(0, 99))
def test_paper_counts(sizes, seed):
    cat = made(sizes)
    tested = split(cat, "paper", seed=seed).query("split == 'test'")["image"].str[0].value_counts()
    assert dict(tested) == {label: n_test(n) for label, n in sizes.items()}


@PROPERTY
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=10), share=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_subset_is_as_near_as_can_be(sizes, share, seed):
    target = round(share * sum(sizes))
    chosen = splits._subset(sizes, target, np.random.default_rng(seed))
    sums = {sum(s for i, s in enumerate(sizes) if mask >> i & 1) for mask in range(1, 2**len(sizes) - 1)}  # by trying everything
    assert abs(sum(sizes[i] for i in chosen) - target) == min(abs(s - target) for s in sums)
    assert len(set(chosen)) == len(chosen)


def test_subset_is_random_and_fair():
    counts = np.zeros(6)
    for seed in range(600):
        counts[splits._subset([1] * 6, 2, np.random.default_rng(seed))] += 1
    assert counts.sum() == 1200 and abs(counts - 200).max() < 5 * np.sqrt(600 * 1 / 3 * 2 / 3)


@PROPERTY
@given(n=st.integers(10, 60), folds=st.integers(2, 5), embargo=st.integers(0, 3))
def test_blocks_are_contiguous_with_an_embargo_on_both_sides(n, folds, embargo):
    cat = made({"A": n, "B": n})
    parts = split(cat, "blocks", folds=folds, embargo=embargo)
    for _, part in parts[parts["image"].str.startswith("A/")].groupby("fold"):
        part = part.sort_values("image", key=lambda s: s.map(lambda name: int(name[2:])))
        order = part["split"].to_list()
        first, last = order.index("test"), n - 1 - order[::-1].index("test")
        assert set(order[first:last + 1]) == {"test"}
        near = [i for i in range(n) if order[i] == "embargo"]
        assert near == [i for i in range(n) if first - embargo <= i < first or last < i <= last + embargo]


def test_saved_splits_come_back(tmp_path):
    cat = made({"A": 12, "B": 12}, {"A": [2] * 6, "B": [3] * 4})
    for scheme in splits.SCHEMES:
        parts = split(cat, scheme, folds=3, embargo=1)
        save_split(parts, tmp_path / "split.csv")
        pd.testing.assert_frame_equal(load_split(tmp_path / "split.csv", cat, by_group=scheme not in ("paper", "kfold")), parts)
    assert (tmp_path / "split.csv").read_bytes().startswith(b"image,fold,split\nA/1,0,test\n")


SPLITS = {
    "unknown image": (lambda p: p.replace("A/1", "A/99"), "A/99 is not in the catalogue"),
    "missing image": (lambda p: p[p["image"] != "B/2"], "B/2 (fold 0) is missing"),
    "missing in one fold": (lambda p: pd.concat([p, p[:-1].assign(fold=1)]), "B/4 (fold 1) is missing"),
    "twice": (lambda p: pd.concat([p, p[:1]]), "A/1 is listed twice in one fold"),
    "unknown part": (lambda p: p.replace("train", "training"), "training (and 4 more) is none of train, test, embargo"),
    "no test": (lambda p: p.replace("test", "train"), "fold 0 has no training or no test images"),
    "text as fold": (lambda p: p.assign(fold="first"), "a whole number is expected"),
    "no rows": (lambda p: p[:0], "holds no rows below its header"),
    "no fold": (lambda p: p[["image", "split"]], "lacks the column fold"),
    "one group in both sets": (lambda p: p, "has an image of its group in training"),
}


@pytest.mark.parametrize("name", SPLITS)
def test_split_files_that_do_not_fit(name, tmp_path):
    cat = made({"A": 4, "B": 4})
    cat["group"] = cat["label"].astype(str)
    change, message = SPLITS[name]
    parts = pd.DataFrame({"image": cat["image"].unique(), "fold": 0, "split": ["train", "test", "train", "train"][:4] + ["train", "test", "train", "test"]})
    change(parts).to_csv(tmp_path / "split.csv", index=False)
    with pytest.raises(InputError) as refused:
        load_split(tmp_path / "split.csv", cat, by_group=True)
    assert message in str(refused.value) and str(tmp_path / "split.csv") in str(refused.value)


# Rows of folds ---------------------------------------------------------------------------------------------------------------------------

def test_rows_of_every_fold():
    cat = made({"A": 12, "B": 12})
    rows, parts = cat[cat["variant"] == "original"].sample(frac=1, random_state=0), split(cat, "blocks", folds=3, embargo=1)
    for fold, train, test in each_fold(rows, parts):
        part = parts[parts["fold"] == fold]
        assert set(rows["image"].iloc[train]) == set(part.loc[part["split"] == "train", "image"])
        assert set(rows["image"].iloc[test]) == set(part.loc[part["split"] == "test", "image"])
        assert all(map(np.array_equal, (train, test), train_test_rows(rows, parts, fold)))
    assert fold == 2
    assert len(train_test_rows(rows, parts[parts["image"] != rows["image"].iloc[test[0]]], fold)[1]) == len(test) - 1  # listed nowhere


# Inside the training rows ----------------------------------------------------------------------------------------------------------------

def test_groups_stay_together_in_inner_folds():
    people = np.arange(240) // 4
    y = np.array(list("abcd"))[people % 4]
    folds = inner_folds(y, people, 5, 0)
    assert len(folds) == 5 and all(not set(people[a]) & set(people[b]) for a, b in folds)


@pytest.mark.parametrize("counts, groups, folds", [((40, 40), None, 5), ((40, 3), None, 3), ((40, 2), None, 2), ((40, 1), None, 0),
                                                   ((40, 40), 4, 2), ((40, 40), 40, 0)])
def test_fewer_folds_where_a_class_is_small(counts, groups, folds):
    y = np.repeat(["a", "b"], counts)
    g = None if groups is None else np.arange(len(y)) // (groups * 5 if groups < 40 else 40)
    if folds:
        assert len(inner_folds(y, g, 5, 0)) == folds
    else:
        with pytest.warns(UserWarning, match="nothing is tuned or calibrated"):
            assert inner_folds(y, g, 5, 0) == []


@pytest.mark.parametrize("cv", [1, 0, True])
def test_too_small_a_number_of_inner_folds(cv):
    with pytest.raises(InputError, match=f"cv={cv}: give a whole number of at least 2"):
        inner_folds(np.repeat(["a", "b"], 9), cv=cv)


def test_inner_groups_are_blocks_where_the_outer_folds_are():
    cat = made({"A": 13, "B": 22})
    part = cat[cat["variant"] == "original"]
    assert (inner_groups(part) == part["group"]).all()
    named = pd.Series(inner_groups(part, 4), index=part.index)
    assert (named.groupby(part["label"], observed=True).nunique() == 4).all()
    for _, stretch in named.groupby(part["label"], observed=True):
        assert stretch.is_monotonic_increasing and stretch.value_counts().max() - stretch.value_counts().min() <= 1
    blocks, embargoed, group = split(cat, "blocks", folds=3, embargo=0), split(cat, "blocks", folds=3, embargo=1), split(cat, "group")
    assert inner_blocks(blocks, "blocks") == inner_blocks(embargoed) == 3 and inner_blocks(group, "group") is None


@given(n=st.integers(5, 60), blocks=st.integers(1, 5))
def test_blocks_differ_by_one_row_at_most(n, blocks):
    for longer_first in (False, True):
        numbers = splits.block_numbers(n, blocks, longer_first)
        sizes = np.bincount(numbers, minlength=blocks)
        assert (np.diff(numbers) >= 0).all() and len(sizes) == blocks and sizes.max() - sizes.min() <= 1
        assert (sizes[0] if longer_first else sizes[-1]) == sizes.max()
    edges = [fold * n // blocks for fold in range(blocks + 1)]
    assert np.bincount(splits.block_numbers(n, blocks)).tolist() == np.diff(edges).tolist()
    assert splits.block_numbers(n, blocks, True).tolist() == (blocks - 1 - splits.block_numbers(n, blocks)[::-1]).tolist()


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15)), min_size=40, max_size=80), st.integers(0, 100))
def test_inner_split_keeps_groups_together(rows, seed):
    classes = ["a", "b", "c"]
    codes = np.array([0, 1, 2] * 4 + [code for code, _ in rows])
    groups = np.array([f"first {k}" for k in range(12)] + [f"{code} {group}" for code, group in rows])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train, valid = inner_split(codes, classes, groups, 0.2, seed)
    assert set(codes[valid]) == {0, 1, 2} or caught
    assert sorted([*train, *valid]) == list(range(len(codes)))
    assert not set(groups[train]) & set(groups[valid]) and set(codes[train]) == {0, 1, 2}


def test_a_rare_class_does_not_take_half_of_the_others():
    codes = np.repeat([0, 1, 2], [40, 200, 200])
    groups = np.r_[np.repeat([0, 1], 20), 10 + np.arange(400)]
    train, valid = inner_split(codes, list("abc"), groups, 0.15, 0)
    assert np.bincount(codes[valid])[0] == 20 and 25 <= np.bincount(codes[valid])[1] <= 32
    assert 0.3 < len(inner_split(codes[40:] - 1, list("bc"), None, 0.35, 0)[1]) / 400 < 0.36


def test_two_rare_classes_are_both_validated():
    codes = np.repeat([0, 1, 2], [2, 2, 200])
    for seed in range(5):
        train, valid = inner_split(codes, list("abc"), None, 0.15, seed)
        assert np.bincount(codes[valid])[:2].tolist() == [1, 1] and np.bincount(codes[train])[:2].tolist() == [1, 1]
