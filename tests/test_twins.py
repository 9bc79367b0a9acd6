"Near-duplicates and patients: which images count as one group."
import shutil

import numpy as np
from PIL import Image

from fake_images import both, picture, table
from leuknb.data import catalogue
from leuknb.twins import correlation, similar_pairs, twins


def test_patients(tmp_path):
    rows = [f"Benign/Benign-{i}.jpg,Benign,{'p1' if i < 3 else 'p2'}," for i in (1, 2, 3)] + [f"Pro/Pro-{i}.jpg,Pro,{'p10' if i < 3 else ''}," for i in (1, 2, 3)]
    cat = catalogue(table(tmp_path / "smears", *rows))
    assert list(cat["group"]) == ["p1", "p1", "p2", "p10", "p10", "Pro/Pro-3"]
    assert cat.attrs["warnings"] == ["1 image without a patient, such as Pro/Pro-3"]


def test_patients_that_share_an_image_are_one_group(tmp_path):
    path = table(tmp_path / "smears", "Benign/Benign-1.jpg,Benign,p2,", "Benign/copy.jpg,Benign,p1,", "Pro/Pro-1.jpg,Pro,p3,", "Pro/Pro-2.jpg,Pro,p3,")
    shutil.copy(path.parent / "Benign" / "Benign-1.jpg", path.parent / "Benign" / "copy.jpg")
    cat = catalogue(path)
    assert list(cat["group"]) == ["p1+p2", "p1+p2", "p3", "p3"]
    assert cat.attrs["warnings"] == ["patients p1 and p2 share an image or near-identical ones; they count as one group"]


def test_groups(tmp_path):
    root = both(tmp_path / "smears", n=8)
    original, segmented = root / "Original" / "Pro", root / "Segmented" / "Pro"
    shutil.copy(original / "Pro-1.jpg", original / "Pro-2.jpg")  # identical in the originals
    picture(107).point(lambda v: v // 2 + 60).save(original / "Pro-4.jpg")  # the 8th, paler
    shutil.copy(segmented / "Pro-2.jpg", segmented / "Pro-5.jpg")  # identical in the segmented ones: joins 1, 2, 5
    for name in ("Pro-6.jpg", "Pro-7.jpg"):
        Image.new("RGB", (40, 40)).save(segmented / name)  # nothing found: not copies of each other
    cat = catalogue(root)
    group = cat.drop_duplicates("image").set_index("image")["group"]
    assert group["Pro/Pro-1"] == group["Pro/Pro-2"] == group["Pro/Pro-5"] == "Pro/Pro-1"
    assert group["Pro/Pro-4"] == group["Pro/Pro-8"] == "Pro/Pro-4"
    assert group.nunique() == 16 - 3
    assert (cat.groupby("image")["group"].nunique() == 1).all()
    pairs = twins(cat)
    assert list(zip(pairs["first"], pairs["second"])) == [("Pro/Pro-1", "Pro/Pro-2"), ("Pro/Pro-4", "Pro/Pro-8")]
    assert list(pairs["identical"]) == [True, False]


def test_similar_pairs_against_numpy():
    rng = np.random.default_rng(1)
    thumbs = rng.integers(0, 256, (50, 100), dtype=np.uint8)
    thumbs[7] = 9  # blank
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num(np.corrcoef(thumbs))
    pairs, values = similar_pairs(thumbs, above=0.1, block=16)
    assert sorted(map(tuple, pairs)) == sorted(map(tuple, np.argwhere(np.triu(r > 0.1, 1))))
    np.testing.assert_allclose(values, r[tuple(pairs.T)], atol=1e-5)


def test_correlation_against_numpy():
    first, second = picture(1), picture(1).point(lambda v: v // 2 + 60)
    small = [np.asarray(image.convert("L").resize((48, 48), Image.BOX), dtype=float).ravel() for image in (first, second)]
    np.testing.assert_allclose(correlation(first, second), np.corrcoef(small)[0, 1], atol=1e-6)
    assert correlation(first, picture(2)) < 0.9 < correlation(first, second) and correlation(first, Image.new("RGB", (40, 40))) == 0
