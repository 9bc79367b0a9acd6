"Images under another microscope."
import numpy as np
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
    assert shifts.plot_shifts(table) and shifts.shift_summary(table)["mean"].iloc[0] == pytest.approx((y == "Benign").mean())


def test_unknown_names_are_refused():
    rgb = smear(1, "Pre").image
    for call, message in [(lambda: shifts.shift(rgb, "sepia"), "choose from warm"),
                          (lambda: shifts.shift(rgb, "warm", "huge"), "choose from mild")]:
        with pytest.raises(InputError, match=message):
            call()
