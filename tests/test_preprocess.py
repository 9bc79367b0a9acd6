"Preprocessing: values against torchvision, steps against simple oracles."
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import models

from leuknb import networks, preprocess
from leuknb.lib.errors import InputError
from leuknb.preprocess import another_camera, camera_copy, preprocessing, register_step, white_normalise


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def discs(seed, size=64):
    "Purple discs on bright glass."
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    image = np.full((size, size, 3), 225.0) + rng.normal(0, 2, (size, size, 3))
    for cy, cx in rng.uniform(8, size - 8, (6, 2)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < 36] = (150, 60, 170)
    return image.clip(0, 255).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(33, 400), st.integers(33, 400), st.integers(0, 2**32 - 1),
       st.sampled_from(["alexnet", "vgg19", "efficientnet_b0", "inception_v3", "resnet18"]))
def test_preparation_is_torchvisions(width, height, seed, name):
    image = noise(width, height, seed)
    expected = networks.imagenet_weights(name).transforms()(image)
    assert torch.equal(preprocessing(name)(image)[0], expected)


@pytest.mark.parametrize("side", [64, 128, 192, 224, 240, 255, 256, 448, 512])
def test_preparation_is_torchvisions_where_torch_resizes(side):
    image = noise(side, side, side)
    for size in (224, 448):
        preset = models.AlexNet_Weights.IMAGENET1K_V1.transforms
        expected = preset(crop_size=size, resize_size=round(size * 256 / 224))(image)
        assert torch.equal(preprocessing("alexnet", size)(image)[0], expected)


def test_uncropped_sees_everything():
    image = noise(90, 120)
    prepared = preprocessing("alexnet", crop=False)
    assert prepared.box(90, 120) == (0, 0, 90, 120)
    assert np.array_equal(prepared.pixels(image), np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("size", [16, 4096, 64.5, "64", True])
def test_sizes_that_are_not_possible(size):
    with pytest.raises(InputError, match="size=.*at least 32 and at most 2,048"):
        preprocessing("alexnet", size)


# Steps

@pytest.mark.parametrize("lamp", [(1, 1, 1), (0.9, 0.8, 0.6), (0.5, 0.5, 0.5)])
def test_white_is_white_under_any_lamp(lamp):
    image = white_normalise(np.rint(discs(0) * lamp).astype(np.uint8))
    assert np.median(image.reshape(-1, 3), axis=0) == pytest.approx([240] * 3, abs=6)


@pytest.mark.parametrize("level", [0, 255])
def test_white_of_an_image_of_one_colour(level):
    assert len(np.unique(white_normalise(np.full((9, 7, 3), level, np.uint8)))) == 1


def test_a_copy_depends_on_the_image_and_the_number_alone():
    one, other = discs(1), discs(2)
    assert np.array_equal(camera_copy(one, 3), camera_copy(one.copy(), 3))
    assert not np.array_equal(camera_copy(one, 3), camera_copy(one, 4))
    assert camera_copy(other, 3).shape == other.shape and camera_copy(other, 3).dtype == np.uint8


def test_without_changes_the_image_is_only_turned():
    image = discs(3)
    same = another_camera(image, np.random.default_rng(0), gain=0, exposure=0, tone=0, grey=0, blur=0)
    turned = [np.rot90(image, k)[:, ::step] for k in range(4) for step in (1, -1)]
    assert any(np.array_equal(same, t) for t in turned)


def test_steps_run_in_order():
    image = Image.fromarray(discs(4))
    array = np.asarray(image)
    prepared = preprocessing("alexnet", crop=False, size=64, preprocess="white+camera2")
    assert prepared.steps == ("white", "camera2")
    assert np.array_equal(prepared.pixels(image), camera_copy(white_normalise(array), 2))
    assert preprocessing("alexnet", preprocess=["denoise", "contrast"]).steps == ("denoise", "contrast")


def test_a_step_of_ones_own(monkeypatch):
    monkeypatch.setattr(preprocess, "STEPS", dict(preprocess.STEPS))
    def dark(rgb):
        return rgb // 2
    register_step("dark", dark)
    register_step("dark", dark)  # the same again is no mistake
    image = Image.fromarray(discs(5))
    assert np.array_equal(preprocessing("alexnet", crop=False, size=64, preprocess="dark").pixels(image), discs(5) // 2)
    with pytest.raises(InputError, match="is taken"):
        register_step("dark", lambda rgb: rgb)
    with pytest.raises(InputError, match=r"contains \+"):
        register_step("dark+darker", dark)
    with pytest.raises(InputError, match="preprocess 'sharpen': choose from denoise, contrast, white, .*dark; several joined"):
        preprocessing("alexnet", preprocess="dark+sharpen")
