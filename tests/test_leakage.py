"Copies, stricter splits and masks, in folders in which the truth is known."
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier

from leuknb import leakage
from leuknb.data import catalogue
from leuknb.lib import scoring
from leuknb.lib.errors import InputError
from leuknb.splits import split

QUIET = dict(progress=False)


def test_every_planted_copy_is_named(planted):
    cat = catalogue(planted["clean"] / "Original")
    parts = split(cat, "kfold")
    truth = pd.read_csv(planted["clean"] / "truth.csv", keep_default_na=False).query("copy_of != ''")
    fold = parts[parts["split"] == "test"].set_index("image")["fold"]
    apart = {frozenset(p) for p in zip(truth["image"], truth["copy_of"]) if fold[p[0]] != fold[p[1]]}
    pairs = leakage.leak_pairs(cat, parts)
    assert {frozenset(p) for p in zip(pairs["test"], pairs["train"])} == apart and apart
    assert leakage.leak_pairs(cat, split(cat, "group-kfold")).empty


def test_a_twin_seen_only_in_segmented_images(tmp_path):
    "Two different originals with the same segmented image, one in the training and one in the test set."
    rng = np.random.default_rng(0)
    blob = np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    for label in ("Benign", "Early"):
        for k in range(6):
            for variant in ("Original", "Segmented"):
                path = tmp_path / variant / label / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                same = variant == "Segmented" and label == "Early" and k in (0, 5)
                Image.fromarray(blob if same else rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    cat = catalogue(tmp_path)
    parts = pd.DataFrame({"image": cat["image"].unique(), "fold": 0})
    parts["split"] = np.where(parts["image"].str.endswith("0"), "test", "train")
    pairs = leakage.leak_pairs(cat, parts)
    assert pairs[["variant", "test", "train", "identical"]].values.tolist() == [["segmented", "Early/0", "Early/5", True]]
    verdicts = leakage.leak_verdicts(leakage.leak_table(cat, parts, pairs), pairs)
    assert any("only by their segmented" in v for v in verdicts)


def test_a_pair_has_the_label_of_its_test_image(planted):
    cat = catalogue(planted["clean"] / "Original")
    cat["label"] = cat["image"].map(dict(zip(cat["image"], np.resize(["A", "B"], len(cat)))))
    pairs = leakage.leak_pairs(cat, split(cat, "kfold"))
    assert (pairs["label"] == pairs["test"].map(cat.set_index("image")["label"])).all() and pairs["label"].nunique() == 2


def test_leaks_are_counted_by_image(planted):
    cat = catalogue(planted["clean"] / "Original")
    parts = split(cat, "kfold")
    pairs = leakage.leak_pairs(cat, parts)
    table = leakage.leak_table(cat, parts, pairs).set_index("what")
    assert table.loc["same group", "leaked"] == pairs["test"].nunique(), "groups are clusters of copies here"
    assert table["leaked"].iloc[1:].sum() == pairs.drop_duplicates(["test", "identical"]).shape[0]
    assert f"{pairs['test'].nunique()} of {len(cat)} test images" in leakage.leak_verdicts(table.reset_index(), pairs)[0]


def test_a_constant_model_loses_nothing_under_any_split(cats):
    cat = cats["clean"]
    rows = scoring.one_variant(cat, "original")
    splits, notes = leakage.scheme_splits(cat, folds=4, embargoes=(0, 3))
    constant = lambda: DummyClassifier(strategy="constant", constant="Pre")
    table = leakage.scheme_table(cat, {"always Pre": (rows, np.zeros((len(rows), 1)), constant)}, splits, **QUIET)
    assert list(splits) == ["by image", "by group", "blocks", "blocks, 3 left out"] and not notes
    assert table["accuracy"].tolist() == pytest.approx([(rows["label"] == "Pre").mean()] * 4) and not table["drop"].any()
    assert leakage.scheme_verdicts(table)[0].endswith("no less under any stricter split.")
    assert "needs 5" in leakage.scheme_splits(cat.groupby("label", observed=True).head(2))[1][0]


def test_mask_table_counts_black_images():
    kept = pd.DataFrame({"image": list("abcdef"), "label": pd.Categorical(["Pre"] * 3 + ["Pro"] * 3), "kept": [0.3, 0.2, 0.01, 0.001, 0.01, 0.4]})
    table = leakage.mask_table(kept).set_index("label")
    assert table["almost_black"].tolist() == pytest.approx([1 / 3, 2 / 3]) and table["of_black"].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert leakage.mask_verdicts(table.reset_index())[1].startswith("3 images are almost black") and leakage.plot_masks(kept)


def test_kept_shares_are_those_of_the_files(cats):
    kept = leakage.kept_shares(cats["stain"], **QUIET)
    path = cats["stain"].query("variant == 'segmented'")["path"].iloc[0]
    assert kept["kept"].iloc[0] == (np.asarray(Image.open(path)).max(-1) > 20).mean()
    with pytest.raises(InputError, match="no segmented images"):
        leakage.kept_shares(cats["stain"].query("variant == 'original'"))


def test_a_black_image_is_what_the_model_is_asked_about():
    class Brightness:
        "Predicts dark or light."
        def predict_proba(self, paths):
            light = np.array([np.asarray(Image.open(path)).mean() / 255 for path in paths])
            return np.c_[1 - light, light]

        def predict(self, paths):
            return np.array(["dark", "light"])[self.predict_proba(paths).argmax(1)]

    assert leakage.predict_black({"brightness": Brightness()}).values.tolist() == [["brightness", "dark", 1.0]]
