"Shortcuts in folders in which the truth is known."
import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from PIL import Image
from scipy.stats import binom
from sklearn.base import clone

from leuknb import shortcuts
from leuknb.lib.errors import InputError
from leuknb.patients import smear
from leuknb.splits import split

QUIET = dict(progress=False)


@pytest.fixture(scope="module")
def tables(cats):
    names = ["background colour", "stain hue", "scale-bar corner", *shortcuts.CONTROLS]
    features = {name: shortcuts.table_features(cat, names, cache=False, **QUIET) for name, cat in cats.items()}
    return {name: shortcuts.shortcut_table(cat, split(cat, "group-kfold", folds=4), features=features[name], **QUIET)
            .set_index("name") for name, cat in cats.items()}


def test_planted_stain_is_found(tables):
    found = tables["stain"].loc[["background colour", "stain hue"]]
    assert found["found"].all() and (found["accuracy"] > 0.8).all()
    assert not tables["stain"].loc["scale-bar corner", "found"]


def test_planted_scale_bars_are_found(tables):
    assert tables["bars"].loc["scale-bar corner", "found"] and not tables["bars"].loc["stain hue", "found"]


def test_nothing_planted_nothing_found(tables):
    blind = tables["clean"].loc[["background colour", "stain hue", "scale-bar corner"]]
    assert not blind["found"].any()


def test_verdicts_name_what_was_planted(tables):
    assert "stain hue" in shortcuts.shortcut_verdicts(tables["stain"].reset_index())[1]
    assert "scale-bar corner" in shortcuts.shortcut_verdicts(tables["bars"].reset_index())[1]


@pytest.mark.parametrize("low, high, words", [
    (0.01, 0.2, "ahead of stain hue by 10.0 points"), (-0.3, -0.05, "behind stain hue by 17.5 points"), (-0.1, 0.1, "level with")])
def test_the_verdict_on_a_model_compares_and_does_not_explain(tables, low, high, words):
    table = tables["stain"].reset_index()
    row = table.iloc[-1].copy()
    row[["name", "kind", "against", "gap", "gap_low", "gap_high", "accuracy"]] = "net", "model", "stain hue", (low + high) / 2, low, high, 0.9
    if low > 0:
        row["gap"] = 0.1
    table.loc[len(table)] = row
    verdict = shortcuts.shortcut_verdicts(table)[-1]
    assert words in verdict and ("no more than chance" in verdict) == (low < 0 < high)
    assert "The model net is right about 90.0 %. Colour alone (" in verdict and "explains" not in verdict.split("chance")[0]


def test_cached_features_equal_fresh_ones(cats, tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path))
    paths = cats["clean"]["path"].iloc[:6].tolist()
    fresh = shortcuts.shortcut_features(paths, ["stain hue", "file size"], cache=False, **QUIET)
    shortcuts.shortcut_features(paths[:3], ["stain hue", "file size"], **QUIET)
    kept = shortcuts.shortcut_features(paths + paths[:1], ["stain hue", "file size"], **QUIET)
    for name, values in fresh.items():
        np.testing.assert_array_equal(kept[name], np.r_[values, values[:1]])
    monkeypatch.setattr(shortcuts, "VERSION", 0)
    monkeypatch.setattr(shortcuts, "measure_image", lambda path, names: np.zeros(4, np.float32))
    assert not shortcuts.shortcut_features(paths, ["stain hue", "file size"], **QUIET)["stain hue"].any(), "another version, another store"


def test_values_of_this_version(tmp_path):
    "Whoever changes how a shortcut is measured raises VERSION, and writes the new values here."
    assert shortcuts.VERSION == 3
    Image.fromarray(smear(1, "Pre", size=128, stain_leak=0.5).image).save(tmp_path / "one.png")
    names = [name for name in shortcuts.SHORTCUTS if name != "file size"]
    values = shortcuts.shortcut_features([tmp_path / "one.png"], names, cache=False, **QUIET)
    sums = {name: float((x @ np.linspace(1, 2, x.shape[1]))[0]) for name, x in values.items()}
    assert sums == pytest.approx({
        "mean colour": 978.789, "colour mean and spread": 949.303, "colour histogram": 4.833, "background colour": 1136.5,
        "stain hue": 1.335, "scale-bar corner": 246.246, "mask share": 1.0, "covered area and count": 31.736,
        "opposite corner": 205.602}, rel=0.002)


def test_the_transformer_is_a_scikit_learn_estimator(cats):
    one = clone(shortcuts.ShortcutFeatures("mean colour", cache=False))
    assert one.get_params() == {"name": "mean colour", "cache": False}
    assert one.transform(cats["clean"]["path"].iloc[:2]).shape == (2, 3)


def test_every_shortcut_has_the_size_that_it_declares(cats):
    view = shortcuts.SmearView(cats["clean"]["path"].iloc[0])
    assert all(len(shortcut.measure(view)) == shortcut.size for shortcut in shortcuts.SHORTCUTS.values())


def test_unknown_shortcuts_and_missing_images_are_refused(cats):
    with pytest.raises(InputError, match="choose from mean colour"):
        shortcuts.shortcut_features(cats["clean"]["path"], ["colours"])
    with pytest.raises(InputError, match="no original images"):
        shortcuts.table_features(cats["clean"].query("variant == 'segmented'"), ["stain hue"], **QUIET)


def test_the_verdict_speaks_of_the_model_that_was_chosen_or_says_how_it_was():
    rows = [("chance", "chance", 0, 40, 0.25, 0.1, 0.4, "chance", 0, 0, 0, False), ("stain hue", "shortcut", 2, 40, 0.5, 0.4, 0.6, "chance", 0.2, 0.1, 0.3, True)]
    rows += [(name, "model", 0, 40, value, 0.7, 1, "stain hue", value - 0.5, 0.1, 0.6, True) for name, value in (("a", 0.9), ("b", 0.95))]
    columns = "name kind numbers n accuracy low high against gap gap_low gap_high found"
    table = pd.DataFrame(rows, columns=columns.split())
    assert "The model a is right about 90.0 %" in shortcuts.shortcut_verdicts(table, model="a")[-1]
    assert "The model b (of 2 the best on these images) is right about 95.0 %" in shortcuts.shortcut_verdicts(table)[-1]


def honest(seed, patients=20, images=3):
    "A table of a small set whose patients differ, and whose classes do not."
    rng, number = np.random.default_rng(seed), np.repeat(np.arange(patients), images)
    rows = pd.DataFrame({"image": [f"i{k}" for k in range(len(number))], "label": pd.Categorical([f"c{p % 4}" for p in number]),
                         "group": [f"p{p}" for p in number], "patient": [f"p{p}" for p in number], "variant": "original", "path": ""})
    features = {}
    for name, shortcut in shortcuts.SHORTCUTS.items():
        if shortcut.variant == "original":
            own = rng.normal(size=(patients, min(shortcut.size, 24)))
            features[name] = rows, own[number] + rng.normal(size=(len(number), own.shape[1]))
    return shortcuts.shortcut_table(rows, split(rows, "group-kfold", seed=seed), None, features, **QUIET)


def alarm(seed):
    "Does an honest set raise an alarm?"
    return bool(honest(seed)["found"].any())


@pytest.mark.long
def test_honest_sets_raise_few_alarms():
    "Of 200 sets 15 or fewer: with 5 % of false alarms in the whole family, 16 or more are as rare as 1 in 23."
    assert binom.sf(15, 200, 0.05) < 1 / 22
    assert sum(Parallel(n_jobs=-1)(delayed(alarm)(seed) for seed in range(1000, 1200))) <= 15
