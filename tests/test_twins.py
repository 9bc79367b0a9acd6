"Near-duplicates and patients: which images count as one group."
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fake_images import both, picture, table
from leuknb.data import catalogue
from leuknb.lib.files import grey_thumbnail
from leuknb.lib.folders import Findings
from leuknb.patients import CLASSES, smear
from leuknb.twins import SIMILAR, copies, correlation, near_duplicate_groups, similar_pairs, twins


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


def cut_out(seed, colour=0):
    "The largest cell in the middle of a smear on an even background, as data sets of single cells have them."
    drawn = smear(seed, CLASSES[seed % 4], 224)
    middle = drawn.cells[drawn.cells["x"].between(40, 184) & drawn.cells["y"].between(40, 184)]
    if middle.empty:
        return cut_out(seed + 1000, colour)
    x, y, cell = middle.loc[middle["area"].idxmax(), ["x", "y", "cell"]].astype(int)
    here = slice(y - 36, y + 36), slice(x - 36, x + 36)
    return np.where((drawn.mask[here] == cell)[..., None], drawn.image[here], np.uint8(colour))


def framed(seed):
    return np.pad(smear(seed, CLASSES[seed % 4], 96).image[12:-12, 12:-12], ((12, 12), (12, 12), (0, 0)))


def round_field(seed):
    y, x = np.mgrid[-48:48, -48:48]
    return smear(seed, CLASSES[seed % 4], 96).image * (np.hypot(x, y) < 47)[..., None].astype(np.uint8)


def thumbs(images):
    return np.stack([grey_thumbnail(Image.fromarray(image)) for image in images])


def resaved(image, tmp_path):
    Image.fromarray((image * 0.88).round().astype(np.uint8)).save(tmp_path / "x.jpg", quality=85)
    return np.asarray(Image.open(tmp_path / "x.jpg"))


@pytest.mark.parametrize("make", [cut_out, lambda k: cut_out(k, 255), framed, round_field], ids=["black", "white", "frame", "field"])
def test_equal_outlines_make_no_copies_and_copies_are_still_found(make, tmp_path):
    images = [make(k) for k in range(40)]
    small = thumbs(images)
    assert len(similar_pairs(small)[0]) > 15 and len(copies(small)[0]) == 0
    pairs, _ = copies(np.concatenate([small, thumbs([resaved(image, tmp_path) for image in images])]))
    found, right = {tuple(pair) for pair in pairs}, {(k, k + 40) for k in range(40)}
    assert found <= right and len(found) >= 36


def test_sixty_cells_of_sixteen_patients_are_sixteen_groups():
    patients = [f"p{k % 16}" for k in range(60)]
    rows = pd.DataFrame({"image": [f"A/{k}" for k in range(60)], "variant": "original", "patient": patients,
                         "sha256": map(str, range(60)), "thumb": range(60)})
    assert list(near_duplicate_groups(rows, thumbs([cut_out(k) for k in range(60)]), SIMILAR)) == patients


def rows(*lines):
    "A table of lines (image, patient, sha256, which of three scenes), and its thumbnails."
    scenes = np.random.default_rng(0).integers(0, 200, (3, 2304), dtype=np.uint8)
    table = pd.DataFrame(lines, columns=["image", "patient", "sha256", "scene"]).assign(variant="original")
    return table.assign(thumb=range(len(table))), np.stack([scenes[k] + np.uint8(i) for i, k in enumerate(table["scene"])])


def test_named_patients_win_over_likeness_but_not_over_bytes():
    findings = Findings()
    alike = rows(("a", "p1", "1", 0), ("b", "p2", "2", 0), ("c", "", "3", 0), ("d", "p3", "4", 1), ("e", "p4", "4", 1))
    groups = list(near_duplicate_groups(*alike, SIMILAR, findings))
    assert groups[0] == "p1" and groups[1] == "p2" and groups[2] in ("p1", "p2") and groups[3:] == ["p3+p4"] * 2
    [(place, reason)] = findings.warnings
    assert "(p1)" in place and "different patients" in reason and "`similar`" in reason
    unnamed = rows(("a", "", "1", 0), ("b", "p2", "2", 0), ("c", "", "3", 0))
    assert list(near_duplicate_groups(*unnamed, SIMILAR, findings)) == ["p2"] * 3 and len(findings.warnings) == 1


def test_many_copies_of_few_images_are_compared_once(monkeypatch):
    from leuknb import twins as module
    scenes = np.random.default_rng(1).integers(0, 200, (6, 2304), dtype=np.uint8)
    scenes[3], scenes[5] = scenes[0] + 7, 40  # 3 looks like 0; 5 is blank
    kind = np.random.default_rng(2).permutation(np.repeat(range(6), 40))
    many = pd.DataFrame({"image": [f"A/{k}" for k in range(240)], "variant": np.where(kind == 5, "segmented", "original"),
                         "patient": "", "sha256": kind.astype(str), "thumb": range(240)})
    compared, real = [], module.copies
    monkeypatch.setattr(module, "copies", lambda thumbs, above: compared.append(len(thumbs)) or real(thumbs, above))
    groups = near_duplicate_groups(many, scenes[kind], SIMILAR).to_numpy()
    expected = np.where(kind == 5, range(240), np.array([0, 1, 2, 0, 4, 5])[kind])  # blank images stay apart
    first = {value: k for k, value in reversed(list(enumerate(expected)))}
    assert list(groups) == [f"A/{first[value]}" for value in expected] and sorted(compared) == [1, 5]
    monkeypatch.setattr(pd.Series, "duplicated", lambda self, *more: pd.Series(False, self.index))
    assert list(near_duplicate_groups(many, scenes[kind], SIMILAR)) == list(groups) and compared[2:] == [200, 40]


def test_blank_and_tiny_images_are_no_copies_of_each_other():
    dots = np.zeros((3, 48, 48), np.uint8)
    dots[0, 5, 5] = dots[1, 20:22, 20:22] = dots[2, 40:43, 8] = 200
    assert len(copies(dots.reshape(3, -1))[0]) == 0 and len(copies(np.zeros((4, 2304), np.uint8))[0]) == 0
    assert len(copies(np.concatenate([dots, dots]).reshape(6, -1))[0]) == 3


def test_correlation_against_numpy():
    first, second = picture(1), picture(1).point(lambda v: v // 2 + 60)
    small = [np.asarray(image.convert("L").resize((48, 48), Image.BOX), dtype=float).ravel() for image in (first, second)]
    np.testing.assert_allclose(correlation(first, second), np.corrcoef(small)[0, 1], atol=1e-6)
    assert correlation(first, picture(2)) < 0.9 < correlation(first, second) and correlation(first, Image.new("RGB", (40, 40))) == 0
