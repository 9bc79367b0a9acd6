"""Tiles: scale, grid, padding, pooling, whole slides."""
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.stats import gmean

from leuknb.lib.errors import InputError
from leuknb.lib.tiles import check_scale, padded, pool, pooling_note, resized, scale_factor, slide_fields, starts, tile_images
from leuknb.patients import smear


@pytest.fixture(scope="module")
def field():
    return smear(7, "Early", 320).image


@pytest.mark.parametrize("length, size, overlap", [(224, 224, 0), (225, 224, 0), (1000, 224, 64), (640, 96, 0), (300, 224, 223)])
def test_tiles_cover_a_length_and_end_at_its_ends(length, size, overlap):
    places = starts(length, size, overlap)
    covered = np.zeros(length, int)
    for place in places:
        covered[place:place + size] += 1
    assert covered.min() >= 1 and places[0] == 0 and places[-1] == length - size
    assert (np.diff(places) <= size - overlap).all()


def test_a_small_image_lies_in_the_middle_of_its_glass():
    rgb = np.full((40, 60, 3), (230, 220, 210), np.uint8)
    rgb[10:30, 20:40] = 90
    out = padded(rgb, 100)
    assert out.shape == (100, 100, 3) and (out[30:70, 20:80] == rgb).all() and (out[0, 0] == (230, 220, 210)).all()
    assert padded(rgb, 32) is rgb


def test_scales():
    glass = np.full((90, 90, 3), 230, np.uint8)
    assert scale_factor(glass, None) == 1 and scale_factor(glass, "0.5") == 0.5 and scale_factor(glass, 3) == 3
    assert scale_factor(glass, "0.25um", 15) == pytest.approx(0.5) == scale_factor(glass, "0.25 µm", 15)
    for scale in ("40x", "-1", 0, "um", "1e3", "."):
        with pytest.raises(InputError, match="scale="):
            check_scale(scale)
    with pytest.raises(InputError, match="not measured"):
        scale_factor(glass, "auto")
    with pytest.raises(InputError, match="cannot be measured.*factor"):
        scale_factor(glass, "auto", 17)
    with pytest.raises(InputError, match="too far apart"):
        scale_factor(glass, "0.001um", 15)


def test_a_field_comes_to_the_training_scale(field, tmp_path):
    Image.fromarray(field).save(tmp_path / "f.png")
    table = tile_images([tmp_path / "f.png"], tmp_path / "tiles", 96, 8, "auto", 18.8, progress=False)
    assert np.allclose(table["factor"], 224 / 320, rtol=0.06)
    assert (table["cells"] >= 1).all() and all(Image.open(p).size == (96, 96) for p in table["path"])
    again = tile_images([tmp_path / "f.png"], tmp_path / "again", 96, 8, float(table["factor"].iloc[0]), progress=False)
    assert again[["top", "left", "cells"]].equals(table[["top", "left", "cells"]])


def test_bad_fields_are_listed_together_and_nothing_is_left(field, tmp_path):
    Image.fromarray(np.full((120, 120, 3), 230, np.uint8)).save(tmp_path / "glass.png")
    Image.fromarray(field).save(tmp_path / "f.png")
    paths = [tmp_path / "glass.png", tmp_path / "missing.png", tmp_path / "f.png"]
    with pytest.raises(InputError) as caught:
        tile_images(paths, tmp_path / "tiles", 96, progress=False)
    assert len(str(caught.value).splitlines()) == 3 and "on_bad" in str(caught.value) and not (tmp_path / "tiles").exists()
    table = tile_images(paths, tmp_path / "tiles", 96, on_bad="skip", progress=False)
    assert set(table["image"]) == {str(paths[2])} and len(table.attrs["problems"]) == 2
    with pytest.raises(InputError):
        tile_images(paths[:1], tmp_path / "none", 96, on_bad="skip", progress=False)
    for options in (dict(tile=8), dict(overlap=96), dict(overlap=-1)):
        with pytest.raises(InputError):
            tile_images(paths, tmp_path / "more", **{"tile": 96} | options, progress=False)


def test_pooling_is_the_normalised_geometric_mean():
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 7)
    pooled = pool(p, list("bbbaacc"))
    assert list(pooled.index) == ["b", "a", "c"] and pooled["tiles"].tolist() == [3, 2, 2]
    expected = gmean(p[:3], axis=0)
    assert np.allclose(pooled.loc["b", [0, 1, 2]].to_numpy(float), expected / expected.sum())
    one = pool(np.array([[1.0, 0]]), ["x"])
    assert np.isfinite(one.to_numpy()).all() and "1 tile of 1 image pooled" in pooling_note(one, 1)


def test_resizing_keeps_an_image_of_factor_one(field):
    assert resized(field, 1) is field and resized(field, 0.5).shape == (160, 160, 3)


def test_fields_of_a_slide(tmp_path):
    pytest.importorskip("tiffslide")
    slide = np.full((512, 768, 3), 235, np.uint8)
    slide[:256, :256] = np.random.default_rng(0).integers(60, 230, (256, 256, 3))
    with tifffile.TiffWriter(tmp_path / "a.svs") as file:
        for k, level in enumerate((slide, slide[::4, ::4])):
            file.write(level, tile=(128, 128), photometric="rgb", subfiletype=int(k > 0))
    names = slide_fields(tmp_path / "a.svs", tmp_path / "fields", 128, progress=False)
    assert len(names) == 4 and (np.asarray(Image.open(tmp_path / "fields/a-128-0.png")) == slide[:128, 128:256]).all()
    with pytest.raises(InputError, match="no field"):
        slide_fields(tmp_path / "a.svs", tmp_path / "more", 1024, progress=False)
    with pytest.raises(InputError, match="no such file"):
        slide_fields(tmp_path / "b.svs", tmp_path / "more")
    (tmp_path / "c.svs").write_bytes(b"x" * 500)
    with pytest.raises(InputError, match="cannot be opened"):
        slide_fields(tmp_path / "c.svs", tmp_path / "more")
