"Layouts of image folders as people have them."
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_images import both, names_are_shared, picture, smears
from leuknb.data import COLUMNS, catalogue
from leuknb.lib.datasets import CLASSES
from leuknb.lib.errors import InputError
from leuknb.lib.layouts import natural
from leuknb.splits import split


def test_kaggle_layout(tmp_path):
    cat = catalogue(both(tmp_path / "smears", classes=CLASSES))
    assert list(cat.columns) == COLUMNS and len(cat) == 2 * 4 * 3
    assert list(cat["label"].cat.categories) == CLASSES and cat["label"].cat.ordered
    assert cat["image"].iloc[0] == "Benign/Benign-1" and list(cat["variant"][:2]) == ["original", "segmented"]
    assert (cat.groupby("image")["variant"].nunique() == 2).all()
    assert cat.attrs == {"problems": [], "warnings": [], "read_as": "classes: Benign, Early, Pre, Pro", "bits": None}
    assert set(cat["width"]) == {40} and all(len(d) == 64 for d in cat["sha256"])
    assert all(Path(p).is_absolute() and Path(p).exists() for p in cat["path"])


@pytest.mark.parametrize("original, segmented, outer", [
    ("original", "SEGMENTED", ""), ("Original", "Segmented", "archive"), ("ORIGINAL", "segmented", "archive/ALL data"), ("Original", None, ""),
    (None, "Segmented", "out"), ("Original", "Segmented", "a/b/c"), ("Original", "Segmented", "a/b/c/d/e"), (None, "Segmented", "a/b/c"),
])
def test_kaggle_layout_in_any_case_and_folder(tmp_path, original, segmented, outer):
    root = tmp_path / "root"
    for name, seed in ((original, 0), (segmented, 700)):
        if name:
            smears(root / outer / name, ["benign", "PRO"], seed=seed)
    cat = catalogue(root)
    assert set(cat["variant"]) == {name.lower() for name in (original, segmented) if name}
    assert set(cat["image"]) == {f"{label}/{stem}-{i}" for label, stem in (("Benign", "benign"), ("Pro", "PRO")) for i in (1, 2, 3)}


def test_several_data_sets_far_down_are_refused(tmp_path):
    both(tmp_path / "a" / "b" / "c1"), both(tmp_path / "a" / "b" / "c2")
    with pytest.raises(InputError, match="site/class: sites c1, c2; classes Benign, Pro"):
        catalogue(tmp_path)
    assert len(catalogue(tmp_path, layout="site/class")) == 24


def test_naming_one_variant_folder(tmp_path):
    both(tmp_path)
    assert set(catalogue(tmp_path / "Segmented")["variant"]) == {"segmented"}
    assert set(catalogue(tmp_path / "Original")["variant"]) == {"original"}


def test_any_classes_in_an_outer_folder(tmp_path):
    smears(tmp_path / "download" / "cells", ["lymphocyte", "Blast", "monocyte"])
    cat = catalogue(tmp_path)
    assert list(cat["label"].cat.categories) == ["Blast", "lymphocyte", "monocyte"]
    assert set(cat["variant"]) == {"original"}


@pytest.mark.parametrize("names, labels", [
    (["pro", "early"], ["Early", "Pro"]),
    (["[Malignant] Pro-B", "[Malignant] Pre-B", "[Malignant] early Pre-B", "Benign"], CLASSES),
    (["hematogones", "Pre-B"], ["Benign", "Pre"]),
    (["Pre", "post"], ["post", "Pre"]),
    (["Pro-1", "Pro-2"], ["Pro-1", "Pro-2"]),
    (["class 10", "class 9"], ["class 9", "class 10"]),
])
def test_class_names(names, labels, tmp_path):
    assert list(catalogue(smears(tmp_path, names))["label"].cat.categories) == labels


def test_two_spellings_of_one_class_are_reported(tmp_path):
    smears(tmp_path, ["Pre", "Pre-B", "Pro"])
    cat = catalogue(tmp_path)
    assert list(cat["label"].cat.categories) == ["Pre", "Pro"]
    assert cat.attrs["warnings"] == ["original: Pre and Pre-B are read as one class, Pre"]


def test_what_folders_hold_besides_is_skipped(tmp_path):
    root = smears(tmp_path / "smears")
    for name in ("Thumbs.db", ".DS_Store", "README.md", "._Pro-1.jpg", "desktop.ini", "labels.csv", "model.npy", "no_ending"):
        (root / "Pro" / name).write_bytes(b"BM or P6 or whatever\0\1\2")
    for name in ("__MACOSX", ".ipynb_checkpoints"):
        (root / name).mkdir()
        (root / name / "x.jpg").write_bytes(b"")
    cat = catalogue(root)
    assert len(cat) == 6 and cat.attrs["problems"] == cat.attrs["warnings"] == []


def test_warnings(tmp_path):
    root = smears(tmp_path / "smears")
    picture(900).save(root / "Pro" / "wrong.jpg", "PNG")
    picture(901).save(root / "Pro" / "none.dat", "JPEG")
    picture(902).save(root / "loose.png")
    (root / "notes").mkdir()
    cat = catalogue(root)
    assert sorted(cat.attrs["warnings"]) == [
        "Pro/none.dat: is a JPEG image by its content; rename it", "Pro/wrong.jpg: is a PNG image by its content; rename it",
        "loose.png: lies outside the class folders; left out", "notes: the folder holds no images"]
    assert {"Pro/wrong", "Pro/none.dat"} <= set(cat["image"])


def test_images_of_one_variant_only_are_reported(tmp_path):
    root = both(tmp_path / "smears")
    (root / "Segmented" / "Pro" / "Pro-3.jpg").unlink()
    assert catalogue(root).attrs["warnings"] == ["1 original image without a segmented one, such as Pro/Pro-3"]


def test_equal_names_stay_apart(tmp_path):
    root = both(tmp_path / "smears")
    for i, name in enumerate(["day 1/a.jpg", "day 2/a.jpg", "a.jpg", "a.png", "A.jpg"]):
        for variant in ("Original", "Segmented"):
            path = root / variant / "Pro" / name
            path.parent.mkdir(exist_ok=True)
            picture(3000 + 10 * i + len(variant)).save(path)
    cat = catalogue(root)
    new = {"Pro/day 1/a", "Pro/day 2/a", "Pro/a.jpg", "Pro/a.png", "Pro/A"}
    assert new <= set(cat["image"]) and (cat.groupby("image")["variant"].agg(sorted).map(tuple) == ("original", "segmented")).all()


def test_two_folders_of_one_class_keep_equal_names_apart(tmp_path):
    smears(tmp_path, ["Pre", "pre", "Pro"])
    for folder, seed in (("Pre", 50), ("pre", 51)):
        picture(seed).save(tmp_path / folder / "same.jpg")
    assert {"Pre/same.jpg", "pre/same.jpg"} <= set(catalogue(tmp_path)["image"])


def test_endings_may_differ_between_variants(tmp_path):
    smears(tmp_path / "Original", ending=".tif")
    smears(tmp_path / "Segmented", ending=".png", seed=700)
    assert catalogue(tmp_path)["image"].nunique() == 6


def test_links_are_followed_and_loops_are_not(tmp_path):
    real = smears(tmp_path / "real")
    root = tmp_path / "smears"
    root.mkdir()
    for label in ("Benign", "Pro"):
        (root / label).symlink_to(real / label)
    (real / "Pro" / "again").symlink_to(real / "Pro")
    assert len(catalogue(root)) == 6


@given(st.lists(st.text(max_size=12), max_size=6))
def test_natural_order_takes_any_name(names):
    assert sorted(sorted(names, key=natural), key=natural) == sorted(names[::-1], key=natural)


def test_the_current_folder_is_known_by_its_name(tmp_path, monkeypatch):
    smears(tmp_path / "Segmented")
    monkeypatch.chdir(tmp_path / "Segmented")
    for root in (".", "Pro/.."):
        assert set(catalogue(root)["variant"]) == {"segmented"}


def test_variants_inside_the_class_folders(tmp_path):
    for label, seed in (("Benign", 0), ("Pro", 300)):
        for variant, more in (("Original", 0), ("Segmented", 5000)):
            (tmp_path / label / variant).mkdir(parents=True)
            for i in range(4):
                picture(seed + more + i).save(tmp_path / label / variant / f"{i}.png")
    cat = catalogue(tmp_path)
    assert cat["variant"].value_counts().to_dict() == {"original": 8, "segmented": 8} and names_are_shared(cat)


def test_two_spellings_of_one_variant_are_refused(tmp_path):
    smears(tmp_path / "Original"), smears(tmp_path / "original", seed=900)
    with pytest.raises(InputError, match="holds both Original and original"):
        catalogue(tmp_path)


def test_train_and_test_are_no_classes(tmp_path):
    smears(tmp_path / "train"), smears(tmp_path / "test", seed=900), (tmp_path / "annotations").mkdir()
    cat = catalogue(tmp_path)
    assert cat.attrs["read_as"] == "classes: Benign, Pro; sets: train 6, test 6" and cat.attrs["warnings"] == ["annotations: the folder holds no images"]
    parts = split(cat).merge(cat[["image", "given_split"]])
    assert (parts["split"] == parts["given_split"]).all() and parts["fold"].eq(0).all()


def test_what_lies_beside_the_variants_is_named(tmp_path):
    both(tmp_path / "set"), smears(tmp_path / "set" / "Augmented", seed=900)
    picture(7).save(tmp_path / "set" / "loose.jpg")
    warned = "\n".join(catalogue(tmp_path / "set").attrs["warnings"])
    assert "Augmented: 6 images outside Original and Segmented; left out" in warned and "loose.jpg: lies outside" in warned


def test_problems_in_a_variant_that_is_not_requested(tmp_path):
    both(tmp_path)
    (tmp_path / "Segmented" / "Pro" / "empty.jpg").touch()
    shutil.rmtree(tmp_path / "Segmented" / "Benign")
    with pytest.raises(InputError, match="empty file"):
        catalogue(tmp_path)
    assert len(catalogue(tmp_path, variants=("original",))) == 6
    with pytest.raises(InputError, match="variants 'stained': choose from original, segmented"):
        catalogue(tmp_path, variants=("stained",))
