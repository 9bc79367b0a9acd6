"""Cells as a table: shapes with known measures, generated cells against the truth, and what is not said."""
import numpy as np
import pytest
from scipy.stats import spearmanr
from PIL import Image
from scipy.special import ellipe
from skimage.measure import regionprops

from leuknb.cells import MEASURES, NAMES, UNITS, CellFeatures, Morphology, cell_table, circularity, clumping
from leuknb.cells import count_nucleoli, grain, in_red_cells, linear_head, nucleus_of, separability, solidity
from leuknb.lib.errors import InputError
from leuknb.patients import smear

GLASS = np.full((96, 96, 3), 230, np.uint8)


def region(mask):
    return regionprops(mask.astype(int))[0]


def test_shapes_have_the_values_of_their_formulas():
    y, x = np.mgrid[:200, :200] - 100
    disc, ellipse = np.hypot(y, x) < 60, np.hypot(y / 80, x / 40) < 1
    assert circularity(region(disc)) > 0.98 and solidity(region(disc)) > 0.98
    perimeter = 4 * 80 * ellipe(1 - 0.5**2)
    assert abs(circularity(region(ellipse)) - 4 * np.pi * np.pi * 80 * 40 / perimeter**2) < 0.04
    cross = (np.abs(y) < 20) & (np.abs(x) < 60) | (np.abs(x) < 20) & (np.abs(y) < 60)
    assert abs(solidity(region(cross)) - cross.sum() / (120**2 - 2 * 40**2)) < 0.03, "the hull is a square without corners"


def test_chromatin_against_numpy():
    rng = np.random.default_rng(0)
    values = rng.normal(1, 0.2, 4000)
    assert clumping(values) == pytest.approx(np.std(values) / np.mean(values))
    assert separability(values) == pytest.approx(2 / np.pi, abs=0.02)
    assert separability(np.repeat([1.0, 2.0], 50)) == pytest.approx(1, abs=1e-6) and separability(np.ones(9)) == 0


def test_nucleus_and_nucleoli_of_a_drawn_cell():
    y, x = np.mgrid[:120, :120] - 60
    cell, nucleus = np.hypot(y, x) < 55, np.hypot(y - 5, x) < 38
    stained = 0.2 * cell + 0.5 * nucleus + np.random.default_rng(0).normal(0, 0.005, cell.shape)
    seen = nucleus_of(stained, cell)
    assert (seen ^ nucleus).sum() < 30 and count_nucleoli(stained, seen) == 0
    for cy, cx in ((-10, -12), (15, 10)):
        stained -= 0.3 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 5**2))
    assert count_nucleoli(stained, nucleus) == 2
    even = np.random.default_rng(1).normal(0.6, 0.02, cell.shape)
    assert nucleus_of(even, cell) is None, "no division, no nucleus"


@pytest.fixture(scope="module")
def fields():
    return [smear(900 + k, label, 224) for k, label in enumerate(("Benign", "Early", "Pre", "Pro"))]


def test_sizes_and_density_follow_the_truth():
    pairs = []
    for one in [smear(7000 + k, label, 224) for k, label in enumerate(4 * ("Benign", "Early", "Pre", "Pro"))]:
        unit = 2 * one.patient.red.radius * one.scale
        table = cell_table(one.image, red=unit).query("~border")
        number = one.mask[table["y"].astype(int), table["x"].astype(int)]
        true = one.cells.reset_index(drop=True)
        pairs += [(row["diameter"], 2 * true["radius"][n - 1] / unit, row["density"], true["density"][n - 1])
                  for (_, row), n in zip(table.iterrows(), number) if n]
    measured, true, dark, density = np.array(pairs, float).T
    assert len(pairs) > 45 and spearmanr(measured, true)[0] > 0.8 and np.corrcoef(measured, true)[0, 1] > 0.65
    assert np.corrcoef(dark, density)[0, 1] > 0.9
    assert abs(np.median(measured / true) - 1) < 0.12


def test_what_the_resolution_does_not_carry_is_nan_and_said(fields):
    table = cell_table(fields[0].image)
    assert table[["nc_ratio", "nucleoli"]].isna().all(axis=None) and table["diameter"].notna().all()
    assert any("nucleus and N:C ratio cannot be seen" in note for note in table.attrs["notes"])
    assert set(MEASURES) <= set(table.columns)


def test_the_same_cells_under_two_lenses():
    small, large = (cell_table(smear(31, "Early", size).image) for size in (224, 448))
    for name, most in [("diameter", 0.08), ("density", 0.15)]:
        assert abs(np.log(large[name].median() / small[name].median())) < most, name


def test_micrometres_and_a_given_scale():
    rgb = smear(31, "Early").image
    table = cell_table(rgb, red=20, um=0.4)
    assert np.allclose(table["diameter_um"], 0.4 * table["pixels"]) and np.allclose(table["diameter"] * 20, table["pixels"])
    for options in (dict(red=1), dict(um=0), dict(red="x")):
        with pytest.raises(InputError):
            cell_table(rgb, **options)


def test_no_cells_no_rows():
    table = cell_table(GLASS)
    assert table.empty and set(MEASURES) <= set(table.columns) and table.attrs["notes"] == ["no nucleated cell was found"]


def test_units_turn_pixels_into_red_cells():
    rows = np.ones((3, 3 + len(NAMES)))
    rows[:, 3:] = 10
    rows[0, :3], rows[1, :3], rows[2, :3] = (20, 19, 21), (40, 38, 42), np.nan
    scaled = in_red_cells(rows, 20.5, True)
    size, count, slope = (NAMES.index(n) for n in ("pixels median", "cells", "gradient median"))
    assert np.allclose(scaled[:, size], [10 / 20.5, 10 / 40, 10 / 20.5]), "the training scale, unless an image contradicts it"
    assert np.allclose(scaled[:, count], 10 * np.array([20.5, 40, 20.5]) ** 2)
    assert np.allclose(scaled[:, slope], 10 * np.array([20.5, 40, 20.5]))
    assert np.allclose(in_red_cells(rows, 20.5, False)[:, size], 10 / 20.5) and len(UNITS) == len(NAMES)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    home, paths, labels = tmp_path_factory.mktemp("cells"), [], []
    for k in range(24):
        label = ("Benign", "Pro")[k % 2]
        paths.append(str(home / f"{k}.png"))
        labels.append(label)
        Image.fromarray(smear(k, label, 160).image).save(paths[-1])
    Image.fromarray(GLASS).save(home / "blank.png")
    return paths, labels, str(home / "blank.png")


def test_a_model_that_sees_nothing_but_cells(files):
    paths, labels, blank = files
    model = Morphology(linear_head()).fit(paths[:16], labels[:16], groups=list("aabbccddeeffgghh"))
    assert (model.predict(paths[16:]) == labels[16:]).mean() >= 0.75
    assert (model.predict_proba(paths[16:]).argmax(1) == (model.predict(paths[16:]) == "Pro")).all()
    features = model.pipeline_[0]
    names = features.get_feature_names_out()
    assert model.weights().shape == (38, 1) and list(model.weights().index) == list(names)
    X = features.transform(paths)
    assert X.shape == (24, len(names)) == (24, 38) and X.dtype == np.float32
    assert (features.transform(paths[3:5]) == X[3:5]).all(), "an image's row does not depend on its neighbours"
    assert (CellFeatures(cache=False).fit(paths[:16]).transform(paths[:2]) == X[:2]).all(), "nor on the store"
    missing = features.transform([blank])[0]
    assert missing[0] == 0 and np.isfinite(missing).all() and (missing[2:] == features.medians_[2:].astype(np.float32)).all()


def test_the_default_head_is_curved_and_has_no_weights(files):
    paths, labels, _ = files
    model = Morphology().fit(paths[:16], labels[:16], groups=list("aabbccddeeffgghh"))
    assert (model.predict(paths[16:]) == labels[16:]).mean() >= 0.75 and model.best_params_["C"] in (1, 10, 100)
    with pytest.raises(InputError, match="linear_head"):
        model.weights()


def test_grain_is_strongest_at_its_own_size_and_does_not_depend_on_the_stain():
    y, x = np.mgrid[:200, :200]
    inner = (slice(40, 160), slice(40, 160))
    mask = np.zeros((200, 200), bool)
    mask[inner] = True
    for width in (2.0, 4.0):  # a wave answers a Laplacian of a Gaussian by k² exp(-k² s² / 2), k = sqrt(2) / s at most
        wave = 1 + 0.1 * np.sin(np.sqrt(2) / width * x)
        answers = {w: grain(wave, mask, w) * w**2 for w in (width / 2, width, 2 * width)}
        assert max(answers, key=answers.get) == width
        assert answers[width] == pytest.approx(0.1 / np.sqrt(2) * 2 * np.exp(-1), rel=0.03)
        assert grain(3 * wave, mask, width) == pytest.approx(grain(wave, mask, width))


def test_without_blood_there_is_nothing_to_fit(files):
    for options, message in [({}, "red cells be measured.*`red`"), ({"red": 17}, "nucleated cell")]:
        with pytest.raises(InputError, match=message):
            CellFeatures(**options).fit([files[2]])
    with pytest.raises(InputError, match="missing.png"):
        CellFeatures().fit(["missing.png"])
