"Images under another microscope."
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from leuknb import shifts, shortcuts
from leuknb.lib import scoring
from leuknb.lib.errors import InputError
from leuknb.patients import smear

QUIET = dict(progress=False)


@pytest.mark.parametrize("family", shifts.SHIFTS)
def test_shifts_change_pictures_more_with_strength(family):
    rgb = smear(1, "Early", scale_bar=0).image
    moved = [np.abs(shifts.shift(rgb, family, s).astype(float) - rgb).mean() for s in shifts.SEVERITIES]
    assert 0 < moved[0] < moved[1] < moved[2]
    again = shifts.shift(rgb, family, "mild")
    assert again.dtype == np.uint8 and again.shape == rgb.shape and (again == shifts.shift(rgb, family, "mild")).all()


def test_shifts_work_on_odd_shapes_and_read_only_pictures():
    rgb = np.ascontiguousarray(smear(1, "Pro").image[:100, :37])
    rgb.setflags(write=False)
    assert all(shifts.shift(rgb, f, "strong").shape == rgb.shape for f in shifts.SHIFTS)


def test_noise_depends_on_seed_and_picture():
    a, b = (smear(k, "Pro").image for k in (1, 2))
    noise = lambda rgb, seed: shifts.shift(rgb, "noise", "medium", seed).astype(int) - rgb
    assert (noise(a, 0) != noise(a, 1)).any() and (noise(a, 0) != noise(b, 0)).any()


def test_half_the_light_by_the_curve_of_srgb():
    rgb = np.full((8, 8, 3), 128, np.uint8)
    light = ((128 / 255 + 0.055) / 1.055) ** 2.4
    assert (shifts.light_exposure(rgb, 0.5) == round(255 * (1.055 * (light / 2) ** (1 / 2.4) - 0.055))).all()
    assert (shifts.from_light(shifts.to_light(np.arange(256, dtype=np.uint8))) == np.arange(256)).all()


def test_photon_noise_has_the_variance_of_counts():
    rgb, photons = np.full((300, 300, 3), 128, np.uint8), 400
    light = shifts.to_light(shifts.photon_noise(rgb, photons, np.random.default_rng(0)))
    assert light.mean() == pytest.approx(shifts.to_light(rgb).mean(), rel=0.01)
    assert light.var() == pytest.approx(light.mean() / photons, rel=0.05)


def test_defocus_spreads_a_point_over_a_disc():
    rgb = np.zeros((224, 224, 3), np.uint8)
    rgb[112, 112] = 255
    disc = shifts.defocus(np.kron(rgb[::4, ::4], np.ones((4, 4, 1), np.uint8)), 6)
    assert disc[112 + 6, 113, 0] > 0 == disc[112 + 12, 113, 0] and disc[112, 113, 0] <= 255 * 16 / (np.pi * 36) + 2
    even = np.full((40, 60, 3), 77, np.uint8)
    assert (shifts.defocus(even, 6) == 77).all(), "light is moved, and neither added nor removed"


def test_hue_leaves_grey_and_turns_a_full_circle():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, 2)
    assert (shifts.hue(grey, 77) == grey).all()
    rgb = smear(1, "Pre", scale_bar=0).image
    assert np.abs(shifts.hue(rgb, 360).astype(int) - rgb).max() <= 1 < np.abs(shifts.hue(rgb, 90).astype(int) - rgb).max()


def test_auto_levels_stretch_to_black_and_white():
    ramp = np.repeat(np.linspace(60, 200, 1000).round().astype(np.uint8)[None, :, None], 3, 2)
    stretched = shifts.auto_levels(ramp, 1)
    assert stretched.min() == 0 and stretched.max() == 255 and (shifts.auto_levels(ramp, 0) == ramp).all()


def test_stain_factor_one_changes_nothing():
    rgb = smear(1, "Pre").image
    assert np.abs(shifts.stain_strength(rgb, 1.0).astype(int) - rgb).max() <= 1


def test_shift_table_counts_what_models_say(cats):
    rows = scoring.one_variant(cats["clean"], "original").head(20)
    y = rows["label"].astype(str).to_numpy()
    always = DummyClassifier(strategy="constant", constant="Benign").fit(np.zeros((4, 1)), ["Benign", "Early", "Pre", "Pro"])
    model = make_pipeline(shortcuts.ShortcutFeatures("mean colour", cache=False), always)
    table = shifts.shift_table({"always Benign": model}, rows, ["warm", "blur"], ["mild"], **QUIET)
    assert table["accuracy"].tolist() == pytest.approx([(y == "Benign").mean()] * 4)
    assert (table["benign"] == 1).all() and table["family"].tolist() == ["none", "warm", "blur", "mean"]
    assert (table["missed"] == 1).all(), "every leukaemia is called Benign"
    together = shifts.shift_table({"always Benign": model}, rows, ["warm"], ["mild"], **QUIET, clusters=np.arange(len(rows)) // 5)
    assert (together["high"] - together["low"] > table["high"][0] - table["low"][0]).all(), "rows that go together say less"
    assert shifts.plot_shifts(table) and shifts.shift_summary(table)["mean"].iloc[0] == pytest.approx((y == "Benign").mean())


def test_unknown_names_are_refused():
    rgb = smear(1, "Pre").image
    for call, message in [(lambda: shifts.shift(rgb, "sepia"), "choose from warm"),
                          (lambda: shifts.shift(rgb, "warm", "huge"), "choose from mild")]:
        with pytest.raises(InputError, match=message):
            call()


def test_one_severity_has_names_of_models_under_its_columns():
    names = ["alexnet/svm/original", "colour histogram"]
    rows = [(m, f, s, 0.9, 0.8) for m in names for f, s in (("none", ""), ("warm", "medium"), ("mean", "medium"))]
    table = pd.DataFrame(rows, columns=["model", "family", "strength", "accuracy", "benign"])
    figure = shifts.plot_shifts(table)
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["AlexNet + SVM, original", "colour histogram"]
    assert ax.get_title() == "accuracy, medium" and not any(t.get_text() == "AlexNet + SVM,\noriginal" for t in ax.texts)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert not boxes[0].overlaps(boxes[1])
