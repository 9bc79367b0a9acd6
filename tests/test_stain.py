"Stain normalisation: planted dyes, moments of colour, images without a stain."
import numpy as np
import pytest

from leuknb.lib.stain import AMOUNTS, DYES, LIGHT, MEAN, SPREAD, dyes_of, lab_of, macenko, optical_density, reinhard
from leuknb.patients import smear


def mixture(dyes, seed=0):
    "An image of two dyes in random amounts."
    rng = np.random.default_rng(seed)
    dyes = np.array(dyes) / np.linalg.norm(dyes, axis=1, keepdims=True)
    amounts = rng.dirichlet([0.3, 0.3], 4096) * rng.uniform(0.7, 1.5, (4096, 1))
    return dyes, amounts, (LIGHT * np.exp(-amounts @ dyes) - 1).clip(0, 255).round().astype(np.uint8).reshape(64, 64, 3)


@pytest.mark.parametrize("dyes", [[[0.65, 0.70, 0.29], [0.25, 0.90, 0.35]], [[0.8, 0.5, 0.4], [0.4, 0.6, 0.7]]])
def test_macenko_finds_planted_dyes_and_replaces_them(dyes):
    planted, amounts, image = mixture(dyes)
    assert ((dyes_of(optical_density(image)) * planted).sum(1) > np.cos(np.radians(5))).all()
    found = dyes_of(optical_density(image))
    own = np.linalg.lstsq(found.T, optical_density(image).T, rcond=None)[0]
    expected = LIGHT * np.exp(-(AMOUNTS / np.percentile(own, 99, axis=1) * own.T) @ DYES) - 1
    assert np.abs(macenko(image).reshape(-1, 3) - expected.clip(0, 255)).max() <= 0.51


def test_macenko_agrees_with_torchstain():
    "Dyes as torchstain 1.4.1 (numpy) found them; the image, with its own code, where it is installed."
    image = mixture([[0.65, 0.70, 0.29], [0.25, 0.90, 0.35]])[2]
    assert np.allclose(dyes_of(optical_density(image)), [[0.65327, 0.69951, 0.28969], [0.24875, 0.90283, 0.35074]], atol=1e-5)
    normalizers = pytest.importorskip("torchstain.numpy.normalizers")
    theirs = normalizers.NumpyMacenkoNormalizer()
    theirs.HERef, theirs.maxCRef = DYES.T, AMOUNTS
    for rgb in (image, smear(3, "Pre", 96).image):
        other = theirs.normalize(rgb, Io=LIGHT, alpha=1, beta=0.15, stains=False)[0]
        assert np.abs(other.astype(int) - macenko(rgb)).max() <= 1  # which leaves the 1 that is added for the logarithm


def test_reinhard_sets_mean_and_spread():
    image = mixture([[0.65, 0.70, 0.29], [0.25, 0.90, 0.35]])[2]
    lab = lab_of(reinhard(image))
    assert np.allclose(lab.mean(0), MEAN, atol=0.02) and np.allclose(lab.std(0), SPREAD, atol=0.02)
    flat = reinhard(np.full((8, 8, 3), 120, np.uint8))
    assert flat.shape == (8, 8, 3) and np.ptp(flat.reshape(-1, 3), axis=0).max() == 0


def test_grey_is_grey_in_the_opponent_axes():
    grey = lab_of(np.full((2, 2, 3), 100, np.uint8))
    assert np.abs(grey[:, 1:]).max() < 0.01 and grey[0, 0] == pytest.approx(np.sqrt(3) * np.log10(100 / 255), abs=0.01)


def test_without_a_stain_an_image_stays():
    for image in (np.full((32, 32, 3), 235, np.uint8), np.zeros((4, 4, 3), np.uint8)):
        assert (macenko(image) == image).all()


def test_both_bring_two_lamps_together():
    pair = [smear(3, "Pre", 96, camera=camera).image for camera in ({}, {"white": (1.05, 0.85, 0.75), "gamma": 0.6})]
    apart = lambda images: np.abs(np.subtract(*(image.mean((0, 1)) for image in images))).mean()
    assert apart(list(map(macenko, pair))) < 0.7 * apart(pair) > apart(list(map(reinhard, pair)))
