"""Segmentation: the authors' threshold against an independent conversion, the corrected one against the truth."""
import colorsys
import errno
import io
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leuknb.lib.errors import InputError
from leuknb.patients import CLASSES, smear
from leuknb.segment import HUE, SATURATION, authors_mask, authors_segment, find_cells, segment, segment_folder, swapped_hsv
from leuknb.synth import Cells, Patient, draw


def dice(a, b):
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)


@settings(max_examples=200, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_swapped_hsv_is_the_hsv_of_bgr(colour):
    r, g, b = (c / 255 for c in colour)
    expected = np.multiply(colorsys.rgb_to_hsv(b, g, r), (180, 255, 255))
    ours = swapped_hsv(np.array(colour, np.uint8)[None, None])[0, 0].astype(float)
    gap = np.abs(ours - expected)
    gap[0] = min(gap[0], 180 - gap[0])
    assert (gap <= 0.51).all() and ours[0] < 180


def test_the_published_picture_is_value_saturation_hue():
    rgb = smear(3, "Early", 96, stain_leak=1).image
    mask, picture = authors_mask(rgb), authors_segment(rgb)
    assert picture.dtype == np.uint8 and (picture[~mask] == 0).all()
    assert (picture[mask][:, 0] == rgb[mask].max(1)).all(), "value is the brightest channel"
    assert picture[mask][:, 2].min() >= HUE and picture[mask][:, 1].min() >= SATURATION
    assert (rgb == smear(3, "Early", 96, stain_leak=1).image).all(), "the input is left alone"


def test_the_files_of_pro_and_benign_are_segmented_too():
    for label in ("Pro", "Benign"):
        drawn = [smear(10000 + k, label, scale_bar=0) for k in range(25)]
        found = [find_cells(np.asarray(Image.open(io.BytesIO(s.jpeg())))) for s in drawn]
        assert np.median([dice(f > 0, s.mask > 0) for f, s in zip(found, drawn)]) >= 0.85


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("leak", [0, 1])
def test_cells_of_every_class_are_found(label, leak):
    drawn = [smear(700 + k, label, stain_leak=leak) for k in range(15)]
    found = [find_cells(s.image) for s in drawn]
    assert np.median([dice(f > 0, s.mask > 0) for f, s in zip(found, drawn)]) >= 0.85
    counts = np.array([(f.max(), s.mask.max()) for f, s in zip(found, drawn)])
    assert 0.75 < counts[:, 0].sum() / counts[:, 1].sum() < 1.2


def test_the_authors_threshold_misses_pro_and_the_corrected_does_not():
    pro = [smear(800 + k, "Pro", 160, stain_leak=1) for k in range(10)]
    old, new = (np.median([dice(find(s.image), s.mask > 0) for s in pro]) for find in (authors_mask, lambda p: find_cells(p) > 0))
    assert old < 0.5 < 0.85 <= new


def test_labels_are_numbered_without_gaps():
    labels = find_cells(smear(1, "Pre").image)
    assert labels.dtype == np.int32 and set(np.unique(labels)) == set(range(labels.max() + 1))


def test_turning_the_picture_turns_the_cells():
    rgb = smear(2, "Pre").image
    assert dice(find_cells(np.rot90(rgb)) > 0, np.rot90(find_cells(rgb)) > 0) > 0.97


def test_twice_the_pixels_same_cells():
    small, large = smear(3, "Early", 224), smear(3, "Early", 448)
    assert abs(find_cells(small.image).max() - find_cells(large.image).max()) <= 1
    wide = np.concatenate([small.image, small.image], axis=1)
    assert dice(find_cells(wide)[:, :224] > 0, small.mask > 0) > 0.8, "pictures need not be square"


@pytest.mark.parametrize("picture", [
    np.zeros((40, 40, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8), np.full((33, 90, 3), 128, np.uint8),
    np.random.default_rng(0).integers(200, 210, (64, 64, 3)).astype(np.uint8),
    draw(5, Patient(cells=Cells(count=0), others={}), 160).image,
], ids=["black", "white", "grey", "noise", "red cells only"])
def test_where_there_is_no_cell_none_is_found(picture):
    assert find_cells(picture).max() == 0
    assert segment(picture).max() == 0


def test_segment_is_black_outside_and_unchanged_inside():
    rgb = smear(6, "Pre", 128).image
    picture, inside = segment(rgb), find_cells(rgb) > 0
    assert picture.dtype == np.uint8 and (picture[inside] == rgb[inside]).all() and not picture[~inside].any()


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "mine"
    for name, label in {"ward 3/é.JPG": "Pre", "ward 3/deep/b.png": "Pro", "c.tif": "Early"}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smear(9, label, 96).image).save(home / name)
    (home / "notes.txt").write_text("not a picture")
    return home


@pytest.mark.parametrize("method", ["corrected", "authors"])
def test_a_folder_keeps_its_structure(folder, tmp_path, method):
    done = segment_folder(folder, tmp_path / "cut", method, progress=False)
    names = ["c.png", "ward 3/deep/b.png", "ward 3/é.png"]
    assert sorted(done.table["image"]) == names and "3 images segmented" in str(done)
    assert sorted(p.relative_to(tmp_path / "cut").as_posix() for p in (tmp_path / "cut").rglob("*.*")) == sorted([*names, "segments.csv"])
    source = np.asarray(Image.open(folder / "c.tif"))
    expected = segment(source) if method == "corrected" else authors_segment(source)
    assert (np.asarray(Image.open(tmp_path / "cut" / "c.png")) == expected).all()
    assert pd.read_csv(tmp_path / "cut" / "segments.csv")["kept"].between(0, 1).all()


def test_the_result_does_not_depend_on_the_workers(folder, tmp_path):
    one, two = (segment_folder(folder, tmp_path / str(n), workers=n, progress=False) for n in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table)


def test_images_without_cells_are_named(folder, tmp_path):
    Image.new("RGB", (80, 80), "white").save(folder / "empty.png")
    done = segment_folder(folder, tmp_path / "cut", progress=False)
    assert done.empty == ["empty.png"] and "no cell in 1: empty.png" in str(done)


def test_pictures_without_colour_are_named(folder, tmp_path):
    Image.open(folder / "c.tif").convert("L").save(folder / "grey.jpg")
    done = segment_folder(folder, tmp_path / "cut", progress=False)
    assert done.grey == ["grey.png"] and "without colour, which segmentation needs: grey.png" in str(done)


def test_the_output_does_not_become_input(folder, tmp_path):
    for out in (folder, folder / "cut"):
        with pytest.raises(InputError, match="name a folder outside"):
            segment_folder(folder, out, progress=False)
    assert not (folder / "cut").exists()


def test_all_unreadable_files_are_named_at_once(folder, tmp_path):
    (folder / "a.jpg").write_bytes(b"")
    (folder / "z.png").write_bytes((folder / "ward 3/deep/b.png").read_bytes()[:300])
    with pytest.raises(InputError) as error:
        segment_folder(folder, tmp_path / "cut", progress=False)
    assert "a.jpg" in str(error.value) and "z.png" in str(error.value) and not (tmp_path / "cut").exists()


def test_bad_folders(folder, tmp_path):
    (tmp_path / "nothing").mkdir()
    Image.new("RGB", (80, 80)).save(folder / "c.bmp")
    for src, out, message in [(tmp_path / "nowhere", "x", "is not a folder"), (tmp_path / "nothing", "x", "holds no images"),
                              (folder, "x", "rename one"), (folder / "ward 3", "mine", "already holds something")]:
        with pytest.raises(InputError, match=message):
            segment_folder(src, tmp_path / out, progress=False)
    with pytest.raises(InputError, match="method 'other': choose from corrected, authors"):
        segment_folder(folder, tmp_path / "x", "other")


@pytest.mark.parametrize("diameter", [float("nan"), float("inf"), 1e6, -5, 0, 1e-9])
def test_a_diameter_that_no_cell_has(folder, tmp_path, diameter):
    with pytest.raises(InputError, match="diameter=.* of at least 2 and at most 10,000"):
        segment_folder(folder, tmp_path / "x", diameter=diameter, progress=False)
    assert not (tmp_path / "x").exists()


def test_hidden_copies_and_folders_named_like_pictures(folder, tmp_path):
    for home in (folder / ".ipynb_checkpoints", folder / "x.jpg"):
        home.mkdir()
        Image.fromarray(smear(9, "Pro", 96).image).save(home / "a.png")
    assert sorted(segment_folder(folder, tmp_path / "cut", progress=False).table["image"]) == ["c.png", "ward 3/deep/b.png", "ward 3/é.png", "x.jpg/a.png"]


def test_a_full_disk_leaves_nothing(folder, tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match="No space left on device"):
        segment_folder(folder, tmp_path / "cut", workers=1, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_what_cannot_be_segmented_is_left_out_and_listed(folder, tmp_path):
    (folder / "bad.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="bad.jpg"):
        segment_folder(folder, tmp_path / "cut", progress=False)
    done = segment_folder(folder, tmp_path / "cut", on_bad="skip", progress=False)
    assert len(done.table) == 3 and "bad.jpg" in done.problems[0] and "left out: " in str(done)
    shutil.rmtree(tmp_path / "cut")
    for path in folder.rglob("*.*"):
        path.unlink()
    (folder / "bad.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="bad.jpg"):
        segment_folder(folder, tmp_path / "cut", on_bad="skip", progress=False)
    assert not (tmp_path / "cut").exists()


def test_cells_on_black_pass_through_and_are_listed(folder, tmp_path):
    drawn = smear(1, "Pre", 160)
    cell = drawn.image * (drawn.mask == drawn.cells["area"].idxmax() + 1)[..., None].astype(np.uint8)
    Image.fromarray(cell).save(folder / "cell.png")
    Image.new("RGB", (80, 80)).save(folder / "dark.png")
    done = segment_folder(folder, tmp_path / "cut", progress=False)
    assert "cut out on black and kept as they were: cell.png" in str(done) and "black all over: dark.png" in str(done)
    kept = np.asarray(Image.open(tmp_path / "cut" / "cell.png"))
    assert (kept != cell).any(-1).sum() <= 0.01 * cell.any(-1).sum()


@pytest.mark.parametrize("workers", [1, 2])
def test_twelve_bits_are_read_the_same_in_every_process(folder, tmp_path, workers):
    for k, path in enumerate(sorted(p for p in folder.rglob("*.*") if p.suffix != ".txt")[:3]):
        path.unlink()
        tones = smear(20 + k, "Pre", 96).image[..., 1].astype(np.uint16)
        Image.fromarray(tones * 16 if k else tones // 32).save(path.with_suffix(".png"))
    done = segment_folder(folder, tmp_path / "cut", workers=workers, progress=False)
    assert "read as 12 bits" in str(done) and len(done.grey) == len(done.table) == 3
