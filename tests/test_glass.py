"What is no smear: bars, frames, round fields, vignettes, pens; and images without any glass."
import warnings

import numpy as np
import pytest
from PIL import Image

from leuknb.lib.errors import InputError
from leuknb.lib.glass import check_glass, glass_problem, marks
from leuknb.patients import CLASSES, smear
from leuknb.preprocess import white_normalise
from leuknb.robust import Robust
from leuknb.segment import authors_segment, find_cells, segment

DOWN, RIGHT = np.mgrid[-112:112, -112:112]
RADIUS = np.hypot(DOWN, RIGHT)
RULER = (DOWN > 100) & ((DOWN > 108) | (RIGHT % 8 < 2))
PLACES = {"bar": (DOWN > 97) & (DOWN < 106) & (RIGHT > 45) & (RIGHT < 105), "rows": abs(DOWN) > 106, "frame": (abs(DOWN) > 92) | (abs(RIGHT) > 92), "wide frame": (abs(DOWN) > 61) | (abs(RIGHT) > 61),
          "field": RADIUS > 112, "corners": RADIUS > 140, "ruler": RULER, "line": abs(RIGHT - DOWN // 3 + 20) < 4, "ring": abs(RADIUS - 50) < 3}
INKS = {"black": (0, 0, 0), "red": (220, 20, 30), "green": (20, 140, 60), "blue": (20, 30, 160), "pure blue": (0, 0, 255), "purple": (120, 20, 150),
        "yellow": (240, 220, 30), "cyan": (0, 190, 220), "magenta": (230, 20, 200), "grey": (90, 90, 90), "brown": (110, 60, 30), "white": (255, 255, 255)}
FALL = {"weak": 1 - 0.25 * (RADIUS / 112) ** 2, "strong": 1 - 0.4 * (RADIUS / 112) ** 2, "bell": np.exp(-0.5 * (RADIUS / 100) ** 2),
        "soft field": 1 / (1 + np.exp((RADIUS - 123) / 3.4)), "cos4": np.cos(np.arctan(RADIUS / 130)) ** 4,
        "side": 0.4 + 0.6 * (RIGHT + 112) / 224}


def marked(image, place, colour):
    return np.where(place[..., None], np.uint8(colour), image)


def share_found(change, hidden, seeds):
    "Of the cell pixels beside a mark that are found without it, the share that is found with it; over all smears."
    before = again = 0
    for seed in seeds:
        image = smear(seed, CLASSES[seed % 4]).image
        expected = (find_cells(image) > 0) & ~hidden(image)
        before, again = before + expected.sum(), again + (expected & (find_cells(change(image)) > 0)).sum()
    return again / before


@pytest.mark.parametrize("place", PLACES)
def test_cells_beside_black_are_found(place):
    assert share_found(lambda image: marked(image, PLACES[place], 0), lambda image: PLACES[place], range(500, 506)) >= 0.95


@pytest.mark.parametrize("ink", INKS)
def test_cells_beside_a_pen_mark_are_found(ink):
    place = PLACES["ring" if ink in ("blue", "green", "red") else "line"]
    assert share_found(lambda image: marked(image, place, INKS[ink]), lambda image: place, range(520, 524)) >= 0.95


@pytest.mark.parametrize("fall", FALL)
def test_cells_under_a_vignette_are_found(fall):
    shaded = lambda image: (image * FALL[fall][..., None]).astype(np.uint8)
    assert share_found(shaded, lambda image: FALL[fall] < 0.35, range(540, 546)) >= 0.95


def test_no_mark_is_taken_for_a_cell():
    for place in PLACES.values():
        image = smear(7, "Pre").image
        assert ((find_cells(marked(image, place, 0)) > 0) & place).sum() == 0


def test_ordinary_smears_have_no_marks():
    for seed in range(12):
        assert not marks(smear(seed, CLASSES[seed % 4], stain_leak=seed % 2).image).any()


def cut_out(seed, label="Early"):
    "The largest cell of a smear, alone on black."
    drawn = smear(seed, label)
    return drawn.image * (drawn.mask == drawn.cells["area"].idxmax() + 1)[..., None].astype(np.uint8)


def test_images_without_glass():
    drawn = smear(3, "Pre")
    for image in (drawn.image, marked(drawn.image, PLACES["field"], 0), drawn.image // 3, np.full((40, 40, 3), 255, np.uint8)):
        assert glass_problem(image) is None
    for image in (cut_out(1), cut_out(2, "Pre"), segment(drawn.image), authors_segment(drawn.image)):
        assert glass_problem(image) == "cut out on black"
    assert glass_problem(np.zeros((40, 40, 3), np.uint8)) == "black all over" and glass_problem(drawn.image // 8) == "dark all over"


def framed(image, share=1.3):
    "What is not black in an image, with a black margin, 224 pixels wide."
    rows, columns = (np.flatnonzero(image.any((axis, 2))) for axis in (1, 0))
    part = Image.fromarray(image[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1])
    side = round(max(part.size) * share)
    whole = Image.new("RGB", (side, side))
    whole.paste(part, ((side - part.width) // 2, (side - part.height) // 2))
    return np.asarray(whole.resize((224, 224), Image.NEAREST))


@pytest.mark.parametrize("seed", [104, 113, 212, 301, 412, 513])
def test_cells_with_cytoplasm_as_clear_as_glass_are_cut_out_too(seed):
    for image in (cut_out(seed, CLASSES[seed % 4]), framed(cut_out(seed, CLASSES[seed % 4]))):
        assert glass_problem(image) == "cut out on black"
        assert (segment(image) != image).any(-1).sum() <= 0.02 * image.any(-1).sum()


def test_fields_with_dark_around_them_have_glass():
    for seed in range(8):
        image = smear(seed, CLASSES[seed % 4]).image
        assert glass_problem(marked(image, RADIUS > 100, 0)) is None and glass_problem(marked(image, PLACES["wide frame"], 0)) is None


def test_cells_that_were_cut_out_are_kept_as_they_are():
    for seed in range(4):
        image = cut_out(seed)
        assert (segment(image) != image).any(-1).sum() <= 0.01 * image.any(-1).sum()


def test_white_balance_ignores_black_and_refuses_images_without_glass(tmp_path):
    image = smear(3, "Pre").image
    for name in ("frame", "field", "bar"):
        beside = ~PLACES[name]
        gap = np.abs(white_normalise(marked(image, PLACES[name], 0))[beside].astype(int) - white_normalise(image)[beside])
        assert gap.max() <= 4
    for name, picture in {"smear": image, "cell": cut_out(1), "black": 0 * image}.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    paths = [tmp_path / f"{name}.png" for name in ("smear", "cell", "black")]
    with pytest.raises(InputError, match="no empty glass") as error:
        check_glass(paths, progress=False)
    assert "cell.png" in str(error.value) and "black.png" in str(error.value) and "smear.png" not in str(error.value)
    with pytest.raises(InputError, match=r"cell.png.*no empty glass \(cut out on black\)"):
        Robust(weights="random", cache=False, progress=False).fit(paths, ["a", "b", "a"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of values that are no numbers
        assert not white_normalise(0 * image).any()
