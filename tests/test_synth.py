"""Drawing a smear: the truth describes the image, and every number does what its name says."""
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leuknb.lib.errors import InputError
from leuknb.patients import CLASSES, smear
from leuknb.synth import Cells, Patient, Red, Stain, draw, under_scale_bar


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), label=st.sampled_from(CLASSES), size=st.integers(64, 180))
def test_the_truth_describes_the_image(seed, label, size):
    one = smear(seed, label, size)
    assert one.image.shape == (size, size, 3) and one.image.dtype == np.uint8
    assert set(np.unique(one.mask)) - {0} == set(one.cells["cell"])
    assert (np.bincount(one.mask.ravel(), minlength=len(one.cells) + 1)[1:] == one.cells["area"]).all()
    assert ((one.nuclei == 0) | (one.nuclei == one.mask)).all()
    assert all(np.isfinite(v) for v in one.targets.values())


def test_masks_agree_with_the_table():
    "Whole cells cover pi r² pixels, and the nucleus its share of them."
    rows = []
    for seed in range(12):
        one = smear(seed, "Pre", 224)
        inner = one.cells[one.cells["x"].between(25, 199) & one.cells["y"].between(25, 199) & (one.cells["kind"] == "Pre")]
        nucleus = np.bincount(one.nuclei.ravel(), minlength=len(one.cells) + 1)
        rows += [(r.area / (np.pi * r.radius**2), nucleus[r.cell] / r.area / r.nc_ratio) for r in inner.itertuples()]
    whole = np.median(rows, axis=0)
    assert np.allclose(whole, 1, atol=0.06), whole


def test_a_larger_count_is_more_cells():
    mean = lambda n: np.mean([len(smear(k, "Early", 160, cells=dict(count=n)).cells) for k in range(10)])
    assert mean(3) < mean(8) < mean(20)


def test_no_cells_at_all():
    one = draw(0, Patient(cells=Cells(count=0), others={}), 96)
    assert one.mask.max() == 0 and len(one.cells) == 0 and np.isnan(one.targets["radius"])


def test_another_stain_or_camera_leaves_the_cells_in_place():
    a, b = smear(4, "Pro", 128), smear(4, "Pro", 128, stain=dict(red=(0.1, 0.5, 0.4)), camera=dict(white=(0.8, 1, 0.9), noise=0.05))
    assert (a.mask == b.mask).all() and not (a.image == b.image).all()


def test_blur_noise_and_white_do_what_they_say():
    glass = Patient(cells=Cells(count=0), others={}, red=replace(Red(), cover=0))
    camera = replace(glass.camera, vignette=0, sharpen=0, noise=0.02, white=(0.5, 0.6, 0.7), gamma=1)
    image = draw(1, replace(glass, camera=camera), 128).image / 255
    assert np.allclose(image.mean((0, 1)), (0.5, 0.6, 0.7), atol=0.005)
    assert np.allclose(image.std((0, 1)), 0.02, atol=0.002)


@pytest.mark.parametrize("style", range(4))
def test_what_the_scale_bar_hides_is_not_truth(style):
    plain, bar = smear(1, "Pre"), smear(1, "Pre", scale_bar=style)
    hidden = under_scale_bar(224, style, bar.scale)
    assert not bar.mask[hidden].any() and not bar.nuclei[hidden].any()
    assert ((bar.mask > 0) <= (plain.mask > 0)).all()


@pytest.mark.parametrize("wrong, message", [
    (dict(cells=Cells(nc_ratio=0)), "nc_ratio=0"), (dict(stain=Stain(nucleus=(1, 2))), "nucleus=.*three numbers"),
    (dict(others={"smudge": Cells(radius=-1)}), "radius=-1"), (dict(red=Red(radius=0.5, cover=20)), "red cells"),
])
def test_a_patient_that_cannot_be_drawn_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        draw(1, Patient(**wrong))


def test_a_smear_displays_itself():
    one = smear(1, "Pre", 96)
    assert repr(one) == f"Smear(Pre, 96 pixels wide, {len(one.cells)} cells)" and one._repr_jpeg_() == one.jpeg()
